/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The state machine of one raft member, alone: what the other members, its
 * disk and its application say is up to the test.
 *
 * It is member 1. Its log begins behind a snapshot at ALONE_INDEX, which the
 * members 1 to so many have as their voters.
 */

#ifndef TESTS_LIB_RAFT_ALONE_H
#define TESTS_LIB_RAFT_ALONE_H

#include <stdbool.h>

#include "core/raft/configuration.h"
#include "core/raft/machine.h"
#include "lib/heap.h"

enum {
    ALONE_ID = 1,
    ALONE_INDEX = 10,
    ALONE_TERM = 1,
    ALONE_ELECTION_TICKS = 10,
    ALONE_VOTERS_MAX = 9,
};

struct alone {
    struct heap heap;
    struct swki_machine_config config;
    struct swki_machine *m;
    const struct swki_machine_ready *ready; /* the latest one */
};

/* A configuration without limits; flags: enum swki_machine_flag. */
void alone_init(struct alone *a, uint32_t flags);

/* Makes the machine, or another one that knows nothing of the last. */
void alone_new(struct alone *a);

/* The same, with its log, started. */
void alone_start(struct alone *a, uint64_t voters_count);
void alone_start_with(struct alone *a, const struct swk_conf_state *members);

/* Frees all; fails the test if memory is left, or an invariant is broken. */
void alone_free(struct alone *a);

/* Hands it a message; to is filled in. */
int alone_step(struct alone *a, const struct swk_raft_message *message);

/* Hands it what a member says in the current term. */
void alone_hear(struct alone *a, int32_t type, uint64_t from, uint64_t index);

void alone_tick(struct alone *a, unsigned ticks);

/* Takes the next Ready. */
const struct swki_machine_ready *alone_take(struct alone *a);

/* What the latest Ready has is stored and applied; in asynchronous mode, what
 * those before it had is stored too. */
void alone_finish(struct alone *a);

/* Both, until there is nothing more. */
void alone_settle(struct alone *a);

/* It campaigns, and all voters are for it; its first entry is applied. */
void alone_lead(struct alone *a);

/* Proposes a normal entry; returns its index. */
uint64_t alone_propose(struct alone *a, const char *text);

/* Proposes one change of membership; returns its index. */
uint64_t alone_change(struct alone *a, int32_t type, uint64_t id);

/* The messages of a kind in the latest Ready that may leave at once: how many,
 * and the first to a member, or NULL. */
size_t alone_count(const struct alone *a, int32_t type);
const struct swk_raft_message *alone_sent(const struct alone *a, int32_t type,
                                          uint64_t to);

/* The first of those that wait for the storage, likewise. */
const struct swk_raft_message *alone_held(const struct alone *a, int32_t type,
                                          uint64_t to);

struct swki_machine_status alone_status(const struct alone *a);

/* What it knows of a member. */
const struct swki_raft_progress *alone_peer(const struct alone *a, uint64_t id);

#endif
