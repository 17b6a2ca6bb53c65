/* SPDX-License-Identifier: Apache-2.0 */

/* Single calls to managers that are not in the list: whether one serves, and a
 * message to a member that others know. */

#include "node/peers/peers_internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "health.pb-c.h"
#include "raft.pb-c.h"
#include "wire/message.h"

enum {
    CHECKS_MAX = 16, /* at a time */
    CHECK_SECONDS = 5,
    STRAY_SECONDS = 2, /* for each of its two calls */
};

struct swki_errand {
    struct swki_link link;
    struct swki_peers *peers;
    struct swki_rpc_client *client; /* its own; NULL while it asks a peer */
    bool answered;                  /* as was hoped for */
    struct swk_error err;

    swki_peers_checked_fn checked; /* of a check; NULL: a stray message */
    void *ctx;

    uint64_t raft_id; /* that the message is for */
    uint8_t *message;
    size_t message_len;
    const struct swki_peer *via; /* that is asked for the address, or NULL */
    char address[SWKI_PEERS_ADDRESS_SIZE];
};

static struct swki_errand *errand_new(struct swki_peers *peers)
{
    struct swki_errand *errand =
        swki_calloc(peers->config.alloc, 1, sizeof(*errand));

    if (errand != NULL) {
        errand->peers = peers;
        swki_list_append(&peers->errands, &errand->link);
    }
    return errand;
}

static void errand_free(struct swki_errand *errand)
{
    const struct swk_alloc *alloc = errand->peers->config.alloc;

    if (errand->peers->stray == errand) {
        errand->peers->stray = NULL;
    }
    swki_rpc_client_free(errand->client);
    swki_list_remove(&errand->link);
    swki_free(alloc, errand->message);
    swki_free(alloc, errand);
}

void swki_errands_free(struct swki_peers *peers)
{
    while (!swki_list_empty(&peers->errands)) {
        errand_free(
            SWKI_CONTAINER(peers->errands.next, struct swki_errand, link));
    }
}

/* Opens a connection of the errand's own. */
static int errand_connect(struct swki_errand *errand, const char *address,
                          const char *node_id, struct swk_error *err)
{
    struct swki_rpc_client_config config = {.ctx = errand, .node_id = node_id};
    char full[SWKI_PEERS_ADDRESS_SIZE + 8];

    if (strlen(address) >= SWKI_PEERS_ADDRESS_SIZE ||
        strrchr(address, ':') == NULL) {
        return swki_fail(err, SWK_EINVAL, "peers: invalid address");
    }
    strcpy(full, "tcp://");
    strcat(full, address);
    swki_peers_client_config(errand->peers, &config);
    config.address = full;
    return swki_rpc_client_new(&config, &errand->client, err);
}

static int errand_call(struct swki_errand *errand,
                       struct swki_rpc_client *client, const char *path,
                       const uint8_t *request, size_t len, swk_time timeout_ns,
                       const struct swki_rpc_client_call_events *how,
                       struct swk_error *err)
{
    struct swki_rpc_client_call_events events = *how;

    events.ctx = errand;
    events.call_id = ++errand->peers->last_call;
    return swki_rpc_client_call(client, path, request, len, timeout_ns, &events,
                                err);
}

/* -- Checks ----------------------------------------------------------------- */

static void on_check_message(void *ctx, uint64_t call_id, const uint8_t *data,
                             size_t len, swk_time now)
{
    struct swki_errand *errand = ctx;
    ProtobufCMessage *message = NULL;
    struct swki_arena arena;

    (void)call_id;
    (void)now;
    swki_arena_init(&arena, errand->peers->config.alloc,
                    swki_message_memory_max(len));
    if (swki_message_unpack(&swkpb__health_check_response__descriptor, data,
                            len, &arena, &message, NULL) == SWK_OK) {
        errand->answered =
            ((const Swkpb__HealthCheckResponse *)message)->status ==
            SWKPB__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    }
    swki_arena_fini(&arena);
}

static void on_check_ended(void *ctx, uint64_t call_id, int status,
                           const char *text, swk_time now)
{
    struct swki_errand *errand = ctx;
    swki_peers_checked_fn checked = errand->checked;
    void *checked_ctx = errand->ctx;
    struct swk_error err = {0};
    bool ok = status == SWKI_STATUS_OK && errand->answered;

    (void)call_id;
    (void)now;
    if (status != SWKI_STATUS_OK) {
        swki_fail(&err, swki_status_to_error(status), "%.200s", text);
    } else if (!ok) {
        swki_fail(&err, SWK_EUNAVAILABLE, "the manager does not serve");
    }
    errand->peers->checks_count--;
    errand_free(errand);
    checked(checked_ctx, ok, &err);
}

int swki_peers_check(struct swki_peers *peers, const char *address,
                     const char *node_id, swki_peers_checked_fn checked,
                     void *ctx, struct swk_error *err)
{
    static const uint8_t request[] = {1 << 3 | 2, 4, 'R', 'a', 'f', 't'};
    static const struct swki_rpc_client_call_events events = {
        .message = on_check_message, .ended = on_check_ended};
    struct swki_errand *errand;
    int rc;

    if (peers->checks_count >= CHECKS_MAX) {
        return swki_fail(err, SWK_ELIMIT, "too many managers are checked");
    }
    errand = errand_new(peers);
    if (errand == NULL) {
        return swki_fail_nomem(err);
    }
    errand->checked = checked;
    errand->ctx = ctx;
    rc = errand_connect(errand, address, node_id, err);
    if (rc == SWK_OK) {
        rc = errand_call(errand, errand->client, SWKI_PATH_HEALTH_CHECK,
                         request, sizeof(request), CHECK_SECONDS * SWK_SECOND,
                         &events, err);
    }
    if (rc != SWK_OK) {
        errand_free(errand);
        return rc;
    }
    peers->checks_count++;
    return SWK_OK;
}

/* -- Messages to unknown members -------------------------------------------- */

static void stray_lost(struct swki_errand *errand)
{
    errand->peers->lost_id = errand->raft_id;
    swki_peers_wake(errand->peers);
    errand_free(errand);
}

static void on_stray_message(void *ctx, uint64_t call_id, const uint8_t *data,
                             size_t len, swk_time now)
{
    (void)ctx;
    (void)call_id;
    (void)data;
    (void)len;
    (void)now;
}

static void on_stray_ended(void *ctx, uint64_t call_id, int status,
                           const char *text, swk_time now)
{
    struct swki_errand *errand = ctx;

    (void)call_id;
    (void)now;
    if (status == SWKI_STATUS_OK) {
        errand_free(errand);
        return;
    }
    if (swki_peer_says_removed(status, text)) {
        errand->peers->removed_by = errand->raft_id;
    }
    stray_lost(errand);
}

static void on_resolve_message(void *ctx, uint64_t call_id, const uint8_t *data,
                               size_t len, swk_time now)
{
    struct swki_errand *errand = ctx;
    ProtobufCMessage *message = NULL;
    struct swki_arena arena;

    (void)call_id;
    (void)now;
    swki_arena_init(&arena, errand->peers->config.alloc,
                    swki_message_memory_max(len));
    if (swki_message_unpack(&swkpb__resolve_address_response__descriptor, data,
                            len, &arena, &message, NULL) == SWK_OK) {
        const char *addr = ((Swkpb__ResolveAddressResponse *)message)->addr;

        if (strlen(addr) < sizeof(errand->address)) {
            strcpy(errand->address, addr);
        }
    }
    swki_arena_fini(&arena);
}

static void on_resolve_ended(void *ctx, uint64_t call_id, int status,
                             const char *text, swk_time now)
{
    static const struct swki_rpc_client_call_events events = {
        .message = on_stray_message, .ended = on_stray_ended};
    struct swki_errand *errand = ctx;
    struct swk_error err;

    (void)call_id;
    (void)text;
    (void)now;
    errand->via = NULL;
    if (status != SWKI_STATUS_OK ||
        errand_connect(errand, errand->address, NULL, &err) != SWK_OK ||
        errand_call(errand, errand->client, SWKI_PATH_RAFT_PROCESS_RAFT_MESSAGE,
                    errand->message, errand->message_len,
                    STRAY_SECONDS * SWK_SECOND, &events, &err) != SWK_OK) {
        stray_lost(errand);
    }
}

/* The one that has been active for longest knows most. */
static const struct swki_peer *whom_to_ask(const struct swki_peers *peers)
{
    const struct swki_peer *best = NULL;

    for (struct swki_link *link = peers->members.next; link != &peers->members;
         link = link->next) {
        const struct swki_peer *peer =
            SWKI_CONTAINER(link, struct swki_peer, link);

        if (peer->active &&
            (best == NULL || peer->active_since < best->active_since)) {
            best = peer;
        }
    }
    return best;
}

static bool keep_message(struct swki_errand *errand,
                         const struct swk_raft_message *message)
{
    const struct swki_buf *encoded = swki_peers_wrap(errand->peers, message);

    if (encoded == NULL || encoded->len > SWKI_RPC_REQUEST_MAX) {
        return false;
    }
    errand->message = swki_alloc(errand->peers->config.alloc, encoded->len);
    if (errand->message == NULL) {
        return false;
    }
    memcpy(errand->message, encoded->data, encoded->len);
    errand->message_len = encoded->len;
    return true;
}

static bool ask_address(struct swki_errand *errand)
{
    static const struct swki_rpc_client_call_events events = {
        .message = on_resolve_message, .ended = on_resolve_ended};
    Swkpb__ResolveAddressRequest request = SWKPB__RESOLVE_ADDRESS_REQUEST__INIT;
    struct swki_buf *out = &errand->peers->scratch;

    errand->via = whom_to_ask(errand->peers);
    request.raft_id = errand->raft_id;
    swki_buf_clear(out);
    return errand->via != NULL &&
           swki_message_pack(&request.base, out, NULL) == SWK_OK &&
           errand_call(errand, errand->via->client,
                       SWKI_PATH_RAFT_RESOLVE_ADDRESS, out->data, out->len,
                       STRAY_SECONDS * SWK_SECOND, &events, NULL) == SWK_OK;
}

void swki_peers_send_stray(struct swki_peers *peers,
                           const struct swk_raft_message *message)
{
    struct swki_errand *errand;

    if (peers->stray != NULL || message->type == SWK_RAFT_MSG_SNAP ||
        peers->config.is_removed(peers->config.ctx, message->to)) {
        peers->lost_id = message->to;
        swki_peers_wake(peers);
        return;
    }
    errand = errand_new(peers);
    if (errand == NULL) {
        return;
    }
    peers->stray = errand;
    errand->raft_id = message->to;
    if (!keep_message(errand, message) || !ask_address(errand)) {
        stray_lost(errand);
    }
}

void swki_errands_leave_peer(struct swki_peers *peers,
                             const struct swki_peer *peer)
{
    if (peers->stray != NULL && peers->stray->via == peer) {
        stray_lost(peers->stray); /* the call ends with the connection */
    }
}
