/* SPDX-License-Identifier: Apache-2.0 */

/* Walks through whole messages: copying, comparing, counting. */

#include <string.h>

#include "wire/fields.h"
#include "wire/message.h"

/* Where the copy's member is. */
static void *target(ProtobufCMessage *message,
                    const ProtobufCFieldDescriptor *field)
{
    return (char *)message + field->offset;
}

/* The text that protobuf-c gives to fields without one is not copied: in a
 * oneof, any other "" is written and this one is not. */
static bool copy_string(char **text, struct swki_arena *arena)
{
    if (*text == NULL || *text == protobuf_c_empty_string) {
        return true;
    }
    *text = swki_arena_strdup(arena, *text);
    return *text != NULL;
}

static bool copy_bytes(ProtobufCBinaryData *bytes, struct swki_arena *arena)
{
    if (bytes->len == 0) {
        bytes->data = NULL;
        return true;
    }
    bytes->data = swki_arena_memdup(arena, bytes->data, bytes->len);
    return bytes->data != NULL;
}

/* Replaces what an element points to by a copy; scalars are copied already. */
static bool copy_element(void *element, ProtobufCType type,
                         struct swki_arena *arena)
{
    ProtobufCMessage **message = element;

    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
        return copy_string(element, arena);
    case PROTOBUF_C_TYPE_BYTES:
        return copy_bytes(element, arena);
    case PROTOBUF_C_TYPE_MESSAGE:
        *message = swki_message_copy(*message, arena);
        return *message != NULL;
    default:
        return true;
    }
}

static bool copy_repeated(ProtobufCMessage *copy,
                          const ProtobufCFieldDescriptor *field,
                          struct swki_arena *arena)
{
    size_t count = swki_field_count(copy, field);
    size_t size = swki_type_size(field->type);
    void **array = target(copy, field);

    if (count == 0) {
        *array = NULL;
        return true;
    }
    *array = swki_arena_memdup(arena, *array, count * size);
    for (size_t i = 0; *array != NULL && i < count; i++) {
        if (!copy_element((char *)*array + i * size, field->type, arena)) {
            return false;
        }
    }
    return *array != NULL;
}

static bool copy_unknown(ProtobufCMessage *copy, struct swki_arena *arena)
{
    ProtobufCMessageUnknownField *fields;

    if (copy->n_unknown_fields == 0) {
        copy->unknown_fields = NULL;
        return true;
    }
    fields = swki_arena_memdup(arena, copy->unknown_fields,
                               copy->n_unknown_fields * sizeof(*fields));
    copy->unknown_fields = fields;
    for (unsigned i = 0; fields != NULL && i < copy->n_unknown_fields; i++) {
        fields[i].data =
            swki_arena_memdup(arena, fields[i].data, fields[i].len);
        if (fields[i].data == NULL) {
            return false;
        }
    }
    return fields != NULL;
}

bool swki_field_copy(ProtobufCMessage *message,
                     const ProtobufCFieldDescriptor *field,
                     struct swki_arena *arena)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return copy_repeated(message, field, arena);
    }
    return !swki_field_is_set(message, field) ||
           copy_element(target(message, field), field->type, arena);
}

/* The copy starts with the members of the original, and each is then given its
 * own memory. */
ProtobufCMessage *swki_message_copy(const ProtobufCMessage *message,
                                    struct swki_arena *arena)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    ProtobufCMessage *copy =
        swki_arena_memdup(arena, message, type->sizeof_message);

    if (copy == NULL || !copy_unknown(copy, arena)) {
        return NULL;
    }
    for (unsigned i = 0; i < type->n_fields; i++) {
        if (!swki_field_copy(copy, &type->fields[i], arena)) {
            return NULL;
        }
    }
    return copy;
}

/* The messages that a field holds: *out_count of them, from *out_messages. */
static void list_messages(const ProtobufCMessage *message,
                          const ProtobufCFieldDescriptor *field,
                          const void **out_messages, size_t *out_count)
{
    const void *member = swki_field_member(message, field);

    *out_messages = NULL;
    *out_count = 0;
    if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return;
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        *out_messages = *(const void *const *)member;
        *out_count = swki_field_count(message, field);
    } else {
        *out_messages = member;
        *out_count = swki_field_is_set(message, field);
    }
}

void swki_message_drop_unknown(ProtobufCMessage *message)
{
    message->n_unknown_fields = 0;
    message->unknown_fields = NULL;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const void *messages;
        size_t count;

        list_messages(message, &message->descriptor->fields[i], &messages,
                      &count);
        for (size_t j = 0; j < count; j++) {
            swki_message_drop_unknown(swki_pointer_at(messages, j));
        }
    }
}

size_t swki_message_parts(const ProtobufCMessage *message)
{
    size_t parts = 0;

    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const void *messages;
        size_t count;

        list_messages(message, field, &messages, &count);
        parts += field->label == PROTOBUF_C_LABEL_REPEATED
                     ? swki_field_count(message, field)
                     : count;
        for (size_t j = 0; j < count; j++) {
            parts += swki_message_parts(swki_pointer_at(messages, j));
        }
    }
    return parts;
}

static bool strings_equal(const char *a, const char *b)
{
    return a == b || strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static bool bytes_equal(const ProtobufCBinaryData *a,
                        const ProtobufCBinaryData *b)
{
    return a->len == b->len &&
           (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool elements_equal(const void *a, const void *b, ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
        return strings_equal(swki_pointer_at(a, 0), swki_pointer_at(b, 0));
    case PROTOBUF_C_TYPE_BYTES:
        return bytes_equal(a, b);
    case PROTOBUF_C_TYPE_MESSAGE:
        return swki_message_equal(swki_pointer_at(a, 0), swki_pointer_at(b, 0));
    case PROTOBUF_C_TYPE_BOOL:
        return (*(const protobuf_c_boolean *)a != 0) ==
               (*(const protobuf_c_boolean *)b != 0);
    default:
        return memcmp(a, b, swki_type_size(type)) == 0;
    }
}

/* Whether every entry has its equal among the others, wherever it stands. */
static bool entries_within(const void *entries, const void *others,
                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;

        while (j < count && !swki_message_equal(swki_pointer_at(entries, i),
                                                swki_pointer_at(others, j))) {
            j++;
        }
        if (j == count) {
            return false;
        }
    }
    return true;
}

static bool is_ascending(const void *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (strcmp(swki_entry_key(swki_pointer_at(entries, i - 1)),
                   swki_entry_key(swki_pointer_at(entries, i))) >= 0) {
            return false;
        }
    }
    return true;
}

/* Called after the entries turned out not to be equal in their order. Decoded
 * maps are sorted, and so this settles it; only ours may not be. */
static bool maps_equal(const void *a, const void *b, size_t count)
{
    if (is_ascending(a, count) && is_ascending(b, count)) {
        return false;
    }
    return entries_within(a, b, count) && entries_within(b, a, count);
}

static bool repeated_equal(const ProtobufCMessage *a, const ProtobufCMessage *b,
                           const ProtobufCFieldDescriptor *field)
{
    const char *array_a = *(void *const *)swki_field_member(a, field);
    const char *array_b = *(void *const *)swki_field_member(b, field);
    size_t count = swki_field_count(a, field);
    size_t size = swki_type_size(field->type);

    if (count != swki_field_count(b, field)) {
        return false;
    }
    if (array_a == array_b) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (!elements_equal(array_a + i * size, array_b + i * size,
                            field->type)) {
            return swki_field_is_map(a->descriptor, field) &&
                   maps_equal(array_a, array_b, count);
        }
    }
    return true;
}

bool swki_field_equal(const ProtobufCMessage *a, const ProtobufCMessage *b,
                      const ProtobufCFieldDescriptor *field)
{
    const void *member_a = swki_field_member(a, field);
    const void *member_b = swki_field_member(b, field);
    bool is_set;

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return repeated_equal(a, b, field);
    }
    if (field->type == PROTOBUF_C_TYPE_STRING &&
        (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0) {
        return elements_equal(member_a, member_b, field->type);
    }
    is_set = swki_field_is_set(a, field);
    return is_set == swki_field_is_set(b, field) &&
           (!is_set || elements_equal(member_a, member_b, field->type));
}

static bool unknown_equal(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    if (a->n_unknown_fields != b->n_unknown_fields) {
        return false;
    }
    for (unsigned i = 0; i < a->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *x = &a->unknown_fields[i];
        const ProtobufCMessageUnknownField *y = &b->unknown_fields[i];

        if (x->tag != y->tag || x->wire_type != y->wire_type ||
            x->len != y->len ||
            (x->len > 0 && memcmp(x->data, y->data, x->len) != 0)) {
            return false;
        }
    }
    return true;
}

bool swki_message_equal(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    if (a == b) {
        return true;
    }
    if (a == NULL || b == NULL || a->descriptor != b->descriptor) {
        return false;
    }
    for (unsigned i = 0; i < a->descriptor->n_fields; i++) {
        if (!swki_field_equal(a, b, &a->descriptor->fields[i])) {
            return false;
        }
    }
    return unknown_equal(a, b);
}
