/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Agents and shims that end, well or not, and what the next agent finds: never
 * two instances, nothing left running unowned, the final status right.
 */

#include "fixture.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
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

static void restart(struct node *node)
{
    node_stop(node);
    node_again(node);
}

/* The shim of a workload is its parent. */
static int parent_of(int pid)
{
    char path[64];
    char text[512] = "";
    const char *after;
    int parent = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    after = strrchr(text, ')');
    assert_non_null(after);
    assert_int_equal(sscanf(after + 1, " %*c %d", &parent), 1);
    return parent;
}

static void a_restarted_agent_finds_its_task_running(void **state)
{
    struct node *node = *state;
    struct task t;
    int64_t pid;

    task_init(&t, node, "t1", "sleep 60");
    task_run(&t);
    pid = t.result.pid;
    restart(node);
    assert_true(process_lives((int)pid));

    task_open(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_PREPARE), SWK_OUTCOME_ALREADY);
    assert_int_equal(task_do(&t, SWK_OPERATION_START), SWK_OUTCOME_ALREADY);
    task_begin(&t, SWK_OPERATION_WAIT);
    kill((pid_t)pid, SIGKILL);
    assert_int_equal(task_end(&t), SWK_OUTCOME_FATAL);
    assert_int_equal(t.result.exit_code, 137);
    assert_int_equal(t.result.pid, pid);
    task_close(&t);
}

static void the_first_operation_may_be_any(void **state)
{
    static const struct {
        int operation;
        int outcome;
        bool lives;
    } cases[] = {
        {SWK_OPERATION_PREPARE, SWK_OUTCOME_ALREADY, true},
        {SWK_OPERATION_START, SWK_OUTCOME_ALREADY, true},
        {SWK_OPERATION_SHUTDOWN, SWK_OUTCOME_DONE, false},
        {SWK_OPERATION_TERMINATE, SWK_OUTCOME_DONE, false},
        {SWK_OPERATION_REMOVE, SWK_OUTCOME_DONE, false},
    };
    struct node *node = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct task t;
        char id[16];
        int pid;

        snprintf(id, sizeof(id), "task%zu", i);
        task_init(&t, node, id, "sleep 60");
        task_run(&t);
        pid = (int)t.result.pid;
        restart(node);
        task_open(&t);
        assert_int_equal(task_do(&t, cases[i].operation), cases[i].outcome);
        assert_int_equal(process_lives(pid), cases[i].lives);
        task_close(&t);
    }
}

static void an_exit_while_no_agent_ran_is_reported(void **state)
{
    struct node *node = *state;
    char path[512];
    char script[700];
    struct task t;

    snprintf(script, sizeof(script),
             "while [ ! -e %s ]; do sleep 0.01; done; "
             "exit 5",
             in_dir(node, "go"));
    task_init(&t, node, "t1", script);
    task_run(&t);
    node_stop(node);
    fclose(fopen(in_dir(node, "go"), "w"));
    snprintf(path, sizeof(path), "%s/tasks/t1/exit", node->state_dir);
    wait_file(path);
    node_again(node);
    task_open(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    assert_int_equal(t.result.exit_code, 5);
    assert_string_equal(t.result.text, "task: non-zero exit (5)");
    task_close(&t);
}

static void a_killed_shim_takes_its_workload_along(void **state)
{
    struct node *node = *state;
    char script[900];
    struct task t;
    int daemon;
    int pid;

    snprintf(script, sizeof(script),
             "sh -c 'trap \"\" HUP; echo $$ > %s; sleep 62; sleep 62' & "
             "sleep 61; sleep 61",
             in_dir(node, "daemon"));
    task_init(&t, node, "t1", script);
    task_run(&t);
    pid = (int)t.result.pid;
    daemon = atoi(wait_file(in_dir(node, "daemon")));
    task_begin(&t, SWK_OPERATION_WAIT);
    kill(parent_of(pid), SIGKILL);
    assert_int_equal(task_end(&t), SWK_OUTCOME_FATAL);
    assert_non_null(strstr(t.result.text, "task lost"));
    wait_gone(pid);
    wait_gone(daemon);
    /* Lost for good, not started again. */
    assert_int_equal(task_do(&t, SWK_OPERATION_START), SWK_OUTCOME_ALREADY);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    assert_int_equal(task_do(&t, SWK_OPERATION_SHUTDOWN), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&t, SWK_OPERATION_REMOVE), SWK_OUTCOME_DONE);
    task_close(&t);
}

static void a_start_mark_without_a_shim_is_a_loss(void **state)
{
    struct node *node = *state;
    char path[512];
    struct task t;

    task_init(&t, node, "t1", "sleep 60");
    task_open(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_PREPARE), SWK_OUTCOME_DONE);
    snprintf(path, sizeof(path), "%s/tasks/t1/started", node->state_dir);
    fclose(fopen(path, "w"));
    assert_int_equal(task_do(&t, SWK_OPERATION_START), SWK_OUTCOME_ALREADY);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    assert_non_null(strstr(t.result.text, "task lost"));
    task_close(&t);
}

/* Shims that were told to end by the machine stop their workload in order. */
static void a_shim_that_is_terminated_stops_its_workload(void **state)
{
    struct node *node = *state;
    struct task t;
    char script[900];

    snprintf(script, sizeof(script),
             "trap 'exit 9' TERM; echo on > %s; while :; do sleep 0.01; done",
             in_dir(node, "on"));
    task_init(&t, node, "t1", script);
    task_run(&t);
    wait_file(in_dir(node, "on"));
    kill(parent_of((int)t.result.pid), SIGTERM);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    assert_int_equal(t.result.exit_code, 9);
    task_close(&t);
}

/* An agent in a process of its own, which is killed after some time. */
static void run_and_kill_agent(struct node *node, const char *id,
                               const char *script, int delay_us)
{
    struct timespec delay = {.tv_nsec = delay_us * 1000L};
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct task t;

        node_again(node);
        task_init(&t, node, id, script);
        task_open(&t);
        (void)task_do(&t, SWK_OPERATION_PREPARE);
        (void)task_do(&t, SWK_OPERATION_START);
        (void)task_do(&t, SWK_OPERATION_WAIT);
        _exit(0);
    }
    nanosleep(&delay, NULL);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int count_lines(const char *path)
{
    FILE *file = fopen(path, "r");
    int count = 0;
    int c;

    while (file != NULL && (c = fgetc(file)) != EOF) {
        count += c == '\n' ? 1 : 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

static void an_agent_killed_at_any_point_never_starts_twice(void **state)
{
    struct node *node = *state;

    node_stop(node);
    for (int i = 0; i < 24; i++) {
        char script[700];
        char runs[600];
        struct task t;
        char id[16];

        snprintf(id, sizeof(id), "task%d", i);
        snprintf(runs, sizeof(runs), "%s", in_dir(node, "runs%d", i));
        snprintf(script, sizeof(script), "echo $$ >> %s; exit 6", runs);
        run_and_kill_agent(node, id, script, i * 400);

        node_again(node);
        task_init(&t, node, id, script);
        task_open(&t);
        (void)task_do(&t, SWK_OPERATION_PREPARE);
        (void)task_do(&t, SWK_OPERATION_START);
        assert_true(t.result.outcome == SWK_OUTCOME_DONE ||
                    t.result.outcome == SWK_OUTCOME_ALREADY);
        assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
        if (strstr(t.result.text, "task lost") != NULL) {
            assert_int_equal(count_lines(runs), 0); /* killed before the fork */
        } else {
            assert_int_equal(t.result.exit_code, 6);
            assert_int_equal(count_lines(runs), 1);
        }
        task_close(&t);
        node_stop(node);
    }
    node_again(node);
}

/* Without root there are no cgroups: the shim holds the processes together. */
static void life_without_root(struct node *node)
{
    struct swk_error err = {0};
    char script[1500];
    struct task t;
    int daemon;

    if (setgid(65534) != 0 || setuid(65534) != 0) {
        fail_msg("setuid: %s", strerror(errno));
    }
    node_again(node);
    assert_string_equal(node_label(node, "swarmkit.cgroup"), "none");
    assert_string_equal(node_label(node, "swarmkit.images"), "host");
    task_init(&t, node, "t0", "id -u");
    t.container.user = (char *)"root";
    assert_int_equal(task_new(&t, &err), SWK_ENOTSUP);
    assert_non_null(strstr(err.text, "container.user"));

    snprintf(script, sizeof(script),
             "setsid sh -c 'echo $$ > %s; exec sleep 62' & sleep 61",
             in_dir(node, "daemon"));
    task_init(&t, node, "t1", script);
    task_grace(&t, 200);
    task_run(&t);
    daemon = atoi(wait_file(in_dir(node, "daemon")));
    assert_int_equal(task_do(&t, SWK_OPERATION_SHUTDOWN), SWK_OUTCOME_DONE);
    assert_false(process_lives(daemon));
    task_close(&t);

    /* In the same session, and the shim is killed. */
    snprintf(script, sizeof(script),
             "sh -c 'echo $$ > %s; exec sleep 62' & sleep 61; sleep 61",
             in_dir(node, "daemon2"));
    task_init(&t, node, "t2", script);
    task_run(&t);
    daemon = atoi(wait_file(in_dir(node, "daemon2")));
    kill(parent_of((int)t.result.pid), SIGKILL);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    wait_gone(daemon);
    task_close(&t);
    node->executor.sweep(node->executor.ctx, NULL, 0);
    node_stop(node);
}

/* A shim that others may execute: the build may be where they cannot go. */
static void copy_shim(struct node *node)
{
    static char path[128];
    char command[1024];

    snprintf(path, sizeof(path), "%s/shim", node->top_dir);
    snprintf(command, sizeof(command), "install -m 0755 '%s' '%s'",
             node->config.shim_path, path);
    assert_int_equal(system(command), 0);
    node->config.shim_path = path;
}

static void tasks_live_and_end_without_root(void **state)
{
    struct node *node = *state;
    int status = 0;
    pid_t pid;

    node_stop(node);
    if (geteuid() != 0) {
        life_without_root(node);
        return;
    }
    assert_int_equal(rmdir(in_dir(node, "%0150d/tasks", 1)), 0);
    assert_int_equal(rmdir(in_dir(node, "%0150d/removed", 1)), 0);
    assert_int_equal(rmdir(node->state_dir), 0);
    assert_int_equal(chmod(node->top_dir, 0777), 0);
    copy_shim(node);
    pid = fork();
    if (pid == 0) {
        life_without_root(node);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_restarted_agent_finds_its_task_running),
        TEST(the_first_operation_may_be_any),
        TEST(an_exit_while_no_agent_ran_is_reported),
        TEST(a_killed_shim_takes_its_workload_along),
        TEST(a_start_mark_without_a_shim_is_a_loss),
        TEST(a_shim_that_is_terminated_stops_its_workload),
        TEST(an_agent_killed_at_any_point_never_starts_twice),
        TEST(tasks_live_and_end_without_root),
    };

    return cmocka_run_group_tests_name("exec crash", tests, NULL, NULL);
}
