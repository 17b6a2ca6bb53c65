/* SPDX-License-Identifier: Apache-2.0 */

#include "node/agent/task_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "runtime/file/atomic.h"

enum {
    PATH_SIZE = 4096,
    TASK_SIZE_MAX = 4 << 20, /* bytes of a stored task */
};

static int fail_path(struct swk_error *err, const char *path)
{
    return swki_fail(err, SWK_EIO, "%s: %s", path, strerror(errno));
}

int swki_task_files_create(const char *state_dir, struct swk_error *err)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof(path), "%s/worker", state_dir);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return fail_path(err, path);
    }
    snprintf(path, sizeof(path), "%s/worker/tasks", state_dir);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return fail_path(err, path);
    }
    return SWK_OK;
}

/* IDs become names of files: nothing else may pass. */
static bool id_is_plain(const char *id)
{
    size_t len = strspn(id, "abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

    return len > 0 && id[len] == '\0' && len <= SWK_ID_LEN_MAX;
}

static bool task_path(char *buf, const char *state_dir, const char *task_id,
                      const char *suffix)
{
    return id_is_plain(task_id) &&
           snprintf(buf, PATH_SIZE, "%s/worker/tasks/%s%s", state_dir, task_id,
                    suffix) < PATH_SIZE;
}

static int write_all(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = write(fd, at, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int swki_task_files_put(const char *state_dir, const char *task_id,
                        const void *data, size_t len, struct swk_error *err)
{
    char path[PATH_SIZE];
    char temporary[PATH_SIZE];
    int rc = SWK_OK;
    int fd;

    if (!task_path(path, state_dir, task_id, "") ||
        !task_path(temporary, state_dir, task_id, ".new")) {
        return swki_fail(err, SWK_EINVAL, "task ID is no name for a file");
    }
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail_path(err, temporary);
    }
    if (write_all(fd, data, len) != 0) {
        rc = fail_path(err, temporary);
    }
    close(fd);
    if (rc == 0 && rename(temporary, path) != 0) {
        rc = fail_path(err, path);
    }
    if (rc != 0) {
        unlink(temporary);
    }
    return rc;
}

void swki_task_files_remove(const char *state_dir, const char *task_id)
{
    char path[PATH_SIZE];

    if (task_path(path, state_dir, task_id, "")) {
        unlink(path);
    }
}

static int load_file(const char *path, const struct swk_alloc *alloc,
                     int (*found)(void *ctx, const void *data, size_t len),
                     void *ctx)
{
    struct swki_buf buf;
    int rc;

    swki_buf_init(&buf, alloc, TASK_SIZE_MAX);
    rc = swki_file_read(path, TASK_SIZE_MAX, &buf, NULL);
    if (rc == 0) {
        rc = found(ctx, buf.data, buf.len);
    }
    swki_buf_fini(&buf);
    return rc;
}

/* One file of the directory: read, or removed if it is no good. What merely
 * found no memory stays. */
static int take_file(const char *state_dir, const char *name,
                     const struct swk_alloc *alloc,
                     int (*found)(void *ctx, const void *data, size_t len),
                     void *ctx)
{
    char path[PATH_SIZE];
    int rc = SWK_EMALFORMED;

    snprintf(path, sizeof(path), "%s/worker/tasks/%s", state_dir, name);
    if (id_is_plain(name)) {
        rc = load_file(path, alloc, found, ctx);
    }
    if (rc == SWK_ENOMEM) {
        return rc;
    }
    if (rc != 0) {
        unlink(path);
    }
    return SWK_OK;
}

int swki_task_files_load(const char *state_dir, const struct swk_alloc *alloc,
                         int (*found)(void *ctx, const void *data, size_t len),
                         void *ctx, struct swk_error *err)
{
    char path[PATH_SIZE];
    struct dirent *entry;
    int rc = SWK_OK;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/worker/tasks", state_dir);
    dir = opendir(path);
    if (dir == NULL) {
        return fail_path(err, path);
    }
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            rc = take_file(state_dir, entry->d_name, alloc, found, ctx);
        }
    }
    closedir(dir);
    return rc != 0 ? swki_fail_nomem(err) : SWK_OK;
}
