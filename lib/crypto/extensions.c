/* SPDX-License-Identifier: Apache-2.0 */

#include "crypto/extensions.h"

#include <string.h>

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>

#include "base/error.h"
#include "crypto/der.h"
#include "crypto/names.h"

enum {
    SAN_DNS = 2, /* dNSName of GeneralName, RFC 5280 section 4.2.1.6 */
};

enum critical {
    NOT_CRITICAL,
    CRITICAL,
};

struct marks {
    size_t outer;
    size_t value;
};

static struct marks open_extension(struct swki_buf *der, const char *oid,
                                   enum critical critical)
{
    static const uint8_t yes = 0xff;
    struct marks marks;

    marks.outer = swki_der_open(der, SWKI_DER_SEQUENCE);
    swki_der_put(der, SWKI_DER_OID, oid, strlen(oid));
    if (critical == CRITICAL) {
        swki_der_put(der, SWKI_DER_BOOLEAN, &yes, 1);
    }
    marks.value = swki_der_open(der, SWKI_DER_OCTET_STRING);
    return marks;
}

static void close_extension(struct swki_buf *der, struct marks marks)
{
    swki_der_close(der, marks.value);
    swki_der_close(der, marks.outer);
}

/* bits is a BIT STRING's content: how many are unused, then they. */
static void put_key_usage(struct swki_buf *der, const uint8_t bits[2])
{
    struct marks marks =
        open_extension(der, MBEDTLS_OID_KEY_USAGE, CRITICAL);

    swki_der_put(der, SWKI_DER_BIT_STRING, bits, 2);
    close_extension(der, marks);
}

static void put_basic_constraints(struct swki_buf *der, const void *content,
                                  size_t content_len)
{
    struct marks marks =
        open_extension(der, MBEDTLS_OID_BASIC_CONSTRAINTS, CRITICAL);

    swki_der_put(der, SWKI_DER_SEQUENCE, content, content_len);
    close_extension(der, marks);
}

void swki_extensions_put_ca(struct swki_buf *der)
{
    static const uint8_t sign_certificates_and_lists[2] = {1, 0x06};
    static const uint8_t is_ca[] = {SWKI_DER_BOOLEAN, 1, 0xff};

    put_key_usage(der, sign_certificates_and_lists);
    put_basic_constraints(der, is_ca, sizeof(is_ca));
}

void swki_extensions_put_node(struct swki_buf *der)
{
    static const uint8_t sign_and_encipher[2] = {5, 0xa0};
    struct marks marks;
    size_t list;

    put_key_usage(der, sign_and_encipher);
    marks = open_extension(der, MBEDTLS_OID_EXTENDED_KEY_USAGE, NOT_CRITICAL);
    list = swki_der_open(der, SWKI_DER_SEQUENCE);
    swki_der_put(der, SWKI_DER_OID, MBEDTLS_OID_SERVER_AUTH,
                 strlen(MBEDTLS_OID_SERVER_AUTH));
    swki_der_put(der, SWKI_DER_OID, MBEDTLS_OID_CLIENT_AUTH,
                 strlen(MBEDTLS_OID_CLIENT_AUTH));
    swki_der_close(der, list);
    close_extension(der, marks);
    put_basic_constraints(der, NULL, 0);
}

void swki_extensions_put_subject_key(struct swki_buf *der, const uint8_t *id,
                                     size_t id_len)
{
    struct marks marks = open_extension(
        der, MBEDTLS_OID_SUBJECT_KEY_IDENTIFIER, NOT_CRITICAL);

    swki_der_put(der, SWKI_DER_OCTET_STRING, id, id_len);
    close_extension(der, marks);
}

void swki_extensions_put_authority_key(struct swki_buf *der, const uint8_t *id,
                                       size_t id_len)
{
    struct marks marks = open_extension(
        der, MBEDTLS_OID_AUTHORITY_KEY_IDENTIFIER, NOT_CRITICAL);
    size_t list = swki_der_open(der, SWKI_DER_SEQUENCE);

    swki_der_put(der, SWKI_DER_CONTEXT, id, id_len);
    swki_der_close(der, list);
    close_extension(der, marks);
}

void swki_extensions_put_dns_names(struct swki_buf *der,
                                   const char *const *names, size_t count)
{
    struct marks marks =
        open_extension(der, MBEDTLS_OID_SUBJECT_ALT_NAME, NOT_CRITICAL);
    size_t list = swki_der_open(der, SWKI_DER_SEQUENCE);

    for (size_t i = 0; i < count; i++) {
        swki_der_put(der, SWKI_DER_CONTEXT + SAN_DNS, names[i],
                     strlen(names[i]));
    }
    swki_der_close(der, list);
    close_extension(der, marks);
}

/* One extension while walking: all of it, its OID, its value. */
struct item {
    unsigned char *start;
    size_t len;
    unsigned char *oid;
    size_t oid_len;
    unsigned char *value;
    size_t value_len;
};

/* Moves *at behind the next extension; false at the end, or at damage. */
static bool next_item(unsigned char **at, const unsigned char *end,
                      struct item *out_item)
{
    unsigned char *start = *at;
    unsigned char *p = start;
    size_t len;
    int critical;

    if (p >= end ||
        mbedtls_asn1_get_tag(&p, end, &len, SWKI_DER_SEQUENCE) != 0) {
        return false;
    }
    *at = p + len;
    out_item->start = start;
    out_item->len = (size_t)(*at - start);
    if (mbedtls_asn1_get_tag(&p, *at, &out_item->oid_len, SWKI_DER_OID) != 0) {
        return false;
    }
    out_item->oid = p;
    p += out_item->oid_len;
    if (p < *at && *p == SWKI_DER_BOOLEAN &&
        mbedtls_asn1_get_bool(&p, *at, &critical) != 0) {
        return false;
    }
    if (mbedtls_asn1_get_tag(&p, *at, &out_item->value_len,
                             SWKI_DER_OCTET_STRING) != 0) {
        return false;
    }
    out_item->value = p;
    return true;
}

/* Where the list of extensions begins; false if there is none. */
static bool first_item(const mbedtls_x509_crt *certificate,
                       unsigned char **out_at, const unsigned char **out_end)
{
    unsigned char *p = certificate->v3_ext.p;
    size_t len;

    if (p == NULL ||
        mbedtls_asn1_get_tag(&p, p + certificate->v3_ext.len, &len,
                             SWKI_DER_SEQUENCE) != 0) {
        return false;
    }
    *out_at = p;
    *out_end = p + len;
    return true;
}

static bool is_item(const struct item *item, const char *oid)
{
    return item->oid_len == strlen(oid) &&
           memcmp(item->oid, oid, item->oid_len) == 0;
}

int swki_extensions_key_id(mbedtls_x509_crt *certificate,
                           uint8_t out_id[SWKI_KEY_ID_SIZE_MAX],
                           size_t *out_len, struct swk_error *err)
{
    const unsigned char *end = NULL;
    unsigned char *at = NULL;
    struct item item;
    bool more = first_item(certificate, &at, &end);

    while (more && next_item(&at, end, &item)) {
        unsigned char *p = item.value;
        size_t len;

        if (is_item(&item, MBEDTLS_OID_SUBJECT_KEY_IDENTIFIER) &&
            mbedtls_asn1_get_tag(&p, item.value + item.value_len, &len,
                                 SWKI_DER_OCTET_STRING) == 0 &&
            len > 0 && len <= SWKI_KEY_ID_SIZE_MAX) {
            memcpy(out_id, p, len);
            *out_len = len;
            return SWK_OK;
        }
    }
    *out_len = SWKI_KEY_ID_SIZE;
    return swki_names_key_id(&certificate->pk, out_id, err);
}

int swki_extensions_copy(struct swki_buf *der,
                         const mbedtls_x509_crt *certificate,
                         struct swk_error *err)
{
    const unsigned char *end = NULL;
    unsigned char *at = NULL;
    struct item item;

    if (!first_item(certificate, &at, &end)) {
        return SWK_OK;
    }
    while (at < end) {
        if (!next_item(&at, end, &item)) {
            return swki_fail(err, SWK_EMALFORMED,
                             "certificate has a damaged extension");
        }
        if (!is_item(&item, MBEDTLS_OID_AUTHORITY_KEY_IDENTIFIER)) {
            swki_buf_append(der, item.start, item.len);
        }
    }
    return SWK_OK;
}
