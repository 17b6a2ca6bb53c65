/* SPDX-License-Identifier: Apache-2.0 */

#include "wire/rpc_connection.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "swarmkit/rpc.pb-c.h"
#include "wire/message.h"
#include "wire/rpc_stream.h"

enum {
    ARENA_LIMIT = 256 * 1024,
    OUT_HARD = 4 * 1024 * 1024, /* bytes of output after which we give up */
    PING_SECONDS = 15,
    PONG_SECONDS = 10,
};

static const char magic[8] = {'s', 'w', 'a', 'r', 'm', 'r', 'p', 'c'};

static void write_hello(struct swki_rpc_connection *c)
{
    uint8_t payload[SWKI_FRAME_HELLO_LEN];
    const struct swki_frame frame = {
        .type = SWKI_FRAME_HELLO,
        .code = SWKI_RPC_VERSION,
        .payload = payload,
        .payload_len = sizeof(payload),
    };

    memcpy(payload, magic, sizeof(magic));
    swki_frame_put_u32(payload + 8, c->config.window);
    swki_frame_put_u32(payload + 12, (uint32_t)c->config.calls_max);
    swki_frame_write(&c->out, &frame);
}

static void apply_defaults(struct swki_rpc_connection_config *config)
{
    if (config->window == 0) {
        config->window = SWKI_RPC_WINDOW;
    }
    if (config->calls_max == 0 || config->calls_max > UINT32_MAX) {
        config->calls_max = SWKI_RPC_CALLS_MAX;
    }
    if (config->message_max == 0) {
        config->message_max = config->side == SWKI_RPC_SERVER
                                  ? SWKI_RPC_REQUEST_MAX
                                  : SIZE_MAX;
    }
    if (config->unsent_max == 0) {
        config->unsent_max = SWKI_RPC_UNSENT_MAX;
    }
    if (config->parts_max == 0) {
        config->parts_max = config->side == SWKI_RPC_SERVER
                                ? SWKI_RPC_PARTS_MAX
                                : SIZE_MAX;
    }
    if (config->ping_ns == 0) {
        config->ping_ns = PING_SECONDS * SWK_SECOND;
    }
    if (config->pong_ns == 0) {
        config->pong_ns = PONG_SECONDS * SWK_SECOND;
    }
}

int swki_rpc_connection_new(const struct swki_rpc_connection_config *config,
                            swk_time now,
                            struct swki_rpc_connection **out_connection,
                            struct swk_error *err)
{
    struct swki_rpc_connection *c = swki_calloc(config->alloc, 1, sizeof(*c));

    if (c == NULL) {
        return swki_fail_nomem(err);
    }
    c->config = *config;
    apply_defaults(&c->config);
    swki_frame_parser_init(&c->parser, config->alloc);
    swki_timers_init(&c->timers, config->alloc);
    swki_arena_init(&c->arena, config->alloc, ARENA_LIMIT);
    swki_buf_init(&c->out, config->alloc, SIZE_MAX);
    c->heard = now;
    write_hello(c);
    if (c->out.failed) {
        swki_rpc_connection_free(c);
        return swki_fail_nomem(err);
    }
    *out_connection = c;
    return SWK_OK;
}

void swki_rpc_connection_free(struct swki_rpc_connection *c)
{
    if (c == NULL) {
        return;
    }
    while (c->streams_count > 0) {
        swki_rpc_stream_remove(c, c->streams[c->streams_count - 1]);
    }
    swki_free(c->config.alloc, c->streams);
    swki_buf_fini(&c->out);
    swki_arena_fini(&c->arena);
    swki_timers_fini(&c->timers);
    swki_frame_parser_fini(&c->parser);
    swki_free(c->config.alloc, c);
}

static int broken(struct swk_error *err, const char *what)
{
    return swki_fail(err, SWK_EMALFORMED, "protocol broken by the peer: %s",
                     what);
}

static int event_for(struct swki_rpc_event *event,
                     enum swki_rpc_event_kind kind,
                     const struct swki_rpc_stream *s)
{
    *event = (struct swki_rpc_event){
        .kind = kind,
        .stream = s == NULL ? 0 : s->id,
        .owner = s == NULL ? NULL : s->owner,
        .deadline = SWK_NEVER,
        .text = "",
    };
    return 1;
}

/* Removes a stream and tells its owner, if it still listens. */
static int end_stream(struct swki_rpc_connection *c, struct swki_rpc_stream *s,
                      int status, const char *text,
                      struct swki_rpc_event *event)
{
    bool tell = !s->abandoned;

    event_for(event, SWKI_RPC_ENDED, s);
    event->status = status;
    event->text = text;
    swki_rpc_stream_remove(c, s);
    return tell ? 1 : 0;
}

/* -- Frames ---------------------------------------------------------------- */

static int on_hello(struct swki_rpc_connection *c,
                    const struct swki_frame *frame,
                    struct swki_rpc_event *event, struct swk_error *err)
{
    if (memcmp(frame->payload, magic, sizeof(magic)) != 0) {
        return broken(err, "no greeting of this protocol");
    }
    if (frame->code != SWKI_RPC_VERSION) {
        return swki_fail(err, SWK_ENOTSUP,
                         "the peer speaks version %u of the protocol, not %u",
                         frame->code, SWKI_RPC_VERSION);
    }
    c->peer_window = swki_frame_get_u32(frame->payload + 8);
    c->peer_calls = swki_frame_get_u32(frame->payload + 12);
    if (c->peer_window == 0 || c->peer_window > INT32_MAX) {
        return broken(err, "window out of range");
    }
    for (size_t i = 0; i < c->streams_count; i++) {
        c->streams[i]->grant = c->peer_window;
    }
    return event_for(event, SWKI_RPC_READY, NULL);
}

static bool forwarded_valid(const Swkpb__Rpc__ForwardedIdentity *f)
{
    return f == NULL || (strlen(f->node_id) <= SWKI_RPC_NAME_MAX &&
                         strlen(f->swarm_id) <= SWKI_RPC_NAME_MAX &&
                         strlen(f->role) <= SWKI_RPC_NAME_MAX &&
                         strlen(f->remote_address) <= SWKI_RPC_NAME_MAX);
}

/* What is kept of a header while its call is open: many may be. */
static bool header_valid(const Swkpb__Rpc__CallHeader *h)
{
    size_t path_len = strlen(h->method);

    return path_len > 0 && path_len <= SWKI_RPC_PATH_MAX &&
           h->method[0] == '/' &&
           strlen(h->request_id) <= SWKI_RPC_REQUEST_ID_MAX &&
           forwarded_valid(h->forwarded);
}

static void read_header(struct swki_rpc_connection *c,
                        const Swkpb__Rpc__CallHeader *h)
{
    const Swkpb__Rpc__ForwardedIdentity *f = h->forwarded;

    c->header = (struct swki_rpc_header){
        .path = h->method,
        .request_id = h->request_id,
        .timeout_ns = h->timeout_ns,
        .forwarded_node_id = f == NULL ? "" : f->node_id,
        .forwarded_swarm_id = f == NULL ? "" : f->swarm_id,
        .forwarded_role = f == NULL ? "" : f->role,
        .forwarded_address = f == NULL ? "" : f->remote_address,
    };
}

static swk_time deadline_of(swk_time now, uint64_t timeout_ns)
{
    if (timeout_ns == 0 || timeout_ns >= SWK_NEVER - now) {
        return SWK_NEVER;
    }
    return now + timeout_ns;
}

static int on_call(struct swki_rpc_connection *c, swk_time now,
                   const struct swki_frame *frame, struct swki_rpc_event *event,
                   struct swk_error *err)
{
    ProtobufCMessage *message;
    struct swki_rpc_stream *s;
    swk_time deadline;

    if (c->config.side != SWKI_RPC_SERVER || frame->stream <= c->last_stream) {
        return broken(err, "a call out of order");
    }
    if (swki_message_unpack(&swkpb__rpc__call_header__descriptor,
                            frame->payload, frame->payload_len, &c->arena,
                            &message, err) != SWK_OK ||
        !header_valid((const Swkpb__Rpc__CallHeader *)message)) {
        return broken(err, "a call without a valid header");
    }
    c->last_stream = frame->stream;
    if (c->going) {
        return 0; /* GOAWAY has told the client that it is not served */
    }
    if (c->streams_count >= c->config.calls_max) {
        swki_rpc_write_status(c, frame->stream, SWKI_STATUS_RESOURCE_EXHAUSTED,
                              "too many calls at a time");
        return 0;
    }
    read_header(c, (const Swkpb__Rpc__CallHeader *)message);
    deadline = deadline_of(now, c->header.timeout_ns);
    s = swki_rpc_stream_add(c, frame->stream, deadline);
    if (s == NULL) {
        return swki_fail_nomem(err);
    }
    event_for(event, SWKI_RPC_CALL, s);
    event->header = &c->header;
    event->deadline = deadline;
    return 1;
}

/* The call cannot go on; both sides are told. */
static int give_up(struct swki_rpc_connection *c, struct swki_rpc_stream *s,
                   int status, const char *text, struct swki_rpc_event *event)
{
    if (c->config.side == SWKI_RPC_SERVER) {
        swki_rpc_write_status(c, s->id, status, text);
    } else {
        const struct swki_frame frame = {
            .stream = s->id,
            .type = SWKI_FRAME_RESET,
            .code = SWKI_STATUS_CANCELLED,
        };
        swki_frame_write(&c->out, &frame);
    }
    return end_stream(c, s, status, text, event);
}

/* Many calls, each with a message that never ends, must not fill the memory. */
static bool keep_part(struct swki_rpc_connection *c, struct swki_rpc_stream *s,
                      const struct swki_frame *frame)
{
    if (frame->payload_len > c->config.parts_max - c->parts ||
        !swki_buf_append(&s->message, frame->payload, frame->payload_len)) {
        return false;
    }
    c->parts += frame->payload_len;
    return true;
}

static int on_data(struct swki_rpc_connection *c, struct swki_rpc_stream *s,
                   const struct swki_frame *frame, struct swki_rpc_event *event,
                   struct swk_error *err)
{
    bool whole = (frame->flags & SWKI_FRAME_MORE) == 0;

    if (s->remote_ended) {
        return broken(err, "a message after the end");
    }
    s->received += frame->payload_len;
    if (s->received - s->credited > c->config.window) {
        return broken(err, "more bytes than granted");
    }
    if (s->abandoned) {
        swki_rpc_stream_credit(c, s);
        return 0;
    }
    if (whole && s->message.len == 0) {
        event_for(event, SWKI_RPC_MESSAGE, s);
        event->data = frame->payload;
        event->len = frame->payload_len;
        s->held += event->len;
        if (event->len <= c->config.message_max) {
            return 1;
        }
    }
    if (!keep_part(c, s, frame)) {
        return give_up(c, s, SWKI_STATUS_RESOURCE_EXHAUSTED,
                       "message over the receiver's limit", event);
    }
    if (!whole) {
        swki_rpc_stream_credit(c, s);
        return 0;
    }
    event_for(event, SWKI_RPC_MESSAGE, s);
    event->data = s->message.data;
    event->len = s->message.len;
    s->held += event->len;
    c->delivered = s->id;
    return 1;
}

static int on_end(struct swki_rpc_connection *c, struct swki_rpc_stream *s,
                  const struct swki_frame *frame, struct swki_rpc_event *event,
                  struct swk_error *err)
{
    ProtobufCMessage *message;
    const Swkpb__Rpc__Status *status;

    if (c->config.side == SWKI_RPC_SERVER) {
        if (s->remote_ended || s->message.len > 0) {
            return broken(err, "an end out of order");
        }
        s->remote_ended = true;
        event_for(event, SWKI_RPC_FINISHED, s);
        return s->abandoned ? 0 : 1;
    }
    if (swki_message_unpack(&swkpb__rpc__status__descriptor, frame->payload,
                            frame->payload_len, &c->arena, &message,
                            err) != SWK_OK) {
        return broken(err, "an end without a valid status");
    }
    status = (const Swkpb__Rpc__Status *)message;
    if (status->code == SWKI_STATUS_OK && s->message.len > 0) {
        return end_stream(c, s, SWKI_STATUS_DATA_LOSS,
                          "the last message is incomplete", event);
    }
    return end_stream(c, s, status->code, status->message, event);
}

static int on_window(struct swki_rpc_stream *s, const struct swki_frame *frame,
                     struct swk_error *err)
{
    s->grant += swki_frame_get_u32(frame->payload);
    if (s->grant > INT32_MAX) {
        return broken(err, "window out of range");
    }
    return 0;
}

static int on_call_frame(struct swki_rpc_connection *c,
                         const struct swki_frame *frame,
                         struct swki_rpc_event *event, struct swk_error *err)
{
    struct swki_rpc_stream *s = swki_rpc_stream_find(c, frame->stream);

    if (s == NULL) {
        /* Frames may have crossed the end of their call. */
        return frame->stream <= c->last_stream
                   ? 0
                   : broken(err, "a call that was never opened");
    }
    switch (frame->type) {
    case SWKI_FRAME_DATA:
        return on_data(c, s, frame, event, err);
    case SWKI_FRAME_END:
        return on_end(c, s, frame, event, err);
    case SWKI_FRAME_WINDOW:
        return on_window(s, frame, err);
    default: /* RESET */
        return end_stream(c, s,
                          frame->code == 0 ? SWKI_STATUS_CANCELLED
                                           : frame->code,
                          "the call was cancelled by the other side", event);
    }
}

static int on_ping(struct swki_rpc_connection *c,
                   const struct swki_frame *frame)
{
    struct swki_frame pong = *frame;

    pong.type = SWKI_FRAME_PONG;
    pong.code = 0;
    swki_frame_write(&c->out, &pong);
    return 0;
}

static int on_frame(struct swki_rpc_connection *c, swk_time now,
                    const struct swki_frame *frame,
                    struct swki_rpc_event *event, struct swk_error *err)
{
    if ((frame->type == SWKI_FRAME_HELLO) != (c->peer_window == 0)) {
        return broken(err, "greeting out of order");
    }
    switch ((enum swki_frame_type)frame->type) {
    case SWKI_FRAME_HELLO:
        return on_hello(c, frame, event, err);
    case SWKI_FRAME_CALL:
        return on_call(c, now, frame, event, err);
    case SWKI_FRAME_PING:
        return on_ping(c, frame);
    case SWKI_FRAME_PONG:
        return 0;
    case SWKI_FRAME_GOAWAY:
        if (c->config.side != SWKI_RPC_CLIENT || c->going) {
            return broken(err, "a farewell out of order");
        }
        c->going = true;
        c->going_last = swki_frame_get_u32(frame->payload);
        return event_for(event, SWKI_RPC_GOAWAY, NULL);
    case SWKI_FRAME_DATA:
    case SWKI_FRAME_END:
    case SWKI_FRAME_RESET:
    case SWKI_FRAME_WINDOW:
        return on_call_frame(c, frame, event, err);
    }
    return broken(err, "unknown frame");
}

/* Releases what the last event lent out. */
static void reclaim(struct swki_rpc_connection *c)
{
    if (c->delivered != 0) {
        struct swki_rpc_stream *s = swki_rpc_stream_find(c, c->delivered);

        c->delivered = 0;
        if (s != NULL) {
            swki_rpc_stream_drop_message(c, s);
        }
    }
    swki_arena_reset(&c->arena);
}

/* Calls that the server has not begun may be repeated elsewhere. */
static int unserved(struct swki_rpc_connection *c, struct swki_rpc_event *event)
{
    struct swki_rpc_stream *s;

    while (c->going && c->config.side == SWKI_RPC_CLIENT &&
           c->streams_count > 0) {
        s = c->streams[c->streams_count - 1];
        if (s->id <= c->going_last) {
            break;
        }
        if (end_stream(c, s, SWKI_STATUS_UNAVAILABLE,
                       "the server is going away", event) == 1) {
            return 1;
        }
    }
    return 0;
}

int swki_rpc_connection_step(struct swki_rpc_connection *c, swk_time now,
                             const uint8_t **data, size_t *len,
                             struct swki_rpc_event *out_event,
                             struct swk_error *err)
{
    struct swki_frame frame;
    int rc;

    reclaim(c);
    if (*len > 0) {
        c->heard = now;
        c->pinged = false;
    }
    rc = unserved(c, out_event);
    while (rc == 0) {
        if (c->out.len > OUT_HARD) {
            return swki_fail(err, SWK_ELIMIT,
                             "the peer asks but does not read");
        }
        rc = swki_frame_parse(&c->parser, data, len, &frame, err);
        if (rc <= 0) {
            break;
        }
        rc = on_frame(c, now, &frame, out_event, err);
    }
    if (rc >= 0 && c->out.failed) {
        return swki_fail_nomem(err);
    }
    return rc;
}

/* -- Time ------------------------------------------------------------------ */

static swk_time silence_deadline(const struct swki_rpc_connection *c)
{
    return c->heard + c->config.ping_ns +
           (c->pinged ? c->config.pong_ns : 0);
}

swk_time swki_rpc_connection_deadline(const struct swki_rpc_connection *c)
{
    swk_time first = swki_timers_deadline(&c->timers);
    swk_time silence = silence_deadline(c);

    return first < silence ? first : silence;
}

int swki_rpc_connection_expire(struct swki_rpc_connection *c, swk_time now,
                               struct swki_rpc_event *out_event,
                               struct swk_error *err)
{
    static const uint8_t nothing[8] = {0};
    const struct swki_frame ping = {
        .type = SWKI_FRAME_PING,
        .payload = nothing,
        .payload_len = sizeof(nothing),
    };
    struct swki_timer *timer;

    reclaim(c);
    while ((timer = swki_timers_expire(&c->timers, now)) != NULL) {
        struct swki_rpc_stream *s =
            SWKI_CONTAINER(timer, struct swki_rpc_stream, timer);

        if (give_up(c, s, SWKI_STATUS_DEADLINE_EXCEEDED, "the deadline passed",
                    out_event) == 1) {
            return 1;
        }
    }
    if (now < silence_deadline(c)) {
        return 0;
    }
    if (c->pinged) {
        return swki_fail(err, SWK_ETIMEDOUT, "the peer does not answer");
    }
    c->pinged = true;
    /* A long stop of this side is not the peer's silence. */
    c->heard = now - c->config.ping_ns;
    swki_frame_write(&c->out, &ping);
    return 0;
}

bool swki_rpc_connection_abandon(struct swki_rpc_connection *c,
                                 const char *text,
                                 struct swki_rpc_event *out_event)
{
    reclaim(c);
    while (c->streams_count > 0) {
        if (end_stream(c, c->streams[0], SWKI_STATUS_UNAVAILABLE, text,
                       out_event) == 1) {
            return true;
        }
    }
    return false;
}

/* -- Sending --------------------------------------------------------------- */

struct swki_buf *swki_rpc_connection_output(struct swki_rpc_connection *c)
{
    swki_rpc_streams_pump(c);
    return &c->out;
}

/* protobuf-c's strings are not const. */
static char *text_of(const char *text)
{
    return (char *)(uintptr_t)(text == NULL ? "" : text);
}

static int write_call(struct swki_rpc_connection *c, uint32_t id,
                      const struct swki_rpc_header *header,
                      struct swk_error *err)
{
    Swkpb__Rpc__CallHeader message;
    Swkpb__Rpc__ForwardedIdentity forwarded;
    struct swki_buf payload;
    int rc;

    swkpb__rpc__call_header__init(&message);
    message.method = text_of(header->path);
    message.request_id = text_of(header->request_id);
    message.timeout_ns = header->timeout_ns;
    if (text_of(header->forwarded_node_id)[0] != '\0' ||
        text_of(header->forwarded_address)[0] != '\0') {
        swkpb__rpc__forwarded_identity__init(&forwarded);
        forwarded.node_id = text_of(header->forwarded_node_id);
        forwarded.swarm_id = text_of(header->forwarded_swarm_id);
        forwarded.role = text_of(header->forwarded_role);
        forwarded.remote_address = text_of(header->forwarded_address);
        message.forwarded = &forwarded;
    }
    if (!header_valid(&message)) {
        return swki_fail(err, SWK_EINVAL, "invalid method or request ID");
    }
    swki_buf_init(&payload, c->config.alloc, SWKI_FRAME_CALL_MAX);
    rc = swki_message_pack(&message.base, &payload, err);
    if (rc == SWK_OK) {
        const struct swki_frame frame = {
            .stream = id,
            .type = SWKI_FRAME_CALL,
            .payload = payload.data,
            .payload_len = (uint32_t)payload.len,
        };
        rc = swki_frame_write(&c->out, &frame) ? SWK_OK : swki_fail_nomem(err);
    }
    swki_buf_fini(&payload);
    return rc;
}

int swki_rpc_connection_open(struct swki_rpc_connection *c, swk_time now,
                             const struct swki_rpc_header *header, void *owner,
                             uint32_t *out_stream, struct swk_error *err)
{
    size_t calls_max =
        c->peer_window == 0 ? c->config.calls_max : c->peer_calls;
    struct swki_rpc_stream *s;
    int rc;

    if (c->config.side != SWKI_RPC_CLIENT) {
        return swki_fail(err, SWK_EINVAL, "only clients open calls");
    }
    if (c->going || c->last_stream == UINT32_MAX) {
        return swki_fail(err, SWK_EUNAVAILABLE, "the server is going away");
    }
    if (c->streams_count >= calls_max) {
        return swki_fail(err, SWK_ELIMIT, "too many calls at a time");
    }
    s = swki_rpc_stream_add(c, c->last_stream + 1,
                            deadline_of(now, header->timeout_ns));
    if (s == NULL) {
        return swki_fail_nomem(err);
    }
    rc = write_call(c, s->id, header, err);
    if (rc != SWK_OK) {
        swki_rpc_stream_remove(c, s);
        return rc;
    }
    s->owner = owner;
    c->last_stream = s->id;
    *out_stream = s->id;
    return SWK_OK;
}

void swki_rpc_connection_set_owner(struct swki_rpc_connection *c,
                                   uint32_t stream, void *owner)
{
    struct swki_rpc_stream *s = swki_rpc_stream_find(c, stream);

    if (s != NULL) {
        s->owner = owner;
    }
}

int swki_rpc_connection_send(struct swki_rpc_connection *c, uint32_t stream,
                             const void *data, size_t len,
                             struct swk_error *err)
{
    struct swki_rpc_stream *s = swki_rpc_stream_find(c, stream);

    if (s == NULL || s->end_due || s->local_ended) {
        return swki_fail(err, SWK_ENOTFOUND, "the call is over");
    }
    if (c->unsent > 0 && (c->unsent > c->config.unsent_max ||
                          len > c->config.unsent_max - c->unsent)) {
        return swki_fail(err, SWK_ELIMIT,
                         "the peer leaves too many bytes unread");
    }
    return swki_rpc_stream_queue(c, s, data, len) ? SWK_OK
                                                  : swki_fail_nomem(err);
}

/* END once the messages are out. */
static void end_later(struct swki_rpc_connection *c, struct swki_rpc_stream *s,
                      int status, const char *text)
{
    if (s->first != NULL) {
        s->end_due = true;
        s->end_status = status;
        s->end_text = swki_strdup(c->config.alloc, text);
        return;
    }
    s->local_ended = true;
    swki_rpc_write_status(c, s->id, status, text);
}

void swki_rpc_connection_finish(struct swki_rpc_connection *c, uint32_t stream)
{
    struct swki_rpc_stream *s = swki_rpc_stream_find(c, stream);

    if (s != NULL && !s->end_due && !s->local_ended &&
        c->config.side == SWKI_RPC_CLIENT) {
        end_later(c, s, SWKI_STATUS_OK, "");
    }
}

void swki_rpc_connection_end(struct swki_rpc_connection *c, uint32_t stream,
                             int status, const char *text)
{
    struct swki_rpc_stream *s = swki_rpc_stream_find(c, stream);

    if (s == NULL || s->abandoned || c->config.side != SWKI_RPC_SERVER) {
        return;
    }
    s->abandoned = true;
    s->owner = NULL;
    end_later(c, s, status, text);
    if (s->local_ended) {
        swki_rpc_stream_remove(c, s);
    }
}

void swki_rpc_connection_cut(struct swki_rpc_connection *c, uint32_t stream,
                             int status, const char *text)
{
    struct swki_rpc_stream *s = swki_rpc_stream_find(c, stream);

    if (s != NULL) {
        swki_rpc_stream_drop_pending(c, s);
        swki_rpc_connection_end(c, stream, status, text);
    }
}

void swki_rpc_connection_reset(struct swki_rpc_connection *c, uint32_t stream)
{
    struct swki_rpc_stream *s = swki_rpc_stream_find(c, stream);
    struct swki_rpc_event event;

    if (s != NULL && c->config.side == SWKI_RPC_CLIENT) {
        give_up(c, s, SWKI_STATUS_CANCELLED, "", &event);
    }
}

void swki_rpc_connection_consumed(struct swki_rpc_connection *c,
                                  uint32_t stream, size_t len)
{
    struct swki_rpc_stream *s = swki_rpc_stream_find(c, stream);

    if (c->delivered == stream) {
        reclaim(c);
    }
    if (s != NULL) {
        s->held -= len < s->held ? len : s->held;
        swki_rpc_stream_credit(c, s);
    }
}

size_t swki_rpc_connection_unsent(const struct swki_rpc_connection *c,
                                  uint32_t stream)
{
    const struct swki_rpc_stream *s = swki_rpc_stream_find(c, stream);

    return s == NULL ? 0 : s->pending_len;
}

void swki_rpc_connection_goaway(struct swki_rpc_connection *c)
{
    uint8_t payload[4];
    const struct swki_frame frame = {
        .type = SWKI_FRAME_GOAWAY,
        .payload = payload,
        .payload_len = sizeof(payload),
    };

    if (c->going || c->config.side != SWKI_RPC_SERVER) {
        return;
    }
    c->going = true;
    swki_frame_put_u32(payload, c->last_stream);
    swki_frame_write(&c->out, &frame);
}

size_t swki_rpc_connection_calls(const struct swki_rpc_connection *c)
{
    return c->streams_count;
}
