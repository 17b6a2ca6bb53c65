/* SPDX-License-Identifier: Apache-2.0 */

/* The files of a manager's log. */

#include "node/host/managing_impl.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <swarmkit/file_storage.h>

#include "base/error.h"
#include "runtime/file/io.h"

enum {
    PATH_SIZE = 4096,
};

static void take_stored(struct swki_message *message, swk_time now)
{
    struct swki_managing_stored *stored =
        SWKI_CONTAINER(message, struct swki_managing_stored, message);
    struct swki_managing *m =
        SWKI_CONTAINER(stored, struct swki_managing, stored);
    struct swk_error err;
    uint64_t ticket;
    int code;

    (void)now;
    pthread_mutex_lock(&stored->lock);
    stored->posted = false;
    ticket = stored->ticket;
    code = stored->code;
    err = stored->err;
    pthread_mutex_unlock(&stored->lock);
    if (m->manager != NULL) {
        swki_manager_stored(m->manager, ticket, code, &err);
    }
}

/* On the storage's thread. Only the last ticket counts, and the first
 * failure. */
static void storage_done(void *ctx, uint64_t ticket, int code,
                         const struct swk_error *err)
{
    struct swki_managing *m = ctx;
    struct swki_managing_stored *stored = &m->stored;
    bool post;

    pthread_mutex_lock(&stored->lock);
    if (stored->code == 0) {
        stored->ticket = ticket;
        stored->code = code;
        if (code != 0) {
            stored->err = *err;
        }
    }
    post = !stored->posted;
    stored->posted = true;
    pthread_mutex_unlock(&stored->lock);
    if (post) {
        swki_loop_post(m->config.asker.loop, &stored->message);
    }
}

void swki_managing_init_storage(struct swki_managing *m)
{
    pthread_mutex_init(&m->stored.lock, NULL);
    m->stored.message.handle = take_stored;
}

static void log_path(const char *state_dir, char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, "%s/raft", state_dir);
}

static int init_keys(struct swki_managing *m, struct swk_error *err)
{
    const struct swki_log_keys_config config = {
        .logger = m->config.asker.logger,
        .entropy = m->config.asker.entropy,
        .state_dir = m->config.state_dir,
        .credentials = m->config.credentials,
        .ctx = m->config.ctx,
        .locked = m->config.locked,
    };

    return swki_log_keys_init(&m->log_keys, &config, err);
}

int swki_managing_open_storage(struct swki_managing *m, struct swk_error *err)
{
    char path[PATH_SIZE];
    struct swk_file_storage_config config = {.size = sizeof(config)};
    int rc = init_keys(m, err);

    if (rc != 0) {
        return rc;
    }
    log_path(m->config.state_dir, path);
    config.dir = path;
    config.alloc = m->config.asker.alloc;
    config.logger = m->config.asker.logger;
    config.done = storage_done;
    config.done_ctx = m;
    swki_log_keys_choose(&m->config.credentials->keys, &config);
    rc = swk_file_storage_open(&config, &m->storage, err);
    m->storage_open = rc == 0;
    return rc;
}

void swki_managing_close_storage(struct swki_managing *m)
{
    if (m->storage_open) {
        m->storage.close(m->storage.ctx);
    }
    swki_loop_cancel(m->config.asker.loop, &m->stored.message);
    pthread_mutex_destroy(&m->stored.lock);
}

/* Nothing of it may come back: the keys go next. */
static int sync_directory(const char *path, struct swk_error *err)
{
    const struct swki_file_io *io = &swki_file_io_posix;
    int dir = io->open_dir(io->ctx, path);
    int rc = dir < 0 ? dir : io->sync_dir(io->ctx, dir);

    if (dir >= 0) {
        io->close(io->ctx, dir);
    }
    return rc < 0 ? swki_io_fail(err, rc, "sync", path, "") : SWK_OK;
}

static int remove_files(DIR *dir, const char *path, struct swk_error *err)
{
    struct dirent *entry;

    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0 &&
            unlinkat(dirfd(dir), entry->d_name, 0) != 0) {
            return swki_io_fail(err, -errno, "remove", path, entry->d_name);
        }
    }
    return SWK_OK;
}

static int remove_directory(const char *path, struct swk_error *err)
{
    DIR *dir = opendir(path);
    int rc;

    if (dir == NULL) {
        return errno == ENOENT ? SWK_OK
                               : swki_io_fail(err, -errno, "open", path, "");
    }
    rc = remove_files(dir, path, err);
    closedir(dir);
    if (rc == 0 && rmdir(path) != 0) {
        rc = swki_io_fail(err, -errno, "remove", path, "");
    }
    return rc;
}

/* A part of a log is none that a manager could start with, so it goes in one
 * step; what a crash left of one that went is removed first. */
int swki_managing_clear(const char *state_dir, struct swk_error *err)
{
    char removed[PATH_SIZE];
    char path[PATH_SIZE];
    int rc;

    log_path(state_dir, path);
    snprintf(removed, sizeof(removed), "%s/raft.removed", state_dir);
    rc = remove_directory(removed, err);
    if (rc != 0) {
        return rc;
    }
    if (rename(path, removed) != 0) {
        return errno == ENOENT ? SWK_OK
                               : swki_io_fail(err, -errno, "rename", path, "");
    }
    rc = sync_directory(state_dir, err);
    if (rc == 0) {
        rc = remove_directory(removed, err);
    }
    return rc != 0 ? rc : sync_directory(state_dir, err);
}
