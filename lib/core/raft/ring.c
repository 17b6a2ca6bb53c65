/* SPDX-License-Identifier: Apache-2.0 */

#include "core/raft/ring.h"

#include <string.h>

#include "base/alloc.h"

enum {
    ROOM_FIRST = 4,
};

void swki_raft_ring_init(struct swki_raft_ring *ring,
                         const struct swk_alloc *alloc, size_t item_size)
{
    *ring = (struct swki_raft_ring){.alloc = alloc, .item_size = item_size};
}

void swki_raft_ring_fini(struct swki_raft_ring *ring)
{
    swki_free(ring->alloc, ring->items);
    swki_raft_ring_init(ring, ring->alloc, ring->item_size);
}

static void move_to(const struct swki_raft_ring *ring, uint8_t *items)
{
    size_t until_end = ring->room - ring->first;
    size_t head = ring->count < until_end ? ring->count : until_end;

    if (ring->count > 0) {
        memcpy(items, ring->items + ring->first * ring->item_size,
               head * ring->item_size);
        memcpy(items + head * ring->item_size, ring->items,
               (ring->count - head) * ring->item_size);
    }
}

bool swki_raft_ring_grow(struct swki_raft_ring *ring, size_t more)
{
    size_t room = ring->room > 0 ? ring->room : ROOM_FIRST;
    uint8_t *items;

    while (room - ring->count < more) {
        if (room > SIZE_MAX / 2 / ring->item_size) {
            return false;
        }
        room *= 2;
    }
    items = swki_alloc(ring->alloc, room * ring->item_size);
    if (items == NULL) {
        return false;
    }
    move_to(ring, items);
    swki_free(ring->alloc, ring->items);
    ring->items = items;
    ring->room = room;
    ring->first = 0;
    return true;
}
