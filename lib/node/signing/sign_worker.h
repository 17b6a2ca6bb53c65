/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The signer port for code that blocks: a queue of jobs, and threads that do
 * one after the other.
 *
 * Threads start with the first job that needs them, since most managers never
 * lead. Jobs are copied, and wiped when they are done.
 *
 * Threads: any.
 */

#ifndef SWKI_NODE_SIGN_WORKER_H
#define SWKI_NODE_SIGN_WORKER_H

#include <swarmkit/alloc.h>
#include <swarmkit/port/signer.h>

#include "crypto/job.h"

enum {
    SWKI_SIGN_THREADS_MAX = 8,
    SWKI_SIGN_QUEUE_MAX = 256, /* jobs that wait or are being done */
    SWKI_SIGN_URLS_MAX = 32,   /* of one job */
};

struct swki_sign_worker_config {
    const struct swk_alloc *alloc;
    size_t threads_max; /* 0: one */
    size_t jobs_max;    /* 0: SWKI_SIGN_QUEUE_MAX */
    void *ctx;
    /* Does a job, for as long as that takes; on one of the threads. The result
     * is as for struct swk_sign_result. */
    int (*work)(void *ctx, const struct swk_sign_request *request,
                struct swki_job_output *output, struct swk_error *err);
};

struct swki_sign_worker;

int swki_sign_worker_new(const struct swki_sign_worker_config *config,
                         struct swki_sign_worker **out_worker,
                         struct swk_error *err);
/* Waits for the jobs that are being done; nobody is told of any more. */
void swki_sign_worker_free(struct swki_sign_worker *worker);

/* The port; good until the worker is freed. */
struct swk_signer swki_sign_worker_port(struct swki_sign_worker *worker);

#endif
