/* SPDX-License-Identifier: Apache-2.0 */

/* The leader's side of copying its log (section 8). */

#include <string.h>

#include "core/raft/inside.h"

enum {
    POSITION_LEN = 8, /* of a heartbeat's context */
};

static uint64_t data_bytes(const struct swki_machine *m, uint64_t from,
                           size_t count)
{
    const struct swk_log_entry *entries = NULL;
    uint64_t size = 0;

    if (count > 0) {
        entries = swki_entries_at(&m->log, from);
    }
    for (size_t i = 0; i < count; i++) {
        size += entries[i].data_len;
    }
    return size;
}

/* -- Appends ---------------------------------------------------------------- */

/* The append to a member that still waits, if the next one could follow on it;
 * looked for only where it is likely to be. */
static struct swk_raft_message *find_waiting(struct swki_machine *m,
                                             const struct swki_raft_progress *p)
{
    size_t looks = m->configuration.peers_count * 2;

    if (!swki_machine_has(m, SWKI_MACHINE_COALESCE) ||
        p->state != SWK_RAFT_REPLICATE) {
        return NULL;
    }
    for (size_t i = m->messages.count; i > 0 && looks > 0; i--, looks--) {
        struct swk_raft_message *message = &m->messages.items[i - 1];

        if (message->to != p->id || message->type != SWK_RAFT_MSG_APP) {
            continue;
        }
        return message->term == m->term && message->entries == NULL &&
                       message->index + message->entries_count + 1 == p->next
                   ? message
                   : NULL;
    }
    return NULL;
}

/* Adds to an append that waits (R-PRO-6): the window counts what is sent. */
static bool merge(struct swki_machine *m, struct swki_raft_progress *peer,
                  size_t count, uint64_t size)
{
    struct swk_raft_message *message = find_waiting(m, peer);

    if (message == NULL) {
        return false;
    }
    if (message->entries_count > 0 && count > 0) {
        size_t together = message->entries_count + count;

        if (together > m->config.message_entries_max ||
            swki_entries_fitting(&m->log, message->index + 1,
                                 message->index + together, together,
                                 m->config.message_size_max) < together) {
            return false;
        }
    }
    if (count > 0 && message->entries_count > 0 &&
        swki_raft_progress_counts_last(peer)) {
        swki_raft_progress_extend(peer, count, size);
    } else {
        swki_raft_progress_sent(peer, count, size);
    }
    message->entries_count += count;
    message->commit = m->committed;
    return true;
}

bool swki_machine_send_append(struct swki_machine *m,
                              struct swki_raft_progress *peer,
                              enum swki_machine_send_when when)
{
    uint64_t prev = peer->next - 1;
    uint64_t prev_term = 0;
    size_t count = 0;

    if (swki_raft_progress_paused(peer)) {
        return false;
    }
    if (!swki_entries_term(&m->log, prev, &prev_term)) {
        return swki_machine_send_snapshot(m, peer);
    }
    /* An empty append through a full window finds out if it was lost. */
    if (peer->state != SWK_RAFT_REPLICATE || !swki_raft_progress_full(peer)) {
        count = swki_entries_fitting(&m->log, peer->next, swki_machine_last(m),
                                     m->config.message_entries_max,
                                     m->config.message_size_max);
    }
    if (count == 0 && when == SWKI_SEND_NOT_EMPTY) {
        return false;
    }
    if (count > 0 && peer->state == SWK_RAFT_REPLICATE &&
        !swki_raft_progress_reserve(peer, m->config.alloc)) {
        return false;
    }

    uint64_t size = data_bytes(m, peer->next, count);
    if (!merge(m, peer, count, size)) {
        if (!swki_machine_send_entries(m, peer->id, prev, prev_term, count)) {
            return false;
        }
        swki_raft_progress_sent(peer, count, size);
    }
    peer->sent_commit = m->committed;
    return true;
}

void swki_machine_broadcast(struct swki_machine *m,
                            enum swki_machine_send_when when)
{
    for (size_t i = 0; i < m->configuration.peers_count; i++) {
        struct swki_raft_progress *peer = &m->configuration.peers[i];

        if (peer->id != m->config.id) {
            (void)swki_machine_send_append(m, peer, when);
        }
    }
}

/* -- Heartbeats ------------------------------------------------------------ */

/* R-REP-4 */
void swki_machine_broadcast_heartbeat(struct swki_machine *m)
{
    uint64_t position = swki_machine_beat_position(m);
    uint8_t context[POSITION_LEN];

    for (size_t i = 0; i < POSITION_LEN; i++) {
        context[i] = (uint8_t)(position >> (8 * i));
    }
    for (size_t i = 0; i < m->configuration.peers_count; i++) {
        struct swki_raft_progress *peer = &m->configuration.peers[i];
        struct swk_raft_message message = {
            .type = SWK_RAFT_MSG_HEARTBEAT,
            .to = peer->id,
            .commit = peer->match < m->committed &&
                              !SWKI_PLANTED(SWKI_FAULT_TELL_COMMIT)
                          ? peer->match
                          : m->committed,
        };

        if (peer->id == m->config.id) {
            continue;
        }
        if (position != 0) {
            message.context = context;
            message.context_len = POSITION_LEN;
        }
        if (swki_machine_send(m, &message)) {
            peer->sent_commit = message.commit;
        }
    }
}

/* R-REP-7 */
void swki_machine_handle_heartbeat_resp(struct swki_machine *m,
                                        struct swki_raft_progress *peer,
                                        const struct swk_raft_message *message)
{
    swki_machine_hear(m, peer);
    peer->flow_paused = false;
    if (peer->match < swki_machine_last(m) || peer->state == SWK_RAFT_PROBE) {
        (void)swki_machine_send_append(m, peer, SWKI_SEND_ALWAYS);
    }
    if (message->context_len == POSITION_LEN) {
        uint64_t position = 0;

        for (size_t i = 0; i < POSITION_LEN; i++) {
            position |= (uint64_t)message->context[i] << (8 * i);
        }
        swki_machine_confirm_reads(m, peer, position);
    }
}

/* -- Answers to appends ----------------------------------------------------- */

/* R-REP-6 */
static void handle_rejection(struct swki_machine *m,
                             struct swki_raft_progress *peer,
                             const struct swk_raft_message *message)
{
    uint64_t hint = message->reject_hint;
    uint64_t hint_term = 0;

    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_APPEND_REJECTED,
                             .peer = peer->id,
                             .message_index = message->index,
                             .hint = hint,
                             .message_log_term = message->log_term,
                         });
    if (message->log_term > 0) {
        hint =
            swki_entries_guess(&m->log, hint, message->log_term, &hint_term);
    }
    if (message->context_len == SWKI_MACHINE_LOST_MARK_LEN &&
        memcmp(message->context, swki_machine_lost_mark,
               SWKI_MACHINE_LOST_MARK_LEN) == 0) {
        swki_raft_progress_lost(peer, hint);
    } else if (!swki_raft_progress_reject(peer, message->index, hint)) {
        return;
    }
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_PROGRESS_DECREASED,
                             .peer = peer->id,
                             .progress = peer,
                         });
    if (peer->state == SWK_RAFT_REPLICATE) {
        swki_raft_progress_probe(peer);
    }
    (void)swki_machine_send_append(m, peer, SWKI_SEND_ALWAYS);
}

static void replicate(struct swki_machine *m, struct swki_raft_progress *peer)
{
    swki_raft_progress_replicate(peer);
    swki_raft_progress_begin_rounds(peer, swki_machine_last(m), m->ticks);
}

/* The state that follows from an acknowledgement; true if it says anything
 * (R-REP-5). */
static bool accept(struct swki_machine *m, struct swki_raft_progress *peer,
                   uint64_t index)
{
    if (!swki_raft_progress_accept(peer, index) &&
        !(peer->match == index && peer->state == SWK_RAFT_PROBE)) {
        return false;
    }
    switch (peer->state) {
    case SWK_RAFT_PROBE:
        replicate(m, peer);
        break;
    case SWK_RAFT_REPLICATE:
        swki_raft_progress_release(peer, index);
        break;
    case SWK_RAFT_SNAPSHOT:
        if (peer->match + 1 < m->log.first) {
            break;
        }
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_SNAPSHOT_RECOVERED,
                                 .peer = peer->id,
                                 .progress = peer,
                             });
        swki_raft_progress_probe(peer);
        replicate(m, peer);
        break;
    }
    if (peer->learner) {
        swki_raft_progress_end_rounds(peer, swki_machine_last(m), m->ticks,
                                      m->config.election_ticks,
                                      m->config.promote_rounds);
    }
    return true;
}

void swki_machine_handle_append_resp(struct swki_machine *m,
                                     struct swki_raft_progress *peer,
                                     const struct swk_raft_message *message)
{
    bool self = peer->id == m->config.id;

    swki_machine_hear(m, peer);
    if (message->reject != 0) {
        handle_rejection(m, peer, message);
        return;
    }
    /* Nobody has what this leader has not. */
    if (message->index > swki_machine_last(m)) {
        swki_machine_reject(m, SWKI_MACHINE_REJECT_INDEX, message);
        return;
    }
    if (!accept(m, peer, message->index)) {
        return;
    }

    if (swki_machine_commit_matched(m)) {
        swki_machine_release_postponed(m);
        swki_machine_broadcast(m, SWKI_SEND_ALWAYS);
    } else if (!self && swki_raft_progress_lacks_commit(peer, m->committed)) {
        (void)swki_machine_send_append(m, peer, SWKI_SEND_ALWAYS);
    }
    if (self) {
        return;
    }
    while (swki_machine_send_append(m, peer, SWKI_SEND_NOT_EMPTY)) {
    }
    if (peer->id == m->transfer_target &&
        peer->match == swki_machine_last(m)) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_TRANSFER_TIMEOUT_NOW_LATE,
                                 .peer = peer->id,
                             });
        swki_machine_send_timeout_now(m, peer->id);
    }
}

/* R-REP-8 */
void swki_machine_handle_unreachable(struct swki_machine *m,
                                     struct swki_raft_progress *peer)
{
    if (peer->state == SWK_RAFT_REPLICATE) {
        swki_raft_progress_probe(peer);
    }
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_UNREACHABLE,
                             .peer = peer->id,
                             .progress = peer,
                         });
}
