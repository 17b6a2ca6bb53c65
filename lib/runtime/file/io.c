/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/file/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

static int result(int rc)
{
    return rc < 0 ? -errno : rc;
}

static int sync_parent(const char *path)
{
    char *copy = strdup(path);
    size_t len;

    if (copy == NULL) {
        return -ENOMEM;
    }
    len = strlen(copy);
    while (len > 1 && copy[len - 1] == '/') {
        len--;
    }
    while (len > 0 && copy[len - 1] != '/') {
        len--;
    }
    copy[len] = '\0';

    int fd = open(len > 0 ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -errno : result(fsync(fd));
    if (fd >= 0) {
        close(fd);
    }
    free(copy);
    return rc;
}

static int posix_make_dir(void *ctx, const char *path)
{
    (void)ctx;
    if (mkdir(path, 0700) == 0) {
        return sync_parent(path);
    }
    return errno == EEXIST ? 0 : -errno;
}

static int posix_open_dir(void *ctx, const char *path)
{
    (void)ctx;
    return result(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int posix_open(void *ctx, int dir, const char *name)
{
    (void)ctx;
    return result(openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW));
}

static int posix_open_to_read(void *ctx, int dir, const char *name)
{
    (void)ctx;
    return result(openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
}

static int posix_create(void *ctx, int dir, const char *name)
{
    (void)ctx;
    return result(openat(
        dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
}

static void posix_close(void *ctx, int fd)
{
    (void)ctx;
    close(fd);
}

static int64_t posix_size(void *ctx, int fd)
{
    struct stat st;

    (void)ctx;
    return fstat(fd, &st) < 0 ? -errno : (int64_t)st.st_size;
}

static int64_t posix_read(void *ctx, int fd, void *buf, size_t len,
                          uint64_t offset)
{
    ssize_t count = pread(fd, buf, len, (off_t)offset);

    (void)ctx;
    return count < 0 ? -errno : count;
}

static int64_t posix_write(void *ctx, int fd, const void *data, size_t len,
                           uint64_t offset)
{
    ssize_t count = pwrite(fd, data, len, (off_t)offset);

    (void)ctx;
    return count < 0 ? -errno : count;
}

/* Where the file system cannot take space ahead, the file grows as it is
 * written; nothing relies on the space but speed. */
static int posix_preallocate(void *ctx, int fd, uint64_t size)
{
    (void)ctx;
    if (fallocate(fd, 0, 0, (off_t)size) == 0 || errno == EOPNOTSUPP ||
        errno == ENOSYS) {
        return 0;
    }
    return -errno;
}

static int posix_truncate(void *ctx, int fd, uint64_t size)
{
    (void)ctx;
    return result(ftruncate(fd, (off_t)size));
}

static int posix_sync(void *ctx, int fd)
{
    (void)ctx;
    return result(fdatasync(fd));
}

static int posix_sync_dir(void *ctx, int dir)
{
    (void)ctx;
    return result(fsync(dir));
}

static int posix_rename(void *ctx, int dir, const char *from, const char *to)
{
    (void)ctx;
    return result(renameat(dir, from, dir, to));
}

static int posix_remove(void *ctx, int dir, const char *name)
{
    (void)ctx;
    return result(unlinkat(dir, name, 0));
}

static int list_names(DIR *stream,
                      int (*found)(void *found_ctx, const char *name),
                      void *found_ctx)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            return -errno;
        }
        int rc = found(found_ctx, entry->d_name);
        if (rc < 0) {
            return rc;
        }
    }
}

static int posix_list(void *ctx, int dir,
                      int (*found)(void *found_ctx, const char *name),
                      void *found_ctx)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)ctx;
    if (fd < 0) {
        return -errno;
    }
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        int rc = -errno;

        close(fd);
        return rc;
    }
    int rc = list_names(stream, found, found_ctx);
    closedir(stream);
    return rc;
}

/* A lock of the open file, so that it holds within one process too. */
static int posix_lock(void *ctx, int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    (void)ctx;
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
        return errno == EACCES ? -EAGAIN : -errno;
    }
    return 0;
}

/* Never twice the same: seals rely on it. Waits for entropy while the system
 * starts; no other failure is possible for so few bytes. */
static uint64_t posix_salt(void *ctx)
{
    uint64_t salt = 0;

    (void)ctx;
    while (getrandom(&salt, sizeof(salt), 0) != sizeof(salt)) {
        if (errno != EINTR) {
            abort();
        }
    }
    return salt;
}

const struct swki_file_io swki_file_io_posix = {
    .make_dir = posix_make_dir,
    .open_dir = posix_open_dir,
    .open = posix_open,
    .open_to_read = posix_open_to_read,
    .create = posix_create,
    .close = posix_close,
    .size = posix_size,
    .read = posix_read,
    .write = posix_write,
    .preallocate = posix_preallocate,
    .truncate = posix_truncate,
    .sync = posix_sync,
    .sync_dir = posix_sync_dir,
    .rename = posix_rename,
    .remove = posix_remove,
    .list = posix_list,
    .lock = posix_lock,
    .salt = posix_salt,
};

int swki_io_write_all(const struct swki_file_io *io, int fd, const void *data,
                      size_t len, uint64_t offset)
{
    const uint8_t *bytes = data;

    while (len > 0) {
        int64_t count = io->write(io->ctx, fd, bytes, len, offset);

        if (count == -EINTR) {
            continue;
        }
        if (count <= 0) {
            return count < 0 ? (int)count : -EIO;
        }
        bytes += count;
        offset += (uint64_t)count;
        len -= (size_t)count;
    }
    return 0;
}

int64_t swki_io_read_all(const struct swki_file_io *io, int fd, void *buf,
                         size_t len, uint64_t offset)
{
    uint8_t *bytes = buf;
    size_t done = 0;

    while (done < len) {
        int64_t count =
            io->read(io->ctx, fd, bytes + done, len - done, offset + done);

        if (count == -EINTR) {
            continue;
        }
        if (count < 0) {
            return count;
        }
        if (count == 0) {
            break;
        }
        done += (size_t)count;
    }
    return (int64_t)done;
}

int swki_io_fail(struct swk_error *err, int error, const char *what,
                 const char *dir, const char *name)
{
    const char *slash = name[0] != '\0' ? "/" : "";

    switch (-error) {
    case ENOMEM:
        return swki_fail_nomem(err);
    case ENOSPC:
    case EDQUOT:
        return swki_fail(err, SWK_EIO,
                         "no space left on %s (%s %s%s%s): free some, then "
                         "restart",
                         dir, what, dir, slash, name);
    case EACCES:
    case EPERM:
        return swki_fail(err, SWK_EDENIED, "cannot %s %s%s%s: %s", what, dir,
                         slash, name, strerror(-error));
    default:
        return swki_fail(err, SWK_EIO, "cannot %s %s%s%s: %s", what, dir, slash,
                         name, strerror(-error));
    }
}
