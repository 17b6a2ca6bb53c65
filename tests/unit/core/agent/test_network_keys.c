/* SPDX-License-Identifier: Apache-2.0 */

/* Which lists of keys are news to a node. */

#include "lib/cmocka_all.h"

#include "core/agent/network_keys.h"

static bool take(struct swki_known_keys *known, const uint64_t *times,
                 size_t count)
{
    Swkpb__SessionMessage message = SWKPB__SESSION_MESSAGE__INIT;
    Swkpb__EncryptionKey keys[SWKI_NETWORK_KEYS_MAX + 1];
    Swkpb__EncryptionKey *list[SWKI_NETWORK_KEYS_MAX + 1];

    for (size_t i = 0; i < count; i++) {
        swkpb__encryption_key__init(&keys[i]);
        keys[i].lamport_time = times[i];
        list[i] = &keys[i];
    }
    message.network_bootstrap_keys = list;
    message.n_network_bootstrap_keys = count;
    return swki_known_keys_take(known, &message);
}

static void a_list_with_an_unknown_time_is_taken_whole(void **state)
{
    struct swki_known_keys known = {.count = 0};

    (void)state;
    assert_false(take(&known, NULL, 0));
    assert_true(take(&known, (const uint64_t[]){7, 8, 9}, 3));
    assert_false(take(&known, (const uint64_t[]){9, 8, 7}, 3));
    assert_false(take(&known, (const uint64_t[]){8, 9}, 2));
    assert_true(take(&known, (const uint64_t[]){8, 9, 10}, 3));
    assert_int_equal(known.count, 3);
    assert_true(take(&known, (const uint64_t[]){7}, 1)); /* it was dropped */
    assert_int_equal(known.count, 1);
}

static void a_list_without_keys_takes_none_away(void **state)
{
    struct swki_known_keys known = {.count = 0};

    (void)state;
    assert_true(take(&known, (const uint64_t[]){7}, 1));
    assert_false(take(&known, NULL, 0));
    assert_int_equal(known.count, 1);
}

static void more_keys_than_any_swarm_has_are_not_looked_at(void **state)
{
    struct swki_known_keys known = {.count = 0};
    uint64_t times[SWKI_NETWORK_KEYS_MAX + 1];

    (void)state;
    for (size_t i = 0; i <= SWKI_NETWORK_KEYS_MAX; i++) {
        times[i] = i + 1;
    }
    assert_true(take(&known, times, SWKI_NETWORK_KEYS_MAX + 1));
    assert_int_equal(known.count, SWKI_NETWORK_KEYS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_with_an_unknown_time_is_taken_whole),
        cmocka_unit_test(a_list_without_keys_takes_none_away),
        cmocka_unit_test(more_keys_than_any_swarm_has_are_not_looked_at),
    };

    return cmocka_run_group_tests_name("network_keys", tests, NULL, NULL);
}
