/* SPDX-License-Identifier: Apache-2.0 */

/* Handing leadership over (section 14). */

#include "base/error.h"
#include "core/raft/inside.h"

static void trace_peer(struct swki_machine *m,
                       enum swki_machine_trace_kind kind, uint64_t peer)
{
    swki_machine_emit(
        m, (struct swki_machine_trace){.kind = kind, .peer = peer});
}

void swki_machine_send_timeout_now(struct swki_machine *m, uint64_t target)
{
    (void)swki_machine_send(m, &(struct swk_raft_message){
                                   .type = SWK_RAFT_MSG_TIMEOUT_NOW,
                                   .to = target,
                               });
}

/* R-TRF-6: the target may have been told to campaign, and the voters ignore
 * this leader's lease for it. */
void swki_machine_abort_transfer(struct swki_machine *m)
{
    m->transfer_target = 0;
    m->lease_off_until = m->ticks + m->config.election_ticks;
}

/* R-TRF-1 */
void swki_machine_handle_transfer(struct swki_machine *m, uint64_t target)
{
    struct swki_raft_progress *peer = swki_machine_peer(m, target);
    uint64_t old = m->transfer_target;

    if (peer->learner) {
        trace_peer(m, SWKI_TRACE_TRANSFER_TO_LEARNER, target);
        return;
    }
    if (old == target) {
        trace_peer(m, SWKI_TRACE_TRANSFER_SAME, target);
        return;
    }
    if (old != 0) {
        swki_machine_abort_transfer(m);
        trace_peer(m, SWKI_TRACE_TRANSFER_ABORTED, old);
    }
    if (target == m->config.id) {
        trace_peer(m, SWKI_TRACE_TRANSFER_TO_SELF, target);
        return;
    }
    trace_peer(m, SWKI_TRACE_TRANSFER_STARTED, target);
    m->election_elapsed = 0;
    m->transfer_target = target;
    if (peer->match == swki_machine_last(m)) {
        swki_machine_send_timeout_now(m, target);
        trace_peer(m, SWKI_TRACE_TRANSFER_TIMEOUT_NOW, target);
    } else {
        (void)swki_machine_send_append(m, peer, SWKI_SEND_ALWAYS);
    }
}

int swki_machine_transfer(struct swki_machine *m, uint64_t target,
                          struct swk_error *err)
{
    int rc = swki_machine_begin(m, err);
    int settled;

    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_machine_handle(m,
                             &(struct swk_raft_message){
                                 .type = SWK_RAFT_MSG_TRANSFER_LEADER,
                                 .to = m->config.id,
                                 .from = target,
                             },
                             err);
    settled = swki_machine_settle(m, err);
    return settled != SWK_OK ? settled : rc;
}

const struct swki_raft_progress *
swki_machine_successor(const struct swki_machine *m)
{
    const struct swki_raft_progress *best = NULL;

    for (size_t i = 0; i < m->configuration.peers_count; i++) {
        const struct swki_raft_progress *peer = &m->configuration.peers[i];

        if (peer->id != m->config.id && !peer->learner &&
            swki_machine_is_active(m, peer) &&
            (best == NULL || peer->match > best->match ||
             (peer->match == best->match &&
              peer->priority > best->priority))) {
            best = peer;
        }
    }
    return best;
}

int swki_machine_resign(struct swki_machine *m, struct swk_error *err)
{
    const struct swki_raft_progress *best;
    int rc = swki_machine_begin(m, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (m->role != SWK_RAFT_LEADER) {
        return swki_fail(err, SWK_ENOTLEADER, "raft: not the leader");
    }
    best = swki_machine_successor(m);
    if (best == NULL) {
        return swki_fail(err, SWK_ENOTFOUND,
                         "raft: no other voter is heard of");
    }
    swki_machine_handle_transfer(m, best->id);
    return swki_machine_settle(m, err);
}
