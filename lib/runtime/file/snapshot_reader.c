/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/file/snapshot_reader.h"

#include <string.h>

#include "base/error.h"

void swki_snapshot_reader_init(struct swki_snapshot_reader *reader,
                               const struct swki_snapshot_place *at)
{
    *reader = (struct swki_snapshot_reader){.at = at};
    pthread_mutex_init(&reader->mutex, NULL);
}

static void close_handle(struct swki_snapshot_handle *handle)
{
    if (handle->in_use) {
        swki_snapshot_file_close(&handle->file);
    }
    *handle = (struct swki_snapshot_handle){.in_use = false};
}

void swki_snapshot_reader_fini(struct swki_snapshot_reader *reader)
{
    for (size_t i = 0; i < SWKI_SNAPSHOT_READERS; i++) {
        close_handle(&reader->handles[i]);
    }
    pthread_mutex_destroy(&reader->mutex);
}

static bool is_of(const struct swki_snapshot_handle *handle,
                  const struct swki_snapshot_source *source)
{
    return handle->in_use && handle->file.place.index == source->place.index &&
           handle->file.place.term == source->place.term &&
           strcmp(handle->file.name, source->name) == 0;
}

/* The one that stopped where the next piece begins, so that each stream has
 * its own; else the one to be given up first. */
static struct swki_snapshot_handle *
find_handle(struct swki_snapshot_reader *reader,
            const struct swki_snapshot_source *source, uint64_t offset)
{
    struct swki_snapshot_handle *oldest = &reader->handles[0];

    for (size_t i = 0; i < SWKI_SNAPSHOT_READERS; i++) {
        struct swki_snapshot_handle *handle = &reader->handles[i];

        if (is_of(handle, source) && handle->next == offset) {
            return handle;
        }
        if (handle->used < oldest->used) {
            oldest = handle;
        }
    }
    close_handle(oldest);
    return oldest;
}

static int open_handle(struct swki_snapshot_reader *reader,
                       struct swki_snapshot_handle *handle,
                       const struct swki_snapshot_source *source,
                       struct swk_error *err)
{
    int rc = swki_snapshot_file_open(reader->at, source->name, &source->place,
                                     &handle->file, err);

    if (rc == SWK_OK && !handle->file.complete) {
        handle->file.length = source->good;
    }
    handle->in_use = rc == SWK_OK;
    return rc;
}

static int read_piece(struct swki_snapshot_reader *reader,
                      const struct swki_snapshot_source *source,
                      uint64_t offset, uint8_t *buf, size_t size,
                      size_t *out_len, uint64_t *out_total,
                      struct swk_error *err)
{
    struct swki_snapshot_handle *handle = find_handle(reader, source, offset);
    size_t len = 0;
    int rc = handle->in_use ? SWK_OK : open_handle(reader, handle, source, err);

    if (rc != SWK_OK) {
        return rc;
    }
    uint64_t total = handle->file.length;
    rc = swki_snapshot_file_read(&handle->file, offset, buf, size, &len, err);
    handle->next = offset + len;
    handle->used = ++reader->used;
    if (rc != SWK_OK || handle->next >= total) {
        close_handle(handle);
    }
    if (rc == SWK_OK) {
        *out_len = len;
        *out_total = total;
    }
    return rc;
}

int swki_snapshot_reader_read(struct swki_snapshot_reader *reader,
                              const struct swki_snapshot_source *source,
                              uint64_t offset, uint8_t *buf, size_t size,
                              size_t *out_len, uint64_t *out_total,
                              struct swk_error *err)
{
    if (source->place.index == 0) {
        return swki_fail(err, SWK_ENOTFOUND, "storage: no snapshot at 0");
    }
    pthread_mutex_lock(&reader->mutex);
    int rc =
        read_piece(reader, source, offset, buf, size, out_len, out_total, err);
    pthread_mutex_unlock(&reader->mutex);
    return rc;
}
