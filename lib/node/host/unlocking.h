/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A manager that is locked and waits for its key: there is a control socket,
 * which takes the key and refuses all else.
 *
 * Threads: the loop's.
 */

#ifndef SWKI_NODE_UNLOCKING_H
#define SWKI_NODE_UNLOCKING_H

#include <swarmkit/alloc.h>
#include <swarmkit/log.h>
#include <swarmkit/port/clock.h>
#include <swarmkit/port/transport.h>
#include <swarmkit/unlock_key.h>

#include "runtime/loop/loop.h"

struct swki_unlocking_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const struct swk_clock *clock;
    const struct swk_transport *transport;
    struct swki_loop *loop;
    const char *control_path;
    void *ctx;
    /* Tries a key: 0, or why it is none of this manager's. */
    int (*unlock)(void *ctx, const struct swk_unlock_key *unlock_key,
                  struct swk_error *err);
    /* It is unlocked, and whoever did so was told. It may be freed in it. */
    void (*unlocked)(void *ctx);
};

struct swki_unlocking;

int swki_unlocking_new(const struct swki_unlocking_config *config,
                       struct swki_unlocking **out_unlocking,
                       struct swk_error *err);
/* On the loop's thread, or after it stopped. */
void swki_unlocking_free(struct swki_unlocking *unlocking);

#endif
