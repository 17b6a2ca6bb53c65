/* SPDX-License-Identifier: Apache-2.0 */

/* The calls of a connection: their table, what they send, and credit. */

#include "wire/rpc_stream.h"

#include <string.h>

#include "base/utf8.h"
#include "base/alloc.h"
#include "swarmkit/rpc.pb-c.h"
#include "wire/message.h"

enum {
    OUT_FULL = 256 * 1024, /* bytes of output above which messages wait */
    STATUS_TEXT_MAX = 4 * 1024,
    FIRST_STREAMS = 8,
};

/* Where the stream is, or belongs. */
static size_t place_of(const struct swki_rpc_connection *c, uint32_t id)
{
    size_t low = 0;
    size_t high = c->streams_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (c->streams[middle]->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct swki_rpc_stream *
swki_rpc_stream_find(const struct swki_rpc_connection *c, uint32_t id)
{
    size_t i = place_of(c, id);

    return i < c->streams_count && c->streams[i]->id == id ? c->streams[i]
                                                           : NULL;
}

struct swki_rpc_stream *swki_rpc_stream_add(struct swki_rpc_connection *c,
                                            uint32_t id, swk_time deadline)
{
    struct swki_rpc_stream *s;

    if (c->streams_count == c->streams_size) {
        size_t size = c->streams_size > 0 ? c->streams_size * 2 : FIRST_STREAMS;
        void *streams = swki_realloc(c->config.alloc, c->streams, size,
                                     sizeof(c->streams[0]));

        if (streams == NULL) {
            return NULL;
        }
        c->streams = streams;
        c->streams_size = size;
    }
    s = swki_calloc(c->config.alloc, 1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    if (deadline != SWK_NEVER &&
        !swki_timers_set(&c->timers, &s->timer, deadline)) {
        swki_free(c->config.alloc, s);
        return NULL;
    }
    s->id = id;
    s->grant = c->peer_window;
    swki_buf_init(&s->message, c->config.alloc, c->config.message_max);
    c->streams[c->streams_count++] = s; /* numbers only grow */
    return s;
}

void swki_rpc_stream_drop_pending(struct swki_rpc_connection *c,
                                  struct swki_rpc_stream *s)
{
    if (s->first != NULL) {
        c->busy--;
    }
    while (s->first != NULL) {
        struct swki_rpc_pending *next = s->first->next;

        swki_free(c->config.alloc, s->first);
        s->first = next;
    }
    s->last = NULL;
    c->unsent -= s->pending_len;
    s->pending_len = 0;
}

void swki_rpc_stream_drop_message(struct swki_rpc_connection *c,
                                  struct swki_rpc_stream *s)
{
    c->parts -= s->message.len;
    swki_buf_fini(&s->message);
}

void swki_rpc_stream_remove(struct swki_rpc_connection *c,
                            struct swki_rpc_stream *s)
{
    size_t i = place_of(c, s->id);

    swki_rpc_stream_drop_pending(c, s);
    swki_timers_cancel(&c->timers, &s->timer);
    c->streams_count--;
    memmove(&c->streams[i], &c->streams[i + 1],
            (c->streams_count - i) * sizeof(c->streams[0]));
    swki_rpc_stream_drop_message(c, s);
    swki_free(c->config.alloc, s->end_text);
    swki_free(c->config.alloc, s);
}

bool swki_rpc_stream_queue(struct swki_rpc_connection *c,
                           struct swki_rpc_stream *s, const void *data,
                           size_t len)
{
    struct swki_rpc_pending *p;

    if (len > SIZE_MAX - sizeof(*p)) {
        return false;
    }
    p = swki_alloc(c->config.alloc, sizeof(*p) + len);
    if (p == NULL) {
        return false;
    }
    *p = (struct swki_rpc_pending){.len = len};
    if (len > 0) {
        memcpy(p->data, data, len);
    }
    if (s->first == NULL) {
        s->first = p;
        c->busy++;
    } else {
        s->last->next = p;
    }
    s->last = p;
    s->pending_len += len;
    c->unsent += len;
    return true;
}

void swki_rpc_write_status(struct swki_rpc_connection *c, uint32_t id,
                           int status, const char *text)
{
    Swkpb__Rpc__Status message;
    char cut[STATUS_TEXT_MAX];
    uint8_t payload[STATUS_TEXT_MAX + 32];
    size_t len = 0;

    if (status != SWKI_STATUS_OK) {
        swkpb__rpc__status__init(&message);
        strncpy(cut, text, sizeof(cut) - 1);
        cut[sizeof(cut) - 1] = '\0';
        swki_utf8_repair(cut); /* it may end within a character */
        message.code = status;
        message.message = cut;
        len = protobuf_c_message_pack(&message.base, payload);
    }
    const struct swki_frame frame = {
        .stream = id,
        .type = SWKI_FRAME_END,
        .payload = payload,
        .payload_len = (uint32_t)len,
    };
    swki_frame_write(&c->out, &frame);
}

/* Writes END if it is due; the stream may be gone then. */
static void write_end(struct swki_rpc_connection *c, struct swki_rpc_stream *s)
{
    if (!s->end_due || s->first != NULL) {
        return;
    }
    s->end_due = false;
    s->local_ended = true;
    swki_rpc_write_status(c, s->id, s->end_status,
                          s->end_text != NULL ? s->end_text : "");
    if (c->config.side == SWKI_RPC_SERVER) {
        swki_rpc_stream_remove(c, s);
    }
}

/* One part of the stream's first message; false if none may go. */
static bool pump_part(struct swki_rpc_connection *c, struct swki_rpc_stream *s)
{
    struct swki_rpc_pending *p = s->first;
    size_t left = p == NULL ? 0 : p->len - p->sent;
    size_t n = left < SWKI_FRAME_DATA_MAX ? left : SWKI_FRAME_DATA_MAX;

    if (p == NULL || c->peer_window == 0 || (left > 0 && s->grant <= 0)) {
        return false;
    }
    n = (int64_t)n > s->grant ? (size_t)s->grant : n;

    const struct swki_frame frame = {
        .stream = s->id,
        .type = SWKI_FRAME_DATA,
        .flags = n < left ? SWKI_FRAME_MORE : 0,
        .payload = p->data + p->sent,
        .payload_len = (uint32_t)n,
    };
    if (!swki_frame_write(&c->out, &frame)) {
        return false;
    }
    p->sent += n;
    s->grant -= (int64_t)n;
    s->pending_len -= n;
    c->unsent -= n;
    if (n == left) {
        s->first = p->next;
        swki_free(c->config.alloc, p);
        if (s->first == NULL) {
            s->last = NULL;
            c->busy--;
            write_end(c, s);
        }
    }
    return true;
}

void swki_rpc_streams_pump(struct swki_rpc_connection *c)
{
    size_t idle = 0; /* streams in a row that could not send */

    while (c->busy > 0 && c->out.len < OUT_FULL && idle < c->streams_count) {
        size_t count = c->streams_count;

        c->turn = c->turn < count ? c->turn : 0;
        if (pump_part(c, c->streams[c->turn])) {
            idle = 0;
        } else {
            idle++;
        }
        /* A stream that has ended made room for the next one. */
        c->turn += c->streams_count == count ? 1 : 0;
    }
}

void swki_rpc_stream_credit(struct swki_rpc_connection *c,
                            struct swki_rpc_stream *s)
{
    /* While delivered messages wait for their reader, what comes behind them
     * is not granted again. */
    uint64_t keep = s->held + (s->held > 0 ? s->message.len : 0);
    uint64_t due = s->received - s->credited;
    uint8_t payload[4];

    if (s->remote_ended || due < keep + c->config.window / 4) {
        return;
    }
    due -= keep;
    s->credited += due;
    swki_frame_put_u32(payload, (uint32_t)due);

    const struct swki_frame frame = {
        .stream = s->id,
        .type = SWKI_FRAME_WINDOW,
        .payload = payload,
        .payload_len = sizeof(payload),
    };
    swki_frame_write(&c->out, &frame);
}
