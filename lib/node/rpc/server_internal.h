/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The insides of the RPC server.
 *
 * A connection is released only in the server's turn, so that handlers may do
 * what they like, closing connections too; until then it is "doomed". A call
 * that was ended waits there too, for its closed().
 */

#ifndef SWKI_NODE_RPC_SERVER_INTERNAL_H
#define SWKI_NODE_RPC_SERVER_INTERNAL_H

#include <pthread.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/timers.h"
#include "node/rpc/link.h"
#include "node/rpc/server.h"
#include "wire/rpc_connection.h"

enum {
    SWKI_REQ_GREETING_LEN = 8, /* what an nng REQ client sends first */
    SWKI_REQ_HEADER_MAX = 32,  /* bytes of request IDs before a body */
};

/* Connections of one kind, the oldest first. */
struct swki_rpc_crowd {
    struct swki_link members;
    size_t count;
};

/* Connections from one address, or of one node; see server_gate.c. */
struct swki_rpc_party {
    char name[64];
    size_t count;
    struct swki_rpc_crowd crowds[SWKI_RPC_KINDS]; /* by party_link */
    struct swki_link waiting;   /* to shake hands: by gate_link */
    struct swki_link turn_link; /* in the server's turns while some wait */
};

struct swki_rpc_listener {
    struct swki_link link;
    struct swki_rpc_server *server;
    swk_listener *listener;
    bool local;
};

/* A stream that was accepted and waits for the loop. */
struct swki_rpc_accepted {
    struct swki_link link;
    swk_stream *stream;
    bool local;
};

struct swki_rpc_server {
    struct swki_rpc_server_config config;
    struct swki_loop_member member;
    struct swki_tls_context *context;
    struct swki_link listeners;
    struct swki_link connections; /* all that are not doomed */
    struct swki_link turns;       /* addresses where some wait to shake hands */
    struct swki_link gated;       /* handshakes, oldest first: by gate_link */
    struct swki_link dirty;       /* with output: by dirty_link */
    struct swki_link doomed;
    struct swki_link closing; /* calls that were ended */
    struct swki_timers timers;
    struct swki_map hosts;
    struct swki_map nodes;
    struct swki_rpc_crowd crowds[SWKI_RPC_KINDS]; /* by kind_link */
    size_t connections_count;
    size_t handshakes;
    swk_time warn_from;  /* when the count of warnings began */
    unsigned warn_count; /* since then */

    pthread_mutex_t lock; /* guards all below */
    struct swki_message message;
    struct swki_link accepted;
    size_t accepted_count;
    bool posted;
};

enum swki_rpc_mode {
    SWKI_RPC_MODE_SNIFF,  /* local: the first bytes decide */
    SWKI_RPC_MODE_FRAMES,
    SWKI_RPC_MODE_REQ,
};

struct swki_rpc_server_connection {
    struct swki_link link;
    struct swki_link gate_link;
    struct swki_link dirty_link;
    struct swki_timer timer;
    struct swki_rpc_server *server;
    struct swki_rpc_link *io;
    struct swki_rpc_connection *rpc; /* for frames */
    enum swki_rpc_mode mode;
    struct swki_buf in;  /* sniffed bytes; a request of REQ */
    struct swki_buf out; /* replies to REQ */
    struct swki_link calls;
    struct swki_link kind_link;
    struct swki_link party_link;
    enum swki_rpc_kind kind;      /* SWKI_RPC_KINDS: none */
    struct swki_rpc_party *party; /* which it counts with, by its kind */
    struct swki_rpc_party *host;  /* NULL for local ones without a limit */
    char address[128];
    bool local;
    int64_t uid; /* of the peer; -1 if it is not local */
    int64_t pid;
    bool identified;
    struct swki_identity peer;
    bool gated;         /* counts among the handshakes */
    swk_time gate_until;
    bool greeted;       /* the peer's first frame has come */
    bool doomed;
    swk_time greet_by;  /* when to lose patience before that */
    swk_time leave_at;  /* its node was removed; SWK_NEVER: it was not */
    swk_time quiet_by;  /* of a stranger without a call */
    swk_time leave_by;  /* of a stranger; of a node: look at its dates */
};

struct swki_rpc_call {
    struct swki_link link; /* the connection's calls, or the server's closing */
    struct swki_rpc_server *server;
    struct swki_rpc_server_connection *connection; /* NULL when it is over */
    struct swki_rpc_call_info info;
    struct swki_arena arena; /* the info's strings */
    void *ctx;
    uint32_t stream;
    bool told; /* the handler knows it */
    /* Of REQ: what is to be returned with the reply, and the reply. */
    uint8_t req_header[SWKI_REQ_HEADER_MAX];
    size_t req_header_len;
    bool replied;
    struct swki_buf reply;
};

/* -- server.c -- */

/* The connection will be released in the server's turn. */
void swki_rpc_server_doom(struct swki_rpc_server_connection *c);
void swki_rpc_server_mark_dirty(struct swki_rpc_server_connection *c);
/* Whether one more line may be logged: a flood must not fill the disk. */
enum swk_log_level swki_rpc_server_warn_level(struct swki_rpc_server *server,
                                              swk_time now);

/* -- server_gate.c -- */

/* NULL if there is room for the peer, else why there is none. The host, which
 * is counted with, is released again; NULL for local ones. */
const char *swki_rpc_gate_admit(struct swki_rpc_server *server, bool local,
                                const struct swk_stream_peer *peer,
                                struct swki_rpc_party **out_host);
void swki_rpc_gate_release(struct swki_rpc_server *server,
                           struct swki_rpc_party *host);
/* A new connection, with its host, waits to shake hands. */
void swki_rpc_gate_enter(struct swki_rpc_server_connection *c);
/* Starts those whose turn it is. */
void swki_rpc_gate_open(struct swki_rpc_server *server, swk_time now);
/* TLS is established: the next one may begin. */
void swki_rpc_gate_ready(struct swki_rpc_server_connection *c, swk_time now);
/* Its first frame has come. The connection may be doomed by it. */
void swki_rpc_gate_greeted(struct swki_rpc_server_connection *c);
/* It counts no more. */
void swki_rpc_gate_leave(struct swki_rpc_server_connection *c);
swk_time swki_rpc_gate_deadline(const struct swki_rpc_server *server);

/* -- server_connection.c -- */

int swki_rpc_server_connection_new(struct swki_rpc_server *server,
                                   const struct swki_rpc_accepted *accepted,
                                   const struct swk_stream_peer *peer,
                                   swk_time now,
                                   struct swki_rpc_server_connection **out_c,
                                   struct swk_error *err);
void swki_rpc_server_connection_free(struct swki_rpc_server_connection *c);
/* What is due at now. */
void swki_rpc_server_connection_expire(struct swki_rpc_server_connection *c,
                                       swk_time now);
void swki_rpc_server_connection_flush(struct swki_rpc_server_connection *c);
/* Sets its timer anew. */
void swki_rpc_server_connection_arm(struct swki_rpc_server_connection *c);
/* A call of it is over. */
void swki_rpc_server_connection_touch(struct swki_rpc_server_connection *c,
                                      swk_time now);

/* -- server_call.c -- */

struct swki_rpc_call *
swki_rpc_call_new(struct swki_rpc_server_connection *c,
                  const struct swki_rpc_header *header, swk_time deadline);
/* The request has come. */
void swki_rpc_call_tell(struct swki_rpc_call *call, const uint8_t *data,
                        size_t len, swk_time now);
/* Tells closed() if the handler knows of it, and releases. */
void swki_rpc_call_close(struct swki_rpc_call *call, swk_time now);

/* -- server_req.c -- */

bool swki_rpc_req_greeting(const uint8_t *data, size_t len);
void swki_rpc_req_start(struct swki_rpc_server_connection *c);
void swki_rpc_req_received(struct swki_rpc_server_connection *c,
                           const uint8_t *data, size_t len, swk_time now);
void swki_rpc_req_reply(struct swki_rpc_call *call, int status,
                        const char *text);
swk_time swki_rpc_req_deadline(const struct swki_rpc_server_connection *c);
void swki_rpc_req_expire(struct swki_rpc_server_connection *c, swk_time now);

#endif
