/* SPDX-License-Identifier: Apache-2.0 */

#include <swarmkit/join_token.h>

#include <stdio.h>
#include <string.h>

#include "base/base36.h"
#include "base/error.h"

enum {
    DIGEST_DIGITS = 50, /* ceil(256 / log2(36)) */
    SECRET_DIGITS = SWK_JOIN_TOKEN_SECRET_DIGITS,
    BODY_LEN = DIGEST_DIGITS + 1 + SECRET_DIGITS,
};

/* The first form with a token's flags is the one that is written. */
static const struct form {
    const char *prefix;
    uint32_t flags;
} forms[] = {
    {"SWMTKN-1-", 0},
    {"SWMTKN-2-0-", 0},
    {"SWMTKN-2-1-", SWK_JOIN_TOKEN_FIPS},
};

enum {
    FORMS_COUNT = sizeof(forms) / sizeof(forms[0]),
};

/* Every part has a fixed width, so length and prefix settle the form. */
static const struct form *find_form(const char *text, size_t len)
{
    for (size_t i = 0; i < FORMS_COUNT; i++) {
        size_t prefix_len = strlen(forms[i].prefix);

        if (len == prefix_len + BODY_LEN &&
            memcmp(text, forms[i].prefix, prefix_len) == 0) {
            return &forms[i];
        }
    }
    return NULL;
}

int swk_join_token_parse(const char *text, size_t text_len,
                         struct swk_join_token *out_token,
                         struct swk_error *err)
{
    if (text == NULL || out_token == NULL) {
        return swki_fail(err, SWK_EINVAL, "join token: NULL argument");
    }

    const struct form *form = find_form(text, text_len);
    if (form == NULL) {
        return swki_fail(err, SWK_EMALFORMED,
                         "invalid join token: %zu bytes in no known form",
                         text_len);
    }

    const char *digest = text + strlen(form->prefix);
    const char *dash = digest + DIGEST_DIGITS;
    const char *secret = dash + 1;
    struct swk_join_token token = {.flags = form->flags};

    if (!swki_base36_decode(digest, DIGEST_DIGITS, token.root_digest,
                            sizeof(token.root_digest))) {
        return swki_fail(err, SWK_EMALFORMED,
                         "invalid join token: digest is not 256 bits");
    }
    if (*dash != '-' || !swki_base36_valid(secret, SECRET_DIGITS)) {
        return swki_fail(err, SWK_EMALFORMED,
                         "invalid join token: secret is not base 36");
    }

    memcpy(token.secret, secret, SECRET_DIGITS);
    *out_token = token;
    return SWK_OK;
}

int swk_join_token_make(const uint8_t root_digest[SWK_JOIN_TOKEN_DIGEST_SIZE],
                        const uint8_t random[SWK_JOIN_TOKEN_RANDOM_SIZE],
                        uint32_t flags, struct swk_join_token *out_token,
                        struct swk_error *err)
{
    if (root_digest == NULL || random == NULL || out_token == NULL ||
        (flags & ~(uint32_t)SWK_JOIN_TOKEN_FIPS) != 0) {
        return swki_fail(err, SWK_EINVAL, "join token: bad argument");
    }

    struct swk_join_token token = {.flags = flags};

    memcpy(token.root_digest, root_digest, sizeof(token.root_digest));
    /* 25 digits hold 129 bits, so 128 always fit. */
    if (!swki_base36_encode(random, SWK_JOIN_TOKEN_RANDOM_SIZE, token.secret,
                            SECRET_DIGITS)) {
        return swki_fail(err, SWK_EINTERNAL, "join token: secret too long");
    }
    *out_token = token;
    return SWK_OK;
}

int swk_join_token_format(const struct swk_join_token *token,
                          char out_text[SWK_JOIN_TOKEN_TEXT_SIZE],
                          struct swk_error *err)
{
    char digest[DIGEST_DIGITS + 1];
    size_t i = 0;

    if (token == NULL || out_text == NULL) {
        return swki_fail(err, SWK_EINVAL, "join token: NULL argument");
    }
    while (i < FORMS_COUNT && forms[i].flags != token->flags) {
        i++;
    }
    if (i == FORMS_COUNT || token->secret[SECRET_DIGITS] != '\0' ||
        !swki_base36_valid(token->secret, SECRET_DIGITS)) {
        return swki_fail(err, SWK_EINVAL, "join token: not a token");
    }
    if (!swki_base36_encode(token->root_digest, sizeof(token->root_digest),
                            digest, DIGEST_DIGITS)) {
        return swki_fail(err, SWK_EINTERNAL, "join token: digest too long");
    }
    snprintf(out_text, SWK_JOIN_TOKEN_TEXT_SIZE, "%s%s-%s", forms[i].prefix,
             digest, token->secret);
    return SWK_OK;
}
