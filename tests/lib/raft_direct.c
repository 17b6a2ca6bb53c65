/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/raft_direct.h"

#include <string.h>

static void note(struct direct *d, int rc)
{
    if (d->rc == 0) {
        d->rc = rc;
    }
}

static int found(struct direct *d, uint64_t id,
                 const struct swk_raft_config *config)
{
    struct swk_raft_conf_change founders[DIRECT_MEMBERS_MAX];
    struct swk_raft_change changes[DIRECT_MEMBERS_MAX];
    struct swk_raft_config own = *config;
    int rc;

    for (uint64_t i = 0; i < d->count; i++) {
        changes[i] = (struct swk_raft_change){.id = i + 1};
        founders[i] = (struct swk_raft_conf_change){.size = sizeof(founders[i]),
                                                    .changes = &changes[i],
                                                    .changes_count = 1};
    }
    own.id = id;
    own.seed = id;
    rc = swk_raft_new(&own, &d->members[id], NULL);
    if (rc == 0) {
        rc = swk_raft_bootstrap(d->members[id], founders, d->count, NULL);
    }
    return rc == 0 ? swk_raft_start(d->members[id], d->now, NULL) : rc;
}

int direct_found(struct direct *d, uint64_t count,
                 const struct swk_raft_config *config)
{
    memset(d, 0, sizeof(*d));
    d->count = count;
    d->now = SWK_SECOND;
    for (uint64_t id = 1; id <= count && d->rc == 0; id++) {
        note(d, found(d, id, config));
    }
    return d->rc;
}

void direct_free(struct direct *d)
{
    for (uint64_t id = 1; id <= d->count; id++) {
        swk_raft_free(d->members[id]);
        d->members[id] = NULL;
    }
}

/* The members' calls that a driver makes because of their actions. */
static void apply(struct direct *d, uint64_t id,
                  const struct swk_raft_actions *actions)
{
    for (size_t i = 0; i < actions->committed_count; i++) {
        const struct swk_log_entry *entry = &actions->committed[i];

        if (entry->type != SWK_RAFT_ENTRY_NORMAL) {
            note(d, swk_raft_apply_conf_change(d->members[id], entry, 0,
                                               NULL));
        }
        d->applied[id] = entry->index;
    }
}

static void save(struct direct *d, uint64_t id)
{
    struct swk_snapshot_meta meta;
    uint64_t ticket = 0;
    int rc = swk_raft_begin_snapshot(d->members[id], &meta, NULL);

    if (rc == 0) {
        rc = swk_raft_finish_snapshot(d->members[id], &ticket, NULL);
    }
    if (rc == 0) {
        rc = swk_raft_persisted(d->members[id], ticket, NULL);
    } else {
        swk_raft_snapshot_abandoned(d->members[id]);
    }
    note(d, rc);
    d->snapshots++;
}

static void turn(struct direct *d, uint64_t id)
{
    swk_raft *raft = d->members[id];
    const struct swk_raft_actions *a = swk_raft_take_actions(raft);
    uint64_t ticket = a->persist_ticket;
    bool applies = a->committed_count > 0;
    bool gained = a->leadership_gained != 0;
    bool wanted = a->snapshot_wanted != 0;

    note(d, a->failure);
    d->due[id] = ticket != 0 || applies || wanted; /* for what is told below */
    d->messages += a->messages_count;
    d->reads += a->reads_count;
    for (size_t i = 0; i < a->messages_count; i++) {
        uint64_t to = a->messages[i].to;

        note(d, swk_raft_step(d->members[to], &a->messages[i], NULL));
        d->due[to] = true;
    }
    d->leads[id] = (d->leads[id] && a->leadership_lost == 0) || gained;
    apply(d, id, a);
    if (applies) {
        note(d, swk_raft_applied(raft, d->applied[id], NULL));
    }
    if (ticket != 0) {
        d->writes++;
        note(d, swk_raft_persisted(raft, ticket, NULL));
    }
    if (wanted) {
        save(d, id);
    }
}

int direct_propose(struct direct *d, const void *data, size_t len,
                   uint64_t *out_index)
{
    for (uint64_t id = 1; id <= d->count; id++) {
        if (d->leads[id]) {
            d->due[id] = true;
            return swk_raft_propose(d->members[id], data, len, out_index,
                                    NULL);
        }
    }
    return SWK_ENOTLEADER;
}

void direct_settle(struct direct *d)
{
    bool busy = true;

    while (busy && d->rc == 0) {
        busy = false;
        for (uint64_t id = 1; id <= d->count; id++) {
            if (d->due[id]) {
                turn(d, id);
                busy = true;
            }
        }
    }
}

void direct_tick(struct direct *d)
{
    d->now += SWK_RAFT_TICK_MS * SWK_MILLISECOND;
    for (uint64_t id = 1; id <= d->count; id++) {
        note(d, swk_raft_expire(d->members[id], d->now, NULL));
        d->due[id] = true;
    }
    direct_settle(d);
}

swk_raft *direct_leader(const struct direct *d)
{
    for (uint64_t id = 1; id <= d->count; id++) {
        if (d->leads[id]) {
            return d->members[id];
        }
    }
    return NULL;
}

bool direct_all_applied(const struct direct *d, uint64_t index)
{
    for (uint64_t id = 1; id <= d->count; id++) {
        if (d->applied[id] < index) {
            return false;
        }
    }
    return true;
}
