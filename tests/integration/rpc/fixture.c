/* SPDX-License-Identifier: Apache-2.0 */

#include "integration/rpc/fixture.h"

#include "lib/cmocka_all.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <swarmkit/posix.h>

#include "wire/frame.h"
#include "wire/status.h"

enum {
    PATIENCE_SECONDS = 60,
};

/* -- The server's methods --------------------------------------------------- */

static void stream(struct swki_rpc_call *call, const uint8_t *data, size_t len)
{
    static const uint8_t filler[64 * 1024];
    uint32_t count = len == 8 ? swki_frame_get_u32(data) : 0;
    uint32_t size = len == 8 ? swki_frame_get_u32(data + 4) : 0;

    for (uint32_t i = 0; i < count && size <= sizeof(filler); i++) {
        swki_rpc_call_send(call, filler, size);
    }
    swki_rpc_call_end(call, SWKI_STATUS_OK, "");
}

static void who(struct swki_rpc_call *call)
{
    const struct swki_rpc_call_info *info = swki_rpc_call_info(call);
    const char *name = info->identified ? info->peer.node_id
                       : info->local    ? "local"
                                        : "anonymous";

    swki_rpc_call_send(call, (const uint8_t *)name, strlen(name));
    swki_rpc_call_end(call, SWKI_STATUS_OK, "");
}

static void on_request(void *ctx, struct swki_rpc_call *call,
                       const uint8_t *data, size_t len, swk_time now)
{
    struct f *f = ctx;
    const char *path = swki_rpc_call_info(call)->path;

    (void)now;
    atomic_fetch_add(&f->open, 1);
    if (strcmp(path, "/t.T/Echo") == 0) {
        swki_rpc_call_send(call, data, len);
        swki_rpc_call_end(call, SWKI_STATUS_OK, "");
    } else if (strcmp(path, "/t.T/Stream") == 0) {
        stream(call, data, len);
    } else if (strcmp(path, "/t.T/Who") == 0) {
        who(call);
    } else if (strcmp(path, "/t.T/Id") == 0) {
        const char *id = swki_rpc_call_info(call)->request_id;

        swki_rpc_call_send(call, (const uint8_t *)id, strlen(id));
        swki_rpc_call_end(call, SWKI_STATUS_OK, "");
    } else if (strcmp(path, "/t.T/Collect") == 0) {
        f->collected = len;
    } else if (strcmp(path, "/t.T/Talk") == 0) {
        swki_rpc_call_send(call, data, len);
    } else if (strcmp(path, "/t.T/Never") != 0) {
        swki_rpc_call_end(call, SWKI_STATUS_NOT_FOUND, "no such thing");
    }
}

static void on_more(void *ctx, struct swki_rpc_call *call, const uint8_t *data,
                    size_t len, swk_time now)
{
    struct f *f = ctx;

    (void)now;
    if (strcmp(swki_rpc_call_info(call)->path, "/t.T/Talk") == 0) {
        swki_rpc_call_send(call, data, len);
    } else {
        f->collected += len;
    }
}

static void on_finished(void *ctx, struct swki_rpc_call *call, swk_time now)
{
    const struct f *f = ctx;
    uint8_t sum[4];

    (void)now;
    if (strcmp(swki_rpc_call_info(call)->path, "/t.T/Collect") == 0) {
        swki_frame_put_u32(sum, (uint32_t)f->collected);
        swki_rpc_call_send(call, sum, sizeof(sum));
        swki_rpc_call_end(call, SWKI_STATUS_OK, "");
    } else if (strcmp(swki_rpc_call_info(call)->path, "/t.T/Talk") == 0) {
        swki_rpc_call_end(call, SWKI_STATUS_OK, "");
    }
}

static void on_closed(void *ctx, struct swki_rpc_call *call, swk_time now)
{
    struct f *f = ctx;

    (void)call;
    (void)now;
    atomic_fetch_add(&f->closed, 1);
    atomic_fetch_sub(&f->open, 1);
}

/* -- Set up ------------------------------------------------------------------ */

static swk_wall fixed_wall(void *ctx)
{
    (void)ctx;
    return PKI_NOW + (swk_wall)SWK_HOUR;
}

struct swki_tls_context *make_context(struct pki *pki,
                                      const struct pki_node *node,
                                      enum swki_tls_side side)
{
    const struct swki_tls_config config = {
        .side = side,
        .chain_pem = node == NULL ? NULL : pki_text(&node->chain),
        .key_pem = node == NULL ? NULL : pki_text(&node->key),
        .roots_pem = pki_text(&pki->root),
        .entropy = swk_posix_entropy()->fill,
        .entropy_ctx = swk_posix_entropy()->ctx,
        .wall = fixed_wall,
    };
    struct swki_tls_context *context = NULL;
    struct swk_error err = {0};

    if (swki_tls_context_new(NULL, &config, &context, &err) != SWK_OK) {
        fail_msg("%s", err.text);
    }
    return context;
}

static void *run_server(void *arg)
{
    swki_loop_run(arg, NULL);
    return NULL;
}

void set_up_begin(struct f *f)
{
    memset(f, 0, sizeof(*f));
    pki_init(&f->pki, 7);
    pki_node_init(&f->pki, &f->manager, "m1", SWKI_ROLE_MANAGER);
    pki_node_init(&f->pki, &f->worker, "w1", SWKI_ROLE_WORKER);
    f->server_context = make_context(&f->pki, &f->manager, SWKI_TLS_SERVER);
    f->worker_context = make_context(&f->pki, &f->worker, SWKI_TLS_CLIENT);
    f->anonymous_context = make_context(&f->pki, NULL, SWKI_TLS_CLIENT);
    assert_int_equal(swk_nng_transport_new(NULL, NULL, &f->transport, NULL),
                     0);
    assert_int_equal(
        swki_loop_new(NULL, swk_posix_clock(), &f->server_loop, NULL), 0);
    assert_int_equal(swki_loop_new(NULL, swk_posix_clock(), &f->loop, NULL),
                     0);
    strcpy(f->dir, "/tmp/swk-rpc-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
    f->server_config = (struct swki_rpc_server_config){
        .clock = swk_posix_clock(),
        .transport = swk_nng_transport_port(f->transport),
        .loop = f->server_loop,
        .handshake_timeout_ns = PATIENCE_SECONDS * SWK_SECOND,
        .handler = {.ctx = f,
                    .request = on_request,
                    .message = on_more,
                    .finished = on_finished,
                    .closed = on_closed},
    };
}

void set_up_end(struct f *f)
{
    struct swk_error err = {0};

    assert_int_equal(swki_rpc_server_new(&f->server_config, &f->server, NULL),
                     0);
    if (swki_rpc_server_listen(f->server, "tcp://127.0.0.1:0",
                               f->server_context, &f->port, &err) != SWK_OK ||
        swki_rpc_server_listen_local(f->server, f->path, &err) != SWK_OK) {
        fail_msg("%s", err.text);
    }
    snprintf(f->address, sizeof(f->address), "tcp://127.0.0.1:%d", f->port);
    pthread_create(&f->thread, NULL, run_server, f->server_loop);
}

void set_up(struct f *f)
{
    set_up_begin(f);
    set_up_end(f);
}

void tear_down(struct f *f)
{
    char command[128];

    swki_loop_stop(f->server_loop);
    pthread_join(f->thread, NULL);
    swki_rpc_server_free(f->server);
    assert_int_equal(atomic_load(&f->open), 0);
    swk_nng_transport_free(f->transport);
    swki_loop_free(f->server_loop);
    swki_loop_free(f->loop);
    swki_tls_context_unref(f->server_context);
    swki_tls_context_unref(f->worker_context);
    swki_tls_context_unref(f->anonymous_context);
    pki_node_fini(&f->manager);
    pki_node_fini(&f->worker);
    pki_fini(&f->pki);
    snprintf(command, sizeof(command), "rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
}

/* -- Clients ----------------------------------------------------------------- */

static void on_connected(void *ctx, swk_time now)
{
    struct client *client = ctx;

    (void)now;
    client->connected++;
}

static void on_disconnected(void *ctx, const struct swk_error *reason,
                            swk_time now)
{
    struct client *client = ctx;

    (void)now;
    client->disconnected++;
    client->reason = *reason;
}

void client_open(struct f *f, struct client *client, const char *address,
                 struct swki_tls_context *context)
{
    const struct swki_rpc_client_config config = {
        .clock = swk_posix_clock(),
        .transport = swk_nng_transport_port(f->transport),
        .loop = f->loop,
        .address = address,
        .timeout_ns = PATIENCE_SECONDS * SWK_SECOND,
        .context = context,
        .server_name = context == NULL ? NULL : SWKI_OU_MANAGER,
        .ctx = client,
        .connected = on_connected,
        .disconnected = on_disconnected,
    };
    struct swk_error err = {0};

    *client = (struct client){.f = f};
    if (swki_rpc_client_new(&config, &client->client, &err) != SWK_OK) {
        fail_msg("%s", err.text);
    }
}

void client_close(struct client *client)
{
    swki_rpc_client_free(client->client);
    client->client = NULL;
}

static void on_message(void *ctx, uint64_t call_id, const uint8_t *data,
                       size_t len, swk_time now)
{
    struct call *call = ctx;

    (void)call_id;
    (void)now;
    call->messages++;
    call->bytes += len;
    swki_buf_clear(&call->last);
    assert_true(swki_buf_append(&call->last, data, len));
}

static void on_ended(void *ctx, uint64_t call_id, int status, const char *text,
                     swk_time now)
{
    struct call *call = ctx;

    (void)call_id;
    (void)now;
    call->ended++;
    call->status = status;
    snprintf(call->text, sizeof(call->text), "%s", text);
}

void call_open(struct client *client, struct call *call, const char *path)
{
    const struct swki_rpc_header header = {.path = path};
    const struct swki_rpc_client_call_events events = {
        .ctx = call,
        .call_id = (uint64_t)(uintptr_t)call,
        .message = on_message,
        .ended = on_ended,
    };

    *call = (struct call){.client = client};
    swki_buf_init(&call->last, NULL, SIZE_MAX);
    assert_int_equal(
        swki_rpc_client_open(client->client, &header, &events, NULL), 0);
}

void call_start(struct client *client, struct call *call, const char *path,
                const void *request, size_t len, swk_time timeout_ns)
{
    const struct swki_rpc_client_call_events events = {
        .ctx = call,
        .call_id = (uint64_t)(uintptr_t)call,
        .message = on_message,
        .ended = on_ended,
    };
    struct swk_error err = {0};

    *call = (struct call){.client = client};
    swki_buf_init(&call->last, NULL, SIZE_MAX);
    if (swki_rpc_client_call(client->client, path, request, len, timeout_ns,
                             &events, &err) != SWK_OK) {
        fail_msg("%s", err.text);
    }
}

void call_fini(struct call *call)
{
    swki_buf_fini(&call->last);
}

static void turn_once(struct f *f, swk_time until)
{
    swk_time now = swk_posix_clock()->now(NULL);

    if (now >= until) {
        fail_msg("waited in vain");
    }
    assert_int_equal(swki_loop_wait(f->loop, now + 20 * SWK_MILLISECOND, NULL),
                     0);
}

void run_until(struct f *f, const unsigned *value, unsigned least)
{
    swk_time until =
        swk_posix_clock()->now(NULL) + PATIENCE_SECONDS * SWK_SECOND;

    while (*value < least) {
        turn_once(f, until);
    }
}

void run_until_server(struct f *f, atomic_uint *value, unsigned least)
{
    swk_time until =
        swk_posix_clock()->now(NULL) + PATIENCE_SECONDS * SWK_SECOND;

    while (atomic_load(value) < least) {
        turn_once(f, until);
    }
}

unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}
