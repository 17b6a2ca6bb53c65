/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who belongs to the group, and how that changes (section 13).
 *
 * A configuration holds the lists of members and the progress of each. It is
 * changed in two steps: a prepare function makes the next one beside it, or
 * says why not, and leaves the present one as it is; then the next one either
 * takes its place, which cannot fail, or is discarded. Nothing may happen to
 * the present one between the two steps.
 */

#ifndef SWKI_CORE_RAFT_CONFIGURATION_H
#define SWKI_CORE_RAFT_CONFIGURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <swarmkit/alloc.h>
#include <swarmkit/port/storage.h>
#include <swarmkit/raft.h>

#include "core/raft/progress.h"
#include "core/raft/quorum.h"

/* IDs, ascending, each once. */
struct swki_raft_ids {
    uint64_t *ids;
    size_t count;
};

struct swki_raft_configuration {
    const struct swk_alloc *alloc;
    uint32_t inflight_messages_max; /* limits of the windows of new members */
    uint64_t inflight_size_max;

    struct swki_raft_ids incoming; /* voters */
    struct swki_raft_ids outgoing; /* voters of the half to leave; empty unless
                                      joint */
    struct swki_raft_ids learners;
    struct swki_raft_ids learners_next; /* outgoing voters to be learners */
    bool auto_leave;
    struct swki_raft_progress *peers; /* every member, ascending by ID */
    size_t peers_count;
    uint64_t *ids_block; /* the memory of all four lists */
};

/* Why a change does not apply. */
enum swki_raft_change_result {
    SWKI_RAFT_CHANGE_OK = 0,
    SWKI_RAFT_CHANGE_NOT_JOINT,       /* nothing to leave */
    SWKI_RAFT_CHANGE_ALREADY_JOINT,   /* nothing to enter */
    SWKI_RAFT_CHANGE_NO_VOTERS,       /* no half to become the outgoing one */
    SWKI_RAFT_CHANGE_SIMPLE_IN_JOINT, /* leave it first */
    SWKI_RAFT_CHANGE_TOO_MANY,        /* several voters without a joint step */
    SWKI_RAFT_CHANGE_REMOVES_ALL,     /* no voter would be left */
    SWKI_RAFT_CHANGE_LIMIT,           /* more members, or voters, than allowed */
    SWKI_RAFT_CHANGE_INVALID,         /* IDs or lists that no group can have */
    SWKI_RAFT_CHANGE_NOMEM,
};

/* What a change does, as its transition and its number of changes say
 * (R-CFG-2). */
enum swki_raft_change_kind {
    SWKI_RAFT_CHANGE_SIMPLE,
    SWKI_RAFT_CHANGE_ENTER, /* a joint configuration, left explicitly */
    SWKI_RAFT_CHANGE_ENTER_AUTO, /* one that is left by itself */
    SWKI_RAFT_CHANGE_LEAVE,
};

/* A configuration without members. alloc may be NULL. */
void swki_raft_configuration_init(struct swki_raft_configuration *c,
                                  const struct swk_alloc *alloc,
                                  uint32_t inflight_messages_max,
                                  uint64_t inflight_size_max);
void swki_raft_configuration_fini(struct swki_raft_configuration *c);

/* Two halves. */
bool swki_raft_configuration_joint(const struct swki_raft_configuration *c);

/* A member's progress; NULL for others. Valid until the configuration is
 * replaced. */
struct swki_raft_progress *
swki_raft_configuration_find(const struct swki_raft_configuration *c,
                             uint64_t id);

/* Whether an ID is a voter in either half. */
bool swki_raft_configuration_is_voter(const struct swki_raft_configuration *c,
                                      uint64_t id);

/* Whether an ID is in a list. */
bool swki_raft_ids_has(const struct swki_raft_ids *list, uint64_t id);

/* -- Changes ---------------------------------------------------------------- */

enum swki_raft_change_kind
swki_raft_change_kind(int32_t transition, size_t changes_count);

/* In plain words. */
const char *swki_raft_change_text(enum swki_raft_change_result result);

/*
 * Makes the configuration after a change; last is the last index of the log.
 * On success next is to be given to swki_raft_configuration_replace() or
 * swki_raft_configuration_discard(); it is not touched otherwise. The members
 * that stay keep their progress; those in next borrow its windows.
 */
enum swki_raft_change_result swki_raft_configuration_prepare(
    const struct swki_raft_configuration *c, enum swki_raft_change_kind kind,
    const struct swk_raft_change *changes, size_t changes_count, uint64_t last,
    struct swki_raft_configuration *next);

/* Makes the configuration that a snapshot or the storage names (R-CFG-12), in
 * which nothing is known of any member but its priority; the rest as above. The lists need no
 * order. */
enum swki_raft_change_result swki_raft_configuration_prepare_restored(
    const struct swki_raft_configuration *c,
    const struct swk_conf_state *state, uint64_t last,
    struct swki_raft_configuration *next);

/* The next configuration takes the place of c; next is empty then. */
void swki_raft_configuration_replace(struct swki_raft_configuration *c,
                                     struct swki_raft_configuration *next);

/* Gives up a next one. */
void swki_raft_configuration_discard(struct swki_raft_configuration *next);

/* -- What the members have and say ------------------------------------------ */

/* The lists, *borrowed until* the configuration is replaced. */
void swki_raft_configuration_state(const struct swki_raft_configuration *c,
                                   struct swk_conf_state *out);

/* The index that a quorum has (R-QUO-2, over match). */
uint64_t
swki_raft_configuration_matched(const struct swki_raft_configuration *c);

/* The position of reads that a quorum has confirmed (R-RDI-5). */
uint64_t
swki_raft_configuration_confirmed(const struct swki_raft_configuration *c);

/* The outcome of the running election (R-QUO-3, over ballots). If the counts
 * are not NULL, they receive how many voters granted and refused. */
enum swki_raft_verdict
swki_raft_configuration_ballots(const struct swki_raft_configuration *c,
                                size_t *out_granted, size_t *out_refused);

/* Whether a quorum is active (R-ELE-10); those that are not do not count. */
bool swki_raft_configuration_active(const struct swki_raft_configuration *c);

/* R-CFG-9; NULL, or what is broken. */
const char *
swki_raft_configuration_check(const struct swki_raft_configuration *c);

#endif
