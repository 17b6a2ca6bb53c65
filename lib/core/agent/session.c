/* SPDX-License-Identifier: Apache-2.0 */

/* The session with a dispatcher: registration, heartbeats, streams. */

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "core/agent/internal.h"
#include "dispatcher.pb-c.h"
#include "wire/message.h"
#include "wire/status.h"

#define BACKOFF_FIRST (100 * SWK_MILLISECOND)
#define BACKOFF_MAX (8 * SWK_SECOND)
#define REGISTER_TIMEOUT (5 * SWK_SECOND)
#define HEARTBEAT_TIMEOUT (5 * SWK_SECOND)
#define HEARTBEAT_MIN (50 * SWK_MILLISECOND)

enum {
    MESSAGE_ARENA_LIMIT = 256 << 20, /* bytes a message may unpack to */
};

uint64_t swki_agent_call(struct swki_agent *agent, const char *path,
                         const ProtobufCMessage *request)
{
    struct swki_agent_action *action =
        swki_agent_add_message(agent, SWKI_AGENT_CALL, request);

    if (action == NULL) {
        return 0;
    }
    action->path = path;
    action->call_id = ++agent->last_call;
    return action->call_id;
}

static void hang_up(struct swki_agent *agent, uint64_t *call_id)
{
    struct swki_agent_action *action;

    if (*call_id != 0) {
        action = swki_agent_add_action(agent, SWKI_AGENT_HANG_UP);
        if (action != NULL) {
            action->call_id = *call_id;
        }
        *call_id = 0;
    }
}

/* Sets a timer of the session. It fails only for the first timers of all,
 * when a machine without memory for 16 pointers has no use for them either. */
static void set_timer(struct swki_agent *agent, struct swki_timer *timer,
                      swk_time delay)
{
    if (!swki_timers_set(&agent->timers, timer, agent->now + delay)) {
        agent->failed = true;
    }
}

/* Nothing of the session is left but its ID. */
static void drop_session(struct swki_agent *agent)
{
    agent->session_call = 0;
    agent->heartbeat_call = 0;
    agent->assignments_call = 0;
    agent->report_call = 0;
    agent->applied[0] = '\0';
    swki_timers_cancel(&agent->timers, &agent->heartbeat_timer);
    swki_agent_add_action(agent, SWKI_AGENT_DISCONNECT);
}

void swki_agent_session_lost(struct swki_agent *agent, const char *why)
{
    swk_time pause;

    if (agent->state == SESSION_WAITING || agent->state == SESSION_STOPPED) {
        return;
    }
    agent->backoff = BACKOFF_FIRST + 2 * agent->backoff;
    if (agent->backoff > BACKOFF_MAX) {
        agent->backoff = BACKOFF_MAX;
    }
    pause = swki_rng_below(&agent->rng, agent->backoff);
    swki_log(agent->config.logger, SWK_LOG_WARN, "agent",
             "no session: %s; next attempt in %.1f s", why,
             (double)pause / (double)SWK_SECOND);
    drop_session(agent);
    agent->state = SESSION_WAITING;
    set_timer(agent, &agent->session_timer, pause);
}

void swki_agent_open_session(struct swki_agent *agent)
{
    Swkpb__SessionRequest request = SWKPB__SESSION_REQUEST__INIT;
    struct swki_arena arena;
    ProtobufCMessage *description;

    swki_arena_init(&arena, agent->config.alloc, MESSAGE_ARENA_LIMIT);
    if (swki_message_unpack(&swkpb__node_description__descriptor,
                            agent->description, agent->description_len, &arena,
                            &description, NULL) == 0) {
        request.description = (Swkpb__NodeDescription *)description;
    }
    request.session_id = agent->session_id;
    agent->described = true;
    hang_up(agent, &agent->session_call);
    agent->session_call = swki_agent_call(
        agent, "/docker.swarmkit.v1.Dispatcher/Session", &request.base);
    swki_arena_fini(&arena);
}

void swki_agent_connected(struct swki_agent *agent, swk_time now)
{
    agent->now = now;
    if (agent->state != SESSION_CONNECTING) {
        return;
    }
    agent->state = SESSION_REGISTERING;
    set_timer(agent, &agent->session_timer, REGISTER_TIMEOUT);
    swki_agent_open_session(agent);
}

void swki_agent_disconnected(struct swki_agent *agent, swk_time now,
                             const struct swk_error *reason)
{
    agent->now = now;
    swki_agent_session_lost(agent, reason->text);
}

static void beat(struct swki_agent *agent)
{
    Swkpb__HeartbeatRequest request = SWKPB__HEARTBEAT_REQUEST__INIT;

    request.session_id = agent->session_id;
    agent->heartbeat_call = swki_agent_call(
        agent, "/docker.swarmkit.v1.Dispatcher/Heartbeat", &request.base);
    set_timer(agent, &agent->heartbeat_timer, HEARTBEAT_TIMEOUT);
}

static void open_assignments(struct swki_agent *agent)
{
    Swkpb__AssignmentsRequest request = SWKPB__ASSIGNMENTS_REQUEST__INIT;

    request.session_id = agent->session_id;
    hang_up(agent, &agent->assignments_call);
    agent->applied[0] = '\0';
    agent->assignments_call = swki_agent_call(
        agent, "/docker.swarmkit.v1.Dispatcher/Assignments", &request.base);
}

static void registered(struct swki_agent *agent)
{
    swki_log(agent->config.logger, SWK_LOG_INFO, "agent",
             "registered with a manager");
    swki_timers_cancel(&agent->timers, &agent->session_timer);
    agent->state = SESSION_UP;
    agent->backoff = 0;
    beat(agent);
    open_assignments(agent);
    swki_agent_report_all(agent);
}

static void take_session_message(struct swki_agent *agent, const void *data,
                                 size_t len)
{
    struct swki_arena arena;
    ProtobufCMessage *message;
    struct swk_error err;
    const char *id;

    swki_arena_init(&arena, agent->config.alloc, MESSAGE_ARENA_LIMIT);
    if (swki_message_unpack(&swkpb__session_message__descriptor, data, len,
                            &arena, &message, &err) != 0) {
        swki_agent_session_lost(agent, err.text);
        swki_arena_fini(&arena);
        return;
    }
    swki_agent_add_message(agent, SWKI_AGENT_NEWS, message);
    id = ((const Swkpb__SessionMessage *)message)->session_id;
    if (id[0] == '\0' || strlen(id) > SWK_ID_LEN_MAX) {
        swki_agent_session_lost(agent, "the manager gave no session ID");
    } else {
        bool changed = strcmp(id, agent->session_id) != 0;

        snprintf(agent->session_id, sizeof(agent->session_id), "%s", id);
        if (agent->state == SESSION_REGISTERING) {
            registered(agent);
            if (!agent->described) { /* it changed while that was under way */
                swki_agent_open_session(agent);
            }
        } else if (changed) {
            open_assignments(agent);
        }
    }
    swki_arena_fini(&arena);
}

static void take_heartbeat(struct swki_agent *agent, const void *data,
                           size_t len)
{
    struct swki_arena arena;
    ProtobufCMessage *message;
    int64_t period = 0;

    swki_arena_init(&arena, agent->config.alloc, MESSAGE_ARENA_LIMIT);
    if (swki_message_unpack(&swkpb__heartbeat_response__descriptor, data, len,
                            &arena, &message, NULL) == 0) {
        const Swkpb__Duration *duration =
            ((const Swkpb__HeartbeatResponse *)message)->period;

        if (duration != NULL &&
            swki_duration_read(duration, &period, NULL) != 0) {
            period = 0;
        }
    }
    swki_arena_fini(&arena);
    if (period < (int64_t)HEARTBEAT_MIN) {
        period = (int64_t)HEARTBEAT_MIN;
    }
    set_timer(agent, &agent->heartbeat_timer, (swk_time)period);
}

void swki_agent_message(struct swki_agent *agent, swk_time now, swk_wall wall,
                        uint64_t call_id, const void *data, size_t len)
{
    agent->now = now;
    agent->wall = wall;
    if (call_id == 0) {
        return;
    }
    if (call_id == agent->session_call) {
        take_session_message(agent, data, len);
    } else if (call_id == agent->heartbeat_call) {
        take_heartbeat(agent, data, len);
    } else if (call_id == agent->assignments_call &&
               !swki_agent_apply_assignments(agent, data, len)) {
        open_assignments(agent); /* a gap: ask for everything again */
    }
    swki_agent_send_reports(agent);
}

/* Whether a manager says that this node was removed. The status has no code for
 * it; its text is the same in every implementation of a manager. It names the
 * node: a manager that was removed itself passes on what it was told. What
 * comes for a call comes from a manager whose certificate was verified, or from
 * here: words of ours are other ones. */
static bool says_removed(const struct swki_agent *agent, const char *text)
{
    char own[SWK_ID_LEN_MAX + 64];

    snprintf(own, sizeof(own), "node %s was removed from swarm",
             agent->node_id);
    return strstr(text, own) != NULL;
}

/* Others run what this node ran, so it must not go on. */
static void leave(struct swki_agent *agent)
{
    swki_log(agent->config.logger, SWK_LOG_ERROR, "agent",
             "this node was removed from the swarm: its tasks are ended; to "
             "join again, start it with an empty state directory and a token");
    agent->removed = true;
    swki_timers_cancel(&agent->timers, &agent->session_timer);
    drop_session(agent);
    agent->state = SESSION_STOPPED;
    swki_agent_remove_tasks(agent);
    swki_agent_note_left(agent);
}

void swki_agent_note_left(struct swki_agent *agent)
{
    if (agent->removed && agent->tasks.count == 0) {
        swki_agent_add_action(agent, SWKI_AGENT_LEFT);
    }
}

void swki_agent_ended(struct swki_agent *agent, swk_time now, uint64_t call_id,
                      int status, const char *text)
{
    char why[SWK_ERROR_TEXT_SIZE];

    agent->now = now;
    if (call_id == 0 || agent->removed) {
        return;
    }
    if (status == SWKI_STATUS_PERMISSION_DENIED && says_removed(agent, text)) {
        leave(agent);
        return;
    }
    snprintf(why, sizeof(why), "%s: %s", swki_status_name(status), text);
    if (call_id == agent->heartbeat_call) {
        agent->heartbeat_call = 0;
        if (status != SWKI_STATUS_OK) {
            swki_agent_session_lost(agent, why);
        }
    } else if (call_id == agent->report_call) {
        agent->report_call = 0;
        swki_agent_reported(agent, status);
        if (status != SWKI_STATUS_OK) {
            swki_agent_session_lost(agent, why);
        }
        swki_agent_send_reports(agent);
    } else if (call_id == agent->session_call ||
               call_id == agent->assignments_call) {
        if (status == SWKI_STATUS_INVALID_ARGUMENT) {
            agent->session_id[0] = '\0';
        }
        swki_agent_session_lost(agent, why);
    }
}

void swki_agent_refused(struct swki_agent *agent, swk_time now,
                        const char *text)
{
    agent->now = now;
    if (!agent->removed && says_removed(agent, text)) {
        leave(agent);
    }
}

void swki_agent_session_expire(struct swki_agent *agent,
                               struct swki_timer *timer)
{
    if (timer == &agent->heartbeat_timer) {
        if (agent->heartbeat_call != 0) {
            swki_agent_session_lost(agent, "no answer to a heartbeat");
        } else {
            beat(agent);
        }
    } else if (agent->state == SESSION_WAITING) {
        agent->state = SESSION_CONNECTING;
        swki_agent_add_action(agent, SWKI_AGENT_CONNECT);
    } else if (agent->state == SESSION_REGISTERING) {
        swki_agent_session_lost(agent, "session initiation timed out");
    }
}
