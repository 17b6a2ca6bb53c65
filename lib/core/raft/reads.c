/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reads that are linearizable (section 15). Each gets the commit index of the
 * moment and the next position in a sequence; heartbeats carry the newest
 * position, and when a quorum has answered one, every read up to it is
 * confirmed.
 */

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/raft/inside.h"

enum {
    ROOM_MIN = 16,
};

/* -- Queues ---------------------------------------------------------------- */

static bool grow(struct swki_machine *m, struct swki_machine_reads *queue)
{
    size_t room = queue->room == 0 ? ROOM_MIN : queue->room * 2;
    struct swki_machine_read *ring =
        swki_calloc(m->config.alloc, room, sizeof(*ring));

    if (ring == NULL) {
        return false;
    }
    for (size_t i = 0; i < queue->count; i++) {
        ring[i] = queue->ring[(queue->first + i) % queue->room];
    }
    swki_free(m->config.alloc, queue->ring);
    queue->ring = ring;
    queue->room = room;
    queue->first = 0;
    return true;
}

static bool push(struct swki_machine *m, struct swki_machine_reads *queue,
                 const struct swki_machine_read *read)
{
    if (queue->count == queue->room && !grow(m, queue)) {
        return false;
    }
    queue->ring[(queue->first + queue->count) % queue->room] = *read;
    queue->count++;
    return true;
}

/* The queue is not empty. */
static struct swki_machine_read pop(struct swki_machine_reads *queue)
{
    struct swki_machine_read read = queue->ring[queue->first];

    queue->first = (queue->first + 1) % queue->room;
    queue->count--;
    return read;
}

/* R-RDI-6 */
void swki_machine_drop_reads(struct swki_machine *m)
{
    m->reads.count = 0;
    m->postponed.count = 0;
    m->beats_count = 0;
}

void swki_machine_reads_fini(struct swki_machine *m)
{
    const struct swk_alloc *alloc = m->config.alloc;

    swki_free(alloc, m->reads.ring);
    swki_free(alloc, m->postponed.ring);
    swki_free(alloc, m->answers.items);
    swki_free(alloc, m->answers.views);
    swki_free(alloc, m->answers_out.items);
    swki_free(alloc, m->answers_out.views);
}

/* -- Answers --------------------------------------------------------------- */

static bool reserve_answer(struct swki_machine *m)
{
    struct swki_machine_answers *answers = &m->answers;
    size_t room = answers->room == 0 ? ROOM_MIN : answers->room * 2;
    struct swki_machine_read *items;
    struct swk_raft_read *views;

    if (answers->count < answers->room) {
        return true;
    }
    items = swki_realloc(m->config.alloc, answers->items, room, sizeof(*items));
    if (items == NULL) {
        return false;
    }
    answers->items = items;
    views = swki_realloc(m->config.alloc, answers->views, room, sizeof(*views));
    if (views == NULL) {
        return false;
    }
    answers->views = views;
    answers->room = room;
    return true;
}

/* R-RDI-8: to this member, or to the one that asked. Without memory it is
 * lost, and asked again. */
static void answer(struct swki_machine *m, const struct swki_machine_read *read)
{
    const struct swk_log_entry entry = {
        .data = read->context,
        .data_len = read->context_len,
    };

    if (read->from == m->config.id) {
        if (reserve_answer(m)) {
            m->answers.items[m->answers.count++] = *read;
        }
        return;
    }
    (void)swki_machine_send(m, &(struct swk_raft_message){
                                   .type = SWK_RAFT_MSG_READ_INDEX_RESP,
                                   .to = read->from,
                                   .index = read->index,
                                   .entries = &entry,
                                   .entries_count = 1,
                               });
}

void swki_machine_take_answers(struct swki_machine *m)
{
    struct swki_machine_answers out = m->answers;

    m->answers = m->answers_out;
    m->answers.count = 0;
    m->answers_out = out;
    for (size_t i = 0; i < out.count; i++) {
        out.views[i] = (struct swk_raft_read){
            .index = out.items[i].index,
            .context = out.items[i].context,
            .context_len = out.items[i].context_len,
        };
    }
}

/* -- Positions ------------------------------------------------------------- */

/* The next position, which this member itself has seen. */
static uint64_t next_position(struct swki_machine *m)
{
    struct swki_raft_progress *self = swki_machine_peer(m, m->config.id);

    m->read_position++;
    if (self != NULL) {
        self->read_position = m->read_position;
    }
    return m->read_position;
}

/* With leases every heartbeat has a position of its own, by whose answers it
 * is known when a quorum was last heard of. */
uint64_t swki_machine_beat_position(struct swki_machine *m)
{
    uint64_t position = m->reads.count > 0 ? m->read_position : 0;

    if (swki_machine_has(m, SWKI_MACHINE_LEASE_READS)) {
        position = next_position(m);
        m->beats[m->beats_count % SWKI_MACHINE_BEATS] =
            (struct swki_machine_beat){.position = position, .tick = m->ticks};
        m->beats_count++;
    }
    return position;
}

/* R-RDI-7, R-TRF-6: a quorum answered a heartbeat that was sent so lately that
 * none of it may have voted for another since. */
static bool has_lease(const struct swki_machine *m)
{
    uint64_t confirmed = swki_raft_configuration_confirmed(&m->configuration);
    uint64_t span = m->config.election_ticks - m->config.lease_margin_ticks;
    size_t count = m->beats_count < SWKI_MACHINE_BEATS ? m->beats_count
                                                       : SWKI_MACHINE_BEATS;

    if (!swki_machine_has(m, SWKI_MACHINE_LEASE_READS) ||
        m->transfer_target != 0 || m->ticks < m->lease_off_until) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (m->beats[i].position <= confirmed &&
            m->ticks < m->beats[i].tick + span) {
            return true;
        }
    }
    return false;
}

static bool sole_voter(const struct swki_machine *m)
{
    return m->configuration.incoming.count == 1 &&
           !swki_raft_configuration_joint(&m->configuration) &&
           m->configuration.incoming.ids[0] == m->config.id;
}

/* -- The leader ------------------------------------------------------------ */

/* A read of which the commit index counts (R-RDI-2). False for no memory;
 * out_ask is set if the quorum is to be asked. */
static bool take_read(struct swki_machine *m, struct swki_machine_read *read,
                      bool *out_ask)
{
    read->index = m->committed;
    if (sole_voter(m) || has_lease(m)) {
        answer(m, read);
        return true;
    }
    read->position = m->read_position + 1;
    if (!push(m, &m->reads, read)) {
        return false;
    }
    (void)next_position(m);
    *out_ask = true;
    return true;
}

static int check_read(const struct swki_machine *m, struct swk_error *err)
{
    if (m->reads.count + m->postponed.count >= m->config.pending_reads_max) {
        return swki_fail(err, SWK_EUNAVAILABLE, "raft: too many reads wait");
    }
    return SWK_OK;
}

int swki_machine_handle_read(struct swki_machine *m,
                             const struct swk_raft_message *message,
                             struct swk_error *err)
{
    const struct swk_log_entry *context = &message->entries[0];
    struct swki_machine_read read = {
        .from = message->from != 0 ? message->from : m->config.id,
        .context_len = context->data_len,
    };
    bool ask = false;
    int rc = check_read(m, err);

    if (rc != SWK_OK) {
        return rc;
    }
    memcpy(read.context, context->data, context->data_len);
    if (!swki_machine_committed_in_term(m) &&
        !SWKI_PLANTED(SWKI_FAULT_READ_UNCOMMITTED)) {
        return push(m, &m->postponed, &read) ? SWK_OK : swki_fail_nomem(err);
    }
    if (!take_read(m, &read, &ask)) {
        return swki_fail_nomem(err);
    }
    if (ask) { /* R-RDI-4 */
        swki_machine_broadcast_heartbeat(m);
    }
    return SWK_OK;
}

/* R-RDI-3 */
void swki_machine_release_postponed(struct swki_machine *m)
{
    bool ask = false;

    if (m->postponed.count == 0 || !swki_machine_committed_in_term(m)) {
        return;
    }
    while (m->postponed.count > 0) {
        struct swki_machine_read read = pop(&m->postponed);

        (void)take_read(m, &read, &ask);
    }
    if (ask) {
        swki_machine_broadcast_heartbeat(m);
    }
}

void swki_machine_release_reads(struct swki_machine *m)
{
    uint64_t confirmed;

    if (m->reads.count == 0) {
        return;
    }
    confirmed = swki_raft_configuration_confirmed(&m->configuration);
    while (m->reads.count > 0 &&
           m->reads.ring[m->reads.first].position <= confirmed) {
        struct swki_machine_read read = pop(&m->reads);

        answer(m, &read);
    }
}

/* R-RDI-5 */
void swki_machine_confirm_reads(struct swki_machine *m,
                                struct swki_raft_progress *peer,
                                uint64_t position)
{
    if (position > m->read_position || position <= peer->read_position) {
        return;
    }
    peer->read_position = position;
    swki_machine_release_reads(m);
}

/* -- Those who ask --------------------------------------------------------- */

void swki_machine_handle_read_resp(struct swki_machine *m,
                                   const struct swk_raft_message *message)
{
    const struct swk_log_entry *context = &message->entries[0];
    struct swki_machine_read read = {
        .from = m->config.id,
        .index = message->index,
        .context_len = context->data_len,
    };

    if (m->role != SWK_RAFT_FOLLOWER) {
        return;
    }
    memcpy(read.context, context->data, context->data_len);
    answer(m, &read);
}

int swki_machine_read_index(struct swki_machine *m, const void *context,
                            size_t context_len, struct swk_error *err)
{
    const struct swk_log_entry entry = {
        .data = context,
        .data_len = context_len,
    };
    int rc = swki_machine_begin(m, err);
    int settled;

    if (rc != SWK_OK) {
        return rc;
    }
    if (context_len == 0 || context_len > SWKI_MACHINE_READ_CONTEXT_MAX) {
        return swki_fail(err, SWK_EINVAL, "raft: a read's context has 1 to %d "
                                          "bytes",
                         SWKI_MACHINE_READ_CONTEXT_MAX);
    }
    rc = swki_machine_handle(m,
                             &(struct swk_raft_message){
                                 .type = SWK_RAFT_MSG_READ_INDEX,
                                 .to = m->config.id,
                                 .from = m->config.id,
                                 .entries = &entry,
                                 .entries_count = 1,
                             },
                             err);
    settled = swki_machine_settle(m, err);
    return settled != SWK_OK ? settled : rc;
}
