/* SPDX-License-Identifier: Apache-2.0 */

/* The log in memory, held against an array of terms. */

#include "lib/cmocka_all.h"

#include <string.h>

#include "core/raft/entries.h"
#include "lib/heap.h"

enum {
    INDEX_MAX = 400,
    STEPS = 20000,
    DATA_MAX = 900,
};

struct model {
    uint64_t terms[INDEX_MAX + 1];
    size_t lens[INDEX_MAX + 1];
    uint64_t first;
    uint64_t last;
};

struct fixture {
    struct heap heap;
    struct swki_entries log;
    struct model model;
    uint64_t random;
};

static int set_up(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    heap_init(&f.heap);
    swki_entries_init(&f.log, &f.heap.alloc);
    swki_entries_reset(&f.log, 0, 0);
    f.model.first = 1;
    f.random = 88172645463325252U;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    swki_entries_fini(&f->log);
    return heap_live(&f->heap) == 0 ? 0 : -1;
}

static uint64_t draw(struct fixture *f, uint64_t below)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return f->random % below;
}

/* Data that says which entry it belongs to. */
static void fill(uint8_t *data, size_t len, uint64_t index, uint64_t term)
{
    memset(data, (int)(index * 7 + term), len);
}

static void append(struct fixture *f, uint64_t term, size_t len)
{
    uint8_t data[DATA_MAX];
    const struct swk_log_entry entry = {
        .index = f->model.last + 1,
        .term = term,
        .data = data,
        .data_len = len,
    };

    fill(data, len, entry.index, term);
    assert_true(swki_entries_reserve(&f->log, 1, len));
    swki_entries_append(&f->log, &entry);
    memset(data, 0xee, sizeof(data)); /* it was copied */
    f->model.last++;
    f->model.terms[f->model.last] = term;
    f->model.lens[f->model.last] = len;
}

static void append_terms(struct fixture *f, const uint64_t *terms, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        append(f, terms[i], 10);
    }
}

static void compact(struct fixture *f, uint64_t index)
{
    swki_entries_compact(&f->log, index);
    f->model.first = index + 1;
}

static void assert_same(const struct fixture *f)
{
    const struct model *m = &f->model;
    uint8_t data[DATA_MAX];

    assert_int_equal(f->log.first, m->first);
    assert_int_equal(swki_entries_last(&f->log), m->last);
    for (uint64_t i = m->first; i <= m->last; i++) {
        const struct swk_log_entry *entry = swki_entries_at(&f->log, i);

        fill(data, m->lens[i], i, m->terms[i]);
        assert_int_equal(entry->index, i);
        assert_int_equal(entry->term, m->terms[i]);
        assert_int_equal(entry->data_len, m->lens[i]);
        assert_memory_equal(entry->data, data, m->lens[i]);
    }
}

static void r_log_1_any_appends_truncations_and_compactions(void **state)
{
    struct fixture *f = *state;
    struct model *m = &f->model;

    for (int step = 0; step < STEPS; step++) {
        uint64_t count = m->last - m->first + 1;

        switch (draw(f, 8)) {
        default:
            if (m->last < INDEX_MAX) {
                append(f, m->terms[m->last] + draw(f, 2), draw(f, DATA_MAX));
            } else {
                swki_entries_reset(&f->log, 0, 0);
                memset(m, 0, sizeof(*m));
                m->first = 1;
            }
            break;
        case 5:
            if (count > 0) {
                m->last = m->first + draw(f, count) - 1;
                swki_entries_truncate(&f->log, m->last + 1);
            }
            break;
        case 6:
            compact(f, m->first - 1 + draw(f, count + 1));
            break;
        case 7:
            swki_entries_trim(&f->log, UINT64_MAX);
            break;
        }
        assert_same(f);
    }
}

static void r_log_1_what_was_given_out_stays_until_a_trim(void **state)
{
    struct fixture *f = *state;
    static const uint64_t terms[] = {1, 1, 2};
    const uint8_t *data;
    uint8_t expected[10];

    append_terms(f, terms, 3);
    data = swki_entries_at(&f->log, 1)->data;
    compact(f, 2);
    append(f, 3, 700);
    fill(expected, sizeof(expected), 1, 1);
    assert_memory_equal(data, expected, sizeof(expected));
    swki_entries_trim(&f->log, UINT64_MAX);
    assert_same(f);
}

static void r_log_4_an_index_matches_with_its_term_only(void **state)
{
    struct fixture *f = *state;
    static const uint64_t terms[] = {1, 1, 2, 4};

    append_terms(f, terms, 4);
    assert_true(swki_entries_match(&f->log, 0, 0));
    assert_true(swki_entries_match(&f->log, 4, 4));
    assert_false(swki_entries_match(&f->log, 4, 3));
    assert_false(swki_entries_match(&f->log, 5, 4));
    compact(f, 3);
    assert_true(swki_entries_match(&f->log, 3, 2)); /* the one before */
    assert_false(swki_entries_match(&f->log, 2, 1));
}

static void r_log_6_a_guess_is_the_last_of_a_term_not_above(void **state)
{
    struct fixture *f = *state;
    static const uint64_t terms[] = {1, 1, 2, 4, 4, 6};
    uint64_t term = 99;

    append_terms(f, terms, 6);
    assert_int_equal(swki_entries_guess(&f->log, 6, 6, &term), 6);
    assert_int_equal(term, 6);
    assert_int_equal(swki_entries_guess(&f->log, 6, 5, &term), 5);
    assert_int_equal(term, 4);
    assert_int_equal(swki_entries_guess(&f->log, 5, 3, &term), 3);
    assert_int_equal(term, 2);
    assert_int_equal(swki_entries_guess(&f->log, 6, 0, &term), 0);
    assert_int_equal(term, 0);
    compact(f, 4);
    assert_int_equal(swki_entries_guess(&f->log, 5, 3, &term), 3);
    assert_int_equal(term, 0); /* compacted: not known any more */
}

static void r_log_7_at_least_one_entry_and_then_what_fits(void **state)
{
    struct fixture *f = *state;
    static const uint64_t terms[] = {1, 1, 1};
    uint64_t weight;

    append_terms(f, terms, 3);
    weight = swki_entry_weight(swki_entries_at(&f->log, 1));
    assert_true(weight > 10);
    assert_int_equal(swki_entries_fitting(&f->log, 1, 3, 9, 0), 1);
    assert_int_equal(swki_entries_fitting(&f->log, 1, 3, 9, 2 * weight - 1), 1);
    assert_int_equal(swki_entries_fitting(&f->log, 1, 3, 9, 2 * weight), 2);
    assert_int_equal(swki_entries_fitting(&f->log, 1, 3, 9, UINT64_MAX), 3);
    assert_int_equal(swki_entries_fitting(&f->log, 1, 3, 2, UINT64_MAX), 2);
    assert_int_equal(swki_entries_fitting(&f->log, 1, 2, 9, UINT64_MAX), 2);
    assert_int_equal(swki_entries_fitting(&f->log, 4, 3, 9, UINT64_MAX), 0);
}

static void r_log_8_terms_outside_the_log_are_not_known(void **state)
{
    struct fixture *f = *state;
    static const uint64_t terms[] = {1, 2, 3};
    uint64_t term = 99;

    append_terms(f, terms, 3);
    compact(f, 2);
    assert_false(swki_entries_term(&f->log, 1, &term));
    assert_true(swki_entries_term(&f->log, 2, &term));
    assert_int_equal(term, 2);
    assert_false(swki_entries_term(&f->log, 4, &term));
    swki_entries_reset(&f->log, 9, 5);
    assert_int_equal(swki_entries_last(&f->log), 9);
    assert_true(swki_entries_term(&f->log, 9, &term));
    assert_int_equal(term, 5);
    assert_false(swki_entries_term(&f->log, 8, &term));
}

static void a_log_without_memory_stays_as_it_was(void **state)
{
    struct fixture *f = *state;
    static const uint64_t terms[] = {1, 2, 3};

    append_terms(f, terms, 3);
    heap_fail_at(&f->heap, 1);
    assert_false(swki_entries_reserve(&f->log, 100000, 100));
    assert_true(heap_failed(&f->heap));
    heap_fail_at(&f->heap, 0);
    assert_same(f);
    append(f, 4, 20);
    assert_same(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r_log_1_any_appends_truncations_and_compactions),
        TEST(r_log_1_what_was_given_out_stays_until_a_trim),
        TEST(r_log_4_an_index_matches_with_its_term_only),
        TEST(r_log_6_a_guess_is_the_last_of_a_term_not_above),
        TEST(r_log_7_at_least_one_entry_and_then_what_fits),
        TEST(r_log_8_terms_outside_the_log_are_not_known),
        TEST(a_log_without_memory_stays_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
