/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Runs in several processes at once, whose results come in the order of their
 * seeds: what is told of them does not depend on how many there are.
 */

#ifndef TESTS_SIM_JOBS_H
#define TESTS_SIM_JOBS_H

#include <sys/types.h>

#include "sim/sim.h"

enum {
    JOBS_MAX = 256,
};

/* How a run ended. */
struct result {
    uint64_t seed;
    struct stats stats;
    char broken[400]; /* "" if no rule was */
};

typedef void (*jobs_run_fn)(const void *ctx, uint64_t seed, struct result *out);

struct jobs {
    unsigned count;
    uint64_t first; /* seed */
    uint64_t next;
    jobs_run_fn run;
    const void *ctx;
    pid_t pids[JOBS_MAX]; /* with one job there is none */
    int pipes[JOBS_MAX];
};

/* Begins with a seed; run is called in this process if there is one job. */
void jobs_start(struct jobs *jobs, unsigned count, uint64_t first,
                jobs_run_fn run, const void *ctx);
/* The result of the next seed. A run that took its process with it is told as
 * one that broke a rule. */
void jobs_next(struct jobs *jobs, struct result *out);
/* Ends those under way. */
void jobs_stop(struct jobs *jobs);

#endif
