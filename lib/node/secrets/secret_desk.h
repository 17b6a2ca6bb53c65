/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Between a manager and the provider of its secrets: hands out requests, and
 * brings what comes of them to the loop. Values are wiped once they are told.
 *
 * Threads: the loop's; the provider tells it on its own.
 */

#ifndef SWKI_NODE_SECRET_DESK_H
#define SWKI_NODE_SECRET_DESK_H

#include <swarmkit/alloc.h>
#include <swarmkit/port/secret_provider.h>

#include "runtime/loop/loop.h"

struct swki_secret_desk_config {
    const struct swk_alloc *alloc;
    struct swki_loop *loop;
    const struct swk_secret_provider *provider;
    void *ctx;
    /* What came of a request, on the loop; within no other call of the desk. */
    void (*finished)(void *ctx, uint64_t id,
                     const struct swk_secret_result *result);
};

struct swki_secret_desk;

int swki_secret_desk_new(const struct swki_secret_desk_config *config,
                         struct swki_secret_desk **out_desk,
                         struct swk_error *err);
/* Gives up all requests. */
void swki_secret_desk_free(struct swki_secret_desk *desk);

/* As find() and get() of the port, but that finished() is called on the loop.
 */
int swki_secret_desk_find(struct swki_secret_desk *desk, const char *driver,
                          struct swk_error *err);
int swki_secret_desk_get(struct swki_secret_desk *desk, uint64_t id,
                         const struct swk_secret_request *request,
                         struct swk_error *err);

#endif
