/* SPDX-License-Identifier: Apache-2.0 */

/* Which nodes may run a task, and why the others may not. */

#ifndef SWKI_SCHEDULER_FILTER_H
#define SWKI_SCHEDULER_FILTER_H

#include "core/consent/consent.h"
#include "core/scheduler/constraint.h"
#include "core/scheduler/table.h"

/* In the order in which they are asked; the first refusal counts. */
enum swki_filter {
    SWKI_FILTER_READY,
    SWKI_FILTER_RESOURCES,
    SWKI_FILTER_PLUGINS,
    SWKI_FILTER_CONSTRAINTS,
    SWKI_FILTER_PLATFORM,
    SWKI_FILTER_HOST_PORTS,
    SWKI_FILTER_MAX_REPLICAS,
    SWKI_FILTER_VOLUMES,
    /* What the node does not consent to: one for each reason, from
     * SWKI_CONSENT_SIGNATURE on, and one for a consent that makes no sense. */
    SWKI_FILTER_CONSENT,
    SWKI_FILTER_UNREADABLE =
        SWKI_FILTER_CONSENT + SWKI_CONSENT_REASONS_COUNT - 1,
    SWKI_FILTERS_COUNT, /* no refusal */
};

/* The filters as they apply to one task. */
struct swki_sieve {
    const Swkpb__Task *task;
    const struct swki_table_service *service;
    struct swki_constraints constraints;
    bool applies[SWKI_FILTER_CONSENT];
};

/* The task must outlive it; release with swki_sieve_fini(). */
int swki_sieve_init(struct swki_sieve *sieve, const struct swk_alloc *alloc,
                    const struct swki_table_task *task);
void swki_sieve_fini(struct swki_sieve *sieve);

/* The filter that refuses the node, or SWKI_FILTERS_COUNT. */
enum swki_filter swki_sieve_check(const struct swki_sieve *sieve,
                                  const struct swki_table_node *node);

/* Whether a node that passed still does, after other tasks were placed. */
bool swki_sieve_recheck(const struct swki_sieve *sieve,
                        const struct swki_table_node *node);

enum {
    SWKI_EXPLANATION_SIZE = 512,
};

/* What refused every node, most frequent first: "insufficient resources on 2
 * nodes; ..."; "" if there are no nodes or one would do. */
void swki_explain(const uint32_t refusals[SWKI_FILTERS_COUNT],
                  char out_text[SWKI_EXPLANATION_SIZE]);

#endif
