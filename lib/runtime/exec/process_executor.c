/* SPDX-License-Identifier: Apache-2.0 */

#include <swarmkit/process_executor.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/options.h"
#include "runtime/exec/describe.h"
#include "runtime/exec/executor.h"

enum {
    RETRY_MS = 2, /* for a shim that was started but does not listen yet */
    TASK_MEMORY_MAX = 16 << 20,
    DESCRIPTION_MAX = 1 << 20,
    LOG_FILES_DEFAULT = 2,
};

#define LOG_FILE_SIZE_DEFAULT (UINT64_C(10) << 20)

/* The thread. */

bool swki_executor_watch(struct swki_process_executor *x,
                         struct swki_watch *watch)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watch};

    return epoll_ctl(x->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) == 0;
}

void swki_executor_unwatch(struct swki_process_executor *x,
                           struct swki_watch *watch)
{
    if (watch->fd >= 0) {
        /* Not left to close(): a child in the midst of being started may hold
         * the same open file. */
        epoll_ctl(x->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
        close(watch->fd);
    }
    watch->fd = -1;
}

/* Waits for a child that ends by itself. An embedder that reaps all children
 * may have been faster; then its status is not known. */
static bool reap(pid_t pid)
{
    int status = 0;
    pid_t rc;

    do {
        rc = waitpid(pid, &status, 0);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void swki_executor_adopt(struct swki_process_executor *x, pid_t pid,
                         swk_controller *controller)
{
    struct swki_child *child = calloc(1, sizeof(*child));

    if (child != NULL) {
        child->watch.kind = SWKI_WATCH_CHILD;
        child->watch.fd = (int)syscall(SYS_pidfd_open, pid, 0);
    }
    if (child == NULL || child->watch.fd < 0 ||
        !swki_executor_watch(x, &child->watch)) {
        if (child != NULL && child->watch.fd >= 0) {
            close(child->watch.fd);
        }
        free(child);
        if (controller != NULL) {
            swki_controller_child(x, controller, reap(pid));
        }
        return;
    }
    child->pid = pid;
    child->controller = controller;
    if (controller != NULL) {
        controller->child = child;
    }
    swki_list_append(&x->children, &child->link);
}

static void handle_child(struct swki_process_executor *x,
                         struct swki_child *child)
{
    swk_controller *controller = child->controller;
    bool ok = reap(child->pid);

    swki_executor_unwatch(x, &child->watch);
    swki_list_remove(&child->link);
    free(child);
    if (controller != NULL) {
        controller->child = NULL;
        swki_controller_child(x, controller, ok);
    }
}

/* The next controller that was asked something, or NULL; false to stop. */
static bool take_request(struct swki_process_executor *x,
                         swk_controller **out_controller,
                         struct swki_request *out_request)
{
    swk_controller *c = NULL;
    bool stopping;

    pthread_mutex_lock(&x->lock);
    stopping = x->stopping;
    if (!stopping && !swki_list_empty(&x->requests)) {
        c = SWKI_CONTAINER(x->requests.next, swk_controller, request_link);
        swki_list_remove(&c->request_link);
        *out_request = c->request;
        c->request = (struct swki_request){0};
        if (out_request->free) {
            swki_list_remove(&c->link);
        }
    }
    pthread_mutex_unlock(&x->lock);
    *out_controller = c;
    return !stopping;
}

static bool handle_mailbox(struct swki_process_executor *x)
{
    struct swki_request request;
    swk_controller *c;
    uint64_t count;

    if (read(x->mailbox.fd, &count, sizeof(count)) < 0) {
        /* Nobody wrote; the list says the same. */
    }
    for (;;) {
        if (!take_request(x, &c, &request)) {
            return false;
        }
        if (c == NULL) {
            return true;
        }
        if (request.secrets_fd != 0) {
            swki_controller_close_secrets(&c->secrets_fd);
            c->secrets_fd = request.secrets_fd;
        }
        if (request.operation != 0) {
            swki_controller_begin(x, c, request.operation);
        }
        if (request.cancel) {
            swki_controller_cancel(x, c);
        }
        if (request.free) {
            swki_controller_destroy(x, c);
        }
    }
}

static bool handle_event(struct swki_process_executor *x,
                         struct swki_watch *watch)
{
    switch (watch->kind) {
    case SWKI_WATCH_MAILBOX:
        return handle_mailbox(x);
    case SWKI_WATCH_SOCKET:
        swki_controller_socket(x,
                               SWKI_CONTAINER(watch, swk_controller, socket));
        break;
    case SWKI_WATCH_CHILD:
        handle_child(x, SWKI_CONTAINER(watch, struct swki_child, watch));
        break;
    }
    return true;
}

static void handle_retries(struct swki_process_executor *x)
{
    struct swki_link again;

    /* Those that have to wait once more append themselves to the list. */
    swki_list_init(&again);
    while (!swki_list_empty(&x->retries)) {
        struct swki_link *link = x->retries.next;

        swki_list_remove(link);
        swki_list_append(&again, link);
    }
    while (!swki_list_empty(&again)) {
        swki_controller_retry(
            x, SWKI_CONTAINER(again.next, swk_controller, retry_link));
    }
}

static void *run(void *arg)
{
    struct swki_process_executor *x = arg;
    bool goes_on = true;

    while (goes_on) {
        /* One event a call: handling one may release what another is about. */
        struct epoll_event event;
        int timeout = swki_list_empty(&x->retries) ? -1 : RETRY_MS;
        int n = epoll_wait(x->epoll_fd, &event, 1, timeout);

        if (n > 0) {
            goes_on = handle_event(x, event.data.ptr);
        } else if (n == 0) {
            handle_retries(x);
        }
    }
    return NULL;
}

static void post(struct swki_process_executor *x, swk_controller *c,
                 const struct swki_request *request)
{
    uint64_t one = 1;

    pthread_mutex_lock(&x->lock);
    if (request->operation != 0) {
        c->request.operation = request->operation;
        c->request.cancel = false; /* it was for an earlier one */
    }
    if (request->secrets_fd != 0) {
        swki_controller_close_secrets(&c->request.secrets_fd);
        c->request.secrets_fd = request->secrets_fd;
    }
    c->request.cancel = c->request.cancel || request->cancel;
    c->request.free = c->request.free || request->free;
    swki_list_remove(&c->request_link);
    swki_list_append(&x->requests, &c->request_link);
    pthread_mutex_unlock(&x->lock);
    if (write(x->mailbox.fd, &one, sizeof(one)) < 0) {
        /* Full, so the thread is awake anyway. */
    }
}

/* The port's functions. */

static int describe(void *ctx, void *out_data, size_t size, size_t *out_len,
                    struct swk_error *err)
{
    const struct swki_process_executor *x = ctx;

    if (out_data == NULL || out_len == NULL) {
        return swki_fail(err, SWK_EINVAL, "describe: NULL argument");
    }
    if (size < x->description.len) {
        return swki_fail(err, SWK_ELIMIT, "description: %zu bytes",
                         x->description.len);
    }
    memcpy(out_data, x->description.data, x->description.len);
    *out_len = x->description.len;
    return SWK_OK;
}

static void *arena_alloc(void *arena, size_t size)
{
    return swki_arena_alloc(arena, size);
}

static void arena_free(void *arena, void *ptr)
{
    (void)arena; /* goes with the whole */
    (void)ptr;
}

/* Decodes a task and makes its plan. */
static int read_plan(const struct swki_process_executor *x, const void *task,
                     size_t task_len, struct swki_plan *out_plan,
                     struct swk_error *err)
{
    struct swki_arena arena;
    ProtobufCAllocator allocator = {arena_alloc, arena_free, &arena};
    Swkpb__Task *decoded;
    int rc;

    swki_arena_init(&arena, NULL, TASK_MEMORY_MAX);
    decoded = (Swkpb__Task *)(void *)protobuf_c_message_unpack(
        &swkpb__task__descriptor, &allocator, task_len, task);
    if (decoded == NULL) {
        rc = swki_fail(err, SWK_EMALFORMED, "task: cannot be decoded");
    } else {
        rc = swki_plan_make(out_plan, decoded, &x->machine, &x->options, err);
    }
    swki_arena_fini(&arena);
    return rc;
}

static int controller_new(void *ctx, const void *task, size_t task_len,
                          void *controller_ctx, swk_controller **out_controller,
                          struct swk_error *err)
{
    struct swki_process_executor *x = ctx;
    swk_controller *c;
    int rc;

    if (task == NULL || out_controller == NULL) {
        return swki_fail(err, SWK_EINVAL, "controller: NULL argument");
    }
    c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return swki_fail_nomem(err);
    }
    rc = read_plan(x, task, task_len, &c->plan, err);
    if (rc != SWK_OK) {
        free(c);
        return rc;
    }
    c->controller_ctx = controller_ctx;
    c->socket.kind = SWKI_WATCH_SOCKET;
    c->socket.fd = -1;
    swki_list_init(&c->request_link);
    swki_list_init(&c->retry_link);
    pthread_mutex_lock(&x->lock);
    swki_list_append(&x->controllers, &c->link);
    pthread_mutex_unlock(&x->lock);
    *out_controller = c;
    return SWK_OK;
}

void swki_executor_done(struct swki_process_executor *x, swk_controller *c,
                        int32_t operation,
                        const struct swk_operation_result *result)
{
    pthread_mutex_lock(&x->done_lock);
    if (x->done != NULL) {
        x->done(x->done_ctx, c, c->controller_ctx, operation, result);
    }
    pthread_mutex_unlock(&x->done_lock);
}

/* An update may change what is the orchestrators' business, not what runs. */
static void update(struct swki_process_executor *x, swk_controller *c,
                   const void *data, size_t data_len)
{
    struct swk_operation_result result = {.outcome = SWK_OUTCOME_FATAL};
    struct swk_error err = {0};
    struct swki_plan plan;
    int rc = read_plan(x, data, data_len, &plan, &err);

    snprintf(result.workload_id, sizeof(result.workload_id), "%s",
             c->plan.task_id);
    if (rc != SWK_OK) {
        swki_error_prefix(&err, "task update rejected");
        memcpy(result.text, err.text, sizeof(result.text));
    } else if (strcmp(plan.task_id, c->plan.task_id) != 0 ||
               plan.instructions.len != c->plan.instructions.len ||
               memcmp(plan.instructions.data, c->plan.instructions.data,
                      plan.instructions.len) != 0) {
        snprintf(result.text, sizeof(result.text),
                 "task update rejected: the spec of a task cannot change");
    } else {
        result.outcome = SWK_OUTCOME_DONE;
    }
    if (rc == SWK_OK) {
        swki_plan_fini(&plan);
    }
    swki_executor_done(x, c, SWK_OPERATION_UPDATE, &result);
}

static void begin(void *ctx, swk_controller *controller, int32_t operation,
                  const void *data, size_t data_len)
{
    struct swki_request request = {.operation = operation};

    if (operation == SWK_OPERATION_UPDATE) {
        update(ctx, controller, data, data_len);
        return;
    }
    post(ctx, controller, &request);
}

/* The plan of a controller does not change. */
static int set_secrets(void *ctx, swk_controller *controller,
                       const struct swk_task_secret *secrets,
                       size_t secrets_count, struct swk_error *err)
{
    struct swki_request request = {0};
    int rc = swki_secret_file_make(&controller->plan, secrets, secrets_count,
                                   &request.secrets_fd, err);

    if (rc == SWK_OK) {
        post(ctx, controller, &request);
    }
    return rc;
}

static void cancel(void *ctx, swk_controller *controller)
{
    struct swki_request request = {.cancel = true};

    post(ctx, controller, &request);
}

static void controller_free(void *ctx, swk_controller *controller)
{
    struct swki_request request = {.free = true};

    if (controller != NULL) {
        post(ctx, controller, &request);
    }
}

struct sweep {
    struct swki_process_executor *executor;
    const char *const *task_ids;
    size_t task_ids_count;
};

static bool keep(void *ctx, const char *id)
{
    struct sweep *sweep = ctx;
    struct swki_process_executor *x = sweep->executor;
    bool found = false;

    for (size_t i = 0; i < sweep->task_ids_count; i++) {
        if (strcmp(sweep->task_ids[i], id) == 0) {
            return true;
        }
    }
    pthread_mutex_lock(&x->lock);
    for (struct swki_link *link = x->controllers.next;
         link != &x->controllers && !found; link = link->next) {
        found = strcmp(SWKI_CONTAINER(link, swk_controller, link)->plan.task_id,
                       id) == 0;
    }
    pthread_mutex_unlock(&x->lock);
    return found;
}

static void sweep_tasks(void *ctx, const char *const *task_ids,
                        size_t task_ids_count)
{
    struct sweep sweep = {ctx, task_ids, task_ids_count};

    swki_task_sweep(&sweep.executor->dirs, keep, &sweep);
}

static void set_done(void *ctx, swk_operation_done_fn done, void *done_ctx)
{
    struct swki_process_executor *x = ctx;

    pthread_mutex_lock(&x->done_lock);
    x->done = done;
    x->done_ctx = done_ctx;
    pthread_mutex_unlock(&x->done_lock);
}

static void refuse_links(void *ctx, uint32_t paths)
{
    struct swki_process_executor *x = ctx;

    x->options.paths_without_links = paths;
}

/* Making and releasing. */

static int read_config(const struct swk_process_executor_config *config,
                       struct swk_process_executor_config *out_config,
                       struct swk_error *err)
{
    struct swk_process_executor_config c = {0};
    int rc = swki_options_read(&c, sizeof(c), config,
                               "swk_process_executor_config", err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (c.state_dir == NULL || c.shim_path == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "process executor: state_dir and shim_path are "
                         "required");
    }
    if (c.cgroup_parent == NULL) {
        c.cgroup_parent = "swarm";
    }
    if (c.cgroup_parent[0] == '\0' || c.cgroup_parent[0] == '/' ||
        strstr(c.cgroup_parent, "..") != NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "process executor: cgroup_parent: no name");
    }
    if (c.hostname != NULL && strlen(c.hostname) >= SWKI_HOSTNAME_SIZE) {
        return swki_fail(err, SWK_EINVAL,
                         "process executor: hostname: too long");
    }
    if (c.log_file_size == 0) {
        c.log_file_size = LOG_FILE_SIZE_DEFAULT;
    }
    if (c.log_file_size > INT64_MAX || c.log_files_count > 100) {
        return swki_fail(err, SWK_EINVAL,
                         "process executor: log limits: too large");
    }
    if (c.log_files_count == 0) {
        c.log_files_count = LOG_FILES_DEFAULT;
    }
    *out_config = c;
    return SWK_OK;
}

static int start_thread(struct swki_process_executor *x, struct swk_error *err)
{
    x->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    x->mailbox.kind = SWKI_WATCH_MAILBOX;
    x->mailbox.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (x->epoll_fd < 0 || x->mailbox.fd < 0 ||
        !swki_executor_watch(x, &x->mailbox)) {
        return swki_fail(err, SWK_EIO, "process executor: %s", strerror(errno));
    }
    if (pthread_create(&x->thread, NULL, run, x) != 0) {
        return swki_fail(err, SWK_EIO, "process executor: no thread");
    }
    x->thread_runs = true;
    return SWK_OK;
}

static void executor_destroy(struct swki_process_executor *x)
{
    uint64_t one = 1;

    if (x->thread_runs) {
        pthread_mutex_lock(&x->lock);
        x->stopping = true;
        pthread_mutex_unlock(&x->lock);
        if (write(x->mailbox.fd, &one, sizeof(one)) < 0) {
            /* Full, so the thread is awake anyway. */
        }
        pthread_join(x->thread, NULL);
    }
    while (!swki_list_empty(&x->controllers)) {
        swk_controller *c =
            SWKI_CONTAINER(x->controllers.next, swk_controller, link);

        swki_list_remove(&c->link);
        swki_controller_destroy(x, c);
    }
    while (!swki_list_empty(&x->children)) {
        struct swki_child *child =
            SWKI_CONTAINER(x->children.next, struct swki_child, link);

        /* Those that supervise go on without us, and stay unreaped for as
         * long as this process lives; deletions end soon. */
        waitpid(child->pid, NULL, WNOHANG);
        swki_executor_unwatch(x, &child->watch);
        swki_list_remove(&child->link);
        free(child);
    }
    swki_executor_unwatch(x, &x->mailbox);
    if (x->epoll_fd >= 0) {
        close(x->epoll_fd);
    }
    swki_cgroups_release(&x->machine.cgroups);
    swki_task_dirs_close(&x->dirs);
    swki_buf_fini(&x->description);
    pthread_mutex_destroy(&x->lock);
    pthread_mutex_destroy(&x->done_lock);
    free(x);
}

static int set_up(struct swki_process_executor *x,
                  const struct swk_process_executor_config *config,
                  struct swk_error *err)
{
    int rc = swki_task_dirs_open(&x->dirs, config->state_dir, config->shim_path,
                                 err);

    if (rc != SWK_OK) {
        return rc;
    }
    swki_machine_read(&x->machine);
    swki_machine_claim_cgroups(&x->machine, config->cgroup_parent);
    if (config->hostname != NULL) {
        snprintf(x->machine.hostname, sizeof(x->machine.hostname), "%s",
                 config->hostname);
    }
    x->options.log_file_size = config->log_file_size;
    x->options.log_files_count = config->log_files_count;
    rc = swki_describe(&x->machine, config->generic_resources, &x->description,
                       err);
    return rc != SWK_OK ? rc : start_thread(x, err);
}

int swk_process_executor_new(const struct swk_process_executor_config *config,
                             struct swk_executor *out_executor,
                             struct swk_error *err)
{
    struct swk_process_executor_config c = {0};
    struct swki_process_executor *x;
    int rc = read_config(config, &c, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (out_executor == NULL) {
        return swki_fail(err, SWK_EINVAL, "process executor: NULL argument");
    }
    x = calloc(1, sizeof(*x));
    if (x == NULL) {
        return swki_fail_nomem(err);
    }
    x->dirs = (struct swki_task_dirs){-1, -1, -1, NULL};
    x->epoll_fd = -1;
    x->mailbox.fd = -1;
    x->logger = c.logger;
    pthread_mutex_init(&x->lock, NULL);
    pthread_mutex_init(&x->done_lock, NULL);
    swki_buf_init(&x->description, NULL, DESCRIPTION_MAX);
    swki_list_init(&x->requests);
    swki_list_init(&x->controllers);
    swki_list_init(&x->retries);
    swki_list_init(&x->children);
    rc = set_up(x, &c, err);
    if (rc != SWK_OK) {
        executor_destroy(x);
        return rc;
    }
    *out_executor = (struct swk_executor){
        .size = sizeof(*out_executor),
        .ctx = x,
        .describe = describe,
        .controller_new = controller_new,
        .begin = begin,
        .cancel = cancel,
        .controller_free = controller_free,
        .sweep = sweep_tasks,
        .set_done = set_done,
        .refuse_links = refuse_links,
        .set_secrets = set_secrets,
    };
    return SWK_OK;
}

void swk_process_executor_free(struct swk_executor *executor)
{
    if (executor == NULL || executor->ctx == NULL) {
        return;
    }
    executor_destroy(executor->ctx);
    memset(executor, 0, sizeof(*executor));
}
