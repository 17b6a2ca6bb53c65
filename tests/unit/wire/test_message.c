/* SPDX-License-Identifier: Apache-2.0 */

/* Messages through descriptors: what is accepted, kept, copied and equal. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "objects.pb-c.h"
#include "raftpb/raft.pb-c.h"
#include "wire/json_read.h"
#include "wire/message.h"

enum {
    NO_LIMIT = 1 << 20,
};

struct f {
    struct swki_arena arena;
    struct swki_buf buf;
    struct swk_error err;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    swki_arena_init(&f->arena, NULL, NO_LIMIT);
    swki_buf_init(&f->buf, NULL, NO_LIMIT);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_arena_fini(&f->arena);
    swki_buf_fini(&f->buf);
    free(f);
    return 0;
}

static int unpack(struct f *f, const ProtobufCMessageDescriptor *type,
                  const void *data, size_t len, void *out_message)
{
    ProtobufCMessage *message = NULL;
    int rc = swki_message_unpack(type, data, len, &f->arena, &message, &f->err);

    memcpy(out_message, &message, sizeof(message));
    return rc;
}

static void *packed(struct f *f, const ProtobufCMessage *message)
{
    swki_buf_clear(&f->buf);
    assert_int_equal(swki_message_pack(message, &f->buf, &f->err), 0);
    assert_int_equal(f->buf.len, swki_message_packed_size(message));
    return f->buf.data;
}

/* Encodes and decodes again. */
static void *round_trip(struct f *f, const ProtobufCMessage *message)
{
    void *again;

    packed(f, message);
    assert_int_equal(
        unpack(f, message->descriptor, f->buf.data, f->buf.len, &again), 0);
    return again;
}

/* A task with a bit of every kind: scalars, oneof, map, lists, bytes. */
static Swkpb__Task *make_task(struct f *f)
{
    static Swkpb__Annotations__LabelsEntry labels[2];
    static Swkpb__Annotations__LabelsEntry *label_list[] = {&labels[0],
                                                            &labels[1]};
    static char *commands[] = {(char *)"sleep", (char *)""};
    static Swkpb__Annotations annotations;
    static Swkpb__ContainerSpec container;
    static Swkpb__TaskSpec spec;
    static Swkpb__TaskStatus status;
    Swkpb__Task *task = swki_arena_alloc(&f->arena, sizeof(*task));

    swkpb__annotations__labels_entry__init(&labels[0]);
    swkpb__annotations__labels_entry__init(&labels[1]);
    labels[0].key = (char *)"zone";
    labels[0].value = (char *)"b";
    labels[1].key = (char *)"arch";
    labels[1].value = (char *)"riscv";
    swkpb__annotations__init(&annotations);
    annotations.name = (char *)"web";
    annotations.labels = label_list;
    annotations.n_labels = 2;
    swkpb__container_spec__init(&container);
    container.image = (char *)"nginx";
    container.command = commands;
    container.n_command = 2;
    swkpb__task_spec__init(&spec);
    spec.runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    spec.container = &container;
    swkpb__task_status__init(&status);
    status.state = SWKPB__TASK_STATE__RUNNING;
    swkpb__task__init(task);
    task->id = (char *)"task1";
    task->slot = 3;
    task->annotations = &annotations;
    task->spec = &spec;
    task->status = &status;
    return task;
}

static void unpack_gives_back_what_pack_was_given(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = make_task(f);
    Swkpb__Task *again = round_trip(f, &task->base);

    assert_true(swki_message_equal(&task->base, &again->base));
    assert_string_equal(again->spec->container->command[0], "sleep");
    assert_string_equal(again->spec->container->command[1], "");
    assert_int_equal(again->slot, 3);
}

static void unpack_refuses_every_truncation_but_those_at_a_field(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = make_task(f);
    int refused = 0;

    packed(f, &task->base);
    for (size_t len = 0; len < f->buf.len; len++) {
        Swkpb__Task *part;
        int rc = unpack(f, &swkpb__task__descriptor, f->buf.data, len, &part);

        if (rc == 0) {
            assert_false(swki_message_equal(&part->base, &task->base));
            continue;
        }
        assert_int_equal(rc, SWK_EMALFORMED);
        assert_non_null(strstr(f->err.text, "docker.swarmkit.v1.Task"));
        refused++;
    }
    assert_true(refused > 50);
}

static void unpack_refuses_damage(void **state)
{
    static const struct {
        const char *why;
        const char *data;
        size_t len;
        int rc;
    } cases[] = {
        /* Annotations.name is field 1, indices (sub-messages) field 4. */
        {"NUL in a string",
         "\x0a\x03"
         "a\0b",
         5, SWK_EMALFORMED},
        {"NUL at the end of a string",
         "\x0a\x02"
         "a\0",
         4, SWK_EMALFORMED},
        {"no UTF-8", "\x0a\x01\xff", 3, SWK_EMALFORMED},
        {"character cut short",
         "\x0a\x02"
         "a\xc3",
         4, SWK_EMALFORMED},
        {"long form of a slash", "\x0a\x02\xc0\xaf", 4, SWK_EMALFORMED},
        {"surrogate", "\x0a\x03\xed\xa0\x80", 5, SWK_EMALFORMED},
        {"past the last character", "\x0a\x04\xf4\x90\x80\x80", 6,
         SWK_EMALFORMED},
        {"no UTF-8 in a sub-message", "\x22\x03\x0a\x01\xff", 5,
         SWK_EMALFORMED},
        {"no UTF-8 in a map's key", "\x12\x03\x0a\x01\xff", 5, SWK_EMALFORMED},
        {"field number 0", "\x02\x00", 2, SWK_EMALFORMED},
        {"field number past the last", "\x80\x80\x80\x80\x10\x00", 6,
         SWK_EMALFORMED},
        {"start of a group", "\x0b", 1, SWK_EMALFORMED},
        {"wire type 7", "\x0f\x00", 2, SWK_EMALFORMED},
        {"string as a number", "\x08\x01", 2, SWK_EMALFORMED},
        {"sub-message as a number", "\x20\x01", 2, SWK_EMALFORMED},
        {"longer than the message",
         "\x0a\x05"
         "a",
         3, SWK_EMALFORMED},
        {"length of ten bytes", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
         11, SWK_EMALFORMED},
        {"number without an end",
         "\x98\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13,
         SWK_EMALFORMED},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        void *message;
        int rc = unpack(f, &swkpb__annotations__descriptor, cases[i].data,
                        cases[i].len, &message);

        if (rc != cases[i].rc || message != NULL) {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
    }
}

static void unpack_accepts_what_only_looks_odd(void **state)
{
    static const struct {
        const char *why;
        const char *data;
        size_t len;
        const char *name;
    } cases[] = {
        {"nothing", "", 0, ""},
        {"four-byte character", "\x0a\x04\xf0\x9f\x90\xb3", 6,
         "\xf0\x9f\x90\xb3"},
        {"length written long",
         "\x0a\x81\x00"
         "a",
         4, "a"},
        {"the last of two counts",
         "\x0a\x01"
         "a\x0a\x01"
         "b",
         6, "b"},
        {"NUL in an unknown field",
         "\x9a\x06\x01\x00\x0a\x01"
         "a",
         7, "a"},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Swkpb__Annotations *annotations;
        int rc = unpack(f, &swkpb__annotations__descriptor, cases[i].data,
                        cases[i].len, &annotations);

        if (rc != 0 || strcmp(annotations->name, cases[i].name) != 0) {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
    }
}

static void unpack_sorts_maps_and_keeps_the_last_of_equal_keys(void **state)
{
    static const char data[] = "\x12\x06\x0a\x01"
                               "b\x12\x01"
                               "1"
                               "\x12\x06\x0a\x01"
                               "c\x12\x01"
                               "2"
                               "\x12\x06\x0a\x01"
                               "b\x12\x01"
                               "3"
                               "\x12\x06\x0a\x01"
                               "a\x12\x01"
                               "4"
                               "\x12\x06\x0a\x01"
                               "b\x12\x01"
                               "5"
                               "\x12\x03\x12\x01"
                               "6";
    struct f *f = *state;
    Swkpb__Annotations *a;

    assert_int_equal(
        unpack(f, &swkpb__annotations__descriptor, data, sizeof(data) - 1, &a),
        0);
    assert_int_equal(a->n_labels, 4);
    assert_string_equal(a->labels[0]->key, "");
    assert_string_equal(a->labels[0]->value, "6");
    assert_string_equal(a->labels[1]->key, "a");
    assert_string_equal(a->labels[2]->key, "b");
    assert_string_equal(a->labels[2]->value, "5");
    assert_string_equal(a->labels[3]->key, "c");
}

static void unpack_sorts_large_maps(void **state)
{
    enum { COUNT = 1000 };
    struct f *f = *state;
    Swkpb__Annotations a = SWKPB__ANNOTATIONS__INIT;
    Swkpb__Annotations *again;

    a.labels = swki_arena_calloc(&f->arena, COUNT, sizeof(*a.labels));
    a.n_labels = COUNT;
    for (int i = 0; i < COUNT; i++) {
        a.labels[i] = swki_arena_alloc(&f->arena, sizeof(**a.labels));
        swkpb__annotations__labels_entry__init(a.labels[i]);
        /* 389 and 1000 have no common factor: every number, mixed up. */
        a.labels[i]->key =
            swki_arena_printf(&f->arena, "%03d", i * 389 % COUNT);
    }
    again = round_trip(f, &a.base);
    assert_int_equal(again->n_labels, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(atoi(again->labels[i]->key), i);
    }
    assert_true(swki_message_equal(&a.base, &again->base));
}

static void unpack_leaves_lists_that_are_no_maps_in_their_order(void **state)
{
    /* IndexEntry has a key too. */
    static const char data[] = "\x22\x03\x0a\x01"
                               "b"
                               "\x22\x03\x0a\x01"
                               "a"
                               "\x22\x03\x0a\x01"
                               "b";
    struct f *f = *state;
    Swkpb__Annotations *a;

    assert_int_equal(
        unpack(f, &swkpb__annotations__descriptor, data, sizeof(data) - 1, &a),
        0);
    assert_int_equal(a->n_indices, 3);
    assert_string_equal(a->indices[0]->key, "b");
}

static void unpack_gives_a_map_entry_its_message_value(void **state)
{
    /* Cluster.blacklisted_certificates, field 8, an entry with a key alone */
    static const char data[] = "\x42\x03\x0a\x01"
                               "n";
    struct f *f = *state;
    Swkpb__Cluster *cluster;

    assert_int_equal(unpack(f, &swkpb__cluster__descriptor, data,
                            sizeof(data) - 1, &cluster),
                     0);
    assert_non_null(cluster->blacklisted_certificates[0]->value);
    assert_null(cluster->blacklisted_certificates[0]->value->expiry);
}

static void unpack_keeps_unknown_fields_and_enum_values(void **state)
{
    /* state 9999, then field 1000 with "xy" */
    static const char data[] = "\x10\x8f\x4e\xc2\x3e\x02xy";
    struct f *f = *state;
    Swkpb__TaskStatus *status;

    assert_int_equal(unpack(f, &swkpb__task_status__descriptor, data,
                            sizeof(data) - 1, &status),
                     0);
    assert_int_equal(status->state, 9999);
    assert_int_equal(status->base.n_unknown_fields, 1);
    packed(f, &status->base);
    assert_int_equal(f->buf.len, sizeof(data) - 1);
    assert_memory_equal(f->buf.data, data, sizeof(data) - 1);
}

static void unknown_fields_are_dropped_at_any_depth(void **state)
{
    /* Field 1000 with "xy": of the status, its container, its ports and one
     * port, whose target is 80. */
    static const char data[] = "\xc2\x3e\x02xy"
                               "\x2a\x05\xc2\x3e\x02xy"
                               "\x32\x0e\xc2\x3e\x02xy"
                               "\x0a\x07\xc2\x3e\x02xy\x18\x50";
    struct f *f = *state;
    Swkpb__TaskStatus *status;

    assert_int_equal(unpack(f, &swkpb__task_status__descriptor, data,
                            sizeof(data) - 1, &status),
                     0);
    assert_int_equal(status->port_status->ports[0]->base.n_unknown_fields, 1);
    swki_message_drop_unknown(&status->base);
    packed(f, &status->base);
    assert_int_equal(f->buf.len, 8);
    assert_memory_equal(f->buf.data, "\x2a\x00\x32\x04\x0a\x02\x18\x50", 8);
}

static void parts_are_messages_and_entries_of_lists(void **state)
{
    /* An engine with two labels and a plugin; generic resources, of which one
     * has a name; two allowed images. */
    static const char json[] =
        "{\"hostname\":\"h\",\"engine\":{\"labels\":{\"a\":\"1\",\"b\":\"\"},"
        "\"plugins\":[{}]},\"resources\":{\"generic\":[{},"
        "{\"namedResourceSpec\":{}}]},"
        "\"consent\":{\"images\":{\"allow\":[\"x\",\"y\"]}}}";
    struct f *f = *state;
    ProtobufCMessage *message;
    int rc = swki_message_from_json(&swkpb__node_description__descriptor, json,
                                    sizeof(json) - 1, &f->arena, &message,
                                    &f->err);

    if (rc == SWK_ENOTSUP) {
        skip();
    }
    assert_int_equal(rc, 0);
    assert_int_equal(swki_message_parts(message), 12);
}

static void unpack_stops_at_the_arenas_limit(void **state)
{
    struct f *f = *state;
    char bomb[2000];
    void *message;

    for (size_t i = 0; i < sizeof(bomb); i += 2) {
        memcpy(bomb + i, "\x22\x00", 2); /* an empty Annotations.indices */
    }
    swki_arena_fini(&f->arena);
    swki_arena_init(&f->arena, NULL, sizeof(bomb) * 8);
    assert_int_equal(unpack(f, &swkpb__annotations__descriptor, bomb,
                            sizeof(bomb), &message),
                     SWK_ELIMIT);
    assert_non_null(strstr(f->err.text, "docker.swarmkit.v1.Annotations"));
    assert_true(f->arena.used <= sizeof(bomb) * 8);
}

/* A heap that gives so many times and then no more. */
static void *rationed_alloc(void *ctx, size_t size)
{
    int *left = ctx;

    return (*left)-- > 0 ? malloc(size) : NULL;
}

static void *rationed_realloc(void *ctx, void *ptr, size_t size)
{
    int *left = ctx;

    return (*left)-- > 0 ? realloc(ptr, size) : NULL;
}

static void rationed_free(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

static void unpack_and_pack_survive_any_want_of_memory(void **state)
{
    int left = 0;
    const struct swk_alloc heap = {sizeof(heap), &left, rationed_alloc,
                                   rationed_realloc, rationed_free};
    struct f *f = *state;
    Swkpb__Task *task = make_task(f);
    int refused = 0;
    int rc = SWK_ENOMEM;

    packed(f, &task->base);
    for (int n = 0; rc == SWK_ENOMEM; n++) {
        ProtobufCMessage *again;
        struct swki_arena arena;
        struct swki_buf buf;

        left = n;
        swki_arena_init(&arena, &heap, NO_LIMIT);
        swki_buf_init(&buf, &heap, NO_LIMIT);
        rc = swki_message_unpack(&swkpb__task__descriptor, f->buf.data,
                                 f->buf.len, &arena, &again, NULL);
        if (rc == SWK_OK) {
            rc = swki_message_pack(again, &buf, NULL);
        }
        refused += rc == SWK_ENOMEM;
        swki_buf_fini(&buf);
        swki_arena_fini(&arena);
    }
    assert_int_equal(rc, SWK_OK);
    assert_true(refused > 2);
}

static void unpack_refuses_more_than_it_can_count(void **state)
{
    struct f *f = *state;
    void *message;

    assert_int_equal(unpack(f, &swkpb__task__descriptor, "",
                            (size_t)SWKI_MESSAGE_SIZE_MAX + 1, &message),
                     SWK_ELIMIT);
}

/* A message whose field 1 is such a message again; the schema has none. */
struct chain {
    ProtobufCMessage base;
    struct chain *next;
};

extern const ProtobufCMessageDescriptor chain_descriptor;

static void chain_init(ProtobufCMessage *message)
{
    struct chain empty = {.base = PROTOBUF_C_MESSAGE_INIT(&chain_descriptor)};

    memcpy(message, &empty, sizeof(empty));
}

static const ProtobufCFieldDescriptor chain_fields[] = {{
    .name = "next",
    .id = 1,
    .label = PROTOBUF_C_LABEL_NONE,
    .type = PROTOBUF_C_TYPE_MESSAGE,
    .offset = offsetof(struct chain, next),
    .descriptor = &chain_descriptor,
}};
static const unsigned chain_by_name[] = {0};
static const ProtobufCIntRange chain_ranges[] = {{1, 0}, {0, 1}};

const ProtobufCMessageDescriptor chain_descriptor = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "Chain",
    .short_name = "Chain",
    .sizeof_message = sizeof(struct chain),
    .n_fields = 1,
    .fields = chain_fields,
    .fields_sorted_by_name = chain_by_name,
    .n_field_ranges = 1,
    .field_ranges = chain_ranges,
    .message_init = chain_init,
};

/* Writes a chain of that many messages below the outermost. */
static size_t make_chain(uint8_t *data, int links)
{
    size_t len = 0;

    for (int i = 0; i < links; i++) {
        memmove(data + 2, data, len);
        data[0] = 0x0a;
        data[1] = (uint8_t)len;
        len += 2;
    }
    return len;
}

static void unpack_bounds_the_depth(void **state)
{
    struct f *f = *state;
    uint8_t data[256];
    void *message;
    size_t len = make_chain(data, SWKI_MESSAGE_DEPTH_MAX - 1);

    assert_int_equal(unpack(f, &chain_descriptor, data, len, &message), 0);
    len = make_chain(data, SWKI_MESSAGE_DEPTH_MAX);
    assert_int_equal(unpack(f, &chain_descriptor, data, len, &message),
                     SWK_ELIMIT);
}

static void pack_refuses_what_does_not_fit(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = make_task(f);

    f->buf.limit = swki_message_packed_size(&task->base) - 1;
    assert_int_equal(swki_message_pack(&task->base, &f->buf, &f->err),
                     SWK_ELIMIT);
    assert_int_equal(f->buf.len, 0);
    assert_true(f->buf.failed);
}

static void copy_shares_nothing_with_the_original(void **state)
{
    struct f *f = *state;
    struct swki_arena other;
    Swkpb__Task *task;
    Swkpb__Task *copy;
    Swkpb__Task *reference = make_task(f);

    swki_arena_init(&other, NULL, NO_LIMIT);
    packed(f, &reference->base);
    assert_int_equal(swki_message_unpack(&swkpb__task__descriptor, f->buf.data,
                                         f->buf.len, &other,
                                         (ProtobufCMessage **)&task, NULL),
                     0);
    copy = (Swkpb__Task *)swki_message_copy(&task->base, &f->arena);
    assert_non_null(copy);
    assert_true(swki_message_equal(&task->base, &copy->base));
    swki_arena_fini(&other); /* the sanitizers see to it */
    assert_true(swki_message_equal(&reference->base, &copy->base));
}

static void copy_keeps_unknown_fields(void **state)
{
    static const char data[] = "\xc2\x3e\x02xy";
    struct f *f = *state;
    Swkpb__TaskStatus *status;
    ProtobufCMessage *copy;

    assert_int_equal(unpack(f, &swkpb__task_status__descriptor, data,
                            sizeof(data) - 1, &status),
                     0);
    copy = swki_message_copy(&status->base, &f->arena);
    assert_true(swki_message_equal(&status->base, copy));
    status->base.unknown_fields[0].data[1] = '?';
    assert_false(swki_message_equal(&status->base, copy));
}

static void an_empty_string_stays_the_choice_of_a_oneof(void **state)
{
    static const char data[] = "\x0a\x00"; /* CredentialSpec.file */
    struct f *f = *state;
    Swkpb__Privileges__CredentialSpec *spec;
    ProtobufCMessage *copy;

    assert_int_equal(unpack(f, &swkpb__privileges__credential_spec__descriptor,
                            data, sizeof(data) - 1, &spec),
                     0);
    assert_int_equal(spec->source_case,
                     SWKPB__PRIVILEGES__CREDENTIAL_SPEC__SOURCE_FILE);
    copy = swki_message_copy(&spec->base, &f->arena);
    assert_int_equal(swki_message_packed_size(copy), sizeof(data) - 1);
    assert_true(swki_message_equal(&spec->base, copy));
}

static void copy_without_memory_gives_null(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = make_task(f);
    ProtobufCMessage *copy = NULL;
    size_t limit = 0;

    for (; copy == NULL; limit += 16) {
        struct swki_arena small;

        swki_arena_init(&small, NULL, limit);
        copy = swki_message_copy(&task->base, &small);
        if (copy != NULL) {
            assert_true(swki_message_equal(&task->base, copy));
        }
        swki_arena_fini(&small);
    }
    assert_true(limit > 500);
}

static void equal_sees_every_difference(void **state)
{
    struct f *f = *state;
    Swkpb__Task *a = make_task(f);
    Swkpb__Task *b = round_trip(f, &a->base);

    b->slot++;
    assert_false(swki_message_equal(&a->base, &b->base));
    b->slot--;
    b->id = (char *)"task2";
    assert_false(swki_message_equal(&a->base, &b->base));
    b->id = a->id;
    b->spec->container->command[1] = (char *)"9";
    assert_false(swki_message_equal(&a->base, &b->base));
    b->spec->container->command[1] = NULL; /* as good as "" */
    assert_true(swki_message_equal(&a->base, &b->base));
    b->spec->container->n_command = 1;
    assert_false(swki_message_equal(&a->base, &b->base));
    b->spec->container->n_command = 2;
    b->spec->runtime_case = SWKPB__TASK_SPEC__RUNTIME__NOT_SET;
    assert_false(swki_message_equal(&a->base, &b->base));
    b->spec = a->spec;
    assert_true(swki_message_equal(&a->base, &b->base));
}

static void equal_tells_absent_from_empty_messages(void **state)
{
    struct f *f = *state;
    Swkpb__Task *a = make_task(f);
    Swkpb__Task *b = round_trip(f, &a->base);
    Swkpb__Version version = SWKPB__VERSION__INIT;

    b->spec_version = &version;
    assert_false(swki_message_equal(&a->base, &b->base));
    assert_false(swki_message_equal(&b->base, &a->base));
    assert_false(swki_message_equal(&a->base, NULL));
    assert_true(swki_message_equal(NULL, NULL));
}

static void equal_ignores_the_order_of_maps_only(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = make_task(f);
    Swkpb__Annotations *a = task->annotations;
    Swkpb__Annotations *b =
        (Swkpb__Annotations *)swki_message_copy(&a->base, &f->arena);
    Swkpb__Annotations__LabelsEntry *first = b->labels[0];

    b->labels[0] = b->labels[1];
    b->labels[1] = first;
    assert_true(swki_message_equal(&a->base, &b->base));
    b->labels[0]->value = (char *)"other";
    assert_false(swki_message_equal(&a->base, &b->base));
}

static void equal_is_not_misled_by_keys_given_twice(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = make_task(f);
    Swkpb__Annotations *a = task->annotations;
    Swkpb__Annotations *b =
        (Swkpb__Annotations *)swki_message_copy(&a->base, &f->arena);

    b->labels[0] = b->labels[1];
    assert_false(swki_message_equal(&a->base, &b->base));
    assert_false(swki_message_equal(&b->base, &a->base));
}

static void proto2_presence_is_kept_and_compared(void **state)
{
    struct f *f = *state;
    Swkpb__Raft__Entry a = SWKPB__RAFT__ENTRY__INIT;
    Swkpb__Raft__Entry *b;

    a.has_term = 1;
    b = round_trip(f, &a.base);
    assert_true(b->has_term);
    assert_false(b->has_index);
    assert_true(swki_message_equal(&a.base, &b->base));
    b->has_term = 0;
    assert_false(swki_message_equal(&a.base, &b->base));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(unpack_gives_back_what_pack_was_given),
        TEST(unpack_refuses_every_truncation_but_those_at_a_field),
        TEST(unpack_refuses_damage),
        TEST(unpack_accepts_what_only_looks_odd),
        TEST(unpack_sorts_maps_and_keeps_the_last_of_equal_keys),
        TEST(unpack_sorts_large_maps),
        TEST(unpack_leaves_lists_that_are_no_maps_in_their_order),
        TEST(unpack_gives_a_map_entry_its_message_value),
        TEST(unpack_keeps_unknown_fields_and_enum_values),
        TEST(unknown_fields_are_dropped_at_any_depth),
        TEST(parts_are_messages_and_entries_of_lists),
        TEST(unpack_stops_at_the_arenas_limit),
        TEST(unpack_and_pack_survive_any_want_of_memory),
        TEST(unpack_refuses_more_than_it_can_count),
        TEST(unpack_bounds_the_depth),
        TEST(pack_refuses_what_does_not_fit),
        TEST(copy_shares_nothing_with_the_original),
        TEST(copy_keeps_unknown_fields),
        TEST(an_empty_string_stays_the_choice_of_a_oneof),
        TEST(copy_without_memory_gives_null),
        TEST(equal_sees_every_difference),
        TEST(equal_tells_absent_from_empty_messages),
        TEST(equal_ignores_the_order_of_maps_only),
        TEST(equal_is_not_misled_by_keys_given_twice),
        TEST(proto2_presence_is_kept_and_compared),
    };

    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
