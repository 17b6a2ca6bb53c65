/* SPDX-License-Identifier: Apache-2.0 */

/* Cross certificates that another CA makes: what it is asked, and whether it
 * did so. */

#include <string.h>

#include <mbedtls/oid.h>

#include "base/error.h"
#include "base/utf8.h"
#include "crypto/der.h"
#include "crypto/extensions.h"

enum {
    IA5_STRING = 0x16,
};

/* -- Requests ------------------------------------------------------------- */

/* An attribute that holds the extensions, if there are any. */
static int put_extensions(struct swki_buf *body, const mbedtls_x509_crt *root,
                          struct swk_error *err)
{
    struct swki_buf extensions;
    size_t attribute;
    size_t values;
    int rc;

    swki_buf_init(&extensions, NULL, SIZE_MAX);
    rc = swki_extensions_copy(&extensions, root, err);
    if (rc == 0 && extensions.failed) {
        rc = swki_fail_nomem(err);
    }
    if (rc == 0 && extensions.len > 0) {
        attribute = swki_der_open(body, SWKI_DER_SEQUENCE);
        swki_der_put(body, SWKI_DER_OID, MBEDTLS_OID_PKCS9_CSR_EXT_REQ,
                     strlen(MBEDTLS_OID_PKCS9_CSR_EXT_REQ));
        values = swki_der_open(body, SWKI_DER_SET);
        swki_der_put(body, SWKI_DER_SEQUENCE, extensions.data, extensions.len);
        swki_der_close(body, values);
        swki_der_close(body, attribute);
    }
    swki_buf_fini(&extensions);
    return rc;
}

/* CertificationRequestInfo of RFC 2986. */
static int put_info(struct swki_buf *body, const mbedtls_x509_crt *root,
                    struct swk_error *err)
{
    static const uint8_t version = 0;
    size_t outer = swki_der_open(body, SWKI_DER_SEQUENCE);
    size_t attributes;
    int rc;

    swki_der_put_number(body, &version, 1);
    swki_buf_append(body, root->subject_raw.p, root->subject_raw.len);
    swki_buf_append(body, root->pk_raw.p, root->pk_raw.len);
    attributes = swki_der_open(body, SWKI_DER_CONTEXT_CONSTRUCTED);
    rc = put_extensions(body, root, err);
    if (rc != 0) {
        return rc;
    }
    swki_der_close(body, attributes);
    swki_der_close(body, outer);
    return body->failed ? swki_fail_nomem(err) : SWK_OK;
}

static int sign_request(const mbedtls_x509_crt *root, mbedtls_pk_context *key,
                        struct swk_entropy *entropy, struct swki_buf *out_pem,
                        struct swk_error *err)
{
    struct swki_buf body;
    struct swki_buf der;
    int rc;

    if (!swki_mbed_is_pair(&root->pk, key, entropy)) {
        return swki_fail(err, SWK_EINVAL, "the key is not the root's");
    }
    swki_buf_init(&body, NULL, SIZE_MAX);
    swki_buf_init(&der, NULL, SIZE_MAX);
    rc = put_info(&body, root, err);
    if (rc == 0) {
        rc = swki_mbed_sign(key, &body, entropy, &der, err);
    }
    if (rc == 0) {
        rc = swki_mbed_write_pem("CERTIFICATE REQUEST", der.data, der.len,
                                 out_pem, err);
    }
    swki_buf_fini(&der);
    swki_buf_fini(&body);
    return rc;
}

int swki_cross_request(struct swki_pem root_pem, struct swki_pem key_pem,
                       const struct swk_entropy *entropy,
                       struct swki_buf *out_pem, struct swk_error *err)
{
    struct swk_entropy source = *entropy;
    mbedtls_x509_crt root;
    mbedtls_pk_context key;
    int rc;

    mbedtls_x509_crt_init(&root);
    mbedtls_pk_init(&key);
    rc = swki_mbed_parse_chain(&root, root_pem, err);
    if (rc == 0) {
        rc = swki_mbed_parse_key(&key, key_pem, &source, err);
    }
    if (rc == 0) {
        rc = sign_request(&root, &key, &source, out_pem, err);
    }
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&root);
    return rc;
}

/* -- Subjects ------------------------------------------------------------- */

static const char *word_of(const mbedtls_x509_name *name)
{
    static const struct {
        const char *oid;
        const char *word;
    } words[] = {
        {MBEDTLS_OID_AT_CN, "CN"},          {MBEDTLS_OID_AT_COUNTRY, "C"},
        {MBEDTLS_OID_AT_STATE, "ST"},       {MBEDTLS_OID_AT_LOCALITY, "L"},
        {MBEDTLS_OID_AT_ORGANIZATION, "O"}, {MBEDTLS_OID_AT_ORG_UNIT, "OU"},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (name->oid.len == strlen(words[i].oid) &&
            memcmp(name->oid.p, words[i].oid, name->oid.len) == 0) {
            return words[i].word;
        }
    }
    return NULL;
}

/* False for what cannot be said in other words to the byte. */
static bool read_part(const mbedtls_x509_name *name,
                      struct swki_subject_part *out_part)
{
    const mbedtls_x509_buf *value = &name->val;

    out_part->word = word_of(name);
    if (out_part->word == NULL || name->next_merged != 0 ||
        value->len > SWKI_SUBJECT_VALUE_MAX ||
        (value->tag != SWKI_DER_UTF8_STRING &&
         value->tag != SWKI_DER_PRINTABLE_STRING && value->tag != IA5_STRING)) {
        return false;
    }
    memcpy(out_part->value, value->p, value->len);
    out_part->value[value->len] = '\0';
    return strlen(out_part->value) == value->len &&
           swki_utf8_is_text(out_part->value, value->len);
}

int swki_certificate_subject(struct swki_pem certificate,
                             struct swki_subject *out_subject,
                             struct swk_error *err)
{
    mbedtls_x509_crt chain;
    int rc;

    mbedtls_x509_crt_init(&chain);
    rc = swki_mbed_parse_chain(&chain, certificate, err);
    out_subject->parts_count = 0;
    for (const mbedtls_x509_name *name = &chain.subject;
         rc == 0 && name != NULL && name->oid.p != NULL; name = name->next) {
        if (out_subject->parts_count == SWKI_SUBJECT_PARTS_MAX ||
            !read_part(name, &out_subject->parts[out_subject->parts_count++])) {
            rc = swki_fail(err, SWK_ENOTSUP,
                           "the subject holds more than CN, C, ST, L, O and OU "
                           "in plain text");
        }
    }
    mbedtls_x509_crt_free(&chain);
    return rc;
}

/* -- Answers -------------------------------------------------------------- */

static bool same(const mbedtls_x509_buf *a, const mbedtls_x509_buf *b)
{
    return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

static bool serves(const mbedtls_x509_crt *certificate, const char *oid)
{
    return mbedtls_x509_crt_check_extended_key_usage(certificate, oid,
                                                     strlen(oid)) == 0;
}

static int check_cross(const mbedtls_x509_crt *cross,
                       const mbedtls_x509_crt *root, struct swk_error *err)
{
    if (cross->next != NULL) {
        return swki_fail(err, SWK_EINVAL, "it is not one certificate");
    }
    if (!same(&cross->pk_raw, &root->pk_raw)) {
        return swki_fail(err, SWK_EINVAL, "it is for another root's key");
    }
    if (!same(&cross->subject_raw, &root->subject_raw)) {
        return swki_fail(err, SWK_EINVAL,
                         "its subject is not the root's to the byte");
    }
    /* Nothing that the root signs would verify by it. */
    if (cross->ca_istrue == 0 ||
        mbedtls_x509_crt_check_key_usage(cross,
                                         MBEDTLS_X509_KU_KEY_CERT_SIGN) != 0) {
        return swki_fail(err, SWK_EINVAL, "it is not that of a CA");
    }
    if (!serves(cross, MBEDTLS_OID_SERVER_AUTH) ||
        !serves(cross, MBEDTLS_OID_CLIENT_AUTH)) {
        return swki_fail(err, SWK_EINVAL,
                         "it is not for both servers and clients");
    }
    return SWK_OK;
}

int swki_cross_check(struct swki_pem cross_pem, struct swki_pem root_pem,
                     struct swk_error *err)
{
    mbedtls_x509_crt cross;
    mbedtls_x509_crt root;
    int rc;

    mbedtls_x509_crt_init(&cross);
    mbedtls_x509_crt_init(&root);
    rc = swki_mbed_parse_chain(&cross, cross_pem, err);
    if (rc == 0) {
        rc = swki_mbed_parse_chain(&root, root_pem, err);
    }
    if (rc == 0) {
        rc = check_cross(&cross, &root, err);
    }
    mbedtls_x509_crt_free(&root);
    mbedtls_x509_crt_free(&cross);
    return rc;
}
