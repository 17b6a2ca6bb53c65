/* SPDX-License-Identifier: Apache-2.0 */

#include "node/manager/leader.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "core/allocator/allocator.h"
#include "core/ca/expiry.h"
#include "core/ca/server.h"
#include "core/control/control.h"
#include "core/dispatcher/dispatcher.h"
#include "core/keymanager/keymanager.h"
#include "core/orchestrator/enforcer.h"
#include "core/orchestrator/orchestrator.h"
#include "core/orchestrator/reaper.h"
#include "core/rolemanager/rolemanager.h"
#include "core/scheduler/scheduler.h"

enum {
    ROUNDS_MAX = 16, /* of all components in one step */
};

struct swki_leader {
    struct swki_leader_config config;
    struct swki_control_member members[SWKI_MEMBERS_MAX];
    uint64_t members_version; /* that the dispatcher tells nodes of */
    struct swki_control *control;
    struct swki_requests *requests;
    struct swki_role_manager *role_manager;
    struct swki_key_manager *key_manager;
    struct swki_ca_server *ca;
    struct swki_ca_expiry expiry;
    struct swki_allocator *allocator;
    struct swki_orchestrator *orchestrator;
    struct swki_enforcer *enforcer;
    struct swki_reaper *reaper;
    struct swki_scheduler *scheduler;
    struct swki_dispatcher *dispatcher;
};

/* -- Life ----------------------------------------------------------------- */

static Swkpb__RaftMemberStatus__Reachability
reachability_of(const struct swki_member *member)
{
    if (member->learner) { /* nobody counts on it yet */
        return SWKPB__RAFT_MEMBER_STATUS__REACHABILITY__UNKNOWN;
    }
    return member->reachable
               ? SWKPB__RAFT_MEMBER_STATUS__REACHABILITY__REACHABLE
               : SWKPB__RAFT_MEMBER_STATUS__REACHABILITY__UNREACHABLE;
}

/* The raft members, as the API shows them. */
static size_t members(void *ctx, const struct swki_control_member **out_members)
{
    struct swki_leader *leader = ctx;
    const struct swki_membership *membership = leader->config.membership;
    size_t count = swki_membership_count(membership);

    for (size_t i = 0; i < count; i++) {
        const struct swki_member *member = swki_membership_at(membership, i);

        leader->members[i] = (struct swki_control_member){
            .node_id = member->node_id,
            .raft_id = member->raft_id,
            .addr = swki_member_address(member),
            .leader = member->leader,
            .reachability = reachability_of(member),
        };
    }
    *out_members = leader->members;
    return count;
}

static bool can_remove(void *ctx, uint64_t raft_id)
{
    struct swki_leader *leader = ctx;

    return swki_membership_can_remove(leader->config.membership, raft_id);
}

static int remove_member(void *ctx, swk_time now, uint64_t raft_id,
                         struct swk_error *err)
{
    struct swki_leader *leader = ctx;

    return swki_requests_remove(leader->requests, now, raft_id, err);
}

static struct swki_control_trouble
trouble_of(const struct swki_ca_trouble *trouble)
{
    struct swki_control_trouble shown = {.since = trouble->since,
                                         .waiting = trouble->waiting};

    memcpy(shown.why, trouble->why, sizeof(shown.why));
    return shown;
}

/* Why certificates wait, as the API shows it. */
static void troubles(void *ctx, struct swki_control_trouble *out_all,
                     struct swki_control_trouble *out_some)
{
    const struct swki_leader *leader = ctx;
    struct swki_ca_trouble all;
    struct swki_ca_trouble some;

    swki_ca_server_troubles(leader->ca, &all, &some);
    *out_all = trouble_of(&all);
    *out_some = trouble_of(&some);
}

/* Nodes are told of all managers that they may turn to. */
static int name_managers(struct swki_leader *leader, struct swk_error *err)
{
    const struct swki_membership *membership = leader->config.membership;
    struct swki_dispatcher_manager managers[SWKI_MEMBERS_MAX];
    size_t count = 0;
    int rc;

    for (size_t i = 0; i < swki_membership_count(membership); i++) {
        const struct swki_member *member = swki_membership_at(membership, i);

        if (member->addresses_count > 0) {
            managers[count++] = (struct swki_dispatcher_manager){
                .node_id = member->node_id,
                .address = swki_member_address(member),
            };
        }
    }
    rc = swki_dispatcher_set_managers(leader->dispatcher, managers, count, err);
    if (rc == 0) {
        leader->members_version = swki_membership_version(membership);
    }
    return rc;
}

static int propose_change(void *ctx, const struct swk_raft_conf_change *change,
                          uint64_t *out_index, struct swk_error *err)
{
    struct swki_leader *leader = ctx;

    return swk_raft_propose_conf_change(leader->config.raft, change, out_index,
                                        err);
}

static size_t peers(void *ctx, struct swk_raft_peer *out_peers, size_t count)
{
    struct swki_leader *leader = ctx;

    return swk_raft_peers(leader->config.raft, out_peers, count);
}

static int transfer(void *ctx, struct swk_error *err)
{
    struct swki_leader *leader = ctx;

    return swk_raft_transfer(leader->config.raft, 0, err);
}

/* The machines that serve calls. */
static int make_servers(struct swki_leader *leader, struct swk_error *err)
{
    const struct swki_leader_config *c = &leader->config;
    const struct swki_control_config control = {
        .alloc = c->alloc,
        .logger = c->logger,
        .store = c->store,
        .seed = c->seed,
        .entropy = c->entropy,
        .members = members,
        .can_remove = can_remove,
        .members_ctx = leader,
        .find_driver = c->find_driver,
        .drivers_ctx = c->secrets_ctx,
        .keeper = c->keeper,
        .troubles = troubles,
        .troubles_ctx = leader,
        .replicated_only = true,
    };
    const struct swki_dispatcher_config dispatcher = {
        .alloc = c->alloc,
        .logger = c->logger,
        .store = c->store,
        .node_id = c->node_id,
        .seed = c->seed + 1,
    };
    const struct swki_ca_server_config ca = {
        .alloc = c->alloc,
        .logger = c->logger,
        .store = c->store,
        .node_id = c->node_id,
        .entropy = c->entropy,
        .seed = c->seed + 2,
    };
    const struct swki_requests_config requests = {
        .alloc = c->alloc,
        .logger = c->logger,
        .store = c->store,
        .membership = c->membership,
        .group = {.ctx = leader, .propose = propose_change, .peers = peers,
                  .transfer = transfer},
        .entropy = c->entropy,
        .node_id = c->node_id,
        .addresses = c->addresses,
        .addresses_count = c->addresses_count,
    };
    int rc = swki_control_new(&control, &leader->control, err);

    if (rc == 0) {
        rc = swki_dispatcher_new(&dispatcher, &leader->dispatcher, err);
    }
    if (rc == 0) {
        rc = swki_ca_server_new(&ca, &leader->ca, err);
    }
    if (rc == 0) {
        rc = swki_requests_new(&requests, &leader->requests, err);
    }
    return rc;
}

/* The machines that only watch and write. */
static int make_components(struct swki_leader *leader, struct swk_error *err)
{
    const struct swki_leader_config *c = &leader->config;
    const struct swki_allocator_config allocator = {
        .alloc = c->alloc,
        .logger = c->logger,
        .store = c->store,
        .node_id = c->node_id,
    };
    const struct swki_orchestrator_config orchestrator = {
        .alloc = c->alloc,
        .logger = c->logger,
        .store = c->store,
        .node_id = c->node_id,
        .seed = c->seed + 3,
    };
    const struct swki_enforcer_config enforcer = {
        .alloc = c->alloc,
        .logger = c->logger,
        .store = c->store,
        .node_id = c->node_id,
    };
    const struct swki_reaper_config reaper = {
        .alloc = c->alloc,
        .logger = c->logger,
        .store = c->store,
    };
    const struct swki_scheduler_config scheduler = {
        .alloc = c->alloc,
        .logger = c->logger,
        .store = c->store,
        .node_id = c->node_id,
    };
    const struct swki_role_manager_config role_manager = {
        .alloc = c->alloc,
        .logger = c->logger,
        .store = c->store,
        .membership = c->membership,
        .remove = remove_member,
        .remove_ctx = leader,
    };
    const struct swki_key_manager_config key_manager = {
        .alloc = c->alloc,
        .logger = c->logger,
        .store = c->store,
        .entropy = c->entropy,
    };
    int rc = swki_allocator_new(&allocator, &leader->allocator, err);

    if (rc == 0) {
        rc = swki_orchestrator_new(&orchestrator, &leader->orchestrator, err);
    }
    if (rc == 0) {
        rc = swki_enforcer_new(&enforcer, &leader->enforcer, err);
    }
    if (rc == 0) {
        rc = swki_reaper_new(&reaper, &leader->reaper, err);
    }
    if (rc == 0) {
        rc = swki_scheduler_new(&scheduler, &leader->scheduler, err);
    }
    if (rc == 0) {
        rc = swki_role_manager_new(&role_manager, &leader->role_manager, err);
    }
    if (rc == 0) {
        rc = swki_key_manager_new(&key_manager, &leader->key_manager, err);
    }
    return rc;
}

static int start(struct swki_leader *leader, swk_time now, swk_wall wall,
                 struct swk_error *err)
{
    int rc = name_managers(leader, err);

    if (rc == 0) {
        rc = swki_ca_server_start(leader->ca, err);
    }
    swki_ca_expiry_init(&leader->expiry, leader->config.logger,
                        leader->config.store, now);
    if (rc == 0) {
        rc = swki_dispatcher_start(leader->dispatcher, now, wall, err);
    }
    if (rc == 0) {
        swki_allocator_start(leader->allocator, now, wall);
        swki_orchestrator_start(leader->orchestrator, now, wall);
        swki_enforcer_start(leader->enforcer, now, wall);
        swki_reaper_start(leader->reaper, now, wall);
        swki_scheduler_start(leader->scheduler, now, wall);
    }
    return rc;
}

static void free_parts(struct swki_leader *leader)
{
    swki_control_free(leader->control);
    swki_role_manager_free(leader->role_manager);
    swki_key_manager_free(leader->key_manager);
    swki_requests_free(leader->requests);
    swki_ca_server_free(leader->ca);
    swki_allocator_free(leader->allocator);
    swki_orchestrator_free(leader->orchestrator);
    swki_enforcer_free(leader->enforcer);
    swki_reaper_free(leader->reaper);
    swki_scheduler_free(leader->scheduler);
    swki_dispatcher_free(leader->dispatcher);
    swki_free(leader->config.alloc, leader);
}

int swki_leader_new(const struct swki_leader_config *config, swk_time now,
                    swk_wall wall, struct swki_leader **out_leader,
                    struct swk_error *err)
{
    struct swki_leader *leader = swki_calloc(config->alloc, 1, sizeof(*leader));
    int rc;

    if (leader == NULL) {
        return swki_fail_nomem(err);
    }
    leader->config = *config;
    rc = make_servers(leader, err);
    if (rc == 0) {
        rc = make_components(leader, err);
    }
    if (rc == 0) {
        rc = start(leader, now, wall, err);
    }
    if (rc != 0) {
        free_parts(leader);
        return rc;
    }
    *out_leader = leader;
    return SWK_OK;
}

void swki_leader_free(struct swki_leader *leader, struct swki_answers *answers)
{
    swki_control_stop(leader->control, answers);
    swki_dispatcher_stop(leader->dispatcher, answers);
    swki_ca_server_stop(leader->ca, answers);
    swki_requests_stop(leader->requests, answers);
    free_parts(leader);
}

/* -- Calls ---------------------------------------------------------------- */

static bool in_service(const char *path, const char *service)
{
    size_t len = strlen(service);

    return strncmp(path, service, len) == 0 && path[len] == '/';
}

void swki_leader_call(struct swki_leader *leader, swk_time now, swk_wall wall,
                      const struct swki_call *call,
                      struct swki_answers *answers)
{
    if (in_service(call->path, "/docker.swarmkit.v1.Control") ||
        in_service(call->path, "/swarmkit.v1.JoinTokens")) {
        swki_control_call(leader->control, wall, call, answers);
    } else if (in_service(call->path, "/docker.swarmkit.v1.Dispatcher")) {
        swki_dispatcher_call(leader->dispatcher, now, call, answers);
    } else if (in_service(call->path, "/docker.swarmkit.v1.CA") ||
               in_service(call->path, "/docker.swarmkit.v1.NodeCA")) {
        swki_ca_server_call(leader->ca, now, wall, call, answers);
    } else if (in_service(call->path, "/docker.swarmkit.v1.RaftMembership")) {
        swki_requests_call(leader->requests, now, call, answers);
    } else {
        swki_answer_end(answers, call->id, SWKI_STATUS_UNIMPLEMENTED,
                        "this service is not available in this release");
    }
}

void swki_leader_cancel(struct swki_leader *leader, uint64_t call_id)
{
    swki_control_cancel(leader->control, call_id);
    swki_dispatcher_cancel(leader->dispatcher, call_id);
    swki_ca_server_cancel(leader->ca, call_id);
    swki_requests_cancel(leader->requests, call_id);
}

/* -- Members -------------------------------------------------------------- */

void swki_leader_membership_applied(
    struct swki_leader *leader, uint64_t index,
    const struct swki_membership_outcome *outcome)
{
    swki_requests_applied(leader->requests, index, outcome);
}

void swki_leader_checked(struct swki_leader *leader, swk_time now,
                         uint64_t check_id, const struct swk_error *failure)
{
    swki_requests_checked(leader->requests, now, check_id, failure->code,
                          failure);
}

/* What the members' machine asks for, and what follows from a change. */
static void step_members(struct swki_leader *leader, swk_time now,
                         swk_wall wall, struct swki_answers *answers)
{
    const struct swki_requests_check *check;
    struct swk_error err;

    swki_role_manager_step(leader->role_manager, now, wall);
    swki_requests_step(leader->requests, now, answers);
    while ((check = swki_requests_next_check(leader->requests)) != NULL) {
        leader->config.check(leader->config.check_ctx, check);
    }
    if (leader->members_version !=
            swki_membership_version(leader->config.membership) &&
        name_managers(leader, &err) != 0) {
        swki_log(leader->config.logger, SWK_LOG_WARN, "manager",
                 "nodes are not told of the managers: %s", err.text);
    }
}

/* -- Signatures ----------------------------------------------------------- */

/* Machines number their jobs by themselves; to the signer, the lowest bit of a
 * number says whose it is. */
enum {
    JOB_OF_CA = 0,
    JOB_OF_CONTROL = 1,
    JOB_OWNER_BITS = 1,
};

static int give(struct swki_leader *leader, uint64_t id, uint64_t owner,
                const struct swk_sign_request *request, struct swk_error *err)
{
    const struct swki_leader_config *c = &leader->config;

    if (c->sign == NULL) {
        return swki_fail(err, SWK_EUNAVAILABLE, "there is no signer");
    }
    return c->sign(c->sign_ctx, id << JOB_OWNER_BITS | owner, request, err);
}

/* A signer that takes no more jobs would take no other either. */
static struct swk_sign_result refused(const struct swk_error *err)
{
    return (struct swk_sign_result){
        .size = sizeof(struct swk_sign_result),
        .code = err->code == SWK_ELIMIT ? SWK_EUNAVAILABLE : err->code,
        .text = err->text,
    };
}

/* A root that is made or signed: what an administrator asked for. */
static void step_control_signing(struct swki_leader *leader, swk_wall wall,
                                 struct swki_answers *answers)
{
    const struct swki_control_work *work;
    struct swk_error err;

    while ((work = swki_control_next_work(leader->control)) != NULL) {
        const uint64_t id = work->id;

        if (give(leader, id, JOB_OF_CONTROL, &work->request, &err) != 0) {
            const struct swk_sign_result result = refused(&err);

            swki_control_worked(leader->control, wall, id, &result, answers);
        }
    }
}

static void step_signing(struct swki_leader *leader, swk_time now,
                         swk_wall wall, struct swki_answers *answers)
{
    const struct swki_ca_work *work;
    struct swk_error err;

    step_control_signing(leader, wall, answers);
    while ((work = swki_ca_server_next_work(leader->ca, now, wall)) != NULL) {
        const uint64_t id = work->id;

        if (give(leader, id, JOB_OF_CA, &work->request, &err) != 0) {
            const struct swk_sign_result result = refused(&err);

            swki_ca_server_worked(leader->ca, now, wall, id, &result);
        }
    }
}

void swki_leader_signed(struct swki_leader *leader, swk_time now, swk_wall wall,
                        uint64_t id, const struct swk_sign_result *result,
                        struct swki_answers *answers)
{
    uint64_t own_id = id >> JOB_OWNER_BITS;

    if ((id & JOB_OF_CONTROL) != 0) {
        swki_control_worked(leader->control, wall, own_id, result, answers);
    } else {
        swki_ca_server_worked(leader->ca, now, wall, own_id, result);
    }
}

/* -- Values of secrets ---------------------------------------------------- */

static void step_fetching(struct swki_leader *leader, swk_time now)
{
    const struct swki_leader_config *c = &leader->config;
    const struct swki_fetch_work *work;
    struct swk_error err;

    while ((work = swki_dispatcher_next_fetch(leader->dispatcher, now)) !=
           NULL) {
        const uint64_t id = work->id;
        int rc = c->get_secret != NULL
                     ? c->get_secret(c->secrets_ctx, id, &work->request, &err)
                     : swki_fail(&err, SWK_ENOTSUP, "there are no drivers");

        if (rc != 0) {
            const struct swk_secret_result result = {
                .size = sizeof(result), .code = rc, .text = err.text};

            swki_dispatcher_fetched(leader->dispatcher, now, id, &result);
        }
    }
}

void swki_leader_fetched(struct swki_leader *leader, swk_time now, uint64_t id,
                         const struct swk_secret_result *result)
{
    swki_dispatcher_fetched(leader->dispatcher, now, id, result);
}

/* -- Steps ---------------------------------------------------------------- */

static swk_time earlier(swk_time a, swk_time b)
{
    return a < b ? a : b;
}

static swk_time deadline_of(const struct swki_leader *leader)
{
    swk_time deadline = swki_allocator_deadline(leader->allocator);

    deadline =
        earlier(deadline, swki_orchestrator_deadline(leader->orchestrator));
    deadline = earlier(deadline, swki_enforcer_deadline(leader->enforcer));
    deadline = earlier(deadline, swki_reaper_deadline(leader->reaper));
    deadline = earlier(deadline, swki_scheduler_deadline(leader->scheduler));
    deadline = earlier(deadline, swki_control_deadline(leader->control));
    deadline = earlier(deadline, swki_ca_server_deadline(leader->ca));
    deadline = earlier(deadline, swki_ca_expiry_deadline(&leader->expiry));
    deadline = earlier(deadline, swki_requests_deadline(leader->requests));
    deadline =
        earlier(deadline, swki_role_manager_deadline(leader->role_manager));
    deadline =
        earlier(deadline, swki_key_manager_deadline(leader->key_manager));
    return earlier(deadline, swki_dispatcher_deadline(leader->dispatcher));
}

static bool pending(const struct swki_leader *leader)
{
    return swki_orchestrator_pending(leader->orchestrator) ||
           swki_enforcer_pending(leader->enforcer) ||
           swki_reaper_pending(leader->reaper) ||
           swki_allocator_pending(leader->allocator) ||
           swki_scheduler_pending(leader->scheduler) ||
           swki_ca_server_pending(leader->ca) ||
           swki_requests_pending(leader->requests) ||
           swki_role_manager_pending(leader->role_manager) ||
           swki_key_manager_pending(leader->key_manager) ||
           swki_dispatcher_pending(leader->dispatcher);
}

/*
 * In the order in which a service becomes processes, so that a change usually
 * takes one round: tasks made, allocated, placed, sent. Nothing depends on it.
 */
swk_time swki_leader_step(struct swki_leader *leader, swk_time now,
                          swk_wall wall, struct swki_answers *answers)
{
    int rounds = 0;

    do {
        step_members(leader, now, wall, answers);
        swki_control_step(leader->control, now, answers);
        swki_key_manager_step(leader->key_manager, now, wall);
        swki_ca_server_step(leader->ca, now, wall, answers);
        swki_ca_expiry_step(&leader->expiry, now, wall);
        step_signing(leader, now, wall, answers);
        swki_enforcer_step(leader->enforcer, now, wall);
        swki_orchestrator_step(leader->orchestrator, now, wall);
        swki_reaper_step(leader->reaper, now, wall);
        swki_allocator_step(leader->allocator, now, wall);
        swki_scheduler_step(leader->scheduler, now, wall);
        swki_dispatcher_step(leader->dispatcher, now, wall, answers);
        step_fetching(leader, now);
        rounds++;
    } while (rounds < ROUNDS_MAX && pending(leader));
    return pending(leader) ? now : deadline_of(leader);
}
