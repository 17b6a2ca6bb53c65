/* SPDX-License-Identifier: Apache-2.0 */

#include "core/ca/server.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "core/ca/issuer.h"
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
    swki_ca_signing_init(&server->signing, server->alloc,
                         config->signatures_per_step != 0
                             ? config->signatures_per_step
                             : SWKI_CA_SIGNATURES_PER_STEP);
    swki_ca_waiting_init(&server->waiting, server->alloc,
                         config->waiting_max != 0 ? config->waiting_max
                                                  : SWKI_CA_WAITING_MAX);
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
    swki_signer_free(server->signer);
    server->signer = NULL;
    swki_object_unref(server->material);
    swki_object_unref(server->cluster);
    server->material = NULL;
    server->cluster = NULL;
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

const Swkpb__RootCA *swki_ca_root_of(const struct swki_object *cluster)
{
    return cluster != NULL ? swki_cluster(cluster)->root_ca : NULL;
}

/* A record of no use leaves the old signer at work, and is reported once.
 * False for no memory. */
static bool load_signer(struct swki_ca_server *server)
{
    const Swkpb__RootCA *root = swki_ca_root_of(server->cluster);
    const Swkpb__RootCA *old = swki_ca_root_of(server->material);
    struct swki_signer *signer = NULL;
    struct swk_error err = {0};
    int rc;

    if (root == NULL || (old != NULL && swki_ca_same_signer(old, root))) {
        return true;
    }
    rc = swki_ca_open_signer(server->alloc, root, &server->entropy, &signer,
                             &err);
    if (rc == SWK_ENOMEM) {
        return false;
    }
    if (rc != 0) {
        swki_log(server->logger, SWK_LOG_ERROR, "ca",
                 "the swarm's CA cannot sign: %s", err.text);
    }
    if (rc == 0 || rc == SWK_EUNAVAILABLE) {
        swki_signer_free(server->signer);
        server->signer = signer;
    }
    swki_object_unref(server->material);
    server->material = swki_object_ref(server->cluster);
    server->signing.retry_at = 0;
    return true;
}

static bool see_cluster(struct swki_ca_server *server,
                        const struct swki_object *cluster)
{
    swki_object_unref(server->cluster);
    server->cluster = swki_object_ref(cluster);
    return load_signer(server);
}

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
        complete = swki_ca_signing_node(&server->signing, swki_node(node)) &&
                   complete;
    }
    swki_cursor_close(&cursor);
    return complete;
}

/* Reads everything again; events that wait are included then. */
static void read_head(struct swki_ca_server *server)
{
    const struct swki_view *view = swki_store_head(server->store);
    const struct swki_object *cluster = swki_ca_find_cluster(view);
    swk_time retry_at = server->signing.retry_at;
    bool complete = true;

    while (swki_watch_next(server->head) != NULL) {
        continue;
    }
    swki_ca_signing_fini(&server->signing);
    server->signing.retry_at = retry_at;
    if (cluster != NULL) {
        complete = see_cluster(server, cluster);
    }
    server->stale = !read_nodes(server, view) || !complete;
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
            swki_ca_signing_gone(&server->signing,
                                 swki_object_id(event->object));
        }
        return;
    case SWKI_CHANGE_CREATE:
    case SWKI_CHANGE_UPDATE:
        /* If memory is short, all is read again later. */
        if (event->kind == SWKI_KIND_CLUSTER) {
            server->stale = !see_cluster(server, event->object);
        } else {
            server->stale = !swki_ca_signing_node(&server->signing,
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
    swki_ca_server_follow(server);
    if (server->stale) { /* memory is short: give it time */
        server->signing.retry_at = now + SWKI_CA_RETRY_INTERVAL;
    }
    swki_ca_server_sign(server, now, wall);
    follow_committed(server, answers);
}

bool swki_ca_server_pending(const struct swki_ca_server *server)
{
    return server->running && (swki_watch_pending(server->head) ||
                               swki_watch_pending(server->committed));
}

swk_time swki_ca_server_deadline(const struct swki_ca_server *server)
{
    if (!server->running) {
        return SWK_NEVER;
    }
    if (server->stale || (server->signer != NULL &&
                          !swki_list_empty(&server->signing.queue))) {
        return server->signing.retry_at;
    }
    return SWK_NEVER;
}

size_t swki_ca_server_waiting(const struct swki_ca_server *server)
{
    return server->waiting.calls.count;
}

size_t swki_ca_server_outstanding(const struct swki_ca_server *server)
{
    return server->signing.jobs.count;
}

void swki_ca_server_cancel(struct swki_ca_server *server, uint64_t call_id)
{
    swki_ca_waiting_cancel(&server->waiting, call_id);
}
