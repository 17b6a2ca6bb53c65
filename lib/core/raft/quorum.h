/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a majority has, and what a majority decided; plain arithmetic.
 *
 * A joint configuration has two halves, each a majority of its own: what it
 * has or decides follows from those of its halves. A half without voters has
 * no say.
 */

#ifndef SWKI_CORE_RAFT_QUORUM_H
#define SWKI_CORE_RAFT_QUORUM_H

#include <stddef.h>
#include <stdint.h>

/* What nobody limits: the commit index of no voters. */
#define SWKI_RAFT_UNLIMITED UINT64_MAX

/* What came of a vote. */
enum swki_raft_verdict {
    SWKI_RAFT_PENDING = 0,
    SWKI_RAFT_LOST = 1,
    SWKI_RAFT_WON = 2,
};

/* How many of so many voters are a majority (R-QUO-1). */
size_t swki_raft_majority(size_t voters_count);

/* The highest value that a majority has reached, given one for each voter, 0
 * for those not heard of; sorts them in place (R-QUO-2). */
uint64_t swki_raft_quorum_reached(uint64_t *values, size_t count);

/* The same for both halves of a joint configuration, given those of each. */
uint64_t swki_raft_joint_reached(uint64_t a, uint64_t b);

/* What so many voters decided, of whom some said yes and some no (R-QUO-3). */
enum swki_raft_verdict swki_raft_quorum_verdict(size_t voters_count,
                                                size_t yes_count,
                                                size_t no_count);

/* The same for both halves of a joint configuration, given those of each. */
enum swki_raft_verdict swki_raft_joint_verdict(enum swki_raft_verdict a,
                                               enum swki_raft_verdict b);

#endif
