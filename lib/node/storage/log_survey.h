/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a manager's log comes to, read while the manager does not run: the
 * members and the objects after the last entry, and what those entries would
 * change that were not known to be committed.
 */

#ifndef SWKI_NODE_LOG_SURVEY_H
#define SWKI_NODE_LOG_SURVEY_H

#include <swarmkit/file_storage.h>

#include "core/membership/membership.h"
#include "core/store/store.h"

/* Objects of a kind in entries that were not known to be committed. */
struct swki_log_changes {
    uint64_t created;
    uint64_t updated;
    uint64_t removed;
};

struct swki_log_survey {
    const struct swk_alloc *alloc;
    const char *node_id; /* that the log must be of */
    uint64_t raft_id;    /* 0: the log is empty */
    uint64_t commit_index;
    struct swki_store *store;
    struct swki_membership *membership;
    struct swki_log_changes changes[SWKI_KINDS_COUNT];
    uint64_t membership_changes; /* likewise */
};

/* Reads the log. SWK_EPRECONDITION if it is empty, SWK_ECORRUPT if it is
 * another node's; else as the storage. */
int swki_log_survey_init(struct swki_log_survey *survey,
                         const struct swk_file_storage_config *config,
                         const char *node_id, struct swk_error *err);
/* Also after a failure. */
void swki_log_survey_fini(struct swki_log_survey *survey);

#endif
