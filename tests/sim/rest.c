/* SPDX-License-Identifier: Apache-2.0 */

/*
 * After the faults: the group must elect a leader, commit, and agree (26); and
 * then go on with it, though a member goes away and comes back (27).
 */

#include "sim/sim.h"

enum {
    PATIENCE = 400, /* election timeouts */
    SETTLE = 5,
    QUIET = 20,
    COMMIT = 2,
    ALONE_MAX = 15,
};

static bool counts(const struct member *m)
{
    return m != NULL && !m->doomed && !m->retired && m->disk.lost == 0;
}

static bool quorum_possible(struct sim *sim, const uint64_t *voters,
                            size_t count)
{
    size_t there = 0;

    for (size_t i = 0; i < count; i++) {
        there += counts(sim_by_id(sim, voters[i]));
    }
    return count == 0 || there >= count / 2 + 1;
}

/* Enough was lost for good that nobody can lead; that is no fault of raft's. */
static bool hopeless(struct sim *sim)
{
    const struct conf *conf = admin_conf(sim);

    return conf == NULL ||
           !quorum_possible(sim, conf->voters, conf->voters_count) ||
           !quorum_possible(sim, conf->outgoing, conf->outgoing_count);
}

static bool agrees(const struct sim *sim, const struct member *m,
                   const struct member *leader)
{
    (void)sim;
    return m->raft != NULL && m->applied == leader->seen.last_index &&
           machine_digest(m->machine) == machine_digest(leader->machine);
}

/* Why the group is not at rest, or NULL. */
static const char *unrest(struct sim *sim)
{
    struct member *leader = sim_leader(sim);
    const struct conf *conf = admin_conf(sim);

    if (leader == NULL || !leader->leads) {
        return "nobody leads";
    }
    if (sim->clients_stopped < sim->s.clients) {
        return "clients wait for answers";
    }
    if (leader->applied != leader->seen.last_index) {
        return "the leader has not applied all";
    }
    for (size_t i = 0; i < sim->members_count; i++) {
        const struct member *m = sim->members[i];

        if (conf_has(conf, m->id) && !m->doomed && !m->retired &&
            !agrees(sim, m, leader)) {
            return "members lag behind";
        }
    }
    return NULL;
}

/* False if it does not come to rest, for which there may be a reason. */
static bool settle(struct sim *sim)
{
    const char *why = NULL;

    for (int i = 0; i < PATIENCE && sim->broken[0] == '\0'; i++) {
        sim_advance(sim, sim->now + sim_election(sim));
        why = unrest(sim);
        if (why == NULL) {
            return true;
        }
    }
    if (sim->broken[0] != '\0') {
        return false;
    }
    if (hopeless(sim)) {
        sim->stats.quorum_unknown++;
        return false;
    }
    sim_broken(sim, "26 liveness",
               "%d election timeouts after the last fault: "
               "%s",
               PATIENCE, why);
    return false;
}

/* -- Quiet ----------------------------------------------------------------- */

static void check_same_leader(struct sim *sim, const struct member *leader,
                              uint64_t term, const char *rule, const char *when)
{
    const struct member *now = sim_leader(sim);

    if (sim->broken[0] == '\0' &&
        (now != leader || leader->seen.term != term)) {
        sim_broken(sim, rule, "%s led in term %llu, and no more %s",
                   leader->name, (unsigned long long)term, when);
    }
}

/* Messages and disks are so fast that nobody may wonder about the leader. */
static bool is_fast(const struct sim *sim)
{
    const struct settings *s = &sim->s;

    return s->latency + s->jitter + s->disk_latency + s->apply_delay <
           sim_election(sim) / 4;
}

static bool disturbs(const struct sim *sim)
{
    return (sim->s.flags & (SWK_RAFT_NO_PRE_VOTE | SWK_RAFT_NO_CHECK_QUORUM)) !=
           0;
}

static void commit_one(struct sim *sim, struct member *leader)
{
    uint64_t index = 0;

    if (swk_raft_propose(leader->raft, NULL, 0, &index, NULL) != SWK_OK) {
        sim_broken(sim, "26 liveness", "%s leads and takes no proposal",
                   leader->name);
        return;
    }
    member_drive(leader);
    sim_advance(sim, sim->now + COMMIT * sim_election(sim));
    if (sim->broken[0] == '\0' && leader->seen.committed < index) {
        sim_broken(sim, "26 liveness", "%s has not committed %llu",
                   leader->name, (unsigned long long)index);
    }
}

static void cut_off(struct sim *sim, const struct member *m, bool off)
{
    for (size_t i = 0; i < sim->members_count; i++) {
        sim->cut[m->slot][i] = off && i != m->slot;
        sim->cut[i][m->slot] = off && i != m->slot;
    }
}

/* A follower without which the group still has a quorum, or NULL. */
static struct member *spare(struct sim *sim, const struct member *leader)
{
    const struct conf *conf = admin_conf(sim);
    size_t there = 0;

    for (size_t i = 0; i < conf->voters_count; i++) {
        there += counts(sim_by_id(sim, conf->voters[i]));
    }
    for (size_t i = 0; i < conf->voters_count; i++) {
        struct member *m = sim_by_id(sim, conf->voters[i]);

        if (m != leader && counts(m) && conf->outgoing_count == 0 &&
            there > conf->voters_count / 2 + 1) {
            return m;
        }
    }
    return NULL;
}

static void leave_and_return(struct sim *sim, struct member *leader,
                             uint64_t term)
{
    struct member *m = spare(sim, leader);

    if (m == NULL) {
        return;
    }
    sim_trace(sim, m, "is alone");
    cut_off(sim, m, true);
    sim_advance(sim, sim->now + sim_election(sim) *
                                    (1 + swki_rng_below(&sim->rng, ALONE_MAX)));
    sim_trace(sim, m, "is back");
    cut_off(sim, m, false);
    sim_advance(sim, sim->now + SETTLE * sim_election(sim));
    check_same_leader(sim, leader, term, "27 non-disturbance",
                      "after a member came back");
    sim->stats.returns++;
}

/* True if a while later the same leads. */
static bool stay(struct sim *sim)
{
    struct member *leader;
    uint64_t term;

    sim_advance(sim, sim->now + SETTLE * sim_election(sim));
    leader = sim_leader(sim);
    if (sim->broken[0] != '\0' || unrest(sim) != NULL || !is_fast(sim) ||
        disturbs(sim)) {
        return false;
    }
    term = leader->seen.term;
    sim_advance(sim, sim->now + QUIET * sim_election(sim));
    check_same_leader(sim, leader, term, "26 liveness", "though all was quiet");
    if (sim->broken[0] == '\0') {
        commit_one(sim, leader);
    }
    sim->stats.quiet++;
    if (sim->broken[0] == '\0') {
        leave_and_return(sim, leader, term);
    }
    return sim->broken[0] == '\0';
}

void rest(struct sim *sim)
{
    if (settle(sim) && stay(sim)) {
        (void)settle(sim);
    }
}
