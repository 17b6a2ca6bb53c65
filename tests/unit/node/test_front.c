/* SPDX-License-Identifier: Apache-2.0 */

/* The manager's front between a server and a manager that the test plays. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "lib/heap.h"
#include "node/manager/front.h"

struct swki_rpc_call {
    struct swki_rpc_call_info info;
    void *ctx;
    int sent;
    size_t sent_len;
    bool ended;
    int status;
    char text[256];
};

/* What the manager was told last. */
static struct {
    struct swki_manager_call call;
    struct swki_caller caller;
    uint64_t cancelled;
    int calls;
    int passed_on; /* to the leader */
    int for_peers;
    char refused[SWK_ID_LEN_MAX + 1]; /* the node whose call was */
    bool leads;
    bool admits;
} told;

/* -- The server, the loop and the manager --------------------------------- */

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
    assert_non_null(data);
    assert_false(call->ended);
    call->sent++;
    call->sent_len = len;
}

void swki_rpc_call_end(struct swki_rpc_call *call, int status,
                       const char *text)
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

void swki_manager_call(struct swki_manager *manager, swk_time now,
                       const struct swki_manager_call *call)
{
    (void)manager;
    (void)now;
    told.call = *call;
    told.caller = *call->caller;
    told.calls++;
}

void swki_manager_cancel(struct swki_manager *manager, uint64_t call_id)
{
    (void)manager;
    told.cancelled = call_id;
}

int swki_manager_admit(const struct swki_manager *manager, const char *path,
                       const struct swki_caller *caller, struct swk_error *err)
{
    (void)manager;
    (void)path;
    (void)caller;
    return told.admits ? 0 : swki_fail(err, SWK_EDENIED, "not you");
}

int swki_manager_admit_forwarder(const struct swki_manager *manager,
                                 const struct swki_caller *forwarder,
                                 struct swk_error *err)
{
    (void)manager;
    return forwarder->role == SWKI_ROLE_MANAGER
               ? SWK_OK
               : swki_fail(err, SWK_EDENIED, "not a manager");
}

void swki_manager_refused(struct swki_manager *manager, const char *path,
                          const struct swki_caller *caller,
                          enum swki_status status, const char *text)
{
    (void)manager;
    (void)path;
    (void)status;
    (void)text;
    snprintf(told.refused, sizeof(told.refused), "%s", caller->node_id);
}

bool swki_manager_leads(const struct swki_manager *manager)
{
    (void)manager;
    return told.leads;
}

/* -- The forwarder and the peers ------------------------------------------ */

void swki_forward_request(struct swki_forward *forward,
                          struct swki_rpc_call *call, const uint8_t *data,
                          size_t len, swk_time now)
{
    (void)data;
    (void)len;
    (void)now;
    call->ctx = forward;
    told.passed_on++;
}

void swki_forward_message(struct swki_forward *forward,
                          struct swki_rpc_call *call, const uint8_t *data,
                          size_t len, swk_time now)
{
    (void)call;
    (void)data;
    (void)len;
    (void)now;
    assert_non_null(forward);
}

void swki_forward_finished(struct swki_forward *forward,
                           struct swki_rpc_call *call, swk_time now)
{
    (void)call;
    (void)now;
    assert_non_null(forward);
}

void swki_forward_closed(struct swki_forward *forward,
                         struct swki_rpc_call *call, swk_time now)
{
    (void)call;
    (void)now;
    assert_non_null(forward);
    told.passed_on--;
}

bool swki_peers_serves(const char *path)
{
    return strncmp(path, "/docker.swarmkit.v1.Raft/", 25) == 0;
}

static void take_for_peers(void *ctx, struct swki_rpc_call *call,
                           const uint8_t *data, size_t len, swk_time now)
{
    (void)ctx;
    (void)call;
    (void)data;
    (void)len;
    (void)now;
    told.for_peers++;
}

static void close_for_peers(void *ctx, struct swki_rpc_call *call,
                            swk_time now)
{
    (void)ctx;
    (void)call;
    (void)now;
    told.for_peers--;
}

struct swki_rpc_handler swki_peers_handler(struct swki_peers *peers)
{
    return (struct swki_rpc_handler){.ctx = peers,
                                     .request = take_for_peers,
                                     .message = take_for_peers,
                                     .closed = close_for_peers};
}

/* -- Tests ---------------------------------------------------------------- */

struct f {
    struct heap heap;
    struct swki_front *front;
    struct swki_rpc_handler handler;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    memset(&told, 0, sizeof(told));
    told.leads = true;
    told.admits = true;
    heap_init(&f->heap);
    assert_int_equal(swki_front_new(&f->heap.alloc, NULL, &f->front, NULL), 0);
    f->handler = swki_front_handler(f->front);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_front_free(f->front);
    assert_int_equal(heap_live(&f->heap), 0);
    free(f);
    return 0;
}

/* The manager is never looked into. */
static void open_front(struct f *f)
{
    swki_front_open(f->front, (struct swki_manager *)f);
}

static const struct swki_rpc_call fresh = {
    .info = {.path = "/a/b",
             .request_id = "r",
             .address = "192.0.2.1:1",
             .forwarded_node_id = "",
             .forwarded_swarm_id = "",
             .forwarded_role = "",
             .forwarded_address = ""},
};

static uint64_t make_call(struct f *f, struct swki_rpc_call *call)
{
    *call = fresh;
    f->handler.request(f->handler.ctx, call, (const uint8_t *)"q", 1, 7);
    return told.call.id;
}

static void answer(struct f *f, uint64_t id, bool with_message, bool end)
{
    const struct swki_answer answer = {
        .call_id = id,
        .message = with_message ? (uint8_t *)"hello" : NULL,
        .message_len = with_message ? 5 : 0,
        .end = end,
        .status = SWKI_STATUS_OK,
        .text = "",
    };

    swki_front_answer(f->front, &answer);
}

static void calls_before_the_manager_is_there_are_refused(void **state)
{
    struct f *f = *state;
    struct swki_rpc_call call;

    make_call(f, &call);
    assert_true(call.ended);
    assert_int_equal(call.status, SWKI_STATUS_UNAVAILABLE);
    assert_string_equal(call.text, "manager is starting");
    assert_int_equal(told.calls, 0);
    f->handler.closed(f->handler.ctx, &call, 7);
    assert_int_equal(told.cancelled, 0);
}

static void the_manager_learns_who_calls(void **state)
{
    struct f *f = *state;
    struct swki_rpc_call call = fresh;

    open_front(f);
    f->handler.request(f->handler.ctx, &call, (const uint8_t *)"q", 1, 7);
    assert_string_equal(told.call.path, "/a/b");
    assert_int_equal(told.call.request_len, 1);
    assert_string_equal(told.caller.node_id, "");
    assert_int_equal(told.caller.role, SWKI_ROLE_NONE);
    assert_string_equal(told.caller.request_id, "r");
    assert_string_equal(told.caller.address, "192.0.2.1:1");
    /* What is not verified does not count, whatever is in it. */
    call = fresh;
    snprintf(call.info.peer.node_id, sizeof(call.info.peer.node_id), "n1");
    call.info.peer.role = SWKI_ROLE_MANAGER;
    f->handler.request(f->handler.ctx, &call, NULL, 0, 7);
    assert_string_equal(told.caller.node_id, "");
    assert_int_equal(told.caller.role, SWKI_ROLE_NONE);
    call.ctx = NULL;
    call.info.identified = true;
    call.info.local = true;
    f->handler.request(f->handler.ctx, &call, NULL, 0, 7);
    assert_string_equal(told.caller.node_id, "n1");
    assert_int_equal(told.caller.role, SWKI_ROLE_MANAGER);
    assert_true(told.caller.local);
}

static void answers_find_their_calls(void **state)
{
    struct f *f = *state;
    struct swki_rpc_call calls[100];
    uint64_t ids[100];

    open_front(f);
    for (int i = 0; i < 100; i++) {
        ids[i] = make_call(f, &calls[i]);
        assert_true(ids[i] != 0);
    }
    for (int i = 99; i >= 0; i--) {
        answer(f, ids[i], true, false);
        assert_int_equal(calls[i].sent, 1);
        assert_int_equal(calls[i].sent_len, 5);
        assert_false(calls[i].ended);
        answer(f, ids[i], true, true);
        assert_int_equal(calls[i].sent, 2);
        assert_true(calls[i].ended);
    }
    assert_int_equal(told.cancelled, 0);
}

static void answers_to_calls_that_ended_go_nowhere(void **state)
{
    struct f *f = *state;
    struct swki_rpc_call first;
    struct swki_rpc_call second;
    uint64_t old;
    uint64_t id;

    open_front(f);
    old = make_call(f, &first);
    answer(f, old, false, true);
    id = make_call(f, &second); /* in the place of the first */
    assert_true(id != old);
    answer(f, old, true, true);
    answer(f, 0, true, true);
    answer(f, UINT64_MAX, true, true);
    assert_int_equal(first.sent, 0);
    assert_int_equal(second.sent, 0);
    assert_false(second.ended);
    f->handler.closed(f->handler.ctx, &first, 8); /* ended, then closed */
    assert_int_equal(told.cancelled, 0);
}

static void a_caller_that_goes_away_cancels(void **state)
{
    struct f *f = *state;
    struct swki_rpc_call call;
    uint64_t id;

    open_front(f);
    id = make_call(f, &call);
    f->handler.closed(f->handler.ctx, &call, 8);
    assert_true(told.cancelled == id);
    answer(f, id, true, true);
    assert_int_equal(call.sent, 0);
    assert_false(call.ended);
}

static void open_calls_are_limited(void **state)
{
    struct f *f = *state;
    struct swki_rpc_call *calls =
        calloc(SWKI_MANAGER_CALLS_MAX + 1, sizeof(calls[0]));
    struct swki_rpc_call *last = &calls[SWKI_MANAGER_CALLS_MAX];

    open_front(f);
    for (int i = 0; i <= SWKI_MANAGER_CALLS_MAX; i++) {
        make_call(f, &calls[i]);
    }
    assert_int_equal(told.calls, SWKI_MANAGER_CALLS_MAX);
    assert_true(last->ended);
    assert_int_equal(last->status, SWKI_STATUS_UNAVAILABLE);
    f->handler.closed(f->handler.ctx, &calls[5], 8);
    make_call(f, last);
    assert_false(last->ended);
    free(calls);
}

static void want_of_memory_refuses_the_call(void **state)
{
    struct f *f = *state;
    struct swki_rpc_call call;

    open_front(f);
    heap_fail_at(&f->heap, 1);
    make_call(f, &call);
    assert_true(call.ended);
    assert_int_equal(call.status, SWKI_STATUS_UNAVAILABLE);
    heap_fail_at(&f->heap, 0);
    make_call(f, &call);
    assert_false(call.ended);
}

static const char leaders_path[] = "/docker.swarmkit.v1.NodeCA/IssueNodeCertificate";

/* Never looked into either. */
static void set_others(struct f *f)
{
    swki_front_set_forward(f->front, (struct swki_forward *)f);
    swki_front_set_peers(f->front, (struct swki_peers *)f);
}

static void what_only_the_leader_serves_is_forwarded(void **state)
{
    struct f *f = *state;
    struct swki_rpc_call call = fresh;

    open_front(f);
    set_others(f);
    call.info.path = leaders_path;
    f->handler.request(f->handler.ctx, &call, NULL, 0, 7);
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.passed_on, 0);
    told.leads = false;
    call.ctx = NULL;
    f->handler.request(f->handler.ctx, &call, NULL, 0, 7);
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.passed_on, 1);
    f->handler.closed(f->handler.ctx, &call, 8);
    assert_int_equal(told.passed_on, 0);
}

static void a_call_is_forwarded_once_at_most(void **state)
{
    struct f *f = *state;
    struct swki_rpc_call call = fresh;

    open_front(f);
    set_others(f);
    told.leads = false;
    call.info.path = leaders_path;
    call.info.identified = true;
    call.info.peer.role = SWKI_ROLE_MANAGER;
    call.info.forwarded_address = "192.0.2.9:1";
    f->handler.request(f->handler.ctx, &call, NULL, 0, 7);
    assert_true(call.ended);
    assert_int_equal(told.passed_on, 0);
    assert_non_null(strstr(call.text, "more than one redirect"));
}

static void only_a_manager_speaks_for_others(void **state)
{
    struct f *f = *state;
    struct swki_rpc_call call = fresh;

    open_front(f);
    call.info.identified = true;
    snprintf(call.info.peer.node_id, sizeof(call.info.peer.node_id), "n1");
    call.info.peer.role = SWKI_ROLE_MANAGER;
    call.info.forwarded_node_id = "n2";
    call.info.forwarded_swarm_id = "s";
    call.info.forwarded_role = "swarm-worker";
    call.info.forwarded_address = "192.0.2.9:1";
    f->handler.request(f->handler.ctx, &call, NULL, 0, 7);
    assert_string_equal(told.caller.node_id, "n2");
    assert_int_equal(told.caller.role, SWKI_ROLE_WORKER);
    assert_string_equal(told.caller.address, "192.0.2.9:1");
    call.ctx = NULL;
    call.info.forwarded_node_id = ""; /* one without a certificate */
    call.info.forwarded_role = "";
    f->handler.request(f->handler.ctx, &call, NULL, 0, 7);
    assert_string_equal(told.caller.node_id, "");
    assert_int_equal(told.caller.role, SWKI_ROLE_NONE);
    call.ctx = NULL;
    call.info.peer.role = SWKI_ROLE_WORKER;
    call.info.forwarded_node_id = "n2";
    call.info.forwarded_role = "swarm-manager";
    f->handler.request(f->handler.ctx, &call, NULL, 0, 7);
    assert_true(call.ended);
    assert_int_equal(call.status, SWKI_STATUS_PERMISSION_DENIED);
    assert_int_equal(told.calls, 2);
    assert_string_equal(told.refused, "n1"); /* it is the one to account for */
}

static void the_manager_learns_which_process_calls(void **state)
{
    struct f *f = *state;
    struct swki_rpc_call call = fresh;

    open_front(f);
    call.info.local = true;
    call.info.uid = 1000;
    call.info.pid = 4242;
    f->handler.request(f->handler.ctx, &call, NULL, 0, 7);
    assert_int_equal(told.caller.uid, 1000);
    assert_int_equal(told.caller.pid, 4242);
    assert_string_equal(told.caller.forwarded_by, "");
}

static void a_call_is_looked_at_before_it_is_forwarded(void **state)
{
    struct f *f = *state;

    open_front(f);
    set_others(f);
    told.leads = false;
    told.admits = false;
    for (int local = 0; local < 2; local++) {
        struct swki_rpc_call call = fresh;

        call.info.path = leaders_path;
        call.info.local = local == 1;
        f->handler.request(f->handler.ctx, &call, NULL, 0, 7);
        assert_true(call.ended);
        assert_int_equal(call.status, SWKI_STATUS_PERMISSION_DENIED);
        assert_int_equal(told.passed_on, 0);
    }
}

static void only_a_locked_manager_is_unlocked(void **state)
{
    struct f *f = *state;
    struct swki_rpc_call call = fresh;

    open_front(f);
    call.info.path = SWKI_PATH_NODE_UNLOCK;
    call.info.local = true;
    f->handler.request(f->handler.ctx, &call, NULL, 0, 7);
    assert_true(call.ended);
    assert_int_equal(call.status, SWKI_STATUS_FAILED_PRECONDITION);
    assert_int_equal(told.calls, 0);
}

static void messages_of_raft_go_to_the_peers(void **state)
{
    struct f *f = *state;
    struct swki_rpc_call call = fresh;

    set_others(f); /* before there is a manager, too */
    call.info.path = "/docker.swarmkit.v1.Raft/StreamRaftMessage";
    f->handler.request(f->handler.ctx, &call, NULL, 0, 7);
    f->handler.message(f->handler.ctx, &call, NULL, 0, 7);
    assert_int_equal(told.for_peers, 2);
    f->handler.closed(f->handler.ctx, &call, 7);
    assert_int_equal(told.for_peers, 1);
    assert_int_equal(told.calls, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(calls_before_the_manager_is_there_are_refused),
        TEST(the_manager_learns_who_calls),
        TEST(answers_find_their_calls),
        TEST(answers_to_calls_that_ended_go_nowhere),
        TEST(a_caller_that_goes_away_cancels),
        TEST(open_calls_are_limited),
        TEST(want_of_memory_refuses_the_call),
        TEST(what_only_the_leader_serves_is_forwarded),
        TEST(a_call_is_forwarded_once_at_most),
        TEST(only_a_manager_speaks_for_others),
        TEST(the_manager_learns_which_process_calls),
        TEST(a_call_is_looked_at_before_it_is_forwarded),
        TEST(only_a_locked_manager_is_unlocked),
        TEST(messages_of_raft_go_to_the_peers),
    };

    return cmocka_run_group_tests_name("front", tests, NULL, NULL);
}
