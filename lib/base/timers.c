/* SPDX-License-Identifier: Apache-2.0 */

#include "base/timers.h"

#include "base/alloc.h"

enum {
    FIRST_SIZE = 16,
};

void swki_timers_init(struct swki_timers *timers, const struct swk_alloc *alloc)
{
    *timers = (struct swki_timers){.alloc = alloc};
}

void swki_timers_fini(struct swki_timers *timers)
{
    swki_free(timers->alloc, timers->heap);
    swki_timers_init(timers, timers->alloc);
}

static bool before(const struct swki_timer *a, const struct swki_timer *b)
{
    return a->deadline != b->deadline ? a->deadline < b->deadline
                                      : a->sequence < b->sequence;
}

static void place(struct swki_timers *timers, size_t i,
                  struct swki_timer *timer)
{
    timers->heap[i] = timer;
    timer->index = i + 1;
}

static void sift_up(struct swki_timers *timers, size_t i)
{
    struct swki_timer *timer = timers->heap[i];

    while (i > 0 && before(timer, timers->heap[(i - 1) / 2])) {
        place(timers, i, timers->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(timers, i, timer);
}

static void sift_down(struct swki_timers *timers, size_t i)
{
    struct swki_timer *timer = timers->heap[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= timers->count) {
            break;
        }
        if (child + 1 < timers->count &&
            before(timers->heap[child + 1], timers->heap[child])) {
            child++;
        }
        if (!before(timers->heap[child], timer)) {
            break;
        }
        place(timers, i, timers->heap[child]);
        i = child;
    }
    place(timers, i, timer);
}

bool swki_timers_set(struct swki_timers *timers, struct swki_timer *timer,
                     swk_time deadline)
{
    if (timer->index == 0 && timers->count == timers->size) {
        size_t size = timers->size > 0 ? timers->size * 2 : FIRST_SIZE;
        struct swki_timer **heap = swki_realloc(timers->alloc, timers->heap,
                                                size, sizeof(heap[0]));

        if (heap == NULL) {
            return false;
        }
        timers->heap = heap;
        timers->size = size;
    }
    timer->deadline = deadline;
    timer->sequence = timers->sequence++;
    if (timer->index == 0) {
        place(timers, timers->count++, timer);
    }
    sift_up(timers, timer->index - 1);
    sift_down(timers, timer->index - 1);
    return true;
}

void swki_timers_cancel(struct swki_timers *timers, struct swki_timer *timer)
{
    size_t i;

    if (timer->index == 0) {
        return;
    }
    i = timer->index - 1;
    timer->index = 0;
    timers->count--;
    if (i < timers->count) {
        place(timers, i, timers->heap[timers->count]);
        sift_up(timers, i);
        sift_down(timers, timers->heap[i]->index - 1);
    }
}

swk_time swki_timers_deadline(const struct swki_timers *timers)
{
    return timers->count > 0 ? timers->heap[0]->deadline : SWK_NEVER;
}

struct swki_timer *swki_timers_expire(struct swki_timers *timers, swk_time now)
{
    struct swki_timer *timer;

    if (timers->count == 0 || timers->heap[0]->deadline > now) {
        return NULL;
    }
    timer = timers->heap[0];
    swki_timers_cancel(timers, timer);
    return timer;
}
