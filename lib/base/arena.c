/* SPDX-License-Identifier: Apache-2.0 */

#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum {
    ALIGNMENT = _Alignof(max_align_t),
    FIRST_BLOCK_SIZE = 256,
    BLOCK_SIZE_MAX = 64 * 1024,
};

struct swki_arena_block {
    struct swki_arena_block *next;
    size_t size; /* bytes of room after the header */
    size_t used;
};

/* The header's size, rounded up so that the room after it is aligned. */
#define HEADER_SIZE                                                            \
    ((sizeof(struct swki_arena_block) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT)

void swki_arena_init(struct swki_arena *arena, const struct swk_alloc *alloc,
                     size_t limit)
{
    *arena = (struct swki_arena){
        .alloc = alloc,
        .limit = limit,
        .next_size = FIRST_BLOCK_SIZE,
    };
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
    arena->blocks = NULL;
    arena->used = 0;
    arena->next_size = FIRST_BLOCK_SIZE;
}

void swki_arena_reset(struct swki_arena *arena)
{
    if (arena->blocks != NULL) {
        free_blocks(arena, arena->blocks->next);
        arena->blocks->next = NULL;
        arena->blocks->used = 0;
    }
    arena->used = 0;
}

static struct swki_arena_block *add_block(struct swki_arena *arena,
                                          size_t size_min)
{
    size_t size = arena->next_size > size_min ? arena->next_size : size_min;
    struct swki_arena_block *block;

    if (size > SIZE_MAX - HEADER_SIZE) {
        return NULL;
    }
    block = swki_alloc(arena->alloc, HEADER_SIZE + size);
    if (block == NULL) {
        return NULL;
    }
    *block = (struct swki_arena_block){.next = arena->blocks, .size = size};
    arena->blocks = block;
    if (arena->next_size < BLOCK_SIZE_MAX) {
        arena->next_size *= 2;
    }
    return block;
}

void *swki_arena_alloc(struct swki_arena *arena, size_t size)
{
    struct swki_arena_block *block = arena->blocks;
    size_t rounded;
    char *room;

    if (size > SIZE_MAX - ALIGNMENT) {
        return NULL;
    }
    rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (rounded > arena->limit - arena->used) {
        return NULL;
    }
    if (block == NULL || block->size - block->used < rounded) {
        block = add_block(arena, rounded);
        if (block == NULL) {
            return NULL;
        }
    }
    room = (char *)block + HEADER_SIZE + block->used;
    block->used += rounded;
    arena->used += rounded;
    return room;
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
    return text != NULL ? swki_arena_memdup(arena, text, strlen(text) + 1)
                        : swki_arena_memdup(arena, "", 1);
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
        text = swki_arena_alloc(arena, (size_t)len + 1);
    }
    if (text != NULL) {
        vsnprintf(text, (size_t)len + 1, format, again);
    }
    va_end(again);
    va_end(args);
    return text;
}
