/* SPDX-License-Identifier: Apache-2.0 */

/* SHA-256, comparison that tells nothing by its time, wiping. */

#ifndef SWKI_CRYPTO_DIGEST_H
#define SWKI_CRYPTO_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SWKI_SHA256_SIZE = 32,
    SWKI_SHA256_HEX_LEN = 64, /* characters, without the NUL */
};

/* False only for no memory. */
bool swki_sha256(const void *data, size_t len,
                 uint8_t out_digest[SWKI_SHA256_SIZE]);

/*
 * The digest of a tag, with its NUL, and data: what is digested for one purpose
 * is never taken for another's. False only for no memory.
 */
bool swki_sha256_tagged(const char *tag, const void *data, size_t len,
                        uint8_t out_digest[SWKI_SHA256_SIZE]);

/* Lower-case digits and a NUL. */
void swki_sha256_hex(const uint8_t digest[SWKI_SHA256_SIZE],
                     char out_hex[SWKI_SHA256_HEX_LEN + 1]);

/* Whether len bytes are the same, in a time that depends on len alone. */
bool swki_ct_equal(const void *a, const void *b, size_t len);

/* The same for texts; that their lengths differ may show. */
bool swki_ct_equal_text(const char *a, const char *b);

/* Overwrites in a way that the compiler keeps; data may be NULL for len 0. */
void swki_wipe(void *data, size_t len);

/* The same for the processor's vector registers, through which memcpy() and its
 * like moved the bytes: a thread that is started inherits them, and may save
 * them on its stack. Where it is not known how, nothing is done. */
void swki_wipe_registers(void);

#endif
