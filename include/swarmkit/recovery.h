/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * What would become of a swarm of which one manager survived.
 *
 * When most managers are lost for good, no majority of them decides anything
 * any more. One that survived can be made the only one: see force_new_cluster
 * of struct swk_manager_config. Before that, swk_recovery_inspect() tells on
 * each survivor what it has, to choose among them, and what would change.
 */

#ifndef SWARMKIT_RECOVERY_H
#define SWARMKIT_RECOVERY_H

#include <swarmkit/error.h>
#include <swarmkit/manager.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

enum {
    SWK_RECOVERY_MEMBERS_MAX = 64, /**< That are told of. */
    SWK_RECOVERY_KINDS_MAX = 16,
};

/** A manager that would be removed from the group. */
struct swk_recovery_member {
    uint64_t raft_id;
    char node_id[SWK_ID_LEN_MAX + 1]; /**< "" if the log does not tell;
                                           likewise below. */
    char hostname[256];
    char address[300]; /**< "HOST:PORT". */
};

/** The objects of one kind. */
struct swk_recovery_objects {
    char kind[16];    /**< "service", "node", ... */
    uint64_t count;   /**< There would be. */
    uint64_t created; /**< By entries that were not known to be committed;
                           likewise below. */
    uint64_t updated;
    uint64_t removed;
};

/** What swk_recovery_inspect() found. A plain value. */
struct swk_recovery_report {
    size_t size; /**< sizeof(struct swk_recovery_report). */
    char node_id[SWK_ID_LEN_MAX + 1];
    char swarm_id[SWK_ID_LEN_MAX + 1];
    uint64_t raft_id;
    uint64_t term;           /**< That this manager reached. */
    uint64_t snapshot_index; /**< Of the newest snapshot; 0 for none. */
    uint64_t last_index;     /**< Of the log. */
    uint64_t last_term;      /**< Of its last entry. */
    /** Entries after it were not known to be committed; they are kept. */
    uint64_t commit_index;
    uint64_t forced_index; /**< Of the last entry after; last_index if there
                                is nothing to do. */
    /** How often the group was cut down to its only survivor before. */
    uint64_t generation;
    uint64_t membership_changes; /**< Entries that change the group, among those
                                      not known to be committed. */
    int32_t certificate_expired; /**< 1: it would be renewed. */
    uint32_t reserved;
    uint64_t members_count; /**< Other members, which would be removed. */
    struct swk_recovery_member members[SWK_RECOVERY_MEMBERS_MAX];
    uint64_t kinds_count;
    struct swk_recovery_objects kinds[SWK_RECOVERY_KINDS_MAX];
};

/**
 * Tells what a start with force_new_cluster would do, and does nothing. The
 * manager may be running.
 *
 * @param config      Of the manager; only its state directory, allocator,
 *                    logger, clock, entropy and unlock key count; not NULL.
 * @param out_report  Its size is set by the caller; receives the rest; not
 *                    NULL.
 * @param err         Receives the reason on failure; may be NULL.
 * @return 0; SWK_EPRECONDITION if it would be refused: the node is in no swarm
 *         or no manager, its log is empty or lost entries, or the group lacks
 *         it; SWK_EUNAVAILABLE if the manager runs and writes: try again;
 *         SWK_EDENIED if it is locked; SWK_ECORRUPT for a damaged log
 *         or identity; SWK_EINVAL; SWK_EIO; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_recovery_inspect(const struct swk_manager_config *config,
                     struct swk_recovery_report *out_report,
                     struct swk_error *err);

SWK_END_DECLS

#endif
