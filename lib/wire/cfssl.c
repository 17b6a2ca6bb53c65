/* SPDX-License-Identifier: Apache-2.0 */

#include "wire/cfssl.h"

#include <stdbool.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/error.h"
#include "base/utf8.h"
#include "wire/rfc3339.h"

enum {
    CSR_SIZE_MAX = 64 * 1024,
};

/* -- Requests ------------------------------------------------------------- */

static bool put(cJSON *object, const char *name, const char *text)
{
    return cJSON_AddStringToObject(object, name, text) != NULL;
}

/* Bytes of a request, which need not end in a NUL. */
static bool put_csr(cJSON *object, const struct swki_cfssl_request *request)
{
    struct swki_buf text;
    bool ok;

    swki_buf_init(&text, NULL, CSR_SIZE_MAX);
    ok = swki_buf_append(&text, request->csr, request->csr_len) &&
         swki_buf_append_byte(&text, 0) &&
         put(object, "certificate_request", (const char *)text.data);
    swki_buf_fini(&text);
    return ok;
}

static bool put_hosts(cJSON *object, const struct swki_cfssl_request *request)
{
    cJSON *hosts = cJSON_AddArrayToObject(object, "hosts");

    for (size_t i = 0; hosts != NULL && i < request->hosts_count; i++) {
        if (!cJSON_AddItemToArray(hosts,
                                  cJSON_CreateString(request->hosts[i]))) {
            return false;
        }
    }
    return hosts != NULL;
}

static bool put_names(cJSON *names, const struct swki_cfssl_request *request)
{
    for (size_t i = 0; i < request->names_count; i++) {
        cJSON *name = cJSON_CreateObject();

        if (!cJSON_AddItemToArray(names, name) ||
            !put(name, request->names[i].word, request->names[i].value)) {
            return false;
        }
    }
    return true;
}

static bool put_subject(cJSON *object, const struct swki_cfssl_request *request)
{
    cJSON *subject = cJSON_AddObjectToObject(object, "subject");
    cJSON *names;
    cJSON *name;

    if (subject == NULL || !put(subject, "CN", request->cn)) {
        return false;
    }
    names = cJSON_AddArrayToObject(subject, "names");
    if (names == NULL || (request->o == NULL && request->ou == NULL)) {
        return names != NULL && put_names(names, request);
    }
    name = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(names, name)) {
        return false;
    }
    return (request->o == NULL || put(name, "O", request->o)) &&
           (request->ou == NULL || put(name, "OU", request->ou));
}

static bool put_time(cJSON *object, const char *name, swk_wall time)
{
    const int64_t second = (int64_t)SWK_SECOND;
    char text[SWKI_RFC3339_SIZE];

    return time == 0 || (swki_rfc3339_timestamp(time / second, 0, text) &&
                         put(object, name, text));
}

/* Extensions in the request itself are not looked at by such a CA. The value is
 * BasicConstraints {cA TRUE}, in hexadecimal. */
static bool put_extensions(cJSON *object,
                           const struct swki_cfssl_request *request)
{
    static const int basic_constraints[] = {2, 5, 29, 19};
    cJSON *list;
    cJSON *extension;

    if (request->is_ca == 0) {
        return true;
    }
    list = cJSON_AddArrayToObject(object, "extensions");
    extension = cJSON_CreateObject();
    return list != NULL && cJSON_AddItemToArray(list, extension) &&
           cJSON_AddItemToObject(extension, "id",
                                 cJSON_CreateIntArray(basic_constraints, 4)) &&
           cJSON_AddTrueToObject(extension, "critical") != NULL &&
           put(extension, "value", "30030101ff");
}

static bool fill(cJSON *object, const struct swki_cfssl_request *request)
{
    return put_hosts(object, request) && put_csr(object, request) &&
           put_subject(object, request) &&
           put(object, "profile", request->profile) &&
           put(object, "crl_override", "") && put(object, "label", "") &&
           put_time(object, "NotBefore", request->not_before) &&
           put_time(object, "NotAfter", request->not_after) &&
           put_extensions(object, request);
}

int swki_cfssl_write(const struct swki_cfssl_request *request,
                     struct swki_buf *out_text, struct swk_error *err)
{
    cJSON *object = cJSON_CreateObject();
    char *text = NULL;
    bool ok = object != NULL && fill(object, request);

    if (ok) {
        text = cJSON_PrintUnformatted(object);
        ok = text != NULL && swki_buf_append_text(out_text, text);
    }
    cJSON_free(text);
    cJSON_Delete(object);
    return ok ? SWK_OK : swki_fail_nomem(err);
}

/* -- Answers -------------------------------------------------------------- */

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* The first error says most. It is a stranger's text. */
static int refuse(const cJSON *answer, struct swk_error *err)
{
    const cJSON *errors = cJSON_GetObjectItemCaseSensitive(answer, "errors");
    const char *message = text_of(cJSON_GetArrayItem(errors, 0), "message");
    int rc =
        message != NULL
            ? swki_fail(err, SWK_EDENIED, "the external CA says: %s", message)
            : swki_fail(err, SWK_EDENIED,
                        "the external CA refused, without a reason");

    if (err != NULL) {
        swki_utf8_repair(err->text);
    }
    return rc;
}

static int take(const cJSON *answer, struct swki_buf *out_pem,
                struct swk_error *err)
{
    const cJSON *success = cJSON_GetObjectItemCaseSensitive(answer, "success");
    const cJSON *result;
    const char *certificate;

    if (success == NULL) { /* somebody else's, such as a proxy's */
        return swki_fail(err, SWK_EIO,
                         "the external CA's answer does not say whether it "
                         "signs");
    }
    if (!cJSON_IsTrue(success)) {
        return refuse(answer, err);
    }
    result = cJSON_GetObjectItemCaseSensitive(answer, "result");
    certificate = text_of(result, "certificate");
    if (certificate == NULL) {
        return swki_fail(err, SWK_EDENIED,
                         "the external CA's answer holds no certificate");
    }
    return swki_buf_append_text(out_pem, certificate)
               ? SWK_OK
               : swki_fail(err, SWK_EDENIED,
                           "the external CA's certificate is too large");
}

int swki_cfssl_read(const void *text, size_t len, struct swki_buf *out_pem,
                    struct swk_error *err)
{
    cJSON *answer;
    int rc;

    if (len > SWKI_CFSSL_ANSWER_MAX) {
        return swki_fail(err, SWK_EIO, "the external CA's answer is too large");
    }
    answer = cJSON_ParseWithLength(text, len);
    if (!cJSON_IsObject(answer)) {
        rc = swki_fail(err, SWK_EIO, "the external CA's answer is not JSON");
    } else {
        rc = take(answer, out_pem, err);
    }
    cJSON_Delete(answer);
    return rc;
}
