/* SPDX-License-Identifier: Apache-2.0 */

#include "core/store/pool.h"

#include <assert.h>

#include "base/alloc.h"

enum {
    STEP = 64, /* no two sorts of nodes have sizes in one step */
};

void swki_pool_init(struct swki_pool *pool, const struct swk_alloc *alloc)
{
    *pool = (struct swki_pool){.alloc = alloc};
}

void swki_pool_fini(struct swki_pool *pool)
{
    for (unsigned i = 0; i < SWKI_POOL_LISTS; i++) {
        while (pool->lists[i].first != NULL) {
            struct swki_node *node = pool->lists[i].first;

            pool->lists[i].first = node->next;
            swki_free(pool->alloc, node);
        }
        pool->lists[i].count = 0;
    }
}

struct swki_node *swki_pool_take(struct swki_pool *pool, size_t size)
{
    size_t list = size / STEP;
    struct swki_node *node;

    assert(list < SWKI_POOL_LISTS);
    node = pool->lists[list].first;
    if (node != NULL) {
        assert(node->size == size);
        pool->lists[list].first = node->next;
        pool->lists[list].count--;
        return node;
    }
    node = swki_alloc(pool->alloc, size);
    if (node != NULL) {
        node->size = (uint16_t)size;
    }
    return node;
}

void swki_pool_give(struct swki_pool *pool, struct swki_node *node)
{
    size_t list = node->size / STEP;

    if (pool->lists[list].count == SWKI_POOL_MAX) {
        swki_free(pool->alloc, node);
        return;
    }
    node->next = pool->lists[list].first;
    pool->lists[list].first = node;
    pool->lists[list].count++;
}
