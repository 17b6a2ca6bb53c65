/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who this node is: its key, its certificate, and the roots it trusts; in
 * memory, and in <state>/certificates.
 */

#ifndef SWKI_NODE_CREDENTIALS_H
#define SWKI_NODE_CREDENTIALS_H

#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>

#include "base/buf.h"
#include "core/autolock/data_keys.h"
#include "crypto/digest.h"
#include "crypto/tls.h"
#include "crypto/x509.h"

struct swki_credentials {
    struct swki_identity identity; /* of the certificate */
    struct swki_buf roots;         /* PEM, followed by a NUL */
    struct swki_buf chain;         /* PEM, followed by a NUL */
    struct swki_buf key;           /* PEM, followed by a NUL; wiped */
    /* What else is in the key file. Change it by change_keys() alone. */
    struct swki_data_keys keys;
    bool accept_expired; /* a certificate past its end, when loaded */
    bool has_offer; /* of a key to unlock the file with */
    struct swk_unlock_key offer;
    const struct swk_entropy *entropy; /* that was last handed in */
};

void swki_credentials_init(struct swki_credentials *credentials,
                           const struct swk_alloc *alloc);
void swki_credentials_fini(struct swki_credentials *credentials);

/* The key to unlock the key file with, should it be locked; copied. */
void swki_credentials_offer(struct swki_credentials *credentials,
                            const struct swk_unlock_key *unlock_key);

/*
 * Reads the files below dir, and verifies them against each other and the
 * time. SWK_ENOTFOUND if there are none, SWK_ECLOCK if the certificate is not
 * valid at this time, SWK_EUNAUTHENTICATED if it is not the roots',
 * SWK_ECORRUPT if the files do not belong together, SWK_EDENIED if the key file
 * is locked and the key that was offered, if any, is not its own.
 */
int swki_credentials_load(struct swki_credentials *credentials, const char *dir,
                          swk_wall now, const struct swk_entropy *entropy,
                          struct swk_error *err);

/* Reads the key file alone, with the keys of the log: what there is besides may
 * be missing, or long out of date. */
int swki_credentials_load_key(struct swki_credentials *credentials,
                              const char *dir,
                              const struct swk_entropy *entropy,
                              struct swk_error *err);

/* Reads the roots alone; SWK_ENOTFOUND if there are none. */
int swki_credentials_load_roots(struct swki_credentials *credentials,
                                const char *dir, swk_wall now,
                                struct swk_error *err);

/*
 * Writes the files. The certificate goes to a temporary name, then the key,
 * then the certificate gets its name: a crash in between leaves a pair that
 * load() finds.
 */
int swki_credentials_save(const struct swki_credentials *credentials,
                          const char *dir, struct swk_error *err);

/*
 * Replaces the key file, in one step, by one with the same private key and
 * other keys of the log, sealed or not as those say; then they are in force.
 * On failure nothing has changed. entropy may be NULL if next is not locked.
 */
int swki_credentials_change_keys(struct swki_credentials *credentials,
                                 const char *dir,
                                 const struct swki_data_keys *next,
                                 const struct swk_entropy *entropy,
                                 struct swk_error *err);

/* A new root CA for a new swarm, with the given key, or with a new one if that
 * is empty. Both are PEM. */
int swki_credentials_new_root(struct swki_credentials *credentials,
                              swk_wall now, const struct swk_entropy *entropy,
                              struct swki_buf *root_key,
                              struct swk_error *err);

/* A new key of this node, and a request for its certificate. */
int swki_credentials_new_key(struct swki_credentials *credentials,
                             const struct swk_entropy *entropy,
                             struct swki_buf *out_csr, struct swk_error *err);

/*
 * Keeps that key with its request on the disk, from before the request is sent
 * until save() or renew() has stored a pair (node/identity/next_key.h): sealed
 * by the key of own, which is NULL for a node that has none yet.
 */
int swki_credentials_keep_key(const struct swki_credentials *fresh,
                              const char *dir,
                              const struct swki_credentials *own,
                              const struct swki_buf *csr,
                              struct swk_error *err);

/* Takes up what was kept so; SWK_ENOTFOUND if nothing was. */
int swki_credentials_take_up_key(struct swki_credentials *fresh,
                                 const char *dir,
                                 const struct swki_credentials *own,
                                 const struct swk_entropy *entropy,
                                 struct swki_buf *out_csr,
                                 struct swk_error *err);

/* Takes a certificate for the present key, if it verifies. */
int swki_credentials_set_chain(struct swki_credentials *credentials,
                               const void *pem, size_t len, swk_wall now,
                               const struct swk_entropy *entropy,
                               struct swk_error *err);

/* Takes a bundle of roots, if it may serve as one. */
int swki_credentials_set_roots(struct swki_credentials *credentials,
                               const void *pem, size_t len, swk_wall now,
                               struct swk_error *err);

/* Writes another key with its certificate, and its roots, to the files, then
 * takes them over; the keys of the log stay. On failure nothing has changed
 * here, and the files hold the one pair or the other. */
int swki_credentials_renew(struct swki_credentials *credentials,
                           const char *dir,
                           const struct swki_credentials *fresh,
                           struct swk_error *err);

/*
 * Trusts another bundle of roots from now on, in the files too: if it may serve
 * as one, and the present certificate leads to one of them, ended or not, and
 * vouches for them (swki_leaf_vouches()). On failure nothing has changed.
 */
int swki_credentials_switch_roots(struct swki_credentials *credentials,
                                  const char *dir, struct swki_pem roots,
                                  swk_wall now, struct swk_error *err);

/* A TLS context for one side with these credentials. */
int swki_credentials_tls(const struct swki_credentials *credentials,
                         enum swki_tls_side side, const struct swk_alloc *alloc,
                         const struct swk_clock *clock,
                         const struct swk_entropy *entropy,
                         struct swki_tls_context **out_context,
                         struct swk_error *err);

/* What tells these credentials from others, so that a context of theirs, and
 * the sessions in it, can be kept until they change. False for no memory. */
bool swki_credentials_digest(const struct swki_credentials *credentials,
                             uint8_t out_digest[SWKI_SHA256_SIZE]);

#endif
