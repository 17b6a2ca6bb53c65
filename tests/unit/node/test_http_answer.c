/* SPDX-License-Identifier: Apache-2.0 */

/* Answers of HTTP: where they end, and every way in which they may be none. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "node/signing/http_answer.h"

#define OK_LINE "HTTP/1.1 200 OK\r\n"

enum {
    BODY_MAX = 256 * 1024,
    PENDING_END = 0, /* more may come */
    AT_END = 1,
};

static int look(const char *text, size_t len, int ended,
                struct swki_http_head *out_head)
{
    const struct swki_http_received received = {
        .data = text, .len = len, .ended = ended == AT_END};

    return swki_http_answer_look(&received, BODY_MAX, out_head, NULL);
}

static void answer_ends_where_its_head_says(void **state)
{
    static const char text[] = OK_LINE "Content-Type: application/json\r\n"
                                       "content-length: \t2 \r\n\r\n{}beyond";
    struct swki_http_head head;

    (void)state;
    assert_int_equal(look(text, strlen(text), PENDING_END, &head), 1);
    assert_int_equal(head.status, 200);
    assert_int_equal(head.body_len, 2);
    assert_memory_equal(text + head.len, "{}", 2);
}

static void answer_of_no_length_ends_with_the_connection(void **state)
{
    static const char text[] = "HTTP/1.0 503\r\n\r\nbody";
    struct swki_http_head head;

    (void)state;
    assert_int_equal(look(text, strlen(text), PENDING_END, &head), 0);
    assert_int_equal(look(text, strlen(text), AT_END, &head), 1);
    assert_int_equal(head.status, 503);
    assert_true(head.body_len == SIZE_MAX);
    assert_string_equal(text + head.len, "body");
}

static void every_answer_that_is_cut_off_is_none(void **state)
{
    static const char text[] = OK_LINE "Content-Length: 4\r\n\r\nbody";

    (void)state;
    for (size_t len = 0; len < strlen(text); len++) {
        struct swki_http_head head;

        assert_int_equal(look(text, len, PENDING_END, &head), 0);
        assert_int_equal(look(text, len, AT_END, &head), SWK_EIO);
    }
}

static void what_is_no_answer_is_refused(void **state)
{
    static const struct {
        const char *why;
        const char *text;
    } cases[] = {
        {"another protocol", "SSH-2.0-x\r\n\r\n"},
        {"empty line first", "\r\n\r\n"},
        {"a later version", "HTTP/2.0 200 OK\r\n\r\n"},
        {"no version", "HTTP/1. 200 OK\r\n\r\n"},
        {"an unknown version", "HTTP/1.7 200 OK\r\n\r\n"},
        {"no status", "HTTP/1.1\r\n\r\n"},
        {"status of two digits", "HTTP/1.1 20\r\n\r\n"},
        {"status of four digits", "HTTP/1.1 2000\r\n\r\n"},
        {"status below zero", "HTTP/1.1 -20 no\r\n\r\n"},
        {"status in words", "HTTP/1.1 two OK\r\n\r\n"},
        {"status that only announces", "HTTP/1.1 100 Continue\r\n\r\n"},
        {"status out of range", "HTTP/1.1 600 x\r\n\r\n"},
        {"two blanks", "HTTP/1.1  200 OK\r\n\r\n"},
        {"chunks", OK_LINE "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"},
        {"chunks in other letters", OK_LINE "TRANSFER-ENCODING:gzip\r\n\r\n"},
        {"empty length", OK_LINE "Content-Length: \r\n\r\n"},
        {"length below zero", OK_LINE "Content-Length: -1\r\n\r\n"},
        {"length with a sign", OK_LINE "Content-Length: +1\r\n\r\nx"},
        {"length in hexadecimal", OK_LINE "Content-Length: 0x1\r\n\r\nx"},
        {"two numbers", OK_LINE "Content-Length: 1, 1\r\n\r\nx"},
        {"two lengths",
         OK_LINE "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"},
        {"length beyond all numbers",
         OK_LINE "Content-Length: 18446744073709551616\r\n\r\nx"},
        {"length of all numbers",
         OK_LINE "Content-Length: 18446744073709551615\r\n\r\nx"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_http_head head;
        int rc = look(cases[i].text, strlen(cases[i].text), PENDING_END, &head);

        if (rc != SWK_EIO) {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
    }
}

static void head_does_not_end_at_a_nul(void **state)
{
    static const char text[] =
        OK_LINE "X: \0\r\nTransfer-Encoding: chunked\r\n\r\n0";
    struct swki_http_head head;

    (void)state;
    assert_int_equal(look(text, sizeof(text) - 1, PENDING_END, &head), SWK_EIO);
}

static void body_is_limited_as_said_and_as_come(void **state)
{
    static const char most[] = OK_LINE "Content-Length: 262144\r\n\r\n";
    static const char more[] = OK_LINE "Content-Length: 262145\r\n\r\n";
    static const char open[] = OK_LINE "\r\n";
    char *text = calloc(1, sizeof(open) + BODY_MAX + 1);
    struct swki_http_head head;
    size_t head_len = sizeof(open) - 1;

    (void)state;
    assert_int_equal(look(most, strlen(most), PENDING_END, &head), 0);
    assert_int_equal(look(more, strlen(more), PENDING_END, &head), SWK_ELIMIT);
    memcpy(text, open, head_len);
    assert_int_equal(look(text, head_len + BODY_MAX, AT_END, &head), 1);
    assert_int_equal(look(text, head_len + BODY_MAX + 1, PENDING_END, &head),
                     SWK_ELIMIT);
    free(text);
}

static void head_is_limited(void **state)
{
    char *text = malloc(SWKI_HTTP_HEAD_MAX + 1);
    struct swki_http_head head;

    (void)state;
    memset(text, 'x', SWKI_HTTP_HEAD_MAX + 1);
    memcpy(text, OK_LINE, strlen(OK_LINE));
    memcpy(text + SWKI_HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(look(text, SWKI_HTTP_HEAD_MAX - 1, PENDING_END, &head), 0);
    assert_int_equal(look(text, SWKI_HTTP_HEAD_MAX, AT_END, &head), 1);
    memcpy(text + SWKI_HTTP_HEAD_MAX - 4, "x\r\n\r\n", 5);
    assert_int_equal(look(text, SWKI_HTTP_HEAD_MAX + 1, PENDING_END, &head),
                     SWK_EIO);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_ends_where_its_head_says),
        cmocka_unit_test(answer_of_no_length_ends_with_the_connection),
        cmocka_unit_test(every_answer_that_is_cut_off_is_none),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(head_does_not_end_at_a_nul),
        cmocka_unit_test(body_is_limited_as_said_and_as_come),
        cmocka_unit_test(head_is_limited),
    };

    return cmocka_run_group_tests_name("http_answer", tests, NULL, NULL);
}
