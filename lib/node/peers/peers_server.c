/* SPDX-License-Identifier: Apache-2.0 */

/* What other managers ask of this one: messages, addresses, health. */

#include "node/peers/peers_internal.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "health.pb-c.h"
#include "raft.pb-c.h"
#include "wire/message.h"

/* An answer without content. */
static void end_empty(struct swki_rpc_call *call)
{
    swki_rpc_call_send(call, (const uint8_t *)"", 0);
    swki_rpc_call_end(call, SWKI_STATUS_OK, "");
}

static bool is_path(const struct swki_rpc_call *call, const char *path)
{
    return strcmp(swki_rpc_call_info(call)->path, path) == 0;
}

static void reply(struct swki_peers *peers, struct swki_rpc_call *call,
                  const ProtobufCMessage *message)
{
    struct swki_buf *out = &peers->scratch;

    swki_buf_clear(out);
    if (swki_message_pack(message, out, NULL) != SWK_OK) {
        swki_rpc_call_end(call, SWKI_STATUS_RESOURCE_EXHAUSTED,
                          "out of memory");
        return;
    }
    swki_rpc_call_send(call, out->data, out->len);
    swki_rpc_call_end(call, SWKI_STATUS_OK, "");
}

/* -- Who may call -----------------------------------------------------------
 */

bool swki_peers_serves(const char *path)
{
    return strncmp(path, "/docker.swarmkit.v1.Raft/", 25) == 0 ||
           strcmp(path, SWKI_PATH_RAFT_STREAM_SNAPSHOT) == 0 ||
           strcmp(path, SWKI_PATH_HEALTH_CHECK) == 0;
}

/* Whether the caller is a manager of this swarm in good standing. */
static bool admit(const struct swki_peers *peers, struct swki_rpc_call *call)
{
    const struct swki_peers_config *config = &peers->config;
    const struct swki_rpc_call_info *info = swki_rpc_call_info(call);
    struct swk_error err = {0};

    if (info->local) {
        if (is_path(call, SWKI_PATH_HEALTH_CHECK)) {
            return true;
        }
        swki_rpc_call_end(call, SWKI_STATUS_UNIMPLEMENTED,
                          "this is not served through the control socket");
        return false;
    }
    if (!info->identified) {
        swki_fail(&err, SWK_EDENIED,
                  "Permission denied: no client certificates in request");
    } else if (info->peer.role != SWKI_ROLE_MANAGER) {
        swki_fail(&err, SWK_EDENIED,
                  "Permission denied: unauthorized peer role: remote "
                  "certificate not part of OUs: [swarm-manager]");
    } else if (strcmp(info->peer.swarm_id, peers->swarm_id) != 0) {
        swki_fail(&err, SWK_EDENIED,
                  "Permission denied: unauthorized peer role: remote "
                  "certificate not part of organization: %s",
                  peers->swarm_id);
    } else if (config->is_blacklisted != NULL &&
               config->is_blacklisted(config->ctx, info->peer.node_id)) {
        swki_fail(&err, SWK_EDENIED,
                  "Permission denied: node %s was removed from swarm",
                  info->peer.node_id);
    } else {
        return true;
    }
    if (config->refused != NULL) {
        config->refused(config->ctx, info, err.text);
    }
    swki_rpc_call_end(call, SWKI_STATUS_PERMISSION_DENIED, err.text);
    return false;
}

uint64_t swki_peers_generation(const struct swki_peers *peers)
{
    return peers->config.generation != NULL
               ? peers->config.generation(peers->config.ctx)
               : 0;
}

/* Whether the log is of the present: a member that it knows leads, or did so a
 * moment ago. */
static bool knows_who_leads(const struct swki_peers *peers, swk_time now)
{
    const struct swki_peers_config *config = &peers->config;

    if (config->leader == NULL) {
        return false;
    }
    return (config->raft_id != 0 &&
            config->leader(config->ctx) == config->raft_id) ||
           (peers->led &&
            now - peers->led_at < SWKI_PEERS_TRUST_SECONDS * SWK_SECOND);
}

static bool has_other_number(const struct swki_peers *peers,
                             const char *node_id)
{
    for (const struct swki_link *link = peers->members.next;
         link != &peers->members; link = link->next) {
        if (strcmp(SWKI_CONTAINER(link, struct swki_peer, link)->node_id,
                   node_id) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * Why a number that is not in the list may not be that of the node, or NULL.
 * It may be a manager that joined after this member's log ends, and leads: this
 * member must listen to it, whatever its log says of that node. So it does once
 * it hears no leader that it knows. Until then the number is made up by one
 * whose certificate is from before it was demoted, and good to its end.
 */
static const char *doubt(const struct swki_peers *peers, const char *node_id,
                         swk_time now)
{
    const struct swki_peers_config *config = &peers->config;

    if (!knows_who_leads(peers, now)) {
        return NULL;
    }
    if (has_other_number(peers, node_id)) {
        return "Permission denied: the sender is a member by another number";
    }
    if (config->is_no_manager != NULL &&
        config->is_no_manager(config->ctx, node_id)) {
        return "Permission denied: the sender is no member, and no manager "
               "any more";
    }
    return NULL;
}

enum swki_status swki_peers_check_sender(const struct swki_peers *peers,
                                         const struct swki_rpc_call_info *info,
                                         uint64_t raft_id, uint64_t generation,
                                         swk_time now, const char **out_text)
{
    const struct swki_peers_config *config = &peers->config;
    const struct swki_peer *peer = swki_peers_find(peers, raft_id);

    if (raft_id == 0 || raft_id == config->raft_id) {
        *out_text = "a raft message of no other member";
        return SWKI_STATUS_INVALID_ARGUMENT;
    }
    if (peer != NULL && strcmp(peer->node_id, info->peer.node_id) != 0) {
        *out_text = "Permission denied: the sender is another member";
        return SWKI_STATUS_PERMISSION_DENIED;
    }
    if (peer == NULL && config->is_removed(config->ctx, raft_id)) {
        *out_text = SWKI_PEERS_REMOVED_TEXT;
        return SWKI_STATUS_NOT_FOUND;
    }
    if (peer == NULL &&
        generation < swki_peers_generation(peers)) { /* R-BOO-6 */
        *out_text = "the group goes on without its members of before: wipe "
                    "this one and join it again";
        return SWKI_STATUS_FAILED_PRECONDITION;
    }
    *out_text = peer == NULL ? doubt(peers, info->peer.node_id, now) : NULL;
    return *out_text == NULL ? SWKI_STATUS_OK : SWKI_STATUS_PERMISSION_DENIED;
}

/* -- Messages ---------------------------------------------------------------
 */

static bool read_varint(const uint8_t **at, const uint8_t *end,
                        uint64_t *out_value)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out_value = value;
            return true;
        }
    }
    return false;
}

/*
 * Finds field 1 of a request, which is a message; it is borrowed from data, so
 * that entries are not copied on the way. Field 1000 may be before it. False if
 * the request is malformed, or has other fields, which no version of it has.
 */
static bool find_message(const uint8_t *data, size_t len,
                         const uint8_t **out_message, size_t *out_len,
                         uint64_t *out_generation)
{
    const uint8_t *at = data;
    const uint8_t *end = data + len;
    uint64_t tag = 0;
    uint64_t size = 0;

    *out_message = NULL;
    *out_len = 0;
    *out_generation = 0;
    if (len == 0) {
        return true;
    }
    if (!read_varint(&at, end, &tag)) {
        return false;
    }
    if (tag == SWKI_PEERS_GENERATION_TAG &&
        (!read_varint(&at, end, out_generation) ||
         !read_varint(&at, end, &tag))) {
        return false;
    }
    if (tag != SWKI_PEERS_MESSAGE_TAG || !read_varint(&at, end, &size) ||
        size != (uint64_t)(end - at)) {
        return false;
    }
    *out_message = at;
    *out_len = (size_t)size;
    return true;
}

static bool is_vote(const struct swk_raft_message *message)
{
    return message->type == SWK_RAFT_MSG_VOTE ||
           message->type == SWK_RAFT_MSG_PRE_VOTE;
}

void swki_peers_deliver(struct swki_peers *peers, const uint8_t *data,
                        size_t len)
{
    struct swk_raft_message message;

    if (swk_raft_message_decode(peers->decoder, data, len, &message, NULL) ==
        SWK_OK) {
        peers->config.received(peers->config.ctx, &message);
    }
}

/* Hands it over, and notes whether a member of the list leads by it. */
static void hear(struct swki_peers *peers,
                 const struct swk_raft_message *message, swk_time now)
{
    const struct swki_peers_config *config = &peers->config;

    config->received(config->ctx, message);
    if ((message->type == SWK_RAFT_MSG_APP ||
         message->type == SWK_RAFT_MSG_HEARTBEAT) &&
        config->leader != NULL &&
        config->leader(config->ctx) == message->from &&
        swki_peers_find(peers, message->from) != NULL) {
        peers->led = true;
        peers->led_at = now;
    }
}

/*
 * Whether a message may go on to the raft member. A vote is asked for only by a
 * member that can be answered: one that merely can send would make elections
 * that it cannot win.
 */
static bool accept(struct swki_peers *peers,
                   const struct swk_raft_message *message, const uint8_t *data,
                   size_t len, swk_time now)
{
    struct swki_peer *peer = swki_peers_find(peers, message->from);

    if (peer != NULL) {
        swki_peer_kick(peer, now);
    }
    if (peers->config.raft_id == 0 || message->to != peers->config.raft_id) {
        swki_log(peers->config.logger, SWK_LOG_DEBUG, "peers",
                 "a message for member %llx is ignored",
                 (unsigned long long)message->to);
        return false;
    }
    if (is_vote(message) && (peer == NULL || !peer->active)) {
        if (peer != NULL) {
            swki_peer_hold_vote(peer, data, len, now);
        }
        return false;
    }
    if (message->type == SWK_RAFT_MSG_PROP) {
        return false; /* only the leader's own code proposes */
    }
    if (message->type == SWK_RAFT_MSG_APP ||
        message->type == SWK_RAFT_MSG_HEARTBEAT) {
        swki_snapshot_receive_new_term(peers, message->from, message->term);
    }
    return true;
}

/* A request of either call that carries messages. False if the call was
 * ended. */
static bool take_message(struct swki_peers *peers, struct swki_rpc_call *call,
                         const uint8_t *data, size_t len, swk_time now)
{
    struct swk_raft_message message;
    const uint8_t *inner;
    size_t inner_len;
    uint64_t generation;
    const char *text = NULL;
    enum swki_status status;

    if (!find_message(data, len, &inner, &inner_len, &generation)) {
        text = "a malformed raft message";
        status = SWKI_STATUS_INVALID_ARGUMENT;
    } else if (inner == NULL) {
        return true; /* an empty one is ignored */
    } else if (swk_raft_message_decode(peers->decoder, inner, inner_len,
                                       &message, NULL) != SWK_OK) {
        text = "a malformed raft message";
        status = SWKI_STATUS_INVALID_ARGUMENT;
    } else if (message.type == SWK_RAFT_MSG_SNAP) {
        text = "a snapshot is sent with StreamSnapshot";
        status = SWKI_STATUS_INVALID_ARGUMENT;
    } else {
        status = swki_peers_check_sender(peers, swki_rpc_call_info(call),
                                         message.from, generation, now, &text);
    }
    if (text != NULL) {
        swki_rpc_call_end(call, (int)status, text);
        return false;
    }
    if (accept(peers, &message, inner, inner_len, now)) {
        hear(peers, &message, now);
    }
    return true;
}

/* -- Other calls ------------------------------------------------------------
 */

static void resolve_address(struct swki_peers *peers,
                            struct swki_rpc_call *call,
                            const Swkpb__ResolveAddressRequest *request)
{
    const struct swki_peer *peer = swki_peers_find(peers, request->raft_id);
    Swkpb__ResolveAddressResponse response =
        SWKPB__RESOLVE_ADDRESS_RESPONSE__INIT;

    if (peer == NULL) {
        swki_rpc_call_end(call, SWKI_STATUS_NOT_FOUND,
                          "no address of this member is known");
        return;
    }
    response.addr = peer->addresses[peer->address];
    reply(peers, call, &response.base);
}

static void check_health(struct swki_peers *peers, struct swki_rpc_call *call,
                         const Swkpb__HealthCheckRequest *request)
{
    const char *name = swki_rpc_call_info(call)->local ? "ControlAPI" : "Raft";
    Swkpb__HealthCheckResponse response = SWKPB__HEALTH_CHECK_RESPONSE__INIT;

    if (request->service[0] != '\0' && strcmp(request->service, name) != 0) {
        swki_rpc_call_end(call, SWKI_STATUS_NOT_FOUND, "unknown service");
        return;
    }
    response.status =
        peers->serving
            ? SWKPB__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
            : SWKPB__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
    reply(peers, call, &response.base);
}

/* A call with one request of a generated type. */
static void serve_unary(struct swki_peers *peers, struct swki_rpc_call *call,
                        const uint8_t *data, size_t len)
{
    bool health = is_path(call, SWKI_PATH_HEALTH_CHECK);
    ProtobufCMessage *request = NULL;
    struct swki_arena arena;

    swki_arena_init(&arena, peers->config.alloc, swki_message_memory_max(len));
    if (swki_message_unpack(health
                                ? &swkpb__health_check_request__descriptor
                                : &swkpb__resolve_address_request__descriptor,
                            data, len, &arena, &request, NULL) != SWK_OK) {
        swki_rpc_call_end(call, SWKI_STATUS_INVALID_ARGUMENT,
                          "a malformed request");
    } else if (health) {
        check_health(peers, call, (const Swkpb__HealthCheckRequest *)request);
    } else {
        resolve_address(peers, call,
                        (const Swkpb__ResolveAddressRequest *)request);
    }
    swki_arena_fini(&arena);
}

/* -- The handler ------------------------------------------------------------
 */

static void on_request(void *ctx, struct swki_rpc_call *call,
                       const uint8_t *data, size_t len, swk_time now)
{
    struct swki_peers *peers = ctx;

    if (!admit(peers, call)) {
        return;
    }
    if (is_path(call, SWKI_PATH_RAFT_STREAM_RAFT_MESSAGE)) {
        take_message(peers, call, data, len, now);
    } else if (is_path(call, SWKI_PATH_RAFT_PROCESS_RAFT_MESSAGE)) {
        if (take_message(peers, call, data, len, now)) {
            end_empty(call);
        }
    } else if (is_path(call, SWKI_PATH_RAFT_STREAM_SNAPSHOT)) {
        swki_snapshot_receive_request(peers, call, data, len, now);
    } else if (is_path(call, SWKI_PATH_RAFT_RESOLVE_ADDRESS) ||
               is_path(call, SWKI_PATH_HEALTH_CHECK)) {
        serve_unary(peers, call, data, len);
    } else {
        swki_rpc_call_end(call, SWKI_STATUS_UNIMPLEMENTED, "unknown method");
    }
}

static void on_message(void *ctx, struct swki_rpc_call *call,
                       const uint8_t *data, size_t len, swk_time now)
{
    struct swki_peers *peers = ctx;

    if (is_path(call, SWKI_PATH_RAFT_STREAM_RAFT_MESSAGE)) {
        take_message(peers, call, data, len, now);
    } else if (is_path(call, SWKI_PATH_RAFT_STREAM_SNAPSHOT)) {
        swki_snapshot_receive_request(peers, call, data, len, now);
    } else {
        swki_rpc_call_end(call, SWKI_STATUS_UNIMPLEMENTED,
                          "more than one request in a call");
    }
}

static void on_finished(void *ctx, struct swki_rpc_call *call, swk_time now)
{
    (void)now;
    if (is_path(call, SWKI_PATH_RAFT_STREAM_RAFT_MESSAGE)) {
        end_empty(call);
    } else if (is_path(call, SWKI_PATH_RAFT_STREAM_SNAPSHOT)) {
        swki_snapshot_receive_finished(ctx, call);
    }
}

static void on_closed(void *ctx, struct swki_rpc_call *call, swk_time now)
{
    (void)now;
    swki_snapshot_receive_closed(ctx, call);
}

struct swki_rpc_handler swki_peers_handler(struct swki_peers *peers)
{
    return (struct swki_rpc_handler){
        .ctx = peers,
        .request = on_request,
        .message = on_message,
        .finished = on_finished,
        .closed = on_closed,
    };
}
