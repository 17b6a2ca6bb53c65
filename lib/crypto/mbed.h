/* SPDX-License-Identifier: Apache-2.0 */

/*
 * mbedTLS as this folder sees it: one set of calls for its versions 2.28 and
 * 3.6. Only files of lib/crypto include this.
 */

#ifndef SWKI_CRYPTO_MBED_H
#define SWKI_CRYPTO_MBED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509.h>
#include <mbedtls/x509_crt.h>

#include <swarmkit/error.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/types.h>

#include "base/buf.h"
#include "crypto/x509.h"

/* The library's random source over a port: ctx is a struct swk_entropy. */
int swki_mbed_random(void *ctx, unsigned char *out_data, size_t len);

/* Text with the NUL that the PEM parsers ask for; mbedtls_free() it, after a
 * wipe if it is a key. NULL for no memory. */
unsigned char *swki_mbed_pem_text(struct swki_pem pem);

/* Each takes an initialised object, which the caller frees in any case. */
int swki_mbed_parse_key(mbedtls_pk_context *key, struct swki_pem pem,
                        struct swk_entropy *entropy, struct swk_error *err);
int swki_mbed_parse_chain(mbedtls_x509_crt *chain, struct swki_pem pem,
                          struct swk_error *err);

/* Whether key is the private half of public_key. */
bool swki_mbed_is_pair(const mbedtls_pk_context *public_key,
                       const mbedtls_pk_context *key,
                       struct swk_entropy *entropy);

/* The digest that goes with a key of this size. */
mbedtls_md_type_t swki_mbed_digest_of(const mbedtls_pk_context *key);

/* The curve of an EC key; MBEDTLS_ECP_DP_NONE for other keys. */
mbedtls_ecp_group_id swki_mbed_curve(const mbedtls_pk_context *key);

/* Appends the AlgorithmIdentifier of this key's signatures. */
int swki_mbed_put_algorithm(const mbedtls_pk_context *key,
                            struct swki_buf *der, struct swk_error *err);

/* Appends a new key on the curve as PKCS#8. */
int swki_mbed_generate(mbedtls_ecp_group_id curve,
                       const struct swk_entropy *entropy,
                       struct swki_buf *out_pem, struct swk_error *err);

/* Appends the bare signature of data, by the digest that goes with the key. */
int swki_mbed_sign_data(mbedtls_pk_context *key, const void *data, size_t len,
                        struct swk_entropy *entropy,
                        struct swki_buf *out_signature, struct swk_error *err);

/*
 * Appends SEQUENCE { body, algorithm, signature }: the outer form that
 * certificates and requests share. body is DER.
 */
int swki_mbed_sign(mbedtls_pk_context *key, const struct swki_buf *body,
                   struct swk_entropy *entropy, struct swki_buf *out_der,
                   struct swk_error *err);

/* Signs a SHA-256. False if the key cannot. */
bool swki_mbed_sign_digest(mbedtls_pk_context *key,
                           const uint8_t digest[SWKI_SHA256_SIZE],
                           struct swk_entropy *entropy,
                           uint8_t out_bytes[SWKI_SIGNATURE_SIZE_MAX],
                           size_t *out_len);

/* What a certificate or request says about its own signature. */
struct swki_mbed_signature {
    const mbedtls_x509_buf *body;
    const mbedtls_x509_buf *bytes;
    mbedtls_md_type_t digest;
    mbedtls_pk_type_t type;
    const void *options;
};

/* SHA-256, SHA-384 and SHA-512 with ECDSA or RSA; false for all others. */
bool swki_mbed_verify(const struct swki_mbed_signature *signature,
                      mbedtls_pk_context *key);
bool swki_mbed_signed_by(const mbedtls_x509_crt *child,
                         mbedtls_x509_crt *parent);

/* Appends PEM; der is wiped from the working memory. */
int swki_mbed_write_pem(const char *label, const uint8_t *der, size_t der_len,
                        struct swki_buf *out_pem, struct swk_error *err);

swk_wall swki_mbed_wall(const mbedtls_x509_time *time);

/* What every verification here demands of algorithms and keys. */
extern const mbedtls_x509_crt_profile swki_mbed_profile;

/* The subject's CN with everything unprintable as '?', for error texts. */
void swki_mbed_name(const mbedtls_x509_crt *certificate, char out_name[65]);

/* The strict reading of a subject as a node's. */
int swki_mbed_identity(const mbedtls_x509_crt *certificate,
                       struct swki_identity *out_identity,
                       struct swk_error *err);

#endif
