/* SPDX-License-Identifier: Apache-2.0 */

/* The files of a log: used again, set aside for a full disk, of other formats,
 * only looked at. */

#include "lib/file_store_fixture.h"

#include <stdio.h>

#include "runtime/file/crc32c.h"
#include "runtime/file/file_storage.h"

#define FIRST "log-0000000000000001"

/* Fills segments, with snapshots that make the old ones needless. */
static uint64_t run_rounds(struct f *f, int rounds)
{
    uint64_t next = file_store_last(&f->store) + 1;

    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < 60; i++, next++) {
            append(f, 1, next, next);
        }
        snapshot(f, next - 5, 1);
    }
    return next - 1;
}

static void segments_are_used_again(void **state)
{
    struct f *f = *state;

    open_store(f);
    run_rounds(f, 3);
    assert_in_range(disk_count(f->disk, "spare-"), 1, 4);
    reopen(f);
    uint64_t last = run_rounds(f, 4);
    assert_in_range(disk_count(f->disk, "spare-"), 1, 4);
    reopen(f);
    assert_int_equal(file_store_last(&f->store), last);
    assert_int_equal(f->store.warnings, 0);
}

/* What is left of the segment before in a file that is used again is good in
 * itself, and belongs to another place (R-DSK-6). */
static void what_a_used_file_held_before_is_never_read(void **state)
{
    struct f *f = *state;

    open_store(f);
    run_rounds(f, 6);
    for (int i = 0; i < 40; i++) {
        reopen(f);
        append(f, 2, f->store.found.first + f->store.found.count,
               f->store.found.first + f->store.found.count);
        assert_int_equal(f->store.warnings, 0);
    }
}

static void no_more_spares_are_kept_than_asked_for(void **state)
{
    struct f *f = *state;

    f->store.config.spares_max = 1;
    f->store.config.snapshots_max = 1;
    open_store(f);
    run_rounds(f, 5);
    assert_int_equal(disk_count(f->disk, "spare-"), 1);
    file_store_close(&f->store);
    f->store.config.spares_max = 17;
    assert_int_equal(file_store_open(&f->store, NULL), SWK_EINVAL);
}

/* Segments under a key that is gone are no use to anybody. */
static void files_under_another_key_are_not_kept(void **state)
{
    struct f *f = *state;

    f->store.config.key = NULL;
    f->store.config.snapshots_max = 1;
    open_store(f);
    append(f, 1, 1, 60);
    file_store_close(&f->store);
    f->store.config.key = file_store_keys[0];
    f->store.config.flags = SWK_FILE_STORAGE_ACCEPT_UNSEALED;
    open_store(f);
    append(f, 1, 61, 62);
    snapshot(f, 61, 1);
    assert_null(disk_find(f->disk, FIRST));
    assert_null(disk_find(f->disk, "spare-0000000000000001"));
    assert_int_equal(swk_file_storage_uses_old_key(&f->store.storage, NULL), 0);
}

/* Whether any file shows data as the fixture fills it, byte after byte. */
static bool shows_data(const struct f *f)
{
    for (int i = 0; i < DISK_NAMES; i++) {
        const struct disk_file *file =
            &f->disk->files[f->disk->dir.names[i].file];
        int run = 0;

        for (size_t at = 1;
             f->disk->dir.names[i].name[0] != '\0' && at < sizeof(file->cached);
             at++) {
            uint8_t next = (uint8_t)(file->cached[at - 1] + 7);

            run = file->cached[at] == next ? run + 1 : 0;
            if (run == 16) {
                return true;
            }
        }
    }
    return false;
}

/* Neither in a spare nor behind the records of one that is a segment now. */
static void spares_under_another_key_are_not_kept(void **state)
{
    struct f *f = *state;

    f->store.config.key = NULL;
    f->store.config.snapshots_max = 1;
    open_store(f);
    uint64_t last = run_rounds(f, 3);
    assert_in_range(disk_count(f->disk, "spare-"), 1, 4);
    assert_true(shows_data(f));
    file_store_close(&f->store);
    f->store.config.key = file_store_keys[0];
    f->store.config.flags = SWK_FILE_STORAGE_ACCEPT_UNSEALED;
    open_store(f);
    append(f, 1, last + 1, last + 2);
    snapshot(f, last + 1, 1);
    assert_int_equal(swk_file_storage_uses_old_key(&f->store.storage, NULL), 0);
    assert_false(shows_data(f));
}

/* -- A full disk ---------------------------------------------------------- */

static void fill_disk(struct f *f)
{
    uint64_t last = 0;

    open_store(f);
    f->disk->space_max = 1; /* whatever is there is all there is */
    while (file_store_append(&f->store, 1, last + 1, last + 1, 0) == 0 &&
           file_store_wait(&f->store) == 0) {
        last++;
    }
    assert_int_equal(f->store.failure.code, SWK_EIO);
    assert_non_null(strstr(f->store.failure.text, "no space left"));
    file_store_close(&f->store);
    f->store.failures = 0;
    f->store.failed = 0;
}

/* As much as is taken now, by this or by others. */
static uint64_t space_taken(const struct f *f)
{
    uint64_t taken = 0;

    for (int i = 0; i < DISK_NAMES; i++) {
        if (f->disk->dir.names[i].name[0] != '\0') {
            taken += f->disk->files[f->disk->dir.names[i].file].cached_size;
        }
    }
    return taken;
}

static void r_dsk_2_a_full_disk_takes_terms_votes_and_a_snapshot(void **state)
{
    struct f *f = *state;

    fill_disk(f);
    assert_int_equal(disk_count(f->disk, "reserve"), 1);
    f->disk->space_max = space_taken(f);
    open_store(f);
    uint64_t last = file_store_last(&f->store);
    assert_in_range(last, 10, 100);
    for (uint64_t term = 2; term < 50; term++) { /* more than fits in it */
        append(f, term, 1, 0);
    }
    file_store_close(&f->store);
    open_store(f);
    assert_int_equal(f->store.found.state.term, 49);
    snapshot(f, last, 1);
    append(f, 100, last + 1, last + 1); /* it made room */
    reopen(f);
    assert_int_equal(f->store.found.state.term, 100);
    assert_int_equal(file_store_last(&f->store), last + 1);
}

static void r_dsk_2_entries_do_not_take_what_is_set_aside(void **state)
{
    struct f *f = *state;

    fill_disk(f);
    f->disk->space_max = space_taken(f);
    open_store(f);
    uint64_t next = file_store_last(&f->store) + 1;
    while (file_store_append(&f->store, 1, next, next, 0) == 0 &&
           file_store_wait(&f->store) == 0) {
        next++;
    }
    assert_int_equal(f->store.failure.code, SWK_EIO);
    assert_int_equal(disk_count(f->disk, "reserve"), 1);
}

static void r_dsk_2_what_was_used_up_is_set_aside_again(void **state)
{
    struct f *f = *state;

    fill_disk(f);
    f->disk->space_max = space_taken(f);
    open_store(f);
    uint64_t last = file_store_last(&f->store);
    const struct disk_file *reserve = disk_find(f->disk, "reserve");
    uint64_t whole = reserve->cached_size;
    for (uint64_t term = 2; term < 50; term++) {
        append(f, term, 1, 0);
    }
    assert_in_range(reserve->cached_size, 1, whole - 1);
    f->disk->space_max = 0;
    snapshot(f, last, 1);
    assert_int_equal(disk_find(f->disk, "reserve")->cached_size, whole);
}

/* -- Other formats -------------------------------------------------------- */

/* The header that releases with the formats 1 and 2 wrote. */
static void write_old_log(struct f *f, uint8_t version)
{
    uint8_t bytes[4096] = "SWKLOG\r\n";
    uint32_t crc;
    int fd = f->disk->io.create(f->disk, 0, FIRST);

    bytes[8] = version;
    bytes[16] = 1;  /* id */
    bytes[24] = 77; /* salt */
    bytes[32] = 1;  /* sequence */
    crc = swki_crc32c(0, bytes, 508);
    memcpy(bytes + 508, &crc, 4);
    assert_int_equal(f->disk->io.write(f->disk, fd, bytes, sizeof(bytes), 0),
                     4096);
    f->disk->io.close(f->disk, fd);
}

static void logs_of_other_formats_are_refused_by_name(void **state)
{
    struct f *f = *state;
    struct swk_error err;
    struct disk_file before;

    for (uint8_t version = 1; version <= 4; version++) {
        if (version == 3) {
            continue;
        }
        write_old_log(f, version);
        before = *disk_find(f->disk, FIRST);
        assert_int_equal(file_store_open(&f->store, &err), SWK_ENOTSUP);
        assert_non_null(strstr(err.text, "/raft/" FIRST));
        assert_non_null(strstr(err.text, "use the release that wrote it"));
        assert_memory_equal(disk_find(f->disk, FIRST)->cached, before.cached,
                            sizeof(before.cached));
    }
}

/* -- Generation ----------------------------------------------------------- */

static void a_generation_comes_with_what_is_appended_or_not_at_all(void **state)
{
    struct f *f = *state;
    bool reached = true;

    for (int call = 0; reached; call++) {
        struct f other = {.disk = disk_new((uint64_t)call)};

        file_store_init(&other.store, other.disk);
        other.store.config.key = f->store.config.key;
        open_store(&other);
        append(&other, 1, 1, 3);
        assert_int_equal(swk_file_storage_generation(&other.store.storage), 0);
        swki_file_storage_set_generation(&other.store.storage, 5);
        other.disk->power_off_at = other.disk->calls + call;
        if (file_store_append(&other.store, 2, 4, 5, 0) == 0) {
            (void)file_store_wait(&other.store);
        }
        file_store_close(&other.store);
        reached = other.disk->off;
        disk_power_cycle(other.disk);
        other.store.failures = 0;
        open_store(&other);
        uint64_t generation = swk_file_storage_generation(&other.store.storage);
        assert_true(generation == 0 || generation == 5);
        assert_int_equal(file_store_last(&other.store),
                         generation == 5 ? 5 : 3);
        file_store_fini(&other.store);
        disk_free(other.disk);
    }
}

/* -- Reading only --------------------------------------------------------- */

static void a_reader_changes_nothing_and_needs_no_lock(void **state)
{
    struct f *f = *state;
    struct file_store reader;

    open_store(f);
    run_rounds(f, 2);
    append(f, 2, 121, 125);
    file_store_init(&reader, f->disk);
    reader.config.key = f->store.config.key;
    reader.config.done = NULL;
    reader.config.flags = SWK_FILE_STORAGE_READ_ONLY;
    struct disk *before = malloc(sizeof(*before));
    memcpy(before, f->disk, sizeof(*before));
    for (int round = 0; round < 2; round++) {
        assert_int_equal(file_store_open(&reader, NULL), 0);
        assert_int_equal(file_store_last(&reader), 125);
        assert_int_equal(reader.found.snapshot.index, 116);
        assert_int_equal(file_store_append(&reader, 9, 126, 126, 0),
                         SWK_EPRECONDITION);
        assert_int_equal(file_store_snapshot(&reader, 125, 2),
                         SWK_EPRECONDITION);
        assert_int_equal(reader.storage.identify(reader.storage.ctx,
                                                 (const uint8_t *)"me", 2,
                                                 NULL),
                         SWK_EPRECONDITION);
        file_store_close(&reader);
    }
    assert_memory_equal(&f->disk->dir, &before->dir, sizeof(before->dir));
    for (int i = 0; i < DISK_FILES; i++) {
        assert_memory_equal(f->disk->files[i].cached, before->files[i].cached,
                            DISK_FILE_SIZE);
    }
    free(before);
    file_store_fini(&reader);
    append(f, 2, 126, 126);
}

static void a_reader_finds_no_directory_and_makes_none(void **state)
{
    struct f *f = *state;
    struct swk_storage storage;
    struct swk_error err;

    f->store.config.dir = "/nonexistent/raft";
    f->store.config.flags = SWK_FILE_STORAGE_READ_ONLY;
    assert_int_equal(swk_file_storage_open(&f->store.config, &storage, &err),
                     SWK_ENOTFOUND);
}

/* -- Inspection ----------------------------------------------------------- */

struct seen {
    struct swk_storage_segment segments[16];
    size_t segments_count;
    size_t records_count;
    uint64_t last_index;
    struct swk_storage_snapshot snapshots[4];
    size_t snapshots_count;
};

static int see_segment(void *ctx, const struct swk_storage_segment *segment,
                       struct swk_error *err)
{
    struct seen *seen = ctx;

    (void)err;
    assert_in_range(seen->segments_count, 0, 15);
    seen->segments[seen->segments_count++] = *segment;
    return 0;
}

static int see_record(void *ctx, const struct swk_storage_record *record,
                      struct swk_error *err)
{
    struct seen *seen = ctx;

    (void)err;
    seen->records_count++;
    if (record->type == SWK_STORAGE_RECORD_APPEND && record->last_index > 0) {
        assert_true(record->first_index > seen->last_index);
        seen->last_index = record->last_index;
        assert_non_null(record->state);
        assert_int_equal(record->state->vote, 1);
    }
    return 0;
}

static int see_snapshot(void *ctx, const struct swk_storage_snapshot *snapshot,
                        struct swk_error *err)
{
    struct seen *seen = ctx;

    (void)err;
    assert_in_range(seen->snapshots_count, 0, 3);
    seen->snapshots[seen->snapshots_count++] = *snapshot;
    return 0;
}

static void inspect(struct f *f, struct seen *seen)
{
    const struct swk_storage_inspector inspector = {
        .size = sizeof(inspector),
        .ctx = seen,
        .segment = see_segment,
        .record = see_record,
        .snapshot = see_snapshot,
    };

    *seen = (struct seen){.segments_count = 0};
    assert_int_equal(swki_file_storage_inspect(&f->store.config, &f->disk->io,
                                               &inspector, NULL),
                     0);
}

static void inspection_tells_every_file_and_record(void **state)
{
    struct f *f = *state;
    bool sealed = f->store.config.key != NULL;
    struct seen seen;

    open_store(f);
    for (uint64_t i = 1; i <= 100; i++) {
        append(f, 1, i, i);
    }
    snapshot(f, 20, 1);
    inspect(f, &seen); /* while it is in use */
    assert_int_equal(seen.last_index, 100);
    assert_true(seen.records_count > 80);
    assert_in_range(seen.segments_count, 2, 10);
    for (size_t i = 0; i < seen.segments_count; i++) {
        const struct swk_storage_segment *segment = &seen.segments[i];

        assert_int_equal(segment->verdict, SWK_STORAGE_GOOD);
        assert_int_equal(segment->format, 3);
        assert_int_equal(segment->sealed, sealed);
        assert_int_equal(segment->key, sealed ? SWK_STORAGE_KEY_NEWEST
                                              : SWK_STORAGE_KEY_NONE);
        assert_true(i == 0 ||
                    segment->first_sequence == segment[-1].last_sequence + 1);
        assert_in_range(segment->used, SWKI_SEGMENT_HEAD_SIZE,
                        segment->file_size);
    }
    const struct swk_storage_segment *last =
        &seen.segments[seen.segments_count - 1];
    assert_int_equal(last->acknowledged, 100);
    assert_int_equal(last->last_index, 100);
    assert_int_equal(seen.snapshots_count, 1);
    assert_int_equal(seen.snapshots[0].index, 20);
    assert_int_equal(seen.snapshots[0].verdict, SWK_STORAGE_GOOD);
    assert_int_equal(seen.snapshots[0].data_size, file_store_snapshot_len(20));
    assert_true(seen.snapshots[0].file_size > seen.snapshots[0].data_size);
    assert_int_equal(seen.snapshots[0].sealed, sealed);
    assert_int_equal(seen.snapshots[0].key,
                     sealed ? SWK_STORAGE_KEY_NEWEST : SWK_STORAGE_KEY_NONE);
}

static void inspection_tells_damage_and_torn_writes(void **state)
{
    struct f *f = *state;
    struct seen seen;

    open_store(f);
    append(f, 1, 1, 1);
    append(f, 1, 2, 2);
    append(f, 1, 3, 3);
    file_store_close(&f->store);
    inspect(f, &seen);
    uint64_t end = seen.segments[0].used;
    damage(f, FIRST, end - 40); /* in the last record */
    inspect(f, &seen);
    assert_int_equal(seen.segments[0].verdict, SWK_STORAGE_TORN);
    assert_int_equal(seen.segments[0].offset, seen.segments[0].used);
    assert_int_equal(seen.segments[0].last_index, 2);
    damage(f, FIRST, end - 40);
    damage(f, FIRST, SWKI_SEGMENT_HEAD_SIZE + 40);
    inspect(f, &seen);
    assert_int_equal(seen.segments[0].verdict, SWK_STORAGE_DAMAGED);
    assert_int_equal(seen.segments[0].offset, SWKI_SEGMENT_HEAD_SIZE);
    damage(f, FIRST, SWKI_SEGMENT_HEAD_SIZE + 40);
    damage(f, FIRST, 40);
    inspect(f, &seen);
    assert_int_equal(seen.segments[0].verdict, SWK_STORAGE_DAMAGED);
    assert_int_equal(seen.segments[0].format, 0);
    write_old_log(f, 2);
    inspect(f, &seen);
    assert_int_equal(seen.segments[0].verdict, SWK_STORAGE_OTHER_FORMAT);
    assert_int_equal(seen.segments[0].format, 2);
}

static void inspection_tells_which_key_opens_what(void **state)
{
    struct f *f = *state;
    struct seen seen;

    open_store(f);
    append(f, 1, 1, 3);
    assert_int_equal(
        swk_file_storage_set_key(&f->store.storage, file_store_keys[1], NULL),
        0);
    append(f, 1, 4, 5);
    file_store_close(&f->store);
    f->store.config.key = file_store_keys[1];
    f->store.config.old_key = file_store_keys[0];
    inspect(f, &seen);
    assert_int_equal(seen.segments[0].key, SWK_STORAGE_KEY_OLD);
    assert_int_equal(seen.segments[1].key, SWK_STORAGE_KEY_NEWEST);
    assert_int_equal(seen.last_index, 5);
    f->store.config.old_key = NULL;
    inspect(f, &seen);
    assert_int_equal(seen.segments[0].verdict, SWK_STORAGE_LOCKED);
    assert_int_equal(seen.segments[0].key, SWK_STORAGE_KEY_NONE);
    assert_int_equal(seen.segments[0].sealed, 1);
    assert_int_equal(seen.segments[1].verdict, SWK_STORAGE_GOOD);
}

int main(void)
{
#define SEALED(function)                                                       \
    cmocka_unit_test_setup_teardown(function, set_up_sealed, tear_down)
    const struct CMUnitTest tests[] = {
        TEST_BOTH(segments_are_used_again),
        TEST_BOTH(what_a_used_file_held_before_is_never_read),
        TEST_BOTH(no_more_spares_are_kept_than_asked_for),
        SEALED(files_under_another_key_are_not_kept),
        SEALED(spares_under_another_key_are_not_kept),
        TEST_BOTH(r_dsk_2_a_full_disk_takes_terms_votes_and_a_snapshot),
        TEST_BOTH(r_dsk_2_entries_do_not_take_what_is_set_aside),
        TEST_BOTH(r_dsk_2_what_was_used_up_is_set_aside_again),
        TEST_BOTH(logs_of_other_formats_are_refused_by_name),
        TEST_BOTH(a_generation_comes_with_what_is_appended_or_not_at_all),
        TEST_BOTH(a_reader_changes_nothing_and_needs_no_lock),
        TEST(a_reader_finds_no_directory_and_makes_none),
        TEST_BOTH(inspection_tells_every_file_and_record),
        TEST_BOTH(inspection_tells_damage_and_torn_writes),
        SEALED(inspection_tells_which_key_opens_what),
    };

    return cmocka_run_group_tests_name("log files", tests, NULL, NULL);
}
