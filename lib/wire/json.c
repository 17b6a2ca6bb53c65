/* SPDX-License-Identifier: Apache-2.0 */

#include "wire/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/utf8.h"
#include "wire/fields.h"
#include "wire/message.h"
#include "wire/rfc3339.h"

struct writer {
    struct swki_buf *out; /* remembers a failure, so nothing here checks */
    enum swki_json_style style;
    unsigned level;
    bool is_first; /* nothing was written in the innermost brackets yet */
};

static void write_text(struct writer *w, const char *text)
{
    swki_buf_append_text(w->out, text);
}

static void write_line_end(struct writer *w)
{
    if (w->style == SWKI_JSON_COMPACT) {
        return;
    }
    write_text(w, "\n");
    for (unsigned i = 0; i < w->level; i++) {
        write_text(w, "  ");
    }
}

static void open_bracket(struct writer *w, const char *bracket)
{
    write_text(w, bracket);
    w->level++;
    w->is_first = true;
}

static void start_item(struct writer *w)
{
    if (!w->is_first) {
        write_text(w, ",");
    }
    write_line_end(w);
    w->is_first = false;
}

static void close_bracket(struct writer *w, const char *bracket)
{
    w->level--;
    if (!w->is_first) {
        write_line_end(w);
    }
    write_text(w, bracket);
    w->is_first = false;
}

/* Writes what needs a backslash; control characters have no other form. */
static void write_escaped(struct writer *w, char character)
{
    static const char plain[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    const char *found = strchr(plain, character);

    if (found != NULL) {
        swki_buf_append_byte(w->out, '\\');
        swki_buf_append_byte(w->out, (uint8_t)letters[found - plain]);
        return;
    }
    swki_buf_printf(w->out, "\\u%04x", (unsigned)(unsigned char)character);
}

/* Bytes at the start of text that go out as they are. */
static size_t plain_len(const char *text, size_t len)
{
    size_t at = 0;

    while (at < len) {
        size_t step = swki_utf8_character_len(text + at, len - at);

        if (step == 0 || (unsigned char)text[at] < 0x20 || text[at] == '"' ||
            text[at] == '\\') {
            break;
        }
        at += step;
    }
    return at;
}

/* NULL is "". A message that was not decoded may hold bytes that are not UTF-8;
 * the replacement character stands for each of them. */
static void write_string(struct writer *w, const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;

    write_text(w, "\"");
    while (len > 0) {
        size_t plain = plain_len(text, len);

        swki_buf_append(w->out, text, plain);
        text += plain;
        len -= plain;
        if (len == 0) {
            break;
        }
        if (swki_utf8_character_len(text, len) == 0) {
            write_text(w, "\xef\xbf\xbd");
        } else {
            write_escaped(w, *text);
        }
        text++;
        len--;
    }
    write_text(w, "\"");
}

static void write_bytes(struct writer *w, const ProtobufCBinaryData *bytes)
{
    size_t len = swki_base64_len(bytes->len);
    uint8_t *room;

    write_text(w, "\"");
    room = swki_buf_reserve(w->out, len);
    if (room != NULL) {
        swki_base64_encode(bytes->data, bytes->len, (char *)room);
        w->out->len += len;
    }
    write_text(w, "\"");
}

/* A short text that reads back as the number. digits are how many always
 * do, and some that often do are tried first. */
static void write_real(struct writer *w, double value, int digits, bool narrow)
{
    char text[40];
    int tried = narrow ? 6 : 15;

    if (isnan(value) || isinf(value)) {
        write_text(w, isnan(value) ? "\"NaN\""
                      : value > 0  ? "\"Infinity\""
                                   : "\"-Infinity\"");
        return;
    }
    do {
        double again;

        snprintf(text, sizeof(text), "%.*g", tried, value);
        again = strtod(text, NULL);
        if (narrow ? (float)again == (float)value : again == value) {
            break;
        }
    } while (tried++ < digits);
    for (const char *at = text; *at != '\0'; at++) {
        /* The locale chose the decimal point, of one byte or several. */
        if (strchr("0123456789+-e", *at) != NULL) {
            swki_buf_append_byte(w->out, (uint8_t)*at);
        } else if (at == text || strchr("0123456789", at[-1]) != NULL) {
            swki_buf_append_byte(w->out, '.');
        }
    }
}

static void write_enum(struct writer *w, const ProtobufCEnumDescriptor *type,
                       int value)
{
    const char *name = swki_enum_name(type, value);

    if (name != NULL) {
        write_string(w, name);
    } else {
        swki_buf_printf(w->out, "%d", value);
    }
}

static void write_fields(struct writer *w, const ProtobufCMessage *message);

/* Times and wrapped scalars have forms of their own. */
static bool write_well_known(struct writer *w, const ProtobufCMessage *message);

static void write_message(struct writer *w, const ProtobufCMessage *message)
{
    if (message == NULL) {
        write_text(w, "{}");
        w->is_first = false;
    } else if (!write_well_known(w, message)) {
        write_fields(w, message);
    }
}

static void write_element(struct writer *w,
                          const ProtobufCFieldDescriptor *field,
                          const void *element)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        swki_buf_printf(w->out, "%" PRId32, *(const int32_t *)element);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        swki_buf_printf(w->out, "%" PRIu32, *(const uint32_t *)element);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        swki_buf_printf(w->out, "\"%" PRId64 "\"", *(const int64_t *)element);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        swki_buf_printf(w->out, "\"%" PRIu64 "\"", *(const uint64_t *)element);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        write_real(w, (double)*(const float *)element, 9, true);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        write_real(w, *(const double *)element, 17, false);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        write_text(w, *(const protobuf_c_boolean *)element ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        write_enum(w, field->descriptor, *(const int *)element);
        break;
    case PROTOBUF_C_TYPE_STRING:
        write_string(w, swki_pointer_at(element, 0));
        break;
    case PROTOBUF_C_TYPE_BYTES:
        write_bytes(w, element);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        write_message(w, swki_pointer_at(element, 0));
        break;
    }
}

static bool write_well_known(struct writer *w, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    char text[SWKI_RFC3339_SIZE];
    bool has_text = false;

    if (strcmp(type->package_name, "google.protobuf") != 0) {
        return false;
    }
    if (type->n_fields == 1) { /* StringValue and its like */
        write_element(w, &type->fields[0],
                      swki_field_member(message, &type->fields[0]));
        return true;
    }
    if (strcmp(type->short_name, "Timestamp") == 0) {
        const Swkpb__Timestamp *time = (const Swkpb__Timestamp *)message;

        has_text = swki_rfc3339_timestamp(time->seconds, time->nanos, text);
    } else if (strcmp(type->short_name, "Duration") == 0) {
        const Swkpb__Duration *span = (const Swkpb__Duration *)message;

        has_text = swki_rfc3339_duration(span->seconds, span->nanos, text);
    }
    if (has_text) {
        write_string(w, text);
    }
    return has_text; /* else it is shown as it is, for who looks for the fault
                      */
}

/* "id_prefixes" as "idPrefixes"; what is no '_' stays. */
static void write_name(struct writer *w, const char *name)
{
    start_item(w);
    write_text(w, "\"");
    for (; *name != '\0'; name++) {
        bool is_raised = *name == '_' && name[1] >= 'a' && name[1] <= 'z';

        if (is_raised) {
            name++;
            swki_buf_append_byte(w->out, (uint8_t)(*name - 'a' + 'A'));
        } else if (*name != '_') {
            swki_buf_append_byte(w->out, (uint8_t)*name);
        }
    }
    write_text(w, w->style == SWKI_JSON_COMPACT ? "\":" : "\": ");
}

static void write_map(struct writer *w, const void *entries, size_t count)
{
    open_bracket(w, "{");
    for (size_t i = 0; i < count; i++) {
        const ProtobufCMessage *entry = swki_pointer_at(entries, i);
        const ProtobufCFieldDescriptor *value = &entry->descriptor->fields[1];

        start_item(w);
        write_string(w, swki_entry_key(entry));
        write_text(w, w->style == SWKI_JSON_COMPACT ? ":" : ": ");
        write_element(w, value, swki_field_member(entry, value));
    }
    close_bracket(w, "}");
}

static void write_list(struct writer *w, const ProtobufCFieldDescriptor *field,
                       const void *array, size_t count)
{
    size_t size = swki_type_size(field->type);

    open_bracket(w, "[");
    for (size_t i = 0; i < count; i++) {
        start_item(w);
        write_element(w, field, (const char *)array + i * size);
    }
    close_bracket(w, "]");
}

/* Whether a member has the value that its absence stands for. */
static bool is_default(const ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field)
{
    static const char zeros[8];
    const void *member = swki_field_member(message, field);

    if (field->label != PROTOBUF_C_LABEL_NONE ||
        (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        return false;
    }
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = swki_pointer_at(member, 0);

        return text == NULL || *text == '\0';
    }
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)member)->len == 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return false;
    default:
        return memcmp(member, zeros, swki_type_size(field->type)) == 0;
    }
}

static void write_field(struct writer *w, const ProtobufCMessage *message,
                        const ProtobufCFieldDescriptor *field)
{
    const void *member = swki_field_member(message, field);
    size_t count;

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        if (swki_field_is_set(message, field) && !is_default(message, field)) {
            write_name(w, field->name);
            write_element(w, field, member);
        }
        return;
    }
    count = swki_field_count(message, field);
    if (count == 0) {
        return;
    }
    write_name(w, field->name);
    if (swki_field_is_map(message->descriptor, field)) {
        write_map(w, *(void *const *)member, count);
    } else {
        write_list(w, field, *(void *const *)member, count);
    }
}

static void write_fields(struct writer *w, const ProtobufCMessage *message)
{
    open_bracket(w, "{");
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        write_field(w, message, &message->descriptor->fields[i]);
    }
    close_bracket(w, "}");
}

int swki_message_to_json(const ProtobufCMessage *message,
                         enum swki_json_style style, struct swki_buf *out,
                         struct swk_error *err)
{
    struct writer writer = {.out = out, .style = style};
    size_t start = out->len;

    write_message(&writer, message);
    if (!out->failed) {
        return SWK_OK;
    }
    out->len = start;
    return out->limit == SIZE_MAX
               ? swki_fail_nomem(err)
               : swki_fail(err, SWK_ELIMIT, "%s as JSON does not fit",
                           message->descriptor->name);
}
