/* SPDX-License-Identifier: Apache-2.0 */

/* A node of the simulated swarm: its agent, and an executor whose workloads
 * are numbers. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ca.pb-c.h"
#include "lib/sim_swarm.h"
#include "objects.pb-c.h"
#include "wire/message.h"

#define CONNECT_TIMEOUT (10 * SWK_SECOND)
#define STOP_TIME (20 * SWK_MILLISECOND)
#define GRACE_TIME (10 * SWK_SECOND)
#define OPERATION_TIME (10 * SWK_MILLISECOND)

enum {
    EXIT_TERM = 128 + 15,
    EXIT_KILL = 128 + 9,
};

/* A task as the agent wants it kept. */
struct sim_stored {
    char id[SWK_ID_LEN_MAX + 1];
    size_t len;
    uint8_t data[];
};

/* -- Behaviours ----------------------------------------------------------- */

/* "2s" or "20ms". */
static swk_time read_span(const char *text)
{
    char *end;
    double number = strtod(text, &end);

    return (swk_time)(number * (double)(strcmp(end, "ms") == 0
                                            ? SWK_MILLISECOND
                                            : SWK_SECOND));
}

static void read_behaviour(struct sim_behaviour *b, const char *text)
{
    const char *colon = strchr(text, ':');

    if (strcmp(text, "refuse") == 0) {
        b->refused = true;
    } else if (strcmp(text, "prepare-fails") == 0) {
        b->prepare_fails = true;
    } else if (strcmp(text, "start-fails") == 0) {
        b->start_fails = true;
    } else if (strcmp(text, "stubborn") == 0) {
        b->stubborn = true;
    } else if (strncmp(text, "prepare=", 8) == 0) {
        b->prepare_ns = read_span(text + 8);
    } else if (strncmp(text, "start=", 6) == 0) {
        b->start_ns = read_span(text + 6);
    } else if (strncmp(text, "exit=", 5) == 0) {
        b->exit_code = atoi(text + 5);
        b->exit_after = colon != NULL ? read_span(colon + 1) : 0;
    }
}

static struct sim_behaviour behaviour_of(const void *data, size_t len)
{
    struct sim_behaviour b = {.prepare_ns = OPERATION_TIME,
                              .start_ns = OPERATION_TIME,
                              .exit_after = SWK_NEVER};
    struct swki_arena arena;
    ProtobufCMessage *message;

    swki_arena_init(&arena, NULL, SIZE_MAX);
    if (swki_message_unpack(&swkpb__task__descriptor, data, len, &arena,
                            &message, NULL) == 0) {
        const Swkpb__TaskSpec *spec = ((const Swkpb__Task *)message)->spec;

        for (size_t i = 0; spec != NULL && spec->container != NULL &&
                           i < spec->container->n_args;
             i++) {
            read_behaviour(&b, spec->container->args[i]);
        }
    }
    swki_arena_fini(&arena);
    return b;
}

/* -- Workloads ------------------------------------------------------------ */

struct sim_workload *sim_workload(struct sim_node *node, const char *task_id)
{
    return swki_map_get(&node->workloads, task_id);
}

static void run_trace(const struct sim_workload *w, const char *what)
{
    sim_trace(w->node->sim, w->node->name, "run: %s %s", w->id, what);
}

static void post_end(struct sim_workload *w, int32_t outcome, const char *text,
                     swk_time delay)
{
    struct sim_event *event = sim_event_new(SIM_OPERATION);
    bool known = w->starts > 0 && !w->removed;

    event->node = w->node;
    event->workload = w;
    event->life = w->operation_life;
    event->operation = w->operation;
    event->result.outcome = outcome;
    event->result.has_status = known;
    event->result.exit_code = w->exited ? w->exit_code : 0;
    event->result.pid = w->running ? 100 : 0;
    snprintf(event->result.text, sizeof(event->result.text), "%s", text);
    sim_post(w->node->sim, event, delay);
}

static void end_wait(struct sim_workload *w)
{
    char text[64];

    if (w->exit_code == 0) {
        post_end(w, SWK_OUTCOME_DONE, "", 0);
        return;
    }
    snprintf(text, sizeof(text), "task: non-zero exit (%d)", w->exit_code);
    post_end(w, SWK_OUTCOME_FATAL, text, 0);
}

static void post_exit(struct sim_workload *w, int code, swk_time delay)
{
    struct sim_event *event = sim_event_new(SIM_EXIT);

    event->node = w->node;
    event->workload = w;
    event->life = w->run;
    event->status = code;
    sim_post(w->node->sim, event, delay);
}

void sim_exit_workload(struct sim_workload *w, int code)
{
    char what[32];

    if (!w->running) {
        return;
    }
    snprintf(what, sizeof(what), "exits with %d", code);
    run_trace(w, what);
    w->running = false;
    w->stopping = false;
    w->exited = true;
    w->exit_code = code;
    w->run++;
    if (w->node->agent == NULL) {
        return;
    }
    if (w->operation == SWK_OPERATION_WAIT) {
        end_wait(w);
    } else if (w->operation == SWK_OPERATION_SHUTDOWN ||
               w->operation == SWK_OPERATION_TERMINATE) {
        post_end(w, SWK_OUTCOME_DONE, "", 0);
    } else if (w->operation == SWK_OPERATION_REMOVE) {
        w->removed = true;
        post_end(w, SWK_OUTCOME_DONE, "", 0);
    }
}

static void start_workload(struct sim_workload *w)
{
    if (w->starts > 0) {
        post_end(w, SWK_OUTCOME_ALREADY, "", 0);
        return;
    }
    if (w->behaviour.start_fails) {
        post_end(w, SWK_OUTCOME_FATAL, "no such program",
                 w->behaviour.start_ns);
        return;
    }
    run_trace(w, "starts");
    w->starts++;
    w->running = true;
    if (w->behaviour.exit_after != SWK_NEVER) {
        post_exit(w, w->behaviour.exit_code,
                  w->behaviour.start_ns + w->behaviour.exit_after);
    }
    post_end(w, SWK_OUTCOME_DONE, "", w->behaviour.start_ns);
}

/* The operation ends with the workload. */
static void stop_workload(struct sim_workload *w, bool kill)
{
    if (!w->running) {
        w->removed = w->removed || w->operation == SWK_OPERATION_REMOVE;
        post_end(w, SWK_OUTCOME_DONE, "", 0);
    } else if (kill) {
        post_exit(w, EXIT_KILL, 0);
    } else if (!w->stopping) {
        bool stubborn = w->behaviour.stubborn;

        w->stopping = true;
        run_trace(w, "is asked to stop");
        post_exit(w, stubborn ? EXIT_KILL : EXIT_TERM,
                  stubborn ? GRACE_TIME : STOP_TIME);
    }
}

static void prepare_workload(struct sim_workload *w)
{
    if (w->behaviour.prepare_fails) {
        post_end(w, SWK_OUTCOME_FATAL, "no such image",
                 w->behaviour.prepare_ns);
    } else if (w->prepared) {
        post_end(w, SWK_OUTCOME_ALREADY, "", 0);
    } else {
        w->prepared = true;
        post_end(w, SWK_OUTCOME_DONE, "", w->behaviour.prepare_ns);
    }
}

static void begin(struct sim_node *node, const char *task_id, int32_t operation)
{
    struct sim_workload *w = sim_workload(node, task_id);

    assert(w != NULL);
    if (w->operation != 0) {
        sim_broken(node->sim, "%s begins two operations on %s", node->name,
                   w->id);
        return;
    }
    w->operation = operation;
    w->operation_life++;
    switch ((enum swk_operation)operation) {
    case SWK_OPERATION_UPDATE:
        post_end(w, SWK_OUTCOME_DONE, "", 0);
        break;
    case SWK_OPERATION_PREPARE:
        prepare_workload(w);
        break;
    case SWK_OPERATION_START:
        start_workload(w);
        break;
    case SWK_OPERATION_WAIT:
        if (w->exited) {
            end_wait(w);
        } else if (!w->running) {
            post_end(w, SWK_OUTCOME_FATAL, "nothing runs", 0);
        }
        break;
    case SWK_OPERATION_SHUTDOWN:
        stop_workload(w, false);
        break;
    case SWK_OPERATION_TERMINATE:
    case SWK_OPERATION_REMOVE:
        stop_workload(w, true);
        break;
    }
}

/* Only what waits ends early; the rest ends by itself soon. */
static void cancel(struct sim_node *node, const char *task_id)
{
    struct sim_workload *w = sim_workload(node, task_id);

    assert(w != NULL);
    if (w->operation == SWK_OPERATION_WAIT ||
        w->operation == SWK_OPERATION_PREPARE ||
        w->operation == SWK_OPERATION_SHUTDOWN) {
        if (w->operation == SWK_OPERATION_PREPARE) {
            w->prepared = false;
        }
        w->operation_life++; /* an end that is on the way is void */
        post_end(w, SWK_OUTCOME_CANCELED, "", 0);
    }
}

static void operation_ended(struct sim_node *node,
                            const struct sim_event *event)
{
    struct sim_workload *w = event->workload;

    if (node->agent == NULL || event->life != w->operation_life ||
        w->operation == 0) {
        return;
    }
    w->operation = 0;
    swki_agent_operation(node->agent, node->sim->now, sim_wall(node->sim),
                         w->id, event->operation, &event->result);
}

static void make_controller(struct sim_node *node,
                            const struct swki_agent_action *action)
{
    struct sim_workload *w = sim_workload(node, action->task_id);
    struct swk_error err;

    if (w == NULL) {
        w = calloc(1, sizeof(*w));
        assert(w != NULL);
        snprintf(w->id, sizeof(w->id), "%s", action->task_id);
        w->node = node;
        w->behaviour = behaviour_of(action->data, action->data_len);
        if (!swki_map_put(&node->workloads, w->id, w)) {
            abort();
        }
    }
    swki_fail(&err, SWK_ENOTSUP, "this node cannot run it");
    swki_agent_controller(node->agent, node->sim->now, sim_wall(node->sim),
                          action->task_id,
                          w->behaviour.refused ? &err : NULL);
}

/* -- The network ---------------------------------------------------------- */

static struct sim_event *node_event_new(struct sim_node *node,
                                        enum sim_event_type type)
{
    struct sim_event *event = sim_event_new(type);

    event->node = node;
    event->life = node->connection;
    return event;
}

static void connect_manager(struct sim_node *node)
{
    node->connection = ++node->sim->last_connection;
    node->connected = false;
    sim_send(node->sim, node_event_new(node, SIM_CONNECT));
    sim_post(node->sim, node_event_new(node, SIM_CONNECT_TIMEOUT),
             CONNECT_TIMEOUT);
}

static void disconnect(struct sim_node *node)
{
    if (node->connection != 0) {
        sim_send(node->sim, node_event_new(node, SIM_CLOSED));
    }
    node->connection = 0;
    node->connected = false;
}

static void make_call(struct sim_node *node,
                      const struct swki_agent_action *action)
{
    struct sim_event *event;

    if (!node->connected) {
        return;
    }
    event = node_event_new(node, SIM_CALL);
    event->path = action->path;
    event->call_id = action->call_id;
    event->data = malloc(action->data_len + 1);
    assert(event->data != NULL);
    memcpy(event->data, action->data, action->data_len);
    event->len = action->data_len;
    sim_send(node->sim, event);
}

static void hang_up(struct sim_node *node,
                    const struct swki_agent_action *action)
{
    struct sim_event *event;

    if (node->connected) {
        event = node_event_new(node, SIM_CANCEL);
        event->call_id = action->call_id;
        sim_send(node->sim, event);
    }
}

static void lose_connection(struct sim_node *node, const char *why)
{
    struct swk_error err;

    node->connection = 0;
    node->connected = false;
    swki_fail(&err, SWK_EUNAVAILABLE, "%s", why);
    swki_agent_disconnected(node->agent, node->sim->now, &err);
}

/* Something came for a connection that the node has closed, or lost. */
static void refuse_stale(struct sim_node *node, const struct sim_event *event)
{
    struct sim_event *reply;

    if (event->type == SIM_MESSAGE || event->type == SIM_ENDED ||
        event->type == SIM_CONNECTED) {
        reply = node_event_new(node, SIM_CLOSED);
        reply->life = event->life;
        sim_send(node->sim, reply);
    }
}

static void network_event(struct sim_node *node, const struct sim_event *event)
{
    swk_time now = node->sim->now;

    if (event->type == SIM_CONNECTED) {
        node->connected = true;
        swki_agent_connected(node->agent, now);
    } else if (event->type == SIM_MESSAGE) {
        swki_agent_message(node->agent, now, sim_wall(node->sim),
                           event->call_id, event->data, event->len);
    } else if (event->type == SIM_ENDED) {
        swki_agent_ended(node->agent, now, event->call_id, event->status,
                         event->text);
    } else if (event->type == SIM_DISCONNECTED) {
        lose_connection(node, event->text);
    } else if (!node->connected) {
        lose_connection(node, "connecting timed out");
    }
}

void sim_break_connection(struct sim_node *node)
{
    struct sim_event *event;

    if (node->agent == NULL || node->connection == 0) {
        return;
    }
    event = node_event_new(node, SIM_DISCONNECTED);
    snprintf(event->text, sizeof(event->text), "connection reset");
    sim_send(node->sim, node_event_new(node, SIM_CLOSED));
    sim_post(node->sim, event, node->sim->network_ns);
}

void sim_node_event(struct sim_node *node, struct sim_event *event)
{
    if (event->type == SIM_EXIT) {
        if (event->workload->run == event->life) {
            sim_exit_workload(event->workload, event->status);
        }
        return;
    }
    if (event->type == SIM_OPERATION) {
        operation_ended(node, event);
    } else if (node->agent == NULL || event->life != node->connection) {
        refuse_stale(node, event);
    } else {
        network_event(node, event);
    }
    sim_node_turn(node);
}

/* -- Turns ---------------------------------------------------------------- */

static void forget(struct sim_node *node, const char *task_id)
{
    free(swki_map_remove(&node->stored, task_id));
}

static void store(struct sim_node *node, const struct swki_agent_action *action)
{
    struct sim_stored *stored = malloc(sizeof(*stored) + action->data_len);

    assert(stored != NULL);
    snprintf(stored->id, sizeof(stored->id), "%s", action->task_id);
    memcpy(stored->data, action->data, action->data_len);
    stored->len = action->data_len;
    forget(node, action->task_id);
    if (!swki_map_put(&node->stored, stored->id, stored)) {
        abort();
    }
}

static void run_action(struct sim_node *node,
                       const struct swki_agent_action *action)
{
    switch (action->type) {
    case SWKI_AGENT_CONNECT:
        connect_manager(node);
        break;
    case SWKI_AGENT_DISCONNECT:
        disconnect(node);
        break;
    case SWKI_AGENT_CALL:
        make_call(node, action);
        break;
    case SWKI_AGENT_HANG_UP:
        hang_up(node, action);
        break;
    case SWKI_AGENT_NEWS:
    case SWKI_AGENT_CONTROLLER_FREE:
        break;
    case SWKI_AGENT_CONTROLLER_NEW:
        make_controller(node, action);
        break;
    case SWKI_AGENT_BEGIN:
        begin(node, action->task_id, action->operation);
        break;
    case SWKI_AGENT_CANCEL:
        cancel(node, action->task_id);
        break;
    case SWKI_AGENT_STORE:
        store(node, action);
        break;
    case SWKI_AGENT_FORGET:
        forget(node, action->task_id);
        break;
    case SWKI_AGENT_LEFT:
        break; /* a person would look after it */
    }
}

swk_time sim_node_deadline(const struct sim_node *node)
{
    return node->agent != NULL ? swki_agent_deadline(node->agent) : SWK_NEVER;
}

void sim_node_turn(struct sim_node *node)
{
    if (node->agent == NULL) {
        return;
    }
    if (swki_agent_deadline(node->agent) <= node->sim->now) {
        swki_agent_expire(node->agent, node->sim->now, sim_wall(node->sim));
    }
    for (const struct swki_agent_action *action =
             swki_agent_actions(node->agent);
         action != NULL; action = action->next) {
        run_action(node, action);
    }
    swki_agent_clear_actions(node->agent);
    sim_check_node(node);
}

/* -- Life ----------------------------------------------------------------- */

struct sim_node *sim_node_by_name(struct sim *sim, const char *name)
{
    for (size_t i = 0; i < sim->nodes_count; i++) {
        if (strcmp(sim->nodes[i]->name, name) == 0) {
            return sim->nodes[i];
        }
    }
    return NULL;
}

/* What an executor does for an agent that lost its state. */
static void sweep(struct sim_node *node)
{
    struct sim_workload *w;
    size_t cursor = 0;

    while ((w = swki_map_next(&node->workloads, &cursor)) != NULL) {
        w->operation = 0;
        w->operation_life++;
        if (w->running && swki_map_get(&node->stored, w->id) == NULL) {
            sim_exit_workload(w, EXIT_KILL);
        }
    }
}

static void describe(struct sim_node *node, struct swki_buf *out)
{
    Swkpb__NodeDescription description = SWKPB__NODE_DESCRIPTION__INIT;
    Swkpb__Platform platform = SWKPB__PLATFORM__INIT;
    Swkpb__Resources resources = SWKPB__RESOURCES__INIT;

    platform.architecture = (char *)"x86_64";
    platform.os = (char *)"linux";
    resources.nano_cpus = INT64_C(4000000000);
    resources.memory_bytes = INT64_C(8) << 30;
    description.hostname = node->name;
    description.platform = &platform;
    description.resources = &resources;
    if (swki_message_pack(&description.base, out, NULL) != 0) {
        abort();
    }
}

static void restore(struct sim_node *node)
{
    struct sim_stored *stored;
    struct swk_error err;
    size_t cursor = 0;

    while ((stored = swki_map_next(&node->stored, &cursor)) != NULL) {
        if (swki_agent_restore(node->agent, stored->data, stored->len, &err) !=
            0) {
            sim_broken(node->sim, "%s refuses what it stored: %s", node->name,
                       err.text);
        }
    }
}

void sim_start_agent(struct sim_node *node)
{
    const struct swki_agent_config config = {
        .logger = &node->logger.port,
        .node_id = node->id,
        .seed = swki_rng_next(&node->sim->rng),
    };
    struct swki_buf buf;

    sim_trace(node->sim, node->name, "starts");
    if (swki_agent_new(&config, &node->agent, NULL) != 0) {
        abort();
    }
    restore(node);
    sweep(node);
    swki_buf_init(&buf, NULL, SIZE_MAX);
    describe(node, &buf);
    if (swki_agent_start(node->agent, node->sim->now, sim_wall(node->sim),
                         buf.data, buf.len, NULL) != 0) {
        abort();
    }
    swki_buf_fini(&buf);
    sim_node_turn(node);
}

static void log_record(void *ctx, const struct swk_log_record *record)
{
    const struct sim_logger *logger = ctx;

    sim_trace(logger->sim, logger->name, "%s: %s", record->module,
              record->message);
}

/* The token that lets workers in; NULL before the swarm is founded. */
static char *worker_token(const struct sim *sim)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *cluster;
    struct swki_cursor cursor;
    char *token = NULL;

    if (swki_view_find(sim_view(sim), SWKI_KIND_CLUSTER, &all, &cursor, NULL) !=
        0) {
        return NULL;
    }
    cluster = swki_cursor_next(&cursor);
    if (cluster != NULL) {
        token = swki_cluster(cluster)->root_ca->join_tokens->worker;
    }
    swki_cursor_close(&cursor);
    return token;
}

static bool take_node_id(const struct sim *sim, char *out_id)
{
    struct swki_arena arena;
    ProtobufCMessage *message;
    int rc;

    swki_arena_init(&arena, NULL, SIZE_MAX);
    rc = swki_message_unpack(&swkpb__issue_node_certificate_response__descriptor,
                             sim->client.reply, sim->client.reply_len, &arena,
                             &message, NULL);
    if (rc == 0) {
        snprintf(out_id, SWK_ID_LEN_MAX + 1, "%s",
                 ((Swkpb__IssueNodeCertificateResponse *)message)->node_id);
    }
    swki_arena_fini(&arena);
    return rc == 0;
}

static bool join(struct sim *sim, char *out_id)
{
    Swkpb__IssueNodeCertificateRequest request =
        SWKPB__ISSUE_NODE_CERTIFICATE_REQUEST__INIT;
    struct swki_credentials credentials;
    struct swki_buf csr;
    bool asked = false;

    swki_buf_init(&csr, NULL, SIZE_MAX);
    swki_credentials_init(&credentials, NULL);
    request.token = worker_token(sim);
    if (request.token != NULL &&
        swki_credentials_new_key(&credentials, &sim->entropy, &csr, NULL) ==
            0) {
        request.csr.data = csr.data;
        request.csr.len = csr.len;
        sim_client_call(sim, "/docker.swarmkit.v1.NodeCA/IssueNodeCertificate",
                        &request.base);
        asked = true;
    }
    swki_credentials_fini(&credentials);
    swki_buf_fini(&csr);
    return asked && sim_wait(sim) && sim->client.status == 0 &&
           take_node_id(sim, out_id);
}

struct sim_node *sim_add_node(struct sim *sim, const char *name)
{
    struct sim_node *node;

    if (sim->nodes_count == SIM_NODES_MAX) {
        return NULL;
    }
    node = calloc(1, sizeof(*node));
    assert(node != NULL);
    node->sim = sim;
    snprintf(node->name, sizeof(node->name), "%s", name);
    snprintf(node->logger.name, sizeof(node->logger.name), "%s", name);
    node->logger.sim = sim;
    node->logger.port = (struct swk_logger){
        sizeof(struct swk_logger), &node->logger, SWK_LOG_INFO, log_record};
    swki_map_init(&node->stored, NULL);
    swki_map_init(&node->workloads, NULL);
    swki_map_init(&node->given, NULL);
    if (!join(sim, node->id)) {
        sim_node_fini(node);
        free(node);
        return NULL;
    }
    sim_name(sim, node->id, name);
    sim->nodes[sim->nodes_count++] = node;
    sim_start_agent(node);
    return node;
}

static void end_process(struct sim_node *node)
{
    swki_agent_free(node->agent);
    node->agent = NULL;
    node->connection = 0;
    node->connected = false;
    node->lives++;
}

void sim_kill_agent(struct sim_node *node)
{
    if (node->agent == NULL) {
        return;
    }
    sim_trace(node->sim, node->name, "killed");
    disconnect(node);
    end_process(node);
}

static void drop_held_out(struct sim_node *node)
{
    while (node->held != NULL) {
        struct sim_event *next = node->held->next;

        sim_event_free(node->held);
        node->held = next;
    }
}

void sim_kill_node(struct sim_node *node)
{
    struct sim_workload *w;
    size_t cursor = 0;

    sim_trace(node->sim, node->name, "loses power");
    end_process(node);
    drop_held_out(node);
    while ((w = swki_map_next(&node->workloads, &cursor)) != NULL) {
        if (w->running) {
            sim_exit_workload(w, EXIT_KILL);
        }
    }
}

void sim_node_fini(struct sim_node *node)
{
    void *item;
    size_t cursor = 0;

    swki_agent_free(node->agent);
    node->agent = NULL;
    while ((item = swki_map_next(&node->stored, &cursor)) != NULL) {
        free(item);
    }
    cursor = 0;
    while ((item = swki_map_next(&node->workloads, &cursor)) != NULL) {
        free(item);
    }
    sim_forget_given(node);
    swki_map_fini(&node->given);
    swki_map_fini(&node->stored);
    swki_map_fini(&node->workloads);
}
