/* SPDX-License-Identifier: Apache-2.0 */

/* The nodes whose certificates are not honoured any more: the blacklist of the
 * committed cluster object, to be asked with each call. */

#ifndef SWKI_NODE_REMOVED_NODES_H
#define SWKI_NODE_REMOVED_NODES_H

#include "base/map.h"
#include "core/store/store.h"

struct swki_removed_nodes {
    struct swki_map ids;
    const struct swki_object *cluster; /* that they are of; counted */
    bool complete;     /* false: memory was short, look into the object */
    uint64_t removals; /* how often nodes came to the list */
};

void swki_removed_nodes_init(struct swki_removed_nodes *removed,
                             const struct swk_alloc *alloc);
void swki_removed_nodes_fini(struct swki_removed_nodes *removed);

/* The object as it is now; NULL while there is none. */
void swki_removed_nodes_follow(struct swki_removed_nodes *removed,
                               const struct swki_object *cluster);

bool swki_removed_nodes_have(const struct swki_removed_nodes *removed,
                             const char *node_id);

#endif
