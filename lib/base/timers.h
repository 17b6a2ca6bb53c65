/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Timers of a machine: a heap of deadlines inside the structs they belong to.
 *
 * Equal deadlines come out in the order in which they were set.
 */

#ifndef SWKI_BASE_TIMERS_H
#define SWKI_BASE_TIMERS_H

#include <stdbool.h>

#include <swarmkit/alloc.h>

struct swki_timer {
    swk_time deadline;
    uint64_t sequence;
    size_t index; /* in the heap plus one; 0 when not set */
    unsigned tag; /* the owner's: which of its timers this is */
};

struct swki_timers {
    const struct swk_alloc *alloc;
    struct swki_timer **heap;
    size_t count;
    size_t size;
    uint64_t sequence;
};

void swki_timers_init(struct swki_timers *timers,
                      const struct swk_alloc *alloc);
void swki_timers_fini(struct swki_timers *timers);

/* Sets or moves a timer; it must start zeroed. False for no memory. */
bool swki_timers_set(struct swki_timers *timers, struct swki_timer *timer,
                     swk_time deadline);

/* Unsets a timer; nothing happens if it is not set. */
void swki_timers_cancel(struct swki_timers *timers, struct swki_timer *timer);

/* When the first timer is due, or SWK_NEVER. */
swk_time swki_timers_deadline(const struct swki_timers *timers);

/* Unsets and returns the first timer that is due at now, or NULL. */
struct swki_timer *swki_timers_expire(struct swki_timers *timers, swk_time now);

#endif
