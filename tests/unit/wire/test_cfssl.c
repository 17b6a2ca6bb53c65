/* SPDX-License-Identifier: Apache-2.0 */

/* What external CAs are asked, and what they may answer. */

#include "lib/cmocka_all.h"

#include "wire/cfssl.h"

static void request_says_all_that_is_to_be_in_the_certificate(void **state)
{
    static const char *const hosts[] = {"swarm-worker", "n1"};
    const struct swki_cfssl_request request = {
        .hosts = hosts,
        .hosts_count = 2,
        .csr = "CSR\nhere and not beyond",
        .csr_len = 8,
        .cn = "n1",
        .o = "s1",
        .ou = "swarm-worker",
        .profile = "",
        .not_before = INT64_C(1893456000) * INT64_C(1000000000),
        .not_after = INT64_C(1893459600) * INT64_C(1000000000),
    };
    struct swki_buf text;

    (void)state;
    swki_buf_init(&text, NULL, SIZE_MAX);
    assert_int_equal(swki_cfssl_write(&request, &text, NULL), 0);
    assert_true(swki_buf_append_byte(&text, 0));
    assert_string_equal((const char *)text.data,
                        "{\"hosts\":[\"swarm-worker\",\"n1\"],"
                        "\"certificate_request\":\"CSR\\nhere\","
                        "\"subject\":{\"CN\":\"n1\","
                        "\"names\":[{\"O\":\"s1\",\"OU\":\"swarm-worker\"}]},"
                        "\"profile\":\"\",\"crl_override\":\"\",\"label\":\"\","
                        "\"NotBefore\":\"2030-01-01T00:00:00Z\","
                        "\"NotAfter\":\"2030-01-01T01:00:00Z\"}");
    swki_buf_fini(&text);
}

static void request_for_a_root_names_its_constraints(void **state)
{
    const struct swki_cfssl_request request = {
        .csr = "CSR",
        .csr_len = 3,
        .cn = "swarm-ca",
        .profile = "CA",
        .is_ca = 1,
    };
    struct swki_buf text;

    (void)state;
    swki_buf_init(&text, NULL, SIZE_MAX);
    assert_int_equal(swki_cfssl_write(&request, &text, NULL), 0);
    assert_true(swki_buf_append_byte(&text, 0));
    assert_string_equal(
        (const char *)text.data,
        "{\"hosts\":[],\"certificate_request\":\"CSR\","
        "\"subject\":{\"CN\":\"swarm-ca\",\"names\":[]},"
        "\"profile\":\"CA\",\"crl_override\":\"\",\"label\":\"\","
        "\"extensions\":[{\"id\":[2,5,29,19],\"critical\":true,"
        "\"value\":\"30030101ff\"}]}");
    swki_buf_fini(&text);
}

static void parts_of_a_subject_stand_each_by_itself(void **state)
{
    static const struct swki_cfssl_name names[] = {
        {"C", "AQ"}, {"O", "Acme \"Ltd\""}, {"OU", "a"}, {"OU", "b"}};
    const struct swki_cfssl_request request = {
        .csr = "CSR",
        .csr_len = 3,
        .cn = "",
        .names = names,
        .names_count = 4,
        .profile = "CA",
    };
    struct swki_buf text;

    (void)state;
    swki_buf_init(&text, NULL, SIZE_MAX);
    assert_int_equal(swki_cfssl_write(&request, &text, NULL), 0);
    assert_true(swki_buf_append_byte(&text, 0));
    assert_non_null(strstr((const char *)text.data,
                           "\"subject\":{\"CN\":\"\",\"names\":["
                           "{\"C\":\"AQ\"},{\"O\":\"Acme \\\"Ltd\\\"\"},"
                           "{\"OU\":\"a\"},{\"OU\":\"b\"}]}"));
    swki_buf_fini(&text);
}

static void certificate_is_taken_out_of_the_answer(void **state)
{
    static const char answer[] =
        "{\"success\":true,\"result\":{\"certificate\":\"PEM\\n\"},"
        "\"errors\":[],\"messages\":[],\"later\":1}";
    struct swki_buf pem;

    (void)state;
    swki_buf_init(&pem, NULL, SIZE_MAX);
    assert_int_equal(swki_cfssl_read(answer, strlen(answer), &pem, NULL), 0);
    assert_int_equal(pem.len, 4);
    assert_memory_equal(pem.data, "PEM\n", 4);
    swki_buf_fini(&pem);
}

static void answers_are_a_no_or_make_no_sense(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *why;
    } cases[] = {
        {"", SWK_EIO, "not JSON"},
        {"<html>", SWK_EIO, "not JSON"},
        {"{\"success\":true", SWK_EIO, "not JSON"},
        {"[1]", SWK_EIO, "not JSON"},
        {"{}", SWK_EIO, "does not say whether it signs"},
        {"{\"message\":\"no route\"}", SWK_EIO, "does not say"},
        {"{\"success\":\"true\"}", SWK_EDENIED, "without a reason"},
        {"{\"success\":false,\"errors\":[{\"code\":1,\"message\":\"no "
         "\xff\"}]}",
         SWK_EDENIED, "says: no ?"},
        {"{\"success\":false,\"errors\":[7]}", SWK_EDENIED, "without a reason"},
        {"{\"success\":true}", SWK_EDENIED, "no certificate"},
        {"{\"success\":true,\"result\":[]}", SWK_EDENIED, "no certificate"},
        {"{\"success\":true,\"result\":{\"certificate\":7}}", SWK_EDENIED,
         "no certificate"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swk_error err = {0};
        struct swki_buf pem;

        swki_buf_init(&pem, NULL, SIZE_MAX);
        assert_int_equal(
            swki_cfssl_read(cases[i].text, strlen(cases[i].text), &pem, &err),
            cases[i].code);
        if (strstr(err.text, cases[i].why) == NULL) {
            fail_msg("%s: got \"%s\"", cases[i].text, err.text);
        }
        assert_int_equal(pem.len, 0);
        swki_buf_fini(&pem);
    }
}

static void oversized_answer_is_not_read(void **state)
{
    struct swki_buf pem;
    struct swki_buf text;

    (void)state;
    swki_buf_init(&pem, NULL, SIZE_MAX);
    swki_buf_init(&text, NULL, SIZE_MAX);
    while (text.len <= SWKI_CFSSL_ANSWER_MAX) {
        assert_true(swki_buf_append_text(&text, "[                    "));
    }
    assert_int_equal(swki_cfssl_read(text.data, text.len, &pem, NULL), SWK_EIO);
    swki_buf_fini(&text);
    swki_buf_fini(&pem);
}

static void deep_answer_is_no_json(void **state)
{
    struct swki_buf pem;
    struct swki_buf text;

    (void)state;
    swki_buf_init(&pem, NULL, SIZE_MAX);
    swki_buf_init(&text, NULL, SIZE_MAX);
    for (int i = 0; i < 200000; i++) {
        assert_true(swki_buf_append_byte(&text, '['));
    }
    assert_int_equal(swki_cfssl_read(text.data, text.len, &pem, NULL), SWK_EIO);
    swki_buf_fini(&text);
    swki_buf_fini(&pem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_says_all_that_is_to_be_in_the_certificate),
        cmocka_unit_test(request_for_a_root_names_its_constraints),
        cmocka_unit_test(parts_of_a_subject_stand_each_by_itself),
        cmocka_unit_test(certificate_is_taken_out_of_the_answer),
        cmocka_unit_test(answers_are_a_no_or_make_no_sense),
        cmocka_unit_test(oversized_answer_is_not_read),
        cmocka_unit_test(deep_answer_is_no_json),
    };

    return cmocka_run_group_tests_name("cfssl", tests, NULL, NULL);
}
