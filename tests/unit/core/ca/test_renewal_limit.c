/* SPDX-License-Identifier: Apache-2.0 */

/* How often a node may renew: its own measure, and a table that stays small. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/ca/renewal_limit.h"
#include "lib/heap.h"

struct f {
    struct heap heap;
    struct swki_renewal_limit limit;
    swk_time now;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    heap_init(&f->heap);
    swki_renewal_limit_init(&f->limit, &f->heap.alloc);
    f->now = 1000 * SWK_SECOND;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_renewal_limit_fini(&f->limit);
    assert_int_equal(heap_live(&f->heap), 0);
    free(f);
    return 0;
}

static int take(struct f *f, const char *node_id)
{
    return swki_renewal_limit_take(&f->limit, f->now, node_id, NULL);
}

static void use_up(struct f *f, const char *node_id)
{
    for (int i = 0; i < SWKI_CA_RENEWALS_AT_ONCE; i++) {
        assert_int_equal(take(f, node_id), 0);
    }
    assert_int_equal(take(f, node_id), SWK_ELIMIT);
}

static void each_node_has_its_own_share(void **state)
{
    struct f *f = *state;

    use_up(f, "a");
    use_up(f, "b");
    assert_int_equal(take(f, "a"), SWK_ELIMIT);
}

static void share_comes_back_one_by_one_and_not_beyond_the_whole(void **state)
{
    struct f *f = *state;

    use_up(f, "a");
    f->now += SWKI_CA_RENEWAL_INTERVAL - 1;
    assert_int_equal(take(f, "a"), SWK_ELIMIT);
    f->now += 1;
    assert_int_equal(take(f, "a"), 0);
    assert_int_equal(take(f, "a"), SWK_ELIMIT);
    f->now += 100 * SWKI_CA_RENEWALS_AT_ONCE * SWKI_CA_RENEWAL_INTERVAL;
    use_up(f, "a");
}

static void who_is_refused_is_told_when_to_come_again(void **state)
{
    struct f *f = *state;
    struct swk_error err;

    use_up(f, "a");
    f->now += SWK_SECOND / 2;
    assert_int_equal(swki_renewal_limit_take(&f->limit, f->now, "a", &err),
                     SWK_ELIMIT);
    assert_string_equal(err.text, "node a has renewed its certificate too "
                                  "often: try again in 180 seconds");
    f->now += 180 * SWK_SECOND;
    assert_int_equal(take(f, "a"), 0);
}

static void what_does_not_matter_any_more_is_forgotten(void **state)
{
    struct f *f = *state;

    use_up(f, "a");
    f->now += SWKI_CA_RENEWALS_AT_ONCE * SWKI_CA_RENEWAL_INTERVAL;
    assert_int_equal(take(f, "b"), 0);
    assert_int_equal(f->limit.nodes.count, 1);
}

static void full_table_forgets_who_has_not_asked_for_longest(void **state)
{
    struct f *f = *state;
    char id[16];

    use_up(f, "first");
    use_up(f, "second");
    f->now += SWKI_CA_RENEWAL_INTERVAL;
    assert_int_equal(take(f, "first"), 0); /* later than second */
    for (int i = 2; i < SWKI_CA_RENEWALS_NODES_MAX + 1; i++) {
        snprintf(id, sizeof(id), "n%d", i);
        assert_int_equal(take(f, id), 0);
    }
    assert_int_equal(f->limit.nodes.count, SWKI_CA_RENEWALS_NODES_MAX);
    assert_int_equal(take(f, "first"), SWK_ELIMIT);
    use_up(f, "second");
}

static void want_of_memory_refuses_and_leaves_nothing_behind(void **state)
{
    struct f *f = *state;

    for (size_t n = 1; n == 1 || heap_failed(&f->heap); n++) {
        int rc;

        heap_fail_at(&f->heap, 0);
        swki_renewal_limit_fini(&f->limit);
        heap_fail_at(&f->heap, n);
        rc = take(f, "a");
        assert_int_equal(rc, heap_failed(&f->heap) ? SWK_ENOMEM : SWK_OK);
        assert_int_equal(f->limit.nodes.count, rc == 0);
        assert_true(n < 10);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_node_has_its_own_share),
        TEST(share_comes_back_one_by_one_and_not_beyond_the_whole),
        TEST(who_is_refused_is_told_when_to_come_again),
        TEST(what_does_not_matter_any_more_is_forgotten),
        TEST(full_table_forgets_who_has_not_asked_for_longest),
        TEST(want_of_memory_refuses_and_leaves_nothing_behind),
    };

    return cmocka_run_group_tests_name("renewal_limit", tests, NULL, NULL);
}
