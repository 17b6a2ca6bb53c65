/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The allocator: gives services their published ports, and lets tasks pass to
 * the scheduler once they have what they need (NEW to PENDING).
 *
 * Networks are not part of this release. A task that names one stays NEW, and
 * its status says why.
 */

#ifndef SWKI_ALLOCATOR_ALLOCATOR_H
#define SWKI_ALLOCATOR_ALLOCATOR_H

#include "core/store/store.h"

struct swki_allocator_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_store *store;
    const char *node_id; /* this leader's, for applied_by; copied */
};

struct swki_allocator;

int swki_allocator_new(const struct swki_allocator_config *config,
                       struct swki_allocator **out_allocator,
                       struct swk_error *err);
void swki_allocator_free(struct swki_allocator *allocator);

/* Reads head and starts to follow it; the first step does the work. */
void swki_allocator_start(struct swki_allocator *allocator, swk_time now,
                          swk_wall wall);
void swki_allocator_step(struct swki_allocator *allocator, swk_time now,
                         swk_wall wall);
/* Whether another step has something to do at once. */
bool swki_allocator_pending(const struct swki_allocator *allocator);
/* When to step if nothing happens first, or SWK_NEVER. */
swk_time swki_allocator_deadline(const struct swki_allocator *allocator);

#endif
