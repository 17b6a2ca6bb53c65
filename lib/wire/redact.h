/* SPDX-License-Identifier: Apache-2.0 */

/* Messages without their secrets; see <swarmkit/message.h>. */

#ifndef SWKI_WIRE_REDACT_H
#define SWKI_WIRE_REDACT_H

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"

/*
 * Puts "<redacted>" in the place of each secret of a message that was decoded
 * into an arena, at any depth; what is empty stays so. New text comes from that
 * arena or another that lives as long. False for no memory.
 */
bool swki_message_redact(ProtobufCMessage *message, struct swki_arena *arena);

#endif
