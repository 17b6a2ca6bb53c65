/* SPDX-License-Identifier: Apache-2.0 */

/* Writing the log: records, and the bound with each write of them. */

#include "runtime/file/wal.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "runtime/file/number.h"

enum {
    SALT_RECORD_MAX = 64,
};

static bool note_append(struct swki_wal *wal, const struct swki_record *record)
{
    struct swki_append_reader reader;
    struct swk_log_entry entry;

    if (!swki_append_read(&reader, record->payload, record->payload_len)) {
        return false;
    }
    if (reader.has_state) {
        wal->state = reader.state;
    }
    while (reader.entries_left > 0) {
        if (!swki_append_next(&reader, &entry)) {
            return false;
        }
        wal->last.index = entry.index;
        wal->last.term = entry.term;
        if (entry.index > wal->segment_last_index) {
            wal->segment_last_index = entry.index;
        }
    }
    return true;
}

static bool note_snapshot(struct swki_wal *wal,
                          const struct swki_record *record)
{
    bool install;

    if (!swki_snapshot_payload_decode(record->payload, record->payload_len,
                                      &wal->snapshot, &install)) {
        return false;
    }
    if (install) {
        wal->last = wal->snapshot;
    }
    return true;
}

bool swki_wal_note(struct swki_wal *wal, const struct swki_record *record)
{
    bool good = true;

    switch (record->type) {
    case SWKI_RECORD_APPEND:
        good = note_append(wal, record);
        break;
    case SWKI_RECORD_SNAPSHOT:
        good = note_snapshot(wal, record);
        break;
    case SWKI_RECORD_NONCE_SALT:
        wal->session.nonce_salt = swki_nonce_salt_of(record);
        wal->session.first_sequence = record->sequence;
        good = record->payload_len == SWKI_NONCE_SALT_PAYLOAD_LEN;
        break;
    default:
        good = false;
        break;
    }
    if (wal->last.index >= wal->lost) {
        wal->lost = 0; /* what was lost is there again */
    }
    return good;
}

/* Completes one record for the offset. */
static void complete(struct swki_wal *wal, uint8_t *bytes, uint64_t offset)
{
    const struct swki_record place = {
        .chain = wal->chain,
        .sequence = wal->sequence,
        .synced = (uint32_t)wal->offset,
    };
    struct swki_record record;

    swki_record_peek(bytes, &record);
    record.sequence = wal->sequence;
    bool noted = swki_wal_note(wal, &record);
    assert(noted); /* the bytes are our own */
    (void)noted;
    wal->chain = swki_record_finish(bytes, &wal->session, offset, &place);
    wal->sequence++;
}

/* The record that brings the nonce salt, if it is due; returns its size. */
static size_t complete_salt(struct swki_wal *wal,
                            uint8_t out_bytes[SALT_RECORD_MAX])
{
    if (!wal->salt_due) {
        return 0;
    }
    swki_record_begin(out_bytes, SWKI_RECORD_NONCE_SALT,
                      SWKI_NONCE_SALT_PAYLOAD_LEN, true);
    swki_put64(out_bytes + SWKI_RECORD_HEADER_SIZE,
               wal->io->salt(wal->io->ctx));
    complete(wal, out_bytes, wal->offset);
    wal->salt_due = false;
    return swki_record_size(SWKI_NONCE_SALT_PAYLOAD_LEN, true);
}

/* Completes the records at bytes that fit in the segment from offset on;
 * returns their size. */
static size_t complete_run(struct swki_wal *wal, uint8_t *bytes, size_t len,
                           uint64_t offset)
{
    size_t run = 0;

    while (run < len) {
        struct swki_record record;

        swki_record_peek(bytes + run, &record);
        if (offset + run + record.size > wal->segment_room) {
            break;
        }
        complete(wal, bytes + run, offset + run);
        run += record.size;
    }
    return run;
}

void swki_wal_next_bound(struct swki_wal *wal, uint64_t synced, bool followed,
                         uint8_t out_bytes[SWKI_BOUND_SIZE])
{
    if (wal->bound_salt == 0 || wal->bound_nonces == UINT32_MAX) {
        wal->bound_salt = wal->io->salt(wal->io->ctx);
        wal->bound_nonces = 0;
    }
    wal->bound_count++;
    wal->bound_nonces++;
    const struct swki_bound bound = {
        .count = wal->bound_count,
        .id = wal->segment.id,
        .salt = wal->segment.salt,
        .synced = synced,
        .index = wal->last.index,
        .state = wal->state,
        .snapshot = wal->snapshot,
        .followed = followed,
        .nonce_salt = wal->bound_salt,
        .nonce_count = wal->bound_nonces,
    };
    swki_bound_encode(&bound, &wal->seal, out_bytes);
}

uint64_t swki_wal_bound_at(const struct swki_wal *wal)
{
    return SWKI_BOUND_AT + wal->bound_count % 2 * SWKI_BOUND_STEP;
}

static int write_head(struct swki_wal *wal, const uint8_t *bound)
{
    uint8_t head[SWKI_SEGMENT_HEAD_SIZE] = {0};

    swki_segment_header_encode(&wal->segment, &wal->seal, head);
    memcpy(head + swki_wal_bound_at(wal), bound, SWKI_BOUND_SIZE);
    return swki_io_write_all(wal->io, wal->fd, head, sizeof(head), 0);
}

/* The new file is complete and durable before it gets its name, so a segment
 * with a bad header is never a torn write. */
static int name_segment(struct swki_wal *wal)
{
    const struct swki_file_io *io = wal->io;
    char name[SWKI_WAL_NAME_SIZE];

    swki_wal_segment_name(wal->segment.id, name);
    int rc = io->rename(io->ctx, wal->dir, wal->unnamed, name);
    wal->unnamed[0] = '\0';
    if (rc >= 0) {
        rc = io->sync_dir(io->ctx, wal->dir);
    }
    if (rc >= 0 && wal->followed_fd >= 0) {
        rc = swki_io_write_all(io, wal->followed_fd, wal->followed,
                               sizeof(wal->followed), wal->followed_at);
    }
    if (wal->followed_fd >= 0) {
        io->close(io->ctx, wal->followed_fd);
        wal->followed_fd = -1;
    }
    return rc;
}

/* A run of complete records, and the salt's before it. */
struct run {
    uint8_t salt[SALT_RECORD_MAX];
    size_t salt_len;
    const uint8_t *bytes;
    size_t len;
    uint64_t synced; /* sequence of the last record before */
};

static int write_run(struct swki_wal *wal, const struct run *run)
{
    const struct swki_file_io *io = wal->io;
    bool is_new = wal->unnamed[0] != '\0';
    uint8_t bound[SWKI_BOUND_SIZE];
    uint64_t at = wal->offset;
    int rc = 0;

    swki_wal_next_bound(wal, run->synced, false, bound);
    if (is_new) {
        rc = write_head(wal, bound);
    }
    if (rc >= 0 && run->salt_len > 0) {
        rc = swki_io_write_all(io, wal->fd, run->salt, run->salt_len, at);
        at += run->salt_len;
    }
    if (rc >= 0 && run->len > 0) {
        rc = swki_io_write_all(io, wal->fd, run->bytes, run->len, at);
        at += run->len;
    }
    if (rc >= 0 && !is_new) {
        rc = swki_io_write_all(io, wal->fd, bound, sizeof(bound),
                               swki_wal_bound_at(wal));
    }
    if (rc >= 0) {
        rc = io->sync(io->ctx, wal->fd);
    }
    if (rc >= 0 && is_new) {
        rc = name_segment(wal);
    }
    wal->offset = at;
    return rc;
}

static int write_failed(const struct swki_wal *wal, int rc,
                        struct swk_error *err)
{
    char name[SWKI_WAL_NAME_SIZE];

    swki_wal_segment_name(wal->segment.id, name);
    return swki_io_fail(err, rc, "write to", wal->dir_path, name);
}

int swki_wal_flush(struct swki_wal *wal, struct swk_error *err)
{
    const struct run run = {.synced = wal->sequence - 1};
    int rc = write_run(wal, &run);

    return rc < 0 ? write_failed(wal, rc, err) : SWK_OK;
}

/* Entries wait until there is space; what a member must be able to promise,
 * and the snapshot that makes room, do not (R-DSK-2). */
static bool is_urgent(const struct swki_record *record)
{
    struct swki_append_reader reader;

    return record->type != SWKI_RECORD_APPEND ||
           (swki_append_read(&reader, record->payload, record->payload_len) &&
            reader.entries_left == 0);
}

/* Sees to a segment in which the record at bytes has room, under the newest
 * key. */
static int make_room(struct swki_wal *wal, uint8_t *bytes,
                     struct swk_error *err)
{
    struct swki_record record;
    uint64_t need =
        wal->salt_due ? swki_record_size(SWKI_NONCE_SALT_PAYLOAD_LEN, true) : 0;

    swki_record_peek(bytes, &record);
    if (wal->offset + need + record.size <= wal->segment_room &&
        wal->seal.number == swki_keyring_newest(wal->ring) &&
        !wal->generation_due) {
        return SWK_OK;
    }
    return swki_wal_next_segment(wal, record.size, is_urgent(&record), err);
}

int swki_wal_write(struct swki_wal *wal, uint8_t *bytes, size_t len,
                   struct swk_error *err)
{
    while (len > 0) {
        int rc = make_room(wal, bytes, err);
        if (rc != SWK_OK) {
            return rc;
        }
        struct run run = {.bytes = bytes, .synced = wal->sequence - 1};

        run.salt_len = complete_salt(wal, run.salt);
        run.len = complete_run(wal, bytes, len, wal->offset + run.salt_len);
        rc = write_run(wal, &run);
        if (rc < 0) {
            return write_failed(wal, rc, err);
        }
        bytes += run.len;
        len -= run.len;
        swki_wal_prepare(wal);
    }
    return SWK_OK;
}

int swki_wal_identify(struct swki_wal *wal, const uint8_t *identity, size_t len,
                      struct swk_error *err)
{
    memcpy(wal->identity, identity, len);
    wal->identity_len = (uint32_t)len;
    int rc = swki_wal_next_segment(wal, 0, true, err);
    if (rc == SWK_OK) {
        rc = swki_wal_flush(wal, err);
    }
    if (rc == SWK_OK && swki_wal_drop_segments(wal) < 0) {
        rc = swki_fail(err, SWK_EIO, "cannot sync %s", wal->dir_path);
    }
    return rc;
}

void swki_wal_close(struct swki_wal *wal)
{
    if (wal->fd >= 0) {
        wal->io->close(wal->io->ctx, wal->fd);
    }
    if (wal->followed_fd >= 0) {
        wal->io->close(wal->io->ctx, wal->followed_fd);
    }
    wal->fd = -1;
    wal->followed_fd = -1;
    swki_seal_fini(&wal->seal);
    swki_free(wal->alloc, wal->closed);
    swki_free(wal->alloc, wal->snapshots);
    wal->closed = NULL;
    wal->snapshots = NULL;
}
