/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * An executor that runs tasks as processes of this machine, without an engine.
 *
 * Each task's process runs under a small program of its own, the shim, which
 * stores its output and its exit status. So tasks outlive the agent, and a
 * restarted one finds them again by the task's ID in the state directory.
 *
 * An `image` is either "host", the machine's own file system, or the absolute
 * path of a directory, which becomes the root directory and is not changed:
 * what the task writes goes to an overlay that is deleted with it. There is no
 * entry point: `command` and `args` together are the command line.
 *
 * Processes use the host's network. As root, tasks get a cgroup, limits, a
 * user of their own and the usual small set of capabilities; without root,
 * whatever would need it is refused when the controller is made, as is all
 * else that cannot be honoured. What this node can do is in its description,
 * as labels of the engine: `swarmkit.executor`, `swarmkit.cgroup`,
 * `swarmkit.limits`, `swarmkit.images`.
 */

#ifndef SWARMKIT_PROCESS_EXECUTOR_H
#define SWARMKIT_PROCESS_EXECUTOR_H

#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/executor.h>

SWK_BEGIN_DECLS

/** How to run processes. Zero and NULL mean the default. */
struct swk_process_executor_config {
    size_t size; /**< sizeof(struct swk_process_executor_config). */
    /** Directory of the tasks, made if its parent exists; of one executor at a
     * time. Required; copied. */
    const char *state_dir;
    /** Path of the program swarm-shim. Required; copied. */
    const char *shim_path;
    /** Name in the node's description; NULL for the machine's; copied. */
    const char *hostname;
    /** Name of the cgroup that holds those of the tasks, below the mount points
     * of the hierarchies; one for each executor of a machine. NULL for
     * "swarm"; copied. */
    const char *cgroup_parent;
    /** "gpu=UUID1,gpu=UUID2,fpga=4", or NULL for none; copied. */
    const char *generic_resources;
    /** Bytes of a task's log file before the next is begun; 0 for 10 MiB. */
    uint64_t log_file_size;
    /** Log files a task keeps; 0 for 2, at most 100. */
    uint32_t log_files_count;
    uint32_t reserved; /**< 0. */
    /** Where records go, from the executor's thread; NULL for nowhere.
     * Borrowed until swk_process_executor_free(). */
    const struct swk_logger *logger;
};

#define SWK_PROCESS_EXECUTOR_CONFIG_INIT                                       \
    {                                                                          \
        sizeof(struct swk_process_executor_config), NULL, NULL, NULL, NULL,    \
            NULL, 0, 0, 0, NULL                                                \
    }

/**
 * Makes an executor, with a thread of its own on which operations end.
 *
 * Tasks that run in the state directory already are left alone; controllers
 * for them pick them up. Operations never block in begin().
 *
 * @param config        Borrowed for the call; not NULL.
 * @param out_executor  Receives the port, to be released with
 *                      swk_process_executor_free(); not NULL.
 * @param err           Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for missing or wrong configuration; SWK_ENOTSUP for a
 *         configuration with fields this library does not know; SWK_EBUSY if
 *         another executor uses the state directory; SWK_EIO; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_process_executor_new(const struct swk_process_executor_config *config,
                         struct swk_executor *out_executor,
                         struct swk_error *err);

/**
 * Stops the thread and forgets the controllers, not the workloads.
 *
 * Operations under way do not report their end any more. Not to be called
 * from the done callback. Shims that this executor started are children of
 * this process; those that end later than the executor are not reaped by it.
 *
 * @param executor  As made by swk_process_executor_new(), or zeroed; zeroed by
 *                  the call; may be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_process_executor_free(struct swk_executor *executor);

SWK_END_DECLS

#endif
