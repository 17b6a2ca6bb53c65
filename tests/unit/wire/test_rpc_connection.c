/* SPDX-License-Identifier: Apache-2.0 */

/* Two RPC connections back to back: calls, flow control, faults of a peer. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "wire/frame.h"
#include "wire/rpc_connection.h"

enum {
    WINDOW = 1000,
    RANDOM_CALLS = 40,
};

struct f {
    swk_time now;
    struct swki_rpc_connection *client;
    struct swki_rpc_connection *server;
};

static void set_up(struct f *f)
{
    struct swki_rpc_connection_config config = {
        .side = SWKI_RPC_CLIENT, .window = WINDOW};

    *f = (struct f){.now = SWK_SECOND};
    assert_int_equal(
        swki_rpc_connection_new(&config, f->now, &f->client, NULL), 0);
    config.side = SWKI_RPC_SERVER;
    config.message_max = 100000;
    config.parts_max = 150000;
    config.calls_max = 50;
    assert_int_equal(
        swki_rpc_connection_new(&config, f->now, &f->server, NULL), 0);
}

static void tear_down(struct f *f)
{
    swki_rpc_connection_free(f->client);
    swki_rpc_connection_free(f->server);
}

/* Moves at most max bytes; 1 with the first event they bring. */
static int move(struct f *f, struct swki_rpc_connection *from,
                struct swki_rpc_connection *to, size_t max,
                struct swki_rpc_event *event)
{
    struct swki_buf *out = swki_rpc_connection_output(from);
    size_t all = out->len < max ? out->len : max;
    size_t len = all;
    const uint8_t *data = out->data;
    int rc = swki_rpc_connection_step(to, f->now, &data, &len, event, NULL);

    /* Events lend out bytes of the input, so tests look before moving on. */
    if (rc == 1 && event->kind == SWKI_RPC_MESSAGE) {
        return rc;
    }
    swki_buf_consume(out, all - len);
    return rc;
}

/* The next event on the other side, which must be of this kind. */
static struct swki_rpc_event expect(struct f *f,
                                    struct swki_rpc_connection *from,
                                    struct swki_rpc_connection *to,
                                    enum swki_rpc_event_kind kind)
{
    static uint8_t kept[200000];
    struct swki_rpc_event event = {0};
    struct swki_buf *out = swki_rpc_connection_output(from);
    const uint8_t *data = out->data;
    size_t len = out->len;
    int rc = swki_rpc_connection_step(to, f->now, &data, &len, &event, NULL);

    if (rc != 1 || event.kind != kind) {
        fail_msg("expected event %d, got %d (%d)", kind, (int)event.kind, rc);
    }
    if (event.len > 0) { /* consuming moves the bytes that it points to */
        memcpy(kept, event.data, event.len);
        event.data = kept;
    }
    swki_buf_consume(out, out->len - len);
    return event;
}

static void expect_nothing(struct f *f, struct swki_rpc_connection *from,
                           struct swki_rpc_connection *to)
{
    struct swki_rpc_event event;

    assert_int_equal(move(f, from, to, SIZE_MAX, &event), 0);
}

static void greet(struct f *f)
{
    expect(f, f->client, f->server, SWKI_RPC_READY);
    expect(f, f->server, f->client, SWKI_RPC_READY);
}

static uint32_t open_call(struct f *f, uint64_t timeout_ns)
{
    const struct swki_rpc_header header = {
        .path = "/t.T/M",
        .request_id = "r1",
        .timeout_ns = timeout_ns,
        .forwarded_node_id = "n1",
        .forwarded_role = "swarm-worker",
    };
    uint32_t stream = 0;

    assert_int_equal(swki_rpc_connection_open(f->client, f->now, &header,
                                              (void *)0x1, &stream, NULL),
                     0);
    return stream;
}

/* A manager passes on a call of somebody without a certificate: that must not
 * look like a call of its own. */
static void an_anonymous_callers_address_is_carried(void **state)
{
    const struct swki_rpc_header header = {
        .path = "/t.T/M",
        .forwarded_address = "192.0.2.1:4242",
    };
    struct f f;
    struct swki_rpc_event event;
    uint32_t stream = 0;

    (void)state;
    set_up(&f);
    assert_int_equal(swki_rpc_connection_open(f.client, f.now, &header,
                                              (void *)0x1, &stream, NULL),
                     0);
    greet(&f);
    event = expect(&f, f.client, f.server, SWKI_RPC_CALL);
    assert_string_equal(event.header->forwarded_node_id, "");
    assert_string_equal(event.header->forwarded_role, "");
    assert_string_equal(event.header->forwarded_address, "192.0.2.1:4242");
    tear_down(&f);
}

static void a_call_carries_its_header_messages_and_status(void **state)
{
    struct f f;
    struct swki_rpc_event event;
    uint32_t stream;

    (void)state;
    set_up(&f);
    stream = open_call(&f, 5);
    assert_int_equal(
        swki_rpc_connection_send(f.client, stream, "ask", 3, NULL), 0);
    swki_rpc_connection_finish(f.client, stream);
    greet(&f);
    event = expect(&f, f.client, f.server, SWKI_RPC_CALL);
    assert_string_equal(event.header->path, "/t.T/M");
    assert_string_equal(event.header->request_id, "r1");
    assert_string_equal(event.header->forwarded_node_id, "n1");
    assert_int_equal(event.deadline, f.now + 5);
    event = expect(&f, f.client, f.server, SWKI_RPC_MESSAGE);
    assert_memory_equal(event.data, "ask", 3);
    expect(&f, f.client, f.server, SWKI_RPC_FINISHED);
    assert_int_equal(
        swki_rpc_connection_send(f.server, stream, "answer", 6, NULL), 0);
    assert_int_equal(swki_rpc_connection_send(f.server, stream, "", 0, NULL),
                     0);
    swki_rpc_connection_end(f.server, stream, 5, "not there");
    event = expect(&f, f.server, f.client, SWKI_RPC_MESSAGE);
    assert_memory_equal(event.data, "answer", 6);
    assert_ptr_equal(event.owner, (void *)0x1);
    event = expect(&f, f.server, f.client, SWKI_RPC_MESSAGE);
    assert_int_equal(event.len, 0);
    event = expect(&f, f.server, f.client, SWKI_RPC_ENDED);
    assert_int_equal(event.status, 5);
    assert_string_equal(event.text, "not there");
    assert_int_equal(swki_rpc_connection_calls(f.client), 0);
    assert_int_equal(swki_rpc_connection_calls(f.server), 0);
    tear_down(&f);
}

static void nobody_sends_more_than_was_granted(void **state)
{
    static const uint8_t data[600];
    struct f f;
    uint32_t stream;

    (void)state;
    set_up(&f);
    stream = open_call(&f, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(swki_rpc_connection_send(f.client, stream, data,
                                                  sizeof(data), NULL),
                         0);
    }
    greet(&f);
    expect(&f, f.client, f.server, SWKI_RPC_CALL);
    expect(&f, f.client, f.server, SWKI_RPC_MESSAGE);
    expect_nothing(&f, f.client, f.server); /* 400 bytes of the second */
    assert_int_equal(swki_rpc_connection_unsent(f.client, stream), 800);
    expect_nothing(&f, f.server, f.client);
    assert_int_equal(swki_rpc_connection_unsent(f.client, stream), 800);
    /* The reader takes the first: both of what it has are granted again. */
    swki_rpc_connection_consumed(f.server, stream, 600);
    expect_nothing(&f, f.server, f.client);
    expect(&f, f.client, f.server, SWKI_RPC_MESSAGE);
    swki_rpc_connection_consumed(f.server, stream, 600);
    expect_nothing(&f, f.server, f.client);
    expect(&f, f.client, f.server, SWKI_RPC_MESSAGE);
    assert_int_equal(swki_rpc_connection_unsent(f.client, stream), 0);
    tear_down(&f);
}

static void a_message_longer_than_the_window_is_put_together(void **state)
{
    uint8_t *data = malloc(90000);
    struct f f;
    struct swki_rpc_event event = {0};
    uint32_t stream;

    (void)state;
    for (size_t i = 0; i < 90000; i++) {
        data[i] = (uint8_t)(i * 31);
    }
    set_up(&f);
    stream = open_call(&f, 0);
    assert_int_equal(
        swki_rpc_connection_send(f.client, stream, data, 90000, NULL), 0);
    greet(&f);
    expect(&f, f.client, f.server, SWKI_RPC_CALL);
    while (move(&f, f.client, f.server, SIZE_MAX, &event) == 0) {
        expect_nothing(&f, f.server, f.client);
    }
    assert_int_equal(event.kind, SWKI_RPC_MESSAGE);
    assert_int_equal(event.len, 90000);
    assert_memory_equal(event.data, data, 90000);
    tear_down(&f);
    free(data);
}

static void a_message_over_the_limit_ends_the_call(void **state)
{
    uint8_t *data = calloc(1, 100001);
    struct f f;
    struct swki_rpc_event event = {0};
    uint32_t stream;

    (void)state;
    set_up(&f);
    stream = open_call(&f, 0);
    assert_int_equal(
        swki_rpc_connection_send(f.client, stream, data, 100001, NULL), 0);
    greet(&f);
    expect(&f, f.client, f.server, SWKI_RPC_CALL);
    while (move(&f, f.client, f.server, SIZE_MAX, &event) == 0) {
        expect_nothing(&f, f.server, f.client);
    }
    assert_int_equal(event.kind, SWKI_RPC_ENDED);
    assert_int_equal(event.status, SWKI_STATUS_RESOURCE_EXHAUSTED);
    event = expect(&f, f.server, f.client, SWKI_RPC_ENDED);
    assert_int_equal(event.status, SWKI_STATUS_RESOURCE_EXHAUSTED);
    expect_nothing(&f, f.client, f.server);
    tear_down(&f);
    free(data);
}

static void many_unfinished_messages_together_have_a_limit(void **state)
{
    uint8_t *data = calloc(1, 90000);
    struct f f;
    struct swki_rpc_event event = {0};
    unsigned arrived = 0;
    unsigned refused = 0;

    (void)state;
    set_up(&f); /* the server holds 150000 bytes of parts */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(swki_rpc_connection_send(f.client, open_call(&f, 0),
                                                  data, 90000, NULL),
                         0);
    }
    greet(&f);
    expect(&f, f.client, f.server, SWKI_RPC_CALL);
    expect(&f, f.client, f.server, SWKI_RPC_CALL);
    while (arrived + refused < 2) {
        if (move(&f, f.client, f.server, SIZE_MAX, &event) == 1) {
            arrived += event.kind == SWKI_RPC_MESSAGE;
            refused += event.kind == SWKI_RPC_ENDED;
            assert_int_equal(event.status, event.kind == SWKI_RPC_ENDED
                                               ? SWKI_STATUS_RESOURCE_EXHAUSTED
                                               : SWKI_STATUS_OK);
        }
        move(&f, f.server, f.client, SIZE_MAX, &event);
    }
    assert_int_equal(arrived, 1);
    assert_int_equal(refused, 1);
    tear_down(&f);
    free(data);
}

static void a_deadline_ends_the_call_at_both_ends(void **state)
{
    struct f f;
    struct swki_rpc_event event;

    (void)state;
    set_up(&f);
    open_call(&f, SWK_SECOND);
    greet(&f);
    expect(&f, f.client, f.server, SWKI_RPC_CALL);
    assert_int_equal(swki_rpc_connection_deadline(f.client),
                     f.now + SWK_SECOND);
    f.now += SWK_SECOND;
    assert_int_equal(
        swki_rpc_connection_expire(f.server, f.now, &event, NULL), 1);
    assert_int_equal(event.status, SWKI_STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(
        swki_rpc_connection_expire(f.client, f.now, &event, NULL), 1);
    assert_int_equal(event.status, SWKI_STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(
        swki_rpc_connection_expire(f.client, f.now, &event, NULL), 0);
    /* What each tells the other crosses, and is ignored. */
    expect_nothing(&f, f.client, f.server);
    expect_nothing(&f, f.server, f.client);
    tear_down(&f);
}

static void a_cancelled_call_ends_at_the_server(void **state)
{
    struct f f;
    struct swki_rpc_event event;
    uint32_t stream;

    (void)state;
    set_up(&f);
    stream = open_call(&f, 0);
    greet(&f);
    expect(&f, f.client, f.server, SWKI_RPC_CALL);
    swki_rpc_connection_reset(f.client, stream);
    event = expect(&f, f.client, f.server, SWKI_RPC_ENDED);
    assert_int_equal(event.status, SWKI_STATUS_CANCELLED);
    assert_int_equal(
        swki_rpc_connection_send(f.server, stream, "x", 1, NULL),
        SWK_ENOTFOUND);
    tear_down(&f);
}

static void silence_is_asked_about_and_then_given_up(void **state)
{
    struct f f;
    struct swki_rpc_event event;

    (void)state;
    set_up(&f);
    greet(&f);
    f.now = swki_rpc_connection_deadline(f.client);
    assert_int_equal(
        swki_rpc_connection_expire(f.client, f.now, &event, NULL), 0);
    expect_nothing(&f, f.client, f.server); /* PING */
    expect_nothing(&f, f.server, f.client); /* PONG */
    assert_true(swki_rpc_connection_deadline(f.client) > f.now + SWK_SECOND);
    f.now = swki_rpc_connection_deadline(f.client);
    assert_int_equal(
        swki_rpc_connection_expire(f.client, f.now, &event, NULL), 0);
    f.now = swki_rpc_connection_deadline(f.client);
    assert_int_equal(
        swki_rpc_connection_expire(f.client, f.now, &event, NULL),
        SWK_ETIMEDOUT);
    tear_down(&f);
}

static void after_goaway_open_calls_go_on_and_new_ones_are_refused(void **state)
{
    const struct swki_rpc_header header = {.path = "/t.T/M"};
    struct f f;
    struct swki_rpc_event event;
    uint32_t served;
    uint32_t late;

    (void)state;
    set_up(&f);
    served = open_call(&f, 0);
    greet(&f);
    expect(&f, f.client, f.server, SWKI_RPC_CALL);
    late = open_call(&f, 0); /* crosses the farewell */
    swki_rpc_connection_goaway(f.server);
    expect_nothing(&f, f.client, f.server);
    expect(&f, f.server, f.client, SWKI_RPC_GOAWAY);
    event = expect(&f, f.server, f.client, SWKI_RPC_ENDED);
    assert_int_equal(event.stream, late);
    assert_int_equal(event.status, SWKI_STATUS_UNAVAILABLE);
    assert_int_equal(swki_rpc_connection_open(f.client, f.now, &header, NULL,
                                              &late, NULL),
                     SWK_EUNAVAILABLE);
    swki_rpc_connection_end(f.server, served, 0, "");
    event = expect(&f, f.server, f.client, SWKI_RPC_ENDED);
    assert_int_equal(event.status, SWKI_STATUS_OK);
    tear_down(&f);
}

static void too_many_calls_are_refused_at_the_client(void **state)
{
    const struct swki_rpc_header header = {.path = "/t.T/M"};
    struct f f;
    uint32_t stream;

    (void)state;
    set_up(&f);
    greet(&f);
    for (int i = 0; i < 50; i++) {
        open_call(&f, 0);
    }
    assert_int_equal(swki_rpc_connection_open(f.client, f.now, &header, NULL,
                                              &stream, NULL),
                     SWK_ELIMIT);
    tear_down(&f);
}

static void frames_out_of_order_end_the_connection(void **state)
{
    static const uint8_t payload[16] = {'s', 'w', 'a', 'r', 'm', 'r',
                                        'p', 'c', 0,   1,   0,   0,
                                        1,   0,   0,   0};
    static const struct {
        const char *why;
        bool greeted;
        struct swki_frame frame;
    } cases[] = {
        {"a call before the greeting", false, {.type = SWKI_FRAME_PING,
                                               .payload_len = 8}},
        {"a second greeting", true, {.type = SWKI_FRAME_HELLO,
                                     .code = 1,
                                     .payload_len = 16}},
        {"data of no call", true, {.type = SWKI_FRAME_DATA,
                                   .stream = 9,
                                   .payload_len = 1}},
        {"a header that is none", true, {.type = SWKI_FRAME_CALL,
                                         .stream = 1,
                                         .payload_len = 16}},
        {"a farewell of a client", true, {.type = SWKI_FRAME_GOAWAY,
                                          .payload_len = 4}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct f f;
        struct swki_frame frame = cases[i].frame;
        struct swki_rpc_event event;
        struct swki_buf bytes;

        set_up(&f);
        if (cases[i].greeted) {
            greet(&f);
        }
        frame.payload = payload;
        swki_buf_init(&bytes, NULL, SIZE_MAX);
        assert_true(swki_frame_write(&bytes, &frame));
        const uint8_t *data = bytes.data;
        size_t len = bytes.len;

        if (swki_rpc_connection_step(f.server, f.now, &data, &len, &event,
                                     NULL) != SWK_EMALFORMED) {
            fail_msg("%s was taken", cases[i].why);
        }
        swki_buf_fini(&bytes);
        tear_down(&f);
    }
}

static void a_peer_that_ignores_its_grant_is_hung_up_on(void **state)
{
    static const uint8_t payload[WINDOW + 1];
    struct f f;
    struct swki_rpc_event event;
    struct swki_buf bytes;
    uint32_t stream;

    (void)state;
    set_up(&f);
    stream = open_call(&f, 0);
    greet(&f);
    expect(&f, f.client, f.server, SWKI_RPC_CALL);
    swki_buf_init(&bytes, NULL, SIZE_MAX);
    assert_true(swki_frame_write(
        &bytes, &(struct swki_frame){.type = SWKI_FRAME_DATA,
                                     .stream = stream,
                                     .payload = payload,
                                     .payload_len = sizeof(payload)}));
    const uint8_t *data = bytes.data;
    size_t len = bytes.len;

    assert_int_equal(swki_rpc_connection_step(f.server, f.now, &data, &len,
                                              &event, NULL),
                     SWK_EMALFORMED);
    swki_buf_fini(&bytes);
    tear_down(&f);
}

static void a_connection_that_is_down_ends_every_call_once(void **state)
{
    struct f f;
    struct swki_rpc_event event;

    (void)state;
    set_up(&f);
    open_call(&f, 0);
    open_call(&f, 5);
    for (int i = 0; i < 2; i++) {
        assert_true(swki_rpc_connection_abandon(f.client, "gone", &event));
        assert_int_equal(event.status, SWKI_STATUS_UNAVAILABLE);
        assert_string_equal(event.text, "gone");
    }
    assert_false(swki_rpc_connection_abandon(f.client, "gone", &event));
    tear_down(&f);
}

/* -- Random interleavings ---------------------------------------------------- */

/* Each call echoes messages of random lengths in pieces of random size. */
struct traffic {
    struct f f;
    struct swki_rng rng;
    unsigned opened;
    unsigned ended;
    uint64_t asked;  /* bytes, and messages, by the clients */
    uint64_t echoed;
};

static void on_server_event(struct traffic *t,
                            const struct swki_rpc_event *event)
{
    uint32_t stream = event->stream;
    size_t len = event->len;

    if (event->kind == SWKI_RPC_MESSAGE) {
        assert_int_equal(swki_rpc_connection_send(t->f.server, stream,
                                                  event->data, len, NULL),
                         0);
        swki_rpc_connection_consumed(t->f.server, stream, len);
    } else if (event->kind == SWKI_RPC_FINISHED) {
        swki_rpc_connection_end(t->f.server, stream, 0, "");
    }
}

static void on_client_event(struct traffic *t,
                            const struct swki_rpc_event *event)
{
    if (event->kind == SWKI_RPC_MESSAGE) {
        for (size_t i = 1; i < event->len; i++) {
            assert_int_equal(event->data[i],
                             (uint8_t)(event->data[i - 1] + 1));
        }
        t->echoed += event->len + 1;
        swki_rpc_connection_consumed(t->f.client, event->stream, event->len);
    } else if (event->kind == SWKI_RPC_ENDED) {
        assert_int_equal(event->status, 0);
        t->ended++;
    }
}

static void open_random(struct traffic *t)
{
    uint8_t data[5000];
    uint32_t stream = open_call(&t->f, 0);
    uint64_t messages = swki_rng_below(&t->rng, 4);

    t->opened++;
    for (uint64_t i = 0; i < messages; i++) {
        size_t len = (size_t)swki_rng_below(&t->rng, sizeof(data));

        for (size_t n = 0; n < len; n++) {
            data[n] = (uint8_t)(n + stream);
        }
        assert_int_equal(
            swki_rpc_connection_send(t->f.client, stream, data, len, NULL), 0);
        t->asked += len + 1;
    }
    swki_rpc_connection_finish(t->f.client, stream);
}

static void pass(struct traffic *t, bool to_server)
{
    struct swki_rpc_connection *from = to_server ? t->f.client : t->f.server;
    struct swki_rpc_connection *to = to_server ? t->f.server : t->f.client;
    struct swki_buf *out = swki_rpc_connection_output(from);
    size_t all = (size_t)swki_rng_below(&t->rng, out->len + 1);
    const uint8_t *data = out->data;
    size_t len = all;
    struct swki_rpc_event event;
    int rc;

    while ((rc = swki_rpc_connection_step(to, t->f.now, &data, &len, &event,
                                          NULL)) == 1) {
        if (to_server) {
            on_server_event(t, &event);
        } else {
            on_client_event(t, &event);
        }
    }
    assert_int_equal(rc, 0);
    swki_buf_consume(out, all);
}

static void random_interleavings_lose_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct traffic t = {0};

        set_up(&t.f);
        swki_rng_init(&t.rng, seed);
        for (int i = 0; i < 200000 && t.ended < RANDOM_CALLS; i++) {
            uint64_t choice = swki_rng_below(&t.rng, 20);

            if (choice == 0 && t.opened < RANDOM_CALLS) {
                open_random(&t);
            } else {
                pass(&t, choice % 2 == 0);
            }
        }
        assert_int_equal(t.ended, RANDOM_CALLS);
        assert_int_equal(t.echoed, t.asked);
        tear_down(&t.f);
    }
}

static void damaged_bytes_never_do_more_than_end_the_connection(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct f f;
        struct swki_rng rng;
        struct swki_rpc_event event;
        struct swki_buf *out;

        set_up(&f);
        swki_rng_init(&rng, seed);
        for (int i = 0; i < 5; i++) {
            uint32_t stream = open_call(&f, 100);

            assert_int_equal(
                swki_rpc_connection_send(f.client, stream, "abc", 3, NULL), 0);
            swki_rpc_connection_finish(f.client, stream);
        }
        expect(&f, f.server, f.client, SWKI_RPC_READY);
        out = swki_rpc_connection_output(f.client);
        for (int i = 0; i < 3; i++) {
            out->data[16 + swki_rng_below(&rng, out->len - 16)] ^=
                (uint8_t)(1 + swki_rng_below(&rng, 255));
        }
        const uint8_t *data = out->data;
        size_t len = out->len;
        int rc;

        while ((rc = swki_rpc_connection_step(f.server, f.now, &data, &len,
                                              &event, NULL)) == 1) {
            swki_rpc_connection_consumed(f.server, event.stream, event.len);
        }
        assert_true(rc <= 0);
        tear_down(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_carries_its_header_messages_and_status),
        cmocka_unit_test(an_anonymous_callers_address_is_carried),
        cmocka_unit_test(nobody_sends_more_than_was_granted),
        cmocka_unit_test(a_message_longer_than_the_window_is_put_together),
        cmocka_unit_test(a_message_over_the_limit_ends_the_call),
        cmocka_unit_test(many_unfinished_messages_together_have_a_limit),
        cmocka_unit_test(a_deadline_ends_the_call_at_both_ends),
        cmocka_unit_test(a_cancelled_call_ends_at_the_server),
        cmocka_unit_test(silence_is_asked_about_and_then_given_up),
        cmocka_unit_test(
            after_goaway_open_calls_go_on_and_new_ones_are_refused),
        cmocka_unit_test(too_many_calls_are_refused_at_the_client),
        cmocka_unit_test(frames_out_of_order_end_the_connection),
        cmocka_unit_test(a_peer_that_ignores_its_grant_is_hung_up_on),
        cmocka_unit_test(a_connection_that_is_down_ends_every_call_once),
        cmocka_unit_test(random_interleavings_lose_nothing),
        cmocka_unit_test(damaged_bytes_never_do_more_than_end_the_connection),
    };

    return cmocka_run_group_tests_name("rpc_connection", tests, NULL, NULL);
}
