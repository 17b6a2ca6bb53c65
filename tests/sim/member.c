/* SPDX-License-Identifier: Apache-2.0 */

/* The driver of a member: events go in, actions are carried out. */

#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

enum {
    TURNS_MAX = 1000, /* of one event, before it counts as a loop */
};

/* -- Clocks --------------------------------------------------------------- */

swk_time member_clock(const struct member *m)
{
    swk_time passed = m->sim->now - m->clock_sim;

    return m->clock_local + passed +
           (swk_time)((int64_t)passed / 1000 * m->drift_permille);
}

void member_set_clock(struct member *m, swk_time jump, int32_t drift_permille)
{
    m->clock_local = member_clock(m) + jump;
    m->clock_sim = m->sim->now;
    m->drift_permille = drift_permille;
    if (m->raft != NULL) {
        member_reschedule(m);
    }
}

/* When the member's clock will show this time. */
static swk_time when(const struct member *m, swk_time local)
{
    int64_t left = (int64_t)(local - m->clock_local);

    if (local <= m->clock_local) {
        return m->sim->now;
    }
    if (m->drift_permille == 0) {
        return m->clock_sim + (swk_time)left;
    }
    return m->clock_sim + (swk_time)(left / (1000 + m->drift_permille) * 1000) +
           1000;
}

void member_reschedule(struct member *m)
{
    m->deadline = swk_raft_deadline(m->raft);
    if (m->deadline == SWK_NEVER) {
        m->timer_at = SWK_NEVER;
        return;
    }
    m->timer_at = when(m, m->deadline);
    if (m->timer_at < m->paused_until) {
        m->timer_at = m->paused_until;
    }
    if (m->timer_at < m->sim->now) {
        m->timer_at = m->sim->now;
    }
}

/* -- Life ----------------------------------------------------------------- */

static uint64_t new_id(struct sim *sim)
{
    uint64_t id = ++sim->ids_used;

    if (sim->s.big_ids) {
        id |= swki_rng_next(&sim->rng) << 8 & ~(UINT64_C(1) << 63);
    }
    return id;
}

struct member *member_new(struct sim *sim, bool bootstraps)
{
    struct member *m = sim_alloc(sim, sizeof(*m));

    m->sim = sim;
    m->slot = sim->members_count;
    m->id = new_id(sim);
    m->bootstraps = bootstraps;
    m->timer_at = SWK_NEVER;
    m->crash_in = -1;
    m->clock_sim = sim->now;
    m->clock_local = SWK_SECOND + swki_rng_below(&sim->rng, 3600 * SWK_SECOND);
    snprintf(m->name, sizeof(m->name), "m%u", (unsigned)m->slot + 1);
    log_reset(&m->disk.log, 0, 0);
    log_reset(&m->mirror, 0, 0);
    sim->members[sim->members_count++] = m;
    return m;
}

/* The process is gone; its disk is not. */
static void drop_process(struct member *m)
{
    swk_raft_free(m->raft);
    machine_free(m->machine);
    snapshot_unref(m->incoming);
    snapshot_unref(m->saving);
    snapshot_unref(m->installing);
    m->raft = NULL;
    m->machine = NULL;
    m->incoming = NULL;
    m->saving = NULL;
    m->installing = NULL;
    m->install_ticket = 0;
    m->to_apply_first = 0;
    m->to_apply_count = 0;
    m->apply_due = false;
    m->pending_count = 0;
    m->leads = false;
    m->timer_at = SWK_NEVER;
    m->crash_in = -1;
    m->early_ticket = 0;
    m->lease_context = 0;
    m->paused_until = 0;
}

void member_free(struct member *m)
{
    drop_process(m);
    disk_fini(&m->disk);
    free(m->mirror.entries);
    free(m->to_apply);
}

static int new_raft(struct member *m)
{
    const struct settings *s = &m->sim->s;
    struct swk_error err = {0};
    struct swk_raft_config config = {
        .size = sizeof(config),
        .id = m->id,
        .seed = swki_rng_next(&m->sim->rng),
        .flags = s->flags,
        .heartbeat_ticks = s->heartbeat_ticks,
        .election_ticks = s->election_ticks,
        .tick_ns = s->tick_ns,
        .message_size_max = s->message_size_max,
        .message_entries_max = s->message_entries_max,
        .inflight_messages_max = s->inflight_messages_max,
        .apply_size_max = s->apply_size_max,
        .uncommitted_size_max = s->uncommitted_size_max,
        .snapshot_interval = s->snapshot_interval,
        .entries_for_slow_followers = s->entries_for_slow_followers,
    };
    int rc;

    if (m->sim->s.plant == PLANT_DISTURB) {
        config.flags |= SWK_RAFT_NO_PRE_VOTE;
    }
    rc = swk_raft_new(&config, &m->raft, &err);

    if (rc != 0) {
        sim_broken(m->sim, "start", "%s: %s", m->name, err.text);
    }
    return rc;
}

static int bootstrap(struct member *m)
{
    struct sim *sim = m->sim;
    struct swk_raft_change changes[MEMBERS_MAX];
    struct swk_raft_conf_change members[MEMBERS_MAX];
    struct swk_error err = {0};
    size_t count = sim->bootstrap_entries;

    for (size_t i = 0; i < count; i++) {
        changes[i] = (struct swk_raft_change){.type = SWK_RAFT_ADD_VOTER,
                                              .id = sim->members[i]->id};
        members[i] = (struct swk_raft_conf_change){
            .size = sizeof(members[i]),
            .changes = &changes[i],
            .changes_count = 1,
            .context = (const uint8_t *)sim->members[i]->name,
            .context_len = strlen(sim->members[i]->name),
        };
    }
    int rc = swk_raft_bootstrap(m->raft, members, count, &err);

    if (rc != 0) {
        sim_broken(sim, "bootstrap", "%s: %s", m->name, err.text);
    }
    return rc;
}

static void restore_state(struct member *m)
{
    struct disk *disk = &m->disk;

    log_reset(&m->mirror, disk->log.first - 1, disk->log.base_term);
    for (size_t i = 0; i < disk->log.count; i++) {
        log_append(&m->mirror, disk->log.entries[i]);
    }
    m->machine = machine_new(m);
    m->applied = 0;
    if (disk->snapshot != NULL) {
        machine_restore(m->machine, disk->snapshot);
        m->applied = disk->snapshot->meta.index;
    }
    rules_restart(m);
}

void member_start(struct member *m)
{
    struct disk *disk = &m->disk;
    struct swk_error err = {0};

    m->starting = false;
    m->storage_failed = false;
    if (m->sim->s.plant == PLANT_SAME_CONTEXT) {
        m->contexts = 0;
    }
    m->incarnation++;
    if (new_raft(m) != 0 || !disk_load(m)) {
        return;
    }
    bool empty =
        !disk->has_hard && disk->snapshot == NULL && disk->log.count == 0;

    if (empty && m->bootstraps && bootstrap(m) != 0) {
        return;
    }
    restore_state(m);
    if (swk_raft_start(m->raft, member_clock(m), &err) != 0) {
        sim_broken(m->sim, "restart", "%s does not start: %s", m->name,
                   err.text);
        return;
    }
    sim_trace(m->sim, m, "starts: term %llu vote %llx commit %llu last %llu",
              (unsigned long long)disk->hard.term,
              (unsigned long long)disk->hard.vote,
              (unsigned long long)disk->hard.commit,
              (unsigned long long)disk_last(disk));
    member_drive(m);
}

static void start_later(struct member *m, swk_time after)
{
    struct event *event = sim_event(m->sim, EVENT_START, m->slot);

    m->starting = true;
    event->incarnation = m->incarnation;
    sim_post(m->sim, m->sim->now + after, event);
}

void member_crash(struct member *m, enum loss loss, swk_time down_for)
{
    sim_trace(m->sim, m, "crashes%s", loss == LOSS_POWER ? ", power lost" : "");
    drop_process(m);
    disk_crash(m, loss);
    m->sim->stats.restarts++;
    if (!m->doomed && !m->retired) {
        start_later(m, down_for);
    }
}

void member_retire(struct member *m)
{
    sim_trace(m->sim, m, "is taken away");
    m->retired = true;
    if (m->raft != NULL) {
        member_crash(m, LOSS_POWER, 0);
    }
}

/* -- Carrying out --------------------------------------------------------- */

/* True if the power is lost just here. */
static bool dies(struct member *m)
{
    struct sim *sim = m->sim;

    if (m->crash_in < 0 || m->crash_in-- > 0) {
        return false;
    }
    sim->stats.faults[FAULT_CRASH_STEP]++;
    member_crash(m, LOSS_POWER,
                 swki_rng_below(&sim->rng, 3 * sim_election(sim)));
    return true;
}

static void install(struct member *m, const struct swk_raft_actions *actions)
{
    const struct swk_snapshot_meta *meta = actions->install;
    struct snapshot *snapshot = m->incoming;

    if (snapshot == NULL || snapshot->meta.index != meta->index ||
        snapshot->meta.term != meta->term) {
        sim_broken(m->sim, "install", "%s installs one that has not come",
                   m->name);
        return;
    }
    m->incoming = NULL;
    snapshot_unref(m->installing);
    m->installing = snapshot;
    m->install_ticket = actions->install_ticket;
    m->to_apply_count = 0;
    m->to_apply_first = 0;
    disk_snapshot(m, DISK_INSTALL, snapshot, actions->install_ticket);
}

/* False if the member died of it. */
static bool write_out(struct member *m, const struct swk_raft_actions *actions)
{
    if (actions->install != NULL) {
        install(m, actions);
        if (dies(m)) {
            return false;
        }
    }
    if (actions->persist_ticket != 0) {
        disk_append(m, actions->hard_state, actions->entries,
                    actions->entries_count, actions->persist_ticket);
        if (m->sim->s.plant == PLANT_EARLY_ACK) {
            m->early_ticket = actions->persist_ticket;
        }
        if (dies(m)) {
            return false;
        }
    }
    return true;
}

static bool send_out(struct member *m, const struct swk_raft_actions *actions)
{
    for (size_t i = 0; i < actions->messages_count; i++) {
        rules_message(m, &actions->messages[i]);
        net_send(m, &actions->messages[i]);
        if (dies(m)) {
            return false;
        }
    }
    return true;
}

static bool carry_out(struct member *m, const struct swk_raft_actions *actions)
{
    rules_actions(m, actions);
    if (!write_out(m, actions) || !send_out(m, actions)) {
        return false;
    }
    if (actions->leadership_lost != 0) {
        m->leads = false;
        member_fail_pending(m);
        machine_lose_leadership(m->machine);
    }
    if (actions->failure != 0 && !m->storage_failed) {
        sim_broken(m->sim, "fail-stop", "%s gives up with %d", m->name,
                   actions->failure);
        return false;
    }
    if (actions->snapshot_wanted != 0) {
        member_save(m);
    }
    member_take_committed(m, actions);
    member_take_reads(m, actions);
    if (actions->leadership_gained != 0) {
        m->leads = true;
    }
    return !dies(m);
}

static bool anything(const struct swk_raft_actions *a)
{
    return a->install != NULL || a->persist_ticket != 0 ||
           a->messages_count != 0 || a->leadership_lost != 0 ||
           a->failure != 0 || a->snapshot_wanted != 0 ||
           a->committed_count != 0 || a->reads_count != 0 ||
           a->leadership_gained != 0;
}

/* The planted bug: what was only given to the disk counts as written. */
static bool tell_early(struct member *m)
{
    uint64_t ticket = m->early_ticket;

    m->early_ticket = 0;
    return ticket != 0 && swk_raft_persisted(m->raft, ticket, NULL) == 0;
}

void member_drive(struct member *m)
{
    int turns = 0;

    if (m->driving) {
        return; /* a turn under way sees to it */
    }
    m->driving = true;
    rules_status(m);
    do {
        const struct swk_raft_actions *actions = swk_raft_take_actions(m->raft);

        if (!anything(actions)) {
            /* It may have committed without anything to be done: that counts
             * by the members as they are now. */
            rules_status(m);
            rules_committed(m);
            if (!tell_early(m)) {
                break;
            }
            continue;
        }
        if (!carry_out(m, actions)) {
            break;
        }
        rules_status(m);
        rules_committed(m);
        if (++turns > TURNS_MAX) {
            sim_broken(m->sim, "loop", "%s always has actions", m->name);
        }
    } while (m->sim->broken[0] == '\0');
    m->driving = false;
    m->lease_context = 0;
    if (m->raft != NULL) {
        member_answer_reads(m);
        member_reschedule(m);
    }
}

/* -- Events --------------------------------------------------------------- */

static void postpone(struct member *m, struct event *event)
{
    struct event *later = sim_event(m->sim, event->kind, event->member);

    later->incarnation = event->incarnation;
    later->u = event->u;
    if (event->kind == EVENT_MESSAGE || event->kind == EVENT_SNAPSHOT) {
        struct message *message = &later->u.message;

        if (message->raft.context == event->u.message.context) {
            message->raft.context = message->context;
        }
        event->u.message.copies = NULL;
        event->u.message.bytes = NULL;
        event->u.message.snapshot = NULL;
    }
    sim_post(m->sim, m->paused_until, later);
}

static void tell_time(struct member *m)
{
    struct swk_error err = {0};

    if (swk_raft_expire(m->raft, member_clock(m), &err) != 0 &&
        !m->storage_failed) {
        sim_broken(m->sim, "expire", "%s: %s", m->name, err.text);
    }
}

void member_timer(struct member *m)
{
    if (m->paused_until > m->sim->now) {
        m->timer_at = m->paused_until;
        return;
    }
    swk_time was = m->deadline;

    tell_time(m);
    member_drive(m);
    if (m->raft != NULL && m->deadline == was &&
        m->deadline <= member_clock(m)) {
        sim_broken(m->sim, "deadline", "%s has one that does not pass",
                   m->name);
    }
}

static void persisted(struct member *m, uint64_t ticket)
{
    struct swk_error err = {0};

    if (m->install_ticket != 0 && ticket >= m->install_ticket) {
        member_installed(m);
    }
    if (swk_raft_persisted(m->raft, ticket, &err) != 0) {
        sim_broken(m->sim, "persisted", "%s: %s", m->name, err.text);
    }
}

static void take_event(struct member *m, struct event *event)
{
    switch (event->kind) {
    case EVENT_MESSAGE:
    case EVENT_SNAPSHOT:
        net_deliver(m, event);
        break;
    case EVENT_UNREACHABLE:
        swk_raft_report_unreachable(m->raft, event->u.report.id);
        break;
    case EVENT_SNAPSHOT_REPORT:
        swk_raft_report_snapshot(m->raft, event->u.report.id,
                                 event->u.report.ok);
        break;
    case EVENT_SYNC_REPORT:
        persisted(m, event->u.number);
        break;
    case EVENT_APPLY:
        m->apply_due = false;
        member_apply(m);
        break;
    case EVENT_SAVE:
        member_save_ready(m);
        break;
    case EVENT_REQUEST:
        member_request(m, &event->u.request);
        break;
    case EVENT_RESUME:
    case EVENT_SYNCED:
    case EVENT_START:
    case EVENT_HEAL:
    case EVENT_FAULT:
    case EVENT_CLIENT:
    case EVENT_REPLY:
    case EVENT_ADMIN:
        break;
    }
}

/* Was it meant for the process that ran before? */
static bool outdated(const struct member *m, const struct event *event)
{
    return event->kind != EVENT_MESSAGE && event->kind != EVENT_SNAPSHOT &&
           event->kind != EVENT_REQUEST && event->incarnation != m->incarnation;
}

void member_event(struct member *m, struct event *event)
{
    if (event->kind == EVENT_SYNCED) {
        disk_synced(m, (uint32_t)event->u.number);
        return;
    }
    if (event->kind == EVENT_START) {
        if (m->starting && event->incarnation == m->incarnation) {
            member_start(m);
        }
        return;
    }
    if (m->raft == NULL || outdated(m, event)) {
        return;
    }
    if (m->paused_until > m->sim->now) {
        postpone(m, event);
        return;
    }
    if (m->sim->s.expire_first && m->deadline <= member_clock(m)) {
        tell_time(m);
        member_drive(m);
    }
    if (m->raft != NULL) {
        take_event(m, event);
        member_drive(m);
    }
}
