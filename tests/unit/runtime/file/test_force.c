/* SPDX-License-Identifier: Apache-2.0 */

/* Forcing a group to its only survivor (R-BOO-6): what is kept, who goes, and
 * that there is nothing in between. */

#include "lib/cmocka_all.h"

#include <errno.h>
#include <stdlib.h>

#include <swarmkit/raft.h>

#include "core/raft/conf_change.h"
#include "lib/disk.h"
#include "lib/heap.h"
#include "runtime/file/file_storage.h"

enum {
    OWN = 2,
    ENTRIES = 64,
};

struct f {
    struct disk *disk;
    struct swk_file_storage_config config;
    struct swk_force_single what;
    struct swk_storage storage; /* while a log is written */
    uint64_t ticket;
    uint64_t last;
    uint64_t term;
};

static void done(void *ctx, uint64_t ticket, int code,
                 const struct swk_error *err)
{
    (void)ctx;
    (void)ticket;
    (void)code;
    (void)err;
}

static int found_state(void *ctx, const struct swk_hard_state *state,
                       struct swk_error *err)
{
    (void)ctx;
    (void)state;
    (void)err;
    return 0;
}

static int found_entry(void *ctx, const struct swk_log_entry *entry,
                       struct swk_error *err)
{
    (void)ctx;
    (void)entry;
    (void)err;
    return 0;
}

static int found_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                          const uint8_t *data, size_t data_len,
                          struct swk_error *err)
{
    (void)ctx;
    (void)meta;
    (void)data;
    (void)data_len;
    (void)err;
    return 0;
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    f->disk = disk_new(1);
    f->config = (struct swk_file_storage_config){
        .size = sizeof(f->config),
        .dir = "/raft",
        .done = done,
        .segment_size = SWK_FILE_STORAGE_SEGMENT_SIZE_MIN,
    };
    f->what = (struct swk_force_single){.size = sizeof(f->what),
                                        .raft_id = OWN,
                                        .context = (const uint8_t *)"mark",
                                        .context_len = 4};
    f->term = 1;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    disk_free(f->disk);
    free(f);
    return 0;
}

/* -- Writing a log --------------------------------------------------------- */

static void open_log(struct f *f)
{
    const struct swk_storage_replay replay = {
        .size = sizeof(replay),
        .snapshot = found_snapshot,
        .hard_state = found_state,
        .entry = found_entry,
    };

    assert_int_equal(
        swki_file_storage_open(&f->config, &f->disk->io, &f->storage, NULL), 0);
    assert_int_equal(f->storage.load(f->storage.ctx, &replay, NULL), 0);
}

static void close_log(struct f *f, uint64_t commit)
{
    const struct swk_hard_state state = {f->term, 1, commit};

    assert_int_equal(
        f->storage.append(f->storage.ctx, &state, NULL, 0, ++f->ticket, NULL),
        0);
    f->storage.close(f->storage.ctx);
}

static void add_entry(struct f *f, int32_t type, const uint8_t *data,
                      size_t len)
{
    const struct swk_log_entry entry = {
        .index = ++f->last,
        .term = f->term,
        .type = type,
        .data = len > 0 ? data : NULL,
        .data_len = len,
    };

    assert_int_equal(
        f->storage.append(f->storage.ctx, NULL, &entry, 1, ++f->ticket, NULL),
        0);
}

static void add_data(struct f *f)
{
    add_entry(f, SWK_RAFT_ENTRY_NORMAL, (const uint8_t *)"data", 4);
}

static void add_change(struct f *f, int32_t type, uint64_t id)
{
    const struct swk_raft_change one = {.type = type, .id = id};
    const struct swk_raft_conf_change change = {
        .size = sizeof(change), .changes = &one, .changes_count = 1};
    uint8_t data[64];

    swki_conf_change_v1_encode(&change, data);
    add_entry(f, SWK_RAFT_ENTRY_CONF_CHANGE, data,
              swki_conf_change_v1_size(&change));
}

static void add_joint(struct f *f, const struct swk_raft_change *changes,
                      size_t count)
{
    const struct swk_raft_conf_change change = {
        .size = sizeof(change),
        .transition = SWK_RAFT_TRANSITION_JOINT_EXPLICIT,
        .changes = changes,
        .changes_count = count,
    };
    uint8_t data[256];

    assert_in_range(swki_conf_change_size(&change), 1, sizeof(data));
    swki_conf_change_encode(&change, data);
    add_entry(f, SWK_RAFT_ENTRY_CONF_CHANGE_V2, data,
              swki_conf_change_size(&change));
}

/* Three voters, two entries that are committed, two that may be. */
static void write_group(struct f *f)
{
    open_log(f);
    add_change(f, SWK_RAFT_ADD_VOTER, 1);
    add_change(f, SWK_RAFT_ADD_VOTER, 2);
    add_change(f, SWK_RAFT_ADD_VOTER, 3);
    f->term = 4;
    for (int i = 0; i < 4; i++) {
        add_data(f);
    }
    close_log(f, 5);
}

/* -- Forcing, and what is there then --------------------------------------- */

static int force_with(struct f *f, struct swk_force_single_report *report,
                      struct swk_error *err)
{
    *report = (struct swk_force_single_report){.size = sizeof(*report)};
    return swki_file_storage_force_single(&f->config, &f->disk->io, &f->what,
                                          report, err);
}

static struct swk_force_single_report force(struct f *f)
{
    struct swk_force_single_report report;
    struct swk_error err = {0};

    if (force_with(f, &report, &err) != 0) {
        fail_msg("force: %s", err.text);
    }
    return report;
}

static void assert_refused(struct f *f, const char *why)
{
    struct swk_force_single_report report;
    struct swk_error err = {0};

    assert_int_equal(force_with(f, &report, &err), SWK_EPRECONDITION);
    assert_non_null(strstr(err.text, why));
    assert_int_equal(report.term, 0); /* untouched on failure */
}

/* A member that was started from the log, with all of its entries. */
struct member {
    swk_raft *raft;
    struct swk_hard_state state;
    int32_t types[ENTRIES];
    uint64_t terms[ENTRIES];
    char contexts[ENTRIES][16];
    uint64_t last;
    uint64_t generation;
};

static int member_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                           const uint8_t *data, size_t data_len,
                           struct swk_error *err)
{
    struct member *m = ctx;

    (void)data;
    (void)data_len;
    m->last = meta->index;
    return swk_raft_restore_snapshot(m->raft, meta, err);
}

static int member_state(void *ctx, const struct swk_hard_state *state,
                        struct swk_error *err)
{
    struct member *m = ctx;

    m->state = *state;
    return swk_raft_restore_hard_state(m->raft, state, err);
}

static int member_entry(void *ctx, const struct swk_log_entry *entry,
                        struct swk_error *err)
{
    struct swk_raft_change changes[SWK_RAFT_CHANGES_MAX];
    struct swk_raft_conf_change change;
    struct member *m = ctx;

    assert_in_range(entry->index, 1, ENTRIES - 1);
    m->types[entry->index] = entry->type;
    m->terms[entry->index] = entry->term;
    m->last = entry->index;
    if (entry->type != SWK_RAFT_ENTRY_NORMAL) {
        assert_int_equal(
            swk_raft_read_conf_change(entry, changes, &change, NULL), 0);
        if (change.context_len > 0 && change.context_len < 16) {
            memcpy(m->contexts[entry->index], change.context,
                   change.context_len);
        }
    }
    return swk_raft_restore_entry(m->raft, entry, err);
}

static void apply_all(struct member *m)
{
    const struct swk_raft_actions *a = swk_raft_take_actions(m->raft);

    while (a->committed_count > 0) {
        uint64_t last = a->committed[a->committed_count - 1].index;

        for (size_t i = 0; i < a->committed_count; i++) {
            if (a->committed[i].type != SWK_RAFT_ENTRY_NORMAL) {
                assert_int_equal(swk_raft_apply_conf_change(
                                     m->raft, &a->committed[i], 0, NULL),
                                 0);
            }
        }
        assert_int_equal(swk_raft_applied(m->raft, last, NULL), 0);
        a = swk_raft_take_actions(m->raft);
    }
}

static void start_member(struct f *f, struct member *m)
{
    const struct swk_raft_config raft = {.size = sizeof(raft), .id = OWN};
    const struct swk_storage_replay replay = {
        .size = sizeof(replay),
        .ctx = m,
        .snapshot = member_snapshot,
        .hard_state = member_state,
        .entry = member_entry,
    };
    struct swk_storage storage;
    struct swk_error err = {0};

    *m = (struct member){0};
    assert_int_equal(swk_raft_new(&raft, &m->raft, NULL), 0);
    assert_int_equal(
        swki_file_storage_open(&f->config, &f->disk->io, &storage, NULL), 0);
    if (storage.load(storage.ctx, &replay, &err) != 0) {
        fail_msg("load: %s", err.text);
    }
    m->generation = swk_file_storage_generation(&storage);
    storage.close(storage.ctx);
    assert_int_equal(swk_raft_start(m->raft, 0, NULL), 0);
    apply_all(m);
}

static void assert_alone(const struct member *m)
{
    struct swk_conf_state now;

    swk_raft_conf_state(m->raft, &now);
    assert_int_equal(now.voters_count, 1);
    assert_int_equal(now.voters[0], OWN);
    assert_int_equal(now.learners_count, 0);
    assert_int_equal(now.voters_outgoing_count, 0);
}

/* -- Tests ----------------------------------------------------------------- */

static void the_others_are_removed_in_a_term_one_higher(void **state)
{
    struct f *f = *state;
    struct member m;

    write_group(f);
    struct swk_force_single_report report = force(f);
    assert_int_equal(report.term, 4);
    assert_int_equal(report.last_index, 7);
    assert_int_equal(report.last_term, 4);
    assert_int_equal(report.commit_index, 5);
    assert_int_equal(report.snapshot_index, 0);
    assert_int_equal(report.forced_index, 9);
    assert_int_equal(report.members_count, 2);
    assert_int_equal(report.members[0], 1);
    assert_int_equal(report.members[1], 3);

    start_member(f, &m);
    assert_alone(&m);
    assert_int_equal(m.state.term, 5);
    assert_int_equal(m.state.vote, OWN);
    assert_int_equal(m.terms[8], 5);
    assert_string_equal(m.contexts[8], "mark");
    assert_string_equal(m.contexts[9], "mark");
    swk_raft_free(m.raft);
}

static void
entries_not_known_to_be_committed_are_kept_and_committed(void **state)
{
    struct f *f = *state;
    struct member m;

    write_group(f);
    force(f);
    start_member(f, &m);
    assert_int_equal(m.last, 9);
    assert_int_equal(m.terms[6], 4);
    assert_int_equal(m.terms[7], 4);
    assert_int_equal(m.types[7], SWK_RAFT_ENTRY_NORMAL);
    assert_int_equal(m.state.commit, 9);
    swk_raft_free(m.raft);
}

static void the_survivor_leads_without_asking_anyone(void **state)
{
    struct f *f = *state;
    struct member m;
    struct swk_raft_status status = {.size = sizeof(status)};

    write_group(f);
    force(f);
    start_member(f, &m);
    assert_int_equal(swk_raft_deadline(m.raft), 0);
    assert_int_equal(swk_raft_expire(m.raft, 0, NULL), 0);
    const struct swk_raft_actions *a = swk_raft_take_actions(m.raft);
    assert_int_equal(a->messages_count, 0);
    assert_int_equal(swk_raft_persisted(m.raft, a->persist_ticket, NULL), 0);
    swk_raft_status(m.raft, &status);
    assert_int_equal(status.leader, OWN);
    swk_raft_free(m.raft);
}

static void a_dry_run_tells_the_same_and_writes_nothing(void **state)
{
    struct f *f = *state;
    struct swk_force_single_report dry;
    struct swk_force_single_report wet;
    struct disk *before = malloc(sizeof(*before));

    write_group(f);
    *before = *f->disk;
    f->what.dry_run = 1;
    dry = force(f);
    for (int i = 0; i < DISK_FILES; i++) {
        assert_memory_equal(before->files[i].cached, f->disk->files[i].cached,
                            DISK_FILE_SIZE);
    }
    f->what.dry_run = 0;
    wet = force(f);
    assert_memory_equal(&dry, &wet, sizeof(dry));
    free(before);
}

static void done_twice_the_second_time_does_nothing(void **state)
{
    struct f *f = *state;
    struct member m;

    write_group(f);
    force(f);
    struct swk_force_single_report again = force(f);
    assert_int_equal(again.members_count, 0);
    assert_int_equal(again.last_index, 9);
    assert_int_equal(again.forced_index, 9);
    assert_int_equal(again.commit_index, 9);
    assert_int_equal(again.generation, 1);
    start_member(f, &m);
    assert_int_equal(m.generation, 1);
    assert_int_equal(m.state.term, 5);
    assert_int_equal(m.last, 9);
    swk_raft_free(m.raft);
}

static void changes_that_may_not_be_committed_count(void **state)
{
    struct f *f = *state;
    struct member m;

    open_log(f);
    add_change(f, SWK_RAFT_ADD_VOTER, 1);
    add_change(f, SWK_RAFT_ADD_VOTER, 2);
    add_change(f, SWK_RAFT_ADD_LEARNER, 9);
    add_change(f, SWK_RAFT_REMOVE, 1);
    close_log(f, 2);
    struct swk_force_single_report report = force(f);
    assert_int_equal(report.members_count, 1);
    assert_int_equal(report.members[0], 9);
    start_member(f, &m);
    assert_alone(&m);
    swk_raft_free(m.raft);
}

static void a_joint_configuration_is_left_first(void **state)
{
    static const struct swk_raft_change changes[] = {
        {.type = SWK_RAFT_ADD_VOTER, .id = 4},
        {.type = SWK_RAFT_REMOVE, .id = 1},
        {.type = SWK_RAFT_ADD_LEARNER, .id = 3},
    };
    struct f *f = *state;
    struct member m;

    write_group(f);
    open_log(f);
    add_joint(f, changes, 3);
    close_log(f, 5);
    struct swk_force_single_report report = force(f);
    assert_int_equal(report.members_count, 2); /* 1 goes with its half */
    assert_int_equal(report.members[0], 3);
    assert_int_equal(report.members[1], 4);
    assert_int_equal(report.forced_index, 11);
    start_member(f, &m);
    assert_int_equal(m.types[9], SWK_RAFT_ENTRY_CONF_CHANGE_V2);
    assert_alone(&m);
    swk_raft_free(m.raft);
}

static void a_learner_becomes_the_voter(void **state)
{
    struct f *f = *state;
    struct member m;

    open_log(f);
    add_change(f, SWK_RAFT_ADD_VOTER, 1);
    add_change(f, SWK_RAFT_ADD_VOTER, 3);
    add_change(f, SWK_RAFT_ADD_LEARNER, 2);
    close_log(f, 3);
    assert_int_equal(force(f).members_count, 2);
    start_member(f, &m);
    assert_alone(&m);
    assert_int_equal(m.last, 6);
    swk_raft_free(m.raft);
}

static void the_members_of_a_snapshot_count(void **state)
{
    static const uint64_t voters[] = {2, 5, 7};
    static const uint64_t learners[] = {6};
    const struct swk_snapshot_meta meta = {
        .index = 40,
        .term = 3,
        .conf_state = {.voters = voters,
                       .voters_count = 3,
                       .learners = learners,
                       .learners_count = 1},
    };
    struct f *f = *state;
    struct member m;

    open_log(f);
    assert_int_equal(
        f->storage.begin_snapshot(f->storage.ctx, &meta, NULL, NULL), 0);
    assert_int_equal(f->storage.write_snapshot(
                         f->storage.ctx, (const uint8_t *)"state", 5, NULL),
                     0);
    assert_int_equal(
        f->storage.finish_snapshot(f->storage.ctx, 1, ++f->ticket, NULL), 0);
    f->last = 40;
    f->term = 3;
    add_data(f);
    close_log(f, 40);
    struct swk_force_single_report report = force(f);
    assert_int_equal(report.snapshot_index, 40);
    assert_int_equal(report.commit_index, 40);
    assert_int_equal(report.last_index, 41);
    assert_int_equal(report.members_count, 3);
    assert_int_equal(report.members[0], 5);
    assert_int_equal(report.members[1], 6);
    assert_int_equal(report.members[2], 7);
    start_member(f, &m);
    assert_alone(&m);
    swk_raft_free(m.raft);
}

static void a_generation_can_be_chosen(void **state)
{
    struct f *f = *state;
    struct member m;

    write_group(f);
    f->what.generation = 7;
    assert_int_equal(force(f).generation, 0);
    start_member(f, &m);
    assert_int_equal(m.generation, 7);
    swk_raft_free(m.raft);
}

static void an_empty_log_is_refused(void **state)
{
    assert_refused(*state, "is empty");
}

static void a_member_that_the_group_lacks_is_refused(void **state)
{
    struct f *f = *state;

    open_log(f);
    add_change(f, SWK_RAFT_ADD_VOTER, 1);
    add_change(f, SWK_RAFT_ADD_VOTER, 2);
    add_change(f, SWK_RAFT_REMOVE, 2);
    close_log(f, 3);
    assert_refused(f, "not in the group");
}

static void impossible_options_are_refused(void **state)
{
    struct f *f = *state;
    struct swk_force_single_report report = {.size = sizeof(report)};

    assert_int_equal(
        swk_file_storage_force_single(NULL, &f->what, &report, NULL),
        SWK_EINVAL);
    f->what.raft_id = 0;
    assert_int_equal(force_with(f, &report, NULL), SWK_EINVAL);
    f->what.raft_id = OWN;
    f->what.context_len = 4097;
    assert_int_equal(force_with(f, &report, NULL), SWK_EINVAL);
    f->what.context_len = 0;
    report.size = 0;
    assert_int_equal(swki_file_storage_force_single(&f->config, &f->disk->io,
                                                    &f->what, &report, NULL),
                     SWK_EINVAL);
}

static void a_log_in_use_is_looked_at_and_not_forced(void **state)
{
    struct f *f = *state;
    struct swk_force_single_report report;

    write_group(f);
    open_log(f);
    assert_int_equal(force_with(f, &report, NULL), SWK_EBUSY);
    f->what.dry_run = 1;
    assert_int_equal(force(f).members_count, 2);
    f->storage.close(f->storage.ctx);
}

/* The log is as it was, or all of it is done. */
static bool check_all_or_nothing(struct f *f)
{
    struct swk_conf_state now;
    struct member m;

    start_member(f, &m);
    bool forced = m.last == 9;
    assert_int_equal(m.generation, forced ? 1 : 0);
    if (forced) {
        assert_alone(&m);
        assert_int_equal(m.state.term, 5);
    } else {
        assert_int_equal(m.last, 7);
        assert_int_equal(m.state.term, 4);
        assert_int_equal(m.state.commit, 5);
        swk_raft_conf_state(m.raft, &now);
        assert_int_equal(now.voters_count, 3);
    }
    swk_raft_free(m.raft);
    return forced;
}

static void power_lost_at_any_call_leaves_all_or_nothing(void **state)
{
    struct f *f = *state;
    struct disk *whole = malloc(sizeof(*whole));
    int forced = 0;
    int lost = 0;

    write_group(f);
    *whole = *f->disk;
    for (int call = 0;; call++) {
        struct swk_force_single_report report;
        struct swk_error err;

        *f->disk = *whole;
        f->disk->io.ctx = f->disk;
        disk_restart(f->disk);
        f->disk->power_off_at = call;
        int rc = force_with(f, &report, &err);
        bool survived = !f->disk->off;
        disk_power_cycle(f->disk);
        bool is_forced = check_all_or_nothing(f);
        forced += is_forced;
        lost += !is_forced;
        if (rc == 0) {
            assert_true(is_forced); /* what was told is kept */
        }
        if (survived) {
            break;
        }
    }
    assert_true(forced > 0);
    assert_true(lost > 0);
    free(whole);
}

static void a_call_that_fails_leaves_all_or_nothing(void **state)
{
    static const enum disk_call kinds[] = {DISK_WRITE, DISK_SYNC,
                                           DISK_SYNC_DIR};
    struct f *f = *state;
    struct disk *whole = malloc(sizeof(*whole));
    int failures = 0;

    write_group(f);
    *whole = *f->disk;
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        for (int n = 0, rc = -1; rc != 0; n++) {
            struct swk_force_single_report report;
            struct swk_error err;

            *f->disk = *whole;
            f->disk->io.ctx = f->disk;
            disk_restart(f->disk);
            f->disk->fail_call = kinds[kind];
            f->disk->fail_at = n;
            f->disk->fail_error = -ENOSPC;
            rc = force_with(f, &report, &err);
            failures += rc != 0;
            disk_power_cycle(f->disk);
            bool is_forced = check_all_or_nothing(f);
            assert_true(is_forced || rc != 0);
        }
    }
    assert_true(failures >= 4);
    free(whole);
}

static void memory_that_fails_leaks_nothing_and_harms_nothing(void **state)
{
    struct f *f = *state;
    struct heap heap;
    int rc = SWK_ENOMEM;

    heap_init(&heap);
    write_group(f);
    for (size_t n = 1; rc != 0; n++) {
        struct swk_force_single_report report;

        f->config.alloc = &heap.alloc;
        heap_fail_at(&heap, n);
        rc = force_with(f, &report, NULL);
        assert_int_equal(rc, heap_failed(&heap) ? SWK_ENOMEM : 0);
        assert_int_equal(heap_live(&heap), 0);
        f->config.alloc = NULL;
        assert_int_equal(check_all_or_nothing(f), rc == 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_others_are_removed_in_a_term_one_higher),
        TEST(entries_not_known_to_be_committed_are_kept_and_committed),
        TEST(the_survivor_leads_without_asking_anyone),
        TEST(a_dry_run_tells_the_same_and_writes_nothing),
        TEST(done_twice_the_second_time_does_nothing),
        TEST(changes_that_may_not_be_committed_count),
        TEST(a_joint_configuration_is_left_first),
        TEST(a_learner_becomes_the_voter),
        TEST(the_members_of_a_snapshot_count),
        TEST(a_generation_can_be_chosen),
        TEST(an_empty_log_is_refused),
        TEST(a_member_that_the_group_lacks_is_refused),
        TEST(impossible_options_are_refused),
        TEST(a_log_in_use_is_looked_at_and_not_forced),
        TEST(power_lost_at_any_call_leaves_all_or_nothing),
        TEST(a_call_that_fails_leaves_all_or_nothing),
        TEST(memory_that_fails_leaks_nothing_and_harms_nothing),
    };

    return cmocka_run_group_tests_name("force", tests, NULL, NULL);
}
