/* SPDX-License-Identifier: Apache-2.0 */

#include "core/raft/quorum.h"

size_t swki_raft_majority(size_t voters_count)
{
    return voters_count / 2 + 1;
}

uint64_t swki_raft_quorum_reached(uint64_t *values, size_t count)
{
    if (count == 0) {
        return SWKI_RAFT_UNLIMITED;
    }

    /* Voters are few: nothing beats insertion here. */
    for (size_t i = 1; i < count; i++) {
        uint64_t value = values[i];
        size_t at = i;

        for (; at > 0 && values[at - 1] > value; at--) {
            values[at] = values[at - 1];
        }
        values[at] = value;
    }
    return values[count - swki_raft_majority(count)];
}

uint64_t swki_raft_joint_reached(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

enum swki_raft_verdict swki_raft_quorum_verdict(size_t voters_count,
                                                size_t yes_count,
                                                size_t no_count)
{
    size_t needed = swki_raft_majority(voters_count);

    if (voters_count == 0 || yes_count >= needed) {
        return SWKI_RAFT_WON;
    }
    return voters_count - no_count >= needed ? SWKI_RAFT_PENDING
                                             : SWKI_RAFT_LOST;
}

enum swki_raft_verdict swki_raft_joint_verdict(enum swki_raft_verdict a,
                                               enum swki_raft_verdict b)
{
    if (a == b) {
        return a;
    }
    if (a == SWKI_RAFT_LOST || b == SWKI_RAFT_LOST) {
        return SWKI_RAFT_LOST;
    }
    return SWKI_RAFT_PENDING;
}
