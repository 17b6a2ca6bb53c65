/* SPDX-License-Identifier: Apache-2.0 */

#include "core/store/store.h"

const char *swki_actor_name(enum swki_actor actor)
{
    static const char *const names[SWKI_ACTORS_COUNT] = {
        [SWKI_ACTOR_BOOTSTRAP] = "bootstrap",
        [SWKI_ACTOR_CONTROL] = "control",
        [SWKI_ACTOR_CA] = "ca",
        [SWKI_ACTOR_ALLOCATOR] = "allocator",
        [SWKI_ACTOR_ORCHESTRATOR] = "orchestrator",
        [SWKI_ACTOR_ENFORCER] = "enforcer",
        [SWKI_ACTOR_REAPER] = "reaper",
        [SWKI_ACTOR_SCHEDULER] = "scheduler",
        [SWKI_ACTOR_DISPATCHER] = "dispatcher",
        [SWKI_ACTOR_ROLE_MANAGER] = "role manager",
        [SWKI_ACTOR_KEY_MANAGER] = "key manager",
        [SWKI_ACTOR_VOLUME_MANAGER] = "volume manager",
    };

    return names[actor];
}
