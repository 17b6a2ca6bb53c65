/* SPDX-License-Identifier: Apache-2.0 */

/* What the agent's files share. */

#ifndef SWKI_AGENT_INTERNAL_H
#define SWKI_AGENT_INTERNAL_H

#include "base/arena.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/timers.h"
#include "core/agent/agent.h"
#include "objects.pb-c.h"

/* Tags of timers. */
enum {
    TIMER_SESSION,
    TIMER_HEARTBEAT,
    TIMER_TASK,
};

enum session_state {
    SESSION_STOPPED,
    SESSION_WAITING,     /* the timer ends the pause before CONNECT */
    SESSION_CONNECTING,  /* CONNECT was asked for */
    SESSION_REGISTERING, /* the first message is to come before the timer */
    SESSION_UP,
};

/* One task, from its assignment until it was removed. */
struct agent_task {
    char id[SWK_ID_LEN_MAX + 1];
    struct swki_arena arena; /* of task */
    Swkpb__Task *task;       /* as assigned; of its status, only what the
                                manager said of one yet to begin is used */
    struct swki_arena status_arena;
    Swkpb__TaskStatus *status; /* ours: what the node made of the task */
    bool has_controller;
    bool controller_asked;
    int32_t operation;   /* under way, or 0 */
    bool cancel_asked;   /* for the operation under way */
    bool update_pending; /* the controller has not seen the newest version */
    bool removing;       /* no longer wanted */
    bool listed;         /* in the complete set being applied */
    bool lacks_secret;   /* that may come with the first assignments */
    struct swki_timer retry;
    unsigned failures; /* in a row */
    bool vetted;       /* whether the node agrees to this version is known */
    char *refusal;     /* why it does not; NULL if it does */
    bool report_due;   /* the manager has not been told the status */
    bool reporting;    /* in the call under way */
};

struct swki_agent {
    struct swki_agent_config config;
    char node_id[SWK_ID_LEN_MAX + 1];
    struct swki_rng rng;
    struct swki_timers timers;
    struct swki_arena actions_arena;
    struct swki_agent_action *actions;
    struct swki_agent_action **actions_last;

    /* session.c */
    enum session_state state;
    struct swki_timer session_timer;
    struct swki_timer heartbeat_timer;
    swk_time backoff;
    char session_id[SWK_ID_LEN_MAX + 1];
    uint8_t *description;
    size_t description_len;
    bool described; /* the manager was sent it, or is being sent it */
    uint64_t last_call;
    uint64_t session_call; /* 0 for none, likewise below */
    uint64_t heartbeat_call;
    uint64_t assignments_call;
    char applied[24]; /* results_in of the last message applied */

    /* reporter.c */
    uint64_t report_call;
    bool reports_due;

    /* worker.c */
    struct swki_map tasks; /* struct agent_task by ID */
    struct swki_map secrets; /* struct agent_secret by ID */
    bool heard;            /* what the node is to run, since the agent began */
    swk_time now;          /* of the event being told */
    swk_wall wall;
    bool removed; /* the node was, from the swarm */
    bool failed;  /* an action was lost for want of memory */
};

/* agent.c */
struct swki_agent_action *
swki_agent_add_action(struct swki_agent *agent,
                      enum swki_agent_action_type type);
/* With an encoded message as its data; NULL for no memory. */
struct swki_agent_action *
swki_agent_add_message(struct swki_agent *agent,
                       enum swki_agent_action_type type,
                       const ProtobufCMessage *message);

/* session.c */
/* Registers, or resumes the session with the newest description. */
void swki_agent_open_session(struct swki_agent *agent);
void swki_agent_session_lost(struct swki_agent *agent, const char *why);
/* Says so when a node that was removed has no task any more. */
void swki_agent_note_left(struct swki_agent *agent);
/* Asks for a call; returns its number, 0 for no memory. */
uint64_t swki_agent_call(struct swki_agent *agent, const char *path,
                         const ProtobufCMessage *request);
void swki_agent_session_expire(struct swki_agent *agent,
                               struct swki_timer *timer);

/* worker.c */
/* False if the message does not follow the last one applied. */
bool swki_agent_apply_assignments(struct swki_agent *agent, const void *data,
                                  size_t len);
/* Ends and forgets all tasks. */
void swki_agent_remove_tasks(struct swki_agent *agent);
struct agent_task *swki_agent_add_task(struct swki_agent *agent,
                                       const Swkpb__Task *task);
void swki_agent_drop_task(struct swki_agent *agent, struct agent_task *t);
void swki_agent_store_task(struct swki_agent *agent,
                           const struct agent_task *t);

/* secrets.c */
/* Keeps a copy; false for no memory. */
bool swki_agent_put_secret(struct swki_agent *agent,
                           const Swkpb__Secret *secret);
void swki_agent_drop_secret(struct swki_agent *agent, const char *id);
void swki_agent_drop_secrets(struct swki_agent *agent);
/* The first that the task names and the node has not, or NULL. */
const Swkpb__SecretReference *
swki_agent_missing_secret(const struct swki_agent *agent,
                          const struct agent_task *t);

/* vet.c */
/* Whether the node agrees to this version of a task; if not, *out_err has the
 * reason. A version without signatures that are good, but over the same as
 * those that were agreed to, is given the latter. */
bool swki_agent_agrees_to_change(struct swki_agent *agent,
                                 const struct agent_task *t, Swkpb__Task *task,
                                 struct swk_error *out_err);
/* The same for the task as it is now, remembered until it changes. */
bool swki_agent_vet(struct swki_agent *agent, struct agent_task *t);
/* The same for one that was just assigned: that it was begun is the manager's
 * word alone, so it is vetted as one to begin, before it is stored. */
void swki_agent_vet_new(struct swki_agent *agent, struct agent_task *t);
/* Keeps the reason for a task that is refused. */
void swki_agent_refuse(struct swki_agent *agent, struct agent_task *t,
                       const struct swk_error *why);

/* task.c */
/* Does what can be done for a task now. */
void swki_agent_drive(struct swki_agent *agent, struct agent_task *t);
int swki_agent_set_status(struct swki_agent *agent, struct agent_task *t,
                          Swkpb__TaskState state, const char *message,
                          const char *why,
                          const struct swk_operation_result *result);

/* reporter.c */
void swki_agent_note_report(struct swki_agent *agent, struct agent_task *t);
void swki_agent_send_reports(struct swki_agent *agent);
void swki_agent_reported(struct swki_agent *agent, int status);
void swki_agent_report_all(struct swki_agent *agent);

#endif
