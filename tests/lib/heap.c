/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/heap.h"

#include <stdlib.h>

static bool fails(struct heap *heap)
{
    heap->calls++;
    if (heap->fail_at != 0 && heap->calls >= heap->fail_at) {
        heap->failed = true;
    }
    return heap->failed;
}

static void *heap_alloc(void *ctx, size_t size)
{
    struct heap *heap = ctx;

    if (fails(heap)) {
        return NULL;
    }
    heap->live++;
    return malloc(size);
}

static void *heap_realloc(void *ctx, void *ptr, size_t size)
{
    struct heap *heap = ctx;

    if (fails(heap)) {
        return NULL;
    }
    heap->live += ptr == NULL;
    return realloc(ptr, size);
}

static void heap_free(void *ctx, void *ptr)
{
    struct heap *heap = ctx;

    heap->live -= ptr != NULL;
    free(ptr);
}

void heap_init(struct heap *heap)
{
    *heap = (struct heap){
        .alloc =
            {
                .size = sizeof(heap->alloc),
                .ctx = heap,
                .alloc = heap_alloc,
                .realloc = heap_realloc,
                .free = heap_free,
            },
    };
}

void heap_fail_at(struct heap *heap, size_t n)
{
    heap->calls = 0;
    heap->fail_at = n;
    heap->failed = false;
}

bool heap_failed(const struct heap *heap)
{
    return heap->failed;
}

size_t heap_live(const struct heap *heap)
{
    return heap->live;
}
