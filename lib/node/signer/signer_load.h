/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How much is asked of a signer at a time: so many requests, and so many bytes
 * of them, of one connection, of one user, and in all. So no client takes all
 * the room that there is.
 */

#ifndef SWKI_NODE_SIGNER_LOAD_H
#define SWKI_NODE_SIGNER_LOAD_H

#include <swarmkit/signer_service.h>

#include "base/list.h"
#include "node/rpc/server.h"

struct swki_signer_load_part {
    size_t jobs;
    size_t bytes;
};

/* A connection with requests under way. */
struct swki_signer_caller {
    struct swki_link link;
    const void *connection;
    int64_t uid;
    struct swki_signer_load_part load;
};

struct swki_signer_load {
    const struct swk_alloc *alloc;
    struct swki_link callers; /* no more than connections */
    struct swki_signer_load_part all;
    struct swki_signer_load_part most; /* in all, and so on */
    struct swki_signer_load_part most_per_user;
    struct swki_signer_load_part most_per_connection;
};

void swki_signer_load_init(struct swki_signer_load *load,
                           const struct swk_signer_service_config *config);

/* Takes room for a request; release() gives it back. NULL, or why there is
 * none. */
const char *swki_signer_load_take(struct swki_signer_load *load,
                                  const struct swki_rpc_call_info *info,
                                  size_t bytes,
                                  struct swki_signer_caller **out_caller);
void swki_signer_load_release(struct swki_signer_load *load,
                              struct swki_signer_caller *caller, size_t bytes);

#endif
