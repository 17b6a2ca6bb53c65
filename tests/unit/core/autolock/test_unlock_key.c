/* SPDX-License-Identifier: Apache-2.0 */

/* Unlock keys as text: a known one, and every way to damage it. */

#include "lib/cmocka_all.h"

#include <swarmkit/unlock_key.h>

#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define TEXT "SWMKEY-1-" KEY

static int parse(const char *text, struct swk_unlock_key *out_key)
{
    struct swk_error err = {0};
    int rc = swk_unlock_key_parse(text, strlen(text), out_key, &err);

    assert_int_equal(err.code, rc);
    return rc;
}

static void text_and_bytes_stand_for_each_other(void **state)
{
    char text[SWK_UNLOCK_KEY_TEXT_LEN + 1];
    struct swk_unlock_key key;

    (void)state;
    assert_int_equal(parse(TEXT, &key), 0);
    for (int i = 0; i < SWK_UNLOCK_KEY_SIZE; i++) {
        assert_int_equal(key.bytes[i], i);
    }
    swk_unlock_key_format(&key, text);
    assert_string_equal(text, TEXT);
}

static void every_truncation_is_refused(void **state)
{
    struct swk_unlock_key key = {{77}};

    (void)state;
    for (size_t len = 0; len < strlen(TEXT); len++) {
        assert_int_equal(swk_unlock_key_parse(TEXT, len, &key, NULL),
                         SWK_EMALFORMED);
        assert_int_equal(key.bytes[0], 77);
    }
}

static void damage_is_refused(void **state)
{
    static const struct {
        const char *why;
        const char *text;
    } cases[] = {
        {"empty", ""},
        {"prefix alone", "SWMKEY-1-"},
        {"other version", "SWMKEY-2-" KEY},
        {"a join token's prefix", "SWMTKN-1-" KEY},
        {"lower case prefix", "swmkey-1-" KEY},
        {"padding", TEXT "="},
        {"space before", " " TEXT},
        {"line end", TEXT "\n"},
        {"longer", TEXT "A"},
        {"padding inside",
         "SWMKEY-1-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh="},
        {"URL characters",
         "SWMKEY-1-AA-CAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"},
        {"bits beyond the last byte",
         "SWMKEY-1-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swk_unlock_key key;
        int rc = parse(cases[i].text, &key);

        if (rc != SWK_EMALFORMED) {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
    }
}

static void an_error_does_not_repeat_the_key(void **state)
{
    struct swk_unlock_key key;
    struct swk_error err;

    (void)state;
    assert_int_equal(swk_unlock_key_parse(TEXT "=", strlen(TEXT "="), &key,
                                          &err),
                     SWK_EMALFORMED);
    assert_null(strstr(err.text, KEY));
    assert_int_equal(swk_unlock_key_parse(NULL, 0, &key, &err), SWK_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_bytes_stand_for_each_other),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(an_error_does_not_repeat_the_key),
    };

    return cmocka_run_group_tests_name("unlock_key", tests, NULL, NULL);
}
