/* SPDX-License-Identifier: Apache-2.0 */

/* Majorities, held against every case of up to seven voters. */

#include "lib/cmocka_all.h"

#include "core/raft/quorum.h"

enum {
    VOTERS_MAX = 7,
    VALUES = 4, /* 0 to 3: what lies between makes no difference */
};

static size_t count_bits(unsigned set)
{
    return (size_t)__builtin_popcount(set);
}

static size_t power(size_t base, size_t exponent)
{
    return exponent == 0 ? 1 : base * power(base, exponent - 1);
}

static void r_quo_1_a_majority_is_more_than_half(void **state)
{
    (void)state;
    for (size_t n = 0; n <= VOTERS_MAX; n++) {
        size_t majority = swki_raft_majority(n);

        assert_true(majority * 2 > n);
        assert_true((majority - 1) * 2 <= n);
    }
}

static void r_quo_1_any_two_majorities_meet(void **state)
{
    (void)state;
    for (size_t n = 1; n <= VOTERS_MAX; n++) {
        for (unsigned a = 0; a < 1U << n; a++) {
            for (unsigned b = 0; b < 1U << n; b++) {
                if (count_bits(a) >= swki_raft_majority(n) &&
                    count_bits(b) >= swki_raft_majority(n)) {
                    assert_true((a & b) != 0);
                }
            }
        }
    }
}

/* R-CFG-5 rests on this: one voter more or less, and majorities still meet. */
static void r_quo_1_majorities_of_neighbours_meet(void **state)
{
    (void)state;
    for (size_t n = 1; n < VOTERS_MAX; n++) {
        for (unsigned a = 0; a < 1U << n; a++) {
            for (unsigned b = 0; b < 1U << (n + 1); b++) {
                if (count_bits(a) >= swki_raft_majority(n) &&
                    count_bits(b) >= swki_raft_majority(n + 1)) {
                    assert_true((a & b) != 0);
                }
            }
        }
    }
}

/* The most that all of some majority have. */
static uint64_t search_reached(const uint64_t *values, size_t n)
{
    uint64_t best = 0;

    for (unsigned set = 0; set < 1U << n; set++) {
        uint64_t least = UINT64_MAX;

        if (count_bits(set) < swki_raft_majority(n)) {
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            if ((set >> i & 1) != 0 && values[i] < least) {
                least = values[i];
            }
        }
        best = least > best ? least : best;
    }
    return best;
}

static void r_quo_2_reached_is_what_all_of_some_majority_have(void **state)
{
    (void)state;
    for (size_t n = 1; n <= VOTERS_MAX; n++) {
        for (size_t k = 0; k < power(VALUES, n); k++) {
            uint64_t values[VOTERS_MAX];
            size_t rest = k;

            for (size_t i = 0; i < n; i++) {
                values[i] = rest % VALUES;
                rest /= VALUES;
            }
            uint64_t expected = search_reached(values, n);
            assert_int_equal(swki_raft_quorum_reached(values, n), expected);
        }
    }
}

static void r_quo_2_reached_takes_the_largest_numbers(void **state)
{
    uint64_t values[] = {UINT64_MAX - 1, 0, UINT64_MAX, UINT64_MAX - 2, 1};

    (void)state;
    assert_int_equal(swki_raft_quorum_reached(values, 5), UINT64_MAX - 2);
}

static void r_quo_2_nobody_limits_nothing(void **state)
{
    (void)state;
    assert_int_equal(swki_raft_quorum_reached(NULL, 0), SWKI_RAFT_UNLIMITED);
    assert_int_equal(swki_raft_joint_reached(SWKI_RAFT_UNLIMITED, 5), 5);
    assert_int_equal(swki_raft_joint_reached(5, SWKI_RAFT_UNLIMITED), 5);
    assert_int_equal(swki_raft_joint_reached(4, 5), 4);
    assert_int_equal(swki_raft_joint_reached(5, 4), 4);
}

/* Won if those who said nothing cannot change it any more, and lost likewise;
 * nobody wins. */
static enum swki_raft_verdict search_verdict(size_t n, size_t yes, size_t no)
{
    bool worst = n == 0 || yes * 2 > n;
    bool best = n == 0 || (n - no) * 2 > n;

    if (worst) {
        return SWKI_RAFT_WON;
    }
    return best ? SWKI_RAFT_PENDING : SWKI_RAFT_LOST;
}

static void r_quo_3_a_verdict_stands_when_nobody_can_change_it(void **state)
{
    (void)state;
    for (size_t n = 0; n <= VOTERS_MAX; n++) {
        for (size_t yes = 0; yes <= n; yes++) {
            for (size_t no = 0; yes + no <= n; no++) {
                assert_int_equal(swki_raft_quorum_verdict(n, yes, no),
                                 search_verdict(n, yes, no));
            }
        }
    }
}

static void r_quo_3_a_verdict_that_stands_is_not_changed(void **state)
{
    (void)state;
    for (size_t n = 1; n <= VOTERS_MAX; n++) {
        for (size_t yes = 0; yes < n; yes++) {
            for (size_t no = 0; yes + no < n; no++) {
                enum swki_raft_verdict now =
                    swki_raft_quorum_verdict(n, yes, no);

                if (now == SWKI_RAFT_PENDING) {
                    continue;
                }
                assert_int_equal(swki_raft_quorum_verdict(n, yes + 1, no), now);
                assert_int_equal(swki_raft_quorum_verdict(n, yes, no + 1), now);
            }
        }
    }
}

static void r_quo_3_both_halves_must_agree(void **state)
{
    static const enum swki_raft_verdict all[] = {
        SWKI_RAFT_PENDING, SWKI_RAFT_LOST, SWKI_RAFT_WON};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 3; k++) {
            enum swki_raft_verdict a = all[i];
            enum swki_raft_verdict b = all[k];
            enum swki_raft_verdict joint = swki_raft_joint_verdict(a, b);

            assert_int_equal(joint == SWKI_RAFT_WON,
                             a == SWKI_RAFT_WON && b == SWKI_RAFT_WON);
            assert_int_equal(joint == SWKI_RAFT_LOST,
                             a == SWKI_RAFT_LOST || b == SWKI_RAFT_LOST);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r_quo_1_a_majority_is_more_than_half),
        cmocka_unit_test(r_quo_1_any_two_majorities_meet),
        cmocka_unit_test(r_quo_1_majorities_of_neighbours_meet),
        cmocka_unit_test(r_quo_2_reached_is_what_all_of_some_majority_have),
        cmocka_unit_test(r_quo_2_reached_takes_the_largest_numbers),
        cmocka_unit_test(r_quo_2_nobody_limits_nothing),
        cmocka_unit_test(r_quo_3_a_verdict_stands_when_nobody_can_change_it),
        cmocka_unit_test(r_quo_3_a_verdict_that_stands_is_not_changed),
        cmocka_unit_test(r_quo_3_both_halves_must_agree),
    };

    return cmocka_run_group_tests_name("core/raft/quorum", tests, NULL, NULL);
}
