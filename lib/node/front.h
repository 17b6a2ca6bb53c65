/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The manager's front: calls from the RPC server to the manager, answers back.
 */

#ifndef SWKI_NODE_FRONT_H
#define SWKI_NODE_FRONT_H

#include "node/manager.h"
#include "node/rpc/server.h"

struct swki_front;

/* The manager comes later, by swki_front_open(). */
int swki_front_new(const struct swk_alloc *alloc, struct swki_loop *loop,
                   struct swki_front **out_front, struct swk_error *err);
void swki_front_free(struct swki_front *front);

/* Calls go to this manager from now on; before, they are refused. */
void swki_front_open(struct swki_front *front, struct swki_manager *manager);

/* What the RPC server is to call. */
struct swki_rpc_handler swki_front_handler(struct swki_front *front);

/* What the manager is to call: struct swki_manager_config.answer. */
void swki_front_answer(void *front, const struct swki_answer *answer);

#endif
