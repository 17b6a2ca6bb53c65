/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Managers that come and go: the lists of several, and on their leader the
 * requests and the role manager, on one store. Raft is a log that every manager
 * applies in turn.
 */

#include "lib/cmocka_all.h"

#include "changes.h"

#include <stdio.h>
#include <string.h>

#include "base/roles.h"
#include "core/membership/requests.h"
#include "core/rolemanager/rolemanager.h"
#include "lib/storelog.h"
#include "raft.pb-c.h"
#include "wire/message.h"

enum {
    MANAGERS_MAX = 8,
    CHANGES_MAX = 64,
};

#define MANAGER SWKPB__NODE_ROLE__MANAGER
#define WORKER SWKPB__NODE_ROLE__WORKER

struct manager {
    char node_id[8];
    uint64_t raft_id;
    struct swki_membership *membership; /* NULL: it runs no more */
    size_t applied;
    bool up;
    bool removed; /* it was told so */
};

struct f {
    struct storelog log;
    struct swki_store *store;
    struct manager managers[MANAGERS_MAX];
    size_t managers_count;
    struct manager *leader;
    struct manager *next_leader; /* leadership is handed to */
    struct swki_requests *requests;
    struct swki_role_manager *roles;
    struct swki_answers answers;
    swk_time now;
    uint64_t calls;
    struct entry changes[CHANGES_MAX];
    size_t changes_count;
    unsigned handovers;
};

/* -- The raft member of the leader ---------------------------------------- */

static int propose(void *ctx, const struct swk_raft_conf_change *change,
                   uint64_t *out_index, struct swk_error *err)
{
    struct f *f = ctx;

    if (f->next_leader != NULL ||
        f->leader->applied < f->changes_count) { /* one at a time */
        err->code = SWK_EUNAVAILABLE;
        return SWK_EUNAVAILABLE;
    }
    assert_in_range(f->changes_count, 0, CHANGES_MAX - 1);
    encode_change(change, &f->changes[f->changes_count]);
    *out_index = f->changes[f->changes_count++].log.index;
    return SWK_OK;
}

static struct manager *find(struct f *f, uint64_t raft_id)
{
    for (size_t i = 0; i < f->managers_count; i++) {
        if (f->managers[i].membership != NULL &&
            f->managers[i].raft_id == raft_id) {
            return &f->managers[i];
        }
    }
    return NULL;
}

static size_t peers(void *ctx, struct swk_raft_peer *out_peers, size_t count)
{
    struct f *f = ctx;
    const struct swki_membership *m = f->leader->membership;

    assert_true(swki_membership_count(m) <= count);
    for (size_t i = 0; i < swki_membership_count(m); i++) {
        const struct swki_member *member = swki_membership_at(m, i);
        const struct manager *manager = find(f, member->raft_id);
        bool up = manager != NULL && manager->up;

        out_peers[i] = (struct swk_raft_peer){
            .id = member->raft_id,
            .learner = member->learner,
            .active = up,
            .caught_up = up,
        };
    }
    return swki_membership_count(m);
}

static int transfer(void *ctx, struct swk_error *err)
{
    struct f *f = ctx;
    const struct swki_membership *m = f->leader->membership;

    (void)err;
    for (size_t i = 0; i < swki_membership_count(m); i++) {
        const struct swki_member *member = swki_membership_at(m, i);
        struct manager *manager = find(f, member->raft_id);

        if (!member->learner && manager != f->leader && manager != NULL &&
            manager->up) {
            f->next_leader = manager;
            return SWK_OK;
        }
    }
    return SWK_ENOTFOUND;
}

static int fill(void *ctx, void *out_data, size_t len)
{
    static uint64_t next = 2000;

    (void)ctx;
    assert_int_equal(len, sizeof(next));
    memcpy(out_data, &next, len);
    next += 2;
    return 0;
}

static const struct swk_entropy entropy = {sizeof(entropy), NULL, fill};

/* -- Leading -------------------------------------------------------------- */

static int remove_member(void *ctx, swk_time now, uint64_t raft_id,
                         struct swk_error *err)
{
    struct f *f = ctx;

    return swki_requests_remove(f->requests, now, raft_id, err);
}

static void stop_leading(struct f *f)
{
    if (f->requests != NULL) {
        swki_requests_stop(f->requests, &f->answers);
    }
    swki_requests_free(f->requests);
    swki_role_manager_free(f->roles);
    f->requests = NULL;
    f->roles = NULL;
}

static void lead(struct f *f, struct manager *manager)
{
    const struct swki_requests_config requests = {
        .store = f->store,
        .membership = manager->membership,
        .group = {f, propose, peers, transfer},
        .entropy = &entropy,
        .node_id = manager->node_id,
    };
    const struct swki_role_manager_config roles = {
        .store = f->store,
        .membership = manager->membership,
        .remove = remove_member,
        .remove_ctx = f,
    };

    stop_leading(f);
    f->leader = manager;
    f->next_leader = NULL;
    assert_int_equal(swki_requests_new(&requests, &f->requests, NULL), 0);
    assert_int_equal(swki_role_manager_new(&roles, &f->roles, NULL), 0);
    for (size_t i = 0; i < f->managers_count; i++) {
        if (f->managers[i].membership != NULL) {
            swki_membership_set_leader(f->managers[i].membership,
                                       manager->raft_id);
        }
    }
}

/* -- Time ----------------------------------------------------------------- */

static void apply_changes(struct f *f, struct manager *manager)
{
    struct swki_membership_outcome outcome;

    while (manager->applied < f->changes_count) {
        const struct swk_log_entry *entry =
            &f->changes[manager->applied++].log;

        assert_int_equal(
            swki_membership_apply(manager->membership, entry, &outcome, NULL),
            0);
        manager->removed = manager->removed || outcome.self_removed;
        if (manager == f->leader) {
            swki_requests_applied(f->requests, entry->index, &outcome);
        }
    }
}

static void see_each_other(struct f *f)
{
    for (size_t i = 0; i < f->managers_count; i++) {
        struct manager *manager = &f->managers[i];

        for (size_t j = 0; manager->membership != NULL && j < f->managers_count;
             j++) {
            swki_membership_set_reachable(manager->membership,
                                          f->managers[j].raft_id,
                                          f->managers[j].up);
        }
    }
}

static void turn(struct f *f)
{
    const struct swki_requests_check *check;

    for (size_t i = 0; i < f->managers_count; i++) {
        if (f->managers[i].up) {
            apply_changes(f, &f->managers[i]);
        }
    }
    see_each_other(f);
    if (f->next_leader != NULL) {
        f->handovers++;
        lead(f, f->next_leader);
    }
    swki_role_manager_step(f->roles, f->now, 1);
    swki_requests_step(f->requests, f->now, &f->answers);
    while ((check = swki_requests_next_check(f->requests)) != NULL) {
        swki_requests_checked(f->requests, f->now, check->id, 0, NULL);
    }
    storelog_commit_all(&f->log, f->store);
}

/* Lets time pass in steps short enough for whatever is due. */
static void advance(struct f *f, swk_time span)
{
    swk_time end = f->now + span;

    for (; f->now < end; f->now += 100 * SWK_MILLISECOND) {
        turn(f);
    }
}

/* -- The fixture ---------------------------------------------------------- */

static void put_node(struct f *f, const char *id, Swkpb__NodeRole role)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_NODE);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Node *node = swki_node_edit(object);

    node->id = swki_arena_strdup(arena, id);
    node->role = role;
    node->spec = swki_arena_alloc(arena, sizeof(*node->spec));
    swkpb__node_spec__init(node->spec);
    node->spec->desired_role = role;
    assert_int_equal(storelog_seed(&f->log, f->store, object), 0);
}

/* A manager that runs, and knows no more than its number. */
static struct manager *start_manager(struct f *f, const char *node_id,
                                     uint64_t raft_id)
{
    const struct swki_membership_config config = {.raft_id = raft_id};
    struct manager *manager = &f->managers[f->managers_count++];

    assert_in_range(f->managers_count, 1, MANAGERS_MAX);
    snprintf(manager->node_id, sizeof(manager->node_id), "%s", node_id);
    manager->raft_id = raft_id;
    manager->up = true;
    assert_int_equal(swki_membership_new(&config, &manager->membership, NULL),
                     0);
    if (f->leader != NULL) {
        swki_membership_set_leader(manager->membership, f->leader->raft_id);
    }
    return manager;
}

static void stop_manager(struct manager *manager)
{
    swki_membership_free(manager->membership);
    manager->membership = NULL;
    manager->up = false;
}

/* The node joins as a manager, up to its vote. */
static struct manager *join(struct f *f, const char *node_id,
                            const char *address)
{
    const struct swki_caller caller = {
        .node_id = node_id,
        .swarm_id = "swarm",
        .role = SWKI_ROLE_MANAGER,
        .address = "192.0.2.7:51000",
        .request_id = "",
    };
    Swkpb__JoinRequest request = SWKPB__JOIN_REQUEST__INIT;
    const struct swki_call call = {
        .id = ++f->calls,
        .path = "/docker.swarmkit.v1.RaftMembership/Join",
        .caller = &caller,
        .request = &request.base,
    };
    const struct swki_answer *answer;
    struct manager *manager;
    ProtobufCMessage *message;
    struct swki_arena arena;

    request.addr = (char *)(uintptr_t)address;
    swki_answers_reset(&f->answers);
    swki_requests_call(f->requests, f->now, &call, &f->answers);
    advance(f, SWK_SECOND);
    answer = f->answers.first;
    assert_non_null(answer);
    if (answer->status != SWKI_STATUS_OK) {
        return NULL;
    }
    swki_arena_init(&arena, NULL, SIZE_MAX);
    assert_int_equal(swki_message_unpack(&swkpb__join_response__descriptor,
                                         answer->message, answer->message_len,
                                         &arena, &message, NULL),
                     0);
    manager = start_manager(f, node_id,
                            ((const Swkpb__JoinResponse *)message)->raft_id);
    swki_arena_fini(&arena);
    advance(f, SWK_SECOND);
    return manager;
}

static void want_role(struct f *f, const char *id, Swkpb__NodeRole desired)
{
    struct swki_tx *tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, 1);
    struct swki_object *object = swki_object_edit(
        swki_view_get(swki_tx_view(tx), SWKI_KIND_NODE, id));
    Swkpb__Node *node = swki_node_edit(object);

    ((Swkpb__NodeSpec *)swki_object_own(object, &node->spec))->desired_role =
        desired;
    assert_int_equal(swki_tx_update(tx, object, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    storelog_commit_all(&f->log, f->store);
}

static Swkpb__NodeRole role_of(const struct f *f, const char *id)
{
    return swki_node(swki_view_get(swki_store_committed(f->store),
                                   SWKI_KIND_NODE, id))
        ->role;
}

static bool votes(const struct f *f, const char *node_id)
{
    const struct swki_member *member =
        swki_membership_find_node(f->leader->membership, node_id);

    return member != NULL && !member->learner;
}

/* Three managers, of which the first leads and founded the swarm. */
static int set_up(void **state)
{
    struct f *f = test_calloc(1, sizeof(*f));
    const struct swki_store_config store = {
        .proposer = storelog_proposer(&f->log)};

    f->log.leads = true;
    f->now = SWK_SECOND;
    swki_answers_init(&f->answers, NULL);
    assert_int_equal(swki_store_new(&store, &f->store, NULL), 0);
    put_node(f, "n1", MANAGER);
    put_node(f, "n2", MANAGER);
    put_node(f, "n3", MANAGER);
    put_node(f, "w1", WORKER);
    make_change(&f->changes[f->changes_count++], SWK_RAFT_ADD_VOTER, 1, "n1",
                "10.0.0.1:4242", NULL);
    lead(f, start_manager(f, "n1", 1));
    turn(f);
    assert_non_null(join(f, "n2", "10.0.0.2:4242"));
    assert_non_null(join(f, "n3", "10.0.0.3:4242"));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    stop_leading(f);
    for (size_t i = 0; i < f->managers_count; i++) {
        swki_membership_free(f->managers[i].membership);
    }
    swki_store_free(f->store);
    storelog_fini(&f->log);
    swki_answers_fini(&f->answers);
    test_free(f);
    return 0;
}

/* -- Tests ---------------------------------------------------------------- */

static void every_manager_has_the_same_list(void **state)
{
    struct f *f = *state;
    struct swki_buf first;

    swki_buf_init(&first, NULL, SIZE_MAX);
    assert_int_equal(
        swki_membership_save(f->managers[0].membership, &first, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        struct swki_buf other;

        assert_true(votes(f, f->managers[i].node_id));
        swki_buf_init(&other, NULL, SIZE_MAX);
        assert_int_equal(
            swki_membership_save(f->managers[i].membership, &other, NULL), 0);
        assert_int_equal(other.len, first.len);
        assert_memory_equal(other.data, first.data, first.len);
        swki_buf_fini(&other);
    }
    swki_buf_fini(&first);
}

static void a_demoted_leader_hands_over_and_the_next_removes_it(void **state)
{
    struct f *f = *state;
    struct manager *old = f->leader;

    want_role(f, "n1", WORKER);
    advance(f, 10 * SWK_SECOND);
    assert_int_equal(f->handovers, 1);
    assert_ptr_not_equal(f->leader, old);
    assert_null(swki_membership_find_node(f->leader->membership, "n1"));
    assert_true(swki_membership_is_removed(f->leader->membership, 1));
    assert_true(old->removed);
    assert_int_equal(role_of(f, "n1"), WORKER);
    assert_int_equal(swki_membership_count(f->leader->membership), 2);
}

static void a_node_gets_a_new_number_each_time_it_is_a_manager(void **state)
{
    struct f *f = *state;
    uint64_t last = 0;

    for (int i = 0; i < 3; i++) {
        struct manager *manager;

        want_role(f, "w1", MANAGER);
        turn(f);
        assert_int_equal(role_of(f, "w1"), MANAGER);
        manager = join(f, "w1", "10.0.0.9:4242");
        assert_non_null(manager);
        assert_true(votes(f, "w1"));
        assert_int_not_equal(manager->raft_id, last);
        last = manager->raft_id;

        want_role(f, "w1", WORKER);
        advance(f, SWK_SECOND);
        assert_int_equal(role_of(f, "w1"), WORKER);
        assert_true(manager->removed);
        assert_true(
            swki_membership_is_removed(f->leader->membership, last));
        stop_manager(manager);
    }
}

static void a_demoted_manager_does_not_come_back_by_itself(void **state)
{
    struct f *f = *state;

    want_role(f, "n3", WORKER);
    advance(f, SWK_SECOND);
    assert_true(f->managers[2].removed);
    /* Its certificate is still a manager's. */
    assert_null(join(f, "n3", "10.0.0.3:4242"));
    assert_int_equal(f->answers.first->status,
                     SWKI_STATUS_FAILED_PRECONDITION);
    assert_int_equal(swki_membership_count(f->leader->membership), 2);
}

static void a_demotion_waits_until_a_quorum_is_left(void **state)
{
    struct f *f = *state;

    f->managers[1].up = false;
    see_each_other(f);
    want_role(f, "n3", WORKER);
    advance(f, 20 * SWK_SECOND);
    assert_int_equal(role_of(f, "n3"), MANAGER);
    assert_true(votes(f, "n3"));

    f->managers[1].up = true;
    advance(f, 6 * SWK_SECOND);
    assert_int_equal(role_of(f, "n3"), WORKER);
    assert_false(votes(f, "n3"));
}

static void a_manager_that_is_down_is_demoted(void **state)
{
    struct f *f = *state;

    f->managers[2].up = false;
    see_each_other(f);
    want_role(f, "n3", WORKER);
    advance(f, SWK_SECOND);
    assert_int_equal(role_of(f, "n3"), WORKER);
    assert_false(f->managers[2].removed);

    f->managers[2].up = true; /* it learns when it is back */
    turn(f);
    assert_true(f->managers[2].removed);
}

static void all_but_one_are_demoted_one_after_the_other(void **state)
{
    struct f *f = *state;

    want_role(f, "n1", WORKER);
    want_role(f, "n2", WORKER);
    advance(f, 20 * SWK_SECOND);
    assert_string_equal(f->leader->node_id, "n3");
    assert_int_equal(swki_membership_count(f->leader->membership), 1);
    assert_int_equal(role_of(f, "n1"), WORKER);
    assert_int_equal(role_of(f, "n2"), WORKER);

    want_role(f, "n3", WORKER); /* which the control API refuses */
    advance(f, 20 * SWK_SECOND);
    assert_true(votes(f, "n3"));
    assert_int_equal(role_of(f, "n3"), MANAGER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_manager_has_the_same_list),
        TEST(a_demoted_leader_hands_over_and_the_next_removes_it),
        TEST(a_node_gets_a_new_number_each_time_it_is_a_manager),
        TEST(a_demoted_manager_does_not_come_back_by_itself),
        TEST(a_demotion_waits_until_a_quorum_is_left),
        TEST(a_manager_that_is_down_is_demoted),
        TEST(all_but_one_are_demoted_one_after_the_other),
    };

    return cmocka_run_group_tests_name("group", tests, NULL, NULL);
}
