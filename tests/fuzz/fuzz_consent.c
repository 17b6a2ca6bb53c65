/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any task against any policy, and the text that a signature of it is over. The
 * bytes say which fields are set, and to which of the words that matter, so
 * that most inputs reach the rules.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/consent/consent.h"
#include "core/trust/statement.h"
#include "wire/fields.h"
#include "wire/message.h"

enum {
    DEPTH_MAX = 8,
};

static const char *const words[] = {
    "",      "root",   "0",       "www",     "*",       "a*b?",
    "/",     "/srv",   "/srv/..", "/srv/x",  "{{x}}",   "host",
    "bind",  "volume", "tmpfs",   "CAP_ALL", "net_raw", "www:0",
    "CAP_*", "gpu",    "network", "new-*",   "vm",      "container",
};

struct source {
    const uint8_t *data;
    size_t len;
    struct swki_arena *arena;
};

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static unsigned next(struct source *from, unsigned below)
{
    if (from->len == 0) {
        return 0;
    }
    from->len--;
    return *from->data++ % below;
}

static void fill(struct source *from, ProtobufCMessage *message, int depth);

static void *make(struct source *from, const ProtobufCMessageDescriptor *type,
                  int depth)
{
    ProtobufCMessage *message =
        swki_arena_alloc(from->arena, type->sizeof_message);

    require(message != NULL);
    type->message_init(message);
    fill(from, message, depth);
    return message;
}

static void put(struct source *from, const ProtobufCFieldDescriptor *field,
                void *element, int depth)
{
    int64_t number = (int64_t)next(from, 8) - 2;

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(const char **)element =
            words[next(from, sizeof(words) / sizeof(words[0]))];
        break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)element =
            (ProtobufCBinaryData){1, (uint8_t *)(uintptr_t) "x"};
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(void **)element = make(from, field->descriptor, depth + 1);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)element = number > 0;
        break;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        break;
    default:
        memcpy(element, &number, swki_type_size(field->type));
        break;
    }
}

static void set(struct source *from, ProtobufCMessage *message,
                const ProtobufCFieldDescriptor *field, int depth)
{
    char *member = (char *)message + field->offset;
    size_t size = swki_type_size(field->type);
    size_t count = 1 + next(from, 2);
    char *list;

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
            *(uint32_t *)(void *)((char *)message + field->quantifier_offset) =
                field->id;
        }
        put(from, field, member, depth);
        return;
    }
    list = swki_arena_calloc(from->arena, count, size);
    require(list != NULL);
    for (size_t i = 0; i < count; i++) {
        put(from, field, list + i * size, depth);
    }
    *(void **)(void *)member = list;
    *(size_t *)(void *)((char *)message + field->quantifier_offset) = count;
}

static void fill(struct source *from, ProtobufCMessage *message, int depth)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;

    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        bool chosen = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
                      *(uint32_t *)(void *)((char *)message +
                                            field->quantifier_offset) != 0;

        if (depth < DEPTH_MAX && !chosen && next(from, 3) == 1) {
            set(from, message, field, depth);
        }
    }
}

static ProtobufCMessage *travel(const ProtobufCMessage *message,
                                struct swki_arena *arena)
{
    ProtobufCMessage *arrived = NULL;
    struct swki_buf wire;

    swki_buf_init(&wire, NULL, SIZE_MAX);
    require(swki_message_pack(message, &wire, NULL) == SWK_OK);
    require(swki_message_unpack(message->descriptor, wire.data, wire.len, arena,
                                &arrived, NULL) == SWK_OK);
    swki_buf_fini(&wire);
    return arrived;
}

/* What can be signed here leads to the same text elsewhere. */
static void check_statement(const Swkpb__Task *task, const Swkpb__Task *arrived)
{
    const Swkpb__Rpc__SpecSignature terms = SWKPB__RPC__SPEC_SIGNATURE__INIT;
    struct swki_buf here;
    struct swki_buf there;

    swki_buf_init(&here, NULL, SIZE_MAX);
    swki_buf_init(&there, NULL, SIZE_MAX);
    if (swki_statement_of_task(task, &terms, &here, NULL) == SWK_OK) {
        require(swki_statement_of_task(arrived, &terms, &there, NULL) ==
                SWK_OK);
        require(here.len == there.len &&
                memcmp(here.data, there.data, here.len) == 0);
        require(swki_task_additions_check(task, NULL) ==
                swki_task_additions_check(arrived, NULL));
    }
    swki_buf_fini(&there);
    swki_buf_fini(&here);
}

static void check_consent(const Swkpb__Rpc__NodeConsent *consent,
                          const Swkpb__Task *task, const Swkpb__Task *arrived)
{
    const Swkpb__Rpc__NodeConsent any = SWKPB__RPC__NODE_CONSENT__INIT;
    struct swki_buf text;

    if (task->spec == NULL) {
        return;
    }
    require(swki_consent_check(&any, task, NULL) == SWKI_CONSENT_GIVEN);
    if (swki_consent_validate(consent, NULL) != SWK_OK) {
        return;
    }
    require(swki_consent_check(consent, task, NULL) ==
            swki_consent_check(consent, arrived, NULL));
    swki_buf_init(&text, NULL, SIZE_MAX);
    require(swki_consent_describe(consent, &text));
    swki_buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct swki_arena arena;
    struct source from = {data, size, &arena};
    Swkpb__Rpc__NodeConsent *consent;
    Swkpb__Task *arrived;
    Swkpb__Task *task;

    swki_arena_init(&arena, NULL, SIZE_MAX);
    consent = make(&from, &swkpb__rpc__node_consent__descriptor, 0);
    task = make(&from, &swkpb__task__descriptor, 0);
    arrived = (Swkpb__Task *)travel(&task->base, &arena);
    check_statement(task, arrived);
    check_consent(consent, task, arrived);
    swki_arena_fini(&arena);
    return 0;
}
