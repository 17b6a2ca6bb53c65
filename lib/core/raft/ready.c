/* SPDX-License-Identifier: Apache-2.0 */

/* What must follow, as one Ready after the other (section 11). */

#include <string.h>

#include "base/error.h"
#include "core/raft/inside.h"

static bool hard_state_changed(const struct swki_machine *m)
{
    return m->term != m->accepted.term || m->vote != m->accepted.vote ||
           m->committed != m->accepted.commit;
}

static bool soft_state_changed(const struct swki_machine *m)
{
    return m->role != m->accepted_role || m->lead != m->accepted_lead;
}

static bool has_entries_to_store(const struct swki_machine *m)
{
    return m->offset_in_progress <= swki_machine_last(m);
}

static bool has_snapshot_to_store(const struct swki_machine *m)
{
    return m->unstable_snapshot.meta.index != 0 && !m->snapshot_in_progress;
}

/* R-RDY-1 */
bool swki_machine_has_ready(const struct swki_machine *m)
{
    return m->stage == SWKI_MACHINE_RUNNING &&
           (soft_state_changed(m) || hard_state_changed(m) ||
            m->answers.count > 0 || has_entries_to_store(m) ||
            has_snapshot_to_store(m) || swki_machine_has_committed(m) ||
            m->messages.count > 0 || m->after.count > 0);
}

/* -- Parts of a Ready ------------------------------------------------------ */

static void take_states(struct swki_machine *m)
{
    struct swki_machine_ready *ready = &m->ready;

    ready->role = m->role;
    ready->leader = m->lead;
    ready->soft_changed = soft_state_changed(m);
    m->accepted_role = m->role;
    m->accepted_lead = m->lead;
    if (!hard_state_changed(m)) {
        return;
    }
    ready->must_sync =
        m->term != m->accepted.term || m->vote != m->accepted.vote;
    m->ready_state = (struct swk_hard_state){
        .term = m->term,
        .vote = m->vote,
        .commit = m->committed,
    };
    m->accepted = m->ready_state;
    ready->hard_state = &m->ready_state;
}

static void take_unstable(struct swki_machine *m)
{
    struct swki_machine_ready *ready = &m->ready;

    if (has_entries_to_store(m)) {
        ready->entries = swki_entries_at(&m->log, m->offset_in_progress);
        ready->entries_count =
            (size_t)(swki_machine_last(m) + 1 - m->offset_in_progress);
        ready->must_sync = true;
        m->offset_in_progress = swki_machine_last(m) + 1;
    }
    if (has_snapshot_to_store(m)) {
        ready->snapshot = &m->unstable_snapshot.meta;
        m->snapshot_in_progress = true;
    }
}

static void take_committed(struct swki_machine *m)
{
    struct swki_machine_ready *ready = &m->ready;
    uint64_t from = m->applying + 1;

    if (!swki_machine_has_committed(m)) {
        return;
    }
    ready->committed_count = swki_entries_fitting(
        &m->log, from, swki_machine_appliable(m), UINT64_MAX,
        m->config.apply_size_max - m->applying_size);
    ready->committed = swki_entries_at(&m->log, from);
    swki_machine_accept_applying(m, from + ready->committed_count - 1);
}

/* Whether something is not known to be durable, or was just given out. */
static bool needs_acknowledgement(const struct swki_machine *m)
{
    return m->offset <= swki_machine_last(m) || m->ready.snapshot != NULL;
}

/* R-RDY-7: of the whole log, whatever this Ready has of it. */
static struct swk_raft_message acknowledgement(const struct swki_machine *m)
{
    struct swk_raft_message response = {
        .type = SWKI_MACHINE_STORAGE_APPEND_RESP,
        .to = m->config.id,
        .from = SWKI_MACHINE_APPEND_THREAD,
        .term = m->term,
        .snapshot = m->ready.snapshot,
    };

    if (m->offset <= swki_machine_last(m)) {
        response.index = swki_machine_last(m);
        response.log_term = swki_machine_last_term(m);
    }
    return response;
}

static void swap(struct swki_outbox *a, struct swki_outbox *b)
{
    struct swki_outbox c = *a;

    *a = *b;
    *b = c;
}

/* The boxes for what was given out before are empty. */
static void take_messages(struct swki_machine *m)
{
    struct swki_machine_ready *ready = &m->ready;

    swap(&m->messages, &m->messages_out);
    swap(&m->after, &m->after_out);
    swki_outbox_resolve(&m->messages_out, &m->log);
    ready->messages = m->messages_out.items;
    ready->messages_count = m->messages_out.count;
    ready->responses = m->after_out.items;
    ready->responses_count = m->after_out.count;
}

/* -- Asynchronous mode ----------------------------------------------------- */

/* R-RDY-5 */
static void make_storage_messages(struct swki_machine *m)
{
    struct swki_machine_ready *ready = &m->ready;

    if (ready->entries_count > 0 || ready->hard_state != NULL ||
        ready->snapshot != NULL || ready->responses_count > 0) {
        if (needs_acknowledgement(m)) {
            m->after_out.items[m->after_out.count++] = acknowledgement(m);
            ready->responses_count = m->after_out.count;
        }
        m->ready_append = (struct swk_raft_message){
            .type = SWKI_MACHINE_STORAGE_APPEND,
            .to = SWKI_MACHINE_APPEND_THREAD,
            .from = m->config.id,
            .entries = ready->entries,
            .entries_count = ready->entries_count,
            .snapshot = ready->snapshot,
        };
        if (ready->hard_state != NULL) {
            m->ready_append.term = ready->hard_state->term;
            m->ready_append.vote = ready->hard_state->vote;
            m->ready_append.commit = ready->hard_state->commit;
        }
        ready->append = &m->ready_append;
    }
    if (ready->committed_count > 0) {
        m->ready_apply = (struct swk_raft_message){
            .type = SWKI_MACHINE_STORAGE_APPLY,
            .to = SWKI_MACHINE_APPLY_THREAD,
            .from = m->config.id,
            .entries = ready->committed,
            .entries_count = ready->committed_count,
        };
        ready->apply = &m->ready_apply;
    }
}

/* -- Synchronous mode ------------------------------------------------------ */

/* Keeps for advance what this member says to itself, and what is to be
 * acknowledged (R-RDY-4). */
static void prepare_advance(struct swki_machine *m)
{
    struct swki_machine_advance *advance = &m->advance;
    struct swki_machine_ready *ready = &m->ready;
    size_t others = 0;

    swki_outbox_clear(&advance->own);
    for (size_t i = 0; i < m->after_out.count; i++) {
        const struct swk_raft_message *message = &m->after_out.items[i];

        if (message->to == m->config.id) {
            (void)swki_outbox_add(&advance->own, message);
        } else {
            m->after_out.items[others++] = *message;
        }
    }
    m->after_out.count = others;
    ready->responses_count = others;
    advance->due = true;
    advance->stored = needs_acknowledgement(m);
    advance->stored_response = acknowledgement(m);
    advance->stored_response.snapshot = NULL;
    advance->snapshot_index =
        ready->snapshot != NULL ? ready->snapshot->index : 0;
    advance->applied =
        ready->committed_count > 0
            ? ready->committed[ready->committed_count - 1].index
            : 0;
}

/* Each of the messages to itself, and the acknowledgements of storage and
 * application. */
size_t swki_machine_advance_events(const struct swki_machine *m)
{
    return m->advance.own.count + 2;
}

int swki_machine_advance(struct swki_machine *m, struct swk_error *err)
{
    struct swki_machine_advance *advance = &m->advance;
    struct swk_snapshot_meta meta = {.index = advance->snapshot_index};
    struct swk_error ignored;

    if (m->stage == SWKI_MACHINE_FAILED) {
        return swki_fail(err, SWK_EIO, "raft: failed: %s", m->failure.text);
    }
    if (!advance->due) {
        return swki_fail(err, SWK_EPRECONDITION, "raft: no Ready is taken");
    }
    advance->due = false;
    for (size_t i = 0; i < advance->own.count; i++) {
        (void)swki_machine_handle(m, &advance->own.items[i], &ignored);
    }
    if (advance->stored) {
        if (meta.index != 0) {
            advance->stored_response.snapshot = &meta;
        }
        (void)swki_machine_handle(m, &advance->stored_response, &ignored);
        advance->stored_response.snapshot = NULL;
    }
    if (advance->applied != 0) {
        swki_machine_note_applied(m, advance->applied);
    }
    return swki_machine_settle(m, err);
}

/* -- Taking ---------------------------------------------------------------- */

/* Releases what neither the log nor a message that waits refers to; what was
 * given out before is not used any more. */
static void trim(struct swki_machine *m)
{
    uint64_t keep = swki_outbox_lowest(&m->messages);

    swki_outbox_clear(&m->messages_out);
    swki_outbox_clear(&m->after_out);
    if (keep != 0) {
        swki_entries_trim(&m->log, keep);
    }
}

/* Synchronous mode: room for what advance will do, since the Ready cannot be
 * taken back then. The boxes are those that are swapped in. */
static bool reserve_advance(struct swki_machine *m)
{
    struct swki_machine_advance *advance = &m->advance;
    size_t own = m->after.count;
    bool reserved;

    swki_outbox_clear(&advance->own);
    if (!swki_outbox_reserve(&advance->own, own)) {
        return false;
    }
    advance->own.count = own; /* as if all were to this member */
    advance->due = true;
    swap(&m->messages, &m->messages_out);
    swap(&m->after, &m->after_out);
    reserved = swki_machine_reserve(m, m->configuration.peers_count);
    swap(&m->messages, &m->messages_out);
    swap(&m->after, &m->after_out);
    advance->due = false;
    advance->own.count = 0;
    return reserved;
}

/* R-RDY-2 */
int swki_machine_take_ready(struct swki_machine *m,
                            const struct swki_machine_ready **out_ready,
                            struct swk_error *err)
{
    static const struct swki_machine_ready nothing;
    bool async = swki_machine_has(m, SWKI_MACHINE_ASYNC);
    int rc = swki_machine_begin(m, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (m->advance.due) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "raft: the last Ready is not done yet");
    }
    trim(m);
    if (!swki_outbox_reserve(&m->after, 1) ||
        (!async && !reserve_advance(m))) {
        return swki_fail_nomem(err);
    }
    m->ready = nothing;
    take_states(m);
    swki_machine_take_answers(m);
    m->ready.reads = m->answers_out.views;
    m->ready.reads_count = m->answers_out.count;
    take_unstable(m);
    take_committed(m);
    take_messages(m);
    if (async) {
        make_storage_messages(m);
    } else {
        prepare_advance(m);
    }
    *out_ready = &m->ready;
    return SWK_OK;
}

int swki_machine_applied(struct swki_machine *m, uint64_t index,
                         struct swk_error *err)
{
    int rc = swki_machine_begin(m, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (index > m->applying) {
        return swki_fail(err, SWK_EINVAL,
                         "raft: entry %llu was not given out to be applied",
                         (unsigned long long)index);
    }
    swki_machine_note_applied(m, index);
    return swki_machine_settle(m, err);
}
