/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * A port: what runs tasks on a node.
 *
 * For each task the agent asks the executor for a controller, and then has it
 * carry out one operation at a time. Operations are begun and report their end
 * later; at most one is under way for a controller, besides cancel().
 *
 * A workload must be found again by its task's ID after a restart of the
 * agent: the first operation on a new controller may be any of them. Stopping
 * the agent does not stop workloads.
 */

#ifndef SWARMKIT_PORT_EXECUTOR_H
#define SWARMKIT_PORT_EXECUTOR_H

#include <swarmkit/error.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** One task on this node; the executor's own type. */
typedef struct swk_controller swk_controller;

enum swk_operation {
    /** Take over a new version of the task (data: encoded Task). */
    SWK_OPERATION_UPDATE = 1,
    /** Create everything, so that a start is quick. */
    SWK_OPERATION_PREPARE = 2,
    /** Start, once; ends when the workload runs. */
    SWK_OPERATION_START = 3,
    /** Ends when the workload does; may be begun again after a cancel. */
    SWK_OPERATION_WAIT = 4,
    /** Stop signal, grace period, kill; fine if nothing runs. */
    SWK_OPERATION_SHUTDOWN = 5,
    /** Kill at once; fine if nothing runs. */
    SWK_OPERATION_TERMINATE = 6,
    /** Stop what runs and delete all that is left; fine if nothing is. */
    SWK_OPERATION_REMOVE = 7,
};

enum swk_outcome {
    SWK_OUTCOME_DONE = 0,      /**< As asked; for WAIT: exit status 0. */
    SWK_OUTCOME_ALREADY = 1,   /**< Was prepared, or started, before. */
    SWK_OUTCOME_CANCELED = 2,  /**< By cancel(); may be begun again. */
    SWK_OUTCOME_TEMPORARY = 3, /**< Failed, but worth another try. */
    SWK_OUTCOME_FATAL = 4,     /**< Failed for good; for WAIT: the workload
                                    ended with another status than 0. */
};

/** How an operation ended. A plain value. */
struct swk_operation_result {
    int32_t outcome;   /**< enum swk_outcome. */
    int32_t exit_code; /**< 128 + N after signal N. Valid if has_status. */
    int64_t pid;       /**< Main process, or 0. Valid if has_status. */
    int32_t has_status; /**< Not 0: the workload exists or existed. */
    uint32_t reserved;
    /** Names the workload for people: directory, container ID; or "". */
    char workload_id[SWK_ID_LEN_MAX + 1];
    /** Why, for TEMPORARY and FATAL; one line, NUL-terminated. */
    char text[SWK_ERROR_TEXT_SIZE];
};

/**
 * Told the end of an operation, exactly once for each begin(). Called on the
 * executor's thread, or within begin(); must not block and must not call the
 * executor.
 */
typedef void (*swk_operation_done_fn)(
    void *ctx, swk_controller *controller, void *controller_ctx,
    int32_t operation, const struct swk_operation_result *result);

/** A key of overlay networks. A plain value; wipe what is kept of it. */
struct swk_network_key {
    const char *subsystem; /**< "networking:gossip", "networking:ipsec". */
    int32_t algorithm;     /**< EncryptionKey.Algorithm: 0 is AES-128-GCM. */
    uint32_t reserved;
    uint64_t lamport_time; /**< Orders the keys of a subsystem. */
    const void *key;       /**< Secret. */
    size_t key_len;        /**< Bytes of it. */
};

/** Paths of a task, for swk_executor.refuse_links. */
enum {
    SWK_EXECUTOR_IMAGE_PATHS = 1 << 0, /**< Images that are directories. */
    SWK_EXECUTOR_BIND_PATHS = 1 << 1,  /**< Sources of bind mounts. */
};

enum {
    SWK_TASK_SECRET_MAX = 511999, /**< Bytes of a secret; at least 1. */
};

/** A secret as one task sees it. A plain value. */
struct swk_task_secret {
    /** By which the task's container names it, in its SecretReference. */
    const char *secret_id;
    int32_t templated; /**< Not 0: data is a template, to be expanded. */
    uint32_t reserved;
    struct swk_bytes data; /**< *Secret*: wipe what is kept of it. */
};

struct swk_executor {
    size_t size; /**< sizeof(struct swk_executor). */
    void *ctx;   /**< Passed to each function. */

    /**
     * Writes an encoded NodeDescription (hostname, platform, resources,
     * engine) to out_data and its length to out_len. Deterministic: the same
     * as long as the node does not change. SWK_ELIMIT if size is too small.
     */
    int (*describe)(void *ctx, void *out_data, size_t size, size_t *out_len,
                    struct swk_error *err);
    /**
     * Makes a controller for an encoded Task, which is borrowed for the call.
     * SWK_ENOTSUP or SWK_EINVAL name the field of the spec that this executor
     * cannot honour on this machine: nothing is silently dropped.
     */
    int (*controller_new)(void *ctx, const void *task, size_t task_len,
                          void *controller_ctx, swk_controller **out_controller,
                          struct swk_error *err);
    /** Begins an operation; data is borrowed for the call. */
    void (*begin)(void *ctx, swk_controller *controller, int32_t operation,
                  const void *data, size_t data_len);
    /** Asks for an early end of the operation under way, if there is one. */
    void (*cancel)(void *ctx, swk_controller *controller);
    /** Forgets the controller, not the workload. No operation under way. */
    void (*controller_free)(void *ctx, swk_controller *controller);
    /**
     * Removes workloads of this executor whose task is not in the list of
     * IDs: what an agent that lost its state left behind. May block.
     */
    void (*sweep)(void *ctx, const char *const *task_ids,
                  size_t task_ids_count);
    /**
     * Where done goes; set before the first begin(). NULL when the agent
     * stops: once this returns, done is not called any more, and controllers
     * whose operations are under way are the executor's to release.
     */
    void (*set_done)(void *ctx, swk_operation_done_fn done, void *done_ctx);
    /**
     * Takes the keys of overlay networks, all that are in use, in place of
     * those it had; borrowed for the call. Of each subsystem the newest is
     * taken for receiving, the middle one for sending. Comes only while this
     * node takes part in such a network. NULL if the executor has none.
     */
    void (*set_network_keys)(void *ctx, const struct swk_network_key *keys,
                             size_t keys_count);
    /**
     * The node's policy judges tasks by these paths (SWK_EXECUTOR_*_PATHS), and
     * a symbolic link leads past it: from now on a task fails to start if there
     * is one anywhere in such a path, in the moment in which it is used. Comes
     * before the first controller_new(), or never. NULL if the executor uses
     * no path of this machine; an agent with such a policy does not start with
     * one that has no field for it.
     */
    void (*refuse_links)(void *ctx, uint32_t paths);
    /**
     * Takes the secrets that the task's container names, one for each of its
     * references and in their order, in place of those it had; borrowed for
     * the call. Comes before each PREPARE and START of a task that names any.
     * They must not be written to a disk. A failure ends the operation, for
     * good. NULL if the executor's controller_new() refuses such tasks.
     */
    int (*set_secrets)(void *ctx, swk_controller *controller,
                       const struct swk_task_secret *secrets,
                       size_t secrets_count, struct swk_error *err);
};

SWK_END_DECLS

#endif
