/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever is done to the files of an audit log is found, and called what it
 * is; what is not found is what doc/audit.md says. */

#include "lib/cmocka_all.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_fixture.h"

/*
 * The log under attack has four files or more: a first run of 40 records, and
 * one of 20 an hour later. Beside it there are
 *
 *     earlier/   what it was between the two
 *     other/     the log of manager2, of as many records
 */

enum {
    FILE_SIZE = 4096,
};

#define SECOND_FILE "audit-00000002.log"
#define THIRD_FILE "audit-00000003.log"

static void make_logs(struct f *f)
{
    struct pki_node own = f->node;
    char audit[sizeof(f->audit)];

    f->config.file_size = FILE_SIZE;
    memcpy(audit, f->audit, sizeof(audit));
    snprintf(f->audit, sizeof(f->audit), "%s/other", f->dir.path);
    pki_node_init(&f->pki, &f->node, "manager2", SWKI_ROLE_MANAGER);
    f->config.node_id = "manager2";
    make_log(f, 40);
    make_log(f, 20);
    pki_node_fini(&f->node);
    f->node = own;
    f->config.node_id = "manager1";
    memcpy(f->audit, audit, sizeof(audit));
    make_log(f, 40);
    shell("cp -r %s %s/earlier", f->audit, f->dir.path);
    f->wall += (swk_wall)SWK_HOUR;
    make_log(f, 20);
    shell("cp -r %s %s/pristine", f->audit, f->dir.path);
}

/* As after make_logs(), which syncs a lot. */
static void restore(struct f *f)
{
    shell("rm -r %s && cp -r %s/pristine %s", f->audit, f->dir.path, f->audit);
}

static const char *last_file(struct f *f)
{
    static char name[40];

    for (int n = 1;; n++) {
        snprintf(name, sizeof(name), "audit/audit-%08d.log", n + 1);
        if (!directory_has(&f->dir, name)) {
            snprintf(name, sizeof(name), "audit-%08d.log", n);
            return name;
        }
    }
}

static size_t length_of(struct f *f, int line)
{
    return (size_t)(line_at(f, line + 1) - line_at(f, line));
}

/* Puts text where `gone` bytes of f->text were, and stores it. */
static void replace(struct f *f, const char *name, char *at, size_t gone,
                    const char *text, size_t len)
{
    size_t rest = strlen(at + gone);

    memmove(at + len, at + gone, rest + 1);
    memcpy(at, text, len);
    store(f, name, f->text, (size_t)(at - f->text) + len + rest);
}

/* -- Records -------------------------------------------------------------- */

static void alter(struct f *f)
{
    load(f, SECOND_FILE);
    replace(f, SECOND_FILE, strstr(line_at(f, 4), "leads"), 5, "Leads", 5);
}

static void alter_hash(struct f *f)
{
    char *digit;

    load(f, SECOND_FILE);
    digit = strstr(line_at(f, 4), "\"hash\":\"") + 8;
    replace(f, SECOND_FILE, digit, 1, *digit == '0' ? "1" : "0", 1);
}

/* Alters a record, and makes its hash right. */
static void forge(struct f *f, const char *name, int line)
{
    struct swki_audit_record record;
    struct swki_audit_link last;
    struct swki_audit_line forged;
    struct swki_buf buf;
    size_t len;

    load(f, name);
    len = length_of(f, line);
    assert_true(swki_audit_record_read(line_at(f, line), len - 1, &record));
    last.seq = record.link.seq - 1;
    memcpy(last.hash, record.prev, sizeof(last.hash));
    swki_buf_init(&buf, NULL, SIZE_MAX);
    forged = swki_audit_line_begin(&buf, &last, record.time, "leads");
    swki_audit_line_number(&forged, "term", 4711);
    assert_true(swki_audit_line_end(&forged, &last));
    replace(f, name, line_at(f, line), len, (const char *)buf.data, buf.len);
    swki_buf_fini(&buf);
}

static void forge_in_the_middle(struct f *f)
{
    forge(f, SECOND_FILE, 4);
}

static int lines_of(struct f *f, const char *name)
{
    int count = 0;

    load(f, name);
    for (const char *c = f->text; *c != '\0'; c++) {
        count += *c == '\n';
    }
    return count;
}

static void forge_last(struct f *f)
{
    const char *name = last_file(f);

    forge(f, name, lines_of(f, name));
}

static void remove_one(struct f *f)
{
    load(f, SECOND_FILE);
    replace(f, SECOND_FILE, line_at(f, 4), length_of(f, 4), "", 0);
}

static void remove_first_of_file(struct f *f)
{
    load(f, SECOND_FILE);
    replace(f, SECOND_FILE, f->text, length_of(f, 1), "", 0);
}

static void remove_last_of_file(struct f *f)
{
    int count = lines_of(f, FIRST_FILE);

    replace(f, FIRST_FILE, line_at(f, count), length_of(f, count), "", 0);
}

static void swap_two(struct f *f)
{
    char line[FILE_SIZE];
    size_t len;

    load(f, SECOND_FILE);
    len = length_of(f, 4);
    memcpy(line, line_at(f, 4), len);
    replace(f, SECOND_FILE, line_at(f, 4), len, "", 0);
    replace(f, SECOND_FILE, line_at(f, 5), 0, line, len);
}

/* Puts a copy of a line in front of another one. */
static void copy_line(struct f *f, int from, int to)
{
    char line[FILE_SIZE];
    size_t len;

    load(f, SECOND_FILE);
    len = length_of(f, from);
    memcpy(line, line_at(f, from), len);
    replace(f, SECOND_FILE, line_at(f, to), 0, line, len);
}

static void duplicate(struct f *f)
{
    copy_line(f, 4, 5);
}

static void copy_later_one(struct f *f)
{
    copy_line(f, 9, 5);
}

static void duplicate_last(struct f *f)
{
    const char *name = last_file(f);
    char line[FILE_SIZE];
    int count = lines_of(f, name);
    size_t len = length_of(f, count);

    memcpy(line, line_at(f, count), len);
    replace(f, name, line_at(f, count + 1), 0, line, len);
}

/* The record of that number, of another manager. */
static void splice_another_s(struct f *f)
{
    char line[FILE_SIZE];
    size_t len;

    load(f, "../other/" SECOND_FILE);
    len = length_of(f, 4);
    memcpy(line, line_at(f, 4), len);
    load(f, SECOND_FILE);
    replace(f, SECOND_FILE, line_at(f, 4), length_of(f, 4), line, len);
}

static void insert_empty_line(struct f *f)
{
    load(f, SECOND_FILE);
    replace(f, SECOND_FILE, line_at(f, 4), 0, "\n", 1);
}

static void end_lines_otherwise(struct f *f)
{
    load(f, SECOND_FILE);
    replace(f, SECOND_FILE, line_at(f, 5) - 1, 0, "\r", 1);
}

static void append_other_bytes(struct f *f)
{
    const char *name = last_file(f);
    size_t len = load(f, name);

    memset(f->text + len, 'x', SWKI_AUDIT_LINE_MAX + 1);
    store(f, name, f->text, len + SWKI_AUDIT_LINE_MAX + 1);
}

static void cut_end_off(struct f *f)
{
    const char *name = last_file(f);
    int count = lines_of(f, name);

    store(f, name, f->text, (size_t)(line_at(f, count) - f->text));
}

static void cut_within_last(struct f *f)
{
    const char *name = last_file(f);
    int count = lines_of(f, name);

    store(f, name, f->text, (size_t)(line_at(f, count) - f->text) + 10);
}

static void cut_within_a_file(struct f *f)
{
    load(f, SECOND_FILE);
    store(f, SECOND_FILE, f->text, (size_t)(line_at(f, 5) - f->text) + 10);
}

static void cut_a_file(struct f *f)
{
    load(f, SECOND_FILE);
    store(f, SECOND_FILE, f->text, (size_t)(line_at(f, 5) - f->text));
}

/* Another log, sound in itself, and longer. */
static void write_anew(struct f *f)
{
    struct swki_audit_link last = {0};
    struct swki_buf buf;

    swki_buf_init(&buf, NULL, SIZE_MAX);
    for (int i = 0; i < 200; i++) {
        const struct swki_audit_line line =
            swki_audit_line_begin(&buf, &last, i, i == 0 ? "file" : "leads");

        if (i == 0) {
            swki_audit_line_text(&line, "node", "manager1");
            swki_audit_line_text(&line, "swarm", PKI_SWARM);
        }
        assert_true(swki_audit_line_end(&line, &last));
    }
    shell("rm %s/audit-*", f->audit);
    store(f, FIRST_FILE, (const char *)buf.data, buf.len);
    swki_buf_fini(&buf);
}

/* -- Files ---------------------------------------------------------------- */

static void remove_middle_file(struct f *f)
{
    shell("rm %s", path_of(f, SECOND_FILE));
}

static void remove_oldest_file(struct f *f)
{
    shell("rm %s", path_of(f, FIRST_FILE));
}

static void remove_newest_file(struct f *f)
{
    shell("rm %s", path_of(f, last_file(f)));
}

static void remove_all_files(struct f *f)
{
    shell("rm %s/audit-*", f->audit);
}

static void swap_files(struct f *f)
{
    shell("cd %s && mv %s x && mv %s %s && mv x %s", f->audit, SECOND_FILE,
          THIRD_FILE, SECOND_FILE, THIRD_FILE);
}

static void swap_first_files(struct f *f)
{
    shell("cd %s && mv %s x && mv %s %s && mv x %s", f->audit, FIRST_FILE,
          SECOND_FILE, FIRST_FILE, SECOND_FILE);
}

static void append_copy_of_file(struct f *f)
{
    shell("cd %s && cp %s audit-00000099.log", f->audit, last_file(f));
}

static void append_file_far_away(struct f *f)
{
    shell("cd %s && cp %s audit-900000000000.log", f->audit, FIRST_FILE);
}

static void put_another_s_file(struct f *f)
{
    shell("cp %s/other/%s %s", f->dir.path, SECOND_FILE, f->audit);
}

static void put_earlier_file(struct f *f)
{
    shell("cd %s && rm %s && cp ../earlier/audit-* .", f->audit, last_file(f));
}

static void put_earlier_files(struct f *f)
{
    shell("rm %s/audit-* && cp %s/earlier/audit-* %s", f->audit, f->dir.path,
          f->audit);
}

static void put_another_s_log(struct f *f)
{
    shell("rm %s/* && cp %s/other/* %s", f->audit, f->dir.path, f->audit);
}

static void put_another_s_files(struct f *f)
{
    shell("rm %s/audit-* && cp %s/other/audit-* %s", f->audit, f->dir.path,
          f->audit);
}

/* -- Checkpoints ---------------------------------------------------------- */

static void remove_checkpoint(struct f *f)
{
    shell("rm %s", path_of(f, "checkpoint"));
}

static void empty_checkpoint(struct f *f)
{
    store(f, "checkpoint", "", 0);
}

static void garble_checkpoint(struct f *f)
{
    store(f, "checkpoint", "{\"seq\":1}\n{}\n", 13);
}

static void put_another_s_checkpoint(struct f *f)
{
    shell("cp %s/other/checkpoint %s", f->dir.path, f->audit);
}

static void put_earlier_checkpoint(struct f *f)
{
    shell("cp %s/earlier/checkpoint %s", f->dir.path, f->audit);
}

static void take_signature_away(struct f *f)
{
    char *digits;

    load(f, "checkpoint");
    digits = strstr(f->text, "\"signature\":\"") + 13;
    replace(f, "checkpoint", digits, strcspn(digits, "\""), "", 0);
}

static void move_checkpoint(struct f *f)
{
    load(f, "checkpoint");
    f->text[7] = f->text[7] == '1' ? '2' : '1'; /* {"seq":7 */
    store(f, "checkpoint", f->text, strlen(f->text));
}

/* What the present checkpoint says. */
static struct swki_audit_checkpoint present(struct f *f)
{
    struct swki_audit_checkpoint_text parts;
    struct swki_audit_checkpoint checkpoint;
    size_t len = load(f, "checkpoint");

    assert_true(swki_audit_checkpoint_read(f->text, len, &checkpoint, &parts));
    return checkpoint;
}

/* Cuts the end off, and signs that the log ends there, as another one. */
static void cut_and_sign(struct f *f, struct pki *pki, const char *id,
                         enum swki_role role, const char *claims)
{
    struct swki_audit_checkpoint checkpoint = present(f);
    struct swki_audit_record record;
    struct pki_node node;
    const char *name;
    int count;

    cut_end_off(f);
    name = last_file(f);
    count = lines_of(f, name);
    assert_true(swki_audit_record_read(line_at(f, count),
                                       length_of(f, count) - 1, &record));
    checkpoint.link = record.link;
    checkpoint.offset = strlen(f->text);
    snprintf(checkpoint.node_id, sizeof(checkpoint.node_id), "%s", claims);
    pki_node_init(pki, &node, id, role);
    sign(f, &node, &checkpoint);
    pki_node_fini(&node);
}

static void sign_as_worker(struct f *f)
{
    cut_and_sign(f, &f->pki, "worker1", SWKI_ROLE_WORKER, "worker1");
}

static void sign_as_the_worker_it_was(struct f *f)
{
    cut_and_sign(f, &f->pki, "manager1", SWKI_ROLE_WORKER, "manager1");
}

static void sign_as_other_manager(struct f *f)
{
    cut_and_sign(f, &f->pki, "manager2", SWKI_ROLE_MANAGER, "manager2");
}

static void sign_as_pretender(struct f *f)
{
    cut_and_sign(f, &f->pki, "manager2", SWKI_ROLE_MANAGER, "manager1");
}

static void sign_as_stranger(struct f *f)
{
    struct pki stranger;

    pki_init(&stranger, 99);
    cut_and_sign(f, &stranger, "manager1", SWKI_ROLE_MANAGER, "manager1");
    pki_fini(&stranger);
}

/* A certificate that has ended long since. */
static void sign_too_late(struct f *f)
{
    struct swki_audit_checkpoint checkpoint = present(f);

    checkpoint.time += 3000 * (swk_wall)SWK_HOUR;
    sign(f, &f->node, &checkpoint);
}

static void sign_too_early(struct f *f)
{
    struct swki_audit_checkpoint checkpoint = present(f);

    checkpoint.time -= 3000 * (swk_wall)SWK_HOUR;
    sign(f, &f->node, &checkpoint);
}

/* -- Each of them --------------------------------------------------------- */

static const struct attack {
    const char *why;
    void (*attack)(struct f *f);
    int finding;
    const char *file; /* where; "" for the newest one, NULL for none */
    const char *text; /* part of the reason */
    bool harmless;    /* nothing is missing once it is signed again */
} attacks[] = {
    {"a record is altered", alter, SWK_AUDIT_ALTERED, SECOND_FILE,
     "not what was written"},
    {"a hash is altered", alter_hash, SWK_AUDIT_ALTERED, SECOND_FILE,
     "not what was written"},
    {"a record is forged", forge_in_the_middle, SWK_AUDIT_ALTERED, SECOND_FILE,
     "does not follow"},
    {"the last record is forged", forge_last, SWK_AUDIT_ALTERED, NULL,
     "written anew"},
    {"a record is removed", remove_one, SWK_AUDIT_REMOVED, SECOND_FILE,
     "1 missing"},
    {"a file's first record is removed", remove_first_of_file,
     SWK_AUDIT_REMOVED, SECOND_FILE, "1 missing"},
    {"a file's last record is removed", remove_last_of_file, SWK_AUDIT_REMOVED,
     SECOND_FILE, "1 missing"},
    {"two records changed places", swap_two, SWK_AUDIT_REORDERED, SECOND_FILE,
     "it comes later"},
    {"a record is there twice", duplicate, SWK_AUDIT_REORDERED, SECOND_FILE,
     "came before"},
    {"a later record is there, too", copy_later_one, SWK_AUDIT_REORDERED,
     SECOND_FILE, "it comes later"},
    {"the last record is there twice", duplicate_last, SWK_AUDIT_REORDERED, "",
     "came before"},
    {"another manager's record", splice_another_s, SWK_AUDIT_ALTERED,
     SECOND_FILE, "does not follow"},
    {"an empty line", insert_empty_line, SWK_AUDIT_ALTERED, SECOND_FILE,
     "not what was written"},
    {"another line end", end_lines_otherwise, SWK_AUDIT_ALTERED, SECOND_FILE,
     "not what was written"},
    {"other bytes at the end", append_other_bytes, SWK_AUDIT_ALTERED, "",
     "not what was written"},
    {"the end is cut off", cut_end_off, SWK_AUDIT_TRUNCATED, NULL,
     "the log ends at"},
    {"the last record is cut", cut_within_last, SWK_AUDIT_TRUNCATED, NULL,
     "the log ends at"},
    {"a file's end is cut off", cut_a_file, SWK_AUDIT_REMOVED, THIRD_FILE,
     "missing"},
    {"a file is cut within a record", cut_within_a_file, SWK_AUDIT_ALTERED,
     SECOND_FILE, "not what was written"},
    {"all is written anew", write_anew, SWK_AUDIT_ALTERED, NULL,
     "written anew"},
    {"a file is removed", remove_middle_file, SWK_AUDIT_REMOVED, THIRD_FILE,
     "missing"},
    {"the oldest file is removed", remove_oldest_file, SWK_AUDIT_REMOVED,
     FIRST_FILE, "missing"},
    {"the newest file is removed", remove_newest_file, SWK_AUDIT_TRUNCATED,
     NULL, "the log ends at"},
    {"all files are removed", remove_all_files, SWK_AUDIT_TRUNCATED, NULL,
     "the log ends at 0"},
    {"two files changed places", swap_files, SWK_AUDIT_REORDERED, SECOND_FILE,
     "it comes later"},
    {"the first two changed places", swap_first_files, SWK_AUDIT_REORDERED,
     FIRST_FILE, "file 2 under another name"},
    {"a file is there twice", append_copy_of_file, SWK_AUDIT_REORDERED,
     "audit-00000099.log", "came before"},
    {"a file is there with a high number", append_file_far_away,
     SWK_AUDIT_REORDERED, "audit-900000000000.log", "came before"},
    {"another manager's file", put_another_s_file, SWK_AUDIT_ALTERED,
     SECOND_FILE, "does not follow"},
    {"an earlier newest file", put_earlier_file, SWK_AUDIT_TRUNCATED, NULL,
     "the log ends at"},
    {"earlier files", put_earlier_files, SWK_AUDIT_TRUNCATED, NULL,
     "the log ends at"},
    {"another manager's log", put_another_s_log, SWK_AUDIT_ALTERED, NULL,
     "the log of node manager2"},
    {"another manager's files", put_another_s_files, SWK_AUDIT_ALTERED, NULL,
     "the log of node manager2"},
    {"no checkpoint", remove_checkpoint, SWK_AUDIT_TRUNCATED, "checkpoint",
     "no checkpoint"},
    {"an empty checkpoint", empty_checkpoint, SWK_AUDIT_TRUNCATED, "checkpoint",
     "no checkpoint"},
    {"no checkpoint at all", garble_checkpoint, SWK_AUDIT_ALTERED, "checkpoint",
     "damaged"},
    {"another manager's checkpoint", put_another_s_checkpoint,
     SWK_AUDIT_ALTERED, "checkpoint", "that of node manager2"},
    {"an earlier checkpoint", put_earlier_checkpoint, SWK_AUDIT_UNSIGNED,
     "checkpoint", "an earlier one", .harmless = true},
    {"no signature", take_signature_away, SWK_AUDIT_ALTERED, "checkpoint",
     "not the manager's"},
    {"the checkpoint is altered", move_checkpoint, SWK_AUDIT_ALTERED,
     "checkpoint", "not the manager's"},
    {"a worker signed", sign_as_worker, SWK_AUDIT_ALTERED, "checkpoint",
     "no manager"},
    {"it signed as the worker it was", sign_as_the_worker_it_was,
     SWK_AUDIT_ALTERED, "checkpoint", "no manager"},
    {"another manager signed", sign_as_other_manager, SWK_AUDIT_ALTERED,
     "checkpoint", "that of node manager2"},
    {"another manager pretends", sign_as_pretender, SWK_AUDIT_ALTERED,
     "checkpoint", "another node than it says"},
    {"a stranger signed", sign_as_stranger, SWK_AUDIT_ALTERED, "checkpoint",
     "trusted root"},
    {"signed after the certificate's end", sign_too_late, SWK_AUDIT_ALTERED,
     "checkpoint", "not valid after"},
    {"signed before its begin", sign_too_early, SWK_AUDIT_ALTERED, "checkpoint",
     "not valid before"},
};

enum {
    ATTACKS = sizeof(attacks) / sizeof(attacks[0]),
};

static bool is_found(struct f *f, const struct attack *a)
{
    const char *file = a->file == NULL      ? f->report.file
                       : a->file[0] == '\0' ? last_file(f)
                                            : a->file;

    return verify(f) == a->finding && strcmp(f->report.file, file) == 0 &&
           strstr(f->report.text, a->text) != NULL;
}

static void each_attack_is_found_and_named(void **state)
{
    struct f *f = *state;

    make_logs(f);
    for (size_t i = 0; i < ATTACKS; i++) {
        restore(f);
        assert_finding(f, SWK_AUDIT_INTACT);
        attacks[i].attack(f);
        if (!is_found(f, &attacks[i])) {
            fail_msg("%s: %s in %s, line %d, record %d: %s", attacks[i].why,
                     swk_audit_finding_name(f->report.finding), f->report.file,
                     (int)f->report.line, (int)f->report.seq, f->report.text);
        }
    }
}

/* A manager that starts destroys no evidence, and signs nothing away. */
static void what_was_done_is_found_when_the_log_went_on(void **state)
{
    struct f *f = *state;

    make_logs(f);
    f->wall += (swk_wall)SWK_HOUR;
    for (size_t i = 0; i < ATTACKS; i++) {
        restore(f);
        attacks[i].attack(f);
        make_log(f, 3);
        if ((verify(f) == SWK_AUDIT_INTACT) != attacks[i].harmless) {
            fail_msg("%s: %s in %s, record %d: %s", attacks[i].why,
                     swk_audit_finding_name(f->report.finding), f->report.file,
                     (int)f->report.seq, f->report.text);
        }
    }
}

/* Cut short, without a word of where it ended. */
static void
an_end_that_went_with_its_checkpoint_is_missed_at_the_start(void **state)
{
    struct f *f = *state;

    make_logs(f);
    cut_end_off(f);
    remove_checkpoint(f);
    f->types[0] = '\0';
    make_log(f, 3);
    assert_finding(f, SWK_AUDIT_UNSIGNED);
    assert_non_null(strstr(f->types, "start=unsigned"));
}

static void
a_checkpoint_of_another_does_not_say_where_the_log_goes_on(void **state)
{
    static void (*const forgers[])(struct f *) = {
        sign_as_worker, sign_as_the_worker_it_was, sign_as_other_manager,
        sign_as_pretender, sign_as_stranger};

    struct f *f = *state;
    uint64_t last;

    make_logs(f);
    verify(f);
    last = f->report.last_seq;
    for (size_t i = 0; i < sizeof(forgers) / sizeof(forgers[0]); i++) {
        restore(f);
        forgers[i](f);
        make_log(f, 0);
        verify(f);
        assert_int_equal(f->report.finding, SWK_AUDIT_UNSIGNED);
        /* Without the one that was cut off; a file, a start and a stop. */
        assert_int_equal(f->report.seq, last - 1 + 2);
    }
}

static void far_ahead(struct f *f, const char *id, enum swki_role role)
{
    struct swki_audit_checkpoint checkpoint = present(f);
    struct pki_node node;

    checkpoint.link.seq = UINT64_MAX - 5;
    snprintf(checkpoint.node_id, sizeof(checkpoint.node_id), "%s", id);
    pki_node_init(&f->pki, &node, id, role);
    sign(f, &node, &checkpoint);
    pki_node_fini(&node);
}

static void no_stranger_moves_the_numbers_of_records(void **state)
{
    struct f *f = *state;

    make_logs(f);
    far_ahead(f, "worker1", SWKI_ROLE_WORKER);
    make_log(f, 3);
    assert_finding(f, SWK_AUDIT_UNSIGNED);
    load(f, last_file(f));
    assert_null(strstr(f->text, "{\"seq\":1844674407370955161"));
}

static void no_file_is_written_that_nobody_would_read(void **state)
{
    struct f *f = *state;
    struct swk_error err;

    make_logs(f);
    shell("cd %s && cp %s audit-999999999999.log", f->audit, FIRST_FILE);
    assert_int_equal(swki_audit_log_open(&f->config, &f->log, &err),
                     SWK_ECORRUPT);
}

/* -- What is not found ---------------------------------------------------- */

static void
an_earlier_state_of_all_files_needs_a_head_from_elsewhere(void **state)
{
    struct f *f = *state;
    struct swk_audit_options options = SWK_AUDIT_OPTIONS_INIT;
    char hash[SWK_AUDIT_HASH_LEN + 1];

    make_logs(f);
    verify(f);
    memcpy(hash, f->report.last_hash, sizeof(hash));
    options.dir = f->audit;
    options.roots_file = f->roots;
    options.expect_seq = f->report.last_seq;
    options.expect_hash = hash;
    shell("rm %s/* && cp %s/earlier/* %s", f->audit, f->dir.path, f->audit);
    assert_finding(f, SWK_AUDIT_INTACT);
    assert_int_equal(swk_audit_verify(&options, &f->report, NULL), 0);
    assert_int_equal(f->report.finding, SWK_AUDIT_TRUNCATED);
}

static void what_is_behind_the_checkpoint_can_be_cut_off(void **state)
{
    struct f *f = *state;

    make_log(f, 2);
    shell("cp %s/checkpoint %s/kept", f->audit, f->dir.path);
    make_log(f, 2);
    shell("mv %s/kept %s/checkpoint", f->dir.path, f->audit);
    cut_end_off(f);
    assert_finding(f, SWK_AUDIT_INTACT);
    assert_true(f->report.signed_seq < f->report.last_seq);
}

static void each_finding_has_a_name(void **state)
{
    (void)state;
    for (int finding = SWK_AUDIT_INTACT; finding <= SWK_AUDIT_UNSIGNED;
         finding++) {
        assert_string_not_equal(swk_audit_finding_name(finding), "unknown");
    }
    assert_string_equal(swk_audit_finding_name(SWK_AUDIT_UNSIGNED), "unsigned");
    assert_string_equal(swk_audit_finding_name(SWK_AUDIT_UNSIGNED + 1),
                        "unknown");
}

int main(void)
{
#define WITH_F(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_F(each_attack_is_found_and_named),
        WITH_F(what_was_done_is_found_when_the_log_went_on),
        WITH_F(an_end_that_went_with_its_checkpoint_is_missed_at_the_start),
        WITH_F(a_checkpoint_of_another_does_not_say_where_the_log_goes_on),
        WITH_F(no_stranger_moves_the_numbers_of_records),
        WITH_F(no_file_is_written_that_nobody_would_read),
        WITH_F(an_earlier_state_of_all_files_needs_a_head_from_elsewhere),
        WITH_F(what_is_behind_the_checkpoint_can_be_cut_off),
        cmocka_unit_test(each_finding_has_a_name),
    };

    return cmocka_run_group_tests_name("audit_attacks", tests, NULL, NULL);
}
