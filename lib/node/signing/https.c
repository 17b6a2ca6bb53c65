/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signing/https.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "node/rpc/link.h"

enum {
    HOST_SIZE = 256,
    ADDRESS_SIZE = HOST_SIZE + 16,
    HEAD_MAX = 16 * 1024,
    PORT_MAX = 65535,
};

struct swki_https {
    struct swki_https_config config;
    pthread_mutex_t lock; /* of all below */
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
    bool is_dialed;
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

/* -- Connections ---------------------------------------------------------- */

static void fail_call(struct call *call, int code, const char *text)
{
    if (!call->ended) {
        call->ended = true;
        swki_fail(&call->failure, code, "%s", text);
    }
}

/* On the transport's thread. */
static void on_dialed(void *ctx, swk_stream *stream,
                      const struct swk_error *err)
{
    struct call *call = ctx;

    call->stream = stream;
    if (stream == NULL) {
        call->failure = *err;
    }
    swki_loop_post(call->loop, &call->dialed);
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

    /* The transport keeps the time: it always tells. */
    while (rc == 0 && !call->is_dialed) {
        rc = swki_loop_wait(call->loop, SWK_NEVER, err);
    }
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
                    call->target.address + strlen("tcp://"));
    if (request->content_type != NULL) {
        swki_buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n",
                        request->content_type, request->body_len);
    }
    swki_buf_append_text(out, "Connection: close\r\n\r\n");
    swki_buf_append(out, request->body, request->body_len);
    return out->failed ? swki_fail_nomem(err) : SWK_OK;
}

/* -- Answers -------------------------------------------------------------- */

/* What the head of an answer says. */
struct head {
    size_t len; /* of it, with the empty line; 0: it is not whole yet */
    int status;
    size_t body_len; /* SIZE_MAX: up to the end */
};

/* The value of a line "Name: value" of this name, or NULL. */
static const char *value_of(const char *line, const char *name)
{
    size_t len = strlen(name);

    if (strncasecmp(line, name, len) != 0 || line[len] != ':') {
        return NULL;
    }
    return line + len + 1 + strspn(line + len + 1, " \t");
}

/* The lines of a head that ends in a NUL. */
static int read_lines(const char *text, struct head *head,
                      struct swk_error *err)
{
    if (sscanf(text, "HTTP/1.%*1[01] %3d", &head->status) != 1) {
        return swki_fail(err, SWK_EIO, "an answer that is not HTTP");
    }
    for (const char *line = strstr(text, "\r\n"); line != NULL;
         line = strstr(line, "\r\n")) {
        const char *length;

        line += 2;
        length = value_of(line, "Content-Length");
        if (value_of(line, "Transfer-Encoding") != NULL) {
            return swki_fail(err, SWK_EIO, "an answer in parts to HTTP/1.0");
        }
        if (length != NULL && (sscanf(length, "%zu", &head->body_len) != 1 ||
                               length[strspn(length, "0123456789")] != '\r')) {
            return swki_fail(err, SWK_EIO, "an answer of unknown length");
        }
    }
    return SWK_OK;
}

static int read_head(struct swki_buf *answer, struct head *head,
                     struct swk_error *err)
{
    static const char end[] = "\r\n\r\n";
    const size_t look = answer->len < HEAD_MAX ? answer->len : HEAD_MAX;
    const char *found =
        look > 0 ? memmem(answer->data, look, end, strlen(end)) : NULL;
    char *copy;
    int rc;

    *head = (struct head){.body_len = SIZE_MAX};
    if (found == NULL) {
        return look < HEAD_MAX
                   ? SWK_OK
                   : swki_fail(err, SWK_EIO, "an answer without a body");
    }
    head->len = (size_t)(found - (const char *)answer->data) + strlen(end);
    copy = strndup((const char *)answer->data, head->len - 2);
    if (copy == NULL) {
        return swki_fail_nomem(err);
    }
    rc = read_lines(copy, head, err);
    free(copy);
    return rc;
}

/* 1 if the answer is whole. */
static int look(struct call *call, const struct swki_https_request *request,
                struct head *head, struct swk_error *err)
{
    size_t body_len;
    int rc = read_head(&call->answer, head, err);

    if (rc != 0) {
        return rc;
    }
    body_len = head->len > 0 ? call->answer.len - head->len : 0;
    if (body_len > request->answer_max ||
        (head->body_len != SIZE_MAX && head->body_len > request->answer_max)) {
        return swki_fail(err, SWK_ELIMIT, "an answer of more than %zu bytes",
                         request->answer_max);
    }
    if (head->len > 0 && body_len >= head->body_len) {
        return 1;
    }
    if (!call->ended) {
        return 0;
    }
    /* The end is the answer's own only if it did not say another. */
    if (head->len > 0 && head->body_len == SIZE_MAX &&
        call->failure.code == SWK_EIO) {
        return 1;
    }
    return swki_fail(err, call->failure.code, "%s", call->failure.text);
}

static int wait_answer(struct call *call,
                       const struct swki_https_request *request,
                       swk_time deadline, int *out_status,
                       struct swki_buf *out_body, struct swk_error *err)
{
    const struct swk_clock *clock = call->https->config.clock;
    struct head head;
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
                  HEAD_MAX + request->answer_max + 1);
    rc = begin(&call, err);
    if (rc == 0) {
        rc = read_url(request->url, &call.target, err);
    }
    if (rc == 0) {
        rc = write_request(&call, request, err);
    }
    if (rc == 0) {
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
