/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which numbers managers may send raft messages under. The test plays the
 * server, the list of members and the manager.
 */

#include "lib/cmocka_all.h"

#include <string.h>

#include "node/peers/peers_internal.h"

enum {
    SELF = 1,
    LEADER = 2,
    STRANGER = 777,
    GONE = 9,
};

#define SWARM "swarm"
#define TRUST_NS (SWKI_PEERS_TRUST_SECONDS * SWK_SECOND)

struct swki_rpc_call {
    struct swki_rpc_call_info info;
    int status;
    char text[200];
};

struct f {
    struct swki_peers peers;
    struct swki_peer member; /* LEADER */
    uint64_t leads;          /* as this member's raft says */
    unsigned received;
    swk_time now;
};

/* -- What is played ---------------------------------------------------------
 */

const struct swki_rpc_call_info *
swki_rpc_call_info(const struct swki_rpc_call *call)
{
    return &call->info;
}

void swki_rpc_call_send(struct swki_rpc_call *call, const uint8_t *data,
                        size_t len)
{
}

void swki_rpc_call_end(struct swki_rpc_call *call, int status, const char *text)
{
    call->status = status;
    strncpy(call->text, text, sizeof(call->text) - 1);
}

struct swki_peer *swki_peers_find(const struct swki_peers *peers,
                                  uint64_t raft_id)
{
    struct f *f = peers->config.ctx;

    return raft_id == LEADER ? &f->member : NULL;
}

void swki_peer_kick(struct swki_peer *peer, swk_time now)
{
}

void swki_peer_hold_vote(struct swki_peer *peer, const uint8_t *data,
                         size_t len, swk_time now)
{
}

void swki_snapshot_receive_request(struct swki_peers *peers,
                                   struct swki_rpc_call *call,
                                   const uint8_t *data, size_t len,
                                   swk_time now)
{
}

void swki_snapshot_receive_finished(struct swki_peers *peers,
                                    struct swki_rpc_call *call)
{
}

void swki_snapshot_receive_closed(struct swki_peers *peers,
                                  const struct swki_rpc_call *call)
{
}

void swki_snapshot_receive_new_term(struct swki_peers *peers, uint64_t from,
                                    uint64_t term)
{
}

static void received(void *ctx, const struct swk_raft_message *message)
{
    struct f *f = ctx;

    f->received++;
}

static bool is_removed(void *ctx, uint64_t raft_id)
{
    return raft_id == GONE;
}

static bool is_no_manager(void *ctx, const char *node_id)
{
    return strcmp(node_id, "worker") == 0 || strcmp(node_id, "nobody") == 0;
}

static uint64_t leader(void *ctx)
{
    const struct f *f = ctx;

    return f->leads;
}

/* -- The tests --------------------------------------------------------------
 */

static int set_up(void **state)
{
    static struct f f;

    memset(&f, 0, sizeof(f));
    f.now = 1000 * SWK_SECOND;
    f.leads = LEADER;
    f.peers.config.ctx = &f;
    f.peers.config.raft_id = SELF;
    f.peers.config.received = received;
    f.peers.config.is_removed = is_removed;
    f.peers.config.is_no_manager = is_no_manager;
    f.peers.config.leader = leader;
    strcpy(f.peers.swarm_id, SWARM);
    swki_list_init(&f.peers.members);
    f.member.raft_id = LEADER;
    strcpy(f.member.node_id, "leader");
    swki_list_append(&f.peers.members, &f.member.link);
    *state = &f;
    return swk_raft_decoder_new(NULL, &f.peers.decoder);
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swk_raft_decoder_free(f->peers.decoder);
    return 0;
}

/* A heartbeat of term 5 for this member from a node; the status it gets. */
static int say(struct f *f, const char *node_id, uint64_t from)
{
    const uint8_t low = (uint8_t)(from & 0x7f);
    const uint8_t high = (uint8_t)(from >> 7);
    const uint8_t request[] = {10,   9,    8,  SWK_RAFT_MSG_HEARTBEAT,
                               16,   SELF, 24, low | 0x80,
                               high, 32,   5};
    struct swki_rpc_call call = {
        .info = {.path = SWKI_PATH_RAFT_PROCESS_RAFT_MESSAGE,
                 .identified = true,
                 .peer = {.role = SWKI_ROLE_MANAGER}},
        .status = -1,
    };

    strcpy(call.info.peer.node_id, node_id);
    strcpy(call.info.peer.swarm_id, SWARM);
    swki_peers_handler(&f->peers).request(&f->peers, &call, request,
                                          sizeof(request), f->now);
    if (call.status == SWKI_STATUS_PERMISSION_DENIED) {
        assert_non_null(strstr(call.text, "Permission denied"));
    }
    return call.status;
}

static void assert_heard(struct f *f, const char *node_id, uint64_t from)
{
    unsigned before = f->received;

    assert_int_equal(say(f, node_id, from), SWKI_STATUS_OK);
    assert_int_equal(f->received, before + 1);
}

static void assert_refused(struct f *f, const char *node_id, uint64_t from,
                           int status)
{
    unsigned before = f->received;

    assert_int_equal(say(f, node_id, from), status);
    assert_int_equal(f->received, before);
}

static void a_member_speaks_under_its_own_number(void **state)
{
    struct f *f = *state;

    assert_heard(f, "leader", LEADER);
    assert_refused(f, "manager", LEADER, SWKI_STATUS_PERMISSION_DENIED);
    assert_refused(f, "leader", STRANGER, SWKI_STATUS_PERMISSION_DENIED);
}

static void who_is_no_manager_has_no_number(void **state)
{
    struct f *f = *state;

    assert_heard(f, "leader", LEADER);
    assert_refused(f, "worker", STRANGER, SWKI_STATUS_PERMISSION_DENIED);
    assert_refused(f, "nobody", STRANGER, SWKI_STATUS_PERMISSION_DENIED);
    assert_heard(f, "manager", STRANGER); /* it may have joined just now */
}

static void a_leader_is_sure_of_it(void **state)
{
    struct f *f = *state;

    f->leads = SELF;
    f->now += 1000 * TRUST_NS;
    assert_refused(f, "worker", STRANGER, SWKI_STATUS_PERMISSION_DENIED);
    assert_refused(f, "leader", STRANGER, SWKI_STATUS_PERMISSION_DENIED);
    assert_heard(f, "manager", STRANGER);
}

/* It stays known through an election, and no longer: who leads now may be one
 * that was a worker when the log ended. */
static void an_old_log_is_not_believed(void **state)
{
    struct f *f = *state;

    assert_heard(f, "leader", LEADER);
    f->leads = 0;
    f->now += TRUST_NS - 1;
    assert_refused(f, "worker", STRANGER, SWKI_STATUS_PERMISSION_DENIED);
    f->now += 1;
    assert_heard(f, "worker", STRANGER);
    assert_heard(f, "nobody", STRANGER);
}

static void one_that_has_heard_no_leader_yet_listens(void **state)
{
    struct f *f = *state;

    f->leads = STRANGER;
    assert_heard(f, "worker", STRANGER);
    assert_heard(f, "leader", LEADER); /* of the past: it leads no more */
    assert_heard(f, "worker", STRANGER);
}

/* A demoted manager has to learn that it was removed. */
static void one_that_was_removed_is_told_so(void **state)
{
    struct f *f = *state;

    assert_heard(f, "leader", LEADER);
    assert_refused(f, "worker", GONE, SWKI_STATUS_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_speaks_under_its_own_number),
        TEST(who_is_no_manager_has_no_number),
        TEST(a_leader_is_sure_of_it),
        TEST(an_old_log_is_not_believed),
        TEST(one_that_has_heard_no_leader_yet_listens),
        TEST(one_that_was_removed_is_told_so),
    };

    return cmocka_run_group_tests_name("senders", tests, NULL, NULL);
}
