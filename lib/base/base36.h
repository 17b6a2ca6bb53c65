/* SPDX-License-Identifier: Apache-2.0 */

/* Numbers of many bytes as base-36 digits, [0-9a-z], most significant first. */

#ifndef SWKI_BASE_BASE36_H
#define SWKI_BASE_BASE36_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SWKI_BASE36_BYTES_MAX = 64, /* the longest number handled */
};

/* Whether text starts with len digits. */
bool swki_base36_valid(const char *text, size_t len);

/*
 * Writes the big-endian number of size bytes as exactly digits_count digits,
 * left-padded with '0', and a NUL. False if it needs more digits, or size is
 * over SWKI_BASE36_BYTES_MAX.
 */
bool swki_base36_encode(const uint8_t *data, size_t size, char *out_text,
                        size_t digits_count);

/* The reverse, into exactly size bytes. False for other characters, or a
 * number of more bytes. */
bool swki_base36_decode(const char *text, size_t digits_count,
                        uint8_t *out_data, size_t size);

#endif
