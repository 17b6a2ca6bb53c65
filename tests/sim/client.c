/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Clients: one operation at a time, asked of whichever member they believe
 * leads, repeated under the same number until there is an answer, or given up.
 */

#include "sim/sim.h"

enum {
    ATTEMPTS_MAX = 12,
};

static void wake_later(struct sim *sim, size_t number, swk_time after)
{
    struct client *client = &sim->clients[number];
    struct event *event = sim_event(sim, EVENT_CLIENT, number);

    event->u.number = ++client->wake;
    sim_post(sim, sim->now + after, event);
}

static swk_time draw(struct sim *sim, swk_time mean)
{
    return 1 + swki_rng_below(&sim->client_rng, 2 * mean);
}

/* -- Operations ----------------------------------------------------------- */

/* Values of the store's objects are never used twice, so that a value stands
 * for a version. */
static void choose_store(struct sim *sim, size_t number)
{
    struct swki_rng *rng = &sim->client_rng;
    struct client *client = &sim->clients[number];
    struct request *op = &client->op;
    int64_t fresh =
        (int64_t)(client->number + 1) << 8 | (int64_t)number | 1 << 7;

    if (!client->seen[op->key].known ||
        swki_rng_below(rng, 100) < sim->s.reads_percent) {
        op->kind = LINEAR_READ;
        return;
    }
    op->kind = LINEAR_WRITE;
    op->a = fresh;
    if (swki_rng_below(rng, 4) != 0) {
        op->kind = LINEAR_CAS;
        op->a = client->seen[op->key].value;
        op->version = client->seen[op->key].version;
        op->b = op->a != 0 && swki_rng_below(rng, 4) == 0 ? 0 : fresh;
    }
}

static void choose(struct sim *sim, size_t number)
{
    struct swki_rng *rng = &sim->client_rng;
    struct request *op = &sim->clients[number].op;

    op->key = (uint32_t)swki_rng_below(rng, sim->s.keys);
    if (sim->s.use_store) {
        choose_store(sim, number);
        return;
    }
    op->a = (int64_t)swki_rng_below(rng, 5);
    op->b = (int64_t)swki_rng_below(rng, 5);
    if (swki_rng_below(rng, 100) < sim->s.reads_percent) {
        op->kind = LINEAR_READ;
    } else {
        static const enum linear_kind kinds[] = {LINEAR_WRITE, LINEAR_ADD,
                                                 LINEAR_CAS};

        op->kind = kinds[swki_rng_below(rng, 3)];
    }
}

/* What an answer tells of an object. */
static void learn(struct client *client, const struct request *reply)
{
    const struct request *op = &client->op;
    bool is_read = op->kind == LINEAR_READ;

    client->seen[op->key].known = true;
    client->seen[op->key].value = is_read                    ? reply->result
                                  : op->kind == LINEAR_WRITE ? op->a
                                                             : op->b;
    client->seen[op->key].version = reply->version;
    if (client->seen[op->key].value == 0) {
        client->seen[op->key].version = 0;
    }
}

static bool read_anywhere(struct sim *sim, const struct client *client)
{
    return sim->s.reads_anywhere_percent > 0 &&
           client->op.kind == LINEAR_READ &&
           swki_rng_below(&sim->client_rng, 100) <
               sim->s.reads_anywhere_percent;
}

static void send(struct sim *sim, size_t number)
{
    struct client *client = &sim->clients[number];
    size_t target = client->target;
    struct event *event;

    if (read_anywhere(sim, client)) {
        target = (size_t)swki_rng_below(&sim->client_rng, sim->members_count);
    }
    event = sim_event(sim, EVENT_REQUEST, target);
    client->stage = CLIENT_WAITS;
    client->attempt++;
    client->attempts++;
    client->op.client = (uint32_t)number;
    client->op.request = client->number;
    client->op.attempt = client->attempt;
    event->u.request = client->op;
    net_client(sim, event);
    wake_later(sim, number, draw(sim, 2 * sim_election(sim)));
}

static void begin(struct sim *sim, size_t number)
{
    struct client *client = &sim->clients[number];

    choose(sim, number);
    if (client->op.kind != LINEAR_READ) {
        client->number++; /* only writes are remembered by it */
    }
    client->attempts = 0;
    client->maybe_logged = false;
    client->handle = linear_begin(&sim->keys[client->op.key], client->op.kind,
                                  client->op.a, client->op.b);
    send(sim, number);
}

static void rest_or_go_on(struct sim *sim, size_t number)
{
    struct client *client = &sim->clients[number];

    client->stage = CLIENT_IDLE;
    if (sim->resting) {
        client->finished = true;
        sim->clients_stopped++;
    } else {
        wake_later(sim, number, draw(sim, sim->s.op_interval));
    }
}

static void judge(struct sim *sim, uint32_t key)
{
    if (sim->keys[key].verdict == LINEAR_BROKEN) {
        sim_broken(sim, "23 linearizability",
                   "no order of the operations on key %u explains what their "
                   "clients saw",
                   key);
    }
}

/* Nobody waits for it any more. A read has no effect, a write may have. */
static void give_up(struct sim *sim, size_t number)
{
    struct client *client = &sim->clients[number];
    struct linear *linear = &sim->keys[client->op.key];

    sim->stats.abandoned++;
    if (client->handle >= 0) {
        if (client->op.kind == LINEAR_READ || !client->maybe_logged) {
            linear_withdraw(linear, client->handle);
        } else {
            linear_orphan(linear, client->handle);
        }
    }
    judge(sim, client->op.key);
    rest_or_go_on(sim, number);
}

static void try_again(struct sim *sim, size_t number)
{
    struct client *client = &sim->clients[number];

    if (client->attempts >= ATTEMPTS_MAX) {
        give_up(sim, number);
        return;
    }
    if (swki_rng_below(&sim->client_rng, 2) == 0) {
        client->target =
            (size_t)swki_rng_below(&sim->client_rng, sim->members_count);
    }
    send(sim, number);
}

void client_wake(struct sim *sim, size_t number, uint64_t generation)
{
    struct client *client = &sim->clients[number];

    if (client->wake != generation || client->finished) {
        return;
    }
    switch (client->stage) {
    case CLIENT_IDLE:
        if (sim->resting) {
            rest_or_go_on(sim, number);
        } else {
            begin(sim, number);
        }
        break;
    case CLIENT_WAITS: /* for too long: who knows what became of it */
        client->maybe_logged = true;
        try_again(sim, number);
        break;
    case CLIENT_BACKS_OFF:
        try_again(sim, number);
        break;
    }
}

static bool certainly_refused(int code)
{
    return code == SWK_ENOTLEADER || code == SWK_EUNAVAILABLE ||
           code == SWK_ELIMIT || code == SWK_EINVAL ||
           code == SWK_EPRECONDITION || code == SWK_EBUSY;
}

void client_reply(struct sim *sim, const struct request *reply)
{
    struct client *client = &sim->clients[reply->client];
    struct member *leader = sim_by_id(sim, reply->hint);
    bool current = reply->attempt == client->attempt;

    if (client->stage == CLIENT_IDLE || reply->request != client->number ||
        (!current &&
         (reply->code != SWK_OK || client->op.kind == LINEAR_READ))) {
        return;
    }
    if (reply->code == SWK_OK) {
        sim->stats.operations++;
        sim->stats.reads += client->op.kind == LINEAR_READ;
        if (client->handle >= 0) {
            linear_end(&sim->keys[client->op.key], client->handle,
                       reply->result);
        }
        learn(client, reply);
        judge(sim, client->op.key);
        rest_or_go_on(sim, reply->client);
        return;
    }
    if (client->stage != CLIENT_WAITS) {
        return;
    }
    if (reply->code == SWK_ECONFLICT) {
        /* By what the leader has proposed so far: no answer to rely on. */
        client->seen[client->op.key].known = false;
        give_up(sim, reply->client);
        return;
    }
    client->maybe_logged =
        client->maybe_logged || !certainly_refused(reply->code);
    if (leader != NULL) {
        client->target = leader->slot;
    }
    client->stage = CLIENT_BACKS_OFF;
    wake_later(sim, reply->client, draw(sim, sim->s.tick_ns));
}

/* -- All ------------------------------------------------------------------ */

void clients_start(struct sim *sim)
{
    for (size_t i = 0; i < sim->s.clients; i++) {
        sim->clients[i].target =
            (size_t)swki_rng_below(&sim->client_rng, sim->members_count);
        wake_later(sim, i, draw(sim, sim->s.op_interval));
    }
}

void clients_check(struct sim *sim)
{
    for (uint32_t key = 0; key < sim->s.keys; key++) {
        (void)linear_check(&sim->keys[key]);
        judge(sim, key);
    }
}
