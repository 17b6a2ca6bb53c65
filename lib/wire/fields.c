/* SPDX-License-Identifier: Apache-2.0 */

#include "wire/fields.h"

#include <string.h>

size_t swki_type_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(int);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    }
    return 0;
}

const void *swki_field_member(const ProtobufCMessage *message,
                              const ProtobufCFieldDescriptor *field)
{
    return (const char *)message + field->offset;
}

/* The count of a repeated field, the choice of a oneof, or has_x. */
static const void *quantifier(const ProtobufCMessage *message,
                              const ProtobufCFieldDescriptor *field)
{
    return (const char *)message + field->quantifier_offset;
}

size_t swki_field_count(const ProtobufCMessage *message,
                        const ProtobufCFieldDescriptor *field)
{
    return *(const size_t *)quantifier(message, field);
}

bool swki_field_is_set(const ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field)
{
    bool is_pointer = field->type == PROTOBUF_C_TYPE_MESSAGE ||
                      (field->type == PROTOBUF_C_TYPE_STRING &&
                       field->label == PROTOBUF_C_LABEL_OPTIONAL);

    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
        *(const uint32_t *)quantifier(message, field) != field->id) {
        return false;
    }
    if (is_pointer) {
        return *(void *const *)swki_field_member(message, field) != NULL;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0 &&
        field->label == PROTOBUF_C_LABEL_OPTIONAL) {
        return *(const protobuf_c_boolean *)quantifier(message, field) != 0;
    }
    return true;
}

/* Maps leave no mark in a descriptor; what tells them is the entry's shape and
 * its name, nested in the message, which protobuf reserves for maps. */
bool swki_field_is_map(const ProtobufCMessageDescriptor *type,
                       const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    size_t type_len;
    size_t entry_len;

    if (field->type != PROTOBUF_C_TYPE_MESSAGE ||
        field->label != PROTOBUF_C_LABEL_REPEATED || entry->n_fields != 2 ||
        strcmp(entry->fields[0].name, "key") != 0 ||
        strcmp(entry->fields[1].name, "value") != 0) {
        return false;
    }
    type_len = strlen(type->name);
    entry_len = strlen(entry->name);
    return entry->fields[0].type == PROTOBUF_C_TYPE_STRING &&
           entry_len > type_len + strlen(".Entry") &&
           memcmp(entry->name, type->name, type_len) == 0 &&
           entry->name[type_len] == '.' &&
           strcmp(entry->name + entry_len - strlen("Entry"), "Entry") == 0;
}

void *swki_pointer_at(const void *array, size_t index)
{
    return ((void *const *)array)[index];
}

const char *swki_entry_key(const ProtobufCMessage *entry)
{
    const char *key =
        *(char *const *)swki_field_member(entry, &entry->descriptor->fields[0]);

    return key != NULL ? key : "";
}
