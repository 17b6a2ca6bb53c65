/* SPDX-License-Identifier: Apache-2.0 */

#include "node/rpc/link.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"

enum {
    INBOX_FULL = 512 * 1024, /* bytes that wait before reading pauses */
    OUTPUT_FULL = 128 * 1024,
    SEAL_SIZE = 16 * 1024,  /* plaintext of one record */
    KEEP_SIZE = 16 * 1024,  /* room that an idle buffer keeps */
};

struct swki_rpc_link {
    struct swki_message message;
    struct swki_rpc_link_config config;
    swk_stream *stream;
    struct swki_buf reading; /* what the loop is dealing with */

    pthread_mutex_t lock; /* guards all below */
    struct swki_tls *tls;
    struct swki_buf plain_output; /* without TLS */
    struct swki_buf *output;
    struct swki_buf in_flight;
    struct swki_buf inbox;
    bool posted;
    bool sending;
    bool paused;
    bool ready;      /* bytes may be sent */
    bool ready_due;  /* ready() is to be called */
    bool want_drained;
    bool drained_due;
    bool failed;
    bool failed_due;
    bool last_words; /* failed() waits until they are on their way */
    struct swk_error err;
};

/* With the lock. */
static void post(struct swki_rpc_link *link)
{
    if (!link->posted) {
        link->posted = true;
        swki_loop_post(link->config.loop, &link->message);
    }
}

/* With the lock. */
static void tell_failure(struct swki_rpc_link *link)
{
    link->last_words = false;
    link->failed_due = true;
    post(link);
}

/* With the lock. Only the first reason counts. */
static void fail(struct swki_rpc_link *link, const struct swk_error *err)
{
    bool is_first = !link->failed;

    if (is_first) {
        link->failed = true;
        link->err = *err;
    }
    if (is_first || link->last_words) {
        tell_failure(link);
    }
}

/* Both come from the same allocator; their limits stay. */
static void swap(struct swki_buf *a, struct swki_buf *b)
{
    struct swki_buf old = *a;

    a->data = b->data;
    a->len = b->len;
    a->size = b->size;
    b->data = old.data;
    b->len = old.len;
    b->size = old.size;
}

static void empty(struct swki_buf *buf)
{
    if (buf->size > KEEP_SIZE) {
        swki_buf_fini(buf);
    }
    swki_buf_clear(buf);
}

/* With the lock. */
static void send_output(struct swki_rpc_link *link)
{
    const struct swk_transport *t = link->config.transport;

    if (!link->sending && link->output->len > 0) {
        swap(link->output, &link->in_flight);
        link->sending = true;
        t->send(t->ctx, link->stream, link->in_flight.data,
                link->in_flight.len);
    }
}

/* -- On the transport's threads -------------------------------------------- */

/* With the lock. What TLS has to say of it, such as an alert, is lost if the
 * link is freed while an earlier part of the handshake is still being sent; it
 * is why the peer knows that it was refused. */
static void fail_handshake(struct swki_rpc_link *link,
                           const struct swk_error *err)
{
    /* Its end came with the handshake's: nobody was told of it. */
    swki_buf_clear(&link->inbox);
    if (link->sending && link->output->len > 0) {
        link->failed = true;
        link->err = *err;
        link->last_words = true;
    } else {
        fail(link, err);
    }
}

/* With the lock. */
static void feed(struct swki_rpc_link *link, const void *data, size_t len)
{
    struct swk_error err = {0};

    if (link->tls == NULL) {
        if (!swki_buf_append(&link->inbox, data, len)) {
            swki_fail_nomem(&err);
            fail(link, &err);
        }
        return;
    }
    if (swki_tls_feed(link->tls, data, len, &link->inbox, &err) != SWK_OK) {
        if (link->ready) {
            fail(link, &err);
        } else {
            fail_handshake(link, &err);
        }
    } else if (!link->ready && swki_tls_established(link->tls)) {
        link->ready = true;
        link->ready_due = true;
    }
    send_output(link); /* of the handshake, or an alert */
}

static void on_received(void *ctx, const void *data, size_t len)
{
    struct swki_rpc_link *link = ctx;
    const struct swk_transport *t = link->config.transport;

    pthread_mutex_lock(&link->lock);
    if (!link->failed) {
        feed(link, data, len);
    }
    if (link->inbox.len >= INBOX_FULL && !link->paused) {
        link->paused = true;
        t->pause(t->ctx, link->stream, 1);
    }
    if (link->inbox.len > 0 || link->ready_due) {
        post(link);
    }
    pthread_mutex_unlock(&link->lock);
}

static void on_sent(void *ctx)
{
    struct swki_rpc_link *link = ctx;

    pthread_mutex_lock(&link->lock);
    link->sending = false;
    empty(&link->in_flight);
    send_output(link);
    if (link->last_words) {
        tell_failure(link);
    }
    if (link->want_drained) {
        link->want_drained = false;
        link->drained_due = true;
        post(link);
    }
    pthread_mutex_unlock(&link->lock);
}

static void on_failed(void *ctx, const struct swk_error *err)
{
    struct swki_rpc_link *link = ctx;

    pthread_mutex_lock(&link->lock);
    fail(link, err);
    pthread_mutex_unlock(&link->lock);
}

/* -- On the loop's thread -------------------------------------------------- */

/* What there is to tell. */
struct news {
    bool ready;
    bool drained;
    bool failed;
    struct swk_error err;
};

static struct news take_news(struct swki_rpc_link *link)
{
    const struct swk_transport *t = link->config.transport;
    struct news news;

    pthread_mutex_lock(&link->lock);
    link->posted = false;
    news = (struct news){
        .ready = link->ready_due,
        .drained = link->drained_due,
        .failed = link->failed_due,
        .err = link->err,
    };
    link->ready_due = false;
    link->drained_due = false;
    link->failed_due = false;
    swap(&link->inbox, &link->reading);
    if (link->paused) {
        link->paused = false;
        t->pause(t->ctx, link->stream, 0);
    }
    pthread_mutex_unlock(&link->lock);
    return news;
}

static void handle(struct swki_message *message, swk_time now)
{
    struct swki_rpc_link *link =
        SWKI_CONTAINER(message, struct swki_rpc_link, message);
    const struct swki_rpc_link_events *events = &link->config.events;
    struct news news = take_news(link);

    if (news.ready) {
        events->ready(events->ctx, now);
    }
    if (link->reading.len > 0) {
        events->received(events->ctx, link->reading.data, link->reading.len,
                         now);
    }
    empty(&link->reading);
    if (news.drained) {
        events->drained(events->ctx, now);
    }
    if (news.failed) {
        events->failed(events->ctx, &news.err, now);
    }
}

int swki_rpc_link_new(const struct swki_rpc_link_config *config,
                      swk_stream *stream, struct swki_rpc_link **out_link,
                      struct swk_error *err)
{
    struct swki_rpc_link *link = swki_calloc(config->alloc, 1, sizeof(*link));
    int rc = SWK_OK;

    if (link == NULL) {
        return swki_fail_nomem(err);
    }
    link->config = *config;
    link->message.handle = handle;
    swki_buf_init(&link->plain_output, config->alloc, SIZE_MAX);
    swki_buf_init(&link->in_flight, config->alloc, SIZE_MAX);
    swki_buf_init(&link->inbox, config->alloc, SIZE_MAX);
    swki_buf_init(&link->reading, config->alloc, SIZE_MAX);
    link->output = &link->plain_output;
    if (config->context != NULL) {
        rc = swki_tls_new(config->context, config->server_name, &link->tls,
                          err);
    }
    if (rc != SWK_OK) {
        swki_free(config->alloc, link);
        return rc;
    }
    if (link->tls != NULL) {
        link->output = swki_tls_output(link->tls);
        if (config->server != NULL) {
            swki_tls_resume(link->tls, config->server);
        }
    }
    pthread_mutex_init(&link->lock, NULL);
    link->stream = stream;
    *out_link = link;
    return SWK_OK;
}

void swki_rpc_link_start(struct swki_rpc_link *link)
{
    static const struct swk_stream_events events = {
        .size = sizeof(events),
        .received = on_received,
        .sent = on_sent,
        .failed = on_failed,
    };
    const struct swk_transport *t = link->config.transport;

    t->start(t->ctx, link->stream, &events, link);
    pthread_mutex_lock(&link->lock);
    if (link->tls == NULL) {
        link->ready = true;
        link->ready_due = true;
        post(link);
    } else if (!link->failed) {
        feed(link, NULL, 0); /* a client speaks first */
    }
    pthread_mutex_unlock(&link->lock);
}

void swki_rpc_link_free(struct swki_rpc_link *link)
{
    const struct swk_transport *t;

    if (link == NULL) {
        return;
    }
    t = link->config.transport;
    pthread_mutex_lock(&link->lock);
    if (link->tls != NULL && link->ready && !link->failed) {
        swki_tls_shutdown(link->tls);
        send_output(link);
    }
    pthread_mutex_unlock(&link->lock);
    t->free(t->ctx, link->stream); /* no event after this */
    if (link->posted) {
        swki_loop_cancel(link->config.loop, &link->message);
    }
    swki_tls_free(link->tls);
    swki_buf_fini(&link->plain_output);
    swki_buf_fini(&link->in_flight);
    swki_buf_fini(&link->inbox);
    swki_buf_fini(&link->reading);
    pthread_mutex_destroy(&link->lock);
    swki_free(link->config.alloc, link);
}

/* With the lock. False when sealing fails. */
static bool seal(struct swki_rpc_link *link, const uint8_t *data, size_t len)
{
    struct swk_error err = {0};

    if (link->tls != NULL &&
        swki_tls_write(link->tls, data, len, &err) == SWK_OK) {
        return true;
    }
    if (link->tls == NULL && swki_buf_append(link->output, data, len)) {
        return true;
    }
    if (link->tls == NULL) {
        swki_fail_nomem(&err);
    }
    fail(link, &err);
    return false;
}

void swki_rpc_link_flush(struct swki_rpc_link *link, struct swki_buf *from)
{
    size_t done = 0;

    pthread_mutex_lock(&link->lock);
    while (link->ready && !link->failed && done < from->len &&
           link->output->len < OUTPUT_FULL) {
        size_t left = from->len - done;
        size_t n = left < SEAL_SIZE ? left : SEAL_SIZE;

        if (!seal(link, from->data + done, n)) {
            break;
        }
        done += n;
    }
    send_output(link);
    link->want_drained = done < from->len && link->ready;
    pthread_mutex_unlock(&link->lock);
    swki_buf_consume(from, done);
    if (from->len == 0) {
        empty(from);
    }
}

int swki_rpc_link_peer(struct swki_rpc_link *link,
                       struct swki_identity *out_peer, struct swk_error *err)
{
    int rc;

    if (link->tls == NULL) {
        return swki_fail(err, SWK_EUNAUTHENTICATED, "not a TLS connection");
    }
    pthread_mutex_lock(&link->lock);
    rc = swki_tls_peer(link->tls, out_peer, err);
    pthread_mutex_unlock(&link->lock);
    return rc;
}
