/* SPDX-License-Identifier: Apache-2.0 */

/* The inside of a member, for its own files and its tests. */

#ifndef SWKI_CORE_RAFT_RAFT_H
#define SWKI_CORE_RAFT_RAFT_H

#include <stdbool.h>

#include <swarmkit/raft.h>

#include "core/raft/log.h"

enum {
    /* Writes given to the storage and not confirmed; while there are as many,
     * further entries wait, and then go out together. */
    SWKI_RAFT_WRITES_MAX = 64,
};

/* A write under way. */
struct swki_raft_write {
    uint64_t ticket;
    uint64_t index; /* of the last entry in the log when it was given out */
    uint64_t term;  /* the member's own at that moment */
};

enum swki_raft_stage {
    SWKI_RAFT_RESTORING, /* swk_raft_restore_...() may be called */
    SWKI_RAFT_RUNNING,
    SWKI_RAFT_FAILED, /* for good */
};

struct swk_raft {
    struct swk_raft_config config; /* defaults filled in */
    enum swki_raft_stage stage;
    enum swk_raft_role role;
    struct swk_hard_state state;  /* as it is now */
    struct swk_hard_state stored; /* as last given out */
    uint64_t leader;
    swk_time deadline;

    struct swki_raft_log log;
    uint64_t unstored; /* first index not given to the storage */
    uint64_t durable;
    uint64_t applying; /* given out to be applied */
    uint64_t applied;
    uint64_t applying_size;    /* bytes between applied and applying */
    uint64_t uncommitted_size; /* bytes proposed by this leader, not applied */
    uint64_t own_first;        /* index of the leader's first entry; else 0 */

    uint64_t last_ticket;                                /* given out */
    struct swki_raft_write writes[SWKI_RAFT_WRITES_MAX]; /* a ring */
    size_t writes_first;
    size_t writes_count;

    struct swk_snapshot_meta snapshot; /* newest durable one */
    struct swk_snapshot_meta saving;   /* given to the storage; index 0: none */
    uint64_t saving_ticket;
    uint64_t snapshot_size; /* bytes applied since the last one was begun */
    uint64_t wanted;        /* index it was wanted at; 0: not asked for */
    uint64_t abandoned;     /* applied when one was given up; else 0 */

    bool state_restored;
    bool announced;    /* leadership was gained, by the actions */
    bool lost;         /* must be said by the next actions */
    bool failure_told; /* by the actions */
    struct swk_error failure;
    struct swk_raft_actions actions;
};

/* The invariants of section 22 that one member can check at a constant cost;
 * NULL, or what is broken. */
const char *swki_raft_check(const struct swk_raft *raft);

/* Gives up for good; the first reason stays. */
void swki_raft_fail(struct swk_raft *raft, int code, const char *text);

/* Starts an election (R-ELE-1 to R-ELE-3). The log has room for the leader's
 * first entry. */
void swki_raft_campaign(struct swk_raft *raft);

/* The storage has everything up to a ticket: the own vote, own entries. */
void swki_raft_acknowledge(struct swk_raft *raft, uint64_t ticket);

#endif
