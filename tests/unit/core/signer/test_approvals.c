/* SPDX-License-Identifier: Apache-2.0 */

/* What an operator has approved, and its text. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "core/signer/approvals.h"

#define SECOND ((swk_wall)SWK_SECOND)

static void one_counts_until_its_moment(void **state)
{
    struct swki_approvals approvals = {.count = 0};

    (void)state;
    assert_false(swki_approvals_has(&approvals, "a", 0));
    assert_true(swki_approvals_add(&approvals, "a", 5 * SECOND, 0));
    assert_true(swki_approvals_has(&approvals, "a", 5 * SECOND));
    assert_false(swki_approvals_has(&approvals, "a", 5 * SECOND + 1));
    assert_true(swki_approvals_add(&approvals, "a", 9 * SECOND, 0));
    assert_int_equal(approvals.count, 1);
    assert_true(swki_approvals_has(&approvals, "a", 9 * SECOND));
    assert_true(swki_approvals_remove(&approvals, "a"));
    assert_false(swki_approvals_remove(&approvals, "a"));
    assert_false(swki_approvals_has(&approvals, "a", 0));
}

static void there_is_an_end_to_them(void **state)
{
    struct swki_approvals approvals = {.count = 0};
    char id[8];

    (void)state;
    for (int i = 0; i < SWKI_APPROVALS_MAX; i++) {
        snprintf(id, sizeof(id), "n%d", i);
        assert_true(swki_approvals_add(&approvals, id, i * SECOND, 0));
    }
    assert_false(swki_approvals_add(&approvals, "more", SECOND, 0));
    assert_true(swki_approvals_add(&approvals, "more", 99 * SECOND, SECOND));
    assert_false(swki_approvals_has(&approvals, "n0", 0));
    assert_true(swki_approvals_has(&approvals, "n1", SECOND));
}

static void a_text_tells_all_of_them(void **state)
{
    struct swki_approvals approvals = {.count = 0};
    struct swki_approvals found;
    struct swki_buf text;

    (void)state;
    swki_buf_init(&text, NULL, SIZE_MAX);
    assert_true(swki_approvals_add(&approvals, "a", 5 * SECOND, 0));
    assert_true(swki_approvals_add(&approvals, "b", 6 * SECOND, 0));
    assert_true(swki_approvals_write(&approvals, &text));
    assert_true(swki_approvals_read(&found, (const char *)text.data, text.len));
    assert_int_equal(found.count, 2);
    assert_true(swki_approvals_has(&found, "b", 6 * SECOND));
    assert_true(swki_approvals_read(&found, "", 0));
    assert_int_equal(found.count, 0);
    swki_buf_fini(&text);
}

static void what_is_no_list_is_refused(void **state)
{
    static const char *const texts[] = {
        "a 5",     "a\n",      "a b\n",  "a 5 6\n",
        "a -5\n",  "\n",       " 5\n",   "a 99999999999999999999\n",
        "a 5\n\n", "\xff 5\n", "a 5\nb",
    };
    struct swki_approvals found;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (swki_approvals_read(&found, texts[i], strlen(texts[i]))) {
            fail_msg("taken: %s", texts[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_counts_until_its_moment),
        cmocka_unit_test(there_is_an_end_to_them),
        cmocka_unit_test(a_text_tells_all_of_them),
        cmocka_unit_test(what_is_no_list_is_refused),
    };

    return cmocka_run_group_tests_name("approvals", tests, NULL, NULL);
}
