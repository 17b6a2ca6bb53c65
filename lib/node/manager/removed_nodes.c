/* SPDX-License-Identifier: Apache-2.0 */

#include "node/manager/removed_nodes.h"

#include <string.h>

void swki_removed_nodes_init(struct swki_removed_nodes *removed,
                             const struct swk_alloc *alloc)
{
    *removed = (struct swki_removed_nodes){.complete = true};
    swki_map_init(&removed->ids, alloc);
}

void swki_removed_nodes_fini(struct swki_removed_nodes *removed)
{
    swki_map_fini(&removed->ids);
    swki_object_unref(removed->cluster);
    removed->cluster = NULL;
}

static bool is_listed(const struct swki_object *object, const char *node_id)
{
    const Swkpb__Cluster *cluster =
        object != NULL ? swki_cluster(object) : NULL;

    for (size_t i = 0;
         cluster != NULL && i < cluster->n_blacklisted_certificates; i++) {
        if (strcmp(cluster->blacklisted_certificates[i]->key, node_id) == 0) {
            return true;
        }
    }
    return false;
}

bool swki_removed_nodes_have(const struct swki_removed_nodes *removed,
                             const char *node_id)
{
    return removed->complete ? swki_map_get(&removed->ids, node_id) != NULL
                             : is_listed(removed->cluster, node_id);
}

void swki_removed_nodes_follow(struct swki_removed_nodes *removed,
                               const struct swki_object *object)
{
    const Swkpb__Cluster *cluster;
    struct swki_removed_nodes next;
    bool more = false;

    if (object == removed->cluster) {
        return;
    }
    swki_removed_nodes_init(&next, removed->ids.alloc);
    next.cluster = swki_object_ref(object);
    cluster = object != NULL ? swki_cluster(object) : NULL;
    for (size_t i = 0;
         cluster != NULL && i < cluster->n_blacklisted_certificates; i++) {
        char *id = cluster->blacklisted_certificates[i]->key;

        more = more || !swki_removed_nodes_have(removed, id);
        next.complete = swki_map_put(&next.ids, id, id) && next.complete;
    }
    next.removals = removed->removals + (more ? 1 : 0);
    swki_removed_nodes_fini(removed);
    *removed = next;
}
