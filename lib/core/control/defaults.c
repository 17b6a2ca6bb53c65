/* SPDX-License-Identifier: Apache-2.0 */

#include "core/control/defaults.h"

#include "wire/message.h"

#define SECONDS INT64_C(1000000000)

enum {
    STOP_GRACE_S = 10,
    RESTART_DELAY_S = 5,
    MONITOR_S = 5,
};

/* An empty message; NULL for no memory. */
static void *empty(const ProtobufCMessageDescriptor *type,
                   struct swki_arena *arena)
{
    void *message = swki_arena_alloc(arena, type->sizeof_message);

    if (message != NULL) {
        type->message_init(message);
    }
    return message;
}

/* A copy of the top of a message, or an empty one. */
static void *top(const ProtobufCMessageDescriptor *type, const void *message,
                 struct swki_arena *arena)
{
    return message == NULL ? empty(type, arena)
                           : swki_arena_memdup(arena, message,
                                               type->sizeof_message);
}

static bool container_defaults(Swkpb__TaskSpec *task, struct swki_arena *arena)
{
    if (task->runtime_case != SWKPB__TASK_SPEC__RUNTIME_CONTAINER ||
        task->container == NULL) {
        return true;
    }

    Swkpb__ContainerSpec *c =
        top(&swkpb__container_spec__descriptor, task->container, arena);
    if (c == NULL) {
        return false;
    }
    task->container = c;
    if (c->stop_grace_period == NULL) {
        c->stop_grace_period =
            swki_duration_from_ns(STOP_GRACE_S * SECONDS, arena);
    }
    if (c->pull_options == NULL) {
        c->pull_options =
            empty(&swkpb__container_spec__pull_options__descriptor, arena);
    }
    if (c->dns_config == NULL) {
        c->dns_config =
            empty(&swkpb__container_spec__dnsconfig__descriptor, arena);
    }
    return c->stop_grace_period != NULL && c->pull_options != NULL &&
           c->dns_config != NULL;
}

/* Only a wholly absent policy restarts tasks: a given one without a condition
 * means none. */
static Swkpb__RestartPolicy *restart_defaults(const Swkpb__RestartPolicy *given,
                                              struct swki_arena *arena)
{
    Swkpb__RestartPolicy *restart =
        top(&swkpb__restart_policy__descriptor, given, arena);

    if (restart == NULL) {
        return NULL;
    }
    if (given == NULL) {
        restart->condition = SWKPB__RESTART_POLICY__RESTART_CONDITION__ANY;
    }
    if (restart->delay == NULL) {
        restart->delay =
            swki_duration_from_ns(RESTART_DELAY_S * SECONDS, arena);
    }
    return restart->delay != NULL ? restart : NULL;
}

static bool task_defaults(Swkpb__ServiceSpec *spec, struct swki_arena *arena)
{
    Swkpb__TaskSpec *task =
        top(&swkpb__task_spec__descriptor, spec->task, arena);

    if (task == NULL) {
        return false;
    }
    spec->task = task;
    if (task->resources == NULL) {
        task->resources =
            empty(&swkpb__resource_requirements__descriptor, arena);
    }
    if (task->placement == NULL) {
        task->placement = empty(&swkpb__placement__descriptor, arena);
    }
    task->restart = restart_defaults(task->restart, arena);
    return task->resources != NULL && task->placement != NULL &&
           task->restart != NULL && container_defaults(task, arena);
}

static Swkpb__UpdateConfig *update_defaults(const Swkpb__UpdateConfig *given,
                                            struct swki_arena *arena)
{
    Swkpb__UpdateConfig *update =
        top(&swkpb__update_config__descriptor, given, arena);

    if (update == NULL) {
        return NULL;
    }
    if (given == NULL) {
        update->parallelism = 1;
    }
    if (update->delay == NULL && given == NULL) {
        update->delay = swki_duration_from_ns(0, arena);
        if (update->delay == NULL) {
            return NULL;
        }
    }
    if (update->monitor == NULL) {
        update->monitor = swki_duration_from_ns(MONITOR_S * SECONDS, arena);
    }
    return update->monitor != NULL ? update : NULL;
}

Swkpb__ServiceSpec *swki_service_defaults(const Swkpb__ServiceSpec *spec,
                                          struct swki_arena *arena)
{
    Swkpb__ServiceSpec *full =
        top(&swkpb__service_spec__descriptor, spec, arena);

    if (full == NULL || !task_defaults(full, arena)) {
        return NULL;
    }
    full->update = update_defaults(full->update, arena);
    full->rollback = update_defaults(full->rollback, arena);
    return full->update != NULL && full->rollback != NULL ? full : NULL;
}
