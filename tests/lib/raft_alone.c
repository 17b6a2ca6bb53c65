/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/raft_alone.h"

#include "core/raft/conf_change.h"
#include "lib/cmocka_all.h"

enum {
    PAYLOAD_SIZE = 64,
    TURNS_MAX = 100,
    RESPONSES_MAX = 64,
};

void alone_init(struct alone *a, uint32_t flags)
{
    *a = (struct alone){0};
    heap_init(&a->heap);
    a->config = (struct swki_machine_config){
        .alloc = &a->heap.alloc,
        .id = ALONE_ID,
        .seed = 1,
        .flags = flags,
        .election_ticks = ALONE_ELECTION_TICKS,
        .heartbeat_ticks = 1,
        .lease_margin_ticks = 2,
        .message_size_max = UINT64_MAX,
        .message_entries_max = 1024,
        .inflight_messages_max = 256,
        .apply_size_max = UINT64_MAX,
        .entry_size_max = 1 << 20,
        .pending_reads_max = 1024,
        .promote_gap = 1000,
        .promote_rounds = 10,
    };
}

void alone_new(struct alone *a)
{
    swki_machine_free(a->m);
    a->m = NULL;
    a->ready = NULL;
    assert_int_equal(swki_machine_new(&a->config, &a->m, NULL), 0);
}

void alone_start_with(struct alone *a, const struct swk_conf_state *members)
{
    const struct swk_snapshot_meta meta = {
        .index = ALONE_INDEX,
        .term = ALONE_TERM,
        .conf_state = *members,
    };
    const struct swk_hard_state state = {
        .term = ALONE_TERM,
        .commit = ALONE_INDEX,
    };

    alone_new(a);
    assert_int_equal(swki_machine_restore_snapshot(a->m, &meta, NULL), 0);
    assert_int_equal(swki_machine_restore_hard_state(a->m, &state, NULL), 0);
    assert_int_equal(swki_machine_start(a->m, 0, NULL), 0);
}

void alone_start(struct alone *a, uint64_t voters_count)
{
    static const uint64_t ids[ALONE_VOTERS_MAX] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const struct swk_conf_state members = {
        .voters = ids,
        .voters_count = voters_count,
    };

    alone_start_with(a, &members);
}

void alone_free(struct alone *a)
{
    if (a->m != NULL) {
        assert_null(swki_machine_check(a->m));
    }
    swki_machine_free(a->m);
    a->m = NULL;
    assert_int_equal(heap_live(&a->heap), 0);
}

/* -- Events ---------------------------------------------------------------- */

int alone_step(struct alone *a, const struct swk_raft_message *message)
{
    struct swk_raft_message sent = *message;

    sent.to = ALONE_ID;
    return swki_machine_step(a->m, &sent, NULL);
}

void alone_hear(struct alone *a, int32_t type, uint64_t from, uint64_t index)
{
    assert_int_equal(alone_step(a,
                                &(struct swk_raft_message){
                                    .type = type,
                                    .from = from,
                                    .term = alone_status(a).hard_state.term,
                                    .index = index,
                                }),
                     0);
}

void alone_tick(struct alone *a, unsigned ticks)
{
    for (unsigned i = 0; i < ticks; i++) {
        assert_int_equal(swki_machine_tick(a->m, NULL), 0);
    }
}

uint64_t alone_propose(struct alone *a, const char *text)
{
    uint64_t index = 0;

    assert_int_equal(swki_machine_propose(a->m, SWK_RAFT_ENTRY_NORMAL, text,
                                          strlen(text), &index, NULL),
                     0);
    return index;
}

uint64_t alone_change(struct alone *a, int32_t type, uint64_t id)
{
    const struct swk_raft_change change = {.type = type, .id = id};
    const struct swk_raft_conf_change request = {
        .size = sizeof(request),
        .changes = &change,
        .changes_count = 1,
    };
    uint8_t payload[PAYLOAD_SIZE];
    uint64_t index = 0;

    assert_true(swki_conf_change_v1_size(&request) <= sizeof(payload));
    swki_conf_change_v1_encode(&request, payload);
    assert_int_equal(
        swki_machine_propose(a->m, SWK_RAFT_ENTRY_CONF_CHANGE, payload,
                             swki_conf_change_v1_size(&request), &index, NULL),
        0);
    return index;
}

/* -- Readies --------------------------------------------------------------- */

const struct swki_machine_ready *alone_take(struct alone *a)
{
    assert_int_equal(swki_machine_take_ready(a->m, &a->ready, NULL), 0);
    return a->ready;
}

static void apply(struct alone *a, const struct swki_machine_ready *ready)
{
    for (size_t i = 0; i < ready->committed_count; i++) {
        const struct swk_log_entry *entry = &ready->committed[i];

        if (entry->type != SWK_RAFT_ENTRY_NORMAL) {
            assert_int_equal(
                swki_machine_apply_conf_change(a->m, entry, false, NULL, NULL),
                0);
        }
    }
}

/* Copies of the responses to itself, which end with the next event. */
static size_t copy_own(const struct swki_machine_ready *ready,
                       struct swk_raft_message *own)
{
    size_t count = 0;

    for (size_t i = 0; i < ready->responses_count; i++) {
        if (ready->responses[i].to == ALONE_ID) {
            assert_true(count < RESPONSES_MAX);
            own[count++] = ready->responses[i];
        }
    }
    return count;
}

void alone_finish(struct alone *a)
{
    struct swk_raft_message own[RESPONSES_MAX];
    struct swki_machine_ready ready = *a->ready;
    struct swk_snapshot_meta snapshot = {0};
    size_t count = copy_own(&ready, own);
    uint64_t last = 0;

    if (ready.snapshot != NULL) {
        snapshot.index = ready.snapshot->index;
    }
    if (ready.committed_count > 0) {
        last = ready.committed[ready.committed_count - 1].index;
    }
    apply(a, &ready);
    if ((a->config.flags & SWKI_MACHINE_ASYNC) == 0) {
        assert_int_equal(swki_machine_advance(a->m, NULL), 0);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (own[i].snapshot != NULL) {
            own[i].snapshot = &snapshot;
        }
        assert_int_equal(swki_machine_step(a->m, &own[i], NULL), 0);
    }
    if (last != 0) {
        assert_int_equal(swki_machine_applied(a->m, last, NULL), 0);
    }
}

void alone_settle(struct alone *a)
{
    for (int turn = 0; swki_machine_has_ready(a->m); turn++) {
        assert_true(turn < TURNS_MAX);
        (void)alone_take(a);
        alone_finish(a);
    }
}

static void all_say(struct alone *a, int32_t type, uint64_t index)
{
    uint64_t ids[ALONE_VOTERS_MAX];
    const struct swki_raft_configuration *conf =
        swki_machine_configuration(a->m);
    size_t count = 0;

    for (size_t i = 0; i < conf->peers_count; i++) {
        if (conf->peers[i].id != ALONE_ID && !conf->peers[i].learner) {
            ids[count++] = conf->peers[i].id;
        }
    }
    for (size_t i = 0; i < count; i++) {
        alone_hear(a, type, ids[i], index);
    }
}

void alone_lead(struct alone *a)
{
    assert_int_equal(a->config.flags & SWKI_MACHINE_PRE_VOTE, 0);
    assert_int_equal(swki_machine_campaign(a->m, NULL), 0);
    alone_settle(a);
    all_say(a, SWK_RAFT_MSG_VOTE_RESP, 0);
    assert_int_equal(alone_status(a).role, SWK_RAFT_LEADER);
    alone_settle(a);
    all_say(a, SWK_RAFT_MSG_APP_RESP, alone_status(a).last);
    alone_settle(a);
    assert_int_equal(alone_status(a).applied, alone_status(a).last);
}

/* -- Views ----------------------------------------------------------------- */

size_t alone_count(const struct alone *a, int32_t type)
{
    size_t count = 0;

    for (size_t i = 0; i < a->ready->messages_count; i++) {
        count += a->ready->messages[i].type == type ? 1 : 0;
    }
    return count;
}

static const struct swk_raft_message *
find(const struct swk_raft_message *messages, size_t count, int32_t type,
     uint64_t to)
{
    for (size_t i = 0; i < count; i++) {
        if (messages[i].type == type && messages[i].to == to) {
            return &messages[i];
        }
    }
    return NULL;
}

const struct swk_raft_message *alone_sent(const struct alone *a, int32_t type,
                                          uint64_t to)
{
    return find(a->ready->messages, a->ready->messages_count, type, to);
}

const struct swk_raft_message *alone_held(const struct alone *a, int32_t type,
                                          uint64_t to)
{
    return find(a->ready->responses, a->ready->responses_count, type, to);
}

struct swki_machine_status alone_status(const struct alone *a)
{
    struct swki_machine_status status;

    swki_machine_status(a->m, &status);
    return status;
}

const struct swki_raft_progress *alone_peer(const struct alone *a, uint64_t id)
{
    const struct swki_raft_progress *peer =
        swki_raft_configuration_find(swki_machine_configuration(a->m), id);

    assert_non_null(peer);
    return peer;
}
