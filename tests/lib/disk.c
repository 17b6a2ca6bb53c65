/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIR_FD = 1000,
    HISTORY_MAX = 256,
};

/* What a call must answer instead of doing something; 0: do it. */
static int interrupted(struct disk *disk, enum disk_call call)
{
    if (disk->off) {
        return -EIO;
    }
    disk->calls++;
    if (disk->fail_at >= 0 &&
        (disk->fail_call == DISK_ANY || disk->fail_call == call) &&
        disk->fail_at-- == 0) {
        return disk->fail_error;
    }
    return 0;
}

/* After the call has had its effect. */
static int finished(struct disk *disk, int rc)
{
    if (disk->power_off_at >= 0 && disk->calls > disk->power_off_at) {
        disk->off = true;
        return -EIO;
    }
    return rc;
}

static int find_name(const struct disk_dir *dir, const char *name)
{
    for (int i = 0; i < DISK_NAMES; i++) {
        if (strcmp(dir->names[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static void dir_changed(struct disk *disk)
{
    if (disk->history_count < HISTORY_MAX) {
        disk->history[disk->history_count++] = disk->dir;
    }
}

/* A descriptor is the file's number. */
static int opened(struct disk *disk, int file)
{
    int rc = finished(disk, file);

    disk->files[file].opens += rc >= 0;
    return rc;
}

static int disk_make_dir(void *ctx, const char *path)
{
    (void)path;
    return interrupted(ctx, DISK_ANY);
}

static int disk_open_dir(void *ctx, const char *path)
{
    int rc = interrupted(ctx, DISK_ANY);

    (void)path;
    return rc < 0 ? rc : DIR_FD;
}

static int disk_open(void *ctx, int dir, const char *name)
{
    struct disk *disk = ctx;
    int rc = interrupted(disk, DISK_ANY);
    int at = find_name(&disk->dir, name);

    (void)dir;
    if (rc < 0) {
        return rc;
    }
    return at < 0 ? finished(disk, -ENOENT)
                  : opened(disk, disk->dir.names[at].file);
}

static bool has_name(const struct disk_dir *dir, int file)
{
    for (int i = 0; i < DISK_NAMES; i++) {
        if (dir->names[i].name[0] != '\0' && dir->names[i].file == file) {
            return true;
        }
    }
    return false;
}

/* A file that was removed for good; a loss of power brings others back. */
static bool is_gone(const struct disk *disk, int file)
{
    bool named = has_name(&disk->dir, file) || disk->files[file].opens > 0;

    for (int i = 0; i < disk->history_count && !named; i++) {
        named = has_name(&disk->history[i], file);
    }
    return !named;
}

static int new_file(struct disk *disk)
{
    for (int i = 0; i < DISK_FILES; i++) {
        if (!disk->files[i].used || is_gone(disk, i)) {
            memset(&disk->files[i], 0, sizeof(disk->files[i]));
            disk->files[i].used = true;
            return i;
        }
    }
    abort();
}

static void resize(struct disk_file *file, uint64_t size)
{
    if (size > DISK_FILE_SIZE) {
        abort();
    }
    if (size < file->cached_size) {
        memset(file->cached + size, 0, file->cached_size - size);
        for (uint64_t i = size / DISK_SECTOR; i < DISK_FILE_SIZE / DISK_SECTOR;
             i++) {
            file->dirty[i] = true;
        }
    }
    file->cached_size = size;
}

static int disk_create(void *ctx, int dir, const char *name)
{
    struct disk *disk = ctx;
    int rc = interrupted(disk, DISK_CREATE);
    int at = find_name(&disk->dir, name);

    (void)dir;
    if (rc < 0) {
        return rc;
    }
    if (at >= 0) {
        resize(&disk->files[disk->dir.names[at].file], 0);
        return opened(disk, disk->dir.names[at].file);
    }
    at = find_name(&disk->dir, "");
    snprintf(disk->dir.names[at].name, sizeof(disk->dir.names[at].name), "%s",
             name);
    disk->dir.names[at].file = new_file(disk);
    dir_changed(disk);
    return opened(disk, disk->dir.names[at].file);
}

static void disk_close(void *ctx, int fd)
{
    struct disk *disk = ctx;

    if (fd < DISK_FILES) {
        disk->files[fd].locked = false;
        disk->files[fd].opens--;
    }
}

static int64_t disk_size(void *ctx, int fd)
{
    struct disk *disk = ctx;
    int rc = interrupted(disk, DISK_ANY);

    return rc < 0 ? rc : (int64_t)disk->files[fd].cached_size;
}

static int64_t disk_read(void *ctx, int fd, void *buf, size_t len,
                         uint64_t offset)
{
    struct disk *disk = ctx;
    const struct disk_file *file = &disk->files[fd];
    int rc = interrupted(disk, DISK_ANY);

    if (rc < 0) {
        return rc;
    }
    if (offset >= file->cached_size) {
        return 0;
    }
    if (len > file->cached_size - offset) {
        len = file->cached_size - offset;
    }
    memcpy(buf, file->cached + offset, len);
    return (int64_t)len;
}

static bool has_space(const struct disk *disk, int fd, uint64_t size)
{
    uint64_t used = 0;

    for (int i = 0; i < DISK_FILES; i++) {
        if (disk->files[i].used && i != fd && has_name(&disk->dir, i)) {
            used += disk->files[i].cached_size;
        }
    }
    return disk->space_max == 0 || used + size <= disk->space_max;
}

static int64_t disk_write(void *ctx, int fd, const void *data, size_t len,
                          uint64_t offset)
{
    struct disk *disk = ctx;
    struct disk_file *file = &disk->files[fd];
    int rc = interrupted(disk, DISK_WRITE);

    if (rc < 0) {
        return rc;
    }
    if (disk->write_max > 0 && len > disk->write_max) {
        len = disk->write_max;
    }
    if (offset + len > file->cached_size) {
        if (!has_space(disk, fd, offset + len)) {
            return -ENOSPC;
        }
        resize(file, offset + len);
    }
    memcpy(file->cached + offset, data, len);
    for (uint64_t i = offset / DISK_SECTOR; i * DISK_SECTOR < offset + len;
         i++) {
        file->dirty[i] = true;
    }
    rc = finished(disk, 0);
    return rc < 0 ? rc : (int64_t)len;
}

static int disk_preallocate(void *ctx, int fd, uint64_t size)
{
    struct disk *disk = ctx;
    int rc = interrupted(disk, DISK_PREALLOCATE);

    if (rc == 0 && !has_space(disk, fd, size)) {
        rc = -ENOSPC;
    }
    if (rc == 0 && size > disk->files[fd].cached_size) {
        resize(&disk->files[fd], size);
    }
    return rc < 0 ? rc : finished(disk, 0);
}

static int disk_truncate(void *ctx, int fd, uint64_t size)
{
    struct disk *disk = ctx;
    int rc = interrupted(disk, DISK_ANY);

    if (rc == 0) {
        resize(&disk->files[fd], size);
    }
    return rc < 0 ? rc : finished(disk, 0);
}

/* Like the kernel, a failed sync forgets that the pages are dirty. */
static int disk_sync(void *ctx, int fd)
{
    struct disk *disk = ctx;
    struct disk_file *file = &disk->files[fd];
    int rc = interrupted(disk, DISK_SYNC);
    bool dies = disk->power_off_at >= 0 && disk->calls > disk->power_off_at;

    if (disk->off || dies) {
        return finished(disk, rc);
    }
    for (int i = 0; i < DISK_FILE_SIZE / DISK_SECTOR; i++) {
        if (file->dirty[i] && rc == 0) {
            memcpy(file->durable + i * DISK_SECTOR,
                   file->cached + i * DISK_SECTOR, DISK_SECTOR);
        }
        file->dirty[i] = false;
    }
    if (rc == 0) {
        file->durable_size = file->cached_size;
    }
    disk->syncs++;
    return rc;
}

static int disk_sync_dir(void *ctx, int dir)
{
    struct disk *disk = ctx;
    int rc = interrupted(disk, DISK_SYNC_DIR);

    (void)dir;
    if (rc == 0 &&
        !(disk->power_off_at >= 0 && disk->calls > disk->power_off_at)) {
        disk->history[0] = disk->dir;
        disk->history_count = 1;
    }
    return rc < 0 ? rc : finished(disk, 0);
}

static int disk_rename(void *ctx, int dir, const char *from, const char *to)
{
    struct disk *disk = ctx;
    int rc = interrupted(disk, DISK_RENAME);
    int source = find_name(&disk->dir, from);
    int target = find_name(&disk->dir, to);

    (void)dir;
    if (rc < 0) {
        return rc;
    }
    if (source < 0) {
        return -ENOENT;
    }
    if (target >= 0) {
        disk->dir.names[target].name[0] = '\0';
    }
    snprintf(disk->dir.names[source].name, sizeof(disk->dir.names[0].name),
             "%s", to);
    dir_changed(disk);
    return finished(disk, 0);
}

static int disk_remove(void *ctx, int dir, const char *name)
{
    struct disk *disk = ctx;
    int rc = interrupted(disk, DISK_ANY);
    int at = find_name(&disk->dir, name);

    (void)dir;
    if (rc < 0) {
        return rc;
    }
    if (at < 0) {
        return -ENOENT;
    }
    disk->dir.names[at].name[0] = '\0';
    dir_changed(disk);
    return finished(disk, 0);
}

static int disk_list(void *ctx, int dir,
                     int (*found)(void *found_ctx, const char *name),
                     void *found_ctx)
{
    struct disk *disk = ctx;
    int rc = interrupted(disk, DISK_ANY);

    (void)dir;
    for (int i = 0; rc >= 0 && i < DISK_NAMES; i++) {
        if (disk->dir.names[i].name[0] != '\0') {
            rc = found(found_ctx, disk->dir.names[i].name);
        }
    }
    return rc < 0 ? rc : finished(disk, 0);
}

static int disk_lock(void *ctx, int fd)
{
    struct disk *disk = ctx;
    int rc = interrupted(disk, DISK_ANY);

    if (rc == 0 && disk->files[fd].locked) {
        rc = -EAGAIN;
    }
    disk->files[fd].locked = true;
    return rc;
}

static uint64_t disk_salt(void *ctx)
{
    return swki_rng_next(&((struct disk *)ctx)->rng);
}

/* -- The calls, one at a time ---------------------------------------------- */

static int locked_make_dir(void *ctx, const char *path)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int rc = disk_make_dir(ctx, path);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static int locked_open_dir(void *ctx, const char *path)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int rc = disk_open_dir(ctx, path);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static int locked_open(void *ctx, int dir, const char *name)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int rc = disk_open(ctx, dir, name);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static int locked_create(void *ctx, int dir, const char *name)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int rc = disk_create(ctx, dir, name);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static void locked_close(void *ctx, int fd)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    disk_close(ctx, fd);
    pthread_mutex_unlock(&disk->mutex);
}

static int64_t locked_size(void *ctx, int fd)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int64_t rc = disk_size(ctx, fd);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static int64_t locked_read(void *ctx, int fd, void *buf, size_t len,
                           uint64_t offset)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int64_t rc = disk_read(ctx, fd, buf, len, offset);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static int64_t locked_write(void *ctx, int fd, const void *data, size_t len,
                            uint64_t offset)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int64_t rc = disk_write(ctx, fd, data, len, offset);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static int locked_preallocate(void *ctx, int fd, uint64_t size)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int rc = disk_preallocate(ctx, fd, size);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static int locked_truncate(void *ctx, int fd, uint64_t size)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int rc = disk_truncate(ctx, fd, size);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static int locked_sync(void *ctx, int fd)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int rc = disk_sync(ctx, fd);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static int locked_sync_dir(void *ctx, int dir)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int rc = disk_sync_dir(ctx, dir);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static int locked_rename(void *ctx, int dir, const char *from, const char *to)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int rc = disk_rename(ctx, dir, from, to);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static int locked_remove(void *ctx, int dir, const char *name)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int rc = disk_remove(ctx, dir, name);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static int locked_list(void *ctx, int dir,
                       int (*found)(void *found_ctx, const char *name),
                       void *found_ctx)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int rc = disk_list(ctx, dir, found, found_ctx);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static int locked_lock(void *ctx, int fd)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    int rc = disk_lock(ctx, fd);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

static uint64_t locked_salt(void *ctx)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&disk->mutex);
    uint64_t rc = disk_salt(ctx);
    pthread_mutex_unlock(&disk->mutex);
    return rc;
}

struct disk *disk_new(uint64_t seed)
{
    struct disk *disk = calloc(1, sizeof(*disk));

    pthread_mutex_init(&disk->mutex, NULL);
    swki_rng_init(&disk->rng, seed);
    disk->power_off_at = -1;
    disk->fail_at = -1;
    disk->history_count = 1;
    disk->io = (struct swki_file_io){
        .ctx = disk,
        .make_dir = locked_make_dir,
        .open_dir = locked_open_dir,
        .open = locked_open,
        .open_to_read = locked_open,
        .create = locked_create,
        .close = locked_close,
        .size = locked_size,
        .read = locked_read,
        .write = locked_write,
        .preallocate = locked_preallocate,
        .truncate = locked_truncate,
        .sync = locked_sync,
        .sync_dir = locked_sync_dir,
        .rename = locked_rename,
        .remove = locked_remove,
        .list = locked_list,
        .lock = locked_lock,
        .salt = locked_salt,
    };
    return disk;
}

void disk_free(struct disk *disk)
{
    pthread_mutex_destroy(&disk->mutex);
    free(disk);
}

void disk_restart(struct disk *disk)
{
    for (int i = 0; i < DISK_FILES; i++) {
        disk->files[i].locked = false;
        disk->files[i].opens = 0;
    }
    disk->off = false;
    disk->power_off_at = -1;
    disk->fail_at = -1;
    disk->calls = 0;
}

static void lose_unsynced(struct disk *disk, struct disk_file *file)
{
    for (int i = 0; i < DISK_FILE_SIZE / DISK_SECTOR; i++) {
        if (file->dirty[i] && swki_rng_below(&disk->rng, 2) == 0) {
            memcpy(file->durable + i * DISK_SECTOR,
                   file->cached + i * DISK_SECTOR, DISK_SECTOR);
        }
        file->dirty[i] = false;
    }
    if (swki_rng_below(&disk->rng, 2) == 0) {
        file->durable_size = file->cached_size;
    }
    memset(file->durable + file->durable_size, 0,
           DISK_FILE_SIZE - file->durable_size);
    memcpy(file->cached, file->durable, DISK_FILE_SIZE);
    file->cached_size = file->durable_size;
}

void disk_power_cycle(struct disk *disk)
{
    for (int i = 0; i < DISK_FILES; i++) {
        if (disk->files[i].used) {
            lose_unsynced(disk, &disk->files[i]);
        }
    }
    disk->dir = disk->history[swki_rng_below(&disk->rng,
                                             (uint64_t)disk->history_count)];
    disk->history[0] = disk->dir;
    disk->history_count = 1;
    disk_restart(disk);
    for (int i = 0; i < DISK_FILES; i++) {
        disk->files[i].used = false;
    }
    for (int i = 0; i < DISK_NAMES; i++) {
        if (disk->dir.names[i].name[0] != '\0') {
            disk->files[disk->dir.names[i].file].used = true;
        }
    }
}

struct disk_file *disk_find(struct disk *disk, const char *name)
{
    int at = find_name(&disk->dir, name);

    return at < 0 ? NULL : &disk->files[disk->dir.names[at].file];
}

int disk_count(const struct disk *disk, const char *prefix)
{
    int count = 0;

    for (int i = 0; i < DISK_NAMES; i++) {
        const char *name = disk->dir.names[i].name;

        count += name[0] != '\0' && strncmp(name, prefix, strlen(prefix)) == 0;
    }
    return count;
}
