/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Between a manager and its signers: hands out jobs, each to the signer that is
 * meant by it, and brings what comes of them to the loop.
 *
 * Threads: the loop's; the signers tell it on theirs.
 */

#ifndef SWKI_NODE_SIGN_DESK_H
#define SWKI_NODE_SIGN_DESK_H

#include <swarmkit/alloc.h>
#include <swarmkit/port/signer.h>

#include "runtime/loop/loop.h"

struct swki_sign_desk_config {
    const struct swk_alloc *alloc;
    struct swki_loop *loop;
    const struct swk_signer *signer;   /* for jobs that come with a key */
    const struct swk_signer *keeper;   /* for those without: it has its keys,
                                          and makes roots; NULL: as above */
    const struct swk_signer *external; /* for those that name URLs; or NULL */
    void *ctx;
    /* How a job ended, on the loop; within no other call of the desk. */
    void (*finished)(void *ctx, uint64_t id, bool by_keeper,
                     const struct swk_sign_result *result);
};

struct swki_sign_desk;

int swki_sign_desk_new(const struct swki_sign_desk_config *config,
                       struct swki_sign_desk **out_desk, struct swk_error *err);
/* Gives up all jobs. */
void swki_sign_desk_free(struct swki_sign_desk *desk);

/* As sign() of the port, but that finished() is called on the loop. */
int swki_sign_desk_sign(struct swki_sign_desk *desk, uint64_t id,
                        const struct swk_sign_request *request,
                        struct swk_error *err);

#endif
