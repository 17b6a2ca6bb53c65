/* SPDX-License-Identifier: Apache-2.0 */

/* The ten kinds have numbers of their own in log entries, in watch messages and
 * in snapshots. */

#include "lib/cmocka_all.h"

#include "core/store/codec.h"
#include "core/store/object_impl.h"
#include "watch.pb-c.h"

static const struct {
    enum swki_kind kind;
    uint32_t action;
    uint32_t watched;
    uint32_t saved;
} numbers[] = {
    {SWKI_KIND_NODE, 2, 1, 1},      {SWKI_KIND_SERVICE, 3, 2, 2},
    {SWKI_KIND_TASK, 4, 4, 4},      {SWKI_KIND_NETWORK, 5, 3, 3},
    {SWKI_KIND_CLUSTER, 6, 5, 5},   {SWKI_KIND_SECRET, 7, 6, 6},
    {SWKI_KIND_RESOURCE, 8, 7, 7},  {SWKI_KIND_EXTENSION, 9, 8, 8},
    {SWKI_KIND_CONFIG, 10, 9, 9},   {SWKI_KIND_VOLUME, 11, 10, 10},
};

_Static_assert(sizeof(numbers) / sizeof(numbers[0]) == SWKI_KINDS_COUNT,
               "every kind has its numbers");

static struct swki_object *object_of(enum swki_kind kind)
{
    struct swki_object *o = swki_object_new(NULL, kind);
    char **id;

    assert_non_null(o);
    id = (char **)(void *)(o->message + sizeof(ProtobufCMessage));
    *id = swki_arena_strdup(swki_object_arena(o), "x");
    return o;
}

static struct swki_field next_field(struct swki_reader *reader)
{
    struct swki_field field;

    assert_int_equal(swki_reader_next(reader, &field), 1);
    return field;
}

static void entries_number_the_kinds_as_store_actions(void **state)
{
    (void)state;
    for (size_t i = 0; i < SWKI_KINDS_COUNT; i++) {
        struct swki_object *o = object_of(numbers[i].kind);
        struct swki_buf buf;
        struct swki_reader reader;
        struct swki_field field;

        swki_buf_init(&buf, NULL, SIZE_MAX);
        assert_int_equal(
            swki_codec_add_action(&buf, SWKI_CHANGE_UPDATE, o, NULL), 0);
        reader = (struct swki_reader){buf.data, buf.len};
        field = next_field(&reader);
        assert_int_equal(field.number, 2);
        reader = (struct swki_reader){field.data, field.len};
        field = next_field(&reader);
        assert_int_equal(field.number, 1);
        assert_int_equal(field.value,
                         SWKPB__STORE_ACTION_KIND__STORE_ACTION_UPDATE);
        field = next_field(&reader);
        assert_int_equal(field.number, numbers[i].action);
        assert_int_equal(field.len, 3); /* the ID */
        assert_int_equal(reader.len, 0);
        swki_buf_fini(&buf);
        swki_object_unref(o);
    }
}

static void snapshots_number_the_kinds_as_lists(void **state)
{
    (void)state;
    for (size_t i = 0; i < SWKI_KINDS_COUNT; i++) {
        struct swki_object *o = object_of(numbers[i].kind);
        struct swki_buf buf;
        struct swki_reader reader;

        swki_buf_init(&buf, NULL, SIZE_MAX);
        assert_int_equal(swki_codec_add_object(&buf, o, NULL), 0);
        reader = (struct swki_reader){buf.data, buf.len};
        assert_int_equal(next_field(&reader).number, numbers[i].saved);
        assert_int_equal(swki_codec_snapshot_kind(numbers[i].saved),
                         numbers[i].kind);
        swki_buf_fini(&buf);
        swki_object_unref(o);
    }
}

static void messages_agree_with_the_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < SWKI_KINDS_COUNT; i++) {
        const ProtobufCMessageDescriptor *type =
            swki_kind_type(numbers[i].kind);
        const struct {
            const ProtobufCMessageDescriptor *of;
            uint32_t number;
        } places[] = {
            {&swkpb__store_action__descriptor, numbers[i].action},
            {&swkpb__object__descriptor, numbers[i].watched},
            {&swkpb__store_snapshot__descriptor, numbers[i].saved},
        };

        for (size_t j = 0; j < 3; j++) {
            const ProtobufCFieldDescriptor *field =
                protobuf_c_message_descriptor_get_field(places[j].of,
                                                        places[j].number);

            assert_non_null(field);
            assert_ptr_equal(field->descriptor, type);
        }
    }
}

static void a_delete_carries_the_id_alone(void **state)
{
    struct swki_object *o = object_of(SWKI_KIND_SERVICE);
    Swkpb__ServiceSpec spec = SWKPB__SERVICE_SPEC__INIT;
    struct swki_reader reader;
    struct swki_field field;
    struct swki_buf buf;

    (void)state;
    swki_service_edit(o)->spec = &spec;
    swki_buf_init(&buf, NULL, SIZE_MAX);
    assert_int_equal(swki_codec_add_action(&buf, SWKI_CHANGE_DELETE, o, NULL),
                     0);
    reader = (struct swki_reader){buf.data, buf.len};
    field = next_field(&reader);
    reader = (struct swki_reader){field.data, field.len};
    assert_int_equal(next_field(&reader).value,
                     SWKPB__STORE_ACTION_KIND__STORE_ACTION_REMOVE);
    field = next_field(&reader);
    assert_int_equal(field.len, 3);
    assert_memory_equal(field.data, "\x0a\x01x", 3);
    swki_buf_fini(&buf);
    swki_object_unref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_number_the_kinds_as_store_actions),
        cmocka_unit_test(snapshots_number_the_kinds_as_lists),
        cmocka_unit_test(messages_agree_with_the_numbers),
        cmocka_unit_test(a_delete_carries_the_id_alone),
    };

    return cmocka_run_group_tests_name("store, codec", tests, NULL, NULL);
}
