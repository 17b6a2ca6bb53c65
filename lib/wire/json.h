/* SPDX-License-Identifier: Apache-2.0 */

/* Messages as JSON, by protobuf's own mapping; see <swarmkit/message.h>. */

#ifndef SWKI_WIRE_JSON_H
#define SWKI_WIRE_JSON_H

#include <protobuf-c/protobuf-c.h>

#include <swarmkit/error.h>

#include "base/buf.h"

enum swki_json_style {
    SWKI_JSON_COMPACT,  /* on one line, without spaces */
    SWKI_JSON_INDENTED, /* an item a line, two spaces a level */
};

/* Appends the message, without a NUL or a line end. SWK_ELIMIT or SWK_ENOMEM,
 * and then nothing is appended. */
SWK_MUST_CHECK int swki_message_to_json(const ProtobufCMessage *message,
                                        enum swki_json_style style,
                                        struct swki_buf *out,
                                        struct swk_error *err);

#endif
