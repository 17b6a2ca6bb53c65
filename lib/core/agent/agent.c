/* SPDX-License-Identifier: Apache-2.0 */

#include "core/agent/agent.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "core/agent/internal.h"
#include "wire/message.h"

enum {
    STORED_ARENA_LIMIT = 64 << 20, /* bytes a stored task may unpack to */
};

int swki_agent_new(const struct swki_agent_config *config,
                   struct swki_agent **out_agent, struct swk_error *err)
{
    struct swki_agent *agent = swki_calloc(config->alloc, 1, sizeof(*agent));

    if (agent == NULL) {
        return swki_fail_nomem(err);
    }
    agent->config = *config;
    snprintf(agent->node_id, sizeof(agent->node_id), "%s", config->node_id);
    agent->config.node_id = agent->node_id;
    swki_rng_init(&agent->rng, config->seed);
    swki_timers_init(&agent->timers, config->alloc);
    swki_map_init(&agent->tasks, config->alloc);
    swki_map_init(&agent->secrets, config->alloc);
    swki_arena_init(&agent->actions_arena, config->alloc, SIZE_MAX);
    agent->session_timer.tag = TIMER_SESSION;
    agent->heartbeat_timer.tag = TIMER_HEARTBEAT;
    swki_agent_clear_actions(agent);
    *out_agent = agent;
    return SWK_OK;
}

void swki_agent_free(struct swki_agent *agent)
{
    size_t cursor = 0;
    struct agent_task *t;

    if (agent == NULL) {
        return;
    }
    while ((t = swki_map_next(&agent->tasks, &cursor)) != NULL) {
        swki_agent_drop_task(agent, t);
    }
    swki_map_fini(&agent->tasks);
    swki_agent_drop_secrets(agent);
    swki_timers_fini(&agent->timers);
    swki_arena_fini(&agent->actions_arena);
    swki_free(agent->config.alloc, agent->description);
    swki_free(agent->config.alloc, agent);
}

/* -- Actions -------------------------------------------------------------- */

struct swki_agent_action *
swki_agent_add_action(struct swki_agent *agent,
                      enum swki_agent_action_type type)
{
    struct swki_agent_action *action =
        swki_arena_calloc(&agent->actions_arena, 1, sizeof(*action));

    if (action == NULL) {
        agent->failed = true;
        return NULL;
    }
    action->type = type;
    *agent->actions_last = action;
    agent->actions_last = &action->next;
    return action;
}

struct swki_agent_action *
swki_agent_add_message(struct swki_agent *agent,
                       enum swki_agent_action_type type,
                       const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *data = swki_arena_alloc(&agent->actions_arena, len);
    struct swki_agent_action *action = NULL;

    if (data != NULL) {
        action = swki_agent_add_action(agent, type);
    }
    if (action == NULL) {
        agent->failed = true;
        return NULL;
    }
    protobuf_c_message_pack(message, data);
    action->data = data;
    action->data_len = len;
    return action;
}

const struct swki_agent_action *
swki_agent_actions(const struct swki_agent *agent)
{
    return agent->actions;
}

void swki_agent_clear_actions(struct swki_agent *agent)
{
    swki_arena_reset(&agent->actions_arena);
    agent->actions = NULL;
    agent->actions_last = &agent->actions;
}

/* -- Life ----------------------------------------------------------------- */

int swki_agent_restore(struct swki_agent *agent, const void *data, size_t len,
                       struct swk_error *err)
{
    struct swki_arena arena;
    ProtobufCMessage *message;
    const Swkpb__Task *task;
    struct agent_task *t;
    int rc;

    swki_arena_init(&arena, agent->config.alloc, STORED_ARENA_LIMIT);
    rc = swki_message_unpack(&swkpb__task__descriptor, data, len, &arena,
                             &message, err);
    if (rc == 0) {
        task = (const Swkpb__Task *)message;
        if (task->id[0] == '\0' || strlen(task->id) > SWK_ID_LEN_MAX ||
            task->status == NULL ||
            swki_map_get(&agent->tasks, task->id) != NULL) {
            rc = swki_fail(err, SWK_ECORRUPT,
                           "stored task without a usable ID and status");
        }
    }
    if (rc == 0) {
        t = swki_agent_add_task(agent, task);
        rc = t != NULL ? SWK_OK : swki_fail_nomem(err);
    }
    swki_arena_fini(&arena);
    return rc;
}

static int set_description(struct swki_agent *agent, const void *data,
                           size_t len, struct swk_error *err)
{
    uint8_t *copy = swki_alloc(agent->config.alloc, len);

    if (copy == NULL) {
        return swki_fail_nomem(err);
    }
    if (len > 0) {
        memcpy(copy, data, len);
    }
    swki_free(agent->config.alloc, agent->description);
    agent->description = copy;
    agent->description_len = len;
    agent->described = false;
    return SWK_OK;
}

int swki_agent_start(struct swki_agent *agent, swk_time now, swk_wall wall,
                     const void *description, size_t description_len,
                     struct swk_error *err)
{
    size_t cursor = 0;
    struct agent_task *t;
    int rc;

    if (agent->state != SESSION_STOPPED) {
        return swki_fail(err, SWK_EINVAL, "agent: already started");
    }
    rc = set_description(agent, description, description_len, err);
    if (rc != 0) {
        return rc;
    }
    agent->now = now;
    agent->wall = wall;
    agent->state = SESSION_CONNECTING;
    /* Known tasks go on before any manager is reached. */
    while ((t = swki_map_next(&agent->tasks, &cursor)) != NULL) {
        swki_agent_drive(agent, t);
    }
    swki_agent_add_action(agent, SWKI_AGENT_CONNECT);
    return SWK_OK;
}

int swki_agent_describe(struct swki_agent *agent, swk_time now,
                        const void *description, size_t description_len,
                        struct swk_error *err)
{
    int rc;

    if (description_len == agent->description_len &&
        memcmp(description, agent->description, description_len) == 0) {
        return SWK_OK;
    }
    agent->now = now;
    rc = set_description(agent, description, description_len, err);
    if (rc == 0 && agent->state == SESSION_UP) {
        swki_agent_open_session(agent);
    }
    return rc;
}

void swki_agent_expire(struct swki_agent *agent, swk_time now, swk_wall wall)
{
    struct swki_timer *timer;

    agent->now = now;
    agent->wall = wall;
    while ((timer = swki_timers_expire(&agent->timers, now)) != NULL) {
        if (timer->tag == TIMER_TASK) {
            swki_agent_drive(agent,
                             SWKI_CONTAINER(timer, struct agent_task, retry));
        } else {
            swki_agent_session_expire(agent, timer);
        }
    }
    swki_agent_send_reports(agent);
}

swk_time swki_agent_deadline(const struct swki_agent *agent)
{
    return swki_timers_deadline(&agent->timers);
}

bool swki_agent_registered(const struct swki_agent *agent)
{
    return agent->state == SESSION_UP;
}

size_t swki_agent_tasks_count(const struct swki_agent *agent)
{
    return agent->tasks.count;
}

const char *swki_agent_next_task(const struct swki_agent *agent, size_t *cursor)
{
    const struct agent_task *t = swki_map_next(&agent->tasks, cursor);

    return t != NULL ? t->id : NULL;
}
