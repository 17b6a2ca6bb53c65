/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Messages of any type, through their descriptors: decode, encode, copy,
 * compare; and the values that many messages share.
 *
 * Only the types that a caller names are linked into a program: the agent does
 * without the messages of the control API.
 */

#ifndef SWKI_WIRE_MESSAGE_H
#define SWKI_WIRE_MESSAGE_H

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

#include <swarmkit/error.h>
#include <swarmkit/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"

enum {
    /* Levels of sub-messages that are decoded; the schema has fewer. */
    SWKI_MESSAGE_DEPTH_MAX = 16,
    /* Bytes of a message that is decoded at once. Whoever takes messages from
     * the network has a lower limit of its own. */
    SWKI_MESSAGE_SIZE_MAX = 1 << 30,
};

/*
 * A fitting limit for the arena that a message of len bytes is unpacked to:
 * ample for honest input, while two bytes of an empty sub-message could become
 * more than a hundred times as much. For what strangers send; what was taken
 * from them once, and stored, must be read whatever it takes.
 */
size_t swki_message_memory_max(size_t len);

/*
 * Decodes and validates a message of the type, into the arena; nothing of it
 * points into data. What is checked beyond the encoding:
 *
 *   - strings are UTF-8 without a NUL,
 *   - sub-messages are no deeper than SWKI_MESSAGE_DEPTH_MAX,
 *   - len is at most SWKI_MESSAGE_SIZE_MAX.
 *
 * Maps come out sorted by key; of entries with the same key the last is kept,
 * and an entry's sub-message is there even if its value was left out. Unknown
 * fields and unknown enum values are kept.
 *
 * Returns 0; SWK_EMALFORMED; SWK_ELIMIT for a message too long or deep, or one
 * that fills the arena; SWK_ENOMEM. After a failure the arena may hold
 * remains, and *out_message is untouched.
 */
SWK_MUST_CHECK int swki_message_unpack(const ProtobufCMessageDescriptor *type,
                                       const void *data, size_t len,
                                       struct swki_arena *arena,
                                       ProtobufCMessage **out_message,
                                       struct swk_error *err);

/* What unpacking checks before it decodes; for what others are to unpack.
 * SWK_EMALFORMED, SWK_ELIMIT. */
SWK_MUST_CHECK int swki_message_check(const ProtobufCMessageDescriptor *type,
                                      const void *data, size_t len,
                                      struct swk_error *err);

/* Appends the encoded message. SWK_ELIMIT if the buffer's limit forbids. */
SWK_MUST_CHECK int swki_message_pack(const ProtobufCMessage *message,
                                     struct swki_buf *out,
                                     struct swk_error *err);

/* The same where the caller knows swki_message_packed_size() already. */
int swki_message_pack_sized(const ProtobufCMessage *message, size_t len,
                            struct swki_buf *out, struct swk_error *err);

size_t swki_message_packed_size(const ProtobufCMessage *message);

/* A deep copy, with unknown fields; NULL for no memory. */
ProtobufCMessage *swki_message_copy(const ProtobufCMessage *message,
                                    struct swki_arena *arena);

/* Forgets what the schema does not have, at any depth; for what strangers wrote
 * and others keep. */
void swki_message_drop_unknown(ProtobufCMessage *message);

/*
 * Sub-messages and entries of lists, at any depth. Each takes two bytes of an
 * encoded message at least, and far more of memory.
 */
size_t swki_message_parts(const ProtobufCMessage *message);

/*
 * Whether two messages mean the same. Maps are compared regardless of order;
 * a string that is NULL equals ""; an absent sub-message equals only an absent
 * one. Sub-messages at the same address are equal without a look. Either may be
 * NULL, which equals NULL only.
 */
bool swki_message_equal(const ProtobufCMessage *a, const ProtobufCMessage *b);

/* The first and the last second of the years 1 to 9999. */
#define SWKI_TIMESTAMP_SECONDS_MIN INT64_C(-62135596800)
#define SWKI_TIMESTAMP_SECONDS_MAX INT64_C(253402300799)

/* Whether the parts make up a time that protobuf allows: in those years, or
 * within 10,000 years and with signs that agree. */
bool swki_timestamp_is_valid(int64_t seconds, int32_t nanos);
bool swki_duration_is_valid(int64_t seconds, int32_t nanos);

/* Fills a message that stays the caller's. */
void swki_timestamp_write(swk_wall wall, Swkpb__Timestamp *out_timestamp);
void swki_duration_write(int64_t ns, Swkpb__Duration *out_duration);

/* The same in new memory; NULL for no memory. */
Swkpb__Timestamp *swki_timestamp_from_wall(swk_wall wall,
                                           struct swki_arena *arena);
Swkpb__Duration *swki_duration_from_ns(int64_t ns, struct swki_arena *arena);

/*
 * The reverse. NULL, as every absent message, stands for zero. SWK_EINVAL for
 * values that are not valid, and for those that are but do not fit nanoseconds
 * in 64 bits, some 292 years either way.
 */
SWK_MUST_CHECK int swki_timestamp_read(const Swkpb__Timestamp *timestamp,
                                       swk_wall *out_wall,
                                       struct swk_error *err);
SWK_MUST_CHECK int swki_duration_read(const Swkpb__Duration *duration,
                                      int64_t *out_ns, struct swk_error *err);

/*
 * The value of a key in a map<string,string>, or NULL if there is none. entries
 * is the array of a message, such as annotations->labels; it may be unsorted,
 * and the last of several entries counts.
 */
const char *swki_labels_get(const void *entries, size_t entries_count,
                            const char *key);

/* The name of a number as in the .proto file; NULL if it has none. */
const char *swki_enum_name(const ProtobufCEnumDescriptor *type, int value);

#endif
