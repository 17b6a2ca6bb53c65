/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who is let in, how many of whom, and whose handshake is next.
 *
 * A connection is young until its client has greeted; then it is a stranger's,
 * who showed no certificate, or a node's. Of each kind there is room for so
 * many, in all and of one party: an address for the first two, a node for the
 * others. When it is full the oldest one goes, not the newest: an honest client
 * is done with its handshake, or with joining, in a moment, and who holds a
 * connection without using it loses it first. But who has waited for its turn
 * to shake hands, or has just got it, does not give way to a newcomer.
 *
 * Handshakes wait at a gate, where addresses take turns. It spares the
 * processor when many come at once; who says nothing needs none, and must not
 * keep others out.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "node/rpc/server_internal.h"

enum {
    GATE_MS = 100,   /* then a handshake waits for its peer, not for us */
    GRACE_MS = 1000, /* for a handshake, before it makes room for others */
};

/* -- Parties ----------------------------------------------------------------
 */

static struct swki_rpc_party *party_of(struct swki_rpc_server *server,
                                       struct swki_map *map, const char *name)
{
    struct swki_rpc_party *party = swki_map_get(map, name);

    if (party != NULL) {
        return party;
    }
    party = swki_calloc(server->config.alloc, 1, sizeof(*party));
    if (party == NULL) {
        return NULL;
    }
    snprintf(party->name, sizeof(party->name), "%s", name);
    swki_list_init(&party->waiting);
    swki_list_init(&party->turn_link);
    for (int i = 0; i < SWKI_RPC_KINDS; i++) {
        swki_list_init(&party->crowds[i].members);
    }
    if (!swki_map_put(map, party->name, party)) {
        swki_free(server->config.alloc, party);
        return NULL;
    }
    return party;
}

static void leave_party(struct swki_rpc_server *server, struct swki_map *map,
                        struct swki_rpc_party *party)
{
    if (party != NULL && --party->count == 0) {
        swki_list_remove(&party->turn_link);
        swki_map_remove(map, party->name);
        swki_free(server->config.alloc, party);
    }
}

/* The address without its port; of one of IPv6 the network, all of which one
 * client may have. */
static void host_name(const char *address, char *out_name, size_t size)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - address);
    struct in6_addr host;

    snprintf(out_name, size, "%.*s", (int)len, address);
    if (len < 2 || out_name[0] != '[' || len >= size) {
        return;
    }
    out_name[len - 1] = '\0'; /* the bracket */
    if (inet_pton(AF_INET6, out_name + 1, &host) == 1 &&
        !IN6_IS_ADDR_V4MAPPED(&host)) {
        memset(host.s6_addr + 8, 0, 8);
        inet_ntop(AF_INET6, &host, out_name, (socklen_t)size);
    }
}

static bool may_use_socket(const struct swki_rpc_server_config *config,
                           const struct swk_stream_peer *peer)
{
    for (size_t i = 0; i < config->local_users_count; i++) {
        if (peer->uid >= 0 && peer->uid == config->local_users[i]) {
            return true;
        }
    }
    return peer->uid == 0 || peer->uid == (int64_t)geteuid();
}

/* A user is a party like an address; it has no turns, as it needs no
 * handshake. */
static const char *admit_user(struct swki_rpc_server *server,
                              const struct swk_stream_peer *peer,
                              struct swki_rpc_party **out_host)
{
    const struct swki_rpc_server_config *config = &server->config;
    struct swki_rpc_party *user;
    char name[32];

    if (!may_use_socket(config, peer)) {
        return "the control socket is for its owner only";
    }
    if (config->connections_per_user_max == 0) {
        return NULL;
    }
    if (server->connections_count >= config->connections_max) {
        return "too many connections";
    }
    snprintf(name, sizeof(name), "user %lld", (long long)peer->uid);
    user = party_of(server, &server->hosts, name);
    if (user == NULL) {
        return "out of memory";
    }
    if (user->count >= config->connections_per_user_max) {
        return "too many connections of one user";
    }
    user->count++;
    *out_host = user;
    return NULL;
}

const char *swki_rpc_gate_admit(struct swki_rpc_server *server, bool local,
                                const struct swk_stream_peer *peer,
                                struct swki_rpc_party **out_host)
{
    const struct swki_rpc_server_config *config = &server->config;
    char name[sizeof((*out_host)->name)];
    struct swki_rpc_party *host;

    *out_host = NULL;
    if (local) {
        return admit_user(server, peer, out_host);
    }
    if (server->connections_count >= config->connections_max) {
        return "too many connections";
    }
    host_name(peer->address, name, sizeof(name));
    host = party_of(server, &server->hosts, name);
    if (host == NULL) {
        return "out of memory";
    }
    if (host->count >= config->connections_per_address_max) {
        return "too many connections from one address";
    }
    host->count++;
    *out_host = host;
    return NULL;
}

void swki_rpc_gate_release(struct swki_rpc_server *server,
                           struct swki_rpc_party *host)
{
    leave_party(server, &server->hosts, host);
}

/* -- Kinds ------------------------------------------------------------------
 */

static void join_crowd(struct swki_rpc_crowd *crowd, struct swki_link *link)
{
    swki_list_append(&crowd->members, link);
    crowd->count++;
}

static void leave_kind(struct swki_rpc_server_connection *c)
{
    struct swki_rpc_server *server = c->server;
    int kind = (int)c->kind;

    if (c->kind == SWKI_RPC_KINDS) {
        return;
    }
    swki_list_remove(&c->kind_link);
    server->crowds[kind].count--;
    swki_list_remove(&c->party_link);
    c->party->crowds[kind].count--;
    if (c->kind == SWKI_RPC_WORKER || c->kind == SWKI_RPC_MANAGER) {
        leave_party(server, &server->nodes, c->party);
    }
    c->party = NULL;
    c->kind = SWKI_RPC_KINDS;
}

/* Whether it had its time and did not use it. */
static bool is_idle(const struct swki_rpc_server_connection *c)
{
    swk_time now = swki_loop_now(c->server->config.loop);

    return c->kind != SWKI_RPC_YOUNG ||
           (c->gate_until != 0 &&
            now >= c->gate_until + (GRACE_MS - GATE_MS) * SWK_MILLISECOND);
}

/* The oldest makes room for the newest, or the newest is turned away. */
static void make_room(struct swki_rpc_server_connection *oldest,
                      struct swki_rpc_server_connection *newest)
{
    struct swki_rpc_server_connection *c = is_idle(oldest) ? oldest : newest;

    swki_log(c->server->config.logger, SWK_LOG_DEBUG, "rpc",
             "connection of %s gives way to another",
             c->identified ? c->peer.node_id : c->address);
    swki_rpc_server_doom(c); /* leaves its kind */
}

static void become(struct swki_rpc_server_connection *c,
                   enum swki_rpc_kind kind, struct swki_rpc_party *party)
{
    const struct swki_rpc_room *room = &c->server->config.rooms[kind];
    struct swki_rpc_crowd *all = &c->server->crowds[kind];
    struct swki_rpc_crowd *some = &party->crowds[kind];

    leave_kind(c);
    c->kind = kind;
    c->party = party;
    join_crowd(all, &c->kind_link);
    join_crowd(some, &c->party_link);
    if (some->count > room->per_party) {
        make_room(SWKI_CONTAINER(some->members.next,
                                 struct swki_rpc_server_connection, party_link),
                  c);
    } else if (all->count > room->in_all) {
        make_room(SWKI_CONTAINER(all->members.next,
                                 struct swki_rpc_server_connection, kind_link),
                  c);
    }
}

void swki_rpc_gate_greeted(struct swki_rpc_server_connection *c)
{
    struct swki_rpc_server *server = c->server;
    struct swki_rpc_party *node;

    if (c->local) {
        return;
    }
    if (!c->identified) {
        become(c, SWKI_RPC_STRANGER, c->host);
        return;
    }
    node = party_of(server, &server->nodes, c->peer.node_id);
    if (node == NULL) {
        swki_rpc_server_doom(c);
        return;
    }
    node->count++;
    become(c,
           c->peer.role == SWKI_ROLE_MANAGER ? SWKI_RPC_MANAGER
                                             : SWKI_RPC_WORKER,
           node);
}

/* -- The gate ---------------------------------------------------------------
 */

static struct swki_rpc_server_connection *
first_gated(const struct swki_rpc_server *server)
{
    return SWKI_CONTAINER(server->gated.next, struct swki_rpc_server_connection,
                          gate_link);
}

/* Of the address whose turn it is; NULL if none waits. */
static struct swki_rpc_server_connection *
next_waiting(struct swki_rpc_server *server)
{
    struct swki_rpc_server_connection *c = NULL;

    while (c == NULL && !swki_list_empty(&server->turns)) {
        struct swki_rpc_party *host = SWKI_CONTAINER(
            server->turns.next, struct swki_rpc_party, turn_link);

        swki_list_remove(&host->turn_link);
        if (!swki_list_empty(&host->waiting)) {
            c = SWKI_CONTAINER(host->waiting.next,
                               struct swki_rpc_server_connection, gate_link);
            swki_list_remove(&c->gate_link);
        }
        if (!swki_list_empty(&host->waiting)) {
            swki_list_append(&server->turns, &host->turn_link);
        }
    }
    return c;
}

static void ungate(struct swki_rpc_server_connection *c)
{
    swki_list_remove(&c->gate_link);
    if (c->gated) {
        c->gated = false;
        c->server->handshakes--;
    }
}

void swki_rpc_gate_open(struct swki_rpc_server *server, swk_time now)
{
    struct swki_rpc_server_connection *c;

    while (!swki_list_empty(&server->gated) &&
           now >= first_gated(server)->gate_until) {
        ungate(first_gated(server));
    }
    while (server->handshakes < server->config.handshakes_max &&
           (c = next_waiting(server)) != NULL) {
        swki_list_append(&server->gated, &c->gate_link);
        c->gated = true;
        c->gate_until = now + GATE_MS * SWK_MILLISECOND;
        server->handshakes++;
        swki_rpc_link_start(c->io);
    }
}

void swki_rpc_gate_enter(struct swki_rpc_server_connection *c)
{
    struct swki_rpc_server *server = c->server;

    become(c, SWKI_RPC_YOUNG, c->host);
    if (c->doomed) {
        return;
    }
    swki_list_append(&c->host->waiting, &c->gate_link);
    if (swki_list_empty(&c->host->turn_link)) {
        swki_list_append(&server->turns, &c->host->turn_link);
    }
}

void swki_rpc_gate_ready(struct swki_rpc_server_connection *c, swk_time now)
{
    ungate(c);
    swki_rpc_gate_open(c->server, now);
}

void swki_rpc_gate_leave(struct swki_rpc_server_connection *c)
{
    ungate(c);
    leave_kind(c);
}

swk_time swki_rpc_gate_deadline(const struct swki_rpc_server *server)
{
    return swki_list_empty(&server->turns) || swki_list_empty(&server->gated)
               ? SWK_NEVER
               : first_gated(server)->gate_until;
}
