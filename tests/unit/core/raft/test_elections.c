/* SPDX-License-Identifier: Apache-2.0 */

/* Elections: who asks whom for what, and what ends a leader (section 7); the
 * two ways around a leader's lease (section 14). */

#include "lib/cmocka_all.h"

#include "core/raft/inside.h"
#include "lib/raft_alone.h"

enum {
    LEARNER = 6,
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

static void start(struct alone *a, uint32_t flags, uint64_t voters_count)
{
    a->config.flags = flags;
    alone_start(a, voters_count);
}

static void campaign(struct alone *a)
{
    assert_int_equal(swki_machine_campaign(a->m, NULL), 0);
}

static void say(struct alone *a, int32_t type, uint64_t from, uint64_t term,
                int32_t reject)
{
    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = type,
                                    .from = from,
                                    .term = term,
                                    .reject = reject,
                                }),
                     0);
}

/* Voters 1 to so many, and a learner. */
static void start_with_learner(struct alone *a, uint64_t voters_count)
{
    static const uint64_t ids[] = {1, 2, 3, 4, 5};
    static const uint64_t learners[] = {LEARNER};
    const struct swk_conf_state members = {
        .voters = ids,
        .voters_count = voters_count,
        .learners = learners,
        .learners_count = 1,
    };

    alone_start_with(a, &members);
}

/* -- Asking ---------------------------------------------------------------- */

static void r_ele_2_a_pre_candidate_has_nothing_to_store(void **state)
{
    struct alone *a = *state;

    start(a, SWKI_MACHINE_PRE_VOTE, 3);
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, 2, 0);
    alone_settle(a);
    campaign(a);
    (void)alone_take(a);
    assert_int_equal(a->ready->role, SWK_RAFT_PRE_CANDIDATE);
    assert_int_equal(a->ready->leader, 0);
    assert_null(a->ready->hard_state);
    assert_false(a->ready->must_sync);
    assert_int_equal(alone_status(a).hard_state.term, ALONE_TERM);
    assert_int_equal(alone_status(a).hard_state.vote, 0);
    assert_int_equal(alone_sent(a, SWK_RAFT_MSG_PRE_VOTE, 2)->term,
                     ALONE_TERM + 1);
}

static void r_ele_2_a_candidate_stores_its_own_vote(void **state)
{
    struct alone *a = *state;

    start(a, 0, 3);
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, 2, 0);
    alone_settle(a);
    campaign(a);
    (void)alone_take(a);
    assert_int_equal(a->ready->role, SWK_RAFT_CANDIDATE);
    assert_int_equal(a->ready->leader, 0);
    assert_non_null(a->ready->hard_state);
    assert_int_equal(a->ready->hard_state->term, ALONE_TERM + 1);
    assert_int_equal(a->ready->hard_state->vote, ALONE_ID);
    assert_true(a->ready->must_sync);
    assert_int_equal(alone_sent(a, SWK_RAFT_MSG_VOTE, 2)->term, ALONE_TERM + 1);
}

/* Answers to the last campaign are no answers to this one. */
static void r_ele_2_every_campaign_counts_anew(void **state)
{
    struct alone *a = *state;

    start(a, SWKI_MACHINE_PRE_VOTE, 5);
    campaign(a);
    alone_settle(a);
    say(a, SWK_RAFT_MSG_PRE_VOTE_RESP, 2, ALONE_TERM + 1, 0);
    campaign(a);
    alone_settle(a);
    say(a, SWK_RAFT_MSG_PRE_VOTE_RESP, 3, ALONE_TERM + 1, 0);
    assert_int_equal(alone_status(a).role, SWK_RAFT_PRE_CANDIDATE);
    say(a, SWK_RAFT_MSG_PRE_VOTE_RESP, 4, ALONE_TERM + 1, 0);
    assert_int_equal(alone_status(a).role, SWK_RAFT_CANDIDATE);
}

static void check_asked(const struct alone *a, int32_t type, uint64_t last)
{
    static const uint64_t others[] = {2, 3, 4, 5}; /* in order, no learner */

    assert_int_equal(a->ready->messages_count, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct swk_raft_message *message = &a->ready->messages[i];

        assert_int_equal(message->type, type);
        assert_int_equal(message->to, others[i]);
        assert_int_equal(message->index, last);
        assert_int_equal(message->log_term, ALONE_TERM);
        assert_int_equal(message->context_len, 0);
    }
}

static void r_ele_3_every_voter_of_both_halves_is_asked_once(void **state)
{
    static const uint64_t incoming[] = {1, 2, 5};
    static const uint64_t outgoing[] = {1, 3, 4};
    static const uint64_t learners[] = {LEARNER};
    static const uint64_t next[] = {4};
    static const struct swk_conf_state members = {
        .voters = incoming,
        .voters_count = 3,
        .voters_outgoing = outgoing,
        .voters_outgoing_count = 3,
        .learners = learners,
        .learners_count = 1,
        .learners_next = next,
        .learners_next_count = 1,
    };
    static const struct swk_log_entry entry = {.index = ALONE_INDEX + 1,
                                               .term = ALONE_TERM};
    struct alone *a = *state;

    for (int pre = 0; pre < 2; pre++) {
        a->config.flags = pre != 0 ? SWKI_MACHINE_PRE_VOTE : 0;
        alone_start_with(a, &members);
        assert_int_equal(alone_step(a,
                                    &(struct swk_raft_message){
                                        .type = SWK_RAFT_MSG_APP,
                                        .from = 2,
                                        .term = ALONE_TERM,
                                        .index = ALONE_INDEX,
                                        .log_term = ALONE_TERM,
                                        .entries = &entry,
                                        .entries_count = 1,
                                    }),
                         0);
        alone_settle(a);
        campaign(a);
        (void)alone_take(a);
        check_asked(a, pre != 0 ? SWK_RAFT_MSG_PRE_VOTE : SWK_RAFT_MSG_VOTE,
                    ALONE_INDEX + 1);
    }
}

/* One vote of the other would be a majority of two, with the own one. */
static void r_ele_3_the_own_vote_counts_when_it_is_durable(void **state)
{
    struct swk_raft_message own;
    struct alone *a = *state;

    start(a, SWKI_MACHINE_ASYNC, 2);
    campaign(a);
    (void)alone_take(a);
    own = *alone_held(a, SWK_RAFT_MSG_VOTE_RESP, ALONE_ID);
    assert_null(alone_sent(a, SWK_RAFT_MSG_VOTE_RESP, ALONE_ID));
    say(a, SWK_RAFT_MSG_VOTE_RESP, 2, ALONE_TERM + 1, 0);
    assert_int_equal(alone_status(a).role, SWK_RAFT_CANDIDATE);
    assert_int_equal(alone_step(a, &own), 0);
    assert_int_equal(alone_status(a).role, SWK_RAFT_LEADER);
}

/* -- Being asked ----------------------------------------------------------- */

static void ask(struct alone *a, int32_t type, uint64_t from, uint64_t term,
                uint64_t last)
{
    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = type,
                                    .from = from,
                                    .term = term,
                                    .index = last,
                                    .log_term = ALONE_TERM,
                                }),
                     0);
}

/* No other answer is kept, nor does it put off the own campaign. */
static void r_ele_5_a_vote_that_was_given_begins_the_wait_anew(void **state)
{
    enum { NEXT = ALONE_TERM + 1, SHORT = ALONE_INDEX - 1 };
    struct alone *a = *state;

    start(a, 0, 3);
    ask(a, SWK_RAFT_MSG_VOTE, 2, NEXT, SHORT); /* which brings the term */
    alone_settle(a);
    alone_tick(a, 5);
    ask(a, SWK_RAFT_MSG_VOTE, 2, NEXT, SHORT);
    ask(a, SWK_RAFT_MSG_PRE_VOTE, 3, NEXT + 1, ALONE_INDEX);
    (void)alone_take(a);
    assert_int_equal(alone_held(a, SWK_RAFT_MSG_VOTE_RESP, 2)->reject, 1);
    assert_int_equal(alone_held(a, SWK_RAFT_MSG_PRE_VOTE_RESP, 3)->reject, 0);
    assert_int_equal(alone_status(a).hard_state.vote, 0);
    assert_int_equal(alone_status(a).election_elapsed, 5);
    alone_finish(a);

    ask(a, SWK_RAFT_MSG_VOTE, 3, NEXT, ALONE_INDEX);
    assert_int_equal(alone_status(a).hard_state.vote, 3);
    assert_int_equal(alone_status(a).election_elapsed, 0);
}

/* R-TIM-5, R-ELE-8 */
static void r_ele_8_a_new_leader_knows_no_log_but_its_own(void **state)
{
    struct alone *a = *state;

    start(a, SWKI_MACHINE_ASYNC, 3);
    campaign(a);
    alone_settle(a);
    say(a, SWK_RAFT_MSG_VOTE_RESP, 2, ALONE_TERM + 1, 0);
    (void)alone_take(a);
    assert_int_equal(a->ready->role, SWK_RAFT_LEADER);
    assert_int_equal(a->ready->entries_count, 1);
    assert_int_equal(a->ready->entries[0].data_len, 0);
    /* What it had when it was elected is durable, and no more yet. */
    assert_int_equal(alone_peer(a, ALONE_ID)->match, ALONE_INDEX);
    assert_int_equal(alone_peer(a, ALONE_ID)->state, SWK_RAFT_REPLICATE);
    assert_true(alone_peer(a, ALONE_ID)->active);
    for (uint64_t id = 2; id <= 3; id++) {
        assert_int_equal(alone_peer(a, id)->match, 0);
        assert_int_equal(alone_peer(a, id)->next, ALONE_INDEX + 1);
        assert_int_equal(alone_peer(a, id)->state, SWK_RAFT_PROBE);
        assert_false(alone_peer(a, id)->active);
    }
    alone_finish(a);
    assert_int_equal(alone_peer(a, ALONE_ID)->match, ALONE_INDEX + 1);
}

/* -- Moves that must not be ------------------------------------------------ */

static void r_ele_9_an_impossible_move_ends_the_member(void **state)
{
    static const struct {
        bool leads;
        void (*move)(struct swki_machine *m);
    } moves[] = {
        {true, swki_machine_become_candidate},
        {true, swki_machine_become_pre_candidate},
        {false, swki_machine_become_leader},
    };
    struct alone *a = *state;

    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        struct swki_machine_status before;

        start(a, 0, 3);
        if (moves[i].leads) {
            alone_lead(a);
        }
        alone_tick(a, 1);
        before = alone_status(a);
        assert_null(swki_machine_failure(a->m));
        moves[i].move(a->m);
        assert_non_null(swki_machine_failure(a->m));
        assert_int_equal(alone_status(a).role, before.role);
        assert_int_equal(alone_status(a).hard_state.term,
                         before.hard_state.term);
        /* Nothing goes in or out any more. */
        assert_false(swki_machine_has_ready(a->m));
        assert_int_equal(swki_machine_tick(a->m, NULL), SWK_EIO);
        assert_int_equal(swki_machine_campaign(a->m, NULL), SWK_EIO);
        assert_int_equal(swki_machine_take_ready(a->m, &a->ready, NULL),
                         SWK_EIO);
    }
}

/* -- Whether the leader still has a quorum --------------------------------- */

/* One round of heartbeats in which some answer; learner and all. */
static void let_answer(struct alone *a, uint64_t first, uint64_t last)
{
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT_RESP, LEARNER, 0);
    for (uint64_t id = first; id <= last; id++) {
        alone_hear(a, SWK_RAFT_MSG_HEARTBEAT_RESP, id, 0);
    }
    alone_settle(a);
}

static void r_ele_10_a_leader_that_few_answer_steps_down(void **state)
{
    struct alone *a = *state;
    uint64_t term;

    a->config.flags = SWKI_MACHINE_CHECK_QUORUM_ON;
    start_with_learner(a, 5);
    alone_lead(a);
    term = alone_status(a).hard_state.term;
    /* All were heard of since it leads, then three with itself. */
    for (int round = 0; round < 3; round++) {
        alone_tick(a, ALONE_ELECTION_TICKS);
        assert_int_equal(alone_status(a).role, SWK_RAFT_LEADER);
        assert_false(alone_peer(a, 2)->active);
        alone_settle(a);
        let_answer(a, 2, 3);
    }
    /* Two, since learners do not count: not before the time is over. */
    alone_tick(a, ALONE_ELECTION_TICKS);
    let_answer(a, 2, 2);
    alone_tick(a, ALONE_ELECTION_TICKS - 1);
    assert_int_equal(alone_status(a).role, SWK_RAFT_LEADER);
    alone_tick(a, 1);
    assert_int_equal(alone_status(a).role, SWK_RAFT_FOLLOWER);
    assert_int_equal(alone_status(a).leader, 0);
    assert_int_equal(alone_status(a).hard_state.term, term);
}

static void r_ele_10_both_halves_must_answer(void **state)
{
    static const uint64_t incoming[] = {1, 2, 3};
    static const uint64_t outgoing[] = {1, 4, 5};
    static const struct swk_conf_state members = {
        .voters = incoming,
        .voters_count = 3,
        .voters_outgoing = outgoing,
        .voters_outgoing_count = 3,
    };
    struct alone *a = *state;

    for (uint64_t second = 4; second > 2; second--) {
        a->config.flags = SWKI_MACHINE_CHECK_QUORUM_ON;
        alone_start_with(a, &members);
        alone_lead(a);
        alone_tick(a, ALONE_ELECTION_TICKS);
        alone_settle(a);
        alone_hear(a, SWK_RAFT_MSG_HEARTBEAT_RESP, 2, 0);
        alone_hear(a, SWK_RAFT_MSG_HEARTBEAT_RESP, second, 0);
        alone_tick(a, ALONE_ELECTION_TICKS);
        assert_int_equal(alone_status(a).role,
                         second == 4 ? SWK_RAFT_LEADER : SWK_RAFT_FOLLOWER);
    }
}

static void r_ele_10_without_the_check_a_leader_stays(void **state)
{
    struct alone *a = *state;

    start(a, 0, 3);
    alone_lead(a);
    alone_tick(a, 5 * ALONE_ELECTION_TICKS);
    assert_int_equal(alone_status(a).role, SWK_RAFT_LEADER);
}

/* -- TimeoutNow ------------------------------------------------------------ */

static void r_trf_4_the_target_campaigns_at_once(void **state)
{
    struct alone *a = *state;

    start(a, SWKI_MACHINE_PRE_VOTE | SWKI_MACHINE_CHECK_QUORUM_ON, 3);
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, 2, 0);
    alone_settle(a);
    alone_hear(a, SWK_RAFT_MSG_TIMEOUT_NOW, 2, 0);
    (void)alone_take(a);
    assert_int_equal(a->ready->role, SWK_RAFT_CANDIDATE);
    assert_int_equal(a->ready->hard_state->term, ALONE_TERM + 1);
    for (uint64_t id = 2; id <= 3; id++) {
        const struct swk_raft_message *message =
            alone_sent(a, SWK_RAFT_MSG_VOTE, id);

        assert_non_null(message);
        assert_int_equal(message->context_len, SWKI_MACHINE_TRANSFER_MARK_LEN);
        assert_memory_equal(message->context, swki_machine_transfer_mark,
                            SWKI_MACHINE_TRANSFER_MARK_LEN);
    }
}

static void r_trf_4_only_followers_do_as_they_are_told(void **state)
{
    static const struct {
        uint32_t flags;
        enum swk_raft_role role;
    } cases[] = {
        {0, SWK_RAFT_CANDIDATE},
        {SWKI_MACHINE_PRE_VOTE, SWK_RAFT_PRE_CANDIDATE},
        {0, SWK_RAFT_LEADER},
    };
    struct alone *a = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t term;

        start(a, cases[i].flags, 3);
        if (cases[i].role == SWK_RAFT_LEADER) {
            alone_lead(a);
        } else {
            campaign(a);
        }
        alone_settle(a);
        term = alone_status(a).hard_state.term;
        alone_hear(a, SWK_RAFT_MSG_TIMEOUT_NOW, 2, 0);
        assert_int_equal(alone_status(a).role, cases[i].role);
        assert_int_equal(alone_status(a).hard_state.term, term);
        assert_false(swki_machine_has_ready(a->m));
    }
}

/* What forbids any other campaign (R-ELE-1) forbids this one. */
static void r_trf_4_a_member_that_may_not_campaign_does_not(void **state)
{
    static const uint64_t voters[] = {2, 3};
    static const uint64_t learners[] = {1};
    static const struct swk_conf_state members = {
        .voters = voters,
        .voters_count = 2,
        .learners = learners,
        .learners_count = 1,
    };
    /* An empty one that leaves the joint configuration. */
    static const struct swk_log_entry change = {
        .index = ALONE_INDEX + 1,
        .term = ALONE_TERM,
        .type = SWK_RAFT_ENTRY_CONF_CHANGE_V2,
    };
    struct alone *a = *state;

    alone_start_with(a, &members);
    alone_hear(a, SWK_RAFT_MSG_TIMEOUT_NOW, 2, 0);
    assert_int_equal(alone_status(a).role, SWK_RAFT_FOLLOWER);

    alone_start(a, 3);
    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = SWK_RAFT_MSG_APP,
                                    .from = 2,
                                    .term = ALONE_TERM,
                                    .index = ALONE_INDEX,
                                    .log_term = ALONE_TERM,
                                    .commit = ALONE_INDEX + 1,
                                    .entries = &change,
                                    .entries_count = 1,
                                }),
                     0);
    alone_hear(a, SWK_RAFT_MSG_TIMEOUT_NOW, 2, 0);
    assert_int_equal(alone_status(a).role, SWK_RAFT_FOLLOWER);
    assert_int_equal(alone_status(a).hard_state.term, ALONE_TERM);
}

/* -- Forgetting the leader ------------------------------------------------- */

/* A pre-vote of 3; whether it was granted. */
static bool grants(struct alone *a)
{
    const struct swk_raft_message *answer;

    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = SWK_RAFT_MSG_PRE_VOTE,
                                    .from = 3,
                                    .term = ALONE_TERM + 1,
                                    .index = ALONE_INDEX,
                                    .log_term = ALONE_TERM,
                                }),
                     0);
    (void)alone_take(a);
    answer = alone_held(a, SWK_RAFT_MSG_PRE_VOTE_RESP, 3);
    alone_finish(a);
    return answer != NULL && answer->reject == 0;
}

static void r_fgt_1_who_forgets_its_leader_votes_in_the_lease(void **state)
{
    struct alone *a = *state;

    start(a, SWKI_MACHINE_PRE_VOTE | SWKI_MACHINE_CHECK_QUORUM_ON, 3);
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, 2, 0);
    alone_settle(a);
    assert_false(grants(a));
    assert_int_equal(swki_machine_forget_leader(a->m, NULL), 0);
    assert_int_equal(alone_status(a).leader, 0);
    assert_int_equal(alone_status(a).role, SWK_RAFT_FOLLOWER);
    assert_int_equal(alone_status(a).hard_state.term, ALONE_TERM);
    assert_true(grants(a));
    /* The leader is alive after all. */
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, 2, 0);
    assert_int_equal(alone_status(a).leader, 2);
    assert_false(grants(a));
}

static void r_fgt_1_only_followers_forget(void **state)
{
    struct alone *a = *state;

    start(a, 0, 3);
    campaign(a);
    alone_settle(a);
    assert_int_equal(swki_machine_forget_leader(a->m, NULL), 0);
    assert_int_equal(alone_status(a).role, SWK_RAFT_CANDIDATE);
    start(a, 0, 3);
    alone_lead(a);
    assert_int_equal(swki_machine_forget_leader(a->m, NULL), 0);
    assert_int_equal(alone_status(a).role, SWK_RAFT_LEADER);
    assert_int_equal(alone_status(a).leader, ALONE_ID);
}

/* Reads of the leader rely on nobody's voting in its lease. */
static void r_fgt_1_no_leader_is_forgotten_where_leases_count(void **state)
{
    struct alone *a = *state;

    start(a, SWKI_MACHINE_CHECK_QUORUM_ON | SWKI_MACHINE_LEASE_READS, 3);
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, 2, 0);
    assert_int_equal(swki_machine_forget_leader(a->m, NULL), SWK_EPRECONDITION);
    assert_int_equal(alone_status(a).leader, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r_ele_2_a_pre_candidate_has_nothing_to_store),
        TEST(r_ele_2_a_candidate_stores_its_own_vote),
        TEST(r_ele_2_every_campaign_counts_anew),
        TEST(r_ele_3_every_voter_of_both_halves_is_asked_once),
        TEST(r_ele_3_the_own_vote_counts_when_it_is_durable),
        TEST(r_ele_5_a_vote_that_was_given_begins_the_wait_anew),
        TEST(r_ele_8_a_new_leader_knows_no_log_but_its_own),
        TEST(r_ele_9_an_impossible_move_ends_the_member),
        TEST(r_ele_10_a_leader_that_few_answer_steps_down),
        TEST(r_ele_10_both_halves_must_answer),
        TEST(r_ele_10_without_the_check_a_leader_stays),
        TEST(r_trf_4_the_target_campaigns_at_once),
        TEST(r_trf_4_only_followers_do_as_they_are_told),
        TEST(r_trf_4_a_member_that_may_not_campaign_does_not),
        TEST(r_fgt_1_who_forgets_its_leader_votes_in_the_lease),
        TEST(r_fgt_1_only_followers_forget),
        TEST(r_fgt_1_no_leader_is_forgotten_where_leases_count),
    };

    return cmocka_run_group_tests_name("raft_elections", tests, NULL, NULL);
}
