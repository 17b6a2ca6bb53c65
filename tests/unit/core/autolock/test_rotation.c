/* SPDX-License-Identifier: Apache-2.0 */

/* The change of a log's key: every order of events, and a stop at every step.
 * The disk is a model: which key seals what, and what the key file says. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "base/rng.h"
#include "core/autolock/rotation.h"

enum {
    ENTRIES_MAX = 64,
    OLD = 1, /* numbers stand for keys */
};

/* What is on the disk. */
struct disk {
    struct swki_data_keys file; /* the first byte of a key is its number */
    uint8_t entries[ENTRIES_MAX]; /* key of the entry; 0: dropped */
    uint64_t last;
    uint64_t snapshot; /* index; 0 for none */
    uint8_t snapshot_key;
};

struct f {
    struct swki_rng rng;
    struct swk_entropy entropy;
    struct disk disk;
    struct swki_rotation rotation;
    uint8_t writing; /* the key in use */
    bool broken; /* snapshots fail */
    uint64_t running; /* index of a snapshot being taken */
    uint8_t running_key;
};

static int fill(void *ctx, void *out, size_t len)
{
    struct f *f = ctx;

    memset(out, 0, len);
    *(uint8_t *)out = (uint8_t)(f->disk.file.current[0] + 1);
    return 0;
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    f->entropy = (struct swk_entropy){
        .size = sizeof(f->entropy), .ctx = f, .fill = fill};
    f->disk.file.has_current = true;
    f->disk.file.current[0] = OLD;
    f->writing = OLD;
    swki_rotation_init(&f->rotation);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void append(struct f *f)
{
    f->disk.last++;
    assert_true(f->disk.last < ENTRIES_MAX);
    f->disk.entries[f->disk.last] = f->writing;
}

static void apply_all(struct f *f)
{
    swki_rotation_applied(&f->rotation, f->disk.last);
}

/* Whether a key reads all that is there. */
static bool reads(const struct disk *disk, uint8_t key)
{
    if (disk->snapshot != 0 && disk->snapshot_key != key) {
        return false;
    }
    for (uint64_t i = disk->snapshot + 1; i <= disk->last; i++) {
        if (disk->entries[i] != key) {
            return false;
        }
    }
    return true;
}

static void begin_snapshot(struct f *f, uint64_t index)
{
    f->running = index;
    f->running_key = f->writing;
    swki_rotation_snapshot_begun(&f->rotation);
}

static void end_snapshot(struct f *f)
{
    if (f->running == 0) {
        return;
    }
    if (!f->broken && f->running > f->disk.snapshot) {
        f->disk.snapshot = f->running;
        f->disk.snapshot_key = f->running_key;
    }
    f->running = 0;
    swki_rotation_snapshot_ended(&f->rotation);
    if (reads(&f->disk, f->writing)) {
        swki_rotation_cleared(&f->rotation);
    }
}

/* One step, as the manager does it. */
static enum swki_rotation_step step(struct f *f)
{
    enum swki_rotation_step what =
        swki_rotation_next(&f->rotation, &f->disk.file);
    struct swki_data_keys next;

    switch (what) {
    case SWKI_ROTATION_REST:
        break;
    case SWKI_ROTATION_PREPARE:
        assert_int_equal(swki_data_keys_prepare(&f->disk.file, &f->entropy,
                                                &next, NULL),
                         1);
        f->disk.file = next;
        break;
    case SWKI_ROTATION_SWITCH:
        f->writing = f->disk.file.pending[0];
        swki_rotation_switched(&f->rotation, f->disk.last,
                               f->running > f->disk.snapshot
                                   ? f->running
                                   : f->disk.snapshot);
        break;
    case SWKI_ROTATION_SNAPSHOT:
        begin_snapshot(f, f->disk.last);
        break;
    case SWKI_ROTATION_PROMOTE:
        assert_int_equal(swki_data_keys_finish(&f->disk.file, &next), 1);
        f->disk.file = next;
        assert_true(reads(&f->disk, f->disk.file.current[0]));
        swki_rotation_promoted(&f->rotation);
        break;
    }
    return what;
}

/* The process ends, and comes back. */
static void restart(struct f *f)
{
    const struct swki_data_keys *file = &f->disk.file;
    bool used_old;

    f->running = 0;
    swki_rotation_init(&f->rotation);
    if (!file->has_pending) {
        f->writing = file->current[0];
        assert_true(reads(&f->disk, f->writing));
        return;
    }
    f->writing = file->pending[0];
    used_old = !reads(&f->disk, f->writing);
    swki_rotation_restarted(&f->rotation, used_old, f->disk.last,
                            f->disk.snapshot);
}

static void settle(struct f *f)
{
    for (int i = 0; i < 20; i++) {
        apply_all(f);
        step(f);
        end_snapshot(f);
        append(f);
    }
}

static void without_a_wish_nothing_is_done(void **state)
{
    struct f *f = *state;

    append(f);
    apply_all(f);
    assert_int_equal(step(f), SWKI_ROTATION_REST);
}

static void the_steps_follow_each_other(void **state)
{
    struct f *f = *state;

    append(f);
    append(f);
    f->disk.file.needs_rotation = true;
    assert_int_equal(step(f), SWKI_ROTATION_PREPARE);
    assert_false(f->disk.file.needs_rotation);
    assert_int_equal(step(f), SWKI_ROTATION_SWITCH);
    assert_int_equal(step(f), SWKI_ROTATION_REST); /* not applied yet */
    swki_rotation_applied(&f->rotation, 1);
    assert_int_equal(step(f), SWKI_ROTATION_REST);
    swki_rotation_applied(&f->rotation, 2);
    assert_int_equal(step(f), SWKI_ROTATION_SNAPSHOT);
    assert_int_equal(step(f), SWKI_ROTATION_REST); /* it is being written */
    end_snapshot(f);
    assert_int_equal(step(f), SWKI_ROTATION_PROMOTE);
    assert_int_equal(step(f), SWKI_ROTATION_REST);
    assert_int_equal(f->disk.file.current[0], OLD + 1);
    assert_false(swki_data_keys_need_rotation(&f->disk.file));
}

static void a_snapshot_that_runs_is_let_finish_and_not_enough(void **state)
{
    struct f *f = *state;

    append(f);
    apply_all(f);
    begin_snapshot(f, 1);
    f->disk.file.needs_rotation = true;
    assert_int_equal(step(f), SWKI_ROTATION_PREPARE);
    assert_int_equal(step(f), SWKI_ROTATION_REST);
    end_snapshot(f); /* under the old key */
    assert_int_equal(step(f), SWKI_ROTATION_SWITCH);
    assert_int_equal(step(f), SWKI_ROTATION_REST);
    append(f);
    apply_all(f);
    assert_int_equal(step(f), SWKI_ROTATION_SNAPSHOT);
    end_snapshot(f);
    assert_int_equal(step(f), SWKI_ROTATION_PROMOTE);
}

static void two_wishes_during_a_rotation_are_one_more(void **state)
{
    struct f *f = *state;

    append(f);
    f->disk.file.needs_rotation = true;
    step(f);
    step(f);
    f->disk.file.needs_rotation = true;
    f->disk.file.needs_rotation = true;
    settle(f);
    assert_int_equal(f->disk.file.current[0], OLD + 2);
    assert_false(swki_data_keys_need_rotation(&f->disk.file));
}

static void with_broken_snapshots_it_waits_and_loses_nothing(void **state)
{
    struct f *f = *state;

    append(f);
    f->broken = true;
    f->disk.file.needs_rotation = true;
    settle(f);
    assert_int_equal(f->disk.file.current[0], OLD);
    assert_true(f->disk.file.has_pending);
    restart(f);
    settle(f);
    assert_int_equal(f->disk.file.current[0], OLD);
    f->broken = false;
    settle(f);
    assert_int_equal(f->disk.file.current[0], OLD + 1);
    assert_true(reads(&f->disk, OLD + 1));
}

static void a_restart_at_any_step_recovers(void **state)
{
    struct f *f = *state;
    struct disk start;

    append(f);
    append(f);
    f->disk.file.needs_rotation = true;
    start = f->disk;
    for (int steps = 0; steps < 12; steps++) {
        f->disk = start;
        restart(f);
        for (int i = 0; i < steps; i++) {
            switch (i % 3) {
            case 0:
                step(f);
                break;
            case 1:
                append(f);
                apply_all(f);
                break;
            case 2:
                end_snapshot(f);
                break;
            default:
                break;
            }
        }
        restart(f);
        settle(f);
        assert_int_equal(f->disk.file.current[0], OLD + 1);
        assert_false(swki_data_keys_need_rotation(&f->disk.file));
        assert_true(reads(&f->disk, OLD + 1));
    }
}

static void no_order_of_events_loses_the_log(void **state)
{
    struct f *f = *state;
    struct disk start = f->disk;

    swki_rng_init(&f->rng, 5);
    for (int run = 0; run < 500; run++) {
        f->disk = start;
        restart(f);
        for (int i = 0; i < 30; i++) {
            switch (swki_rng_below(&f->rng, 8)) {
            case 0:
                append(f);
                break;
            case 1:
                apply_all(f);
                break;
            case 2:
                if (f->running == 0 && f->rotation.applied > f->disk.snapshot) {
                    begin_snapshot(f, f->rotation.applied);
                }
                break;
            case 3:
                end_snapshot(f);
                break;
            case 4:
                f->disk.file.needs_rotation |=
                    swki_rng_below(&f->rng, 4) == 0;
                break;
            case 5:
                if (swki_rng_below(&f->rng, 4) == 0) {
                    restart(f);
                }
                break;
            default:
                step(f);
                break;
            }
        }
        restart(f);
        settle(f);
        assert_true(reads(&f->disk, f->disk.file.current[0]));
        assert_false(swki_data_keys_need_rotation(&f->disk.file));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_wish_nothing_is_done),
        TEST(the_steps_follow_each_other),
        TEST(a_snapshot_that_runs_is_let_finish_and_not_enough),
        TEST(two_wishes_during_a_rotation_are_one_more),
        TEST(with_broken_snapshots_it_waits_and_loses_nothing),
        TEST(a_restart_at_any_step_recovers),
        TEST(no_order_of_events_loses_the_log),
    };

    return cmocka_run_group_tests_name("rotation", tests, NULL, NULL);
}
