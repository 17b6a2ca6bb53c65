/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The memory of writes that were answered, by the request ID of the caller.
 *
 * It is bounded: the oldest answers are forgotten first. A retry that comes
 * later still is an ordinary request.
 */

#ifndef SWKI_CONTROL_RETRIES_H
#define SWKI_CONTROL_RETRIES_H

#include <stdbool.h>

#include "base/list.h"
#include "base/map.h"
#include "core/store/store.h"
#include "wire/service.h"

enum swki_verb {
    SWKI_VERB_READ,
    SWKI_VERB_CREATE,
    SWKI_VERB_UPDATE,
    SWKI_VERB_REMOVE,
};

struct swki_retry {
    struct swki_link link; /* oldest first */
    char *key;             /* caller, method and request ID */
    enum swki_verb verb;
    bool unsure; /* leadership was lost before it was committed */
    uint64_t index;
    enum swki_kind kind; /* of the object that was written */
    char id[SWK_ID_LEN_MAX + 1];
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

/* What was answered, if it still stands; NULL to serve the call. What is
 * unsure is settled by looking into the committed view. */
const struct swki_retry *swki_retries_find(struct swki_retries *retries,
                                           const char *key,
                                           const struct swki_view *committed);

/* Remembers an answer. If there is no memory for it, a retry is served as an
 * ordinary request. */
void swki_retries_add(struct swki_retries *retries, const char *key,
                      enum swki_verb verb, enum swki_kind kind, const char *id,
                      const struct swki_answer *answer);

/* All beyond the index is unsure from now on. */
void swki_retries_doubt(struct swki_retries *retries, uint64_t committed_index);

#endif
