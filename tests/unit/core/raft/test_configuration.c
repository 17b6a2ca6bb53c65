/* SPDX-License-Identifier: Apache-2.0 */

/* Members and how they change, held against sets of bits. */

#include "lib/cmocka_all.h"

#include "base/rng.h"
#include "core/raft/configuration.h"
#include "lib/heap.h"

enum {
    IDS = 7, /* 1 to 7 */
    INFLIGHT_MAX = 10,
    WALKS = 300,
    STEPS = 60,
    CHANGES_MAX = 5,
    ASKED = 40, /* random states of each configuration */
};

/* -- The model ------------------------------------------------------------- */

/* Bit i stands for ID i. */
struct model {
    unsigned incoming;
    unsigned outgoing;
    unsigned learners;
    unsigned next; /* learners to be */
    bool auto_leave;
};

static unsigned bit(uint64_t id)
{
    return 1U << id;
}

static unsigned count_bits(unsigned set)
{
    return (unsigned)__builtin_popcount(set);
}

static unsigned model_members(const struct model *m)
{
    return m->incoming | m->outgoing | m->learners;
}

/* R-CFG-4 */
static void model_change(struct model *m, const struct swk_raft_change *c)
{
    unsigned b = c->id != 0 ? bit(c->id) : 0;

    switch (c->type) {
    case SWK_RAFT_ADD_VOTER:
        m->incoming |= b;
        m->learners &= ~b;
        m->next &= ~b;
        break;
    case SWK_RAFT_ADD_LEARNER:
        m->incoming &= ~b;
        if ((m->outgoing & b) != 0) {
            m->next |= b;
        } else {
            m->learners |= b;
        }
        break;
    case SWK_RAFT_REMOVE:
        m->incoming &= ~b;
        m->learners &= ~b;
        m->next &= ~b;
        break;
    default:
        break;
    }
}

static enum swki_raft_change_result
model_apply(struct model *m, enum swki_raft_change_kind kind,
            const struct swk_raft_change *changes, size_t count)
{
    struct model made = *m;
    bool enters = kind == SWKI_RAFT_CHANGE_ENTER ||
                  kind == SWKI_RAFT_CHANGE_ENTER_AUTO;

    if (kind == SWKI_RAFT_CHANGE_LEAVE) {
        if (m->outgoing == 0) {
            return SWKI_RAFT_CHANGE_NOT_JOINT;
        }
        *m = (struct model){.incoming = m->incoming,
                            .learners = m->learners | m->next};
        return SWKI_RAFT_CHANGE_OK;
    }
    if (m->outgoing != 0) {
        return enters ? SWKI_RAFT_CHANGE_ALREADY_JOINT
                      : SWKI_RAFT_CHANGE_SIMPLE_IN_JOINT;
    }
    if (enters && m->incoming == 0) {
        return SWKI_RAFT_CHANGE_NO_VOTERS;
    }
    if (enters) {
        made.outgoing = made.incoming;
        made.auto_leave = kind == SWKI_RAFT_CHANGE_ENTER_AUTO;
    }
    for (size_t i = 0; i < count; i++) {
        model_change(&made, &changes[i]);
    }
    if (made.incoming == 0) {
        return SWKI_RAFT_CHANGE_REMOVES_ALL;
    }
    if (!enters && count_bits(made.incoming ^ m->incoming) > 1) {
        return SWKI_RAFT_CHANGE_TOO_MANY;
    }
    *m = made;
    return SWKI_RAFT_CHANGE_OK;
}

/* Whether the members of a set are a quorum of both halves. */
static bool model_quorum(const struct model *m, unsigned set)
{
    return (m->incoming == 0 ||
            count_bits(m->incoming & set) * 2 > count_bits(m->incoming)) &&
           (m->outgoing == 0 ||
            count_bits(m->outgoing & set) * 2 > count_bits(m->outgoing));
}

/* -- The fixture ----------------------------------------------------------- */

struct f {
    struct heap heap;
    struct swki_rng rng;
    struct swki_raft_configuration c;
    struct model m;
};

static int set_up(void **state)
{
    static struct f f;

    heap_init(&f.heap);
    swki_rng_init(&f.rng, 5);
    swki_raft_configuration_init(&f.c, &f.heap.alloc, INFLIGHT_MAX, 0);
    f.m = (struct model){0};
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_raft_configuration_fini(&f->c);
    assert_int_equal(heap_live(&f->heap), 0);
    return 0;
}

static unsigned set_of(const uint64_t *ids, size_t count)
{
    unsigned set = 0;

    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || ids[i - 1] < ids[i]);
        set |= bit(ids[i]);
    }
    return set;
}

static void check_lists(const struct swki_raft_configuration *c,
                        const struct model *m)
{
    const char *broken = swki_raft_configuration_check(c);
    struct swk_conf_state state;

    if (broken != NULL) {
        fail_msg("%s", broken);
    }
    swki_raft_configuration_state(c, &state);
    assert_int_equal(set_of(state.voters, state.voters_count), m->incoming);
    assert_int_equal(set_of(state.voters_outgoing, state.voters_outgoing_count),
                     m->outgoing);
    assert_int_equal(set_of(state.learners, state.learners_count), m->learners);
    assert_int_equal(set_of(state.learners_next, state.learners_next_count),
                     m->next);
    assert_int_equal(state.auto_leave, m->auto_leave);
    assert_int_equal(swki_raft_configuration_joint(c), m->outgoing != 0);
}

static void check_members(const struct swki_raft_configuration *c,
                          const struct model *m)
{
    for (uint64_t id = 1; id <= IDS; id++) {
        const struct swki_raft_progress *p =
            swki_raft_configuration_find(c, id);

        assert_int_equal(p != NULL, (model_members(m) & bit(id)) != 0);
        if (p != NULL) {
            assert_int_equal(p->id, id);
            assert_int_equal(p->learner, (m->learners & bit(id)) != 0);
        }
        assert_int_equal(swki_raft_configuration_is_voter(c, id),
                         ((m->incoming | m->outgoing) & bit(id)) != 0);
    }
}

/* -- Questions, against all subsets ---------------------------------------- */

static unsigned members_with(const struct swki_raft_configuration *c,
                             uint64_t match)
{
    unsigned set = 0;

    for (size_t i = 0; i < c->peers_count; i++) {
        set |= c->peers[i].match >= match ? bit(c->peers[i].id) : 0;
    }
    return set;
}

static void check_matched(struct f *f)
{
    uint64_t matched;

    for (size_t i = 0; i < f->c.peers_count; i++) {
        f->c.peers[i].match = swki_rng_below(&f->rng, 5);
    }
    matched = swki_raft_configuration_matched(&f->c);
    if (f->m.incoming == 0) {
        assert_int_equal(matched, SWKI_RAFT_UNLIMITED);
        return;
    }
    assert_true(model_quorum(&f->m, members_with(&f->c, matched)));
    assert_false(model_quorum(&f->m, members_with(&f->c, matched + 1)));
}

static void check_ballots(struct f *f)
{
    unsigned yes = 0;
    unsigned no = 0;
    size_t granted = 0;
    size_t refused = 0;
    unsigned voters = f->m.incoming | f->m.outgoing;

    for (size_t i = 0; i < f->c.peers_count; i++) {
        struct swki_raft_progress *p = &f->c.peers[i];

        p->ballot = (enum swki_raft_ballot)swki_rng_below(&f->rng, 3);
        p->active = p->ballot == SWKI_RAFT_GRANTED;
        yes |= p->ballot == SWKI_RAFT_GRANTED ? bit(p->id) : 0;
        no |= p->ballot == SWKI_RAFT_REFUSED ? bit(p->id) : 0;
    }
    enum swki_raft_verdict verdict =
        swki_raft_configuration_ballots(&f->c, &granted, &refused);
    assert_int_equal(verdict == SWKI_RAFT_WON, model_quorum(&f->m, yes));
    assert_int_equal(verdict == SWKI_RAFT_LOST, !model_quorum(&f->m, ~no));
    assert_int_equal(granted, count_bits(yes & voters));
    assert_int_equal(refused, count_bits(no & voters));
    assert_int_equal(swki_raft_configuration_active(&f->c),
                     model_quorum(&f->m, yes));
}

/* -- Walks ----------------------------------------------------------------- */

static size_t draw_changes(struct f *f, struct swk_raft_change *changes)
{
    size_t count = swki_rng_below(&f->rng, CHANGES_MAX + 1);

    for (size_t i = 0; i < count; i++) {
        changes[i] = (struct swk_raft_change){
            .type = (int32_t)swki_rng_below(&f->rng, 4),
            .id = swki_rng_below(&f->rng, IDS + 1),
        };
    }
    return count;
}

static void step(struct f *f)
{
    struct swk_raft_change changes[CHANGES_MAX];
    struct swki_raft_configuration next;
    size_t count = draw_changes(f, changes);
    enum swki_raft_change_kind kind =
        (enum swki_raft_change_kind)swki_rng_below(&f->rng, 4);
    struct model before = f->m;
    enum swki_raft_change_result expected =
        model_apply(&f->m, kind, changes, count);

    assert_int_equal(swki_raft_configuration_prepare(&f->c, kind, changes,
                                                     count, 17, &next),
                     expected);
    check_lists(&f->c, &before); /* nothing has changed yet */
    if (expected != SWKI_RAFT_CHANGE_OK) {
        return;
    }
    if (swki_rng_below(&f->rng, 8) == 0) {
        swki_raft_configuration_discard(&next);
        f->m = before;
        return;
    }
    swki_raft_configuration_replace(&f->c, &next);
}

static void r_cfg_4_random_changes_go_by_the_rules(void **state)
{
    struct f *f = *state;

    for (int walk = 0; walk < WALKS; walk++) {
        for (int i = 0; i < STEPS; i++) {
            step(f);
            check_lists(&f->c, &f->m);
            check_members(&f->c, &f->m);
        }
        swki_raft_configuration_fini(&f->c);
        f->m = (struct model){0};
    }
}

static void r_quo_2_r_quo_3_a_quorum_is_one_of_both_halves(void **state)
{
    struct f *f = *state;

    for (int i = 0; i < STEPS * 10; i++) {
        step(f);
        for (int k = 0; k < ASKED; k++) {
            check_matched(f);
            check_ballots(f);
        }
    }
}

static void shuffle(struct f *f, const uint64_t *from, size_t count,
                    uint64_t *to)
{
    if (count > 0) {
        memcpy(to, from, count * sizeof(to[0]));
    }
    for (size_t i = count; i > 1; i--) {
        size_t k = swki_rng_below(&f->rng, i);
        uint64_t kept = to[i - 1];

        to[i - 1] = to[k];
        to[k] = kept;
    }
}

static void r_cfg_12_any_configuration_is_restored_from_its_lists(void **state)
{
    struct f *f = *state;

    for (int i = 0; i < STEPS * 20; i++) {
        struct swki_raft_configuration restored;
        struct swk_conf_state lists;
        uint64_t ids[4][IDS];

        step(f);
        swki_raft_configuration_state(&f->c, &lists);
        shuffle(f, lists.voters, lists.voters_count, ids[0]);
        shuffle(f, lists.learners, lists.learners_count, ids[1]);
        shuffle(f, lists.voters_outgoing, lists.voters_outgoing_count, ids[2]);
        shuffle(f, lists.learners_next, lists.learners_next_count, ids[3]);
        lists.voters = ids[0];
        lists.learners = ids[1];
        lists.voters_outgoing = ids[2];
        lists.learners_next = ids[3];
        assert_int_equal(swki_raft_configuration_prepare_restored(
                             &f->c, &lists, 17, &restored),
                         SWKI_RAFT_CHANGE_OK);
        check_lists(&restored, &f->m);
        check_members(&restored, &f->m);
        swki_raft_configuration_discard(&restored);
    }
}

/* -- Rule by rule ---------------------------------------------------------- */

static void r_cfg_2_transition_and_number_say_what_a_change_is(void **state)
{
    static const struct {
        int32_t transition;
        size_t count;
        enum swki_raft_change_kind kind;
    } cases[] = {
        {SWK_RAFT_TRANSITION_AUTO, 0, SWKI_RAFT_CHANGE_LEAVE},
        {SWK_RAFT_TRANSITION_AUTO, 1, SWKI_RAFT_CHANGE_SIMPLE},
        {SWK_RAFT_TRANSITION_AUTO, 2, SWKI_RAFT_CHANGE_ENTER_AUTO},
        {SWK_RAFT_TRANSITION_JOINT_IMPLICIT, 0, SWKI_RAFT_CHANGE_ENTER_AUTO},
        {SWK_RAFT_TRANSITION_JOINT_IMPLICIT, 1, SWKI_RAFT_CHANGE_ENTER_AUTO},
        {SWK_RAFT_TRANSITION_JOINT_IMPLICIT, 2, SWKI_RAFT_CHANGE_ENTER_AUTO},
        {SWK_RAFT_TRANSITION_JOINT_EXPLICIT, 0, SWKI_RAFT_CHANGE_ENTER},
        {SWK_RAFT_TRANSITION_JOINT_EXPLICIT, 1, SWKI_RAFT_CHANGE_ENTER},
        {SWK_RAFT_TRANSITION_JOINT_EXPLICIT, 2, SWKI_RAFT_CHANGE_ENTER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            swki_raft_change_kind(cases[i].transition, cases[i].count),
            cases[i].kind);
    }
}

static void r_cfg_9_lists_that_no_group_can_have_are_refused(void **state)
{
    static const uint64_t one[] = {1};
    static const uint64_t two[] = {2};
    static const uint64_t none[] = {0};
    static const uint64_t twice[] = {1, 2, 1};
    static const uint64_t reserved[] = {UINT64_MAX - 1};
    static const struct {
        const char *why;
        struct swk_conf_state state;
    } cases[] = {
        {"an ID twice", {.voters = twice, .voters_count = 3}},
        {"ID 0", {.voters = none, .voters_count = 1}},
        {"a reserved ID", {.voters = reserved, .voters_count = 1}},
        {"no voters", {.learners = one, .learners_count = 1}},
        {"a learner that votes",
         {.voters = one, .voters_count = 1, .learners = one,
          .learners_count = 1}},
        {"a learner that votes in the other half",
         {.voters = one, .voters_count = 1, .voters_outgoing = two,
          .voters_outgoing_count = 1, .learners = two, .learners_count = 1}},
        {"a learner to be that is no outgoing voter",
         {.voters = one, .voters_count = 1, .voters_outgoing = one,
          .voters_outgoing_count = 1, .learners_next = two,
          .learners_next_count = 1}},
        {"a learner to be that is a voter to be",
         {.voters = one, .voters_count = 1, .voters_outgoing = one,
          .voters_outgoing_count = 1, .learners_next = one,
          .learners_next_count = 1}},
        {"a learner to be without a joint configuration",
         {.voters = one, .voters_count = 1, .learners_next = one,
          .learners_next_count = 1}},
        {"nothing to leave",
         {.voters = one, .voters_count = 1, .auto_leave = 1}},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_raft_configuration next;

        if (swki_raft_configuration_prepare_restored(&f->c, &cases[i].state, 1,
                                                     &next) ==
            SWKI_RAFT_CHANGE_OK) {
            fail_msg("%s", cases[i].why);
        }
    }
}

static void r_cfg_10_members_that_stay_keep_what_is_known_of_them(void **state)
{
    static const struct swk_raft_change first = {.type = SWK_RAFT_ADD_VOTER,
                                                 .id = 3};
    static const struct swk_raft_change second = {.type = SWK_RAFT_ADD_VOTER,
                                                  .id = 2};
    struct swki_raft_configuration next;
    struct swki_raft_progress *p;
    struct f *f = *state;

    assert_int_equal(
        swki_raft_configuration_prepare(&f->c, SWKI_RAFT_CHANGE_SIMPLE, &first,
                                        1, 0, &next),
        SWKI_RAFT_CHANGE_OK);
    swki_raft_configuration_replace(&f->c, &next);
    p = swki_raft_configuration_find(&f->c, 3);
    assert_int_equal(p->next, 1);
    swki_raft_progress_replicate(p);
    assert_true(swki_raft_progress_reserve(p, &f->heap.alloc));
    swki_raft_progress_sent(p, 4, 100);

    assert_int_equal(
        swki_raft_configuration_prepare(&f->c, SWKI_RAFT_CHANGE_SIMPLE, &second,
                                        1, 20, &next),
        SWKI_RAFT_CHANGE_OK);
    swki_raft_configuration_replace(&f->c, &next);
    p = swki_raft_configuration_find(&f->c, 3);
    assert_int_equal(p->next, 5);
    assert_int_equal(p->window.count, 1);
    p = swki_raft_configuration_find(&f->c, 2);
    assert_int_equal(p->next, 20);
    assert_true(p->active);
}

static void limits_on_members_and_voters_hold(void **state)
{
    struct swk_raft_change changes[SWK_RAFT_VOTERS_MAX + 1];
    struct swki_raft_configuration next;
    uint64_t ids[SWK_RAFT_MEMBERS_MAX + 1];
    struct swk_conf_state lists = {.voters = ids, .voters_count = 1};
    struct f *f = *state;

    for (size_t i = 0; i <= SWK_RAFT_MEMBERS_MAX; i++) {
        ids[i] = i + 1;
    }
    for (size_t i = 0; i <= SWK_RAFT_VOTERS_MAX; i++) {
        changes[i] = (struct swk_raft_change){.type = SWK_RAFT_ADD_VOTER,
                                              .id = i + 1};
    }
    lists.learners = ids + 1;
    lists.learners_count = SWK_RAFT_MEMBERS_MAX;
    assert_int_equal(swki_raft_configuration_prepare_restored(&f->c, &lists, 1,
                                                              &next),
                     SWKI_RAFT_CHANGE_LIMIT);
    lists.learners_count = SWK_RAFT_MEMBERS_MAX - 1;
    assert_int_equal(swki_raft_configuration_prepare_restored(&f->c, &lists, 1,
                                                              &next),
                     SWKI_RAFT_CHANGE_OK);
    swki_raft_configuration_discard(&next);
    lists.learners_count = 0;
    assert_int_equal(swki_raft_configuration_prepare_restored(&f->c, &lists, 1,
                                                              &next),
                     SWKI_RAFT_CHANGE_OK);
    swki_raft_configuration_replace(&f->c, &next);
    assert_int_equal(swki_raft_configuration_prepare(
                         &f->c, SWKI_RAFT_CHANGE_ENTER, changes,
                         SWK_RAFT_VOTERS_MAX + 1, 1, &next),
                     SWKI_RAFT_CHANGE_LIMIT);
    assert_int_equal(swki_raft_configuration_prepare(
                         &f->c, SWKI_RAFT_CHANGE_ENTER, changes,
                         SWK_RAFT_VOTERS_MAX, 1, &next),
                     SWKI_RAFT_CHANGE_OK);
    swki_raft_configuration_discard(&next);
}

static void a_change_without_memory_changes_nothing(void **state)
{
    static const struct swk_raft_change change = {.type = SWK_RAFT_ADD_VOTER,
                                                  .id = 1};
    struct swki_raft_configuration next;
    struct f *f = *state;
    enum swki_raft_change_result result = SWKI_RAFT_CHANGE_NOMEM;

    for (size_t n = 1; result == SWKI_RAFT_CHANGE_NOMEM; n++) {
        size_t live = heap_live(&f->heap);

        heap_fail_at(&f->heap, n);
        result = swki_raft_configuration_prepare(
            &f->c, SWKI_RAFT_CHANGE_SIMPLE, &change, 1, 1, &next);
        if (result == SWKI_RAFT_CHANGE_NOMEM) {
            assert_int_equal(heap_live(&f->heap), live);
            check_lists(&f->c, &f->m);
        }
    }
    heap_fail_at(&f->heap, 0);
    assert_int_equal(result, SWKI_RAFT_CHANGE_OK);
    swki_raft_configuration_discard(&next);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r_cfg_4_random_changes_go_by_the_rules),
        TEST(r_quo_2_r_quo_3_a_quorum_is_one_of_both_halves),
        TEST(r_cfg_12_any_configuration_is_restored_from_its_lists),
        TEST(r_cfg_2_transition_and_number_say_what_a_change_is),
        TEST(r_cfg_9_lists_that_no_group_can_have_are_refused),
        TEST(r_cfg_10_members_that_stay_keep_what_is_known_of_them),
        TEST(limits_on_members_and_voters_hold),
        TEST(a_change_without_memory_changes_nothing),
    };

    return cmocka_run_group_tests_name("core/raft/configuration", tests, NULL,
                                       NULL);
}
