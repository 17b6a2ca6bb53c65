/* SPDX-License-Identifier: Apache-2.0 */

/* What the node is to run: assignments applied to the set of tasks. */

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "core/agent/internal.h"
#include "dispatcher.pb-c.h"
#include "wire/message.h"

enum {
    ASSIGNMENTS_ARENA_LIMIT = 512 << 20, /* bytes a message may unpack to */
};

void swki_agent_drop_task(struct swki_agent *agent, struct agent_task *t)
{
    swki_map_remove(&agent->tasks, t->id);
    swki_timers_cancel(&agent->timers, &t->retry);
    swki_arena_fini(&t->arena);
    swki_arena_fini(&t->status_arena);
    swki_free(agent->config.alloc, t->refusal);
    swki_free(agent->config.alloc, t);
}

void swki_agent_store_task(struct swki_agent *agent, const struct agent_task *t)
{
    Swkpb__Task task = *t->task;
    struct swki_agent_action *action;

    task.status = t->status;
    action = swki_agent_add_message(agent, SWKI_AGENT_STORE, &task.base);
    if (action != NULL) {
        action->task_id = swki_arena_strdup(&agent->actions_arena, t->id);
    }
}

static int replace_task(struct agent_task *t, const Swkpb__Task *task,
                        const struct swk_alloc *alloc)
{
    struct swki_arena arena;
    Swkpb__Task *copy;

    swki_arena_init(&arena, alloc, SIZE_MAX);
    copy = (Swkpb__Task *)swki_message_copy(&task->base, &arena);
    if (copy == NULL) {
        swki_arena_fini(&arena);
        return SWK_ENOMEM;
    }
    swki_arena_fini(&t->arena);
    t->arena = arena;
    t->task = copy;
    return SWK_OK;
}

struct agent_task *swki_agent_add_task(struct swki_agent *agent,
                                       const Swkpb__Task *task)
{
    const struct swk_alloc *alloc = agent->config.alloc;
    struct agent_task *t = swki_calloc(alloc, 1, sizeof(*t));
    Swkpb__TaskStatus empty = SWKPB__TASK_STATUS__INIT;
    const Swkpb__TaskStatus *status =
        task->status != NULL ? task->status : &empty;

    if (t == NULL) {
        return NULL;
    }
    snprintf(t->id, sizeof(t->id), "%s", task->id);
    t->retry.tag = TIMER_TASK;
    swki_arena_init(&t->arena, alloc, SIZE_MAX);
    swki_arena_init(&t->status_arena, alloc, SIZE_MAX);
    t->status =
        (Swkpb__TaskStatus *)swki_message_copy(&status->base, &t->status_arena);
    if (t->status == NULL || replace_task(t, task, alloc) != 0 ||
        !swki_map_put(&agent->tasks, t->id, t)) {
        swki_arena_fini(&t->arena);
        swki_arena_fini(&t->status_arena);
        swki_free(alloc, t);
        return NULL;
    }
    return t;
}

/* Whether two versions differ in something the manager decides. */
static bool task_differs(const Swkpb__Task *before, const Swkpb__Task *now)
{
    Swkpb__Task a = *before;
    Swkpb__Task b = *now;

    a.status = b.status = NULL;
    a.meta = b.meta = NULL;
    return !swki_message_equal(&a.base, &b.base);
}

/* A version that the node does not agree to is not taken over: what runs is
 * stopped in the way that was agreed to. */
static bool change_task(struct swki_agent *agent, struct agent_task *t,
                        const Swkpb__Task *task)
{
    Swkpb__Task next = *task;
    struct swk_error err;

    if (t->refusal != NULL) {
        t->task->desired_state = task->desired_state;
        return true;
    }
    if (!swki_agent_agrees_to_change(agent, t, &next, &err)) {
        if (err.code == SWK_ENOMEM) {
            return false; /* not looked at: the manager is asked again */
        }
        swki_agent_refuse(agent, t, &err);
        t->task->desired_state = task->desired_state;
        return true;
    }
    if (replace_task(t, &next, agent->config.alloc) != 0) {
        return false;
    }
    t->update_pending = t->has_controller;
    return true;
}

static bool update_task(struct swki_agent *agent, const Swkpb__Task *task)
{
    struct agent_task *t;

    if (task->id[0] == '\0' || strlen(task->id) > SWK_ID_LEN_MAX) {
        swki_log(agent->config.logger, SWK_LOG_ERROR, "agent",
                 "assignment of a task without a usable ID");
        return true;
    }
    t = swki_map_get(&agent->tasks, task->id);
    if (t == NULL) {
        if (agent->tasks.count >= SWKI_AGENT_TASKS_MAX) {
            swki_log(agent->config.logger, SWK_LOG_ERROR, "agent",
                     "over %d tasks: assignment ignored", SWKI_AGENT_TASKS_MAX);
            return true;
        }
        t = swki_agent_add_task(agent, task);
        if (t == NULL) {
            return false;
        }
        swki_agent_vet_new(agent, t);
        swki_agent_store_task(agent, t);
        swki_agent_drive(agent, t);
        return true;
    }
    if (t->removing || !task_differs(t->task, task)) {
        return true;
    }
    if (task->desired_state < t->task->desired_state) {
        swki_log(agent->config.logger, SWK_LOG_ERROR, "agent",
                 "task %s: a lower desired state is ignored", t->id);
        return true;
    }
    if (!change_task(agent, t, task)) {
        return false;
    }
    swki_agent_store_task(agent, t);
    t->failures = 0;
    swki_timers_cancel(&agent->timers, &t->retry);
    swki_agent_drive(agent, t);
    return true;
}

static void remove_task(struct swki_agent *agent, const char *id)
{
    struct agent_task *t = swki_map_get(&agent->tasks, id);

    if (t != NULL && !t->removing) {
        t->removing = true;
        t->failures = 0;
        swki_timers_cancel(&agent->timers, &t->retry);
        swki_agent_drive(agent, t);
    }
}

/* A complete set: whatever is not in it goes. */
static void remove_unlisted(struct swki_agent *agent,
                            const Swkpb__AssignmentsMessage *message)
{
    size_t cursor = 0;
    struct agent_task *t;

    while ((t = swki_map_next(&agent->tasks, &cursor)) != NULL) {
        t->listed = false;
    }
    for (size_t i = 0; i < message->n_changes; i++) {
        const Swkpb__Assignment *item = message->changes[i]->assignment;

        if (item != NULL && item->item_case == SWKPB__ASSIGNMENT__ITEM_TASK) {
            t = swki_map_get(&agent->tasks, item->task->id);
            if (t != NULL) {
                t->listed = true;
            }
        }
    }
    cursor = 0;
    while ((t = swki_map_next(&agent->tasks, &cursor)) != NULL) {
        if (!t->listed) {
            remove_task(agent, t->id);
        }
    }
}

void swki_agent_remove_tasks(struct swki_agent *agent)
{
    const Swkpb__AssignmentsMessage none = SWKPB__ASSIGNMENTS_MESSAGE__INIT;

    remove_unlisted(agent, &none);
    swki_agent_drop_secrets(agent);
}

/* Before the tasks that use them, and after: an update, or a removal. */
static bool apply_secrets(struct swki_agent *agent,
                          const Swkpb__AssignmentsMessage *message,
                          Swkpb__AssignmentChange__AssignmentAction action)
{
    for (size_t i = 0; i < message->n_changes; i++) {
        const Swkpb__AssignmentChange *change = message->changes[i];
        const Swkpb__Assignment *item = change->assignment;

        if (item == NULL || change->action != action ||
            item->item_case != SWKPB__ASSIGNMENT__ITEM_SECRET) {
            continue;
        }
        if (action == SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__REMOVE) {
            swki_agent_drop_secret(agent, item->secret->id);
        } else if (!swki_agent_put_secret(agent, item->secret)) {
            return false;
        }
    }
    return true;
}

/* Those that waited for their secrets since the agent began. */
static void drive_lacking(struct swki_agent *agent)
{
    size_t cursor = 0;
    struct agent_task *t;

    while ((t = swki_map_next(&agent->tasks, &cursor)) != NULL) {
        if (t->lacks_secret) {
            t->lacks_secret = false;
            swki_agent_drive(agent, t);
        }
    }
}

/* Updates first, then removals. Configs and volumes are of no use to the
 * executors there are: a task that names one was refused by its controller. */
static bool apply_changes(struct swki_agent *agent,
                          const Swkpb__AssignmentsMessage *message)
{
    for (int removals = 0; removals < 2; removals++) {
        for (size_t i = 0; i < message->n_changes; i++) {
            const Swkpb__AssignmentChange *change = message->changes[i];
            const Swkpb__Assignment *item = change->assignment;
            bool removal = change->action ==
                           SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__REMOVE;

            if (item == NULL || removal != (removals == 1) ||
                item->item_case != SWKPB__ASSIGNMENT__ITEM_TASK) {
                continue;
            }
            if (removal) {
                remove_task(agent, item->task->id);
            } else if (!update_task(agent, item->task)) {
                return false;
            }
        }
    }
    return true;
}

static bool apply_message(struct swki_agent *agent,
                          const Swkpb__AssignmentsMessage *message)
{
    bool complete = message->type == SWKPB__ASSIGNMENTS_MESSAGE__TYPE__COMPLETE;

    if (!complete && strcmp(message->applies_to, agent->applied) != 0) {
        swki_log(agent->config.logger, SWK_LOG_WARN, "agent",
                 "gap in the assignments: asking for all of them");
        return false;
    }
    if (complete) {
        remove_unlisted(agent, message);
        swki_agent_drop_secrets(agent);
    }
    snprintf(agent->applied, sizeof(agent->applied), "%s", message->results_in);
    agent->heard = true;
    if (!apply_secrets(agent, message,
                       SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__UPDATE) ||
        !apply_changes(agent, message)) {
        return false;
    }
    drive_lacking(agent);
    return apply_secrets(agent, message,
                         SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__REMOVE);
}

bool swki_agent_apply_assignments(struct swki_agent *agent, const void *data,
                                  size_t len)
{
    struct swki_arena arena;
    ProtobufCMessage *message;
    struct swk_error err;
    bool applied = false;

    swki_arena_init(&arena, agent->config.alloc, ASSIGNMENTS_ARENA_LIMIT);
    if (swki_message_unpack(&swkpb__assignments_message__descriptor, data, len,
                            &arena, &message, &err) == 0) {
        applied =
            apply_message(agent, (const Swkpb__AssignmentsMessage *)message);
    } else {
        swki_log(agent->config.logger, SWK_LOG_ERROR, "agent",
                 "assignments refused: %s", err.text);
    }
    swki_arena_fini(&arena);
    return applied;
}
