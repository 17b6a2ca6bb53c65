/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/posix/wiping_alloc.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/posix.h>

static void *wiping_alloc(void *ctx, size_t size)
{
    const struct swki_wiping_source *source = ctx;

    return source->alloc(source->ctx, size);
}

static void wiping_free(void *ctx, void *ptr)
{
    const struct swki_wiping_source *source = ctx;

    if (ptr != NULL) {
        explicit_bzero(ptr, source->size_of(source->ctx, ptr));
        source->free(source->ctx, ptr);
    }
}

/* What is moved by somebody else leaves a copy behind. */
static void *wiping_realloc(void *ctx, void *ptr, size_t size)
{
    const struct swki_wiping_source *source = ctx;
    size_t room = ptr != NULL ? source->size_of(source->ctx, ptr) : 0;
    void *moved;

    if (ptr != NULL && size <= room && size >= room / 2) {
        return ptr;
    }
    moved = source->alloc(source->ctx, size);
    if (moved != NULL && ptr != NULL) {
        memcpy(moved, ptr, room < size ? room : size);
        wiping_free(ctx, ptr);
    }
    return moved;
}

struct swk_alloc swki_wiping_alloc_on(const struct swki_wiping_source *source)
{
    return (struct swk_alloc){
        .size = sizeof(struct swk_alloc),
        .ctx = (void *)(uintptr_t)source, /* it is only read */
        .alloc = wiping_alloc,
        .realloc = wiping_realloc,
        .free = wiping_free,
    };
}

/* -- Upon malloc() -------------------------------------------------------- */

static void *plain_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void plain_free(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

static size_t plain_size_of(void *ctx, void *ptr)
{
    (void)ctx;
    return malloc_usable_size(ptr);
}

const struct swk_alloc *swk_posix_wiping_alloc(void)
{
    static const struct swki_wiping_source plain = {
        .alloc = plain_alloc,
        .free = plain_free,
        .size_of = plain_size_of,
    };
    static const struct swk_alloc on_plain = {
        .size = sizeof(on_plain),
        .ctx = (void *)(uintptr_t)&plain,
        .alloc = wiping_alloc,
        .realloc = wiping_realloc,
        .free = wiping_free,
    };

    return &on_plain;
}
