/* SPDX-License-Identifier: Apache-2.0 */

/* Roles that follow what they are to be. */

#include "lib/cmocka_all.h"

#include "../membership/changes.h"

#include <stdio.h>
#include <string.h>

#include "core/rolemanager/rolemanager.h"
#include "lib/storelog.h"

enum {
    REMOVALS_MAX = 16,
};

#define MANAGER SWKPB__NODE_ROLE__MANAGER
#define WORKER SWKPB__NODE_ROLE__WORKER

struct f {
    struct storelog log;
    struct swki_store *store;
    struct swki_membership *membership;
    struct swki_role_manager *manager;
    swk_time now;
    uint64_t removals[REMOVALS_MAX]; /* asked for, in order */
    size_t removals_count;
    int remove_code;
};

static int remove_member(void *ctx, swk_time now, uint64_t raft_id,
                         struct swk_error *err)
{
    struct f *f = ctx;

    assert_int_equal(now, f->now);
    assert_in_range(f->removals_count, 0, REMOVALS_MAX - 1);
    f->removals[f->removals_count++] = raft_id;
    if (f->remove_code != 0) {
        snprintf(err->text, sizeof(err->text), "no quorum");
    }
    return f->remove_code;
}

/* Members n1, n2, n3, of which this is n1. */
static int set_up(void **state)
{
    struct f *f = test_calloc(1, sizeof(*f));
    const struct swki_store_config store = {
        .proposer = storelog_proposer(&f->log)};
    struct swki_role_manager_config config = {
        .remove = remove_member,
        .remove_ctx = f,
    };

    f->log.leads = true;
    f->now = SWK_SECOND;
    assert_int_equal(swki_store_new(&store, &f->store, NULL), 0);
    f->membership = make_voters(1, 3);
    config.store = f->store;
    config.membership = f->membership;
    assert_int_equal(swki_role_manager_new(&config, &f->manager, NULL), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_role_manager_free(f->manager);
    swki_membership_free(f->membership);
    swki_store_free(f->store);
    storelog_fini(&f->log);
    test_free(f);
    return 0;
}

/* A node with a role, and the one it is to have; desired -1: no spec. */
static void put_node(struct f *f, const char *id, int role, int desired)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_NODE);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Node *node = swki_node_edit(object);

    node->id = swki_arena_strdup(arena, id);
    node->role = (Swkpb__NodeRole)role;
    if (desired >= 0) {
        node->spec = swki_arena_alloc(arena, sizeof(*node->spec));
        swkpb__node_spec__init(node->spec);
        node->spec->desired_role = (Swkpb__NodeRole)desired;
    }
    assert_int_equal(storelog_seed(&f->log, f->store, object), 0);
}

static void put_managers(struct f *f)
{
    put_node(f, "n1", MANAGER, MANAGER);
    put_node(f, "n2", MANAGER, MANAGER);
    put_node(f, "n3", MANAGER, MANAGER);
}

static void want_role(struct f *f, const char *id, Swkpb__NodeRole desired)
{
    struct swki_tx *tx =
        swki_store_begin(f->store, SWKI_ACTOR_CONTROL, 1);
    struct swki_object *object = swki_object_edit(
        swki_view_get(swki_tx_view(tx), SWKI_KIND_NODE, id));
    Swkpb__Node *node = swki_node_edit(object);

    ((Swkpb__NodeSpec *)swki_object_own(object, &node->spec))->desired_role =
        desired;
    assert_int_equal(swki_tx_update(tx, object, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    storelog_commit_all(&f->log, f->store);
}

static void delete_node(struct f *f, const char *id)
{
    struct swki_tx *tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, 1);

    assert_int_equal(swki_tx_delete(tx, SWKI_KIND_NODE, id, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    storelog_commit_all(&f->log, f->store);
}

static void step(struct f *f)
{
    swki_role_manager_step(f->manager, f->now, 1);
    storelog_commit_all(&f->log, f->store);
}

/* Steps as long as there is something to do at once. */
static void settle(struct f *f)
{
    int steps = 0;

    do {
        step(f);
        assert_in_range(++steps, 0, 10);
    } while (swki_role_manager_pending(f->manager));
}

static Swkpb__NodeRole role_of(const struct f *f, const char *id)
{
    const struct swki_object *object =
        swki_view_get(swki_store_committed(f->store), SWKI_KIND_NODE, id);

    assert_non_null(object);
    return swki_node(object)->role;
}

/* -- The table ------------------------------------------------------------ */

static void every_situation_is_settled_as_the_table_says(void **state)
{
    static const struct {
        const char *why;
        int role; /* -1: no such node */
        int desired;
        bool member;
        int role_after; /* at once */
        bool removal;
    } cases[] = {
        {"is a manager", MANAGER, MANAGER, true, MANAGER, false},
        {"is a manager and joins later", MANAGER, MANAGER, false, MANAGER,
         false},
        {"is a worker", WORKER, WORKER, false, WORKER, false},
        {"is to be a manager", WORKER, MANAGER, false, MANAGER, false},
        {"founded the swarm", WORKER, MANAGER, true, MANAGER, false},
        {"is to be a worker", MANAGER, WORKER, true, MANAGER, true},
        {"has left the group", MANAGER, WORKER, false, WORKER, false},
        {"joined though a worker", WORKER, WORKER, true, WORKER, true},
        {"has no spec", MANAGER, -1, false, WORKER, false},
        {"is gone", -1, -1, true, -1, true},
        {"never was", -1, -1, false, -1, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct f *f;

        assert_int_equal(set_up(state), 0);
        f = *state;
        put_managers(f);
        if (cases[i].role >= 0) {
            put_node(f, "x", cases[i].role, cases[i].desired);
        }
        if (cases[i].member) {
            put_member(f->membership, SWK_RAFT_ADD_VOTER, 9, "x", "a:1");
        }
        settle(f);
        if ((cases[i].role >= 0 &&
             (int)role_of(f, "x") != cases[i].role_after) ||
            (f->removals_count == 1 && f->removals[0] == 9) !=
                cases[i].removal) {
            fail_msg("%s", cases[i].why);
        }
        assert_int_equal(f->removals_count, cases[i].removal);
        assert_int_equal(swki_role_manager_deadline(f->manager) == SWK_NEVER,
                         !cases[i].removal);
        tear_down(state);
    }
}

/* -- Promotion and demotion ----------------------------------------------- */

static void a_promotion_takes_effect_at_once(void **state)
{
    struct f *f = *state;

    put_managers(f);
    put_node(f, "w", WORKER, WORKER);
    settle(f);
    want_role(f, "w", MANAGER);
    assert_true(swki_role_manager_pending(f->manager));
    settle(f);
    assert_int_equal(role_of(f, "w"), MANAGER);
    assert_int_equal(swki_role_manager_deadline(f->manager), SWK_NEVER);
}

static void a_demoted_node_is_a_worker_once_it_is_no_member(void **state)
{
    struct f *f = *state;

    put_managers(f);
    settle(f);
    want_role(f, "n3", WORKER);
    settle(f);
    assert_int_equal(f->removals_count, 1);
    assert_int_equal(f->removals[0], 3);
    assert_int_equal(role_of(f, "n3"), MANAGER);

    put_member(f->membership, SWK_RAFT_REMOVE, 3, NULL, NULL);
    assert_true(swki_role_manager_pending(f->manager));
    settle(f);
    assert_int_equal(role_of(f, "n3"), WORKER);
    assert_int_equal(f->removals_count, 1);
    assert_int_equal(swki_role_manager_deadline(f->manager), SWK_NEVER);
}

static void a_removal_is_asked_for_again_after_five_seconds(void **state)
{
    struct f *f = *state;

    put_managers(f);
    f->remove_code = SWK_EPRECONDITION;
    want_role(f, "n3", WORKER);
    settle(f);
    assert_int_equal(f->removals_count, 1);
    assert_int_equal(swki_role_manager_deadline(f->manager),
                     f->now + 5 * SWK_SECOND);

    f->now += 5 * SWK_SECOND - 1;
    settle(f);
    assert_int_equal(f->removals_count, 1);
    f->now += 1;
    settle(f);
    assert_int_equal(f->removals_count, 2);
}

static void a_demotion_that_is_taken_back_is_forgotten(void **state)
{
    struct f *f = *state;

    put_managers(f);
    f->remove_code = SWK_EPRECONDITION;
    want_role(f, "n3", WORKER);
    settle(f);
    want_role(f, "n3", MANAGER);
    settle(f);
    assert_int_equal(swki_role_manager_deadline(f->manager), SWK_NEVER);
    f->now += SWK_MINUTE;
    settle(f);
    assert_int_equal(f->removals_count, 1);
    assert_int_equal(role_of(f, "n3"), MANAGER);
}

static void the_leader_itself_is_asked_to_go_too(void **state)
{
    struct f *f = *state;

    put_managers(f);
    settle(f);
    want_role(f, "n1", WORKER);
    settle(f);
    assert_int_equal(f->removals_count, 1);
    assert_int_equal(f->removals[0], 1);
}

/* -- Nodes that are deleted ----------------------------------------------- */

static void a_deleted_node_loses_its_membership(void **state)
{
    struct f *f = *state;

    put_managers(f);
    settle(f);
    delete_node(f, "n2");
    settle(f);
    assert_int_equal(f->removals_count, 1);
    assert_int_equal(f->removals[0], 2);
    put_member(f->membership, SWK_RAFT_REMOVE, 2, NULL, NULL);
    settle(f);
    assert_int_equal(swki_role_manager_deadline(f->manager), SWK_NEVER);
}

static void a_node_that_joins_after_its_demotion_is_removed(void **state)
{
    struct f *f = *state;

    put_managers(f);
    put_node(f, "late", WORKER, WORKER);
    settle(f);
    put_member(f->membership, SWK_RAFT_ADD_LEARNER, 9, "late", "a:1");
    settle(f);
    assert_int_equal(f->removals_count, 1);
    assert_int_equal(f->removals[0], 9);
}

/* -- Trouble -------------------------------------------------------------- */

static void a_write_that_fails_is_repeated(void **state)
{
    struct f *f = *state;

    put_managers(f);
    put_node(f, "w", WORKER, MANAGER);
    f->log.leads = false;
    step(f);
    assert_int_equal(role_of(f, "w"), WORKER);
    assert_false(swki_role_manager_pending(f->manager));
    f->log.leads = true;
    f->now = swki_role_manager_deadline(f->manager);
    settle(f);
    assert_int_equal(role_of(f, "w"), MANAGER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_situation_is_settled_as_the_table_says),
        TEST(a_promotion_takes_effect_at_once),
        TEST(a_demoted_node_is_a_worker_once_it_is_no_member),
        TEST(a_removal_is_asked_for_again_after_five_seconds),
        TEST(a_demotion_that_is_taken_back_is_forgotten),
        TEST(the_leader_itself_is_asked_to_go_too),
        TEST(a_deleted_node_loses_its_membership),
        TEST(a_node_that_joins_after_its_demotion_is_removed),
        TEST(a_write_that_fails_is_repeated),
    };

    return cmocka_run_group_tests_name("rolemanager", tests, NULL, NULL);
}
