/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/sim_swarm.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define START_WALL (INT64_C(1700000000) * 1000000000)

enum {
    STEPS_MAX = 100000, /* at one time, then the swarm turns in a circle */
};

/* -- Events --------------------------------------------------------------- */

struct sim_event *sim_event_new(enum sim_event_type type)
{
    struct sim_event *event = calloc(1, sizeof(*event));

    assert(event != NULL);
    event->type = type;
    return event;
}

void sim_event_free(struct sim_event *event)
{
    free(event->data);
    free(event);
}

static void free_events(struct sim_event *event)
{
    while (event != NULL) {
        struct sim_event *next = event->next;

        sim_event_free(event);
        event = next;
    }
}

void sim_post(struct sim *sim, struct sim_event *event, swk_time delay)
{
    struct sim_event **place = &sim->events;

    event->at = sim->now + delay;
    while (*place != NULL && (*place)->at <= event->at) {
        place = &(*place)->next;
    }
    event->next = *place;
    *place = event;
}

static void append_event(struct sim_event **list, struct sim_event *event)
{
    while (*list != NULL) {
        list = &(*list)->next;
    }
    event->next = NULL;
    *list = event;
}

/* Like sim_post(), a random time later, but not before *last. */
static void post_in_order(struct sim *sim, struct sim_event *event,
                          swk_time delay, swk_time *last)
{
    delay += swki_rng_below(&sim->rng, sim->jitter_ns);
    if (sim->now + delay < *last) {
        delay = *last - sim->now;
    }
    *last = sim->now + delay;
    sim_post(sim, event, delay);
}

static bool goes_out(enum sim_event_type type)
{
    return type == SIM_CONNECT || type == SIM_CALL || type == SIM_CANCEL ||
           type == SIM_CLOSED;
}

void sim_send(struct sim *sim, struct sim_event *event)
{
    struct sim_node *node = event->node;
    bool out = goes_out(event->type);

    if (out ? node->cut_out : node->cut_in) {
        append_event(&node->held, event);
    } else {
        post_in_order(sim, event, sim->network_ns,
                      out ? &node->last_out : &node->last_in);
    }
}

void sim_cut(struct sim_node *node, bool out, bool in)
{
    node->cut_out = node->cut_out || out;
    node->cut_in = node->cut_in || in;
}

void sim_heal(struct sim_node *node)
{
    struct sim_event *event = node->held;

    node->cut_out = false;
    node->cut_in = false;
    node->held = NULL;
    while (event != NULL) {
        struct sim_event *next = event->next;

        sim_send(node->sim, event);
        event = next;
    }
}

/* -- Ports ---------------------------------------------------------------- */

static swk_time clock_now(void *ctx)
{
    return ((const struct sim *)ctx)->now;
}

swk_wall sim_wall(const struct sim *sim)
{
    return START_WALL + (swk_wall)sim->now;
}

static swk_wall clock_wall(void *ctx)
{
    return sim_wall(ctx);
}

static int fill(void *ctx, void *out_data, size_t len)
{
    struct sim *sim = ctx;

    swki_rng_fill(&sim->entropy_rng, out_data, len);
    return 0;
}

static void disk_written(void *ctx, uint64_t ticket)
{
    struct sim *sim = ctx;
    struct sim_event *event = sim_event_new(SIM_STORED);

    event->call_id = ticket;
    event->life = sim->manager_lives;
    if (sim->disk_held) {
        append_event(&sim->disk_events, event);
    } else {
        post_in_order(sim, event, sim->disk_ns, &sim->last_write);
    }
}

void sim_hold_disk(struct sim *sim)
{
    sim->disk_held = true;
}

void sim_release_disk(struct sim *sim)
{
    struct sim_event *event = sim->disk_events;

    sim->disk_held = false;
    sim->disk_events = NULL;
    while (event != NULL) {
        struct sim_event *next = event->next;

        post_in_order(sim, event, sim->disk_ns, &sim->last_write);
        event = next;
    }
}

/* -- The manager ---------------------------------------------------------- */

static struct sim_call *find_call(struct sim *sim, uint64_t id)
{
    struct sim_call *call = sim->calls;

    while (call != NULL && call->id != id) {
        call = call->next;
    }
    return call;
}

static void drop_call(struct sim *sim, const struct sim_call *call)
{
    struct sim_call **place = &sim->calls;

    while (*place != call) {
        place = &(*place)->next;
    }
    *place = call->next;
    free((void *)call);
}

static void answer_node(struct sim *sim, const struct sim_call *call,
                        const struct swki_answer *answer,
                        enum sim_event_type type)
{
    struct sim_event *event = sim_event_new(type);

    event->node = call->node;
    event->life = call->connection;
    event->call_id = call->call_id;
    if (type == SIM_MESSAGE) {
        event->data = malloc(answer->message_len + 1);
        assert(event->data != NULL);
        memcpy(event->data, answer->message, answer->message_len);
        event->len = answer->message_len;
    } else {
        event->status = (int)answer->status;
        snprintf(event->text, sizeof(event->text), "%s", answer->text);
    }
    sim_send(sim, event);
}

static void answer_client(struct sim *sim, const struct sim_call *call,
                          const struct swki_answer *answer)
{
    struct sim_event *event = sim_event_new(SIM_CLIENT_REPLY);

    event->call_id = call->call_id;
    event->status = (int)answer->status;
    snprintf(event->text, sizeof(event->text), "%s",
             answer->text != NULL ? answer->text : "");
    event->data = malloc(answer->message_len + 1);
    assert(event->data != NULL);
    if (answer->message_len > 0) {
        memcpy(event->data, answer->message, answer->message_len);
    }
    event->len = answer->message_len;
    sim_post(sim, event, sim->network_ns);
}

static void take_answer(void *ctx, const struct swki_answer *answer)
{
    struct sim *sim = ctx;
    struct sim_call *call = find_call(sim, answer->call_id);

    if (call == NULL) {
        return; /* the caller is gone */
    }
    if (call->node == NULL) {
        answer_client(sim, call, answer);
    } else {
        if (answer->message != NULL) {
            sim_check_sent(call->node, call->path, answer->message,
                           answer->message_len);
            answer_node(sim, call, answer, SIM_MESSAGE);
        }
        if (answer->end) {
            answer_node(sim, call, answer, SIM_ENDED);
        }
    }
    if (answer->end) {
        drop_call(sim, call);
    }
}

static void turn_manager(struct sim *sim)
{
    const struct swk_error *failure;

    sim->manager_deadline = swki_manager_turn(sim->manager, sim->now);
    failure = swki_manager_failure(sim->manager);
    if (failure != NULL) {
        sim_broken(sim, "the manager failed: %s", failure->text);
    }
}

static const char *const own_addresses[] = {"192.0.2.1:4242"};

void sim_start_manager(struct sim *sim)
{
    struct swki_manager_config config = {
        .logger = &sim->manager_logger.port,
        .clock = &sim->clock,
        .entropy = &sim->entropy,
        .storage = &sim->storage.port,
        .node_id = sim->credentials.identity.node_id,
        .swarm_id = sim->credentials.identity.swarm_id,
        .addresses = own_addresses,
        .addresses_count = 1,
        .seed = swki_rng_next(&sim->rng),
        .answer = take_answer,
        .answer_ctx = sim,
        .sign = sim_sign,
        .sign_ctx = sim,
    };
    struct swk_error err = {0};

    if (swki_view_count(sim_view(sim), SWKI_KIND_CLUSTER) == 0 &&
        swki_founding_objects(&sim->founding, &sim->credentials, NULL,
                              &sim->entropy, &config.cluster, &config.node,
                              &err) != 0) {
        sim_broken(sim, "no founding objects: %s", err.text);
        return;
    }
    sim_trace(sim, "m1", "starts");
    if (swki_manager_new(&config, &sim->manager, &err) != 0) {
        sim_broken(sim, "the manager does not start: %s", err.text);
        swki_object_unref(config.cluster);
        swki_object_unref(config.node);
        return;
    }
    if (swki_manager_raft_id(sim->manager) == 0 &&
        swki_manager_found(sim->manager, 1, &err) != 0) {
        sim_broken(sim, "the manager founds no swarm: %s", err.text);
        return;
    }
    turn_manager(sim);
}

/* The kernel closes what the process had open. */
static void reset_connection(struct sim_node *node, uint64_t connection,
                             const char *why)
{
    struct sim_event *event = sim_event_new(SIM_DISCONNECTED);

    event->node = node;
    event->life = connection;
    snprintf(event->text, sizeof(event->text), "%s", why);
    sim_send(node->sim, event);
}

static void drop_calls(struct sim *sim)
{
    while (sim->calls != NULL) {
        drop_call(sim, sim->calls);
    }
}

size_t sim_disk_pending(const struct sim *sim)
{
    size_t count = 0;

    for (const struct sim_event *e = sim->events; e != NULL; e = e->next) {
        count += e->type == SIM_STORED && e->life == sim->manager_lives;
    }
    for (const struct sim_event *e = sim->disk_events; e != NULL;
         e = e->next) {
        count++;
    }
    return count;
}

/* The ticket of the write that is the last of `kept` ones; 0 for none. */
static uint64_t kept_ticket(const struct sim *sim, size_t kept)
{
    uint64_t ticket = 0;

    for (const struct sim_event *e = sim->events; e != NULL && kept > 0;
         e = e->next) {
        if (e->type == SIM_STORED && e->life == sim->manager_lives) {
            ticket = e->call_id;
            kept--;
        }
    }
    for (const struct sim_event *e = sim->disk_events; e != NULL && kept > 0;
         e = e->next) {
        ticket = e->call_id;
        kept--;
    }
    return ticket;
}

void sim_kill_manager(struct sim *sim, size_t kept)
{
    uint64_t ticket = kept_ticket(sim, kept);

    sim_trace(sim, "m1", "killed");
    swki_manager_free(sim->manager);
    sim->manager = NULL;
    sim->manager_deadline = SWK_NEVER;
    sim->manager_lives++;
    drop_calls(sim);
    free_events(sim->disk_events);
    sim->disk_events = NULL;
    sim->disk_held = false;
    sim_storage_crash(&sim->storage, ticket);
    sim_observe(sim);
    for (size_t i = 0; i < sim->nodes_count; i++) {
        if (sim->nodes[i]->server_connection != 0) {
            reset_connection(sim->nodes[i],
                             sim->nodes[i]->server_connection,
                             "connection reset");
            sim->nodes[i]->server_connection = 0;
        }
    }
    if (sim->client.waiting) {
        sim_client_reply(sim, SWKI_STATUS_UNAVAILABLE, "connection reset",
                         NULL, 0);
    }
}

static void call_manager(struct sim *sim, const struct sim_event *event,
                         const struct swki_caller *caller)
{
    struct sim_call *call = calloc(1, sizeof(*call));
    struct swki_manager_call manager_call = {
        .path = event->path,
        .caller = caller,
        .request = event->data,
        .request_len = event->len,
    };

    assert(call != NULL);
    call->id = ++sim->last_call;
    call->node = event->node;
    snprintf(call->path, sizeof(call->path), "%s", event->path);
    call->connection = event->life;
    call->call_id = event->call_id;
    call->next = sim->calls;
    sim->calls = call;
    manager_call.id = call->id;
    swki_manager_call(sim->manager, sim->now, &manager_call);
}

static void node_calls(struct sim *sim, const struct sim_event *event)
{
    const struct swki_caller caller = {
        .node_id = event->node->id,
        .swarm_id = sim->credentials.identity.swarm_id,
        .role = SWKI_ROLE_WORKER,
        .address = "192.0.2.2:50000",
        .request_id = "",
    };

    call_manager(sim, event, &caller);
}

static void client_calls(struct sim *sim, const struct sim_event *event)
{
    const struct swki_caller local = {
        .node_id = "",
        .swarm_id = "",
        .local = true,
        .address = "",
        .request_id = sim->client.request_id,
    };
    /* As a node that has no certificate yet. */
    const struct swki_caller stranger = {
        .node_id = "",
        .swarm_id = "",
        .address = "192.0.2.3:50000",
        .request_id = "",
    };
    bool joins = strstr(event->path, "NodeCA") != NULL;

    if (sim->manager == NULL) {
        sim_client_reply(sim, SWKI_STATUS_UNAVAILABLE, "connection refused",
                         NULL, 0);
        return;
    }
    call_manager(sim, event, joins ? &stranger : &local);
    turn_manager(sim);
}

/* Ends the calls of a connection, or the one call of it. */
static void cancel_calls(struct sim *sim, const struct sim_event *event)
{
    struct sim_call *next;

    for (struct sim_call *call = sim->calls; call != NULL; call = next) {
        next = call->next;
        if (call->node == event->node && call->connection == event->life &&
            (event->type == SIM_CLOSED || call->call_id == event->call_id)) {
            swki_manager_cancel(sim->manager, call->id);
            drop_call(sim, call);
        }
    }
}

static void accept_connection(struct sim *sim, const struct sim_event *event)
{
    struct sim_event *reply = sim_event_new(SIM_CONNECTED);

    event->node->server_connection = event->life;
    reply->node = event->node;
    reply->life = event->life;
    sim_send(sim, reply);
}

/* What comes from a node. */
static void manager_event(struct sim *sim, const struct sim_event *event)
{
    struct sim_node *node = event->node;

    if (sim->manager == NULL) {
        if (event->type != SIM_CLOSED) {
            reset_connection(node, event->life,
                             event->type == SIM_CONNECT ? "connection refused"
                                                        : "connection reset");
        }
        return;
    }
    if (event->type == SIM_CONNECT) {
        accept_connection(sim, event);
        return;
    }
    if (event->type == SIM_CALL && node->server_connection != event->life) {
        reset_connection(node, event->life, "connection reset");
        return;
    }
    if (event->type == SIM_CALL) {
        node_calls(sim, event);
    } else {
        cancel_calls(sim, event);
        if (event->type == SIM_CLOSED &&
            node->server_connection == event->life) {
            node->server_connection = 0;
        }
    }
    turn_manager(sim);
}

static void stored(struct sim *sim, const struct sim_event *event)
{
    if (event->life == sim->manager_lives && sim->manager != NULL) {
        sim_storage_sync(&sim->storage, event->call_id);
        sim_observe(sim);
        swki_manager_stored(sim->manager, event->call_id, 0, NULL);
        turn_manager(sim);
    }
}

/* -- The loop ------------------------------------------------------------- */

static void dispatch(struct sim *sim, struct sim_event *event)
{
    switch (event->type) {
    case SIM_STORED:
        stored(sim, event);
        break;
    case SIM_SIGNED:
        sim_signed(sim, event);
        if (sim->manager != NULL) {
            turn_manager(sim);
        }
        break;
    case SIM_CONNECT:
    case SIM_CALL:
    case SIM_CANCEL:
    case SIM_CLOSED:
        manager_event(sim, event);
        break;
    case SIM_CLIENT_CALL:
        client_calls(sim, event);
        break;
    case SIM_CLIENT_REPLY:
        if (event->call_id == sim->client.last_id && sim->client.waiting) {
            sim_client_reply(sim, event->status, event->text, event->data,
                             event->len);
        }
        break;
    case SIM_CONNECTED:
    case SIM_MESSAGE:
    case SIM_ENDED:
    case SIM_DISCONNECTED:
    case SIM_CONNECT_TIMEOUT:
    case SIM_OPERATION:
    case SIM_EXIT:
        sim_node_event(event->node, event);
        break;
    }
}

static swk_time next_time(const struct sim *sim)
{
    swk_time next = sim->events != NULL ? sim->events->at : SWK_NEVER;

    if (sim->manager != NULL && sim->manager_deadline < next) {
        next = sim->manager_deadline;
    }
    for (size_t i = 0; i < sim->nodes_count; i++) {
        swk_time deadline = sim_node_deadline(sim->nodes[i]);

        next = deadline < next ? deadline : next;
    }
    return next;
}

static void count_step(struct sim *sim, swk_time next)
{
    if (next > sim->now) {
        sim->now = next;
        sim->steps = 0;
    } else if (++sim->steps > STEPS_MAX) {
        sim_broken(sim, "no time passes any more");
    }
}

/* Does one thing that is due by `until`; false if there is none. */
static bool step(struct sim *sim, swk_time until)
{
    swk_time next = next_time(sim);

    if (next > until || sim->broken[0] != '\0') {
        return false;
    }
    count_step(sim, next);
    if (sim->events != NULL && sim->events->at <= sim->now) {
        struct sim_event *event = sim->events;

        sim->events = event->next;
        dispatch(sim, event);
        sim_event_free(event);
        return true;
    }
    if (sim->manager != NULL && sim->manager_deadline <= sim->now) {
        turn_manager(sim);
        return true;
    }
    for (size_t i = 0; i < sim->nodes_count; i++) {
        if (sim_node_deadline(sim->nodes[i]) <= sim->now) {
            sim_node_turn(sim->nodes[i]);
            break;
        }
    }
    return true;
}

void sim_advance(struct sim *sim, swk_time span)
{
    swk_time until = sim->now + span;

    while (step(sim, until)) {
        ;
    }
    if (sim->broken[0] == '\0') {
        sim->now = until;
    }
}

bool sim_wait(struct sim *sim)
{
    swk_time until = sim->now + 30 * SWK_SECOND;

    while (sim->client.waiting && step(sim, until)) {
        ;
    }
    return !sim->client.waiting;
}

/* -- Life ----------------------------------------------------------------- */

static int found(struct sim *sim)
{
    struct swki_identity *identity = &sim->credentials.identity;
    struct swk_error err;

    swki_rng_id(&sim->rng, identity->node_id);
    swki_rng_id(&sim->rng, identity->swarm_id);
    identity->role = SWKI_ROLE_MANAGER;
    sim_name(sim, identity->node_id, "m1");
    sim->founding.unsettled = true;
    return swki_credentials_new_root(&sim->credentials, sim_wall(sim),
                                     &sim->entropy, &sim->founding.root_key,
                                     &err);
}

static void log_record(void *ctx, const struct swk_log_record *record)
{
    const struct sim_logger *logger = ctx;

    sim_trace(logger->sim, logger->name, "%s: %s", record->module,
              record->message);
}

struct sim *sim_new(uint64_t seed)
{
    struct sim *sim = calloc(1, sizeof(*sim));

    assert(sim != NULL);
    swki_rng_init(&sim->rng, seed);
    swki_rng_init(&sim->entropy_rng, seed + 1);
    sim->clock = (struct swk_clock){sizeof(sim->clock), sim, clock_now,
                                    clock_wall};
    sim->entropy = (struct swk_entropy){sizeof(sim->entropy), sim, fill};
    sim->network_ns = SWK_MILLISECOND;
    sim->disk_ns = 2 * SWK_MILLISECOND;
    sim->manager_deadline = SWK_NEVER;
    sim->manager_logger.sim = sim;
    sim->manager_logger.port = (struct swk_logger){
        sizeof(struct swk_logger), &sim->manager_logger, SWK_LOG_INFO,
        log_record};
    snprintf(sim->manager_logger.name, SIM_NAME_SIZE, "m1");
    swki_buf_init(&sim->trace, NULL, SIZE_MAX);
    swki_map_init(&sim->names, NULL);
    sim_storage_init(&sim->storage, disk_written, sim);
    swki_credentials_init(&sim->credentials, NULL);
    swki_founding_init(&sim->founding, NULL);
    if (!sim_observer_start(sim) || found(sim) != 0) {
        sim_free(sim);
        return NULL;
    }
    return sim;
}

void sim_free(struct sim *sim)
{
    if (sim == NULL) {
        return;
    }
    swki_manager_free(sim->manager);
    drop_calls(sim);
    for (size_t i = 0; i < sim->nodes_count; i++) {
        free_events(sim->nodes[i]->held);
        sim_node_fini(sim->nodes[i]);
        free(sim->nodes[i]);
    }
    free_events(sim->events);
    free_events(sim->disk_events);
    sim_client_fini(sim);
    sim_observer_stop(sim);
    sim_storage_fini(&sim->storage);
    swki_credentials_fini(&sim->credentials);
    swki_founding_fini(&sim->founding);
    swki_buf_fini(&sim->trace);
    sim_names_fini(sim);
    free(sim);
}
