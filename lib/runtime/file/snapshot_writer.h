/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Snapshots are written by a thread of their own, part after part, so that
 * nothing that is appended to the log waits for their bytes.
 *
 * A snapshot is written to "snapshot.tmp", or to "snapshot.part" if it can be
 * gone on with. Once all of it was given it is completed, synced, read back,
 * and gets its name; that it counts is then for the log to say.
 *
 * The caller's functions are for one thread at a time; read, wait and release
 * for any.
 */

#ifndef SWKI_RUNTIME_FILE_SNAPSHOT_WRITER_H
#define SWKI_RUNTIME_FILE_SNAPSHOT_WRITER_H

#include <pthread.h>

#include "runtime/file/snapshot_file.h"

enum {
    SWKI_SNAPSHOT_QUEUE_MAX = 4 * 1024 * 1024, /* bytes given, not written */
    SWKI_SNAPSHOT_SYNC_STEP = 8 * 1024 * 1024, /* bytes between two syncs */
};

extern const char swki_snapshot_temporary[]; /* "snapshot.tmp" */
extern const char swki_snapshot_part[];      /* "snapshot.part" */

/* A snapshot from its beginning until it is durable or given up. */
struct swki_snapshot_job;

/* What is left of one that was given up, and can be gone on with. */
struct swki_snapshot_kept {
    struct swki_place place; /* index 0: nothing is */
    uint8_t *members;
    size_t members_len;
    uint64_t offset; /* bytes of data, in whole chunks */
    uint32_t key;
};

struct swki_snapshot_writer {
    const struct swki_snapshot_place *at;
    pthread_t thread;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t work;
    pthread_cond_t over;
    bool started; /* the thread runs; it does from the first snapshot on */
    bool closing;
    struct swki_snapshot_job *first; /* the thread's, then those that wait */
    struct swki_snapshot_job *last;
    struct swki_snapshot_job
        *open; /* the caller's, which is the last; or NULL */
    struct swki_snapshot_kept kept;
    bool has_part; /* there is a file of that name */
};

void swki_snapshot_writer_init(struct swki_snapshot_writer *writer,
                               const struct swki_snapshot_place *at);

/* Finishes what can be finished, and gives the rest up. */
void swki_snapshot_writer_fini(struct swki_snapshot_writer *writer);

/* Finds what is left from before, if it is after index and can be gone on
 * with, and removes it otherwise. Before all else. */
void swki_snapshot_writer_recover(struct swki_snapshot_writer *writer,
                                  uint64_t index);

/* As the functions of swk_storage. */
int swki_snapshot_writer_begin(struct swki_snapshot_writer *writer,
                               const struct swk_snapshot_meta *meta,
                               uint64_t *out_offset, struct swk_error *err);
int swki_snapshot_writer_write(struct swki_snapshot_writer *writer,
                               const uint8_t *data, size_t len,
                               struct swk_error *err);
void swki_snapshot_writer_abort(struct swki_snapshot_writer *writer, bool keep);

/* The length of what the snapshot at that place, which was begun, goes on
 * with, once all of that is written; 0 if it is another, or goes on with
 * nothing. */
uint64_t swki_snapshot_writer_found(struct swki_snapshot_writer *writer,
                                    const struct swki_place *place);

/* Takes the snapshot that was begun off the writer: it is to be completed. To
 * be released. */
int swki_snapshot_writer_finish(struct swki_snapshot_writer *writer,
                                struct swki_snapshot_job **out_job,
                                struct swk_error *err);

/* Waits until it is durable, or why it never will be. */
int swki_snapshot_job_wait(struct swki_snapshot_writer *writer,
                           struct swki_snapshot_job *job,
                           struct swk_error *err);

struct swki_place swki_snapshot_job_place(const struct swki_snapshot_job *job);

/* The number of the key that it is sealed by; 0 for none. After wait(). */
uint32_t swki_snapshot_job_key(const struct swki_snapshot_job *job);

/* Waits, then forgets it. */
void swki_snapshot_job_release(struct swki_snapshot_writer *writer,
                               struct swki_snapshot_job *job);

#endif
