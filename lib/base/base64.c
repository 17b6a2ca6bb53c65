/* SPDX-License-Identifier: Apache-2.0 */

#include "base/base64.h"

#include <string.h>

enum {
    GROUP_BYTES = 3,
    GROUP_DIGITS = 4,
    DIGIT_BITS = 6,
    DIGIT_MASK = 0x3f,
};

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "abcdefghijklmnopqrstuvwxyz0123456789+/";

size_t swki_base64_len(size_t len)
{
    return (len / GROUP_BYTES + (len % GROUP_BYTES != 0)) * GROUP_DIGITS;
}

/* Writes one to three bytes as four characters. */
static void encode_group(const uint8_t *data, size_t len, char *out_text)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < GROUP_BYTES; i++) {
        bits = bits << 8 | (i < len ? data[i] : 0u);
    }
    for (size_t i = 0; i < GROUP_DIGITS; i++) {
        unsigned shift = (unsigned)(GROUP_DIGITS - 1 - i) * DIGIT_BITS;

        out_text[i] = i <= len ? digits[bits >> shift & DIGIT_MASK] : '=';
    }
}

void swki_base64_encode(const void *data, size_t len, char *out_text)
{
    const uint8_t *at = data;

    while (len > 0) {
        size_t group = len < GROUP_BYTES ? len : GROUP_BYTES;

        encode_group(at, group, out_text);
        at += group;
        len -= group;
        out_text += GROUP_DIGITS;
    }
}

static bool digit_value(char character, uint32_t *out_value)
{
    const char *found = character != '\0' ? strchr(digits, character) : NULL;

    if (found == NULL) {
        return false;
    }
    *out_value = (uint32_t)(found - digits);
    return true;
}

/* Reads four characters that stand for len bytes. */
static bool decode_group(const char *text, size_t len, uint8_t *out_data)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < GROUP_DIGITS; i++) {
        uint32_t value = 0;

        if (i <= len && !digit_value(text[i], &value)) {
            return false;
        }
        bits = bits << DIGIT_BITS | value;
    }
    for (size_t i = 0; i < GROUP_BYTES; i++) {
        uint8_t byte = (uint8_t)(bits >> (GROUP_BYTES - 1 - i) * 8);

        if (i < len) {
            out_data[i] = byte;
        } else if (byte != 0) {
            return false;
        }
    }
    return true;
}

bool swki_base64_decode(const char *text, size_t text_len, uint8_t *out_data,
                        size_t *out_len)
{
    size_t len = 0;

    if (text_len % GROUP_DIGITS != 0) {
        return false;
    }
    for (size_t at = 0; at < text_len; at += GROUP_DIGITS) {
        bool is_last = at + GROUP_DIGITS == text_len;
        size_t group = GROUP_BYTES;

        if (is_last && text[at + 3] == '=') {
            group = text[at + 2] == '=' ? 1 : 2;
        }
        if (!decode_group(text + at, group, out_data + len)) {
            return false;
        }
        len += group;
    }
    *out_len = len;
    return true;
}
