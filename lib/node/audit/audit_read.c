/* SPDX-License-Identifier: Apache-2.0 */

/* Reading an audit log, and verifying it: <swarmkit/audit.h>. */

#include <swarmkit/audit.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/options.h"
#include "core/audit/check.h"
#include "crypto/x509.h"
#include "node/audit/audit_files.h"
#include "node/audit/audit_signature.h"
#include "runtime/file/atomic.h"
#include "wire/status.h"

/* Managers sign every ten seconds while there are records. */
#define UNSIGNED_MAX ((int64_t)SWK_MINUTE)

enum {
    PART_SIZE = 1024 * 1024, /* of a file, read at once */
};

_Static_assert((int)SWK_AUDIT_INTACT == (int)SWKI_AUDIT_INTACT &&
                   (int)SWK_AUDIT_ALTERED == (int)SWKI_AUDIT_ALTERED &&
                   (int)SWK_AUDIT_REMOVED == (int)SWKI_AUDIT_REMOVED &&
                   (int)SWK_AUDIT_REORDERED == (int)SWKI_AUDIT_REORDERED &&
                   (int)SWK_AUDIT_TRUNCATED == (int)SWKI_AUDIT_TRUNCATED &&
                   (int)SWK_AUDIT_UNSIGNED == (int)SWKI_AUDIT_UNSIGNED,
               "findings are the same");

/* A record whose place is known from elsewhere. */
struct known {
    struct swki_audit_link link; /* seq 0: none */
    struct swki_audit_link seen; /* the log's own of that number, or seq 0 */
};

struct reading {
    struct swk_audit_options options;
    struct swk_audit_report *report;
    struct swki_audit_files files;
    struct swki_audit_check check;
    struct known checkpoint;
    struct known expected;
    struct swki_buf roots;
    bool has_checkpoint;
    struct swki_identity signer; /* of the checkpoint, if it is signed */
    char checkpoint_fault[200];  /* why it does not count; or "" */
    /* Of the records behind the checkpoint, in the manager's present run. */
    swk_wall unsigned_since;
    uint64_t unsigned_first; /* and its number; 0 for none */
    uint64_t unsigned_seq;   /* the same if that was long since */
    uint64_t newest_size;    /* bytes of the last file, before it was read */
    uint64_t offset;         /* in the file */
    struct swki_buf part;
    uint64_t number; /* of the file */
    char name[SWKI_AUDIT_NAME_SIZE];
    uint64_t line;
    bool verifying; /* nothing was found yet, or more may be */
    uint64_t done;
    uint64_t total;
};

/* -- Lines ---------------------------------------------------------------- */

/* A finding is where it was made. */
static void place(struct reading *r)
{
    struct swk_audit_report *report = r->report;

    if (report->file[0] == '\0') {
        snprintf(report->file, sizeof(report->file), "%s", r->name);
        report->line = r->line;
    }
}

static void note(struct known *known, const struct swki_audit_link *link)
{
    if (known->link.seq == link->seq) {
        known->seen = *link;
    }
}

/* A manager signs its records soon, and those of before when it starts. What
 * was written while we read does not count. */
static void watch_unsigned(struct reading *r,
                           const struct swki_audit_record *record)
{
    const struct swki_audit_field *type =
        swki_audit_fields_find(&record->fields, "type");

    if (!r->has_checkpoint || r->unsigned_seq != 0 ||
        record->link.seq <= r->checkpoint.link.seq ||
        (r->number == r->files.last && r->offset > r->newest_size)) {
        return;
    }
    if (record->link.seq == r->checkpoint.link.seq + 1 ||
        r->unsigned_first == 0 || swki_audit_field_is(type, "start")) {
        r->unsigned_first = record->link.seq;
        r->unsigned_since = record->time;
    } else if (record->time - r->unsigned_since > UNSIGNED_MAX) {
        r->unsigned_seq = r->unsigned_first;
    }
}

static void verify_line(struct reading *r, const char *line, size_t len,
                        struct swki_audit_record *record)
{
    bool was_intact = r->check.finding == SWKI_AUDIT_INTACT;

    r->verifying =
        swki_audit_check_line(&r->check, r->number, line, len, record);
    if (was_intact && r->check.finding != SWKI_AUDIT_INTACT) {
        place(r);
    }
    if (was_intact && r->check.last.seq == record->link.seq) {
        r->report->records++;
        note(&r->checkpoint, &r->check.last);
        note(&r->expected, &r->check.last);
        watch_unsigned(r, record);
    }
}

static int take_line(struct reading *r, const char *line, size_t len)
{
    struct swki_audit_record record = {0};
    struct swk_audit_record out = {
        .size = sizeof(out),
        .file = r->name,
        .line = ++r->line,
        .json = line,
        .json_len = len,
        .fields = &record.fields,
    };

    r->offset += len + 1;
    if (r->verifying) {
        verify_line(r, line, len, &record);
    }
    if (r->options.record == NULL ||
        (record.link.seq == 0 && !swki_audit_record_read(line, len, &record))) {
        return 0;
    }
    out.seq = record.link.seq;
    out.time = record.time;
    return r->options.record(r->options.ctx, &out);
}

/* Takes the whole lines of what was read, and keeps the rest. */
static int take_lines(struct reading *r)
{
    const char *at = (const char *)r->part.data;
    size_t left = r->part.len;
    const char *end;
    int rc = 0;

    while (rc == 0 && left > 0 && (end = memchr(at, '\n', left)) != NULL) {
        rc = take_line(r, at, (size_t)(end - at));
        left -= (size_t)(end + 1 - at);
        at = end + 1;
    }
    swki_buf_consume(&r->part, r->part.len - left);
    return rc;
}

/* -- Files ---------------------------------------------------------------- */

/* What is behind the last line end: of the newest file a record that is being
 * written; of another one, or when it is too long for that, no record at all.
 */
static int take_rest(struct reading *r)
{
    if (r->part.len == 0) {
        return 0;
    }
    if (r->number == r->files.last && r->part.len <= SWKI_AUDIT_LINE_MAX) {
        r->report->unfinished = r->part.len;
        return 0;
    }
    return take_line(r, (const char *)r->part.data, r->part.len);
}

static int read_open_file(struct reading *r, int fd, struct swk_error *err)
{
    const struct swki_file_io *io = r->files.io;
    uint64_t offset = 0;
    int64_t count;
    int rc = 0;

    do {
        uint8_t *room = swki_buf_reserve(&r->part, PART_SIZE);

        if (room == NULL) {
            return swki_fail_nomem(err);
        }
        count = swki_io_read_all(io, fd, room, PART_SIZE, offset);
        if (count < 0) {
            return swki_io_fail(err, (int)count, "read", r->files.path,
                                r->name);
        }
        r->part.len += (size_t)count;
        offset += (uint64_t)count;
        r->done += (uint64_t)count;
        rc = take_lines(r);
        if (rc == 0 && r->part.len > PART_SIZE) { /* no line is so long */
            rc = take_line(r, (const char *)r->part.data, r->part.len);
            swki_buf_clear(&r->part);
        }
        if (r->options.progress != NULL) {
            r->options.progress(r->options.ctx, r->done, r->total);
        }
    } while (rc == 0 && count == PART_SIZE);
    return rc != 0 ? rc : take_rest(r);
}

/* A file that is missing shows by its records, as far as it had any. */
static int read_file(struct reading *r, struct swk_error *err)
{
    const struct swki_file_io *io = r->files.io;
    int fd;
    int rc;

    swki_audit_file_name(r->number, r->name);
    r->line = 0;
    r->offset = 0;
    swki_buf_clear(&r->part);
    fd = io->open_to_read(io->ctx, r->files.dir, r->name);
    if (fd < 0) {
        return fd == -ENOENT
                   ? 0
                   : swki_io_fail(err, fd, "open", r->files.path, r->name);
    }
    rc = read_open_file(r, fd, err);
    io->close(io->ctx, fd);
    return rc;
}

/* As they are now: a log that is written grows. */
static void add_sizes(struct reading *r)
{
    const struct swki_file_io *io = r->files.io;
    char name[SWKI_AUDIT_NAME_SIZE];

    for (uint64_t n = r->files.first; n != 0;
         n = swki_audit_files_next(&r->files, n + 1)) {
        int fd;

        swki_audit_file_name(n, name);
        fd = io->open_to_read(io->ctx, r->files.dir, name);
        if (fd >= 0) {
            int64_t size = io->size(io->ctx, fd);

            r->newest_size = size > 0 ? (uint64_t)size : 0;
            r->total += r->newest_size;
            io->close(io->ctx, fd);
        }
    }
}

/* -- Heads that are known ------------------------------------------------- */

/* PEM that can be read, or none. */
static int read_roots(struct reading *r, struct swk_error *err)
{
    uint8_t digest[SWKI_SHA256_SIZE];
    int rc;

    if (r->options.roots_file == NULL) {
        return SWK_OK;
    }
    rc =
        swki_file_read(r->options.roots_file, SWKI_PEM_LEN_MAX, &r->roots, err);
    if (rc == 0 && swki_certificate_digest(swki_pem_of_buf(&r->roots), digest,
                                           NULL) != 0) {
        rc = swki_fail(err, SWK_EMALFORMED, "%s holds no certificate",
                       r->options.roots_file);
    }
    return rc;
}

static int take_checkpoint(struct reading *r, const struct swki_buf *text,
                           struct swk_error *err)
{
    const struct swki_audit_signer signer = {
        .roots = swki_pem_of_buf(&r->roots),
    };
    struct swki_audit_checkpoint_text parts;
    struct swki_audit_checkpoint checkpoint;
    int rc;

    if (!swki_audit_checkpoint_read((const char *)text->data, text->len,
                                    &checkpoint, &parts)) {
        return swki_fail(err, SWK_EMALFORMED, "the checkpoint is damaged");
    }
    r->checkpoint.link = checkpoint.link;
    r->report->signed_seq = checkpoint.link.seq;
    r->report->signed_time = checkpoint.time;
    rc = swki_audit_signature_check(&checkpoint, &parts, &signer, &r->signer,
                                    err);
    if (rc != 0) {
        swki_error_prefix(err, "the checkpoint is not the manager's");
    }
    snprintf(r->report->signed_by, sizeof(r->report->signed_by), "%s",
             r->signer.node_id);
    return rc;
}

/* Before the log is read: so it is not ahead of what is read. */
static int read_checkpoint(struct reading *r, struct swk_error *err)
{
    struct swk_error why;
    struct swki_buf text;
    int rc;

    swki_buf_init(&text, r->options.alloc, SIZE_MAX);
    rc = swki_audit_files_checkpoint(&r->files, &text, err);
    r->has_checkpoint = rc == 0 && text.len > 0;
    if (r->has_checkpoint && take_checkpoint(r, &text, &why) != 0) {
        snprintf(r->checkpoint_fault, sizeof(r->checkpoint_fault), "%s",
                 why.text);
    }
    swki_buf_fini(&text);
    return rc;
}

static void find_elsewhere(struct reading *r, enum swki_audit_finding finding,
                           const char *file, uint64_t seq, const char *text)
{
    if (r->check.finding == SWKI_AUDIT_INTACT) {
        swki_audit_check_found(&r->check, finding, seq, text);
        snprintf(r->report->file, sizeof(r->report->file), "%s", file);
        r->report->line = 0;
    }
}

static void compare(struct reading *r, const struct known *known,
                    const char *whence)
{
    if (known->link.seq != 0) {
        swki_audit_check_known(&r->check, &known->link,
                               known->seen.seq != 0 ? &known->seen : NULL,
                               whence);
    }
}

/* What cannot be compared must not pass for what was: a log that is written
 * anew may begin anywhere. */
static void compare_expected(struct reading *r)
{
    const struct known *expected = &r->expected;
    char text[160];

    compare(r, expected, "whoever asks");
    if (expected->link.seq == 0 || expected->seen.seq != 0 ||
        expected->link.seq >= r->check.first_seq) {
        return;
    }
    snprintf(text, sizeof(text),
             "whoever asks knows record %" PRIu64
             ", and the log begins at %" PRIu64 " now: ask with a later head",
             expected->link.seq, r->check.first_seq);
    find_elsewhere(r, SWKI_AUDIT_REMOVED, "", expected->link.seq, text);
}

/* Whose log it is, and whether he signed it. */
static void compare_owner(struct reading *r)
{
    const struct swki_audit_check *check = &r->check;
    char text[160];

    if (r->report->records > 0 && check->node_id[0] == '\0') {
        find_elsewhere(r, SWKI_AUDIT_ALTERED, "", 0,
                       "no record says whose log this is");
    }
    if (r->report->records > 0 && r->options.node_id != NULL &&
        strcmp(r->options.node_id, check->node_id) != 0) {
        snprintf(text, sizeof(text), "this is the log of node %s",
                 check->node_id);
        find_elsewhere(r, SWKI_AUDIT_ALTERED, "", 0, text);
    }
    if (r->checkpoint_fault[0] != '\0') {
        find_elsewhere(r, SWKI_AUDIT_ALTERED, SWKI_AUDIT_CHECKPOINT_NAME, 0,
                       r->checkpoint_fault);
    }
    if (r->has_checkpoint && r->report->records > 0 &&
        (strcmp(r->signer.node_id, check->node_id) != 0 ||
         strcmp(r->signer.swarm_id, check->swarm_id) != 0)) {
        snprintf(text, sizeof(text),
                 "the checkpoint is that of node %s, and the log that of %s",
                 r->signer.node_id, check->node_id);
        find_elsewhere(r, SWKI_AUDIT_ALTERED, SWKI_AUDIT_CHECKPOINT_NAME, 0,
                       text);
    }
}

/* What the lines alone do not tell. */
static void compare_all(struct reading *r)
{
    char name[SWKI_AUDIT_NAME_SIZE];

    if (r->check.oldest_file != 0 && r->files.first > r->check.oldest_file) {
        swki_audit_file_name(r->check.oldest_file, name);
        find_elsewhere(r, SWKI_AUDIT_REMOVED, name, 0,
                       "this file is missing, which the log has kept");
    }
    compare_owner(r);
    if (!r->has_checkpoint && r->expected.link.seq == 0) {
        find_elsewhere(r, SWKI_AUDIT_TRUNCATED, SWKI_AUDIT_CHECKPOINT_NAME, 0,
                       "there is no checkpoint to tell where the log ends");
    }
    compare(r, &r->checkpoint, "the checkpoint");
    compare_expected(r);
    if (r->unsigned_seq != 0) {
        find_elsewhere(r, SWKI_AUDIT_UNSIGNED, SWKI_AUDIT_CHECKPOINT_NAME,
                       r->unsigned_seq,
                       "nothing is signed from this record on, long after it: "
                       "the checkpoint is an earlier one, or could not be "
                       "written");
    }
}

/* -- The whole ------------------------------------------------------------ */

static int read_options(const struct swk_audit_options *options,
                        struct reading *r, struct swk_error *err)
{
    int rc = swki_options_read(&r->options, sizeof(r->options), options,
                               "swk_audit_options", err);
    const char *hash = r->options.expect_hash;

    if (rc == 0 && r->options.dir == NULL) {
        rc = swki_fail(err, SWK_EINVAL, "audit: no directory");
    }
    if (rc == 0 && (r->options.expect_seq != 0 || hash != NULL)) {
        r->expected.link.seq = r->options.expect_seq;
        if (r->options.expect_seq == 0 || hash == NULL ||
            !swki_audit_hash_read(hash, strlen(hash), r->expected.link.hash)) {
            rc = swki_fail(err, SWK_EINVAL,
                           "audit: a head is the number of a record, and its "
                           "hash of %d digits",
                           SWK_AUDIT_HASH_LEN);
        }
    }
    return rc;
}

static int read_files(struct reading *r, struct swk_error *err)
{
    int rc = 0;

    if (r->files.last == 0 && !r->has_checkpoint) {
        return swki_fail(err, SWK_ENOTFOUND, "%s has no audit log",
                         r->files.path);
    }
    for (r->number = r->files.first;
         rc == 0 && r->number != 0 && r->number <= r->files.last;
         r->number = swki_audit_files_next(&r->files, r->number + 1)) {
        rc = read_file(r, err);
    }
    return rc;
}

static void report(struct reading *r)
{
    struct swk_audit_report *out = r->report;

    out->finding = (int32_t)r->check.finding;
    out->seq = r->check.bad_seq;
    snprintf(out->text, sizeof(out->text), "%s", r->check.text);
    out->first_seq = r->check.first_seq;
    if (r->has_checkpoint && r->checkpoint_fault[0] == '\0') {
        out->signature = r->roots.len > 0 ? SWK_AUDIT_SIGNER_VERIFIED
                                          : SWK_AUDIT_SIGNER_UNKNOWN;
    }
    snprintf(out->node_id, sizeof(out->node_id), "%s", r->check.node_id);
    out->last_seq = r->check.last.seq;
    out->last_time = r->check.last_time;
    swki_sha256_hex(r->check.last.hash, out->last_hash);
}

int swk_audit_verify(const struct swk_audit_options *options,
                     struct swk_audit_report *out_report, struct swk_error *err)
{
    struct swk_audit_report found = {.size = sizeof(found)};
    struct reading r = {.report = &found, .verifying = true};
    int rc;

    if (options == NULL || out_report == NULL ||
        out_report->size != sizeof(*out_report)) {
        return swki_fail(err, SWK_EINVAL, "audit: NULL argument");
    }
    rc = read_options(options, &r, err);
    if (rc == 0) {
        rc = swki_audit_files_open(&r.files, &swki_file_io_posix, r.options.dir,
                                   err);
    }
    if (rc != 0) {
        return rc;
    }
    swki_audit_check_init(&r.check);
    swki_buf_init(&r.part, r.options.alloc, SIZE_MAX);
    swki_buf_init(&r.roots, r.options.alloc, SWKI_PEM_LEN_MAX);
    rc = read_roots(&r, err);
    if (rc == 0) {
        add_sizes(&r);
        rc = read_checkpoint(&r, err);
    }
    if (rc == 0) {
        rc = read_files(&r, err);
    }
    if (rc == 0) {
        compare_all(&r);
        report(&r);
        *out_report = found;
    }
    swki_buf_fini(&r.roots);
    swki_buf_fini(&r.part);
    swki_audit_files_close(&r.files);
    return rc;
}

int swk_audit_record_text(const struct swk_audit_record *record,
                          const char *field, char *buf, size_t size)
{
    const struct swki_audit_field *found =
        swki_audit_fields_find(record->fields, field);

    swki_audit_field_text(found, buf, size);
    return found != NULL ? 1 : 0;
}

const char *swk_audit_finding_name(int finding)
{
    return finding >= SWK_AUDIT_INTACT && finding <= SWK_AUDIT_UNSIGNED
               ? swki_audit_finding_name((enum swki_audit_finding)finding)
               : "unknown";
}

static const char *actor_word(size_t index)
{
    static const char *const callers[] = {"local", "anonymous"};
    const size_t callers_count = sizeof(callers) / sizeof(callers[0]);

    if (index < callers_count) {
        return callers[index];
    }
    index -= callers_count;
    return index < SWKI_ACTORS_COUNT ? swki_actor_name((enum swki_actor)index)
                                     : NULL;
}

const char *swk_audit_word(const char *field, size_t index)
{
    static const char *const outcomes[] = {"done",  "refused",   "unknown",
                                           "begun", "committed", NULL};

    if (strcmp(field, "actor") == 0) {
        return actor_word(index);
    }
    if (strcmp(field, "outcome") == 0) {
        return index < sizeof(outcomes) / sizeof(outcomes[0]) ? outcomes[index]
                                                              : NULL;
    }
    if (strcmp(field, "status") == 0) { /* without that of success */
        return index < SWKI_STATUS_UNAUTHENTICATED
                   ? swki_status_name((int)index + 1)
                   : NULL;
    }
    return NULL;
}
