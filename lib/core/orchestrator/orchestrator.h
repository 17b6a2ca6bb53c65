/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The orchestrator: turns services into tasks, and keeps them so.
 *
 * It creates the tasks of replicated services, replaces those that end or
 * whose node is lost, by the service's restart policy, and rolls updates out.
 * It never talks to nodes: it reads and writes the store.
 *
 * Global services and jobs are not part of this release: they are stored, and
 * left alone here until they are deleted.
 *
 *   orchestrator.c  events, queues, the machine
 *   replicated.c    how many tasks, and which ones go
 *   restart.c       whether and when an ended task gets a successor
 *   updater.c       rolling updates and rollbacks
 *   new_task.c      what a new task looks like; which tasks are out of date
 *   slot.c          the tasks of a service, by slot
 */

#ifndef SWKI_ORCHESTRATOR_ORCHESTRATOR_H
#define SWKI_ORCHESTRATOR_ORCHESTRATOR_H

#include "core/store/store.h"

struct swki_orchestrator_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_store *store;
    const char *node_id; /* this leader's, for applied_by; copied */
    uint64_t seed;       /* for the IDs of tasks */
};

struct swki_orchestrator;

int swki_orchestrator_new(const struct swki_orchestrator_config *config,
                          struct swki_orchestrator **out_orchestrator,
                          struct swk_error *err);
void swki_orchestrator_free(struct swki_orchestrator *orchestrator);

/* Reads head, puts right what a change of leaders left, follows head. */
void swki_orchestrator_start(struct swki_orchestrator *orchestrator,
                             swk_time now, swk_wall wall);
void swki_orchestrator_step(struct swki_orchestrator *orchestrator,
                            swk_time now, swk_wall wall);
/* Whether another step has something to do at once. */
bool swki_orchestrator_pending(const struct swki_orchestrator *orchestrator);
/* When to step if nothing happens first, or SWK_NEVER. */
swk_time
swki_orchestrator_deadline(const struct swki_orchestrator *orchestrator);

#endif
