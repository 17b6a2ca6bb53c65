/* SPDX-License-Identifier: Apache-2.0 */

/* Who has a lock. */

#include "lib/cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "runtime/posix/lock_holder.h"

static int open_file(char *path)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    return fd;
}

static void a_holder_is_named_by_its_number(void **state)
{
    char path[] = "/tmp/swk-lock-XXXXXX";
    char name[SWKI_LOCK_HOLDER_SIZE];
    char expected[SWKI_LOCK_HOLDER_SIZE];
    int fd = open_file(path);
    int other = open(path, O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_int_equal(flock(fd, LOCK_EX), 0);
    swki_lock_holder(other, name);
    /* Its name is another one under a debugger of memory. */
    snprintf(expected, sizeof(expected), "process %d (", getpid());
    assert_memory_equal(name, expected, strlen(expected));
    assert_int_equal(name[strlen(name) - 1], ')');
    unlink(path);
    close(other);
    close(fd);
}

static void of_a_lock_that_nobody_has_nobody_is_named(void **state)
{
    char path[] = "/tmp/swk-lock-XXXXXX";
    char name[SWKI_LOCK_HOLDER_SIZE];
    int fd = open_file(path);

    (void)state;
    swki_lock_holder(fd, name);
    assert_string_equal(name, "another process");
    unlink(path);
    close(fd);
    swki_lock_holder(fd, name); /* closed */
    assert_string_equal(name, "another process");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_holder_is_named_by_its_number),
        cmocka_unit_test(of_a_lock_that_nobody_has_nobody_is_named),
    };

    return cmocka_run_group_tests_name("lock_holder", tests, NULL, NULL);
}
