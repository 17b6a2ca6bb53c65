/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The schema does not drift: what is compiled is compared with tables of the
 * protocol, in both directions, so that nothing changes, goes or comes unseen.
 */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "descriptors.h"
#include "wire/fields.h"
#include "wire/message.h"
#include "wire/methods.h"

enum {
    COLUMNS_MAX = 8,
    ROWS_MAX = 1000,
    FIRST_OWN_FIELD = 1000,
    FILE_SIZE_MAX = 256 * 1024,
    OWN_CALLS = 5, /* that the reference system does not have */
};

/* Columns of messages.tsv, enums.tsv and services.tsv. */
enum { PACKAGE, MESSAGE, NUMBER, NAME, TYPE, LABEL, PACKING, DEPRECATED };
enum { ENUM = 1, VALUE_NAME, VALUE };
enum { PATH, REQUEST, RESPONSE, CLIENT_STREAM, SERVER_STREAM, ROLES, REMOTE };
enum { LOCAL = REMOTE + 1 };

/* A file of tab-separated columns; the first line names them. */
struct table {
    char text[FILE_SIZE_MAX];
    const char *rows[ROWS_MAX][COLUMNS_MAX];
    size_t rows_count;
};

/* What is in the protocol and, on purpose, not here. */
static const struct {
    const char *package;
    const char *message;
    const char *field; /* NULL: the whole message; no message: the package */
} left_out[] = {
    /* The only message within itself: 20,000 levels overflow the stack of the
     * decoder. Nobody sends it; as an unknown field it does no harm. */
    {"raftpb", "Message", "responses"},
    /* Options of .proto files, for a generator of Go; they never travel. */
    {"docker.protobuf.plugin", NULL, NULL},
};

static void split_row(char *line, const char **columns)
{
    for (int i = 0; i < COLUMNS_MAX; i++) {
        columns[i] = line != NULL ? strsep(&line, "\t") : "";
    }
    assert_null(line);
}

static struct table *load(const char *name)
{
    struct table *table = calloc(1, sizeof(*table));
    char path[512];
    char *text;
    size_t len;
    FILE *file;

    assert_non_null(table);
    snprintf(path, sizeof(path), "%s/%s", SCHEMA_DIR, name);
    file = fopen(path, "r");
    assert_non_null(file);
    len = fread(table->text, 1, FILE_SIZE_MAX - 1, file);
    assert_in_range(len, 1, FILE_SIZE_MAX - 2);
    fclose(file);

    text = table->text;
    strsep(&text, "\n");
    while (text != NULL && *text != '\0') {
        assert_in_range(table->rows_count, 0, ROWS_MAX - 1);
        split_row(strsep(&text, "\n"), table->rows[table->rows_count]);
        table->rows_count++;
    }
    return table;
}

struct f {
    struct table *fields;
    struct table *values;
    struct table *calls;
    int failures;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->fields = load("messages.tsv");
    f->values = load("enums.tsv");
    f->calls = load("services.tsv");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    free(f->fields);
    free(f->values);
    free(f->calls);
    free(f);
    return 0;
}

/* Counts a failure and says what it is about; the test goes on, to list all. */
static void expect(struct f *f, bool holds, const char *where,
                   const char *field, const char *what)
{
    if (!holds) {
        print_error("%s.%s: %s\n", where, field, what);
        f->failures++;
    }
}

static bool is_left_out(const char *const *row)
{
    for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) {
        if (strcmp(row[PACKAGE], left_out[i].package) == 0 &&
            (left_out[i].message == NULL ||
             (strcmp(row[MESSAGE], left_out[i].message) == 0 &&
              strcmp(row[NAME], left_out[i].field) == 0))) {
            return true;
        }
    }
    return false;
}

/* Whether name is what the table calls text, in the package or with one. */
static bool is_named(const char *name, const char *package, const char *text)
{
    size_t len = strlen(package);

    return strcmp(name, text) == 0 ||
           (strncmp(name, package, len) == 0 && name[len] == '.' &&
            strcmp(name + len + 1, text) == 0);
}

static const ProtobufCMessageDescriptor *find_message(const char *package,
                                                      const char *name)
{
    for (size_t i = 0; all_messages[i] != NULL; i++) {
        if (strcmp(all_messages[i]->package_name, package) == 0 &&
            is_named(all_messages[i]->name, package, name)) {
            return all_messages[i];
        }
    }
    return NULL;
}

static bool has_scalar_type(const ProtobufCFieldDescriptor *field,
                            const char *text)
{
    static const struct {
        const char *text;
        ProtobufCType type;
    } scalars[] = {
        {"string", PROTOBUF_C_TYPE_STRING}, {"bytes", PROTOBUF_C_TYPE_BYTES},
        {"bool", PROTOBUF_C_TYPE_BOOL},     {"int32", PROTOBUF_C_TYPE_INT32},
        {"int64", PROTOBUF_C_TYPE_INT64},   {"uint32", PROTOBUF_C_TYPE_UINT32},
        {"uint64", PROTOBUF_C_TYPE_UINT64}, {"float", PROTOBUF_C_TYPE_FLOAT},
        {"double", PROTOBUF_C_TYPE_DOUBLE},
    };

    for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
        if (strcmp(text, scalars[i].text) == 0) {
            return field->type == scalars[i].type;
        }
    }
    return false;
}

static bool has_type(const ProtobufCFieldDescriptor *field, const char *package,
                     const char *text)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessageDescriptor *type = field->descriptor;

        return is_named(type->name, package, text);
    }
    if (field->type == PROTOBUF_C_TYPE_ENUM) {
        const ProtobufCEnumDescriptor *type = field->descriptor;

        return strncmp(text, "enum ", 5) == 0 &&
               is_named(type->name, package, text + 5);
    }
    return has_scalar_type(field, text);
}

/* text is "map<K,V>". */
static bool has_map_type(const ProtobufCMessageDescriptor *type,
                         const ProtobufCFieldDescriptor *field,
                         const char *package, const char *text)
{
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    char key[32];
    char value[64];

    return swki_field_is_map(type, field) &&
           sscanf(text, "map<%31[^,],%63[^>]>", key, value) == 2 &&
           has_type(&entry->fields[0], package, key) &&
           has_type(&entry->fields[1], package, value);
}

static bool is_oneof(const char *label)
{
    return strncmp(label, "oneof:", 6) == 0;
}

static bool has_label(const ProtobufCFieldDescriptor *field,
                      const char *package, const char *label)
{
    bool is_proto2 = strcmp(package, "raftpb") == 0 ||
                     strcmp(package, "walpb") == 0 ||
                     strcmp(package, "snappb") == 0;
    bool has_flag = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;

    if (strcmp(label, "repeated") == 0 || strcmp(label, "map") == 0) {
        return field->label == PROTOBUF_C_LABEL_REPEATED && !has_flag;
    }
    return field->label == (is_proto2 ? PROTOBUF_C_LABEL_OPTIONAL
                                      : PROTOBUF_C_LABEL_NONE) &&
           has_flag == is_oneof(label);
}

static void check_field(struct f *f, const ProtobufCMessageDescriptor *type,
                        const char *const *row)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(type,
                                                (unsigned)atoi(row[NUMBER]));
    bool is_map = strcmp(row[LABEL], "map") == 0;

    expect(f, field != NULL, type->name, row[NAME], "is missing");
    if (field == NULL) {
        return;
    }
    expect(f, strcmp(field->name, row[NAME]) == 0, type->name, row[NAME],
           "has another name");
    expect(f,
           is_map ? has_map_type(type, field, row[PACKAGE], row[TYPE])
                  : has_type(field, row[PACKAGE], row[TYPE]),
           type->name, row[NAME], "has another type");
    expect(f, is_map == swki_field_is_map(type, field), type->name, row[NAME],
           "passes for a map, or for none");
    expect(f, has_label(field, row[PACKAGE], row[LABEL]), type->name, row[NAME],
           "has another label");
    expect(f, (field->flags & PROTOBUF_C_FIELD_FLAG_PACKED) == 0, type->name,
           row[NAME], "is packed");
    expect(f,
           ((field->flags & PROTOBUF_C_FIELD_FLAG_DEPRECATED) != 0) ==
               (strcmp(row[DEPRECATED], "deprecated") == 0),
           type->name, row[NAME], "differs in being deprecated");
}

static void every_field_is_compiled_as_the_protocol_says(void **state)
{
    struct f *f = *state;

    for (size_t i = 0; i < f->fields->rows_count; i++) {
        const char *const *row = f->fields->rows[i];
        const ProtobufCMessageDescriptor *type =
            find_message(row[PACKAGE], row[MESSAGE]);

        if (is_left_out(row)) {
            continue;
        }
        expect(f, type != NULL, row[PACKAGE], row[MESSAGE], "is missing");
        if (type == NULL) {
            continue;
        }
        if (strcmp(row[LABEL], "empty") == 0) {
            expect(f, type->n_fields == 0, type->name, "", "is not empty");
        } else {
            check_field(f, type, row);
        }
    }
    assert_int_equal(f->failures, 0);
}

static void what_is_left_out_is_not_compiled(void **state)
{
    struct f *f = *state;
    int left_out_count = 0;

    for (size_t i = 0; i < f->fields->rows_count; i++) {
        const char *const *row = f->fields->rows[i];
        const ProtobufCMessageDescriptor *type =
            find_message(row[PACKAGE], row[MESSAGE]);

        if (!is_left_out(row)) {
            continue;
        }
        left_out_count++;
        expect(f,
               type == NULL || protobuf_c_message_descriptor_get_field(
                                   type, (unsigned)atoi(row[NUMBER])) == NULL,
               row[MESSAGE], row[NAME], "is there after all");
    }
    assert_int_equal(left_out_count, 17);
    assert_int_equal(f->failures, 0);
}

/* Rows of a message; *out_named says whether one has the field. */
static size_t count_rows(const struct f *f,
                         const ProtobufCMessageDescriptor *type,
                         const char *field, bool *out_named)
{
    size_t count = 0;

    *out_named = false;
    for (size_t i = 0; i < f->fields->rows_count; i++) {
        const char *const *row = f->fields->rows[i];

        if (strcmp(row[PACKAGE], type->package_name) == 0 &&
            is_named(type->name, row[PACKAGE], row[MESSAGE])) {
            count++;
            *out_named = *out_named || strcmp(row[NAME], field) == 0;
        }
    }
    return count;
}

/* Whether the message is the entry of some map, which the tables leave out. */
static bool is_entry(const ProtobufCMessageDescriptor *entry)
{
    for (size_t i = 0; all_messages[i] != NULL; i++) {
        const ProtobufCMessageDescriptor *type = all_messages[i];

        for (unsigned j = 0; j < type->n_fields; j++) {
            if (type->fields[j].descriptor == entry &&
                swki_field_is_map(type, &type->fields[j])) {
                return true;
            }
        }
    }
    return false;
}

/* What this library adds has a package of its own, or a number that the
 * protocol leaves free. */
static bool is_own(const char *package)
{
    return strcmp(package, "swarmkit.v1") == 0;
}

static void nothing_is_compiled_that_the_protocol_lacks(void **state)
{
    struct f *f = *state;

    for (size_t i = 0; all_messages[i] != NULL; i++) {
        const ProtobufCMessageDescriptor *type = all_messages[i];
        bool is_known;

        if (is_entry(type) || is_own(type->package_name)) {
            continue;
        }
        expect(f, count_rows(f, type, "", &is_known) > 0, type->name, "",
               "is not in the protocol");
        for (unsigned j = 0; j < type->n_fields; j++) {
            count_rows(f, type, type->fields[j].name, &is_known);
            is_known = is_known || type->fields[j].id >= FIRST_OWN_FIELD;
            expect(f, is_known, type->name, type->fields[j].name,
                   "is not in the protocol");
        }
    }
    assert_int_equal(f->failures, 0);
}

/* Descriptors do not name oneofs, but members of one share their choice. */
static void fields_share_a_oneof_as_the_protocol_says(void **state)
{
    struct f *f = *state;

    for (size_t i = 1; i < f->fields->rows_count; i++) {
        const char *const *row = f->fields->rows[i];
        const ProtobufCMessageDescriptor *type =
            find_message(row[PACKAGE], row[MESSAGE]);

        for (size_t j = 0; j < i && is_oneof(row[LABEL]); j++) {
            const char *const *other = f->fields->rows[j];
            const ProtobufCFieldDescriptor *a;
            const ProtobufCFieldDescriptor *b;

            if (!is_oneof(other[LABEL]) ||
                strcmp(other[MESSAGE], row[MESSAGE]) != 0) {
                continue;
            }
            a = protobuf_c_message_descriptor_get_field_by_name(type,
                                                                row[NAME]);
            b = protobuf_c_message_descriptor_get_field_by_name(type,
                                                                other[NAME]);
            expect(f,
                   (a->quantifier_offset == b->quantifier_offset) ==
                       (strcmp(row[LABEL], other[LABEL]) == 0),
                   type->name, row[NAME], "is in another oneof");
        }
    }
    assert_int_equal(f->failures, 0);
}

static void every_enum_value_is_as_the_protocol_says(void **state)
{
    struct f *f = *state;
    size_t values_count = 0;

    for (size_t i = 0; all_enums[i] != NULL; i++) {
        const ProtobufCEnumDescriptor *type = all_enums[i];
        unsigned found_count = 0;

        if (is_own(type->package_name)) {
            continue;
        }
        for (size_t j = 0; j < f->values->rows_count; j++) {
            const char *const *row = f->values->rows[j];
            const ProtobufCEnumValue *value;

            if (strcmp(row[PACKAGE], type->package_name) != 0 ||
                !is_named(type->name, row[PACKAGE], row[ENUM])) {
                continue;
            }
            found_count++;
            value = protobuf_c_enum_descriptor_get_value_by_name(
                type, row[VALUE_NAME]);
            expect(f, value != NULL && value->value == atoi(row[VALUE]),
                   type->name, row[VALUE_NAME], "has another number");
        }
        for (unsigned j = 0; j < type->n_values; j++) {
            found_count += type->values[j].value >= FIRST_OWN_FIELD ? 1 : 0;
            values_count -= type->values[j].value >= FIRST_OWN_FIELD ? 1 : 0;
        }
        expect(f, found_count == type->n_value_names, type->name, "",
               "has more values");
        values_count += found_count;
    }
    assert_int_equal(values_count, f->values->rows_count);
    assert_int_equal(f->failures, 0);
}

static uint32_t roles_of(const char *text)
{
    if (strcmp(text, "anyone") == 0) {
        return SWKI_ROLE_NONE;
    }
    return (uint32_t)(strstr(text, "swarm-worker") ? SWKI_ROLE_WORKER : 0) |
           (uint32_t)(strstr(text, "swarm-manager") ? SWKI_ROLE_MANAGER : 0);
}

static enum swki_served served_of(const char *text)
{
    if (strcmp(text, "leader") == 0) {
        return SWKI_SERVED_LEADER;
    }
    return strcmp(text, "here") == 0 ? SWKI_SERVED_HERE : SWKI_SERVED_NOT;
}

static enum swki_method_kind kind_of(const char *const *row)
{
    bool client = strcmp(row[CLIENT_STREAM], "yes") == 0;

    if (strcmp(row[SERVER_STREAM], "yes") == 0) {
        return client ? SWKI_METHOD_BOTH_STREAM : SWKI_METHOD_SERVER_STREAM;
    }
    return client ? SWKI_METHOD_CLIENT_STREAM : SWKI_METHOD_UNARY;
}

static void every_call_is_in_the_table_of_methods(void **state)
{
    const char *package = "docker.swarmkit.v1";
    struct f *f = *state;

    for (size_t i = 0; i < f->calls->rows_count; i++) {
        const char *const *row = f->calls->rows[i];
        const struct swki_method *method =
            swki_method_by_path(row[PATH], strlen(row[PATH]));

        expect(f, method != NULL, row[PATH], "", "is missing");
        if (method == NULL) {
            continue;
        }
        expect(f, is_named(method->request->name, package, row[REQUEST]),
               row[PATH], "", "has another request");
        expect(f, is_named(method->response->name, package, row[RESPONSE]),
               row[PATH], "", "has another response");
        expect(f, method->kind == kind_of(row), row[PATH], "",
               "has other streams");
        expect(f, method->roles == roles_of(row[ROLES]), row[PATH], "",
               "has other roles");
        expect(f, method->remote == served_of(row[REMOTE]), row[PATH], "",
               "is served elsewhere for the network");
        expect(f, method->local == served_of(row[LOCAL]), row[PATH], "",
               "is served elsewhere for the socket");
    }
    assert_int_equal(f->calls->rows_count + OWN_CALLS, SWKI_METHODS_COUNT);
    assert_int_equal(f->failures, 0);
}

/* The holder of the CA's key serves a socket of its own, and no node. */
static bool is_of_managers(const ProtobufCServiceDescriptor *service)
{
    return strcmp(service->name, "swarmkit.v1.Signer") != 0;
}

static void the_table_of_methods_fits_the_compiled_services(void **state)
{
    struct f *f = *state;
    unsigned count = 0;

    for (size_t i = 0; all_services[i] != NULL; i++) {
        const ProtobufCServiceDescriptor *service = all_services[i];

        for (unsigned j = 0;
             is_of_managers(service) && j < service->n_methods; j++) {
            const ProtobufCMethodDescriptor *call = &service->methods[j];
            const struct swki_method *method;
            char path[128];

            snprintf(path, sizeof(path), "/%s/%s", service->name, call->name);
            method = swki_method_by_path(path, strlen(path));
            expect(f,
                   method != NULL && method->request == call->input &&
                       method->response == call->output,
                   path, "", "differs from its service");
            count++;
        }
    }
    assert_int_equal(count, SWKI_METHODS_COUNT);
    assert_int_equal(f->failures, 0);
}

/* Levels of messages from this one down; more than the limit for a cycle. */
static int depth(const ProtobufCMessageDescriptor *type, int level)
{
    int deepest = 1;

    if (level > SWKI_MESSAGE_DEPTH_MAX) {
        return 1;
    }
    for (unsigned i = 0; i < type->n_fields; i++) {
        if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE) {
            int below = 1 + depth(type->fields[i].descriptor, level + 1);

            deepest = below > deepest ? below : deepest;
        }
    }
    return deepest;
}

static void no_message_holds_itself_or_nests_too_deep(void **state)
{
    struct f *f = *state;
    int deepest = 0;

    for (size_t i = 0; all_messages[i] != NULL; i++) {
        int levels = depth(all_messages[i], 1);

        expect(f, levels <= SWKI_MESSAGE_DEPTH_MAX, all_messages[i]->name, "",
               "is in a cycle, or nests too deep");
        deepest = levels > deepest ? levels : deepest;
    }
    assert_int_equal(f->failures, 0);
    assert_in_range(deepest, 5, SWKI_MESSAGE_DEPTH_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_field_is_compiled_as_the_protocol_says),
        TEST(what_is_left_out_is_not_compiled),
        TEST(nothing_is_compiled_that_the_protocol_lacks),
        TEST(fields_share_a_oneof_as_the_protocol_says),
        TEST(every_enum_value_is_as_the_protocol_says),
        TEST(every_call_is_in_the_table_of_methods),
        TEST(the_table_of_methods_fits_the_compiled_services),
        TEST(no_message_holds_itself_or_nests_too_deep),
    };

    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
