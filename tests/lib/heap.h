/* SPDX-License-Identifier: Apache-2.0 */

/* An allocator that counts, and that fails at the n-th call. Any thread, as a
 * storage calls it on its own too. */

#ifndef TESTS_LIB_HEAP_H
#define TESTS_LIB_HEAP_H

#include <stdatomic.h>
#include <stdbool.h>

#include <swarmkit/alloc.h>

struct heap {
    struct swk_alloc alloc;
    atomic_size_t live;  /* allocations not freed yet */
    atomic_size_t calls; /* since heap_fail_at() */
    atomic_size_t fail_at;
    atomic_bool failed;
};

void heap_init(struct heap *heap);

/* The n-th call from now on fails, counted from 1, and all after it; 0 for
 * none. */
void heap_fail_at(struct heap *heap, size_t n);
bool heap_failed(const struct heap *heap);
size_t heap_live(const struct heap *heap);

#endif
