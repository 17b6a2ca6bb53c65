/* SPDX-License-Identifier: Apache-2.0 */

/* The certificates that are not honoured any more, in the cluster object. */

#ifndef SWKI_CONTROL_BLACKLIST_H
#define SWKI_CONTROL_BLACKLIST_H

#include "core/store/store.h"

/* The one cluster object; SWK_EINTERNAL if there is none. */
int swki_find_cluster(const struct swki_view *view,
                      const struct swki_object **out_object,
                      struct swk_error *err);

/* Locks a node's certificate out, in the transaction. */
int swki_blacklist_node(struct swki_tx *tx, const Swkpb__Node *node,
                        swk_wall wall, struct swk_error *err);

/* The entry that locks a node's certificate out, in new memory; NULL for
 * none. */
Swkpb__Cluster__BlacklistedCertificatesEntry *
swki_blacklist_entry(const Swkpb__Node *node, struct swki_arena *arena);

/* Drops the entries of an unsealed cluster that expired seven days ago. */
int swki_blacklist_prune(struct swki_object *object, swk_wall wall,
                         struct swk_error *err);

#endif
