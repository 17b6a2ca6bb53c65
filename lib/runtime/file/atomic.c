/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/file/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "runtime/file/io.h"

/* The whole content, the mode, and both on the disk; 0 or a negative errno. */
static int write_file(int fd, const void *data, size_t len, mode_t mode)
{
    if (fchmod(fd, mode) < 0) {
        return -errno;
    }
    int rc = swki_io_write_all(&swki_file_io_posix, fd, data, len, 0);
    if (rc < 0) {
        return rc;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* A file that a crash left behind may have another mode: it must go first, so
 * that a secret is never written to a file that others can read. */
static int make_file(int dir, const char *name, const void *data, size_t len,
                     mode_t mode)
{
    if (unlinkat(dir, name, 0) < 0 && errno != ENOENT) {
        return -errno;
    }
    int fd =
        openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
               mode & 0600);
    if (fd < 0) {
        return -errno;
    }
    int rc = write_file(fd, data, len, mode);
    if (close(fd) < 0 && rc == 0) {
        rc = -errno;
    }
    return rc;
}

int swki_file_replace(const char *dir_path, const char *name, const void *data,
                      size_t len, mode_t mode, struct swk_error *err)
{
    char temporary[NAME_MAX + 1];
    int text_len = snprintf(temporary, sizeof(temporary), ".%s.tmp", name);

    if (name[0] == '\0' || strchr(name, '/') != NULL ||
        text_len >= (int)sizeof(temporary)) {
        return swki_fail(err, SWK_EINVAL, "invalid file name");
    }
    int dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return swki_io_fail(err, -errno, "open", dir_path, "");
    }
    int rc = make_file(dir, temporary, data, len, mode);
    if (rc == 0 && renameat(dir, temporary, dir, name) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        unlinkat(dir, temporary, 0);
    } else if (fsync(dir) < 0) {
        rc = -errno;
    }
    close(dir);
    return rc < 0 ? swki_io_fail(err, rc, "write", dir_path, name) : SWK_OK;
}

/* As large as it is now; a file that grows meanwhile is not ours to follow. */
static int read_open_file(int fd, const char *path, size_t limit,
                          struct swki_buf *buf, struct swk_error *err)
{
    struct stat st;
    size_t room;

    if (fstat(fd, &st) < 0) {
        return swki_io_fail(err, -errno, "read", path, "");
    }
    if (!S_ISREG(st.st_mode)) {
        return swki_fail(err, SWK_EINVAL, "%s is no regular file", path);
    }
    if ((uint64_t)st.st_size > limit) {
        return swki_fail(err, SWK_ELIMIT, "%s is larger than %zu bytes", path,
                         limit);
    }
    room = (size_t)st.st_size;
    uint8_t *data = swki_buf_reserve(buf, room);
    if (data == NULL) {
        return swki_fail_nomem(err);
    }
    int64_t count = swki_io_read_all(&swki_file_io_posix, fd, data, room, 0);
    if (count < 0) {
        return swki_io_fail(err, (int)count, "read", path, "");
    }
    buf->len += (size_t)count;
    return SWK_OK;
}

int swki_file_read(const char *path, size_t limit, struct swki_buf *buf,
                   struct swk_error *err)
{
    /* O_NONBLOCK, lest a pipe in the file's place hang us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        return swki_fail(err, SWK_ENOTFOUND, "%s does not exist", path);
    }
    if (fd < 0) {
        return swki_io_fail(err, -errno, "open", path, "");
    }
    int rc = read_open_file(fd, path, limit, buf, err);
    close(fd);
    return rc;
}
