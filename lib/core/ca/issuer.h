/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a swarm's authority decides, apart from where it keeps it: roots and
 * tokens of a new swarm, the role a token stands for, a node's certificate.
 *
 * New parts of messages come from the arena that is handed in.
 */

#ifndef SWKI_CA_ISSUER_H
#define SWKI_CA_ISSUER_H

#include <swarmkit/error.h>
#include <swarmkit/port/entropy.h>

#include "base/arena.h"
#include "base/buf.h"
#include "crypto/x509.h"
#include "types.pb-c.h"

/* Validity of node certificates: by default, and the least that is issued. */
#define SWKI_CA_EXPIRY_DEFAULT (2160 * SWK_HOUR)
#define SWKI_CA_EXPIRY_MIN SWK_HOUR

/*
 * A new join token with a secret of its own, for the bundle of roots as it is
 * served. flags are SWK_JOIN_TOKEN_*.
 */
int swki_ca_new_token(struct swki_pem roots, uint32_t flags,
                      const struct swk_entropy *entropy,
                      struct swki_arena *arena, char **out_token,
                      struct swk_error *err);

/*
 * Fills the record of a new swarm: certificate, key (which may be empty, when
 * another signs), hash and both join tokens. The two are not verified here.
 */
int swki_ca_fill_root(struct swki_pem certificate, struct swki_pem key,
                      uint32_t flags, const struct swk_entropy *entropy,
                      struct swki_arena *arena, Swkpb__RootCA *out_root,
                      struct swk_error *err);

/* The same with a key and a self-signed certificate made for it. */
int swki_ca_create_root(swk_wall now, uint32_t flags,
                        const struct swk_entropy *entropy,
                        struct swki_arena *arena, Swkpb__RootCA *out_root,
                        struct swk_error *err);

/*
 * The role that a presented token stands for, or SWKI_ROLE_NONE. Both tokens
 * are always compared, in a time that does not depend on their secrets.
 */
enum swki_role swki_ca_token_role(const Swkpb__JoinTokens *tokens,
                                  const char *text);

/* Whose signature counts at the moment. All of it points into the record. */
struct swki_ca_authority {
    struct swki_pem certificate;   /* the first one's key signs */
    struct swki_pem key;           /* empty: the swarm does not hold it */
    struct swki_pem intermediates; /* belong behind each leaf; may be empty */
    struct swki_pem roots;         /* what nodes trust */
    struct swki_pem target; /* the root that all certificates are to come from:
                               the trusted one, or the one rotated to */
};

/* What the record calls for: the root's key or, while the root is being
 * replaced, the next root's, whose cross certificate leads back to the old. */
struct swki_ca_authority swki_ca_authority_of(const Swkpb__RootCA *root);

/*
 * Whether that authority can issue what nodes will trust: its certificates are
 * valid at now, and lead to the roots; a key is the certificate's. The reason
 * stays the same while it is asked again. SWK_EINVAL, SWK_ECLOCK,
 * SWK_EMALFORMED, SWK_EUNAUTHENTICATED.
 */
int swki_ca_authority_check(const struct swki_ca_authority *authority,
                            swk_wall now, const struct swk_entropy *entropy,
                            struct swk_error *err);

/*
 * A signer for that authority. SWK_EUNAVAILABLE if the swarm holds no key,
 * SWK_EINVAL or SWK_EMALFORMED if it is of no use.
 */
int swki_ca_open_signer(const struct swk_alloc *alloc,
                        const Swkpb__RootCA *root,
                        const struct swk_entropy *entropy,
                        struct swki_signer **out_signer, struct swk_error *err);

/* Whether two records call for the same signer; tokens do not matter. */
bool swki_ca_same_signer(const Swkpb__RootCA *a, const Swkpb__RootCA *b);

struct swki_ca_grant {
    const char *node_id;
    const char *swarm_id;
    Swkpb__NodeRole role;
    uint64_t expiry_ns; /* below SWKI_CA_EXPIRY_MIN: the default */
    swk_wall now;
};

/* What a certificate that is granted is to say. */
struct swki_leaf swki_ca_leaf_of(const struct swki_ca_grant *grant);

/* Appends the certificate for a request, as PEM with what is behind it. Only
 * the key is taken from the request. */
int swki_ca_sign(struct swki_signer *signer, struct swki_pem csr,
                 const struct swki_ca_grant *grant, struct swki_buf *out_pem,
                 struct swk_error *err);

#endif
