/* SPDX-License-Identifier: Apache-2.0 */

/* The file storage: what it keeps, what it repairs, what it refuses. */

#include "lib/file_store_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int ignore_state(void *ctx, const struct swk_hard_state *state,
                        struct swk_error *err)
{
    (void)ctx;
    (void)state;
    (void)err;
    return 0;
}

static int ignore_entry(void *ctx, const struct swk_log_entry *entry,
                        struct swk_error *err)
{
    (void)ctx;
    (void)entry;
    (void)err;
    return 0;
}

static void an_empty_directory_is_an_empty_log(void **state)
{
    struct f *f = *state;

    open_store(f);
    assert_int_equal(f->store.found.count, 0);
    assert_int_equal(f->store.found.state.term, 0);
    reopen(f);
    assert_int_equal(f->store.found.count, 0);
    assert_int_equal(f->store.warnings, 0);
}

static void entries_and_hard_state_come_back(void **state)
{
    struct f *f = *state;

    open_store(f);
    append(f, 1, 1, 3);
    append(f, 2, 4, 4);
    append(f, 7, 1, 0); /* hard state alone */
    reopen(f);
    assert_int_equal(file_store_last(&f->store), 4);
    assert_int_equal(f->store.found.terms[3], 2);
    assert_int_equal(f->store.found.state.term, 7);
    assert_int_equal(f->store.found.state.vote, 1);
    assert_int_equal(f->store.warnings, 0);
}

static void entries_replace_those_from_their_first_index_on(void **state)
{
    struct f *f = *state;

    open_store(f);
    append(f, 1, 1, 30);
    append(f, 2, 10, 12);
    reopen(f);
    assert_int_equal(file_store_last(&f->store), 12);
    assert_int_equal(f->store.found.terms[8], 1);
    assert_int_equal(f->store.found.terms[9], 2);
}

static void a_log_of_many_segments_comes_back(void **state)
{
    struct f *f = *state;

    open_store(f);
    for (uint64_t i = 1; i <= 200; i++) {
        append(f, 1 + i / 50, i, i);
    }
    assert_true(disk_count(f->disk, "log-") > 5);
    reopen(f);
    assert_int_equal(file_store_last(&f->store), 200);
    append(f, 9, 201, 201);
    reopen(f);
    assert_int_equal(file_store_last(&f->store), 201);
}

static void a_record_larger_than_a_segment_is_kept(void **state)
{
    struct f *f = *state;

    open_store(f);
    append(f, 1, 1, 100); /* some 10 KiB in a log of 4 KiB segments */
    append(f, 1, 101, 101);
    reopen(f);
    assert_int_equal(file_store_last(&f->store), 101);
}

static void what_is_appended_while_a_sync_runs_shares_the_next(void **state)
{
    struct f *f = *state;

    f->store.config.segment_size = DISK_FILE_SIZE;
    open_store(f);
    int before = f->disk->syncs;
    for (uint64_t i = 1; i <= 200; i++) {
        assert_int_equal(file_store_append(&f->store, 1, i, i, 0), 0);
    }
    assert_int_equal(file_store_wait(&f->store), 0);
    int syncs = f->disk->syncs - before;
    assert_in_range(syncs, 1, 200);
    reopen(f);
    assert_int_equal(file_store_last(&f->store), 200);
}

static void close_finishes_what_was_begun(void **state)
{
    struct f *f = *state;

    open_store(f);
    assert_int_equal(file_store_append(&f->store, 1, 1, 5, 0), 0);
    assert_int_equal(file_store_snapshot(&f->store, 4, 1), 0);
    file_store_close(&f->store);
    assert_int_equal(f->store.durable, 2);
    disk_power_cycle(f->disk);
    open_store(f);
    assert_int_equal(f->store.found.snapshot.index, 4);
    assert_int_equal(file_store_last(&f->store), 5);
}

static void a_snapshot_comes_back_with_the_entries_after_it(void **state)
{
    struct f *f = *state;

    open_store(f);
    append(f, 1, 1, 10);
    snapshot(f, 7, 1);
    append(f, 1, 11, 12);
    reopen(f);
    assert_int_equal(f->store.found.snapshot.index, 7);
    assert_int_equal(f->store.found.snapshot.term, 1);
    assert_int_equal(f->store.found.first, 8);
    assert_int_equal(file_store_last(&f->store), 12);
}

static void old_snapshots_and_segments_are_removed(void **state)
{
    struct f *f = *state;
    uint64_t next = 1;

    open_store(f);
    for (int round = 1; round <= 6; round++) {
        for (int i = 0; i < 50; i++, next++) {
            append(f, 1, next, next);
        }
        snapshot(f, next - 5, 1);
        assert_in_range(disk_count(f->disk, "snapshot-"), 1, 2);
        assert_in_range(disk_count(f->disk, "log-"), 1, 7);
        reopen(f);
        assert_int_equal(f->store.found.snapshot.index, next - 5);
        assert_int_equal(file_store_last(&f->store), next - 1);
    }
    assert_int_equal(f->store.warnings, 0);
}

static void install(struct f *f, uint64_t index, uint64_t term)
{
    assert_int_equal(file_store_receive(&f->store, index, term, 1), 0);
    assert_int_equal(file_store_wait(&f->store), 0);
}

static void a_snapshot_that_is_installed_replaces_the_log(void **state)
{
    struct f *f = *state;

    open_store(f);
    append(f, 1, 1, 10);
    install(f, 20, 3);
    append(f, 3, 21, 22);
    reopen(f);
    assert_int_equal(f->store.found.snapshot.index, 20);
    assert_int_equal(file_store_last(&f->store), 22);

    install(f, 21, 3); /* at an entry that it has */
    reopen(f);
    assert_int_equal(file_store_last(&f->store), 21);
}

static int read_piece(struct f *f, uint64_t index, uint64_t offset,
                      uint8_t *buf, size_t size, size_t *out_len,
                      uint64_t *out_total)
{
    const struct swk_storage *storage = &f->store.storage;

    return storage->read_snapshot(storage->ctx, index, 1, offset, buf, size,
                                  out_len, out_total, NULL);
}

/* Reads all of a snapshot in pieces of that size; the code of the first that
 * failed. */
static int read_pieces(struct f *f, uint64_t index, size_t size, uint8_t *out)
{
    uint64_t offset = 0;
    uint64_t total = UINT64_MAX;
    size_t len = 1;
    int rc = 0;

    while (rc == 0 && len > 0) {
        rc = read_piece(f, index, offset, out + offset, size, &len, &total);
        if (rc == 0) {
            assert_int_equal(total, file_store_snapshot_len(index));
            offset += len;
        }
    }
    assert_true(rc != 0 || offset == total);
    return rc;
}

static void a_snapshot_is_read_in_pieces_of_any_size(void **state)
{
    struct f *f = *state;
    uint8_t whole[4096];
    uint8_t pieces[4096];
    size_t len;
    uint64_t total;

    open_store(f);
    append(f, 1, 1, 40);
    snapshot(f, 29, 1);
    assert_int_equal(read_pieces(f, 29, sizeof(whole), whole), 0);
    for (size_t size = 1; size < 3000; size += 499) {
        memset(pieces, 0, sizeof(pieces));
        assert_int_equal(read_pieces(f, 29, size, pieces), 0);
        assert_memory_equal(whole, pieces, file_store_snapshot_len(29));
    }
    assert_int_equal(read_piece(f, 29, 100000, pieces, 8, &len, &total), 0);
    assert_int_equal(len, 0);
    assert_int_equal(read_piece(f, 28, 0, pieces, 8, &len, &total),
                     SWK_ENOTFOUND);
    assert_int_equal(read_piece(f, 0, 0, pieces, 8, &len, &total),
                     SWK_ENOTFOUND);
}

static void more_streams_than_files_kept_open_are_served(void **state)
{
    struct f *f = *state;
    uint8_t whole[4096];
    uint8_t piece[64];
    size_t len;
    uint64_t total;

    open_store(f);
    append(f, 1, 1, 40);
    snapshot(f, 29, 1);
    assert_int_equal(read_pieces(f, 29, sizeof(whole), whole), 0);
    for (uint64_t round = 0; round < 4; round++) {
        for (uint64_t stream = 0; stream < 7; stream++) {
            uint64_t offset = stream * 100 + round * 10;

            assert_int_equal(read_piece(f, 29, offset, piece, 10, &len, &total),
                             0);
            assert_int_equal(len, 10);
            assert_memory_equal(piece, whole + offset, 10);
        }
    }
}

static void a_snapshot_that_is_removed_is_read_to_its_end_or_gone(void **state)
{
    struct f *f = *state;
    uint8_t buf[4096];
    size_t len;
    uint64_t total;

    f->store.config.snapshots_max = 1;
    open_store(f);
    append(f, 1, 1, 40);
    snapshot(f, 29, 1);
    assert_int_equal(read_piece(f, 29, 0, buf, 100, &len, &total), 0);
    snapshot(f, 35, 1);
    assert_int_equal(disk_count(f->disk, "snapshot-"), 1);
    assert_int_equal(read_piece(f, 29, 100, buf, 4000, &len, &total), 0);
    assert_int_equal(len, total - 100);
    assert_int_equal(read_piece(f, 29, 0, buf, 100, &len, &total),
                     SWK_ENOTFOUND);
    assert_int_equal(read_pieces(f, 35, 100, buf), 0);
}

static void a_damaged_snapshot_is_never_read_to_its_end(void **state)
{
    struct f *f = *state;
    uint8_t buf[4096];

    open_store(f);
    append(f, 1, 1, 40);
    snapshot(f, 29, 1);
    for (uint64_t at = 0; at < 48 + file_store_snapshot_len(29); at += 61) {
        struct disk_file *file =
            disk_find(f->disk, "snapshot-000000000000001d-0000000000000001");

        file->cached[at] ^= 4;
        assert_int_equal(read_pieces(f, 29, 500, buf), SWK_ECORRUPT);
        file->cached[at] ^= 4;
    }
    assert_int_equal(read_pieces(f, 29, 500, buf), 0);
}

static void the_identity_comes_back(void **state)
{
    struct f *f = *state;
    struct swk_storage *storage = &f->store.storage;

    open_store(f);
    assert_int_equal(f->store.found.identity_len, 0);
    assert_int_equal(
        storage->identify(storage->ctx, (const uint8_t *)"me", 0, NULL),
        SWK_EINVAL);
    assert_int_equal(
        storage->identify(storage->ctx, (const uint8_t *)"me", 2, NULL), 0);
    file_store_close(&f->store);
    disk_power_cycle(f->disk);
    open_store(f);
    append(f, 1, 1, 1);
    reopen(f);
    assert_int_equal(f->store.found.identity_len, 2);
    assert_memory_equal(f->store.found.identity, "me", 2);
}

static void nothing_is_written_after_the_identity_failed(void **state)
{
    struct f *f = *state;
    struct swk_storage *storage = &f->store.storage;

    open_store(f);
    f->disk->fail_call = DISK_SYNC;
    f->disk->fail_error = -EIO;
    f->disk->fail_at = 0;
    assert_int_equal(
        storage->identify(storage->ctx, (const uint8_t *)"me", 2, NULL),
        SWK_EIO);
    assert_int_equal(file_store_append(&f->store, 1, 1, 1, 0), SWK_EIO);
}

static void a_damaged_snapshot_falls_back_to_the_one_before(void **state)
{
    struct f *f = *state;

    open_store(f);
    append(f, 1, 1, 40);
    snapshot(f, 10, 1);
    append(f, 1, 41, 80);
    snapshot(f, 60, 1);
    file_store_close(&f->store);
    damage(f, "snapshot-000000000000003c-0000000000000001", 100);
    open_store(f);
    assert_int_equal(f->store.found.snapshot.index, 10);
    assert_int_equal(file_store_last(&f->store), 80);
    assert_int_equal(f->store.warnings, 1);
    assert_int_equal(disk_count(f->disk, "snapshot-"), 2); /* one set aside */
    snapshot(f, 70, 1);
    reopen(f);
    assert_int_equal(f->store.found.snapshot.index, 70);
    assert_int_equal(file_store_last(&f->store), 80);
}

static void a_damaged_snapshot_without_a_log_before_it_is_refused(void **state)
{
    struct f *f = *state;
    struct swk_error err;

    f->store.config.snapshots_max = 1;
    open_store(f);
    for (uint64_t i = 1; i <= 80; i++) {
        append(f, 1, i, i);
    }
    snapshot(f, 60, 1);
    file_store_close(&f->store);
    damage(f, "snapshot-000000000000003c-0000000000000001", 100);
    assert_int_equal(file_store_open(&f->store, &err), SWK_ECORRUPT);
    assert_non_null(strstr(err.text, "snapshot-000000000000003c"));
    assert_non_null(strstr(err.text, "restore"));
    /* A refusal changes nothing. */
    damage(f, "snapshot-000000000000003c-0000000000000001", 100);
    open_store(f);
    assert_int_equal(f->store.found.snapshot.index, 60);
}

static void a_missing_segment_is_refused(void **state)
{
    static const char *const names[] = {"log-0000000000000001",
                                        "log-0000000000000002"};
    struct f *f = *state;

    for (size_t i = 0; i < 2; i++) {
        struct f other = {.disk = disk_new(i)};

        file_store_init(&other.store, other.disk);
        open_store(&other);
        for (uint64_t j = 1; j <= 100; j++) {
            append(&other, 1, j, j);
        }
        file_store_close(&other.store);
        assert_int_equal(other.disk->io.remove(other.disk, 0, names[i]), 0);
        assert_int_equal(file_store_open(&other.store, NULL), SWK_ECORRUPT);
        file_store_fini(&other.store);
        disk_free(other.disk);
    }
    (void)f;
}

/* Three writes in the first segment, so that the second and the third prove
 * what was durable. */
static uint64_t make_small_log(struct f *f, uint64_t out_ends[3])
{
    static const uint64_t lasts[3] = {2, 3, 5};
    uint64_t first = 1;

    open_store(f);
    for (int i = 0; i < 3; i++) {
        append(f, 1, first, lasts[i]);
        first = lasts[i] + 1;
        const struct disk_file *file =
            disk_find(f->disk, "log-0000000000000001");
        uint64_t end = file->cached_size;

        while (file->cached[end - 1] == 0) {
            end--;
        }
        out_ends[i] = (end + 7) / 8 * 8;
    }
    file_store_close(&f->store);
    return out_ends[2];
}

static void every_truncation_yields_a_prefix_or_is_refused(void **state)
{
    struct f *f = *state;
    uint64_t ends[3];
    uint64_t end = make_small_log(f, ends);
    struct disk_file *file = disk_find(f->disk, "log-0000000000000001");
    struct disk_file *original = malloc(sizeof(*original));

    *original = *file;
    for (uint64_t size = 0; size <= end; size++) {
        *file = *original;
        memset(file->cached + size, 0, sizeof(file->cached) - size);
        file->cached_size = size;
        int rc = file_store_open(&f->store, NULL);
        uint64_t last = rc == 0 ? file_store_last(&f->store) : 0;

        file_store_close(&f->store);
        if (size < ends[1]) {
            assert_int_equal(rc, SWK_ECORRUPT);
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(last, size >= ends[2] ? 5 : 3);
    }
    free(original);
}

/* Damage before the last write is refused; within it, it looks like a write
 * cut short. Nowhere does it yield a wrong entry. */
static void every_flipped_bit_is_refused_or_cuts_the_last_write(void **state)
{
    struct f *f = *state;
    uint64_t ends[3];
    uint64_t end = make_small_log(f, ends);
    struct disk_file *file = disk_find(f->disk, "log-0000000000000001");
    struct disk_file *original = malloc(sizeof(*original));

    *original = *file;
    for (uint64_t bit = 0; bit < (end + 64) * 8;
         bit += bit / 8 < SWKI_SEGMENT_HEAD_SIZE ? 13 : 1) {
        uint64_t offset = bit / 8;

        *file = *original;
        file->cached[offset] ^= (uint8_t)(1 << bit % 8);
        int rc = file_store_open(&f->store, NULL);
        uint64_t last = rc == 0 ? file_store_last(&f->store) : 0;

        file_store_close(&f->store);
        if (offset < SWKI_SEGMENT_HEADER_SIZE ||
            (offset >= SWKI_SEGMENT_HEAD_SIZE && offset < ends[1])) {
            assert_int_equal(rc, SWK_ECORRUPT);
        } else if (offset < SWKI_SEGMENT_HEAD_SIZE) {
            assert_int_equal(rc, 0);
            assert_int_equal(last, 5);
        } else {
            assert_int_equal(rc, 0);
            assert_int_equal(last, offset < ends[2] ? 3 : 5);
        }
    }
    free(original);
}

static void damage_is_told_with_file_offset_and_what_to_do(void **state)
{
    struct f *f = *state;
    struct swk_error err;
    uint64_t ends[3];

    make_small_log(f, ends);
    damage(f, "log-0000000000000001", SWKI_SEGMENT_HEAD_SIZE + 88);
    assert_int_equal(file_store_open(&f->store, &err), SWK_ECORRUPT);
    assert_non_null(strstr(err.text, "/raft/log-0000000000000001"));
    assert_non_null(strstr(err.text, "offset 16384"));
    assert_non_null(strstr(err.text, "restore"));
}

static void damage_at_the_end_of_a_full_segment_is_refused(void **state)
{
    struct f *f = *state;

    open_store(f);
    while (disk_count(f->disk, "log-") < 2) {
        uint64_t next = f->store.ticket + 1;

        append(f, 1, next, next);
    }
    file_store_close(&f->store);
    struct disk_file *file = disk_find(f->disk, "log-0000000000000001");
    uint64_t at = file->cached_size;
    while (file->cached[at - 1] == 0) {
        at--;
    }
    file->cached[at - 1] ^= 1;
    assert_int_equal(file_store_open(&f->store, NULL), SWK_ECORRUPT);
}

static void a_torn_tail_is_removed_told_and_written_over(void **state)
{
    struct f *f = *state;
    uint64_t ends[3];

    make_small_log(f, ends);
    damage(f, "log-0000000000000001", ends[2] - 8);
    open_store(f);
    assert_int_equal(file_store_last(&f->store), 3);
    assert_int_equal(f->store.warnings, 1);
    append(f, 2, 4, 9);
    reopen(f);
    assert_int_equal(file_store_last(&f->store), 9);
    assert_int_equal(f->store.found.terms[3], 2);
    assert_int_equal(f->store.warnings, 1);
}

/* Three records in one write, past the storage's queue. */
static uint64_t write_three_at_once(struct f *f)
{
    struct swki_keyring ring;
    struct swki_wal wal = {
        .io = &f->disk->io,
        .ring = &ring,
        .dir_path = "/raft",
        .segment_size = SWK_FILE_STORAGE_SEGMENT_SIZE_MIN,
        .snapshots_max = 2,
        .fd = -1,
        .followed_fd = -1,
    };
    const struct swk_storage_replay replay = {.size = sizeof(replay),
                                              .ctx = NULL,
                                              .hard_state = ignore_state,
                                              .entry = ignore_entry};
    uint8_t bytes[3 * 64];

    swki_keyring_init(&ring, NULL, NULL, NULL);
    assert_int_equal(swki_wal_load(&wal, &replay, NULL), 0);
    uint64_t offset = wal.offset;
    for (uint64_t i = 0; i < 3; i++) {
        const struct swk_hard_state hard = {50 + i, 1, 0};

        swki_record_begin(bytes + i * 64, SWKI_RECORD_APPEND, 32, false);
        swki_append_encode(bytes + i * 64 + SWKI_RECORD_HEADER_SIZE, &hard,
                           NULL, 0);
    }
    assert_int_equal(swki_wal_write(&wal, bytes, sizeof(bytes), NULL), 0);
    swki_wal_close(&wal);
    swki_keyring_fini(&ring);
    return offset;
}

/* Of one write any part may reach the disk, the last without the first. */
static void a_write_torn_in_its_front_is_removed_whole(void **state)
{
    struct f *f = *state;

    open_store(f);
    append(f, 1, 1, 2);
    file_store_close(&f->store);
    uint64_t offset = write_three_at_once(f);
    open_store(f);
    assert_int_equal(f->store.found.state.term, 52);
    file_store_close(&f->store);

    damage(f, "log-0000000000000001", offset + 40);
    open_store(f);
    assert_int_equal(f->store.warnings, 1);
    assert_int_equal(f->store.found.state.term, 1);
    assert_int_equal(file_store_last(&f->store), 2);
    append(f, 9, 1, 0); /* as large as what was removed */
    reopen(f);
    assert_int_equal(f->store.found.state.term, 9);
    assert_int_equal(f->store.warnings, 1);
}

static void a_failed_sync_is_for_good(void **state)
{
    struct f *f = *state;
    struct swk_error err;

    open_store(f);
    append(f, 1, 1, 2);
    f->disk->fail_call = DISK_SYNC;
    f->disk->fail_error = -EIO;
    f->disk->fail_at = 0;
    assert_int_equal(file_store_append(&f->store, 1, 3, 3, 0), 0);
    assert_int_equal(file_store_wait(&f->store), SWK_EIO);
    assert_int_equal(f->store.failed, 2);
    int calls = f->disk->calls;

    assert_int_equal(file_store_append(&f->store, 1, 4, 4, 0), SWK_EIO);
    assert_int_equal(file_store_snapshot(&f->store, 2, 1), SWK_EIO);
    assert_int_equal(
        f->store.storage.append(f->store.storage.ctx, NULL, NULL, 0, 99, &err),
        SWK_EIO);
    assert_non_null(strstr(err.text, "log-0000000000000001"));
    file_store_close(&f->store);
    assert_int_equal(f->disk->calls, calls); /* not even tried again */
    assert_int_equal(f->store.failures, 1);
}

/* The kernel forgets dirty pages after a failed sync, but still shows them to
 * the next process: what that one relies on it must write itself. */
static void what_load_finds_is_durable_even_after_a_failed_sync(void **state)
{
    struct f *f = *state;

    open_store(f);
    append(f, 1, 1, 2);
    f->disk->fail_call = DISK_SYNC;
    f->disk->fail_error = -EIO;
    f->disk->fail_at = 0;
    assert_int_equal(file_store_append(&f->store, 1, 3, 3, 0), 0);
    assert_int_equal(file_store_wait(&f->store), SWK_EIO);
    file_store_close(&f->store);
    disk_restart(f->disk);
    f->store.failures = 0;
    open_store(f);
    assert_int_equal(file_store_last(&f->store), 3);
    file_store_close(&f->store);
    disk_power_cycle(f->disk);
    open_store(f);
    assert_int_equal(file_store_last(&f->store), 3);
}

static void a_full_disk_says_so(void **state)
{
    struct f *f = *state;
    uint64_t last = 0;

    f->disk->space_max = 5 * SWK_FILE_STORAGE_SEGMENT_SIZE_MIN;
    open_store(f);
    while (file_store_append(&f->store, 1, last + 1, last + 1, 0) == 0 &&
           file_store_wait(&f->store) == 0) {
        last++;
    }
    assert_int_equal(f->store.failure.code, SWK_EIO);
    assert_non_null(strstr(f->store.failure.text, "no space left on /raft"));
    assert_non_null(strstr(f->store.failure.text, "free some, then restart"));
    file_store_close(&f->store);
    disk_power_cycle(f->disk);
    f->disk->space_max = 0;
    f->store.failures = 0;
    open_store(f);
    assert_int_equal(file_store_last(&f->store), last);
    append(f, 1, last + 1, last + 1);
}

static void short_writes_are_completed(void **state)
{
    struct f *f = *state;

    f->disk->write_max = 7;
    open_store(f);
    append(f, 1, 1, 20);
    snapshot(f, 15, 1);
    f->disk->write_max = 0;
    reopen(f);
    assert_int_equal(f->store.found.snapshot.index, 15);
    assert_int_equal(file_store_last(&f->store), 20);
}

static void calls_out_of_order_are_refused(void **state)
{
    struct f *f = *state;

    open_store(f);
    append(f, 1, 1, 5);
    snapshot(f, 4, 1);
    assert_int_equal(file_store_snapshot(&f->store, 4, 1), SWK_EINVAL);
    f->store.ticket = 0;
    assert_int_equal(file_store_append(&f->store, 1, 6, 6, 0), SWK_EINVAL);
    const struct swk_storage_replay replay = {.size = sizeof(replay)};
    assert_int_equal(f->store.storage.load(f->store.storage.ctx, &replay, NULL),
                     SWK_EPRECONDITION);
}

static void too_much_pending_is_refused(void **state)
{
    struct f *f = *state;

    f->store.config.pending_size_max = 2000;
    open_store(f);
    assert_int_equal(file_store_append(&f->store, 1, 1, 200, 0), SWK_ELIMIT);
    append(f, 1, 1, 3);
}

static void a_second_opener_is_told_who_has_it(void **state)
{
    struct f *f = *state;
    struct swk_error err;
    struct file_store second;
    char pid[32];

    open_store(f);
    file_store_init(&second, f->disk);
    assert_int_equal(file_store_open(&second, &err), SWK_EBUSY);
    snprintf(pid, sizeof(pid), "in use by process %ld", (long)getpid());
    assert_non_null(strstr(err.text, pid));
    file_store_fini(&second);
}

static void options_are_checked(void **state)
{
    struct f *f = *state;
    struct swk_file_storage_config good = f->store.config;
    struct swk_storage out;

    f->store.config.segment_size = 100;
    assert_int_equal(file_store_open(&f->store, NULL), SWK_EINVAL);
    f->store.config = good;
    f->store.config.done = NULL;
    assert_int_equal(file_store_open(&f->store, NULL), SWK_EINVAL);
    f->store.config = good;
    f->store.config.dir = NULL;
    assert_int_equal(file_store_open(&f->store, NULL), SWK_EINVAL);
    f->store.config = good;
    assert_int_equal(swk_file_storage_open(&good, NULL, NULL), SWK_EINVAL);
    assert_int_equal(swk_file_storage_open(NULL, &out, NULL), SWK_EINVAL);
}

/* Whichever call of a load fails, it says so and changes nothing for good. */
static void load_reports_every_failing_call(void **state)
{
    struct f *f = *state;
    struct swk_error err;
    int rc = -1;

    open_store(f);
    append(f, 1, 1, 60);
    snapshot(f, 30, 1);
    append(f, 1, 61, 61);
    file_store_close(&f->store);
    for (int n = 0; rc != 0; n++) {
        f->disk->fail_call = DISK_ANY;
        f->disk->fail_error = -EIO;
        f->disk->fail_at = n;
        err.code = 0;
        rc = file_store_open(&f->store, &err);
        if (rc != 0) {
            assert_int_equal(rc, SWK_EIO);
            assert_int_equal(err.code, rc);
        }
        disk_restart(f->disk);
        assert_true(n < 100);
    }
    assert_int_equal(file_store_last(&f->store), 61);
}

static void real_directories_are_private_and_locked(void **state)
{
    struct f *f = *state;
    char root[] = "/tmp/swk-file-XXXXXX";
    char dir[64];
    struct swk_storage first;
    struct swk_storage second;
    struct swk_error err;
    struct stat st;
    const struct swk_storage_replay replay = {.size = sizeof(replay),
                                              .entry = ignore_entry};

    assert_non_null(mkdtemp(root));
    snprintf(dir, sizeof(dir), "%s/raft", root);
    f->store.config.dir = dir;
    assert_int_equal(swk_file_storage_open(&f->store.config, &first, &err), 0);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(swk_file_storage_open(&f->store.config, &second, &err),
                     SWK_EBUSY);
    assert_non_null(strstr(err.text, "in use by process"));
    assert_int_equal(first.load(first.ctx, &replay, &err), 0);
    first.close(first.ctx);
    assert_int_equal(swk_file_storage_open(&f->store.config, &second, &err), 0);
    second.close(second.ctx);
    snprintf(dir, sizeof(dir), "rm -r %s", root);
    assert_int_equal(system(dir), 0);
}

static void a_directory_that_cannot_be_made_is_told(void **state)
{
    struct f *f = *state;
    struct swk_storage out;
    struct swk_error err;

    f->store.config.dir = "/nonexistent/raft";
    assert_int_equal(swk_file_storage_open(&f->store.config, &out, &err),
                     SWK_EIO);
    assert_non_null(strstr(err.text, "cannot make directory"));
    f->store.config.dir = "/proc/self/raft";
    assert_true(swk_file_storage_open(&f->store.config, &out, &err) < 0);
    assert_non_null(strstr(err.text, "/proc/self/raft"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_BOTH(an_empty_directory_is_an_empty_log),
        TEST_BOTH(entries_and_hard_state_come_back),
        TEST_BOTH(entries_replace_those_from_their_first_index_on),
        TEST_BOTH(a_log_of_many_segments_comes_back),
        TEST_BOTH(a_record_larger_than_a_segment_is_kept),
        TEST_BOTH(what_is_appended_while_a_sync_runs_shares_the_next),
        TEST_BOTH(close_finishes_what_was_begun),
        TEST_BOTH(a_snapshot_comes_back_with_the_entries_after_it),
        TEST_BOTH(old_snapshots_and_segments_are_removed),
        TEST_BOTH(a_snapshot_that_is_installed_replaces_the_log),
        TEST(a_snapshot_is_read_in_pieces_of_any_size),
        TEST(more_streams_than_files_kept_open_are_served),
        TEST(a_snapshot_that_is_removed_is_read_to_its_end_or_gone),
        TEST(a_damaged_snapshot_is_never_read_to_its_end),
        TEST_BOTH(the_identity_comes_back),
        TEST_BOTH(nothing_is_written_after_the_identity_failed),
        TEST(a_damaged_snapshot_falls_back_to_the_one_before),
        TEST(a_damaged_snapshot_without_a_log_before_it_is_refused),
        TEST_BOTH(a_missing_segment_is_refused),
        TEST_BOTH(every_truncation_yields_a_prefix_or_is_refused),
        TEST_BOTH(every_flipped_bit_is_refused_or_cuts_the_last_write),
        TEST_BOTH(damage_is_told_with_file_offset_and_what_to_do),
        TEST_BOTH(damage_at_the_end_of_a_full_segment_is_refused),
        TEST_BOTH(a_torn_tail_is_removed_told_and_written_over),
        TEST(a_write_torn_in_its_front_is_removed_whole),
        TEST_BOTH(a_failed_sync_is_for_good),
        TEST_BOTH(what_load_finds_is_durable_even_after_a_failed_sync),
        TEST_BOTH(a_full_disk_says_so),
        TEST_BOTH(short_writes_are_completed),
        TEST(calls_out_of_order_are_refused),
        TEST(too_much_pending_is_refused),
        TEST(a_second_opener_is_told_who_has_it),
        TEST(options_are_checked),
        TEST_BOTH(load_reports_every_failing_call),
        TEST(real_directories_are_private_and_locked),
        TEST(a_directory_that_cannot_be_made_is_told),
    };

    return cmocka_run_group_tests_name("file storage", tests, NULL, NULL);
}
