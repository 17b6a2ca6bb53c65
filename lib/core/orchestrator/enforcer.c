/* SPDX-License-Identifier: Apache-2.0 */

#include "core/orchestrator/enforcer.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"
#include "core/scheduler/constraint.h"
#include "core/store/component.h"
#include "core/store/task.h"
#include "wire/time.h"

struct swki_enforcer {
    const struct swk_alloc *alloc;
    struct swki_component base;
    char *node_id;
    struct swki_map queue; /* IDs of nodes to check, as char * */
};

/* -- What a node has left ------------------------------------------------- */

struct generic {
    const Swkpb__GenericResource *advertised;
    int64_t left; /* of a discrete one; 1 or 0 of a named one */
};

struct remains {
    struct swki_arena arena;
    int64_t cpus;
    int64_t memory;
    struct generic *generic;
    size_t generic_count;
};

static bool is_discrete(const Swkpb__GenericResource *resource)
{
    return resource->resource_case ==
           SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC;
}

static bool is_named(const Swkpb__GenericResource *resource)
{
    return resource->resource_case ==
           SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC;
}

static int remains_init(struct remains *out, const struct swk_alloc *alloc,
                        const Swkpb__Node *node)
{
    const Swkpb__Resources *has =
        node->description != NULL ? node->description->resources : NULL;

    *out = (struct remains){.cpus = 0};
    swki_arena_init(&out->arena, alloc, SIZE_MAX);
    if (has == NULL) {
        return SWK_OK;
    }
    out->cpus = has->nano_cpus;
    out->memory = has->memory_bytes;
    out->generic = swki_arena_calloc(&out->arena, has->n_generic + 1,
                                     sizeof(*out->generic));
    if (out->generic == NULL) {
        return SWK_ENOMEM;
    }
    out->generic_count = has->n_generic;
    for (size_t i = 0; i < has->n_generic; i++) {
        const Swkpb__GenericResource *one = has->generic[i];

        out->generic[i].advertised = one;
        out->generic[i].left =
            is_discrete(one) ? one->discrete_resource_spec->value : 1;
    }
    return SWK_OK;
}

static bool take_generic(struct remains *remains,
                         const Swkpb__GenericResource *wanted)
{
    for (size_t i = 0; i < remains->generic_count; i++) {
        struct generic *one = &remains->generic[i];
        const Swkpb__GenericResource *has = one->advertised;

        if (is_discrete(wanted) && is_discrete(has) &&
            strcmp(wanted->discrete_resource_spec->kind,
                   has->discrete_resource_spec->kind) == 0) {
            if (one->left < wanted->discrete_resource_spec->value) {
                return false;
            }
            one->left -= wanted->discrete_resource_spec->value;
            return true;
        }
        if (is_named(wanted) && is_named(has) && one->left > 0 &&
            strcmp(wanted->named_resource_spec->kind,
                   has->named_resource_spec->kind) == 0 &&
            strcmp(wanted->named_resource_spec->value,
                   has->named_resource_spec->value) == 0) {
            one->left = 0;
            return true;
        }
    }
    return false;
}

static bool take_all(struct remains *remains, const Swkpb__Task *task)
{
    const Swkpb__Resources *reserved =
        task->spec != NULL && task->spec->resources != NULL
            ? task->spec->resources->reservations
            : NULL;
    bool fits = true;

    if (reserved != NULL &&
        ((reserved->nano_cpus > 0 && reserved->nano_cpus > remains->cpus) ||
         (reserved->memory_bytes > 0 &&
          reserved->memory_bytes > remains->memory))) {
        return false;
    }
    for (size_t i = 0; fits && i < task->n_assigned_generic_resources; i++) {
        fits = take_generic(remains, task->assigned_generic_resources[i]);
    }
    if (fits && reserved != NULL) {
        remains->cpus -= reserved->nano_cpus;
        remains->memory -= reserved->memory_bytes;
    }
    return fits;
}

/* -- One task ------------------------------------------------------------- */

/* Those of the service as it is now: an update of the placement alone does not
 * replace tasks, so their own copy may be old. */
static const Swkpb__Placement *placement_of(const struct swki_view *view,
                                            const Swkpb__Task *task)
{
    const struct swki_object *service =
        swki_view_get(view, SWKI_KIND_SERVICE, task->service_id);
    const Swkpb__TaskSpec *spec = task->spec;

    if (service != NULL && swki_service(service)->spec != NULL) {
        spec = swki_service(service)->spec->task;
    }
    return spec != NULL ? spec->placement : NULL;
}

static bool constraints_hold(struct swki_enforcer *e,
                             const struct swki_view *view,
                             const Swkpb__Task *task, const Swkpb__Node *node)
{
    const Swkpb__Placement *placement = placement_of(view, task);
    struct swki_constraints constraints;
    bool match;

    if (placement == NULL || placement->n_constraints == 0 ||
        swki_constraints_parse(e->alloc, placement->constraints,
                               placement->n_constraints, &constraints,
                               NULL) != SWK_OK) {
        return true;
    }
    match = swki_constraints_match(&constraints, node);
    swki_constraints_fini(&constraints);
    return match;
}

static bool is_live(const Swkpb__Task *task)
{
    return task->desired_state >= SWKPB__TASK_STATE__ASSIGNED &&
           task->desired_state <= SWKPB__TASK_STATE__COMPLETE &&
           swki_task_state(task) < SWKPB__TASK_STATE__COMPLETE;
}

struct evict_step {
    struct swki_enforcer *enforcer;
    const char *task_id;
    swk_wall wall;
};

static int evict_step(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    const struct evict_step *step = ctx;
    const struct swki_object *stored =
        swki_view_get(swki_tx_view(tx), SWKI_KIND_TASK, step->task_id);
    struct swki_task_report report = {
        .state = SWKPB__TASK_STATE__REJECTED,
        .message = "task rejected by constraint enforcer",
        .err = "assigned node no longer meets constraints",
        .applied_by = step->enforcer->node_id,
        .wall = step->wall,
    };
    struct swki_object *next;

    if (stored == NULL || !is_live(swki_task(stored))) {
        return SWK_OK;
    }
    next = swki_object_edit(stored);
    if (next == NULL || swki_task_report(next, &report) != SWK_OK) {
        swki_object_unref(next);
        return swki_fail_nomem(err);
    }
    return swki_tx_update(tx, next, err);
}

/* -- One node ------------------------------------------------------------- */

static int oldest_first(const void *left, const void *right)
{
    const Swkpb__Task *a = swki_task(*(const struct swki_object *const *)left);
    const Swkpb__Task *b = swki_task(*(const struct swki_object *const *)right);
    swk_wall time_a =
        a->meta != NULL ? swki_timestamp_get(a->meta->created_at) : 0;
    swk_wall time_b =
        b->meta != NULL ? swki_timestamp_get(b->meta->created_at) : 0;

    if (time_a != time_b) {
        return time_a < time_b ? -1 : 1;
    }
    return strcmp(a->id, b->id);
}

/* The node's live tasks, in memory of the arena. */
static int load_tasks(const struct swki_view *view, const char *node_id,
                      struct swki_arena *arena,
                      const struct swki_object ***out_tasks, size_t *out_count)
{
    struct swki_selector selector = {.by = SWKI_BY_NODE_ID, .text = node_id};
    const struct swki_object **tasks = NULL;
    const struct swki_object *task;
    struct swki_cursor cursor;
    size_t size = 0;
    int rc = swki_view_find(view, SWKI_KIND_TASK, &selector, &cursor, NULL);

    if (rc != SWK_OK) {
        return rc;
    }
    *out_count = 0;
    while (rc == SWK_OK && (task = swki_cursor_next(&cursor)) != NULL) {
        if (!is_live(swki_task(task)) ||
            swki_task_state(swki_task(task)) < SWKPB__TASK_STATE__ASSIGNED) {
            continue;
        }
        if (*out_count == size) {
            const struct swki_object **more =
                swki_arena_alloc(arena, (size * 2 + 16) * sizeof(*more));

            if (more == NULL) {
                rc = SWK_ENOMEM;
                break;
            }
            if (size > 0) {
                memcpy(more, tasks, size * sizeof(*more));
            }
            size = size * 2 + 16;
            tasks = more;
        }
        tasks[(*out_count)++] = task;
    }
    swki_cursor_close(&cursor);
    *out_tasks = tasks;
    return rc;
}

/* The oldest tasks keep their place, so the choice is small and repeatable. */
static int check_tasks(struct swki_enforcer *e, struct swki_batch *batch,
                       const struct swki_view *view, const Swkpb__Node *node,
                       struct remains *remains, struct swk_error *err)
{
    const struct swki_object **tasks;
    size_t count;
    int rc = load_tasks(view, node->id, &remains->arena, &tasks, &count);

    if (rc != SWK_OK) {
        return swki_fail_nomem(err);
    }
    if (count > 0) {
        qsort(tasks, count, sizeof(*tasks), oldest_first);
    }
    for (size_t i = 0; rc == SWK_OK && i < count; i++) {
        struct evict_step step = {e, swki_object_id(tasks[i]), batch->wall};

        if (!constraints_hold(e, view, swki_task(tasks[i]), node) ||
            !take_all(remains, swki_task(tasks[i]))) {
            rc = swki_batch_step(batch, evict_step, &step, err);
        }
    }
    return rc;
}

static int check_node(struct swki_enforcer *e, struct swki_batch *batch,
                      const char *id, struct swk_error *err)
{
    const struct swki_view *view =
        swki_view_ref(swki_store_head(e->base.store));
    const struct swki_object *object = swki_view_get(view, SWKI_KIND_NODE, id);
    const Swkpb__Node *node = object != NULL ? swki_node(object) : NULL;
    struct remains remains;
    int rc = SWK_OK;

    if (node != NULL &&
        (node->spec == NULL ||
         node->spec->availability == SWKPB__NODE_SPEC__AVAILABILITY__ACTIVE)) {
        rc = remains_init(&remains, e->alloc, node);
        if (rc == SWK_OK) {
            rc = check_tasks(e, batch, view, node, &remains, err);
        }
        swki_arena_fini(&remains.arena);
    }
    swki_view_unref(view);
    return rc;
}

/* -- The machine ---------------------------------------------------------- */

static bool queue_node(struct swki_enforcer *e, const char *node_id)
{
    char *id;

    if (swki_map_get(&e->queue, node_id) != NULL) {
        return true;
    }
    id = swki_strdup(e->alloc, node_id);
    if (id == NULL || !swki_map_put(&e->queue, id, id)) {
        swki_free(e->alloc, id);
        return false;
    }
    return true;
}

static void clear(struct swki_enforcer *e)
{
    size_t cursor = 0;
    char *id;

    while ((id = swki_map_next(&e->queue, &cursor)) != NULL) {
        swki_map_remove(&e->queue, id);
        swki_free(e->alloc, id);
    }
    swki_map_fini(&e->queue);
}

static int rebuild(struct swki_enforcer *e)
{
    struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *node;
    struct swki_cursor cursor;
    int rc;

    clear(e);
    if (!swki_component_restart(&e->base)) {
        return SWK_ENOMEM;
    }
    rc = swki_view_find(swki_store_head(e->base.store), SWKI_KIND_NODE, &all,
                        &cursor, NULL);
    if (rc != SWK_OK) {
        return rc;
    }
    while (rc == SWK_OK && (node = swki_cursor_next(&cursor)) != NULL) {
        rc = queue_node(e, swki_object_id(node)) ? SWK_OK : SWK_ENOMEM;
    }
    swki_cursor_close(&cursor);
    return rc;
}

static int drain(struct swki_enforcer *e)
{
    for (int i = 0; i < SWKI_COMPONENT_STEP_EVENTS; i++) {
        const struct swki_event *event = swki_component_next(&e->base);

        if (event == NULL) {
            break;
        }
        if (event->change != SWKI_CHANGE_DELETE &&
            !queue_node(e, swki_object_id(event->object))) {
            return SWK_ENOMEM;
        }
    }
    return SWK_OK;
}

static int work(struct swki_enforcer *e, swk_wall wall, struct swk_error *err)
{
    struct swki_batch batch;
    size_t cursor = 0;
    int rc = e->base.stale ? rebuild(e) : SWK_OK;
    int end;
    char *id;

    if (rc == SWK_OK) {
        rc = drain(e);
    }
    if (rc != SWK_OK || !swki_component_can_write(&e->base)) {
        return rc;
    }
    swki_batch_init(&batch, e->base.store, SWKI_ACTOR_ENFORCER, wall);
    while (rc == SWK_OK && (id = swki_map_next(&e->queue, &cursor)) != NULL) {
        rc = check_node(e, &batch, id, err);
        swki_map_remove(&e->queue, id);
        swki_free(e->alloc, id);
    }
    end = swki_batch_end(&batch, err);
    return rc != SWK_OK ? rc : end;
}

int swki_enforcer_new(const struct swki_enforcer_config *config,
                      struct swki_enforcer **out_enforcer,
                      struct swk_error *err)
{
    struct swki_enforcer *e = swki_calloc(config->alloc, 1, sizeof(*e));

    if (e == NULL) {
        return swki_fail_nomem(err);
    }
    e->alloc = config->alloc;
    e->node_id = swki_strdup(config->alloc, config->node_id);
    swki_component_init(&e->base, "enforcer", config->store, config->logger,
                        1u << SWKI_KIND_NODE);
    swki_map_init(&e->queue, config->alloc);
    if (e->node_id == NULL) {
        swki_enforcer_free(e);
        return swki_fail_nomem(err);
    }
    *out_enforcer = e;
    return SWK_OK;
}

void swki_enforcer_free(struct swki_enforcer *e)
{
    if (e == NULL) {
        return;
    }
    clear(e);
    swki_component_fini(&e->base);
    swki_free(e->alloc, e->node_id);
    swki_free(e->alloc, e);
}

void swki_enforcer_start(struct swki_enforcer *e, swk_time now, swk_wall wall)
{
    swki_enforcer_step(e, now, wall);
}

void swki_enforcer_step(struct swki_enforcer *e, swk_time now, swk_wall wall)
{
    struct swk_error err = {0};
    int rc;

    if (!swki_component_due(&e->base, now)) {
        return;
    }
    rc = work(e, wall, &err);
    if (rc != SWK_OK) {
        swki_component_failed(&e->base, now, rc, err.text);
    } else {
        swki_component_succeeded(&e->base);
    }
}

bool swki_enforcer_pending(const struct swki_enforcer *e)
{
    return swki_component_pending(&e->base) ||
           (e->base.retry_at == 0 && e->queue.count > 0 &&
            swki_component_can_write(&e->base));
}

swk_time swki_enforcer_deadline(const struct swki_enforcer *e)
{
    return swki_component_deadline(&e->base, SWK_NEVER);
}
