/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The scheduler: gives PENDING tasks a node.
 *
 * It works on tables of its own that follow head, decides on a whole group of
 * equal tasks at once, and writes ASSIGNED. A decision is never revisited.
 *
 *   constraint.c  the language of placement constraints
 *   table.c       nodes, tasks, services: what is used and what is free
 *   filter.c      which nodes may run a task, and why others may not
 *   place.c       which of them does: ranking and spreading
 *   scheduler.c   events, passes, the machine
 */

#ifndef SWKI_SCHEDULER_SCHEDULER_H
#define SWKI_SCHEDULER_SCHEDULER_H

#include "base/buf.h"
#include "core/store/store.h"

struct swki_scheduler_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_store *store;
    const char *node_id; /* this leader's, for applied_by; copied */
};

struct swki_scheduler;

int swki_scheduler_new(const struct swki_scheduler_config *config,
                       struct swki_scheduler **out_scheduler,
                       struct swk_error *err);
void swki_scheduler_free(struct swki_scheduler *scheduler);
void swki_scheduler_start(struct swki_scheduler *scheduler, swk_time now,
                          swk_wall wall);
void swki_scheduler_step(struct swki_scheduler *scheduler, swk_time now,
                         swk_wall wall);
/* Whether another step has something to do at once. */
bool swki_scheduler_pending(const struct swki_scheduler *scheduler);
/* When to step if nothing happens first, or SWK_NEVER. */
swk_time swki_scheduler_deadline(const struct swki_scheduler *scheduler);

/* Writes what the tables say as text, in an order of its own: two schedulers
 * that followed the same store say the same. For tests. */
void swki_scheduler_dump(const struct swki_scheduler *scheduler,
                         struct swki_buf *out);

#endif
