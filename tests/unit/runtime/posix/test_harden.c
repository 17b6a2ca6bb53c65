/* SPDX-License-Identifier: Apache-2.0 */

/* A process that leaves no image of itself; in a child, as it is for good. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <swarmkit/posix.h>

/* 0 if all is as it should be, else which is not. */
static int look(void)
{
    struct rlimit before;
    struct rlimit limit;
    unsigned filter = 1;
    FILE *file;

    if (getrlimit(RLIMIT_CORE, &before) != 0 || swk_process_harden(NULL) != 0) {
        return 1;
    }
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return 2;
    }
    if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur != 0 ||
        limit.rlim_max != before.rlim_max) {
        return 3;
    }
    file = fopen("/proc/self/coredump_filter", "r");
    if (file == NULL || fscanf(file, "%x", &filter) != 1 || filter != 0) {
        return 4;
    }
    fclose(file);
    return 0;
}

static void a_hardened_process_leaves_no_core_dump(void **state)
{
    pid_t child = fork();
    int status;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        _exit(look());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Nobody but root, and that is told of nothing by a process's own words. */
static void it_can_do_so_twice(void **state)
{
    pid_t child = fork();
    int status;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        int first = swk_process_harden(NULL);

        _exit(geteuid() == 0 ? first | swk_process_harden(NULL) : first);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hardened_process_leaves_no_core_dump),
        cmocka_unit_test(it_can_do_so_twice),
    };

    return cmocka_run_group_tests_name("harden", tests, NULL, NULL);
}
