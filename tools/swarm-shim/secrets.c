/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The files of secrets: on a tmpfs of the task's own, which is gone with its
 * mount namespace. It is filled before it appears anywhere, and read-only then.
 */

#include "shim.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    VALUES_OF_KEY = 4, /* name, UID, GID, mode */
    PAGE = 4096,
    CHUNK = 16384,
};

static bool read_all(void *data, size_t len)
{
    char *next = data;

    while (len > 0) {
        ssize_t n = read(SWK_SHIM_FD_SECRETS, next, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENODATA : errno;
            return false;
        }
        next += n;
        len -= (size_t)n;
    }
    return true;
}

static bool copy(int to, uint64_t len)
{
    char chunk[CHUNK];
    bool ok = true;
    int error;

    while (ok && len > 0) {
        size_t part = len < sizeof(chunk) ? (size_t)len : sizeof(chunk);

        ok = read_all(chunk, part) && shim_write(to, chunk, part);
        len -= part;
    }
    error = errno;
    explicit_bzero(chunk, sizeof(chunk));
    errno = error;
    return ok;
}

static bool write_file(int dir, char *const values[VALUES_OF_KEY])
{
    uid_t uid = (uid_t)strtoul(values[1], NULL, 10);
    gid_t gid = (gid_t)strtoul(values[2], NULL, 10);
    mode_t mode = (mode_t)strtoul(values[3], NULL, 8);
    uint64_t len;
    int fd;
    bool ok;
    int error;

    if (!read_all(&len, sizeof(len))) {
        return false;
    }
    fd = openat(dir, values[0],
                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    ok = copy(fd, le64toh(len)) && fchown(fd, uid, gid) == 0 &&
         fchmod(fd, mode) == 0;
    error = errno;
    close(fd);
    errno = error;
    return ok;
}

bool shim_secrets_mount(const struct shim_instructions *in, char *failure)
{
    const size_t count = in->secrets.count / VALUES_OF_KEY;
    struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
    char options[64];
    struct stat st;
    int fd;

    if (count == 0) {
        return true;
    }
    if (fstat(SWK_SHIM_FD_SECRETS, &st) != 0) {
        return shim_fail(failure, errno, "secrets");
    }
    snprintf(options, sizeof(options), "mode=755,size=%llu",
             (unsigned long long)st.st_size + (2 * count + 2) * PAGE);
    fd = shim_tmpfs_make(options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                      MOUNT_ATTR_NOEXEC);
    if (fd < 0) {
        return shim_fail(failure, errno, "tmpfs for secrets");
    }
    for (size_t i = 0; i < count; i++) {
        char *const *values = in->secrets.items + i * VALUES_OF_KEY;

        if (!write_file(fd, values)) {
            return shim_fail(failure, errno, "secret %s", values[0]);
        }
    }
    if (mount_setattr(fd, "", AT_EMPTY_PATH, &readonly, sizeof(readonly)) !=
        0) {
        return shim_fail(failure, errno, "secrets");
    }
    close(SWK_SHIM_FD_SECRETS);
    return shim_mount_attach(fd, SWK_SHIM_SECRETS_DIR, failure);
}
