/* SPDX-License-Identifier: Apache-2.0 */

/* A fixture around a file_store, as tests of several subjects need it. */

#ifndef TESTS_LIB_FILE_STORE_FIXTURE_H
#define TESTS_LIB_FILE_STORE_FIXTURE_H

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "lib/file_store.h"
#include "runtime/file/wal.h"

struct f {
    struct disk *disk;
    struct file_store store;
};

static const uint8_t file_store_keys[3][SWK_FILE_STORAGE_KEY_SIZE] = {
    "the first key", "the second key", "the third key"};

static inline int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    f->disk = disk_new(1);
    file_store_init(&f->store, f->disk);
    *state = f;
    return 0;
}

/* With everything sealed. */
static inline int set_up_sealed(void **state)
{
    set_up(state);
    ((struct f *)*state)->store.config.key = file_store_keys[0];
    return 0;
}

static inline int tear_down(void **state)
{
    struct f *f = *state;

    file_store_fini(&f->store);
    disk_free(f->disk);
    free(f);
    return 0;
}

static inline void open_store(struct f *f)
{
    struct swk_error err = {0};

    if (file_store_open(&f->store, &err) != 0) {
        fail_msg("open: %s", err.text);
    }
}

static inline void reopen(struct f *f)
{
    file_store_close(&f->store);
    open_store(f);
}

static inline void append(struct f *f, uint64_t term, uint64_t first,
                          uint64_t last)
{
    assert_int_equal(file_store_append(&f->store, term, first, last, 0), 0);
    assert_int_equal(file_store_wait(&f->store), 0);
}

static inline void snapshot(struct f *f, uint64_t index, uint64_t term)
{
    assert_int_equal(file_store_snapshot(&f->store, index, term), 0);
    assert_int_equal(file_store_wait(&f->store), 0);
}

/* Flips a bit of a file. */
static inline void damage(struct f *f, const char *name, uint64_t offset)
{
    struct disk_file *file = disk_find(f->disk, name);

    assert_non_null(file);
    file->cached[offset] ^= 0x10;
}

#define TEST(function)                                                         \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* One that is run without a key, and with one. */
#define TEST_BOTH(function)                                                    \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down),              \
    {                                                                          \
#function " (sealed)", function, set_up_sealed, tear_down, NULL        \
    }

#endif
