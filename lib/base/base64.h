/* SPDX-License-Identifier: Apache-2.0 */

/* Base 64 with '+', '/' and padding (RFC 4648, section 4). */

#ifndef SWKI_BASE_BASE64_H
#define SWKI_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters that stand for len bytes, without a NUL; len <= SIZE_MAX / 2. */
size_t swki_base64_len(size_t len);

/* Writes swki_base64_len(len) characters, and no NUL. */
void swki_base64_encode(const void *data, size_t len, char *out_text);

/*
 * The reverse. out_data has room for text_len / 4 * 3 bytes. False for other
 * characters, missing padding, or bits that no encoder leaves set.
 */
bool swki_base64_decode(const char *text, size_t text_len, uint8_t *out_data,
                        size_t *out_len);

#endif
