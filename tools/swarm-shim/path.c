/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Paths that others chose: opened once, by rules about the links in them, and
 * from then on used by what was opened. So nobody can change, between a look
 * and a use, what a path leads to.
 */

#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    /* A walk inside a root is given up by the kernel when something is renamed
     * meanwhile. */
    OPEN_TRIES_MAX = 64,
};

static int open_by(const char *path, uint64_t flags, enum shim_links links)
{
    static const uint64_t resolve[] = {
        [SHIM_LINKS_FOLLOW] = 0,
        [SHIM_LINKS_REFUSE] = RESOLVE_NO_SYMLINKS,
        /* Nor through those of /proc, which lead anywhere. */
        [SHIM_LINKS_INSIDE] = RESOLVE_IN_ROOT,
    };
    struct open_how how = {.flags = flags | O_CLOEXEC,
                           .resolve = resolve[links]};
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int error;
    int fd = -1;

    if (root < 0) {
        return -1;
    }
    for (int i = 0; i < OPEN_TRIES_MAX; i++) {
        fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
        if (fd >= 0 || errno != EAGAIN) {
            break;
        }
    }
    error = errno;
    close(root);
    errno = error;
    return fd;
}

int shim_path_open(const char *path, enum shim_links links)
{
    return open_by(path, O_PATH, links);
}

int shim_path_read(const char *path, enum shim_links links)
{
    return open_by(path, O_RDONLY | O_NOCTTY | O_NONBLOCK, links);
}

/* By kernels before 5.6, and by seccomp filters that do not know the call, as
 * containers have them. */
static bool openat2_is_refused(void)
{
    int fd = shim_path_open("/", SHIM_LINKS_FOLLOW);

    if (fd >= 0) {
        close(fd);
    }
    return fd < 0;
}

bool shim_path_fail(char failure[SHIM_FAILURE_SIZE], const char *what,
                    const char *path)
{
    int error = errno;

    if (openat2_is_refused()) {
        return shim_fail(failure, error,
                         "%s %.50s: this node needs openat2(): Linux 5.6 or "
                         "newer, and no seccomp filter around it that refuses "
                         "the call",
                         what, path);
    }
    return shim_fail(failure, error, "%s %s", what, path);
}

/* Makes what is missing under its parent, for everyone to read. */
static bool make_part(int parent, const char *name, bool directory)
{
    mode_t before = umask(022);
    int error;
    int rc;

    if (directory) {
        rc = mkdirat(parent, name, 0755);
    } else {
        int fd =
            openat(parent, name,
                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

        rc = fd < 0 ? -1 : close(fd);
    }
    error = errno;
    umask(before);
    errno = error;
    return rc == 0 || error == EEXIST;
}

int shim_path_make(const char *path, bool directory, enum shim_links links)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    int parent;

    if (len >= sizeof(part)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(part, path, len + 1);
    parent = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t start = 0, end; parent >= 0 && start < len; start = end + 1) {
        int error;
        int fd;

        end = start + strcspn(path + start, "/");
        if (end == start) {
            continue;
        }
        part[end] = '\0';
        fd = shim_path_open(part, links);
        if (fd < 0 && errno == ENOENT &&
            make_part(parent, part + start, directory || end < len)) {
            fd = shim_path_open(part, links);
        }
        error = errno;
        close(parent);
        errno = error;
        parent = fd;
        part[end] = path[end];
    }
    return parent;
}

bool shim_path_find_link(const char *path, char link[SHIM_LINK_SIZE])
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    struct stat st;

    for (size_t end = 1; end <= len && len < sizeof(part); end++) {
        if (path[end] != '/' && path[end] != '\0') {
            continue;
        }
        memcpy(part, path, end);
        part[end] = '\0';
        if (lstat(part, &st) == 0 && S_ISLNK(st.st_mode)) {
            snprintf(link, SHIM_LINK_SIZE, "%s", part);
            return true;
        }
    }
    return false;
}
