/* SPDX-License-Identifier: Apache-2.0 */

#include "base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum {
    ALIGNMENT = _Alignof(uint64_t),
    FIRST_BLOCK_SIZE = 256,
    BLOCK_SIZE_MAX = 64 * 1024,
};

_Static_assert(ALIGNMENT >= _Alignof(void *), "pointers need no more");

struct swki_arena_block {
    struct swki_arena_block *next;
    size_t size; /* bytes of room */
    _Alignas(ALIGNMENT) char room[];
};

void swki_arena_init(struct swki_arena *arena, const struct swk_alloc *alloc,
                     size_t limit)
{
    *arena = (struct swki_arena){.alloc = alloc, .limit = limit};
}

void swki_arena_init_room(struct swki_arena *arena,
                          const struct swk_alloc *alloc, void *room,
                          size_t size)
{
    swki_arena_init(arena, alloc, SIZE_MAX);
    arena->at = room;
    arena->end = arena->at + size;
}

static void free_blocks(struct swki_arena *arena,
                        struct swki_arena_block *block)
{
    while (block != NULL) {
        struct swki_arena_block *next = block->next;

        swki_free(arena->alloc, block);
        block = next;
    }
}

void swki_arena_fini(struct swki_arena *arena)
{
    free_blocks(arena, arena->blocks);
    swki_arena_init(arena, arena->alloc, arena->limit);
}

static void begin_block(struct swki_arena *arena,
                        struct swki_arena_block *block)
{
    arena->blocks = block;
    arena->at = block->room;
    arena->end = block->room + block->size;
}

void swki_arena_reset(struct swki_arena *arena)
{
    if (arena->blocks != NULL) {
        free_blocks(arena, arena->blocks->next);
        arena->blocks->next = NULL;
        begin_block(arena, arena->blocks);
    }
    arena->used = 0;
}

/* Blocks double, up to a size; what needs more gets a block of its own. */
static bool add_block(struct swki_arena *arena, size_t size_min)
{
    size_t size = FIRST_BLOCK_SIZE;
    struct swki_arena_block *block;

    if (arena->blocks != NULL) {
        size = arena->blocks->size < BLOCK_SIZE_MAX / 2
                   ? arena->blocks->size * 2
                   : BLOCK_SIZE_MAX;
    }
    if (size < size_min) {
        size = size_min;
    }
    if (size > SIZE_MAX - sizeof(*block)) {
        return false;
    }
    block = swki_alloc(arena->alloc, sizeof(*block) + size);
    if (block == NULL) {
        return false;
    }
    block->next = arena->blocks;
    block->size = size;
    begin_block(arena, block);
    return true;
}

/* alignment is a power of two, and no more than that of a block. */
static void *carve(struct swki_arena *arena, size_t size, size_t alignment)
{
    size_t gap = -(uintptr_t)arena->at & (alignment - 1);
    char *room;

    if (size > SIZE_MAX - ALIGNMENT ||
        gap + size > arena->limit - arena->used) {
        return NULL;
    }
    if (arena->at == NULL || gap + size > (size_t)(arena->end - arena->at)) {
        if (!add_block(arena, size)) {
            return NULL;
        }
        gap = 0;
    }
    room = arena->at + gap;
    arena->at = room + size;
    arena->used += gap + size;
    return room;
}

void *swki_arena_alloc(struct swki_arena *arena, size_t size)
{
    return carve(arena, size, ALIGNMENT);
}

void *swki_arena_calloc(struct swki_arena *arena, size_t count, size_t size)
{
    void *ptr;

    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    ptr = swki_arena_alloc(arena, count * size);
    if (ptr != NULL) {
        memset(ptr, 0, count * size);
    }
    return ptr;
}

void *swki_arena_memdup(struct swki_arena *arena, const void *data, size_t len)
{
    void *copy = swki_arena_alloc(arena, len);

    if (copy != NULL && len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}

char *swki_arena_strdup(struct swki_arena *arena, const char *text)
{
    size_t size = text != NULL ? strlen(text) + 1 : 1;
    char *copy = carve(arena, size, 1);

    if (copy != NULL) {
        memcpy(copy, text != NULL ? text : "", size);
    }
    return copy;
}

char *swki_arena_printf(struct swki_arena *arena, const char *format, ...)
{
    va_list args;
    va_list again;
    char *text = NULL;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    if (len >= 0) {
        text = carve(arena, (size_t)len + 1, 1);
    }
    if (text != NULL) {
        vsnprintf(text, (size_t)len + 1, format, again);
    }
    va_end(again);
    va_end(args);
    return text;
}
