/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One RPC connection without I/O: bytes in, events out; calls in, bytes out.
 *
 * Only the client opens calls. Both sides may send any number of messages on
 * one, so it carries unary calls and streams of every kind. The client ends
 * its half with finish(); the server ends the call with end().
 *
 * Flow control: a side may send as many bytes of DATA on a call as the other
 * has granted. Messages longer than that are put together as they come; what
 * was delivered counts against the grant until consumed() says otherwise.
 *
 * A call is named by its stream number. After its ENDED event, end() or
 * reset() the number means nothing any more, and using it does nothing.
 */

#ifndef SWKI_WIRE_RPC_CONNECTION_H
#define SWKI_WIRE_RPC_CONNECTION_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>

#include "base/buf.h"
#include "wire/status.h"

enum {
    SWKI_RPC_VERSION = 1,
    SWKI_RPC_WINDOW = 256 * 1024, /* bytes granted for a call at first */
    SWKI_RPC_CALLS_MAX = 1024,    /* open at a time */
    SWKI_RPC_REQUEST_MAX = 4 * 1024 * 1024,
    SWKI_RPC_UNSENT_MAX = 64 * 1024 * 1024,
    SWKI_RPC_PARTS_MAX = 4 * SWKI_RPC_REQUEST_MAX,
    SWKI_RPC_PATH_MAX = 256,
    SWKI_RPC_REQUEST_ID_MAX = 128,
    SWKI_RPC_NAME_MAX = 256, /* of each part of a forwarded identity */
};

enum swki_rpc_side {
    SWKI_RPC_CLIENT,
    SWKI_RPC_SERVER,
};

struct swki_rpc_connection;

struct swki_rpc_connection_config {
    const struct swk_alloc *alloc;
    enum swki_rpc_side side;
    uint32_t window;    /* 0 for the default, likewise below */
    size_t calls_max;
    size_t message_max; /* bytes of a message received; client: no limit */
    size_t unsent_max;  /* bytes of messages that wait for the peer */
    size_t parts_max;   /* bytes of messages, of all calls together, that have
                           come in part; client: no limit */
    swk_time ping_ns;   /* silence after which the peer is asked */
    swk_time pong_ns;   /* silence after that which means it is gone */
};

/* What opens a call. Strings are never NULL. */
struct swki_rpc_header {
    const char *path;
    const char *request_id;
    uint64_t timeout_ns; /* 0 for none */
    /* Who asked first, if a manager passes the call on; else "". A caller that
     * has no certificate has an address at least. */
    const char *forwarded_node_id;
    const char *forwarded_swarm_id;
    const char *forwarded_role;
    const char *forwarded_address;
};

enum swki_rpc_event_kind {
    SWKI_RPC_READY,    /* the peer's first frame has come */
    SWKI_RPC_CALL,     /* to a server: header, deadline */
    SWKI_RPC_MESSAGE,  /* data, len */
    SWKI_RPC_FINISHED, /* to a server: no more messages come */
    SWKI_RPC_ENDED,    /* status, text; the call is gone */
    SWKI_RPC_GOAWAY,   /* to a client: no new calls */
};

/* Borrowed until the connection's next function is called. */
struct swki_rpc_event {
    enum swki_rpc_event_kind kind;
    uint32_t stream;
    void *owner; /* as set for the call, or NULL */
    const struct swki_rpc_header *header;
    swk_time deadline;
    const uint8_t *data;
    size_t len;
    int status; /* enum swki_status, or another number of the peer's */
    const char *text;
};

int swki_rpc_connection_new(const struct swki_rpc_connection_config *config,
                            swk_time now,
                            struct swki_rpc_connection **out_connection,
                            struct swk_error *err);
void swki_rpc_connection_free(struct swki_rpc_connection *c);

/*
 * Eats received bytes up to the next event. 1 with an event, 0 when all are
 * eaten; a negative code when the connection is of no use any more:
 * SWK_EMALFORMED for bytes against the protocol, SWK_ELIMIT, SWK_ENOMEM.
 */
int swki_rpc_connection_step(struct swki_rpc_connection *c, swk_time now,
                             const uint8_t **data, size_t *len,
                             struct swki_rpc_event *out_event,
                             struct swk_error *err);

/* What is due at now: 1 with the end of a call, 0 for no more, SWK_ETIMEDOUT
 * if the peer is gone. Call until 0. */
int swki_rpc_connection_expire(struct swki_rpc_connection *c, swk_time now,
                               struct swki_rpc_event *out_event,
                               struct swk_error *err);
swk_time swki_rpc_connection_deadline(const struct swki_rpc_connection *c);

/* Ends any one call that is left, with UNAVAILABLE and the text; false if
 * there is none. For a connection that is down. */
bool swki_rpc_connection_abandon(struct swki_rpc_connection *c,
                                 const char *text,
                                 struct swki_rpc_event *out_event);

/* Bytes to send; take them from the front with swki_buf_consume(). */
struct swki_buf *swki_rpc_connection_output(struct swki_rpc_connection *c);

/* A client opens a call. SWK_ELIMIT for too many, SWK_EUNAVAILABLE after
 * GOAWAY, SWK_EINVAL for a header that cannot be sent, SWK_ENOMEM. */
int swki_rpc_connection_open(struct swki_rpc_connection *c, swk_time now,
                             const struct swki_rpc_header *header, void *owner,
                             uint32_t *out_stream, struct swk_error *err);

void swki_rpc_connection_set_owner(struct swki_rpc_connection *c,
                                   uint32_t stream, void *owner);

/* Queues a message, copied. SWK_ELIMIT when too much waits already: a single
 * message of any length is taken if none waits; SWK_ENOTFOUND for a call that
 * is over. */
int swki_rpc_connection_send(struct swki_rpc_connection *c, uint32_t stream,
                             const void *data, size_t len,
                             struct swk_error *err);

/* A client has sent all; follows the messages. */
void swki_rpc_connection_finish(struct swki_rpc_connection *c,
                                uint32_t stream);

/* A server ends a call; follows the messages. No event comes of it any more. */
void swki_rpc_connection_end(struct swki_rpc_connection *c, uint32_t stream,
                             int status, const char *text);

/* The same, dropping what waits. */
void swki_rpc_connection_cut(struct swki_rpc_connection *c, uint32_t stream,
                             int status, const char *text);

/* A client gives a call up. */
void swki_rpc_connection_reset(struct swki_rpc_connection *c, uint32_t stream);

/* So many bytes of MESSAGE events have been dealt with. */
void swki_rpc_connection_consumed(struct swki_rpc_connection *c,
                                  uint32_t stream, size_t len);

/* Bytes of messages of the call that wait for the peer. */
size_t swki_rpc_connection_unsent(const struct swki_rpc_connection *c,
                                  uint32_t stream);

/* A server will take no new calls; those that are open go on. */
void swki_rpc_connection_goaway(struct swki_rpc_connection *c);

size_t swki_rpc_connection_calls(const struct swki_rpc_connection *c);

#endif
