/* SPDX-License-Identifier: Apache-2.0 */

#include "node/leader.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/allocator/allocator.h"
#include "core/ca/server.h"
#include "core/control/control.h"
#include "core/dispatcher/dispatcher.h"
#include "core/orchestrator/enforcer.h"
#include "core/orchestrator/orchestrator.h"
#include "core/orchestrator/reaper.h"
#include "core/scheduler/scheduler.h"
#include "health.pb-c.h"

enum {
    ROUNDS_MAX = 16, /* of all components in one step */
};

struct swki_leader {
    struct swki_leader_config config;
    struct swki_control_member self;
    struct swki_control *control;
    struct swki_ca_server *ca;
    struct swki_allocator *allocator;
    struct swki_orchestrator *orchestrator;
    struct swki_enforcer *enforcer;
    struct swki_reaper *reaper;
    struct swki_scheduler *scheduler;
    struct swki_dispatcher *dispatcher;
};

/* -- Life ----------------------------------------------------------------- */

static size_t members(void *ctx, const struct swki_control_member **out_members)
{
    struct swki_leader *leader = ctx;

    *out_members = &leader->self;
    return 1;
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
        .members_ctx = leader,
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
    int rc = swki_control_new(&control, &leader->control, err);

    if (rc == 0) {
        rc = swki_dispatcher_new(&dispatcher, &leader->dispatcher, err);
    }
    if (rc == 0) {
        rc = swki_ca_server_new(&ca, &leader->ca, err);
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
    return rc;
}

static int start(struct swki_leader *leader, swk_time now, swk_wall wall,
                 struct swk_error *err)
{
    const struct swki_dispatcher_manager manager = {
        .node_id = leader->config.node_id,
        .address = leader->config.address,
    };
    int rc = swki_dispatcher_set_managers(leader->dispatcher, &manager, 1, err);

    if (rc == 0) {
        rc = swki_ca_server_start(leader->ca, err);
    }
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
    leader->self = (struct swki_control_member){
        .node_id = config->node_id,
        .raft_id = config->raft_id,
        .addr = config->address,
        .leader = true,
        .reachability = SWKPB__RAFT_MEMBER_STATUS__REACHABILITY__REACHABLE,
    };
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
    swki_dispatcher_stop(leader->dispatcher, answers);
    swki_ca_server_stop(leader->ca, answers);
    free_parts(leader);
}

/* -- Calls ---------------------------------------------------------------- */

static bool in_service(const char *path, const char *service)
{
    size_t len = strlen(service);

    return strncmp(path, service, len) == 0 && path[len] == '/';
}

static void serve_health(const struct swki_call *call,
                         struct swki_answers *answers)
{
    Swkpb__HealthCheckResponse response = SWKPB__HEALTH_CHECK_RESPONSE__INIT;

    response.status = SWKPB__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    swki_answer_reply(answers, call->id, &response.base, 0);
}

void swki_leader_call(struct swki_leader *leader, swk_time now, swk_wall wall,
                      const struct swki_call *call,
                      struct swki_answers *answers)
{
    if (in_service(call->path, "/docker.swarmkit.v1.Control")) {
        swki_control_call(leader->control, wall, call, answers);
    } else if (in_service(call->path, "/docker.swarmkit.v1.Dispatcher")) {
        swki_dispatcher_call(leader->dispatcher, now, call, answers);
    } else if (in_service(call->path, "/docker.swarmkit.v1.CA") ||
               in_service(call->path, "/docker.swarmkit.v1.NodeCA")) {
        swki_ca_server_call(leader->ca, wall, call, answers);
    } else if (in_service(call->path, "/docker.swarmkit.v1.Health")) {
        serve_health(call, answers);
    } else {
        swki_answer_end(answers, call->id, SWKI_STATUS_UNIMPLEMENTED,
                        "this service is not available in this release");
    }
}

void swki_leader_cancel(struct swki_leader *leader, uint64_t call_id)
{
    swki_dispatcher_cancel(leader->dispatcher, call_id);
    swki_ca_server_cancel(leader->ca, call_id);
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
    deadline = earlier(deadline, swki_ca_server_deadline(leader->ca));
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
        swki_ca_server_step(leader->ca, now, wall, answers);
        swki_enforcer_step(leader->enforcer, now, wall);
        swki_orchestrator_step(leader->orchestrator, now, wall);
        swki_reaper_step(leader->reaper, now, wall);
        swki_allocator_step(leader->allocator, now, wall);
        swki_scheduler_step(leader->scheduler, now, wall);
        swki_dispatcher_step(leader->dispatcher, now, wall, answers);
        rounds++;
    } while (rounds < ROUNDS_MAX && pending(leader));
    return pending(leader) ? now : deadline_of(leader);
}
