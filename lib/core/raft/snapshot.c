/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshots: sending one to a member that needs it, and taking one in
 * (section 12). Their data travels beside the messages. */

#include "base/error.h"
#include "core/raft/inside.h"

/* -- Sending --------------------------------------------------------------- */

static bool lists(const uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static bool names_member(const struct swk_conf_state *state, uint64_t id)
{
    return lists(state->voters, state->voters_count, id) ||
           lists(state->learners, state->learners_count, id) ||
           lists(state->voters_outgoing, state->voters_outgoing_count, id);
}

/* R-SNP-1, R-SNP-2 */
bool swki_machine_send_snapshot(struct swki_machine *m,
                                struct swki_raft_progress *peer)
{
    const struct swk_snapshot_meta *meta = &m->sendable.meta;

    if (!peer->active) {
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_SNAPSHOT_PEER_INACTIVE,
                                 .peer = peer->id,
                             });
        return false;
    }
    /* One that ends before the log begins would be of no use, nor would one
     * from before the member came: it takes none that does not name it. */
    if (meta->index == 0 || meta->index + 1 < m->log.first ||
        !names_member(&meta->conf_state, peer->id)) {
        m->snapshot_missed = true;
        return false;
    }
    if (!swki_machine_send(m, &(struct swk_raft_message){
                                  .type = SWK_RAFT_MSG_SNAP,
                                  .to = peer->id,
                                  .snapshot = meta,
                              })) {
        return false;
    }
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_SNAPSHOT_SENT,
                             .peer = peer->id,
                             .progress = peer,
                             .first = m->log.first,
                             .commit = m->committed,
                             .index = meta->index,
                             .log_term = meta->term,
                         });
    swki_raft_progress_snapshot(peer, meta->index);
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_SNAPSHOT_PAUSED,
                             .peer = peer->id,
                             .progress = peer,
                         });
    return true;
}

/* R-SNP-3 */
void swki_machine_handle_snap_status(struct swki_machine *m,
                                     struct swki_raft_progress *peer,
                                     bool failed)
{
    if (peer->state != SWK_RAFT_SNAPSHOT) {
        return;
    }
    if (failed) {
        peer->pending_snapshot = 0;
    }
    swki_raft_progress_probe(peer);
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = failed ? SWKI_TRACE_SNAPSHOT_FAILED
                                            : SWKI_TRACE_SNAPSHOT_SUCCEEDED,
                             .peer = peer->id,
                             .progress = peer,
                         });
    /* The next step waits for an acknowledgement or a heartbeat's answer. */
    peer->flow_paused = true;
}

/* R-SNP-9 */
void swki_machine_tick_snapshots(struct swki_machine *m)
{
    if (m->config.snapshot_stall_ticks == 0) {
        return;
    }
    for (size_t i = 0; i < m->configuration.peers_count; i++) {
        struct swki_raft_progress *peer = &m->configuration.peers[i];

        if (peer->state != SWK_RAFT_SNAPSHOT ||
            ++peer->snapshot_ticks < m->config.snapshot_stall_ticks) {
            continue;
        }
        swki_machine_emit(m, (struct swki_machine_trace){
                                 .kind = SWKI_TRACE_SNAPSHOT_STALLED,
                                 .peer = peer->id,
                             });
        swki_machine_handle_snap_status(m, peer, true);
    }
}

void swki_machine_snapshot_alive(struct swki_machine *m, uint64_t id)
{
    struct swki_raft_progress *peer = swki_machine_peer(m, id);

    if (peer != NULL) {
        peer->snapshot_ticks = 0;
    }
}

int swki_machine_set_snapshot(struct swki_machine *m,
                              const struct swk_snapshot_meta *meta,
                              struct swk_error *err)
{
    struct swki_snapshot_copy copy = {0};

    if (meta != NULL &&
        !swki_snapshot_copy_make(m->config.alloc, meta, &copy)) {
        return swki_fail_nomem(err);
    }
    swki_machine_adopt_snapshot(m, &copy);
    return SWK_OK;
}

void swki_machine_adopt_snapshot(struct swki_machine *m,
                                 struct swki_snapshot_copy *copy)
{
    swki_snapshot_copy_fini(m->config.alloc, &m->sendable);
    m->sendable = *copy;
    *copy = (struct swki_snapshot_copy){0};
    m->snapshot_missed = false;
}

bool swki_machine_misses_snapshot(const struct swki_machine *m)
{
    return m->snapshot_missed && m->role == SWK_RAFT_LEADER;
}

int swki_machine_compact(struct swki_machine *m, uint64_t index,
                         struct swk_error *err)
{
    if (index < m->log.first || index > m->applied) {
        return swki_fail(err, SWK_EINVAL,
                         "raft: entry %llu is compacted, or not applied",
                         (unsigned long long)index);
    }
    swki_entries_compact(&m->log, index);
    return SWK_OK;
}

/* -- Taking in ------------------------------------------------------------- */

static void trace_snapshot(struct swki_machine *m,
                           enum swki_machine_trace_kind kind,
                           const struct swk_snapshot_meta *meta)
{
    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = kind,
                             .index = meta->index,
                             .log_term = meta->term,
                             .commit = m->committed,
                             .last = swki_machine_last(m),
                             .last_term = swki_machine_last_term(m),
                         });
}

/* The snapshot takes the place of the log (R-SNP-4). */
static void replace_log(struct swki_machine *m, struct swki_snapshot_copy *copy)
{
    const struct swk_snapshot_meta *meta = &copy->meta;

    swki_machine_emit(m, (struct swki_machine_trace){
                             .kind = SWKI_TRACE_SNAPSHOT_RESTORING,
                             .index = meta->index,
                             .log_term = meta->term,
                             .commit = m->committed,
                             .applied = m->applied,
                             .applying = m->applying,
                             .offset = m->offset,
                             .offset_in_progress = m->offset_in_progress,
                             .count = swki_machine_last(m) + 1 - m->offset,
                         });
    swki_outbox_pin(&m->messages, &m->log, 0);
    swki_entries_reset(&m->log, meta->index, meta->term);
    m->committed = meta->index;
    m->offset = meta->index + 1;
    m->offset_in_progress = m->offset;
    swki_snapshot_copy_fini(m->config.alloc, &m->unstable_snapshot);
    m->unstable_snapshot = *copy;
    m->snapshot_in_progress = false;
    m->changed = meta->index;
}

enum outcome {
    TAKEN,
    OF_NO_USE, /* the log is as before, but its commit index may have moved */
    LOST,      /* no memory: as if it had not come */
};

static enum outcome restore(struct swki_machine *m,
                            const struct swk_snapshot_meta *meta)
{
    struct swki_raft_configuration next;
    struct swki_snapshot_copy copy;

    if (meta->index <= m->committed ||
        !names_member(&meta->conf_state, m->config.id)) {
        return OF_NO_USE;
    }
    if (swki_entries_match(&m->log, meta->index, meta->term)) {
        trace_snapshot(m, SWKI_TRACE_SNAPSHOT_FAST_FORWARD, meta);
        swki_machine_commit(m, meta->index);
        return OF_NO_USE;
    }
    if (!swki_snapshot_copy_make(m->config.alloc, meta, &copy)) {
        return LOST;
    }
    if (swki_raft_configuration_prepare_restored(
            &m->configuration, &meta->conf_state, meta->index, &next) !=
        SWKI_RAFT_CHANGE_OK) {
        swki_snapshot_copy_fini(m->config.alloc, &copy);
        return LOST;
    }

    replace_log(m, &copy);
    swki_machine_switch(m, &next);
    trace_snapshot(m, SWKI_TRACE_SNAPSHOT_RESTORED_LOG, meta);
    return TAKEN;
}

void swki_machine_handle_snapshot(struct swki_machine *m,
                                  const struct swk_raft_message *message)
{
    const struct swk_snapshot_meta *meta = message->snapshot;
    enum outcome outcome = restore(m, meta);

    if (outcome == LOST) {
        swki_machine_reject(m, SWKI_MACHINE_REJECT_NOMEM, message);
        return;
    }
    trace_snapshot(m,
                   outcome == TAKEN ? SWKI_TRACE_SNAPSHOT_RESTORED
                                    : SWKI_TRACE_SNAPSHOT_IGNORED,
                   meta);
    swki_machine_acknowledge(m, message->from,
                             outcome == TAKEN ? swki_machine_last(m)
                                              : m->committed);
}

void swki_machine_snapshot_stable(struct swki_machine *m, uint64_t index)
{
    if (m->unstable_snapshot.meta.index == index) {
        swki_machine_adopt_snapshot(m, &m->unstable_snapshot);
        m->snapshot_in_progress = false;
    }
    swki_machine_note_applied(m, index);
    swki_machine_check_recovered(m);
}

/* -- Reports --------------------------------------------------------------- */

/* The member that a leader is told something about; NULL for none. */
static struct swki_raft_progress *find_reported(struct swki_machine *m,
                                                uint64_t id)
{
    struct swki_raft_progress *peer = NULL;

    if (m->role == SWK_RAFT_LEADER) {
        peer = swki_machine_peer(m, id);
        if (peer == NULL) {
            swki_machine_emit(m, (struct swki_machine_trace){
                                     .kind = SWKI_TRACE_NO_PROGRESS,
                                     .peer = id,
                                 });
        }
    }
    return peer;
}

int swki_machine_report_snapshot(struct swki_machine *m, uint64_t id, bool ok,
                                 struct swk_error *err)
{
    int rc = swki_machine_begin(m, err);
    if (rc != SWK_OK) {
        return rc;
    }

    struct swki_raft_progress *peer = find_reported(m, id);
    if (peer != NULL) {
        swki_machine_handle_snap_status(m, peer, !ok);
    }
    return swki_machine_settle(m, err);
}

int swki_machine_report_unreachable(struct swki_machine *m, uint64_t id,
                                    struct swk_error *err)
{
    int rc = swki_machine_begin(m, err);
    if (rc != SWK_OK) {
        return rc;
    }

    struct swki_raft_progress *peer = find_reported(m, id);
    if (peer != NULL) {
        swki_machine_handle_unreachable(m, peer);
    }
    return swki_machine_settle(m, err);
}
