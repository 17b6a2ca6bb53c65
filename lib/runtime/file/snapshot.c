/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshots as files, and the removal of what they make needless. */

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/file/conf_state.h"
#include "runtime/file/crc32c.h"
#include "runtime/file/number.h"
#include "runtime/file/wal.h"

enum {
    VERIFY_PIECE = 16 * 1024, /* bytes read at once */
};

static const char temporary_snapshot[] = "snapshot.tmp";

static int write_file(struct swki_wal *wal, int fd,
                      const struct swki_snapshot_header *header,
                      const uint8_t *data)
{
    const struct swki_file_io *io = wal->io;
    uint8_t bytes[SWKI_SNAPSHOT_HEADER_SIZE];

    swki_snapshot_header_encode(header, bytes);
    int rc = swki_io_write_all(io, fd, bytes, sizeof(bytes), 0);
    if (rc >= 0) {
        rc = swki_io_write_all(io, fd, data, (size_t)header->data_len,
                               sizeof(bytes));
    }
    return rc >= 0 ? io->sync(io->ctx, fd) : rc;
}

static int make_file(struct swki_wal *wal,
                     const struct swki_snapshot_header *header,
                     const uint8_t *data)
{
    const struct swki_file_io *io = wal->io;
    char name[SWKI_WAL_NAME_SIZE];
    int fd = io->create(io->ctx, wal->dir, temporary_snapshot);

    if (fd < 0) {
        return fd;
    }
    int rc = write_file(wal, fd, header, data);
    io->close(io->ctx, fd);
    swki_wal_snapshot_name(&header->place, name);
    if (rc >= 0) {
        rc = io->rename(io->ctx, wal->dir, temporary_snapshot, name);
    }
    return rc >= 0 ? io->sync_dir(io->ctx, wal->dir) : rc;
}

/* Removes a file for good. A file that cannot be removed costs space only:
 * that is logged, and told by a positive number. */
static int remove_file(struct swki_wal *wal, const char *name)
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

static int remove_snapshots(struct swki_wal *wal)
{
    while (wal->snapshots_count > wal->snapshots_max) {
        char name[SWKI_WAL_NAME_SIZE];

        swki_wal_snapshot_name(&wal->snapshots[0], name);
        int rc = remove_file(wal, name);
        if (rc != 0) {
            return rc;
        }
        wal->snapshots_count--;
        memmove(wal->snapshots, wal->snapshots + 1,
                wal->snapshots_count * sizeof(wal->snapshots[0]));
    }
    return 0;
}

/* Oldest first, each for good before the next, so that a crash leaves no
 * gap. */
static int remove_segments(struct swki_wal *wal)
{
    while (wal->closed_count > 0 &&
           wal->closed[0].last_index <= wal->snapshots[0].index) {
        char name[SWKI_WAL_NAME_SIZE];

        swki_wal_segment_name(wal->closed[0].id, name);
        int rc = remove_file(wal, name);
        if (rc != 0) {
            return rc;
        }
        wal->closed_count--;
        memmove(wal->closed, wal->closed + 1,
                wal->closed_count * sizeof(wal->closed[0]));
    }
    return 0;
}

static int write_record(struct swki_wal *wal, const struct swki_place *place,
                        bool install, struct swk_error *err)
{
    uint8_t bytes[SWKI_RECORD_HEADER_SIZE + SWKI_SNAPSHOT_PAYLOAD_LEN];

    swki_record_begin(bytes, SWKI_RECORD_SNAPSHOT, SWKI_SNAPSHOT_PAYLOAD_LEN);
    swki_snapshot_payload_encode(bytes + SWKI_RECORD_HEADER_SIZE, place, install);
    return swki_wal_write(wal, bytes, sizeof(bytes), err);
}

static int read_data(struct swki_wal *wal, int fd, const char *name,
                     const struct swki_snapshot_header *header, uint8_t *data,
                     struct swk_error *err)
{
    int64_t count = swki_io_read_all(
        wal->io, fd, data, (size_t)header->data_len, SWKI_SNAPSHOT_HEADER_SIZE);

    if (count < 0) {
        return swki_io_fail(err, (int)count, "read", wal->dir_path, name);
    }
    if ((uint64_t)count != header->data_len ||
        swki_crc32c(0, data, (size_t)count) != header->data_crc) {
        return swki_fail(err, SWK_ECORRUPT, "%s/%s is damaged", wal->dir_path,
                         name);
    }
    return SWK_OK;
}

int swki_wal_read_snapshot_header(struct swki_wal *wal, int fd,
                                  const char *name,
                                  const struct swki_place *place,
                                  struct swki_snapshot_header *out_header,
                                  struct swk_error *err)
{
    uint8_t bytes[SWKI_SNAPSHOT_HEADER_SIZE];
    int64_t size = wal->io->size(wal->io->ctx, fd);
    int64_t count =
        size < 0 ? size
                 : swki_io_read_all(wal->io, fd, bytes, sizeof(bytes), 0);

    if (count < 0) {
        return swki_io_fail(err, (int)count, "read", wal->dir_path, name);
    }
    int rc = count < (int64_t)sizeof(bytes)
                 ? SWK_ECORRUPT
                 : swki_snapshot_header_decode(bytes, out_header);
    if (rc == SWK_ENOTSUP) {
        return swki_fail(err, rc, "%s/%s was written by a later release",
                         wal->dir_path, name);
    }
    if (rc != SWK_OK || out_header->place.index != place->index ||
        out_header->place.term != place->term ||
        out_header->data_len != (uint64_t)size - sizeof(bytes)) {
        return swki_fail(err, SWK_ECORRUPT, "%s/%s is damaged", wal->dir_path,
                         name);
    }
    return SWK_OK;
}

static int read_members(struct swki_wal *wal, const char *name,
                        const struct swki_place *place, size_t len,
                        struct swki_loaded_snapshot *snapshot,
                        struct swk_error *err)
{
    const uint8_t *bytes = snapshot->bytes;
    size_t members_len = len >= 4 ? swki_get32(bytes) : SIZE_MAX;
    int rc = SWK_ECORRUPT;

    if (len >= 4 && members_len <= len - 4) {
        rc = swki_conf_state_decode(wal->alloc, place->index, place->term,
                                    bytes + 4, members_len, &snapshot->meta);
    }
    if (rc == SWK_ENOMEM) {
        return swki_fail_nomem(err);
    }
    if (rc != SWK_OK) {
        return swki_fail(err, rc, "%s/%s is damaged", wal->dir_path, name);
    }
    snapshot->data = bytes + 4 + members_len;
    snapshot->data_len = len - 4 - members_len;
    return SWK_OK;
}

static int read_open_file(struct swki_wal *wal, int fd, const char *name,
                          const struct swki_place *place,
                          struct swki_loaded_snapshot *out_snapshot,
                          struct swk_error *err)
{
    struct swki_snapshot_header header;
    int rc = swki_wal_read_snapshot_header(wal, fd, name, place, &header, err);

    if (rc != SWK_OK) {
        return rc;
    }
    size_t len = (size_t)header.data_len;
    struct swki_loaded_snapshot snapshot = {
        .bytes = swki_alloc(wal->alloc, len)};
    if (snapshot.bytes == NULL) {
        return swki_fail_nomem(err);
    }
    rc = read_data(wal, fd, name, &header, snapshot.bytes, err);
    if (rc == SWK_OK) {
        rc = read_members(wal, name, place, len, &snapshot, err);
    }
    if (rc != SWK_OK) {
        swki_loaded_snapshot_fini(wal->alloc, &snapshot);
        return rc;
    }
    *out_snapshot = snapshot;
    return SWK_OK;
}

void swki_loaded_snapshot_fini(const struct swk_alloc *alloc,
                               struct swki_loaded_snapshot *snapshot)
{
    swki_snapshot_meta_fini(alloc, &snapshot->meta);
    swki_free(alloc, snapshot->bytes);
    *snapshot = (struct swki_loaded_snapshot){.bytes = NULL};
}

int swki_wal_read_snapshot(struct swki_wal *wal, const struct swki_place *place,
                           struct swki_loaded_snapshot *out_snapshot,
                           struct swk_error *err)
{
    char name[SWKI_WAL_NAME_SIZE];

    swki_wal_snapshot_name(place, name);
    int fd = wal->io->open(wal->io->ctx, wal->dir, name);
    if (fd == -ENOENT) {
        return swki_fail(err, SWK_ENOTFOUND, "there is no %s/%s",
                         wal->dir_path, name);
    }
    if (fd < 0) {
        return swki_io_fail(err, fd, "open", wal->dir_path, name);
    }
    int rc = read_open_file(wal, fd, name, place, out_snapshot, err);
    wal->io->close(wal->io->ctx, fd);
    return rc;
}

static int verify_data(struct swki_wal *wal, int fd, const char *name,
                       const struct swki_snapshot_header *header,
                       struct swk_error *err)
{
    uint8_t bytes[VERIFY_PIECE];
    uint64_t done = 0;
    uint32_t crc = 0;

    while (done < header->data_len) {
        uint64_t left = header->data_len - done;
        int64_t count = swki_io_read_all(wal->io, fd, bytes,
                                         left < sizeof(bytes) ? (size_t)left
                                                              : sizeof(bytes),
                                         SWKI_SNAPSHOT_HEADER_SIZE + done);

        if (count <= 0) {
            return swki_io_fail(err, count < 0 ? (int)count : -EIO, "read",
                                wal->dir_path, name);
        }
        crc = swki_crc32c(crc, bytes, (size_t)count);
        done += (uint64_t)count;
    }
    return crc == header->data_crc
               ? SWK_OK
               : swki_fail(err, SWK_EIO, "%s/%s reads back damaged",
                           wal->dir_path, name);
}

/* What is on the disk must be good before anything older goes. */
static int verify_snapshot(struct swki_wal *wal,
                           const struct swki_place *place,
                           struct swk_error *err)
{
    struct swki_snapshot_header header;
    char name[SWKI_WAL_NAME_SIZE];

    swki_wal_snapshot_name(place, name);
    int fd = wal->io->open(wal->io->ctx, wal->dir, name);
    if (fd < 0) {
        return swki_io_fail(err, fd, "open", wal->dir_path, name);
    }
    int rc = swki_wal_read_snapshot_header(wal, fd, name, place, &header, err);
    if (rc == SWK_OK) {
        rc = verify_data(wal, fd, name, &header, err);
    }
    wal->io->close(wal->io->ctx, fd);
    return rc;
}

/* The snapshot counts from the moment its record is in the log. */
int swki_wal_save_snapshot(struct swki_wal *wal,
                           const struct swki_place *place, bool install,
                           const uint8_t *data, size_t data_len,
                           struct swk_error *err)
{
    const struct swki_snapshot_header header = {
        .place = *place,
        .data_len = data_len,
        .data_crc = swki_crc32c(0, data, data_len),
    };
    int rc = make_file(wal, &header, data);

    if (rc < 0) {
        return swki_io_fail(err, rc, "write a snapshot to", wal->dir_path, "");
    }
    rc = verify_snapshot(wal, place, err);
    if (rc == SWK_OK) {
        rc = write_record(wal, place, install, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    if (!swki_wal_add_snapshot(wal, place)) {
        return swki_fail_nomem(err);
    }
    rc = remove_snapshots(wal);
    if (rc == 0) {
        rc = remove_segments(wal);
    }
    return rc < 0 ? swki_io_fail(err, rc, "sync", wal->dir_path, "") : SWK_OK;
}

static const char identity_name[] = "identity";
static const char temporary_identity[] = "identity.tmp";

/* u32 CRC, then the identity. */
static int write_identity(struct swki_wal *wal, const uint8_t *bytes,
                          size_t len)
{
    const struct swki_file_io *io = wal->io;
    int fd = io->create(io->ctx, wal->dir, temporary_identity);

    if (fd < 0) {
        return fd;
    }
    int rc = swki_io_write_all(io, fd, bytes, len, 0);
    if (rc >= 0) {
        rc = io->sync(io->ctx, fd);
    }
    io->close(io->ctx, fd);
    if (rc >= 0) {
        rc = io->rename(io->ctx, wal->dir, temporary_identity, identity_name);
    }
    return rc >= 0 ? io->sync_dir(io->ctx, wal->dir) : rc;
}

int swki_wal_identify(struct swki_wal *wal, const uint8_t *identity, size_t len,
                      struct swk_error *err)
{
    uint8_t bytes[4 + SWKI_WAL_IDENTITY_MAX];

    swki_put32(bytes, swki_crc32c(0, identity, len));
    memcpy(bytes + 4, identity, len);
    int rc = write_identity(wal, bytes, 4 + len);
    return rc < 0 ? swki_io_fail(err, rc, "write", wal->dir_path, identity_name)
                  : SWK_OK;
}

int swki_wal_read_identity(struct swki_wal *wal, struct swki_buf *buf,
                           struct swk_error *err)
{
    const struct swki_file_io *io = wal->io;
    uint8_t bytes[4 + SWKI_WAL_IDENTITY_MAX];
    int fd = io->open(io->ctx, wal->dir, identity_name);

    if (fd == -ENOENT) {
        return SWK_OK;
    }
    int64_t count =
        fd < 0 ? fd : swki_io_read_all(io, fd, bytes, sizeof(bytes), 0);
    if (fd >= 0) {
        io->close(io->ctx, fd);
    }
    if (count < 0) {
        return swki_io_fail(err, (int)count, "read", wal->dir_path,
                            identity_name);
    }
    if (count < 5 ||
        swki_get32(bytes) != swki_crc32c(0, bytes + 4, (size_t)count - 4)) {
        return swki_fail(err, SWK_ECORRUPT,
                         "%s/%s is damaged: this member must join again",
                         wal->dir_path, identity_name);
    }
    return swki_buf_append(buf, bytes + 4, (size_t)count - 4)
               ? SWK_OK
               : swki_fail_nomem(err);
}
