/* SPDX-License-Identifier: Apache-2.0 */

/* What each node is sent: the difference between what it has and what is
 * committed, with the secrets and configs that its tasks name. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/dispatcher/internal.h"
#include "dispatcher.pb-c.h"
#include "wire/message.h"

/* Changes that come closer together than this travel in one message. */
#define ASSIGNMENTS_GAP (20 * SWK_MILLISECOND)

/* The changes of one message while it is made. */
struct changes {
    struct swki_arena arena;
    Swkpb__AssignmentChange **list;
    size_t count;
    size_t size;
    bool failed;
    bool values; /* of drivers are among them */
};

static Swkpb__Assignment *add_change(
    struct changes *changes, Swkpb__AssignmentChange__AssignmentAction action,
    Swkpb__Assignment__ItemCase item)
{
    Swkpb__AssignmentChange *change =
        swki_arena_alloc(&changes->arena, sizeof(*change));
    Swkpb__Assignment *assignment =
        swki_arena_alloc(&changes->arena, sizeof(*assignment));

    if (changes->count == changes->size) {
        size_t size = changes->size > 0 ? changes->size * 2 : 16;
        Swkpb__AssignmentChange **list =
            swki_arena_calloc(&changes->arena, size, sizeof(list[0]));

        if (list != NULL && changes->count > 0) {
            memcpy(list, changes->list, changes->count * sizeof(list[0]));
        }
        changes->list = list;
        changes->size = size;
    }
    if (change == NULL || assignment == NULL || changes->list == NULL) {
        changes->failed = true;
        changes->size = 0;
        changes->count = 0;
        return NULL;
    }
    swkpb__assignment_change__init(change);
    swkpb__assignment__init(assignment);
    assignment->item_case = item;
    change->assignment = assignment;
    change->action = action;
    changes->list[changes->count++] = change;
    return assignment;
}

static void add_task(struct changes *changes,
                     Swkpb__AssignmentChange__AssignmentAction action,
                     const char *id, const Swkpb__Task *task)
{
    Swkpb__Assignment *assignment =
        add_change(changes, action, SWKPB__ASSIGNMENT__ITEM_TASK);

    if (assignment == NULL) {
        return;
    }
    if (task != NULL) {
        assignment->task = (Swkpb__Task *)task;
        return;
    }
    assignment->task =
        swki_arena_alloc(&changes->arena, sizeof(*assignment->task));
    if (assignment->task == NULL) {
        changes->failed = true;
        return;
    }
    swkpb__task__init(assignment->task);
    assignment->task->id = (char *)id;
}

/* The task as the node is to see it: when drivers were asked for its sake, with
 * what they had to say in place of why it waited. */
static const Swkpb__Task *present_task(struct changes *changes,
                                       const struct sent_task *sent,
                                       const Swkpb__Task *task)
{
    char lack[SWKI_DISPATCHER_REASON_SIZE];
    Swkpb__TaskStatus *status;
    Swkpb__Task *copy;

    if (swki_list_empty(&sent->leases) ||
        task->status->state != SWKPB__TASK_STATE__ASSIGNED) {
        return task;
    }
    swki_dispatcher_describe_lack(sent, lack);
    copy = swki_arena_memdup(&changes->arena, task, sizeof(*task));
    status = swki_arena_memdup(&changes->arena, task->status, sizeof(*status));
    if (copy != NULL && status != NULL) {
        status->err = swki_arena_strdup(&changes->arena, lack);
        copy->status = status;
    }
    changes->failed |= copy == NULL || status == NULL || status->err == NULL;
    return changes->failed ? task : copy;
}

/* The secret as the node is to see it: with the value, and nothing of where
 * that came from. One for a single task goes by an ID of its own. NULL for no
 * memory. */
static Swkpb__Secret *present(struct changes *changes,
                              const struct dependency *dependency)
{
    const struct swki_fetch *fetch = dependency->fetch;
    const Swkpb__Secret *stored = swki_secret(fetch->secret);
    Swkpb__Secret *secret =
        swki_arena_memdup(&changes->arena, stored, sizeof(*stored));
    Swkpb__SecretSpec *spec =
        swki_arena_memdup(&changes->arena, stored->spec, sizeof(*stored->spec));

    if (secret == NULL || spec == NULL) {
        return NULL;
    }
    spec->driver = NULL;
    spec->data.data = fetch->value;
    spec->data.len = fetch->value_len;
    secret->spec = spec;
    secret->id = (char *)dependency->key + 2;
    secret->internal |= fetch->do_not_reuse;
    return secret;
}

static void add_value(struct changes *changes,
                      const struct dependency *dependency)
{
    Swkpb__Assignment *assignment =
        add_change(changes, SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__UPDATE,
                   SWKPB__ASSIGNMENT__ITEM_SECRET);

    if (assignment != NULL) {
        assignment->secret = present(changes, dependency);
        changes->failed |= assignment->secret == NULL;
        changes->values = true;
    }
}

/* A secret or config: whole, or by its ID alone when it is to go. */
static void add_dependency(struct changes *changes,
                           const struct dependency *dependency,
                           const struct swki_object *object)
{
    bool secret = dependency->kind == SWKI_KIND_SECRET;
    Swkpb__Assignment *assignment = add_change(
        changes,
        object != NULL ? SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__UPDATE
                       : SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__REMOVE,
        secret ? SWKPB__ASSIGNMENT__ITEM_SECRET
               : SWKPB__ASSIGNMENT__ITEM_CONFIG);
    char *id = (char *)dependency->key + 2;

    if (assignment == NULL) {
        return;
    }
    if (secret && object != NULL) {
        assignment->secret = (Swkpb__Secret *)swki_secret(object);
    } else if (object != NULL) {
        assignment->config = (Swkpb__Config *)swki_config(object);
    } else if (secret) {
        assignment->secret =
            swki_arena_alloc(&changes->arena, sizeof(*assignment->secret));
        if (assignment->secret != NULL) {
            swkpb__secret__init(assignment->secret);
            assignment->secret->id = swki_arena_strdup(&changes->arena, id);
        }
        changes->failed |= assignment->secret == NULL;
    } else {
        assignment->config =
            swki_arena_alloc(&changes->arena, sizeof(*assignment->config));
        if (assignment->config != NULL) {
            swkpb__config__init(assignment->config);
            assignment->config->id = swki_arena_strdup(&changes->arena, id);
        }
        changes->failed |= assignment->config == NULL;
    }
}

/* -- Dependencies --------------------------------------------------------- */

struct dependency *swki_dispatcher_need_dependency(struct swki_dispatcher *d,
                                                   struct node *node,
                                                   enum swki_kind kind,
                                                   const char *id)
{
    char key[sizeof(((struct dependency *)0)->key)];
    struct dependency *dependency;

    snprintf(key, sizeof(key), "%c:%s", kind == SWKI_KIND_SECRET ? 's' : 'c',
             id);
    dependency = swki_map_get(&node->dependencies, key);
    if (dependency != NULL) {
        return dependency;
    }
    dependency = swki_calloc(d->config.alloc, 1, sizeof(*dependency));
    if (dependency == NULL) {
        return NULL;
    }
    memcpy(dependency->key, key, sizeof(key));
    dependency->kind = kind;
    if (!swki_map_put(&node->dependencies, dependency->key, dependency)) {
        swki_free(d->config.alloc, dependency);
        return NULL;
    }
    return dependency;
}

static void free_dependency(struct swki_dispatcher *d,
                            struct dependency *dependency)
{
    swki_fetcher_drop(d->fetcher, dependency->fetch);
    swki_free(d->config.alloc, dependency);
}

static void use_dependency(struct swki_dispatcher *d, struct node *node,
                           enum swki_kind kind, const char *id, bool hold,
                           struct changes *changes)
{
    struct dependency *dependency;

    if (kind == SWKI_KIND_SECRET && hold &&
        swki_dispatcher_is_driven(swki_store_committed(d->store), id)) {
        return;
    }
    dependency = swki_dispatcher_need_dependency(d, node, kind, id);
    if (dependency == NULL) {
        changes->failed = true;
        return;
    }
    if (dependency->leased) {
        return;
    }
    if (hold) {
        dependency->users++;
    } else if (dependency->users > 0) {
        dependency->users--;
    }
}

/* Secrets and configs that a task names beside those of its container. */
static void use_references(struct swki_dispatcher *d, struct node *node,
                           const Swkpb__TaskSpec *spec, bool hold,
                           struct changes *changes)
{
    for (size_t i = 0; i < spec->n_resource_references; i++) {
        const Swkpb__ResourceReference *reference =
            spec->resource_references[i];

        if (reference->resource_type == SWKPB__RESOURCE_TYPE__SECRET) {
            use_dependency(d, node, SWKI_KIND_SECRET, reference->resource_id,
                           hold, changes);
        } else if (reference->resource_type == SWKPB__RESOURCE_TYPE__CONFIG) {
            use_dependency(d, node, SWKI_KIND_CONFIG, reference->resource_id,
                           hold, changes);
        }
    }
}

/* Counts or uncounts a task as a user of what it names. */
static void use_dependencies(struct swki_dispatcher *d, struct node *node,
                             const Swkpb__Task *task, bool hold,
                             struct changes *changes)
{
    const Swkpb__ContainerSpec *container;

    if (task->spec == NULL) {
        return;
    }
    use_references(d, node, task->spec, hold, changes);
    if (task->spec->runtime_case != SWKPB__TASK_SPEC__RUNTIME_CONTAINER) {
        return;
    }
    container = task->spec->container;
    for (size_t i = 0; i < container->n_secrets; i++) {
        use_dependency(d, node, SWKI_KIND_SECRET,
                       container->secrets[i]->secret_id, hold, changes);
    }
    for (size_t i = 0; i < container->n_configs; i++) {
        use_dependency(d, node, SWKI_KIND_CONFIG,
                       container->configs[i]->config_id, hold, changes);
    }
}

/* After all tasks were looked at: sends what came into use, removes what went
 * out of it. What is not in the store is left out; the task fails for it. */
static void settle_dependencies(struct swki_dispatcher *d, struct node *node,
                                const struct swki_view *view,
                                struct changes *changes)
{
    size_t cursor = 0;
    struct dependency *dependency;

    while ((dependency = swki_map_next(&node->dependencies, &cursor)) !=
           NULL) {
        const struct swki_object *object = NULL;

        if (dependency->users > 0 && dependency->leased) {
            if (dependency->fetch != NULL) {
                add_value(changes, dependency);
                dependency->sent = true;
            }
        } else if (dependency->users > 0 && !dependency->sent) {
            object =
                swki_view_get(view, dependency->kind, dependency->key + 2);
            if (object != NULL) {
                add_dependency(changes, dependency, object);
                dependency->sent = true;
            }
        } else if (dependency->users == 0) {
            if (dependency->sent) {
                add_dependency(changes, dependency, NULL);
            }
            swki_map_remove(&node->dependencies, dependency->key);
            free_dependency(d, dependency);
        }
    }
}

/* They are in the message: nobody here needs them any more. */
static void forget_values(struct swki_dispatcher *d, struct node *node)
{
    size_t cursor = 0;
    struct dependency *dependency;

    while ((dependency = swki_map_next(&node->dependencies, &cursor)) != NULL) {
        if (dependency->sent) {
            swki_fetcher_drop(d->fetcher, dependency->fetch);
            dependency->fetch = NULL;
        }
    }
}

/* -- Tasks ---------------------------------------------------------------- */

/* Whether the two differ in anything that the node did not write itself. */
static bool task_changed(const Swkpb__Task *before, const Swkpb__Task *now)
{
    Swkpb__Task a = *before;
    Swkpb__Task b = *now;
    bool status_is_ours =
        now->status != NULL &&
        now->status->state == SWKPB__TASK_STATE__ASSIGNED;

    a.meta = b.meta = NULL;
    if (!status_is_ours) {
        a.status = b.status = NULL;
    }
    return !swki_message_equal(&a.base, &b.base);
}

/* Takes the task as it is now: lets go of what its last version named, and
 * holds what this one does. */
static void hold_dependencies(struct swki_dispatcher *d, struct node *node,
                              struct sent_task *sent, const Swkpb__Task *task,
                              struct changes *changes)
{
    if (sent->holding) {
        use_dependencies(d, node, swki_task(sent->object), false, changes);
    }
    sent->holding = task->status->state <= SWKPB__TASK_STATE__RUNNING;
    if (sent->holding) {
        use_dependencies(d, node, task, true, changes);
    } else {
        swki_dispatcher_release_leases(d, sent);
    }
}

static void remove_task(struct swki_dispatcher *d, struct node *node,
                        struct sent_task *sent, struct changes *changes)
{
    if (sent->object != NULL) {
        char *id = swki_arena_strdup(&changes->arena, sent->id);

        if (id == NULL) {
            changes->failed = true;
            return;
        }
        if (sent->holding) {
            use_dependencies(d, node, swki_task(sent->object), false, changes);
        }
        add_task(changes, SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__REMOVE,
                 id, NULL);
        swki_object_unref(sent->object);
    }
    swki_dispatcher_release_leases(d, sent);
    swki_map_remove(&node->tasks, sent->id);
    swki_free(d->config.alloc, sent);
}

/* Whether the node is to begin the task, or is about to. */
static bool to_begin(const struct node *node, const struct swki_object *object)
{
    const Swkpb__Task *task = object != NULL ? swki_task(object) : NULL;

    return task != NULL && strcmp(task->node_id, node->id) == 0 &&
           task->status != NULL &&
           task->status->state >= SWKPB__TASK_STATE__ASSIGNED &&
           task->status->state < SWKPB__TASK_STATE__RUNNING &&
           task->desired_state <= SWKPB__TASK_STATE__RUNNING;
}

/* Before what changed is settled: what drivers have to give. First those that
 * need nothing more let go, then the others may ask in their place. */
static bool lease_values(struct swki_dispatcher *d, struct node *node,
                         const struct swki_view *view)
{
    size_t cursor = 0;
    struct sent_task *sent;
    bool ok = true;

    while ((sent = swki_map_next(&node->tasks, &cursor)) != NULL) {
        if (sent->dirty &&
            !to_begin(node, swki_view_get(view, SWKI_KIND_TASK, sent->id))) {
            swki_dispatcher_close_leases(d, sent);
        }
    }
    cursor = 0;
    while (ok && (sent = swki_map_next(&node->tasks, &cursor)) != NULL) {
        const struct swki_object *object =
            sent->dirty ? swki_view_get(view, SWKI_KIND_TASK, sent->id) : NULL;

        if (to_begin(node, object)) {
            ok = swki_dispatcher_lease(d, node, sent, object);
        }
    }
    return ok;
}

/* A task that the node does not know waits for its values. A complete set waits
 * as a whole: the node would stop what is not in it. Both not for long, as
 * values that do not come are given up, and no set waits for a task that came
 * later, which no node can know of: such tasks may come without end. */
static bool waits_for_values(const struct sent_task *sent)
{
    return sent->object == NULL && swki_dispatcher_leases_open(sent);
}

static bool complete_set_waits(const struct node *node)
{
    size_t cursor = 0;
    const struct sent_task *sent;

    while (node->assignments_complete &&
           (sent = swki_map_next(&node->tasks, &cursor)) != NULL) {
        if (sent->earlier && waits_for_values(sent)) {
            return true;
        }
    }
    return false;
}

static void settle_task(struct swki_dispatcher *d, struct node *node,
                        const struct swki_view *view, struct sent_task *sent,
                        struct changes *changes)
{
    const struct swki_object *object =
        swki_view_get(view, SWKI_KIND_TASK, sent->id);
    const Swkpb__Task *task = object != NULL ? swki_task(object) : NULL;

    if (waits_for_values(sent)) {
        return;
    }
    sent->dirty = false;
    if (task == NULL || strcmp(task->node_id, node->id) != 0) {
        remove_task(d, node, sent, changes);
        return;
    }
    if (task->status == NULL ||
        task->status->state < SWKPB__TASK_STATE__ASSIGNED) {
        return;
    }
    if (sent->object == NULL || task_changed(swki_task(sent->object), task)) {
        add_task(changes, SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__UPDATE,
                 NULL, present_task(changes, sent, task));
    }
    hold_dependencies(d, node, sent, task, changes);
    swki_object_ref(object);
    swki_object_unref(sent->object);
    sent->object = object;
}

bool swki_dispatcher_mark_task(struct swki_dispatcher *d, struct node *node,
                               const char *task_id)
{
    struct sent_task *sent = swki_map_get(&node->tasks, task_id);

    if (sent == NULL) {
        sent = swki_calloc(d->config.alloc, 1, sizeof(*sent));
        if (sent == NULL) {
            return false;
        }
        snprintf(sent->id, sizeof(sent->id), "%s", task_id);
        swki_list_init(&sent->leases);
        if (!swki_map_put(&node->tasks, sent->id, sent)) {
            swki_free(d->config.alloc, sent);
            return false;
        }
    }
    sent->dirty = true;
    node->assignments_due = true;
    swki_dispatcher_note_due(d, node);
    return true;
}

/* -- The stream ----------------------------------------------------------- */

static void forget_sent(struct swki_dispatcher *d, struct node *node)
{
    struct sent_task *sent;
    struct dependency *dependency;
    size_t cursor = 0;

    while ((sent = swki_map_next(&node->tasks, &cursor)) != NULL) {
        swki_dispatcher_release_leases(d, sent);
        swki_object_unref(sent->object);
        swki_free(d->config.alloc, sent);
    }
    cursor = 0;
    while ((dependency = swki_map_next(&node->dependencies, &cursor)) !=
           NULL) {
        free_dependency(d, dependency);
    }
    swki_map_fini(&node->tasks);
    swki_map_fini(&node->dependencies);
    swki_map_fini(&node->driven);
}

static void reset_assignments(struct swki_dispatcher *d, struct node *node)
{
    forget_sent(d, node);
    swki_timers_cancel(&d->timers, &node->assignments_timer);
    node->assignments_sequence = 0;
    node->assignments_sent = 0;
    node->assignments_due = false;
}

void swki_dispatcher_close_assignments(struct swki_dispatcher *d,
                                       struct node *node)
{
    swki_dispatcher_close_stream(d, &node->assignments);
    reset_assignments(d, node);
}

void swki_dispatcher_end_assignments(struct swki_dispatcher *d,
                                     struct node *node,
                                     struct swki_answers *answers,
                                     enum swki_status status,
                                     const char *text)
{
    swki_dispatcher_end_stream(d, &node->assignments, answers, status, text);
    reset_assignments(d, node);
}

bool swki_dispatcher_list_assignments(struct swki_dispatcher *d,
                                      struct node *node)
{
    const struct swki_selector by_node = {.by = SWKI_BY_NODE_ID,
                                          .text = node->id};
    struct swki_cursor cursor;
    const struct swki_object *object;
    struct sent_task *sent;
    size_t walk = 0;
    bool ok = true;

    forget_sent(d, node);
    if (swki_view_find(swki_store_committed(d->store), SWKI_KIND_TASK,
                       &by_node, &cursor, NULL) != 0) {
        return false;
    }
    while (ok && (object = swki_cursor_next(&cursor)) != NULL) {
        ok = swki_dispatcher_mark_task(d, node, swki_object_id(object));
    }
    swki_cursor_close(&cursor);
    while ((sent = swki_map_next(&node->tasks, &walk)) != NULL) {
        sent->earlier = true;
    }
    node->assignments_complete = true;
    node->assignments_due = true;
    swki_dispatcher_note_due(d, node);
    return ok;
}

static void send_message(struct node *node, struct changes *changes,
                         struct swki_answers *answers)
{
    Swkpb__AssignmentsMessage message = SWKPB__ASSIGNMENTS_MESSAGE__INIT;
    char applies_to[24] = "";
    char results_in[24];

    if (node->assignments_sequence > 0) {
        snprintf(applies_to, sizeof(applies_to), "%" PRIu64,
                 node->assignments_sequence);
    }
    node->assignments_sequence++;
    snprintf(results_in, sizeof(results_in), "%" PRIu64,
             node->assignments_sequence);
    message.type = node->assignments_complete
                       ? SWKPB__ASSIGNMENTS_MESSAGE__TYPE__COMPLETE
                       : SWKPB__ASSIGNMENTS_MESSAGE__TYPE__INCREMENTAL;
    message.applies_to = applies_to;
    message.results_in = results_in;
    message.changes = changes->list;
    message.n_changes = changes->count;
    swki_answer_send(answers, node->assignments.call_id, &message.base);
    node->assignments_complete = false;
}

/* Makes the message of what changed, and sends it if there is any. */
static void settle(struct swki_dispatcher *d, struct node *node,
                   const struct swki_view *view, struct swki_answers *answers)
{
    struct changes changes = {0};
    size_t cursor = 0;
    struct sent_task *sent;

    swki_arena_init(&changes.arena, d->config.alloc, SIZE_MAX);
    while ((sent = swki_map_next(&node->tasks, &cursor)) != NULL) {
        if (sent->dirty) {
            settle_task(d, node, view, sent, &changes);
        }
    }
    settle_dependencies(d, node, view, &changes);
    if (changes.failed) {
        /* The bookkeeping may be half done: let the node ask anew. */
        swki_dispatcher_end_assignments(d, node, answers,
                                        SWKI_STATUS_RESOURCE_EXHAUSTED,
                                        "out of memory");
    } else if (changes.count > 0 || node->assignments_complete) {
        send_message(node, &changes, answers);
        node->assignments_sent = d->now;
    }
    if (changes.values) {
        forget_values(d, node);
    }
    swki_arena_fini(&changes.arena);
}

void swki_dispatcher_send_assignments(struct swki_dispatcher *d,
                                      struct node *node,
                                      struct swki_answers *answers)
{
    const struct swki_view *view = swki_store_committed(d->store);

    if (!node->assignments_due) {
        return;
    }
    if (node->assignments_sent != 0 &&
        d->now < node->assignments_sent + ASSIGNMENTS_GAP &&
        swki_timers_set(&d->timers, &node->assignments_timer,
                        node->assignments_sent + ASSIGNMENTS_GAP)) {
        return;
    }
    node->assignments_due = false;
    if (!lease_values(d, node, view)) {
        swki_dispatcher_end_assignments(
            d, node, answers, SWKI_STATUS_RESOURCE_EXHAUSTED, "out of memory");
    } else if (!complete_set_waits(node)) {
        settle(d, node, view, answers);
    }
}
