/* SPDX-License-Identifier: Apache-2.0 */

/* Names of signals, capabilities and limits, and the mount table. */

#include "lib/cmocka_all.h"

#include <signal.h>
#include <sys/resource.h>

#include "runtime/exec/cgroups.h"
#include "runtime/exec/names.h"

static void signals_have_names_and_numbers(void **state)
{
    static const struct {
        const char *text;
        int number;
    } cases[] = {
        {"TERM", SIGTERM},    {"SIGTERM", SIGTERM},
        {"sigkill", SIGKILL}, {"15", 15},
        {"USR1", SIGUSR1},    {"0", 0},
        {"999", 0},           {"-1", 0},
        {"SIG", 0},           {"", 0},
        {"NOPE", 0},          {"15x", 0},
        {"RTMIN+", 0},        {"RTMIN+999", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (swki_signal_number(cases[i].text) != cases[i].number) {
            fail_msg("%s: %d", cases[i].text,
                     swki_signal_number(cases[i].text));
        }
    }
    assert_int_equal(swki_signal_number("SIGRTMIN+3"), SIGRTMIN + 3);
    assert_int_equal(swki_signal_number("RTMIN"), SIGRTMIN);
}

static void capabilities_have_names_with_and_without_prefix(void **state)
{
    uint64_t mask = 0;

    (void)state;
    assert_true(swki_capability_add("CHOWN", &mask));
    assert_int_equal(mask, 1);
    assert_true(swki_capability_add("cap_net_admin", &mask));
    assert_int_equal(mask, 1 | 1 << 12);
    assert_false(swki_capability_add("CAP_", &mask));
    assert_false(swki_capability_add("NET", &mask));
    assert_int_equal(mask, 1 | 1 << 12);
    assert_true(swki_capability_add("all", &mask));
    assert_int_equal(mask, (UINT64_C(1) << SWKI_CAPABILITIES_COUNT) - 1);
    assert_string_equal(swki_capability_name(21), "SYS_ADMIN");
    assert_string_equal(swki_capability_name(41), "?");
    assert_string_equal(swki_capability_name(-1), "?");
    assert_int_equal(swki_capabilities_default() & (1 << 21), 0);
}

static void limits_have_names(void **state)
{
    (void)state;
    assert_int_equal(swki_rlimit_number("nofile"), RLIMIT_NOFILE);
    assert_int_equal(swki_rlimit_number("NPROC"), RLIMIT_NPROC);
    assert_int_equal(swki_rlimit_number("files"), -1);
}

static void a_hybrid_mount_table_is_understood(void **state)
{
    struct swki_cgroups c;

    (void)state;
    swki_cgroups_parse(
        &c, "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
            "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup "
            "cgroup rw,cpu,cpuacct\n"
            "35 31 0:32 / /sys/fs/cgroup/memory rw shared:1 master:2 - cgroup "
            "cgroup rw,memory\n"
            "36 31 0:33 / /sys/fs/cg\\040roup/pids rw - cgroup cgroup rw,pids\n"
            "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw");
    assert_string_equal(c.v1[SWKI_CGROUP_CPU], "/sys/fs/cgroup/cpu,cpuacct");
    assert_string_equal(c.v1[SWKI_CGROUP_MEMORY], "/sys/fs/cgroup/memory");
    assert_string_equal(c.v1[SWKI_CGROUP_PIDS], "/sys/fs/cg roup/pids");
    assert_string_equal(c.v1[SWKI_CGROUP_FREEZER], "");
    assert_string_equal(c.unified, "/sys/fs/cgroup/unified");
    assert_string_equal(swki_cgroups_version(&c), "hybrid");
    assert_true(swki_cgroups_limits(&c, SWKI_CGROUP_MEMORY));
}

static void a_unified_mount_table_is_understood(void **state)
{
    struct swki_cgroups c;

    (void)state;
    swki_cgroups_parse(&c, "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - "
                           "cgroup2 cgroup2 rw,nsdelegate\n");
    assert_string_equal(c.unified, "/sys/fs/cgroup");
    assert_string_equal(swki_cgroups_version(&c), "v2");
    /* Until they have been enabled there are no limits. */
    assert_false(swki_cgroups_limits(&c, SWKI_CGROUP_MEMORY));
}

static void damaged_mount_tables_give_nothing(void **state)
{
    static const char *const cases[] = {
        "",
        "\n\n",
        "1 2 3",
        "30 23 0:26 / /sys/fs/cgroup rw",
        "30 23 0:26 / /sys/fs/cgroup rw -",
        "30 23 0:26 / /x rw - cgroup2",
        "- - - - - - - - - -",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_cgroups c;

        swki_cgroups_parse(&c, cases[i]);
        assert_string_equal(swki_cgroups_version(&c), "none");
    }
}

static void groups_that_cannot_be_made_are_forgotten(void **state)
{
    struct swki_cgroups c;

    (void)state;
    swki_cgroups_parse(&c, "1 1 0:1 / /no/such/mount rw - cgroup2 c rw\n"
                           "1 1 0:1 / /no/such/memory rw - cgroup c memory\n");
    swki_cgroups_claim(&c, "swarm");
    assert_string_equal(swki_cgroups_version(&c), "none");
    assert_false(swki_cgroups_limits(&c, SWKI_CGROUP_MEMORY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_have_names_and_numbers),
        cmocka_unit_test(capabilities_have_names_with_and_without_prefix),
        cmocka_unit_test(limits_have_names),
        cmocka_unit_test(a_hybrid_mount_table_is_understood),
        cmocka_unit_test(a_unified_mount_table_is_understood),
        cmocka_unit_test(damaged_mount_tables_give_nothing),
        cmocka_unit_test(groups_that_cannot_be_made_are_forgotten),
    };

    return cmocka_run_group_tests_name("exec names", tests, NULL, NULL);
}
