/* SPDX-License-Identifier: Apache-2.0 */

/* Reading certificates. */

#include "base/error.h"
#include "crypto/mbed.h"

int swki_certificate_identity(struct swki_pem certificate,
                              struct swki_identity *out_identity,
                              struct swk_error *err)
{
    mbedtls_x509_crt chain;
    int rc;

    mbedtls_x509_crt_init(&chain);
    rc = swki_mbed_parse_chain(&chain, certificate, err);
    if (rc == 0) {
        rc = swki_mbed_identity(&chain, out_identity, err);
    }
    mbedtls_x509_crt_free(&chain);
    return rc;
}

int swki_certificate_info_init(struct swki_certificate_info *info,
                               const struct swk_alloc *alloc,
                               struct swki_pem certificate,
                               struct swk_error *err)
{
    mbedtls_x509_crt chain;
    int rc;

    swki_buf_init(&info->subject, alloc, SIZE_MAX);
    swki_buf_init(&info->issuer, alloc, SIZE_MAX);
    swki_buf_init(&info->public_key, alloc, SIZE_MAX);
    swki_buf_init(&info->serial, alloc, SIZE_MAX);
    mbedtls_x509_crt_init(&chain);
    rc = swki_mbed_parse_chain(&chain, certificate, err);
    if (rc == 0) {
        info->not_before = swki_mbed_wall(&chain.valid_from);
        info->not_after = swki_mbed_wall(&chain.valid_to);
        if (!swki_buf_append(&info->subject, chain.subject_raw.p,
                             chain.subject_raw.len) ||
            !swki_buf_append(&info->issuer, chain.issuer_raw.p,
                             chain.issuer_raw.len) ||
            !swki_buf_append(&info->public_key, chain.pk_raw.p,
                             chain.pk_raw.len) ||
            !swki_buf_append(&info->serial, chain.serial.p, chain.serial.len)) {
            rc = swki_fail_nomem(err);
        }
    }
    mbedtls_x509_crt_free(&chain);
    if (rc != 0) {
        swki_certificate_info_fini(info);
    }
    return rc;
}

void swki_certificate_info_fini(struct swki_certificate_info *info)
{
    swki_buf_fini(&info->serial);
    swki_buf_fini(&info->public_key);
    swki_buf_fini(&info->issuer);
    swki_buf_fini(&info->subject);
}

int swki_certificate_digest(struct swki_pem certificate,
                            uint8_t out_digest[SWKI_SHA256_SIZE],
                            struct swk_error *err)
{
    mbedtls_x509_crt chain;
    int rc;

    mbedtls_x509_crt_init(&chain);
    rc = swki_mbed_parse_chain(&chain, certificate, err);
    if (rc == 0 && !swki_sha256(chain.raw.p, chain.raw.len, out_digest)) {
        rc = swki_fail_nomem(err);
    }
    mbedtls_x509_crt_free(&chain);
    return rc;
}

int swki_certificate_normalise(struct swki_pem pem, struct swki_buf *out_pem,
                               struct swk_error *err)
{
    size_t start_len = out_pem->len;
    mbedtls_x509_crt chain;
    int rc;

    mbedtls_x509_crt_init(&chain);
    rc = swki_mbed_parse_chain(&chain, pem, err);
    for (const mbedtls_x509_crt *c = &chain; rc == 0 && c != NULL;
         c = c->next) {
        rc = swki_mbed_write_pem("CERTIFICATE", c->raw.p, c->raw.len, out_pem,
                                 err);
    }
    if (rc != 0) {
        out_pem->len = start_len;
    }
    mbedtls_x509_crt_free(&chain);
    return rc;
}
