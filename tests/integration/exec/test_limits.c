/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a spec limits or grants, as the workload sees it. What this machine
 * cannot do must be refused instead, and the description says which it is.
 */

#include "fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int set_up(void **state)
{
    struct node *node = malloc(sizeof(*node));

    node_start(node);
    *state = node;
    return 0;
}

static int tear_down(void **state)
{
    node_remove(*state);
    free(*state);
    return 0;
}

/* Runs a script to its end and returns what it wrote. */
static const char *output_of(struct task *t)
{
    task_run(t);
    (void)task_do(t, SWK_OPERATION_WAIT);
    task_close(t);
    return task_output(t, 0);
}

static void assert_refused(struct task *t, const char *field)
{
    struct swk_error err = {0};

    assert_int_equal(task_new(t, &err), SWK_ENOTSUP);
    if (strstr(err.text, field) == NULL) {
        fail_msg("%s: not named in: %s", field, err.text);
    }
}

/* Shows the groups of the task and the values in them. */
#define SHOW_GROUPS                                                            \
    "while IFS=: read -r n c p; do for m in /sys/fs/cgroup "                   \
    "/sys/fs/cgroup/unified /sys/fs/cgroup/*; do for f in memory.max "         \
    "memory.limit_in_bytes cpu.max cpu.cfs_quota_us pids.max; do "             \
    "case $p in */t1) [ -r $m$p/$f ] && echo $f=$(cat $m$p/$f);; esac; "       \
    "done; done; done < /proc/self/cgroup"

static void memory_is_limited_or_refused(void **state)
{
    struct node *node = *state;
    struct task t;

    task_init(&t, node, "t1", SHOW_GROUPS);
    t.limits.memory_bytes = 64 << 20;
    if (!node_limits(node, "memory")) {
        assert_refused(&t, "resources.limits.memory_bytes");
        return;
    }
    assert_non_null(strstr(output_of(&t), "=67108864\n"));
}

static void a_task_out_of_memory_is_recognised(void **state)
{
    struct node *node = *state;
    struct task t;

    if (!node_limits(node, "memory")) {
        return; /* refused, as shown above */
    }
    task_init(&t, node, "t1", "");
    t.args[0] = (char *)PROBE_PATH;
    t.args[1] = (char *)"eat";
    t.args[2] = (char *)"256";
    if (PROBE_PATH[0] == '\0') {
        t.args[0] = (char *)"/bin/sh";
        t.args[1] = (char *)"-c";
        t.args[2] = (char *)"x=x; while :; do x=$x$x; done";
    }
    t.limits.memory_bytes = 16 << 20;
    task_run(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    assert_int_equal(t.result.exit_code, 137);
    assert_string_equal(t.result.text,
                        "task: non-zero exit (137): out of memory");
    task_close(&t);
}

static void cpu_is_limited_or_refused(void **state)
{
    struct node *node = *state;
    const char *text;
    struct task t;

    task_init(&t, node, "t1", SHOW_GROUPS);
    t.limits.nano_cpus = 500000000;
    if (!node_limits(node, "cpu")) {
        assert_refused(&t, "resources.limits.nano_cpus");
        return;
    }
    text = output_of(&t);
    assert_true(strstr(text, "cpu.max=50000 100000\n") != NULL ||
                strstr(text, "cpu.cfs_quota_us=50000\n") != NULL);
}

static void processes_are_limited_or_refused(void **state)
{
    struct node *node = *state;
    struct task t;

    task_init(&t, node, "t1", SHOW_GROUPS);
    t.container.pidslimit = 17;
    if (!node_limits(node, "pids")) {
        assert_refused(&t, "container.pids_limit");
        return;
    }
    assert_non_null(strstr(output_of(&t), "pids.max=17\n"));
}

static void ulimits_are_set(void **state)
{
    Swkpb__ContainerSpec__Ulimit ulimits[2];
    Swkpb__ContainerSpec__Ulimit *list[2] = {&ulimits[0], &ulimits[1]};
    struct task t;

    for (int i = 0; i < 2; i++) {
        swkpb__container_spec__ulimit__init(&ulimits[i]);
    }
    ulimits[0].name = (char *)"nofile";
    ulimits[0].soft = 100;
    ulimits[0].hard = 200;
    ulimits[1].name = (char *)"core";
    task_init(&t, *state, "t1",
              "ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc");
    t.container.ulimits = list;
    t.container.n_ulimits = 2;
    assert_string_equal(output_of(&t), "100\n200\n0\n0\n");
}

static void a_user_is_switched_to_with_groups_or_refused(void **state)
{
    char *groups[] = {(char *)"4242"};
    struct task t;

    task_init(&t, *state, "t1", "id -u; id -g; id -G");
    t.container.user = (char *)"1234:2345";
    t.container.groups = groups;
    t.container.n_groups = 1;
    if (geteuid() != 0) {
        assert_refused(&t, "container.user");
        return;
    }
    assert_string_equal(output_of(&t), "1234\n2345\n2345 4242\n");
}

static void a_user_that_does_not_exist_is_named(void **state)
{
    struct task t;

    if (geteuid() != 0) {
        return; /* refused, as shown above */
    }
    task_init(&t, *state, "t1", "true");
    t.container.user = (char *)"no-such-user";
    task_open(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_START), SWK_OUTCOME_FATAL);
    assert_string_equal(t.result.text, "starting task failed: unable to find "
                                       "user no-such-user");
    task_close(&t);
    task_init(&t, *state, "t2", "true");
    t.container.user = (char *)"0:no-such-group";
    task_open(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_START), SWK_OUTCOME_FATAL);
    assert_string_equal(t.result.text, "starting task failed: unable to find "
                                       "group no-such-group");
    task_close(&t);
}

static uint64_t effective(const char *text)
{
    const char *line = strstr(text, "CapEff:");

    assert_non_null(line);
    return strtoull(line + strlen("CapEff:"), NULL, 16);
}

static void capabilities_are_few_and_can_be_changed(void **state)
{
    char *none[] = {(char *)"ALL"};
    char *add[] = {(char *)"CAP_SYS_PTRACE"};
    char *drop[] = {(char *)"chown"};
    uint64_t before;
    struct task t;

    task_init(&t, *state, "t1", "cat /proc/self/status");
    if (geteuid() != 0) {
        t.container.capability_add = add;
        t.container.n_capability_add = 1;
        assert_refused(&t, "container.capability_add");
        return;
    }
    before = effective(output_of(&t));
    assert_int_equal(before & (UINT64_C(1) << 21), 0); /* SYS_ADMIN */
    assert_int_equal(before & 1, 1);                   /* CHOWN */

    t.message.id = (char *)"t2";
    t.container.capability_add = add;
    t.container.n_capability_add = 1;
    t.container.capability_drop = drop;
    t.container.n_capability_drop = 1;
    assert_int_equal(effective(output_of(&t)),
                     (before | UINT64_C(1) << 19) & ~UINT64_C(1));

    t.message.id = (char *)"t3";
    t.container.n_capability_add = 0;
    t.container.capability_drop = none;
    assert_int_equal(effective(output_of(&t)), 0);
}

static void no_new_privileges_and_oom_score_are_set(void **state)
{
    Swkpb__Privileges privileges = SWKPB__PRIVILEGES__INIT;
    const char *text;
    struct task t;

    privileges.no_new_privileges = 1;
    task_init(&t, *state, "t1",
              "grep NoNewPrivs /proc/self/status; cat "
              "/proc/self/oom_score_adj");
    t.container.privileges = &privileges;
    t.container.oom_score_adj = 321;
    text = output_of(&t);
    assert_non_null(strstr(text, "NoNewPrivs:\t1\n"));
    assert_non_null(strstr(text, "321\n"));
}

static void a_hostname_is_the_tasks_own_or_refused(void **state)
{
    char before[256];
    char after[256];
    struct task t;

    task_init(&t, *state, "t1", "uname -n");
    t.container.hostname = (char *)"web.3";
    if (geteuid() != 0) {
        assert_refused(&t, "container.hostname");
        return;
    }
    gethostname(before, sizeof(before));
    assert_string_equal(output_of(&t), "web.3\n");
    gethostname(after, sizeof(after));
    assert_string_equal(before, after);
}

static void the_description_says_what_can_be_done(void **state)
{
    struct node *node = *state;

    assert_string_equal(node_label(node, "swarmkit.executor"), "process");
    assert_true(node_label(node, "swarmkit.cgroup")[0] != '\0');
    print_message("cgroups: %s", node_label(node, "swarmkit.cgroup"));
    print_message(", limits: %s\n", node_label(node, "swarmkit.limits"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(memory_is_limited_or_refused),
        TEST(a_task_out_of_memory_is_recognised),
        TEST(cpu_is_limited_or_refused),
        TEST(processes_are_limited_or_refused),
        TEST(ulimits_are_set),
        TEST(a_user_is_switched_to_with_groups_or_refused),
        TEST(a_user_that_does_not_exist_is_named),
        TEST(capabilities_are_few_and_can_be_changed),
        TEST(no_new_privileges_and_oom_score_are_set),
        TEST(a_hostname_is_the_tasks_own_or_refused),
        TEST(the_description_says_what_can_be_done),
    };

    return cmocka_run_group_tests_name("exec limits", tests, NULL, NULL);
}
