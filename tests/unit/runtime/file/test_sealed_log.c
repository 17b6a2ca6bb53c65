/* SPDX-License-Identifier: Apache-2.0 */

/* The log under keys: which opens what, and how one takes the other's place. */

#include "lib/file_store_fixture.h"

#include <stdatomic.h>
#include <stddef.h>

/* Memory that remembers its size, to be looked at when it is given back. */
struct block {
    size_t size;
    max_align_t bytes[];
};

static void *watched_alloc(void *ctx, size_t size)
{
    struct block *block = malloc(sizeof(*block) + size);

    (void)ctx;
    block->size = size;
    return block->bytes;
}

/* Whether there is data as the fixture fills it. */
static bool shows_data(const uint8_t *bytes, size_t size)
{
    int run = 0;

    for (size_t i = 1; i < size && run < 16; i++) {
        run = bytes[i] == (uint8_t)(bytes[i - 1] + 7) ? run + 1 : 0;
    }
    return run == 16;
}

static void watched_free(void *ctx, void *ptr)
{
    atomic_int *shown = ctx;

    if (ptr != NULL) {
        struct block *block =
            (void *)((char *)ptr - offsetof(struct block, bytes));

        *shown += shows_data(ptr, block->size);
        free(block);
    }
}

/* What moves is looked at where it is last. */
static void *watched_realloc(void *ctx, void *ptr, size_t size)
{
    struct block *block =
        ptr != NULL ? (void *)((char *)ptr - offsetof(struct block, bytes))
                    : NULL;

    (void)ctx;
    block = realloc(block, sizeof(*block) + size);
    block->size = size;
    return block->bytes;
}

static void use_keys(struct f *f, const uint8_t *key, const uint8_t *old_key)
{
    file_store_close(&f->store);
    f->store.config.key = key;
    f->store.config.old_key = old_key;
}

static int set_key(struct f *f, int number)
{
    return swk_file_storage_set_key(&f->store.storage, file_store_keys[number],
                                    NULL);
}

/* Opening is refused, and changes nothing. */
static void expect_denied(struct f *f, const char *text)
{
    struct disk_file before = {0};
    struct swk_error err = {0};
    struct disk_file *log = disk_find(f->disk, "log-0000000000000001");
    int names = disk_count(f->disk, "");

    before = *log;
    assert_int_equal(file_store_open(&f->store, &err), SWK_EDENIED);
    if (strstr(err.text, text) == NULL) {
        fail_msg("%s", err.text);
    }
    assert_memory_equal(log->cached, before.cached, sizeof(before.cached));
    assert_int_equal(disk_count(f->disk, ""), names);
}

static void a_sealed_log_comes_back_and_shows_nothing(void **state)
{
    struct f *f = *state;

    open_store(f);
    append(f, 1, 1, 40);
    reopen(f);
    append(f, 2, 41, 60); /* under another salt */
    const struct disk_file *log = disk_find(f->disk, "log-0000000000000001");
    uint8_t data[16];
    for (size_t i = 0; i < sizeof(data); i++) { /* as the fixture fills it */
        data[i] = (uint8_t)(5 * 131 + 1 * 17 + i * 7);
    }
    assert_null(memmem(log->cached, sizeof(log->cached), data, sizeof(data)));
    reopen(f);
    assert_int_equal(file_store_last(&f->store), 60);
    assert_int_equal(f->store.warnings, 0);
}

static void nothing_in_clear_is_left_in_memory(void **state)
{
    struct f *f = *state;
    atomic_int shown = 0;
    const struct swk_alloc alloc = {.size = sizeof(alloc),
                                    .ctx = &shown,
                                    .alloc = watched_alloc,
                                    .realloc = watched_realloc,
                                    .free = watched_free};

    f->store.config.alloc = &alloc;
    open_store(f);
    append(f, 1, 1, 20);
    snapshot(f, 15, 1);
    assert_int_equal(file_store_receive(&f->store, 21, 1, 1), 0);
    assert_int_equal(file_store_wait(&f->store), 0);
    append(f, 1, 22, 30);
    reopen(f);
    assert_int_equal(f->store.found.snapshot.index, 21);
    file_store_close(&f->store);
    f->store.config.alloc = NULL;
    assert_int_equal(shown, 0);
}

static void a_wrong_key_is_told_and_changes_nothing(void **state)
{
    struct f *f = *state;

    open_store(f);
    append(f, 1, 1, 10);
    use_keys(f, file_store_keys[1], NULL);
    expect_denied(f, "sealed by another key");
    use_keys(f, file_store_keys[1], file_store_keys[2]);
    expect_denied(f, "sealed by another key");
    use_keys(f, NULL, NULL);
    expect_denied(f, "its key is needed");
    use_keys(f, file_store_keys[0], NULL);
    open_store(f);
    assert_int_equal(file_store_last(&f->store), 10);
}

static void what_is_not_sealed_is_refused_unless_accepted(void **state)
{
    struct f *f = *state;

    f->store.config.key = NULL;
    open_store(f);
    append(f, 1, 1, 10);
    use_keys(f, file_store_keys[0], NULL);
    expect_denied(f, "not sealed");
    f->store.config.flags = SWK_FILE_STORAGE_ACCEPT_UNSEALED;
    open_store(f);
    assert_int_equal(file_store_last(&f->store), 10);
    uint64_t index = 0;
    assert_int_equal(swk_file_storage_uses_old_key(&f->store.storage, &index),
                     1);
    assert_int_equal(index, 10);
    append(f, 1, 11, 12); /* sealed from here on */
    assert_int_equal(disk_count(f->disk, "log-"), 2);
    use_keys(f, NULL, NULL);
    f->store.config.flags = 0;
    assert_int_equal(file_store_open(&f->store, NULL), SWK_EDENIED);
    use_keys(f, file_store_keys[0], NULL);
    expect_denied(f, "not sealed");
}

/* Until a snapshot takes the place of what is under the old key. */
static void
a_mixed_log_opens_with_both_keys_and_with_neither_alone(void **state)
{
    struct f *f = *state;
    uint64_t index = 0;

    open_store(f);
    append(f, 1, 1, 10);
    assert_int_equal(swk_file_storage_uses_old_key(&f->store.storage, &index),
                     0);
    assert_int_equal(set_key(f, 1), 0);
    assert_int_equal(swk_file_storage_uses_old_key(&f->store.storage, &index),
                     1);
    assert_int_equal(index, 10);
    append(f, 1, 11, 12);
    assert_int_equal(disk_count(f->disk, "log-"), 2);

    use_keys(f, file_store_keys[0], NULL);
    expect_denied(f, "another key");
    use_keys(f, file_store_keys[1], NULL);
    expect_denied(f, "another key");
    use_keys(f, file_store_keys[1], file_store_keys[0]);
    open_store(f);
    assert_int_equal(file_store_last(&f->store), 12);
    assert_int_equal(swk_file_storage_uses_old_key(&f->store.storage, &index),
                     1);
    assert_int_equal(index, 10);
    append(f, 1, 13, 14);
    reopen(f);
    assert_int_equal(file_store_last(&f->store), 14);
}

static void a_snapshot_ends_the_need_of_the_old_key(void **state)
{
    struct f *f = *state;
    uint64_t index = 0;

    open_store(f);
    append(f, 1, 1, 20);
    snapshot(f, 10, 1);
    snapshot(f, 20, 1);
    assert_int_equal(set_key(f, 1), 0);
    swk_file_storage_uses_old_key(&f->store.storage, &index);
    assert_int_equal(index, 21); /* there is a snapshot at 20 */
    append(f, 1, 21, 22);
    swk_file_storage_uses_old_key(&f->store.storage, &index);
    assert_int_equal(index, 21);
    snapshot(f, 21, 1);
    assert_int_equal(swk_file_storage_uses_old_key(&f->store.storage, NULL), 0);
    use_keys(f, file_store_keys[1], NULL);
    open_store(f);
    assert_int_equal(f->store.found.snapshot.index, 21);
    assert_int_equal(file_store_last(&f->store), 22);
    assert_int_equal(set_key(f, 2), 0);
}

static void a_third_key_waits_for_the_first_to_go(void **state)
{
    struct f *f = *state;

    open_store(f);
    append(f, 1, 1, 10);
    assert_int_equal(set_key(f, 0), 0); /* in use already */
    assert_int_equal(swk_file_storage_uses_old_key(&f->store.storage, NULL), 0);
    assert_int_equal(set_key(f, 1), 0);
    assert_int_equal(set_key(f, 1), 0);
    assert_int_equal(set_key(f, 2), SWK_EBUSY);
    append(f, 1, 11, 12);
    assert_int_equal(set_key(f, 2), SWK_EBUSY);
}

static void a_storage_without_a_key_takes_none(void **state)
{
    struct f *f = *state;

    f->store.config.key = NULL;
    open_store(f);
    assert_int_equal(set_key(f, 1), SWK_EPRECONDITION);
    assert_int_equal(swk_file_storage_set_key(&f->store.storage, NULL, NULL),
                     SWK_EINVAL);
    file_store_close(&f->store);
    f->store.config.old_key = file_store_keys[1];
    assert_int_equal(file_store_open(&f->store, NULL), SWK_EINVAL);
}

int main(void)
{
#define SEALED(function)                                                       \
    cmocka_unit_test_setup_teardown(function, set_up_sealed, tear_down)
    const struct CMUnitTest tests[] = {
        SEALED(a_sealed_log_comes_back_and_shows_nothing),
        SEALED(nothing_in_clear_is_left_in_memory),
        SEALED(a_wrong_key_is_told_and_changes_nothing),
        SEALED(what_is_not_sealed_is_refused_unless_accepted),
        SEALED(a_mixed_log_opens_with_both_keys_and_with_neither_alone),
        SEALED(a_snapshot_ends_the_need_of_the_old_key),
        SEALED(a_third_key_waits_for_the_first_to_go),
        SEALED(a_storage_without_a_key_takes_none),
    };

    return cmocka_run_group_tests_name("sealed log", tests, NULL, NULL);
}
