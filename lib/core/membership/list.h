/* SPDX-License-Identifier: Apache-2.0 */

/* The list's insides, and changes of it as they are read from the log. */

#ifndef SWKI_MEMBERSHIP_LIST_H
#define SWKI_MEMBERSHIP_LIST_H

#include "base/arena.h"
#include "core/membership/membership.h"
#include "snapshot.pb-c.h" /* and with it the right raft.pb-c.h */

/* Members in ascending order; each points into memory of its own. */
struct swki_member_list {
    struct swki_member *members;
    size_t count;
    size_t size;
};

/* Numbers, ascending, each once. */
struct swki_numbers {
    uint64_t *items;
    size_t count;
    size_t size;
};

struct swki_membership {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    uint64_t self;
    uint64_t leader;
    struct swki_member_list list;
    struct swki_numbers removed;
    struct swki_numbers tellers; /* who says that this manager was removed */
    uint64_t version;
    uint64_t generation;
    bool gone; /* this manager's removal was told */
};

bool swki_numbers_has(const struct swki_numbers *numbers, uint64_t number);
/* Makes room for more numbers; false for no memory. */
bool swki_numbers_reserve(const struct swk_alloc *alloc,
                          struct swki_numbers *numbers, size_t more);
/* There must be room. A number that is there stays once. */
void swki_numbers_add(struct swki_numbers *numbers, uint64_t number);

/* What a message says of a member, with the texts copied to memory that the
 * member keeps. */
int swki_member_make(const struct swk_alloc *alloc,
                     const Swkpb__RaftMember *message,
                     struct swki_member *out_member, struct swk_error *err);
void swki_member_drop(const struct swk_alloc *alloc,
                      struct swki_member *member);

/* Where the number is, or would be. */
size_t swki_member_list_seek(const struct swki_member_list *list,
                             uint64_t raft_id);
struct swki_member *swki_member_list_find(const struct swki_member_list *list,
                                          uint64_t raft_id);
bool swki_member_list_reserve(const struct swk_alloc *alloc,
                              struct swki_member_list *list, size_t more);
/* There must be room, and the number not be there; member is taken. */
void swki_member_list_insert(struct swki_member_list *list,
                             const struct swki_member *member);
void swki_member_list_remove(const struct swk_alloc *alloc,
                             struct swki_member_list *list, uint64_t raft_id);
void swki_member_list_fini(const struct swk_alloc *alloc,
                           struct swki_member_list *list);

/* The message of a member, in the arena; NULL for no memory. */
Swkpb__RaftMember *swki_member_message(const struct swki_member *member,
                                       struct swki_arena *arena);

/* Whether a message can be a member at all. */
bool swki_member_message_valid(const Swkpb__RaftMember *message);

/* -- Changes of the log (change.c) ---------------------------------------- */

struct swki_member_change {
    struct swk_raft_change parts[SWK_RAFT_CHANGES_MAX];
    size_t parts_count;
    const Swkpb__RaftMember *member; /* of the context; NULL for none */
};

/* Reads an entry, into the arena. SWK_EMALFORMED for one that no manager can
 * make sense of; SWK_ENOMEM. */
int swki_member_change_read(const struct swk_log_entry *entry,
                            struct swki_arena *arena,
                            struct swki_member_change *out_change,
                            struct swk_error *err);

#endif
