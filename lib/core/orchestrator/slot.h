/* SPDX-License-Identifier: Apache-2.0 */

/* The tasks of a service, grouped by the replica they stand for. */

#ifndef SWKI_ORCHESTRATOR_SLOT_H
#define SWKI_ORCHESTRATOR_SLOT_H

#include "base/arena.h"
#include "core/store/store.h"

struct swki_slot {
    uint64_t number;
    const struct swki_object **tasks; /* oldest first */
    size_t tasks_count;
};

struct swki_slots {
    const struct swki_view *view; /* keeps the tasks alive */
    struct swki_arena arena;
    struct swki_slot *items; /* by number */
    size_t count;
};

/* All slots of a service; release with swki_slots_fini(). */
int swki_slots_load(const struct swk_alloc *alloc, const struct swki_view *view,
                    const char *service_id, struct swki_slots *out);
/* One slot; out holds none or one item. */
int swki_slot_load(const struct swk_alloc *alloc, const struct swki_view *view,
                   const char *service_id, uint64_t number,
                   struct swki_slots *out);
void swki_slots_fini(struct swki_slots *slots);

#endif
