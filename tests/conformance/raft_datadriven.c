/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Replays files of cases against the raft machine and its parts, and compares
 * what each prints with what the file expects.
 */

#include <dirent.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "compare.h"
#include "datafile.h"
#include "environment.h"

static const char usage[] =
    "usage: raft-datadriven [OPTION]... FILE-OR-DIRECTORY...\n"
    "\n"
    "Replays files of cases (quorum, confchange and interaction files, which\n"
    "are told apart by their commands) and compares the output. The last line\n"
    "is \"N passed, N failed\", which counts cases; the exit status is 1 if any\n"
    "failed, 2 if a file cannot be read.\n"
    "\n"
    "  --behaviour       leave out the lines of the trace on both sides\n"
    "  --cases           a line \"[       OK ] file:line directive\" a case,\n"
    "                    or, with --nomem, a file\n"
    "  --rewrite         put what is printed into the files as expected\n"
    "  --nomem=EVERY     instead of comparing, replay each file again and\n"
    "                    again, with the first allocation failing, then the\n"
    "                    one EVERY later, and so on to the last, and each time\n"
    "                    the next few as well: such a failure is to be reported\n"
    "                    by the call, and to change nothing\n"
    "  --help            this text\n";

enum {
    FAILURES_MAX = 4, /* allocations that fail one after the other */
};

struct options {
    enum comparison comparison;
    bool cases;
    bool rewrite;
    uint64_t nomem; /* 0: off */
};

struct totals {
    uint64_t passed;
    uint64_t failed;
    bool unreadable;
};

/* -- Environments ---------------------------------------------------------- */

const struct argument *directive_find(const struct directive *d,
                                      const char *key)
{
    for (size_t i = 0; i < d->arguments_count; i++) {
        if (strcmp(d->arguments[i].key, key) == 0) {
            return &d->arguments[i];
        }
    }
    return NULL;
}

const char *directive_value(const struct directive *d, const char *key)
{
    const struct argument *a = directive_find(d, key);

    return a != NULL && a->values_count == 1 ? a->values[0] : NULL;
}

static struct environment make_environment(const struct datafile *file,
                                           struct faults *faults)
{
    static const struct {
        const char *command;
        struct environment (*make)(struct faults *faults);
    } kinds[] = {
        {"vote", quorum_environment},
        {"committed", quorum_environment},
        {"simple", confchange_environment},
        {"enter-joint", confchange_environment},
        {"leave-joint", confchange_environment},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (file->cases_count > 0 &&
            strcmp(file->cases[0].command, kinds[i].command) == 0) {
            return kinds[i].make(faults);
        }
    }
    return interaction_environment(faults);
}

/* What a case prints, with a newline at its end. */
static void run_case(const struct environment *env, const struct directive *d,
                     struct swki_buf *out)
{
    swki_buf_clear(out);
    if (d->problem != NULL) {
        (void)swki_buf_append_text(out, d->problem);
    } else {
        env->run(env->ctx, d, out);
    }
    if (out->len > 0 && out->data[out->len - 1] != '\n') {
        (void)swki_buf_append_byte(out, '\n');
    }
    (void)swki_buf_append_byte(out, '\0');
    if (out->failed) {
        fprintf(stderr, "no memory\n");
        abort();
    }
}

/* -- One file -------------------------------------------------------------- */

static bool judge(const char *path, const struct directive *d,
                  const struct swki_buf *out, const struct faults *faults,
                  const struct options *o)
{
    const char *actual = (const char *)out->data;
    bool same = compare_outputs(d->expected, actual, o->comparison);

    if (o->cases) {
        printf("[ %8s ] %s:%zu %s\n", same ? "OK" : "FAILED", path, d->line,
               d->text);
    }
    if (!same) {
        printf("%s:%zu: %s\n", path, d->line, d->text);
        print_difference(d->expected, actual, o->comparison);
    }
    if (faults->problem[0] != '\0') {
        printf("%s:%zu: %s\n%s\n", path, d->line, d->text, faults->problem);
        return false;
    }
    return same;
}

static void replay(const char *path, const struct datafile *file,
                   const struct options *o, struct totals *totals)
{
    uint64_t passed = 0;
    struct faults faults;
    struct swki_buf out;

    faults_init(&faults, 0, 0);
    swki_buf_init(&out, NULL, SIZE_MAX);
    struct environment env = make_environment(file, &faults);
    for (size_t i = 0; i < file->cases_count; i++) {
        const struct directive *d = &file->cases[i];

        run_case(&env, d, &out);
        passed += judge(path, d, &out, &faults, o) ? 1 : 0;
        faults.problem[0] = '\0';
    }
    env.free(env.ctx);
    swki_buf_fini(&out);
    if (faults.live > 0) {
        printf("%s: %" PRIu64 " blocks of memory are not released\n", path,
               faults.live);
        passed = 0;
    }
    printf("%s %s: %" PRIu64 " of %zu cases\n",
           passed == file->cases_count ? "ok  " : "FAIL", path, passed,
           file->cases_count);
    totals->passed += passed;
    totals->failed += file->cases_count - passed;
}

/* -- Without memory -------------------------------------------------------- */

/* One run; false if something is wrong with it. out_over is set if nothing
 * failed, as there were fewer allocations. */
static bool replay_failing(const char *path, const struct datafile *file,
                           uint64_t fail_at, uint64_t fail_count,
                           bool *out_over)
{
    struct faults faults;
    struct swki_buf out;

    faults_init(&faults, fail_at, fail_count);
    swki_buf_init(&out, NULL, SIZE_MAX);
    struct environment env = make_environment(file, &faults);
    for (size_t i = 0; i < file->cases_count; i++) {
        run_case(&env, &file->cases[i], &out);
        if (faults.problem[0] != '\0') {
            printf("%s:%zu: allocation %" PRIu64 ": %s\n", path,
                   file->cases[i].line, fail_at, faults.problem);
            break;
        }
    }
    env.free(env.ctx);
    swki_buf_fini(&out);
    *out_over = !faults.failed;
    if (faults.live > 0) {
        printf("%s: allocation %" PRIu64 ": %" PRIu64
               " blocks of memory are not released\n",
               path, fail_at, faults.live);
    }
    return faults.live == 0 && faults.problem[0] == '\0';
}

static void replay_without_memory(const char *path, const struct datafile *file,
                                  const struct options *o,
                                  struct totals *totals)
{
    uint64_t passed = 0;
    uint64_t failed = 0;
    bool over = false;

    for (uint64_t at = 1; !over; at += o->nomem) {
        for (uint64_t count = 1; count <= FAILURES_MAX; count++) {
            if (replay_failing(path, file, at, count, &over)) {
                passed++;
            } else {
                failed++;
            }
        }
    }
    if (o->cases) {
        printf("[ %8s ] %s without memory\n", failed == 0 ? "OK" : "FAILED",
               path);
    }
    printf("%s %s: %" PRIu64 " of %" PRIu64 " replays\n",
           failed == 0 ? "ok  " : "FAIL", path, passed, passed + failed);
    totals->passed += passed;
    totals->failed += failed;
}

/* -- Rewriting ------------------------------------------------------------- */

/* Whether some line within a case's output is empty. */
static bool has_blank_line(const char *text)
{
    return text[0] == '\n' || strstr(text, "\n\n") != NULL;
}

/* Copies the lines of a file up to one, not included; false at its end. */
static bool copy_lines(FILE *from, FILE *to, size_t *line, size_t up_to)
{
    char *text = NULL;
    size_t size = 0;
    bool more = true;

    while (*line < up_to) {
        ssize_t len = getline(&text, &size, from);

        if (len < 0) {
            more = false;
            break;
        }
        if (to != NULL) {
            fwrite(text, 1, (size_t)len, to);
        }
        (*line)++;
    }
    free(text);
    return more;
}

static void write_output(FILE *to, const char *actual)
{
    bool doubled = has_blank_line(actual);

    fprintf(to, "%s%s%s", doubled ? "----\n" : "", actual,
            doubled ? "----\n----\n" : "");
}

static bool rewrite(const char *path, const struct datafile *file)
{
    char *made_path = NULL;
    struct faults faults;
    struct swki_buf out;
    size_t line = 1;

    if (asprintf(&made_path, "%s.new", path) < 0) {
        abort();
    }
    FILE *from = fopen(path, "rb");
    FILE *to = fopen(made_path, "wb");
    if (from == NULL || to == NULL) {
        perror(path);
        exit(2);
    }
    faults_init(&faults, 0, 0);
    swki_buf_init(&out, NULL, SIZE_MAX);
    struct environment env = make_environment(file, &faults);
    for (size_t i = 0; i < file->cases_count; i++) {
        const struct directive *d = &file->cases[i];

        run_case(&env, d, &out);
        (void)copy_lines(from, to, &line, d->output_line);
        (void)copy_lines(from, NULL, &line, d->end_line);
        write_output(to, (const char *)out.data);
    }
    (void)copy_lines(from, to, &line, SIZE_MAX);
    env.free(env.ctx);
    swki_buf_fini(&out);
    fclose(from);
    bool done = fclose(to) == 0 && rename(made_path, path) == 0;
    free(made_path);
    return done;
}

/* -- Files and directories ------------------------------------------------- */

static void run_file(const char *path, const struct options *o,
                     struct totals *totals)
{
    struct datafile file;

    if (!datafile_read(&file, path)) {
        totals->unreadable = true;
        return;
    }
    if (o->rewrite) {
        totals->unreadable = !rewrite(path, &file) || totals->unreadable;
    } else if (o->nomem > 0) {
        replay_without_memory(path, &file, o, totals);
    } else {
        replay(path, &file, o, totals);
    }
    datafile_fini(&file);
}

static int shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Whether a file in a directory is one of cases: others lie beside them. */
static bool has_cases(const char *path)
{
    size_t len = strlen(path);

    return len > 4 && strcmp(path + len - 4, ".txt") == 0;
}

static void run_path(const char *path, bool named, const struct options *o,
                     struct totals *totals)
{
    struct dirent **entries = NULL;
    struct stat info;

    if (stat(path, &info) != 0) {
        perror(path);
        totals->unreadable = true;
        return;
    }
    if (!S_ISDIR(info.st_mode)) {
        if (named || has_cases(path)) {
            run_file(path, o, totals);
        }
        return;
    }

    int count = scandir(path, &entries, shown, alphasort);
    for (int i = 0; i < count; i++) {
        char *inner = NULL;

        if (asprintf(&inner, "%s/%s", path, entries[i]->d_name) < 0) {
            abort();
        }
        run_path(inner, false, o, totals);
        free(inner);
        free(entries[i]);
    }
    free(entries);
}

/* -- Options --------------------------------------------------------------- */

/* Returns the first argument that is no option, or ends. */
static int read_options(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"behaviour", no_argument, NULL, 'b'},
        {"cases", no_argument, NULL, 'c'},
        {"rewrite", no_argument, NULL, 'r'},
        {"nomem", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'b':
            o->comparison = COMPARE_BEHAVIOUR;
            break;
        case 'c':
            o->cases = true;
            break;
        case 'r':
            o->rewrite = true;
            break;
        case 'n':
            if (!parse_number(optarg, &o->nomem) || o->nomem == 0) {
                fprintf(stderr, "--nomem takes a number from 1 on\n");
                exit(2);
            }
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    return optind;
}

int main(int argc, char **argv)
{
    struct options o = {.comparison = COMPARE_STRICT};
    struct totals totals = {0};
    int first = read_options(argc, argv, &o);

    if (first == argc) {
        fputs(usage, stderr);
        return 2;
    }
    for (int i = first; i < argc; i++) {
        run_path(argv[i], true, &o, &totals);
    }
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", totals.passed,
           totals.failed);
    if (totals.unreadable) {
        return 2;
    }
    return totals.failed == 0 ? 0 : 1;
}
