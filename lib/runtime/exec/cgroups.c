/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/exec/cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINE_SIZE = 4096,
    FIELDS_MAX = 32,
};

static const char *const names[SWKI_CGROUP_CONTROLLERS] = {
    [SWKI_CGROUP_MEMORY] = "memory",
    [SWKI_CGROUP_CPU] = "cpu",
    [SWKI_CGROUP_PIDS] = "pids",
    [SWKI_CGROUP_FREEZER] = "freezer",
};

const char *swki_cgroup_controller_name(enum swki_cgroup_controller controller)
{
    return names[controller];
}

/* Whether the word is in the list. */
static bool has_word(const char *list, const char *word, const char *separators)
{
    size_t len = strlen(word);

    while (*list != '\0') {
        size_t n = strcspn(list, separators);

        if (n == len && memcmp(list, word, len) == 0) {
            return true;
        }
        list += n;
        list += strspn(list, separators);
    }
    return false;
}

/* Copies a path whose blanks and such are written as \040; false if it does
 * not fit. */
static bool copy_path(char out[SWKI_CGROUP_PATH_SIZE], const char *text)
{
    size_t len = 0;

    while (*text != '\0') {
        unsigned value = 0;

        if (len + 1 >= SWKI_CGROUP_PATH_SIZE) {
            return false;
        }
        if (text[0] == '\\' && strlen(text) >= 4 &&
            sscanf(text + 1, "%3o", &value) == 1) {
            out[len++] = (char)value;
            text += 4;
        } else {
            out[len++] = *text++;
        }
    }
    out[len] = '\0';
    return true;
}

/* "ID PARENT DEV ROOT MOUNT_POINT OPTIONS [TAG...] - TYPE SOURCE SUPER" */
static void parse_line(struct swki_cgroups *cgroups, char *line)
{
    char *fields[FIELDS_MAX];
    size_t count = 0;
    size_t dash = 6;
    char path[SWKI_CGROUP_PATH_SIZE];

    while (line != NULL && count < FIELDS_MAX) {
        fields[count++] = strsep(&line, " ");
    }
    while (dash < count && strcmp(fields[dash], "-") != 0) {
        dash++;
    }
    if (dash + 3 >= count || !copy_path(path, fields[4])) {
        return;
    }
    if (strcmp(fields[dash + 1], "cgroup2") == 0) {
        memcpy(cgroups->unified, path, sizeof(path));
        return;
    }
    if (strcmp(fields[dash + 1], "cgroup") != 0) {
        return;
    }
    for (int i = 0; i < SWKI_CGROUP_CONTROLLERS; i++) {
        if (has_word(fields[dash + 3], names[i], ",")) {
            memcpy(cgroups->v1[i], path, sizeof(path));
        }
    }
}

void swki_cgroups_parse(struct swki_cgroups *out_cgroups, const char *text)
{
    char line[LINE_SIZE];

    memset(out_cgroups, 0, sizeof(*out_cgroups));
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");

        if (len < sizeof(line)) { /* cgroup mounts have short lines */
            memcpy(line, text, len);
            line[len] = '\0';
            parse_line(out_cgroups, line);
        }
        text += len;
        text += *text == '\n' ? 1 : 0;
    }
}

static bool write_file(const char *dir, const char *name, const char *text)
{
    char path[SWKI_CGROUP_PATH_SIZE + 64];
    ssize_t n = -1;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = write(fd, text, strlen(text));
        close(fd);
    }
    return n == (ssize_t)strlen(text);
}

static bool read_file(const char *dir, const char *name, char *out_text,
                      size_t size)
{
    char path[SWKI_CGROUP_PATH_SIZE + 64];
    ssize_t n = -1;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, out_text, size - 1);
        close(fd);
    }
    out_text[n > 0 ? n : 0] = '\0';
    return n >= 0;
}

/* Makes path/parent and puts it in place of path, or "" if it cannot be. */
static void make_group(char path[SWKI_CGROUP_PATH_SIZE], const char *parent)
{
    size_t len = strlen(path);
    int n;

    if (len == 0) {
        return;
    }
    n = snprintf(path + len, SWKI_CGROUP_PATH_SIZE - len, "/%s", parent);
    if (n < 0 || (size_t)n >= SWKI_CGROUP_PATH_SIZE - len) {
        path[0] = '\0';
        return;
    }
    for (size_t i = len + 1; path[i - 1] != '\0'; i++) {
        if (path[i] == '/' || path[i] == '\0') {
            char end = path[i];

            path[i] = '\0';
            if (mkdir(path, 0755) != 0 && errno != EEXIST) {
                path[0] = '\0';
                return;
            }
            path[i] = end;
        }
    }
    if (access(path, W_OK) != 0) {
        path[0] = '\0';
    }
}

/* Hands the controllers down, group by group, from the mount point at
 * path[0..mount_len). */
static void enable_controllers(struct swki_cgroups *cgroups, size_t mount_len)
{
    char path[SWKI_CGROUP_PATH_SIZE];
    char enabled[256] = "";

    memcpy(path, cgroups->unified, sizeof(path));
    for (size_t i = mount_len; path[0] != '\0'; i++) {
        char end = cgroups->unified[i];

        if (end != '/' && end != '\0') {
            continue;
        }
        path[i] = '\0';
        /* One by one, as one that is not there refuses the whole line. */
        for (int c = 0; c < SWKI_CGROUP_FREEZER; c++) {
            char word[32];

            snprintf(word, sizeof(word), "+%s", names[c]);
            if (!write_file(path, "cgroup.subtree_control", word)) {
                continue; /* what is missing shows below */
            }
        }
        if (end == '\0') {
            break;
        }
        path[i] = end;
    }
    read_file(cgroups->unified, "cgroup.subtree_control", enabled,
              sizeof(enabled));
    for (int c = 0; c < SWKI_CGROUP_FREEZER; c++) {
        cgroups->in_unified[c] = has_word(enabled, names[c], " \n");
    }
}

void swki_cgroups_claim(struct swki_cgroups *cgroups, const char *parent)
{
    size_t mount_len = strlen(cgroups->unified);

    make_group(cgroups->unified, parent);
    for (int i = 0; i < SWKI_CGROUP_CONTROLLERS; i++) {
        make_group(cgroups->v1[i], parent);
    }
    if (cgroups->unified[0] != '\0') {
        enable_controllers(cgroups, mount_len);
    }
}

static void remove_group(const char *path)
{
    if (path[0] != '\0') {
        rmdir(path); /* refused while tasks are in it */
    }
}

void swki_cgroups_release(const struct swki_cgroups *cgroups)
{
    remove_group(cgroups->unified);
    for (int i = 0; i < SWKI_CGROUP_CONTROLLERS; i++) {
        remove_group(cgroups->v1[i]);
    }
}

bool swki_cgroups_limits(const struct swki_cgroups *cgroups,
                         enum swki_cgroup_controller controller)
{
    return cgroups->in_unified[controller] ||
           cgroups->v1[controller][0] != '\0';
}

const char *swki_cgroups_version(const struct swki_cgroups *cgroups)
{
    bool v1 = false;

    for (int i = 0; i < SWKI_CGROUP_CONTROLLERS; i++) {
        v1 = v1 || cgroups->v1[i][0] != '\0';
    }
    if (cgroups->unified[0] != '\0') {
        return v1 ? "hybrid" : "v2";
    }
    return v1 ? "v1" : "none";
}
