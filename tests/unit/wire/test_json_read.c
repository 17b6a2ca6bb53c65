/* SPDX-License-Identifier: Apache-2.0 */

/* Messages out of JSON, and messages without their secrets. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include <swarmkit/message.h>

#include "base/rng.h"
#include "google/protobuf/wrappers.pb-c.h"
#include "objects.pb-c.h"
#include "raftpb/raft.pb-c.h"
#include "swarmkit/state.pb-c.h"
#include "wire/fields.h"
#include "wire/json.h"
#include "wire/json_read.h"
#include "wire/message.h"
#include "wire/redact.h"
#include "wire/rfc3339.h"

#define SECRET "hunter2-never-shown"

enum {
    FILL_DEPTH = 9,
    MEMORY = 64 << 20,
};

/* -- Messages full of everything ------------------------------------------ */

struct filler {
    struct swki_arena arena;
    struct swki_rng rng;
    unsigned texts; /* so far: keys of maps must differ */
};

static ProtobufCMessage *
fill(struct filler *f, const ProtobufCMessageDescriptor *type, unsigned depth);

static void fill_element(struct filler *f,
                         const ProtobufCFieldDescriptor *field, void *element,
                         unsigned depth)
{
    const ProtobufCEnumDescriptor *values = field->descriptor;
    ProtobufCBinaryData *bytes = element;

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)element = swki_arena_printf(&f->arena, "k=%s \"\xc3\xa9\" %u",
                                              SECRET, f->texts++);
        return;
    case PROTOBUF_C_TYPE_BYTES:
        bytes->len = strlen(SECRET);
        bytes->data = swki_arena_memdup(&f->arena, SECRET, bytes->len);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)element = fill(f, field->descriptor, depth + 1);
        return;
    case PROTOBUF_C_TYPE_ENUM:
        *(int *)element =
            values->values[swki_rng_below(&f->rng, values->n_values)].value;
        return;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)element = 1;
        return;
    case PROTOBUF_C_TYPE_FLOAT:
        *(float *)element = 0.1f;
        return;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)element = -1e300 / 3;
        return;
    default:
        swki_rng_fill(&f->rng, element, swki_type_size(field->type));
    }
}

static bool goes_deeper(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_MESSAGE;
}

static void fill_field(struct filler *f, ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field, unsigned depth)
{
    char *member = (char *)message + field->offset;
    char *quantifier = (char *)message + field->quantifier_offset;
    size_t size = swki_type_size(field->type);

    if (depth == FILL_DEPTH && goes_deeper(field)) {
        return;
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t count = 1 + (size_t)swki_rng_below(&f->rng, 2);
        char *array = swki_arena_calloc(&f->arena, count, size);

        assert_non_null(array);
        for (size_t i = 0; i < count; i++) {
            fill_element(f, field, array + i * size, depth);
        }
        *(void **)member = array;
        *(size_t *)quantifier = count;
        return;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        if (*(uint32_t *)quantifier != 0 && swki_rng_below(&f->rng, 2) == 0) {
            return;
        }
        *(uint32_t *)quantifier = field->id;
        memset(member, 0, size);
    } else if (field->label == PROTOBUF_C_LABEL_OPTIONAL &&
               field->type != PROTOBUF_C_TYPE_STRING && !goes_deeper(field)) {
        *(protobuf_c_boolean *)quantifier = 1;
    }
    fill_element(f, field, member, depth);
}

static ProtobufCMessage *
fill(struct filler *f, const ProtobufCMessageDescriptor *type, unsigned depth)
{
    ProtobufCMessage *message =
        swki_arena_alloc(&f->arena, type->sizeof_message);

    assert_non_null(message);
    protobuf_c_message_init(type, message);
    if (strcmp(type->name, "google.protobuf.Timestamp") == 0 ||
        strcmp(type->name, "google.protobuf.Duration") == 0) {
        Swkpb__Timestamp *time = (Swkpb__Timestamp *)message;

        time->seconds = (int64_t)swki_rng_below(&f->rng, 1u << 31);
        time->nanos = (int32_t)swki_rng_below(&f->rng, 1000) * 1000;
        return message;
    }
    for (unsigned i = 0; i < type->n_fields; i++) {
        fill_field(f, message, &type->fields[i], depth);
    }
    return message;
}

static void filler_init(struct filler *f, uint64_t seed)
{
    swki_arena_init(&f->arena, NULL, MEMORY);
    swki_rng_init(&f->rng, seed);
    f->texts = 0;
}

static const ProtobufCMessageDescriptor *const objects[] = {
    &swkpb__cluster__descriptor,    &swkpb__config__descriptor,
    &swkpb__extension__descriptor,  &swkpb__network__descriptor,
    &swkpb__node__descriptor,       &swkpb__resource__descriptor,
    &swkpb__secret__descriptor,     &swkpb__service__descriptor,
    &swkpb__task__descriptor,       &swkpb__volume__descriptor,
    &swkpb__rpc__state__descriptor, &swkpb__raft__conf_change_v2__descriptor,
};

enum {
    OBJECTS_COUNT = sizeof(objects) / sizeof(objects[0]),
    SEEDS = 5,
};

static void every_object_survives_the_way_to_json_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < OBJECTS_COUNT * SEEDS; i++) {
        const ProtobufCMessageDescriptor *type = objects[i % OBJECTS_COUNT];
        ProtobufCMessage *message;
        ProtobufCMessage *again;
        struct filler f;
        struct swk_error err;
        struct swki_buf text;

        filler_init(&f, i);
        swki_buf_init(&text, NULL, SIZE_MAX);
        message = fill(&f, type, 0);
        assert_int_equal(
            swki_message_to_json(message,
                                 i % 2 ? SWKI_JSON_COMPACT : SWKI_JSON_INDENTED,
                                 &text, NULL),
            0);
        if (swki_message_from_json(type, (const char *)text.data, text.len,
                                   &f.arena, &again, &err) != 0) {
            fail_msg("%s: %s", type->name, err.text);
        }
        assert_true(swki_message_equal(message, again));
        swki_buf_fini(&text);
        swki_arena_fini(&f.arena);
    }
}

/* -- Reading -------------------------------------------------------------- */

static int read_json(const ProtobufCMessageDescriptor *type, const char *text,
                     struct swki_arena *arena, void *out_message,
                     struct swk_error *err)
{
    ProtobufCMessage *message;
    int rc;

    swki_arena_init(arena, NULL, 1 << 20);
    rc = swki_message_from_json(type, text, strlen(text), arena, &message, err);
    if (rc == 0) {
        *(ProtobufCMessage **)out_message = message;
    }
    return rc;
}

static void names_of_the_schema_and_null_are_read_too(void **state)
{
    struct swki_arena arena;
    Swkpb__Task *task = NULL;

    (void)state;
    assert_int_equal(
        read_json(
            &swkpb__task__descriptor,
            " {\"service_id\" : \"s1\", \"slot\":7, \"status\":null,"
            " \"desiredState\":512, \"networks\":[],"
            "\"meta\":{\"createdAt\":\"2017-01-15T03:30:15.01+02:00\"}}\n",
            &arena, &task, NULL),
        0);
    assert_string_equal(task->service_id, "s1");
    assert_int_equal(task->slot, 7);
    assert_null(task->status);
    assert_int_equal(task->desired_state, SWKPB__TASK_STATE__RUNNING);
    assert_int_equal(task->n_networks, 0);
    assert_int_equal(task->meta->created_at->seconds, 1484443815);
    assert_int_equal(task->meta->created_at->nanos, 10000000);
    swki_arena_fini(&arena);
}

static void maps_come_out_sorted(void **state)
{
    struct swki_arena arena;
    Swkpb__Annotations *annotations = NULL;

    (void)state;
    assert_int_equal(read_json(&swkpb__annotations__descriptor,
                               "{\"labels\":{\"b\":\"2\",\"a\":\"1\"}}", &arena,
                               &annotations, NULL),
                     0);
    assert_int_equal(annotations->n_labels, 2);
    assert_string_equal(annotations->labels[0]->key, "a");
    assert_string_equal(annotations->labels[1]->value, "2");
    swki_arena_fini(&arena);
}

static void the_schema_and_nothing_else_is_read(void **state)
{
    static const struct {
        const char *why;
        const char *text;
        const char *place; /* what the message names */
    } cases[] = {
        {"no JSON", "", ""},
        {"cut short", "{\"id\":\"a\"", ""},
        {"something behind it", "{} x", ""},
        {"no object", "[]", ""},
        {"unknown field", "{\"spec\":{\"contianer\":{}}}", "spec.contianer"},
        {"twice", "{\"id\":\"a\",\"id\":\"b\"}", "id"},
        {"twice by two names", "{\"serviceId\":\"a\",\"service_id\":\"b\"}",
         "service_id"},
        {"a key twice",
         "{\"annotations\":{\"labels\":{\"a\":\"\",\"a\":\"\"}}}",
         "annotations.labels"},
        {"two of a oneof", "{\"spec\":{\"container\":{},\"generic\":{}}}",
         "spec.generic"},
        {"number for text", "{\"id\":1}", "id"},
        {"null in a list", "{\"networks\":[null]}", "networks[0]"},
        {"no list", "{\"networks\":{}}", "networks"},
        {"no map", "{\"annotations\":{\"labels\":[]}}", "annotations.labels"},
        {"fraction", "{\"slot\":1.5}", "slot"},
        {"negative", "{\"slot\":\"-1\"}", "slot"},
        {"too large", "{\"slot\":\"18446744073709551616\"}", "slot"},
        {"not exact", "{\"slot\":9007199254740994}", "slot"},
        {"empty number", "{\"slot\":\"\"}", "slot"},
        {"hexadecimal", "{\"slot\":\"0x10\"}", "slot"},
        {"unknown state", "{\"desiredState\":\"FLYING\"}", "desiredState"},
        {"state out of range", "{\"desiredState\":4294967296}", "desiredState"},
        {"text for a truth", "{\"spec\":{\"container\":{\"tty\":\"true\"}}}",
         "spec.container.tty"},
        {"no time", "{\"meta\":{\"createdAt\":\"yesterday\"}}",
         "meta.createdAt"},
        {"a NUL in text", "{\"id\":\"a\\u0000b\"}", "byte 6"},
        {"a line end in text", "{\"id\":\"a\nb\"}", "byte 6"},
        {"no UTF-8", "{\"id\":\"\xff\"}", "id"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Swkpb__Task *task = NULL;
        struct swki_arena arena;
        struct swk_error err = {0};
        int rc = read_json(&swkpb__task__descriptor, cases[i].text, &arena,
                           &task, &err);

        if (rc != SWK_EMALFORMED || strstr(err.text, cases[i].place) == NULL) {
            fail_msg("%s: got %d, %s", cases[i].why, rc, err.text);
        }
        swki_arena_fini(&arena);
    }
}

static void bytes_are_strict_base_64(void **state)
{
    static const char *const bad[] = {"{\"data\":\"+/+/AA=\"}",
                                      "{\"data\":\"-_-_AA==\"}",
                                      "{\"data\":\"AB==\"}", "{\"data\":[]}"};
    struct swki_arena arena;
    Swkpb__SecretSpec *spec = NULL;

    (void)state;
    assert_int_equal(read_json(&swkpb__secret_spec__descriptor,
                               "{\"data\":\"+/+/AA==\"}", &arena, &spec, NULL),
                     0);
    assert_int_equal(spec->data.len, 4);
    assert_memory_equal(spec->data.data, "\xfb\xff\xbf\x00", 4);
    swki_arena_fini(&arena);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(read_json(&swkpb__secret_spec__descriptor, bad[i],
                                   &arena, &spec, NULL),
                         SWK_EMALFORMED);
        swki_arena_fini(&arena);
    }
}

/* count times open, then as often close. */
static int read_nested(size_t count)
{
    Swkpb__Task *task = NULL;
    struct swki_arena arena;
    char *text = malloc(2 * count + 16);
    int rc;

    assert_non_null(text);
    memcpy(text, "{\"id\":", 6);
    memset(text + 6, '[', count);
    memset(text + 6 + count, ']', count);
    memcpy(text + 6 + 2 * count, "}", 2);
    rc = read_json(&swkpb__task__descriptor, text, &arena, &task, NULL);
    swki_arena_fini(&arena);
    free(text);
    return rc;
}

static void depth_and_memory_are_bounded(void **state)
{
    struct swki_arena arena;
    ProtobufCMessage *message;
    struct swk_error err;
    char text[4096] = "{\"networks\":[{}";
    size_t len = strlen(text);

    (void)state;
    assert_int_equal(read_nested(SWKI_JSON_NESTING_MAX - 1), SWK_EMALFORMED);
    assert_int_equal(read_nested(SWKI_JSON_NESTING_MAX), SWK_ELIMIT);
    assert_int_equal(read_nested(1000000), SWK_ELIMIT);
    for (; len < sizeof(text) - 8; len += 3) {
        memcpy(text + len, ",{}", 3);
    }
    memcpy(text + len, "]}", 2);
    swki_arena_init(&arena, NULL, 4096);
    assert_int_equal(swki_message_from_json(&swkpb__task__descriptor, text,
                                            len + 2, &arena, &message, &err),
                     SWK_ELIMIT);
    swki_arena_fini(&arena);
}

static void times_are_read_as_they_are_written(void **state)
{
    static const int64_t times[] = {SWKI_TIMESTAMP_SECONDS_MIN,
                                    SWKI_TIMESTAMP_SECONDS_MAX,
                                    0,
                                    -1,
                                    951782400, /* 2000-02-29 */
                                    4107542399 /* the end of 2100-02-28 */};
    static const char *const bad[] = {
        "",
        "2017-01-15",
        "2017-02-29T00:00:00Z",
        "2017-01-15T24:00:00Z",
        "2017-01-15T00:00:00",
        "2017-01-15T00:00:00.Z",
        "2017-01-15T00:00:00Zx",
        "2017-01-15T00:00:00.0000000001Z",
        "0001-01-01T00:00:00+00:01",
    };
    char text[SWKI_RFC3339_SIZE];
    int64_t seconds = 7;
    int32_t nanos;

    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        assert_true(swki_rfc3339_timestamp(times[i], 1000, text));
        assert_true(swki_rfc3339_read_timestamp(text, &seconds, &nanos));
        assert_int_equal(seconds, times[i]);
        assert_int_equal(nanos, 1000);
    }
    seconds = 7;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(swki_rfc3339_read_timestamp(bad[i], &seconds, &nanos));
        assert_int_equal(seconds, 7);
    }
}

static void durations_are_read_as_they_are_written(void **state)
{
    static const char *const bad[] = {
        "", "s", "1", "1.s", "-s", "1m", "1.5 s", "1.0sx", "9999999999999s"};
    char text[SWKI_RFC3339_SIZE];
    int64_t seconds;
    int32_t nanos;

    (void)state;
    assert_true(swki_rfc3339_duration(-3, -500000000, text));
    assert_true(swki_rfc3339_read_duration(text, &seconds, &nanos));
    assert_int_equal(seconds, -3);
    assert_int_equal(nanos, -500000000);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(swki_rfc3339_read_duration(bad[i], &seconds, &nanos));
    }
}

static void the_public_call_gives_encoded_messages(void **state)
{
    static const char text[] = "{\"id\":\"c1\",\"spec\":{\"data\":\"eA==\"}}";
    static const char type[] = "docker.swarmkit.v1.Config";
    uint8_t *data = NULL;
    size_t len = 0;
    char *again;

    (void)state;
    assert_int_equal(
        swk_message_from_json(type, text, strlen(text), &data, &len, NULL), 0);
    assert_int_equal(swk_message_to_json(type, data, len, 0, &again, NULL), 0);
    assert_string_equal(again, text);
    swk_message_json_free(again);
    swk_message_data_free(data, len);
    swk_message_data_free(NULL, 0);
    assert_int_equal(swk_message_from_json(type, "{}", 2, &data, &len, NULL),
                     0);
    assert_int_equal(len, 0);
    assert_non_null(data);
    swk_message_data_free(data, len);
    assert_int_equal(
        swk_message_from_json("Config", "{}", 2, &data, &len, NULL),
        SWK_ENOTFOUND);
    assert_int_equal(swk_message_from_json(type, NULL, 0, &data, &len, NULL),
                     SWK_EINVAL);
}

/* -- Redaction ------------------------------------------------------------ */

/* The fields that the rules name, filled, and all else left empty. */
static void fill_secrets(struct filler *f, Swkpb__Cluster *cluster,
                         Swkpb__Service *service, Swkpb__Secret *secret,
                         Swkpb__Config *config)
{
    *secret = *(Swkpb__Secret *)fill(f, &swkpb__secret__descriptor, 0);
    *config = *(Swkpb__Config *)fill(f, &swkpb__config__descriptor, 0);
    *service = *(Swkpb__Service *)fill(f, &swkpb__service__descriptor, 0);
    *cluster = *(Swkpb__Cluster *)fill(f, &swkpb__cluster__descriptor, 0);
}

/* Whether the message's JSON holds the text, or its bytes as base 64. */
static bool shows(const ProtobufCMessage *message, const char *text)
{
    struct swki_buf json;
    bool found;

    swki_buf_init(&json, NULL, SIZE_MAX);
    assert_int_equal(
        swki_message_to_json(message, SWKI_JSON_COMPACT, &json, NULL), 0);
    assert_true(swki_buf_append_byte(&json, '\0'));
    found = strstr((const char *)json.data, text) != NULL;
    swki_buf_fini(&json);
    return found;
}

static void no_secret_survives_redaction(void **state)
{
    Swkpb__Cluster cluster;
    Swkpb__Service service;
    Swkpb__Secret secret;
    Swkpb__Config config;
    Swkpb__ContainerSpec *container;
    struct filler f;

    (void)state;
    filler_init(&f, 1);
    fill_secrets(&f, &cluster, &service, &secret, &config);
    service.spec->task->runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    container =
        (Swkpb__ContainerSpec *)fill(&f, &swkpb__container_spec__descriptor, 2);
    service.spec->task->container = container;
    assert_true(swki_message_redact(&cluster.base, &f.arena));
    assert_true(swki_message_redact(&service.base, &f.arena));
    assert_true(swki_message_redact(&secret.base, &f.arena));
    assert_true(swki_message_redact(&config.base, &f.arena));

    assert_memory_equal(secret.spec->data.data, "<redacted>", 10);
    assert_memory_equal(config.spec->data.data, "<redacted>", 10);
    assert_string_equal(container->env[0], "k=<redacted>");
    assert_string_equal(container->pull_options->registry_auth, "<redacted>");
    assert_string_equal(cluster.root_ca->join_tokens->worker, "<redacted>");
    assert_string_equal(cluster.root_ca->join_tokens->manager, "<redacted>");
    assert_memory_equal(
        cluster.root_ca->join_tokens->limited[0]->secret_hash.data,
        "<redacted>", 10);
    assert_memory_equal(cluster.root_ca->ca_key.data, "<redacted>", 10);
    assert_memory_equal(cluster.root_ca->root_rotation->ca_key.data,
                        "<redacted>", 10);
    assert_memory_equal(cluster.unlock_keys[0]->key.data, "<redacted>", 10);
    assert_memory_equal(cluster.network_bootstrap_keys[0]->key.data,
                        "<redacted>", 10);
    assert_false(shows(&cluster.spec->ca_config->base, "aHVudGVyMi1"));
    assert_string_equal(cluster.spec->ca_config->external_cas[0]->url,
                        "<redacted>");
    assert_string_equal(
        cluster.spec->ca_config->external_cas[0]->options[0]->value,
        "<redacted>");
    assert_string_equal(service.spec->task->log_driver->options[0]->value,
                        "<redacted>");
    /* What identifies things stays. */
    assert_true(shows(&service.spec->annotations->base, SECRET));
    assert_memory_equal(cluster.root_ca->ca_cert.data, SECRET, strlen(SECRET));
    swki_arena_fini(&f.arena);
}

static void a_state_says_that_it_is_redacted(void **state)
{
    static const char type[] = "swarmkit.v1.State";
    static const char text[] =
        "{\"format\":1,\"store\":{\"secrets\":[{\"id\":\"s\",\"spec\":"
        "{\"data\":\"aHVudGVyMg==\"}}],\"networks\":[{\"id\":\"n\","
        "\"driverState\":{\"options\":{\"vni\":\"4097\"}}}]}}";
    uint8_t *data;
    size_t len;
    char *shown;

    (void)state;
    assert_int_equal(
        swk_message_from_json(type, text, strlen(text), &data, &len, NULL), 0);
    assert_int_equal(
        swk_message_to_json(type, data, len, SWK_JSON_REDACTED, &shown, NULL),
        0);
    assert_null(strstr(shown, "aHVudGVyMg=="));
    assert_non_null(strstr(shown, "\"redacted\":true"));
    assert_non_null(strstr(shown, "\"vni\":\"4097\""));
    swk_message_json_free(shown);
    swk_message_data_free(data, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_object_survives_the_way_to_json_and_back),
        cmocka_unit_test(names_of_the_schema_and_null_are_read_too),
        cmocka_unit_test(maps_come_out_sorted),
        cmocka_unit_test(the_schema_and_nothing_else_is_read),
        cmocka_unit_test(bytes_are_strict_base_64),
        cmocka_unit_test(depth_and_memory_are_bounded),
        cmocka_unit_test(times_are_read_as_they_are_written),
        cmocka_unit_test(durations_are_read_as_they_are_written),
        cmocka_unit_test(the_public_call_gives_encoded_messages),
        cmocka_unit_test(no_secret_survives_redaction),
        cmocka_unit_test(a_state_says_that_it_is_redacted),
    };

    return cmocka_run_group_tests_name("json_read", tests, NULL, NULL);
}
