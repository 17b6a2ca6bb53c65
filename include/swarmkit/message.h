/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * Messages for people: objects and specs as JSON.
 *
 * Objects cross this library's API as encoded protobuf messages. A program
 * that has no protobuf at hand, or wants to show one, turns it into JSON here.
 * The text follows the mapping that protobuf defines and every protobuf library
 * reads:
 *
 *     {"id":"2gqk8vz3","spec":{"annotations":{"name":"web"},
 *      "task":{"container":{"image":"nginx"}},"replicated":{"replicas":"3"}}}
 *
 * Names are in lowerCamelCase, enum values by name, 64-bit numbers in quotes,
 * bytes in base 64, times as RFC 3339 ("2017-01-15T01:30:15.010Z") and
 * durations in seconds ("1.500s"). What has its default value is left out, and
 * so are fields that this release does not know.
 */

#ifndef SWARMKIT_MESSAGE_H
#define SWARMKIT_MESSAGE_H

#include <swarmkit/error.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** Flags of swk_message_to_json(). */
enum {
    SWK_JSON_INDENTED = 1 << 0, /**< An item a line, two spaces a level. */
};

/**
 * Writes an encoded message as JSON.
 *
 * Secrets are not left out: what is in the message is in the text.
 *
 * @param type_name  The message's full name, such as
 *                   "docker.swarmkit.v1.Task"; NUL-terminated, not NULL. Known
 *                   are those of swk_message_type_name().
 * @param data       The encoded message; may be NULL if len is 0.
 * @param len        Bytes at data; an empty message has none.
 * @param flags      SWK_JSON_*, or 0 for one line without spaces.
 * @param out_text   Receives the text, UTF-8 and NUL-terminated, without a
 *                   line end; *given*: swk_message_json_free(). Untouched on
 *                   failure; not NULL.
 * @param err        Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a NULL argument or an unknown flag; SWK_ENOTFOUND
 *         for an unknown type; SWK_EMALFORMED for bytes that are no such
 *         message; SWK_ELIMIT for a message too long, or one that would take
 *         unduly much memory; SWK_ENOMEM.
 * @threads any
 * @source  protobuf, "ProtoJSON Format". Two differences: google.protobuf.Any
 *          is shown as typeUrl and value, since its type need not be known
 *          here; a time out of range is shown as seconds and nanos.
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_message_to_json(const char *type_name,
                                               const void *data, size_t len,
                                               uint32_t flags, char **out_text,
                                               struct swk_error *err);

/**
 * Releases a text of swk_message_to_json().
 *
 * @param text  The text; may be NULL.
 * @threads any
 * @since   0.1
 */
SWK_API void swk_message_json_free(char *text);

/**
 * Lists the types of messages that swk_message_to_json() knows: the objects of
 * the store, and their specs.
 *
 * @param index  From 0.
 * @return The full name of the type, static; NULL past the last.
 * @threads any
 * @since   0.1
 */
SWK_API const char *swk_message_type_name(uint32_t index);

SWK_END_DECLS

#endif
