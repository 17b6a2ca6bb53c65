/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshots on the disk: chunks, keys, and what is gone on with. */

#include "lib/cmocka_all.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "lib/disk.h"
#include "runtime/file/snapshot_reader.h"
#include "runtime/file/snapshot_writer.h"

enum {
    CHUNK = 512,
    LENGTH = 3 * CHUNK + 100,
    SIZE = SWKI_SNAPSHOT_HEAD_SIZE + 44 +
           3 * (CHUNK + SWKI_SNAPSHOT_CHUNK_EXTRA) + 100 +
           SWKI_SNAPSHOT_CHUNK_EXTRA,
};

static const char name[] = "snapshot-0000000000000007-0000000000000002";
static const struct swki_place place = {7, 2};
static const uint64_t voters[] = {1, 2};
static const uint64_t learners[] = {9};
static const struct swk_snapshot_meta meta = {
    .index = 7,
    .term = 2,
    .conf_state = {.voters = voters,
                   .voters_count = 2,
                   .learners = learners,
                   .learners_count = 1},
};

struct f {
    struct disk *disk;
    struct swki_keyring ring;
    struct swki_snapshot_place at;
    struct swki_snapshot_writer writer;
    uint8_t data[LENGTH];
};

static const uint8_t key_a[SWKI_SEAL_KEY_SIZE] =
    "the first key of this storage.";
static const uint8_t key_b[SWKI_SEAL_KEY_SIZE] =
    "another one, which comes later";

static void open_with(struct f *f, const uint8_t *key, const uint8_t *old_key)
{
    swki_keyring_init(&f->ring, NULL, key, old_key);
    f->at = (struct swki_snapshot_place){.io = &f->disk->io,
                                         .dir_path = "/raft",
                                         .ring = &f->ring,
                                         .chunk_size = CHUNK};
    swki_snapshot_writer_init(&f->writer, &f->at);
    swki_snapshot_writer_recover(&f->writer, 0);
}

static void close_all(struct f *f)
{
    swki_snapshot_writer_fini(&f->writer);
    swki_keyring_fini(&f->ring);
}

static int set_up_with(void **state, const uint8_t *key)
{
    struct f *f = calloc(1, sizeof(*f));

    for (size_t i = 0; i < LENGTH; i++) {
        f->data[i] = (uint8_t)(i * 7 + i / 256);
    }
    f->disk = disk_new(3);
    open_with(f, key, NULL);
    *state = f;
    return 0;
}

static int set_up_sealed(void **state)
{
    return set_up_with(state, key_a);
}

static int set_up_plain(void **state)
{
    return set_up_with(state, NULL);
}

static int tear_down(void **state)
{
    struct f *f = *state;

    close_all(f);
    disk_free(f->disk);
    free(f);
    return 0;
}

static void reopen(struct f *f, const uint8_t *key, const uint8_t *old_key)
{
    close_all(f);
    disk_restart(f->disk);
    open_with(f, key, old_key);
}

static void begin(struct f *f)
{
    assert_int_equal(swki_snapshot_writer_begin(&f->writer, &meta, NULL, NULL),
                     0);
}

/* Begins one that can be gone on with; how much of it is there. */
static uint64_t begin_part(struct f *f, const struct swk_snapshot_meta *of)
{
    uint64_t offset = UINT64_MAX;

    assert_int_equal(swki_snapshot_writer_begin(&f->writer, of, &offset, NULL),
                     0);
    return offset;
}

/* Gives the data from one offset up to another, in uneven pieces. */
static void give(struct f *f, uint64_t from, uint64_t to)
{
    while (from < to) {
        uint64_t len = to - from < 211 ? to - from : 211;

        assert_int_equal(swki_snapshot_writer_write(&f->writer, f->data + from,
                                                    (size_t)len, NULL),
                         0);
        from += len;
    }
}

/* Says that all was given, and waits for the outcome. */
static int end_parts(struct f *f)
{
    int rc;

    do {
        sched_yield();
        rc = swki_snapshot_writer_write(&f->writer, NULL, 0, NULL);
    } while (rc == SWK_EUNAVAILABLE);
    return rc;
}

static int finish(struct f *f)
{
    struct swki_snapshot_job *job;
    int rc = swki_snapshot_writer_finish(&f->writer, &job, NULL);

    if (rc == 0) {
        rc = swki_snapshot_job_wait(&f->writer, job, NULL);
        swki_snapshot_job_release(&f->writer, job);
    }
    return rc;
}

static void save(struct f *f)
{
    begin(f);
    give(f, 0, LENGTH);
    assert_int_equal(end_parts(f), 0);
    assert_int_equal(finish(f), 0);
}

static int read_at(struct f *f, uint64_t offset, uint8_t *buf, size_t size,
                   size_t *out_len)
{
    struct swki_snapshot_file file;
    int rc = swki_snapshot_file_open(&f->at, name, &place, &file, NULL);

    if (rc == 0) {
        rc = swki_snapshot_file_read(&file, offset, buf, size, out_len, NULL);
        swki_snapshot_file_close(&file);
    }
    return rc;
}

/* Reads the whole; 0 if it is what was given. */
static int read_whole(struct f *f)
{
    uint8_t found[LENGTH + 1];
    size_t len = 0;
    int rc = read_at(f, 0, found, sizeof(found), &len);

    if (rc == 0) {
        assert_int_equal(len, LENGTH);
        assert_memory_equal(found, f->data, LENGTH);
    }
    return rc;
}

static void what_was_given_in_parts_is_read_from_anywhere(void **state)
{
    struct f *f = *state;
    uint8_t piece[700];
    size_t len;

    save(f);
    assert_int_equal(disk_find(f->disk, name)->cached_size, SIZE);
    assert_int_equal(disk_count(f->disk, ""), 1);
    assert_int_equal(read_whole(f), 0);
    for (uint64_t at = 0; at < LENGTH + 200; at += 53) {
        size_t expected = at >= LENGTH                  ? 0
                          : LENGTH - at < sizeof(piece) ? LENGTH - at
                                                        : sizeof(piece);

        assert_int_equal(read_at(f, at, piece, sizeof(piece), &len), 0);
        assert_int_equal(len, expected);
        assert_memory_equal(piece, f->data + (at < LENGTH ? at : 0), len);
    }
    disk_power_cycle(f->disk);
    assert_int_equal(read_whole(f), 0);
}

static void what_is_sealed_cannot_be_read(void **state)
{
    struct f *f = *state;
    const struct disk_file *file;

    memset(f->data, 'x', LENGTH);
    save(f);
    file = disk_find(f->disk, name);
    for (size_t i = 0; i + 8 < SIZE; i++) {
        assert_memory_not_equal(file->cached + i, "xxxxxxxx", 8);
    }
}

static void every_flipped_bit_is_noticed(void **state)
{
    struct f *f = *state;
    struct disk_file *file;

    save(f);
    file = disk_find(f->disk, name);
    for (size_t bit = 0; bit < SIZE * 8; bit++) {
        file->cached[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int rc = read_whole(f);

        if (rc != SWK_ECORRUPT && rc != SWK_ENOTSUP) { /* of the version */
            fail_msg("bit %zu: %d", bit, rc);
        }
        file->cached[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(read_whole(f), 0);
}

static void a_bit_flipped_in_an_empty_last_chunk_is_noticed(void **state)
{
    struct f *f = *state;
    uint8_t found[CHUNK];
    size_t len;
    struct disk_file *file;

    begin(f);
    give(f, 0, CHUNK);
    assert_int_equal(end_parts(f), 0);
    assert_int_equal(finish(f), 0);
    file = disk_find(f->disk, name);
    assert_int_equal(read_at(f, 0, found, CHUNK, &len), 0);
    file->cached[file->cached_size - 14] ^= 1;
    assert_int_equal(read_at(f, 0, found, CHUNK, &len), SWK_ECORRUPT);
}

static void every_truncation_is_noticed(void **state)
{
    struct f *f = *state;
    struct disk_file *file;

    save(f);
    file = disk_find(f->disk, name);
    for (uint64_t size = 0; size < SIZE; size++) {
        file->cached_size = size;
        assert_int_equal(read_whole(f), SWK_ECORRUPT);
    }
    file->cached_size = SIZE + 1;
    assert_int_equal(read_whole(f), SWK_ECORRUPT);
}

static uint8_t *chunk(struct disk_file *file, size_t number)
{
    return file->cached + SWKI_SNAPSHOT_HEAD_SIZE + 44 +
           number * (CHUNK + SWKI_SNAPSHOT_CHUNK_EXTRA);
}

static void chunks_that_change_places_are_noticed(void **state)
{
    struct f *f = *state;
    size_t size = CHUNK + SWKI_SNAPSHOT_CHUNK_EXTRA;
    uint8_t first[CHUNK + SWKI_SNAPSHOT_CHUNK_EXTRA];
    struct disk_file *file;

    save(f);
    file = disk_find(f->disk, name);
    memcpy(first, chunk(file, 0), size);
    memcpy(chunk(file, 0), chunk(file, 1), size);
    memcpy(chunk(file, 1), first, size);
    assert_int_equal(read_whole(f), SWK_ECORRUPT);
}

/* Of the same place, and the same data. */
static void a_chunk_of_another_file_is_noticed(void **state)
{
    struct f *f = *state;
    struct disk_file *earlier = malloc(sizeof(*earlier));

    save(f);
    *earlier = *disk_find(f->disk, name);
    save(f);
    assert_int_equal(read_whole(f), 0);
    memcpy(chunk(disk_find(f->disk, name), 1), chunk(earlier, 1),
           CHUNK + SWKI_SNAPSHOT_CHUNK_EXTRA);
    assert_int_equal(read_whole(f), SWK_ECORRUPT);
    free(earlier);
}

static void a_file_under_another_name_is_noticed(void **state)
{
    struct f *f = *state;
    struct swki_snapshot_file file;
    const struct swki_place other = {8, 2};

    save(f);
    assert_int_equal(swki_snapshot_file_open(&f->at, name, &other, &file, NULL),
                     SWK_ECORRUPT);
}

static void the_key_before_still_opens_what_it_sealed(void **state)
{
    struct f *f = *state;
    struct swk_error err;
    struct swki_snapshot_file file;

    save(f);
    assert_true(swki_keyring_add(&f->ring, key_b));
    assert_int_equal(read_whole(f), 0);
    reopen(f, key_b, key_a);
    assert_int_equal(read_whole(f), 0);
    reopen(f, key_b, NULL);
    assert_int_equal(swki_snapshot_file_open(&f->at, name, &place, &file, &err),
                     SWK_EDENIED);
    assert_non_null(strstr(err.text, "a key that was not given"));
    reopen(f, NULL, NULL);
    assert_int_equal(read_whole(f), SWK_EDENIED);
}

static void what_is_not_sealed_is_refused_by_who_has_a_key(void **state)
{
    struct f *f = *state;

    save(f);
    assert_int_equal(read_whole(f), 0);
    reopen(f, key_a, NULL);
    assert_int_equal(read_whole(f), SWK_EDENIED);
    f->at.accept_unsealed = true;
    assert_int_equal(read_whole(f), 0);
}

static void a_key_that_changes_ends_the_snapshot_that_is_written(void **state)
{
    struct f *f = *state;

    begin(f);
    give(f, 0, CHUNK);
    assert_true(swki_keyring_add(&f->ring, key_b));
    assert_int_equal(swki_snapshot_writer_write(&f->writer, f->data, 1, NULL),
                     SWK_EPRECONDITION);
    assert_int_equal(finish(f), SWK_EPRECONDITION);
    swki_snapshot_writer_abort(&f->writer, false);
    save(f);
    assert_int_equal(read_whole(f), 0);
}

static void what_was_kept_under_another_key_is_begun_anew(void **state)
{
    struct f *f = *state;

    assert_int_equal(begin_part(f, &meta), 0);
    give(f, 0, 2 * CHUNK);
    swki_snapshot_writer_abort(&f->writer, true);
    assert_true(swki_keyring_add(&f->ring, key_b));
    assert_int_equal(begin_part(f, &meta), 0);
    give(f, 0, LENGTH);
    assert_int_equal(end_parts(f), 0);
    assert_int_equal(finish(f), 0);
    assert_int_equal(read_whole(f), 0);
}

static void what_was_kept_is_gone_on_with(void **state)
{
    struct f *f = *state;
    uint64_t offset = 0;

    /* In two breaks, each after a chunk and a bit. */
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(begin_part(f, &meta), offset);
        give(f, offset, offset + CHUNK + 100);
        swki_snapshot_writer_abort(&f->writer, true);
        offset += CHUNK;
    }
    assert_int_equal(begin_part(f, &meta), offset);
    give(f, offset, LENGTH);
    assert_int_equal(end_parts(f), 0);
    assert_int_equal(finish(f), 0);
    assert_int_equal(read_whole(f), 0);
    assert_int_equal(disk_count(f->disk, ""), 1);
}

static void what_was_kept_is_gone_on_with_after_a_restart(void **state)
{
    struct f *f = *state;
    const uint8_t *key = f->ring.numbers[0] != 0 ? key_a : NULL;

    assert_int_equal(begin_part(f, &meta), 0);
    give(f, 0, 2 * CHUNK + 300);
    reopen(f, key, NULL);
    assert_int_equal(begin_part(f, &meta), 2 * CHUNK);
    swki_snapshot_writer_abort(&f->writer, true);
    reopen(f, key, NULL);
    assert_int_equal(begin_part(f, &meta), 2 * CHUNK);
    give(f, 2 * CHUNK, LENGTH);
    assert_int_equal(end_parts(f), 0);
    assert_int_equal(finish(f), 0);
    assert_int_equal(read_whole(f), 0);
}

static void only_good_chunks_are_gone_on_with(void **state)
{
    struct f *f = *state;
    const uint8_t *key = f->ring.numbers[0] != 0 ? key_a : NULL;

    assert_int_equal(begin_part(f, &meta), 0);
    give(f, 0, LENGTH);
    close_all(f);
    chunk(disk_find(f->disk, swki_snapshot_part), 1)[70] ^= 1;
    open_with(f, key, NULL);
    assert_int_equal(begin_part(f, &meta), CHUNK);
    give(f, CHUNK, LENGTH);
    assert_int_equal(end_parts(f), 0);
    assert_int_equal(finish(f), 0);
    assert_int_equal(read_whole(f), 0);
}

static void what_was_kept_of_another_snapshot_is_begun_anew(void **state)
{
    static const uint64_t others[] = {1, 3};
    struct f *f = *state;
    struct swk_snapshot_meta cases[3] = {meta, meta, meta};

    cases[0].index = 8;
    cases[1].term = 3;
    cases[2].conf_state.voters = others;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(begin_part(f, &meta), 0);
        give(f, 0, LENGTH);
        swki_snapshot_writer_abort(&f->writer, true);
        assert_int_equal(begin_part(f, &cases[i]), 0);
        swki_snapshot_writer_abort(&f->writer, false);
    }
    assert_int_equal(begin_part(f, &meta), 0);
}

/* One of this log needs no parts, and leaves those of a received one alone,
 * unless it makes them useless. */
static void what_is_kept_outlives_snapshots_before_it(void **state)
{
    struct f *f = *state;
    struct swk_snapshot_meta earlier = meta;

    assert_int_equal(begin_part(f, &meta), 0);
    give(f, 0, LENGTH);
    swki_snapshot_writer_abort(&f->writer, true);
    earlier.index = 6;
    assert_int_equal(
        swki_snapshot_writer_begin(&f->writer, &earlier, NULL, NULL), 0);
    give(f, 0, 10);
    assert_int_equal(end_parts(f), 0);
    assert_int_equal(finish(f), 0);
    assert_int_equal(begin_part(f, &meta), 3 * CHUNK);
    swki_snapshot_writer_abort(&f->writer, true);
    save(f);
    assert_int_equal(disk_count(f->disk, "snapshot.part"), 0);
    assert_int_equal(begin_part(f, &meta), 0);
}

/* Nothing goes on with it, and its key is about to be forgotten. */
static void what_is_kept_under_another_key_goes_with_the_next(void **state)
{
    struct f *f = *state;
    struct swk_snapshot_meta earlier = meta;

    assert_int_equal(begin_part(f, &meta), 0);
    give(f, 0, LENGTH);
    swki_snapshot_writer_abort(&f->writer, true);
    assert_int_equal(begin_part(f, &meta), 3 * CHUNK);
    assert_int_equal(swki_snapshot_writer_found(&f->writer, &place), 3 * CHUNK);
    swki_snapshot_writer_abort(&f->writer, true); /* it is on the disk */
    assert_true(swki_keyring_add(&f->ring, key_b));
    earlier.index = 6;
    assert_int_equal(
        swki_snapshot_writer_begin(&f->writer, &earlier, NULL, NULL), 0);
    give(f, 0, 10);
    assert_int_equal(end_parts(f), 0);
    assert_int_equal(finish(f), 0);
    assert_int_equal(disk_count(f->disk, "snapshot.part"), 0);
    assert_int_equal(begin_part(f, &meta), 0);
}

static void what_is_left_is_removed_when_it_is_opened(void **state)
{
    struct f *f = *state;

    begin(f);
    give(f, 0, LENGTH);
    close_all(f);
    assert_int_equal(disk_count(f->disk, ""), 0);
    f->disk->io.create(f->disk, 0, swki_snapshot_temporary);
    f->disk->io.create(f->disk, 0, swki_snapshot_part);
    open_with(f, NULL, NULL);
    assert_int_equal(disk_count(f->disk, ""), 0);
    assert_int_equal(begin_part(f, &meta), 0);
    give(f, 0, LENGTH);
    close_all(f);
    assert_int_equal(disk_count(f->disk, ""), 1);
    swki_keyring_init(&f->ring, NULL, NULL, NULL);
    swki_snapshot_writer_init(&f->writer, &f->at);
    swki_snapshot_writer_recover(&f->writer, 7); /* the log is beyond it */
    assert_int_equal(disk_count(f->disk, ""), 0);
}

static void parts_that_are_given_up_leave_nothing(void **state)
{
    struct f *f = *state;

    begin(f);
    give(f, 0, LENGTH);
    swki_snapshot_writer_abort(&f->writer, true);
    begin(f);
    give(f, 0, LENGTH);
    assert_int_equal(end_parts(f), 0);
    swki_snapshot_writer_abort(&f->writer, false);
    assert_int_equal(begin_part(f, &meta), 0);
    swki_snapshot_writer_abort(&f->writer, true);
    close_all(f);
    open_with(f, key_a, NULL);
    assert_int_equal(disk_count(f->disk, ""), 0);
}

static void calls_out_of_order_are_refused(void **state)
{
    struct f *f = *state;

    assert_int_equal(swki_snapshot_writer_write(&f->writer, f->data, 1, NULL),
                     SWK_EPRECONDITION);
    assert_int_equal(finish(f), SWK_EPRECONDITION);
    begin(f);
    assert_int_equal(swki_snapshot_writer_begin(&f->writer, &meta, NULL, NULL),
                     SWK_EBUSY);
    assert_int_equal(end_parts(f), 0);
    assert_int_equal(swki_snapshot_writer_write(&f->writer, f->data, 1, NULL),
                     SWK_EPRECONDITION);
}

static void one_without_data_is_kept_too(void **state)
{
    struct f *f = *state;
    uint8_t byte;
    size_t len = 1;

    begin(f);
    assert_int_equal(end_parts(f), 0);
    assert_int_equal(finish(f), 0);
    assert_int_equal(read_at(f, 0, &byte, 1, &len), 0);
    assert_int_equal(len, 0);
}

/* Any failing call ends the snapshot alone, and the next one is good. */
static void every_failing_call_is_told_and_ends_the_snapshot(void **state)
{
    struct f *f = *state;
    int rc = -1;

    for (int n = 0; rc != 0; n++) {
        f->disk->fail_call = DISK_ANY;
        f->disk->fail_error = -ENOSPC;
        f->disk->fail_at = n;
        begin(f);
        rc = swki_snapshot_writer_write(&f->writer, f->data, LENGTH, NULL);
        rc = rc == 0 ? end_parts(f) : rc;
        swki_snapshot_writer_abort(&f->writer, false);
        assert_true(rc == 0 || rc == SWK_EIO);
        close_all(f);
        assert_true(rc != 0 || n > 10);
        disk_restart(f->disk);
        open_with(f, key_a, NULL);
        assert_int_equal(disk_count(f->disk, "snapshot."), 0);
        save(f);
        assert_int_equal(read_whole(f), 0);
        f->disk->io.remove(f->disk, 0, name);
    }
}

#define SEALED(function)                                                       \
    cmocka_unit_test_setup_teardown(function, set_up_sealed, tear_down)
#define PLAIN(function)                                                        \
    {                                                                          \
#function " without a key", function, set_up_plain, tear_down, NULL    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEALED(what_was_given_in_parts_is_read_from_anywhere),
        PLAIN(what_was_given_in_parts_is_read_from_anywhere),
        SEALED(what_is_sealed_cannot_be_read),
        SEALED(every_flipped_bit_is_noticed),
        PLAIN(every_flipped_bit_is_noticed),
        SEALED(a_bit_flipped_in_an_empty_last_chunk_is_noticed),
        PLAIN(a_bit_flipped_in_an_empty_last_chunk_is_noticed),
        SEALED(every_truncation_is_noticed),
        PLAIN(every_truncation_is_noticed),
        SEALED(chunks_that_change_places_are_noticed),
        PLAIN(chunks_that_change_places_are_noticed),
        SEALED(a_chunk_of_another_file_is_noticed),
        PLAIN(a_chunk_of_another_file_is_noticed),
        SEALED(a_file_under_another_name_is_noticed),
        SEALED(the_key_before_still_opens_what_it_sealed),
        PLAIN(what_is_not_sealed_is_refused_by_who_has_a_key),
        SEALED(a_key_that_changes_ends_the_snapshot_that_is_written),
        SEALED(what_was_kept_under_another_key_is_begun_anew),
        SEALED(what_was_kept_is_gone_on_with),
        PLAIN(what_was_kept_is_gone_on_with),
        SEALED(what_was_kept_is_gone_on_with_after_a_restart),
        PLAIN(what_was_kept_is_gone_on_with_after_a_restart),
        SEALED(only_good_chunks_are_gone_on_with),
        PLAIN(only_good_chunks_are_gone_on_with),
        SEALED(what_was_kept_of_another_snapshot_is_begun_anew),
        SEALED(what_is_kept_outlives_snapshots_before_it),
        SEALED(what_is_kept_under_another_key_goes_with_the_next),
        PLAIN(what_is_left_is_removed_when_it_is_opened),
        SEALED(parts_that_are_given_up_leave_nothing),
        SEALED(calls_out_of_order_are_refused),
        SEALED(one_without_data_is_kept_too),
        SEALED(every_failing_call_is_told_and_ends_the_snapshot),
    };

    return cmocka_run_group_tests_name("snapshots", tests, NULL, NULL);
}
