/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signing/https.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "node/rpc/link.h"
#include "node/signing/http_answer.h"

enum {
    HOST_SIZE = 256,
    ADDRESS_SIZE = HOST_SIZE + 16,
    PORT_MAX = 65535,
};

struct swki_https {
    struct swki_https_config config;
    pthread_mutex_t lock;  /* of all below, and of what is told of dialing */
    pthread_cond_t dialed; /* one of them was told */
    struct swki_link calls;
    bool closed;
};

struct target {
    char host[HOST_SIZE];
    char address[ADDRESS_SIZE]; /* of the transport */
    const char *path;           /* within the URL */
};

/* A call under way, on a loop of its own. */
struct call {
    struct swki_link listed; /* in the struct above */
    struct swki_https *https;
    struct swki_loop *loop;
    struct target target;
    struct swki_message dialed; /* told by the transport */
    bool is_told;               /* by the same; of the lock */
    bool is_dialed;             /* the loop knows */
    swk_stream *stream; /* until the link has it */
    struct swki_tls_context *context;
    struct swki_rpc_link *link;
    struct swki_buf request;
    struct swki_buf answer;
    bool ended;               /* nothing more comes */
    struct swk_error failure; /* code 0: none */
};

/* -- Life ----------------------------------------------------------------- */

int swki_https_new(const struct swki_https_config *config,
                   struct swki_https **out_https, struct swk_error *err)
{
    struct swki_https *https = swki_calloc(config->alloc, 1, sizeof(*https));

    if (https == NULL) {
        return swki_fail_nomem(err);
    }
    https->config = *config;
    pthread_mutex_init(&https->lock, NULL);
    pthread_cond_init(&https->dialed, NULL);
    swki_list_init(&https->calls);
    *out_https = https;
    return SWK_OK;
}

void swki_https_close(struct swki_https *https)
{
    pthread_mutex_lock(&https->lock);
    https->closed = true;
    for (struct swki_link *link = https->calls.next; link != &https->calls;
         link = link->next) {
        swki_loop_wake(SWKI_CONTAINER(link, struct call, listed)->loop);
    }
    pthread_mutex_unlock(&https->lock);
}

static bool is_closed(struct swki_https *https)
{
    bool closed;

    pthread_mutex_lock(&https->lock);
    closed = https->closed;
    pthread_mutex_unlock(&https->lock);
    return closed;
}

void swki_https_free(struct swki_https *https)
{
    if (https != NULL) {
        pthread_cond_destroy(&https->dialed);
        pthread_mutex_destroy(&https->lock);
        swki_free(https->config.alloc, https);
    }
}

/* -- URLs ----------------------------------------------------------------- */

/* Of a host in brackets the name is what is between them. */
static bool take_host(const char *text, size_t len, struct target *target)
{
    bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';
    int put =
        snprintf(target->host, sizeof(target->host), "%.*s",
                 (int)(brackets ? len - 2 : len), brackets ? text + 1 : text);

    return len > 0 && put > 0 && (size_t)put < sizeof(target->host) &&
           strcspn(target->host, "@ \t\r\n") == (size_t)put;
}

static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static int read_url(const char *url, struct target *target,
                    struct swk_error *err)
{
    static const char scheme[] = "https://";
    const char *host = url + strlen(scheme);
    size_t len;
    const char *bracket;
    const char *colon;
    char *end = NULL;
    long port = 443;

    if (strncmp(url, scheme, strlen(scheme)) != 0 || !is_plain(url)) {
        return swki_fail(err, SWK_EINVAL, "not a URL of HTTPS");
    }
    len = strcspn(host, "/?#");
    target->path = host + len;
    bracket = memchr(host, ']', len);
    colon = memchr(bracket != NULL ? bracket : host, ':',
                   len - (size_t)((bracket != NULL ? bracket : host) - host));
    if (colon != NULL) {
        port = strtol(colon + 1, &end, 10);
        if (end != target->path || end == colon + 1) {
            port = 0;
        }
        len = (size_t)(colon - host);
    }
    if (port < 1 || port > PORT_MAX || !take_host(host, len, target)) {
        return swki_fail(err, SWK_EINVAL, "a URL without a host or port");
    }
    snprintf(target->address, sizeof(target->address), "tcp://%.*s:%ld",
             (int)len, host, port);
    return SWK_OK;
}

/* A socket of this machine has no name that a server would look at. */
static int read_socket(const char *path, const char *url, struct target *target,
                       struct swk_error *err)
{
    int len =
        snprintf(target->address, sizeof(target->address), "ipc://%s", path);

    if (len < 0 || (size_t)len >= sizeof(target->address) || !is_plain(url)) {
        return swki_fail(err, SWK_EINVAL, "not a path of a socket and a call");
    }
    snprintf(target->host, sizeof(target->host), "localhost");
    target->path = url;
    return SWK_OK;
}

/* -- Connections ---------------------------------------------------------- */

static void fail_call(struct call *call, int code, const char *text)
{
    if (!call->ended) {
        call->ended = true;
        swki_fail(&call->failure, code, "%s", text);
    }
}

/* On the transport's thread. The call may be gone once the lock is free. */
static void on_dialed(void *ctx, swk_stream *stream,
                      const struct swk_error *err)
{
    struct call *call = ctx;
    struct swki_https *https = call->https;

    pthread_mutex_lock(&https->lock);
    call->stream = stream;
    if (stream == NULL) {
        call->failure = *err;
    }
    call->is_told = true;
    swki_loop_post(call->loop, &call->dialed);
    pthread_cond_broadcast(&https->dialed);
    pthread_mutex_unlock(&https->lock);
}

/* Without the loop, which cannot wait any more: the transport has the call. */
static void wait_told(struct call *call)
{
    struct swki_https *https = call->https;

    pthread_mutex_lock(&https->lock);
    while (!call->is_told) {
        pthread_cond_wait(&https->dialed, &https->lock);
    }
    pthread_mutex_unlock(&https->lock);
}

static void handle_dialed(struct swki_message *message, swk_time now)
{
    struct call *call = SWKI_CONTAINER(message, struct call, dialed);

    (void)now;
    call->is_dialed = true;
}

static void ready(void *ctx, swk_time now)
{
    struct call *call = ctx;

    (void)now;
    swki_rpc_link_flush(call->link, &call->request);
}

static void received(void *ctx, const uint8_t *data, size_t len, swk_time now)
{
    struct call *call = ctx;

    (void)now;
    if (!swki_buf_append(&call->answer, data, len)) {
        fail_call(call, SWK_ELIMIT, "an answer that is too large");
    }
}

static void failed(void *ctx, const struct swk_error *err, swk_time now)
{
    struct call *call = ctx;

    (void)now;
    fail_call(call, err->code, err->text);
}

/* A server may be anybody's program: any strong suite will do, and it knows
 * nothing of our protocol. */
static int make_context(struct call *call,
                        const struct swki_https_request *request,
                        struct swk_error *err)
{
    const struct swki_https_config *config = &call->https->config;
    const struct swki_tls_config tls = {
        .side = SWKI_TLS_CLIENT,
        .chain_pem = request->certificate,
        .key_pem = request->key,
        .roots_pem = request->roots,
        .entropy = config->entropy->fill,
        .entropy_ctx = config->entropy->ctx,
        .wall = config->clock->wall,
        .wall_ctx = config->clock->ctx,
        .foreign = true,
    };

    return swki_tls_context_new(config->alloc, &tls, &call->context, err);
}

static int wait_dialed(struct call *call, swk_time limit_ns,
                       struct swk_error *err)
{
    const struct swk_transport *transport = call->https->config.transport;
    int rc = transport->dial(transport->ctx, call->target.address, limit_ns,
                             on_dialed, call, err);

    if (rc != 0) {
        return rc;
    }
    /* The transport keeps the time: it always tells. */
    while (rc == 0 && !call->is_dialed) {
        rc = swki_loop_wait(call->loop, SWK_NEVER, err);
    }
    wait_told(call);
    if (rc == 0 && call->stream == NULL) {
        rc = swki_fail(err, call->failure.code, "%s", call->failure.text);
    }
    return rc;
}

static int connect_server(struct call *call, swk_time limit_ns,
                          struct swk_error *err)
{
    const struct swki_https_config *config = &call->https->config;
    struct swki_rpc_link_config link = {
        .alloc = config->alloc,
        .loop = call->loop,
        .transport = config->transport,
        .server_name = call->target.host,
        .events = {.ctx = call,
                   .ready = ready,
                   .received = received,
                   .drained = ready,
                   .failed = failed},
    };
    int rc = wait_dialed(call, limit_ns, err);

    if (rc != 0) {
        return rc;
    }
    link.context = call->context;
    rc = swki_rpc_link_new(&link, call->stream, &call->link, err);
    if (rc == 0) {
        call->stream = NULL;
        swki_rpc_link_start(call->link);
    }
    return rc;
}

/* To HTTP/1.0 nobody answers in chunks, which would have to be put together. */
static int write_request(struct call *call,
                         const struct swki_https_request *request,
                         struct swk_error *err)
{
    const char *path = call->target.path;
    struct swki_buf *out = &call->request;

    swki_buf_printf(out, "%s %s%s HTTP/1.0\r\nHost: %s\r\n", request->method,
                    path[0] == '/' ? "" : "/", path,
                    request->socket != NULL
                        ? call->target.host
                        : call->target.address + strlen("tcp://"));
    if (request->content_type != NULL) {
        swki_buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n",
                        request->content_type, request->body_len);
    }
    swki_buf_append_text(out, "Connection: close\r\n\r\n");
    swki_buf_append(out, request->body, request->body_len);
    return out->failed ? swki_fail_nomem(err) : SWK_OK;
}

/* -- Answers -------------------------------------------------------------- */

/* 1 if the answer is whole. A connection that ends may be the end of the
 * answer; one that fails in another way never is. */
static int look(const struct call *call,
                const struct swki_https_request *request,
                struct swki_http_head *out_head, struct swk_error *err)
{
    const struct swki_http_received received = {
        .data = call->answer.data,
        .len = call->answer.len,
        .ended = call->ended && call->failure.code == SWK_EIO,
    };
    int rc =
        swki_http_answer_look(&received, request->answer_max, out_head, err);

    if (rc == 0 && call->ended) {
        rc = swki_fail(err, call->failure.code, "%s", call->failure.text);
    } else if (rc == SWK_EIO && received.ended && out_head->len == 0) {
        rc = swki_fail(err, SWK_EIO, "%s", call->failure.text);
    }
    return rc;
}

static int wait_answer(struct call *call,
                       const struct swki_https_request *request,
                       swk_time deadline, int *out_status,
                       struct swki_buf *out_body, struct swk_error *err)
{
    const struct swk_clock *clock = call->https->config.clock;
    struct swki_http_head head;
    size_t len;
    int rc;

    while ((rc = look(call, request, &head, err)) == 0) {
        if (is_closed(call->https)) {
            return swki_fail(err, SWK_ECANCELED, "no more calls are made");
        }
        if (clock->now(clock->ctx) >= deadline) {
            return swki_fail(err, SWK_ETIMEDOUT, "no answer in time");
        }
        rc = swki_loop_wait(call->loop, deadline, err);
        if (rc != 0) {
            return rc;
        }
    }
    if (rc < 0) {
        return rc;
    }
    len = call->answer.len - head.len;
    len = len < head.body_len ? len : head.body_len;
    *out_status = head.status;
    return swki_buf_append(out_body, call->answer.data + head.len, len)
               ? SWK_OK
               : swki_fail_nomem(err);
}

/* -- Calls ---------------------------------------------------------------- */

static int begin(struct call *call, struct swk_error *err)
{
    struct swki_https *https = call->https;
    int rc = swki_loop_new(https->config.alloc, https->config.clock,
                           &call->loop, err);

    if (rc != 0) {
        return rc;
    }
    pthread_mutex_lock(&https->lock);
    if (https->closed) {
        rc = swki_fail(err, SWK_ECANCELED, "no more calls are made");
    } else {
        swki_list_append(&https->calls, &call->listed);
    }
    pthread_mutex_unlock(&https->lock);
    return rc;
}

static void end(struct call *call)
{
    const struct swk_transport *transport = call->https->config.transport;

    pthread_mutex_lock(&call->https->lock);
    swki_list_remove(&call->listed);
    pthread_mutex_unlock(&call->https->lock);
    swki_rpc_link_free(call->link);
    if (call->stream != NULL) {
        transport->free(transport->ctx, call->stream);
    }
    swki_tls_context_unref(call->context);
    if (call->loop != NULL) {
        swki_loop_free(call->loop);
    }
    swki_buf_fini(&call->request);
    swki_buf_fini(&call->answer);
}

int swki_https_call(struct swki_https *https,
                    const struct swki_https_request *request, int *out_status,
                    struct swki_buf *out_body, struct swk_error *err)
{
    const struct swk_clock *clock = https->config.clock;
    const swk_time deadline = clock->now(clock->ctx) + request->limit_ns;
    struct call call = {.https = https, .dialed = {.handle = handle_dialed}};
    int rc;

    swki_list_init(&call.listed);
    swki_buf_init(&call.request, https->config.alloc, SIZE_MAX);
    swki_buf_init(&call.answer, https->config.alloc,
                  SWKI_HTTP_HEAD_MAX + request->answer_max + 1);
    rc = begin(&call, err);
    if (rc == 0) {
        rc = request->socket != NULL
                 ? read_socket(request->socket, request->url, &call.target, err)
                 : read_url(request->url, &call.target, err);
    }
    if (rc == 0) {
        rc = write_request(&call, request, err);
    }
    if (rc == 0 && request->socket == NULL) {
        rc = make_context(&call, request, err);
    }
    if (rc == 0) {
        rc = connect_server(&call, request->limit_ns, err);
    }
    if (rc == 0) {
        rc = wait_answer(&call, request, deadline, out_status, out_body, err);
    }
    end(&call);
    return rc;
}
