/* SPDX-License-Identifier: Apache-2.0 */

/* Messages between members: lost, doubled, late, cut off. */

#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

static bool happens(struct sim *sim, enum fault fault, uint32_t ppm)
{
    if (sim->s.interval[fault] == 0 || sim->resting ||
        swki_rng_below(&sim->net_rng, 1000000) >= ppm) {
        return false;
    }
    sim->stats.faults[fault]++;
    return true;
}

static swk_time travel(struct sim *sim)
{
    swk_time time = sim->s.latency;

    if (sim->s.jitter > 0) {
        time += swki_rng_below(&sim->net_rng, sim->s.jitter);
    }
    if (happens(sim, FAULT_DELAY, sim->s.delay_ppm)) {
        time += swki_rng_below(&sim->net_rng, 3 * sim_election(sim));
    }
    return time;
}

/* -- Messages ------------------------------------------------------------- */

/* Entries of the log are shared; others are copied. */
static void copy_entries(struct sim *sim, struct message *to,
                         const struct swk_raft_message *from)
{
    size_t count = from->entries_count;
    uint64_t previous = from->log_term;

    if (count == 0) {
        return;
    }
    to->copies = malloc(count * sizeof(to->copies[0]));
    if (to->copies == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        to->copies[i] = from->entries[i];
        if (from->type == SWK_RAFT_MSG_APP) {
            to->copies[i] =
                rules_entry(sim, &from->entries[i], previous)->entry;
            previous = from->entries[i].term;
        } else if (from->entries[i].data_len > 0) {
            uint8_t *data = sim_alloc(sim, from->entries[i].data_len);

            memcpy(data, from->entries[i].data, from->entries[i].data_len);
            to->copies[i].data = data;
        }
    }
    to->raft.entries = to->copies;
}

static void fill(struct sim *sim, struct message *to,
                 const struct swk_raft_message *from, struct snapshot *snapshot)
{
    *to = (struct message){.raft = *from};
    if (snapshot != NULL) {
        to->snapshot = snapshot_ref(snapshot);
    }
    if (sim->s.wire) {
        to->bytes_len = swk_raft_message_size(from);
        to->bytes = malloc(to->bytes_len);
        if (to->bytes == NULL ||
            swk_raft_message_encode(from, to->bytes) != to->bytes_len) {
            sim_broken(sim, "codec", "a message of type %d has another size",
                       from->type);
        }
        return;
    }
    copy_entries(sim, to, from);
    if (from->context_len > 0 && from->context_len <= sizeof(to->context)) {
        memcpy(to->context, from->context, from->context_len);
        to->raft.context = to->context;
    }
    if (snapshot != NULL) {
        to->raft.snapshot = &snapshot->meta;
    }
}

void net_release(struct event *event)
{
    if (event->kind != EVENT_MESSAGE && event->kind != EVENT_SNAPSHOT) {
        return;
    }
    free(event->u.message.copies);
    free(event->u.message.bytes);
    snapshot_unref(event->u.message.snapshot);
    event->u.message.copies = NULL;
    event->u.message.bytes = NULL;
    event->u.message.snapshot = NULL;
}

static void post_message(struct member *from, struct member *to,
                         const struct swk_raft_message *message,
                         struct snapshot *snapshot, swk_time extra)
{
    struct sim *sim = from->sim;
    struct event *event = sim_event(
        sim, snapshot != NULL ? EVENT_SNAPSHOT : EVENT_MESSAGE, to->slot);
    swk_time at = sim->now + travel(sim) + extra;
    swk_time *last = &sim->last_arrival[from->slot][to->slot];

    if (sim->s.fifo && snapshot == NULL) {
        at = at > *last ? at : *last;
        *last = at;
    }
    fill(sim, &event->u.message, message, snapshot);
    event->incarnation = from->incarnation;
    sim_post(sim, at, event);
}

/* -- Snapshots ------------------------------------------------------------ */

static void report_snapshot(struct member *m, uint64_t to, int32_t ok,
                            swk_time after)
{
    struct event *event = sim_event(m->sim, EVENT_SNAPSHOT_REPORT, m->slot);

    event->incarnation = m->incarnation;
    event->u.report.id = to;
    event->u.report.ok = ok;
    sim_post(m->sim, m->sim->now + after, event);
}

static void send_snapshot(struct member *m, struct member *to,
                          const struct swk_raft_message *message)
{
    struct sim *sim = m->sim;
    struct snapshot *snapshot = disk_find_snapshot(
        &m->disk, message->snapshot->index, message->snapshot->term);
    swk_time duration =
        sim->s.latency + swki_rng_below(&sim->net_rng, 4 * sim->s.tick_ns);

    if (snapshot == NULL) {
        report_snapshot(m, message->to, 0, 0);
        return;
    }
    sim->stats.snapshots_sent++;
    if (sim->cut[m->slot][to->slot] ||
        happens(sim, FAULT_SNAPSHOT_CUT, sim->s.snapshot_cut_percent * 10000)) {
        /* One in four of those cut is not even reported. */
        if (sim->resting || swki_rng_below(&sim->net_rng, 4) != 0) {
            report_snapshot(m, message->to, 0, duration);
        }
        return;
    }
    post_message(m, to, message, snapshot, duration);
}

/* -- In and out ----------------------------------------------------------- */

static void report_unreachable(struct member *m, uint64_t id)
{
    struct event *event = sim_event(m->sim, EVENT_UNREACHABLE, m->slot);

    event->incarnation = m->incarnation;
    event->u.report.id = id;
    sim_post(m->sim, m->sim->now + m->sim->s.latency, event);
}

void net_send(struct member *m, const struct swk_raft_message *message)
{
    struct sim *sim = m->sim;
    struct member *to = sim_by_id(sim, message->to);

    sim->stats.messages++;
    if (sim->s.trace != 0) {
        sim_trace(sim, m,
                  "to %s: type %d term %llu log_term %llu index %llu commit "
                  "%llu entries %zu reject %d hint %llu",
                  to != NULL ? to->name : "?", message->type,
                  (unsigned long long)message->term,
                  (unsigned long long)message->log_term,
                  (unsigned long long)message->index,
                  (unsigned long long)message->commit, message->entries_count,
                  message->reject, (unsigned long long)message->reject_hint);
    }
    if (to == NULL || to == m) {
        sim_broken(sim, "message", "%s sends to %llu", m->name,
                   (unsigned long long)message->to);
        return;
    }
    if (message->type == SWK_RAFT_MSG_SNAP) {
        send_snapshot(m, to, message);
        return;
    }
    if (sim->cut[m->slot][to->slot] ||
        happens(sim, FAULT_LOSS, sim->s.loss_ppm)) {
        sim->stats.dropped++;
        if (swki_rng_below(&sim->net_rng, 4) == 0) {
            report_unreachable(m, message->to);
        }
        return;
    }
    post_message(m, to, message, NULL, 0);
    if (happens(sim, FAULT_DUPLICATE, sim->s.duplicate_ppm)) {
        post_message(m, to, message, NULL,
                     swki_rng_below(&sim->net_rng, sim_election(sim)));
    }
}

void net_client(struct sim *sim, struct event *event)
{
    if (happens(sim, FAULT_LOSS, sim->s.loss_ppm)) {
        struct event *nothing = event;

        nothing->next_free = sim->free_events;
        sim->free_events = nothing;
        return;
    }
    sim_post(sim, sim->now + travel(sim), event);
}

static void take_snapshot_in(struct member *m, struct event *event,
                             uint64_t from)
{
    struct member *sender = sim_by_id(m->sim, from);

    snapshot_unref(m->incoming);
    m->incoming = snapshot_ref(event->u.message.snapshot);
    /* The sender of before a crash does not remember. */
    if (sender->incarnation == event->incarnation) {
        report_snapshot(sender, m->id, 1, m->sim->s.latency);
    }
}

void net_deliver(struct member *m, struct event *event)
{
    struct sim *sim = m->sim;
    struct message *message = &event->u.message;
    struct swk_raft_message decoded;
    const struct swk_raft_message *raft = &message->raft;
    struct swk_error err = {0};

    if (message->bytes != NULL) {
        if (swk_raft_message_decode(sim->decoder, message->bytes,
                                    message->bytes_len, &decoded, &err) != 0) {
            sim_broken(sim, "codec", "a message of type %d is not read: %s",
                       raft->type, err.text);
            return;
        }
        raft = &decoded;
    }
    struct member *from = sim_by_id(sim, message->raft.from);

    if (from == NULL) {
        sim_broken(sim, "message", "%s gets one from nobody", m->name);
        return;
    }
    if (sim->cut[from->slot][m->slot] ||
        (sim->s.refuse_removed && from->removed &&
         m->conf_index >= from->removed_index)) {
        sim->stats.dropped++;
        return;
    }
    if (event->kind == EVENT_SNAPSHOT) {
        take_snapshot_in(m, event, message->raft.from);
    }
    int rc = swk_raft_step(m->raft, raft, &err);

    if (rc != 0 && !m->storage_failed) {
        sim_broken(sim, "step", "%s answers %d to type %d from %s: %s", m->name,
                   rc, raft->type, from->name, err.text);
    }
}
