/* SPDX-License-Identifier: Apache-2.0 */

/* Time as a member sees it (section 5), and disks that hang (R-DSK-4). */

#include <swarmkit/raft.h>

#include "base/log.h"
#include "core/raft/member.h"

/* -- Deadlines ------------------------------------------------------------- */

static bool is_sole_voter(const struct swk_raft *raft)
{
    const struct swki_raft_configuration *conf =
        swki_machine_configuration(raft->machine);

    return conf->incoming.count == 1 && conf->outgoing.count == 0 &&
           conf->incoming.ids[0] == raft->config.id;
}

void swki_raft_consider_campaign(struct swk_raft *raft)
{
    if (raft->leader == 0 && raft->role == SWK_RAFT_FOLLOWER) {
        raft->campaign_due = is_sole_voter(raft);
    }
}

swk_time swk_raft_deadline(const swk_raft *raft)
{
    if (raft == NULL || !raft->started ||
        swki_machine_failure(raft->machine) != NULL) {
        return SWK_NEVER;
    }
    return raft->campaign_due ? raft->now : raft->tick_due;
}

/* -- Stalls ---------------------------------------------------------------- */

/* Ticks since the oldest append that is not confirmed was given out. */
static uint64_t oldest_append_ticks(const struct swk_raft *raft)
{
    for (size_t i = 0; i < raft->writes.count; i++) {
        const struct swki_raft_write *write =
            swki_raft_ring_at(&raft->writes, i);

        if (write->kind == SWKI_RAFT_WRITE_APPEND) {
            return raft->ticks - write->ticks;
        }
    }
    return 0;
}

/* How many of the voters in a list are heard of, this one not counted. */
static size_t active_others(const struct swk_raft *raft,
                            const struct swki_raft_configuration *conf,
                            const struct swki_raft_ids *voters)
{
    size_t count = 0;

    for (size_t i = 0; i < voters->count; i++) {
        const struct swki_raft_progress *p =
            swki_raft_configuration_find(conf, voters->ids[i]);

        count += p->id != raft->config.id &&
                 swki_machine_is_active(raft->machine, p);
    }
    return count;
}

static bool quorum_without_us(const struct swk_raft *raft)
{
    const struct swki_raft_configuration *conf =
        swki_machine_configuration(raft->machine);
    size_t incoming = active_others(raft, conf, &conf->incoming);
    size_t outgoing = active_others(raft, conf, &conf->outgoing);

    return incoming >= swki_raft_majority(conf->incoming.count) &&
           (conf->outgoing.count == 0 ||
            outgoing >= swki_raft_majority(conf->outgoing.count));
}

/* A leader whose disk hangs keeps its office by its heartbeats, and the group
 * stands still: it hands over, if that helps, and tries again if it leads on
 * an election timeout later. */
static void watch_storage(struct swk_raft *raft)
{
    uint64_t limit = raft->config.storage_stall_ticks;
    bool leads = raft->role == SWK_RAFT_LEADER;

    if (limit == UINT32_MAX || oldest_append_ticks(raft) < limit ||
        (leads && !quorum_without_us(raft))) {
        return;
    }
    if (!raft->stalled) {
        raft->stalled = true;
        raft->resign_ticks = raft->ticks;
        swki_machine_set_stalled(raft->machine, true);
        swki_log(raft->config.logger, SWK_LOG_WARN, "raft",
                 "the storage has not answered for %llu ticks",
                 (unsigned long long)limit);
    }
    if (leads && raft->ticks >= raft->resign_ticks) {
        raft->resign_ticks = raft->ticks + raft->config.election_ticks;
        /* If nobody can take over it is tried again. */
        (void)swki_machine_resign(raft->machine, NULL);
    }
}

void swki_raft_storage_moves(struct swk_raft *raft)
{
    if (raft->stalled) {
        raft->stalled = false;
        swki_machine_set_stalled(raft->machine, false);
    }
}

/* -- Ticks ----------------------------------------------------------------- */

/* R-TIM-7: after a sleep no more than one tick less than an election timeout
 * has passed, so that a leader has its chance to speak first. */
static uint64_t count_ticks(struct swk_raft *raft, swk_time now)
{
    uint64_t tick = raft->config.tick_ns;
    uint64_t due;

    if (now < raft->tick_due) {
        return 0;
    }
    due = (now - raft->tick_due) / tick + 1;
    raft->tick_due += due * tick;
    return due > raft->config.election_ticks ? raft->config.election_ticks - 1
                                             : due;
}

/* A tick for which memory is short is lost; time goes on. */
static int tick(struct swk_raft *raft, struct swk_error *err)
{
    int rc = swki_machine_tick(raft->machine, err);

    raft->ticks++;
    return rc == SWK_EIO ? rc : SWK_OK;
}

int swk_raft_expire(swk_raft *raft, swk_time now, struct swk_error *err)
{
    int rc = swki_raft_need(raft, "raft", err);

    if (rc == SWK_OK) {
        rc = swki_raft_need_running(raft, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    raft->now = now > raft->now ? now : raft->now;
    uint64_t ticks = count_ticks(raft, raft->now);
    for (uint64_t i = 0; i < ticks && rc == SWK_OK; i++) {
        rc = tick(raft, err);
    }
    if (ticks > 0) {
        watch_storage(raft);
    }
    if (rc == SWK_OK && raft->campaign_due) {
        raft->campaign_due = false;
        rc = swki_machine_campaign(raft->machine, err);
        rc = rc == SWK_ENOMEM ? SWK_OK : rc; /* as a tick is */
    }
    return rc;
}
