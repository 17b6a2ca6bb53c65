/* SPDX-License-Identifier: Apache-2.0 */

#include "node/rpc/server.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "node/rpc/server_internal.h"

enum {
    CONNECTIONS_MAX = 20000,
    CONNECTIONS_PER_ADDRESS_MAX = 2000,
    HANDSHAKES_MAX = 32,
    HANDSHAKE_SECONDS = 10,
    GATE_MS = 100, /* then a handshake waits for its peer, not for us */
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
    }
    pthread_mutex_unlock(&server->lock);
    return accepted;
}

static struct swki_rpc_host *host_of(struct swki_rpc_server *server,
                                     const char *address)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - address);
    struct swki_rpc_host *host;
    char name[sizeof(host->name)];

    snprintf(name, sizeof(name), "%.*s", (int)len, address);
    host = swki_map_get(&server->hosts, name);
    if (host != NULL) {
        return host;
    }
    host = swki_calloc(server->config.alloc, 1, sizeof(*host));
    if (host == NULL) {
        return NULL;
    }
    memcpy(host->name, name, sizeof(name));
    if (!swki_map_put(&server->hosts, host->name, host)) {
        swki_free(server->config.alloc, host);
        return NULL;
    }
    return host;
}

static void host_leave(struct swki_rpc_server *server,
                       struct swki_rpc_host *host)
{
    if (host != NULL && --host->count == 0) {
        swki_map_remove(&server->hosts, host->name);
        swki_free(server->config.alloc, host);
    }
}

static bool may_use_socket(const struct swki_rpc_server_config *config,
                           const struct swk_stream_peer *peer)
{
    for (size_t i = 0; i < config->local_users_count; i++) {
        if (peer->uid >= 0 && peer->uid == config->local_users[i]) {
            return true;
        }
    }
    return peer->uid == 0 || peer->uid == (int64_t)geteuid();
}

/* NULL if there is room for the peer, else why there is none. */
static const char *refusal(struct swki_rpc_server *server, bool local,
                           const struct swk_stream_peer *peer)
{
    const struct swki_rpc_server_config *config = &server->config;
    struct swki_rpc_host *host;

    if (local) {
        return may_use_socket(config, peer)
                   ? NULL
                   : "the control socket is for its owner only";
    }
    if (server->connections_count >= config->connections_max) {
        return "too many connections";
    }
    host = host_of(server, peer->address);
    if (host == NULL) {
        return "out of memory";
    }
    if (host->count >= config->connections_per_address_max) {
        return "too many connections from one address";
    }
    host->count++;
    return NULL;
}

static struct swki_rpc_server_connection *
first_gated(const struct swki_rpc_server *server)
{
    return SWKI_CONTAINER(server->gated.next,
                          struct swki_rpc_server_connection, gate_link);
}

static void ungate(struct swki_rpc_server_connection *c)
{
    swki_list_remove(&c->gate_link);
    if (c->gated) {
        c->gated = false;
        c->server->handshakes--;
    }
}

/* The gate spares the processor when many come at once. Whoever says nothing
 * needs none, and must not keep others out. */
static void enter_gate(struct swki_rpc_server *server, swk_time now)
{
    while (!swki_list_empty(&server->gated) &&
           now >= first_gated(server)->gate_until) {
        ungate(first_gated(server));
    }
    while (!swki_list_empty(&server->waiting) &&
           server->handshakes < server->config.handshakes_max) {
        struct swki_rpc_server_connection *c =
            SWKI_CONTAINER(server->waiting.next,
                           struct swki_rpc_server_connection, gate_link);

        swki_list_remove(&c->gate_link);
        swki_list_append(&server->gated, &c->gate_link);
        c->gated = true;
        c->gate_until = now + GATE_MS * SWK_MILLISECOND;
        server->handshakes++;
        swki_rpc_link_start(c->io);
    }
}

static void admit(struct swki_rpc_server *server,
                  const struct swki_rpc_accepted *accepted, swk_time now)
{
    const struct swk_transport *t = server->config.transport;
    struct swki_rpc_server_connection *c;
    struct swk_stream_peer peer;
    struct swk_error err = {0};
    const char *why;

    t->peer(t->ctx, accepted->stream, &peer);
    why = refusal(server, accepted->local, &peer);
    if (why != NULL) {
        swki_log(server->config.logger,
                 server->full ? SWK_LOG_DEBUG : SWK_LOG_WARN, "rpc",
                 "connection of %s refused: %s",
                 accepted->local ? "a local user" : peer.address, why);
        server->full = !accepted->local;
        t->free(t->ctx, accepted->stream);
        return;
    }
    server->full = false;
    struct swki_rpc_host *host =
        accepted->local ? NULL : host_of(server, peer.address);

    if (swki_rpc_server_connection_new(server, accepted, &peer, now, &c,
                                       &err) != SWK_OK) {
        host_leave(server, host);
        t->free(t->ctx, accepted->stream);
        swki_log(server->config.logger, SWK_LOG_WARN, "rpc",
                 "connection refused: %s", err.text);
        return;
    }
    c->host = host;
    server->connections_count++;
    swki_list_append(&server->connections, &c->link);
    swki_rpc_server_connection_arm(c);
    if (c->local) {
        swki_rpc_link_start(c->io); /* no handshake */
    } else {
        swki_list_append(&server->waiting, &c->gate_link);
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
    enter_gate(server, now);
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

void swki_rpc_server_leave_gate(struct swki_rpc_server_connection *c,
                                swk_time now)
{
    ungate(c);
    enter_gate(c->server, now);
}

void swki_rpc_server_doom(struct swki_rpc_server_connection *c)
{
    struct swki_rpc_server *server = c->server;

    if (c->doomed) {
        return;
    }
    c->doomed = true;
    swki_timers_cancel(&server->timers, &c->timer);
    swki_list_remove(&c->dirty_link);
    swki_list_remove(&c->link);
    swki_list_append(&server->doomed, &c->link);
    swki_loop_wake(server->config.loop);
}

static void reap_connection(struct swki_rpc_server_connection *c, swk_time now)
{
    struct swki_rpc_server *server = c->server;
    struct swki_rpc_host *host = c->host;

    while (!swki_list_empty(&c->calls)) {
        struct swki_rpc_call *call =
            SWKI_CONTAINER(c->calls.next, struct swki_rpc_call, link);

        swki_rpc_call_close(call, now);
    }
    swki_rpc_server_leave_gate(c, now);
    swki_list_remove(&c->link);
    swki_rpc_server_connection_free(c);
    server->connections_count--;
    host_leave(server, host);
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

    while ((timer = swki_timers_expire(&server->timers, now)) != NULL) {
        swki_rpc_server_connection_expire(
            SWKI_CONTAINER(timer, struct swki_rpc_server_connection, timer),
            now);
    }
    reap(server, now);
    enter_gate(server, now);
    deadline = swki_timers_deadline(&server->timers);
    if (!swki_list_empty(&server->waiting) &&
        first_gated(server)->gate_until < deadline) {
        deadline = first_gated(server)->gate_until;
    }
    return deadline;
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
    swki_list_init(&server->waiting);
    swki_list_init(&server->gated);
    swki_list_init(&server->dirty);
    swki_list_init(&server->doomed);
    swki_list_init(&server->closing);
    swki_list_init(&server->accepted);
    swki_timers_init(&server->timers, config->alloc);
    swki_map_init(&server->hosts, config->alloc);
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
    while (!swki_list_empty(&server->waiting)) {
        swki_list_remove(server->waiting.next); /* nobody starts any more */
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
