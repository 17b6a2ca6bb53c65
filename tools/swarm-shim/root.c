/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The root directory of a workload with an image directory, in a mount
 * namespace of its own: the kernel removes all of it with the last process.
 *
 * What can be is mounted after the change of root, so that links in the image
 * cannot lead a mount, or a directory made for it, out of the image.
 */

#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

bool shim_directory_make(const char *path, mode_t mode)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    struct stat st;

    if (len >= sizeof(part)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        part[i] = '\0';
        if (mkdir(part, mode) == 0) {
            chmod(part, mode); /* whatever the umask is */
        } else if (errno != EEXIST &&
                   (stat(part, &st) != 0 || !S_ISDIR(st.st_mode))) {
            return false;
        }
        part[i] = path[i];
    }
    return true;
}

/*
 * Puts the image at "root": changes go to "upper", so that the image stays as
 * it is. Where overlays do not work, an image that is not written to will do.
 */
static bool mount_image(const struct shim_instructions *in, char *failure)
{
    const char *image = shim_text(&in->image, "");
    char options[PATH_MAX + 64];
    struct stat st;

    if (stat(image, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return shim_fail(failure, ENOTDIR, "image %s", image);
    }
    if ((mkdir("root", 0755) != 0 && errno != EEXIST) ||
        (mkdir("upper", 0755) != 0 && errno != EEXIST) ||
        (mkdir("work", 0755) != 0 && errno != EEXIST)) {
        return shim_fail(failure, errno, "making the root directory");
    }
    /* The root of an overlay shows the upper directory's owner and mode. */
    if (chown("upper", st.st_uid, st.st_gid) != 0 ||
        chmod("upper", st.st_mode & 07777) != 0) {
        return shim_fail(failure, errno, "making the root directory");
    }
    snprintf(options, sizeof(options),
             "lowerdir=%s,upperdir=upper,workdir=work", image);
    if (mount("overlay", "root", "overlay", MS_NODEV, options) == 0) {
        return true;
    }
    if (in->readonly.count == 0) {
        return shim_fail(failure, errno,
                         "overlay over image %s (the state directory's file "
                         "system may not hold one; read_only needs none)",
                         image);
    }
    if (mount(image, "root", NULL, MS_BIND, NULL) != 0 ||
        mount(NULL, "root", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NODEV,
              NULL) != 0) {
        return shim_fail(failure, errno, "mounting image %s", image);
    }
    return true;
}

/* A detached copy of a bind mount's source, to be attached in the new root;
 * -1 on failure. */
static int open_source(const char *source, const char *flags, char *failure)
{
    bool recursive = strchr(flags, SWK_SHIM_BIND_NONRECURSIVE) == NULL;
    unsigned deep = recursive ? AT_RECURSIVE : 0;
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
    int fd;

    if (strchr(flags, SWK_SHIM_BIND_CREATE) != NULL) {
        shim_directory_make(source, 0755);
    }
    fd =
        open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | deep);
    if (fd < 0 && errno == ENOENT) {
        shim_fail(failure, 0,
                  "invalid bind mount source, source path not found: %s",
                  source);
        return -1;
    }
    if (fd >= 0 && strchr(flags, SWK_SHIM_BIND_READONLY) != NULL &&
        mount_setattr(fd, "", AT_EMPTY_PATH | deep, &attributes,
                      sizeof(attributes)) != 0) {
        int error = errno;

        close(fd);
        fd = -1;
        errno = error;
    }
    if (fd < 0) {
        shim_fail(failure, errno, "bind mount source %s", source);
    }
    return fd;
}

/* Makes what a mount goes on: a directory, or a file for a file. */
static bool make_target(const char *target, bool directory)
{
    char parent[PATH_MAX];
    char *slash;
    int fd;

    if (directory) {
        return shim_directory_make(target, 0755);
    }
    snprintf(parent, sizeof(parent), "%s", target);
    slash = strrchr(parent, '/');
    if (slash != NULL && slash != parent) {
        *slash = '\0';
        shim_directory_make(parent, 0755);
    }
    fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0 && errno != EROFS) {
        return false;
    }
    if (fd >= 0) {
        close(fd);
    }
    return true;
}

static bool attach_bind(int fd, const char *target, char *failure)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || !make_target(target, S_ISDIR(st.st_mode)) ||
        move_mount(fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) != 0) {
        return shim_fail(failure, errno, "bind mount on %s", target);
    }
    close(fd);
    return true;
}

static bool mount_proc(char *failure)
{
    /* Root without capabilities still owns these files. */
    static const char *const readonly[] = {"/proc/sys", "/proc/sysrq-trigger",
                                           "/proc/irq", "/proc/bus"};

    if (!shim_directory_make("/proc", 0555) ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              NULL) != 0) {
        return shim_fail(failure, errno, "mounting /proc");
    }
    for (size_t i = 0; i < sizeof(readonly) / sizeof(readonly[0]); i++) {
        if (mount(readonly[i], readonly[i], NULL, MS_BIND, NULL) != 0) {
            if (errno == ENOENT) {
                continue;
            }
            return shim_fail(failure, errno, "mounting %s", readonly[i]);
        }
        if (mount(NULL, readonly[i], NULL,
                  MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV |
                      MS_NOEXEC,
                  NULL) != 0) {
            return shim_fail(failure, errno, "mounting %s", readonly[i]);
        }
    }
    return true;
}

static bool mount_dev(char *failure)
{
    static const struct {
        const char *path;
        unsigned major;
        unsigned minor;
    } devices[] = {
        {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
        {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
    };
    static const struct {
        const char *path;
        const char *target;
    } links[] = {
        {"/dev/fd", "/proc/self/fd"},
        {"/dev/stdin", "/proc/self/fd/0"},
        {"/dev/stdout", "/proc/self/fd/1"},
        {"/dev/stderr", "/proc/self/fd/2"},
    };

    if (!shim_directory_make("/dev", 0755) ||
        mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC,
              "mode=755,size=64k") != 0) {
        return shim_fail(failure, errno, "mounting /dev");
    }
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        if (mknod(devices[i].path, S_IFCHR | 0666,
                  makedev(devices[i].major, devices[i].minor)) != 0 ||
            chmod(devices[i].path, 0666) != 0) {
            return shim_fail(failure, errno, "making %s", devices[i].path);
        }
    }
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        if (symlink(links[i].target, links[i].path) != 0) {
            return shim_fail(failure, errno, "making %s", links[i].path);
        }
    }
    if (mkdir("/dev/shm", 01777) != 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "mode=1777,size=64m") != 0) {
        return shim_fail(failure, errno, "mounting /dev/shm");
    }
    return true;
}

static bool mount_tmpfs(const char *target, const char *options,
                        const char *flags, char *failure)
{
    unsigned long mode = MS_NOSUID | MS_NODEV;

    if (strchr(flags, SWK_SHIM_TMPFS_EXEC) == NULL) {
        mode |= MS_NOEXEC;
    }
    if (strchr(flags, SWK_SHIM_BIND_READONLY) != NULL) {
        mode |= MS_RDONLY;
    }
    if (!shim_directory_make(target, 0755) ||
        mount("tmpfs", target, "tmpfs", mode, options) != 0) {
        return shim_fail(failure, errno, "tmpfs on %s", target);
    }
    return true;
}

static bool change_root(char *failure)
{
    if (chdir("root") != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
        umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) {
        return shim_fail(failure, errno, "changing the root directory");
    }
    return true;
}

static bool mount_all(const struct shim_instructions *in, const int *sources,
                      char *failure)
{
    if (!mount_proc(failure) || !mount_dev(failure) ||
        !mount_tmpfs("/tmp", "mode=1777", "x", failure)) {
        return false;
    }
    for (size_t i = 0; i + 2 < in->tmpfs.count; i += 3) {
        if (!mount_tmpfs(in->tmpfs.items[i], in->tmpfs.items[i + 1],
                         in->tmpfs.items[i + 2], failure)) {
            return false;
        }
    }
    for (size_t i = 0; i + 2 < in->binds.count; i += 3) {
        if (!attach_bind(sources[i / 3], in->binds.items[i + 1], failure)) {
            return false;
        }
    }
    if (in->dir.count > 0) {
        /* As images expect it; an error shows when it is entered. */
        shim_directory_make(shim_text(&in->dir, "/"), 0755);
    }
    if (in->readonly.count > 0 &&
        mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NODEV,
              NULL) != 0) {
        return shim_fail(failure, errno, "making the root read-only");
    }
    return true;
}

bool shim_root_enter(const struct shim_instructions *in, char *failure)
{
    int *sources = calloc(in->binds.count / 3 + 1, sizeof(*sources));

    if (sources == NULL) {
        return shim_fail(failure, ENOMEM, "mounts");
    }
    if (unshare(CLONE_NEWNS | CLONE_NEWIPC) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return shim_fail(failure, errno, "making a mount namespace");
    }
    if (!mount_image(in, failure)) {
        return false;
    }
    for (size_t i = 0; i + 2 < in->binds.count; i += 3) {
        sources[i / 3] =
            open_source(in->binds.items[i], in->binds.items[i + 2], failure);
        if (sources[i / 3] < 0) {
            return false;
        }
    }
    /* No release on failure: the process ends. */
    if (!change_root(failure) || !mount_all(in, sources, failure)) {
        return false;
    }
    free(sources);
    return true;
}
