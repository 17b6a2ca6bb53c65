/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The thread that makes the audit log durable: it syncs what was written, now
 * and then signs how far it is, and removes the oldest files.
 *
 * A checkpoint is never ahead of what is durable, or a loss of power would look
 * like a log that somebody has shortened.
 */

#ifndef SWKI_NODE_AUDIT_SYNC_H
#define SWKI_NODE_AUDIT_SYNC_H

#include <pthread.h>
#include <stdbool.h>

#include <swarmkit/log.h>
#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>

#include "crypto/x509.h"
#include "node/audit/audit_files.h"

enum {
    SWKI_AUDIT_RETIRED_MAX = 8, /* files that wait for their last sync */
};

struct swki_audit_sync_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const struct swk_clock *clock;
    const struct swk_entropy *entropy;
    struct swki_audit_files files; /* its directory */
    const char *node_id;
    swk_time interval_ns;   /* between two syncs, at least */
    swk_time checkpoint_ns; /* between two checkpoints, at least */
};

/* How far the log is written. */
struct swki_audit_point {
    struct swki_audit_link link;
    uint64_t file;
    uint64_t offset;
};

struct swki_audit_sync {
    struct swki_audit_sync_config config;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wakes; /* the thread */
    bool idle;            /* it waits for something to do */
    bool stopping;
    bool failed; /* the last sync did */
    bool sign_failed; /* the last checkpoint did */
    int fd;      /* of the file that is written to */
    int retired[SWKI_AUDIT_RETIRED_MAX];
    size_t retired_count;
    uint64_t oldest;  /* file that is kept; those before are removed */
    uint64_t removed; /* files up to it are gone */
    struct swki_audit_point written;
    struct swki_audit_point synced;
    uint64_t signed_seq;  /* of the last checkpoint */
    uint64_t key_changes; /* since it began */
    swk_time sign_at;     /* the next one is due */
    struct swki_buf key; /* PEM, to sign with; empty: nothing is signed */
    struct swki_buf certificate;
};

int swki_audit_sync_start(struct swki_audit_sync *sync,
                          const struct swki_audit_sync_config *config,
                          struct swk_error *err);

/* Syncs and signs what there is, then ends the thread; the files are closed. */
void swki_audit_sync_stop(struct swki_audit_sync *sync);

/* Whether the file may be changed for another one. */
bool swki_audit_sync_has_room(struct swki_audit_sync *sync);

/* More was written; fd is the file's, which the thread takes over from the
 * first time that it is named. */
void swki_audit_sync_written(struct swki_audit_sync *sync, int fd,
                             const struct swki_audit_point *point,
                             uint64_t oldest);

/* Whether the disk refuses to make the log durable. */
bool swki_audit_sync_failed(struct swki_audit_sync *sync);

/* The key, and its certificate, from now on; *copied*, and wiped. */
int swki_audit_sync_set_key(struct swki_audit_sync *sync, struct swki_pem key,
                            struct swki_pem certificate, struct swk_error *err);

/* What is durable. */
void swki_audit_sync_point(struct swki_audit_sync *sync,
                           struct swki_audit_point *out_point);

#endif
