/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/file/format.h"

#include <assert.h>
#include <string.h>

#include "runtime/file/crc32c.h"
#include "runtime/file/number.h"

static const char segment_magic[8] = {'S', 'W', 'K', 'L', 'O', 'G', '\r', '\n'};

enum {
    SEGMENT_CRC_AT = SWKI_SEGMENT_HEADER_SIZE - 4,
    RECORD_CRC_AT = 28,
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

void swki_segment_header_encode(const struct swki_segment_header *header,
                                uint8_t out[SWKI_SEGMENT_HEADER_SIZE])
{
    memset(out, 0, SWKI_SEGMENT_HEADER_SIZE);
    memcpy(out, segment_magic, sizeof(segment_magic));
    out[8] = SWKI_FORMAT_VERSION;
    swki_put64(out + 16, header->id);
    swki_put64(out + 24, header->salt);
    swki_put64(out + 32, header->first_sequence);
    swki_put32(out + 40, header->chain);
    put_state(out + 48, &header->state);
    put_place(out + 72, &header->snapshot);
    put_place(out + 88, &header->base);
    swki_put32(out + SEGMENT_CRC_AT, swki_crc32c(0, out, SEGMENT_CRC_AT));
}

int swki_segment_header_decode(const uint8_t bytes[SWKI_SEGMENT_HEADER_SIZE],
                               struct swki_segment_header *out_header)
{
    if (memcmp(bytes, segment_magic, sizeof(segment_magic)) != 0 ||
        swki_get32(bytes + SEGMENT_CRC_AT) !=
            swki_crc32c(0, bytes, SEGMENT_CRC_AT)) {
        return SWK_ECORRUPT;
    }
    if (bytes[8] != SWKI_FORMAT_VERSION || bytes[9] != 0) {
        return SWK_ENOTSUP;
    }
    out_header->id = swki_get64(bytes + 16);
    out_header->salt = swki_get64(bytes + 24);
    out_header->first_sequence = swki_get64(bytes + 32);
    out_header->chain = swki_get32(bytes + 40);
    get_state(bytes + 48, &out_header->state);
    get_place(bytes + 72, &out_header->snapshot);
    get_place(bytes + 88, &out_header->base);
    return SWK_OK;
}

size_t swki_record_size(size_t payload_len)
{
    return SWKI_RECORD_HEADER_SIZE + (payload_len + SWKI_RECORD_ALIGN - 1) /
                                         SWKI_RECORD_ALIGN * SWKI_RECORD_ALIGN;
}

void swki_record_begin(uint8_t *bytes, enum swki_record_type type,
                       size_t payload_len)
{
    size_t end = SWKI_RECORD_HEADER_SIZE + payload_len;

    assert(payload_len <= SWKI_RECORD_PAYLOAD_MAX);
    memset(bytes, 0, SWKI_RECORD_HEADER_SIZE);
    memset(bytes + end, 0, swki_record_size(payload_len) - end);
    bytes[4] = (uint8_t)type;
    swki_put32(bytes + 8, (uint32_t)payload_len);
}

void swki_record_peek(const uint8_t *bytes, struct swki_record *out_record)
{
    size_t payload_len = swki_get32(bytes + 8);

    *out_record = (struct swki_record){
        .type = bytes[4],
        .payload = bytes + SWKI_RECORD_HEADER_SIZE,
        .payload_len = payload_len,
        .size = swki_record_size(payload_len),
    };
}

/* Odd, so that it is never the zero of unused space. */
static uint32_t mark_of(const struct swki_segment_header *segment)
{
    return (uint32_t)segment->salt | 1;
}

static uint32_t record_crc(const uint8_t *bytes, size_t size,
                           const struct swki_segment_header *segment,
                           uint64_t offset)
{
    uint8_t place[24];
    uint32_t crc;

    swki_put64(place, segment->salt);
    swki_put64(place + 8, segment->id);
    swki_put64(place + 16, offset);
    crc = swki_crc32c(0, place, sizeof(place));
    crc = swki_crc32c(crc, bytes, RECORD_CRC_AT);
    return swki_crc32c(crc, bytes + SWKI_RECORD_HEADER_SIZE,
                       size - SWKI_RECORD_HEADER_SIZE);
}

uint32_t swki_record_seal(uint8_t *bytes,
                          const struct swki_segment_header *segment,
                          uint64_t offset, uint64_t sequence, uint32_t chain,
                          uint32_t synced)
{
    swki_put32(bytes, mark_of(segment));
    swki_put32(bytes + 12, chain);
    swki_put64(bytes + 16, sequence);
    swki_put32(bytes + 24, synced);

    uint32_t crc =
        record_crc(bytes, swki_record_size(swki_get32(bytes + 8)), segment, offset);
    swki_put32(bytes + RECORD_CRC_AT, crc);
    return crc;
}

bool swki_record_decode(const uint8_t *bytes, size_t size,
                        const struct swki_segment_header *segment,
                        uint64_t offset, struct swki_record *out_record)
{
    if (size < SWKI_RECORD_HEADER_SIZE || swki_get32(bytes) != mark_of(segment)) {
        return false;
    }
    size_t payload_len = swki_get32(bytes + 8);
    if (payload_len > SWKI_RECORD_PAYLOAD_MAX ||
        swki_record_size(payload_len) > size) {
        return false;
    }
    const struct swki_record record = {
        .type = bytes[4],
        .chain = swki_get32(bytes + 12),
        .sequence = swki_get64(bytes + 16),
        .synced = swki_get32(bytes + 24),
        .crc = swki_get32(bytes + RECORD_CRC_AT),
        .payload = bytes + SWKI_RECORD_HEADER_SIZE,
        .payload_len = payload_len,
        .size = swki_record_size(payload_len),
    };
    if (record.crc != record_crc(bytes, record.size, segment, offset)) {
        return false;
    }
    *out_record = record;
    return true;
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
