/* SPDX-License-Identifier: Apache-2.0 */

/* What a node of a script has on its disk: a log that begins behind a
 * position, the snapshot of that position, and the hard state. Memory is taken
 * from the cluster's arena and never released on its own. */

#ifndef TESTS_CONFORMANCE_MEMLOG_H
#define TESTS_CONFORMANCE_MEMLOG_H

#include <swarmkit/port/storage.h>

struct memlog {
    struct swk_hard_state state;
    /* Index and term are those of the entry before the log; without index
     * there was never a snapshot. */
    struct swk_snapshot_meta snapshot;
    struct swk_log_entry *entries;
    size_t entries_count;
    size_t entries_room;
};

void memlog_fini(struct memlog *log);

uint64_t memlog_first(const struct memlog *log);
uint64_t memlog_last(const struct memlog *log);

/* Entries take the place of those from the first index on; those that are
 * compacted already are skipped. The data is borrowed for good. */
void memlog_append(struct memlog *log, const struct swk_log_entry *entries,
                   size_t count);

/* The snapshot, borrowed for good, takes the place of the log. */
void memlog_install(struct memlog *log, const struct swk_snapshot_meta *meta);

/* Drops the entries up to the snapshot's index, included, which is in the
 * log. */
void memlog_compact(struct memlog *log, const struct swk_snapshot_meta *meta);

#endif
