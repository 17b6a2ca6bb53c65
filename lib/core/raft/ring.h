/* SPDX-License-Identifier: Apache-2.0 */

/* A queue of things of one size, whose memory is used again and again. */

#ifndef SWKI_CORE_RAFT_RING_H
#define SWKI_CORE_RAFT_RING_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <swarmkit/alloc.h>

struct swki_raft_ring {
    const struct swk_alloc *alloc;
    uint8_t *items;
    size_t item_size;
    size_t room; /* a power of two, or 0; in items */
    size_t first;
    size_t count;
};

/* Takes no memory yet. */
void swki_raft_ring_init(struct swki_raft_ring *ring,
                         const struct swk_alloc *alloc, size_t item_size);
void swki_raft_ring_fini(struct swki_raft_ring *ring);

/* Makes room for more items; pointers to items are then good no more. False
 * for no memory. The first is for the use of the second. */
bool swki_raft_ring_grow(struct swki_raft_ring *ring, size_t more);

static inline bool swki_raft_ring_reserve(struct swki_raft_ring *ring,
                                          size_t more)
{
    return more <= ring->room - ring->count || swki_raft_ring_grow(ring, more);
}

/* The item at a place, 0 being the oldest. */
static inline void *swki_raft_ring_at(const struct swki_raft_ring *ring,
                                      size_t place)
{
    size_t slot = (ring->first + place) & (ring->room - 1);

    assert(place < ring->count);
    return ring->items + slot * ring->item_size;
}

/* A new last item, its bytes as they come; there is room for it. */
static inline void *swki_raft_ring_push(struct swki_raft_ring *ring)
{
    assert(ring->count < ring->room);
    ring->count++;
    return swki_raft_ring_at(ring, ring->count - 1);
}

/* Removes the oldest item; there is one. */
static inline void swki_raft_ring_pop(struct swki_raft_ring *ring)
{
    assert(ring->count > 0);
    ring->first = (ring->first + 1) & (ring->room - 1);
    ring->count--;
}

#endif
