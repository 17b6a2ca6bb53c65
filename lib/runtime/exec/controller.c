/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What operations do. Each begins with a look at the task's directory, and
 * after each event there is another look, until the operation can end: so a
 * controller that has just been made and one that saw everything behave alike.
 */

#include "runtime/exec/executor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <swarmkit/shim.h>

#include "base/error.h"
#include "base/log.h"

static void proceed(struct swki_process_executor *x, swk_controller *c);

/* Ends the operation; text is NULL or the reason. */
static void finish_with(struct swki_process_executor *x, swk_controller *c,
                        struct swk_operation_result *result, int outcome,
                        const char *text)
{
    int operation = c->operation;

    result->outcome = outcome;
    snprintf(result->workload_id, sizeof(result->workload_id), "%s",
             c->plan.task_id);
    snprintf(result->text, sizeof(result->text), "%s",
             text != NULL ? text : "");
    if (!result->has_status && c->pid != 0) {
        result->has_status = 1;
        result->pid = c->pid;
    }
    c->operation = 0;
    c->command_sent = false;
    swki_list_remove(&c->retry_link);
    if (c->child != NULL) {
        c->child->controller = NULL;
        c->child = NULL;
    }
    swki_executor_done(x, c, operation, result);
}

static void finish(struct swki_process_executor *x, swk_controller *c,
                   int outcome, const char *text)
{
    struct swk_operation_result result = {0};

    finish_with(x, c, &result, outcome, text);
}

static void finish_error(struct swki_process_executor *x, swk_controller *c,
                         const struct swk_error *err)
{
    bool again = err->code == SWK_EUNAVAILABLE || err->code == SWK_ENOMEM;

    finish(x, c, again ? SWK_OUTCOME_TEMPORARY : SWK_OUTCOME_FATAL, err->text);
}

static bool is_directory(const char *path, const char **out_why)
{
    struct stat st;

    *out_why = "not a directory";
    if (stat(path, &st) != 0) {
        *out_why = strerror(errno);
        return false;
    }
    return S_ISDIR(st.st_mode);
}

static void begin_prepare(struct swki_process_executor *x, swk_controller *c)
{
    struct swk_error err = {0};
    const char *why;

    if (swki_task_prepared(&x->dirs, c->plan.task_id)) {
        finish(x, c, SWK_OUTCOME_ALREADY, NULL);
        return;
    }
    if (c->plan.image != NULL && !is_directory(c->plan.image, &why)) {
        swki_fail(&err, SWK_EINVAL, "image %.150s: %s", c->plan.image, why);
        finish_error(x, c, &err);
        return;
    }
    if (swki_task_prepare(&x->dirs, c->plan.task_id, &c->plan.instructions,
                          &err) != SWK_OK) {
        finish_error(x, c, &err);
        return;
    }
    finish(x, c, SWK_OUTCOME_DONE, NULL);
}

static void begin_start(struct swki_process_executor *x, swk_controller *c)
{
    struct swk_error err = {0};
    pid_t pid;
    int rc;

    /* Written anew: after a crash of the machine the file may be damaged. */
    if (!swki_task_started(&x->dirs, c->plan.task_id) &&
        swki_task_prepare(&x->dirs, c->plan.task_id, &c->plan.instructions,
                          &err) != SWK_OK) {
        finish_error(x, c, &err);
        return;
    }
    if (c->plan.secrets_count > 0 && c->secrets_fd == 0) {
        finish(x, c, SWK_OUTCOME_FATAL, "the secrets are not there");
        return;
    }
    rc = swki_task_start(&x->dirs, c->plan.task_id, c->secrets_fd,
                         &c->socket.fd, &pid, &err);
    if (rc == SWK_OK || rc == SWK_EEXIST) {
        swki_controller_close_secrets(&c->secrets_fd); /* the shim has them */
    }
    if (rc == SWK_EEXIST) {
        finish(x, c, SWK_OUTCOME_ALREADY, NULL);
        return;
    }
    if (rc != SWK_OK) {
        finish_error(x, c, &err);
        return;
    }
    swki_executor_adopt(x, pid, NULL);
    if (!swki_executor_watch(x, &c->socket)) {
        swki_executor_unwatch(x, &c->socket);
        finish(x, c, SWK_OUTCOME_TEMPORARY, "cannot watch the shim");
    }
}

static void finish_exit(struct swki_process_executor *x, swk_controller *c,
                        const struct swki_task_exit *how)
{
    struct swk_operation_result result = {0};
    char text[SWK_ERROR_TEXT_SIZE];

    if (!how->ran) {
        snprintf(text, sizeof(text), "starting task failed: %.200s",
                 how->failed);
        finish(x, c, SWK_OUTCOME_FATAL, text);
        return;
    }
    result.has_status = 1;
    result.exit_code = how->status;
    result.pid = how->pid;
    if (how->status == 0 || c->operation == SWK_OPERATION_START) {
        finish_with(x, c, &result, SWK_OUTCOME_DONE, NULL);
        return;
    }
    snprintf(text, sizeof(text), "task: non-zero exit (%d)%s", how->status,
             how->oom && how->status == 137 ? ": out of memory" : "");
    finish_with(x, c, &result, SWK_OUTCOME_FATAL, text);
}

/* Sends what the operation has to say to the shim, once. */
static void send_command(struct swki_process_executor *x, swk_controller *c)
{
    char text[SWK_SHIM_MESSAGE_MAX];

    if (c->command_sent || c->operation == SWK_OPERATION_WAIT ||
        c->operation == SWK_OPERATION_START) {
        return;
    }
    if (c->operation == SWK_OPERATION_TERMINATE) {
        snprintf(text, sizeof(text), "kill");
    } else {
        snprintf(text, sizeof(text), "stop %d %" PRId64, c->plan.stop_signal,
                 c->plan.grace_ms);
    }
    /* A failure means that the shim is ending, which the socket tells. */
    c->command_sent =
        send(c->socket.fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
    (void)x;
}

static void spawn_remove(struct swki_process_executor *x, swk_controller *c)
{
    struct swk_error err = {0};
    pid_t pid;
    int rc = swki_task_remove(&x->dirs, c->plan.task_id, &pid, &err);

    swki_executor_unwatch(x, &c->socket);
    if (rc == SWK_ENOTFOUND) {
        finish(x, c, SWK_OUTCOME_DONE, NULL);
        return;
    }
    if (rc != SWK_OK) {
        finish_error(x, c, &err);
        return;
    }
    swki_executor_adopt(x, pid, c);
}

/* The shim was killed: what it held together is killed too. */
static void handle_lost(struct swki_process_executor *x, swk_controller *c)
{
    struct swk_error err = {0};
    pid_t pid;

    if (c->operation == SWK_OPERATION_REMOVE) {
        spawn_remove(x, c);
        return;
    }
    if (!c->cleaned) {
        if (swki_task_clean(&x->dirs, c->plan.task_id, &pid, &err) != SWK_OK) {
            finish(x, c, SWK_OUTCOME_TEMPORARY, err.text);
            return;
        }
        swki_log(x->logger, SWK_LOG_WARN, "exec",
                 "task %s: its shim is gone; killing what it left",
                 c->plan.task_id);
        swki_executor_adopt(x, pid, c);
        return;
    }
    if (c->operation == SWK_OPERATION_SHUTDOWN ||
        c->operation == SWK_OPERATION_TERMINATE) {
        finish(x, c, SWK_OUTCOME_DONE, NULL);
        return;
    }
    finish(x, c, SWK_OUTCOME_FATAL,
           "task lost: its shim ended without a record of the exit status");
}

static void handle_ended(struct swki_process_executor *x, swk_controller *c,
                         const struct swki_task_exit *how)
{
    struct swk_operation_result result = {
        .has_status = how->ran ? 1 : 0,
        .exit_code = how->ran ? how->status : 0,
        .pid = how->ran ? how->pid : 0,
    };

    swki_executor_unwatch(x, &c->socket);
    if (c->operation == SWK_OPERATION_REMOVE) {
        spawn_remove(x, c);
        return;
    }
    if (c->operation == SWK_OPERATION_SHUTDOWN ||
        c->operation == SWK_OPERATION_TERMINATE) {
        finish_with(x, c, &result, SWK_OUTCOME_DONE, NULL);
        return;
    }
    finish_exit(x, c, how);
}

static void handle_not_started(struct swki_process_executor *x,
                               swk_controller *c)
{
    if (c->operation == SWK_OPERATION_REMOVE) {
        spawn_remove(x, c);
    } else if (c->operation == SWK_OPERATION_WAIT) {
        finish(x, c, SWK_OUTCOME_FATAL, "task was not started");
    } else {
        finish(x, c, SWK_OUTCOME_DONE, NULL);
    }
}

/* Looks how things are, and does what can be done now. */
static void proceed(struct swki_process_executor *x, swk_controller *c)
{
    struct swki_task_exit how;

    swki_list_remove(&c->retry_link);
    if (c->socket.fd >= 0) {
        send_command(x, c);
        return;
    }
    switch (swki_task_attach(&x->dirs, c->plan.task_id, &c->socket.fd, &how)) {
    case SWKI_TASK_NOT_STARTED:
        handle_not_started(x, c);
        break;
    case SWKI_TASK_ATTACHED:
        if (!swki_executor_watch(x, &c->socket)) {
            swki_executor_unwatch(x, &c->socket);
            finish(x, c, SWK_OUTCOME_TEMPORARY, "cannot watch the shim");
            break;
        }
        send_command(x, c);
        break;
    case SWKI_TASK_BUSY:
        swki_list_append(&x->retries, &c->retry_link);
        break;
    case SWKI_TASK_ENDED:
        handle_ended(x, c, &how);
        break;
    case SWKI_TASK_LOST:
        handle_lost(x, c);
        break;
    }
}

void swki_controller_begin(struct swki_process_executor *x, swk_controller *c,
                           int operation)
{
    c->operation = operation;
    switch (operation) {
    case SWK_OPERATION_PREPARE:
        begin_prepare(x, c);
        break;
    case SWK_OPERATION_START:
        begin_start(x, c);
        break;
    case SWK_OPERATION_WAIT:
    case SWK_OPERATION_SHUTDOWN:
    case SWK_OPERATION_TERMINATE:
    case SWK_OPERATION_REMOVE:
        proceed(x, c);
        break;
    default:
        finish(x, c, SWK_OUTCOME_FATAL, "unknown operation");
        break;
    }
}

void swki_controller_cancel(struct swki_process_executor *x, swk_controller *c)
{
    /* A deletion under way has no way back, and ends soon. */
    if (c->operation != 0 &&
        !(c->operation == SWK_OPERATION_REMOVE && c->child != NULL)) {
        finish(x, c, SWK_OUTCOME_CANCELED, NULL);
    }
}

void swki_controller_socket(struct swki_process_executor *x, swk_controller *c)
{
    char text[SWK_SHIM_MESSAGE_MAX];
    ssize_t n = recv(c->socket.fd, text, sizeof(text) - 1, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        swki_executor_unwatch(x, &c->socket);
        c->command_sent = false;
        if (c->operation != 0) {
            proceed(x, c);
        }
        return;
    }
    text[n] = '\0';
    if (sscanf(text, SWK_SHIM_STARTED " %" SCNd64, &c->pid) == 1 &&
        c->operation == SWK_OPERATION_START) {
        finish(x, c, SWK_OUTCOME_DONE, NULL);
    }
}

void swki_controller_child(struct swki_process_executor *x, swk_controller *c,
                           bool ok)
{
    if (!ok) {
        finish(x, c, SWK_OUTCOME_TEMPORARY,
               "the shim could not kill or delete what is left of the task");
        return;
    }
    if (c->operation == SWK_OPERATION_REMOVE) {
        finish(x, c, SWK_OUTCOME_DONE, NULL);
        return;
    }
    c->cleaned = true;
    proceed(x, c);
}

void swki_controller_retry(struct swki_process_executor *x, swk_controller *c)
{
    proceed(x, c);
}

void swki_controller_close_secrets(int *fd)
{
    if (*fd != 0) {
        close(*fd);
        *fd = 0;
    }
}

void swki_controller_destroy(struct swki_process_executor *x, swk_controller *c)
{
    if (c->child != NULL) {
        c->child->controller = NULL;
    }
    swki_executor_unwatch(x, &c->socket);
    swki_list_remove(&c->retry_link);
    swki_controller_close_secrets(&c->request.secrets_fd);
    swki_controller_close_secrets(&c->secrets_fd);
    swki_plan_fini(&c->plan);
    free(c);
}
