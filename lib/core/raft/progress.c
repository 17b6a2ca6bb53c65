/* SPDX-License-Identifier: Apache-2.0 */

#include "core/raft/progress.h"

#include <assert.h>

#include "base/alloc.h"

enum {
    ROOM_FIRST = 8, /* of a window, when its first message is sent */
};

static void empty_window(struct swki_raft_window *w)
{
    w->first = 0;
    w->count = 0;
    w->size = 0;
}

void swki_raft_progress_init(struct swki_raft_progress *p, uint64_t id,
                             uint64_t next, uint32_t count_max,
                             uint64_t size_max)
{
    *p = (struct swki_raft_progress){
        .id = id,
        .next = next,
        .state = SWK_RAFT_PROBE,
        .active = true,
        .window = {.count_max = count_max, .size_max = size_max},
    };
}

void swki_raft_progress_fini(struct swki_raft_progress *p,
                             const struct swk_alloc *alloc)
{
    swki_free(alloc, p->window.ring);
    p->window.ring = NULL;
    p->window.room = 0;
    empty_window(&p->window);
}

static void enter(struct swki_raft_progress *p, enum swk_raft_peer_state state)
{
    p->state = state;
    p->flow_paused = false;
    p->pending_snapshot = 0;
    p->snapshot_ticks = 0;
    empty_window(&p->window);
}

void swki_raft_progress_reset(struct swki_raft_progress *p, uint64_t next)
{
    enter(p, SWK_RAFT_PROBE);
    p->match = 0;
    p->next = next;
    p->sent_commit = 0;
    p->read_position = 0;
    p->ballot = SWKI_RAFT_UNHEARD;
    p->active = false;
}

/* What cannot have arrived was not told either. */
static void limit_sent_commit(struct swki_raft_progress *p)
{
    if (p->sent_commit > p->next - 1) {
        p->sent_commit = p->next - 1;
    }
}

void swki_raft_progress_probe(struct swki_raft_progress *p)
{
    uint64_t next = p->match + 1;

    /* The member may have the snapshot without having said so. */
    if (p->state == SWK_RAFT_SNAPSHOT && next < p->pending_snapshot + 1) {
        next = p->pending_snapshot + 1;
    }
    enter(p, SWK_RAFT_PROBE);
    p->next = next;
    limit_sent_commit(p);
}

void swki_raft_progress_replicate(struct swki_raft_progress *p)
{
    enter(p, SWK_RAFT_REPLICATE);
    p->next = p->match + 1;
}

void swki_raft_progress_snapshot(struct swki_raft_progress *p, uint64_t index)
{
    enter(p, SWK_RAFT_SNAPSHOT);
    p->pending_snapshot = index;
    p->next = index + 1;
    p->sent_commit = index;
}

bool swki_raft_progress_paused(const struct swki_raft_progress *p)
{
    return p->state == SWK_RAFT_SNAPSHOT || p->flow_paused;
}

bool swki_raft_progress_full(const struct swki_raft_progress *p)
{
    const struct swki_raft_window *w = &p->window;

    return w->count >= w->count_max ||
           (w->size_max > 0 && w->size >= w->size_max);
}

bool swki_raft_progress_reserve(struct swki_raft_progress *p,
                                const struct swk_alloc *alloc)
{
    struct swki_raft_window *w = &p->window;

    if (w->count < w->room || swki_raft_progress_full(p)) {
        return true;
    }

    uint32_t room = w->room == 0 ? ROOM_FIRST : w->room;
    if (w->room > 0) {
        room = w->room > UINT32_MAX / 2 ? UINT32_MAX : w->room * 2;
    }
    if (room > w->count_max) {
        room = w->count_max;
    }
    struct swki_raft_inflight *ring = swki_calloc(alloc, room, sizeof(*ring));
    if (ring == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < w->count; i++) {
        ring[i] = w->ring[((uint64_t)w->first + i) % w->room];
    }
    swki_free(alloc, w->ring);
    w->ring = ring;
    w->room = room;
    w->first = 0;
    return true;
}

static void add_inflight(struct swki_raft_window *w, uint64_t index,
                         uint64_t size)
{
    assert(w->count < w->room);

    uint32_t at = (uint32_t)(((uint64_t)w->first + w->count) % w->room);
    w->ring[at] = (struct swki_raft_inflight){.index = index, .size = size};
    w->count++;
    w->size += size;
}

void swki_raft_progress_sent(struct swki_raft_progress *p,
                             uint64_t entries_count, uint64_t size)
{
    assert(p->state != SWK_RAFT_SNAPSHOT);

    if (p->state == SWK_RAFT_PROBE) {
        p->flow_paused = p->flow_paused || entries_count > 0;
        return;
    }
    if (entries_count > 0) {
        p->next += entries_count;
        add_inflight(&p->window, p->next - 1, size);
    }
    p->flow_paused = swki_raft_progress_full(p);
}

static struct swki_raft_inflight *
find_last(const struct swki_raft_window *w)
{
    uint64_t at = (uint64_t)w->first + w->count - 1;

    return &w->ring[at % w->room];
}

bool swki_raft_progress_counts_last(const struct swki_raft_progress *p)
{
    const struct swki_raft_window *w = &p->window;

    return p->state == SWK_RAFT_REPLICATE && w->count > 0 &&
           find_last(w)->index + 1 == p->next;
}

void swki_raft_progress_extend(struct swki_raft_progress *p,
                               uint64_t entries_count, uint64_t size)
{
    struct swki_raft_inflight *last;

    assert(swki_raft_progress_counts_last(p));

    last = find_last(&p->window);
    p->next += entries_count;
    last->index = p->next - 1;
    last->size += size;
    p->window.size += size;
    p->flow_paused = swki_raft_progress_full(p);
}

bool swki_raft_progress_accept(struct swki_raft_progress *p, uint64_t index)
{
    if (index <= p->match) {
        return false;
    }
    p->match = index;
    if (p->next < index + 1) {
        p->next = index + 1;
    }
    p->flow_paused = false;
    return true;
}

void swki_raft_progress_begin_rounds(struct swki_raft_progress *p,
                                     uint64_t last, uint64_t tick)
{
    p->rounds = (struct swki_raft_rounds){.end = last, .since = tick};
}

void swki_raft_progress_end_rounds(struct swki_raft_progress *p, uint64_t last,
                                   uint64_t tick, uint32_t ticks_max,
                                   uint32_t rounds_max)
{
    struct swki_raft_rounds *r = &p->rounds;

    if (r->done || p->match < r->end) {
        return;
    }
    if (p->match >= last) {
        r->done = true;
        return;
    }
    r->count += r->count < UINT32_MAX ? 1 : 0;
    r->done = r->count <= rounds_max && tick - r->since < ticks_max;
    r->end = last;
    r->since = tick;
}

void swki_raft_progress_release(struct swki_raft_progress *p, uint64_t index)
{
    struct swki_raft_window *w = &p->window;

    while (w->count > 0 && w->ring[w->first].index <= index) {
        w->size -= w->ring[w->first].size;
        w->first = w->first + 1 == w->room ? 0 : w->first + 1;
        w->count--;
    }
}

bool swki_raft_progress_reject(struct swki_raft_progress *p, uint64_t index,
                               uint64_t hint)
{
    if (p->state == SWK_RAFT_REPLICATE) {
        if (index <= p->match) {
            return false;
        }
        p->next = p->match + 1;
        limit_sent_commit(p);
        return true;
    }
    if (index != p->next - 1) {
        return false;
    }

    uint64_t next = hint < index ? hint + 1 : index;
    p->next = next > p->match ? next : p->match + 1;
    limit_sent_commit(p);
    p->flow_paused = false;
    return true;
}

void swki_raft_progress_lost(struct swki_raft_progress *p, uint64_t hint)
{
    p->match = 0;
    swki_raft_progress_probe(p);
    p->next = hint + 1;
    if (p->sent_commit > hint) {
        p->sent_commit = hint;
    }
}

bool swki_raft_progress_lacks_commit(const struct swki_raft_progress *p,
                                     uint64_t committed)
{
    return committed > p->sent_commit && p->sent_commit < p->next - 1;
}

static const char *check_window(const struct swki_raft_progress *p)
{
    const struct swki_raft_window *w = &p->window;
    uint64_t before = p->match;
    uint64_t size = 0;

    if (w->count > w->room || w->count > w->count_max) {
        return "a window holds more than it may";
    }
    for (uint32_t i = 0; i < w->count; i++) {
        const struct swki_raft_inflight *m =
            &w->ring[((uint64_t)w->first + i) % w->room];

        if (m->index <= before) {
            return "a window is out of order";
        }
        before = m->index;
        size += m->size;
    }
    if (w->count > 0 && before >= p->next) {
        return "a window holds what was not sent";
    }
    return size == w->size ? NULL : "a window has lost count of its bytes";
}

const char *swki_raft_progress_check(const struct swki_raft_progress *p,
                                     uint64_t last)
{
    if (p->match >= p->next || p->match > last) {
        return "a member's match is beyond what it was sent";
    }
    /* Beyond the snapshot only if it got entries in another way; before it
     * after an old rejection (R-REP-6), which makes no difference to what comes
     * after the snapshot. */
    if (p->state == SWK_RAFT_SNAPSHOT && p->next > p->pending_snapshot + 1 &&
        p->next != p->match + 1) {
        return "a member that gets a snapshot is sent something else";
    }
    if (p->state != SWK_RAFT_SNAPSHOT && p->pending_snapshot != 0) {
        return "a member has a snapshot pending out of its state";
    }
    return check_window(p);
}
