/* SPDX-License-Identifier: Apache-2.0 */

/* The life of a member, proposals, applying and snapshots. */

#include "core/raft/raft.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/options.h"

/* Section 3: the two largest are reserved. */
#define ID_MAX (UINT64_MAX - 2)
/* Section 3: no index and no term gets there. */
#define POSITION_MAX (UINT64_C(1) << 63)

static void set_default(uint64_t *field, uint64_t value)
{
    if (*field == 0) {
        *field = value;
    }
}

static int read_config(const struct swk_raft_config *config,
                       struct swk_raft_config *out_config,
                       struct swk_error *err)
{
    struct swk_raft_config c;
    int rc = swki_options_read(&c, sizeof(c), config, "swk_raft_config", err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (c.id == 0 || c.id > ID_MAX) {
        return swki_fail(err, SWK_EINVAL, "raft: id 0 or reserved");
    }
    if (c.voters != NULL && (c.voters_count != 1 || c.voters[0] != c.id)) {
        return swki_fail(err, SWK_ENOTSUP,
                         "raft: this release serves clusters of one member");
    }
    c.voters = NULL; /* not ours to keep */
    set_default(&c.entry_size_max, SWK_RAFT_ENTRY_SIZE_MAX);
    set_default(&c.uncommitted_size_max, SWK_RAFT_UNCOMMITTED_SIZE_MAX);
    set_default(&c.apply_size_max, SWK_RAFT_APPLY_SIZE_MAX);
    set_default(&c.snapshot_interval, SWK_RAFT_SNAPSHOT_INTERVAL);
    set_default(&c.snapshot_log_size, SWK_RAFT_SNAPSHOT_LOG_SIZE);
    set_default(&c.entries_for_slow_followers,
                SWK_RAFT_ENTRIES_FOR_SLOW_FOLLOWERS);
    *out_config = c;
    return SWK_OK;
}

int swk_raft_new(const struct swk_raft_config *config, swk_raft **out_raft,
                 struct swk_error *err)
{
    struct swk_raft_config known;
    struct swk_raft *raft;

    if (out_raft == NULL) {
        return swki_fail(err, SWK_EINVAL, "raft: NULL argument");
    }
    int rc = read_config(config, &known, err);
    if (rc != SWK_OK) {
        return rc;
    }
    raft = swki_calloc(known.alloc, 1, sizeof(*raft));
    if (raft == NULL) {
        return swki_fail_nomem(err);
    }
    raft->config = known;
    raft->stage = SWKI_RAFT_RESTORING;
    raft->role = SWK_RAFT_FOLLOWER;
    raft->deadline = SWK_NEVER;
    swki_raft_log_init(&raft->log, known.alloc);
    *out_raft = raft;
    return SWK_OK;
}

void swk_raft_free(swk_raft *raft)
{
    if (raft != NULL) {
        swki_raft_log_fini(&raft->log);
        swki_free(raft->config.alloc, raft);
    }
}

const char *swki_raft_check(const struct swk_raft *raft)
{
    uint64_t last = swki_raft_log_last(&raft->log);

    if (raft->applied > raft->applying || raft->applying > raft->state.commit ||
        raft->state.commit > last) {
        return "applied <= applying <= committed <= last does not hold";
    }
    if (raft->log.first - 1 > raft->state.commit) {
        return "the log begins after what is committed";
    }
    if (raft->durable >= raft->unstored || raft->unstored > last + 1) {
        return "durable < unstored <= last + 1 does not hold";
    }
    if (swki_raft_log_term(&raft->log, last) > raft->state.term) {
        return "the last entry is of a term to come";
    }
    if (raft->state.commit < raft->stored.commit ||
        raft->state.term < raft->stored.term) {
        return "term or commit went back";
    }
    if (last >= POSITION_MAX || raft->state.term >= POSITION_MAX) {
        return "no index or term is left";
    }
    return NULL;
}

/* Section 1, fail stop: a broken invariant ends the member, not the process. */
static int end_event(struct swk_raft *raft, struct swk_error *err)
{
    const char *broken = swki_raft_check(raft);

    if (broken == NULL) {
        return SWK_OK;
    }
    swki_raft_fail(raft, SWK_EINTERNAL, broken);
    return swki_fail(err, SWK_EINTERNAL, "%s", raft->failure.text);
}

static int need_stage(const struct swk_raft *raft, enum swki_raft_stage stage,
                      struct swk_error *err)
{
    if (raft->stage == stage) {
        return SWK_OK;
    }
    if (raft->stage == SWKI_RAFT_FAILED) {
        return swki_fail(err, SWK_EIO, "%s", raft->failure.text);
    }
    return swki_fail(err, SWK_EPRECONDITION, "raft: %s",
                     stage == SWKI_RAFT_RUNNING ? "not started"
                                                : "already started");
}

int swk_raft_restore_snapshot(swk_raft *raft,
                              const struct swk_snapshot_meta *meta,
                              struct swk_error *err)
{
    int rc = need_stage(raft, SWKI_RAFT_RESTORING, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (raft->snapshot.index != 0 || raft->log.entries_count > 0) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "raft: the snapshot is restored first, and once");
    }
    if (meta->index == 0 || meta->term == 0 || meta->index >= POSITION_MAX ||
        meta->term >= POSITION_MAX) {
        return swki_fail(err, SWK_ECORRUPT,
                         "raft: stored snapshot at an impossible position");
    }
    raft->snapshot = *meta;
    swki_raft_log_begin(&raft->log, meta->index, meta->term);
    return SWK_OK;
}

int swk_raft_restore_hard_state(swk_raft *raft,
                                const struct swk_hard_state *state,
                                struct swk_error *err)
{
    int rc = need_stage(raft, SWKI_RAFT_RESTORING, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (raft->state_restored) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "raft: hard state is restored once");
    }
    raft->state = *state;
    raft->state_restored = true;
    return SWK_OK;
}

int swk_raft_restore_entry(swk_raft *raft, const struct swk_log_entry *entry,
                           struct swk_error *err)
{
    int rc = need_stage(raft, SWKI_RAFT_RESTORING, err);

    if (rc != SWK_OK) {
        return rc;
    }
    uint64_t last = swki_raft_log_last(&raft->log);

    if (entry->index != last + 1 || entry->term == 0 ||
        entry->term < swki_raft_log_term(&raft->log, last) ||
        entry->index >= POSITION_MAX || entry->term >= POSITION_MAX) {
        return swki_fail(err, SWK_ECORRUPT,
                         "raft: stored entry (index %llu, term %llu) does not "
                         "follow index %llu",
                         (unsigned long long)entry->index,
                         (unsigned long long)entry->term,
                         (unsigned long long)last);
    }
    if (entry->type != SWK_RAFT_ENTRY_NORMAL) {
        return swki_fail(err, SWK_ENOTSUP,
                         "raft: stored entry %llu has type %d: this release "
                         "knows no changes of the membership",
                         (unsigned long long)entry->index, (int)entry->type);
    }
    return swki_raft_log_append(&raft->log, entry) ? SWK_OK
                                                   : swki_fail_nomem(err);
}

/* R-BOO-1. A commit below the snapshot is no fault: it is written lazily, and
 * a snapshot holds nothing but committed state. */
int swk_raft_start(swk_raft *raft, swk_time now, struct swk_error *err)
{
    int rc = need_stage(raft, SWKI_RAFT_RESTORING, err);

    if (rc != SWK_OK) {
        return rc;
    }
    uint64_t last = swki_raft_log_last(&raft->log);

    if (raft->state.commit > last) {
        return swki_fail(err, SWK_ECORRUPT,
                         "raft: log lost or truncated: index %llu was "
                         "committed, the last stored one is %llu",
                         (unsigned long long)raft->state.commit,
                         (unsigned long long)last);
    }
    if (swki_raft_log_term(&raft->log, last) > raft->state.term ||
        raft->state.term >= POSITION_MAX) {
        return swki_fail(err, SWK_ECORRUPT,
                         "raft: stored term %llu is behind that of the log, "
                         "or impossible",
                         (unsigned long long)raft->state.term);
    }
    if (raft->state.commit < raft->snapshot.index) {
        raft->state.commit = raft->snapshot.index;
    }
    raft->stored = raft->state;
    raft->unstored = last + 1;
    raft->durable = last;
    raft->applied = raft->snapshot.index;
    raft->applying = raft->applied;
    raft->stage = SWKI_RAFT_RUNNING;
    raft->deadline = now; /* nobody else could become leader */
    return SWK_OK;
}

swk_time swk_raft_deadline(const swk_raft *raft)
{
    return raft->deadline;
}

int swk_raft_expire(swk_raft *raft, swk_time now, struct swk_error *err)
{
    int rc = need_stage(raft, SWKI_RAFT_RUNNING, err);

    if (rc != SWK_OK || now < raft->deadline) {
        return rc;
    }
    if (!swki_raft_log_reserve(&raft->log)) {
        return swki_fail_nomem(err);
    }
    swki_raft_campaign(raft);
    return end_event(raft, err);
}

/* R-PRO-1, R-PRO-3, R-PRO-4 */
static int check_proposal(const struct swk_raft *raft, const void *data,
                          size_t data_len, struct swk_error *err)
{
    if (raft->role != SWK_RAFT_LEADER) {
        return swki_fail(err, SWK_ENOTLEADER, "raft: not the leader");
    }
    if (data == NULL && data_len > 0) {
        return swki_fail(err, SWK_EINVAL, "raft: NULL data");
    }
    if (data_len > raft->config.entry_size_max) {
        return swki_fail(
            err, SWK_ELIMIT, "raft: entry of %zu bytes is larger than %llu",
            data_len, (unsigned long long)raft->config.entry_size_max);
    }
    if (raft->uncommitted_size > 0 && data_len > 0 &&
        raft->uncommitted_size + data_len > raft->config.uncommitted_size_max) {
        return swki_fail(err, SWK_EUNAVAILABLE,
                         "raft: %llu bytes are proposed and not yet applied",
                         (unsigned long long)raft->uncommitted_size);
    }
    return SWK_OK;
}

int swk_raft_propose(swk_raft *raft, const void *data, size_t data_len,
                     uint64_t *out_index, struct swk_error *err)
{
    int rc = need_stage(raft, SWKI_RAFT_RUNNING, err);

    if (rc == SWK_OK) {
        rc = check_proposal(raft, data, data_len, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    const struct swk_log_entry entry = {
        .term = raft->state.term,
        .type = SWK_RAFT_ENTRY_NORMAL,
        .data = data,
        .data_len = data_len,
    };
    if (!swki_raft_log_append(&raft->log, &entry)) {
        return swki_fail_nomem(err);
    }
    raft->uncommitted_size += data_len;
    rc = end_event(raft, err);
    if (rc == SWK_OK && out_index != NULL) {
        *out_index = swki_raft_log_last(&raft->log);
    }
    return rc;
}

/* R-SNP-7 */
static void finish_snapshot(struct swk_raft *raft, uint64_t ticket)
{
    uint64_t keep = raft->config.entries_for_slow_followers;

    if (raft->saving.index == 0 || ticket < raft->saving_ticket) {
        return;
    }
    raft->snapshot = raft->saving;
    raft->saving.index = 0;
    if (raft->snapshot.index > keep) {
        swki_raft_log_compact(&raft->log, raft->snapshot.index - keep);
    }
}

int swk_raft_persisted(swk_raft *raft, uint64_t ticket, struct swk_error *err)
{
    int rc = need_stage(raft, SWKI_RAFT_RUNNING, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (ticket > raft->last_ticket) {
        return swki_fail(err, SWK_EINVAL, "raft: ticket %llu was not given out",
                         (unsigned long long)ticket);
    }
    swki_raft_acknowledge(raft, ticket);
    finish_snapshot(raft, ticket);
    return end_event(raft, err);
}

void swk_raft_storage_failed(swk_raft *raft, const struct swk_error *reason)
{
    if (reason != NULL && reason->code < 0) {
        swki_raft_fail(raft, reason->code, reason->text);
    } else {
        swki_raft_fail(raft, SWK_EIO, "the storage failed");
    }
}

int swk_raft_applied(swk_raft *raft, uint64_t index, struct swk_error *err)
{
    int rc = need_stage(raft, SWKI_RAFT_RUNNING, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (index > raft->applying) {
        return swki_fail(err, SWK_EINVAL,
                         "raft: entry %llu was not given out to be applied",
                         (unsigned long long)index);
    }
    if (index <= raft->applied) {
        return SWK_OK;
    }
    uint64_t bytes = swki_raft_log_bytes(&raft->log, raft->applied + 1, index);

    raft->applying_size -= bytes;
    raft->snapshot_size += bytes;
    /* R-PRO-3: entries of earlier leaders are in here too, so this may be an
     * underestimate, which is harmless. */
    raft->uncommitted_size -=
        bytes < raft->uncommitted_size ? bytes : raft->uncommitted_size;
    raft->applied = index;
    return end_event(raft, err);
}

int swk_raft_save_snapshot(swk_raft *raft, uint64_t index,
                           struct swk_snapshot_meta *out_meta,
                           uint64_t *out_ticket, struct swk_error *err)
{
    int rc = need_stage(raft, SWKI_RAFT_RUNNING, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (raft->saving.index != 0) {
        return swki_fail(err, SWK_EBUSY, "raft: a snapshot is being saved");
    }
    if (index > raft->applied || index <= raft->snapshot.index) {
        return swki_fail(err, SWK_EINVAL,
                         "raft: no snapshot can be taken at index %llu",
                         (unsigned long long)index);
    }
    raft->saving.index = index;
    raft->saving.term = swki_raft_log_term(&raft->log, index);
    raft->saving_ticket = ++raft->last_ticket;
    raft->snapshot_size =
        swki_raft_log_bytes(&raft->log, index + 1, raft->applied);
    raft->wanted = 0;
    raft->abandoned = 0;
    *out_meta = raft->saving;
    *out_ticket = raft->saving_ticket;
    return end_event(raft, err);
}

void swk_raft_snapshot_abandoned(swk_raft *raft)
{
    raft->wanted = 0;
    raft->abandoned = raft->applied;
}

void swk_raft_set_snapshot_interval(swk_raft *raft, uint64_t interval,
                                    uint64_t entries_for_slow_followers)
{
    raft->config.snapshot_interval = interval;
    raft->config.entries_for_slow_followers = entries_for_slow_followers;
}

uint64_t swk_raft_next_index(const swk_raft *raft)
{
    return raft->role == SWK_RAFT_LEADER ? swki_raft_log_last(&raft->log) + 1
                                         : 0;
}

void swk_raft_status(const swk_raft *raft, struct swk_raft_status *out_status)
{
    const struct swk_raft_status status = {
        .size = out_status->size,
        .id = raft->config.id,
        .term = raft->state.term,
        .vote = raft->state.vote,
        .leader = raft->leader,
        .committed = raft->state.commit,
        .applied = raft->applied,
        .durable = raft->durable,
        .first_index = raft->log.first,
        .last_index = swki_raft_log_last(&raft->log),
        .snapshot_index = raft->snapshot.index,
        .uncommitted_size = raft->uncommitted_size,
        .log_size = raft->log.data_size,
        .role = (int32_t)raft->role,
        .announced = raft->announced,
        .failure = raft->failure.code,
    };
    size_t size =
        out_status->size < sizeof(status) ? out_status->size : sizeof(status);

    memcpy(out_status, &status, size);
}
