/* SPDX-License-Identifier: Apache-2.0 */

/* Calls a second over loopback with TLS and certificates on both sides; the
 * client and the server in one process. One line a figure. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include <swarmkit/posix.h>

#include "integration/rpc/fixture.h"
#include "wire/frame.h"

enum {
    REQUEST_SIZE = 64,
    SECONDS = 2,
};

struct load {
    struct client client;
    uint8_t request[REQUEST_SIZE];
    uint64_t calls;
    unsigned in_flight;
    bool stopping;
};

static void start(struct load *load, uint64_t id);

static void on_message(void *ctx, uint64_t call_id, const uint8_t *data,
                       size_t len, swk_time now)
{
    (void)ctx;
    (void)call_id;
    (void)data;
    (void)now;
    assert_int_equal(len, REQUEST_SIZE);
}

static void on_ended(void *ctx, uint64_t call_id, int status, const char *text,
                     swk_time now)
{
    struct load *load = ctx;

    (void)text;
    (void)now;
    assert_int_equal(status, 0);
    load->calls++;
    load->in_flight--;
    if (!load->stopping) {
        start(load, call_id);
    }
}

static void start(struct load *load, uint64_t id)
{
    const struct swki_rpc_client_call_events events = {
        .ctx = load,
        .call_id = id,
        .message = on_message,
        .ended = on_ended,
    };

    assert_int_equal(swki_rpc_client_call(load->client.client, "/t.T/Echo",
                                          load->request, REQUEST_SIZE, 0,
                                          &events, NULL),
                     0);
    load->in_flight++;
}

static void unary(struct f *f, unsigned in_flight)
{
    const struct swk_clock *clock = swk_posix_clock();
    struct load load = {0};
    swk_time from;
    swk_time now;

    client_open(f, &load.client, f->address, f->worker_context);
    run_until(f, &load.client.connected, 1);
    from = clock->now(clock->ctx);
    for (unsigned i = 0; i < in_flight; i++) {
        start(&load, i);
    }
    do {
        assert_int_equal(swki_loop_wait(f->loop, SWK_NEVER, NULL), 0);
        now = clock->now(clock->ctx);
    } while (now - from < SECONDS * SWK_SECOND);
    printf("rpc unary 64 B, %u in flight: %.0f calls/s\n", in_flight,
           (double)load.calls * 1e9 / (double)(now - from));
    load.stopping = true;
    while (load.in_flight > 0) {
        assert_int_equal(swki_loop_wait(f->loop, SWK_NEVER, NULL), 0);
    }
    client_close(&load.client);
}

static void streams(struct f *f)
{
    const struct swk_clock *clock = swk_posix_clock();
    struct client client;
    struct call call;
    uint8_t request[8];
    swk_time from;

    swki_frame_put_u32(request, 1000);
    swki_frame_put_u32(request + 4, 64 * 1024);
    client_open(f, &client, f->address, f->worker_context);
    run_until(f, &client.connected, 1);
    from = clock->now(clock->ctx);
    call_start(&client, &call, "/t.T/Stream", request, sizeof(request), 0);
    run_until(f, &call.ended, 1);
    assert_int_equal(call.status, 0);
    printf("rpc server stream, 64 KiB messages: %.0f MB/s\n",
           (double)call.bytes * 1e3 /
               (double)(clock->now(clock->ctx) - from));
    call_fini(&call);
    client_close(&client);
}

int main(void)
{
    struct f f;

    set_up_begin(&f);
    f.server_config.unsent_max = 128 << 20;
    set_up_end(&f);
    unary(&f, 1);
    unary(&f, 64);
    streams(&f);
    tear_down(&f);
    return 0;
}
