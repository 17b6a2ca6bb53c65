/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Commands of this project's own files about whole groups, for what those of
 * etcd/raft have no words for: reads, reports, crashes, broken messages, and
 * views of the inside.
 *
 * x-tick ID N, x-crash ID, x-restart ID [lost=N], x-read ID
 * CONTEXT, x-report-snapshot ON ABOUT ok|fail, x-snapshot-alive ON ABOUT,
 * x-no-snapshot ID, x-stalled ID true|false, x-priority ON ABOUT N, x-resign
 * ID, x-state ID, x-rejected ID, x-caught-up ID ABOUT, x-keeps-quorum ID
 * active=(..), x-step TO type=.. FIELD=..
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "changes.h"
#include "environment.h"
#include "interaction.h"

static const char bad_arguments[] = "the arguments are wrong";

static bool number_of(const struct directive *d, const char *key,
                      uint64_t *out)
{
    const char *value = directive_value(d, key);

    return value == NULL || parse_number(value, out);
}

static bool number_at(const struct directive *d, size_t at, uint64_t *out)
{
    return at < d->arguments_count && parse_number(d->arguments[at].key, out);
}

static const char *word_at(const struct directive *d, size_t at)
{
    return at < d->arguments_count ? d->arguments[at].key : "";
}

/* -- Time, crashes --------------------------------------------------------- */

static const char *tick(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    uint64_t count;

    return n != NULL && number_at(d, 1, &count) ? node_ticks(n, count)
                                                : bad_arguments;
}

static const char *crash(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);

    if (n == NULL) {
        return bad_arguments;
    }
    node_crash(n);
    return NULL;
}

static const char *restart(struct cluster *c, const struct directive *d)
{
    uint64_t id;
    uint64_t lost = 0;

    if (!number_at(d, 0, &id) || !number_of(d, "lost", &lost) || id == 0 ||
        id > c->nodes_count || c->nodes[id - 1]->machine != NULL) {
        return bad_arguments;
    }
    return node_restart(c->nodes[id - 1], lost);
}

/* -- Requests and reports -------------------------------------------------- */

static const char *read_index(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    const char *context = word_at(d, 1);
    int rc;

    if (n == NULL) {
        return bad_arguments;
    }
    node_before(n);
    do {
        rc = swki_machine_read_index(n->machine, context, strlen(context),
                                     &c->err);
    } while (node_again(n, rc));
    return node_result(n, rc);
}

static const char *report_snapshot(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    const char *how = word_at(d, 2);
    uint64_t about;
    int rc;

    if (n == NULL || !number_at(d, 1, &about) ||
        (strcmp(how, "ok") != 0 && strcmp(how, "fail") != 0)) {
        return bad_arguments;
    }
    node_before(n);
    do {
        rc = swki_machine_report_snapshot(n->machine, about, *how == 'o',
                                          &c->err);
    } while (node_again(n, rc));
    return node_result(n, rc);
}

static const char *snapshot_alive(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    uint64_t about;

    if (n == NULL || !number_at(d, 1, &about)) {
        return bad_arguments;
    }
    swki_machine_snapshot_alive(n->machine, about);
    return NULL;
}

/* Until the next entry is applied. */
static const char *no_snapshot(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);

    return n != NULL ? node_result(n, swki_machine_set_snapshot(
                                          n->machine, NULL, &c->err))
                     : bad_arguments;
}

static const char *set_stalled(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    bool stalled;

    if (n == NULL || !parse_flag(word_at(d, 1), &stalled)) {
        return bad_arguments;
    }
    swki_machine_set_stalled(n->machine, stalled);
    return NULL;
}

static const char *set_priority(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    uint64_t about;
    uint64_t priority;

    if (n == NULL || !number_at(d, 1, &about) || !number_at(d, 2, &priority)) {
        return bad_arguments;
    }
    return swki_machine_set_priority(n->machine, about, (int32_t)priority)
               ? NULL
               : "no such member";
}

static const char *resign(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);

    return n != NULL ? node_result(n, node_event(n, swki_machine_resign))
                     : bad_arguments;
}

/* -- Views ----------------------------------------------------------------- */

static const char *print_state(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    struct swki_machine_status s;

    if (n == NULL) {
        return bad_arguments;
    }
    swki_machine_status(n->machine, &s);
    output_text(&c->out,
                "%s term=%" PRIu64 " vote=%" PRIu64 " lead=%" PRIu64
                " commit=%" PRIu64 " applied=%" PRIu64 " log=%" PRIu64
                "..%" PRIu64 " unstable=%" PRIu64,
                role_name(s.role), s.hard_state.term, s.hard_state.vote,
                s.leader, s.hard_state.commit, s.applied, s.first, s.last,
                s.offset);
    if (s.transfer_target != 0) {
        output_text(&c->out, " transfer=%" PRIu64, s.transfer_target);
    }
    if (s.recovering != 0) {
        output_text(&c->out, " recovering=%" PRIu64, s.recovering);
    }
    output_text(&c->out, " uncommitted=%" PRIu64 " reads=%" PRIu64 "\n",
                s.uncommitted_size, s.reads_waiting);
    return NULL;
}

static const char *const reject_names[SWKI_MACHINE_REJECTS] = {
    [SWKI_MACHINE_REJECT_KIND] = "kind",
    [SWKI_MACHINE_REJECT_ADDRESS] = "address",
    [SWKI_MACHINE_REJECT_NOT_MEMBER] = "not a member",
    [SWKI_MACHINE_REJECT_ENTRIES] = "entries",
    [SWKI_MACHINE_REJECT_SIZE] = "size",
    [SWKI_MACHINE_REJECT_SNAPSHOT] = "snapshot",
    [SWKI_MACHINE_REJECT_HINT] = "hint",
    [SWKI_MACHINE_REJECT_CONTEXT] = "context",
    [SWKI_MACHINE_REJECT_CHANGE] = "change",
    [SWKI_MACHINE_REJECT_TERM] = "term",
    [SWKI_MACHINE_REJECT_TWO_LEADERS] = "two leaders",
    [SWKI_MACHINE_REJECT_CONFLICT] = "conflict",
    [SWKI_MACHINE_REJECT_INDEX] = "index",
    [SWKI_MACHINE_REJECT_NOMEM] = "no memory",
};

static const char *print_rejected(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    struct swki_machine_status s;

    if (n == NULL) {
        return bad_arguments;
    }
    swki_machine_status(n->machine, &s);
    for (size_t i = 0; i < SWKI_MACHINE_REJECTS; i++) {
        if (s.rejected[i] > 0) {
            output_text(&c->out, "%s: %" PRIu64 "\n", reject_names[i],
                        s.rejected[i]);
        }
    }
    return NULL;
}

static const char *caught_up(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    uint64_t about;

    if (n == NULL || !number_at(d, 1, &about)) {
        return bad_arguments;
    }
    output_text(&c->out, "%s\n",
                swki_machine_caught_up(n->machine, about) ? "yes" : "no");
    return NULL;
}

static const char *keeps_quorum(struct cluster *c, const struct directive *d)
{
    const struct argument *a = directive_find(d, "active");
    struct swk_raft_change changes[SWK_RAFT_CHANGES_MAX];
    struct swk_raft_conf_change change = {
        .size = sizeof(change),
        .changes = changes,
    };
    uint64_t active[SWK_RAFT_MEMBERS_MAX];
    struct node *n = node_at(c, d, 0);
    size_t count = 0;

    if (n == NULL || a == NULL || a->values_count > SWK_RAFT_MEMBERS_MAX ||
        !changes_parse(d->input, changes, &change.changes_count)) {
        return bad_arguments;
    }
    while (count < a->values_count) {
        if (!parse_number(a->values[count], &active[count])) {
            return bad_arguments;
        }
        count++;
    }
    output_text(&c->out, "%s\n",
                swki_machine_keeps_quorum(n->machine, &change, active, count)
                    ? "yes"
                    : "no");
    return NULL;
}

/* -- Messages as written --------------------------------------------------- */

enum {
    ENTRIES_MAX = 16,
    IDS_MAX = 16,
};

/* A message and what it points at. */
struct made {
    struct swk_raft_message m;
    struct swk_log_entry entries[ENTRIES_MAX];
    struct swk_snapshot_meta snapshot;
    uint64_t voters[IDS_MAX];
    uint64_t learners[IDS_MAX];
};

static bool read_ids(const struct directive *d, const char *key, uint64_t *ids,
                     size_t *count)
{
    const struct argument *a = directive_find(d, key);

    for (size_t i = 0; a != NULL && i < a->values_count; i++) {
        if (*count == IDS_MAX || !parse_number(a->values[i], &ids[(*count)++])) {
            return false;
        }
    }
    return true;
}

static bool read_numbers(struct made *made, const struct directive *d)
{
    struct swk_raft_message *m = &made->m;
    uint64_t reject = 0;

    if (!number_of(d, "from", &m->from) || !number_of(d, "to", &m->to) ||
        !number_of(d, "term", &m->term) ||
        !number_of(d, "log-term", &m->log_term) ||
        !number_of(d, "index", &m->index) ||
        !number_of(d, "commit", &m->commit) ||
        !number_of(d, "reject", &reject) ||
        !number_of(d, "hint", &m->reject_hint) ||
        !number_of(d, "snapshot-index", &made->snapshot.index) ||
        !number_of(d, "snapshot-term", &made->snapshot.term)) {
        return false;
    }
    m->reject = reject != 0 ? 1 : 0;
    return true;
}

static bool read_snapshot(struct made *made, const struct directive *d)
{
    struct swk_conf_state *state = &made->snapshot.conf_state;

    state->voters = made->voters;
    state->learners = made->learners;
    if (directive_value(d, "snapshot-index") != NULL) {
        made->m.snapshot = &made->snapshot;
    }
    return read_ids(d, "voters", made->voters, &state->voters_count) &&
           read_ids(d, "learners", made->learners, &state->learners_count);
}

/* "TERM/INDEX TYPE DATA" a line, the type a number; returns the next line. */
static char *read_entry(struct swk_log_entry *entry, char *line)
{
    char *end = line + strcspn(line, "\n");
    char *next = *end == '\n' ? end + 1 : end;
    char *at = line;

    *end = '\0';
    entry->term = strtoull(at, &at, 10);
    at += *at == '/' ? 1 : 0;
    entry->index = strtoull(at, &at, 10);
    entry->type = (int32_t)strtol(at, &at, 10);
    at += *at == ' ' ? 1 : 0;
    entry->data_len = strlen(at);
    entry->data = entry->data_len > 0 ? (const uint8_t *)at : NULL;
    return next;
}

static bool read_entries(struct made *made, char *text)
{
    made->m.entries = made->entries;
    while (*text != '\0') {
        if (made->m.entries_count == ENTRIES_MAX) {
            return false;
        }
        text = read_entry(&made->entries[made->m.entries_count++], text);
    }
    return true;
}

static const char *read_made(struct cluster *c, struct made *made,
                             const struct directive *d)
{
    const char *type = directive_value(d, "type");
    const char *context = directive_value(d, "context");
    char *input = swki_arena_strdup(&c->arena, d->input);
    uint64_t number;

    if (input == NULL) {
        abort();
    }
    if (type == NULL || !read_numbers(made, d) || !read_snapshot(made, d) ||
        !read_entries(made, input)) {
        return bad_arguments;
    }
    if (parse_number(type, &number)) {
        made->m.type = (int32_t)number;
    } else if (!message_type_parse(type, &made->m.type)) {
        return bad_arguments;
    }
    if (context != NULL) {
        made->m.context = (const uint8_t *)context;
        made->m.context_len = strlen(context);
    }
    return NULL;
}

static void print_refusal(struct cluster *c,
                          const struct swki_machine_status *before,
                          const struct swki_machine_status *after)
{
    for (size_t i = 0; i < SWKI_MACHINE_REJECTS; i++) {
        if (after->rejected[i] > before->rejected[i]) {
            output_text(&c->out, "refused: %s\n", reject_names[i]);
        }
    }
}

/* A message that need not have been sent by anyone. */
static const char *step(struct cluster *c, const struct directive *d)
{
    struct node *n = node_at(c, d, 0);
    struct made made = {.m = {.to = n != NULL ? n->id : 0}};
    const char *wrong = read_made(c, &made, d);
    struct swki_machine_status before;
    struct swki_machine_status after;
    int rc;

    if (n == NULL || wrong != NULL) {
        return bad_arguments;
    }
    swki_machine_status(n->machine, &before);
    node_before(n);
    do {
        rc = swki_machine_step(n->machine, &made.m, &c->err);
    } while (node_again(n, rc));
    swki_machine_status(n->machine, &after);
    print_refusal(c, &before, &after);
    return rc == SWK_EINVAL || rc == SWK_EDENIED || rc == SWK_ENOTFOUND
               ? NULL
               : node_result(n, rc);
}

/* -- The table ------------------------------------------------------------- */

const struct command own_commands[] = {
    {"x-caught-up", caught_up},
    {"x-crash", crash},
    {"x-keeps-quorum", keeps_quorum},
    {"x-no-snapshot", no_snapshot},
    {"x-priority", set_priority},
    {"x-read", read_index},
    {"x-rejected", print_rejected},
    {"x-report-snapshot", report_snapshot},
    {"x-resign", resign},
    {"x-restart", restart},
    {"x-snapshot-alive", snapshot_alive},
    {"x-stalled", set_stalled},
    {"x-state", print_state},
    {"x-step", step},
    {"x-tick", tick},
};
const size_t own_commands_count = sizeof(own_commands) / sizeof(own_commands[0]);
