/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The reaper: deletes tasks that nobody needs any more.
 *
 * These are tasks that are to be removed and run nowhere, the oldest of a
 * slot's history when it is longer than its limit, and orphans without a
 * service. It is the only component that deletes tasks.
 */

#ifndef SWKI_ORCHESTRATOR_REAPER_H
#define SWKI_ORCHESTRATOR_REAPER_H

#include "core/store/store.h"

struct swki_reaper_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_store *store;
};

struct swki_reaper;

int swki_reaper_new(const struct swki_reaper_config *config,
                    struct swki_reaper **out_reaper, struct swk_error *err);
void swki_reaper_free(struct swki_reaper *reaper);
void swki_reaper_start(struct swki_reaper *reaper, swk_time now, swk_wall wall);
void swki_reaper_step(struct swki_reaper *reaper, swk_time now, swk_wall wall);
/* Whether another step has something to do at once. */
bool swki_reaper_pending(const struct swki_reaper *reaper);
/* When to step if nothing happens first, or SWK_NEVER. */
swk_time swki_reaper_deadline(const struct swki_reaper *reaper);

#endif
