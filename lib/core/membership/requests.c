/* SPDX-License-Identifier: Apache-2.0 */

#include "core/membership/requests.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/membership/requests_impl.h"
#include "raft.pb-c.h"

#define SERVICE_PATH "/docker.swarmkit.v1.RaftMembership/"

/* -- Addresses ------------------------------------------------------------ */

bool swki_addresses_are(const struct swki_addresses *addresses,
                        const struct swki_member *member)
{
    bool same = addresses->count == member->addresses_count;

    for (size_t i = 0; same && i < addresses->count; i++) {
        same = strcmp(addresses->pointers[i], member->addresses[i]) == 0;
    }
    return same;
}

/* Adds an address; caller is where it was seen, or "". One that is there stays
 * once. */
static int add_address(struct swki_addresses *addresses, const char *text,
                       const char *caller, struct swk_error *err)
{
    char *place;
    int rc;

    if (addresses->count == SWKI_MEMBER_ADDRESSES_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "a manager has at most %d addresses",
                         SWKI_MEMBER_ADDRESSES_MAX);
    }
    place = addresses->texts[addresses->count];
    rc = swki_member_address_complete(text, caller, place, err);
    for (size_t i = 0; rc == 0 && i < addresses->count; i++) {
        if (strcmp(addresses->pointers[i], place) == 0) {
            return SWK_OK;
        }
    }
    if (rc == 0) {
        addresses->pointers[addresses->count++] = place;
    }
    return rc;
}

/* -- Life ----------------------------------------------------------------- */

int swki_requests_new(const struct swki_requests_config *config,
                      struct swki_requests **out_requests,
                      struct swk_error *err)
{
    struct swki_requests *r = swki_calloc(config->alloc, 1, sizeof(*r));
    int rc;

    if (r == NULL) {
        return swki_fail_nomem(err);
    }
    r->config = *config;
    r->config.node_id = r->node_id;
    r->max = config->requests_max != 0 ? config->requests_max
                                       : SWKI_REQUESTS_MAX;
    snprintf(r->node_id, sizeof(r->node_id), "%s", config->node_id);
    swki_list_init(&r->checking);
    swki_list_init(&r->queue);
    swki_list_init(&r->failed);
    rc = swki_requests_set_addresses(r, config->addresses,
                                     config->addresses_count, err);
    if (rc != 0) {
        swki_requests_free(r);
        return rc;
    }
    *out_requests = r;
    return SWK_OK;
}

struct swki_request *swki_request_of(struct swki_link *link)
{
    return SWKI_CONTAINER(link, struct swki_request, link);
}

struct swki_request *swki_requests_head(const struct swki_requests *r)
{
    return swki_list_empty(&r->queue) ? NULL : swki_request_of(r->queue.next);
}

struct swki_request *swki_request_new(struct swki_requests *r,
                                      enum swki_request_kind kind,
                                      struct swk_error *err)
{
    struct swki_request *request;

    if (r->count >= r->max) {
        swki_fail(err, SWK_EUNAVAILABLE,
                  "too many managers join or leave at once: retry");
        return NULL;
    }
    request = swki_calloc(r->config.alloc, 1, sizeof(*request));
    if (request == NULL) {
        swki_fail_nomem(err);
        return NULL;
    }
    swki_list_init(&request->link);
    request->kind = kind;
    request->deadline = SWK_NEVER;
    request->check_until = SWK_NEVER;
    r->count++;
    return request;
}

void swki_request_free(struct swki_requests *r, struct swki_request *request)
{
    swki_list_remove(&request->link);
    swki_free(r->config.alloc, request);
    r->count--;
}

static void free_list(struct swki_requests *r, struct swki_link *list)
{
    while (!swki_list_empty(list)) {
        swki_request_free(r, swki_request_of(list->next));
    }
}

void swki_requests_free(struct swki_requests *r)
{
    if (r != NULL) {
        free_list(r, &r->checking);
        free_list(r, &r->queue);
        free_list(r, &r->failed);
        swki_free(r->config.alloc, r);
    }
}

static void fail_list(struct swki_requests *r, struct swki_link *list,
                      int code, const char *text, struct swki_answers *answers)
{
    struct swk_error err;

    swki_fail(&err, code, "%s", text);
    while (!swki_list_empty(list)) {
        struct swki_request *request = swki_request_of(list->next);

        if (request->call_id != 0) {
            swki_answer_fail(answers, request->call_id, &err);
        }
        swki_request_free(r, request);
    }
}

void swki_requests_stop(struct swki_requests *r, struct swki_answers *answers)
{
    static const char lost[] =
        "raft: failed to process the request: node lost leader status; it may "
        "still take effect: retry";

    fail_list(r, &r->checking, SWK_EUNAVAILABLE, lost, answers);
    fail_list(r, &r->failed, SWK_EUNAVAILABLE, lost, answers);
    fail_list(r, &r->queue, SWK_EUNAVAILABLE, lost, answers);
}

int swki_requests_set_addresses(struct swki_requests *r,
                                const char *const *addresses,
                                size_t addresses_count, struct swk_error *err)
{
    struct swki_addresses next = {.count = 0};
    int rc = SWK_OK;

    for (size_t i = 0; i < addresses_count && rc == 0; i++) {
        rc = add_address(&next, addresses[i], "", err);
    }
    if (rc != 0) {
        return rc;
    }
    r->addresses = next;
    for (size_t i = 0; i < next.count; i++) {
        r->addresses.pointers[i] = r->addresses.texts[i];
    }
    return SWK_OK;
}

/* -- Calls ---------------------------------------------------------------- */

int swki_requests_may_join(const struct swki_requests *r, const char *node_id,
                           struct swk_error *err)
{
    const struct swki_object *object = swki_view_get(
        swki_store_head(r->config.store), SWKI_KIND_NODE, node_id);
    const Swkpb__NodeSpec *spec =
        object != NULL ? swki_node(object)->spec : NULL;

    if (spec == NULL || spec->desired_role != SWKPB__NODE_ROLE__MANAGER) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "node %s is not to be a manager of this swarm",
                         node_id);
    }
    return SWK_OK;
}

static swk_time try_limit(const struct swki_request *request)
{
    return SWKI_REQUESTS_CHECK_LIMIT / request->addresses.count;
}

static void begin_check(struct swki_requests *r, struct swki_request *request,
                        swk_time now)
{
    request->check_id = ++r->checks;
    request->check_due = true;
    request->try_until = now + try_limit(request);
}

static int fill_join(const struct swki_call *call,
                     struct swki_request *request, struct swk_error *err)
{
    const Swkpb__JoinRequest *join = (const Swkpb__JoinRequest *)call->request;
    const char *caller = call->caller->address;
    int rc = add_address(&request->addresses, join->addr, caller, err);

    for (size_t i = 0; i < join->n_more_addrs && rc == 0; i++) {
        rc = add_address(&request->addresses, join->more_addrs[i], caller,
                         err);
    }
    snprintf(request->node_id, sizeof(request->node_id), "%s",
             call->caller->node_id);
    request->empty_log = join->empty_log;
    return rc;
}

/* One whose log is of a number that was removed cannot go on with it: it would
 * only take a place that it never fills. It goes by the first words of this. */
static int check_number(const struct swki_requests *r,
                        const Swkpb__JoinRequest *join, struct swk_error *err)
{
    if (join->raft_id == 0 ||
        !swki_membership_is_removed(r->config.membership, join->raft_id)) {
        return SWK_OK;
    }
    return swki_fail(err, SWK_ENOTFOUND,
                     "raft: member was removed from the cluster: wipe its "
                     "state directory before it joins again");
}

static int serve_join(struct swki_requests *r, swk_time now,
                      const struct swki_call *call, struct swk_error *err)
{
    struct swki_request *request;
    int rc;

    if (call->caller->local || call->caller->node_id[0] == '\0' ||
        strlen(call->caller->node_id) > SWK_ID_LEN_MAX) {
        return swki_fail(err, SWK_EDENIED,
                         "only a manager with its certificate joins");
    }
    rc = swki_requests_may_join(r, call->caller->node_id, err);
    if (rc == 0) {
        rc = check_number(r, (const Swkpb__JoinRequest *)call->request, err);
    }
    if (rc != 0) {
        return rc;
    }
    request = swki_request_new(r, SWKI_REQUEST_JOIN, err);
    if (request == NULL) {
        return err->code;
    }
    rc = fill_join(call, request, err);
    if (rc != 0) {
        swki_request_free(r, request);
        return rc;
    }
    request->call_id = call->id;
    request->deadline = now + SWKI_REQUESTS_CALL_LIMIT;
    request->check_until = now + SWKI_REQUESTS_CHECK_LIMIT;
    begin_check(r, request, now);
    swki_list_append(&r->checking, &request->link);
    return SWK_OK;
}

/* Whether a removal of the member waits already, for nobody. */
static bool is_removing(const struct swki_requests *r, uint64_t raft_id)
{
    for (struct swki_link *at = r->queue.next; at != &r->queue; at = at->next) {
        const struct swki_request *request = swki_request_of(at);

        if (request->kind == SWKI_REQUEST_REMOVE &&
            request->raft_id == raft_id && request->call_id == 0) {
            return true;
        }
    }
    return false;
}

static int queue_removal(struct swki_requests *r, uint64_t call_id,
                         uint64_t raft_id, swk_time deadline,
                         struct swk_error *err)
{
    struct swki_request *request;

    if (!swki_membership_can_remove(r->config.membership, raft_id)) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "raft: member cannot be removed, because removing it "
                         "may result in loss of quorum");
    }
    request = swki_request_new(r, SWKI_REQUEST_REMOVE, err);
    if (request == NULL) {
        return err->code;
    }
    request->call_id = call_id;
    request->raft_id = raft_id;
    request->deadline = deadline;
    swki_list_append(&r->queue, &request->link);
    return SWK_OK;
}

int swki_requests_remove(struct swki_requests *r, swk_time now,
                         uint64_t raft_id, struct swk_error *err)
{
    struct swk_error why;

    if (swki_membership_find(r->config.membership, raft_id) == NULL) {
        return swki_fail(err, SWK_ENOTFOUND, "%llx is no member",
                         (unsigned long long)raft_id);
    }
    if (is_removing(r, raft_id)) {
        return SWK_OK;
    }
    return queue_removal(r, 0, raft_id, now + SWKI_REQUESTS_REMOVE_LIMIT,
                         err != NULL ? err : &why);
}

/* A manager leaves itself; the administrator may remove any. */
static int serve_leave(struct swki_requests *r, swk_time now,
                       const struct swki_call *call,
                       struct swki_answers *answers, struct swk_error *err)
{
    static const Swkpb__LeaveResponse left = SWKPB__LEAVE_RESPONSE__INIT;
    const Swkpb__LeaveRequest *leave =
        (const Swkpb__LeaveRequest *)call->request;
    const struct swki_membership *m = r->config.membership;
    const struct swki_member *member;

    if (leave->node == NULL) {
        return swki_fail(err, SWK_EINVAL, "no node information provided");
    }
    if (swki_membership_is_removed(m, leave->node->raft_id)) {
        swki_answer_reply(answers, call->id, &left.base, 0);
        return SWK_OK;
    }
    member = swki_membership_find(m, leave->node->raft_id);
    if (!call->caller->local &&
        (member == NULL ||
         strcmp(member->node_id, call->caller->node_id) != 0)) {
        return swki_fail(err, SWK_EDENIED,
                         "a manager removes none but itself");
    }
    if (member == NULL) {
        return swki_fail(err, SWK_ENOTFOUND, "%llx is no member",
                         (unsigned long long)leave->node->raft_id);
    }
    return queue_removal(r, call->id, member->raft_id,
                         now + SWKI_REQUESTS_CALL_LIMIT, err);
}

void swki_requests_call(struct swki_requests *r, swk_time now,
                        const struct swki_call *call,
                        struct swki_answers *answers)
{
    struct swk_error err = {0};
    int rc;

    if (strcmp(call->path, SERVICE_PATH "Join") == 0) {
        rc = serve_join(r, now, call, &err);
    } else if (strcmp(call->path, SERVICE_PATH "Leave") == 0) {
        rc = serve_leave(r, now, call, answers, &err);
    } else {
        rc = swki_fail(&err, SWK_ENOTSUP, "no such call");
    }
    if (rc != 0) {
        swki_answer_fail(answers, call->id, &err);
    }
}

void swki_requests_cancel(struct swki_requests *r, uint64_t call_id)
{
    struct swki_link *lists[] = {&r->checking, &r->queue, &r->failed};

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (struct swki_link *at = lists[i]->next; at != lists[i];
             at = at->next) {
            struct swki_request *request = swki_request_of(at);

            if (request->call_id != call_id) {
                continue;
            }
            if (request->index != 0) {
                request->call_id = 0;
                request->deadline = SWK_NEVER;
            } else {
                swki_request_free(r, request);
            }
            return;
        }
    }
}

void swki_requests_applied(struct swki_requests *r, uint64_t index,
                           const struct swki_membership_outcome *outcome)
{
    struct swki_request *head = swki_requests_head(r);

    r->retry_at = 0;
    if (head != NULL && head->index == index) {
        head->index = 0;
        if (outcome->reject) {
            head->failure = outcome->why;
            head->failure.code = SWK_EUNAVAILABLE; /* the list had changed */
        }
    }
}

/* -- Checks --------------------------------------------------------------- */

const struct swki_requests_check *
swki_requests_next_check(struct swki_requests *r)
{
    for (struct swki_link *at = r->checking.next; at != &r->checking;
         at = at->next) {
        struct swki_request *request = swki_request_of(at);

        if (request->check_due) {
            request->check_due = false;
            r->check = (struct swki_requests_check){
                .id = request->check_id,
                .node_id = request->node_id,
                .address = request->addresses.pointers[request->checking],
                .limit_ns = try_limit(request),
            };
            return &r->check;
        }
    }
    return NULL;
}

static void fail_check(struct swki_requests *r, struct swki_request *request,
                       const char *why)
{
    swki_fail(&request->failure, SWK_EUNAVAILABLE,
              "could not connect to prospective new cluster member using its "
              "advertised address %.80s: %.80s",
              request->addresses.pointers[request->checking], why);
    swki_list_remove(&request->link);
    swki_list_append(&r->failed, &request->link);
}

/* Tries the next address, if there is one and time is left. */
static void go_on(struct swki_requests *r, struct swki_request *request,
                  swk_time now, const char *why)
{
    if (request->checking + 1 < request->addresses.count &&
        now < request->check_until) {
        request->checking++;
        begin_check(r, request, now);
    } else {
        fail_check(r, request, why);
    }
}

void swki_requests_checked(struct swki_requests *r, swk_time now,
                           uint64_t check_id, int code,
                           const struct swk_error *err)
{
    struct swki_link *at = r->checking.next;
    struct swki_request *request;

    while (at != &r->checking && swki_request_of(at)->check_id != check_id) {
        at = at->next;
    }
    if (at == &r->checking) {
        return;
    }
    request = swki_request_of(at);
    if (code == 0) {
        swki_list_remove(&request->link);
        swki_list_append(&r->queue, &request->link);
    } else {
        go_on(r, request, now, err != NULL ? err->text : "no answer");
    }
}

/* -- Steps ---------------------------------------------------------------- */

static void expire_checks(struct swki_requests *r, swk_time now)
{
    struct swki_link *at = r->checking.next;

    while (at != &r->checking) {
        struct swki_request *request = swki_request_of(at);

        at = at->next;
        if (request->try_until <= now) {
            go_on(r, request, now, "no answer in time");
        }
    }
}

/* What is in the log goes on without its caller. */
static void expire_queue(struct swki_requests *r, swk_time now,
                         struct swki_answers *answers)
{
    struct swki_link *at = r->queue.next;
    struct swk_error err;

    while (at != &r->queue) {
        struct swki_request *request = swki_request_of(at);

        at = at->next;
        if (request->deadline > now) {
            continue;
        }
        swki_fail(&err, SWK_EUNAVAILABLE, "%s: retry",
                  request->index != 0
                      ? "the change is not committed in time; it may still be"
                      : "other changes of the members take too long");
        if (request->call_id != 0) {
            swki_answer_fail(answers, request->call_id, &err);
        }
        request->call_id = 0;
        request->deadline = SWK_NEVER;
        if (request->index == 0) {
            swki_request_free(r, request);
        }
    }
}

static void answer_failed(struct swki_requests *r,
                          struct swki_answers *answers)
{
    while (!swki_list_empty(&r->failed)) {
        struct swki_request *request = swki_request_of(r->failed.next);

        swki_answer_fail(answers, request->call_id, &request->failure);
        swki_request_free(r, request);
    }
}

static bool is_queued(const struct swki_requests *r,
                      enum swki_request_kind kind, uint64_t raft_id)
{
    for (struct swki_link *at = r->queue.next; at != &r->queue; at = at->next) {
        const struct swki_request *request = swki_request_of(at);

        if (request->kind == kind && request->raft_id == raft_id) {
            return true;
        }
    }
    return false;
}

/* Queues what nobody asked for; if there is no room, a later step tries. */
static void queue_own(struct swki_requests *r, enum swki_request_kind kind,
                      uint64_t raft_id)
{
    struct swki_request *request;

    if (is_queued(r, kind, raft_id)) {
        return;
    }
    request = swki_request_new(r, kind, NULL);
    if (request != NULL) {
        request->raft_id = raft_id;
        swki_list_append(&r->queue, &request->link);
    }
}

static void queue_self(struct swki_requests *r)
{
    const struct swki_member *self =
        swki_membership_self(r->config.membership);

    if (self != NULL && r->addresses.count > 0 &&
        (!swki_addresses_are(&r->addresses, self) ||
         strcmp(self->node_id, r->node_id) != 0)) {
        queue_own(r, SWKI_REQUEST_SELF, self->raft_id);
    }
}

/* Members that have, or have not, a vote. */
static size_t count_members(const struct swki_requests *r, bool learners)
{
    const struct swki_membership *m = r->config.membership;
    size_t count = 0;

    for (size_t i = 0; i < swki_membership_count(m); i++) {
        count += swki_membership_at(m, i)->learner == learners;
    }
    return count;
}

/* A learner votes once it has what the leader has. */
static void queue_promotions(struct swki_requests *r, swk_time now)
{
    const struct swki_group *group = &r->config.group;
    size_t voters = count_members(r, false);
    size_t count;

    if (now < r->poll_at || count_members(r, true) == 0) {
        return;
    }
    r->poll_at = now + SWKI_REQUESTS_RETRY_INTERVAL;
    count = group->peers(group->ctx, r->peers, SWK_RAFT_MEMBERS_MAX);
    if (count > SWK_RAFT_MEMBERS_MAX) {
        count = SWK_RAFT_MEMBERS_MAX;
    }
    for (size_t i = 0; i < count && voters < SWK_RAFT_VOTERS_MAX; i++) {
        if (r->peers[i].learner && r->peers[i].caught_up &&
            r->peers[i].active) {
            queue_own(r, SWKI_REQUEST_PROMOTE, r->peers[i].id);
            voters++;
        }
    }
}

void swki_requests_step(struct swki_requests *r, swk_time now,
                        struct swki_answers *answers)
{
    expire_checks(r, now);
    expire_queue(r, now, answers);
    answer_failed(r, answers);
    queue_promotions(r, now);
    queue_self(r);
    swki_requests_run(r, now, answers);
}

bool swki_requests_pending(const struct swki_requests *r)
{
    const struct swki_request *head = swki_requests_head(r);

    if ((head != NULL && head->index == 0 && r->retry_at == 0) ||
        !swki_list_empty(&r->failed)) {
        return true;
    }
    for (struct swki_link *at = r->checking.next; at != &r->checking;
         at = at->next) {
        if (swki_request_of(at)->check_due) {
            return true;
        }
    }
    return false;
}

static swk_time earlier(swk_time a, swk_time b)
{
    return a < b ? a : b;
}

swk_time swki_requests_deadline(const struct swki_requests *r)
{
    const struct swki_request *head = swki_requests_head(r);
    swk_time deadline = SWK_NEVER;

    for (struct swki_link *at = r->checking.next; at != &r->checking;
         at = at->next) {
        deadline = earlier(deadline, swki_request_of(at)->try_until);
    }
    for (struct swki_link *at = r->queue.next; at != &r->queue; at = at->next) {
        deadline = earlier(deadline, swki_request_of(at)->deadline);
    }
    if (head != NULL && head->index == 0) {
        deadline = earlier(deadline, r->retry_at);
    }
    if (count_members(r, true) > 0) {
        deadline = earlier(deadline, r->poll_at);
    }
    return deadline;
}
