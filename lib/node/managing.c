/* SPDX-License-Identifier: Apache-2.0 */

#include "node/managing.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <swarmkit/file_storage.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "node/forward.h"
#include "node/front.h"
#include "node/peers.h"
#include "raft.pb-c.h"
#include "wire/message.h"

/* A promoted node may have to wait until the one before it is a voter. */
#define JOIN_TIMEOUT (25 * SWK_SECOND)
#define JOIN_PAUSE_MIN (500 * SWK_MILLISECOND)
#define JOIN_PAUSE_MAX (8 * SWK_SECOND)

static const char no_swarm[] =
    "this node has an identity, but its log holds no swarm: restore the log "
    "from a backup, name another manager to join, or remove the state "
    "directory to start anew";

enum {
    PATH_SIZE = 4096,
    ADDRESS_SIZE = SWKI_REMOTE_ADDRESS_SIZE,
    JOIN_MEMORY = 1 << 20,
};

/* What the storage's thread told, on its way to the loop. */
struct stored {
    struct swki_message message;
    pthread_mutex_t lock; /* of all below */
    bool posted;
    uint64_t ticket;
    int code;
    struct swk_error err;
};

/* How this manager becomes a member. */
struct joining {
    bool wanted;
    struct swki_ask *ask; /* under way, or NULL */
    swk_time due;
    swk_time pause;
};

struct swki_managing {
    struct swki_managing_config config;
    char advertised[ADDRESS_SIZE];
    bool address_known; /* not only for this machine */
    int port;
    struct swki_loop_member member;
    struct stored stored;
    struct swk_storage storage;
    bool storage_open;
    struct swki_tls_context *server_context;
    struct swki_tls_context *client_context;
    struct swki_front *front;
    struct swki_peers *peers;
    struct swki_forward *forward;
    struct swki_rpc_server *server;
    struct swki_manager *manager;
    struct joining joining;
    uint64_t members_version; /* that the peers know */
    uint64_t leader;          /* that the forwarder knows */
};

static const struct swk_logger *logger_of(const struct swki_managing *m)
{
    return m->config.asker.logger;
}

/* -- Storage -------------------------------------------------------------- */

static void take_stored(struct swki_message *message, swk_time now)
{
    struct stored *stored = SWKI_CONTAINER(message, struct stored, message);
    struct swki_managing *m =
        SWKI_CONTAINER(stored, struct swki_managing, stored);
    struct swk_error err;
    uint64_t ticket;
    int code;

    (void)now;
    pthread_mutex_lock(&stored->lock);
    stored->posted = false;
    ticket = stored->ticket;
    code = stored->code;
    err = stored->err;
    pthread_mutex_unlock(&stored->lock);
    if (m->manager != NULL) {
        swki_manager_stored(m->manager, ticket, code, &err);
    }
}

/* On the storage's thread. Only the last ticket counts, and the first
 * failure. */
static void storage_done(void *ctx, uint64_t ticket, int code,
                         const struct swk_error *err)
{
    struct swki_managing *m = ctx;
    struct stored *stored = &m->stored;
    bool post;

    pthread_mutex_lock(&stored->lock);
    if (stored->code == 0) {
        stored->ticket = ticket;
        stored->code = code;
        if (code != 0) {
            stored->err = *err;
        }
    }
    post = !stored->posted;
    stored->posted = true;
    pthread_mutex_unlock(&stored->lock);
    if (post) {
        swki_loop_post(m->config.asker.loop, &stored->message);
    }
}

static void log_path(const char *state_dir, char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, "%s/raft", state_dir);
}

static int open_storage(struct swki_managing *m, struct swk_error *err)
{
    char path[PATH_SIZE];
    struct swk_file_storage_config config = {.size = sizeof(config)};
    int rc;

    log_path(m->config.state_dir, path);
    config.dir = path;
    config.alloc = m->config.asker.alloc;
    config.logger = logger_of(m);
    config.done = storage_done;
    config.done_ctx = m;
    rc = swk_file_storage_open(&config, &m->storage, err);
    m->storage_open = rc == 0;
    return rc;
}

int swki_managing_clear(const char *state_dir, struct swk_error *err)
{
    char path[PATH_SIZE];
    char name[PATH_SIZE + 256];
    struct dirent *entry;
    DIR *dir;
    int rc = SWK_OK;

    log_path(state_dir, path);
    dir = opendir(path);
    if (dir == NULL) {
        return errno == ENOENT ? SWK_OK
                               : swki_fail(err, SWK_EIO, "%s: %s", path,
                                           strerror(errno));
    }
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (unlink(name) != 0) {
            rc = swki_fail(err, SWK_EIO, "%s: %s", name, strerror(errno));
        }
    }
    closedir(dir);
    return rc;
}

/* -- Addresses ------------------------------------------------------------ */

static bool is_wildcard(const char *host, size_t len)
{
    static const char *const wildcards[] = {"", "0.0.0.0", "[::]", "*"};

    for (size_t i = 0; i < sizeof(wildcards) / sizeof(wildcards[0]); i++) {
        if (strlen(wildcards[i]) == len &&
            strncmp(host, wildcards[i], len) == 0) {
            return true;
        }
    }
    return false;
}

/* "host:port" of which nodes are told, from the flags and the bound port. */
static int set_advertised(struct swki_managing *m, struct swk_error *err)
{
    const char *address = m->config.advertise_address != NULL
                              ? m->config.advertise_address
                              : m->config.listen_address;
    const char *colon = strrchr(address, ':');
    bool has_port = colon != NULL && strchr(colon, ']') == NULL;
    size_t host_len = has_port ? (size_t)(colon - address) : strlen(address);
    int port = has_port ? atoi(colon + 1) : 0;

    if (port == 0) {
        port = m->port;
    }
    if (is_wildcard(address, host_len)) {
        swki_log(logger_of(m), SWK_LOG_WARN, "manager",
                 "nodes on other machines cannot reach %s: name an address to "
                 "advertise",
                 address);
        snprintf(m->advertised, sizeof(m->advertised), "127.0.0.1:%d", port);
    } else if (host_len + 8 > sizeof(m->advertised)) {
        return swki_fail(err, SWK_EINVAL, "advertised address is too long");
    } else {
        snprintf(m->advertised, sizeof(m->advertised), "%.*s:%d",
                 (int)host_len, address, port);
        m->address_known = true;
    }
    return SWK_OK;
}

static int make_context(struct swki_managing *m, enum swki_tls_side side,
                        struct swki_tls_context **context,
                        struct swk_error *err)
{
    const struct swki_asker *asker = &m->config.asker;
    struct swki_tls_context *made;
    int rc = swki_credentials_tls(asker->credentials, side, asker->alloc,
                                  asker->clock, asker->entropy, &made, err);

    if (rc == 0) {
        swki_tls_context_unref(*context);
        *context = made;
    }
    return rc;
}

static int make_contexts(struct swki_managing *m, struct swk_error *err)
{
    int rc = make_context(m, SWKI_TLS_SERVER, &m->server_context, err);

    return rc != 0 ? rc
                   : make_context(m, SWKI_TLS_CLIENT, &m->client_context, err);
}

int swki_managing_renewed(struct swki_managing *m, struct swk_error *err)
{
    int rc = make_contexts(m, err);

    if (rc == 0) {
        swki_rpc_server_set_context(m->server, m->server_context);
        swki_peers_set_context(m->peers, m->client_context);
    }
    return rc;
}

static int listen_all(struct swki_managing *m, struct swk_error *err)
{
    const struct swki_asker *asker = &m->config.asker;
    const struct swki_rpc_server_config config = {
        .alloc = asker->alloc,
        .logger = asker->logger,
        .clock = asker->clock,
        .transport = asker->transport,
        .loop = asker->loop,
        .handler = swki_front_handler(m->front),
    };
    char address[ADDRESS_SIZE];
    int rc = swki_rpc_server_new(&config, &m->server, err);

    if (rc == 0) {
        snprintf(address, sizeof(address), "tcp://%s",
                 m->config.listen_address);
        rc = swki_rpc_server_listen(m->server, address, m->server_context,
                                    &m->port, err);
    }
    if (rc == 0 && m->config.control_path != NULL) {
        rc = swki_rpc_server_listen_local(m->server, m->config.control_path,
                                          err);
    }
    return rc != 0 ? rc : set_advertised(m, err);
}

/* -- Other managers ------------------------------------------------------- */

static void peer_received(void *ctx, const struct swk_raft_message *message)
{
    struct swki_managing *m = ctx;

    swki_manager_receive(m->manager, swki_loop_now(m->config.asker.loop),
                         message);
    swki_loop_wake(m->config.asker.loop);
}

static void peer_unreachable(void *ctx, uint64_t raft_id)
{
    struct swki_managing *m = ctx;

    swki_manager_unreachable(m->manager, raft_id);
    swki_loop_wake(m->config.asker.loop);
}

static void peer_snapshot_goes_on(void *ctx, uint64_t raft_id)
{
    struct swki_managing *m = ctx;

    swki_manager_snapshot_goes_on(m->manager, raft_id);
}

static void peer_snapshot_sent(void *ctx, uint64_t raft_id, bool ok)
{
    struct swki_managing *m = ctx;

    swki_manager_snapshot_sent(m->manager, raft_id, ok);
    swki_loop_wake(m->config.asker.loop);
}

static void peer_active(void *ctx, uint64_t raft_id, bool active)
{
    struct swki_managing *m = ctx;

    swki_manager_reachable(m->manager, raft_id, active);
    swki_loop_wake(m->config.asker.loop);
}

static void peer_removed(void *ctx, uint64_t by_raft_id, const char *text)
{
    struct swki_managing *m = ctx;

    swki_log(logger_of(m), SWK_LOG_WARN, "manager", "member %" PRIx64 ": %s",
             by_raft_id, text);
    swki_manager_told_removed(m->manager, by_raft_id);
    swki_loop_wake(m->config.asker.loop);
}

static bool peer_is_removed(void *ctx, uint64_t raft_id)
{
    struct swki_managing *m = ctx;

    return m->manager != NULL &&
           swki_membership_is_removed(swki_manager_membership(m->manager),
                                      raft_id);
}

static int make_peers(struct swki_managing *m, struct swk_error *err)
{
    const struct swki_asker *asker = &m->config.asker;
    const struct swki_identity *identity = &asker->credentials->identity;
    const struct swki_peers_config config = {
        .alloc = asker->alloc,
        .logger = asker->logger,
        .clock = asker->clock,
        .transport = asker->transport,
        .loop = asker->loop,
        .storage = &m->storage,
        .node_id = identity->node_id,
        .swarm_id = identity->swarm_id,
        .context = m->client_context,
        .ctx = m,
        .received = peer_received,
        .unreachable = peer_unreachable,
        .snapshot_goes_on = peer_snapshot_goes_on,
        .snapshot_sent = peer_snapshot_sent,
        .active = peer_active,
        .removed = peer_removed,
        .is_removed = peer_is_removed,
    };

    return swki_peers_new(&config, &m->peers, err);
}

static int forward_connect(void *ctx, uint64_t raft_id,
                           struct swki_rpc_client_config *config,
                           struct swki_rpc_client **out_client,
                           struct swk_error *err)
{
    struct swki_managing *m = ctx;

    return swki_peers_connect(m->peers, raft_id, config, out_client, err);
}

static void forward_serve_here(void *ctx, struct swki_rpc_call *call,
                               const uint8_t *data, size_t len, swk_time now)
{
    struct swki_managing *m = ctx;

    swki_front_serve(m->front, call, data, len, now);
}

static int make_front(struct swki_managing *m, struct swk_error *err)
{
    const struct swki_asker *asker = &m->config.asker;
    const struct swki_identity *identity = &asker->credentials->identity;
    struct swki_forward_config forward = {
        .alloc = asker->alloc,
        .logger = asker->logger,
        .clock = asker->clock,
        .loop = asker->loop,
        .node_id = identity->node_id,
        .swarm_id = identity->swarm_id,
        .ctx = m,
        .connect = forward_connect,
        .serve_here = forward_serve_here,
    };
    int rc = swki_front_new(asker->alloc, asker->loop, &m->front, err);

    if (rc == 0) {
        rc = swki_forward_new(&forward, &m->forward, err);
    }
    if (rc == 0) {
        swki_front_set_peers(m->front, m->peers);
        swki_front_set_forward(m->front, m->forward);
    }
    return rc;
}

/* Tells the peers who the members are, once that has changed. */
static void update_members(struct swki_managing *m)
{
    const struct swki_membership *membership =
        swki_manager_membership(m->manager);
    struct swki_peers_member members[SWKI_MEMBERS_MAX];
    size_t count = swki_membership_count(membership);
    struct swk_error err;

    if (m->members_version == swki_membership_version(membership) ||
        count == 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct swki_member *member = swki_membership_at(membership, i);

        members[i] = (struct swki_peers_member){
            .raft_id = member->raft_id,
            .node_id = member->node_id,
            .addresses = member->addresses,
            .addresses_count = member->addresses_count,
        };
    }
    if (swki_peers_set(m->peers, members, count, &err) == 0) {
        m->members_version = swki_membership_version(membership);
        /* Some were reached before the log told of them. */
        for (size_t i = 0; i < count; i++) {
            swki_manager_reachable(
                m->manager, members[i].raft_id,
                swki_peers_active(m->peers, members[i].raft_id, NULL));
        }
    } else {
        swki_log(logger_of(m), SWK_LOG_WARN, "manager",
                 "members not connected to: %s", err.text);
    }
}

/* The managers are those to ask next time, and after a restart. */
static void update_remotes(struct swki_managing *m)
{
    const struct swki_membership *membership =
        swki_manager_membership(m->manager);
    struct swki_remotes remotes = {0};
    struct swk_error err;

    for (size_t i = 0; i < swki_membership_count(membership); i++) {
        const struct swki_member *member = swki_membership_at(membership, i);

        if (member->addresses_count > 0) {
            (void)swki_remotes_add(&remotes, member->node_id,
                                   swki_member_address(member), NULL);
        }
    }
    if (remotes.count == 0) {
        return;
    }
    *m->config.asker.remotes = remotes;
    if (swki_remotes_save(&remotes, m->config.state_dir, &err) != 0) {
        swki_log(logger_of(m), SWK_LOG_WARN, "manager",
                 "managers not remembered: %s", err.text);
    }
}

static void note_members(struct swki_managing *m)
{
    uint64_t before = m->members_version;

    update_members(m);
    if (m->members_version != before) {
        update_remotes(m);
    }
}

static void note_leader(struct swki_managing *m, swk_time now)
{
    uint64_t own = swki_manager_raft_id(m->manager);
    uint64_t leader = swki_manager_leader(m->manager);

    if (leader == own && !swki_manager_leads(m->manager)) {
        leader = 0; /* it has yet to catch up with its own log */
    }
    if (leader != m->leader) {
        m->leader = leader;
        swki_forward_set_leader(m->forward, leader, own, now);
    }
}

/* -- Joining -------------------------------------------------------------- */

static void join_later(struct swki_managing *m, const char *why, swk_time now)
{
    struct joining *joining = &m->joining;

    swki_log(logger_of(m), SWK_LOG_WARN, "manager",
             "not a member of the managers' group yet: %s", why);
    joining->due = now + joining->pause;
    joining->pause = joining->pause * 2 < JOIN_PAUSE_MAX ? joining->pause * 2
                                                         : JOIN_PAUSE_MAX;
    swki_loop_wake(m->config.asker.loop);
}

/* Those that the leader named, until the log tells. */
static int take_members(struct swki_managing *m,
                        const Swkpb__JoinResponse *response,
                        struct swk_error *err)
{
    struct swki_peers_member members[SWKI_MEMBERS_MAX];
    const char *addresses[SWKI_MEMBERS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < response->n_members && count < SWKI_MEMBERS_MAX;
         i++) {
        const Swkpb__RaftMember *member = response->members[i];

        addresses[count] = member->addr;
        members[count] = (struct swki_peers_member){
            .raft_id = member->raft_id,
            .node_id = member->node_id,
            .addresses = &addresses[count],
            .addresses_count = 1,
        };
        count++;
    }
    return swki_peers_set(m->peers, members, count, err);
}

static int take_join(struct swki_managing *m,
                     const Swkpb__JoinResponse *response, struct swk_error *err)
{
    uint64_t own = swki_manager_raft_id(m->manager);
    int rc;

    if (response->raft_id == 0) {
        return swki_fail(err, SWK_EMALFORMED, "the leader gave no number");
    }
    if (own == response->raft_id) {
        return SWK_OK; /* a member still, maybe under a new address */
    }
    if (own != 0) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "this manager's log is that of another member");
    }
    swki_peers_set_id(m->peers, response->raft_id);
    rc = take_members(m, response, err);
    if (rc == 0) {
        rc = swki_manager_join(m->manager, response->raft_id, err);
    }
    if (rc == 0) {
        swki_log(logger_of(m), SWK_LOG_INFO, "manager",
                 "joined the managers' group as member %" PRIx64,
                 response->raft_id);
    }
    return rc;
}

static void told_join(void *ctx, const struct swk_error *failure,
                      const uint8_t *data, size_t len, swk_time now)
{
    struct swki_managing *m = ctx;
    struct swk_error err = *failure;
    ProtobufCMessage *message;
    struct swki_arena arena;
    int rc = failure->code;

    swki_arena_init(&arena, m->config.asker.alloc, JOIN_MEMORY);
    if (rc == 0) {
        rc = swki_message_unpack(&swkpb__join_response__descriptor, data, len,
                                 &arena, &message, &err);
    }
    if (rc == 0) {
        rc = take_join(m, (const Swkpb__JoinResponse *)message, &err);
    }
    swki_arena_fini(&arena);
    swki_ask_free(m->joining.ask);
    m->joining.ask = NULL;
    m->joining.wanted = rc != 0;
    if (rc != 0) {
        join_later(m, err.text, now);
    }
    swki_loop_wake(m->config.asker.loop);
}

static void ask_to_join(struct swki_managing *m, swk_time now)
{
    Swkpb__JoinRequest request = SWKPB__JOIN_REQUEST__INIT;
    struct joining *joining = &m->joining;
    char unspecified[ADDRESS_SIZE];
    struct swk_error err;

    joining->due = SWK_NEVER;
    /* The leader puts the host in that the call comes from. */
    snprintf(unspecified, sizeof(unspecified), "0.0.0.0:%d", m->port);
    request.addr = m->address_known ? m->advertised : unspecified;
    request.empty_log = swki_manager_raft_id(m->manager) == 0;
    if (swki_ask_new(&m->config.asker, "/docker.swarmkit.v1.RaftMembership/Join",
                     &request.base, JOIN_TIMEOUT, told_join, m, &joining->ask,
                     &err) != 0) {
        join_later(m, err.text, now);
    }
}

/* The log's members know this manager at an address that it has no more. */
static bool moved(const struct swki_managing *m)
{
    const struct swki_member *self =
        swki_membership_self(swki_manager_membership(m->manager));

    return self != NULL && m->address_known &&
           strcmp(swki_member_address(self), m->advertised) != 0;
}

static swk_time join(struct swki_managing *m, swk_time now)
{
    struct joining *joining = &m->joining;

    if (joining->ask != NULL) {
        return SWK_NEVER;
    }
    if (!joining->wanted && !moved(m)) {
        return SWK_NEVER;
    }
    if (joining->due == SWK_NEVER) {
        joining->due = now;
    }
    if (joining->due <= now) {
        ask_to_join(m, now);
    }
    return joining->due;
}

/* -- The manager ---------------------------------------------------------- */

static void send_message(void *ctx, const struct swk_raft_message *message)
{
    struct swki_managing *m = ctx;

    swki_peers_send(m->peers, message);
}

/* A check under way, and what it is for. */
struct check {
    struct swki_managing *managing;
    uint64_t id;
};

static void checked(void *ctx, bool ok, const struct swk_error *failure)
{
    static const struct swk_error fine = {0};
    struct check *check = ctx;
    struct swki_managing *m = check->managing;

    swki_manager_checked(m->manager, check->id, ok ? &fine : failure);
    swki_free(m->config.asker.alloc, check);
    swki_loop_wake(m->config.asker.loop);
}

static void check_address(void *ctx, const struct swki_requests_check *what)
{
    struct swki_managing *m = ctx;
    struct check *check = swki_calloc(m->config.asker.alloc, 1, sizeof(*check));
    struct swk_error err;

    if (check == NULL) {
        swki_fail_nomem(&err);
    } else {
        check->managing = m;
        check->id = what->id;
        if (swki_peers_check(m->peers, what->address, what->node_id, checked,
                             check, &err) == 0) {
            return;
        }
        swki_free(m->config.asker.alloc, check);
    }
    swki_manager_checked(m->manager, what->id, &err);
}

static int draw(const struct swki_managing *m, uint64_t *out,
                struct swk_error *err)
{
    const struct swk_entropy *entropy = m->config.asker.entropy;

    do {
        if (entropy->fill(entropy->ctx, out, sizeof(*out)) != 0) {
            return swki_fail(err, SWK_EIO, "no entropy for a member's number");
        }
        *out >>= 1; /* 63 bits */
    } while (*out == 0);
    return SWK_OK;
}

static bool knows_others(const struct swki_managing *m)
{
    const struct swki_remotes *remotes = m->config.asker.remotes;
    const char *own = m->config.asker.credentials->identity.node_id;

    for (size_t i = 0; i < remotes->count; i++) {
        if (strcmp(remotes->list[i].node_id, own) != 0) {
            return true;
        }
    }
    return false;
}

/* An empty log is the first of a new swarm, or one to be filled by others. */
static int begin_log(struct swki_managing *m, bool founds,
                     struct swk_error *err)
{
    uint64_t raft_id;
    int rc;

    if (!founds) {
        m->joining.wanted = true;
        return knows_others(m) ? SWK_OK
                               : swki_fail(err, SWK_ECORRUPT, "%s: %s",
                                           m->config.state_dir, no_swarm);
    }
    rc = draw(m, &raft_id, err);
    return rc != 0 ? rc : swki_manager_found(m->manager, raft_id, err);
}

static int make_manager(struct swki_managing *m, struct swk_error *err)
{
    const struct swki_asker *asker = &m->config.asker;
    const struct swki_identity *identity = &asker->credentials->identity;
    struct swki_manager_config config = {
        .alloc = asker->alloc,
        .logger = asker->logger,
        .clock = asker->clock,
        .entropy = asker->entropy,
        .storage = &m->storage,
        .node_id = identity->node_id,
        .swarm_id = identity->swarm_id,
        .address = m->advertised,
        .address_known = m->address_known,
        .seed = m->config.seed,
        .heartbeat_ticks = m->config.heartbeat_ticks,
        .election_ticks = m->config.election_ticks,
        .tick_ns = m->config.tick_ns,
        .answer = swki_front_answer,
        .answer_ctx = m->front,
        .send = send_message,
        .send_ctx = m,
        .check = check_address,
        .check_ctx = m,
    };
    bool founds;
    int rc = SWK_OK;

    if (m->config.founding != NULL) {
        rc = swki_founding_objects(m->config.founding, asker->credentials,
                                   asker->alloc, asker->entropy,
                                   &config.cluster, &config.node, err);
    }
    founds = config.cluster != NULL;
    if (rc == 0) {
        rc = swki_manager_new(&config, &m->manager, err);
        if (rc != 0) {
            swki_object_unref(config.cluster);
            swki_object_unref(config.node);
        }
    }
    if (rc == 0 && swki_manager_raft_id(m->manager) == 0) {
        rc = begin_log(m, founds, err);
    }
    if (rc == 0) {
        swki_peers_set_id(m->peers, swki_manager_raft_id(m->manager));
        swki_front_open(m->front, m->manager);
    }
    return rc;
}

static swk_time turn(void *ctx, swk_time now)
{
    struct swki_managing *m = ctx;
    swk_time deadline = swki_manager_turn(m->manager, now);
    swk_time joining;

    note_members(m);
    note_leader(m, now);
    joining = join(m, now);
    if (m->config.founding != NULL && m->config.founding->unsettled &&
        swki_manager_has_cluster(m->manager)) {
        swki_founding_settle(m->config.founding, m->config.state_dir);
    }
    return joining < deadline ? joining : deadline;
}

/* -- Life ----------------------------------------------------------------- */

/* What an operator wants to know first. */
static void log_start(const struct swki_managing *m)
{
    swki_log(logger_of(m), SWK_LOG_INFO, "manager",
             "nodes connect at %s, port %d; they are told %s",
             m->config.listen_address, m->port, m->advertised);
    if (m->config.control_path != NULL) {
        swki_log(logger_of(m), SWK_LOG_INFO, "manager", "control socket is %s",
                 m->config.control_path);
    }
}

static int set_up(struct swki_managing *m, struct swk_error *err)
{
    int rc = open_storage(m, err);

    if (rc == 0) {
        rc = make_contexts(m, err);
    }
    if (rc == 0) {
        rc = make_peers(m, err);
    }
    if (rc == 0) {
        rc = make_front(m, err);
    }
    if (rc == 0) {
        rc = listen_all(m, err);
    }
    if (rc == 0) {
        rc = make_manager(m, err);
    }
    if (rc == 0) {
        swki_loop_add(m->config.asker.loop, &m->member);
        log_start(m);
    }
    return rc;
}

int swki_managing_new(const struct swki_managing_config *config,
                      struct swki_managing **out_managing,
                      struct swk_error *err)
{
    struct swki_managing *m = swki_calloc(config->asker.alloc, 1, sizeof(*m));
    int rc;

    if (m == NULL) {
        return swki_fail_nomem(err);
    }
    m->config = *config;
    m->joining.due = SWK_NEVER;
    m->joining.pause = JOIN_PAUSE_MIN;
    pthread_mutex_init(&m->stored.lock, NULL);
    m->stored.message.handle = take_stored;
    swki_list_init(&m->member.link);
    m->member.ctx = m;
    m->member.turn = turn;
    rc = set_up(m, err);
    if (rc != 0) {
        swki_managing_free(m);
        return rc;
    }
    *out_managing = m;
    return SWK_OK;
}

/* In the reverse of the order of set_up(). */
void swki_managing_free(struct swki_managing *m)
{
    if (m == NULL) {
        return;
    }
    swki_loop_remove(m->config.asker.loop, &m->member);
    swki_ask_free(m->joining.ask);
    swki_rpc_server_free(m->server);
    swki_forward_free(m->forward);
    swki_peers_free(m->peers);
    if (m->storage_open) {
        m->storage.close(m->storage.ctx);
    }
    swki_loop_cancel(m->config.asker.loop, &m->stored.message);
    swki_manager_free(m->manager);
    swki_front_free(m->front);
    swki_tls_context_unref(m->server_context);
    swki_tls_context_unref(m->client_context);
    pthread_mutex_destroy(&m->stored.lock);
    swki_free(m->config.asker.alloc, m);
}

int swki_managing_port(const struct swki_managing *m)
{
    return m->port;
}

void swki_managing_hand_over(struct swki_managing *m)
{
    swki_manager_hand_over(m->manager);
}

bool swki_managing_leads(const struct swki_managing *m)
{
    return swki_manager_leads(m->manager);
}

bool swki_managing_has_peers(const struct swki_managing *m)
{
    return swki_membership_count(swki_manager_membership(m->manager)) > 1;
}

bool swki_managing_removed(const struct swki_managing *m)
{
    return swki_manager_removed(m->manager);
}

const struct swk_error *swki_managing_failure(const struct swki_managing *m)
{
    return swki_manager_failure(m->manager);
}
