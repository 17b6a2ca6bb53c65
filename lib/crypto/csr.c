/* SPDX-License-Identifier: Apache-2.0 */

/* Certificate requests: only their key and their signature matter. */

#include "crypto/csr.h"

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
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

/* What counts in a request. It points into the request's DER. */
struct request {
    mbedtls_x509_buf body;
    mbedtls_x509_buf signature;
    mbedtls_md_type_t digest;
    mbedtls_pk_type_t type;
};

/* CertificationRequestInfo: past the version and the name to the key; the
 * attributes behind it are of no interest. */
static bool parse_body(unsigned char *at, const unsigned char *end,
                       mbedtls_pk_context *key)
{
    int version;
    size_t len;

    if (mbedtls_asn1_get_int(&at, end, &version) != 0 || version != 0 ||
        mbedtls_asn1_get_tag(&at, end, &len, SWKI_DER_SEQUENCE) != 0) {
        return false;
    }
    at += len;
    return mbedtls_pk_parse_subpubkey(&at, end, key) == 0;
}

static bool parse_signature(unsigned char **at, const unsigned char *end,
                            struct request *request)
{
    mbedtls_asn1_buf oid;
    mbedtls_asn1_buf parameters;

    if (mbedtls_asn1_get_alg(at, end, &oid, &parameters) != 0 ||
        mbedtls_oid_get_sig_alg(&oid, &request->digest, &request->type) != 0 ||
        mbedtls_asn1_get_bitstring_null(at, end, &request->signature.len) !=
            0) {
        return false;
    }
    request->signature.p = *at;
    *at += request->signature.len;
    return *at == end;
}

/*
 * Read here and not by the library, which does not verify the signature, and
 * whose versions differ in the extensions that they stumble over; none of them
 * is even looked at.
 */
static bool parse_der(unsigned char *der, size_t der_len,
                      struct request *out_request, mbedtls_pk_context *key)
{
    const unsigned char *end = der + der_len;
    unsigned char *at = der;
    size_t len;

    if (mbedtls_asn1_get_tag(&at, end, &len, SWKI_DER_SEQUENCE) != 0 ||
        at + len != end) {
        return false;
    }
    out_request->body.p = at;
    if (mbedtls_asn1_get_tag(&at, end, &len, SWKI_DER_SEQUENCE) != 0 ||
        !parse_body(at, at + len, key)) {
        return false;
    }
    at += len;
    out_request->body.len = (size_t)(at - out_request->body.p);
    return parse_signature(&at, end, out_request);
}

static bool is_self_signed(const struct request *request,
                           mbedtls_pk_context *key)
{
    struct swki_mbed_signature signature = {
        .body = &request->body,
        .bytes = &request->signature,
        .digest = request->digest,
        .type = request->type,
    };

    return request->type == MBEDTLS_PK_ECDSA &&
           swki_mbed_verify(&signature, key);
}

/* Takes the key out of a request, and lets verify see the rest. */
static int read_request(struct swki_pem csr, mbedtls_pk_context *key,
                        int (*verify)(const struct request *request,
                                      mbedtls_pk_context *key,
                                      struct swk_error *err),
                        struct swk_error *err)
{
    struct request request;
    mbedtls_pem_context pem;
    unsigned char *text;
    size_t used_len;
    int rc;

    if (csr.text == NULL || csr.len == 0 || csr.len > SWKI_CSR_LEN_MAX) {
        return swki_fail(err, SWK_EMALFORMED,
                         "certificate request of %zu bytes", csr.len);
    }
    text = swki_mbed_pem_text(csr);
    if (text == NULL) {
        return swki_fail_nomem(err);
    }
    mbedtls_pem_init(&pem);
    if (mbedtls_pem_read_buffer(&pem, "-----BEGIN CERTIFICATE REQUEST-----",
                                "-----END CERTIFICATE REQUEST-----", text, NULL,
                                0, &used_len) != 0 ||
        !parse_der(pem.buf, pem.buflen, &request, key)) {
        rc = swki_fail(err, SWK_EMALFORMED,
                       "certificate request cannot be read");
    } else {
        rc = verify(&request, key, err);
    }
    mbedtls_pem_free(&pem);
    mbedtls_free(text);
    return rc;
}

static int check_request(const struct request *request, mbedtls_pk_context *key,
                         struct swk_error *err)
{
    if (swki_mbed_curve(key) != MBEDTLS_ECP_DP_SECP256R1) {
        return swki_fail(err, SWK_EMALFORMED,
                         "certificate request is not for a P-256 key");
    }
    return is_self_signed(request, key)
               ? SWK_OK
               : swki_fail(err, SWK_EMALFORMED,
                           "certificate request has a bad signature");
}

static int believe_request(const struct request *request,
                           mbedtls_pk_context *key, struct swk_error *err)
{
    (void)request;
    (void)key;
    (void)err;
    return SWK_OK;
}

int swki_csr_parse(struct swki_pem csr, mbedtls_pk_context *key,
                   struct swk_error *err)
{
    return read_request(csr, key, check_request, err);
}

int swki_csr_public_key(struct swki_pem csr, struct swki_buf *out_der,
                        struct swk_error *err)
{
    mbedtls_pk_context key;
    int rc;

    mbedtls_pk_init(&key);
    rc = read_request(csr, &key, believe_request, err);
    if (rc == 0) {
        rc = swki_names_put_key(out_der, &key, err);
    }
    mbedtls_pk_free(&key);
    return rc;
}

int swki_csr_check(struct swki_pem csr, struct swk_error *err)
{
    mbedtls_pk_context key;
    int rc;

    mbedtls_pk_init(&key);
    rc = swki_csr_parse(csr, &key, err);
    mbedtls_pk_free(&key);
    return rc;
}
