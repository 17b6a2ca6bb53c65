/* SPDX-License-Identifier: Apache-2.0 */

#include "base/base36.h"

#include <string.h>

/* The digit's value, or -1. */
static int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : -1;
}

bool swki_base36_valid(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (digit_value(text[i]) < 0) {
            return false;
        }
    }
    return true;
}

/* number /= 36; returns the remainder. */
static unsigned divide(uint8_t *number, size_t size)
{
    unsigned rest = 0;

    for (size_t i = 0; i < size; i++) {
        unsigned value = rest * 256 + number[i];

        number[i] = (uint8_t)(value / 36);
        rest = value % 36;
    }
    return rest;
}

bool swki_base36_encode(const uint8_t *data, size_t size, char *out_text,
                        size_t digits_count)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    uint8_t number[SWKI_BASE36_BYTES_MAX];

    if (size > sizeof(number)) {
        return false;
    }
    memcpy(number, data, size);
    for (size_t i = digits_count; i > 0; i--) {
        out_text[i - 1] = digits[divide(number, size)];
    }
    out_text[digits_count] = '\0';
    for (size_t i = 0; i < size; i++) {
        if (number[i] != 0) {
            return false;
        }
    }
    return true;
}

/* number = number * 36 + digit; false on overflow. */
static bool multiply_add(uint8_t *number, size_t size, unsigned digit)
{
    unsigned carry = digit;

    for (size_t i = size; i > 0; i--) {
        unsigned value = number[i - 1] * 36U + carry;

        number[i - 1] = (uint8_t)value;
        carry = value >> 8;
    }
    return carry == 0;
}

bool swki_base36_decode(const char *text, size_t digits_count,
                        uint8_t *out_data, size_t size)
{
    memset(out_data, 0, size);
    for (size_t i = 0; i < digits_count; i++) {
        int value = digit_value(text[i]);

        if (value < 0 || !multiply_add(out_data, size, (unsigned)value)) {
            return false;
        }
    }
    return true;
}
