/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Growable byte buffers with a limit.
 *
 * An append that fails leaves the buffer as it was and marks it failed, so a
 * run of appends needs one check at its end.
 */

#ifndef SWKI_BASE_BUF_H
#define SWKI_BASE_BUF_H

#include <stdbool.h>

#include <swarmkit/alloc.h>

struct swki_buf {
    const struct swk_alloc *alloc;
    uint8_t *data;
    size_t len;   /* bytes in use */
    size_t size;  /* bytes of room */
    size_t limit; /* len never exceeds this */
    bool failed;  /* an append did not fit, or memory was short */
};

/* limit is in bytes; SIZE_MAX for none. Takes no memory yet. */
void swki_buf_init(struct swki_buf *buf, const struct swk_alloc *alloc,
                   size_t limit);
void swki_buf_fini(struct swki_buf *buf);

/* Empties the buffer, clears the mark and keeps the room. */
void swki_buf_clear(struct swki_buf *buf);

/* Makes room for more bytes and returns where they go, or NULL; the caller
 * fills them and adds to len. */
uint8_t *swki_buf_reserve(struct swki_buf *buf, size_t more);

/* False for no memory, or when over the limit. */
bool swki_buf_append(struct swki_buf *buf, const void *data, size_t len);
bool swki_buf_append_text(struct swki_buf *buf, const char *text);
bool swki_buf_append_byte(struct swki_buf *buf, uint8_t byte);
bool swki_buf_printf(struct swki_buf *buf, const char *format, ...)
    SWK_PRINTF(2, 3);

/* Removes the first len bytes; len <= buf->len. */
void swki_buf_consume(struct swki_buf *buf, size_t len);

#endif
