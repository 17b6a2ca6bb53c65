/* SPDX-License-Identifier: Apache-2.0 */

/* By how much a clock is wrong, and how that is said. */

#include "lib/cmocka_all.h"

#include "base/error.h"
#include "node/identity/clock_skew.h"

/* 2030-01-01T00:00:00Z */
#define NOW (INT64_C(1893456000) * INT64_C(1000000000))
#define HOUR ((swk_wall)SWK_HOUR)
#define MINUTE ((swk_wall)SWK_MINUTE)
#define SECOND ((swk_wall)SWK_SECOND)

/* A manager's clock that is so far ahead, with a round trip of 40 ms. */
static struct swki_clock_skew measure(swk_wall ahead)
{
    const swk_time round_trip = 40 * SWK_MILLISECOND;
    Swkpb__Timestamp time = SWKPB__TIMESTAMP__INIT;
    struct swki_clock_skew skew;

    swki_timestamp_write(NOW + ahead - (swk_wall)round_trip / 2, &time);
    swki_clock_skew_measure(&skew, &time, NOW, round_trip, "192.0.2.1:4242");
    return skew;
}

static void offset_is_that_of_the_middle_of_the_round_trip(void **state)
{
    struct swki_clock_skew skew = measure(3 * HOUR);

    (void)state;
    assert_true(skew.measured);
    assert_true(skew.ahead == 3 * HOUR);
    assert_true(skew.error_ns == 20 * SWK_MILLISECOND);
}

static void text_names_size_direction_manager_and_error(void **state)
{
    static const struct {
        swk_wall ahead;
        const char *says;
    } cases[] = {
        {3 * HOUR + 12 * MINUTE, "clock is 3h12m behind that of manager"},
        {-(3 * HOUR + 12 * MINUTE), "clock is 3h12m ahead of that of manager"},
        {2 * MINUTE + 5 * SECOND, "clock is 2m05s behind"},
        {HOUR - 20 * SECOND, "clock is 1h00m behind"},
        {45 * HOUR - SECOND, "clock is 45h00m behind"},
        {999 * 24 * HOUR - SECOND, "clock is 999 days behind"},
    };
    char text[SWKI_CLOCK_SKEW_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_clock_skew skew = measure(cases[i].ahead);

        swki_clock_skew_text(&skew, text);
        if (strstr(text, cases[i].says) == NULL) {
            fail_msg("lacks %s: %s", cases[i].says, text);
        }
        assert_non_null(strstr(text, "192.0.2.1:4242 (measured, +-21 ms)"));
        assert_non_null(strstr(text, "timedatectl"));
    }
}

static void small_offset_explains_nothing(void **state)
{
    struct swki_clock_skew skew = measure(MINUTE);
    struct swk_error err = {0};

    (void)state;
    assert_false(swki_clock_skew_matters(&skew));
    swki_fail(&err, SWK_EUNAUTHENTICATED, "as it was");
    swki_clock_skew_explain(&skew, &err);
    assert_string_equal(err.text, "as it was");
    skew = measure(MINUTE + SECOND);
    assert_true(swki_clock_skew_matters(&skew));
    swki_clock_skew_explain(&skew, &err);
    assert_int_equal(err.code, SWK_ECLOCK);
}

static void answer_without_a_sensible_time_measures_nothing(void **state)
{
    Swkpb__Timestamp time = SWKPB__TIMESTAMP__INIT;
    struct swki_clock_skew skew = measure(HOUR);

    (void)state;
    swki_clock_skew_measure(&skew, NULL, NOW, 0, "a");
    assert_false(skew.measured);
    assert_false(swki_clock_skew_matters(&skew));
    time.seconds = -1;
    swki_clock_skew_measure(&skew, &time, NOW, 0, "a");
    assert_false(skew.measured);
    time.seconds = INT64_MAX;
    swki_clock_skew_measure(&skew, &time, NOW, 0, "a");
    assert_false(skew.measured);
    time.seconds = 5;
    time.nanos = -7;
    swki_clock_skew_measure(&skew, &time, NOW, 0, "a");
    assert_false(skew.measured);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offset_is_that_of_the_middle_of_the_round_trip),
        cmocka_unit_test(text_names_size_direction_manager_and_error),
        cmocka_unit_test(small_offset_explains_nothing),
        cmocka_unit_test(answer_without_a_sensible_time_measures_nothing),
    };

    return cmocka_run_group_tests_name("clock_skew", tests, NULL, NULL);
}
