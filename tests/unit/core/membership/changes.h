/* SPDX-License-Identifier: Apache-2.0 */

/* Entries that change the membership, as a log holds them. */

#ifndef CHANGES_H
#define CHANGES_H

#include "core/membership/membership.h"

enum {
    ENTRY_SIZE_MAX = 4096,
};

struct entry {
    struct swk_log_entry log;
    uint8_t data[ENTRY_SIZE_MAX];
};

/* A change of one member. node NULL: without a context; more may be NULL. */
void make_change(struct entry *entry, int32_t type, uint64_t raft_id,
                 const char *node, const char *address, const char *more);

/* A change of several parts (raftpb.ConfChangeV2) without a context. */
void make_changes(struct entry *entry, const struct swk_raft_change *parts,
                  size_t parts_count);

/* Encodes a change as raft does. */
void encode_change(const struct swk_raft_conf_change *change,
                   struct entry *entry);

/* Applies a change of one member, and expects it to be taken. */
void put_member(struct swki_membership *membership, int32_t type,
                uint64_t raft_id, const char *node, const char *address);

/* A membership of voters 1 to count: nodes n1, n2, ... at 10.0.0.1:4242 and so
 * on. Member self is this manager. */
struct swki_membership *make_voters(uint64_t self, unsigned count);
struct swki_membership *make_voters_in(const struct swk_alloc *alloc,
                                       uint64_t self, unsigned count);

#endif
