/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The agent: a node's side of the conversation with its managers.
 *
 * It keeps one session with a dispatcher, learns from it which tasks the node
 * is to run, drives each of them through an executor, one operation at a time,
 * and reports what became of them. It decides nothing about the swarm.
 *
 * The agent is a machine. It is told events by the functions below and leaves
 * actions in a list; whoever runs it carries them out in order, and empties
 * the list. Calls it asks for have numbers of its own choice; what comes for a
 * call that it has given up is ignored.
 *
 *   event                                  may be answered by
 *   start, expire                          CONNECT, CALL, BEGIN
 *   connected                              CALL (Session)
 *   disconnected, a failed call            DISCONNECT
 *   message of Session                     NEWS, CALL (Heartbeat, Assignments)
 *   message of Assignments                 STORE, CONTROLLER_NEW, CANCEL
 *   controller                             BEGIN
 *   operation                              STORE, BEGIN, CALL
 *                                          (UpdateTaskStatus), FREE, FORGET
 *
 * A task that the node does not agree to is not begun: it is REJECTED, with the
 * reason, before there is a controller for it; one that was begun is shut down
 * and FAILED. This is looked at before anything is made of a task, when it
 * changes, and when it is taken up again.
 *
 * A node that was removed from the swarm ends and removes its tasks, and calls
 * nobody again.
 *
 * Secrets are kept in memory as they are sent. Before PREPARE and START of a
 * task that names any, whoever runs the machine asks it for them. A task whose
 * secret did not come fails; after a restart of the agent it waits for what the
 * manager sends first.
 *
 * Stopping the agent does not stop tasks: it is told the stored ones again by
 * swki_agent_restore() and takes them up where they are.
 */

#ifndef SWKI_AGENT_AGENT_H
#define SWKI_AGENT_AGENT_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/executor.h>

#include "objects.pb-c.h"

enum {
    SWKI_AGENT_TASKS_MAX = 65536,       /* tasks on one node */
    SWKI_AGENT_REPORTS_PER_CALL = 1024, /* statuses in one call */
};

enum swki_agent_action_type {
    /* Connect to some manager; then connected() or disconnected(). */
    SWKI_AGENT_CONNECT,
    /* Drop the connection with all its calls; no event follows. */
    SWKI_AGENT_DISCONNECT,
    /* Call path with data; message() and ended() follow for call_id. */
    SWKI_AGENT_CALL,
    /* Forget a call that is still open. */
    SWKI_AGENT_HANG_UP,
    /* The session brought news: data is an encoded SessionMessage. */
    SWKI_AGENT_NEWS,
    /* Make a controller of data, an encoded Task; then controller(). */
    SWKI_AGENT_CONTROLLER_NEW,
    /* Begin operation with data; then operation(). */
    SWKI_AGENT_BEGIN,
    /* Ask for an early end of the operation under way. */
    SWKI_AGENT_CANCEL,
    SWKI_AGENT_CONTROLLER_FREE,
    /* Keep data, an encoded Task with its status, over restarts. */
    SWKI_AGENT_STORE,
    /* The task is gone: forget what was stored. */
    SWKI_AGENT_FORGET,
    /* The node was removed from the swarm, and has no task any more: there is
     * nothing left to do, now or later. */
    SWKI_AGENT_LEFT,
};

/* Members that the type does not name are zero or NULL. */
struct swki_agent_action {
    struct swki_agent_action *next;
    enum swki_agent_action_type type;
    const char *task_id;
    uint64_t call_id;
    const char *path;
    int32_t operation; /* enum swk_operation */
    const uint8_t *data;
    size_t data_len;
};

struct swki_trust;

struct swki_agent_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const char *node_id; /* copied */
    uint64_t seed;
    /* Whose signatures a task needs; NULL: none. Borrowed until the agent is
     * freed. */
    struct swki_trust *trust;
    /* What the node lets run, valid; NULL: anything. Borrowed likewise. */
    const Swkpb__Rpc__NodeConsent *consent;
};

struct swki_agent;

int swki_agent_new(const struct swki_agent_config *config,
                   struct swki_agent **out_agent, struct swk_error *err);
void swki_agent_free(struct swki_agent *agent);

/* What was stored of a task; before start. Damaged data is refused. */
int swki_agent_restore(struct swki_agent *agent, const void *data, size_t len,
                       struct swk_error *err);

/* Begins with the first CONNECT. The description is an encoded
 * NodeDescription and copied. */
int swki_agent_start(struct swki_agent *agent, swk_time now, swk_wall wall,
                     const void *description, size_t description_len,
                     struct swk_error *err);

/* The node changed: a session that is up is told. */
int swki_agent_describe(struct swki_agent *agent, swk_time now,
                        const void *description, size_t description_len,
                        struct swk_error *err);

/* The connection that was asked for is up, or went down, or failed. */
void swki_agent_connected(struct swki_agent *agent, swk_time now);
void swki_agent_disconnected(struct swki_agent *agent, swk_time now,
                             const struct swk_error *reason);

/* Something came for a call; ended() is the last of it, with a gRPC status. */
void swki_agent_message(struct swki_agent *agent, swk_time now, swk_wall wall,
                        uint64_t call_id, const void *data, size_t len);
void swki_agent_ended(struct swki_agent *agent, swk_time now, uint64_t call_id,
                      int status, const char *text);

/* A manager whose certificate was verified refused this node a certificate,
 * and said why. If that is that the node was removed, it leaves the swarm. */
void swki_agent_refused(struct swki_agent *agent, swk_time now,
                        const char *text);

/* Answers CONTROLLER_NEW; failure is NULL when it was made. */
void swki_agent_controller(struct swki_agent *agent, swk_time now,
                           swk_wall wall, const char *task_id,
                           const struct swk_error *failure);

/* Answers BEGIN. */
void swki_agent_operation(struct swki_agent *agent, swk_time now, swk_wall wall,
                          const char *task_id, int32_t operation,
                          const struct swk_operation_result *result);

/*
 * The secrets that a task's container names, in the order of its references.
 * The list is *given*, to be freed by the agent's allocator; what it points to
 * is good until the next event. SWK_ENOTFOUND if one is not there any more.
 */
int swki_agent_task_secrets(const struct swki_agent *agent, const char *task_id,
                            struct swk_task_secret **out_secrets,
                            size_t *out_count, struct swk_error *err);

/* The deadline has come. */
void swki_agent_expire(struct swki_agent *agent, swk_time now, swk_wall wall);
swk_time swki_agent_deadline(const struct swki_agent *agent);

/* The actions since the last swki_agent_clear_actions(). */
const struct swki_agent_action *
swki_agent_actions(const struct swki_agent *agent);
void swki_agent_clear_actions(struct swki_agent *agent);

/* Whether a session is up, and how many tasks there are. */
bool swki_agent_registered(const struct swki_agent *agent);
size_t swki_agent_tasks_count(const struct swki_agent *agent);

/* IDs of the tasks, in no order that matters; NULL at the end. */
const char *swki_agent_next_task(const struct swki_agent *agent,
                                 size_t *cursor);

#endif
