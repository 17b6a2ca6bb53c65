/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files about whole groups: a cluster that is driven by case after case. What
 * a case prints are its own lines and those of the machines' traces; when it
 * fails, the text of the error comes last; when there is nothing, "ok".
 *
 * Commands that begin with "x-" are those of this project's own files
 * (own_commands.c).
 */

#include "interaction.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/raft/conf_change.h"

#include "changes.h"
#include "environment.h"

static const char bad_arguments[] = "the arguments are wrong";

/* -- Arguments ------------------------------------------------------------- */

/* The argument at a place, if it is a plain number. */
static bool number_at(const struct directive *d, size_t at, uint64_t *out)
{
    return at < d->arguments_count && d->arguments[at].values_count == 0 &&
           parse_number(d->arguments[at].key, out);
}

struct node *node_at(struct cluster *c, const struct directive *d, size_t at)
{
    uint64_t id;

    return number_at(d, at, &id) ? cluster_node(c, id) : NULL;
}

/* -- Events ---------------------------------------------------------------- */

int node_event(struct node *n,
               int (*event)(struct swki_machine *m, struct swk_error *err))
{
    int rc;

    node_before(n);
    do {
        rc = event(n->machine, &n->cluster->err);
    } while (node_again(n, rc));
    return rc;
}

static const char *campaign(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);

    return n != NULL ? node_result(n, node_event(n, swki_machine_campaign))
                     : bad_arguments;
}

static const char *forget_leader(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    int rc;

    if (n == NULL) {
        return bad_arguments;
    }
    rc = node_event(n, swki_machine_forget_leader);
    /* That it is refused is in the log alone. */
    return rc == SWK_EPRECONDITION ? NULL : node_result(n, rc);
}

const char *node_ticks(struct node *n, uint64_t count)
{
    int rc = SWK_OK;

    for (uint64_t i = 0; i < count && rc == SWK_OK; i++) {
        rc = node_event(n, swki_machine_tick);
    }
    return node_result(n, rc);
}

static const char *tick_election(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);

    return n != NULL ? node_ticks(n, n->config.election_ticks) : bad_arguments;
}

static const char *tick_heartbeat(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);

    return n != NULL ? node_ticks(n, n->config.heartbeat_ticks)
                     : bad_arguments;
}

static const char *report_unreachable(struct cluster *c,
                                      const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    uint64_t about;
    int rc;

    if (n == NULL || !number_at(d, 1, &about)) {
        return bad_arguments;
    }
    node_before(n);
    do {
        rc = swki_machine_report_unreachable(n->machine, about, &c->err);
    } while (node_again(n, rc));
    return node_result(n, rc);
}

static const char *transfer_leadership(struct cluster *c,
                                       const struct directive *d)
{
    const char *from = directive_value(d, "from");
    const char *to = directive_value(d, "to");
    uint64_t from_id;
    uint64_t to_id;
    int rc;

    if (from == NULL || to == NULL || !parse_number(from, &from_id) ||
        !parse_number(to, &to_id) || cluster_node(c, from_id) == NULL) {
        return bad_arguments;
    }

    struct node *n = cluster_node(c, from_id);
    node_before(n);
    do {
        rc = swki_machine_transfer(n->machine, to_id, &c->err);
    } while (node_again(n, rc));
    /* That nobody leads is in the log alone. */
    return rc == SWK_ENOTLEADER ? NULL : node_result(n, rc);
}

static const char *set_timeout(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    const char *value = directive_value(d, "timeout");
    uint64_t ticks;

    if (n == NULL || value == NULL || !parse_number(value, &ticks) ||
        ticks == 0 || ticks > INT32_MAX) {
        return bad_arguments;
    }
    swki_machine_set_election_timeout(n->machine, (uint32_t)ticks);
    return NULL;
}

/* -- Proposals ------------------------------------------------------------- */

static const char *propose_entry(struct node *n, int32_t type, const void *data,
                                 size_t len)
{
    int rc;

    node_before(n);
    do {
        rc = swki_machine_propose(n->machine, type, data, len, NULL,
                                  &n->cluster->err);
    } while (node_again(n, rc));
    switch (rc) {
    case SWK_EPRECONDITION: /* an empty entry took its place */
        return NULL;
    case SWK_ENOTLEADER:
    case SWK_EBUSY:
    case SWK_EUNAVAILABLE:
        return "raft proposal dropped";
    default:
        return node_result(n, rc);
    }
}

static const char *propose(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);

    if (n == NULL || d->arguments_count != 2 ||
        d->arguments[1].values_count != 0) {
        return bad_arguments;
    }
    return propose_entry(n, SWK_RAFT_ENTRY_NORMAL, d->arguments[1].key,
                         strlen(d->arguments[1].key));
}

static bool parse_transition(const char *name, int32_t *out)
{
    static const char *const names[] = {"auto", "implicit", "explicit"};

    for (int32_t i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static const char *propose_change(struct node *n,
                                  const struct swk_raft_conf_change *change,
                                  bool v1)
{
    size_t len = v1 ? swki_conf_change_v1_size(change)
                    : swki_conf_change_size(change);
    uint8_t *data = malloc(len + 1);
    const char *wrong;

    if (data == NULL) {
        abort();
    }
    if (v1) {
        swki_conf_change_v1_encode(change, data);
    } else {
        swki_conf_change_encode(change, data);
    }
    wrong = propose_entry(n,
                          v1 ? SWK_RAFT_ENTRY_CONF_CHANGE
                             : SWK_RAFT_ENTRY_CONF_CHANGE_V2,
                          data, len);
    free(data);
    return wrong;
}

static const char *propose_conf_change(struct cluster *c,
                                       const struct directive *d)
{
    struct swk_raft_change changes[SWK_RAFT_CHANGES_MAX];
    struct swk_raft_conf_change change = {
        .size = sizeof(change),
        .changes = changes,
    };
    struct node *n = node_at(c, d, 0);
    const char *transition = directive_value(d, "transition");
    const char *v1_text = directive_value(d, "v1");
    bool v1 = false;

    if (n == NULL ||
        (transition != NULL &&
         !parse_transition(transition, &change.transition)) ||
        (v1_text != NULL && !parse_flag(v1_text, &v1)) ||
        !changes_parse(d->input, changes, &change.changes_count)) {
        return bad_arguments;
    }
    if (v1 && (change.changes_count != 1 || change.transition != 0)) {
        return "the older form has one change and no transition";
    }
    return propose_change(n, &change, v1);
}

/* -- Messages -------------------------------------------------------------- */

struct recipients {
    uint64_t ids[CLUSTER_NODES_MAX];
    bool drop[CLUSTER_NODES_MAX];
    size_t count;
};

static const char *add_recipient(struct recipients *r, const char *text,
                                 bool drop)
{
    uint64_t id;

    if (!parse_number(text, &id) || r->count == CLUSTER_NODES_MAX) {
        return bad_arguments;
    }
    for (size_t i = 0; i < r->count; i++) {
        if (drop && r->ids[i] == id) {
            return "messages cannot be both delivered and dropped";
        }
    }
    r->ids[r->count] = id;
    r->drop[r->count++] = drop;
    return NULL;
}

static const char *read_recipients(struct recipients *r,
                                   const struct directive *d, int32_t *type)
{
    const char *wrong = NULL;

    for (size_t i = 0; i < d->arguments_count && wrong == NULL; i++) {
        const struct argument *a = &d->arguments[i];

        if (a->values_count == 0) {
            wrong = add_recipient(r, a->key, false);
        }
        for (size_t k = 0; k < a->values_count && wrong == NULL; k++) {
            if (strcmp(a->key, "drop") == 0) {
                wrong = add_recipient(r, a->values[k], true);
            } else if (strcmp(a->key, "type") != 0 ||
                       !message_type_parse(a->values[k], type)) {
                wrong = bad_arguments;
            }
        }
    }
    return wrong;
}

static const char *deliver_msgs(struct cluster *c, const struct directive *d)
{
    struct recipients r = {.count = 0};
    int32_t type = -1;
    size_t count = 0;
    const char *wrong = read_recipients(&r, d, &type);

    for (size_t i = 0; i < r.count && wrong == NULL; i++) {
        count += cluster_deliver(c, r.ids[i], type, r.drop[i]);
    }
    if (wrong == NULL && count == 0) {
        output_text(&c->out, "no messages\n");
    }
    return wrong;
}

static const char *send_snapshot(struct cluster *c, const struct directive *d)
{
    struct node *from = node_at(c, d, 0);
    struct swki_machine_status status;
    struct message message;
    uint64_t to;

    if (from == NULL || !number_at(d, 1, &to)) {
        return bad_arguments;
    }
    swki_machine_status(from->machine, &status);
    /* The history moves, what is in it does not. */
    struct swk_snapshot_meta *meta =
        swki_arena_memdup(&c->arena, node_snapshot(from), sizeof(*meta));
    if (meta == NULL) {
        abort();
    }
    message = (struct message){
        .m =
            {
                .type = SWK_RAFT_MSG_SNAP,
                .to = to,
                .from = from->id,
                .term = status.hard_state.term,
                .snapshot = meta,
            },
    };
    cluster_send(c, &message);
    struct swki_buf *buf = output_begin(&c->out);
    if (buf != NULL) {
        render_message(buf, &message);
    }
    return NULL;
}

/* -- Work ------------------------------------------------------------------ */

typedef const char *(*work_fn)(struct node *n);

/* Work of one node as it is, of several indented below a line for each. */
static const char *work_on_each(struct cluster *c, const struct directive *d,
                                work_fn work, const char *title)
{
    const char *wrong = d->arguments_count > 0 ? NULL : bad_arguments;

    for (size_t i = 0; i < d->arguments_count && wrong == NULL; i++) {
        struct node *n = node_at(c, d, i);
        size_t begin;

        if (n == NULL) {
            return bad_arguments;
        }
        if (d->arguments_count == 1) {
            return work(n);
        }
        output_text(&c->out, "> %" PRIu64 " %s\n", n->id, title);
        begin = c->out.text.len;
        wrong = work(n);
        output_indent(&c->out, begin);
    }
    return wrong;
}

static const char *process_ready(struct cluster *c, const struct directive *d)
{
    return work_on_each(c, d, node_process_ready, "handling Ready");
}

static const char *process_append(struct cluster *c, const struct directive *d)
{
    return work_on_each(c, d, node_process_append, "processing append thread");
}

static const char *process_apply(struct cluster *c, const struct directive *d)
{
    return work_on_each(c, d, node_process_apply, "processing apply thread");
}

struct nodes {
    struct node *items[CLUSTER_NODES_MAX];
    size_t count;
};

/* Each of the nodes does what it has of one kind of work; true if any had. */
static const char *stabilize_queue(struct cluster *c, const struct nodes *nodes,
                                   work_fn work, const char *title,
                                   bool *out_any)
{
    const char *wrong = NULL;

    for (size_t i = 0; i < nodes->count && wrong == NULL; i++) {
        struct node *n = nodes->items[i];
        const struct queue *queue =
            work == node_process_append ? &n->append_work : &n->apply_work;

        if (queue->count > 0) {
            *out_any = true;
            output_text(&c->out, "> %" PRIu64 " %s\n", n->id, title);
        }
        while (queue->count > 0 && wrong == NULL) {
            size_t begin = c->out.text.len;

            wrong = work(n);
            output_indent(&c->out, begin);
        }
    }
    return wrong;
}

static const char *stabilize_readies(struct cluster *c,
                                     const struct nodes *nodes, bool *out_any)
{
    const char *wrong = NULL;

    for (size_t i = 0; i < nodes->count && wrong == NULL; i++) {
        struct node *n = nodes->items[i];

        if (!swki_machine_has_ready(n->machine)) {
            continue;
        }
        *out_any = true;
        output_text(&c->out, "> %" PRIu64 " handling Ready\n", n->id);
        size_t begin = c->out.text.len;
        wrong = node_process_ready(n);
        output_indent(&c->out, begin);
    }
    return wrong;
}

static void stabilize_messages(struct cluster *c, const struct nodes *nodes,
                               bool *out_any)
{
    for (size_t i = 0; i < nodes->count; i++) {
        struct node *n = nodes->items[i];

        if (!cluster_has_messages(c, n->id)) {
            continue;
        }
        *out_any = true;
        output_text(&c->out, "> %" PRIu64 " receiving messages\n", n->id);
        size_t begin = c->out.text.len;
        (void)cluster_deliver(c, n->id, -1, false);
        output_indent(&c->out, begin);
    }
}

static const char *stabilize_nodes(struct cluster *c, const struct nodes *nodes)
{
    const char *wrong = NULL;
    bool any = true;

    while (any && wrong == NULL) {
        any = false;
        wrong = stabilize_readies(c, nodes, &any);
        if (wrong == NULL) {
            stabilize_messages(c, nodes, &any);
            wrong = stabilize_queue(c, nodes, node_process_append,
                                    "processing append thread", &any);
        }
        if (wrong == NULL) {
            wrong = stabilize_queue(c, nodes, node_process_apply,
                                    "processing apply thread", &any);
        }
    }
    return wrong;
}

static const char *stabilize(struct cluster *c, const struct directive *d)
{
    const char *level_text = directive_value(d, "log-level");
    enum level before = c->out.level;
    struct nodes nodes = {.count = 0};

    for (size_t i = 0; i < d->arguments_count; i++) {
        if (d->arguments[i].values_count > 0) {
            continue;
        }
        nodes.items[nodes.count] = node_at(c, d, i);
        if (nodes.items[nodes.count++] == NULL) {
            return bad_arguments;
        }
    }
    if (nodes.count == 0) {
        for (size_t i = 0; i < c->nodes_count; i++) {
            if (c->nodes[i]->machine != NULL) {
                nodes.items[nodes.count++] = c->nodes[i];
            }
        }
    }
    if (level_text != NULL && !level_parse(level_text, &c->out.level)) {
        return bad_arguments;
    }
    const char *wrong = stabilize_nodes(c, &nodes);
    c->out.level = before;
    return wrong;
}

/* -- Views ----------------------------------------------------------------- */

static const char *log_level(struct cluster *c, const struct directive *d)
{
    return d->arguments_count == 1 &&
                   level_parse(d->arguments[0].key, &c->out.level)
               ? NULL
               : bad_arguments;
}

static void print_log(struct node *n)
{
    const struct memlog *log = &n->storage;
    struct swki_buf *buf = output_begin(&n->cluster->out);

    if (log->entries_count == 0) {
        output_text(&n->cluster->out,
                    "log is empty: first index=%" PRIu64 ", last index=%" PRIu64,
                    memlog_first(log), memlog_last(log));
    } else if (buf != NULL) {
        render_entries(buf, log->entries, log->entries_count);
    }
}

static const char *raft_log(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);

    if (n == NULL) {
        return bad_arguments;
    }
    print_log(n);
    return NULL;
}

static const char *compact(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    const struct swk_snapshot_meta *meta;
    uint64_t index;
    int rc;

    if (n == NULL || !number_at(d, 1, &index)) {
        return bad_arguments;
    }
    if (index <= n->storage.snapshot.index) {
        return "requested index is unavailable due to compaction";
    }
    meta = node_history_at(n, index);
    if (meta == NULL || index > memlog_last(&n->storage)) {
        return "requested index is not applied and stored";
    }
    node_before(n);
    do {
        rc = swki_machine_compact(n->machine, index, &c->err);
    } while (node_again(n, rc));
    if (rc == SWK_OK) {
        memlog_compact(&n->storage, meta);
        print_log(n);
    }
    return node_result(n, rc);
}

static const char *raft_state(struct cluster *c, const struct directive *d)
{
    (void)d;
    for (size_t i = 0; i < c->nodes_count; i++) {
        struct swki_machine_status s;

        if (c->nodes[i]->machine == NULL) {
            output_text(&c->out, "%" PRIu64 ": down\n", c->nodes[i]->id);
            continue;
        }
        swki_machine_status(c->nodes[i]->machine, &s);
        output_text(&c->out,
                    "%" PRIu64 ": %s (%s) Term:%" PRIu64 " Lead:%" PRIu64 "\n",
                    s.id, role_name(s.role), s.voter ? "Voter" : "Non-Voter",
                    s.hard_state.term, s.leader);
    }
    return NULL;
}

static const char *print_status(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    struct swki_buf *buf = output_begin(&c->out);
    struct swki_machine_status s;

    if (n == NULL) {
        return bad_arguments;
    }
    swki_machine_status(n->machine, &s);
    if (s.role == SWK_RAFT_LEADER && buf != NULL) {
        render_members(buf, swki_machine_configuration(n->machine));
    }
    return NULL;
}

/* -- The environment ------------------------------------------------------- */

static const struct command commands[] = {
    {"add-nodes", cluster_add_nodes},
    {"campaign", campaign},
    {"compact", compact},
    {"deliver-msgs", deliver_msgs},
    {"forget-leader", forget_leader},
    {"log-level", log_level},
    {"process-append-thread", process_append},
    {"process-apply-thread", process_apply},
    {"process-ready", process_ready},
    {"propose", propose},
    {"propose-conf-change", propose_conf_change},
    {"raft-log", raft_log},
    {"raft-state", raft_state},
    {"report-unreachable", report_unreachable},
    {"send-snapshot", send_snapshot},
    {"set-randomized-election-timeout", set_timeout},
    {"stabilize", stabilize},
    {"status", print_status},
    {"tick-election", tick_election},
    {"tick-heartbeat", tick_heartbeat},
    {"transfer-leadership", transfer_leadership},
};

static const struct command *find_command(const struct command *table,
                                          size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static const char *carry_out(struct cluster *c, const struct directive *d)
{
    const struct command *command = find_command(
        commands, sizeof(commands) / sizeof(commands[0]), d->command);

    if (command == NULL) {
        command = find_command(own_commands, own_commands_count, d->command);
    }
    return command != NULL ? command->carry_out(c, d) : "unknown command";
}

static void run(void *ctx, const struct directive *d, struct swki_buf *out)
{
    struct cluster *c = ctx;
    const char *wrong;

    swki_buf_clear(&c->out.text);
    wrong = carry_out(c, d);
    if (c->out.level == LEVEL_NONE) {
        swki_buf_clear(&c->out.text);
    }
    (void)swki_buf_append(out, c->out.text.data, c->out.text.len);
    if (wrong != NULL) {
        (void)swki_buf_append_text(out, wrong);
    } else if (out->len == 0) {
        (void)swki_buf_append_text(out, "ok");
    }
}

static void release(void *ctx)
{
    struct cluster *c = ctx;

    cluster_fini(c);
    free(c);
}

struct environment interaction_environment(struct faults *faults)
{
    struct cluster *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        abort();
    }
    cluster_init(c, faults);
    return (struct environment){.run = run, .free = release, .ctx = c};
}
