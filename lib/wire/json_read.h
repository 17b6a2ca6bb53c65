/* SPDX-License-Identifier: Apache-2.0 */

/* Messages out of JSON, by protobuf's own mapping; see <swarmkit/message.h>. */

#ifndef SWKI_WIRE_JSON_READ_H
#define SWKI_WIRE_JSON_READ_H

#include <protobuf-c/protobuf-c.h>

#include <swarmkit/error.h>

#include "base/arena.h"

enum {
    SWKI_JSON_NESTING_MAX = 64, /* brackets within brackets */
};

/*
 * Reads one message of the type, into the arena; maps come out sorted by key.
 * Nothing that the schema does not have is passed over.
 *
 * SWK_EMALFORMED, with the place in the message; SWK_ELIMIT for a text too long
 * or too deep, or a message that fills the arena; SWK_ENOMEM; SWK_ENOTSUP if
 * this library was built without a parser of JSON.
 */
SWK_MUST_CHECK int
swki_message_from_json(const ProtobufCMessageDescriptor *type, const char *text,
                       size_t len, struct swki_arena *arena,
                       ProtobufCMessage **out_message, struct swk_error *err);

#endif
