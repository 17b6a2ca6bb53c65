/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Arenas: many small allocations, one release, and a cap on the whole.
 *
 * A decoded message lives in one, and so does what a step of a machine hands
 * out. The cap is the defence against input that unpacks to far more than it
 * weighs.
 */

#ifndef SWKI_BASE_ARENA_H
#define SWKI_BASE_ARENA_H

#include <swarmkit/alloc.h>

struct swki_arena_block;

struct swki_arena {
    const struct swk_alloc *alloc;
    struct swki_arena_block *blocks; /* the newest first */
    char *at;     /* what comes next, in the newest block */
    char *end;
    size_t used;  /* bytes handed out, and lost to alignment */
    size_t limit; /* for used */
};

/* Takes no memory yet. limit is in bytes; SIZE_MAX for none. */
void swki_arena_init(struct swki_arena *arena, const struct swk_alloc *alloc,
                     size_t limit);

/* An arena without limit that begins in memory of its owner, which is aligned
 * as for a pointer. Such an arena is not reset. */
void swki_arena_init_room(struct swki_arena *arena,
                          const struct swk_alloc *alloc, void *room,
                          size_t size);

/* Releases everything; the arena may be used again. */
void swki_arena_fini(struct swki_arena *arena);

/* Forgets everything but keeps a block for the next round. */
void swki_arena_reset(struct swki_arena *arena);

/* Aligned for pointers and 64-bit numbers, and with them for all messages. NULL
 * for no memory, or when over the limit. */
void *swki_arena_alloc(struct swki_arena *arena, size_t size);

/* The same, zeroed, for count elements. */
void *swki_arena_calloc(struct swki_arena *arena, size_t count, size_t size);

void *swki_arena_memdup(struct swki_arena *arena, const void *data, size_t len);

/* Text is not aligned. NULL for no memory. text may be NULL, which gives "". */
char *swki_arena_strdup(struct swki_arena *arena, const char *text);

/* printf() into the arena; NULL for no memory. */
char *swki_arena_printf(struct swki_arena *arena, const char *format, ...)
    SWK_PRINTF(2, 3);

#endif
