/* SPDX-License-Identifier: Apache-2.0 */

/* An allocator upon another one, which wipes what is released. */

#ifndef SWKI_RUNTIME_POSIX_WIPING_ALLOC_H
#define SWKI_RUNTIME_POSIX_WIPING_ALLOC_H

#include <swarmkit/alloc.h>

/* What it takes memory from. All may be called on any thread. */
struct swki_wiping_source {
    void *ctx;
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *ptr);
    /* Bytes that may be written there: at least those that were asked for. */
    size_t (*size_of)(void *ctx, void *ptr);
};

/* The source is *borrowed* by the allocator. */
struct swk_alloc swki_wiping_alloc_on(const struct swki_wiping_source *source);

#endif
