/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/orchestrator/state.h"
#include "core/store/task.h"
#include "wire/time.h"

/* The least pause after a task that its node would not take. */
#define REJECTED_DELAY_MIN SWK_SECOND

/* -- Policy --------------------------------------------------------------- */

static bool node_down(const struct swki_view *view, const char *node_id)
{
    const struct swki_object *object =
        swki_view_get(view, SWKI_KIND_NODE, node_id);
    const Swkpb__NodeStatus *status;

    if (object == NULL) {
        return true;
    }
    status = swki_node(object)->status;
    return status != NULL && status->state == SWKPB__NODE_STATUS__STATE__DOWN;
}

bool swki_node_invalid(const struct swki_view *view, const char *node_id)
{
    const struct swki_object *object;
    const Swkpb__NodeSpec *spec;

    if (node_down(view, node_id)) {
        return true;
    }
    object = swki_view_get(view, SWKI_KIND_NODE, node_id);
    spec = swki_node(object)->spec;
    return spec != NULL &&
           spec->availability == SWKPB__NODE_SPEC__AVAILABILITY__DRAIN;
}

static const Swkpb__RestartPolicy *policy_of(const Swkpb__Task *task)
{
    return task->spec != NULL ? task->spec->restart : NULL;
}

static swk_wall created_at(const Swkpb__Task *task)
{
    return task->meta != NULL ? swki_timestamp_get(task->meta->created_at) : 0;
}

/*
 * How many restarts of the slot count. The history is what is stored: of the
 * tasks of one spec version, each but the first is a restart. The reaper keeps
 * max_attempts + 1 of them, which is all that this needs to know; so a new
 * leader decides as the old one did.
 */
static uint64_t count_restarts(const struct swki_slots *slots,
                               const Swkpb__Task *task,
                               const Swkpb__RestartPolicy *policy)
{
    swk_wall end = swki_task_status_time(task);
    swk_wall window = (swk_wall)swki_duration_get(policy->window, 0);
    uint64_t version = swki_task_spec_version(task);
    uint64_t count = 0;
    bool first = true;

    for (size_t i = 0; slots->count > 0 && i < slots->items[0].tasks_count;
         i++) {
        const Swkpb__Task *other = swki_task(slots->items[0].tasks[i]);
        swk_wall created = created_at(other);

        if (swki_task_spec_version(other) != version) {
            continue;
        }
        if (first) {
            first = false;
            continue;
        }
        if (window == 0 || end == 0 ||
            (created > end - window && created <= end)) {
            count++;
        }
    }
    return count;
}

int swki_should_restart(const struct swki_view *view,
                        const struct swki_object *object, bool *out_restart)
{
    const Swkpb__Task *task = swki_task(object);
    const Swkpb__RestartPolicy *policy = policy_of(task);
    struct swki_slots slots;
    int rc;

    *out_restart = true;
    if (policy == NULL) {
        return SWK_OK;
    }
    if (policy->condition == SWKPB__RESTART_POLICY__RESTART_CONDITION__NONE ||
        (policy->condition ==
             SWKPB__RESTART_POLICY__RESTART_CONDITION__ON_FAILURE &&
         swki_task_state(task) == SWKPB__TASK_STATE__COMPLETE)) {
        *out_restart = false;
        return SWK_OK;
    }
    if (policy->max_attempts == 0) {
        return SWK_OK;
    }
    rc = swki_slot_load(NULL, view, task->service_id, task->slot, &slots);
    if (rc == SWK_OK) {
        *out_restart =
            count_restarts(&slots, task, policy) < policy->max_attempts;
        swki_slots_fini(&slots);
    }
    return rc;
}

/* No pause for a task whose node was lost or is being emptied: nothing is wrong
 * with the task itself. One that its node refuses is refused again at once:
 * whatever the policy says, that must not become a tight loop. */
static swk_time restart_delay(const struct swki_view *view,
                              const Swkpb__Task *task)
{
    const Swkpb__RestartPolicy *policy = policy_of(task);
    swk_time delay;

    if (task->node_id[0] != '\0' && swki_node_invalid(view, task->node_id)) {
        return 0;
    }
    delay = swki_duration_get(policy != NULL ? policy->delay : NULL,
                              SWKI_RESTART_DELAY);
    return swki_task_state(task) == SWKPB__TASK_STATE__REJECTED &&
                   delay < REJECTED_DELAY_MIN
               ? REJECTED_DELAY_MIN
               : delay;
}

/* -- Restarting ----------------------------------------------------------- */

struct restart_step {
    struct swki_orchestrator *o;
    const char *task_id;
};

/* While an update is paused the rest of the service stays as it is: a restart
 * must not spread the new version. */
static bool update_paused(const Swkpb__Service *service)
{
    const Swkpb__UpdateStatus *status = service->update_status;

    return status != NULL &&
           (status->state == SWKPB__UPDATE_STATUS__UPDATE_STATE__PAUSED ||
            status->state ==
                SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_PAUSED);
}

static int replace(struct swki_orchestrator *o, struct swki_tx *tx,
                   const struct swki_object *old,
                   const struct swki_object *service, struct swk_error *err)
{
    struct swki_new_task wanted = {
        .service = service,
        .like = update_paused(swki_service(service)) ? old : NULL,
        .slot = swki_task(old)->slot,
        .desired = SWKPB__TASK_STATE__READY,
    };
    swk_time delay = restart_delay(swki_tx_view(tx), swki_task(old));
    const struct swki_object *task;
    int rc = swki_create_task(o, tx, &wanted, &task, err);

    if (rc == SWK_OK) {
        rc = swki_start_later(o, swki_task(task), delay);
    }
    return rc;
}

static int restart_in(struct swki_orchestrator *o, struct swki_tx *tx,
                      const struct swki_object *old,
                      const struct swki_object *service, struct swk_error *err)
{
    bool restart;
    int rc = swki_should_restart(swki_tx_view(tx), old, &restart);

    if (rc == SWK_OK) {
        rc = swki_raise_desired(tx, swki_object_id(old),
                                SWKPB__TASK_STATE__SHUTDOWN, err);
    }
    if (rc == SWK_OK && restart) {
        rc = replace(o, tx, old, service, err);
    }
    return rc;
}

static int restart_step(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    struct restart_step *step = ctx;
    const struct swki_view *view = swki_tx_view(tx);
    const struct swki_object *old =
        swki_view_get(view, SWKI_KIND_TASK, step->task_id);
    const struct swki_object *service;
    int rc;

    if (old == NULL || !swki_task_wanted(swki_task(old))) {
        return SWK_OK;
    }
    service =
        swki_view_get(view, SWKI_KIND_SERVICE, swki_task(old)->service_id);
    if (service == NULL || !swki_is_replicated(service) ||
        swki_service(service)->pending_delete) {
        return SWK_OK;
    }
    swki_object_ref(old);
    swki_object_ref(service);
    rc = restart_in(step->o, tx, old, service, err);
    swki_object_unref(service);
    swki_object_unref(old);
    return rc;
}

int swki_restart(struct swki_orchestrator *o, const char *task_id,
                 struct swk_error *err)
{
    struct swki_start *start = swki_map_get(&o->starts, task_id);
    struct restart_step step = {o, task_id};

    if (start != NULL && !start->waiting) {
        /* It ended before it was its turn: were it replaced at once, a task
         * that cannot even be prepared would make a tight loop. */
        start->again = true;
        return SWK_OK;
    }
    if (start != NULL) {
        swki_start_cancel(o, task_id);
    }
    return swki_write(o, restart_step, &step, err);
}

/* -- Delayed starts ------------------------------------------------------- */

int swki_start_later(struct swki_orchestrator *o, const Swkpb__Task *task,
                     swk_time delay)
{
    struct swki_service_entry *entry = swki_service_entry(o, task->service_id);
    size_t size = strlen(task->id) + 1;
    struct swki_start *start;

    swki_start_cancel(o, task->id);
    start = swki_calloc(o->alloc, 1, sizeof(*start) + size);
    if (entry == NULL || start == NULL) {
        swki_free(o->alloc, start);
        return SWK_ENOMEM;
    }
    memcpy(start->task_id, task->id, size);
    start->service = entry;
    start->slot = task->slot;
    start->alarm.kind = SWKI_ALARM_START;
    start->give_up = o->now + SWKI_STOP_WAIT;
    swki_list_append(&entry->starts, &start->link);
    if (!swki_map_put(&o->starts, start->task_id, start)) {
        swki_list_remove(&start->link);
        swki_free(o->alloc, start);
        return SWK_ENOMEM;
    }
    if (!swki_timers_set(&o->timers, &start->alarm.timer, o->now + delay)) {
        swki_start_cancel(o, task->id);
        return SWK_ENOMEM;
    }
    return SWK_OK;
}

void swki_start_cancel(struct swki_orchestrator *o, const char *task_id)
{
    struct swki_start *start = swki_map_remove(&o->starts, task_id);

    if (start != NULL) {
        swki_timers_cancel(&o->timers, &start->alarm.timer);
        swki_list_remove(&start->link);
        swki_free(o->alloc, start);
    }
}

/* Whether the task may still be alive although it was told to stop. */
static bool is_stopping(const struct swki_view *view, const Swkpb__Task *task)
{
    return !swki_task_wanted(task) && !swki_task_terminal(task) &&
           swki_task_state(task) >= SWKPB__TASK_STATE__ASSIGNED &&
           !node_down(view, task->node_id);
}

static int predecessor_stops(const struct swki_view *view,
                             const struct swki_start *start, bool *out_stops)
{
    struct swki_slots slots;
    int rc =
        swki_slot_load(NULL, view, start->service->id, start->slot, &slots);

    *out_stops = false;
    if (rc != SWK_OK) {
        return rc;
    }
    for (size_t i = 0; slots.count > 0 && i < slots.items[0].tasks_count; i++) {
        const Swkpb__Task *task = swki_task(slots.items[0].tasks[i]);

        if (strcmp(task->id, start->task_id) != 0 && is_stopping(view, task)) {
            *out_stops = true;
        }
    }
    swki_slots_fini(&slots);
    return SWK_OK;
}

static int release_step(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    const char *task_id = ctx;

    return swki_raise_desired(tx, task_id, SWKPB__TASK_STATE__RUNNING, err);
}

/* Its turn has come: run it, or replace it if it has ended already. */
static int release(struct swki_orchestrator *o, struct swki_start *start,
                   struct swk_error *err)
{
    int rc = SWK_OK;

    if (start->again) {
        rc = swki_queue_restart(o, start->task_id) ? SWK_OK : SWK_ENOMEM;
    } else {
        rc = swki_write(o, release_step, start->task_id, err);
    }
    swki_start_cancel(o, start->task_id);
    return rc;
}

int swki_start_expired(struct swki_orchestrator *o, struct swki_start *start,
                       struct swk_error *err)
{
    bool stops = false;
    int rc;

    if (o->now < start->give_up && !start->again) {
        rc = swki_flush(o, err);
        if (rc == SWK_OK) {
            rc = predecessor_stops(swki_store_head(o->base.store), start,
                                   &stops);
        }
        if (rc != SWK_OK) {
            return rc;
        }
    }
    if (!stops) {
        return release(o, start, err);
    }
    start->waiting = true;
    return swki_timers_set(&o->timers, &start->alarm.timer, start->give_up)
               ? SWK_OK
               : SWK_ENOMEM;
}

int swki_starts_recheck(struct swki_orchestrator *o,
                        struct swki_service_entry *entry, uint64_t slot,
                        struct swk_error *err)
{
    struct swki_link *link = entry->starts.next;
    int rc = SWK_OK;

    while (rc == SWK_OK && link != &entry->starts) {
        struct swki_start *start =
            SWKI_CONTAINER(link, struct swki_start, link);

        link = link->next;
        if (start->waiting && start->slot == slot) {
            rc = swki_start_expired(o, start, err);
        }
    }
    return rc;
}

int swki_starts_recheck_all(struct swki_orchestrator *o, struct swk_error *err)
{
    struct swki_start *start;
    size_t cursor = 0;
    int rc = SWK_OK;

    while (rc == SWK_OK &&
           (start = swki_map_next(&o->starts, &cursor)) != NULL) {
        if (start->waiting) {
            rc = swki_start_expired(o, start, err);
        }
    }
    return rc;
}
