/* SPDX-License-Identifier: Apache-2.0 */

/* One connection of the server: from its greeting to its end. */

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "node/rpc/server_internal.h"

/* What strangers may do: a node that joins asks for little. And workers: an
 * agent has few calls open, and its reports are short. */
enum {
    WORKER_CALLS_MAX = 256,
    STRANGER_CALLS_MAX = 16,
    STRANGER_REQUEST_MAX = 64 * 1024,
    STRANGER_PARTS_MAX = 128 * 1024,
};

static void down(struct swki_rpc_server_connection *c,
                 const struct swk_error *err, swk_time now)
{
    const char *who = c->identified ? c->peer.node_id
                      : c->local    ? "local"
                                    : c->address;

    swki_log(c->server->config.logger,
             err->code == SWK_EMALFORMED
                 ? swki_rpc_server_warn_level(c->server, now)
                 : SWK_LOG_DEBUG,
             "rpc",
             "connection of %s is down: %s", who, err->text);
    swki_rpc_server_doom(c);
}

static int start_frames(struct swki_rpc_server_connection *c, swk_time now,
                        struct swk_error *err)
{
    const struct swki_rpc_server_config *config = &c->server->config;
    struct swki_rpc_connection_config rpc_config = {
        .alloc = config->alloc,
        .side = SWKI_RPC_SERVER,
        .message_max = config->request_max,
        .unsent_max = config->unsent_max,
    };
    int rc;

    if (!c->local && !c->identified) {
        rpc_config.calls_max = STRANGER_CALLS_MAX;
        rpc_config.message_max = STRANGER_REQUEST_MAX;
        rpc_config.parts_max = STRANGER_PARTS_MAX;
    } else if (!c->local && c->peer.role == SWKI_ROLE_WORKER) {
        rpc_config.calls_max = WORKER_CALLS_MAX;
        rpc_config.parts_max = 2 * config->request_max;
    } else if (c->local && config->connections_per_user_max > 0) {
        rpc_config.parts_max = 2 * config->request_max;
    }
    rc = swki_rpc_connection_new(&rpc_config, now, &c->rpc, err);
    if (rc == SWK_OK) {
        c->mode = SWKI_RPC_MODE_FRAMES;
        swki_rpc_server_mark_dirty(c);
    }
    return rc;
}

static void on_ready(void *ctx, swk_time now)
{
    struct swki_rpc_server_connection *c = ctx;
    struct swk_error err = {0};

    if (c->doomed) {
        return;
    }
    swki_rpc_gate_ready(c, now);
    c->identified = swki_rpc_link_peer(c->io, &c->peer, NULL) == SWK_OK;
    if (!c->local && start_frames(c, now, &err) != SWK_OK) {
        down(c, &err, now);
    }
}

/* A certificate is judged when a connection begins, and must not outlive itself
 * by that. Calendars are set at times, so it is looked at each hour. */
static void watch_dates(struct swki_rpc_server_connection *c, swk_time now)
{
    const struct swk_clock *clock = c->server->config.clock;
    swk_wall left = c->peer.not_after - clock->wall(clock->ctx);

    c->leave_by = now + SWK_HOUR;
    if (left < (swk_wall)SWK_HOUR) {
        c->leave_by = now + (left > 0 ? (swk_time)left : 0) + SWK_MILLISECOND;
    }
}

static bool has_ended(const struct swki_rpc_server_connection *c)
{
    const struct swk_clock *clock = c->server->config.clock;

    return c->identified && clock->wall(clock->ctx) > c->peer.not_after;
}

static void on_event(struct swki_rpc_server_connection *c,
                     const struct swki_rpc_event *event, swk_time now)
{
    const struct swki_rpc_handler *handler = &c->server->config.handler;
    struct swki_rpc_call *call = event->owner;

    switch (event->kind) {
    case SWKI_RPC_READY:
        c->greeted = true;
        c->quiet_by = now + c->server->config.stranger_quiet_ns;
        c->leave_by = now + c->server->config.stranger_life_ns;
        if (c->identified) {
            watch_dates(c, now);
        }
        swki_rpc_gate_greeted(c);
        break;
    case SWKI_RPC_CALL:
        call = swki_rpc_call_new(c, event->header, event->deadline);
        if (call == NULL) {
            swki_rpc_connection_end(c->rpc, event->stream,
                                    SWKI_STATUS_RESOURCE_EXHAUSTED,
                                    "the server is out of memory");
            break;
        }
        call->stream = event->stream;
        swki_rpc_connection_set_owner(c->rpc, event->stream, call);
        break;
    case SWKI_RPC_MESSAGE: {
        uint32_t stream = event->stream;
        size_t len = event->len;

        swki_rpc_call_tell(call, event->data, len, now);
        swki_rpc_connection_consumed(c->rpc, stream, len);
        break;
    }
    case SWKI_RPC_FINISHED:
        if (!call->told) {
            swki_rpc_call_end(call, SWKI_STATUS_INVALID_ARGUMENT,
                              "a call without a request");
        } else if (handler->finished != NULL) {
            handler->finished(handler->ctx, call, now);
        }
        break;
    case SWKI_RPC_ENDED:
        swki_rpc_call_close(call, now);
        break;
    case SWKI_RPC_GOAWAY:
        break;
    }
}

static void frames_received(struct swki_rpc_server_connection *c,
                            const uint8_t *data, size_t len, swk_time now)
{
    struct swki_rpc_event event;
    struct swk_error err = {0};
    int rc = 1;

    while (!c->doomed && rc > 0) {
        rc = swki_rpc_connection_step(c->rpc, now, &data, &len, &event, &err);
        if (rc > 0) {
            on_event(c, &event, now);
        }
    }
    if (rc < 0) {
        down(c, &err, now);
    }
    swki_rpc_server_mark_dirty(c);
}

/* Local clients speak first, in one of two protocols. */
static void sniff(struct swki_rpc_server_connection *c, const uint8_t *data,
                  size_t len, swk_time now)
{
    struct swk_error err = {0};
    struct swki_buf first;

    if (!swki_buf_append(&c->in, data, len)) {
        swki_rpc_server_doom(c);
        return;
    }
    if (c->in.len < SWKI_REQ_GREETING_LEN) {
        return;
    }
    first = c->in;
    swki_buf_init(&c->in, c->server->config.alloc, first.limit);
    if (swki_rpc_req_greeting(first.data, first.len)) {
        c->mode = SWKI_RPC_MODE_REQ;
        c->greeted = true;
        swki_rpc_req_start(c);
        swki_rpc_req_received(c, first.data + SWKI_REQ_GREETING_LEN,
                              first.len - SWKI_REQ_GREETING_LEN, now);
    } else if (start_frames(c, now, &err) == SWK_OK) {
        frames_received(c, first.data, first.len, now);
    } else {
        down(c, &err, now);
    }
    swki_buf_fini(&first);
}

static void on_received(void *ctx, const uint8_t *data, size_t len,
                        swk_time now)
{
    struct swki_rpc_server_connection *c = ctx;

    if (c->doomed) {
        return;
    }
    switch (c->mode) {
    case SWKI_RPC_MODE_SNIFF:
        sniff(c, data, len, now);
        break;
    case SWKI_RPC_MODE_FRAMES:
        frames_received(c, data, len, now);
        break;
    case SWKI_RPC_MODE_REQ:
        swki_rpc_req_received(c, data, len, now);
        break;
    }
    swki_rpc_server_connection_arm(c);
}

static void on_drained(void *ctx, swk_time now)
{
    (void)now;
    swki_rpc_server_mark_dirty(ctx);
}

static void on_failed(void *ctx, const struct swk_error *err, swk_time now)
{
    struct swki_rpc_server_connection *c = ctx;

    if (!c->doomed) {
        down(c, err, now);
    }
}

int swki_rpc_server_connection_new(struct swki_rpc_server *server,
                                   const struct swki_rpc_accepted *accepted,
                                   const struct swk_stream_peer *peer,
                                   swk_time now,
                                   struct swki_rpc_server_connection **out_c,
                                   struct swk_error *err)
{
    const struct swk_alloc *alloc = server->config.alloc;
    struct swki_rpc_server_connection *c = swki_calloc(alloc, 1, sizeof(*c));
    int rc;

    if (c == NULL) {
        return swki_fail_nomem(err);
    }
    c->server = server;
    c->kind = SWKI_RPC_KINDS;
    c->local = accepted->local;
    c->uid = peer->uid;
    c->pid = peer->pid;
    c->mode = c->local ? SWKI_RPC_MODE_SNIFF : SWKI_RPC_MODE_FRAMES;
    c->greet_by = now + server->config.handshake_timeout_ns;
    c->leave_at = SWK_NEVER;
    memcpy(c->address, peer->address, sizeof(c->address));
    swki_list_init(&c->link);
    swki_list_init(&c->gate_link);
    swki_list_init(&c->dirty_link);
    swki_list_init(&c->calls);
    swki_list_init(&c->kind_link);
    swki_list_init(&c->party_link);
    swki_buf_init(&c->in, alloc, SIZE_MAX);
    swki_buf_init(&c->out, alloc, server->config.unsent_max);

    const struct swki_rpc_link_config io = {
        .alloc = alloc,
        .loop = server->config.loop,
        .transport = server->config.transport,
        .context = c->local ? NULL : server->context,
        .events = {c, on_ready, on_received, on_drained, on_failed},
    };
    rc = swki_rpc_link_new(&io, accepted->stream, &c->io, err);
    if (rc != SWK_OK) {
        swki_free(alloc, c);
        return rc;
    }
    *out_c = c;
    return SWK_OK;
}

void swki_rpc_server_connection_free(struct swki_rpc_server_connection *c)
{
    swki_rpc_link_free(c->io);
    swki_rpc_connection_free(c->rpc);
    swki_buf_fini(&c->in);
    swki_buf_fini(&c->out);
    swki_free(c->server->config.alloc, c);
}

/* When to hang up on whoever has not said who it is, or to look again at who
 * has. */
static swk_time patience(const struct swki_rpc_server_connection *c)
{
    bool busy = !swki_list_empty(&c->calls);

    if (!c->greeted) {
        return c->greet_by;
    }
    if (c->local) {
        return SWK_NEVER;
    }
    return !c->identified && !busy && c->quiet_by < c->leave_by ? c->quiet_by
                                                                : c->leave_by;
}

void swki_rpc_server_connection_touch(struct swki_rpc_server_connection *c,
                                      swk_time now)
{
    c->quiet_by = now + c->server->config.stranger_quiet_ns;
    swki_rpc_server_mark_dirty(c); /* to arm its timer */
}

void swki_rpc_server_connection_expire(struct swki_rpc_server_connection *c,
                                       swk_time now)
{
    struct swki_rpc_event event;
    struct swk_error err = {0};
    int rc = 0;

    if (c->greeted && c->identified && now >= c->leave_by && !has_ended(c)) {
        watch_dates(c, now);
    }
    if (now >= patience(c)) {
        swki_fail(&err, SWK_ETIMEDOUT, "%s",
                  !c->greeted     ? "no greeting in time"
                  : c->identified ? "its certificate has ended"
                                  : "a stranger stays too long");
        down(c, &err, now);
        return;
    }
    if (now >= c->leave_at) {
        swki_rpc_server_doom(c);
        return;
    }
    if (c->mode == SWKI_RPC_MODE_REQ) {
        swki_rpc_req_expire(c, now);
    }
    while (c->rpc != NULL && !c->doomed &&
           (rc = swki_rpc_connection_expire(c->rpc, now, &event, &err)) > 0) {
        on_event(c, &event, now);
    }
    if (rc < 0) {
        down(c, &err, now);
    }
    swki_rpc_server_mark_dirty(c);
    swki_rpc_server_connection_arm(c);
}

void swki_rpc_server_connection_flush(struct swki_rpc_server_connection *c)
{
    if (c->mode == SWKI_RPC_MODE_REQ) {
        swki_rpc_link_flush(c->io, &c->out);
    } else if (c->rpc != NULL) {
        swki_rpc_link_flush(c->io, swki_rpc_connection_output(c->rpc));
    }
}

void swki_rpc_server_connection_arm(struct swki_rpc_server_connection *c)
{
    swk_time deadline = SWK_NEVER;

    if (c->doomed) {
        return;
    }
    if (c->mode == SWKI_RPC_MODE_REQ) {
        deadline = swki_rpc_req_deadline(c);
    } else if (c->rpc != NULL) {
        deadline = swki_rpc_connection_deadline(c->rpc);
    }
    if (patience(c) < deadline) {
        deadline = patience(c);
    }
    if (c->leave_at < deadline) {
        deadline = c->leave_at;
    }
    if (deadline == SWK_NEVER) {
        swki_timers_cancel(&c->server->timers, &c->timer);
    } else if (!swki_timers_set(&c->server->timers, &c->timer, deadline)) {
        swki_rpc_server_doom(c);
    }
}
