/* SPDX-License-Identifier: Apache-2.0 */

#include "node/rpc/client.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "node/rpc/link.h"
#include "wire/rpc_connection.h"

enum {
    CONNECT_SECONDS = 10,
};

enum dial_state {
    DIAL_UNDER_WAY,
    DIAL_DONE, /* the message is in the mailbox, or will be at once */
    DIAL_LEFT, /* by the client: whatever comes is for nobody */
};

/*
 * A dial that is under way. Its done() may come when the client is long gone,
 * so it belongs to whichever of the two comes last. What done() brings is
 * written before the state says so.
 */
struct dialing {
    struct swki_message message;
    struct swki_rpc_client *client; /* the loop's; NULL once it has left */
    const struct swk_alloc *alloc;
    const struct swk_transport *transport;
    struct swki_loop *loop;
    atomic_int state; /* enum dial_state */
    swk_stream *stream;
    struct swk_error err;
};

struct client_call {
    struct swki_link link;
    struct swki_rpc_client_call_events events;
    uint32_t stream;
};

struct swki_rpc_client {
    struct swki_rpc_client_config config;
    struct swki_loop_member member;
    struct swki_rpc_connection *rpc;
    struct swki_rpc_link *io; /* NULL before the dial is done */
    struct dialing *dialing;
    struct swki_link calls;
    swk_time connect_by; /* SWK_NEVER once it is connected */
    bool checked;        /* the server is who it should be: it may be told */
    bool ready;          /* the server's first frame has come */
    bool down;           /* disconnected() is due or told */
    bool told;
    struct swk_error reason;
    bool dirty;
    unsigned depth; /* of events that run */
    bool dead;      /* freed in one of them: the farewell releases it */
    struct swki_message farewell;
    char address[320]; /* a host has up to 253 characters */
    char server_name[128];
    char node_id[SWK_ID_LEN_MAX + 1];
    char swarm_id[SWK_ID_LEN_MAX + 1];
};

/* -- Life ------------------------------------------------------------------- */

/* The client is no longer interested. */
static void leave_dialing(struct dialing *d)
{
    d->client = NULL;
    if (atomic_exchange(&d->state, DIAL_LEFT) == DIAL_DONE) {
        /* The message only has to release the rest. */
        if (d->stream != NULL) {
            d->transport->free(d->transport->ctx, d->stream);
        }
        d->stream = NULL;
    }
}

static void destroy(struct swki_rpc_client *client)
{
    const struct swk_alloc *alloc = client->config.alloc;

    if (client->dialing != NULL) {
        leave_dialing(client->dialing);
    }
    if (client->io != NULL && client->ready && !client->down) {
        swki_rpc_link_flush(client->io,
                            swki_rpc_connection_output(client->rpc));
    }
    swki_rpc_link_free(client->io);
    while (!swki_list_empty(&client->calls)) {
        struct client_call *call =
            SWKI_CONTAINER(client->calls.next, struct client_call, link);

        swki_list_remove(&call->link);
        swki_free(alloc, call);
    }
    swki_rpc_connection_free(client->rpc);
    swki_tls_context_unref(client->config.context);
    swki_free(alloc, client);
}

static void handle_farewell(struct swki_message *message, swk_time now)
{
    (void)now;
    destroy(SWKI_CONTAINER(message, struct swki_rpc_client, farewell));
}

void swki_rpc_client_free(struct swki_rpc_client *client)
{
    if (client == NULL || client->dead) {
        return;
    }
    client->dead = true;
    swki_loop_remove(client->config.loop, &client->member);
    if (client->depth == 0) {
        destroy(client);
    } else {
        swki_loop_post(client->config.loop, &client->farewell);
    }
}

static void mark_dirty(struct swki_rpc_client *client)
{
    if (!client->dirty) {
        client->dirty = true;
        swki_loop_wake(client->config.loop);
    }
}

static void set_down(struct swki_rpc_client *client,
                     const struct swk_error *reason)
{
    if (!client->down) {
        client->down = true;
        client->reason = *reason;
        swki_loop_wake(client->config.loop);
    }
}

/* -- Events ----------------------------------------------------------------- */

static void end_call(struct swki_rpc_client *client,
                     const struct swki_rpc_event *event, swk_time now)
{
    struct client_call *call = event->owner;
    struct swki_rpc_client_call_events events = call->events;

    swki_list_remove(&call->link);
    swki_free(client->config.alloc, call);
    events.ended(events.ctx, events.call_id, event->status, event->text, now);
}

static void on_event(struct swki_rpc_client *client,
                     const struct swki_rpc_event *event, swk_time now)
{
    const struct client_call *call = event->owner;
    uint32_t stream = event->stream;
    size_t len = event->len;

    switch (event->kind) {
    case SWKI_RPC_READY:
        client->ready = true;
        client->connect_by = SWK_NEVER;
        if (client->config.connected != NULL) {
            client->config.connected(client->config.ctx, now);
        }
        break;
    case SWKI_RPC_MESSAGE:
        call->events.message(call->events.ctx, call->events.call_id,
                             event->data, len, now);
        if (!client->dead) {
            swki_rpc_connection_consumed(client->rpc, stream, len);
        }
        break;
    case SWKI_RPC_ENDED:
        end_call(client, event, now);
        break;
    case SWKI_RPC_CALL:
    case SWKI_RPC_FINISHED:
    case SWKI_RPC_GOAWAY:
        break;
    }
}

/* Whether the server is who it should be. */
static bool check_server(const struct swki_rpc_client *client,
                         struct swk_error *err)
{
    const struct swki_rpc_client_config *config = &client->config;
    struct swki_identity server;

    if (config->node_id == NULL && config->swarm_id == NULL) {
        return true;
    }
    if (swki_rpc_link_peer(client->io, &server, err) != SWK_OK) {
        return false;
    }
    if (config->swarm_id != NULL &&
        strcmp(server.swarm_id, config->swarm_id) != 0) {
        swki_fail(err, SWK_EUNAUTHENTICATED,
                  "the server is of another swarm than %s", config->swarm_id);
        return false;
    }
    if (config->node_id != NULL &&
        strcmp(server.node_id, config->node_id) != 0) {
        swki_fail(err, SWK_EUNAUTHENTICATED, "the server is not node %s",
                  config->node_id);
        return false;
    }
    return true;
}

static void on_ready(void *ctx, swk_time now)
{
    struct swki_rpc_client *client = ctx;
    struct swk_error err;

    (void)now;
    client->checked = check_server(client, &err);
    if (!client->checked) {
        swki_error_prefix(&err, "cannot connect to %s",
                          client->config.address);
        set_down(client, &err);
    }
    mark_dirty(client);
}

static void on_received(void *ctx, const uint8_t *data, size_t len,
                        swk_time now)
{
    struct swki_rpc_client *client = ctx;
    struct swki_rpc_event event;
    struct swk_error err = {0};
    int rc = 1;

    client->depth++;
    while (!client->dead && !client->down && rc > 0) {
        rc = swki_rpc_connection_step(client->rpc, now, &data, &len, &event,
                                      &err);
        if (rc > 0) {
            on_event(client, &event, now);
        }
    }
    if (rc < 0) {
        set_down(client, &err);
    }
    mark_dirty(client);
    client->depth--;
}

static void on_drained(void *ctx, swk_time now)
{
    (void)now;
    mark_dirty(ctx);
}

static void on_failed(void *ctx, const struct swk_error *err, swk_time now)
{
    struct swki_rpc_client *client = ctx;
    struct swk_error reason = *err;

    (void)now;
    if (!client->ready) {
        swki_error_prefix(&reason, "cannot connect to %s",
                          client->config.address);
    }
    set_down(client, &reason);
}

static void start_link(struct swki_rpc_client *client, swk_stream *stream)
{
    const struct swki_rpc_client_config *config = &client->config;
    const struct swki_rpc_link_config io = {
        .alloc = config->alloc,
        .loop = config->loop,
        .transport = config->transport,
        .context = config->context,
        .server_name = config->server_name,
        .server = config->address,
        .events = {client, on_ready, on_received, on_drained, on_failed},
    };
    struct swk_error err = {0};

    if (swki_rpc_link_new(&io, stream, &client->io, &err) != SWK_OK) {
        config->transport->free(config->transport->ctx, stream);
        set_down(client, &err);
        return;
    }
    swki_rpc_link_start(client->io);
}

static void handle_dialed(struct swki_message *message, swk_time now)
{
    struct dialing *d = SWKI_CONTAINER(message, struct dialing, message);
    struct swki_rpc_client *client = d->client;

    (void)now;
    if (client == NULL) {
        swki_free(d->alloc, d);
        return;
    }
    client->dialing = NULL;
    if (d->stream == NULL) {
        set_down(client, &d->err);
    } else if (client->down) {
        d->transport->free(d->transport->ctx, d->stream);
    } else {
        start_link(client, d->stream);
    }
    swki_free(d->alloc, d);
}

/* On a transport's thread. */
static void on_dialed(void *ctx, swk_stream *stream,
                      const struct swk_error *err)
{
    struct dialing *d = ctx;

    d->stream = stream;
    if (err != NULL) {
        d->err = *err;
    }
    if (atomic_exchange(&d->state, DIAL_DONE) != DIAL_LEFT) {
        swki_loop_post(d->loop, &d->message);
        return;
    }
    if (stream != NULL) { /* never started, so no event is cut off */
        d->transport->free(d->transport->ctx, stream);
    }
    swki_free(d->alloc, d);
}

/* -- Turns ------------------------------------------------------------------ */

static void check_time(struct swki_rpc_client *client, swk_time now)
{
    struct swki_rpc_event event;
    struct swk_error err = {0};
    int rc = 1;

    if (now >= client->connect_by) {
        swki_fail(&err, SWK_ETIMEDOUT, "cannot connect to %s: no answer in time",
                  client->config.address);
        set_down(client, &err);
    }
    while (!client->dead && !client->down && rc > 0) {
        rc = swki_rpc_connection_expire(client->rpc, now, &event, &err);
        if (rc > 0) {
            on_event(client, &event, now);
        }
    }
    if (rc < 0) {
        set_down(client, &err);
    }
}

static void tell_down(struct swki_rpc_client *client, swk_time now)
{
    struct swki_rpc_event event;

    if (client->told) {
        return;
    }
    while (!client->dead &&
           swki_rpc_connection_abandon(client->rpc, client->reason.text,
                                       &event)) {
        if (client->reason.code == SWK_EUNAUTHENTICATED) {
            event.status = SWKI_STATUS_UNAUTHENTICATED;
        }
        end_call(client, &event, now);
    }
    if (client->dead || client->told) {
        return;
    }
    client->told = true;
    swki_rpc_link_free(client->io);
    client->io = NULL;
    if (client->config.disconnected != NULL) {
        client->config.disconnected(client->config.ctx, &client->reason, now);
    }
}

static swk_time turn(void *ctx, swk_time now)
{
    struct swki_rpc_client *client = ctx;
    swk_time deadline = SWK_NEVER;

    client->depth++;
    check_time(client, now);
    if (!client->dead && client->down) {
        tell_down(client, now);
    } else if (!client->dead) {
        deadline = swki_rpc_connection_deadline(client->rpc);
        deadline = client->connect_by < deadline ? client->connect_by
                                                 : deadline;
        client->dirty = true; /* flush() comes after this */
    }
    client->depth--;
    return deadline;
}

static void flush(void *ctx, swk_time now)
{
    struct swki_rpc_client *client = ctx;

    (void)now;
    if (client->dirty && client->checked && client->io != NULL &&
        !client->down) {
        swki_rpc_link_flush(client->io,
                            swki_rpc_connection_output(client->rpc));
    }
    client->dirty = false;
}

/* -- The client ------------------------------------------------------------- */

static int start_dial(struct swki_rpc_client *client, struct swk_error *err)
{
    const struct swki_rpc_client_config *config = &client->config;
    const struct swk_transport *t = config->transport;
    struct dialing *d = swki_calloc(config->alloc, 1, sizeof(*d));
    int rc;

    if (d == NULL) {
        return swki_fail_nomem(err);
    }
    d->client = client;
    d->alloc = config->alloc;
    d->transport = t;
    d->loop = config->loop;
    d->message.handle = handle_dialed;
    atomic_init(&d->state, DIAL_UNDER_WAY);
    rc = t->dial(t->ctx, config->address, config->timeout_ns, on_dialed, d,
                 err);
    if (rc != SWK_OK) {
        swki_free(config->alloc, d);
        return rc;
    }
    client->dialing = d;
    return SWK_OK;
}

/* Copies a text of the configuration, which may be NULL; false if it is too
 * long. */
static bool keep_text(const char **text, char *room, size_t size)
{
    if (*text == NULL) {
        return true;
    }
    if (strlen(*text) >= size) {
        return false;
    }
    strcpy(room, *text);
    *text = room;
    return true;
}

static int copy_config(struct swki_rpc_client *client,
                       const struct swki_rpc_client_config *config,
                       struct swk_error *err)
{
    struct swki_rpc_client_config *own = &client->config;

    *own = *config;
    if (!keep_text(&own->address, client->address, sizeof(client->address)) ||
        !keep_text(&own->server_name, client->server_name,
                   sizeof(client->server_name)) ||
        !keep_text(&own->node_id, client->node_id, sizeof(client->node_id)) ||
        !keep_text(&own->swarm_id, client->swarm_id,
                   sizeof(client->swarm_id))) {
        return swki_fail(err, SWK_EINVAL, "the address is too long");
    }
    if (config->timeout_ns == 0) {
        client->config.timeout_ns = CONNECT_SECONDS * SWK_SECOND;
    }
    return SWK_OK;
}

int swki_rpc_client_new(const struct swki_rpc_client_config *config,
                        struct swki_rpc_client **out_client,
                        struct swk_error *err)
{
    const struct swki_rpc_connection_config rpc = {
        .alloc = config->alloc,
        .side = SWKI_RPC_CLIENT,
        .ping_ns = config->ping_ns,
        .pong_ns = config->pong_ns,
    };
    swk_time now = config->clock->now(config->clock->ctx);
    struct swki_rpc_client *client =
        swki_calloc(config->alloc, 1, sizeof(*client));
    int rc;

    if (client == NULL) {
        return swki_fail_nomem(err);
    }
    swki_list_init(&client->calls);
    swki_list_init(&client->member.link);
    client->farewell.handle = handle_farewell;
    rc = copy_config(client, config, err);
    if (rc == SWK_OK) {
        rc = swki_rpc_connection_new(&rpc, now, &client->rpc, err);
    }
    if (rc != SWK_OK) {
        swki_free(config->alloc, client);
        return rc;
    }
    client->connect_by = client->config.timeout_ns < SWK_NEVER - now
                             ? now + client->config.timeout_ns
                             : SWK_NEVER;
    rc = start_dial(client, err);
    if (rc != SWK_OK) {
        swki_rpc_connection_free(client->rpc);
        swki_free(config->alloc, client);
        return rc;
    }
    if (config->context != NULL) {
        swki_tls_context_ref(config->context);
    }
    client->member = (struct swki_loop_member){
        .ctx = client, .turn = turn, .flush = flush};
    swki_loop_add(config->loop, &client->member);
    *out_client = client;
    return SWK_OK;
}

int swki_rpc_client_open(struct swki_rpc_client *client,
                         const struct swki_rpc_header *header,
                         const struct swki_rpc_client_call_events *events,
                         struct swk_error *err)
{
    const struct swk_clock *clock = client->config.clock;
    struct client_call *call;
    int rc;

    if (client->dead || client->down) {
        return swki_fail(err, SWK_EUNAVAILABLE, "the connection is down: %s",
                         client->reason.text);
    }
    call = swki_calloc(client->config.alloc, 1, sizeof(*call));
    if (call == NULL) {
        return swki_fail_nomem(err);
    }
    call->events = *events;
    rc = swki_rpc_connection_open(client->rpc, clock->now(clock->ctx), header,
                                  call, &call->stream, err);
    if (rc != SWK_OK) {
        swki_free(client->config.alloc, call);
        return rc;
    }
    swki_list_append(&client->calls, &call->link);
    mark_dirty(client);
    return SWK_OK;
}

/* The newest is found first: it is the one most often asked for. */
static struct client_call *find_call(const struct swki_rpc_client *client,
                                     uint64_t call_id)
{
    for (struct swki_link *link = client->calls.prev; link != &client->calls;
         link = link->prev) {
        struct client_call *call =
            SWKI_CONTAINER(link, struct client_call, link);

        if (call->events.call_id == call_id) {
            return call;
        }
    }
    return NULL;
}

int swki_rpc_client_send(struct swki_rpc_client *client, uint64_t call_id,
                         const uint8_t *data, size_t len,
                         struct swk_error *err)
{
    const struct client_call *call = find_call(client, call_id);

    if (call == NULL) {
        return swki_fail(err, SWK_ENOTFOUND, "the call is over");
    }
    mark_dirty(client);
    return swki_rpc_connection_send(client->rpc, call->stream, data, len, err);
}

void swki_rpc_client_finish(struct swki_rpc_client *client, uint64_t call_id)
{
    const struct client_call *call = find_call(client, call_id);

    if (call != NULL) {
        swki_rpc_connection_finish(client->rpc, call->stream);
        mark_dirty(client);
    }
}

size_t swki_rpc_client_unsent(const struct swki_rpc_client *client,
                              uint64_t call_id)
{
    const struct client_call *call = find_call(client, call_id);

    return call == NULL
               ? 0
               : swki_rpc_connection_unsent(client->rpc, call->stream);
}

int swki_rpc_client_call_with(struct swki_rpc_client *client,
                              const struct swki_rpc_header *header,
                              const uint8_t *request, size_t len,
                              const struct swki_rpc_client_call_events *events,
                              struct swk_error *err)
{
    int rc = swki_rpc_client_open(client, header, events, err);

    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_rpc_client_send(client, events->call_id, request, len, err);
    if (rc == SWK_OK) {
        swki_rpc_client_finish(client, events->call_id);
    } else {
        swki_rpc_client_cancel(client, events->call_id);
    }
    return rc;
}

int swki_rpc_client_call(struct swki_rpc_client *client, const char *path,
                         const uint8_t *request, size_t len,
                         swk_time timeout_ns,
                         const struct swki_rpc_client_call_events *events,
                         struct swk_error *err)
{
    const struct swki_rpc_header header = {
        .path = path,
        .timeout_ns = timeout_ns,
    };

    return swki_rpc_client_call_with(client, &header, request, len, events,
                                     err);
}

void swki_rpc_client_cancel(struct swki_rpc_client *client, uint64_t call_id)
{
    struct client_call *call = find_call(client, call_id);

    if (call != NULL) {
        swki_rpc_connection_reset(client->rpc, call->stream);
        swki_list_remove(&call->link);
        swki_free(client->config.alloc, call);
        mark_dirty(client);
    }
}
