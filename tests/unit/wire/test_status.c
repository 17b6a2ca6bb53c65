/* SPDX-License-Identifier: Apache-2.0 */

/* gRPC's status codes and ours. */

#include "lib/cmocka_all.h"

#include "wire/status.h"

static void statuses_have_grpcs_names(void **state)
{
    (void)state;
    assert_string_equal(swki_status_name(SWKI_STATUS_OK), "OK");
    assert_string_equal(swki_status_name(SWKI_STATUS_CANCELLED), "CANCELLED");
    assert_string_equal(swki_status_name(9), "FAILED_PRECONDITION");
    assert_string_equal(swki_status_name(16), "UNAUTHENTICATED");
    assert_string_equal(swki_status_name(17), "UNKNOWN");
    assert_string_equal(swki_status_name(-1), "UNKNOWN");
}

static void errors_become_the_status_that_clients_expect(void **state)
{
    (void)state;
    assert_int_equal(swki_status_from_error(SWK_OK), SWKI_STATUS_OK);
    assert_int_equal(swki_status_from_error(SWK_EMALFORMED),
                     SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(swki_status_from_error(SWK_ENOTLEADER),
                     SWKI_STATUS_UNAVAILABLE);
    assert_int_equal(swki_status_from_error(SWK_EPRECONDITION),
                     SWKI_STATUS_FAILED_PRECONDITION);
    assert_int_equal(swki_status_from_error(-9999), SWKI_STATUS_UNKNOWN);
}

static void no_error_of_ours_becomes_ok(void **state)
{
    (void)state;
    for (int code = SWK_EREMOVED; code < 0; code++) {
        assert_int_not_equal(swki_status_from_error(code), SWKI_STATUS_OK);
    }
}

static void statuses_of_peers_become_an_error_of_that_status(void **state)
{
    (void)state;
    for (int status = 0; status <= SWKI_STATUS_UNAUTHENTICATED; status++) {
        int code = swki_status_to_error(status);

        assert_int_equal(code == SWK_OK, status == SWKI_STATUS_OK);
        if (status != SWKI_STATUS_OUT_OF_RANGE) { /* ours has no such code */
            assert_int_equal(swki_status_from_error(code), status);
        }
    }
    assert_int_equal(swki_status_to_error(SWKI_STATUS_OUT_OF_RANGE),
                     SWK_EINVAL);
    assert_int_equal(swki_status_to_error(99), SWK_EUNKNOWN);
}

static void a_peer_that_is_full_is_not_our_lack_of_memory(void **state)
{
    (void)state;
    assert_int_equal(swki_status_to_error(SWKI_STATUS_RESOURCE_EXHAUSTED),
                     SWK_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_have_grpcs_names),
        cmocka_unit_test(errors_become_the_status_that_clients_expect),
        cmocka_unit_test(no_error_of_ours_becomes_ok),
        cmocka_unit_test(statuses_of_peers_become_an_error_of_that_status),
        cmocka_unit_test(a_peer_that_is_full_is_not_our_lack_of_memory),
    };

    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
