/* SPDX-License-Identifier: Apache-2.0 */

/* Members whose group changes, or whose leader goes: changes of membership,
 * transfers, forgotten leaders, priorities. */

#include "lib/cmocka_all.h"

#include "lib/raft_cluster.h"

static int set_up(void **state)
{
    *state = cluster_new();
    return 0;
}

static int tear_down(void **state)
{
    cluster_free(*state);
    return 0;
}

/* -- Helpers --------------------------------------------------------------- */

static void propose_many(struct cluster_member *m, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(cluster_propose(m, "entry"), 0);
        cluster_settle(m->cluster);
    }
}

static int propose(struct cluster_member *m, int32_t transition,
                   const struct swk_raft_change *changes, size_t count)
{
    const struct swk_raft_conf_change change = {
        .size = sizeof(change),
        .transition = transition,
        .changes = changes,
        .changes_count = count,
    };

    return swk_raft_propose_conf_change(m->raft, &change, &m->proposal, NULL);
}

static struct swk_conf_state conf_of(const struct cluster_member *m)
{
    struct swk_conf_state state;

    swk_raft_conf_state(m->raft, &state);
    return state;
}

static struct swk_raft_peer find_peer(const struct cluster_member *m,
                                      uint64_t id)
{
    struct swk_raft_peer peers[CLUSTER_MEMBERS_MAX];
    size_t count = swk_raft_peers(m->raft, peers, CLUSTER_MEMBERS_MAX);

    for (size_t i = 0; i < count; i++) {
        if (peers[i].id == id) {
            return peers[i];
        }
    }
    return (struct swk_raft_peer){0};
}

/* A member of three that is not the leader. */
static struct cluster_member *another(struct cluster *c,
                                      const struct cluster_member *leader)
{
    return &c->members[leader->id % 3 + 1];
}

static struct cluster_member *third(struct cluster *c,
                                    const struct cluster_member *a,
                                    const struct cluster_member *b)
{
    return &c->members[6 - a->id - b->id];
}

/* -- Changes --------------------------------------------------------------- */

static void r_cfg_1_a_change_comes_back_as_it_was_asked_for(void **state)
{
    struct cluster_member *leader = cluster_found(*state, 1);
    const struct swk_raft_change asked[] = {
        {.type = SWK_RAFT_ADD_LEARNER, .id = 2},
        {.type = SWK_RAFT_UPDATE, .id = 1},
    };
    const struct swk_raft_conf_change change = {
        .size = sizeof(change),
        .transition = SWK_RAFT_TRANSITION_JOINT_EXPLICIT,
        .changes = asked,
        .changes_count = 2,
        .context = (const uint8_t *)"where",
        .context_len = 5,
    };
    struct swk_raft_change read[SWK_RAFT_CHANGES_MAX];
    struct swk_raft_conf_change known;
    uint64_t index = 0;

    assert_int_equal(
        swk_raft_propose_conf_change(leader->raft, &change, &index, NULL), 0);
    cluster_settle(leader->cluster);
    assert_int_equal(leader->disk.entries[index].type,
                     SWK_RAFT_ENTRY_CONF_CHANGE_V2);
    assert_int_equal(swk_raft_read_conf_change(&leader->disk.entries[index],
                                               read, &known, NULL),
                     0);
    assert_int_equal(known.transition, SWK_RAFT_TRANSITION_JOINT_EXPLICIT);
    assert_int_equal(known.changes_count, 2);
    assert_int_equal(read[0].type, SWK_RAFT_ADD_LEARNER);
    assert_int_equal(read[0].id, 2);
    assert_int_equal(read[1].type, SWK_RAFT_UPDATE);
    assert_int_equal(known.context_len, 5);
    assert_memory_equal(known.context, "where", 5);
}

static void r_cfg_5_several_voters_never_change_in_a_simple_step(void **state)
{
    struct cluster_member *leader = cluster_found(*state, 1);
    const struct swk_raft_change two[] = {
        {.type = SWK_RAFT_ADD_LEARNER, .id = 2},
        {.type = SWK_RAFT_ADD_LEARNER, .id = 3},
    };

    assert_int_equal(propose(leader, SWK_RAFT_TRANSITION_AUTO, two, 2), 0);
    cluster_settle(leader->cluster);
    /* It went through a joint configuration, and left that. */
    assert_int_equal(leader->disk.last, leader->proposal + 1);
    assert_int_equal(conf_of(leader).learners_count, 2);
    assert_int_equal(conf_of(leader).voters_outgoing_count, 0);
}

static void r_cfg_6_both_halves_decide_in_a_joint_configuration(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    struct cluster_member *a = another(c, leader);
    struct cluster_member *b = third(c, leader, a);
    const struct swk_raft_change gone = {.type = SWK_RAFT_REMOVE, .id = a->id};
    struct swk_conf_state conf;

    assert_int_equal(
        propose(leader, SWK_RAFT_TRANSITION_JOINT_EXPLICIT, &gone, 1), 0);
    cluster_settle(c);
    conf = conf_of(leader);
    assert_int_equal(conf.voters_count, 2);
    assert_int_equal(conf.voters_outgoing_count, 3);
    assert_int_equal(conf.auto_leave, 0);
    /* None while it is joint. */
    assert_int_equal(
        propose(leader, SWK_RAFT_TRANSITION_JOINT_EXPLICIT, &gone, 1),
        SWK_EPRECONDITION);
    cluster_settle(c);

    cluster_isolate(c, b->id); /* the old half has a majority without it */
    assert_int_equal(cluster_propose(leader, "both halves"), 0);
    cluster_settle(c);
    assert_true(leader->applied < leader->proposal);
    cluster_mend(c);
    cluster_run(c, 3);
    assert_true(leader->applied >= leader->proposal);
}

static void r_cfg_7_leaving_makes_learners_and_strangers(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    struct cluster_member *a = another(c, leader);
    struct cluster_member *b = third(c, leader, a);
    const struct swk_raft_change changes[] = {
        {.type = SWK_RAFT_ADD_LEARNER, .id = a->id},
        {.type = SWK_RAFT_REMOVE, .id = b->id},
    };
    struct swk_conf_state conf;

    assert_int_equal(
        propose(leader, SWK_RAFT_TRANSITION_JOINT_EXPLICIT, changes, 2), 0);
    cluster_settle(c);
    conf = conf_of(leader);
    assert_int_equal(conf.learners_next_count, 1);
    assert_int_equal(conf.learners_next[0], a->id);
    assert_int_equal(find_peer(leader, a->id).learner, 0);
    assert_int_equal(find_peer(leader, b->id).id, b->id);

    assert_int_equal(propose(leader, SWK_RAFT_TRANSITION_AUTO, NULL, 0), 0);
    cluster_settle(c);
    conf = conf_of(leader);
    assert_int_equal(conf.voters_count, 1);
    assert_int_equal(conf.voters_outgoing_count, 0);
    assert_int_equal(conf.learners_next_count, 0);
    assert_int_equal(conf.learners_count, 1);
    assert_int_equal(find_peer(leader, a->id).learner, 1);
    assert_int_equal(find_peer(leader, b->id).id, 0);
    assert_int_equal(cluster_propose(leader, "alone"), 0);
    cluster_settle(c);
    assert_int_equal(leader->applied, leader->proposal);
}

static void r_cfg_11_the_rest_elects_at_once_when_the_leader_goes(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    struct cluster_member *next;

    propose_many(leader, 3);
    assert_int_equal(
        cluster_change(leader, SWK_RAFT_REMOVE, leader->id), 0);
    assert_false(leader->leads); /* and no time has passed */
    next = cluster_leader(c);
    assert_non_null(next);
    assert_ptr_not_equal(next, leader);
    propose_many(next, 3);
    assert_int_equal(next->applied, next->proposal);
}

static void r_cfg_13_a_removed_member_disturbs_nobody(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    struct cluster_member *gone = another(c, leader);
    uint64_t term = cluster_status(leader).term;

    cluster_isolate(c, gone->id); /* it never learns of its removal */
    assert_int_equal(cluster_change(leader, SWK_RAFT_REMOVE, gone->id), 0);
    cluster_run(c, 30);
    cluster_mend(c); /* it asks for votes ever since */
    cluster_run(c, 50);
    assert_int_equal(cluster_status(gone).voter, 1);
    assert_int_not_equal(cluster_status(gone).role, SWK_RAFT_LEADER);
    assert_true(leader->leads);
    assert_int_equal(leader->lost, 0);
    assert_int_equal(cluster_status(leader).term, term);
}

/* -- Activity -------------------------------------------------------------- */

static void members_stay_active_after_the_check_of_the_quorum(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    struct cluster_member *a = another(c, leader);

    for (int i = 0; i < 2 * SWK_RAFT_ELECTION_TICKS; i++) {
        c->now += CLUSTER_TICK_MS * SWK_MILLISECOND;
        assert_int_equal(swk_raft_expire(leader->raft, c->now, NULL), 0);
        assert_int_equal(find_peer(leader, a->id).active, 1);
        cluster_settle(c);
    }
    cluster_crash(c, a->id);
    cluster_run(c, 2 * SWK_RAFT_ELECTION_TICKS);
    assert_int_equal(find_peer(leader, a->id).active, 0);
}

/* -- Transfers ------------------------------------------------------------- */

static void r_trf_4_a_target_campaigns_in_spite_of_the_lease(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    struct cluster_member *target = another(c, leader);
    const struct swk_raft_message now = {
        .type = SWK_RAFT_MSG_TIMEOUT_NOW,
        .from = leader->id,
        .to = target->id,
        .term = cluster_status(leader).term,
    };

    cluster_run(c, 1); /* all have just heard of the leader */
    assert_int_equal(swk_raft_step(target->raft, &now, NULL), 0);
    assert_int_equal(cluster_status(target).role, SWK_RAFT_CANDIDATE);
    assert_int_equal(cluster_status(target).term, now.term + 1);
    cluster_settle(c);
    assert_true(target->leads);
}

static void r_trf_4_only_followers_that_may_campaign_do(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    struct cluster_member *learner = another(c, leader);
    struct swk_raft_message now = {
        .type = SWK_RAFT_MSG_TIMEOUT_NOW,
        .from = third(c, leader, learner)->id,
        .term = cluster_status(leader).term,
    };

    assert_int_equal(
        cluster_change(leader, SWK_RAFT_ADD_LEARNER, learner->id), 0);
    cluster_run(c, 1);
    now.to = learner->id;
    assert_int_equal(swk_raft_step(learner->raft, &now, NULL), 0);
    assert_int_equal(cluster_status(learner).role, SWK_RAFT_FOLLOWER);
    now.to = leader->id;
    assert_int_equal(swk_raft_step(leader->raft, &now, NULL), 0);
    cluster_run(c, 20);
    assert_true(leader->leads);
    assert_int_equal(cluster_status(leader).term, now.term);
}

/* -- Forgotten leaders ----------------------------------------------------- */

static void r_fgt_1_a_forgotten_leader_has_no_lease(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    struct cluster_member *a = another(c, leader);
    struct cluster_member *b = third(c, leader, a);
    uint64_t term = cluster_status(leader).term;

    cluster_run(c, 1);
    cluster_crash(c, leader->id);
    assert_int_equal(swk_raft_campaign(a->raft, NULL), 0);
    cluster_settle(c); /* the other keeps to the lease */
    assert_false(a->leads);

    assert_int_equal(swk_raft_forget_leader(b->raft, NULL), 0);
    assert_int_equal(cluster_status(b).leader, 0);
    assert_int_equal(cluster_status(b).term, term);
    assert_int_equal(cluster_status(b).role, SWK_RAFT_FOLLOWER);
    assert_int_equal(swk_raft_campaign(a->raft, NULL), 0);
    cluster_settle(c); /* and no time passes */
    assert_true(a->leads);
}

static void r_fgt_1_a_leader_does_not_forget_itself(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    struct cluster_member *a = another(c, leader);

    assert_int_equal(swk_raft_forget_leader(leader->raft, NULL), 0);
    assert_int_equal(swk_raft_forget_leader(a->raft, NULL), 0);
    cluster_run(c, 20); /* a follower hears of it again */
    assert_true(leader->leads);
    assert_int_equal(leader->lost, 0);
    assert_int_equal(cluster_status(a).leader, leader->id);
}

static void read_by_lease(struct swk_raft_config *config, void *ctx)
{
    (void)ctx;
    config->flags |= SWK_RAFT_LEASE_READS;
}

static void r_fgt_1_leaders_with_leases_are_not_forgotten(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader;
    struct cluster_member *a;

    c->configure = read_by_lease;
    leader = cluster_found(c, 3);
    a = another(c, leader);
    assert_int_equal(swk_raft_forget_leader(a->raft, NULL),
                     SWK_EPRECONDITION);
    assert_int_equal(cluster_status(a).leader, leader->id);
}

/* -- Priorities ------------------------------------------------------------ */

/* All are told. */
static void prefer(struct cluster *c, uint64_t id)
{
    for (uint64_t to = 1; to <= 3; to++) {
        assert_int_equal(
            swk_raft_set_priority(c->members[to].raft, id, 1, NULL), 0);
    }
}

static void r_ext_1_the_preferred_member_leads_after_the_leader(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    struct cluster_member *preferred = another(c, leader);
    struct cluster_member *other = third(c, leader, preferred);

    prefer(c, preferred->id);
    for (int i = 0; i < 10; i++) {
        leader = cluster_elect(c);
        if (leader == preferred) {
            assert_int_equal(swk_raft_transfer(leader->raft, other->id, NULL),
                             0);
            cluster_settle(c);
            leader = cluster_elect(c);
        }
        cluster_isolate(c, leader->id);
        cluster_run(c, 4 * SWK_RAFT_ELECTION_TICKS);
        assert_ptr_equal(cluster_leader(c), preferred);
        cluster_mend(c);
        cluster_run(c, 2 * SWK_RAFT_ELECTION_TICKS);
    }
}

static void r_ext_1_a_preferred_member_may_be_gone(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);

    prefer(c, leader->id);
    cluster_crash(c, leader->id);
    cluster_run(c, 4 * SWK_RAFT_ELECTION_TICKS);
    leader = cluster_leader(c);
    assert_non_null(leader);
    assert_int_equal(swk_raft_set_priority(leader->raft, 9, 1, NULL),
                     SWK_ENOTFOUND);
}

#define CLUSTER_TEST(name)                                                     \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUSTER_TEST(r_cfg_1_a_change_comes_back_as_it_was_asked_for),
        CLUSTER_TEST(r_cfg_5_several_voters_never_change_in_a_simple_step),
        CLUSTER_TEST(r_cfg_6_both_halves_decide_in_a_joint_configuration),
        CLUSTER_TEST(r_cfg_7_leaving_makes_learners_and_strangers),
        CLUSTER_TEST(r_cfg_11_the_rest_elects_at_once_when_the_leader_goes),
        CLUSTER_TEST(r_cfg_13_a_removed_member_disturbs_nobody),
        CLUSTER_TEST(members_stay_active_after_the_check_of_the_quorum),
        CLUSTER_TEST(r_trf_4_a_target_campaigns_in_spite_of_the_lease),
        CLUSTER_TEST(r_trf_4_only_followers_that_may_campaign_do),
        CLUSTER_TEST(r_fgt_1_a_forgotten_leader_has_no_lease),
        CLUSTER_TEST(r_fgt_1_a_leader_does_not_forget_itself),
        CLUSTER_TEST(r_fgt_1_leaders_with_leases_are_not_forgotten),
        CLUSTER_TEST(r_ext_1_the_preferred_member_leads_after_the_leader),
        CLUSTER_TEST(r_ext_1_a_preferred_member_may_be_gone),
    };

    return cmocka_run_group_tests_name("raft member changes", tests, NULL,
                                       NULL);
}
