/* SPDX-License-Identifier: Apache-2.0 */

/* Getting rid of what a task left: its shim, its processes, its files. */

#include "shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    LOCK_PAUSE_MS = 2,
    LOCK_WAIT_MS = 20000, /* for a shim that kills its workload */
    LOCK_AGAIN_MS = 2000, /* for a shim that was killed itself */
    DEPTH_MAX = 64,       /* directories that are open at once */
};

static bool wait_lock(int lock, unsigned milliseconds)
{
    uint64_t deadline = shim_now() + milliseconds * SWK_MILLISECOND;

    while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (shim_now() >= deadline) {
            return false;
        }
        shim_pause_ms(LOCK_PAUSE_MS);
    }
    return true;
}

/* Has a living shim kill its workload; kills a shim that does not obey. */
static bool end_shim(int lock)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "control"};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    uint64_t deadline = shim_now() + LOCK_AGAIN_MS * SWK_MILLISECOND;
    struct ucred peer = {0};
    socklen_t peer_len = sizeof(peer);
    bool ended;

    /* A shim that has only just been started does not listen yet. */
    while (connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)) !=
               0 &&
           !wait_lock(lock, 0) && shim_now() < deadline) {
        shim_pause_ms(LOCK_PAUSE_MS);
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) != 0) {
        peer.pid = 0;
    }
    if (send(fd, "kill", 4, MSG_NOSIGNAL) < 0) {
        /* It is ending. */
    }
    ended = wait_lock(lock, LOCK_WAIT_MS);
    if (!ended && peer.pid > 1) {
        kill(peer.pid, SIGKILL);
        ended = wait_lock(lock, LOCK_AGAIN_MS);
    }
    close(fd);
    return ended;
}

static bool clean(void)
{
    struct shim_instructions in;
    int lock = open("lock", O_RDWR | O_CLOEXEC);

    if (lock >= 0 && !wait_lock(lock, 0) && !end_shim(lock)) {
        return false;
    }
    /* The lock stays taken until this process ends: no start meanwhile. */
    if (shim_instructions_load(&in, "instructions")) {
        shim_groups_kill(&in);
        shim_groups_delete(&in);
    }
    shim_instructions_free(&in);
    shim_session_kill();
    return true;
}

static bool enter(const char *name)
{
    int fd;

    if (strchr(name, '/') != NULL || name[0] == '.') {
        return false;
    }
    fd = openat(SWK_SHIM_FD_DIR, name,
                O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && fchdir(fd) == 0 && close(fd) == 0;
}

/* What is being deleted, which a workload may have filled with anything. */
struct deletion {
    int top_fd;
    dev_t device;   /* other file systems are left alone */
    unsigned moved; /* directories that were too deep */
    bool again;
};

static void delete_content(struct deletion *d, int fd, int depth);

static void delete_directory(struct deletion *d, int parent_fd,
                             const char *name, int depth)
{
    char moved_name[32];
    struct stat st;
    int fd;

    if (depth > DEPTH_MAX) {
        /* To the top, where the next round finds it: no tree is too deep. */
        snprintf(moved_name, sizeof(moved_name), "deep.%u", d->moved++);
        d->again =
            renameat(parent_fd, name, d->top_fd, moved_name) == 0 || d->again;
        return;
    }
    fd = openat(parent_fd, name,
                O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        /* Not readable: for its owner that is soon mended. */
        fchmodat(parent_fd, name, 0700, 0);
        fd = openat(parent_fd, name,
                    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    }
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == d->device) {
        delete_content(d, fd, depth);
    } else if (fd >= 0) {
        close(fd);
    }
    unlinkat(parent_fd, name, AT_REMOVEDIR);
}

/* Takes over fd. */
static void delete_content(struct deletion *d, int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    const struct dirent *entry;

    if (dir == NULL) {
        close(fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(fd, entry->d_name, 0) != 0 && errno == EISDIR) {
            delete_directory(d, fd, entry->d_name, depth + 1);
        }
    }
    closedir(dir);
}

/* Deletes what is in the current directory. */
static void delete_all(void)
{
    struct deletion d = {.top_fd = open(".", O_RDONLY | O_CLOEXEC)};
    struct stat st;

    if (d.top_fd < 0 || fstat(d.top_fd, &st) != 0) {
        return;
    }
    d.device = st.st_dev;
    do {
        int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        d.again = false;
        if (fd >= 0) {
            delete_content(&d, fd, 0);
        }
    } while (d.again);
    close(d.top_fd);
}

int shim_clean(const char *name)
{
    return enter(name) && clean() ? 0 : 1;
}

int shim_remove(const char *name)
{
    if (!enter(name)) {
        return errno == ENOENT ? 0 : 1;
    }
    if (!clean()) {
        return 1;
    }
    delete_all();
    if (fchdir(SWK_SHIM_FD_DIR) != 0 ||
        unlinkat(SWK_SHIM_FD_DIR, name, AT_REMOVEDIR) != 0) {
        return 1;
    }
    return 0;
}
