/* SPDX-License-Identifier: Apache-2.0 */

#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* Bytes of a character by its first byte, and what the second one may be; the
 * narrower ranges keep out long forms, surrogates and what is too large. */
static const struct form {
    uint8_t first_min;
    uint8_t first_max;
    uint8_t len;
    uint8_t second_min;
    uint8_t second_max;
} forms[] = {
    {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f},
    {0xee, 0xef, 3, 0x80, 0xbf}, {0xf0, 0xf0, 4, 0x90, 0xbf},
    {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

static size_t form_len(const struct form *form, const uint8_t *data, size_t len)
{
    if (len < form->len || data[1] < form->second_min ||
        data[1] > form->second_max) {
        return 0;
    }
    for (size_t i = 2; i < form->len; i++) {
        if ((data[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return form->len;
}

size_t swki_utf8_character_len(const void *data, size_t len)
{
    const uint8_t *bytes = data;

    if (bytes[0] < 0x80) {
        return bytes[0] != 0 ? 1 : 0;
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (bytes[0] >= forms[i].first_min && bytes[0] <= forms[i].first_max) {
            return form_len(&forms[i], bytes, len);
        }
    }
    return 0;
}

/* Whether eight bytes are ASCII without a NUL; nearly all text is. A byte of
 * zero is the only one below 0x80 to borrow its top bit. */
static bool eight_are_plain(const uint8_t *data)
{
    const uint64_t tops = UINT64_C(0x8080808080808080);
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t word;

    memcpy(&word, data, sizeof(word));
    return ((word | (word - ones)) & tops) == 0;
}

bool swki_utf8_is_text(const void *data, size_t len)
{
    const uint8_t *at = data;

    while (len > 0) {
        size_t step = 8;

        if (len < 8 || !eight_are_plain(at)) {
            step = swki_utf8_character_len(at, len);
        }
        if (step == 0) {
            return false;
        }
        at += step;
        len -= step;
    }
    return true;
}

void swki_utf8_repair(char *text)
{
    size_t len = strlen(text);

    while (len > 0) {
        size_t step = swki_utf8_character_len(text, len);

        if (step == 0) {
            *text = '?';
            step = 1;
        }
        text += step;
        len -= step;
    }
}
