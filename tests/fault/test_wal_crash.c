/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One scenario over the file storage, ended at every call to the disk: by a
 * loss of power, by the end of the process, by a call that fails. Afterwards
 * everything that was acknowledged is there, and nothing that was not asked
 * for. A loss of power undoes changes of the directory that were not synced
 * (R-DSK-7).
 */

#include "lib/cmocka_all.h"

#include <errno.h>

#include "lib/file_store.h"

enum {
    STEPS = 44,
    CALLS_MAX = 2000,
};

/* What must be on the disk after the steps that were acknowledged. */
struct expected {
    uint64_t term;
    uint64_t last;       /* of the entries acknowledged */
    uint64_t snapshot;   /* index acknowledged */
    uint64_t asked_last; /* highest last asked for, acknowledged or not */
    uint64_t replaced;   /* first index that a step under way replaces */
    uint64_t installing; /* index of a received snapshot under way; 0: none */
    uint64_t terms[FILE_STORE_ENTRIES];
};

static void note_terms(struct expected *e, uint64_t term, uint64_t first,
                       uint64_t last)
{
    for (uint64_t i = first; i <= last; i++) {
        e->terms[i] = term;
    }
}

/* A leader's snapshot takes the place of the log: one ahead of it, or one that
 * voids its last two entries. */
static int install_step(struct file_store *store, int n, struct expected *e)
{
    uint64_t index = n % 2 == 0 ? e->last + 3 : e->last - 2;

    e->installing = index;
    int rc = file_store_receive(store, index, e->term, 1);
    rc = rc == 0 ? file_store_wait(store) : rc;
    if (rc == 0) {
        e->installing = 0;
        e->snapshot = index;
        e->last = index;
        e->asked_last = index;
        e->replaced = index + 1;
    }
    return rc;
}

/* One step; 0 if it was acknowledged. Appends of several sizes over several
 * segments, entries that are replaced, hard state alone, snapshots, made and
 * received. */
static int step(struct file_store *store, int n, struct expected *e)
{
    uint64_t term = e->term;
    uint64_t first = e->last + 1;
    uint64_t last = e->last + 1 + (uint64_t)n % 4;
    int rc;

    if (n % 13 == 12) {
        return install_step(store, n, e);
    }
    if (n % 11 == 10) {
        uint64_t index = e->last - 2;

        rc = file_store_snapshot(store, index, e->terms[index]);
        rc = rc == 0 ? file_store_wait(store) : rc;
        e->snapshot = rc == 0 ? index : e->snapshot;
        return rc;
    }
    if (n % 7 == 6) {
        last = e->last; /* hard state of a new term alone */
        term++;
    } else if (n % 7 == 5 && e->last > e->snapshot + 2) {
        first = e->last - 1; /* a new leader disagrees about the last two */
        last = e->last + 1;
        term++;
    }
    e->asked_last = last;
    e->replaced = first;
    rc = file_store_append(store, term, first, last, 0);
    rc = rc == 0 ? file_store_wait(store) : rc;
    if (rc == 0) {
        note_terms(e, term, first, last);
        e->term = term;
        e->last = last;
    }
    return rc;
}

static void check(const struct file_store *store, const struct expected *e,
                  int call)
{
    const struct file_store_found *found = &store->found;
    uint64_t last = file_store_last(store);
    bool replaced = false;

    if (found->state.term < e->term || found->state.term > e->term + 1) {
        fail_msg("call %d: term %d, not %d", call, (int)found->state.term,
                 (int)e->term);
    }
    if (found->snapshot.index < e->snapshot) {
        fail_msg("call %d: snapshot lost", call);
    }
    if (e->installing != 0 && found->snapshot.index == e->installing) {
        assert_int_equal(last, e->installing); /* nothing of the old log */
        return;
    }
    for (uint64_t i = found->first; i <= last; i++) {
        uint64_t term = found->terms[i - found->first];

        if (i <= e->last && term != e->terms[i]) {
            /* Only what an unacknowledged step replaces, and then whole. */
            assert_true(i >= e->replaced && term == e->term + 1);
            replaced = true;
        }
    }
    if (last < e->last) {
        fail_msg("call %d: %d is lost, the last is %d", call, (int)e->last,
                 (int)last);
    }
    assert_true(last == e->last || last == e->asked_last);
    assert_true(!replaced || last == e->asked_last);
}

enum ending {
    POWER_LOSS,
    PROCESS_END,
    FAILED_CALL,
    NO_SPACE,
};

/* What was being installed is received again, and goes on with what there is
 * of it from before. */
static void receive_again(struct file_store *store, struct expected *e)
{
    uint64_t index = e->installing;
    struct swk_error err = {0};

    if (index <= store->found.snapshot.index) {
        return;
    }
    assert_int_equal(file_store_receive(store, index, e->term, 1), 0);
    assert_int_equal(file_store_wait(store), 0);
    file_store_close(store);
    assert_int_equal(file_store_open(store, &err), 0);
    assert_int_equal(store->found.snapshot.index, index);
    assert_int_equal(file_store_last(store), index);
}

/* Runs the scenario until it fails; returns the calls made. */
static int run(struct file_store *store, struct expected *e)
{
    if (file_store_open(store, NULL) == 0) {
        for (int n = 0; n < STEPS && step(store, n, e) == 0; n++) {
        }
    }
    file_store_close(store);
    return store->disk->calls;
}

static void end_at(enum ending ending, struct disk *disk, int call)
{
    if (ending == POWER_LOSS || ending == PROCESS_END) {
        disk->power_off_at = call;
        return;
    }
    disk->fail_call = DISK_ANY;
    disk->fail_error = ending == NO_SPACE ? -ENOSPC : -EIO;
    disk->fail_at = call;
}

static void try_ending(enum ending ending, const uint8_t *key, int call,
                       uint64_t seed, bool *out_reached)
{
    struct disk *disk = disk_new(seed);
    struct expected e = {.term = 1, .replaced = 1};
    struct file_store store;
    struct swk_error err = {0};

    file_store_init(&store, disk);
    store.config.key = key;
    end_at(ending, disk, call);
    *out_reached = run(&store, &e) > call;
    store.failures = 0;
    if (ending == PROCESS_END) {
        disk_restart(disk);
    } else {
        disk_power_cycle(disk);
    }
    if (file_store_open(&store, &err) != 0) {
        fail_msg("ending %d at call %d, seed %d: %s", (int)ending, call,
                 (int)seed, err.text);
    }
    if (e.term > 1 || e.last > 0) {
        check(&store, &e, call);
    }
    receive_again(&store, &e);
    /* And the log goes on. */
    e.term = store.found.state.term + 1;
    e.last = file_store_last(&store);
    assert_int_equal(
        file_store_append(&store, e.term, e.last + 1, e.last + 3, 0), 0);
    assert_int_equal(file_store_wait(&store), 0);
    file_store_close(&store);
    disk_power_cycle(disk);
    assert_int_equal(file_store_open(&store, &err), 0);
    assert_int_equal(file_store_last(&store), e.last + 3);
    file_store_fini(&store);
    disk_free(disk);
}

static const uint8_t seal_key[SWK_FILE_STORAGE_KEY_SIZE] = "of the log";

static void try_with(enum ending ending, const uint8_t *key, uint64_t seeds)
{
    for (uint64_t seed = 0; seed < seeds; seed++) {
        bool reached = true;
        int call = 0;

        for (; reached; call++) {
            assert_true(call < CALLS_MAX);
            try_ending(ending, key, call, seed, &reached);
        }
        assert_true(call > 100); /* the scenario is worth its name */
    }
}

static void try_everywhere(enum ending ending, uint64_t seeds)
{
    try_with(ending, NULL, seeds);
    try_with(ending, seal_key, seeds);
}

static void power_loss_at_every_call_keeps_what_was_acknowledged(void **state)
{
    (void)state;
    try_everywhere(POWER_LOSS, 4);
}

static void process_end_at_every_call_keeps_what_was_acknowledged(void **state)
{
    (void)state;
    try_everywhere(PROCESS_END, 1);
}

static void every_failing_call_keeps_what_was_acknowledged(void **state)
{
    (void)state;
    try_everywhere(FAILED_CALL, 2);
}

static void no_space_at_every_call_keeps_what_was_acknowledged(void **state)
{
    (void)state;
    try_everywhere(NO_SPACE, 1);
}

/* A second loss of power while the first one's traces are being repaired. */
static void power_loss_during_repair_keeps_what_was_acknowledged(void **state)
{
    (void)state;
    for (int first = 60; first < 120; first += 4) {
        for (int second = 0; second < 20; second++) {
            struct disk *disk = disk_new((uint64_t)(first * 100 + second));
            struct expected e = {.term = 1, .replaced = 1};
            struct file_store store;
            struct swk_error err = {0};

            file_store_init(&store, disk);
            store.config.key = second % 2 == 0 ? seal_key : NULL;
            end_at(POWER_LOSS, disk, first);
            run(&store, &e);
            disk_power_cycle(disk);
            end_at(POWER_LOSS, disk, second);
            (void)file_store_open(&store, NULL);
            file_store_close(&store);
            disk_power_cycle(disk);
            if (file_store_open(&store, &err) != 0) {
                fail_msg("%d, %d: %s", first, second, err.text);
            }
            check(&store, &e, first);
            file_store_fini(&store);
            disk_free(disk);
        }
    }
}

/* Steps, during which the key changes and a snapshot ends the old one. */
static void run_rotation(struct file_store *store, const uint8_t *next)
{
    uint64_t last = 0;

    if (file_store_open(store, NULL) != 0) {
        return;
    }
    for (int n = 0; n < 24; n++) {
        if (n == 12 &&
            swk_file_storage_set_key(&store->storage, next, NULL) != 0) {
            break;
        }
        int rc = n == 18 ? file_store_snapshot(store, last, 1)
                         : file_store_append(store, 1, last + 1, last + 3, 0);
        if (rc != 0 || file_store_wait(store) != 0) {
            break;
        }
        last += n == 18 ? 0 : 3;
    }
    file_store_close(store);
}

/* Whenever power is lost, both keys open what is there, and the newer one
 * alone once the snapshot is there. */
static void power_loss_while_the_key_changes_loses_nothing(void **state)
{
    static const uint8_t next[SWK_FILE_STORAGE_KEY_SIZE] = "the next one";
    bool reached = true;

    (void)state;
    for (int call = 0; reached; call++) {
        struct disk *disk = disk_new((uint64_t)call);
        struct file_store store;
        struct swk_error err = {0};

        file_store_init(&store, disk);
        store.config.key = seal_key;
        end_at(POWER_LOSS, disk, call);
        run_rotation(&store, next);
        reached = disk->off;
        uint64_t last = store.durable == 0 ? 0 : 3 * store.durable;
        last -= store.durable > 18 ? 3 : 0; /* the snapshot's ticket */
        disk_power_cycle(disk);
        store.config.key = next;
        store.config.old_key = seal_key;
        if (file_store_open(&store, &err) != 0) {
            fail_msg("call %d: %s", call, err.text);
        }
        assert_true(file_store_last(&store) >= last);
        if (!swk_file_storage_uses_old_key(&store.storage, NULL)) {
            file_store_close(&store);
            store.config.old_key = NULL;
            assert_int_equal(file_store_open(&store, &err), 0);
            assert_true(file_store_last(&store) >= last);
        }
        file_store_fini(&store);
        disk_free(disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_loss_at_every_call_keeps_what_was_acknowledged),
        cmocka_unit_test(process_end_at_every_call_keeps_what_was_acknowledged),
        cmocka_unit_test(every_failing_call_keeps_what_was_acknowledged),
        cmocka_unit_test(no_space_at_every_call_keeps_what_was_acknowledged),
        cmocka_unit_test(power_loss_while_the_key_changes_loses_nothing),
        cmocka_unit_test(power_loss_during_repair_keeps_what_was_acknowledged),
    };

    return cmocka_run_group_tests_name("wal crash", tests, NULL, NULL);
}
