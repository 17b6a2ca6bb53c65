/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signer/signer_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "wire/json.h"

enum {
    TEXT_MAX = 4 * 1024 * 1024, /* far more than the lines of a turn */
};

static int fail_file(const struct swki_signer_log *log, const char *verb,
                     const char *path, struct swk_error *err)
{
    int code = errno == EACCES || errno == EPERM || errno == ELOOP ? SWK_EDENIED
                                                                   : SWK_EIO;

    return swki_fail(err, code, "cannot %s %s %s: %s", verb, log->what, path,
                     strerror(errno));
}

/* A line that a crash cut off is ended, so that the next one stands alone. */
static int end_last_line(const struct swki_signer_log *log, off_t len,
                         const char *path, struct swk_error *err)
{
    char last = '\n';

    if (len > 0 && pread(log->fd, &last, 1, len - 1) != 1) {
        return fail_file(log, "read", path, err);
    }
    if (last == '\n') {
        return SWK_OK;
    }
    if (write(log->fd, "\n", 1) != 1) {
        return fail_file(log, "write to", path, err);
    }
    return SWK_OK;
}

static int check_file(struct swki_signer_log *log, const char *path,
                      struct swk_error *err)
{
    struct stat st;

    if (fstat(log->fd, &st) != 0) {
        return fail_file(log, "read", path, err);
    }
    if (!S_ISREG(st.st_mode)) {
        return swki_fail(err, SWK_EINVAL, "%s %s is not a regular file",
                         log->what, path);
    }
    if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return swki_fail(err, SWK_EDENIED, "%s %s can be changed by others",
                         log->what, path);
    }
    return end_last_line(log, st.st_size, path, err);
}

int swki_signer_log_open(struct swki_signer_log *log,
                         const struct swk_alloc *alloc, const char *what,
                         const char *path, struct swk_error *err)
{
    int rc;

    log->what = what;
    swki_buf_init(&log->text, alloc, TEXT_MAX);
    log->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                   S_IRUSR | S_IWUSR);
    if (log->fd < 0) {
        return fail_file(log, "open", path, err);
    }
    rc = check_file(log, path, err);
    if (rc != 0) {
        swki_signer_log_close(log);
    }
    return rc;
}

void swki_signer_log_close(struct swki_signer_log *log)
{
    if (log->fd >= 0) {
        close(log->fd);
    }
    log->fd = -1;
    swki_buf_fini(&log->text);
}

void swki_signer_log_add(struct swki_signer_log *log,
                         const Swkpb__Rpc__SignerRecord *record)
{
    if (swki_message_to_json(&record->base, SWKI_JSON_COMPACT, &log->text,
                             NULL) != 0) {
        log->text.failed = true;
    }
    swki_buf_append_byte(&log->text, '\n');
}

static int write_all(struct swki_signer_log *log)
{
    size_t done = 0;

    while (done < log->text.len) {
        ssize_t n = write(log->fd, log->text.data + done, log->text.len - done);

        if (n < 0 && errno != EINTR) {
            return -1;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return fdatasync(log->fd);
}

int swki_signer_log_sync(struct swki_signer_log *log, struct swk_error *err)
{
    /* Whoever keeps the log may have cut it meanwhile. */
    off_t before = log->text.len > 0 ? lseek(log->fd, 0, SEEK_END) : 0;
    int rc = SWK_OK;

    if (log->text.failed) {
        rc = swki_fail_nomem(err);
    } else if (log->text.len > 0 && write_all(log) != 0) {
        rc = swki_fail(err, SWK_EIO, "cannot write %s: %s", log->what,
                       strerror(errno));
        /* What stands there in part tells of nothing that was given away. */
        if (before < 0 || ftruncate(log->fd, before) != 0) {
            swki_error_prefix(err, "nor cut it back");
        }
    }
    swki_buf_clear(&log->text);
    return rc;
}
