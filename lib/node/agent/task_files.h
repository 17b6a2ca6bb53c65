/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The tasks an agent knows, kept over its restarts: a file for each, with the
 * encoded Task and the node's own status of it, below <state>/worker/tasks.
 *
 * Files are replaced whole, but not synced: what a power failure takes is seen
 * again from the manager and the executor.
 */

#ifndef SWKI_NODE_TASK_FILES_H
#define SWKI_NODE_TASK_FILES_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>

/* Makes the directories. */
int swki_task_files_create(const char *state_dir, struct swk_error *err);

int swki_task_files_put(const char *state_dir, const char *task_id,
                        const void *data, size_t len, struct swk_error *err);

/* A file that is not there is fine. */
void swki_task_files_remove(const char *state_dir, const char *task_id);

/* Calls found for each task in no order; what it refuses is removed, but for
 * want of memory (SWK_ENOMEM), which ends the walk. */
int swki_task_files_load(const char *state_dir, const struct swk_alloc *alloc,
                         int (*found)(void *ctx, const void *data, size_t len),
                         void *ctx, struct swk_error *err);

#endif
