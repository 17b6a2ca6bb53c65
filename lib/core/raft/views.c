/* SPDX-License-Identifier: Apache-2.0 */

/* How a machine stands, and whether its invariants hold (sections 21, 22). */

#include <string.h>

#include "core/raft/inside.h"

void swki_machine_status(const struct swki_machine *m,
                         struct swki_machine_status *out)
{
    const struct swki_raft_progress *self = swki_machine_peer(m, m->config.id);

    *out = (struct swki_machine_status){
        .id = m->config.id,
        .hard_state = {.term = m->term,
                       .vote = m->vote,
                       .commit = m->committed},
        .leader = m->lead,
        .role = m->role,
        .applied = m->applied,
        .applying = m->applying,
        .first = m->log.first,
        .last = swki_machine_last(m),
        .last_term = swki_machine_last_term(m),
        .offset = m->offset,
        .offset_in_progress = m->offset_in_progress,
        .transfer_target = m->transfer_target,
        .uncommitted_size = m->uncommitted_size,
        .log_size = m->log.data_size,
        .recovering = m->recovering,
        .reads_waiting = m->reads.count + m->postponed.count,
        .elections_started = m->elections_started,
        .election_elapsed = m->election_elapsed,
        .election_timeout = m->election_timeout,
        .leaderless_ticks = m->lead == 0 ? m->leaderless_ticks : 0,
        .promotable = swki_machine_promotable(m),
        .voter =
            swki_raft_configuration_is_voter(&m->configuration, m->config.id),
        .member = self != NULL,
    };
    memcpy(out->rejected, m->rejected, sizeof(out->rejected));
}

const struct swki_raft_configuration *
swki_machine_configuration(const struct swki_machine *m)
{
    return &m->configuration;
}

uint64_t swki_machine_term_at(const struct swki_machine *m, uint64_t index)
{
    uint64_t term = 0;

    return swki_entries_term(&m->log, index, &term) ? term : 0;
}

const struct swk_log_entry *swki_machine_entry_at(const struct swki_machine *m,
                                                  uint64_t index)
{
    return index >= m->log.first && index <= swki_machine_last(m)
               ? swki_entries_at(&m->log, index)
               : NULL;
}

const struct swk_error *swki_machine_failure(const struct swki_machine *m)
{
    return m->stage == SWKI_MACHINE_FAILED ? &m->failure : NULL;
}

void swki_machine_set_stalled(struct swki_machine *m, bool stalled)
{
    m->stalled = stalled;
}

void swki_machine_set_election_timeout(struct swki_machine *m, uint32_t ticks)
{
    m->election_timeout = ticks;
}

/* -- Invariants ------------------------------------------------------------ */

static const char *check_log(const struct swki_machine *m)
{
    uint64_t last = swki_machine_last(m);
    uint64_t before = m->log.before_term;

    if (m->applied > m->applying || m->applying > m->committed ||
        m->committed > last || m->log.first > m->committed + 1) {
        return "the positions in the log are out of order";
    }
    if (m->offset > m->offset_in_progress || m->offset_in_progress > last + 1) {
        return "more is being stored than there is";
    }
    for (uint64_t i = m->log.first; i <= last; i++) {
        const struct swk_log_entry *entry = swki_entries_at(&m->log, i);

        if (entry->index != i || entry->term < before) {
            return "indices or terms of the log are out of order";
        }
        before = entry->term;
    }
    return before > m->term && m->term > 0 ? "the log is ahead of the term"
                                           : NULL;
}

static const char *check_peers(const struct swki_machine *m)
{
    for (size_t i = 0; i < m->configuration.peers_count; i++) {
        const struct swki_raft_progress *peer = &m->configuration.peers[i];
        const char *broken =
            swki_raft_progress_check(peer, swki_machine_last(m));

        if (broken != NULL) {
            return broken;
        }
        if (peer->sent_commit > m->committed) {
            return "a member was told of more than is committed";
        }
    }
    return NULL;
}

const char *swki_machine_check(const struct swki_machine *m)
{
    const char *broken = check_log(m);

    if (broken == NULL) {
        broken = swki_raft_configuration_check(&m->configuration);
    }
    if (broken == NULL && m->role == SWK_RAFT_LEADER) {
        broken = check_peers(m);
    }
    return broken;
}
