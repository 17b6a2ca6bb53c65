/* SPDX-License-Identifier: Apache-2.0 */

/* Calls on a struct swk_alloc; NULL stands for the C library's heap. */

#ifndef SWKI_BASE_ALLOC_H
#define SWKI_BASE_ALLOC_H

#include <swarmkit/alloc.h>

/* NULL for no memory. size may be 0, which gives a pointer to free. */
void *swki_alloc(const struct swk_alloc *alloc, size_t size);

/* As swki_alloc(), zeroed, for count elements; NULL if the product overflows. */
void *swki_calloc(const struct swk_alloc *alloc, size_t count, size_t size);

/* NULL for no memory or overflow; ptr then stays valid. */
void *swki_realloc(const struct swk_alloc *alloc, void *ptr, size_t count,
                   size_t size);

void swki_free(const struct swk_alloc *alloc, void *ptr);

/* A copy of text, or NULL for no memory. */
char *swki_strdup(const struct swk_alloc *alloc, const char *text);

#endif
