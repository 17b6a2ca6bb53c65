/* SPDX-License-Identifier: Apache-2.0 */

/* Arenas, buffers, maps, timers, base 36, identifiers: their promises. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/base36.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/timers.h"

static void arena_refuses_to_pass_its_limit(void **state)
{
    struct swki_arena arena;

    (void)state;
    swki_arena_init(&arena, NULL, 100);
    assert_non_null(swki_arena_alloc(&arena, 64));
    assert_null(swki_arena_alloc(&arena, 64));
    assert_null(swki_arena_alloc(&arena, SIZE_MAX));
    swki_arena_reset(&arena);
    assert_non_null(swki_arena_alloc(&arena, 64));
    swki_arena_fini(&arena);
}

static void arena_formats_text(void **state)
{
    struct swki_arena arena;

    (void)state;
    swki_arena_init(&arena, NULL, SIZE_MAX);
    assert_string_equal(swki_arena_printf(&arena, "%s.%d", "web", 3), "web.3");
    assert_string_equal(swki_arena_strdup(&arena, NULL), "");
    swki_arena_fini(&arena);
}

static void buf_keeps_its_content_when_an_append_does_not_fit(void **state)
{
    struct swki_buf buf;

    (void)state;
    swki_buf_init(&buf, NULL, 5);
    assert_true(swki_buf_append_text(&buf, "abc"));
    assert_false(swki_buf_append_text(&buf, "def"));
    assert_true(buf.failed);
    assert_int_equal(buf.len, 3);
    swki_buf_consume(&buf, 2);
    assert_memory_equal(buf.data, "c", 1);
    swki_buf_fini(&buf);
}

static void map_walks_in_order_of_insertion_after_removals(void **state)
{
    static char keys[100][8];
    struct swki_map map;
    size_t cursor = 0;
    char *key;
    int i = 1;

    (void)state;
    swki_map_init(&map, NULL);
    for (int n = 0; n < 100; n++) {
        snprintf(keys[n], sizeof(keys[n]), "k%d", n);
        assert_true(swki_map_put(&map, keys[n], keys[n]));
    }
    for (int n = 0; n < 100; n += 2) {
        assert_ptr_equal(swki_map_remove(&map, keys[n]), keys[n]);
    }
    assert_int_equal(map.count, 50);
    assert_null(swki_map_get(&map, "k0"));
    assert_null(swki_map_remove(&map, "k0"));
    for (; (key = swki_map_next(&map, &cursor)) != NULL; i += 2) {
        assert_ptr_equal(key, keys[i]);
    }
    assert_int_equal(i, 101);
    swki_map_fini(&map);
}

static void map_replaces_a_value(void **state)
{
    struct swki_map map;
    int one = 1;
    int two = 2;

    (void)state;
    swki_map_init(&map, NULL);
    for (int n = 0; n < 1000; n++) {
        assert_true(swki_map_put(&map, "a", &one));
        assert_true(swki_map_put(&map, "a", &two));
        assert_ptr_equal(swki_map_remove(&map, "a"), &two);
    }
    assert_int_equal(map.count, 0);
    swki_map_fini(&map);
}

static void timers_expire_in_order_and_ties_as_set(void **state)
{
    struct swki_timers timers;
    struct swki_timer t[4] = {{0}};

    (void)state;
    swki_timers_init(&timers, NULL);
    assert_int_equal(swki_timers_deadline(&timers), SWK_NEVER);
    assert_true(swki_timers_set(&timers, &t[0], 30));
    assert_true(swki_timers_set(&timers, &t[1], 10));
    assert_true(swki_timers_set(&timers, &t[2], 10));
    assert_true(swki_timers_set(&timers, &t[3], 20));
    swki_timers_cancel(&timers, &t[3]);
    assert_true(swki_timers_set(&timers, &t[0], 5));
    assert_null(swki_timers_expire(&timers, 4));
    assert_ptr_equal(swki_timers_expire(&timers, 10), &t[0]);
    assert_ptr_equal(swki_timers_expire(&timers, 10), &t[1]);
    assert_ptr_equal(swki_timers_expire(&timers, 10), &t[2]);
    assert_null(swki_timers_expire(&timers, SWK_NEVER - 1));
    swki_timers_fini(&timers);
}

static void base36_reads_what_it_wrote(void **state)
{
    const uint8_t number[4] = {0x00, 0xff, 0x10, 0x03};
    uint8_t back[4];
    char text[9];

    (void)state;
    assert_true(swki_base36_encode(number, 4, text, 8));
    assert_true(swki_base36_decode(text, 8, back, 4));
    assert_memory_equal(back, number, 4);
    assert_false(swki_base36_encode(number, 4, text, 2));
    assert_false(swki_base36_decode("zzzzzzzz", 8, back, 4));
    assert_false(swki_base36_decode("0000000A", 8, back, 4));
}

static void ids_match_the_known_vectors(void **state)
{
    uint8_t bytes[17];
    char id[SWK_ID_LEN + 1];

    (void)state;
    for (uint8_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = i;
    }
    swki_id_from_bytes(bytes, id);
    assert_string_equal(id, "hw05xdvcpbrfi4jekqvbjy4b2");
    memset(bytes, 0xff, sizeof(bytes));
    swki_id_from_bytes(bytes, id);
    assert_string_equal(id, "zrw1727u0mgg6ugs60vxe42e4");
}

static void rng_repeats_for_a_seed_and_stays_below_its_bound(void **state)
{
    struct swki_rng a;
    struct swki_rng b;

    (void)state;
    swki_rng_init(&a, 7);
    swki_rng_init(&b, 7);
    for (int i = 0; i < 1000; i++) {
        uint64_t value = swki_rng_below(&a, 10);

        assert_true(value < 10);
        assert_int_equal(value, swki_rng_below(&b, 10));
    }
}

static void errors_are_cut_at_their_size_and_may_be_null(void **state)
{
    struct swk_error err;

    (void)state;
    assert_int_equal(swki_fail(NULL, SWK_EINVAL, "x"), SWK_EINVAL);
    assert_int_equal(swki_fail(&err, SWK_EIO, "%0400d", 1), SWK_EIO);
    assert_int_equal(strlen(err.text), SWK_ERROR_TEXT_SIZE - 1);
    swki_error_prefix(&err, "disk");
    assert_memory_equal(err.text, "disk: 000", 9);
    assert_string_equal(swk_error_name(SWK_ENOTLEADER), "not the leader");
    assert_string_equal(swk_error_name(-9999), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_refuses_to_pass_its_limit),
        cmocka_unit_test(arena_formats_text),
        cmocka_unit_test(buf_keeps_its_content_when_an_append_does_not_fit),
        cmocka_unit_test(map_walks_in_order_of_insertion_after_removals),
        cmocka_unit_test(map_replaces_a_value),
        cmocka_unit_test(timers_expire_in_order_and_ties_as_set),
        cmocka_unit_test(base36_reads_what_it_wrote),
        cmocka_unit_test(ids_match_the_known_vectors),
        cmocka_unit_test(rng_repeats_for_a_seed_and_stays_below_its_bound),
        cmocka_unit_test(errors_are_cut_at_their_size_and_may_be_null),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
