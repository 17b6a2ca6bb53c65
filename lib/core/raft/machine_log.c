/* SPDX-License-Identifier: Apache-2.0 */

/* The log with its durable part, and how far it is committed and applied. */

#include "core/raft/inside.h"

/* -- Durable and not (section 4) ------------------------------------------- */

/* R-LOG-1: makes the log end before index. */
static void cut(struct swki_machine *m, uint64_t index)
{
    bool replaces = index <= m->offset;

    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = replaces ? SWKI_TRACE_UNSTABLE_REPLACED
                                              : SWKI_TRACE_UNSTABLE_TRUNCATED,
                             .index = index,
                         });
    swki_outbox_pin(&m->messages, &m->log, index);
    swki_entries_truncate(&m->log, index);
    if (replaces) {
        m->offset = index;
    }
    if (m->offset_in_progress > index) {
        m->offset_in_progress = index;
    }
}

void swki_machine_log_append(struct swki_machine *m, uint64_t index,
                             const struct swk_log_entry *entries,
                             size_t entries_count)
{
    if (index <= m->committed || index > swki_machine_last(m) + 1) {
        swki_machine_break(m, "raft: a committed entry would be replaced");
        return;
    }
    if (index <= swki_machine_last(m)) {
        cut(m, index);
    }
    for (size_t i = 0; i < entries_count; i++) {
        swki_entries_append(&m->log, &entries[i]);
    }
}

static void trace_stable(struct swki_machine *m,
                         enum swki_machine_trace_kind kind, uint64_t index,
                         uint64_t term, uint64_t own)
{
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = kind,
                             .index = index,
                             .message_log_term = term,
                             .log_term = own,
                         });
}

/* R-LOG-2: entries are released from the unstable part only if what the
 * storage has is what the log has now (R-RDY-7). */
void swki_machine_log_stable(struct swki_machine *m, uint64_t index,
                             uint64_t term)
{
    uint64_t own = 0;

    if (index == m->unstable_snapshot.meta.index && index + 1 == m->offset &&
        index != 0) {
        trace_stable(m, SWKI_TRACE_STABLE_SNAPSHOT, index, term, 0);
        return;
    }
    if (index < m->offset || index > swki_machine_last(m)) {
        trace_stable(m, SWKI_TRACE_STABLE_MISSING, index, term, 0);
        return;
    }
    (void)swki_entries_term(&m->log, index, &own);
    if (own != term) {
        trace_stable(m, SWKI_TRACE_STABLE_MISMATCHED, index, term, own);
        return;
    }

    m->offset = index + 1;
    if (m->offset_in_progress < m->offset) {
        m->offset_in_progress = m->offset;
    }
    if (m->recovering != 0) {
        swki_machine_check_recovered(m);
    }
}

/* -- Commit (section 10) --------------------------------------------------- */

void swki_machine_commit(struct swki_machine *m, uint64_t index)
{
    if (index <= m->committed) {
        return;
    }
    if (index > swki_machine_last(m)) {
        swki_machine_break(m, "raft: the commit index is beyond the log");
        return;
    }
    m->committed = index;
    if (swki_machine_traces_often(m)) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_COMMITTED,
                                 .commit = index,
                             });
    }
}

bool swki_machine_commit_matched(struct swki_machine *m)
{
    uint64_t matched = swki_raft_configuration_matched(&m->configuration);

    /* R-COM-1: entries of older terms are committed through one of this. */
    if (matched <= m->committed || matched == SWKI_RAFT_UNLIMITED ||
        (!SWKI_PLANTED(SWKI_FAULT_COUNT_OLD_TERMS) &&
         !swki_entries_match(&m->log, matched, m->term))) {
        return false;
    }
    swki_machine_commit(m, matched);
    return true;
}

bool swki_machine_committed_in_term(const struct swki_machine *m)
{
    return swki_entries_match(&m->log, m->committed, m->term);
}

/* -- Apply ----------------------------------------------------------------- */

uint64_t swki_machine_appliable(const struct swki_machine *m)
{
    /* R-APP-2 */
    if (swki_machine_has(m, SWKI_MACHINE_ASYNC) &&
        m->offset - 1 < m->committed) {
        return m->offset - 1;
    }
    return m->committed;
}

bool swki_machine_has_committed(const struct swki_machine *m)
{
    /* R-APP-3 */
    return !m->applying_paused && m->unstable_snapshot.meta.index == 0 &&
           m->applying < swki_machine_appliable(m);
}

void swki_machine_accept_applying(struct swki_machine *m, uint64_t index)
{
    for (uint64_t i = m->applying + 1; i <= index; i++) {
        m->applying_size += swki_entry_weight(swki_entries_at(&m->log, i));
    }
    m->applying = index;
    m->applying_paused = m->applying_size >= m->config.apply_size_max ||
                         index < swki_machine_appliable(m);
}

static void subtract(uint64_t *from, uint64_t amount)
{
    *from = *from > amount ? *from - amount : 0;
}

/* What entries count that are no more in memory was given up with them. */
static void release_sizes(struct swki_machine *m, uint64_t index)
{
    for (uint64_t i = m->applied + 1; i <= index; i++) {
        if (i < m->log.first || i > swki_machine_last(m)) {
            continue;
        }
        const struct swk_log_entry *entry = swki_entries_at(&m->log, i);

        subtract(&m->applying_size, swki_entry_weight(entry));
        subtract(&m->uncommitted_size, entry->data_len);
    }
}

void swki_machine_note_applied(struct swki_machine *m, uint64_t index)
{
    if (index > m->applied) {
        if (index <= m->applying) {
            release_sizes(m, index);
        } else {
            m->applying = index; /* a snapshot went past what was given out */
            m->applying_size = 0;
        }
        m->applied = index;
    }
    m->applying_paused = m->applying_size >= m->config.apply_size_max;
    if (swki_machine_traces_often(m)) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_APPLIED,
                                 .applied = m->applied,
                             });
    }

    if (swki_machine_leave_due(m)) {
        swki_machine_auto_leave(m);
    }
}
