/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A leader's store, and the components that work on it, in one thread.
 *
 * The log is a queue that commits when told to. The components to run are
 * chosen by bits. Time moves by swarm_advance() only. Every committed change
 * of a task is held against the rules of the task model.
 */

#ifndef TESTS_LIB_SWARM_H
#define TESTS_LIB_SWARM_H

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/allocator/allocator.h"
#include "core/orchestrator/enforcer.h"
#include "core/orchestrator/orchestrator.h"
#include "core/orchestrator/reaper.h"
#include "core/scheduler/scheduler.h"
#include "core/store/task.h"
#include "wire/time.h"

#define NEW SWKPB__TASK_STATE__NEW
#define PENDING SWKPB__TASK_STATE__PENDING
#define ASSIGNED SWKPB__TASK_STATE__ASSIGNED
#define READY SWKPB__TASK_STATE__READY
#define STARTING SWKPB__TASK_STATE__STARTING
#define RUNNING SWKPB__TASK_STATE__RUNNING
#define COMPLETE SWKPB__TASK_STATE__COMPLETE
#define SHUTDOWN SWKPB__TASK_STATE__SHUTDOWN
#define FAILED SWKPB__TASK_STATE__FAILED
#define REJECTED SWKPB__TASK_STATE__REJECTED
#define REMOVE SWKPB__TASK_STATE__REMOVE
#define ORPHANED SWKPB__TASK_STATE__ORPHANED

enum {
    SWARM_ALLOCATOR = 1 << 0,
    SWARM_ORCHESTRATOR = 1 << 1,
    SWARM_SCHEDULER = 1 << 2,
    SWARM_REAPER = 1 << 3,
    SWARM_ENFORCER = 1 << 4,
    SWARM_ALL = 31,
};

struct swarm_entry {
    struct swarm_entry *next;
    uint64_t index;
    size_t len;
    uint8_t data[];
};

struct swarm {
    struct swki_store *store;
    struct swki_watch *checked; /* committed changes, to hold to the rules */
    struct swarm_entry *first;  /* proposed, not committed */
    struct swarm_entry **last;
    uint64_t index;
    bool leads;
    bool manual; /* nothing commits but by swarm_commit() */
    swk_time now;
    swk_wall wall;
    unsigned parts;
    struct swki_allocator *allocator;
    struct swki_orchestrator *orchestrator;
    struct swki_scheduler *scheduler;
    struct swki_reaper *reaper;
    struct swki_enforcer *enforcer;
};

/* -- The log -------------------------------------------------------------- */

static inline uint64_t swarm_next_index(void *ctx)
{
    struct swarm *s = ctx;

    return s->leads ? s->index + 1 : 0;
}

static inline int swarm_propose(void *ctx, const uint8_t *data, size_t len,
                                struct swk_error *err)
{
    struct swarm *s = ctx;
    struct swarm_entry *entry = malloc(sizeof(*entry) + len);

    assert_non_null(entry);
    entry->next = NULL;
    entry->index = ++s->index;
    entry->len = len;
    memcpy(entry->data, data, len);
    *s->last = entry;
    s->last = &entry->next;
    return SWK_OK;
}

/* -- The rules ------------------------------------------------------------ */

static inline void swarm_check_create(const Swkpb__Task *task)
{
    assert_int_equal(swki_task_state(task), NEW);
}

static inline void swarm_check_states(const Swkpb__Task *task)
{
    Swkpb__TaskState state = swki_task_state(task);
    Swkpb__TaskState desired = task->desired_state;

    assert_int_not_equal(state, REMOVE);
    assert_true(desired == READY || desired == RUNNING || desired == COMPLETE ||
                desired == SHUTDOWN || desired == REMOVE);
    /* Only a task that was never placed may end without a node. */
    assert_true(state < ASSIGNED || state == REJECTED || state == SHUTDOWN ||
                task->node_id[0] != '\0');
}

static inline void swarm_check_update(const Swkpb__Task *old,
                                      const Swkpb__Task *task)
{
    Swkpb__TaskState before = swki_task_state(old);
    Swkpb__TaskState after = swki_task_state(task);

    assert_string_equal(old->service_id, task->service_id);
    assert_true(old->slot == task->slot);
    assert_true(old->node_id[0] == '\0' ||
                strcmp(old->node_id, task->node_id) == 0);
    assert_true(after >= before);
    assert_true(task->desired_state >= old->desired_state);
    assert_true(before <= RUNNING || after > RUNNING);
    if (before != after && after <= RUNNING && after > ASSIGNED) {
        assert_true(after <= task->desired_state);
    }
}

static inline void swarm_check_delete(const Swkpb__Task *task)
{
    assert_true(swki_task_terminal(task) || swki_task_state(task) <= PENDING);
}

static inline void swarm_check(struct swarm *s)
{
    const struct swki_event *event;

    while ((event = swki_watch_next(s->checked)) != NULL) {
        if (event->change == SWKI_CHANGE_COMMIT) {
            continue;
        }
        assert_int_not_equal(event->change, SWKI_CHANGE_RESET);
        if (event->change == SWKI_CHANGE_DELETE) {
            swarm_check_delete(swki_task(event->object));
            continue;
        }
        swarm_check_states(swki_task(event->object));
        if (event->change == SWKI_CHANGE_CREATE) {
            swarm_check_create(swki_task(event->object));
        } else {
            swarm_check_update(swki_task(event->old), swki_task(event->object));
        }
    }
}

static inline void swarm_commit(struct swarm *s)
{
    while (s->first != NULL) {
        struct swarm_entry *entry = s->first;
        struct swk_error err = {0};

        s->first = entry->next;
        if (s->first == NULL) {
            s->last = &s->first;
        }
        if (swki_store_apply(s->store, entry->index, entry->data, entry->len,
                             &err) != SWK_OK) {
            fail_msg("apply: %s", err.text);
        }
        free(entry);
    }
    swarm_check(s);
}

/* A component that failed a step says so in the test's output. */
static inline void swarm_log(void *ctx, const struct swk_log_record *record)
{
    print_message("%s: %s\n", record->module, record->message);
}

static const struct swk_logger swarm_logger = {
    .size = sizeof(struct swk_logger),
    .level = SWK_LOG_WARN,
    .log = swarm_log,
};

/* -- The components ------------------------------------------------------- */

static inline void swarm_start(struct swarm *s, unsigned parts, uint64_t seed)
{
    struct swki_allocator_config allocator = {
        .logger = &swarm_logger, .store = s->store, .node_id = "leader"};
    struct swki_orchestrator_config orchestrator = {.logger = &swarm_logger,
                                                    .store = s->store,
                                                    .node_id = "leader",
                                                    .seed = seed};
    struct swki_scheduler_config scheduler = {
        .logger = &swarm_logger, .store = s->store, .node_id = "leader"};
    struct swki_reaper_config reaper = {.logger = &swarm_logger,
                                        .store = s->store};
    struct swki_enforcer_config enforcer = {
        .logger = &swarm_logger, .store = s->store, .node_id = "leader"};

    s->parts = parts;
    assert_int_equal(swki_allocator_new(&allocator, &s->allocator, NULL), 0);
    assert_int_equal(
        swki_orchestrator_new(&orchestrator, &s->orchestrator, NULL), 0);
    assert_int_equal(swki_scheduler_new(&scheduler, &s->scheduler, NULL), 0);
    assert_int_equal(swki_reaper_new(&reaper, &s->reaper, NULL), 0);
    assert_int_equal(swki_enforcer_new(&enforcer, &s->enforcer, NULL), 0);
}

static inline void swarm_stop(struct swarm *s)
{
    swki_allocator_free(s->allocator);
    swki_orchestrator_free(s->orchestrator);
    swki_scheduler_free(s->scheduler);
    swki_reaper_free(s->reaper);
    swki_enforcer_free(s->enforcer);
}

/* A new leader: everything that is in memory only is lost. */
static inline void swarm_fail_over(struct swarm *s, uint64_t seed)
{
    unsigned parts = s->parts;

    swarm_stop(s);
    swarm_start(s, parts, seed);
}

static inline void swarm_init(struct swarm *s, unsigned parts)
{
    struct swki_store_config config = {
        .proposer = {.ctx = s,
                     .next_index = swarm_next_index,
                     .propose = swarm_propose},
    };

    *s = (struct swarm){
        .leads = true,
        .now = SWK_SECOND,
        .wall = INT64_C(1700000000) * INT64_C(1000000000),
    };
    s->last = &s->first;
    assert_int_equal(swki_store_new(&config, &s->store, NULL), 0);
    s->checked = swki_store_watch(s->store, SWKI_FEED_COMMITTED,
                                  1u << SWKI_KIND_TASK, 1 << 22);
    assert_non_null(s->checked);
    swarm_start(s, parts, 1);
}

static inline void swarm_fini(struct swarm *s)
{
    swarm_commit(s);
    swarm_stop(s);
    swki_watch_free(s->checked);
    swki_store_free(s->store);
}

static inline void swarm_step(struct swarm *s)
{
    if (s->parts & SWARM_ORCHESTRATOR) {
        swki_orchestrator_step(s->orchestrator, s->now, s->wall);
    }
    if (s->parts & SWARM_ALLOCATOR) {
        swki_allocator_step(s->allocator, s->now, s->wall);
    }
    if (s->parts & SWARM_SCHEDULER) {
        swki_scheduler_step(s->scheduler, s->now, s->wall);
    }
    if (s->parts & SWARM_ENFORCER) {
        swki_enforcer_step(s->enforcer, s->now, s->wall);
    }
    if (s->parts & SWARM_REAPER) {
        swki_reaper_step(s->reaper, s->now, s->wall);
    }
    if (!s->manual) {
        swarm_commit(s);
    }
}

static inline bool swarm_pending(const struct swarm *s)
{
    return ((s->parts & SWARM_ORCHESTRATOR) &&
            swki_orchestrator_pending(s->orchestrator)) ||
           ((s->parts & SWARM_ALLOCATOR) &&
            swki_allocator_pending(s->allocator)) ||
           ((s->parts & SWARM_SCHEDULER) &&
            swki_scheduler_pending(s->scheduler)) ||
           ((s->parts & SWARM_ENFORCER) &&
            swki_enforcer_pending(s->enforcer)) ||
           ((s->parts & SWARM_REAPER) && swki_reaper_pending(s->reaper));
}

static inline swk_time swarm_earlier(swk_time a, swk_time b)
{
    return a < b ? a : b;
}

static inline swk_time swarm_deadline(const struct swarm *s)
{
    swk_time deadline = SWK_NEVER;

    if (s->parts & SWARM_ORCHESTRATOR) {
        deadline = swarm_earlier(deadline,
                                 swki_orchestrator_deadline(s->orchestrator));
    }
    if (s->parts & SWARM_ALLOCATOR) {
        deadline =
            swarm_earlier(deadline, swki_allocator_deadline(s->allocator));
    }
    if (s->parts & SWARM_SCHEDULER) {
        deadline =
            swarm_earlier(deadline, swki_scheduler_deadline(s->scheduler));
    }
    if (s->parts & SWARM_ENFORCER) {
        deadline = swarm_earlier(deadline, swki_enforcer_deadline(s->enforcer));
    }
    if (s->parts & SWARM_REAPER) {
        deadline = swarm_earlier(deadline, swki_reaper_deadline(s->reaper));
    }
    return deadline;
}

/* Steps until nobody has anything to do at this time. */
static inline void swarm_settle(struct swarm *s)
{
    for (int i = 0; i < 2000; i++) {
        if (!swarm_pending(s) && swarm_deadline(s) > s->now) {
            return;
        }
        swarm_step(s);
    }
    fail_msg("the components do not come to rest");
}

/* Lets time pass, with every deadline met in between. */
static inline void swarm_advance(struct swarm *s, swk_time span)
{
    swk_time end = s->now + span;

    swarm_settle(s);
    while (s->now < end) {
        swk_time next = swarm_earlier(swarm_deadline(s), end);

        s->wall += (swk_wall)(next - s->now);
        s->now = next;
        swarm_settle(s);
    }
}

/* -- Users, nodes, workers ------------------------------------------------ */

static inline char *swarm_text(struct swki_object *object, const char *text)
{
    return swki_arena_strdup(swki_object_arena(object), text);
}

static inline void *swarm_new(struct swki_object *object, size_t size)
{
    return swki_arena_calloc(swki_object_arena(object), 1, size);
}

/* Writes an object, which is taken, as an actor. */
static inline int swarm_try(struct swarm *s, enum swki_actor actor,
                            struct swki_object *object,
                            int (*write)(struct swki_tx *, struct swki_object *,
                                         struct swk_error *))
{
    struct swki_tx *tx = swki_store_begin(s->store, actor, s->wall);
    struct swk_error err = {0};
    int rc;

    assert_non_null(tx);
    rc = write(tx, object, &err);
    if (rc != SWK_OK) {
        print_message("write: %s\n", err.text);
        swki_tx_abort(tx);
        return rc;
    }
    rc = swki_tx_commit(tx, NULL, NULL, NULL, &err);
    if (!s->manual) {
        swarm_commit(s);
    }
    return rc;
}

static inline void swarm_create(struct swarm *s, enum swki_actor actor,
                                struct swki_object *object)
{
    assert_int_equal(swarm_try(s, actor, object, swki_tx_create), 0);
}

static inline void swarm_update(struct swarm *s, enum swki_actor actor,
                                struct swki_object *object)
{
    assert_int_equal(swarm_try(s, actor, object, swki_tx_update), 0);
}

static inline void swarm_delete(struct swarm *s, enum swki_actor actor,
                                enum swki_kind kind, const char *id)
{
    struct swki_tx *tx = swki_store_begin(s->store, actor, s->wall);
    struct swk_error err = {0};

    if (swki_tx_delete(tx, kind, id, &err) != SWK_OK) {
        fail_msg("delete: %s", err.text);
    }
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    if (!s->manual) {
        swarm_commit(s);
    }
}

static inline const struct swki_object *
swarm_get(const struct swarm *s, enum swki_kind kind, const char *id)
{
    return swki_view_get(swki_store_head(s->store), kind, id);
}

static inline struct swki_object *
swarm_edit(const struct swarm *s, enum swki_kind kind, const char *id)
{
    const struct swki_object *object = swarm_get(s, kind, id);
    struct swki_object *next;

    assert_non_null(object);
    next = swki_object_edit(object);
    assert_non_null(next);
    return next;
}

/* A node that is READY and ACTIVE, with 4 CPUs and 8 GiB, yet to be created. */
static inline struct swki_object *swarm_make_node(const char *id)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_NODE);
    Swkpb__Node *node = swki_node_edit(object);

    node->id = swarm_text(object, id);
    node->spec = swarm_new(object, sizeof(*node->spec));
    swkpb__node_spec__init(node->spec);
    node->spec->annotations =
        swarm_new(object, sizeof(*node->spec->annotations));
    swkpb__annotations__init(node->spec->annotations);
    node->status = swarm_new(object, sizeof(*node->status));
    swkpb__node_status__init(node->status);
    node->status->state = SWKPB__NODE_STATUS__STATE__READY;
    node->description = swarm_new(object, sizeof(*node->description));
    swkpb__node_description__init(node->description);
    node->description->hostname = swarm_text(object, id);
    node->description->resources =
        swarm_new(object, sizeof(*node->description->resources));
    swkpb__resources__init(node->description->resources);
    node->description->resources->nano_cpus = INT64_C(4000000000);
    node->description->resources->memory_bytes = INT64_C(8) << 30;
    return object;
}

static inline void swarm_label(struct swki_object *node, const char *key,
                               const char *value)
{
    Swkpb__Annotations *annotations = swki_node_edit(node)->spec->annotations;
    Swkpb__Annotations__LabelsEntry *label = swarm_new(node, sizeof(*label));
    Swkpb__Annotations__LabelsEntry **labels = swki_arena_calloc(
        swki_object_arena(node), annotations->n_labels + 1, sizeof(label));

    swkpb__annotations__labels_entry__init(label);
    label->key = swarm_text(node, key);
    label->value = swarm_text(node, value);
    for (size_t i = 0; i < annotations->n_labels; i++) {
        labels[i] = annotations->labels[i];
    }
    labels[annotations->n_labels++] = label;
    annotations->labels = labels;
}

static inline void swarm_add_node(struct swarm *s, const char *id)
{
    swarm_create(s, SWKI_ACTOR_CA, swarm_make_node(id));
}

static inline void
swarm_set_availability(struct swarm *s, const char *id,
                       Swkpb__NodeSpec__Availability availability)
{
    struct swki_object *object = swarm_edit(s, SWKI_KIND_NODE, id);
    Swkpb__Node *node = swki_node_edit(object);

    swki_object_own(object, &node->spec);
    node->spec->availability = availability;
    swarm_update(s, SWKI_ACTOR_CONTROL, object);
}

static inline void swarm_set_node_state(struct swarm *s, const char *id,
                                        Swkpb__NodeStatus__State state)
{
    struct swki_object *object = swarm_edit(s, SWKI_KIND_NODE, id);
    Swkpb__Node *node = swki_node_edit(object);

    swki_object_own(object, &node->status);
    node->status->state = state;
    swarm_update(s, SWKI_ACTOR_DISPATCHER, object);
}

/* A replicated service, yet to be created. */
static inline struct swki_object *swarm_make_service(const char *id,
                                                     uint64_t replicas)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_SERVICE);
    Swkpb__Service *service = swki_service_edit(object);
    Swkpb__ServiceSpec *spec = swarm_new(object, sizeof(*spec));
    Swkpb__TaskSpec *task = swarm_new(object, sizeof(*task));

    swkpb__service_spec__init(spec);
    swkpb__task_spec__init(task);
    service->id = swarm_text(object, id);
    service->spec = spec;
    spec->annotations = swarm_new(object, sizeof(*spec->annotations));
    swkpb__annotations__init(spec->annotations);
    spec->annotations->name = swarm_text(object, id);
    spec->mode_case = SWKPB__SERVICE_SPEC__MODE_REPLICATED;
    spec->replicated = swarm_new(object, sizeof(*spec->replicated));
    swkpb__replicated_service__init(spec->replicated);
    spec->replicated->replicas = replicas;
    spec->task = task;
    task->runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    task->container = swarm_new(object, sizeof(*task->container));
    swkpb__container_spec__init(task->container);
    task->container->image = swarm_text(object, "image:1");
    task->restart = swarm_new(object, sizeof(*task->restart));
    swkpb__restart_policy__init(task->restart);
    task->restart->condition = SWKPB__RESTART_POLICY__RESTART_CONDITION__ANY;
    task->placement = swarm_new(object, sizeof(*task->placement));
    swkpb__placement__init(task->placement);
    service->spec_version = swarm_new(object, sizeof(*service->spec_version));
    swkpb__version__init(service->spec_version);
    service->spec_version->index = 1;
    return object;
}

static inline void swarm_add_service(struct swarm *s, const char *id,
                                     uint64_t replicas)
{
    swarm_create(s, SWKI_ACTOR_CONTROL, swarm_make_service(id, replicas));
}

/* An update by the user: the spec may be changed, its version rises, the old
 * one is kept, and the status of former updates goes. */
static inline struct swki_object *swarm_edit_service(struct swarm *s,
                                                     const char *id)
{
    struct swki_object *object = swarm_edit(s, SWKI_KIND_SERVICE, id);
    Swkpb__Service *service = swki_service_edit(object);

    service->previous_spec = service->spec;
    service->previous_spec_version = service->spec_version;
    swki_object_own(object, &service->previous_spec);
    swki_object_own(object, &service->previous_spec_version);
    swki_object_own(object, &service->spec);
    swki_object_own(object, &service->spec_version);
    service->spec_version->index++;
    service->update_status = NULL;
    return object;
}

static inline void swarm_scale(struct swarm *s, const char *id,
                               uint64_t replicas)
{
    struct swki_object *object = swarm_edit(s, SWKI_KIND_SERVICE, id);
    Swkpb__Service *service = swki_service_edit(object);

    swki_object_own(object, &service->spec);
    service->spec->replicated->replicas = replicas;
    swarm_update(s, SWKI_ACTOR_CONTROL, object);
}

static inline Swkpb__Duration *swarm_duration(struct swki_object *object,
                                              swk_time span)
{
    Swkpb__Duration *duration = swarm_new(object, sizeof(*duration));

    swkpb__duration__init(duration);
    duration->seconds = (int64_t)(span / SWK_SECOND);
    duration->nanos = (int32_t)(span % SWK_SECOND);
    return duration;
}

/* What a worker reports of a task. */
static inline void swarm_report(struct swarm *s, const char *task_id,
                                Swkpb__TaskState state)
{
    struct swki_object *object = swarm_edit(s, SWKI_KIND_TASK, task_id);
    struct swki_task_report report = {
        .state = state,
        .message = "reported",
        .applied_by = "leader",
        .wall = s->wall,
    };

    assert_int_equal(swki_task_report(object, &report), 0);
    swarm_update(s, SWKI_ACTOR_DISPATCHER, object);
}

/* -- Looking -------------------------------------------------------------- */

/* The tasks of a service for which keep says so; borrowed until the next
 * change. Returns how many there are. */
typedef bool (*swarm_keep_fn)(const Swkpb__Task *task);

static inline size_t swarm_tasks(const struct swarm *s, const char *service_id,
                                 swarm_keep_fn keep, const Swkpb__Task **out,
                                 size_t out_size)
{
    struct swki_selector by_service = {.by = SWKI_BY_SERVICE_ID,
                                       .text = service_id};
    const struct swki_object *object;
    struct swki_cursor cursor;
    size_t count = 0;

    assert_int_equal(swki_view_find(swki_store_head(s->store), SWKI_KIND_TASK,
                                    &by_service, &cursor, NULL),
                     0);
    while ((object = swki_cursor_next(&cursor)) != NULL) {
        if (keep != NULL && !keep(swki_task(object))) {
            continue;
        }
        if (count < out_size) {
            out[count] = swki_task(object);
        }
        count++;
    }
    swki_cursor_close(&cursor);
    return count;
}

static inline bool swarm_wanted(const Swkpb__Task *task)
{
    return swki_task_wanted(task);
}

static inline bool swarm_is_running(const Swkpb__Task *task)
{
    return swki_task_state(task) == RUNNING;
}

static inline size_t swarm_count(const struct swarm *s, const char *service_id,
                                 swarm_keep_fn keep)
{
    return swarm_tasks(s, service_id, keep, NULL, 0);
}

/* The task of a slot that is meant to run; fails unless it is the only one. */
static inline const Swkpb__Task *
swarm_slot_task(const struct swarm *s, const char *service_id, uint64_t slot)
{
    const Swkpb__Task *tasks[1024];
    const Swkpb__Task *found = NULL;
    size_t count = swarm_tasks(s, service_id, swarm_wanted, tasks, 1024);

    assert_true(count <= 1024);
    for (size_t i = 0; i < count; i++) {
        if (tasks[i]->slot == slot) {
            assert_null(found);
            found = tasks[i];
        }
    }
    return found;
}

/* Obedient workers: everything that is assigned goes as far as it should. */
static inline void swarm_work(struct swarm *s)
{
    struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_view *view = swki_view_ref(swki_store_head(s->store));
    const struct swki_object *object;
    struct swki_cursor cursor;

    assert_int_equal(swki_view_find(view, SWKI_KIND_TASK, &all, &cursor, NULL),
                     0);
    while ((object = swki_cursor_next(&cursor)) != NULL) {
        const Swkpb__Task *task = swki_task(object);
        Swkpb__TaskState state = swki_task_state(task);
        Swkpb__TaskState target =
            task->desired_state >= SHUTDOWN ? SHUTDOWN : task->desired_state;

        if (target == COMPLETE) {
            target = RUNNING;
        }
        if (state >= ASSIGNED && state <= RUNNING && state < target) {
            swarm_report(s, task->id, target);
        }
    }
    swki_cursor_close(&cursor);
    swki_view_unref(view);
}

/* Settles the components and the workers in turn. */
static inline void swarm_run(struct swarm *s)
{
    uint64_t before;

    do {
        swarm_settle(s);
        before = s->index;
        swarm_work(s);
        swarm_settle(s);
    } while (s->index != before);
}

/* Lets time pass with workers at work. */
static inline void swarm_run_for(struct swarm *s, swk_time span)
{
    swk_time end = s->now + span;

    swarm_run(s);
    while (s->now < end) {
        swk_time next = swarm_earlier(swarm_deadline(s), end);

        s->wall += (swk_wall)(next - s->now);
        s->now = next;
        swarm_run(s);
    }
}

#endif
