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

/** A snapshot's place in the log. */
struct swk_snapshot_meta {
    uint64_t index;
    uint64_t term;
};

/** What load() finds; everything is borrowed for the call. */
struct swk_storage_replay {
    size_t size; /**< sizeof(struct swk_storage_replay). */
    void *ctx;   /**< Passed to each function. */
    /** The newest good snapshot, if there is one; called first. */
    int (*snapshot)(void *ctx, const struct swk_snapshot_meta *meta,
                    const uint8_t *data, size_t data_len,
                    struct swk_error *err);
    /** Once, if anything was stored. */
    int (*hard_state)(void *ctx, const struct swk_hard_state *state,
                      struct swk_error *err);
    /** The entries after the snapshot, in order, each index once. */
    int (*entry)(void *ctx, const struct swk_log_entry *entry,
                 struct swk_error *err);
};

struct swk_storage {
    size_t size; /**< sizeof(struct swk_storage). */
    void *ctx;   /**< Passed to each function. */

    /** Reads everything back, before the first write. May block. */
    int (*load)(void *ctx, const struct swk_storage_replay *replay,
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
     * Stores a snapshot, after which entries up to meta->index may be
     * dropped. data is *taken*: release(release_ctx) is called when it is no
     * longer read. Does not block.
     */
    int (*save_snapshot)(void *ctx, const struct swk_snapshot_meta *meta,
                         const uint8_t *data, size_t data_len,
                         void (*release)(void *release_ctx), void *release_ctx,
                         uint64_t ticket, struct swk_error *err);
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
