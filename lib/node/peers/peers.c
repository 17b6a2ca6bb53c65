/* SPDX-License-Identifier: Apache-2.0 */

#include "node/peers/peers_internal.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

enum {
    PROGRESS_SECONDS = 10,
    SILENCE_SECONDS = 30,
    CONNECT_SECONDS = 5,
    PING_SECONDS = 2, /* a dead peer is to be noticed soon */
    PONG_SECONDS = 4,
    PART_SIZE_MIN = 1024,
    WRAP_ROOM = 32, /* bytes of two tags, a number and a length */
    TELL_MAX = 4 * SWKI_PEERS_MAX, /* callbacks in a turn */
};

/* -- Life -------------------------------------------------------------------
 */

static void apply_defaults(struct swki_peers_config *config)
{
    if (config->queue_max == 0) {
        config->queue_max = SWKI_PEERS_QUEUE_MAX;
    }
    if (config->queue_size_max == 0) {
        config->queue_size_max = SWKI_PEERS_QUEUE_SIZE_MAX;
    }
    if (config->snapshots_max == 0) {
        config->snapshots_max = SWKI_PEERS_SNAPSHOTS_MAX;
    }
    if (config->part_size < PART_SIZE_MIN ||
        config->part_size > SWKI_PEERS_PART_SIZE) {
        config->part_size = SWKI_PEERS_PART_SIZE;
    }
    if (config->progress_ns == 0) {
        config->progress_ns = PROGRESS_SECONDS * SWK_SECOND;
    }
    if (config->silence_ns == 0) {
        config->silence_ns = SILENCE_SECONDS * SWK_SECOND;
    }
    if (config->connect_ns == 0) {
        config->connect_ns = CONNECT_SECONDS * SWK_SECOND;
    }
}

static swk_time turn(void *ctx, swk_time now);

int swki_peers_new(const struct swki_peers_config *config,
                   struct swki_peers **out_peers, struct swk_error *err)
{
    struct swki_peers *peers;
    int rc;

    if (strlen(config->node_id) > SWK_ID_LEN_MAX ||
        strlen(config->swarm_id) > SWK_ID_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL, "peers: an ID is too long");
    }
    peers = swki_calloc(config->alloc, 1, sizeof(*peers));
    if (peers == NULL) {
        return swki_fail_nomem(err);
    }
    rc = swk_raft_decoder_new(config->alloc, &peers->decoder);
    if (rc != SWK_OK) {
        swki_free(config->alloc, peers);
        return swki_fail_nomem(err);
    }
    peers->config = *config;
    apply_defaults(&peers->config);
    strcpy(peers->node_id, config->node_id);
    strcpy(peers->swarm_id, config->swarm_id);
    peers->config.node_id = peers->node_id;
    peers->config.swarm_id = peers->swarm_id;
    peers->context = swki_tls_context_ref(config->context);
    peers->serving = true;
    swki_list_init(&peers->members);
    swki_list_init(&peers->leaving);
    swki_list_init(&peers->errands);
    swki_buf_init(&peers->scratch, config->alloc, SIZE_MAX);
    swki_snapshot_receive_init(peers);
    peers->member = (struct swki_loop_member){.ctx = peers, .turn = turn};
    swki_loop_add(config->loop, &peers->member);
    *out_peers = peers;
    return SWK_OK;
}

static void free_list(struct swki_link *list)
{
    while (!swki_list_empty(list)) {
        swki_peer_free(SWKI_CONTAINER(list->next, struct swki_peer, link));
    }
}

void swki_peers_free(struct swki_peers *peers)
{
    if (peers == NULL) {
        return;
    }
    swki_loop_remove(peers->config.loop, &peers->member);
    swki_errands_free(peers);
    free_list(&peers->members);
    free_list(&peers->leaving);
    swki_snapshot_receive_fini(peers);
    swki_tls_context_unref(peers->context);
    swk_raft_decoder_free(peers->decoder);
    swki_buf_fini(&peers->scratch);
    swki_free(peers->config.alloc, peers);
}

void swki_peers_set_id(struct swki_peers *peers, uint64_t raft_id)
{
    peers->config.raft_id = raft_id;
}

void swki_peers_set_context(struct swki_peers *peers,
                            struct swki_tls_context *context)
{
    struct swki_tls_context *old = peers->context;

    peers->context = swki_tls_context_ref(context);
    swki_tls_context_unref(old);
}

void swki_peers_set_serving(struct swki_peers *peers, bool serving)
{
    peers->serving = serving;
}

/* -- What several files need ------------------------------------------------
 */

void swki_peers_wake(struct swki_peers *peers)
{
    swki_loop_wake(peers->config.loop);
}

swk_time swki_peers_now(const struct swki_peers *peers)
{
    const struct swk_clock *clock = peers->config.clock;

    return clock->now(clock->ctx);
}

void swki_peers_client_config(struct swki_peers *peers,
                              struct swki_rpc_client_config *config)
{
    config->alloc = peers->config.alloc;
    config->logger = peers->config.logger;
    config->clock = peers->config.clock;
    config->transport = peers->config.transport;
    config->loop = peers->config.loop;
    config->context = peers->context;
    config->server_name = SWKI_OU_MANAGER;
    config->swarm_id = peers->swarm_id;
    config->timeout_ns = peers->config.connect_ns;
    config->ping_ns = PING_SECONDS * SWK_SECOND;
    config->pong_ns = PONG_SECONDS * SWK_SECOND;
}

static void append_varint(struct swki_buf *out, uint64_t value)
{
    while (value >= 0x80) {
        swki_buf_append_byte(out, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    swki_buf_append_byte(out, (uint8_t)value);
}

const struct swki_buf *swki_peers_wrap(struct swki_peers *peers,
                                       const struct swk_raft_message *message)
{
    struct swki_buf *out = &peers->scratch;
    size_t len = swk_raft_message_size(message);
    uint64_t generation = swki_peers_generation(peers);

    swki_buf_clear(out);
    if (swki_buf_reserve(out, len + WRAP_ROOM) == NULL) {
        return NULL;
    }
    if (generation != 0) {
        append_varint(out, SWKI_PEERS_GENERATION_TAG);
        append_varint(out, generation);
    }
    append_varint(out, SWKI_PEERS_MESSAGE_TAG);
    append_varint(out, len);
    out->len += swk_raft_message_encode(message, out->data + out->len);
    return out;
}

/* -- Members ----------------------------------------------------------------
 */

struct swki_peer *swki_peers_find(const struct swki_peers *peers,
                                  uint64_t raft_id)
{
    for (struct swki_link *link = peers->members.next; link != &peers->members;
         link = link->next) {
        struct swki_peer *peer = SWKI_CONTAINER(link, struct swki_peer, link);

        if (peer->raft_id == raft_id) {
            return peer;
        }
    }
    return NULL;
}

static int check_member(const struct swki_peers_member *member,
                        struct swk_error *err)
{
    if (member->raft_id == 0 || member->node_id == NULL ||
        member->node_id[0] == '\0' ||
        strlen(member->node_id) > SWK_ID_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL, "peers: a member without a name");
    }
    if (member->addresses_count == 0 ||
        member->addresses_count > SWKI_PEERS_ADDRESSES_MAX) {
        return swki_fail(
            err, SWK_EINVAL, "peers: member %llx has %zu addresses",
            (unsigned long long)member->raft_id, member->addresses_count);
    }
    for (size_t i = 0; i < member->addresses_count; i++) {
        const char *address = member->addresses[i];

        if (strrchr(address, ':') == NULL ||
            strlen(address) >= SWKI_PEERS_ADDRESS_SIZE) {
            return swki_fail(err, SWK_EINVAL,
                             "peers: invalid address of member %llx",
                             (unsigned long long)member->raft_id);
        }
    }
    return SWK_OK;
}

static int check_list(const struct swki_peers_member *members, size_t count,
                      struct swk_error *err)
{
    int rc = count <= SWKI_PEERS_MAX
                 ? SWK_OK
                 : swki_fail(err, SWK_ELIMIT, "peers: too many members");

    for (size_t i = 0; i < count && rc == SWK_OK; i++) {
        rc = check_member(&members[i], err);
        for (size_t j = 0; j < i && rc == SWK_OK; j++) {
            if (members[j].raft_id == members[i].raft_id) {
                rc = swki_fail(err, SWK_EINVAL,
                               "peers: member %llx is there twice",
                               (unsigned long long)members[i].raft_id);
            }
        }
    }
    return rc;
}

static const struct swki_peers_member *
find_in(const struct swki_peers_member *members, size_t count,
        const struct swki_peer *peer)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i].raft_id == peer->raft_id &&
            strcmp(members[i].node_id, peer->node_id) == 0) {
            return &members[i];
        }
    }
    return NULL;
}

/* In its place by ID. */
static void insert(struct swki_peers *peers, struct swki_peer *peer)
{
    struct swki_link *before = peers->members.next;

    while (before != &peers->members &&
           SWKI_CONTAINER(before, struct swki_peer, link)->raft_id <
               peer->raft_id) {
        before = before->next;
    }
    swki_list_append(before, &peer->link); /* in front of it */
    peers->members_count++;
}

static void drop_missing(struct swki_peers *peers,
                         const struct swki_peers_member *members, size_t count,
                         swk_time now)
{
    struct swki_link *next;

    for (struct swki_link *link = peers->members.next; link != &peers->members;
         link = next) {
        struct swki_peer *peer = SWKI_CONTAINER(link, struct swki_peer, link);

        next = link->next;
        if (find_in(members, count, peer) == NULL ||
            peer->raft_id == peers->config.raft_id) {
            swki_list_remove(link);
            swki_list_append(&peers->leaving, link);
            peers->members_count--;
            swki_peer_leave(peer, now);
        }
    }
}

int swki_peers_set(struct swki_peers *peers,
                   const struct swki_peers_member *members, size_t count,
                   struct swk_error *err)
{
    int rc = check_list(members, count, err);

    if (rc != SWK_OK) {
        return rc;
    }
    drop_missing(peers, members, count, swki_peers_now(peers));
    for (size_t i = 0; i < count && rc == SWK_OK; i++) {
        struct swki_peer *peer = swki_peers_find(peers, members[i].raft_id);

        if (members[i].raft_id == peers->config.raft_id) {
            continue;
        }
        if (peer != NULL) {
            rc = swki_peer_set_addresses(peer, &members[i])
                     ? SWK_OK
                     : swki_fail_nomem(err);
            continue;
        }
        rc = swki_peer_new(peers, &members[i], &peer, err);
        if (rc == SWK_OK) {
            insert(peers, peer);
        }
    }
    swki_peers_wake(peers);
    return rc;
}

bool swki_peers_active(const struct swki_peers *peers, uint64_t raft_id,
                       swk_time *out_since)
{
    const struct swki_peer *peer = swki_peers_find(peers, raft_id);

    if (peer == NULL || !peer->active) {
        return false;
    }
    if (out_since != NULL) {
        *out_since = peer->active_since;
    }
    return true;
}

size_t swki_peers_list_active(const struct swki_peers *peers, uint64_t *out_ids,
                              size_t size)
{
    size_t count = 0;

    for (struct swki_link *link = peers->members.next; link != &peers->members;
         link = link->next) {
        const struct swki_peer *peer =
            SWKI_CONTAINER(link, struct swki_peer, link);

        if (peer->active && count++ < size) {
            out_ids[count - 1] = peer->raft_id;
        }
    }
    return count;
}

int swki_peers_connect(struct swki_peers *peers, uint64_t raft_id,
                       struct swki_rpc_client_config *config,
                       struct swki_rpc_client **out_client,
                       struct swk_error *err)
{
    const struct swki_peer *peer = swki_peers_find(peers, raft_id);
    char address[SWKI_PEERS_ADDRESS_SIZE + 8];

    if (peer == NULL) {
        return swki_fail(err, SWK_ENOTFOUND, "no address of member %llx",
                         (unsigned long long)raft_id);
    }
    strcpy(address, "tcp://");
    strcat(address, peer->addresses[peer->address]);
    swki_peers_client_config(peers, config);
    config->address = address;
    config->node_id = peer->node_id;
    return swki_rpc_client_new(config, out_client, err);
}

/* -- Sending ----------------------------------------------------------------
 */

void swki_peers_send(struct swki_peers *peers,
                     const struct swk_raft_message *message)
{
    struct swki_peer *peer = swki_peers_find(peers, message->to);

    if (peer == NULL) {
        swki_peers_send_stray(peers, message);
    } else if (message->type == SWK_RAFT_MSG_SNAP) {
        swki_snapshot_send_start(peer, message);
    } else {
        swki_peer_send(peer, message);
    }
}

/* -- Turns ------------------------------------------------------------------
 */

/* Tells one thing of a member; false if there was nothing to tell. */
static bool tell_one(struct swki_peers *peers, struct swki_peer *peer)
{
    const struct swki_peers_config *config = &peers->config;
    uint64_t id = peer->raft_id;

    if (peer->told_active != peer->active) {
        peer->told_active = peer->active;
        if (config->active != NULL) {
            config->active(config->ctx, id, peer->told_active);
        }
    } else if (peer->vote != NULL && peer->active) {
        uint8_t *vote = peer->vote;

        peer->vote = NULL;
        swki_peers_deliver(peers, vote, peer->vote_len);
        swki_free(config->alloc, vote);
    } else if (peer->removed_due) {
        peer->removed_due = false;
        config->removed(config->ctx, id, SWKI_PEERS_REMOVED_TEXT);
    } else if (peer->snapshot_moved) {
        peer->snapshot_moved = false;
        config->snapshot_goes_on(config->ctx, id);
    } else if (peer->snapshot_due) {
        peer->snapshot_due = false;
        config->snapshot_sent(config->ctx, id, peer->snapshot_ok);
    } else if (peer->unreachable_due) {
        peer->unreachable_due = false;
        config->unreachable(config->ctx, id);
    } else {
        return false;
    }
    return true;
}

/* A callback may change the lists, so the walk begins anew after each; and it
 * may give cause for the next one, so an end is set to it. */
static void tell_list(struct swki_peers *peers, struct swki_link *list)
{
    struct swki_link *link = list->next;
    int told = 0;

    while (link != list && told < TELL_MAX) {
        struct swki_peer *peer = SWKI_CONTAINER(link, struct swki_peer, link);

        if (tell_one(peers, peer)) {
            link = list->next;
            told++;
        } else {
            link = link->next;
        }
    }
    if (told == TELL_MAX) {
        swki_peers_wake(peers);
    }
}

static void tell_others(struct swki_peers *peers)
{
    uint64_t lost = peers->lost_id;
    uint64_t by = peers->removed_by;

    peers->lost_id = 0;
    peers->removed_by = 0;
    if (lost != 0) {
        peers->config.unreachable(peers->config.ctx, lost);
    }
    if (by != 0) {
        peers->config.removed(peers->config.ctx, by, SWKI_PEERS_REMOVED_TEXT);
    }
}

static swk_time turn_list(struct swki_link *list, swk_time now)
{
    swk_time deadline = SWK_NEVER;
    struct swki_link *next;

    for (struct swki_link *link = list->next; link != list; link = next) {
        struct swki_peer *peer = SWKI_CONTAINER(link, struct swki_peer, link);
        swk_time at = swki_peer_turn(peer, now);

        next = link->next;
        deadline = at < deadline ? at : deadline;
    }
    return deadline;
}

/* Those that were told all. */
static void sweep(struct swki_peers *peers)
{
    struct swki_link *next;

    for (struct swki_link *link = peers->leaving.next; link != &peers->leaving;
         link = next) {
        struct swki_peer *peer = SWKI_CONTAINER(link, struct swki_peer, link);

        next = link->next;
        if (peer->gone) {
            swki_peer_free(peer);
        }
    }
}

static swk_time turn(void *ctx, swk_time now)
{
    struct swki_peers *peers = ctx;
    swk_time deadline = turn_list(&peers->members, now);
    swk_time leaving = turn_list(&peers->leaving, now);
    swk_time receive = swki_snapshot_receive_turn(peers, now);

    tell_list(peers, &peers->members);
    tell_list(peers, &peers->leaving);
    tell_others(peers);
    sweep(peers);
    deadline = leaving < deadline ? leaving : deadline;
    return receive < deadline ? receive : deadline;
}
