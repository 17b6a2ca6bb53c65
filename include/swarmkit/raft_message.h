/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * Messages between members of a raft group, and their form as bytes, which is
 * that of raftpb.Message.
 */

#ifndef SWARMKIT_RAFT_MESSAGE_H
#define SWARMKIT_RAFT_MESSAGE_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/port/storage.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** Types of messages: raftpb.MessageType. Those that are not listed never
 *  leave a member. */
enum swk_raft_message_type {
    SWK_RAFT_MSG_PROP = 2, /**< Proposals, forwarded to the leader. */
    SWK_RAFT_MSG_APP = 3,
    SWK_RAFT_MSG_APP_RESP = 4,
    SWK_RAFT_MSG_VOTE = 5,
    SWK_RAFT_MSG_VOTE_RESP = 6,
    SWK_RAFT_MSG_SNAP = 7,
    SWK_RAFT_MSG_HEARTBEAT = 8,
    SWK_RAFT_MSG_HEARTBEAT_RESP = 9,
    SWK_RAFT_MSG_TRANSFER_LEADER = 13,
    SWK_RAFT_MSG_TIMEOUT_NOW = 14,
    SWK_RAFT_MSG_READ_INDEX = 15,
    SWK_RAFT_MSG_READ_INDEX_RESP = 16,
    SWK_RAFT_MSG_PRE_VOTE = 17,
    SWK_RAFT_MSG_PRE_VOTE_RESP = 18,
};

/** A message from one member to another. All pointers are *borrowed* for the
 *  call that it is passed to or comes from. Fields that its type has no use for
 *  are 0. */
struct swk_raft_message {
    int32_t type;   /**< enum swk_raft_message_type. */
    int32_t reject; /**< 0 or 1. */
    uint64_t to;    /**< The member it is for. */
    uint64_t from;
    uint64_t term;     /**< Of the sender. */
    uint64_t log_term; /**< Of the entry at index. */
    uint64_t index;
    uint64_t commit;
    uint64_t vote;
    uint64_t reject_hint;
    const struct swk_log_entry *entries;
    size_t entries_count;
    const struct swk_snapshot_meta *snapshot; /**< NULL if there is none. */
    const uint8_t *context;                   /**< NULL if there is none. */
    size_t context_len;
};

/**
 * Tells how long a message is as an encoded raftpb.Message.
 *
 * @param message  Not NULL.
 * @return Bytes.
 * @threads any
 * @since   0.1
 */
SWK_API size_t swk_raft_message_size(const struct swk_raft_message *message);

/**
 * Encodes a message.
 *
 * @param message  Not NULL.
 * @param out      Receives swk_raft_message_size() bytes; not NULL.
 * @return The bytes written.
 * @threads any
 * @since   0.1
 */
SWK_API size_t swk_raft_message_encode(const struct swk_raft_message *message,
                                       uint8_t *out);

/** A message read from bytes, and the memory for its parts. */
typedef struct swk_raft_decoder swk_raft_decoder;

/**
 * Makes a decoder, whose memory grows with the largest message it reads.
 *
 * @param alloc        *Borrowed until* swk_raft_decoder_free(); NULL for
 *                     malloc().
 * @param out_decoder  Receives it, *given*; not NULL.
 * @return 0; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_decoder_new(const struct swk_alloc *alloc,
                                                swk_raft_decoder **out_decoder);

/**
 * Releases a decoder.
 *
 * @param decoder  May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_raft_decoder_free(swk_raft_decoder *decoder);

/**
 * Decodes a message.
 *
 * @param decoder      Not NULL.
 * @param data         An encoded raftpb.Message; not NULL.
 * @param len          Bytes.
 * @param out_message  Receives it; *borrowed until* the next call on the
 *                     decoder, and pointing into data; not NULL.
 * @param err          Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for bytes that are no message; SWK_ELIMIT for one with
 *         too many parts; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_raft_message_decode(swk_raft_decoder *decoder, const uint8_t *data,
                        size_t len, struct swk_raft_message *out_message,
                        struct swk_error *err);

SWK_END_DECLS

#endif
