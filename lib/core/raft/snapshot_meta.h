/* SPDX-License-Identifier: Apache-2.0 */

/* An own copy of where a snapshot stands and whom it names. */

#ifndef SWKI_CORE_RAFT_SNAPSHOT_META_H
#define SWKI_CORE_RAFT_SNAPSHOT_META_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/port/storage.h>

/* None if meta.index is 0. */
struct swki_snapshot_copy {
    struct swk_snapshot_meta meta; /* its lists are in block */
    uint64_t *block;
};

/* IDs in all lists of a state. */
size_t swki_conf_state_ids(const struct swk_conf_state *state);

/* Copies a state with its lists to ids, which has room for them. */
void swki_conf_state_copy(const struct swk_conf_state *from, uint64_t *ids,
                          struct swk_conf_state *out);

/* Makes a copy; false for no memory, and out is as it was. */
bool swki_snapshot_copy_make(const struct swk_alloc *alloc,
                             const struct swk_snapshot_meta *meta,
                             struct swki_snapshot_copy *out);

/* Releases a copy, which is none then. */
void swki_snapshot_copy_fini(const struct swk_alloc *alloc,
                             struct swki_snapshot_copy *copy);

#endif
