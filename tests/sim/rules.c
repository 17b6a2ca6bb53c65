/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What must hold after every step. Numbers are those of the list in the
 * README of the tests: 16 election safety, 17 log matching, 18 leader
 * completeness, 19 state machine safety, 20 durability on a quorum, 21 leaders
 * only append, 22 votes are durable, 25 one configuration at an index.
 */

#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

/* -- Entries (17) ---------------------------------------------------------- */

static void need_index(struct sim *sim, uint64_t index)
{
    size_t before = sim->by_index_size;

    sim->by_index = sim_grow(sim->by_index, &sim->by_index_size, index + 1,
                             sizeof(sim->by_index[0]));
    for (size_t i = before; i < sim->by_index_size; i++) {
        sim->by_index[i] = NULL;
    }
    before = sim->commits_size;
    sim->commits = sim_grow(sim->commits, &sim->commits_size, index + 1,
                            sizeof(sim->commits[0]));
    for (size_t i = before; i < sim->commits_size; i++) {
        sim->commits[i] = (struct commit_slot){0};
    }
}

static struct blob *new_blob(struct sim *sim, const struct swk_log_entry *entry)
{
    struct blob *blob = sim_alloc(sim, sizeof(*blob));

    blob->entry = *entry;
    blob->previous_term = UINT64_MAX;
    if (entry->data_len > 0) {
        uint8_t *data = sim_alloc(sim, entry->data_len);

        memcpy(data, entry->data, entry->data_len);
        blob->entry.data = data;
    }
    blob->other = sim->by_index[entry->index];
    sim->by_index[entry->index] = blob;
    return blob;
}

static bool same_entry(const struct swk_log_entry *a,
                       const struct swk_log_entry *b)
{
    return a->type == b->type && a->data_len == b->data_len &&
           (a->data_len == 0 || memcmp(a->data, b->data, a->data_len) == 0);
}

struct blob *rules_entry(struct sim *sim, const struct swk_log_entry *entry,
                         uint64_t previous_term)
{
    struct blob *blob;

    need_index(sim, entry->index);
    blob = sim->by_index[entry->index];
    while (blob != NULL && blob->entry.term != entry->term) {
        blob = blob->other;
    }
    if (blob == NULL) {
        blob = new_blob(sim, entry);
    } else if (!same_entry(&blob->entry, entry)) {
        sim_broken(sim, "17 log matching", "two entries %llu of term %llu",
                   (unsigned long long)entry->index,
                   (unsigned long long)entry->term);
    }
    if (previous_term == UINT64_MAX) {
        return blob;
    }
    if (blob->previous_term == UINT64_MAX) {
        blob->previous_term = previous_term;
    } else if (blob->previous_term != previous_term) {
        sim_broken(sim, "17 log matching",
                   "entry %llu of term %llu follows term %llu and term %llu",
                   (unsigned long long)entry->index,
                   (unsigned long long)entry->term,
                   (unsigned long long)blob->previous_term,
                   (unsigned long long)previous_term);
    }
    return blob;
}

/* -- What is stored (4, 10, 21) -------------------------------------------- */

/* A leader adds a change of members only when it has applied all before, and
 * has committed an entry of its own term. */
static void check_change(struct member *m, const struct blob *blob)
{
    const struct swk_raft_status *seen = &m->seen;
    uint64_t at = blob->entry.index;

    if (m->sim->s.outcome_only || blob->entry.type == SWK_RAFT_ENTRY_NORMAL ||
        seen->role != SWK_RAFT_LEADER || blob->entry.term != seen->term) {
        return;
    }
    if (log_term(&m->mirror, seen->committed) != seen->term) {
        sim_broken(m->sim, "10 one change at a time",
                   "%s adds change %llu before it has committed anything",
                   m->name, (unsigned long long)at);
    }
    while (--at > seen->applied) {
        const struct blob *before = log_at(&m->mirror, at);

        if (before != NULL && before->entry.type != SWK_RAFT_ENTRY_NORMAL) {
            sim_broken(m->sim, "10 one change at a time",
                       "%s adds change %llu, and has not applied %llu", m->name,
                       (unsigned long long)blob->entry.index,
                       (unsigned long long)at);
        }
    }
}

static void mirror_entries(struct member *m,
                           const struct swk_raft_actions *actions)
{
    struct sim *sim = m->sim;

    for (size_t i = 0; i < actions->entries_count; i++) {
        const struct swk_log_entry *entry = &actions->entries[i];
        uint64_t before = log_term(&m->mirror, entry->index - 1);
        struct blob *blob = rules_entry(sim, entry, before);

        if (entry->index > log_last(&m->mirror) + 1) {
            sim_broken(sim, "storage", "%s leaves a gap before %llu", m->name,
                       (unsigned long long)entry->index);
            return;
        }
        if (entry->index <= log_last(&m->mirror) &&
            log_at(&m->mirror, entry->index) != blob) {
            if (entry->index <= m->applied) {
                sim_broken(sim, "4", "%s replaces the applied entry %llu",
                           m->name, (unsigned long long)entry->index);
            }
            if (m->seen.role == SWK_RAFT_LEADER && !sim->s.outcome_only &&
                log_term(&m->mirror, entry->index) == m->seen.term) {
                sim_broken(sim, "21 leader append-only",
                           "%s replaces its own entry %llu", m->name,
                           (unsigned long long)entry->index);
            }
        }
        log_append(&m->mirror, blob);
        check_change(m, blob);
    }
}

void rules_actions(struct member *m, const struct swk_raft_actions *actions)
{
    if (actions->install != NULL) {
        log_reset(&m->mirror, actions->install->index, actions->install->term);
    }
    mirror_entries(m, actions);
    /* Before anything is applied: a change of members changes the quorum. */
    rules_status(m);
    rules_committed(m);
}

/* -- Votes (22) and acknowledgements (20) ---------------------------------- */

static void note_vote(struct member *m, uint64_t term, uint64_t candidate)
{
    struct sim *sim = m->sim;
    size_t slot = m->slot;

    for (size_t i = sim->votes_count[slot]; i-- > 0;) {
        const struct vote_of *vote = &sim->votes[slot][i];

        if (vote->term == term) {
            if (vote->candidate != candidate) {
                sim_broken(sim, "22 votes are durable",
                           "%s votes for %llx and %llx in term %llu", m->name,
                           (unsigned long long)vote->candidate,
                           (unsigned long long)candidate,
                           (unsigned long long)term);
            }
            return;
        }
    }
    sim->votes[slot] =
        sim_grow(sim->votes[slot], &sim->votes_size[slot],
                 sim->votes_count[slot] + 1, sizeof(sim->votes[slot][0]));
    sim->votes[slot][sim->votes_count[slot]++] =
        (struct vote_of){.term = term, .candidate = candidate};
}

static void check_acknowledged(struct member *m,
                               const struct swk_raft_message *message)
{
    uint64_t index = message->index;

    /* One of an earlier term tells what was so then. */
    if (m->sim->s.outcome_only || message->reject != 0 || index == 0 ||
        message->term != m->seen.term) {
        return;
    }
    if (index > log_last(&m->mirror) && index > m->mirror.first - 1) {
        return; /* a snapshot that covers it */
    }
    if (!disk_holds(&m->disk, index, log_at(&m->mirror, index)) &&
        index >= m->mirror.first) {
        sim_broken(m->sim, "20 acknowledged is durable",
                   "%s acknowledges %llu, which its disk does not have",
                   m->name, (unsigned long long)index);
    }
}

void rules_message(struct member *m, const struct swk_raft_message *message)
{
    if (message->from != m->id && message->type != SWK_RAFT_MSG_PROP &&
        message->type != SWK_RAFT_MSG_TRANSFER_LEADER &&
        message->type != SWK_RAFT_MSG_READ_INDEX) {
        sim_broken(m->sim, "message", "%s speaks for another", m->name);
    }
    if (message->type == SWK_RAFT_MSG_VOTE_RESP && message->reject == 0) {
        note_vote(m, message->term, message->to);
    } else if (message->type == SWK_RAFT_MSG_APP_RESP) {
        check_acknowledged(m, message);
    }
}

/* -- Leaders (16, 18) ------------------------------------------------------ */

/* Everything that was committed in earlier terms is in a leader's log. */
static void check_complete(struct member *m, uint64_t term)
{
    struct sim *sim = m->sim;
    uint64_t index = 0;

    /* Its own vote counted, so it was durable; a request alone promises
     * nothing. */
    note_vote(m, term, m->id);
    for (size_t i = 0; i < sim->marks_count; i++) {
        if (sim->marks[i].term < term && sim->marks[i].index > index) {
            index = sim->marks[i].index;
        }
    }
    if (index < m->mirror.first || sim->commits[index].blob == NULL) {
        return;
    }
    if (log_at(&m->mirror, index) != sim->commits[index].blob) {
        sim_broken(sim, "18 leader completeness",
                   "%s leads in term %llu without the committed entry %llu",
                   m->name, (unsigned long long)term,
                   (unsigned long long)index);
    }
}

static void note_leader(struct member *m, uint64_t term)
{
    struct sim *sim = m->sim;

    for (size_t i = sim->leaders_count; i-- > 0;) {
        const struct leader_of *leader = &sim->leaders[i];

        if (leader->term == term) {
            if (leader->id != m->id) {
                sim_broken(sim, "16 election safety",
                           "%s and %llx lead in term %llu", m->name,
                           (unsigned long long)leader->id,
                           (unsigned long long)term);
            }
            return;
        }
    }
    sim->leaders = sim_grow(sim->leaders, &sim->leaders_size,
                            sim->leaders_count + 1, sizeof(sim->leaders[0]));
    sim->leaders[sim->leaders_count++] =
        (struct leader_of){.term = term, .id = m->id};
    sim->stats.elections++;
    m->leader_since = sim->now;
    sim_trace(sim, m, "leads in term %llu", (unsigned long long)term);
    check_complete(m, term);
    note_vote(m, term, m->id); /* that counted, so it is durable */
}

/* -- Commit (19, 20) ------------------------------------------------------- */

static size_t count_holders(struct sim *sim, const uint64_t *voters,
                            size_t count, uint64_t index)
{
    size_t holders = 0;

    for (size_t i = 0; i < count; i++) {
        const struct member *m = sim_by_id(sim, voters[i]);

        holders += m != NULL &&
                   (m->doomed ||
                    disk_holds(&m->disk, index, sim->commits[index].blob));
    }
    return holders;
}

/* The leader says so: then a quorum of both halves has it on disk. */
static void check_durable(struct member *m, uint64_t index)
{
    struct sim *sim = m->sim;
    struct swk_conf_state state;
    size_t holders;

    if (sim->s.outcome_only || m->seen.role != SWK_RAFT_LEADER) {
        return;
    }
    swk_raft_conf_state(m->raft, &state);
    holders = count_holders(sim, state.voters, state.voters_count, index);
    if (state.voters_count > 0 && holders < state.voters_count / 2 + 1) {
        sim_broken(sim, "20 committed is durable on a quorum",
                   "%s commits %llu, which %zu of %zu disks have", m->name,
                   (unsigned long long)index, holders, state.voters_count);
    }
    holders = count_holders(sim, state.voters_outgoing,
                            state.voters_outgoing_count, index);
    if (state.voters_outgoing_count > 0 &&
        holders < state.voters_outgoing_count / 2 + 1) {
        sim_broken(sim, "20 committed is durable on a quorum",
                   "%s commits %llu, which %zu of %zu outgoing disks have",
                   m->name, (unsigned long long)index, holders,
                   state.voters_outgoing_count);
    }
}

static void note_mark(struct sim *sim, uint64_t term, uint64_t index)
{
    for (size_t i = sim->marks_count; i-- > 0;) {
        if (sim->marks[i].term == term) {
            if (index > sim->marks[i].index) {
                sim->marks[i].index = index;
            }
            return;
        }
    }
    sim->marks = sim_grow(sim->marks, &sim->marks_size, sim->marks_count + 1,
                          sizeof(sim->marks[0]));
    sim->marks[sim->marks_count++] =
        (struct commit_mark){.term = term, .index = index};
}

static void note_committed(struct member *m, uint64_t from, uint64_t to)
{
    struct sim *sim = m->sim;

    need_index(sim, to);
    for (uint64_t i = from > m->mirror.first ? from : m->mirror.first; i <= to;
         i++) {
        struct blob *blob = log_at(&m->mirror, i);
        struct commit_slot *slot = &sim->commits[i];

        if (blob == NULL) {
            return; /* not given out to be stored yet */
        }
        if (slot->blob != NULL && slot->blob != blob) {
            sim_broken(sim, "19 state machine safety",
                       "%s commits entry %llu of term %llu, others one of "
                       "term %llu",
                       m->name, (unsigned long long)i,
                       (unsigned long long)blob->entry.term,
                       (unsigned long long)slot->blob->entry.term);
            return;
        }
        slot->blob = blob;
        sim->committed = i > sim->committed ? i : sim->committed;
    }
    if (m->seen.role == SWK_RAFT_LEADER && to >= m->mirror.first) {
        note_mark(sim, m->seen.term, to);
        check_durable(m, to);
    }
}

/* -- One member (1, 2, 3) -------------------------------------------------- */

static void check_order(struct member *m, const struct swk_raft_status *s)
{
    if (s->term < m->seen.term || s->committed < m->seen.committed) {
        sim_broken(m->sim, "2",
                   "%s goes back: term %llu to %llu, commit %llu "
                   "to %llu",
                   m->name, (unsigned long long)m->seen.term,
                   (unsigned long long)s->term,
                   (unsigned long long)m->seen.committed,
                   (unsigned long long)s->committed);
    }
    if (s->applied > s->committed || s->committed > s->last_index ||
        s->first_index > s->committed + 1) {
        sim_broken(m->sim, "1",
                   "%s has applied %llu, committed %llu, log %llu "
                   "to %llu",
                   m->name, (unsigned long long)s->applied,
                   (unsigned long long)s->committed,
                   (unsigned long long)s->first_index,
                   (unsigned long long)s->last_index);
    }
}

void rules_status(struct member *m)
{
    struct swk_raft_status status = {.size = sizeof(status)};

    if (m->raft == NULL) {
        return;
    }
    swk_raft_status(m->raft, &status);
    if (status.failure != 0) {
        m->seen = status;
        return;
    }
    check_order(m, &status);
    m->seen = status;
    if (status.term > m->sim->term_highest) {
        m->sim->term_highest = status.term;
    }
    if (status.role == SWK_RAFT_LEADER) {
        note_leader(m, status.term);
    }
}

/* What it believes to be on its disk is there. */
static void check_stored(struct member *m)
{
    const struct blob *blob = log_at(&m->mirror, m->seen.durable);

    if (!m->sim->s.outcome_only && !m->storage_failed && blob != NULL &&
        !disk_holds(&m->disk, m->seen.durable, blob)) {
        sim_broken(m->sim, "7 what is durable",
                   "%s takes %llu of term %llu for durable, and its disk does "
                   "not have it",
                   m->name, (unsigned long long)m->seen.durable,
                   (unsigned long long)blob->entry.term);
    }
}

/* Only once everything that it has was given out to be stored: before, what is
 * committed may be what replaces an entry that the mirror still has. */
void rules_committed(struct member *m)
{
    if (m->seen.failure == 0) {
        check_stored(m);
    }
    if (m->seen.failure == 0 && m->seen.committed > m->noted) {
        note_committed(m, m->noted + 1, m->seen.committed);
        m->noted = m->seen.committed;
    }
}

void rules_applied(struct member *m, const struct blob *blob)
{
    struct sim *sim = m->sim;
    struct commit_slot *slot = &sim->commits[blob->entry.index];

    if (blob->entry.index != m->applied + 1) {
        sim_broken(sim, "12 applied once, in order",
                   "%s applies %llu after %llu", m->name,
                   (unsigned long long)blob->entry.index,
                   (unsigned long long)m->applied);
    } else if (slot->blob != NULL && slot->blob != blob) {
        sim_broken(sim, "19 state machine safety",
                   "%s applies another entry at %llu", m->name,
                   (unsigned long long)blob->entry.index);
    } else {
        slot->blob = (struct blob *)blob;
        sim->committed = blob->entry.index > sim->committed ? blob->entry.index
                                                            : sim->committed;
    }
}

/* -- Membership (25) ------------------------------------------------------- */

static void mark_removed(struct sim *sim, const struct conf *before,
                         const struct conf *after, uint64_t index)
{
    for (size_t i = 0; i < sim->members_count; i++) {
        struct member *m = sim->members[i];

        if (!m->removed && conf_has(before, m->id) && !conf_has(after, m->id)) {
            m->removed = true;
            m->removed_at = sim->now;
            m->removed_index = index;
        }
    }
}

static const struct conf_step *find_conf(const struct sim *sim, uint64_t index)
{
    for (size_t i = sim->confs_count; i-- > 0;) {
        if (sim->confs[i].index <= index) {
            return &sim->confs[i];
        }
    }
    return NULL;
}

static void compare_conf(struct member *m, uint64_t index,
                         const struct conf *mine, const char *what)
{
    const struct conf_step *step = find_conf(m->sim, index);
    char a[200];
    char b[200];

    if (step == NULL || conf_same(&step->conf, mine)) {
        return;
    }
    conf_print(mine, a, sizeof(a));
    conf_print(&step->conf, b, sizeof(b));
    sim_broken(m->sim, "25 one configuration", "%s %s at %llu: %s, others: %s",
               m->name, what, (unsigned long long)index, a, b);
}

void rules_conf(struct member *m, uint64_t index)
{
    struct sim *sim = m->sim;
    struct swk_conf_state state;
    struct conf conf;
    bool is_new =
        sim->confs_count == 0 || index > sim->confs[sim->confs_count - 1].index;

    swk_raft_conf_state(m->raft, &state);
    conf_copy(&conf, &state);
    m->conf_index = index;
    if (!is_new) {
        compare_conf(m, index, &conf, "has a configuration of its own");
        return;
    }
    sim->confs = sim_grow(sim->confs, &sim->confs_size, sim->confs_count + 1,
                          sizeof(sim->confs[0]));
    sim->confs[sim->confs_count] =
        (struct conf_step){.index = index, .conf = conf};
    sim->confs_count++;
    sim->stats.conf_changes++;
    sim->stats.joint += conf.outgoing_count > 0;
    if (sim->confs_count > 1) {
        mark_removed(sim, &sim->confs[sim->confs_count - 2].conf, &conf, index);
    }
    if (sim->s.trace != 0) {
        char text[120];

        conf_print(&conf, text, sizeof(text));
        sim_trace(sim, m, "members at %llu: %s", (unsigned long long)index,
                  text);
    }
}

void rules_installed(struct member *m, const struct snapshot *snapshot)
{
    compare_conf(m, snapshot->meta.index, &snapshot->conf,
                 "installs a snapshot with other members");
    m->conf_index = snapshot->meta.index;
}

void rules_saved(struct member *m, const struct snapshot *snapshot)
{
    if (snapshot->meta.index != m->applied) {
        sim_broken(m->sim, "snapshot", "%s saves %llu, but has applied %llu",
                   m->name, (unsigned long long)snapshot->meta.index,
                   (unsigned long long)m->applied);
    }
    compare_conf(m, snapshot->meta.index, &snapshot->conf,
                 "saves a snapshot with other members");
}

/* -- The rest -------------------------------------------------------------- */

/* Whether it was right shows in the history. */
void rules_lease_read(struct member *m)
{
    if ((m->sim->s.flags & SWK_RAFT_LEASE_READS) != 0) {
        m->sim->stats.lease_reads++;
    }
}

/* (23) */
void rules_read(struct member *m, const struct pending *read)
{
    if (!m->sim->s.outcome_only && read->index < read->floor) {
        sim_broken(m->sim, "23 reads",
                   "%s answers a read as of %llu, and a write at %llu was "
                   "answered before",
                   m->name, (unsigned long long)read->index,
                   (unsigned long long)read->floor);
    }
}

void rules_restart(struct member *m)
{
    m->seen = (struct swk_raft_status){.size = sizeof(m->seen)};
    m->conf_index = m->applied;
    m->noted = m->applied;
}
