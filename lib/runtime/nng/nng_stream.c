/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A stream: two aios, and a pump that turns their completions into events.
 *
 * Completions of the two aios arrive on any of nng's threads. The first one
 * becomes the pump and runs the events, one at a time and without the lock;
 * one that arrives meanwhile leaves a note and returns, so no thread of nng's
 * ever waits for an event to end.
 *
 * An event that has to come from a transport's thread when no operation is
 * under way (the end of a stream at rest, bytes that were held back) is
 * brought about by finishing the receive aio without an operation.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "runtime/nng/nng_internal.h"

enum {
    SMALL_SIZE = 4 * 1024,  /* of an idle stream's receive buffer */
    LARGE_SIZE = 64 * 1024, /* after a receive that filled the small one */
};

struct swk_stream {
    const struct swk_alloc *alloc;
    nng_stream *stream;
    nng_aio *recv_aio;
    nng_aio *send_aio;
    struct swk_stream_peer peer;
    struct swk_stream_events events;
    void *events_ctx;

    pthread_mutex_t lock; /* guards all below */
    bool started;
    bool paused;
    bool pumping;   /* a thread runs events */
    bool receiving; /* the receive aio is under way */
    bool sending;   /* the send aio is under way */
    bool sent;      /* sent() is due */
    bool broken;    /* sending failed: the next receive says why */
    bool closed;    /* by close() */
    bool told;      /* failed() has been called */
    int failure;    /* nng's reason, or 0 */
    size_t held;    /* bytes in buf for received() */
    const uint8_t *send_data;
    size_t send_len;
    uint8_t *large; /* LARGE_SIZE bytes, or NULL */
    uint8_t *buf;   /* where the present receive goes */
    size_t buf_size;
    uint8_t small[SMALL_SIZE];
};

static void read_peer(struct swk_stream *s)
{
    nng_sockaddr addr;
    uint64_t value;
    char host[INET6_ADDRSTRLEN] = "";

    s->peer = (struct swk_stream_peer){.uid = -1, .pid = -1};
    if (nng_stream_get_uint64(s->stream, NNG_OPT_IPC_PEER_UID, &value) == 0) {
        s->peer.uid = (int64_t)value;
    }
    if (nng_stream_get_uint64(s->stream, NNG_OPT_IPC_PEER_PID, &value) == 0) {
        s->peer.pid = (int64_t)value;
    }
    if (nng_stream_get_addr(s->stream, NNG_OPT_REMADDR, &addr) != 0) {
        return;
    }
    if (addr.s_family == NNG_AF_INET) {
        inet_ntop(AF_INET, &addr.s_in.sa_addr, host, sizeof(host));
        snprintf(s->peer.address, sizeof(s->peer.address), "%s:%u", host,
                 ntohs(addr.s_in.sa_port));
    } else if (addr.s_family == NNG_AF_INET6) {
        inet_ntop(AF_INET6, addr.s_in6.sa_addr, host, sizeof(host));
        snprintf(s->peer.address, sizeof(s->peer.address), "[%s]:%u", host,
                 ntohs(addr.s_in6.sa_port));
    }
}

/* With the lock. Asks for a completion although nothing is under way. */
static void nudge(struct swk_stream *s)
{
    if (!s->receiving && !s->pumping && nng_aio_begin(s->recv_aio)) {
        s->receiving = true;
        s->buf_size = 0; /* tells it from a real receive */
        nng_aio_finish(s->recv_aio, 0);
    }
}

/* With the lock. */
static void receive(struct swk_stream *s)
{
    nng_iov iov;

    s->buf = s->large != NULL ? s->large : s->small;
    s->buf_size = s->large != NULL ? LARGE_SIZE : SMALL_SIZE;
    iov = (nng_iov){.iov_buf = s->buf, .iov_len = s->buf_size};
    nng_aio_set_iov(s->recv_aio, 1, &iov);
    s->receiving = true;
    nng_stream_recv(s->stream, s->recv_aio);
}

/* With the lock. */
static void submit_send(struct swk_stream *s)
{
    /* The data is only read; nng's vectors know no const. */
    nng_iov iov = {.iov_buf = (void *)(uintptr_t)s->send_data,
                   .iov_len = s->send_len};

    nng_aio_set_iov(s->send_aio, 1, &iov);
    s->sending = true;
    nng_stream_send(s->stream, s->send_aio);
}

/* A busy stream gets a larger buffer, an idle one gives it back. */
static void adapt_buffer(struct swk_stream *s, size_t received)
{
    if (s->large == NULL && received == SMALL_SIZE) {
        s->large = swki_alloc(s->alloc, LARGE_SIZE);
    } else if (s->large != NULL && received < SMALL_SIZE / 2) {
        swki_free(s->alloc, s->large);
        s->large = NULL;
    }
}

/* With the lock, which is released around each event. False if none is due. */
static bool run_event(struct swk_stream *s)
{
    if (s->sent) {
        s->sent = false;
        pthread_mutex_unlock(&s->lock);
        s->events.sent(s->events_ctx);
    } else if (s->held > 0 && !s->paused && !s->closed) {
        size_t len = s->held;

        s->held = 0;
        pthread_mutex_unlock(&s->lock);
        s->events.received(s->events_ctx, s->buf, len);
        pthread_mutex_lock(&s->lock);
        adapt_buffer(s, len);
        return true;
    } else if (s->failure != 0 && !s->told && !s->receiving && !s->sending) {
        struct swk_error err;

        s->told = true;
        swki_fail(&err, swki_nng_code(s->failure), "%s",
                  swki_nng_text(s->failure));
        pthread_mutex_unlock(&s->lock);
        s->events.failed(s->events_ctx, &err);
    } else {
        return false;
    }
    pthread_mutex_lock(&s->lock);
    return true;
}

/* With the lock; it is released meanwhile. */
static void pump(struct swk_stream *s)
{
    if (s->pumping) {
        return;
    }
    s->pumping = true;
    while (run_event(s)) {
    }
    s->pumping = false;
    if (s->failure == 0 && !s->receiving && !s->paused && s->held == 0) {
        receive(s);
    }
}

/* With the lock. Other operations end soon: cancelling is safe anywhere. */
static void fail(struct swk_stream *s, int failure)
{
    if (s->failure == 0) {
        s->failure = failure;
        nng_aio_abort(s->recv_aio, NNG_ECANCELED);
        nng_aio_abort(s->send_aio, NNG_ECANCELED);
    }
}

static void recv_done(void *arg)
{
    struct swk_stream *s = arg;
    int rc = nng_aio_result(s->recv_aio);

    pthread_mutex_lock(&s->lock);
    s->receiving = false;
    if (rc != 0) {
        fail(s, rc);
    } else if (s->buf_size > 0) {
        s->held = nng_aio_count(s->recv_aio);
    }
    pump(s);
    pthread_mutex_unlock(&s->lock);
}

static void send_done(void *arg)
{
    struct swk_stream *s = arg;
    int rc = nng_aio_result(s->send_aio);
    size_t count = nng_aio_count(s->send_aio);

    pthread_mutex_lock(&s->lock);
    s->sending = false;
    if (rc != 0 && (s->paused || s->failure != 0)) {
        fail(s, rc);
    } else if (rc != 0) {
        s->broken = true; /* what the peer said last can still be read */
    } else if (count < s->send_len && s->failure == 0) {
        s->send_data += count;
        s->send_len -= count;
        submit_send(s);
    } else if (count >= s->send_len) {
        s->sent = true;
    }
    pump(s);
    pthread_mutex_unlock(&s->lock);
}

struct swk_stream *swki_nng_stream_new(const struct swk_alloc *alloc,
                                       nng_stream *stream)
{
    struct swk_stream *s = swki_calloc(alloc, 1, sizeof(*s));

    if (s == NULL || nng_aio_alloc(&s->recv_aio, recv_done, s) != 0 ||
        nng_aio_alloc(&s->send_aio, send_done, s) != 0) {
        if (s != NULL && s->recv_aio != NULL) {
            nng_aio_reap(s->recv_aio); /* this may be one of its threads */
        }
        swki_free(alloc, s);
        nng_stream_free(stream);
        return NULL;
    }
    s->alloc = alloc;
    s->stream = stream;
    pthread_mutex_init(&s->lock, NULL);
    read_peer(s);
    return s;
}

void swki_nng_stream_start(void *ctx, struct swk_stream *s,
                           const struct swk_stream_events *events,
                           void *events_ctx)
{
    (void)ctx;
    pthread_mutex_lock(&s->lock);
    s->events = *events;
    s->events_ctx = events_ctx;
    s->started = true;
    if (s->failure != 0) {
        nudge(s); /* it was closed before */
    } else if (!s->paused) {
        receive(s);
    }
    pthread_mutex_unlock(&s->lock);
}

void swki_nng_stream_send(void *ctx, struct swk_stream *s, const void *data,
                          size_t len)
{
    (void)ctx;
    pthread_mutex_lock(&s->lock);
    if (s->failure == 0 && !s->broken) { /* else failed() will answer */
        s->send_data = data;
        s->send_len = len;
        submit_send(s);
    }
    pthread_mutex_unlock(&s->lock);
}

void swki_nng_stream_pause(void *ctx, struct swk_stream *s, int paused)
{
    (void)ctx;
    pthread_mutex_lock(&s->lock);
    s->paused = paused != 0;
    if (!s->paused && s->started && s->failure == 0 && !s->receiving &&
        !s->pumping) {
        if (s->held > 0) {
            nudge(s);
        } else {
            receive(s);
        }
    }
    pthread_mutex_unlock(&s->lock);
}

void swki_nng_stream_peer(void *ctx, const struct swk_stream *s,
                          struct swk_stream_peer *out_peer)
{
    (void)ctx;
    *out_peer = s->peer;
}

void swki_nng_stream_close(void *ctx, struct swk_stream *s)
{
    (void)ctx;
    pthread_mutex_lock(&s->lock);
    s->closed = true;
    fail(s, NNG_ECLOSED);
    if (s->started && !s->told && !s->sending) {
        nudge(s);
    }
    pthread_mutex_unlock(&s->lock);
}

void swki_nng_stream_free(void *ctx, struct swk_stream *s)
{
    (void)ctx;
    if (s == NULL) {
        return;
    }
    nng_stream_close(s->stream);
    nng_aio_stop(s->recv_aio);
    nng_aio_stop(s->send_aio);
    nng_stream_free(s->stream);
    nng_aio_free(s->recv_aio);
    nng_aio_free(s->send_aio);
    pthread_mutex_destroy(&s->lock);
    swki_free(s->alloc, s->large);
    swki_free(s->alloc, s);
}
