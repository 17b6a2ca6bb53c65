/* SPDX-License-Identifier: Apache-2.0 */

#include "node/audit/audit_sync.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "node/audit/audit_signature.h"

#define FAILED_PAUSE SWK_SECOND

/* What the thread has to do in a round, taken from under the lock. */
struct round {
    uint64_t key_changes; /* as of its beginning */
    int fd;
    int retired[SWKI_AUDIT_RETIRED_MAX];
    size_t retired_count;
    uint64_t remove_to; /* files before it; 0: none */
    struct swki_audit_point written;
    bool new_file;
    bool sign;
    bool last;
};

/* -- Checkpoints ---------------------------------------------------------- */

static void copy_buf(struct swki_buf *out, const struct swki_buf *from)
{
    swki_buf_init(out, from->alloc, SIZE_MAX);
    if (from->len > 0) {
        swki_buf_append(out, from->data, from->len);
    }
}

static void wipe_buf(struct swki_buf *buf)
{
    swki_wipe(buf->data, buf->size);
    swki_buf_fini(buf);
}

/* The key may change meanwhile: it is copied. */
static int make_checkpoint(struct swki_audit_sync *sync,
                           const struct swki_audit_checkpoint *checkpoint,
                           struct swki_buf *out, struct swk_error *err)
{
    struct swki_buf certificate;
    struct swki_buf key;
    int rc;

    pthread_mutex_lock(&sync->lock);
    copy_buf(&key, &sync->key);
    copy_buf(&certificate, &sync->certificate);
    pthread_mutex_unlock(&sync->lock);
    rc = swki_audit_signature_make(checkpoint, swki_pem_of_buf(&key),
                                   swki_pem_of_buf(&certificate),
                                   sync->config.entropy, out, err);
    swki_buf_fini(&certificate);
    wipe_buf(&key);
    return rc;
}

static int write_checkpoint(struct swki_audit_sync *sync,
                            const struct swki_audit_point *point,
                            struct swk_error *err)
{
    const struct swki_audit_sync_config *config = &sync->config;
    struct swki_audit_checkpoint checkpoint = {
        .link = point->link,
        .file = point->file,
        .offset = point->offset,
        .time = config->clock->wall(config->clock->ctx),
    };
    struct swki_buf text;
    int rc;

    snprintf(checkpoint.node_id, sizeof(checkpoint.node_id), "%s",
             config->node_id);
    swki_buf_init(&text, config->alloc, SIZE_MAX);
    rc = make_checkpoint(sync, &checkpoint, &text, err);
    if (rc == 0) {
        rc = swki_audit_files_replace_checkpoint(&config->files, text.data,
                                                 text.len, err);
    }
    swki_buf_fini(&text);
    return rc;
}

/* -- Rounds --------------------------------------------------------------- */

static int sync_files(struct swki_audit_sync *sync, const struct round *r)
{
    const struct swki_file_io *io = sync->config.files.io;
    int rc = 0;

    for (size_t i = 0; i < r->retired_count; i++) {
        int one = io->sync(io->ctx, r->retired[i]);

        rc = rc == 0 ? one : rc;
        io->close(io->ctx, r->retired[i]);
    }
    if (rc == 0 && r->fd >= 0) {
        rc = io->sync(io->ctx, r->fd);
    }
    if (rc == 0 && r->new_file) {
        rc = io->sync_dir(io->ctx, sync->config.files.dir);
    }
    return rc;
}

static bool must_sign(const struct swki_audit_sync *sync, swk_time now)
{
    return sync->key.len > 0 && sync->written.link.seq != sync->signed_seq &&
           (sync->stopping || now >= sync->sign_at);
}

static void take_round(struct swki_audit_sync *sync, swk_time now,
                       struct round *r)
{
    *r = (struct round){
        .key_changes = sync->key_changes,
        .fd = sync->fd,
        .retired_count = sync->retired_count,
        .remove_to = sync->oldest > sync->removed + 1 ? sync->oldest : 0,
        .written = sync->written,
        .new_file = sync->written.file != sync->synced.file,
        .sign = must_sign(sync, now),
        .last = sync->stopping,
    };
    memcpy(r->retired, sync->retired, sizeof(r->retired));
    sync->retired_count = 0;
    if (r->remove_to > 0) {
        sync->removed = sync->oldest - 1;
    }
}

/* One that could not be made is tried again when the next one is due. */
static void note_checkpoint(struct swki_audit_sync *sync, const struct round *r,
                            swk_time began, int rc, const struct swk_error *why)
{
    bool complain = rc != 0 && !sync->sign_failed;

    pthread_mutex_lock(&sync->lock);
    sync->sign_failed = rc != 0;
    if (r->key_changes == sync->key_changes) {
        sync->signed_seq = rc == 0 ? r->written.link.seq : sync->signed_seq;
        sync->sign_at = began + sync->config.checkpoint_ns;
    }
    pthread_mutex_unlock(&sync->lock);
    if (complain) {
        swki_log(sync->config.logger, SWK_LOG_WARN, "audit",
                 "no checkpoint at record %" PRIu64 ": %s", r->written.link.seq,
                 why->text);
    }
}

static void note_round(struct swki_audit_sync *sync, int rc,
                       const struct round *r)
{
    bool changed;

    pthread_mutex_lock(&sync->lock);
    changed = sync->failed != (rc < 0);
    sync->failed = rc < 0;
    if (rc == 0) {
        sync->synced = r->written;
    }
    pthread_mutex_unlock(&sync->lock);
    if (changed && rc < 0) {
        struct swk_error err;

        swki_io_fail(&err, rc, "sync", sync->config.files.path, "");
        swki_log(sync->config.logger, SWK_LOG_ERROR, "audit",
                 "records may be lost: %s", err.text);
    } else if (changed) {
        swki_log(sync->config.logger, SWK_LOG_INFO, "audit",
                 "new records are durable again; verify the log to see whether "
                 "earlier ones are missing");
    }
}

/* -- The thread ----------------------------------------------------------- */

static swk_time monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (swk_time)now.tv_sec * SWK_SECOND + (swk_time)now.tv_nsec;
}

static bool has_work(const struct swki_audit_sync *sync)
{
    return sync->stopping || sync->retired_count > 0 ||
           sync->written.link.seq != sync->synced.link.seq ||
           must_sign(sync, monotonic());
}

/* Under the lock, which is free meanwhile. */
static void wait_until(struct swki_audit_sync *sync, swk_time until)
{
    const struct timespec at = {
        .tv_sec = (time_t)(until / SWK_SECOND),
        .tv_nsec = (long)(until % SWK_SECOND),
    };

    (void)pthread_cond_timedwait(&sync->wakes, &sync->lock, &at);
}

static void wait_for_work(struct swki_audit_sync *sync, swk_time not_before)
{
    while (!sync->stopping && monotonic() < not_before) {
        wait_until(sync, not_before);
    }
    sync->idle = true;
    while (!has_work(sync)) {
        if (sync->key.len > 0 && sync->written.link.seq != sync->signed_seq) {
            wait_until(sync, sync->sign_at);
        } else {
            pthread_cond_wait(&sync->wakes, &sync->lock);
        }
    }
    sync->idle = false;
}

static void *run(void *ctx)
{
    struct swki_audit_sync *sync = ctx;
    swk_time not_before = 0;
    struct round r = {0};

    while (!r.last) {
        swk_time began;
        int rc;

        pthread_mutex_lock(&sync->lock);
        wait_for_work(sync, not_before);
        began = monotonic();
        take_round(sync, began, &r);
        pthread_mutex_unlock(&sync->lock);
        rc = sync_files(sync, &r);
        if (rc == 0 && r.remove_to > 0) {
            swki_audit_files_remove(&sync->config.files, r.remove_to);
        }
        note_round(sync, rc, &r);
        if (rc == 0 && r.sign) {
            struct swk_error err;
            int signing = write_checkpoint(sync, &r.written, &err);

            note_checkpoint(sync, &r, began, signing, &err);
        }
        not_before =
            began + (rc == 0 ? sync->config.interval_ns : FAILED_PAUSE);
    }
    return NULL;
}

int swki_audit_sync_start(struct swki_audit_sync *sync,
                          const struct swki_audit_sync_config *config,
                          struct swk_error *err)
{
    pthread_condattr_t attr;
    int rc;

    *sync = (struct swki_audit_sync){.config = *config, .fd = -1};
    sync->removed = config->files.first > 0 ? config->files.first - 1 : 0;
    swki_buf_init(&sync->key, config->alloc, SWKI_PEM_LEN_MAX);
    swki_buf_init(&sync->certificate, config->alloc, SWKI_PEM_LEN_MAX);
    pthread_mutex_init(&sync->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&sync->wakes, &attr);
    pthread_condattr_destroy(&attr);
    rc = pthread_create(&sync->thread, NULL, run, sync);
    sync->started = rc == 0;
    return rc == 0 ? SWK_OK
                   : swki_fail(err, SWK_ENOMEM,
                               "no thread for the audit log: %s", strerror(rc));
}

void swki_audit_sync_stop(struct swki_audit_sync *sync)
{
    const struct swki_file_io *io = sync->config.files.io;

    if (sync->started) {
        pthread_mutex_lock(&sync->lock);
        sync->stopping = true;
        pthread_cond_signal(&sync->wakes);
        pthread_mutex_unlock(&sync->lock);
        pthread_join(sync->thread, NULL);
    }
    if (sync->fd >= 0) {
        io->close(io->ctx, sync->fd);
    }
    pthread_cond_destroy(&sync->wakes);
    pthread_mutex_destroy(&sync->lock);
    swki_buf_fini(&sync->certificate);
    wipe_buf(&sync->key);
}

/* -- The loop's side ------------------------------------------------------ */

bool swki_audit_sync_has_room(struct swki_audit_sync *sync)
{
    bool has_room;

    pthread_mutex_lock(&sync->lock);
    has_room = sync->retired_count < SWKI_AUDIT_RETIRED_MAX;
    pthread_mutex_unlock(&sync->lock);
    return has_room;
}

void swki_audit_sync_written(struct swki_audit_sync *sync, int fd,
                             const struct swki_audit_point *point,
                             uint64_t oldest)
{
    pthread_mutex_lock(&sync->lock);
    if (fd != sync->fd && sync->fd >= 0) {
        assert(sync->retired_count < SWKI_AUDIT_RETIRED_MAX);
        sync->retired[sync->retired_count++] = sync->fd;
    }
    sync->fd = fd;
    sync->written = *point;
    sync->oldest = oldest;
    /* Not for each record: while it syncs, and until it is to do so again, it
     * would only look at the time. */
    if (sync->idle) {
        pthread_cond_signal(&sync->wakes);
    }
    pthread_mutex_unlock(&sync->lock);
}

bool swki_audit_sync_failed(struct swki_audit_sync *sync)
{
    bool failed;

    pthread_mutex_lock(&sync->lock);
    failed = sync->failed;
    pthread_mutex_unlock(&sync->lock);
    return failed;
}

int swki_audit_sync_set_key(struct swki_audit_sync *sync, struct swki_pem key,
                            struct swki_pem certificate, struct swk_error *err)
{
    bool ok;

    pthread_mutex_lock(&sync->lock);
    swki_wipe(sync->key.data, sync->key.size);
    swki_buf_fini(&sync->key); /* growing would free what is not wiped */
    swki_buf_clear(&sync->certificate);
    ok = swki_buf_append(&sync->certificate, certificate.text,
                         certificate.len) &&
         swki_buf_append(&sync->key, key.text, key.len);
    /* What the old one signed may lead to a root that is trusted no more. */
    sync->key_changes++;
    sync->signed_seq = 0;
    sync->sign_at = 0;
    pthread_cond_signal(&sync->wakes);
    pthread_mutex_unlock(&sync->lock);
    return ok ? SWK_OK : swki_fail_nomem(err);
}

void swki_audit_sync_point(struct swki_audit_sync *sync,
                           struct swki_audit_point *out_point)
{
    pthread_mutex_lock(&sync->lock);
    *out_point = sync->synced;
    pthread_mutex_unlock(&sync->lock);
}
