/* SPDX-License-Identifier: Apache-2.0 */

/* Simple and joint changes of the members, one by one (section 13), and what
 * it costs to ask for their majority. */

#include "lib/cmocka_all.h"

#include "core/raft/configuration.h"
#include "lib/heap.h"

enum {
    INFLIGHT_MAX = 10,
};

struct f {
    struct heap heap;
    struct swki_raft_configuration c;
};

static int set_up(void **state)
{
    static struct f f;

    heap_init(&f.heap);
    swki_raft_configuration_init(&f.c, &f.heap.alloc, INFLIGHT_MAX, 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_raft_configuration_fini(&f->c);
    return heap_live(&f->heap) == 0 ? 0 : -1;
}

static void restore(struct f *f, const struct swk_conf_state *lists)
{
    struct swki_raft_configuration next;

    assert_int_equal(
        swki_raft_configuration_prepare_restored(&f->c, lists, 1, &next),
        SWKI_RAFT_CHANGE_OK);
    swki_raft_configuration_replace(&f->c, &next);
}

static enum swki_raft_change_result
change(struct f *f, enum swki_raft_change_kind kind,
       const struct swk_raft_change *changes, size_t count)
{
    struct swki_raft_configuration next;
    enum swki_raft_change_result result =
        swki_raft_configuration_prepare(&f->c, kind, changes, count, 1, &next);

    if (result == SWKI_RAFT_CHANGE_OK) {
        swki_raft_configuration_replace(&f->c, &next);
    }
    return result;
}

static const uint64_t ids[] = {1, 2, 3, 4, 5, 6, 7};
static const struct swk_conf_state three = {.voters = ids, .voters_count = 3};

static void assert_ids(const struct swki_raft_ids *list, uint64_t first,
                       size_t count)
{
    assert_int_equal(list->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(list->ids[i], first + i);
    }
}

/* Counted together, in whatever order they come. */
static void r_cfg_5_a_simple_change_concerns_one_voter(void **state)
{
    static const struct {
        struct swk_raft_change changes[3];
        size_t count;
        enum swki_raft_change_result result;
    } cases[] = {
        {{{SWK_RAFT_ADD_VOTER, 0, 4}}, 1, SWKI_RAFT_CHANGE_OK},
        {{{SWK_RAFT_REMOVE, 0, 3}}, 1, SWKI_RAFT_CHANGE_OK},
        {{{SWK_RAFT_ADD_LEARNER, 0, 3}}, 1, SWKI_RAFT_CHANGE_OK},
        {{{SWK_RAFT_ADD_VOTER, 0, 4}, {SWK_RAFT_ADD_VOTER, 0, 5}},
         2,
         SWKI_RAFT_CHANGE_TOO_MANY},
        {{{SWK_RAFT_REMOVE, 0, 3}, {SWK_RAFT_ADD_VOTER, 0, 4}},
         2,
         SWKI_RAFT_CHANGE_TOO_MANY},
        {{{SWK_RAFT_ADD_LEARNER, 0, 2}, {SWK_RAFT_REMOVE, 0, 3}},
         2,
         SWKI_RAFT_CHANGE_TOO_MANY},
        {{{SWK_RAFT_ADD_LEARNER, 0, 4},
          {SWK_RAFT_ADD_LEARNER, 0, 5},
          {SWK_RAFT_ADD_VOTER, 0, 6}},
         3,
         SWKI_RAFT_CHANGE_OK},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        restore(f, &three);
        if (change(f, SWKI_RAFT_CHANGE_SIMPLE, cases[i].changes,
                   cases[i].count) != cases[i].result) {
            fail_msg("case %d", (int)i);
        }
    }
}

static void r_cfg_6_the_present_voters_become_the_outgoing_half(void **state)
{
    static const struct swk_raft_change changes[] = {
        {SWK_RAFT_ADD_VOTER, 0, 4},   {SWK_RAFT_REMOVE, 0, 1},
        {SWK_RAFT_ADD_LEARNER, 0, 3}, {SWK_RAFT_ADD_VOTER, 0, 5},
        {SWK_RAFT_ADD_LEARNER, 0, 6},
    };
    static const enum swki_raft_change_kind kinds[] = {
        SWKI_RAFT_CHANGE_ENTER, SWKI_RAFT_CHANGE_ENTER_AUTO};
    struct f *f = *state;

    for (size_t i = 0; i < 2; i++) {
        restore(f, &three);
        assert_int_equal(change(f, kinds[i], changes, 5), SWKI_RAFT_CHANGE_OK);
        assert_ids(&f->c.outgoing, 1, 3);
        assert_int_equal(f->c.incoming.count, 3);
        assert_false(swki_raft_ids_has(&f->c.incoming, 1));
        assert_false(swki_raft_ids_has(&f->c.incoming, 3));
        /* Whom the outgoing half still needs stays, as the voter it is. */
        assert_int_equal(f->c.peers_count, 6);
        assert_ids(&f->c.learners_next, 3, 1);
        assert_false(swki_raft_configuration_find(&f->c, 3)->learner);
        assert_ids(&f->c.learners, 6, 1);
        assert_int_equal(f->c.auto_leave, i == 1);
    }
}

static void r_cfg_6_no_second_joint_configuration_is_entered(void **state)
{
    static const struct swk_raft_change add = {SWK_RAFT_ADD_VOTER, 0, 5};
    static const struct swk_conf_state joint = {
        .voters = ids,
        .voters_count = 4,
        .voters_outgoing = ids,
        .voters_outgoing_count = 3,
    };
    static const struct swk_raft_change removals[] = {
        {SWK_RAFT_REMOVE, 0, 1},
        {SWK_RAFT_REMOVE, 0, 2},
        {SWK_RAFT_REMOVE, 0, 3},
    };
    static const struct swk_conf_state nobody = {0};
    struct f *f = *state;

    restore(f, &joint);
    assert_int_equal(change(f, SWKI_RAFT_CHANGE_ENTER, &add, 1),
                     SWKI_RAFT_CHANGE_ALREADY_JOINT);
    assert_int_equal(change(f, SWKI_RAFT_CHANGE_SIMPLE, &add, 1),
                     SWKI_RAFT_CHANGE_SIMPLE_IN_JOINT);
    restore(f, &nobody);
    assert_int_equal(change(f, SWKI_RAFT_CHANGE_ENTER, &add, 1),
                     SWKI_RAFT_CHANGE_NO_VOTERS);
    restore(f, &three);
    assert_int_equal(change(f, SWKI_RAFT_CHANGE_ENTER, removals, 3),
                     SWKI_RAFT_CHANGE_REMOVES_ALL);
}

static void r_cfg_7_who_is_in_no_half_left_is_forgotten(void **state)
{
    static const uint64_t outgoing[] = {1, 3, 4};
    static const uint64_t next[] = {4};
    static const struct swk_conf_state joint = {
        .voters = ids,
        .voters_count = 2,
        .voters_outgoing = outgoing,
        .voters_outgoing_count = 3,
        .learners = ids + 4,
        .learners_count = 1,
        .learners_next = next,
        .learners_next_count = 1,
        .auto_leave = 1,
    };
    struct f *f = *state;

    restore(f, &joint);
    assert_int_equal(f->c.peers_count, 5);
    swki_raft_configuration_find(&f->c, 4)->match = 17;
    assert_int_equal(change(f, SWKI_RAFT_CHANGE_LEAVE, NULL, 0),
                     SWKI_RAFT_CHANGE_OK);
    assert_ids(&f->c.incoming, 1, 2);
    assert_ids(&f->c.outgoing, 0, 0);
    assert_ids(&f->c.learners_next, 0, 0);
    assert_ids(&f->c.learners, 4, 2);
    assert_false(f->c.auto_leave);
    assert_null(swki_raft_configuration_find(&f->c, 3));
    assert_true(swki_raft_configuration_find(&f->c, 4)->learner);
    assert_int_equal(swki_raft_configuration_find(&f->c, 4)->match, 17);
    assert_null(swki_raft_configuration_check(&f->c));

    assert_int_equal(change(f, SWKI_RAFT_CHANGE_LEAVE, NULL, 0),
                     SWKI_RAFT_CHANGE_NOT_JOINT);
}

static void r_quo_4_what_a_quorum_has_is_known_without_memory(void **state)
{
    struct f *f = *state;

    for (size_t count = 1; count <= 7; count++) {
        const struct swk_conf_state lists = {
            .voters = ids,
            .voters_count = count,
            .voters_outgoing = ids,
            .voters_outgoing_count = count,
        };

        restore(f, &lists);
        for (uint64_t id = 1; id <= count; id++) {
            swki_raft_configuration_find(&f->c, id)->match = id;
        }
        heap_fail_at(&f->heap, 1);
        assert_int_equal(swki_raft_configuration_matched(&f->c),
                         count - count / 2);
        assert_false(heap_failed(&f->heap));
        heap_fail_at(&f->heap, 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r_cfg_5_a_simple_change_concerns_one_voter),
        TEST(r_cfg_6_the_present_voters_become_the_outgoing_half),
        TEST(r_cfg_6_no_second_joint_configuration_is_entered),
        TEST(r_cfg_7_who_is_in_no_half_left_is_forgotten),
        TEST(r_quo_4_what_a_quorum_has_is_known_without_memory),
    };

    return cmocka_run_group_tests_name("raft_changes", tests, NULL, NULL);
}
