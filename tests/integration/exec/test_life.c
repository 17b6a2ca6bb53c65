/* SPDX-License-Identifier: Apache-2.0 */

/* The life of tasks under the process executor: every operation, in and out of
 * order. */

#include "fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <swarmkit/shim.h>

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

static void task_with_status_0_completes(void **state)
{
    struct task t;

    task_init(&t, *state, "t1", "exit 0");
    task_run(&t);
    assert_true(t.result.has_status);
    assert_true(t.result.pid > 0);
    assert_string_equal(t.result.workload_id, "t1");
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_DONE);
    assert_int_equal(t.result.exit_code, 0);
    assert_true(t.result.has_status);
    task_close(&t);
}

static void other_status_fails_with_the_code(void **state)
{
    struct task t;

    task_init(&t, *state, "t1", "exit 3");
    task_run(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    assert_int_equal(t.result.exit_code, 3);
    assert_string_equal(t.result.text, "task: non-zero exit (3)");
    /* And again, when it is long gone. */
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    assert_int_equal(t.result.exit_code, 3);
    task_close(&t);
}

static void death_by_signal_is_128_and_the_signal(void **state)
{
    struct task t;

    task_init(&t, *state, "t1", "kill -USR1 $$; sleep 60");
    task_run(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    assert_int_equal(t.result.exit_code, 128 + SIGUSR1);
    task_close(&t);
}

static void operations_out_of_order_are_answered(void **state)
{
    struct task t;

    task_init(&t, *state, "t1", "sleep 60");
    task_open(&t);
    /* Nothing is there yet. */
    assert_int_equal(task_do(&t, SWK_OPERATION_SHUTDOWN), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&t, SWK_OPERATION_TERMINATE), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&t, SWK_OPERATION_REMOVE), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    assert_false(t.result.has_status);

    assert_int_equal(task_do(&t, SWK_OPERATION_PREPARE), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&t, SWK_OPERATION_PREPARE), SWK_OUTCOME_ALREADY);
    assert_int_equal(task_do(&t, SWK_OPERATION_START), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&t, SWK_OPERATION_START), SWK_OUTCOME_ALREADY);
    assert_int_equal(task_do(&t, SWK_OPERATION_PREPARE), SWK_OUTCOME_ALREADY);

    assert_int_equal(task_do(&t, SWK_OPERATION_SHUTDOWN), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&t, SWK_OPERATION_SHUTDOWN), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&t, SWK_OPERATION_START), SWK_OUTCOME_ALREADY);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    assert_int_equal(t.result.exit_code, 128 + SIGTERM);

    assert_int_equal(task_do(&t, SWK_OPERATION_REMOVE), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&t, SWK_OPERATION_REMOVE), SWK_OUTCOME_DONE);
    task_close(&t);
}

static void start_prepares_what_was_not_prepared(void **state)
{
    struct task t;

    task_init(&t, *state, "t1", "exit 0");
    task_open(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_START), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_DONE);
    task_close(&t);
}

static void wait_can_be_cancelled_and_begun_again(void **state)
{
    struct node *node = *state;
    struct task t;
    uint64_t begun;

    task_init(&t, node, "t1", "sleep 60");
    task_run(&t);
    task_begin(&t, SWK_OPERATION_WAIT);
    begun = now_ms();
    node->executor.cancel(node->executor.ctx, t.controller);
    assert_int_equal(task_end(&t), SWK_OUTCOME_CANCELED);
    assert_true(now_ms() - begun < 1000);
    task_begin(&t, SWK_OPERATION_WAIT);
    kill((pid_t)t.result.pid, SIGKILL);
    assert_int_equal(task_end(&t), SWK_OUTCOME_FATAL);
    assert_int_equal(t.result.exit_code, 137);
    assert_string_equal(t.result.text, "task: non-zero exit (137)");
    task_close(&t);
}

static void cancel_without_operation_does_nothing(void **state)
{
    struct node *node = *state;
    struct task t;

    task_init(&t, node, "t1", "exit 0");
    task_open(&t);
    node->executor.cancel(node->executor.ctx, t.controller);
    assert_int_equal(task_do(&t, SWK_OPERATION_START), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_DONE);
    task_close(&t);
}

static void shutdown_sends_the_stop_signal(void **state)
{
    struct node *node = *state;
    struct task t;
    char script[900];

    snprintf(script, sizeof(script),
             "trap 'exit 7' USR2; echo on > %s; while :; do sleep 0.01; done",
             in_dir(node, "on"));
    task_init(&t, node, "t1", script);
    t.container.stop_signal = (char *)"SIGUSR2";
    task_run(&t);
    wait_file(in_dir(node, "on"));
    assert_int_equal(task_do(&t, SWK_OPERATION_SHUTDOWN), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    assert_int_equal(t.result.exit_code, 7);
    task_close(&t);
}

/* Children that ignore the signal, and one that left the session. */
static void shutdown_kills_all_after_the_grace_period(void **state)
{
    struct node *node = *state;
    struct task t;
    char script[1500];
    int child;
    int daemon;
    uint64_t begun;

    snprintf(script, sizeof(script),
             "trap '' TERM\n"
             "sleep 61 & echo $! > %s\n"
             "setsid sh -c 'echo $$ > %s; exec sleep 62' &\n"
             "while :; do sleep 0.01; done\n",
             in_dir(node, "child"), in_dir(node, "daemon"));
    task_init(&t, node, "t1", script);
    task_grace(&t, 200);
    task_run(&t);
    child = atoi(wait_file(in_dir(node, "child")));
    daemon = atoi(wait_file(in_dir(node, "daemon")));
    assert_true(process_lives(child));
    assert_true(process_lives(daemon));

    begun = now_ms();
    assert_int_equal(task_do(&t, SWK_OPERATION_SHUTDOWN), SWK_OUTCOME_DONE);
    assert_true(now_ms() - begun >= 190);
    assert_true(now_ms() - begun < 5000);
    assert_false(process_lives(child));
    assert_false(process_lives(daemon));
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    assert_int_equal(t.result.exit_code, 137);
    task_close(&t);
}

static void children_die_with_the_main_process(void **state)
{
    struct node *node = *state;
    struct task t;
    char script[1500];
    int child;

    snprintf(script, sizeof(script),
             "setsid sh -c 'echo $$ > %s; exec sleep 62' &\n"
             "while [ ! -s %s ]; do sleep 0.01; done; exit 0\n",
             in_dir(node, "child"), in_dir(node, "child"));
    task_init(&t, node, "t1", script);
    task_run(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_DONE);
    child = atoi(wait_file(in_dir(node, "child")));
    assert_false(process_lives(child));
    task_close(&t);
}

static void terminate_does_not_wait_for_the_grace_period(void **state)
{
    struct task t;
    uint64_t begun;

    task_init(&t, *state, "t1", "trap '' TERM; while :; do sleep 0.01; done");
    task_grace(&t, 60000);
    task_run(&t);
    begun = now_ms();
    assert_int_equal(task_do(&t, SWK_OPERATION_TERMINATE), SWK_OUTCOME_DONE);
    assert_true(now_ms() - begun < 5000);
    task_close(&t);
}

static void a_cancelled_shutdown_can_be_followed_by_terminate(void **state)
{
    struct node *node = *state;
    struct task t;

    task_init(&t, node, "t1", "trap '' TERM; while :; do sleep 0.01; done");
    task_grace(&t, 60000);
    task_run(&t);
    task_begin(&t, SWK_OPERATION_SHUTDOWN);
    node->executor.cancel(node->executor.ctx, t.controller);
    assert_int_equal(task_end(&t), SWK_OUTCOME_CANCELED);
    assert_int_equal(task_do(&t, SWK_OPERATION_TERMINATE), SWK_OUTCOME_DONE);
    task_close(&t);
}

static void remove_stops_and_leaves_nothing(void **state)
{
    struct node *node = *state;
    char path[512];
    struct task t;
    int pid;

    task_init(&t, node, "t1", "sleep 60");
    task_run(&t);
    pid = (int)t.result.pid;
    snprintf(path, sizeof(path), "%s/tasks/t1", node->state_dir);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(task_do(&t, SWK_OPERATION_REMOVE), SWK_OUTCOME_DONE);
    assert_false(process_lives(pid));
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/removed", node->state_dir);
    assert_int_equal(rmdir(path), 0); /* it is empty */
    assert_int_equal(mkdir(path, 0700), 0);
    task_close(&t);
}

/* Longer than a path may be, and partly not readable. */
static void remove_deletes_the_deepest_tree(void **state)
{
    struct node *node = *state;
    char dir[300];
    struct task t;

    snprintf(dir, sizeof(dir), "%s/tasks/t1", node->state_dir);
    task_init(&t, node, "t1",
              "i=0; while [ $i -lt 300 ]; do mkdir some-directory-$i; "
              "echo x > some-directory-$i/file; cd -P some-directory-$i; "
              "i=$((i+1)); done; mkdir closed; echo > closed/file; "
              "chmod 0 closed");
    t.container.dir = dir;
    task_run(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&t, SWK_OPERATION_REMOVE), SWK_OUTCOME_DONE);
    task_close(&t);
}

static void a_command_that_does_not_exist_is_named(void **state)
{
    struct task t;

    task_init(&t, *state, "t1", "");
    t.args[0] = (char *)"/no/such/program";
    t.container.n_command = 1;
    task_open(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_START), SWK_OUTCOME_FATAL);
    assert_string_equal(t.result.text,
                        "starting task failed: exec /no/such/program: No such "
                        "file or directory");
    assert_int_equal(task_do(&t, SWK_OPERATION_START), SWK_OUTCOME_ALREADY);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    assert_non_null(strstr(t.result.text, "exec /no/such/program"));
    assert_int_equal(task_do(&t, SWK_OPERATION_SHUTDOWN), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&t, SWK_OPERATION_REMOVE), SWK_OUTCOME_DONE);
    task_close(&t);
}

static void args_are_the_command_line_without_a_command(void **state)
{
    struct task t;

    task_init(&t, *state, "t1", "exit 4");
    t.container.args = t.args;
    t.container.n_args = 3;
    t.container.n_command = 0;
    task_run(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_FATAL);
    assert_int_equal(t.result.exit_code, 4);
    task_close(&t);
}

static void output_is_logged_by_stream_and_line(void **state)
{
    struct task t;

    task_init(&t, *state, "t1",
              "echo one; echo two >&2; echo three; printf unfinished");
    task_run(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_DONE);
    assert_string_equal(task_output(&t, SWK_LOG_STREAM_STDOUT),
                        "one\nthree\nunfinished");
    assert_string_equal(task_output(&t, SWK_LOG_STREAM_STDERR), "two\n");
    task_close(&t);
}

static void log_files_rotate_at_their_limit(void **state)
{
    struct node *node = *state;
    char path[512];
    struct task t;

    node_stop(node);
    node->config.log_file_size = 4096;
    node->config.log_files_count = 3;
    node_again(node);
    task_init(&t, node, "t1",
              "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done");
    task_run(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_DONE);
    assert_non_null(strstr(task_output(&t, 0), "line 999\n"));
    for (int i = 1; i <= 3; i++) {
        struct stat st;

        snprintf(path, sizeof(path), "%s/tasks/t1/log.%d", node->state_dir, i);
        assert_int_equal(stat(path, &st), i < 3 ? 0 : -1);
        if (i < 3) {
            assert_in_range(st.st_size, 1, 4096);
        }
    }
    task_close(&t);
}

static void the_environment_is_the_specs_alone(void **state)
{
    char *env[] = {(char *)"A=1", (char *)"B=x y=z", (char *)"A=2",
                   (char *)"HOME"};
    Swkpb__NamedGenericResource named[2];
    Swkpb__DiscreteGenericResource discrete;
    Swkpb__GenericResource resources[3];
    Swkpb__GenericResource *list[3] = {&resources[0], &resources[1],
                                       &resources[2]};
    struct task t;

    for (int i = 0; i < 3; i++) {
        swkpb__generic_resource__init(&resources[i]);
    }
    for (int i = 0; i < 2; i++) {
        swkpb__named_generic_resource__init(&named[i]);
        named[i].kind = (char *)"gpu";
        named[i].value = (char *)(i == 0 ? "u1" : "u2");
        resources[i].resource_case =
            SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC;
        resources[i].named_resource_spec = &named[i];
    }
    swkpb__discrete_generic_resource__init(&discrete);
    discrete.kind = (char *)"ssd";
    discrete.value = 4;
    resources[2].resource_case =
        SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC;
    resources[2].discrete_resource_spec = &discrete;

    setenv("SECRET_OF_THE_AGENT", "1", 1);
    task_init(&t, *state, "t1", "");
    t.args[0] = (char *)"env";
    t.container.n_command = 1;
    t.container.env = env;
    t.container.n_env = 4;
    t.message.assigned_generic_resources = list;
    t.message.n_assigned_generic_resources = 3;
    task_run(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_DONE);
    assert_string_equal(task_output(&t, 0),
                        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
                        "/usr/bin:/sbin:/bin\n"
                        "B=x y=z\nA=2\nDOCKER_RESOURCE_GPU=u1,u2\n"
                        "DOCKER_RESOURCE_SSD=4\n");
    task_close(&t);
}

static void standard_input_is_empty_and_no_file_leaks(void **state)
{
    struct task t;

    task_init(&t, *state, "t1",
              "cat; ls /proc/self/fd | tr '\\n' ' '; umask; pwd");
    task_run(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_DONE);
    /* 3 is the directory that ls reads. */
    assert_string_equal(task_output(&t, 0), "0 1 2 3 0022\n/\n");
    task_close(&t);
}

static void a_working_directory_is_entered_or_named(void **state)
{
    struct task t;

    task_init(&t, *state, "t1", "pwd");
    t.container.dir = (char *)"/usr";
    task_run(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_WAIT), SWK_OUTCOME_DONE);
    assert_string_equal(task_output(&t, 0), "/usr\n");
    task_close(&t);

    task_init(&t, *state, "t2", "pwd");
    t.container.dir = (char *)"/no/such";
    task_open(&t);
    assert_int_equal(task_do(&t, SWK_OPERATION_START), SWK_OUTCOME_FATAL);
    assert_string_equal(t.result.text,
                        "starting task failed: container.dir /no/such: No "
                        "such file or directory");
    task_close(&t);
}

static void sweep_removes_what_is_not_in_the_list(void **state)
{
    static const char *const kept[] = {"kept"};
    struct node *node = *state;
    struct task known;
    struct task lost;
    struct task here;

    task_init(&known, node, "kept", "sleep 60");
    task_init(&lost, node, "lost", "sleep 60");
    task_init(&here, node, "here", "sleep 60");
    task_run(&known);
    task_run(&lost);
    node_stop(node);
    node_again(node);
    task_run(&here); /* has a controller */
    node->executor.sweep(node->executor.ctx, kept, 1);
    assert_true(process_lives((int)known.result.pid));
    assert_true(process_lives((int)here.result.pid));
    assert_false(process_lives((int)lost.result.pid));
    task_close(&here);
}

static void two_executors_do_not_share_a_state_directory(void **state)
{
    struct node *node = *state;
    struct swk_executor other;
    struct swk_error err = {0};
    char says[32];

    assert_int_equal(swk_process_executor_new(&node->config, &other, &err),
                     SWK_EBUSY);
    snprintf(says, sizeof(says), "process %d (", getpid());
    assert_non_null(strstr(err.text, says));
    assert_non_null(strstr(err.text, "stop it first"));
}

static void
an_update_of_metadata_is_accepted_and_one_of_the_spec_refused(void **state)
{
    struct node *node = *state;
    uint8_t data[4096];
    struct task t;
    size_t len;

    task_init(&t, node, "t1", "sleep 60");
    task_open(&t);
    t.message.desired_state = SWKPB__TASK_STATE__SHUTDOWN;
    len = protobuf_c_message_pack(&t.message.base, data);
    node->executor.begin(node->executor.ctx, t.controller, SWK_OPERATION_UPDATE,
                         data, len);
    assert_int_equal(task_end(&t), SWK_OUTCOME_DONE);

    t.args[2] = (char *)"sleep 61";
    len = protobuf_c_message_pack(&t.message.base, data);
    t.ends = 0;
    node->executor.begin(node->executor.ctx, t.controller, SWK_OPERATION_UPDATE,
                         data, len);
    assert_int_equal(task_end(&t), SWK_OUTCOME_FATAL);
    assert_non_null(strstr(t.result.text, "task update rejected"));
    task_close(&t);
}

static void wrong_configurations_are_refused_with_the_reason(void **state)
{
    struct node *node = *state;
    struct swk_process_executor_config config = node->config;
    struct swk_executor other = {0};
    struct swk_error err = {0};

    config.shim_path = NULL;
    assert_int_equal(swk_process_executor_new(&config, &other, &err),
                     SWK_EINVAL);
    assert_non_null(strstr(err.text, "shim_path"));
    config = node->config;
    config.cgroup_parent = "../escape";
    assert_int_equal(swk_process_executor_new(&config, &other, &err),
                     SWK_EINVAL);
    assert_non_null(strstr(err.text, "cgroup_parent"));
    config = node->config;
    config.size = 0;
    assert_int_equal(swk_process_executor_new(&config, &other, &err),
                     SWK_EINVAL);

    node_stop(node);
    config = node->config;
    config.shim_path = "/no/such/shim";
    assert_int_equal(swk_process_executor_new(&config, &other, &err),
                     SWK_EINVAL);
    assert_non_null(strstr(err.text, "/no/such/shim"));
    config = node->config;
    config.generic_resources = "gpu";
    assert_int_equal(swk_process_executor_new(&config, &other, &err),
                     SWK_EINVAL);
    assert_non_null(strstr(err.text, "GenericResource"));
    assert_null(other.ctx);
    swk_process_executor_free(&other);
    swk_process_executor_free(NULL);
    node_again(node); /* nothing of the failures stayed behind */
}

static void fifty_tasks_start_at_once(void **state)
{
    enum { COUNT = 50 };
    static struct task tasks[COUNT];
    static char ids[COUNT][16];
    struct node *node = *state;
    uint64_t begun;

    for (int i = 0; i < COUNT; i++) {
        snprintf(ids[i], sizeof(ids[i]), "task%d", i);
        task_init(&tasks[i], node, ids[i], "");
        tasks[i].args[0] = (char *)"/bin/sleep";
        tasks[i].args[1] = (char *)"60";
        tasks[i].container.n_command = 2;
        task_open(&tasks[i]);
        assert_int_equal(task_do(&tasks[i], SWK_OPERATION_PREPARE),
                         SWK_OUTCOME_DONE);
    }
    begun = now_ms();
    for (int i = 0; i < COUNT; i++) {
        task_begin(&tasks[i], SWK_OPERATION_START);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(task_end(&tasks[i]), SWK_OUTCOME_DONE);
    }
    print_message("started %d tasks in %d ms (budget 250)\n", COUNT,
                  (int)(now_ms() - begun));
    begun = now_ms();
    for (int i = 0; i < COUNT; i++) {
        task_begin(&tasks[i], SWK_OPERATION_REMOVE);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(task_end(&tasks[i]), SWK_OUTCOME_DONE);
        assert_false(process_lives((int)tasks[i].result.pid));
        task_close(&tasks[i]);
    }
    print_message("removed %d tasks in %d ms\n", COUNT,
                  (int)(now_ms() - begun));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(task_with_status_0_completes),
        TEST(other_status_fails_with_the_code),
        TEST(death_by_signal_is_128_and_the_signal),
        TEST(operations_out_of_order_are_answered),
        TEST(start_prepares_what_was_not_prepared),
        TEST(wait_can_be_cancelled_and_begun_again),
        TEST(cancel_without_operation_does_nothing),
        TEST(shutdown_sends_the_stop_signal),
        TEST(shutdown_kills_all_after_the_grace_period),
        TEST(children_die_with_the_main_process),
        TEST(terminate_does_not_wait_for_the_grace_period),
        TEST(a_cancelled_shutdown_can_be_followed_by_terminate),
        TEST(remove_stops_and_leaves_nothing),
        TEST(remove_deletes_the_deepest_tree),
        TEST(a_command_that_does_not_exist_is_named),
        TEST(args_are_the_command_line_without_a_command),
        TEST(output_is_logged_by_stream_and_line),
        TEST(log_files_rotate_at_their_limit),
        TEST(the_environment_is_the_specs_alone),
        TEST(standard_input_is_empty_and_no_file_leaks),
        TEST(a_working_directory_is_entered_or_named),
        TEST(sweep_removes_what_is_not_in_the_list),
        TEST(two_executors_do_not_share_a_state_directory),
        TEST(wrong_configurations_are_refused_with_the_reason),
        TEST(an_update_of_metadata_is_accepted_and_one_of_the_spec_refused),
        TEST(fifty_tasks_start_at_once),
    };

    return cmocka_run_group_tests_name("exec life", tests, NULL, NULL);
}
