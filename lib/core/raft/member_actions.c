/* SPDX-License-Identifier: Apache-2.0 */

/* What a member wants done: a Ready of its machine (section 11), with what
 * waits for the storage held back until that has answered. */

#include "core/raft/member.h"

enum {
    /* Answers to itself that wait for nothing lead to the next Ready; one of
     * these has something for the driver soon. */
    ROUNDS_MAX = 8,
};

/* -- Storing --------------------------------------------------------------- */

static bool same_state(const struct swk_hard_state *a,
                       const struct swk_hard_state *b)
{
    return a->term == b->term && a->vote == b->vote && a->commit == b->commit;
}

/* Term and vote must be stored before anything depends on them. The commit
 * index alone is not worth a write: it goes along with the next one (section
 * 11, must_sync), and a restarted group finds it again. */
static bool must_store(const struct swk_raft *raft,
                       const struct swki_machine_ready *ready)
{
    return ready->entries_count > 0 || raft->state.term != raft->stored.term ||
           raft->state.vote != raft->stored.vote;
}

static void take_write(struct swk_raft *raft,
                       const struct swki_machine_ready *ready)
{
    struct swk_raft_actions *actions = &raft->actions;

    if (ready->snapshot != NULL) {
        actions->install = ready->snapshot;
        actions->install_ticket =
            swki_raft_write_add(raft, SWKI_RAFT_WRITE_INSTALL)->ticket;
        swki_raft_snapshot_installing(raft, ready->snapshot->index);
    }
    if (must_store(raft, ready)) {
        if (!same_state(&raft->state, &raft->stored)) {
            raft->stored = raft->state;
            actions->hard_state = &raft->stored;
        }
        actions->entries = ready->entries;
        actions->entries_count = ready->entries_count;
        actions->persist_ticket =
            swki_raft_write_add(raft, SWKI_RAFT_WRITE_APPEND)->ticket;
    }
    swki_raft_writes_hold(raft, ready->responses, ready->responses_count,
                          ready->snapshot);
}

/* -- Sending --------------------------------------------------------------- */

/* Messages that wait no more go first: they are older. */
static void take_messages(struct swk_raft *raft,
                          const struct swki_machine_ready *ready)
{
    struct swk_raft_actions *actions = &raft->actions;

    if (raft->out_count == 0) {
        actions->messages = ready->messages;
        actions->messages_count = ready->messages_count;
        return;
    }
    /* Without memory they are lost, as they might be on the way. */
    if (swki_raft_out_reserve(raft, ready->messages_count)) {
        for (size_t i = 0; i < ready->messages_count; i++) {
            swki_raft_out_push(raft, &ready->messages[i]);
        }
    }
    actions->messages = raft->out;
    actions->messages_count = raft->out_count;
    raft->out_given = true;
}

/* -- Applying -------------------------------------------------------------- */

static void take_committed(struct swk_raft *raft,
                           const struct swki_machine_ready *ready)
{
    raft->actions.committed = ready->committed;
    raft->actions.committed_count = ready->committed_count;
    for (size_t i = 0; i < ready->committed_count; i++) {
        const struct swk_log_entry *entry = &ready->committed[i];

        raft->given = entry->index;
        raft->unapplied_size += entry->data_len;
        if (entry->type != SWK_RAFT_ENTRY_NORMAL) {
            raft->conf_given = entry->index;
        }
    }
}

/* -- Leadership ------------------------------------------------------------ */

/* The first entry of the current term, which ends the log's tail of earlier
 * ones. */
static uint64_t find_own_first(const struct swk_raft *raft)
{
    struct swki_machine_status status;
    uint64_t index;

    swki_machine_status(raft->machine, &status);
    for (index = status.last; index > status.first &&
                              swki_machine_term_at(raft->machine, index - 1) ==
                                  raft->state.term;
         index--) {
    }
    return index;
}

static void take_leadership(struct swk_raft *raft)
{
    struct swk_raft_actions *actions = &raft->actions;
    bool leads = raft->role == SWK_RAFT_LEADER;

    if (!leads && raft->announced_term == 0) {
        return;
    }
    leads = leads && swki_machine_failure(raft->machine) == NULL;
    if (raft->announced_term != 0 &&
        (!leads || raft->announced_term != raft->state.term)) {
        raft->announced_term = 0;
        actions->leadership_lost = 1;
    }
    if (!leads || raft->announced_term != 0) {
        return;
    }
    if (raft->own_term != raft->state.term) {
        raft->own_term = raft->state.term;
        raft->own_first = find_own_first(raft);
    }
    /* Once its own first entry is applied, so is everything of earlier
     * leaders. */
    if (raft->applied >= raft->own_first) {
        raft->announced_term = raft->state.term;
        actions->leadership_gained = 1;
    }
}

/* -- All of it ------------------------------------------------------------- */

static void take_parts(struct swk_raft *raft,
                       const struct swki_machine_ready *ready)
{
    raft->role = ready->role;
    raft->leader = ready->leader;
    if (ready->hard_state != NULL) {
        raft->state = *ready->hard_state;
    }
    take_write(raft, ready);
    take_messages(raft, ready);
    take_committed(raft, ready);
    raft->actions.reads = ready->reads;
    raft->actions.reads_count = ready->reads_count;
}

static bool any_given(const struct swk_raft_actions *actions)
{
    return actions->install != NULL || actions->persist_ticket != 0 ||
           actions->messages_count > 0 || actions->committed_count > 0 ||
           actions->reads_count > 0;
}

/* Takes a Ready, until one gives the driver something to do. If memory is
 * short, nothing has happened, and the next call tries again. */
static void take_ready(struct swk_raft *raft)
{
    static const struct swki_machine_ready nothing;
    const struct swki_machine_ready *ready;

    for (int round = 0; round < ROUNDS_MAX; round++) {
        if (!swki_raft_writes_process(raft) ||
            swki_machine_failure(raft->machine) != NULL) {
            return;
        }
        if (!swki_machine_has_ready(raft->machine)) {
            take_messages(raft, &nothing);
            return;
        }
        if (!swki_raft_writes_reserve(raft) ||
            swki_machine_take_ready(raft->machine, &ready, NULL) != SWK_OK) {
            return;
        }
        take_parts(raft, ready);
        if (any_given(&raft->actions)) {
            return;
        }
    }
}

const struct swk_raft_actions *swk_raft_take_actions(swk_raft *raft)
{
    static const struct swk_raft_actions none = {.size = sizeof(none)};
    const struct swk_error *failure;

    if (raft == NULL) {
        return NULL;
    }
    raft->actions = none;
    if (raft->started) {
        swki_raft_take_snapshot_wanted(raft);
        take_ready(raft);
        take_leadership(raft);
    }
    failure = swki_machine_failure(raft->machine);
    if (failure != NULL && !raft->failure_told) {
        raft->failure_told = true;
        raft->actions.failure = failure->code;
        swki_raft_recorder_dump(&raft->recorder, failure);
    }
    return &raft->actions;
}
