/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The authorities whose keys a signer holds: several at a time while a swarm
 * changes its root, the old one beside the new one.
 */

#ifndef SWKI_CORE_SIGNER_AUTHORITIES_H
#define SWKI_CORE_SIGNER_AUTHORITIES_H

#include <stdbool.h>

#include <swarmkit/signer_service.h>

#include "base/list.h"
#include "crypto/x509.h"

struct swki_authority {
    struct swki_link link;
    char fingerprint[SWK_FINGERPRINT_LEN + 1];
    struct swki_buf certificate; /* PEM, one, normalised */
    struct swki_certificate_info info;
    struct swki_signer *signer; /* holds the key; NULL if none was given */
    bool used; /* something was signed with it, or it was cross-signed */
};

struct swki_authorities {
    const struct swk_alloc *alloc;
    struct swki_link list;
    size_t count;
};

void swki_authorities_init(struct swki_authorities *authorities,
                           const struct swk_alloc *alloc);
void swki_authorities_fini(struct swki_authorities *authorities);

/*
 * Adds one; key may be empty. SWK_EEXIST if it is there, SWK_ELIMIT if there
 * are SWK_AUTHORITIES_MAX, SWK_EINVAL or SWK_EMALFORMED for what is no pair.
 */
int swki_authorities_add(struct swki_authorities *authorities,
                         struct swki_pem certificate, struct swki_pem key,
                         const struct swk_entropy *entropy,
                         struct swki_authority **out_authority,
                         struct swk_error *err);
void swki_authorities_remove(struct swki_authorities *authorities,
                             struct swki_authority *authority);

/*
 * The one with the name and the key of this certificate, or NULL. So the
 * cross certificate of a root stands for the root too. SWK_EMALFORMED.
 */
int swki_authorities_find(const struct swki_authorities *authorities,
                          struct swki_pem certificate,
                          struct swki_authority **out_authority,
                          struct swk_error *err);

/* By its fingerprint or the beginning of it; NULL for the only one.
 * SWK_ENOTFOUND, SWK_EINVAL. */
int swki_authorities_named(const struct swki_authorities *authorities,
                           const char *fingerprint,
                           struct swki_authority **out_authority,
                           struct swk_error *err);

/* One that no swarm has got yet, or NULL. */
struct swki_authority *
swki_authorities_unused(const struct swki_authorities *authorities);

/* Appends all certificates. False for no memory. */
bool swki_authorities_bundle(const struct swki_authorities *authorities,
                             struct swki_buf *out_pem);

/* The certificate that stands first in the text, alone. */
struct swki_pem swki_pem_first(struct swki_pem chain);

#endif
