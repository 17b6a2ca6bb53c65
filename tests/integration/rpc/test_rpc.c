/* SPDX-License-Identifier: Apache-2.0 */

/* The RPC server and client over real sockets, with real certificates. */

#include "lib/cmocka_all.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#include "integration/rpc/fixture.h"
#include "swarmkit/rpc.pb-c.h"
#include "wire/frame.h"
#include "wire/status.h"

enum {
    CROWD = 200,
};

static bool last_is(const struct call *call, const char *text)
{
    return call->last.len == strlen(text) &&
           memcmp(call->last.data, text, call->last.len) == 0;
}

static void a_unary_call_is_answered_over_tls_and_locally(void **state)
{
    struct f f;

    (void)state;
    set_up(&f);
    for (int local = 0; local < 2; local++) {
        struct client client;
        struct call call;
        char address[128];

        snprintf(address, sizeof(address), "ipc://%s", f.path);
        client_open(&f, &client, local ? address : f.address,
                    local ? NULL : f.worker_context);
        call_start(&client, &call, "/t.T/Echo", "hello", 5, 0);
        run_until(&f, &call.ended, 1);
        assert_int_equal(call.status, SWKI_STATUS_OK);
        assert_int_equal(call.messages, 1);
        assert_true(last_is(&call, "hello"));
        call_fini(&call);
        call_start(&client, &call, "/t.T/Who", "", 0, 0);
        run_until(&f, &call.ended, 1);
        assert_true(last_is(&call, local ? "local" : "w1"));
        call_fini(&call);
        call_start(&client, &call, "/t.T/Other", "", 0, 0);
        run_until(&f, &call.ended, 1);
        assert_int_equal(call.status, SWKI_STATUS_NOT_FOUND);
        assert_string_equal(call.text, "no such thing");
        call_fini(&call);
        client_close(&client);
    }
    run_until_server(&f, &f.closed, 6);
    tear_down(&f);
}

static void a_client_without_certificate_is_anonymous(void **state)
{
    struct f f;
    struct client client;
    struct call call;

    (void)state;
    set_up(&f);
    client_open(&f, &client, f.address, f.anonymous_context);
    call_start(&client, &call, "/t.T/Who", "", 0, 0);
    run_until(&f, &call.ended, 1);
    assert_true(last_is(&call, "anonymous"));
    call_fini(&call);
    client_close(&client);
    tear_down(&f);
}

static void strangers_are_told_that_their_certificate_was_refused(void **state)
{
    struct f f;
    struct pki other;
    struct pki_node node;
    struct client client;
    struct call call;

    (void)state;
    set_up(&f);
    pki_init(&other, 99);
    pki_node_init(&other, &node, "w9", SWKI_ROLE_WORKER);
    /* A server of another swarm, as this client sees it, and the reverse. */
    struct swki_tls_context *context =
        make_context(&other, &node, SWKI_TLS_CLIENT);

    client_open(&f, &client, f.address, context);
    call_start(&client, &call, "/t.T/Echo", "x", 1, 0);
    run_until(&f, &client.disconnected, 1);
    assert_int_equal(client.reason.code, SWK_EUNAUTHENTICATED);
    assert_int_equal(call.status, SWKI_STATUS_UNAUTHENTICATED);
    assert_int_equal(call.ended, 1);
    call_fini(&call);
    client_close(&client);
    swki_tls_context_unref(context);
    pki_node_fini(&node);
    pki_fini(&other);
    tear_down(&f);
}

static void a_stream_passes_many_windows(void **state)
{
    struct f f;
    struct client client;
    struct call call;
    uint8_t request[8];

    (void)state;
    set_up(&f);
    swki_frame_put_u32(request, 300);
    swki_frame_put_u32(request + 4, 64 * 1024);
    client_open(&f, &client, f.address, f.worker_context);
    call_start(&client, &call, "/t.T/Stream", request, 8, 0);
    run_until(&f, &call.ended, 1);
    assert_int_equal(call.status, SWKI_STATUS_OK);
    assert_int_equal(call.messages, 300);
    assert_int_equal(call.bytes, 300 * 64 * 1024);
    call_fini(&call);
    client_close(&client);
    tear_down(&f);
}

static void a_big_message_passes_and_one_over_the_limit_is_refused(void **state)
{
    static const struct {
        size_t len;
        int status;
    } cases[] = {
        {3 << 20, SWKI_STATUS_OK},
        {5 << 20, SWKI_STATUS_RESOURCE_EXHAUSTED},
        {1, SWKI_STATUS_OK},
    };
    uint8_t *big = calloc(1, 5 << 20);
    struct f f;
    struct client client;

    (void)state;
    assert_non_null(big);
    set_up(&f);
    client_open(&f, &client, f.address, f.worker_context);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct call call;

        call_start(&client, &call, "/t.T/Echo", big, cases[i].len, 0);
        run_until(&f, &call.ended, 1);
        assert_int_equal(call.status, cases[i].status);
        if (cases[i].status == SWKI_STATUS_OK) {
            assert_int_equal(call.last.len, cases[i].len);
        }
        call_fini(&call);
    }
    client_close(&client);
    tear_down(&f);
    free(big);
}

static void a_client_streams_messages_and_is_answered_at_the_end(void **state)
{
    static const uint8_t data[50000];
    struct f f;
    struct client client;
    struct call call;
    uint64_t id = (uint64_t)(uintptr_t)&call;

    (void)state;
    set_up(&f);
    client_open(&f, &client, f.address, f.worker_context);
    call_open(&client, &call, "/t.T/Collect");
    for (int i = 0; i < 100; i++) {
        assert_int_equal(swki_rpc_client_send(client.client, id, data,
                                              sizeof(data), NULL),
                         0);
    }
    swki_rpc_client_finish(client.client, id);
    run_until(&f, &call.ended, 1);
    assert_int_equal(call.status, SWKI_STATUS_OK);
    assert_int_equal(swki_frame_get_u32(call.last.data), 100 * sizeof(data));
    assert_int_equal(swki_rpc_client_send(client.client, id, data, 1, NULL),
                     SWK_ENOTFOUND);
    call_fini(&call);
    client_close(&client);
    tear_down(&f);
}

/* Each message is answered before the next is sent: neither side waits for the
 * other's end. */
static void a_stream_talks_both_ways(void **state)
{
    struct f f;
    struct client client;
    struct call call;
    uint64_t id = (uint64_t)(uintptr_t)&call;

    (void)state;
    set_up(&f);
    client_open(&f, &client, f.address, f.worker_context);
    call_open(&client, &call, "/t.T/Talk");
    for (unsigned i = 0; i < 20; i++) {
        uint8_t word[4];

        swki_frame_put_u32(word, i);
        assert_int_equal(swki_rpc_client_send(client.client, id, word,
                                              sizeof(word), NULL),
                         0);
        run_until(&f, &call.messages, i + 1);
        assert_int_equal(swki_frame_get_u32(call.last.data), i);
        assert_int_equal(call.ended, 0);
    }
    swki_rpc_client_finish(client.client, id);
    run_until(&f, &call.ended, 1);
    assert_int_equal(call.status, SWKI_STATUS_OK);
    call_fini(&call);
    client_close(&client);
    tear_down(&f);
}

static void a_reader_that_is_too_slow_is_cut_off(void **state)
{
    struct f f;
    struct client client;
    struct call call;
    uint8_t request[8];

    (void)state;
    set_up_begin(&f);
    f.server_config.unsent_max = 1 << 20;
    set_up_end(&f);
    /* All at once, before anything can be read. */
    swki_frame_put_u32(request, 100);
    swki_frame_put_u32(request + 4, 64 * 1024);
    client_open(&f, &client, f.address, f.worker_context);
    call_start(&client, &call, "/t.T/Stream", request, 8, 0);
    run_until(&f, &call.ended, 1);
    assert_int_equal(call.status, SWKI_STATUS_RESOURCE_EXHAUSTED);
    call_fini(&call);
    call_start(&client, &call, "/t.T/Echo", "on", 2, 0);
    run_until(&f, &call.ended, 1);
    assert_int_equal(call.status, SWKI_STATUS_OK);
    call_fini(&call);
    client_close(&client);
    tear_down(&f);
}

static void deadlines_and_cancels_close_the_call_at_both_ends(void **state)
{
    struct f f;
    struct client client;
    struct call timed;
    struct call cancelled;

    (void)state;
    set_up(&f);
    client_open(&f, &client, f.address, f.worker_context);
    call_start(&client, &timed, "/t.T/Never", "", 0, 300 * SWK_MILLISECOND);
    call_start(&client, &cancelled, "/t.T/Never", "", 0, 0);
    run_until(&f, &timed.ended, 1);
    assert_int_equal(timed.status, SWKI_STATUS_DEADLINE_EXCEEDED);
    run_until_server(&f, &f.closed, 1);
    assert_int_equal(atomic_load(&f.open), 1);
    swki_rpc_client_cancel(client.client, (uint64_t)(uintptr_t)&cancelled);
    run_until_server(&f, &f.closed, 2);
    assert_int_equal(cancelled.ended, 0);
    call_fini(&timed);
    call_fini(&cancelled);
    client_close(&client);
    tear_down(&f);
}

static void a_peer_that_vanishes_closes_its_calls(void **state)
{
    struct f f;
    struct client client;
    struct call call;

    (void)state;
    set_up(&f);
    client_open(&f, &client, f.address, f.worker_context);
    call_start(&client, &call, "/t.T/Never", "", 0, 0);
    run_until_server(&f, &f.open, 1);
    client_close(&client);
    run_until_server(&f, &f.closed, 1);
    assert_int_equal(call.ended, 0);
    call_fini(&call);
    tear_down(&f);
}

static bool is_dropped(void *ctx, const char *node_id)
{
    return strcmp(((const struct f *)ctx)->drop_node, node_id) == 0;
}

static void drop(struct swki_message *message, swk_time now)
{
    struct f *f = SWKI_CONTAINER(message, struct f, errand);

    (void)now;
    swki_rpc_server_drop_removed(f->server, is_dropped, f);
}

static void
a_removed_node_is_told_and_disconnected_and_others_stay(void **state)
{
    struct f f;
    struct client worker;
    struct client anonymous;
    struct call call;
    struct call other;

    (void)state;
    set_up(&f);
    client_open(&f, &worker, f.address, f.worker_context);
    client_open(&f, &anonymous, f.address, f.anonymous_context);
    call_start(&worker, &call, "/t.T/Never", "", 0, 0);
    call_start(&anonymous, &other, "/t.T/Never", "", 0, 0);
    run_until_server(&f, &f.open, 2);
    f.drop_node = "w1";
    f.errand.handle = drop;
    swki_loop_post(f.server_loop, &f.errand);
    run_until(&f, &worker.disconnected, 1);
    assert_int_equal(call.status, SWKI_STATUS_PERMISSION_DENIED);
    assert_string_equal(call.text,
                        "Permission denied: node w1 was removed from swarm");
    assert_int_equal(anonymous.disconnected, 0);
    assert_int_equal(other.ended, 0);
    call_fini(&call);
    call_fini(&other);
    client_close(&worker);
    client_close(&anonymous);
    tear_down(&f);
}

static int connect_raw(const struct f *f)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)f->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    return fd;
}

static void garbage_and_silence_are_hung_up_on(void **state)
{
    static const char garbage[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    struct f f;
    char buf[256];

    (void)state;
    set_up_begin(&f);
    f.server_config.handshake_timeout_ns = 200 * SWK_MILLISECOND;
    set_up_end(&f);
    for (int silent = 0; silent < 2; silent++) {
        int fd = connect_raw(&f);
        ssize_t n;

        if (!silent) {
            assert_int_equal(write(fd, garbage, strlen(garbage)),
                             (ssize_t)strlen(garbage));
        }
        do { /* an alert may come first */
            n = read(fd, buf, sizeof(buf));
        } while (n > 0);
        close(fd);
    }
    tear_down(&f);
}

/* Their time to greet is longer than this test. */
static void silent_strangers_do_not_keep_local_users_out(void **state)
{
    enum { SILENT = 8 };
    struct f f;
    struct client client;
    struct call call;
    char address[128];
    int fds[SILENT];

    (void)state;
    set_up_begin(&f);
    f.server_config.handshakes_max = 2;
    set_up_end(&f);
    for (size_t i = 0; i < SILENT; i++) {
        fds[i] = connect_raw(&f);
    }
    snprintf(address, sizeof(address), "ipc://%s", f.path);
    client_open(&f, &client, address, NULL);
    call_start(&client, &call, "/t.T/Echo", "x", 1, 5 * SWK_SECOND);
    run_until(&f, &call.ended, 1);
    assert_int_equal(call.status, SWKI_STATUS_OK);
    call_fini(&call);
    client_close(&client);
    for (size_t i = 0; i < SILENT; i++) {
        close(fds[i]);
    }
    tear_down(&f);
}

static void a_stranger_may_not_send_a_large_request(void **state)
{
    enum { LARGE = 100000 };
    char *request = calloc(1, LARGE);
    struct f f;
    struct client client;
    struct call call;

    (void)state;
    set_up(&f);
    client_open(&f, &client, f.address, f.anonymous_context);
    call_start(&client, &call, "/t.T/Echo", request, LARGE, 0);
    run_until(&f, &call.ended, 1);
    assert_int_equal(call.status, SWKI_STATUS_RESOURCE_EXHAUSTED);
    call_fini(&call);
    client_close(&client);
    client_open(&f, &client, f.address, f.worker_context);
    call_start(&client, &call, "/t.T/Echo", request, LARGE, 0);
    run_until(&f, &call.ended, 1);
    assert_int_equal(call.status, SWKI_STATUS_OK);
    call_fini(&call);
    client_close(&client);
    tear_down(&f);
    free(request);
}

static void nobody_listening_is_said_so(void **state)
{
    struct f f;
    struct client client;
    struct call call;

    (void)state;
    set_up(&f);
    client_open(&f, &client, "tcp://127.0.0.1:1", f.worker_context);
    call_start(&client, &call, "/t.T/Echo", "x", 1, 0);
    run_until(&f, &client.disconnected, 1);
    assert_int_equal(client.reason.code, SWK_EUNAVAILABLE);
    assert_non_null(strstr(client.reason.text, "connection refused"));
    assert_int_equal(call.status, SWKI_STATUS_UNAVAILABLE);
    call_fini(&call);
    client_close(&client);
    tear_down(&f);
}

static void a_client_may_be_freed_while_it_dials(void **state)
{
    struct f f;

    (void)state;
    set_up(&f);
    for (int i = 0; i < 20; i++) {
        struct client client;

        client_open(&f, &client, f.address, f.worker_context);
        for (int turns = 0; turns < i; turns++) {
            swki_loop_process(f.loop);
        }
        client_close(&client);
    }
    tear_down(&f);
}

static void a_crowd_calls_at_once_and_leaves_no_descriptor(void **state)
{
    static struct client clients[CROWD];
    static struct call calls[CROWD];
    struct f f;
    unsigned before;

    (void)state;
    set_up_begin(&f);
    f.server_config.rooms[SWKI_RPC_WORKER].per_party = CROWD;
    set_up_end(&f);
    before = open_descriptors();
    for (size_t i = 0; i < CROWD; i++) {
        client_open(&f, &clients[i], f.address, f.worker_context);
        call_start(&clients[i], &calls[i], "/t.T/Echo", "x", 1, 0);
    }
    for (size_t i = 0; i < CROWD; i++) {
        run_until(&f, &calls[i].ended, 1);
        assert_int_equal(calls[i].status, SWKI_STATUS_OK);
        call_fini(&calls[i]);
    }
    for (size_t i = 0; i < CROWD; i++) {
        client_close(&clients[i]);
    }
    for (int i = 0; i < 500 && open_descriptors() > before; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_true(open_descriptors() <= before);
    tear_down(&f);
}

static void connections_over_the_limit_are_refused(void **state)
{
    struct f f;
    struct client first;
    struct client second;
    struct call call;

    (void)state;
    set_up_begin(&f);
    f.server_config.connections_per_address_max = 1;
    set_up_end(&f);
    client_open(&f, &first, f.address, f.worker_context);
    call_start(&first, &call, "/t.T/Never", "", 0, 0);
    run_until_server(&f, &f.open, 1);
    client_open(&f, &second, f.address, f.worker_context);
    run_until(&f, &second.disconnected, 1);
    assert_int_equal(first.disconnected, 0);
    call_fini(&call);
    client_close(&first);
    client_close(&second);
    tear_down(&f);
}

/* Of one node; others are not touched. */
static void a_worker_s_oldest_connection_makes_room(void **state)
{
    struct swki_tls_context *manager;
    struct f f;
    struct client other;
    struct client clients[3];

    (void)state;
    set_up_begin(&f);
    manager = make_context(&f.pki, &f.manager, SWKI_TLS_CLIENT);
    f.server_config.rooms[SWKI_RPC_WORKER].per_party = 2;
    set_up_end(&f);
    client_open(&f, &other, f.address, manager);
    run_until(&f, &other.connected, 1);
    for (size_t i = 0; i < 3; i++) {
        client_open(&f, &clients[i], f.address, f.worker_context);
        run_until(&f, &clients[i].connected, 1);
    }
    run_until(&f, &clients[0].disconnected, 1);
    assert_int_equal(clients[1].disconnected, 0);
    assert_int_equal(clients[2].disconnected, 0);
    assert_int_equal(other.disconnected, 0);
    for (size_t i = 0; i < 3; i++) {
        client_close(&clients[i]);
    }
    client_close(&other);
    swki_tls_context_unref(manager);
    tear_down(&f);
}

static void the_oldest_stranger_makes_room(void **state)
{
    struct f f;
    struct client node;
    struct client strangers[3];

    (void)state;
    set_up_begin(&f);
    f.server_config.rooms[SWKI_RPC_STRANGER].in_all = 2;
    set_up_end(&f);
    client_open(&f, &node, f.address, f.worker_context);
    run_until(&f, &node.connected, 1);
    for (size_t i = 0; i < 3; i++) {
        client_open(&f, &strangers[i], f.address, f.anonymous_context);
        run_until(&f, &strangers[i].connected, 1);
    }
    run_until(&f, &strangers[0].disconnected, 1);
    assert_int_equal(strangers[1].disconnected, 0);
    assert_int_equal(strangers[2].disconnected, 0);
    assert_int_equal(node.disconnected, 0);
    for (size_t i = 0; i < 3; i++) {
        client_close(&strangers[i]);
    }
    client_close(&node);
    tear_down(&f);
}

/* One that waits for an answer is not quiet, but must leave at last. */
static void strangers_are_hung_up_on(void **state)
{
    struct f f;
    struct client quiet;
    struct client waiting;
    struct client node;
    struct call call;

    (void)state;
    set_up_begin(&f);
    f.server_config.stranger_quiet_ns = 50 * SWK_MILLISECOND;
    f.server_config.stranger_life_ns = 1000 * SWK_MILLISECOND;
    set_up_end(&f);
    client_open(&f, &node, f.address, f.worker_context);
    client_open(&f, &waiting, f.address, f.anonymous_context);
    call_start(&waiting, &call, "/t.T/Never", "", 0, 0);
    run_until_server(&f, &f.open, 1);
    client_open(&f, &quiet, f.address, f.anonymous_context);
    run_until(&f, &quiet.disconnected, 1);
    assert_int_equal(quiet.connected, 1);
    assert_int_equal(waiting.disconnected, 0);
    run_until(&f, &waiting.disconnected, 1);
    assert_int_equal(call.ended, 1);
    assert_int_equal(node.disconnected, 0);
    call_fini(&call);
    client_close(&quiet);
    client_close(&waiting);
    client_close(&node);
    tear_down(&f);
}

/* Each call keeps its header while it is open. */
static void a_long_name_of_a_forwarded_caller_is_refused(void **state)
{
    char name[SWKI_RPC_NAME_MAX + 2];
    const struct swki_rpc_header header = {
        .path = "/t.T/Echo",
        .forwarded_node_id = name,
    };
    const struct swki_rpc_client_call_events events = {.call_id = 1};
    struct f f;
    struct client client;

    (void)state;
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    set_up(&f);
    client_open(&f, &client, f.address, f.worker_context);
    assert_int_equal(
        swki_rpc_client_open(client.client, &header, &events, NULL),
        SWK_EINVAL);
    client_close(&client);
    tear_down(&f);
}

/* One exchange of a stock REQ client; the response is to be freed. */
static Swkpb__Rpc__LocalResponse *request_req(nng_socket s, const char *method,
                                              const char *request)
{
    Swkpb__Rpc__LocalRequest message;
    Swkpb__Rpc__LocalResponse *response;
    uint8_t packed[256];
    void *reply;
    size_t reply_len;

    swkpb__rpc__local_request__init(&message);
    message.method = (char *)(uintptr_t)method;
    message.request.data = (uint8_t *)(uintptr_t)request;
    message.request.len = strlen(request);
    message.request_id = (char *)(uintptr_t)"r-17";
    assert_int_equal(
        nng_send(s, packed, protobuf_c_message_pack(&message.base, packed), 0),
        0);
    assert_int_equal(nng_recv(s, &reply, &reply_len, NNG_FLAG_ALLOC), 0);
    response = (Swkpb__Rpc__LocalResponse *)protobuf_c_message_unpack(
        &swkpb__rpc__local_response__descriptor, NULL, reply_len, reply);
    nng_free(reply, reply_len);
    assert_non_null(response);
    return response;
}

static void a_stock_req_client_is_served_on_the_local_socket(void **state)
{
    static const struct {
        const char *method;
        const char *request;
        int code;
        const char *response;
    } cases[] = {
        {"/t.T/Echo", "hello", SWKI_STATUS_OK, "hello"},
        {"/t.T/Who", "", SWKI_STATUS_OK, "local"},
        {"/t.T/Id", "", SWKI_STATUS_OK, "r-17"},
        {"/t.T/Other", "", SWKI_STATUS_NOT_FOUND, ""},
        {"/t.T/Stream", "\2\1\1\1\1\1\1\1", SWKI_STATUS_OK, ""},
    };
    struct f f;
    nng_socket s;
    char address[128];

    (void)state;
    set_up(&f);
    snprintf(address, sizeof(address), "ipc://%s", f.path);
    assert_int_equal(nng_req0_open(&s), 0);
    assert_int_equal(nng_socket_set_ms(s, NNG_OPT_RECVTIMEO, 10000), 0);
    assert_int_equal(nng_dial(s, address, NULL, 0), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Swkpb__Rpc__LocalResponse *response =
            request_req(s, cases[i].method, cases[i].request);

        assert_int_equal(response->code, cases[i].code);
        assert_int_equal(response->response.len, strlen(cases[i].response));
        if (response->response.len > 0) {
            assert_memory_equal(response->response.data, cases[i].response,
                                response->response.len);
        }
        protobuf_c_message_free_unpacked(&response->base, NULL);
    }
    nng_close(s);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unary_call_is_answered_over_tls_and_locally),
        cmocka_unit_test(a_client_without_certificate_is_anonymous),
        cmocka_unit_test(strangers_are_told_that_their_certificate_was_refused),
        cmocka_unit_test(a_stream_passes_many_windows),
        cmocka_unit_test(
            a_big_message_passes_and_one_over_the_limit_is_refused),
        cmocka_unit_test(a_client_streams_messages_and_is_answered_at_the_end),
        cmocka_unit_test(a_stream_talks_both_ways),
        cmocka_unit_test(a_reader_that_is_too_slow_is_cut_off),
        cmocka_unit_test(deadlines_and_cancels_close_the_call_at_both_ends),
        cmocka_unit_test(a_peer_that_vanishes_closes_its_calls),
        cmocka_unit_test(
            a_removed_node_is_told_and_disconnected_and_others_stay),
        cmocka_unit_test(garbage_and_silence_are_hung_up_on),
        cmocka_unit_test(nobody_listening_is_said_so),
        cmocka_unit_test(a_client_may_be_freed_while_it_dials),
        cmocka_unit_test(a_crowd_calls_at_once_and_leaves_no_descriptor),
        cmocka_unit_test(connections_over_the_limit_are_refused),
        cmocka_unit_test(a_worker_s_oldest_connection_makes_room),
        cmocka_unit_test(the_oldest_stranger_makes_room),
        cmocka_unit_test(strangers_are_hung_up_on),
        cmocka_unit_test(a_long_name_of_a_forwarded_caller_is_refused),
        cmocka_unit_test(silent_strangers_do_not_keep_local_users_out),
        cmocka_unit_test(a_stranger_may_not_send_a_large_request),
        cmocka_unit_test(a_stock_req_client_is_served_on_the_local_socket),
    };

    return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}
