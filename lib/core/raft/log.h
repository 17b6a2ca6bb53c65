/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A member's log in memory: entries from first on, without gaps.
 *
 * Entries are one array, so that a run of them can be given out as it is, for
 * storage and for applying. Their bytes lie in chunks that are filled in order
 * and released from the front, so that a log in steady use takes no memory.
 */

#ifndef SWKI_CORE_RAFT_LOG_H
#define SWKI_CORE_RAFT_LOG_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/port/storage.h>

struct swki_raft_chunk;

struct swki_raft_log {
    const struct swk_alloc *alloc;
    struct swk_log_entry *entries; /* entries[0] has index first */
    size_t entries_count;
    size_t entries_size; /* room, in entries */
    uint64_t first;
    uint64_t before_term; /* of the entry at first - 1; 0 if first is 1 */
    uint64_t data_size;   /* bytes of all entries' data */
    struct swki_raft_chunk *oldest;
    struct swki_raft_chunk *newest;
    struct swki_raft_chunk *spare; /* one, kept for the next need; or NULL */
};

void swki_raft_log_init(struct swki_raft_log *log,
                        const struct swk_alloc *alloc);
void swki_raft_log_fini(struct swki_raft_log *log);

/* Makes an empty log begin after a snapshot. */
void swki_raft_log_begin(struct swki_raft_log *log, uint64_t snapshot_index,
                         uint64_t snapshot_term);

/* Index of the newest entry, first - 1 if there is none. */
uint64_t swki_raft_log_last(const struct swki_raft_log *log);

/* The term at an index from first - 1 to last (section 4); 0 for others. */
uint64_t swki_raft_log_term(const struct swki_raft_log *log, uint64_t index);

/* Makes room for one entry without data, which then cannot fail. */
bool swki_raft_log_reserve(struct swki_raft_log *log);

/* Appends a copy of entry; its index is not read, it gets last + 1. False for
 * no memory, and nothing changed. */
bool swki_raft_log_append(struct swki_raft_log *log,
                          const struct swk_log_entry *entry);

/* The entry at an index from first to last. Borrowed until the log changes. */
const struct swk_log_entry *swki_raft_log_at(const struct swki_raft_log *log,
                                             uint64_t index);

/* How many entries from from to to fit in limit bytes of data; at least one
 * if there is one (R-LOG-7). */
size_t swki_raft_log_fitting(const struct swki_raft_log *log, uint64_t from,
                             uint64_t to, uint64_t limit);

/* Bytes of data in the entries from from to to, both included. */
uint64_t swki_raft_log_bytes(const struct swki_raft_log *log, uint64_t from,
                             uint64_t to);

/* Forgets the entries up to index, which is at most last. */
void swki_raft_log_compact(struct swki_raft_log *log, uint64_t index);

#endif
