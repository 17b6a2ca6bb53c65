/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How often a node may renew its certificate: each node has its own measure, so
 * that one which asks without end takes nothing from the others.
 *
 * A node may renew a few times at once, and then once an interval. What is
 * counted is forgotten when it does not matter any more, and by a new leader.
 */

#ifndef SWKI_CA_RENEWAL_LIMIT_H
#define SWKI_CA_RENEWAL_LIMIT_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>

#include "base/list.h"
#include "base/map.h"

enum {
    /* Renewing once may take five requests, when answers are lost. */
    SWKI_CA_RENEWALS_AT_ONCE = 10,
    /* Beyond these that node is forgotten which has not asked for longest. */
    SWKI_CA_RENEWALS_NODES_MAX = 65536,
};

#define SWKI_CA_RENEWAL_INTERVAL (3 * SWK_MINUTE)

struct swki_renewal_limit {
    const struct swk_alloc *alloc;
    struct swki_map nodes;   /* node ID -> what is counted */
    struct swki_link by_use; /* that which asked last at the end */
};

void swki_renewal_limit_init(struct swki_renewal_limit *limit,
                             const struct swk_alloc *alloc);
/* Forgets all; it may be used on. */
void swki_renewal_limit_fini(struct swki_renewal_limit *limit);

/* Counts a renewal of the node. SWK_ELIMIT, with when to come again, if it has
 * had its share; SWK_ENOMEM. */
int swki_renewal_limit_take(struct swki_renewal_limit *limit, swk_time now,
                            const char *node_id, struct swk_error *err);

#endif
