/* SPDX-License-Identifier: Apache-2.0 */

/* Reaching the members of a message through its descriptor. */

#ifndef SWKI_WIRE_FIELDS_H
#define SWKI_WIRE_FIELDS_H

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"

/* Bytes of one element of the type in a C struct. */
size_t swki_type_size(ProtobufCType type);

/* Where the member is: a value, or for a repeated field the pointer to an
 * array. */
const void *swki_field_member(const ProtobufCMessage *message,
                              const ProtobufCFieldDescriptor *field);

/* Elements of a repeated field. */
size_t swki_field_count(const ProtobufCMessage *message,
                        const ProtobufCFieldDescriptor *field);

/*
 * Whether a field that is not repeated is set: the chosen one of a oneof, a
 * sub-message or a proto2 field that is there. Scalars, strings and bytes of
 * proto3 always are.
 */
bool swki_field_is_set(const ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field);

/* Whether the field is a map, which in C is an array of key-value messages.
 * type is the message that has the field. */
bool swki_field_is_map(const ProtobufCMessageDescriptor *type,
                       const ProtobufCFieldDescriptor *field);

/* Replaces what a member points to by a deep copy; false for no memory. */
bool swki_field_copy(ProtobufCMessage *message,
                     const ProtobufCFieldDescriptor *field,
                     struct swki_arena *arena);

/* Whether a field means the same in two messages of one type. */
bool swki_field_equal(const ProtobufCMessage *a, const ProtobufCMessage *b,
                      const ProtobufCFieldDescriptor *field);

/* The element of an array of pointers, such as strings or messages. */
void *swki_pointer_at(const void *array, size_t index);

/* The key of an entry of a map, whose keys are strings; never NULL. */
const char *swki_entry_key(const ProtobufCMessage *entry);

#endif
