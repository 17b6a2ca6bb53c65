/* SPDX-License-Identifier: Apache-2.0 */

/* Elections: asking for votes, giving and counting them (section 7). */

#include <string.h>

#include "core/raft/inside.h"

const char swki_machine_transfer_mark[] = "CampaignTransfer";

_Static_assert(sizeof(swki_machine_transfer_mark) - 1 ==
                   SWKI_MACHINE_TRANSFER_MARK_LEN,
               "the mark's length");

/* -- Whether, and when ----------------------------------------------------- */

/* Their effect on the quorum is not known yet (R-ELE-1). */
static bool has_unapplied_changes(const struct swki_machine *m)
{
    for (uint64_t i = m->applied + 1; i <= m->committed; i++) {
        /* What a snapshot covers was in it. */
        if (i >= m->log.first &&
            swki_entries_at(&m->log, i)->type != SWK_RAFT_ENTRY_NORMAL) {
            return true;
        }
    }
    return false;
}

/* R-DSK-3, R-DSK-4: a damaged or hanging disk is no place to lead from. */
static bool fit_to_lead(const struct swki_machine *m)
{
    return swki_machine_promotable(m) && m->recovering == 0 && !m->stalled;
}

static int32_t own_priority(const struct swki_machine *m)
{
    const struct swki_raft_progress *self = swki_machine_peer(m, m->config.id);

    return self != NULL ? self->priority : 0;
}

/* The lowest priority above another that a voter has who was heard of lately,
 * but for the leader, whose silence is the cause; false if there is none. */
static bool next_priority(const struct swki_machine *m, int32_t above,
                          int32_t *out_priority)
{
    bool found = false;

    for (size_t i = 0; i < m->configuration.peers_count; i++) {
        const struct swki_raft_progress *peer = &m->configuration.peers[i];

        if (peer->priority > above && !peer->learner && peer->id != m->lead &&
            (!found || peer->priority < *out_priority) &&
            swki_machine_heard(m, peer, 2 * m->config.election_ticks)) {
            *out_priority = peer->priority;
            found = true;
        }
    }
    return found;
}

uint64_t swki_machine_priority_delay(const struct swki_machine *m)
{
    int32_t priority = own_priority(m);
    uint64_t ranks = 0;

    while (next_priority(m, priority, &priority)) {
        ranks++;
    }
    return ranks * m->config.election_ticks;
}

bool swki_machine_set_priority(struct swki_machine *m, uint64_t id,
                               int32_t priority)
{
    struct swki_raft_progress *peer = swki_machine_peer(m, id);

    if (peer != NULL) {
        peer->priority = priority;
    }
    return peer != NULL;
}

/* -- Campaigns ------------------------------------------------------------- */

static void ask(struct swki_machine *m, uint64_t peer, int32_t type,
                uint64_t term, enum swki_machine_campaign kind)
{
    uint64_t last = swki_machine_last(m);
    uint64_t last_term = swki_machine_last_term(m);

    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_VOTE_SENT,
                             .message_type = type,
                             .peer = peer,
                             .index = last,
                             .log_term = last_term,
                         });

    struct swk_raft_message message = {
        .type = type,
        .to = peer,
        .term = term,
        .index = last,
        .log_term = last_term,
    };
    if (kind == SWKI_CAMPAIGN_TRANSFER) {
        message.context = (const uint8_t *)swki_machine_transfer_mark;
        message.context_len = SWKI_MACHINE_TRANSFER_MARK_LEN;
    }
    (void)swki_machine_send(m, &message);
}

/* R-ELE-2, R-ELE-3 */
static void campaign(struct swki_machine *m, enum swki_machine_campaign kind)
{
    bool pre = kind == SWKI_CAMPAIGN_PRE_ELECTION;
    uint64_t term;

    if (pre) {
        swki_machine_become_pre_candidate(m);
        term = m->term + 1;
    } else {
        swki_machine_become_candidate(m);
        m->elections_started++;
        term = m->term;
    }

    for (size_t i = 0; i < m->configuration.peers_count; i++) {
        const struct swki_raft_progress *peer = &m->configuration.peers[i];

        if (peer->learner) {
            continue;
        }
        if (peer->id == m->config.id) {
            /* The own vote counts when it is durable. */
            (void)swki_machine_send(
                m, &(struct swk_raft_message){
                       .type = pre ? SWK_RAFT_MSG_PRE_VOTE_RESP
                                   : SWK_RAFT_MSG_VOTE_RESP,
                       .to = peer->id,
                       .term = term,
                   });
            continue;
        }
        ask(m, peer->id, pre ? SWK_RAFT_MSG_PRE_VOTE : SWK_RAFT_MSG_VOTE, term,
            kind);
    }
}

void swki_machine_hup(struct swki_machine *m, enum swki_machine_campaign kind)
{
    if (m->role == SWK_RAFT_LEADER) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_ALREADY_LEADER});
        return;
    }
    if (!fit_to_lead(m)) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_UNPROMOTABLE});
        return;
    }
    if (has_unapplied_changes(m)) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_PENDING_CHANGES});
        return;
    }
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_ELECTION});
    campaign(m, kind);
}

/* -- Being asked ----------------------------------------------------------- */

static void trace_vote(struct swki_machine *m,
                       enum swki_machine_trace_kind kind,
                       const struct swk_raft_message *message)
{
    uint64_t left = 0;

    if (kind == SWKI_TRACE_VOTE_IN_LEASE) {
        left = m->config.election_ticks - m->election_elapsed;
    }
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = kind,
                             .message_type = message->type,
                             .peer = message->from,
                             .vote = m->vote,
                             .index = swki_machine_last(m),
                             .log_term = swki_machine_last_term(m),
                             .message_index = message->index,
                             .message_log_term = message->log_term,
                             .ticks = left,
                         });
}

/* R-MSG-4.1 */
bool swki_machine_vote_in_lease(struct swki_machine *m,
                                const struct swk_raft_message *message)
{
    bool forced = message->context_len == SWKI_MACHINE_TRANSFER_MARK_LEN &&
                  memcmp(message->context, swki_machine_transfer_mark,
                         SWKI_MACHINE_TRANSFER_MARK_LEN) == 0;

    if (forced || !swki_machine_has(m, SWKI_MACHINE_CHECK_QUORUM_ON) ||
        m->lead == 0 || m->election_elapsed >= m->config.election_ticks) {
        return false;
    }
    trace_vote(m, SWKI_TRACE_VOTE_IN_LEASE, message);
    return true;
}

static int32_t response_type(const struct swk_raft_message *message)
{
    return message->type == SWK_RAFT_MSG_VOTE ? SWK_RAFT_MSG_VOTE_RESP
                                              : SWK_RAFT_MSG_PRE_VOTE_RESP;
}

void swki_machine_refuse_vote(struct swki_machine *m,
                              const struct swk_raft_message *message)
{
    trace_vote(m, SWKI_TRACE_VOTE_REFUSED, message);
    (void)swki_machine_send(m, &(struct swk_raft_message){
                                   .type = response_type(message),
                                   .to = message->from,
                                   .term = m->term,
                                   .reject = 1,
                               });
}

/* R-LOG-5 */
static bool up_to_date(const struct swki_machine *m,
                       const struct swk_raft_message *message)
{
    uint64_t last_term = swki_machine_last_term(m);

    return SWKI_PLANTED(SWKI_FAULT_ANY_LOG_WINS) ||
           message->log_term > last_term ||
           (message->log_term == last_term &&
            message->index >= swki_machine_last(m));
}

/* R-ELE-4: a learner votes as well, since the asker may know of its promotion
 * before it does; and so it does for one that it does not know of. */
static bool may_vote(const struct swki_machine *m,
                     const struct swk_raft_message *message)
{
    bool pre = message->type == SWK_RAFT_MSG_PRE_VOTE;

    if (pre && m->stalled) {
        return false;
    }
    return m->vote == message->from || (m->vote == 0 && m->lead == 0) ||
           (pre && message->term > m->term);
}

/* R-EXT-1: one of lower priority whose log is as long is held back once in a
 * timeout, so that this member may campaign itself. */
static bool hold_back(struct swki_machine *m,
                      const struct swk_raft_message *message)
{
    const struct swki_raft_progress *peer = swki_machine_peer(m, message->from);

    if (message->type != SWK_RAFT_MSG_PRE_VOTE || peer == NULL ||
        peer->priority >= own_priority(m) ||
        message->log_term != swki_machine_last_term(m) ||
        message->index != swki_machine_last(m) || !fit_to_lead(m) ||
        has_unapplied_changes(m)) {
        return false;
    }
    if (m->held_back != 0 &&
        m->ticks + 1 - m->held_back < m->election_timeout) {
        return false;
    }
    m->held_back = m->ticks + 1;
    return true;
}

static void hear_candidate(struct swki_machine *m, uint64_t id)
{
    struct swki_raft_progress *peer = swki_machine_peer(m, id);

    if (peer != NULL) {
        peer->heard = m->ticks + 1;
    }
}

void swki_machine_handle_vote(struct swki_machine *m,
                              const struct swk_raft_message *message)
{
    if (m->recovering != 0 && !SWKI_PLANTED(SWKI_FAULT_VOTE_WITH_LOSS)) {
        return;
    }
    hear_candidate(m, message->from);
    if (!may_vote(m, message) || !up_to_date(m, message) ||
        hold_back(m, message)) {
        swki_machine_refuse_vote(m, message);
        return;
    }

    /* R-ELE-5: with the request's term, as that of a pre-vote is not ours. */
    trace_vote(m, SWKI_TRACE_VOTE_CAST, message);
    (void)swki_machine_send(m, &(struct swk_raft_message){
                                   .type = response_type(message),
                                   .to = message->from,
                                   .term = message->term,
                               });
    if (message->type == SWK_RAFT_MSG_VOTE) {
        m->election_elapsed = 0;
        m->vote = message->from;
    }
}

/* -- Counting -------------------------------------------------------------- */

/* R-ELE-6: the first answer of each counts. */
static enum swki_raft_verdict count_vote(struct swki_machine *m,
                                         const struct swk_raft_message *message)
{
    struct swki_raft_progress *peer = swki_machine_peer(m, message->from);
    size_t granted = 0;
    size_t refused = 0;

    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_VOTE_RECEIVED,
                             .message_type = message->type,
                             .peer = message->from,
                             .reject = message->reject != 0,
                         });
    if (peer != NULL) {
        peer->heard = m->ticks + 1;
    }
    if (peer != NULL && peer->ballot == SWKI_RAFT_UNHEARD) {
        peer->ballot =
            message->reject != 0 ? SWKI_RAFT_REFUSED : SWKI_RAFT_GRANTED;
    }

    enum swki_raft_verdict verdict = swki_raft_configuration_ballots(
        &m->configuration, &granted, &refused);
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_VOTE_COUNT,
                             .message_type = message->type,
                             .granted = granted,
                             .refused = refused,
                         });
    return verdict;
}

void swki_machine_handle_vote_resp(struct swki_machine *m,
                                   const struct swk_raft_message *message)
{
    bool pre = m->role == SWK_RAFT_PRE_CANDIDATE;

    if ((!pre && m->role != SWK_RAFT_CANDIDATE) ||
        message->type !=
            (pre ? SWK_RAFT_MSG_PRE_VOTE_RESP : SWK_RAFT_MSG_VOTE_RESP)) {
        return;
    }
    switch (count_vote(m, message)) {
    case SWKI_RAFT_WON:
        if (pre) {
            campaign(m, SWKI_CAMPAIGN_ELECTION);
            break;
        }
        swki_machine_become_leader(m);
        swki_machine_broadcast(m, SWKI_SEND_ALWAYS);
        break;
    case SWKI_RAFT_LOST:
        swki_machine_become_follower(m, m->term, 0);
        break;
    case SWKI_RAFT_PENDING:
        break;
    }
}

/* R-ELE-10 */
void swki_machine_check_quorum(struct swki_machine *m)
{
    struct swki_raft_progress *self = swki_machine_peer(m, m->config.id);

    if (self != NULL) {
        self->active = true;
    }
    if (!swki_raft_configuration_active(&m->configuration)) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_QUORUM_LOST});
        swki_machine_become_follower(m, m->term, 0);
    }
    for (size_t i = 0; i < m->configuration.peers_count; i++) {
        if (m->configuration.peers[i].id != m->config.id) {
            m->configuration.peers[i].active = false;
        }
    }
}
