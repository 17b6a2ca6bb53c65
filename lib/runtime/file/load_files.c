/* SPDX-License-Identifier: Apache-2.0 */

/* Finding the files of a storage, and opening those of the log. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "runtime/file/load.h"

int swki_load_damaged(struct swki_load *load, uint64_t id, uint64_t offset,
                      const char *why)
{
    char name[SWKI_WAL_NAME_SIZE];

    swki_wal_segment_name(id, name);
    return swki_fail(load->err, SWK_ECORRUPT,
                     "%s/%s is damaged at offset %" PRIu64 " (%s): restore "
                     "the directory from a backup, or remove this member and "
                     "let it join again",
                     load->wal->dir_path, name, offset, why);
}

/* -- Names ---------------------------------------------------------------- */

/* Parses exactly 16 hexadecimal digits. */
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

static bool add_id(struct swki_load *load, uint64_t id)
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

/* One too many is left where it is. */
static void add_spare(struct swki_wal *wal, uint64_t id)
{
    if (wal->spares_count < SWKI_WAL_SPARES) {
        wal->spares[wal->spares_count++] = id;
    }
}

static int found_name(void *ctx, const char *name)
{
    struct swki_load *load = ctx;
    struct swki_place place;
    size_t len = strlen(name);
    uint64_t id;

    if (len == 20 && memcmp(name, "log-", 4) == 0 && parse_hex(name + 4, &id)) {
        return add_id(load, id) ? 0 : -ENOMEM;
    }
    if (len == 22 && memcmp(name, "spare-", 6) == 0 &&
        parse_hex(name + 6, &id)) {
        add_spare(load->wal, id);
    }
    if (len == 42 && memcmp(name, "snapshot-", 9) == 0 && name[25] == '-' &&
        parse_hex(name + 9, &place.index) &&
        parse_hex(name + 26, &place.term)) {
        const struct swki_wal_snapshot snapshot = {.place = place};

        return swki_wal_add_snapshot(load->wal, &snapshot) ? 0 : -ENOMEM;
    }
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

int swki_load_list(struct swki_load *load)
{
    struct swki_wal *wal = load->wal;

    wal->snapshots_count = 0;
    wal->spares_count = 0;
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
    return SWK_OK;
}

/* -- Segments ------------------------------------------------------------- */

static int read_bytes(struct swki_load *load, int fd, const char *name,
                      struct swki_piece *piece)
{
    struct swki_wal *wal = load->wal;
    int64_t size = wal->io->size(wal->io->ctx, fd);

    if (size < 0) {
        return swki_io_fail(load->err, (int)size, "read", wal->dir_path, name);
    }
    if (size > UINT32_MAX) {
        return swki_fail(load->err, SWK_ECORRUPT, "%s/%s is too large",
                         wal->dir_path, name);
    }
    piece->bytes = swki_alloc(wal->alloc, (size_t)size + 1);
    if (piece->bytes == NULL) {
        return swki_fail_nomem(load->err);
    }
    int64_t count =
        swki_io_read_all(wal->io, fd, piece->bytes, (size_t)size, 0);
    if (count < 0) {
        return swki_io_fail(load->err, (int)count, "read", wal->dir_path, name);
    }
    piece->size = (size_t)count;
    return SWK_OK;
}

static int other_format(struct swki_load *load, const char *name)
{
    return swki_fail(load->err, SWK_ENOTSUP,
                     "%s/%s has another format than this release writes: use "
                     "the release that wrote it, or remove the directory and "
                     "join again",
                     load->wal->dir_path, name);
}

/* Which key opens a segment. Without one nothing of it may be touched, so this
 * is no damage. */
static int find_seal(struct swki_load *load, const char *name,
                     struct swki_piece *piece)
{
    struct swki_wal *wal = load->wal;
    bool has_key = load->seals[0].cipher != NULL;

    if (!piece->header.sealed) {
        piece->seal = &load->seals[2];
        return !has_key || wal->accept_unsealed
                   ? SWK_OK
                   : swki_fail(load->err, SWK_EDENIED,
                               "%s/%s is not sealed, although there is a key: "
                               "if it was written without one, accept it for "
                               "once",
                               wal->dir_path, name);
    }
    for (size_t i = 0; i < 2; i++) {
        if (swki_segment_header_open(piece->bytes, &piece->header,
                                     &load->seals[i])) {
            piece->seal = &load->seals[i];
            return SWK_OK;
        }
    }
    return swki_fail(load->err, SWK_EDENIED,
                     has_key ? "%s/%s is sealed by another key than those "
                               "given: give the key that it was written with"
                             : "%s/%s is sealed: its key is needed",
                     wal->dir_path, name);
}

static int take_header(struct swki_load *load, const char *name,
                       struct swki_piece *piece)
{
    int rc =
        swki_segment_header_decode(piece->bytes, piece->size, &piece->header);

    piece->format = rc == SWK_ECORRUPT ? 0 : piece->bytes[8];
    if (rc == SWK_ENOTSUP) {
        return other_format(load, name);
    }
    if (rc != SWK_OK || piece->size < SWKI_SEGMENT_HEAD_SIZE) {
        piece->why = "bad header";
        return SWK_OK;
    }
    rc = find_seal(load, name, piece);
    if (rc == SWK_OK && piece->header.id != piece->id) {
        piece->why = "it is another file";
        return SWK_OK;
    }
    piece->good = rc == SWK_OK;
    return rc;
}

static int open_piece(struct swki_load *load, uint64_t id)
{
    struct swki_wal *wal = load->wal;
    struct swki_piece *piece = &load->pieces[load->pieces_count];
    char name[SWKI_WAL_NAME_SIZE];

    piece->id = id;
    swki_wal_segment_name(id, name);
    int fd = wal->io->open(wal->io->ctx, wal->dir, name);
    if (fd == -ENOENT && wal->read_only) {
        return load->goes_on ? SWK_OK : SWK_EUNAVAILABLE;
    }
    if (fd < 0) {
        return swki_io_fail(load->err, fd, "open", wal->dir_path, name);
    }
    load->pieces_count++;
    int rc = read_bytes(load, fd, name, piece);
    wal->io->close(wal->io->ctx, fd);
    if (rc == SWK_OK) {
        piece->rc = take_header(load, name, piece);
        rc = load->goes_on ? SWK_OK : piece->rc;
    }
    return rc;
}

/* A header may say that records of the segments before are void. */
static void set_limits(struct swki_load *load)
{
    uint64_t limit = UINT64_MAX;

    for (size_t i = load->pieces_count; i > 0; i--) {
        struct swki_piece *piece = &load->pieces[i - 1];

        piece->limit = limit;
        if (piece->good && piece->header.cut != 0 &&
            piece->header.cut < limit) {
            limit = piece->header.cut;
        }
    }
}

int swki_load_open(struct swki_load *load)
{
    struct swki_wal *wal = load->wal;
    int rc = SWK_OK;

    for (size_t i = 0; i < 2 && rc == SWK_OK; i++) {
        rc = swki_keyring_seal(wal->ring, i, &load->seals[i]);
    }
    load->pieces =
        swki_calloc(wal->alloc, load->ids_count + 1, sizeof(load->pieces[0]));
    if (load->pieces == NULL || rc != SWK_OK) {
        return swki_fail_nomem(load->err);
    }
    for (size_t i = 0; i < load->ids_count && rc == SWK_OK; i++) {
        rc = open_piece(load, load->ids[i]);
    }
    set_limits(load);
    return rc;
}

void swki_load_release(struct swki_load *load)
{
    const struct swk_alloc *alloc = load->wal->alloc;

    for (size_t i = 0; i < load->pieces_count; i++) {
        struct swki_piece *piece = &load->pieces[i];

        if (piece->bytes != NULL && piece->good && piece->header.sealed) {
            explicit_bzero(piece->bytes, piece->size);
        }
        swki_free(alloc, piece->bytes);
    }
    for (size_t i = 0; i < 2; i++) {
        swki_seal_fini(&load->seals[i]);
    }
    swki_free(alloc, load->pieces);
    swki_free(alloc, load->prefix.list);
    swki_free(alloc, load->log.list);
    swki_free(alloc, load->ids);
}
