/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The managers of the swarm, as the members of its raft group.
 *
 * Every manager keeps this list. What is replicated of it changes by committed
 * entries and by snapshots alone, so that it is the same on all managers after
 * the same entry: who is a member, where, and which numbers are used up. What a
 * manager knows on its own stands beside it: who leads, and who can be reached.
 *
 * One committed change of membership is handled thus, on every manager:
 *
 *     swki_membership_apply(membership, entry, &outcome, err);
 *     swk_raft_apply_conf_change(raft, entry, outcome.reject, err);
 *     what outcome says, such as connecting to the members as they are now
 *
 * A change is described by its context, an encoded RaftMember. The first of a
 * member's addresses is its `addr`; further ones follow in `more_addrs`.
 */

#ifndef SWKI_MEMBERSHIP_MEMBERSHIP_H
#define SWKI_MEMBERSHIP_MEMBERSHIP_H

#include <stdbool.h>

#include <swarmkit/raft.h>

#include "base/buf.h"

enum {
    SWKI_MEMBER_ADDRESSES_MAX = 8,   /* of one member */
    SWKI_MEMBER_ADDRESS_LEN_MAX = 262, /* a DNS name, a colon, a port */
    SWKI_MEMBERS_MAX = SWK_RAFT_MEMBERS_MAX,
};

struct swki_membership_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    uint64_t raft_id; /* of this manager; 0 while it has none */
};

struct swki_membership;

int swki_membership_new(const struct swki_membership_config *config,
                        struct swki_membership **out_membership,
                        struct swk_error *err);
void swki_membership_free(struct swki_membership *membership);

/* -- Reading -------------------------------------------------------------- */

/* A member; borrowed, with all it points to, until the list changes, which
 * swki_membership_version() shows. */
struct swki_member {
    uint64_t raft_id;
    const char *node_id; /* never NULL; "" if the log does not tell */
    const char *const *addresses; /* "host:port"; the first is the main one */
    size_t addresses_count;       /* 0 if the log does not tell */
    bool learner;   /* it has no vote yet */
    bool self;      /* it is this manager */
    bool leader;    /* as far as this manager knows */
    bool reachable; /* from this manager */
};

/* In ascending order of raft_id. */
size_t swki_membership_count(const struct swki_membership *membership);
const struct swki_member *
swki_membership_at(const struct swki_membership *membership, size_t position);

/* NULL if there is none. */
const struct swki_member *
swki_membership_find(const struct swki_membership *membership,
                     uint64_t raft_id);
const struct swki_member *
swki_membership_find_node(const struct swki_membership *membership,
                          const char *node_id);
const struct swki_member *
swki_membership_self(const struct swki_membership *membership);

/* The main address; "" if there is none. */
const char *swki_member_address(const struct swki_member *member);

/* Numbers that were members and never will be again; ascending. */
size_t swki_membership_removed(const struct swki_membership *membership,
                               const uint64_t **out_removed);
bool swki_membership_is_removed(const struct swki_membership *membership,
                                uint64_t raft_id);

/*
 * How often the group was cut down to its only survivor, by changes that have
 * the context swki_membership_encode_generation() makes. Members of an earlier
 * generation are among the removed ones, as far as the survivor knew them.
 */
uint64_t
swki_membership_generation(const struct swki_membership *membership);

/* Grows with every change of the members or their addresses and votes; not
 * with leader and reachability. */
uint64_t swki_membership_version(const struct swki_membership *membership);

/*
 * Whether the group can do without a member: of the voters that are left, those
 * that this manager reaches now are a majority. Learners can always go, the
 * last voter never. False for one that is no member.
 */
bool swki_membership_can_remove(const struct swki_membership *membership,
                                uint64_t raft_id);

/* -- What this manager knows on its own ----------------------------------- */

/* The number that this manager was given when it joined. */
void swki_membership_set_self(struct swki_membership *membership,
                              uint64_t raft_id);
/* The leader changed; 0 for none. */
void swki_membership_set_leader(struct swki_membership *membership,
                                uint64_t raft_id);
/* A member can be reached, or no more. Forgotten with the member. */
void swki_membership_set_reachable(struct swki_membership *membership,
                                   uint64_t raft_id, bool reachable);

/*
 * A member says that this manager was removed. One alone may be wrong, or lie,
 * and what follows destroys this manager's log: so it is true only once a
 * majority of the other voters has said so since the last change that this
 * manager applied. True once at most, like self_removed of an outcome, and never
 * after that; on failure to remember, false.
 */
bool swki_membership_told_removed(struct swki_membership *membership,
                                  uint64_t by_raft_id);

/* -- What is replicated --------------------------------------------------- */

/* What followed from a committed change or a snapshot. */
struct swki_membership_outcome {
    bool reject;         /* for swk_raft_apply_conf_change() */
    bool changed;        /* members, addresses or votes are others now */
    bool self_removed;   /* this manager is a member no more: it stops, and
                            erases its log. Said once. */
    bool leader_removed; /* the leader is a member no more */
    uint64_t added;      /* the member that came, or 0 */
    uint64_t removed;    /* a member that went, or 0 */
    uint64_t updated;    /* whose addresses or vote changed, or 0 */
    struct swk_error why; /* with reject */
};

/*
 * Applies an entry of a type other than SWK_RAFT_ENTRY_NORMAL. A change that
 * does not fit the list is rejected, which every manager does alike; that is
 * no failure.
 *
 * Returns 0; SWK_ENOMEM, after which nothing has changed.
 */
int swki_membership_apply(struct swki_membership *membership,
                          const struct swk_log_entry *entry,
                          struct swki_membership_outcome *out_outcome,
                          struct swk_error *err);

/* Appends the list to a snapshot: the field `membership` of an encoded
 * docker.swarmkit.v1.Snapshot. As of the entry applied last. */
int swki_membership_save(const struct swki_membership *membership,
                         struct swki_buf *out, struct swk_error *err);

/*
 * Takes the list of a snapshot: at the start, or one that was received. Its
 * members replace the present ones; numbers that it lists as removed are added
 * to those known; who is in neither list is forgotten.
 *
 * data is an encoded docker.swarmkit.v1.Snapshot, of which the rest is skipped,
 * or the part of it that holds `membership`. state is of the snapshot's place
 * and tells who votes; those of it that the list lacks become members without
 * an address.
 *
 * Returns 0; SWK_EMALFORMED; SWK_ENOMEM. After a failure nothing has changed.
 */
int swki_membership_restore(struct swki_membership *membership,
                            const uint8_t *data, size_t len,
                            const struct swk_conf_state *state,
                            struct swki_membership_outcome *out_outcome,
                            struct swk_error *err);

/* -- Making changes ------------------------------------------------------- */

/* Appends the context of a change: the member as it is to be. */
int swki_member_encode(const struct swki_member *member, struct swki_buf *out,
                       struct swk_error *err);

/* Appends the context of changes that begin a generation. */
int swki_membership_encode_generation(uint64_t generation, struct swki_buf *out,
                                      struct swk_error *err);

/* Whether text is a host, as a name or a number, and a port of 1 to 65535. IPv6
 * addresses stand in brackets. */
bool swki_member_address_valid(const char *text);

/*
 * The address that a member announced, as others reach it: an unspecified host
 * (0.0.0.0 or [::]) becomes the one that the caller was seen at, of which the
 * port counts nothing. SWK_EINVAL for what is no address.
 */
int swki_member_address_complete(const char *text, const char *caller,
                                 char out_text[SWKI_MEMBER_ADDRESS_LEN_MAX + 1],
                                 struct swk_error *err);

#endif
