/* SPDX-License-Identifier: Apache-2.0 */

/* What goes wrong, when, and for how long. */

#include "sim/sim.h"

static swk_time draw(struct sim *sim, enum fault fault, swk_time mean)
{
    return 1 + swki_rng_below(&sim->fault_rng[fault], 2 * mean);
}

/* A member that runs, or NULL. */
static struct member *pick(struct sim *sim, enum fault fault)
{
    struct member *m = sim->members[swki_rng_below(&sim->fault_rng[fault],
                                                   sim->members_count)];

    return m->raft != NULL ? m : NULL;
}

static void schedule(struct sim *sim, enum fault fault)
{
    struct event *event = sim_event(sim, EVENT_FAULT, 0);

    event->u.number = (uint64_t)fault;
    sim_post(sim, sim->now + draw(sim, fault, sim->s.interval[fault]), event);
}

/* -- The network ---------------------------------------------------------- */

static void cut(struct sim *sim, enum fault fault, size_t from, size_t to,
                swk_time span)
{
    struct event *event;

    if (from == to) {
        return;
    }
    sim->cut[from][to] = true;
    event = sim_event(sim, EVENT_HEAL, from);
    event->u.number = (uint64_t)to << 32;
    event->incarnation = ++sim->cut_generation[from][to];
    sim_post(sim, sim->now + span, event);
    sim_trace(sim, sim->members[from], "%s: %s does not hear it",
              fault_names[fault], sim->members[to]->name);
}

void net_heal(struct sim *sim, size_t from, size_t to, uint32_t generation)
{
    if (sim->cut_generation[from][to] == generation) {
        sim->cut[from][to] = false;
    }
}

static void split(struct sim *sim)
{
    swk_time span = draw(sim, FAULT_SPLIT, 4 * sim_election(sim));
    uint64_t side = swki_rng_next(&sim->fault_rng[FAULT_SPLIT]);

    for (size_t i = 0; i < sim->members_count; i++) {
        for (size_t k = 0; k < sim->members_count; k++) {
            if ((side >> i & 1) != (side >> k & 1)) {
                cut(sim, FAULT_SPLIT, i, k, span);
            }
        }
    }
}

static void one_way(struct sim *sim)
{
    swk_time span = draw(sim, FAULT_ONE_WAY, 4 * sim_election(sim));
    size_t who = (size_t)swki_rng_below(&sim->fault_rng[FAULT_ONE_WAY],
                                        sim->members_count);
    bool deaf = swki_rng_below(&sim->fault_rng[FAULT_ONE_WAY], 2) == 0;

    for (size_t i = 0; i < sim->members_count; i++) {
        cut(sim, FAULT_ONE_WAY, deaf ? i : who, deaf ? who : i, span);
    }
}

static void link_down(struct sim *sim)
{
    swk_time span = draw(sim, FAULT_LINK, 6 * sim_election(sim));
    struct swki_rng *rng = &sim->fault_rng[FAULT_LINK];
    size_t a = (size_t)swki_rng_below(rng, sim->members_count);
    size_t b = (size_t)swki_rng_below(rng, sim->members_count);

    cut(sim, FAULT_LINK, a, b, span);
    cut(sim, FAULT_LINK, b, a, span);
}

/* -- Processes and machines ------------------------------------------------ */

static void crash(struct sim *sim, enum fault fault, struct member *m)
{
    member_crash(m, fault == FAULT_CRASH ? LOSS_PROCESS : LOSS_POWER,
                 draw(sim, fault, 2 * sim_election(sim)));
}

static void crash_all(struct sim *sim)
{
    for (size_t i = 0; i < sim->members_count; i++) {
        if (sim->members[i]->raft != NULL) {
            crash(sim, FAULT_POWER_ALL, sim->members[i]);
        }
    }
}

static void doom(struct sim *sim, struct member *m)
{
    if (admin_may_lose(sim, m)) {
        sim_trace(sim, m, "is lost for good");
        m->doomed = true;
        sim->stats.faults[FAULT_DOOM]++;
        member_crash(m, LOSS_POWER, 0);
    }
}

static void shift_clock(struct sim *sim, enum fault fault, struct member *m)
{
    swk_time jump = 0;
    int32_t drift = m->drift_permille;

    if (fault == FAULT_JUMP) {
        jump = draw(sim, fault, 2 * sim_election(sim));
    } else {
        drift = (int32_t)swki_rng_below(&sim->fault_rng[fault], 400) - 200;
    }
    member_set_clock(m, jump, drift);
    member_reschedule(m);
}

/* -- Disks ---------------------------------------------------------------- */

static void hurt_disk(struct sim *sim, enum fault fault, struct member *m)
{
    swk_time span = draw(sim, fault, 4 * sim_election(sim));

    switch ((int)fault) {
    case FAULT_DISK_SLOW:
        m->disk.slow_until = sim->now + span;
        break;
    case FAULT_DISK_STALL:
        m->disk.stalled_until = sim->now + span;
        break;
    case FAULT_DISK_FAIL:
        m->disk.fails = true;
        break;
    default:
        sim->stats.faults[fault] += admin_may_lose(sim, m) && disk_rot(m);
        break;
    }
}

/* -- Leaders -------------------------------------------------------------- */

static void disturb(struct sim *sim, enum fault fault, struct member *m)
{
    struct swki_rng *rng = &sim->fault_rng[fault];
    uint64_t other = sim->members[swki_rng_below(rng, sim->members_count)]->id;
    struct member *leader = sim_leader(sim);
    int rc = 0; /* that they are refused is all right */

    switch ((int)fault) {
    case FAULT_TRANSFER:
        m = leader != NULL ? leader : m;
        rc = swk_raft_transfer(m->raft, swki_rng_below(rng, 2) == 0 ? 0 : other,
                               NULL);
        break;
    case FAULT_CAMPAIGN:
        rc = swk_raft_campaign(m->raft, NULL);
        break;
    case FAULT_FORGET:
        rc = swk_raft_forget_leader(m->raft, NULL);
        break;
    default:
        m = leader != NULL ? leader : m;
        swk_raft_report_unreachable(m->raft, other);
        break;
    }
    sim_trace(sim, m, "%s: %d", fault_names[fault], rc);
    member_drive(m);
}

/* -- All ------------------------------------------------------------------ */

static void strike_member(struct sim *sim, enum fault fault, struct member *m)
{
    switch (fault) {
    case FAULT_CRASH:
    case FAULT_POWER:
        crash(sim, fault, m);
        break;
    case FAULT_CRASH_STEP:
        m->crash_in = (int)swki_rng_below(&sim->fault_rng[fault], 20);
        break;
    case FAULT_PAUSE:
        m->paused_until = sim->now + draw(sim, fault, 2 * sim_election(sim));
        sim_trace(sim, m, "pauses");
        break;
    case FAULT_JUMP:
    case FAULT_DRIFT:
        shift_clock(sim, fault, m);
        break;
    case FAULT_DISK_SLOW:
    case FAULT_DISK_STALL:
    case FAULT_DISK_FAIL:
    case FAULT_ROT:
        hurt_disk(sim, fault, m);
        break;
    case FAULT_DOOM:
        doom(sim, m);
        break;
    case FAULT_TRANSFER:
    case FAULT_CAMPAIGN:
    case FAULT_FORGET:
    case FAULT_UNREACHABLE:
        disturb(sim, fault, m);
        break;
    default:
        break;
    }
}

/* Those that may come to nothing are counted as they happen. */
static bool counted_later(enum fault fault)
{
    return fault == FAULT_CRASH_STEP || fault == FAULT_DISK_FAIL ||
           fault == FAULT_ROT || fault == FAULT_DOOM || fault == FAULT_CONF;
}

static void strike(struct sim *sim, enum fault fault)
{
    struct member *m;

    switch (fault) {
    case FAULT_SPLIT:
        split(sim);
        break;
    case FAULT_ONE_WAY:
        one_way(sim);
        break;
    case FAULT_LINK:
        link_down(sim);
        break;
    case FAULT_POWER_ALL:
        crash_all(sim);
        break;
    case FAULT_CONF:
        admin_change(sim, &sim->fault_rng[fault]);
        break;
    default:
        m = pick(sim, fault);
        if (m == NULL) {
            return;
        }
        strike_member(sim, fault, m);
        break;
    }
    sim->stats.faults[fault] += !counted_later(fault);
}

void fault_strike(struct sim *sim, enum fault fault)
{
    if (!sim->resting) {
        strike(sim, fault);
        schedule(sim, fault);
    }
}

static bool by_message(enum fault fault)
{
    return fault == FAULT_LOSS || fault == FAULT_DUPLICATE ||
           fault == FAULT_DELAY || fault == FAULT_SNAPSHOT_CUT;
}

void faults_start(struct sim *sim)
{
    for (int i = 0; i < FAULT_COUNT; i++) {
        if (sim->s.interval[i] != 0 && !by_message((enum fault)i)) {
            schedule(sim, (enum fault)i);
        }
    }
}

void faults_end(struct sim *sim)
{
    sim_trace(sim, NULL, "faults end");
    sim->resting = true;
    for (size_t i = 0; i < sim->members_count; i++) {
        struct member *m = sim->members[i];

        for (size_t k = 0; k < sim->members_count; k++) {
            sim->cut[i][k] = false;
        }
        m->disk.stalled_until = 0;
        m->disk.slow_until = 0;
        m->disk.fails = false;
        m->crash_in = -1;
        if (m->raft != NULL) {
            member_set_clock(m, 0, 0);
            member_reschedule(m);
        }
    }
}
