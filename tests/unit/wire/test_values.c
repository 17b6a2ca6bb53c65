/* SPDX-License-Identifier: Apache-2.0 */

/* Times, labels and enums of messages. */

#include "lib/cmocka_all.h"

#include "types.pb-c.h"
#include "wire/message.h"

#define SECOND INT64_C(1000000000)

static void timestamps_come_back_as_they_went(void **state)
{
    static const int64_t values[] = {
        0,         1,         -1, SECOND, -SECOND, 1500000000 * SECOND + 7,
        INT64_MAX, INT64_MIN,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        Swkpb__Timestamp timestamp;
        swk_wall wall = 42;

        swki_timestamp_write(values[i], &timestamp);
        assert_in_range(timestamp.nanos, 0, 999999999);
        assert_int_equal(swki_timestamp_read(&timestamp, &wall, NULL), 0);
        assert_true(wall == values[i]);
    }
}

static void durations_come_back_as_they_went(void **state)
{
    static const int64_t values[] = {
        0, 1, -1, SECOND, -SECOND, -SECOND - 5, INT64_MAX, INT64_MIN,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        Swkpb__Duration duration;
        int64_t ns = 42;

        swki_duration_write(values[i], &duration);
        assert_int_equal(swki_duration_read(&duration, &ns, NULL), 0);
        assert_true(ns == values[i]);
    }
}

static void absent_times_are_zero(void **state)
{
    swk_wall wall = 42;
    int64_t ns = 42;

    (void)state;
    assert_int_equal(swki_timestamp_read(NULL, &wall, NULL), 0);
    assert_int_equal(swki_duration_read(NULL, &ns, NULL), 0);
    assert_int_equal(wall, 0);
    assert_int_equal(ns, 0);
}

static void times_out_of_range_are_refused(void **state)
{
    static const struct {
        const char *why;
        int64_t seconds;
        int32_t nanos;
    } durations[] =
        {
            {"signs differ", 1, -1},
            {"signs differ", -1, 1},
            {"nanos too large", 0, 1000000000},
            {"nanos too small", 0, -1000000000},
            {"nanos at their least", 0, INT32_MIN},
            {"over 10,000 years", INT64_C(315576000001), 0},
            {"under -10,000 years", INT64_C(-315576000001), 0},
            {"valid, but over 292 years", INT64_C(315576000000), 0},
            {"one more than fits", INT64_MAX / SECOND, 854775808},
            {"at its most", INT64_MAX, 0},
            {"at its least", INT64_MIN, 0},
        },
      timestamps[] = {
          {"nanos negative", 1, -1},
          {"nanos too large", 1, 1000000000},
          {"before the year 1", INT64_C(-62135596801), 0},
          {"after the year 9999", INT64_C(253402300800), 0},
          {"valid, but before 1677", INT64_C(-62135596800), 0},
          {"at its least, with nanos", INT64_MIN, 1},
      };
    struct swk_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        Swkpb__Duration duration = SWKPB__DURATION__INIT;
        int64_t ns = 42;

        duration.seconds = durations[i].seconds;
        duration.nanos = durations[i].nanos;
        if (swki_duration_read(&duration, &ns, &err) != SWK_EINVAL ||
            err.code != SWK_EINVAL || ns != 42) {
            fail_msg("%s", durations[i].why);
        }
    }
    for (size_t i = 0; i < sizeof(timestamps) / sizeof(timestamps[0]); i++) {
        Swkpb__Timestamp timestamp = SWKPB__TIMESTAMP__INIT;
        swk_wall wall = 42;

        timestamp.seconds = timestamps[i].seconds;
        timestamp.nanos = timestamps[i].nanos;
        if (swki_timestamp_read(&timestamp, &wall, &err) != SWK_EINVAL ||
            err.code != SWK_EINVAL || wall != 42) {
            fail_msg("%s", timestamps[i].why);
        }
    }
}

static void times_are_made_in_an_arena(void **state)
{
    struct swki_arena arena;

    (void)state;
    swki_arena_init(&arena, NULL, 64);
    assert_int_equal(swki_timestamp_from_wall(-1, &arena)->seconds, -1);
    assert_null(swki_duration_from_ns(5, &arena)); /* the arena is full */
    swki_arena_reset(&arena);
    assert_int_equal(swki_duration_from_ns(5, &arena)->nanos, 5);
    swki_arena_fini(&arena);
}

static void labels_are_found_by_key(void **state)
{
    Swkpb__Annotations__LabelsEntry entries[] = {
        SWKPB__ANNOTATIONS__LABELS_ENTRY__INIT,
        SWKPB__ANNOTATIONS__LABELS_ENTRY__INIT,
        SWKPB__ANNOTATIONS__LABELS_ENTRY__INIT,
    };
    Swkpb__Annotations__LabelsEntry *list[] = {&entries[0], &entries[1],
                                               &entries[2]};

    (void)state;
    entries[0].key = (char *)"a";
    entries[0].value = (char *)"first";
    entries[1].key = (char *)"b";
    entries[1].value = NULL;
    entries[2].key = (char *)"a";
    entries[2].value = (char *)"last";
    assert_string_equal(swki_labels_get(list, 3, "a"), "last");
    assert_string_equal(swki_labels_get(list, 3, "b"), "");
    assert_null(swki_labels_get(list, 3, "c"));
    assert_null(swki_labels_get(NULL, 0, "a"));
}

static void enum_values_have_names(void **state)
{
    (void)state;
    assert_string_equal(swki_enum_name(&swkpb__task_state__descriptor,
                                       SWKPB__TASK_STATE__RUNNING),
                        "RUNNING");
    assert_null(swki_enum_name(&swkpb__task_state__descriptor, 12345));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timestamps_come_back_as_they_went),
        cmocka_unit_test(durations_come_back_as_they_went),
        cmocka_unit_test(absent_times_are_zero),
        cmocka_unit_test(times_out_of_range_are_refused),
        cmocka_unit_test(times_are_made_in_an_arena),
        cmocka_unit_test(labels_are_found_by_key),
        cmocka_unit_test(enum_values_have_names),
    };

    return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
