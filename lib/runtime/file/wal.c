/* SPDX-License-Identifier: Apache-2.0 */

/* Writing the log: records and segments. */

#include "runtime/file/wal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"

static const char temporary_segment[] = "log.tmp";

void swki_wal_segment_name(uint64_t id, char out_name[SWKI_WAL_NAME_SIZE])
{
    snprintf(out_name, SWKI_WAL_NAME_SIZE, "log-%016" PRIx64, id);
}

void swki_wal_snapshot_name(const struct swki_place *place,
                            char out_name[SWKI_WAL_NAME_SIZE])
{
    snprintf(out_name, SWKI_WAL_NAME_SIZE,
             "snapshot-%016" PRIx64 "-%016" PRIx64, place->index, place->term);
}

bool swki_wal_add_closed(struct swki_wal *wal, uint64_t id, uint64_t last_index)
{
    if (wal->closed_count == wal->closed_size) {
        size_t size = wal->closed_size > 0 ? 2 * wal->closed_size : 8;
        struct swki_wal_segment *closed =
            swki_realloc(wal->alloc, wal->closed, size, sizeof(*closed));

        if (closed == NULL) {
            return false;
        }
        wal->closed = closed;
        wal->closed_size = size;
    }
    wal->closed[wal->closed_count++] =
        (struct swki_wal_segment){.id = id, .last_index = last_index};
    return true;
}

bool swki_wal_add_snapshot(struct swki_wal *wal,
                           const struct swki_place *place)
{
    size_t at = wal->snapshots_count;

    if (wal->snapshots_count == wal->snapshots_size) {
        size_t size = wal->snapshots_size > 0 ? 2 * wal->snapshots_size : 4;
        struct swki_place *snapshots =
            swki_realloc(wal->alloc, wal->snapshots, size, sizeof(*snapshots));

        if (snapshots == NULL) {
            return false;
        }
        wal->snapshots = snapshots;
        wal->snapshots_size = size;
    }
    while (at > 0 && wal->snapshots[at - 1].index > place->index) {
        wal->snapshots[at] = wal->snapshots[at - 1];
        at--;
    }
    wal->snapshots[at] = *place;
    wal->snapshots_count++;
    return true;
}

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
    return record->type == SWKI_RECORD_SNAPSHOT ? note_snapshot(wal, record)
                                                : note_append(wal, record);
}

/* The new file is complete and durable before it gets its name, so a segment
 * with a bad header is never a torn write. */
static int make_segment(struct swki_wal *wal,
                        const struct swki_segment_header *header, uint64_t room,
                        int *out_fd)
{
    const struct swki_file_io *io = wal->io;
    uint8_t bytes[SWKI_SEGMENT_HEADER_SIZE];
    char name[SWKI_WAL_NAME_SIZE];
    int fd = io->create(io->ctx, wal->dir, temporary_segment);

    if (fd < 0) {
        return fd;
    }
    swki_segment_header_encode(header, bytes);
    swki_wal_segment_name(header->id, name);
    int rc = io->preallocate(io->ctx, fd, room);
    if (rc >= 0) {
        rc = swki_io_write_all(io, fd, bytes, sizeof(bytes), 0);
    }
    if (rc >= 0) {
        rc = io->sync(io->ctx, fd);
    }
    if (rc >= 0) {
        rc = io->rename(io->ctx, wal->dir, temporary_segment, name);
    }
    if (rc >= 0) {
        rc = io->sync_dir(io->ctx, wal->dir);
    }
    if (rc < 0) {
        io->close(io->ctx, fd);
        return rc;
    }
    *out_fd = fd;
    return 0;
}

int swki_wal_create_segment(struct swki_wal *wal, uint64_t id, uint64_t need,
                            struct swk_error *err)
{
    const struct swki_segment_header header = {
        .id = id,
        .salt = wal->io->salt(wal->io->ctx),
        .first_sequence = wal->sequence,
        .chain = wal->chain,
        .state = wal->state,
        .snapshot = wal->snapshot,
        .base = wal->last,
    };
    uint64_t room = SWKI_SEGMENT_HEADER_SIZE + need;
    int fd;

    if (room < wal->segment_size) {
        room = wal->segment_size;
    }
    if (wal->fd >= 0 &&
        !swki_wal_add_closed(wal, wal->segment.id, wal->segment_last_index)) {
        return swki_fail_nomem(err);
    }
    int rc = make_segment(wal, &header, room, &fd);
    if (rc < 0) {
        return swki_io_fail(err, rc, "make a log segment in", wal->dir_path,
                            "");
    }
    if (wal->fd >= 0) {
        wal->io->close(wal->io->ctx, wal->fd);
    }
    wal->fd = fd;
    wal->segment = header;
    wal->segment_room = room;
    wal->segment_last_index = 0;
    wal->offset = SWKI_SEGMENT_HEADER_SIZE;
    return SWK_OK;
}

/* Completes the records at bytes that fit in the segment; returns their
 * size. */
static size_t seal_run(struct swki_wal *wal, uint8_t *bytes, size_t len)
{
    uint32_t synced = (uint32_t)wal->offset;
    size_t run = 0;

    while (run < len) {
        struct swki_record record;
        uint64_t offset = wal->offset + run;

        swki_record_peek(bytes + run, &record);
        if (offset + record.size > wal->segment_room) {
            break;
        }
        bool noted = swki_wal_note(wal, &record);
        assert(noted); /* the bytes are our own */
        (void)noted;
        wal->chain = swki_record_seal(bytes + run, &wal->segment, offset,
                                      wal->sequence, wal->chain, synced);
        wal->sequence++;
        run += record.size;
    }
    return run;
}

static int next_segment(struct swki_wal *wal, const uint8_t *bytes,
                        struct swk_error *err)
{
    struct swki_record record;

    swki_record_peek(bytes, &record);
    return swki_wal_create_segment(wal, wal->segment.id + 1, record.size, err);
}

int swki_wal_write(struct swki_wal *wal, uint8_t *bytes, size_t len,
                   struct swk_error *err)
{
    const struct swki_file_io *io = wal->io;
    char name[SWKI_WAL_NAME_SIZE];

    while (len > 0) {
        size_t run = seal_run(wal, bytes, len);
        int rc = run > 0 ? SWK_OK : next_segment(wal, bytes, err);

        if (rc != SWK_OK) {
            return rc;
        }
        if (run == 0) {
            continue;
        }
        rc = swki_io_write_all(io, wal->fd, bytes, run, wal->offset);
        if (rc >= 0) {
            rc = io->sync(io->ctx, wal->fd);
        }
        if (rc < 0) {
            swki_wal_segment_name(wal->segment.id, name);
            return swki_io_fail(err, rc, "write to", wal->dir_path, name);
        }
        wal->offset += run;
        bytes += run;
        len -= run;
    }
    return SWK_OK;
}

void swki_wal_close(struct swki_wal *wal)
{
    if (wal->fd >= 0) {
        wal->io->close(wal->io->ctx, wal->fd);
    }
    wal->fd = -1;
    swki_free(wal->alloc, wal->closed);
    swki_free(wal->alloc, wal->snapshots);
    wal->closed = NULL;
    wal->snapshots = NULL;
}
