/* SPDX-License-Identifier: Apache-2.0 */

#include "core/dispatcher/dispatcher.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/roles.h"
#include "core/dispatcher/internal.h"
#include "core/dispatcher/networks.h"
#include "dispatcher.pb-c.h"
#include "wire/message.h"

enum {
    MANAGER_WEIGHT = 10,
    FETCHER_SEED = 0x5ec7e7, /* another sequence than the sessions' */
};

/* The longest period that a cluster may set: its multiples must not wrap. */
#define PERIOD_MAX (24 * SWK_HOUR)

/* -- Life ----------------------------------------------------------------- */

int swki_dispatcher_new(const struct swki_dispatcher_config *config,
                        struct swki_dispatcher **out_dispatcher,
                        struct swk_error *err)
{
    const struct swki_fetcher_config fetcher = {
        .alloc = config->alloc,
        .logger = config->logger,
        .seed = config->seed ^ FETCHER_SEED,
    };
    struct swki_dispatcher *d = swki_calloc(config->alloc, 1, sizeof(*d));
    int rc;

    if (d == NULL) {
        return swki_fail_nomem(err);
    }
    rc = swki_fetcher_new(&fetcher, &d->fetcher, err);
    if (rc != 0) {
        swki_free(config->alloc, d);
        return rc;
    }
    d->config = *config;
    if (d->config.orphan_after_ns == 0) {
        d->config.orphan_after_ns = SWKI_DISPATCHER_ORPHAN_AFTER;
    }
    if (d->config.events_max == 0) {
        d->config.events_max = SWKI_DISPATCHER_EVENTS_MAX;
    }
    d->store = config->store;
    d->period = SWKI_DISPATCHER_PERIOD_MIN;
    swki_rng_init(&d->rng, config->seed);
    swki_timers_init(&d->timers, config->alloc);
    swki_map_init(&d->nodes, config->alloc);
    swki_map_init(&d->streams, config->alloc);
    swki_map_init(&d->reports, config->alloc);
    swki_list_init(&d->writes);
    swki_list_init(&d->due);
    swki_arena_init(&d->managers_arena, config->alloc, SIZE_MAX);
    *out_dispatcher = d;
    return SWK_OK;
}

static void free_node(struct swki_dispatcher *d, struct node *node)
{
    swki_dispatcher_close_stream(d, &node->session);
    swki_dispatcher_close_assignments(d, node);
    swki_timers_cancel(&d->timers, &node->timer);
    swki_timers_cancel(&d->timers, &node->description_timer);
    swki_list_remove(&node->due);
    swki_list_remove(&node->write);
    swki_arena_fini(&node->description_arena);
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
    swki_fetcher_free(d->fetcher);
    swki_map_fini(&d->nodes);
    swki_map_fini(&d->streams);
    swki_dispatcher_free_reports(d);
    swki_map_fini(&d->reports);
    swki_watch_free(d->watch);
    swki_timers_fini(&d->timers);
    swki_arena_fini(&d->managers_arena);
    swki_free(d->config.alloc, d);
}

struct node *swki_dispatcher_add_node(struct swki_dispatcher *d,
                                      const char *id)
{
    struct node *node = swki_calloc(d->config.alloc, 1, sizeof(*node));

    if (node == NULL) {
        return NULL;
    }
    snprintf(node->id, sizeof(node->id), "%s", id);
    swki_list_init(&node->due);
    swki_list_init(&node->write);
    node->session.node = node;
    node->assignments.node = node;
    node->timer.tag = TIMER_NODE;
    node->assignments_timer.tag = TIMER_ASSIGNMENTS;
    node->description_timer.tag = TIMER_DESCRIPTION;
    swki_map_init(&node->tasks, d->config.alloc);
    swki_map_init(&node->dependencies, d->config.alloc);
    swki_map_init(&node->driven, d->config.alloc);
    swki_arena_init(&node->description_arena, d->config.alloc, SIZE_MAX);
    if (!swki_map_put(&d->nodes, node->id, node)) {
        swki_free(d->config.alloc, node);
        return NULL;
    }
    return node;
}

void swki_dispatcher_remove_node(struct swki_dispatcher *d, struct node *node)
{
    swki_map_remove(&d->nodes, node->id);
    free_node(d, node);
}

void swki_dispatcher_note_due(struct swki_dispatcher *d, struct node *node)
{
    if (swki_list_empty(&node->due)) {
        swki_list_append(&d->due, &node->due);
    }
    d->streams_due = true;
}

void swki_dispatcher_note_session(struct swki_dispatcher *d, struct node *node)
{
    node->session_due = true;
    if (node->session.call_id != 0) {
        swki_dispatcher_note_due(d, node);
    }
}

void swki_dispatcher_queue_write(struct swki_dispatcher *d, struct node *node)
{
    if (swki_list_empty(&node->write)) {
        swki_list_append(&d->writes, &node->write);
    }
    d->writes_due = true;
}

void swki_dispatcher_queue_status(struct swki_dispatcher *d, struct node *node,
                                  Swkpb__NodeStatus__State state,
                                  const char *message)
{
    node->state = (int32_t)state;
    snprintf(node->message, sizeof(node->message), "%s", message);
    swki_dispatcher_queue_write(d, node);
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
                ns > 0 && (swk_time)ns <= PERIOD_MAX) {
                period = (swk_time)ns;
            }
        }
        swki_cursor_close(&cursor);
    }
    d->period = period;
}

/* How long to wait before the tasks of a node are given up that another leader
 * saw go down: its object was written then, or later. */
static swk_time orphan_delay(const struct swki_dispatcher *d,
                             const Swkpb__Node *stored, swk_wall wall)
{
    swk_time whole = d->config.orphan_after_ns;
    swk_wall since = 0;

    if (stored->meta == NULL ||
        swki_timestamp_read(stored->meta->updated_at, &since, NULL) != 0 ||
        since <= 0 || since > wall) {
        return whole;
    }
    return (swk_time)(wall - since) < whole ? whole - (swk_time)(wall - since)
                                            : 0;
}

/* Takes up a node that another leader may have known. */
static int adopt_node(struct swki_dispatcher *d, const Swkpb__Node *stored,
                      swk_wall wall)
{
    struct node *node = swki_dispatcher_add_node(d, stored->id);

    if (node == NULL) {
        return SWK_ENOMEM;
    }
    if (stored->status != NULL &&
        stored->status->state == SWKPB__NODE_STATUS__STATE__DOWN) {
        node->phase = NODE_DOWN;
        return swki_timers_set(&d->timers, &node->timer,
                               d->now + orphan_delay(d, stored, wall))
                   ? SWK_OK
                   : SWK_ENOMEM;
    }
    node->phase = NODE_WAITING;
    swki_dispatcher_queue_status(
        d, node, SWKPB__NODE_STATUS__STATE__UNKNOWN,
        "Node moved to \"unknown\" state due to leadership change in cluster");
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
                                d->config.events_max);
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
        rc = adopt_node(d, swki_node(object), wall);
    }
    swki_cursor_close(&cursor);
    if (rc != 0) {
        return swki_fail_nomem(err);
    }
    d->running = true;
    swki_dispatcher_flush_writes(d, wall);
    return SWK_OK;
}

void swki_dispatcher_stop(struct swki_dispatcher *d,
                          struct swki_answers *answers)
{
    size_t cursor = 0;
    struct node *node;

    while ((node = swki_map_next(&d->nodes, &cursor)) != NULL) {
        swki_dispatcher_end_streams(d, node, answers, SWKI_STATUS_ABORTED,
                                    "dispatcher is stopped");
    }
    d->running = false;
}

/* What all nodes are told has changed. */
static void note_sessions(struct swki_dispatcher *d)
{
    size_t cursor = 0;
    struct node *node;

    while ((node = swki_map_next(&d->nodes, &cursor)) != NULL) {
        swki_dispatcher_note_session(d, node);
    }
}

static Swkpb__WeightedPeer *
copy_manager(struct swki_arena *arena,
             const struct swki_dispatcher_manager *manager)
{
    Swkpb__WeightedPeer *weighted = swki_arena_alloc(arena, sizeof(*weighted));
    Swkpb__Peer *peer = swki_arena_alloc(arena, sizeof(*peer));

    if (weighted == NULL || peer == NULL) {
        return NULL;
    }
    swkpb__weighted_peer__init(weighted);
    swkpb__peer__init(peer);
    peer->node_id = swki_arena_strdup(arena, manager->node_id);
    peer->addr = swki_arena_strdup(arena, manager->address);
    weighted->peer = peer;
    weighted->weight = MANAGER_WEIGHT;
    return peer->node_id != NULL && peer->addr != NULL ? weighted : NULL;
}

int swki_dispatcher_set_managers(struct swki_dispatcher *d,
                                 const struct swki_dispatcher_manager *managers,
                                 size_t managers_count, struct swk_error *err)
{
    struct swki_arena arena;
    Swkpb__WeightedPeer **peers;
    bool ok;

    swki_arena_init(&arena, d->config.alloc, SIZE_MAX);
    peers = swki_arena_calloc(&arena, managers_count, sizeof(peers[0]));
    ok = peers != NULL;
    for (size_t i = 0; ok && i < managers_count; i++) {
        peers[i] = copy_manager(&arena, &managers[i]);
        ok = peers[i] != NULL;
    }
    if (!ok) {
        swki_arena_fini(&arena);
        return swki_fail_nomem(err);
    }
    swki_arena_fini(&d->managers_arena);
    d->managers_arena = arena;
    d->managers = peers;
    d->managers_count = managers_count;
    note_sessions(d);
    return SWK_OK;
}

/* -- Steps ---------------------------------------------------------------- */

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

/* Its object is gone. */
static void forget_node(struct swki_dispatcher *d, struct node *node,
                        struct swki_answers *answers)
{
    swki_dispatcher_end_streams(d, node, answers, SWKI_STATUS_NOT_FOUND,
                                "node not found");
    swki_dispatcher_remove_node(d, node);
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
        forget_node(d, node, answers);
        return;
    }
    if (node_change_matters(event)) {
        swki_dispatcher_note_session(d, node);
    }
}

static void note_task(struct swki_dispatcher *d, const struct swki_event *event,
                      struct swki_answers *answers)
{
    const Swkpb__Task *task = swki_task(event->object);
    struct node *node = swki_map_get(&d->nodes, task->node_id);

    if (node != NULL && event->change != SWKI_CHANGE_DELETE &&
        !node->has_keys && swki_task_needs_network_keys(task)) {
        swki_dispatcher_note_session(d, node);
    }
    if (node != NULL && node->assignments.call_id != 0 &&
        !swki_dispatcher_mark_task(d, node, task->id)) {
        swki_dispatcher_end_assignments(d, node, answers,
                                        SWKI_STATUS_RESOURCE_EXHAUSTED,
                                        "out of memory");
    }
}

/* Events were lost: everything is looked at again. */
static void note_all(struct swki_dispatcher *d, struct swki_answers *answers)
{
    const struct swki_view *view = swki_store_committed(d->store);
    size_t cursor = 0;
    struct node *node;

    refresh_period(d);
    while ((node = swki_map_next(&d->nodes, &cursor)) != NULL) {
        if (swki_view_get(view, SWKI_KIND_NODE, node->id) == NULL) {
            forget_node(d, node, answers);
            continue;
        }
        swki_dispatcher_note_session(d, node);
        if (node->assignments.call_id != 0 &&
            !swki_dispatcher_list_assignments(d, node)) {
            swki_dispatcher_end_assignments(d, node, answers,
                                            SWKI_STATUS_RESOURCE_EXHAUSTED,
                                            "out of memory");
        }
    }
}

/* Most changes of the cluster are of no interest to nodes. */
static void note_cluster(struct swki_dispatcher *d,
                         const struct swki_event *event)
{
    const Swkpb__Cluster *old =
        event->old != NULL ? swki_cluster(event->old) : NULL;
    const Swkpb__Cluster *now = swki_cluster(event->object);
    size_t cursor = 0;
    struct node *node;

    refresh_period(d);
    if (event->change == SWKI_CHANGE_DELETE ||
        swki_dispatcher_news(old, now)) {
        note_sessions(d);
    }
    if (!swki_dispatcher_new_keys(old, now)) {
        return;
    }
    while ((node = swki_map_next(&d->nodes, &cursor)) != NULL) {
        if (node->has_keys) {
            swki_dispatcher_note_session(d, node);
        }
    }
}

static void take_events(struct swki_dispatcher *d, struct swki_answers *answers)
{
    const struct swki_event *event;

    while ((event = swki_watch_next(d->watch)) != NULL) {
        if (event->change == SWKI_CHANGE_RESET) {
            note_all(d, answers);
        } else if (event->change == SWKI_CHANGE_COMMIT) {
            d->streams_due = true;
        } else if (event->kind == SWKI_KIND_NODE) {
            note_node(d, event, answers);
        } else if (event->kind == SWKI_KIND_TASK) {
            note_task(d, event, answers);
        } else {
            note_cluster(d, event);
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
    swki_dispatcher_end_streams(d, node, answers, SWKI_STATUS_NOT_FOUND,
                                "node not registered");
    node->session_id[0] = '\0';
    node->phase = NODE_DOWN;
    swki_dispatcher_queue_status(
        d, node, SWKPB__NODE_STATUS__STATE__DOWN,
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
        } else if (timer->tag == TIMER_DESCRIPTION) {
            swki_dispatcher_expire_description(
                d, SWKI_CONTAINER(timer, struct node, description_timer));
        } else {
            expire_node(d, SWKI_CONTAINER(timer, struct node, timer), wall,
                        answers);
        }
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
    swki_fetcher_expire(d->fetcher, now);
    swki_dispatcher_take_fetched(d);
    if (d->writes_due && now >= d->write_at) {
        swki_dispatcher_flush_writes(d, wall);
    }
    if (d->streams_due) {
        swki_dispatcher_send_streams(d, answers);
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
    swk_time fetches = swki_fetcher_deadline(d->fetcher);

    if (!d->running) {
        return SWK_NEVER;
    }
    deadline = fetches < deadline ? fetches : deadline;
    return d->writes_due && d->write_at < deadline ? d->write_at : deadline;
}
