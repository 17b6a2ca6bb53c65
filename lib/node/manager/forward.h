/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Calls passed on to the leader, by a manager that does not lead.
 *
 * A call goes on with the identity of its caller, its request ID and the time
 * it has left, one hop only: a manager that gets one and does not lead itself
 * refuses it. The caller's rights are checked where it is carried out.
 *
 * While no leader is known, calls wait for one, for the time of an election or
 * two. A unary call whose connection broke waits for the next leader, and is
 * made once more if that does no harm; streams end, and their clients come
 * again.
 *
 * Threads: the loop's.
 */

#ifndef SWKI_NODE_FORWARD_H
#define SWKI_NODE_FORWARD_H

#include <stdbool.h>

#include "node/peers/peers.h"
#include "node/rpc/server.h"
#include "wire/service.h"

struct swki_forward;

enum {
    SWKI_FORWARD_WAITING_MAX = 1024,      /* calls that wait for a leader */
    SWKI_FORWARD_WAITING_SIZE_MAX = 16 * 1024 * 1024, /* bytes of them */
};

struct swki_forward_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const struct swk_clock *clock;
    struct swki_loop *loop;
    const char *node_id; /* of this manager; *borrowed*, likewise swarm_id */
    const char *swarm_id;
    swk_time patience_ns; /* without a leader; by default 3 s */
    void *ctx;
    /* Opens a connection to a member: swki_peers_connect(). */
    int (*connect)(void *ctx, uint64_t raft_id,
                   struct swki_rpc_client_config *config,
                   struct swki_rpc_client **out_client, struct swk_error *err);
    /* A call that is to be served here after all, since this manager came to
     * lead while it waited: as struct swki_rpc_handler.request. Whoever gets it
     * is told of all that comes of it. */
    void (*serve_here)(void *ctx, struct swki_rpc_call *call,
                       const uint8_t *data, size_t len, swk_time now);
};

int swki_forward_new(const struct swki_forward_config *config,
                     struct swki_forward **out_forward, struct swk_error *err);
/* Calls that were taken must be over: the server is freed before. */
void swki_forward_free(struct swki_forward *forward);

/*
 * Who leads: a member, own_id for this manager, 0 for nobody. Said whenever it
 * changes; at first nobody does. Streams to another leader end.
 */
void swki_forward_set_leader(struct swki_forward *forward, uint64_t leader_id,
                             uint64_t own_id, swk_time now);

/* Takes a call, whose ctx it sets, and request; what comes of it is to be told
 * by the other three. */
void swki_forward_request(struct swki_forward *forward,
                          struct swki_rpc_call *call, const uint8_t *data,
                          size_t len, swk_time now);
void swki_forward_message(struct swki_forward *forward,
                          struct swki_rpc_call *call, const uint8_t *data,
                          size_t len, swk_time now);
void swki_forward_finished(struct swki_forward *forward,
                           struct swki_rpc_call *call, swk_time now);
void swki_forward_closed(struct swki_forward *forward,
                         struct swki_rpc_call *call, swk_time now);

#endif
