/* SPDX-License-Identifier: Apache-2.0 */

/* The driver's other half: applying, snapshots, requests and answers. */

#include "sim/sim.h"

#include <string.h>

/* -- Answers -------------------------------------------------------------- */

void member_reply(struct member *m, const struct pending *to, int code,
                  int64_t result, uint64_t version)
{
    struct sim *sim = m->sim;
    struct event *event = sim_event(sim, EVENT_REPLY, m->slot);

    event->u.request = (struct request){
        .client = to->client,
        .request = to->request,
        .attempt = to->attempt,
        .code = code,
        .result = result,
        .version = version,
        .hint = m->seen.leader,
    };
    net_client(sim, event);
}

static void drop_pending(struct member *m, size_t i)
{
    m->pending[i] = m->pending[--m->pending_count];
}

/* The outcome of proposals is not known any more; reads may be asked anew. */
void member_fail_pending(struct member *m)
{
    while (m->pending_count > 0) {
        member_reply(m, &m->pending[0], SWK_EIO, 0, 0);
        drop_pending(m, 0);
    }
}

static void answer_proposals(struct member *m, const struct blob *blob)
{
    for (size_t i = m->pending_count; i-- > 0;) {
        struct pending *p = &m->pending[i];
        int64_t result = 0;
        uint64_t version = 0;
        bool by_index = p->index == blob->entry.index;

        if (p->context != 0 ||
            (!by_index && (p->index != 0 ||
                           !machine_is_request(blob, p->client, p->request)))) {
            continue;
        }
        if (by_index && blob->entry.term != p->term) {
            member_reply(m, p, SWK_EUNAVAILABLE, 0, 0); /* it was replaced */
        } else {
            (void)machine_answer(m->machine, p->client, p->request, &result,
                                 &version);
            member_reply(m, p, SWK_OK, result, version);
            if (blob->entry.index > m->sim->answered) {
                m->sim->answered = blob->entry.index;
            }
        }
        drop_pending(m, i);
    }
}

/* -- Applying ------------------------------------------------------------- */

static void apply_conf_change(struct member *m, const struct blob *blob)
{
    struct swk_raft_change changes[SWK_RAFT_CHANGES_MAX];
    struct swk_raft_conf_change change = {.size = sizeof(change)};
    struct swk_error err = {0};
    int32_t reject = 0;

    if (blob->entry.data_len > 0) {
        if (swk_raft_read_conf_change(&blob->entry, changes, &change, &err) !=
            0) {
            sim_broken(m->sim, "conf change", "%s cannot read it: %s", m->name,
                       err.text);
            return;
        }
        /* Some are refused by the application, on every member alike. */
        reject = change.context_len > 0 && change.context[0] == 'R';
    }
    if (swk_raft_apply_conf_change(m->raft, &blob->entry, reject, &err) != 0) {
        sim_broken(m->sim, "conf change", "%s cannot apply %llu: %s", m->name,
                   (unsigned long long)blob->entry.index, err.text);
        return;
    }
    rules_conf(m, blob->entry.index);
}

/* All members are in the same state after an entry. */
static void compare_state(struct member *m, uint64_t digest)
{
    struct commit_slot *slot = &m->sim->commits[m->applied];

    if (digest == 0) {
        return;
    }
    if (slot->state != 0 && slot->state != digest) {
        sim_broken(m->sim, "19 state machine safety",
                   "%s has another state at %llu", m->name,
                   (unsigned long long)m->applied);
    }
    slot->state = digest;
}

static void apply_one(struct member *m, const struct blob *blob)
{
    rules_applied(m, blob);
    if (m->sim->broken[0] != '\0') {
        return;
    }
    if (blob->entry.type != SWK_RAFT_ENTRY_NORMAL) {
        apply_conf_change(m, blob);
    }
    machine_apply(m->machine, blob);
    m->applied = blob->entry.index;
    compare_state(m, machine_digest_at(m->machine, m->applied));
    answer_proposals(m, blob);
}

static void apply_later(struct member *m)
{
    struct sim *sim = m->sim;
    struct event *event;

    if (m->apply_due) {
        return;
    }
    m->apply_due = true;
    event = sim_event(sim, EVENT_APPLY, m->slot);
    event->incarnation = m->incarnation;
    sim_post(sim, sim->now + swki_rng_below(&sim->rng, sim->s.apply_delay + 1),
             event);
}

void member_apply(struct member *m)
{
    struct sim *sim = m->sim;
    size_t count = m->to_apply_count;
    struct swk_error err = {0};

    if (count > 1 && sim->s.apply_delay > 0) {
        count = 1 + (size_t)swki_rng_below(&sim->rng, count);
    }
    if (count == 0) {
        return;
    }
    for (size_t i = 0; i < count && sim->broken[0] == '\0'; i++) {
        apply_one(m, m->to_apply[m->to_apply_first++]);
        m->to_apply_count--;
    }
    if (sim->broken[0] != '\0') {
        return;
    }
    if (swk_raft_applied(m->raft, m->applied, &err) != 0) {
        sim_broken(sim, "applied", "%s: %s", m->name, err.text);
    }
    if (m->to_apply_count > 0) {
        apply_later(m);
    } else {
        m->to_apply_first = 0;
    }
}

void member_take_committed(struct member *m,
                           const struct swk_raft_actions *actions)
{
    struct sim *sim = m->sim;
    size_t end = m->to_apply_first + m->to_apply_count;

    if (actions->committed_count == 0) {
        return;
    }
    m->to_apply =
        sim_grow(m->to_apply, &m->to_apply_size, end + actions->committed_count,
                 sizeof(m->to_apply[0]));
    for (size_t i = 0; i < actions->committed_count; i++) {
        m->to_apply[end + i] =
            rules_entry(sim, &actions->committed[i], UINT64_MAX);
    }
    m->to_apply_count += actions->committed_count;
    if (sim->s.apply_delay == 0) {
        member_apply(m);
    } else {
        apply_later(m);
    }
}

/* -- Snapshots ------------------------------------------------------------ */

/* The next slice of it comes. */
static void save_later(struct member *m)
{
    struct sim *sim = m->sim;
    struct event *event = sim_event(sim, EVENT_SAVE, m->slot);

    event->incarnation = m->incarnation;
    sim_post(sim, sim->now + swki_rng_below(&sim->rng, 2 * sim->s.tick_ns),
             event);
}

void member_save(struct member *m)
{
    struct sim *sim = m->sim;
    struct swk_snapshot_meta meta;

    if (swki_rng_below(&sim->rng, 20) == 0 && !sim->resting) {
        swk_raft_snapshot_abandoned(m->raft);
        return;
    }
    int rc = swk_raft_begin_snapshot(m->raft, &meta, NULL);

    if (rc == SWK_EBUSY || rc == SWK_EPRECONDITION) {
        return;
    }
    if (rc != 0) {
        sim_broken(sim, "snapshot", "%s cannot begin one: %d", m->name, rc);
        return;
    }
    snapshot_unref(m->saving);
    m->saving = machine_save(m->machine, &meta);
    rules_saved(m, m->saving);
    compare_state(m, machine_digest(m->machine));
    save_later(m);
}

void member_save_ready(struct member *m)
{
    struct snapshot *snapshot = m->saving;
    uint64_t ticket = 0;

    if (snapshot == NULL) {
        return;
    }
    if (!machine_save_more(m->machine, snapshot)) {
        save_later(m);
        return;
    }
    m->saving = NULL;
    int rc = swk_raft_finish_snapshot(m->raft, &ticket, NULL);

    if (rc == 0) {
        if (m->sim->s.plant == PLANT_OLD_CONF) {
            struct swk_conf_state now;

            swk_raft_conf_state(m->raft, &now);
            conf_copy(&snapshot->conf, &now);
            conf_view(&snapshot->conf, &snapshot->meta.conf_state);
        }
        disk_snapshot(m, DISK_SAVE, snapshot, ticket);
    } else if (rc != SWK_EPRECONDITION) {
        sim_broken(m->sim, "snapshot", "%s cannot finish one: %d", m->name, rc);
    }
    snapshot_unref(snapshot);
}

void member_installed(struct member *m)
{
    struct snapshot *snapshot = m->installing;

    m->installing = NULL;
    m->install_ticket = 0;
    m->sim->stats.snapshots_installed++;
    sim_trace(m->sim, m, "installed a snapshot of %llu",
              (unsigned long long)snapshot->meta.index);
    machine_restore(m->machine, snapshot);
    rules_installed(m, snapshot);
    m->applied = snapshot->meta.index;
    compare_state(m, machine_digest(m->machine));
    snapshot_unref(snapshot);
}

/* -- Reads ---------------------------------------------------------------- */

void member_take_reads(struct member *m, const struct swk_raft_actions *actions)
{
    for (size_t i = 0; i < actions->reads_count; i++) {
        const struct swk_raft_read *read = &actions->reads[i];
        uint64_t context = 0;

        if (read->context_len != sizeof(context)) {
            sim_broken(m->sim, "read", "%s gets a context of %zu bytes",
                       m->name, read->context_len);
            return;
        }
        memcpy(&context, read->context, sizeof(context));
        if (context == m->lease_context && m->seen.role == SWK_RAFT_LEADER) {
            rules_lease_read(m);
        }
        for (size_t p = 0; p < m->pending_count; p++) {
            if (m->pending[p].context == context) {
                m->pending[p].index = read->index;
            }
        }
    }
}

void member_answer_reads(struct member *m)
{
    for (size_t i = m->pending_count; i-- > 0;) {
        struct pending *p = &m->pending[i];
        bool early = m->sim->s.plant == PLANT_READ_EARLY;

        if (p->context == 0 || p->index == 0 ||
            (p->index > m->applied && !early)) {
            continue;
        }
        rules_read(m, p);
        /* The register is named where a proposal has its term. */
        uint64_t version = 0;
        int64_t value = machine_read(m->machine, (uint32_t)p->term, &version);

        member_reply(m, p, SWK_OK, value, version);
        drop_pending(m, i);
    }
}

/* -- Requests ------------------------------------------------------------- */

static uint64_t new_context(struct member *m)
{
    uint64_t run = m->sim->s.plant == PLANT_SAME_CONTEXT ? 0 : m->incarnation;

    if (run == 0) {
        return (uint64_t)(m->slot + 1) << 48 | ++m->contexts;
    }
    return (uint64_t)(m->slot + 1) << 48 | run << 24 | ++m->contexts;
}

static int request_read(struct member *m, struct pending *p,
                        const struct request *request)
{
    p->context = new_context(m);
    p->floor = m->sim->answered;
    p->term = request->key;
    if (m->sim->s.plant == PLANT_STALE_READ && m->leads) {
        p->index = m->applied;
        return SWK_OK;
    }
    m->lease_context = p->context;
    return swk_raft_read_index(m->raft, &p->context, sizeof(p->context), NULL);
}

static int request_write(struct member *m, struct pending *p,
                         const struct request *request)
{
    int rc = machine_propose(m->machine, request, &p->index);
    struct swk_raft_status status = {.size = sizeof(status)};

    swk_raft_status(m->raft, &status);
    p->term = status.term;
    return rc;
}

/* A request that is under way already: its newest attempt gets the answer. */
static bool joins(struct member *m, const struct request *request)
{
    for (size_t i = 0; i < m->pending_count; i++) {
        struct pending *p = &m->pending[i];

        if (p->context == 0 && p->client == request->client &&
            p->request == request->request) {
            p->attempt = request->attempt;
            return true;
        }
    }
    return false;
}

/* With the store, as a manager does it: what was carried out is recognised,
 * and what is under way waits. Registers sort that out when they apply. */
static bool is_known(struct member *m, const struct request *request,
                     const struct pending *p)
{
    int64_t result = 0;
    uint64_t version = 0;

    if (request->kind == LINEAR_READ || m->sim->s.plant == PLANT_TWICE) {
        return false;
    }
    if (machine_answer(m->machine, request->client, request->request, &result,
                       &version)) {
        member_reply(m, p, SWK_OK, result, version);
        return true;
    }
    return m->sim->s.use_store && joins(m, request);
}

void member_request(struct member *m, const struct request *request)
{
    struct pending p = {.client = request->client,
                        .request = request->request,
                        .attempt = request->attempt};
    int rc;

    if (is_known(m, request, &p)) {
        return;
    }
    if (m->pending_count == PENDING_MAX) {
        member_reply(m, &p, SWK_EUNAVAILABLE, 0, 0);
        return;
    }
    rc = request->kind == LINEAR_READ ? request_read(m, &p, request)
                                      : request_write(m, &p, request);
    if (rc != 0) {
        member_reply(m, &p, rc, 0, 0);
        return;
    }
    m->pending[m->pending_count++] = p;
}
