/* SPDX-License-Identifier: Apache-2.0 */

/* Private keys: made, read, and written as PKCS#8. */

#include <string.h>

#include <mbedtls/oid.h>

#include "base/error.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/mbed.h"

enum {
    KEY_DER_SIZE = 512, /* P-521 takes about 230 */
};

struct swki_pem swki_pem_of(const char *text)
{
    return (struct swki_pem){text, text != NULL ? strlen(text) : 0};
}

struct swki_pem swki_pem_of_buf(const struct swki_buf *buf)
{
    return (struct swki_pem){buf->data, buf->len};
}

/* OneAsymmetricKey of RFC 5958, version 1, around the SEC 1 form. */
static void put_pkcs8(struct swki_buf *der, mbedtls_ecp_group_id curve,
                      const uint8_t *sec1, size_t sec1_len)
{
    static const uint8_t version = 0;
    const char *oid = NULL;
    size_t oid_len = 0;
    size_t outer = swki_der_open(der, SWKI_DER_SEQUENCE);
    size_t algorithm;

    swki_der_put_number(der, &version, 1);
    algorithm = swki_der_open(der, SWKI_DER_SEQUENCE);
    swki_der_put(der, SWKI_DER_OID, MBEDTLS_OID_EC_ALG_UNRESTRICTED,
                 sizeof(MBEDTLS_OID_EC_ALG_UNRESTRICTED) - 1);
    if (mbedtls_oid_get_oid_by_ec_grp(curve, &oid, &oid_len) != 0) {
        der->failed = true;
    }
    swki_der_put(der, SWKI_DER_OID, oid, oid_len);
    swki_der_close(der, algorithm);
    swki_der_put(der, SWKI_DER_OCTET_STRING, sec1, sec1_len);
    swki_der_close(der, outer);
}

static int write_pkcs8(mbedtls_pk_context *key, struct swki_buf *out_pem,
                       struct swk_error *err)
{
    uint8_t sec1[KEY_DER_SIZE];
    struct swki_buf der;
    int sec1_len = mbedtls_pk_write_key_der(key, sec1, sizeof(sec1));
    int rc;

    if (sec1_len < 0) {
        return swki_fail(err, SWK_EINVAL, "private key cannot be written");
    }
    swki_buf_init(&der, NULL, SIZE_MAX);
    /* All the room at once: growing would leave copies behind. */
    if (swki_buf_reserve(&der, KEY_DER_SIZE) == NULL) {
        rc = swki_fail_nomem(err);
        goto out;
    }
    put_pkcs8(&der, swki_mbed_curve(key), sec1 + sizeof(sec1) - sec1_len,
              (size_t)sec1_len);
    rc = der.failed ? swki_fail_nomem(err)
                    : swki_mbed_write_pem("PRIVATE KEY", der.data, der.len,
                                          out_pem, err);
out:
    swki_wipe(sec1, sizeof(sec1));
    swki_wipe(der.data, der.size);
    swki_buf_fini(&der);
    return rc;
}

int swki_mbed_generate(mbedtls_ecp_group_id curve,
                       const struct swk_entropy *entropy,
                       struct swki_buf *out_pem, struct swk_error *err)
{
    struct swk_entropy source = *entropy;
    mbedtls_pk_context key;
    int rc;

    mbedtls_pk_init(&key);
    if (mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) !=
        0) {
        rc = swki_fail_nomem(err);
    } else if (mbedtls_ecp_gen_key(curve, mbedtls_pk_ec(key), swki_mbed_random,
                                   &source) != 0) {
        rc = swki_fail(err, SWK_EUNAVAILABLE, "no key could be generated");
    } else {
        rc = write_pkcs8(&key, out_pem, err);
    }
    mbedtls_pk_free(&key);
    return rc;
}

int swki_key_generate(const struct swk_entropy *entropy,
                      struct swki_buf *out_pem, struct swk_error *err)
{
    return swki_mbed_generate(MBEDTLS_ECP_DP_SECP256R1, entropy, out_pem, err);
}

int swki_key_convert(struct swki_pem key_pem, const struct swk_entropy *entropy,
                     struct swki_buf *out_pem, struct swk_error *err)
{
    struct swk_entropy source = *entropy;
    mbedtls_pk_context key;
    int rc;

    mbedtls_pk_init(&key);
    rc = swki_mbed_parse_key(&key, key_pem, &source, err);
    if (rc == 0 && swki_mbed_curve(&key) == MBEDTLS_ECP_DP_NONE) {
        rc = swki_fail(err, SWK_EINVAL, "not an elliptic curve key");
    }
    if (rc == 0) {
        rc = write_pkcs8(&key, out_pem, err);
    }
    mbedtls_pk_free(&key);
    return rc;
}

int swki_key_matches(struct swki_pem key_pem, struct swki_pem certificate,
                     const struct swk_entropy *entropy, struct swk_error *err)
{
    struct swk_entropy source = *entropy;
    mbedtls_pk_context key;
    mbedtls_x509_crt chain;
    int rc;

    mbedtls_pk_init(&key);
    mbedtls_x509_crt_init(&chain);
    rc = swki_mbed_parse_key(&key, key_pem, &source, err);
    if (rc == 0) {
        rc = swki_mbed_parse_chain(&chain, certificate, err);
    }
    if (rc == 0 && !swki_mbed_is_pair(&chain.pk, &key, &source)) {
        rc = swki_fail(err, SWK_EINVAL, "certificate key mismatch");
    }
    mbedtls_x509_crt_free(&chain);
    mbedtls_pk_free(&key);
    return rc;
}
