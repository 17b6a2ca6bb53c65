/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Signatures over any bytes, with keys that belong to no certificate.
 *
 * ECDSA with P-256 and SHA-256, or with P-384 and SHA-384; the curve decides
 * the digest. A key is named by the SHA-256 of its public half, as DER with its
 * algorithm (SubjectPublicKeyInfo).
 */

#ifndef SWKI_CRYPTO_SIGNING_KEY_H
#define SWKI_CRYPTO_SIGNING_KEY_H

#include "crypto/digest.h"
#include "crypto/x509.h"

enum {
    SWKI_KEY_ID_SIZE = SWKI_SHA256_SIZE,
    SWKI_SPEC_SIGNATURE_SIZE_MAX = 160, /* bytes of the DER; P-384 takes 104 */
    SWKI_VERIFIERS_MAX = 64,       /* keys in one set */
};

/* Curves of keys to sign with. */
enum swki_curve {
    SWKI_CURVE_P256,
    SWKI_CURVE_P384,
};

/* Appends a new key as PKCS#8. */
int swki_signing_key_generate(enum swki_curve curve,
                              const struct swk_entropy *entropy,
                              struct swki_buf *out_pem, struct swk_error *err);

/* Appends the public half of an unencrypted private key, as PEM. SWK_EINVAL for
 * a key that does not serve here. */
int swki_signing_key_public(struct swki_pem key,
                            const struct swk_entropy *entropy,
                            struct swki_buf *out_pem, struct swk_error *err);

/* Appends the signature, and tells which key made it. */
int swki_signature_make(struct swki_pem key, const void *data, size_t len,
                        const struct swk_entropy *entropy,
                        struct swki_buf *out_signature,
                        uint8_t out_key_id[SWKI_KEY_ID_SIZE],
                        struct swk_error *err);

/* A set of public keys. */
struct swki_verifiers;

/*
 * Reads PEM text with 1 to SWKI_VERIFIERS_MAX public keys; text around them is
 * passed over. SWK_EMALFORMED for what is no such text, SWK_EINVAL for keys
 * that do not serve here and for anything else in PEM, such as a private key.
 */
int swki_verifiers_new(const struct swk_alloc *alloc, struct swki_pem keys,
                       struct swki_verifiers **out_verifiers,
                       struct swk_error *err);
void swki_verifiers_free(struct swki_verifiers *verifiers);

size_t swki_verifiers_count(const struct swki_verifiers *verifiers);
const uint8_t *swki_verifiers_id(const struct swki_verifiers *verifiers,
                                 size_t index);

/* Whether the key of that ID is in the set. */
bool swki_verifiers_know(const struct swki_verifiers *verifiers,
                         const void *key_id, size_t key_id_len);

/* Whether the signature is of that key, which must be in the set. */
bool swki_verifiers_check(const struct swki_verifiers *verifiers,
                          const uint8_t key_id[SWKI_KEY_ID_SIZE],
                          const void *data, size_t len, const void *signature,
                          size_t signature_len);

#endif
