/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The constraint enforcer: evicts tasks from nodes that changed so that they
 * would not be placed there any more, by label, role or resources.
 *
 * Nodes that are drained are emptied by the orchestrator, and paused ones are
 * left alone.
 */

#ifndef SWKI_ORCHESTRATOR_ENFORCER_H
#define SWKI_ORCHESTRATOR_ENFORCER_H

#include "core/store/store.h"

struct swki_enforcer_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_store *store;
    const char *node_id; /* this leader's, for applied_by; copied */
};

struct swki_enforcer;

int swki_enforcer_new(const struct swki_enforcer_config *config,
                      struct swki_enforcer **out_enforcer,
                      struct swk_error *err);
void swki_enforcer_free(struct swki_enforcer *enforcer);
/* Checks every node, and follows their changes. */
void swki_enforcer_start(struct swki_enforcer *enforcer, swk_time now,
                         swk_wall wall);
void swki_enforcer_step(struct swki_enforcer *enforcer, swk_time now,
                        swk_wall wall);
/* Whether another step has something to do at once. */
bool swki_enforcer_pending(const struct swki_enforcer *enforcer);
/* When to step if nothing happens first, or SWK_NEVER. */
swk_time swki_enforcer_deadline(const struct swki_enforcer *enforcer);

#endif
