/* SPDX-License-Identifier: Apache-2.0 */

/*
 * cJSON makes a tree of the text, and the descriptors say what it must look
 * like. What the parser lets pass is looked for in the text first: characters
 * that JSON forbids, and a NUL, at which it would cut a string unnoticed.
 */

#include "wire/json_read.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/utf8.h"
#include "wire/fields.h"
#include "wire/message.h"
#include "wire/rfc3339.h"

enum {
    PATH_SIZE = 160,
    FIELDS_MAX = 64,     /* of one message */
    NUMBER_LEN_MAX = 40, /* of a number in quotes */
};

/* Every whole number up to here is one that a double holds. */
#define EXACT_MAX 9007199254740992.0

/* Where in the message the reader is, from the inside out. */
struct place {
    const struct place *outer;
    const char *name; /* NULL for an element of a list */
    size_t index;
    unsigned depth; /* of messages */
};

struct reader {
    struct swki_arena *arena;
    struct swk_error *err;
};

/* -- Failures ------------------------------------------------------------- */

static size_t write_path(const struct place *place, char path[PATH_SIZE])
{
    size_t len = 0;
    int added;

    if (place == NULL) {
        path[0] = '\0';
        return 0;
    }
    len = write_path(place->outer, path);
    if (place->name != NULL) {
        added = snprintf(path + len, PATH_SIZE - len, "%s%s",
                         len > 0 ? "." : "", place->name);
    } else {
        added = snprintf(path + len, PATH_SIZE - len, "[%zu]", place->index);
    }
    len += (size_t)added;
    return len < PATH_SIZE ? len : PATH_SIZE - 1;
}

/* what is about the place, which is named before it. */
static int fail(struct reader *r, const struct place *place, const char *what)
{
    char path[PATH_SIZE];

    write_path(place, path);
    return swki_fail(r->err, SWK_EMALFORMED, "JSON: %s%s%s", path,
                     path[0] != '\0' ? ": " : "", what);
}

/* The arena's own limit cannot be told from a lack of memory. */
static int fail_room(struct reader *r)
{
    return r->arena->limit == SIZE_MAX
               ? swki_fail_nomem(r->err)
               : swki_fail(r->err, SWK_ELIMIT,
                           "JSON: the message takes too much memory");
}

/* -- Scalars -------------------------------------------------------------- */

/* A number as it is, or in quotes, as 64-bit ones are written. */
static bool read_signed(const cJSON *item, int64_t min, int64_t max,
                        int64_t *out_value)
{
    char *end;
    long long value;

    if (cJSON_IsNumber(item)) {
        double real = item->valuedouble;

        /* In this order: what is no number fails the first, and what is
         * converted is in range. */
        if (!(fabs(real) <= EXACT_MAX) || real < (double)min ||
            real > (double)max || real != (double)(int64_t)real) {
            return false;
        }
        *out_value = (int64_t)real;
        return true;
    }
    if (!cJSON_IsString(item) || strlen(item->valuestring) > NUMBER_LEN_MAX ||
        strspn(item->valuestring, "-0123456789") != strlen(item->valuestring)) {
        return false;
    }
    errno = 0;
    value = strtoll(item->valuestring, &end, 10);
    if (errno != 0 || end == item->valuestring || *end != '\0' || value < min ||
        value > max) {
        return false;
    }
    *out_value = value;
    return true;
}

static bool read_unsigned(const cJSON *item, uint64_t max, uint64_t *out_value)
{
    char *end;
    unsigned long long value;

    if (cJSON_IsNumber(item)) {
        double real = item->valuedouble;

        if (!(real >= 0 && real <= EXACT_MAX) || real > (double)max ||
            real != (double)(uint64_t)real) {
            return false;
        }
        *out_value = (uint64_t)real;
        return true;
    }
    if (!cJSON_IsString(item) || strlen(item->valuestring) > NUMBER_LEN_MAX ||
        strspn(item->valuestring, "0123456789") != strlen(item->valuestring)) {
        return false;
    }
    errno = 0;
    value = strtoull(item->valuestring, &end, 10);
    if (errno != 0 || end == item->valuestring || *end != '\0' || value > max) {
        return false;
    }
    *out_value = value;
    return true;
}

static bool read_real(const cJSON *item, double *out_value)
{
    static const struct {
        const char *text;
        double value;
    } names[] = {
        {"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};

    if (cJSON_IsNumber(item)) {
        *out_value = item->valuedouble;
        return true;
    }
    for (size_t i = 0;
         cJSON_IsString(item) && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(item->valuestring, names[i].text) == 0) {
            *out_value = names[i].value;
            return true;
        }
    }
    return false;
}

static int read_integer(struct reader *r, const struct place *place,
                        const cJSON *item, ProtobufCType type, void *element)
{
    bool is_signed =
        type == PROTOBUF_C_TYPE_INT32 || type == PROTOBUF_C_TYPE_SINT32 ||
        type == PROTOBUF_C_TYPE_SFIXED32 || type == PROTOBUF_C_TYPE_INT64 ||
        type == PROTOBUF_C_TYPE_SINT64 || type == PROTOBUF_C_TYPE_SFIXED64;
    bool is_wide = swki_type_size(type) == sizeof(int64_t);
    int64_t number = 0;
    uint64_t natural = 0;
    bool ok = is_signed ? read_signed(item, is_wide ? INT64_MIN : INT32_MIN,
                                      is_wide ? INT64_MAX : INT32_MAX, &number)
                        : read_unsigned(item, is_wide ? UINT64_MAX : UINT32_MAX,
                                        &natural);

    if (!ok) {
        return fail(r, place, "is no whole number, or one out of range");
    }
    if (is_signed) {
        natural = (uint64_t)number;
    }
    if (is_wide) {
        memcpy(element, &natural, sizeof(natural));
    } else {
        uint32_t narrow = (uint32_t)natural;

        memcpy(element, &narrow, sizeof(narrow));
    }
    return SWK_OK;
}

static int read_enum(struct reader *r, const struct place *place,
                     const cJSON *item, const ProtobufCEnumDescriptor *type,
                     int *out_value)
{
    const ProtobufCEnumValue *found;
    int64_t number;

    if (cJSON_IsNumber(item) &&
        read_signed(item, INT32_MIN, INT32_MAX, &number)) {
        *out_value = (int)number;
        return SWK_OK;
    }
    found = cJSON_IsString(item) ? protobuf_c_enum_descriptor_get_value_by_name(
                                       type, item->valuestring)
                                 : NULL;
    if (found == NULL) {
        return fail(r, place, "is none of the values that there are");
    }
    *out_value = found->value;
    return SWK_OK;
}

static int read_string(struct reader *r, const struct place *place,
                       const cJSON *item, char **out_text)
{
    if (!cJSON_IsString(item) ||
        !swki_utf8_is_text(item->valuestring, strlen(item->valuestring))) {
        return fail(r, place, "is no text in UTF-8");
    }
    *out_text = swki_arena_strdup(r->arena, item->valuestring);
    return *out_text != NULL ? SWK_OK : fail_room(r);
}

static int read_bytes(struct reader *r, const struct place *place,
                      const cJSON *item, ProtobufCBinaryData *out_bytes)
{
    size_t len;
    ProtobufCBinaryData bytes;

    if (!cJSON_IsString(item)) {
        return fail(r, place, "is no text in base 64");
    }
    len = strlen(item->valuestring);
    bytes.data = swki_arena_alloc(r->arena, len / 4 * 3 + 1);
    if (bytes.data == NULL) {
        return fail_room(r);
    }
    if (!swki_base64_decode(item->valuestring, len, bytes.data, &bytes.len)) {
        return fail(r, place, "is no text in base 64");
    }
    *out_bytes = bytes;
    return SWK_OK;
}

/* -- Messages ------------------------------------------------------------- */

static int read_message(struct reader *r, const struct place *place,
                        const cJSON *item,
                        const ProtobufCMessageDescriptor *type,
                        ProtobufCMessage **out_message);

static int read_element(struct reader *r, const struct place *place,
                        const cJSON *item,
                        const ProtobufCFieldDescriptor *field, void *element)
{
    double real;

    switch (field->type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        if (!read_real(item, &real)) {
            return fail(r, place, "is no number");
        }
        if (field->type == PROTOBUF_C_TYPE_FLOAT) {
            *(float *)element = (float)real;
        } else {
            *(double *)element = real;
        }
        return SWK_OK;
    case PROTOBUF_C_TYPE_BOOL:
        if (!cJSON_IsBool(item)) {
            return fail(r, place, "is neither true nor false");
        }
        *(protobuf_c_boolean *)element = cJSON_IsTrue(item);
        return SWK_OK;
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(r, place, item, field->descriptor, element);
    case PROTOBUF_C_TYPE_STRING:
        return read_string(r, place, item, element);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(r, place, item, element);
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_message(r, place, item, field->descriptor, element);
    default:
        return read_integer(r, place, item, field->type, element);
    }
}

static int read_list(struct reader *r, const struct place *place,
                     const cJSON *list, const ProtobufCFieldDescriptor *field,
                     void **out_array, size_t *out_count)
{
    size_t size = swki_type_size(field->type);
    struct place at = {.outer = place, .depth = place->depth};
    const cJSON *item;
    char *array;

    if (!cJSON_IsArray(list)) {
        return fail(r, place, "is no list");
    }
    array = swki_arena_calloc(r->arena, (size_t)cJSON_GetArraySize(list), size);
    if (array == NULL) {
        return fail_room(r);
    }
    cJSON_ArrayForEach(item, list)
    {
        int rc = read_element(r, &at, item, field, array + at.index * size);

        if (rc != 0) {
            return rc;
        }
        at.index++;
    }
    *out_array = array;
    *out_count = at.index;
    return SWK_OK;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(swki_entry_key(swki_pointer_at(a, 0)),
                  swki_entry_key(swki_pointer_at(b, 0)));
}

/* One entry of a map: a message of a key and a value. */
static int read_entry(struct reader *r, const struct place *at,
                      const cJSON *item, const ProtobufCMessageDescriptor *type,
                      ProtobufCMessage **out_entry)
{
    const ProtobufCFieldDescriptor *value = &type->fields[1];
    ProtobufCMessage *entry = swki_arena_alloc(r->arena, type->sizeof_message);
    char *key = swki_arena_strdup(r->arena, item->string);

    if (entry == NULL || key == NULL) {
        return fail_room(r);
    }
    if (!swki_utf8_is_text(key, strlen(key))) {
        return fail(r, at->outer, "has a key that is no text in UTF-8");
    }
    protobuf_c_message_init(type, entry);
    *(char **)((char *)entry + type->fields[0].offset) = key;
    *out_entry = entry;
    return read_element(r, at, item, value, (char *)entry + value->offset);
}

static int read_map(struct reader *r, const struct place *place,
                    const cJSON *map, const ProtobufCFieldDescriptor *field,
                    void **out_array, size_t *out_count)
{
    ProtobufCMessage **entries;
    const cJSON *item;
    size_t count = 0;

    if (!cJSON_IsObject(map)) {
        return fail(r, place, "is no object of keys and values");
    }
    entries = swki_arena_calloc(r->arena, (size_t)cJSON_GetArraySize(map),
                                sizeof(*entries));
    if (entries == NULL) {
        return fail_room(r);
    }
    cJSON_ArrayForEach(item, map)
    {
        const struct place at = {place, item->string, 0, place->depth};
        int rc = read_entry(r, &at, item, field->descriptor, &entries[count]);

        if (rc != 0) {
            return rc;
        }
        count++;
    }
    if (count > 1) {
        qsort(entries, count, sizeof(*entries), compare_entries);
    }
    for (size_t i = 1; i < count; i++) {
        if (compare_entries(&entries[i - 1], &entries[i]) == 0) {
            return fail(r, place, "has a key twice");
        }
    }
    *out_array = entries;
    *out_count = count;
    return SWK_OK;
}

static int read_repeated(struct reader *r, const struct place *place,
                         const cJSON *item, ProtobufCMessage *message,
                         const ProtobufCFieldDescriptor *field)
{
    void *array = NULL;
    size_t count = 0;
    int rc = swki_field_is_map(message->descriptor, field)
                 ? read_map(r, place, item, field, &array, &count)
                 : read_list(r, place, item, field, &array, &count);

    if (rc == 0 && count > 0) {
        *(void **)((char *)message + field->offset) = array;
        *(size_t *)((char *)message + field->quantifier_offset) = count;
    }
    return rc;
}

static int read_field(struct reader *r, const struct place *place,
                      const cJSON *item, ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field)
{
    void *quantifier = (char *)message + field->quantifier_offset;

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return read_repeated(r, place, item, message, field);
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        if (*(uint32_t *)quantifier != 0) {
            return fail(r, place, "excludes another field that is set too");
        }
        *(uint32_t *)quantifier = field->id;
    } else if (field->label == PROTOBUF_C_LABEL_OPTIONAL &&
               field->type != PROTOBUF_C_TYPE_STRING &&
               field->type != PROTOBUF_C_TYPE_MESSAGE) {
        *(protobuf_c_boolean *)quantifier = 1;
    }
    return read_element(r, place, item, field, (char *)message + field->offset);
}

/* Whether the key is the field's name in lowerCamelCase, or as it is in the
 * schema. */
static bool is_named(const char *name, const char *key)
{
    const char *at = key;

    if (strcmp(name, key) == 0) {
        return true;
    }
    for (; *name != '\0'; name++) {
        char expected = *name;

        if (*name == '_') {
            if (name[1] < 'a' || name[1] > 'z') {
                continue;
            }
            expected = (char)(*++name - 'a' + 'A');
        }
        if (*at++ != expected) {
            return false;
        }
    }
    return *at == '\0';
}

static unsigned find_field(const ProtobufCMessageDescriptor *type,
                           const char *key)
{
    unsigned i = 0;

    while (i < type->n_fields && !is_named(type->fields[i].name, key)) {
        i++;
    }
    return i;
}

static int read_fields(struct reader *r, const struct place *place,
                       const cJSON *object, ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    uint64_t seen = 0;
    const cJSON *item;

    cJSON_ArrayForEach(item, object)
    {
        const struct place at = {place, item->string, 0,
                                 place != NULL ? place->depth + 1 : 1};
        unsigned i = find_field(type, item->string);
        int rc;

        if (i == type->n_fields || i >= FIELDS_MAX) {
            return fail(r, &at, "there is no such field");
        }
        if ((seen & UINT64_C(1) << i) != 0) {
            return fail(r, &at, "is there twice");
        }
        seen |= UINT64_C(1) << i;
        if (cJSON_IsNull(item)) {
            continue; /* the default */
        }
        rc = read_field(r, &at, item, message, &type->fields[i]);
        if (rc != 0) {
            return rc;
        }
    }
    return SWK_OK;
}

static int read_text_time(struct reader *r, const struct place *place,
                          const cJSON *item, ProtobufCMessage *message)
{
    if (strcmp(message->descriptor->short_name, "Timestamp") == 0) {
        Swkpb__Timestamp *time = (Swkpb__Timestamp *)message;

        return swki_rfc3339_read_timestamp(item->valuestring, &time->seconds,
                                           &time->nanos)
                   ? SWK_OK
                   : fail(r, place, "is no time as in RFC 3339");
    }
    if (strcmp(message->descriptor->short_name, "Duration") == 0) {
        Swkpb__Duration *span = (Swkpb__Duration *)message;

        return swki_rfc3339_read_duration(item->valuestring, &span->seconds,
                                          &span->nanos)
                   ? SWK_OK
                   : fail(r, place, "is no duration in seconds");
    }
    return fail(r, place, "is no object");
}

/* Times and wrapped scalars have forms of their own. */
static int read_content(struct reader *r, const struct place *place,
                        const cJSON *item, ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    bool is_well_known = strcmp(type->package_name, "google.protobuf") == 0;

    if (is_well_known && type->n_fields == 1) {
        return read_element(r, place, item, &type->fields[0],
                            (char *)message + type->fields[0].offset);
    }
    if (is_well_known && cJSON_IsString(item)) {
        return read_text_time(r, place, item, message);
    }
    return cJSON_IsObject(item) ? read_fields(r, place, item, message)
                                : fail(r, place, "is no object");
}

static int read_message(struct reader *r, const struct place *place,
                        const cJSON *item,
                        const ProtobufCMessageDescriptor *type,
                        ProtobufCMessage **out_message)
{
    ProtobufCMessage *message;

    if (place != NULL && place->depth >= SWKI_MESSAGE_DEPTH_MAX) {
        return swki_fail(r->err, SWK_ELIMIT, "JSON: messages are too deep");
    }
    message = swki_arena_alloc(r->arena, type->sizeof_message);
    if (message == NULL) {
        return fail_room(r);
    }
    protobuf_c_message_init(type, message);
    *out_message = message;
    return read_content(r, place, item, message);
}

/* -- The text ------------------------------------------------------------- */

/* The length of a string with its quotes, 0 if it is none that JSON allows. */
static size_t string_len(const char *text, size_t len)
{
    for (size_t at = 1; at < len; at++) {
        if (text[at] == '"') {
            return at + 1;
        }
        if ((unsigned char)text[at] < 0x20) {
            return 0;
        }
        if (text[at] == '\\') {
            if (len - at > 5 && memcmp(text + at, "\\u0000", 6) == 0) {
                return 0;
            }
            at++;
        }
    }
    return 0;
}

/* The number of the line that byte `at` is on, from 1. */
static size_t line_of(const char *text, size_t at)
{
    size_t line = 1;

    for (size_t i = 0; i < at; i++) {
        line += text[i] == '\n';
    }
    return line;
}

/* Finds what the parser would accept and must not. */
static int check_text(const char *text, size_t len, struct swk_error *err)
{
    unsigned nesting = 0;

    if (len > SWKI_MESSAGE_SIZE_MAX) {
        return swki_fail(err, SWK_ELIMIT, "JSON: the text is too long");
    }
    for (size_t at = 0; at < len; at++) {
        size_t string;

        switch (text[at]) {
        case '{':
        case '[':
            if (++nesting > SWKI_JSON_NESTING_MAX) {
                return swki_fail(err, SWK_ELIMIT, "JSON: nested too deep");
            }
            break;
        case '}':
        case ']':
            nesting -= nesting > 0;
            break;
        case '"':
            string = string_len(text + at, len - at);
            if (string == 0) {
                return swki_fail(err, SWK_EMALFORMED,
                                 "JSON: a string that does not end, or holds "
                                 "what it must not, on line %zu, byte %zu",
                                 line_of(text, at), at);
            }
            at += string - 1;
            break;
        default:
            break;
        }
    }
    return SWK_OK;
}

static bool is_blank(const char *at, const char *end)
{
    while (at < end && strchr(" \t\r\n", *at) != NULL && *at != '\0') {
        at++;
    }
    return at == end;
}

/* The tree holds secrets: they are wiped before it goes. Its depth is known to
 * be small. */
static void wipe_strings(cJSON *item)
{
    cJSON *child;

    if (item != NULL && item->valuestring != NULL) {
        explicit_bzero(item->valuestring, strlen(item->valuestring));
    }
    cJSON_ArrayForEach(child, item)
    {
        wipe_strings(child);
    }
}

int swki_message_from_json(const ProtobufCMessageDescriptor *type,
                           const char *text, size_t len,
                           struct swki_arena *arena,
                           ProtobufCMessage **out_message,
                           struct swk_error *err)
{
    struct reader reader = {.arena = arena, .err = err};
    const char *end = text;
    cJSON *tree;
    int rc = check_text(text, len, err);

    if (rc != 0) {
        return rc;
    }
    tree = cJSON_ParseWithLengthOpts(text, len, &end, 0);
    if (tree == NULL || !is_blank(end, text + len)) {
        rc = swki_fail(err, SWK_EMALFORMED,
                       "JSON: not what is expected on line %zu, byte %zu",
                       line_of(text, (size_t)(end - text)),
                       (size_t)(end - text));
    } else {
        rc = read_message(&reader, NULL, tree, type, out_message);
    }
    wipe_strings(tree);
    cJSON_Delete(tree);
    return rc;
}
