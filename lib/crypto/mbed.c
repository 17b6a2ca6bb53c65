/* SPDX-License-Identifier: Apache-2.0 */

#include "crypto/mbed.h"

#include <stdio.h>
#include <string.h>

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/platform.h>
#include <mbedtls/version.h>

#include "base/error.h"
#include "crypto/calendar.h"
#include "crypto/der.h"
#include "crypto/digest.h"

#if MBEDTLS_VERSION_MAJOR < 2 || MBEDTLS_VERSION_MAJOR > 3
#error "mbedTLS 2.28 or 3.x is needed"
#endif

enum {
    RSA_BITS_MIN = 2048,
    SIGNATURE_SIZE_MAX = SWKI_SIGNATURE_SIZE_MAX,
    PEM_WORK_SIZE = 4 * SWKI_CSR_LEN_MAX,
};

const mbedtls_x509_crt_profile swki_mbed_profile = {
    .allowed_mds = MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
    .allowed_pks = MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSA) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECKEY) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECDSA),
    .allowed_curves = MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) |
                      MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1) |
                      MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP521R1),
    .rsa_min_bitlen = RSA_BITS_MIN,
};

int swki_mbed_random(void *ctx, unsigned char *out_data, size_t len)
{
    const struct swk_entropy *entropy = ctx;

    return entropy->fill(entropy->ctx, out_data, len) == 0
               ? 0
               : MBEDTLS_ERR_ECP_RANDOM_FAILED;
}

unsigned char *swki_mbed_pem_text(struct swki_pem pem)
{
    unsigned char *text = mbedtls_calloc(1, pem.len + 1);

    if (text != NULL && pem.len > 0) {
        memcpy(text, pem.text, pem.len);
    }
    return text;
}

int swki_mbed_parse_key(mbedtls_pk_context *key, struct swki_pem pem,
                        struct swk_entropy *entropy, struct swk_error *err)
{
    unsigned char *text;
    int rc;

    if (pem.text == NULL || pem.len > SWKI_PEM_LEN_MAX) {
        return swki_fail(err, SWK_EMALFORMED, "no key, or one too long");
    }
    text = swki_mbed_pem_text(pem);
    if (text == NULL) {
        return swki_fail_nomem(err);
    }
#if MBEDTLS_VERSION_MAJOR < 3
    (void)entropy;
    rc = mbedtls_pk_parse_key(key, text, pem.len + 1, NULL, 0);
#else
    rc = mbedtls_pk_parse_key(key, text, pem.len + 1, NULL, 0,
                              swki_mbed_random, entropy);
#endif
    swki_wipe(text, pem.len);
    mbedtls_free(text);
    if (rc != 0) {
        return swki_fail(err, SWK_EMALFORMED,
                         "private key cannot be read (-0x%04x)", -rc);
    }
    return SWK_OK;
}

int swki_mbed_parse_chain(mbedtls_x509_crt *chain, struct swki_pem pem,
                          struct swk_error *err)
{
    size_t count = 0;
    unsigned char *text;
    int rc;

    if (pem.text == NULL || pem.len == 0) {
        return swki_fail(err, SWK_EMALFORMED, "no certificates found");
    }
    if (pem.len > SWKI_PEM_LEN_MAX) {
        return swki_fail(err, SWK_EMALFORMED, "certificates are too long");
    }
    text = swki_mbed_pem_text(pem);
    if (text == NULL) {
        return swki_fail_nomem(err);
    }
    rc = mbedtls_x509_crt_parse(chain, text, pem.len + 1);
    mbedtls_free(text);
    if (rc == MBEDTLS_ERR_X509_ALLOC_FAILED ||
        rc == MBEDTLS_ERR_PEM_ALLOC_FAILED) {
        return swki_fail_nomem(err);
    }
    /* Above 0: that many of them could not be read, which is too many. */
    if (rc != 0) {
        return swki_fail(err, SWK_EMALFORMED, "certificate cannot be read");
    }
    for (const mbedtls_x509_crt *c = chain; c != NULL; c = c->next) {
        count++;
    }
    if (count > SWKI_CERTIFICATES_MAX) {
        return swki_fail(err, SWK_EMALFORMED, "%zu certificates are too many",
                         count);
    }
    return SWK_OK;
}

bool swki_mbed_is_pair(const mbedtls_pk_context *public_key,
                       const mbedtls_pk_context *key,
                       struct swk_entropy *entropy)
{
    if (mbedtls_pk_get_type(public_key) != mbedtls_pk_get_type(key)) {
        return false;
    }
#if MBEDTLS_VERSION_MAJOR < 3
    (void)entropy;
    return mbedtls_pk_check_pair(public_key, key) == 0;
#else
    return mbedtls_pk_check_pair(public_key, key, swki_mbed_random, entropy) ==
           0;
#endif
}

mbedtls_ecp_group_id swki_mbed_curve(const mbedtls_pk_context *key)
{
    if (!mbedtls_pk_can_do(key, MBEDTLS_PK_ECKEY)) {
        return MBEDTLS_ECP_DP_NONE;
    }
    return mbedtls_pk_ec(*key)->grp.id;
}

mbedtls_md_type_t swki_mbed_digest_of(const mbedtls_pk_context *key)
{
    switch ((int)swki_mbed_curve(key)) {
    case MBEDTLS_ECP_DP_SECP384R1:
        return MBEDTLS_MD_SHA384;
    case MBEDTLS_ECP_DP_SECP521R1:
        return MBEDTLS_MD_SHA512;
    default:
        return MBEDTLS_MD_SHA256;
    }
}

static int sign_digest(mbedtls_pk_context *key, mbedtls_md_type_t digest,
                       const uint8_t *hash, struct swk_entropy *entropy,
                       uint8_t out_bytes[SIGNATURE_SIZE_MAX], size_t *out_len)
{
#if MBEDTLS_VERSION_MAJOR < 3
    return mbedtls_pk_sign(key, digest, hash, 0, out_bytes, out_len,
                           swki_mbed_random, entropy);
#else
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(digest);

    return mbedtls_pk_sign(key, digest, hash, mbedtls_md_get_size(info),
                           out_bytes, SIGNATURE_SIZE_MAX, out_len,
                           swki_mbed_random, entropy);
#endif
}

bool swki_mbed_sign_digest(mbedtls_pk_context *key,
                           const uint8_t digest[SWKI_SHA256_SIZE],
                           struct swk_entropy *entropy,
                           uint8_t out_bytes[SWKI_SIGNATURE_SIZE_MAX],
                           size_t *out_len)
{
    return mbedtls_pk_get_len(key) <= SIGNATURE_SIZE_MAX / 2 &&
           sign_digest(key, MBEDTLS_MD_SHA256, digest, entropy, out_bytes,
                       out_len) == 0;
}

int swki_mbed_put_algorithm(const mbedtls_pk_context *key,
                            struct swki_buf *der, struct swk_error *err)
{
    bool is_rsa = mbedtls_pk_get_type(key) == MBEDTLS_PK_RSA;
    const char *oid;
    size_t oid_len;
    size_t mark;

    if (mbedtls_oid_get_oid_by_sig_alg(is_rsa ? MBEDTLS_PK_RSA
                                              : MBEDTLS_PK_ECDSA,
                                       swki_mbed_digest_of(key), &oid,
                                       &oid_len) != 0) {
        return swki_fail(err, SWK_ENOTSUP, "no algorithm to sign with");
    }
    mark = swki_der_open(der, SWKI_DER_SEQUENCE);
    swki_der_put(der, SWKI_DER_OID, oid, oid_len);
    if (is_rsa) {
        swki_der_put(der, SWKI_DER_NULL, NULL, 0);
    }
    swki_der_close(der, mark);
    return SWK_OK;
}

/* The bare signature of data. */
static int sign_bytes(mbedtls_pk_context *key, const void *data, size_t len,
                      struct swk_entropy *entropy,
                      uint8_t out_bytes[SIGNATURE_SIZE_MAX], size_t *out_len,
                      struct swk_error *err)
{
    mbedtls_md_type_t digest = swki_mbed_digest_of(key);
    uint8_t hash[MBEDTLS_MD_MAX_SIZE];

    if (mbedtls_pk_get_len(key) > SIGNATURE_SIZE_MAX / 2 ||
        mbedtls_md(mbedtls_md_info_from_type(digest), data, len, hash) != 0 ||
        sign_digest(key, digest, hash, entropy, out_bytes, out_len) != 0) {
        return swki_fail(err, SWK_EINTERNAL, "signing failed");
    }
    return SWK_OK;
}

int swki_mbed_sign_data(mbedtls_pk_context *key, const void *data, size_t len,
                        struct swk_entropy *entropy,
                        struct swki_buf *out_signature, struct swk_error *err)
{
    uint8_t bytes[SIGNATURE_SIZE_MAX];
    size_t bytes_len;
    int rc = sign_bytes(key, data, len, entropy, bytes, &bytes_len, err);

    if (rc == SWK_OK && !swki_buf_append(out_signature, bytes, bytes_len)) {
        rc = swki_fail_nomem(err);
    }
    return rc;
}

int swki_mbed_sign(mbedtls_pk_context *key, const struct swki_buf *body,
                   struct swk_entropy *entropy, struct swki_buf *out_der,
                   struct swk_error *err)
{
    uint8_t bytes[SIGNATURE_SIZE_MAX];
    size_t outer;
    size_t len;
    int rc = sign_bytes(key, body->data, body->len, entropy, bytes, &len, err);

    if (rc != SWK_OK) {
        return rc;
    }
    outer = swki_der_open(out_der, SWKI_DER_SEQUENCE);
    swki_buf_append(out_der, body->data, body->len);
    rc = swki_mbed_put_algorithm(key, out_der, err);
    swki_der_put_bits(out_der, bytes, len);
    swki_der_close(out_der, outer);
    if (rc == 0 && out_der->failed) {
        rc = swki_fail_nomem(err);
    }
    return rc;
}

bool swki_mbed_verify(const struct swki_mbed_signature *signature,
                      mbedtls_pk_context *key)
{
    uint8_t hash[MBEDTLS_MD_MAX_SIZE];
    const mbedtls_md_info_t *info;

    if (signature->digest != MBEDTLS_MD_SHA256 &&
        signature->digest != MBEDTLS_MD_SHA384 &&
        signature->digest != MBEDTLS_MD_SHA512) {
        return false;
    }
    info = mbedtls_md_info_from_type(signature->digest);
    return mbedtls_md(info, signature->body->p, signature->body->len, hash) ==
               0 &&
           mbedtls_pk_can_do(key, signature->type) &&
           mbedtls_pk_verify_ext(signature->type, signature->options, key,
                                 signature->digest, hash,
                                 mbedtls_md_get_size(info), signature->bytes->p,
                                 signature->bytes->len) == 0;
}

bool swki_mbed_signed_by(const mbedtls_x509_crt *child,
                         mbedtls_x509_crt *parent)
{
    struct swki_mbed_signature signature = {
        .body = &child->tbs,
        .bytes = &child->sig,
        .digest = child->sig_md,
        .type = child->sig_pk,
        .options = child->sig_opts,
    };

    return child->issuer_raw.len == parent->subject_raw.len &&
           memcmp(child->issuer_raw.p, parent->subject_raw.p,
                  child->issuer_raw.len) == 0 &&
           swki_mbed_verify(&signature, &parent->pk);
}

int swki_mbed_write_pem(const char *label, const uint8_t *der, size_t der_len,
                        struct swki_buf *out_pem, struct swk_error *err)
{
    char begin[48];
    char end[48];
    unsigned char *text;
    size_t text_len = 0;
    int rc = SWK_OK;

    snprintf(begin, sizeof(begin), "-----BEGIN %s-----\n", label);
    snprintf(end, sizeof(end), "-----END %s-----\n", label);
    text = mbedtls_calloc(1, PEM_WORK_SIZE);
    if (text == NULL) {
        return swki_fail_nomem(err);
    }
    if (mbedtls_pem_write_buffer(begin, end, der, der_len, text, PEM_WORK_SIZE,
                                 &text_len) != 0) {
        rc = swki_fail(err, SWK_EINVAL, "too long for PEM");
    } else if (!swki_buf_append(out_pem, text, text_len - 1)) {
        rc = swki_fail_nomem(err);
    }
    swki_wipe(text, PEM_WORK_SIZE);
    mbedtls_free(text);
    return rc;
}

swk_wall swki_mbed_wall(const mbedtls_x509_time *time)
{
    return swki_calendar_to_wall(&(struct swki_calendar){
        .year = time->year,
        .month = time->mon,
        .day = time->day,
        .hour = time->hour,
        .minute = time->min,
        .second = time->sec,
    });
}
