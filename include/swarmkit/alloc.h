/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * The allocator an object takes its memory from.
 */

#ifndef SWARMKIT_ALLOC_H
#define SWARMKIT_ALLOC_H

#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/**
 * A port: memory for one object and all it owns.
 *
 * Where a configuration takes a pointer to one, NULL means malloc() and
 * friends. The functions are called on the thread of the object they serve.
 */
struct swk_alloc {
    size_t size; /**< sizeof(struct swk_alloc). */
    void *ctx;   /**< Passed to each function. */
    /** Returns size bytes (never 0), suitably aligned, or NULL. */
    void *(*alloc)(void *ctx, size_t size);
    /** Resizes; ptr may be NULL. On failure NULL, and ptr stays valid. */
    void *(*realloc)(void *ctx, void *ptr, size_t size);
    /** Releases; ptr may be NULL. */
    void (*free)(void *ctx, void *ptr);
};

SWK_END_DECLS

#endif
