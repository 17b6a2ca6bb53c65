/* SPDX-License-Identifier: Apache-2.0 */

/* Calls: what the handler sees of them, and what it answers. */

#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "node/rpc/server_internal.h"

enum {
    INFO_LIMIT = 32 * 1024, /* bytes of a call's strings */
};

static bool copy_header(struct swki_rpc_call *call,
                        const struct swki_rpc_header *header)
{
    const struct {
        const char **to;
        const char *from;
    } texts[] = {
        {&call->info.address, call->connection->address},
        {&call->info.path, header->path},
        {&call->info.request_id, header->request_id},
        {&call->info.forwarded_node_id, header->forwarded_node_id},
        {&call->info.forwarded_swarm_id, header->forwarded_swarm_id},
        {&call->info.forwarded_role, header->forwarded_role},
        {&call->info.forwarded_address, header->forwarded_address},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].from == NULL || texts[i].from[0] == '\0') {
            *texts[i].to = "";
            continue;
        }
        *texts[i].to = swki_arena_strdup(&call->arena, texts[i].from);
        if (*texts[i].to == NULL) {
            return false;
        }
    }
    return true;
}

struct swki_rpc_call *
swki_rpc_call_new(struct swki_rpc_server_connection *c,
                  const struct swki_rpc_header *header, swk_time deadline)
{
    const struct swk_alloc *alloc = c->server->config.alloc;
    struct swki_rpc_call *call = swki_calloc(alloc, 1, sizeof(*call));

    if (call == NULL) {
        return NULL;
    }
    swki_arena_init(&call->arena, alloc, INFO_LIMIT);
    swki_buf_init(&call->reply, alloc, c->server->config.unsent_max);
    call->connection = c;
    if (!copy_header(call, header)) {
        swki_arena_fini(&call->arena);
        swki_free(alloc, call);
        return NULL;
    }
    call->server = c->server;
    call->info.connection = c;
    call->info.local = c->local;
    call->info.uid = c->uid;
    call->info.pid = c->pid;
    call->info.identified = c->identified;
    call->info.peer = c->peer;
    call->info.deadline = deadline;
    call->info.unary_only = c->mode == SWKI_RPC_MODE_REQ;
    swki_list_append(&c->calls, &call->link);
    return call;
}

void swki_rpc_call_tell(struct swki_rpc_call *call, const uint8_t *data,
                        size_t len, swk_time now)
{
    const struct swki_rpc_handler *handler = &call->server->config.handler;

    if (!call->told) {
        call->told = true;
        handler->request(handler->ctx, call, data, len, now);
    } else if (handler->message != NULL) {
        handler->message(handler->ctx, call, data, len, now);
    } else {
        swki_rpc_call_end(call, SWKI_STATUS_UNIMPLEMENTED,
                          "more than one request in a call");
    }
}

void swki_rpc_call_close(struct swki_rpc_call *call, swk_time now)
{
    const struct swki_rpc_handler *handler = &call->server->config.handler;

    swki_list_remove(&call->link);
    if (call->connection != NULL && !call->connection->doomed) {
        swki_rpc_server_connection_touch(call->connection, now);
    }
    call->connection = NULL;
    if (call->told) {
        handler->closed(handler->ctx, call, now);
    }
    swki_buf_fini(&call->reply);
    swki_arena_fini(&call->arena);
    swki_free(call->server->config.alloc, call);
}

const struct swki_rpc_call_info *
swki_rpc_call_info(const struct swki_rpc_call *call)
{
    return &call->info;
}

void swki_rpc_call_set_ctx(struct swki_rpc_call *call, void *ctx)
{
    call->ctx = ctx;
}

void *swki_rpc_call_ctx(const struct swki_rpc_call *call)
{
    return call->ctx;
}

/* From here on the handler's words go nowhere; closed() comes in the turn. */
static void leave(struct swki_rpc_call *call)
{
    struct swki_rpc_server *server = call->server;

    swki_rpc_server_connection_touch(call->connection,
                                     swki_loop_now(server->config.loop));
    call->connection = NULL;
    swki_list_remove(&call->link);
    swki_list_append(&server->closing, &call->link);
    swki_loop_wake(server->config.loop);
}

static void send_unary(struct swki_rpc_call *call, const uint8_t *data,
                       size_t len)
{
    if (call->replied || !swki_buf_append(&call->reply, data, len)) {
        swki_rpc_req_reply(call,
                           call->replied ? SWKI_STATUS_UNIMPLEMENTED
                                         : SWKI_STATUS_RESOURCE_EXHAUSTED,
                           call->replied ? "streams need the frame protocol"
                                         : "the reply is too long");
        leave(call);
        return;
    }
    call->replied = true;
}

void swki_rpc_call_send(struct swki_rpc_call *call, const uint8_t *data,
                        size_t len)
{
    struct swki_rpc_server_connection *c = call->connection;
    struct swk_error err = {0};

    if (c == NULL || c->doomed) {
        return;
    }
    if (c->mode == SWKI_RPC_MODE_REQ) {
        send_unary(call, data, len);
        return;
    }
    if (swki_rpc_connection_send(c->rpc, call->stream, data, len, &err) !=
        SWK_OK) {
        swki_rpc_connection_cut(c->rpc, call->stream,
                                SWKI_STATUS_RESOURCE_EXHAUSTED, err.text);
        leave(call);
        return;
    }
    swki_rpc_server_mark_dirty(c);
}

void swki_rpc_call_end(struct swki_rpc_call *call, int status,
                       const char *text)
{
    struct swki_rpc_server_connection *c = call->connection;

    if (c == NULL || c->doomed) {
        return;
    }
    if (c->mode == SWKI_RPC_MODE_REQ) {
        swki_rpc_req_reply(call, status, text == NULL ? "" : text);
    } else {
        swki_rpc_connection_end(c->rpc, call->stream, status,
                                text == NULL ? "" : text);
    }
    leave(call);
}

size_t swki_rpc_call_unsent(const struct swki_rpc_call *call)
{
    const struct swki_rpc_server_connection *c = call->connection;

    return c == NULL || c->rpc == NULL
               ? 0
               : swki_rpc_connection_unsent(c->rpc, call->stream);
}
