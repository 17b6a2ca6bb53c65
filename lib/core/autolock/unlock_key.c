/* SPDX-License-Identifier: Apache-2.0 */

#include <swarmkit/unlock_key.h>

#include <string.h>

#include "base/base64.h"
#include "base/error.h"
#include "crypto/digest.h"

static const char prefix[] = "SWMKEY-1-";

enum {
    PREFIX_LEN = sizeof(prefix) - 1,
    DIGITS = SWK_UNLOCK_KEY_TEXT_LEN - PREFIX_LEN,
    PADDED_DIGITS = DIGITS + 1, /* of 32 bytes, one is padding */
};

int swk_unlock_key_parse(const char *text, size_t text_len,
                         struct swk_unlock_key *out_key, struct swk_error *err)
{
    uint8_t bytes[PADDED_DIGITS / 4 * 3];
    char padded[PADDED_DIGITS];
    size_t len = 0;
    bool good;

    if (text == NULL || out_key == NULL) {
        return swki_fail(err, SWK_EINVAL, "unlock key: NULL argument");
    }
    if (text_len != SWK_UNLOCK_KEY_TEXT_LEN ||
        memcmp(text, prefix, PREFIX_LEN) != 0) {
        return swki_fail(err, SWK_EMALFORMED,
                         "invalid key string: an unlock key is %s and %d "
                         "characters",
                         prefix, DIGITS);
    }
    memcpy(padded, text + PREFIX_LEN, DIGITS);
    padded[DIGITS] = '=';
    good = swki_base64_decode(padded, sizeof(padded), bytes, &len) &&
           len == SWK_UNLOCK_KEY_SIZE;
    if (good) {
        memcpy(out_key->bytes, bytes, SWK_UNLOCK_KEY_SIZE);
    }
    swki_wipe(padded, sizeof(padded));
    swki_wipe(bytes, sizeof(bytes));
    return good ? SWK_OK
                : swki_fail(err, SWK_EMALFORMED,
                            "invalid key string: what follows %s is not base "
                            "64 without padding",
                            prefix);
}

void swk_unlock_key_format(const struct swk_unlock_key *key,
                           char out_text[SWK_UNLOCK_KEY_TEXT_LEN + 1])
{
    char padded[PADDED_DIGITS];

    swki_base64_encode(key->bytes, SWK_UNLOCK_KEY_SIZE, padded);
    memcpy(out_text, prefix, PREFIX_LEN);
    memcpy(out_text + PREFIX_LEN, padded, DIGITS);
    out_text[SWK_UNLOCK_KEY_TEXT_LEN] = '\0';
    swki_wipe(padded, sizeof(padded));
}
