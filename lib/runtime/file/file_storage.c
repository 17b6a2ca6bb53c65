/* SPDX-License-Identifier: Apache-2.0 */

/* The storage port: what is accepted is gathered, one thread writes it. */

#include "runtime/file/file_storage.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "runtime/file/conf_state.h"
#include "runtime/file/inspect.h"
#include "runtime/file/snapshot_reader.h"
#include "runtime/file/snapshot_writer.h"
#include "runtime/file/wal.h"

enum {
    SPARE_SIZE_MAX = 1024 * 1024, /* larger buffers are not kept */
    PID_TEXT_SIZE = 24,
    SNAPSHOT_CHUNKS_MIN = 32, /* of a snapshot, in what a segment takes */
};

static const char lock_name[] = "lock";

/* What goes to the disk in one go: records, then perhaps a snapshot. */
struct batch {
    struct batch *next;
    struct swki_buf records;
    uint64_t first_ticket; /* of the records */
    uint64_t last_ticket;
    struct swki_snapshot_job *snapshot; /* NULL: none */
    uint64_t snapshot_ticket;
    bool install;
};

struct storage {
    struct swki_file_io own_io; /* when nothing may be written */
    const struct swki_file_io *io;
    const struct swk_alloc *alloc;
    char *dir_path;
    swk_storage_done_fn done;
    void *done_ctx;
    uint64_t pending_size_max;
    int dir;
    int lock_fd;
    bool read_only;
    bool loaded;  /* load() was called */
    bool started; /* the thread runs */
    struct swki_keyring ring;
    struct swki_wal wal; /* load()'s, then the thread's */
    struct swki_snapshot_reader reader;
    struct swki_snapshot_writer writer;
    pthread_t thread;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t work;
    struct batch *oldest;
    struct batch *newest;
    struct batch *spare; /* one, or NULL */
    uint64_t pending_size;
    uint64_t last_ticket;
    uint64_t snapshot_index; /* of the newest accepted snapshot */
    bool closing;
    struct swk_error failure; /* code 0: none */
    uint64_t last_index;      /* highest index of an entry accepted */
    bool uses_old_key;
    uint64_t old_key_index; /* up to which something is under it */
    uint64_t generation;
};

static void free_batch(struct storage *s, struct batch *batch)
{
    if (batch != NULL) {
        swki_buf_fini(&batch->records);
        swki_free(s->alloc, batch);
    }
}

/* An empty batch at the end of the queue; NULL for no memory. */
static struct batch *add_batch(struct storage *s)
{
    struct batch *batch = s->spare;

    s->spare = NULL;
    if (batch == NULL) {
        batch = swki_calloc(s->alloc, 1, sizeof(*batch));
        if (batch == NULL) {
            return NULL;
        }
        swki_buf_init(&batch->records, s->alloc, SIZE_MAX);
    }
    if (s->newest != NULL) {
        s->newest->next = batch;
    } else {
        s->oldest = batch;
    }
    s->newest = batch;
    return batch;
}

/* Keeps an emptied batch for the next need. Under the mutex. */
static void recycle_batch(struct storage *s, struct batch *batch)
{
    s->pending_size -= batch->records.len;
    if (s->spare != NULL || batch->records.size > SPARE_SIZE_MAX) {
        free_batch(s, batch);
        return;
    }
    struct swki_buf records = batch->records;
    swki_buf_clear(&records);
    *batch = (struct batch){.records = records};
    s->spare = batch;
}

static int check_accepting(const struct storage *s, uint64_t ticket,
                           struct swk_error *err)
{
    if (!s->started) {
        return swki_fail(err, SWK_EPRECONDITION,
                         s->read_only ? "%s was opened for reading only"
                                      : "%s was not loaded",
                         s->dir_path);
    }
    if (s->failure.code != 0) {
        return swki_fail(err, s->failure.code, "%s", s->failure.text);
    }
    if (ticket <= s->last_ticket) {
        return swki_fail(err, SWK_EINVAL, "storage: tickets must ascend");
    }
    return SWK_OK;
}

static int add_record(struct storage *s, const struct swk_hard_state *state,
                      const struct swk_log_entry *entries, size_t entries_count,
                      uint64_t ticket, struct swk_error *err)
{
    size_t payload_len = swki_append_size(state, entries, entries_count);
    bool sealed = swki_keyring_newest(&s->ring) != 0;
    size_t size = swki_record_size(payload_len, sealed);
    struct batch *batch = s->newest;

    if (payload_len == 0 || size > s->pending_size_max - s->pending_size) {
        return swki_fail(err, SWK_ELIMIT,
                         "storage: more than %llu bytes wait to be written",
                         (unsigned long long)s->pending_size_max);
    }
    if (batch == NULL || batch->snapshot != NULL) {
        batch = add_batch(s);
    }
    uint8_t *at =
        batch != NULL ? swki_buf_reserve(&batch->records, size) : NULL;
    if (at == NULL) {
        return swki_fail_nomem(err);
    }
    swki_record_begin(at, SWKI_RECORD_APPEND, payload_len, sealed);
    swki_append_encode(at + SWKI_RECORD_HEADER_SIZE, state, entries,
                       entries_count);
    if (batch->records.len == 0) {
        batch->first_ticket = ticket;
    }
    batch->records.len += size;
    batch->last_ticket = ticket;
    s->pending_size += size;
    s->last_ticket = ticket;
    if (entries_count > 0 && entries[entries_count - 1].index > s->last_index) {
        s->last_index = entries[entries_count - 1].index;
    }
    return SWK_OK;
}

static int append(void *ctx, const struct swk_hard_state *state,
                  const struct swk_log_entry *entries, size_t entries_count,
                  uint64_t ticket, struct swk_error *err)
{
    struct storage *s = ctx;

    pthread_mutex_lock(&s->mutex);
    int rc = check_accepting(s, ticket, err);
    if (rc == SWK_OK) {
        rc = add_record(s, state, entries, entries_count, ticket, err);
    }
    if (rc == SWK_OK) {
        pthread_cond_signal(&s->work);
    }
    pthread_mutex_unlock(&s->mutex);
    return rc;
}

/* A batch that ends in the snapshot. */
static int add_snapshot(struct storage *s, struct swki_snapshot_job *job,
                        bool install, uint64_t ticket, struct swk_error *err)
{
    int rc = check_accepting(s, ticket, err);
    struct batch *batch = s->newest;

    if (rc != SWK_OK) {
        return rc;
    }
    if (batch == NULL || batch->snapshot != NULL) {
        batch = add_batch(s);
    }
    if (batch == NULL) {
        return swki_fail_nomem(err);
    }
    batch->snapshot = job;
    batch->install = install;
    batch->snapshot_ticket = ticket;
    s->snapshot_index = swki_snapshot_job_place(job).index;
    s->last_ticket = ticket;
    pthread_cond_signal(&s->work);
    return SWK_OK;
}

static int check_begin(struct storage *s, const struct swk_snapshot_meta *meta,
                       struct swk_error *err)
{
    pthread_mutex_lock(&s->mutex);
    int rc = check_accepting(s, s->last_ticket + 1, err);
    if (rc == SWK_OK && (meta->index <= s->snapshot_index ||
                         swki_conf_state_len(&meta->conf_state) == 0)) {
        rc = swki_fail(err, SWK_EINVAL,
                       "storage: snapshots must ascend in index");
    }
    pthread_mutex_unlock(&s->mutex);
    return rc;
}

static int begin_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                          uint64_t *out_offset, struct swk_error *err)
{
    struct storage *s = ctx;
    int rc = check_begin(s, meta, err);

    return rc != SWK_OK
               ? rc
               : swki_snapshot_writer_begin(&s->writer, meta, out_offset, err);
}

static int write_snapshot(void *ctx, const uint8_t *data, size_t len,
                          struct swk_error *err)
{
    struct storage *s = ctx;

    return swki_snapshot_writer_write(&s->writer, data, len, err);
}

static int check_ticket(struct storage *s, uint64_t ticket,
                        struct swk_error *err)
{
    pthread_mutex_lock(&s->mutex);
    int rc = check_accepting(s, ticket, err);
    pthread_mutex_unlock(&s->mutex);
    return rc;
}

static int finish_snapshot(void *ctx, int32_t install, uint64_t ticket,
                           struct swk_error *err)
{
    struct storage *s = ctx;
    struct swki_snapshot_job *job;
    int rc = check_ticket(s, ticket, err);

    if (rc == SWK_OK) {
        rc = swki_snapshot_writer_finish(&s->writer, &job, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    pthread_mutex_lock(&s->mutex);
    rc = add_snapshot(s, job, install != 0, ticket, err);
    pthread_mutex_unlock(&s->mutex);
    if (rc != SWK_OK) { /* without its record it is removed at the next load */
        swki_snapshot_job_release(&s->writer, job);
    }
    return rc;
}

static void abort_snapshot(void *ctx, int32_t keep)
{
    struct storage *s = ctx;

    swki_snapshot_writer_abort(&s->writer, keep != 0);
}

static int read_snapshot(void *ctx, uint64_t index, uint64_t term,
                         uint64_t offset, uint8_t *buf, size_t size,
                         size_t *out_len, uint64_t *out_total,
                         struct swk_error *err)
{
    struct storage *s = ctx;
    char name[SWKI_WAL_NAME_SIZE];
    struct swki_snapshot_source source = {.name = name, .place = {index, term}};

    source.good = swki_snapshot_writer_found(&s->writer, &source.place);
    swki_wal_snapshot_name(&source.place, name);
    if (source.good > 0) {
        source.name = swki_snapshot_part;
    }
    return swki_snapshot_reader_read(&s->reader, &source, offset, buf, size,
                                     out_len, out_total, err);
}

static int identify(void *ctx, const uint8_t *identity, size_t len,
                    struct swk_error *err)
{
    struct storage *s = ctx;

    if (len < 1 || len > SWKI_IDENTITY_MAX) {
        return swki_fail(err, SWK_EINVAL, "storage: identity of %zu bytes",
                         len);
    }
    pthread_mutex_lock(&s->mutex);
    int rc = check_accepting(s, s->last_ticket + 1, err);
    pthread_mutex_unlock(&s->mutex);
    if (rc != SWK_OK) {
        return rc;
    }
    struct swk_error why;
    rc = swki_wal_identify(&s->wal, identity, len, &why);
    if (rc == SWK_OK) {
        return SWK_OK;
    }
    pthread_mutex_lock(&s->mutex);
    s->failure = why; /* R-DSK-1: nothing is tried again */
    pthread_mutex_unlock(&s->mutex);
    return swki_fail(err, rc, "%s", why.text);
}

/* The oldest batch, off the queue; NULL when closing and all is written. */
static struct batch *next_batch(struct storage *s)
{
    struct batch *batch = NULL;

    pthread_mutex_lock(&s->mutex);
    while (s->oldest == NULL && !s->closing) {
        pthread_cond_wait(&s->work, &s->mutex);
    }
    batch = s->oldest;
    if (batch != NULL) {
        s->oldest = batch->next;
        batch->next = NULL;
    }
    if (s->oldest == NULL) {
        s->newest = NULL;
    }
    pthread_mutex_unlock(&s->mutex);
    return batch;
}

static void note_keys(struct storage *s)
{
    pthread_mutex_lock(&s->mutex);
    if (s->uses_old_key) {
        s->uses_old_key = swki_wal_uses_old_key(&s->wal, &s->old_key_index);
    }
    pthread_mutex_unlock(&s->mutex);
}

/* Tells how a write ended. The first failure is the last word of all. */
static void report(struct storage *s, uint64_t first_ticket,
                   uint64_t last_ticket, int code, const struct swk_error *err)
{
    note_keys(s);
    if (code == SWK_OK) {
        s->done(s->done_ctx, last_ticket, SWK_OK, NULL);
        return;
    }
    pthread_mutex_lock(&s->mutex);
    s->failure = *err;
    pthread_mutex_unlock(&s->mutex);
    swki_log(s->wal.logger, SWK_LOG_ERROR, "file",
             "%s; nothing is written any more", err->text);
    s->done(s->done_ctx, first_ticket, code, err);
}

/* The snapshot's bytes are durable, or will be; then its record follows. */
static void write_snapshot_record(struct storage *s, const struct batch *batch)
{
    struct swki_wal_snapshot snapshot = {
        .place = swki_snapshot_job_place(batch->snapshot),
    };
    struct swk_error err = {0};

    if (s->failure.code == 0) {
        int rc = swki_snapshot_job_wait(&s->writer, batch->snapshot, &err);

        if (rc == SWK_OK) {
            snapshot.key = swki_snapshot_job_key(batch->snapshot);
            rc = swki_wal_save_snapshot(&s->wal, &snapshot, batch->install,
                                        &err);
        }
        report(s, batch->snapshot_ticket, batch->snapshot_ticket, rc, &err);
    }
    swki_snapshot_job_release(&s->writer, batch->snapshot);
}

/* What others asked for since the last batch. */
static void before_batch(struct storage *s)
{
    pthread_mutex_lock(&s->mutex);
    if (s->generation != s->wal.generation) {
        s->wal.generation = s->generation;
        s->wal.generation_due = true;
    }
    pthread_mutex_unlock(&s->mutex);
}

/* Nothing is tried after a failure: not even a sync that "succeeds" would tell
 * what is on the disk. Only the thread sets the failure, so it may read it. */
static void write_batch(struct storage *s, struct batch *batch)
{
    struct swk_error err = {0};

    before_batch(s);
    if (s->failure.code == 0 && batch->records.len > 0) {
        int rc = swki_wal_write(&s->wal, batch->records.data,
                                batch->records.len, &err);

        report(s, batch->first_ticket, batch->last_ticket, rc, &err);
    }
    if (batch->snapshot != NULL) {
        write_snapshot_record(s, batch);
    }
    pthread_mutex_lock(&s->mutex);
    recycle_batch(s, batch);
    pthread_mutex_unlock(&s->mutex);
}

static void *run(void *ctx)
{
    struct storage *s = ctx;

    for (struct batch *batch = next_batch(s); batch != NULL;
         batch = next_batch(s)) {
        write_batch(s, batch);
    }
    return NULL;
}

static int load(void *ctx, const struct swk_storage_replay *replay,
                struct swk_error *err)
{
    struct storage *s = ctx;

    if (s->loaded) {
        return swki_fail(err, SWK_EPRECONDITION, "%s was loaded already",
                         s->dir_path);
    }
    s->loaded = true;
    int rc = swki_wal_load(&s->wal, replay, err);
    if (rc != SWK_OK) {
        return rc;
    }
    s->snapshot_index = s->wal.snapshot.index;
    swki_wal_find_snapshot_keys(&s->wal);
    s->last_index = s->wal.last.index;
    s->generation = s->wal.generation;
    s->uses_old_key = swki_wal_uses_old_key(&s->wal, &s->old_key_index);
    if (s->read_only) {
        return SWK_OK;
    }
    swki_snapshot_writer_recover(&s->writer, s->snapshot_index);
    int error = pthread_create(&s->thread, NULL, run, s);
    if (error != 0) {
        return swki_fail(err, SWK_ENOMEM, "cannot start a thread: %s",
                         strerror(error));
    }
    s->started = true;
    return SWK_OK;
}

/* Also of a half-opened one. */
static void destroy(struct storage *s)
{
    swki_snapshot_writer_fini(&s->writer);
    swki_snapshot_reader_fini(&s->reader);
    swki_wal_close(&s->wal);
    if (s->lock_fd >= 0) {
        s->io->close(s->io->ctx, s->lock_fd);
    }
    if (s->dir >= 0) {
        s->io->close(s->io->ctx, s->dir);
    }
    free_batch(s, s->spare);
    swki_keyring_fini(&s->ring);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->mutex);
    swki_free(s->alloc, s->dir_path);
    swki_free(s->alloc, s);
}

static void close_storage(void *ctx)
{
    struct storage *s = ctx;

    if (s->started) {
        pthread_mutex_lock(&s->mutex);
        s->closing = true;
        pthread_cond_signal(&s->work);
        pthread_mutex_unlock(&s->mutex);
        pthread_join(s->thread, NULL);
    }
    destroy(s);
}

/* Fills in the defaults. */
static int check_sizes(struct swk_file_storage_config *c, struct swk_error *err)
{
    if (c->segment_size == 0) {
        c->segment_size = SWK_FILE_STORAGE_SEGMENT_SIZE;
    }
    if (c->segment_size < SWK_FILE_STORAGE_SEGMENT_SIZE_MIN ||
        c->segment_size > SWK_FILE_STORAGE_SEGMENT_SIZE_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "file storage: segment_size out of range");
    }
    if (c->pending_size_max == 0) {
        c->pending_size_max = SWK_FILE_STORAGE_PENDING_SIZE_MAX;
    }
    if (c->snapshots_max == 0) {
        c->snapshots_max = SWK_FILE_STORAGE_SNAPSHOTS_MAX;
    }
    if (c->spares_max == 0) {
        c->spares_max = SWK_FILE_STORAGE_SPARES_MAX;
    }
    if (c->spares_max > SWKI_WAL_SPARES) {
        return swki_fail(err, SWK_EINVAL,
                         "file storage: spares_max out of range");
    }
    if (c->reserve_size == 0) {
        c->reserve_size = 2 * c->segment_size;
    }
    return SWK_OK;
}

static int read_config(const struct swk_file_storage_config *config,
                       struct swk_file_storage_config *out_config,
                       struct swk_error *err)
{
    static const uint64_t flags =
        SWK_FILE_STORAGE_ACCEPT_UNSEALED | SWK_FILE_STORAGE_READ_ONLY;
    struct swk_file_storage_config c;
    int rc = swki_options_read(&c, sizeof(c), config, "swk_file_storage_config",
                               err);

    if (rc != SWK_OK) {
        return rc;
    }
    bool writes = (c.flags & SWK_FILE_STORAGE_READ_ONLY) == 0;
    if (c.dir == NULL || c.dir[0] == '\0' || (c.done == NULL && writes)) {
        return swki_fail(err, SWK_EINVAL,
                         "file storage: dir or done is missing");
    }
    if ((c.flags & ~flags) != 0) {
        return swki_fail(err, SWK_ENOTSUP, "file storage: unknown flags");
    }
    if (c.key == NULL && c.old_key != NULL && writes) {
        return swki_fail(err, SWK_EINVAL,
                         "file storage: an old key, and no key to write with");
    }
    rc = check_sizes(&c, err);
    if (rc == SWK_OK) {
        *out_config = c;
    }
    return rc;
}

static int in_use(struct storage *s, struct swk_error *err)
{
    char text[PID_TEXT_SIZE] = "";
    int64_t len =
        swki_io_read_all(s->io, s->lock_fd, text, sizeof(text) - 1, 0);
    long pid = len > 0 ? strtol(text, NULL, 10) : 0;

    return swki_fail(err, SWK_EBUSY, "%s is in use by process %ld", s->dir_path,
                     pid);
}

static int take_lock(struct storage *s, struct swk_error *err)
{
    const struct swki_file_io *io = s->io;
    char text[PID_TEXT_SIZE];

    s->lock_fd = io->open(io->ctx, s->dir, lock_name);
    if (s->lock_fd == -ENOENT) {
        s->lock_fd = io->create(io->ctx, s->dir, lock_name);
    }
    if (s->lock_fd < 0) {
        return swki_io_fail(err, s->lock_fd, "make", s->dir_path, lock_name);
    }
    int rc = io->lock(io->ctx, s->lock_fd);
    if (rc == -EAGAIN) {
        return in_use(s, err);
    }
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (rc >= 0) {
        rc = io->truncate(io->ctx, s->lock_fd, 0);
    }
    if (rc >= 0) {
        rc = swki_io_write_all(io, s->lock_fd, text, (size_t)len, 0);
    }
    return rc < 0 ? swki_io_fail(err, rc, "lock", s->dir_path, lock_name)
                  : SWK_OK;
}

static int open_to_read(struct storage *s, struct swk_error *err)
{
    s->dir = s->io->open_dir(s->io->ctx, s->dir_path);
    if (s->dir == -ENOENT) {
        return swki_fail(err, SWK_ENOTFOUND, "there is no %s", s->dir_path);
    }
    return s->dir < 0
               ? swki_io_fail(err, s->dir, "open directory", s->dir_path, "")
               : SWK_OK;
}

static int open_dir(struct storage *s, struct swk_error *err)
{
    if (s->read_only) {
        return open_to_read(s, err);
    }
    int rc = s->io->make_dir(s->io->ctx, s->dir_path);

    if (rc < 0) {
        return swki_io_fail(err, rc, "make directory", s->dir_path, "");
    }
    s->dir = s->io->open_dir(s->io->ctx, s->dir_path);
    if (s->dir < 0) {
        return swki_io_fail(err, s->dir, "open directory", s->dir_path, "");
    }
    return take_lock(s, err);
}

/* Who wants small segments has little room, and gets small buffers too. */
static uint32_t chunk_size(const struct swk_file_storage_config *config)
{
    uint64_t share = config->segment_size / SNAPSHOT_CHUNKS_MIN;

    return share < SWKI_SNAPSHOT_CHUNK ? (uint32_t)share : SWKI_SNAPSHOT_CHUNK;
}

/* A snapshot may use what is set aside, for it makes room (R-DSK-2). */
static bool make_room(void *ctx)
{
    return swki_wal_release_reserve(ctx);
}

static struct storage *new_storage(const struct swk_file_storage_config *config,
                                   const struct swki_file_io *io)
{
    struct storage *s = swki_calloc(config->alloc, 1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    s->read_only = (config->flags & SWK_FILE_STORAGE_READ_ONLY) != 0;
    s->own_io = *io;
    s->own_io.open = io->open_to_read;
    s->io = s->read_only ? &s->own_io : io;
    s->alloc = config->alloc;
    s->done = config->done;
    s->done_ctx = config->done_ctx;
    s->pending_size_max = config->pending_size_max;
    s->dir = -1;
    s->lock_fd = -1;
    s->dir_path = swki_strdup(config->alloc, config->dir);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->work, NULL);
    swki_keyring_init(&s->ring, config->alloc, config->key, config->old_key);
    s->wal = (struct swki_wal){
        .io = s->io,
        .alloc = config->alloc,
        .logger = config->logger,
        .dir_path = s->dir_path,
        .segment_size = config->segment_size,
        .snapshots_max = (size_t)config->snapshots_max,
        .spares_max = (size_t)config->spares_max,
        .reserve_size = config->reserve_size,
        .ring = &s->ring,
        .accept_unsealed =
            (config->flags & SWK_FILE_STORAGE_ACCEPT_UNSEALED) != 0,
        .read_only = s->read_only,
        .fd = -1,
        .followed_fd = -1,
    };
    s->wal.files = (struct swki_snapshot_place){
        .io = s->io,
        .alloc = config->alloc,
        .logger = config->logger,
        .dir_path = s->dir_path,
        .dir = -1,
        .ring = &s->ring,
        .accept_unsealed = s->wal.accept_unsealed,
        .chunk_size = chunk_size(config),
        .make_room = make_room,
        .make_room_ctx = &s->wal,
    };
    swki_snapshot_reader_init(&s->reader, &s->wal.files);
    swki_snapshot_writer_init(&s->writer, &s->wal.files);
    return s;
}

int swki_file_storage_open(const struct swk_file_storage_config *config,
                           const struct swki_file_io *io,
                           struct swk_storage *out_storage,
                           struct swk_error *err)
{
    struct swk_file_storage_config known = {0};
    int rc = read_config(config, &known, err);

    if (rc != SWK_OK) {
        return rc;
    }
    struct storage *s = new_storage(&known, io);
    if (s == NULL || s->dir_path == NULL) {
        if (s != NULL) {
            destroy(s);
        }
        return swki_fail_nomem(err);
    }
    rc = open_dir(s, err);
    if (rc != SWK_OK) {
        destroy(s);
        return rc;
    }
    s->wal.dir = s->dir;
    s->wal.files.dir = s->dir;
    *out_storage = (struct swk_storage){
        .size = sizeof(*out_storage),
        .ctx = s,
        .load = load,
        .append = append,
        .identify = identify,
        .begin_snapshot = begin_snapshot,
        .write_snapshot = write_snapshot,
        .finish_snapshot = finish_snapshot,
        .abort_snapshot = abort_snapshot,
        .read_snapshot = read_snapshot,
        .close = close_storage,
    };
    return SWK_OK;
}

int swk_file_storage_open(const struct swk_file_storage_config *config,
                          struct swk_storage *out_storage,
                          struct swk_error *err)
{
    if (out_storage == NULL) {
        return swki_fail(err, SWK_EINVAL, "file storage: NULL argument");
    }
    return swki_file_storage_open(config, &swki_file_io_posix, out_storage,
                                  err);
}

/* -- Inspection ----------------------------------------------------------- */

int swki_file_storage_inspect(const struct swk_file_storage_config *config,
                              const struct swki_file_io *io,
                              const struct swk_storage_inspector *inspector,
                              struct swk_error *err)
{
    struct swk_storage_inspector known = {0};
    struct swk_file_storage_config reading = {0};
    struct swk_storage storage;
    int rc = swki_options_read(&known, sizeof(known), inspector,
                               "swk_storage_inspector", err);

    if (rc == SWK_OK) {
        rc = swki_options_read(&reading, sizeof(reading), config,
                               "swk_file_storage_config", err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    reading.size = sizeof(reading);
    reading.flags =
        SWK_FILE_STORAGE_READ_ONLY | SWK_FILE_STORAGE_ACCEPT_UNSEALED;
    rc = swki_file_storage_open(&reading, io, &storage, err);
    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_wal_inspect(&((struct storage *)storage.ctx)->wal, &known, err);
    storage.close(storage.ctx);
    return rc;
}

int swk_file_storage_inspect(const struct swk_file_storage_config *config,
                             const struct swk_storage_inspector *inspector,
                             struct swk_error *err)
{
    return swki_file_storage_inspect(config, &swki_file_io_posix, inspector,
                                     err);
}

/* -- Keys and generation -------------------------------------------------- */

static int add_key(struct storage *s, const uint8_t *key, struct swk_error *err)
{
    uint64_t snapshot_next = s->snapshot_index > 0 ? s->snapshot_index + 1 : 0;

    if (swki_keyring_newest(&s->ring) == 0) {
        return swki_fail(err, SWK_EPRECONDITION, "%s has no key", s->dir_path);
    }
    if (swki_keyring_is_newest(&s->ring, key)) {
        return SWK_OK;
    }
    if (s->uses_old_key) {
        return swki_fail(err, SWK_EBUSY,
                         "%s is in part still under the key before the one in "
                         "use",
                         s->dir_path);
    }
    swki_keyring_add(&s->ring, key);
    s->uses_old_key = true;
    s->old_key_index =
        s->last_index > snapshot_next ? s->last_index : snapshot_next;
    return SWK_OK;
}

int swk_file_storage_set_key(const struct swk_storage *storage,
                             const uint8_t *key, struct swk_error *err)
{
    if (storage == NULL || key == NULL) {
        return swki_fail(err, SWK_EINVAL, "file storage: NULL argument");
    }
    struct storage *s = storage->ctx;

    pthread_mutex_lock(&s->mutex);
    int rc = check_accepting(s, s->last_ticket + 1, err);
    if (rc == SWK_OK) {
        rc = add_key(s, key, err);
    }
    pthread_mutex_unlock(&s->mutex);
    return rc;
}

int swk_file_storage_uses_old_key(const struct swk_storage *storage,
                                  uint64_t *out_index)
{
    struct storage *s = storage->ctx;

    pthread_mutex_lock(&s->mutex);
    int uses = s->uses_old_key;
    if (uses && out_index != NULL) {
        *out_index = s->old_key_index;
    }
    pthread_mutex_unlock(&s->mutex);
    return uses;
}

uint64_t swk_file_storage_generation(const struct swk_storage *storage)
{
    struct storage *s = storage->ctx;

    pthread_mutex_lock(&s->mutex);
    uint64_t generation = s->generation;
    pthread_mutex_unlock(&s->mutex);
    return generation;
}

void swki_file_storage_set_generation(const struct swk_storage *storage,
                                      uint64_t generation)
{
    struct storage *s = storage->ctx;

    pthread_mutex_lock(&s->mutex);
    s->generation = generation;
    pthread_mutex_unlock(&s->mutex);
}
