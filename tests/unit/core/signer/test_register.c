/* SPDX-License-Identifier: Apache-2.0 */

/* The register of nodes: what it tells, for how long, and its lines. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "core/signer/register.h"

#define DAY ((swk_wall)(24 * SWK_HOUR))
#define NOW (20000 * DAY)

static struct swki_register_record record_of(const char *node_id,
                                             swk_wall not_after)
{
    struct swki_register_record record = {
        .role = SWKI_ROLE_WORKER,
        .key = {1, 2, 0xfe},
        .not_before = not_after - DAY,
        .not_after = not_after,
    };

    snprintf(record.node_id, sizeof(record.node_id), "%s", node_id);
    return record;
}

static void put(struct swki_register *nodes, const char *node_id,
                swk_wall not_after)
{
    const struct swki_register_record record = record_of(node_id, not_after);

    assert_true(swki_register_put(nodes, &record));
}

static void the_last_certificate_counts(void **state)
{
    struct swki_register_record found;
    struct swki_register nodes;

    (void)state;
    swki_register_init(&nodes, NULL, 10, 0);
    assert_false(swki_register_get(&nodes, "a", NOW, &found));
    put(&nodes, "a", NOW);
    put(&nodes, "a", NOW + DAY);
    assert_int_equal(swki_register_count(&nodes), 1);
    assert_true(swki_register_get(&nodes, "a", NOW + DAY, &found));
    assert_int_equal(found.role, SWKI_ROLE_WORKER);
    assert_int_equal(found.key[2], 0xfe);
    assert_int_equal(found.not_after, NOW + DAY);
    assert_false(swki_register_get(&nodes, "a", NOW + DAY + 1, &found));
    swki_register_fini(&nodes);
}

static void those_that_are_over_make_room(void **state)
{
    struct swki_register_record found;
    struct swki_register nodes;

    (void)state;
    swki_register_init(&nodes, NULL, 3, (uint64_t)DAY);
    put(&nodes, "a", NOW);
    put(&nodes, "b", NOW + 5 * DAY);
    assert_true(swki_register_has_room(&nodes, NOW));
    put(&nodes, "c", NOW + 9 * DAY);
    assert_false(swki_register_has_room(&nodes, NOW + DAY));
    assert_true(swki_register_get(&nodes, "a", NOW + DAY, &found));
    assert_true(swki_register_has_room(&nodes, NOW + DAY + 1));
    assert_int_equal(swki_register_count(&nodes), 2);
    put(&nodes, "d", NOW + 9 * DAY);
    assert_false(swki_register_has_room(&nodes, NOW + 6 * DAY));
    assert_true(swki_register_has_room(&nodes, NOW + 6 * DAY + 1));
    assert_false(swki_register_get(&nodes, "b", NOW, &found));
    swki_register_fini(&nodes);
}

static void a_line_tells_all_of_it(void **state)
{
    struct swki_register_record record = record_of("node-1", NOW);
    struct swki_register_record found = {.node_id = ""};
    struct swki_buf line;

    (void)state;
    record.role = SWKI_ROLE_MANAGER;
    swki_buf_init(&line, NULL, SIZE_MAX);
    assert_true(swki_register_write_line(&record, &line));
    assert_true(
        swki_register_read_line((const char *)line.data, line.len - 1, &found));
    assert_string_equal(found.node_id, record.node_id);
    assert_int_equal(found.role, record.role);
    assert_memory_equal(found.key, record.key, sizeof(found.key));
    assert_int_equal(found.not_before, record.not_before);
    assert_int_equal(found.not_after, record.not_after);
    swki_buf_fini(&line);
}

static void every_damage_of_a_line_is_seen(void **state)
{
    const struct swki_register_record record = record_of("node-1", NOW);
    struct swki_register_record found;
    struct swki_buf line;

    (void)state;
    swki_buf_init(&line, NULL, SIZE_MAX);
    assert_true(swki_register_write_line(&record, &line));
    for (size_t len = 0; len < line.len - 1; len++) {
        assert_false(
            swki_register_read_line((const char *)line.data, len, &found));
    }
    for (size_t i = 0; i < line.len - 1; i++) {
        line.data[i] ^= 1;
        assert_false(swki_register_read_line((const char *)line.data,
                                             line.len - 1, &found));
        line.data[i] ^= 1;
    }
    swki_buf_fini(&line);
}

static void an_id_that_would_break_a_line_is_none(void **state)
{
    char id[SWK_ID_LEN_MAX + 2];

    (void)state;
    memset(id, 'a', sizeof(id));
    id[SWK_ID_LEN_MAX + 1] = '\0';
    assert_false(swki_register_fits(id));
    id[SWK_ID_LEN_MAX] = '\0';
    assert_true(swki_register_fits(id));
    assert_false(swki_register_fits(""));
    assert_false(swki_register_fits("a b"));
    assert_false(swki_register_fits("a\nb"));
    assert_false(swki_register_fits("\xc3\xa9"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_certificate_counts),
        cmocka_unit_test(those_that_are_over_make_room),
        cmocka_unit_test(a_line_tells_all_of_it),
        cmocka_unit_test(every_damage_of_a_line_is_seen),
        cmocka_unit_test(an_id_that_would_break_a_line_is_none),
    };

    return cmocka_run_group_tests_name("register", tests, NULL, NULL);
}
