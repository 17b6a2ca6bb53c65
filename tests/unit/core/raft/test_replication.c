/* SPDX-License-Identifier: Apache-2.0 */

/* What a leader sends to whom, and what it takes into account for it (section
 * 8); what a change of members commits (section 10). */

#include "lib/cmocka_all.h"

#include "lib/raft_alone.h"

enum {
    WINDOW = 2, /* messages */
    LEARNER = 4,
    FIRST = ALONE_INDEX + 1, /* of the leader's own entries */
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

/* Three voters and a learner, who have nothing yet. */
static void lead_learner(struct alone *a)
{
    static const uint64_t voters[] = {1, 2, 3};
    static const uint64_t learners[] = {LEARNER};
    static const struct swk_conf_state members = {
        .voters = voters,
        .voters_count = 3,
        .learners = learners,
        .learners_count = 1,
    };

    alone_start_with(a, &members);
    alone_lead(a);
}

static void lead(struct alone *a, uint64_t voters_count)
{
    alone_start(a, voters_count);
    alone_lead(a);
}

/* An append in the latest Ready as it should be. */
static void assert_append(const struct alone *a, uint64_t to, uint64_t index,
                          size_t count, uint64_t commit)
{
    const struct swk_raft_message *message =
        alone_sent(a, SWK_RAFT_MSG_APP, to);

    assert_non_null(message);
    assert_int_equal(message->index, index);
    assert_int_equal(message->entries_count, count);
    assert_int_equal(message->commit, commit);
}

static void assert_progress(const struct alone *a, uint64_t id, int state,
                            uint64_t match, uint64_t next)
{
    assert_int_equal(alone_peer(a, id)->state, state);
    assert_int_equal(alone_peer(a, id)->match, match);
    assert_int_equal(alone_peer(a, id)->next, next);
}

/* -- Accounting ------------------------------------------------------------ */

static void r_rep_2_a_full_window_pauses_a_member(void **state)
{
    struct alone *a = *state;

    a->config.inflight_messages_max = WINDOW;
    lead(a, 3);
    for (uint64_t i = 1; i <= 3; i++) {
        bool fits = i <= WINDOW;
        uint64_t index = alone_propose(a, "x");

        (void)alone_take(a);
        if (fits) {
            assert_append(a, 2, index - 1, 1, FIRST);
        }
        assert_int_equal(alone_count(a, SWK_RAFT_MSG_APP), fits ? 2 : 0);
        alone_finish(a);
        assert_progress(a, 2, SWK_RAFT_REPLICATE, FIRST,
                        fits ? index + 1 : index);
        assert_int_equal(alone_peer(a, 2)->flow_paused, i >= WINDOW);
    }
}

static void r_rep_2_a_probe_with_entries_waits_for_its_answer(void **state)
{
    struct alone *a = *state;

    lead(a, 3);
    assert_int_equal(swki_machine_report_unreachable(a->m, 2, NULL), 0);
    (void)alone_propose(a, "x");
    (void)alone_take(a);
    assert_append(a, 2, FIRST, 1, FIRST);
    alone_finish(a);
    assert_progress(a, 2, SWK_RAFT_PROBE, FIRST, FIRST + 1);
    assert_true(alone_peer(a, 2)->flow_paused);

    (void)alone_propose(a, "y");
    (void)alone_take(a);
    assert_null(alone_sent(a, SWK_RAFT_MSG_APP, 2));
    assert_append(a, 3, FIRST + 1, 1, FIRST);
}

/* It says nothing that an answer to it could change. */
static void r_rep_2_an_empty_probe_is_followed_by_others(void **state)
{
    struct alone *a = *state;

    lead(a, 3);
    assert_int_equal(swki_machine_report_unreachable(a->m, 2, NULL), 0);
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT_RESP, 2, 0);
    (void)alone_take(a);
    assert_append(a, 2, FIRST, 0, FIRST);
    assert_false(alone_peer(a, 2)->flow_paused);
}

/* -- To all ---------------------------------------------------------------- */

/* Also to those who get no entries: the commit index is news to them. */
static void r_rep_3_all_others_are_told_of_a_commit(void **state)
{
    struct alone *a = *state;
    uint64_t index;

    lead_learner(a);
    alone_hear(a, SWK_RAFT_MSG_APP_RESP, LEARNER, FIRST);
    alone_settle(a);
    index = alone_propose(a, "x");
    (void)alone_take(a);
    assert_int_equal(alone_count(a, SWK_RAFT_MSG_APP), 3);
    alone_finish(a);
    alone_hear(a, SWK_RAFT_MSG_APP_RESP, 2, index);
    (void)alone_take(a);
    assert_int_equal(alone_count(a, SWK_RAFT_MSG_APP), 3);
    for (uint64_t id = 2; id <= LEARNER; id++) {
        assert_append(a, id, index, 0, index);
    }
    assert_null(alone_sent(a, SWK_RAFT_MSG_APP, ALONE_ID));
}

/* The rest of its log may be another's. */
static void r_rep_4_heartbeats_tell_no_one_more_than_it_has(void **state)
{
    static const uint64_t commits[] = {0, 0, FIRST + 1, FIRST, 0};
    struct alone *a = *state;
    uint64_t index;

    lead_learner(a);
    index = alone_propose(a, "x");
    alone_settle(a);
    alone_hear(a, SWK_RAFT_MSG_APP_RESP, 2, index);
    index = alone_propose(a, "y"); /* 2 has it, and it is not committed */
    alone_settle(a);
    assert_int_equal(alone_status(a).hard_state.commit, FIRST + 1);
    alone_tick(a, 1);
    (void)alone_take(a);
    assert_int_equal(alone_count(a, SWK_RAFT_MSG_HEARTBEAT), 3);
    for (uint64_t id = 2; id <= LEARNER; id++) {
        assert_int_equal(alone_sent(a, SWK_RAFT_MSG_HEARTBEAT, id)->commit,
                         commits[id]);
        assert_int_equal(alone_peer(a, id)->sent_commit, commits[id]);
    }
    assert_int_equal(index, FIRST + 2);
}

/* -- What is heard --------------------------------------------------------- */

static void r_rep_7_a_heartbeat_answered_goes_on_with_who_lags(void **state)
{
    struct alone *a = *state;

    a->config.inflight_messages_max = WINDOW;
    lead(a, 3);
    /* Nothing is missing: nothing is sent. */
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT_RESP, 2, 0);
    assert_false(swki_machine_has_ready(a->m));
    assert_true(alone_peer(a, 2)->active);

    /* The window is full, and maybe all of it is lost. */
    for (unsigned i = 0; i < WINDOW; i++) {
        (void)alone_propose(a, "x");
    }
    alone_settle(a);
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT_RESP, 2, 0);
    (void)alone_take(a);
    assert_append(a, 2, FIRST + WINDOW, 0, FIRST);
    assert_null(alone_sent(a, SWK_RAFT_MSG_APP, 3));
    alone_finish(a);

    /* A probe under way is as good as lost. */
    assert_int_equal(swki_machine_report_unreachable(a->m, 3, NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        alone_hear(a, SWK_RAFT_MSG_HEARTBEAT_RESP, 3, 0);
        (void)alone_take(a);
        assert_append(a, 3, FIRST, WINDOW, FIRST);
        alone_finish(a);
        assert_true(alone_peer(a, 3)->flow_paused);
    }
}

/* Where its log ends is not known for sure. */
static void r_rep_7_one_that_is_probed_is_asked_even_so(void **state)
{
    struct alone *a = *state;

    lead(a, 3);
    assert_int_equal(swki_machine_report_unreachable(a->m, 2, NULL), 0);
    assert_progress(a, 2, SWK_RAFT_PROBE, FIRST, FIRST + 1);
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT_RESP, 2, 0);
    (void)alone_take(a);
    assert_append(a, 2, FIRST, 0, FIRST);
    alone_finish(a);
    alone_hear(a, SWK_RAFT_MSG_APP_RESP, 2, FIRST);
    assert_progress(a, 2, SWK_RAFT_REPLICATE, FIRST, FIRST + 1);
}

static void r_rep_8_an_unreachable_member_is_probed(void **state)
{
    struct alone *a = *state;

    lead(a, 3);
    (void)alone_propose(a, "x");
    (void)alone_propose(a, "y");
    alone_settle(a);
    assert_progress(a, 2, SWK_RAFT_REPLICATE, FIRST, FIRST + 3);
    assert_int_equal(swki_machine_report_unreachable(a->m, 2, NULL), 0);
    assert_progress(a, 2, SWK_RAFT_PROBE, FIRST, FIRST + 1);
    assert_progress(a, 3, SWK_RAFT_REPLICATE, FIRST, FIRST + 3);

    /* Said again it changes nothing, nor what the member itself says. */
    assert_int_equal(swki_machine_report_unreachable(a->m, 2, NULL), 0);
    assert_progress(a, 2, SWK_RAFT_PROBE, FIRST, FIRST + 1);
    alone_hear(a, SWK_RAFT_MSG_APP_RESP, 2, FIRST + 2);
    assert_progress(a, 2, SWK_RAFT_REPLICATE, FIRST + 2, FIRST + 3);
}

/* It waits for what becomes of the snapshot. */
static void r_rep_8_a_snapshot_under_way_is_another_matter(void **state)
{
    static const uint64_t voters[] = {1, 2, 3};
    static const struct swk_snapshot_meta meta = {
        .index = FIRST + 1,
        .term = ALONE_TERM + 1,
        .conf_state = {.voters = voters, .voters_count = 3},
    };
    struct alone *a = *state;

    lead(a, 3);
    (void)alone_propose(a, "x");
    alone_settle(a);
    alone_hear(a, SWK_RAFT_MSG_APP_RESP, 2, meta.index);
    alone_settle(a);
    assert_int_equal(swki_machine_set_snapshot(a->m, &meta, NULL), 0);
    assert_int_equal(swki_machine_compact(a->m, meta.index, NULL), 0);
    assert_int_equal(swki_machine_report_unreachable(a->m, 3, NULL), 0);
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT_RESP, 3, 0);
    assert_progress(a, 3, SWK_RAFT_SNAPSHOT, FIRST, meta.index + 1);

    assert_int_equal(swki_machine_report_unreachable(a->m, 3, NULL), 0);
    assert_progress(a, 3, SWK_RAFT_SNAPSHOT, FIRST, meta.index + 1);
    assert_int_equal(alone_peer(a, 3)->pending_snapshot, meta.index);
}

/* -- Proposals (section 16) ------------------------------------------------ */

static void r_pro_2_a_proposal_has_its_place_at_once(void **state)
{
    struct alone *a = *state;

    lead(a, 3);
    for (uint64_t i = 1; i <= 5; i++) {
        assert_int_equal(alone_propose(a, "x"), FIRST + i);
        assert_int_equal(swki_machine_term_at(a->m, FIRST + i),
                         alone_status(a).hard_state.term);
    }
    assert_int_equal(alone_status(a).hard_state.commit, FIRST);
}

/* Its index says what became of it when that is applied: the same term, and it
 * was done; another, and it never will be. */
static void r_pro_2_what_another_leader_replaced_is_of_its_term(void **state)
{
    struct alone *a = *state;
    const struct swk_log_entry other = {.index = FIRST + 2,
                                        .term = ALONE_TERM + 2};

    lead(a, 3);
    for (uint64_t i = 1; i <= 2; i++) {
        assert_int_equal(alone_propose(a, "x"), FIRST + i);
    }
    alone_settle(a);
    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = SWK_RAFT_MSG_APP,
                                    .from = 2,
                                    .term = ALONE_TERM + 2,
                                    .index = FIRST + 1,
                                    .log_term = ALONE_TERM + 1,
                                    .commit = FIRST + 2,
                                    .entries = &other,
                                    .entries_count = 1,
                                }),
                     0);
    (void)alone_take(a);
    assert_int_equal(a->ready->role, SWK_RAFT_FOLLOWER);
    assert_int_equal(a->ready->committed_count, 2);
    assert_int_equal(a->ready->committed[0].index, FIRST + 1);
    assert_int_equal(a->ready->committed[0].term, ALONE_TERM + 1);
    assert_int_equal(a->ready->committed[1].index, FIRST + 2);
    assert_int_equal(a->ready->committed[1].term, ALONE_TERM + 2);
    alone_finish(a);
}

/* -- Reads (sections 15 and 19) -------------------------------------------- */

static void r_ext_5_one_answer_confirms_all_reads_before_it(void **state)
{
    struct alone *a = *state;
    struct swk_raft_message answer = {
        .type = SWK_RAFT_MSG_HEARTBEAT_RESP,
        .from = 2,
        .term = ALONE_TERM + 1,
    };

    lead(a, 3);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(swki_machine_read_index(a->m, "read", 4, NULL), 0);
        alone_settle(a);
    }
    answer.context = (const uint8_t[]){3, 0, 0, 0, 0, 0, 0, 0};
    answer.context_len = 8;
    assert_int_equal(alone_step(a, &answer), 0);
    assert_int_equal(alone_take(a)->reads_count, 3);
    alone_finish(a);
    assert_int_equal(alone_status(a).reads_waiting, 1);
}

/* A leader's lease is its own. */
static void r_ext_5_no_follower_answers_reads_by_itself(void **state)
{
    struct alone *a = *state;

    a->config.flags = SWKI_MACHINE_CHECK_QUORUM_ON | SWKI_MACHINE_LEASE_READS;
    alone_start(a, 3);
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, 2, 0);
    alone_settle(a);
    assert_int_equal(swki_machine_read_index(a->m, "read", 4, NULL), 0);
    (void)alone_take(a);
    assert_int_equal(a->ready->reads_count, 0);
    assert_non_null(alone_sent(a, SWK_RAFT_MSG_READ_INDEX, 2));
}

/* Whoever answered answers the same position again: that is no news. */
static void r_rdi_5_fewer_voters_confirm_what_they_answered(void **state)
{
    struct alone *a = *state;
    struct swk_raft_message answer = {
        .type = SWK_RAFT_MSG_HEARTBEAT_RESP,
        .from = 2,
        .term = ALONE_TERM + 1,
        .context = (const uint8_t[]){1, 0, 0, 0, 0, 0, 0, 0},
        .context_len = 8,
    };
    uint64_t removal;

    lead(a, 4);
    removal = alone_change(a, SWK_RAFT_REMOVE, 4);
    alone_settle(a);
    assert_int_equal(swki_machine_read_index(a->m, "read", 4, NULL), 0);
    alone_settle(a);
    assert_int_equal(alone_step(a, &answer), 0);
    alone_settle(a);
    assert_int_equal(alone_status(a).reads_waiting, 1); /* two of four */
    alone_hear(a, SWK_RAFT_MSG_APP_RESP, 2, removal);
    alone_hear(a, SWK_RAFT_MSG_APP_RESP, 3, removal);
    alone_settle(a);
    assert_int_equal(alone_status(a).hard_state.commit, removal);
    assert_int_equal(alone_status(a).reads_waiting, 0); /* two of three */
}

/* -- Commits by a change of members (section 10) --------------------------- */

static void r_com_2_fewer_voters_commit_what_they_have(void **state)
{
    struct alone *a = *state;
    uint64_t removal;
    uint64_t last;

    lead(a, 4);
    removal = alone_change(a, SWK_RAFT_REMOVE, 4);
    last = alone_propose(a, "x");
    alone_settle(a);
    alone_hear(a, SWK_RAFT_MSG_APP_RESP, 2, last);
    assert_int_equal(alone_status(a).hard_state.commit, FIRST);
    alone_hear(a, SWK_RAFT_MSG_APP_RESP, 3, removal);
    /* Two of four have the last one; then they are two of three. */
    (void)alone_take(a);
    assert_int_equal(alone_status(a).hard_state.commit, removal);
    alone_finish(a);
    assert_int_equal(alone_status(a).hard_state.commit, last);
    (void)alone_take(a);
    assert_append(a, 2, last, 0, last);
    assert_append(a, 3, last, 0, last);
    assert_null(alone_sent(a, SWK_RAFT_MSG_APP, 4));
}

static void r_com_2_a_new_member_need_not_wait(void **state)
{
    struct alone *a = *state;
    uint64_t addition;

    lead(a, 3);
    addition = alone_change(a, SWK_RAFT_ADD_LEARNER, LEARNER);
    alone_settle(a);
    alone_hear(a, SWK_RAFT_MSG_APP_RESP, 2, addition);
    alone_hear(a, SWK_RAFT_MSG_APP_RESP, 3, addition);
    (void)alone_take(a); /* with the change, which is applied now */
    alone_finish(a);
    (void)alone_take(a);
    /* The others have all, and are not sent it again. */
    assert_int_equal(alone_count(a, SWK_RAFT_MSG_APP), 1);
    assert_append(a, LEARNER, addition - 1, 1, addition);
}

/* -- Whether a change is safe (section 13) --------------------------------- */

/* Both halves must commit that one of them goes. */
static void r_cfg_16_a_half_that_is_left_has_its_say(void **state)
{
    static const uint64_t incoming[] = {1, 2, 3};
    static const uint64_t outgoing[] = {1, 4, 5};
    static const struct swk_conf_state members = {
        .voters = incoming,
        .voters_count = 3,
        .voters_outgoing = outgoing,
        .voters_outgoing_count = 3,
    };
    static const struct {
        uint64_t active[2];
        bool keeps;
    } cases[] = {{{2, 3}, false}, {{4, 5}, false}, {{2, 4}, true}};
    const struct swk_raft_conf_change leave = {.size = sizeof(leave)};
    struct alone *a = *state;

    alone_start_with(a, &members);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            swki_machine_keeps_quorum(a->m, &leave, cases[i].active, 2),
            cases[i].keeps);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r_rep_2_a_full_window_pauses_a_member),
        TEST(r_rep_2_a_probe_with_entries_waits_for_its_answer),
        TEST(r_rep_2_an_empty_probe_is_followed_by_others),
        TEST(r_rep_3_all_others_are_told_of_a_commit),
        TEST(r_rep_4_heartbeats_tell_no_one_more_than_it_has),
        TEST(r_rep_7_a_heartbeat_answered_goes_on_with_who_lags),
        TEST(r_rep_7_one_that_is_probed_is_asked_even_so),
        TEST(r_rep_8_an_unreachable_member_is_probed),
        TEST(r_rep_8_a_snapshot_under_way_is_another_matter),
        TEST(r_pro_2_a_proposal_has_its_place_at_once),
        TEST(r_pro_2_what_another_leader_replaced_is_of_its_term),
        TEST(r_ext_5_one_answer_confirms_all_reads_before_it),
        TEST(r_ext_5_no_follower_answers_reads_by_itself),
        TEST(r_rdi_5_fewer_voters_confirm_what_they_answered),
        TEST(r_com_2_fewer_voters_commit_what_they_have),
        TEST(r_com_2_a_new_member_need_not_wait),
        TEST(r_cfg_16_a_half_that_is_left_has_its_say),
    };

    return cmocka_run_group_tests_name("raft_replication", tests, NULL, NULL);
}
