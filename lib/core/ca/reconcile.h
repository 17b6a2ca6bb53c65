/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bringing a rotation of the root to its end: every node is asked for a renewal
 * in its turn, and when all have a certificate under the new root, that becomes
 * the root of the swarm.
 *
 * A node has renewed when its description says so, which it sends only once it
 * uses its new certificate. Those that have not are kept in a map that follows
 * the events of the store, so that a round costs what it asks for, not what the
 * swarm holds:
 *
 *     ready     -> ROTATE is written to it in its turn, 30 of them a round
 *     under way    ROTATE, RENEW or PENDING: waited for
 *     resting      it was issued a certificate, and has not said so yet
 *
 * All nodes count, those that are down too, but for workers that the operator
 * waived. The end is one transaction: the new root, its hash, new join tokens
 * for it, and no rotation any more.
 */

#ifndef SWKI_CA_RECONCILE_H
#define SWKI_CA_RECONCILE_H

#include <stdbool.h>

#include <swarmkit/log.h>
#include <swarmkit/port/entropy.h>

#include "base/list.h"
#include "base/map.h"
#include "core/store/store.h"

/* A round, how many are asked in it, and how long one may take to report what
 * it was issued before it is asked again. */
#define SWKI_RECONCILE_INTERVAL (3 * SWK_SECOND)
#define SWKI_RECONCILE_REST (15 * SWK_SECOND)

enum {
    SWKI_RECONCILE_BATCH = 30,
};

struct swki_reconcile {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_store *store;
    const struct swk_entropy *entropy; /* for join tokens */
    /* The cluster whose rotation this is; counted. NULL: there is none. */
    const struct swki_object *cluster;
    struct swki_buf subject; /* DER of the root that is rotated to */
    struct swki_buf public_key;
    struct swki_map stragglers; /* node ID -> struct straggler */
    struct swki_link ready;     /* in order of arrival, as the others */
    struct swki_link under_way;
    struct swki_link resting;
    size_t waived_count; /* of the stragglers */
    bool stale;          /* all nodes must be looked at again */
    bool unread;         /* subject and key are not those of the root yet */
    bool broken;         /* the root is of no use; it was said */
    bool failed;         /* to end: the next round tries again */
    swk_time next_at;    /* the next round */
};

void swki_reconcile_init(struct swki_reconcile *r,
                         const struct swk_alloc *alloc,
                         const struct swk_logger *logger,
                         struct swki_store *store,
                         const struct swk_entropy *entropy);
/* Forgets everything; it can be found in the store again. */
void swki_reconcile_fini(struct swki_reconcile *r);

/* The swarm's object is this one now. */
void swki_reconcile_cluster(struct swki_reconcile *r,
                            const struct swki_object *cluster);
/* A node came, changed, or went. */
void swki_reconcile_node(struct swki_reconcile *r, swk_time now,
                         const Swkpb__Node *node);
void swki_reconcile_gone(struct swki_reconcile *r, const char *node_id);
/* Events were missed. */
void swki_reconcile_reset(struct swki_reconcile *r);

/* Does what is due, once all events up to the store's head were told. */
void swki_reconcile_step(struct swki_reconcile *r, swk_time now, swk_wall wall);

/* When to step if nothing happens first, or SWK_NEVER. */
swk_time swki_reconcile_deadline(const struct swki_reconcile *r);

/* Nodes that the end waits for, if a rotation is under way. */
size_t swki_reconcile_missing(const struct swki_reconcile *r);

#endif
