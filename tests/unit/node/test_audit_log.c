/* SPDX-License-Identifier: Apache-2.0 */

/* The files of the audit log: how they are written, left, taken up again; and
 * that nothing is done to them without being found. */

#include "lib/cmocka_all.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_fixture.h"

enum {
    FILE_SIZE = 4096,
};

struct full_disk {
    struct swki_file_io io;
    struct swk_logger logger;
    atomic_bool is_full;
    pthread_mutex_t lock;
    char said[2048]; /* to the logger, by two threads */
};

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

    make_log(f, 0);
    shell("cp %s %s/checkpoint", path_of(f, "checkpoint"), f->dir.path);
    make_log(f, 3);
    len = load(f, "audit-00000001.log");
    whole = strdup(f->text);
    for (size_t cut = 1; cut < 200; cut += 50) {
        store(f, "audit-00000001.log", whole, len - cut);
        /* It would tell of the record, had that been durable. */
        shell("cp %s/checkpoint %s", f->dir.path, f->audit);
        (void)verify(f);
        assert_int_not_equal(f->report.unfinished, 0);
        make_log(f, 0);
        assert_finding(f, SWK_AUDIT_INTACT);
        assert_string_equal(
            f->types, "file start=none stop start=stopped leads leads leads "
                      "start=crashed stop ");
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
    static const struct swki_audit_checkpoint of_nothing = {
        .file = 1, .time = PKI_NOW, .node_id = "manager1"};
    struct f *f = *state;

    assert_int_equal(mkdir(f->audit, 0700), 0);
    store(f, "audit-00000001.log", "{\"seq\":1,", 9);
    sign(f, &f->node, &of_nothing);
    make_log(f, 1);
    assert_finding(f, SWK_AUDIT_INTACT);
    assert_string_equal(f->types, "file start=crashed leads stop ");
}

/* -- Heads --------------------------------------------------------------- */

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

static void the_words_of_fields_are_listed(void **state)
{
    static const struct {
        const char *field;
        const char *word;
        size_t count;
    } cases[] = {
        {"outcome", "committed", 5},
        {"status", "PERMISSION_DENIED", 16},
        {"actor", "anonymous", 2 + SWKI_ACTORS_COUNT},
        {"actor", "role manager", 2 + SWKI_ACTORS_COUNT},
        {"method", NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool listed = cases[i].word == NULL;
        const char *word;
        size_t count = 0;

        while ((word = swk_audit_word(cases[i].field, count)) != NULL) {
            listed = listed || strcmp(word, cases[i].word) == 0;
            count++;
        }
        assert_int_equal(count, cases[i].count);
        assert_true(listed);
        assert_null(swk_audit_word(cases[i].field, SIZE_MAX));
    }
}

/* -- A disk that fails ---------------------------------------------------- */

/* A disk whose writes fail while it is full, or all others. */
static int64_t write_unless_full(void *ctx, int fd, const void *data,
                                 size_t len, uint64_t offset)
{
    const struct full_disk *disk = ctx;

    return disk->is_full
               ? -ENOSPC
               : swki_file_io_posix.write(NULL, fd, data, len, offset);
}

static int create_unless_full(void *ctx, int dir, const char *name)
{
    const struct full_disk *disk = ctx;

    return disk->is_full ? -ENOSPC : swki_file_io_posix.create(NULL, dir, name);
}

static void take_log(void *ctx, const struct swk_log_record *record)
{
    struct full_disk *disk = ctx;
    size_t used;

    pthread_mutex_lock(&disk->lock);
    used = strlen(disk->said);
    snprintf(disk->said + used, sizeof(disk->said) - used, "%s\n",
             record->message);
    pthread_mutex_unlock(&disk->lock);
}

static void full_disk_init(struct full_disk *disk, struct f *f)
{
    *disk = (struct full_disk){.io = swki_file_io_posix};
    pthread_mutex_init(&disk->lock, NULL);
    disk->io.ctx = disk;
    disk->io.write = write_unless_full;
    disk->io.create = create_unless_full;
    disk->logger = (struct swk_logger){.size = sizeof(disk->logger),
                                       .ctx = disk,
                                       .level = SWK_LOG_INFO,
                                       .log = take_log};
    f->config.io = &disk->io;
    f->config.logger = &disk->logger;
}

static void a_full_disk_loses_nothing_that_has_room_in_memory(void **state)
{
    struct f *f = *state;
    struct full_disk disk;

    full_disk_init(&disk, f);
    open_log(f);
    add(f, 1);
    disk.is_full = true;
    add(f, 1);
    assert_false(swki_audit_log_blocks(f->log)); /* nobody asked for that */
    disk.is_full = false;
    f->now += SWK_SECOND;
    add(f, 1);
    close_log(f);
    assert_non_null(strstr(disk.said, "records are written again"));
    assert_finding(f, SWK_AUDIT_INTACT);
    assert_string_equal(f->types, "file start=none leads leads leads stop ");
}

static void records_beyond_those_that_wait_are_lost_and_counted(void **state)
{
    struct f *f = *state;
    struct swki_audit *audit;
    struct full_disk disk;
    uint64_t lost;

    full_disk_init(&disk, f);
    f->config.required = true;
    open_log(f);
    audit = swki_audit_log_machine(f->log);
    disk.is_full = true;
    for (int i = 0; swki_audit_lost(audit) < 10 && i < 100 * 1000; i++) {
        swki_audit_leads(audit, f->wall, 1);
        swki_audit_log_write(f->log);
    }
    lost = swki_audit_lost(audit);
    assert_int_equal(lost, 10);
    assert_in_range(swki_audit_pending(audit)->len,
                    SWKI_AUDIT_PENDING_MAX - 1000, SWKI_AUDIT_PENDING_MAX);
    assert_non_null(strstr(disk.said, "records wait to be written, and "
                                      "changes are refused"));
    assert_non_null(strstr(disk.said, "there is no room for further records"));
    assert_true(swki_audit_log_blocks(f->log));
    disk.is_full = false;
    f->now += SWK_SECOND;
    swki_audit_log_write(f->log);
    /* The record that tells of them comes with the next one. */
    assert_true(swki_audit_log_blocks(f->log));
    add(f, 1);
    assert_false(swki_audit_log_blocks(f->log));
    close_log(f);
    assert_finding(f, SWK_AUDIT_INTACT);
    load_end(f);
    assert_non_null(strstr(f->text, "\"type\":\"gap\",\"lost\":10"));
}

static void what_waits_at_the_stop_is_lost_and_complained_of(void **state)
{
    struct f *f = *state;
    struct full_disk disk;

    full_disk_init(&disk, f);
    open_log(f);
    add(f, 1);
    disk.is_full = true;
    add(f, 2);
    assert_false(swki_audit_log_blocks(f->log));
    close_log(f);
    assert_non_null(strstr(disk.said, "bytes of records are lost"));
    assert_null(strstr(disk.said, "the log ends at"));
    disk.is_full = false;
    make_log(f, 1);
    assert_finding(f, SWK_AUDIT_INTACT);
    assert_string_equal(f->types,
                        "file start=none leads start=crashed leads stop ");
}

static void a_log_that_cannot_be_begun_is_an_error(void **state)
{
    struct f *f = *state;
    struct full_disk disk;
    struct swk_error err;

    full_disk_init(&disk, f);
    disk.is_full = true;
    assert_int_equal(swki_audit_log_open(&f->config, &f->log, &err), SWK_EIO);
}

static void changes_are_refused_while_records_are_required(void **state)
{
    struct f *f = *state;
    struct full_disk disk;

    full_disk_init(&disk, f);
    f->config.required = true;
    open_log(f);
    assert_false(swki_audit_log_blocks(f->log));
    disk.is_full = true;
    add(f, 1);
    assert_true(swki_audit_log_blocks(f->log));
    disk.is_full = false;
    f->now += SWK_SECOND;
    swki_audit_log_write(f->log);
    assert_false(swki_audit_log_blocks(f->log));
    close_log(f);
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
        WITH_F(a_head_that_was_kept_elsewhere_is_held_against_the_log),
        cmocka_unit_test(the_words_of_fields_are_listed),
        WITH_F(a_full_disk_loses_nothing_that_has_room_in_memory),
        WITH_F(records_beyond_those_that_wait_are_lost_and_counted),
        WITH_F(what_waits_at_the_stop_is_lost_and_complained_of),
        WITH_F(a_log_that_cannot_be_begun_is_an_error),
        WITH_F(changes_are_refused_while_records_are_required),
    };

    return cmocka_run_group_tests_name("audit_log", tests, NULL, NULL);
}
