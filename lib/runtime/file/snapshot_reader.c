/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/file/snapshot_reader.h"

#include <errno.h>

#include "base/error.h"
#include "runtime/file/conf_state.h"
#include "runtime/file/crc32c.h"
#include "runtime/file/number.h"

void swki_snapshot_reader_init(struct swki_snapshot_reader *reader,
                               struct swki_wal *wal)
{
    *reader = (struct swki_snapshot_reader){.wal = wal};
    pthread_mutex_init(&reader->mutex, NULL);
}

static void close_handle(struct swki_snapshot_reader *reader,
                         struct swki_snapshot_handle *handle)
{
    if (handle->place.index != 0) {
        reader->wal->io->close(reader->wal->io->ctx, handle->fd);
    }
    *handle = (struct swki_snapshot_handle){.fd = -1};
}

void swki_snapshot_reader_fini(struct swki_snapshot_reader *reader)
{
    for (size_t i = 0; i < SWKI_SNAPSHOT_READERS; i++) {
        close_handle(reader, &reader->handles[i]);
    }
    pthread_mutex_destroy(&reader->mutex);
}

/* The one that stopped where the next piece begins, so that each stream has
 * its own; else the one to be given up first. */
static struct swki_snapshot_handle *
find_handle(struct swki_snapshot_reader *reader, const struct swki_place *place,
            uint64_t offset)
{
    struct swki_snapshot_handle *oldest = &reader->handles[0];

    for (size_t i = 0; i < SWKI_SNAPSHOT_READERS; i++) {
        struct swki_snapshot_handle *handle = &reader->handles[i];

        if (handle->place.index == place->index &&
            handle->place.term == place->term && handle->next == offset) {
            return handle;
        }
        if (handle->used < oldest->used) {
            oldest = handle;
        }
    }
    close_handle(reader, oldest);
    return oldest;
}

/* Finds where the data begins, behind the members. */
static int read_front(struct swki_wal *wal, struct swki_snapshot_handle *handle,
                      const struct swki_place *place, const char *name,
                      struct swk_error *err)
{
    uint8_t members[4 + SWKI_CONF_STATE_LEN_MAX];
    struct swki_snapshot_header header;
    int rc = swki_wal_read_snapshot_header(wal, handle->fd, name, place,
                                           &header, err);

    if (rc != SWK_OK) {
        return rc;
    }
    int64_t count = swki_io_read_all(wal->io, handle->fd, members,
                                     sizeof(members),
                                     SWKI_SNAPSHOT_HEADER_SIZE);
    if (count < 0) {
        return swki_io_fail(err, (int)count, "read", wal->dir_path, name);
    }
    uint64_t len = count >= 4 ? 4 + (uint64_t)swki_get32(members) : UINT64_MAX;
    if (len > (uint64_t)count || len > header.data_len) {
        return swki_fail(err, SWK_ECORRUPT, "%s/%s is damaged", wal->dir_path,
                         name);
    }
    handle->data_at = SWKI_SNAPSHOT_HEADER_SIZE + len;
    handle->data_len = header.data_len - len;
    handle->data_crc = header.data_crc;
    handle->crc = swki_crc32c(0, members, (size_t)len);
    return SWK_OK;
}

static int open_handle(struct swki_wal *wal,
                       struct swki_snapshot_handle *out_handle,
                       const struct swki_place *place, uint64_t offset,
                       struct swk_error *err)
{
    struct swki_snapshot_handle handle = {
        .place = *place, .next = offset, .is_whole = offset == 0};
    char name[SWKI_WAL_NAME_SIZE];

    swki_wal_snapshot_name(place, name);
    handle.fd = wal->io->open(wal->io->ctx, wal->dir, name);
    if (handle.fd == -ENOENT) {
        return swki_fail(err, SWK_ENOTFOUND, "there is no %s/%s",
                         wal->dir_path, name);
    }
    if (handle.fd < 0) {
        return swki_io_fail(err, handle.fd, "open", wal->dir_path, name);
    }
    int rc = read_front(wal, &handle, place, name, err);
    if (rc != SWK_OK) {
        wal->io->close(wal->io->ctx, handle.fd);
        return rc;
    }
    *out_handle = handle;
    return SWK_OK;
}

static int read_piece(struct swki_wal *wal, struct swki_snapshot_handle *handle,
                      uint8_t *buf, size_t size, size_t *out_len,
                      struct swk_error *err)
{
    uint64_t left =
        handle->next < handle->data_len ? handle->data_len - handle->next : 0;
    size_t len = left < size ? (size_t)left : size;
    char name[SWKI_WAL_NAME_SIZE];

    swki_wal_snapshot_name(&handle->place, name);
    int64_t count = swki_io_read_all(wal->io, handle->fd, buf, len,
                                     handle->data_at + handle->next);
    if (count < 0) {
        return swki_io_fail(err, (int)count, "read", wal->dir_path, name);
    }
    handle->crc = swki_crc32c(handle->crc, buf, (size_t)count);
    handle->next += (uint64_t)count;
    bool is_wrong = handle->is_whole && handle->next == handle->data_len &&
                    handle->crc != handle->data_crc;
    if ((size_t)count != len || is_wrong) {
        return swki_fail(err, SWK_ECORRUPT, "%s/%s is damaged", wal->dir_path,
                         name);
    }
    *out_len = len;
    return SWK_OK;
}

int swki_snapshot_reader_read(struct swki_snapshot_reader *reader,
                              const struct swki_place *place, uint64_t offset,
                              uint8_t *buf, size_t size, size_t *out_len,
                              uint64_t *out_total, struct swk_error *err)
{
    int rc = SWK_OK;

    if (place->index == 0) {
        return swki_fail(err, SWK_ENOTFOUND, "storage: no snapshot at 0");
    }
    pthread_mutex_lock(&reader->mutex);
    struct swki_snapshot_handle *handle = find_handle(reader, place, offset);
    if (handle->place.index == 0) {
        rc = open_handle(reader->wal, handle, place, offset, err);
    }
    if (rc == SWK_OK) {
        handle->used = ++reader->used;
        rc = read_piece(reader->wal, handle, buf, size, out_len, err);
        if (rc == SWK_OK) {
            *out_total = handle->data_len;
        }
        if (rc != SWK_OK || handle->next >= handle->data_len) {
            close_handle(reader, handle);
        }
    }
    pthread_mutex_unlock(&reader->mutex);
    return rc;
}
