/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a run is like. Every run draws which faults there are and how often
 * they come: runs with a few kinds get further into these than runs with all.
 */

#include "sim/sim.h"

#include <string.h>

const char *const fault_names[FAULT_COUNT] = {
    [FAULT_LOSS] = "loss",
    [FAULT_DUPLICATE] = "duplicate",
    [FAULT_DELAY] = "delay",
    [FAULT_SPLIT] = "split",
    [FAULT_ONE_WAY] = "one-way",
    [FAULT_LINK] = "link",
    [FAULT_CRASH] = "crash",
    [FAULT_POWER] = "power",
    [FAULT_CRASH_STEP] = "crash-step",
    [FAULT_POWER_ALL] = "power-all",
    [FAULT_PAUSE] = "pause",
    [FAULT_JUMP] = "jump",
    [FAULT_DRIFT] = "drift",
    [FAULT_DISK_SLOW] = "disk-slow",
    [FAULT_DISK_STALL] = "disk-stall",
    [FAULT_DISK_FAIL] = "disk-fail",
    [FAULT_ROT] = "rot",
    [FAULT_DOOM] = "doom",
    [FAULT_CONF] = "conf",
    [FAULT_TRANSFER] = "transfer",
    [FAULT_CAMPAIGN] = "campaign",
    [FAULT_FORGET] = "forget",
    [FAULT_SNAPSHOT_CUT] = "snapshot-cut",
    [FAULT_UNREACHABLE] = "unreachable",
};

const struct plant_info plants[PLANT_COUNT] = {
    [PLANT_NONE] = {"none", "-"},
    [PLANT_EARLY_ACK] = {"early-ack", "R-RDY-3"},
    [PLANT_VOTE_LOST] = {"vote-lost", "R-RDY-3"},
    [PLANT_STALE_READ] = {"stale-read", "R-RDI-4"},
    [PLANT_HARD_STATE_FIRST] = {"hard-state-first", "R-RDY-8"},
    [PLANT_INSTALL_IN_PARTS] = {"install-in-parts", "R-RDY-8"},
    [PLANT_SYNC_AGAIN] = {"sync-again", "R-DSK-1"},
    [PLANT_DSK_3] = {"dsk-3", "R-DSK-3"},
    [PLANT_TWICE] = {"twice", "R-PRO-2"},
    [PLANT_READ_EARLY] = {"read-early", "R-RDI-8"},
    [PLANT_SAME_CONTEXT] = {"same-context", "R-RDI-9"},
    [PLANT_ANY_VERSION] = {"any-version", "store"},
    [PLANT_DISTURB] = {"disturb", "R-ELE-2"},
    [PLANT_KEEP_HEAD] = {"keep-head", "store"},
    [PLANT_OLD_CONF] = {"old-conf", "R-SNP-7"},
    [PLANT_ELE_4] = {"ele-4", "R-ELE-4"},
    [PLANT_COM_1] = {"com-1", "R-COM-1"},
    [PLANT_FOL_3] = {"fol-3", "R-FOL-3"},
    [PLANT_CFG_3] = {"cfg-3", "R-CFG-3"},
    [PLANT_REP_4] = {"rep-4", "R-REP-4"},
    [PLANT_RDI_2] = {"rdi-2", "R-RDI-2"},
    [PLANT_CFG_14] = {"cfg-14", "R-CFG-14"},
    [PLANT_MSG_2] = {"msg-2", "R-MSG-2"},
    [PLANT_RDY_7] = {"rdy-7", "R-RDY-7"},
    [PLANT_LOST_VOTES] = {"lost-votes", "R-DSK-3"},
};

/* Faults of a profile beside those that are always drawn. */
#define BIT(fault) (UINT32_C(1) << (fault))
#define NET_FAULTS                                                             \
    (BIT(FAULT_LOSS) | BIT(FAULT_DUPLICATE) | BIT(FAULT_DELAY) |               \
     BIT(FAULT_SPLIT) | BIT(FAULT_ONE_WAY) | BIT(FAULT_LINK) |                 \
     BIT(FAULT_UNREACHABLE) | BIT(FAULT_SNAPSHOT_CUT))
#define CRASH_FAULTS                                                           \
    (BIT(FAULT_CRASH) | BIT(FAULT_POWER) | BIT(FAULT_CRASH_STEP) |             \
     BIT(FAULT_POWER_ALL))
#define DISK_FAULTS                                                            \
    (BIT(FAULT_DISK_SLOW) | BIT(FAULT_DISK_STALL) | BIT(FAULT_DISK_FAIL) |     \
     BIT(FAULT_ROT) | BIT(FAULT_POWER))
#define CLOCK_FAULTS (BIT(FAULT_PAUSE) | BIT(FAULT_JUMP) | BIT(FAULT_DRIFT))
#define LEADER_FAULTS                                                          \
    (BIT(FAULT_TRANSFER) | BIT(FAULT_CAMPAIGN) | BIT(FAULT_FORGET))
#define MEMBER_FAULTS (BIT(FAULT_CONF) | BIT(FAULT_DOOM))
#define ALL_FAULTS (BIT(FAULT_COUNT) - 1)

/* -- What some profiles are about ------------------------------------------ */

static uint64_t between(struct swki_rng *rng, uint64_t low, uint64_t high)
{
    return low + swki_rng_below(rng, high - low + 1);
}

/* Members that fall far behind, with a tail of their own, and whose disks fail
 * in the middle of taking in a snapshot. */
static void tune_snapshots(struct settings *s, struct swki_rng *rng)
{
    s->snapshot_interval = between(rng, 3, 10);
    s->entries_for_slow_followers = between(rng, 0, 2);
    s->uncommitted_size_max = 0;
    s->inflight_messages_max = (uint32_t)between(rng, 1, 4);
    s->interval[FAULT_SPLIT] = s->tick_ns * between(rng, 20, 80);
    s->interval[FAULT_CRASH_STEP] = s->tick_ns * between(rng, 20, 80);
    s->interval[FAULT_POWER] = s->tick_ns * between(rng, 20, 80);
    s->disk_latency = s->tick_ns * between(rng, 1, 10) / 4;
    if (between(rng, 0, 1) == 0) {
        s->flags |= SWK_RAFT_NO_CHECK_QUORUM;
        s->flags &= ~(uint32_t)SWK_RAFT_LEASE_READS;
    }
}

/* Answers to reads that arrive after the asker has died and come back, while
 * entries come slowly. */
static void tune_reads(struct settings *s, struct swki_rng *rng)
{
    s->clients = (uint32_t)between(rng, 6, 12);
    s->latency = s->tick_ns / between(rng, 1, 6);
    s->message_size_max = 1;
    s->inflight_messages_max = (uint32_t)between(rng, 1, 2);
    s->apply_delay = s->tick_ns * between(rng, 0, 3);
    s->reads_percent = (uint32_t)between(rng, 50, 80);
    s->reads_anywhere_percent = (uint32_t)between(rng, 50, 100);
    s->interval[FAULT_CRASH] = s->tick_ns * between(rng, 5, 30);
    s->delay_ppm = (uint32_t)between(rng, 50000, 300000);
    s->duplicate_ppm = (uint32_t)between(rng, 50000, 500000);
    s->keys = (uint32_t)between(rng, 1, 2);
    s->snapshot_interval = 1000;
}

/* Entries that are replaced again and again while the disk hangs. */
static void tune_overwrite(struct settings *s, struct swki_rng *rng)
{
    s->flags |= SWK_RAFT_NO_CHECK_QUORUM;
    s->flags &= ~(uint32_t)SWK_RAFT_LEASE_READS;
    if (between(rng, 0, 3) != 0) {
        s->flags |= SWK_RAFT_NO_PRE_VOTE;
    }
    s->interval[FAULT_DISK_STALL] = s->tick_ns * between(rng, 20, 100);
    s->interval[FAULT_CAMPAIGN] = s->tick_ns * between(rng, 2, 10);
    s->interval[FAULT_LINK] = s->tick_ns * between(rng, 5, 30);
    s->uncommitted_size_max = 0;
    s->reads_percent = 10;
}

/* Damage that is found, time and again, by members that were leading or close
 * to it. */
static void tune_rot(struct settings *s, struct swki_rng *rng)
{
    s->interval[FAULT_ROT] = s->tick_ns * between(rng, 30, 150);
    s->interval[FAULT_POWER] = s->tick_ns * between(rng, 20, 100);
    s->interval[FAULT_SPLIT] = s->tick_ns * between(rng, 20, 200);
}

/* -- Profiles -------------------------------------------------------------- */

static const struct profile {
    const char *name;
    uint32_t faults; /* may be drawn */
    uint32_t always; /* of these, those that are never left out */
    enum { ANY_MACHINE, REGISTERS, STORE } machine;
    bool busy; /* much traffic, small limits */
    bool idle; /* little traffic, long ticks */
    bool lease;
    void (*tune)(struct settings *s, struct swki_rng *rng); /* may be NULL */
} profiles[] = {
    {.name = "swarm", .faults = ALL_FAULTS},
    {.name = "calm"},
    {.name = "net",
     .faults = NET_FAULTS,
     .always = BIT(FAULT_SPLIT),
     .machine = REGISTERS},
    {.name = "crash",
     .faults = CRASH_FAULTS | BIT(FAULT_LOSS),
     .always = BIT(FAULT_POWER),
     .machine = REGISTERS,
     .busy = true},
    {.name = "disk",
     .faults = DISK_FAULTS | BIT(FAULT_LINK),
     .machine = REGISTERS,
     .busy = true},
    {.name = "rot",
     .faults = BIT(FAULT_ROT) | BIT(FAULT_POWER) | BIT(FAULT_SPLIT),
     .always = BIT(FAULT_ROT) | BIT(FAULT_SPLIT) | BIT(FAULT_POWER),
     .machine = REGISTERS,
     .busy = true,
     .tune = tune_rot},
    {.name = "members",
     .faults = MEMBER_FAULTS | NET_FAULTS | BIT(FAULT_CRASH),
     .always = BIT(FAULT_CONF) | BIT(FAULT_SPLIT)},
    {.name = "clock",
     .faults = CLOCK_FAULTS | BIT(FAULT_SPLIT) | LEADER_FAULTS,
     .machine = REGISTERS},
    {.name = "lease",
     .faults = NET_FAULTS | CRASH_FAULTS | BIT(FAULT_PAUSE) |
               BIT(FAULT_TRANSFER) | BIT(FAULT_CAMPAIGN) | BIT(FAULT_CONF),
     .always = BIT(FAULT_SPLIT),
     .machine = REGISTERS,
     .busy = true,
     .lease = true},
    {.name = "elections",
     .faults = LEADER_FAULTS | NET_FAULTS | BIT(FAULT_POWER),
     .always = BIT(FAULT_SPLIT) | BIT(FAULT_CAMPAIGN),
     .machine = REGISTERS,
     .busy = true},
    {.name = "store", .faults = ALL_FAULTS, .machine = STORE, .busy = true},
    {.name = "idle", .faults = ALL_FAULTS, .idle = true},
    {.name = "snapshots",
     .faults = NET_FAULTS | CRASH_FAULTS | BIT(FAULT_DISK_FAIL),
     .always = BIT(FAULT_SPLIT) | BIT(FAULT_CRASH_STEP) | BIT(FAULT_POWER),
     .machine = REGISTERS,
     .busy = true,
     .tune = tune_snapshots},
    {.name = "reads",
     .faults = NET_FAULTS | BIT(FAULT_CRASH) | BIT(FAULT_TRANSFER),
     .always = BIT(FAULT_CRASH) | BIT(FAULT_DELAY) | BIT(FAULT_DUPLICATE),
     .machine = REGISTERS,
     .busy = true,
     .tune = tune_reads},
    {.name = "overwrite",
     .faults = NET_FAULTS | DISK_FAULTS | LEADER_FAULTS,
     .always = BIT(FAULT_DISK_STALL) | BIT(FAULT_CAMPAIGN) | BIT(FAULT_LINK),
     .machine = REGISTERS,
     .busy = true,
     .tune = tune_overwrite},
};

const char *const profile_names[] = {
    "swarm",     "calm",  "net",       "crash",     "disk",  "rot",
    "members",   "clock", "lease",     "elections", "store", "idle",
    "snapshots", "reads", "overwrite", NULL,
};

static const struct profile *find_profile(const char *name)
{
    for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
        if (strcmp(profiles[i].name, name) == 0) {
            return &profiles[i];
        }
    }
    return NULL;
}

static uint64_t pick(struct swki_rng *rng, const uint64_t *from, size_t count)
{
    return from[swki_rng_below(rng, count)];
}

static bool chance(struct swki_rng *rng, unsigned percent)
{
    return swki_rng_below(rng, 100) < percent;
}

/* Somewhere between, each order of magnitude alike. */
static uint64_t spread(struct swki_rng *rng, uint64_t low, uint64_t high)
{
    uint64_t top = low;

    while (top < high && chance(rng, 60)) {
        top *= 2;
    }
    return top / 2 + swki_rng_below(rng, top / 2 + 1) + 1;
}

static void draw_timing(struct settings *s, struct swki_rng *rng,
                        const struct profile *p)
{
    static const uint64_t ticks[] = {10, 50, 100, 100, 1000};

    s->tick_ns = (p->idle ? 1000 : pick(rng, ticks, 5)) * SWK_MILLISECOND;
    s->heartbeat_ticks = chance(rng, 80) ? 1 : 2;
    s->election_ticks =
        s->heartbeat_ticks * 5 + (uint32_t)swki_rng_below(rng, 6);
    s->latency = s->tick_ns / spread(rng, 5, 1000);
    s->jitter = s->latency * swki_rng_below(rng, 5) / 2;
    s->fifo = chance(rng, 40);
    s->wire = chance(rng, 30);
    s->disk_latency = s->tick_ns / spread(rng, 5, 1000);
    s->apply_delay = chance(rng, 50) ? 0 : s->tick_ns / spread(rng, 4, 500);
    s->expire_first = chance(rng, 50);
}

static void draw_limits(struct settings *s, struct swki_rng *rng,
                        const struct profile *p)
{
    static const uint64_t sizes[] = {1, 300, 2000, 65536};
    static const uint64_t windows[] = {1, 2, 4, 16, 256};
    static const uint64_t intervals[] = {5, 10, 40, 100, 1000};
    static const uint64_t trailing[] = {0, 1, 5, 20, 100};

    s->message_size_max = pick(rng, sizes, 4);
    s->message_entries_max = chance(rng, 30) ? 2 : 0;
    s->inflight_messages_max = (uint32_t)pick(rng, windows, 5);
    s->snapshot_interval = pick(rng, intervals, p->busy ? 4 : 5);
    s->entries_for_slow_followers = pick(rng, trailing, 5);
    s->apply_size_max = chance(rng, 30) ? 200 : 0;
    s->uncommitted_size_max = chance(rng, 20) ? 500 : 0;
    s->payload_max = chance(rng, 20) ? 3000 : 100;
}

static void draw_traffic(struct settings *s, struct swki_rng *rng,
                         const struct profile *p)
{
    s->clients = 1 + (uint32_t)swki_rng_below(rng, p->busy ? 8 : 5);
    s->keys = 1 + (uint32_t)swki_rng_below(rng, 5);
    s->op_interval = s->tick_ns * (p->busy ? 1 : 1 + swki_rng_below(rng, 20));
    if (p->idle) {
        s->op_interval = s->tick_ns * (60 + swki_rng_below(rng, 300));
    }
    s->reads_percent = 10 + (uint32_t)swki_rng_below(rng, 70);
    s->duration = s->tick_ns * (300 + spread(rng, 200, 4000));
    if (p->idle) {
        s->duration *= 4;
    }
}

static void draw_faults(struct settings *s, struct swki_rng *rng,
                        const struct profile *p)
{
    uint32_t on = p->always;
    unsigned share = 15 + (unsigned)swki_rng_below(rng, 50);

    for (int i = 0; i < FAULT_COUNT; i++) {
        uint64_t every = spread(rng, 20, 400);

        if (chance(rng, share)) {
            on |= p->faults & BIT(i);
        }
        s->interval[i] = s->tick_ns * every * (p->idle ? 10 : 1);
    }
    s->interval[FAULT_ROT] *= 3;
    s->interval[FAULT_DOOM] *= 6;
    s->interval[FAULT_POWER_ALL] *= 3;
    s->interval[FAULT_DISK_FAIL] *= 2;
    s->loss_ppm = (uint32_t)spread(rng, 1000, 100000);
    s->duplicate_ppm = (uint32_t)spread(rng, 1000, 100000);
    s->delay_ppm = (uint32_t)spread(rng, 500, 30000);
    s->snapshot_cut_percent = 5 + (uint32_t)swki_rng_below(rng, 50);
    for (int i = 0; i < FAULT_COUNT; i++) {
        if ((on & BIT(i)) == 0) {
            s->interval[i] = 0;
        }
    }
}

static void draw_flags(struct settings *s, struct swki_rng *rng,
                       const struct profile *p)
{
    s->flags = 0;
    if (chance(rng, 10)) {
        s->flags |= SWK_RAFT_NO_PRE_VOTE;
    }
    if (chance(rng, 10)) {
        s->flags |= SWK_RAFT_NO_CHECK_QUORUM;
    }
    if (chance(rng, 10)) {
        s->flags |= SWK_RAFT_NO_STEP_DOWN_ON_REMOVAL;
    }
    if (chance(rng, 10)) {
        s->flags |= SWK_RAFT_FORWARD_PROPOSALS;
    }
    if (p->lease || chance(rng, 10)) {
        s->flags |= SWK_RAFT_LEASE_READS;
        s->flags &= ~(uint32_t)SWK_RAFT_NO_CHECK_QUORUM;
    }
}

/* Reads by lease trust clocks, and the driver to tell the time first. */
static void keep_lease(struct settings *s)
{
    if ((s->flags & SWK_RAFT_LEASE_READS) != 0) {
        s->interval[FAULT_JUMP] = 0;
        s->interval[FAULT_DRIFT] = 0;
        s->interval[FAULT_FORGET] = 0;
        s->expire_first = true;
    }
}

static void apply_overrides(struct settings *s, const struct overrides *o)
{
    if (o->members != 0) {
        s->members = o->members;
    }
    if (o->duration != 0) {
        s->duration = o->duration;
    }
    for (int i = 0; i < FAULT_COUNT; i++) {
        if ((o->without & BIT(i)) != 0) {
            s->interval[i] = 0;
        }
    }
    s->plant = o->plant;
    s->trace = o->trace;
    s->outcome_only = o->outcome_only;
    s->use_store = s->use_store || o->use_store;
}

bool settings_draw(struct settings *s, uint64_t seed, const struct overrides *o)
{
    static const uint64_t sizes[] = {1, 2, 3, 3, 3, 4, 5, 5, 7};
    const struct profile *p = find_profile(o->profile);
    struct swki_rng rng;

    if (p == NULL) {
        return false;
    }
    swki_rng_init(&rng, seed);
    *s = (struct settings){.seed = seed, .profile = p->name};
    s->members = (uint32_t)pick(&rng, sizes + 2, 7);
    if (p->machine == ANY_MACHINE && chance(&rng, 10)) {
        s->members = (uint32_t)pick(&rng, sizes, 2);
    }
    s->bootstrap_all = chance(&rng, 60);
    s->use_store =
        p->machine == STORE || (p->machine == ANY_MACHINE && chance(&rng, 15));
    s->refuse_removed = chance(&rng, 50);
    s->big_ids = chance(&rng, 50);
    draw_timing(s, &rng, p);
    draw_limits(s, &rng, p);
    draw_traffic(s, &rng, p);
    draw_flags(s, &rng, p);
    draw_faults(s, &rng, p);
    if (p->tune != NULL) {
        p->tune(s, &rng);
    }
    keep_lease(s);
    apply_overrides(s, o);
    return true;
}

void settings_print(const struct settings *s, FILE *out)
{
    fprintf(out,
            "seed %llu, profile %s: %u members%s, %s, tick %llu ms, election "
            "%u ticks, heartbeat %u, flags %#x, %u clients on %u keys every "
            "%llu ms, %llu s of faults\n",
            (unsigned long long)s->seed, s->profile, s->members,
            s->bootstrap_all ? "" : " (joining)",
            s->use_store ? "store" : "registers",
            (unsigned long long)(s->tick_ns / SWK_MILLISECOND),
            s->election_ticks, s->heartbeat_ticks, s->flags, s->clients,
            s->keys, (unsigned long long)(s->op_interval / SWK_MILLISECOND),
            (unsigned long long)(s->duration / SWK_SECOND));
    fprintf(out,
            "  latency %llu us, jitter %llu us%s%s, disk %llu us, apply %llu "
            "us, snapshots every %llu keeping %llu, windows of %u messages of "
            "%llu bytes\n  faults:",
            (unsigned long long)(s->latency / SWK_MICROSECOND),
            (unsigned long long)(s->jitter / SWK_MICROSECOND),
            s->fifo ? ", in order" : "", s->wire ? ", as bytes" : "",
            (unsigned long long)(s->disk_latency / SWK_MICROSECOND),
            (unsigned long long)(s->apply_delay / SWK_MICROSECOND),
            (unsigned long long)s->snapshot_interval,
            (unsigned long long)s->entries_for_slow_followers,
            s->inflight_messages_max, (unsigned long long)s->message_size_max);
    for (int i = 0; i < FAULT_COUNT; i++) {
        if (s->interval[i] != 0) {
            fprintf(out, " %s", fault_names[i]);
        }
    }
    fprintf(out, "\n");
}
