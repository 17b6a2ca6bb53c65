/* SPDX-License-Identifier: Apache-2.0 */

/* Roles and time: what a member is, and what ticks do to it (section 5). */

#include "base/error.h"
#include "core/raft/inside.h"

/* R-TIM-5 */
static void reset(struct swki_machine *m, uint64_t term)
{
    uint64_t last = swki_machine_last(m);

    if (term != m->term) {
        m->term = term;
        m->vote = 0;
    }
    m->lead = 0;
    m->election_elapsed = 0;
    m->heartbeat_elapsed = 0;
    /* R-TIM-2: uniform in [E, 2E - 1]. */
    m->election_timeout =
        m->config.election_ticks +
        (uint32_t)swki_rng_below(&m->rng, m->config.election_ticks);
    m->transfer_target = 0;
    for (size_t i = 0; i < m->configuration.peers_count; i++) {
        struct swki_raft_progress *peer = &m->configuration.peers[i];

        swki_raft_progress_reset(peer, last + 1);
        if (peer->id == m->config.id) {
            peer->match = last;
        }
    }
    m->pending_change = 0;
    m->uncommitted_size = 0;
    swki_machine_drop_reads(m);
}

static void enter(struct swki_machine *m, enum swk_raft_role role)
{
    m->role = role;
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_BECAME, .role = role});
}

void swki_machine_become_follower(struct swki_machine *m, uint64_t term,
                                  uint64_t lead)
{
    reset(m, term);
    m->lead = lead;
    enter(m, SWK_RAFT_FOLLOWER);
}

void swki_machine_become_pre_candidate(struct swki_machine *m)
{
    if (m->role == SWK_RAFT_LEADER) {
        swki_machine_break(m, "raft: a leader would become a candidate");
        return;
    }
    /* Not a reset: nothing is drawn, nothing is to store (R-ELE-2). */
    for (size_t i = 0; i < m->configuration.peers_count; i++) {
        m->configuration.peers[i].ballot = SWKI_RAFT_UNHEARD;
    }
    m->lead = 0;
    enter(m, SWK_RAFT_PRE_CANDIDATE);
}

void swki_machine_become_candidate(struct swki_machine *m)
{
    if (m->role == SWK_RAFT_LEADER) {
        swki_machine_break(m, "raft: a leader would become a candidate");
        return;
    }
    reset(m, m->term + 1);
    m->vote = m->config.id;
    enter(m, SWK_RAFT_CANDIDATE);
}

/* R-ELE-8 */
void swki_machine_become_leader(struct swki_machine *m)
{
    if (m->role == SWK_RAFT_FOLLOWER) {
        swki_machine_break(m, "raft: a follower would become leader");
        return;
    }
    reset(m, m->term);
    m->lead = m->config.id;
    m->role = SWK_RAFT_LEADER;

    struct swki_raft_progress *self = swki_machine_peer(m, m->config.id);
    if (self != NULL) {
        swki_raft_progress_replicate(self);
        self->active = true;
    }
    /* A change of the members may be in what is not committed yet. */
    m->pending_change =
        SWKI_PLANTED(SWKI_FAULT_CHANGES_EARLY) ? 0 : swki_machine_last(m);

    struct swk_log_entry empty = {.type = SWK_RAFT_ENTRY_NORMAL};
    (void)swki_machine_leader_append(m, &empty, 1);
    enter(m, SWK_RAFT_LEADER);
}

/* R-TIM-6 */
bool swki_machine_promotable(const struct swki_machine *m)
{
    const struct swki_raft_progress *self = swki_machine_peer(m, m->config.id);

    return self != NULL && !self->learner &&
           m->unstable_snapshot.meta.index == 0;
}

/* R-TIM-3 */
static void tick_election(struct swki_machine *m)
{
    m->election_elapsed++;
    if (m->election_elapsed >= m->election_timeout &&
        swki_machine_promotable(m) &&
        m->election_elapsed - m->election_timeout >=
            swki_machine_priority_delay(m)) {
        m->election_elapsed = 0;
        swki_machine_hup(m, swki_machine_has(m, SWKI_MACHINE_PRE_VOTE)
                                ? SWKI_CAMPAIGN_PRE_ELECTION
                                : SWKI_CAMPAIGN_ELECTION);
    }
}

/* R-CFG-8: the leave may have come during a transfer, or when memory was short,
 * and nothing need be applied after that. */
static void retry_leave(struct swki_machine *m)
{
    if (m->transfer_target == 0 && !m->stalled && swki_machine_leave_due(m)) {
        swki_machine_auto_leave(m);
    }
}

/* R-TIM-4 */
static void tick_leader(struct swki_machine *m)
{
    m->heartbeat_elapsed++;
    m->election_elapsed++;
    if (m->election_elapsed >= m->config.election_ticks) {
        m->election_elapsed = 0;
        if (swki_machine_has(m, SWKI_MACHINE_CHECK_QUORUM_ON)) {
            swki_machine_check_quorum(m);
        }
        if (m->role == SWK_RAFT_LEADER && m->transfer_target != 0) {
            swki_machine_abort_transfer(m);
        }
    }
    if (m->role != SWK_RAFT_LEADER) {
        return;
    }
    swki_machine_tick_snapshots(m);
    retry_leave(m);
    if (m->heartbeat_elapsed >= m->config.heartbeat_ticks) {
        m->heartbeat_elapsed = 0;
        swki_machine_broadcast_heartbeat(m);
    }
}

int swki_machine_tick(struct swki_machine *m, struct swk_error *err)
{
    int rc = swki_machine_begin(m, err);
    if (rc != SWK_OK) {
        return rc;
    }
    m->ticks++;
    if (m->role == SWK_RAFT_LEADER) {
        tick_leader(m);
    } else {
        tick_election(m);
    }
    m->leaderless_ticks = m->lead == 0 ? m->leaderless_ticks + 1 : 0;
    return swki_machine_settle(m, err);
}

int swki_machine_campaign(struct swki_machine *m, struct swk_error *err)
{
    int rc = swki_machine_begin(m, err);
    if (rc != SWK_OK) {
        return rc;
    }
    swki_machine_hup(m, swki_machine_has(m, SWKI_MACHINE_PRE_VOTE)
                            ? SWKI_CAMPAIGN_PRE_ELECTION
                            : SWKI_CAMPAIGN_ELECTION);
    return swki_machine_settle(m, err);
}

/* R-FGT-1 */
int swki_machine_forget_leader(struct swki_machine *m, struct swk_error *err)
{
    int rc = swki_machine_begin(m, err);
    if (rc != SWK_OK) {
        return rc;
    }
    if (m->role != SWK_RAFT_FOLLOWER) {
        return SWK_OK;
    }
    if (swki_machine_has(m, SWKI_MACHINE_LEASE_READS)) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind =
                                     SWKI_TRACE_FORGET_LEADER_IN_LEASE_MODE});
        return swki_fail(err, SWK_EPRECONDITION,
                         "raft: reads rely on the leader's lease");
    }
    if (m->lead != 0) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_FORGET_LEADER,
                                 .peer = m->lead,
                             });
        m->lead = 0;
    }
    return SWK_OK;
}
