/* SPDX-License-Identifier: Apache-2.0 */

/* Roles, elections, and what the storage's word means for them. */

#include <assert.h>

#include "base/error.h"
#include "base/log.h"
#include "core/raft/raft.h"

static const char *const role_names[] = {
    [SWK_RAFT_FOLLOWER] = "follower",
    [SWK_RAFT_CANDIDATE] = "candidate",
    [SWK_RAFT_LEADER] = "leader",
    [SWK_RAFT_PRE_CANDIDATE] = "pre-candidate",
};

/* R-ELE-9: from the row to the column. */
static const bool allowed_moves[4][4] = {
    [SWK_RAFT_FOLLOWER] = {[SWK_RAFT_FOLLOWER] = true,
                           [SWK_RAFT_CANDIDATE] = true,
                           [SWK_RAFT_PRE_CANDIDATE] = true},
    [SWK_RAFT_CANDIDATE] = {[SWK_RAFT_FOLLOWER] = true,
                            [SWK_RAFT_CANDIDATE] = true,
                            [SWK_RAFT_LEADER] = true,
                            [SWK_RAFT_PRE_CANDIDATE] = true},
    [SWK_RAFT_LEADER] = {[SWK_RAFT_FOLLOWER] = true},
    [SWK_RAFT_PRE_CANDIDATE] = {[SWK_RAFT_FOLLOWER] = true,
                                [SWK_RAFT_CANDIDATE] = true,
                                [SWK_RAFT_PRE_CANDIDATE] = true},
};

/* R-TIM-5: what every change of role resets. */
static void become(struct swk_raft *raft, enum swk_raft_role role,
                   uint64_t term)
{
    assert(allowed_moves[raft->role][role]);
    if (term != raft->state.term) {
        raft->state.term = term;
        raft->state.vote = 0;
    }
    raft->role = role;
    raft->leader = 0;
    raft->deadline = SWK_NEVER;
    raft->uncommitted_size = 0;
    raft->own_first = 0;
    if (raft->announced) {
        raft->announced = false;
        raft->lost = true;
    }
    swki_log(raft->config.logger, SWK_LOG_INFO, "raft",
             "member %llx is %s in term %llu",
             (unsigned long long)raft->config.id, role_names[role],
             (unsigned long long)term);
}

void swki_raft_campaign(struct swk_raft *raft)
{
    become(raft, SWK_RAFT_CANDIDATE, raft->state.term + 1);
    raft->state.vote = raft->config.id;
}

/* R-ELE-8 */
static void become_leader(struct swk_raft *raft)
{
    const struct swk_log_entry first = {
        .term = raft->state.term,
        .type = SWK_RAFT_ENTRY_NORMAL,
    };

    become(raft, SWK_RAFT_LEADER, raft->state.term);
    raft->leader = raft->config.id;
    bool appended = swki_raft_log_append(&raft->log, &first);
    assert(appended); /* room was made before the campaign */
    (void)appended;
    raft->own_first = swki_raft_log_last(&raft->log);
}

/* R-COM-1: among one voter, what it has on disk is what a majority has. */
static void advance_commit(struct swk_raft *raft)
{
    if (raft->role == SWK_RAFT_LEADER && raft->durable > raft->state.commit &&
        swki_raft_log_term(&raft->log, raft->durable) == raft->state.term) {
        raft->state.commit = raft->durable;
    }
}

/* Takes the writes up to a ticket off the ring; false if there was none. */
static bool finish_writes(struct swk_raft *raft, uint64_t ticket,
                          struct swki_raft_write *out_newest)
{
    bool any = false;

    while (raft->writes_count > 0 &&
           raft->writes[raft->writes_first].ticket <= ticket) {
        *out_newest = raft->writes[raft->writes_first];
        raft->writes_first = (raft->writes_first + 1) % SWKI_RAFT_WRITES_MAX;
        raft->writes_count--;
        any = true;
    }
    return any;
}

void swki_raft_acknowledge(struct swk_raft *raft, uint64_t ticket)
{
    struct swki_raft_write newest;

    if (!finish_writes(raft, ticket, &newest)) {
        return;
    }
    /* R-RDY-7: what was written in an earlier term may have been replaced
     * since, so it confirms nothing; the write of the new term will. */
    if (newest.term != raft->state.term) {
        return;
    }
    if (newest.index > raft->durable) {
        raft->durable = newest.index;
    }
    /* R-MSG-2: the own vote counts when term and vote are on disk, and the
     * first write of a term always carries them. */
    if (raft->role == SWK_RAFT_CANDIDATE) {
        become_leader(raft);
    }
    advance_commit(raft);
}

void swki_raft_fail(struct swk_raft *raft, int code, const char *text)
{
    if (raft->stage == SWKI_RAFT_FAILED) {
        return;
    }
    become(raft, SWK_RAFT_FOLLOWER, raft->state.term);
    raft->stage = SWKI_RAFT_FAILED;
    (void)swki_fail(&raft->failure, code, "raft: stopped for good: %s", text);
    swki_log(raft->config.logger, SWK_LOG_ERROR, "raft",
             "member %llx stops for good: %s",
             (unsigned long long)raft->config.id, text);
}
