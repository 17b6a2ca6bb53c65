/* SPDX-License-Identifier: Apache-2.0 */

#include "core/orchestrator/orchestrator.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/orchestrator/state.h"
#include "core/store/task.h"
#include "wire/time.h"

/* -- Queues --------------------------------------------------------------- */

struct swki_service_entry *swki_service_entry(struct swki_orchestrator *o,
                                              const char *id)
{
    struct swki_service_entry *entry = swki_map_get(&o->services, id);
    size_t size = strlen(id) + 1;

    if (entry != NULL) {
        return entry;
    }
    entry = swki_calloc(o->alloc, 1, sizeof(*entry) + size);
    if (entry == NULL) {
        return NULL;
    }
    memcpy(entry->id, id, size);
    swki_list_init(&entry->starts);
    if (!swki_map_put(&o->services, entry->id, entry)) {
        swki_free(o->alloc, entry);
        return NULL;
    }
    return entry;
}

static void forget_service(struct swki_orchestrator *o, const char *id)
{
    struct swki_service_entry *entry = swki_map_remove(&o->services, id);

    if (entry == NULL) {
        return;
    }
    swki_update_free(o, entry->update);
    while (!swki_list_empty(&entry->starts)) {
        swki_start_cancel(
            o, SWKI_CONTAINER(entry->starts.next, struct swki_start, link)
                   ->task_id);
    }
    o->services_queued -= entry->queued ? 1 : 0;
    swki_free(o->alloc, entry);
}

void swki_queue_service(struct swki_orchestrator *o,
                        struct swki_service_entry *entry)
{
    if (!entry->queued) {
        entry->queued = true;
        o->services_queued++;
    }
}

bool swki_queue_restart(struct swki_orchestrator *o, const char *task_id)
{
    char *id;

    if (swki_map_get(&o->restarts, task_id) != NULL) {
        return true;
    }
    id = swki_strdup(o->alloc, task_id);
    if (id == NULL || !swki_map_put(&o->restarts, id, id)) {
        swki_free(o->alloc, id);
        return false;
    }
    return true;
}

static void clear(struct swki_orchestrator *o)
{
    struct swki_service_entry *entry;
    size_t cursor = 0;
    char *id;

    while ((entry = swki_map_next(&o->services, &cursor)) != NULL) {
        forget_service(o, entry->id);
    }
    cursor = 0;
    while ((id = swki_map_next(&o->restarts, &cursor)) != NULL) {
        swki_map_remove(&o->restarts, id);
        swki_free(o->alloc, id);
    }
    swki_map_fini(&o->services);
    swki_map_fini(&o->restarts);
    swki_map_fini(&o->starts);
    o->services_queued = 0;
}

/* -- Writing -------------------------------------------------------------- */

int swki_write(struct swki_orchestrator *o, swki_step_fn step, void *ctx,
               struct swk_error *err)
{
    return swki_batch_step(&o->batch, step, ctx, err);
}

static void open_batch(struct swki_orchestrator *o)
{
    swki_batch_init(&o->batch, o->base.store, SWKI_ACTOR_ORCHESTRATOR, o->wall);
}

int swki_flush(struct swki_orchestrator *o, struct swk_error *err)
{
    int rc = swki_batch_end(&o->batch, err);

    open_batch(o);
    return rc;
}

/* -- Events --------------------------------------------------------------- */

static const struct swki_object *
replicated_service(const struct swki_view *view, const char *service_id)
{
    const struct swki_object *service =
        swki_view_get(view, SWKI_KIND_SERVICE, service_id);

    return service != NULL && swki_is_replicated(service) ? service : NULL;
}

/* Whether an end or a lost node calls for the restart supervisor. */
static bool needs_restart(const struct swki_view *view, const Swkpb__Task *task)
{
    if (!swki_task_wanted(task) ||
        replicated_service(view, task->service_id) == NULL) {
        return false;
    }
    return swki_task_terminal(task) ||
           (task->node_id[0] != '\0' && swki_node_invalid(view, task->node_id));
}

static int on_service(struct swki_orchestrator *o,
                      const struct swki_event *event, struct swk_error *err)
{
    struct swki_service_entry *entry;

    if (event->change == SWKI_CHANGE_DELETE) {
        forget_service(o, swki_object_id(event->object));
        return swki_remove_tasks_of(o, swki_object_id(event->object), err);
    }
    if (!swki_is_replicated(event->object)) {
        return SWK_OK;
    }
    entry = swki_service_entry(o, swki_object_id(event->object));
    if (entry == NULL) {
        return swki_fail_nomem(err);
    }
    swki_queue_service(o, entry);
    return SWK_OK;
}

static int queue_node_tasks(struct swki_orchestrator *o, const char *node_id,
                            struct swk_error *err)
{
    const struct swki_view *view = swki_store_head(o->base.store);
    struct swki_selector selector = {.by = SWKI_BY_NODE_ID, .text = node_id};
    const struct swki_object *task;
    struct swki_cursor cursor;
    int rc = swki_view_find(view, SWKI_KIND_TASK, &selector, &cursor, err);

    if (rc != SWK_OK) {
        return rc;
    }
    while (rc == SWK_OK && (task = swki_cursor_next(&cursor)) != NULL) {
        if (needs_restart(view, swki_task(task)) &&
            !swki_queue_restart(o, swki_object_id(task))) {
            rc = swki_fail_nomem(err);
        }
    }
    swki_cursor_close(&cursor);
    return rc;
}

static int on_node(struct swki_orchestrator *o, const struct swki_event *event,
                   struct swk_error *err)
{
    const char *id = swki_object_id(event->object);
    int rc;

    if (!swki_node_invalid(swki_store_head(o->base.store), id)) {
        return SWK_OK;
    }
    rc = queue_node_tasks(o, id, err);
    return rc == SWK_OK ? swki_starts_recheck_all(o, err) : rc;
}

static int on_task_deleted(struct swki_orchestrator *o,
                           const struct swki_event *event,
                           struct swki_service_entry *entry)
{
    swki_start_cancel(o, swki_object_id(event->object));
    if (entry != NULL && swki_task_wanted(swki_task(event->object))) {
        swki_queue_service(o, entry);
    }
    return SWK_OK;
}

static int on_task(struct swki_orchestrator *o, const struct swki_event *event,
                   struct swk_error *err)
{
    const Swkpb__Task *task = swki_task(event->object);
    struct swki_service_entry *entry =
        swki_map_get(&o->services, task->service_id);
    int rc = SWK_OK;

    if (event->change == SWKI_CHANGE_DELETE) {
        rc = on_task_deleted(o, event, entry);
    } else if (needs_restart(swki_store_head(o->base.store), task) &&
               !swki_queue_restart(o, task->id)) {
        rc = swki_fail_nomem(err);
    }
    if (rc == SWK_OK && entry != NULL && entry->update != NULL) {
        rc = swki_update_task_changed(o, entry->update, event, err);
    }
    if (rc == SWK_OK && entry != NULL && !swki_list_empty(&entry->starts) &&
        (event->change == SWKI_CHANGE_DELETE || swki_task_terminal(task))) {
        rc = swki_starts_recheck(o, entry, task->slot, err);
    }
    return rc;
}

static int dispatch(struct swki_orchestrator *o, const struct swki_event *event,
                    struct swk_error *err)
{
    switch (event->kind) {
    case SWKI_KIND_SERVICE:
        return on_service(o, event, err);
    case SWKI_KIND_NODE:
        return on_node(o, event, err);
    case SWKI_KIND_TASK:
        return on_task(o, event, err);
    default:
        return SWK_OK;
    }
}

static int drain(struct swki_orchestrator *o, struct swk_error *err)
{
    int rc = SWK_OK;

    for (int i = 0; rc == SWK_OK && i < SWKI_COMPONENT_STEP_EVENTS; i++) {
        const struct swki_event *next = swki_component_next(&o->base);
        struct swki_event event;

        if (next == NULL) {
            break;
        }
        /* Handling it may write, and what is written makes events. */
        event = *next;
        swki_object_ref(event.object);
        rc = dispatch(o, &event, err);
        swki_object_unref(event.object);
    }
    return rc;
}

/* -- A new leader --------------------------------------------------------- */

/* A start that was pending goes on where its creation says it was. */
static int resume_start(struct swki_orchestrator *o, const Swkpb__Task *task)
{
    const Swkpb__RestartPolicy *policy =
        task->spec != NULL ? task->spec->restart : NULL;
    swk_time delay = swki_duration_get(policy != NULL ? policy->delay : NULL,
                                       SWKI_RESTART_DELAY);
    swk_wall created =
        task->meta != NULL ? swki_timestamp_get(task->meta->created_at) : 0;
    swk_wall passed = o->wall - created;

    if (passed > 0) {
        delay = (swk_time)passed < delay ? delay - (swk_time)passed : 0;
    }
    return swki_start_later(o, task, delay);
}

static int remove_orphan(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    const char *task_id = ctx;

    return swki_raise_desired(tx, task_id, SWKPB__TASK_STATE__REMOVE, err);
}

static int init_task(struct swki_orchestrator *o, const struct swki_view *view,
                     const Swkpb__Task *task, struct swk_error *err)
{
    if (task->service_id[0] == '\0') {
        return SWK_OK;
    }
    if (swki_view_get(view, SWKI_KIND_SERVICE, task->service_id) == NULL) {
        return task->desired_state < SWKPB__TASK_STATE__REMOVE
                   ? swki_write(o, remove_orphan, task->id, err)
                   : SWK_OK;
    }
    if (replicated_service(view, task->service_id) == NULL) {
        return SWK_OK;
    }
    if (needs_restart(view, task) && !swki_queue_restart(o, task->id)) {
        return swki_fail_nomem(err);
    }
    if (task->desired_state == SWKPB__TASK_STATE__READY &&
        swki_task_state(task) <= SWKPB__TASK_STATE__COMPLETE) {
        return resume_start(o, task);
    }
    return SWK_OK;
}

static int read_services(struct swki_orchestrator *o,
                         const struct swki_view *view, struct swk_error *err)
{
    struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *service;
    struct swki_cursor cursor;
    int rc = swki_view_find(view, SWKI_KIND_SERVICE, &all, &cursor, err);

    if (rc != SWK_OK) {
        return rc;
    }
    while (rc == SWK_OK && (service = swki_cursor_next(&cursor)) != NULL) {
        struct swki_service_entry *entry;

        if (!swki_is_replicated(service)) {
            continue;
        }
        entry = swki_service_entry(o, swki_object_id(service));
        if (entry == NULL) {
            rc = swki_fail_nomem(err);
        } else {
            swki_queue_service(o, entry);
        }
    }
    swki_cursor_close(&cursor);
    return rc;
}

static int read_tasks(struct swki_orchestrator *o, const struct swki_view *view,
                      struct swk_error *err)
{
    struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *task;
    struct swki_cursor cursor;
    int rc = swki_view_find(view, SWKI_KIND_TASK, &all, &cursor, err);

    if (rc != SWK_OK) {
        return rc;
    }
    while (rc == SWK_OK && (task = swki_cursor_next(&cursor)) != NULL) {
        rc = init_task(o, view, swki_task(task), err);
    }
    swki_cursor_close(&cursor);
    return rc;
}

static int rebuild(struct swki_orchestrator *o, struct swk_error *err)
{
    const struct swki_view *view;
    int rc;

    clear(o);
    if (!swki_component_restart(&o->base)) {
        return swki_fail_nomem(err);
    }
    view = swki_view_ref(swki_store_head(o->base.store));
    rc = read_services(o, view, err);
    if (rc == SWK_OK) {
        rc = read_tasks(o, view, err);
    }
    swki_view_unref(view);
    return rc;
}

/* -- A step --------------------------------------------------------------- */

static int expire(struct swki_orchestrator *o, struct swk_error *err)
{
    struct swki_timer *timer;
    int rc = SWK_OK;

    while (rc == SWK_OK &&
           (timer = swki_timers_expire(&o->timers, o->now)) != NULL) {
        struct swki_alarm *alarm =
            SWKI_CONTAINER(timer, struct swki_alarm, timer);

        if (alarm->kind == SWKI_ALARM_START) {
            rc = swki_start_expired(
                o, SWKI_CONTAINER(alarm, struct swki_start, alarm), err);
        } else {
            rc = swki_update_expired(o, alarm, err);
        }
    }
    return rc;
}

static int restart_queued(struct swki_orchestrator *o, struct swk_error *err)
{
    size_t cursor = 0;
    int rc = SWK_OK;
    char *id;

    for (int i = 0; rc == SWK_OK && i < SWKI_COMPONENT_STEP_CHANGES; i++) {
        id = swki_map_next(&o->restarts, &cursor);
        if (id == NULL) {
            break;
        }
        rc = swki_restart(o, id, err);
        swki_map_remove(&o->restarts, id);
        swki_free(o->alloc, id);
    }
    return rc;
}

/* After the restarts, so that an ended task is replaced in its slot rather
 * than seen as a slot that is missing. */
static int reconcile_queued(struct swki_orchestrator *o, struct swk_error *err)
{
    struct swki_service_entry *entry;
    size_t cursor = 0;
    int rc = SWK_OK;

    if (o->services_queued == 0 || o->restarts.count > 0) {
        return SWK_OK;
    }
    while (rc == SWK_OK &&
           (entry = swki_map_next(&o->services, &cursor)) != NULL) {
        if (entry->queued) {
            entry->queued = false;
            o->services_queued--;
            rc = swki_reconcile(o, entry, err);
        }
    }
    return rc;
}

typedef int (*phase_fn)(struct swki_orchestrator *o, struct swk_error *err);

/* Each phase sees in head what those before it wrote. */
static int work(struct swki_orchestrator *o, struct swk_error *err)
{
    static const phase_fn phases[] = {drain, expire, restart_queued,
                                      reconcile_queued};
    int rc = o->base.stale ? rebuild(o, err) : SWK_OK;
    int end = swki_flush(o, err);

    rc = rc != SWK_OK ? rc : end;
    for (size_t i = 0; rc == SWK_OK && i < sizeof(phases) / sizeof(phases[0]);
         i++) {
        rc = phases[i](o, err);
        end = swki_flush(o, err);
        rc = rc != SWK_OK ? rc : end;
    }
    return rc;
}

/* -- The machine ---------------------------------------------------------- */

int swki_orchestrator_new(const struct swki_orchestrator_config *config,
                          struct swki_orchestrator **out_orchestrator,
                          struct swk_error *err)
{
    struct swki_orchestrator *o = swki_calloc(config->alloc, 1, sizeof(*o));

    if (o == NULL) {
        return swki_fail_nomem(err);
    }
    o->alloc = config->alloc;
    o->node_id = swki_strdup(config->alloc, config->node_id);
    swki_component_init(&o->base, "orchestrator", config->store, config->logger,
                        1u << SWKI_KIND_SERVICE | 1u << SWKI_KIND_TASK |
                            1u << SWKI_KIND_NODE);
    swki_rng_init(&o->rng, config->seed);
    swki_timers_init(&o->timers, config->alloc);
    swki_map_init(&o->services, config->alloc);
    swki_map_init(&o->restarts, config->alloc);
    swki_map_init(&o->starts, config->alloc);
    if (o->node_id == NULL) {
        swki_orchestrator_free(o);
        return swki_fail_nomem(err);
    }
    *out_orchestrator = o;
    return SWK_OK;
}

void swki_orchestrator_free(struct swki_orchestrator *o)
{
    if (o == NULL) {
        return;
    }
    clear(o);
    swki_timers_fini(&o->timers);
    swki_component_fini(&o->base);
    swki_free(o->alloc, o->node_id);
    swki_free(o->alloc, o);
}

void swki_orchestrator_start(struct swki_orchestrator *o, swk_time now,
                             swk_wall wall)
{
    swki_orchestrator_step(o, now, wall);
}

void swki_orchestrator_step(struct swki_orchestrator *o, swk_time now,
                            swk_wall wall)
{
    struct swk_error err = {0};
    int rc;

    if (!swki_component_due(&o->base, now) ||
        !swki_component_can_write(&o->base)) {
        return;
    }
    o->now = now;
    o->wall = wall;
    open_batch(o);
    rc = work(o, &err);
    if (rc != SWK_OK) {
        swki_component_failed(&o->base, now, rc, err.text);
    } else {
        swki_component_succeeded(&o->base);
    }
}

bool swki_orchestrator_pending(const struct swki_orchestrator *o)
{
    if (!swki_component_can_write(&o->base)) {
        return false;
    }
    return swki_component_pending(&o->base) ||
           (o->base.retry_at == 0 &&
            (o->restarts.count > 0 || o->services_queued > 0));
}

swk_time swki_orchestrator_deadline(const struct swki_orchestrator *o)
{
    return swki_component_deadline(&o->base, swki_timers_deadline(&o->timers));
}
