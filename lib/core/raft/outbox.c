/* SPDX-License-Identifier: Apache-2.0 */

#include "core/raft/outbox.h"

#include <string.h>

#include "base/alloc.h"
#include "core/raft/snapshot_meta.h"

enum {
    ROOM_MIN = 8,
};

void swki_outbox_init(struct swki_outbox *box, const struct swk_alloc *alloc)
{
    *box = (struct swki_outbox){.alloc = alloc};
    swki_arena_init(&box->arena, alloc, SIZE_MAX);
}

void swki_outbox_fini(struct swki_outbox *box)
{
    swki_free(box->alloc, box->items);
    swki_arena_fini(&box->arena);
    *box = (struct swki_outbox){0};
}

bool swki_outbox_grow(struct swki_outbox *box, size_t count)
{
    size_t room = box->room == 0 ? ROOM_MIN : box->room * 2;
    while (room < box->count + count) {
        room *= 2;
    }

    struct swk_raft_message *items =
        swki_realloc(box->alloc, box->items, room, sizeof(*items));
    if (items == NULL) {
        return false;
    }
    box->items = items;
    box->room = room;
    return true;
}

static const struct swk_snapshot_meta *
copy_meta(struct swki_arena *arena, const struct swk_snapshot_meta *meta)
{
    size_t count = swki_conf_state_ids(&meta->conf_state);
    struct swk_snapshot_meta *copy = swki_arena_alloc(arena, sizeof(*copy));
    uint64_t *ids = swki_arena_calloc(arena, count + 1, sizeof(*ids));

    if (copy == NULL || ids == NULL) {
        return NULL;
    }
    copy->index = meta->index;
    copy->term = meta->term;
    swki_conf_state_copy(&meta->conf_state, ids, &copy->conf_state);
    return copy;
}

static const struct swk_log_entry *
copy_entries(struct swki_arena *arena, const struct swk_log_entry *entries,
             size_t count)
{
    struct swk_log_entry *copies =
        swki_arena_calloc(arena, count, sizeof(*copies));

    if (copies == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        copies[i] = entries[i];
        if (entries[i].data_len == 0) {
            continue;
        }
        copies[i].data =
            swki_arena_memdup(arena, entries[i].data, entries[i].data_len);
        if (copies[i].data == NULL) {
            return NULL;
        }
    }
    return copies;
}

/* Copies what a message points at. False for no memory. */
static bool own_parts(struct swki_outbox *box, struct swk_raft_message *message)
{
    if (message->snapshot != NULL) {
        message->snapshot = copy_meta(&box->arena, message->snapshot);
        if (message->snapshot == NULL) {
            return false;
        }
    }
    if (message->context_len > 0) {
        message->context = swki_arena_memdup(&box->arena, message->context,
                                             message->context_len);
        if (message->context == NULL) {
            return false;
        }
    }
    if (message->type != SWK_RAFT_MSG_APP && message->entries_count > 0) {
        message->entries = copy_entries(&box->arena, message->entries,
                                        message->entries_count);
        if (message->entries == NULL) {
            return false;
        }
    }
    return true;
}

struct swk_raft_message *swki_outbox_add(struct swki_outbox *box,
                                         const struct swk_raft_message *message)
{
    struct swk_raft_message *added;

    if (!swki_outbox_reserve(box, 1)) {
        return NULL;
    }
    added = &box->items[box->count];
    *added = *message;
    if (!own_parts(box, added)) {
        return NULL;
    }
    box->count++;
    return added;
}

static bool refers_to_log(const struct swk_raft_message *message)
{
    return message->type == SWK_RAFT_MSG_APP && message->entries_count > 0 &&
           message->entries == NULL;
}

void swki_outbox_pin(struct swki_outbox *box, const struct swki_entries *log,
                     uint64_t index)
{
    size_t kept = 0;

    for (size_t i = 0; i < box->count; i++) {
        struct swk_raft_message *message = &box->items[i];

        if (refers_to_log(message) &&
            message->index + message->entries_count >= index) {
            /* The entries alone: their data stays in the log's memory. */
            message->entries = swki_arena_memdup(
                &box->arena, swki_entries_at(log, message->index + 1),
                message->entries_count * sizeof(*message->entries));
            if (message->entries == NULL) {
                continue;
            }
            box->pinned++;
        }
        box->items[kept++] = *message;
    }
    box->count = kept;
}

uint64_t swki_outbox_lowest(const struct swki_outbox *box)
{
    uint64_t lowest = UINT64_MAX;

    if (box->pinned > 0) {
        return 0;
    }
    for (size_t i = 0; i < box->count; i++) {
        const struct swk_raft_message *message = &box->items[i];

        if (refers_to_log(message) && message->index < lowest) {
            lowest = message->index + 1;
        }
    }
    return lowest;
}

void swki_outbox_resolve(struct swki_outbox *box,
                         const struct swki_entries *log)
{
    for (size_t i = 0; i < box->count; i++) {
        struct swk_raft_message *message = &box->items[i];

        if (refers_to_log(message)) {
            message->entries = swki_entries_at(log, message->index + 1);
        }
    }
}
