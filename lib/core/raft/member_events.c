/* SPDX-License-Identifier: Apache-2.0 */

/* What a driver tells a member. */

#include <string.h>

#include <swarmkit/raft.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/options.h"
#include "core/raft/conf_change.h"
#include "core/raft/member.h"

/* Section 3: the two largest are reserved. */
#define ID_MAX (UINT64_MAX - 2)

static int check_event(const struct swk_raft *raft, struct swk_error *err)
{
    int rc;

    if (raft != NULL && raft->started &&
        swki_machine_failure(raft->machine) == NULL) {
        return SWK_OK;
    }
    rc = swki_raft_need(raft, "raft", err);
    return rc == SWK_OK ? swki_raft_need_running(raft, err) : rc;
}

/* -- Proposals ------------------------------------------------------------- */

/* What a machine's refusal means to those who propose. */
static int proposal_result(int rc, struct swk_error *err)
{
    return rc == SWK_EBUSY
               ? swki_fail(err, SWK_EUNAVAILABLE,
                           "raft: leadership is being handed over")
               : rc;
}

int swk_raft_propose(swk_raft *raft, const void *data, size_t data_len,
                     uint64_t *out_index, struct swk_error *err)
{
    uint64_t index = 0;
    int rc = check_event(raft, err);

    if (rc == SWK_OK && data_len > 0) {
        rc = swki_raft_need(data, "data", err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_machine_propose(raft->machine, SWK_RAFT_ENTRY_NORMAL, data,
                              data_len, &index, err);
    if (rc == SWK_OK && out_index != NULL) {
        *out_index = index;
    }
    return proposal_result(rc, err);
}

/* -- Changes of membership ------------------------------------------------- */

static int check_change(const struct swk_raft *raft,
                        const struct swk_raft_conf_change *change,
                        struct swk_error *err)
{
    if (change->transition < SWK_RAFT_TRANSITION_AUTO ||
        change->transition > SWK_RAFT_TRANSITION_JOINT_EXPLICIT ||
        (change->changes == NULL && change->changes_count > 0) ||
        (change->context == NULL && change->context_len > 0)) {
        return swki_fail(err, SWK_EINVAL, "raft: malformed change");
    }
    if (change->changes_count > SWK_RAFT_CHANGES_MAX ||
        change->context_len > raft->config.entry_size_max) {
        return swki_fail(err, SWK_EINVAL, "raft: change beyond the limits");
    }
    for (size_t i = 0; i < change->changes_count; i++) {
        const struct swk_raft_change *one = &change->changes[i];

        if (one->type < SWK_RAFT_ADD_VOTER ||
            one->type > SWK_RAFT_ADD_LEARNER || one->id == 0 ||
            one->id > ID_MAX) {
            return swki_fail(err, SWK_EINVAL,
                             "raft: a change of no kind, or of no member");
        }
    }
    return SWK_OK;
}

/* Room for a payload; NULL for no memory. */
static uint8_t *reserve_scratch(struct swk_raft *raft, size_t size)
{
    if (size > raft->scratch_size) {
        uint8_t *scratch = swki_alloc(raft->config.alloc, size);

        if (scratch == NULL) {
            return NULL;
        }
        swki_free(raft->config.alloc, raft->scratch);
        raft->scratch = scratch;
        raft->scratch_size = size;
    }
    return raft->scratch;
}

/* The older form where it says all, since every member can read it. */
static int propose_change(struct swk_raft *raft,
                          const struct swk_raft_conf_change *change,
                          uint64_t *out_index, struct swk_error *err)
{
    bool simple = change->changes_count == 1 &&
                  change->transition == SWK_RAFT_TRANSITION_AUTO;
    size_t len = simple ? swki_conf_change_v1_size(change)
                        : swki_conf_change_size(change);
    uint8_t *payload = reserve_scratch(raft, len);

    if (payload == NULL && len > 0) {
        return swki_fail_nomem(err);
    }
    if (simple) {
        swki_conf_change_v1_encode(change, payload);
    } else if (len > 0) {
        swki_conf_change_encode(change, payload);
    }
    return swki_machine_propose(raft->machine,
                                simple ? SWK_RAFT_ENTRY_CONF_CHANGE
                                       : SWK_RAFT_ENTRY_CONF_CHANGE_V2,
                                payload, len, out_index, err);
}

int swk_raft_propose_conf_change(swk_raft *raft,
                                 const struct swk_raft_conf_change *change,
                                 uint64_t *out_index, struct swk_error *err)
{
    struct swk_raft_conf_change known;
    uint64_t index = 0;
    int rc = check_event(raft, err);

    if (rc == SWK_OK) {
        rc = swki_raft_need(change, "change", err);
    }
    if (rc == SWK_OK) {
        rc = swki_options_read(&known, sizeof(known), change,
                               "swk_raft_conf_change", err);
    }
    if (rc == SWK_OK) {
        rc = check_change(raft, &known, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    rc = propose_change(raft, &known, &index, err);
    if ((rc == SWK_OK || rc == SWK_EPRECONDITION) && out_index != NULL) {
        *out_index = index;
    }
    return proposal_result(rc, err);
}

int swk_raft_read_conf_change(const struct swk_log_entry *entry,
                              struct swk_raft_change *changes,
                              struct swk_raft_conf_change *out_change,
                              struct swk_error *err)
{
    struct swk_raft_conf_change change;

    if (entry == NULL || changes == NULL || out_change == NULL) {
        return swki_fail(err, SWK_EINVAL, "raft: NULL argument");
    }
    if (entry->type != SWK_RAFT_ENTRY_CONF_CHANGE &&
        entry->type != SWK_RAFT_ENTRY_CONF_CHANGE_V2) {
        return swki_fail(err, SWK_EINVAL,
                         "raft: entry %llu changes no membership",
                         (unsigned long long)entry->index);
    }
    if (!swki_conf_change_decode(entry->type, entry->data, entry->data_len,
                                 changes, &change)) {
        return swki_fail(err, SWK_EINVAL, "raft: malformed change at %llu",
                         (unsigned long long)entry->index);
    }
    *out_change = change;
    return SWK_OK;
}

/* The first change of membership that was given out and is not applied yet;
 * 0 if there is none up to index. */
static uint64_t next_change(const struct swk_raft *raft, uint64_t index)
{
    uint64_t at = raft->conf_applied > raft->applied ? raft->conf_applied
                                                     : raft->applied;

    if (raft->conf_given <= raft->conf_applied) {
        return 0;
    }
    while (++at <= index) {
        const struct swk_log_entry *entry =
            swki_machine_entry_at(raft->machine, at);

        if (entry != NULL && entry->type != SWK_RAFT_ENTRY_NORMAL) {
            return at;
        }
    }
    return 0;
}

int swk_raft_apply_conf_change(swk_raft *raft,
                               const struct swk_log_entry *entry,
                               int32_t reject, struct swk_error *err)
{
    int rc = check_event(raft, err);

    if (rc == SWK_OK) {
        rc = swki_raft_need(entry, "entry", err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    if (entry->type == SWK_RAFT_ENTRY_NORMAL || entry->index > raft->given ||
        entry->index != next_change(raft, entry->index)) {
        return swki_fail(err, SWK_EINVAL,
                         "raft: entry %llu is not the next change to apply",
                         (unsigned long long)entry->index);
    }
    rc = swki_machine_apply_conf_change(raft->machine, entry, reject != 0,
                                        NULL, err);
    if (rc == SWK_OK) {
        raft->conf_applied = entry->index;
    }
    return rc;
}

int swk_raft_applied(swk_raft *raft, uint64_t index, struct swk_error *err)
{
    int rc = check_event(raft, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (index <= raft->applied) {
        return SWK_OK;
    }
    if (index > raft->given || next_change(raft, index) != 0) {
        return swki_fail(err, SWK_EINVAL,
                         "raft: entry %llu was not given out to be applied, or "
                         "a change of membership before it was not applied",
                         (unsigned long long)index);
    }
    rc = swki_machine_applied(raft->machine, index, err);
    if (rc == SWK_OK) {
        raft->applied = index;
        swki_raft_consider_campaign(raft);
    }
    return rc;
}

/* -- Messages -------------------------------------------------------------- */

/* What is passed on to the leader keeps its first sender, to whom it may come
 * back in the end, when that has become the leader. */
static bool is_passed_on(const struct swk_raft_message *message)
{
    return message->type == SWK_RAFT_MSG_PROP ||
           message->type == SWK_RAFT_MSG_READ_INDEX ||
           message->type == SWK_RAFT_MSG_TRANSFER_LEADER;
}

static bool is_from_another(const struct swk_raft *raft,
                            const struct swk_raft_message *message)
{
    return message->to == raft->config.id && message->from != 0 &&
           message->from <= ID_MAX &&
           (message->from != raft->config.id || is_passed_on(message));
}

int swk_raft_step(swk_raft *raft, const struct swk_raft_message *message,
                  struct swk_error *err)
{
    int rc = check_event(raft, err);

    if (rc == SWK_OK) {
        rc = swki_raft_need(message, "message", err);
    }
    if (rc == SWK_OK && !is_from_another(raft, message)) {
        rc = swki_fail(err, SWK_EINVAL,
                       "raft: message from %llx to %llx came to %llx",
                       (unsigned long long)message->from,
                       (unsigned long long)message->to,
                       (unsigned long long)raft->config.id);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_machine_step(raft->machine, message, err);
    if (rc == SWK_EDENIED) {
        return swki_fail(err, SWK_EINVAL, "raft: messages of type %d are local",
                         (int)message->type);
    }
    /* What cannot be of use now, or for which memory is short, is as good as
     * lost on the way. */
    return rc == SWK_EINVAL || rc == SWK_EIO ? rc : SWK_OK;
}

void swk_raft_report_unreachable(swk_raft *raft, uint64_t id)
{
    if (check_event(raft, NULL) == SWK_OK) {
        (void)swki_machine_report_unreachable(raft->machine, id, NULL);
    }
}

void swk_raft_report_snapshot(swk_raft *raft, uint64_t id, int32_t ok)
{
    if (check_event(raft, NULL) == SWK_OK) {
        (void)swki_machine_report_snapshot(raft->machine, id, ok != 0, NULL);
    }
}

void swk_raft_snapshot_alive(swk_raft *raft, uint64_t id)
{
    if (check_event(raft, NULL) == SWK_OK) {
        swki_machine_snapshot_alive(raft->machine, id);
    }
}

/* -- Storage --------------------------------------------------------------- */

int swk_raft_persisted(swk_raft *raft, uint64_t ticket, struct swk_error *err)
{
    int rc = check_event(raft, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (ticket > raft->last_ticket) {
        return swki_fail(err, SWK_EINVAL, "raft: ticket %llu was not given out",
                         (unsigned long long)ticket);
    }
    if (ticket > raft->persisted) {
        raft->persisted = ticket;
        /* What is left for lack of memory is taken up with the next actions. */
        (void)swki_raft_writes_process(raft);
    }
    return swki_raft_need_sound(raft, err);
}

/* -- Requests -------------------------------------------------------------- */

int swk_raft_read_index(swk_raft *raft, const void *context,
                        size_t context_len, struct swk_error *err)
{
    int rc = check_event(raft, err);

    if (rc == SWK_OK) {
        rc = swki_raft_need(context, "context", err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    if (context_len == 0 || context_len > SWK_RAFT_READ_CONTEXT_SIZE_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "raft: the context of a read has 1 to %d bytes",
                         (int)SWK_RAFT_READ_CONTEXT_SIZE_MAX);
    }
    return swki_machine_read_index(raft->machine, context, context_len, err);
}

int swk_raft_campaign(swk_raft *raft, struct swk_error *err)
{
    int rc = check_event(raft, err);

    return rc == SWK_OK ? swki_machine_campaign(raft->machine, err) : rc;
}

int swk_raft_forget_leader(swk_raft *raft, struct swk_error *err)
{
    int rc = check_event(raft, err);

    return rc == SWK_OK ? swki_machine_forget_leader(raft->machine, err) : rc;
}

int swk_raft_set_priority(swk_raft *raft, uint64_t id, int32_t priority,
                          struct swk_error *err)
{
    int rc = check_event(raft, err);

    if (rc == SWK_OK &&
        !swki_machine_set_priority(raft->machine, id, priority)) {
        rc = swki_fail(err, SWK_ENOTFOUND, "raft: %llx is no member",
                       (unsigned long long)id);
    }
    return rc;
}

int swk_raft_transfer(swk_raft *raft, uint64_t target, struct swk_error *err)
{
    const struct swki_raft_configuration *conf;
    struct swki_machine_status status;
    int rc = check_event(raft, err);

    if (rc != SWK_OK) {
        return rc;
    }
    swki_machine_status(raft->machine, &status);
    if (status.role != SWK_RAFT_LEADER) {
        return swki_fail(err, SWK_ENOTLEADER, "raft: not the leader");
    }
    if (target == 0) {
        return swki_machine_resign(raft->machine, err);
    }
    conf = swki_machine_configuration(raft->machine);
    if (!swki_raft_configuration_is_voter(conf, target)) {
        return swki_fail(err, SWK_ENOTFOUND, "raft: %llx is no voter",
                         (unsigned long long)target);
    }
    return swki_machine_transfer(raft->machine, target, err);
}
