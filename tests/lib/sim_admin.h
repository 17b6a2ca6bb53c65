/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What an administrator does to a simulated swarm, in words:
 *
 *   image=NAME run=ARG,ARG replicas=N constraint=EXPRESSION
 *   restart=none|on-failure|any restart-delay=2s restart-max=N
 *   restart-window=10s
 *   update-parallelism=N update-delay=1s update-monitor=1s update-ratio=0.5
 *   update-failure=pause|continue|rollback update-order=stop-first|start-first
 *   secrets=NAME,NAME configs=NAME,NAME
 *
 * The calls are begun, not waited for; false if the words make no sense or the
 * thing is not known.
 */

#ifndef TESTS_LIB_SIM_ADMIN_H
#define TESTS_LIB_SIM_ADMIN_H

#include "lib/sim_swarm.h"

bool sim_create_service(struct sim *sim, const char *name,
                        char *const *words, size_t words_count);
bool sim_update_service(struct sim *sim, const char *name,
                        char *const *words, size_t words_count);
bool sim_remove_service(struct sim *sim, const char *name);

bool sim_create_secret(struct sim *sim, const char *name);
bool sim_create_config(struct sim *sim, const char *name);

/* "active", "pause" or "drain". */
bool sim_set_availability(struct sim *sim, const char *node,
                          const char *availability);
bool sim_label_node(struct sim *sim, const char *node, const char *key,
                    const char *value);

/* By force, if it is not down. */
bool sim_remove_node(struct sim *sim, const char *node);

/* Committed objects by name; NULL if there is none. */
const Swkpb__Service *sim_service(const struct sim *sim, const char *name);
/* The task of a slot that is meant to run. */
const Swkpb__Task *sim_slot_task(const struct sim *sim, const char *service,
                                 uint64_t slot);

/* "2s", "20ms", "1m", "1h". */
bool sim_read_span(const char *text, swk_time *out_span);

#endif
