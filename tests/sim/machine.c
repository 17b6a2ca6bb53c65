/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The state machine of a member: registers, and the newest answer to each
 * client, by which a request that is in the log twice takes effect once.
 */

#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC UINT32_C(0x53494d21)

/* What a proposal holds; padding follows. */
struct command {
    uint32_t magic;
    uint32_t client;
    uint32_t request;
    uint32_t kind;
    uint32_t key;
    uint32_t unused;
    int64_t a;
    int64_t b;
};

struct session {
    uint32_t request; /* the newest that was applied */
    uint32_t unused;
    int64_t result;
};

struct state {
    int64_t values[KEYS_MAX];
    struct session sessions[CLIENTS_MAX];
};

struct machine {
    struct member *member;
    struct store_machine *store; /* NULL: registers */
    struct state state;
};

struct machine *machine_new(struct member *m)
{
    struct machine *machine = calloc(1, sizeof(*machine));

    if (machine == NULL) {
        abort();
    }
    machine->member = m;
    if (m->sim->s.use_store) {
        machine->store = store_machine_new(m);
    }
    return machine;
}

void machine_free(struct machine *machine)
{
    if (machine != NULL) {
        store_machine_free(machine->store);
        free(machine);
    }
}

/* -- Commands ------------------------------------------------------------- */

static bool read_command(const struct blob *blob, struct command *out)
{
    if (blob->entry.type != SWK_RAFT_ENTRY_NORMAL ||
        blob->entry.data_len < sizeof(*out)) {
        return false;
    }
    memcpy(out, blob->entry.data, sizeof(*out));
    return out->magic == MAGIC && out->client < CLIENTS_MAX &&
           out->key < KEYS_MAX;
}

bool machine_is_request(const struct blob *blob, uint32_t client,
                        uint32_t request)
{
    struct command command;

    return read_command(blob, &command) && command.client == client &&
           command.request == request;
}

static int64_t execute(struct state *state, const struct command *command)
{
    int64_t *value = &state->values[command->key];

    switch ((enum linear_kind)command->kind) {
    case LINEAR_WRITE:
        *value = command->a;
        return 0;
    case LINEAR_ADD:
        *value += command->a;
        return *value;
    case LINEAR_CAS:
        if (*value != command->a) {
            return 0;
        }
        *value = command->b;
        return 1;
    case LINEAR_READ:
        break;
    }
    return 0;
}

void machine_apply(struct machine *machine, const struct blob *blob)
{
    struct sim *sim = machine->member->sim;
    struct command command;
    struct session *session;

    if (machine->store != NULL) {
        store_machine_apply(machine->store, blob);
        return;
    }
    if (!read_command(blob, &command)) {
        return;
    }
    session = &machine->state.sessions[command.client];
    if (command.request <= session->request && sim->s.plant != PLANT_TWICE) {
        sim->stats.repeated++;
        return;
    }
    session->request = command.request;
    session->result = execute(&machine->state, &command);
}

bool machine_answer(const struct machine *machine, uint32_t client,
                    uint32_t request, int64_t *out_result,
                    uint64_t *out_version)
{
    const struct session *session = &machine->state.sessions[client];

    *out_version = 0;
    if (machine->store != NULL) {
        return store_machine_answer(machine->store, client, request, out_result,
                                    out_version);
    }
    if (session->request != request) {
        return false;
    }
    *out_result = session->result;
    return true;
}

int64_t machine_read(const struct machine *machine, uint32_t key,
                     uint64_t *out_version)
{
    *out_version = 0;
    if (machine->store != NULL) {
        return store_machine_read(machine->store, key, out_version);
    }
    return machine->state.values[key];
}

int machine_propose(struct machine *machine, const struct request *request,
                    uint64_t *out_index)
{
    struct member *m = machine->member;
    struct sim *sim = m->sim;
    const struct command command = {
        .magic = MAGIC,
        .client = request->client,
        .request = request->request,
        .kind = (uint32_t)request->kind,
        .key = request->key,
        .a = request->a,
        .b = request->b,
    };
    uint8_t data[sizeof(command) + 4096] = {0};
    size_t room = sim->s.payload_max < 4096 ? sim->s.payload_max : 4096;
    size_t len = sizeof(command) + (size_t)swki_rng_below(&sim->rng, room + 1);

    if (machine->store != NULL) {
        return store_machine_propose(machine->store, request, out_index);
    }
    memcpy(data, &command, sizeof(command));
    return swk_raft_propose(m->raft, data, len, out_index, NULL);
}

/* -- The whole ------------------------------------------------------------ */

uint64_t machine_digest(struct machine *machine)
{
    const uint8_t *bytes = (const uint8_t *)&machine->state;
    uint64_t digest = UINT64_C(0xcbf29ce484222325);

    if (machine->store != NULL) {
        return store_machine_digest(machine->store);
    }
    for (size_t i = 0; i < sizeof(machine->state); i++) {
        digest = (digest ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return digest | 1;
}

uint64_t machine_digest_at(struct machine *machine, uint64_t index)
{
    return machine->store != NULL
               ? store_machine_digest_at(machine->store, index)
               : machine_digest(machine);
}

struct snapshot *machine_save(struct machine *machine,
                              const struct swk_snapshot_meta *meta)
{
    struct snapshot *snapshot = snapshot_new(meta, sizeof(machine->state));

    if (machine->store != NULL) {
        store_machine_save(machine->store);
    } else {
        memcpy(snapshot->data, &machine->state, sizeof(machine->state));
    }
    return snapshot;
}

bool machine_save_more(struct machine *machine, struct snapshot *snapshot)
{
    return machine->store == NULL ||
           store_machine_save_more(machine->store, snapshot);
}

void machine_restore(struct machine *machine, const struct snapshot *snapshot)
{
    if (machine->store != NULL) {
        store_machine_restore(machine->store, snapshot);
    } else {
        memcpy(&machine->state, snapshot->data, sizeof(machine->state));
    }
}

/* Of registers, nothing was applied ahead of the log. */
void machine_lose_leadership(struct machine *machine)
{
    if (machine->store != NULL) {
        store_machine_lose_leadership(machine->store);
    }
}
