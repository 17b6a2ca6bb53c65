/* SPDX-License-Identifier: Apache-2.0 */

/* The connection to one other member, and what waits for it. */

#include "node/peers/peers_internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "health.pb-c.h"
#include "wire/message.h"

enum {
    /* Bytes handed to a stream that the peer has not made room for. */
    LANE_UNSENT_MAX = 64 * 1024,
    HEALTH_SECONDS = 2,
    HEALTH_AGAIN_SECONDS = 1,
    VOTE_SECONDS = 2,
    LEAVE_SECONDS = 8,
};

#define BACKOFF_FIRST_NS (100 * SWK_MILLISECOND)
#define BACKOFF_LAST_NS (8 * SWK_SECOND)
/* Between attempts that are made because the peer was heard of. */
#define KICK_NS (1 * SWK_SECOND)

static void drop_vote(struct swki_peer *peer)
{
    swki_free(peer->peers->config.alloc, peer->vote);
    peer->vote = NULL;
}

static void drop_queue(struct swki_peer *peer)
{
    for (size_t i = 0; i < SWKI_LANES; i++) {
        struct swki_lane *lane = &peer->lanes[i];

        while (lane->first != NULL) {
            struct swki_queued *next = lane->first->next;

            swki_free(peer->peers->config.alloc, lane->first);
            lane->first = next;
        }
        *lane = (struct swki_lane){.call_id = 0};
    }
}

static void close_client(struct swki_peer *peer)
{
    if (peer->snapshot != NULL) {
        swki_snapshot_send_fail(peer->snapshot, "the connection is closed");
    }
    swki_errands_leave_peer(peer->peers, peer);
    drop_queue(peer);
    peer->health_call = 0;
    peer->health_at = SWK_NEVER;
    swki_rpc_client_free(peer->client);
    peer->client = NULL;
}

static void note_unreachable(struct swki_peer *peer)
{
    peer->unreachable_due = !peer->leaving;
    swki_peers_wake(peer->peers);
}

/* Which address comes next, and when. */
static void plan_retry(struct swki_peer *peer, swk_time now)
{
    peer->address = (peer->address + 1) % peer->addresses_count;
    peer->tried++;
    if (peer->tried < peer->addresses_count) {
        peer->retry_at = now;
        return;
    }
    peer->tried = 0;
    peer->retry_at = now + peer->backoff_ns;
    peer->backoff_ns = peer->backoff_ns * 2 < BACKOFF_LAST_NS
                           ? peer->backoff_ns * 2
                           : BACKOFF_LAST_NS;
}

void swki_peer_fail(struct swki_peer *peer, const char *why, swk_time now)
{
    const struct swk_logger *logger = peer->peers->config.logger;

    swki_log(logger, peer->active ? SWK_LOG_WARN : SWK_LOG_DEBUG, "peers",
             "member %llx at %s cannot be reached: %s",
             (unsigned long long)peer->raft_id,
             peer->addresses[peer->address], why);
    close_client(peer);
    peer->active = false;
    plan_retry(peer, now);
    note_unreachable(peer);
    peer->gone = peer->leaving;
}

bool swki_peer_says_removed(int status, const char *text)
{
    return (status == SWKI_STATUS_NOT_FOUND &&
            strcmp(text, SWKI_PEERS_REMOVED_TEXT) == 0) ||
           (status == SWKI_STATUS_PERMISSION_DENIED &&
            strstr(text, "was removed from swarm") != NULL);
}

void swki_peer_note_removed(struct swki_peer *peer)
{
    peer->removed_due = true;
    swki_peers_wake(peer->peers);
}

/* -- Events of the client --------------------------------------------------- */

static void on_disconnected(void *ctx, const struct swk_error *reason,
                            swk_time now)
{
    swki_peer_fail(ctx, reason->text, now);
}

/* The answer to a stream of messages has nothing in it. */
static void on_lane_message(void *ctx, uint64_t call_id, const uint8_t *data,
                            size_t len, swk_time now)
{
    (void)ctx;
    (void)call_id;
    (void)data;
    (void)len;
    (void)now;
}

static void on_lane_ended(void *ctx, uint64_t call_id, int status,
                          const char *text, swk_time now)
{
    struct swki_peer *peer = ctx;
    bool all = true;

    if (swki_peer_says_removed(status, text)) {
        swki_peer_note_removed(peer);
    }
    for (size_t i = 0; i < SWKI_LANES; i++) {
        if (peer->lanes[i].call_id == call_id) {
            peer->lanes[i].call_id = 0;
        }
        all = all && peer->lanes[i].call_id == 0;
    }
    if (!peer->leaving || all || status != SWKI_STATUS_OK) {
        swki_peer_fail(peer, text, now);
    }
}

static void set_active(struct swki_peer *peer, swk_time now)
{
    if (!peer->active && !peer->leaving) {
        peer->active = true;
        peer->active_since = now;
        peer->tried = 0;
        peer->backoff_ns = BACKOFF_FIRST_NS;
        swki_log(peer->peers->config.logger, SWK_LOG_INFO, "peers",
                 "connected to member %llx at %s",
                 (unsigned long long)peer->raft_id,
                 peer->addresses[peer->address]);
        swki_peers_wake(peer->peers);
    }
}

static void on_health_message(void *ctx, uint64_t call_id, const uint8_t *data,
                              size_t len, swk_time now)
{
    struct swki_peer *peer = ctx;
    const struct swk_alloc *alloc = peer->peers->config.alloc;
    ProtobufCMessage *message = NULL;
    struct swki_arena arena;

    (void)call_id;
    swki_arena_init(&arena, alloc, swki_message_memory_max(len));
    if (swki_message_unpack(&swkpb__health_check_response__descriptor, data,
                            len, &arena, &message, NULL) == SWK_OK &&
        ((const Swkpb__HealthCheckResponse *)message)->status ==
            SWKPB__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING) {
        set_active(peer, now);
    }
    swki_arena_fini(&arena);
}

static void on_health_ended(void *ctx, uint64_t call_id, int status,
                            const char *text, swk_time now)
{
    struct swki_peer *peer = ctx;

    (void)call_id;
    (void)status;
    (void)text;
    peer->health_call = 0;
    if (!peer->active) {
        peer->health_at = now + HEALTH_AGAIN_SECONDS * SWK_SECOND;
    }
}

/* -- Connecting ------------------------------------------------------------- */

static int ask_health(struct swki_peer *peer, struct swk_error *err)
{
    static const uint8_t request[] = {1 << 3 | 2, 4, 'R', 'a', 'f', 't'};
    const struct swki_rpc_client_call_events events = {
        .ctx = peer,
        .call_id = ++peer->peers->last_call,
        .message = on_health_message,
        .ended = on_health_ended,
    };
    int rc = swki_rpc_client_call(peer->client, SWKI_PATH_HEALTH_CHECK,
                                  request, sizeof(request),
                                  HEALTH_SECONDS * SWK_SECOND +
                                      peer->peers->config.connect_ns,
                                  &events, err);

    peer->health_at = SWK_NEVER;
    peer->health_call = rc == SWK_OK ? events.call_id : 0;
    return rc;
}

static int open_lanes(struct swki_peer *peer, struct swk_error *err)
{
    static const struct swki_rpc_header header = {
        .path = SWKI_PATH_RAFT_STREAM_RAFT_MESSAGE};
    int rc = SWK_OK;

    for (size_t i = 0; i < SWKI_LANES && rc == SWK_OK; i++) {
        const struct swki_rpc_client_call_events events = {
            .ctx = peer,
            .call_id = ++peer->peers->last_call,
            .message = on_lane_message,
            .ended = on_lane_ended,
        };

        rc = swki_rpc_client_open(peer->client, &header, &events, err);
        peer->lanes[i].call_id = rc == SWK_OK ? events.call_id : 0;
    }
    return rc;
}

static void connect_to(struct swki_peer *peer, swk_time now)
{
    struct swki_rpc_client_config config = {
        .ctx = peer,
        .node_id = peer->node_id,
        .disconnected = on_disconnected,
    };
    char address[SWKI_PEERS_ADDRESS_SIZE + 8];
    struct swk_error err = {0};
    int rc;

    strcpy(address, "tcp://");
    strcat(address, peer->addresses[peer->address]);
    swki_peers_client_config(peer->peers, &config);
    config.address = address;
    peer->attempted_at = now;
    rc = swki_rpc_client_new(&config, &peer->client, &err);
    if (rc == SWK_OK) {
        rc = open_lanes(peer, &err);
    }
    if (rc == SWK_OK) {
        rc = ask_health(peer, &err);
    }
    if (rc != SWK_OK) {
        swki_peer_fail(peer, err.text, now);
    }
}

void swki_peer_kick(struct swki_peer *peer, swk_time now)
{
    swk_time at = peer->attempted_at + KICK_NS;

    at = at > now ? at : now;
    if (peer->client == NULL && peer->retry_at > at) {
        peer->retry_at = at;
        swki_peers_wake(peer->peers);
    }
}

/* -- Life ------------------------------------------------------------------- */

int swki_peer_new(struct swki_peers *peers,
                  const struct swki_peers_member *member,
                  struct swki_peer **out_peer, struct swk_error *err)
{
    struct swki_peer *peer = swki_calloc(peers->config.alloc, 1, sizeof(*peer));

    if (peer == NULL) {
        return swki_fail_nomem(err);
    }
    swki_list_init(&peer->link);
    peer->peers = peers;
    peer->raft_id = member->raft_id;
    strcpy(peer->node_id, member->node_id);
    peer->health_at = SWK_NEVER;
    peer->backoff_ns = BACKOFF_FIRST_NS;
    if (!swki_peer_set_addresses(peer, member)) {
        swki_peer_free(peer);
        return swki_fail_nomem(err);
    }
    connect_to(peer, swki_peers_now(peers)); /* messages may wait for it */
    *out_peer = peer;
    return SWK_OK;
}

void swki_peer_free(struct swki_peer *peer)
{
    const struct swk_alloc *alloc = peer->peers->config.alloc;

    close_client(peer);
    drop_vote(peer);
    swki_list_remove(&peer->link);
    swki_free(alloc, peer->addresses);
    swki_free(alloc, peer);
}

static bool same_addresses(const struct swki_peer *peer,
                           const struct swki_peers_member *member)
{
    if (peer->addresses_count != member->addresses_count) {
        return false;
    }
    for (size_t i = 0; i < member->addresses_count; i++) {
        if (strcmp(peer->addresses[i], member->addresses[i]) != 0) {
            return false;
        }
    }
    return true;
}

bool swki_peer_set_addresses(struct swki_peer *peer,
                             const struct swki_peers_member *member)
{
    const struct swk_alloc *alloc = peer->peers->config.alloc;
    char (*old)[SWKI_PEERS_ADDRESS_SIZE] = peer->addresses;
    char (*addresses)[SWKI_PEERS_ADDRESS_SIZE];
    size_t address = SIZE_MAX; /* where the one in use is now */

    if (same_addresses(peer, member)) {
        return true;
    }
    addresses =
        swki_calloc(alloc, member->addresses_count, sizeof(addresses[0]));
    if (addresses == NULL) {
        return false;
    }
    for (size_t i = 0; i < member->addresses_count; i++) {
        strcpy(addresses[i], member->addresses[i]);
        if (old != NULL && strcmp(addresses[i], old[peer->address]) == 0) {
            address = i;
        }
    }
    peer->addresses = addresses;
    peer->addresses_count = member->addresses_count;
    peer->tried = 0;
    peer->address = address == SIZE_MAX ? peer->addresses_count - 1 : address;
    if (address == SIZE_MAX && peer->client != NULL) {
        swki_peer_fail(peer, "it has moved", swki_peers_now(peer->peers));
    }
    if (address == SIZE_MAX) {
        peer->address = 0;
        peer->tried = 0;
        peer->retry_at = 0;
        peer->backoff_ns = BACKOFF_FIRST_NS;
    }
    swki_free(alloc, old);
    return true;
}

void swki_peer_leave(struct swki_peer *peer, swk_time now)
{
    peer->leaving = true;
    peer->leave_by = now + LEAVE_SECONDS * SWK_SECOND;
    peer->active = false;
    peer->gone = peer->client == NULL;
    drop_vote(peer);
    if (peer->snapshot != NULL) {
        swki_snapshot_send_fail(peer->snapshot, "it is no member any more");
    }
}

/* -- Sending ---------------------------------------------------------------- */

static bool has_room(const struct swki_peer *peer, const struct swki_lane *lane)
{
    return swki_rpc_client_unsent(peer->client, lane->call_id) <
           LANE_UNSENT_MAX;
}

/* Hands on what there is room for. */
static void pump(struct swki_peer *peer, swk_time now)
{
    struct swk_error err;

    for (size_t i = 0; i < SWKI_LANES; i++) {
        struct swki_lane *lane = &peer->lanes[i];

        while (lane->first != NULL && has_room(peer, lane)) {
            struct swki_queued *queued = lane->first;

            if (swki_rpc_client_send(peer->client, lane->call_id, queued->data,
                                     queued->len, &err) != SWK_OK) {
                swki_peer_fail(peer, err.text, now);
                return;
            }
            lane->first = queued->next;
            lane->count--;
            lane->size -= queued->len;
            swki_free(peer->peers->config.alloc, queued);
        }
    }
}

static bool enqueue(struct swki_peer *peer, struct swki_lane *lane,
                    const struct swki_buf *message)
{
    const struct swki_peers_config *config = &peer->peers->config;
    struct swki_queued *queued;

    if (lane->count >= config->queue_max ||
        message->len > config->queue_size_max - lane->size) {
        return false;
    }
    queued = swki_alloc(config->alloc, sizeof(*queued) + message->len);
    if (queued == NULL) {
        return false;
    }
    queued->next = NULL;
    queued->len = message->len;
    memcpy(queued->data, message->data, message->len);
    if (lane->first == NULL) {
        lane->first = queued;
    } else {
        lane->last->next = queued;
    }
    lane->last = queued;
    lane->count++;
    lane->size += message->len;
    return true;
}

static bool is_bulk(const struct swk_raft_message *message)
{
    return message->type == SWK_RAFT_MSG_APP ||
           message->type == SWK_RAFT_MSG_PROP;
}

void swki_peer_send(struct swki_peer *peer,
                    const struct swk_raft_message *message)
{
    struct swki_lane *lane =
        &peer->lanes[is_bulk(message) ? SWKI_LANE_BULK : SWKI_LANE_URGENT];
    const struct swki_buf *encoded = NULL;
    struct swk_error err;
    bool sent = false;

    if (peer->client != NULL) {
        encoded = swki_peers_wrap(peer->peers, message);
    }
    if (encoded == NULL || encoded->len > SWKI_RPC_REQUEST_MAX) {
        note_unreachable(peer);
        return;
    }
    if (lane->first == NULL && has_room(peer, lane)) {
        sent = swki_rpc_client_send(peer->client, lane->call_id, encoded->data,
                                    encoded->len, &err) == SWK_OK;
    } else {
        sent = enqueue(peer, lane, encoded);
    }
    if (!sent) {
        note_unreachable(peer);
    }
}

void swki_peer_hold_vote(struct swki_peer *peer, const uint8_t *data,
                         size_t len, swk_time now)
{
    drop_vote(peer);
    peer->vote = swki_alloc(peer->peers->config.alloc, len);
    if (peer->vote != NULL) {
        memcpy(peer->vote, data, len);
        peer->vote_len = len;
        peer->vote_until = now + VOTE_SECONDS * SWK_SECOND;
        swki_peers_wake(peer->peers);
    }
}

/* -- Turns ------------------------------------------------------------------ */

static swk_time turn_leaving(struct swki_peer *peer, swk_time now)
{
    if (peer->client != NULL) {
        pump(peer, now);
    }
    if (peer->client == NULL || now >= peer->leave_by) {
        close_client(peer);
        peer->gone = true;
        return SWK_NEVER;
    }
    for (size_t i = 0; i < SWKI_LANES; i++) {
        struct swki_lane *lane = &peer->lanes[i];

        if (lane->first == NULL && !lane->finished) {
            lane->finished = true;
            swki_rpc_client_finish(peer->client, lane->call_id);
        }
    }
    return peer->leave_by;
}

static swk_time turn_client(struct swki_peer *peer, swk_time now)
{
    struct swk_error err;

    pump(peer, now);
    if (peer->client != NULL && now >= peer->health_at &&
        ask_health(peer, &err) != SWK_OK) {
        swki_peer_fail(peer, err.text, now);
    }
    return peer->client != NULL ? peer->health_at : peer->retry_at;
}

swk_time swki_peer_turn(struct swki_peer *peer, swk_time now)
{
    swk_time deadline;
    swk_time snapshot = SWK_NEVER;

    if (peer->leaving) {
        return turn_leaving(peer, now);
    }
    if (peer->client == NULL && now >= peer->retry_at) {
        connect_to(peer, now);
    }
    deadline =
        peer->client != NULL ? turn_client(peer, now) : peer->retry_at;
    if (peer->vote != NULL && now >= peer->vote_until) {
        drop_vote(peer);
    }
    if (peer->vote != NULL && peer->vote_until < deadline) {
        deadline = peer->vote_until;
    }
    if (peer->snapshot != NULL) {
        snapshot = swki_snapshot_send_turn(peer->snapshot, now);
    }
    return snapshot < deadline ? snapshot : deadline;
}
