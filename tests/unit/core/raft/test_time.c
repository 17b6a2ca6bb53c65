/* SPDX-License-Identifier: Apache-2.0 */

/* Ticks, and what is drawn for them (section 5). */

#include "lib/cmocka_all.h"

#include "lib/raft_alone.h"

enum {
    DRAWS = 4000,
    DRAWS_EACH = DRAWS / ALONE_ELECTION_TICKS,
    FOREVER = 10 * ALONE_ELECTION_TICKS,
};

static int set_up(void **state)
{
    static struct alone a;

    alone_init(&a, 0);
    *state = &a;
    return 0;
}

static int tear_down(void **state)
{
    alone_free(*state);
    return 0;
}

static uint32_t timeout_of(const struct alone *a)
{
    return alone_status(a).election_timeout;
}

static void r_tim_1_an_election_takes_longer_than_a_heartbeat(void **state)
{
    static const struct {
        uint32_t heartbeat;
        uint32_t election;
        int rc;
    } cases[] = {
        {0, 10, SWK_EINVAL}, {10, 10, SWK_EINVAL}, {11, 10, SWK_EINVAL},
        {0, 0, SWK_EINVAL},  {9, 10, SWK_OK},      {1, 2, SWK_OK},
    };
    struct alone *a = *state;

    a->config.lease_margin_ticks = 1;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_machine *m = NULL;

        a->config.heartbeat_ticks = cases[i].heartbeat;
        a->config.election_ticks = cases[i].election;
        assert_int_equal(swki_machine_new(&a->config, &m, NULL), cases[i].rc);
        swki_machine_free(m);
    }
}

/* A message of the next term makes it a follower anew. */
static void reset(struct alone *a)
{
    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = SWK_RAFT_MSG_HEARTBEAT,
                                    .from = 2,
                                    .term = alone_status(a).hard_state.term + 1,
                                }),
                     0);
    alone_settle(a);
}

static void r_tim_2_timeouts_are_drawn_evenly(void **state)
{
    unsigned drawn[ALONE_ELECTION_TICKS] = {0};
    struct alone *a = *state;

    alone_start(a, 3);
    for (int i = 0; i < DRAWS; i++) {
        reset(a);
        assert_in_range(timeout_of(a), ALONE_ELECTION_TICKS,
                        2 * ALONE_ELECTION_TICKS - 1);
        drawn[timeout_of(a) - ALONE_ELECTION_TICKS]++;
    }
    for (size_t i = 0; i < ALONE_ELECTION_TICKS; i++) {
        /* Five standard deviations. */
        assert_in_range(drawn[i], DRAWS_EACH - 95, DRAWS_EACH + 95);
    }
}

static void r_tim_2_the_seed_alone_says_what_is_drawn(void **state)
{
    uint32_t first[20];
    bool same = true;
    struct alone *a = *state;

    for (int run = 0; run < 3; run++) {
        a->config.seed = run < 2 ? 7 : 8;
        alone_start(a, 3);
        for (size_t i = 0; i < 20; i++) {
            reset(a);
            if (run == 0) {
                first[i] = timeout_of(a);
            } else if (run == 1) {
                assert_int_equal(timeout_of(a), first[i]);
            } else {
                same = same && timeout_of(a) == first[i];
            }
        }
    }
    assert_false(same);
}

/* Every other change of role begins to count anew. */
static void r_tim_2_a_pre_candidate_goes_on_counting(void **state)
{
    unsigned changed = 0;
    struct alone *a = *state;

    a->config.flags = SWKI_MACHINE_PRE_VOTE;
    for (a->config.seed = 0; a->config.seed < 20; a->config.seed++) {
        uint32_t drawn;

        alone_start(a, 3);
        drawn = timeout_of(a);
        alone_tick(a, 4);
        assert_int_equal(swki_machine_campaign(a->m, NULL), 0);
        assert_int_equal(alone_status(a).role, SWK_RAFT_PRE_CANDIDATE);
        assert_int_equal(timeout_of(a), drawn);
        assert_int_equal(alone_status(a).election_elapsed, 4);

        alone_settle(a);
        assert_int_equal(alone_step(a,
                                    &(struct swk_raft_message){
                                        .type = SWK_RAFT_MSG_PRE_VOTE_RESP,
                                        .from = 2,
                                        .term = ALONE_TERM + 1,
                                    }),
                         0);
        assert_int_equal(alone_status(a).role, SWK_RAFT_CANDIDATE);
        assert_int_equal(alone_status(a).election_elapsed, 0);
        changed += timeout_of(a) != drawn ? 1 : 0;
    }
    assert_true(changed > 10);
}

/* In each role in which it waits for a leader. */
static void
r_tim_3_an_election_begins_when_the_drawn_ticks_are_over(void **state)
{
    struct alone *a = *state;

    for (int role = SWK_RAFT_FOLLOWER; role <= SWK_RAFT_PRE_CANDIDATE; role++) {
        struct swki_machine_status status;

        if (role == SWK_RAFT_LEADER) {
            continue;
        }
        a->config.flags =
            role == SWK_RAFT_PRE_CANDIDATE ? SWKI_MACHINE_PRE_VOTE : 0;
        alone_start(a, 3);
        if (role != SWK_RAFT_FOLLOWER) {
            assert_int_equal(swki_machine_campaign(a->m, NULL), 0);
        }
        assert_int_equal(alone_status(a).role, role);
        alone_settle(a);
        swki_machine_set_election_timeout(a->m, 13);
        alone_tick(a, 12);
        assert_false(swki_machine_has_ready(a->m));
        assert_int_equal(alone_status(a).election_elapsed, 12);

        status = alone_status(a);
        alone_tick(a, 1);
        (void)alone_take(a);
        assert_int_equal(alone_status(a).election_elapsed, 0);
        if (role == SWK_RAFT_PRE_CANDIDATE) {
            assert_int_equal(alone_count(a, SWK_RAFT_MSG_PRE_VOTE), 2);
        } else {
            assert_int_equal(alone_count(a, SWK_RAFT_MSG_VOTE), 2);
            assert_int_equal(alone_status(a).hard_state.term,
                             status.hard_state.term + 1);
        }
    }
}

static void r_tim_3_who_cannot_be_elected_waits_for_ever(void **state)
{
    static const uint64_t voters[] = {2, 3};
    static const uint64_t learners[] = {1};
    static const struct swk_conf_state groups[] = {
        {.voters = voters, .voters_count = 2},
        {.voters = voters,
         .voters_count = 2,
         .learners = learners,
         .learners_count = 1},
    };
    struct alone *a = *state;

    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        alone_start_with(a, &groups[i]);
        alone_tick(a, FOREVER);
        assert_false(swki_machine_has_ready(a->m));
        assert_int_equal(alone_status(a).role, SWK_RAFT_FOLLOWER);
        /* It votes at once where others are in their leader's lease. */
        assert_int_equal(alone_status(a).election_elapsed, FOREVER);
    }
}

/* Nobody goes quiet, however long nothing is proposed (R-EXT-4). */
static void r_tim_4_heartbeats_are_sent_every_so_many_ticks(void **state)
{
    struct alone *a = *state;

    a->config.heartbeat_ticks = 3;
    alone_start(a, 3);
    alone_lead(a);
    for (unsigned tick = 1; tick <= FOREVER; tick++) {
        alone_tick(a, 1);
        (void)alone_take(a);
        assert_int_equal(alone_count(a, SWK_RAFT_MSG_HEARTBEAT),
                         tick % 3 == 0 ? 2 : 0);
        alone_finish(a);
    }
}

/* Counted from its beginning, whatever was counted before. */
static void r_tim_4_a_transfer_is_given_up_in_time(void **state)
{
    struct alone *a = *state;

    alone_start(a, 3);
    alone_lead(a);
    alone_tick(a, 7);
    assert_int_equal(swki_machine_transfer(a->m, 2, NULL), 0);
    alone_tick(a, ALONE_ELECTION_TICKS - 1);
    assert_int_equal(alone_status(a).transfer_target, 2);
    alone_tick(a, 1);
    assert_int_equal(alone_status(a).transfer_target, 0);
    assert_int_equal(alone_status(a).role, SWK_RAFT_LEADER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r_tim_1_an_election_takes_longer_than_a_heartbeat),
        TEST(r_tim_2_timeouts_are_drawn_evenly),
        TEST(r_tim_2_the_seed_alone_says_what_is_drawn),
        TEST(r_tim_2_a_pre_candidate_goes_on_counting),
        TEST(r_tim_3_an_election_begins_when_the_drawn_ticks_are_over),
        TEST(r_tim_3_who_cannot_be_elected_waits_for_ever),
        TEST(r_tim_4_heartbeats_are_sent_every_so_many_ticks),
        TEST(r_tim_4_a_transfer_is_given_up_in_time),
    };

    return cmocka_run_group_tests_name("raft_time", tests, NULL, NULL);
}
