/* SPDX-License-Identifier: Apache-2.0 */

#include "core/store/codec.h"

#include <string.h>

#include "base/error.h"
#include "core/store/object_impl.h"
#include "wire/message.h"

enum {
    VARINT = 0,
    FIXED64 = 1,
    DELIMITED = 2,
    FIXED32 = 5,
    VARINT_LEN_MAX = 10,
};

/* The same objects have other numbers in each of the two messages. */
static const struct {
    uint8_t action;
    uint8_t snapshot;
} fields[SWKI_KINDS_COUNT] = {
    [SWKI_KIND_NODE] = {2, 1},     [SWKI_KIND_SERVICE] = {3, 2},
    [SWKI_KIND_TASK] = {4, 4},     [SWKI_KIND_NETWORK] = {5, 3},
    [SWKI_KIND_CLUSTER] = {6, 5},  [SWKI_KIND_SECRET] = {7, 6},
    [SWKI_KIND_RESOURCE] = {8, 7}, [SWKI_KIND_EXTENSION] = {9, 8},
    [SWKI_KIND_CONFIG] = {10, 9},  [SWKI_KIND_VOLUME] = {11, 10},
};

enum swki_kind swki_codec_action_kind(const Swkpb__StoreAction *action)
{
    enum swki_kind kind = 0;

    while (kind < SWKI_KINDS_COUNT &&
           fields[kind].action != (unsigned)action->target_case) {
        kind++;
    }
    return kind;
}

enum swki_kind swki_codec_snapshot_kind(uint32_t field)
{
    enum swki_kind kind = 0;

    while (kind < SWKI_KINDS_COUNT && fields[kind].snapshot != field) {
        kind++;
    }
    return kind;
}

enum swki_kind swki_codec_snapshot_order(unsigned place)
{
    return swki_codec_snapshot_kind(place + 1);
}

/* -- Writing --------------------------------------------------------------- */

static size_t varint_len(uint64_t value)
{
    size_t len = 1;

    while (value >= 0x80) {
        value >>= 7;
        len++;
    }
    return len;
}

bool swki_codec_add_varint(struct swki_buf *buf, uint64_t value)
{
    uint8_t bytes[VARINT_LEN_MAX];
    size_t len = 0;

    while (value >= 0x80) {
        bytes[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[len++] = (uint8_t)value;
    return swki_buf_append(buf, bytes, len);
}

static bool add_tag(struct swki_buf *buf, uint32_t number, uint32_t wire_type)
{
    return swki_codec_add_varint(buf, number << 3 | wire_type);
}

bool swki_codec_begin_entry(struct swki_buf *buf, uint64_t id)
{
    return add_tag(buf, 1, VARINT) && swki_codec_add_varint(buf, id);
}

bool swki_codec_add_actor(struct swki_buf *buf, enum swki_actor actor)
{
    return add_tag(buf, SWKI_CODEC_ACTOR_FIELD, VARINT) &&
           swki_codec_add_varint(buf, (uint64_t)actor + 1);
}

enum swki_actor swki_codec_entry_actor(const Swkpb__InternalRaftRequest *entry)
{
    return entry->actor >= 1 && entry->actor <= SWKI_ACTORS_COUNT
               ? (enum swki_actor)(entry->actor - 1)
               : SWKI_ACTORS_COUNT;
}

/* A buffer refuses for want of memory, or of room. */
static int fail_append(const struct swki_buf *buf, struct swk_error *err)
{
    if (buf->limit == SIZE_MAX) {
        return swki_fail_nomem(err);
    }
    return swki_fail(err, SWK_ELIMIT,
                     "raft: raft message is too large and can't be sent");
}

/* Actions are numbered as changes are, from one. */
_Static_assert(SWKPB__STORE_ACTION_KIND__STORE_ACTION_CREATE ==
                       SWKI_CHANGE_CREATE + 1 &&
                   SWKPB__STORE_ACTION_KIND__STORE_ACTION_UPDATE ==
                       SWKI_CHANGE_UPDATE + 1 &&
                   SWKPB__STORE_ACTION_KIND__STORE_ACTION_REMOVE ==
                       SWKI_CHANGE_DELETE + 1,
               "changes and actions differ by one");

/* An object that could not be read back would stop every manager when it
 * reads the entry, and for good. */
static int add_message(struct swki_buf *buf, const ProtobufCMessage *message,
                       size_t size, struct swk_error *err)
{
    if (swki_message_pack_sized(message, size, buf, err) < 0) {
        return fail_append(buf, err);
    }
    return swki_message_check(message->descriptor, buf->data + buf->len - size,
                              size, err);
}

int swki_codec_add_action(struct swki_buf *buf, enum swki_change change,
                          const struct swki_object *object,
                          struct swk_error *err)
{
    const ProtobufCMessage *message = swki_object_message(object);
    const char *id = swki_object_id(object);
    size_t id_len = strlen(id);
    bool whole = change != SWKI_CHANGE_DELETE;
    size_t size = whole ? swki_message_packed_size(message)
                        : 1 + varint_len(id_len) + id_len;
    uint32_t field = fields[swki_object_kind(object)].action;
    bool ok;

    ok = add_tag(buf, 2, DELIMITED) &&
         swki_codec_add_varint(buf, 2 + 1 + varint_len(size) + size) &&
         add_tag(buf, 1, VARINT) &&
         swki_codec_add_varint(buf, (uint64_t)change + 1) &&
         add_tag(buf, field, DELIMITED) && swki_codec_add_varint(buf, size);
    if (ok && whole) {
        return add_message(buf, message, size, err);
    }
    ok = ok && add_tag(buf, 1, DELIMITED) &&
         swki_codec_add_varint(buf, id_len) && swki_buf_append(buf, id, id_len);
    return ok ? SWK_OK : fail_append(buf, err);
}

bool swki_codec_add_request(struct swki_buf *buf, uint64_t index,
                            const char *key, const char *object_id)
{
    Swkpb__Rpc__DoneRequest request = SWKPB__RPC__DONE_REQUEST__INIT;
    size_t start = buf->len;
    size_t size;

    request.index = index;
    request.key = (char *)(uintptr_t)key;
    request.object_id = (char *)(uintptr_t)object_id;
    size = swki_message_packed_size(&request.base);
    if (!add_tag(buf, SWKI_CODEC_REQUEST_FIELD, DELIMITED) ||
        !swki_codec_add_varint(buf, size) ||
        swki_message_pack_sized(&request.base, size, buf, NULL) != SWK_OK) {
        buf->len = start;
        return false;
    }
    return true;
}

int swki_codec_add_object(struct swki_buf *buf,
                          const struct swki_object *object,
                          struct swk_error *err)
{
    const ProtobufCMessage *message = swki_object_message(object);
    uint32_t field = fields[swki_object_kind(object)].snapshot;
    size_t size = swki_message_packed_size(message);

    if (!add_tag(buf, field, DELIMITED) || !swki_codec_add_varint(buf, size)) {
        return swki_fail_nomem(err);
    }
    return swki_message_pack_sized(message, size, buf, err);
}

/* -- Reading --------------------------------------------------------------- */

static bool read_varint(struct swki_reader *reader, uint64_t *out_value)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < VARINT_LEN_MAX && i < reader->len; i++) {
        uint8_t byte = reader->data[i];

        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            reader->data += i + 1;
            reader->len -= i + 1;
            *out_value = value;
            return true;
        }
    }
    return false;
}

static bool skip(struct swki_reader *reader, size_t len)
{
    if (len > reader->len) {
        return false;
    }
    reader->data += len;
    reader->len -= len;
    return true;
}

static bool read_value(struct swki_reader *reader, struct swki_field *field)
{
    switch (field->wire_type) {
    case VARINT:
        return read_varint(reader, &field->value);
    case FIXED64:
        return skip(reader, 8);
    case FIXED32:
        return skip(reader, 4);
    case DELIMITED:
        if (!read_varint(reader, &field->value) ||
            field->value > reader->len) {
            return false;
        }
        field->data = reader->data;
        field->len = (size_t)field->value;
        return skip(reader, field->len);
    default:
        return false;
    }
}

int swki_reader_next(struct swki_reader *reader, struct swki_field *out_field)
{
    struct swki_field field = {0};
    uint64_t tag;

    if (reader->len == 0) {
        return 0;
    }
    if (!read_varint(reader, &tag) || tag >> 3 == 0 || tag > UINT32_MAX) {
        return SWK_EMALFORMED;
    }
    field.number = (uint32_t)(tag >> 3);
    field.wire_type = tag & 7;
    if (!read_value(reader, &field)) {
        return SWK_EMALFORMED;
    }
    *out_field = field;
    return 1;
}
