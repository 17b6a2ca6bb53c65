/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A node's new certificate: for a new key, under its old identity, in the role
 * that the swarm grants it now.
 *
 * It asks until it has one, with growing pauses: the role may not be granted
 * yet when the node hears that it is to change.
 *
 * Threads: the loop's.
 */

#ifndef SWKI_NODE_RENEWAL_H
#define SWKI_NODE_RENEWAL_H

#include "node/ask.h"

#define SWKI_RENEWAL_PAUSE_MIN (500 * SWK_MILLISECOND)
#define SWKI_RENEWAL_PAUSE_MAX (30 * SWK_SECOND)

struct swki_renewal_config {
    struct swki_asker asker; /* its credentials are those to be renewed */
    void *ctx;
    /* New credentials, borrowed for the call; the caller makes them its own. */
    void (*renewed)(void *ctx, const struct swki_credentials *credentials,
                    swk_time now);
};

struct swki_renewal;

int swki_renewal_new(const struct swki_renewal_config *config,
                     struct swki_renewal **out_renewal, struct swk_error *err);
void swki_renewal_free(struct swki_renewal *renewal);

/* Asks for a certificate now, and again until it has the role (SWKI_ROLE_...);
 * what was asked for before does not matter any more. */
void swki_renewal_begin(struct swki_renewal *renewal, unsigned role);

/* Gives up what was begun for another role. */
void swki_renewal_keep_role(struct swki_renewal *renewal, unsigned role);

#endif
