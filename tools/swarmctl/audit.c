/* SPDX-License-Identifier: Apache-2.0 */

/* swarmctl audit: the audit log of a manager, read from its files. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <swarmkit/audit.h>
#include <swarmkit/node.h>

#include "flags.h"
#include "parse.h"

#define DEFAULT_PATH "/var/lib/swarmd"

enum {
    PATH_SIZE = 4096,
    TEXT_SIZE = 512,
    ID_LEN = 25,
    /* Reading takes some seconds from here on: it is worth showing. */
    PROGRESS_SIZE = 256 << 20,
};

static const struct flag place_flags[] = {
    {.name = "roots",
     .argument = "FILE",
     .otherwise = "those of the state directory",
     .help = "root certificates that the manager's goes back to"},
    {.name = "node",
     .argument = "ID",
     .otherwise = "that of the state directory",
     .help = "whose log it must be"},
    {0}};

static const struct flag verify_flags[] = {
    {.name = "expect",
     .argument = "SEQ:HASH",
     .help = "a head that was kept elsewhere, as \"audit head\" prints it"},
    {0}};

static const struct flag ls_flags[] = {
    {.name = "since",
     .argument = "DURATION|TIME",
     .help = "such as 90m, or 2026-01-31T12:00:00Z"},
    {.name = "actor",
     .argument = "TEXT",
     .help = "a node's ID, local, anonymous, or a part of the manager"},
    {.name = "method", .argument = "TEXT", .help = "part of a call's name"},
    {.name = "object", .argument = "TEXT", .help = "the ID or the name"},
    {.name = "outcome",
     .argument = "TEXT",
     .help = "done, refused, unknown, begun, committed; or a status"},
    {0}};

/* -- Where ---------------------------------------------------------------- */

struct place {
    char dir[PATH_SIZE];
    char roots[PATH_SIZE];
    struct swk_node_identity identity;
    bool is_known; /* the identity */
};

/* PATH is a state directory, or the log's own. */
static void find_place(const struct args *args, struct place *place)
{
    const char *path = args_count(args) > 0 ? args_at(args, 0) : DEFAULT_PATH;
    char state[PATH_SIZE];

    snprintf(state, sizeof(state), "%s", path);
    snprintf(place->dir, sizeof(place->dir), "%s/audit", path);
    if (access(place->dir, F_OK) != 0) {
        snprintf(place->dir, sizeof(place->dir), "%s", path);
        snprintf(state, sizeof(state), "%s/..", path);
    }
    snprintf(place->roots, sizeof(place->roots),
             "%s/certificates/swarm-root-ca.crt", state);
    if (access(place->roots, F_OK) != 0) {
        place->roots[0] = '\0';
    }
    place->is_known =
        swk_node_identity_read(state, &place->identity, NULL) == 0;
}

static struct swk_audit_options options_of(const struct args *args,
                                           const struct place *place)
{
    struct swk_audit_options options = SWK_AUDIT_OPTIONS_INIT;

    options.dir = place->dir;
    options.roots_file = place->roots[0] != '\0' ? place->roots : NULL;
    options.node_id = place->is_known ? place->identity.node_id : NULL;
    if (args_has(args, "roots")) {
        options.roots_file = args_text(args, "roots");
    }
    if (args_has(args, "node")) {
        options.node_id = args_text(args, "node");
    }
    return options;
}

/* -- Verifying ------------------------------------------------------------ */

static void show_progress(void *ctx, uint64_t done, uint64_t total)
{
    int *shown = ctx;
    int percent = total > 0 ? (int)(done * 100 / total) : 100;

    if (total >= PROGRESS_SIZE && percent != *shown) {
        *shown = percent;
        fprintf(stderr, "\r%d%% of %" PRIu64 " MiB%s", percent, total >> 20,
                done >= total ? "\n" : "");
    }
}

static void print_finding(const struct swk_audit_report *report)
{
    const char *name = swk_audit_finding_name(report->finding);

    fprintf(stderr, "Error: the audit log is not what was written: ");
    if (report->line > 0) {
        fprintf(stderr, "%s, line %" PRIu64 ": ", report->file, report->line);
    } else if (report->file[0] != '\0') {
        fprintf(stderr, "%s: ", report->file);
    }
    if (report->seq > 0) {
        fprintf(stderr, "record %" PRIu64 ": ", report->seq);
    }
    fprintf(stderr, "%s: %s\n", name, report->text);
}

static const char *signature_name(int signature)
{
    return signature == SWK_AUDIT_SIGNER_VERIFIED  ? "verified"
           : signature == SWK_AUDIT_SIGNER_UNKNOWN ? "unknown"
                                                   : "none";
}

static void print_report_json(const struct swk_audit_report *report)
{
    char last_time[WALL_TEXT_SIZE];
    char signed_time[WALL_TEXT_SIZE];

    printf("{\"finding\":\"%s\",\"file\":",
           swk_audit_finding_name(report->finding));
    print_json_text(report->file);
    printf(",\"line\":%" PRIu64 ",\"record\":%" PRIu64 ",\"text\":",
           report->line, report->seq);
    print_json_text(report->text);
    printf(",\"node\":");
    print_json_text(report->node_id);
    printf(",\"records\":%" PRIu64 ",\"first\":%" PRIu64 ",\"last\":%" PRIu64
           ",\"lastTime\":\"%s\",\"hash\":\"%s\",\"unfinished\":%" PRIu64
           ",\"signature\":\"%s\",\"signed\":%" PRIu64
           ",\"signedTime\":\"%s\",\"signedBy\":",
           report->records, report->first_seq, report->last_seq,
           wall_text(report->last_time, last_time), report->last_hash,
           report->unfinished, signature_name(report->signature),
           report->signed_seq, wall_text(report->signed_time, signed_time));
    print_json_text(report->signed_by);
    printf("}\n");
}

static void print_signature(const struct swk_audit_report *report)
{
    if (report->signature == SWK_AUDIT_NOT_SIGNED) {
        print_field("Signed", "no");
    } else {
        print_field("Signed", "up to record %" PRIu64 ", by %s%s",
                    report->signed_seq, report->signed_by,
                    report->signature == SWK_AUDIT_SIGNER_VERIFIED
                        ? ""
                        : ", as it says: not verified");
    }
}

static void print_report(struct ctl *ctl, const struct swk_audit_report *report)
{
    if (ctl->json) {
        print_report_json(report);
        return;
    }
    if (report->node_id[0] != '\0') {
        print_field("Node", "%s", report->node_id);
    }
    if (report->records > 0) {
        print_field("Records", "%" PRIu64 ", from %" PRIu64 " to %" PRIu64,
                    report->records, report->first_seq, report->last_seq);
        print_signature(report);
        print_field("Head", "%" PRIu64 ":%s", report->last_seq,
                    report->last_hash);
    }
    if (report->unfinished > 0) {
        print_field("Unfinished", "%" PRIu64 " %s of the next record",
                    report->unfinished,
                    report->unfinished == 1 ? "byte" : "bytes");
    }
}

/* How a command ends that has read a log. */
static int end_of(const struct swk_audit_options *options,
                  const struct swk_audit_report *report)
{
    if (report->finding != SWK_AUDIT_INTACT) {
        print_finding(report);
        return EXIT_FAILED;
    }
    if (report->signature == SWK_AUDIT_SIGNER_VERIFIED) {
        return EXIT_OK;
    }
    return ctl_error(
        EXIT_UNVERIFIED,
        "signatures not verified: who signed is not known (%s)",
        report->signature == SWK_AUDIT_NOT_SIGNED || options->roots_file != NULL
            ? "there is no checkpoint"
            : "there are no root certificates: name some with --roots");
}

/* "SEQ:HASH" */
static bool read_head(const char *text, struct swk_audit_options *options,
                      char number[32])
{
    const char *colon = strchr(text, ':');

    if (colon == NULL || (size_t)(colon - text) >= 32 ||
        strlen(colon + 1) != SWK_AUDIT_HASH_LEN) {
        return false;
    }
    snprintf(number, 32, "%.*s", (int)(colon - text), text);
    options->expect_hash = colon + 1;
    return parse_unsigned(number, UINT64_MAX, &options->expect_seq) &&
           options->expect_seq > 0;
}

static int verify(struct ctl *ctl, const struct args *args)
{
    struct swk_audit_report report = {.size = sizeof(report)};
    struct swk_audit_options options;
    struct swk_error err = {0};
    struct place place;
    char number[32];
    int shown = -1;

    find_place(args, &place);
    options = options_of(args, &place);
    if (args_has(args, "expect") &&
        !read_head(args_text(args, "expect"), &options, number)) {
        return ctl_usage("\"%s\" is no head, which is SEQ:HASH as \"swarmctl "
                         "audit head\" prints it",
                         args_text(args, "expect"));
    }
    options.ctx = &shown;
    options.progress = isatty(STDERR_FILENO) ? show_progress : NULL;
    if (swk_audit_verify(&options, &report, &err) != 0) {
        return ctl_fail(&err);
    }
    print_report(ctl, &report);
    return end_of(&options, &report);
}

static void print_head(struct ctl *ctl, const struct swk_audit_report *report)
{
    char time[WALL_TEXT_SIZE];

    if (ctl->json) {
        printf("{\"node\":");
        print_json_text(report->node_id);
        printf(",\"last\":%" PRIu64 ",\"lastTime\":\"%s\",\"hash\":\"%s\","
               "\"head\":\"%" PRIu64 ":%s\"}\n",
               report->last_seq, wall_text(report->last_time, time),
               report->last_hash, report->last_seq, report->last_hash);
    } else {
        printf("%" PRIu64 ":%s\n", report->last_seq, report->last_hash);
    }
}

static int head(struct ctl *ctl, const struct args *args)
{
    struct swk_audit_report report = {.size = sizeof(report)};
    struct swk_audit_options options;
    struct swk_error err = {0};
    struct place place;

    find_place(args, &place);
    options = options_of(args, &place);
    if (swk_audit_verify(&options, &report, &err) != 0) {
        return ctl_fail(&err);
    }
    if (report.finding == SWK_AUDIT_INTACT) {
        print_head(ctl, &report);
    }
    return end_of(&options, &report);
}

/* -- Listing -------------------------------------------------------------- */

struct listing {
    struct ctl *ctl;
    struct table *table; /* NULL for JSON */
    uint64_t shown;      /* records */
    swk_wall since;
    const char *actor; /* NULL: any; likewise below */
    const char *method;
    const char *object;
    const char *outcome;
};

/* Strangers chose some of the words: nothing that a terminal would obey. */
static const char *field(const struct swk_audit_record *record,
                         const char *name, char buf[TEXT_SIZE])
{
    swk_audit_record_text(record, name, buf, TEXT_SIZE);
    for (char *c = buf; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            *c = '?';
        }
    }
    return buf;
}

static bool field_is(const struct swk_audit_record *record, const char *name,
                     const char *text)
{
    char buf[TEXT_SIZE];

    return strcmp(field(record, name, buf), text) == 0;
}

static bool wanted(const struct listing *l,
                   const struct swk_audit_record *record)
{
    char buf[TEXT_SIZE];

    return record->time >= l->since &&
           (l->actor == NULL || field_is(record, "actor", l->actor)) &&
           (l->method == NULL ||
            strstr(field(record, "method", buf), l->method) != NULL) &&
           (l->object == NULL || field_is(record, "object", l->object) ||
            field_is(record, "name", l->object)) &&
           (l->outcome == NULL || field_is(record, "outcome", l->outcome) ||
            field_is(record, "status", l->outcome));
}

/* "UpdateService", "update service", or the type of the record. */
static const char *what_text(struct ctl *ctl,
                             const struct swk_audit_record *record)
{
    char type[TEXT_SIZE];
    char first[TEXT_SIZE];
    char second[TEXT_SIZE];
    const char *slash;

    field(record, "type", type);
    if (strcmp(type, "call") == 0) {
        slash = strrchr(field(record, "method", first), '/');
        return pool_strdup(&ctl->pool, slash != NULL ? slash + 1 : first);
    }
    if (strcmp(type, "change") == 0) {
        return pool_printf(&ctl->pool, "%s %s", field(record, "action", first),
                           field(record, "kind", second));
    }
    return pool_strdup(&ctl->pool, type);
}

static const char *moment_text(struct ctl *ctl, swk_wall wall)
{
    time_t seconds = (time_t)(wall / (swk_wall)SWK_SECOND);
    struct tm tm;
    char text[64];

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        return "-";
    }
    return pool_printf(&ctl->pool, "%s.%03dZ", text,
                       (int)(wall % (swk_wall)SWK_SECOND / 1000000));
}

static void add_row(const struct listing *l,
                    const struct swk_audit_record *record)
{
    struct ctl *ctl = l->ctl;
    char actor[TEXT_SIZE];
    char object[TEXT_SIZE];
    char outcome[TEXT_SIZE];
    char why[TEXT_SIZE];

    if (ctl->no_resolve || field(record, "name", object)[0] == '\0') {
        field(record, "object", object);
    }
    table_row(l->table, (const char *[]){
                            pool_printf(&ctl->pool, "%" PRIu64, record->seq),
                            moment_text(ctl, record->time),
                            field(record, "actor", actor),
                            what_text(ctl, record),
                            object,
                            field(record, "outcome", outcome),
                            field(record, "text", why),
                        });
}

/* With the first record: a log that cannot be read is no empty list. */
static void begin_list(struct listing *l)
{
    static const char *const columns[] = {"SEQ",    "TIME",    "ACTOR", "WHAT",
                                          "OBJECT", "OUTCOME", "WHY",   NULL};

    if (l->ctl->json) {
        putchar('[');
    } else {
        l->table = table_new(columns);
    }
}

static int take_record(void *ctx, const struct swk_audit_record *record)
{
    struct listing *l = ctx;

    if (!wanted(l, record)) {
        return 0;
    }
    if (l->shown == 0) {
        begin_list(l);
    }
    if (l->table == NULL) {
        printf("%s\n%.*s", l->shown > 0 ? "," : "", (int)record->json_len,
               record->json);
    } else {
        add_row(l, record);
    }
    l->shown++;
    return 0;
}

/* A span before now, or a time in UTC. */
static bool read_since(const char *text, swk_wall *out_since)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t span;

    if (end != NULL && strcmp(end, "Z") == 0) {
        *out_since = (swk_wall)timegm(&tm) * (swk_wall)SWK_SECOND;
        return true;
    }
    if (!parse_duration(text, &span) || span < 0) {
        return false;
    }
    *out_since = (swk_wall)time(NULL) * (swk_wall)SWK_SECOND - span;
    return true;
}

static bool is_word(const char *field_name, const char *text)
{
    const char *word;

    for (size_t i = 0; (word = swk_audit_word(field_name, i)) != NULL; i++) {
        if (strcmp(word, text) == 0) {
            return true;
        }
    }
    return false;
}

static const char *words_of(struct ctl *ctl, const char *field_name)
{
    const char *list = "";
    const char *word;

    for (size_t i = 0; (word = swk_audit_word(field_name, i)) != NULL; i++) {
        list = pool_printf(&ctl->pool, "%s%s%s", list, i > 0 ? ", " : "", word);
    }
    return list;
}

/* IDs are 25 digits in base 36. */
static bool is_node_id(const char *text)
{
    return strlen(text) == ID_LEN &&
           strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz") == ID_LEN;
}

/* A word that no record can have would look like a log without such records. */
static int check_words(struct ctl *ctl, const struct listing *l)
{
    if (l->actor != NULL && !is_word("actor", l->actor) &&
        !is_node_id(l->actor)) {
        return ctl_usage("--actor: \"%s\" is neither a node's ID nor one of: "
                         "%s",
                         l->actor, words_of(ctl, "actor"));
    }
    if (l->outcome != NULL && !is_word("outcome", l->outcome) &&
        !is_word("status", l->outcome)) {
        return ctl_usage("--outcome: \"%s\" is none of: %s; nor a status: %s",
                         l->outcome, words_of(ctl, "outcome"),
                         words_of(ctl, "status"));
    }
    return EXIT_OK;
}

static int read_listing(const struct args *args, struct listing *l)
{
    l->actor = args_text(args, "actor");
    l->method = args_text(args, "method");
    l->object = args_text(args, "object");
    l->outcome = args_text(args, "outcome");
    if (args_has(args, "since") &&
        !read_since(args_text(args, "since"), &l->since)) {
        return ctl_usage("--since: \"%s\" is neither a duration nor a time",
                         args_text(args, "since"));
    }
    return check_words(l->ctl, l);
}

static void end_list(struct listing *l)
{
    if (l->table != NULL) {
        table_end(l->table);
    } else {
        fputs("\n]\n", stdout);
    }
}

static int ls(struct ctl *ctl, const struct args *args)
{
    struct swk_audit_report report = {.size = sizeof(report)};
    struct listing l = {.ctl = ctl, .since = INT64_MIN};
    struct swk_audit_options options;
    struct swk_error err = {0};
    struct place place;
    int rc = read_listing(args, &l);

    if (rc != EXIT_OK) {
        return rc;
    }
    find_place(args, &place);
    options = options_of(args, &place);
    options.ctx = &l;
    options.record = take_record;
    rc = swk_audit_verify(&options, &report, &err);
    if (rc == 0 && l.shown == 0) {
        begin_list(&l);
    }
    if (rc == 0 || l.shown > 0) {
        end_list(&l);
    }
    return rc != 0 ? ctl_fail(&err) : end_of(&options, &report);
}

const struct command audit_commands[] = {
    {
        .group = "audit",
        .name = "verify",
        .arguments = "[PATH]",
        .summary =
            "Tell whether a manager's audit log is what was written.\n\n"
            "PATH is a manager's state directory, " DEFAULT_PATH " by default, "
            "or the\ndirectory of the log. A log may be verified while its "
            "manager writes it.\nThe exit status is 1 if records were altered, "
            "removed or reordered, or are not\nsigned, and 8 if who signed is "
            "not known, for lack of root certificates.\nWho has the node's key "
            "can write all of it anew: keep a head elsewhere.",
        .example = "swarmctl audit verify --expect $(cat /mnt/usb/head)",
        .flags = {verify_flags, place_flags},
        .args_max = 1,
        .run = verify,
    },
    {
        .group = "audit",
        .name = "ls",
        .alias = "list",
        .arguments = "[PATH]",
        .summary = "List who changed what, and who was refused.\n\n"
                   "It ends as \"audit verify\" does.",
        .example = "swarmctl audit ls --since 24h --outcome refused",
        .flags = {ls_flags, place_flags},
        .args_max = 1,
        .run = ls,
    },
    {
        .group = "audit",
        .name = "head",
        .arguments = "[PATH]",
        .summary = "Show the last record's number and hash, to be kept "
                   "elsewhere.\n\nIt ends as \"audit verify\" does.",
        .example = "swarmctl audit head > /mnt/usb/head",
        .flags = {place_flags},
        .args_max = 1,
        .run = head,
    },
    {0},
};
