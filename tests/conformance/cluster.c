/* SPDX-License-Identifier: Apache-2.0 */

#include "cluster.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/raft/snapshot_meta.h"

#include "prose.h"

/* -- Copies ---------------------------------------------------------------- */

static void *need(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "no memory\n");
        abort();
    }
    return memory;
}

static void queue_add(struct queue *q, const struct message *message)
{
    if (q->count == q->room) {
        q->room = q->room * 2 + 16;
        q->items =
            need(reallocarray(q->items, q->room, sizeof(q->items[0])));
    }
    q->items[q->count++] = *message;
}

static struct message queue_take(struct queue *q, size_t at)
{
    struct message taken = q->items[at];

    q->count--;
    memmove(&q->items[at], &q->items[at + 1],
            (q->count - at) * sizeof(q->items[0]));
    return taken;
}

static void *copy_bytes(struct cluster *c, const void *data, size_t len)
{
    return len > 0 ? need(swki_arena_memdup(&c->arena, data, len)) : NULL;
}

static const struct swk_log_entry *
copy_entries(struct cluster *c, const struct swk_log_entry *entries,
             size_t count)
{
    struct swk_log_entry *copies =
        copy_bytes(c, entries, count * sizeof(*entries));

    for (size_t i = 0; i < count; i++) {
        copies[i].data = copy_bytes(c, entries[i].data, entries[i].data_len);
    }
    return copies;
}

static struct swk_snapshot_meta copy_meta(struct cluster *c,
                                          const struct swk_snapshot_meta *meta)
{
    struct swk_snapshot_meta copy = *meta;
    uint64_t *ids =
        need(swki_arena_calloc(&c->arena,
                               swki_conf_state_ids(&meta->conf_state) + 1,
                               sizeof(*ids)));

    swki_conf_state_copy(&meta->conf_state, ids, &copy.conf_state);
    return copy;
}

static struct message copy_message(struct cluster *c,
                                   const struct swk_raft_message *message)
{
    struct message copy = {.m = *message};

    copy.m.entries = copy_entries(c, message->entries, message->entries_count);
    copy.m.context = copy_bytes(c, message->context, message->context_len);
    if (message->snapshot != NULL) {
        struct swk_snapshot_meta meta = copy_meta(c, message->snapshot);

        copy.m.snapshot = copy_bytes(c, &meta, sizeof(meta));
    }
    return copy;
}

static struct message *copy_messages(struct cluster *c,
                                     const struct swk_raft_message *messages,
                                     size_t count)
{
    struct message *copies =
        need(swki_arena_calloc(&c->arena, count + 1, sizeof(*copies)));

    for (size_t i = 0; i < count; i++) {
        copies[i] = copy_message(c, &messages[i]);
    }
    return copies;
}

/* -- Life ------------------------------------------------------------------ */

void cluster_init(struct cluster *c, struct faults *faults)
{
    *c = (struct cluster){.faults = faults};
    swki_arena_init(&c->arena, NULL, SIZE_MAX);
    output_init(&c->out);
}

void cluster_fini(struct cluster *c)
{
    for (size_t i = 0; i < c->nodes_count; i++) {
        struct node *n = c->nodes[i];

        swki_machine_free(n->machine);
        memlog_fini(&n->storage);
        free(n->append_work.items);
        free(n->apply_work.items);
        free(n->history);
        free(n->fingerprint);
        free(n);
    }
    free(c->messages.items);
    output_fini(&c->out);
    swki_arena_fini(&c->arena);
}

struct node *cluster_node(struct cluster *c, uint64_t id)
{
    return id > 0 && id <= c->nodes_count && c->nodes[id - 1]->machine != NULL
               ? c->nodes[id - 1]
               : NULL;
}

static void trace(void *ctx, const struct swki_machine_trace *event)
{
    prose(ctx, event);
}

/* -- Calls of a machine ---------------------------------------------------- */

/* Everything of a machine that its views tell. */
static char *take_fingerprint(const struct swki_machine *m)
{
    struct swki_machine_status s;
    struct swki_buf buf;

    swki_buf_init(&buf, NULL, SIZE_MAX);
    swki_machine_status(m, &s);
    (void)swki_buf_printf(
        &buf,
        "state %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %d\n"
        "log %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
        " %" PRIu64 " %" PRIu64 "\n"
        "rest %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n"
        "ticks %" PRIu32 " %" PRIu32 " %" PRIu32 " ready %d\n",
        s.hard_state.term, s.hard_state.vote, s.hard_state.commit, s.leader,
        (int)s.role, s.applied, s.applying, s.first, s.last, s.offset,
        s.offset_in_progress, s.log_size, s.transfer_target,
        s.uncommitted_size, s.recovering, s.reads_waiting,
        s.elections_started, s.election_elapsed, s.election_timeout,
        s.leaderless_ticks, (int)swki_machine_has_ready(m));
    render_configuration(&buf, swki_machine_configuration(m));
    (void)swki_buf_append_byte(&buf, '\n');
    render_members(&buf, swki_machine_configuration(m));
    for (uint64_t i = s.first; i <= s.last; i++) {
        render_entry(&buf, swki_machine_entry_at(m, i));
        (void)swki_buf_append_byte(&buf, '\n');
    }
    (void)swki_buf_append_byte(&buf, '\0');

    char *text = need(strdup((const char *)buf.data));
    swki_buf_fini(&buf);
    return text;
}

void node_before(struct node *n)
{
    if (!faults_ahead(n->cluster->faults)) {
        return;
    }
    free(n->fingerprint);
    n->fingerprint = take_fingerprint(n->machine);
}

bool node_again(struct node *n, int rc)
{
    struct faults *faults = n->cluster->faults;
    const char *broken = swki_machine_check(n->machine);

    if (broken != NULL) {
        faults_report(faults, "node %" PRIu64 ": %s", n->id, broken);
    }
    if (rc != SWK_ENOMEM) {
        return false;
    }

    char *now = take_fingerprint(n->machine);
    if (n->fingerprint == NULL || strcmp(now, n->fingerprint) != 0) {
        faults_report(faults,
                      "node %" PRIu64 " changed in a call without memory",
                      n->id);
    }
    free(now);
    return faults->failed;
}

const char *node_result(struct node *n, int rc)
{
    return rc == SWK_OK ? NULL
                        : need(swki_arena_strdup(&n->cluster->arena,
                                                 n->cluster->err.text));
}

/* -- Starting -------------------------------------------------------------- */

static int restore(struct node *n)
{
    const struct memlog *log = &n->storage;
    struct swk_error *err = &n->cluster->err;
    int rc = SWK_OK;

    if (log->snapshot.index != 0) {
        rc = swki_machine_restore_snapshot(n->machine, &log->snapshot, err);
    }
    if (rc == SWK_OK &&
        (log->state.term != 0 || log->state.vote != 0 ||
         log->state.commit != 0)) {
        rc = swki_machine_restore_hard_state(n->machine, &log->state, err);
    }
    for (size_t i = 0; i < log->entries_count && rc == SWK_OK; i++) {
        rc = swki_machine_restore_entry(n->machine, &log->entries[i], err);
    }
    if (rc == SWK_OK && n->lost != 0) {
        rc = swki_machine_restore_lost(n->machine, n->lost, err);
    }
    if (rc == SWK_OK) {
        rc = swki_machine_start(n->machine, log->snapshot.index, err);
    }
    return rc;
}

/* Gives the machine what it may send to others. */
static int offer_snapshot(struct node *n)
{
    const struct swk_snapshot_meta *meta = node_snapshot(n);
    int rc;

    node_before(n);
    do {
        rc = swki_machine_set_snapshot(n->machine,
                                       meta->index != 0 ? meta : NULL,
                                       &n->cluster->err);
    } while (node_again(n, rc));
    return rc;
}

/* A machine from what is stored; once more if there was no memory. */
static const char *start(struct node *n)
{
    int rc;

    do {
        n->machine = NULL;
        rc = swki_machine_new(&n->config, &n->machine, &n->cluster->err);
        if (rc == SWK_OK) {
            rc = restore(n);
        }
        if (rc != SWK_OK) {
            swki_machine_free(n->machine);
            n->machine = NULL;
        }
    } while (rc == SWK_ENOMEM && n->cluster->faults->failed);
    return node_result(n, rc == SWK_OK ? offer_snapshot(n) : rc);
}

static void add_history(struct node *n, const struct swk_snapshot_meta *meta)
{
    if (n->history_count == n->history_room) {
        n->history_room = n->history_room * 2 + 16;
        n->history = need(reallocarray(n->history, n->history_room,
                                       sizeof(n->history[0])));
    }
    n->history[n->history_count++] = *meta;
}

const char *cluster_add(struct cluster *c,
                        const struct swki_machine_config *config,
                        const struct swk_snapshot_meta *snapshot)
{
    if (c->nodes_count == CLUSTER_NODES_MAX) {
        return "there are too many nodes";
    }

    struct node *n = need(calloc(1, sizeof(*n)));
    struct swk_snapshot_meta meta = copy_meta(c, snapshot);
    n->cluster = c;
    n->id = c->nodes_count + 1;
    n->config = *config;
    n->config.id = n->id;
    n->config.seed = n->id;
    n->config.alloc = &c->faults->alloc;
    n->config.trace = trace;
    n->config.trace_often = true;
    n->config.trace_ctx = &c->out;
    memlog_install(&n->storage, &meta);
    add_history(n, &meta);
    c->nodes[c->nodes_count++] = n;
    return start(n);
}

void node_crash(struct node *n)
{
    swki_machine_free(n->machine);
    n->machine = NULL;
    n->append_work.count = 0;
    n->apply_work.count = 0;
}

const char *node_restart(struct node *n, uint64_t lost)
{
    n->lost = lost;
    /* What was applied begins anew from the stored snapshot. */
    n->history_count = 0;
    add_history(n, &n->storage.snapshot);
    return start(n);
}

/* -- Messages -------------------------------------------------------------- */

static bool is_local(const struct swk_raft_message *m)
{
    return m->from == m->to || m->to >= SWKI_MACHINE_APPLY_THREAD ||
           m->from >= SWKI_MACHINE_APPLY_THREAD;
}

static void print_message(struct cluster *c, const struct message *message)
{
    struct swki_buf *buf = output_begin(&c->out);

    if (buf != NULL) {
        render_message(buf, message);
        (void)swki_buf_append_byte(buf, '\n');
    }
}

/* In the words of the data files; NULL for what has none. */
static const char *step_text(const struct message *message, int rc)
{
    switch (rc) {
    case SWK_EDENIED:
        return "raft: cannot step raft local message";
    case SWK_ENOTFOUND:
        return "raft: cannot step as peer not found";
    case SWK_ENOTLEADER:
    case SWK_EBUSY:
    case SWK_EUNAVAILABLE:
        return message->m.type == SWK_RAFT_MSG_PROP ? "raft proposal dropped"
                                                    : NULL;
    default:
        return NULL;
    }
}

static void step(struct node *n, const struct message *message)
{
    struct cluster *c = n->cluster;
    int rc;

    node_before(n);
    do {
        rc = swki_machine_step(n->machine, &message->m, &c->err);
    } while (node_again(n, rc));
    if (rc == SWK_OK) {
        return;
    }

    const char *text = step_text(message, rc);
    if (text != NULL) {
        output_text(&c->out, "%s\n", text);
    } else if (rc == SWK_EINVAL || rc == SWK_EIO) {
        output_text(&c->out, "%s\n", c->err.text);
    }
}

bool cluster_has_messages(const struct cluster *c, uint64_t to)
{
    for (size_t i = 0; i < c->messages.count; i++) {
        if (c->messages.items[i].m.to == to) {
            return true;
        }
    }
    return false;
}

size_t cluster_deliver(struct cluster *c, uint64_t to, int32_t type, bool drop)
{
    struct queue taken = {.items = NULL};

    for (size_t i = 0; i < c->messages.count;) {
        const struct swk_raft_message *m = &c->messages.items[i].m;

        if (m->to == to && !(drop && is_local(m)) &&
            (type < 0 || m->type == type)) {
            struct message message = queue_take(&c->messages, i);

            queue_add(&taken, &message);
        } else {
            i++;
        }
    }
    for (size_t i = 0; i < taken.count; i++) {
        struct node *n = cluster_node(c, to);

        output_text(&c->out, "%s", drop ? "dropped: " : "");
        print_message(c, &taken.items[i]);
        if (!drop && n != NULL) {
            step(n, &taken.items[i]);
        }
    }
    free(taken.items);
    return taken.count;
}

void cluster_send(struct cluster *c, const struct message *message)
{
    queue_add(&c->messages, message);
}

/* -- Storing and applying -------------------------------------------------- */

const struct swk_snapshot_meta *node_snapshot(const struct node *n)
{
    return &n->history[n->history_count - 1];
}

const struct swk_snapshot_meta *node_history_at(const struct node *n,
                                                uint64_t index)
{
    for (size_t i = n->history_count; i > 0; i--) {
        if (n->history[i - 1].index == index) {
            return &n->history[i - 1];
        }
    }
    return NULL;
}

static const char *store(struct node *n, const struct swk_hard_state *state,
                         const struct swk_log_entry *entries, size_t count,
                         const struct swk_snapshot_meta *snapshot)
{
    const char *wrong = NULL;

    if (state->term != 0 || state->vote != 0 || state->commit != 0) {
        n->storage.state = *state;
    }
    if (snapshot != NULL) { /* what comes with it comes behind it */
        memlog_install(&n->storage, snapshot);
        add_history(n, snapshot);
        wrong = node_result(n, offer_snapshot(n));
    }
    memlog_append(&n->storage, entries, count);
    return wrong;
}

/* A change of membership; what it makes is copied. */
static const char *apply_change(struct node *n,
                                const struct swk_log_entry *entry,
                                struct swk_snapshot_meta *meta)
{
    int rc;

    node_before(n);
    do {
        rc = swki_machine_apply_conf_change(n->machine, entry, false,
                                            &meta->conf_state,
                                            &n->cluster->err);
    } while (node_again(n, rc));
    if (rc == SWK_OK) {
        *meta = copy_meta(n->cluster, meta);
    }
    return node_result(n, rc);
}

/* The state machine only ever appends: its snapshots are all alike but for
 * where they stand. */
static const char *apply(struct node *n, const struct swk_log_entry *entries,
                         size_t count)
{
    const char *wrong = NULL;

    for (size_t i = 0; i < count && wrong == NULL; i++) {
        struct swk_snapshot_meta meta = *node_snapshot(n);

        meta.index = entries[i].index;
        meta.term = entries[i].term;
        if (entries[i].type != SWK_RAFT_ENTRY_NORMAL) {
            wrong = apply_change(n, &entries[i], &meta);
        }
        if (wrong == NULL) {
            add_history(n, &meta);
            wrong = node_result(n, offer_snapshot(n));
        }
    }
    return wrong;
}

/* -- Readies --------------------------------------------------------------- */

/* Everything of a Ready but its messages, copied. */
static struct swki_machine_ready
copy_ready(struct cluster *c, const struct swki_machine_ready *ready)
{
    struct swki_machine_ready copy = *ready;

    if (ready->hard_state != NULL) {
        copy.hard_state =
            copy_bytes(c, ready->hard_state, sizeof(*ready->hard_state));
    }
    if (ready->snapshot != NULL) {
        struct swk_snapshot_meta meta = copy_meta(c, ready->snapshot);

        copy.snapshot = copy_bytes(c, &meta, sizeof(meta));
    }
    copy.entries = copy_entries(c, ready->entries, ready->entries_count);
    copy.committed = copy_entries(c, ready->committed, ready->committed_count);
    return copy;
}

static void collect(struct cluster *c, struct queue *all,
                    const struct swk_raft_message *messages, size_t count)
{
    struct message *copies = copy_messages(c, messages, count);

    for (size_t i = 0; i < count; i++) {
        queue_add(all, &copies[i]);
    }
}

/* The messages of a Ready, in the order in which they are shown. */
static void collect_messages(struct cluster *c, struct queue *all,
                             const struct swki_machine_ready *ready)
{
    collect(c, all, ready->messages, ready->messages_count);
    if (ready->append != NULL) {
        struct message append = copy_message(c, ready->append);

        append.responses =
            copy_messages(c, ready->responses, ready->responses_count);
        append.responses_count = ready->responses_count;
        queue_add(all, &append);
    }
    if (ready->apply != NULL) {
        struct message work = copy_message(c, ready->apply);
        const struct swk_raft_message response = {
            .type = SWKI_MACHINE_STORAGE_APPLY_RESP,
            .to = work.m.from,
            .from = SWKI_MACHINE_APPLY_THREAD,
            .entries = work.m.entries,
            .entries_count = work.m.entries_count,
        };

        work.responses = copy_messages(c, &response, 1);
        work.responses_count = 1;
        queue_add(all, &work);
    }
}

static bool is_async(const struct node *n)
{
    return (n->config.flags & SWKI_MACHINE_ASYNC) != 0;
}

static void dispatch(struct node *n, const struct queue *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        const struct message *message = &messages->items[i];

        if (message->m.to == SWKI_MACHINE_APPEND_THREAD) {
            queue_add(&n->append_work, message);
        } else if (message->m.to == SWKI_MACHINE_APPLY_THREAD) {
            queue_add(&n->apply_work, message);
        } else {
            queue_add(&n->cluster->messages, message);
        }
    }
}

static const char *finish_ready(struct node *n,
                                const struct swki_machine_ready *ready,
                                const struct queue *messages)
{
    static const struct swk_hard_state none;
    const char *wrong = NULL;
    int rc;

    if (is_async(n)) {
        dispatch(n, messages);
        return NULL;
    }
    wrong = store(n, ready->hard_state != NULL ? ready->hard_state : &none,
                  ready->entries, ready->entries_count, ready->snapshot);
    if (wrong == NULL) {
        wrong = apply(n, ready->committed, ready->committed_count);
    }
    if (wrong != NULL) {
        return wrong;
    }
    dispatch(n, messages);
    node_before(n);
    do {
        rc = swki_machine_advance(n->machine, &n->cluster->err);
    } while (node_again(n, rc));
    return node_result(n, rc);
}

const char *node_process_ready(struct node *n)
{
    struct cluster *c = n->cluster;
    const struct swki_machine_ready *given = NULL;
    struct queue messages = {.items = NULL};
    int rc;

    node_before(n);
    do {
        rc = swki_machine_take_ready(n->machine, &given, &c->err);
    } while (node_again(n, rc));
    if (rc != SWK_OK) {
        return node_result(n, rc);
    }

    struct swki_machine_ready ready = copy_ready(c, given);
    collect_messages(c, &messages, given);
    if (!is_async(n)) {
        collect(c, &messages, given->responses, given->responses_count);
    }

    struct swki_buf *buf = output_begin(&c->out);
    if (buf != NULL) {
        render_ready(buf, &ready, messages.items, messages.count);
    }
    const char *wrong = finish_ready(n, &ready, &messages);
    free(messages.items);
    return wrong;
}

/* -- The storage's threads ------------------------------------------------- */

/* Takes the oldest work, printed without its responses. */
static struct message begin_work(struct node *n, struct queue *work)
{
    struct message message = queue_take(work, 0);
    struct message plain = {.m = message.m};

    output_text(&n->cluster->out, "Processing:\n");
    print_message(n->cluster, &plain);
    return message;
}

static void end_work(struct node *n, const struct message *message)
{
    output_text(&n->cluster->out, "Responses:\n");
    for (size_t i = 0; i < message->responses_count; i++) {
        print_message(n->cluster, &message->responses[i]);
        queue_add(&n->cluster->messages, &message->responses[i]);
    }
}

const char *node_process_append(struct node *n)
{
    if (n->append_work.count == 0) {
        output_text(&n->cluster->out, "no append work to perform");
        return NULL;
    }

    struct message message = begin_work(n, &n->append_work);
    const struct swk_hard_state state = {
        .term = message.m.term,
        .vote = message.m.vote,
        .commit = message.m.commit,
    };
    const char *wrong = store(n, &state, message.m.entries,
                              message.m.entries_count, message.m.snapshot);
    if (wrong == NULL) {
        end_work(n, &message);
    }
    return wrong;
}

const char *node_process_apply(struct node *n)
{
    if (n->apply_work.count == 0) {
        output_text(&n->cluster->out, "no apply work to perform");
        return NULL;
    }

    struct message message = begin_work(n, &n->apply_work);
    const char *wrong =
        apply(n, message.m.entries, message.m.entries_count);
    if (wrong == NULL) {
        end_work(n, &message);
    }
    return wrong;
}
