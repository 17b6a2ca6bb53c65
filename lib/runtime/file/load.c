/* SPDX-License-Identifier: Apache-2.0 */

/* Reading the log back, and making it fit to be written again. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/file/wal.h"

/* A segment's bytes, as entries point into them until load ends. */
struct piece {
    uint8_t *bytes;
    size_t size;
};

struct load {
    struct swki_wal *wal;
    struct swk_error *err;
    uint64_t *ids; /* of segments, ascending */
    size_t ids_count;
    size_t ids_size;
    struct piece *pieces; /* one a segment */
    size_t pieces_count;
    struct swk_log_entry *entries; /* those in force, after base */
    size_t entries_count;
    size_t entries_size;
    struct swki_place base;
    uint64_t settled; /* offset in the segment; what is before it is durable */
};

static int damaged(struct load *load, uint64_t id, uint64_t offset,
                   const char *why)
{
    char name[SWKI_WAL_NAME_SIZE];

    swki_wal_segment_name(id, name);
    return swki_fail(load->err, SWK_ECORRUPT,
                     "%s/%s is damaged at offset %" PRIu64 " (%s): restore "
                     "the directory from a backup",
                     load->wal->dir_path, name, offset, why);
}

static uint64_t last_index(const struct load *load)
{
    return load->base.index + load->entries_count;
}

/* The term at an index from that of base on; 0 for others. */
static uint64_t term_at(const struct load *load, uint64_t index)
{
    if (index == load->base.index) {
        return load->base.term;
    }
    if (index < load->base.index || index > last_index(load)) {
        return 0;
    }
    return load->entries[index - load->base.index - 1].term;
}

/* Parses exactly digits hexadecimal digits. */
static bool parse_hex(const char *text, uint64_t *out_value)
{
    uint64_t value = 0;

    for (int i = 0; i < 16; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = text[i] != '\0' ? strchr(digits, text[i]) : NULL;

        if (digit == NULL) {
            return false;
        }
        value = value << 4 | (uint64_t)(digit - digits);
    }
    *out_value = value;
    return true;
}

static bool add_id(struct load *load, uint64_t id)
{
    if (load->ids_count == load->ids_size) {
        size_t size = load->ids_size > 0 ? 2 * load->ids_size : 16;
        uint64_t *ids =
            swki_realloc(load->wal->alloc, load->ids, size, sizeof(*ids));

        if (ids == NULL) {
            return false;
        }
        load->ids = ids;
        load->ids_size = size;
    }
    load->ids[load->ids_count++] = id;
    return true;
}

static int found_name(void *ctx, const char *name)
{
    struct load *load = ctx;
    struct swki_place place;
    size_t len = strlen(name);
    uint64_t id;

    if (len == 20 && memcmp(name, "log-", 4) == 0 && parse_hex(name + 4, &id)) {
        return add_id(load, id) ? 0 : -ENOMEM;
    }
    if (len == 42 && memcmp(name, "snapshot-", 9) == 0 && name[25] == '-' &&
        parse_hex(name + 9, &place.index) && parse_hex(name + 26, &place.term)) {
        return swki_wal_add_snapshot(load->wal, &place) ? 0 : -ENOMEM;
    }
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static int list_files(struct load *load)
{
    struct swki_wal *wal = load->wal;
    int rc = wal->io->list(wal->io->ctx, wal->dir, found_name, load);

    if (rc == -ENOMEM) {
        return swki_fail_nomem(load->err);
    }
    if (rc < 0) {
        return swki_io_fail(load->err, rc, "list", wal->dir_path, "");
    }
    if (load->ids_count > 0) {
        qsort(load->ids, load->ids_count, sizeof(load->ids[0]), compare_ids);
    }
    for (size_t i = 1; i < load->ids_count; i++) {
        if (load->ids[i] != load->ids[i - 1] + 1) {
            return damaged(load, load->ids[i - 1] + 1, 0, "it is missing");
        }
    }
    if (load->ids_count == 0 && wal->snapshots_count > 0) {
        return swki_fail(load->err, SWK_ECORRUPT,
                         "%s has snapshots and no log: restore the directory "
                         "from a backup",
                         wal->dir_path);
    }
    return SWK_OK;
}

static bool add_entry(struct load *load, const struct swk_log_entry *entry)
{
    if (load->entries_count == load->entries_size) {
        size_t size = load->entries_size > 0 ? 2 * load->entries_size : 256;
        struct swk_log_entry *entries = swki_realloc(
            load->wal->alloc, load->entries, size, sizeof(*entries));

        if (entries == NULL) {
            return false;
        }
        load->entries = entries;
        load->entries_size = size;
    }
    load->entries[load->entries_count++] = *entry;
    return true;
}

static int take_entry(struct load *load, const struct swk_log_entry *entry,
                      uint64_t offset)
{
    uint64_t id = load->wal->segment.id;

    if (entry->index > last_index(load) + 1) {
        return damaged(load, id, offset, "entries are missing before it");
    }
    if (entry->index <= load->base.index) {
        return damaged(load, id, offset, "an entry replaces a snapshot");
    }
    load->entries_count = (size_t)(entry->index - load->base.index - 1);
    return add_entry(load, entry) ? SWK_OK : swki_fail_nomem(load->err);
}

static int take_append(struct load *load, const struct swki_record *record,
                       uint64_t offset)
{
    struct swki_append_reader reader;
    struct swk_log_entry entry;

    if (!swki_append_read(&reader, record->payload, record->payload_len)) {
        return damaged(load, load->wal->segment.id, offset, "bad record");
    }
    while (reader.entries_left > 0) {
        if (!swki_append_next(&reader, &entry)) {
            return damaged(load, load->wal->segment.id, offset, "bad record");
        }
        int rc = take_entry(load, &entry, offset);
        if (rc != SWK_OK) {
            return rc;
        }
    }
    return SWK_OK;
}

/* A snapshot of this log changes nothing; the entries before it may still be
 * needed, should its file be bad. A received one replaces the log. */
static void take_snapshot(struct load *load, const struct swki_record *record)
{
    struct swki_place place;
    bool install;

    if (swki_snapshot_payload_decode(record->payload, record->payload_len,
                                     &place, &install) &&
        install) {
        load->entries_count = 0;
        load->base = place;
    }
}

static int take_record(struct load *load, const struct swki_record *record,
                       uint64_t offset)
{
    struct swki_wal *wal = load->wal;

    if (record->type != SWKI_RECORD_APPEND &&
        record->type != SWKI_RECORD_SNAPSHOT) {
        return swki_fail(load->err, SWK_ENOTSUP,
                         "the log in %s was written by a later release",
                         wal->dir_path);
    }
    if (!swki_wal_note(wal, record)) {
        return damaged(load, wal->segment.id, offset, "bad record");
    }
    wal->chain = record->crc;
    wal->sequence = record->sequence + 1;
    if (record->type == SWKI_RECORD_SNAPSHOT) {
        take_snapshot(load, record);
        return SWK_OK;
    }
    return take_append(load, record, offset);
}

static int take_records(struct load *load, const struct piece *piece)
{
    struct swki_wal *wal = load->wal;
    struct swki_record record;
    uint64_t offset = SWKI_SEGMENT_HEADER_SIZE;

    wal->segment_last_index = 0;
    load->settled = offset;
    while (swki_record_decode(piece->bytes + offset, piece->size - offset,
                              &wal->segment, offset, &record) &&
           record.sequence == wal->sequence && record.chain == wal->chain) {
        int rc = take_record(load, &record, offset);

        if (rc != SWK_OK) {
            return rc;
        }
        offset += record.size;
        load->settled = record.synced < offset ? record.synced : offset;
    }
    wal->offset = offset;
    return SWK_OK;
}

static bool all_zero(const struct piece *piece, uint64_t from)
{
    for (uint64_t i = from; i < piece->size; i++) {
        if (piece->bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Whether a good record behind a bad place was written when that place was
 * durable already: then no crash explains it (R-DSK-3). */
static bool proves_damage(const struct load *load, const struct piece *piece,
                          uint64_t bad)
{
    struct swki_record record;

    for (uint64_t at = bad + SWKI_RECORD_ALIGN; at < piece->size;
         at += SWKI_RECORD_ALIGN) {
        if (swki_record_decode(piece->bytes + at, piece->size - at,
                               &load->wal->segment, at, &record) &&
            record.synced > bad) {
            return true;
        }
    }
    return false;
}

/* Takes what is behind the last record off the file, and space for more. */
static int clear_tail(struct load *load, const struct piece *piece,
                      const char *name)
{
    struct swki_wal *wal = load->wal;
    const struct swki_file_io *io = wal->io;
    bool torn = !all_zero(piece, wal->offset);
    int rc = 0;

    wal->segment_room =
        piece->size < wal->segment_size ? wal->segment_size : piece->size;
    if (torn) {
        swki_log(wal->logger, SWK_LOG_WARN, "file",
                 "%s/%s ends in a write that was cut off, at offset %" PRIu64
                 ": removed what was not complete",
                 wal->dir_path, name, wal->offset);
        rc = io->truncate(io->ctx, wal->fd, wal->offset);
    }
    if (rc >= 0 && (torn || piece->size < wal->segment_room)) {
        rc = io->preallocate(io->ctx, wal->fd, wal->segment_room);
    }
    return rc;
}

/* What was read may be in the memory of the system alone: the process before
 * may have ended before its sync, or because of it. So the records of the last
 * write are written and synced again before anyone relies on them. */
static int settle_tail(struct load *load, const struct piece *piece)
{
    struct swki_wal *wal = load->wal;
    const struct swki_file_io *io = wal->io;
    int rc =
        swki_io_write_all(io, wal->fd, piece->bytes + load->settled,
                          (size_t)(wal->offset - load->settled), load->settled);

    if (rc >= 0) {
        rc = io->sync(io->ctx, wal->fd);
    }
    return rc >= 0 ? io->sync_dir(io->ctx, wal->dir) : rc;
}

static int end_last_segment(struct load *load, const struct piece *piece)
{
    struct swki_wal *wal = load->wal;

    if (!all_zero(piece, wal->offset) &&
        proves_damage(load, piece, wal->offset)) {
        return damaged(load, wal->segment.id, wal->offset,
                       "good records follow");
    }
    char name[SWKI_WAL_NAME_SIZE];
    swki_wal_segment_name(wal->segment.id, name);
    int rc = clear_tail(load, piece, name);
    if (rc >= 0) {
        rc = settle_tail(load, piece);
    }
    return rc < 0 ? swki_io_fail(load->err, rc, "repair", wal->dir_path, name)
                  : SWK_OK;
}

static int other_format(struct load *load)
{
    return swki_fail(load->err, SWK_ENOTSUP,
                     "the log in %s has another format than this release "
                     "writes: use the release that wrote it, or remove the "
                     "directory and join again",
                     load->wal->dir_path);
}

/* Whether a segment is what its name says, and goes on from the one before. */
static int take_header(struct load *load, const struct piece *piece, size_t at)
{
    struct swki_wal *wal = load->wal;
    struct swki_segment_header header;
    uint64_t id = load->ids[at];
    int rc = piece->size < SWKI_SEGMENT_HEADER_SIZE
                 ? SWK_ECORRUPT
                 : swki_segment_header_decode(piece->bytes, &header);

    if (rc == SWK_ENOTSUP) {
        return other_format(load);
    }
    if (rc != SWK_OK || header.id != id) {
        return damaged(load, id, 0, "bad header");
    }
    if (at > 0 && (header.first_sequence != wal->sequence ||
                   header.chain != wal->chain)) {
        return damaged(load, id - 1, wal->offset,
                       "records are missing at its end");
    }
    if (at == 0) {
        wal->sequence = header.first_sequence;
        wal->chain = header.chain;
        wal->state = header.state;
        wal->snapshot = header.snapshot;
        wal->last = header.base;
        load->base = header.base;
    }
    wal->segment = header;
    return SWK_OK;
}

static int read_piece(struct load *load, int fd, const char *name)
{
    struct swki_wal *wal = load->wal;
    int64_t size = wal->io->size(wal->io->ctx, fd);
    struct piece piece = {0};

    if (size < 0) {
        return swki_io_fail(load->err, (int)size, "read", wal->dir_path, name);
    }
    if (size > UINT32_MAX) {
        return swki_fail(load->err, SWK_ECORRUPT, "%s/%s is too large",
                         wal->dir_path, name);
    }
    piece.bytes = swki_alloc(wal->alloc, (size_t)size);
    if (piece.bytes == NULL) {
        return swki_fail_nomem(load->err);
    }
    load->pieces[load->pieces_count] = piece;
    load->pieces_count++;

    int64_t count = swki_io_read_all(wal->io, fd, piece.bytes, (size_t)size, 0);
    if (count < 0) {
        return swki_io_fail(load->err, (int)count, "read", wal->dir_path, name);
    }
    load->pieces[load->pieces_count - 1].size = (size_t)count;
    return SWK_OK;
}

static int load_segment(struct load *load, size_t at)
{
    struct swki_wal *wal = load->wal;
    bool is_last = at + 1 == load->ids_count;
    char name[SWKI_WAL_NAME_SIZE];

    swki_wal_segment_name(load->ids[at], name);
    int fd = wal->io->open(wal->io->ctx, wal->dir, name);
    if (fd < 0) {
        return swki_io_fail(load->err, fd, "open", wal->dir_path, name);
    }
    int rc = read_piece(load, fd, name);
    if (is_last) {
        wal->fd = fd;
    } else {
        wal->io->close(wal->io->ctx, fd);
    }
    const struct piece *piece = &load->pieces[at];
    if (rc == SWK_OK) {
        rc = take_header(load, piece, at);
    }
    if (rc == SWK_OK) {
        rc = take_records(load, piece);
    }
    if (rc == SWK_OK && is_last) {
        rc = end_last_segment(load, piece);
    }
    if (rc == SWK_OK && !is_last &&
        !swki_wal_add_closed(wal, load->ids[at], wal->segment_last_index)) {
        rc = swki_fail_nomem(load->err);
    }
    return rc;
}

static int load_segments(struct load *load)
{
    struct swki_wal *wal = load->wal;

    load->pieces =
        swki_calloc(wal->alloc, load->ids_count, sizeof(load->pieces[0]));
    if (load->pieces == NULL) {
        return swki_fail_nomem(load->err);
    }
    for (size_t i = 0; i < load->ids_count; i++) {
        int rc = load_segment(load, i);

        if (rc != SWK_OK) {
            return rc;
        }
    }
    return SWK_OK;
}

static void forget_newest_snapshot(struct swki_wal *wal)
{
    wal->snapshots_count--;
}

/* Snapshots that never got their record: the log does not know them. */
static int remove_unfinished(struct load *load)
{
    struct swki_wal *wal = load->wal;

    while (wal->snapshots_count > 0) {
        const struct swki_place *newest =
            &wal->snapshots[wal->snapshots_count - 1];
        char name[SWKI_WAL_NAME_SIZE];

        if (newest->index <= wal->snapshot.index) {
            break;
        }
        swki_wal_snapshot_name(newest, name);
        int rc = wal->io->remove(wal->io->ctx, wal->dir, name);
        if (rc < 0) {
            return swki_io_fail(load->err, rc, "remove", wal->dir_path, name);
        }
        forget_newest_snapshot(wal);
    }
    return SWK_OK;
}

/* Whether the state can be rebuilt from a snapshot, or from none (index 0),
 * and the log. */
static bool covers(const struct load *load,
                   const struct swki_place *place)
{
    if (load->base.index > place->index) {
        return false;
    }
    if (place->index == load->wal->snapshot.index) {
        return place->term == load->wal->snapshot.term;
    }
    return term_at(load, place->index) == place->term &&
           last_index(load) >= load->wal->snapshot.index;
}

/* Moves a bad snapshot out of the way, where it can be looked at. */
static int set_aside(struct load *load, const struct swki_place *place,
                     const struct swk_error *why)
{
    struct swki_wal *wal = load->wal;
    char name[SWKI_WAL_NAME_SIZE];
    char broken[SWKI_WAL_NAME_SIZE + 8];

    swki_log(wal->logger, SWK_LOG_ERROR, "file",
             "%s: using what is older, and the log", why->text);
    swki_wal_snapshot_name(place, name);
    snprintf(broken, sizeof(broken), "%s.broken", name);
    int rc = wal->io->rename(wal->io->ctx, wal->dir, name, broken);
    return rc < 0 ? swki_io_fail(load->err, rc, "rename", wal->dir_path, name)
                  : SWK_OK;
}

static int no_snapshot(struct load *load, const struct swk_error *why)
{
    return swki_fail(load->err, SWK_ECORRUPT,
                     "no good snapshot in %s for what the log lacks (%s): "
                     "restore the directory from a backup",
                     load->wal->dir_path, why->text);
}

/* Finds a snapshot to start from; index 0 if the log has everything. Bad ones
 * are set aside only when something replaces them. */
static int choose_snapshot(struct load *load,
                           struct swki_loaded_snapshot *out_snapshot)
{
    static const struct swki_place none = {0, 0};
    struct swki_wal *wal = load->wal;
    struct swk_error why = {.text = "its file is missing"};
    size_t newest = wal->snapshots_count;

    for (; newest > 0; newest--) {
        if (!covers(load, &wal->snapshots[newest - 1])) {
            continue;
        }
        int rc = swki_wal_read_snapshot(wal, &wal->snapshots[newest - 1],
                                        out_snapshot, &why);
        if (rc == SWK_OK) {
            break;
        }
        if (rc != SWK_ECORRUPT) {
            return swki_fail(load->err, rc, "%s", why.text);
        }
    }
    if (newest == 0 && !covers(load, &none)) {
        return no_snapshot(load, &why);
    }
    while (wal->snapshots_count > newest) {
        int rc =
            set_aside(load, &wal->snapshots[wal->snapshots_count - 1], &why);
        if (rc != SWK_OK) {
            return rc;
        }
        forget_newest_snapshot(wal);
    }
    return SWK_OK;
}

static int replay_identity(struct load *load,
                           const struct swk_storage_replay *replay)
{
    struct swki_wal *wal = load->wal;
    struct swki_buf buf;

    swki_buf_init(&buf, wal->alloc, SWKI_WAL_IDENTITY_MAX);
    int rc = swki_wal_read_identity(wal, &buf, load->err);
    if (rc == SWK_OK && buf.len > 0 && replay->identity != NULL) {
        rc = replay->identity(replay->ctx, buf.data, buf.len, load->err);
    }
    swki_buf_fini(&buf);
    return rc;
}

static int replay_entries(struct load *load,
                          const struct swk_storage_replay *replay,
                          uint64_t after)
{
    for (size_t i = 0; i < load->entries_count; i++) {
        int rc = SWK_OK;

        if (load->entries[i].index > after) {
            rc = replay->entry(replay->ctx, &load->entries[i], load->err);
        }
        if (rc != SWK_OK) {
            return rc;
        }
    }
    return SWK_OK;
}

static int replay_all(struct load *load,
                      const struct swk_storage_replay *replay)
{
    const struct swk_hard_state *state = &load->wal->state;
    struct swki_loaded_snapshot snapshot = {.data = NULL};
    int rc = choose_snapshot(load, &snapshot);
    uint64_t index = snapshot.meta.is.index;

    if (rc == SWK_OK) {
        rc = replay_identity(load, replay);
    }
    if (rc == SWK_OK && index > 0) {
        rc = replay->snapshot(replay->ctx, &snapshot.meta.is, snapshot.data,
                              snapshot.data_len, load->err);
    }
    swki_loaded_snapshot_fini(load->wal->alloc, &snapshot);
    if (rc == SWK_OK &&
        (state->term != 0 || state->vote != 0 || state->commit != 0)) {
        rc = replay->hard_state(replay->ctx, state, load->err);
    }
    return rc == SWK_OK ? replay_entries(load, replay, index) : rc;
}

static void release(struct load *load)
{
    const struct swk_alloc *alloc = load->wal->alloc;

    for (size_t i = 0; i < load->pieces_count; i++) {
        swki_free(alloc, load->pieces[i].bytes);
    }
    swki_free(alloc, load->pieces);
    swki_free(alloc, load->entries);
    swki_free(alloc, load->ids);
}

int swki_wal_load(struct swki_wal *wal, const struct swk_storage_replay *replay,
                  struct swk_error *err)
{
    struct load load = {.wal = wal, .err = err};
    int rc = list_files(&load);

    if (rc == SWK_OK && load.ids_count == 0) {
        wal->sequence = 1;
        rc = swki_wal_create_segment(wal, 1, 0, err);
    } else if (rc == SWK_OK) {
        rc = load_segments(&load);
        if (rc == SWK_OK) {
            rc = remove_unfinished(&load);
        }
        if (rc == SWK_OK) {
            rc = replay_all(&load, replay);
        }
    }
    release(&load);
    return rc;
}
