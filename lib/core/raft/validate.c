/* SPDX-License-Identifier: Apache-2.0 */

/* What a message must be like before anything looks at it (R-MSG-7). */

#include "core/raft/conf_change.h"
#include "core/raft/inside.h"

enum {
    MESSAGE_DATA_MAX = 256 * 1024 * 1024, /* whatever the sender's limits */
};

static bool is_response(int32_t type)
{
    switch (type) {
    case SWK_RAFT_MSG_APP_RESP:
    case SWK_RAFT_MSG_VOTE_RESP:
    case SWK_RAFT_MSG_HEARTBEAT_RESP:
    case SWK_RAFT_MSG_READ_INDEX_RESP:
    case SWK_RAFT_MSG_PRE_VOTE_RESP:
        return true;
    default:
        return false;
    }
}

static bool is_known(int32_t type)
{
    return (type >= SWK_RAFT_MSG_PROP && type <= SWK_RAFT_MSG_HEARTBEAT_RESP) ||
           (type >= SWK_RAFT_MSG_TRANSFER_LEADER &&
            type <= SWK_RAFT_MSG_PRE_VOTE_RESP);
}

static bool may_lack_term(int32_t type)
{
    /* The last one in a group that never had an election. */
    return type == SWK_RAFT_MSG_PROP || type == SWK_RAFT_MSG_READ_INDEX ||
           type == SWK_RAFT_MSG_TRANSFER_LEADER ||
           type == SWK_RAFT_MSG_PRE_VOTE_RESP;
}

static bool payload_decodes(const struct swk_log_entry *entry)
{
    struct swk_raft_change changes[SWK_RAFT_CHANGES_MAX];
    struct swk_raft_conf_change change;

    return swki_conf_change_decode(entry->type, entry->data, entry->data_len,
                                   changes, &change);
}

/* The data of an entry; true if it is as it should be. */
static bool check_payload(const struct swki_machine *m,
                          const struct swk_log_entry *entry,
                          enum swki_machine_reject *out_reason)
{
    if (entry->type < SWK_RAFT_ENTRY_NORMAL ||
        entry->type > SWK_RAFT_ENTRY_CONF_CHANGE_V2 ||
        (entry->data_len > 0 && entry->data == NULL)) {
        *out_reason = SWKI_MACHINE_REJECT_ENTRIES;
        return false;
    }
    if (entry->data_len > m->config.entry_size_max) {
        *out_reason = SWKI_MACHINE_REJECT_SIZE;
        return false;
    }
    if (entry->type != SWK_RAFT_ENTRY_NORMAL && !payload_decodes(entry)) {
        *out_reason = SWKI_MACHINE_REJECT_CHANGE;
        return false;
    }
    return true;
}

static bool check_payloads(const struct swki_machine *m,
                           const struct swk_raft_message *message,
                           enum swki_machine_reject *out_reason)
{
    uint64_t size = 0;

    if (message->entries_count > 0 && message->entries == NULL) {
        *out_reason = SWKI_MACHINE_REJECT_ENTRIES;
        return false;
    }
    for (size_t i = 0; i < message->entries_count; i++) {
        if (!check_payload(m, &message->entries[i], out_reason)) {
            return false;
        }
        size += message->entries[i].data_len;
        if (size > MESSAGE_DATA_MAX) {
            *out_reason = SWKI_MACHINE_REJECT_SIZE;
            return false;
        }
    }
    return true;
}

static bool check_append(const struct swki_machine *m,
                         const struct swk_raft_message *message,
                         enum swki_machine_reject *out_reason)
{
    uint64_t index = message->index;
    uint64_t term = message->log_term;

    *out_reason = SWKI_MACHINE_REJECT_ENTRIES;
    if (message->index > SWKI_MACHINE_NUMBER_MAX - MESSAGE_DATA_MAX ||
        term > message->term) {
        return false;
    }
    for (size_t i = 0; i < message->entries_count; i++) {
        const struct swk_log_entry *entry = &message->entries[i];

        if (entry->index != index + 1 || entry->term < term ||
            entry->term == 0 || entry->term > message->term) {
            return false;
        }
        index = entry->index;
        term = entry->term;
    }
    return check_payloads(m, message, out_reason);
}

static bool check_snapshot(const struct swki_machine *m,
                           const struct swk_raft_message *message,
                           enum swki_machine_reject *out_reason)
{
    const struct swk_snapshot_meta *meta = message->snapshot;
    struct swki_raft_configuration made;

    *out_reason = SWKI_MACHINE_REJECT_SNAPSHOT;
    if (meta == NULL || meta->index == 0 ||
        meta->index > SWKI_MACHINE_NUMBER_MAX || meta->term == 0 ||
        meta->term > message->term || meta->conf_state.voters_count == 0) {
        return false;
    }

    enum swki_raft_change_result result =
        swki_raft_configuration_prepare_restored(
            &m->configuration, &meta->conf_state, meta->index, &made);
    if (result == SWKI_RAFT_CHANGE_OK) {
        swki_raft_configuration_discard(&made);
        return true;
    }
    if (result == SWKI_RAFT_CHANGE_NOMEM) {
        *out_reason = SWKI_MACHINE_REJECT_NOMEM;
    }
    return false;
}

static bool check_read(const struct swk_raft_message *message,
                       enum swki_machine_reject *out_reason)
{
    *out_reason = SWKI_MACHINE_REJECT_CONTEXT;
    if (message->entries_count != 1 || message->entries == NULL ||
        message->index > SWKI_MACHINE_NUMBER_MAX) {
        return false;
    }

    const struct swk_log_entry *entry = &message->entries[0];
    return entry->data_len > 0 && entry->data != NULL &&
           entry->data_len <= SWKI_MACHINE_READ_CONTEXT_MAX;
}

static bool check_body(const struct swki_machine *m,
                       const struct swk_raft_message *message,
                       enum swki_machine_reject *out_reason)
{
    switch (message->type) {
    case SWK_RAFT_MSG_PROP:
        *out_reason = SWKI_MACHINE_REJECT_ENTRIES;
        return message->entries_count > 0 &&
               check_payloads(m, message, out_reason);
    case SWK_RAFT_MSG_APP:
        return check_append(m, message, out_reason);
    case SWK_RAFT_MSG_SNAP:
        return check_snapshot(m, message, out_reason);
    case SWK_RAFT_MSG_APP_RESP:
        *out_reason = message->index > SWKI_MACHINE_NUMBER_MAX
                          ? SWKI_MACHINE_REJECT_INDEX
                          : SWKI_MACHINE_REJECT_HINT;
        return message->index <= SWKI_MACHINE_NUMBER_MAX &&
               (message->reject == 0 ||
                message->reject_hint <= message->index);
    case SWK_RAFT_MSG_VOTE:
    case SWK_RAFT_MSG_PRE_VOTE:
        *out_reason = SWKI_MACHINE_REJECT_INDEX;
        return message->index <= SWKI_MACHINE_NUMBER_MAX &&
               message->log_term <= message->term;
    case SWK_RAFT_MSG_READ_INDEX:
    case SWK_RAFT_MSG_READ_INDEX_RESP:
        return check_read(message, out_reason);
    default:
        return true;
    }
}

/* Kinds that only this member makes; 0, or how others are refused. */
static int check_local(const struct swk_raft_message *message,
                       enum swki_machine_reject *out_reason, bool *out_local)
{
    bool append = message->type == SWKI_MACHINE_STORAGE_APPEND_RESP &&
                  message->from == SWKI_MACHINE_APPEND_THREAD;
    bool apply = message->type == SWKI_MACHINE_STORAGE_APPLY_RESP &&
                 message->from == SWKI_MACHINE_APPLY_THREAD;

    *out_local = append || apply;
    if (append || apply) {
        return SWK_OK;
    }
    if (!is_known(message->type)) {
        *out_reason = SWKI_MACHINE_REJECT_KIND;
        return SWK_EDENIED;
    }
    return SWK_OK;
}

/* What an own storage says is not doubted but for what would do harm. */
static int check_stored(const struct swki_machine *m,
                        const struct swk_raft_message *message,
                        enum swki_machine_reject *out_reason)
{
    uint64_t applied = 0;

    if (message->entries_count > 0 && message->entries != NULL) {
        applied = message->entries[message->entries_count - 1].index;
    }
    *out_reason = SWKI_MACHINE_REJECT_INDEX;
    if (applied > m->applying || message->term > m->term) {
        return SWK_EINVAL;
    }
    if (message->snapshot != NULL && message->snapshot->index > m->committed) {
        return SWK_EINVAL;
    }
    return SWK_OK;
}

/*
 * Whether a stranger would rule while a member does. It may be the leader of a
 * later term, which this member's log is too short to know; then the one it
 * knows falls silent, and after an election timeout the stranger is heard.
 * Until then the group has a leader, and needs no other (as in R-MSG-4.1).
 */
static bool usurps(const struct swki_machine *m,
                   const struct swk_raft_message *message)
{
    bool rules = message->type == SWK_RAFT_MSG_APP ||
                 message->type == SWK_RAFT_MSG_HEARTBEAT ||
                 message->type == SWK_RAFT_MSG_SNAP;

    if (!(rules && message->term > m->term) &&
        message->type != SWK_RAFT_MSG_TIMEOUT_NOW) {
        return false;
    }
    return swki_machine_has(m, SWKI_MACHINE_CHECK_QUORUM_ON) && m->lead != 0 &&
           m->election_elapsed < m->config.election_ticks &&
           swki_machine_peer(m, message->from) == NULL &&
           swki_machine_peer(m, m->lead) != NULL;
}

int swki_machine_validate(const struct swki_machine *m,
                          const struct swk_raft_message *message,
                          enum swki_machine_reject *out_reason)
{
    bool local = false;
    int rc = check_local(message, out_reason, &local);
    if (rc != SWK_OK) {
        return rc;
    }

    *out_reason = SWKI_MACHINE_REJECT_ADDRESS;
    if (message->to != m->config.id) {
        return SWK_EINVAL;
    }
    if (local) {
        return check_stored(m, message, out_reason);
    }
    if (message->from == 0 || message->from >= SWKI_MACHINE_APPLY_THREAD) {
        return SWK_EINVAL;
    }
    if (is_response(message->type) &&
        swki_machine_peer(m, message->from) == NULL) {
        *out_reason = SWKI_MACHINE_REJECT_NOT_MEMBER;
        return SWK_ENOTFOUND;
    }
    if (usurps(m, message)) {
        *out_reason = SWKI_MACHINE_REJECT_NOT_MEMBER;
        return SWK_ENOTFOUND;
    }
    if (message->term > SWKI_MACHINE_NUMBER_MAX - 1 ||
        (message->term == 0 && !may_lack_term(message->type))) {
        *out_reason = SWKI_MACHINE_REJECT_TERM;
        return SWK_EINVAL;
    }
    if (message->context_len > SWKI_MACHINE_READ_CONTEXT_MAX ||
        (message->context_len > 0 && message->context == NULL)) {
        *out_reason = SWKI_MACHINE_REJECT_CONTEXT;
        return SWK_EINVAL;
    }
    if (check_body(m, message, out_reason)) {
        return SWK_OK;
    }
    return *out_reason == SWKI_MACHINE_REJECT_NOMEM ? SWK_ENOMEM : SWK_EINVAL;
}
