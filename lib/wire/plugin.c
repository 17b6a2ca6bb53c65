/* SPDX-License-Identifier: Apache-2.0 */

#include "wire/plugin.h"

#include <string.h>

#include <cjson/cJSON.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/utf8.h"

/* -- Requests ------------------------------------------------------------- */

static bool put(cJSON *object, const char *name, const char *value)
{
    return value[0] == '\0' ||
           cJSON_AddStringToObject(object, name, value) != NULL;
}

static bool put_number(cJSON *object, const char *name, int64_t value)
{
    return value == 0 ||
           cJSON_AddNumberToObject(object, name, (double)value) != NULL;
}

static bool put_labels(cJSON *object, const char *name,
                       const struct swk_secret_label *labels, size_t count)
{
    cJSON *map = count > 0 ? cJSON_AddObjectToObject(object, name) : NULL;

    for (size_t i = 0; map != NULL && i < count; i++) {
        if (cJSON_AddStringToObject(map, labels[i].key, labels[i].value) ==
            NULL) {
            return false;
        }
    }
    return count == 0 || map != NULL;
}

static bool put_port(cJSON *ports, const struct swk_secret_port *port)
{
    cJSON *item = cJSON_CreateObject();

    return cJSON_AddItemToArray(ports, item) && put(item, "Name", port->name) &&
           put_number(item, "Protocol", port->protocol) &&
           put_number(item, "TargetPort", port->target) &&
           put_number(item, "PublishedPort", port->published) &&
           put_number(item, "PublishMode", port->publish_mode);
}

static bool put_endpoint(cJSON *object,
                         const struct swk_secret_request *request)
{
    cJSON *endpoint;
    cJSON *ports;

    if (!request->has_endpoint) {
        return true;
    }
    endpoint = cJSON_AddObjectToObject(object, "ServiceEndpointSpec");
    if (endpoint == NULL ||
        !put_number(endpoint, "Mode", request->endpoint_mode)) {
        return false;
    }
    if (request->ports_count == 0) {
        return true;
    }
    ports = cJSON_AddArrayToObject(endpoint, "Ports");
    for (size_t i = 0; ports != NULL && i < request->ports_count; i++) {
        if (!put_port(ports, &request->ports[i])) {
            return false;
        }
    }
    return ports != NULL;
}

static bool fill(cJSON *object, const struct swk_secret_request *r)
{
    return put(object, "SecretName", r->secret_name) &&
           put_labels(object, "SecretLabels", r->secret_labels,
                      r->secret_labels_count) &&
           put(object, "ServiceHostname", r->service_hostname) &&
           put(object, "ServiceID", r->service_id) &&
           put(object, "ServiceName", r->service_name) &&
           put_labels(object, "ServiceLabels", r->service_labels,
                      r->service_labels_count) &&
           put(object, "TaskID", r->task_id) &&
           put(object, "TaskName", r->task_name) &&
           put(object, "TaskImage", r->task_image) &&
           put(object, "NodeID", r->node_id) && put_endpoint(object, r) &&
           put_labels(object, "DriverOptions", r->driver_options,
                      r->driver_options_count);
}

int swki_plugin_write_request(const struct swk_secret_request *request,
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

/* Plugins that are written in Go may have names in any case. NULL for none. */
static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
}

static cJSON *parse(const void *text, size_t len, struct swk_error *err)
{
    cJSON *answer =
        len <= SWKI_PLUGIN_ANSWER_MAX ? cJSON_ParseWithLength(text, len) : NULL;

    if (!cJSON_IsObject(answer)) {
        swki_fail(err, SWK_EMALFORMED, "the plugin's answer is no JSON object");
        cJSON_Delete(answer);
        return NULL;
    }
    return answer;
}

int swki_plugin_read_activation(const void *text, size_t len,
                                struct swk_error *err)
{
    cJSON *answer = parse(text, len, err);
    const cJSON *implements = cJSON_GetObjectItem(answer, "Implements");
    const cJSON *item;
    bool found = false;

    if (answer == NULL) {
        return SWK_EMALFORMED;
    }
    cJSON_ArrayForEach(item, implements)
    {
        const char *name = cJSON_GetStringValue(item);

        found |= name != NULL && strcmp(name, "secretprovider") == 0;
    }
    cJSON_Delete(answer);
    return found
               ? SWK_OK
               : swki_fail(err, SWK_ENOTSUP, "the plugin is no secretprovider");
}

/* It is a stranger's text. */
static int read_reason(const cJSON *answer, struct swk_error *err)
{
    const char *reason = text_of(answer, "Err");

    if (reason == NULL || reason[0] == '\0') {
        return SWK_OK;
    }
    swki_fail(err, SWK_EDENIED, "the plugin says: %s", reason);
    if (err != NULL) {
        swki_utf8_repair(err->text);
    }
    return SWK_EDENIED;
}

int swki_plugin_read_failure(const void *text, size_t len,
                             struct swk_error *err)
{
    cJSON *answer = parse(text, len, NULL);
    int rc = read_reason(answer, err);

    cJSON_Delete(answer);
    return rc;
}

static int take_value(const char *text, struct swki_buf *out_value,
                      struct swk_error *err)
{
    const size_t text_len = text != NULL ? strlen(text) : 0;
    size_t len = 0;
    uint8_t *to;

    if (text_len == 0) {
        return swki_fail(err, SWK_EMALFORMED, "the plugin's value is empty");
    }
    if (text_len > swki_base64_len(SWK_SECRET_VALUE_MAX)) {
        return swki_fail(err, SWK_EMALFORMED,
                         "the plugin's value is too large");
    }
    to = swki_buf_reserve(out_value, text_len / 4 * 3 + 3);
    if (to == NULL) {
        return swki_fail_nomem(err);
    }
    if (!swki_base64_decode(text, text_len, to, &len)) {
        return swki_fail(err, SWK_EMALFORMED,
                         "the plugin's value is not base 64");
    }
    out_value->len += len;
    return SWK_OK;
}

int swki_plugin_read_secret(const void *text, size_t len,
                            struct swki_buf *out_value,
                            int32_t *out_do_not_reuse, struct swk_error *err)
{
    cJSON *answer = parse(text, len, err);
    char *value;
    int rc;

    if (answer == NULL) {
        return SWK_EMALFORMED;
    }
    value = cJSON_GetStringValue(cJSON_GetObjectItem(answer, "Value"));
    rc = read_reason(answer, err);
    if (rc == SWK_OK) {
        rc = take_value(value, out_value, err);
    }
    if (rc == SWK_OK) {
        *out_do_not_reuse =
            cJSON_IsTrue(cJSON_GetObjectItem(answer, "DoNotReuse"));
    }
    if (value != NULL) {
        explicit_bzero(value, strlen(value));
    }
    cJSON_Delete(answer);
    return rc;
}

int swki_plugin_read_description(const void *text, size_t len,
                                 struct swki_buf *out_address,
                                 struct swk_error *err)
{
    cJSON *answer = len <= SWKI_PLUGIN_SPEC_MAX ? parse(text, len, NULL) : NULL;
    const char *address = text_of(answer, "Addr");
    int rc = SWK_OK;

    if (address == NULL) {
        rc = swki_fail(err, SWK_EMALFORMED,
                       "the plugin's description has no address");
    } else if (!swki_buf_append(out_address, address, strlen(address) + 1)) {
        rc = swki_fail(err, SWK_EMALFORMED, "the plugin's address is too long");
    }
    cJSON_Delete(answer);
    return rc;
}
