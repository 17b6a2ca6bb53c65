/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Nodes of trees that are out of use, kept for the next change.
 *
 * A transaction copies some thousand nodes and leaves as many behind. What was
 * freed last is given out first: it still is in the processor's caches.
 */

#ifndef SWKI_STORE_POOL_H
#define SWKI_STORE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include <swarmkit/alloc.h>

enum {
    SWKI_POOL_LISTS = 16, /* by size, in steps of a cache line */
    SWKI_POOL_MAX = 2048, /* nodes of a list; those beyond are freed */
};

/* What nodes of rows and of trees begin with. */
struct swki_node {
    uint64_t born;          /* the epoch */
    struct swki_node *next; /* among garbage, or in the pool */
    uint16_t size;          /* bytes of the whole node */
    uint16_t count;         /* entries in use; not for rows */
    uint8_t level;          /* 0 for leaves */
};

struct swki_pool {
    const struct swk_alloc *alloc;
    struct {
        struct swki_node *first;
        unsigned count;
    } lists[SWKI_POOL_LISTS];
};

void swki_pool_init(struct swki_pool *pool, const struct swk_alloc *alloc);

/* Frees what is in the pool. */
void swki_pool_fini(struct swki_pool *pool);

/* A node of which only the size is set; NULL for no memory. */
struct swki_node *swki_pool_take(struct swki_pool *pool, size_t size);

void swki_pool_give(struct swki_pool *pool, struct swki_node *node);

#endif
