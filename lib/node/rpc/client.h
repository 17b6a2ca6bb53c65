/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The RPC client: one connection to a server, many calls; on a loop.
 *
 * Reconnecting is the caller's business: a client that is down stays down.
 */

#ifndef SWKI_NODE_RPC_CLIENT_H
#define SWKI_NODE_RPC_CLIENT_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/clock.h>
#include <swarmkit/port/transport.h>

#include "crypto/tls.h"
#include "runtime/loop/loop.h"
#include "wire/rpc_connection.h"

struct swki_rpc_client;

struct swki_rpc_client_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const struct swk_clock *clock;
    const struct swk_transport *transport;
    struct swki_loop *loop;
    const char *address; /* "tcp://HOST:PORT" or "ipc://PATH" */
    struct swki_tls_context *context; /* shared; NULL: frames without TLS */
    const char *server_name;          /* expected; NULL for no check */
    /* What the server's certificate must say beyond that, *copied*; NULL for
     * no check. */
    const char *node_id;
    const char *swarm_id;
    /* As of struct swki_rpc_connection_config; 0 for the defaults. */
    swk_time ping_ns;
    swk_time pong_ns;
    swk_time timeout_ns; /* to connect and shake hands; 0 for the default */
    void *ctx;
    /* On the loop's thread: the server's first frame has come. */
    void (*connected)(void *ctx, swk_time now);
    /* On the loop's thread, once, last: it could not connect, or is down.
     * SWK_EUNAUTHENTICATED if either side refused the other's certificate.
     * Every open call was told ended() before. */
    void (*disconnected)(void *ctx, const struct swk_error *reason,
                         swk_time now);
};

/* Begins to connect. */
int swki_rpc_client_new(const struct swki_rpc_client_config *config,
                        struct swki_rpc_client **out_client,
                        struct swk_error *err);

/* No callback comes any more, for calls neither. On the loop's thread (in a
 * callback of the client too), or after the loop has stopped. */
void swki_rpc_client_free(struct swki_rpc_client *client);

/* What a call is told, on the loop's thread. */
struct swki_rpc_client_call_events {
    void *ctx;
    uint64_t call_id; /* the caller's own */
    /* A message; data is borrowed for the call. */
    void (*message)(void *ctx, uint64_t call_id, const uint8_t *data,
                    size_t len, swk_time now);
    /* The end, with a gRPC status; once. */
    void (*ended)(void *ctx, uint64_t call_id, int status, const char *text,
                  swk_time now);
};

/* Makes a unary call or opens a server stream; allowed before connected().
 * request is copied; timeout_ns is 0 for none. On failure nothing is told. */
int swki_rpc_client_call(struct swki_rpc_client *client, const char *path,
                         const uint8_t *request, size_t len,
                         swk_time timeout_ns,
                         const struct swki_rpc_client_call_events *events,
                         struct swk_error *err);

/* The same with a request ID, or for somebody else: header is borrowed for the
 * call; its strings may be NULL but for the path. */
int swki_rpc_client_call_with(struct swki_rpc_client *client,
                              const struct swki_rpc_header *header,
                              const uint8_t *request, size_t len,
                              const struct swki_rpc_client_call_events *events,
                              struct swk_error *err);

/*
 * Opens a call on which any number of messages is sent; call_id, unique among
 * open calls, names it. send() copies; SWK_ELIMIT when the server leaves too
 * much unread, SWK_ENOTFOUND once the call is over. finish() says that no more
 * comes. A server may end the call at any time.
 */
int swki_rpc_client_open(struct swki_rpc_client *client,
                         const struct swki_rpc_header *header,
                         const struct swki_rpc_client_call_events *events,
                         struct swk_error *err);
int swki_rpc_client_send(struct swki_rpc_client *client, uint64_t call_id,
                         const uint8_t *data, size_t len,
                         struct swk_error *err);
void swki_rpc_client_finish(struct swki_rpc_client *client, uint64_t call_id);
/* Bytes that the server has not taken yet. */
size_t swki_rpc_client_unsent(const struct swki_rpc_client *client,
                              uint64_t call_id);

/* Gives a call up; nothing is told of it any more. */
void swki_rpc_client_cancel(struct swki_rpc_client *client, uint64_t call_id);

#endif
