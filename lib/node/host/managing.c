/* SPDX-License-Identifier: Apache-2.0 */

#include "node/host/managing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "node/host/managing_impl.h"

static const char no_swarm[] =
    "this node has an identity, but its log holds no swarm: restore the log "
    "from a backup, name another manager to join, or remove the state "
    "directory to start anew";

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

/* The port of "HOST[:PORT]", and how long the host is; 0 for none. */
static int read_port(const char *address, size_t *out_host_len, int *out_port,
                     struct swk_error *err)
{
    const char *colon = strrchr(address, ':');
    char *end;

    *out_port = 0;
    *out_host_len = strlen(address);
    if (colon == NULL || strchr(colon, ']') != NULL) {
        return SWK_OK;
    }
    long port = strtol(colon + 1, &end, 10);

    if (*end != '\0' || port < 0 || port > UINT16_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "%s cannot be advertised: a port is 1 to 65535",
                         address);
    }
    *out_port = (int)port;
    *out_host_len = (size_t)(colon - address);
    return SWK_OK;
}

/* Adds "host:port" of which nodes are told, from a "HOST[:PORT]" of the flags
 * and the bound port; once. */
static int add_advertised(struct swki_managing *m, const char *text, size_t len,
                          struct swk_error *err)
{
    char address[SWKI_MANAGING_ADDRESS_SIZE];
    size_t host_len;
    int port;

    if (m->addresses_count == SWKI_MEMBER_ADDRESSES_MAX ||
        len + 8 > sizeof(address)) {
        return swki_fail(err, SWK_EINVAL,
                         "at most %d addresses of %zu characters can be "
                         "advertised",
                         SWKI_MEMBER_ADDRESSES_MAX, sizeof(address) - 8);
    }
    snprintf(address, sizeof(address), "%.*s", (int)len, text);
    int rc = read_port(address, &host_len, &port, err);
    if (rc != 0) {
        return rc;
    }
    char *place = m->advertised[m->addresses_count];

    port = port != 0 ? port : m->port;
    if (is_wildcard(address, host_len)) {
        swki_log(m->config.asker.logger, SWK_LOG_WARN, "manager",
                 "nodes on other machines cannot reach %s: name an address to "
                 "advertise",
                 address);
        snprintf(place, sizeof(m->advertised[0]), "127.0.0.1:%d", port);
    } else {
        snprintf(place, sizeof(m->advertised[0]), "%.*s:%d", (int)host_len,
                 address, port);
        m->address_known = true;
    }
    for (size_t i = 0; i < m->addresses_count; i++) {
        if (strcmp(m->addresses[i], place) == 0) {
            return SWK_OK;
        }
    }
    m->addresses[m->addresses_count++] = place;
    return SWK_OK;
}

static int set_advertised(struct swki_managing *m, struct swk_error *err)
{
    const char *text = m->config.advertise_address;
    int rc = SWK_OK;

    if (text == NULL) {
        const char *listen = m->config.listen_address;

        return add_advertised(m, listen, strlen(listen), err);
    }
    for (bool more = true; more && rc == SWK_OK;) {
        size_t len = strcspn(text, ",");

        if (len == 0) {
            return swki_fail(err, SWK_EINVAL, "an advertised address is empty");
        }
        more = text[len] == ',';
        rc = add_advertised(m, text, len, err);
        text += len + 1;
    }
    return rc;
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
        rc = swki_managing_note_identity(m, err);
    }
    if (rc == 0) {
        swki_rpc_server_set_context(m->server, m->server_context);
        swki_peers_set_context(m->peers, m->client_context);
        rc = swki_managing_renew_audit(m, err);
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
    char address[SWKI_MANAGING_ADDRESS_SIZE];
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

/* -- The manager ---------------------------------------------------------- */

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
        .audit_log = m->audit_log,
        .node_id = identity->node_id,
        .swarm_id = identity->swarm_id,
        .addresses = m->addresses,
        .addresses_count = m->addresses_count,
        .address_known = m->address_known,
        .seed = m->config.seed,
        .heartbeat_ticks = m->config.heartbeat_ticks,
        .election_ticks = m->config.election_ticks,
        .tick_ns = m->config.tick_ns,
        .answer = swki_front_answer,
        .answer_ctx = m->front,
        .send = swki_managing_send,
        .send_ctx = m,
        .check = swki_managing_check,
        .check_ctx = m,
        .sign = swki_managing_sign,
        .sign_ctx = m,
        .keeper = m->config.signer != NULL ? &m->keeper : NULL,
    };
    bool founds;
    int rc = SWK_OK;

    if (m->config.founding != NULL) {
        rc = swki_founding_objects(m->config.founding, asker->credentials,
                                   asker->alloc, asker->entropy,
                                   &config.cluster, &config.node, err);
    }
    founds = config.cluster != NULL;
    swki_managing_offer_secrets(m, &config);
    if (rc == 0) {
        rc = swki_manager_new(&config, &m->manager, err);
        if (rc != 0) {
            swki_object_unref(config.cluster);
            swki_object_unref(config.node);
        }
    }
    if (rc == 0) {
        swki_log_keys_loaded(&m->log_keys, m->manager, &m->storage);
    }
    if (rc == 0 && swki_manager_raft_id(m->manager) == 0) {
        rc = begin_log(m, founds, err);
    } else if (rc == 0 && !founds && swki_managing_knows_no_member(m)) {
        m->joining.wanted = knows_others(m);
    }
    if (rc == 0) {
        swki_peers_set_id(m->peers, swki_manager_raft_id(m->manager));
        swki_front_open(m->front, m->manager);
    }
    return rc;
}

static bool has_removed(void *ctx, const char *node_id)
{
    return swki_manager_has_removed(ctx, node_id);
}

/* Nodes that were removed are not listened to any more, at any manager. */
static void drop_removed(struct swki_managing *m)
{
    uint64_t removals = swki_manager_removals(m->manager);

    if (removals != m->removals) {
        m->removals = removals;
        swki_rpc_server_drop_removed(m->server, has_removed, m->manager);
    }
}

static swk_time turn(void *ctx, swk_time now)
{
    struct swki_managing *m = ctx;
    swk_time deadline = swki_manager_turn(m->manager, now);
    swk_time joining;
    swk_time signer;
    swk_time keys;

    swki_managing_note_members(m);
    swki_managing_note_leader(m, now);
    drop_removed(m);
    swki_managing_warn_of_signer(m);
    signer = swki_managing_check_signer(m, now);
    deadline = signer < deadline ? signer : deadline;
    joining = swki_managing_join(m, now);
    if (m->config.founding != NULL && m->config.founding->unsettled &&
        swki_manager_has_cluster(m->manager)) {
        swki_founding_settle(m->config.founding, m->config.state_dir);
    }
    keys = swki_log_keys_turn(&m->log_keys, m->manager, &m->storage, now);
    deadline = keys < deadline ? keys : deadline;
    return joining < deadline ? joining : deadline;
}

/* -- Life ----------------------------------------------------------------- */

/* What an operator wants to know first. */
static void log_start(const struct swki_managing *m)
{
    swki_log(m->config.asker.logger, SWK_LOG_INFO, "manager",
             "nodes connect at %s, port %d; they are told %s",
             m->config.listen_address, m->port, m->addresses[0]);
    if (m->config.control_path != NULL) {
        swki_log(m->config.asker.logger, SWK_LOG_INFO, "manager",
                 "control socket is %s", m->config.control_path);
    }
}

static int set_up(struct swki_managing *m, struct swk_error *err)
{
    int rc = swki_managing_open_storage(m, err);

    if (rc == 0) {
        rc = swki_managing_open_audit(m, err);
    }
    if (rc == 0) {
        rc = make_contexts(m, err);
    }
    if (rc == 0) {
        rc = swki_managing_make_peers(m, err);
    }
    if (rc == 0) {
        rc = swki_managing_make_front(m, err);
    }
    if (rc == 0) {
        rc = listen_all(m, err);
    }
    if (rc == 0) {
        rc = swki_managing_make_desk(m, err);
    }
    if (rc == 0) {
        rc = swki_managing_make_secret_desk(m, err);
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
    m->joining.pause = SWKI_JOIN_PAUSE_MIN;
    swki_managing_init_storage(m);
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
    swki_managing_close_storage(m);
    swki_log_keys_fini(&m->log_keys);
    swki_secret_desk_free(m->secret_desk);
    swki_managing_free_desk(m);
    swki_manager_free(m->manager);
    swki_audit_log_close(m->audit_log);
    swki_front_free(m->front);
    swki_tls_context_unref(m->server_context);
    swki_tls_context_unref(m->client_context);
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
    return m->joining.removed || swki_manager_removed(m->manager);
}

const struct swk_error *swki_managing_failure(const struct swki_managing *m)
{
    return swki_manager_failure(m->manager);
}
