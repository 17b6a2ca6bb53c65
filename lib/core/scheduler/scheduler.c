/* SPDX-License-Identifier: Apache-2.0 */

#include "core/scheduler/scheduler.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/scheduler/place.h"
#include "core/store/component.h"
#include "core/store/task.h"

#define ASSIGNED_TEXT "scheduler assigned task to node"
#define CONFIRMED_TEXT "scheduler confirmed task can run on preassigned node"
#define UNWANTED_TEXT "shut down before it was assigned to a node"

/* How long events are taken in before a pass must be made. */
static const swk_time absorb_max = 50 * SWK_MILLISECOND;

/* Tasks that any node serves alike: one version of a service, or a single
 * task; and a task that came with its node. */
struct swki_group {
    struct swki_link tasks;
    size_t tasks_count;
    uint64_t pass; /* in which it was last tried */
    char key[];
};

struct swki_scheduler {
    const struct swk_alloc *alloc;
    struct swki_component base;
    char *node_id;
    struct swki_table table;
    struct swki_map groups; /* waiting, first come first */
    uint64_t pass;
    bool pass_needed;     /* something changed that may help a waiting task */
    bool pass_going;      /* the last step did not get through */
    swk_time dirty_since; /* when pass_needed was set */
    swk_time now;
    swk_wall wall;
    struct swki_batch batch;
    size_t changes; /* made by this step */
};

/* -- Groups --------------------------------------------------------------- */

static void need_pass(struct swki_scheduler *s)
{
    if (!s->pass_needed) {
        s->pass_needed = true;
        s->dirty_since = s->now;
    }
}

static void leave_group(struct swki_scheduler *s, struct swki_table_task *task)
{
    struct swki_group *group = task->group;

    if (group == NULL) {
        return;
    }
    swki_list_remove(&task->group_link);
    task->group = NULL;
    if (--group->tasks_count == 0) {
        swki_map_remove(&s->groups, group->key);
        swki_free(s->alloc, group);
    }
}

static struct swki_group *find_group(struct swki_scheduler *s,
                                     const Swkpb__Task *task)
{
    size_t size = strlen(task->service_id) + strlen(task->id) + 24;
    struct swki_group *group = swki_calloc(s->alloc, 1, sizeof(*group) + size);
    struct swki_group *known;

    if (group == NULL) {
        return NULL;
    }
    if (task->spec_version != NULL && task->node_id[0] == '\0') {
        snprintf(group->key, size, "%s/%llu", task->service_id,
                 (unsigned long long)task->spec_version->index);
    } else {
        snprintf(group->key, size, "%s", task->id);
    }
    known = swki_map_get(&s->groups, group->key);
    if (known != NULL) {
        swki_free(s->alloc, group);
        return known;
    }
    swki_list_init(&group->tasks);
    if (!swki_map_put(&s->groups, group->key, group)) {
        swki_free(s->alloc, group);
        return NULL;
    }
    return group;
}

static bool join_group(struct swki_scheduler *s, struct swki_table_task *task)
{
    struct swki_group *group;

    if (task->group != NULL) {
        return true;
    }
    group = find_group(s, swki_task(task->object));
    if (group == NULL) {
        return false;
    }
    group->pass = 0;
    task->group = group;
    swki_list_append(&group->tasks, &task->group_link);
    group->tasks_count++;
    return true;
}

static void forget_task(struct swki_scheduler *s, struct swki_table_task *task)
{
    leave_group(s, task);
    swki_table_remove_task(&s->table, task);
}

static void clear(struct swki_scheduler *s)
{
    struct swki_table_task *task;
    size_t cursor = 0;

    while ((task = swki_map_next(&s->table.tasks, &cursor)) != NULL) {
        forget_task(s, task);
    }
    swki_table_fini(&s->table);
    swki_map_fini(&s->groups);
    s->pass_needed = false;
    s->pass_going = false;
}

/* -- Tasks that changed --------------------------------------------------- */

static bool is_active(const Swkpb__Task *task)
{
    return task->desired_state <= SWKPB__TASK_STATE__COMPLETE;
}

/* It ended: what it held is free again. */
static bool end_task(struct swki_scheduler *s, struct swki_table_task *task,
                     const Swkpb__Task *ended)
{
    Swkpb__TaskState state = swki_task_state(ended);
    bool fits = true;

    if (task->node != NULL && !task->came_with_node &&
        (state == SWKPB__TASK_STATE__FAILED ||
         state == SWKPB__TASK_STATE__REJECTED)) {
        fits = swki_table_add_failure(&s->table, task->service, task->node,
                                      swki_task_spec_version(ended), s->now);
    }
    forget_task(s, task);
    need_pass(s);
    return fits;
}

/* Charged already, by our own decision, or by another leader's. */
static bool keep_assigned(struct swki_scheduler *s,
                          struct swki_table_task *task)
{
    const Swkpb__Task *t = swki_task(task->object);
    struct swki_table_node *node = swki_map_get(&s->table.nodes, t->node_id);

    leave_group(s, task);
    if (t->slot == 0) {
        task->came_with_node = true;
    }
    if (task->node != node && node != NULL) {
        return swki_table_charge(&s->table, task, node, task->object);
    }
    swki_table_set_active(task, is_active(t));
    return true;
}

static bool put_task(struct swki_scheduler *s, const struct swki_object *object)
{
    const Swkpb__Task *t = swki_task(object);
    Swkpb__TaskState state = swki_task_state(t);
    struct swki_table_task *task;

    if (state < SWKPB__TASK_STATE__PENDING) {
        return true;
    }
    task = swki_map_get(&s->table.tasks, t->id);
    if (state > SWKPB__TASK_STATE__RUNNING) {
        return task == NULL || end_task(s, task, t);
    }
    task = swki_table_put_task(&s->table, object);
    if (task == NULL) {
        return false;
    }
    if (state > SWKPB__TASK_STATE__PENDING) {
        return keep_assigned(s, task);
    }
    task->came_with_node = t->node_id[0] != '\0';
    if (task->group == NULL || !is_active(t)) {
        need_pass(s);
    }
    return join_group(s, task);
}

/* -- Nodes that changed --------------------------------------------------- */

/* A node that was deleted and came back still runs what it ran. */
static bool charge_known(struct swki_scheduler *s, struct swki_table_node *node)
{
    struct swki_selector selector = {.by = SWKI_BY_NODE_ID, .text = node->id};
    const struct swki_object *object;
    struct swki_cursor cursor;
    bool fits = true;

    if (swki_view_find(swki_store_head(s->base.store), SWKI_KIND_TASK,
                       &selector, &cursor, NULL) != SWK_OK) {
        return false;
    }
    while (fits && (object = swki_cursor_next(&cursor)) != NULL) {
        struct swki_table_task *task =
            swki_map_get(&s->table.tasks, swki_object_id(object));

        if (task != NULL && task->node == NULL &&
            swki_task_state(swki_task(task->object)) >
                SWKPB__TASK_STATE__PENDING) {
            fits = swki_table_charge(&s->table, task, node, task->object);
        }
    }
    swki_cursor_close(&cursor);
    return fits;
}

static bool on_node(struct swki_scheduler *s, const struct swki_event *event)
{
    const char *id = swki_object_id(event->object);
    bool is_new = swki_map_get(&s->table.nodes, id) == NULL;

    need_pass(s);
    if (event->change == SWKI_CHANGE_DELETE) {
        swki_table_remove_node(&s->table, id);
        return true;
    }
    return swki_table_put_node(&s->table, event->object) &&
           (!is_new || charge_known(s, swki_map_get(&s->table.nodes, id)));
}

static bool on_task(struct swki_scheduler *s, const struct swki_event *event)
{
    struct swki_table_task *task;

    if (event->change != SWKI_CHANGE_DELETE) {
        return put_task(s, event->object);
    }
    task = swki_map_get(&s->table.tasks, swki_object_id(event->object));
    if (task != NULL) {
        if (task->node != NULL) {
            need_pass(s);
        }
        forget_task(s, task);
    }
    return true;
}

static int drain(struct swki_scheduler *s)
{
    for (int i = 0; i < SWKI_COMPONENT_STEP_EVENTS; i++) {
        const struct swki_event *event = swki_component_next(&s->base);

        if (event == NULL) {
            break;
        }
        if (!(event->kind == SWKI_KIND_NODE ? on_node(s, event)
                                            : on_task(s, event))) {
            return SWK_ENOMEM;
        }
    }
    return SWK_OK;
}

static int read_all(struct swki_scheduler *s, enum swki_kind kind)
{
    struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *object;
    struct swki_cursor cursor;
    int rc = swki_view_find(swki_store_head(s->base.store), kind, &all, &cursor,
                            NULL);

    if (rc != SWK_OK) {
        return rc;
    }
    while (rc == SWK_OK && (object = swki_cursor_next(&cursor)) != NULL) {
        bool fits = kind == SWKI_KIND_NODE
                        ? swki_table_put_node(&s->table, object)
                        : put_task(s, object);

        rc = fits ? SWK_OK : SWK_ENOMEM;
    }
    swki_cursor_close(&cursor);
    return rc;
}

static int rebuild(struct swki_scheduler *s)
{
    int rc;

    clear(s);
    if (!swki_component_restart(&s->base)) {
        return SWK_ENOMEM;
    }
    rc = read_all(s, SWKI_KIND_NODE);
    return rc == SWK_OK ? read_all(s, SWKI_KIND_TASK) : rc;
}

/* -- Writing -------------------------------------------------------------- */

struct decision {
    struct swki_scheduler *scheduler;
    struct swki_table_task *task;
    struct swki_object *next;           /* taken by the step */
    const struct swki_table_node *node; /* must still be as it was; or NULL */
};

/* Nothing may have changed that the decision was made from. */
static int decision_step(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    struct decision *decision = ctx;
    const struct swki_view *view = swki_tx_view(tx);
    const struct swki_object *stored =
        swki_view_get(view, SWKI_KIND_TASK, decision->task->id);
    const struct swki_object *node =
        decision->node != NULL
            ? swki_view_get(view, SWKI_KIND_NODE, decision->node->id)
            : NULL;
    struct swki_object *next = decision->next;

    decision->next = NULL;
    if (stored == NULL ||
        swki_object_version(stored) !=
            swki_object_version(decision->task->object) ||
        (decision->node != NULL &&
         (node == NULL || swki_object_version(node) !=
                              swki_object_version(decision->node->object)))) {
        swki_object_unref(next);
        return swki_fail(err, SWK_ECONFLICT, "changed meanwhile");
    }
    return swki_tx_update(tx, next, err);
}

/* SWK_ECONFLICT when the newer version is on its way as an event. */
static int write_decision(struct swki_scheduler *s, struct decision *decision,
                          struct swk_error *err)
{
    int rc;

    s->changes++;
    rc = swki_batch_step(&s->batch, decision_step, decision, err);
    swki_object_unref(decision->next);
    return rc;
}

static struct swki_object *edit_status(struct swki_scheduler *s,
                                       const struct swki_table_task *task,
                                       Swkpb__TaskState state,
                                       const char *message, const char *error)
{
    struct swki_task_report report = {
        .state = state,
        .message = message,
        .err = error,
        .applied_by = s->node_id,
        .wall = s->wall,
    };
    struct swki_object *next = swki_object_edit(task->object);

    if (next != NULL && swki_task_report(next, &report) != SWK_OK) {
        swki_object_unref(next);
        return NULL;
    }
    return next;
}

static int explain(struct swki_scheduler *s, struct swki_table_task *task,
                   const char *text, struct swk_error *err)
{
    const Swkpb__TaskStatus *status = swki_task(task->object)->status;
    struct decision decision = {.scheduler = s, .task = task};
    int rc;

    if (status != NULL && strcmp(status->err, text) == 0) {
        return SWK_OK;
    }
    decision.next =
        edit_status(s, task, SWKPB__TASK_STATE__PENDING, NULL, text);
    if (decision.next == NULL) {
        return swki_fail_nomem(err);
    }
    rc = write_decision(s, &decision, err);
    return rc == SWK_ECONFLICT ? SWK_OK : rc;
}

/* A task that is not meant to run any more, and never will have a node. One
 * that is to be removed is deleted as it is. */
static int shut_down(struct swki_scheduler *s, struct swki_table_task *task,
                     struct swk_error *err)
{
    struct decision decision = {.scheduler = s, .task = task};
    int rc;

    leave_group(s, task);
    if (swki_task(task->object)->desired_state >= SWKPB__TASK_STATE__REMOVE) {
        return SWK_OK;
    }
    decision.next =
        edit_status(s, task, SWKPB__TASK_STATE__SHUTDOWN, UNWANTED_TEXT, "");
    if (decision.next == NULL) {
        return swki_fail_nomem(err);
    }
    rc = write_decision(s, &decision, err);
    return rc == SWK_ECONFLICT ? SWK_OK : rc;
}

/* Charges the task and writes it. On a conflict nothing is charged, and the
 * task waits for its newer version. */
static int assign(struct swki_scheduler *s, struct swki_table_task *task,
                  struct swki_table_node *node, struct swk_error *err)
{
    struct decision decision = {.scheduler = s, .task = task, .node = node};
    const char *message = task->came_with_node ? CONFIRMED_TEXT : ASSIGNED_TEXT;
    Swkpb__Task *edited;
    int rc;

    decision.next =
        edit_status(s, task, SWKPB__TASK_STATE__ASSIGNED, message, "");
    if (decision.next == NULL) {
        return swki_fail_nomem(err);
    }
    edited = swki_task_edit(decision.next);
    edited->node_id =
        swki_arena_strdup(swki_object_arena(decision.next), node->id);
    if (edited->node_id == NULL ||
        swki_table_claim(node, decision.next) != SWK_OK ||
        !swki_table_charge(&s->table, task, node, decision.next)) {
        swki_object_unref(decision.next);
        return swki_fail_nomem(err);
    }
    leave_group(s, task);
    rc = write_decision(s, &decision, err);
    if (rc == SWK_ECONFLICT) {
        swki_table_release(&s->table, task);
        if (!join_group(s, task)) {
            return swki_fail_nomem(err);
        }
        task->group->pass = s->pass;
        need_pass(s);
        return SWK_OK;
    }
    return rc;
}

/* -- A pass --------------------------------------------------------------- */

static struct swki_table_task *first_task(const struct swki_group *group)
{
    return SWKI_CONTAINER(group->tasks.next, struct swki_table_task,
                          group_link);
}

static int confirm(struct swki_scheduler *s, struct swki_table_task *task,
                   struct swk_error *err)
{
    uint32_t refusals[SWKI_FILTERS_COUNT] = {0};
    char text[SWKI_EXPLANATION_SIZE];
    struct swki_table_node *node =
        swki_map_get(&s->table.nodes, swki_task(task->object)->node_id);
    struct swki_sieve sieve;
    enum swki_filter refusal;

    if (node == NULL) {
        return explain(s, task, "assigned node is not known", err);
    }
    if (swki_sieve_init(&sieve, s->alloc, task) != SWK_OK) {
        return swki_fail_nomem(err);
    }
    refusal = swki_sieve_check(&sieve, node);
    swki_sieve_fini(&sieve);
    if (refusal == SWKI_FILTERS_COUNT) {
        return assign(s, task, node, err);
    }
    refusals[refusal] = 1;
    swki_explain(refusals, text);
    return explain(s, task, text, err);
}

/* Tells those that are left why, as things stand after the others. */
static int explain_rest(struct swki_scheduler *s, struct swki_group *group,
                        const struct swki_sieve *sieve, struct swk_error *err)
{
    uint32_t refusals[SWKI_FILTERS_COUNT] = {0};
    char why[SWKI_EXPLANATION_SIZE];
    char text[SWKI_EXPLANATION_SIZE + 32];
    struct swki_link *link;
    int rc = SWK_OK;

    for (uint32_t i = 0; i < s->table.indexes_count; i++) {
        if (s->table.by_index[i] != NULL) {
            enum swki_filter refusal =
                swki_sieve_check(sieve, s->table.by_index[i]);

            refusals[refusal] += refusal < SWKI_FILTERS_COUNT ? 1 : 0;
        }
    }
    swki_explain(refusals, why);
    snprintf(text, sizeof(text),
             why[0] != '\0' ? "no suitable node (%s)" : "no suitable node%s",
             why);
    for (link = group->tasks.next; rc == SWK_OK && link != &group->tasks;
         link = link->next) {
        rc =
            explain(s, SWKI_CONTAINER(link, struct swki_table_task, group_link),
                    text, err);
    }
    return rc;
}

/* Places tasks until none is left, no node is, or the step is long enough.
 * The first task stands for all of the group. */
static int place_tasks(struct swki_scheduler *s, struct swki_group *group,
                       struct swki_sieve *sieve, struct swk_error *err)
{
    uint32_t refusals[SWKI_FILTERS_COUNT];
    struct swki_place *place =
        swki_place_new(&s->table, sieve, s->now, refusals);
    struct swki_table_node *node = NULL;
    size_t left = group->tasks_count;
    int rc = SWK_OK;

    if (place == NULL) {
        return swki_fail_nomem(err);
    }
    while (rc == SWK_OK && left > 0 &&
           s->changes < SWKI_COMPONENT_STEP_CHANGES) {
        struct swki_table_task *task = first_task(group);

        node = swki_place_next(place);
        if (node == NULL) {
            break;
        }
        /* With the last task the group itself goes. */
        left--;
        rc = assign(s, task, node, err);
    }
    swki_place_free(place);
    if (rc != SWK_OK || left == 0) {
        return rc;
    }
    if (node == NULL) {
        return explain_rest(s, group, sieve, err);
    }
    group->pass = 0; /* the next step goes on with it */
    s->pass_going = true;
    return SWK_OK;
}

/* Takes those out that are not meant to run. False when the group is gone. */
static int drop_unwanted(struct swki_scheduler *s, struct swki_group *group,
                         bool *out_gone, struct swk_error *err)
{
    size_t left = group->tasks_count;
    struct swki_link *link = group->tasks.next;
    int rc = SWK_OK;

    while (rc == SWK_OK && left > 0) {
        struct swki_table_task *task =
            SWKI_CONTAINER(link, struct swki_table_task, group_link);
        bool last = link->next == &group->tasks;

        link = link->next;
        if (!is_active(swki_task(task->object))) {
            left--;
            rc = shut_down(s, task, err);
        }
        if (last) {
            break;
        }
    }
    *out_gone = left == 0;
    return rc;
}

static int schedule_group(struct swki_scheduler *s, struct swki_group *group,
                          struct swk_error *err)
{
    struct swki_table_task *task;
    const struct swki_object *object;
    struct swki_sieve sieve;
    bool gone;
    int rc = drop_unwanted(s, group, &gone, err);

    if (rc != SWK_OK || gone) {
        return rc;
    }
    task = first_task(group);
    if (task->came_with_node) {
        return confirm(s, task, err);
    }
    if (swki_task(task->object)->service_id[0] != '\0' &&
        swki_view_get(swki_store_head(s->base.store), SWKI_KIND_SERVICE,
                      task->service->id) == NULL) {
        return SWK_OK; /* its tasks are on their way out */
    }
    object = swki_object_ref(task->object);
    rc = swki_sieve_init(&sieve, s->alloc, task);
    if (rc == SWK_OK) {
        rc = place_tasks(s, group, &sieve, err);
        swki_sieve_fini(&sieve);
    }
    swki_object_unref(object);
    return rc;
}

static bool comes_with_node(const struct swki_group *group)
{
    return first_task(group)->came_with_node;
}

/* All groups that this pass has not tried: those with a node, or the others. */
static int try_groups(struct swki_scheduler *s, bool preassigned,
                      struct swk_error *err)
{
    struct swki_group *group;
    size_t cursor = 0;
    int rc = SWK_OK;

    while (rc == SWK_OK &&
           (group = swki_map_next(&s->groups, &cursor)) != NULL) {
        if (group->pass == s->pass || comes_with_node(group) != preassigned) {
            continue;
        }
        if (s->changes >= SWKI_COMPONENT_STEP_CHANGES) {
            s->pass_going = true;
            break;
        }
        group->pass = s->pass;
        rc = schedule_group(s, group, err);
    }
    return rc;
}

static int make_pass(struct swki_scheduler *s, struct swk_error *err)
{
    int rc;

    if (!s->pass_going) {
        s->pass++;
    }
    s->pass_needed = false;
    s->pass_going = false;
    rc = try_groups(s, true, err);
    return rc == SWK_OK ? try_groups(s, false, err) : rc;
}

/* -- The machine ---------------------------------------------------------- */

int swki_scheduler_new(const struct swki_scheduler_config *config,
                       struct swki_scheduler **out_scheduler,
                       struct swk_error *err)
{
    struct swki_scheduler *s = swki_calloc(config->alloc, 1, sizeof(*s));

    if (s == NULL) {
        return swki_fail_nomem(err);
    }
    s->alloc = config->alloc;
    s->node_id = swki_strdup(config->alloc, config->node_id);
    swki_component_init(&s->base, "scheduler", config->store, config->logger,
                        1u << SWKI_KIND_NODE | 1u << SWKI_KIND_TASK);
    swki_table_init(&s->table, config->alloc);
    swki_map_init(&s->groups, config->alloc);
    if (s->node_id == NULL) {
        swki_scheduler_free(s);
        return swki_fail_nomem(err);
    }
    *out_scheduler = s;
    return SWK_OK;
}

void swki_scheduler_free(struct swki_scheduler *s)
{
    if (s == NULL) {
        return;
    }
    clear(s);
    swki_component_fini(&s->base);
    swki_free(s->alloc, s->node_id);
    swki_free(s->alloc, s);
}

void swki_scheduler_start(struct swki_scheduler *s, swk_time now, swk_wall wall)
{
    swki_scheduler_step(s, now, wall);
}

/* A pass at once when all is taken in; in a long burst, now and then. */
static bool pass_due(const struct swki_scheduler *s)
{
    if (!s->pass_needed && !s->pass_going) {
        return false;
    }
    return !swki_watch_pending(s->base.watch) ||
           s->now - s->dirty_since >= absorb_max;
}

static int work(struct swki_scheduler *s, struct swk_error *err)
{
    int rc = s->base.stale ? rebuild(s) : SWK_OK;
    int end;

    if (rc == SWK_OK) {
        rc = drain(s);
    }
    if (rc != SWK_OK || s->base.stale || !pass_due(s) ||
        !swki_component_can_write(&s->base)) {
        return rc;
    }
    s->changes = 0;
    swki_batch_init(&s->batch, s->base.store, SWKI_ACTOR_SCHEDULER, s->wall);
    rc = make_pass(s, err);
    end = swki_batch_end(&s->batch, err);
    return rc != SWK_OK ? rc : end;
}

void swki_scheduler_step(struct swki_scheduler *s, swk_time now, swk_wall wall)
{
    struct swk_error err = {0};
    int rc;

    if (!swki_component_due(&s->base, now)) {
        return;
    }
    s->now = now;
    s->wall = wall;
    rc = work(s, &err);
    if (rc != SWK_OK) {
        swki_component_failed(&s->base, now, rc, err.text);
    } else {
        swki_component_succeeded(&s->base);
    }
}

bool swki_scheduler_pending(const struct swki_scheduler *s)
{
    return swki_component_pending(&s->base) ||
           (s->base.retry_at == 0 && (s->pass_needed || s->pass_going) &&
            swki_component_can_write(&s->base));
}

swk_time swki_scheduler_deadline(const struct swki_scheduler *s)
{
    return swki_component_deadline(&s->base, SWK_NEVER);
}

void swki_scheduler_dump(const struct swki_scheduler *s, struct swki_buf *out)
{
    swki_table_dump(&s->table, out);
}
