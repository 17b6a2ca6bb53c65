/* SPDX-License-Identifier: Apache-2.0 */

/* Lines of the audit log: what is written comes back, and nothing else does. */

#include "lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "core/audit/line.h"

#define NOON INT64_C(1769860800000000001) /* 2026-01-31T12:00:00 and 1 ns */

static const char first_line[] =
    "{\"seq\":1,\"time\":\"2026-01-31T12:00:00.000000001Z\",\"type\":\"call\","
    "\"actor\":\"local\",\"uid\":1000,\"prev\":\"00000000000000000000000000000"
    "00000000000000000000000000000000000\",\"hash\":\"";

struct f {
    struct swki_buf buf;
    struct swki_audit_link last;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    swki_buf_init(&f->buf, NULL, SIZE_MAX);
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

static void add(struct f *f, const char *name, const char *text)
{
    struct swki_audit_line line =
        swki_audit_line_begin(&f->buf, &f->last, NOON, "call");

    swki_audit_line_text(&line, name, text);
    swki_audit_line_number(&line, "uid", 1000);
    assert_true(swki_audit_line_end(&line, &f->last));
}

/* The last line, without its end. */
static struct swki_audit_record read_all(const struct f *f)
{
    struct swki_audit_record record;

    assert_true(swki_audit_record_read((const char *)f->buf.data,
                                       f->buf.len - 1, &record));
    return record;
}

static void a_line_is_one_flat_json_object(void **state)
{
    struct f *f = *state;
    uint8_t hash[SWKI_SHA256_SIZE];
    char hex[SWKI_SHA256_HEX_LEN + 1];

    add(f, "actor", "local");
    assert_memory_equal(f->buf.data, first_line, sizeof(first_line) - 1);
    assert_int_equal(f->buf.len, sizeof(first_line) - 1 + 64 + 3);
    assert_memory_equal(f->buf.data + f->buf.len - 3, "\"}\n", 3);
    /* What the header says about the hash. */
    assert_true(swki_sha256_tagged(SWKI_AUDIT_TAG, first_line,
                                   strlen(first_line) - strlen(",\"hash\":\""),
                                   hash));
    swki_sha256_hex(hash, hex);
    assert_memory_equal(f->buf.data + sizeof(first_line) - 1, hex, 64);
    assert_memory_equal(f->last.hash, hash, sizeof(hash));
    assert_int_equal(f->last.seq, 1);
}

static void what_is_written_comes_back(void **state)
{
    static const char text[] = "a \"quoted\" \\ line\nwith \x7f and \xc3\xa4";
    struct f *f = *state;
    struct swki_audit_record record;
    char back[64];
    uint64_t uid;

    add(f, "actor", text);
    record = read_all(f);
    assert_int_equal(record.link.seq, 1);
    assert_int_equal(record.time, NOON);
    swki_audit_field_text(swki_audit_fields_find(&record.fields, "actor"), back,
                          sizeof(back));
    assert_string_equal(back, text);
    assert_true(swki_audit_field_number(
        swki_audit_fields_find(&record.fields, "uid"), &uid));
    assert_int_equal(uid, 1000);
    assert_null(swki_audit_fields_find(&record.fields, "pid"));
}

static void a_line_holds_no_control_character_and_only_utf_8(void **state)
{
    struct f *f = *state;
    struct swki_audit_record record;
    char back[16];

    add(f, "actor", "\x1b[2J\xff\xc3");
    for (size_t i = 0; i + 1 < f->buf.len; i++) {
        assert_in_range(f->buf.data[i], ' ', '~');
    }
    record = read_all(f);
    swki_audit_field_text(swki_audit_fields_find(&record.fields, "actor"), back,
                          sizeof(back));
    assert_string_equal(back, "\x1b[2J??");
}

static void long_text_is_cut(void **state)
{
    struct f *f = *state;
    char text[2 * SWKI_AUDIT_TEXT_MAX];
    char back[2 * SWKI_AUDIT_TEXT_MAX];
    struct swki_audit_record record;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    add(f, "actor", text);
    record = read_all(f);
    swki_audit_field_text(swki_audit_fields_find(&record.fields, "actor"), back,
                          sizeof(back));
    assert_int_equal(strlen(back), SWKI_AUDIT_TEXT_MAX + 3);
    assert_string_equal(back + SWKI_AUDIT_TEXT_MAX, "...");
}

static void the_largest_line_is_read(void **state)
{
    struct f *f = *state;
    char text[SWKI_AUDIT_TEXT_MAX + 2];
    struct swki_audit_line line =
        swki_audit_line_begin(&f->buf, &f->last, NOON, "call");

    memset(text, 1, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < SWKI_AUDIT_FIELDS_MAX - 5; i++) {
        swki_audit_line_text(&line, "f", text);
    }
    assert_true(swki_audit_line_end(&line, &f->last));
    assert_in_range(f->buf.len, 1, SWKI_AUDIT_LINE_MAX);
    (void)read_all(f);
}

static void empty_text_is_left_out(void **state)
{
    struct f *f = *state;
    struct swki_audit_record record;

    add(f, "actor", "");
    add(f, "actor", NULL);
    record.fields.count = 0;
    assert_true(swki_audit_record_read(
        (const char *)f->buf.data,
        (size_t)((uint8_t *)memchr(f->buf.data, '\n', f->buf.len) -
                 f->buf.data),
        &record));
    assert_null(swki_audit_fields_find(&record.fields, "actor"));
    assert_int_equal(record.fields.count, 6);
}

static void any_changed_byte_is_noticed(void **state)
{
    struct f *f = *state;
    struct swki_audit_record record;
    size_t len;

    add(f, "actor", "local");
    len = f->buf.len - 1;
    for (size_t i = 0; i < len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            f->buf.data[i] ^= (uint8_t)(1 << bit);
            assert_false(swki_audit_record_read((const char *)f->buf.data, len,
                                                &record));
            f->buf.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    (void)read_all(f);
}

static void no_part_of_a_line_is_a_record(void **state)
{
    struct f *f = *state;
    struct swki_audit_record record;

    add(f, "actor", "local");
    for (size_t len = 0; len + 1 < f->buf.len; len++) {
        assert_false(
            swki_audit_record_read((const char *)f->buf.data, len, &record));
    }
}

static void want_of_room_leaves_the_chain_as_it_was(void **state)
{
    struct f *f = *state;
    struct swki_audit_link before;
    struct swki_audit_line line;
    size_t len;

    add(f, "actor", "local");
    before = f->last;
    len = f->buf.len;
    for (f->buf.limit = len; f->buf.limit < 2 * len - 1; f->buf.limit++) {
        line = swki_audit_line_begin(&f->buf, &f->last, NOON, "call");
        swki_audit_line_text(&line, "actor", "local");
        swki_audit_line_number(&line, "uid", 1000);
        assert_false(swki_audit_line_end(&line, &f->last));
        assert_int_equal(f->buf.len, len);
        assert_memory_equal(&f->last, &before, sizeof(before));
    }
    f->buf.limit = SIZE_MAX;
    add(f, "actor", "local");
    assert_int_equal(f->last.seq, 2);
}

static void other_json_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "{\"a\":1,}",
        "{\"a\":-1}",
        "{\"a\":01}",
        "{\"a\":1.5}",
        "{\"a\":true}",
        "{\"a\":{}}",
        "{\"a\": 1}",
        "{\"a\":\"\\n\"}",
        "{\"a\":\"\\u1234\"}",
        "{\"a\":\"\\u00G1\"}",
        "{\"a\":\"x}",
        "{\"a\":1}x",
        "{a:1}",
    };
    struct swki_audit_fields fields;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (swki_audit_fields_read(texts[i], strlen(texts[i]), &fields)) {
            fail_msg("%s was read", texts[i]);
        }
    }
    assert_true(
        swki_audit_fields_read("{\"a\":18446744073709551615}", 26, &fields));
    assert_true(
        swki_audit_fields_read("{\"a\":18446744073709551616}", 26, &fields));
    uint64_t number = 7;

    assert_false(swki_audit_field_number(&fields.list[0], &number));
    assert_int_equal(number, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_is_one_flat_json_object, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_written_comes_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_line_holds_no_control_character_and_only_utf_8, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(long_text_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_largest_line_is_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(empty_text_is_left_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(any_changed_byte_is_noticed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(no_part_of_a_line_is_a_record, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(want_of_room_leaves_the_chain_as_it_was,
                                        set_up, tear_down),
        cmocka_unit_test(other_json_is_refused),
    };

    return cmocka_run_group_tests_name("audit_line", tests, NULL, NULL);
}
