/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Every call, made by everyone, directly and through others: who is let in is
 * written down here a second time, by services.
 */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/roles.h"
#include "node/manager/authorize.h"
#include "node/manager/front.h"

#define SWARM "swarm0000000000000000000a"
#define DENIED "Permission denied: "

struct swki_rpc_call {
    struct swki_rpc_call_info info;
    void *ctx;
    bool ended;
    bool served; /* here, or by the leader */
    int status;
    char text[256];
};

static bool leads; /* the manager under test */

/* -- The server, the loop, the manager and the forwarder ------------------ */

static bool is_removed(void *ctx, const char *node_id)
{
    (void)ctx;
    return strncmp(node_id, "gone", 4) == 0;
}

static bool is_worker(void *ctx, const char *node_id)
{
    (void)ctx;
    return strcmp(node_id, "demoted") == 0 || strcmp(node_id, "worker") == 0;
}

static const struct swki_swarm_access access = {.swarm_id = SWARM,
                                                .is_removed = is_removed,
                                                .is_worker = is_worker};
static struct swki_rpc_call *current;

const struct swki_rpc_call_info *
swki_rpc_call_info(const struct swki_rpc_call *call)
{
    return &call->info;
}

void swki_rpc_call_set_ctx(struct swki_rpc_call *call, void *ctx)
{
    call->ctx = ctx;
}

void *swki_rpc_call_ctx(const struct swki_rpc_call *call)
{
    return call->ctx;
}

void swki_rpc_call_send(struct swki_rpc_call *call, const uint8_t *data,
                        size_t len)
{
    (void)call;
    (void)data;
    (void)len;
    fail();
}

void swki_rpc_call_end(struct swki_rpc_call *call, int status, const char *text)
{
    assert_false(call->ended);
    call->ended = true;
    call->status = status;
    snprintf(call->text, sizeof(call->text), "%s", text);
}

void swki_loop_wake(struct swki_loop *loop)
{
    (void)loop;
}

int swki_manager_admit(const struct swki_manager *manager, const char *path,
                       const struct swki_caller *caller, struct swk_error *err)
{
    (void)manager;
    return swki_authorize(&access, swki_method_by_path(path, strlen(path)),
                          caller, err);
}

int swki_manager_admit_forwarder(const struct swki_manager *manager,
                                 const struct swki_caller *forwarder,
                                 struct swk_error *err)
{
    (void)manager;
    return swki_authorize_forwarder(&access, forwarder, err);
}

void swki_manager_call(struct swki_manager *manager, swk_time now,
                       const struct swki_manager_call *call)
{
    struct swk_error err;

    (void)now;
    if (swki_manager_admit(manager, call->path, call->caller, &err) != 0) {
        swki_rpc_call_end(current, (int)swki_status_from_error(err.code),
                          err.text);
    } else {
        current->served = true;
    }
}

void swki_manager_refused(struct swki_manager *manager, const char *path,
                          const struct swki_caller *caller,
                          enum swki_status status, const char *text)
{
    (void)manager;
    (void)path;
    (void)caller;
    (void)status;
    (void)text;
}

void swki_manager_cancel(struct swki_manager *manager, uint64_t call_id)
{
    (void)manager;
    (void)call_id;
}

bool swki_manager_leads(const struct swki_manager *manager)
{
    (void)manager;
    return leads;
}

void swki_forward_request(struct swki_forward *forward,
                          struct swki_rpc_call *call, const uint8_t *data,
                          size_t len, swk_time now)
{
    (void)forward;
    (void)data;
    (void)len;
    (void)now;
    call->served = true;
}

void swki_forward_message(struct swki_forward *forward,
                          struct swki_rpc_call *call, const uint8_t *data,
                          size_t len, swk_time now)
{
    (void)forward;
    (void)call;
    (void)data;
    (void)len;
    (void)now;
}

void swki_forward_finished(struct swki_forward *forward,
                           struct swki_rpc_call *call, swk_time now)
{
    (void)forward;
    (void)call;
    (void)now;
}

void swki_forward_closed(struct swki_forward *forward,
                         struct swki_rpc_call *call, swk_time now)
{
    (void)forward;
    (void)call;
    (void)now;
}

bool swki_peers_serves(const char *path)
{
    (void)path;
    return false;
}

struct swki_rpc_handler swki_peers_handler(struct swki_peers *peers)
{
    (void)peers;
    return (struct swki_rpc_handler){0};
}

/* -- The rules ------------------------------------------------------------ */

/* Who may make a call through the network. */
enum audience {
    EVERYBODY,
    NODES,
    MANAGERS,
    NOBODY, /* the control socket alone */
};

static const struct {
    const char *service;
    const char *name; /* NULL for all of the service's */
    enum audience audience;
} rules[] = {
    {"CA", "GetRootCACertificate", EVERYBODY},
    {"CA", "GetUnlockKey", MANAGERS},
    {"NodeCA", "IssueNodeCertificate", EVERYBODY},
    {"NodeCA", "NodeCertificateStatus", EVERYBODY},
    {"Dispatcher", NULL, NODES},
    {"ResourceAllocator", NULL, NODES},
    {"LogBroker", NULL, NODES},
    {"Control", NULL, MANAGERS},
    {"Watch", NULL, MANAGERS},
    {"Logs", NULL, MANAGERS},
    {"Raft", NULL, MANAGERS},
    {"RaftMembership", NULL, MANAGERS},
    {"Health", NULL, MANAGERS},
    {"JoinTokens", NULL, MANAGERS},
    {"Node", "Unlock", NOBODY},
};

/* A call that no rule names fails the test: whoever adds one decides here. */
static enum audience audience_of(const struct swki_method *method)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (strcmp(rules[i].service, method->service) == 0 &&
            (rules[i].name == NULL ||
             strcmp(rules[i].name, method->name) == 0)) {
            return rules[i].audience;
        }
    }
    fail_msg("no rule says who may call %s", method->path);
    return NOBODY;
}

struct who {
    const char *node_id;
    const char *swarm_id;
    uint32_t role;
};

static const struct who nobody = {"", "", SWKI_ROLE_NONE};
static const struct who worker = {"worker", SWARM, SWKI_ROLE_WORKER};
static const struct who manager = {"manager", SWARM, SWKI_ROLE_MANAGER};
static const struct who stranger = {"worker", "other", SWKI_ROLE_WORKER};
static const struct who ruler = {"manager", "other", SWKI_ROLE_MANAGER};
static const struct who gone = {"gone1", SWARM, SWKI_ROLE_WORKER};
static const struct who gone_manager = {"gone2", SWARM, SWKI_ROLE_MANAGER};
static const struct who demoted = {"demoted", SWARM, SWKI_ROLE_MANAGER};

#define PEER DENIED "unauthorized peer role: remote certificate not part of "
#define FORWARDER                                                              \
    DENIED "unauthorized forwarder role: remote certificate not part of "

/* What each is told, for calls of nodes and for those of managers; NULL: let
 * in. Whoever may call nothing but what everybody may, may still do that. */
static const struct {
    const struct who *who;
    const char *of_nodes;
    const char *of_managers;
} direct[] = {
    {&nobody, DENIED "no client certificates in request",
     DENIED "no client certificates in request"},
    {&worker, NULL, PEER "OUs: [swarm-manager]"},
    {&manager, NULL, NULL},
    {&stranger, PEER "organization: " SWARM, PEER "OUs: [swarm-manager]"},
    {&ruler, PEER "organization: " SWARM, PEER "organization: " SWARM},
    {&gone, DENIED "node gone1 was removed from swarm",
     PEER "OUs: [swarm-manager]"},
    {&gone_manager, DENIED "node gone2 was removed from swarm",
     DENIED "node gone2 was removed from swarm"},
    {&demoted, NULL, DENIED "node demoted is no manager any more"},
};

static const struct {
    const struct who *who;
    const char *of_nodes;
    const char *of_managers;
} forwarded[] = {
    {&nobody, DENIED "missing information in forwarded request",
     DENIED "missing information in forwarded request"},
    {&worker, NULL,
     DENIED "unauthorized forwarded role, expecting: [swarm-manager]"},
    {&manager, NULL, NULL},
    {&stranger, DENIED "organization mismatch, expecting: " SWARM,
     DENIED "unauthorized forwarded role, expecting: [swarm-manager]"},
    {&ruler, DENIED "organization mismatch, expecting: " SWARM,
     DENIED "organization mismatch, expecting: " SWARM},
    {&gone, DENIED "node gone1 was removed from swarm",
     DENIED "unauthorized forwarded role, expecting: [swarm-manager]"},
    {&gone_manager, DENIED "node gone2 was removed from swarm",
     DENIED "node gone2 was removed from swarm"},
    {&demoted, NULL, DENIED "node demoted is no manager any more"},
};

/* Those that must not speak for others. */
static const struct {
    const struct who *who;
    const char *text;
} pretenders[] = {
    {&nobody, DENIED "no client certificates in request"},
    {&worker, FORWARDER "OUs: [swarm-manager]"},
    {&stranger, FORWARDER "OUs: [swarm-manager]"},
    {&ruler, FORWARDER "organization: " SWARM},
    {&gone, FORWARDER "OUs: [swarm-manager]"},
    {&gone_manager, DENIED "node gone2 was removed from swarm"},
    {&demoted, DENIED "node demoted is no manager any more"},
};

/* -- Calls ---------------------------------------------------------------- */

static struct swki_rpc_call call_of(const struct swki_method *method,
                                    const struct who *who)
{
    struct swki_rpc_call call = {
        .info = {.path = method->path,
                 .request_id = "",
                 .address = "192.0.2.9:1",
                 .identified = who->role != SWKI_ROLE_NONE,
                 .forwarded_node_id = "",
                 .forwarded_swarm_id = "",
                 .forwarded_role = "",
                 .forwarded_address = ""},
    };

    snprintf(call.info.peer.node_id, sizeof(call.info.peer.node_id), "%s",
             who->node_id);
    snprintf(call.info.peer.swarm_id, sizeof(call.info.peer.swarm_id), "%s",
             who->swarm_id);
    call.info.peer.role = who->role;
    return call;
}

static void forward_for(struct swki_rpc_call *call, const struct who *who)
{
    call->info.forwarded_node_id = who->node_id;
    call->info.forwarded_swarm_id = who->swarm_id;
    call->info.forwarded_role = who->role == SWKI_ROLE_MANAGER ? "swarm-manager"
                                : who->role == SWKI_ROLE_WORKER ? "swarm-worker"
                                                                : "";
    call->info.forwarded_address = "198.51.100.7:2";
}

static void make(struct swki_rpc_call *call)
{
    struct swki_front *front;

    assert_int_equal(swki_front_new(NULL, NULL, &front, NULL), 0);
    /* Neither is ever looked into. */
    swki_front_open(front, (struct swki_manager *)call);
    swki_front_set_forward(front, (struct swki_forward *)call);
    current = call;
    const struct swki_rpc_handler handler = swki_front_handler(front);
    handler.request(handler.ctx, call, NULL, 0, 7);
    swki_front_free(front);
}

static void expect_outcome(const struct swki_rpc_call *call, const char *text,
                           const char *how)
{
    bool as_wanted = text == NULL
                         ? call->served
                         : !call->served && call->ended &&
                               call->status == SWKI_STATUS_PERMISSION_DENIED &&
                               strcmp(call->text, text) == 0;

    if (!as_wanted) {
        fail_msg("%s, %s by %s: %s", how, call->info.path,
                 call->info.peer.node_id,
                 call->ended ? call->text : "it is let in");
    }
}

static const char *told(enum audience audience, const char *of_nodes,
                        const char *of_managers)
{
    return audience == EVERYBODY ? NULL
           : audience == NODES   ? of_nodes
                                 : of_managers;
}

static void every_caller_is_let_in_where_the_rules_say(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= SWKI_METHODS_COUNT * 2; n++) {
        const struct swki_method *method = swki_method_by_number((n + 1) / 2);
        enum audience audience = audience_of(method);

        leads = n % 2 == 0;
        for (size_t i = 0; i < sizeof(direct) / sizeof(direct[0]); i++) {
            struct swki_rpc_call call = call_of(method, direct[i].who);

            make(&call);
            if (audience == NOBODY) {
                assert_false(call.served);
                continue;
            }
            expect_outcome(
                &call,
                told(audience, direct[i].of_nodes, direct[i].of_managers),
                "directly");
        }
    }
}

static void whoever_is_named_by_a_manager_needs_the_right_too(void **state)
{
    (void)state;
    leads = true;
    for (uint32_t n = 1; n <= SWKI_METHODS_COUNT; n++) {
        const struct swki_method *method = swki_method_by_number(n);
        enum audience audience = audience_of(method);

        for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++) {
            struct swki_rpc_call call = call_of(method, &manager);

            forward_for(&call, forwarded[i].who);
            make(&call);
            if (audience == NOBODY) {
                assert_false(call.served);
                continue;
            }
            expect_outcome(
                &call,
                told(audience, forwarded[i].of_nodes, forwarded[i].of_managers),
                "forwarded");
        }
    }
}

/* Not even a call that everybody may make. */
static void who_may_not_speak_for_others_is_refused(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= SWKI_METHODS_COUNT * 2; n++) {
        const struct swki_method *method = swki_method_by_number((n + 1) / 2);

        leads = n % 2 == 0;
        for (size_t i = 0; i < sizeof(pretenders) / sizeof(pretenders[0]);
             i++) {
            struct swki_rpc_call call = call_of(method, pretenders[i].who);

            forward_for(&call, &manager);
            make(&call);
            expect_outcome(&call, pretenders[i].text, "pretending");
            call = call_of(method, pretenders[i].who);
            call.info.forwarded_address = "local";
            make(&call);
            expect_outcome(&call, pretenders[i].text, "with an address alone");
        }
    }
}

/* Some headers are missing, as no manager leaves them out. */
static void half_a_name_is_none(void **state)
{
    const struct swki_method *method =
        swki_method_by_number(SWKI_METHOD_DISPATCHER_SESSION);
    const struct {
        const char *node_id;
        const char *swarm_id;
        const char *role;
    } cases[] = {
        {"", SWARM, "swarm-worker"},
        {"worker", "", "swarm-worker"},
        {"worker", SWARM, ""},
        {"worker", SWARM, "swarm-king"},
    };

    (void)state;
    leads = true;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_rpc_call call = call_of(method, &manager);

        call.info.forwarded_node_id = cases[i].node_id;
        call.info.forwarded_swarm_id = cases[i].swarm_id;
        call.info.forwarded_role = cases[i].role;
        call.info.forwarded_address = "198.51.100.7:2";
        make(&call);
        expect_outcome(&call, DENIED "missing information in forwarded request",
                       "half");
    }
}

static void the_control_socket_is_the_administrators(void **state)
{
    (void)state;
    leads = true;
    for (uint32_t n = 1; n <= SWKI_METHODS_COUNT; n++) {
        const struct swki_method *method = swki_method_by_number(n);
        struct swki_rpc_call call = call_of(method, &nobody);

        call.info.local = true;
        call.info.address = "";
        make(&call);
        if (audience_of(method) == NODES) {
            expect_outcome(&call,
                           DENIED "only a node with its certificate makes "
                                  "this call, and the control socket is none",
                           "locally");
        } else {
            assert_true(call.served ||
                        call.status != SWKI_STATUS_PERMISSION_DENIED);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_caller_is_let_in_where_the_rules_say),
        cmocka_unit_test(whoever_is_named_by_a_manager_needs_the_right_too),
        cmocka_unit_test(who_may_not_speak_for_others_is_refused),
        cmocka_unit_test(half_a_name_is_none),
        cmocka_unit_test(the_control_socket_is_the_administrators),
    };

    return cmocka_run_group_tests_name("authorize", tests, NULL, NULL);
}
