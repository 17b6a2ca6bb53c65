/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The directory of a signer, from the inside.
 *
 * An authority is one file, FINGERPRINT.pem: a line that says whether a swarm
 * has got it, its certificate, and its key, plain or sealed; or none, if it is
 * only trusted for what it signed elsewhere. The file "swarm"
 * holds the ID of the swarm that is served. All are replaced whole or not at
 * all, and whoever writes holds a lock on the directory, since tools work on it
 * while the service runs.
 */

#ifndef SWKI_NODE_SIGNER_KEYS_H
#define SWKI_NODE_SIGNER_KEYS_H

#include <limits.h>

#include <swarmkit/signer_service.h>

#include "core/signer/authorities.h"

struct swk_signer_keys {
    const struct swk_alloc *alloc;
    const struct swk_clock *clock;
    struct swk_entropy entropy;
    uint32_t flags;
    struct swki_authorities authorities;
    struct swki_buf password; /* wiped */
    char swarm_id[SWK_ID_LEN_MAX + 1];
    int64_t read_at_ns; /* as the directory was changed then; 0: never */
    char dir[PATH_MAX / 2];
};

/* Takes in what tools have brought or taken away meanwhile. Whatever cannot be
 * read is left out; err tells of the last such. */
int swki_signer_keys_reload(struct swk_signer_keys *keys,
                            struct swk_error *err);

/* Likewise, if files have come or gone since it was done last. When the
 * directory is gone, so are all keys. */
int swki_signer_keys_refresh(struct swk_signer_keys *keys,
                             struct swk_error *err);

/* Makes a root, as swk_signer_keys_create(). */
int swki_signer_keys_make(struct swk_signer_keys *keys,
                          struct swki_authority **out_authority,
                          struct swk_error *err);

/* Takes an authority in, and writes its file; without a key it is only trusted
 * for what it signed. SWK_EEXIST. */
int swki_signer_keys_keep(struct swk_signer_keys *keys,
                          struct swki_pem certificate, struct swki_pem key,
                          bool used, struct swki_authority **out_authority,
                          struct swk_error *err);

/* Writes down that a swarm has got it. */
int swki_signer_keys_mark_used(struct swk_signer_keys *keys,
                               const struct swki_authority *authority,
                               struct swk_error *err);

/* Writes down which swarm is served. */
int swki_signer_keys_bind(struct swk_signer_keys *keys, const char *swarm_id,
                          struct swk_error *err);

#endif
