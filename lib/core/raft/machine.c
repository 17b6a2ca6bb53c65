/* SPDX-License-Identifier: Apache-2.0 */

/* The machine's life: made, restored, started, failed, freed. */

#include "core/raft/machine.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/raft/inside.h"

enum {
    MESSAGES_PER_PEER = 2, /* that one event may need without fail */
    MESSAGES_BESIDE = 4,
    FIRST_TERM = 1, /* of what a group begins with */
};

/* -- Making ---------------------------------------------------------------- */

static const char *check_config(const struct swki_machine_config *c)
{
    if (c->id == 0 || c->id >= SWKI_MACHINE_APPLY_THREAD) {
        return "raft: the ID is none or reserved";
    }
    if (c->heartbeat_ticks == 0 || c->election_ticks <= c->heartbeat_ticks ||
        c->election_ticks > UINT32_MAX / 4) {
        return "raft: the election timeout must exceed the heartbeat's";
    }
    if (c->lease_margin_ticks >= c->election_ticks) {
        return "raft: the lease margin must be below the election timeout";
    }
    if (c->inflight_messages_max == 0 || c->message_entries_max == 0 ||
        c->apply_size_max == 0) {
        return "raft: a limit is 0";
    }
    if (c->inflight_size_max != 0 &&
        c->inflight_size_max < c->message_size_max) {
        return "raft: the window must hold a message";
    }
    if ((c->flags & SWKI_MACHINE_LEASE_READS) != 0 &&
        (c->flags & SWKI_MACHINE_CHECK_QUORUM_ON) == 0) {
        return "raft: leases need the check of the quorum";
    }
    return NULL;
}

int swki_machine_new(const struct swki_machine_config *config,
                     struct swki_machine **out_machine, struct swk_error *err)
{
    const char *wrong = check_config(config);
    if (wrong != NULL) {
        return swki_fail(err, SWK_EINVAL, "%s", wrong);
    }

    struct swki_machine *m = swki_calloc(config->alloc, 1, sizeof(*m));
    if (m == NULL) {
        return swki_fail_nomem(err);
    }
    if ((config->flags & SWKI_MACHINE_LEASE_READS) != 0) {
        m->beats = swki_calloc(config->alloc, SWKI_MACHINE_BEATS,
                               sizeof(m->beats[0]));
        if (m->beats == NULL) {
            swki_free(config->alloc, m);
            return swki_fail_nomem(err);
        }
    }
    m->config = *config;
    swki_rng_init(&m->rng, config->seed);
    swki_raft_configuration_init(&m->configuration, config->alloc,
                                 config->inflight_messages_max,
                                 config->inflight_size_max);
    swki_entries_init(&m->log, config->alloc);
    swki_outbox_init(&m->messages, config->alloc);
    swki_outbox_init(&m->messages_out, config->alloc);
    swki_outbox_init(&m->after, config->alloc);
    swki_outbox_init(&m->after_out, config->alloc);
    swki_outbox_init(&m->advance.own, config->alloc);
    *out_machine = m;
    return SWK_OK;
}

void swki_machine_free(struct swki_machine *m)
{
    if (m == NULL) {
        return;
    }

    const struct swk_alloc *alloc = m->config.alloc;
    swki_raft_configuration_fini(&m->configuration);
    swki_entries_fini(&m->log);
    swki_outbox_fini(&m->messages);
    swki_outbox_fini(&m->messages_out);
    swki_outbox_fini(&m->after);
    swki_outbox_fini(&m->after_out);
    swki_outbox_fini(&m->advance.own);
    swki_snapshot_copy_fini(alloc, &m->unstable_snapshot);
    swki_snapshot_copy_fini(alloc, &m->sendable);
    swki_snapshot_copy_fini(alloc, &m->restored);
    swki_machine_reads_fini(m);
    swki_free(alloc, m->beats);
    swki_free(alloc, m);
}

/* -- Restoring (section 17) ------------------------------------------------ */

static int check_restoring(const struct swki_machine *m, struct swk_error *err)
{
    if (m->stage != SWKI_MACHINE_RESTORING) {
        return swki_fail(err, SWK_EPRECONDITION, "raft: already started");
    }
    return SWK_OK;
}

static bool has_entries(const struct swki_machine *m)
{
    return swki_entries_last(&m->log) >= m->log.first;
}

int swki_machine_restore_snapshot(struct swki_machine *m,
                                  const struct swk_snapshot_meta *meta,
                                  struct swk_error *err)
{
    int rc = check_restoring(m, err);
    if (rc != SWK_OK) {
        return rc;
    }
    if (m->restored.meta.index != 0 || has_entries(m)) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "raft: a snapshot is restored first, and once");
    }
    if (meta->index == 0 || meta->index > SWKI_MACHINE_NUMBER_MAX ||
        meta->term == 0 || meta->term > SWKI_MACHINE_NUMBER_MAX) {
        return swki_fail(err, SWK_ECORRUPT,
                         "raft: the snapshot's position cannot be");
    }
    if (!swki_snapshot_copy_make(m->config.alloc, meta, &m->restored)) {
        return swki_fail_nomem(err);
    }
    swki_entries_reset(&m->log, meta->index, meta->term);
    return SWK_OK;
}

int swki_machine_restore_hard_state(struct swki_machine *m,
                                    const struct swk_hard_state *state,
                                    struct swk_error *err)
{
    int rc = check_restoring(m, err);
    if (rc != SWK_OK) {
        return rc;
    }
    if (m->state_restored) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "raft: the hard state is restored once");
    }
    m->state_restored = true;
    m->accepted = *state;
    return SWK_OK;
}

int swki_machine_restore_entry(struct swki_machine *m,
                               const struct swk_log_entry *entry,
                               struct swk_error *err)
{
    int rc = check_restoring(m, err);
    if (rc != SWK_OK) {
        return rc;
    }
    if (entry->index != swki_entries_last(&m->log) + 1 ||
        entry->term < swki_machine_last_term(m) || entry->term == 0 ||
        entry->term > SWKI_MACHINE_NUMBER_MAX ||
        entry->index > SWKI_MACHINE_NUMBER_MAX) {
        return swki_fail(err, SWK_ECORRUPT,
                         "raft: entry %llu does not follow the one before",
                         (unsigned long long)entry->index);
    }
    if (!swki_entries_reserve(&m->log, 1, entry->data_len)) {
        return swki_fail_nomem(err);
    }
    swki_entries_append(&m->log, entry);
    return SWK_OK;
}

int swki_machine_restore_lost(struct swki_machine *m, uint64_t acknowledged,
                              struct swk_error *err)
{
    int rc = check_restoring(m, err);
    if (rc != SWK_OK) {
        return rc;
    }
    m->recovering = acknowledged;
    return SWK_OK;
}

int swki_machine_bootstrap(struct swki_machine *m,
                           const struct swk_log_entry *entries,
                           size_t entries_count, struct swk_error *err)
{
    int rc = check_restoring(m, err);
    if (rc != SWK_OK) {
        return rc;
    }
    if (m->restored.meta.index != 0 || m->state_restored || has_entries(m)) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "raft: a new log cannot begin over an old one");
    }

    size_t size = 0;
    for (size_t i = 0; i < entries_count; i++) {
        size += entries[i].data_len;
    }
    if (!swki_entries_reserve(&m->log, entries_count, size)) {
        return swki_fail_nomem(err);
    }
    for (size_t i = 0; i < entries_count; i++) {
        struct swk_log_entry entry = entries[i];

        entry.term = FIRST_TERM;
        swki_entries_append(&m->log, &entry);
    }
    m->term = FIRST_TERM;
    m->committed = entries_count;
    return SWK_OK;
}

/* -- Starting -------------------------------------------------------------- */

/* R-BOO-1 */
static int check_positions(const struct swki_machine *m, uint64_t commit,
                           uint64_t applied, struct swk_error *err)
{
    uint64_t last = swki_entries_last(&m->log);

    if (commit > last) {
        return swki_fail(err, SWK_ECORRUPT,
                         "raft: the log ends at %llu, but %llu is committed",
                         (unsigned long long)last, (unsigned long long)commit);
    }
    if (applied > commit) {
        return swki_fail(err, SWK_ECORRUPT,
                         "raft: %llu is applied, but only %llu is committed",
                         (unsigned long long)applied,
                         (unsigned long long)commit);
    }
    if (m->accepted.term > SWKI_MACHINE_NUMBER_MAX ||
        (m->state_restored && has_entries(m) &&
         swki_machine_last_term(m) > m->accepted.term)) {
        return swki_fail(err, SWK_ECORRUPT,
                         "raft: an entry is newer than the hard state");
    }
    return SWK_OK;
}

/* The commit index is stored lazily (section 11, must_sync): the snapshot,
 * which holds nothing but committed state, may be ahead of it. */
static uint64_t stored_commit(const struct swki_machine *m)
{
    uint64_t begin = m->log.first - 1;
    uint64_t last = swki_entries_last(&m->log);

    /* What was lost comes back from the leader (R-DSK-3). */
    if (m->recovering != 0 && m->accepted.commit > last) {
        return last;
    }
    return m->accepted.commit > begin ? m->accepted.commit : begin;
}

/* A hard state of zeroes is that of a log just begun from a snapshot. */
static bool hard_state_empty(const struct swk_hard_state *state)
{
    return state->term == 0 && state->vote == 0 && state->commit == 0;
}

static int start_configuration(struct swki_machine *m, struct swk_error *err)
{
    struct swki_raft_configuration next;
    enum swki_raft_change_result result =
        swki_raft_configuration_prepare_restored(
            &m->configuration, &m->restored.meta.conf_state,
            swki_entries_last(&m->log), &next);

    if (result == SWKI_RAFT_CHANGE_NOMEM) {
        return swki_fail_nomem(err);
    }
    if (result != SWKI_RAFT_CHANGE_OK) {
        return swki_fail(err, SWK_ECORRUPT, "raft: the members: %s",
                         swki_raft_change_text(result));
    }
    m->stage = SWKI_MACHINE_RUNNING;
    swki_machine_switch(m, &next);
    return SWK_OK;
}

/* A received snapshot is stored before the hard state that goes with it, and a
 * crash may come in between (R-RDY-8). The member has not spoken in that term
 * then, nor voted. What a group begins from is older than any election. */
static void catch_up_with_snapshot(struct swki_machine *m)
{
    uint64_t term = m->log.before_term;

    if (term > m->term && term > FIRST_TERM) {
        m->term = term;
        m->vote = 0;
    }
}

static void start_log(struct swki_machine *m, uint64_t applied)
{
    uint64_t begin = m->log.first - 1;
    bool bootstrapped = m->committed > 0;

    if (!bootstrapped) {
        m->committed = begin;
    }
    if (!hard_state_empty(&m->accepted)) {
        m->committed = stored_commit(m);
        m->term = m->accepted.term;
        m->vote = m->accepted.vote;
    }
    catch_up_with_snapshot(m);
    m->applied = applied > begin ? applied : begin;
    m->applying = m->applied;
    m->changed = m->applied;
    m->offset = bootstrapped ? m->log.first : swki_entries_last(&m->log) + 1;
    m->offset_in_progress = m->offset;
    if (!bootstrapped) {
        m->accepted = (struct swk_hard_state){
            .term = m->term, .vote = m->vote, .commit = m->committed};
    }
}

int swki_machine_start(struct swki_machine *m, uint64_t applied,
                       struct swk_error *err)
{
    int rc = check_restoring(m, err);
    if (rc != SWK_OK) {
        return rc;
    }

    uint64_t commit = m->committed > 0 ? m->committed : m->log.first - 1;
    if (!hard_state_empty(&m->accepted)) {
        commit = stored_commit(m);
    }
    if (hard_state_empty(&m->accepted)) {
        m->state_restored = false;
    }
    rc = check_positions(m, commit, applied, err);
    if (rc != SWK_OK) {
        return rc;
    }
    rc = start_configuration(m, err);
    if (rc != SWK_OK) {
        return rc;
    }
    start_log(m, applied);
    m->sendable = m->restored;
    m->restored = (struct swki_snapshot_copy){0};

    swki_machine_become_follower(m, m->term, 0);
    m->accepted_role = m->role;
    m->accepted_lead = m->lead;
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_STARTED,
                             .configuration = &m->configuration,
                             .commit = m->committed,
                             .applied = m->applied,
                             .index = swki_machine_last(m),
                             .log_term = swki_machine_last_term(m),
                         });
    swki_machine_check_recovered(m);
    return SWK_OK;
}

/* -- Events ---------------------------------------------------------------- */

bool swki_machine_reserve(struct swki_machine *m, size_t peers_count)
{
    size_t events = m->advance.due ? swki_machine_advance_events(m) : 1;

    return swki_outbox_reserve(&m->messages,
                               events * (peers_count * MESSAGES_PER_PEER +
                                         MESSAGES_BESIDE)) &&
           swki_outbox_reserve(&m->after, events * MESSAGES_BESIDE) &&
           swki_entries_reserve_empty(&m->log);
}

int swki_machine_begin(struct swki_machine *m, struct swk_error *err)
{
    if (m->stage == SWKI_MACHINE_FAILED) {
        return swki_fail(err, SWK_EIO, "raft: failed: %s", m->failure.text);
    }
    if (m->stage != SWKI_MACHINE_RUNNING) {
        return swki_fail(err, SWK_EPRECONDITION, "raft: not started");
    }
    return swki_machine_reserve(m, m->configuration.peers_count)
               ? SWK_OK
               : swki_fail_nomem(err);
}

/* Invariants 1 and 3 of section 22, which cost nothing to look at. */
static const char *check_cheap(const struct swki_machine *m)
{
    uint64_t last = swki_machine_last(m);

    if (m->applied > m->applying || m->applying > m->committed ||
        m->committed > last || m->log.first > m->committed + 1) {
        return "raft: the positions in the log are out of order";
    }
    if (m->term > SWKI_MACHINE_NUMBER_MAX || last > SWKI_MACHINE_NUMBER_MAX) {
        return "raft: a term or an index is out of range";
    }
    if (swki_machine_last_term(m) > m->term && m->term > 0) {
        return "raft: the log is ahead of the term";
    }
    return NULL;
}

int swki_machine_settle(struct swki_machine *m, struct swk_error *err)
{
    const char *broken = check_cheap(m);

    if (broken != NULL) {
        swki_machine_break(m, broken);
    }
    if (m->stage == SWKI_MACHINE_FAILED) {
        return swki_fail(err, SWK_EIO, "raft: failed: %s", m->failure.text);
    }
    return SWK_OK;
}

void swki_machine_fail(struct swki_machine *m, int code, const char *text)
{
    if (m->stage == SWKI_MACHINE_FAILED) {
        return;
    }
    m->stage = SWKI_MACHINE_FAILED;
    (void)swki_fail(&m->failure, code, "%s", text);
    swki_machine_emit(m, (struct swki_machine_trace){.kind = SWKI_TRACE_FAILED});
}

void swki_machine_break(struct swki_machine *m, const char *reason)
{
    swki_machine_fail(m, SWK_EINTERNAL, reason);
}

/* -- What the other files share -------------------------------------------- */

struct swki_raft_progress *swki_machine_peer(const struct swki_machine *m,
                                             uint64_t id)
{
    return swki_raft_configuration_find(&m->configuration, id);
}

void swki_machine_reject(struct swki_machine *m,
                         enum swki_machine_reject reason,
                         const struct swk_raft_message *message)
{
    m->rejected[reason]++;
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_REJECTED,
                             .reject_reason = reason,
                             .message = message,
                         });
}

/* R-MSG-1 */
static uint64_t stamp(const struct swki_machine *m,
                      const struct swk_raft_message *message)
{
    switch (message->type) {
    case SWK_RAFT_MSG_VOTE:
    case SWK_RAFT_MSG_PRE_VOTE:
    case SWK_RAFT_MSG_VOTE_RESP:
    case SWK_RAFT_MSG_PRE_VOTE_RESP:
        return message->term;
    case SWK_RAFT_MSG_PROP:
    case SWK_RAFT_MSG_READ_INDEX:
        return 0;
    default:
        return m->term;
    }
}

/* R-MSG-2 */
static bool waits_for_storage(int32_t type)
{
    return type == SWK_RAFT_MSG_APP_RESP || type == SWK_RAFT_MSG_VOTE_RESP ||
           type == SWK_RAFT_MSG_PRE_VOTE_RESP;
}

static void trace_sent(struct swki_machine *m,
                       const struct swk_raft_message *sent)
{
    if (swki_machine_traces_often(m)) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_SENT, .message = sent});
    }
}

bool swki_machine_send(struct swki_machine *m,
                       const struct swk_raft_message *message)
{
    bool after = waits_for_storage(message->type) &&
                 !(SWKI_PLANTED(SWKI_FAULT_ANSWER_AT_ONCE) &&
                   message->to != m->config.id);
    uint64_t term = stamp(m, message);
    struct swk_raft_message *sent;

    if (!after && message->to == m->config.id) {
        swki_machine_break(m, "raft: a message to itself would leave at once");
        return false;
    }
    sent = swki_outbox_add(after ? &m->after : &m->messages, message);
    if (sent == NULL) {
        return false;
    }
    sent->term = term;
    if (sent->from == 0) {
        sent->from = m->config.id;
    }
    trace_sent(m, sent);
    return true;
}

/* The two kinds that every entry needs are written where they stay. */
static struct swk_raft_message *draft(struct swki_machine *m, int32_t type,
                                      uint64_t to)
{
    struct swk_raft_message *message = swki_outbox_draft(
        waits_for_storage(type) ? &m->after : &m->messages);

    if (message != NULL) {
        message->type = type;
        message->to = to;
        message->from = m->config.id;
        message->term = m->term;
    }
    return message;
}

bool swki_machine_send_entries(struct swki_machine *m, uint64_t to,
                               uint64_t index, uint64_t log_term, size_t count)
{
    struct swk_raft_message *append = draft(m, SWK_RAFT_MSG_APP, to);

    if (append == NULL) {
        return false;
    }
    append->index = index;
    append->log_term = log_term;
    append->entries_count = count;
    append->commit = m->committed;
    trace_sent(m, append);
    return true;
}

/* An acknowledgement makes one before it, that still waits, superfluous. */
static bool merge_acknowledgement(struct swki_machine *m, uint64_t to,
                                  uint64_t index)
{
    struct swk_raft_message *last;

    if (!swki_machine_has(m, SWKI_MACHINE_COALESCE) || m->after.count == 0) {
        return false;
    }
    last = &m->after.items[m->after.count - 1];
    if (last->type != SWK_RAFT_MSG_APP_RESP || last->to != to ||
        last->term != m->term || last->reject != 0 || last->index > index) {
        return false;
    }
    last->index = index;
    return true;
}

void swki_machine_acknowledge(struct swki_machine *m, uint64_t to,
                              uint64_t index)
{
    struct swk_raft_message *response;

    if (merge_acknowledgement(m, to, index)) {
        return;
    }
    response = draft(m, SWK_RAFT_MSG_APP_RESP, to);
    if (response != NULL) {
        response->index = index;
        trace_sent(m, response);
    }
}
