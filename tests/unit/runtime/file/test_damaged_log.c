/* SPDX-License-Identifier: Apache-2.0 */

/* Damage that no crash explains: what is ignored, what is told as lost, what
 * makes the member useless. */

#include "lib/file_store_fixture.h"

#include <stdio.h>

#include "runtime/file/crc32c.h"

#define FIRST "log-0000000000000001"
#define SECOND "log-0000000000000002"

enum {
    RECORDS_MAX = 64,
};

/* Where the records of a segment are. */
struct records {
    uint64_t at[RECORDS_MAX];
    size_t size[RECORDS_MAX];
    size_t count;
};

static void find_records(struct f *f, const char *name, struct records *out)
{
    struct disk_file *file = disk_find(f->disk, name);
    struct swki_segment_header header;
    struct swki_record record;
    uint64_t at = SWKI_SEGMENT_HEAD_SIZE;

    out->count = 0;
    assert_int_equal(
        swki_segment_header_decode(file->cached, sizeof(file->cached), &header),
        0);
    while (swki_record_decode(file->cached + at, sizeof(file->cached) - at,
                              &header, at, &record)) {
        assert_in_range(out->count, 0, RECORDS_MAX - 1);
        out->at[out->count] = at;
        out->size[out->count] = record.size;
        out->count++;
        at += record.size;
    }
}

static void damage_record(struct f *f, const char *name, size_t number)
{
    struct records records;

    find_records(f, name, &records);
    assert_in_range(number, 0, records.count - 1);
    damage(f, name, records.at[number] + 50);
}

/* Entries 1 to 10 in five records, of term 3. */
static void make_log(struct f *f)
{
    f->store.takes_loss = true;
    open_store(f);
    for (uint64_t i = 1; i < 10; i += 2) {
        append(f, 3, i, i + 1);
    }
}

static void r_dsk_3_entries_behind_damage_are_told_as_lost(void **state)
{
    struct f *f = *state;

    make_log(f);
    file_store_close(&f->store);
    damage_record(f, FIRST, 2);
    open_store(f);
    assert_int_equal(file_store_last(&f->store), 4);
    assert_int_equal(f->store.found.lost, 10);
    assert_int_equal(f->store.found.state.term, 3);
    assert_int_equal(f->store.found.state.vote, 1);
    assert_int_equal(f->store.warnings, 1);
}

static void r_dsk_3_what_was_lost_stays_lost_until_it_is_there(void **state)
{
    struct f *f = *state;

    make_log(f);
    file_store_close(&f->store);
    damage_record(f, FIRST, 2);
    for (uint64_t i = 5; i < 10; i++) {
        open_store(f);
        assert_int_equal(f->store.found.lost, 10);
        assert_int_equal(file_store_last(&f->store), i - 1);
        append(f, 4, i, i);
        file_store_close(&f->store);
    }
    open_store(f);
    append(f, 4, 10, 10);
    reopen(f);
    assert_int_equal(f->store.found.lost, 0);
    assert_int_equal(file_store_last(&f->store), 10);
    assert_int_equal(f->store.found.state.term, 4);
    append(f, 4, 11, 11);
    reopen(f);
    assert_int_equal(f->store.found.lost, 0);
    assert_int_equal(file_store_last(&f->store), 11);
}

static void r_dsk_3_a_snapshot_brings_what_was_lost(void **state)
{
    struct f *f = *state;

    make_log(f);
    file_store_close(&f->store);
    damage_record(f, FIRST, 2);
    open_store(f);
    assert_int_equal(file_store_receive(&f->store, 12, 4, 1), 0);
    assert_int_equal(file_store_wait(&f->store), 0);
    append(f, 4, 13, 13);
    reopen(f);
    assert_int_equal(f->store.found.lost, 0);
    assert_int_equal(f->store.found.snapshot.index, 12);
    assert_int_equal(file_store_last(&f->store), 13);
}

static void r_dsk_3_without_a_taker_nothing_is_cut(void **state)
{
    struct f *f = *state;
    struct swk_error err;

    make_log(f);
    file_store_close(&f->store);
    damage_record(f, FIRST, 2);
    f->store.takes_loss = false;
    assert_int_equal(file_store_open(&f->store, &err), SWK_ECORRUPT);
    assert_non_null(strstr(err.text, "/raft/" FIRST));
    assert_non_null(strstr(err.text, "join again"));
    assert_int_equal(disk_count(f->disk, "log-"), 1);
}

static void r_dsk_3_who_cannot_have_it_again_is_told_the_place(void **state)
{
    struct f *f = *state;
    struct swk_error err;

    make_log(f);
    file_store_close(&f->store);
    damage_record(f, FIRST, 2);
    f->store.refuses_loss = true;
    assert_int_equal(file_store_open(&f->store, &err), SWK_ECORRUPT);
    assert_non_null(strstr(err.text, "/raft/" FIRST));
    assert_non_null(strstr(err.text, "offset"));
    assert_int_equal(disk_count(f->disk, "log-"), 1);
    f->store.refuses_loss = false; /* nothing was cut */
    assert_int_equal(file_store_open(&f->store, &err), 0);
    assert_int_equal(f->store.found.lost, 10);
}

static void r_dsk_3_damage_below_a_snapshot_is_ignored(void **state)
{
    struct f *f = *state;

    for (size_t number = 0; number < 4; number++) {
        struct f other = {.disk = disk_new(number)};

        file_store_init(&other.store, other.disk);
        other.store.config.key = f->store.config.key;
        make_log(&other);
        snapshot(&other, 8, 3);
        append(&other, 3, 11, 12);
        file_store_close(&other.store);
        damage_record(&other, FIRST, number);
        open_store(&other);
        assert_int_equal(other.store.found.lost, 0);
        assert_int_equal(other.store.found.snapshot.index, 8);
        assert_int_equal(file_store_last(&other.store), 12);
        append(&other, 4, 13, 14);
        reopen(&other);
        assert_int_equal(file_store_last(&other.store), 14);
        file_store_fini(&other.store);
        disk_free(other.disk);
    }
}

static void r_dsk_3_damage_above_a_snapshot_is_not(void **state)
{
    struct f *f = *state;

    make_log(f);
    snapshot(f, 7, 3);
    append(f, 3, 11, 12);
    file_store_close(&f->store);
    damage_record(f, FIRST, 4); /* entries 9 and 10 */
    open_store(f);
    assert_int_equal(f->store.found.lost, 12);
    assert_int_equal(f->store.found.snapshot.index, 7);
    assert_int_equal(file_store_last(&f->store), 8);
    append(f, 4, 9, 12);
    reopen(f);
    assert_int_equal(f->store.found.lost, 0);
    assert_int_equal(file_store_last(&f->store), 12);
}

static void r_dsk_3_the_end_is_missing_although_it_was_durable(void **state)
{
    struct f *f = *state;
    struct records records;

    make_log(f);
    file_store_close(&f->store);
    find_records(f, FIRST, &records);
    struct disk_file *file = disk_find(f->disk, FIRST);
    memset(file->cached + records.at[3], 0,
           sizeof(file->cached) - records.at[3]);
    open_store(f);
    assert_int_equal(f->store.found.lost, 10);
    assert_int_equal(file_store_last(&f->store), 6);
}

static void r_dsk_3_a_segment_with_a_bad_header_is_lost(void **state)
{
    struct f *f = *state;
    uint64_t last = 0;

    f->store.takes_loss = true;
    open_store(f);
    while (disk_count(f->disk, "log-") < 3) {
        last++;
        append(f, 3, last, last);
    }
    file_store_close(&f->store);
    damage(f, SECOND, 40);
    open_store(f);
    assert_int_equal(f->store.found.lost, last);
    assert_in_range(file_store_last(&f->store), 1, last - 2);
    uint64_t kept = file_store_last(&f->store);
    append(f, 4, kept + 1, last);
    reopen(f);
    assert_int_equal(f->store.found.lost, 0);
    assert_int_equal(file_store_last(&f->store), last);
}

static void r_dsk_3_a_last_segment_with_a_bad_header_is_lost(void **state)
{
    struct f *f = *state;
    uint64_t last = 0;

    f->store.takes_loss = true;
    open_store(f);
    while (disk_count(f->disk, "log-") < 2) {
        last++;
        append(f, 3, last, last);
    }
    append(f, 5, last + 1, last + 1);
    file_store_close(&f->store);
    damage(f, SECOND, 40);
    open_store(f);
    assert_int_equal(f->store.found.lost, last + 1);
    assert_int_equal(f->store.found.state.term, 5);
    assert_int_equal(file_store_last(&f->store), last - 1);
}

static void
r_dsk_3_a_last_segment_that_is_gone_makes_the_member_useless(void **state)
{
    struct f *f = *state;
    uint64_t last = 0;

    f->store.takes_loss = true;
    open_store(f);
    while (disk_count(f->disk, "log-") < 2) {
        last++;
        append(f, 3, last, last);
    }
    file_store_close(&f->store);
    assert_int_equal(f->disk->io.remove(f->disk, 0, SECOND), 0);
    assert_int_equal(file_store_open(&f->store, NULL), SWK_ECORRUPT);
}

/* -- The bound ------------------------------------------------------------ */

static uint64_t bound_at(const struct f *f, bool newest)
{
    struct disk_file *file = disk_find(f->disk, FIRST);
    uint64_t first = 0;
    uint64_t second = 0;

    for (int i = 7; i >= 0; i--) {
        first = first << 8 | file->cached[SWKI_BOUND_AT + 8 + i];
        second =
            second << 8 | file->cached[SWKI_BOUND_AT + SWKI_BOUND_STEP + 8 + i];
    }
    return (first > second) == newest ? SWKI_BOUND_AT
                                      : SWKI_BOUND_AT + SWKI_BOUND_STEP;
}

static void r_dsk_5_either_copy_of_the_bound_is_enough(void **state)
{
    struct f *f = *state;

    for (int newest = 0; newest < 2; newest++) {
        struct f other = {.disk = disk_new((uint64_t)newest)};

        file_store_init(&other.store, other.disk);
        other.store.config.key = f->store.config.key;
        make_log(&other);
        append(&other, 7, 1, 0); /* a vote in a new term */
        file_store_close(&other.store);
        damage(&other, FIRST, bound_at(&other, newest != 0) + 60);
        open_store(&other);
        assert_int_equal(other.store.found.lost, 0);
        assert_int_equal(other.store.found.state.term, 7);
        assert_int_equal(file_store_last(&other.store), 10);
        append(&other, 7, 11, 11);
        reopen(&other);
        assert_int_equal(file_store_last(&other.store), 11);
        file_store_fini(&other.store);
        disk_free(other.disk);
    }
}

static void r_dsk_5_without_a_bound_the_member_must_join_again(void **state)
{
    struct f *f = *state;
    struct swk_error err;

    make_log(f);
    file_store_close(&f->store);
    damage(f, FIRST, SWKI_BOUND_AT);
    damage(f, FIRST, SWKI_BOUND_AT + SWKI_BOUND_STEP);
    assert_int_equal(file_store_open(&f->store, &err), SWK_ECORRUPT);
    assert_non_null(strstr(err.text, "join again"));
    damage(f, FIRST, SWKI_BOUND_AT);
    open_store(f);
    assert_int_equal(file_store_last(&f->store), 10);
}

/* The record that says it is damaged, but the bound says it too. */
static void r_dsk_5_a_vote_is_known_from_the_bound(void **state)
{
    struct f *f = *state;

    make_log(f);
    append(f, 9, 1, 0);
    append(f, 9, 11, 11);
    file_store_close(&f->store);
    struct records records;
    find_records(f, FIRST, &records);
    for (size_t i = records.count - 3; i < records.count; i++) {
        damage(f, FIRST, records.at[i] + 50);
    }
    open_store(f);
    assert_int_equal(f->store.found.state.term, 9);
    assert_int_equal(f->store.found.state.vote, 1);
    assert_int_equal(f->store.found.lost, 11);
}

/* -- Everywhere ----------------------------------------------------------- */

/* Whatever was opened: what is there is right, what is not is told. */
static void check_whole_or_lost(struct f *f, uint64_t offset, bool last_write)
{
    uint64_t last = file_store_last(&f->store);

    if (last < 10 && f->store.found.lost < 10 && !(last_write && last == 8)) {
        fail_msg("offset %d: ends at %d", (int)offset, (int)last);
    }
    if (f->store.found.state.term != 3) {
        fail_msg("offset %d: term %d", (int)offset,
                 (int)f->store.found.state.term);
    }
}

static void
r_dsk_6_no_flipped_bit_loses_what_was_promised_unnoticed(void **state)
{
    struct f *f = *state;
    struct disk_file *original = malloc(sizeof(*original));
    struct disk *empty = disk_new(9);
    struct records records;

    make_log(f);
    file_store_close(&f->store);
    find_records(f, FIRST, &records);
    *original = *disk_find(f->disk, FIRST);
    uint64_t last_write = records.at[records.count - 1];
    uint64_t end = last_write + records.size[records.count - 1];
    for (uint64_t at = 0; at < end + 64;
         at += at < SWKI_SEGMENT_HEAD_SIZE && at % 512 > 8 ? 29 : 1) {
        memcpy(&f->disk->dir, &empty->dir, sizeof(empty->dir));
        snprintf(f->disk->dir.names[0].name, 64, "%s", FIRST);
        f->disk->dir.names[0].file = 0;
        f->disk->files[0] = *original;
        f->disk->files[0].cached[at] ^= (uint8_t)(1 << at % 8);
        int rc = file_store_open(&f->store, NULL);
        if (rc == 0) {
            check_whole_or_lost(f, at, at >= last_write && at < end);
        } else if (rc != SWK_ECORRUPT && rc != SWK_EDENIED) {
            fail_msg("offset %d: %d", (int)at, rc);
        }
        file_store_close(&f->store);
    }
    disk_free(empty);
    free(original);
}

/* As above by one who makes the checksums right again. */
static void mend(uint8_t *bytes, const struct swki_segment_header *segment,
                 uint64_t offset, size_t size)
{
    const uint64_t place[] = {segment->salt, segment->id, offset};
    uint32_t crc = swki_crc32c(0, place, sizeof(place));

    crc = swki_crc32c(crc, bytes, 28);
    crc = swki_crc32c(crc, bytes + 32, size - 32);
    memcpy(bytes + 28, &crc, 4);
}

static void r_dsk_6_no_forged_record_is_taken(void **state)
{
    struct f *f = *state;
    struct records records;
    struct swki_segment_header header;

    make_log(f);
    file_store_close(&f->store);
    f->store.takes_loss = false;
    find_records(f, FIRST, &records);
    struct disk_file *file = disk_find(f->disk, FIRST);
    assert_int_equal(
        swki_segment_header_decode(file->cached, sizeof(file->cached), &header),
        0);
    for (size_t i = 0; i < records.count; i++) {
        uint8_t *bytes = file->cached + records.at[i];

        for (size_t at = 4; at < records.size[i]; at++) {
            if ((at >= 8 && at < 12) || (at >= 28 && at < 32)) {
                continue; /* not its length, nor the checksum itself */
            }
            bytes[at] ^= 4;
            mend(bytes, &header, records.at[i], records.size[i]);
            int rc = file_store_open(&f->store, NULL);
            if (rc != SWK_ECORRUPT &&
                !(i == records.count - 1 && at >= 12 && at < 28)) {
                fail_msg("record %d, byte %d: %d", (int)i, (int)at, rc);
            }
            assert_true(rc != 0 || file_store_last(&f->store) == 8);
            file_store_close(&f->store);
            if (rc == 0) {
                return; /* its end was rewritten */
            }
            bytes[at] ^= 4;
            mend(bytes, &header, records.at[i], records.size[i]);
        }
    }
}

/* -- Crashes -------------------------------------------------------------- */

/* Power is lost at each call of a load that cuts a damaged end. */
static void r_dsk_3_a_crash_while_the_end_is_cut_changes_nothing(void **state)
{
    struct f *f = *state;
    bool reached = true;

    for (int call = 0; reached; call++) {
        struct f other = {.disk = disk_new((uint64_t)call)};

        file_store_init(&other.store, other.disk);
        other.store.config.key = f->store.config.key;
        make_log(&other);
        file_store_close(&other.store);
        disk_power_cycle(other.disk);
        struct disk_file *file = disk_find(other.disk, FIRST);
        damage_record(&other, FIRST, 2);
        memcpy(file->durable, file->cached, sizeof(file->durable));
        other.disk->power_off_at = call;
        (void)file_store_open(&other.store, NULL);
        file_store_close(&other.store);
        reached = other.disk->off;
        disk_power_cycle(other.disk);
        open_store(&other);
        assert_int_equal(other.store.found.lost, 10);
        assert_int_equal(file_store_last(&other.store), 4);
        file_store_fini(&other.store);
        disk_free(other.disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_BOTH(r_dsk_3_entries_behind_damage_are_told_as_lost),
        TEST_BOTH(r_dsk_3_who_cannot_have_it_again_is_told_the_place),
        TEST_BOTH(r_dsk_3_what_was_lost_stays_lost_until_it_is_there),
        TEST_BOTH(r_dsk_3_a_snapshot_brings_what_was_lost),
        TEST_BOTH(r_dsk_3_without_a_taker_nothing_is_cut),
        TEST_BOTH(r_dsk_3_damage_below_a_snapshot_is_ignored),
        TEST_BOTH(r_dsk_3_damage_above_a_snapshot_is_not),
        TEST_BOTH(r_dsk_3_the_end_is_missing_although_it_was_durable),
        TEST_BOTH(r_dsk_3_a_segment_with_a_bad_header_is_lost),
        TEST_BOTH(r_dsk_3_a_last_segment_with_a_bad_header_is_lost),
        TEST_BOTH(r_dsk_3_a_last_segment_that_is_gone_makes_the_member_useless),
        TEST_BOTH(r_dsk_5_either_copy_of_the_bound_is_enough),
        TEST_BOTH(r_dsk_5_without_a_bound_the_member_must_join_again),
        TEST_BOTH(r_dsk_5_a_vote_is_known_from_the_bound),
        TEST_BOTH(r_dsk_6_no_flipped_bit_loses_what_was_promised_unnoticed),
        cmocka_unit_test_setup_teardown(r_dsk_6_no_forged_record_is_taken,
                                        set_up_sealed, tear_down),
        TEST_BOTH(r_dsk_3_a_crash_while_the_end_is_cut_changes_nothing),
    };

    return cmocka_run_group_tests_name("damaged log", tests, NULL, NULL);
}
