/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Simulated disks: a queue of writes, of which those that a sync covered are
 * durable. A write is whole or not there at all, and never without those
 * before it, as checksums make it in a real log. What cannot be read any more
 * is noticed when the disk is read again.
 */

#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

/* -- Snapshots ------------------------------------------------------------ */

struct snapshot *snapshot_new(const struct swk_snapshot_meta *meta, size_t len)
{
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

    if (snapshot == NULL) {
        abort();
    }
    snapshot->refs = 1;
    snapshot->meta.index = meta->index;
    snapshot->meta.term = meta->term;
    conf_copy(&snapshot->conf, &meta->conf_state);
    conf_view(&snapshot->conf, &snapshot->meta.conf_state);
    snapshot->len = len;
    snapshot->data = calloc(1, len + 1);
    if (snapshot->data == NULL) {
        abort();
    }
    return snapshot;
}

void snapshot_fill(struct snapshot *snapshot, const void *data, size_t len)
{
    free(snapshot->data);
    snapshot->data = malloc(len + 1);
    if (snapshot->data == NULL) {
        abort();
    }
    memcpy(snapshot->data, data, len);
    snapshot->len = len;
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    snapshot->refs++;
    return snapshot;
}

void snapshot_unref(struct snapshot *snapshot)
{
    if (snapshot != NULL && --snapshot->refs == 0) {
        free(snapshot->data);
        free(snapshot);
    }
}

struct snapshot *disk_find_snapshot(struct disk *disk, uint64_t index,
                                    uint64_t term)
{
    struct snapshot *kept[] = {disk->snapshot, disk->older};

    for (int i = 0; i < 2; i++) {
        if (kept[i] != NULL && kept[i]->meta.index == index &&
            kept[i]->meta.term == term) {
            return kept[i];
        }
    }
    return NULL;
}

/* -- Logs ----------------------------------------------------------------- */

uint64_t log_last(const struct log *log)
{
    return log->first + log->count - 1;
}

struct blob *log_at(const struct log *log, uint64_t index)
{
    return index >= log->first && index <= log_last(log)
               ? log->entries[index - log->first]
               : NULL;
}

uint64_t log_term(const struct log *log, uint64_t index)
{
    const struct blob *blob = log_at(log, index);

    if (blob != NULL) {
        return blob->entry.term;
    }
    return index + 1 == log->first ? log->base_term : UINT64_MAX;
}

void log_append(struct log *log, struct blob *blob)
{
    log->count = (size_t)(blob->entry.index - log->first);
    log->entries = sim_grow(log->entries, &log->size, log->count + 1,
                            sizeof(struct blob *));
    log->entries[log->count++] = blob;
}

void log_reset(struct log *log, uint64_t index, uint64_t term)
{
    log->first = index + 1;
    log->base_term = term;
    log->count = 0;
}

void log_drop_to(struct log *log, uint64_t index, uint64_t term)
{
    if (index < log->first) {
        return;
    }
    if (index >= log_last(log)) {
        log_reset(log, index, term);
        return;
    }
    size_t gone = (size_t)(index + 1 - log->first);

    log->count -= gone;
    memmove(log->entries, log->entries + gone,
            log->count * sizeof(struct blob *));
    log->first = index + 1;
    log->base_term = term;
}

/* -- What is durable ------------------------------------------------------ */

uint64_t disk_last(const struct disk *disk)
{
    return log_last(&disk->log);
}

static void note_bounds(struct disk *disk)
{
    uint64_t last = disk_last(disk);

    if (last > disk->bound) {
        disk->bound = last;
    }
    if (disk->lost != 0 && last >= disk->lost) {
        disk->lost = 0;
    }
    if (disk->rot_last != 0 && disk->rot_last < disk->log.first) {
        disk->rot_first = 0;
        disk->rot_last = 0;
    }
}

static void keep_snapshot(struct disk *disk, struct snapshot *snapshot)
{
    snapshot_unref(disk->older);
    disk->older = disk->snapshot;
    disk->snapshot = snapshot_ref(snapshot);
}

static void make_durable(struct member *m, struct disk_op *op)
{
    struct disk *disk = &m->disk;

    if (op->kind == DISK_APPEND) {
        for (size_t i = 0; i < op->count; i++) {
            if (op->entries[i]->entry.index <= disk_last(disk)) {
                m->sim->stats.overwritten++;
            }
            log_append(&disk->log, op->entries[i]);
        }
        if (op->has_hard) {
            disk->hard = op->hard;
            disk->has_hard = true;
        }
    } else {
        const struct swk_snapshot_meta *meta = &op->snapshot->meta;

        keep_snapshot(disk, op->snapshot);
        if (op->kind == DISK_INSTALL) {
            log_reset(&disk->log, meta->index, meta->term);
        } else {
            log_drop_to(&disk->log, meta->index, meta->term);
            m->sim->stats.snapshots_saved++;
        }
    }
    disk->synced = op->ticket;
    note_bounds(disk);
}

static void drop_op(struct disk *disk)
{
    struct disk_op *op = &disk->ops[disk->ops_first];

    snapshot_unref(op->snapshot);
    op->snapshot = NULL;
    disk->ops_first = (disk->ops_first + 1) % DISK_OPS_MAX;
    disk->ops_count--;
}

bool disk_holds(const struct disk *disk, uint64_t index,
                const struct blob *blob)
{
    if (disk->snapshot != NULL && disk->snapshot->meta.index >= index) {
        return true;
    }
    if (disk->lost != 0 && index > disk_last(disk) && index <= disk->lost) {
        return true; /* it knows that it lost it, and will not vote */
    }
    return log_at(&disk->log, index) == blob;
}

/* -- Writing -------------------------------------------------------------- */

static void begin_sync(struct member *m)
{
    struct disk *disk = &m->disk;
    struct sim *sim = m->sim;
    swk_time at = sim->now;
    swk_time latency = sim->s.disk_latency;
    struct event *event;

    if (disk->busy || disk->ops_count == 0) {
        return;
    }
    if (at < disk->stalled_until) {
        at = disk->stalled_until;
    }
    if (at < disk->slow_until) {
        latency *= 20;
    }
    disk->busy = true;
    disk->sync_count =
        swki_rng_below(&sim->disk_rng, 4) == 0 ? 1 : disk->ops_count;
    event = sim_event(sim, EVENT_SYNCED, m->slot);
    event->u.number = disk->epoch;
    sim_post(sim,
             at + latency / 2 + swki_rng_below(&sim->disk_rng, latency + 1),
             event);
}

static void report(struct member *m, uint64_t ticket)
{
    struct sim *sim = m->sim;
    struct event *event = sim_event(sim, EVENT_SYNC_REPORT, m->slot);

    event->incarnation = m->incarnation;
    event->u.number = ticket;
    sim_post(sim,
             sim->now +
                 swki_rng_below(&sim->disk_rng, sim->s.disk_latency / 4 + 1),
             event);
}

static void fail(struct member *m)
{
    struct disk *disk = &m->disk;

    disk->fails = false;
    m->sim->stats.faults[FAULT_DISK_FAIL]++;
    if (m->sim->s.plant == PLANT_SYNC_AGAIN) {
        uint64_t ticket = 0;

        while (disk->ops_count > 0) {
            ticket = disk->ops[disk->ops_first].ticket;
            drop_op(disk);
        }
        report(m, ticket);
        return;
    }
    sim_trace(m->sim, m, "disk fails");
    if (m->raft != NULL) {
        m->storage_failed = true;
        swk_raft_storage_failed(m->raft, NULL);
        member_drive(m);
        if (m->raft != NULL) {
            member_crash(m, LOSS_POWER, sim_election(m->sim) / 2);
        }
    }
}

void disk_synced(struct member *m, uint32_t epoch)
{
    struct disk *disk = &m->disk;

    if (epoch != disk->epoch) {
        return;
    }
    disk->busy = false;
    if (m->sim->now < disk->stalled_until) {
        begin_sync(m); /* it stalled meanwhile */
        return;
    }
    if (disk->fails) {
        fail(m);
        return;
    }
    for (size_t i = 0; i < disk->sync_count; i++) {
        make_durable(m, &disk->ops[disk->ops_first]);
        drop_op(disk);
    }
    report(m, disk->synced);
    begin_sync(m);
}

static struct disk_op *add_op(struct member *m, uint64_t ticket)
{
    struct disk *disk = &m->disk;
    struct disk_op *op;

    if (disk->ops_count == DISK_OPS_MAX) {
        sim_broken(m->sim, "disk", "%s has %d writes under way", m->name,
                   DISK_OPS_MAX);
        drop_op(disk);
    }
    op = &disk->ops[(disk->ops_first + disk->ops_count) % DISK_OPS_MAX];
    *op = (struct disk_op){.ticket = ticket};
    disk->ops_count++;
    return op;
}

void disk_append(struct member *m, const struct swk_hard_state *hard,
                 const struct swk_log_entry *entries, size_t count,
                 uint64_t ticket)
{
    struct disk_op *op = add_op(m, ticket);

    op->kind = DISK_APPEND;
    if (hard != NULL) {
        op->has_hard = true;
        op->hard = *hard;
    }
    op->count = count;
    if (count > 0) {
        op->entries = sim_alloc(m->sim, count * sizeof(struct blob *));
    }
    for (size_t i = 0; i < count; i++) {
        op->entries[i] = log_at(&m->mirror, entries[i].index);
    }
    begin_sync(m);
}

void disk_snapshot(struct member *m, enum disk_op_kind kind,
                   struct snapshot *snapshot, uint64_t ticket)
{
    struct disk_op *op = add_op(m, ticket);

    op->kind = kind;
    op->snapshot = snapshot_ref(snapshot);
    begin_sync(m);
}

/* -- Crashes -------------------------------------------------------------- */

/* What the planted bugs leave of a write that was cut. */
static void tear(struct member *m, struct disk_op *op)
{
    struct disk *disk = &m->disk;
    enum plant plant = m->sim->s.plant;

    if (plant == PLANT_HARD_STATE_FIRST && op->has_hard) {
        disk->hard = op->hard;
        disk->has_hard = true;
    }
    if (plant == PLANT_INSTALL_IN_PARTS && op->kind == DISK_INSTALL) {
        keep_snapshot(disk, op->snapshot);
        log_drop_to(&disk->log, op->snapshot->meta.index,
                    op->snapshot->meta.term);
    }
}

void disk_crash(struct member *m, enum loss loss)
{
    struct disk *disk = &m->disk;
    struct swki_rng *rng = &m->sim->disk_rng;
    size_t kept = disk->ops_count;

    /* A process that dies leaves most of what it gave, power hardly any. */
    if (swki_rng_below(rng, 3) != 0) {
        kept = loss == LOSS_PROCESS ? disk->ops_count : 0;
    } else {
        kept = swki_rng_below(rng, disk->ops_count + 1);
    }
    m->sim->stats.torn += kept < disk->ops_count;
    m->sim->stats.lost_acks += kept > 0;
    for (size_t i = 0; disk->ops_count > 0; i++) {
        if (i < kept) {
            make_durable(m, &disk->ops[disk->ops_first]);
        } else if (i == kept) {
            tear(m, &disk->ops[disk->ops_first]);
        }
        drop_op(disk);
    }
    disk->busy = false;
    disk->fails = false;
    disk->epoch++;
    disk->synced = 0;
}

bool disk_rot(struct member *m)
{
    struct disk *disk = &m->disk;
    uint64_t last = disk_last(disk);

    if (disk->log.count == 0 || disk->rot_first != 0 || disk->lost != 0) {
        return false;
    }
    disk->rot_first =
        disk->log.first + swki_rng_below(&m->sim->disk_rng, disk->log.count);
    disk->rot_last =
        disk->rot_first +
        swki_rng_below(&m->sim->disk_rng, last - disk->rot_first + 1);
    sim_trace(m->sim, m, "entries %llu to %llu rot",
              (unsigned long long)disk->rot_first,
              (unsigned long long)disk->rot_last);
    return true;
}

/* -- Reading -------------------------------------------------------------- */

/* Damage is found: entries from there on are lost. */
static void find_damage(struct member *m)
{
    struct disk *disk = &m->disk;

    if (disk->rot_first == 0) {
        return;
    }
    if (disk->rot_first < disk->log.first) {
        disk->rot_first = disk->log.first; /* a snapshot covers the others */
    }
    if (disk->rot_first <= disk_last(disk)) {
        disk->log.count = (size_t)(disk->rot_first - disk->log.first);
        disk->lost = disk->bound;
        m->sim->stats.recoveries++;
        sim_trace(m->sim, m,
                  "lost entries from %llu, may have acknowledged %llu",
                  (unsigned long long)disk->rot_first,
                  (unsigned long long)disk->bound);
    }
    disk->rot_first = 0;
    disk->rot_last = 0;
    if (m->sim->s.plant == PLANT_DSK_3) {
        disk->lost = 0;
        if (disk->hard.commit > disk_last(disk)) {
            disk->hard.commit = disk_last(disk);
        }
    }
}

static bool refused(struct member *m, const char *what, int rc,
                    const struct swk_error *err)
{
    if (rc == 0) {
        return false;
    }
    sim_broken(m->sim, "restart", "%s refuses its own %s: %s", m->name, what,
               err->text);
    return true;
}

bool disk_load(struct member *m)
{
    struct disk *disk = &m->disk;
    struct swk_error err = {0};
    int rc = 0;

    find_damage(m);
    if (m->sim->s.plant == PLANT_VOTE_LOST) {
        disk->hard.vote = 0;
    }
    if (disk->snapshot != NULL) {
        rc = swk_raft_restore_snapshot(m->raft, &disk->snapshot->meta, &err);
    }
    if (refused(m, "snapshot", rc, &err)) {
        return false;
    }
    if (disk->has_hard) {
        rc = swk_raft_restore_hard_state(m->raft, &disk->hard, &err);
    }
    if (refused(m, "hard state", rc, &err)) {
        return false;
    }
    for (size_t i = 0; i < disk->log.count; i++) {
        rc =
            swk_raft_restore_entry(m->raft, &disk->log.entries[i]->entry, &err);
        if (refused(m, "entry", rc, &err)) {
            return false;
        }
    }
    if (disk->lost != 0) {
        rc = swk_raft_restore_lost(m->raft, disk->lost, &err);
    }
    return !refused(m, "loss", rc, &err);
}

void disk_fini(struct disk *disk)
{
    while (disk->ops_count > 0) {
        drop_op(disk);
    }
    snapshot_unref(disk->snapshot);
    snapshot_unref(disk->older);
    free(disk->log.entries);
}
