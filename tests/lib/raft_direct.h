/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Raft members that hand each other their messages at once, with disks that
 * are done at once: nothing but the members themselves takes time or memory.
 */

#ifndef TESTS_LIB_RAFT_DIRECT_H
#define TESTS_LIB_RAFT_DIRECT_H

#include <stdbool.h>

#include <swarmkit/raft.h>

enum {
    DIRECT_MEMBERS_MAX = 7,
};

struct direct {
    uint64_t count;
    swk_time now;
    swk_raft *members[DIRECT_MEMBERS_MAX + 1]; /* by ID, from 1 */
    uint64_t applied[DIRECT_MEMBERS_MAX + 1];
    bool leads[DIRECT_MEMBERS_MAX + 1];
    bool due[DIRECT_MEMBERS_MAX + 1]; /* told something since its actions */
    uint64_t messages; /* sent so far */
    uint64_t writes;   /* of all disks so far */
    uint64_t snapshots;
    uint64_t reads; /* answered */
    int rc;         /* of the first call that failed; 0 */
};

/* Makes members 1 to count from a configuration, whose id and seed are filled
 * in. 0, or what failed. */
int direct_found(struct direct *d, uint64_t count,
                 const struct swk_raft_config *config);
void direct_free(struct direct *d);

/* Proposes to the one that leads. */
int direct_propose(struct direct *d, const void *data, size_t len,
                   uint64_t *out_index);

/* Lets everything happen that needs no time. */
void direct_settle(struct direct *d);

/* Lets a tick pass. */
void direct_tick(struct direct *d);

/* The one that leads; NULL if there is none. */
swk_raft *direct_leader(const struct direct *d);

/* Whether all have applied up to an index. */
bool direct_all_applied(const struct direct *d, uint64_t index);

#endif
