/* SPDX-License-Identifier: Apache-2.0 */

/* What a member makes of what is stored (section 17). */

#include "lib/cmocka_all.h"

#include "lib/raft_alone.h"

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

/* A log that begins behind a snapshot; state may be NULL, for none. */
static int start(struct alone *a, uint64_t index, uint64_t term,
                 uint64_t voters_count, const struct swk_hard_state *state,
                 uint64_t applied)
{
    static const uint64_t voters[] = {1, 2, 3};
    const struct swk_snapshot_meta meta = {
        .index = index,
        .term = term,
        .conf_state = {.voters = voters, .voters_count = voters_count},
    };

    alone_new(a);
    assert_int_equal(swki_machine_restore_snapshot(a->m, &meta, NULL), 0);
    if (state != NULL) {
        assert_int_equal(swki_machine_restore_hard_state(a->m, state, NULL), 0);
    }
    for (uint64_t i = index + 1; state != NULL && i <= state->commit; i++) {
        /* The first one is a change that adds member 3. */
        static const uint8_t add[] = {0x08, 0x00, 0x10, 0x00, 0x18, 0x03};
        bool change = i == index + 1;
        const struct swk_log_entry entry = {
            .index = i,
            .term = term,
            .type = change ? SWK_RAFT_ENTRY_CONF_CHANGE : SWK_RAFT_ENTRY_NORMAL,
            .data = change ? add : NULL,
            .data_len = change ? sizeof(add) : 0,
        };

        assert_int_equal(swki_machine_restore_entry(a->m, &entry, NULL), 0);
    }
    return swki_machine_start(a->m, applied, NULL);
}

/* The members are those as of what the application has: what lies behind is
 * not given out again, and a change in it not made twice. */
static void r_boo_2_an_application_may_be_ahead_of_its_snapshot(void **state)
{
    static const struct swk_hard_state stored = {.term = 1, .commit = 13};
    static const struct {
        uint64_t applied;
        uint64_t voters_count; /* as of then */
        size_t given_count;
    } cases[] = {{0, 2, 3}, {10, 2, 3}, {11, 3, 2}, {12, 3, 1}, {13, 3, 0}};
    struct alone *a = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swk_log_entry change = {0};

        assert_int_equal(
            start(a, 10, 1, cases[i].voters_count, &stored, cases[i].applied),
            0);
        change = *swki_machine_entry_at(a->m, 11);
        (void)alone_take(a);
        assert_int_equal(a->ready->committed_count, cases[i].given_count);
        if (cases[i].applied >= 11) {
            assert_int_equal(swki_machine_apply_conf_change(a->m, &change,
                                                            false, NULL, NULL),
                             SWK_EINVAL);
        }
        alone_finish(a);
        assert_int_equal(swki_machine_configuration(a->m)->incoming.count, 3);
        assert_int_equal(alone_status(a).applied, 13);
    }
}

static void r_boo_2_no_application_is_ahead_of_the_commits(void **state)
{
    static const struct swk_hard_state stored = {.term = 1, .commit = 12};
    struct alone *a = *state;

    assert_int_equal(start(a, 10, 1, 3, &stored, 13), SWK_ECORRUPT);
    alone_start(a, 3); /* nothing half begun is left */
}

/* All founders are given the same snapshot, and nothing else. */
static void r_boo_3_a_group_begins_from_a_snapshot_alone(void **state)
{
    struct alone *a = *state;

    assert_int_equal(start(a, 1, 1, 3, NULL, 0), 0);
    assert_int_equal(alone_status(a).hard_state.commit, 1);
    assert_int_equal(alone_status(a).applied, 1);
    assert_false(swki_machine_has_ready(a->m));
    assert_int_equal(swki_machine_campaign(a->m, NULL), 0);
    (void)alone_take(a);
    assert_int_equal(alone_sent(a, SWK_RAFT_MSG_VOTE, 2)->index, 1);
    assert_int_equal(alone_sent(a, SWK_RAFT_MSG_VOTE, 2)->log_term, 1);
    alone_finish(a);
    alone_hear(a, SWK_RAFT_MSG_VOTE_RESP, 2, 0);
    (void)alone_take(a);
    assert_int_equal(alone_status(a).role, SWK_RAFT_LEADER);
    assert_int_equal(a->ready->entries_count, 1);
    assert_int_equal(a->ready->entries[0].index, 2);
    alone_finish(a);
}

/* Or one is, and leads at once; the others join it. */
static void r_boo_3_a_sole_founder_leads_alone(void **state)
{
    struct alone *a = *state;

    assert_int_equal(start(a, 1, 1, 1, NULL, 0), 0);
    alone_lead(a);
    assert_int_equal(alone_status(a).hard_state.commit, 2);
}

/* R-BOO-1, R-RDY-8: a received snapshot is stored before the hard state that
 * goes with it, and a crash may come in between. The member never spoke in the
 * term of the snapshot, but is not to fall behind it either. */
static void r_boo_1_a_snapshot_may_be_newer_than_the_hard_state(void **state)
{
    static const struct swk_hard_state stored = {
        .term = 3, .vote = 2, .commit = 4};
    struct alone *a = *state;

    for (int restored = 0; restored < 2; restored++) {
        assert_int_equal(start(a, 20, 5, 3, restored ? &stored : NULL, 0), 0);
        assert_int_equal(alone_status(a).hard_state.term, 5);
        assert_int_equal(alone_status(a).hard_state.vote, 0);
        assert_int_equal(alone_status(a).hard_state.commit, 20);
        assert_int_equal(alone_status(a).applied, 20);
        assert_int_equal(swki_machine_campaign(a->m, NULL), 0);
        (void)alone_take(a);
        assert_int_equal(a->ready->hard_state->term, 6);
        assert_null(swki_machine_failure(a->m));
        alone_finish(a);
    }
}

/* But entries are stored in one piece with it: it was lost. */
static void r_boo_1_entries_are_never_newer_than_the_hard_state(void **state)
{
    static const struct swk_hard_state stored = {.term = 3, .commit = 21};
    struct alone *a = *state;

    assert_int_equal(start(a, 20, 5, 3, &stored, 0), SWK_ECORRUPT);
    alone_start(a, 3); /* nothing half begun is left */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r_boo_2_an_application_may_be_ahead_of_its_snapshot),
        TEST(r_boo_2_no_application_is_ahead_of_the_commits),
        TEST(r_boo_3_a_group_begins_from_a_snapshot_alone),
        TEST(r_boo_3_a_sole_founder_leads_alone),
        TEST(r_boo_1_a_snapshot_may_be_newer_than_the_hard_state),
        TEST(r_boo_1_entries_are_never_newer_than_the_hard_state),
    };

    return cmocka_run_group_tests_name("raft_boot", tests, NULL, NULL);
}
