/* SPDX-License-Identifier: Apache-2.0 */

/* Frames: every split of the bytes, every limit. */

#include "lib/cmocka_all.h"

#include "wire/frame.h"

static struct swki_buf three_frames(void)
{
    static const uint8_t data[300] = {1, 2, 3, [299] = 9};
    struct swki_buf buf;

    swki_buf_init(&buf, NULL, SIZE_MAX);
    assert_true(swki_frame_write(
        &buf, &(struct swki_frame){.type = SWKI_FRAME_PING,
                                   .payload = data,
                                   .payload_len = 8}));
    assert_true(swki_frame_write(
        &buf, &(struct swki_frame){.type = SWKI_FRAME_DATA,
                                   .stream = 0x01020304,
                                   .flags = SWKI_FRAME_MORE,
                                   .code = 0xabcd,
                                   .payload = data,
                                   .payload_len = 300}));
    assert_true(swki_frame_write(
        &buf,
        &(struct swki_frame){.type = SWKI_FRAME_RESET, .stream = 5}));
    return buf;
}

static void check_frame(size_t i, const struct swki_frame *frame)
{
    static const struct {
        uint8_t type;
        uint32_t stream;
        uint32_t len;
    } want[] = {
        {SWKI_FRAME_PING, 0, 8},
        {SWKI_FRAME_DATA, 0x01020304, 300},
        {SWKI_FRAME_RESET, 5, 0},
    };

    assert_true(i < 3);
    assert_int_equal(frame->type, want[i].type);
    assert_int_equal(frame->stream, want[i].stream);
    assert_int_equal(frame->payload_len, want[i].len);
    if (i == 1) {
        assert_int_equal(frame->code, 0xabcd);
        assert_int_equal(frame->flags, SWKI_FRAME_MORE);
        assert_int_equal(frame->payload[2], 3);
        assert_int_equal(frame->payload[299], 9);
    }
}

static size_t parse_part(struct swki_frame_parser *parser, const uint8_t *data,
                         size_t len, size_t found)
{
    struct swki_frame frame;
    int rc;

    while ((rc = swki_frame_parse(parser, &data, &len, &frame, NULL)) == 1) {
        check_frame(found++, &frame);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(len, 0);
    return found;
}

static void frames_come_out_whole_however_the_bytes_are_split(void **state)
{
    struct swki_buf buf = three_frames();

    (void)state;
    for (size_t split = 0; split <= buf.len; split++) {
        struct swki_frame_parser parser;
        size_t found;

        swki_frame_parser_init(&parser, NULL);
        found = parse_part(&parser, buf.data, split, 0);
        found = parse_part(&parser, buf.data + split, buf.len - split, found);
        assert_int_equal(found, 3);
        swki_frame_parser_fini(&parser);
    }
    swki_buf_fini(&buf);
}

static void frames_come_out_whole_from_single_bytes(void **state)
{
    struct swki_buf buf = three_frames();
    struct swki_frame_parser parser;
    size_t found = 0;

    (void)state;
    swki_frame_parser_init(&parser, NULL);
    for (size_t i = 0; i < buf.len; i++) {
        found = parse_part(&parser, buf.data + i, 1, found);
    }
    assert_int_equal(found, 3);
    swki_frame_parser_fini(&parser);
    swki_buf_fini(&buf);
}

static void a_header_that_breaks_a_rule_is_refused_at_once(void **state)
{
    static const struct {
        const char *why;
        uint8_t header[SWKI_FRAME_HEADER_SIZE];
    } cases[] = {
        {"type 0", {0, 0, 0, 0, 1, 0, 0, 0, 0}},
        {"type 10", {0, 0, 0, 0, 1, 0, 0, 0, 10}},
        {"type 255", {0, 0, 0, 0, 1, 0, 0, 0, 255}},
        {"DATA too long", {1, 0, 1, 0, 1, 0, 0, 0, 3}},
        {"4 GiB", {255, 255, 255, 255, 1, 0, 0, 0, 3}},
        {"DATA without a call", {1, 0, 0, 0, 0, 0, 0, 0, 3}},
        {"PING of a call", {8, 0, 0, 0, 1, 0, 0, 0, 7}},
        {"short PING", {7, 0, 0, 0, 0, 0, 0, 0, 7}},
        {"empty CALL", {0, 0, 0, 0, 1, 0, 0, 0, 2}},
        {"unknown flag", {1, 0, 0, 0, 1, 0, 0, 0, 3, 2}},
        {"long HELLO", {17, 0, 0, 0, 0, 0, 0, 0, 1}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_frame_parser parser;
        struct swki_frame frame;
        const uint8_t *data = cases[i].header;
        size_t len = SWKI_FRAME_HEADER_SIZE;

        swki_frame_parser_init(&parser, NULL);
        if (swki_frame_parse(&parser, &data, &len, &frame, NULL) !=
            SWK_EMALFORMED) {
            fail_msg("%s was taken", cases[i].why);
        }
        assert_int_equal(parser.payload.size, 0); /* nothing was kept */
        swki_frame_parser_fini(&parser);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_out_whole_however_the_bytes_are_split),
        cmocka_unit_test(frames_come_out_whole_from_single_bytes),
        cmocka_unit_test(a_header_that_breaks_a_rule_is_refused_at_once),
    };

    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
