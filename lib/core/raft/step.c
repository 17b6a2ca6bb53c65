/* SPDX-License-Identifier: Apache-2.0 */

/* A message comes in: its term first (section 6), then what it says. */

#include "base/error.h"
#include "core/raft/inside.h"

static bool from_leader(int32_t type)
{
    return type == SWK_RAFT_MSG_APP || type == SWK_RAFT_MSG_HEARTBEAT ||
           type == SWK_RAFT_MSG_SNAP;
}

static void trace_term(struct swki_machine *m,
                       enum swki_machine_trace_kind kind,
                       const struct swk_raft_message *message)
{
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = kind,
                             .message_type = message->type,
                             .peer = message->from,
                             .message_term = message->term,
                         });
}

/* R-MSG-4: false if the message is not to be handled further. */
static bool admit_higher_term(struct swki_machine *m,
                              const struct swk_raft_message *message)
{
    bool request = message->type == SWK_RAFT_MSG_VOTE ||
                   message->type == SWK_RAFT_MSG_PRE_VOTE;

    if (request && swki_machine_vote_in_lease(m, message)) {
        return false;
    }
    if (message->type == SWK_RAFT_MSG_PRE_VOTE ||
        (message->type == SWK_RAFT_MSG_PRE_VOTE_RESP && message->reject == 0)) {
        return true;
    }
    trace_term(m, SWKI_TRACE_HIGHER_TERM, message);
    swki_machine_become_follower(m, message->term,
                                 from_leader(message->type) ? message->from
                                                            : 0);
    return true;
}

/* R-MSG-5 */
static void answer_lower_term(struct swki_machine *m,
                              const struct swk_raft_message *message)
{
    bool heeds = swki_machine_has(m, SWKI_MACHINE_CHECK_QUORUM_ON) ||
                 swki_machine_has(m, SWKI_MACHINE_PRE_VOTE);

    if (heeds && (message->type == SWK_RAFT_MSG_APP ||
                  message->type == SWK_RAFT_MSG_HEARTBEAT)) {
        (void)swki_machine_send(m, &(struct swk_raft_message){
                                       .type = SWK_RAFT_MSG_APP_RESP,
                                       .to = message->from,
                                   });
        return;
    }
    if (message->type == SWK_RAFT_MSG_PRE_VOTE) {
        swki_machine_refuse_vote(m, message);
        return;
    }
    if (message->type != SWKI_MACHINE_STORAGE_APPEND_RESP) {
        trace_term(m, SWKI_TRACE_LOWER_TERM, message);
        return;
    }
    if (SWKI_PLANTED(SWKI_FAULT_OLD_STORED) && message->index != 0) {
        swki_machine_log_stable(m, message->index, message->log_term);
    } else if (message->index != 0) {
        trace_term(m, SWKI_TRACE_STABLE_OLD_TERM, message);
    }
    if (message->snapshot != NULL) {
        swki_machine_snapshot_stable(m, message->snapshot->index);
    }
}

/* App, Heartbeat or Snap of the own term (R-MSG-6, R-ELE-7, R-FOL-1). */
static void handle_from_leader(struct swki_machine *m,
                               const struct swk_raft_message *message)
{
    bool second = m->lead != 0 && m->lead != message->from;

    if (m->role == SWK_RAFT_LEADER ||
        (m->role == SWK_RAFT_FOLLOWER && second)) {
        swki_machine_reject(m, SWKI_MACHINE_REJECT_TWO_LEADERS, message);
        return;
    }
    if (m->role != SWK_RAFT_FOLLOWER) {
        swki_machine_become_follower(m, message->term, message->from);
    }
    m->election_elapsed = 0;
    m->lead = message->from;
    if (message->type == SWK_RAFT_MSG_APP) {
        swki_machine_handle_append(m, message);
    } else if (message->type == SWK_RAFT_MSG_HEARTBEAT) {
        swki_machine_handle_heartbeat(m, message);
    } else {
        swki_machine_handle_snapshot(m, message);
    }
}

/* What a leader is told by a member, or about one. */
static void handle_about_peer(struct swki_machine *m,
                              const struct swk_raft_message *message)
{
    struct swki_raft_progress *peer = swki_machine_peer(m, message->from);

    if (m->role != SWK_RAFT_LEADER) {
        return;
    }
    if (peer == NULL) { /* R-REP-9 */
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_NO_PROGRESS,
                                 .peer = message->from,
                             });
        return;
    }
    switch (message->type) {
    case SWK_RAFT_MSG_APP_RESP:
        swki_machine_handle_append_resp(m, peer, message);
        break;
    case SWK_RAFT_MSG_HEARTBEAT_RESP:
        swki_machine_handle_heartbeat_resp(m, peer, message);
        break;
    case SWK_RAFT_MSG_TRANSFER_LEADER:
        swki_machine_handle_transfer(m, message->from);
        break;
    default:
        break;
    }
}

/* R-FOL-6: a follower passes it on, as it came. */
static int forward(struct swki_machine *m,
                   const struct swk_raft_message *message,
                   enum swki_machine_trace_kind without_leader,
                   struct swk_error *err)
{
    if (m->role != SWK_RAFT_FOLLOWER) {
        return swki_fail(err, SWK_ENOTLEADER, "raft: no leader is known");
    }
    if (m->lead == 0) {
        swki_machine_emit(m,
                          (struct swki_machine_trace){.kind = without_leader});
        return swki_fail(err, SWK_ENOTLEADER, "raft: no leader is known");
    }

    struct swk_raft_message passed = *message;
    passed.to = m->lead;
    return swki_machine_send(m, &passed) ? SWK_OK : swki_fail_nomem(err);
}

static void handle_timeout_now(struct swki_machine *m,
                               const struct swk_raft_message *message)
{
    if (m->role == SWK_RAFT_LEADER) {
        return;
    }
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = m->role == SWK_RAFT_FOLLOWER
                                         ? SWKI_TRACE_TIMEOUT_NOW
                                         : SWKI_TRACE_TIMEOUT_NOW_IGNORED,
                             .peer = message->from,
                             .role = m->role,
                         });
    if (m->role == SWK_RAFT_FOLLOWER) { /* R-TRF-4 */
        swki_machine_hup(m, SWKI_CAMPAIGN_TRANSFER);
    }
}

static int handle_request(struct swki_machine *m,
                          const struct swk_raft_message *message,
                          struct swk_error *err)
{
    bool refused = false;

    switch (message->type) {
    case SWK_RAFT_MSG_PROP:
        if (m->role == SWK_RAFT_LEADER) {
            return swki_machine_leader_propose(m, message->entries,
                                               message->entries_count, &refused,
                                               err);
        }
        return swki_machine_follower_propose(m, message, err);
    case SWK_RAFT_MSG_READ_INDEX:
        if (m->role == SWK_RAFT_LEADER) {
            return swki_machine_handle_read(m, message, err);
        }
        return forward(m, message, SWKI_TRACE_READ_NO_LEADER, err);
    case SWK_RAFT_MSG_TRANSFER_LEADER:
        if (m->role == SWK_RAFT_LEADER) {
            handle_about_peer(m, message);
            return SWK_OK;
        }
        return forward(m, message, SWKI_TRACE_TRANSFER_NO_LEADER, err);
    default:
        return SWK_OK;
    }
}

static void handle_stored(struct swki_machine *m,
                          const struct swk_raft_message *message)
{
    if (message->index != 0) {
        swki_machine_log_stable(m, message->index, message->log_term);
    }
    if (message->snapshot != NULL) {
        swki_machine_snapshot_stable(m, message->snapshot->index);
    }
}

static void handle_applied(struct swki_machine *m,
                           const struct swk_raft_message *message)
{
    if (message->entries_count > 0) {
        swki_machine_note_applied(
            m, message->entries[message->entries_count - 1].index);
    }
}

int swki_machine_handle(struct swki_machine *m,
                        const struct swk_raft_message *message,
                        struct swk_error *err)
{
    if (message->term > m->term && !admit_higher_term(m, message)) {
        return SWK_OK;
    }
    if (message->term != 0 && message->term < m->term) {
        answer_lower_term(m, message);
        return SWK_OK;
    }

    switch (message->type) {
    case SWKI_MACHINE_STORAGE_APPEND_RESP:
        handle_stored(m, message);
        break;
    case SWKI_MACHINE_STORAGE_APPLY_RESP:
        handle_applied(m, message);
        break;
    case SWK_RAFT_MSG_VOTE:
    case SWK_RAFT_MSG_PRE_VOTE:
        swki_machine_handle_vote(m, message);
        break;
    case SWK_RAFT_MSG_VOTE_RESP:
    case SWK_RAFT_MSG_PRE_VOTE_RESP:
        swki_machine_handle_vote_resp(m, message);
        break;
    case SWK_RAFT_MSG_APP:
    case SWK_RAFT_MSG_HEARTBEAT:
    case SWK_RAFT_MSG_SNAP:
        handle_from_leader(m, message);
        break;
    case SWK_RAFT_MSG_APP_RESP:
    case SWK_RAFT_MSG_HEARTBEAT_RESP:
        handle_about_peer(m, message);
        break;
    case SWK_RAFT_MSG_TIMEOUT_NOW:
        handle_timeout_now(m, message);
        break;
    case SWK_RAFT_MSG_READ_INDEX_RESP:
        swki_machine_handle_read_resp(m, message);
        break;
    default:
        return handle_request(m, message, err);
    }
    return SWK_OK;
}

/* Room for what the message would add to the log. */
static int reserve_entries(struct swki_machine *m,
                           const struct swk_raft_message *message,
                           struct swk_error *err)
{
    size_t size = 0;

    if (message->type != SWK_RAFT_MSG_APP &&
        message->type != SWK_RAFT_MSG_PROP) {
        return SWK_OK;
    }
    for (size_t i = 0; i < message->entries_count; i++) {
        size += message->entries[i].data_len;
    }
    /* One more, since becoming leader cannot happen but costs nothing. */
    return swki_entries_reserve(&m->log, message->entries_count + 1, size)
               ? SWK_OK
               : swki_fail_nomem(err);
}

/* A storage's response goes to no one else, and needs no check. */
static bool from_storage(const struct swk_raft_message *message)
{
    return message->type == SWKI_MACHINE_STORAGE_APPEND_RESP ||
           message->type == SWKI_MACHINE_STORAGE_APPLY_RESP;
}

/* Handles a message that passed the checks, or needs none. */
static int deliver(struct swki_machine *m,
                   const struct swk_raft_message *message,
                   struct swk_error *err)
{
    int rc;
    int settled;

    /* R-FOL-5: nothing is answered on behalf of a log that is gone. */
    if (m->log_lost && !from_storage(message)) {
        return SWK_OK;
    }
    if (swki_machine_traces_often(m)) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_RECEIVED,
                                 .message = message,
                             });
    }
    rc = swki_machine_handle(m, message, err);
    settled = swki_machine_settle(m, err);
    return settled != SWK_OK ? settled : rc;
}

int swki_machine_step(struct swki_machine *m,
                      const struct swk_raft_message *message,
                      struct swk_error *err)
{
    enum swki_machine_reject reason;
    int rc = swki_machine_begin(m, err);
    if (rc != SWK_OK) {
        return rc;
    }

    rc = swki_machine_validate(m, message, &reason);
    if (rc != SWK_OK) {
        swki_machine_reject(m, reason, message);
        return swki_fail(err, rc, "raft: message %d of member %llu is refused",
                         (int)message->type,
                         (unsigned long long)message->from);
    }
    rc = reserve_entries(m, message, err);
    if (rc != SWK_OK) {
        return rc;
    }
    return deliver(m, message, err);
}

int swki_machine_step_own(struct swki_machine *m,
                          const struct swk_raft_message *response,
                          struct swk_error *err)
{
    int rc = swki_machine_begin(m, err);

    return rc == SWK_OK ? deliver(m, response, err) : rc;
}
