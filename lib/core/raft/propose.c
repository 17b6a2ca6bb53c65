/* SPDX-License-Identifier: Apache-2.0 */

/* Proposals (section 16), and which changes of membership may be proposed
 * (R-CFG-3). */

#include "base/error.h"
#include "core/raft/conf_change.h"
#include "core/raft/inside.h"

/* -- The leader ------------------------------------------------------------ */

/* R-PRO-3: an oversized one passes while nothing else is uncommitted. */
static bool within_limit(const struct swki_machine *m, uint64_t size)
{
    uint64_t max = m->config.uncommitted_size_max;

    return max == 0 || size == 0 || m->uncommitted_size == 0 ||
           m->uncommitted_size + size <= max;
}

bool swki_machine_leader_append(struct swki_machine *m,
                                const struct swk_log_entry *entries,
                                size_t entries_count)
{
    uint64_t size = 0;

    for (size_t i = 0; i < entries_count; i++) {
        size += entries[i].data_len;
    }
    if (!within_limit(m, size)) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_UNCOMMITTED_LIMIT});
        return false;
    }
    m->uncommitted_size += size;
    for (size_t i = 0; i < entries_count; i++) {
        struct swk_log_entry entry = entries[i];

        entry.term = m->term;
        entry.index = swki_machine_last(m) + 1;
        swki_machine_log_append(m, entry.index, &entry, 1);
    }
    /* R-REP-10: the leader's own acknowledgement, when this is durable. */
    swki_machine_acknowledge(m, m->config.id, swki_machine_last(m));
    return true;
}

/* Whether a change could be applied to the configuration as it is: nothing
 * else changes it before. */
static bool fits(const struct swki_machine *m,
                 const struct swk_raft_conf_change *change, bool *out_nomem)
{
    struct swki_raft_configuration next;
    enum swki_raft_change_result result = swki_raft_configuration_prepare(
        &m->configuration,
        swki_raft_change_kind(change->transition, change->changes_count),
        change->changes, change->changes_count, swki_machine_last(m), &next);

    if (result == SWKI_RAFT_CHANGE_OK) {
        swki_raft_configuration_discard(&next);
    }
    *out_nomem = result == SWKI_RAFT_CHANGE_NOMEM;
    return result == SWKI_RAFT_CHANGE_OK;
}

/* True if the change is refused, for the reason in out_why. */
static bool refuse(const struct swki_machine *m,
                   const struct swk_raft_conf_change *change, uint64_t pending,
                   enum swki_machine_refusal *out_why, bool *out_nomem)
{
    bool joint = swki_raft_configuration_joint(&m->configuration);
    bool leaves = change->changes_count == 0;

    *out_nomem = false;
    if (SWKI_PLANTED(SWKI_FAULT_CHANGES_AT_ONCE)) {
        *out_why = SWKI_MACHINE_REFUSAL_INVALID;
        return !fits(m, change, out_nomem);
    }
    /* R-CFG-14: nor before this leader has committed an entry of its own. */
    if (pending > m->applied || (!SWKI_PLANTED(SWKI_FAULT_CHANGES_EARLY) &&
                                 !swki_machine_committed_in_term(m))) {
        *out_why = SWKI_MACHINE_REFUSAL_PENDING;
        return true;
    }
    if (joint && !leaves) {
        *out_why = SWKI_MACHINE_REFUSAL_JOINT;
        return true;
    }
    if (!joint && leaves) {
        *out_why = SWKI_MACHINE_REFUSAL_NOT_JOINT;
        return true;
    }
    *out_why = SWKI_MACHINE_REFUSAL_INVALID;
    return !fits(m, change, out_nomem);
}

/* Looks at one entry to be proposed at an index: it stays as it is, or becomes
 * an empty one. 0 or SWK_ENOMEM. */
static int check_change(struct swki_machine *m, struct swk_log_entry *entry,
                        uint64_t index, uint64_t *pending, bool *out_refused,
                        struct swk_error *err)
{
    struct swk_raft_change changes[SWK_RAFT_CHANGES_MAX];
    struct swk_raft_conf_change change;
    enum swki_machine_refusal why;
    bool nomem = false;

    if (entry->type == SWK_RAFT_ENTRY_NORMAL) {
        return SWK_OK;
    }
    if (!swki_conf_change_decode(entry->type, entry->data, entry->data_len,
                                 changes, &change)) {
        return swki_fail(err, SWK_EINVAL,
                         "raft: the change of membership is malformed");
    }
    if (swki_machine_has(m, SWKI_MACHINE_NO_CONF_CHANGE_VALIDATION) ||
        !refuse(m, &change, *pending, &why, &nomem)) {
        *pending = index;
        return SWK_OK;
    }
    if (nomem) {
        return swki_fail_nomem(err);
    }
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_CHANGE_REFUSED,
                             .change = &change,
                             .configuration = &m->configuration,
                             .refusal = why,
                             .index = *pending,
                             .applied = m->applied,
                         });
    *entry = (struct swk_log_entry){.type = SWK_RAFT_ENTRY_NORMAL};
    *out_refused = true;
    return SWK_OK;
}

/* R-PRO-1 */
static int check_leader(struct swki_machine *m, struct swk_error *err)
{
    if (swki_machine_peer(m, m->config.id) == NULL) {
        return swki_fail(err, SWK_ENOTLEADER,
                         "raft: this leader is no member any more");
    }
    if (m->transfer_target != 0) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_TRANSFER_DROPS_PROPOSAL,
                                 .peer = m->transfer_target,
                             });
        return swki_fail(err, SWK_EBUSY,
                         "raft: leadership is being handed over");
    }
    if (m->stalled) {
        return swki_fail(err, SWK_EBUSY, "raft: the storage hangs");
    }
    return SWK_OK;
}

/* One entry of a proposal; most have no other. */
static int propose_one(struct swki_machine *m,
                       const struct swk_log_entry *proposed, bool *out_refused,
                       struct swk_error *err)
{
    struct swk_log_entry entry = *proposed;
    uint64_t pending = m->pending_change;
    int rc = check_change(m, &entry, swki_machine_last(m) + 1, &pending,
                          out_refused, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (!swki_machine_leader_append(m, &entry, 1)) {
        return swki_fail(err, SWK_EUNAVAILABLE,
                         "raft: too much is proposed and not applied yet");
    }
    m->pending_change = pending;
    return SWK_OK;
}

int swki_machine_leader_propose(struct swki_machine *m,
                                const struct swk_log_entry *entries,
                                size_t entries_count, bool *out_refused,
                                struct swk_error *err)
{
    size_t done = 0;
    int rc = check_leader(m, err);

    while (rc == SWK_OK && done < entries_count) {
        rc = propose_one(m, &entries[done], out_refused, err);
        done += rc == SWK_OK ? 1 : 0;
    }
    if (done > 0) { /* what is in the log is not taken back */
        swki_machine_broadcast(m, SWKI_SEND_ALWAYS);
    }
    return done > 0 ? SWK_OK : rc;
}

/* R-APP-4; before its first commit a leader would be refused (R-CFG-14). */
bool swki_machine_leave_due(const struct swki_machine *m)
{
    return m->configuration.auto_leave && m->role == SWK_RAFT_LEADER &&
           m->applied >= m->pending_change &&
           swki_machine_committed_in_term(m);
}

/* R-CFG-8 */
void swki_machine_auto_leave(struct swki_machine *m)
{
    const struct swk_log_entry leave = {.type = SWK_RAFT_ENTRY_CONF_CHANGE_V2};
    enum swki_machine_trace_kind kind = SWKI_TRACE_AUTO_LEAVE;
    bool refused = false;
    struct swk_error err;

    if (!swki_entries_reserve(&m->log, 1, 0) ||
        swki_machine_leader_propose(m, &leave, 1, &refused, &err) != SWK_OK) {
        kind = SWKI_TRACE_AUTO_LEAVE_DROPPED; /* a tick tries again */
    }
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = kind,
                             .configuration = &m->configuration,
                         });
}

/* -- Others ---------------------------------------------------------------- */

int swki_machine_follower_propose(struct swki_machine *m,
                                  const struct swk_raft_message *message,
                                  struct swk_error *err)
{
    struct swk_raft_message passed = *message;

    if (m->role != SWK_RAFT_FOLLOWER || m->lead == 0) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_PROPOSAL_NO_LEADER});
        return swki_fail(err, SWK_ENOTLEADER, "raft: no leader is known");
    }
    if (!swki_machine_has(m, SWKI_MACHINE_FORWARD_PROPOSALS)) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_PROPOSAL_NOT_FORWARDED,
                                 .peer = m->lead,
                             });
        return swki_fail(err, SWK_ENOTLEADER, "raft: not the leader");
    }
    passed.to = m->lead;
    return swki_machine_send(m, &passed) ? SWK_OK : swki_fail_nomem(err);
}

static int propose(struct swki_machine *m, const struct swk_log_entry *entry,
                   uint64_t *out_index, struct swk_error *err)
{
    bool refused = false;
    int rc;

    if (m->role != SWK_RAFT_LEADER) {
        const struct swk_raft_message message = {
            .type = SWK_RAFT_MSG_PROP,
            .to = m->config.id,
            .from = m->config.id,
            .entries = entry,
            .entries_count = 1,
        };

        *out_index = 0;
        return swki_machine_follower_propose(m, &message, err);
    }
    rc = swki_machine_leader_propose(m, entry, 1, &refused, err);
    *out_index = swki_machine_last(m);
    if (rc == SWK_OK && refused) {
        rc = swki_fail(err, SWK_EPRECONDITION,
                       "raft: another change of membership is under way, or "
                       "this one does not fit");
    }
    return rc;
}

int swki_machine_propose(struct swki_machine *m, int32_t type,
                         const void *data, size_t data_len,
                         uint64_t *out_index, struct swk_error *err)
{
    const struct swk_log_entry entry = {
        .type = type,
        .data = data_len > 0 ? data : NULL,
        .data_len = data_len,
    };
    uint64_t index = 0;
    int rc = swki_machine_begin(m, err);
    int settled;

    if (rc != SWK_OK) {
        return rc;
    }
    if (data_len > m->config.entry_size_max) { /* R-PRO-4 */
        return swki_fail(err, SWK_ELIMIT, "raft: the entry is too large");
    }
    if (!swki_entries_reserve(&m->log, 1, data_len)) {
        return swki_fail_nomem(err);
    }
    rc = propose(m, &entry, &index, err);
    if (out_index != NULL && (rc == SWK_OK || rc == SWK_EPRECONDITION)) {
        *out_index = index;
    }
    settled = swki_machine_settle(m, err);
    return settled != SWK_OK ? settled : rc;
}
