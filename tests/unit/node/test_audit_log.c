/* SPDX-License-Identifier: Apache-2.0 */

/* The files of the audit log: how they are written, left, taken up again; and
 * that nothing is done to them without being found. */

#include "lib/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/audit.h>
#include <swarmkit/posix.h>

#include "../crypto/pki.h"
#include "directory.h"
#include "lib/disk.h"
#include "node/audit/audit_log.h"

enum {
    FILE_SIZE = 4096,
    TEXT_SIZE = 64 * 1024,
};

struct f {
    struct directory dir;
    char audit[96]; /* the directory of the log */
    char roots[96];
    struct pki pki;
    struct pki_node node;
    struct swki_audit_log_config config;
    struct swki_audit_log *log;
    struct swk_audit_report report;
    char text[TEXT_SIZE]; /* of one file */
    char types[1024];     /* of the records that were read */
};

static swk_time now(void *ctx)
{
    (void)ctx;
    return SWK_SECOND;
}

static swk_wall wall(void *ctx)
{
    (void)ctx;
    return PKI_NOW;
}

static const struct swk_clock clock_of_test = {
    .size = sizeof(clock_of_test),
    .now = now,
    .wall = wall,
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    directory_init(&f->dir);
    snprintf(f->audit, sizeof(f->audit), "%s/audit", f->dir.path);
    snprintf(f->roots, sizeof(f->roots), "%s/roots", f->dir.path);
    pki_init(&f->pki, 5);
    pki_node_init(&f->pki, &f->node, "manager1", SWKI_ROLE_MANAGER);
    directory_put(&f->dir, ".", "roots", f->pki.root.data, f->pki.root.len);
    f->config = (struct swki_audit_log_config){
        .clock = &clock_of_test,
        .entropy = swk_posix_entropy(),
        .dir = f->audit,
        .node_id = "manager1",
        .swarm_id = PKI_SWARM,
        .sync_ns = SWK_MILLISECOND,
    };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_audit_log_close(f->log);
    pki_node_fini(&f->node);
    pki_fini(&f->pki);
    directory_fini(&f->dir);
    free(f);
    return 0;
}

static void open_log(struct f *f)
{
    assert_int_equal(swki_audit_log_open(&f->config, &f->log, NULL), 0);
    assert_int_equal(
        swki_audit_log_set_key(f->log, swki_pem_of_buf(&f->node.key),
                               swki_pem_of_buf(&f->node.chain), NULL),
        0);
}

static void close_log(struct f *f)
{
    swki_audit_log_close(f->log);
    f->log = NULL;
}

static void add(struct f *f, int count)
{
    for (int i = 0; i < count; i++) {
        swki_audit_leads(swki_audit_log_machine(f->log), 0, (uint64_t)i);
        swki_audit_log_write(f->log);
    }
}

/* A log that was stopped in order, with `count` records beside three. */
static void make_log(struct f *f, int count)
{
    open_log(f);
    add(f, count);
    close_log(f);
}

static int take_type(void *ctx, const struct swk_audit_record *record)
{
    struct f *f = ctx;
    size_t used = strlen(f->types);
    char before[20];
    char type[20];

    swk_audit_record_text(record, "type", type, sizeof(type));
    swk_audit_record_text(record, "before", before, sizeof(before));
    snprintf(f->types + used, sizeof(f->types) - used, "%s%s%s ", type,
             before[0] != '\0' ? "=" : "", before);
    return 0;
}

static int verify(struct f *f)
{
    struct swk_audit_options options = SWK_AUDIT_OPTIONS_INIT;

    f->types[0] = '\0';
    options.dir = f->audit;
    options.roots_file = f->roots;
    options.ctx = f;
    options.record = take_type;
    f->report.size = sizeof(f->report);
    assert_int_equal(swk_audit_verify(&options, &f->report, NULL), 0);
    return f->report.finding;
}

static void assert_finding(struct f *f, int finding)
{
    if (verify(f) != finding) {
        fail_msg("found %s in %s, line %d, record %d: %s",
                 swk_audit_finding_name(f->report.finding), f->report.file,
                 (int)f->report.line, (int)f->report.seq, f->report.text);
    }
}

/* -- Files by hand -------------------------------------------------------- */

static const char *path_of(struct f *f, const char *name)
{
    static char path[160];

    snprintf(path, sizeof(path), "%s/%s", f->audit, name);
    return path;
}

static size_t load(struct f *f, const char *name)
{
    FILE *file = fopen(path_of(f, name), "r");
    size_t len;

    assert_non_null(file);
    len = fread(f->text, 1, sizeof(f->text) - 1, file);
    f->text[len] = '\0';
    fclose(file);
    return len;
}

static void store(struct f *f, const char *name, const char *text, size_t len)
{
    FILE *file = fopen(path_of(f, name), "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    fclose(file);
}

/* Where a line of the text begins, from 1. */
static char *line_at(struct f *f, int line)
{
    char *at = f->text;

    while (--line > 0) {
        at = strchr(at, '\n') + 1;
    }
    return at;
}

/* As after a crash: what is there while the log is open. */
static void leave_as_crashed(struct f *f)
{
    char command[400];

    snprintf(command, sizeof(command), "cp -r %s %s.copy", f->audit, f->audit);
    assert_int_equal(system(command), 0);
    close_log(f);
    snprintf(command, sizeof(command), "rm -r %s && mv %s.copy %s", f->audit,
             f->audit, f->audit);
    assert_int_equal(system(command), 0);
}

/* -- Life ----------------------------------------------------------------- */

static void a_log_is_intact_from_its_first_record_on(void **state)
{
    struct f *f = *state;

    make_log(f, 2);
    assert_finding(f, SWK_AUDIT_INTACT);
    assert_string_equal(f->types, "file start=none leads leads stop ");
    assert_int_equal(f->report.records, 5);
    assert_int_equal(f->report.first_seq, 1);
    assert_int_equal(f->report.last_seq, 5);
    assert_int_equal(f->report.signed_seq, 5);
    assert_string_equal(f->report.signed_by, "manager1");
    assert_int_equal(f->report.unfinished, 0);
    assert_int_equal(directory_mode(&f->dir, "audit/audit-00000001.log"), 0600);
    assert_int_equal(directory_mode(&f->dir, "audit"), 0700);
}

static void it_goes_on_after_a_stop(void **state)
{
    struct f *f = *state;

    make_log(f, 1);
    make_log(f, 1);
    assert_finding(f, SWK_AUDIT_INTACT);
    assert_string_equal(f->types,
                        "file start=none leads stop start=stopped leads stop ");
}

static void what_was_written_before_an_answer_outlives_a_crash(void **state)
{
    struct f *f = *state;

    open_log(f);
    add(f, 3);
    leave_as_crashed(f);
    make_log(f, 0);
    assert_finding(f, SWK_AUDIT_INTACT);
    assert_string_equal(
        f->types, "file start=none leads leads leads start=crashed stop ");
}

static void an_unfinished_record_is_cut_off_and_told_of(void **state)
{
    struct f *f = *state;
    char *whole;
    size_t len;

    make_log(f, 3);
    len = load(f, "audit-00000001.log");
    whole = strdup(f->text);
    for (size_t cut = 1; cut < 200; cut += 50) {
        store(f, "audit-00000001.log", whole, len - cut);
        /* Which could not be, had the record been durable. */
        assert_int_equal(unlink(path_of(f, "checkpoint")), 0);
        (void)verify(f);
        assert_int_not_equal(f->report.unfinished, 0);
        make_log(f, 0);
        assert_finding(f, SWK_AUDIT_INTACT);
        assert_string_equal(
            f->types, "file start=none leads leads leads start=crashed stop ");
        load(f, "audit-00000001.log");
        assert_non_null(strstr(f->text, "\"torn\":"));
    }
    free(whole);
}

static void files_have_a_size_and_old_ones_are_removed(void **state)
{
    struct f *f = *state;
    uint64_t first;

    f->config.file_size = FILE_SIZE;
    f->config.files_max = 3;
    make_log(f, 100);
    assert_finding(f, SWK_AUDIT_INTACT);
    first = f->report.first_seq;
    assert_in_range(first, 50, 99);
    assert_int_equal(f->report.last_seq, f->report.records + first - 1);
    assert_false(directory_has(&f->dir, "audit/audit-00000001.log"));
    make_log(f, 100);
    assert_finding(f, SWK_AUDIT_INTACT);
    assert_true(f->report.first_seq > first);
}

static void a_file_without_a_record_does_no_harm(void **state)
{
    struct f *f = *state;

    make_log(f, 1);
    store(f, "audit-00000002.log", "", 0);
    make_log(f, 1);
    assert_finding(f, SWK_AUDIT_INTACT);
    assert_string_equal(
        f->types, "file start=none leads stop file start=stopped leads stop ");
}

static void a_first_file_without_a_record_is_begun_anew(void **state)
{
    struct f *f = *state;

    assert_int_equal(mkdir(f->audit, 0700), 0);
    store(f, "audit-00000001.log", "{\"seq\":1,", 9);
    make_log(f, 1);
    assert_finding(f, SWK_AUDIT_INTACT);
    assert_string_equal(f->types, "file start=crashed leads stop ");
}

/* -- Tampering ------------------------------------------------------------ */

static void alter(struct f *f)
{
    size_t len = load(f, "audit-00000001.log");

    *strstr(line_at(f, 4), "leads") = 'L';
    store(f, "audit-00000001.log", f->text, len);
}

static void remove_line(struct f *f)
{
    size_t len = load(f, "audit-00000001.log");
    size_t gone = (size_t)(line_at(f, 5) - line_at(f, 4));

    memmove(line_at(f, 4), line_at(f, 5),
            len - (size_t)(line_at(f, 5) - f->text));
    store(f, "audit-00000001.log", f->text, len - gone);
}

static void swap_lines(struct f *f)
{
    char lines[4096];
    size_t len = load(f, "audit-00000001.log");
    char *fourth = line_at(f, 4);
    char *fifth = line_at(f, 5);
    char *sixth = line_at(f, 6);
    size_t first_len = (size_t)(fifth - fourth);
    size_t second_len = (size_t)(sixth - fifth);

    memcpy(lines, fifth, second_len);
    memcpy(lines + second_len, fourth, first_len);
    memcpy(fourth, lines, first_len + second_len);
    store(f, "audit-00000001.log", f->text, len);
}

static void cut_end(struct f *f)
{
    load(f, "audit-00000001.log");
    store(f, "audit-00000001.log", f->text, (size_t)(line_at(f, 5) - f->text));
}

static void cut_within_line(struct f *f)
{
    load(f, "audit-00000001.log");
    store(f, "audit-00000001.log", f->text,
          (size_t)(line_at(f, 5) - f->text) + 10);
}

/* Another log, sound in itself, of the same length. */
static void write_anew(struct f *f)
{
    struct swki_audit_link last = {0};
    struct swki_buf buf;

    swki_buf_init(&buf, NULL, SIZE_MAX);
    for (int i = 0; i < 13; i++) {
        const struct swki_audit_line line =
            swki_audit_line_begin(&buf, &last, i, "leads");

        assert_true(swki_audit_line_end(&line, &last));
    }
    store(f, "audit-00000001.log", (const char *)buf.data, buf.len);
    swki_buf_fini(&buf);
}

static void remove_checkpoint(struct f *f)
{
    assert_int_equal(unlink(path_of(f, "checkpoint")), 0);
}

static void take_signature_away(struct f *f)
{
    size_t len = load(f, "checkpoint");
    char *digits = strstr(f->text, "\"signature\":\"") + 13;
    char *end = strchr(digits, '"');

    memmove(digits, end, len - (size_t)(end - f->text));
    store(f, "checkpoint", f->text, len - (size_t)(end - digits));
}

static void move_checkpoint(struct f *f)
{
    size_t len = load(f, "checkpoint");

    f->text[7]--; /* {"seq":13 */
    store(f, "checkpoint", f->text, len);
}

/* Shortens the log, and signs that it ends there with a key of its own. */
static void sign_as_another(struct f *f)
{
    struct pki stranger;
    const struct pki_node node = f->node;

    pki_init(&stranger, 99);
    pki_node_init(&stranger, &f->node, "manager1", SWKI_ROLE_MANAGER);
    unlink(path_of(f, "checkpoint"));
    unlink(path_of(f, "audit-00000001.log"));
    make_log(f, 10);
    pki_node_fini(&f->node);
    f->node = node;
    pki_fini(&stranger);
}

static void remove_only_file(struct f *f)
{
    assert_int_equal(unlink(path_of(f, "audit-00000001.log")), 0);
}

static void any_tampering_is_found_and_named(void **state)
{
    static const struct {
        const char *why;
        void (*tamper)(struct f *f);
        int finding;
        uint64_t line;
        uint64_t seq;
    } cases[] = {
        {"altered", alter, SWK_AUDIT_ALTERED, 4, 0},
        {"line removed", remove_line, SWK_AUDIT_REMOVED, 4, 5},
        {"lines swapped", swap_lines, SWK_AUDIT_REORDERED, 4, 5},
        {"end cut off", cut_end, SWK_AUDIT_TRUNCATED, 0, 13},
        {"cut within a line", cut_within_line, SWK_AUDIT_TRUNCATED, 0, 13},
        {"written anew", write_anew, SWK_AUDIT_ALTERED, 0, 13},
        {"no checkpoint", remove_checkpoint, SWK_AUDIT_TRUNCATED, 0, 0},
        {"not signed", take_signature_away, SWK_AUDIT_ALTERED, 0, 0},
        {"checkpoint moved", move_checkpoint, SWK_AUDIT_ALTERED, 0, 0},
        {"another's signature", sign_as_another, SWK_AUDIT_ALTERED, 0, 0},
        {"all removed", remove_only_file, SWK_AUDIT_TRUNCATED, 0, 13},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        void *own = NULL;
        struct f *f;

        set_up(&own);
        f = own;
        make_log(f, 10);
        assert_finding(f, SWK_AUDIT_INTACT);
        cases[i].tamper(f);
        if (verify(f) != cases[i].finding || f->report.line != cases[i].line ||
            f->report.seq != cases[i].seq) {
            fail_msg("%s: %s in %s, line %d, record %d: %s", cases[i].why,
                     swk_audit_finding_name(f->report.finding), f->report.file,
                     (int)f->report.line, (int)f->report.seq, f->report.text);
        }
        tear_down(&own);
    }
}

static void a_file_that_is_missing_is_found(void **state)
{
    struct f *f = *state;
    char name[40];
    int last;

    f->config.file_size = FILE_SIZE;
    f->config.files_max = 4;
    make_log(f, 100);
    for (last = 99; last > 0; last--) {
        snprintf(name, sizeof(name), "audit/audit-%08d.log", last);
        if (directory_has(&f->dir, name)) {
            break;
        }
    }
    snprintf(name, sizeof(name), "audit-%08d.log", last - 3);
    assert_int_equal(unlink(path_of(f, name)), 0);
    assert_finding(f, SWK_AUDIT_REMOVED);
    assert_string_equal(f->report.file, name);
    snprintf(name, sizeof(name), "audit-%08d.log", last - 1);
    assert_int_equal(unlink(path_of(f, name)), 0);
    assert_finding(f, SWK_AUDIT_REMOVED);
    snprintf(name, sizeof(name), "audit-%08d.log", last);
    assert_string_equal(f->report.file, name);
    assert_int_equal(f->report.line, 1);
}

static void what_was_found_stays_found_when_the_log_goes_on(void **state)
{
    static const struct {
        void (*tamper)(struct f *f);
        int finding;
    } cases[] = {
        {alter, SWK_AUDIT_ALTERED},
        {remove_line, SWK_AUDIT_REMOVED},
        {cut_end, SWK_AUDIT_REMOVED},
        {cut_within_line, SWK_AUDIT_REMOVED},
        {write_anew, SWK_AUDIT_ALTERED},
        {remove_only_file, SWK_AUDIT_TRUNCATED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        void *own = NULL;
        struct f *f;

        set_up(&own);
        f = own;
        make_log(f, 10);
        cases[i].tamper(f);
        make_log(f, 3);
        assert_finding(f, cases[i].finding);
        tear_down(&own);
    }
}

static void a_head_that_was_kept_elsewhere_is_held_against_the_log(void **state)
{
    struct f *f = *state;
    struct swk_audit_options options = SWK_AUDIT_OPTIONS_INIT;
    char hash[SWK_AUDIT_HASH_LEN + 1];

    make_log(f, 5);
    assert_finding(f, SWK_AUDIT_INTACT);
    memcpy(hash, f->report.last_hash, sizeof(hash));
    options.dir = f->audit;
    options.expect_seq = f->report.last_seq;
    options.expect_hash = hash;
    make_log(f, 5);
    assert_int_equal(swk_audit_verify(&options, &f->report, NULL), 0);
    assert_int_equal(f->report.finding, SWK_AUDIT_INTACT);
    hash[0] = hash[0] == '0' ? '1' : '0';
    assert_int_equal(swk_audit_verify(&options, &f->report, NULL), 0);
    assert_int_equal(f->report.finding, SWK_AUDIT_ALTERED);
    /* With all that belongs to it, and a checkpoint of an earlier time. */
    options.expect_seq = 1000;
    assert_int_equal(swk_audit_verify(&options, &f->report, NULL), 0);
    assert_int_equal(f->report.finding, SWK_AUDIT_TRUNCATED);
    hash[3] = 'x';
    assert_int_equal(swk_audit_verify(&options, &f->report, NULL), SWK_EINVAL);
}

/* -- A disk that fails ---------------------------------------------------- */

static void a_full_disk_loses_what_has_no_room_and_says_so(void **state)
{
    struct f *f = *state;
    struct disk *disk = disk_new(1);
    const struct disk_file *file;

    f->config.io = &disk->io;
    open_log(f);
    add(f, 1);
    assert_false(swki_audit_log_blocks(f->log));
    disk->fail_call = DISK_WRITE;
    disk->fail_error = -ENOSPC;
    disk->fail_at = 0;
    add(f, 1);
    disk->fail_at = -1;
    assert_false(swki_audit_log_blocks(f->log)); /* nobody asked for that */
    add(f, 1);
    close_log(f);
    file = disk_find(disk, "audit-00000001.log");
    assert_non_null(file);
    memcpy(f->text, file->cached, file->cached_size);
    assert_int_equal(mkdir(f->audit, 0700), 0);
    store(f, "audit-00000001.log", f->text, file->cached_size);
    file = disk_find(disk, "checkpoint");
    store(f, "checkpoint", (const char *)file->cached, file->cached_size);
    assert_finding(f, SWK_AUDIT_INTACT);
    assert_string_equal(f->types, "file start=none leads leads leads stop ");
    disk_free(disk);
}

static void changes_are_refused_while_records_are_required(void **state)
{
    struct f *f = *state;
    struct disk *disk = disk_new(1);

    f->config.io = &disk->io;
    f->config.required = true;
    open_log(f);
    assert_false(swki_audit_log_blocks(f->log));
    disk->fail_call = DISK_WRITE;
    disk->fail_error = -EIO;
    disk->fail_at = 0;
    add(f, 1);
    assert_true(swki_audit_log_blocks(f->log));
    close_log(f);
    disk_free(disk);
}

int main(void)
{
#define WITH_F(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_F(a_log_is_intact_from_its_first_record_on),
        WITH_F(it_goes_on_after_a_stop),
        WITH_F(what_was_written_before_an_answer_outlives_a_crash),
        WITH_F(an_unfinished_record_is_cut_off_and_told_of),
        WITH_F(files_have_a_size_and_old_ones_are_removed),
        WITH_F(a_file_without_a_record_does_no_harm),
        WITH_F(a_first_file_without_a_record_is_begun_anew),
        cmocka_unit_test(any_tampering_is_found_and_named),
        WITH_F(a_file_that_is_missing_is_found),
        cmocka_unit_test(what_was_found_stays_found_when_the_log_goes_on),
        WITH_F(a_head_that_was_kept_elsewhere_is_held_against_the_log),
        WITH_F(a_full_disk_loses_what_has_no_room_and_says_so),
        WITH_F(changes_are_refused_while_records_are_required),
    };

    return cmocka_run_group_tests_name("audit_log", tests, NULL, NULL);
}
