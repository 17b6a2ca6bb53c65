/* SPDX-License-Identifier: Apache-2.0 */

#include "crypto/der.h"

#include <string.h>

#include "crypto/calendar.h"

enum {
    LAST_UTC_YEAR = 2049, /* RFC 5280, section 4.1.2.5 */
};

size_t swki_der_open(struct swki_buf *buf, uint8_t tag)
{
    const uint8_t start[] = {tag, 0};

    swki_buf_append(buf, start, sizeof(start));
    return buf->len;
}

void swki_der_close(struct swki_buf *buf, size_t mark)
{
    size_t len;
    size_t extra = 0;

    if (buf->failed) {
        return;
    }
    len = buf->len - mark;
    for (size_t rest = len > 127 ? len : 0; rest > 0; rest >>= 8) {
        extra++;
    }
    if (swki_buf_reserve(buf, extra) == NULL) {
        return;
    }
    /* The length was left one byte; a long one moves the content. */
    memmove(buf->data + mark + extra, buf->data + mark, len);
    buf->len += extra;
    buf->data[mark - 1] = (uint8_t)(extra > 0 ? 0x80 | extra : len);
    for (size_t i = extra; i > 0; i--) {
        buf->data[mark + i - 1] = (uint8_t)len;
        len >>= 8;
    }
}

void swki_der_put(struct swki_buf *buf, uint8_t tag, const void *data,
                  size_t len)
{
    size_t mark = swki_der_open(buf, tag);

    swki_buf_append(buf, data, len);
    swki_der_close(buf, mark);
}

void swki_der_put_number(struct swki_buf *buf, const uint8_t *data, size_t len)
{
    size_t mark = swki_der_open(buf, SWKI_DER_INTEGER);

    while (len > 1 && data[0] == 0) {
        data++;
        len--;
    }
    if (data[0] & 0x80) {
        swki_buf_append_byte(buf, 0);
    }
    swki_buf_append(buf, data, len);
    swki_der_close(buf, mark);
}

void swki_der_put_bits(struct swki_buf *buf, const void *data, size_t len)
{
    size_t mark = swki_der_open(buf, SWKI_DER_BIT_STRING);

    swki_buf_append_byte(buf, 0); /* unused bits */
    swki_buf_append(buf, data, len);
    swki_der_close(buf, mark);
}

void swki_der_put_time(struct swki_buf *buf, swk_wall time)
{
    struct swki_calendar c = swki_calendar_from_wall(time);
    size_t mark;

    if (c.year <= LAST_UTC_YEAR) {
        mark = swki_der_open(buf, SWKI_DER_UTC_TIME);
        swki_buf_printf(buf, "%02d", c.year % 100);
    } else {
        mark = swki_der_open(buf, SWKI_DER_GENERALIZED_TIME);
        swki_buf_printf(buf, "%04d", c.year);
    }
    swki_buf_printf(buf, "%02d%02d%02d%02d%02dZ", c.month, c.day, c.hour,
                    c.minute, c.second);
    swki_der_close(buf, mark);
}
