/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rolling updates, one machine a service. A slot goes through
 *
 *   WAITING -> STARTING -> PAUSING -> DONE
 *
 * and at most `parallelism` of them are STARTING or PAUSING. STARTING ends
 * when a task of the new version runs, or ended; PAUSING when the delay is
 * over. When all are DONE the update is watched for the monitor period.
 */

#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/orchestrator/state.h"
#include "core/store/task.h"
#include "wire/message.h"
#include "wire/time.h"

enum phase {
    WAITING,
    STARTING,
    PAUSING,
    DONE,
};

struct update_slot {
    struct swki_alarm alarm; /* of PAUSING */
    struct swki_update *update;
    uint64_t number;
    enum phase phase;
    bool ran;               /* a new task reached RUNNING */
    swk_time running_since; /* when */
    bool failed;            /* and was counted */
};

struct swki_update {
    struct swki_alarm monitor;
    struct swki_service_entry *entry;
    const struct swki_object *service; /* as it was at the start */
    struct update_slot *slots;         /* by number */
    size_t slots_count;
    size_t next;   /* the first that is WAITING */
    size_t active; /* STARTING and PAUSING */
    size_t failures;
    size_t parallelism;
    swk_time delay;
    swk_time monitor_time;
    Swkpb__UpdateConfig__FailureAction action;
    Swkpb__UpdateConfig__UpdateOrder order;
    float failure_ratio_max;
    bool rollback;
    bool stopped; /* by failures: no more slots are begun */
};

/* -- The status ----------------------------------------------------------- */

typedef Swkpb__UpdateStatus__UpdateState update_state;

struct status_step {
    struct swki_orchestrator *o;
    const char *service_id;
    update_state state;
    const char *message;
    bool begin;     /* only if there is none; otherwise only if there is one */
    bool roll_back; /* puts the previous spec in place as well */
};

static bool is_completed(update_state state)
{
    return state == SWKPB__UPDATE_STATUS__UPDATE_STATE__COMPLETED ||
           state == SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_COMPLETED;
}

static int fill_status(const struct status_step *step,
                       struct swki_object *object)
{
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Service *service = swki_service_edit(object);
    Swkpb__UpdateStatus *status;

    if (service->update_status != NULL) {
        status = swki_object_own(object, &service->update_status);
    } else {
        status = swki_arena_alloc(arena, sizeof(*status));
        if (status != NULL) {
            swkpb__update_status__init(status);
        }
        service->update_status = status;
    }
    if (status == NULL) {
        return SWK_ENOMEM;
    }
    status->state = step->state;
    status->message = swki_arena_strdup(arena, step->message);
    if (step->begin) {
        status->started_at = swki_timestamp_from_wall(step->o->wall, arena);
    }
    if (is_completed(step->state)) {
        status->completed_at = swki_timestamp_from_wall(step->o->wall, arena);
    }
    return status->message == NULL ? SWK_ENOMEM : SWK_OK;
}

static int take_previous(struct swki_object *object)
{
    Swkpb__Service *service = swki_service_edit(object);

    service->spec = service->previous_spec;
    service->spec_version = service->previous_spec_version;
    service->previous_spec = NULL;
    service->previous_spec_version = NULL;
    if (swki_object_own(object, &service->spec) == NULL ||
        (service->spec_version != NULL &&
         swki_object_own(object, &service->spec_version) == NULL)) {
        return SWK_ENOMEM;
    }
    return SWK_OK;
}

static int write_status(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    const struct status_step *step = ctx;
    const struct swki_object *stored =
        swki_view_get(swki_tx_view(tx), SWKI_KIND_SERVICE, step->service_id);
    struct swki_object *next;

    /* No status where one was: a newer update of the user's came between. */
    if (stored == NULL ||
        (swki_service(stored)->update_status == NULL) != step->begin) {
        return SWK_OK;
    }
    next = swki_object_edit(stored);
    if (next == NULL || fill_status(step, next) != SWK_OK ||
        (step->roll_back && take_previous(next) != SWK_OK)) {
        swki_object_unref(next);
        return swki_fail_nomem(err);
    }
    return swki_tx_update(tx, next, err);
}

static int complete(struct swki_orchestrator *o, const char *service_id,
                    bool rollback, struct swk_error *err)
{
    struct status_step step = {
        .o = o,
        .service_id = service_id,
        .state = rollback
                     ? SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_COMPLETED
                     : SWKPB__UPDATE_STATUS__UPDATE_STATE__COMPLETED,
        .message = rollback ? "rollback completed" : "update completed",
    };

    return swki_write(o, write_status, &step, err);
}

/* -- Beginning and end ---------------------------------------------------- */

void swki_update_free(struct swki_orchestrator *o, struct swki_update *update)
{
    if (update == NULL) {
        return;
    }
    for (size_t i = 0; i < update->slots_count; i++) {
        swki_timers_cancel(&o->timers, &update->slots[i].alarm.timer);
    }
    swki_timers_cancel(&o->timers, &update->monitor.timer);
    if (update->entry->update == update) {
        update->entry->update = NULL;
    }
    swki_object_unref(update->service);
    swki_free(o->alloc, update->slots);
    swki_free(o->alloc, update);
}

static void set_parameters(struct swki_update *update)
{
    const Swkpb__ServiceSpec *spec = swki_service(update->service)->spec;
    const Swkpb__UpdateConfig *config =
        update->rollback ? spec->rollback : spec->update;

    update->parallelism = 1;
    update->monitor_time = SWKI_MONITOR;
    if (config == NULL) {
        return;
    }
    update->parallelism = (size_t)config->parallelism;
    if (update->parallelism == 0) {
        update->parallelism = update->slots_count;
    }
    update->delay = swki_duration_get(config->delay, 0);
    update->monitor_time = swki_duration_get(config->monitor, SWKI_MONITOR);
    update->action = config->failure_action;
    update->order = config->order;
    update->failure_ratio_max = config->max_failure_ratio;
}

static bool slot_dirty(struct swki_orchestrator *o,
                       const struct swki_view *view,
                       const struct swki_object *service,
                       const struct swki_slot *slot)
{
    return slot->tasks_count > 1 ||
           swki_task_dirty(o, view, service, slot->tasks[0]);
}

static struct swki_update *make_update(struct swki_orchestrator *o,
                                       struct swki_service_entry *entry,
                                       const struct swki_object *service,
                                       const struct swki_slots *slots)
{
    struct swki_update *update = swki_calloc(o->alloc, 1, sizeof(*update));

    if (update == NULL) {
        return NULL;
    }
    update->entry = entry;
    update->monitor.kind = SWKI_ALARM_MONITOR;
    update->service = swki_object_ref(service);
    update->slots =
        swki_calloc(o->alloc, slots->count + 1, sizeof(*update->slots));
    if (update->slots == NULL) {
        swki_update_free(o, update);
        return NULL;
    }
    for (size_t i = 0; i < slots->count; i++) {
        if (slot_dirty(o, slots->view, service, &slots->items[i])) {
            update->slots[update->slots_count++] = (struct update_slot){
                .alarm.kind = SWKI_ALARM_SLOT,
                .update = update,
                .number = slots->items[i].number,
            };
        }
    }
    return update;
}

static update_state state_of(const struct swki_object *service)
{
    const Swkpb__UpdateStatus *status = swki_service(service)->update_status;

    return status != NULL ? status->state
                          : SWKPB__UPDATE_STATUS__UPDATE_STATE__UNKNOWN;
}

static int advance(struct swki_orchestrator *o, struct swki_update *update,
                   struct swk_error *err);

/* Nothing is out of date: what was begun is finished. */
static int finish_clean(struct swki_orchestrator *o,
                        const struct swki_object *service,
                        struct swk_error *err)
{
    update_state state = state_of(service);

    if (state != SWKPB__UPDATE_STATUS__UPDATE_STATE__UPDATING &&
        state != SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_STARTED) {
        return SWK_OK;
    }
    return complete(
        o, swki_object_id(service),
        state == SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_STARTED, err);
}

int swki_update_slots(struct swki_orchestrator *o,
                      struct swki_service_entry *entry,
                      const struct swki_object *service,
                      const struct swki_slots *slots, struct swk_error *err)
{
    update_state state = state_of(service);
    struct swki_update *update = entry->update;
    struct status_step begin = {
        .o = o,
        .service_id = entry->id,
        .state = SWKPB__UPDATE_STATUS__UPDATE_STATE__UPDATING,
        .message = "update in progress",
        .begin = true,
    };
    int rc = SWK_OK;

    if (update != NULL && !update->stopped &&
        swki_message_equal(&swki_service(update->service)->spec->base,
                           &swki_service(service)->spec->base)) {
        return SWK_OK;
    }
    swki_update_free(o, update);
    if (state == SWKPB__UPDATE_STATUS__UPDATE_STATE__PAUSED ||
        state == SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_PAUSED) {
        return SWK_OK;
    }
    update = make_update(o, entry, service, slots);
    if (update == NULL) {
        return swki_fail_nomem(err);
    }
    if (update->slots_count == 0) {
        swki_update_free(o, update);
        return finish_clean(o, service, err);
    }
    update->rollback =
        state == SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_STARTED;
    set_parameters(update);
    entry->update = update;
    if (swki_service(service)->update_status == NULL) {
        rc = swki_write(o, write_status, &begin, err);
    }
    return rc == SWK_OK ? advance(o, update, err) : rc;
}

/* -- One slot ------------------------------------------------------------- */

struct slot_step {
    struct swki_orchestrator *o;
    struct update_slot *slot;
    bool stop_old_only; /* the second half of start-first */
    bool settled;       /* nothing needs to be waited for */
};

/* The clean task to keep: one that runs before one that does not yet. */
static const struct swki_object *find_clean(struct slot_step *step,
                                            const struct swki_object *service,
                                            const struct swki_slots *slots)
{
    const struct swki_object *clean = NULL;

    for (size_t i = 0; slots->count > 0 && i < slots->items[0].tasks_count;
         i++) {
        const struct swki_object *task = slots->items[0].tasks[i];

        if (!swki_task_wanted(swki_task(task)) ||
            swki_task_dirty(step->o, slots->view, service, task)) {
            continue;
        }
        if (clean == NULL ||
            swki_task(task)->desired_state > swki_task(clean)->desired_state) {
            clean = task;
        }
    }
    return clean;
}

static int stop_others(const struct swki_slots *slots,
                       const struct swki_object *kept, struct swki_tx *tx,
                       struct swk_error *err)
{
    int rc = SWK_OK;

    for (size_t i = 0;
         rc == SWK_OK && slots->count > 0 && i < slots->items[0].tasks_count;
         i++) {
        const struct swki_object *task = slots->items[0].tasks[i];

        if (task != kept && swki_task_wanted(swki_task(task))) {
            rc = swki_raise_desired(tx, swki_object_id(task),
                                    SWKPB__TASK_STATE__SHUTDOWN, err);
        }
    }
    return rc;
}

static int replace_slot(struct slot_step *step, struct swki_tx *tx,
                        const struct swki_object *service,
                        const struct swki_slots *slots, struct swk_error *err)
{
    const struct swki_update *update = step->slot->update;
    struct swki_new_task wanted = {
        .service = service,
        .slot = step->slot->number,
        .desired = SWKPB__TASK_STATE__READY,
    };
    const struct swki_object *task;
    int rc = swki_create_task(step->o, tx, &wanted, &task, err);

    if (rc == SWK_OK) {
        rc = swki_start_later(step->o, swki_task(task), 0);
    }
    if (rc == SWK_OK &&
        update->order == SWKPB__UPDATE_CONFIG__UPDATE_ORDER__STOP_FIRST) {
        rc = stop_others(slots, NULL, tx, err);
    }
    return rc;
}

static int treat_slot(struct slot_step *step, struct swki_tx *tx,
                      const struct swki_object *service,
                      const struct swki_slots *slots, struct swk_error *err)
{
    const struct swki_object *clean = find_clean(step, service, slots);
    int rc;

    if (step->stop_old_only) {
        return clean != NULL ? stop_others(slots, clean, tx, err) : SWK_OK;
    }
    if (clean == NULL) {
        return replace_slot(step, tx, service, slots, err);
    }
    rc = stop_others(slots, clean, tx, err);
    if (swki_task(clean)->desired_state == SWKPB__TASK_STATE__RUNNING) {
        step->settled = true;
        return rc;
    }
    return rc == SWK_OK ? swki_start_later(step->o, swki_task(clean), 0) : rc;
}

static int slot_step(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    struct slot_step *step = ctx;
    const char *service_id = step->slot->update->entry->id;
    const struct swki_view *view = swki_tx_view(tx);
    const struct swki_object *service =
        swki_view_get(view, SWKI_KIND_SERVICE, service_id);
    struct swki_slots slots;
    int rc;

    if (service == NULL) {
        step->settled = true;
        return SWK_OK;
    }
    rc = swki_slot_load(step->o->alloc, view, service_id, step->slot->number,
                        &slots);
    if (rc != SWK_OK) {
        return swki_fail_nomem(err);
    }
    if (slots.count == 0) {
        step->settled = true; /* scaled down meanwhile */
    } else {
        swki_object_ref(service);
        rc = treat_slot(step, tx, service, &slots, err);
        swki_object_unref(service);
    }
    swki_slots_fini(&slots);
    return rc;
}

static int pause_slot(struct swki_orchestrator *o, struct update_slot *slot)
{
    slot->phase = PAUSING;
    return swki_timers_set(&o->timers, &slot->alarm.timer,
                           o->now + slot->update->delay)
               ? SWK_OK
               : SWK_ENOMEM;
}

static int begin_slot(struct swki_orchestrator *o, struct update_slot *slot,
                      struct swk_error *err)
{
    struct slot_step step = {.o = o, .slot = slot};
    int rc = swki_write(o, slot_step, &step, err);

    if (rc != SWK_OK) {
        return rc;
    }
    slot->phase = STARTING;
    slot->update->active++;
    return step.settled ? pause_slot(o, slot) : SWK_OK;
}

/* -- Moving on ------------------------------------------------------------ */

static int advance(struct swki_orchestrator *o, struct swki_update *update,
                   struct swk_error *err)
{
    swk_time watch = update->monitor_time;
    int rc = SWK_OK;

    while (rc == SWK_OK && !update->stopped &&
           update->active < update->parallelism &&
           update->next < update->slots_count) {
        rc = begin_slot(o, &update->slots[update->next++], err);
    }
    if (rc != SWK_OK || update->active > 0) {
        return rc;
    }
    if (update->stopped) {
        swki_update_free(o, update);
        return SWK_OK;
    }
    if (update->delay >= watch) {
        watch = update->delay + SWK_SECOND;
    }
    return swki_timers_set(&o->timers, &update->monitor.timer, o->now + watch)
               ? SWK_OK
               : SWK_ENOMEM;
}

int swki_update_expired(struct swki_orchestrator *o, struct swki_alarm *alarm,
                        struct swk_error *err)
{
    struct update_slot *slot;
    struct swki_update *update;
    int rc;

    if (alarm->kind == SWKI_ALARM_MONITOR) {
        update = SWKI_CONTAINER(alarm, struct swki_update, monitor);
        rc = complete(o, update->entry->id, update->rollback, err);
        /* What became out of date unseen gets its own update. */
        swki_queue_service(o, update->entry);
        swki_update_free(o, update);
        return rc;
    }
    slot = SWKI_CONTAINER(alarm, struct update_slot, alarm);
    slot->phase = DONE;
    slot->update->active--;
    return advance(o, slot->update, err);
}

/* -- Failures ------------------------------------------------------------- */

static int stop_for(struct swki_orchestrator *o, struct swki_update *update,
                    const char *task_id, struct swk_error *err)
{
    bool back =
        !update->rollback &&
        update->action == SWKPB__UPDATE_CONFIG__FAILURE_ACTION__ROLLBACK;
    bool possible = swki_service(update->service)->previous_spec != NULL;
    char message[160];
    struct status_step step = {
        .o = o,
        .service_id = update->entry->id,
        .message = message,
        .roll_back = back && possible,
    };
    struct swk_error text;

    update->stopped = true;
    swki_timers_cancel(&o->timers, &update->monitor.timer);
    if (step.roll_back) {
        step.state = SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_STARTED;
    } else {
        step.state = update->rollback
                         ? SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_PAUSED
                         : SWKPB__UPDATE_STATUS__UPDATE_STATE__PAUSED;
    }
    swki_fail(&text, SWK_OK,
              "%s due to failure or early termination of task %s%s",
              step.roll_back     ? "update rolled back"
              : update->rollback ? "rollback paused"
                                 : "update paused",
              task_id, back && !possible ? "; there is no previous spec" : "");
    for (size_t i = 0; i < sizeof(message); i++) {
        message[i] = text.text[i];
    }
    message[sizeof(message) - 1] = '\0';
    return swki_write(o, write_status, &step, err);
}

/* Only ends that say something about the new version: a task that was shut
 * down, because its node is emptied or the user asked for it, is none. */
static bool is_failure(const struct update_slot *slot, const Swkpb__Task *task,
                       swk_time now)
{
    Swkpb__TaskState state = swki_task_state(task);

    if (state != SWKPB__TASK_STATE__FAILED &&
        state != SWKPB__TASK_STATE__REJECTED &&
        state != SWKPB__TASK_STATE__COMPLETE) {
        return false;
    }
    return !slot->ran ||
           now - slot->running_since <= slot->update->monitor_time;
}

static int count_failure(struct swki_orchestrator *o, struct update_slot *slot,
                         const Swkpb__Task *task, struct swk_error *err)
{
    struct swki_update *update = slot->update;

    if (slot->failed || update->stopped ||
        update->action == SWKPB__UPDATE_CONFIG__FAILURE_ACTION__CONTINUE ||
        !is_failure(slot, task, o->now)) {
        return SWK_OK;
    }
    slot->failed = true;
    update->failures++;
    if ((float)update->failures / (float)update->slots_count <=
        update->failure_ratio_max) {
        return SWK_OK;
    }
    return stop_for(o, update, task->id, err);
}

/* -- Events --------------------------------------------------------------- */

static int compare_number(const void *key, const void *item)
{
    uint64_t number = *(const uint64_t *)key;
    const struct update_slot *slot = item;

    return number < slot->number ? -1 : number > slot->number;
}

static int on_running(struct swki_orchestrator *o, struct update_slot *slot,
                      struct swk_error *err)
{
    struct slot_step step = {.o = o, .slot = slot, .stop_old_only = true};
    int rc = SWK_OK;

    slot->ran = true;
    slot->running_since = o->now;
    if (slot->update->order ==
        SWKPB__UPDATE_CONFIG__UPDATE_ORDER__START_FIRST) {
        rc = swki_write(o, slot_step, &step, err);
    }
    return rc;
}

/* Whether the task is one of this update's. */
static bool is_new(struct swki_orchestrator *o,
                   const struct swki_update *update,
                   const struct swki_object *task)
{
    const Swkpb__Service *service = swki_service(update->service);

    if (swki_task(task)->spec_version != NULL &&
        service->spec_version != NULL) {
        return swki_task(task)->spec_version->index ==
               service->spec_version->index;
    }
    return !swki_task_dirty(o, swki_store_head(o->base.store), update->service,
                            task);
}

/* Nothing is left in the slot that could reach RUNNING. */
static bool slot_empty(struct swki_orchestrator *o,
                       const struct update_slot *slot)
{
    struct swki_slots slots;
    bool empty = true;

    if (swki_slot_load(o->alloc, swki_store_head(o->base.store),
                       slot->update->entry->id, slot->number,
                       &slots) != SWK_OK) {
        return false;
    }
    for (size_t i = 0; slots.count > 0 && i < slots.items[0].tasks_count; i++) {
        empty = empty && !swki_task_wanted(swki_task(slots.items[0].tasks[i]));
    }
    swki_slots_fini(&slots);
    return empty;
}

static int on_new_task(struct swki_orchestrator *o, struct update_slot *slot,
                       const Swkpb__Task *task, struct swk_error *err)
{
    Swkpb__TaskState state = swki_task_state(task);
    int rc = SWK_OK;

    if (state < SWKPB__TASK_STATE__RUNNING) {
        return SWK_OK;
    }
    if (state == SWKPB__TASK_STATE__RUNNING && !slot->ran) {
        rc = on_running(o, slot, err);
    }
    if (rc == SWK_OK && state > SWKPB__TASK_STATE__RUNNING) {
        rc = count_failure(o, slot, task, err);
        /* A successor starts its own count. */
        slot->ran = false;
    }
    if (rc == SWK_OK && slot->phase == STARTING) {
        rc = pause_slot(o, slot);
    }
    return rc;
}

int swki_update_task_changed(struct swki_orchestrator *o,
                             struct swki_update *update,
                             const struct swki_event *event,
                             struct swk_error *err)
{
    const Swkpb__Task *task = swki_task(event->object);
    struct update_slot *slot =
        bsearch(&task->slot, update->slots, update->slots_count,
                sizeof(*update->slots), compare_number);
    int rc = SWK_OK;

    if (slot == NULL || slot->phase == WAITING) {
        return SWK_OK;
    }
    if (event->change == SWKI_CHANGE_DELETE ||
        task->desired_state >= SWKPB__TASK_STATE__REMOVE) {
        return slot->phase == STARTING && slot_empty(o, slot)
                   ? pause_slot(o, slot)
                   : SWK_OK;
    }
    if (is_new(o, update, event->object)) {
        rc = on_new_task(o, slot, task, err);
    }
    if (update->stopped && update->active == 0) {
        swki_update_free(o, update);
    }
    return rc;
}
