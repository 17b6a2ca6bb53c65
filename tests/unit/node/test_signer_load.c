/* SPDX-License-Identifier: Apache-2.0 */

/* How much a signer takes in: of one connection, of one user, in all. */

#include "lib/cmocka_all.h"

#include "node/signer/signer_load.h"

static const char connections[8];

static struct swki_rpc_call_info info_of(int connection, int64_t uid)
{
    return (struct swki_rpc_call_info){.connection = &connections[connection],
                                       .uid = uid};
}

static const char *take(struct swki_signer_load *load, int connection,
                        int64_t uid, size_t bytes,
                        struct swki_signer_caller **out_caller)
{
    const struct swki_rpc_call_info info = info_of(connection, uid);
    struct swki_signer_caller *caller;

    return swki_signer_load_take(load, &info, bytes,
                                 out_caller != NULL ? out_caller : &caller);
}

static void give_back(struct swki_signer_load *load, size_t bytes)
{
    while (!swki_list_empty(&load->callers)) {
        swki_signer_load_release(
            load,
            SWKI_CONTAINER(load->callers.next, struct swki_signer_caller, link),
            bytes);
    }
    assert_int_equal(load->all.jobs, 0);
    assert_int_equal(load->all.bytes, 0);
}

static void no_client_takes_all_the_room(void **state)
{
    const struct swk_signer_service_config config = {
        .jobs_per_connection_max = 2, .jobs_per_user_max = 3, .jobs_max = 5};
    struct swki_signer_load load;
    struct swki_signer_caller *caller;

    (void)state;
    swki_signer_load_init(&load, &config);
    assert_null(take(&load, 0, 7, 1, NULL));
    assert_null(take(&load, 0, 7, 1, NULL));
    assert_non_null(strstr(take(&load, 0, 7, 1, NULL), "one connection"));
    assert_null(take(&load, 1, 7, 1, &caller));
    assert_non_null(strstr(take(&load, 1, 7, 1, NULL), "one user"));
    assert_non_null(strstr(take(&load, 2, 7, 1, NULL), "one user"));
    assert_null(take(&load, 3, 8, 1, NULL)); /* another user */
    assert_null(take(&load, 3, 8, 1, NULL));
    assert_string_equal(take(&load, 4, 9, 1, NULL),
                        "the signer has too much to do");
    swki_signer_load_release(&load, caller, 1);
    assert_null(take(&load, 4, 9, 1, NULL));
    give_back(&load, 1);
}

static void bytes_count_like_requests(void **state)
{
    const struct swk_signer_service_config config = {.size = 0};
    const size_t mib = 1024 * 1024;
    struct swki_signer_load load;

    (void)state;
    swki_signer_load_init(&load, &config);
    assert_null(take(&load, 0, 7, 8 * mib, NULL));
    assert_non_null(strstr(take(&load, 0, 7, 1, NULL), "one connection"));
    assert_null(take(&load, 1, 7, 8 * mib, NULL));
    assert_non_null(strstr(take(&load, 2, 7, 1, NULL), "one user"));
    give_back(&load, 8 * mib);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_client_takes_all_the_room),
        cmocka_unit_test(bytes_count_like_requests),
    };

    return cmocka_run_group_tests_name("signer load", tests, NULL, NULL);
}
