/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Jobs come in on any thread and wait in a list for the client's own, which
 * owns the connection. A job is in one list from sign() until it has ended:
 * fresh, then waiting (for the next attempt to connect) or open (its call is
 * under way).
 */

#include <swarmkit/signer.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <swarmkit/nng_transport.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/options.h"
#include "node/rpc/client.h"
#include "node/signer/signer_paths.h"
#include "runtime/loop/loop.h"
#include "swarmkit/signer.pb-c.h"
#include "wire/message.h"
#include "wire/status.h"

enum {
    JOBS_MAX = 4096,
    TIMEOUT_SECONDS = 10,
    BACK_OFF_MS = 100,
    BACK_OFF_MAX_MS = 5000,
    REQUEST_MAX = 256 * 1024,
    ANSWER_MEMORY_MAX = 1024 * 1024,
    ADDRESS_SIZE = 160,
};

struct job {
    struct swki_link link;
    struct swk_signer_client *client;
    const char *path;
    bool empty; /* there is nothing in the answer */
    struct swki_buf request;
    uint64_t id;
    swk_sign_done_fn done; /* guarded by the lock; NULL once given up */
    void *done_ctx;
    struct swki_buf answer;
};

struct swk_signer_client {
    struct swk_signer_client_config config;
    struct swk_signer port;
    swk_nng_transport
        *transport; /* its own: a dial must not outlive the loop */
    struct swki_loop *loop;
    struct swki_loop_member member;
    struct swki_rpc_client *rpc; /* NULL: not connected */
    struct swki_link waiting;
    struct swki_link open;
    bool gone; /* and the logger knows */
    swk_time retry_at;
    unsigned back_off_ms;
    uint64_t last_call;
    char address[ADDRESS_SIZE];
    pthread_t thread;
    bool started;

    pthread_mutex_t lock; /* guards all below, and who is to be told */
    pthread_cond_t called;
    struct swki_link fresh;
    struct swki_message message;
    bool posted;
    size_t jobs_count;
    bool calling; /* a done() runs, with this context */
    const void *calling_ctx;
};

/* -- The end of a job -------------------------------------------------------
 */

static void free_job(struct job *job)
{
    const struct swk_alloc *alloc = job->client->config.alloc;

    swki_buf_fini(&job->request);
    swki_buf_fini(&job->answer);
    swki_free(alloc, job);
}

static struct job *first_job(struct swki_link *list)
{
    return SWKI_CONTAINER(list->next, struct job, link);
}

/* On the client's thread, or after it has ended. No lock is held in done(). */
static void finish(struct job *job, const struct swk_sign_result *result)
{
    struct swk_signer_client *client = job->client;
    swk_sign_done_fn done;

    pthread_mutex_lock(&client->lock);
    swki_list_remove(&job->link);
    client->jobs_count--;
    done = job->done;
    client->calling = true;
    client->calling_ctx = job->done_ctx;
    pthread_mutex_unlock(&client->lock);
    if (done != NULL) {
        done(job->done_ctx, job->id, result);
    }
    pthread_mutex_lock(&client->lock);
    client->calling = false;
    pthread_cond_broadcast(&client->called);
    pthread_mutex_unlock(&client->lock);
    free_job(job);
}

static void finish_failed(struct job *job, int code, const char *text)
{
    char told[SWK_ERROR_TEXT_SIZE];
    const struct swk_sign_result result = {
        .size = sizeof(result), .code = code, .text = told};

    snprintf(told, sizeof(told), "swarm-signer: %s", text);
    finish(job, &result);
}

/* The answers have one field, of the same number and type, or none. */
static void finish_answered(struct job *job)
{
    struct swk_sign_result result = {.size = sizeof(result)};
    const Swkpb__Rpc__SignNodeResponse *answer;
    ProtobufCMessage *message = NULL;
    struct swki_arena arena;
    struct swk_error err;
    int rc;

    swki_arena_init(&arena, NULL, ANSWER_MEMORY_MAX);
    rc = swki_message_unpack(&swkpb__rpc__sign_node_response__descriptor,
                             job->answer.data, job->answer.len, &arena,
                             &message, &err);
    answer = (const Swkpb__Rpc__SignNodeResponse *)message;
    if (rc != 0) {
        finish_failed(job, SWK_EIO, "an answer that cannot be read");
    } else if (answer->certificate.len == 0 && !job->empty) {
        finish_failed(job, SWK_EIO, "an answer without a certificate");
    } else {
        result.certificate.data = answer->certificate.data;
        result.certificate.len = answer->certificate.len;
        finish(job, &result);
    }
    swki_arena_fini(&arena);
}

/* -- The connection ---------------------------------------------------------
 */

static void on_message(void *ctx, uint64_t call_id, const uint8_t *data,
                       size_t len, swk_time now)
{
    struct job *job = ctx;

    (void)call_id;
    (void)now;
    swki_buf_clear(&job->answer);
    swki_buf_append(&job->answer, data, len);
}

static void on_ended(void *ctx, uint64_t call_id, int status, const char *text,
                     swk_time now)
{
    struct job *job = ctx;

    (void)call_id;
    (void)now;
    if (status != SWKI_STATUS_OK) {
        finish_failed(job, swki_status_to_error(status),
                      text[0] != '\0' ? text : swki_status_name(status));
    } else if (job->answer.failed) {
        finish_failed(job, SWK_ENOMEM, "no memory for the answer");
    } else {
        finish_answered(job);
    }
}

static void on_connected(void *ctx, swk_time now)
{
    struct swk_signer_client *client = ctx;

    (void)now;
    client->gone = false;
    client->back_off_ms = 0;
    swki_log(client->config.logger, SWK_LOG_INFO, "signer",
             "certificates are signed at %s", client->address);
}

/* Calls that were open have ended before. */
static void on_disconnected(void *ctx, const struct swk_error *reason,
                            swk_time now)
{
    struct swk_signer_client *client = ctx;
    unsigned next = client->back_off_ms * 2;

    swki_log(client->config.logger, client->gone ? SWK_LOG_DEBUG : SWK_LOG_WARN,
             "signer", "the signer is not there: %s", reason->text);
    client->gone = true;
    client->back_off_ms = next == 0                ? BACK_OFF_MS
                          : next > BACK_OFF_MAX_MS ? BACK_OFF_MAX_MS
                                                   : next;
    client->retry_at = now + client->back_off_ms * SWK_MILLISECOND;
    swki_rpc_client_free(client->rpc);
    client->rpc = NULL;
}

static int connect_now(struct swk_signer_client *client, struct swk_error *err)
{
    const struct swki_rpc_client_config config = {
        .alloc = client->config.alloc,
        .logger = client->config.logger,
        .clock = client->config.clock,
        .transport = swk_nng_transport_port(client->transport),
        .loop = client->loop,
        .address = client->address,
        .ctx = client,
        .connected = on_connected,
        .disconnected = on_disconnected,
    };

    return swki_rpc_client_new(&config, &client->rpc, err);
}

static int call(struct job *job, struct swk_error *err)
{
    struct swk_signer_client *client = job->client;
    const struct swki_rpc_client_call_events events = {
        .ctx = job,
        .call_id = ++client->last_call,
        .message = on_message,
        .ended = on_ended,
    };

    return swki_rpc_client_call(client->rpc, job->path, job->request.data,
                                job->request.len, client->config.timeout_ns,
                                &events, err);
}

static void move(struct swk_signer_client *client, struct job *job,
                 struct swki_link *to)
{
    pthread_mutex_lock(&client->lock);
    swki_list_remove(&job->link);
    swki_list_append(to, &job->link);
    pthread_mutex_unlock(&client->lock);
}

static void start_job(struct job *job)
{
    struct swk_signer_client *client = job->client;
    struct swk_error err;
    int rc;

    move(client, job, &client->open);
    rc = call(job, &err);
    if (rc != SWK_OK) {
        finish_failed(job, rc == SWK_ENOMEM ? rc : SWK_EUNAVAILABLE, err.text);
    }
}

/* After a first failure all that waits is told: it comes again by itself. */
static void fail_waiting(struct swk_signer_client *client,
                         const struct swk_error *err)
{
    while (!swki_list_empty(&client->waiting)) {
        finish_failed(first_job(&client->waiting),
                      err->code == SWK_ENOMEM ? SWK_ENOMEM : SWK_EUNAVAILABLE,
                      err->text);
    }
}

static swk_time turn(void *ctx, swk_time now)
{
    struct swk_signer_client *client = ctx;
    struct swk_error err;

    if (swki_list_empty(&client->waiting)) {
        return SWK_NEVER;
    }
    if (client->rpc == NULL) {
        if (now < client->retry_at) {
            return client->retry_at;
        }
        if (connect_now(client, &err) != SWK_OK) {
            on_disconnected(client, &err, now);
            fail_waiting(client, &err);
            return SWK_NEVER;
        }
    }
    while (!swki_list_empty(&client->waiting)) {
        start_job(first_job(&client->waiting));
    }
    return SWK_NEVER;
}

static void handle_fresh(struct swki_message *message, swk_time now)
{
    struct swk_signer_client *client =
        SWKI_CONTAINER(message, struct swk_signer_client, message);

    (void)now;
    pthread_mutex_lock(&client->lock);
    client->posted = false;
    while (!swki_list_empty(&client->fresh)) {
        struct swki_link *link = client->fresh.next;

        swki_list_remove(link);
        swki_list_append(&client->waiting, link);
    }
    pthread_mutex_unlock(&client->lock);
}

/* -- The port ---------------------------------------------------------------
 */

static ProtobufCBinaryData binary(struct swk_bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.len,
                                 .data = (uint8_t *)(uintptr_t)bytes.data};
}

static char *text_of(const char *text)
{
    return (char *)(uintptr_t)(text == NULL ? "" : text);
}

static int pack_node(const struct swk_sign_request *request,
                     Swkpb__Timestamp *now, struct swki_buf *out,
                     struct swk_error *err)
{
    Swkpb__Rpc__SignNodeRequest message = SWKPB__RPC__SIGN_NODE_REQUEST__INIT;
    Swkpb__Duration validity = SWKPB__DURATION__INIT;

    swki_duration_write(request->validity_ns > INT64_MAX
                            ? INT64_MAX
                            : (int64_t)request->validity_ns,
                        &validity);
    message.authority = binary(request->authority);
    message.now = now;
    message.swarm_id = text_of(request->swarm_id);
    message.node_id = text_of(request->node_id);
    message.role = request->role == SWK_NODE_MANAGER ? SWKPB__NODE_ROLE__MANAGER
                                                     : SWKPB__NODE_ROLE__WORKER;
    message.validity = &validity;
    message.csr = binary(request->csr);
    message.previous = binary(request->previous);
    return swki_message_pack(&message.base, out, err);
}

static int pack_root(const struct swk_sign_request *request,
                     Swkpb__Timestamp *now, struct swki_buf *out,
                     struct swk_error *err)
{
    Swkpb__Rpc__CreateRootRequest message =
        SWKPB__RPC__CREATE_ROOT_REQUEST__INIT;

    message.now = now;
    message.swarm_id = text_of(request->swarm_id);
    return swki_message_pack(&message.base, out, err);
}

static int pack_cross(const struct swk_sign_request *request,
                      Swkpb__Timestamp *now, struct swki_buf *out,
                      struct swk_error *err)
{
    Swkpb__Rpc__CrossSignRequest message = SWKPB__RPC__CROSS_SIGN_REQUEST__INIT;

    message.authority = binary(request->authority);
    message.now = now;
    message.swarm_id = text_of(request->swarm_id);
    message.root = binary(request->root);
    return swki_message_pack(&message.base, out, err);
}

static int pack_check(const struct swk_sign_request *request,
                      Swkpb__Timestamp *now, struct swki_buf *out,
                      struct swk_error *err)
{
    Swkpb__Rpc__CheckAuthorityRequest message =
        SWKPB__RPC__CHECK_AUTHORITY_REQUEST__INIT;

    message.authority = binary(request->authority);
    message.now = now;
    message.swarm_id = text_of(request->swarm_id);
    return swki_message_pack(&message.base, out, err);
}

static int pack(struct job *job, const struct swk_sign_request *request,
                struct swk_error *err)
{
    Swkpb__Timestamp now = SWKPB__TIMESTAMP__INIT;

    swki_timestamp_write(request->now, &now);
    switch (request->kind) {
    case SWK_SIGN_NODE:
        job->path = SWKI_SIGNER_SIGN_NODE;
        return pack_node(request, &now, &job->request, err);
    case SWK_SIGN_ROOT:
        job->path = SWKI_SIGNER_CREATE_ROOT;
        return pack_root(request, &now, &job->request, err);
    case SWK_SIGN_CROSS:
        job->path = SWKI_SIGNER_CROSS_SIGN;
        return pack_cross(request, &now, &job->request, err);
    case SWK_SIGN_CHECK:
        job->path = SWKI_SIGNER_CHECK_AUTHORITY;
        job->empty = true;
        return pack_check(request, &now, &job->request, err);
    default:
        return swki_fail(err, SWK_ENOTSUP,
                         "swarm-signer: a job of a kind that is not known");
    }
}

static int take(struct swk_signer_client *client, struct job *job,
                struct swk_error *err)
{
    bool full;

    pthread_mutex_lock(&client->lock);
    full = client->jobs_count >= client->config.jobs_max;
    if (!full) {
        client->jobs_count++;
        swki_list_append(&client->fresh, &job->link);
        if (!client->posted) {
            client->posted = true;
            swki_loop_post(client->loop, &client->message);
        }
    }
    pthread_mutex_unlock(&client->lock);
    return full ? swki_fail(err, SWK_ELIMIT,
                            "swarm-signer: %" PRIu32 " jobs wait already",
                            client->config.jobs_max)
                : SWK_OK;
}

static int port_sign(void *ctx, uint64_t id,
                     const struct swk_sign_request *request,
                     swk_sign_done_fn done, void *done_ctx,
                     struct swk_error *err)
{
    struct swk_signer_client *client = ctx;
    const struct swk_alloc *alloc = client->config.alloc;
    struct job *job;
    int rc;

    if (request->urls_count > 0) {
        return swki_fail(err, SWK_ENOTSUP, "swarm-signer: asks no external CA");
    }
    job = swki_calloc(alloc, 1, sizeof(*job));
    if (job == NULL) {
        return swki_fail_nomem(err);
    }
    *job = (struct job){
        .client = client, .id = id, .done = done, .done_ctx = done_ctx};
    swki_list_init(&job->link);
    swki_buf_init(&job->request, alloc, REQUEST_MAX);
    swki_buf_init(&job->answer, alloc, REQUEST_MAX);
    rc = pack(job, request, err);
    if (rc == SWK_OK) {
        rc = take(client, job, err);
    }
    if (rc != SWK_OK) {
        free_job(job);
    }
    return rc;
}

static void give_up(struct swki_link *list, const void *done_ctx)
{
    for (struct swki_link *link = list->next; link != list; link = link->next) {
        struct job *job = SWKI_CONTAINER(link, struct job, link);

        if (job->done_ctx == done_ctx) {
            job->done = NULL;
        }
    }
}

/* The jobs themselves end as they would have, for nobody. */
static void port_forget(void *ctx, void *done_ctx)
{
    struct swk_signer_client *client = ctx;

    pthread_mutex_lock(&client->lock);
    give_up(&client->fresh, done_ctx);
    give_up(&client->waiting, done_ctx);
    give_up(&client->open, done_ctx);
    while (client->calling && client->calling_ctx == done_ctx) {
        pthread_cond_wait(&client->called, &client->lock);
    }
    pthread_mutex_unlock(&client->lock);
}

/* -- Life -------------------------------------------------------------------
 */

static void *run(void *arg)
{
    struct swk_signer_client *client = arg;
    struct swk_error err;

    if (swki_loop_run(client->loop, &err) != SWK_OK) {
        swki_log(client->config.logger, SWK_LOG_ERROR, "signer", "%s",
                 err.text);
    }
    return NULL;
}

static int read_config(struct swk_signer_client *client,
                       const struct swk_signer_client_config *config,
                       struct swk_error *err)
{
    const char *path = config->address;
    int len;

    if (config->clock == NULL || path == NULL) {
        return swki_fail(err, SWK_EINVAL, "signer: NULL in the configuration");
    }
    if (strncmp(path, "unix:", 5) == 0) {
        path += 5;
    } else if (strncmp(path, "ipc://", 6) == 0) {
        path += 6;
    }
    if (path[0] == '\0' || strstr(path, "://") != NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "a signer is at unix:PATH, not at \"%.100s\"",
                         config->address);
    }
    len = snprintf(client->address, sizeof(client->address), "ipc://%s", path);
    if (len < 0 || (size_t)len >= sizeof(client->address)) {
        return swki_fail(err, SWK_EINVAL, "the path of a socket is too long");
    }
    client->config = *config;
    client->config.timeout_ns = config->timeout_ns != 0
                                    ? config->timeout_ns
                                    : TIMEOUT_SECONDS * SWK_SECOND;
    client->config.jobs_max =
        config->jobs_max != 0 ? config->jobs_max : JOBS_MAX;
    return SWK_OK;
}

static int start(struct swk_signer_client *client, struct swk_error *err)
{
    int rc = swk_nng_transport_new(client->config.alloc, client->config.logger,
                                   &client->transport, err);

    if (rc == SWK_OK) {
        rc = swki_loop_new(client->config.alloc, client->config.clock,
                           &client->loop, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    client->member = (struct swki_loop_member){.ctx = client, .turn = turn};
    swki_loop_add(client->loop, &client->member);
    client->started = pthread_create(&client->thread, NULL, run, client) == 0;
    return client->started ? SWK_OK : swki_fail_nomem(err);
}

int swk_signer_client_new(const struct swk_signer_client_config *options,
                          swk_signer_client **out_client, struct swk_error *err)
{
    struct swk_signer_client_config config;
    struct swk_signer_client *client;
    int rc;

    if (options == NULL || out_client == NULL) {
        return swki_fail(err, SWK_EINVAL, "signer: NULL argument");
    }
    rc = swki_options_read(&config, sizeof(config), options,
                           "swk_signer_client_config", err);
    if (rc != SWK_OK) {
        return rc;
    }
    client = swki_calloc(config.alloc, 1, sizeof(*client));
    if (client == NULL) {
        return swki_fail_nomem(err);
    }
    client->config.alloc = config.alloc;
    client->port = (struct swk_signer){sizeof(client->port), client, port_sign,
                                       port_forget};
    client->message.handle = handle_fresh;
    swki_list_init(&client->fresh);
    swki_list_init(&client->waiting);
    swki_list_init(&client->open);
    pthread_mutex_init(&client->lock, NULL);
    pthread_cond_init(&client->called, NULL);
    rc = read_config(client, &config, err);
    if (rc == SWK_OK) {
        rc = start(client, err);
    }
    if (rc != SWK_OK) {
        swk_signer_client_free(client);
        return rc;
    }
    *out_client = client;
    return SWK_OK;
}

const struct swk_signer *swk_signer_client_port(const swk_signer_client *client)
{
    return &client->port;
}

static void cancel_all(struct swki_link *list)
{
    while (!swki_list_empty(list)) {
        finish_failed(first_job(list), SWK_ECANCELED, "given up");
    }
}

void swk_signer_client_free(swk_signer_client *client)
{
    if (client == NULL) {
        return;
    }
    if (client->started) {
        swki_loop_stop(client->loop);
        pthread_join(client->thread, NULL);
    }
    swki_rpc_client_free(client->rpc);
    swk_nng_transport_free(client->transport);
    if (client->loop != NULL) {
        swki_loop_remove(client->loop, &client->member);
    }
    swki_loop_free(client->loop); /* what was posted is delivered */
    cancel_all(&client->fresh);
    cancel_all(&client->waiting);
    cancel_all(&client->open);
    pthread_cond_destroy(&client->called);
    pthread_mutex_destroy(&client->lock);
    swki_free(client->config.alloc, client);
}
