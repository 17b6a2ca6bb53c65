/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Warnings of certificates that end, on the leader: those of nodes that did not
 * renew them in time, and the swarm's own roots, long before; and those of
 * nodes that are made shorter, since none outlives the one that signs it. Once
 * a day, as long as there is a reason.
 *
 * With it goes what is left of joins that came to nothing (joining.h). It
 * writes nothing else but the log.
 */

#ifndef SWKI_CA_EXPIRY_H
#define SWKI_CA_EXPIRY_H

#include <swarmkit/log.h>

#include "core/store/store.h"

/* After a change of the leader nodes may be about to come back. */
#define SWKI_CA_EXPIRY_FIRST SWK_MINUTE
#define SWKI_CA_EXPIRY_PERIOD (24 * SWK_HOUR)
#define SWKI_CA_EXPIRY_ROOT (365 * 24 * SWK_HOUR)

enum {
    SWKI_CA_EXPIRY_NAMED_MAX = 4, /* nodes in one line; the rest is counted */
};

struct swki_ca_expiry {
    const struct swk_logger *logger;
    struct swki_store *store;
    swk_time due;
    swk_time joins_due; /* to end some that came to nothing */
};

void swki_ca_expiry_init(struct swki_ca_expiry *expiry,
                         const struct swk_logger *logger,
                         struct swki_store *store, swk_time now);

/* Looks, if that is due. */
void swki_ca_expiry_step(struct swki_ca_expiry *expiry, swk_time now,
                         swk_wall wall);
swk_time swki_ca_expiry_deadline(const struct swki_ca_expiry *expiry);

#endif
