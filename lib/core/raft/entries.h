/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The entries of a log in memory, without gaps, from the last compaction on.
 *
 * They are one array, so that a run of them can be given out as it is. Their
 * data lies in chunks that are filled in order and released from the front;
 * some are kept, so that a log in steady use takes no memory.
 *
 * Two things are kept apart for the sake of what was given out or is about to
 * be: compaction and truncation only change what the log says it holds, and
 * swki_entries_trim() releases the memory. Data of an entry stays where it is
 * until then.
 */

#ifndef SWKI_CORE_RAFT_ENTRIES_H
#define SWKI_CORE_RAFT_ENTRIES_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/port/storage.h>

struct swki_entries_chunk;

struct swki_entries {
    const struct swk_alloc *alloc;
    struct swk_log_entry *slots; /* slots[head] has index base */
    size_t room;
    size_t head;
    size_t count;
    uint64_t base;
    uint64_t first;       /* of the log; entries before it wait for a trim */
    uint64_t before_term; /* at first - 1 */
    uint64_t data_size;   /* bytes of the data from first on */
    struct swki_entries_chunk *oldest;
    struct swki_entries_chunk *newest;
    struct swki_entries_chunk *spares;
    size_t spares_count;
};

void swki_entries_init(struct swki_entries *log, const struct swk_alloc *alloc);
void swki_entries_fini(struct swki_entries *log);

/* Index of the newest entry; first - 1 if there is none. */
static inline uint64_t swki_entries_last(const struct swki_entries *log)
{
    return log->base + log->count - 1;
}

/* The entry at an index from first to last, and those after it in memory.
 * Borrowed until entries are appended or trimmed. */
static inline const struct swk_log_entry *
swki_entries_at(const struct swki_entries *log, uint64_t index)
{
    return &log->slots[log->head + (size_t)(index - log->base)];
}

/* Whether the term at an index is known: from first - 1 to last. */
static inline bool swki_entries_term(const struct swki_entries *log,
                                     uint64_t index, uint64_t *out_term)
{
    if (index + 1 == log->first) {
        *out_term = log->before_term;
        return true;
    }
    if (index < log->first || index > swki_entries_last(log)) {
        return false;
    }
    *out_term = swki_entries_at(log, index)->term;
    return true;
}

/* Whether the log has this term at this index (R-LOG-4). */
static inline bool swki_entries_match(const struct swki_entries *log,
                                      uint64_t index, uint64_t term)
{
    uint64_t own;

    return swki_entries_term(log, index, &own) && own == term;
}

/* The highest index up to index whose term is at most term or not known, and
 * its term, 0 if it is not known; both 0 if there is none (R-LOG-6). */
uint64_t swki_entries_guess(const struct swki_entries *log, uint64_t index,
                            uint64_t term, uint64_t *out_term);

/* How many entries from from on, up to to, fit in count_max and in size_max
 * bytes, each counting its data and a header; at least one if there is one
 * (R-LOG-7). */
size_t swki_entries_fitting(const struct swki_entries *log, uint64_t from,
                            uint64_t to, uint64_t count_max,
                            uint64_t size_max);

/* What an entry counts against a limit of a message. */
uint64_t swki_entry_weight(const struct swk_log_entry *entry);

/* Makes room for count entries with data_size bytes of data together, so that
 * appending them cannot fail. False for no memory. */
bool swki_entries_reserve(struct swki_entries *log, size_t count,
                          size_t data_size);

/* The same for one entry without data. */
static inline bool swki_entries_reserve_empty(struct swki_entries *log)
{
    return log->room - log->head > log->count ||
           swki_entries_reserve(log, 1, 0);
}

/* Appends a copy of an entry, for which room was reserved; its index is that
 * after the last one. */
void swki_entries_append(struct swki_entries *log,
                         const struct swk_log_entry *entry);

/* Drops the entries from an index on, which is at least first. */
void swki_entries_truncate(struct swki_entries *log, uint64_t index);

/* Drops everything; the log begins after this position. */
void swki_entries_reset(struct swki_entries *log, uint64_t index,
                        uint64_t term);

/* The log begins after an index from first - 1 to last. */
void swki_entries_compact(struct swki_entries *log, uint64_t index);

/* Releases what is before both first and keep. */
void swki_entries_trim(struct swki_entries *log, uint64_t keep);

#endif
