/* SPDX-License-Identifier: Apache-2.0 */

/* What of the log is durable, and whose log is the better one (section 4). */

#include "lib/cmocka_all.h"

#include "lib/raft_alone.h"

enum {
    LEADER = 2,
    TERM = 2,
};

static int set_up(void **state)
{
    static struct alone a;

    alone_init(&a, SWKI_MACHINE_ASYNC);
    alone_start(&a, 3);
    *state = &a;
    return 0;
}

static int tear_down(void **state)
{
    alone_free(*state);
    return 0;
}

/* Entries 11 and 12 of term 1, and 13 of term 2, come from the leader. */
static void take_entries(struct alone *a)
{
    static const struct swk_log_entry entries[] = {
        {.index = 11, .term = 1},
        {.index = 12, .term = 1},
        {.index = 13, .term = 2},
    };

    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = SWK_RAFT_MSG_APP,
                                    .from = LEADER,
                                    .term = TERM,
                                    .index = ALONE_INDEX,
                                    .log_term = ALONE_TERM,
                                    .entries = entries,
                                    .entries_count = 3,
                                }),
                     0);
}

static void take_snapshot(struct alone *a, uint64_t index)
{
    static const uint64_t voters[] = {1, 2, 3};
    const struct swk_snapshot_meta meta = {
        .index = index,
        .term = TERM,
        .conf_state = {.voters = voters, .voters_count = 3},
    };

    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = SWK_RAFT_MSG_SNAP,
                                    .from = LEADER,
                                    .term = TERM,
                                    .snapshot = &meta,
                                }),
                     0);
}

/* What the storage says is durable: a place in the log, or a snapshot. */
static void acknowledge(struct alone *a, uint64_t index, uint64_t term,
                        uint64_t snapshot_index)
{
    const struct swk_snapshot_meta meta = {.index = snapshot_index};

    assert_int_equal(
        alone_step(a,
                   &(struct swk_raft_message){
                       .type = SWKI_MACHINE_STORAGE_APPEND_RESP,
                       .from = SWKI_MACHINE_APPEND_THREAD,
                       .term = TERM,
                       .index = index,
                       .log_term = term,
                       .snapshot = snapshot_index != 0 ? &meta : NULL,
                   }),
        0);
}

static void r_log_2_only_what_the_log_holds_is_released(void **state)
{
    static const struct {
        const char *why;
        uint64_t index;
        uint64_t term;
        uint64_t unstable; /* from there on, afterwards */
    } cases[] = {
        {"beyond the end", 14, 2, 11},
        {"another term than the log has there", 13, 1, 11},
        {"in the snapshot already", 10, 1, 11},
        {"two entries", 12, 1, 13},
        {"one of them again", 11, 1, 13},
        {"the rest", 13, 2, 14},
        {"the rest again", 13, 2, 14},
    };
    struct alone *a = *state;

    take_entries(a);
    (void)alone_take(a);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        acknowledge(a, cases[i].index, cases[i].term, 0);
        if (alone_status(a).offset != cases[i].unstable) {
            fail_msg("%s: unstable from %d on", cases[i].why,
                     (int)alone_status(a).offset);
        }
    }
}

/* Nothing new was given out for storing, and yet it is there: both positions
 * move. */
static void r_log_2_what_is_durable_is_not_stored_again(void **state)
{
    struct alone *a = *state;

    take_entries(a);
    acknowledge(a, 12, 1, 0);
    assert_int_equal(alone_status(a).offset_in_progress, 13);
    (void)alone_take(a);
    assert_int_equal(a->ready->entries_count, 1);
    assert_int_equal(a->ready->entries[0].index, 13);
}

static void r_log_2_the_place_of_a_snapshot_is_no_entry(void **state)
{
    struct alone *a = *state;

    take_snapshot(a, 20);
    (void)alone_take(a);
    acknowledge(a, 20, TERM, 0);
    assert_int_equal(alone_status(a).offset, 21);
    assert_false(alone_status(a).promotable);
}

static void r_log_3_a_snapshot_is_released_by_its_own_index(void **state)
{
    struct alone *a = *state;

    take_snapshot(a, 20);
    (void)alone_take(a);
    take_snapshot(a, 30);
    (void)alone_take(a);
    acknowledge(a, 0, 0, 20);
    assert_false(alone_status(a).promotable);
    assert_int_equal(alone_status(a).applied, 20);
    acknowledge(a, 0, 0, 30);
    assert_true(alone_status(a).promotable);
    assert_int_equal(alone_status(a).applied, 30);
}

static void r_log_5_the_last_term_counts_before_the_length(void **state)
{
    static const struct {
        uint64_t last_term;
        uint64_t last_index;
        uint32_t refused;
    } logs[] = {
        {1, 99, 1}, {2, 12, 1}, {2, 13, 0}, {2, 14, 0}, {3, 1, 0},
    };
    struct alone *a = *state;

    for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
        const struct swk_raft_message request = {
            .type = SWK_RAFT_MSG_VOTE,
            .from = 3,
            .term = 4,
            .index = logs[i].last_index,
            .log_term = logs[i].last_term,
        };
        const struct swk_raft_message *answer;

        alone_start(a, 3);
        take_entries(a); /* own log: 13, of term 2 */
        (void)alone_take(a);
        assert_int_equal(alone_step(a, &request), 0);
        (void)alone_take(a);
        answer = alone_held(a, SWK_RAFT_MSG_VOTE_RESP, 3);
        assert_non_null(answer);
        assert_int_equal(answer->reject, logs[i].refused);
        assert_int_equal(alone_status(a).hard_state.vote,
                         logs[i].refused ? 0 : 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            r_log_2_only_what_the_log_holds_is_released, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            r_log_2_what_is_durable_is_not_stored_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            r_log_2_the_place_of_a_snapshot_is_no_entry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            r_log_3_a_snapshot_is_released_by_its_own_index, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            r_log_5_the_last_term_counts_before_the_length, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("raft_log_rules", tests, NULL, NULL);
}
