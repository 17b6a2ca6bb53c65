/* SPDX-License-Identifier: Apache-2.0 */

/* Certificate requests: only their key and their signature matter. */

#include "crypto/csr.h"

#include <string.h>

#include <mbedtls/platform.h>

#include "base/error.h"
#include "crypto/der.h"
#include "crypto/names.h"

/* CertificationRequestInfo of RFC 2986. */
static int put_info(struct swki_buf *body, mbedtls_pk_context *key,
                    const char *common_name, struct swk_error *err)
{
    static const uint8_t version = 0;
    size_t outer = swki_der_open(body, SWKI_DER_SEQUENCE);
    size_t name;
    int rc;

    swki_der_put_number(body, &version, 1);
    name = swki_der_open(body, SWKI_DER_SEQUENCE);
    rc = swki_names_put_attribute(body, SWKI_NAME_CN, common_name, err);
    if (rc != 0) {
        return rc;
    }
    swki_der_close(body, name);
    rc = swki_names_put_key(body, key, err);
    if (rc != 0) {
        return rc;
    }
    swki_der_put(body, SWKI_DER_CONTEXT_CONSTRUCTED, NULL, 0); /* attributes */
    swki_der_close(body, outer);
    return body->failed ? swki_fail_nomem(err) : SWK_OK;
}

int swki_csr_create(struct swki_pem key_pem, const char *common_name,
                    const struct swk_entropy *entropy,
                    struct swki_buf *out_pem, struct swk_error *err)
{
    struct swk_entropy source = *entropy;
    mbedtls_pk_context key;
    struct swki_buf body;
    struct swki_buf der;
    int rc;

    mbedtls_pk_init(&key);
    swki_buf_init(&body, NULL, SIZE_MAX);
    swki_buf_init(&der, NULL, SIZE_MAX);
    rc = swki_mbed_parse_key(&key, key_pem, &source, err);
    if (rc == 0) {
        rc = put_info(&body, &key, common_name, err);
    }
    if (rc == 0) {
        rc = swki_mbed_sign(&key, &body, &source, &der, err);
    }
    if (rc == 0) {
        rc = swki_mbed_write_pem("CERTIFICATE REQUEST", der.data, der.len,
                                 out_pem, err);
    }
    swki_buf_fini(&der);
    swki_buf_fini(&body);
    mbedtls_pk_free(&key);
    return rc;
}

/* The library reads requests without looking at their signature. */
static bool is_self_signed(mbedtls_x509_csr *csr)
{
    struct swki_mbed_signature signature = {
        .body = &csr->cri,
        .bytes = &csr->sig,
        .digest = csr->sig_md,
        .type = csr->sig_pk,
        .options = csr->sig_opts,
    };

    return swki_mbed_verify(&signature, &csr->pk);
}

int swki_csr_parse(mbedtls_x509_csr *csr, struct swki_pem pem,
                   struct swk_error *err)
{
    unsigned char *text;
    int rc;

    if (pem.text == NULL || pem.len == 0 || pem.len > SWKI_CSR_LEN_MAX) {
        return swki_fail(err, SWK_EMALFORMED,
                         "certificate request of %zu bytes", pem.len);
    }
    text = swki_mbed_pem_text(pem);
    if (text == NULL) {
        return swki_fail_nomem(err);
    }
    rc = mbedtls_x509_csr_parse(csr, text, pem.len + 1);
    mbedtls_free(text);
    if (rc != 0) {
        return swki_fail(err, SWK_EMALFORMED,
                         "certificate request cannot be read");
    }
    if (swki_mbed_curve(&csr->pk) != MBEDTLS_ECP_DP_SECP256R1) {
        return swki_fail(err, SWK_EMALFORMED,
                         "certificate request is not for a P-256 key");
    }
    if (!is_self_signed(csr)) {
        return swki_fail(err, SWK_EMALFORMED,
                         "certificate request has a bad signature");
    }
    return SWK_OK;
}

int swki_csr_check(struct swki_pem pem, struct swk_error *err)
{
    mbedtls_x509_csr csr;
    int rc;

    mbedtls_x509_csr_init(&csr);
    rc = swki_csr_parse(&csr, pem, err);
    mbedtls_x509_csr_free(&csr);
    return rc;
}
