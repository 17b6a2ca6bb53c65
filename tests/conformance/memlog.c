/* SPDX-License-Identifier: Apache-2.0 */

#include "memlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void memlog_fini(struct memlog *log)
{
    free(log->entries);
    *log = (struct memlog){.entries = NULL};
}

uint64_t memlog_first(const struct memlog *log)
{
    return log->snapshot.index + 1;
}

uint64_t memlog_last(const struct memlog *log)
{
    return log->snapshot.index + log->entries_count;
}

static void add(struct memlog *log, const struct swk_log_entry *entry)
{
    if (log->entries_count == log->entries_room) {
        log->entries_room = log->entries_room * 2 + 16;
        log->entries = reallocarray(log->entries, log->entries_room,
                                    sizeof(log->entries[0]));
        if (log->entries == NULL) {
            abort();
        }
    }
    log->entries[log->entries_count++] = *entry;
}

void memlog_append(struct memlog *log, const struct swk_log_entry *entries,
                   size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t index = entries[i].index;

        if (index < memlog_first(log)) {
            continue;
        }
        if (index > memlog_last(log) + 1) {
            fprintf(stderr, "entry %llu would leave a gap in the storage\n",
                    (unsigned long long)index);
            abort();
        }
        log->entries_count = (size_t)(index - memlog_first(log));
        add(log, &entries[i]);
    }
}

void memlog_install(struct memlog *log, const struct swk_snapshot_meta *meta)
{
    log->snapshot = *meta;
    log->entries_count = 0;
}

void memlog_compact(struct memlog *log, const struct swk_snapshot_meta *meta)
{
    size_t gone = (size_t)(meta->index - log->snapshot.index);

    log->entries_count -= gone;
    memmove(log->entries, log->entries + gone,
            log->entries_count * sizeof(log->entries[0]));
    log->snapshot = *meta;
}
