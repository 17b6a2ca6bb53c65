/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a signature is over: every field that the schema has, one by one, and so
 * also those that it will get.
 */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "core/trust/statement.h"
#include "swarmkit/signed_spec.pb-c.h"
#include "wire/fields.h"
#include "wire/message.h"

enum {
    PATH_SIZE = 256,
    DEPTH_MAX = 12,
};

/* A task, whose spec may be changed in any place, and the service's spec. */
struct f {
    struct swki_arena arena;
    Swkpb__Task task;
    Swkpb__TaskSpec spec;
    Swkpb__Annotations annotations;
    Swkpb__Endpoint endpoint;
    Swkpb__EndpointSpec endpoint_spec;
    Swkpb__ServiceSpec service;
    Swkpb__Rpc__SpecSignature terms;
    unsigned covered;
    unsigned left_out;
};

static int set_up(void **state)
{
    static struct f f;

    memset(&f, 0, sizeof(f));
    swki_arena_init(&f.arena, NULL, SIZE_MAX);
    swkpb__task__init(&f.task);
    swkpb__task_spec__init(&f.spec);
    swkpb__annotations__init(&f.annotations);
    swkpb__endpoint__init(&f.endpoint);
    swkpb__endpoint_spec__init(&f.endpoint_spec);
    swkpb__service_spec__init(&f.service);
    swkpb__rpc__spec_signature__init(&f.terms);
    f.annotations.name = (char *)"web";
    f.endpoint.spec = &f.endpoint_spec;
    f.task.spec = f.service.task = &f.spec;
    f.task.service_annotations = f.service.annotations = &f.annotations;
    f.task.endpoint = &f.endpoint;
    f.service.endpoint = &f.endpoint_spec;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_arena_fini(&f->arena);
    return 0;
}

/* The statement, which is the same from a task and from its service. */
static struct swki_buf statement(struct f *f)
{
    struct swki_buf of_task;
    struct swki_buf of_spec;

    swki_buf_init(&of_task, NULL, SIZE_MAX);
    swki_buf_init(&of_spec, NULL, SIZE_MAX);
    assert_int_equal(
        swki_statement_of_task(&f->task, &f->terms, &of_task, NULL), SWK_OK);
    assert_int_equal(
        swki_statement_of_spec(&f->service, &f->terms, &of_spec, NULL), SWK_OK);
    assert_int_equal(of_task.len, of_spec.len);
    assert_memory_equal(of_task.data, of_spec.data, of_spec.len);
    swki_buf_fini(&of_spec);
    return of_task;
}

/* -- Changing any field --------------------------------------------------- */

static void *new_message(struct f *f, const ProtobufCMessageDescriptor *type)
{
    void *message = swki_arena_alloc(&f->arena, type->sizeof_message);

    assert_non_null(message);
    type->message_init(message);
    return message;
}

/* A value that is not the default. */
static void put_value(struct f *f, const ProtobufCFieldDescriptor *field,
                      void *element)
{
    static uint8_t byte[] = {7};

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)element = swki_arena_strdup(&f->arena, "x");
        break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)element = (ProtobufCBinaryData){1, byte};
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(void **)element = new_message(f, field->descriptor);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        *(float *)element = 1.5F;
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)element = 1.5;
        break;
    default:
        memset(element, 0, swki_type_size(field->type));
        *(uint8_t *)element = 1;
        break;
    }
}

/* Sets a field of the message; what it points to, if that is a message. */
static ProtobufCMessage *set_field(struct f *f, ProtobufCMessage *message,
                                   const ProtobufCFieldDescriptor *field)
{
    char *member = (char *)message + field->offset;
    void *element = member;

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        element = swki_arena_calloc(&f->arena, 1, swki_type_size(field->type));
        assert_non_null(element);
        *(void **)(void *)member = element;
        *(size_t *)(void *)((char *)message + field->quantifier_offset) = 1;
    } else if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        *(uint32_t *)(void *)((char *)message + field->quantifier_offset) =
            field->id;
    }
    put_value(f, field, element);
    return field->type == PROTOBUF_C_TYPE_MESSAGE
               ? *(ProtobufCMessage **)element
               : NULL;
}

/* What no signature is over, as doc/signed-specs.md says. */
static bool is_left_out(const char *path)
{
    static const char *const list[] = {"task.restart", "task.placement",
                                       "task.force_update",
                                       "task.container.pull_options"};

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        size_t len = strlen(list[i]);

        if (strncmp(path, list[i], len) == 0 &&
            (path[len] == '\0' || path[len] == '.')) {
            return true;
        }
    }
    return false;
}

static void try_fields(struct f *f, ProtobufCMessage *message, const char *path,
                       int depth);

static void try_field(struct f *f, ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field, const char *path,
                      int depth)
{
    size_t size = message->descriptor->sizeof_message;
    void *saved = swki_arena_memdup(&f->arena, message, size);
    struct swki_buf before = statement(f);
    ProtobufCMessage *inner = set_field(f, message, field);
    struct swki_buf after = statement(f);
    bool differs = before.len != after.len ||
                   memcmp(before.data, after.data, after.len) != 0;

    if (differs == is_left_out(path)) {
        fail_msg("%s: a signature is%s over it", path, differs ? "" : " not");
    }
    f->covered += differs;
    f->left_out += !differs;
    if (inner != NULL) {
        try_fields(f, inner, path, depth + 1);
    }
    memcpy(message, saved, size);
    swki_buf_fini(&after);
    swki_buf_fini(&before);
}

static void try_fields(struct f *f, ProtobufCMessage *message, const char *path,
                       int depth)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;

    assert_in_range(depth, 0, DEPTH_MAX);
    for (unsigned i = 0; i < type->n_fields; i++) {
        char inner[PATH_SIZE];

        snprintf(inner, sizeof(inner), "%s.%s", path, type->fields[i].name);
        if (strcmp(inner, "annotations.name") == 0) {
            continue; /* is set already; see below */
        }
        try_field(f, message, &type->fields[i], inner, depth);
    }
}

static void a_signature_is_over_every_field_that_decides(void **state)
{
    struct f *f = *state;

    try_fields(f, &f->spec.base, "task", 0);
    try_fields(f, &f->annotations.base, "annotations", 0);
    try_fields(f, &f->endpoint_spec.base, "endpoint", 0);
    /* The walk did reach the leaves. */
    assert_in_range(f->covered, 120, 10000);
    assert_in_range(f->left_out, 10, 100);
}

static void a_signature_is_over_the_name_and_its_own_terms(void **state)
{
    struct f *f = *state;
    Swkpb__Timestamp time = SWKPB__TIMESTAMP__INIT;
    struct swki_buf texts[5];

    time.seconds = 5;
    texts[0] = statement(f);
    f->annotations.name = (char *)"wed";
    texts[1] = statement(f);
    f->terms.swarm_id = (char *)"s1";
    texts[2] = statement(f);
    f->terms.signed_at = &time;
    texts[3] = statement(f);
    f->terms.not_after = &time;
    texts[4] = statement(f);
    for (int i = 1; i < 5; i++) {
        assert_false(texts[i].len == texts[i - 1].len &&
                     memcmp(texts[i].data, texts[i - 1].data, texts[i].len) ==
                         0);
    }
    for (int i = 0; i < 5; i++) {
        swki_buf_fini(&texts[i]);
    }
}

static void presence_of_a_part_makes_a_difference(void **state)
{
    struct f *f = *state;
    struct swki_buf with = statement(f);
    struct swki_buf without;

    f->task.endpoint = NULL;
    f->service.endpoint = NULL;
    without = statement(f);
    assert_int_not_equal(with.len, without.len);
    swki_buf_fini(&without);
    swki_buf_fini(&with);
}

/* -- What may change ------------------------------------------------------ */

/* All other fields of a task. Whoever adds one decides whether a signature is
 * to be over it, or whether swki_task_additions_check() looks at it. */
static void what_the_swarm_adds_to_a_task_is_not_signed(void **state)
{
    static const char *const others[] = {"id",
                                         "meta",
                                         "spec_version",
                                         "service_id",
                                         "slot",
                                         "node_id",
                                         "annotations",
                                         "status",
                                         "desired_state",
                                         "networks",
                                         "log_driver",
                                         "assigned_generic_resources",
                                         "job_iteration",
                                         "volumes",
                                         "signatures"};
    static const char *const parts[] = {"spec", "service_annotations",
                                        "endpoint"};
    struct f *f = *state;
    struct swki_buf before = statement(f);

    assert_int_equal(swkpb__task__descriptor.n_fields,
                     sizeof(others) / sizeof(others[0]) +
                         sizeof(parts) / sizeof(parts[0]));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(
                &swkpb__task__descriptor, others[i]);
        struct swki_buf after;

        assert_non_null(field);
        set_field(f, &f->task.base, field);
        after = statement(f);
        assert_int_equal(after.len, before.len);
        assert_memory_equal(after.data, before.data, after.len);
        swki_buf_fini(&after);
    }
    swki_buf_fini(&before);
}

static void how_many_run_and_how_they_change_is_not_signed(void **state)
{
    static const char *const others[] = {
        "replicated", "global",   "replicated_job", "global_job",
        "update",     "rollback", "signatures"};
    struct f *f = *state;
    struct swki_buf before = statement(f);

    /* Beside these: annotations, task, endpoint, and networks, which cannot be
     * signed. */
    assert_int_equal(swkpb__service_spec__descriptor.n_fields,
                     sizeof(others) / sizeof(others[0]) + 4);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(
                &swkpb__service_spec__descriptor, others[i]);
        struct swki_buf after;

        assert_non_null(field);
        set_field(f, &f->service.base, field);
        after = statement(f);
        assert_int_equal(after.len, before.len);
        assert_memory_equal(after.data, before.data, after.len);
        swki_buf_fini(&after);
    }
    swki_buf_fini(&before);
}

/* -- One form ------------------------------------------------------------- */

static void the_order_of_a_map_makes_no_difference(void **state)
{
    struct f *f = *state;
    Swkpb__Annotations__LabelsEntry a = SWKPB__ANNOTATIONS__LABELS_ENTRY__INIT;
    Swkpb__Annotations__LabelsEntry b = SWKPB__ANNOTATIONS__LABELS_ENTRY__INIT;
    Swkpb__Annotations__LabelsEntry *one[] = {&a, &b};
    Swkpb__Annotations__LabelsEntry *other[] = {&b, &a};
    struct swki_buf first;
    struct swki_buf second;

    a.key = (char *)"a";
    b.key = (char *)"b";
    f->annotations.n_labels = 2;
    f->annotations.labels = one;
    first = statement(f);
    f->annotations.labels = other;
    second = statement(f);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    assert_ptr_equal(other[0], &b); /* the caller's list stays as it was */
    swki_buf_fini(&second);
    swki_buf_fini(&first);

    b.key = a.key;
    swki_buf_init(&first, NULL, SIZE_MAX);
    assert_int_equal(swki_statement_of_task(&f->task, &f->terms, &first, NULL),
                     SWK_EINVAL);
    swki_buf_fini(&first);
}

static void a_chosen_empty_text_is_told_from_none(void **state)
{
    struct f *f = *state;
    Swkpb__Privileges__CredentialSpec *source;
    struct swki_buf texts[3];

    f->spec.runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    f->spec.container = new_message(f, &swkpb__container_spec__descriptor);
    f->spec.container->privileges =
        new_message(f, &swkpb__privileges__descriptor);
    source = new_message(f, &swkpb__privileges__credential_spec__descriptor);
    f->spec.container->privileges->credential_spec = source;
    texts[0] = statement(f);
    source->source_case = SWKPB__PRIVILEGES__CREDENTIAL_SPEC__SOURCE_FILE;
    source->file = (char *)protobuf_c_empty_string;
    texts[1] = statement(f);
    source->file = (char *)"";
    texts[2] = statement(f);
    assert_int_not_equal(texts[0].len, texts[1].len);
    assert_int_equal(texts[1].len, texts[2].len);
    assert_memory_equal(texts[1].data, texts[2].data, texts[2].len);
    for (int i = 0; i < 3; i++) {
        swki_buf_fini(&texts[i]);
    }
}

static void decoding_and_encoding_leads_to_the_same(void **state)
{
    struct f *f = *state;
    struct swki_buf before;
    struct swki_buf after;
    struct swki_buf wire;
    ProtobufCMessage *decoded;

    f->spec.runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    f->spec.container = new_message(f, &swkpb__container_spec__descriptor);
    for (unsigned i = 0; i < swkpb__container_spec__descriptor.n_fields; i++) {
        set_field(f, &f->spec.container->base,
                  &swkpb__container_spec__descriptor.fields[i]);
    }
    before = statement(f);
    swki_buf_init(&wire, NULL, SIZE_MAX);
    swki_buf_init(&after, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(&f->service.base, &wire, NULL), SWK_OK);
    assert_int_equal(swki_message_unpack(&swkpb__service_spec__descriptor,
                                         wire.data, wire.len, &f->arena,
                                         &decoded, NULL),
                     SWK_OK);
    assert_int_equal(swki_statement_of_spec((Swkpb__ServiceSpec *)decoded,
                                            &f->terms, &after, NULL),
                     SWK_OK);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, after.len);
    swki_buf_fini(&wire);
    swki_buf_fini(&after);
    swki_buf_fini(&before);
}

static void unknown_fields_at_any_depth_cannot_be_signed(void **state)
{
    struct f *f = *state;
    ProtobufCMessageUnknownField unknown = {.tag = 2000,
                                            .wire_type =
                                                PROTOBUF_C_WIRE_TYPE_VARINT,
                                            .len = 1,
                                            .data = (uint8_t *)"\1"};
    Swkpb__ContainerSpec *container =
        new_message(f, &swkpb__container_spec__descriptor);
    ProtobufCMessage *mount =
        set_field(f, &container->base,
                  protobuf_c_message_descriptor_get_field_by_name(
                      &swkpb__container_spec__descriptor, "mounts"));
    ProtobufCMessage *places[] = {&f->spec.base, &f->annotations.base,
                                  &f->endpoint_spec.base, &container->base,
                                  mount};

    f->spec.runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    f->spec.container = container;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct swki_buf text;
        struct swk_error err;

        swki_buf_init(&text, NULL, SIZE_MAX);
        places[i]->n_unknown_fields = 1;
        places[i]->unknown_fields = &unknown;
        assert_int_equal(
            swki_statement_of_task(&f->task, &f->terms, &text, &err),
            SWK_EINVAL);
        assert_non_null(strstr(err.text, "does not know"));
        places[i]->n_unknown_fields = 0;
        places[i]->unknown_fields = NULL;
        swki_buf_fini(&text);
    }
}

static void what_no_task_has_cannot_be_signed(void **state)
{
    struct f *f = *state;
    struct swki_buf text;

    swki_buf_init(&text, NULL, SIZE_MAX);
    set_field(f, &f->service.base,
              protobuf_c_message_descriptor_get_field_by_name(
                  &swkpb__service_spec__descriptor, "networks"));
    assert_int_equal(
        swki_statement_of_spec(&f->service, &f->terms, &text, NULL),
        SWK_EINVAL);
    f->service.n_networks = 0;
    f->annotations.name = (char *)"";
    assert_int_equal(
        swki_statement_of_spec(&f->service, &f->terms, &text, NULL),
        SWK_EINVAL);
    f->service.task = NULL;
    assert_int_equal(
        swki_statement_of_spec(&f->service, &f->terms, &text, NULL),
        SWK_EINVAL);
    swki_buf_fini(&text);
}

/* The encoding itself, so that others can make it: doc/signed-specs.md. */
static void the_encoding_is_that_of_the_documentation(void **state)
{
    static const char expected[] = "swarmkit signed spec 1\n"
                                   "\x0a\x02s1"       /* swarm_id */
                                   "\x12\x02\x08\x05" /* signed_at */
                                   "\x22\x0a"         /* annotations */
                                   "\x0a\x03web"
                                   "\x12\x03\x0a\x01k"    /* a label */
                                   "\x2a\x08"             /* task */
                                   "\x0a\x06\x0a\x04host" /* container */
                                   "\x32\x00";            /* endpoint */
    struct f *f = *state;
    struct swki_buf text;

    f->terms.swarm_id = (char *)"s1";
    f->terms.signed_at = new_message(f, &swkpb__timestamp__descriptor);
    f->terms.signed_at->seconds = 5;
    set_field(f, &f->annotations.base,
              protobuf_c_message_descriptor_get_field_by_name(
                  &swkpb__annotations__descriptor, "labels"));
    f->annotations.labels[0]->key = (char *)"k";
    f->spec.runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    f->spec.container = new_message(f, &swkpb__container_spec__descriptor);
    f->spec.container->image = (char *)"host";
    f->spec.restart = new_message(f, &swkpb__restart_policy__descriptor);
    text = statement(f);
    assert_int_equal(text.len, sizeof(expected) - 1);
    assert_memory_equal(text.data, expected, text.len);
    swki_buf_fini(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_signature_is_over_every_field_that_decides),
        TEST(a_signature_is_over_the_name_and_its_own_terms),
        TEST(presence_of_a_part_makes_a_difference),
        TEST(what_the_swarm_adds_to_a_task_is_not_signed),
        TEST(how_many_run_and_how_they_change_is_not_signed),
        TEST(the_order_of_a_map_makes_no_difference),
        TEST(a_chosen_empty_text_is_told_from_none),
        TEST(decoding_and_encoding_leads_to_the_same),
        TEST(unknown_fields_at_any_depth_cannot_be_signed),
        TEST(what_no_task_has_cannot_be_signed),
        TEST(the_encoding_is_that_of_the_documentation),
    };

    return cmocka_run_group_tests_name("statement", tests, NULL, NULL);
}
