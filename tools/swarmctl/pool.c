/* SPDX-License-Identifier: Apache-2.0 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

struct pool_block {
    struct pool_block *next;
    max_align_t data[];
};

void *pool_alloc(struct pool *pool, size_t size)
{
    struct pool_block *block = calloc(1, sizeof(*block) + size);

    if (block == NULL) {
        fputs("Error: out of memory\n", stderr);
        exit(EXIT_FAILED);
    }
    block->next = pool->blocks;
    pool->blocks = block;
    return block->data;
}

char *pool_strndup(struct pool *pool, const char *text, size_t len)
{
    char *copy = pool_alloc(pool, len + 1);

    memcpy(copy, text, len);
    return copy;
}

char *pool_strdup(struct pool *pool, const char *text)
{
    return pool_strndup(pool, text, strlen(text));
}

char *pool_printf(struct pool *pool, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        return pool_strdup(pool, "");
    }

    char *text = pool_alloc(pool, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}

void pool_empty(struct pool *pool)
{
    while (pool->blocks != NULL) {
        struct pool_block *block = pool->blocks;

        pool->blocks = block->next;
        free(block);
    }
}

void *pool_message(struct pool *pool, const ProtobufCMessageDescriptor *type)
{
    void *message = pool_alloc(pool, type->sizeof_message);

    type->message_init(message);
    return message;
}
