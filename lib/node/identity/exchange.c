/* SPDX-License-Identifier: Apache-2.0 */

#include "node/identity/exchange.h"

#include "base/error.h"
#include "crypto/x509.h"
#include "node/rpc/client.h"
#include "runtime/loop/loop.h"
#include "wire/status.h"

enum {
    CALL_ID = 1,
    RESPONSE_SIZE_MAX = SWKI_PEM_LEN_MAX * 4,
};

/* The call while it is under way. */
struct exchange {
    const struct swki_exchange *what;
    struct swki_loop *loop;
    struct swki_rpc_client *client;
    struct swki_buf response;
    bool answered;
    bool done;
    struct swk_error failure; /* code 0 if it went well */
};

static void disconnected(void *ctx, const struct swk_error *reason,
                         swk_time now)
{
    struct exchange *x = ctx;

    (void)now;
    if (!x->done) {
        x->done = true;
        x->failure = *reason;
    }
}

static void message(void *ctx, uint64_t call_id, const uint8_t *data,
                    size_t len, swk_time now)
{
    struct exchange *x = ctx;

    (void)call_id;
    (void)now;
    swki_buf_clear(&x->response);
    x->answered = swki_buf_append(&x->response, data, len);
}

static void ended(void *ctx, uint64_t call_id, int status, const char *text,
                  swk_time now)
{
    struct exchange *x = ctx;

    (void)call_id;
    (void)now;
    x->done = true;
    if (status != SWKI_STATUS_OK) {
        swki_fail(&x->failure, swki_status_to_error(status), "%s", text);
    } else if (!x->answered) {
        swki_fail(&x->failure, SWK_EMALFORMED, "the manager sent no answer");
    }
}

static int begin(struct exchange *x, struct swk_error *err)
{
    const struct swki_rpc_client_config config = {
        .alloc = x->what->alloc,
        .logger = x->what->logger,
        .clock = x->what->clock,
        .transport = x->what->transport,
        .loop = x->loop,
        .address = x->what->address,
        .context = x->what->context,
        .server_name = x->what->server_name,
        .timeout_ns = x->what->connect_ns,
        .ctx = x,
        .disconnected = disconnected,
    };

    return swki_rpc_client_new(&config, &x->client, err);
}

static int send_request(struct exchange *x, struct swk_error *err)
{
    const struct swki_rpc_client_call_events events = {
        .ctx = x,
        .call_id = CALL_ID,
        .message = message,
        .ended = ended,
    };
    struct swki_buf encoded;
    int rc;

    swki_buf_init(&encoded, x->what->alloc, SIZE_MAX);
    rc = swki_message_pack(x->what->request, &encoded, err);
    if (rc == 0) {
        rc = swki_rpc_client_call(x->client, x->what->path, encoded.data,
                                  encoded.len, x->what->timeout_ns, &events,
                                  err);
    }
    swki_buf_fini(&encoded);
    return rc;
}

static int wait(struct exchange *x, struct swk_error *err)
{
    int rc = SWK_OK;

    while (rc == 0 && !x->done) {
        rc = swki_loop_wait(x->loop, SWK_NEVER, err);
    }
    if (rc == 0 && x->failure.code != 0) {
        *err = x->failure;
        rc = x->failure.code;
    }
    return rc;
}

int swki_exchange(const struct swki_exchange *exchange,
                  struct swki_arena *arena, ProtobufCMessage **out_response,
                  struct swk_error *err)
{
    struct exchange x = {.what = exchange};
    int rc = swki_loop_new(exchange->alloc, exchange->clock, &x.loop, err);

    if (rc != 0) {
        return rc;
    }
    swki_buf_init(&x.response, exchange->alloc, RESPONSE_SIZE_MAX);
    rc = begin(&x, err);
    if (rc == 0) {
        rc = send_request(&x, err);
    }
    if (rc == 0) {
        rc = wait(&x, err);
    }
    if (rc == 0) {
        rc = swki_message_unpack(exchange->response, x.response.data,
                                 x.response.len, arena, out_response, err);
    }
    swki_rpc_client_free(x.client);
    swki_buf_fini(&x.response);
    swki_loop_free(x.loop);
    return rc;
}
