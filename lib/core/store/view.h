/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Versions of the whole store, and what becomes of what they leave behind.
 *
 * The versions that somebody holds stand in a list, from old to new. What a
 * change replaced is kept by the version before it. When a version goes, its
 * garbage is freed, except for what is so old that the version before it in
 * the list may see it, and which therefore is handed to that one.
 *
 * References may be dropped on any thread; everything else, and all freeing,
 * happens on the store's.
 */

#ifndef SWKI_STORE_VIEW_H
#define SWKI_STORE_VIEW_H

#include <stdatomic.h>

#include "base/list.h"
#include "core/store/store.h"
#include "core/store/tree.h"

struct swki_table {
    struct swki_rows rows;
    struct swki_tree ids;  /* by swki_index_id_key() */
    struct swki_tree keys; /* by swki_keys_collect() */
};

struct swki_versions {
    const struct swk_alloc *alloc;
    struct swki_link list;
    atomic_uint dead; /* versions of the list that nobody holds any more */
    uint64_t epoch;   /* the last one that was given out */
    struct swki_pool pool;
};

struct swki_view {
    atomic_uint refs;
    struct swki_versions *versions;
    struct swki_link link;
    uint64_t epoch;
    _Atomic uint64_t index; /* moves with entries that change nothing */
    uint64_t generation; /* counts the writes of an open transaction */
    struct swki_table tables[SWKI_KINDS_COUNT];
    struct swki_garbage garbage;
};

/* Starts with an empty version, *given*; false for no memory. */
bool swki_versions_init(struct swki_versions *versions,
                        const struct swk_alloc *alloc,
                        struct swki_view **out_first);

/* Frees everything; last is the only version that is left. */
void swki_versions_fini(struct swki_versions *versions, struct swki_view *last);

/* A copy of a version for a writer, not in the list yet; NULL for no memory. */
struct swki_view *swki_versions_fork(struct swki_versions *versions,
                                     const struct swki_view *base);

/* Ends a fork: as the newest version, or without a trace. The garbage is that
 * of the fork's writer. */
void swki_versions_add(struct swki_versions *versions, struct swki_view *fork,
                       struct swki_garbage *garbage);
void swki_versions_drop(struct swki_versions *versions, struct swki_view *fork,
                        struct swki_garbage *garbage);

/* Gives up what came after base, up to tip: base is the newest again. Both are
 * in the list. */
void swki_versions_revert(struct swki_versions *versions,
                          struct swki_view *base, struct swki_view *tip);

/* Frees the versions that nobody holds any more. */
void swki_versions_sweep(struct swki_versions *versions);

#endif
