/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The log files. An entry a line, so that a reader can count lines without
 * looking into them; a line longer than SHIM_LOG_LINE_MAX is cut up.
 */

#include "shim.h"

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    LOG_FILES_MAX = 100,
};

static void open_file(struct shim_log *log)
{
    struct stat st;

    log->fd = open("log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log->size = 0;
    if (log->fd >= 0 && fstat(log->fd, &st) == 0) {
        log->size = (uint64_t)st.st_size;
    }
}

/* log.N-2 becomes log.N-1, ..., log becomes log.1; the oldest goes. */
static void rotate(struct shim_log *log)
{
    char from[32];
    char to[32];

    close(log->fd);
    if (log->files == 1) {
        unlink("log");
    }
    for (unsigned i = log->files - 1; i >= 1; i--) {
        snprintf(to, sizeof(to), "log.%u", i);
        snprintf(from, sizeof(from), "log.%u", i - 1);
        rename(i == 1 ? "log" : from, to);
    }
    open_file(log);
}

static void emit(struct shim_log *log, uint8_t stream, uint8_t flags)
{
    struct shim_log_line *line = &log->lines[stream - 1];
    struct timespec now;
    struct swk_task_log_record entry = {
        .data_len = htole32((uint32_t)line->len),
        .stream = stream,
        .flags = flags,
    };
    struct iovec parts[2] = {
        {.iov_base = &entry, .iov_len = sizeof(entry)},
        {.iov_base = line->data, .iov_len = line->len},
    };
    size_t total = sizeof(entry) + line->len;
    ssize_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    entry.time = (swk_wall)htole64((uint64_t)now.tv_sec * SWK_SECOND +
                                   (uint64_t)now.tv_nsec);
    if (log->size > 0 && log->size + total > log->limit) {
        rotate(log);
    }
    n = log->fd >= 0 ? writev(log->fd, parts, 2) : -1;
    if (n == (ssize_t)total) {
        log->size += total;
    } else {
        /* A full disk must not stop the workload. Half an entry would hide
         * all that follows. */
        log->lost += line->len;
        if (n > 0 && ftruncate(log->fd, (off_t)log->size) != 0) {
            rotate(log);
        }
    }
    line->len = 0;
}

void shim_log_open(struct shim_log *log, const struct shim_instructions *in)
{
    long long limit = shim_number(&in->log_size, 10 << 20);
    long long files = shim_number(&in->log_files, 2);

    log->limit = limit > 0 ? (uint64_t)limit : UINT64_MAX;
    log->files = files < 1               ? 1
                 : files > LOG_FILES_MAX ? LOG_FILES_MAX
                                         : (unsigned)files;
    log->lost = 0;
    log->lines[0].len = 0;
    log->lines[1].len = 0;
    open_file(log);
}

void shim_log_append(struct shim_log *log, uint8_t stream, const uint8_t *data,
                     size_t len)
{
    struct shim_log_line *line = &log->lines[stream - 1];

    while (len > 0) {
        size_t room = sizeof(line->data) - line->len;
        size_t n = len < room ? len : room;
        const uint8_t *end = memchr(data, '\n', n);

        if (end != NULL) {
            n = (size_t)(end - data) + 1;
        }
        memcpy(line->data + line->len, data, n);
        line->len += n;
        data += n;
        len -= n;
        if (end != NULL) {
            emit(log, stream, 0);
        } else if (line->len == sizeof(line->data)) {
            emit(log, stream, SWK_LOG_ENTRY_PARTIAL);
        }
    }
}

void shim_log_close(struct shim_log *log)
{
    for (uint8_t stream = 1; stream <= 2; stream++) {
        if (log->lines[stream - 1].len > 0) {
            emit(log, stream, 0);
        }
    }
    if (log->fd >= 0) {
        close(log->fd);
    }
    log->fd = -1;
}
