/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The insides of the process executor, shared by its two files:
 * process_executor.c has the public functions and the thread, controller.c
 * what an operation does.
 *
 * Two kinds of state, by who may touch it: `requests` and the controllers'
 * `request` are guarded by the lock; all else of a controller belongs to the
 * executor's thread. What is not changed after creation belongs to everyone.
 */

#ifndef SWKI_EXEC_EXECUTOR_H
#define SWKI_EXEC_EXECUTOR_H

#include <pthread.h>

#include <swarmkit/port/executor.h>

#include "base/buf.h"
#include "base/list.h"
#include "runtime/exec/machine.h"
#include "runtime/exec/plan.h"
#include "runtime/exec/task_dir.h"

/* Something epoll tells about; a child or a controller's socket. */
enum swki_watch_kind {
    SWKI_WATCH_MAILBOX,
    SWKI_WATCH_SOCKET,
    SWKI_WATCH_CHILD,
};

struct swki_watch {
    enum swki_watch_kind kind;
    int fd; /* -1 when there is nothing to watch */
};

/* A shim process that is to be reaped. */
struct swki_child {
    struct swki_watch watch; /* its pidfd */
    struct swki_link link;
    pid_t pid;
    swk_controller *controller; /* waits for it, or NULL */
};

/* What callers ask of the thread. */
struct swki_request {
    int operation; /* 0 for none */
    bool cancel;
    bool free;
    int secrets_fd; /* to be taken over; 0 for none, as no request has that */
};

struct swk_controller {
    struct swki_link link;         /* of executor->controllers; by the lock */
    struct swki_link request_link; /* of executor->requests; by the lock */
    struct swki_request request;   /* by the lock */

    struct swki_plan plan; /* not changed */
    void *controller_ctx;  /* not changed */

    int secrets_fd;    /* what the shim is to read values from, or 0 */
    int operation;     /* under way, or 0 */
    bool command_sent; /* of SHUTDOWN, TERMINATE, REMOVE */
    bool cleaned;      /* what a dead shim left is gone */
    int64_t pid;       /* of the workload, or 0 */
    struct swki_watch socket;
    struct swki_child *child;    /* the operation waits for it */
    struct swki_link retry_link; /* of executor->retries */
};

struct swki_process_executor {
    struct swki_machine machine;      /* not changed */
    struct swki_plan_options options; /* not changed after the first task */
    struct swki_buf description;      /* not changed */
    struct swki_task_dirs dirs;       /* not changed */
    const struct swk_logger *logger;

    pthread_mutex_t done_lock; /* guards the next two, and the call of done */
    swk_operation_done_fn done; /* NULL: nobody listens */
    void *done_ctx;

    pthread_t thread;
    bool thread_runs;
    int epoll_fd;
    struct swki_watch mailbox; /* an eventfd */

    pthread_mutex_t lock;
    struct swki_link requests;
    struct swki_link controllers;
    bool stopping;

    struct swki_link retries;  /* of the thread */
    struct swki_link children; /* of the thread */
};

/* A file without a name that holds the values a plan needs; *out_fd is above
 * those of the shim (secret_file.c). */
int swki_secret_file_make(const struct swki_plan *plan,
                          const struct swk_task_secret *secrets,
                          size_t secrets_count, int *out_fd,
                          struct swk_error *err);

/* Called on the thread. */
void swki_controller_begin(struct swki_process_executor *x, swk_controller *c,
                           int operation);
void swki_controller_cancel(struct swki_process_executor *x, swk_controller *c);
/* The socket has something to read, or was closed. */
void swki_controller_socket(struct swki_process_executor *x, swk_controller *c);
/* The child it waited for ended, well or not. */
void swki_controller_child(struct swki_process_executor *x, swk_controller *c,
                           bool ok);
/* Time for another look. */
void swki_controller_retry(struct swki_process_executor *x, swk_controller *c);
/* 0 for none, before and after. */
void swki_controller_close_secrets(int *fd);
/* Releases it; also after the thread has ended. */
void swki_controller_destroy(struct swki_process_executor *x,
                             swk_controller *c);

/* Tells that an operation ended. */
void swki_executor_done(struct swki_process_executor *x, swk_controller *c,
                        int32_t operation,
                        const struct swk_operation_result *result);
/* Has a child reaped when it ends; the controller, which may be NULL, is told.
 * Without memory, one that somebody waits for is waited for here: it ends by
 * itself; another stays a zombie, which is the smaller evil. */
void swki_executor_adopt(struct swki_process_executor *x, pid_t pid,
                         swk_controller *controller);
bool swki_executor_watch(struct swki_process_executor *x,
                         struct swki_watch *watch);
/* Closes and forgets. */
void swki_executor_unwatch(struct swki_process_executor *x,
                           struct swki_watch *watch);

#endif
