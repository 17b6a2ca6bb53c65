/* SPDX-License-Identifier: Apache-2.0 */

/* UTF-8: what is text, and what repair makes of the rest. */

#include "lib/cmocka_all.h"

#include "base/utf8.h"

static const struct {
    const char *why;
    const char *text;
    size_t len;
    const char *repaired; /* NULL: valid */
} cases[] = {
    {"empty", "", 0, NULL},
    {"ASCII", "the quick brown fox, 0x7f: \x7f", 28, NULL},
    {"first of two bytes", "\xc2\x80", 2, NULL},
    {"last of two bytes", "\xdf\xbf", 2, NULL},
    {"first of three bytes", "\xe0\xa0\x80", 3, NULL},
    {"before the surrogates", "\xed\x9f\xbf", 3, NULL},
    {"after the surrogates", "\xee\x80\x80", 3, NULL},
    {"first of four bytes", "\xf0\x90\x80\x80", 4, NULL},
    {"last character", "\xf4\x8f\xbf\xbf", 4, NULL},
    {"long text with one of them", "abcdefgh\xc3\xa9ijklmnopq", 19, NULL},
    {"lone continuation",
     "a\x80"
     "b",
     3, "a?b"},
    {"long form of ASCII", "\xc1\x81", 2, "??"},
    {"long form of two bytes", "\xe0\x9f\xbf", 3, "???"},
    {"long form of three bytes", "\xf0\x8f\xbf\xbf", 4, "????"},
    {"surrogate", "\xed\xa0\x80", 3, "???"},
    {"too large", "\xf4\x90\x80\x80", 4, "????"},
    {"never a first byte", "\xff", 1, "?"},
    {"cut short, more text before", "abcdefgh\xe2\x82", 10, "abcdefgh??"},
    {"in the second word of eight", "abcdefghijk\xfflmnop", 17,
     "abcdefghijk?lmnop"},
};

static void text_is_told_from_other_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (swki_utf8_is_text(cases[i].text, cases[i].len) !=
            (cases[i].repaired == NULL)) {
            fail_msg("%s", cases[i].why);
        }
    }
}

static void nul_is_no_text_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t i = 0; i < 20; i++) {
        char text[20];

        memset(text, i % 2 == 0 ? 'x' : '\x01', sizeof(text));
        assert_true(swki_utf8_is_text(text, sizeof(text)));
        text[i] = '\0';
        assert_false(swki_utf8_is_text(text, sizeof(text)));
    }
}

static void repair_changes_only_what_is_damaged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *want =
            cases[i].repaired != NULL ? cases[i].repaired : cases[i].text;
        char text[64];

        strcpy(text, cases[i].text);
        swki_utf8_repair(text);
        assert_string_equal(text, want);
        assert_true(swki_utf8_is_text(text, strlen(text)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_told_from_other_bytes),
        cmocka_unit_test(nul_is_no_text_wherever_it_stands),
        cmocka_unit_test(repair_changes_only_what_is_damaged),
    };

    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
