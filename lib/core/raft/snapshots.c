/* SPDX-License-Identifier: Apache-2.0 */

/* When a snapshot is taken, and what may be forgotten after it (section 12). */

#include <swarmkit/raft.h>

#include "base/error.h"
#include "core/raft/member.h"

/* -- When ------------------------------------------------------------------ */

static bool is_due(const struct swk_raft *raft)
{
    uint64_t interval = raft->config.snapshot_interval;

    bool missed = swki_machine_misses_snapshot(raft->machine);

    if (raft->making.meta.index != 0 || raft->installing != 0 ||
        raft->wanted != 0 || raft->applied <= raft->snapshot_index) {
        return false;
    }
    if (raft->applied <= raft->abandoned) {
        /* Without it a member may never come to apply anything more. */
        return missed && raft->ticks >= raft->abandoned_ticks +
                                            raft->config.election_ticks;
    }
    return missed ||
           (interval > 0 && raft->applied - raft->snapshot_index >= interval) ||
           raft->unapplied_size >= raft->config.snapshot_log_size;
}

/* A snapshot is of the state at the applied index, so none is wanted while
 * entries beyond it may be half way into that state. */
void swki_raft_take_snapshot_wanted(struct swk_raft *raft)
{
    if (is_due(raft) && raft->given == raft->applied) {
        raft->wanted = raft->applied;
        raft->actions.snapshot_wanted = raft->wanted;
    }
}

void swk_raft_snapshot_abandoned(swk_raft *raft)
{
    if (raft == NULL) {
        return;
    }
    if (raft->making_ticket == 0) {
        swki_snapshot_copy_fini(raft->config.alloc, &raft->making);
    }
    raft->wanted = 0;
    raft->abandoned = raft->applied;
    raft->abandoned_ticks = raft->ticks;
}

void swk_raft_set_snapshot_interval(swk_raft *raft, uint64_t interval,
                                    uint64_t entries_for_slow_followers)
{
    if (raft != NULL) {
        raft->config.snapshot_interval = interval;
        raft->config.entries_for_slow_followers = entries_for_slow_followers;
    }
}

/* -- Making one ------------------------------------------------------------ */

static int check_begin(const struct swk_raft *raft, struct swk_error *err)
{
    int rc = swki_raft_need_running(raft, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (raft->making.meta.index != 0) {
        return swki_fail(err, SWK_EBUSY, "raft: a snapshot is being made");
    }
    if (raft->installing != 0) {
        return swki_fail(err, SWK_EBUSY,
                         "raft: a received snapshot is being installed");
    }
    if (raft->conf_applied > raft->applied) {
        return swki_fail(err, SWK_EBUSY,
                         "raft: a change of membership is being applied");
    }
    if (raft->applied <= raft->snapshot_index) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "raft: nothing was applied since the snapshot at %llu",
                         (unsigned long long)raft->snapshot_index);
    }
    return SWK_OK;
}

int swk_raft_begin_snapshot(swk_raft *raft, struct swk_snapshot_meta *out_meta,
                            struct swk_error *err)
{
    struct swk_snapshot_meta meta;
    int rc = swki_raft_need(raft, "raft", err);

    if (rc == SWK_OK) {
        rc = swki_raft_need(out_meta, "snapshot", err);
    }
    if (rc == SWK_OK) {
        rc = check_begin(raft, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    meta.index = raft->applied;
    meta.term = swki_machine_term_at(raft->machine, raft->applied);
    swki_raft_configuration_state(swki_machine_configuration(raft->machine),
                                  &meta.conf_state);
    if (!swki_snapshot_copy_make(raft->config.alloc, &meta, &raft->making)) {
        return swki_fail_nomem(err);
    }
    raft->making_ticket = 0;
    raft->unapplied_size = 0;
    raft->wanted = 0;
    raft->abandoned = 0;
    *out_meta = raft->making.meta;
    return SWK_OK;
}

int swk_raft_finish_snapshot(swk_raft *raft, uint64_t *out_ticket,
                             struct swk_error *err)
{
    int rc = swki_raft_need(raft, "raft", err);

    if (rc == SWK_OK) {
        rc = swki_raft_need(out_ticket, "ticket", err);
    }
    if (rc == SWK_OK) {
        rc = swki_raft_need_running(raft, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    if (raft->making.meta.index == 0 || raft->making_ticket != 0) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "raft: no snapshot was begun, or a received one "
                         "overtook it");
    }
    if (!swki_raft_writes_reserve(raft)) {
        return swki_fail_nomem(err);
    }
    raft->making_ticket =
        swki_raft_write_add(raft, SWKI_RAFT_WRITE_SNAPSHOT)->ticket;
    *out_ticket = raft->making_ticket;
    return SWK_OK;
}

/* -- Forgetting ------------------------------------------------------------ */

/* Bytes of the entries from the one after index to the last. */
static uint64_t bytes_after(const struct swk_raft *raft, uint64_t index,
                            uint64_t limit)
{
    uint64_t bytes = 0;

    while (bytes <= limit) {
        const struct swk_log_entry *entry =
            swki_machine_entry_at(raft->machine, ++index);

        if (entry == NULL) {
            break;
        }
        bytes += entry->data_len;
    }
    return bytes;
}

/* What the slowest active member still needs, above which nothing need be
 * kept; UINT64_MAX if this member does not lead. */
static uint64_t needed_after(const struct swk_raft *raft)
{
    const struct swki_raft_configuration *conf =
        swki_machine_configuration(raft->machine);
    uint64_t lowest = UINT64_MAX;

    for (size_t i = 0;
         raft->role == SWK_RAFT_LEADER && i < conf->peers_count; i++) {
        const struct swki_raft_progress *p = &conf->peers[i];
        uint64_t has = p->state == SWK_RAFT_SNAPSHOT ? p->pending_snapshot
                                                     : p->match;

        if (has > 0 && has < lowest && p->id != raft->config.id &&
            swki_machine_is_active(raft->machine, p)) {
            lowest = has;
        }
    }
    return lowest;
}

/* R-SNP-7: entries are kept for slow members, those that are active even beyond
 * that, as long as these take no more than a log between snapshots may. */
static void compact(struct swk_raft *raft, uint64_t snapshot_index)
{
    uint64_t keep = raft->config.entries_for_slow_followers;
    uint64_t to = snapshot_index > keep ? snapshot_index - keep : 0;
    uint64_t needed = needed_after(raft);

    if (needed < to && bytes_after(raft, needed,
                                   raft->config.snapshot_log_size) <=
                           raft->config.snapshot_log_size) {
        to = needed;
    }
    if (to > 0) {
        /* What is refused was forgotten before. */
        (void)swki_machine_compact(raft->machine, to, NULL);
    }
}

void swki_raft_snapshot_saved(struct swk_raft *raft)
{
    uint64_t index = raft->making.meta.index;

    if (index > raft->snapshot_index) {
        raft->snapshot_index = index;
        swki_machine_adopt_snapshot(raft->machine, &raft->making);
        compact(raft, index);
    }
    swki_snapshot_copy_fini(raft->config.alloc, &raft->making);
    raft->making_ticket = 0;
}

/* -- Received ones --------------------------------------------------------- */

void swki_raft_snapshot_installing(struct swk_raft *raft, uint64_t index)
{
    raft->installing = index;
    raft->wanted = 0;
    if (raft->making_ticket == 0) {
        swki_snapshot_copy_fini(raft->config.alloc, &raft->making);
    }
}

void swki_raft_snapshot_installed(struct swk_raft *raft, uint64_t index)
{
    if (index > raft->applied) {
        raft->applied = index;
        raft->given = index;
        raft->conf_given = index;
        raft->conf_applied = index;
    }
    if (raft->installing != index) {
        return; /* a newer one is under way, and counts instead */
    }
    raft->installing = 0;
    raft->snapshot_index = index;
    raft->unapplied_size = 0;
    swki_raft_consider_campaign(raft);
}
