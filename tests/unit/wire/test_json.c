/* SPDX-License-Identifier: Apache-2.0 */

/* Messages as JSON: protobuf's mapping, and the public call around it. */

#include "lib/cmocka_all.h"

#include <math.h>

#include <swarmkit/message.h>

#include "google/protobuf/wrappers.pb-c.h"
#include "objects.pb-c.h"
#include "raftpb/raft.pb-c.h"
#include "wire/json.h"
#include "wire/message.h"
#include "wire/rfc3339.h"

static void expect_json(const ProtobufCMessage *message,
                        enum swki_json_style style, const char *want)
{
    struct swki_buf buf;

    swki_buf_init(&buf, NULL, SIZE_MAX);
    assert_int_equal(swki_message_to_json(message, style, &buf, NULL), 0);
    assert_true(swki_buf_append_byte(&buf, '\0'));
    assert_string_equal((const char *)buf.data, want);
    swki_buf_fini(&buf);
}

static void defaults_are_left_out(void **state)
{
    Swkpb__Task task = SWKPB__TASK__INIT;

    (void)state;
    expect_json(&task.base, SWKI_JSON_COMPACT, "{}");
    expect_json(&task.base, SWKI_JSON_INDENTED, "{}");
}

static void names_enums_and_numbers_follow_the_mapping(void **state)
{
    Swkpb__Task task = SWKPB__TASK__INIT;
    Swkpb__Version version = SWKPB__VERSION__INIT;
    Swkpb__Meta meta = SWKPB__META__INIT;

    (void)state;
    version.index = UINT64_MAX;
    meta.version = &version;
    task.meta = &meta;
    task.id = (char *)"t1";
    task.service_id = (char *)"s1";
    task.slot = 7;
    task.desired_state = SWKPB__TASK_STATE__RUNNING;
    expect_json(&task.base, SWKI_JSON_COMPACT,
                "{\"id\":\"t1\",\"meta\":{\"version\":{\"index\":"
                "\"18446744073709551615\"}},\"serviceId\":\"s1\","
                "\"slot\":\"7\",\"desiredState\":\"RUNNING\"}");
    task.desired_state = (Swkpb__TaskState)9999;
    task.id = task.service_id = NULL;
    task.slot = 0;
    task.meta = NULL;
    expect_json(&task.base, SWKI_JSON_COMPACT, "{\"desiredState\":9999}");
}

static void maps_lists_and_indents(void **state)
{
    Swkpb__Annotations__LabelsEntry labels[] = {
        SWKPB__ANNOTATIONS__LABELS_ENTRY__INIT,
        SWKPB__ANNOTATIONS__LABELS_ENTRY__INIT,
    };
    Swkpb__Annotations__LabelsEntry *label_list[] = {&labels[0], &labels[1]};
    Swkpb__IndexEntry index = SWKPB__INDEX_ENTRY__INIT;
    Swkpb__IndexEntry *index_list[] = {&index, &index};
    Swkpb__Annotations a = SWKPB__ANNOTATIONS__INIT;

    (void)state;
    labels[0].key = (char *)"zone";
    labels[0].value = (char *)"b";
    index.key = (char *)"k";
    a.name = (char *)"web";
    a.labels = label_list;
    a.n_labels = 2;
    a.indices = index_list;
    a.n_indices = 2;
    expect_json(&a.base, SWKI_JSON_COMPACT,
                "{\"name\":\"web\",\"labels\":{\"zone\":\"b\",\"\":\"\"},"
                "\"indices\":[{\"key\":\"k\"},{\"key\":\"k\"}]}");
    a.n_indices = 1;
    expect_json(&a.base, SWKI_JSON_INDENTED,
                "{\n"
                "  \"name\": \"web\",\n"
                "  \"labels\": {\n"
                "    \"zone\": \"b\",\n"
                "    \"\": \"\"\n"
                "  },\n"
                "  \"indices\": [\n"
                "    {\n"
                "      \"key\": \"k\"\n"
                "    }\n"
                "  ]\n"
                "}");
}

static void the_choice_of_a_oneof_shows_even_if_empty(void **state)
{
    Swkpb__ServiceSpec spec = SWKPB__SERVICE_SPEC__INIT;
    Swkpb__ReplicatedService replicated = SWKPB__REPLICATED_SERVICE__INIT;
    Swkpb__Privileges__CredentialSpec credentials =
        SWKPB__PRIVILEGES__CREDENTIAL_SPEC__INIT;

    (void)state;
    spec.mode_case = SWKPB__SERVICE_SPEC__MODE_REPLICATED;
    spec.replicated = &replicated;
    expect_json(&spec.base, SWKI_JSON_COMPACT, "{\"replicated\":{}}");
    credentials.source_case = SWKPB__PRIVILEGES__CREDENTIAL_SPEC__SOURCE_FILE;
    expect_json(&credentials.base, SWKI_JSON_COMPACT, "{\"file\":\"\"}");
}

static void strings_are_escaped_and_made_utf8(void **state)
{
    static const struct {
        const char *text;
        const char *json;
    } cases[] = {
        {"a\"b\\c", "{\"value\":\"a\\\"b\\\\c\"}"},
        {"\b\f\n\r\t", "{\"value\":\"\\b\\f\\n\\r\\t\"}"},
        {"\x01\x1f\x7f", "{\"value\":\"\\u0001\\u001f\x7f\"}"},
        {"\xc3\xa9\xf0\x9f\x90\xb3",
         "{\"value\":\"\xc3\xa9\xf0\x9f\x90\xb3\"}"},
        {"a\xff\xc3", "{\"value\":\"a\xef\xbf\xbd\xef\xbf\xbd\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Swkpb__Annotations__LabelsEntry entry =
            SWKPB__ANNOTATIONS__LABELS_ENTRY__INIT;

        entry.value = (char *)cases[i].text;
        expect_json(&entry.base, SWKI_JSON_COMPACT, cases[i].json);
    }
}

static void bytes_are_base_64(void **state)
{
    Swkpb__SecretSpec spec = SWKPB__SECRET_SPEC__INIT;

    (void)state;
    spec.data = (ProtobufCBinaryData){4, (uint8_t *)"\xfb\xff\xbf\x00"};
    expect_json(&spec.base, SWKI_JSON_COMPACT, "{\"data\":\"+/+/AA==\"}");
}

static void wrapped_scalars_are_bare(void **state)
{
    Swkpb__Int64Value number = SWKPB__INT64_VALUE__INIT;
    Swkpb__StringValue text = SWKPB__STRING_VALUE__INIT;
    Swkpb__BoolValue flag = SWKPB__BOOL_VALUE__INIT;

    (void)state;
    number.value = -5;
    expect_json(&number.base, SWKI_JSON_COMPACT, "\"-5\"");
    expect_json(&text.base, SWKI_JSON_COMPACT, "\"\"");
    expect_json(&flag.base, SWKI_JSON_COMPACT, "false");
}

static void proto2_shows_what_is_set(void **state)
{
    Swkpb__Raft__Entry entry = SWKPB__RAFT__ENTRY__INIT;
    Swkpb__Raft__Message message = SWKPB__RAFT__MESSAGE__INIT;

    (void)state;
    entry.has_term = 1;
    expect_json(&entry.base, SWKI_JSON_COMPACT, "{\"Term\":\"0\"}");
    message.has_logterm = 1;
    expect_json(&message.base, SWKI_JSON_COMPACT, "{\"logTerm\":\"0\"}");
}

static void reals_are_short_and_read_back(void **state)
{
    static const struct {
        double value;
        const char *json;
    } doubles[] = {
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {-2.5, "-2.5"},
        {1e300, "1e+300"},
        {NAN, "\"NaN\""},
        {INFINITY, "\"Infinity\""},
        {-INFINITY, "\"-Infinity\""},
        {5e-324, "4.94065645841247e-324"},
        {0.1 + 0.2, "0.30000000000000004"},
    };
    Swkpb__FloatValue narrow = SWKPB__FLOAT_VALUE__INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(doubles) / sizeof(doubles[0]); i++) {
        Swkpb__DoubleValue real = SWKPB__DOUBLE_VALUE__INIT;

        real.value = doubles[i].value;
        expect_json(&real.base, SWKI_JSON_COMPACT, doubles[i].json);
    }
    narrow.value = 0.2f;
    expect_json(&narrow.base, SWKI_JSON_COMPACT, "0.2");
    narrow.value = 16777217.0f / 3;
    expect_json(&narrow.base, SWKI_JSON_COMPACT, "5592405.5");
}

static void timestamps_are_rfc_3339(void **state)
{
    static const struct {
        int64_t seconds;
        int32_t nanos;
        const char *text; /* NULL: out of range */
    } cases[] = {
        {0, 0, "1970-01-01T00:00:00Z"},
        {-1, 999999999, "1969-12-31T23:59:59.999999999Z"},
        {1484443815, 10000000, "2017-01-15T01:30:15.010Z"},
        {951782400, 5000, "2000-02-29T00:00:00.000005Z"},
        {4107542399, 0, "2100-02-28T23:59:59Z"},
        {4107542400, 0, "2100-03-01T00:00:00Z"},
        {-62135596800, 0, "0001-01-01T00:00:00Z"},
        {253402300799, 999999999, "9999-12-31T23:59:59.999999999Z"},
        {-11644473600, 0, "1601-01-01T00:00:00Z"},
        {-11644473601, 0, "1600-12-31T23:59:59Z"},
        {253402300800, 0, NULL},
        {0, -1, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[SWKI_RFC3339_SIZE] = "";

        assert_int_equal(
            swki_rfc3339_timestamp(cases[i].seconds, cases[i].nanos, text),
            cases[i].text != NULL);
        assert_string_equal(text, cases[i].text != NULL ? cases[i].text : "");
    }
}

static void durations_are_seconds(void **state)
{
    static const struct {
        int64_t seconds;
        int32_t nanos;
        const char *text;
    } cases[] = {
        {0, 0, "0s"},
        {1, 500000000, "1.500s"},
        {-1, -500000000, "-1.500s"},
        {0, -1, "-0.000000001s"},
        {315576000000, 0, "315576000000s"},
        {1, -1, NULL},
        {INT64_MIN, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[SWKI_RFC3339_SIZE] = "";

        assert_int_equal(
            swki_rfc3339_duration(cases[i].seconds, cases[i].nanos, text),
            cases[i].text != NULL);
        assert_string_equal(text, cases[i].text != NULL ? cases[i].text : "");
    }
}

static void times_show_as_text_unless_out_of_range(void **state)
{
    Swkpb__Meta meta = SWKPB__META__INIT;
    Swkpb__Timestamp time = SWKPB__TIMESTAMP__INIT;

    (void)state;
    meta.created_at = &time;
    expect_json(&meta.base, SWKI_JSON_COMPACT,
                "{\"createdAt\":\"1970-01-01T00:00:00Z\"}");
    time.nanos = -1;
    expect_json(&meta.base, SWKI_JSON_COMPACT,
                "{\"createdAt\":{\"nanos\":-1}}");
}

static void a_full_buffer_is_an_error_and_gets_nothing(void **state)
{
    Swkpb__Task task = SWKPB__TASK__INIT;

    (void)state;
    task.id = (char *)"t1";
    for (size_t limit = 1; limit < strlen("x{\"id\":\"t1\"}"); limit++) {
        struct swki_buf buf;
        struct swk_error err;

        swki_buf_init(&buf, NULL, limit);
        assert_true(swki_buf_append_text(&buf, "x"));
        assert_int_equal(
            swki_message_to_json(&task.base, SWKI_JSON_COMPACT, &buf, &err),
            SWK_ELIMIT);
        assert_int_equal(buf.len, 1);
        swki_buf_fini(&buf);
    }
}

static void the_public_call_takes_encoded_messages(void **state)
{
    static const char data[] = "\x0a\x02t1";
    struct swk_error err = {0};
    char *text = NULL;

    (void)state;
    assert_int_equal(swk_message_to_json("docker.swarmkit.v1.Task", data,
                                         sizeof(data) - 1, 0, &text, &err),
                     0);
    assert_string_equal(text, "{\"id\":\"t1\"}");
    swk_message_json_free(text);
    assert_int_equal(swk_message_to_json("docker.swarmkit.v1.Task", data,
                                         sizeof(data) - 1, SWK_JSON_INDENTED,
                                         &text, &err),
                     0);
    assert_string_equal(text, "{\n  \"id\": \"t1\"\n}");
    swk_message_json_free(text);
    swk_message_json_free(NULL);
}

static void the_public_call_refuses_misuse_and_damage(void **state)
{
    static char untouched[1];
    static const struct {
        const char *why;
        const char *type;
        const char *data;
        size_t len;
        uint32_t flags;
        int rc;
    } cases[] = {
        {"no type", NULL, "", 0, 0, SWK_EINVAL},
        {"no data", "docker.swarmkit.v1.Task", NULL, 1, 0, SWK_EINVAL},
        {"unknown flag", "docker.swarmkit.v1.Task", "", 0, 4, SWK_EINVAL},
        {"short name", "Task", "", 0, 0, SWK_ENOTFOUND},
        {"no object", "docker.swarmkit.v1.Meta", "", 0, 0, SWK_ENOTFOUND},
        {"damage", "docker.swarmkit.v1.Task", "\x0a", 1, 0, SWK_EMALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swk_error err = {0};
        char *text = untouched;
        int rc = swk_message_to_json(cases[i].type, cases[i].data, cases[i].len,
                                     cases[i].flags, &text, &err);

        if (rc != cases[i].rc || err.code != rc || text != untouched) {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
    }
    assert_int_equal(
        swk_message_to_json("docker.swarmkit.v1.Task", NULL, 0, 0, NULL, NULL),
        SWK_EINVAL);
}

/* What managers store, workers may have written, in two bytes for each port. */
static void the_public_calls_take_what_is_sparse(void **state)
{
    enum {
        PORTS = 100000,
    };
    static const char start[] = "{\"status\":{\"portStatus\":{\"ports\":[{},";
    static uint8_t data[2 * PORTS + 16];
    static Swkpb__PortConfig *ports[PORTS];
    Swkpb__Task task = SWKPB__TASK__INIT;
    Swkpb__TaskStatus status = SWKPB__TASK_STATUS__INIT;
    Swkpb__PortStatus port_status = SWKPB__PORT_STATUS__INIT;
    Swkpb__PortConfig port = SWKPB__PORT_CONFIG__INIT;
    struct swk_error err = {0};
    uint8_t *again = NULL;
    char *text = NULL;
    size_t again_len = 0;
    size_t len;
    int rc;

    (void)state;
    for (size_t i = 0; i < PORTS; i++) {
        ports[i] = &port;
    }
    port_status.ports = ports;
    port_status.n_ports = PORTS;
    status.port_status = &port_status;
    task.status = &status;
    len = protobuf_c_message_get_packed_size(&task.base);
    assert_in_range(len, 2 * PORTS, sizeof(data));
    protobuf_c_message_pack(&task.base, data);
    assert_int_equal(swk_message_to_json("docker.swarmkit.v1.Task", data, len,
                                         0, &text, &err),
                     0);
    assert_non_null(strstr(text, start));
    rc = swk_message_from_json("docker.swarmkit.v1.Task", text, strlen(text),
                               &again, &again_len, &err);
    if (rc != SWK_ENOTSUP) { /* else built without */
        assert_int_equal(rc, 0);
        assert_int_equal(again_len, len);
        assert_memory_equal(again, data, len);
    }
    swk_message_data_free(again, again_len);
    swk_message_json_free(text);
}

static void every_listed_type_is_known(void **state)
{
    uint32_t count = 0;

    (void)state;
    for (; swk_message_type_name(count) != NULL; count++) {
        char *text = NULL;

        assert_int_equal(swk_message_to_json(swk_message_type_name(count), NULL,
                                             0, 0, &text, NULL),
                         0);
        assert_string_equal(text, "{}");
        swk_message_json_free(text);
    }
    assert_true(count >= 10);
    assert_null(swk_message_type_name(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_left_out),
        cmocka_unit_test(names_enums_and_numbers_follow_the_mapping),
        cmocka_unit_test(maps_lists_and_indents),
        cmocka_unit_test(the_choice_of_a_oneof_shows_even_if_empty),
        cmocka_unit_test(strings_are_escaped_and_made_utf8),
        cmocka_unit_test(bytes_are_base_64),
        cmocka_unit_test(wrapped_scalars_are_bare),
        cmocka_unit_test(proto2_shows_what_is_set),
        cmocka_unit_test(reals_are_short_and_read_back),
        cmocka_unit_test(timestamps_are_rfc_3339),
        cmocka_unit_test(durations_are_seconds),
        cmocka_unit_test(times_show_as_text_unless_out_of_range),
        cmocka_unit_test(a_full_buffer_is_an_error_and_gets_nothing),
        cmocka_unit_test(the_public_call_takes_encoded_messages),
        cmocka_unit_test(the_public_call_refuses_misuse_and_damage),
        cmocka_unit_test(the_public_calls_take_what_is_sparse),
        cmocka_unit_test(every_listed_type_is_known),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
