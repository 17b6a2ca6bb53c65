/* SPDX-License-Identifier: Apache-2.0 */

#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum {
    FIRST_SIZE = 64,
};

void swki_buf_init(struct swki_buf *buf, const struct swk_alloc *alloc,
                   size_t limit)
{
    *buf = (struct swki_buf){.alloc = alloc, .limit = limit};
}

void swki_buf_fini(struct swki_buf *buf)
{
    swki_free(buf->alloc, buf->data);
    buf->data = NULL;
    buf->len = 0;
    buf->size = 0;
}

void swki_buf_clear(struct swki_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

static bool grow(struct swki_buf *buf, size_t need)
{
    size_t size = buf->size > 0 ? buf->size : FIRST_SIZE;
    uint8_t *data;

    while (size < need) {
        size = size > SIZE_MAX / 2 ? need : size * 2;
    }
    data = swki_realloc(buf->alloc, buf->data, size, 1);
    if (data == NULL) {
        return false;
    }
    buf->data = data;
    buf->size = size;
    return true;
}

uint8_t *swki_buf_reserve(struct swki_buf *buf, size_t more)
{
    if (more > buf->limit - buf->len) {
        buf->failed = true;
        return NULL;
    }
    if ((buf->data == NULL || buf->len + more > buf->size) &&
        !grow(buf, buf->len + more)) {
        buf->failed = true;
        return NULL;
    }
    return buf->data + buf->len;
}

bool swki_buf_append(struct swki_buf *buf, const void *data, size_t len)
{
    uint8_t *room = swki_buf_reserve(buf, len);

    if (room == NULL) {
        return false;
    }
    if (len > 0) {
        memcpy(room, data, len);
    }
    buf->len += len;
    return true;
}

bool swki_buf_append_text(struct swki_buf *buf, const char *text)
{
    return swki_buf_append(buf, text, strlen(text));
}

bool swki_buf_append_byte(struct swki_buf *buf, uint8_t byte)
{
    return swki_buf_append(buf, &byte, 1);
}

bool swki_buf_printf(struct swki_buf *buf, const char *format, ...)
{
    va_list args;
    va_list again;
    uint8_t *room = NULL;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    if (len >= 0) {
        room = swki_buf_reserve(buf, (size_t)len + 1);
    }
    if (room != NULL) {
        vsnprintf((char *)room, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
    return room != NULL;
}

void swki_buf_consume(struct swki_buf *buf, size_t len)
{
    assert(len <= buf->len);
    if (len > 0) {
        memmove(buf->data, buf->data + len, buf->len - len);
        buf->len -= len;
    }
}
