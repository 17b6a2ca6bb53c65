/* SPDX-License-Identifier: Apache-2.0 */

/* AES-256-GCM: seals bytes so that nobody reads or changes them unnoticed. */

#ifndef SWKI_CRYPTO_AEAD_H
#define SWKI_CRYPTO_AEAD_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
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

/*
 * A key made ready, for whoever seals much. One thread at a time.
 */
struct swki_aead_cipher;

/* SWK_ENOMEM. */
int swki_aead_cipher_new(const struct swk_alloc *alloc,
                         const uint8_t key[SWKI_AEAD_KEY_SIZE],
                         struct swki_aead_cipher **out_cipher,
                         struct swk_error *err);
/* Wipes it. */
void swki_aead_cipher_free(struct swki_aead_cipher *cipher);

/* What goes with the data. */
struct swki_aead_frame {
    const uint8_t *nonce; /* SWKI_AEAD_NONCE_SIZE; never twice under one key */
    const uint8_t *extra; /* authenticated, not stored */
    size_t extra_len;
};

/* Seals data where it lies, and stores the tag. Never fails for less than
 * 64 GiB. */
void swki_aead_cipher_seal(struct swki_aead_cipher *cipher,
                           const struct swki_aead_frame *frame, uint8_t *data,
                           size_t len, uint8_t out_tag[SWKI_AEAD_TAG_SIZE]);

/* Opens data where it lies. False if anything is not that of the sealing; the
 * data is zeroed then. */
bool swki_aead_cipher_open(struct swki_aead_cipher *cipher,
                           const struct swki_aead_frame *frame, uint8_t *data,
                           size_t len, const uint8_t tag[SWKI_AEAD_TAG_SIZE]);

#endif
