/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One task: its states, driven through the executor's operations.
 *
 *   state now   desired          operation       state then
 *   any         >= SHUTDOWN      SHUTDOWN        SHUTDOWN
 *   ASSIGNED    >  ASSIGNED      -               ACCEPTED
 *   ACCEPTED    >  ACCEPTED      -               PREPARING
 *   PREPARING   >= PREPARING     PREPARE         READY
 *   READY       >  READY         -               STARTING
 *   STARTING    >= STARTING      START           RUNNING
 *   RUNNING     >= RUNNING       WAIT            COMPLETE
 *
 * A fatal failure ends in REJECTED before STARTING, and in FAILED from there
 * on; so does a task that the node does not agree to. A task above its desired
 * state, or ended, rests.
 */

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"
#include "core/agent/internal.h"
#include "wire/message.h"

#define RETRY_FIRST (200 * SWK_MILLISECOND)
#define RETRY_MAX (30 * SWK_SECOND)

/* -- Status --------------------------------------------------------------- */

static Swkpb__ContainerStatus *
container_status(struct swki_arena *arena,
                 const struct swk_operation_result *result)
{
    Swkpb__ContainerStatus *status = swki_arena_alloc(arena, sizeof(*status));

    if (status == NULL) {
        return NULL;
    }
    swkpb__container_status__init(status);
    status->container_id = swki_arena_strdup(arena, result->workload_id);
    status->pid = (int32_t)result->pid;
    status->exit_code = result->exit_code;
    return status->container_id != NULL ? status : NULL;
}

/* A status with the given parts; the workload's own is kept when the result
 * tells nothing of it. NULL for no memory. */
static Swkpb__TaskStatus *make_status(const Swkpb__TaskStatus *before,
                                      Swkpb__TaskState state,
                                      const char *message, const char *why,
                                      const struct swk_operation_result *result,
                                      struct swki_arena *arena)
{
    Swkpb__TaskStatus *status =
        (Swkpb__TaskStatus *)swki_message_copy(&before->base, arena);

    if (status == NULL) {
        return NULL;
    }
    status->state = state;
    status->message = swki_arena_strdup(arena, message);
    status->err = swki_arena_strdup(arena, why);
    if (status->err != NULL) {
        /* Cut anywhere, or a program's own words: no manager would take it. */
        swki_utf8_repair(status->err);
    }
    status->applied_by = (char *)protobuf_c_empty_string;
    status->applied_at = NULL;
    if (result != NULL && result->has_status) {
        status->container = container_status(arena, result);
        status->runtime_status_case =
            SWKPB__TASK_STATUS__RUNTIME_STATUS_CONTAINER;
        if (status->container == NULL) {
            return NULL;
        }
    }
    return status->message != NULL && status->err != NULL ? status : NULL;
}

int swki_agent_set_status(struct swki_agent *agent, struct agent_task *t,
                          Swkpb__TaskState state, const char *message,
                          const char *why,
                          const struct swk_operation_result *result)
{
    struct swki_arena arena;
    Swkpb__TaskStatus *status;

    swki_arena_init(&arena, agent->config.alloc, SIZE_MAX);
    status = make_status(t->status, state, message, why, result, &arena);
    if (status == NULL) {
        swki_arena_fini(&arena);
        agent->failed = true;
        return SWK_ENOMEM;
    }
    if (swki_message_equal(&status->base, &t->status->base)) {
        swki_arena_fini(&arena);
        return SWK_OK; /* nothing new: the time stays too */
    }
    status->timestamp = swki_timestamp_from_wall(agent->wall, &arena);
    swki_arena_fini(&t->status_arena);
    t->status_arena = arena;
    t->status = status;
    swki_agent_store_task(agent, t);
    swki_agent_note_report(agent, t);
    return SWK_OK;
}

/* -- Operations ----------------------------------------------------------- */

static struct swki_agent_action *task_action(struct swki_agent *agent,
                                             struct agent_task *t,
                                             enum swki_agent_action_type type)
{
    struct swki_agent_action *action = swki_agent_add_action(agent, type);

    if (action != NULL) {
        action->task_id = swki_arena_strdup(&agent->actions_arena, t->id);
    }
    return action;
}

static void begin(struct swki_agent *agent, struct agent_task *t,
                  enum swk_operation operation)
{
    struct swki_agent_action *action;

    if (operation == SWK_OPERATION_UPDATE) {
        action =
            swki_agent_add_message(agent, SWKI_AGENT_BEGIN, &t->task->base);
    } else {
        action = swki_agent_add_action(agent, SWKI_AGENT_BEGIN);
    }
    if (action == NULL) {
        return;
    }
    action->task_id = swki_arena_strdup(&agent->actions_arena, t->id);
    action->operation = (int32_t)operation;
    t->operation = (int32_t)operation;
    t->cancel_asked = false;
}

static void retry_later(struct swki_agent *agent, struct agent_task *t)
{
    unsigned doublings = t->failures < 8 ? t->failures : 8;
    swk_time pause = RETRY_FIRST << doublings;

    if (pause > RETRY_MAX) {
        pause = RETRY_MAX;
    }
    pause = pause / 2 + swki_rng_below(&agent->rng, pause / 2);
    t->failures++;
    if (!swki_timers_set(&agent->timers, &t->retry, agent->now + pause)) {
        agent->failed = true;
    }
}

/* The next operation on the way to the desired state, after the states that
 * need none; 0 when there is nothing to do. */
static int32_t next_operation(struct swki_agent *agent, struct agent_task *t)
{
    Swkpb__TaskState desired = t->task->desired_state;

    for (;;) {
        Swkpb__TaskState state = t->status->state;
        int rc = SWK_OK;

        if (desired >= SWKPB__TASK_STATE__SHUTDOWN) {
            return state >= SWKPB__TASK_STATE__COMPLETE
                       ? 0
                       : SWK_OPERATION_SHUTDOWN;
        }
        if (state > desired) {
            return 0;
        }
        if (state == SWKPB__TASK_STATE__PREPARING) {
            return SWK_OPERATION_PREPARE;
        }
        if (state == SWKPB__TASK_STATE__STARTING) {
            return SWK_OPERATION_START;
        }
        if (state == SWKPB__TASK_STATE__RUNNING) {
            return SWK_OPERATION_WAIT;
        }
        if (state == desired) {
            return 0;
        }
        if (state < SWKPB__TASK_STATE__ACCEPTED) {
            rc = swki_agent_set_status(agent, t, SWKPB__TASK_STATE__ACCEPTED,
                                       "accepted", "", NULL);
        } else if (state == SWKPB__TASK_STATE__ACCEPTED) {
            rc = swki_agent_set_status(agent, t, SWKPB__TASK_STATE__PREPARING,
                                       "preparing", "", NULL);
        } else if (state == SWKPB__TASK_STATE__READY) {
            rc = swki_agent_set_status(agent, t, SWKPB__TASK_STATE__STARTING,
                                       "starting", "", NULL);
        } else {
            return 0;
        }
        if (rc != SWK_OK) {
            return 0;
        }
    }
}

static void ask_controller(struct swki_agent *agent, struct agent_task *t)
{
    Swkpb__Task task = *t->task;
    struct swki_agent_action *action;

    task.status = t->status;
    action =
        swki_agent_add_message(agent, SWKI_AGENT_CONTROLLER_NEW, &task.base);
    if (action != NULL) {
        action->task_id = swki_arena_strdup(&agent->actions_arena, t->id);
        t->controller_asked = true;
    }
}

/* The task is gone from the manager's list and from the executor. */
static void finish_removal(struct swki_agent *agent, struct agent_task *t)
{
    if (t->has_controller) {
        task_action(agent, t, SWKI_AGENT_CONTROLLER_FREE);
    }
    task_action(agent, t, SWKI_AGENT_FORGET);
    swki_agent_drop_task(agent, t);
    swki_agent_note_left(agent);
}

static void cancel(struct swki_agent *agent, struct agent_task *t)
{
    if (!t->cancel_asked) {
        t->cancel_asked = true;
        task_action(agent, t, SWKI_AGENT_CANCEL);
    }
}

/* Whether the operation under way is of no use for what is wanted now. */
static bool must_cancel(const struct agent_task *t)
{
    if (t->removing) {
        return t->operation != SWK_OPERATION_REMOVE;
    }
    return (t->update_pending || t->refusal != NULL) &&
           t->operation != SWK_OPERATION_SHUTDOWN &&
           t->operation != SWK_OPERATION_UPDATE;
}

/* The end of a task that the node does not agree to. */
static void set_refused(struct swki_agent *agent, struct agent_task *t,
                        const struct swk_operation_result *result)
{
    bool started = t->status->state >= SWKPB__TASK_STATE__STARTING;

    swki_agent_set_status(
        agent, t,
        started ? SWKPB__TASK_STATE__FAILED : SWKPB__TASK_STATE__REJECTED,
        "refused by the node", t->refusal, started ? result : NULL);
}

/* Nothing may be left of what was begun; of others nothing is made. */
static void end_refused(struct swki_agent *agent, struct agent_task *t)
{
    Swkpb__TaskState state = t->status->state;

    t->update_pending = false;
    if (state >= SWKPB__TASK_STATE__COMPLETE) {
        return;
    }
    if (t->has_controller) {
        begin(agent, t, SWK_OPERATION_SHUTDOWN);
    } else if (state >= SWKPB__TASK_STATE__PREPARING) {
        ask_controller(agent, t);
    } else {
        set_refused(agent, t, NULL);
    }
}

static void fail(struct swki_agent *agent, struct agent_task *t,
                 int32_t operation, const struct swk_operation_result *result)
{
    bool started = t->status->state >= SWKPB__TASK_STATE__STARTING;

    if (operation == SWK_OPERATION_UPDATE) {
        swki_log(agent->config.logger, SWK_LOG_WARN, "agent",
                 "task %s: update refused: %s", t->id, result->text);
        return;
    }
    swki_agent_set_status(
        agent, t,
        started ? SWKPB__TASK_STATE__FAILED : SWKPB__TASK_STATE__REJECTED,
        t->status->message, result->text, started ? result : NULL);
}

/* With what the manager had to say of it when it assigned the task. */
static void tell_lack(const struct agent_task *t,
                      const Swkpb__SecretReference *missing,
                      char text[SWK_ERROR_TEXT_SIZE])
{
    const Swkpb__TaskStatus *assigned = t->task->status;
    bool has_reason = assigned != NULL &&
                      assigned->state == SWKPB__TASK_STATE__ASSIGNED &&
                      assigned->err[0] != '\0';

    snprintf(text, SWK_ERROR_TEXT_SIZE,
             "secret %.64s (%.64s) is not available: the manager has sent no "
             "value%s%s",
             missing->secret_name, missing->secret_id, has_reason ? ": " : "",
             has_reason ? assigned->err : "");
}

/* Whether the task can go on without a secret that it names. If not, it waits
 * for the first assignments, or it has failed: the manager sends a task after
 * its secrets. */
static bool has_secrets(struct swki_agent *agent, struct agent_task *t,
                        int32_t operation)
{
    const Swkpb__SecretReference *missing;
    struct swk_operation_result result = {.outcome = SWK_OUTCOME_FATAL};

    if (operation != SWK_OPERATION_PREPARE &&
        operation != SWK_OPERATION_START) {
        return true;
    }
    missing = swki_agent_missing_secret(agent, t);
    if (missing == NULL) {
        return true;
    }
    if (!agent->heard) {
        t->lacks_secret = true;
        return false;
    }
    tell_lack(t, missing, result.text);
    fail(agent, t, operation, &result);
    return false;
}

void swki_agent_drive(struct swki_agent *agent, struct agent_task *t)
{
    int32_t operation;

    if (t->operation != 0) {
        if (must_cancel(t)) {
            cancel(agent, t);
        }
        return;
    }
    if (t->retry.index != 0 || (t->controller_asked && !t->has_controller)) {
        return;
    }
    if (!t->removing && !swki_agent_vet(agent, t)) {
        end_refused(agent, t);
        return;
    }
    if (!t->has_controller) {
        bool ended = t->status->state >= SWKPB__TASK_STATE__COMPLETE;

        /* An ended task still needs one to be removed. */
        if (!ended || t->removing) {
            ask_controller(agent, t);
        }
        return;
    }
    if (t->removing) {
        begin(agent, t, SWK_OPERATION_REMOVE);
        return;
    }
    if (t->update_pending) {
        t->update_pending = false;
        begin(agent, t, SWK_OPERATION_UPDATE);
        return;
    }
    operation = next_operation(agent, t);
    if (operation != 0 && has_secrets(agent, t, operation)) {
        begin(agent, t, (enum swk_operation)operation);
    }
}

/* -- Events --------------------------------------------------------------- */

void swki_agent_controller(struct swki_agent *agent, swk_time now,
                           swk_wall wall, const char *task_id,
                           const struct swk_error *failure)
{
    struct agent_task *t = swki_map_get(&agent->tasks, task_id);
    Swkpb__TaskState state;

    agent->now = now;
    agent->wall = wall;
    if (t == NULL || !t->controller_asked || t->has_controller) {
        return;
    }
    t->controller_asked = false;
    if (failure == NULL) {
        t->has_controller = true;
    } else if (t->removing) {
        finish_removal(agent, t); /* nothing of it was ever made */
        return;
    } else {
        state = t->status->state;
        if (state < SWKPB__TASK_STATE__STARTING) {
            state = SWKPB__TASK_STATE__REJECTED;
        } else if (state <= SWKPB__TASK_STATE__RUNNING) {
            state = SWKPB__TASK_STATE__FAILED;
        }
        swki_agent_set_status(agent, t, state, "resolving controller failed",
                              failure->text, NULL);
    }
    swki_agent_drive(agent, t);
    swki_agent_send_reports(agent);
}

static void succeed(struct swki_agent *agent, struct agent_task *t,
                    int32_t operation,
                    const struct swk_operation_result *result)
{
    t->failures = 0;
    switch ((enum swk_operation)operation) {
    case SWK_OPERATION_PREPARE:
        swki_agent_set_status(agent, t, SWKPB__TASK_STATE__READY, "prepared",
                              "", NULL);
        break;
    case SWK_OPERATION_START:
        swki_agent_set_status(agent, t, SWKPB__TASK_STATE__RUNNING, "started",
                              "", result);
        break;
    case SWK_OPERATION_WAIT:
        swki_agent_set_status(agent, t, SWKPB__TASK_STATE__COMPLETE, "finished",
                              "", result);
        break;
    case SWK_OPERATION_SHUTDOWN:
    case SWK_OPERATION_TERMINATE:
        if (t->refusal != NULL &&
            t->task->desired_state < SWKPB__TASK_STATE__SHUTDOWN) {
            set_refused(agent, t, result);
        } else {
            swki_agent_set_status(agent, t, SWKPB__TASK_STATE__SHUTDOWN,
                                  "shutdown", "", result);
        }
        break;
    case SWK_OPERATION_UPDATE:
    case SWK_OPERATION_REMOVE:
        break;
    }
}

static void operation_ended(struct swki_agent *agent, struct agent_task *t,
                            int32_t operation,
                            const struct swk_operation_result *result)
{
    switch ((enum swk_outcome)result->outcome) {
    case SWK_OUTCOME_DONE:
    case SWK_OUTCOME_ALREADY:
        succeed(agent, t, operation, result);
        break;
    case SWK_OUTCOME_CANCELED:
        if (!t->cancel_asked) {
            retry_later(agent, t);
        }
        break;
    case SWK_OUTCOME_TEMPORARY:
        swki_agent_set_status(agent, t, t->status->state, t->status->message,
                              result->text, NULL);
        if (!t->cancel_asked) {
            retry_later(agent, t);
        }
        break;
    case SWK_OUTCOME_FATAL:
        fail(agent, t, operation, result);
        break;
    }
}

void swki_agent_operation(struct swki_agent *agent, swk_time now, swk_wall wall,
                          const char *task_id, int32_t operation,
                          const struct swk_operation_result *result)
{
    struct agent_task *t = swki_map_get(&agent->tasks, task_id);

    agent->now = now;
    agent->wall = wall;
    if (t == NULL || t->operation != operation) {
        return;
    }
    t->operation = 0;
    if (operation == SWK_OPERATION_REMOVE) {
        if (result->outcome == SWK_OUTCOME_DONE ||
            result->outcome == SWK_OUTCOME_ALREADY) {
            finish_removal(agent, t);
            return;
        }
        swki_log(agent->config.logger, SWK_LOG_WARN, "agent",
                 "task %s: not removed yet: %s", t->id, result->text);
        retry_later(agent, t);
        return;
    }
    operation_ended(agent, t, operation, result);
    swki_agent_drive(agent, t);
    swki_agent_send_reports(agent);
}
