/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The RPC server: listeners, TLS, connections; calls on the loop's thread.
 *
 * TLS and framing run where the bytes arrive; only events of calls reach the
 * loop. A call is the server's until its end was told by closed(), and the
 * handler may keep the pointer until then.
 */

#ifndef SWKI_NODE_RPC_SERVER_H
#define SWKI_NODE_RPC_SERVER_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/clock.h>
#include <swarmkit/port/transport.h>

#include "crypto/tls.h"
#include "runtime/loop/loop.h"

struct swki_rpc_server;

/* One call that a client made. */
struct swki_rpc_call;

/* Who made it, and what for. Borrowed until closed(). */
struct swki_rpc_call_info {
    const char *path;
    const char *request_id; /* "" if there is none */
    const char *address;    /* "192.0.2.1:53211", or "" for local ones */
    const void *connection; /* the same for all calls of one, to compare */
    bool local;             /* through a local socket, by who may use it */
    int64_t uid;            /* of a local caller; -1 for others */
    int64_t pid;            /* likewise */
    bool identified;        /* peer is that of a verified certificate */
    struct swki_identity peer;
    /* Who asked first, as the peer says: only a manager is to be believed.
     * "" if the peer speaks for itself. */
    const char *forwarded_node_id;
    const char *forwarded_swarm_id;
    const char *forwarded_role; /* SWKI_OU_* */
    const char *forwarded_address;
    bool unary_only;   /* a stock REQ client: streams cannot be served */
    swk_time deadline; /* SWK_NEVER if there is none */
};

/* On the loop's thread. */
struct swki_rpc_handler {
    void *ctx;
    /* The request of a unary call or a server stream has arrived, whole; data
     * is borrowed for the call. */
    void (*request)(void *ctx, struct swki_rpc_call *call, const uint8_t *data,
                    size_t len, swk_time now);
    /* A further message of a client's stream; may be NULL if the handler
     * serves none, and the call is then refused. */
    void (*message)(void *ctx, struct swki_rpc_call *call, const uint8_t *data,
                    size_t len, swk_time now);
    /* The client has sent all; may be NULL. */
    void (*finished)(void *ctx, struct swki_rpc_call *call, swk_time now);
    /* The client cancelled, went away, or the deadline passed; or end() was
     * called. Comes once for each call that request() was told of; the call is
     * gone when it returns. */
    void (*closed)(void *ctx, struct swki_rpc_call *call, swk_time now);
};

/* Connections by what is known of the client. */
enum swki_rpc_kind {
    SWKI_RPC_YOUNG,    /* it has not greeted yet */
    SWKI_RPC_STRANGER, /* it showed no certificate */
    SWKI_RPC_WORKER,
    SWKI_RPC_MANAGER,
    SWKI_RPC_KINDS, /* not a kind: how many there are */
};

/* For how many of a kind there is room; when it is full, the oldest goes. */
struct swki_rpc_room {
    size_t in_all;
    size_t per_party; /* from one address; a node's: of one node */
};

struct swki_rpc_server_config {
    const struct swk_alloc *alloc; /* called on the transport's threads too */
    const struct swk_logger *logger;
    const struct swk_clock *clock;
    const struct swk_transport *transport;
    struct swki_loop *loop;
    struct swki_rpc_handler handler;
    swk_time handshake_timeout_ns;
    size_t connections_max; /* 0 for the default, likewise below */
    size_t connections_per_address_max;
    size_t handshakes_max; /* worked at, at a time */
    struct swki_rpc_room rooms[SWKI_RPC_KINDS];
    swk_time stranger_quiet_ns; /* without a call, then it is hung up on */
    swk_time stranger_life_ns;  /* in all */
    size_t request_max;    /* bytes of a request */
    size_t unsent_max;     /* bytes a slow reader may leave; then it is cut */
    /* Users who may use local sockets, beside root and the server's own;
     * borrowed. */
    const int64_t *local_users;
    size_t local_users_count;
    /* Of local sockets, each user; then connections_max counts for them too,
     * and what of requests has come in part is bounded. 0: no limit. */
    size_t connections_per_user_max;
};

int swki_rpc_server_new(const struct swki_rpc_server_config *config,
                        struct swki_rpc_server **out_server,
                        struct swk_error *err);

/* Closes everything; closed() comes for every open call. On the loop's thread,
 * or after the loop has stopped. */
void swki_rpc_server_free(struct swki_rpc_server *server);

/* TLS on "tcp://HOST:PORT". The context is shared. */
int swki_rpc_server_listen(struct swki_rpc_server *server, const char *address,
                           struct swki_tls_context *context, int *out_port,
                           struct swk_error *err);

/* A local socket at path: frames without TLS, and stock nng REQ clients; only
 * root, the server's own user and local_users are let in. */
int swki_rpc_server_listen_local(struct swki_rpc_server *server,
                                 const char *path, struct swk_error *err);

/* For connections from now on. */
void swki_rpc_server_set_context(struct swki_rpc_server *server,
                                 struct swki_tls_context *context);

/* Ends the calls of all nodes that were removed from the swarm, with
 * PERMISSION_DENIED and a text that says so, and closes their connections
 * soon. On the loop's thread. */
void swki_rpc_server_drop_removed(struct swki_rpc_server *server,
                                  bool (*is_removed)(void *ctx,
                                                     const char *node_id),
                                  void *ctx);

/* Takes no new calls on any connection; open ones go on. */
void swki_rpc_server_goaway(struct swki_rpc_server *server);

/* -- Calls, on the loop's thread ------------------------------------------ */

const struct swki_rpc_call_info *
swki_rpc_call_info(const struct swki_rpc_call *call);

/* The handler's own pointer. */
void swki_rpc_call_set_ctx(struct swki_rpc_call *call, void *ctx);
void *swki_rpc_call_ctx(const struct swki_rpc_call *call);

/* Sends a message; data is copied. What is sent in one turn leaves together. */
void swki_rpc_call_send(struct swki_rpc_call *call, const uint8_t *data,
                        size_t len);

/* Ends the call with a gRPC status; closed() follows, at the latest in the
 * next turn. */
void swki_rpc_call_end(struct swki_rpc_call *call, int status,
                       const char *text);

/* Bytes that the client has not taken yet. */
size_t swki_rpc_call_unsent(const struct swki_rpc_call *call);

#endif
