/* SPDX-License-Identifier: Apache-2.0 */

/* What a member gives out, when, and what becomes of it when it comes back
 * (section 11). */

#include "lib/cmocka_all.h"

#include <swarmkit/raft.h>

#include "lib/raft_alone.h"

enum {
    LEADER = 2,
    FIRST = ALONE_INDEX + 1,
    DATA_LEN = 100,
    WEIGHT = DATA_LEN + 24, /* of an entry with it */
    ENTRIES = 5,
};

static int set_up(void **state)
{
    static struct alone a;

    alone_init(&a, SWKI_MACHINE_ASYNC);
    *state = &a;
    return 0;
}

static int tear_down(void **state)
{
    alone_free(*state);
    return 0;
}

static void follow(struct alone *a)
{
    alone_start(a, 3);
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, LEADER, 0);
    alone_settle(a);
}

/* Entries of the leader, the first behind index; the log ends there. */
static void append(struct alone *a, uint64_t index, size_t count,
                   uint64_t commit)
{
    static const uint8_t data[DATA_LEN];
    struct swk_log_entry entries[ENTRIES];

    assert_true(count <= ENTRIES);
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct swk_log_entry){
            .index = index + 1 + i,
            .term = ALONE_TERM,
            .data = data,
            .data_len = sizeof(data),
        };
    }
    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = SWK_RAFT_MSG_APP,
                                    .from = LEADER,
                                    .term = ALONE_TERM,
                                    .index = index,
                                    .log_term = ALONE_TERM,
                                    .commit = commit,
                                    .entries = entries,
                                    .entries_count = count,
                                }),
                     0);
}

static void take_snapshot(struct alone *a, uint64_t index)
{
    static const uint64_t voters[] = {1, 2, 3};
    const struct swk_snapshot_meta meta = {
        .index = index,
        .term = ALONE_TERM,
        .conf_state = {.voters = voters, .voters_count = 3},
    };

    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = SWK_RAFT_MSG_SNAP,
                                    .from = LEADER,
                                    .term = ALONE_TERM,
                                    .snapshot = &meta,
                                }),
                     0);
}

/* -- Whether there is anything --------------------------------------------- */

/* What the next Ready has, one bit a part. */
enum part {
    SOFT = 1 << 0,
    HARD = 1 << 1,
    READS = 1 << 2,
    STORE = 1 << 3,
    SNAPSHOT = 1 << 4,
    APPLY = 1 << 5,
    SEND = 1 << 6,
    HELD = 1 << 7,
};

static int take_parts(struct alone *a)
{
    const struct swki_machine_ready *r;

    assert_true(swki_machine_has_ready(a->m));
    r = alone_take(a);
    assert_false(swki_machine_has_ready(a->m));
    return (r->soft_changed ? SOFT : 0) | (r->hard_state != NULL ? HARD : 0) |
           (r->reads_count > 0 ? READS : 0) |
           (r->entries_count > 0 ? STORE : 0) |
           (r->snapshot != NULL ? SNAPSHOT : 0) |
           (r->committed_count > 0 ? APPLY : 0) |
           (r->messages_count > 0 ? SEND : 0) |
           (r->responses_count > 0 ? HELD : 0);
}

static void r_rdy_1_each_part_alone_is_a_reason(void **state)
{
    struct alone *a = *state;

    a->config.apply_size_max = WEIGHT;
    follow(a);
    assert_false(swki_machine_has_ready(a->m));
    assert_int_equal(swki_machine_forget_leader(a->m, NULL), 0);
    assert_int_equal(take_parts(a), SOFT);

    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, LEADER, 0);
    alone_settle(a);
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, LEADER, 0);
    assert_int_equal(take_parts(a), SEND);
    append(a, ALONE_INDEX, 0, 0);
    assert_int_equal(take_parts(a), HELD);
    append(a, ALONE_INDEX, 2, FIRST + 1);
    assert_int_equal(take_parts(a), HARD | STORE | HELD);
    alone_finish(a); /* one of them fits */
    assert_int_equal(take_parts(a), APPLY);
    alone_finish(a);
    assert_int_equal(take_parts(a), APPLY);
    alone_finish(a);
    take_snapshot(a, 20);
    assert_int_equal(take_parts(a), HARD | SNAPSHOT | HELD);

    alone_start(a, 1);
    alone_lead(a);
    assert_int_equal(swki_machine_read_index(a->m, "x", 1, NULL), 0);
    assert_int_equal(take_parts(a), READS);
}

static void r_rdy_1_a_commit_that_cannot_be_applied_yet_is_one(void **state)
{
    struct swk_raft_message own;
    struct alone *a = *state;

    follow(a);
    append(a, ALONE_INDEX, 1, 0);
    assert_int_equal(take_parts(a), STORE | HELD);
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, LEADER, 0);
    assert_int_equal(take_parts(a), SEND);
    append(a, FIRST, 0, FIRST); /* commits what is being stored */
    assert_int_equal(take_parts(a), HARD | HELD);

    /* Its own acknowledgement, and not yet that of the storage. */
    alone_start(a, 1);
    alone_lead(a);
    (void)alone_propose(a, "x");
    (void)alone_take(a);
    own = *alone_held(a, SWK_RAFT_MSG_APP_RESP, ALONE_ID);
    assert_int_equal(alone_step(a, &own), 0);
    assert_int_equal(take_parts(a), HARD | HELD);
    assert_int_equal(a->ready->responses_count, 1); /* of the storage */
}

/* -- Taking ---------------------------------------------------------------- */

/* Counts on in what is applied. */
static void check_applied(const struct alone *a, uint64_t *applied)
{
    for (size_t i = 0; i < a->ready->committed_count; i++) {
        assert_int_equal(a->ready->committed[i].index, ++*applied);
    }
}

static void r_rdy_2_nothing_is_given_out_twice(void **state)
{
    struct alone *a = *state;
    uint64_t stored = ALONE_INDEX;
    uint64_t applied = ALONE_INDEX;

    follow(a);
    for (uint64_t i = 0; i < 9; i++) {
        append(a, ALONE_INDEX + i, 1, ALONE_INDEX + i);
        (void)alone_take(a);
        assert_int_equal(a->ready->entries_count, 1);
        assert_int_equal(a->ready->entries[0].index, ++stored);
        /* Its own answer, and the storage's to itself. */
        assert_int_equal(a->ready->responses_count, 2);
        assert_int_equal(a->ready->hard_state != NULL, i > 0);
        check_applied(a, &applied);
        if (i % 3 == 2) {
            alone_finish(a); /* several are under way, and done at once */
        }
    }
    assert_true(applied > ALONE_INDEX);
    (void)alone_take(a);
    check_applied(a, &applied);
    assert_int_equal(applied, ALONE_INDEX + 8);

    (void)alone_take(a);
    assert_null(a->ready->append);
    assert_null(a->ready->apply);
    assert_null(a->ready->hard_state);
    assert_int_equal(a->ready->messages_count + a->ready->responses_count, 0);

    take_snapshot(a, 30);
    assert_non_null(alone_take(a)->snapshot);
    assert_null(alone_take(a)->snapshot);
}

static void r_rdy_2_what_replaces_entries_is_given_out_again(void **state)
{
    static const struct swk_log_entry other = {.index = FIRST + 1,
                                               .term = ALONE_TERM + 1};
    struct alone *a = *state;

    follow(a);
    append(a, ALONE_INDEX, 3, 0);
    (void)alone_take(a);
    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = SWK_RAFT_MSG_APP,
                                    .from = 3,
                                    .term = ALONE_TERM + 1,
                                    .index = FIRST,
                                    .log_term = ALONE_TERM,
                                    .entries = &other,
                                    .entries_count = 1,
                                }),
                     0);
    (void)alone_take(a);
    assert_int_equal(a->ready->entries_count, 1);
    assert_int_equal(a->ready->entries[0].index, FIRST + 1);
    assert_int_equal(a->ready->entries[0].term, ALONE_TERM + 1);
}

/* -- Synchronous mode ------------------------------------------------------ */

struct seen {
    uint64_t committed; /* what it was when something was applied */
    uint64_t applied;
};

static void see(void *ctx, const struct swki_machine_trace *event)
{
    struct seen *seen = ctx;

    if (event->kind == SWKI_TRACE_COMMITTED && seen->applied == 0) {
        seen->committed = event->commit;
    }
    if (event->kind == SWKI_TRACE_APPLIED) {
        seen->applied = event->applied;
    }
}

/* Its own acknowledgement counts before what was applied does. */
static void r_rdy_4_advance_goes_in_order(void **state)
{
    struct seen seen = {0};
    struct alone *a = *state;

    a->config.flags = 0;
    a->config.trace = see;
    a->config.trace_ctx = &seen;
    a->config.trace_often = true;
    alone_start(a, 1);
    alone_lead(a);
    (void)alone_propose(a, "a");
    (void)alone_take(a);
    alone_finish(a);
    (void)alone_propose(a, "b");
    (void)alone_take(a);
    assert_int_equal(a->ready->entries[0].index, FIRST + 2);
    assert_int_equal(a->ready->committed[0].index, FIRST + 1);
    seen = (struct seen){0};
    alone_finish(a);
    assert_int_equal(seen.committed, FIRST + 2);
    assert_int_equal(seen.applied, FIRST + 1);
    assert_int_equal(alone_status(a).offset, FIRST + 3);
}

static void r_rdy_4_one_ready_at_a_time(void **state)
{
    struct alone *a = *state;

    a->config.flags = 0;
    alone_start(a, 1);
    assert_int_equal(swki_machine_advance(a->m, NULL), SWK_EPRECONDITION);
    assert_int_equal(swki_machine_campaign(a->m, NULL), 0);
    (void)alone_take(a);
    assert_int_equal(swki_machine_take_ready(a->m, &a->ready, NULL),
                     SWK_EPRECONDITION);
    /* Only now is its own vote durable. */
    assert_int_equal(alone_status(a).role, SWK_RAFT_CANDIDATE);
    assert_int_equal(swki_machine_advance(a->m, NULL), 0);
    assert_int_equal(alone_status(a).role, SWK_RAFT_LEADER);
    assert_int_equal(swki_machine_advance(a->m, NULL), SWK_EPRECONDITION);
}

/* -- Asynchronous mode ----------------------------------------------------- */

/* The hard state in a StorageAppend: all of it or none. */
static void assert_state(const struct alone *a, uint64_t term, uint64_t vote,
                         uint64_t commit)
{
    assert_non_null(a->ready->append);
    assert_int_equal(a->ready->append->type, SWKI_MACHINE_STORAGE_APPEND);
    assert_int_equal(a->ready->append->term, term);
    assert_int_equal(a->ready->append->vote, vote);
    assert_int_equal(a->ready->append->commit, commit);
}

/* What the storage is to answer: the last of the responses. */
static void assert_acknowledged(const struct alone *a, uint64_t index)
{
    const struct swk_raft_message *last;

    assert_true(a->ready->responses_count > 0);
    last = &a->ready->responses[a->ready->responses_count - 1];
    assert_int_equal(last->type, SWKI_MACHINE_STORAGE_APPEND_RESP);
    assert_int_equal(last->from, SWKI_MACHINE_APPEND_THREAD);
    assert_int_equal(last->to, ALONE_ID);
    assert_int_equal(last->index, index);
    assert_int_equal(last->term, alone_status(a).hard_state.term);
}

static void r_rdy_5_one_append_has_all_there_is_to_store(void **state)
{
    struct alone *a = *state;

    follow(a);
    append(a, ALONE_INDEX, 2, FIRST);
    (void)alone_take(a);
    assert_state(a, ALONE_TERM, 0, FIRST);
    assert_int_equal(a->ready->append->entries_count, 2);
    assert_int_equal(a->ready->responses_count, 2);
    assert_int_equal(alone_held(a, SWK_RAFT_MSG_APP_RESP, LEADER)->index,
                     FIRST + 1);
    assert_acknowledged(a, FIRST + 1);
    assert_null(a->ready->apply); /* not durable yet */

    /* Nothing of the state has changed: none of it. */
    append(a, FIRST + 1, 1, FIRST);
    (void)alone_take(a);
    assert_state(a, 0, 0, 0);
    assert_acknowledged(a, FIRST + 2);

    /* No entries, but there are some that are not durable yet. */
    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = SWK_RAFT_MSG_VOTE,
                                    .from = 3,
                                    .term = ALONE_TERM + 1,
                                    .index = FIRST + 2,
                                    .log_term = ALONE_TERM,
                                }),
                     0);
    (void)alone_take(a);
    assert_state(a, ALONE_TERM + 1, 3, FIRST);
    assert_int_equal(a->ready->append->entries_count, 0);
    assert_acknowledged(a, FIRST + 2);
}

static void
r_rdy_5_the_storage_answers_only_if_something_is_unstable(void **state)
{
    struct alone *a = *state;

    follow(a);
    append(a, ALONE_INDEX, 0, 0);
    (void)alone_take(a);
    assert_state(a, 0, 0, 0);
    assert_int_equal(a->ready->responses_count, 1);
    assert_int_equal(a->ready->responses[0].type, SWK_RAFT_MSG_APP_RESP);

    take_snapshot(a, 20);
    (void)alone_take(a);
    assert_acknowledged(a, 0);
    assert_int_equal(
        a->ready->responses[a->ready->responses_count - 1].snapshot->index, 20);
    assert_int_equal(a->ready->append->snapshot->index, 20);

    /* What is sent at once needs no storage. */
    alone_hear(a, SWK_RAFT_MSG_HEARTBEAT, LEADER, 0);
    (void)alone_take(a);
    assert_null(a->ready->append);
}

static void r_rdy_5_what_is_to_apply_comes_with_its_answer(void **state)
{
    struct alone *a = *state;

    follow(a);
    append(a, ALONE_INDEX, 2, FIRST + 1);
    (void)alone_take(a);
    alone_finish(a);
    (void)alone_take(a);
    assert_null(a->ready->append);
    assert_non_null(a->ready->apply);
    assert_int_equal(a->ready->apply->type, SWKI_MACHINE_STORAGE_APPLY);
    assert_int_equal(a->ready->apply->term, 0);
    assert_int_equal(a->ready->apply->entries_count, 2);
    assert_ptr_equal(a->ready->apply->entries, a->ready->committed);
}

/* Through the public header, where one call tells of all writes up to one. */
static void r_rdy_6_answers_wait_for_their_own_write(void **state)
{
    static const uint64_t voters[] = {1, 2, 3};
    const struct swk_raft_config config = {
        .size = sizeof(config), .id = ALONE_ID, .seed = 1};
    const struct swk_snapshot_meta meta = {
        .index = ALONE_INDEX,
        .term = ALONE_TERM,
        .conf_state = {.voters = voters, .voters_count = 3},
    };
    uint64_t tickets[3];
    swk_raft *raft;

    (void)state;
    assert_int_equal(swk_raft_new(&config, &raft, NULL), 0);
    assert_int_equal(swk_raft_restore_snapshot(raft, &meta, NULL), 0);
    assert_int_equal(swk_raft_start(raft, 0, NULL), 0);
    for (uint64_t i = 0; i < 3; i++) {
        const struct swk_log_entry entry = {.index = FIRST + i,
                                            .term = ALONE_TERM};
        const struct swk_raft_message message = {
            .type = SWK_RAFT_MSG_APP,
            .to = ALONE_ID,
            .from = LEADER,
            .term = ALONE_TERM,
            .index = ALONE_INDEX + i,
            .log_term = ALONE_TERM,
            .commit = FIRST,
            .entries = &entry,
            .entries_count = 1,
        };
        const struct swk_raft_actions *actions;

        assert_int_equal(swk_raft_step(raft, &message, NULL), 0);
        actions = swk_raft_take_actions(raft);
        tickets[i] = actions->persist_ticket;
        assert_true(tickets[i] > (i > 0 ? tickets[i - 1] : 0));
        assert_int_equal(actions->messages_count, 0);
        assert_int_equal(actions->committed_count, 0);
    }
    for (uint64_t i = 0; i < 3; i++) {
        const struct swk_raft_actions *actions;

        assert_int_equal(swk_raft_persisted(raft, tickets[i], NULL), 0);
        actions = swk_raft_take_actions(raft);
        assert_int_equal(actions->messages_count, 1);
        assert_int_equal(actions->messages[0].type, SWK_RAFT_MSG_APP_RESP);
        assert_int_equal(actions->messages[0].index, FIRST + i);
        /* Writing goes on while the first is being applied. */
        assert_int_equal(actions->committed_count, i == 0 ? 1 : 0);
        assert_int_equal(swk_raft_persisted(raft, tickets[0], NULL), 0);
        assert_int_equal(swk_raft_take_actions(raft)->messages_count, 0);
    }
    swk_raft_free(raft);
}

static void r_rdy_8_a_snapshot_is_written_before_the_state(void **state)
{
    static const uint64_t voters[] = {1, 2, 3};
    const struct swk_raft_config config = {
        .size = sizeof(config), .id = ALONE_ID, .seed = 1};
    const struct swk_snapshot_meta meta = {
        .index = ALONE_INDEX,
        .term = ALONE_TERM + 1,
        .conf_state = {.voters = voters, .voters_count = 3},
    };
    const struct swk_raft_message message = {
        .type = SWK_RAFT_MSG_SNAP,
        .to = ALONE_ID,
        .from = LEADER,
        .term = ALONE_TERM + 1,
        .snapshot = &meta,
    };
    const struct swk_raft_actions *actions;
    swk_raft *raft;

    (void)state;
    assert_int_equal(swk_raft_new(&config, &raft, NULL), 0);
    assert_int_equal(swk_raft_start(raft, 0, NULL), 0);
    assert_int_equal(swk_raft_step(raft, &message, NULL), 0);
    actions = swk_raft_take_actions(raft);
    assert_int_equal(actions->install->index, ALONE_INDEX);
    assert_non_null(actions->hard_state);
    assert_int_equal(actions->hard_state->commit, ALONE_INDEX);
    assert_true(actions->install_ticket < actions->persist_ticket);
    /* Both are needed for the answer. */
    assert_int_equal(swk_raft_persisted(raft, actions->install_ticket, NULL),
                     0);
    assert_int_equal(swk_raft_take_actions(raft)->messages_count, 0);
    swk_raft_free(raft);
}

static void r_rdy_9_what_was_applied_makes_room(void **state)
{
    static const uint8_t data[DATA_LEN];
    struct alone *a = *state;

    a->config.apply_size_max = 2 * WEIGHT;
    a->config.uncommitted_size_max = 3 * DATA_LEN;
    alone_start(a, 1);
    alone_lead(a);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(swki_machine_propose(a->m, SWK_RAFT_ENTRY_NORMAL, data,
                                              DATA_LEN, NULL, NULL),
                         i < 3 ? SWK_OK : SWK_EUNAVAILABLE);
    }
    (void)alone_take(a);
    alone_finish(a);
    (void)alone_take(a);
    assert_int_equal(a->ready->committed_count, 2);
    assert_int_equal(alone_status(a).uncommitted_size, 3 * DATA_LEN);
    assert_false(swki_machine_has_ready(a->m));

    /* One of the two: its room, and no more. */
    const struct swk_log_entry entries[] = {{.index = FIRST + 1}};
    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = SWKI_MACHINE_STORAGE_APPLY_RESP,
                                    .from = SWKI_MACHINE_APPLY_THREAD,
                                    .entries = entries,
                                    .entries_count = 1,
                                }),
                     0);
    assert_int_equal(alone_status(a).applied, FIRST + 1);
    assert_int_equal(alone_status(a).uncommitted_size, 2 * DATA_LEN);
    (void)alone_take(a);
    assert_int_equal(a->ready->committed_count, 1);
    assert_int_equal(a->ready->committed[0].index, FIRST + 3);
    alone_finish(a);
    assert_int_equal(alone_status(a).applied, FIRST + 3);
    assert_int_equal(alone_status(a).uncommitted_size, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r_rdy_1_each_part_alone_is_a_reason),
        TEST(r_rdy_1_a_commit_that_cannot_be_applied_yet_is_one),
        TEST(r_rdy_2_nothing_is_given_out_twice),
        TEST(r_rdy_2_what_replaces_entries_is_given_out_again),
        TEST(r_rdy_4_advance_goes_in_order),
        TEST(r_rdy_4_one_ready_at_a_time),
        TEST(r_rdy_5_one_append_has_all_there_is_to_store),
        TEST(r_rdy_5_the_storage_answers_only_if_something_is_unstable),
        TEST(r_rdy_5_what_is_to_apply_comes_with_its_answer),
        TEST(r_rdy_6_answers_wait_for_their_own_write),
        TEST(r_rdy_8_a_snapshot_is_written_before_the_state),
        TEST(r_rdy_9_what_was_applied_makes_room),
    };

    return cmocka_run_group_tests_name("raft_ready", tests, NULL, NULL);
}
