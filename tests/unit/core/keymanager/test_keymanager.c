/* SPDX-License-Identifier: Apache-2.0 */

/* The keys of networks: made once, replaced when due, whoever leads. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "core/keymanager/keymanager.h"
#include "core/keymanager/ring.h"
#include "core/store/store.h"
#include "lib/storelog.h"
#include "wire/message.h"

#define WALL_START (INT64_C(1893456000) * INT64_C(1000000000))
#define HOURS(n) ((n) * (swk_time)SWK_HOUR)

struct f {
    struct storelog log;
    struct swki_store *store;
    struct swki_key_manager *km;
    struct swki_rng rng;
    struct swk_entropy entropy;
    bool no_entropy;
    swk_time now;
    swk_wall wall;
};

static int fill(void *ctx, void *out, size_t size)
{
    struct f *f = ctx;

    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)out)[i] = (uint8_t)swki_rng_next(&f->rng);
    }
    return f->no_entropy ? -1 : 0;
}

static void lead(struct f *f)
{
    const struct swki_key_manager_config config = {.store = f->store,
                                                   .entropy = &f->entropy};

    assert_int_equal(swki_key_manager_new(&config, &f->km, NULL), 0);
}

static void lead_anew(struct f *f)
{
    swki_key_manager_free(f->km);
    lead(f);
}

static void settle(struct f *f)
{
    for (int i = 0; i < 20; i++) {
        swki_key_manager_step(f->km, f->now, f->wall);
        storelog_commit_all(&f->log, f->store);
        if (!swki_key_manager_pending(f->km) &&
            swki_key_manager_deadline(f->km) > f->now) {
            return;
        }
    }
    fail_msg("the key manager does not come to rest");
}

static void pass(struct f *f, swk_time span)
{
    f->now += span;
    f->wall += (swk_wall)span;
    settle(f);
}

struct key_of {
    const char *subsystem;
    uint64_t time;
};

static void add_cluster(struct f *f, const struct key_of *keys, size_t count,
                        uint64_t clock)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_CLUSTER);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Cluster *cluster = swki_cluster_edit(object);

    cluster->id = swki_arena_strdup(arena, "cluster");
    cluster->network_bootstrap_keys = swki_arena_calloc(
        arena, count + 1, sizeof(*cluster->network_bootstrap_keys));
    for (size_t i = 0; i < count; i++) {
        Swkpb__EncryptionKey *key = swki_arena_alloc(arena, sizeof(*key));

        swkpb__encryption_key__init(key);
        key->subsystem = swki_arena_strdup(arena, keys[i].subsystem);
        key->lamport_time = keys[i].time;
        cluster->network_bootstrap_keys[i] = key;
    }
    cluster->n_network_bootstrap_keys = count;
    cluster->encryption_key_lamport_clock = clock;
    assert_int_equal(storelog_seed(&f->log, f->store, object), 0);
}

static const Swkpb__Cluster *cluster(const struct f *f)
{
    return swki_cluster(swki_view_get(swki_store_committed(f->store),
                                      SWKI_KIND_CLUSTER, "cluster"));
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    const struct swki_store_config config = {.proposer =
                                                 storelog_proposer(&f->log)};

    swki_rng_init(&f->rng, 3);
    f->entropy = (struct swk_entropy){
        .size = sizeof(f->entropy), .ctx = f, .fill = fill};
    f->log.leads = true;
    f->now = SWK_SECOND;
    f->wall = WALL_START;
    assert_int_equal(swki_store_new(&config, &f->store, NULL), 0);
    lead(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_key_manager_free(f->km);
    swki_store_free(f->store);
    storelog_fini(&f->log);
    free(f);
    return 0;
}

static bool has_time(const Swkpb__Cluster *c, const char *subsystem,
                     uint64_t time)
{
    for (size_t i = 0; i < c->n_network_bootstrap_keys; i++) {
        if (c->network_bootstrap_keys[i]->lamport_time == time &&
            strcmp(c->network_bootstrap_keys[i]->subsystem, subsystem) == 0) {
            return true;
        }
    }
    return false;
}

static uint64_t newest(const Swkpb__Cluster *c)
{
    uint64_t time = 0;

    for (size_t i = 0; i < c->n_network_bootstrap_keys; i++) {
        if (c->network_bootstrap_keys[i]->lamport_time > time) {
            time = c->network_bootstrap_keys[i]->lamport_time;
        }
    }
    return time;
}

static void check_rings(const Swkpb__Cluster *c)
{
    assert_int_equal(c->n_network_bootstrap_keys, 6);
    assert_int_equal(swki_key_ring_count(c, SWKI_SUBSYSTEM_GOSSIP), 3);
    assert_int_equal(swki_key_ring_count(c, SWKI_SUBSYSTEM_IPSEC), 3);
    for (size_t i = 0; i < 6; i++) {
        const Swkpb__EncryptionKey *a = c->network_bootstrap_keys[i];

        assert_int_equal(a->key.len, 16);
        for (size_t j = 0; j < i; j++) {
            const Swkpb__EncryptionKey *b = c->network_bootstrap_keys[j];

            assert_true(a->lamport_time != b->lamport_time);
            assert_memory_not_equal(a->key.data, b->key.data, 16);
        }
    }
}

/* -- Tests ---------------------------------------------------------------- */

static void a_new_swarm_gets_three_keys_for_each_subsystem(void **state)
{
    struct f *f = *state;

    settle(f); /* nothing to do without a cluster */
    add_cluster(f, NULL, 0, 0);
    settle(f);
    check_rings(cluster(f));
    assert_int_equal(cluster(f)->encryption_key_lamport_clock,
                     newest(cluster(f)));
    assert_true(newest(cluster(f)) <= 65535 + 6);
    assert_non_null(cluster(f)->network_keys_rotated_at);
}

static void the_oldest_is_replaced_after_twelve_hours(void **state)
{
    struct f *f = *state;
    uint64_t first;

    add_cluster(f, NULL, 0, 0);
    settle(f);
    first = newest(cluster(f)) - 5;
    pass(f, HOURS(12) - 1);
    assert_int_equal(newest(cluster(f)), first + 5);
    pass(f, 1);
    check_rings(cluster(f));
    assert_false(has_time(cluster(f), SWKI_SUBSYSTEM_GOSSIP, first));
    assert_false(has_time(cluster(f), SWKI_SUBSYSTEM_IPSEC, first + 3));
    assert_true(has_time(cluster(f), SWKI_SUBSYSTEM_GOSSIP, first + 6));
    assert_true(has_time(cluster(f), SWKI_SUBSYSTEM_IPSEC, first + 7));
    pass(f, HOURS(36)); /* one who slept makes up for one of them */
    assert_int_equal(newest(cluster(f)), first + 9);
}

static void the_oldest_is_found_in_any_order(void **state)
{
    static const uint64_t orders[][3] = {{10, 20, 30}, {10, 30, 20},
                                         {20, 10, 30}, {20, 30, 10},
                                         {30, 10, 20}, {30, 20, 10}};

    (void)state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        struct f *f;
        void *fresh;
        struct key_of keys[] = {
            {SWKI_SUBSYSTEM_GOSSIP, orders[i][0]},
            {SWKI_SUBSYSTEM_IPSEC, orders[i][2] + 5},
            {SWKI_SUBSYSTEM_GOSSIP, orders[i][1]},
            {SWKI_SUBSYSTEM_IPSEC, orders[i][0] + 5},
            {SWKI_SUBSYSTEM_IPSEC, orders[i][1] + 5},
            {SWKI_SUBSYSTEM_GOSSIP, orders[i][2]},
        };

        set_up(&fresh);
        f = fresh;
        add_cluster(f, keys, 6, 35);
        settle(f); /* their age is not known: it counts from now */
        assert_int_equal(newest(cluster(f)), 35);
        pass(f, HOURS(12));
        assert_int_equal(cluster(f)->n_network_bootstrap_keys, 6);
        assert_false(has_time(cluster(f), SWKI_SUBSYSTEM_GOSSIP, 10));
        assert_false(has_time(cluster(f), SWKI_SUBSYSTEM_IPSEC, 15));
        assert_true(has_time(cluster(f), SWKI_SUBSYSTEM_GOSSIP, 20));
        assert_true(has_time(cluster(f), SWKI_SUBSYSTEM_IPSEC, 25));
        assert_true(has_time(cluster(f), SWKI_SUBSYSTEM_GOSSIP, 36));
        assert_true(has_time(cluster(f), SWKI_SUBSYSTEM_IPSEC, 37));
        tear_down(&fresh);
    }
}

/* Elections every hour, for three days. */
static void leader_changes_do_not_put_it_off(void **state)
{
    struct f *f = *state;
    uint64_t first;

    add_cluster(f, NULL, 0, 0);
    settle(f);
    first = newest(cluster(f));
    for (int i = 0; i < 72; i++) {
        lead_anew(f);
        pass(f, HOURS(1));
    }
    assert_int_equal(newest(cluster(f)), first + 2 * 6);
    check_rings(cluster(f));
}

static void a_leader_takes_over_rings_and_clock(void **state)
{
    struct f *f = *state;
    uint64_t before;

    add_cluster(f, NULL, 0, 0);
    settle(f);
    before = newest(cluster(f));
    f->now = 5 * SWK_SECOND; /* another machine's clock */
    lead_anew(f);
    settle(f);
    assert_int_equal(newest(cluster(f)), before);
    assert_true(swki_key_manager_deadline(f->km) == f->now + HOURS(12));
}

static void a_clock_that_is_put_back_does_not_stop_it(void **state)
{
    struct f *f = *state;
    uint64_t before;

    add_cluster(f, NULL, 0, 0);
    settle(f);
    before = newest(cluster(f));
    f->wall -= (swk_wall)HOURS(10000);
    lead_anew(f);
    settle(f);
    assert_int_equal(newest(cluster(f)), before);
    pass(f, HOURS(12));
    assert_int_equal(newest(cluster(f)), before + 2);
}

/* Not one whose clock fell behind its keys. */
static void no_key_is_as_old_as_another(void **state)
{
    const struct key_of keys[] = {{SWKI_SUBSYSTEM_GOSSIP, 900}};
    struct f *f = *state;

    add_cluster(f, keys, 1, 7);
    settle(f);
    assert_int_equal(swki_key_ring_count(cluster(f), SWKI_SUBSYSTEM_IPSEC), 3);
    assert_int_equal(newest(cluster(f)), 905);
}

static void want_of_entropy_is_tried_again(void **state)
{
    struct f *f = *state;

    f->no_entropy = true;
    add_cluster(f, NULL, 0, 0);
    swki_key_manager_step(f->km, f->now, f->wall);
    storelog_commit_all(&f->log, f->store);
    assert_int_equal(cluster(f)->n_network_bootstrap_keys, 0);
    f->no_entropy = false;
    pass(f, 10 * SWK_SECOND);
    check_rings(cluster(f));
}

static void an_unknown_subsystem_is_refused(void **state)
{
    static const char *const names[] = {SWKI_SUBSYSTEM_GOSSIP,
                                        "networking:smoke"};
    struct f *f = *state;
    struct swki_key_manager_config config = {.store = f->store,
                                             .entropy = &f->entropy,
                                             .subsystems = names,
                                             .subsystems_count = 2};
    struct swki_key_manager *km = NULL;
    struct swk_error err = {0};

    assert_int_equal(swki_key_manager_new(&config, &km, &err), SWK_EINVAL);
    assert_non_null(strstr(err.text, "networking:smoke"));
    assert_null(km);
    config.subsystems_count = 1;
    assert_int_equal(swki_key_manager_new(&config, &km, &err), 0);
    swki_key_manager_free(km);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_new_swarm_gets_three_keys_for_each_subsystem),
        TEST(the_oldest_is_replaced_after_twelve_hours),
        cmocka_unit_test(the_oldest_is_found_in_any_order),
        TEST(leader_changes_do_not_put_it_off),
        TEST(a_leader_takes_over_rings_and_clock),
        TEST(a_clock_that_is_put_back_does_not_stop_it),
        TEST(no_key_is_as_old_as_another),
        TEST(want_of_entropy_is_tried_again),
        TEST(an_unknown_subsystem_is_refused),
    };

    return cmocka_run_group_tests_name("keymanager", tests, NULL, NULL);
}
