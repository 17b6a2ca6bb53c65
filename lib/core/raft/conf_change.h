/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The payload of an entry that changes the membership: raftpb.ConfChange and
 * raftpb.ConfChangeV2, read and written by hand, since both are small and an
 * unchecked length here would reach every member.
 */

#ifndef SWKI_CORE_RAFT_CONF_CHANGE_H
#define SWKI_CORE_RAFT_CONF_CHANGE_H

#include <stdbool.h>

#include <swarmkit/raft.h>

/* Reads the payload of an entry of type 1 or 2. changes has room for
 * SWK_RAFT_CHANGES_MAX; out_change points at it, and at data for its context.
 * Unknown fields are skipped; false for anything malformed. */
bool swki_conf_change_decode(int32_t type, const uint8_t *data,
                             size_t data_len, struct swk_raft_change *changes,
                             struct swk_raft_conf_change *out_change);

/* Bytes of the payload of an entry of type 2. */
size_t swki_conf_change_size(const struct swk_raft_conf_change *change);

/* Writes as many; none at all for a change that leaves a joint configuration
 * and has no context. */
void swki_conf_change_encode(const struct swk_raft_conf_change *change,
                             uint8_t *out);

/* The same for the older form, an entry of type 1, which has exactly one
 * change and no transition. */
size_t swki_conf_change_v1_size(const struct swk_raft_conf_change *change);
void swki_conf_change_v1_encode(const struct swk_raft_conf_change *change,
                                uint8_t *out);

#endif
