/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/posix/lock_holder.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum {
    LINE_SIZE = 256,
    NAME_SIZE = 17, /* of a process, with the line end; the kernel's */
};

/* A line of /proc/locks, which is of this file's lock. */
static bool is_of(const char *line, const struct stat *st, int *out_pid)
{
    unsigned long long inode;
    unsigned major;
    unsigned minor;

    /* "1: FLOCK  ADVISORY  WRITE 17 fe:01:4711 0 EOF"; those that wait have an
     * arrow in front. */
    return sscanf(line, "%*u: FLOCK %*s %*s %d %x:%x:%llu", out_pid, &major,
                  &minor, &inode) == 4 &&
           inode == st->st_ino && makedev(major, minor) == st->st_dev;
}

static bool find_holder(int fd, int *out_pid)
{
    char line[LINE_SIZE];
    struct stat st;
    FILE *locks;
    bool found = false;

    if (fstat(fd, &st) != 0) {
        return false;
    }
    locks = fopen("/proc/locks", "re");
    while (locks != NULL && !found &&
           fgets(line, sizeof(line), locks) != NULL) {
        found = is_of(line, &st, out_pid);
    }
    if (locks != NULL) {
        fclose(locks);
    }
    return found && *out_pid > 0; /* not one of another namespace */
}

static void read_name(int pid, char out_name[NAME_SIZE])
{
    char path[32];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    file = fopen(path, "re");
    if (file == NULL || fgets(out_name, NAME_SIZE, file) == NULL) {
        out_name[0] = '\0';
    }
    if (file != NULL) {
        fclose(file);
    }
    out_name[strcspn(out_name, "\n")] = '\0';
}

void swki_lock_holder(int fd, char out_name[SWKI_LOCK_HOLDER_SIZE])
{
    char name[NAME_SIZE];
    int pid;

    if (!find_holder(fd, &pid)) {
        snprintf(out_name, SWKI_LOCK_HOLDER_SIZE, "another process");
        return;
    }
    read_name(pid, name);
    snprintf(out_name, SWKI_LOCK_HOLDER_SIZE, "process %d%s%s%s", pid,
             name[0] != '\0' ? " (" : "", name, name[0] != '\0' ? ")" : "");
}
