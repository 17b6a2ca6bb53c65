/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The keys of a manager's log, in the node's key file and in the storage: there
 * is one before the log is opened the first time; they are locked and unlocked
 * as the swarm decides; and when that, or a wish in the file, asks for another
 * key, the log changes over to it, a step a turn.
 *
 * Threads: the loop's.
 */

#ifndef SWKI_NODE_LOG_KEYS_H
#define SWKI_NODE_LOG_KEYS_H

#include <swarmkit/file_storage.h>

#include "core/autolock/rotation.h"
#include "node/identity/credentials.h"
#include "node/manager/manager.h"

struct swki_log_keys_config {
    const struct swk_logger *logger;
    const struct swk_entropy *entropy;
    const char *state_dir; /* of the credentials; outlives the keys */
    struct swki_credentials *credentials; /* likewise */
    void *ctx;
    /* The managers are locked from now on, and this node's own key lay on the
     * disk in clear until now; within turn(). */
    void (*locked)(void *ctx);
};

/* A manager is locked under a key so long after it learnt of it. Whoever had
 * the swarm choose the key gets to see it meanwhile: of a swarm's only manager
 * that is locked and dies, nobody else could tell it. */
#define SWKI_LOG_KEYS_LOCK_DELAY (2 * SWK_SECOND)

struct swki_log_keys {
    struct swki_log_keys_config config;
    struct swki_rotation rotation;
    uint64_t followed; /* version of the cluster that the lock is of */
    struct swk_unlock_key awaited; /* the one to lock under next; secret */
    swk_time lock_at;              /* under it; 0: there is none */
    swk_time retry_at;   /* after what failed */
    swk_time advance_at; /* the log again, for a snapshot's sake */
};

/* Makes a first key, if there is none. */
int swki_log_keys_init(struct swki_log_keys *keys,
                       const struct swki_log_keys_config *config,
                       struct swk_error *err);
/* Also of those that were never made, if all is zero. */
void swki_log_keys_fini(struct swki_log_keys *keys);

/* Those of a key file to open the storage with; borrowed until they change. */
void swki_log_keys_choose(const struct swki_data_keys *keys,
                          struct swk_file_storage_config *out_config);

/* The manager has read its log from the storage. */
void swki_log_keys_loaded(struct swki_log_keys *keys,
                          const struct swki_manager *manager,
                          const struct swk_storage *storage);

/* Does what is due, after the manager's turn; returns when to call again. */
swk_time swki_log_keys_turn(struct swki_log_keys *keys,
                            struct swki_manager *manager,
                            const struct swk_storage *storage, swk_time now);

#endif
