/* SPDX-License-Identifier: Apache-2.0 */

#include "core/raft/entries.h"

#include <string.h>

#include "base/alloc.h"

enum {
    CHUNK_SIZE_MIN = 256,       /* of the first one: an idle log is small */
    CHUNK_SIZE_MAX = 64 * 1024, /* those after it double up to this */
    SPARES_MAX = 64, /* of these are kept, for a log between snapshots */
    SLOTS_MIN = 16,
    ENTRY_HEADER_SIZE = 24, /* what an entry weighs beside its data */
};

struct swki_entries_chunk {
    struct swki_entries_chunk *next; /* newer */
    uint64_t last;                   /* no entry above has data here */
    size_t size;
    size_t used;
    uint8_t data[];
};

void swki_entries_init(struct swki_entries *log, const struct swk_alloc *alloc)
{
    *log = (struct swki_entries){.alloc = alloc, .base = 1, .first = 1};
}

static void free_chunks(struct swki_entries *log,
                        struct swki_entries_chunk *chunk)
{
    while (chunk != NULL) {
        struct swki_entries_chunk *next = chunk->next;

        swki_free(log->alloc, chunk);
        chunk = next;
    }
}

void swki_entries_fini(struct swki_entries *log)
{
    free_chunks(log, log->oldest);
    free_chunks(log, log->spares);
    swki_free(log->alloc, log->slots);
    *log = (struct swki_entries){0};
}

/* -- Reading --------------------------------------------------------------- */

uint64_t swki_entries_guess(const struct swki_entries *log, uint64_t index,
                            uint64_t term, uint64_t *out_term)
{
    uint64_t own = 0;

    /* Terms never decrease, so that the first one from behind is it. */
    for (uint64_t i = index; i > 0; i--) {
        if (!swki_entries_term(log, i, &own)) {
            *out_term = 0;
            return i;
        }
        if (own <= term) {
            *out_term = own;
            return i;
        }
    }
    *out_term = 0;
    return 0;
}

uint64_t swki_entry_weight(const struct swk_log_entry *entry)
{
    return (uint64_t)entry->data_len + ENTRY_HEADER_SIZE;
}

size_t swki_entries_fitting(const struct swki_entries *log, uint64_t from,
                            uint64_t to, uint64_t count_max, uint64_t size_max)
{
    uint64_t size = 0;
    size_t count = 0;

    for (uint64_t i = from; i <= to && count < count_max; i++) {
        uint64_t weight = swki_entry_weight(swki_entries_at(log, i));

        if (count > 0 && (weight > size_max || size > size_max - weight)) {
            break;
        }
        size += weight;
        count++;
    }
    return count;
}

/* -- Growing --------------------------------------------------------------- */

static bool reserve_slots(struct swki_entries *log, size_t count)
{
    if (log->room - log->head - log->count >= count) {
        return true;
    }
    /* Moving down costs less than it frees only if half is free. */
    if (log->head >= log->room / 2 && log->room - log->count >= count) {
        memmove(log->slots, log->slots + log->head,
                log->count * sizeof(*log->slots));
        log->head = 0;
        return true;
    }

    size_t needed = log->head + log->count + count;
    size_t room = log->room == 0 ? SLOTS_MIN : log->room;
    while (room < needed) {
        room += room / 2 + 1;
    }

    struct swk_log_entry *slots =
        swki_realloc(log->alloc, log->slots, room, sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    log->slots = slots;
    log->room = room;
    return true;
}

static struct swki_entries_chunk *new_chunk(struct swki_entries *log,
                                            size_t data_size)
{
    struct swki_entries_chunk *chunk = log->spares;
    size_t size = CHUNK_SIZE_MIN;

    if (chunk != NULL && data_size <= chunk->size) {
        log->spares = chunk->next;
        log->spares_count--;
        return chunk;
    }
    if (log->newest != NULL) {
        size = log->newest->size >= CHUNK_SIZE_MAX / 2 ? CHUNK_SIZE_MAX
                                                       : log->newest->size * 2;
    }
    if (size < data_size) {
        size = data_size;
    }
    if (size > SIZE_MAX - sizeof(*chunk)) {
        return NULL;
    }

    chunk = swki_alloc(log->alloc, sizeof(*chunk) + size);
    if (chunk != NULL) {
        chunk->size = size;
    }
    return chunk;
}

static bool reserve_data(struct swki_entries *log, size_t data_size)
{
    if (data_size == 0 || (log->newest != NULL &&
                           log->newest->size - log->newest->used >= data_size)) {
        return true;
    }

    struct swki_entries_chunk *chunk = new_chunk(log, data_size);
    if (chunk == NULL) {
        return false;
    }
    chunk->next = NULL;
    chunk->used = 0;
    chunk->last = 0;
    if (log->newest == NULL) {
        log->oldest = chunk;
    } else {
        log->newest->next = chunk;
    }
    log->newest = chunk;
    return true;
}

bool swki_entries_reserve(struct swki_entries *log, size_t count,
                          size_t data_size)
{
    return reserve_slots(log, count) && reserve_data(log, data_size);
}

void swki_entries_append(struct swki_entries *log,
                         const struct swk_log_entry *entry)
{
    struct swk_log_entry *slot = &log->slots[log->head + log->count];
    struct swki_entries_chunk *chunk = log->newest;

    *slot = (struct swk_log_entry){
        .index = swki_entries_last(log) + 1,
        .term = entry->term,
        .type = entry->type,
        .data_len = entry->data_len,
    };
    if (entry->data_len > 0) {
        slot->data = chunk->data + chunk->used;
        memcpy(chunk->data + chunk->used, entry->data, entry->data_len);
        chunk->used += entry->data_len;
        if (chunk->last < slot->index) {
            chunk->last = slot->index;
        }
    }
    log->count++;
    log->data_size += entry->data_len;
}

/* -- Shrinking ------------------------------------------------------------- */

void swki_entries_truncate(struct swki_entries *log, uint64_t index)
{
    for (uint64_t i = index; i <= swki_entries_last(log); i++) {
        log->data_size -= swki_entries_at(log, i)->data_len;
    }
    log->count = (size_t)(index - log->base);
}

void swki_entries_reset(struct swki_entries *log, uint64_t index, uint64_t term)
{
    log->head = 0;
    log->count = 0;
    log->base = index + 1;
    log->first = index + 1;
    log->before_term = term;
    log->data_size = 0;
    for (struct swki_entries_chunk *c = log->oldest; c != NULL; c = c->next) {
        c->last = 0;
    }
}

void swki_entries_compact(struct swki_entries *log, uint64_t index)
{
    uint64_t term = log->before_term;

    for (uint64_t i = log->first; i <= index; i++) {
        const struct swk_log_entry *entry = swki_entries_at(log, i);

        log->data_size -= entry->data_len;
        term = entry->term;
    }
    log->before_term = term;
    log->first = index + 1;
}

static void release_oldest(struct swki_entries *log)
{
    struct swki_entries_chunk *chunk = log->oldest;

    log->oldest = chunk->next;
    if (log->oldest == NULL) {
        log->newest = NULL;
    }
    if (chunk->size == CHUNK_SIZE_MAX && log->spares_count < SPARES_MAX) {
        chunk->next = log->spares;
        log->spares = chunk;
        log->spares_count++;
        return;
    }
    swki_free(log->alloc, chunk);
}

void swki_entries_trim(struct swki_entries *log, uint64_t keep)
{
    uint64_t begin = keep < log->first ? keep : log->first;

    if (begin > log->base) {
        log->head += (size_t)(begin - log->base);
        log->count -= (size_t)(begin - log->base);
        log->base = begin;
    }
    if (log->count == 0) {
        log->head = 0;
    }
    /* The newest one goes on being filled, from its beginning if empty. */
    while (log->oldest != log->newest && log->oldest->last < begin) {
        release_oldest(log);
    }
    if (log->oldest != NULL && log->oldest->last < begin) {
        log->oldest->used = 0;
    }
}
