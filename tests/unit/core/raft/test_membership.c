/* SPDX-License-Identifier: Apache-2.0 */

/* Changes of membership as a driver makes them (section 13). */

#include "lib/cmocka_all.h"

#include <swarmkit/raft.h>

#include "lib/raft_cluster.h"

enum {
    GIVEN_MAX = 8,
    DATA_MAX = 64,
};

/* -- A member alone -------------------------------------------------------- */

/* Its disk is done at once; what it is given to apply waits for the test. */
struct sole {
    swk_raft *raft;
    swk_time now;
    struct swk_log_entry given[GIVEN_MAX];
    uint8_t data[GIVEN_MAX][DATA_MAX];
    size_t given_count;
};

/* Takes its actions until there are no more. */
static void turn(struct sole *s)
{
    const struct swk_raft_actions *actions = swk_raft_take_actions(s->raft);

    while (actions->persist_ticket != 0 || actions->committed_count > 0) {
        uint64_t ticket = actions->persist_ticket;

        for (size_t i = 0; i < actions->committed_count; i++) {
            struct swk_log_entry *entry = &s->given[s->given_count];

            assert_true(s->given_count < GIVEN_MAX);
            *entry = actions->committed[i];
            assert_true(entry->data_len <= DATA_MAX);
            if (entry->data_len > 0) {
                memcpy(s->data[s->given_count], entry->data, entry->data_len);
                entry->data = s->data[s->given_count];
            }
            s->given_count++;
        }
        if (ticket != 0) {
            assert_int_equal(swk_raft_persisted(s->raft, ticket, NULL), 0);
        }
        actions = swk_raft_take_actions(s->raft);
    }
}

/* Founds a group of itself, and leads. */
static void found(struct sole *s, uint32_t flags)
{
    static const struct swk_raft_change self = {.id = 1};
    const struct swk_raft_conf_change founder = {
        .size = sizeof(founder), .changes = &self, .changes_count = 1};
    const struct swk_raft_config config = {
        .size = sizeof(config), .id = 1, .seed = 1, .flags = flags};

    *s = (struct sole){.now = SWK_SECOND};
    assert_int_equal(swk_raft_new(&config, &s->raft, NULL), 0);
    assert_int_equal(swk_raft_bootstrap(s->raft, &founder, 1, NULL), 0);
    assert_int_equal(swk_raft_start(s->raft, s->now, NULL), 0);
    turn(s);
    assert_int_equal(s->given_count, 1);
    assert_int_equal(swk_raft_apply_conf_change(s->raft, &s->given[0], 0, NULL),
                     0);
    assert_int_equal(swk_raft_applied(s->raft, 1, NULL), 0);
    assert_int_equal(swk_raft_expire(s->raft, s->now, NULL), 0);
    turn(s);
    assert_int_equal(swk_raft_applied(s->raft, 2, NULL), 0);
    s->given_count = 0;
}

static int propose(struct sole *s, int32_t type, uint64_t id)
{
    const struct swk_raft_change one = {.type = type, .id = id};
    const struct swk_raft_conf_change change = {
        .size = sizeof(change), .changes = &one, .changes_count = 1};

    return swk_raft_propose_conf_change(s->raft, &change, NULL, NULL);
}

/* Twice, out of order, or not at all: no. */
static void r_app_5_each_change_is_applied_once_and_in_order(void **state)
{
    struct sole s;

    (void)state;
    found(&s, SWK_RAFT_NO_CONF_CHANGE_VALIDATION);
    assert_int_equal(propose(&s, SWK_RAFT_ADD_LEARNER, 2), 0);
    assert_int_equal(propose(&s, SWK_RAFT_ADD_LEARNER, 3), 0);
    assert_int_equal(swk_raft_propose(s.raft, "x", 1, NULL, NULL), 0);
    turn(&s);
    assert_int_equal(s.given_count, 3);

    assert_int_equal(swk_raft_applied(s.raft, 3, NULL), SWK_EINVAL);
    assert_int_equal(swk_raft_apply_conf_change(s.raft, &s.given[1], 0, NULL),
                     SWK_EINVAL);
    assert_int_equal(swk_raft_peers(s.raft, NULL, 0), 1);
    assert_int_equal(swk_raft_apply_conf_change(s.raft, &s.given[0], 0, NULL),
                     0);
    assert_int_equal(swk_raft_peers(s.raft, NULL, 0), 2);
    assert_int_equal(swk_raft_apply_conf_change(s.raft, &s.given[0], 0, NULL),
                     SWK_EINVAL);
    assert_int_equal(swk_raft_applied(s.raft, 5, NULL), SWK_EINVAL);
    assert_int_equal(swk_raft_apply_conf_change(s.raft, &s.given[2], 0, NULL),
                     SWK_EINVAL); /* is none */
    assert_int_equal(swk_raft_apply_conf_change(s.raft, &s.given[1], 0, NULL),
                     0);
    assert_int_equal(swk_raft_applied(s.raft, 5, NULL), 0);
    assert_int_equal(swk_raft_apply_conf_change(s.raft, &s.given[1], 0, NULL),
                     SWK_EINVAL);
    assert_int_equal(swk_raft_peers(s.raft, NULL, 0), 3);
    swk_raft_free(s.raft);
}

static void r_app_5_a_change_that_is_voided_counts_as_applied(void **state)
{
    struct sole s;

    (void)state;
    found(&s, 0);
    assert_int_equal(propose(&s, SWK_RAFT_ADD_LEARNER, 2), 0);
    turn(&s);
    assert_int_equal(swk_raft_apply_conf_change(s.raft, &s.given[0], 1, NULL),
                     0);
    assert_int_equal(swk_raft_apply_conf_change(s.raft, &s.given[0], 0, NULL),
                     SWK_EINVAL);
    assert_int_equal(swk_raft_peers(s.raft, NULL, 0), 1);
    /* The next one may come only behind it. */
    assert_int_equal(propose(&s, SWK_RAFT_ADD_LEARNER, 3), SWK_EPRECONDITION);
    assert_int_equal(swk_raft_applied(s.raft, s.given[0].index, NULL), 0);
    turn(&s);
    assert_int_equal(propose(&s, SWK_RAFT_ADD_LEARNER, 3), 0);
    swk_raft_free(s.raft);
}

/* What is asked for is what is applied, to the application's own part. */
static void r_cfg_1_a_request_arrives_as_it_was_made(void **state)
{
    static const struct swk_raft_change changes[] = {
        {.type = SWK_RAFT_ADD_LEARNER, .id = 2},
        {.type = SWK_RAFT_ADD_VOTER, .id = UINT64_MAX - 2},
        {.type = SWK_RAFT_REMOVE, .id = 9},
        {.type = SWK_RAFT_UPDATE, .id = 1},
    };
    static const uint8_t context[] = "its own";

    (void)state;
    for (int32_t transition = SWK_RAFT_TRANSITION_AUTO;
         transition <= SWK_RAFT_TRANSITION_JOINT_EXPLICIT; transition++) {
        for (size_t count = 1; count <= 4; count++) {
            const struct swk_raft_conf_change change = {
                .size = sizeof(change),
                .transition = transition,
                .changes = changes,
                .changes_count = count,
                .context = context,
                .context_len = sizeof(context),
            };
            struct swk_raft_change room[SWK_RAFT_CHANGES_MAX];
            struct swk_raft_conf_change read;
            struct sole s;

            found(&s, 0);
            assert_int_equal(
                swk_raft_propose_conf_change(s.raft, &change, NULL, NULL), 0);
            turn(&s);
            assert_int_equal(
                swk_raft_read_conf_change(&s.given[0], room, &read, NULL), 0);
            assert_int_equal(read.transition, transition);
            assert_int_equal(read.changes_count, count);
            for (size_t i = 0; i < count; i++) {
                assert_int_equal(read.changes[i].type, changes[i].type);
                assert_int_equal(read.changes[i].id, changes[i].id);
            }
            assert_int_equal(read.context_len, sizeof(context));
            assert_memory_equal(read.context, context, sizeof(context));
            swk_raft_free(s.raft);
        }
    }
}

/* -- A group --------------------------------------------------------------- */

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

static void set_flags(struct swk_raft_config *config, void *ctx)
{
    config->flags = *(const uint32_t *)ctx;
}

/* Removes a member that hears nothing of it, and lets it come back. */
static void remove_unheard(struct cluster *c, struct cluster_member *leader,
                           struct cluster_member *gone)
{
    cluster_isolate(c, gone->id);
    assert_int_equal(cluster_change(leader, SWK_RAFT_REMOVE, gone->id), 0);
    cluster_run(c, 30);
    assert_true(leader->leads);
    cluster_mend(c);
    cluster_run(c, 60);
}

static void r_cfg_13_a_removed_member_disturbs_nobody(void **state)
{
    /* Either is enough, once the others have gone on. */
    static uint32_t flags[] = {0, SWK_RAFT_NO_PRE_VOTE,
                               SWK_RAFT_NO_CHECK_QUORUM};

    (void)state;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct cluster *c = cluster_new();
        struct cluster_member *leader;
        struct cluster_member *gone;
        uint64_t term;

        c->configure = set_flags;
        c->configure_ctx = &flags[i];
        leader = cluster_found(c, 3);
        gone = &c->members[leader->id % 3 + 1];
        term = cluster_status(leader).term;
        remove_unheard(c, leader, gone);
        assert_true(leader->leads);
        assert_int_equal(leader->gained, 1);
        assert_int_equal(cluster_status(leader).term, term);
        /* It thinks itself a voter without leader, and goes on asking. */
        assert_int_equal(cluster_status(gone).leader, 0);
        assert_int_equal(cluster_status(gone).voter, 1);
        cluster_free(c);
    }
}

/* What the two protect from. */
static void r_cfg_13_without_both_a_removed_member_disturbs(void **state)
{
    static uint32_t flags = SWK_RAFT_NO_PRE_VOTE | SWK_RAFT_NO_CHECK_QUORUM;
    struct cluster *c = *state;
    struct cluster_member *leader;
    uint64_t term;

    c->configure = set_flags;
    c->configure_ctx = &flags;
    leader = cluster_found(c, 3);
    term = cluster_status(leader).term;
    remove_unheard(c, leader, &c->members[leader->id % 3 + 1]);
    assert_true(cluster_status(leader).term > term);
}

/* The others may not know yet that it is none of them any more. */
static void r_cfg_13_a_leader_may_remove_itself(void **state)
{
    struct cluster *c = *state;
    struct cluster_member *first = cluster_found(c, 3);
    struct cluster_member *second;

    assert_int_equal(cluster_change(first, SWK_RAFT_REMOVE, first->id), 0);
    assert_int_equal(cluster_status(first).role, SWK_RAFT_FOLLOWER);
    assert_int_equal(cluster_status(first).voter, 0);
    assert_int_equal(cluster_propose(first, "x"), SWK_ENOTLEADER);
    second = cluster_elect(c);
    assert_ptr_not_equal(first, second);
    assert_int_equal(cluster_propose(second, "y"), 0);
    cluster_settle(c);
    assert_int_equal(second->applied, second->proposal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r_app_5_each_change_is_applied_once_and_in_order),
        cmocka_unit_test(r_app_5_a_change_that_is_voided_counts_as_applied),
        cmocka_unit_test(r_cfg_1_a_request_arrives_as_it_was_made),
        cmocka_unit_test(r_cfg_13_a_removed_member_disturbs_nobody),
        TEST(r_cfg_13_without_both_a_removed_member_disturbs),
        TEST(r_cfg_13_a_leader_may_remove_itself),
    };

    return cmocka_run_group_tests_name("raft_membership", tests, NULL, NULL);
}
