/* SPDX-License-Identifier: Apache-2.0 */

/* The ports of a POSIX system. */

#include "lib/cmocka_all.h"

#include <swarmkit/posix.h>

static void monotonic_time_never_goes_back(void **state)
{
    const struct swk_clock *port = swk_posix_clock();
    swk_time last = port->now(port->ctx);

    (void)state;
    assert_int_equal(port->size, sizeof(*port));
    for (int i = 0; i < 1000; i++) {
        swk_time now = port->now(port->ctx);

        assert_true(now >= last);
        last = now;
    }
}

static void wall_time_is_after_this_was_written(void **state)
{
    const struct swk_clock *port = swk_posix_clock();

    (void)state;
    assert_true(port->wall(port->ctx) > INT64_C(1700000000000000000));
}

static void entropy_fills_all_of_a_large_buffer(void **state)
{
    static uint8_t data[100000];
    const struct swk_entropy *port = swk_posix_entropy();
    int seen[256] = {0};

    (void)state;
    assert_int_equal(port->fill(port->ctx, data, sizeof(data)), 0);
    for (size_t i = sizeof(data) / 2; i < sizeof(data); i++) {
        seen[data[i]]++;
    }
    /* 50,000 bytes miss a value with a probability of 1e-83. */
    for (int i = 0; i < 256; i++) {
        assert_true(seen[i] > 0);
    }
}

static void entropy_writes_nothing_beyond_the_length(void **state)
{
    const struct swk_entropy *port = swk_posix_entropy();
    uint8_t data[32] = {0};

    (void)state;
    assert_int_equal(port->fill(port->ctx, data, 0), 0);
    assert_int_equal(data[0], 0);
    assert_int_equal(port->fill(port->ctx, data, 16), 0);
    for (size_t i = 16; i < sizeof(data); i++) {
        assert_int_equal(data[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_time_never_goes_back),
        cmocka_unit_test(wall_time_is_after_this_was_written),
        cmocka_unit_test(entropy_fills_all_of_a_large_buffer),
        cmocka_unit_test(entropy_writes_nothing_beyond_the_length),
    };

    return cmocka_run_group_tests_name("posix", tests, NULL, NULL);
}
