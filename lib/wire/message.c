/* SPDX-License-Identifier: Apache-2.0 */

/*
 * protobuf-c does the decoding. It accepts what would hurt later, though: any
 * bytes as strings, cut at the first NUL, and sub-messages of any depth, by
 * recursion. So the encoded message is checked first, by the same descriptors.
 */

#include "wire/message.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "wire/fields.h"

enum {
    MEMORY_FLOOR = 64 * 1024,
    MEMORY_FACTOR = 16,
    FIELD_NUMBER_MAX = (1 << 29) - 1,
    WIRE_TYPE_BITS = 3,
};

size_t swki_message_memory_max(size_t len)
{
    return len > (SIZE_MAX - MEMORY_FLOOR) / MEMORY_FACTOR
               ? SIZE_MAX
               : len * MEMORY_FACTOR + MEMORY_FLOOR;
}

/* What is left to read. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

/* One message, at whatever depth, under examination. */
struct check {
    const ProtobufCMessageDescriptor *type; /* of the outermost */
    struct swk_error *err;
    bool has_maps;
};

static bool read_varint(struct reader *reader, uint64_t *out_value)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte;

        if (reader->at == reader->end) {
            return false;
        }
        byte = *reader->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *out_value = value;
            return true;
        }
    }
    return false;
}

static bool skip(struct reader *reader, uint64_t len)
{
    if (len > (uint64_t)(reader->end - reader->at)) {
        return false;
    }
    reader->at += len;
    return true;
}

/* Passes over a value; *out_payload is what a length-prefixed one holds. */
static bool read_value(struct reader *reader, unsigned wire_type,
                       struct reader *out_payload)
{
    uint64_t number;

    switch (wire_type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return read_varint(reader, &number);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        return skip(reader, 8);
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        return skip(reader, 4);
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (!read_varint(reader, &number)) {
            return false;
        }
        out_payload->at = reader->at;
        if (!skip(reader, number)) {
            return false;
        }
        out_payload->end = reader->at;
        return true;
    default: /* groups, and numbers without a meaning */
        return false;
    }
}

static int check_body(struct check *check,
                      const ProtobufCMessageDescriptor *type,
                      struct reader reader, unsigned depth);

static int check_payload(struct check *check,
                         const ProtobufCMessageDescriptor *type,
                         const ProtobufCFieldDescriptor *field,
                         struct reader payload, unsigned depth)
{
    if (field->type == PROTOBUF_C_TYPE_STRING &&
        !swki_utf8_is_text(payload.at, (size_t)(payload.end - payload.at))) {
        return swki_fail(check->err, SWK_EMALFORMED,
                         "invalid %s: %s.%s is not UTF-8 text",
                         check->type->name, type->short_name, field->name);
    }
    if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return SWK_OK;
    }
    if (depth == SWKI_MESSAGE_DEPTH_MAX) {
        return swki_fail(check->err, SWK_ELIMIT,
                         "invalid %s: more than %d levels deep",
                         check->type->name, SWKI_MESSAGE_DEPTH_MAX);
    }
    check->has_maps = check->has_maps || swki_field_is_map(type, field);
    return check_body(check, field->descriptor, payload, depth + 1);
}

static int check_body(struct check *check,
                      const ProtobufCMessageDescriptor *type,
                      struct reader reader, unsigned depth)
{
    while (reader.at < reader.end) {
        const ProtobufCFieldDescriptor *field;
        struct reader payload = {0};
        uint64_t tag;
        uint64_t number;
        int rc;

        if (!read_varint(&reader, &tag) || tag >> WIRE_TYPE_BITS == 0 ||
            tag >> WIRE_TYPE_BITS > FIELD_NUMBER_MAX ||
            !read_value(&reader, tag & ((1 << WIRE_TYPE_BITS) - 1), &payload)) {
            return swki_fail(check->err, SWK_EMALFORMED,
                             "invalid %s: damaged encoding of %s",
                             check->type->name, type->short_name);
        }
        number = tag >> WIRE_TYPE_BITS;
        field = payload.at == NULL ? NULL
                                   : protobuf_c_message_descriptor_get_field(
                                         type, (unsigned)number);
        rc = field == NULL ? SWK_OK
                           : check_payload(check, type, field, payload, depth);
        if (rc != SWK_OK) {
            return rc;
        }
    }
    return SWK_OK;
}

/* An arena as protobuf-c wants it, and why it gave nothing. */
struct source {
    struct swki_arena *arena;
    int rc;
};

static void *source_alloc(void *ctx, size_t size)
{
    struct source *source = ctx;
    void *ptr = swki_arena_alloc(source->arena, size);
    size_t left = source->arena->limit - source->arena->used;

    if (ptr == NULL) {
        /* The arena rounds sizes up. */
        source->rc =
            left < _Alignof(max_align_t) || size > left - _Alignof(max_align_t)
                ? SWK_ELIMIT
                : SWK_ENOMEM;
    }
    return ptr;
}

static void source_free(void *ctx, void *ptr)
{
    (void)ctx;
    (void)ptr; /* goes with the arena */
}

/* Merges two sorted runs; of equal keys the first run's come first. */
static void merge_runs(void *const *from, size_t middle, size_t end, void **to)
{
    size_t left = 0;
    size_t right = middle;

    for (size_t i = 0; i < end; i++) {
        bool take_left =
            right == end ||
            (left < middle && strcmp(swki_entry_key(from[left]),
                                     swki_entry_key(from[right])) <= 0);

        to[i] = from[take_left ? left++ : right++];
    }
}

/* Sorts by key and keeps the order of equal keys, which qsort() does not. */
static void sort_entries(void **entries, size_t count, void **scratch)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t at = 0; at < count; at += 2 * width) {
            size_t end = count - at < 2 * width ? count - at : 2 * width;
            size_t middle = end < width ? end : width;

            merge_runs(entries + at, middle, end, scratch + at);
        }
        memcpy(entries, scratch, count * sizeof(*entries));
    }
}

/* Drops all but the last of entries with the same key, and says how many are
 * left. */
static size_t drop_overridden(void **entries, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && strcmp(swki_entry_key(entries[i]),
                                    swki_entry_key(entries[i + 1])) == 0) {
            continue;
        }
        entries[kept++] = entries[i];
    }
    return kept;
}

static bool is_ascending(void *const *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (strcmp(swki_entry_key(entries[i - 1]),
                   swki_entry_key(entries[i])) >= 0) {
            return false;
        }
    }
    return true;
}

/* An entry without a value has the empty one. */
static bool complete_entry(ProtobufCMessage *entry, struct source *source)
{
    const ProtobufCFieldDescriptor *field = &entry->descriptor->fields[1];
    const ProtobufCMessageDescriptor *type = field->descriptor;
    ProtobufCMessage *value;

    if (field->type != PROTOBUF_C_TYPE_MESSAGE ||
        swki_field_is_set(entry, field)) {
        return true;
    }
    value = source_alloc(source, type->sizeof_message);
    if (value == NULL) {
        return false;
    }
    protobuf_c_message_init(type, value);
    memcpy((char *)entry + field->offset, &value, sizeof(value));
    return true;
}

static bool tidy_map(ProtobufCMessage *message,
                     const ProtobufCFieldDescriptor *field,
                     struct source *source)
{
    void **entries = *(void *const *)swki_field_member(message, field);
    size_t count = swki_field_count(message, field);

    if (!is_ascending(entries, count)) {
        void **scratch = source_alloc(source, count * sizeof(*scratch));

        if (scratch == NULL) {
            return false;
        }
        sort_entries(entries, count, scratch);
        count = drop_overridden(entries, count);
        memcpy((char *)message + field->quantifier_offset, &count,
               sizeof(count));
    }
    for (size_t i = 0; i < count; i++) {
        if (!complete_entry(entries[i], source)) {
            return false;
        }
    }
    return true;
}

/* Puts every map of the message in order; false for no memory. */
static bool tidy_maps(ProtobufCMessage *message, struct source *source)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;

    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        bool is_repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
        const void *members;
        size_t count;

        if (field->type != PROTOBUF_C_TYPE_MESSAGE ||
            (!is_repeated && !swki_field_is_set(message, field))) {
            continue;
        }
        if (swki_field_is_map(type, field) &&
            !tidy_map(message, field, source)) {
            return false;
        }
        members = swki_field_member(message, field);
        members = is_repeated ? *(void *const *)members : members;
        count = is_repeated ? swki_field_count(message, field) : 1;
        for (size_t j = 0; j < count; j++) {
            if (!tidy_maps(swki_pointer_at(members, j), source)) {
                return false;
            }
        }
    }
    return true;
}

static int fail_memory(const struct check *check, int rc)
{
    if (rc == SWK_ENOMEM) {
        return swki_fail_nomem(check->err);
    }
    return swki_fail(check->err, rc, "invalid %s: unpacks to too much",
                     check->type->name);
}

int swki_message_check(const ProtobufCMessageDescriptor *type, const void *data,
                       size_t len, struct swk_error *err)
{
    const uint8_t *bytes = len > 0 ? data : (const uint8_t *)"";
    struct check check = {.type = type, .err = err};
    struct reader reader = {bytes, bytes + len};

    return check_body(&check, type, reader, 1);
}

int swki_message_unpack(const ProtobufCMessageDescriptor *type,
                        const void *data, size_t len, struct swki_arena *arena,
                        ProtobufCMessage **out_message, struct swk_error *err)
{
    const uint8_t *bytes = len > 0 ? data : (const uint8_t *)"";
    struct check check = {.type = type, .err = err};
    struct source source = {.arena = arena, .rc = SWK_OK};
    ProtobufCAllocator allocator = {source_alloc, source_free, &source};
    struct reader reader = {bytes, bytes + len};
    ProtobufCMessage *message;
    int rc;

    if (len > SWKI_MESSAGE_SIZE_MAX) {
        return swki_fail(err, SWK_ELIMIT, "invalid %s: %zu bytes are too long",
                         type->name, len);
    }
    rc = check_body(&check, type, reader, 1);
    if (rc != SWK_OK) {
        return rc;
    }
    message = protobuf_c_message_unpack(type, &allocator, len, bytes);
    if (message == NULL && source.rc == SWK_OK) {
        return swki_fail(err, SWK_EMALFORMED, "invalid %s: wrong type of field",
                         type->name);
    }
    if (message == NULL || (check.has_maps && !tidy_maps(message, &source))) {
        return fail_memory(&check, source.rc);
    }
    *out_message = message;
    return SWK_OK;
}

size_t swki_message_packed_size(const ProtobufCMessage *message)
{
    return protobuf_c_message_get_packed_size(message);
}

int swki_message_pack_sized(const ProtobufCMessage *message, size_t len,
                            struct swki_buf *out, struct swk_error *err)
{
    uint8_t *room;

    if (len > out->limit - out->len) {
        out->failed = true;
        return swki_fail(err, SWK_ELIMIT, "%s: %zu bytes do not fit",
                         message->descriptor->name, len);
    }
    room = swki_buf_reserve(out, len);
    if (room == NULL) {
        return swki_fail_nomem(err);
    }
    out->len += protobuf_c_message_pack(message, room);
    return SWK_OK;
}

int swki_message_pack(const ProtobufCMessage *message, struct swki_buf *out,
                      struct swk_error *err)
{
    return swki_message_pack_sized(message, swki_message_packed_size(message),
                                   out, err);
}
