/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The key manager: makes the keys by which nodes seal the traffic of networks,
 * and replaces them.
 *
 * The keys lie in the cluster object, with the time at which they were replaced
 * last. So a new leader goes on with them, and however often leaders change,
 * they are replaced when they are due. Who gets them is the dispatcher's
 * matter.
 */

#ifndef SWKI_KEYMANAGER_KEYMANAGER_H
#define SWKI_KEYMANAGER_KEYMANAGER_H

#include <swarmkit/port/entropy.h>

#include "core/store/store.h"

#define SWKI_KEY_ROTATION_PERIOD (12 * SWK_HOUR)

enum {
    SWKI_KEY_SUBSYSTEMS_MAX = 2,
};

struct swki_key_manager_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_store *store;
    const struct swk_entropy *entropy;
    swk_time period_ns; /* 0: SWKI_KEY_ROTATION_PERIOD */
    /* NULL: gossip and ipsec. Borrowed for the call. */
    const char *const *subsystems;
    size_t subsystems_count;
};

struct swki_key_manager;

/* SWK_EINVAL for a subsystem that is not known. */
int swki_key_manager_new(const struct swki_key_manager_config *config,
                         struct swki_key_manager **out_manager,
                         struct swk_error *err);
void swki_key_manager_free(struct swki_key_manager *manager);

void swki_key_manager_step(struct swki_key_manager *manager, swk_time now,
                           swk_wall wall);
/* Whether another step has something to do at once. */
bool swki_key_manager_pending(const struct swki_key_manager *manager);
/* When to step if nothing happens first, or SWK_NEVER. */
swk_time swki_key_manager_deadline(const struct swki_key_manager *manager);

#endif
