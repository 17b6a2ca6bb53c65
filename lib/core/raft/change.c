/* SPDX-License-Identifier: Apache-2.0 */

/* Changes of membership take effect, and questions about them (section 13). */

#include "base/error.h"
#include "core/raft/conf_change.h"
#include "core/raft/inside.h"

/* Entries that more or other voters have committed, reads that they have
 * confirmed, which nobody would confirm again, and what new members lack
 * (R-COM-2). */
static void replicate_anew(struct swki_machine *m)
{
    swki_machine_release_reads(m);
    if (swki_machine_commit_matched(m)) {
        swki_machine_release_postponed(m);
        swki_machine_broadcast(m, SWKI_SEND_ALWAYS);
    } else {
        swki_machine_broadcast(m, SWKI_SEND_NOT_EMPTY);
    }
}

/* R-CFG-11. The others may not know yet that the change is committed, and need
 * this member's vote until they do: the best of them campaigns at once, while
 * it is there to vote, and not after a timeout. */
static void step_down(struct swki_machine *m)
{
    const struct swki_raft_progress *best = NULL;

    if (swki_machine_has(m, SWKI_MACHINE_NAME_SUCCESSOR)) {
        best = swki_machine_successor(m);
    }
    if (best != NULL && best->match >= m->committed) {
        swki_machine_send_timeout_now(m, best->id);
    }
    swki_machine_become_follower(m, m->term, 0);
}

void swki_machine_switch(struct swki_machine *m,
                         struct swki_raft_configuration *next)
{
    const struct swki_raft_progress *self;

    swki_raft_configuration_replace(&m->configuration, next);
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_CONFIGURATION,
                             .configuration = &m->configuration,
                         });
    if (m->role != SWK_RAFT_LEADER) {
        return;
    }
    self = swki_machine_peer(m, m->config.id);
    if (self == NULL || self->learner) {
        if (swki_machine_has(m, SWKI_MACHINE_STEP_DOWN_ON_REMOVAL)) {
            step_down(m);
        }
        return;
    }
    if (m->configuration.incoming.count == 0) {
        return;
    }
    replicate_anew(m);
    if (m->transfer_target != 0 &&
        !swki_raft_configuration_is_voter(&m->configuration,
                                          m->transfer_target)) {
        swki_machine_abort_transfer(m);
    }
}

/* R-APP-5 */
static int apply_change(struct swki_machine *m,
                        const struct swk_log_entry *entry,
                        struct swk_error *err)
{
    struct swk_raft_change changes[SWK_RAFT_CHANGES_MAX];
    struct swki_raft_configuration next;
    struct swk_raft_conf_change change;
    enum swki_raft_change_result result;

    if (!swki_conf_change_decode(entry->type, entry->data, entry->data_len,
                                 changes, &change)) {
        swki_machine_break(m, "raft: a committed change is malformed");
        return SWK_OK;
    }
    result = swki_raft_configuration_prepare(
        &m->configuration,
        swki_raft_change_kind(change.transition, change.changes_count), changes,
        change.changes_count, swki_machine_last(m), &next);
    if (result == SWKI_RAFT_CHANGE_NOMEM) {
        return swki_fail_nomem(err);
    }
    if (result != SWKI_RAFT_CHANGE_OK) {
        swki_machine_break(m, swki_raft_change_text(result));
        return SWK_OK;
    }
    if (!swki_machine_reserve(m, next.peers_count)) {
        swki_raft_configuration_discard(&next);
        return swki_fail_nomem(err);
    }
    m->changed = entry->index;
    swki_machine_switch(m, &next);
    return SWK_OK;
}

int swki_machine_apply_conf_change(struct swki_machine *m,
                                   const struct swk_log_entry *entry,
                                   bool reject,
                                   struct swk_conf_state *out_state,
                                   struct swk_error *err)
{
    int rc = swki_machine_begin(m, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (entry->type == SWK_RAFT_ENTRY_NORMAL || entry->index <= m->changed ||
        entry->index > m->applying) {
        return swki_fail(err, SWK_EINVAL,
                         "raft: entry %llu is no change to be applied now",
                         (unsigned long long)entry->index);
    }
    if (reject) {
        m->changed = entry->index;
    } else {
        rc = apply_change(m, entry, err);
    }
    if (rc == SWK_OK) {
        rc = swki_machine_settle(m, err);
    }
    if (rc == SWK_OK && out_state != NULL) {
        swki_raft_configuration_state(&m->configuration, out_state);
    }
    return rc;
}

/* -- Questions -------------------------------------------------------------- */

bool swki_machine_is_active(const struct swki_machine *m,
                            const struct swki_raft_progress *peer)
{
    return peer->active ||
           swki_machine_heard(m, peer, m->config.election_ticks);
}

/* R-CFG-15 */
bool swki_machine_caught_up(const struct swki_machine *m, uint64_t id)
{
    const struct swki_raft_progress *peer = swki_machine_peer(m, id);

    return m->role == SWK_RAFT_LEADER && peer != NULL &&
           swki_machine_heard(m, peer, m->config.election_ticks) &&
           peer->state == SWK_RAFT_REPLICATE &&
           (!peer->learner || peer->rounds.done) &&
           peer->match + m->config.promote_gap >= swki_machine_last(m);
}

static bool half_keeps_quorum(const struct swki_machine *m,
                              const struct swki_raft_ids *voters,
                              const uint64_t *active, size_t active_count)
{
    size_t there = 0;

    for (size_t i = 0; i < voters->count; i++) {
        bool found = voters->ids[i] == m->config.id;

        for (size_t k = 0; k < active_count && !found; k++) {
            found = active[k] == voters->ids[i];
        }
        there += found ? 1 : 0;
    }
    return voters->count == 0 || there >= voters->count / 2 + 1;
}

/* R-CFG-16 */
bool swki_machine_keeps_quorum(const struct swki_machine *m,
                               const struct swk_raft_conf_change *change,
                               const uint64_t *active, size_t active_count)
{
    struct swki_raft_configuration next;
    bool keeps;

    if (swki_raft_configuration_prepare(
            &m->configuration,
            swki_raft_change_kind(change->transition, change->changes_count),
            change->changes, change->changes_count, swki_machine_last(m),
            &next) != SWKI_RAFT_CHANGE_OK) {
        return false;
    }
    /* The present voters have to commit the change: those of both halves if one
     * is left. One that is entered has the present ones for its outgoing. */
    keeps = half_keeps_quorum(m, &m->configuration.incoming, active,
                              active_count) &&
            half_keeps_quorum(m, &m->configuration.outgoing, active,
                              active_count) &&
            half_keeps_quorum(m, &next.incoming, active, active_count);
    swki_raft_configuration_discard(&next);
    return keeps;
}
