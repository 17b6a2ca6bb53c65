/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Choosing nodes for the tasks of a group: spread over the branches of the
 * placement preferences, and in a branch over its nodes.
 */

#ifndef SWKI_SCHEDULER_PLACE_H
#define SWKI_SCHEDULER_PLACE_H

#include "core/scheduler/filter.h"

struct swki_place;

/* Weighs every node for the tasks that the sieve is for; NULL for no memory.
 * refusals counts what the filters say. The sieve must outlive it. */
struct swki_place *swki_place_new(const struct swki_table *table,
                                  const struct swki_sieve *sieve, swk_time now,
                                  uint32_t refusals[SWKI_FILTERS_COUNT]);
void swki_place_free(struct swki_place *place);

/* The best node for the next task, or NULL. The caller charges the task to it
 * before it asks again; or not, and then must not ask again. */
struct swki_table_node *swki_place_next(struct swki_place *place);

#endif
