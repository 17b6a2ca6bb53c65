/* SPDX-License-Identifier: Apache-2.0 */

/* swk_manager: a manager and its agent, with their thread and sockets. */

#include <swarmkit/manager.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <swarmkit/file_storage.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "core/ca/bootstrap.h"
#include "crypto/digest.h"
#include "node/agent_runner.h"
#include "node/founding.h"
#include "node/front.h"
#include "node/manager.h"
#include "node/state_dir.h"

enum {
    PATH_SIZE = 4096,
    ADDRESS_SIZE = SWKI_REMOTE_ADDRESS_SIZE,
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

struct swk_manager {
    struct swk_manager_config config;
    struct swki_credentials credentials;
    struct swki_founding founding;
    struct swki_remotes remotes;
    char advertised[ADDRESS_SIZE];
    uint64_t seed;
    struct swki_loop *loop;
    struct swki_loop_member member;
    struct stored stored;
    struct swk_storage storage;
    bool storage_open;
    struct swki_front *front;
    struct swki_rpc_server *server;
    struct swki_tls_context *context;
    struct swki_manager *manager;
    struct swki_agent_runner *runner;
    int port;
    pthread_t thread;
    bool started;
    pthread_mutex_t failure_lock; /* of the following */
    bool failed;
    struct swk_error failure;
};

/* -- Storage -------------------------------------------------------------- */

static void take_stored(struct swki_message *message, swk_time now)
{
    struct stored *stored = SWKI_CONTAINER(message, struct stored, message);
    struct swk_manager *m = SWKI_CONTAINER(stored, struct swk_manager, stored);
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
    struct swk_manager *m = ctx;
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
        swki_loop_post(m->loop, &stored->message);
    }
}

static int open_storage(struct swk_manager *m, struct swk_error *err)
{
    char path[PATH_SIZE];
    struct swk_file_storage_config config = {.size = sizeof(config)};
    int rc;

    snprintf(path, sizeof(path), "%s/raft", m->config.state_dir);
    config.dir = path;
    config.alloc = m->config.alloc;
    config.logger = m->config.logger;
    config.done = storage_done;
    config.done_ctx = m;
    rc = swk_file_storage_open(&config, &m->storage, err);
    m->storage_open = rc == 0;
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
static int set_advertised(struct swk_manager *m, struct swk_error *err)
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
        swki_log(m->config.logger, SWK_LOG_WARN, "manager",
                 "nodes on other machines cannot reach %s: name an address to "
                 "advertise",
                 address);
        snprintf(m->advertised, sizeof(m->advertised), "127.0.0.1:%d", port);
    } else if (host_len + 8 > sizeof(m->advertised)) {
        return swki_fail(err, SWK_EINVAL, "advertised address is too long");
    } else {
        snprintf(m->advertised, sizeof(m->advertised), "%.*s:%d",
                 (int)host_len, address, port);
    }
    return swki_remotes_add(&m->remotes, m->credentials.identity.node_id,
                            m->advertised, err);
}

static int listen_all(struct swk_manager *m, struct swk_error *err)
{
    const struct swki_rpc_server_config config = {
        .alloc = m->config.alloc,
        .logger = m->config.logger,
        .clock = m->config.clock,
        .transport = m->config.transport,
        .loop = m->loop,
        .handler = swki_front_handler(m->front),
    };
    char address[ADDRESS_SIZE];
    int rc = swki_rpc_server_new(&config, &m->server, err);

    if (rc == 0) {
        rc = swki_credentials_tls(&m->credentials, SWKI_TLS_SERVER,
                                  m->config.alloc, m->config.clock,
                                  m->config.entropy, &m->context, err);
    }
    if (rc == 0) {
        snprintf(address, sizeof(address), "tcp://%s",
                 m->config.listen_address);
        rc = swki_rpc_server_listen(m->server, address, m->context, &m->port,
                                    err);
    }
    if (rc == 0 && m->config.control_path != NULL) {
        rc = swki_rpc_server_listen_local(m->server, m->config.control_path,
                                          err);
    }
    return rc != 0 ? rc : set_advertised(m, err);
}

/* -- Set-up --------------------------------------------------------------- */

static int check_config(const struct swk_manager_config *config,
                        struct swk_error *err)
{
    if (config->state_dir == NULL || config->listen_address == NULL ||
        config->clock == NULL || config->entropy == NULL ||
        config->transport == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "manager: a required port, the state directory or "
                         "the listen address is missing");
    }
    return SWK_OK;
}

/* A member's ID that is the same after each restart. */
static uint64_t raft_id(const struct swk_manager *m)
{
    const char *node_id = m->credentials.identity.node_id;
    uint8_t digest[SWKI_SHA256_SIZE] = {0};
    uint64_t id;

    (void)swki_sha256(node_id, strlen(node_id), digest);
    memcpy(&id, digest, sizeof(id));
    return (id >> 2) + 1; /* neither 0 nor one of the reserved highest */
}

static int make_manager(struct swk_manager *m, struct swk_error *err)
{
    struct swki_manager_config config = {
        .alloc = m->config.alloc,
        .logger = m->config.logger,
        .clock = m->config.clock,
        .entropy = m->config.entropy,
        .storage = &m->storage,
        .node_id = m->credentials.identity.node_id,
        .swarm_id = m->credentials.identity.swarm_id,
        .address = m->advertised,
        .raft_id = raft_id(m),
        .seed = m->seed,
        .answer = swki_front_answer,
        .answer_ctx = m->front,
    };
    int rc = swki_founding_objects(&m->founding, &m->credentials,
                                   m->config.alloc, m->config.entropy,
                                   &config.cluster, &config.node, err);

    if (rc == 0) {
        rc = swki_manager_new(&config, &m->manager, err);
        if (rc != 0) {
            swki_object_unref(config.cluster);
            swki_object_unref(config.node);
        }
    }
    if (rc == 0) {
        swki_front_open(m->front, m->manager);
    }
    return rc;
}

static int make_agent(struct swk_manager *m, struct swk_error *err)
{
    const struct swki_agent_runner_config config = {
        .alloc = m->config.alloc,
        .logger = m->config.logger,
        .clock = m->config.clock,
        .entropy = m->config.entropy,
        .transport = m->config.transport,
        .executor = m->config.executor,
        .loop = m->loop,
        .state_dir = m->config.state_dir,
        .hostname = m->config.hostname,
        .credentials = &m->credentials,
        .remotes = &m->remotes,
        .seed = m->seed + 1000,
    };

    return m->config.executor == NULL
               ? SWK_OK
               : swki_agent_runner_new(&config, &m->runner, err);
}

static void note_failure(struct swk_manager *m, const struct swk_error *why)
{
    pthread_mutex_lock(&m->failure_lock);
    m->failed = true;
    m->failure = *why;
    if (why->code == SWK_ECORRUPT) {
        swki_error_prefix(&m->failure, "%s", m->config.state_dir);
    }
    pthread_mutex_unlock(&m->failure_lock);
}

static swk_time turn(void *ctx, swk_time now)
{
    struct swk_manager *m = ctx;
    swk_time deadline = swki_manager_turn(m->manager, now);
    const struct swk_error *why = swki_manager_failure(m->manager);

    if (m->founding.unsettled && swki_manager_has_cluster(m->manager)) {
        swki_founding_settle(&m->founding, m->config.state_dir);
    }
    if (why != NULL) {
        note_failure(m, why);
        swki_loop_stop(m->loop);
    }
    return deadline;
}

/* What an operator wants to know first. */
static void log_start(const struct swk_manager *m)
{
    const struct swk_logger *logger = m->config.logger;
    const struct swki_identity *identity = &m->credentials.identity;

    swki_log(logger, SWK_LOG_INFO, "manager", "node %s of swarm %s",
             identity->node_id, identity->swarm_id);
    swki_log(logger, SWK_LOG_INFO, "manager",
             "nodes connect at %s, port %d; they are told %s",
             m->config.listen_address, m->port, m->advertised);
    if (m->config.control_path != NULL) {
        swki_log(logger, SWK_LOG_INFO, "manager", "control socket is %s",
                 m->config.control_path);
    }
}

static int set_up(struct swk_manager *m, struct swk_error *err)
{
    int rc = swki_state_dir_create(m->config.state_dir, err);

    if (rc == 0) {
        rc = m->config.entropy->fill(m->config.entropy->ctx, &m->seed,
                                     sizeof(m->seed));
        if (rc != 0) {
            rc = swki_fail(err, SWK_EIO, "no entropy to start with");
        }
    }
    if (rc == 0) {
        rc = swki_loop_new(m->config.alloc, m->config.clock, &m->loop, err);
    }
    if (rc == 0) {
        rc = open_storage(m, err); /* first: it locks the directory */
    }
    if (rc == 0) {
        rc = swki_founding_identity(&m->founding, m->config.state_dir,
                                    &m->credentials, m->config.clock,
                                    m->config.entropy, err);
    }
    if (rc == 0) {
        rc = swki_front_new(m->config.alloc, m->loop, &m->front, err);
    }
    if (rc == 0) {
        rc = listen_all(m, err);
    }
    if (rc == 0) {
        rc = make_manager(m, err);
    }
    if (rc == 0) {
        m->member.ctx = m;
        m->member.turn = turn;
        swki_loop_add(m->loop, &m->member);
        log_start(m);
        rc = make_agent(m, err);
    }
    return rc;
}

int swk_manager_new(const struct swk_manager_config *options,
                    swk_manager **out_manager, struct swk_error *err)
{
    struct swk_manager_config config;
    struct swk_error unused;
    struct swk_manager *m;
    int rc;

    err = err != NULL ? err : &unused;
    if (options == NULL || out_manager == NULL) {
        return swki_fail(err, SWK_EINVAL, "manager: NULL argument");
    }
    rc = swki_options_read(&config, sizeof(config), options,
                           "swk_manager_config", err);
    if (rc == 0) {
        rc = check_config(&config, err);
    }
    if (rc != 0) {
        return rc;
    }
    m = swki_calloc(config.alloc, 1, sizeof(*m));
    if (m == NULL) {
        return swki_fail_nomem(err);
    }
    m->config = config;
    pthread_mutex_init(&m->stored.lock, NULL);
    pthread_mutex_init(&m->failure_lock, NULL);
    m->stored.message.handle = take_stored;
    swki_list_init(&m->member.link);
    swki_credentials_init(&m->credentials, config.alloc);
    swki_founding_init(&m->founding, config.alloc);
    rc = set_up(m, err);
    if (rc != 0) {
        swk_manager_free(m);
        return rc;
    }
    *out_manager = m;
    return SWK_OK;
}

static void *run(void *ctx)
{
    struct swk_manager *m = ctx;
    struct swk_error err;

    if (swki_loop_run(m->loop, &err) != 0) {
        note_failure(m, &err);
    }
    return NULL;
}

int swk_manager_start(swk_manager *m, struct swk_error *err)
{
    int error;

    if (m->started) {
        return swki_fail(err, SWK_EINVAL, "manager: already started");
    }
    error = pthread_create(&m->thread, NULL, run, m);
    if (error != 0) {
        return swki_fail(err, SWK_ENOMEM, "manager: no thread: %s",
                         strerror(error));
    }
    m->started = true;
    return SWK_OK;
}

void swk_manager_stop(swk_manager *m)
{
    if (m != NULL && m->started) {
        swki_loop_stop(m->loop);
        pthread_join(m->thread, NULL);
        m->started = false;
    }
}

int swk_manager_port(const swk_manager *m)
{
    return m->port;
}

const char *swk_manager_node_id(const swk_manager *m)
{
    return m->credentials.identity.node_id;
}

int swk_manager_failed(const swk_manager *m, struct swk_error *out_why)
{
    struct swk_manager *locked = (struct swk_manager *)m;
    bool failed;

    pthread_mutex_lock(&locked->failure_lock);
    failed = m->failed;
    if (failed) {
        *out_why = m->failure;
    }
    pthread_mutex_unlock(&locked->failure_lock);
    return failed ? 1 : 0;
}

/* In the reverse of the order of set_up(). */
void swk_manager_free(swk_manager *m)
{
    if (m == NULL) {
        return;
    }
    swk_manager_stop(m);
    swki_agent_runner_free(m->runner);
    swki_rpc_server_free(m->server);
    if (m->storage_open) {
        m->storage.close(m->storage.ctx);
    }
    swki_manager_free(m->manager);
    m->manager = NULL; /* the loop still delivers what the storage told */
    swki_front_free(m->front);
    swki_tls_context_unref(m->context);
    if (m->loop != NULL) {
        swki_loop_free(m->loop);
    }
    swki_founding_fini(&m->founding);
    swki_credentials_fini(&m->credentials);
    pthread_mutex_destroy(&m->stored.lock);
    pthread_mutex_destroy(&m->failure_lock);
    swki_free(m->config.alloc, m);
}
