/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What must hold in a swarm, and the trace that shows what happened.
 *
 * A second store takes every entry as it becomes durable, which with one
 * manager is when it is committed. Each change is held against the rules of
 * the task model; so is what nodes have, after each of their turns.
 */

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.pb-c.h"
#include "core/store/task.h"
#include "lib/sim_swarm.h"
#include "wire/message.h"

enum {
    SLOTS_MAX = 64,
    HISTORY_MAX = 5, /* tasks of a slot; the default of clusters */
};

struct sim_label {
    char id[SWK_ID_LEN_MAX + 1];
    char name[SIM_NAME_SIZE];
};

/* -- Traces --------------------------------------------------------------- */

void sim_name(struct sim *sim, const char *id, const char *name)
{
    struct sim_label *label = swki_map_get(&sim->names, id);

    if (label != NULL) {
        return;
    }
    label = calloc(1, sizeof(*label));
    assert(label != NULL);
    snprintf(label->id, sizeof(label->id), "%s", id);
    snprintf(label->name, sizeof(label->name), "%s", name);
    if (!swki_map_put(&sim->names, label->id, label)) {
        abort();
    }
}

const char *sim_name_of(const struct sim *sim, const char *id)
{
    const struct sim_label *label = swki_map_get(&sim->names, id);

    return label != NULL ? label->name : id;
}

void sim_names_fini(struct sim *sim)
{
    struct sim_label *label;
    size_t cursor = 0;

    while ((label = swki_map_next(&sim->names, &cursor)) != NULL) {
        free(label);
    }
    swki_map_fini(&sim->names);
}

/* Appends the text with names in place of IDs. */
static void append_named(struct sim *sim, const char *text)
{
    while (*text != '\0') {
        size_t len = 0;
        char word[SWK_ID_LEN + 1];

        while (isalnum((unsigned char)text[len])) {
            len++;
        }
        if (len == SWK_ID_LEN) {
            memcpy(word, text, len);
            word[len] = '\0';
            (void)swki_buf_append_text(&sim->trace, sim_name_of(sim, word));
        } else {
            len = len > 0 ? len : 1;
            (void)swki_buf_append(&sim->trace, text, len);
        }
        text += len;
    }
}

void sim_trace(struct sim *sim, const char *who, const char *format, ...)
{
    char text[1024];
    va_list args;

    if (sim->quiet) {
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)swki_buf_printf(&sim->trace, "[%7.3f] %s ",
                          (double)sim->now / (double)SWK_SECOND, who);
    append_named(sim, text);
    (void)swki_buf_append_text(&sim->trace, "\n");
}

void sim_broken(struct sim *sim, const char *format, ...)
{
    va_list args;

    if (sim->broken[0] != '\0') {
        return;
    }
    va_start(args, format);
    vsnprintf(sim->broken, sizeof(sim->broken), format, args);
    va_end(args);
    sim->quiet = false;
    sim_trace(sim, "RULE", "%s", sim->broken);
}

/* -- Rules of the task model ---------------------------------------------- */

static const char *state_name(int state)
{
    const char *name = swki_enum_name(&swkpb__task_state__descriptor, state);

    return name != NULL ? name : "?";
}

static void broken_by(struct sim *sim, const Swkpb__Task *task,
                      const char *rule)
{
    sim_broken(sim, "%s: task %s is %s, wanted %s, on %s", rule,
               sim_name_of(sim, task->id), state_name((int)swki_task_state(task)),
               state_name((int)task->desired_state),
               sim_name_of(sim, task->node_id));
}

static bool is_state(Swkpb__TaskState state)
{
    return state != SWKPB__TASK_STATE__REMOVE &&
           swki_enum_name(&swkpb__task_state__descriptor, (int)state) != NULL;
}

static bool is_desired(Swkpb__TaskState state)
{
    return state == SWKPB__TASK_STATE__READY ||
           state == SWKPB__TASK_STATE__RUNNING ||
           state == SWKPB__TASK_STATE__COMPLETE ||
           state == SWKPB__TASK_STATE__SHUTDOWN ||
           state == SWKPB__TASK_STATE__REMOVE;
}

/* S1, S2, S6. */
static void check_task(struct sim *sim, const Swkpb__Task *task)
{
    Swkpb__TaskState state = swki_task_state(task);

    if (!is_state(state)) {
        broken_by(sim, task, "S1: no observed state");
    }
    if (!is_desired(task->desired_state)) {
        broken_by(sim, task, "S2: no desired state");
    }
    if (state >= SWKPB__TASK_STATE__ASSIGNED &&
        state != SWKPB__TASK_STATE__REJECTED && task->node_id[0] == '\0' &&
        state < SWKPB__TASK_STATE__SHUTDOWN) {
        broken_by(sim, task, "S6: no node");
    }
}

/* Whether some component may take a task from one state to the other. Workers
 * may skip what lies on the way, for only the last status is reported. */
static bool may_move(Swkpb__TaskState from, Swkpb__TaskState to)
{
    if (from == SWKPB__TASK_STATE__NEW) {
        return to == SWKPB__TASK_STATE__PENDING ||
               to == SWKPB__TASK_STATE__ORPHANED;
    }
    if (from == SWKPB__TASK_STATE__PENDING) {
        return to == SWKPB__TASK_STATE__ASSIGNED ||
               to == SWKPB__TASK_STATE__SHUTDOWN ||
               to == SWKPB__TASK_STATE__ORPHANED;
    }
    return from < SWKPB__TASK_STATE__COMPLETE && to > from;
}

static const Swkpb__Node *node_of(const struct sim *sim, const char *id)
{
    const struct swki_object *object =
        swki_view_get(sim_view(sim), SWKI_KIND_NODE, id);

    return object != NULL ? swki_node(object) : NULL;
}

static void check_move(struct sim *sim, const Swkpb__Task *old,
                       const Swkpb__Task *task)
{
    Swkpb__TaskState from = swki_task_state(old);
    Swkpb__TaskState to = swki_task_state(task);
    const Swkpb__Node *node = node_of(sim, task->node_id);

    if (to == from) {
        return;
    }
    if (!may_move(from, to)) {
        broken_by(sim, task, "S9: a move that nobody may make");
    }
    if (to >= SWKPB__TASK_STATE__ACCEPTED && to <= SWKPB__TASK_STATE__RUNNING &&
        to > task->desired_state) {
        broken_by(sim, task, "S11: further than wanted");
    }
    if (to == SWKPB__TASK_STATE__ASSIGNED && node != NULL &&
        node->spec->availability != SWKPB__NODE_SPEC__AVAILABILITY__ACTIVE) {
        broken_by(sim, task, "placed on a node that takes no tasks");
    }
}

/* S3, S4, S5, S9, S11, S15. */
static void check_update(struct sim *sim, const Swkpb__Task *old,
                         const Swkpb__Task *task)
{
    if (strcmp(old->service_id, task->service_id) != 0 ||
        old->slot != task->slot ||
        (old->node_id[0] != '\0' && strcmp(old->node_id, task->node_id) != 0)) {
        broken_by(sim, task, "S3: another service, slot or node");
    }
    if (swki_task_state(task) < swki_task_state(old)) {
        broken_by(sim, task, "S4: went backwards");
    }
    if (task->desired_state < old->desired_state) {
        broken_by(sim, task, "S5: wanted less");
    }
    check_move(sim, old, task);
}

static void check_create(struct sim *sim, const Swkpb__Task *task)
{
    const struct swki_object *service =
        swki_view_get(sim_view(sim), SWKI_KIND_SERVICE, task->service_id);

    if (swki_task_state(task) != SWKPB__TASK_STATE__NEW) {
        broken_by(sim, task, "S9: did not begin as new");
    }
    if (service != NULL && swki_service(service)->pending_delete) {
        broken_by(sim, task, "S13: made for a service that goes");
    }
}

static void check_delete(struct sim *sim, const Swkpb__Task *task)
{
    Swkpb__TaskState state = swki_task_state(task);
    bool early = state == SWKPB__TASK_STATE__NEW ||
                 state == SWKPB__TASK_STATE__PENDING;

    if (!swki_task_terminal(task) &&
        !(early && task->desired_state == SWKPB__TASK_STATE__REMOVE)) {
        broken_by(sim, task, "S9: deleted while it may run");
    }
}

static const char *service_name(const Swkpb__Task *task)
{
    return task->service_annotations != NULL ? task->service_annotations->name
                                             : "";
}

static void trace_task(struct sim *sim, const Swkpb__Task *task,
                       const char *what)
{
    const char *err = task->status != NULL ? task->status->err : "";

    if (sim->trace_tasks) {
        sim_trace(sim, "m1", "store: %s %s.%llu %s %s wanted %s%s%s%s", task->id,
                  service_name(task), (unsigned long long)task->slot, what,
                  state_name((int)swki_task_state(task)),
                  state_name((int)task->desired_state),
                  task->node_id[0] != '\0' ? " on " : "", task->node_id,
                  err[0] != '\0' ? " (error)" : "");
    }
}

static void name_task(struct sim *sim, const Swkpb__Task *task)
{
    char name[SIM_NAME_SIZE];

    if (swki_map_get(&sim->names, task->id) != NULL) {
        broken_by(sim, task, "S7: an ID was used again");
    }
    snprintf(name, sizeof(name), "t%u", ++sim->tasks_named);
    sim_name(sim, task->id, name);
}

static void take_event(struct sim *sim, const struct swki_event *event)
{
    const Swkpb__Task *task;

    if (event->change > SWKI_CHANGE_DELETE || event->kind != SWKI_KIND_TASK) {
        return;
    }
    task = swki_task(event->object);
    if (event->change == SWKI_CHANGE_CREATE) {
        name_task(sim, task);
        check_create(sim, task);
        trace_task(sim, task, "new");
    } else if (event->change == SWKI_CHANGE_UPDATE) {
        check_update(sim, swki_task(event->old), task);
        if (swki_task_state(task) != swki_task_state(swki_task(event->old)) ||
            task->desired_state != swki_task(event->old)->desired_state) {
            trace_task(sim, task, "now");
        }
    } else {
        check_delete(sim, task);
        trace_task(sim, task, "deleted,");
    }
    if (event->change != SWKI_CHANGE_DELETE) {
        check_task(sim, task);
    }
}

/* -- The observer --------------------------------------------------------- */

static uint64_t no_index(void *ctx)
{
    (void)ctx;
    return 0;
}

static int no_proposal(void *ctx, const uint8_t *data, size_t len,
                       struct swk_error *err)
{
    (void)ctx;
    (void)data;
    (void)len;
    (void)err;
    return SWK_ENOTLEADER;
}

bool sim_observer_start(struct sim *sim)
{
    const struct swki_store_config config = {
        .proposer = {NULL, no_index, no_proposal},
    };

    if (swki_store_new(&config, &sim->observer, NULL) != 0) {
        return false;
    }
    sim->watch = swki_store_watch(sim->observer, SWKI_FEED_COMMITTED,
                                  1U << SWKI_KIND_TASK, 1U << 20);
    return sim->watch != NULL;
}

void sim_observer_stop(struct sim *sim)
{
    swki_watch_free(sim->watch);
    swki_store_free(sim->observer);
}

const struct swki_view *sim_view(const struct sim *sim)
{
    return swki_store_committed(sim->observer);
}

static void apply(struct sim *sim, const struct swk_log_entry *entry)
{
    const struct swki_event *event;
    struct swk_error err;

    if (entry->data_len == 0) {
        swki_store_apply_nothing(sim->observer, entry->index);
    } else if (swki_store_apply(sim->observer, entry->index, entry->data,
                                entry->data_len, &err) != 0) {
        sim_broken(sim, "entry %llu cannot be applied: %s",
                   (unsigned long long)entry->index, err.text);
    }
    while ((event = swki_watch_next(sim->watch)) != NULL) {
        take_event(sim, event);
    }
}

void sim_observe(struct sim *sim)
{
    const struct sim_storage *s = &sim->storage;
    uint64_t applied = swki_view_index(sim_view(sim));

    for (size_t i = 0; i < s->entries_count; i++) {
        const struct sim_entry *e = &s->entries[i];

        if (e->entry.index > applied && e->ticket <= s->durable_ticket) {
            apply(sim, &e->entry);
        }
    }
}

/* -- Nodes ---------------------------------------------------------------- */

/* No node has a task of another; no workload was started twice. */
void sim_check_node(struct sim_node *node)
{
    struct sim *sim = node->sim;
    const struct sim_workload *w;
    size_t cursor = 0;
    const char *id;

    while (node->agent != NULL &&
           (id = swki_agent_next_task(node->agent, &cursor)) != NULL) {
        const struct swki_object *task =
            swki_view_get(sim_view(sim), SWKI_KIND_TASK, id);

        if (swki_map_get(&sim->names, id) == NULL) {
            sim_broken(sim, "%s has task %s, which is not committed",
                       node->name, id);
        }
        if (task != NULL && strcmp(swki_task(task)->node_id, node->id) != 0) {
            sim_broken(sim, "%s has %s of another node", node->name,
                       sim_name_of(sim, id));
        }
    }
    cursor = 0;
    while ((w = swki_map_next(&node->workloads, &cursor)) != NULL) {
        if (w->starts > 1) {
            sim_broken(sim, "%s was started %u times", sim_name_of(sim, w->id),
                       w->starts);
        }
    }
}

/* -- Answers -------------------------------------------------------------- */

static const Swkpb__Service *service_of_reply(const char *path,
                                              const ProtobufCMessage *message)
{
    if (strcmp(path, SIM_CREATE_SERVICE) == 0) {
        return ((const Swkpb__CreateServiceResponse *)message)->service;
    }
    return ((const Swkpb__UpdateServiceResponse *)message)->service;
}

void sim_check_reply(struct sim *sim)
{
    const struct sim_client *c = &sim->client;
    bool creates = strcmp(c->path, SIM_CREATE_SERVICE) == 0;
    const struct swki_object *object;
    const Swkpb__Service *service;
    struct swki_arena arena;
    ProtobufCMessage *message;

    if (c->status != 0 ||
        (!creates && strcmp(c->path, SIM_UPDATE_SERVICE) != 0)) {
        return;
    }
    swki_arena_init(&arena, NULL, SIZE_MAX);
    if (swki_message_unpack(creates
                                ? &swkpb__create_service_response__descriptor
                                : &swkpb__update_service_response__descriptor,
                            c->reply, c->reply_len, &arena, &message, NULL) !=
        0) {
        sim_broken(sim, "a reply cannot be read");
    } else {
        service = service_of_reply(c->path, message);
        object =
            swki_view_get(sim_view(sim), SWKI_KIND_SERVICE, service->id);
        if (object == NULL || swki_object_version(object) <
                                  service->meta->version->index) {
            sim_broken(sim, "answered before it was durable: service %s",
                       service->spec->annotations->name);
        }
    }
    swki_arena_fini(&arena);
}

/* -- Rest ----------------------------------------------------------------- */

/* The tasks of a service, by slot. */
struct slots {
    uint64_t running; /* slots with a task that runs, and is to run */
    bool doubled;     /* some slot has two of them */
    bool crowded;     /* some slot remembers too many that ended */
};

static bool really_runs(const struct sim *sim, const Swkpb__Task *task)
{
    const struct sim_workload *w = NULL;

    for (size_t i = 0; i < sim->nodes_count; i++) {
        if (strcmp(sim->nodes[i]->id, task->node_id) == 0) {
            w = sim_workload(sim->nodes[i], task->id);
        }
    }
    return swki_task_state(task) == SWKPB__TASK_STATE__RUNNING &&
           task->desired_state == SWKPB__TASK_STATE__RUNNING && w != NULL &&
           w->running;
}

static struct slots count_slots(const struct sim *sim, const char *service_id)
{
    const struct swki_selector by_service = {.by = SWKI_BY_SERVICE_ID,
                                             .text = service_id};
    unsigned running[SLOTS_MAX] = {0};
    unsigned ended[SLOTS_MAX] = {0};
    const struct swki_object *object;
    struct slots slots = {0};
    struct swki_cursor cursor;

    if (swki_view_find(sim_view(sim), SWKI_KIND_TASK, &by_service, &cursor,
                       NULL) != 0) {
        return slots;
    }
    while ((object = swki_cursor_next(&cursor)) != NULL) {
        const Swkpb__Task *task = swki_task(object);
        size_t slot = task->slot % SLOTS_MAX;

        running[slot] += really_runs(sim, task);
        ended[slot] += swki_task_terminal(task);
    }
    swki_cursor_close(&cursor);
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        slots.running += running[i] > 0;
        slots.doubled |= running[i] > 1;
        slots.crowded |= ended[i] > HISTORY_MAX;
    }
    return slots;
}

static bool service_settled(const struct sim *sim,
                            const Swkpb__Service *service, char *buf,
                            size_t size)
{
    struct slots slots = count_slots(sim, service->id);
    uint64_t running = slots.running;
    uint64_t wanted =
        service->spec->mode_case == SWKPB__SERVICE_SPEC__MODE_REPLICATED
            ? service->spec->replicated->replicas
            : running;

    if (service->pending_delete) {
        snprintf(buf, size, "%s is still being removed",
                 service->spec->annotations->name);
        return false;
    }
    if (slots.doubled || slots.crowded) {
        snprintf(buf, size, "a slot of %s %s", service->spec->annotations->name,
                 slots.doubled ? "runs twice" : "remembers too many tasks");
        return false;
    }
    if (running != wanted) {
        snprintf(buf, size, "%s runs %llu of %llu",
                 service->spec->annotations->name, (unsigned long long)running,
                 (unsigned long long)wanted);
    }
    return running == wanted;
}

/* Whatever runs on a node is wanted there. */
static bool node_settled(struct sim_node *node, char *buf, size_t size)
{
    const struct sim_workload *w;
    size_t cursor = 0;

    while ((w = swki_map_next(&node->workloads, &cursor)) != NULL) {
        const struct swki_object *task =
            swki_view_get(sim_view(node->sim), SWKI_KIND_TASK, w->id);

        if (w->running &&
            (task == NULL || swki_task(task)->desired_state >
                                 SWKPB__TASK_STATE__RUNNING ||
             swki_task_state(swki_task(task)) != SWKPB__TASK_STATE__RUNNING)) {
            snprintf(buf, size, "%s still runs %s", node->name,
                     sim_name_of(node->sim, w->id));
            return false;
        }
    }
    if (node->agent != NULL && sim_holds_too_much(node) != NULL) {
        snprintf(buf, size, "%s still has %s", node->name,
                 sim_name_of(node->sim, sim_holds_too_much(node)));
        return false;
    }
    cursor = 0;
    for (const char *id; node->agent != NULL &&
                         (id = swki_agent_next_task(node->agent, &cursor));) {
        if (swki_view_get(sim_view(node->sim), SWKI_KIND_TASK, id) == NULL) {
            snprintf(buf, size, "%s still knows %s", node->name,
                     sim_name_of(node->sim, id));
            return false;
        }
    }
    return true;
}

/* No task is left that should have ended. */
static bool task_settled(const struct sim *sim, const Swkpb__Task *task,
                         char *buf, size_t size)
{
    if (task->desired_state > SWKPB__TASK_STATE__RUNNING &&
        !swki_task_terminal(task)) {
        snprintf(buf, size, "%s is still %s", sim_name_of(sim, task->id),
                 state_name((int)swki_task_state(task)));
        return false;
    }
    if (swki_view_get(sim_view(sim), SWKI_KIND_SERVICE, task->service_id) ==
        NULL) {
        snprintf(buf, size, "%s is left of a service that is gone",
                 sim_name_of(sim, task->id));
        return false;
    }
    return true;
}

static bool object_settled(const struct sim *sim,
                           const struct swki_object *object, char *buf,
                           size_t size)
{
    return swki_object_kind(object) == SWKI_KIND_TASK
               ? task_settled(sim, swki_task(object), buf, size)
               : service_settled(sim, swki_service(object), buf, size);
}

static bool all_settled(const struct sim *sim, enum swki_kind kind, char *buf,
                        size_t size)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *object;
    struct swki_cursor cursor;
    bool settled = true;

    if (swki_view_find(sim_view(sim), kind, &all, &cursor, NULL) != 0) {
        snprintf(buf, size, "nothing can be found");
        return false;
    }
    while (settled && (object = swki_cursor_next(&cursor)) != NULL) {
        settled = object_settled(sim, object, buf, size);
    }
    swki_cursor_close(&cursor);
    return settled;
}

const char *sim_unsettled(struct sim *sim, char *buf, size_t size)
{
    bool settled = all_settled(sim, SWKI_KIND_SERVICE, buf, size) &&
                   all_settled(sim, SWKI_KIND_TASK, buf, size);

    for (size_t i = 0; settled && i < sim->nodes_count; i++) {
        settled = node_settled(sim->nodes[i], buf, size);
    }
    return settled ? NULL : buf;
}
