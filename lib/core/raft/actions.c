/* SPDX-License-Identifier: Apache-2.0 */

/* What a member wants done: section 11, in its asynchronous mode. */

#include "core/raft/raft.h"

/* Term and vote must be stored before anything depends on them. The commit
 * index alone is not worth a write: it goes along with the next one (section
 * 11, must_sync), and a restarted leader finds it again. */
static bool must_store_state(const struct swk_raft *raft)
{
    return raft->state.term != raft->stored.term ||
           raft->state.vote != raft->stored.vote;
}

static void take_write(struct swk_raft *raft)
{
    struct swk_raft_actions *actions = &raft->actions;
    uint64_t last = swki_raft_log_last(&raft->log);

    if (raft->writes_count == SWKI_RAFT_WRITES_MAX ||
        (raft->unstored > last && !must_store_state(raft))) {
        return;
    }
    if (must_store_state(raft) || raft->state.commit != raft->stored.commit) {
        raft->stored = raft->state;
        actions->hard_state = &raft->stored;
    }
    if (raft->unstored <= last) {
        actions->entries = swki_raft_log_at(&raft->log, raft->unstored);
        actions->entries_count = (size_t)(last - raft->unstored + 1);
        raft->unstored = last + 1;
    }
    actions->persist_ticket = ++raft->last_ticket;

    size_t slot =
        (raft->writes_first + raft->writes_count) % SWKI_RAFT_WRITES_MAX;
    raft->writes[slot] = (struct swki_raft_write){
        .ticket = actions->persist_ticket,
        .index = last,
        .term = raft->state.term,
    };
    raft->writes_count++;
}

static bool snapshot_due(const struct swk_raft *raft)
{
    uint64_t interval = raft->config.snapshot_interval;

    if (raft->saving.index != 0 || raft->wanted != 0 ||
        raft->applied <= raft->snapshot.index ||
        raft->applied <= raft->abandoned) {
        return false;
    }
    return (interval > 0 && raft->applied - raft->snapshot.index >= interval) ||
           raft->snapshot_size >= raft->config.snapshot_log_size;
}

/* A snapshot is of the state at the applied index, so none is wanted while
 * entries beyond it may be half way into that state. */
static void take_snapshot_wanted(struct swk_raft *raft)
{
    if (snapshot_due(raft) && raft->applying == raft->applied) {
        raft->wanted = raft->applied;
        raft->actions.snapshot_wanted = raft->wanted;
    }
}

/* R-APP-1 to R-APP-3 */
static void take_committed(struct swk_raft *raft)
{
    uint64_t to =
        raft->state.commit < raft->durable ? raft->state.commit : raft->durable;
    uint64_t from = raft->applying + 1;
    bool outstanding = raft->applying > raft->applied;

    if (from > to || (outstanding && snapshot_due(raft))) {
        return;
    }
    uint64_t room = raft->config.apply_size_max > raft->applying_size
                        ? raft->config.apply_size_max - raft->applying_size
                        : 0;
    const struct swk_log_entry *first = swki_raft_log_at(&raft->log, from);

    if (outstanding && first->data_len > room) {
        return;
    }
    raft->actions.committed = first;
    raft->actions.committed_count =
        swki_raft_log_fitting(&raft->log, from, to, room);
    raft->applying += raft->actions.committed_count;
    raft->applying_size +=
        swki_raft_log_bytes(&raft->log, from, raft->applying);
}

/* Once its own first entry is applied, so is everything of earlier leaders. */
static void take_leadership_gained(struct swk_raft *raft)
{
    if (raft->role == SWK_RAFT_LEADER && !raft->announced &&
        raft->applied >= raft->own_first) {
        raft->announced = true;
        raft->actions.leadership_gained = 1;
    }
}

static void take_endings(struct swk_raft *raft)
{
    raft->actions.leadership_lost = raft->lost;
    raft->lost = false;
    if (raft->stage == SWKI_RAFT_FAILED && !raft->failure_told) {
        raft->actions.failure = raft->failure.code;
        raft->failure_told = true;
    }
}

const struct swk_raft_actions *swk_raft_take_actions(swk_raft *raft)
{
    raft->actions = (struct swk_raft_actions){.size = sizeof(raft->actions)};
    take_endings(raft);
    if (raft->stage == SWKI_RAFT_RUNNING) {
        take_write(raft);
        take_snapshot_wanted(raft);
        take_committed(raft);
        take_leadership_gained(raft);
    }
    return &raft->actions;
}
