/* SPDX-License-Identifier: Apache-2.0 */

#include "core/dispatcher/dispatcher.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/roles.h"
#include "core/dispatcher/internal.h"
#include "dispatcher.pb-c.h"
#include "wire/message.h"

/* Registrations of one node: at most so many in this time. */
#define REGISTRATIONS_WINDOW (8 * SWK_SECOND)

enum {
    REGISTRATIONS_MAX = 3,
    WATCH_LIMIT = 1 << 20,
    MANAGER_WEIGHT = 10,
};

static const char *const not_running = "dispatcher is stopped";

/* -- Life ----------------------------------------------------------------- */

int swki_dispatcher_new(const struct swki_dispatcher_config *config,
                        struct swki_dispatcher **out_dispatcher,
                        struct swk_error *err)
{
    struct swki_dispatcher *d = swki_calloc(config->alloc, 1, sizeof(*d));

    if (d == NULL) {
        return swki_fail_nomem(err);
    }
    d->config = *config;
    if (d->config.orphan_after_ns == 0) {
        d->config.orphan_after_ns = SWKI_DISPATCHER_ORPHAN_AFTER;
    }
    d->store = config->store;
    d->period = SWKI_DISPATCHER_PERIOD_MIN;
    swki_rng_init(&d->rng, config->seed);
    swki_timers_init(&d->timers, config->alloc);
    swki_map_init(&d->nodes, config->alloc);
    swki_map_init(&d->reports, config->alloc);
    swki_list_init(&d->due);
    swki_arena_init(&d->managers_arena, config->alloc, SIZE_MAX);
    *out_dispatcher = d;
    return SWK_OK;
}

static void free_node(struct swki_dispatcher *d, struct node *node)
{
    swki_dispatcher_close_assignments(d, node);
    swki_timers_cancel(&d->timers, &node->timer);
    swki_list_remove(&node->due);
    swki_arena_fini(&node->description_arena);
    swki_map_fini(&node->tasks);
    swki_map_fini(&node->dependencies);
    swki_free(d->config.alloc, node);
}

void swki_dispatcher_free(struct swki_dispatcher *d)
{
    size_t cursor = 0;
    struct node *node;

    if (d == NULL) {
        return;
    }
    while ((node = swki_map_next(&d->nodes, &cursor)) != NULL) {
        free_node(d, node);
    }
    swki_map_fini(&d->nodes);
    swki_dispatcher_free_reports(d);
    swki_map_fini(&d->reports);
    swki_watch_free(d->watch);
    swki_timers_fini(&d->timers);
    swki_arena_fini(&d->managers_arena);
    swki_free(d->config.alloc, d);
}

static struct node *add_node(struct swki_dispatcher *d, const char *id)
{
    struct node *node = swki_calloc(d->config.alloc, 1, sizeof(*node));

    if (node == NULL) {
        return NULL;
    }
    snprintf(node->id, sizeof(node->id), "%s", id);
    swki_list_init(&node->due);
    node->timer.tag = TIMER_NODE;
    node->assignments_timer.tag = TIMER_ASSIGNMENTS;
    swki_map_init(&node->tasks, d->config.alloc);
    swki_map_init(&node->dependencies, d->config.alloc);
    swki_arena_init(&node->description_arena, d->config.alloc, SIZE_MAX);
    if (!swki_map_put(&d->nodes, node->id, node)) {
        swki_free(d->config.alloc, node);
        return NULL;
    }
    return node;
}

void swki_dispatcher_note_due(struct swki_dispatcher *d, struct node *node)
{
    if (swki_list_empty(&node->due)) {
        swki_list_append(&d->due, &node->due);
    }
    d->streams_due = true;
}

static void note_session(struct swki_dispatcher *d, struct node *node)
{
    node->session_due = true;
    swki_dispatcher_note_due(d, node);
}

/* The period, with a tenth more or less, so that beats do not bunch up. */
static swk_time draw_period(struct swki_dispatcher *d)
{
    swk_time spread = d->period / 5;

    return d->period - spread / 2 + swki_rng_below(&d->rng, spread);
}

static void queue_status(struct swki_dispatcher *d, struct node *node,
                         Swkpb__NodeStatus__State state, const char *message)
{
    node->write_status = true;
    node->state = (int32_t)state;
    snprintf(node->message, sizeof(node->message), "%s", message);
    d->writes_due = true;
}

/* The cluster's period if it says one, else one that keeps the beats of the
 * whole swarm below a rate. */
static void refresh_period(struct swki_dispatcher *d)
{
    const struct swki_view *view = swki_store_committed(d->store);
    size_t nodes_count = swki_view_count(view, SWKI_KIND_NODE);
    swk_time period = nodes_count * SWK_SECOND / SWKI_DISPATCHER_BEATS_A_SECOND;
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    struct swki_cursor cursor;
    const struct swki_object *object;

    if (period < SWKI_DISPATCHER_PERIOD_MIN) {
        period = SWKI_DISPATCHER_PERIOD_MIN;
    }
    if (swki_view_find(view, SWKI_KIND_CLUSTER, &all, &cursor, NULL) == 0) {
        while ((object = swki_cursor_next(&cursor)) != NULL) {
            const Swkpb__ClusterSpec *spec = swki_cluster(object)->spec;
            int64_t ns = 0;

            if (spec != NULL && spec->dispatcher != NULL &&
                spec->dispatcher->heartbeat_period != NULL &&
                swki_duration_read(spec->dispatcher->heartbeat_period, &ns,
                                   NULL) == 0 &&
                ns > 0) {
                period = (swk_time)ns;
            }
        }
        swki_cursor_close(&cursor);
    }
    d->period = period;
}

/* Takes up a node that another leader may have known. */
static int adopt_node(struct swki_dispatcher *d, const Swkpb__Node *stored)
{
    struct node *node = add_node(d, stored->id);

    if (node == NULL) {
        return SWK_ENOMEM;
    }
    if (stored->status != NULL &&
        stored->status->state == SWKPB__NODE_STATUS__STATE__DOWN) {
        node->phase = NODE_DOWN;
        return swki_timers_set(&d->timers, &node->timer,
                               d->now + d->config.orphan_after_ns)
                   ? SWK_OK
                   : SWK_ENOMEM;
    }
    node->phase = NODE_WAITING;
    queue_status(d, node, SWKPB__NODE_STATUS__STATE__UNKNOWN,
                 "Node moved to \"unknown\" state due to leadership change in "
                 "cluster");
    return swki_timers_set(&d->timers, &node->timer,
                           d->now + 2 * SWKI_DISPATCHER_GRACE * d->period)
               ? SWK_OK
               : SWK_ENOMEM;
}

int swki_dispatcher_start(struct swki_dispatcher *d, swk_time now,
                          swk_wall wall, struct swk_error *err)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    struct swki_cursor cursor;
    const struct swki_object *object;
    int rc;

    d->now = now;
    d->watch = swki_store_watch(d->store, SWKI_FEED_COMMITTED,
                                1U << SWKI_KIND_NODE | 1U << SWKI_KIND_TASK |
                                    1U << SWKI_KIND_CLUSTER,
                                WATCH_LIMIT);
    if (d->watch == NULL) {
        return swki_fail_nomem(err);
    }
    refresh_period(d);
    rc = swki_view_find(swki_store_committed(d->store), SWKI_KIND_NODE, &all,
                        &cursor, err);
    if (rc != 0) {
        return rc;
    }
    while (rc == 0 && (object = swki_cursor_next(&cursor)) != NULL) {
        rc = adopt_node(d, swki_node(object));
    }
    swki_cursor_close(&cursor);
    if (rc != 0) {
        return swki_fail_nomem(err);
    }
    d->running = true;
    swki_dispatcher_flush_writes(d, wall);
    return SWK_OK;
}

static void end_stream(uint64_t *call_id, struct swki_answers *answers,
                       enum swki_status status, const char *text)
{
    if (*call_id != 0) {
        swki_answer_end(answers, *call_id, status, text);
        *call_id = 0;
    }
}

/* Ends both streams of a node and forgets what it was sent. */
static void end_streams(struct swki_dispatcher *d, struct node *node,
                        struct swki_answers *answers, enum swki_status status,
                        const char *text)
{
    end_stream(&node->session_call, answers, status, text);
    end_stream(&node->assignments_call, answers, status, text);
    swki_dispatcher_close_assignments(d, node);
    node->session_due = false;
}

void swki_dispatcher_stop(struct swki_dispatcher *d,
                          struct swki_answers *answers)
{
    size_t cursor = 0;
    struct node *node;

    while ((node = swki_map_next(&d->nodes, &cursor)) != NULL) {
        end_streams(d, node, answers, SWKI_STATUS_ABORTED, not_running);
    }
    d->running = false;
}

int swki_dispatcher_set_managers(struct swki_dispatcher *d,
                                 const struct swki_dispatcher_manager *managers,
                                 size_t managers_count, struct swk_error *err)
{
    Swkpb__WeightedPeer **peers;
    size_t cursor = 0;
    struct node *node;

    swki_arena_fini(&d->managers_arena);
    d->managers_count = 0;
    peers = swki_arena_calloc(&d->managers_arena, managers_count,
                              sizeof(peers[0]));
    for (size_t i = 0; peers != NULL && i < managers_count; i++) {
        Swkpb__WeightedPeer *weighted =
            swki_arena_alloc(&d->managers_arena, sizeof(*weighted));
        Swkpb__Peer *peer = swki_arena_alloc(&d->managers_arena, sizeof(*peer));

        if (weighted == NULL || peer == NULL) {
            return swki_fail_nomem(err);
        }
        swkpb__weighted_peer__init(weighted);
        swkpb__peer__init(peer);
        peer->node_id =
            swki_arena_strdup(&d->managers_arena, managers[i].node_id);
        peer->addr = swki_arena_strdup(&d->managers_arena, managers[i].address);
        if (peer->node_id == NULL || peer->addr == NULL) {
            return swki_fail_nomem(err);
        }
        weighted->peer = peer;
        weighted->weight = MANAGER_WEIGHT;
        peers[i] = weighted;
    }
    if (peers == NULL) {
        return swki_fail_nomem(err);
    }
    d->managers = peers;
    d->managers_count = managers_count;
    while ((node = swki_map_next(&d->nodes, &cursor)) != NULL) {
        note_session(d, node);
    }
    return SWK_OK;
}

/* -- Sessions ------------------------------------------------------------- */

static int check_description(const Swkpb__NodeDescription *description,
                             struct swk_error *err)
{
    const Swkpb__Resources *resources = description->resources;

    if (protobuf_c_message_get_packed_size(&description->base) >
        SWKI_DISPATCHER_DESCRIPTION_MAX) {
        return swki_fail(err, SWK_ELIMIT, "node description is too large");
    }
    if (resources != NULL &&
        (resources->nano_cpus < 0 || resources->memory_bytes < 0)) {
        return swki_fail(err, SWK_EINVAL,
                         "node description has negative resources");
    }
    return SWK_OK;
}

/* At most a few registrations of a node in a row; a refused one does not
 * prolong the wait. */
static bool registration_allowed(struct node *node, swk_time now)
{
    if (now - node->registrations_since > REGISTRATIONS_WINDOW) {
        node->registrations_count = 0;
    }
    if (node->registrations_count >= REGISTRATIONS_MAX) {
        return false;
    }
    node->registrations_count++;
    node->registrations_since = now;
    return true;
}

static int queue_registration(struct swki_dispatcher *d, struct node *node,
                              const Swkpb__NodeDescription *description,
                              const char *address)
{
    const char *port = strrchr(address, ':');
    int len = port != NULL ? (int)(port - address) : (int)strlen(address);

    if (description != NULL) {
        swki_arena_reset(&node->description_arena);
        node->description = (Swkpb__NodeDescription *)swki_message_copy(
            &description->base, &node->description_arena);
        if (node->description == NULL) {
            return SWK_ENOMEM;
        }
    }
    if (len > 0) {
        snprintf(node->address, sizeof(node->address), "%.*s", len, address);
    }
    queue_status(d, node, SWKPB__NODE_STATUS__STATE__READY, "");
    node->registered_index = 0;
    return SWK_OK;
}

static void serve_session(struct swki_dispatcher *d,
                          const struct swki_call *call,
                          struct swki_answers *answers)
{
    const Swkpb__SessionRequest *request =
        (const Swkpb__SessionRequest *)call->request;
    const char *id = call->caller->node_id;
    struct node *node = swki_map_get(&d->nodes, id);
    struct swk_error err;
    bool resumes = node != NULL && node->session_id[0] != '\0' &&
                   strcmp(node->session_id, request->session_id) == 0;

    if (swki_view_get(swki_store_committed(d->store), SWKI_KIND_NODE, id) ==
        NULL) {
        swki_answer_end(answers, call->id, SWKI_STATUS_NOT_FOUND,
                        "node not found");
        return;
    }
    if (request->description != NULL &&
        check_description(request->description, &err) != 0) {
        swki_answer_fail(answers, call->id, &err);
        return;
    }
    if (!resumes && node != NULL && node->phase == NODE_READY &&
        !registration_allowed(node, d->now)) {
        swki_answer_end(answers, call->id, SWKI_STATUS_UNAVAILABLE,
                        "node registers too often: wait a few seconds");
        return;
    }
    if (node == NULL) {
        node = add_node(d, id);
    }
    if (node == NULL ||
        !swki_timers_set(&d->timers, &node->timer,
                         d->now + SWKI_DISPATCHER_GRACE * d->period) ||
        queue_registration(d, node, request->description,
                           call->caller->address) != 0) {
        swki_answer_end(answers, call->id, SWKI_STATUS_RESOURCE_EXHAUSTED,
                        "out of memory");
        return;
    }
    if (resumes) {
        end_stream(&node->session_call, answers, SWKI_STATUS_INVALID_ARGUMENT,
                   "session invalid");
    } else {
        end_streams(d, node, answers, SWKI_STATUS_INVALID_ARGUMENT,
                    "session invalid");
        swki_rng_id(&d->rng, node->session_id);
    }
    node->phase = NODE_READY;
    node->session_call = call->id;
    note_session(d, node);
}

/* The node of a call that must be within a session; NULL after an answer. */
static struct node *require_session(struct swki_dispatcher *d,
                                    const struct swki_call *call,
                                    const char *session_id,
                                    struct swki_answers *answers)
{
    struct node *node = swki_map_get(&d->nodes, call->caller->node_id);

    if (node == NULL || node->phase != NODE_READY) {
        swki_answer_end(answers, call->id, SWKI_STATUS_NOT_FOUND,
                        "node not registered");
        return NULL;
    }
    if (session_id[0] == '\0' || strcmp(session_id, node->session_id) != 0) {
        swki_answer_end(answers, call->id, SWKI_STATUS_INVALID_ARGUMENT,
                        "session invalid");
        return NULL;
    }
    return node;
}

/* Any call of a node shows that it lives. */
static void beat(struct swki_dispatcher *d, struct node *node, swk_time period)
{
    /* The timer is set already, so that moving it cannot fail. */
    (void)swki_timers_set(&d->timers, &node->timer,
                          d->now + SWKI_DISPATCHER_GRACE * period);
}

static void serve_heartbeat(struct swki_dispatcher *d,
                            const struct swki_call *call,
                            struct swki_answers *answers)
{
    const Swkpb__HeartbeatRequest *request =
        (const Swkpb__HeartbeatRequest *)call->request;
    struct node *node =
        require_session(d, call, request->session_id, answers);
    Swkpb__HeartbeatResponse response = SWKPB__HEARTBEAT_RESPONSE__INIT;
    Swkpb__Duration duration = SWKPB__DURATION__INIT;
    swk_time period;

    if (node == NULL) {
        return;
    }
    period = draw_period(d);
    beat(d, node, period);
    duration.seconds = (int64_t)(period / SWK_SECOND);
    duration.nanos = (int32_t)(period % SWK_SECOND);
    response.period = &duration;
    swki_answer_reply(answers, call->id, &response.base, 0);
}

static void serve_assignments(struct swki_dispatcher *d,
                              const struct swki_call *call,
                              struct swki_answers *answers)
{
    const Swkpb__AssignmentsRequest *request =
        (const Swkpb__AssignmentsRequest *)call->request;
    struct node *node =
        require_session(d, call, request->session_id, answers);

    if (node == NULL) {
        return;
    }
    end_stream(&node->assignments_call, answers, SWKI_STATUS_INVALID_ARGUMENT,
               "replaced by a newer stream");
    if (swki_dispatcher_open_assignments(d, node, call->id) != 0) {
        swki_answer_end(answers, call->id, SWKI_STATUS_RESOURCE_EXHAUSTED,
                        "out of memory");
    }
}

/* -- Reports -------------------------------------------------------------- */

static bool worker_may_report(Swkpb__TaskState state)
{
    switch (state) {
    case SWKPB__TASK_STATE__ACCEPTED:
    case SWKPB__TASK_STATE__PREPARING:
    case SWKPB__TASK_STATE__READY:
    case SWKPB__TASK_STATE__STARTING:
    case SWKPB__TASK_STATE__RUNNING:
    case SWKPB__TASK_STATE__COMPLETE:
    case SWKPB__TASK_STATE__SHUTDOWN:
    case SWKPB__TASK_STATE__FAILED:
    case SWKPB__TASK_STATE__REJECTED:
        return true;
    default: /* the manager's own states, and numbers of no state */
        return false;
    }
}

/* Whether a whole call of reports may be taken. */
static int check_reports(const struct swki_dispatcher *d,
                         const struct node *node,
                         const Swkpb__UpdateTaskStatusRequest *request,
                         struct swk_error *err)
{
    const struct swki_view *view = swki_store_head(d->store);

    if (request->n_updates > SWKI_DISPATCHER_UPDATES_MAX) {
        return swki_fail(err, SWK_ELIMIT, "more than %d reports in one call",
                         SWKI_DISPATCHER_UPDATES_MAX);
    }
    for (size_t i = 0; i < request->n_updates; i++) {
        const Swkpb__UpdateTaskStatusRequest__TaskStatusUpdate *update =
            request->updates[i];
        const struct swki_object *task =
            swki_view_get(view, SWKI_KIND_TASK, update->task_id);

        if (task == NULL || update->status == NULL) {
            continue;
        }
        if (strcmp(swki_task(task)->node_id, node->id) != 0) {
            return swki_fail(err, SWK_EDENIED,
                             "cannot update a task not assigned this node");
        }
        if (!worker_may_report(update->status->state)) {
            return swki_fail(err, SWK_EINVAL,
                             "state %d is not a node's to report",
                             (int)update->status->state);
        }
    }
    return SWK_OK;
}

static void serve_task_status(struct swki_dispatcher *d,
                              const struct swki_call *call,
                              struct swki_answers *answers)
{
    const Swkpb__UpdateTaskStatusRequest *request =
        (const Swkpb__UpdateTaskStatusRequest *)call->request;
    Swkpb__UpdateTaskStatusResponse response =
        SWKPB__UPDATE_TASK_STATUS_RESPONSE__INIT;
    struct node *node =
        require_session(d, call, request->session_id, answers);
    struct swk_error err;
    int rc;

    if (node == NULL) {
        return;
    }
    rc = check_reports(d, node, request, &err);
    if (rc == 0 &&
        d->reports.count + request->n_updates > SWKI_DISPATCHER_QUEUE_MAX) {
        rc = swki_fail(&err, SWK_EUNAVAILABLE, "too many reports are waiting");
    }
    for (size_t i = 0; rc == 0 && i < request->n_updates; i++) {
        const Swkpb__UpdateTaskStatusRequest__TaskStatusUpdate *update =
            request->updates[i];

        if (update->status != NULL &&
            swki_view_get(swki_store_head(d->store), SWKI_KIND_TASK,
                          update->task_id) != NULL) {
            rc = swki_dispatcher_queue_report(d, update->task_id,
                                              update->status);
        }
        if (rc != 0) {
            swki_fail_nomem(&err);
        }
    }
    if (rc != 0) {
        swki_answer_fail(answers, call->id, &err);
        return;
    }
    beat(d, node, d->period);
    swki_answer_reply(answers, call->id, &response.base, 0);
}

static void serve_volume_status(struct swki_dispatcher *d,
                                const struct swki_call *call,
                                struct swki_answers *answers)
{
    const Swkpb__UpdateVolumeStatusRequest *request =
        (const Swkpb__UpdateVolumeStatusRequest *)call->request;
    Swkpb__UpdateVolumeStatusResponse response =
        SWKPB__UPDATE_VOLUME_STATUS_RESPONSE__INIT;

    if (require_session(d, call, request->session_id, answers) == NULL) {
        return;
    }
    if (request->n_updates > 0) {
        swki_answer_end(answers, call->id, SWKI_STATUS_UNIMPLEMENTED,
                        "cluster volumes are not available in this release");
        return;
    }
    swki_answer_reply(answers, call->id, &response.base, 0);
}

static void serve_tasks(struct swki_dispatcher *d, const struct swki_call *call,
                        struct swki_answers *answers)
{
    (void)d;
    swki_answer_end(answers, call->id, SWKI_STATUS_UNIMPLEMENTED,
                    "use Assignments");
}

static const struct {
    const char *path;
    void (*serve)(struct swki_dispatcher *d, const struct swki_call *call,
                  struct swki_answers *answers);
} methods[] = {
    {"/docker.swarmkit.v1.Dispatcher/Session", serve_session},
    {"/docker.swarmkit.v1.Dispatcher/Heartbeat", serve_heartbeat},
    {"/docker.swarmkit.v1.Dispatcher/Assignments", serve_assignments},
    {"/docker.swarmkit.v1.Dispatcher/UpdateTaskStatus", serve_task_status},
    {"/docker.swarmkit.v1.Dispatcher/UpdateVolumeStatus", serve_volume_status},
    {"/docker.swarmkit.v1.Dispatcher/Tasks", serve_tasks},
};

void swki_dispatcher_call(struct swki_dispatcher *d, swk_time now,
                          const struct swki_call *call,
                          struct swki_answers *answers)
{
    d->now = now;
    if (!d->running) {
        swki_answer_end(answers, call->id, SWKI_STATUS_ABORTED, not_running);
        return;
    }
    if (call->caller->node_id[0] == '\0') {
        swki_answer_end(answers, call->id, SWKI_STATUS_PERMISSION_DENIED,
                        "Permission denied: no client certificates in request");
        return;
    }
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i].path, call->path) == 0) {
            methods[i].serve(d, call, answers);
            return;
        }
    }
    swki_answer_end(answers, call->id, SWKI_STATUS_UNIMPLEMENTED,
                    "no such method");
}

void swki_dispatcher_cancel(struct swki_dispatcher *d, uint64_t call_id)
{
    size_t cursor = 0;
    struct node *node;

    while ((node = swki_map_next(&d->nodes, &cursor)) != NULL) {
        if (node->session_call == call_id) {
            node->session_call = 0;
            node->session_due = false;
        }
        if (node->assignments_call == call_id) {
            swki_dispatcher_close_assignments(d, node);
        }
    }
}

/* -- Steps ---------------------------------------------------------------- */

static const Swkpb__Cluster *find_cluster(const struct swki_view *view)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *object = NULL;
    struct swki_cursor cursor;

    if (swki_view_find(view, SWKI_KIND_CLUSTER, &all, &cursor, NULL) == 0) {
        object = swki_cursor_next(&cursor);
        swki_cursor_close(&cursor);
    }
    return object != NULL ? swki_cluster(object) : NULL;
}

static void send_session(struct swki_dispatcher *d, struct node *node,
                         struct swki_answers *answers)
{
    const struct swki_view *view = swki_store_committed(d->store);
    const struct swki_object *object =
        swki_view_get(view, SWKI_KIND_NODE, node->id);
    const Swkpb__Cluster *cluster = find_cluster(view);
    Swkpb__SessionMessage message = SWKPB__SESSION_MESSAGE__INIT;

    if (object == NULL) {
        return;
    }
    message.session_id = node->session_id;
    message.node = (Swkpb__Node *)swki_node(object);
    message.managers = d->managers;
    message.n_managers = d->managers_count;
    if (cluster != NULL) {
        message.network_bootstrap_keys = cluster->network_bootstrap_keys;
        message.n_network_bootstrap_keys = cluster->n_network_bootstrap_keys;
        if (cluster->root_ca != NULL) {
            message.rootca = cluster->root_ca->ca_cert;
        }
    }
    swki_answer_send(answers, node->session_call, &message.base);
    node->session_due = false;
}

/* Whether the node's agent would do anything about the change. */
static bool node_change_matters(const struct swki_event *event)
{
    Swkpb__Node now;
    Swkpb__Node before;

    if (event->old == NULL) {
        return true;
    }
    now = *swki_node(event->object);
    before = *swki_node(event->old);
    now.meta = before.meta = NULL;
    now.status = before.status = NULL;
    now.description = before.description = NULL;
    return !swki_message_equal(&now.base, &before.base);
}

static void note_node(struct swki_dispatcher *d, const struct swki_event *event,
                      struct swki_answers *answers)
{
    struct node *node =
        swki_map_get(&d->nodes, swki_object_id(event->object));

    if (event->change != SWKI_CHANGE_UPDATE) {
        refresh_period(d);
    }
    if (node == NULL) {
        return;
    }
    if (event->change == SWKI_CHANGE_DELETE) {
        end_streams(d, node, answers, SWKI_STATUS_NOT_FOUND, "node not found");
        swki_map_remove(&d->nodes, node->id);
        free_node(d, node);
        return;
    }
    if (node->session_call != 0 && node_change_matters(event)) {
        note_session(d, node);
    }
}

static void note_task(struct swki_dispatcher *d, const struct swki_event *event)
{
    const Swkpb__Task *task = swki_task(event->object);
    struct node *node = swki_map_get(&d->nodes, task->node_id);

    if (node != NULL && node->assignments_call != 0) {
        swki_dispatcher_mark_task(node, d->config.alloc, task->id);
        swki_dispatcher_note_due(d, node);
    }
}

static void note_all(struct swki_dispatcher *d)
{
    size_t cursor = 0;
    struct node *node;

    refresh_period(d);
    while ((node = swki_map_next(&d->nodes, &cursor)) != NULL) {
        note_session(d, node);
        if (node->assignments_call != 0) {
            swki_dispatcher_open_assignments(d, node, node->assignments_call);
        }
    }
}

static void note_cluster(struct swki_dispatcher *d)
{
    size_t cursor = 0;
    struct node *node;

    refresh_period(d);
    while ((node = swki_map_next(&d->nodes, &cursor)) != NULL) {
        note_session(d, node);
    }
}

static void take_events(struct swki_dispatcher *d, struct swki_answers *answers)
{
    const struct swki_event *event;

    while ((event = swki_watch_next(d->watch)) != NULL) {
        if (event->change == SWKI_CHANGE_RESET) {
            note_all(d);
        } else if (event->change == SWKI_CHANGE_COMMIT) {
            d->streams_due = true;
        } else if (event->kind == SWKI_KIND_NODE) {
            note_node(d, event, answers);
        } else if (event->kind == SWKI_KIND_TASK) {
            note_task(d, event);
        } else {
            note_cluster(d);
        }
    }
}

static void expire_node(struct swki_dispatcher *d, struct node *node,
                        swk_wall wall, struct swki_answers *answers)
{
    bool was_ready = node->phase == NODE_READY;

    if (node->phase == NODE_DOWN) {
        swki_dispatcher_orphan(d, node, wall);
        return;
    }
    swki_log(d->config.logger, SWK_LOG_WARN, "dispatcher",
             "node %s is down: no heartbeat", node->id);
    end_streams(d, node, answers, SWKI_STATUS_NOT_FOUND, "node not registered");
    node->session_id[0] = '\0';
    node->phase = NODE_DOWN;
    queue_status(d, node, SWKPB__NODE_STATUS__STATE__DOWN,
                 was_ready ? "heartbeat failure"
                           : "heartbeat failure for node in \"unknown\" state");
    /* The timer was just expired: its place in the heap is still there. */
    (void)swki_timers_set(&d->timers, &node->timer,
                          d->now + d->config.orphan_after_ns);
}

static void expire_timers(struct swki_dispatcher *d, swk_wall wall,
                          struct swki_answers *answers)
{
    struct swki_timer *timer;

    while ((timer = swki_timers_expire(&d->timers, d->now)) != NULL) {
        if (timer->tag == TIMER_ASSIGNMENTS) {
            swki_dispatcher_note_due(
                d, SWKI_CONTAINER(timer, struct node, assignments_timer));
        } else {
            expire_node(d, SWKI_CONTAINER(timer, struct node, timer), wall,
                        answers);
        }
    }
}

static void send_streams(struct swki_dispatcher *d,
                         struct swki_answers *answers)
{
    uint64_t committed = swki_view_index(swki_store_committed(d->store));
    struct swki_link *next;

    d->streams_due = false;
    for (struct swki_link *link = d->due.next; link != &d->due; link = next) {
        struct node *node = SWKI_CONTAINER(link, struct node, due);

        next = link->next;
        if (node->assignments_call != 0) {
            swki_dispatcher_send_assignments(d, node, answers);
        }
        if (node->session_call != 0 && node->session_due) {
            if (node->registered_index == 0 ||
                node->registered_index > committed) {
                continue; /* until the commit of its registration */
            }
            send_session(d, node, answers);
        }
        swki_list_remove(link);
    }
}

void swki_dispatcher_step(struct swki_dispatcher *d, swk_time now,
                          swk_wall wall, struct swki_answers *answers)
{
    d->now = now;
    if (!d->running) {
        return;
    }
    take_events(d, answers);
    expire_timers(d, wall, answers);
    if (d->writes_due && now >= d->write_at) {
        swki_dispatcher_flush_writes(d, wall);
    }
    if (d->streams_due) {
        send_streams(d, answers);
    }
}

bool swki_dispatcher_pending(const struct swki_dispatcher *d)
{
    return d->running && (swki_watch_pending(d->watch) || d->streams_due ||
                          (d->writes_due && d->write_at <= d->now));
}

swk_time swki_dispatcher_deadline(const struct swki_dispatcher *d)
{
    swk_time deadline = swki_timers_deadline(&d->timers);

    if (!d->running) {
        return SWK_NEVER;
    }
    return d->writes_due && d->write_at < deadline ? d->write_at : deadline;
}
