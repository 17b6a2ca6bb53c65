/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/file/snapshot_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "runtime/file/conf_state.h"
#include "runtime/file/crc32c.h"
#include "runtime/file/number.h"

enum {
    FLAG_SEALED = 1,
    FLAG_COMPLETE = 2,
    CHUNK_LAST = 1,
    TAG_AT = 492,
    CRC_AT = 508,
    BOUND_SIZE = SWKI_SNAPSHOT_CHUNK_HEAD + 32, /* extra bytes of a chunk */
    COUNT_OPEN = 0,
    COUNT_COMPLETE = 1,
    COUNT_CHUNKS = 2,
};

static const char magic[8] = {'S', 'W', 'K', 'S', 'N', 'A', 'P', '\n'};

static int fail_io(const struct swki_snapshot_file *file, int error,
                   const char *what, struct swk_error *err)
{
    return swki_io_fail(err, error, what, file->at->dir_path, file->name);
}

static int fail_damaged(const struct swki_snapshot_file *file,
                        struct swk_error *err)
{
    return swki_fail(err, SWK_ECORRUPT, "%s/%s is damaged", file->at->dir_path,
                     file->name);
}

static size_t head_len(const struct swki_snapshot_file *file)
{
    return SWKI_SNAPSHOT_HEAD_SIZE + (size_t)file->members_len;
}

static uint64_t chunk_at(const struct swki_snapshot_file *file, uint64_t number)
{
    return head_len(file) +
           number * (file->chunk_size + (uint64_t)SWKI_SNAPSHOT_CHUNK_EXTRA);
}

/* Writes all of it; once more after room was made. */
static int write_bytes(const struct swki_snapshot_file *file,
                       const uint8_t *data, size_t len, uint64_t offset)
{
    const struct swki_snapshot_place *at = file->at;
    int rc = swki_io_write_all(at->io, file->fd, data, len, offset);

    if ((rc == -ENOSPC || rc == -EDQUOT) && at->make_room != NULL &&
        at->make_room(at->make_room_ctx)) {
        rc = swki_io_write_all(at->io, file->fd, data, len, offset);
    }
    return rc;
}

/* -- The header ----------------------------------------------------------- */

static uint32_t head_crc(const uint8_t *head, size_t len)
{
    uint32_t crc = swki_crc32c(0, head, CRC_AT);

    return swki_crc32c(crc, head + SWKI_SNAPSHOT_HEAD_SIZE,
                       len - SWKI_SNAPSHOT_HEAD_SIZE);
}

/* The tag is of the header with neither tag nor CRC. */
static struct swki_seal_frame head_frame(const struct swki_snapshot_file *file)
{
    return (struct swki_seal_frame){
        .salt = swki_get64(file->head + 48),
        .count = file->complete ? COUNT_COMPLETE : COUNT_OPEN,
        .extra = file->head,
        .extra_len = head_len(file),
    };
}

static int write_head(struct swki_snapshot_file *file)
{
    uint8_t *head = file->head;
    int flags = (file->seal.cipher != NULL ? FLAG_SEALED : 0) |
                (file->complete ? FLAG_COMPLETE : 0);

    memset(head, 0, SWKI_SNAPSHOT_HEAD_SIZE);
    memcpy(head, magic, sizeof(magic));
    head[8] = SWKI_SNAPSHOT_VERSION;
    head[9] = (uint8_t)flags;
    swki_put64(head + 16, file->place.index);
    swki_put64(head + 24, file->place.term);
    swki_put64(head + 32, file->complete ? file->length : 0);
    swki_put64(head + 40, file->id);
    swki_put64(head + 48, file->nonce_salt);
    swki_put32(head + 56, file->members_len);
    swki_put32(head + 60, file->chunk_size);
    if (file->seal.cipher != NULL) {
        const struct swki_seal_frame frame = head_frame(file);
        uint8_t tag[SWKI_SEAL_TAG_SIZE];

        swki_seal_close(&file->seal, &frame, head, 0, tag);
        memcpy(head + TAG_AT, tag, sizeof(tag));
    }
    swki_put32(head + CRC_AT, head_crc(head, head_len(file)));
    return write_bytes(file, head, head_len(file), 0);
}

static int make_room(struct swki_snapshot_file *file, struct swk_error *err)
{
    const struct swk_alloc *alloc = file->at->alloc;

    file->head = swki_calloc(alloc, 1, head_len(file));
    file->chunk =
        swki_alloc(alloc, file->chunk_size + (size_t)SWKI_SNAPSHOT_CHUNK_EXTRA);
    return file->head != NULL && file->chunk != NULL ? SWK_OK
                                                     : swki_fail_nomem(err);
}

static void set_name(struct swki_snapshot_file *file, const char *name)
{
    snprintf(file->name, sizeof(file->name), "%s", name);
}

static int make(struct swki_snapshot_file *file, const uint8_t *members,
                struct swk_error *err)
{
    const struct swki_snapshot_place *at = file->at;
    int rc =
        at->ring != NULL ? swki_keyring_seal(at->ring, 0, &file->seal) : SWK_OK;

    if (rc != SWK_OK) {
        return swki_fail_nomem(err);
    }
    rc = make_room(file, err);
    if (rc != SWK_OK) {
        return rc;
    }
    memcpy(file->head + SWKI_SNAPSHOT_HEAD_SIZE, members, file->members_len);
    file->fd = at->io->create(at->io->ctx, at->dir, file->name);
    if (file->fd < 0) {
        return fail_io(file, file->fd, "make", err);
    }
    rc = write_head(file);
    return rc < 0 ? fail_io(file, rc, "write to", err) : SWK_OK;
}

int swki_snapshot_file_create(const struct swki_snapshot_place *at,
                              const char *name, const struct swki_place *place,
                              const uint8_t *members, size_t members_len,
                              struct swki_snapshot_file *out_file,
                              struct swk_error *err)
{
    struct swki_snapshot_file file = {
        .at = at,
        .fd = -1,
        .place = *place,
        .id = at->io->salt(at->io->ctx),
        .nonce_salt = at->io->salt(at->io->ctx),
        .chunk_size = at->chunk_size,
        .members_len = (uint32_t)members_len,
        .cached = SWKI_SNAPSHOT_NO_CHUNK,
    };

    set_name(&file, name);
    int rc = make(&file, members, err);
    if (rc != SWK_OK) {
        swki_snapshot_file_close(&file);
        return rc;
    }
    *out_file = file;
    return SWK_OK;
}

void swki_snapshot_file_close(struct swki_snapshot_file *file)
{
    if (file->fd >= 0) {
        file->at->io->close(file->at->io->ctx, file->fd);
    }
    if (file->chunk != NULL && file->seal.cipher != NULL) {
        explicit_bzero(file->chunk,
                       file->chunk_size + (size_t)SWKI_SNAPSHOT_CHUNK_EXTRA);
    }
    swki_seal_fini(&file->seal);
    swki_free(file->at->alloc, file->head);
    swki_free(file->at->alloc, file->chunk);
    file->fd = -1;
    file->head = NULL;
    file->chunk = NULL;
}

/* Finds the key that the header was sealed by. */
static int open_seal(struct swki_snapshot_file *file, struct swk_error *err)
{
    const struct swki_snapshot_place *at = file->at;
    const struct swki_seal_frame frame = head_frame(file);
    uint8_t tag[SWKI_SEAL_TAG_SIZE];

    memcpy(tag, file->head + TAG_AT, sizeof(tag));
    memset(file->head + TAG_AT, 0, sizeof(tag) + 4);
    for (size_t which = 0; at->ring != NULL && which < 2; which++) {
        struct swki_seal seal;

        if (swki_keyring_seal(at->ring, which, &seal) != SWK_OK) {
            return swki_fail_nomem(err);
        }
        if (swki_seal_open(&seal, &frame, file->head, 0, tag)) {
            file->seal = seal;
            return SWK_OK;
        }
        swki_seal_fini(&seal);
    }
    return swki_fail(err, SWK_EDENIED,
                     "%s/%s is sealed by a key that was not "
                     "given",
                     at->dir_path, file->name);
}

static int check_seal(struct swki_snapshot_file *file, uint8_t flags,
                      struct swk_error *err)
{
    const struct swki_snapshot_place *at = file->at;

    if (flags & FLAG_SEALED) {
        return open_seal(file, err);
    }
    if (at->ring != NULL && swki_keyring_newest(at->ring) != 0 &&
        !at->accept_unsealed) {
        return swki_fail(err, SWK_EDENIED,
                         "%s/%s is not sealed, but there is a key: say that "
                         "such files are accepted, or restore the directory",
                         at->dir_path, file->name);
    }
    return SWK_OK;
}

/* Takes what the first bytes say; they may be anything. */
static int take_head(struct swki_snapshot_file *file,
                     const uint8_t bytes[SWKI_SNAPSHOT_HEAD_SIZE],
                     struct swk_error *err)
{
    if (memcmp(bytes, magic, sizeof(magic)) != 0) {
        return fail_damaged(file, err);
    }
    file->members_len = swki_get32(bytes + 56);
    file->chunk_size = swki_get32(bytes + 60);
    if (bytes[8] != SWKI_SNAPSHOT_VERSION ||
        (bytes[9] & ~(FLAG_SEALED | FLAG_COMPLETE)) != 0) {
        return swki_fail(err, SWK_ENOTSUP,
                         "%s/%s has another format than this release writes",
                         file->at->dir_path, file->name);
    }
    if (file->members_len > SWKI_CONF_STATE_LEN_MAX ||
        file->chunk_size < SWKI_SNAPSHOT_CHUNK_MIN ||
        file->chunk_size > SWKI_SNAPSHOT_CHUNK_MAX) {
        return fail_damaged(file, err);
    }
    file->place.index = swki_get64(bytes + 16);
    file->place.term = swki_get64(bytes + 24);
    file->length = swki_get64(bytes + 32);
    file->id = swki_get64(bytes + 40);
    file->complete = (bytes[9] & FLAG_COMPLETE) != 0;
    return SWK_OK;
}

/* Whether the file is as long as its header says; one that is not complete is
 * as long as it is. */
static bool size_fits(const struct swki_snapshot_file *file, uint64_t size)
{
    uint64_t full = file->length / file->chunk_size;

    if (!file->complete) {
        return true;
    }
    return file->length < UINT64_MAX / 2 && /* and nothing below overflows */
           size == chunk_at(file, full) + SWKI_SNAPSHOT_CHUNK_EXTRA +
                       file->length % file->chunk_size;
}

static int read_head(struct swki_snapshot_file *file, struct swk_error *err)
{
    const struct swki_file_io *io = file->at->io;
    uint8_t bytes[SWKI_SNAPSHOT_HEAD_SIZE];
    int64_t size = io->size(io->ctx, file->fd);
    int64_t count =
        size < 0 ? size
                 : swki_io_read_all(io, file->fd, bytes, sizeof(bytes), 0);

    if (count < 0) {
        return fail_io(file, (int)count, "read", err);
    }
    int rc = count == (int64_t)sizeof(bytes) ? take_head(file, bytes, err)
                                             : fail_damaged(file, err);
    if (rc == SWK_OK) {
        rc = make_room(file, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    count = swki_io_read_all(io, file->fd, file->head, head_len(file), 0);
    if (count < 0) {
        return fail_io(file, (int)count, "read", err);
    }
    if ((size_t)count != head_len(file) ||
        memcmp(file->head, bytes, sizeof(bytes)) != 0 ||
        head_crc(file->head, head_len(file)) != swki_get32(bytes + CRC_AT) ||
        !size_fits(file, (uint64_t)size)) {
        return fail_damaged(file, err);
    }
    return check_seal(file, bytes[9], err);
}

int swki_snapshot_file_open(const struct swki_snapshot_place *at,
                            const char *name, const struct swki_place *place,
                            struct swki_snapshot_file *out_file,
                            struct swk_error *err)
{
    struct swki_snapshot_file file = {.at = at,
                                      .cached = SWKI_SNAPSHOT_NO_CHUNK};

    set_name(&file, name);
    file.fd = at->io->open(at->io->ctx, at->dir, name);
    if (file.fd == -ENOENT) {
        return swki_fail(err, SWK_ENOTFOUND, "there is no %s/%s", at->dir_path,
                         name);
    }
    if (file.fd < 0) {
        return fail_io(&file, file.fd, "open", err);
    }
    int rc = read_head(&file, err);
    if (rc == SWK_OK && place != NULL &&
        (file.place.index != place->index || file.place.term != place->term)) {
        rc = fail_damaged(&file, err);
    }
    if (rc != SWK_OK) {
        swki_snapshot_file_close(&file);
        return rc;
    }
    *out_file = file;
    return SWK_OK;
}

/* -- Chunks --------------------------------------------------------------- */

static struct swki_seal_frame chunk_frame(const struct swki_snapshot_file *file,
                                          uint64_t number,
                                          uint8_t bound[BOUND_SIZE])
{
    memcpy(bound, file->chunk, SWKI_SNAPSHOT_CHUNK_HEAD);
    swki_put64(bound + 16, file->id);
    swki_put64(bound + 24, file->place.index);
    swki_put64(bound + 32, file->place.term);
    swki_put64(bound + 40, number);
    return (struct swki_seal_frame){
        .salt = swki_get64(file->chunk),
        .count = (uint32_t)(number + COUNT_CHUNKS),
        .extra = bound,
        .extra_len = BOUND_SIZE,
    };
}

static uint32_t chunk_crc(const struct swki_seal_frame *frame,
                          const uint8_t *data, size_t len)
{
    return swki_crc32c(swki_crc32c(0, frame->extra, frame->extra_len), data,
                       len);
}

/* Writes the data gathered, and empties the chunk. */
static int write_chunk(struct swki_snapshot_file *file, uint32_t flags,
                       struct swk_error *err)
{
    uint64_t number = file->length / file->chunk_size;
    uint8_t *data = file->chunk + SWKI_SNAPSHOT_CHUNK_HEAD;
    uint8_t *tag = data + file->fill;
    uint8_t bound[BOUND_SIZE];

    if (number > UINT32_MAX - COUNT_CHUNKS) { /* no nonce is left */
        return swki_fail(err, SWK_ELIMIT, "%s/%s is too large",
                         file->at->dir_path, file->name);
    }
    swki_put64(file->chunk, file->nonce_salt);
    swki_put32(file->chunk + 8, file->fill);
    swki_put32(file->chunk + 12, flags);
    const struct swki_seal_frame frame = chunk_frame(file, number, bound);
    if (file->seal.cipher != NULL) {
        swki_seal_close(&file->seal, &frame, data, file->fill, tag);
    } else {
        memset(tag, 0, SWKI_SEAL_TAG_SIZE);
        swki_put32(tag, chunk_crc(&frame, data, file->fill));
    }
    int rc = write_bytes(file, file->chunk,
                         file->fill + (size_t)SWKI_SNAPSHOT_CHUNK_EXTRA,
                         chunk_at(file, number));
    if (rc < 0) {
        return fail_io(file, rc, "write to", err);
    }
    file->length += file->fill;
    file->fill = 0;
    return SWK_OK;
}

int swki_snapshot_file_add(struct swki_snapshot_file *file, const uint8_t *data,
                           size_t len, struct swk_error *err)
{
    while (len > 0) {
        size_t room = file->chunk_size - file->fill;
        size_t take = len < room ? len : room;
        int rc = SWK_OK;

        memcpy(file->chunk + SWKI_SNAPSHOT_CHUNK_HEAD + file->fill, data, take);
        file->fill += (uint32_t)take;
        data += take;
        len -= take;
        if (file->fill == file->chunk_size) {
            rc = write_chunk(file, 0, err);
        }
        if (rc != SWK_OK) {
            return rc;
        }
    }
    return SWK_OK;
}

int swki_snapshot_file_resume(struct swki_snapshot_file *file, uint64_t offset,
                              struct swk_error *err)
{
    const struct swki_file_io *io = file->at->io;
    uint64_t end = chunk_at(file, offset / file->chunk_size);
    int64_t size = io->size(io->ctx, file->fd);

    if (size >= 0 && (uint64_t)size < end) {
        return fail_damaged(file, err);
    }
    int rc = size < 0 ? (int)size : io->truncate(io->ctx, file->fd, end);
    if (rc < 0) {
        return fail_io(file, rc, "shorten", err);
    }
    file->nonce_salt = io->salt(io->ctx);
    file->length = offset;
    file->fill = 0;
    file->cached = SWKI_SNAPSHOT_NO_CHUNK;
    return SWK_OK;
}

int swki_snapshot_file_sync(struct swki_snapshot_file *file,
                            struct swk_error *err)
{
    int rc = file->at->io->sync(file->at->io->ctx, file->fd);

    return rc < 0 ? fail_io(file, rc, "sync", err) : SWK_OK;
}

int swki_snapshot_file_complete(struct swki_snapshot_file *file,
                                struct swk_error *err)
{
    int rc = write_chunk(file, CHUNK_LAST, err);

    if (rc != SWK_OK) {
        return rc;
    }
    file->complete = true;
    rc = write_head(file);
    return rc < 0 ? fail_io(file, rc, "write to", err)
                  : swki_snapshot_file_sync(file, err);
}

/* Whether the chunk that was read is the one of that number. */
static bool open_chunk(struct swki_snapshot_file *file, uint64_t number,
                       uint32_t len)
{
    bool last = file->complete && number == file->length / file->chunk_size;
    uint8_t *data = file->chunk + SWKI_SNAPSHOT_CHUNK_HEAD;
    uint8_t *tag = data + len;
    uint8_t bound[BOUND_SIZE];
    const struct swki_seal_frame frame = chunk_frame(file, number, bound);

    if (swki_get32(file->chunk + 8) != len ||
        swki_get32(file->chunk + 12) != (last ? CHUNK_LAST : 0)) {
        return false;
    }
    if (file->seal.cipher != NULL) {
        return swki_seal_open(&file->seal, &frame, data, len, tag);
    }
    return swki_get32(tag) == chunk_crc(&frame, data, len) &&
           swki_get32(tag + 4) == 0 && swki_get64(tag + 8) == 0;
}

static int read_chunk(struct swki_snapshot_file *file, uint64_t number,
                      struct swk_error *err)
{
    const struct swki_file_io *io = file->at->io;
    uint64_t left = file->length - number * file->chunk_size;
    uint32_t len = left < file->chunk_size ? (uint32_t)left : file->chunk_size;
    size_t size = len + (size_t)SWKI_SNAPSHOT_CHUNK_EXTRA;

    file->cached = SWKI_SNAPSHOT_NO_CHUNK;
    int64_t count = swki_io_read_all(io, file->fd, file->chunk, size,
                                     chunk_at(file, number));
    if (count < 0) {
        return fail_io(file, (int)count, "read", err);
    }
    if ((size_t)count != size || !open_chunk(file, number, len)) {
        return swki_fail(
            err, SWK_ECORRUPT, "%s/%s is damaged at offset %" PRIu64,
            file->at->dir_path, file->name, chunk_at(file, number));
    }
    file->cached = number;
    return SWK_OK;
}

/* The last chunk may be empty, and damaged all the same. */
static int check_last(struct swki_snapshot_file *file, struct swk_error *err)
{
    uint64_t last = file->length / file->chunk_size;

    return file->complete && file->cached != last ? read_chunk(file, last, err)
                                                  : SWK_OK;
}

int swki_snapshot_file_read(struct swki_snapshot_file *file, uint64_t offset,
                            uint8_t *buf, size_t size, size_t *out_len,
                            struct swk_error *err)
{
    size_t done = 0;

    while (done < size && offset < file->length) {
        uint64_t number = offset / file->chunk_size;
        uint32_t from = (uint32_t)(offset % file->chunk_size);
        uint64_t left = file->length - number * file->chunk_size;
        size_t len =
            (left < file->chunk_size ? (size_t)left : file->chunk_size) - from;
        int rc =
            file->cached == number ? SWK_OK : read_chunk(file, number, err);

        if (rc != SWK_OK) {
            return rc;
        }
        len = len < size - done ? len : size - done;
        memcpy(buf + done, file->chunk + SWKI_SNAPSHOT_CHUNK_HEAD + from, len);
        done += len;
        offset += len;
    }
    if (offset >= file->length) {
        int rc = check_last(file, err);

        if (rc != SWK_OK) {
            return rc;
        }
    }
    *out_len = done;
    return SWK_OK;
}

int swki_snapshot_file_verify(struct swki_snapshot_file *file,
                              struct swk_error *err)
{
    uint64_t last = file->length / file->chunk_size;
    int rc = SWK_OK;

    for (uint64_t i = 0; rc == SWK_OK && i <= last; i++) {
        rc = read_chunk(file, i, err);
    }
    return rc;
}

uint64_t swki_snapshot_file_good(struct swki_snapshot_file *file)
{
    uint64_t good = 0;

    file->length = UINT64_MAX;
    while (read_chunk(file, good, NULL) == SWK_OK) {
        good++;
    }
    file->length = good * file->chunk_size;
    return file->length;
}
