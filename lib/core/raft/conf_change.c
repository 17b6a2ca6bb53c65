/* SPDX-License-Identifier: Apache-2.0 */

#include "core/raft/conf_change.h"

#include <string.h>

enum {
    WIRE_VARINT = 0,
    WIRE_64_BIT = 1,
    WIRE_BYTES = 2,
    WIRE_32_BIT = 5,
    VARINT_MAX = 10, /* bytes */
};

/* Field numbers. */
enum {
    V1_TYPE = 2,
    V1_NODE_ID = 3,
    V1_CONTEXT = 4,
    V2_TRANSITION = 1,
    V2_CHANGES = 2,
    V2_CONTEXT = 3,
    SINGLE_TYPE = 1,
    SINGLE_NODE_ID = 2,
};

/* -- Reading --------------------------------------------------------------- */

struct reader {
    const uint8_t *at;
    size_t left;
};

struct field {
    uint32_t number;
    uint32_t wire;
    uint64_t value;      /* of a varint */
    const uint8_t *data; /* of bytes */
    size_t len;
};

static bool read_varint(struct reader *r, uint64_t *out)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < VARINT_MAX && r->left > 0; i++) {
        uint8_t byte = *r->at++;

        r->left--;
        if (i == VARINT_MAX - 1 && byte > 1) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool skip(struct reader *r, size_t len)
{
    if (r->left < len) {
        return false;
    }
    r->at += len;
    r->left -= len;
    return true;
}

static bool read_field(struct reader *r, struct field *out)
{
    uint64_t key;
    uint64_t len;

    if (!read_varint(r, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX >> 3) {
        return false;
    }
    *out = (struct field){.number = (uint32_t)(key >> 3),
                          .wire = (uint32_t)(key & 7)};
    switch (out->wire) {
    case WIRE_VARINT:
        return read_varint(r, &out->value);
    case WIRE_64_BIT:
        return skip(r, 8);
    case WIRE_32_BIT:
        return skip(r, 4);
    case WIRE_BYTES:
        if (!read_varint(r, &len) || len > r->left) {
            return false;
        }
        out->data = r->at;
        out->len = (size_t)len;
        return skip(r, (size_t)len);
    default:
        return false;
    }
}

/* Whether a known field has the form that it must have. */
static bool take_type(const struct field *field, int32_t *out)
{
    if (field->wire != WIRE_VARINT || field->value > SWK_RAFT_ADD_LEARNER) {
        return false;
    }
    *out = (int32_t)field->value;
    return true;
}

static bool take_id(const struct field *field, uint64_t *out)
{
    *out = field->value;
    return field->wire == WIRE_VARINT;
}

static bool take_context(const struct field *field,
                         struct swk_raft_conf_change *change)
{
    change->context = field->len > 0 ? field->data : NULL;
    change->context_len = field->len;
    return field->wire == WIRE_BYTES;
}

static bool read_single(const struct field *outer,
                        struct swk_raft_change *out_change)
{
    struct reader r = {outer->data, outer->len};
    struct field field;

    *out_change = (struct swk_raft_change){0};
    if (outer->wire != WIRE_BYTES) {
        return false;
    }
    while (r.left > 0) {
        if (!read_field(&r, &field) ||
            (field.number == SINGLE_TYPE &&
             !take_type(&field, &out_change->type)) ||
            (field.number == SINGLE_NODE_ID &&
             !take_id(&field, &out_change->id))) {
            return false;
        }
    }
    return true;
}

static bool read_v1(struct reader *r, struct swk_raft_change *changes,
                    struct swk_raft_conf_change *out)
{
    struct field field;

    changes[0] = (struct swk_raft_change){0};
    out->changes_count = 1;
    while (r->left > 0) {
        if (!read_field(r, &field) ||
            (field.number == V1_TYPE && !take_type(&field, &changes[0].type)) ||
            (field.number == V1_NODE_ID && !take_id(&field, &changes[0].id)) ||
            (field.number == V1_CONTEXT && !take_context(&field, out))) {
            return false;
        }
    }
    return true;
}

static bool read_v2_field(const struct field *field,
                          struct swk_raft_change *changes,
                          struct swk_raft_conf_change *out)
{
    switch (field->number) {
    case V2_TRANSITION:
        out->transition = (int32_t)field->value;
        return field->wire == WIRE_VARINT &&
               field->value <= SWK_RAFT_TRANSITION_JOINT_EXPLICIT;
    case V2_CHANGES:
        return out->changes_count < SWK_RAFT_CHANGES_MAX &&
               read_single(field, &changes[out->changes_count++]);
    case V2_CONTEXT:
        return take_context(field, out);
    default:
        return true;
    }
}

static bool read_v2(struct reader *r, struct swk_raft_change *changes,
                    struct swk_raft_conf_change *out)
{
    struct field field;

    while (r->left > 0) {
        if (!read_field(r, &field) || !read_v2_field(&field, changes, out)) {
            return false;
        }
    }
    return true;
}

bool swki_conf_change_decode(int32_t type, const uint8_t *data,
                             size_t data_len, struct swk_raft_change *changes,
                             struct swk_raft_conf_change *out_change)
{
    struct reader r = {data, data_len};

    *out_change = (struct swk_raft_conf_change){
        .size = sizeof(*out_change),
        .changes = changes,
    };
    switch (type) {
    case SWK_RAFT_ENTRY_CONF_CHANGE:
        return read_v1(&r, changes, out_change);
    case SWK_RAFT_ENTRY_CONF_CHANGE_V2:
        return read_v2(&r, changes, out_change);
    default:
        return false;
    }
}

/* -- Writing --------------------------------------------------------------- */

static size_t varint_size(uint64_t value)
{
    size_t size = 1;

    while (value > 0x7f) {
        value >>= 7;
        size++;
    }
    return size;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    while (value > 0x7f) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* A field that is left out when it is 0. */
static size_t number_size(uint64_t value)
{
    return value == 0 ? 0 : 1 + varint_size(value);
}

static uint8_t *put_number(uint8_t *at, unsigned number, uint64_t value)
{
    if (value == 0) {
        return at;
    }
    *at++ = (uint8_t)(number << 3 | WIRE_VARINT);
    return put_varint(at, value);
}

static size_t bytes_size(size_t len)
{
    return len == 0 ? 0 : 1 + varint_size(len) + len;
}

static uint8_t *put_bytes(uint8_t *at, unsigned number, const uint8_t *data,
                          size_t len)
{
    if (len == 0) {
        return at;
    }
    *at++ = (uint8_t)(number << 3 | WIRE_BYTES);
    at = put_varint(at, len);
    memcpy(at, data, len);
    return at + len;
}

static size_t single_size(const struct swk_raft_change *change)
{
    return number_size((uint64_t)change->type) + number_size(change->id);
}

size_t swki_conf_change_size(const struct swk_raft_conf_change *change)
{
    size_t size = number_size((uint64_t)change->transition) +
                  bytes_size(change->context_len);

    for (size_t i = 0; i < change->changes_count; i++) {
        size_t single = single_size(&change->changes[i]);

        size += 1 + varint_size(single) + single;
    }
    return size;
}

void swki_conf_change_encode(const struct swk_raft_conf_change *change,
                             uint8_t *out)
{
    uint8_t *at =
        put_number(out, V2_TRANSITION, (uint64_t)change->transition);

    for (size_t i = 0; i < change->changes_count; i++) {
        const struct swk_raft_change *single = &change->changes[i];

        *at++ = V2_CHANGES << 3 | WIRE_BYTES;
        at = put_varint(at, single_size(single));
        at = put_number(at, SINGLE_TYPE, (uint64_t)single->type);
        at = put_number(at, SINGLE_NODE_ID, single->id);
    }
    (void)put_bytes(at, V2_CONTEXT, change->context, change->context_len);
}

size_t swki_conf_change_v1_size(const struct swk_raft_conf_change *change)
{
    return number_size((uint64_t)change->changes[0].type) +
           number_size(change->changes[0].id) +
           bytes_size(change->context_len);
}

void swki_conf_change_v1_encode(const struct swk_raft_conf_change *change,
                                uint8_t *out)
{
    uint8_t *at =
        put_number(out, V1_TYPE, (uint64_t)change->changes[0].type);

    at = put_number(at, V1_NODE_ID, change->changes[0].id);
    (void)put_bytes(at, V1_CONTEXT, change->context, change->context_len);
}
