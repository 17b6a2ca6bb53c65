/* SPDX-License-Identifier: Apache-2.0 */

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/map.h"
#include "core/orchestrator/state.h"
#include "core/store/task.h"

enum {
    /* Tasks that one look at a service creates. Each look reads all of its
     * tasks, so that a large service should not need many. */
    CREATE_MAX = 8000,
};

bool swki_is_replicated(const struct swki_object *service)
{
    const Swkpb__ServiceSpec *spec = swki_service(service)->spec;

    return spec != NULL &&
           spec->mode_case == SWKPB__SERVICE_SPEC__MODE_REPLICATED &&
           spec->replicated != NULL;
}

int swki_raise_desired(struct swki_tx *tx, const char *task_id,
                       Swkpb__TaskState desired, struct swk_error *err)
{
    const struct swki_object *stored =
        swki_view_get(swki_tx_view(tx), SWKI_KIND_TASK, task_id);
    struct swki_object *next;

    if (stored == NULL || swki_task(stored)->desired_state >= desired) {
        return SWK_OK;
    }
    next = swki_object_edit(stored);
    if (next == NULL) {
        return swki_fail_nomem(err);
    }
    swki_task_edit(next)->desired_state = desired;
    return swki_tx_update(tx, next, err);
}

/* -- Live and dead slots -------------------------------------------------- */

/* A slot that counts as a replica. */
struct live_slot {
    struct swki_slot slot; /* its updatable tasks only */
    bool running;
    uint64_t copy; /* the how-many-th on its node; UINT64_MAX for none */
};

struct plan {
    struct swki_slots slots;
    struct live_slot *live; /* in slots' arena; by number */
    size_t live_count;
    bool *is_live; /* of each of slots.items */
};

static bool rolling_back(const Swkpb__Service *service)
{
    return service->update_status != NULL &&
           service->update_status->state ==
               SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_STARTED;
}

/* The newest task of a slot nobody wants to run, unless it is on its way out
 * for good. */
static const struct swki_object **newest_of(const struct swki_slot *slot)
{
    const struct swki_object **newest = NULL;

    for (size_t i = 0; i < slot->tasks_count; i++) {
        const Swkpb__Task *task = swki_task(slot->tasks[i]);

        if (task->desired_state >= SWKPB__TASK_STATE__REMOVE) {
            return NULL;
        }
        if (newest == NULL || swki_task_status_time(task) >=
                                  swki_task_status_time(swki_task(*newest))) {
            newest = &slot->tasks[i];
        }
    }
    return newest;
}

/* The tasks an update would act on; none for a dead slot. */
static int find_updatable(struct plan *plan, const Swkpb__Service *service,
                          const struct swki_slot *slot,
                          struct swki_slot *out_slot)
{
    const struct swki_object **newest;
    bool restart;
    int rc;

    out_slot->number = slot->number;
    out_slot->tasks_count = 0;
    out_slot->tasks = swki_arena_calloc(&plan->slots.arena, slot->tasks_count,
                                        sizeof(*out_slot->tasks));
    if (out_slot->tasks == NULL) {
        return SWK_ENOMEM;
    }
    for (size_t i = 0; i < slot->tasks_count; i++) {
        if (swki_task_wanted(swki_task(slot->tasks[i]))) {
            out_slot->tasks[out_slot->tasks_count++] = slot->tasks[i];
        }
    }
    if (out_slot->tasks_count > 0 || rolling_back(service)) {
        return SWK_OK;
    }
    newest = newest_of(slot);
    if (newest == NULL) {
        return SWK_OK;
    }
    rc = swki_should_restart(plan->slots.view, *newest, &restart);
    if (rc == SWK_OK && !restart) {
        out_slot->tasks[out_slot->tasks_count++] = *newest;
    }
    return rc;
}

static bool has_running(const struct swki_slot *slot)
{
    for (size_t i = 0; i < slot->tasks_count; i++) {
        if (swki_task_state(swki_task(slot->tasks[i])) ==
            SWKPB__TASK_STATE__RUNNING) {
            return true;
        }
    }
    return false;
}

static int split(struct plan *plan, const Swkpb__Service *service)
{
    struct swki_arena *arena = &plan->slots.arena;
    int rc = SWK_OK;

    plan->live =
        swki_arena_calloc(arena, plan->slots.count + 1, sizeof(*plan->live));
    plan->is_live =
        swki_arena_calloc(arena, plan->slots.count + 1, sizeof(bool));
    if (plan->live == NULL || plan->is_live == NULL) {
        return SWK_ENOMEM;
    }
    for (size_t i = 0; rc == SWK_OK && i < plan->slots.count; i++) {
        struct live_slot *live = &plan->live[plan->live_count];

        rc = find_updatable(plan, service, &plan->slots.items[i], &live->slot);
        if (rc == SWK_OK && live->slot.tasks_count > 0) {
            live->running = has_running(&live->slot);
            plan->is_live[i] = true;
            plan->live_count++;
        }
    }
    return rc;
}

/* -- Scaling down --------------------------------------------------------- */

static int by_running_then_number(const void *left, const void *right)
{
    const struct live_slot *a = *(const struct live_slot *const *)left;
    const struct live_slot *b = *(const struct live_slot *const *)right;

    if (a->running != b->running) {
        return a->running ? -1 : 1;
    }
    return a->slot.number < b->slot.number ? -1 : 1;
}

/* Who stays before whom: the one comparator of scaling down. */
static int by_worth(const void *left, const void *right)
{
    const struct live_slot *a = *(const struct live_slot *const *)left;
    const struct live_slot *b = *(const struct live_slot *const *)right;

    if (a->copy != b->copy) {
        return a->copy < b->copy ? -1 : 1;
    }
    return by_running_then_number(left, right);
}

/* Numbers the copies on each node; sorted by running and number before. */
static bool number_copies(struct plan *plan, struct live_slot **order)
{
    struct swki_map nodes;
    bool fits = true;

    swki_map_init(&nodes, plan->slots.arena.alloc);
    for (size_t i = 0; fits && i < plan->live_count; i++) {
        const Swkpb__Task *task = swki_task(order[i]->slot.tasks[0]);
        uint64_t *count;

        order[i]->copy = UINT64_MAX;
        if (order[i]->slot.tasks_count != 1 || task->node_id[0] == '\0') {
            continue;
        }
        count = swki_map_get(&nodes, task->node_id);
        if (count == NULL) {
            count = swki_arena_calloc(&plan->slots.arena, 1, sizeof(*count));
            fits = count != NULL && swki_map_put(&nodes, task->node_id, count);
        }
        if (fits) {
            order[i]->copy = ++*count;
        }
    }
    swki_map_fini(&nodes);
    return fits;
}

/* Pointers to the live slots as they come; enough when all of them stay. */
static struct live_slot **order_by_number(struct plan *plan)
{
    struct live_slot **order = swki_arena_calloc(
        &plan->slots.arena, plan->live_count + 1, sizeof(struct live_slot *));

    for (size_t i = 0; order != NULL && i < plan->live_count; i++) {
        order[i] = &plan->live[i];
    }
    return order;
}

/* Pointers to the live slots, those to keep first. */
static struct live_slot **order_by_worth(struct plan *plan)
{
    struct live_slot **order = order_by_number(plan);

    if (order == NULL) {
        return NULL;
    }
    qsort(order, plan->live_count, sizeof(struct live_slot *),
          by_running_then_number);
    if (!number_copies(plan, order)) {
        return NULL;
    }
    qsort(order, plan->live_count, sizeof(struct live_slot *), by_worth);
    return order;
}

/* -- Writing -------------------------------------------------------------- */

static int remove_step(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    const char *task_id = ctx;

    return swki_raise_desired(tx, task_id, SWKPB__TASK_STATE__REMOVE, err);
}

static int remove_slot(struct swki_orchestrator *o,
                       const struct swki_slot *slot, struct swk_error *err)
{
    int rc = SWK_OK;

    for (size_t i = 0; rc == SWK_OK && i < slot->tasks_count; i++) {
        if (swki_task(slot->tasks[i])->desired_state <
            SWKPB__TASK_STATE__REMOVE) {
            rc = swki_write(o, remove_step,
                            (char *)swki_object_id(slot->tasks[i]), err);
        }
    }
    return rc;
}

int swki_remove_tasks_of(struct swki_orchestrator *o, const char *service_id,
                         struct swk_error *err)
{
    struct swki_slots slots;
    int rc = swki_slots_load(o->alloc, swki_store_head(o->base.store),
                             service_id, &slots);

    if (rc != SWK_OK) {
        return swki_fail_nomem(err);
    }
    for (size_t i = 0; rc == SWK_OK && i < slots.count; i++) {
        rc = remove_slot(o, &slots.items[i], err);
    }
    swki_slots_fini(&slots);
    return rc;
}

struct create_step {
    struct swki_orchestrator *o;
    const char *service_id;
    uint64_t slot;
};

static int create_step(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    struct create_step *step = ctx;
    struct swki_new_task wanted = {
        .service = swki_view_get(swki_tx_view(tx), SWKI_KIND_SERVICE,
                                 step->service_id),
        .slot = step->slot,
        .desired = SWKPB__TASK_STATE__RUNNING,
    };
    int rc;

    if (wanted.service == NULL) {
        return SWK_OK;
    }
    swki_object_ref(wanted.service);
    rc = swki_create_task(step->o, tx, &wanted, NULL, err);
    swki_object_unref(wanted.service);
    return rc;
}

/* Fills the lowest free numbers; the rest of many is left to the next step. */
static int create_missing(struct swki_orchestrator *o,
                          struct swki_service_entry *entry,
                          const struct plan *plan, uint64_t missing,
                          struct swk_error *err)
{
    struct create_step step = {.o = o, .service_id = entry->id};
    size_t next_live = 0;
    int rc = SWK_OK;

    if (missing > CREATE_MAX) {
        missing = CREATE_MAX;
        swki_queue_service(o, entry);
    }
    while (rc == SWK_OK && missing > 0) {
        step.slot++;
        if (next_live < plan->live_count &&
            plan->live[next_live].slot.number == step.slot) {
            next_live++;
            continue;
        }
        rc = swki_write(o, create_step, &step, err);
        missing--;
    }
    return rc;
}

/* -- Reconciling ---------------------------------------------------------- */

/* The number of a dead slot may have been given to a new task just now. */
static bool reused(const struct plan *plan, uint64_t number, uint64_t missing)
{
    uint64_t below = 0;

    for (size_t i = 0;
         i < plan->live_count && plan->live[i].slot.number < number; i++) {
        below++;
    }
    return number > 0 && number - 1 - below < missing;
}

static int remove_dead(struct swki_orchestrator *o, const struct plan *plan,
                       uint64_t missing, struct swk_error *err)
{
    int rc = SWK_OK;

    for (size_t i = 0; rc == SWK_OK && i < plan->slots.count; i++) {
        const struct swki_slot *slot = &plan->slots.items[i];

        if (!plan->is_live[i] && !reused(plan, slot->number, missing)) {
            rc = remove_slot(o, slot, err);
        }
    }
    return rc;
}

static int by_number(const void *left, const void *right)
{
    const struct swki_slot *a = left;
    const struct swki_slot *b = right;

    return a->number < b->number ? -1 : a->number > b->number;
}

static int update_kept(struct swki_orchestrator *o,
                       struct swki_service_entry *entry,
                       const struct swki_object *service, struct plan *plan,
                       struct live_slot *const *order, size_t kept,
                       struct swk_error *err)
{
    struct swki_slots live = {.view = plan->slots.view, .count = kept};

    live.items =
        swki_arena_calloc(&plan->slots.arena, kept + 1, sizeof(*live.items));
    if (live.items == NULL) {
        return swki_fail_nomem(err);
    }
    for (size_t i = 0; i < kept; i++) {
        live.items[i] = order[i]->slot;
    }
    qsort(live.items, kept, sizeof(*live.items), by_number);
    return swki_update_slots(o, entry, service, &live, err);
}

static int carry_out(struct swki_orchestrator *o,
                     struct swki_service_entry *entry,
                     const struct swki_object *service, struct plan *plan,
                     struct swk_error *err)
{
    uint64_t replicas = swki_service(service)->spec->replicated->replicas;
    bool down = replicas < plan->live_count;
    struct live_slot **order =
        down ? order_by_worth(plan) : order_by_number(plan);
    size_t kept = down ? (size_t)replicas : plan->live_count;
    uint64_t missing = down ? 0 : replicas - plan->live_count;
    int rc;

    if (order == NULL) {
        return swki_fail_nomem(err);
    }
    rc = remove_dead(o, plan, missing, err);
    for (size_t i = kept; rc == SWK_OK && i < plan->live_count; i++) {
        rc = remove_slot(o, &order[i]->slot, err);
    }
    if (rc == SWK_OK) {
        rc = create_missing(o, entry, plan, missing, err);
    }
    if (rc != SWK_OK || entry->queued) {
        return rc; /* there is more to create before updates are looked at */
    }
    return update_kept(o, entry, service, plan, order, kept, err);
}

int swki_reconcile(struct swki_orchestrator *o,
                   struct swki_service_entry *entry, struct swk_error *err)
{
    const struct swki_view *view = swki_store_head(o->base.store);
    const struct swki_object *service =
        swki_view_get(view, SWKI_KIND_SERVICE, entry->id);
    struct plan plan = {.live_count = 0};
    int rc;

    if (service == NULL || !swki_is_replicated(service)) {
        return SWK_OK;
    }
    if (swki_service(service)->pending_delete) {
        return swki_remove_tasks_of(o, entry->id, err);
    }
    rc = swki_slots_load(o->alloc, view, entry->id, &plan.slots);
    if (rc != SWK_OK) {
        return swki_fail_nomem(err);
    }
    swki_object_ref(service);
    rc = split(&plan, swki_service(service));
    if (rc == SWK_OK) {
        rc = carry_out(o, entry, service, &plan, err);
    }
    swki_object_unref(service);
    swki_slots_fini(&plan.slots);
    return rc;
}
