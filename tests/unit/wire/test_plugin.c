/* SPDX-License-Identifier: Apache-2.0 */

/* What plugins that supply secrets are asked, and what they may answer. */

#include "lib/cmocka_all.h"

#include "wire/plugin.h"

static void a_request_leaves_out_what_is_empty(void **state)
{
    const struct swk_secret_request request = {
        .secret_name = "db",
        .service_id = "",
        .service_name = "",
        .service_hostname = "",
        .task_id = "t1",
        .task_name = "",
        .task_image = "",
        .node_id = "n1",
    };
    struct swki_buf text;

    (void)state;
    swki_buf_init(&text, NULL, SIZE_MAX);
    assert_int_equal(swki_plugin_write_request(&request, &text, NULL), 0);
    assert_true(swki_buf_append_byte(&text, 0));
    assert_string_equal(
        (const char *)text.data,
        "{\"SecretName\":\"db\",\"TaskID\":\"t1\",\"NodeID\":\"n1\"}");
    swki_buf_fini(&text);
}

static void a_request_says_all_there_is(void **state)
{
    static const struct swk_secret_label labels[] = {{"a", "1"}, {"b", "2"}};
    static const struct swk_secret_port ports[] = {
        {.name = "web",
         .target = 80,
         .published = 8080,
         .protocol = 1,
         .publish_mode = 1},
        {.name = "", .target = 53},
    };
    const struct swk_secret_request request = {
        .secret_name = "db",
        .secret_labels = labels,
        .secret_labels_count = 2,
        .service_id = "s",
        .service_name = "front",
        .service_hostname = "host",
        .service_labels = labels,
        .service_labels_count = 1,
        .task_id = "t1",
        .task_name = "front.1.t1",
        .task_image = "nginx",
        .node_id = "n1",
        .has_endpoint = 1,
        .endpoint_mode = 1,
        .ports = ports,
        .ports_count = 2,
        .driver_options = labels + 1,
        .driver_options_count = 1,
    };
    struct swki_buf text;

    (void)state;
    swki_buf_init(&text, NULL, SIZE_MAX);
    assert_int_equal(swki_plugin_write_request(&request, &text, NULL), 0);
    assert_true(swki_buf_append_byte(&text, 0));
    assert_string_equal(
        (const char *)text.data,
        "{\"SecretName\":\"db\",\"SecretLabels\":{\"a\":\"1\",\"b\":\"2\"},"
        "\"ServiceHostname\":\"host\",\"ServiceID\":\"s\","
        "\"ServiceName\":\"front\",\"ServiceLabels\":{\"a\":\"1\"},"
        "\"TaskID\":\"t1\",\"TaskName\":\"front.1.t1\","
        "\"TaskImage\":\"nginx\",\"NodeID\":\"n1\","
        "\"ServiceEndpointSpec\":{\"Mode\":1,\"Ports\":["
        "{\"Name\":\"web\",\"Protocol\":1,\"TargetPort\":80,"
        "\"PublishedPort\":8080,\"PublishMode\":1},"
        "{\"TargetPort\":53}]},\"DriverOptions\":{\"b\":\"2\"}}");
    swki_buf_fini(&text);
}

static void only_a_secretprovider_will_do(void **state)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"{\"Implements\":[\"secretprovider\"]}", SWK_OK},
        {"{\"Implements\":[\"VolumeDriver\",\"secretprovider\"]}", SWK_OK},
        {"{\"Implements\":[\"VolumeDriver\",7]}", SWK_ENOTSUP},
        {"{\"Implements\":\"secretprovider\"}", SWK_ENOTSUP},
        {"{}", SWK_ENOTSUP},
        {"[]", SWK_EMALFORMED},
        {"", SWK_EMALFORMED},
        {"{\"Implements\":[\"secretprovider\"]", SWK_EMALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = swki_plugin_read_activation(cases[i].text,
                                             strlen(cases[i].text), NULL);

        if (rc != cases[i].code) {
            fail_msg("%s: got %d", cases[i].text, rc);
        }
    }
}

static void a_value_comes_out_of_base_64(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *value;
        int alone;
    } cases[] = {
        {"{\"Value\":\"Z2VoZWlt\"}", SWK_OK, "geheim", 0},
        {"{\"Value\":\"Z2VoZWlt\",\"DoNotReuse\":true}", SWK_OK, "geheim", 1},
        {"{\"value\":\"Z2VoZWlt\",\"Err\":\"\"}", SWK_OK, "geheim", 0},
        {"{\"Value\":\"Z2VoZWlt\",\"Err\":\"no\"}", SWK_EDENIED, "", 0},
        {"{\"Err\":\"no\"}", SWK_EDENIED, "", 0},
        {"{\"Value\":\"\"}", SWK_EMALFORMED, "", 0},
        {"{\"Value\":null}", SWK_EMALFORMED, "", 0},
        {"{\"Value\":\"Z2VoZWl\"}", SWK_EMALFORMED, "", 0},
        {"{\"Value\":\"?2VoZWlt\"}", SWK_EMALFORMED, "", 0},
        {"{}", SWK_EMALFORMED, "", 0},
        {"geheim", SWK_EMALFORMED, "", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_buf value;
        struct swk_error err;
        int32_t alone = 0;
        int rc;

        swki_buf_init(&value, NULL, SIZE_MAX);
        rc = swki_plugin_read_secret(cases[i].text, strlen(cases[i].text),
                                     &value, &alone, &err);
        if (rc != cases[i].code || alone != cases[i].alone ||
            value.len != strlen(cases[i].value)) {
            fail_msg("%s: got %d", cases[i].text, rc);
        }
        assert_memory_equal(value.len > 0 ? (char *)value.data : "",
                            cases[i].value, value.len);
        assert_true(rc == SWK_OK || strstr(err.text, "Z2Vo") == NULL);
        swki_buf_fini(&value);
    }
}

static void a_value_that_is_too_large_is_refused(void **state)
{
    static char text[SWKI_PLUGIN_ANSWER_MAX];
    const size_t digits = SWK_SECRET_VALUE_MAX / 3 * 4 + 8;
    struct swki_buf value;
    int32_t alone = 0;

    (void)state;
    memcpy(text, "{\"Value\":\"", 10);
    memset(text + 10, 'A', digits);
    memcpy(text + 10 + digits, "\"}", 2);
    swki_buf_init(&value, NULL, SIZE_MAX);
    assert_int_equal(
        swki_plugin_read_secret(text, digits + 12, &value, &alone, NULL),
        SWK_EMALFORMED);
    assert_int_equal(value.len, 0);
    swki_buf_fini(&value);
}

static void a_description_has_an_address(void **state)
{
    static const char good[] = "{\"Name\":\"v\",\"Addr\":\"unix:///run/v\"}";
    struct swki_buf address;

    (void)state;
    swki_buf_init(&address, NULL, 64);
    assert_int_equal(
        swki_plugin_read_description(good, strlen(good), &address, NULL), 0);
    assert_string_equal((const char *)address.data, "unix:///run/v");
    assert_int_equal(swki_plugin_read_description("{}", 2, &address, NULL),
                     SWK_EMALFORMED);
    swki_buf_fini(&address);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_leaves_out_what_is_empty),
        cmocka_unit_test(a_request_says_all_there_is),
        cmocka_unit_test(only_a_secretprovider_will_do),
        cmocka_unit_test(a_value_comes_out_of_base_64),
        cmocka_unit_test(a_value_that_is_too_large_is_refused),
        cmocka_unit_test(a_description_has_an_address),
    };

    return cmocka_run_group_tests_name("wire/plugin", tests, NULL, NULL);
}
