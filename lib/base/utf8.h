/* SPDX-License-Identifier: Apache-2.0 */

/* Text from outside: is it UTF-8, and what to make of it if not. */

#ifndef SWKI_BASE_UTF8_H
#define SWKI_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether the len bytes are UTF-8 without a NUL, and so survive as a C string:
 * shortest forms only, no surrogates, nothing past U+10FFFF. len may be 0.
 */
bool swki_utf8_is_text(const void *data, size_t len);

/* Bytes of the character at the start of len > 0 bytes; 0 if they start with
 * none, or with a NUL. */
size_t swki_utf8_character_len(const void *data, size_t len);

/* Puts '?' in place of each byte that is not part of valid UTF-8, so that text
 * of unknown origin, such as a program's last words, may go into a message. */
void swki_utf8_repair(char *text);

#endif
