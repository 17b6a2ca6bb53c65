/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Stock nng REQ clients on the control socket.
 *
 * Each side greets with 8 bytes that name its protocol; then each message is
 * the byte 1, a length of 8 bytes (most significant first) and a body. A body
 * begins with request IDs, words of 4 bytes of which the last one has its top
 * bit set; they are returned before the reply.
 */

#include <string.h>

#include "base/alloc.h"
#include "node/rpc/server_internal.h"
#include "swarmkit/rpc.pb-c.h"
#include "wire/message.h"

enum {
    MESSAGE_HEADER_LEN = 9,
    CALLS_MAX = 64,           /* of one connection, at a time */
    EXTRA_MAX = 4 * 1024,     /* bytes of a body beside the request */
};

static const uint8_t greeting[SWKI_REQ_GREETING_LEN] = {0, 'S',  'P', 0,
                                                        0, 0x30, 0,   0};
static const uint8_t answer[SWKI_REQ_GREETING_LEN] = {0, 'S',  'P', 0,
                                                      0, 0x31, 0,   0};

bool swki_rpc_req_greeting(const uint8_t *data, size_t len)
{
    return len >= sizeof(greeting) &&
           memcmp(data, greeting, sizeof(greeting)) == 0;
}

void swki_rpc_req_start(struct swki_rpc_server_connection *c)
{
    if (!swki_buf_append(&c->out, answer, sizeof(answer))) {
        swki_rpc_server_doom(c);
    }
    swki_rpc_server_mark_dirty(c);
}

/* Appends one message of the wire: header, request IDs, response. */
static void write_reply(struct swki_rpc_server_connection *c,
                        const uint8_t *ids, size_t ids_len,
                        const Swkpb__Rpc__LocalResponse *response)
{
    uint64_t len = ids_len + swki_message_packed_size(&response->base);
    uint8_t header[MESSAGE_HEADER_LEN] = {1};

    for (int i = 0; i < 8; i++) {
        header[1 + i] = (uint8_t)(len >> (8 * (7 - i)));
    }
    swki_buf_append(&c->out, header, sizeof(header));
    swki_buf_append(&c->out, ids, ids_len);
    if (swki_message_pack(&response->base, &c->out, NULL) != SWK_OK ||
        c->out.failed) {
        swki_rpc_server_doom(c); /* half a message cannot be taken back */
        return;
    }
    swki_rpc_server_mark_dirty(c);
}

static void refuse(struct swki_rpc_server_connection *c, const uint8_t *ids,
                   size_t ids_len, int status, const char *text)
{
    Swkpb__Rpc__LocalResponse response;

    swkpb__rpc__local_response__init(&response);
    response.code = status;
    response.message = (char *)(uintptr_t)text; /* only read */
    write_reply(c, ids, ids_len, &response);
}

void swki_rpc_req_reply(struct swki_rpc_call *call, int status,
                        const char *text)
{
    Swkpb__Rpc__LocalResponse response;

    swkpb__rpc__local_response__init(&response);
    response.code = status;
    response.message = (char *)(uintptr_t)text; /* only read */
    if (status == SWKI_STATUS_OK) {
        response.response.data = call->reply.data;
        response.response.len = call->reply.len;
    }
    write_reply(call->connection, call->req_header, call->req_header_len,
                &response);
}

/* Bytes of request IDs at the front of a body; 0 if they are not in order. */
static size_t ids_of(const uint8_t *body, size_t len)
{
    for (size_t n = 4; n <= len && n <= SWKI_REQ_HEADER_MAX; n += 4) {
        if ((body[n - 4] & 0x80) != 0) {
            return n;
        }
    }
    return 0;
}

/* A client repeats a request that is not answered yet. */
static bool repeated(const struct swki_rpc_server_connection *c,
                     const uint8_t *ids, size_t ids_len, size_t *out_count)
{
    bool found = false;

    *out_count = 0;
    for (const struct swki_link *link = c->calls.next; link != &c->calls;
         link = link->next) {
        const struct swki_rpc_call *call =
            SWKI_CONTAINER(link, struct swki_rpc_call, link);

        found |= call->req_header_len == ids_len &&
                 memcmp(call->req_header, ids, ids_len) == 0;
        (*out_count)++;
    }
    return found;
}

static void begin_call(struct swki_rpc_server_connection *c,
                       const Swkpb__Rpc__LocalRequest *request,
                       const uint8_t *ids, size_t ids_len, swk_time now)
{
    const struct swki_rpc_handler *handler = &c->server->config.handler;
    const struct swki_rpc_header header = {
        .path = request->method,
        .request_id = request->request_id,
    };
    swk_time deadline =
        request->timeout_ns == 0 || request->timeout_ns >= SWK_NEVER - now
            ? SWK_NEVER
            : now + request->timeout_ns;
    struct swki_rpc_call *call = swki_rpc_call_new(c, &header, deadline);

    if (call == NULL) {
        refuse(c, ids, ids_len, SWKI_STATUS_RESOURCE_EXHAUSTED,
               "the server is out of memory");
        return;
    }
    memcpy(call->req_header, ids, ids_len);
    call->req_header_len = ids_len;
    swki_rpc_call_tell(call, request->request.data, request->request.len, now);
    if (handler->finished != NULL && call->connection != NULL) {
        handler->finished(handler->ctx, call, now);
    }
}

static void on_body(struct swki_rpc_server_connection *c, const uint8_t *body,
                    size_t len, swk_time now)
{
    size_t ids_len = ids_of(body, len);
    ProtobufCMessage *message;
    const Swkpb__Rpc__LocalRequest *request;
    struct swki_arena arena;
    size_t count;

    if (ids_len == 0) {
        swki_rpc_server_doom(c);
        return;
    }
    if (repeated(c, body, ids_len, &count)) {
        return;
    }
    if (count >= CALLS_MAX) {
        refuse(c, body, ids_len, SWKI_STATUS_RESOURCE_EXHAUSTED,
               "too many calls at a time");
        return;
    }
    swki_arena_init(&arena, c->server->config.alloc,
                    swki_message_memory_max(len));
    if (swki_message_unpack(&swkpb__rpc__local_request__descriptor,
                            body + ids_len, len - ids_len, &arena, &message,
                            NULL) != SWK_OK) {
        refuse(c, body, ids_len, SWKI_STATUS_INVALID_ARGUMENT,
               "not a swarmkit.v1.LocalRequest");
    } else {
        request = (const Swkpb__Rpc__LocalRequest *)message;
        begin_call(c, request, body, ids_len, now);
    }
    swki_arena_fini(&arena);
}

void swki_rpc_req_received(struct swki_rpc_server_connection *c,
                           const uint8_t *data, size_t len, swk_time now)
{
    size_t body_max = c->server->config.request_max + EXTRA_MAX;
    size_t at = 0;

    if (!swki_buf_append(&c->in, data, len)) {
        swki_rpc_server_doom(c);
        return;
    }
    while (!c->doomed && c->in.len - at >= MESSAGE_HEADER_LEN) {
        const uint8_t *header = c->in.data + at;
        uint64_t body_len = 0;

        for (int i = 0; i < 8; i++) {
            body_len = body_len << 8 | header[1 + i];
        }
        if (header[0] != 1 || body_len > body_max) {
            swki_rpc_server_doom(c);
            return;
        }
        if (c->in.len - at - MESSAGE_HEADER_LEN < body_len) {
            break;
        }
        on_body(c, header + MESSAGE_HEADER_LEN, (size_t)body_len, now);
        at += MESSAGE_HEADER_LEN + (size_t)body_len;
    }
    swki_buf_consume(&c->in, at);
}

swk_time swki_rpc_req_deadline(const struct swki_rpc_server_connection *c)
{
    swk_time first = SWK_NEVER;

    for (const struct swki_link *link = c->calls.next; link != &c->calls;
         link = link->next) {
        const struct swki_rpc_call *call =
            SWKI_CONTAINER(link, struct swki_rpc_call, link);

        first = call->info.deadline < first ? call->info.deadline : first;
    }
    return first;
}

void swki_rpc_req_expire(struct swki_rpc_server_connection *c, swk_time now)
{
    struct swki_link *next;

    for (struct swki_link *link = c->calls.next; link != &c->calls;
         link = next) {
        struct swki_rpc_call *call =
            SWKI_CONTAINER(link, struct swki_rpc_call, link);

        next = link->next;
        if (call->info.deadline <= now) {
            swki_rpc_call_end(call, SWKI_STATUS_DEADLINE_EXCEEDED,
                              "the deadline passed");
        }
    }
}
