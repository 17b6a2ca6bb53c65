/* SPDX-License-Identifier: Apache-2.0 */

/* The log in memory: terms, runs of entries, compaction, bytes that stay. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "core/raft/log.h"

static void append(struct swki_raft_log *log, uint64_t term, const void *data,
                   size_t data_len)
{
    const struct swk_log_entry entry = {
        .term = term, .data = data, .data_len = data_len};

    assert_true(swki_raft_log_append(log, &entry));
}

static void terms_are_known_from_before_the_first_to_the_last(void **state)
{
    struct swki_raft_log log;

    (void)state;
    swki_raft_log_init(&log, NULL);
    swki_raft_log_begin(&log, 10, 3);
    append(&log, 3, "a", 1);
    append(&log, 4, "b", 1);
    assert_int_equal(swki_raft_log_last(&log), 12);
    assert_int_equal(swki_raft_log_term(&log, 9), 0);
    assert_int_equal(swki_raft_log_term(&log, 10), 3);
    assert_int_equal(swki_raft_log_term(&log, 11), 3);
    assert_int_equal(swki_raft_log_term(&log, 12), 4);
    assert_int_equal(swki_raft_log_term(&log, 13), 0);
    swki_raft_log_fini(&log);
}

static void r_log_7_at_least_one_entry_fits_any_limit(void **state)
{
    struct swki_raft_log log;

    (void)state;
    swki_raft_log_init(&log, NULL);
    append(&log, 1, "four", 4);
    append(&log, 1, "four", 4);
    append(&log, 1, NULL, 0);
    append(&log, 1, "x", 1);
    assert_int_equal(swki_raft_log_fitting(&log, 1, 4, 0), 1);
    assert_int_equal(swki_raft_log_fitting(&log, 1, 4, 7), 1);
    assert_int_equal(swki_raft_log_fitting(&log, 1, 4, 8), 3);
    assert_int_equal(swki_raft_log_fitting(&log, 1, 4, 9), 4);
    assert_int_equal(swki_raft_log_fitting(&log, 3, 2, 9), 0);
    swki_raft_log_fini(&log);
}

static void compaction_keeps_the_bytes_of_the_rest(void **state)
{
    enum { COUNT = 500, LEN = 1000 };
    struct swki_raft_log log;
    uint8_t data[LEN];

    (void)state;
    swki_raft_log_init(&log, NULL);
    for (int i = 1; i <= COUNT; i++) {
        memset(data, i & 0xff, sizeof(data));
        append(&log, (uint64_t)(1 + i / 100), data, sizeof(data));
    }
    assert_int_equal(log.data_size, COUNT * LEN);
    for (uint64_t to = 7; to < COUNT; to += 131) {
        swki_raft_log_compact(&log, to);
        assert_int_equal(log.first, to + 1);
        assert_int_equal(swki_raft_log_term(&log, to), 1 + to / 100);
        for (uint64_t i = log.first; i <= COUNT; i++) {
            const struct swk_log_entry *entry = swki_raft_log_at(&log, i);

            assert_int_equal(entry->index, i);
            assert_int_equal(entry->data[0], i & 0xff);
            assert_int_equal(entry->data[LEN - 1], i & 0xff);
        }
    }
    swki_raft_log_compact(&log, 3); /* long gone */
    swki_raft_log_compact(&log, COUNT);
    assert_int_equal(swki_raft_log_last(&log), COUNT);
    assert_int_equal(log.data_size, 0);
    swki_raft_log_fini(&log);
}

static void entries_larger_than_a_chunk_are_kept(void **state)
{
    enum { LEN = 1536 * 1024 };
    struct swki_raft_log log;
    uint8_t *data = malloc(LEN);

    (void)state;
    memset(data, 0xa5, LEN);
    swki_raft_log_init(&log, NULL);
    append(&log, 1, "small", 5);
    append(&log, 1, data, LEN);
    append(&log, 1, "small", 5);
    assert_memory_equal(swki_raft_log_at(&log, 2)->data, data, LEN);
    assert_memory_equal(swki_raft_log_at(&log, 3)->data, "small", 5);
    assert_int_equal(swki_raft_log_bytes(&log, 1, 3), LEN + 10);
    swki_raft_log_fini(&log);
    free(data);
}

struct counting {
    struct swk_alloc alloc;
    int calls;
};

static void *counting_alloc(void *ctx, size_t size)
{
    ((struct counting *)ctx)->calls++;
    return malloc(size);
}

static void *counting_realloc(void *ctx, void *ptr, size_t size)
{
    ((struct counting *)ctx)->calls++;
    return realloc(ptr, size);
}

static void counting_free(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

static void a_log_in_steady_use_takes_no_memory(void **state)
{
    struct counting c = {.alloc = {sizeof(c.alloc), &c, counting_alloc,
                                   counting_realloc, counting_free}};
    struct swki_raft_log log;
    uint8_t data[256] = {1};
    int warm = 0;

    (void)state;
    swki_raft_log_init(&log, &c.alloc);
    for (uint64_t i = 1; i <= 20000; i++) {
        append(&log, 1, data, sizeof(data));
        if (i % 100 == 0) {
            swki_raft_log_compact(&log, i - 50);
        }
        if (i == 1000) {
            warm = c.calls;
        }
    }
    assert_int_equal(c.calls, warm);
    swki_raft_log_fini(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_are_known_from_before_the_first_to_the_last),
        cmocka_unit_test(r_log_7_at_least_one_entry_fits_any_limit),
        cmocka_unit_test(compaction_keeps_the_bytes_of_the_rest),
        cmocka_unit_test(entries_larger_than_a_chunk_are_kept),
        cmocka_unit_test(a_log_in_steady_use_takes_no_memory),
    };

    return cmocka_run_group_tests_name("raft log", tests, NULL, NULL);
}
