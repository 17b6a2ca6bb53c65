/* SPDX-License-Identifier: Apache-2.0 */

/* What a member tells of itself. */

#include <string.h>

#include <swarmkit/raft.h>

#include "base/options.h"
#include "core/raft/member.h"

uint64_t swk_raft_next_index(const swk_raft *raft)
{
    struct swki_machine_status status;

    if (raft == NULL || swki_raft_need_running(raft, NULL) != SWK_OK) {
        return 0;
    }
    swki_machine_status(raft->machine, &status);
    return status.role == SWK_RAFT_LEADER ? status.last + 1 : 0;
}

static void describe(const struct swk_raft *raft,
                     const struct swki_raft_progress *p,
                     struct swk_raft_peer *peer)
{
    bool self = p->id == raft->config.id;

    *peer = (struct swk_raft_peer){
        .id = p->id,
        .match = p->match,
        .next = p->next,
        .pending_snapshot = p->pending_snapshot,
        .state = (int32_t)p->state,
        .active = self || swki_machine_is_active(raft->machine, p),
        .learner = p->learner,
        .caught_up = swki_machine_caught_up(raft->machine, p->id),
    };
}

size_t swk_raft_peers(const swk_raft *raft, struct swk_raft_peer *peers,
                      size_t count)
{
    const struct swki_raft_configuration *conf;

    if (raft == NULL || (peers == NULL && count > 0)) {
        return 0;
    }
    conf = swki_machine_configuration(raft->machine);
    for (size_t i = 0; i < conf->peers_count && i < count; i++) {
        describe(raft, &conf->peers[i], &peers[i]);
    }
    return conf->peers_count;
}

void swk_raft_conf_state(const swk_raft *raft,
                         struct swk_conf_state *out_state)
{
    swki_raft_configuration_state(swki_machine_configuration(raft->machine),
                                  out_state);
}

int swk_raft_keeps_quorum(const swk_raft *raft,
                          const struct swk_raft_conf_change *change,
                          const uint64_t *active, size_t active_count)
{
    struct swk_raft_conf_change known;

    if (raft == NULL || change == NULL ||
        (active == NULL && active_count > 0) ||
        swki_options_read(&known, sizeof(known), change,
                          "swk_raft_conf_change", NULL) != SWK_OK ||
        known.changes_count > SWK_RAFT_CHANGES_MAX ||
        (known.changes == NULL && known.changes_count > 0)) {
        return 0;
    }
    return swki_machine_keeps_quorum(raft->machine, &known, active,
                                     active_count);
}

void swk_raft_status(const swk_raft *raft, struct swk_raft_status *out_status)
{
    const struct swk_error *failure = swki_machine_failure(raft->machine);
    struct swki_machine_status s;

    swki_machine_status(raft->machine, &s);
    const struct swk_raft_status status = {
        .size = out_status->size,
        .id = s.id,
        .term = s.hard_state.term,
        .vote = s.hard_state.vote,
        .leader = failure == NULL ? s.leader : 0,
        .committed = s.hard_state.commit,
        .applied = raft->applied,
        .durable = s.offset - 1,
        .first_index = s.first,
        .last_index = s.last,
        .snapshot_index = raft->snapshot_index,
        .uncommitted_size = s.uncommitted_size,
        .log_size = s.log_size,
        .transfer_target = s.transfer_target,
        .recovering = s.recovering,
        .leaderless_ticks = s.leaderless_ticks,
        .role = failure == NULL ? (int32_t)s.role : SWK_RAFT_FOLLOWER,
        .announced = raft->announced_term != 0,
        .failure = failure == NULL ? 0 : failure->code,
        .voter = s.voter,
    };
    size_t size =
        out_status->size < sizeof(status) ? out_status->size : sizeof(status);

    memcpy(out_status, &status, size);
}
