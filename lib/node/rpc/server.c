/* SPDX-License-Identifier: Apache-2.0 */

#include "node/rpc/server.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "node/rpc/server_internal.h"

enum {
    CONNECTIONS_MAX = 20000,
    CONNECTIONS_PER_ADDRESS_MAX = 2000,
    HANDSHAKES_MAX = 32,
    HANDSHAKE_SECONDS = 10,
    ACCEPTED_MAX = 1024, /* that the loop has not looked at yet */
    YOUNG_MAX = 2048,
    YOUNG_PER_ADDRESS_MAX = 512,
    STRANGERS_MAX = 1024,
    STRANGERS_PER_ADDRESS_MAX = 256,
    PER_WORKER_MAX = 8, /* an agent has two or three */
    PER_MANAGER_MAX = 1024,
    STRANGER_QUIET_SECONDS = 10,
    STRANGER_LIFE_SECONDS = 300,
    WARNINGS_MAX = 30, /* a minute */
    UNSENT_MAX = 64 * 1024 * 1024,
};

#define LEAVE_PAUSE SWK_SECOND /* for last words to arrive */

/* -- Accepting -------------------------------------------------------------- */

/* On a transport's thread. */
static void on_accepted(void *ctx, swk_stream *stream)
{
    struct swki_rpc_listener *listener = ctx;
    struct swki_rpc_server *server = listener->server;
    const struct swk_transport *t = server->config.transport;
    struct swki_rpc_accepted *accepted =
        swki_calloc(server->config.alloc, 1, sizeof(*accepted));

    if (accepted == NULL) {
        t->free(t->ctx, stream);
        return;
    }
    accepted->stream = stream;
    accepted->local = listener->local;
    pthread_mutex_lock(&server->lock);
    if (server->accepted_count >= ACCEPTED_MAX && !accepted->local) {
        pthread_mutex_unlock(&server->lock);
        t->free(t->ctx, stream);
        swki_free(server->config.alloc, accepted);
        return;
    }
    server->accepted_count++;
    swki_list_append(&server->accepted, &accepted->link);
    if (!server->posted) {
        server->posted = true;
        swki_loop_post(server->config.loop, &server->message);
    }
    pthread_mutex_unlock(&server->lock);
}

static struct swki_rpc_accepted *take_accepted(struct swki_rpc_server *server)
{
    struct swki_rpc_accepted *accepted = NULL;

    pthread_mutex_lock(&server->lock);
    if (!swki_list_empty(&server->accepted)) {
        accepted = SWKI_CONTAINER(server->accepted.next,
                                  struct swki_rpc_accepted, link);
        swki_list_remove(&accepted->link);
        server->accepted_count--;
    }
    pthread_mutex_unlock(&server->lock);
    return accepted;
}

enum swk_log_level swki_rpc_server_warn_level(struct swki_rpc_server *server,
                                              swk_time now)
{
    if (now - server->warn_from >= 60 * SWK_SECOND) {
        server->warn_from = now;
        server->warn_count = 0;
    }
    return server->warn_count++ < WARNINGS_MAX ? SWK_LOG_WARN : SWK_LOG_DEBUG;
}

static void refuse(struct swki_rpc_server *server,
                   const struct swki_rpc_accepted *accepted,
                   const char *address, const char *why, swk_time now)
{
    const struct swk_transport *t = server->config.transport;

    swki_log(server->config.logger, swki_rpc_server_warn_level(server, now),
             "rpc", "connection of %s refused: %s",
             accepted->local ? "a local user" : address, why);
    t->free(t->ctx, accepted->stream);
}

static void admit(struct swki_rpc_server *server,
                  const struct swki_rpc_accepted *accepted, swk_time now)
{
    const struct swk_transport *t = server->config.transport;
    struct swki_rpc_server_connection *c;
    struct swki_rpc_party *host;
    struct swk_stream_peer peer;
    struct swk_error err = {0};
    const char *why;

    t->peer(t->ctx, accepted->stream, &peer);
    why = swki_rpc_gate_admit(server, accepted->local, &peer, &host);
    if (why != NULL) {
        refuse(server, accepted, peer.address, why, now);
        return;
    }
    if (swki_rpc_server_connection_new(server, accepted, &peer, now, &c,
                                       &err) != SWK_OK) {
        swki_rpc_gate_release(server, host);
        refuse(server, accepted, peer.address, err.text, now);
        return;
    }
    c->host = host;
    server->connections_count++;
    swki_list_append(&server->connections, &c->link);
    swki_rpc_server_connection_arm(c);
    if (c->local) {
        swki_rpc_link_start(c->io); /* no handshake */
    } else {
        swki_rpc_gate_enter(c);
    }
}

static void handle_accepted(struct swki_message *message, swk_time now)
{
    struct swki_rpc_server *server =
        SWKI_CONTAINER(message, struct swki_rpc_server, message);
    struct swki_rpc_accepted *accepted;

    /* The message is out of the mailbox now, and from here on may be in it
     * again: only this delivery says that it is not. */
    pthread_mutex_lock(&server->lock);
    server->posted = false;
    pthread_mutex_unlock(&server->lock);
    while ((accepted = take_accepted(server)) != NULL) {
        admit(server, accepted, now);
        swki_free(server->config.alloc, accepted);
    }
    swki_rpc_gate_open(server, now);
    swki_loop_wake(server->config.loop); /* for the gate's deadline */
}

/* -- Connections' ends ------------------------------------------------------ */

void swki_rpc_server_mark_dirty(struct swki_rpc_server_connection *c)
{
    if (!c->doomed && swki_list_empty(&c->dirty_link)) {
        swki_list_append(&c->server->dirty, &c->dirty_link);
        swki_loop_wake(c->server->config.loop);
    }
}

void swki_rpc_server_doom(struct swki_rpc_server_connection *c)
{
    struct swki_rpc_server *server = c->server;

    if (c->doomed) {
        return;
    }
    c->doomed = true;
    swki_rpc_gate_leave(c);
    swki_timers_cancel(&server->timers, &c->timer);
    swki_list_remove(&c->dirty_link);
    swki_list_remove(&c->link);
    swki_list_append(&server->doomed, &c->link);
    swki_loop_wake(server->config.loop);
}

static void reap_connection(struct swki_rpc_server_connection *c, swk_time now)
{
    struct swki_rpc_server *server = c->server;
    struct swki_rpc_party *host = c->host;

    while (!swki_list_empty(&c->calls)) {
        struct swki_rpc_call *call =
            SWKI_CONTAINER(c->calls.next, struct swki_rpc_call, link);

        swki_rpc_call_close(call, now);
    }
    swki_list_remove(&c->link);
    swki_rpc_server_connection_free(c);
    server->connections_count--;
    swki_rpc_gate_release(server, host);
}

static void reap(struct swki_rpc_server *server, swk_time now)
{
    while (!swki_list_empty(&server->closing) ||
           !swki_list_empty(&server->doomed)) {
        if (!swki_list_empty(&server->closing)) {
            struct swki_rpc_call *call = SWKI_CONTAINER(
                server->closing.next, struct swki_rpc_call, link);

            swki_rpc_call_close(call, now);
        } else {
            reap_connection(SWKI_CONTAINER(server->doomed.next,
                                           struct swki_rpc_server_connection,
                                           link),
                            now);
        }
    }
}

static swk_time turn(void *ctx, swk_time now)
{
    struct swki_rpc_server *server = ctx;
    struct swki_timer *timer;
    swk_time deadline;
    swk_time gate;

    while ((timer = swki_timers_expire(&server->timers, now)) != NULL) {
        swki_rpc_server_connection_expire(
            SWKI_CONTAINER(timer, struct swki_rpc_server_connection, timer),
            now);
    }
    reap(server, now);
    swki_rpc_gate_open(server, now);
    deadline = swki_timers_deadline(&server->timers);
    gate = swki_rpc_gate_deadline(server);
    return gate < deadline ? gate : deadline;
}

static void flush(void *ctx, swk_time now)
{
    struct swki_rpc_server *server = ctx;

    (void)now;
    while (!swki_list_empty(&server->dirty)) {
        struct swki_rpc_server_connection *c =
            SWKI_CONTAINER(server->dirty.next,
                           struct swki_rpc_server_connection, dirty_link);

        swki_list_remove(&c->dirty_link);
        swki_rpc_server_connection_flush(c);
        swki_rpc_server_connection_arm(c);
    }
}

/* -- The server ------------------------------------------------------------- */

/* Three quarters of the descriptors that the process may have: strangers must
 * not take those which the log, the tasks and the control socket need. */
static size_t connections_default(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
        limit.rlim_cur / 4 * 3 > CONNECTIONS_MAX) {
        return CONNECTIONS_MAX;
    }
    return (size_t)(limit.rlim_cur / 4 * 3);
}

/* Of the connections, one address gets at most three quarters. */
static size_t per_address_default(size_t connections_max)
{
    size_t most = connections_max - connections_max / 4;

    return most < CONNECTIONS_PER_ADDRESS_MAX ? most
                                              : CONNECTIONS_PER_ADDRESS_MAX;
}

static size_t or_default(size_t value, size_t preset, size_t most)
{
    size_t chosen = value != 0 ? value : preset;

    return chosen < most ? chosen : most;
}

/* Half of the connections may be young or strangers', a quarter from one
 * address: the rest is for nodes. */
static void apply_room_defaults(struct swki_rpc_server_config *config)
{
    size_t quarter = config->connections_max / 4 + 1;
    struct swki_rpc_room *young = &config->rooms[SWKI_RPC_YOUNG];
    struct swki_rpc_room *strangers = &config->rooms[SWKI_RPC_STRANGER];
    struct swki_rpc_room *workers = &config->rooms[SWKI_RPC_WORKER];
    struct swki_rpc_room *managers = &config->rooms[SWKI_RPC_MANAGER];

    young->in_all = or_default(young->in_all, YOUNG_MAX, quarter);
    young->per_party =
        or_default(young->per_party, YOUNG_PER_ADDRESS_MAX, quarter / 2 + 1);
    strangers->in_all = or_default(strangers->in_all, STRANGERS_MAX, quarter);
    strangers->per_party = or_default(strangers->per_party,
                                      STRANGERS_PER_ADDRESS_MAX,
                                      quarter / 2 + 1);
    workers->in_all = or_default(workers->in_all, SIZE_MAX, SIZE_MAX);
    workers->per_party =
        or_default(workers->per_party, PER_WORKER_MAX, SIZE_MAX);
    managers->in_all = or_default(managers->in_all, SIZE_MAX, SIZE_MAX);
    managers->per_party =
        or_default(managers->per_party, PER_MANAGER_MAX, SIZE_MAX);
}

static void apply_defaults(struct swki_rpc_server_config *config)
{
    if (config->handshake_timeout_ns == 0) {
        config->handshake_timeout_ns = HANDSHAKE_SECONDS * SWK_SECOND;
    }
    if (config->connections_max == 0) {
        config->connections_max = connections_default();
    }
    if (config->connections_per_address_max == 0) {
        config->connections_per_address_max =
            per_address_default(config->connections_max);
    }
    if (config->handshakes_max == 0) {
        config->handshakes_max = HANDSHAKES_MAX;
    }
    if (config->request_max == 0) {
        config->request_max = SWKI_RPC_REQUEST_MAX;
    }
    if (config->unsent_max == 0) {
        config->unsent_max = UNSENT_MAX;
    }
    if (config->stranger_quiet_ns == 0) {
        config->stranger_quiet_ns = STRANGER_QUIET_SECONDS * SWK_SECOND;
    }
    if (config->stranger_life_ns == 0) {
        config->stranger_life_ns = STRANGER_LIFE_SECONDS * SWK_SECOND;
    }
    apply_room_defaults(config);
}

int swki_rpc_server_new(const struct swki_rpc_server_config *config,
                        struct swki_rpc_server **out_server,
                        struct swk_error *err)
{
    struct swki_rpc_server *server =
        swki_calloc(config->alloc, 1, sizeof(*server));

    if (server == NULL) {
        return swki_fail_nomem(err);
    }
    server->config = *config;
    apply_defaults(&server->config);
    pthread_mutex_init(&server->lock, NULL);
    swki_list_init(&server->listeners);
    swki_list_init(&server->connections);
    swki_list_init(&server->turns);
    swki_list_init(&server->gated);
    swki_list_init(&server->dirty);
    swki_list_init(&server->doomed);
    swki_list_init(&server->closing);
    swki_list_init(&server->accepted);
    swki_timers_init(&server->timers, config->alloc);
    swki_map_init(&server->hosts, config->alloc);
    swki_map_init(&server->nodes, config->alloc);
    for (int i = 0; i < SWKI_RPC_KINDS; i++) {
        swki_list_init(&server->crowds[i].members);
    }
    server->message.handle = handle_accepted;
    server->member = (struct swki_loop_member){
        .ctx = server, .turn = turn, .flush = flush};
    swki_loop_add(config->loop, &server->member);
    *out_server = server;
    return SWK_OK;
}

static void close_listeners(struct swki_rpc_server *server)
{
    const struct swk_transport *t = server->config.transport;

    while (!swki_list_empty(&server->listeners)) {
        struct swki_rpc_listener *listener = SWKI_CONTAINER(
            server->listeners.next, struct swki_rpc_listener, link);

        t->listener_close(t->ctx, listener->listener);
        swki_list_remove(&listener->link);
        swki_free(server->config.alloc, listener);
    }
}

static void drop_accepted(struct swki_rpc_server *server)
{
    const struct swk_transport *t = server->config.transport;
    struct swki_rpc_accepted *accepted;

    while ((accepted = take_accepted(server)) != NULL) {
        t->free(t->ctx, accepted->stream);
        swki_free(server->config.alloc, accepted);
    }
    if (server->posted) {
        swki_loop_cancel(server->config.loop, &server->message);
    }
}

void swki_rpc_server_free(struct swki_rpc_server *server)
{
    if (server == NULL) {
        return;
    }
    close_listeners(server);
    drop_accepted(server);
    while (!swki_list_empty(&server->turns)) {
        swki_list_remove(server->turns.next); /* nobody starts any more */
    }
    flush(server, swki_loop_now(server->config.loop));
    while (!swki_list_empty(&server->connections)) {
        swki_rpc_server_doom(SWKI_CONTAINER(server->connections.next,
                                            struct swki_rpc_server_connection,
                                            link));
    }
    reap(server, swki_loop_now(server->config.loop));
    swki_loop_remove(server->config.loop, &server->member);
    swki_tls_context_unref(server->context);
    swki_map_fini(&server->hosts);
    swki_map_fini(&server->nodes);
    swki_timers_fini(&server->timers);
    pthread_mutex_destroy(&server->lock);
    swki_free(server->config.alloc, server);
}

static int listen_on(struct swki_rpc_server *server, const char *address,
                     bool local, struct swki_rpc_listener **out_listener,
                     struct swk_error *err)
{
    const struct swk_transport *t = server->config.transport;
    struct swki_rpc_listener *listener =
        swki_calloc(server->config.alloc, 1, sizeof(*listener));
    int rc;

    if (listener == NULL) {
        return swki_fail_nomem(err);
    }
    listener->server = server;
    listener->local = local;
    rc = t->listen(t->ctx, address, on_accepted, listener, &listener->listener,
                   err);
    if (rc != SWK_OK) {
        swki_free(server->config.alloc, listener);
        return rc;
    }
    swki_list_append(&server->listeners, &listener->link);
    *out_listener = listener;
    return SWK_OK;
}

int swki_rpc_server_listen(struct swki_rpc_server *server, const char *address,
                           struct swki_tls_context *context, int *out_port,
                           struct swk_error *err)
{
    const struct swk_transport *t = server->config.transport;
    struct swki_tls_context *before = server->context;
    struct swki_rpc_listener *listener;
    int rc;

    /* Connections may come before this returns. */
    server->context = swki_tls_context_ref(context);
    rc = listen_on(server, address, false, &listener, err);
    if (rc != SWK_OK) {
        server->context = before;
        swki_tls_context_unref(context);
        return rc;
    }
    swki_tls_context_unref(before);
    if (out_port != NULL) {
        *out_port = t->listener_port(t->ctx, listener->listener);
    }
    return SWK_OK;
}

int swki_rpc_server_listen_local(struct swki_rpc_server *server,
                                 const char *path, struct swk_error *err)
{
    struct swki_rpc_listener *listener;
    char address[160];
    int len = snprintf(address, sizeof(address), "ipc://%s", path);

    if (len < 0 || (size_t)len >= sizeof(address)) {
        return swki_fail(err, SWK_EINVAL, "the path of a socket is too long");
    }
    return listen_on(server, address, true, &listener, err);
}

void swki_rpc_server_set_context(struct swki_rpc_server *server,
                                 struct swki_tls_context *context)
{
    struct swki_tls_context *before = server->context;

    server->context = swki_tls_context_ref(context);
    swki_tls_context_unref(before);
}

/* The other side is told why before the connection is closed. */
static void dismiss(struct swki_rpc_server_connection *c)
{
    struct swk_error err;

    swki_fail(&err, SWK_EDENIED,
              "Permission denied: node %s was removed from swarm",
              c->peer.node_id);
    while (!swki_list_empty(&c->calls)) {
        swki_rpc_call_end(
            SWKI_CONTAINER(c->calls.next, struct swki_rpc_call, link),
            SWKI_STATUS_PERMISSION_DENIED, err.text);
    }
    c->leave_at = swki_loop_now(c->server->config.loop) + LEAVE_PAUSE;
    swki_rpc_server_mark_dirty(c); /* which arms it, too */
}

void swki_rpc_server_drop_removed(struct swki_rpc_server *server,
                                  bool (*is_removed)(void *ctx,
                                                     const char *node_id),
                                  void *ctx)
{
    for (struct swki_link *link = server->connections.next;
         link != &server->connections; link = link->next) {
        struct swki_rpc_server_connection *c =
            SWKI_CONTAINER(link, struct swki_rpc_server_connection, link);

        if (c->identified && c->leave_at == SWK_NEVER &&
            is_removed(ctx, c->peer.node_id)) {
            swki_log(server->config.logger, SWK_LOG_INFO, "rpc",
                     "connection of %s is closed: the node was removed",
                     c->peer.node_id);
            dismiss(c);
        }
    }
}

void swki_rpc_server_goaway(struct swki_rpc_server *server)
{
    for (struct swki_link *link = server->connections.next;
         link != &server->connections; link = link->next) {
        struct swki_rpc_server_connection *c =
            SWKI_CONTAINER(link, struct swki_rpc_server_connection, link);

        if (c->rpc != NULL) {
            swki_rpc_connection_goaway(c->rpc);
            swki_rpc_server_mark_dirty(c);
        }
    }
}
