/* SPDX-License-Identifier: Apache-2.0 */

/* Puts to an etcd server: gRPC over HTTP/2 in clear, one at a time. */

#include "load.h"

#include <stddef.h>

#ifdef SWKI_HAVE_NGHTTP2

#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>

struct connection {
    int fd;
    nghttp2_session *session;
    uint8_t body[1024];
    size_t body_len;
    size_t body_sent;
    bool ended;
    bool good; /* grpc-status was 0 */
};

static ssize_t on_send(nghttp2_session *session, const uint8_t *data,
                       size_t len, int flags, void *ctx)
{
    struct connection *c = ctx;
    ssize_t sent = send(c->fd, data, len, MSG_NOSIGNAL);

    return sent > 0 ? sent : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *ctx)
{
    struct connection *c = ctx;

    if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0) {
        c->good = value_len == 1 && value[0] == '0';
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream,
                    uint32_t error_code, void *ctx)
{
    struct connection *c = ctx;

    c->ended = true;
    return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *buf,
                         size_t size, uint32_t *flags,
                         nghttp2_data_source *source, void *ctx)
{
    struct connection *c = ctx;
    size_t len = c->body_len - c->body_sent;

    len = len < size ? len : size;
    memcpy(buf, c->body + c->body_sent, len);
    c->body_sent += len;
    if (c->body_sent == c->body_len) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)len;
}

static int connect_to(const char *address)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[256];
    const char *port = strrchr(address, ':');
    int one = 1;
    int fd;

    if (port == NULL || (size_t)(port - address) >= sizeof(host)) {
        return -1;
    }
    memcpy(host, address, (size_t)(port - address));
    host[port - address] = '\0';
    if (getaddrinfo(host, port + 1, &hints, &found) != 0) {
        return -1;
    }
    fd = socket(found->ai_family, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    return fd;
}

static void etcd_disconnect(void *connection)
{
    struct connection *c = connection;

    nghttp2_session_del(c->session);
    close(c->fd);
    free(c);
}

static void *etcd_connect(const char *address)
{
    struct connection *c = calloc(1, sizeof(*c));
    nghttp2_session_callbacks *callbacks = NULL;

    if (c == NULL || nghttp2_session_callbacks_new(&callbacks) != 0) {
        free(c);
        return NULL;
    }
    nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    c->fd = connect_to(address);
    if (c->fd < 0 ||
        nghttp2_session_client_new(&c->session, callbacks, c) != 0 ||
        nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0) != 0) {
        fprintf(stderr, "load: cannot connect to %s\n", address);
        nghttp2_session_callbacks_del(callbacks);
        free(c);
        return NULL;
    }
    nghttp2_session_callbacks_del(callbacks);
    return c;
}

/* A field of bytes; the length takes two bytes when it exceeds 127. */
static size_t put_bytes(uint8_t *out, uint8_t tag, const void *data, size_t len)
{
    size_t at = 0;

    out[at++] = tag;
    if (len > 127) {
        out[at++] = (uint8_t)(len & 127) | 128;
        out[at++] = (uint8_t)(len >> 7);
    } else {
        out[at++] = (uint8_t)len;
    }
    memcpy(out + at, data, len);
    return at + len;
}

/* A PutRequest (key 1, value 2) behind gRPC's prefix of five bytes. */
static void fill_body(struct connection *c, const char *key,
                      const uint8_t *value, size_t len)
{
    uint8_t *at = c->body + 5;

    at += put_bytes(at, 0x0a, key, strlen(key));
    at += put_bytes(at, 0x12, value, len);
    size_t size = (size_t)(at - c->body) - 5;

    memset(c->body, 0, 3);
    c->body[3] = (uint8_t)(size >> 8);
    c->body[4] = (uint8_t)size;
    c->body_len = size + 5;
    c->body_sent = 0;
}

#define HEADER(name, value)                                                    \
    {                                                                          \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value),           \
            sizeof(name) - 1, sizeof(value) - 1, NGHTTP2_NV_FLAG_NONE          \
    }

static bool etcd_put(void *connection, const char *key, const uint8_t *value,
                     size_t len)
{
    static const nghttp2_nv headers[] = {
        HEADER(":method", "POST"),
        HEADER(":scheme", "http"),
        HEADER(":path", "/etcdserverpb.KV/Put"),
        HEADER(":authority", "localhost"),
        HEADER("te", "trailers"),
        HEADER("content-type", "application/grpc"),
    };
    struct connection *c = connection;
    const nghttp2_data_provider provider = {.read_callback = read_body};
    uint8_t buf[4096];

    fill_body(c, key, value, len);
    c->ended = false;
    c->good = false;
    if (nghttp2_submit_request(c->session, NULL, headers,
                               sizeof(headers) / sizeof(headers[0]), &provider,
                               NULL) < 0) {
        return false;
    }
    while (!c->ended) {
        if (nghttp2_session_send(c->session) != 0) {
            return false;
        }
        ssize_t got = recv(c->fd, buf, sizeof(buf), 0);

        if (got <= 0 ||
            nghttp2_session_mem_recv(c->session, buf, (size_t)got) < 0) {
            return false;
        }
    }
    return c->good;
}

const struct load_target load_etcd = {etcd_connect, etcd_put, etcd_disconnect};

#else

const struct load_target load_etcd = {NULL, NULL, NULL};

#endif
