/* SPDX-License-Identifier: Apache-2.0 */

#include "node/audit/audit_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum {
    NUMBER_DIGITS = 8,
    /* Of the end of a file that is read: many lines, each shorter. */
    TAIL_SIZE = 1024 * 1024,
};

/* -- The directory -------------------------------------------------------- */

void swki_audit_file_name(uint64_t number, char out_name[SWKI_AUDIT_NAME_SIZE])
{
    snprintf(out_name, SWKI_AUDIT_NAME_SIZE, "audit-%0*" PRIu64 ".log",
             NUMBER_DIGITS, number);
}

/* 0 for other names. */
static uint64_t number_of(const char *name)
{
    char back[SWKI_AUDIT_NAME_SIZE];
    uint64_t number = 0;

    if (sscanf(name, "audit-%" SCNu64 ".log", &number) != 1) {
        return 0;
    }
    swki_audit_file_name(number, back);
    return number <= SWKI_AUDIT_FILE_NUMBER_MAX && strcmp(back, name) == 0
               ? number
               : 0;
}

static int found(void *ctx, const char *name)
{
    struct swki_audit_files *files = ctx;
    uint64_t number = number_of(name);

    if (number != 0) {
        if (files->first == 0 || number < files->first) {
            files->first = number;
        }
        if (number > files->last) {
            files->last = number;
        }
    }
    return 0;
}

int swki_audit_files_open(struct swki_audit_files *files,
                          const struct swki_file_io *io, const char *path,
                          struct swk_error *err)
{
    int rc;

    *files = (struct swki_audit_files){.io = io, .path = path};
    files->dir = io->open_dir(io->ctx, path);
    if (files->dir == -ENOENT) {
        return swki_fail(err, SWK_ENOTFOUND, "%s does not exist", path);
    }
    if (files->dir < 0) {
        return swki_io_fail(err, files->dir, "open", path, "");
    }
    rc = io->list(io->ctx, files->dir, found, files);
    if (rc < 0) {
        swki_audit_files_close(files);
        return swki_io_fail(err, rc, "list", path, "");
    }
    return SWK_OK;
}

void swki_audit_files_close(struct swki_audit_files *files)
{
    if (files->dir >= 0) {
        files->io->close(files->io->ctx, files->dir);
        files->dir = -1;
    }
}

/* What is looked for in a directory. */
struct search {
    uint64_t from;
    uint64_t found;
};

static int found_next(void *ctx, const char *name)
{
    struct search *search = ctx;
    uint64_t number = number_of(name);

    if (number >= search->from && number != 0 &&
        (search->found == 0 || number < search->found)) {
        search->found = number;
    }
    return 0;
}

uint64_t swki_audit_files_next(const struct swki_audit_files *files,
                               uint64_t number)
{
    struct search search = {.from = number};

    (void)files->io->list(files->io->ctx, files->dir, found_next, &search);
    return search.found;
}

void swki_audit_files_remove(const struct swki_audit_files *files,
                             uint64_t below)
{
    const struct swki_file_io *io = files->io;
    char name[SWKI_AUDIT_NAME_SIZE];
    uint64_t n = swki_audit_files_next(files, 1);

    while (n > 0 && n < below) {
        swki_audit_file_name(n, name);
        (void)io->remove(io->ctx, files->dir, name);
        n = swki_audit_files_next(files, n + 1);
    }
}

/* Appends the part of a file from offset on; less at its end. */
static int read_part(const struct swki_audit_files *files, int fd,
                     const char *name, uint64_t offset, size_t len,
                     struct swki_buf *out, struct swk_error *err)
{
    uint8_t *room = swki_buf_reserve(out, len);
    int64_t count;

    if (room == NULL) {
        return swki_fail_nomem(err);
    }
    count = swki_io_read_all(files->io, fd, room, len, offset);
    if (count < 0) {
        return swki_io_fail(err, (int)count, "read", files->path, name);
    }
    out->len += (size_t)count;
    return SWK_OK;
}

int swki_audit_files_checkpoint(const struct swki_audit_files *files,
                                struct swki_buf *out_text,
                                struct swk_error *err)
{
    const struct swki_file_io *io = files->io;
    int fd = io->open_to_read(io->ctx, files->dir, SWKI_AUDIT_CHECKPOINT_NAME);
    int rc;

    if (fd == -ENOENT) {
        return SWK_OK;
    }
    if (fd < 0) {
        return swki_io_fail(err, fd, "open", files->path,
                            SWKI_AUDIT_CHECKPOINT_NAME);
    }
    rc = read_part(files, fd, SWKI_AUDIT_CHECKPOINT_NAME, 0,
                   SWKI_AUDIT_CHECKPOINT_SIZE_MAX, out_text, err);
    io->close(io->ctx, fd);
    return rc;
}

static int write_whole(const struct swki_audit_files *files, const char *name,
                       const void *data, size_t len)
{
    const struct swki_file_io *io = files->io;
    int fd = io->create(io->ctx, files->dir, name);
    int rc = fd;

    if (fd >= 0) {
        rc = swki_io_write_all(io, fd, data, len, 0);
        rc = rc == 0 ? io->sync(io->ctx, fd) : rc;
        io->close(io->ctx, fd);
    }
    return rc;
}

int swki_audit_files_replace_checkpoint(const struct swki_audit_files *files,
                                        const void *text, size_t len,
                                        struct swk_error *err)
{
    static const char temporary[] = "." SWKI_AUDIT_CHECKPOINT_NAME ".tmp";
    const struct swki_file_io *io = files->io;
    int rc = write_whole(files, temporary, text, len);

    if (rc == 0) {
        rc = io->rename(io->ctx, files->dir, temporary,
                        SWKI_AUDIT_CHECKPOINT_NAME);
    }
    if (rc == 0) {
        rc = io->sync_dir(io->ctx, files->dir);
    }
    return rc < 0 ? swki_io_fail(err, rc, "write", files->path,
                                 SWKI_AUDIT_CHECKPOINT_NAME)
                  : SWK_OK;
}

/* -- The end -------------------------------------------------------------- */

/* The end of a file. */
struct tail {
    struct swki_buf text;
    uint64_t offset; /* of the text in the file */
};

/* The line that ends at `end` of the text, which is behind its line end; false
 * if there is none. */
static bool line_before(const struct tail *tail, size_t end, size_t *out_start,
                        size_t *out_len)
{
    const char *text = (const char *)tail->text.data;
    const char *before;

    if (end == 0) {
        return false;
    }
    before = memrchr(text, '\n', end - 1);
    if (before == NULL && tail->offset > 0) {
        return false; /* it begins before what was read */
    }
    *out_start = before != NULL ? (size_t)(before + 1 - text) : 0;
    *out_len = end - 1 - *out_start;
    return true;
}

/* Behind the last line end; 0 if there is none. */
static size_t whole_lines(const struct tail *tail)
{
    const char *text = (const char *)tail->text.data;
    const char *last =
        tail->text.len > 0 ? memrchr(text, '\n', tail->text.len) : NULL;

    return last != NULL ? (size_t)(last + 1 - text) : 0;
}

static int read_tail(const struct swki_audit_files *files, int fd,
                     const char *name, struct tail *tail, struct swk_error *err)
{
    int64_t size = files->io->size(files->io->ctx, fd);

    if (size < 0) {
        return swki_io_fail(err, (int)size, "read", files->path, name);
    }
    tail->offset = size > TAIL_SIZE ? (uint64_t)size - TAIL_SIZE : 0;
    return read_part(files, fd, name, tail->offset,
                     (size_t)((uint64_t)size - tail->offset), &tail->text, err);
}

/* Where the store was when the last change was recorded: a restart applies the
 * end of its log anew. */
static void find_index(const struct tail *tail, size_t end,
                       struct swki_audit_end *out)
{
    struct swki_audit_record record;
    size_t start;
    size_t len;

    while (line_before(tail, end, &start, &len)) {
        const char *line = (const char *)tail->text.data + start;

        if (swki_audit_record_read(line, len, &record) &&
            swki_audit_field_is(
                swki_audit_fields_find(&record.fields, "outcome"),
                "committed")) {
            swki_audit_field_number(
                swki_audit_fields_find(&record.fields, "version"),
                &out->recorded_index);
            return;
        }
        end = start;
    }
}

/* The last record that is one. Those behind it are kept, and found by whoever
 * verifies the log. */
static bool find_last(const struct tail *tail, size_t end,
                      struct swki_audit_end *out)
{
    bool damaged = false;
    struct swki_audit_record record;
    size_t start;
    size_t len;

    while (line_before(tail, end, &start, &len)) {
        const char *line = (const char *)tail->text.data + start;

        if (swki_audit_record_read(line, len, &record)) {
            bool stopped = swki_audit_field_is(
                swki_audit_fields_find(&record.fields, "type"), "stop");

            out->last = record.link;
            out->before = damaged   ? SWKI_AUDIT_BEFORE_ALTERED
                          : stopped ? SWKI_AUDIT_BEFORE_STOPPED
                                    : SWKI_AUDIT_BEFORE_CRASHED;
            find_index(tail, end, out);
            return true;
        }
        damaged = true;
        end = start;
    }
    return false;
}

static int cut_off(const struct swki_audit_files *files, int fd,
                   const char *name, uint64_t size, struct swk_error *err)
{
    int rc = files->io->truncate(files->io->ctx, fd, size);

    if (rc == 0) {
        rc = files->io->sync(files->io->ctx, fd);
    }
    return rc < 0 ? swki_io_fail(err, rc, "shorten", files->path, name)
                  : SWK_OK;
}

/* Takes the end from one file. It goes on there if it is sound. */
static int end_in_file(const struct swki_audit_files *files, uint64_t number,
                       struct tail *tail, struct swki_audit_end *out,
                       bool *out_found, struct swk_error *err)
{
    char name[SWKI_AUDIT_NAME_SIZE];
    size_t lines;
    int rc;
    int fd;

    swki_audit_file_name(number, name);
    fd = files->io->open(files->io->ctx, files->dir, name);
    if (fd < 0) {
        *out_found = false;
        return fd == -ENOENT ? SWK_OK
                             : swki_io_fail(err, fd, "open", files->path, name);
    }
    rc = read_tail(files, fd, name, tail, err);
    lines = rc == 0 ? whole_lines(tail) : 0;
    *out_found = rc == 0 && find_last(tail, lines, out);
    /* Of an unfinished line nobody was told anything. One that is longer than
     * any record is something else. */
    if (rc == 0 && number == files->last && lines < tail->text.len) {
        if (tail->text.len - lines <= SWKI_AUDIT_LINE_MAX) {
            out->torn = tail->text.len - lines;
            rc = cut_off(files, fd, name, tail->offset + lines, err);
        } else {
            out->before = SWKI_AUDIT_BEFORE_ALTERED;
        }
    }
    files->io->close(files->io->ctx, fd);
    out->file = number;
    out->offset = tail->offset + lines;
    return rc;
}

/* The record that ends at an offset, if one does. */
static bool record_at(const struct swki_audit_files *files, uint64_t number,
                      uint64_t end, struct tail *tail,
                      struct swki_audit_link *out_link)
{
    char name[SWKI_AUDIT_NAME_SIZE];
    struct swki_audit_record record;
    bool ok = false;
    size_t start;
    size_t len;
    int fd;

    swki_audit_file_name(number, name);
    fd = files->io->open_to_read(files->io->ctx, files->dir, name);
    if (fd < 0) {
        return false;
    }
    swki_buf_clear(&tail->text);
    tail->offset =
        end > SWKI_AUDIT_LINE_MAX + 2 ? end - SWKI_AUDIT_LINE_MAX - 2 : 0;
    if (read_part(files, fd, name, tail->offset, (size_t)(end - tail->offset),
                  &tail->text, NULL) == 0 &&
        tail->text.len == end - tail->offset &&
        line_before(tail, tail->text.len, &start, &len) &&
        swki_audit_record_read((const char *)tail->text.data + start, len,
                               &record)) {
        *out_link = record.link;
        ok = true;
    }
    files->io->close(files->io->ctx, fd);
    return ok;
}

/* Whoever can write files can write a checkpoint: one that this node did not
 * sign says nothing, above all not where the log goes on. */
static bool read_checkpoint(const struct tail *tail,
                            const struct swki_audit_signer *signer,
                            struct swki_audit_checkpoint *out)
{
    struct swki_audit_checkpoint_text parts;
    struct swki_identity identity;

    return signer->roots.len > 0 &&
           swki_audit_checkpoint_read((const char *)tail->text.data,
                                      tail->text.len, out, &parts) &&
           swki_audit_signature_check(out, &parts, signer, &identity, NULL) ==
               0;
}

/* Holds the last checkpoint against what is there. There is one since before
 * the first record. */
static int heed_checkpoint(const struct swki_audit_files *files,
                           const struct swki_audit_signer *signer,
                           struct tail *tail, struct swki_audit_end *out,
                           struct swk_error *err)
{
    struct swki_audit_checkpoint checkpoint;
    struct swki_audit_link there;
    int rc;

    swki_buf_clear(&tail->text);
    rc = swki_audit_files_checkpoint(files, &tail->text, err);
    if (rc != 0) {
        return rc;
    }
    out->has_checkpoint = tail->text.len > 0;
    if (!read_checkpoint(tail, signer, &checkpoint)) {
        if (out->before != SWKI_AUDIT_BEFORE_ALTERED &&
            (out->has_checkpoint || files->last > 0)) {
            out->before = SWKI_AUDIT_BEFORE_UNSIGNED;
        }
        return SWK_OK;
    }
    if (checkpoint.link.seq == 0) {
        return SWK_OK; /* of before the first record */
    }
    if (checkpoint.link.seq > out->last.seq) {
        /* The chain goes on behind what is missing, which is missed for good.
         */
        out->last = checkpoint.link;
        out->before = SWKI_AUDIT_BEFORE_TRUNCATED;
    } else if (!record_at(files, checkpoint.file, checkpoint.offset, tail,
                          &there) ||
               memcmp(&there, &checkpoint.link, sizeof(there)) != 0) {
        out->before = SWKI_AUDIT_BEFORE_ALTERED;
    }
    return SWK_OK;
}

/* What the first line of the newest file says. What was removed since then was
 * not by us, and is to be found. */
static void find_oldest(const struct swki_audit_files *files, struct tail *tail,
                        struct swki_audit_end *out)
{
    char name[SWKI_AUDIT_NAME_SIZE];
    struct swki_audit_record record;
    const char *end;
    int fd;

    swki_audit_file_name(files->last, name);
    fd = files->io->open_to_read(files->io->ctx, files->dir, name);
    if (fd < 0) {
        return;
    }
    swki_buf_clear(&tail->text);
    if (read_part(files, fd, name, 0, SWKI_AUDIT_LINE_MAX, &tail->text, NULL) ==
            0 &&
        (end = memchr(tail->text.data, '\n', tail->text.len)) != NULL &&
        swki_audit_record_read((const char *)tail->text.data,
                               (size_t)(end - (const char *)tail->text.data),
                               &record)) {
        swki_audit_field_number(
            swki_audit_fields_find(&record.fields, "oldest"), &out->oldest);
        if (out->oldest > files->last) {
            out->oldest = 0; /* nonsense */
        }
    }
    files->io->close(files->io->ctx, fd);
}

/* Whether it goes on in another file, behind what is wrong. */
static bool is_damaged(const struct swki_audit_end *end)
{
    return end->before == SWKI_AUDIT_BEFORE_TRUNCATED ||
           end->before == SWKI_AUDIT_BEFORE_ALTERED ||
           end->before == SWKI_AUDIT_BEFORE_UNSIGNED;
}

int swki_audit_files_find_end(struct swki_audit_files *files,
                              const struct swki_audit_signer *signer,
                              const struct swk_alloc *alloc,
                              struct swki_audit_end *out_end,
                              struct swk_error *err)
{
    struct swki_audit_end end = {.file = 1};
    bool is_found = false;
    bool has_lines = false;
    struct tail tail;
    int rc = SWK_OK;

    swki_buf_init(&tail.text, alloc, SIZE_MAX);
    /* The newest file may have been made just before a crash. */
    for (uint64_t n = files->last; rc == 0 && !is_found && n > 0 &&
                                   n >= files->first && n + 2 > files->last;
         n--) {
        swki_buf_clear(&tail.text);
        rc = end_in_file(files, n, &tail, &end, &is_found, err);
        has_lines = has_lines || end.offset > 0;
    }
    if (!is_found && files->last > 0) {
        end.before =
            has_lines ? SWKI_AUDIT_BEFORE_ALTERED : SWKI_AUDIT_BEFORE_CRASHED;
    }
    if (rc == 0 && files->last > 0) {
        find_oldest(files, &tail, &end);
    }
    if (rc == 0) {
        rc = heed_checkpoint(files, signer, &tail, &end, err);
    }
    if (is_damaged(&end) || end.file != files->last) {
        end.file = files->last + 1;
        end.offset = 0;
    }
    if (end.oldest == 0) {
        end.oldest = files->first;
    }
    if (rc == 0 && end.file > SWKI_AUDIT_FILE_NUMBER_MAX) {
        rc = swki_fail(err, SWK_ECORRUPT,
                       "%s: no file comes after number %" PRIu64, files->path,
                       files->last);
    }
    swki_buf_fini(&tail.text);
    if (rc == 0) {
        *out_end = end;
    }
    return rc;
}
