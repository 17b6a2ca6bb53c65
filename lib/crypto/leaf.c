/* SPDX-License-Identifier: Apache-2.0 */

/* A node's own certificate, the first of its chain: what its key signs, whether
 * two are the same, and which roots it speaks for. */

#include <string.h>

#include "base/error.h"
#include "crypto/mbed.h"

int swki_key_sign_digest(struct swki_pem key_pem,
                         const uint8_t digest[SWKI_SHA256_SIZE],
                         const struct swk_entropy *entropy,
                         uint8_t out_signature[SWKI_SIGNATURE_SIZE_MAX],
                         size_t *out_len, struct swk_error *err)
{
    struct swk_entropy source = *entropy;
    uint8_t bytes[SWKI_SIGNATURE_SIZE_MAX];
    mbedtls_pk_context key;
    size_t len = 0;
    int rc;

    mbedtls_pk_init(&key);
    rc = swki_mbed_parse_key(&key, key_pem, &source, err);
    if (rc == 0 && swki_mbed_curve(&key) == MBEDTLS_ECP_DP_NONE) {
        rc = swki_fail(err, SWK_EINVAL, "not an elliptic curve key");
    }
    if (rc == 0 && !swki_mbed_sign_digest(&key, digest, &source, bytes, &len)) {
        rc = swki_fail(err, SWK_EINTERNAL, "signing failed");
    }
    mbedtls_pk_free(&key);
    if (rc == 0) {
        memcpy(out_signature, bytes, len);
        *out_len = len;
    }
    return rc;
}

int swki_leaf_check_digest(struct swki_pem chain_pem,
                           const uint8_t digest[SWKI_SHA256_SIZE],
                           const void *signature, size_t len,
                           struct swk_error *err)
{
    mbedtls_x509_crt chain;
    int rc;

    mbedtls_x509_crt_init(&chain);
    rc = swki_mbed_parse_chain(&chain, chain_pem, err);
    if (rc == 0 && (!mbedtls_pk_can_do(&chain.pk, MBEDTLS_PK_ECDSA) ||
                    mbedtls_pk_verify(&chain.pk, MBEDTLS_MD_SHA256, digest,
                                      SWKI_SHA256_SIZE, signature, len) != 0)) {
        rc = swki_fail(err, SWK_EUNAUTHENTICATED,
                       "the signature is not by the certificate's key");
    }
    mbedtls_x509_crt_free(&chain);
    return rc;
}

static bool same(const mbedtls_x509_crt *a, const mbedtls_x509_crt *b)
{
    return a->raw.len == b->raw.len &&
           memcmp(a->raw.p, b->raw.p, a->raw.len) == 0;
}

bool swki_leaf_same(struct swki_pem a, struct swki_pem b)
{
    mbedtls_x509_crt chain_a;
    mbedtls_x509_crt chain_b;
    bool is_same;

    mbedtls_x509_crt_init(&chain_a);
    mbedtls_x509_crt_init(&chain_b);
    is_same = swki_mbed_parse_chain(&chain_a, a, NULL) == 0 &&
              swki_mbed_parse_chain(&chain_b, b, NULL) == 0 &&
              same(&chain_a, &chain_b);
    mbedtls_x509_crt_free(&chain_b);
    mbedtls_x509_crt_free(&chain_a);
    return is_same;
}

static bool is_among(const mbedtls_x509_crt *one, const mbedtls_x509_crt *list)
{
    while (list != NULL && !same(one, list)) {
        list = list->next;
    }
    return list != NULL;
}

/* A root counts by its key: one that signed the leaf itself is the leaf's, one
 * that is reached over a cross certificate may be of the past. */
static int check_vouched(mbedtls_x509_crt *leaf, mbedtls_x509_crt *roots,
                         const mbedtls_x509_crt *trusted, struct swk_error *err)
{
    bool signed_leaf = false;
    size_t position = 1;

    for (mbedtls_x509_crt *root = roots; root != NULL;
         root = root->next, position++) {
        bool signs = swki_mbed_signed_by(leaf, root);

        signed_leaf = signed_leaf || signs;
        if (!signs && !is_among(root, trusted)) {
            return swki_fail(err, SWK_EUNAUTHENTICATED,
                             "root certificate %zu is not the one that signed "
                             "this node's certificate",
                             position);
        }
    }
    return signed_leaf
               ? SWK_OK
               : swki_fail(err, SWK_EUNAUTHENTICATED,
                           "none of the root certificates signed this node's "
                           "certificate");
}

int swki_leaf_vouches(struct swki_pem chain_pem, struct swki_pem trusted_pem,
                      struct swki_pem roots_pem, struct swk_error *err)
{
    mbedtls_x509_crt chain;
    mbedtls_x509_crt trusted;
    mbedtls_x509_crt roots;
    int rc;

    mbedtls_x509_crt_init(&chain);
    mbedtls_x509_crt_init(&trusted);
    mbedtls_x509_crt_init(&roots);
    rc = swki_mbed_parse_chain(&chain, chain_pem, err);
    if (rc == 0) {
        rc = swki_mbed_parse_chain(&trusted, trusted_pem, err);
    }
    if (rc == 0) {
        rc = swki_mbed_parse_chain(&roots, roots_pem, err);
    }
    if (rc == 0) {
        rc = check_vouched(&chain, &roots, &trusted, err);
    }
    mbedtls_x509_crt_free(&roots);
    mbedtls_x509_crt_free(&trusted);
    mbedtls_x509_crt_free(&chain);
    return rc;
}
