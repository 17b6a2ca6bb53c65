/* SPDX-License-Identifier: Apache-2.0 */

#include "core/ca/renewal_limit.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"

/* After so long all is as if the node had never asked. */
#define MEMORY (SWKI_CA_RENEWALS_AT_ONCE * SWKI_CA_RENEWAL_INTERVAL)

/* Each renewal moves full_at on by an interval; it may be ahead of the present
 * by as many as are allowed at once. */
struct counted {
    struct swki_link link;
    char node_id[SWK_ID_LEN_MAX + 1];
    swk_time used_at;
    swk_time full_at; /* from then on the node has its whole share again */
};

void swki_renewal_limit_init(struct swki_renewal_limit *limit,
                             const struct swk_alloc *alloc)
{
    limit->alloc = alloc;
    swki_map_init(&limit->nodes, alloc);
    swki_list_init(&limit->by_use);
}

static struct counted *oldest(const struct swki_renewal_limit *limit)
{
    return swki_list_empty(&limit->by_use)
               ? NULL
               : SWKI_CONTAINER(limit->by_use.next, struct counted, link);
}

static void drop(struct swki_renewal_limit *limit, struct counted *counted)
{
    swki_list_remove(&counted->link);
    swki_map_remove(&limit->nodes, counted->node_id);
    swki_free(limit->alloc, counted);
}

void swki_renewal_limit_fini(struct swki_renewal_limit *limit)
{
    struct counted *counted;

    while ((counted = oldest(limit)) != NULL) {
        drop(limit, counted);
    }
    swki_map_fini(&limit->nodes);
}

static void drop_old(struct swki_renewal_limit *limit, swk_time now)
{
    struct counted *counted;

    while ((counted = oldest(limit)) != NULL &&
           (counted->used_at + MEMORY <= now ||
            limit->nodes.count >= SWKI_CA_RENEWALS_NODES_MAX)) {
        drop(limit, counted);
    }
}

static struct counted *add(struct swki_renewal_limit *limit, swk_time now,
                           const char *node_id)
{
    struct counted *counted;

    drop_old(limit, now);
    counted = swki_calloc(limit->alloc, 1, sizeof(*counted));
    if (counted == NULL) {
        return NULL;
    }
    snprintf(counted->node_id, sizeof(counted->node_id), "%s", node_id);
    if (!swki_map_put(&limit->nodes, counted->node_id, counted)) {
        swki_free(limit->alloc, counted);
        return NULL;
    }
    swki_list_append(&limit->by_use, &counted->link);
    return counted;
}

int swki_renewal_limit_take(struct swki_renewal_limit *limit, swk_time now,
                            const char *node_id, struct swk_error *err)
{
    const swk_time ahead_max = MEMORY - SWKI_CA_RENEWAL_INTERVAL;
    struct counted *counted = swki_map_get(&limit->nodes, node_id);

    if (counted == NULL) {
        counted = add(limit, now, node_id);
    }
    if (counted == NULL) {
        return swki_fail_nomem(err);
    }
    if (counted->full_at < now) {
        counted->full_at = now;
    }
    if (counted->full_at - now > ahead_max) {
        swk_time wait = counted->full_at - now - ahead_max;

        return swki_fail(
            err, SWK_ELIMIT,
            "node %s has renewed its certificate too often: try "
            "again in %llu seconds",
            node_id,
            (unsigned long long)(wait / SWK_SECOND + (wait % SWK_SECOND != 0)));
    }
    counted->full_at += SWKI_CA_RENEWAL_INTERVAL;
    counted->used_at = now;
    swki_list_remove(&counted->link);
    swki_list_append(&limit->by_use, &counted->link);
    return SWK_OK;
}
