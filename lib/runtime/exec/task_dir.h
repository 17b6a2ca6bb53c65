/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A task's directory, and the shim in it: what <swarmkit/shim.h> describes,
 * from the executor's side. All state of a task that outlives the agent is
 * here, so every question is answered by looking.
 */

#ifndef SWKI_EXEC_TASK_DIR_H
#define SWKI_EXEC_TASK_DIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <swarmkit/error.h>

#include "base/buf.h"

/* The directories of an executor, and its shim. */
struct swki_task_dirs {
    int state_fd;
    int tasks_fd;
    int removed_fd;
    char *shim_path;
};

/* How a workload ended. */
struct swki_task_exit {
    bool ran; /* status and pid are valid; else failed says why it did not */
    bool oom;
    int status;
    int64_t pid;
    char failed[SWK_ERROR_TEXT_SIZE];
};

enum swki_task_state {
    SWKI_TASK_NOT_STARTED, /* and maybe not prepared */
    SWKI_TASK_ATTACHED,    /* a shim is there, and a socket to it */
    SWKI_TASK_BUSY,        /* a shim is there, but does not listen (yet) */
    SWKI_TASK_ENDED,       /* there is an exit file */
    SWKI_TASK_LOST,        /* started, but neither shim nor exit file */
};

/* Opens or makes the directories; SWK_EBUSY if another executor has them. */
int swki_task_dirs_open(struct swki_task_dirs *out_dirs, const char *state_dir,
                        const char *shim_path, struct swk_error *err);
void swki_task_dirs_close(struct swki_task_dirs *dirs);

bool swki_task_prepared(const struct swki_task_dirs *dirs, const char *id);

/* Whether a start was attempted. */
bool swki_task_started(const struct swki_task_dirs *dirs, const char *id);

/* Makes the directory and writes the instructions. */
int swki_task_prepare(const struct swki_task_dirs *dirs, const char *id,
                      const struct swki_buf *instructions,
                      struct swk_error *err);

/*
 * Starts the shim of a prepared task. SWK_EEXIST if that was attempted before;
 * otherwise, on failure, nothing was started and another try is possible.
 * secrets_fd is passed on to it if it is not 0; it stays the caller's.
 * out_pid is the shim, a child to be reaped if it ends before the agent does.
 */
int swki_task_start(const struct swki_task_dirs *dirs, const char *id,
                    int secrets_fd, int *out_socket, pid_t *out_pid,
                    struct swk_error *err);

/* out_socket is written for SWKI_TASK_ATTACHED, out_exit for
 * SWKI_TASK_ENDED. */
enum swki_task_state swki_task_attach(const struct swki_task_dirs *dirs,
                                      const char *id, int *out_socket,
                                      struct swki_task_exit *out_exit);

/* Starts the shim to kill what a dead shim left; to be reaped. */
int swki_task_clean(const struct swki_task_dirs *dirs, const char *id,
                    pid_t *out_pid, struct swk_error *err);

/*
 * Makes the task unknown, and starts the shim to delete it; to be reaped.
 * SWK_ENOTFOUND if there is none.
 */
int swki_task_remove(const struct swki_task_dirs *dirs, const char *id,
                     pid_t *out_pid, struct swk_error *err);

/* Deletes tasks whose ID is not kept, and what was being deleted; waits for
 * it. */
void swki_task_sweep(const struct swki_task_dirs *dirs,
                     bool (*keep)(void *ctx, const char *id), void *ctx);

#endif
