/* SPDX-License-Identifier: Apache-2.0 */

/* A snapshot's place with lists of members of its own. */

#ifndef SWKI_BASE_SNAPSHOT_META_H
#define SWKI_BASE_SNAPSHOT_META_H

#include <swarmkit/alloc.h>
#include <swarmkit/port/storage.h>

/* All zero is one at index 0: none. */
struct swki_snapshot_meta {
    struct swk_snapshot_meta is; /* its lists point into ids */
    uint64_t *ids;
};

/* Copies from; what out_copy held is not freed. SWK_ENOMEM leaves it as it
 * was. */
int swki_snapshot_meta_copy(const struct swk_alloc *alloc,
                            const struct swk_snapshot_meta *from,
                            struct swki_snapshot_meta *out_copy);

/* Frees the lists; it is all zero then. */
void swki_snapshot_meta_fini(const struct swk_alloc *alloc,
                             struct swki_snapshot_meta *meta);

#endif
