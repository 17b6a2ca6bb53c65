/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Messages that wait to be given out.
 *
 * An append of the leader refers to a run of its own log: its entries begin
 * behind its index. Only when it is given out does it get a pointer to them,
 * or earlier, when the log is about to lose them (swki_outbox_pin()).
 * Everything else that a message points at is copied into the outbox.
 */

#ifndef SWKI_CORE_RAFT_OUTBOX_H
#define SWKI_CORE_RAFT_OUTBOX_H

#include <stdbool.h>

#include <swarmkit/raft.h>

#include "base/arena.h"
#include "core/raft/entries.h"

struct swki_outbox {
    const struct swk_alloc *alloc;
    struct swk_raft_message *items;
    size_t count;
    size_t room;
    size_t pinned; /* messages with entries of their own, of the log's data */
    struct swki_arena arena;
};

void swki_outbox_init(struct swki_outbox *box, const struct swk_alloc *alloc);
void swki_outbox_fini(struct swki_outbox *box);

/* Makes room for count more, which then can be added without failing. The
 * first is for the use of the second. */
bool swki_outbox_grow(struct swki_outbox *box, size_t count);

static inline bool swki_outbox_reserve(struct swki_outbox *box, size_t count)
{
    return box->room - box->count >= count || swki_outbox_grow(box, count);
}

/* Adds a message of zeroes, for a kind that points at nothing; NULL for no
 * memory. */
static inline struct swk_raft_message *swki_outbox_draft(struct swki_outbox *box)
{
    struct swk_raft_message *added;

    if (!swki_outbox_reserve(box, 1)) {
        return NULL;
    }
    added = &box->items[box->count++];
    *added = (struct swk_raft_message){0};
    return added;
}

/* Adds a message. Snapshot, context, and entries if it is not an append, are
 * copied. Returns it as it was added, until the next one is; NULL for no
 * memory, and nothing was added. */
struct swk_raft_message *
swki_outbox_add(struct swki_outbox *box,
                const struct swk_raft_message *message);

/* Forgets all messages; the memory is kept. */
static inline void swki_outbox_clear(struct swki_outbox *box)
{
    box->count = 0;
    box->pinned = 0;
    if (box->arena.used > 0) {
        swki_arena_reset(&box->arena);
    }
}

/* The log is about to change from an index on: appends that reach there take
 * their entries along. One for which there is no memory is lost. */
void swki_outbox_pin(struct swki_outbox *box, const struct swki_entries *log,
                     uint64_t index);

/* The lowest index of the log that an append refers to; UINT64_MAX if none
 * does; 0 if some are pinned, and so nothing may be released. */
uint64_t swki_outbox_lowest(const struct swki_outbox *box);

/* Points the appends at their entries. */
void swki_outbox_resolve(struct swki_outbox *box,
                         const struct swki_entries *log);

#endif
