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
    [PLANT_CUT_ROT] = {"cut-rot", "R-DSK-3"},
    [PLANT_TWICE] = {"twice", "R-PRO-2"},
    [PLANT_READ_EARLY] = {"read-early", "R-RDI-8"},
    [PLANT_SAME_CONTEXT] = {"same-context", "R-RDI-9"},
    [PLANT_OLD_CONF] = {"old-conf", "R-SNP-7"},
    [PLANT_ELE_4] = {"ele-4", "R-ELE-4"},
    [PLANT_COM_1] = {"com-1", "R-COM-1"},
    [PLANT_FOL_3] = {"fol-3", "R-FOL-3"},
    [PLANT_CFG_3] = {"cfg-3", "R-CFG-3"},
    [PLANT_REP_4] = {"rep-4", "R-REP-4"},
    [PLANT_RDI_2] = {"rdi-2", "R-RDI-2"},
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

static const struct profile {
    const char *name;
    uint32_t faults; /* may be drawn */
    uint32_t always; /* of these, those that are never left out */
    enum { ANY_MACHINE, REGISTERS, STORE } machine;
    bool busy; /* much traffic, small limits */
    bool idle; /* little traffic, long ticks */
    bool lease;
} profiles[] = {
    {"swarm", ALL_FAULTS, 0, ANY_MACHINE, false, false, false},
    {"calm", 0, 0, ANY_MACHINE, false, false, false},
    {"net", NET_FAULTS, BIT(FAULT_SPLIT), REGISTERS, false, false, false},
    {"crash", CRASH_FAULTS | BIT(FAULT_LOSS), BIT(FAULT_POWER), REGISTERS, true,
     false, false},
    {"disk", DISK_FAULTS | BIT(FAULT_LINK), 0, REGISTERS, true, false, false},
    {"rot", BIT(FAULT_ROT) | BIT(FAULT_POWER) | BIT(FAULT_SPLIT),
     BIT(FAULT_ROT) | BIT(FAULT_SPLIT), REGISTERS, true, false, false},
    {"members", MEMBER_FAULTS | NET_FAULTS | BIT(FAULT_CRASH),
     BIT(FAULT_CONF) | BIT(FAULT_SPLIT), ANY_MACHINE, false, false, false},
    {"clock", CLOCK_FAULTS | BIT(FAULT_SPLIT) | LEADER_FAULTS, 0, REGISTERS,
     false, false, false},
    {"lease",
     (NET_FAULTS | CRASH_FAULTS | BIT(FAULT_PAUSE) | BIT(FAULT_TRANSFER) |
      BIT(FAULT_CAMPAIGN) | BIT(FAULT_CONF)),
     BIT(FAULT_SPLIT), REGISTERS, true, false, true},
    {"elections", LEADER_FAULTS | NET_FAULTS | BIT(FAULT_POWER),
     BIT(FAULT_SPLIT) | BIT(FAULT_CAMPAIGN), REGISTERS, true, false, false},
    {"store", ALL_FAULTS, 0, STORE, false, false, false},
    {"idle", ALL_FAULTS, 0, ANY_MACHINE, false, true, false},
};

const char *const profile_names[] = {
    "swarm", "calm",  "net",       "crash", "disk", "rot", "members",
    "clock", "lease", "elections", "store", "idle", NULL,
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
