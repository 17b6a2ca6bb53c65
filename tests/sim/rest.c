/* SPDX-License-Identifier: Apache-2.0 */

/* After the faults: the group must elect a leader, commit, and agree (26). */

#include "sim/sim.h"

enum {
    PATIENCE = 400, /* election timeouts */
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

void rest(struct sim *sim)
{
    const char *why = NULL;

    for (int i = 0; i < PATIENCE && sim->broken[0] == '\0'; i++) {
        sim_advance(sim, sim->now + sim_election(sim));
        why = unrest(sim);
        if (why == NULL) {
            return;
        }
    }
    if (sim->broken[0] != '\0') {
        return;
    }
    if (hopeless(sim)) {
        sim->stats.quorum_unknown++;
        return;
    }
    sim_broken(sim, "26 liveness",
               "%d election timeouts after the last fault: "
               "%s",
               PATIENCE, why);
}
