/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/file/format.h"

#include <assert.h>
#include <string.h>

#include "runtime/file/crc32c.h"
#include "runtime/file/number.h"

static const char segment_magic[8] = {'S', 'W', 'K', 'L', 'O', 'G', '\r', '\n'};
static const char bound_magic[4] = {'S', 'W', 'K', 'B'};

enum {
    IDENTITY_AT = SWKI_SEGMENT_HEADER_SIZE,
    TAG_AT = 492, /* in headers and bounds */
    CRC_AT = 508,
    RECORD_CRC_AT = 28,
    BOUND_FOLLOWED = 2,
    PLACE_LEN = 24,
    APPEND_HEAD_LEN = 8,
    STATE_LEN = 24,
    ENTRY_HEAD_LEN = 24,
    APPEND_HAS_STATE = 1,
    SNAPSHOT_INSTALL = 1,
};

static void put_state(uint8_t *out, const struct swk_hard_state *state)
{
    swki_put64(out, state->term);
    swki_put64(out + 8, state->vote);
    swki_put64(out + 16, state->commit);
}

static void get_state(const uint8_t *in, struct swk_hard_state *out_state)
{
    out_state->term = swki_get64(in);
    out_state->vote = swki_get64(in + 8);
    out_state->commit = swki_get64(in + 16);
}

static void put_place(uint8_t *out, const struct swki_place *place)
{
    swki_put64(out, place->index);
    swki_put64(out + 8, place->term);
}

static void get_place(const uint8_t *in, struct swki_place *out_place)
{
    out_place->index = swki_get64(in);
    out_place->term = swki_get64(in + 8);
}

static uint32_t header_crc(const uint8_t *bytes, size_t identity_len)
{
    uint32_t crc = swki_crc32c(0, bytes, CRC_AT);

    return swki_crc32c(crc, bytes + IDENTITY_AT, identity_len);
}

void swki_segment_header_encode(const struct swki_segment_header *header,
                                const struct swki_seal *seal,
                                uint8_t out[SWKI_BOUND_AT])
{
    memset(out, 0, SWKI_BOUND_AT);
    memcpy(out, segment_magic, sizeof(segment_magic));
    out[8] = SWKI_FORMAT_VERSION;
    out[9] = seal->cipher != NULL ? SWKI_FORMAT_SEALED : 0;
    swki_put64(out + 16, header->id);
    swki_put64(out + 24, header->salt);
    swki_put64(out + 32, header->first_sequence);
    swki_put32(out + 40, header->chain);
    put_state(out + 48, &header->state);
    put_place(out + 72, &header->snapshot);
    put_place(out + 88, &header->base);
    swki_put64(out + 104, header->lost);
    swki_put64(out + 112, header->cut);
    swki_put64(out + 120, header->generation);
    swki_put64(out + 128, header->nonce_salt);
    swki_put32(out + 136, header->identity_len);
    memcpy(out + IDENTITY_AT, header->identity, header->identity_len);
    if (seal->cipher != NULL) {
        const struct swki_seal_frame frame = {
            .salt = header->nonce_salt,
            .extra = out,
            .extra_len = IDENTITY_AT + header->identity_len,
        };
        uint8_t tag[SWKI_SEAL_TAG_SIZE];

        swki_seal_close(seal, &frame, tag, 0, tag);
        memcpy(out + TAG_AT, tag, sizeof(tag));
    }
    swki_put32(out + CRC_AT, header_crc(out, header->identity_len));
}

int swki_segment_header_decode(const uint8_t *bytes, size_t size,
                               struct swki_segment_header *out_header)
{
    if (size < SWKI_SEGMENT_HEADER_SIZE ||
        memcmp(bytes, segment_magic, sizeof(segment_magic)) != 0) {
        return SWK_ECORRUPT;
    }
    if (bytes[8] != SWKI_FORMAT_VERSION &&
        swki_get32(bytes + CRC_AT) == swki_crc32c(0, bytes, CRC_AT)) {
        return SWK_ENOTSUP; /* all versions have this in common */
    }
    uint32_t identity_len = swki_get32(bytes + 136);
    if (size < SWKI_BOUND_AT || identity_len > SWKI_IDENTITY_MAX ||
        swki_get32(bytes + CRC_AT) != header_crc(bytes, identity_len)) {
        return SWK_ECORRUPT;
    }
    if (bytes[8] != SWKI_FORMAT_VERSION || bytes[9] > SWKI_FORMAT_SEALED) {
        return SWK_ENOTSUP;
    }
    *out_header = (struct swki_segment_header){.sealed = bytes[9] != 0};
    out_header->id = swki_get64(bytes + 16);
    out_header->salt = swki_get64(bytes + 24);
    out_header->first_sequence = swki_get64(bytes + 32);
    out_header->chain = swki_get32(bytes + 40);
    get_state(bytes + 48, &out_header->state);
    get_place(bytes + 72, &out_header->snapshot);
    get_place(bytes + 88, &out_header->base);
    out_header->lost = swki_get64(bytes + 104);
    out_header->cut = swki_get64(bytes + 112);
    out_header->generation = swki_get64(bytes + 120);
    out_header->nonce_salt = swki_get64(bytes + 128);
    out_header->identity_len = identity_len;
    memcpy(out_header->identity, bytes + IDENTITY_AT, identity_len);
    return SWK_OK;
}

/* Checks a tag over bytes in which it, and the CRC, were zero. */
static bool open_tagged(const uint8_t *bytes, size_t len,
                        const struct swki_seal *seal, uint64_t salt,
                        uint32_t count)
{
    uint8_t copy[IDENTITY_AT + SWKI_IDENTITY_MAX];
    uint8_t none[1];
    const struct swki_seal_frame frame = {salt, count, copy, len};

    memcpy(copy, bytes, len);
    memset(copy + TAG_AT, 0, IDENTITY_AT - TAG_AT);
    return swki_seal_open(seal, &frame, none, 0, bytes + TAG_AT);
}

bool swki_segment_header_open(const uint8_t bytes[SWKI_BOUND_AT],
                              const struct swki_segment_header *header,
                              const struct swki_seal *seal)
{
    return open_tagged(bytes, IDENTITY_AT + header->identity_len, seal,
                       header->nonce_salt, 0);
}

void swki_bound_encode(const struct swki_bound *bound,
                       const struct swki_seal *seal,
                       uint8_t out[SWKI_BOUND_SIZE])
{
    memset(out, 0, SWKI_BOUND_SIZE);
    memcpy(out, bound_magic, sizeof(bound_magic));
    out[4] = (uint8_t)((seal->cipher != NULL ? SWKI_FORMAT_SEALED : 0) |
                       (bound->followed ? BOUND_FOLLOWED : 0));
    swki_put64(out + 8, bound->count);
    swki_put64(out + 16, bound->id);
    swki_put64(out + 24, bound->salt);
    swki_put64(out + 32, bound->synced);
    swki_put64(out + 40, bound->index);
    put_state(out + 48, &bound->state);
    put_place(out + 72, &bound->snapshot);
    swki_put64(out + 88, bound->nonce_salt);
    swki_put32(out + 96, bound->nonce_count);
    if (seal->cipher != NULL) {
        const struct swki_seal_frame frame = {
            .salt = bound->nonce_salt,
            .count = bound->nonce_count,
            .extra = out,
            .extra_len = SWKI_BOUND_SIZE,
        };
        uint8_t tag[SWKI_SEAL_TAG_SIZE];

        swki_seal_close(seal, &frame, tag, 0, tag);
        memcpy(out + TAG_AT, tag, sizeof(tag));
    }
    swki_put32(out + CRC_AT, swki_crc32c(0, out, CRC_AT));
}

bool swki_bound_decode(const uint8_t bytes[SWKI_BOUND_SIZE],
                       const struct swki_seal *seal,
                       struct swki_bound *out_bound)
{
    if (memcmp(bytes, bound_magic, sizeof(bound_magic)) != 0 ||
        swki_get32(bytes + CRC_AT) != swki_crc32c(0, bytes, CRC_AT)) {
        return false;
    }
    *out_bound = (struct swki_bound){
        .count = swki_get64(bytes + 8),
        .id = swki_get64(bytes + 16),
        .salt = swki_get64(bytes + 24),
        .synced = swki_get64(bytes + 32),
        .index = swki_get64(bytes + 40),
        .followed = (bytes[4] & BOUND_FOLLOWED) != 0,
        .nonce_salt = swki_get64(bytes + 88),
        .nonce_count = swki_get32(bytes + 96),
    };
    get_state(bytes + 48, &out_bound->state);
    get_place(bytes + 72, &out_bound->snapshot);
    if ((bytes[4] & SWKI_FORMAT_SEALED) == 0) {
        return seal->cipher == NULL;
    }
    return open_tagged(bytes, SWKI_BOUND_SIZE, seal, out_bound->nonce_salt,
                       out_bound->nonce_count);
}

size_t swki_record_size(size_t payload_len, bool sealed)
{
    size_t len = payload_len + (sealed ? SWKI_SEAL_TAG_SIZE : 0);

    return SWKI_RECORD_HEADER_SIZE + (len + SWKI_RECORD_ALIGN - 1) /
                                         SWKI_RECORD_ALIGN * SWKI_RECORD_ALIGN;
}

void swki_record_begin(uint8_t *bytes, enum swki_record_type type,
                       size_t payload_len, bool sealed)
{
    size_t end = SWKI_RECORD_HEADER_SIZE + payload_len;

    assert(payload_len <= SWKI_RECORD_PAYLOAD_MAX);
    memset(bytes, 0, SWKI_RECORD_HEADER_SIZE);
    memset(bytes + end, 0, swki_record_size(payload_len, sealed) - end);
    bytes[4] = (uint8_t)type;
    bytes[5] = sealed ? SWKI_FORMAT_SEALED : 0;
    swki_put32(bytes + 8,
               (uint32_t)(payload_len + (sealed ? SWKI_SEAL_TAG_SIZE : 0)));
}

void swki_record_peek(uint8_t *bytes, struct swki_record *out_record)
{
    bool sealed = bytes[5] == SWKI_FORMAT_SEALED;
    size_t stored_len = swki_get32(bytes + 8);

    *out_record = (struct swki_record){
        .type = bytes[4],
        .flags = bytes[5],
        .payload = bytes + SWKI_RECORD_HEADER_SIZE,
        .payload_len = stored_len - (sealed ? SWKI_SEAL_TAG_SIZE : 0),
        .size = swki_record_size(stored_len, false),
    };
}

/* Odd, so that it is never the zero of unused space. */
static uint32_t mark_of(const struct swki_segment_header *segment)
{
    return (uint32_t)segment->salt | 1;
}

static void put_segment_place(uint8_t out[PLACE_LEN],
                              const struct swki_segment_header *segment,
                              uint64_t offset)
{
    swki_put64(out, segment->salt);
    swki_put64(out + 8, segment->id);
    swki_put64(out + 16, offset);
}

static uint32_t record_crc(const uint8_t *bytes, size_t size,
                           const struct swki_segment_header *segment,
                           uint64_t offset)
{
    uint8_t place[PLACE_LEN];
    uint32_t crc;

    put_segment_place(place, segment, offset);
    crc = swki_crc32c(0, place, sizeof(place));
    crc = swki_crc32c(crc, bytes, RECORD_CRC_AT);
    return swki_crc32c(crc, bytes + SWKI_RECORD_HEADER_SIZE,
                       size - SWKI_RECORD_HEADER_SIZE);
}

/* The extra bytes of a sealed record: its place, its header and, where it
 * brings the salt, that. */
struct record_extra {
    uint8_t bytes[PLACE_LEN + RECORD_CRC_AT + SWKI_NONCE_SALT_PAYLOAD_LEN];
    size_t len;
};

static void record_extra(const uint8_t *record,
                         const struct swki_session *session, uint64_t offset,
                         struct record_extra *out)
{
    put_segment_place(out->bytes, session->segment, offset);
    memcpy(out->bytes + PLACE_LEN, record, RECORD_CRC_AT);
    out->len = PLACE_LEN + RECORD_CRC_AT;
    if (record[4] == SWKI_RECORD_NONCE_SALT) {
        memcpy(out->bytes + out->len, record + SWKI_RECORD_HEADER_SIZE,
               SWKI_NONCE_SALT_PAYLOAD_LEN);
        out->len += SWKI_NONCE_SALT_PAYLOAD_LEN;
    }
}

/* The count of 0 is the header's. */
static struct swki_seal_frame record_frame(const struct swki_session *session,
                                           uint64_t sequence,
                                           const struct record_extra *extra)
{
    return (struct swki_seal_frame){
        .salt = session->nonce_salt,
        .count = (uint32_t)(sequence - session->first_sequence + 1),
        .extra = extra->bytes,
        .extra_len = extra->len,
    };
}

/* What of a payload is enciphered: a salt must be read before. */
static size_t enciphered_at(uint8_t type)
{
    return type == SWKI_RECORD_NONCE_SALT ? SWKI_NONCE_SALT_PAYLOAD_LEN : 0;
}

uint32_t swki_record_finish(uint8_t *bytes, const struct swki_session *session,
                            uint64_t offset, const struct swki_record *record)
{
    struct swki_record own;

    swki_record_peek(bytes, &own);
    swki_put32(bytes, mark_of(session->segment));
    swki_put32(bytes + 12, record->chain);
    swki_put64(bytes + 16, record->sequence);
    swki_put32(bytes + 24, record->synced);
    if (own.flags == SWKI_FORMAT_SEALED) {
        struct record_extra extra;
        size_t at = enciphered_at(own.type);

        record_extra(bytes, session, offset, &extra);
        const struct swki_seal_frame frame =
            record_frame(session, record->sequence, &extra);
        swki_seal_close(session->seal, &frame, own.payload + at,
                        own.payload_len - at, own.payload + own.payload_len);
    }
    uint32_t crc = record_crc(bytes, own.size, session->segment, offset);
    swki_put32(bytes + RECORD_CRC_AT, crc);
    return crc;
}

bool swki_record_decode(uint8_t *bytes, size_t size,
                        const struct swki_segment_header *segment,
                        uint64_t offset, struct swki_record *out_record)
{
    if (size < SWKI_RECORD_HEADER_SIZE ||
        swki_get32(bytes) != mark_of(segment)) {
        return false;
    }
    size_t stored_len = swki_get32(bytes + 8);
    size_t least = bytes[5] == SWKI_FORMAT_SEALED ? SWKI_SEAL_TAG_SIZE : 0;
    if (stored_len < least ||
        stored_len > SWKI_RECORD_PAYLOAD_MAX + SWKI_SEAL_TAG_SIZE ||
        swki_record_size(stored_len, false) > size) {
        return false;
    }
    struct swki_record record;
    swki_record_peek(bytes, &record);
    record.chain = swki_get32(bytes + 12);
    record.sequence = swki_get64(bytes + 16);
    record.synced = swki_get32(bytes + 24);
    record.crc = swki_get32(bytes + RECORD_CRC_AT);
    if (record.crc != record_crc(bytes, record.size, segment, offset)) {
        return false;
    }
    *out_record = record;
    return true;
}

bool swki_record_begins(const uint8_t *bytes, size_t size,
                        const struct swki_segment_header *segment)
{
    return size >= SWKI_RECORD_HEADER_SIZE &&
           swki_get32(bytes) == mark_of(segment);
}

/* The tag does not cover it. */
static bool padding_is_zero(const struct swki_record *record)
{
    size_t end = record->size - SWKI_RECORD_HEADER_SIZE;

    for (size_t i = record->payload_len + SWKI_SEAL_TAG_SIZE; i < end; i++) {
        if (record->payload[i] != 0) {
            return false;
        }
    }
    return true;
}

bool swki_record_open(uint8_t *bytes, const struct swki_session *session,
                      uint64_t offset, struct swki_record *record)
{
    struct record_extra extra;
    size_t at = enciphered_at(record->type);

    if (record->flags != SWKI_FORMAT_SEALED) {
        return !session->segment->sealed;
    }
    if (record->payload_len < at || !padding_is_zero(record)) {
        return false;
    }
    record_extra(bytes, session, offset, &extra);
    const struct swki_seal_frame frame =
        record_frame(session, record->sequence, &extra);
    return swki_seal_open(session->seal, &frame, record->payload + at,
                          record->payload_len - at,
                          record->payload + record->payload_len);
}

uint64_t swki_nonce_salt_of(const struct swki_record *record)
{
    return record->payload_len >= SWKI_NONCE_SALT_PAYLOAD_LEN
               ? swki_get64(record->payload)
               : 0;
}

size_t swki_append_size(const struct swk_hard_state *state,
                        const struct swk_log_entry *entries,
                        size_t entries_count)
{
    size_t size = APPEND_HEAD_LEN + (state != NULL ? STATE_LEN : 0);

    for (size_t i = 0; i < entries_count; i++) {
        if (size > SWKI_RECORD_PAYLOAD_MAX - ENTRY_HEAD_LEN ||
            entries[i].data_len >
                SWKI_RECORD_PAYLOAD_MAX - ENTRY_HEAD_LEN - size) {
            return 0;
        }
        size += ENTRY_HEAD_LEN + entries[i].data_len;
    }
    return size;
}

void swki_append_encode(uint8_t *payload, const struct swk_hard_state *state,
                        const struct swk_log_entry *entries,
                        size_t entries_count)
{
    uint8_t *at = payload + APPEND_HEAD_LEN;

    swki_put32(payload, state != NULL ? APPEND_HAS_STATE : 0);
    swki_put32(payload + 4, (uint32_t)entries_count);
    if (state != NULL) {
        put_state(at, state);
        at += STATE_LEN;
    }
    for (size_t i = 0; i < entries_count; i++) {
        swki_put64(at, entries[i].index);
        swki_put64(at + 8, entries[i].term);
        swki_put32(at + 16, (uint32_t)entries[i].type);
        swki_put32(at + 20, (uint32_t)entries[i].data_len);
        if (entries[i].data_len > 0) {
            memcpy(at + ENTRY_HEAD_LEN, entries[i].data, entries[i].data_len);
        }
        at += ENTRY_HEAD_LEN + entries[i].data_len;
    }
}

bool swki_append_read(struct swki_append_reader *reader, const uint8_t *payload,
                      size_t len)
{
    if (len < APPEND_HEAD_LEN || swki_get32(payload) > APPEND_HAS_STATE) {
        return false;
    }
    *reader = (struct swki_append_reader){
        .bytes = payload + APPEND_HEAD_LEN,
        .left = len - APPEND_HEAD_LEN,
        .has_state = swki_get32(payload) == APPEND_HAS_STATE,
        .entries_left = swki_get32(payload + 4),
    };
    if (reader->has_state) {
        if (reader->left < STATE_LEN) {
            return false;
        }
        get_state(reader->bytes, &reader->state);
        reader->bytes += STATE_LEN;
        reader->left -= STATE_LEN;
    }
    return reader->entries_left > 0 || reader->left == 0;
}

bool swki_append_next(struct swki_append_reader *reader,
                      struct swk_log_entry *out_entry)
{
    if (reader->left < ENTRY_HEAD_LEN) {
        return false;
    }
    const uint8_t *at = reader->bytes;
    size_t data_len = swki_get32(at + 20);

    if (data_len > reader->left - ENTRY_HEAD_LEN) {
        return false;
    }
    *out_entry = (struct swk_log_entry){
        .index = swki_get64(at),
        .term = swki_get64(at + 8),
        .type = (int32_t)swki_get32(at + 16),
        .data = data_len > 0 ? at + ENTRY_HEAD_LEN : NULL,
        .data_len = data_len,
    };
    reader->bytes += ENTRY_HEAD_LEN + data_len;
    reader->left -= ENTRY_HEAD_LEN + data_len;
    reader->entries_left--;
    return reader->entries_left > 0 || reader->left == 0;
}

void swki_snapshot_payload_encode(uint8_t *payload,
                                  const struct swki_place *place, bool install)
{
    put_place(payload, place);
    swki_put64(payload + 16, install ? SNAPSHOT_INSTALL : 0);
}

bool swki_snapshot_payload_decode(const uint8_t *payload, size_t len,
                                  struct swki_place *out_place,
                                  bool *out_install)
{
    if (len != SWKI_SNAPSHOT_PAYLOAD_LEN ||
        swki_get64(payload + 16) > SNAPSHOT_INSTALL) {
        return false;
    }
    get_place(payload, out_place);
    *out_install = swki_get64(payload + 16) == SNAPSHOT_INSTALL;
    return out_place->index > 0;
}
