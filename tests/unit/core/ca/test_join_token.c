/* SPDX-License-Identifier: Apache-2.0 */

/* Join tokens: one of the original system's own, and every way to damage it. */

#include "lib/cmocka_all.h"

#include <swarmkit/join_token.h>

#include "crypto/digest.h"

#define DIGEST "1kxftv4ofnc6mt30lmgipg6ngf9luhwqopfk1tz6bdmnkubg0e"
#define SECRET "4myj5xihyto11dg1cn55w8p61"

static void parse_reads_digest_and_secret(void **state)
{
    static const char text[] = "SWMTKN-1-" DIGEST "-" SECRET;
    struct swk_join_token token;

    (void)state;
    assert_int_equal(swk_join_token_parse(text, strlen(text), &token, NULL), 0);
    assert_int_equal(token.root_digest[0], 0x3f);
    assert_int_equal(token.root_digest[31], 0xce);
    assert_string_equal(token.secret, SECRET);
}

static void parse_reads_the_flags_of_version_2(void **state)
{
    static const char plain[] = "SWMTKN-2-0-" DIGEST "-" SECRET;
    static const char fips[] = "SWMTKN-2-1-" DIGEST "-" SECRET;
    struct swk_join_token token;

    (void)state;
    assert_int_equal(swk_join_token_parse(plain, strlen(plain), &token, NULL),
                     0);
    assert_int_equal(token.flags, 0);
    assert_int_equal(swk_join_token_parse(fips, strlen(fips), &token, NULL), 0);
    assert_int_equal(token.flags, SWK_JOIN_TOKEN_FIPS);
}

static void parse_rejects_every_truncation(void **state)
{
    static const char text[] = "SWMTKN-2-1-" DIGEST "-" SECRET;

    (void)state;
    for (size_t len = 0; len < strlen(text); len++) {
        struct swk_join_token token = {.flags = 77};
        struct swk_error err = {0};
        int rc = swk_join_token_parse(text, len, &token, &err);

        assert_int_equal(rc, SWK_EMALFORMED);
        assert_int_equal(err.code, rc);
        assert_int_equal(token.flags, 77); /* untouched on failure */
    }
}

static void parse_rejects_damage(void **state)
{
    static const struct {
        const char *why;
        const char *text;
    } cases[] = {
        {"unknown version", "SWMTKN-0-" DIGEST "-" SECRET},
        {"FIPS neither 0 nor 1", "SWMTKN-2-2-" DIGEST "-" SECRET},
        {"no dash", "SWMTKN-1-" DIGEST "0" SECRET},
        {"upper case", "SWMTKN-1-" DIGEST "-4MYJ5XIHYTO11DG1CN55W8P61"},
        {"a part too many", "SWMTKN-1-" DIGEST "-" SECRET "-"},
        {"trailing white space", "SWMTKN-1-" DIGEST "-" SECRET "\n"},
        {"digest of 257 bits",
         "SWMTKN-1-zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz-" SECRET},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text = cases[i].text;
        struct swk_join_token token;
        int rc = swk_join_token_parse(text, strlen(text), &token, NULL);

        if (rc != SWK_EMALFORMED) {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
    }
}

/* The bundle is "hello root\n", the secret 00 01 .. 0f. */
static void make_and_format_give_the_known_tokens(void **state)
{
    static const struct {
        uint32_t flags;
        const char *text;
    } cases[] = {
        {0, "SWMTKN-1-53abwq2e1h5s7lacxvgrnnq5wkec3oys9qng3mcg7g2xvscufn-"
            "000avh9he7dy896m08s18udxr"},
        {SWK_JOIN_TOKEN_FIPS,
         "SWMTKN-2-1-53abwq2e1h5s7lacxvgrnnq5wkec3oys9qng3mcg7g2xvscufn-"
         "000avh9he7dy896m08s18udxr"},
    };
    uint8_t digest[SWK_JOIN_TOKEN_DIGEST_SIZE];
    uint8_t random[SWK_JOIN_TOKEN_RANDOM_SIZE];

    (void)state;
    assert_true(swki_sha256("hello root\n", 11, digest));
    for (uint8_t i = 0; i < sizeof(random); i++) {
        random[i] = i;
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[SWK_JOIN_TOKEN_TEXT_SIZE];
        struct swk_join_token token;
        struct swk_join_token again;

        assert_int_equal(swk_join_token_make(digest, random, cases[i].flags,
                                             &token, NULL),
                         0);
        assert_int_equal(swk_join_token_format(&token, text, NULL), 0);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(
            swk_join_token_parse(text, strlen(text), &again, NULL), 0);
        assert_memory_equal(&again, &token, sizeof(token));
    }
}

static void all_bits_fit_into_a_token(void **state)
{
    uint8_t digest[SWK_JOIN_TOKEN_DIGEST_SIZE];
    uint8_t random[SWK_JOIN_TOKEN_RANDOM_SIZE];
    char text[SWK_JOIN_TOKEN_TEXT_SIZE];
    struct swk_join_token token;

    (void)state;
    memset(digest, 0xff, sizeof(digest));
    memset(random, 0xff, sizeof(random));
    assert_int_equal(swk_join_token_make(digest, random, SWK_JOIN_TOKEN_FIPS,
                                         &token, NULL),
                     0);
    assert_int_equal(swk_join_token_format(&token, text, NULL), 0);
    assert_int_equal(strlen(text), SWK_JOIN_TOKEN_TEXT_SIZE - 1);
    assert_int_equal(swk_join_token_parse(text, strlen(text), &token, NULL), 0);
    assert_memory_equal(token.root_digest, digest, sizeof(digest));
}

static void misuse_is_answered_not_punished(void **state)
{
    static const uint8_t bytes[SWK_JOIN_TOKEN_DIGEST_SIZE];
    char text[SWK_JOIN_TOKEN_TEXT_SIZE];
    struct swk_join_token token = {.flags = 0}; /* without a secret */

    (void)state;
    assert_int_equal(swk_join_token_parse(NULL, 0, &token, NULL), SWK_EINVAL);
    assert_int_equal(swk_join_token_make(bytes, bytes, 2, &token, NULL),
                     SWK_EINVAL);
    assert_int_equal(swk_join_token_make(NULL, bytes, 0, &token, NULL),
                     SWK_EINVAL);
    assert_int_equal(swk_join_token_format(&token, text, NULL), SWK_EINVAL);
    assert_int_equal(swk_join_token_make(bytes, bytes, 0, &token, NULL), 0);
    token.flags = 2;
    assert_int_equal(swk_join_token_format(&token, text, NULL), SWK_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_reads_digest_and_secret),
        cmocka_unit_test(parse_reads_the_flags_of_version_2),
        cmocka_unit_test(parse_rejects_every_truncation),
        cmocka_unit_test(parse_rejects_damage),
        cmocka_unit_test(make_and_format_give_the_known_tokens),
        cmocka_unit_test(all_bits_fit_into_a_token),
        cmocka_unit_test(misuse_is_answered_not_punished),
    };

    return cmocka_run_group_tests_name("join_token", tests, NULL, NULL);
}
