/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A snapshot that is received in three streams, each of which goes on where
 * the one before broke off, ended at every call to the disk: by a loss of
 * power, by the end of the process, by a call that fails. Afterwards it is
 * received to its end, and is what was given; nothing else is left.
 */

#include "lib/cmocka_all.h"

#include <errno.h>
#include <sched.h>

#include "lib/disk.h"
#include "runtime/file/snapshot_writer.h"

enum {
    CHUNK = 512,
    LENGTH = 5 * CHUNK + 100,
    CALLS_MAX = 500,
};

enum ending {
    POWER_LOSS,
    PROCESS_END,
    FAILED_CALL,
};

static const char name[] = "snapshot-0000000000000007-0000000000000002";
static const uint8_t key[SWKI_SEAL_KEY_SIZE] = "the only key of this storage..";
static const uint64_t voters[] = {1, 2};
static const struct swk_snapshot_meta meta = {
    .index = 7,
    .term = 2,
    .conf_state = {.voters = voters, .voters_count = 2},
};

struct f {
    struct disk *disk;
    const uint8_t *key;
    struct swki_keyring ring;
    struct swki_snapshot_place at;
    struct swki_snapshot_writer writer;
    uint8_t data[LENGTH];
};

static void open_writer(struct f *f)
{
    swki_keyring_init(&f->ring, NULL, f->key, NULL);
    f->at = (struct swki_snapshot_place){.io = &f->disk->io,
                                         .dir_path = "/raft",
                                         .ring = &f->ring,
                                         .chunk_size = CHUNK};
    swki_snapshot_writer_init(&f->writer, &f->at);
    swki_snapshot_writer_recover(&f->writer, 0);
}

static void close_writer(struct f *f)
{
    swki_snapshot_writer_fini(&f->writer);
    swki_keyring_fini(&f->ring);
}

/* Gives the data up to there, from where there is some. */
static int stream(struct f *f, size_t until)
{
    uint64_t offset;
    int rc = swki_snapshot_writer_begin(&f->writer, &meta, &offset, NULL);

    for (; rc == 0 && offset < until; offset += 100) {
        size_t len = until - offset < 100 ? (size_t)(until - offset) : 100;

        rc =
            swki_snapshot_writer_write(&f->writer, f->data + offset, len, NULL);
    }
    return rc;
}

static int end_stream(struct f *f)
{
    struct swki_snapshot_job *job;
    int rc;

    do {
        sched_yield();
        rc = swki_snapshot_writer_write(&f->writer, NULL, 0, NULL);
    } while (rc == SWK_EUNAVAILABLE);
    if (rc == 0) {
        rc = swki_snapshot_writer_finish(&f->writer, &job, NULL);
    }
    if (rc == 0) {
        rc = swki_snapshot_job_wait(&f->writer, job, NULL);
        swki_snapshot_job_release(&f->writer, job);
    }
    return rc;
}

/* 0 if all of it became durable. */
static int receive(struct f *f)
{
    for (size_t until = CHUNK + 50; until < 4 * CHUNK; until += CHUNK + 80) {
        int rc = stream(f, until);

        swki_snapshot_writer_abort(&f->writer, true);
        if (rc != 0) {
            return rc;
        }
    }
    int rc = stream(f, LENGTH);
    if (rc == 0) {
        rc = end_stream(f);
    }
    swki_snapshot_writer_abort(&f->writer, true);
    return rc;
}

static void check_whole(struct f *f)
{
    const struct swki_place place = {meta.index, meta.term};
    struct swki_snapshot_file file;
    uint8_t found[LENGTH];
    size_t len;

    assert_int_equal(swki_snapshot_file_open(&f->at, name, &place, &file, NULL),
                     0);
    assert_int_equal(file.seal.number != 0, f->key != NULL);
    assert_int_equal(
        swki_snapshot_file_read(&file, 0, found, LENGTH, &len, NULL), 0);
    assert_int_equal(len, LENGTH);
    assert_memory_equal(found, f->data, LENGTH);
    swki_snapshot_file_close(&file);
}

static void end_at(struct disk *disk, enum ending ending, int call)
{
    if (ending == FAILED_CALL) {
        disk->fail_call = DISK_ANY;
        disk->fail_error = -ENOSPC;
        disk->fail_at = call;
    } else {
        disk->power_off_at = call;
    }
}

static void restart(struct disk *disk, enum ending ending)
{
    if (ending == PROCESS_END) {
        disk_restart(disk);
    } else {
        disk_power_cycle(disk);
    }
}

/* Whether the call was reached. */
static bool try_ending(const uint8_t *with_key, enum ending ending, int call,
                       uint64_t seed)
{
    struct f f = {.disk = disk_new(seed), .key = with_key};

    for (size_t i = 0; i < LENGTH; i++) {
        f.data[i] = (uint8_t)(i * 5 + i / 256);
    }
    end_at(f.disk, ending, call);
    open_writer(&f);
    int rc = receive(&f);
    close_writer(&f);
    bool reached = f.disk->calls > call;
    restart(f.disk, ending);
    open_writer(&f);
    if (rc == 0) {
        check_whole(&f);
    }
    assert_int_equal(receive(&f), 0);
    check_whole(&f);
    assert_int_equal(disk_count(f.disk, ""), 1);
    close_writer(&f);
    disk_power_cycle(f.disk);
    open_writer(&f);
    check_whole(&f);
    close_writer(&f);
    disk_free(f.disk);
    return reached;
}

static void try_everywhere(enum ending ending, uint64_t seeds)
{
    for (uint64_t seed = 0; seed < seeds; seed++) {
        const uint8_t *with_key = seed % 2 == 0 ? key : NULL;
        int call = 0;

        while (try_ending(with_key, ending, call, seed)) {
            assert_true(++call < CALLS_MAX);
        }
        assert_true(call > 30); /* the scenario is worth its name */
    }
}

static void power_loss_at_every_call_costs_no_more_than_parts(void **state)
{
    (void)state;
    try_everywhere(POWER_LOSS, 8);
}

static void process_end_at_every_call_costs_no_more_than_parts(void **state)
{
    (void)state;
    try_everywhere(PROCESS_END, 2);
}

static void every_failing_call_costs_no_more_than_parts(void **state)
{
    (void)state;
    try_everywhere(FAILED_CALL, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_loss_at_every_call_costs_no_more_than_parts),
        cmocka_unit_test(process_end_at_every_call_costs_no_more_than_parts),
        cmocka_unit_test(every_failing_call_costs_no_more_than_parts),
    };

    return cmocka_run_group_tests_name("snapshot crash", tests, NULL, NULL);
}
