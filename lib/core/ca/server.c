/* SPDX-License-Identifier: Apache-2.0 */

#include "core/ca/server.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "core/ca/server_impl.h"

/* ---- life ---- */

int swki_ca_server_new(const struct swki_ca_server_config *config,
                       struct swki_ca_server **out_server,
                       struct swk_error *err)
{
    struct swki_ca_server *server;

    if (strlen(config->node_id) > SWK_ID_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL, "node ID is too long");
    }
    server = swki_calloc(config->alloc, 1, sizeof(*server));
    if (server == NULL) {
        return swki_fail_nomem(err);
    }
    server->alloc = config->alloc;
    server->logger = config->logger;
    server->store = config->store;
    server->entropy = *config->entropy;
    swki_rng_init(&server->rng, config->seed);
    snprintf(server->node_id, sizeof(server->node_id), "%s", config->node_id);
    swki_ca_external_init(&server->external, server->alloc);
    /* Small enough to be told apart from others by a bit or two more. */
    swki_ca_signing_init(&server->signing, server->alloc,
                         config->work_max != 0 ? config->work_max
                                               : SWKI_CA_WORK_MAX,
                         swki_rng_next(&server->rng) >> 16);
    swki_ca_waiting_init(&server->waiting, server->alloc,
                         config->waiting_max != 0 ? config->waiting_max
                                                  : SWKI_CA_WAITING_MAX);
    swki_renewal_limit_init(&server->renewals, server->alloc);
    swki_reconcile_init(&server->reconcile, server->alloc, server->logger,
                        server->store, &server->entropy);
    *out_server = server;
    return SWK_OK;
}

/* Back to the state before the start, apart from the calls that wait. */
static void forget(struct swki_ca_server *server)
{
    swki_watch_free(server->head);
    swki_watch_free(server->committed);
    server->head = NULL;
    server->committed = NULL;
    swki_ca_signing_fini(&server->signing);
    server->signing.retry_at = 0;
    server->signing.write_at = 0;
    server->signing.probing = false;
    swki_ca_reason_clear(&server->signing.reason);
    server->tell_at = SWK_NEVER;
    swki_ca_server_forget_material(server);
    swki_reconcile_fini(&server->reconcile);
    swki_renewal_limit_fini(&server->renewals);
    server->running = false;
}

void swki_ca_server_free(struct swki_ca_server *server)
{
    if (server == NULL) {
        return;
    }
    forget(server);
    swki_ca_waiting_fini(&server->waiting);
    swki_free(server->alloc, server);
}

int swki_ca_server_start(struct swki_ca_server *server, struct swk_error *err)
{
    if (server->running) {
        return SWK_OK;
    }
    /* Watching begins before reading, so that nothing falls between. */
    server->head = swki_store_watch(
        server->store, SWKI_FEED_HEAD,
        1U << SWKI_KIND_NODE | 1U << SWKI_KIND_CLUSTER, SWKI_CA_EVENTS_MAX);
    server->committed =
        swki_store_watch(server->store, SWKI_FEED_COMMITTED,
                         1U << SWKI_KIND_NODE, SWKI_CA_EVENTS_MAX);
    if (server->head == NULL || server->committed == NULL) {
        forget(server);
        return swki_fail_nomem(err);
    }
    server->running = true;
    server->tell_at = SWK_NEVER;
    server->stale = true;
    return SWK_OK;
}

void swki_ca_server_stop(struct swki_ca_server *server,
                         struct swki_answers *answers)
{
    swki_ca_waiting_stop(&server->waiting, answers);
    forget(server);
}

/* ---- following the store ---- */

const struct swki_object *swki_ca_find_cluster(const struct swki_view *view)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *cluster;
    struct swki_cursor cursor;

    if (swki_view_find(view, SWKI_KIND_CLUSTER, &all, &cursor, NULL) != 0) {
        return NULL;
    }
    cluster = swki_cursor_next(&cursor);
    swki_cursor_close(&cursor);
    return cluster;
}

static bool read_nodes(struct swki_ca_server *server,
                       const struct swki_view *view)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *node;
    struct swki_cursor cursor;
    bool complete = true;

    if (swki_view_find(view, SWKI_KIND_NODE, &all, &cursor, NULL) != 0) {
        return false;
    }
    while ((node = swki_cursor_next(&cursor)) != NULL) {
        complete = swki_ca_signing_node(&server->signing, node) &&
                   complete;
    }
    swki_cursor_close(&cursor);
    return complete;
}

static void see_cluster(struct swki_ca_server *server,
                        const struct swki_object *cluster)
{
    swki_ca_server_see_cluster(server, cluster);
    swki_reconcile_cluster(&server->reconcile, cluster);
}

/* Reads everything again; events that wait are included then. */
static void read_head(struct swki_ca_server *server)
{
    const struct swki_view *view = swki_store_head(server->store);
    const struct swki_object *cluster = swki_ca_find_cluster(view);

    while (swki_watch_next(server->head) != NULL) {
        continue;
    }
    swki_ca_signing_fini(&server->signing);
    server->stale = false;
    if (cluster != NULL) {
        see_cluster(server, cluster);
    }
    swki_reconcile_reset(&server->reconcile);
    server->stale = !read_nodes(server, view) || server->stale;
}

static void see_event(struct swki_ca_server *server,
                      const struct swki_event *event)
{
    switch (event->change) {
    case SWKI_CHANGE_RESET:
        server->stale = true;
        return;
    case SWKI_CHANGE_COMMIT:
        return;
    case SWKI_CHANGE_DELETE:
        if (event->kind == SWKI_KIND_NODE) {
            const char *id = swki_object_id(event->object);

            swki_ca_signing_gone(&server->signing, id);
            swki_reconcile_gone(&server->reconcile, id);
        }
        return;
    case SWKI_CHANGE_CREATE:
    case SWKI_CHANGE_UPDATE:
        /* If memory is short, all is read again later. */
        if (event->kind == SWKI_KIND_CLUSTER) {
            see_cluster(server, event->object);
        } else {
            server->stale =
                !swki_ca_signing_node(&server->signing, event->object);
            swki_reconcile_node(&server->reconcile, server->now,
                                swki_node(event->object));
        }
        return;
    }
}

void swki_ca_server_follow(struct swki_ca_server *server)
{
    const struct swki_event *event;

    while (!server->stale &&
           (event = swki_watch_next(server->head)) != NULL) {
        see_event(server, event);
    }
    if (server->stale) {
        read_head(server);
    }
}

static void follow_committed(struct swki_ca_server *server,
                             struct swki_answers *answers)
{
    const struct swki_event *event;

    while ((event = swki_watch_next(server->committed)) != NULL) {
        switch (event->change) {
        case SWKI_CHANGE_RESET:
            swki_ca_waiting_review(&server->waiting,
                                   swki_store_committed(server->store),
                                   answers);
            break;
        case SWKI_CHANGE_COMMIT:
            break;
        case SWKI_CHANGE_DELETE:
            swki_ca_waiting_gone(&server->waiting,
                                 swki_object_id(event->object), answers);
            break;
        case SWKI_CHANGE_CREATE:
        case SWKI_CHANGE_UPDATE:
            swki_ca_waiting_node(&server->waiting, swki_node(event->object),
                                 answers);
            break;
        }
    }
}

void swki_ca_server_step(struct swki_ca_server *server, swk_time now,
                         swk_wall wall, struct swki_answers *answers)
{
    if (!server->running) {
        return;
    }
    server->now = now;
    swki_ca_server_follow(server);
    if (server->stale) { /* memory is short: give it time */
        server->signing.retry_at = now + SWKI_CA_RETRY_INTERVAL;
    } else {
        swki_reconcile_step(&server->reconcile, now, wall);
    }
    swki_ca_server_expire(server, now, wall);
    swki_ca_signing_wake(&server->signing, now);
    swki_ca_server_write(server, now, wall);
    swki_ca_server_tell_reasons(server, now, wall);
    follow_committed(server, answers);
}

bool swki_ca_server_pending(const struct swki_ca_server *server)
{
    return server->running && (swki_watch_pending(server->head) ||
                               swki_watch_pending(server->committed));
}

static swk_time earlier(swk_time a, swk_time b)
{
    return a < b ? a : b;
}

static swk_time later(swk_time a, swk_time b)
{
    return a > b ? a : b;
}

/* When more work can be given out; the signer itself does not wait for us. */
static swk_time next_work_at(const struct swki_ca_server *server)
{
    const struct swki_ca_signing *signing = &server->signing;

    if (swki_list_empty(&signing->queued) ||
        !swki_ca_signing_has_room(signing)) {
        return SWK_NEVER;
    }
    if (server->material != NULL) {
        return signing->retry_at;
    }
    return server->candidate != NULL
               ? later(signing->retry_at, server->candidate_at)
               : SWK_NEVER;
}

swk_time swki_ca_server_deadline(const struct swki_ca_server *server)
{
    const struct swki_ca_signing *signing = &server->signing;
    const struct swki_ca_job *oldest = swki_ca_signing_first(&signing->flying);
    swk_time deadline;

    if (!server->running) {
        return SWK_NEVER;
    }
    if (server->stale) {
        return signing->retry_at;
    }
    deadline = earlier(next_work_at(server),
                       swki_reconcile_deadline(&server->reconcile));
    if (!swki_list_empty(&signing->done)) {
        deadline = earlier(deadline, signing->write_at);
    }
    deadline = earlier(deadline, swki_ca_signing_wake_at(signing));
    deadline = earlier(deadline, server->tell_at);
    return oldest != NULL ? earlier(deadline, oldest->limit) : deadline;
}

size_t swki_ca_server_waiting(const struct swki_ca_server *server)
{
    return server->waiting.calls.count;
}

size_t swki_ca_server_outstanding(const struct swki_ca_server *server)
{
    return server->signing.jobs.count;
}

/* Those that were refused by themselves; the last such refusal is told. */
static void see_refused(const struct swki_ca_signing *signing,
                        struct swki_ca_trouble *trouble)
{
    const struct swki_ca_job *job;
    uint64_t last_id = 0;
    size_t cursor = 0;

    while ((job = swki_map_next(&signing->jobs, &cursor)) != NULL) {
        if (job->state != SWKI_CA_JOB_PAUSED) {
            continue;
        }
        if (trouble->waiting++ == 0 || job->reason.since < trouble->since) {
            trouble->since = job->reason.since;
        }
        if (job->id >= last_id) {
            last_id = job->id;
            snprintf(trouble->why, sizeof(trouble->why), "%s",
                     job->reason.text);
        }
    }
}

void swki_ca_server_troubles(const struct swki_ca_server *server,
                             struct swki_ca_trouble *out_all,
                             struct swki_ca_trouble *out_some)
{
    const struct swki_ca_signing *signing = &server->signing;

    *out_all = (struct swki_ca_trouble){.since = 0};
    *out_some = (struct swki_ca_trouble){.since = 0};
    see_refused(signing, out_some);
    snprintf(out_all->why, sizeof(out_all->why), "%s",
             swki_ca_reason_text(&signing->reason));
    if (out_all->why[0] != '\0') {
        out_all->since = signing->reason.since;
        out_all->waiting = signing->jobs.count - out_some->waiting;
    }
}

void swki_ca_server_cancel(struct swki_ca_server *server, uint64_t call_id)
{
    swki_ca_waiting_cancel(&server->waiting, call_id);
}
