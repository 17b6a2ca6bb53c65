/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The bytes of the write-ahead log. All numbers are little endian; all padding
 * is zero.
 *
 * The log is a sequence of segments "log-ID", ID being 16 hexadecimal digits
 * that count up by one. A segment is a header of one sector, then records up
 * to the first place that holds none; space taken ahead reads as zeros.
 *
 * Segment header, 512 bytes
 *     0 magic "SWKLOG\r\n"
 *     8 version (2)           9 flags (0; sealed logs to come)
 *    16 id                   24 salt
 *    32 sequence of the first record
 *    40 chain: CRC of the last record before
 *    48 hard state: term, vote, commit
 *    72 newest snapshot: index, term
 *    88 last entry before: index, term
 *   508 CRC of bytes 0 to 507
 *
 * Record, at a multiple of 8
 *     0 mark: low half of the segment's salt, made odd
 *     4 type (1 append, 2 snapshot)    5 flags (0)    6 zero
 *     8 payload length       12 chain: CRC of the record before
 *    16 sequence             24 synced: an offset in this segment; everything
 *                               before it was durable when this was written
 *    28 CRC of salt, segment id, offset, bytes 0 to 27, payload and padding
 *    32 payload, padded to a multiple of 8
 *
 * The CRC covers where a record belongs, and the chain what it follows, so one
 * that is moved, stale or skipped is recognised. synced tells a torn write
 * from damage: a bad place with a good record behind it that was written after
 * the bad place was durable cannot come from a crash.
 *
 * Append payload: u32 flags (1: hard state follows), u32 number of entries,
 * [term, vote, commit], then for each entry index, term, i32 type, u32 length,
 * data. Snapshot payload: index, term, u64 flags (1: replaces the log before).
 */

#ifndef SWKI_RUNTIME_FILE_FORMAT_H
#define SWKI_RUNTIME_FILE_FORMAT_H

#include <stdbool.h>

#include <swarmkit/port/storage.h>

enum {
    SWKI_FORMAT_VERSION = 2,
    SWKI_SEGMENT_HEADER_SIZE = 512,
    SWKI_RECORD_HEADER_SIZE = 32,
    SWKI_RECORD_ALIGN = 8,
    /* Payload of one record; keeps offsets within 32 bits. */
    SWKI_RECORD_PAYLOAD_MAX = 1 << 30,
};

enum swki_record_type {
    SWKI_RECORD_APPEND = 1,
    SWKI_RECORD_SNAPSHOT = 2,
};

/* Of an entry, or of a snapshot. */
struct swki_place {
    uint64_t index; /* 0: none */
    uint64_t term;
};

struct swki_segment_header {
    uint64_t id;
    uint64_t salt;
    uint64_t first_sequence;
    uint32_t chain;
    struct swk_hard_state state;
    struct swki_place snapshot;
    struct swki_place base; /* of the last entry before */
};

void swki_segment_header_encode(const struct swki_segment_header *header,
                                uint8_t out[SWKI_SEGMENT_HEADER_SIZE]);

/* 0; SWK_ECORRUPT; SWK_ENOTSUP for another version, or flags of later
 * releases. */
int swki_segment_header_decode(const uint8_t bytes[SWKI_SEGMENT_HEADER_SIZE],
                               struct swki_segment_header *out_header);

struct swki_record {
    uint8_t type;
    uint32_t chain;
    uint64_t sequence;
    uint32_t synced;
    uint32_t crc;
    const uint8_t *payload; /* borrowed from the bytes it was read from */
    size_t payload_len;
    size_t size; /* with header and padding */
};

/* Bytes of a record with that much payload. */
size_t swki_record_size(size_t payload_len);

/* Writes the parts of a header that are known early. */
void swki_record_begin(uint8_t *bytes, enum swki_record_type type,
                       size_t payload_len);

/* What is known of a record that was begun: type, payload, size. */
void swki_record_peek(const uint8_t *bytes, struct swki_record *out_record);

/* Completes a record for its place; returns its CRC. */
uint32_t swki_record_seal(uint8_t *bytes,
                          const struct swki_segment_header *segment,
                          uint64_t offset, uint64_t sequence, uint32_t chain,
                          uint32_t synced);

/* Reads the record at offset, if the size bytes there begin with one that
 * belongs there. */
bool swki_record_decode(const uint8_t *bytes, size_t size,
                        const struct swki_segment_header *segment,
                        uint64_t offset, struct swki_record *out_record);

/* Payload bytes of an append; 0 if it exceeds what a record may hold. */
size_t swki_append_size(const struct swk_hard_state *state,
                        const struct swk_log_entry *entries,
                        size_t entries_count);
void swki_append_encode(uint8_t *payload, const struct swk_hard_state *state,
                        const struct swk_log_entry *entries,
                        size_t entries_count);

/* Reading an append. */
struct swki_append_reader {
    const uint8_t *bytes;
    size_t left;
    bool has_state;
    struct swk_hard_state state;
    uint32_t entries_left;
};

/* False if the payload is malformed. */
bool swki_append_read(struct swki_append_reader *reader, const uint8_t *payload,
                      size_t len);

/* The next entry; false if it is malformed. Call while entries_left > 0. */
bool swki_append_next(struct swki_append_reader *reader,
                      struct swk_log_entry *out_entry);

enum {
    SWKI_SNAPSHOT_PAYLOAD_LEN = 24,
};

/* install: it takes the place of the whole log before it. */
void swki_snapshot_payload_encode(uint8_t *payload,
                                  const struct swki_place *place, bool install);
bool swki_snapshot_payload_decode(const uint8_t *payload, size_t len,
                                  struct swki_place *out_place,
                                  bool *out_install);

#endif
