/* SPDX-License-Identifier: Apache-2.0 */

#include "external_ca.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <swarmkit/certificate.h>

#define SCHEME "https://"

enum {
    OPTIONS_MAX = 16,
    ROOT_SIZE_MAX = 64 * 1024,
};

typedef Swkpb__ExternalCA__OptionsEntry entry_type;

static int fail(struct swk_error *err, int code, const char *what,
                const char *which)
{
    err->code = code;
    snprintf(err->text, sizeof(err->text), "external CA: %s: %.150s", what,
             which);
    return code;
}

/* All of it belongs to malloc(), as that of a decoded message does. */
void external_ca_free(Swkpb__ExternalCA *ca)
{
    if (ca != NULL) {
        protobuf_c_message_free_unpacked(&ca->base, NULL);
    }
}

static int replace(char **field, const char *value, struct swk_error *err)
{
    char *copy = strdup(value);

    if (copy == NULL) {
        return fail(err, SWK_ENOMEM, "no memory", "");
    }
    if (*field != NULL && (*field)[0] != '\0') {
        free(*field);
    }
    *field = copy;
    return SWK_OK;
}

static int read_root(const char *path, ProtobufCBinaryData *out,
                     struct swk_error *err)
{
    struct swk_certificate certificate = {.size = sizeof(certificate)};
    FILE *file = fopen(path, "re");
    uint8_t *data;
    size_t len;
    int failed;

    if (file == NULL) {
        return fail(err, SWK_EIO, strerror(errno), path);
    }
    data = malloc(ROOT_SIZE_MAX);
    len = data != NULL ? fread(data, 1, ROOT_SIZE_MAX, file) : 0;
    failed = ferror(file);
    fclose(file);
    if (data == NULL || failed || len == 0 || len == ROOT_SIZE_MAX) {
        free(data);
        return fail(err, SWK_EIO, "not read, empty or too large", path);
    }
    free(out->data);
    *out = (ProtobufCBinaryData){len, data};
    return swk_certificate_read(data, len, &certificate, NULL) == 0
               ? SWK_OK
               : fail(err, SWK_EINVAL, "the root is not a certificate", path);
}

static int add_option(Swkpb__ExternalCA *ca, const char *key, const char *value,
                      struct swk_error *err)
{
    entry_type *entry;
    int rc;

    if (ca->n_options == OPTIONS_MAX) {
        return fail(err, SWK_EINVAL, "too many options", key);
    }
    if (ca->options == NULL) {
        ca->options = calloc(OPTIONS_MAX, sizeof(ca->options[0]));
    }
    entry = calloc(1, sizeof(*entry));
    if (ca->options == NULL || entry == NULL) {
        free(entry);
        return fail(err, SWK_ENOMEM, "no memory", "");
    }
    swkpb__external_ca__options_entry__init(entry);
    ca->options[ca->n_options++] = entry;
    rc = replace(&entry->key, key, err);
    return rc != 0 ? rc : replace(&entry->value, value, err);
}

/* What was said of the protocol is remembered, as it must be. */
static int take(Swkpb__ExternalCA *ca, const char *key, const char *value,
                int *has_protocol, struct swk_error *err)
{
    if (strcasecmp(key, "protocol") == 0) {
        *has_protocol = 1;
        ca->protocol = SWKPB__EXTERNAL_CA__CAPROTOCOL__CFSSL;
        return strcasecmp(value, "cfssl") == 0
                   ? SWK_OK
                   : fail(err, SWK_EINVAL, "the only protocol is cfssl, not",
                          value);
    }
    if (strcasecmp(key, "url") == 0) {
        return strncmp(value, SCHEME, strlen(SCHEME)) == 0 &&
                       value[strlen(SCHEME)] != '\0'
                   ? replace(&ca->url, value, err)
                   : fail(err, SWK_EINVAL, "a URL begins with https://, unlike",
                          value);
    }
    if (strcasecmp(key, "cacert") == 0) {
        return read_root(value, &ca->ca_cert, err);
    }
    return add_option(ca, key, value, err);
}

static int read_fields(char *text, Swkpb__ExternalCA *ca, struct swk_error *err)
{
    int has_protocol = 0;
    char *rest = NULL;
    int rc = SWK_OK;

    for (char *field = strtok_r(text, ",", &rest); rc == 0 && field != NULL;
         field = strtok_r(NULL, ",", &rest)) {
        char *value = strchr(field, '=');

        if (value == NULL) {
            return fail(err, SWK_EINVAL, "a field is KEY=VALUE, not", field);
        }
        *value = '\0';
        rc = take(ca, field, value + 1, &has_protocol, err);
    }
    if (rc == 0 && !has_protocol) {
        rc = fail(err, SWK_EINVAL, "a field is missing", "protocol=cfssl");
    }
    if (rc == 0 && ca->url[0] == '\0') {
        rc = fail(err, SWK_EINVAL, "a field is missing", "url=https://...");
    }
    return rc;
}

int external_ca_read(const char *text, Swkpb__ExternalCA **out_ca,
                     struct swk_error *err)
{
    Swkpb__ExternalCA *ca = calloc(1, sizeof(*ca));
    char *copy = strdup(text);
    int rc;

    if (ca == NULL || copy == NULL) {
        free(ca);
        free(copy);
        return fail(err, SWK_ENOMEM, "no memory", "");
    }
    swkpb__external_ca__init(ca);
    rc = read_fields(copy, ca, err);
    free(copy);
    if (rc != 0) {
        external_ca_free(ca);
        return rc;
    }
    *out_ca = ca;
    return SWK_OK;
}
