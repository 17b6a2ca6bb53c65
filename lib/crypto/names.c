/* SPDX-License-Identifier: Apache-2.0 */

#include "crypto/names.h"

#include <string.h>

#include <mbedtls/oid.h>

#include "base/error.h"
#include "crypto/der.h"

enum {
    PUBLIC_KEY_SIZE_MAX = 2048, /* RSA of 8192 bits takes half of it */
};

static const struct part {
    const char *oid;
    const char *word;
} parts[] = {
    [SWKI_NAME_CN] = {MBEDTLS_OID_AT_CN, "CN"},
    [SWKI_NAME_O] = {MBEDTLS_OID_AT_ORGANIZATION, "O"},
    [SWKI_NAME_OU] = {MBEDTLS_OID_AT_ORG_UNIT, "OU"},
};

enum {
    PARTS_COUNT = sizeof(parts) / sizeof(parts[0]),
};

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool swki_names_valid(const char *text)
{
    size_t len = 0;

    if (text == NULL) {
        return false;
    }
    while (text[len] != '\0') {
        if (!is_name_char(text[len]) || ++len > SWKI_CERTIFICATE_NAME_MAX) {
            return false;
        }
    }
    return len > 0;
}

int swki_names_put_attribute(struct swki_buf *der, enum swki_name_part part,
                             const char *text, struct swk_error *err)
{
    uint8_t tag = SWKI_DER_PRINTABLE_STRING;
    size_t set;
    size_t pair;

    if (!swki_names_valid(text)) {
        return swki_fail(err, SWK_EINVAL, "not fit for a certificate's %s",
                         parts[part].word);
    }
    /* Which kind of string matters: others compare names by bytes. */
    if (strchr(text, '_') != NULL) {
        tag = SWKI_DER_UTF8_STRING;
    }
    set = swki_der_open(der, SWKI_DER_SET);
    pair = swki_der_open(der, SWKI_DER_SEQUENCE);
    swki_der_put(der, SWKI_DER_OID, parts[part].oid, strlen(parts[part].oid));
    swki_der_put(der, tag, text, strlen(text));
    swki_der_close(der, pair);
    swki_der_close(der, set);
    return SWK_OK;
}

int swki_names_put_key(struct swki_buf *der, mbedtls_pk_context *key,
                       struct swk_error *err)
{
    uint8_t bytes[PUBLIC_KEY_SIZE_MAX];
    int len = mbedtls_pk_write_pubkey_der(key, bytes, sizeof(bytes));

    if (len < 0) {
        return swki_fail(err, SWK_EINVAL, "public key cannot be written");
    }
    swki_buf_append(der, bytes + sizeof(bytes) - len, (size_t)len);
    return SWK_OK;
}

int swki_names_key_id(mbedtls_pk_context *key, uint8_t out_id[20],
                      struct swk_error *err)
{
    uint8_t bytes[PUBLIC_KEY_SIZE_MAX];
    unsigned char *start = bytes + sizeof(bytes);
    int len = mbedtls_pk_write_pubkey(&start, bytes, key);

    if (len < 0 || mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA1), start,
                              (size_t)len, out_id) != 0) {
        return swki_fail(err, SWK_EINVAL, "public key cannot be written");
    }
    return SWK_OK;
}

/* The part an attribute stands for, or PARTS_COUNT. */
static size_t find_part(const mbedtls_x509_name *name)
{
    size_t i = 0;

    while (i < PARTS_COUNT &&
           (name->oid.len != strlen(parts[i].oid) ||
            memcmp(name->oid.p, parts[i].oid, name->oid.len) != 0)) {
        i++;
    }
    return i;
}

/* Copies one value; false unless it is fit for a name. */
static bool copy_value(const mbedtls_x509_buf *value,
                       char out_text[SWKI_CERTIFICATE_NAME_MAX + 1])
{
    char text[SWKI_CERTIFICATE_NAME_MAX + 1] = "";

    if (value->len > SWKI_CERTIFICATE_NAME_MAX) {
        return false;
    }
    memcpy(text, value->p, value->len);
    if (strlen(text) != value->len || !swki_names_valid(text)) {
        return false;
    }
    memcpy(out_text, text, sizeof(text));
    return true;
}

static uint32_t role_of(const char *ou)
{
    if (strcmp(ou, SWKI_OU_MANAGER) == 0) {
        return SWKI_ROLE_MANAGER;
    }
    return strcmp(ou, SWKI_OU_WORKER) == 0 ? SWKI_ROLE_WORKER : SWKI_ROLE_NONE;
}

int swki_mbed_identity(const mbedtls_x509_crt *certificate,
                       struct swki_identity *out_identity,
                       struct swk_error *err)
{
    char values[PARTS_COUNT][SWKI_CERTIFICATE_NAME_MAX + 1] = {"", "", ""};
    struct swki_identity identity = {
        .not_before = swki_mbed_wall(&certificate->valid_from),
        .not_after = swki_mbed_wall(&certificate->valid_to),
    };

    for (const mbedtls_x509_name *name = &certificate->subject; name != NULL;
         name = name->next) {
        size_t part = find_part(name);

        if (part == PARTS_COUNT) {
            continue;
        }
        if (values[part][0] != '\0') {
            return swki_fail(err, SWK_EMALFORMED,
                             "certificate has more than one %s",
                             parts[part].word);
        }
        if (!copy_value(&name->val, values[part])) {
            return swki_fail(err, SWK_EMALFORMED, "certificate has a bad %s",
                             parts[part].word);
        }
    }
    for (size_t i = 0; i < PARTS_COUNT; i++) {
        if (values[i][0] == '\0') {
            return swki_fail(err, SWK_EMALFORMED, "certificate has no %s",
                             parts[i].word);
        }
    }
    identity.role = role_of(values[SWKI_NAME_OU]);
    if (identity.role == SWKI_ROLE_NONE) {
        return swki_fail(err, SWK_EMALFORMED, "certificate has no known role");
    }
    memcpy(identity.node_id, values[SWKI_NAME_CN], sizeof(identity.node_id));
    memcpy(identity.swarm_id, values[SWKI_NAME_O], sizeof(identity.swarm_id));
    *out_identity = identity;
    return SWK_OK;
}

void swki_mbed_name(const mbedtls_x509_crt *certificate, char out_name[65])
{
    const mbedtls_x509_name *name = &certificate->subject;
    size_t len;

    while (name != NULL && find_part(name) != SWKI_NAME_CN) {
        name = name->next;
    }
    len = name != NULL && name->val.len < 64 ? name->val.len : 0;
    for (size_t i = 0; i < len; i++) {
        char c = (char)name->val.p[i];

        out_name[i] = '?';
        if (is_name_char(c)) {
            out_name[i] = c;
        }
    }
    out_name[len] = '\0';
}
