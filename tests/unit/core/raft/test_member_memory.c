/* SPDX-License-Identifier: Apache-2.0 */

/* Members and memory: none in steady use, little when idle, and whatever
 * allocation fails, nothing is lost by it. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/heap.h"
#include "lib/raft_cluster.h"
#include "lib/raft_direct.h"

enum {
    PROPOSALS = 10000,
    SIZE_HEADER = 16, /* before each piece of a sized heap */
};

/* -- Steady use ------------------------------------------------------------ */

static void propose_many(struct direct *d, unsigned count)
{
    static const uint8_t data[256];
    uint64_t index = 0;

    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(direct_propose(d, data, sizeof(data), &index), 0);
        direct_settle(d);
    }
    assert_int_equal(d->rc, 0);
    assert_true(direct_all_applied(d, index));
}

static void steady_use_takes_no_memory(void **state)
{
    struct heap heap;
    struct direct d;
    struct swk_raft_config config = {
        .size = sizeof(config),
        .alloc = &heap.alloc,
        .snapshot_interval = 5 * PROPOSALS, /* each takes some for itself */
        .snapshot_log_size = UINT64_MAX,
    };

    (void)state;
    heap_init(&heap);
    assert_int_equal(direct_found(&d, 3, &config), 0);
    while (direct_leader(&d) == NULL) {
        direct_tick(&d);
    }
    propose_many(&d, 5 * PROPOSALS - 100); /* the log is as long as it gets */
    propose_many(&d, 200);
    assert_int_equal(d.snapshots, 3);
    heap_fail_at(&heap, 1);
    propose_many(&d, PROPOSALS);
    for (int i = 0; i < 100; i++) {
        direct_tick(&d);
    }
    assert_false(heap_failed(&heap));
    assert_int_equal(heap.calls, 0);
    direct_free(&d);
    assert_int_equal(heap_live(&heap), 0);
}

/* -- Idle groups ----------------------------------------------------------- */

struct sized {
    struct swk_alloc alloc;
    size_t live;
};

static void *sized_alloc(void *ctx, size_t size)
{
    struct sized *sized = ctx;
    uint8_t *made = malloc(size + SIZE_HEADER);

    memcpy(made, &size, sizeof(size));
    sized->live += size;
    return made + SIZE_HEADER;
}

static void sized_free(void *ctx, void *ptr)
{
    struct sized *sized = ctx;
    size_t size;

    if (ptr != NULL) {
        memcpy(&size, (uint8_t *)ptr - SIZE_HEADER, sizeof(size));
        sized->live -= size;
        free((uint8_t *)ptr - SIZE_HEADER);
    }
}

static void *sized_realloc(void *ctx, void *ptr, size_t size)
{
    uint8_t *made = sized_alloc(ctx, size);
    size_t old;

    if (ptr != NULL) {
        memcpy(&old, (uint8_t *)ptr - SIZE_HEADER, sizeof(old));
        memcpy(made, ptr, old < size ? old : size);
        sized_free(ctx, ptr);
    }
    return made;
}

static void an_idle_member_is_small(void **state)
{
    struct sized sized = {.alloc = {sizeof(sized.alloc), &sized, sized_alloc,
                                    sized_realloc, sized_free}};
    struct swk_raft_config config = {.size = sizeof(config),
                                     .alloc = &sized.alloc};
    struct direct d;

    (void)state;
    assert_int_equal(direct_found(&d, 3, &config), 0);
    for (int i = 0; i < 1000; i++) {
        direct_tick(&d);
    }
    assert_non_null(direct_leader(&d));
    assert_in_range(sized.live, 1, 3 * 16384);
    direct_free(&d);
    assert_int_equal(sized.live, 0);
}

/* -- Allocations that fail ------------------------------------------------- */

/* Some allocations in a row fail, beginning with one. */
struct failing {
    struct swk_alloc alloc;
    size_t calls;
    size_t first;
    size_t count;
    size_t live;
};

static bool refuses(struct failing *f)
{
    f->calls++;
    return f->calls >= f->first && f->calls < f->first + f->count;
}

static void *failing_alloc(void *ctx, size_t size)
{
    struct failing *f = ctx;

    if (refuses(f)) {
        return NULL;
    }
    f->live++;
    return malloc(size);
}

static void *failing_realloc(void *ctx, void *ptr, size_t size)
{
    struct failing *f = ctx;

    if (refuses(f)) {
        return NULL;
    }
    f->live += ptr == NULL;
    return realloc(ptr, size);
}

static void failing_free(void *ctx, void *ptr)
{
    struct failing *f = ctx;

    f->live -= ptr != NULL;
    free(ptr);
}

static void configure(struct swk_raft_config *config, void *ctx)
{
    struct failing *f = ctx;

    config->alloc = &f->alloc;
    config->snapshot_interval = 10;
    config->entries_for_slow_followers = 2;
}

static void write_some(struct cluster *c, int count)
{
    for (int i = 0; i < count; i++) {
        struct cluster_member *leader = cluster_elect(c);
        int rc = cluster_propose(leader, "some text that takes some room");

        assert_true(rc == 0 || rc == SWK_EUNAVAILABLE);
        cluster_settle(c);
    }
}

/* Something of everything that members do. */
static void live(struct cluster *c)
{
    struct cluster_member *leader = cluster_found(c, 3);
    uint64_t away = leader->id % 3 + 1;
    int rc;

    write_some(c, 3);
    cluster_isolate(c, away);
    cluster_run(c, 12);
    write_some(c, 15);
    cluster_mend(c);
    cluster_run(c, 20);

    assert_int_equal(cluster_start(c, 4, 0), 0);
    leader = cluster_elect(c);
    rc = cluster_change(leader, SWK_RAFT_ADD_LEARNER, 4);
    assert_true(rc == 0 || rc == SWK_EUNAVAILABLE);
    cluster_run(c, 10);
    leader = cluster_elect(c);
    rc = swk_raft_read_index(leader->raft, "read", 4, NULL);
    assert_true(rc == 0 || rc == SWK_ENOMEM);
    rc = swk_raft_transfer(leader->raft, 0, NULL);
    assert_true(rc == 0 || rc == SWK_ENOMEM || rc == SWK_ENOTFOUND);
    cluster_run(c, 10);
    away = cluster_elect(c)->id;
    cluster_crash(c, away);
    cluster_elect(c);
    assert_int_equal(cluster_start(c, away, 0), 0);
    write_some(c, 3);
}

static void try_failing(struct failing *f)
{
    struct cluster *c = cluster_new();

    f->alloc = (struct swk_alloc){sizeof(f->alloc), f, failing_alloc,
                                  failing_realloc, failing_free};
    f->calls = 0;
    c->patient = true;
    c->configure = configure;
    c->configure_ctx = f;
    live(c);
    cluster_run(c, 30);
    cluster_elect(c);
    cluster_check_converged(c);
    for (uint64_t id = 1; id <= 4; id++) {
        assert_int_equal(c->members[id].failure, 0);
    }
    cluster_free(c);
    assert_int_equal(f->live, 0);
}

static void whatever_allocation_fails_nothing_is_lost(void **state)
{
    static const size_t counts[] = {1, 3};

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct failing f = {.first = 0, .count = counts[i]};

        do {
            f.first++;
            try_failing(&f);
        } while (f.calls >= f.first);
        assert_true(f.first > 100); /* the scenario is worth its name */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steady_use_takes_no_memory),
        cmocka_unit_test(an_idle_member_is_small),
        cmocka_unit_test(whatever_allocation_fails_nothing_is_lost),
    };

    return cmocka_run_group_tests_name("raft member memory", tests, NULL,
                                       NULL);
}
