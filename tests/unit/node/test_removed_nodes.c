/* SPDX-License-Identifier: Apache-2.0 */

/* The list of nodes that were removed, and its news. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "lib/heap.h"
#include "node/manager/removed_nodes.h"

/* A cluster that has removed the nodes n0 to n<count - 1>. */
static struct swki_object *cluster_without(unsigned count)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_CLUSTER);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Cluster *cluster = swki_cluster_edit(object);

    cluster->blacklisted_certificates = swki_arena_calloc(
        arena, count + 1, sizeof(*cluster->blacklisted_certificates));
    for (unsigned i = 0; i < count; i++) {
        Swkpb__Cluster__BlacklistedCertificatesEntry *entry =
            swki_arena_alloc(arena, sizeof(*entry));

        swkpb__cluster__blacklisted_certificates_entry__init(entry);
        entry->key = swki_arena_printf(arena, "n%u", i);
        cluster->blacklisted_certificates[i] = entry;
    }
    cluster->n_blacklisted_certificates = count;
    return object;
}

static void check(const struct swki_removed_nodes *removed, unsigned count)
{
    char id[16];

    for (unsigned i = 0; i < 200; i++) {
        snprintf(id, sizeof(id), "n%u", i);
        assert_int_equal(swki_removed_nodes_have(removed, id), i < count);
    }
}

static void follow(struct swki_removed_nodes *removed, unsigned count)
{
    struct swki_object *object = cluster_without(count);

    swki_removed_nodes_follow(removed, object);
    swki_object_unref(object); /* the list has its own count */
}

static void the_list_follows_the_cluster_and_counts_news(void **state)
{
    static const struct {
        unsigned count;
        uint64_t removals;
    } steps[] = {{0, 0}, {1, 1}, {1, 1}, {100, 2}, {50, 2}, {51, 3}};
    struct swki_removed_nodes removed;

    (void)state;
    swki_removed_nodes_init(&removed, NULL);
    check(&removed, 0);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        follow(&removed, steps[i].count);
        check(&removed, steps[i].count);
        assert_int_equal(removed.removals, steps[i].removals);
    }
    swki_removed_nodes_fini(&removed);
}

static void want_of_memory_lets_nobody_in(void **state)
{
    struct heap heap;

    (void)state;
    heap_init(&heap);
    for (size_t n = 1;; n++) {
        struct swki_removed_nodes removed;
        bool failed;

        swki_removed_nodes_init(&removed, &heap.alloc);
        heap_fail_at(&heap, n);
        follow(&removed, 100);
        check(&removed, 100);
        assert_int_equal(removed.removals, 1);
        failed = heap_failed(&heap);
        heap_fail_at(&heap, 0);
        follow(&removed, 3); /* and is made up for by the next change */
        check(&removed, 3);
        swki_removed_nodes_fini(&removed);
        assert_int_equal(heap_live(&heap), 0);
        if (!failed) {
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_follows_the_cluster_and_counts_news),
        cmocka_unit_test(want_of_memory_lets_nobody_in),
    };

    return cmocka_run_group_tests_name("removed_nodes", tests, NULL, NULL);
}
