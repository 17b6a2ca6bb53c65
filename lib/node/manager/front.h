/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The manager's front: where calls go that the RPC server has taken. Those of
 * other managers' raft members go to the peers, those that only the leader
 * serves are forwarded, all others are the manager's; and answers come back.
 */

#ifndef SWKI_NODE_FRONT_H
#define SWKI_NODE_FRONT_H

#include "node/manager/forward.h"
#include "node/manager/manager.h"
#include "node/peers/peers.h"
#include "node/rpc/server.h"

struct swki_front;

/* The manager comes later, by swki_front_open(). */
int swki_front_new(const struct swk_alloc *alloc, struct swki_loop *loop,
                   struct swki_front **out_front, struct swk_error *err);
void swki_front_free(struct swki_front *front);

/* Calls go to this manager from now on; before, they are refused. */
void swki_front_open(struct swki_front *front, struct swki_manager *manager);

/* Who takes the others' calls; before the server listens. */
void swki_front_set_peers(struct swki_front *front, struct swki_peers *peers);
void swki_front_set_forward(struct swki_front *front,
                            struct swki_forward *forward);

/* Serves a call here that was to be forwarded:
 * struct swki_forward_config.serve_here. */
void swki_front_serve(void *front, struct swki_rpc_call *call,
                      const uint8_t *data, size_t len, swk_time now);

/* What the RPC server is to call. */
struct swki_rpc_handler swki_front_handler(struct swki_front *front);

/* What the manager is to call: struct swki_manager_config.answer. */
void swki_front_answer(void *front, const struct swki_answer *answer);

#endif
