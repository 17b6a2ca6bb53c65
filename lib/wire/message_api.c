/* SPDX-License-Identifier: Apache-2.0 */

#include <swarmkit/message.h>

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "objects.pb-c.h"
#include "raft.pb-c.h"
#include "snapshot.pb-c.h"
#include "specs.pb-c.h"
#include "swarmkit/signer.pb-c.h"
#include "swarmkit/state.pb-c.h"
#include "swarmkit/tokens.pb-c.h"
#include "wire/json.h"
#include "wire/json_read.h"
#include "wire/message.h"
#include "wire/redact.h"

static const ProtobufCMessageDescriptor *const types[] = {
    &swkpb__cluster__descriptor,      &swkpb__cluster_spec__descriptor,
    &swkpb__config__descriptor,       &swkpb__config_spec__descriptor,
    &swkpb__extension__descriptor,    &swkpb__network__descriptor,
    &swkpb__network_spec__descriptor, &swkpb__node__descriptor,
    &swkpb__node_spec__descriptor,    &swkpb__resource__descriptor,
    &swkpb__secret__descriptor,       &swkpb__secret_spec__descriptor,
    &swkpb__service__descriptor,      &swkpb__service_spec__descriptor,
    &swkpb__task__descriptor,         &swkpb__task_spec__descriptor,
    &swkpb__volume__descriptor,       &swkpb__volume_spec__descriptor,
    &swkpb__raft_member__descriptor,  &swkpb__internal_raft_request__descriptor,
    &swkpb__snapshot__descriptor,     &swkpb__rpc__state__descriptor,
    &swkpb__rpc__limited_join_token__descriptor,
    &swkpb__rpc__create_join_token_response__descriptor,
    &swkpb__rpc__describe_signer_response__descriptor,
};

enum {
    TYPES_COUNT = sizeof(types) / sizeof(types[0]),
};

const char *swk_message_type_name(uint32_t index)
{
    return index < TYPES_COUNT ? types[index]->name : NULL;
}

static const ProtobufCMessageDescriptor *find_type(const char *name)
{
    for (size_t i = 0; i < TYPES_COUNT; i++) {
        if (strcmp(types[i]->name, name) == 0) {
            return types[i];
        }
    }
    return NULL;
}

/* Decodes into the arena and writes to the buffer, both the caller's. */
static int convert(const ProtobufCMessageDescriptor *type, const void *data,
                   size_t len, uint32_t flags, struct swki_arena *arena,
                   struct swki_buf *out, struct swk_error *err)
{
    ProtobufCMessage *message;
    int rc = swki_message_unpack(type, data, len, arena, &message, err);

    if (rc == SWK_OK && (flags & SWK_JSON_REDACTED) != 0 &&
        !swki_message_redact(message, arena)) {
        rc = swki_fail_nomem(err);
    }
    if (rc == SWK_OK) {
        rc = swki_message_to_json(message,
                                  (flags & SWK_JSON_INDENTED) != 0
                                      ? SWKI_JSON_INDENTED
                                      : SWKI_JSON_COMPACT,
                                  out, err);
    }
    if (rc == SWK_OK && !swki_buf_append_byte(out, '\0')) {
        rc = swki_fail_nomem(err);
    }
    return rc;
}

int swk_message_to_json(const char *type_name, const void *data, size_t len,
                        uint32_t flags, char **out_text, struct swk_error *err)
{
    const ProtobufCMessageDescriptor *type;
    struct swki_arena arena;
    struct swki_buf buf;
    int rc;

    if (type_name == NULL || out_text == NULL || (data == NULL && len > 0)) {
        return swki_fail(err, SWK_EINVAL, "message to JSON: NULL argument");
    }
    if ((flags & ~(uint32_t)(SWK_JSON_INDENTED | SWK_JSON_REDACTED)) != 0) {
        return swki_fail(err, SWK_EINVAL, "message to JSON: unknown flag");
    }
    type = find_type(type_name);
    if (type == NULL) {
        return swki_fail(err, SWK_ENOTFOUND,
                         "message to JSON: unknown type of message");
    }
    /* Without a limit of memory: what a manager has stored, and the caller has
     * got, must be shown, however sparse it is. */
    swki_arena_init(&arena, NULL, SIZE_MAX);
    swki_buf_init(&buf, NULL, SIZE_MAX);
    rc = convert(type, data, len, flags, &arena, &buf, err);
    swki_arena_fini(&arena);
    if (rc != SWK_OK) {
        swki_buf_fini(&buf);
        return rc;
    }
    *out_text = (char *)buf.data;
    return SWK_OK;
}

void swk_message_json_free(char *text)
{
    swki_free(NULL, text);
}

/* Reads into the arena and encodes into the buffer, both the caller's. */
static int parse(const ProtobufCMessageDescriptor *type, const char *text,
                 size_t len, struct swki_arena *arena, struct swki_buf *out,
                 struct swk_error *err)
{
    ProtobufCMessage *message;
    int rc = swki_message_from_json(type, text, len, arena, &message, err);

    if (rc == SWK_OK) {
        rc = swki_message_pack(message, out, err);
    }
    /* An empty message is still something to release. */
    if (rc == SWK_OK && swki_buf_reserve(out, 1) == NULL) {
        rc = swki_fail_nomem(err);
    }
    return rc;
}

int swk_message_from_json(const char *type_name, const char *text,
                          size_t text_len, uint8_t **out_data, size_t *out_len,
                          struct swk_error *err)
{
    const ProtobufCMessageDescriptor *type;
    struct swki_arena arena;
    struct swki_buf buf;
    int rc;

    if (type_name == NULL || text == NULL || out_data == NULL ||
        out_len == NULL) {
        return swki_fail(err, SWK_EINVAL, "message from JSON: NULL argument");
    }
    type = find_type(type_name);
    if (type == NULL) {
        return swki_fail(err, SWK_ENOTFOUND,
                         "message from JSON: unknown type of message");
    }
    swki_arena_init(&arena, NULL, SIZE_MAX); /* as it can be written */
    swki_buf_init(&buf, NULL, SIZE_MAX);
    rc = parse(type, text, text_len, &arena, &buf, err);
    swki_arena_fini(&arena);
    if (rc != SWK_OK) {
        swki_buf_fini(&buf);
        return rc;
    }
    *out_data = buf.data;
    *out_len = buf.len;
    return SWK_OK;
}

void swk_message_data_free(uint8_t *data, size_t len)
{
    if (data != NULL) {
        explicit_bzero(data, len);
    }
    swki_free(NULL, data);
}
