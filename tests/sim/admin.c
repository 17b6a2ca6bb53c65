/* SPDX-License-Identifier: Apache-2.0 */

/* The administrator: changes the members, and clears up behind the changes. */

#include "sim/sim.h"

enum {
    VOTERS_WANTED_MAX = 7,
    MEMBERS_NOW_MAX = 10,
};

const struct conf *admin_conf(const struct sim *sim)
{
    return sim->confs_count > 0 ? &sim->confs[sim->confs_count - 1].conf : NULL;
}

/* -- What may be done ------------------------------------------------------ */

/* A member on whose word nobody may count for the time being. */
static bool impaired(const struct member *m)
{
    return m->doomed || m->retired || m->disk.lost != 0 ||
           m->disk.rot_first != 0;
}

static bool majority_stays(struct sim *sim, const uint64_t *voters,
                           size_t count, const struct member *without)
{
    size_t there = 0;

    for (size_t i = 0; i < count; i++) {
        const struct member *m = sim_by_id(sim, voters[i]);

        there += m != NULL && m != without && !impaired(m);
    }
    return count == 0 || there >= count / 2 + 1;
}

bool admin_may_lose(struct sim *sim, const struct member *m)
{
    /* Members may be a change behind: both of the last two count. */
    for (size_t back = 1; back <= 4 && back <= sim->confs_count; back++) {
        const struct conf *conf = &sim->confs[sim->confs_count - back].conf;

        if (!majority_stays(sim, conf->voters, conf->voters_count, m) ||
            !majority_stays(sim, conf->outgoing, conf->outgoing_count, m)) {
            return false;
        }
    }
    return sim->confs_count > 0 && !impaired(m);
}

/* -- Changes --------------------------------------------------------------- */

static int propose(struct member *leader, const struct swk_raft_change *changes,
                   size_t count, enum swk_raft_transition transition,
                   const char *context)
{
    const struct swk_raft_conf_change change = {
        .size = sizeof(change),
        .transition = (int32_t)transition,
        .changes = changes,
        .changes_count = count,
        .context = (const uint8_t *)context,
        .context_len = 1,
    };
    int rc = swk_raft_propose_conf_change(leader->raft, &change, NULL, NULL);

    sim_trace(leader->sim, leader, "is asked for %zu changes: %d", count, rc);
    leader->sim->stats.faults[FAULT_CONF] += rc == SWK_OK;
    member_drive(leader);
    return rc;
}

static int leave_joint(struct member *leader)
{
    const struct swk_raft_conf_change leave = {.size = sizeof(leave)};
    int rc = swk_raft_propose_conf_change(leader->raft, &leave, NULL, NULL);

    member_drive(leader);
    return rc;
}

static uint64_t add_member(struct sim *sim)
{
    struct member *m;

    if (sim->members_count == MEMBERS_MAX) {
        return 0;
    }
    m = member_new(sim, false);
    member_start(m);
    return m->id;
}

static size_t members_now(const struct conf *conf)
{
    return conf->voters_count + conf->learners_count;
}

/* One change that makes sense; false if there is none. */
static bool draw_change(struct sim *sim, struct swki_rng *rng,
                        const struct conf *conf, struct swk_raft_change *out)
{
    uint64_t kind = swki_rng_below(rng, 10);

    *out = (struct swk_raft_change){.type = SWK_RAFT_UPDATE,
                                    .id = conf->voters[0]};
    if (kind < 4 && members_now(conf) < MEMBERS_NOW_MAX) {
        out->type = kind < 2 ? SWK_RAFT_ADD_LEARNER : SWK_RAFT_ADD_VOTER;
        out->id = add_member(sim);
        return out->id != 0;
    }
    if (kind < 6 && conf->learners_count > 0 &&
        conf->voters_count < VOTERS_WANTED_MAX) {
        out->type = SWK_RAFT_ADD_VOTER;
        out->id = conf->learners[swki_rng_below(rng, conf->learners_count)];
        return true;
    }
    if (kind < 9 && conf->voters_count > 1) {
        const struct member *m;

        out->type = kind < 8 ? SWK_RAFT_REMOVE : SWK_RAFT_ADD_LEARNER;
        out->id = conf->voters[swki_rng_below(rng, conf->voters_count)];
        m = sim_by_id(sim, out->id);
        /* A leader hands over first: who is removed while it leads may be the
         * only one that knows. */
        return m != sim_leader(sim) && (m->doomed || admin_may_lose(sim, m));
    }
    if (conf->learners_count > 0) {
        out->type = SWK_RAFT_REMOVE;
        out->id = conf->learners[swki_rng_below(rng, conf->learners_count)];
    }
    return true;
}

void admin_change(struct sim *sim, struct swki_rng *rng)
{
    const struct conf *conf = admin_conf(sim);
    struct member *leader = sim_leader(sim);
    struct swk_raft_change changes[3];
    size_t count = 0;
    uint64_t want = swki_rng_below(rng, 4) == 0 ? 3 : 1;
    struct conf now;

    if (conf == NULL || leader == NULL || conf->outgoing_count > 0) {
        return;
    }
    now = *conf; /* new members change the list behind it */
    while (count < want && draw_change(sim, rng, &now, &changes[count])) {
        bool again = false;

        for (size_t i = 0; i < count; i++) {
            again = again || changes[i].id == changes[count].id;
        }
        if (again) {
            break;
        }
        count++;
    }
    if (count > 0 && leader->raft != NULL) {
        (void)propose(leader, changes, count,
                      count == 1
                          ? SWK_RAFT_TRANSITION_AUTO
                          : (enum swk_raft_transition)(swki_rng_below(rng, 3)),
                      swki_rng_below(rng, 20) == 0 ? "R" : "-");
    }
}

/* -- Duties ---------------------------------------------------------------- */

/* Members that are yet to join, at the beginning. */
static bool let_join(struct sim *sim, const struct conf *conf,
                     struct member *leader)
{
    struct swk_raft_change change = {.type = SWK_RAFT_ADD_LEARNER};

    if (sim->s.bootstrap_all || sim->ids_used >= sim->s.members ||
        members_now(conf) >= sim->s.members) {
        return false;
    }
    change.id = add_member(sim);
    return change.id != 0 &&
           propose(leader, &change, 1, SWK_RAFT_TRANSITION_AUTO, "-") == 0;
}

/* A learner of the beginning becomes a voter once it has caught up. */
static bool promote(struct sim *sim, const struct conf *conf,
                    struct member *leader)
{
    struct swk_raft_peer peers[SWK_RAFT_MEMBERS_MAX];
    size_t count = swk_raft_peers(leader->raft, peers, SWK_RAFT_MEMBERS_MAX);

    if (conf->voters_count >= sim->s.members) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct swk_raft_change change = {.type = SWK_RAFT_ADD_VOTER,
                                               .id = peers[i].id};

        if (peers[i].learner != 0 && peers[i].caught_up != 0) {
            return propose(leader, &change, 1, SWK_RAFT_TRANSITION_AUTO, "-") ==
                   0;
        }
    }
    return false;
}

static bool remove_doomed(struct sim *sim, const struct conf *conf,
                          struct member *leader)
{
    for (size_t i = 0; i < conf->voters_count && conf->voters_count > 1; i++) {
        const struct member *m = sim_by_id(sim, conf->voters[i]);
        const struct swk_raft_change change = {.type = SWK_RAFT_REMOVE,
                                               .id = conf->voters[i]};

        if (m->doomed) {
            return propose(leader, &change, 1, SWK_RAFT_TRANSITION_AUTO, "-") ==
                   0;
        }
    }
    return false;
}

/* Whether most voters know that a member is gone: before that it may be needed
 * to tell them. */
static bool known_removed(struct sim *sim, const struct member *gone)
{
    const struct conf *conf = admin_conf(sim);
    size_t know = 0;

    for (size_t i = 0; conf != NULL && i < conf->voters_count; i++) {
        const struct member *m = sim_by_id(sim, conf->voters[i]);

        know += m != NULL && m->conf_index >= gone->removed_index;
    }
    return conf != NULL && know >= conf->voters_count / 2 + 1;
}

/* A member that was removed goes away after a while. */
static void retire_removed(struct sim *sim)
{
    for (size_t i = 0; i < sim->members_count; i++) {
        struct member *m = sim->members[i];

        if (m->removed && !m->retired &&
            m->removed_at + 20 * sim_election(sim) < sim->now &&
            known_removed(sim, m)) {
            member_retire(m);
        }
    }
}

void admin_look(struct sim *sim)
{
    const struct conf *conf = admin_conf(sim);
    struct member *leader = sim_leader(sim);

    retire_removed(sim);
    if (conf != NULL && leader != NULL && leader->leads) {
        struct conf now = *conf;

        if (now.outgoing_count > 0) {
            if (now.auto_leave == 0) {
                (void)leave_joint(leader);
            }
        } else if (!remove_doomed(sim, &now, leader) &&
                   !let_join(sim, &now, leader)) {
            (void)promote(sim, &now, leader);
        }
    }
    sim_post(sim,
             sim->now + sim_election(sim) / 2 +
                 swki_rng_below(&sim->rng, sim_election(sim)),
             sim_event(sim, EVENT_ADMIN, 0));
}
