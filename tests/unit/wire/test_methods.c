/* SPDX-License-Identifier: Apache-2.0 */

/* The table of calls: complete, found either way, and closed to strangers.
 * Its contents are compared with the protocol's in test_schema.c. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "wire/methods.h"

static void every_method_is_found_by_number_and_path(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= SWKI_METHODS_COUNT; i++) {
        const struct swki_method *method = swki_method_by_number(i);
        char path[128];

        assert_non_null(method);
        assert_int_equal(swki_method_number(method), i);
        assert_ptr_equal(
            swki_method_by_path(method->path, strlen(method->path)), method);
        snprintf(path, sizeof(path), "/%s.%s/%s",
                 i < SWKI_METHOD_RAFT_STREAM_SNAPSHOT ? "docker.swarmkit.v1"
                                                      : "swarmkit.v1",
                 method->service, method->name);
        assert_string_equal(path, method->path);
        assert_non_null(method->request);
        assert_non_null(method->response);
    }
}

static void other_numbers_and_paths_are_no_methods(void **state)
{
    static const struct {
        const char *path;
        size_t len;
    } paths[] = {
        {"", 0},
        {"/", 1},
        {SWKI_PATH_CONTROL_GET_NODE, sizeof(SWKI_PATH_CONTROL_GET_NODE)},
        {SWKI_PATH_CONTROL_GET_NODE, sizeof(SWKI_PATH_CONTROL_GET_NODE) - 2},
        {"/docker.swarmkit.v1.Control/getnode", 35},
        {"/grpc.health.v1.Health/Check", 28},
    };

    (void)state;
    assert_null(swki_method_by_number(0));
    assert_null(swki_method_by_number(SWKI_METHODS_COUNT + 1));
    assert_null(swki_method_by_number(UINT32_MAX));
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_null(swki_method_by_path(paths[i].path, paths[i].len));
    }
}

static bool permits(uint32_t number, uint32_t role)
{
    return swki_method_permits(swki_method_by_number(number), role);
}

static void roles_decide_who_may_call(void **state)
{
    (void)state;
    assert_true(
        permits(SWKI_METHOD_NODE_CA_ISSUE_NODE_CERTIFICATE, SWKI_ROLE_NONE));
    assert_true(
        permits(SWKI_METHOD_CA_GET_ROOT_CA_CERTIFICATE, SWKI_ROLE_WORKER));
    assert_true(permits(SWKI_METHOD_DISPATCHER_SESSION, SWKI_ROLE_WORKER));
    assert_true(permits(SWKI_METHOD_DISPATCHER_SESSION, SWKI_ROLE_MANAGER));
    assert_false(permits(SWKI_METHOD_DISPATCHER_SESSION, SWKI_ROLE_NONE));
    assert_true(permits(SWKI_METHOD_CONTROL_GET_NODE, SWKI_ROLE_MANAGER));
    assert_false(permits(SWKI_METHOD_CONTROL_GET_NODE, SWKI_ROLE_WORKER));
    assert_false(permits(SWKI_METHOD_CONTROL_GET_NODE, SWKI_ROLE_NONE));
    assert_false(permits(SWKI_METHOD_CA_GET_UNLOCK_KEY, SWKI_ROLE_WORKER));
}

static void only_three_calls_are_open_to_anyone(void **state)
{
    int count = 0;

    (void)state;
    for (uint32_t i = 1; i <= SWKI_METHODS_COUNT; i++) {
        count += swki_method_by_number(i)->roles == SWKI_ROLE_NONE;
    }
    assert_int_equal(count, 3);
}

static void workers_reach_no_control_and_no_raft(void **state)
{
    static const char *const closed[] = {"Control", "Raft", "RaftMembership",
                                         "Watch",   "Logs", "Health"};

    (void)state;
    for (uint32_t i = 1; i <= SWKI_METHODS_COUNT; i++) {
        for (size_t j = 0; j < sizeof(closed) / sizeof(closed[0]); j++) {
            if (strcmp(swki_method_by_number(i)->service, closed[j]) == 0) {
                assert_false(permits(i, SWKI_ROLE_WORKER));
            }
        }
    }
}

static void what_only_reads_may_be_repeated(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= SWKI_METHODS_COUNT; i++) {
        const struct swki_method *method = swki_method_by_number(i);

        if ((method->flags & SWKI_CALL_READ_ONLY) != 0) {
            assert_true(method->flags & SWKI_CALL_IDEMPOTENT);
            assert_null(strstr(method->name, "Create"));
            assert_null(strstr(method->name, "Update"));
            assert_null(strstr(method->name, "Remove"));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_is_found_by_number_and_path),
        cmocka_unit_test(other_numbers_and_paths_are_no_methods),
        cmocka_unit_test(roles_decide_who_may_call),
        cmocka_unit_test(only_three_calls_are_open_to_anyone),
        cmocka_unit_test(workers_reach_no_control_and_no_raft),
        cmocka_unit_test(what_only_reads_may_be_repeated),
    };

    return cmocka_run_group_tests_name("methods", tests, NULL, NULL);
}
