/* SPDX-License-Identifier: Apache-2.0 */

/* Checkpoints of the audit log, as text. */

#include "lib/cmocka_all.h"

#include <string.h>

#include "core/audit/checkpoint.h"

static const struct swki_audit_checkpoint sample = {
    .link = {7, {0xab, 0xcd}},
    .file = 2,
    .offset = 345,
    .time = INT64_C(1769860800000000000),
    .node_id = "node1",
};

static void write_sample(struct swki_buf *buf)
{
    swki_buf_init(buf, NULL, SIZE_MAX);
    assert_true(swki_audit_checkpoint_body(&sample, buf));
    assert_true(swki_audit_checkpoint_sign((const uint8_t *)"\x01\xff", 2,
                                           "PEM\n", 4, buf));
}

static void what_is_written_comes_back(void **state)
{
    struct swki_audit_checkpoint_text text;
    struct swki_audit_checkpoint back;
    struct swki_buf buf;

    (void)state;
    write_sample(&buf);
    assert_true(swki_audit_checkpoint_read((const char *)buf.data, buf.len,
                                           &back, &text));
    assert_memory_equal(&back.link, &sample.link, sizeof(back.link));
    assert_int_equal(back.file, 2);
    assert_int_equal(back.offset, 345);
    assert_int_equal(back.time, sample.time);
    assert_string_equal(back.node_id, "node1");
    assert_int_equal(text.signature_len, 2);
    assert_memory_equal(text.signature, "\x01\xff", 2);
    assert_int_equal(text.certificate_len, 4);
    assert_memory_equal(text.certificate, "PEM\n", 4);
    assert_ptr_equal(text.body, buf.data);
    assert_int_equal(text.body[text.body_len], '\n');
    swki_buf_fini(&buf);
}

static void what_is_cut_off_or_damaged_is_refused(void **state)
{
    struct swki_audit_checkpoint_text text;
    struct swki_audit_checkpoint back;
    struct swki_buf buf;

    (void)state;
    write_sample(&buf);
    for (size_t len = 0; len + 4 < buf.len; len++) {
        assert_false(swki_audit_checkpoint_read((const char *)buf.data, len,
                                                &back, &text));
    }
    *strstr((char *)buf.data, "01ff") = 'G';
    assert_false(swki_audit_checkpoint_read((const char *)buf.data, buf.len,
                                            &back, &text));
    swki_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_comes_back),
        cmocka_unit_test(what_is_cut_off_or_damaged_is_refused),
    };

    return cmocka_run_group_tests_name("audit_checkpoint", tests, NULL, NULL);
}
