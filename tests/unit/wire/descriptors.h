/* SPDX-License-Identifier: Apache-2.0 */

/* Every descriptor of the schema, made by list_descriptors.py. */

#ifndef TESTS_UNIT_WIRE_DESCRIPTORS_H
#define TESTS_UNIT_WIRE_DESCRIPTORS_H

#include <protobuf-c/protobuf-c.h>

/* Each ends with NULL. */
extern const ProtobufCMessageDescriptor *const all_messages[];
extern const ProtobufCEnumDescriptor *const all_enums[];
extern const ProtobufCServiceDescriptor *const all_services[];

#endif
