/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The memory of writes that were answered, by the request ID of the caller.
 *
 * It serves retries that come to the same leader, also before the first attempt
 * is committed, with the very answer. It is bounded: the oldest answers are
 * forgotten first. What is committed the store remembers too, on all managers.
 */

#ifndef SWKI_CONTROL_RETRIES_H
#define SWKI_CONTROL_RETRIES_H

#include <stdbool.h>

#include "base/list.h"
#include "base/map.h"
#include "core/store/store.h"
#include "wire/service.h"

struct swki_retry {
    struct swki_link link; /* oldest first */
    char *key;             /* method and request ID */
    uint64_t index;
    size_t message_len;
    uint8_t message[]; /* the answer */
};

struct swki_retries {
    const struct swk_alloc *alloc;
    struct swki_map map;
    struct swki_link list;
    size_t count;
    size_t count_max;
    size_t bytes;
    size_t bytes_max;
};

void swki_retries_init(struct swki_retries *retries,
                       const struct swk_alloc *alloc, size_t count_max,
                       size_t bytes_max);
void swki_retries_fini(struct swki_retries *retries);

/* The key of a call, in the arena; NULL for no memory. */
const char *swki_retries_key(const struct swki_call *call,
                             struct swki_arena *arena);

/* What was answered; NULL to look further. */
const struct swki_retry *swki_retries_find(const struct swki_retries *retries,
                                           const char *key);

/* Remembers an answer. If there is no memory for it, a retry is looked for in
 * the store alone. */
void swki_retries_add(struct swki_retries *retries, const char *key,
                      const struct swki_answer *answer);

/* Forgets all beyond the index. */
void swki_retries_forget(struct swki_retries *retries,
                         uint64_t committed_index);

#endif
