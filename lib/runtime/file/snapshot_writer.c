/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/file/snapshot_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/file/conf_state.h"

const char swki_snapshot_temporary[] = "snapshot.tmp";
const char swki_snapshot_part[] = "snapshot.part";

/* Data as it was given. */
struct part {
    struct part *next;
    size_t len;
    uint8_t data[];
};

struct swki_snapshot_job {
    struct swki_snapshot_job *next;
    struct swki_place place;
    bool resumable;
    uint64_t offset; /* of the data that was there when it began */

    /* Guarded by the writer's mutex. */
    uint32_t key; /* in use when it began; the thread may change it */
    struct part *parts;
    struct part *last_part;
    size_t queued;     /* bytes of the parts, and of the one being written */
    uint64_t accepted; /* bytes of data, with those that were there */
    bool ended;        /* all of it was given */
    bool finished;     /* and the writer's caller has no more to do with it */
    bool given_up;
    bool keep;  /* what there is of one that was given up */
    bool begun; /* the thread has come to it */
    bool durable;
    bool over;                /* the thread has no more to do with it */
    struct swk_error failure; /* code 0: none */

    /* The thread's. */
    struct swki_snapshot_file file;
    bool has_file;
    bool renamed;
    uint64_t synced; /* bytes of data */

    size_t members_len;
    uint8_t members[];
};

/* -- The thread ----------------------------------------------------------- */

static uint32_t newest_key(const struct swki_snapshot_writer *writer)
{
    return writer->at->ring != NULL ? swki_keyring_newest(writer->at->ring) : 0;
}

static void final_name(const struct swki_place *place,
                       char out_name[SWKI_SNAPSHOT_NAME_SIZE])
{
    snprintf(out_name, SWKI_SNAPSHOT_NAME_SIZE,
             "snapshot-%016" PRIx64 "-%016" PRIx64, place->index, place->term);
}

static const char *early_name(const struct swki_snapshot_job *job)
{
    return job->resumable ? swki_snapshot_part : swki_snapshot_temporary;
}

static int key_changed(const struct swki_snapshot_job *job,
                       struct swk_error *err)
{
    return swki_fail(err, SWK_EPRECONDITION,
                     "the snapshot at %" PRIu64 " is given up: its key was "
                     "changed",
                     job->place.index);
}

/* One that was finished counts, whatever its key: the storage would fail with
 * it. Its file was made after the key changed, so this is the new one. */
static void take_new_key(struct swki_snapshot_writer *writer,
                         struct swki_snapshot_job *job)
{
    pthread_mutex_lock(&writer->mutex);
    if (job->finished) {
        job->key = job->file.seal.number;
    }
    pthread_mutex_unlock(&writer->mutex);
}

static int reopen_part(struct swki_snapshot_writer *writer,
                       struct swki_snapshot_job *job, struct swk_error *err)
{
    struct swki_snapshot_file *file = &job->file;
    int rc = swki_snapshot_file_open(writer->at, swki_snapshot_part,
                                     &job->place, file, err);

    if (rc != SWK_OK) {
        return rc;
    }
    job->has_file = true;
    if (file->complete || file->members_len != job->members_len ||
        memcmp(file->head + SWKI_SNAPSHOT_HEAD_SIZE, job->members,
               job->members_len) != 0) {
        return swki_fail(err, SWK_EIO, "%s/%s became another",
                         writer->at->dir_path, file->name);
    }
    job->synced = job->offset;
    return swki_snapshot_file_resume(file, job->offset, err);
}

static int begin_file(struct swki_snapshot_writer *writer,
                      struct swki_snapshot_job *job, struct swk_error *err)
{
    int rc;

    if (job->offset > 0) {
        rc = reopen_part(writer, job, err);
    } else {
        writer->has_part = writer->has_part || job->resumable;
        rc = swki_snapshot_file_create(writer->at, early_name(job), &job->place,
                                       job->members, job->members_len,
                                       &job->file, err);
        job->has_file = rc == SWK_OK;
        if (rc == SWK_OK) {
            take_new_key(writer, job);
        }
    }
    if (rc == SWK_OK && job->file.seal.number != job->key) {
        rc = key_changed(job, err);
    }
    return rc;
}

/* A file that cannot be removed costs space only. */
static void remove_file(struct swki_snapshot_writer *writer, const char *name)
{
    const struct swki_snapshot_place *at = writer->at;
    int rc = at->io->remove(at->io->ctx, at->dir, name);

    if (rc < 0 && rc != -ENOENT) {
        swki_log(at->logger, SWK_LOG_WARN, "file", "cannot remove %s/%s: %s",
                 at->dir_path, name, strerror(-rc));
    }
}

static void remove_part(struct swki_snapshot_writer *writer)
{
    if (writer->has_part) {
        remove_file(writer, swki_snapshot_part);
    }
    writer->has_part = false;
}

/* What is on the disk must be good before anything older goes. */
static int read_back(struct swki_snapshot_writer *writer,
                     const struct swki_snapshot_job *job, struct swk_error *err)
{
    struct swki_snapshot_file file;
    struct swk_error why;
    int rc = swki_snapshot_file_open(writer->at, early_name(job), &job->place,
                                     &file, &why);

    if (rc == SWK_OK) {
        bool same = file.complete && file.id == job->file.id &&
                    file.length == job->file.length;

        rc = same ? swki_snapshot_file_verify(&file, &why)
                  : swki_fail(&why, SWK_ECORRUPT, "%s is another", file.name);
        swki_snapshot_file_close(&file);
    }
    return rc == SWK_OK ? rc
                        : swki_fail(err, SWK_EIO,
                                    "a snapshot does not read back as it was "
                                    "written: %s",
                                    why.text);
}

static int give_name(struct swki_snapshot_writer *writer,
                     struct swki_snapshot_job *job, struct swk_error *err)
{
    const struct swki_snapshot_place *at = writer->at;
    char name[SWKI_SNAPSHOT_NAME_SIZE];

    final_name(&job->place, name);
    int rc = at->io->rename(at->io->ctx, at->dir, early_name(job), name);
    if (rc >= 0) {
        job->renamed = true;
        rc = at->io->sync_dir(at->io->ctx, at->dir);
    }
    return rc < 0
               ? swki_io_fail(err, rc, "rename", at->dir_path, early_name(job))
               : SWK_OK;
}

static int complete_file(struct swki_snapshot_writer *writer,
                         struct swki_snapshot_job *job, struct swk_error *err)
{
    int rc = swki_snapshot_file_complete(&job->file, err);

    if (rc == SWK_OK) {
        rc = read_back(writer, job, err);
    }
    if (rc == SWK_OK) {
        rc = give_name(writer, job, err);
    }
    return rc;
}

static int write_part(struct swki_snapshot_job *job, const struct part *part,
                      struct swk_error *err)
{
    int rc = swki_snapshot_file_add(&job->file, part->data, part->len, err);

    /* So that the end has little to wait for, and others' syncs too. */
    if (rc == SWK_OK &&
        job->file.length - job->synced >= SWKI_SNAPSHOT_SYNC_STEP) {
        job->synced = job->file.length;
        rc = swki_snapshot_file_sync(&job->file, err);
    }
    return rc;
}

/* It may be the only place where its secrets are in clear. */
static void free_part(struct swki_snapshot_writer *writer, struct part *part)
{
    explicit_bzero(part->data, part->len);
    swki_free(writer->at->alloc, part);
}

static void drop_parts(struct swki_snapshot_writer *writer,
                       struct swki_snapshot_job *job)
{
    while (job->parts != NULL) {
        struct part *next = job->parts->next;

        free_part(writer, job->parts);
        job->parts = next;
    }
    job->last_part = NULL;
    job->queued = 0;
}

enum step {
    STEP_WRITE,
    STEP_COMPLETE,
    STEP_STOP,
};

/* What there is to do now, under the mutex; false for nothing. */
static bool find_step(struct swki_snapshot_writer *writer,
                      struct swki_snapshot_job *job, enum step *out_step,
                      struct part **out_part)
{
    bool failed = job->failure.code != 0;

    if (failed || (job->given_up && !job->keep)) {
        drop_parts(writer, job);
    }
    if (job->parts != NULL) {
        *out_part = job->parts;
        job->parts = job->parts->next;
        job->last_part = job->parts != NULL ? job->last_part : NULL;
        *out_step = STEP_WRITE;
        return true;
    }
    if (job->given_up || (job->finished && (job->durable || failed))) {
        *out_step = STEP_STOP;
        return true;
    }
    *out_step = STEP_COMPLETE;
    return job->ended && !job->durable && !failed;
}

static enum step next_step(struct swki_snapshot_writer *writer,
                           struct swki_snapshot_job *job,
                           struct part **out_part)
{
    enum step step;

    pthread_mutex_lock(&writer->mutex);
    while (!find_step(writer, job, &step, out_part)) {
        pthread_cond_wait(&writer->work, &writer->mutex);
    }
    pthread_mutex_unlock(&writer->mutex);
    return step;
}

static void note_failure(struct swki_snapshot_writer *writer,
                         struct swki_snapshot_job *job,
                         const struct swk_error *err)
{
    pthread_mutex_lock(&writer->mutex);
    job->failure = *err;
    pthread_mutex_unlock(&writer->mutex);
}

/* What was given of the one before is written. */
static void note_begun(struct swki_snapshot_writer *writer,
                       struct swki_snapshot_job *job)
{
    pthread_mutex_lock(&writer->mutex);
    job->begun = true;
    pthread_cond_broadcast(&writer->over);
    pthread_mutex_unlock(&writer->mutex);
}

/* It counts by its name now; parts of one at or before it are of no use, and
 * those under another key are never gone on with. */
static void note_durable(struct swki_snapshot_writer *writer,
                         struct swki_snapshot_job *job)
{
    struct swki_snapshot_kept *kept = &writer->kept;
    uint32_t key = newest_key(writer);

    if (job->resumable) {
        writer->has_part = false;
    }
    pthread_mutex_lock(&writer->mutex);
    job->durable = true;
    bool useless =
        (kept->place.index <= job->place.index || kept->key != key) &&
        job->next == NULL; /* which may go on with it */
    if (useless) {
        kept->place.index = 0;
    }
    pthread_mutex_unlock(&writer->mutex);
    if (useless) {
        remove_part(writer);
    }
}

/* Takes one step after the other until the job is over. */
static void do_job(struct swki_snapshot_writer *writer,
                   struct swki_snapshot_job *job)
{
    struct swk_error err = {0};
    int rc = begin_file(writer, job, &err);

    note_begun(writer, job);
    for (;;) {
        struct part *part = NULL;

        if (rc != SWK_OK) {
            note_failure(writer, job, &err);
        }
        enum step step = next_step(writer, job, &part);
        if (step == STEP_STOP) {
            return;
        }
        if (step == STEP_COMPLETE) {
            rc = complete_file(writer, job, &err);
            if (rc == SWK_OK) {
                note_durable(writer, job);
            }
            continue;
        }
        rc = write_part(job, part, &err);
        pthread_mutex_lock(&writer->mutex);
        job->queued -= part->len;
        pthread_mutex_unlock(&writer->mutex);
        free_part(writer, part);
    }
}

/* What stays of a job on the disk. */
static void clear_up(struct swki_snapshot_writer *writer,
                     struct swki_snapshot_job *job)
{
    bool failed = job->failure.code != 0;
    char name[SWKI_SNAPSHOT_NAME_SIZE];

    if (job->has_file) {
        swki_snapshot_file_close(&job->file);
    }
    if (!failed && !(job->given_up && (!job->keep || job->renamed))) {
        return;
    }
    if (job->renamed) {
        final_name(&job->place, name);
        remove_file(writer, name);
    } else if (job->resumable) {
        remove_part(writer);
    } else {
        remove_file(writer, swki_snapshot_temporary);
    }
    if (failed && job->keep) {
        pthread_mutex_lock(&writer->mutex);
        writer->kept.place.index = 0;
        pthread_mutex_unlock(&writer->mutex);
    }
}

static void free_job(struct swki_snapshot_writer *writer,
                     struct swki_snapshot_job *job)
{
    drop_parts(writer, job);
    swki_free(writer->at->alloc, job);
}

static void *run(void *ctx)
{
    struct swki_snapshot_writer *writer = ctx;

    pthread_mutex_lock(&writer->mutex);
    while (writer->first != NULL || !writer->closing) {
        struct swki_snapshot_job *job = writer->first;

        if (job == NULL) {
            pthread_cond_wait(&writer->work, &writer->mutex);
            continue;
        }
        pthread_mutex_unlock(&writer->mutex);
        do_job(writer, job);
        clear_up(writer, job);
        pthread_mutex_lock(&writer->mutex);
        writer->first = job->next;
        if (writer->first == NULL) {
            writer->last = NULL;
        }
        job->over = true;
        pthread_cond_broadcast(&writer->over);
        if (!job->finished) {
            free_job(writer, job);
        }
    }
    pthread_mutex_unlock(&writer->mutex);
    return NULL;
}

/* -- The caller ----------------------------------------------------------- */

void swki_snapshot_writer_init(struct swki_snapshot_writer *writer,
                               const struct swki_snapshot_place *at)
{
    *writer = (struct swki_snapshot_writer){.at = at};
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->work, NULL);
    pthread_cond_init(&writer->over, NULL);
}

void swki_snapshot_writer_fini(struct swki_snapshot_writer *writer)
{
    swki_snapshot_writer_abort(writer, true);
    if (writer->started) {
        pthread_mutex_lock(&writer->mutex);
        writer->closing = true;
        pthread_cond_signal(&writer->work);
        pthread_mutex_unlock(&writer->mutex);
        pthread_join(writer->thread, NULL);
    }
    swki_free(writer->at->alloc, writer->kept.members);
    pthread_cond_destroy(&writer->over);
    pthread_cond_destroy(&writer->work);
    pthread_mutex_destroy(&writer->mutex);
}

/* Takes the members over; false for no memory. */
static bool keep_part(struct swki_snapshot_writer *writer,
                      const struct swki_place *place, uint64_t offset,
                      uint32_t key, const uint8_t *members, size_t len)
{
    struct swki_snapshot_kept *kept = &writer->kept;
    uint8_t *copy = swki_alloc(writer->at->alloc, len);

    if (copy == NULL) {
        return false;
    }
    memcpy(copy, members, len);
    swki_free(writer->at->alloc, kept->members);
    *kept = (struct swki_snapshot_kept){.place = *place,
                                        .members = copy,
                                        .members_len = len,
                                        .offset = offset,
                                        .key = key};
    return true;
}

/* Whether the file has anything that can be gone on with. */
static bool take_part(struct swki_snapshot_writer *writer,
                      struct swki_snapshot_file *file, uint64_t index)
{
    if (file->complete || file->place.index <= index ||
        file->chunk_size != writer->at->chunk_size ||
        file->seal.number != newest_key(writer)) {
        return false;
    }
    uint64_t offset = swki_snapshot_file_good(file);

    return offset > 0 &&
           keep_part(writer, &file->place, offset, file->seal.number,
                     file->head + SWKI_SNAPSHOT_HEAD_SIZE, file->members_len);
}

void swki_snapshot_writer_recover(struct swki_snapshot_writer *writer,
                                  uint64_t index)
{
    struct swki_snapshot_file file;
    int rc = swki_snapshot_file_open(writer->at, swki_snapshot_part, NULL,
                                     &file, NULL);

    remove_file(writer, swki_snapshot_temporary);
    writer->has_part = rc != SWK_ENOTFOUND;
    bool good = rc == SWK_OK && take_part(writer, &file, index);
    if (rc == SWK_OK) {
        swki_snapshot_file_close(&file);
    }
    if (!good) {
        remove_part(writer);
    }
}

static struct swki_snapshot_job *new_job(struct swki_snapshot_writer *writer,
                                         const struct swk_snapshot_meta *meta)
{
    size_t len = swki_conf_state_len(&meta->conf_state);
    struct swki_snapshot_job *job =
        swki_calloc(writer->at->alloc, 1, sizeof(*job) + len);

    if (job != NULL) {
        job->place = (struct swki_place){meta->index, meta->term};
        job->members_len = len;
        swki_conf_state_encode(&meta->conf_state, job->members);
        job->key = newest_key(writer);
    }
    return job;
}

/* Sees whether the job goes on with what is kept, which is spent then; a
 * resumable one takes its place otherwise. */
static void take_kept(struct swki_snapshot_writer *writer,
                      struct swki_snapshot_job *job)
{
    struct swki_snapshot_kept *kept = &writer->kept;

    if (kept->place.index == job->place.index &&
        kept->place.term == job->place.term && kept->key == job->key &&
        kept->members_len == job->members_len &&
        memcmp(kept->members, job->members, job->members_len) == 0) {
        job->offset = kept->offset;
        job->accepted = kept->offset;
    }
    kept->place.index = 0;
}

static int start(struct swki_snapshot_writer *writer, struct swk_error *err)
{
    int error = writer->started
                    ? 0
                    : pthread_create(&writer->thread, NULL, run, writer);

    if (error != 0) {
        return swki_fail(err, SWK_ENOMEM, "cannot start a thread: %s",
                         strerror(error));
    }
    writer->started = true;
    return SWK_OK;
}

static int add_job(struct swki_snapshot_writer *writer,
                   struct swki_snapshot_job *job, struct swk_error *err)
{
    if (writer->open != NULL) {
        return swki_fail(err, SWK_EBUSY,
                         "storage: a snapshot is being written");
    }
    int rc = start(writer, err);
    if (rc != SWK_OK) {
        return rc;
    }
    if (job->resumable) {
        take_kept(writer, job);
    }
    if (writer->last != NULL) {
        writer->last->next = job;
    } else {
        writer->first = job;
    }
    writer->last = job;
    writer->open = job;
    pthread_cond_signal(&writer->work);
    return SWK_OK;
}

int swki_snapshot_writer_begin(struct swki_snapshot_writer *writer,
                               const struct swk_snapshot_meta *meta,
                               uint64_t *out_offset, struct swk_error *err)
{
    struct swki_snapshot_job *job = new_job(writer, meta);

    if (job == NULL) {
        return swki_fail_nomem(err);
    }
    job->resumable = out_offset != NULL;
    pthread_mutex_lock(&writer->mutex);
    int rc = add_job(writer, job, err);
    pthread_mutex_unlock(&writer->mutex);
    if (rc != SWK_OK) {
        swki_free(writer->at->alloc, job);
        return rc;
    }
    if (out_offset != NULL) {
        *out_offset = job->offset;
    }
    return SWK_OK;
}

static int check_open(const struct swki_snapshot_job *job, uint32_t key,
                      struct swk_error *err)
{
    if (job == NULL) {
        return swki_fail(err, SWK_EPRECONDITION, "no snapshot was begun");
    }
    if (job->failure.code != 0) {
        return swki_fail(err, job->failure.code, "%s", job->failure.text);
    }
    return job->key != key ? key_changed(job, err) : SWK_OK;
}

static int add_part(struct swki_snapshot_writer *writer,
                    struct swki_snapshot_job *job, const uint8_t *data,
                    size_t len, struct swk_error *err)
{
    if (job->ended) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "storage: the snapshot was given whole");
    }
    if (job->queued > 0 && (job->queued > SWKI_SNAPSHOT_QUEUE_MAX ||
                            len > SWKI_SNAPSHOT_QUEUE_MAX - job->queued)) {
        return swki_fail(err, SWK_EUNAVAILABLE,
                         "storage: too much of a snapshot waits to be written");
    }
    struct part *part = swki_alloc(writer->at->alloc, sizeof(*part) + len);
    if (part == NULL) {
        return swki_fail_nomem(err);
    }
    *part = (struct part){.len = len};
    memcpy(part->data, data, len);
    if (job->last_part != NULL) {
        job->last_part->next = part;
    } else {
        job->parts = part;
    }
    job->last_part = part;
    job->queued += len;
    job->accepted += len;
    return SWK_OK;
}

static int end_parts(struct swki_snapshot_job *job, struct swk_error *err)
{
    job->ended = true;
    return job->durable ? SWK_OK
                        : swki_fail(err, SWK_EUNAVAILABLE,
                                    "storage: the snapshot is being written");
}

int swki_snapshot_writer_write(struct swki_snapshot_writer *writer,
                               const uint8_t *data, size_t len,
                               struct swk_error *err)
{
    uint32_t key = newest_key(writer);

    pthread_mutex_lock(&writer->mutex);
    int rc = check_open(writer->open, key, err);
    if (rc == SWK_OK && data == NULL) {
        rc = end_parts(writer->open, err);
    } else if (rc == SWK_OK && len > 0) {
        rc = add_part(writer, writer->open, data, len, err);
    }
    pthread_cond_signal(&writer->work);
    pthread_mutex_unlock(&writer->mutex);
    return rc;
}

static bool can_keep(struct swki_snapshot_writer *writer,
                     const struct swki_snapshot_job *job)
{
    uint64_t offset = job->accepted - job->accepted % writer->at->chunk_size;

    return job->resumable && job->failure.code == 0 && !job->ended &&
           offset > 0 &&
           keep_part(writer, &job->place, offset, job->key, job->members,
                     job->members_len);
}

void swki_snapshot_writer_abort(struct swki_snapshot_writer *writer, bool keep)
{
    pthread_mutex_lock(&writer->mutex);
    struct swki_snapshot_job *job = writer->open;
    if (job != NULL) {
        job->given_up = true;
        job->keep = keep && can_keep(writer, job);
        writer->open = NULL;
        pthread_cond_signal(&writer->work);
    }
    pthread_mutex_unlock(&writer->mutex);
}

static bool goes_on(const struct swki_snapshot_job *job,
                    const struct swki_place *place)
{
    return job != NULL && job->place.index == place->index &&
           job->place.term == place->term && job->offset > 0 && !job->ended;
}

uint64_t swki_snapshot_writer_found(struct swki_snapshot_writer *writer,
                                    const struct swki_place *place)
{
    pthread_mutex_lock(&writer->mutex);
    while (goes_on(writer->open, place) && !writer->open->begun) {
        pthread_cond_wait(&writer->over, &writer->mutex);
    }
    uint64_t found = goes_on(writer->open, place) ? writer->open->offset : 0;
    pthread_mutex_unlock(&writer->mutex);
    return found;
}

int swki_snapshot_writer_finish(struct swki_snapshot_writer *writer,
                                struct swki_snapshot_job **out_job,
                                struct swk_error *err)
{
    uint32_t key = newest_key(writer);

    pthread_mutex_lock(&writer->mutex);
    struct swki_snapshot_job *job = writer->open;
    int rc = check_open(job, key, err);
    if (rc == SWK_OK) {
        job->ended = true;
        job->finished = true;
        writer->open = NULL;
        pthread_cond_signal(&writer->work);
        *out_job = job;
    }
    pthread_mutex_unlock(&writer->mutex);
    return rc;
}

int swki_snapshot_job_wait(struct swki_snapshot_writer *writer,
                           struct swki_snapshot_job *job, struct swk_error *err)
{
    pthread_mutex_lock(&writer->mutex);
    while (!job->over) {
        pthread_cond_wait(&writer->over, &writer->mutex);
    }
    pthread_mutex_unlock(&writer->mutex);
    return job->failure.code == 0
               ? SWK_OK
               : swki_fail(err, job->failure.code, "%s", job->failure.text);
}

struct swki_place swki_snapshot_job_place(const struct swki_snapshot_job *job)
{
    return job->place;
}

uint32_t swki_snapshot_job_key(const struct swki_snapshot_job *job)
{
    return job->key;
}

void swki_snapshot_job_release(struct swki_snapshot_writer *writer,
                               struct swki_snapshot_job *job)
{
    (void)swki_snapshot_job_wait(writer, job, NULL);
    free_job(writer, job);
}
