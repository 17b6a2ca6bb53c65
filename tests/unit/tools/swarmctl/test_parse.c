/* SPDX-License-Identifier: Apache-2.0 */

/* What people type: every form that is accepted, and what is not. */

#include "lib/cmocka_all.h"

#include "parse.h"

static void durations_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"0", 0},
        {"0s", 0},
        {"1ns", 1},
        {"2us", 2000},
        {"500ms", 500000000},
        {"1.5s", 1500000000},
        {"1m30s", INT64_C(90000000000)},
        {"2160h", INT64_C(2160) * 3600 * 1000000000},
        {"1d", INT64_C(86400) * 1000000000},
        {"-1s", -1000000000},
    };
    static const char *const bad[] = {"",    "1",   "s",     "1x", "1.s",
                                      ".5s", "1s ", "--1s",  "1s2", "1e3s",
                                      "-",   "9999999999h"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ns = 77;

        if (!parse_duration(cases[i].text, &ns) || ns != cases[i].ns) {
            fail_msg("\"%s\": %lld", cases[i].text, (long long)ns);
        }
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ns = 77;

        if (parse_duration(bad[i], &ns) || ns != 77) {
            fail_msg("\"%s\" was accepted", bad[i]);
        }
    }
}

static void sizes_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {
        {"0", 0},
        {"4096", 4096},
        {"64b", 64},
        {"512m", INT64_C(512) << 20},
        {"64MiB", INT64_C(64) << 20},
        {"1.5g", INT64_C(3) << 29},
        {"2T", INT64_C(2) << 40},
    };
    static const char *const bad[] = {"",  "m",   "1x",         "-1m",
                                      "1 m", "1mm", "99999999999t"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t bytes = 77;

        if (!parse_size(cases[i].text, &bytes) || bytes != cases[i].bytes) {
            fail_msg("\"%s\": %lld", cases[i].text, (long long)bytes);
        }
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t bytes = 77;

        if (parse_size(bad[i], &bytes) || bytes != 77) {
            fail_msg("\"%s\" was accepted", bad[i]);
        }
    }
}

static void processors_are_read(void **state)
{
    int64_t nano = 77;

    (void)state;
    assert_true(parse_cpus("0.5", &nano));
    assert_int_equal(nano, 500000000);
    assert_true(parse_cpus("2", &nano));
    assert_int_equal(nano, 2000000000);
    assert_true(parse_cpus("0.001", &nano));
    assert_int_equal(nano, 1000000);
    assert_false(parse_cpus("", &nano));
    assert_false(parse_cpus("-1", &nano));
    assert_false(parse_cpus("1x", &nano));
    assert_false(parse_cpus("1.", &nano));
}

static void numbers_keep_their_bounds(void **state)
{
    uint64_t u = 77;
    int64_t n = 77;

    (void)state;
    assert_true(parse_unsigned("18446744073709551615", UINT64_MAX, &u));
    assert_true(u == UINT64_MAX);
    assert_false(parse_unsigned("18446744073709551616", UINT64_MAX, &u));
    assert_true(parse_unsigned("5", 5, &u));
    assert_false(parse_unsigned("6", 5, &u));
    assert_false(parse_unsigned("", 5, &u));
    assert_false(parse_unsigned("+1", 5, &u));
    assert_true(parse_integer("-1000", -1000, 1000, &n));
    assert_int_equal(n, -1000);
    assert_false(parse_integer("-1001", -1000, 1000, &n));
    assert_false(parse_integer("1001", -1000, 1000, &n));
    assert_false(parse_integer("-", -1000, 1000, &n));
}

static void ports_are_read(void **state)
{
    static const char *const bad[] = {
        "",         "80",          "web",         "web:",       ":80",
        "web:0",    "web:65536",   "web:80/xyz",  "web:80/",    "web:80:0",
        "web:80:x", "web:80/tcp:", "web:80/tcp:1:2"};
    struct parsed_port port;

    (void)state;
    assert_true(parse_port("web:80", &port));
    assert_string_equal(port.name, "web");
    assert_int_equal(port.target, 80);
    assert_int_equal(port.published, 0);
    assert_string_equal(port.protocol, "tcp");
    assert_true(parse_port("dns:53/udp:5353", &port));
    assert_int_equal(port.target, 53);
    assert_int_equal(port.published, 5353);
    assert_string_equal(port.protocol, "udp");
    assert_true(parse_port("web:80:8080", &port));
    assert_int_equal(port.published, 8080);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse_port(bad[i], &port)) {
            fail_msg("\"%s\" was accepted", bad[i]);
        }
    }
}

static void pairs_and_environments_are_read(void **state)
{
    const char *value;
    size_t len;

    (void)state;
    assert_true(parse_pair("a=b=c", &len, &value));
    assert_int_equal(len, 1);
    assert_string_equal(value, "b=c");
    assert_true(parse_pair("key", &len, &value));
    assert_string_equal(value, "");
    assert_false(parse_pair("=b", &len, &value));
    assert_false(parse_pair("", &len, &value));
    assert_true(parse_env("PATH=/bin:/usr/bin"));
    assert_true(parse_env("EMPTY="));
    assert_false(parse_env("A B=1"));
    assert_false(parse_env("=1"));
}

static void constraints_have_an_operator(void **state)
{
    (void)state;
    assert_true(parse_constraint("node.role==manager"));
    assert_true(parse_constraint("node.labels.zone != b"));
    assert_false(parse_constraint("node.role=manager"));
    assert_false(parse_constraint("==manager"));
    assert_false(parse_constraint("node.role=="));
    assert_false(parse_constraint(""));
}

static void words_are_found_in_any_case(void **state)
{
    static const char *const words[] = {"none", "any", NULL};
    int index = 77;

    (void)state;
    assert_true(parse_word("ANY", words, &index));
    assert_int_equal(index, 1);
    assert_false(parse_word("some", words, &index));
    assert_int_equal(index, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(processors_are_read),
        cmocka_unit_test(numbers_keep_their_bounds),
        cmocka_unit_test(ports_are_read),
        cmocka_unit_test(pairs_and_environments_are_read),
        cmocka_unit_test(constraints_have_an_operator),
        cmocka_unit_test(words_are_found_in_any_case),
    };

    return cmocka_run_group_tests_name("swarmctl/parse", tests, NULL, NULL);
}
