/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Jobs of the signer port, done by whoever has the key at hand: nodes'
 * certificates, new roots, and roots under other roots; or only looked whether
 * they could be done.
 *
 * Keys are parsed once and kept parsed, for as long as they are in use.
 */

#ifndef SWKI_CRYPTO_JOB_H
#define SWKI_CRYPTO_JOB_H

#include <swarmkit/port/signer.h>

#include "crypto/digest.h"
#include "crypto/x509.h"

enum {
    SWKI_JOB_KEYS_MAX = 4, /* that are kept: an old root's, a new one's */
};

/* One thread at a time. */
struct swki_job_keys {
    const struct swk_alloc *alloc;
    struct swk_entropy entropy;
    uint64_t uses; /* so far */
    struct swki_job_key {
        struct swki_signer *signer;       /* NULL: free */
        uint8_t digest[SWKI_SHA256_SIZE]; /* of certificate and key */
        uint64_t last_use;
    } keys[SWKI_JOB_KEYS_MAX];
};

/* entropy is copied. Takes no memory yet. */
void swki_job_keys_init(struct swki_job_keys *keys,
                        const struct swk_alloc *alloc,
                        const struct swk_entropy *entropy);
/* Wipes and frees the keys. */
void swki_job_keys_fini(struct swki_job_keys *keys);

/* What comes of a job; PEM. */
struct swki_job_output {
    struct swki_buf certificate;
    struct swki_buf key; /* of a new root */
};

void swki_job_output_init(struct swki_job_output *output,
                          const struct swk_alloc *alloc);
/* Wipes the key. */
void swki_job_output_fini(struct swki_job_output *output);

/*
 * Does a job with the key in it. As struct swk_sign_result says: SWK_EMALFORMED
 * and SWK_EINVAL for what is wrong with the request for good;
 * SWK_EUNAVAILABLE if there is no key, SWK_EPRECONDITION if it is of no use,
 * for which the node that asks can do nothing.
 */
int swki_job_sign(struct swki_job_keys *keys,
                  const struct swk_sign_request *request,
                  struct swki_job_output *output, struct swk_error *err);

#endif
