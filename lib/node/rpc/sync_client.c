/* SPDX-License-Identifier: Apache-2.0 */

#include <swarmkit/client.h>

#include <stdio.h>
#include <string.h>

#include <swarmkit/nng_transport.h>
#include <swarmkit/posix.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "node/rpc/client.h"
#include "wire/status.h"

struct swk_client {
    const struct swk_alloc *alloc;
    swk_nng_transport *transport;
    struct swki_loop *loop;
    struct swki_rpc_client *rpc;
    bool connected;
    bool down;
    struct swk_error reason;
    int status; /* of the last call that ended */
    uint64_t last_id;
    char request_id[SWKI_RPC_REQUEST_ID_MAX + 1];
};

struct message {
    struct swki_link link;
    uint8_t *data;
    size_t len;
};

struct swk_client_stream {
    struct swk_client *client;
    struct swki_link messages;
    uint64_t id;
    bool ended;
    int status;
    struct swk_error err; /* if the status is not OK */
};

/* -- Opening ---------------------------------------------------------------- */

static void on_connected(void *ctx, swk_time now)
{
    struct swk_client *client = ctx;

    (void)now;
    client->connected = true;
}

static void on_disconnected(void *ctx, const struct swk_error *reason,
                            swk_time now)
{
    struct swk_client *client = ctx;

    (void)now;
    client->down = true;
    client->reason = *reason;
}

static int make_context(const struct swk_client_config *config,
                        struct swki_tls_context **out_context,
                        struct swk_error *err)
{
    const struct swk_entropy *entropy = swk_posix_entropy();
    const struct swk_clock *clock = swk_posix_clock();
    const struct swki_tls_config tls = {
        .side = SWKI_TLS_CLIENT,
        .chain_pem = config->chain_pem,
        .key_pem = config->key_pem,
        .roots_pem = config->roots_pem,
        .entropy = entropy->fill,
        .entropy_ctx = entropy->ctx,
        .wall = clock->wall,
        .wall_ctx = clock->ctx,
    };

    if (config->roots_pem == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "a TCP connection needs the swarm's root certificate");
    }
    return swki_tls_context_new(config->alloc, &tls, out_context, err);
}

static int dial(struct swk_client *client,
                const struct swk_client_config *config, struct swk_error *err)
{
    bool tcp = strncmp(config->address, "tcp://", 6) == 0;
    bool path = strstr(config->address, "://") == NULL;
    struct swki_tls_context *context = NULL;
    char address[160];
    int len = snprintf(address, sizeof(address), "%s%s", path ? "ipc://" : "",
                       config->address);
    struct swki_rpc_client_config rpc = {
        .alloc = config->alloc,
        .clock = swk_posix_clock(),
        .transport = swk_nng_transport_port(client->transport),
        .loop = client->loop,
        .address = address,
        .timeout_ns = config->timeout_ns,
        .ctx = client,
        .connected = on_connected,
        .disconnected = on_disconnected,
    };
    int rc = SWK_OK;

    if (len < 0 || (size_t)len >= sizeof(address)) {
        return swki_fail(err, SWK_EINVAL, "the address is too long");
    }
    if (tcp) {
        rc = make_context(config, &context, err);
        rpc.context = context;
        rpc.server_name = config->server_name == NULL ? SWKI_OU_MANAGER
                                                      : config->server_name;
    }
    if (rc == SWK_OK) {
        rc = swki_rpc_client_new(&rpc, &client->rpc, err);
    }
    swki_tls_context_unref(context);
    return rc;
}

/* Turns the loop once, at the latest at until. */
static int turn(struct swk_client *client, swk_time until,
                struct swk_error *err)
{
    return swki_loop_wait(client->loop, until, err);
}

static int await_greeting(struct swk_client *client, struct swk_error *err)
{
    int rc = SWK_OK;

    while (rc == SWK_OK && !client->connected && !client->down) {
        rc = turn(client, SWK_NEVER, err);
    }
    if (rc == SWK_OK && client->down) {
        rc = swki_fail(err, client->reason.code, "%s", client->reason.text);
    }
    return rc;
}

/* What an operator most often has forgotten. */
static void add_advice(struct swk_error *err)
{
    size_t len;

    if (err != NULL &&
        (err->code == SWK_ENOTFOUND || err->code == SWK_EUNAVAILABLE)) {
        len = strlen(err->text);
        snprintf(err->text + len, sizeof(err->text) - len,
                 ": is swarmd running? It serves calls as a manager only");
    }
}

int swk_client_open(const struct swk_client_config *config,
                    swk_client **out_client, struct swk_error *err)
{
    struct swk_client *client;
    int rc;

    if (config == NULL || out_client == NULL || config->address == NULL) {
        return swki_fail(err, SWK_EINVAL, "client: NULL argument");
    }
    if (config->size != sizeof(*config)) {
        return swki_fail(err, SWK_ENOTSUP,
                         "client: configuration of another release");
    }
    client = swki_calloc(config->alloc, 1, sizeof(*client));
    if (client == NULL) {
        return swki_fail_nomem(err);
    }
    client->alloc = config->alloc;
    rc = swk_nng_transport_new(config->alloc, NULL, &client->transport, err);
    if (rc == SWK_OK) {
        rc = swki_loop_new(config->alloc, swk_posix_clock(), &client->loop,
                           err);
    }
    if (rc == SWK_OK) {
        rc = dial(client, config, err);
    }
    if (rc == SWK_OK) {
        rc = await_greeting(client, err);
    }
    if (rc != SWK_OK) {
        add_advice(err);
        swk_client_close(client);
        return rc;
    }
    *out_client = client;
    return SWK_OK;
}

void swk_client_close(swk_client *client)
{
    if (client == NULL) {
        return;
    }
    swki_rpc_client_free(client->rpc);
    swk_nng_transport_free(client->transport);
    swki_loop_free(client->loop);
    swki_free(client->alloc, client);
}

int swk_client_set_request_id(swk_client *client, const char *request_id)
{
    const char *id = request_id == NULL ? "" : request_id;

    if (client == NULL || strlen(id) >= sizeof(client->request_id)) {
        return SWK_EINVAL;
    }
    strcpy(client->request_id, id);
    return SWK_OK;
}

int swk_client_status(const swk_client *client)
{
    return client->status;
}

void swk_client_release(swk_client *client, uint8_t *data)
{
    swki_free(client->alloc, data);
}

/* -- Calls ------------------------------------------------------------------ */

static void end_stream(struct swk_client_stream *stream, int status, int code,
                       const char *text)
{
    stream->ended = true;
    stream->status = status;
    stream->client->status = status;
    swki_fail(&stream->err, code, "%s", text);
}

static void on_message(void *ctx, uint64_t call_id, const uint8_t *data,
                       size_t len, swk_time now)
{
    struct swk_client_stream *stream = ctx;
    const struct swk_alloc *alloc = stream->client->alloc;
    struct message *m = swki_calloc(alloc, 1, sizeof(*m));
    uint8_t *copy = swki_alloc(alloc, len);

    (void)now;
    if (m == NULL || copy == NULL) {
        swki_free(alloc, m);
        swki_free(alloc, copy);
        swki_rpc_client_cancel(stream->client->rpc, call_id);
        end_stream(stream, SWKI_STATUS_RESOURCE_EXHAUSTED, SWK_ENOMEM,
                   "out of memory");
        return;
    }
    if (len > 0) {
        memcpy(copy, data, len);
    }
    m->data = copy;
    m->len = len;
    swki_list_append(&stream->messages, &m->link);
}

static void on_ended(void *ctx, uint64_t call_id, int status, const char *text,
                     swk_time now)
{
    (void)call_id;
    (void)now;
    end_stream(ctx, status, swki_status_to_error(status),
               text[0] == '\0' ? swki_status_name(status) : text);
}

static int open_stream(swk_client *client, const struct swki_rpc_header *header,
                       const void *request, size_t request_len,
                       swk_client_stream **out_stream, struct swk_error *err)
{
    struct swk_client_stream *stream;
    int rc;

    if (client->down) {
        return swki_fail(err, SWK_EUNAVAILABLE, "%s", client->reason.text);
    }
    stream = swki_calloc(client->alloc, 1, sizeof(*stream));
    if (stream == NULL) {
        return swki_fail_nomem(err);
    }
    stream->client = client;
    stream->id = ++client->last_id;
    swki_list_init(&stream->messages);

    const struct swki_rpc_client_call_events events = {
        .ctx = stream,
        .call_id = stream->id,
        .message = on_message,
        .ended = on_ended,
    };
    rc = swki_rpc_client_call_with(client->rpc, header, request, request_len,
                                   &events, err);
    if (rc != SWK_OK) {
        swki_free(client->alloc, stream);
        return rc;
    }
    *out_stream = stream;
    return SWK_OK;
}

int swk_client_stream_open(swk_client *client, const char *method,
                           const void *request, size_t request_len,
                           swk_client_stream **out_stream,
                           struct swk_error *err)
{
    struct swki_rpc_header header = {.path = method};

    if (client == NULL || method == NULL || out_stream == NULL ||
        (request == NULL && request_len > 0)) {
        return swki_fail(err, SWK_EINVAL, "client: NULL argument");
    }
    header.request_id = client->request_id;
    return open_stream(client, &header, request, request_len, out_stream, err);
}

static struct message *take_message(struct swk_client_stream *stream)
{
    struct message *m = NULL;

    if (!swki_list_empty(&stream->messages)) {
        m = SWKI_CONTAINER(stream->messages.next, struct message, link);
        swki_list_remove(&m->link);
    }
    return m;
}

int swk_client_stream_next(swk_client_stream *stream, swk_time timeout_ns,
                           uint8_t **out_data, size_t *out_len,
                           struct swk_error *err)
{
    const struct swk_clock *clock = swk_posix_clock();
    swk_time now = clock->now(clock->ctx);
    swk_time until = timeout_ns < SWK_NEVER - now ? now + timeout_ns
                                                  : SWK_NEVER;
    struct message *m;

    while ((m = take_message(stream)) == NULL && !stream->ended) {
        int rc = turn(stream->client, until, err);

        if (rc != SWK_OK) {
            return rc;
        }
        if (swki_list_empty(&stream->messages) && !stream->ended &&
            clock->now(clock->ctx) >= until) {
            return swki_fail(err, SWK_ETIMEDOUT, "no message in time");
        }
    }
    if (m != NULL) {
        *out_data = m->data;
        *out_len = m->len;
        swki_free(stream->client->alloc, m);
        return 1;
    }
    if (stream->status == SWKI_STATUS_OK) {
        return 0;
    }
    return swki_fail(err, stream->err.code, "%s", stream->err.text);
}

void swk_client_stream_close(swk_client_stream *stream)
{
    struct message *m;

    if (stream == NULL) {
        return;
    }
    if (!stream->ended) {
        swki_rpc_client_cancel(stream->client->rpc, stream->id);
    }
    while ((m = take_message(stream)) != NULL) {
        swki_free(stream->client->alloc, m->data);
        swki_free(stream->client->alloc, m);
    }
    swki_free(stream->client->alloc, stream);
}

int swk_client_call(swk_client *client, const char *method,
                    const void *request, size_t request_len,
                    swk_time timeout_ns, uint8_t **out_response,
                    size_t *out_len, struct swk_error *err)
{
    struct swki_rpc_header header = {.path = method, .timeout_ns = timeout_ns};
    swk_client_stream *stream;
    uint8_t *data = NULL;
    uint8_t *more = NULL;
    size_t len = 0;
    size_t more_len;
    int rc;

    if (client == NULL || method == NULL || out_response == NULL ||
        out_len == NULL || (request == NULL && request_len > 0)) {
        return swki_fail(err, SWK_EINVAL, "client: NULL argument");
    }
    header.request_id = client->request_id;
    rc = open_stream(client, &header, request, request_len, &stream, err);
    if (rc != SWK_OK) {
        return rc;
    }
    rc = swk_client_stream_next(stream, SWK_NEVER, &data, &len, err);
    if (rc == 0) {
        rc = swki_fail(err, SWK_EIO, "the server has sent no response");
    } else if (rc == 1) {
        rc = swk_client_stream_next(stream, SWK_NEVER, &more, &more_len, err);
    }
    if (rc == 1) {
        swk_client_release(client, more);
        rc = swki_fail(err, SWK_EINVAL, "the method answers with a stream");
    }
    swk_client_stream_close(stream);
    if (rc != SWK_OK) {
        swk_client_release(client, data);
        return rc;
    }
    *out_response = data;
    *out_len = len;
    return SWK_OK;
}
