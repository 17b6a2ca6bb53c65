/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Holding a workload's processes together, and getting rid of all of them.
 *
 * With cgroups nothing gets away. Without, the shim is a subreaper: whatever
 * loses its parent becomes its child, so killing children until there are none
 * ends everything. When the shim itself was killed and there are no cgroups,
 * the session is what is left to go by.
 */

#include "shim.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    KILL_ROUNDS_MAX = 200, /* over a group that keeps forking */
    DELETE_ROUNDS_MAX = 50,
};

/* Reads a small file into text; false if there is none. */
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0) {
        return false;
    }
    n = read(fd, text, size - 1);
    close(fd);
    if (n < 0) {
        return false;
    }
    text[n] = '\0';
    return true;
}

bool shim_groups_create(const struct shim_instructions *in, char *failure)
{
    for (size_t i = 0; i < in->cgroups.count; i++) {
        const char *path = in->cgroups.items[i];

        if (!shim_directory_make(path, 0755)) {
            return shim_fail(failure, errno, "making cgroup %s", path);
        }
    }
    for (size_t i = 0; i + 1 < in->limits.count; i += 2) {
        const char *path = in->limits.items[i];

        if (!shim_put(path, in->limits.items[i + 1])) {
            return shim_fail(failure, errno, "writing %s to %s",
                             in->limits.items[i + 1], path);
        }
    }
    return true;
}

bool shim_groups_join(const struct shim_instructions *in, char *failure)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < in->cgroups.count; i++) {
        snprintf(path, sizeof(path), "%s/cgroup.procs", in->cgroups.items[i]);
        if (!shim_put(path, "0")) { /* 0 is the writer */
            return shim_fail(failure, errno, "joining cgroup %s",
                             in->cgroups.items[i]);
        }
    }
    return true;
}

/* Kills all members once; false if there were none. */
static bool kill_members(const char *group)
{
    char path[PATH_MAX];
    FILE *file;
    int pid;
    bool any = false;

    snprintf(path, sizeof(path), "%s/cgroup.procs", group);
    file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    while (fscanf(file, "%d", &pid) == 1) {
        if (pid > 1) {
            kill(pid, SIGKILL);
            any = true;
        }
    }
    fclose(file);
    return any;
}

void shim_groups_kill(const struct shim_instructions *in)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < in->cgroups.count; i++) {
        const char *group = in->cgroups.items[i];

        snprintf(path, sizeof(path), "%s/cgroup.kill", group);
        if (shim_put(path, "1")) {
            continue;
        }
        /* No cgroup.kill before Linux 5.14 and in version 1: frozen members
         * cannot fork while they are being killed. */
        snprintf(path, sizeof(path), "%s/freezer.state", group);
        shim_put(path, "FROZEN");
        kill_members(group);
        shim_put(path, "THAWED");
    }
}

void shim_groups_delete(const struct shim_instructions *in)
{
    for (size_t i = in->cgroups.count; i-- > 0;) {
        const char *group = in->cgroups.items[i];

        for (int round = 0;
             rmdir(group) != 0 && errno == EBUSY && round < DELETE_ROUNDS_MAX;
             round++) {
            kill_members(group);
            shim_pause_ms(round < 10 ? 1 : 20);
        }
    }
}

bool shim_groups_oom(const struct shim_instructions *in)
{
    char text[1024];

    for (size_t i = 0; i < in->oom.count; i++) {
        const char *line;

        if (!read_text(in->oom.items[i], text, sizeof(text))) {
            continue;
        }
        line = strstr(text, "oom_kill ");
        if (line != NULL && strtol(line + strlen("oom_kill "), NULL, 10) > 0) {
            return true;
        }
    }
    return false;
}

/* Fields of /proc/PID/stat; false if the process is gone. */
static bool read_stat(int pid, int *out_parent, int *out_session,
                      unsigned long long *out_start)
{
    char path[64];
    char text[1024];
    const char *after;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (!read_text(path, text, sizeof(text))) {
        return false;
    }
    after = strrchr(text, ')'); /* the name before it may hold anything */
    return after != NULL &&
           sscanf(after + 1,
                  " %*c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
                  "%*d %*d %*d %*d %llu",
                  out_parent, out_session, out_start) == 3;
}

/* Kills each process with this parent, or in this session; 0 for none. */
static bool kill_matching(int parent, int session)
{
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    bool any = false;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        unsigned long long start;
        int pid = atoi(entry->d_name);
        int its_parent;
        int its_session;

        if (!isdigit((unsigned char)entry->d_name[0]) || pid <= 1 ||
            !read_stat(pid, &its_parent, &its_session, &start)) {
            continue;
        }
        if ((parent != 0 && its_parent == parent) ||
            (session != 0 && its_session == session)) {
            any = kill(pid, SIGKILL) == 0 || any;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return any;
}

void shim_children_kill(void)
{
    char path[64];
    FILE *file;
    int pid;

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    file = fopen(path, "re");
    if (file == NULL) { /* a kernel without the file */
        kill_matching(getpid(), 0);
        return;
    }
    while (fscanf(file, "%d", &pid) == 1) {
        kill(pid, SIGKILL);
    }
    fclose(file);
}

void shim_session_write(pid_t pid)
{
    unsigned long long start;
    char text[64];
    int parent;
    int session;
    int fd;

    if (!read_stat(pid, &parent, &session, &start)) {
        return;
    }
    fd = open("session", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        snprintf(text, sizeof(text), "%d %llu\n", pid, start);
        shim_write(fd, text, strlen(text));
        close(fd);
    }
}

void shim_session_kill(void)
{
    unsigned long long noted_start;
    unsigned long long start;
    char text[64];
    int parent;
    int session;
    int pid;

    if (!read_text("session", text, sizeof(text)) ||
        sscanf(text, "%d %llu", &pid, &noted_start) != 2 || pid <= 1) {
        return;
    }
    /* While members live the kernel does not reuse the session's number; if
     * its leader is another process now, then no member was left. */
    if (read_stat(pid, &parent, &session, &start) && start != noted_start) {
        return;
    }
    for (int round = 0; round < KILL_ROUNDS_MAX && kill_matching(0, pid);
         round++) {
        shim_pause_ms(1);
    }
}
