/* SPDX-License-Identifier: Apache-2.0 */

#include "node/agent/agent_runner.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "core/agent/agent.h"
#include "core/agent/network_keys.h"
#include "core/consent/consent.h"
#include "dispatcher.pb-c.h"
#include "node/agent/description.h"
#include "node/agent/task_files.h"
#include "node/rpc/client.h"
#include "wire/message.h"
#include "wire/status.h"

#define DESCRIBE_PERIOD (20 * SWK_SECOND)
/* The first manager of a swarm is known to its own node once it is elected. */
#define UNKNOWN_PATIENCE (5 * SWK_SECOND)
#define UNKNOWN_PAUSE (20 * SWK_MILLISECOND)

/* A task's controller. */
struct controlled {
    char id[SWK_ID_LEN_MAX + 1];
    swk_controller *controller;
};

/* The end of an operation, on its way from the executor's thread. */
struct completion {
    struct swki_message message;
    struct swki_agent_runner *runner;
    char task_id[SWK_ID_LEN_MAX + 1];
    int32_t operation;
    struct swk_operation_result result;
};

struct swki_agent_runner {
    struct swki_agent_runner_config config;
    struct swki_loop_member member;
    struct swki_agreement agreement;
    struct swki_agent *agent;
    struct swki_map controlled; /* struct controlled by task ID */
    struct swki_rpc_client *client;
    struct swki_tls_context *context;
    uint8_t context_digest[SWKI_SHA256_SIZE]; /* of its credentials */
    struct swki_known_keys known_keys;
    swk_time describe_at;
    swk_time connect_at; /* SWK_NEVER unless that was put off */
    swk_time patient_until; /* although no manager is known */
    swk_time now;
    atomic_uint completions; /* posted, and not yet delivered */
    bool gone;               /* freed, but for what is still to be delivered */
};

static swk_wall wall_of(const struct swki_agent_runner *r)
{
    return r->config.clock->wall(r->config.clock->ctx);
}

/* -- The node's description ----------------------------------------------- */

static int describe(struct swki_agent_runner *r, struct swki_buf *out,
                    struct swk_error *err)
{
    const struct swki_described described = {
        .alloc = r->config.alloc,
        .clock = r->config.clock,
        .executor = r->config.executor,
        .credentials = r->config.credentials,
        .hostname = r->config.hostname,
        .consent = r->agreement.consent,
        .fips = r->config.fips,
    };

    r->describe_at = r->now + DESCRIBE_PERIOD;
    return swki_describe_node(&described, out, err);
}

static void describe_again(struct swki_agent_runner *r)
{
    struct swki_buf buf;
    struct swk_error err;

    swki_buf_init(&buf, r->config.alloc, SIZE_MAX);
    if (describe(r, &buf, &err) != 0 ||
        swki_agent_describe(r->agent, r->now, buf.data, buf.len, &err) != 0) {
        swki_log(r->config.logger, SWK_LOG_WARN, "agent",
                 "node not described: %s", err.text);
    }
    swki_buf_fini(&buf);
}

/* -- Calls ---------------------------------------------------------------- */

static void client_connected(void *ctx, swk_time now)
{
    struct swki_agent_runner *r = ctx;

    swki_agent_connected(r->agent, now);
    swki_loop_wake(r->config.loop);
}

static void client_disconnected(void *ctx, const struct swk_error *reason,
                                swk_time now)
{
    struct swki_agent_runner *r = ctx;

    swki_rpc_client_free(r->client);
    r->client = NULL;
    swki_agent_disconnected(r->agent, now, reason);
    if (reason->code == SWK_EUNAUTHENTICATED) {
        r->config.refused(r->config.ctx);
    }
    swki_loop_wake(r->config.loop);
}

/* One context as long as the credentials stay the same: it has the sessions by
 * which the node connects again at little cost. */
static int refresh_context(struct swki_agent_runner *r, struct swk_error *err)
{
    uint8_t digest[SWKI_SHA256_SIZE];
    int rc;

    if (!swki_credentials_digest(r->config.credentials, digest)) {
        return swki_fail_nomem(err);
    }
    if (r->context != NULL &&
        memcmp(digest, r->context_digest, sizeof(digest)) == 0) {
        return SWK_OK;
    }
    swki_tls_context_unref(r->context);
    r->context = NULL;
    rc = swki_credentials_tls(r->config.credentials, SWKI_TLS_CLIENT,
                              r->config.alloc, r->config.clock,
                              r->config.entropy, &r->context, err);
    if (rc == 0) {
        memcpy(r->context_digest, digest, sizeof(digest));
    }
    return rc;
}

static int open_client(struct swki_agent_runner *r,
                       const struct swki_remote *remote, struct swk_error *err)
{
    char address[SWKI_REMOTE_ADDRESS_SIZE + 8];
    struct swki_rpc_client_config config = {
        .alloc = r->config.alloc,
        .logger = r->config.logger,
        .clock = r->config.clock,
        .transport = r->config.transport,
        .loop = r->config.loop,
        .address = address,
        .server_name = SWKI_OU_MANAGER,
        .ctx = r,
        .connected = client_connected,
        .disconnected = client_disconnected,
    };
    int rc;

    snprintf(address, sizeof(address), "tcp://%s", remote->address);
    rc = refresh_context(r, err);
    if (rc != 0) {
        return rc;
    }
    config.context = r->context;
    return swki_rpc_client_new(&config, &r->client, err);
}

/* A manager that says that this node is shut out is left out for a while, as it
 * need not be asked again and again. */
static void connect_somewhere(struct swki_agent_runner *r)
{
    struct swki_remotes *remotes = r->config.remotes;
    const struct swki_remote *remote = swki_remotes_pick_due(remotes, r->now);
    struct swk_error err;
    int rc;

    remote = remote != NULL ? remote : swki_remotes_pick(remotes);
    if (remote == NULL && r->now < r->patient_until) {
        r->connect_at = r->now + UNKNOWN_PAUSE;
        return;
    }
    if (remote == NULL) {
        rc = swki_fail(&err, SWK_EUNAVAILABLE, "no manager is known");
    } else {
        rc = open_client(r, remote, &err);
    }
    if (rc != 0) {
        swki_agent_disconnected(r->agent, r->now, &err);
    }
}

static void connect_in_time(struct swki_agent_runner *r)
{
    swk_time due = swki_remotes_due(r->config.remotes);

    if (due > r->now) {
        r->connect_at = due;
    } else {
        connect_somewhere(r);
    }
}

static void call_message(void *ctx, uint64_t call_id, const uint8_t *data,
                         size_t len, swk_time now)
{
    struct swki_agent_runner *r = ctx;

    swki_agent_message(r->agent, now, wall_of(r), call_id, data, len);
    swki_loop_wake(r->config.loop);
}

static void call_ended(void *ctx, uint64_t call_id, int status,
                       const char *text, swk_time now)
{
    struct swki_agent_runner *r = ctx;

    swki_agent_ended(r->agent, now, call_id, status, text);
    swki_loop_wake(r->config.loop);
}

static void make_call(struct swki_agent_runner *r,
                      const struct swki_agent_action *action)
{
    const struct swki_rpc_client_call_events events = {
        .ctx = r,
        .call_id = action->call_id,
        .message = call_message,
        .ended = call_ended,
    };
    struct swk_error err;

    if (r->client == NULL) {
        return; /* disconnected() was told, or will be */
    }
    if (swki_rpc_client_call(r->client, action->path, action->data,
                             action->data_len, 0, &events, &err) != 0) {
        swki_agent_ended(r->agent, r->now, action->call_id,
                         (int)swki_status_from_error(err.code), err.text);
    }
}

/* The keys of networks, if any is new and the executor has use for them. */
static void take_keys(struct swki_agent_runner *r,
                      const Swkpb__SessionMessage *news)
{
    const struct swk_executor *executor = r->config.executor;
    struct swk_network_key keys[SWKI_NETWORK_KEYS_MAX];
    size_t count = 0;

    if (!swki_known_keys_take(&r->known_keys, news) ||
        executor->size < offsetof(struct swk_executor, refuse_links) ||
        executor->set_network_keys == NULL) {
        return;
    }
    for (; count < r->known_keys.count; count++) {
        const Swkpb__EncryptionKey *key = news->network_bootstrap_keys[count];

        keys[count] = (struct swk_network_key){
            .subsystem = key->subsystem,
            .algorithm = (int32_t)key->algorithm,
            .lamport_time = key->lamport_time,
            .key = key->key.data,
            .key_len = key->key.len,
        };
    }
    executor->set_network_keys(executor->ctx, keys, count);
}

/* The managers that a session names are those to go to next time. */
static void take_news(struct swki_agent_runner *r,
                      const struct swki_agent_action *action)
{
    const Swkpb__SessionMessage *news;
    struct swki_remotes remotes = {0};
    ProtobufCMessage *message;
    struct swki_arena arena;
    struct swk_error err;

    swki_arena_init(&arena, r->config.alloc,
                    swki_message_memory_max(action->data_len));
    if (swki_message_unpack(&swkpb__session_message__descriptor, action->data,
                            action->data_len, &arena, &message, &err) == 0) {
        news = (const Swkpb__SessionMessage *)message;
        r->config.news(r->config.ctx, news);
        take_keys(r, news);
        for (size_t i = 0; i < news->n_managers; i++) {
            const Swkpb__Peer *peer = news->managers[i]->peer;

            if (peer != NULL && strlen(peer->node_id) <= SWK_ID_LEN_MAX) {
                (void)swki_remotes_add(&remotes, peer->node_id, peer->addr,
                                       NULL);
            }
        }
        if (remotes.count > 0 &&
            memcmp(remotes.list, r->config.remotes->list,
                   sizeof(remotes.list)) != 0) {
            *r->config.remotes = remotes;
            swki_remotes_remember(&remotes, r->config.state_dir,
                                  r->config.logger, "agent");
        }
    }
    swki_arena_fini(&arena);
}

/* -- Operations ----------------------------------------------------------- */

static void completed(struct swki_message *message, swk_time now)
{
    struct completion *completion =
        SWKI_CONTAINER(message, struct completion, message);
    struct swki_agent_runner *r = completion->runner;

    if (!r->gone) {
        r->now = now;
        swki_agent_operation(r->agent, now, wall_of(r), completion->task_id,
                             completion->operation, &completion->result);
    }
    swki_free(r->config.alloc, completion);
    if (atomic_fetch_sub(&r->completions, 1) == 1 && r->gone) {
        swki_free(r->config.alloc, r);
    }
}

/* On the executor's thread. */
static void operation_done(void *ctx, swk_controller *controller,
                           void *controller_ctx, int32_t operation,
                           const struct swk_operation_result *result)
{
    struct swki_agent_runner *r = ctx;
    const struct controlled *controlled = controller_ctx;
    struct completion *completion =
        swki_calloc(r->config.alloc, 1, sizeof(*completion));

    (void)controller;
    if (completion == NULL) {
        return; /* the task hangs until the agent restarts */
    }
    completion->message.handle = completed;
    completion->runner = r;
    completion->operation = operation;
    completion->result = *result;
    memcpy(completion->task_id, controlled->id, sizeof(controlled->id));
    atomic_fetch_add(&r->completions, 1);
    swki_loop_post(r->config.loop, &completion->message);
}

static int new_controller(struct swki_agent_runner *r,
                          const struct swki_agent_action *action,
                          struct swk_error *err)
{
    const struct swk_executor *executor = r->config.executor;
    struct controlled *controlled =
        swki_calloc(r->config.alloc, 1, sizeof(*controlled));
    int rc;

    if (controlled == NULL) {
        return swki_fail_nomem(err);
    }
    snprintf(controlled->id, sizeof(controlled->id), "%s", action->task_id);
    rc = executor->controller_new(executor->ctx, action->data,
                                  action->data_len, controlled,
                                  &controlled->controller, err);
    if (rc == 0 &&
        !swki_map_put(&r->controlled, controlled->id, controlled)) {
        executor->controller_free(executor->ctx, controlled->controller);
        rc = swki_fail_nomem(err);
    }
    if (rc != 0) {
        swki_free(r->config.alloc, controlled);
    }
    return rc;
}

static void make_controller(struct swki_agent_runner *r,
                            const struct swki_agent_action *action)
{
    struct swk_error err;
    int rc = new_controller(r, action, &err);

    swki_agent_controller(r->agent, r->now, wall_of(r), action->task_id,
                          rc != 0 ? &err : NULL);
}

static void free_controller(struct swki_agent_runner *r,
                            struct controlled *controlled)
{
    const struct swk_executor *executor = r->config.executor;

    executor->controller_free(executor->ctx, controlled->controller);
    swki_map_remove(&r->controlled, controlled->id);
    swki_free(r->config.alloc, controlled);
}

/* What the task names, before the operations that may need it. */
static int give_secrets(struct swki_agent_runner *r,
                        const struct controlled *controlled, int32_t operation,
                        struct swk_error *err)
{
    const struct swk_executor *executor = r->config.executor;
    struct swk_task_secret *secrets;
    size_t count;
    int rc;

    if ((operation != SWK_OPERATION_PREPARE &&
         operation != SWK_OPERATION_START) ||
        executor->size < sizeof(*executor) || executor->set_secrets == NULL) {
        return SWK_OK;
    }
    rc = swki_agent_task_secrets(r->agent, controlled->id, &secrets, &count,
                                 err);
    if (rc == SWK_OK) {
        rc = count > 0
                 ? executor->set_secrets(executor->ctx, controlled->controller,
                                         secrets, count, err)
                 : SWK_OK;
        swki_free(r->config.alloc, secrets);
    }
    return rc;
}

static void begin_operation(struct swki_agent_runner *r,
                            const struct controlled *controlled,
                            const struct swki_agent_action *action)
{
    const struct swk_executor *executor = r->config.executor;
    struct swk_operation_result result = {.outcome = SWK_OUTCOME_FATAL};
    struct swk_error err;

    if (give_secrets(r, controlled, action->operation, &err) == SWK_OK) {
        executor->begin(executor->ctx, controlled->controller,
                        action->operation, action->data, action->data_len);
        return;
    }
    memcpy(result.text, err.text, sizeof(result.text));
    swki_agent_operation(r->agent, r->now, wall_of(r), action->task_id,
                         action->operation, &result);
}

/* An action on a task that has a controller. */
static void run_controlled(struct swki_agent_runner *r,
                           const struct swki_agent_action *action)
{
    const struct swk_executor *executor = r->config.executor;
    struct controlled *controlled =
        swki_map_get(&r->controlled, action->task_id);

    if (controlled == NULL) {
        return;
    }
    if (action->type == SWKI_AGENT_BEGIN) {
        begin_operation(r, controlled, action);
    } else if (action->type == SWKI_AGENT_CANCEL) {
        executor->cancel(executor->ctx, controlled->controller);
    } else {
        free_controller(r, controlled);
    }
}

static void store(struct swki_agent_runner *r,
                  const struct swki_agent_action *action)
{
    struct swk_error err;

    if (swki_task_files_put(r->config.state_dir, action->task_id, action->data,
                            action->data_len, &err) != 0) {
        swki_log(r->config.logger, SWK_LOG_ERROR, "agent",
                 "task not stored: %s", err.text);
    }
}

static void tell_removed(struct swki_agent_runner *r)
{
    struct swk_error why;

    swki_fail(&why, SWK_EREMOVED,
              "node %.*s was removed from its swarm, and its tasks are ended: "
              "to join again, start with an empty state directory (this one is "
              "%.80s) and a join token",
              SWK_ID_LEN_MAX, r->config.credentials->identity.node_id,
              r->config.state_dir);
    r->config.removed(r->config.ctx, &why);
}

/* -- Turns ---------------------------------------------------------------- */

static void run_action(struct swki_agent_runner *r,
                       const struct swki_agent_action *action)
{
    switch (action->type) {
    case SWKI_AGENT_CONNECT:
        connect_in_time(r);
        break;
    case SWKI_AGENT_DISCONNECT:
        r->connect_at = SWK_NEVER;
        swki_rpc_client_free(r->client);
        r->client = NULL;
        break;
    case SWKI_AGENT_CALL:
        make_call(r, action);
        break;
    case SWKI_AGENT_HANG_UP:
        if (r->client != NULL) {
            swki_rpc_client_cancel(r->client, action->call_id);
        }
        break;
    case SWKI_AGENT_NEWS:
        take_news(r, action);
        break;
    case SWKI_AGENT_CONTROLLER_NEW:
        make_controller(r, action);
        break;
    case SWKI_AGENT_BEGIN:
    case SWKI_AGENT_CANCEL:
    case SWKI_AGENT_CONTROLLER_FREE:
        run_controlled(r, action);
        break;
    case SWKI_AGENT_STORE:
        store(r, action);
        break;
    case SWKI_AGENT_FORGET:
        swki_task_files_remove(r->config.state_dir, action->task_id);
        break;
    case SWKI_AGENT_LEFT:
        tell_removed(r);
        break;
    }
}

/* Events told while actions run add further actions behind them. */
static void run_actions(struct swki_agent_runner *r)
{
    for (const struct swki_agent_action *action = swki_agent_actions(r->agent);
         action != NULL; action = action->next) {
        run_action(r, action);
    }
    swki_agent_clear_actions(r->agent);
}

static swk_time turn(void *ctx, swk_time now)
{
    struct swki_agent_runner *r = ctx;
    swk_time deadline;

    r->now = now;
    if (swki_agent_deadline(r->agent) <= now) {
        swki_agent_expire(r->agent, now, wall_of(r));
    }
    if (r->describe_at <= now) {
        describe_again(r);
    }
    if (r->connect_at <= now) {
        r->connect_at = SWK_NEVER;
        connect_somewhere(r);
    }
    run_actions(r);
    deadline = swki_agent_deadline(r->agent);
    deadline = deadline < r->connect_at ? deadline : r->connect_at;
    return deadline < r->describe_at ? deadline : r->describe_at;
}

/* -- Life ----------------------------------------------------------------- */

static int restore(void *ctx, const void *data, size_t len)
{
    struct swki_agent_runner *r = ctx;
    struct swk_error err;
    int rc = swki_agent_restore(r->agent, data, len, &err);

    if (rc != 0) {
        swki_log(r->config.logger, SWK_LOG_WARN, "agent",
                 "stored task dropped: %s", err.text);
    }
    return rc;
}

/* Ends what a lost state left running. */
static int sweep(struct swki_agent_runner *r, struct swk_error *err)
{
    const struct swk_executor *executor = r->config.executor;
    size_t count = swki_agent_tasks_count(r->agent);
    const char **ids = swki_calloc(r->config.alloc, count, sizeof(ids[0]));
    size_t cursor = 0;

    if (ids == NULL) {
        return swki_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        ids[i] = swki_agent_next_task(r->agent, &cursor);
    }
    executor->sweep(executor->ctx, ids, count);
    swki_free(r->config.alloc, ids);
    return SWK_OK;
}

/* A policy that speaks of paths is kept to only if they lead where they seem
 * to. */
static int bound_paths(const struct swki_agent_runner *r, struct swk_error *err)
{
    const struct swk_executor *executor = r->config.executor;
    const Swkpb__Rpc__NodeConsent *consent = r->agreement.consent;
    uint32_t paths = 0;

    if (consent != NULL && swki_consent_bounds_images(consent)) {
        paths |= SWK_EXECUTOR_IMAGE_PATHS;
    }
    if (consent != NULL && swki_consent_bounds_binds(consent)) {
        paths |= SWK_EXECUTOR_BIND_PATHS;
    }
    if (paths == 0) {
        return SWK_OK;
    }
    if (executor->size < offsetof(struct swk_executor, set_secrets)) {
        return swki_fail(err, SWK_ENOTSUP,
                         "policy: it bounds images or mounts, and this "
                         "executor does not say that it can refuse links in "
                         "their paths");
    }
    if (executor->refuse_links != NULL) {
        executor->refuse_links(executor->ctx, paths);
    }
    return SWK_OK;
}

static int make_agent(struct swki_agent_runner *r, struct swk_error *err)
{
    const struct swki_identity *identity = &r->config.credentials->identity;
    struct swki_agent_config config = {
        .alloc = r->config.alloc,
        .logger = r->config.logger,
        .node_id = identity->node_id,
        .seed = r->config.seed,
    };
    int rc = swki_agreement_init(&r->agreement, r->config.alloc,
                                 &r->config.agreement, identity->swarm_id, err);

    config.trust = r->agreement.trust;
    config.consent = r->agreement.consent;
    if (rc == 0) {
        rc = bound_paths(r, err);
    }
    return rc == 0 ? swki_agent_new(&config, &r->agent, err) : rc;
}

static int start(struct swki_agent_runner *r, struct swk_error *err)
{
    struct swki_buf description;
    int rc = make_agent(r, err);

    if (rc == 0) {
        rc = swki_task_files_create(r->config.state_dir, err);
    }
    if (rc == 0) {
        rc = swki_task_files_load(r->config.state_dir, r->config.alloc,
                                  restore, r, err);
    }
    if (rc == 0) {
        rc = sweep(r, err);
    }
    if (rc != 0) {
        return rc;
    }
    r->config.executor->set_done(r->config.executor->ctx, operation_done, r);
    swki_buf_init(&description, r->config.alloc, SIZE_MAX);
    rc = describe(r, &description, err);
    if (rc == 0) {
        rc = swki_agent_start(r->agent, r->now, wall_of(r), description.data,
                              description.len, err);
    }
    swki_buf_fini(&description);
    return rc;
}

int swki_agent_runner_new(const struct swki_agent_runner_config *config,
                          struct swki_agent_runner **out_runner,
                          struct swk_error *err)
{
    struct swki_agent_runner *r = swki_calloc(config->alloc, 1, sizeof(*r));
    int rc;

    if (r == NULL) {
        return swki_fail_nomem(err);
    }
    r->config = *config;
    r->now = config->clock->now(config->clock->ctx);
    r->member.ctx = r;
    r->member.turn = turn;
    r->connect_at = SWK_NEVER;
    r->patient_until = r->now + UNKNOWN_PATIENCE;
    swki_map_init(&r->controlled, config->alloc);
    swki_loop_add(config->loop, &r->member);
    rc = start(r, err);
    if (rc != 0) {
        swki_agent_runner_free(r);
        return rc;
    }
    *out_runner = r;
    return SWK_OK;
}

void swki_agent_runner_renewed(struct swki_agent_runner *r)
{
    r->describe_at = 0;
    if (r->connect_at != SWK_NEVER) {
        r->connect_at = 0;
    }
    swki_loop_wake(r->config.loop);
}

void swki_agent_runner_refused(struct swki_agent_runner *r,
                               const struct swk_error *why)
{
    swki_agent_refused(r->agent, swki_loop_now(r->config.loop), why->text);
    swki_loop_wake(r->config.loop);
}

void swki_agent_runner_free(struct swki_agent_runner *r)
{
    struct controlled *controlled;
    size_t cursor = 0;

    if (r == NULL) {
        return;
    }
    /* Operations may be under way: their controllers stay with the executor,
     * which tells nothing of them any more. */
    r->config.executor->set_done(r->config.executor->ctx, NULL, NULL);
    swki_loop_remove(r->config.loop, &r->member);
    swki_rpc_client_free(r->client);
    while ((controlled = swki_map_next(&r->controlled, &cursor)) != NULL) {
        swki_free(r->config.alloc, controlled);
    }
    swki_map_fini(&r->controlled);
    swki_agent_free(r->agent);
    swki_agreement_fini(&r->agreement);
    swki_tls_context_unref(r->context);
    /* The loop still delivers what the executor told before. */
    r->gone = true;
    if (atomic_load(&r->completions) == 0) {
        swki_free(r->config.alloc, r);
    }
}
