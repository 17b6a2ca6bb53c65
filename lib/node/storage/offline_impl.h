/* SPDX-License-Identifier: Apache-2.0 */

/* What the files of <swarmkit/offline.h> share. */

#ifndef SWKI_NODE_OFFLINE_IMPL_H
#define SWKI_NODE_OFFLINE_IMPL_H

#include <pthread.h>
#include <stdbool.h>

#include <swarmkit/offline.h>

#include "base/arena.h"
#include "base/snapshot_meta.h"
#include "node/identity/credentials.h"

enum {
    SWKI_OFFLINE_PATH_SIZE = 4096,
};

struct swk_offline {
    struct swk_offline_config config;
    int lock;                            /* -1 for none */
    char *state_dir;                     /* in the arena, as all texts */
    struct swki_credentials credentials; /* the key file's content alone */
    struct swki_arena arena;
    const uint8_t *identity; /* as the storage keeps it */
    size_t identity_len;
    uint64_t raft_id;
    const char *node_id;
    struct swki_snapshot_meta meta; /* index 0: there is none */
    const uint8_t *snapshot;
    size_t snapshot_len;
    bool has_state;
    struct swk_hard_state state;
    struct swk_log_entry *entries; /* those behind the snapshot */
    size_t entries_count;
    size_t entries_size;
    uint64_t committed;
    uint64_t lost;
};

/* Reads the configuration of a caller; SWK_EINVAL if something is missing. */
int swki_offline_config_read(struct swk_offline_config *out_config,
                             const struct swk_offline_config *config,
                             struct swk_error *err);

/* -- A new directory ------------------------------------------------------ */

/*
 * A state directory in the making stands beside its place under another name,
 * and gets there in one step.
 */
struct swki_offline_target {
    char path[SWKI_OFFLINE_PATH_SIZE];
    char making[SWKI_OFFLINE_PATH_SIZE]; /* "" if there is nothing to undo */
};

/* SWK_EEXIST if anything is at either place. */
int swki_offline_target_begin(struct swki_offline_target *target,
                              const char *path, struct swk_error *err);
int swki_offline_target_finish(struct swki_offline_target *target,
                               struct swk_error *err);
/* Removes what was not finished; harmless after all else. */
void swki_offline_target_abandon(struct swki_offline_target *target);

/* -- A new log ------------------------------------------------------------ */

struct swki_offline_log {
    const char *state_dir;
    const uint8_t *key; /* NULL: it is not sealed */
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const uint8_t *identity;
    size_t identity_len;
    const struct swk_snapshot_meta *meta; /* NULL for no snapshot */
    const uint8_t *snapshot;
    size_t snapshot_len;
    const struct swk_hard_state *state; /* NULL for none */
    const struct swk_log_entry *entries;
    size_t entries_count;
};

/* Writes all of it, and waits until it is on the disk. */
int swki_offline_log_write(const struct swki_offline_log *log,
                           struct swk_error *err);

#endif
