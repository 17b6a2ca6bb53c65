/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshots of a storage whose log goes on meanwhile: who waits for what, a
 * full disk, and keys that change. */

#include "lib/cmocka_all.h"

#include <sched.h>
#include <stdlib.h>

#include "lib/disk.h"
#include "lib/file_store.h"
#include "runtime/file/file_storage.h"
#include "runtime/file/snapshot_writer.h"

enum {
    CHUNK = 512,
};

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

static const uint8_t key_a[SWKI_SEAL_KEY_SIZE] =
    "the first key of this storage.";
static const uint8_t key_b[SWKI_SEAL_KEY_SIZE] =
    "another one, which comes later";

/* A disk whose snapshots' syncs hang until they are let go. */
struct slow {
    struct swki_file_io io;
    struct disk *disk;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool hangs;
    int hanging;
};

static struct slow slow = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                           .changed = PTHREAD_COND_INITIALIZER};

static int slow_sync(void *ctx, int fd)
{
    struct disk *disk = ctx;

    pthread_mutex_lock(&slow.mutex);
    if (memcmp(disk->files[fd].cached, "SWKSNAP", 7) == 0) {
        slow.hanging++;
        pthread_cond_broadcast(&slow.changed);
        while (slow.hangs) {
            pthread_cond_wait(&slow.changed, &slow.mutex);
        }
    }
    pthread_mutex_unlock(&slow.mutex);
    return slow.io.sync(ctx, fd);
}

static void set_hangs(bool hangs)
{
    pthread_mutex_lock(&slow.mutex);
    slow.hangs = hangs;
    pthread_cond_broadcast(&slow.changed);
    pthread_mutex_unlock(&slow.mutex);
}

static void await_hanging(void)
{
    pthread_mutex_lock(&slow.mutex);
    while (slow.hanging == 0) {
        pthread_cond_wait(&slow.changed, &slow.mutex);
    }
    pthread_mutex_unlock(&slow.mutex);
}

static struct swk_snapshot_meta meta_at(uint64_t index)
{
    struct swk_snapshot_meta at = meta;

    at.index = index;
    at.term = 1;
    return at;
}

static void nothing_appended_waits_for_the_bytes_of_a_snapshot(void **state)
{
    struct disk *disk = disk_new(1);
    const struct swk_snapshot_meta at = meta_at(5);
    struct file_store store;
    const struct swk_storage *storage = &store.storage;
    static uint8_t data[300];
    int rc;

    (void)state;
    file_store_init(&store, disk);
    slow.io = disk->io;
    slow.disk = disk;
    disk->io.sync = slow_sync;
    assert_int_equal(file_store_open(&store, NULL), 0);
    assert_int_equal(file_store_append(&store, 1, 1, 9, 0), 0);
    assert_int_equal(file_store_wait(&store), 0);
    set_hangs(true);
    assert_int_equal(storage->begin_snapshot(storage->ctx, &at, NULL, NULL), 0);
    assert_int_equal(
        storage->write_snapshot(storage->ctx, data, sizeof(data), NULL), 0);
    assert_int_equal(storage->write_snapshot(storage->ctx, NULL, 0, NULL),
                     SWK_EUNAVAILABLE);
    await_hanging();
    for (uint64_t i = 10; i < 20; i++) {
        assert_int_equal(file_store_append(&store, 1, i, i, 0), 0);
        assert_int_equal(file_store_wait(&store), 0);
    }
    assert_int_equal(storage->write_snapshot(storage->ctx, NULL, 0, NULL),
                     SWK_EUNAVAILABLE);
    set_hangs(false);
    do {
        sched_yield();
        rc = storage->write_snapshot(storage->ctx, NULL, 0, NULL);
    } while (rc == SWK_EUNAVAILABLE);
    assert_int_equal(rc, 0);
    store.ticket++;
    assert_int_equal(
        storage->finish_snapshot(storage->ctx, 0, store.ticket, NULL), 0);
    assert_int_equal(file_store_wait(&store), 0);
    file_store_fini(&store);
    disk_free(disk);
}

static void too_much_that_waits_is_refused_for_now(void **state)
{
    struct disk *disk = disk_new(1);
    const struct swk_snapshot_meta at = meta_at(5);
    struct file_store store;
    const struct swk_storage *storage = &store.storage;
    uint8_t *data = calloc(1, SWKI_SNAPSHOT_QUEUE_MAX);
    int rc;

    (void)state;
    file_store_init(&store, disk);
    slow.io = disk->io;
    slow.disk = disk;
    slow.hanging = 0;
    disk->io.sync = slow_sync;
    assert_int_equal(file_store_open(&store, NULL), 0);
    assert_int_equal(file_store_append(&store, 1, 1, 9, 0), 0);
    /* One that is complete keeps the thread of the next one. */
    struct swk_snapshot_meta first = meta_at(3);
    set_hangs(true);
    assert_int_equal(storage->begin_snapshot(storage->ctx, &first, NULL, NULL),
                     0);
    store.ticket++;
    assert_int_equal(
        storage->finish_snapshot(storage->ctx, 0, store.ticket, NULL), 0);
    await_hanging();
    assert_int_equal(storage->begin_snapshot(storage->ctx, &at, NULL, NULL), 0);
    assert_int_equal(storage->write_snapshot(storage->ctx, data,
                                             SWKI_SNAPSHOT_QUEUE_MAX - 1, NULL),
                     0);
    assert_int_equal(storage->write_snapshot(storage->ctx, data, 1, NULL), 0);
    assert_int_equal(storage->write_snapshot(storage->ctx, data, 1, NULL),
                     SWK_EUNAVAILABLE);
    storage->abort_snapshot(storage->ctx, 0);
    assert_int_equal(storage->begin_snapshot(storage->ctx, &at, NULL, NULL), 0);
    assert_int_equal(storage->write_snapshot(storage->ctx, data, 1, NULL), 0);
    set_hangs(false);
    do {
        sched_yield();
        rc = storage->write_snapshot(storage->ctx, NULL, 0, NULL);
    } while (rc == SWK_EUNAVAILABLE);
    assert_int_equal(rc, 0);
    assert_int_equal(file_store_wait(&store), 0);
    file_store_fini(&store);
    disk_free(disk);
    free(data);
}

static void
a_disk_too_full_for_a_snapshot_costs_the_snapshot_alone(void **state)
{
    struct disk *disk = disk_new(1);
    const struct swk_snapshot_meta at = meta_at(5);
    struct file_store store;
    const struct swk_storage *storage = &store.storage;
    static const uint8_t data[9000];
    struct swk_error err;
    int rc;

    (void)state;
    file_store_init(&store, disk);
    assert_int_equal(file_store_open(&store, NULL), 0);
    assert_int_equal(file_store_append(&store, 1, 1, 9, 0), 0);
    assert_int_equal(file_store_wait(&store), 0);
    disk->space_max = 1; /* nothing new, but what was taken ahead */
    assert_int_equal(storage->begin_snapshot(storage->ctx, &at, NULL, NULL), 0);
    do {
        sched_yield();
        rc = storage->write_snapshot(storage->ctx, data, sizeof(data), &err);
    } while (rc == 0 || rc == SWK_EUNAVAILABLE);
    assert_int_equal(rc, SWK_EIO);
    assert_non_null(strstr(err.text, "no space left"));
    storage->abort_snapshot(storage->ctx, 0);
    assert_int_equal(file_store_append(&store, 1, 10, 11, 0), 0);
    assert_int_equal(file_store_wait(&store), 0);
    disk->space_max = 0;
    assert_int_equal(file_store_snapshot(&store, 8, 1), 0);
    assert_int_equal(file_store_wait(&store), 0);
    file_store_close(&store);
    assert_int_equal(disk_count(disk, "snapshot"), 1);
    assert_int_equal(file_store_open(&store, NULL), 0);
    assert_int_equal(store.found.snapshot.index, 8);
    file_store_fini(&store);
    disk_free(disk);
}

static void what_is_gone_on_with_can_be_read(void **state)
{
    struct disk *disk = disk_new(1);
    const struct swk_snapshot_meta at = meta_at(5);
    struct file_store store;
    const struct swk_storage *storage = &store.storage;
    uint8_t data[4 * CHUNK];
    uint8_t found[sizeof(data)];
    uint64_t offset;
    uint64_t total;
    size_t len;

    (void)state;
    memset(data, 3, sizeof(data));
    file_store_init(&store, disk);
    assert_int_equal(file_store_open(&store, NULL), 0);
    assert_int_equal(storage->begin_snapshot(storage->ctx, &at, &offset, NULL),
                     0);
    assert_int_equal(offset, 0);
    assert_int_equal(
        storage->write_snapshot(storage->ctx, data, sizeof(data), NULL), 0);
    storage->abort_snapshot(storage->ctx, 1);
    assert_int_equal(storage->read_snapshot(storage->ctx, 5, 1, 0, found,
                                            sizeof(found), &len, &total, NULL),
                     SWK_ENOTFOUND);
    assert_int_equal(storage->begin_snapshot(storage->ctx, &at, &offset, NULL),
                     0);
    assert_in_range(offset, sizeof(data) / 2, sizeof(data));
    assert_int_equal(storage->read_snapshot(storage->ctx, 5, 1, 0, found,
                                            sizeof(found), &len, &total, NULL),
                     0);
    assert_int_equal(len, offset);
    assert_int_equal(total, offset);
    assert_memory_equal(found, data, len);
    file_store_fini(&store);
    disk_free(disk);
}

static void take_snapshot(struct file_store *store, uint64_t index)
{
    assert_int_equal(file_store_snapshot(store, index, 1), 0);
    assert_int_equal(file_store_wait(store), 0);
}

/* As the rotation of keys needs it. */
static void
a_snapshot_under_the_new_key_makes_the_old_one_needless(void **state)
{
    struct disk *disk = disk_new(1);
    struct file_store store;
    uint64_t index = 0;

    (void)state;
    file_store_init(&store, disk);
    store.config.key = key_a;
    assert_int_equal(file_store_open(&store, NULL), 0);
    assert_int_equal(file_store_append(&store, 1, 1, 20, 0), 0);
    assert_int_equal(file_store_wait(&store), 0);
    take_snapshot(&store, 5);
    take_snapshot(&store, 10);
    assert_int_equal(swk_file_storage_uses_old_key(&store.storage, NULL), 0);
    assert_int_equal(swk_file_storage_set_key(&store.storage, key_b, NULL), 0);
    assert_int_equal(swk_file_storage_uses_old_key(&store.storage, &index), 1);
    assert_int_equal(index, 20);
    file_store_close(&store);
    store.config.key = key_b;
    store.config.old_key = key_a;
    assert_int_equal(file_store_open(&store, NULL), 0);
    assert_int_equal(store.found.snapshot.index, 10);
    assert_int_equal(swk_file_storage_uses_old_key(&store.storage, NULL), 1);
    assert_int_equal(file_store_append(&store, 1, 21, 22, 0), 0);
    assert_int_equal(file_store_wait(&store), 0);
    take_snapshot(&store, 20);
    assert_int_equal(swk_file_storage_uses_old_key(&store.storage, NULL), 0);
    assert_int_equal(disk_count(disk, "snapshot-"), 1);
    file_store_close(&store);
    store.config.old_key = NULL;
    assert_int_equal(file_store_open(&store, NULL), 0);
    assert_int_equal(store.found.snapshot.index, 20);
    assert_int_equal(file_store_last(&store), 22);
    file_store_fini(&store);
    disk_free(disk);
}

static void
a_new_key_of_the_storage_ends_the_snapshot_that_is_written(void **state)
{
    struct disk *disk = disk_new(1);
    const struct swk_snapshot_meta at = meta_at(5);
    struct file_store store;
    const struct swk_storage *storage = &store.storage;
    static const uint8_t data[10];

    (void)state;
    file_store_init(&store, disk);
    store.config.key = key_a;
    assert_int_equal(file_store_open(&store, NULL), 0);
    assert_int_equal(file_store_append(&store, 1, 1, 9, 0), 0);
    assert_int_equal(file_store_wait(&store), 0);
    assert_int_equal(storage->begin_snapshot(storage->ctx, &at, NULL, NULL), 0);
    assert_int_equal(swk_file_storage_set_key(storage, key_b, NULL), 0);
    assert_int_equal(
        storage->write_snapshot(storage->ctx, data, sizeof(data), NULL),
        SWK_EPRECONDITION);
    assert_int_equal(
        storage->finish_snapshot(storage->ctx, 0, store.ticket + 1, NULL),
        SWK_EPRECONDITION);
    storage->abort_snapshot(storage->ctx, 0);
    take_snapshot(&store, 9);
    assert_int_equal(swk_file_storage_uses_old_key(storage, NULL), 0);
    file_store_fini(&store);
    disk_free(disk);
}

/* Its bytes wait in memory, and its record is in the queue: whichever key the
 * file is made under, it is one of the storage's. */
static void a_new_key_spares_the_snapshot_that_was_finished_before(void **state)
{
    struct disk *disk = disk_new(1);
    const struct swk_snapshot_meta at = meta_at(5);
    struct file_store store;
    const struct swk_storage *storage = &store.storage;
    static const uint8_t data[10];

    (void)state;
    file_store_init(&store, disk);
    store.config.key = key_a;
    assert_int_equal(file_store_open(&store, NULL), 0);
    assert_int_equal(file_store_append(&store, 1, 1, 9, 0), 0);
    assert_int_equal(file_store_wait(&store), 0);
    pthread_mutex_lock(&disk->mutex); /* so that no file is made yet */
    assert_int_equal(storage->begin_snapshot(storage->ctx, &at, NULL, NULL), 0);
    assert_int_equal(
        storage->write_snapshot(storage->ctx, data, sizeof(data), NULL), 0);
    assert_int_equal(
        storage->finish_snapshot(storage->ctx, 0, ++store.ticket, NULL), 0);
    assert_int_equal(swk_file_storage_set_key(storage, key_b, NULL), 0);
    pthread_mutex_unlock(&disk->mutex);
    assert_int_equal(file_store_wait(&store), 0);
    assert_int_equal(swk_file_storage_uses_old_key(storage, NULL), 1);
    assert_int_equal(file_store_append(&store, 1, 10, 11, 0), 0);
    assert_int_equal(file_store_wait(&store), 0);
    take_snapshot(&store, 9);
    take_snapshot(&store, 10);
    assert_int_equal(swk_file_storage_uses_old_key(storage, NULL), 0);
    file_store_fini(&store);
    disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_appended_waits_for_the_bytes_of_a_snapshot),
        cmocka_unit_test(too_much_that_waits_is_refused_for_now),
        cmocka_unit_test(
            a_disk_too_full_for_a_snapshot_costs_the_snapshot_alone),
        cmocka_unit_test(what_is_gone_on_with_can_be_read),
        cmocka_unit_test(
            a_snapshot_under_the_new_key_makes_the_old_one_needless),
        cmocka_unit_test(
            a_new_key_of_the_storage_ends_the_snapshot_that_is_written),
        cmocka_unit_test(
            a_new_key_spares_the_snapshot_that_was_finished_before),
    };

    return cmocka_run_group_tests_name("storage_snapshots", tests, NULL, NULL);
}
