/* SPDX-License-Identifier: Apache-2.0 */

/*
 * R-SNP-8: snapshots on their way between managers. The test is the connection
 * between two senders and a receiver: it carries what they say, or damages it,
 * or breaks off.
 */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "base/error.h"
#include "lib/heap.h"
#include "node/peers/peers_internal.h"

enum {
    PART_SIZE = 1024,
    PARTS = 11,
    LENGTH = (PARTS - 1) * PART_SIZE + 100,
    PACKETS = 64,
    PACKET_SIZE = PART_SIZE + 200,
    CALLS = 4,
    RECEIVER = 2,
    INDEX = 100,
    TERM = 5,
    ALL = 1000, /* packets: until nobody says anything */
};

#define PROGRESS_NS (10 * SWK_SECOND)
#define SILENCE_NS (30 * SWK_SECOND)

/* A snapshot at INDEX, whole or not. */
struct store {
    struct swk_storage port;
    uint8_t data[LENGTH];
    size_t len;
    uint64_t index; /* of what there is */
    size_t granule; /* what it keeps is a multiple of this */
    bool begun;
    unsigned forgotten; /* how often a part was given up for good */
    unsigned slow;      /* how often it is still asked before all is durable */
    bool full;          /* it never is */
};

struct swki_rpc_call {
    struct wire *wire;
    struct swki_rpc_call_info info;
};

struct swki_rpc_client {
    struct wire *wire;
};

struct packet {
    bool end; /* nothing more comes */
    int status;
    size_t len;
    uint8_t data[PACKET_SIZE];
};

struct queue {
    struct packet packets[PACKETS];
    size_t first;
    size_t count;
};

/* A sender, and the connection from it to the receiver. */
struct wire {
    struct f *f;
    struct swki_peers peers;
    struct swki_peer peer; /* the receiver, as the sender has it */
    struct swki_rpc_client client;
    struct swki_rpc_call calls[CALLS]; /* each is of one stream */
    size_t calls_count;
    struct swki_rpc_client_call_events events;
    bool open;
    int status; /* of the last stream that ended */
    struct queue up;
    struct queue down;
    size_t carried; /* packets to the receiver, all streams together */
    size_t damaged; /* which of them; 0: none */
};

struct f {
    struct heap heap;
    swk_time now;
    struct wire wires[2];
    struct store sent;
    struct store received;
    struct swki_peers receiver;
    unsigned delivered;
    uint64_t delivered_index;
};

/* -- The storage ------------------------------------------------------------
 */

static int begin_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                          uint64_t *out_offset, struct swk_error *err)
{
    struct store *store = ctx;

    (void)err;
    assert_false(store->begun);
    store->begun = true;
    if (out_offset == NULL || store->index != meta->index) {
        store->len = 0;
    }
    if (out_offset != NULL) {
        *out_offset = store->len;
    }
    store->index = meta->index;
    return SWK_OK;
}

static int write_snapshot(void *ctx, const uint8_t *data, size_t len,
                          struct swk_error *err)
{
    struct store *store = ctx;

    (void)err;
    assert_true(store->begun);
    assert_true(len <= sizeof(store->data) - store->len);
    if (data != NULL) { /* else it is asked whether all is durable */
        memcpy(store->data + store->len, data, len);
        store->len += len;
        return SWK_OK;
    }
    if (store->full) {
        return swki_fail(err, SWK_EIO, "the disk is full");
    }
    return store->slow > 0 && store->slow-- > 0 ? SWK_EUNAVAILABLE : SWK_OK;
}

static void abort_snapshot(void *ctx, int32_t keep)
{
    struct store *store = ctx;

    assert_true(store->begun);
    store->begun = false;
    store->len -= store->len % store->granule;
    if (keep == 0) {
        store->len = 0;
        store->forgotten++;
    }
}

static int read_snapshot(void *ctx, uint64_t index, uint64_t term,
                         uint64_t offset, uint8_t *buf, size_t size,
                         size_t *out_len, uint64_t *out_total,
                         struct swk_error *err)
{
    const struct store *store = ctx;
    size_t left = store->len - (size_t)offset;

    (void)index;
    (void)term;
    (void)err;
    assert_true(offset <= store->len);
    *out_len = left < size ? left : size;
    *out_total = store->len;
    memcpy(buf, store->data + offset, *out_len);
    return SWK_OK;
}

static void store_init(struct store *store)
{
    *store = (struct store){
        .granule = 1,
        .port = {.size = sizeof(store->port),
                 .ctx = store,
                 .begin_snapshot = begin_snapshot,
                 .write_snapshot = write_snapshot,
                 .abort_snapshot = abort_snapshot,
                 .read_snapshot = read_snapshot},
    };
}

/* -- The connection ---------------------------------------------------------
 */

static struct packet *push(struct queue *queue, const uint8_t *data, size_t len)
{
    struct packet *packet =
        &queue->packets[(queue->first + queue->count++) % PACKETS];

    assert_true(queue->count <= PACKETS && len <= PACKET_SIZE);
    *packet = (struct packet){.len = len};
    if (len > 0) {
        memcpy(packet->data, data, len);
    }
    return packet;
}

static struct packet pop(struct queue *queue)
{
    struct packet packet = queue->packets[queue->first];

    queue->first = (queue->first + 1) % PACKETS;
    queue->count--;
    return packet;
}

static struct swki_rpc_call *call_of(struct wire *w)
{
    return &w->calls[w->calls_count - 1];
}

int swki_rpc_client_open(struct swki_rpc_client *client,
                         const struct swki_rpc_header *header,
                         const struct swki_rpc_client_call_events *events,
                         struct swk_error *err)
{
    struct wire *w = client->wire;

    (void)err;
    assert_string_equal(header->path, SWKI_PATH_RAFT_STREAM_SNAPSHOT);
    assert_false(w->open);
    assert_true(w->calls_count < CALLS);
    w->calls[w->calls_count++] = (struct swki_rpc_call){.wire = w};
    w->events = *events;
    w->open = true;
    w->up.count = 0;
    w->down.count = 0;
    return SWK_OK;
}

int swki_rpc_client_send(struct swki_rpc_client *client, uint64_t call_id,
                         const uint8_t *data, size_t len, struct swk_error *err)
{
    (void)err;
    assert_int_equal(call_id, client->wire->events.call_id);
    assert_true(client->wire->open);
    push(&client->wire->up, data, len);
    return SWK_OK;
}

void swki_rpc_client_finish(struct swki_rpc_client *client, uint64_t call_id)
{
    (void)call_id;
    push(&client->wire->up, NULL, 0)->end = true;
}

void swki_rpc_client_cancel(struct swki_rpc_client *client, uint64_t call_id)
{
    (void)call_id;
    client->wire->open = false;
    swki_snapshot_receive_closed(&client->wire->f->receiver,
                                 call_of(client->wire));
}

void swki_rpc_call_send(struct swki_rpc_call *call, const uint8_t *data,
                        size_t len)
{
    push(&call->wire->down, data, len);
}

void swki_rpc_call_end(struct swki_rpc_call *call, int status, const char *text)
{
    struct packet *packet =
        push(&call->wire->down, (const uint8_t *)text, strlen(text) + 1);

    packet->end = true;
    packet->status = status;
}

const struct swki_rpc_call_info *
swki_rpc_call_info(const struct swki_rpc_call *call)
{
    return &call->info;
}

/* -- What else the two need of peers ----------------------------------------
 */

void swki_peers_wake(struct swki_peers *peers)
{
    (void)peers; /* the test asks all the time */
}

swk_time swki_peers_now(const struct swki_peers *peers)
{
    return ((const struct f *)peers->config.ctx)->now;
}

uint64_t swki_peers_generation(const struct swki_peers *peers)
{
    return 0;
}

enum swki_status swki_peers_check_sender(const struct swki_peers *peers,
                                         const struct swki_rpc_call_info *info,
                                         uint64_t raft_id, uint64_t generation,
                                         swk_time now, const char **out_text)
{
    (void)peers;
    (void)info;
    (void)raft_id;
    *out_text = NULL;
    return SWKI_STATUS_OK;
}

bool swki_peer_says_removed(int status, const char *text)
{
    (void)status;
    (void)text;
    return false;
}

void swki_peer_note_removed(struct swki_peer *peer)
{
    (void)peer;
}

void swki_peers_deliver(struct swki_peers *peers, const uint8_t *data,
                        size_t len)
{
    struct f *f = peers->config.ctx;
    struct swk_raft_message message;

    assert_int_equal(
        swk_raft_message_decode(peers->decoder, data, len, &message, NULL), 0);
    f->delivered++;
    f->delivered_index = message.snapshot->index;
}

/* -- The fixture ------------------------------------------------------------
 */

static void peers_init(struct f *f, struct swki_peers *peers, uint64_t raft_id,
                       struct store *store)
{
    *peers = (struct swki_peers){
        .config = {.alloc = &f->heap.alloc,
                   .storage = &store->port,
                   .raft_id = raft_id,
                   .snapshots_max = 1,
                   .part_size = PART_SIZE,
                   .progress_ns = PROGRESS_NS,
                   .silence_ns = SILENCE_NS,
                   .ctx = f},
    };
    swki_buf_init(&peers->scratch, &f->heap.alloc, SIZE_MAX);
    assert_int_equal(swk_raft_decoder_new(&f->heap.alloc, &peers->decoder), 0);
    swki_snapshot_receive_init(peers);
}

static void peers_fini(struct swki_peers *peers)
{
    swki_snapshot_receive_fini(peers);
    swk_raft_decoder_free(peers->decoder);
    swki_buf_fini(&peers->scratch);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    heap_init(&f->heap);
    f->now = SWK_SECOND;
    store_init(&f->sent);
    store_init(&f->received);
    f->sent.len = LENGTH;
    for (size_t i = 0; i < LENGTH; i++) {
        f->sent.data[i] = (uint8_t)(i * 7 + i / PART_SIZE);
    }
    peers_init(f, &f->receiver, RECEIVER, &f->received);
    for (uint64_t i = 0; i < 2; i++) { /* members 1 and 3 */
        struct wire *w = &f->wires[i];

        w->f = f;
        w->client.wire = w;
        peers_init(f, &w->peers, 1 + 2 * i, &f->sent);
        w->peer = (struct swki_peer){
            .peers = &w->peers, .raft_id = RECEIVER, .client = &w->client};
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    for (size_t i = 0; i < 2; i++) {
        if (f->wires[i].peer.snapshot != NULL) {
            swki_snapshot_send_fail(f->wires[i].peer.snapshot, "the end");
        }
        peers_fini(&f->wires[i].peers);
    }
    peers_fini(&f->receiver);
    assert_int_equal(heap_live(&f->heap), 0);
    free(f);
    return 0;
}

static void start(struct wire *w, uint64_t term, uint64_t index)
{
    static const uint64_t voters[] = {1, 2, 3};
    const struct swk_snapshot_meta meta = {
        .index = index,
        .term = TERM,
        .conf_state = {.voters = voters, .voters_count = 3},
    };
    const struct swk_raft_message message = {
        .type = SWK_RAFT_MSG_SNAP,
        .to = RECEIVER,
        .from = w->peers.config.raft_id,
        .term = term,
        .snapshot = &meta,
    };

    swki_snapshot_send_start(&w->peer, &message);
}

/* One packet to the receiver. */
static void carry_up(struct wire *w)
{
    struct packet packet = pop(&w->up);

    if (++w->carried == w->damaged) {
        packet.data[packet.len - 1] ^= 1;
    }
    if (packet.end) {
        swki_snapshot_receive_finished(&w->f->receiver, call_of(w));
        return;
    }
    swki_snapshot_receive_request(&w->f->receiver, call_of(w), packet.data,
                                  packet.len, w->f->now);
}

static void carry_down(struct wire *w)
{
    struct packet packet = pop(&w->down);
    uint64_t call_id = w->events.call_id;

    if (!w->open) {
        return;
    }
    if (!packet.end) {
        w->events.message(w->events.ctx, call_id, packet.data, packet.len,
                          w->f->now);
        return;
    }
    w->open = false;
    w->status = packet.status;
    w->events.ended(w->events.ctx, call_id, packet.status,
                    (const char *)packet.data, w->f->now);
}

/* Lets the sender and the receiver speak, up to so many packets of the
 * sender. Its turns while it looks at what it has sent before are none. */
static void carry(struct wire *w, size_t packets)
{
    for (int idle = 0; idle < PARTS;) {
        idle++;
        while (w->open && w->up.count > 0) {
            if (packets-- == 0) {
                return;
            }
            carry_up(w);
            idle = 0;
        }
        while (w->down.count > 0) {
            carry_down(w);
            idle = 0;
        }
        (void)swki_snapshot_receive_turn(&w->f->receiver, w->f->now);
        if (w->peer.snapshot != NULL) {
            (void)swki_snapshot_send_turn(w->peer.snapshot, w->f->now);
        }
    }
}

static void break_off(struct wire *w)
{
    w->open = false;
    swki_snapshot_receive_closed(&w->f->receiver, call_of(w));
    w->events.ended(w->events.ctx, w->events.call_id, SWKI_STATUS_UNAVAILABLE,
                    "broken", w->f->now);
}

/* What the sender's raft is told, once for each snapshot. */
static void assert_reported(struct wire *w, bool ok)
{
    assert_null(w->peer.snapshot);
    assert_true(w->peer.snapshot_due);
    assert_int_equal(w->peer.snapshot_ok, ok);
    assert_int_equal(w->peers.sends_count, 0);
    w->peer.snapshot_due = false;
}

static void assert_arrived(struct f *f)
{
    assert_int_equal(f->delivered, 1);
    assert_int_equal(f->delivered_index, INDEX);
    assert_int_equal(f->received.len, LENGTH);
    assert_memory_equal(f->received.data, f->sent.data, LENGTH);
}

/* -- The tests --------------------------------------------------------------
 */

static void r_snp_8_a_snapshot_is_delivered_when_it_is_whole(void **state)
{
    struct f *f = *state;
    struct wire *w = &f->wires[0];

    start(w, TERM, INDEX);
    carry(w, 1 + PARTS); /* all but the digest */
    assert_int_equal(f->received.len, LENGTH);
    assert_int_equal(f->delivered, 0);
    assert_non_null(w->peer.snapshot);
    carry(w, ALL);
    assert_arrived(f);
    assert_reported(w, true);
}

static void r_snp_8_what_was_damaged_is_never_delivered(void **state)
{
    struct f *f = *state;
    struct wire *w = &f->wires[0];

    w->damaged = 4;
    start(w, TERM, INDEX);
    carry(w, ALL);
    assert_int_equal(w->status, SWKI_STATUS_DATA_LOSS);
    assert_int_equal(f->delivered, 0);
    assert_int_equal(f->received.forgotten, 1);
    assert_reported(w, false);

    start(w, TERM, INDEX); /* from its beginning */
    carry(w, ALL);
    assert_arrived(f);
    assert_reported(w, true);
}

static void r_snp_8_a_broken_stream_goes_on_where_it_broke(void **state)
{
    struct f *f = *state;
    struct wire *w = &f->wires[0];

    start(w, TERM, INDEX);
    carry(w, 1 + 6);
    break_off(w);
    assert_reported(w, false);
    assert_int_equal(f->received.len, 6 * PART_SIZE);
    w->carried = 0;
    start(w, TERM, INDEX);
    carry(w, ALL);
    assert_arrived(f);
    assert_reported(w, true);
    /* The header, the parts that were missing, the digest and the end. */
    assert_int_equal(w->carried, 1 + PARTS - 6 + 2);
}

/* There may be another snapshot at the same place, of another leader. */
static void r_snp_8_only_the_same_bytes_are_gone_on_with(void **state)
{
    struct f *f = *state;
    struct wire *w = &f->wires[0];

    start(w, TERM, INDEX);
    carry(w, 1 + 6);
    break_off(w);
    f->sent.data[3 * PART_SIZE] ^= 1;
    w->carried = 0;
    start(w, TERM, INDEX);
    carry(w, ALL);
    assert_arrived(f);
    assert_int_equal(w->carried, 1 + PARTS + 2);
}

/* The receiver's process ends, and another one begins. */
static void restart_receiver(struct f *f)
{
    peers_fini(&f->receiver);
    peers_init(f, &f->receiver, RECEIVER, &f->received);
}

/* A stream breaks off after six parts, and another one comes. */
static void go_on(struct f *f, bool restarts)
{
    struct wire *w = &f->wires[0];

    start(w, TERM, INDEX);
    carry(w, 1 + 6);
    break_off(w);
    if (restarts) {
        restart_receiver(f);
    }
    w->carried = 0;
    start(w, TERM, INDEX);
    carry(w, ALL);
}

static void
r_snp_8_a_storage_keeps_what_it_likes_of_a_broken_stream(void **state)
{
    struct f *f = *state;

    f->received.granule = 700; /* five parts, and a half of the sixth */
    go_on(f, false);
    assert_arrived(f);
    assert_int_equal(f->wires[0].carried, 1 + PARTS - 5 + 2);
}

static void
r_snp_8_a_stream_goes_on_after_a_restart_of_the_receiver(void **state)
{
    struct f *f = *state;

    f->received.granule = 700;
    go_on(f, true);
    assert_arrived(f);
    assert_int_equal(f->wires[0].carried, 1 + PARTS - 5 + 2);
    assert_int_equal(f->received.forgotten, 0);
}

static void
r_snp_8_a_storage_that_keeps_less_than_a_part_begins_anew(void **state)
{
    struct f *f = *state;

    f->received.granule = 6500;
    go_on(f, true);
    assert_arrived(f);
    assert_int_equal(f->wires[0].carried, 1 + PARTS + 2);
}

/* What the storage has is not what the sender has: of a whole part, or of the
 * front of one. */
static void
r_snp_8_only_the_same_bytes_are_gone_on_with_after_a_restart(void **state)
{
    struct f *f = *state;
    struct wire *w = &f->wires[0];

    f->received.granule = 700;
    start(w, TERM, INDEX);
    carry(w, 1 + 6);
    break_off(w);
    restart_receiver(f);
    f->received.data[5 * PART_SIZE + 1] ^= 1;
    start(w, TERM, INDEX);
    carry(w, ALL);
    assert_int_equal(w->status, SWKI_STATUS_DATA_LOSS);
    assert_int_equal(f->delivered, 0);

    start(w, TERM, INDEX);
    carry(w, 1 + 6);
    break_off(w);
    restart_receiver(f);
    f->received.data[PART_SIZE] ^= 1;
    w->carried = 0;
    start(w, TERM, INDEX);
    carry(w, ALL);
    assert_arrived(f);
    assert_int_equal(w->carried, 1 + PARTS + 2);
}

static void r_snp_8_a_snapshot_is_delivered_when_it_is_durable(void **state)
{
    struct f *f = *state;
    struct wire *w = &f->wires[0];

    f->received.slow = 400;
    start(w, TERM, INDEX);
    carry(w, ALL);
    assert_int_equal(f->delivered, 0);
    for (int i = 0; i < 300; i++) { /* signs of life keep the sender waiting */
        f->now += 50 * SWK_MILLISECOND;
        carry(w, ALL);
    }
    assert_int_equal(f->delivered, 0);
    assert_non_null(w->peer.snapshot);
    break_off(w); /* the sender is needed no more */
    for (int i = 0; i < 200; i++) {
        f->now += 50 * SWK_MILLISECOND;
        (void)swki_snapshot_receive_turn(&f->receiver, f->now);
    }
    assert_arrived(f);
}

static void r_snp_8_a_snapshot_that_cannot_be_stored_fails(void **state)
{
    struct f *f = *state;
    struct wire *w = &f->wires[0];

    f->received.full = true;
    start(w, TERM, INDEX);
    carry(w, ALL);
    assert_int_equal(f->delivered, 0);
    assert_int_equal(f->received.forgotten, 1);
    assert_reported(w, false);
}

static void r_snp_8_a_later_term_ends_a_stream(void **state)
{
    static const struct {
        uint64_t from;
        uint64_t term;
        bool ends;
    } messages[] = {
        {3, TERM, false}, {1, TERM + 1, false}, {3, TERM + 1, true}};
    struct f *f = *state;
    struct wire *w = &f->wires[0];

    start(w, TERM, INDEX);
    carry(w, 3);
    for (size_t i = 0; i < 3; i++) {
        swki_snapshot_receive_new_term(&f->receiver, messages[i].from,
                                       messages[i].term);
        assert_int_equal(f->receiver.receive.state == SWKI_RECEIVE_NONE,
                         messages[i].ends);
    }
    carry(w, ALL);
    assert_int_equal(w->status, SWKI_STATUS_ABORTED);
    assert_int_equal(f->delivered, 0);
    assert_reported(w, false);
}

static void r_snp_8_one_at_a_time_and_the_newest(void **state)
{
    static const struct {
        uint64_t term;
        uint64_t index;
        bool supersedes;
    } others[] = {
        {TERM, INDEX, false},
        {TERM - 1, INDEX + 1, false},
        {TERM, INDEX + 1, true},
    };
    struct f *f = *state;
    struct wire *first = &f->wires[0];
    struct wire *second = &f->wires[1];

    start(first, TERM, INDEX);
    carry(first, 3);
    for (size_t i = 0; i < 3; i++) {
        start(second, others[i].term, others[i].index);
        carry(second, 2);
        carry(second, 0);
        if (!others[i].supersedes) {
            assert_int_equal(second->status, SWKI_STATUS_UNAVAILABLE);
            assert_reported(second, false);
        }
    }
    carry(first, ALL);
    assert_int_equal(first->status, SWKI_STATUS_ABORTED);
    assert_reported(first, false);
    carry(second, ALL);
    assert_int_equal(f->delivered, 1);
    assert_int_equal(f->delivered_index, INDEX + 1);
    assert_reported(second, true);
}

static void r_snp_8_silence_ends_a_stream_on_either_side(void **state)
{
    struct f *f = *state;
    struct wire *w = &f->wires[0];
    swk_time deadline;

    start(w, TERM, INDEX);
    carry(w, 3);
    deadline = swki_snapshot_receive_turn(&f->receiver, f->now);
    assert_int_equal(deadline, f->now + SILENCE_NS);
    assert_int_equal(swki_snapshot_send_turn(w->peer.snapshot, f->now),
                     f->now + PROGRESS_NS);

    f->now += PROGRESS_NS;
    w->open = false; /* nothing arrives any more */
    assert_int_equal(swki_snapshot_send_turn(w->peer.snapshot, f->now),
                     SWK_NEVER);
    assert_reported(w, false);
    assert_int_equal(f->received.forgotten, 0);

    start(w, TERM, INDEX);
    carry(w, 3);
    f->now += SILENCE_NS - 1;
    assert_int_equal(swki_snapshot_receive_turn(&f->receiver, f->now),
                     f->now + 1);
    f->now++;
    assert_int_equal(swki_snapshot_receive_turn(&f->receiver, f->now),
                     SWK_NEVER);
    assert_int_equal(f->receiver.receive.state, SWKI_RECEIVE_NONE);
    assert_int_equal(f->received.forgotten, 0); /* it may go on later */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r_snp_8_a_snapshot_is_delivered_when_it_is_whole),
        TEST(r_snp_8_what_was_damaged_is_never_delivered),
        TEST(r_snp_8_a_broken_stream_goes_on_where_it_broke),
        TEST(r_snp_8_only_the_same_bytes_are_gone_on_with),
        TEST(r_snp_8_a_storage_keeps_what_it_likes_of_a_broken_stream),
        TEST(r_snp_8_a_stream_goes_on_after_a_restart_of_the_receiver),
        TEST(r_snp_8_a_storage_that_keeps_less_than_a_part_begins_anew),
        TEST(r_snp_8_only_the_same_bytes_are_gone_on_with_after_a_restart),
        TEST(r_snp_8_a_snapshot_is_delivered_when_it_is_durable),
        TEST(r_snp_8_a_snapshot_that_cannot_be_stored_fails),
        TEST(r_snp_8_a_later_term_ends_a_stream),
        TEST(r_snp_8_one_at_a_time_and_the_newest),
        TEST(r_snp_8_silence_ends_a_stream_on_either_side),
    };

    return cmocka_run_group_tests_name("snapshot_stream", tests, NULL, NULL);
}
