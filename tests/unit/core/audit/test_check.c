/* SPDX-License-Identifier: Apache-2.0 */

/* Every kind of damage to an audit log, and what it is called. */

#include "lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "core/audit/check.h"

enum {
    RECORDS = 10,
    SECOND = 7, /* the record that begins the second file */
};

struct f {
    struct swki_buf buf;
    const char *lines[RECORDS]; /* record i+1 */
    size_t lens[RECORDS];
    struct swki_audit_link links[RECORDS];
    struct swki_audit_check check;
};

static bool begins_file(int seq)
{
    return seq == 1 || seq == SECOND;
}

static uint64_t file_of(int seq)
{
    return seq < SECOND ? 1 : 2;
}

/* Two files; but for the first of each, all records are calls. */
static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    struct swki_audit_link last = {0};

    swki_buf_init(&f->buf, NULL, SIZE_MAX);
    (void)swki_buf_reserve(&f->buf, 64 * 1024); /* so that it stays */
    for (int i = 0; i < RECORDS; i++) {
        size_t start = f->buf.len;
        struct swki_audit_line line = swki_audit_line_begin(
            &f->buf, &last, 1000 + i, begins_file(i + 1) ? "file" : "call");

        if (begins_file(i + 1)) {
            swki_audit_line_number(&line, "file", file_of(i + 1));
            swki_audit_line_number(&line, "oldest", 1);
        } else {
            swki_audit_line_number(&line, "uid", 1);
        }
        assert_true(swki_audit_line_end(&line, &last));
        f->lines[i] = (const char *)f->buf.data + start;
        f->lens[i] = f->buf.len - start - 1;
        f->links[i] = last;
    }
    swki_audit_check_init(&f->check);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_buf_fini(&f->buf);
    free(f);
    return 0;
}

/* Shows the check the records of these numbers, from 1; 0 ends them. */
static enum swki_audit_finding show(struct f *f, const int *records)
{
    struct swki_audit_record record;
    bool more = true;

    for (; more && *records != 0; records++) {
        more = swki_audit_check_line(&f->check, file_of(*records),
                                     f->lines[*records - 1],
                                     f->lens[*records - 1], &record);
    }
    return f->check.finding;
}

static void a_log_as_written_is_intact(void **state)
{
    struct f *f = *state;

    assert_int_equal(show(f, (const int[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0}),
                     SWKI_AUDIT_INTACT);
    assert_int_equal(f->check.first_seq, 1);
    assert_int_equal(f->check.last.seq, 10);
    assert_memory_equal(f->check.last.hash, f->links[9].hash, SWKI_SHA256_SIZE);
}

static void old_files_may_be_gone(void **state)
{
    struct f *f = *state;

    assert_int_equal(show(f, (const int[]){7, 8, 9, 10, 0}), SWKI_AUDIT_INTACT);
    assert_int_equal(f->check.first_seq, 7);
}

static void a_file_without_its_first_records_is_found(void **state)
{
    struct f *f = *state;

    assert_int_equal(show(f, (const int[]){2, 3, 4, 5, 6, 0}),
                     SWKI_AUDIT_REMOVED);
    assert_int_equal(f->check.bad_seq, 2);

    swki_audit_check_init(&f->check);
    assert_int_equal(show(f, (const int[]){8, 9, 10, 0}), SWKI_AUDIT_REMOVED);
    assert_int_equal(f->check.bad_seq, 8);
}

static void other_orders_are_told_apart(void **state)
{
    static const struct {
        const char *why;
        int records[RECORDS + 2];
        enum swki_audit_finding finding;
        uint64_t bad_seq;
    } cases[] = {
        {"one is missing", {1, 2, 3, 5, 6, 7, 8, 9, 10}, SWKI_AUDIT_REMOVED, 5},
        {"many are missing", {1, 2, 10}, SWKI_AUDIT_REMOVED, 10},
        {"two changed places",
         {1, 2, 4, 3, 5, 6, 7, 8, 9, 10},
         SWKI_AUDIT_REORDERED,
         4},
        {"the first went to the end",
         {2, 3, 4, 5, 6, 7, 8, 9, 10, 1},
         SWKI_AUDIT_REORDERED,
         2},
        {"one is there twice",
         {1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10},
         SWKI_AUDIT_REORDERED,
         3},
        {"one comes much later",
         {1, 2, 4, 5, 6, 7, 8, 9, 3, 10},
         SWKI_AUDIT_REORDERED,
         4},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct f *f = *state;

        swki_audit_check_init(&f->check);
        if (show(f, cases[i].records) != cases[i].finding ||
            f->check.bad_seq != cases[i].bad_seq) {
            fail_msg("%s: found %s at %d: %s", cases[i].why,
                     swki_audit_finding_name(f->check.finding),
                     (int)f->check.bad_seq, f->check.text);
        }
    }
}

static void an_altered_line_is_found_where_it_is(void **state)
{
    struct f *f = *state;
    char *line = (char *)f->lines[4];

    *strstr(line, "\"uid\":1") = 'x';
    assert_int_equal(show(f, (const int[]){1, 2, 3, 4, 5, 6, 0}),
                     SWKI_AUDIT_ALTERED);
    assert_int_equal(f->check.last.seq, 4);
    assert_non_null(strstr(f->check.text, "record 5"));
}

/* With a hash that is right for itself. */
static void a_forged_record_does_not_fit_the_next(void **state)
{
    struct f *f = *state;
    struct swki_audit_link last = f->links[3];
    size_t start = f->buf.len;
    struct swki_audit_line line =
        swki_audit_line_begin(&f->buf, &last, 1004, "call");

    swki_audit_line_number(&line, "uid", 2);
    assert_true(swki_audit_line_end(&line, &last));
    f->lines[4] = (const char *)f->buf.data + start;
    f->lens[4] = f->buf.len - start - 1;
    assert_int_equal(show(f, (const int[]){1, 2, 3, 4, 5, 6, 0}),
                     SWKI_AUDIT_ALTERED);
    assert_int_equal(f->check.bad_seq, 6);
}

static void the_first_record_follows_nothing(void **state)
{
    struct f *f = *state;
    struct swki_audit_link last = {0, {1}};
    size_t start = f->buf.len;
    struct swki_audit_line line =
        swki_audit_line_begin(&f->buf, &last, 1000, "call");

    assert_true(swki_audit_line_end(&line, &last));
    f->lines[0] = (const char *)f->buf.data + start;
    f->lens[0] = f->buf.len - start - 1;
    assert_int_equal(show(f, (const int[]){1, 2, 0}), SWKI_AUDIT_ALTERED);
}

static void a_file_under_another_name_is_found(void **state)
{
    struct f *f = *state;
    struct swki_audit_record record;

    assert_false(
        swki_audit_check_line(&f->check, 2, f->lines[0], f->lens[0], &record));
    assert_int_equal(f->check.finding, SWKI_AUDIT_REORDERED);
}

static void what_is_known_from_elsewhere_is_held_against_the_log(void **state)
{
    struct f *f = *state;
    struct swki_audit_link known = f->links[7];

    assert_int_equal(show(f, (const int[]){1, 2, 3, 4, 5, 6, 7, 0}),
                     SWKI_AUDIT_INTACT);
    swki_audit_check_known(&f->check, &f->links[6], &f->links[6], "it");
    assert_int_equal(f->check.finding, SWKI_AUDIT_INTACT);
    swki_audit_check_known(&f->check, &known, NULL, "it");
    assert_int_equal(f->check.finding, SWKI_AUDIT_TRUNCATED);

    swki_audit_check_init(&f->check);
    show(f, (const int[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 0});
    known.hash[0] ^= 1;
    swki_audit_check_known(&f->check, &known, &f->links[7], "it");
    assert_int_equal(f->check.finding, SWKI_AUDIT_ALTERED);
}

/* Adds a start after the record of that number. */
static void add_start(struct f *f, int after, const char *before)
{
    struct swki_audit_link last = f->links[after - 1];
    size_t start = f->buf.len;
    struct swki_audit_line line =
        swki_audit_line_begin(&f->buf, &last, 2000, "start");

    swki_audit_line_text(&line, "before", before);
    assert_true(swki_audit_line_end(&line, &last));
    f->lines[after] = (const char *)f->buf.data + start;
    f->lens[after] = f->buf.len - start - 1;
}

static void a_start_that_found_damage_stays_a_finding(void **state)
{
    static const struct {
        const char *before;
        enum swki_audit_finding finding;
    } cases[] = {
        {"stopped", SWKI_AUDIT_INTACT},      {"crashed", SWKI_AUDIT_INTACT},
        {"truncated", SWKI_AUDIT_TRUNCATED}, {"altered", SWKI_AUDIT_ALTERED},
        {"unsigned", SWKI_AUDIT_UNSIGNED},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct f *f = *state;

        swki_audit_check_init(&f->check);
        add_start(f, 3, cases[i].before);
        assert_int_equal(show(f, (const int[]){1, 2, 3, 4, 0}),
                         cases[i].finding);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_log_as_written_is_intact, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(old_files_may_be_gone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_file_without_its_first_records_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_orders_are_told_apart, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_altered_line_is_found_where_it_is,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_forged_record_does_not_fit_the_next,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_record_follows_nothing,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_under_another_name_is_found,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_is_known_from_elsewhere_is_held_against_the_log, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            a_start_that_found_damage_stays_a_finding, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("audit_check", tests, NULL, NULL);
}
