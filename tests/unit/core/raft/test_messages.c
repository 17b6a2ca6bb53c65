/* SPDX-License-Identifier: Apache-2.0 */

/* Which term a message has when it leaves, what waits for the storage, and
 * what the term of one that comes in does (section 6). */

#include "lib/cmocka_all.h"

#include "lib/raft_alone.h"

enum {
    LEADER = 2,
    OTHER = 3,
    STRANGER = 7,
};

static int set_up(void **state)
{
    static struct alone a;

    alone_init(&a, SWKI_MACHINE_FORWARD_PROPOSALS);
    alone_start(&a, 3);
    *state = &a;
    return 0;
}

static int tear_down(void **state)
{
    alone_free(*state);
    return 0;
}

static uint64_t term_of(const struct alone *a)
{
    return alone_status(a).hard_state.term;
}

static void follow(struct alone *a)
{
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, LEADER, 0);
    alone_settle(a);
    assert_int_equal(alone_status(a).leader, LEADER);
}

/* A message in the latest Ready, wherever it is. */
static const struct swk_raft_message *sent(const struct alone *a, int32_t type,
                                           uint64_t to)
{
    const struct swk_raft_message *message = alone_sent(a, type, to);

    if (message == NULL) {
        message = alone_held(a, type, to);
    }
    assert_non_null(message);
    return message;
}

static void assert_stamped(const struct alone *a, int32_t type, uint64_t to,
                           uint64_t term)
{
    assert_int_equal(sent(a, type, to)->term, term);
    assert_int_equal(sent(a, type, to)->from, ALONE_ID);
}

static int request(struct alone *a, int32_t type, uint64_t from, uint64_t term,
                   uint64_t last)
{
    return alone_step(a, &(struct swk_raft_message){
                             .type = type,
                             .from = from,
                             .term = term,
                             .index = last,
                             .log_term = ALONE_TERM,
                         });
}

/* -- What leaves ----------------------------------------------------------- */

static void r_msg_1_requests_have_the_term_they_are_about(void **state)
{
    struct alone *a = *state;

    a->config.flags = SWKI_MACHINE_PRE_VOTE;
    alone_start(a, 3);
    assert_int_equal(swki_machine_campaign(a->m, NULL), 0);
    (void)alone_take(a);
    assert_int_equal(term_of(a), ALONE_TERM);
    assert_stamped(a, SWK_RAFT_MSG_PRE_VOTE, 2, ALONE_TERM + 1);
    alone_finish(a);
    alone_settle(a);
    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = SWK_RAFT_MSG_PRE_VOTE_RESP,
                                    .from = 2,
                                    .term = ALONE_TERM + 1,
                                }),
                     0);
    (void)alone_take(a);
    assert_int_equal(term_of(a), ALONE_TERM + 1);
    assert_stamped(a, SWK_RAFT_MSG_VOTE, 2, ALONE_TERM + 1);
}

/* Granted with the term of the request, refused with the own one. */
static void r_msg_1_answers_to_requests_say_which_they_mean(void **state)
{
    struct alone *a = *state;

    assert_int_equal(request(a, SWK_RAFT_MSG_PRE_VOTE, 2, 5, ALONE_INDEX), 0);
    assert_int_equal(request(a, SWK_RAFT_MSG_PRE_VOTE, 3, 5, 1), 0);
    (void)alone_take(a);
    assert_int_equal(term_of(a), ALONE_TERM);
    assert_stamped(a, SWK_RAFT_MSG_PRE_VOTE_RESP, 2, 5);
    assert_int_equal(sent(a, SWK_RAFT_MSG_PRE_VOTE_RESP, 2)->reject, 0);
    assert_stamped(a, SWK_RAFT_MSG_PRE_VOTE_RESP, 3, ALONE_TERM);
    assert_int_equal(sent(a, SWK_RAFT_MSG_PRE_VOTE_RESP, 3)->reject, 1);
    alone_finish(a);

    assert_int_equal(request(a, SWK_RAFT_MSG_VOTE, 2, 6, ALONE_INDEX), 0);
    assert_int_equal(request(a, SWK_RAFT_MSG_VOTE, 3, 6, ALONE_INDEX), 0);
    (void)alone_take(a);
    assert_stamped(a, SWK_RAFT_MSG_VOTE_RESP, 2, 6);
    assert_stamped(a, SWK_RAFT_MSG_VOTE_RESP, 3, 6);
    assert_int_equal(sent(a, SWK_RAFT_MSG_VOTE_RESP, 3)->reject, 1);
}

/* A request that is passed on keeps who asked, and is of no term: it may
 * arrive in another. */
static void r_msg_1_what_is_forwarded_has_no_term(void **state)
{
    static const uint8_t context[] = "read";
    static const struct swk_log_entry entry = {.data = context, .data_len = 4};
    struct alone *a = *state;

    follow(a);
    assert_int_equal(
        swki_machine_propose(a->m, SWK_RAFT_ENTRY_NORMAL, "x", 1, NULL, NULL),
        0);
    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = SWK_RAFT_MSG_READ_INDEX,
                                    .from = OTHER,
                                    .entries = &entry,
                                    .entries_count = 1,
                                }),
                     0);
    assert_int_equal(swki_machine_transfer(a->m, OTHER, NULL), 0);
    (void)alone_take(a);
    assert_stamped(a, SWK_RAFT_MSG_PROP, LEADER, 0);
    assert_int_equal(sent(a, SWK_RAFT_MSG_READ_INDEX, LEADER)->term, 0);
    assert_int_equal(sent(a, SWK_RAFT_MSG_READ_INDEX, LEADER)->from, OTHER);
    assert_int_equal(sent(a, SWK_RAFT_MSG_TRANSFER_LEADER, LEADER)->term,
                     ALONE_TERM);
    assert_int_equal(sent(a, SWK_RAFT_MSG_TRANSFER_LEADER, LEADER)->from,
                     OTHER);
}

static void r_msg_1_all_else_has_the_term_of_the_sender(void **state)
{
    struct alone *a = *state;

    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, LEADER, 0);
    alone_hear(a, SWK_RAFT_MSG_APP, LEADER, 0); /* before what is committed */
    (void)alone_take(a);
    assert_stamped(a, SWK_RAFT_MSG_HEARTBEAT_RESP, LEADER, ALONE_TERM);
    assert_stamped(a, SWK_RAFT_MSG_APP_RESP, LEADER, ALONE_TERM);
    alone_finish(a);

    alone_lead(a);
    alone_tick(a, 1);
    (void)alone_propose(a, "x");
    (void)alone_take(a);
    assert_stamped(a, SWK_RAFT_MSG_HEARTBEAT, OTHER, ALONE_TERM + 1);
    assert_stamped(a, SWK_RAFT_MSG_APP, OTHER, ALONE_TERM + 1);
    alone_finish(a);
    alone_hear(a, SWK_RAFT_MSG_APP_RESP, OTHER, alone_status(a).last);
    assert_int_equal(swki_machine_transfer(a->m, OTHER, NULL), 0);
    (void)alone_take(a);
    assert_stamped(a, SWK_RAFT_MSG_TIMEOUT_NOW, OTHER, ALONE_TERM + 1);
}

/* Whether it says yes or no, and to whom. */
static void
r_msg_2_answers_about_what_is_kept_wait_for_the_storage(void **state)
{
    static const int32_t held[] = {
        SWK_RAFT_MSG_APP_RESP,
        SWK_RAFT_MSG_VOTE_RESP,
        SWK_RAFT_MSG_PRE_VOTE_RESP,
    };
    struct alone *a = *state;
    size_t seen = 0;

    a->config.flags = SWKI_MACHINE_ASYNC;
    alone_start(a, 3);
    follow(a);
    alone_hear(a, SWK_RAFT_MSG_APP, LEADER, 0);  /* accepted */
    alone_hear(a, SWK_RAFT_MSG_APP, LEADER, 15); /* refused */
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, LEADER, 0);
    assert_int_equal(request(a, SWK_RAFT_MSG_PRE_VOTE, 2, 5, ALONE_INDEX), 0);
    assert_int_equal(request(a, SWK_RAFT_MSG_PRE_VOTE, 3, 5, 1), 0);
    assert_int_equal(request(a, SWK_RAFT_MSG_VOTE, 2, 6, ALONE_INDEX), 0);
    assert_int_equal(request(a, SWK_RAFT_MSG_VOTE, 3, 6, ALONE_INDEX), 0);
    (void)alone_take(a);
    assert_int_equal(alone_count(a, SWK_RAFT_MSG_HEARTBEAT_RESP), 1);
    assert_int_equal(a->ready->messages_count, 1);
    for (size_t i = 0; i < a->ready->responses_count; i++) {
        for (size_t k = 0; k < sizeof(held) / sizeof(held[0]); k++) {
            seen += a->ready->responses[i].type == held[k] ? 1 : 0;
        }
    }
    assert_int_equal(seen, 6);
    assert_int_equal(a->ready->responses_count, 6);
}

/* -- What comes in --------------------------------------------------------- */

static void r_msg_3_a_message_without_term_is_of_any(void **state)
{
    static const struct swk_log_entry entry = {.data = (const uint8_t *)"x",
                                               .data_len = 1};
    static const int32_t types[] = {
        SWK_RAFT_MSG_PROP,
        SWK_RAFT_MSG_READ_INDEX,
        SWK_RAFT_MSG_TRANSFER_LEADER,
    };
    struct alone *a = *state;

    alone_lead(a);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        uint64_t last = alone_status(a).last;

        assert_int_equal(alone_step(a,
                                    &(struct swk_raft_message){
                                        .type = types[i],
                                        .from = OTHER,
                                        .entries = &entry,
                                        .entries_count = 1,
                                    }),
                         0);
        assert_int_equal(term_of(a), ALONE_TERM + 1);
        assert_int_equal(alone_status(a).role, SWK_RAFT_LEADER);
        switch (types[i]) {
        case SWK_RAFT_MSG_PROP:
            assert_int_equal(alone_status(a).last, last + 1);
            break;
        case SWK_RAFT_MSG_READ_INDEX:
            assert_int_equal(alone_status(a).reads_waiting, 1);
            break;
        default:
            assert_int_equal(alone_status(a).transfer_target, OTHER);
            break;
        }
    }
}

/* Those that cannot be without: 0 would pass for local. */
static void r_msg_3_no_other_message_is_without_term(void **state)
{
    static const int32_t types[] = {
        SWK_RAFT_MSG_APP,         SWK_RAFT_MSG_APP_RESP,
        SWK_RAFT_MSG_VOTE,        SWK_RAFT_MSG_VOTE_RESP,
        SWK_RAFT_MSG_SNAP,        SWK_RAFT_MSG_HEARTBEAT,
        SWK_RAFT_MSG_PRE_VOTE,    SWK_RAFT_MSG_HEARTBEAT_RESP,
        SWK_RAFT_MSG_TIMEOUT_NOW,
    };
    struct alone *a = *state;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        assert_int_equal(alone_step(a,
                                    &(struct swk_raft_message){
                                        .type = types[i],
                                        .from = OTHER,
                                    }),
                         SWK_EINVAL);
    }
    assert_int_equal(alone_status(a).rejected[SWKI_MACHINE_REJECT_TERM],
                     sizeof(types) / sizeof(types[0]));
    assert_false(swki_machine_has_ready(a->m));
}

static void r_fol_1_whoever_speaks_as_leader_is_it(void **state)
{
    static const uint64_t voters[] = {1, 2, 3};
    static const struct swk_snapshot_meta known = {
        .index = 5,
        .term = 1,
        .conf_state = {.voters = voters, .voters_count = 3},
    };
    static const int32_t types[] = {
        SWK_RAFT_MSG_APP,
        SWK_RAFT_MSG_HEARTBEAT,
        SWK_RAFT_MSG_SNAP,
    };
    struct alone *a = *state;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        alone_start(a, 3);
        alone_tick(a, ALONE_ELECTION_TICKS - 1);
        assert_int_equal(alone_step(a,
                                    &(struct swk_raft_message){
                                        .type = types[i],
                                        .from = LEADER,
                                        .term = ALONE_TERM,
                                        .snapshot = &known,
                                    }),
                         0);
        assert_int_equal(alone_status(a).leader, LEADER);
        assert_int_equal(alone_status(a).election_elapsed, 0);
        assert_int_equal(alone_status(a).role, SWK_RAFT_FOLLOWER);
    }
}

/* A stranger's answer, and that of one who was a member when it was sent. */
static void r_rep_9_answers_of_strangers_count_for_nothing(void **state)
{
    static const uint64_t who[] = {STRANGER, OTHER};
    struct alone *a = *state;
    uint64_t index;

    alone_lead(a);
    index = alone_change(a, SWK_RAFT_REMOVE, OTHER);
    alone_settle(a);
    alone_hear(a, SWK_RAFT_MSG_APP_RESP, LEADER, index);
    alone_settle(a);
    assert_int_equal(alone_status(a).applied, index);
    index = alone_propose(a, "x");
    alone_settle(a);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(
            request(a, SWK_RAFT_MSG_APP_RESP, who[i], ALONE_TERM + 1, index),
            SWK_ENOTFOUND);
        assert_int_equal(
            request(a, SWK_RAFT_MSG_HEARTBEAT_RESP, who[i], ALONE_TERM + 1, 0),
            SWK_ENOTFOUND);
        assert_int_equal(swki_machine_report_unreachable(a->m, who[i], NULL),
                         0);
        assert_int_equal(swki_machine_report_snapshot(a->m, who[i], true, NULL),
                         0);
    }
    assert_false(swki_machine_has_ready(a->m));
    assert_int_equal(alone_status(a).hard_state.commit, index - 1);
}

/* With the check for a quorum on, as managers have it. */
static void ruled(struct alone *a)
{
    alone_free(a);
    alone_init(a,
               SWKI_MACHINE_FORWARD_PROPOSALS | SWKI_MACHINE_CHECK_QUORUM_ON);
    alone_start(a, 3);
}

static const int32_t ruling[] = {SWK_RAFT_MSG_APP, SWK_RAFT_MSG_HEARTBEAT,
                                 SWK_RAFT_MSG_TIMEOUT_NOW};
#define RULING (sizeof(ruling) / sizeof(ruling[0]))

static int rule(struct alone *a, int32_t type, uint64_t from, uint64_t term)
{
    const struct swk_log_entry entry = {
        .type = SWK_RAFT_ENTRY_NORMAL,
        .index = ALONE_INDEX + 1,
        .term = term,
        .data = (const uint8_t *)"forged",
        .data_len = 6,
    };
    struct swk_raft_message message = {
        .type = type, .from = from, .term = term};

    if (type == SWK_RAFT_MSG_APP) {
        message.index = ALONE_INDEX;
        message.log_term = ALONE_TERM;
        message.entries = &entry;
        message.entries_count = 1;
        message.commit = ALONE_INDEX + 1;
    }
    return alone_step(a, &message);
}

static void a_stranger_rules_not_while_a_member_does(void **state)
{
    struct alone *a = *state;
    uint64_t term;

    for (size_t i = 0; i < RULING; i++) {
        for (uint64_t ahead = 0; ahead < 10; ahead += 9) {
            if (ahead == 0 && ruling[i] != SWK_RAFT_MSG_TIMEOUT_NOW) {
                continue; /* two leaders of one term are another matter */
            }
            ruled(a);
            follow(a);
            term = term_of(a);
            alone_tick(a, ALONE_ELECTION_TICKS - 1);
            assert_int_equal(rule(a, ruling[i], STRANGER, term + ahead),
                             SWK_ENOTFOUND);
            alone_settle(a);
            assert_int_equal(term_of(a), term);
            assert_int_equal(alone_status(a).leader, LEADER);
            assert_int_equal(alone_status(a).applied, ALONE_INDEX);
            assert_int_equal(
                alone_status(a).rejected[SWKI_MACHINE_REJECT_NOT_MEMBER], 1);
        }
    }
}

static void a_leader_is_not_deposed_by_a_stranger(void **state)
{
    struct alone *a = *state;
    uint64_t term;

    ruled(a);
    alone_lead(a);
    alone_settle(a);
    term = term_of(a);
    for (size_t i = 0; i < RULING; i++) {
        assert_int_equal(rule(a, ruling[i], STRANGER, term + 9), SWK_ENOTFOUND);
        alone_settle(a);
        assert_int_equal(alone_status(a).role, SWK_RAFT_LEADER);
        assert_int_equal(term_of(a), term);
    }
}

/* Its log may be too short to know of the leader. */
static void a_stranger_rules_once_the_leader_is_silent(void **state)
{
    struct alone *a = *state;

    ruled(a);
    follow(a);
    alone_tick(a, ALONE_ELECTION_TICKS);
    alone_settle(a);
    assert_int_equal(rule(a, SWK_RAFT_MSG_HEARTBEAT, STRANGER, term_of(a) + 9),
                     SWK_OK);
    alone_settle(a);
    assert_int_equal(alone_status(a).leader, STRANGER);
}

/* One that it does not know may be followed by another such. */
static void a_stranger_that_rules_gives_way_to_another(void **state)
{
    struct alone *a = *state;

    ruled(a);
    assert_int_equal(rule(a, SWK_RAFT_MSG_HEARTBEAT, STRANGER, term_of(a) + 1),
                     SWK_OK);
    assert_int_equal(
        rule(a, SWK_RAFT_MSG_HEARTBEAT, STRANGER + 1, term_of(a) + 1), SWK_OK);
    alone_settle(a);
    assert_int_equal(alone_status(a).leader, STRANGER + 1);
}

/* Witnesses have no meaning yet: a change of another kind than the four is
 * taken from nobody. */
static void r_ext_2_members_of_other_kinds_are_refused(void **state)
{
    struct alone *a = *state;

    for (uint8_t kind = SWK_RAFT_ADD_LEARNER; kind < 8; kind++) {
        const uint8_t change[] = {0x08, 0x00, 0x10, kind, 0x18, 0x04};
        const struct swk_log_entry entry = {
            .index = ALONE_INDEX + 1,
            .term = ALONE_TERM,
            .type = SWK_RAFT_ENTRY_CONF_CHANGE,
            .data = change,
            .data_len = sizeof(change),
        };
        bool known = kind == SWK_RAFT_ADD_LEARNER;

        alone_start(a, 3);
        assert_int_equal(alone_step(a,
                                    &(struct swk_raft_message){
                                        .type = SWK_RAFT_MSG_APP,
                                        .from = LEADER,
                                        .term = ALONE_TERM,
                                        .index = ALONE_INDEX,
                                        .log_term = ALONE_TERM,
                                        .entries = &entry,
                                        .entries_count = 1,
                                    }),
                         known ? SWK_OK : SWK_EINVAL);
        alone_start(a, 3);
        alone_lead(a);
        assert_int_equal(swki_machine_propose(a->m, SWK_RAFT_ENTRY_CONF_CHANGE,
                                              change, sizeof(change), NULL,
                                              NULL),
                         known ? SWK_OK : SWK_EINVAL);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r_msg_1_requests_have_the_term_they_are_about),
        TEST(r_msg_1_answers_to_requests_say_which_they_mean),
        TEST(r_msg_1_what_is_forwarded_has_no_term),
        TEST(r_msg_1_all_else_has_the_term_of_the_sender),
        TEST(r_msg_2_answers_about_what_is_kept_wait_for_the_storage),
        TEST(r_msg_3_a_message_without_term_is_of_any),
        TEST(r_msg_3_no_other_message_is_without_term),
        TEST(r_fol_1_whoever_speaks_as_leader_is_it),
        TEST(r_rep_9_answers_of_strangers_count_for_nothing),
        TEST(a_stranger_rules_not_while_a_member_does),
        TEST(a_leader_is_not_deposed_by_a_stranger),
        TEST(a_stranger_rules_once_the_leader_is_silent),
        TEST(a_stranger_that_rules_gives_way_to_another),
        TEST(r_ext_2_members_of_other_kinds_are_refused),
    };

    return cmocka_run_group_tests_name("raft_messages", tests, NULL, NULL);
}
