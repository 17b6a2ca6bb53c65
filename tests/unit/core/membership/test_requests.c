/* SPDX-License-Identifier: Apache-2.0 */

/* Managers that join, move and leave, as the leader deals with them. */

#include "lib/cmocka_all.h"

#include "changes.h"

#include <stdio.h>
#include <string.h>

#include "base/roles.h"
#include "core/membership/requests.h"
#include "lib/heap.h"
#include "lib/storelog.h"
#include "raft.pb-c.h"
#include "wire/message.h"

enum {
    PROPOSALS_MAX = 32,
};

struct f {
    struct storelog log;
    struct swki_store *store;
    struct swki_membership *membership;
    struct swki_requests *requests;
    struct swki_answers answers;
    struct swki_arena arena;
    swk_time now;
    uint64_t calls;
    /* The raft member: */
    struct entry entries[PROPOSALS_MAX];
    size_t proposed;
    size_t applied;
    int propose_code; /* what proposals are answered with */
    int transfer_code;
    unsigned transfers;
    struct swk_raft_peer peers[4];
    size_t peers_count;
    uint64_t entropy; /* the next number, before it is made fit */
};

/* -- The raft member ------------------------------------------------------ */

static int propose(void *ctx, const struct swk_raft_conf_change *change,
                   uint64_t *out_index, struct swk_error *err)
{
    struct f *f = ctx;
    struct entry *entry = &f->entries[f->proposed];

    if (f->propose_code != 0) {
        err->code = f->propose_code;
        return f->propose_code;
    }
    assert_in_range(f->proposed, 0, PROPOSALS_MAX - 1);
    assert_int_equal(f->proposed, f->applied); /* one at a time */
    encode_change(change, entry);
    *out_index = entry->log.index;
    f->proposed++;
    return SWK_OK;
}

static size_t peers(void *ctx, struct swk_raft_peer *out_peers, size_t count)
{
    const struct f *f = ctx;

    for (size_t i = 0; i < f->peers_count && i < count; i++) {
        out_peers[i] = f->peers[i];
    }
    return f->peers_count;
}

static int transfer(void *ctx, struct swk_error *err)
{
    struct f *f = ctx;

    f->transfers++;
    return f->transfer_code;
}

static int fill(void *ctx, void *out_data, size_t len)
{
    struct f *f = ctx;

    assert_int_equal(len, sizeof(f->entropy));
    memcpy(out_data, &f->entropy, len);
    f->entropy += 2;
    return 0;
}

static struct swk_entropy entropy = {sizeof(entropy), NULL, fill};

/* -- The fixture ---------------------------------------------------------- */

static void put_node(struct f *f, const char *id, Swkpb__NodeRole desired)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_NODE);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Node *node = swki_node_edit(object);

    node->id = swki_arena_strdup(arena, id);
    node->spec = swki_arena_alloc(arena, sizeof(*node->spec));
    swkpb__node_spec__init(node->spec);
    node->spec->desired_role = desired;
    assert_int_equal(storelog_seed(&f->log, f->store, object), 0);
}

static int set_up(void **state)
{
    struct f *f = test_calloc(1, sizeof(*f));
    static const char *const addresses[] = {"10.0.0.1:4242"};
    const struct swki_store_config store = {.proposer =
                                                storelog_proposer(&f->log)};
    struct swki_requests_config config = {
        .entropy = &entropy,
        .group = {f, propose, peers, transfer},
        .node_id = "n1",
        .addresses = addresses,
        .addresses_count = 1,
        .requests_max = 6,
    };

    entropy.ctx = f;
    f->log.leads = true;
    f->now = SWK_SECOND;
    f->entropy = 200;
    swki_answers_init(&f->answers, NULL);
    swki_arena_init(&f->arena, NULL, SIZE_MAX);
    assert_int_equal(swki_store_new(&store, &f->store, NULL), 0);
    f->membership = make_voters(1, 3);
    swki_membership_set_leader(f->membership, 1);
    swki_membership_set_reachable(f->membership, 2, true);
    swki_membership_set_reachable(f->membership, 3, true);
    config.store = f->store;
    config.membership = f->membership;
    assert_int_equal(swki_requests_new(&config, &f->requests, NULL), 0);
    put_node(f, "n2", SWKPB__NODE_ROLE__MANAGER);
    put_node(f, "n9", SWKPB__NODE_ROLE__MANAGER);
    put_node(f, "n8", SWKPB__NODE_ROLE__MANAGER);
    put_node(f, "w1", SWKPB__NODE_ROLE__WORKER);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_requests_free(f->requests);
    swki_membership_free(f->membership);
    swki_store_free(f->store);
    storelog_fini(&f->log);
    swki_answers_fini(&f->answers);
    swki_arena_fini(&f->arena);
    test_free(f);
    return 0;
}

static void step(struct f *f)
{
    swki_requests_step(f->requests, f->now, &f->answers);
}

/* Applies what was proposed; then the queue goes on. */
static void commit(struct f *f)
{
    struct swki_membership_outcome outcome;

    while (f->applied < f->proposed) {
        const struct swk_log_entry *entry = &f->entries[f->applied++].log;

        assert_int_equal(
            swki_membership_apply(f->membership, entry, &outcome, NULL), 0);
        swki_requests_applied(f->requests, entry->index, &outcome);
        step(f);
    }
}

static void forget_answers(struct f *f)
{
    swki_answers_reset(&f->answers);
    swki_arena_reset(&f->arena);
}

static uint64_t call(struct f *f, const char *path, const char *node,
                     bool local, const ProtobufCMessage *request)
{
    const struct swki_caller caller = {
        .node_id = node,
        .swarm_id = "swarm",
        .role = SWKI_ROLE_MANAGER,
        .local = local,
        .address = "192.0.2.7:51000",
        .request_id = "",
    };
    const struct swki_call call = {
        .id = ++f->calls,
        .path = path,
        .caller = &caller,
        .request = request,
    };

    swki_requests_call(f->requests, f->now, &call, &f->answers);
    return call.id;
}

static uint64_t join(struct f *f, const char *node, const char *address)
{
    Swkpb__JoinRequest request = SWKPB__JOIN_REQUEST__INIT;

    request.addr = (char *)(uintptr_t)address;
    return call(f, "/docker.swarmkit.v1.RaftMembership/Join", node, false,
                &request.base);
}

static uint64_t join_empty(struct f *f, const char *node, const char *address)
{
    Swkpb__JoinRequest request = SWKPB__JOIN_REQUEST__INIT;

    request.addr = (char *)(uintptr_t)address;
    request.empty_log = 1;
    return call(f, "/docker.swarmkit.v1.RaftMembership/Join", node, false,
                &request.base);
}

static uint64_t leave(struct f *f, const char *node, bool local,
                      uint64_t raft_id)
{
    Swkpb__RaftMember member = SWKPB__RAFT_MEMBER__INIT;
    Swkpb__LeaveRequest request = SWKPB__LEAVE_REQUEST__INIT;

    member.raft_id = raft_id;
    request.node = &member;
    return call(f, "/docker.swarmkit.v1.RaftMembership/Leave", node, local,
                &request.base);
}

/* Makes the next check end so. */
static void check(struct f *f, const char *address, int code)
{
    const struct swki_requests_check *check =
        swki_requests_next_check(f->requests);
    const struct swk_error why = {code, "no route to host"};

    assert_non_null(check);
    assert_string_equal(check->address, address);
    swki_requests_checked(f->requests, f->now, check->id, code, &why);
    step(f);
}

static const struct swki_answer *answer_of(const struct f *f, uint64_t call_id)
{
    const struct swki_answer *answer = f->answers.first;

    while (answer != NULL && answer->call_id != call_id) {
        answer = answer->next;
    }
    return answer;
}

static void assert_unanswered(const struct f *f, uint64_t call_id)
{
    assert_null(answer_of(f, call_id));
}

static void assert_failed(const struct f *f, uint64_t call_id,
                          enum swki_status status, const char *part)
{
    const struct swki_answer *answer = answer_of(f, call_id);

    assert_non_null(answer);
    assert_int_equal(answer->status, status);
    if (strstr(answer->text, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, answer->text);
    }
}

static const Swkpb__JoinResponse *joined(struct f *f, uint64_t call_id)
{
    const struct swki_answer *answer = answer_of(f, call_id);
    ProtobufCMessage *message;

    assert_non_null(answer);
    if (answer->status != SWKI_STATUS_OK) {
        fail_msg("%s", answer->text);
    }
    assert_int_equal(swki_message_unpack(&swkpb__join_response__descriptor,
                                         answer->message, answer->message_len,
                                         &f->arena, &message, NULL),
                     0);
    return (const Swkpb__JoinResponse *)message;
}

/* A manager that joins, up to its answer. */
static uint64_t join_fully(struct f *f, const char *node, const char *address)
{
    uint64_t id = join(f, node, address);
    uint64_t raft_id;

    check(f, address, 0);
    commit(f);
    raft_id = joined(f, id)->raft_id;
    forget_answers(f);
    return raft_id;
}

/* -- Joining -------------------------------------------------------------- */

static void
a_new_manager_is_added_without_a_vote_and_then_answered(void **state)
{
    struct f *f = *state;
    uint64_t id = join(f, "n9", "10.0.0.9:4242");
    const Swkpb__JoinResponse *response;

    step(f);
    assert_int_equal(f->proposed, 0); /* not before it was checked */
    check(f, "10.0.0.9:4242", 0);
    assert_int_equal(f->proposed, 1);
    assert_unanswered(f, id); /* not before it is applied */
    commit(f);

    response = joined(f, id);
    assert_int_equal(response->raft_id, 101);
    assert_int_equal(response->n_members, 4);
    assert_string_equal(response->members[3]->node_id, "n9");
    assert_string_equal(response->members[3]->addr, "10.0.0.9:4242");
    assert_true(swki_membership_find(f->membership, 101)->learner);
}

static void an_address_that_does_not_answer_changes_nothing(void **state)
{
    struct f *f = *state;
    uint64_t id = join(f, "n9", "10.0.0.9:4242");

    check(f, "10.0.0.9:4242", SWK_EIO);
    assert_failed(f, id, SWKI_STATUS_UNAVAILABLE,
                  "could not connect to prospective new cluster member using "
                  "its advertised address");
    assert_int_equal(f->proposed, 0);
    assert_int_equal(swki_membership_count(f->membership), 3);
}

static void a_check_without_an_end_fails_in_time(void **state)
{
    struct f *f = *state;
    uint64_t id = join(f, "n9", "10.0.0.9:4242");
    uint64_t check_id = swki_requests_next_check(f->requests)->id;

    f->now += SWKI_REQUESTS_CHECK_LIMIT;
    assert_true(swki_requests_deadline(f->requests) <= f->now);
    step(f);
    assert_failed(f, id, SWKI_STATUS_UNAVAILABLE, "no answer in time");
    swki_requests_checked(f->requests, f->now, check_id, 0, NULL);
    step(f);
    assert_int_equal(f->proposed, 0);
}

static void further_addresses_are_tried_and_recorded(void **state)
{
    struct f *f = *state;
    char first[] = "10.0.0.9:4242";
    char second[] = "m9.example:4242";
    char *more[] = {second, first};
    Swkpb__JoinRequest request = SWKPB__JOIN_REQUEST__INIT;
    const Swkpb__JoinResponse *response;
    uint64_t id;

    request.addr = first;
    request.more_addrs = more;
    request.n_more_addrs = 2;
    id = call(f, "/docker.swarmkit.v1.RaftMembership/Join", "n9", false,
              &request.base);
    check(f, "10.0.0.9:4242", SWK_EIO);
    assert_unanswered(f, id);
    check(f, "m9.example:4242", 0);
    commit(f);
    response = joined(f, id);
    assert_string_equal(response->members[3]->addr, "10.0.0.9:4242");
    assert_int_equal(response->members[3]->n_more_addrs, 1); /* once each */
    assert_string_equal(response->members[3]->more_addrs[0], "m9.example:4242");
}

static void a_silent_address_leaves_time_for_the_next(void **state)
{
    struct f *f = *state;
    char first[] = "10.0.0.9:4242";
    char second[] = "m9.example:4242";
    char *more[] = {second};
    Swkpb__JoinRequest request = SWKPB__JOIN_REQUEST__INIT;
    uint64_t id;

    request.addr = first;
    request.more_addrs = more;
    request.n_more_addrs = 1;
    id = call(f, "/docker.swarmkit.v1.RaftMembership/Join", "n9", false,
              &request.base);
    assert_string_equal(swki_requests_next_check(f->requests)->address, first);
    f->now = swki_requests_deadline(f->requests);
    step(f);
    check(f, second, 0);
    commit(f);
    assert_int_equal(joined(f, id)->n_members, 4);
}

static void joining_twice_gives_the_same_number(void **state)
{
    struct f *f = *state;
    uint64_t first = join_fully(f, "n9", "10.0.0.9:4242");
    uint64_t id = join(f, "n9", "10.0.0.9:4242");

    check(f, "10.0.0.9:4242", 0);
    assert_int_equal(joined(f, id)->raft_id, first);
    assert_int_equal(f->proposed, 1);
}

static void two_joins_of_a_node_at_once_make_one_member(void **state)
{
    struct f *f = *state;
    uint64_t first = join(f, "n9", "10.0.0.9:4242");
    uint64_t second = join(f, "n9", "10.0.0.9:4242");

    check(f, "10.0.0.9:4242", 0);
    check(f, "10.0.0.9:4242", 0);
    commit(f);
    assert_int_equal(joined(f, first)->raft_id, joined(f, second)->raft_id);
    assert_int_equal(f->proposed, 1);
}

static void joining_from_elsewhere_moves_the_member(void **state)
{
    struct f *f = *state;
    uint64_t id = join(f, "n2", "10.7.7.7:4242");

    check(f, "10.7.7.7:4242", 0);
    assert_unanswered(f, id);
    commit(f);
    assert_int_equal(joined(f, id)->raft_id, 2);
    assert_string_equal(
        swki_member_address(swki_membership_find(f->membership, 2)),
        "10.7.7.7:4242");
    assert_false(swki_membership_find(f->membership, 2)->learner);
}

static void an_unspecified_host_is_recorded_as_the_callers(void **state)
{
    struct f *f = *state;
    uint64_t id = join(f, "n9", "0.0.0.0:4242");

    check(f, "192.0.2.7:4242", 0);
    commit(f);
    assert_string_equal(joined(f, id)->members[3]->addr, "192.0.2.7:4242");
}

static void a_voter_that_lost_its_log_gets_a_new_number(void **state)
{
    struct f *f = *state;
    uint64_t id = join_empty(f, "n2", "10.0.0.2:4242");

    check(f, "10.0.0.2:4242", 0);
    commit(f); /* removed, then added */
    assert_int_equal(f->proposed, 2);
    assert_int_equal(joined(f, id)->raft_id, 101);
    assert_true(swki_membership_is_removed(f->membership, 2));
    assert_true(swki_membership_find_node(f->membership, "n2")->learner);
}

static void a_learner_without_a_log_keeps_its_number(void **state)
{
    struct f *f = *state;
    uint64_t first = join_fully(f, "n9", "10.0.0.9:4242");
    uint64_t id = join_empty(f, "n9", "10.0.0.9:4242");

    check(f, "10.0.0.9:4242", 0);
    assert_int_equal(joined(f, id)->raft_id, first);
}

static void a_number_in_use_or_used_up_is_not_drawn(void **state)
{
    struct f *f = *state;

    put_member(f->membership, SWK_RAFT_ADD_VOTER, 102, "n102", "a:1");
    put_member(f->membership, SWK_RAFT_REMOVE, 102, NULL, NULL);
    f->entropy = 2; /* draws 2, 3, then 101, 102 */
    assert_int_equal(join_fully(f, "n9", "10.0.0.9:4242"), 4);
    f->entropy = 202;
    assert_int_equal(join_fully(f, "n8", "10.0.0.8:4242"), 103);
}

static void who_is_not_to_be_a_manager_does_not_join(void **state)
{
    struct f *f = *state;

    assert_failed(f, join(f, "w1", "10.0.0.9:4242"),
                  SWKI_STATUS_FAILED_PRECONDITION, "not to be a manager");
    assert_failed(f, join(f, "stranger", "10.0.0.9:4242"),
                  SWKI_STATUS_FAILED_PRECONDITION, "not to be a manager");
    assert_failed(f, join(f, "n9", "nowhere"), SWKI_STATUS_INVALID_ARGUMENT,
                  "invalid address nowhere in raft join request");
    assert_null(swki_requests_next_check(f->requests));
}

static void a_removed_member_does_not_join_with_the_log_it_has(void **state)
{
    Swkpb__JoinRequest request = SWKPB__JOIN_REQUEST__INIT;
    struct f *f = *state;

    put_member(f->membership, SWK_RAFT_REMOVE, 3, NULL, NULL);
    request.addr = (char *)(uintptr_t) "10.0.0.9:4242";
    request.raft_id = 3;
    assert_failed(f,
                  call(f, "/docker.swarmkit.v1.RaftMembership/Join", "n9",
                       false, &request.base),
                  SWKI_STATUS_NOT_FOUND, "member was removed");
    assert_null(swki_requests_next_check(f->requests));
    assert_unanswered(f, join_empty(f, "n9", "10.0.0.9:4242"));
}

static void requests_are_limited(void **state)
{
    struct f *f = *state;
    uint64_t id = 0;

    for (int i = 0; i < 6; i++) {
        id = join(f, "n9", "10.0.0.9:4242");
        assert_unanswered(f, id);
    }
    assert_failed(f, join(f, "n9", "10.0.0.9:4242"), SWKI_STATUS_UNAVAILABLE,
                  "too many");
    swki_requests_cancel(f->requests, id);
    assert_unanswered(f, join(f, "n9", "10.0.0.9:4242"));
}

/* -- Promotion ------------------------------------------------------------ */

static void a_learner_is_promoted_once_it_has_caught_up(void **state)
{
    struct f *f = *state;
    uint64_t raft_id = join_fully(f, "n9", "10.0.0.9:4242");

    f->peers_count = 1;
    f->peers[0] =
        (struct swk_raft_peer){.id = raft_id, .learner = 1, .active = 1};
    f->now = swki_requests_deadline(f->requests);
    step(f);
    assert_int_equal(f->proposed, 1);

    f->peers[0].caught_up = 1;
    f->now = swki_requests_deadline(f->requests);
    step(f);
    assert_int_equal(f->proposed, 2);
    commit(f);
    assert_false(swki_membership_find(f->membership, raft_id)->learner);
    assert_int_equal(swki_requests_deadline(f->requests), SWK_NEVER);
}

static void an_absent_learner_is_not_promoted(void **state)
{
    struct f *f = *state;
    uint64_t raft_id = join_fully(f, "n9", "10.0.0.9:4242");

    f->peers_count = 1;
    f->peers[0] =
        (struct swk_raft_peer){.id = raft_id, .learner = 1, .caught_up = 1};
    f->now += SWK_MINUTE;
    step(f);
    assert_int_equal(f->proposed, 1);
}

/* -- Leaving -------------------------------------------------------------- */

static void a_manager_leaves_itself(void **state)
{
    struct f *f = *state;
    uint64_t id = leave(f, "n2", false, 2);

    step(f);
    assert_unanswered(f, id);
    commit(f);
    assert_int_equal(answer_of(f, id)->status, SWKI_STATUS_OK);
    assert_true(swki_membership_is_removed(f->membership, 2));

    id = leave(f, "n2", false, 2); /* again */
    assert_int_equal(answer_of(f, id)->status, SWKI_STATUS_OK);
}

static void a_manager_removes_none_but_itself(void **state)
{
    struct f *f = *state;
    uint64_t id;

    assert_failed(f, leave(f, "n2", false, 3), SWKI_STATUS_PERMISSION_DENIED,
                  "none but itself");
    assert_failed(f, leave(f, "n2", false, 77), SWKI_STATUS_PERMISSION_DENIED,
                  "none but itself");
    id = leave(f, "", true, 3); /* the administrator */
    step(f);
    commit(f);
    assert_int_equal(answer_of(f, id)->status, SWKI_STATUS_OK);
    assert_null(swki_membership_find(f->membership, 3));
}

static void leaving_needs_a_member_to_leave(void **state)
{
    struct f *f = *state;
    Swkpb__LeaveRequest none = SWKPB__LEAVE_REQUEST__INIT;
    uint64_t id = call(f, "/docker.swarmkit.v1.RaftMembership/Leave", "n2",
                       false, &none.base);

    assert_failed(f, id, SWKI_STATUS_INVALID_ARGUMENT,
                  "no node information provided");
    assert_failed(f, leave(f, "", true, 77), SWKI_STATUS_NOT_FOUND,
                  "no member");
}

static void the_quorum_check_is_made_again_in_the_queue(void **state)
{
    struct f *f = *state;
    uint64_t id = leave(f, "n2", false, 2);

    swki_membership_set_reachable(f->membership, 3, false);
    step(f);
    assert_failed(f, id, SWKI_STATUS_FAILED_PRECONDITION, "loss of quorum");
    assert_int_equal(f->proposed, 0);
}

static void a_removal_that_would_cost_the_quorum_is_refused(void **state)
{
    struct f *f = *state;
    struct swk_error err;

    swki_membership_set_reachable(f->membership, 3, false);
    assert_failed(f, leave(f, "n2", false, 2), SWKI_STATUS_FAILED_PRECONDITION,
                  "raft: member cannot be removed, because removing it may "
                  "result in loss of quorum");
    assert_int_equal(swki_requests_remove(f->requests, f->now, 2, &err),
                     SWK_EPRECONDITION);
    assert_int_equal(swki_requests_remove(f->requests, f->now, 3, &err), 0);
    step(f);
    assert_int_equal(f->proposed, 1);
}

static void propose_pause(struct f *f, const char *node_id)
{
    struct swki_tx *tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, 1);
    struct swki_object *object = swki_object_edit(
        swki_view_get(swki_tx_view(tx), SWKI_KIND_NODE, node_id));
    Swkpb__Node *node = swki_node_edit(object);
    Swkpb__NodeSpec *spec = swki_object_own(object, &node->spec);

    spec->availability = SWKPB__NODE_SPEC__AVAILABILITY__PAUSE;
    assert_int_equal(swki_tx_update(tx, object, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
}

static void
a_leader_hands_over_when_what_was_asked_before_is_committed(void **state)
{
    struct f *f = *state;

    propose_pause(f, "w1");
    assert_int_equal(swki_requests_remove(f->requests, f->now, 1, NULL), 0);
    step(f);
    assert_int_equal(f->transfers, 0);
    propose_pause(f, "n9"); /* later ones do not hold it up */
    assert_int_equal(storelog_commit_one(&f->log, f->store), 0);
    f->now += SWKI_REQUESTS_RETRY_INTERVAL;
    step(f);
    assert_int_equal(f->transfers, 1);
}

static void a_leader_that_is_to_go_hands_over_first(void **state)
{
    struct f *f = *state;

    assert_int_equal(swki_requests_remove(f->requests, f->now, 1, NULL), 0);
    step(f);
    assert_int_equal(f->transfers, 1);
    assert_int_equal(f->proposed, 0);
    assert_failed(f, (leave(f, "n1", false, 1), step(f), f->calls),
                  SWKI_STATUS_UNAVAILABLE, "hands over first");

    f->transfer_code = SWK_ENOTFOUND; /* to nobody: then it goes as it is */
    assert_int_equal(swki_requests_remove(f->requests, f->now, 1, NULL), 0);
    step(f);
    assert_int_equal(f->proposed, 1);
}

static void one_removal_of_a_member_waits_at_a_time(void **state)
{
    struct f *f = *state;

    f->propose_code = SWK_EUNAVAILABLE;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(swki_requests_remove(f->requests, f->now, 2, NULL), 0);
        step(f);
    }
    f->now += SWKI_REQUESTS_REMOVE_LIMIT; /* it is given up */
    step(f);
    f->propose_code = 0;
    f->now += SWK_MINUTE;
    step(f);
    assert_int_equal(f->proposed, 0);
}

/* -- The queue ------------------------------------------------------------ */

static void changes_wait_for_each_other(void **state)
{
    struct f *f = *state;
    uint64_t first = join(f, "n9", "10.0.0.9:4242");
    uint64_t second = join(f, "n2", "10.7.7.7:4242");
    uint64_t third = leave(f, "n3", false, 3);

    check(f, "10.0.0.9:4242", 0); /* the removal is before it */
    check(f, "10.7.7.7:4242", 0);
    assert_int_equal(f->proposed, 1);
    commit(f); /* asserts that there is one at a time */
    assert_int_equal(f->proposed, 3);
    assert_non_null(answer_of(f, first));
    assert_non_null(answer_of(f, second));
    assert_non_null(answer_of(f, third));
}

static void a_refused_proposal_is_made_again_later(void **state)
{
    struct f *f = *state;
    uint64_t id = join(f, "n9", "10.0.0.9:4242");

    f->propose_code = SWK_EPRECONDITION;
    check(f, "10.0.0.9:4242", 0);
    assert_unanswered(f, id);
    assert_false(swki_requests_pending(f->requests)); /* no haste */
    f->propose_code = 0;
    step(f);
    assert_int_equal(f->proposed, 0);
    f->now = swki_requests_deadline(f->requests);
    step(f);
    commit(f);
    assert_true(joined(f, id)->raft_id > 3);
}

static void a_rejected_change_is_no_success(void **state)
{
    struct f *f = *state;
    struct swki_membership_outcome outcome = {
        .reject = true, .why = {SWK_EEXIST, "membership: a duplicate"}};
    uint64_t id = join(f, "n9", "10.0.0.9:4242");

    check(f, "10.0.0.9:4242", 0);
    swki_requests_applied(f->requests, f->entries[0].log.index, &outcome);
    step(f);
    assert_failed(f, id, SWKI_STATUS_UNAVAILABLE, "membership: a duplicate");
}

static void lost_leadership_is_told_and_never_passes_for_success(void **state)
{
    struct f *f = *state;
    uint64_t checked = join(f, "n9", "10.0.0.9:4242");
    uint64_t queued = leave(f, "n3", false, 3);
    uint64_t checking;

    check(f, "10.0.0.9:4242", 0);
    checking = join(f, "n8", "10.0.0.8:4242");
    swki_requests_stop(f->requests, &f->answers);
    assert_failed(f, checked, SWKI_STATUS_UNAVAILABLE, "lost leader status");
    assert_failed(f, queued, SWKI_STATUS_UNAVAILABLE, "lost leader status");
    assert_failed(f, checking, SWKI_STATUS_UNAVAILABLE, "lost leader status");
}

static void a_change_that_is_not_committed_in_time_is_uncertain(void **state)
{
    struct f *f = *state;
    uint64_t id = join(f, "n9", "10.0.0.9:4242");
    uint64_t waiting;

    check(f, "10.0.0.9:4242", 0);
    f->now += SWK_SECOND;
    waiting = leave(f, "n3", false, 3);
    f->now += SWKI_REQUESTS_CALL_LIMIT;
    step(f);
    assert_failed(f, id, SWKI_STATUS_UNAVAILABLE, "it may still be");
    assert_failed(f, waiting, SWKI_STATUS_UNAVAILABLE, "too long");
    commit(f); /* late, and nobody waits */
    assert_non_null(swki_membership_find_node(f->membership, "n9"));
}

static void a_caller_that_went_away_gets_no_answer(void **state)
{
    struct f *f = *state;
    uint64_t id = join(f, "n9", "10.0.0.9:4242");

    check(f, "10.0.0.9:4242", 0);
    swki_requests_cancel(f->requests, id);
    commit(f);
    assert_unanswered(f, id);
    assert_non_null(swki_membership_find_node(f->membership, "n9"));
}

/* -- Memory --------------------------------------------------------------- */

/* Whatever fails, each call is answered once, and nothing is left behind. */
static void want_of_memory_is_told(void **state)
{
    struct f *f = *state;
    bool failed = true;

    for (size_t n = 1; failed; n++) {
        struct heap heap;
        struct swki_requests *requests;
        struct swki_requests_config config = {
            .alloc = &heap.alloc,
            .store = f->store,
            .membership = f->membership,
            .entropy = &entropy,
            .group = {f, propose, peers, transfer},
            .node_id = "n1",
        };
        const struct swki_requests_check *begun;
        uint64_t joining;
        uint64_t leaving;

        heap_init(&heap);
        assert_int_equal(swki_requests_new(&config, &requests, NULL), 0);
        swki_requests_free(f->requests);
        f->requests = requests;
        heap_fail_at(&heap, n);
        leaving = leave(f, "", true, 3);
        joining = join(f, "n2", "10.7.7.7:4242"); /* it moves */
        step(f);
        begun = swki_requests_next_check(f->requests);
        if (begun != NULL) {
            swki_requests_checked(f->requests, f->now, begun->id, 0, NULL);
        }
        step(f);
        failed = heap_failed(&heap);
        swki_requests_stop(f->requests, &f->answers);
        assert_non_null(answer_of(f, leaving));
        assert_non_null(answer_of(f, joining));
        swki_requests_free(f->requests);
        f->requests = NULL;
        assert_int_equal(heap_live(&heap), 0);
        f->applied = f->proposed; /* none of them is committed */
        forget_answers(f);
    }
}

/* -- This manager's address ----------------------------------------------- */

static void the_leader_announces_where_it_moved(void **state)
{
    static const char *const moved[] = {"m1.example:4242", "10.1.1.1:4242"};
    struct f *f = *state;

    step(f);
    assert_int_equal(f->proposed, 0); /* it is where the list says */
    assert_int_equal(swki_requests_set_addresses(f->requests, moved, 2, NULL),
                     0);
    step(f);
    step(f);
    commit(f);
    assert_int_equal(f->proposed, 1);
    assert_string_equal(
        swki_member_address(swki_membership_self(f->membership)),
        "m1.example:4242");
    assert_int_equal(swki_membership_self(f->membership)->addresses_count, 2);
}

static void an_own_address_that_is_none_is_refused(void **state)
{
    static const char *const bad[] = {"10.1.1.1:4242", "0.0.0.0:4242"};
    struct f *f = *state;

    assert_int_equal(swki_requests_set_addresses(f->requests, bad, 2, NULL),
                     SWK_EINVAL);
    step(f);
    assert_int_equal(f->proposed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_manager_is_added_without_a_vote_and_then_answered),
        TEST(an_address_that_does_not_answer_changes_nothing),
        TEST(a_check_without_an_end_fails_in_time),
        TEST(further_addresses_are_tried_and_recorded),
        TEST(a_silent_address_leaves_time_for_the_next),
        TEST(joining_twice_gives_the_same_number),
        TEST(two_joins_of_a_node_at_once_make_one_member),
        TEST(joining_from_elsewhere_moves_the_member),
        TEST(an_unspecified_host_is_recorded_as_the_callers),
        TEST(a_voter_that_lost_its_log_gets_a_new_number),
        TEST(a_learner_without_a_log_keeps_its_number),
        TEST(a_number_in_use_or_used_up_is_not_drawn),
        TEST(who_is_not_to_be_a_manager_does_not_join),
        TEST(a_removed_member_does_not_join_with_the_log_it_has),
        TEST(requests_are_limited),
        TEST(a_learner_is_promoted_once_it_has_caught_up),
        TEST(an_absent_learner_is_not_promoted),
        TEST(a_manager_leaves_itself),
        TEST(a_manager_removes_none_but_itself),
        TEST(leaving_needs_a_member_to_leave),
        TEST(the_quorum_check_is_made_again_in_the_queue),
        TEST(a_removal_that_would_cost_the_quorum_is_refused),
        TEST(a_leader_hands_over_when_what_was_asked_before_is_committed),
        TEST(a_leader_that_is_to_go_hands_over_first),
        TEST(one_removal_of_a_member_waits_at_a_time),
        TEST(changes_wait_for_each_other),
        TEST(a_refused_proposal_is_made_again_later),
        TEST(a_rejected_change_is_no_success),
        TEST(lost_leadership_is_told_and_never_passes_for_success),
        TEST(a_change_that_is_not_committed_in_time_is_uncertain),
        TEST(a_caller_that_went_away_gets_no_answer),
        TEST(want_of_memory_is_told),
        TEST(the_leader_announces_where_it_moved),
        TEST(an_own_address_that_is_none_is_refused),
    };

    return cmocka_run_group_tests_name("requests", tests, NULL, NULL);
}
