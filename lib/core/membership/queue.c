/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The queue: what its head still lacks is proposed, one change at a time.
 *
 * A request says how the list is to be, not what to do about it. The head is
 * compared with the list; if they agree it is done, else the next change
 * towards it is proposed, and when that was applied they are compared anew.
 */

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/membership/list.h"
#include "core/membership/requests_impl.h"

enum {
    PROPOSALS_MAX = 4, /* a removal, an addition, and changes meanwhile */
    NUMBER_ATTEMPTS = 16,
};

/* What became of the head. */
enum verdict {
    DONE,
    PROPOSED,
    AGAIN, /* not now */
    FAILED,
};

#define QUORUM_LOSS                                                            \
    "raft: member cannot be removed, because removing it may result in loss "  \
    "of quorum"

/* -- Answers -------------------------------------------------------------- */

static int fill_join(const struct swki_membership *m,
                     const struct swki_member *joined, struct swki_arena *arena,
                     Swkpb__JoinResponse *response)
{
    size_t count = swki_membership_count(m);
    const uint64_t *removed;

    response->raft_id = joined->raft_id;
    response->n_removed_members = swki_membership_removed(m, &removed);
    response->removed_members = (uint64_t *)(uintptr_t)removed;
    response->members =
        swki_arena_calloc(arena, count, sizeof(response->members[0]));
    if (response->members == NULL) {
        return SWK_ENOMEM;
    }
    for (; response->n_members < count; response->n_members++) {
        Swkpb__RaftMember *member = swki_member_message(
            swki_membership_at(m, response->n_members), arena);

        if (member == NULL) {
            return SWK_ENOMEM;
        }
        response->members[response->n_members] = member;
    }
    return SWK_OK;
}

static void answer_join(const struct swki_requests *requests,
                        const struct swki_request *request,
                        struct swki_answers *answers)
{
    const struct swki_membership *m = requests->config.membership;
    Swkpb__JoinResponse response = SWKPB__JOIN_RESPONSE__INIT;
    struct swki_arena arena;
    struct swk_error err;

    swki_arena_init(&arena, requests->config.alloc, SIZE_MAX);
    if (fill_join(m, swki_membership_find_node(m, request->node_id), &arena,
                  &response) == 0) {
        swki_answer_reply(answers, request->call_id, &response.base, 0);
    } else {
        swki_fail_nomem(&err);
        swki_answer_fail(answers, request->call_id, &err);
    }
    swki_arena_fini(&arena);
}

static void answer_done(const struct swki_requests *requests,
                        const struct swki_request *request,
                        struct swki_answers *answers)
{
    static const Swkpb__LeaveResponse left = SWKPB__LEAVE_RESPONSE__INIT;

    if (request->call_id == 0) {
        return;
    }
    if (request->kind == SWKI_REQUEST_JOIN) {
        answer_join(requests, request, answers);
    } else {
        swki_answer_reply(answers, request->call_id, &left.base, 0);
    }
}

/* -- Proposals ------------------------------------------------------------ */

/* A number that nobody has, and nobody had. 0 if there is none to be had. */
static uint64_t draw_number(const struct swki_requests *requests)
{
    const struct swk_entropy *entropy = requests->config.entropy;
    const struct swki_membership *m = requests->config.membership;

    for (int i = 0; i < NUMBER_ATTEMPTS; i++) {
        uint64_t number;

        if (entropy->fill(entropy->ctx, &number, sizeof(number)) != 0) {
            return 0;
        }
        number = (number >> 1) + 1; /* 1 to 2^63 */
        if (swki_membership_find(m, number) == NULL &&
            !swki_membership_is_removed(m, number)) {
            return number;
        }
    }
    return 0;
}

static enum verdict judge_proposal(struct swki_request *request, int rc)
{
    switch (rc) {
    case 0:
        request->proposals++;
        return PROPOSED;
    case SWK_EPRECONDITION: /* another change is not applied yet */
    case SWK_EUNAVAILABLE:
    case SWK_ENOTLEADER: /* then this machine is stopped soon */
        return AGAIN;
    default:
        return FAILED;
    }
}

/* member says what the change is about; NULL: raft_id alone does. */
static enum verdict propose(struct swki_requests *requests,
                            struct swki_request *request,
                            enum swk_raft_change_type type, uint64_t raft_id,
                            const struct swki_member *member)
{
    const struct swki_group *group = &requests->config.group;
    const struct swk_raft_change part = {.type = (int32_t)type, .id = raft_id};
    struct swk_raft_conf_change change = {
        .size = sizeof(change),
        .changes = &part,
        .changes_count = 1,
    };
    struct swki_buf context;
    int rc = SWK_OK;

    if (request->proposals >= PROPOSALS_MAX) {
        swki_fail(&request->failure, SWK_EUNAVAILABLE,
                  "the members changed too often meanwhile: retry");
        return FAILED;
    }
    swki_buf_init(&context, requests->config.alloc, SIZE_MAX);
    if (member != NULL) {
        rc = swki_member_encode(member, &context, &request->failure);
        change.context = context.data;
        change.context_len = context.len;
    }
    if (rc == 0) {
        rc = group->propose(group->ctx, &change, &request->index,
                            &request->failure);
    }
    swki_buf_fini(&context);
    if (rc != 0) {
        request->index = 0;
    }
    return judge_proposal(request, rc);
}

static enum verdict propose_removal(struct swki_requests *requests,
                                    struct swki_request *request,
                                    const struct swki_member *member)
{
    if (!swki_membership_can_remove(requests->config.membership,
                                    member->raft_id)) {
        swki_fail(&request->failure, SWK_EPRECONDITION, QUORUM_LOSS);
        return FAILED;
    }
    return propose(requests, request, SWK_RAFT_REMOVE, member->raft_id, NULL);
}

/* -- Goals ---------------------------------------------------------------- */

/* What voted and forgot is worse than what is new: its number goes. */
static bool must_be_replaced(const struct swki_request *request,
                             const struct swki_member *member)
{
    return request->empty_log && !member->learner && !member->self;
}

static enum verdict run_join(struct swki_requests *requests,
                             struct swki_request *request)
{
    const struct swki_membership *m = requests->config.membership;
    const struct swki_member *known =
        swki_membership_find_node(m, request->node_id);
    struct swki_member wanted = {
        .node_id = request->node_id,
        .addresses = request->addresses.pointers,
        .addresses_count = request->addresses.count,
    };

    if (swki_requests_may_join(requests, request->node_id, &request->failure) !=
        0) {
        return FAILED;
    }
    if (known != NULL && must_be_replaced(request, known)) {
        return propose_removal(requests, request, known);
    }
    if (known != NULL && swki_addresses_are(&request->addresses, known)) {
        return DONE;
    }
    if (known != NULL) {
        wanted.raft_id = known->raft_id;
        return propose(requests, request, SWK_RAFT_UPDATE, wanted.raft_id,
                       &wanted);
    }
    if (swki_membership_count(m) >= SWKI_MEMBERS_MAX) {
        swki_fail(&request->failure, SWK_ELIMIT,
                  "there are %d managers already", SWKI_MEMBERS_MAX);
        return FAILED;
    }
    wanted.raft_id = draw_number(requests);
    if (wanted.raft_id == 0) {
        swki_fail(&request->failure, SWK_EUNAVAILABLE,
                  "no entropy for the number of a member: retry");
        return FAILED;
    }
    return propose(requests, request, SWK_RAFT_ADD_LEARNER, wanted.raft_id,
                   &wanted);
}

/* Whether all is committed that was under way when it was asked first: who
 * waits for one of these changes, such as the demotion that leads here, gets
 * a certain answer. */
static bool is_settled(const struct swki_requests *requests,
                       struct swki_request *request)
{
    const struct swki_store *store = requests->config.store;

    if (request->settled == 0) {
        request->settled = swki_view_index(swki_store_head(store));
    }
    return swki_view_index(swki_store_committed(store)) >= request->settled;
}

/* A leader that is to go hands over first: the next one removes it. */
static enum verdict run_removal(struct swki_requests *requests,
                                struct swki_request *request)
{
    const struct swki_membership *m = requests->config.membership;
    const struct swki_group *group = &requests->config.group;
    const struct swki_member *member =
        swki_membership_find(m, request->raft_id);

    if (member == NULL) {
        return DONE;
    }
    if (member->self && !is_settled(requests, request)) {
        return AGAIN;
    }
    if (!member->self || !swki_membership_can_remove(m, member->raft_id) ||
        group->transfer(group->ctx, NULL) != 0) {
        return propose_removal(requests, request, member);
    }
    swki_fail(&request->failure, SWK_EUNAVAILABLE,
              "this manager leads and hands over first: retry");
    return FAILED;
}

static enum verdict run_self(struct swki_requests *requests,
                             struct swki_request *request)
{
    const struct swki_member *self =
        swki_membership_self(requests->config.membership);
    struct swki_member wanted = {
        .node_id = requests->node_id,
        .addresses = requests->addresses.pointers,
        .addresses_count = requests->addresses.count,
    };

    if (self == NULL || (swki_addresses_are(&requests->addresses, self) &&
                         strcmp(self->node_id, requests->node_id) == 0)) {
        return DONE;
    }
    wanted.raft_id = self->raft_id;
    return propose(requests, request, SWK_RAFT_UPDATE, self->raft_id, &wanted);
}

static enum verdict run_promotion(struct swki_requests *requests,
                                  struct swki_request *request)
{
    const struct swki_member *member =
        swki_membership_find(requests->config.membership, request->raft_id);

    if (member == NULL || !member->learner) {
        return DONE;
    }
    return propose(requests, request, SWK_RAFT_ADD_VOTER, member->raft_id,
                   member);
}

static enum verdict run_head(struct swki_requests *requests,
                             struct swki_request *request)
{
    if (request->failure.code != 0) { /* its change was rejected */
        return FAILED;
    }
    switch (request->kind) {
    case SWKI_REQUEST_JOIN:
        return run_join(requests, request);
    case SWKI_REQUEST_REMOVE:
        return run_removal(requests, request);
    case SWKI_REQUEST_SELF:
        return run_self(requests, request);
    case SWKI_REQUEST_PROMOTE:
        return run_promotion(requests, request);
    }
    return FAILED;
}

static void fail_head(struct swki_requests *requests,
                      struct swki_request *request,
                      struct swki_answers *answers)
{
    if (request->call_id != 0) {
        swki_answer_fail(answers, request->call_id, &request->failure);
    } else {
        swki_log(requests->config.logger, SWK_LOG_WARN, "membership", "%s",
                 request->failure.text);
    }
    swki_request_free(requests, request);
}

void swki_requests_run(struct swki_requests *requests, swk_time now,
                       struct swki_answers *answers)
{
    struct swki_request *head = swki_requests_head(requests);

    for (; head != NULL && head->index == 0 && requests->retry_at <= now;
         head = swki_requests_head(requests)) {
        switch (run_head(requests, head)) {
        case DONE:
            answer_done(requests, head, answers);
            swki_request_free(requests, head);
            break;
        case PROPOSED:
            break;
        case AGAIN:
            head->failure.code = 0;
            requests->retry_at = now + SWKI_REQUESTS_RETRY_INTERVAL;
            break;
        case FAILED:
            fail_head(requests, head, answers);
            break;
        }
    }
}
