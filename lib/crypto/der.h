/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Writing DER in reading order.
 *
 * Certificates are put together here, and not with the library's writers,
 * because those differ between its versions, and because names and extensions
 * of foreign authorities must be copied to the byte.
 *
 * Failures are kept in the buffer's mark: check buf->failed at the end.
 */

#ifndef SWKI_CRYPTO_DER_H
#define SWKI_CRYPTO_DER_H

#include <swarmkit/types.h>

#include "base/buf.h"

enum {
    SWKI_DER_BOOLEAN = 0x01,
    SWKI_DER_INTEGER = 0x02,
    SWKI_DER_BIT_STRING = 0x03,
    SWKI_DER_OCTET_STRING = 0x04,
    SWKI_DER_NULL = 0x05,
    SWKI_DER_OID = 0x06,
    SWKI_DER_UTF8_STRING = 0x0c,
    SWKI_DER_PRINTABLE_STRING = 0x13,
    SWKI_DER_UTC_TIME = 0x17,
    SWKI_DER_GENERALIZED_TIME = 0x18,
    SWKI_DER_SEQUENCE = 0x30,
    SWKI_DER_SET = 0x31,
    SWKI_DER_CONTEXT = 0x80,             /* plus the number */
    SWKI_DER_CONTEXT_CONSTRUCTED = 0xa0, /* plus the number */
};

/* Begins an element and returns the mark that swki_der_close() takes. */
size_t swki_der_open(struct swki_buf *buf, uint8_t tag);
void swki_der_close(struct swki_buf *buf, size_t mark);

/* A whole element. */
void swki_der_put(struct swki_buf *buf, uint8_t tag, const void *data,
                  size_t len);

/* A number that is not negative, big-endian, in its shortest form. */
void swki_der_put_number(struct swki_buf *buf, const uint8_t *data, size_t len);

/* A BIT STRING of whole bytes. */
void swki_der_put_bits(struct swki_buf *buf, const void *data, size_t len);

/* Two digits a year up to 2049, four from then on, to the second. */
void swki_der_put_time(struct swki_buf *buf, swk_wall time);

#endif
