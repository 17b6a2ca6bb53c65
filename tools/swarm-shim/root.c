/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The root directory of a workload with an image directory, in a mount
 * namespace of its own: the kernel removes all of it with the last process.
 *
 * What can be is mounted after the change of root, and by descriptors, so that
 * links in the image cannot lead a mount, or a directory made for it, out of
 * the image, and what a source leads to is looked at once (path.c).
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

enum {
    FD_PATH_SIZE = 32, /* of "/proc/self/fd/NUMBER" */
};

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

/* What to do about a link in a path that may have none. */
static bool fail_link(char *failure, const char *what, const char *path)
{
    char link[SHIM_LINK_SIZE];

    if (!shim_path_find_link(path, link)) {
        return shim_fail(failure, ELOOP, "%s %s", what, path);
    }
    return shim_fail(failure, 0,
                     "%s: %s is a symbolic link, and this node's policy takes "
                     "none in a path: name the real path",
                     what, link);
}

/* Links in a path lead past a policy that speaks of paths. */
static enum shim_links links_in(const struct shim_instructions *in,
                                const char *what)
{
    for (size_t i = 0; i < in->nolinks.count; i++) {
        if (strcmp(in->nolinks.items[i], what) == 0) {
            return SHIM_LINKS_REFUSE;
        }
    }
    return SHIM_LINKS_FOLLOW;
}

/* Whatever the path leads to later, what was opened is what is mounted: "by"
 * receives a name for it. */
static bool open_image(const struct shim_instructions *in,
                       char by[FD_PATH_SIZE], struct stat *out_st,
                       char *failure)
{
    const char *image = shim_text(&in->image, "");
    int fd = shim_path_open(image, links_in(in, SWK_SHIM_NOLINKS_IMAGE));

    if (fd < 0 && errno == ELOOP) {
        return fail_link(failure, "image", image);
    }
    if (fd < 0 || fstat(fd, out_st) != 0) {
        return shim_path_fail(failure, "image", image);
    }
    if (!S_ISDIR(out_st->st_mode)) {
        return shim_fail(failure, ENOTDIR, "image %s", image);
    }
    snprintf(by, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
    return true;
}

/*
 * Puts the image at "root": changes go to "upper", so that the image stays as
 * it is. Where overlays do not work, an image that is not written to will do.
 */
static bool mount_image(const struct shim_instructions *in, char *failure)
{
    const char *image = shim_text(&in->image, "");
    char by[FD_PATH_SIZE];
    char options[FD_PATH_SIZE + 64];
    struct stat st;

    if (!open_image(in, by, &st, failure)) {
        return false;
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
             "lowerdir=%s,upperdir=upper,workdir=work", by);
    if (mount("overlay", "root", "overlay", MS_NODEV, options) == 0) {
        return true;
    }
    if (in->readonly.count == 0) {
        return shim_fail(failure, errno,
                         "overlay over image %s (the state directory's file "
                         "system may not hold one; read_only needs none)",
                         image);
    }
    if (mount(by, "root", NULL, MS_BIND, NULL) != 0 ||
        mount(NULL, "root", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NODEV,
              NULL) != 0) {
        return shim_fail(failure, errno, "mounting image %s", image);
    }
    return true;
}

/* A detached copy of a bind mount's source, to be attached in the new root;
 * -1 on failure. */
static int clone_source(int source_fd, const char *flags)
{
    bool recursive = strchr(flags, SWK_SHIM_BIND_NONRECURSIVE) == NULL;
    unsigned deep = recursive ? AT_RECURSIVE : 0;
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
    int fd =
        open_tree(source_fd, "",
                  AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | deep);

    if (fd >= 0 && strchr(flags, SWK_SHIM_BIND_READONLY) != NULL &&
        mount_setattr(fd, "", AT_EMPTY_PATH | deep, &attributes,
                      sizeof(attributes)) != 0) {
        int error = errno;

        close(fd);
        fd = -1;
        errno = error;
    }
    return fd;
}

/* The same of the source's path. */
static int open_source(const char *source, enum shim_links links,
                       const char *flags, char *failure)
{
    int source_fd = strchr(flags, SWK_SHIM_BIND_CREATE) != NULL
                        ? shim_path_make(source, true, links)
                        : shim_path_open(source, links);
    int fd;

    if (source_fd < 0 && errno == ELOOP && links == SHIM_LINKS_REFUSE) {
        fail_link(failure, "bind mount source", source);
        return -1;
    }
    if (source_fd < 0 && errno == ENOENT) {
        shim_fail(failure, 0,
                  "invalid bind mount source, source path not found: %s",
                  source);
        return -1;
    }
    if (source_fd < 0) {
        shim_path_fail(failure, "bind mount source", source);
        return -1;
    }
    fd = clone_source(source_fd, flags);
    if (fd < 0) {
        shim_fail(failure, errno, "bind mount source %s", source);
    }
    close(source_fd);
    return fd;
}

/* Puts a mount on the target, which is made if it is not there: a directory, or
 * a file for a file. Its links are the image's, or a task's, so they are
 * followed as far as they lead within the root. */
bool shim_mount_attach(int fd, const char *target, char *failure)
{
    struct stat st;
    int on = fstat(fd, &st) == 0 ? shim_path_make(target, S_ISDIR(st.st_mode),
                                                  SHIM_LINKS_INSIDE)
                                 : -1;

    if (on < 0 ||
        move_mount(fd, "", on, "",
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
        return shim_fail(failure, errno, "mount on %s", target);
    }
    close(on);
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

int shim_tmpfs_make(const char *options, unsigned attributes)
{
    int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
    char text[128];
    char *rest = text;
    bool ok =
        fs >= 0 && fsconfig(fs, FSCONFIG_SET_STRING, "source", "tmpfs", 0) == 0;
    int fd = -1;
    int error;

    snprintf(text, sizeof(text), "%s", options);
    while (ok && rest != NULL) {
        char *value = strsep(&rest, ",");
        const char *name = strsep(&value, "=");

        ok = value != NULL &&
             fsconfig(fs, FSCONFIG_SET_STRING, name, value, 0) == 0;
    }
    if (ok && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) {
        fd = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
    }
    error = errno;
    if (fs >= 0) {
        close(fs);
    }
    errno = error;
    return fd;
}

static bool mount_tmpfs(const char *target, const char *options,
                        const char *flags, char *failure)
{
    unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    int fd;

    if (strchr(flags, SWK_SHIM_TMPFS_EXEC) == NULL) {
        attributes |= MOUNT_ATTR_NOEXEC;
    }
    if (strchr(flags, SWK_SHIM_BIND_READONLY) != NULL) {
        attributes |= MOUNT_ATTR_RDONLY;
    }
    fd = shim_tmpfs_make(options, attributes);
    if (fd < 0) {
        return shim_fail(failure, errno, "tmpfs on %s", target);
    }
    return shim_mount_attach(fd, target, failure);
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
        if (!shim_mount_attach(sources[i / 3], in->binds.items[i + 1],
                               failure)) {
            return false;
        }
    }
    if (!shim_secrets_mount(in, failure)) {
        return false;
    }
    if (in->dir.count > 0) {
        /* As images expect it; an error shows when it is entered. */
        int fd =
            shim_path_make(shim_text(&in->dir, "/"), true, SHIM_LINKS_INSIDE);

        if (fd >= 0) {
            close(fd);
        }
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
        sources[i / 3] = open_source(in->binds.items[i],
                                     links_in(in, SWK_SHIM_NOLINKS_BINDS),
                                     in->binds.items[i + 2], failure);
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
