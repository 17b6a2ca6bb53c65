/* SPDX-License-Identifier: Apache-2.0 */

/* A stream with TLS, where the test is the transport and the peer. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include <swarmkit/posix.h>

#include "base/error.h"
#include "node/rpc/link.h"
#include "unit/crypto/tls_pair.h"

struct swk_stream {
    const struct swk_stream_events *events;
    void *events_ctx;
    struct swki_buf sent; /* in flight, from the link */
    unsigned sends;
};

/* The server's link, and a client that offers no protocol. */
struct served {
    struct f *f;
    struct swk_transport transport;
    struct swk_stream stream;
    struct swki_loop *loop;
    struct swki_tls_context *context;
    struct swki_rpc_link *link;
    struct swki_tls_context *client_context;
    struct end client;
    int failure; /* told by the link, or 0 */
    unsigned ready_count;
    unsigned failed_count;
};

/* -- The transport -------------------------------------------------------- */

static void start(void *ctx, swk_stream *stream,
                  const struct swk_stream_events *events, void *events_ctx)
{
    (void)ctx;
    stream->events = events;
    stream->events_ctx = events_ctx;
}

static void send(void *ctx, swk_stream *stream, const void *data, size_t len)
{
    (void)ctx;
    assert_int_equal(stream->sent.len, 0); /* one at a time */
    assert_true(swki_buf_append(&stream->sent, data, len));
    stream->sends++;
}

static void free_stream(void *ctx, swk_stream *stream)
{
    (void)ctx;
    (void)stream;
}

/* -- The loop's side ------------------------------------------------------ */

static void ready(void *ctx, swk_time now)
{
    struct served *s = ctx;

    (void)now;
    s->ready_count++;
}

static void received(void *ctx, const uint8_t *data, size_t len, swk_time now)
{
    (void)ctx;
    (void)data;
    (void)len;
    (void)now;
    fail_msg("nothing was sent by who is not let in");
}

static void failed(void *ctx, const struct swk_error *err, swk_time now)
{
    struct served *s = ctx;

    (void)now;
    s->failure = err->code;
    s->failed_count++;
}

static int set_up_served(void **state)
{
    struct served *s = calloc(1, sizeof(*s));
    void *f;
    struct swki_tls_config server;
    struct swki_tls_config client;
    struct swki_rpc_link_config config = {.server_name = NULL};

    assert_int_equal(set_up(&f), 0);
    s->f = f;
    s->transport = (struct swk_transport){.size = sizeof(s->transport),
                                          .start = start,
                                          .send = send,
                                          .free = free_stream};
    swki_buf_init(&s->stream.sent, NULL, SIZE_MAX);
    swki_buf_init(&s->client.plain, NULL, SIZE_MAX);
    server = config_of(s->f, SWKI_TLS_SERVER, &s->f->manager);
    client = config_of(s->f, SWKI_TLS_CLIENT, &s->f->worker);
    client.foreign = true;
    client.sessions_max = 1; /* TLS 1.2, where the server ends a handshake */
    assert_int_equal(swki_tls_context_new(NULL, &server, &s->context, NULL), 0);
    assert_int_equal(
        swki_tls_context_new(NULL, &client, &s->client_context, NULL), 0);
    assert_int_equal(
        swki_tls_new(s->client_context, "swarm-manager", &s->client.tls, NULL),
        0);
    assert_int_equal(swki_loop_new(NULL, swk_posix_clock(), &s->loop, NULL), 0);
    config.loop = s->loop;
    config.transport = &s->transport;
    config.context = s->context;
    config.events = (struct swki_rpc_link_events){
        .ctx = s, .ready = ready, .received = received, .failed = failed};
    assert_int_equal(swki_rpc_link_new(&config, &s->stream, &s->link, NULL), 0);
    swki_rpc_link_start(s->link);
    *state = s;
    return 0;
}

static int tear_down_served(void **state)
{
    struct served *s = *state;
    void *f = s->f;

    swki_rpc_link_free(s->link);
    swki_loop_free(s->loop);
    swki_tls_free(s->client.tls);
    swki_tls_context_unref(s->client_context);
    swki_tls_context_unref(s->context);
    swki_buf_fini(&s->client.plain);
    swki_buf_fini(&s->stream.sent);
    free(s);
    return tear_down(&f);
}

/* The client takes what is in flight, and the link gets its answer. */
static void talk(struct served *s)
{
    struct swki_buf *output = swki_tls_output(s->client.tls);

    s->client.rc = swki_tls_feed(s->client.tls, s->stream.sent.data,
                                 s->stream.sent.len, &s->client.plain, NULL);
    swki_buf_clear(&s->stream.sent);
    if (output->len > 0) {
        s->stream.events->received(s->stream.events_ctx, output->data,
                                   output->len);
        swki_buf_consume(output, output->len);
    }
}

/* The client's part of the handshake is over, and comes before the transport
 * says that the link's was sent. */
static void outrun(struct served *s)
{
    talk(s); /* a hello, and all that the server shows */
    assert_int_equal(s->stream.sends, 1);
    talk(s);
    assert_false(swki_tls_established(s->client.tls));
    assert_int_equal(s->stream.sends, 1);
    swki_loop_process(s->loop);
}

static void a_handshake_that_fails_is_told_after_its_last_words(void **state)
{
    struct served *s = *state;

    outrun(s);
    assert_int_equal(s->failed_count, 0);
    s->stream.events->sent(s->stream.events_ctx);
    assert_int_equal(s->stream.sends, 2);
    swki_loop_process(s->loop);
    assert_int_equal(s->failed_count, 1);
    assert_int_equal(s->failure, SWK_EMALFORMED);
    assert_int_equal(s->ready_count, 0);
    talk(s);
    assert_int_equal(s->client.rc, 0);
    assert_true(swki_tls_established(s->client.tls)); /* it had the last word */
    s->stream.events->sent(s->stream.events_ctx);
    swki_loop_process(s->loop);
    assert_int_equal(s->failed_count, 1);
}

static void last_words_that_cannot_be_sent_delay_nothing(void **state)
{
    struct served *s = *state;
    struct swk_error err;

    outrun(s);
    swki_fail(&err, SWK_EIO, "reset by the peer");
    s->stream.events->failed(s->stream.events_ctx, &err);
    swki_loop_process(s->loop);
    assert_int_equal(s->failed_count, 1);
    assert_int_equal(s->failure, SWK_EMALFORMED); /* the first reason */
    assert_int_equal(s->stream.sends, 1);
}

static void a_handshake_that_fails_at_rest_is_told_at_once(void **state)
{
    struct served *s = *state;

    talk(s);
    s->stream.events->sent(s->stream.events_ctx);
    talk(s);
    assert_int_equal(s->stream.sends, 2);
    swki_loop_process(s->loop);
    assert_int_equal(s->failed_count, 1);
    assert_int_equal(s->failure, SWK_EMALFORMED);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, set_up_served, tear_down_served)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_handshake_that_fails_is_told_after_its_last_words),
        TEST(last_words_that_cannot_be_sent_delay_nothing),
        TEST(a_handshake_that_fails_at_rest_is_told_at_once),
    };

    return cmocka_run_group_tests_name("node/link", tests, NULL, NULL);
}
