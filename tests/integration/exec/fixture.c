/* SPDX-License-Identifier: Apache-2.0 */

#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <swarmkit/shim.h>

enum {
    PATIENCE_S = 10,
};

uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void pause_briefly(void)
{
    struct timespec t = {.tv_nsec = 2000000};

    nanosleep(&t, NULL);
}

const char *in_dir(struct node *node, const char *format, ...)
{
    static char paths[8][600];
    static int next;
    char *path = paths[next++ % 8];
    size_t len = (size_t)snprintf(path, 600, "%s/", node->top_dir);
    va_list args;

    va_start(args, format);
    vsnprintf(path + len, 600 - len, format, args);
    va_end(args);
    return path;
}

static void done(void *ctx, swk_controller *controller, void *controller_ctx,
                 int32_t operation, const struct swk_operation_result *result)
{
    struct node *node = ctx;
    struct task *task = controller_ctx;

    (void)controller;
    pthread_mutex_lock(&node->lock);
    task->result = *result;
    task->operation = operation;
    task->ends++;
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->lock);
}

void node_again(struct node *node)
{
    struct swk_error err = {0};
    int rc = swk_process_executor_new(&node->config, &node->executor, &err);

    if (rc != SWK_OK) {
        fail_msg("%s", err.text);
    }
    node->executor.set_done(node->executor.ctx, done, node);
}

void node_start(struct node *node)
{
    struct swk_process_executor_config config =
        SWK_PROCESS_EXECUTOR_CONFIG_INIT;

    memset(node, 0, sizeof(*node));
    pthread_mutex_init(&node->lock, NULL);
    pthread_cond_init(&node->changed, NULL);
    snprintf(node->top_dir, sizeof(node->top_dir), "/tmp/swk-exec-XXXXXX");
    assert_non_null(mkdtemp(node->top_dir));
    assert_int_equal(chmod(node->top_dir, 0755), 0); /* for other users */
    snprintf(node->state_dir, sizeof(node->state_dir), "%s/%0150d",
             node->top_dir, 1);
    snprintf(node->cgroup_parent, sizeof(node->cgroup_parent), "swk-test-%d",
             getpid());
    config.state_dir = node->state_dir;
    config.shim_path = SHIM_PATH;
    config.cgroup_parent = node->cgroup_parent;
    config.hostname = "node-under-test";
    node->config = config;
    node_again(node);
}

void node_stop(struct node *node)
{
    swk_process_executor_free(&node->executor);
}

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void node_remove(struct node *node)
{
    /* A new executor has no controllers, which would keep their tasks. */
    node_stop(node);
    node_again(node);
    node->executor.sweep(node->executor.ctx, NULL, 0);
    node_stop(node);
    assert_int_equal(
        nftw(node->top_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    pthread_mutex_destroy(&node->lock);
    pthread_cond_destroy(&node->changed);
}

const char *node_label(struct node *node, const char *name)
{
    static char value[128];
    uint8_t data[4096];
    size_t len = 0;
    Swkpb__NodeDescription *d;

    value[0] = '\0';
    assert_int_equal(node->executor.describe(node->executor.ctx, data,
                                             sizeof(data), &len, NULL),
                     0);
    d = (Swkpb__NodeDescription *)(void *)protobuf_c_message_unpack(
        &swkpb__node_description__descriptor, NULL, len, data);
    assert_non_null(d);
    for (size_t i = 0; i < d->engine->n_labels; i++) {
        if (strcmp(d->engine->labels[i]->key, name) == 0) {
            snprintf(value, sizeof(value), "%s", d->engine->labels[i]->value);
        }
    }
    protobuf_c_message_free_unpacked(&d->base, NULL);
    return value;
}

bool node_limits(struct node *node, const char *controller)
{
    return strstr(node_label(node, "swarmkit.limits"), controller) != NULL;
}

void task_init(struct task *task, struct node *node, const char *id,
               const char *script)
{
    memset(task, 0, sizeof(*task));
    task->node = node;
    swkpb__task__init(&task->message);
    swkpb__task_spec__init(&task->spec);
    swkpb__container_spec__init(&task->container);
    swkpb__resource_requirements__init(&task->requirements);
    swkpb__resources__init(&task->limits);
    swkpb__duration__init(&task->grace);
    task->message.id = (char *)id;
    task->message.spec = &task->spec;
    task->spec.runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    task->spec.container = &task->container;
    task->spec.resources = &task->requirements;
    task->requirements.limits = &task->limits;
    task->container.image = (char *)"host";
    task->args[0] = (char *)"/bin/sh";
    task->args[1] = (char *)"-c";
    task->args[2] = (char *)script;
    task->container.command = task->args;
    task->container.n_command = 3;
    task_grace(task, 5000);
}

void task_grace(struct task *task, int milliseconds)
{
    task->grace.seconds = milliseconds / 1000;
    task->grace.nanos = milliseconds % 1000 * 1000000;
    task->container.stop_grace_period = &task->grace;
}

int task_new(struct task *task, struct swk_error *err)
{
    static uint8_t data[1 << 16];
    size_t len = protobuf_c_message_get_packed_size(&task->message.base);
    struct swk_executor *x = &task->node->executor;

    assert_true(len <= sizeof(data));
    protobuf_c_message_pack(&task->message.base, data);
    task->ends = 0;
    return x->controller_new(x->ctx, data, len, task, &task->controller, err);
}

void task_open(struct task *task)
{
    struct swk_error err = {0};

    if (task_new(task, &err) != SWK_OK) {
        fail_msg("%s", err.text);
    }
}

void task_close(struct task *task)
{
    struct swk_executor *x = &task->node->executor;

    x->controller_free(x->ctx, task->controller);
    task->controller = NULL;
}

void task_begin(struct task *task, int operation)
{
    struct swk_executor *x = &task->node->executor;

    task->ends = 0;
    x->begin(x->ctx, task->controller, operation, NULL, 0);
}

int task_end(struct task *task)
{
    struct node *node = task->node;
    struct timespec deadline;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&node->lock);
    while (task->ends == 0 && rc == 0) {
        rc = pthread_cond_timedwait(&node->changed, &node->lock, &deadline);
    }
    pthread_mutex_unlock(&node->lock);
    if (rc != 0) {
        fail_msg("task %s: operation did not end", task->message.id);
    }
    assert_int_equal(task->ends, 1);
    return task->result.outcome;
}

int task_do(struct task *task, int operation)
{
    task_begin(task, operation);
    (void)task_end(task);
    assert_int_equal(task->operation, operation);
    return task->result.outcome;
}

void task_run(struct task *task)
{
    task_open(task);
    if (task_do(task, SWK_OPERATION_PREPARE) != SWK_OUTCOME_DONE ||
        task_do(task, SWK_OPERATION_START) != SWK_OUTCOME_DONE) {
        fail_msg("%s", task->result.text);
    }
}

const char *task_output(struct task *task, int stream)
{
    static char text[1 << 16];
    char path[512];
    struct swk_task_log_record entry;
    size_t len = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/tasks/%s/log", task->node->state_dir,
             task->message.id);
    file = fopen(path, "r");
    assert_non_null(file);
    while (fread(&entry, sizeof(entry), 1, file) == 1) {
        assert_true(len + entry.data_len < sizeof(text));
        assert_true(entry.stream == 1 || entry.stream == 2);
        assert_true(entry.time > INT64_C(1700000000000000000));
        assert_int_equal(fread(text + len, 1, entry.data_len, file),
                         entry.data_len);
        if (stream == 0 || entry.stream == stream) {
            len += entry.data_len;
        }
    }
    fclose(file);
    text[len] = '\0';
    return text;
}

const char *wait_file(const char *path)
{
    static char text[4096];
    uint64_t deadline = now_ms() + PATIENCE_S * 1000;

    while (now_ms() < deadline) {
        int fd = open(path, O_RDONLY);
        ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

        if (fd >= 0) {
            close(fd);
        }
        if (n > 0 && text[n - 1] == '\n') {
            text[n] = '\0';
            return text;
        }
        pause_briefly();
    }
    fail_msg("%s does not appear", path);
    return NULL;
}

bool process_lives(int pid)
{
    char path[64];
    char text[512] = "";
    const char *state;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    if (fgets(text, sizeof(text), file) == NULL) {
        text[0] = '\0';
    }
    fclose(file);
    state = strrchr(text, ')');
    /* Nobody may be there to reap what lost its parent. */
    return state != NULL && state[2] != 'Z' && state[2] != 'X';
}

void wait_gone(int pid)
{
    uint64_t deadline = now_ms() + PATIENCE_S * 1000;

    while (process_lives(pid)) {
        if (now_ms() > deadline) {
            fail_msg("process %d lives on", pid);
        }
        pause_briefly();
    }
}
