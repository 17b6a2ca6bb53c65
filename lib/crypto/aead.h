/* SPDX-License-Identifier: Apache-2.0 */

/* AES-256-GCM: seals bytes so that nobody reads or changes them unnoticed. */

#ifndef SWKI_CRYPTO_AEAD_H
#define SWKI_CRYPTO_AEAD_H

#include <swarmkit/error.h>

#include "base/buf.h"

enum {
    SWKI_AEAD_KEY_SIZE = 32,
    SWKI_AEAD_NONCE_SIZE = 12,
    SWKI_AEAD_TAG_SIZE = 16,
};

/*
 * What both ends must agree on. A nonce must never serve twice under one key.
 * The extra bytes are authenticated, not stored; NULL for none.
 */
struct swki_aead {
    const uint8_t *key;   /* SWKI_AEAD_KEY_SIZE */
    const uint8_t *nonce; /* SWKI_AEAD_NONCE_SIZE */
    const void *extra;
    size_t extra_len;
};

/* Appends len sealed bytes and the tag. SWK_ENOMEM, or SWK_ELIMIT when they
 * do not fit out_sealed. */
int swki_aead_seal(const struct swki_aead *aead, const void *data, size_t len,
                   struct swki_buf *out_sealed, struct swk_error *err);

/*
 * Appends the plaintext. SWK_ECORRUPT if the bytes, the extra bytes, the nonce
 * or the key are not those of the sealing; nothing is appended then.
 */
int swki_aead_open(const struct swki_aead *aead, const void *sealed, size_t len,
                   struct swki_buf *out_data, struct swk_error *err);

#endif
