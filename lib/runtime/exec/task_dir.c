/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/exec/task_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <swarmkit/shim.h>

#include "base/error.h"
#include "runtime/exec/plan.h"
#include "runtime/posix/lock_holder.h"

enum {
    SPAWN_FD_FIRST = 16, /* above those the shim gets */
    SWEEP_PARALLEL = 8,
    LOCK_PAUSE_MS = 5,
    LOCK_WAIT_MS = 500,
    PATH_SIZE = SWK_ID_LEN_MAX + 32,
};

static int open_directory(int parent, const char *name)
{
    int fd;

    if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST) {
        return -1;
    }
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd;
}

/* A killed agent's lock lives on for a moment, in the child that it was just
 * starting. */
static bool lock_directory(int fd)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};

    for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0;
         waited_ms += LOCK_PAUSE_MS) {
        if (waited_ms >= LOCK_WAIT_MS) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

static int fail_in_use(int fd, const char *state_dir, struct swk_error *err)
{
    char holder[SWKI_LOCK_HOLDER_SIZE];

    swki_lock_holder(fd, holder);
    return swki_fail(err, SWK_EBUSY,
                     "%s has the directory %.130s: stop it first, or "
                     "start with another state directory",
                     holder, state_dir);
}

int swki_task_dirs_open(struct swki_task_dirs *out_dirs, const char *state_dir,
                        const char *shim_path, struct swk_error *err)
{
    struct swki_task_dirs dirs = {-1, -1, -1, strdup(shim_path)};
    int rc = SWK_OK;

    dirs.state_fd = open_directory(AT_FDCWD, state_dir);
    if (dirs.shim_path == NULL) {
        rc = swki_fail_nomem(err);
    } else if (access(shim_path, X_OK) != 0) {
        rc = swki_fail(err, SWK_EINVAL, "shim %s: %s", shim_path,
                       strerror(errno));
    } else if (dirs.state_fd < 0) {
        rc = swki_fail(err, SWK_EIO, "state directory %s: %s", state_dir,
                       strerror(errno));
    } else if (!lock_directory(dirs.state_fd)) {
        rc = fail_in_use(dirs.state_fd, state_dir, err);
    }
    if (rc == SWK_OK) {
        dirs.tasks_fd = open_directory(dirs.state_fd, "tasks");
        dirs.removed_fd = open_directory(dirs.state_fd, "removed");
    }
    if (rc == SWK_OK && (dirs.tasks_fd < 0 || dirs.removed_fd < 0)) {
        rc = swki_fail(err, SWK_EIO, "state directory %s: %s", state_dir,
                       strerror(errno));
    }
    if (rc != SWK_OK) {
        swki_task_dirs_close(&dirs);
        return rc;
    }
    *out_dirs = dirs;
    return SWK_OK;
}

void swki_task_dirs_close(struct swki_task_dirs *dirs)
{
    int fds[] = {dirs->state_fd, dirs->tasks_fd, dirs->removed_fd};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    free(dirs->shim_path);
    dirs->shim_path = NULL;
}

static const char *path_of(char path[PATH_SIZE], const char *id,
                           const char *name)
{
    snprintf(path, PATH_SIZE, "%s/%s", id, name);
    return path;
}

static bool exists(const struct swki_task_dirs *dirs, const char *id,
                   const char *name)
{
    char path[PATH_SIZE];
    struct stat st;

    return fstatat(dirs->tasks_fd, path_of(path, id, name), &st,
                   AT_SYMLINK_NOFOLLOW) == 0;
}

bool swki_task_prepared(const struct swki_task_dirs *dirs, const char *id)
{
    return exists(dirs, id, "instructions");
}

bool swki_task_started(const struct swki_task_dirs *dirs, const char *id)
{
    return exists(dirs, id, "started");
}

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

int swki_task_prepare(const struct swki_task_dirs *dirs, const char *id,
                      const struct swki_buf *instructions,
                      struct swk_error *err)
{
    char new_path[PATH_SIZE];
    char path[PATH_SIZE];
    int fd = -1;
    bool ok;

    path_of(new_path, id, "instructions.new");
    path_of(path, id, "instructions");
    if (mkdirat(dirs->tasks_fd, id, 0700) == 0 || errno == EEXIST) {
        fd = openat(dirs->tasks_fd, new_path,
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    }
    ok = fd >= 0 && write_all(fd, instructions->data, instructions->len);
    ok = ok && renameat(dirs->tasks_fd, new_path, dirs->tasks_fd, path) == 0;
    if (fd >= 0) {
        int error = errno;

        close(fd);
        errno = error;
    }
    if (!ok) {
        return swki_fail(err, SWK_EIO, "preparing the task's directory: %s",
                         strerror(errno));
    }
    return SWK_OK;
}

/* Starts the shim with fds[i] as its file descriptor 3 + i. */
static int spawn(const char *shim_path, const char *verb, const char *name,
                 const int *fds, int fds_count, pid_t *out_pid)
{
    char *argv[] = {(char *)"swarm-shim", (char *)verb, (char *)name, NULL};
    char *envp[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t signals;
    int rc;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    for (int fd = 0; fd <= 2; fd++) {
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    }
    for (int i = 0; i < fds_count; i++) {
        posix_spawn_file_actions_adddup2(&actions, fds[i], SWK_SHIM_FD_DIR + i);
    }
    /* The embedder's files are none of the shim's business. */
    posix_spawn_file_actions_addclosefrom_np(&actions,
                                             SWK_SHIM_FD_DIR + fds_count);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attr, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attr, &signals);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    rc = posix_spawn(out_pid, shim_path, &actions, &attr, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return rc;
}

static int fail_spawn(const struct swki_task_dirs *dirs, int error,
                      struct swk_error *err)
{
    bool later = error == EAGAIN || error == ENOMEM || error == EMFILE ||
                 error == ENFILE;

    return swki_fail(err, later ? SWK_EUNAVAILABLE : SWK_EIO,
                     "starting shim %s: %s", dirs->shim_path, strerror(error));
}

/* Moves fd out of the way of those the shim gets; closes the original. */
static int move_up(int fd)
{
    int moved = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, SPAWN_FD_FIRST) : -1;

    if (fd >= 0) {
        close(fd);
    }
    return moved;
}

/* Takes the lock and leaves the mark. */
static int claim(const struct swki_task_dirs *dirs, const char *id,
                 int *out_lock, struct swk_error *err)
{
    char path[PATH_SIZE];
    int lock = move_up(openat(dirs->tasks_fd, path_of(path, id, "lock"),
                              O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    int mark;

    if (lock < 0) {
        return swki_fail(err, SWK_EIO, "task lock: %s", strerror(errno));
    }
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        close(lock);
        return swki_fail(err, SWK_EEXIST, "already started");
    }
    mark = openat(dirs->tasks_fd, path_of(path, id, "started"),
                  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (mark < 0) {
        int error = errno;

        close(lock);
        return swki_fail(err, error == EEXIST ? SWK_EEXIST : SWK_EIO,
                         "task start mark: %s", strerror(error));
    }
    close(mark); /* the shim brings it to the disk */
    *out_lock = lock;
    return SWK_OK;
}

int swki_task_start(const struct swki_task_dirs *dirs, const char *id,
                    int secrets_fd, int *out_socket, pid_t *out_pid,
                    struct swk_error *err)
{
    char path[PATH_SIZE];
    int pair[2] = {-1, -1};
    int fds[4] = {-1, -1, -1, secrets_fd};
    int lock = -1;
    int rc = claim(dirs, id, &lock, err);
    int error;

    if (rc != SWK_OK) {
        return rc;
    }
    error = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0
                ? errno
                : 0;
    if (error == 0) {
        fds[0] = move_up(
            openat(dirs->tasks_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        fds[1] = lock;
        fds[2] = move_up(pair[1]);
        error = fds[0] < 0 || fds[2] < 0
                    ? errno
                    : spawn(dirs->shim_path, "run", NULL, fds,
                            secrets_fd != 0 ? 4 : 3, out_pid);
    }
    if (error != 0) {
        unlinkat(dirs->tasks_fd, path_of(path, id, "started"), 0);
        if (pair[0] >= 0) {
            close(pair[0]);
        }
        rc = fail_spawn(dirs, error, err);
    } else {
        *out_socket = pair[0];
    }
    close(lock);
    for (int i = 0; i <= 2; i += 2) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    return rc;
}

/* The value of "NAME=..." at the start of a line, or NULL. */
static const char *find_value(const char *text, const char *name)
{
    size_t len = strlen(name);

    while (text != NULL && *text != '\0') {
        if (strncmp(text, name, len) == 0 && text[len] == '=') {
            return text + len + 1;
        }
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    return NULL;
}

static bool read_exit(const struct swki_task_dirs *dirs, const char *id,
                      struct swki_task_exit *out_exit)
{
    char path[PATH_SIZE];
    char text[SWK_SHIM_EXIT_MAX];
    struct swki_task_exit result = {0};
    const char *value;
    ssize_t n = -1;
    int fd = openat(dirs->tasks_fd, path_of(path, id, "exit"),
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd >= 0) {
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
    }
    if (n <= 0) {
        return false;
    }
    text[n] = '\0';
    value = find_value(text, "oom");
    result.oom = value != NULL && *value == '1';
    value = find_value(text, "status");
    result.ran = value != NULL;
    if (value != NULL) {
        result.status = (int)(strtol(value, NULL, 10) & 0xff);
        value = find_value(text, "pid");
        result.pid = value != NULL ? strtoll(value, NULL, 10) : 0;
    } else if ((value = find_value(text, "failed")) != NULL) {
        snprintf(result.failed, sizeof(result.failed), "%.*s",
                 (int)strcspn(value, "\n"), value);
    }
    *out_exit = result;
    return true;
}

static int connect_shim(const struct swki_task_dirs *dirs, const char *id)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }
    /* The path by way of the open directory fits, however long the state
     * directory's is. */
    snprintf(address.sun_path, sizeof(address.sun_path),
             "/proc/self/fd/%d/%s/control", dirs->tasks_fd, id);
    if (connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)) !=
        0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool shim_lives(const struct swki_task_dirs *dirs, const char *id)
{
    char path[PATH_SIZE];
    int fd =
        openat(dirs->tasks_fd, path_of(path, id, "lock"), O_RDWR | O_CLOEXEC);
    bool lives = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0;

    if (fd >= 0) {
        close(fd);
    }
    return lives;
}

enum swki_task_state swki_task_attach(const struct swki_task_dirs *dirs,
                                      const char *id, int *out_socket,
                                      struct swki_task_exit *out_exit)
{
    int fd;

    if (read_exit(dirs, id, out_exit)) {
        return SWKI_TASK_ENDED;
    }
    if (!exists(dirs, id, "started")) {
        return SWKI_TASK_NOT_STARTED;
    }
    fd = connect_shim(dirs, id);
    if (fd >= 0) {
        *out_socket = fd;
        return SWKI_TASK_ATTACHED;
    }
    if (shim_lives(dirs, id)) {
        return SWKI_TASK_BUSY;
    }
    /* It may have ended since the first look. */
    return read_exit(dirs, id, out_exit) ? SWKI_TASK_ENDED : SWKI_TASK_LOST;
}

int swki_task_clean(const struct swki_task_dirs *dirs, const char *id,
                    pid_t *out_pid, struct swk_error *err)
{
    int fd = fcntl(dirs->tasks_fd, F_DUPFD_CLOEXEC, SPAWN_FD_FIRST);
    int error =
        fd < 0 ? errno : spawn(dirs->shim_path, "clean", id, &fd, 1, out_pid);

    if (fd >= 0) {
        close(fd);
    }
    return error == 0 ? SWK_OK : fail_spawn(dirs, error, err);
}

static int spawn_remove(const struct swki_task_dirs *dirs, const char *name,
                        pid_t *out_pid)
{
    int fd = fcntl(dirs->removed_fd, F_DUPFD_CLOEXEC, SPAWN_FD_FIRST);
    int error = fd < 0
                    ? errno
                    : spawn(dirs->shim_path, "remove", name, &fd, 1, out_pid);

    if (fd >= 0) {
        close(fd);
    }
    return error;
}

/* Moves a task out of sight, under a name that was never used. */
static bool hide(const struct swki_task_dirs *dirs, const char *id,
                 char out_name[PATH_SIZE])
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(out_name, PATH_SIZE, "%s.%llx", id,
             (unsigned long long)now.tv_sec * SWK_SECOND +
                 (unsigned long long)now.tv_nsec);
    return renameat(dirs->tasks_fd, id, dirs->removed_fd, out_name) == 0;
}

int swki_task_remove(const struct swki_task_dirs *dirs, const char *id,
                     pid_t *out_pid, struct swk_error *err)
{
    char name[PATH_SIZE];
    int error;

    if (!hide(dirs, id, name)) {
        return swki_fail(err, errno == ENOENT ? SWK_ENOTFOUND : SWK_EIO,
                         "removing the task's directory: %s", strerror(errno));
    }
    error = spawn_remove(dirs, name, out_pid);
    if (error != 0) {
        /* Back, so that another try finds it. */
        if (renameat(dirs->removed_fd, name, dirs->tasks_fd, id) != 0) {
            return swki_fail(err, SWK_EIO, "removing the task's directory: %s",
                             strerror(errno));
        }
        return fail_spawn(dirs, error, err);
    }
    return SWK_OK;
}

static void reap_one(pid_t *children, size_t *count)
{
    while (waitpid(children[0], NULL, 0) < 0 && errno == EINTR) {
    }
    memmove(children, children + 1, --*count * sizeof(*children));
}

static DIR *open_listing(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;

    if (dir == NULL && copy >= 0) {
        close(copy);
    }
    return dir;
}

void swki_task_sweep(const struct swki_task_dirs *dirs,
                     bool (*keep)(void *ctx, const char *id), void *ctx)
{
    pid_t children[SWEEP_PARALLEL];
    size_t count = 0;
    char name[PATH_SIZE];
    const struct dirent *entry;
    DIR *dir = open_listing(dirs->tasks_fd);

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (swki_task_id_valid(entry->d_name) && !keep(ctx, entry->d_name)) {
            hide(dirs, entry->d_name, name); /* else it stays for next time */
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    dir = open_listing(dirs->removed_fd);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        if (count == SWEEP_PARALLEL) {
            reap_one(children, &count);
        }
        if (spawn_remove(dirs, entry->d_name, &children[count]) == 0) {
            count++;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    while (count > 0) {
        reap_one(children, &count);
    }
}
