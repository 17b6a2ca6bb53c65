/* SPDX-License-Identifier: Apache-2.0 */

#include "sim/jobs.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* False at the end of the other side. */
static bool move_all(int fd, void *data, size_t len, bool in)
{
    uint8_t *at = data;

    while (len > 0) {
        ssize_t moved = in ? read(fd, at, len) : write(fd, at, len);

        if (moved <= 0) {
            return false;
        }
        at += moved;
        len -= (size_t)moved;
    }
    return true;
}

static void work(struct jobs *jobs, unsigned job, int out)
{
    uint64_t seed = jobs->first + job;
    struct result result;

    for (unsigned i = 0; i < job; i++) {
        close(jobs->pipes[i]);
    }
    do {
        jobs->run(jobs->ctx, seed, &result);
        seed += jobs->count;
    } while (move_all(out, &result, sizeof(result), false));
    _exit(0);
}

static void start(struct jobs *jobs, unsigned job)
{
    int ends[2];

    if (pipe(ends) != 0) {
        perror("raft-sim");
        exit(2);
    }
    fflush(NULL);
    jobs->pids[job] = fork();
    if (jobs->pids[job] < 0) {
        perror("raft-sim");
        exit(2);
    }
    if (jobs->pids[job] == 0) {
        close(ends[0]);
        work(jobs, job, ends[1]);
    }
    close(ends[1]);
    jobs->pipes[job] = ends[0];
}

void jobs_start(struct jobs *jobs, unsigned count, uint64_t first,
                jobs_run_fn run, const void *ctx)
{
    *jobs = (struct jobs){.count = count < JOBS_MAX ? count : JOBS_MAX,
                          .first = first,
                          .next = first,
                          .run = run,
                          .ctx = ctx};
    for (unsigned i = 0; count > 1 && i < jobs->count; i++) {
        start(jobs, i);
    }
}

void jobs_next(struct jobs *jobs, struct result *out)
{
    uint64_t seed = jobs->next++;
    unsigned job = (unsigned)((seed - jobs->first) % jobs->count);

    if (jobs->count == 1) {
        jobs->run(jobs->ctx, seed, out);
    } else if (!move_all(jobs->pipes[job], out, sizeof(*out), true)) {
        memset(out, 0, sizeof(*out));
        out->seed = seed;
        snprintf(out->broken, sizeof(out->broken), "the run died");
    }
}

void jobs_stop(struct jobs *jobs)
{
    for (unsigned i = 0; jobs->count > 1 && i < jobs->count; i++) {
        kill(jobs->pids[i], SIGTERM);
        waitpid(jobs->pids[i], NULL, 0);
        close(jobs->pipes[i]);
    }
}
