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
    /** "<redacted>", in base 64 where bytes are, stands for what is secret:
     *  data of secrets and configs, values of environment variables and of
     *  options of drivers (not of networks), credentials for registries, keys,
     *  join tokens, the configuration of the CA, and what only a plugin can
     *  read. Whatever else a user chose to write somewhere stays. */
    SWK_JSON_REDACTED = 1 << 1,
};

/**
 * Writes an encoded message as JSON.
 *
 * Secrets are not left out, unless a flag says so: what is in the message is
 * in the text.
 *
 * A message takes far more memory than bytes if it is sparse: an empty
 * sub-message is two bytes of it. Limit what comes from strangers by its
 * length.
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
 *         message; SWK_ELIMIT for a message that is too long or nested too
 *         deep; SWK_ENOMEM.
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
 * Reads a message from JSON, as swk_message_to_json() writes it: the same text
 * gives the same message, but for fields that the writer did not know.
 *
 * Fields may also have their names of the schema ("service_id"), and null stands
 * for the default. What the schema does not have is an error, and so is a field
 * or a key that is there twice.
 *
 * @param type_name  As for swk_message_to_json().
 * @param text       UTF-8, borrowed for the call; needs no NUL; not NULL.
 * @param text_len   Bytes at text.
 * @param out_data   Receives the encoded message; *given*:
 *                   swk_message_data_free(). Untouched on failure; not NULL.
 * @param out_len    Receives its bytes; not NULL.
 * @param err        Receives the reason on failure, with the place in the
 *                   message; may be NULL.
 * @return 0; SWK_EINVAL for a NULL argument; SWK_ENOTFOUND for an unknown type;
 *         SWK_EMALFORMED for a text that is no such message; SWK_ELIMIT for one
 *         that is too long or nested too deep; SWK_ENOTSUP if the library was
 *         built without a parser of JSON; SWK_ENOMEM.
 * @threads any
 * @source  protobuf, "ProtoJSON Format", with the differences of
 *          swk_message_to_json(); names of fields that are not known are
 *          refused, numbers are whole where the schema says so.
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_message_from_json(const char *type_name, const char *text, size_t text_len,
                      uint8_t **out_data, size_t *out_len,
                      struct swk_error *err);

/**
 * Wipes and releases an encoded message that was *given*.
 *
 * @param data  The message; may be NULL.
 * @param len   Its bytes.
 * @threads any
 * @since   0.1
 */
SWK_API void swk_message_data_free(uint8_t *data, size_t len);

/**
 * Lists the types of messages that swk_message_to_json() knows: the objects of
 * the store, their specs, and what the log of the managers holds.
 *
 * @param index  From 0.
 * @return The full name of the type, static; NULL past the last.
 * @threads any
 * @since   0.1
 */
SWK_API const char *swk_message_type_name(uint32_t index);

SWK_END_DECLS

#endif
