/* SPDX-License-Identifier: Apache-2.0 */

#include "render.h"

#include <inttypes.h>
#include <string.h>

#include "core/raft/conf_change.h"

static const char *const type_names[] = {
    "MsgHup",
    "MsgBeat",
    "MsgProp",
    "MsgApp",
    "MsgAppResp",
    "MsgVote",
    "MsgVoteResp",
    "MsgSnap",
    "MsgHeartbeat",
    "MsgHeartbeatResp",
    "MsgUnreachable",
    "MsgSnapStatus",
    "MsgCheckQuorum",
    "MsgTransferLeader",
    "MsgTimeoutNow",
    "MsgReadIndex",
    "MsgReadIndexResp",
    "MsgPreVote",
    "MsgPreVoteResp",
    "MsgStorageAppend",
    "MsgStorageAppendResp",
    "MsgStorageApply",
    "MsgStorageApplyResp",
    "MsgForgetLeader",
};

enum {
    TYPES = sizeof(type_names) / sizeof(type_names[0]),
};

const char *message_type_name(int32_t type)
{
    return type >= 0 && type < TYPES ? type_names[type] : NULL;
}

bool message_type_parse(const char *name, int32_t *out_type)
{
    for (int32_t i = 0; i < TYPES; i++) {
        if (strcmp(name, type_names[i]) == 0) {
            *out_type = i;
            return true;
        }
    }
    return false;
}

const char *role_name(enum swk_raft_role role)
{
    switch (role) {
    case SWK_RAFT_FOLLOWER:
        return "StateFollower";
    case SWK_RAFT_CANDIDATE:
        return "StateCandidate";
    case SWK_RAFT_LEADER:
        return "StateLeader";
    case SWK_RAFT_PRE_CANDIDATE:
        return "StatePreCandidate";
    }
    return "?";
}

void render_id(struct swki_buf *buf, uint64_t id)
{
    (void)swki_buf_printf(buf, "%" PRIx64, id);
}

void render_ids(struct swki_buf *buf, const uint64_t *ids, size_t count)
{
    (void)swki_buf_append_byte(buf, '(');
    for (size_t i = 0; i < count; i++) {
        (void)swki_buf_printf(buf, "%s%" PRIx64, i > 0 ? " " : "", ids[i]);
    }
    (void)swki_buf_append_byte(buf, ')');
}

void render_changes(struct swki_buf *buf,
                    const struct swk_raft_conf_change *change)
{
    for (size_t i = 0; i < change->changes_count; i++) {
        const struct swk_raft_change *c = &change->changes[i];
        char letter = '?';

        switch (c->type) {
        case SWK_RAFT_ADD_VOTER:
            letter = 'v';
            break;
        case SWK_RAFT_ADD_LEARNER:
            letter = 'l';
            break;
        case SWK_RAFT_REMOVE:
            letter = 'r';
            break;
        case SWK_RAFT_UPDATE:
            letter = 'u';
            break;
        default:
            break;
        }
        (void)swki_buf_printf(buf, "%s%c%" PRIu64, i > 0 ? " " : "", letter,
                              c->id);
    }
}

static void render_quoted(struct swki_buf *buf, const uint8_t *data, size_t len)
{
    (void)swki_buf_append_byte(buf, '"');
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '"' || data[i] == '\\') {
            (void)swki_buf_append_byte(buf, '\\');
        }
        (void)swki_buf_append_byte(buf, data[i]);
    }
    (void)swki_buf_append_byte(buf, '"');
}

static void render_change_entry(struct swki_buf *buf,
                                const struct swk_log_entry *entry)
{
    struct swk_raft_change changes[SWK_RAFT_CHANGES_MAX];
    struct swk_raft_conf_change change;

    if (!swki_conf_change_decode(entry->type, entry->data, entry->data_len,
                                 changes, &change)) {
        (void)swki_buf_append_text(buf, " malformed");
        return;
    }
    if (change.changes_count > 0) {
        (void)swki_buf_append_byte(buf, ' ');
        render_changes(buf, &change);
    }
}

void render_entry(struct swki_buf *buf, const struct swk_log_entry *entry)
{
    (void)swki_buf_printf(buf, "%" PRIu64 "/%" PRIu64 " ", entry->term,
                          entry->index);
    switch (entry->type) {
    case SWK_RAFT_ENTRY_NORMAL:
        (void)swki_buf_append_text(buf, "EntryNormal ");
        render_quoted(buf, entry->data, entry->data_len);
        break;
    case SWK_RAFT_ENTRY_CONF_CHANGE:
        (void)swki_buf_append_text(buf, "EntryConfChange");
        render_change_entry(buf, entry);
        break;
    case SWK_RAFT_ENTRY_CONF_CHANGE_V2:
        (void)swki_buf_append_text(buf, "EntryConfChangeV2");
        render_change_entry(buf, entry);
        break;
    default:
        (void)swki_buf_printf(buf, "Entry%d", (int)entry->type);
        break;
    }
}

void render_entries(struct swki_buf *buf, const struct swk_log_entry *entries,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        render_entry(buf, &entries[i]);
        (void)swki_buf_append_byte(buf, '\n');
    }
}

/* -- Messages ------------------------------------------------------------- */

static void render_list(struct swki_buf *buf, const char *name,
                        const uint64_t *ids, size_t count)
{
    (void)swki_buf_printf(buf, "%s:[", name);
    for (size_t i = 0; i < count; i++) {
        (void)swki_buf_printf(buf, "%s%" PRIu64, i > 0 ? " " : "", ids[i]);
    }
    (void)swki_buf_append_text(buf, "] ");
}

void render_conf_state(struct swki_buf *buf, const struct swk_conf_state *cs)
{
    render_list(buf, "Voters", cs->voters, cs->voters_count);
    render_list(buf, "VotersOutgoing", cs->voters_outgoing,
                cs->voters_outgoing_count);
    render_list(buf, "Learners", cs->learners, cs->learners_count);
    render_list(buf, "LearnersNext", cs->learners_next,
                cs->learners_next_count);
    (void)swki_buf_printf(buf, "AutoLeave:%s",
                          cs->auto_leave ? "true" : "false");
}

static void render_snapshot(struct swki_buf *buf,
                            const struct swk_snapshot_meta *snapshot)
{
    (void)swki_buf_printf(buf, "Index:%" PRIu64 " Term:%" PRIu64 " ConfState:",
                          snapshot->index, snapshot->term);
    render_conf_state(buf, &snapshot->conf_state);
}

static void render_target(struct swki_buf *buf, uint64_t id)
{
    if (id == 0) {
        (void)swki_buf_append_text(buf, "None");
    } else if (id == SWKI_MACHINE_APPEND_THREAD) {
        (void)swki_buf_append_text(buf, "AppendThread");
    } else if (id == SWKI_MACHINE_APPLY_THREAD) {
        (void)swki_buf_append_text(buf, "ApplyThread");
    } else {
        render_id(buf, id);
    }
}

static void render_message_entries(struct swki_buf *buf,
                                   const struct swk_raft_message *m, int indent)
{
    if (m->entries_count == 1) {
        (void)swki_buf_append_text(buf, " Entries:[");
        render_entry(buf, &m->entries[0]);
        (void)swki_buf_append_byte(buf, ']');
    }
    if (m->entries_count > 1) {
        (void)swki_buf_append_text(buf, " Entries:[");
        for (size_t i = 0; i < m->entries_count; i++) {
            (void)swki_buf_printf(buf, "\n%*s", indent + 2, "");
            render_entry(buf, &m->entries[i]);
        }
        (void)swki_buf_printf(buf, "\n%*s]", indent, "");
    }
}

/* The message itself, without its responses. */
static void render_plain(struct swki_buf *buf, const struct swk_raft_message *m,
                         int indent)
{
    const char *name = message_type_name(m->type);

    (void)swki_buf_printf(buf, "%*s", indent, "");
    render_target(buf, m->from);
    (void)swki_buf_append_text(buf, "->");
    render_target(buf, m->to);
    (void)swki_buf_printf(
        buf, " %s Term:%" PRIu64 " Log:%" PRIu64 "/%" PRIu64,
        name != NULL ? name : "Msg?", m->term, m->log_term, m->index);
    if (m->reject) {
        (void)swki_buf_printf(buf, " Rejected (Hint: %" PRIu64 ")",
                              m->reject_hint);
    }
    if (m->commit != 0) {
        (void)swki_buf_printf(buf, " Commit:%" PRIu64, m->commit);
    }
    if (m->vote != 0) {
        (void)swki_buf_printf(buf, " Vote:%" PRIu64, m->vote);
    }
    render_message_entries(buf, m, indent);
    if (m->snapshot != NULL && m->snapshot->index != 0) {
        (void)swki_buf_printf(buf, "\n%*sSnapshot: ", indent + 2, "");
        render_snapshot(buf, m->snapshot);
    }
}

void render_message(struct swki_buf *buf, const struct message *message)
{
    render_plain(buf, &message->m, 0);
    if (message->responses_count == 0) {
        return;
    }
    /* Responses have none of their own. */
    (void)swki_buf_append_text(buf, " Responses:[");
    for (size_t i = 0; i < message->responses_count; i++) {
        (void)swki_buf_append_byte(buf, '\n');
        render_plain(buf, &message->responses[i].m, 2);
    }
    (void)swki_buf_append_text(buf, "\n]");
}

/* -- Members -------------------------------------------------------------- */

static const char *peer_state_name(enum swk_raft_peer_state state)
{
    switch (state) {
    case SWK_RAFT_PROBE:
        return "StateProbe";
    case SWK_RAFT_REPLICATE:
        return "StateReplicate";
    case SWK_RAFT_SNAPSHOT:
        return "StateSnapshot";
    }
    return "?";
}

void render_progress(struct swki_buf *buf, const struct swki_raft_progress *p)
{
    (void)swki_buf_printf(buf, "%s match=%" PRIu64 " next=%" PRIu64,
                          peer_state_name(p->state), p->match, p->next);
    if (p->learner) {
        (void)swki_buf_append_text(buf, " learner");
    }
    if (swki_raft_progress_paused(p)) {
        (void)swki_buf_append_text(buf, " paused");
    }
    if (p->pending_snapshot > 0) {
        (void)swki_buf_printf(buf, " pendingSnap=%" PRIu64,
                              p->pending_snapshot);
    }
    if (!p->active) {
        (void)swki_buf_append_text(buf, " inactive");
    }
    if (p->window.count > 0) {
        (void)swki_buf_printf(buf, " inflight=%" PRIu32 "%s", p->window.count,
                              swki_raft_progress_full(p) ? "[full]" : "");
    }
}

void render_members(struct swki_buf *buf,
                    const struct swki_raft_configuration *c)
{
    for (size_t i = 0; i < c->peers_count; i++) {
        (void)swki_buf_printf(buf, "%" PRIu64 ": ", c->peers[i].id);
        render_progress(buf, &c->peers[i]);
        (void)swki_buf_append_byte(buf, '\n');
    }
}

void render_configuration(struct swki_buf *buf,
                          const struct swki_raft_configuration *c)
{
    (void)swki_buf_append_text(buf, "voters=");
    render_ids(buf, c->incoming.ids, c->incoming.count);
    if (swki_raft_configuration_joint(c)) {
        (void)swki_buf_append_text(buf, "&&");
        render_ids(buf, c->outgoing.ids, c->outgoing.count);
    }
    if (c->learners.count > 0) {
        (void)swki_buf_append_text(buf, " learners=");
        render_ids(buf, c->learners.ids, c->learners.count);
    }
    if (c->learners_next.count > 0) {
        (void)swki_buf_append_text(buf, " learners_next=");
        render_ids(buf, c->learners_next.ids, c->learners_next.count);
    }
    if (c->auto_leave) {
        (void)swki_buf_append_text(buf, " autoleave");
    }
}

/* -- Ready ---------------------------------------------------------------- */

static void render_states(struct swki_buf *buf,
                          const struct swki_machine_ready *ready)
{
    if (ready->soft_changed) {
        (void)swki_buf_printf(buf, "Lead:%" PRIu64 " State:%s\n", ready->leader,
                              role_name(ready->role));
    }
    if (ready->hard_state != NULL) {
        (void)swki_buf_printf(buf, "HardState Term:%" PRIu64,
                              ready->hard_state->term);
        if (ready->hard_state->vote != 0) {
            (void)swki_buf_printf(buf, " Vote:%" PRIu64,
                                  ready->hard_state->vote);
        }
        (void)swki_buf_printf(buf, " Commit:%" PRIu64 "\n",
                              ready->hard_state->commit);
    }
    for (size_t i = 0; i < ready->reads_count; i++) {
        (void)swki_buf_printf(buf, "Read Index:%" PRIu64 " ",
                              ready->reads[i].index);
        render_quoted(buf, ready->reads[i].context,
                      ready->reads[i].context_len);
        (void)swki_buf_append_byte(buf, '\n');
    }
}

void render_ready(struct swki_buf *buf, const struct swki_machine_ready *ready,
                  const struct message *messages, size_t messages_count)
{
    size_t begin = buf->len;

    (void)swki_buf_printf(buf, "Ready MustSync=%s:\n",
                          ready->must_sync ? "true" : "false");
    size_t head = buf->len;
    render_states(buf, ready);
    if (ready->entries_count > 0) {
        (void)swki_buf_append_text(buf, "Entries:\n");
        render_entries(buf, ready->entries, ready->entries_count);
    }
    if (ready->snapshot != NULL) {
        (void)swki_buf_append_text(buf, "Snapshot ");
        render_snapshot(buf, ready->snapshot);
        (void)swki_buf_append_byte(buf, '\n');
    }
    if (ready->committed_count > 0) {
        (void)swki_buf_append_text(buf, "CommittedEntries:\n");
        render_entries(buf, ready->committed, ready->committed_count);
    }
    if (messages_count > 0) {
        (void)swki_buf_append_text(buf, "Messages:\n");
    }
    for (size_t i = 0; i < messages_count; i++) {
        render_message(buf, &messages[i]);
        (void)swki_buf_append_byte(buf, '\n');
    }
    if (buf->len == head) {
        buf->len = begin;
        (void)swki_buf_append_text(buf, "<empty Ready>");
    }
}
