/* SPDX-License-Identifier: Apache-2.0 */

#include "core/raft/log.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"

enum {
    CHUNK_SIZE = 64 * 1024,
    ENTRIES_FIRST = 16,
};

/* Bytes of consecutive entries. */
struct swki_raft_chunk {
    struct swki_raft_chunk *next;
    uint64_t last_index; /* of the newest entry with bytes here */
    size_t size;         /* room in data */
    size_t used;
    uint8_t data[];
};

void swki_raft_log_init(struct swki_raft_log *log,
                        const struct swk_alloc *alloc)
{
    *log = (struct swki_raft_log){.alloc = alloc, .first = 1};
}

void swki_raft_log_fini(struct swki_raft_log *log)
{
    while (log->oldest != NULL) {
        struct swki_raft_chunk *next = log->oldest->next;

        swki_free(log->alloc, log->oldest);
        log->oldest = next;
    }
    swki_free(log->alloc, log->spare);
    swki_free(log->alloc, log->entries);
    swki_raft_log_init(log, log->alloc);
}

void swki_raft_log_begin(struct swki_raft_log *log, uint64_t snapshot_index,
                         uint64_t snapshot_term)
{
    assert(log->entries_count == 0);
    log->first = snapshot_index + 1;
    log->before_term = snapshot_term;
}

uint64_t swki_raft_log_last(const struct swki_raft_log *log)
{
    return log->first + log->entries_count - 1;
}

uint64_t swki_raft_log_term(const struct swki_raft_log *log, uint64_t index)
{
    if (index + 1 == log->first) {
        return log->before_term;
    }
    if (index < log->first || index > swki_raft_log_last(log)) {
        return 0;
    }
    return swki_raft_log_at(log, index)->term;
}

bool swki_raft_log_reserve(struct swki_raft_log *log)
{
    if (log->entries_count < log->entries_size) {
        return true;
    }
    size_t size = log->entries_size > 0 ? log->entries_size : ENTRIES_FIRST / 2;
    if (size > SIZE_MAX / 2) {
        return false;
    }
    struct swk_log_entry *entries = swki_realloc(
        log->alloc, log->entries, size * 2, sizeof(log->entries[0]));
    if (entries == NULL) {
        return false;
    }
    log->entries = entries;
    log->entries_size = size * 2;
    return true;
}

static struct swki_raft_chunk *take_chunk(struct swki_raft_log *log, size_t len)
{
    struct swki_raft_chunk *chunk = log->spare;
    size_t size = len > CHUNK_SIZE ? len : CHUNK_SIZE;

    if (chunk != NULL && len <= chunk->size) {
        log->spare = NULL;
        return chunk;
    }
    if (size > SIZE_MAX - sizeof(*chunk)) {
        return NULL;
    }
    chunk = swki_alloc(log->alloc, sizeof(*chunk) + size);
    if (chunk != NULL) {
        *chunk = (struct swki_raft_chunk){.size = size};
    }
    return chunk;
}

/* The newest chunk, with room for len bytes; NULL for no memory. */
static struct swki_raft_chunk *reserve_bytes(struct swki_raft_log *log,
                                             size_t len)
{
    struct swki_raft_chunk *newest = log->newest;

    if (newest != NULL && len <= newest->size - newest->used) {
        return newest;
    }
    newest = take_chunk(log, len);
    if (newest == NULL) {
        return NULL;
    }
    if (log->newest != NULL) {
        log->newest->next = newest;
    } else {
        log->oldest = newest;
    }
    log->newest = newest;
    return newest;
}

bool swki_raft_log_append(struct swki_raft_log *log,
                          const struct swk_log_entry *entry)
{
    struct swk_log_entry copy = *entry;

    if (!swki_raft_log_reserve(log)) {
        return false;
    }
    copy.index = swki_raft_log_last(log) + 1;
    copy.data = NULL;
    if (entry->data_len > 0) {
        struct swki_raft_chunk *chunk = reserve_bytes(log, entry->data_len);

        if (chunk == NULL) {
            return false;
        }
        copy.data = chunk->data + chunk->used;
        memcpy(chunk->data + chunk->used, entry->data, entry->data_len);
        chunk->used += entry->data_len;
        chunk->last_index = copy.index;
    }
    log->entries[log->entries_count] = copy;
    log->entries_count++;
    log->data_size += copy.data_len;
    return true;
}

const struct swk_log_entry *swki_raft_log_at(const struct swki_raft_log *log,
                                             uint64_t index)
{
    assert(index >= log->first && index <= swki_raft_log_last(log));
    return &log->entries[index - log->first];
}

size_t swki_raft_log_fitting(const struct swki_raft_log *log, uint64_t from,
                             uint64_t to, uint64_t limit)
{
    uint64_t bytes = 0;
    size_t count = 0;

    for (uint64_t index = from; index <= to; index++) {
        bytes += swki_raft_log_at(log, index)->data_len;
        if (count > 0 && bytes > limit) {
            break;
        }
        count++;
    }
    return count;
}

uint64_t swki_raft_log_bytes(const struct swki_raft_log *log, uint64_t from,
                             uint64_t to)
{
    uint64_t bytes = 0;

    for (uint64_t index = from; index <= to; index++) {
        bytes += swki_raft_log_at(log, index)->data_len;
    }
    return bytes;
}

static void release_chunk(struct swki_raft_log *log,
                          struct swki_raft_chunk *chunk)
{
    if (log->spare != NULL || chunk->size > CHUNK_SIZE) {
        swki_free(log->alloc, chunk);
        return;
    }
    *chunk = (struct swki_raft_chunk){.size = chunk->size};
    log->spare = chunk;
}

static void release_chunks_to(struct swki_raft_log *log, uint64_t index)
{
    while (log->oldest != NULL && log->oldest->last_index <= index) {
        struct swki_raft_chunk *chunk = log->oldest;

        log->oldest = chunk->next;
        if (log->oldest == NULL) {
            log->newest = NULL;
        }
        release_chunk(log, chunk);
    }
}

void swki_raft_log_compact(struct swki_raft_log *log, uint64_t index)
{
    assert(index <= swki_raft_log_last(log));
    if (index < log->first) {
        return;
    }
    size_t count = (size_t)(index - log->first + 1);

    log->before_term = swki_raft_log_term(log, index);
    log->data_size -= swki_raft_log_bytes(log, log->first, index);
    log->entries_count -= count;
    memmove(log->entries, log->entries + count,
            log->entries_count * sizeof(log->entries[0]));
    log->first = index + 1;
    release_chunks_to(log, index);
}
