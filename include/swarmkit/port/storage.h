/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * A port: where the replicated log and its snapshots are kept.
 *
 * Writes are asynchronous: the storage tells when they are durable. Once one
 * write has failed, none may succeed any more.
 */

#ifndef SWARMKIT_PORT_STORAGE_H
#define SWARMKIT_PORT_STORAGE_H

#include <swarmkit/error.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** An entry of the log. */
struct swk_log_entry {
    uint64_t index; /**< Position in the log; the first is 1. */
    uint64_t term;  /**< Of the leader that made it. */
    int32_t type;   /**< raftpb.EntryType. */
    uint32_t reserved;
    const uint8_t *data; /**< NULL when data_len is 0. */
    size_t data_len;     /**< Bytes. */
};

/** What a member must never forget. */
struct swk_hard_state {
    uint64_t term;
    uint64_t vote;   /**< Member voted for in term; 0 for none. */
    uint64_t commit; /**< Highest index known to be committed. */
};

/**
 * Who belongs to a raft group, as of some entry: raftpb.ConfState. Lists are
 * in ascending order, each ID once; *borrowed* wherever it is passed.
 */
struct swk_conf_state {
    const uint64_t *voters; /**< NULL when the count is 0; likewise below. */
    size_t voters_count;
    const uint64_t *learners; /**< Members that do not vote. */
    size_t learners_count;
    /** Voters before a joint configuration; none outside of one. */
    const uint64_t *voters_outgoing;
    size_t voters_outgoing_count;
    /** Outgoing voters that become learners when the joint one is left. */
    const uint64_t *learners_next;
    size_t learners_next_count;
    int32_t auto_leave; /**< 1: the leader leaves the joint one by itself. */
};

/** A snapshot's place in the log, and the members as of it. */
struct swk_snapshot_meta {
    uint64_t index; /**< Of the last entry that it covers. */
    uint64_t term;  /**< Of that entry. */
    struct swk_conf_state conf_state;
};

/** What load() finds; everything is borrowed for the call. */
struct swk_storage_replay {
    size_t size; /**< sizeof(struct swk_storage_replay). */
    void *ctx;   /**< Passed to each function. */
    /** What identify() stored, if it was called; first. */
    int (*identity)(void *ctx, const uint8_t *identity, size_t len,
                    struct swk_error *err);
    /** The newest good snapshot, if there is one. */
    int (*snapshot)(void *ctx, const struct swk_snapshot_meta *meta,
                    const uint8_t *data, size_t data_len,
                    struct swk_error *err);
    /** Once, if anything was stored. */
    int (*hard_state)(void *ctx, const struct swk_hard_state *state,
                      struct swk_error *err);
    /** The entries after the snapshot, in order, each index once. */
    int (*entry)(void *ctx, const struct swk_log_entry *entry,
                 struct swk_error *err);
    /** Last, if entries that may have been acknowledged cannot be read: those
     *  up to index acknowledged. Without this function, or if it returns
     *  SWK_ECORRUPT, load() fails with what is damaged, and changes nothing. */
    int (*lost)(void *ctx, uint64_t acknowledged, struct swk_error *err);
};

struct swk_storage {
    size_t size; /**< sizeof(struct swk_storage). */
    void *ctx;   /**< Passed to each function. */

    /** Reads everything back, before the first write. May block. */
    int (*load)(void *ctx, const struct swk_storage_replay *replay,
                struct swk_error *err);
    /**
     * Says whose log this is, before the first write to an empty one; load()
     * gives it back ever after. 1 to 4096 bytes. May block.
     */
    int (*identify)(void *ctx, const uint8_t *identity, size_t len,
                    struct swk_error *err);
    /**
     * Writes hard state (if state is not NULL) and entries, in this order and
     * after all earlier calls; entries replace those from their first index
     * on. Everything is copied before it returns. ticket is handed back to the
     * completion. Does not block.
     */
    int (*append)(void *ctx, const struct swk_hard_state *state,
                  const struct swk_log_entry *entries, size_t entries_count,
                  uint64_t ticket, struct swk_error *err);

    /**
     * Begins to write a snapshot, whose parts follow; appends go on meanwhile.
     * One at a time: SWK_EBUSY. meta is copied. If out_offset is not NULL, a
     * part of a snapshot at the same place may be there from before: its
     * length is stored there, and the parts go on from it; else all begins
     * anew. Does not block.
     */
    int (*begin_snapshot)(void *ctx, const struct swk_snapshot_meta *meta,
                          uint64_t *out_offset, struct swk_error *err);
    /**
     * Adds a part; data is copied. SWK_EUNAVAILABLE when too much waits to be
     * written: the same part is to be given again later. Does not block.
     *
     * NULL for data says that all parts were given: SWK_EUNAVAILABLE
     * until they are durable, then 0. Without it finish_snapshot() has to wait
     * for them, what is appended after it too, and a failure to write them is
     * one of the log; with it only abort_snapshot() need follow a failure.
     */
    int (*write_snapshot)(void *ctx, const uint8_t *data, size_t len,
                          struct swk_error *err);
    /**
     * Completes the snapshot. With install 0 it is one of this log, of which
     * entries up to it may be dropped once it is durable; with 1 it takes the
     * place of the whole log in one step, and the log begins after it. In the
     * order of the appends, reported like one. Does not block.
     */
    int (*finish_snapshot)(void *ctx, int32_t install, uint64_t ticket,
                           struct swk_error *err);
    /** Gives up what begin_snapshot() began; with keep 1 its parts stay, for
     *  a later begin_snapshot() to go on from. */
    void (*abort_snapshot)(void *ctx, int32_t keep);
    /**
     * Reads a part of a durable snapshot, of which the newest is there at
     * least. Stores the bytes read, 0 at the end, and the length of the whole.
     * SWK_ENOTFOUND if there is none at that place. May block for a read.
     *
     * Of a snapshot that was begun and not finished, what begin_snapshot()
     * found from before can be read.
     */
    int (*read_snapshot)(void *ctx, uint64_t index, uint64_t term,
                         uint64_t offset, uint8_t *buf, size_t size,
                         size_t *out_len, uint64_t *out_total,
                         struct swk_error *err);
    /** Finishes what was begun, then closes. May block. */
    void (*close)(void *ctx);
};

/**
 * How a storage reports: everything up to ticket is durable (code 0), or
 * nothing from ticket on ever will be (negative code, reason in err). Called
 * on the storage's thread, tickets in ascending order; must not block.
 */
typedef void (*swk_storage_done_fn)(void *ctx, uint64_t ticket, int code,
                                    const struct swk_error *err);

SWK_END_DECLS

#endif
