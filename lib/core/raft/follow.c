/* SPDX-License-Identifier: Apache-2.0 */

/* The follower's side of copying the leader's log (section 9). */

#include "core/raft/inside.h"

const char swki_machine_lost_mark[] = "LogLost";

_Static_assert(sizeof(swki_machine_lost_mark) - 1 == SWKI_MACHINE_LOST_MARK_LEN,
               "the mark's length");

static void answer_refusing(struct swki_machine *m, uint64_t leader,
                            uint64_t index, uint64_t hint, uint64_t hint_term)
{
    struct swk_raft_message answer = {
        .type = SWK_RAFT_MSG_APP_RESP,
        .to = leader,
        .index = index,
        .reject = 1,
        .reject_hint = hint,
        .log_term = hint_term,
    };

    if (m->recovering != 0) {
        answer.context = (const uint8_t *)swki_machine_lost_mark;
        answer.context_len = SWKI_MACHINE_LOST_MARK_LEN;
    }
    (void)swki_machine_send(m, &answer);
}

/* R-FOL-4 */
static void refuse(struct swki_machine *m,
                   const struct swk_raft_message *message)
{
    uint64_t last = swki_machine_last(m);
    uint64_t own = 0;
    uint64_t hint_term = 0;
    uint64_t hint =
        swki_entries_guess(&m->log, message->index < last ? message->index : last,
                           message->log_term, &hint_term);

    (void)swki_entries_term(&m->log, message->index, &own);
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_APPEND_REFUSED,
                             .peer = message->from,
                             .log_term = own,
                             .message_index = message->index,
                             .message_log_term = message->log_term,
                         });
    answer_refusing(m, message->from, message->index, hint, hint_term);
}

/* How many entries of an append the log has already, with the same terms. */
static size_t count_known(struct swki_machine *m,
                          const struct swk_raft_message *message)
{
    for (size_t i = 0; i < message->entries_count; i++) {
        const struct swk_log_entry *entry = &message->entries[i];
        uint64_t own = 0;

        if (swki_entries_match(&m->log, entry->index, entry->term)) {
            continue;
        }
        if (swki_entries_term(&m->log, entry->index, &own)) {
            swki_machine_emit(m, (struct swki_machine_trace){
                                     .kind = SWKI_TRACE_CONFLICT,
                                     .index = entry->index,
                                     .log_term = own,
                                     .message_log_term = entry->term,
                                 });
        }
        return i;
    }
    return message->entries_count;
}

/* R-FOL-2, R-FOL-3 */
void swki_machine_handle_append(struct swki_machine *m,
                                const struct swk_raft_message *message)
{
    uint64_t end = message->index + message->entries_count;

    if (message->index < m->committed) {
        swki_machine_acknowledge(m, message->from, m->committed);
        return;
    }
    if (!swki_entries_match(&m->log, message->index, message->log_term)) {
        refuse(m, message);
        return;
    }

    /* Never truncated because of an old or short message. */
    size_t known = count_known(m, message);
    if (SWKI_PLANTED(SWKI_FAULT_CUT_AT_APPEND) &&
        end > m->committed && end < swki_machine_last(m)) {
        swki_machine_log_append(m, end + 1, NULL, 0);
    }
    if (known < message->entries_count) {
        swki_machine_log_append(m, message->index + known + 1,
                                message->entries + known,
                                message->entries_count - known);
    }
    if (m->stage == SWKI_MACHINE_FAILED) {
        return;
    }
    swki_machine_commit(m, message->commit < end ? message->commit : end);
    swki_machine_acknowledge(m, message->from, end);
}

/* R-FOL-5 */
void swki_machine_handle_heartbeat(struct swki_machine *m,
                                   const struct swk_raft_message *message)
{
    bool beyond = message->commit > swki_machine_last(m);

    if (beyond && m->recovering == 0) {
        /* What this member acknowledged it has no more. */
        m->recovering = message->commit;
        m->log_lost = true;
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_LOG_LOST,
                                 .index = message->commit,
                             });
        return;
    }
    if (beyond) { /* the leader does not know yet what was lost */
        answer_refusing(m, message->from, message->commit,
                        swki_machine_last(m), swki_machine_last_term(m));
    } else {
        swki_machine_commit(m, message->commit);
    }
    (void)swki_machine_send(m, &(struct swk_raft_message){
                                   .type = SWK_RAFT_MSG_HEARTBEAT_RESP,
                                   .to = message->from,
                                   .context = message->context,
                                   .context_len = message->context_len,
                               });
}

/* R-DSK-3: what may have been acknowledged is durable again. */
void swki_machine_check_recovered(struct swki_machine *m)
{
    if (m->recovering == 0 || m->log_lost || m->offset - 1 < m->recovering) {
        return;
    }
    m->recovering = 0;
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_RECOVERED});
}
