/* SPDX-License-Identifier: Apache-2.0 */

#include "raft_kv_net.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/nng_transport.h>

enum {
    LINKS_MAX = 16,
    HEADER_SIZE = 4, /* a frame's length, little endian */
    FRAME_SIZE_MAX = 32 * 1024 * 1024,
    WAITING_SIZE_MAX = 64 * 1024 * 1024,
};

struct bytes {
    uint8_t *data;
    size_t len;
    size_t size;
};

/* To another process. */
struct link {
    struct net *net;
    swk_stream *stream; /* NULL: none */
    bool dialing;
    bool failed;
    bool busy; /* sending is on its way */
    swk_time dial_at;
    struct bytes waiting;
    struct bytes sending;
};

/* From another process. */
struct inbound {
    struct inbound *next;
    struct net *net;
    swk_stream *stream;
    bool failed;
    struct bytes bytes;
};

struct net {
    uint64_t id;
    int ports[LINKS_MAX];
    uint64_t count;
    void (*received)(void *ctx, const uint8_t *frame, size_t len);
    void *ctx;
    swk_nng_transport *nng;
    const struct swk_transport *transport;
    swk_listener *listener;
    pthread_mutex_t mutex; /* guards what follows, but for received bytes */
    struct link links[LINKS_MAX]; /* by ID */
    struct inbound *inbounds;
};

static bool add(struct bytes *b, const void *data, size_t len)
{
    if (b->size - b->len < len) {
        uint8_t *grown = realloc(b->data, 2 * (b->len + len));

        if (grown == NULL) {
            return false;
        }
        b->data = grown;
        b->size = 2 * (b->len + len);
    }
    if (len > 0) {
        memcpy(b->data + b->len, data, len);
    }
    b->len += len;
    return true;
}

/* -- Receiving ------------------------------------------------------------- */

static size_t frame_len(const uint8_t *header)
{
    return (size_t)header[0] | (size_t)header[1] << 8 |
           (size_t)header[2] << 16 | (size_t)header[3] << 24;
}

/* Hands on the frames that are complete. False for nonsense. */
static bool take_frames(struct inbound *in)
{
    struct bytes *b = &in->bytes;
    size_t at = 0;

    while (b->len - at >= HEADER_SIZE) {
        size_t len = frame_len(b->data + at);

        if (len > FRAME_SIZE_MAX) {
            return false;
        }
        if (b->len - at - HEADER_SIZE < len) {
            break;
        }
        in->net->received(in->net->ctx, b->data + at + HEADER_SIZE, len);
        at += HEADER_SIZE + len;
    }
    if (at > 0) {
        memmove(b->data, b->data + at, b->len - at);
        b->len -= at;
    }
    return true;
}

static void on_received(void *ctx, const void *data, size_t len)
{
    struct inbound *in = ctx;
    const struct swk_transport *transport = in->net->transport;

    if (!add(&in->bytes, data, len) || !take_frames(in)) {
        transport->close(transport->ctx, in->stream);
        in->bytes.len = 0;
    }
}

static void on_inbound_sent(void *ctx)
{
    (void)ctx; /* nothing is sent there */
}

static void on_inbound_failed(void *ctx, const struct swk_error *err)
{
    struct inbound *in = ctx;

    (void)err;
    pthread_mutex_lock(&in->net->mutex);
    in->failed = true;
    pthread_mutex_unlock(&in->net->mutex);
}

static void on_accepted(void *ctx, swk_stream *stream)
{
    static const struct swk_stream_events events = {
        sizeof(events), on_received, on_inbound_sent, on_inbound_failed};
    struct net *net = ctx;
    struct inbound *in = calloc(1, sizeof(*in));

    if (in == NULL) {
        abort();
    }
    in->net = net;
    in->stream = stream;
    pthread_mutex_lock(&net->mutex);
    in->next = net->inbounds;
    net->inbounds = in;
    pthread_mutex_unlock(&net->mutex);
    net->transport->start(net->transport->ctx, stream, &events, in);
}

/* -- Sending --------------------------------------------------------------- */

/* Sends what waits. Who makes it busy is the one to send. */
static void flush(struct link *link)
{
    const struct swk_transport *transport = link->net->transport;
    struct bytes next = {0};

    pthread_mutex_lock(&link->net->mutex);
    if (link->stream != NULL && !link->failed && !link->busy &&
        link->waiting.len > 0) {
        next = link->waiting;
        link->waiting = link->sending;
        link->waiting.len = 0;
        link->sending = next;
        link->busy = true;
    }
    pthread_mutex_unlock(&link->net->mutex);
    if (next.len > 0) {
        transport->send(transport->ctx, link->stream, next.data, next.len);
    }
}

static void on_link_received(void *ctx, const void *data, size_t len)
{
    (void)ctx; /* nothing comes from there */
    (void)data;
    (void)len;
}

static void on_link_sent(void *ctx)
{
    struct link *link = ctx;

    pthread_mutex_lock(&link->net->mutex);
    link->busy = false;
    pthread_mutex_unlock(&link->net->mutex);
    flush(link);
}

static void on_link_failed(void *ctx, const struct swk_error *err)
{
    struct link *link = ctx;

    (void)err;
    pthread_mutex_lock(&link->net->mutex);
    link->failed = true;
    pthread_mutex_unlock(&link->net->mutex);
}

static void on_dialed(void *ctx, swk_stream *stream,
                      const struct swk_error *err)
{
    static const struct swk_stream_events events = {
        sizeof(events), on_link_received, on_link_sent, on_link_failed};
    struct link *link = ctx;
    const struct swk_transport *transport = link->net->transport;

    (void)err;
    if (stream != NULL) {
        transport->start(transport->ctx, stream, &events, link);
    }
    pthread_mutex_lock(&link->net->mutex);
    link->dialing = false;
    link->stream = stream;
    pthread_mutex_unlock(&link->net->mutex);
}

bool net_send(struct net *net, uint64_t to, const void *head, size_t head_len,
              const void *rest, size_t rest_len)
{
    struct link *link = &net->links[to];
    size_t len = head_len + rest_len;
    const uint8_t header[HEADER_SIZE] = {(uint8_t)len, (uint8_t)(len >> 8),
                                         (uint8_t)(len >> 16),
                                         (uint8_t)(len >> 24)};
    bool good;

    if (len > FRAME_SIZE_MAX) {
        return false;
    }
    pthread_mutex_lock(&net->mutex);
    good = link->stream != NULL && !link->failed &&
           link->waiting.len + len < WAITING_SIZE_MAX &&
           add(&link->waiting, header, sizeof(header)) &&
           add(&link->waiting, head, head_len) &&
           add(&link->waiting, rest, rest_len);
    pthread_mutex_unlock(&net->mutex);
    flush(link);
    return good;
}

/* -- Keeping up ------------------------------------------------------------ */

static void forget_inbound(struct net *net, struct inbound *in)
{
    net->transport->free(net->transport->ctx, in->stream);
    free(in->bytes.data);
    free(in);
}

/* Takes one that failed out of the list; NULL if there is none. */
static struct inbound *find_failed(struct net *net)
{
    struct inbound **at = &net->inbounds;
    struct inbound *found;

    pthread_mutex_lock(&net->mutex);
    while (*at != NULL && !(*at)->failed) {
        at = &(*at)->next;
    }
    found = *at;
    if (found != NULL) {
        *at = found->next;
    }
    pthread_mutex_unlock(&net->mutex);
    return found;
}

/* Releases a stream that failed, and what waited for it. */
static void clear_link(struct link *link)
{
    const struct swk_transport *transport = link->net->transport;
    swk_stream *stream;

    pthread_mutex_lock(&link->net->mutex);
    stream = link->failed ? link->stream : NULL;
    if (stream != NULL) {
        link->stream = NULL;
        link->failed = false;
        link->busy = false;
        link->waiting.len = 0;
    }
    pthread_mutex_unlock(&link->net->mutex);
    if (stream != NULL) {
        transport->free(transport->ctx, stream);
    }
}

static void dial(struct net *net, uint64_t id, swk_time now)
{
    struct link *link = &net->links[id];
    char address[64];
    bool due;

    pthread_mutex_lock(&net->mutex);
    due = link->stream == NULL && !link->dialing && now >= link->dial_at;
    link->dialing = link->dialing || due;
    pthread_mutex_unlock(&net->mutex);
    if (!due) {
        return;
    }
    link->dial_at = now + SWK_SECOND / 5;
    snprintf(address, sizeof(address), "tcp://127.0.0.1:%d", net->ports[id]);
    if (net->transport->dial(net->transport->ctx, address, SWK_SECOND,
                             on_dialed, link, NULL) != 0) {
        on_dialed(link, NULL, NULL);
    }
}

void net_turn(struct net *net, swk_time now)
{
    struct inbound *failed;

    while ((failed = find_failed(net)) != NULL) {
        forget_inbound(net, failed);
    }
    for (uint64_t id = 1; id <= net->count; id++) {
        if (id != net->id) {
            clear_link(&net->links[id]);
            dial(net, id, now);
        }
    }
}

/* -- Life ------------------------------------------------------------------ */

static int listen_on(struct net *net, struct swk_error *err)
{
    char address[64];

    snprintf(address, sizeof(address), "tcp://127.0.0.1:%d",
             net->ports[net->id]);
    return net->transport->listen(net->transport->ctx, address, on_accepted,
                                  net, &net->listener, err);
}

struct net *net_open(uint64_t id, const int *ports, uint64_t count,
                     void (*received)(void *ctx, const uint8_t *frame,
                                      size_t len),
                     void *ctx)
{
    struct net *net = calloc(1, sizeof(*net));
    struct swk_error err = {0};

    if (net == NULL || count >= LINKS_MAX) {
        free(net);
        return NULL;
    }
    net->id = id;
    net->count = count;
    net->received = received;
    net->ctx = ctx;
    pthread_mutex_init(&net->mutex, NULL);
    for (uint64_t i = 1; i <= count; i++) {
        net->ports[i] = ports[i];
        net->links[i].net = net;
    }
    if (swk_nng_transport_new(NULL, NULL, &net->nng, &err) == 0) {
        net->transport = swk_nng_transport_port(net->nng);
        if (listen_on(net, &err) == 0) {
            return net;
        }
    }
    fprintf(stderr, "raft_kv: %s\n", err.text);
    swk_nng_transport_free(net->nng);
    free(net);
    return NULL;
}

void net_close(struct net *net)
{
    const struct swk_transport *transport = net->transport;

    transport->listener_close(transport->ctx, net->listener);
    while (net->inbounds != NULL) {
        struct inbound *next = net->inbounds->next;

        forget_inbound(net, net->inbounds);
        net->inbounds = next;
    }
    for (uint64_t id = 1; id <= net->count; id++) {
        struct link *link = &net->links[id];

        if (link->stream != NULL) {
            transport->free(transport->ctx, link->stream);
        }
        free(link->waiting.data);
        free(link->sending.data);
    }
    swk_nng_transport_free(net->nng);
    pthread_mutex_destroy(&net->mutex);
    free(net);
}
