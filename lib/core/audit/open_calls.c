/* SPDX-License-Identifier: Apache-2.0 */

#include "core/audit/open_calls.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "types.pb-c.h"
#include "wire/fields.h"

void swki_open_calls_init(struct swki_open_calls *calls,
                          const struct swk_alloc *alloc)
{
    *calls = (struct swki_open_calls){.alloc = alloc};
    swki_map_init(&calls->map, alloc);
}

void swki_open_calls_fini(struct swki_open_calls *calls)
{
    size_t cursor = 0;
    struct swki_open_call *call;

    while ((call = swki_map_next(&calls->map, &cursor)) != NULL) {
        swki_free(calls->alloc, call);
    }
    swki_map_fini(&calls->map);
}

static size_t size_of(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 1;
}

static const char *put(char **at, const char *text)
{
    size_t size = size_of(text);
    char *copy = *at;

    memcpy(copy, text != NULL ? text : "", size);
    *at += size;
    return copy;
}

static void copy_caller(struct swki_open_call *call,
                        const struct swki_caller *caller)
{
    char *at = call->texts;

    call->caller = *caller;
    call->caller.node_id = put(&at, caller->node_id);
    call->caller.swarm_id = put(&at, caller->swarm_id);
    call->caller.address = put(&at, caller->address);
    call->caller.request_id = put(&at, caller->request_id);
    call->caller.forwarded_by = put(&at, caller->forwarded_by);
}

struct swki_open_call *swki_open_calls_add(struct swki_open_calls *calls,
                                           uint64_t call_id,
                                           const struct swki_method *method,
                                           const struct swki_caller *caller)
{
    size_t size = size_of(caller->node_id) + size_of(caller->swarm_id) +
                  size_of(caller->address) + size_of(caller->request_id) +
                  size_of(caller->forwarded_by);
    struct swki_open_call *call =
        swki_calloc(calls->alloc, 1, sizeof(*call) + size);

    if (call == NULL) {
        return NULL;
    }
    snprintf(call->key, sizeof(call->key), "%" PRIu64, call_id);
    call->number = ++calls->last_number;
    call->method = method;
    copy_caller(call, caller);
    if (!swki_map_put(&calls->map, call->key, call)) {
        swki_free(calls->alloc, call);
        return NULL;
    }
    return call;
}

struct swki_open_call *swki_open_calls_find(const struct swki_open_calls *calls,
                                            uint64_t call_id)
{
    char key[24];

    snprintf(key, sizeof(key), "%" PRIu64, call_id);
    return swki_map_get(&calls->map, key);
}

void swki_open_calls_remove(struct swki_open_calls *calls,
                            struct swki_open_call *call)
{
    swki_map_remove(&calls->map, call->key);
    swki_free(calls->alloc, call);
}

/* -- The object ----------------------------------------------------------- */

static const char *text_of(const ProtobufCMessage *message,
                           const ProtobufCFieldDescriptor *field)
{
    const char *text = *(const char *const *)swki_field_member(message, field);

    return text != NULL ? text : "";
}

/* The sub-message of that name, or NULL. */
static const ProtobufCMessage *inside(const ProtobufCMessage *message,
                                      const char *name)
{
    const ProtobufCFieldDescriptor *field =
        message != NULL ? protobuf_c_message_descriptor_get_field_by_name(
                              message->descriptor, name)
                        : NULL;

    if (field == NULL || field->type != PROTOBUF_C_TYPE_MESSAGE ||
        field->label == PROTOBUF_C_LABEL_REPEATED) {
        return NULL;
    }
    return *(ProtobufCMessage *const *)swki_field_member(message, field);
}

/* "node_id" and the like. A session's ID is no object, and not for others'
 * eyes. */
static bool names_object(const ProtobufCFieldDescriptor *field)
{
    size_t len = strlen(field->name);

    return field->type == PROTOBUF_C_TYPE_STRING &&
           field->label != PROTOBUF_C_LABEL_REPEATED && len > 3 &&
           strcmp(field->name + len - 3, "_id") == 0 &&
           strcmp(field->name, "session_id") != 0;
}

static void look_at_field(struct swki_open_call *call,
                          const ProtobufCMessage *request,
                          const ProtobufCFieldDescriptor *field)
{
    if (names_object(field) && call->object[0] == '\0') {
        snprintf(call->object, sizeof(call->object), "%s",
                 text_of(request, field));
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE &&
               field->label != PROTOBUF_C_LABEL_REPEATED &&
               field->descriptor == &swkpb__version__descriptor) {
        const Swkpb__Version *version =
            *(Swkpb__Version *const *)swki_field_member(request, field);

        call->version = version != NULL ? version->index : 0;
    }
}

void swki_open_call_look(struct swki_open_call *call,
                         const ProtobufCMessage *request)
{
    const ProtobufCMessage *spec = inside(request, "spec");
    const ProtobufCMessage *annotations =
        inside(spec != NULL ? spec : request, "annotations");

    for (unsigned i = 0; i < request->descriptor->n_fields; i++) {
        look_at_field(call, request, &request->descriptor->fields[i]);
    }
    if (annotations != NULL &&
        annotations->descriptor == &swkpb__annotations__descriptor) {
        const char *name = ((const Swkpb__Annotations *)annotations)->name;

        snprintf(call->name, sizeof(call->name), "%s",
                 name != NULL ? name : "");
    }
}
