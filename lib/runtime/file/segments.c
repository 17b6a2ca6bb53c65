/* SPDX-License-Identifier: Apache-2.0 */

/* The files of the log: made, used again, set aside, removed. */

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/file/wal.h"

enum {
    SMALL_ROOM = 64 * 1024, /* of a segment made when the disk is full */
};

static const char temporary_segment[] = "log.tmp";
static const char reserve_name[] = "reserve";

void swki_wal_segment_name(uint64_t id, char out_name[SWKI_WAL_NAME_SIZE])
{
    snprintf(out_name, SWKI_WAL_NAME_SIZE, "log-%016" PRIx64, id);
}

void swki_wal_spare_name(uint64_t id, char out_name[SWKI_WAL_NAME_SIZE])
{
    snprintf(out_name, SWKI_WAL_NAME_SIZE, "spare-%016" PRIx64, id);
}

void swki_wal_snapshot_name(const struct swki_place *place,
                            char out_name[SWKI_WAL_NAME_SIZE])
{
    snprintf(out_name, SWKI_WAL_NAME_SIZE,
             "snapshot-%016" PRIx64 "-%016" PRIx64, place->index, place->term);
}

bool swki_wal_add_closed(struct swki_wal *wal,
                         const struct swki_wal_segment *segment)
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
    wal->closed[wal->closed_count++] = *segment;
    return true;
}

bool swki_wal_add_snapshot(struct swki_wal *wal,
                           const struct swki_wal_snapshot *snapshot)
{
    size_t at = wal->snapshots_count;

    if (wal->snapshots_count == wal->snapshots_size) {
        size_t size = wal->snapshots_size > 0 ? 2 * wal->snapshots_size : 4;
        struct swki_wal_snapshot *snapshots =
            swki_realloc(wal->alloc, wal->snapshots, size, sizeof(*snapshots));

        if (snapshots == NULL) {
            return false;
        }
        wal->snapshots = snapshots;
        wal->snapshots_size = size;
    }
    while (at > 0 &&
           wal->snapshots[at - 1].place.index > snapshot->place.index) {
        wal->snapshots[at] = wal->snapshots[at - 1];
        at--;
    }
    wal->snapshots[at] = *snapshot;
    wal->snapshots_count++;
    return true;
}

/* -- Space ---------------------------------------------------------------- */

static bool is_full(int rc)
{
    return rc == -ENOSPC || rc == -EDQUOT;
}

static bool reserve_is_whole(struct swki_wal *wal)
{
    const struct swki_file_io *io = wal->io;
    int fd = io->open(io->ctx, wal->dir, reserve_name);

    if (fd < 0) {
        return false;
    }
    int64_t size = io->size(io->ctx, fd);
    io->close(io->ctx, fd);
    return size >= (int64_t)wal->reserve_size;
}

void swki_wal_make_reserve(struct swki_wal *wal)
{
    const struct swki_file_io *io = wal->io;

    if (wal->reserve_size == 0 || reserve_is_whole(wal)) {
        return;
    }
    int fd = io->open(io->ctx, wal->dir, reserve_name);
    if (fd == -ENOENT) {
        fd = io->create(io->ctx, wal->dir, reserve_name);
    }
    if (fd < 0) {
        return;
    }
    int rc = io->preallocate(io->ctx, fd, wal->reserve_size);
    io->close(io->ctx, fd);
    if (rc < 0) {
        swki_log(wal->logger, SWK_LOG_WARN, "file",
                 "%s: no space to set aside for a full disk", wal->dir_path);
    }
}

static void log_full(struct swki_wal *wal)
{
    swki_log(wal->logger, SWK_LOG_WARN, "file",
             "no space left on %s: using what was set aside; free some",
             wal->dir_path);
}

bool swki_wal_release_reserve(struct swki_wal *wal)
{
    if (wal->io->remove(wal->io->ctx, wal->dir, reserve_name) < 0) {
        return false;
    }
    log_full(wal);
    return true;
}

/* Frees a part of it, the rest being there for a snapshot. */
static bool take_from_reserve(struct swki_wal *wal, uint64_t size)
{
    const struct swki_file_io *io = wal->io;
    int fd = io->open(io->ctx, wal->dir, reserve_name);
    int rc = -ENOSPC;

    if (fd < 0) {
        return false;
    }
    int64_t left = io->size(io->ctx, fd);
    if (left >= (int64_t)size) {
        rc = io->truncate(io->ctx, fd, (uint64_t)left - size);
    }
    io->close(io->ctx, fd);
    if (rc >= 0) {
        log_full(wal);
    }
    return rc >= 0;
}

/* -- New segments --------------------------------------------------------- */

/* A file on its way to be a segment. */
struct new_file {
    char name[SWKI_WAL_NAME_SIZE];
    int fd;
    uint64_t room;
};

/* Whether one of the spares can be used; those that cannot are removed. */
static bool take_spare(struct swki_wal *wal, struct new_file *out_file)
{
    const struct swki_file_io *io = wal->io;

    while (wal->spares_count > 0) {
        uint64_t id = wal->spares[--wal->spares_count];

        swki_wal_spare_name(id, out_file->name);
        out_file->fd = io->open(io->ctx, wal->dir, out_file->name);
        if (out_file->fd < 0) {
            continue;
        }
        int64_t size = io->size(io->ctx, out_file->fd);
        if (size == (int64_t)wal->segment_size) {
            out_file->room = wal->segment_size;
            return true;
        }
        io->close(io->ctx, out_file->fd);
        io->remove(io->ctx, wal->dir, out_file->name);
    }
    return false;
}

static int make_file(struct swki_wal *wal, uint64_t need, bool urgent,
                     struct new_file *out_file)
{
    const struct swki_file_io *io = wal->io;

    snprintf(out_file->name, sizeof(out_file->name), "%s", temporary_segment);
    out_file->room = need > wal->segment_size ? need : wal->segment_size;
    out_file->fd = io->create(io->ctx, wal->dir, temporary_segment);
    if (out_file->fd < 0) {
        return out_file->fd;
    }
    int rc = io->preallocate(io->ctx, out_file->fd, out_file->room);
    if (is_full(rc) && urgent) {
        uint64_t small =
            SMALL_ROOM < wal->segment_size ? SMALL_ROOM : wal->segment_size;

        out_file->room = need > small ? need : small;
        if (take_from_reserve(wal, out_file->room)) {
            rc = io->preallocate(io->ctx, out_file->fd, out_file->room);
        }
    }
    if (rc < 0) {
        io->close(io->ctx, out_file->fd);
        io->remove(io->ctx, wal->dir, temporary_segment);
    }
    return rc;
}

/* Ends the segment being written. That another follows is noted in it when it
 * does; lest a lost file be taken for the end of the log. */
static int close_segment(struct swki_wal *wal, struct swk_error *err)
{
    const struct swki_wal_segment segment = {
        .id = wal->segment.id,
        .last_index = wal->segment_last_index,
        .key = wal->seal.number,
    };

    if (!swki_wal_add_closed(wal, &segment)) {
        return swki_fail_nomem(err);
    }
    wal->followed_fd = wal->fd;
    wal->fd = -1;
    swki_wal_next_bound(wal, wal->sequence - 1, true, wal->followed);
    wal->followed_at = swki_wal_bound_at(wal);
    return SWK_OK;
}

static int newest_seal(struct swki_wal *wal, struct swk_error *err)
{
    struct swki_seal seal;

    if (wal->seal.number == swki_keyring_newest(wal->ring)) {
        return SWK_OK;
    }
    int rc = swki_keyring_seal(wal->ring, 0, &seal);
    if (rc != SWK_OK) {
        return swki_fail_nomem(err);
    }
    swki_seal_fini(&wal->seal);
    wal->seal = seal;
    wal->bound_salt = 0;
    return SWK_OK;
}

/* When the key changes: what a spare held is under another one, or under none,
 * and stays where it was behind the records to come. */
static int drop_spares(struct swki_wal *wal)
{
    char name[SWKI_WAL_NAME_SIZE];
    int rc = 0;

    (void)wal->io->remove(wal->io->ctx, wal->dir, temporary_segment);
    while (wal->spares_count > 0 && rc >= 0) {
        swki_wal_spare_name(wal->spares[--wal->spares_count], name);
        rc = swki_wal_remove_file(wal, name);
    }
    return rc;
}

static void fill_header(struct swki_wal *wal, uint64_t id)
{
    wal->segment = (struct swki_segment_header){
        .id = id,
        .salt = wal->io->salt(wal->io->ctx),
        .first_sequence = wal->sequence,
        .chain = wal->chain,
        .state = wal->state,
        .snapshot = wal->snapshot,
        .base = wal->last,
        .lost = wal->lost,
        .cut = wal->cut,
        .generation = wal->generation,
        .nonce_salt = wal->io->salt(wal->io->ctx),
        .sealed = wal->seal.cipher != NULL,
        .identity_len = wal->identity_len,
    };
    memcpy(wal->segment.identity, wal->identity, wal->identity_len);
    wal->cut = 0;
    wal->generation_due = false;
    wal->salt_due = false;
    wal->prepared = false;
    wal->session = (struct swki_session){
        .segment = &wal->segment,
        .seal = &wal->seal,
        .nonce_salt = wal->segment.nonce_salt,
        .first_sequence = wal->sequence,
    };
}

int swki_wal_next_segment(struct swki_wal *wal, uint64_t need, bool urgent,
                          struct swk_error *err)
{
    uint64_t size = SWKI_SEGMENT_HEAD_SIZE + need;
    struct new_file file = {.fd = -1};
    int rc = wal->seal.number != swki_keyring_newest(wal->ring)
                 ? drop_spares(wal)
                 : 0;

    if (rc >= 0 && (size > wal->segment_size || !take_spare(wal, &file))) {
        rc = make_file(wal, size, urgent, &file);
    }
    if (rc < 0) {
        return swki_io_fail(err, rc, "make a log segment in", wal->dir_path,
                            "");
    }
    rc = wal->fd >= 0 ? close_segment(wal, err) : SWK_OK;
    if (rc == SWK_OK) {
        rc = newest_seal(wal, err);
    }
    if (rc != SWK_OK) {
        wal->io->close(wal->io->ctx, file.fd);
        return rc;
    }
    fill_header(wal, wal->next_id++);
    memcpy(wal->unnamed, file.name, sizeof(wal->unnamed));
    wal->fd = file.fd;
    wal->segment_room = file.room;
    wal->segment_last_index = 0;
    wal->offset = SWKI_SEGMENT_HEAD_SIZE;
    return SWK_OK;
}

/* The file is only as durable as the segment that it becomes, which is synced
 * before it gets its name. */
void swki_wal_prepare(struct swki_wal *wal)
{
    const struct swki_file_io *io = wal->io;
    char name[SWKI_WAL_NAME_SIZE];

    if (wal->prepared || wal->spares_count > 0 ||
        wal->offset < wal->segment_room / 2) {
        return;
    }
    wal->prepared = true;
    swki_wal_spare_name(wal->next_id, name);
    int fd = io->create(io->ctx, wal->dir, name);
    if (fd < 0) {
        return;
    }
    int rc = io->preallocate(io->ctx, fd, wal->segment_size);
    io->close(io->ctx, fd);
    if (rc < 0) {
        io->remove(io->ctx, wal->dir, name);
        return;
    }
    wal->spares[wal->spares_count++] = wal->next_id;
}

/* -- Old segments --------------------------------------------------------- */

int swki_wal_remove_file(struct swki_wal *wal, const char *name)
{
    const struct swki_file_io *io = wal->io;
    int rc = io->remove(io->ctx, wal->dir, name);

    if (rc < 0) {
        swki_log(wal->logger, SWK_LOG_WARN, "file", "cannot remove %s/%s: %s",
                 wal->dir_path, name, strerror(-rc));
        return 1;
    }
    return io->sync_dir(io->ctx, wal->dir);
}

/* What is under another key, or none, shall not lie about any longer. */
static bool is_worth_keeping(const struct swki_wal *wal,
                             const struct swki_wal_segment *segment)
{
    return wal->spares_count < wal->spares_max &&
           segment->key == wal->seal.number;
}

static int drop_segment(struct swki_wal *wal,
                        const struct swki_wal_segment *segment)
{
    const struct swki_file_io *io = wal->io;
    char name[SWKI_WAL_NAME_SIZE];
    char spare[SWKI_WAL_NAME_SIZE];

    swki_wal_segment_name(segment->id, name);
    if (!is_worth_keeping(wal, segment)) {
        return swki_wal_remove_file(wal, name);
    }
    swki_wal_spare_name(segment->id, spare);
    int rc = io->rename(io->ctx, wal->dir, name, spare);
    if (rc < 0) {
        return swki_wal_remove_file(wal, name);
    }
    wal->spares[wal->spares_count++] = segment->id;
    return io->sync_dir(io->ctx, wal->dir);
}

/* Oldest first, each for good before the next, so that a crash leaves no
 * gap. */
int swki_wal_drop_segments(struct swki_wal *wal)
{
    uint64_t floor =
        wal->snapshots_count > 0 ? wal->snapshots[0].place.index : 0;

    while (wal->closed_count > 0 && wal->closed[0].last_index <= floor) {
        int rc = drop_segment(wal, &wal->closed[0]);

        if (rc != 0) {
            return rc;
        }
        wal->closed_count--;
        memmove(wal->closed, wal->closed + 1,
                wal->closed_count * sizeof(wal->closed[0]));
    }
    swki_wal_make_reserve(wal);
    return 0;
}

bool swki_wal_uses_old_key(const struct swki_wal *wal, uint64_t *out_index)
{
    uint32_t newest = swki_keyring_newest(wal->ring);
    bool uses = false;
    uint64_t index = 0;

    for (size_t i = 0; i < wal->closed_count; i++) {
        if (wal->closed[i].key != newest) {
            uses = true;
            index = wal->closed[i].last_index > index
                        ? wal->closed[i].last_index
                        : index;
        }
    }
    for (size_t i = 0; i < wal->snapshots_count; i++) {
        if (wal->snapshots[i].key != newest) { /* a later one replaces it */
            uses = true;
            index = wal->snapshots[i].place.index >= index
                        ? wal->snapshots[i].place.index + 1
                        : index;
        }
    }
    if (wal->seal.number != newest) {
        uses = true;
        index =
            wal->segment_last_index > index ? wal->segment_last_index : index;
    }
    *out_index = index;
    return uses;
}
