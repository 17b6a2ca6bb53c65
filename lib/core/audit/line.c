/* SPDX-License-Identifier: Apache-2.0 */

#include "core/audit/line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "wire/rfc3339.h"

_Static_assert((int)SWKI_AUDIT_TIME_SIZE == (int)SWKI_RFC3339_SIZE,
               "a time has room");

static const char hash_field[] = ",\"hash\":\"";

enum {
    HASH_FIELD_LEN = sizeof(hash_field) - 1,
    /* ,"hash":"..."} */
    TAIL_LEN = HASH_FIELD_LEN + SWKI_SHA256_HEX_LEN + 2,
};

/* -- Writing -------------------------------------------------------------- */

static void put_escaped(struct swki_buf *buf, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)text[i];
        size_t count = swki_utf8_character_len(text + i, len - i);

        if (c == '"' || c == '\\') {
            swki_buf_append_byte(buf, '\\');
            swki_buf_append_byte(buf, c);
        } else if (c < ' ' || c == 0x7f) {
            swki_buf_printf(buf, "\\u%04x", c);
        } else if (count == 0) {
            swki_buf_append_byte(buf, '?');
        } else {
            swki_buf_append(buf, text + i, count);
        }
        i += count > 0 ? count : 1;
    }
}

static void put_hash(struct swki_buf *buf, const uint8_t hash[SWKI_SHA256_SIZE])
{
    char hex[SWKI_SHA256_HEX_LEN + 1];

    swki_sha256_hex(hash, hex);
    swki_buf_append(buf, hex, SWKI_SHA256_HEX_LEN);
}

struct swki_audit_line swki_audit_line_begin(struct swki_buf *buf,
                                             const struct swki_audit_link *last,
                                             swk_wall wall, const char *type)
{
    struct swki_audit_line line = {.buf = buf, .start = buf->len};
    char time[SWKI_AUDIT_TIME_SIZE];

    swki_audit_time_text(wall, time);
    buf->failed = false;
    swki_buf_printf(buf, "{\"seq\":%" PRIu64 ",\"time\":\"%s\",\"type\":\"%s\"",
                    last->seq + 1, time, type);
    return line;
}

void swki_audit_line_text(const struct swki_audit_line *line, const char *name,
                          const char *text)
{
    size_t len = text != NULL ? strnlen(text, SWKI_AUDIT_TEXT_MAX + 1) : 0;

    if (len == 0) {
        return;
    }
    swki_buf_append_text(line->buf, ",\"");
    swki_buf_append_text(line->buf, name);
    swki_buf_append_text(line->buf, "\":\"");
    if (len > SWKI_AUDIT_TEXT_MAX) {
        /* A character that the cut goes through becomes '?'. */
        put_escaped(line->buf, text, SWKI_AUDIT_TEXT_MAX);
        swki_buf_append_text(line->buf, "...");
    } else {
        put_escaped(line->buf, text, len);
    }
    swki_buf_append_byte(line->buf, '"');
}

void swki_audit_line_number(const struct swki_audit_line *line,
                            const char *name, uint64_t number)
{
    swki_buf_printf(line->buf, ",\"%s\":%" PRIu64, name, number);
}

bool swki_audit_line_end(const struct swki_audit_line *line,
                         struct swki_audit_link *last)
{
    struct swki_buf *buf = line->buf;
    uint8_t hash[SWKI_SHA256_SIZE];
    bool ok;

    swki_buf_append_text(buf, ",\"prev\":\"");
    put_hash(buf, last->hash);
    swki_buf_append_byte(buf, '"');
    ok = !buf->failed &&
         swki_sha256_tagged(SWKI_AUDIT_TAG, buf->data + line->start,
                            buf->len - line->start, hash);
    if (ok) {
        swki_buf_append(buf, hash_field, HASH_FIELD_LEN);
        put_hash(buf, hash);
        swki_buf_append_text(buf, "\"}\n");
        ok = !buf->failed;
    }
    if (!ok) {
        buf->len = line->start;
        return false;
    }
    last->seq++;
    memcpy(last->hash, hash, sizeof(hash));
    return true;
}

/* -- Reading fields ------------------------------------------------------- */

/* A place in a text that is read. */
struct reader {
    const char *at;
    const char *end;
};

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c) {
        return false;
    }
    r->at++;
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool take_escape(struct reader *r)
{
    if (take(r, '"') || take(r, '\\')) {
        return true;
    }
    if (r->end - r->at < 5 || r->at[0] != 'u' || r->at[1] != '0' ||
        r->at[2] != '0' || !is_hex(r->at[3]) || !is_hex(r->at[4])) {
        return false;
    }
    r->at += 5;
    return true;
}

/* What stands between quotation marks. */
static bool take_text(struct reader *r, const char **out_text, size_t *out_len)
{
    if (!take(r, '"')) {
        return false;
    }
    *out_text = r->at;
    while (r->at < r->end && *r->at != '"') {
        if ((unsigned char)*r->at < ' ') {
            return false;
        }
        if (*r->at++ == '\\' && !take_escape(r)) {
            return false;
        }
    }
    *out_len = (size_t)(r->at - *out_text);
    return take(r, '"');
}

static bool take_number(struct reader *r, const char **out_text,
                        size_t *out_len)
{
    *out_text = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        r->at++;
    }
    *out_len = (size_t)(r->at - *out_text);
    return *out_len > 0 && (*out_len == 1 || **out_text != '0');
}

static bool take_field(struct reader *r, struct swki_audit_field *field)
{
    if (!take_text(r, &field->name, &field->name_len) || !take(r, ':') ||
        r->at == r->end) {
        return false;
    }
    field->is_text = *r->at == '"';
    return field->is_text ? take_text(r, &field->value, &field->value_len)
                          : take_number(r, &field->value, &field->value_len);
}

bool swki_audit_fields_read(const char *text, size_t len,
                            struct swki_audit_fields *out_fields)
{
    struct reader r = {text, text + len};

    out_fields->count = 0;
    if (!take(&r, '{')) {
        return false;
    }
    do {
        if (out_fields->count == SWKI_AUDIT_FIELDS_MAX ||
            !take_field(&r, &out_fields->list[out_fields->count])) {
            return false;
        }
        out_fields->count++;
    } while (take(&r, ','));
    return take(&r, '}') && r.at == r.end;
}

const struct swki_audit_field *
swki_audit_fields_find(const struct swki_audit_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct swki_audit_field *field = &fields->list[i];

        if (strlen(name) == field->name_len &&
            memcmp(name, field->name, field->name_len) == 0) {
            return field;
        }
    }
    return NULL;
}

bool swki_audit_field_number(const struct swki_audit_field *field,
                             uint64_t *out_number)
{
    uint64_t number = 0;

    if (field == NULL || field->is_text) {
        return false;
    }
    for (size_t i = 0; i < field->value_len; i++) {
        unsigned digit = (unsigned)(field->value[i] - '0');

        if (number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *out_number = number;
    return true;
}

static unsigned hex_value(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

bool swki_audit_hex_read(const char *hex, size_t len, uint8_t *out_bytes)
{
    if (len % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_hex(hex[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < len / 2; i++) {
        out_bytes[i] =
            (uint8_t)(hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1]));
    }
    return true;
}

bool swki_audit_hash_read(const char *hex, size_t len,
                          uint8_t out_hash[SWKI_SHA256_SIZE])
{
    return len == SWKI_SHA256_HEX_LEN &&
           swki_audit_hex_read(hex, len, out_hash);
}

bool swki_audit_field_hash(const struct swki_audit_field *field,
                           uint8_t out_hash[SWKI_SHA256_SIZE])
{
    return field != NULL && field->is_text &&
           swki_audit_hash_read(field->value, field->value_len, out_hash);
}

bool swki_audit_field_is(const struct swki_audit_field *field, const char *text)
{
    return field != NULL && strlen(text) == field->value_len &&
           memcmp(text, field->value, field->value_len) == 0;
}

/* A character after a backslash, or the byte itself. */
static char next_character(const char *text, size_t *at)
{
    char c = text[(*at)++];

    if (c == '\\') {
        c = text[(*at)++];
        if (c == 'u') {
            c = (char)(hex_value(text[*at + 2]) << 4 |
                       hex_value(text[*at + 3]));
            *at += 4;
        }
    }
    return c;
}

void swki_audit_field_text(const struct swki_audit_field *field, char *buf,
                           size_t size)
{
    size_t len = field != NULL ? field->value_len : 0;
    size_t used = 0;

    for (size_t at = 0; at < len && used + 1 < size;) {
        buf[used++] = next_character(field->value, &at);
    }
    buf[used] = '\0';
    swki_utf8_repair(buf); /* the room may end within a character */
}

/* -- Times ---------------------------------------------------------------- */

void swki_audit_time_text(swk_wall wall, char out_text[SWKI_AUDIT_TIME_SIZE])
{
    int64_t seconds = wall / (int64_t)SWK_SECOND;
    int64_t nanos = wall % (int64_t)SWK_SECOND;

    if (nanos < 0) {
        seconds--;
        nanos += (int64_t)SWK_SECOND;
    }
    if (!swki_rfc3339_timestamp(seconds, (int32_t)nanos, out_text)) {
        out_text[0] = '\0'; /* 64 bits of nanoseconds stay within the years */
    }
}

bool swki_audit_time_read(const struct swki_audit_field *field,
                          swk_wall *out_wall)
{
    char text[SWKI_AUDIT_TIME_SIZE];
    int64_t seconds;
    int32_t nanos;

    swki_audit_field_text(field, text, sizeof(text));
    if (!swki_rfc3339_read_timestamp(text, &seconds, &nanos) ||
        seconds > INT64_MAX / (int64_t)SWK_SECOND - 1 ||
        seconds < INT64_MIN / (int64_t)SWK_SECOND + 1) {
        return false;
    }
    *out_wall = seconds * (int64_t)SWK_SECOND + nanos;
    return true;
}

/* -- Reading records ------------------------------------------------------ */

static bool named(const struct swki_audit_field *field, const char *name)
{
    return strlen(name) == field->name_len &&
           memcmp(name, field->name, field->name_len) == 0;
}

/* The fields that all records have, at their places. */
static bool has_frame(const struct swki_audit_fields *fields)
{
    const struct swki_audit_field *list = fields->list;
    size_t count = fields->count;

    return count >= 5 && named(&list[0], "seq") && named(&list[1], "time") &&
           named(&list[2], "type") && named(&list[count - 2], "prev") &&
           named(&list[count - 1], "hash");
}

bool swki_audit_record_read(const char *line, size_t len,
                            struct swki_audit_record *out_record)
{
    struct swki_audit_fields *fields = &out_record->fields;
    uint8_t hash[SWKI_SHA256_SIZE];

    if (len > SWKI_AUDIT_LINE_MAX || len < TAIL_LEN ||
        memcmp(line + len - TAIL_LEN, hash_field, HASH_FIELD_LEN) != 0 ||
        !swki_audit_fields_read(line, len, fields) || !has_frame(fields)) {
        return false;
    }
    return swki_audit_field_number(&fields->list[0], &out_record->link.seq) &&
           swki_audit_time_read(&fields->list[1], &out_record->time) &&
           swki_audit_field_hash(&fields->list[fields->count - 2],
                                 out_record->prev) &&
           swki_audit_field_hash(&fields->list[fields->count - 1],
                                 out_record->link.hash) &&
           swki_sha256_tagged(SWKI_AUDIT_TAG, line, len - TAIL_LEN, hash) &&
           memcmp(hash, out_record->link.hash, sizeof(hash)) == 0;
}
