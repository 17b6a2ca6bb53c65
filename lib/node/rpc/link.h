/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A stream with TLS or without, between the transport's threads and the loop.
 *
 * TLS runs where the bytes arrive, under a lock that guards this link alone;
 * what it yields waits in the inbox, and one message tells the loop. Reading
 * pauses while much waits. On the way out one send is in flight, and all that
 * gathers meanwhile goes into the next one.
 *
 * Threads: the loop's. The allocator is called on the transport's too.
 */

#ifndef SWKI_NODE_RPC_LINK_H
#define SWKI_NODE_RPC_LINK_H

#include <swarmkit/port/transport.h>

#include "base/buf.h"
#include "crypto/tls.h"
#include "runtime/loop/loop.h"

struct swki_rpc_link;

/* On the loop's thread; the link must not be freed in them. */
struct swki_rpc_link_events {
    void *ctx;
    /* Bytes may be sent: TLS is established, or there is none. */
    void (*ready)(void *ctx, swk_time now);
    void (*received)(void *ctx, const uint8_t *data, size_t len, swk_time now);
    /* After a flush that could not take all: flush again. */
    void (*drained)(void *ctx, swk_time now);
    /* Once, last. */
    void (*failed)(void *ctx, const struct swk_error *err, swk_time now);
};

struct swki_rpc_link_config {
    const struct swk_alloc *alloc;
    struct swki_loop *loop;
    const struct swk_transport *transport;
    struct swki_tls_context *context; /* shared; NULL: no TLS */
    const char *server_name;
    const char *server; /* of a client: whose session to take up; or NULL */
    struct swki_rpc_link_events events;
};

/* The stream is taken; nothing is read from it before start(). */
int swki_rpc_link_new(const struct swki_rpc_link_config *config,
                      swk_stream *stream, struct swki_rpc_link **out_link,
                      struct swk_error *err);
void swki_rpc_link_start(struct swki_rpc_link *link);
void swki_rpc_link_free(struct swki_rpc_link *link);

/* Sends from the front of the buffer what there is room for. */
void swki_rpc_link_flush(struct swki_rpc_link *link, struct swki_buf *from);

/* After ready(): the peer's verified identity. */
int swki_rpc_link_peer(struct swki_rpc_link *link,
                       struct swki_identity *out_peer, struct swk_error *err);

#endif
