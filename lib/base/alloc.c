/* SPDX-License-Identifier: Apache-2.0 */

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

void *swki_alloc(const struct swk_alloc *alloc, size_t size)
{
    if (size == 0) {
        size = 1;
    }
    return alloc != NULL ? alloc->alloc(alloc->ctx, size) : malloc(size);
}

void *swki_calloc(const struct swk_alloc *alloc, size_t count, size_t size)
{
    void *ptr;

    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    ptr = swki_alloc(alloc, count * size);
    if (ptr != NULL) {
        memset(ptr, 0, count * size);
    }
    return ptr;
}

void *swki_realloc(const struct swk_alloc *alloc, void *ptr, size_t count,
                   size_t size)
{
    size_t bytes;

    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    bytes = count * size;
    if (bytes == 0) {
        bytes = 1;
    }
    return alloc != NULL ? alloc->realloc(alloc->ctx, ptr, bytes)
                         : realloc(ptr, bytes);
}

void swki_free(const struct swk_alloc *alloc, void *ptr)
{
    if (alloc != NULL) {
        alloc->free(alloc->ctx, ptr);
    } else {
        free(ptr);
    }
}

char *swki_strdup(const struct swk_alloc *alloc, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = swki_alloc(alloc, size);

    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}
