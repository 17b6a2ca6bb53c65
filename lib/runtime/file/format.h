/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The bytes of the write-ahead log. All numbers are little endian; all padding
 * is zero.
 *
 * The log is a sequence of segments "log-ID", ID being 16 hexadecimal digits
 * that count up by one. A segment is a head, then records up to the first
 * place that holds none. Behind that may be anything: space taken ahead, or
 * what is left of a segment whose file is used again.
 *
 * Head, 16 KiB
 *     0 header, then at 512 the identity
 *  8192 bound          12288 bound, the other copy
 *
 * Header, 512 bytes
 *     0 magic "SWKLOG\r\n"
 *     8 version (3)           9 flags (1: sealed)
 *    16 id                   24 salt
 *    32 sequence of the first record
 *    40 chain: CRC of the last record before
 *    48 hard state: term, vote, commit
 *    72 newest snapshot: index, term
 *    88 last entry before: index, term
 *   104 lost: 0, or entries up to this index may be missing
 *   112 cut: 0, or records before this segment from this sequence on are void
 *   120 generation           128 nonce salt
 *   136 length of the identity
 *   492 tag                  508 CRC of bytes 0 to 507, and of the identity
 *
 * Bound, 512 bytes: what was promised, written by turns with every write of
 * records, in the sync that these need anyway.
 *     0 magic "SWKB"           4 flags (1: sealed, 2: another segment follows)
 *     8 count of these         16 segment id           24 salt of the segment
 *    32 synced: records up to this sequence were durable before
 *    40 index up to which entries may be acknowledged
 *    48 hard state: term, vote, commit
 *    72 newest snapshot: index, term
 *    88 nonce salt            96 nonce count
 *   492 tag                  508 CRC of bytes 0 to 507
 *
 * Record, at a multiple of 8
 *     0 mark: low half of the segment's salt, made odd
 *     4 type (1 append, 2 snapshot, 3 nonce salt)
 *     5 flags (1: sealed)      6 zero
 *     8 payload length, with the tag       12 chain: CRC of the record before
 *    16 sequence             24 synced: an offset in this segment; everything
 *                               before it was durable when this was written
 *    28 CRC of salt, segment id, offset, bytes 0 to 27, payload and padding
 *    32 payload, then the tag of a sealed one, padded to a multiple of 8
 *
 * The CRC covers where a record belongs, and the chain what it follows, so one
 * that is moved, stale or skipped is recognised. synced tells a torn write
 * from damage: a bad place with a good record behind it that was written after
 * the bad place was durable cannot come from a crash.
 *
 * What the CRC covers is the extra bytes of a sealed record. Its nonce is the
 * nonce salt of the header, or of the record of type 3 before it, and its
 * sequence counted from there. As a write that was cut off is written anew
 * with the same sequence, writing begins with a new nonce salt after each
 * load.
 *
 * Append payload: u32 flags (1: hard state follows), u32 number of entries,
 * [term, vote, commit], then for each entry index, term, i32 type, u32 length,
 * data. Snapshot payload: index, term, u64 flags (1: replaces the log before).
 * Nonce salt payload: the salt, in clear.
 */

#ifndef SWKI_RUNTIME_FILE_FORMAT_H
#define SWKI_RUNTIME_FILE_FORMAT_H

#include <stdbool.h>

#include <swarmkit/port/storage.h>

#include "runtime/file/seal.h"

enum {
    SWKI_FORMAT_VERSION = 3,
    SWKI_FORMAT_SEALED = 1,
    SWKI_SEGMENT_HEADER_SIZE = 512,
    SWKI_IDENTITY_MAX = 4096,
    SWKI_BOUND_SIZE = 512,
    SWKI_BOUND_AT = 8192,
    SWKI_BOUND_STEP = 4096,
    SWKI_SEGMENT_HEAD_SIZE = 16384, /* where the records begin */
    SWKI_RECORD_HEADER_SIZE = 32,
    SWKI_RECORD_ALIGN = 8,
    /* Payload of one record; keeps offsets within 32 bits. */
    SWKI_RECORD_PAYLOAD_MAX = 1 << 30,
};

enum swki_record_type {
    SWKI_RECORD_APPEND = 1,
    SWKI_RECORD_SNAPSHOT = 2,
    SWKI_RECORD_NONCE_SALT = 3,
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
    uint64_t lost;
    uint64_t cut;
    uint64_t generation;
    uint64_t nonce_salt;
    bool sealed;
    uint32_t identity_len;
    uint8_t identity[SWKI_IDENTITY_MAX];
};

/* Fills the first SWKI_BOUND_AT bytes of a segment. */
void swki_segment_header_encode(const struct swki_segment_header *header,
                                const struct swki_seal *seal,
                                uint8_t out[SWKI_BOUND_AT]);

/* Reads the header at the front of size bytes. SWK_ECORRUPT; SWK_ENOTSUP for
 * another version, or flags of later releases. Does not look at the seal. */
int swki_segment_header_decode(const uint8_t *bytes, size_t size,
                               struct swki_segment_header *out_header);

/* Whether the header of bytes was sealed by this key. */
bool swki_segment_header_open(const uint8_t bytes[SWKI_BOUND_AT],
                              const struct swki_segment_header *header,
                              const struct swki_seal *seal);

struct swki_bound {
    uint64_t count;
    uint64_t id;
    uint64_t salt; /* of the segment */
    uint64_t synced;
    uint64_t index;
    struct swk_hard_state state;
    struct swki_place snapshot;
    bool followed; /* by another segment */
    uint64_t nonce_salt;
    uint32_t nonce_count;
};

void swki_bound_encode(const struct swki_bound *bound,
                       const struct swki_seal *seal,
                       uint8_t out[SWKI_BOUND_SIZE]);
/* False if there is none, or it was sealed by another key. */
bool swki_bound_decode(const uint8_t bytes[SWKI_BOUND_SIZE],
                       const struct swki_seal *seal,
                       struct swki_bound *out_bound);

/* Where a record stands, and how those around it are sealed. */
struct swki_session {
    const struct swki_segment_header *segment;
    const struct swki_seal *seal;
    uint64_t nonce_salt;
    uint64_t first_sequence; /* of those under this salt */
};

struct swki_record {
    uint8_t type;
    uint8_t flags;
    uint32_t chain;
    uint64_t sequence;
    uint32_t synced;
    uint32_t crc;
    uint8_t *payload; /* borrowed from the bytes it was read from */
    size_t payload_len;
    size_t size; /* with header and padding */
};

/* Bytes of a record with that much payload. */
size_t swki_record_size(size_t payload_len, bool sealed);

/* Writes the parts of a header that are known early. */
void swki_record_begin(uint8_t *bytes, enum swki_record_type type,
                       size_t payload_len, bool sealed);

/* What is known of a record that was begun: type, payload, size. */
void swki_record_peek(uint8_t *bytes, struct swki_record *out_record);

/* Completes a record for its place: offset, and of out_record chain, sequence
 * and synced. Seals it, and returns its CRC. */
uint32_t swki_record_finish(uint8_t *bytes, const struct swki_session *session,
                            uint64_t offset, const struct swki_record *record);

/* Reads the record at offset, if the size bytes there begin with one that
 * belongs there. The payload is sealed still. */
bool swki_record_decode(uint8_t *bytes, size_t size,
                        const struct swki_segment_header *segment,
                        uint64_t offset, struct swki_record *out_record);

/* Whether a record of this segment seems to begin there, good or bad. */
bool swki_record_begins(const uint8_t *bytes, size_t size,
                        const struct swki_segment_header *segment);

/* Opens the payload where it lies; false if it was not sealed for this place
 * by this key. One that is not sealed passes if the segment is not. */
bool swki_record_open(uint8_t *bytes, const struct swki_session *session,
                      uint64_t offset, struct swki_record *record);

/* The salt that a record of that type brings; 0 if it is malformed. It can be
 * read before the record is opened. */
uint64_t swki_nonce_salt_of(const struct swki_record *record);

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
    SWKI_NONCE_SALT_PAYLOAD_LEN = 8,
};

/* install: it takes the place of the whole log before it. */
void swki_snapshot_payload_encode(uint8_t *payload,
                                  const struct swki_place *place, bool install);
bool swki_snapshot_payload_decode(const uint8_t *payload, size_t len,
                                  struct swki_place *out_place,
                                  bool *out_install);

#endif
