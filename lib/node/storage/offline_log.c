/* SPDX-License-Identifier: Apache-2.0 */

/* Making a state directory: all of it or nothing, its log, and a copy of one
 * that is there. */

#include "node/storage/offline_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <swarmkit/file_storage.h>

#include "base/error.h"
#include "crypto/digest.h"
#include "node/identity/key_file.h"
#include "node/identity/state_dir.h"
#include "runtime/file/atomic.h"

enum {
    PIECE_SIZE = 256 * 1024,       /* of a snapshot */
    APPEND_SIZE = 4 * 1024 * 1024, /* of entries */
    DIRECTORIES_OPEN = 8,
};

static const char suffix[] = ".making";

/* -- A new directory ------------------------------------------------------ */

static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    bool found = false;

    if (dir == NULL) {
        return errno == ENOENT;
    }
    while (!found && (entry = readdir(dir)) != NULL) {
        found =
            strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(dir);
    return !found;
}

int swki_offline_target_begin(struct swki_offline_target *target,
                              const char *path, struct swk_error *err)
{
    size_t len = strlen(path);
    int n;

    target->making[0] = '\0';
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    n = snprintf(target->path, sizeof(target->path), "%.*s", (int)len, path);
    if (len == 0 || n < 0 || (size_t)n + 128 >= sizeof(target->path)) {
        return swki_fail(err, SWK_EINVAL,
                         "the name of the target is empty or too long");
    }
    if (!is_empty(target->path)) {
        return swki_fail(err, SWK_EEXIST,
                         "%s is there already: name a directory that is not",
                         target->path);
    }
    snprintf(target->making, sizeof(target->making), "%s%s", target->path,
             suffix);
    if (mkdir(target->making, 0700) != 0) {
        int reason = errno;
        int rc = reason == EEXIST                      ? SWK_EEXIST
                 : reason == EACCES || reason == EPERM ? SWK_EDENIED
                                                       : SWK_EIO;

        rc = swki_fail(err, rc, "cannot make %s: %s%s", target->making,
                       strerror(reason),
                       reason == EEXIST ? "; remove it if no other such "
                                          "command is running"
                                        : "");
        target->making[0] = '\0';
        return rc;
    }
    return SWK_OK;
}

static int sync_directory(const char *path, struct swk_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) != 0
                 ? swki_fail(err, SWK_EIO, "%s: %s", path, strerror(errno))
                 : SWK_OK;

    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

/* The directory's own name is on the disk once the one above it is. */
static int sync_above(const char *path, struct swk_error *err)
{
    char above[SWKI_OFFLINE_PATH_SIZE];
    char *slash;

    snprintf(above, sizeof(above), "%s", path);
    slash = strrchr(above, '/');
    if (slash == NULL) {
        return sync_directory(".", err);
    }
    slash[slash == above ? 1 : 0] = '\0';
    return sync_directory(above, err);
}

int swki_offline_target_finish(struct swki_offline_target *target,
                               struct swk_error *err)
{
    int rc = sync_directory(target->making, err);

    if (rc != 0) {
        return rc;
    }
    /* An empty directory gives way. */
    if (rename(target->making, target->path) != 0) {
        return swki_fail(err, SWK_EIO, "%s: %s", target->path, strerror(errno));
    }
    target->making[0] = '\0';
    return sync_above(target->path, err);
}

static int remove_found(const char *path, const struct stat *st, int type,
                        struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

void swki_offline_target_abandon(struct swki_offline_target *target)
{
    if (target->making[0] != '\0') {
        (void)nftw(target->making, remove_found, DIRECTORIES_OPEN,
                   FTW_DEPTH | FTW_PHYS);
        target->making[0] = '\0';
    }
}

/* -- A new log ------------------------------------------------------------ */

/* A storage that is written to, and how far it is. */
struct writer {
    const struct swki_offline_log *log;
    struct swk_storage storage;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    uint64_t durable; /* ticket */
    int code;
    struct swk_error failure;
};

/* On the storage's thread. */
static void note_done(void *ctx, uint64_t ticket, int code,
                      const struct swk_error *err)
{
    struct writer *w = ctx;

    pthread_mutex_lock(&w->lock);
    if (code != 0 && w->code == 0) {
        w->code = code;
        w->failure = *err;
    }
    w->durable = ticket;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static int await(struct writer *w, uint64_t ticket, struct swk_error *err)
{
    int rc;

    pthread_mutex_lock(&w->lock);
    while (w->code == 0 && w->durable < ticket) {
        pthread_cond_wait(&w->changed, &w->lock);
    }
    rc = w->code;
    if (rc != 0 && err != NULL) {
        *err = w->failure;
    }
    pthread_mutex_unlock(&w->lock);
    return rc;
}

/* Again and again while the storage has no room. */
static int write_piece(struct writer *w, const uint8_t *data, size_t len,
                       struct swk_error *err)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int rc;

    while ((rc = w->storage.write_snapshot(w->storage.ctx, data, len, err)) ==
           SWK_EUNAVAILABLE) {
        nanosleep(&pause, NULL);
    }
    return rc;
}

static int write_snapshot(struct writer *w, uint64_t ticket,
                          struct swk_error *err)
{
    const struct swki_offline_log *log = w->log;
    const struct swk_storage *storage = &w->storage;
    int rc = storage->begin_snapshot(storage->ctx, log->meta, NULL, err);

    for (size_t at = 0; rc == 0 && at < log->snapshot_len; at += PIECE_SIZE) {
        size_t left = log->snapshot_len - at;

        rc = write_piece(w, log->snapshot + at,
                         left < PIECE_SIZE ? left : PIECE_SIZE, err);
    }
    if (rc == 0) {
        rc = storage->finish_snapshot(storage->ctx, 1, ticket, err);
    }
    return rc != 0 ? rc : await(w, ticket, err);
}

/* How many entries go into one append. */
static size_t take_entries(const struct swk_log_entry *entries, size_t count)
{
    size_t size = 0;
    size_t taken = 0;

    while (taken < count && (taken == 0 || size < APPEND_SIZE)) {
        size += entries[taken++].data_len;
    }
    return taken;
}

static int write_entries(struct writer *w, uint64_t ticket,
                         struct swk_error *err)
{
    const struct swki_offline_log *log = w->log;
    const struct swk_hard_state *state = log->state;
    size_t at = 0;
    int rc = SWK_OK;

    while (rc == 0 && (state != NULL || at < log->entries_count)) {
        const struct swk_log_entry *entries =
            at < log->entries_count ? log->entries + at : NULL;
        size_t count = take_entries(entries, log->entries_count - at);

        rc = w->storage.append(w->storage.ctx, state, entries, count, ticket,
                               err);
        if (rc == 0) {
            rc = await(w, ticket++, err);
        }
        state = NULL;
        at += count;
    }
    return rc;
}

static int write_all(struct writer *w, struct swk_error *err)
{
    const struct swk_storage_replay nothing = {.size = sizeof(nothing)};
    const struct swki_offline_log *log = w->log;
    const struct swk_storage *storage = &w->storage;
    uint64_t ticket = 1;
    int rc = storage->load(storage->ctx, &nothing, err);

    if (rc == 0) {
        rc = storage->identify(storage->ctx, log->identity, log->identity_len,
                               err);
    }
    if (rc == 0 && log->meta != NULL) {
        rc = write_snapshot(w, ticket++, err);
    }
    return rc != 0 ? rc : write_entries(w, ticket, err);
}

int swki_offline_log_write(const struct swki_offline_log *log,
                           struct swk_error *err)
{
    struct writer w = {.log = log};
    struct swk_file_storage_config config = {.size = sizeof(config)};
    char path[SWKI_OFFLINE_PATH_SIZE + 16];
    int rc;

    snprintf(path, sizeof(path), "%s/raft", log->state_dir);
    config.dir = path;
    config.alloc = log->alloc;
    config.logger = log->logger;
    config.key = log->key;
    config.done = note_done;
    config.done_ctx = &w;
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.changed, NULL);
    rc = swk_file_storage_open(&config, &w.storage, err);
    if (rc == 0) {
        rc = write_all(&w, err);
        w.storage.close(w.storage.ctx);
    }
    pthread_cond_destroy(&w.changed);
    pthread_mutex_destroy(&w.lock);
    return rc;
}

/* -- A copy without seals ------------------------------------------------- */

/* A file as it is; one that is not there is none of the copy either. */
static int copy_file(const struct swk_offline *o, const char *to,
                     const char *dir, const char *name, mode_t mode,
                     struct swk_error *err)
{
    char from_path[SWKI_OFFLINE_PATH_SIZE + 64];
    char to_dir[SWKI_OFFLINE_PATH_SIZE + 64];
    struct swki_buf buf;
    int rc;

    snprintf(from_path, sizeof(from_path), "%s/%s/%s", o->state_dir, dir, name);
    snprintf(to_dir, sizeof(to_dir), "%s/%s", to, dir);
    swki_buf_init(&buf, o->config.alloc, SWKI_PEM_LEN_MAX);
    rc = swki_file_read(from_path, SWKI_PEM_LEN_MAX, &buf, err);
    if (rc == 0) {
        rc = swki_file_replace(to_dir, name, buf.data, buf.len, mode, err);
    }
    swki_buf_fini(&buf);
    return rc == SWK_ENOTFOUND ? SWK_OK : rc;
}

/* The node's key in clear, and no keys of the log. */
static int write_key(const struct swk_offline *o, const char *dir,
                     struct swk_error *err)
{
    const struct swki_data_keys none = {0};
    struct swki_buf text;
    int rc;

    swki_buf_init(&text, o->config.alloc, SWKI_PEM_LEN_MAX);
    rc = swki_key_file_write(swki_pem_of_buf(&o->credentials.key), &none, NULL,
                             &text, err);
    if (rc == 0) {
        rc = swki_file_replace(dir, "swarm-node.key", text.data, text.len, 0600,
                               err);
    }
    if (text.data != NULL) {
        swki_wipe(text.data, text.size);
    }
    swki_buf_fini(&text);
    return rc;
}

static int copy_certificates(const struct swk_offline *o, const char *to,
                             struct swk_error *err)
{
    static const char *const names[] = {"swarm-root-ca.crt", "swarm-node.crt",
                                        ".swarm-node.crt"};
    char dir[SWKI_OFFLINE_PATH_SIZE + 16];
    int rc;

    snprintf(dir, sizeof(dir), "%s/certificates", to);
    if (mkdir(dir, 0755) != 0) {
        return swki_fail(err, SWK_EIO, "%s: %s", dir, strerror(errno));
    }
    rc = write_key(o, dir, err);
    for (size_t i = 0; rc == 0 && i < sizeof(names) / sizeof(names[0]); i++) {
        rc = copy_file(o, to, "certificates", names[i], 0644, err);
    }
    return rc;
}

static int copy_all(const struct swk_offline *o, const char *to,
                    struct swk_error *err)
{
    const struct swki_offline_log log = {
        .state_dir = to,
        .alloc = o->config.alloc,
        .logger = o->config.logger,
        .identity = o->identity,
        .identity_len = o->identity_len,
        .meta = o->meta.is.index > 0 ? &o->meta.is : NULL,
        .snapshot = o->snapshot,
        .snapshot_len = o->snapshot_len,
        .state = o->has_state ? &o->state : NULL,
        .entries = o->entries,
        .entries_count = o->entries_count,
    };
    int rc = swki_offline_log_write(&log, err);

    if (rc == 0) {
        rc = copy_certificates(o, to, err);
    }
    return rc != 0 ? rc : copy_file(o, to, ".", "managers", 0600, err);
}

int swk_offline_copy_unsealed(const swk_offline *o, const char *state_dir,
                              struct swk_error *err)
{
    struct swki_offline_target target;
    int rc;

    if (o == NULL || state_dir == NULL) {
        return swki_fail(err, SWK_EINVAL, "offline: NULL argument");
    }
    if (o->lost != 0) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "entries of the log are lost: a copy would not know");
    }
    rc = swki_offline_target_begin(&target, state_dir, err);
    if (rc != 0) {
        return rc;
    }
    rc = copy_all(o, target.making, err);
    if (rc == 0) {
        rc = swki_offline_target_finish(&target, err);
    }
    swki_offline_target_abandon(&target);
    return rc;
}
