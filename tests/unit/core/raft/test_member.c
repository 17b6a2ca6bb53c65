/* SPDX-License-Identifier: Apache-2.0 */

/* Members as a group: election, replication, failover, membership, reads,
 * snapshots, restarts. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

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

static void propose_many(struct cluster_member *m, int count)
{
    char text[32];

    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof(text), "entry %d", i);
        assert_int_equal(cluster_propose(m, text), 0);
        cluster_settle(m->cluster);
    }
}

/* -- Founding -------------------------------------------------------------- */

static void a_group_of_three_elects_a_leader_and_replicates(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);

    assert_int_equal(leader->gained, 1);
    propose_many(leader, 20);
    assert_int_equal(leader->applied, leader->proposal);
    cluster_check_converged(c);
    assert_int_equal(cluster_status(leader).voter, 1);
    assert_int_equal(swk_raft_next_index(leader->raft), leader->proposal + 1);
}

static void a_sole_founder_leads_at_once(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *m = &c->members[1];

    assert_int_equal(cluster_start(c, 1, 1), 0);
    assert_int_equal(swk_raft_deadline(m->raft), c->now + SWK_MILLISECOND * 100);
    assert_int_equal(swk_raft_peers(m->raft, NULL, 0), 0);
    cluster_settle(c); /* no time passes */
    assert_true(m->leads);
    assert_int_equal(swk_raft_peers(m->raft, NULL, 0), 1);
    assert_int_equal(cluster_status(m).applied, 2);
}

static void a_sole_member_that_comes_back_leads_at_once(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *m = cluster_found(c, 1);
    uint64_t applied;

    propose_many(m, 5);
    applied = m->applied;
    cluster_crash(c, 1);
    assert_int_equal(cluster_start(c, 1, 0), 0);
    cluster_settle(c);
    assert_true(m->leads);
    assert_int_equal(m->applied, applied + 1);
}

static void a_member_that_joins_never_campaigns(void **state)
{
    struct cluster *c = *state;

    assert_int_equal(cluster_start(c, 2, 0), 0);
    cluster_run(c, 50);
    assert_int_equal(cluster_status(&c->members[2]).term, 0);
    assert_int_equal(c->packets_count, 0);
    assert_true(cluster_status(&c->members[2]).leaderless_ticks >= 50);
}

/* -- Failover -------------------------------------------------------------- */

static void another_leads_when_the_leader_crashes(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *first = cluster_found(c, 3);
    struct cluster_member *second;

    propose_many(first, 3);
    cluster_crash(c, first->id);
    second = cluster_elect(c);
    assert_ptr_not_equal(first, second);
    propose_many(second, 3);
    assert_int_equal(cluster_start(c, first->id, 0), 0);
    cluster_run(c, 5);
    assert_false(first->leads);
    cluster_check_converged(c);
}

static void a_leader_without_a_quorum_steps_down_and_says_so_once(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *first = cluster_found(c, 3);
    struct cluster_member *second;

    cluster_isolate(c, first->id);
    assert_int_equal(cluster_propose(first, "lost"), 0);
    second = cluster_elect(c);
    propose_many(second, 2);
    cluster_run(c, 20);
    assert_false(first->leads);
    assert_int_equal(first->lost, 1);
    assert_int_equal(cluster_propose(first, "x"), SWK_ENOTLEADER);
    assert_int_equal(swk_raft_next_index(first->raft), 0);
    cluster_mend(c);
    cluster_run(c, 20);
    assert_true(second->leads); /* R-INV 27: nobody was disturbed */
    assert_int_equal(second->gained, 1);
    cluster_check_converged(c);
}

static void all_that_was_applied_survives_a_crash_of_all(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    uint64_t applied;

    propose_many(leader, 10);
    applied = leader->applied;
    for (uint64_t id = 1; id <= 3; id++) {
        cluster_crash(c, id);
    }
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(cluster_start(c, id, 0), 0);
    }
    leader = cluster_elect(c);
    assert_int_equal(leader->applied, applied + 1);
    cluster_check_converged(c);
}

/* -- Membership ------------------------------------------------------------ */

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

static void a_learner_is_added_catches_up_and_is_promoted(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 1);
    struct cluster_member *second = &c->members[2];

    propose_many(leader, 50);
    assert_int_equal(cluster_start(c, 2, 0), 0);
    assert_int_equal(cluster_change(leader, SWK_RAFT_ADD_LEARNER, 2), 0);
    cluster_run(c, 3);
    cluster_check_converged(c);
    assert_int_equal(cluster_status(second).voter, 0);
    assert_int_equal(find_peer(leader, 2).learner, 1);
    assert_int_equal(find_peer(leader, 2).caught_up, 1);
    assert_int_equal(find_peer(leader, 2).state, SWK_RAFT_REPLICATE);

    assert_int_equal(cluster_change(leader, SWK_RAFT_ADD_VOTER, 2), 0);
    cluster_run(c, 1);
    assert_int_equal(cluster_status(second).voter, 1);
    assert_int_equal(find_peer(leader, 2).learner, 0);
    cluster_crash(c, 2);
    assert_int_equal(cluster_propose(leader, "needs both"), 0);
    cluster_settle(c);
    assert_true(leader->applied < leader->proposal);
}

static void promote_early(struct swk_raft_config *config, void *ctx)
{
    (void)ctx;
    config->promote_gap = 2;
}

/* R-CFG-15 */
static void a_learner_that_lacks_more_than_the_gap_has_not_caught_up(
    void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader;

    c->configure = promote_early;
    leader = cluster_found(c, 1);
    assert_int_equal(cluster_start(c, 2, 0), 0);
    assert_int_equal(cluster_change(leader, SWK_RAFT_ADD_LEARNER, 2), 0);
    cluster_run(c, 3);
    assert_int_equal(find_peer(leader, 2).caught_up, 1);
    for (int i = 0; i < 3; i++) { /* which nobody has sent yet */
        assert_int_equal(find_peer(leader, 2).caught_up, 1);
        assert_int_equal(swk_raft_propose(leader->raft, "x", 1, NULL, NULL),
                         0);
    }
    assert_int_equal(find_peer(leader, 2).caught_up, 0);
    cluster_run(c, 3);
    assert_int_equal(find_peer(leader, 2).caught_up, 1);
}

static void a_removed_leader_steps_down_and_another_is_elected(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *first = cluster_found(c, 3);
    struct cluster_member *second;

    assert_int_equal(cluster_change(first, SWK_RAFT_REMOVE, first->id), 0);
    assert_false(first->leads);
    assert_int_equal(first->lost, 1);
    second = cluster_elect(c);
    assert_ptr_not_equal(first, second);
    assert_int_equal(swk_raft_peers(second->raft, NULL, 0), 2);
    assert_int_equal(find_peer(second, first->id).id, 0);
    cluster_run(c, 50);
    assert_true(second->leads); /* the removed one disturbs nobody */
    assert_int_equal(second->gained, 1);
}

static void r_cfg_3_one_change_at_a_time(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    const struct swk_raft_change one = {.type = SWK_RAFT_ADD_LEARNER, .id = 4};
    const struct swk_raft_conf_change change = {
        .size = sizeof(change), .changes = &one, .changes_count = 1};
    const struct swk_raft_conf_change leave = {.size = sizeof(leave)};
    uint64_t index = 0;

    assert_int_equal(
        swk_raft_propose_conf_change(leader->raft, &change, &index, NULL), 0);
    uint64_t second = 0;
    assert_int_equal(
        swk_raft_propose_conf_change(leader->raft, &change, &second, NULL),
        SWK_EPRECONDITION);
    assert_int_equal(second, index + 1); /* an empty entry took its place */
    cluster_settle(c);
    assert_int_equal(
        swk_raft_propose_conf_change(leader->raft, &leave, NULL, NULL),
        SWK_EPRECONDITION); /* not joint */
    cluster_settle(c);
    assert_int_equal(swk_raft_peers(leader->raft, NULL, 0), 4);
    cluster_check_converged(c);
}

static void voters_are_replaced_through_a_joint_configuration(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    uint64_t gone = leader->id == 3 ? 2 : 3;
    const struct swk_raft_change changes[] = {
        {.type = SWK_RAFT_ADD_VOTER, .id = 4},
        {.type = SWK_RAFT_ADD_VOTER, .id = 5},
        {.type = SWK_RAFT_REMOVE, .id = gone},
    };
    const struct swk_raft_conf_change change = {
        .size = sizeof(change), .changes = changes, .changes_count = 3};
    const uint64_t others[] = {4, 5};
    struct swk_conf_state conf;

    assert_int_equal(cluster_start(c, 4, 0), 0);
    assert_int_equal(cluster_start(c, 5, 0), 0);
    assert_int_equal(
        swk_raft_keeps_quorum(leader->raft, &change, others, 2), 0);
    assert_int_equal(swk_raft_keeps_quorum(leader->raft, &change,
                                           (uint64_t[]){1, 2, 3}, 3), 0);
    assert_int_equal(swk_raft_keeps_quorum(leader->raft, &change,
                                           (uint64_t[]){1, 2, 3, 4}, 4), 1);
    assert_int_equal(
        swk_raft_propose_conf_change(leader->raft, &change, NULL, NULL), 0);
    cluster_run(c, 5);
    swk_raft_conf_state(leader->raft, &conf);
    assert_int_equal(conf.voters_count, 4);
    assert_int_equal(conf.voters_outgoing_count, 0); /* left by itself */
    assert_int_equal(find_peer(leader, gone).id, 0);
    propose_many(leader, 3);
    cluster_check_converged(c);
}

static void an_explicit_joint_configuration_stays_until_it_is_left(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    uint64_t demoted = leader->id == 1 ? 2 : 1;
    const struct swk_raft_change one = {.type = SWK_RAFT_ADD_LEARNER,
                                        .id = demoted};
    const struct swk_raft_conf_change enter = {
        .size = sizeof(enter),
        .transition = SWK_RAFT_TRANSITION_JOINT_EXPLICIT,
        .changes = &one,
        .changes_count = 1};
    const struct swk_raft_conf_change leave = {.size = sizeof(leave)};
    struct swk_conf_state conf;

    assert_int_equal(
        swk_raft_propose_conf_change(leader->raft, &enter, NULL, NULL), 0);
    cluster_run(c, 3);
    swk_raft_conf_state(leader->raft, &conf);
    assert_int_equal(conf.voters_count, 2);
    assert_int_equal(conf.voters_outgoing_count, 3);
    assert_int_equal(conf.learners_next_count, 1);
    assert_int_equal(conf.auto_leave, 0);
    assert_int_equal(
        swk_raft_propose_conf_change(leader->raft, &leave, NULL, NULL), 0);
    cluster_run(c, 3);
    swk_raft_conf_state(leader->raft, &conf);
    assert_int_equal(conf.voters_outgoing_count, 0);
    assert_int_equal(conf.learners_count, 1);
    assert_int_equal(conf.learners[0], demoted);
}

/* -- Transfer -------------------------------------------------------------- */

static void r_trf_1_leadership_is_handed_to_whom_it_should(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    uint64_t target = leader->id % 3 + 1;

    propose_many(leader, 3);
    assert_int_equal(swk_raft_transfer(leader->raft, target, NULL), 0);
    cluster_settle(c); /* no time passes */
    assert_false(leader->leads);
    assert_true(c->members[target].leads);
    assert_int_equal(swk_raft_transfer(leader->raft, 1, NULL), SWK_ENOTLEADER);
    assert_int_equal(swk_raft_transfer(c->members[target].raft, 7, NULL),
                     SWK_ENOTFOUND);
}

static void r_trf_5_the_best_member_takes_over(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    uint64_t behind = leader->id % 3 + 1;
    uint64_t best = 6 - leader->id - behind;

    cluster_isolate(c, behind);
    propose_many(leader, 3);
    cluster_mend(c);
    assert_int_equal(swk_raft_transfer(leader->raft, 0, NULL), 0);
    cluster_settle(c);
    assert_true(c->members[best].leads);
}

static void r_trf_2_proposals_wait_while_leadership_is_handed_over(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    uint64_t target = leader->id % 3 + 1;

    cluster_crash(c, target);
    assert_int_equal(swk_raft_transfer(leader->raft, target, NULL), 0);
    assert_int_equal(cluster_propose(leader, "x"), SWK_EUNAVAILABLE);
    assert_int_equal(cluster_status(leader).transfer_target, target);
    cluster_run(c, 6); /* an election timeout: given up */
    assert_int_equal(cluster_propose(leader, "x"), 0);
    assert_true(leader->leads);
}

static void a_sole_member_has_nobody_to_hand_over_to(void **state)
{
    struct cluster_member *m = cluster_found(*state, 1);

    assert_int_equal(swk_raft_transfer(m->raft, 0, NULL), SWK_ENOTFOUND);
}

/* -- Reads ----------------------------------------------------------------- */

static void reads_are_answered_on_the_leader_and_on_followers(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    struct cluster_member *follower = &c->members[leader->id % 3 + 1];

    propose_many(leader, 4);
    assert_int_equal(swk_raft_read_index(leader->raft, "own", 3, NULL), 0);
    assert_int_equal(swk_raft_read_index(follower->raft, "its", 3, NULL), 0);
    assert_int_equal(leader->reads, 0); /* a quorum is asked first */
    cluster_settle(c);
    assert_int_equal(leader->reads, 1);
    assert_int_equal(leader->read_index, leader->proposal);
    assert_memory_equal(leader->read_context, "own", 3);
    assert_int_equal(follower->reads, 1);
    assert_int_equal(follower->read_index, leader->proposal);
    assert_memory_equal(follower->read_context, "its", 3);
}

static void r_rdi_4_a_cut_off_leader_answers_no_read(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);

    cluster_isolate(c, leader->id);
    assert_int_equal(swk_raft_read_index(leader->raft, "r", 1, NULL), 0);
    cluster_run(c, 30);
    assert_int_equal(leader->reads, 0);
    assert_int_equal(swk_raft_read_index(leader->raft, "r", 1, NULL),
                     SWK_ENOTLEADER);
}

/* -- Snapshots ------------------------------------------------------------- */

static void snapshot_often(struct swk_raft_config *config, void *ctx)
{
    (void)ctx;
    config->snapshot_interval = 20;
    config->entries_for_slow_followers = 5;
}

/* Three members, one of which misses what nobody keeps for it. */
static struct cluster_member *found_with_one_behind(struct cluster *c)
{
    struct cluster_member *leader;
    struct cluster_member *behind;

    c->configure = snapshot_often;
    leader = cluster_found(c, 3);
    behind = &c->members[leader->id % 3 + 1];
    cluster_isolate(c, behind->id);
    cluster_run(c, 12); /* until it counts as inactive */
    propose_many(leader, 100);
    assert_true(cluster_status(leader).first_index > 50);
    cluster_mend(c);
    return behind;
}

static void a_member_far_behind_is_sent_a_snapshot(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *behind = found_with_one_behind(c);

    cluster_run(c, 20);
    assert_int_equal(behind->installed, 1);
    assert_int_equal(c->snapshots_sent, 1);
    cluster_check_converged(c);

    cluster_crash(c, behind->id); /* and it lives on with it */
    assert_int_equal(cluster_start(c, behind->id, 0), 0);
    assert_true(behind->applied >= 80);
    cluster_run(c, 20);
    cluster_check_converged(c);
}

static void a_new_member_of_an_old_group_gets_a_snapshot(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader;

    c->configure = snapshot_often;
    leader = cluster_found(c, 1);
    propose_many(leader, 100);
    assert_int_equal(cluster_start(c, 2, 0), 0);
    assert_int_equal(cluster_change(leader, SWK_RAFT_ADD_VOTER, 2), 0);
    cluster_run(c, 5);
    assert_int_equal(c->members[2].installed, 1);
    assert_int_equal(cluster_status(&c->members[2]).voter, 1);
    cluster_check_converged(c);
}

static void r_snp_3_a_snapshot_that_was_lost_is_sent_again(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *behind = found_with_one_behind(c);

    c->drop_snapshots = true;
    cluster_run(c, 20);
    assert_int_equal(behind->installed, 0);
    assert_true(c->snapshots_sent > 1);
    c->drop_snapshots = false;
    cluster_run(c, 10);
    assert_int_equal(behind->installed, 1);
    cluster_check_converged(c);
}

static void r_snp_7_active_members_keep_what_they_need(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader;
    struct cluster_member *slow;

    c->configure = snapshot_often;
    leader = cluster_found(c, 3);
    slow = &c->members[leader->id % 3 + 1];
    slow->disk.held = true; /* it hears, and acknowledges nothing */
    propose_many(leader, 40);
    assert_true(cluster_status(leader).snapshot_index >= 20);
    assert_true(cluster_status(leader).first_index <= 10);
    slow->disk.held = false;
    cluster_run(c, 3);
    assert_int_equal(c->snapshots_sent, 0);
    cluster_check_converged(c);
}

/* -- Storage --------------------------------------------------------------- */

static void nothing_is_acknowledged_before_it_is_durable(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);

    for (uint64_t id = 1; id <= 3; id++) {
        c->members[id].disk.held = id != leader->id;
    }
    assert_int_equal(cluster_propose(leader, "x"), 0);
    cluster_settle(c);
    assert_true(leader->applied < leader->proposal);
    c->members[leader->id % 3 + 1].disk.held = false;
    cluster_settle(c);
    assert_int_equal(leader->applied, leader->proposal);
}

static void a_majority_commits_without_the_leaders_disk(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);

    leader->disk.held = true;
    assert_int_equal(cluster_propose(leader, "x"), 0);
    cluster_settle(c);
    assert_int_equal(cluster_status(leader).committed, leader->proposal);
    assert_true(leader->applied < leader->proposal); /* R-APP-2 */
    leader->disk.held = false;
    cluster_settle(c);
    cluster_check_converged(c);
}

static void r_dsk_4_a_leader_whose_disk_hangs_hands_over(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *first = cluster_found(c, 3);
    struct cluster_member *second;

    first->disk.held = true;
    assert_int_equal(cluster_propose(first, "x"), 0);
    cluster_run(c, 12);
    second = cluster_leader(c);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    assert_int_equal(first->lost, 1);
    propose_many(second, 3);
    cluster_crash(c, second->id); /* the first must not take over again */
    cluster_run(c, 40);
    assert_null(cluster_leader(c));
    first->disk.held = false;
    cluster_elect(c);
    cluster_check_converged(c);
}

static void r_dsk_4_a_sole_member_with_a_slow_disk_goes_on(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *m = cluster_found(c, 1);

    m->disk.held = true;
    assert_int_equal(cluster_propose(m, "x"), 0);
    cluster_run(c, 50);
    assert_int_equal(cluster_propose(m, "y"), 0);
    m->disk.held = false;
    cluster_settle(c);
    assert_int_equal(m->applied, m->proposal);
    assert_int_equal(m->lost, 0);
}

static void r_dsk_1_a_failed_disk_ends_a_member_and_not_the_group(void **state)
{
    static const struct swk_error reason = {SWK_EIO, "no space left"};
    struct cluster *c = *state;
    struct cluster_member *first = cluster_found(c, 3);
    struct swk_error err;

    swk_raft_storage_failed(first->raft, &reason);
    cluster_settle(c);
    assert_int_equal(first->failure, SWK_EIO);
    assert_int_equal(first->failures, 1);
    assert_int_equal(first->lost, 1);
    assert_int_equal(swk_raft_propose(first->raft, "x", 1, NULL, &err),
                     SWK_EIO);
    assert_non_null(strstr(err.text, "no space left"));
    assert_int_equal(swk_raft_deadline(first->raft), SWK_NEVER);
    assert_int_equal(cluster_status(first).failure, SWK_EIO);
    assert_int_equal(cluster_status(first).role, SWK_RAFT_FOLLOWER);
    assert_ptr_not_equal(cluster_elect(c), first);
}

static void r_dsk_3_a_member_that_lost_entries_recovers_them_first(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    struct cluster_member *m = &c->members[leader->id % 3 + 1];
    struct cluster_member *other = &c->members[6 - leader->id - m->id];
    uint64_t acknowledged;

    propose_many(leader, 10);
    acknowledged = m->disk.last;
    cluster_crash(c, m->id);
    cluster_isolate(c, leader->id);
    assert_int_equal(swk_raft_new(&m->config, &m->raft, NULL), 0);
    assert_int_equal(swk_raft_restore_hard_state(
                         m->raft,
                         &(struct swk_hard_state){m->disk.state.term, 0, 4},
                         NULL), 0);
    for (uint64_t i = 1; i <= 6; i++) {
        assert_int_equal(
            swk_raft_restore_entry(m->raft, &m->disk.entries[i], NULL), 0);
    }
    assert_int_equal(swk_raft_restore_lost(m->raft, acknowledged, NULL), 0);
    m->applied = 0;
    m->sum = 0;
    assert_int_equal(swk_raft_start(m->raft, c->now, NULL), 0);
    assert_int_equal(cluster_status(m).recovering, acknowledged);
    cluster_run(c, 50); /* with m alone, the other wins no election */
    assert_false(other->leads);
    assert_false(m->leads);

    cluster_mend(c);
    cluster_elect(c);
    cluster_run(c, 20);
    assert_int_equal(cluster_status(m).recovering, 0);
    cluster_check_converged(c);
}

/* -- Time ------------------------------------------------------------------ */

static void r_tim_7_a_long_sleep_starts_no_election(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *leader = cluster_found(c, 3);
    uint64_t term = cluster_status(leader).term;

    c->now += SWK_HOUR;
    cluster_run(c, 20);
    assert_int_equal(cluster_status(leader).term, term);
    assert_int_equal(leader->gained, 1);
    assert_int_equal(leader->lost, 0);
}

static void expiring_early_does_nothing(void **state)
{
    struct cluster *c = *state;

    cluster_found(c, 3);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(swk_raft_expire(c->members[1].raft, c->now, NULL), 0);
        assert_int_equal(swk_raft_expire(c->members[1].raft, 1, NULL), 0);
    }
    assert_true(swk_raft_deadline(c->members[1].raft) > c->now);
    assert_int_equal(cluster_status(&c->members[1]).leaderless_ticks, 0);
}

#define CLUSTER_TEST(name)                                                     \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUSTER_TEST(a_group_of_three_elects_a_leader_and_replicates),
        CLUSTER_TEST(a_sole_founder_leads_at_once),
        CLUSTER_TEST(a_sole_member_that_comes_back_leads_at_once),
        CLUSTER_TEST(a_member_that_joins_never_campaigns),
        CLUSTER_TEST(another_leads_when_the_leader_crashes),
        CLUSTER_TEST(a_leader_without_a_quorum_steps_down_and_says_so_once),
        CLUSTER_TEST(all_that_was_applied_survives_a_crash_of_all),
        CLUSTER_TEST(a_learner_is_added_catches_up_and_is_promoted),
        CLUSTER_TEST(
            a_learner_that_lacks_more_than_the_gap_has_not_caught_up),
        CLUSTER_TEST(a_removed_leader_steps_down_and_another_is_elected),
        CLUSTER_TEST(r_cfg_3_one_change_at_a_time),
        CLUSTER_TEST(voters_are_replaced_through_a_joint_configuration),
        CLUSTER_TEST(an_explicit_joint_configuration_stays_until_it_is_left),
        CLUSTER_TEST(r_trf_1_leadership_is_handed_to_whom_it_should),
        CLUSTER_TEST(r_trf_5_the_best_member_takes_over),
        CLUSTER_TEST(r_trf_2_proposals_wait_while_leadership_is_handed_over),
        CLUSTER_TEST(a_sole_member_has_nobody_to_hand_over_to),
        CLUSTER_TEST(reads_are_answered_on_the_leader_and_on_followers),
        CLUSTER_TEST(r_rdi_4_a_cut_off_leader_answers_no_read),
        CLUSTER_TEST(a_member_far_behind_is_sent_a_snapshot),
        CLUSTER_TEST(a_new_member_of_an_old_group_gets_a_snapshot),
        CLUSTER_TEST(r_snp_3_a_snapshot_that_was_lost_is_sent_again),
        CLUSTER_TEST(r_snp_7_active_members_keep_what_they_need),
        CLUSTER_TEST(nothing_is_acknowledged_before_it_is_durable),
        CLUSTER_TEST(a_majority_commits_without_the_leaders_disk),
        CLUSTER_TEST(r_dsk_4_a_leader_whose_disk_hangs_hands_over),
        CLUSTER_TEST(r_dsk_4_a_sole_member_with_a_slow_disk_goes_on),
        CLUSTER_TEST(r_dsk_1_a_failed_disk_ends_a_member_and_not_the_group),
        CLUSTER_TEST(r_dsk_3_a_member_that_lost_entries_recovers_them_first),
        CLUSTER_TEST(r_tim_7_a_long_sleep_starts_no_election),
        CLUSTER_TEST(expiring_early_does_nothing),
    };

    return cmocka_run_group_tests_name("raft member", tests, NULL, NULL);
}
