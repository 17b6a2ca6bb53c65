/* SPDX-License-Identifier: Apache-2.0 */

#include "core/orchestrator/reaper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/map.h"
#include "core/orchestrator/slot.h"
#include "core/store/component.h"
#include "core/store/task.h"

enum {
    HISTORY_DEFAULT = 5,
    BATCH_SIZE = 1000, /* items that are not made to wait */
};

static const swk_time interval = 250 * SWK_MILLISECOND;

/* A slot that got a new task, so may have too many. */
struct dirty_slot {
    uint64_t number;
    char *service_id; /* behind the key */
    char key[];
};

struct swki_reaper {
    const struct swk_alloc *alloc;
    struct swki_component base;
    struct swki_map slots; /* of struct dirty_slot, by key */
    struct swki_map tasks; /* IDs to delete, as char * */
    swk_time deadline;     /* when what is queued is worked on */
};

/* -- Queues --------------------------------------------------------------- */

static bool add_slot(struct swki_reaper *r, const Swkpb__Task *task)
{
    size_t id_len = strlen(task->service_id);
    size_t key_size = id_len + 24;
    struct dirty_slot *slot;

    slot = swki_calloc(r->alloc, 1, sizeof(*slot) + key_size + id_len + 1);
    if (slot == NULL) {
        return false;
    }
    slot->number = task->slot;
    slot->service_id = slot->key + key_size;
    memcpy(slot->service_id, task->service_id, id_len + 1);
    snprintf(slot->key, key_size, "%s/%llu", task->service_id,
             (unsigned long long)task->slot);
    if (swki_map_get(&r->slots, slot->key) != NULL) {
        swki_free(r->alloc, slot);
        return true;
    }
    if (!swki_map_put(&r->slots, slot->key, slot)) {
        swki_free(r->alloc, slot);
        return false;
    }
    return true;
}

static bool add_task(struct swki_reaper *r, const char *task_id)
{
    char *id;

    if (swki_map_get(&r->tasks, task_id) != NULL) {
        return true;
    }
    id = swki_strdup(r->alloc, task_id);
    if (id == NULL || !swki_map_put(&r->tasks, id, id)) {
        swki_free(r->alloc, id);
        return false;
    }
    return true;
}

static void drop_slot(struct swki_reaper *r, struct dirty_slot *slot)
{
    swki_map_remove(&r->slots, slot->key);
    swki_free(r->alloc, slot);
}

static void clear(struct swki_reaper *r)
{
    struct dirty_slot *slot;
    size_t cursor = 0;
    char *id;

    while ((slot = swki_map_next(&r->slots, &cursor)) != NULL) {
        drop_slot(r, slot);
    }
    cursor = 0;
    while ((id = swki_map_next(&r->tasks, &cursor)) != NULL) {
        swki_map_remove(&r->tasks, id);
        swki_free(r->alloc, id);
    }
    swki_map_fini(&r->slots);
    swki_map_fini(&r->tasks);
    r->deadline = SWK_NEVER;
}

/* -- What may go ---------------------------------------------------------- */

/* Runs nowhere, and will not. */
static bool is_idle(const Swkpb__Task *task)
{
    return swki_task_terminal(task) ||
           swki_task_state(task) < SWKPB__TASK_STATE__ASSIGNED;
}

static bool is_unneeded(const Swkpb__Task *task)
{
    if (swki_task_state(task) >= SWKPB__TASK_STATE__ORPHANED &&
        task->service_id[0] == '\0') {
        return true;
    }
    return task->desired_state >= SWKPB__TASK_STATE__REMOVE && is_idle(task);
}

/* What history may lose: it ended, or will never begin. */
static bool is_history(const Swkpb__Task *task)
{
    return swki_task_terminal(task) ||
           (swki_task_state(task) < SWKPB__TASK_STATE__ASSIGNED &&
            !swki_task_wanted(task));
}

static int64_t cluster_limit(const struct swki_view *view)
{
    struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *object;
    const Swkpb__ClusterSpec *spec;
    struct swki_cursor cursor;

    if (swki_view_find(view, SWKI_KIND_CLUSTER, &all, &cursor, NULL) !=
        SWK_OK) {
        return HISTORY_DEFAULT;
    }
    object = swki_cursor_next(&cursor);
    swki_cursor_close(&cursor);
    spec = object != NULL ? swki_cluster(object)->spec : NULL;
    return spec != NULL && spec->orchestration != NULL
               ? spec->orchestration->task_history_retention_limit
               : HISTORY_DEFAULT;
}

/* Tasks a slot may have; negative for any number. */
static int64_t slot_limit(const struct swki_view *view,
                          const struct swki_object *service)
{
    const Swkpb__ServiceSpec *spec = swki_service(service)->spec;
    const Swkpb__RestartPolicy *restart =
        spec != NULL && spec->task != NULL ? spec->task->restart : NULL;

    /* The restart policy is decided by what is kept here. */
    if (restart != NULL && restart->max_attempts > 0) {
        return restart->max_attempts < INT32_MAX
                   ? (int64_t)restart->max_attempts + 1
                   : -1;
    }
    return cluster_limit(view);
}

/* -- History -------------------------------------------------------------- */

static int by_age(const void *left, const void *right)
{
    const Swkpb__Task *a = swki_task(*(const struct swki_object *const *)left);
    const Swkpb__Task *b = swki_task(*(const struct swki_object *const *)right);
    swk_wall time_a = swki_task_status_time(a);
    swk_wall time_b = swki_task_status_time(b);

    if (time_a != time_b) {
        return time_a < time_b ? -1 : 1;
    }
    return strcmp(a->id, b->id);
}

/* Queues what is too much of a slot. */
static bool trim(struct swki_reaper *r, struct swki_slot *slot, int64_t limit,
                 bool *out_busy)
{
    size_t left = slot->tasks_count;
    size_t alive = 0;

    qsort(slot->tasks, slot->tasks_count, sizeof(*slot->tasks), by_age);
    for (size_t i = 0; i < slot->tasks_count && (int64_t)left > limit; i++) {
        const Swkpb__Task *task = swki_task(slot->tasks[i]);

        if (!is_history(task)) {
            alive++;
        } else if (!add_task(r, task->id)) {
            return false;
        } else {
            left--;
        }
    }
    /* An update is under way: look again when it is over. */
    *out_busy = alive > 1;
    return true;
}

static int examine(struct swki_reaper *r, struct dirty_slot *dirty)
{
    const struct swki_view *view = swki_store_head(r->base.store);
    const struct swki_object *service =
        swki_view_get(view, SWKI_KIND_SERVICE, dirty->service_id);
    struct swki_slots slots;
    bool busy = false;
    bool fits = true;
    int64_t limit;
    int rc;

    if (service == NULL) {
        drop_slot(r, dirty);
        return SWK_OK;
    }
    limit = slot_limit(view, service);
    if (limit >= 0) {
        rc = swki_slot_load(r->alloc, view, dirty->service_id, dirty->number,
                            &slots);
        if (rc != SWK_OK) {
            return rc;
        }
        if (slots.count > 0 && (int64_t)slots.items[0].tasks_count > limit) {
            fits = trim(r, &slots.items[0], limit, &busy);
        }
        swki_slots_fini(&slots);
    }
    if (!busy) {
        drop_slot(r, dirty);
    }
    return fits ? SWK_OK : SWK_ENOMEM;
}

/* -- Deleting ------------------------------------------------------------- */

static int delete_step(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    const char *task_id = ctx;
    const struct swki_object *stored =
        swki_view_get(swki_tx_view(tx), SWKI_KIND_TASK, task_id);

    if (stored == NULL ||
        (!is_history(swki_task(stored)) && !is_unneeded(swki_task(stored)))) {
        return SWK_OK;
    }
    return swki_tx_delete(tx, SWKI_KIND_TASK, task_id, err);
}

static int delete_queued(struct swki_reaper *r, swk_wall wall,
                         struct swk_error *err)
{
    struct swki_batch batch;
    size_t cursor = 0;
    int rc = SWK_OK;
    int end;
    char *id;

    swki_batch_init(&batch, r->base.store, SWKI_ACTOR_REAPER, wall);
    for (int i = 0; rc == SWK_OK && i < SWKI_COMPONENT_STEP_CHANGES; i++) {
        id = swki_map_next(&r->tasks, &cursor);
        if (id == NULL) {
            break;
        }
        rc = swki_batch_step(&batch, delete_step, id, err);
        swki_map_remove(&r->tasks, id);
        swki_free(r->alloc, id);
    }
    end = swki_batch_end(&batch, err);
    return rc != SWK_OK ? rc : end;
}

/* A slot that is busy stays queued, but wakes nobody: the next task of any
 * slot does. */
static int process(struct swki_reaper *r, swk_time now, swk_wall wall,
                   struct swk_error *err)
{
    struct dirty_slot *slot;
    size_t cursor = 0;
    int rc = SWK_OK;

    r->deadline = SWK_NEVER;
    while (rc == SWK_OK && (slot = swki_map_next(&r->slots, &cursor)) != NULL) {
        rc = examine(r, slot);
    }
    if (rc == SWK_OK) {
        rc = delete_queued(r, wall, err);
    }
    if (r->tasks.count > 0) {
        r->deadline = now;
    }
    return rc;
}

/* -- Events --------------------------------------------------------------- */

static bool on_task(struct swki_reaper *r, const struct swki_event *event)
{
    const Swkpb__Task *task = swki_task(event->object);

    if (event->change == SWKI_CHANGE_DELETE) {
        return true;
    }
    if (event->change == SWKI_CHANGE_CREATE && task->service_id[0] != '\0' &&
        !add_slot(r, task)) {
        return false;
    }
    return !is_unneeded(task) || add_task(r, task->id);
}

static int drain(struct swki_reaper *r, swk_time now)
{
    for (int i = 0; i < SWKI_COMPONENT_STEP_EVENTS; i++) {
        const struct swki_event *event = swki_component_next(&r->base);

        if (event == NULL) {
            break;
        }
        if (!on_task(r, event)) {
            return SWK_ENOMEM;
        }
        if (r->deadline == SWK_NEVER &&
            (r->slots.count > 0 || r->tasks.count > 0)) {
            r->deadline = now + interval;
        }
    }
    if (r->slots.count + r->tasks.count > BATCH_SIZE) {
        r->deadline = now;
    }
    return SWK_OK;
}

static int rebuild(struct swki_reaper *r, swk_time now)
{
    struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *task;
    struct swki_cursor cursor;
    int rc;

    clear(r);
    if (!swki_component_restart(&r->base)) {
        return SWK_ENOMEM;
    }
    rc = swki_view_find(swki_store_head(r->base.store), SWKI_KIND_TASK, &all,
                        &cursor, NULL);
    if (rc != SWK_OK) {
        return rc;
    }
    while (rc == SWK_OK && (task = swki_cursor_next(&cursor)) != NULL) {
        if (is_unneeded(swki_task(task)) &&
            !add_task(r, swki_object_id(task))) {
            rc = SWK_ENOMEM;
        }
    }
    swki_cursor_close(&cursor);
    r->deadline = now;
    return rc;
}

/* -- The machine ---------------------------------------------------------- */

int swki_reaper_new(const struct swki_reaper_config *config,
                    struct swki_reaper **out_reaper, struct swk_error *err)
{
    struct swki_reaper *r = swki_calloc(config->alloc, 1, sizeof(*r));

    if (r == NULL) {
        return swki_fail_nomem(err);
    }
    r->alloc = config->alloc;
    r->deadline = SWK_NEVER;
    swki_component_init(&r->base, "reaper", config->store, config->logger,
                        1u << SWKI_KIND_TASK);
    swki_map_init(&r->slots, config->alloc);
    swki_map_init(&r->tasks, config->alloc);
    *out_reaper = r;
    return SWK_OK;
}

void swki_reaper_free(struct swki_reaper *r)
{
    if (r == NULL) {
        return;
    }
    clear(r);
    swki_component_fini(&r->base);
    swki_free(r->alloc, r);
}

void swki_reaper_start(struct swki_reaper *r, swk_time now, swk_wall wall)
{
    swki_reaper_step(r, now, wall);
}

void swki_reaper_step(struct swki_reaper *r, swk_time now, swk_wall wall)
{
    struct swk_error err = {0};
    int rc;

    if (!swki_component_due(&r->base, now)) {
        return;
    }
    rc = r->base.stale ? rebuild(r, now) : SWK_OK;
    if (rc == SWK_OK) {
        rc = drain(r, now);
    }
    if (rc == SWK_OK && r->deadline <= now &&
        swki_component_can_write(&r->base)) {
        rc = process(r, now, wall, &err);
    }
    if (rc != SWK_OK) {
        swki_component_failed(&r->base, now, rc, err.text);
    } else {
        swki_component_succeeded(&r->base);
    }
}

bool swki_reaper_pending(const struct swki_reaper *r)
{
    return swki_component_pending(&r->base);
}

swk_time swki_reaper_deadline(const struct swki_reaper *r)
{
    return swki_component_deadline(&r->base, r->deadline);
}
