/* SPDX-License-Identifier: Apache-2.0 */

/* What the files of the orchestrator share. */

#ifndef SWKI_ORCHESTRATOR_STATE_H
#define SWKI_ORCHESTRATOR_STATE_H

#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/timers.h"
#include "core/orchestrator/orchestrator.h"
#include "core/orchestrator/slot.h"
#include "core/store/component.h"

#define SWKI_RESTART_DELAY (5 * SWK_SECOND)
#define SWKI_STOP_WAIT (60 * SWK_SECOND)
#define SWKI_MONITOR (5 * SWK_SECOND)

enum swki_alarm_kind {
    SWKI_ALARM_START,   /* a delayed start */
    SWKI_ALARM_SLOT,    /* the pause after one slot of an update */
    SWKI_ALARM_MONITOR, /* the end of an update */
};

/* A timer that knows what it is part of. */
struct swki_alarm {
    struct swki_timer timer;
    enum swki_alarm_kind kind;
};

struct swki_update;

/* What is remembered of a service. */
struct swki_service_entry {
    struct swki_update *update; /* NULL when none runs */
    struct swki_link starts;    /* of struct swki_start */
    bool queued;                /* for reconciliation */
    char id[];
};

/* A task at desired READY that will be released. */
struct swki_start {
    struct swki_link link; /* in its service */
    struct swki_service_entry *service;
    struct swki_alarm alarm;
    swk_time give_up; /* no waiting for predecessors after this */
    uint64_t slot;
    bool waiting; /* the delay is over, a predecessor still stops */
    bool again;   /* it ended before its time: restart it then */
    char task_id[];
};

struct swki_orchestrator {
    const struct swk_alloc *alloc;
    struct swki_component base;
    char *node_id;
    struct swki_rng rng;
    struct swki_timers timers;
    struct swki_map services; /* ID to struct swki_service_entry */
    struct swki_map restarts; /* IDs of tasks to be restarted, as char * */
    struct swki_map starts;   /* task ID to struct swki_start */
    size_t services_queued;
    /* Of the step under way. */
    struct swki_batch batch;
    swk_time now;
    swk_wall wall;
};

/* -- orchestrator.c -- */

/* The entry, made if need be; NULL for no memory. */
struct swki_service_entry *swki_service_entry(struct swki_orchestrator *o,
                                              const char *id);
void swki_queue_service(struct swki_orchestrator *o,
                        struct swki_service_entry *entry);
/* False for no memory. */
bool swki_queue_restart(struct swki_orchestrator *o, const char *task_id);
/* Runs a step in the batch of the step under way. */
int swki_write(struct swki_orchestrator *o, swki_step_fn step, void *ctx,
               struct swk_error *err);
/* Makes what was written visible in head. */
int swki_flush(struct swki_orchestrator *o, struct swk_error *err);

/* -- replicated.c -- */

bool swki_is_replicated(const struct swki_object *service);
int swki_reconcile(struct swki_orchestrator *o,
                   struct swki_service_entry *entry, struct swk_error *err);
/* Marks every task of a service that is gone. */
int swki_remove_tasks_of(struct swki_orchestrator *o, const char *service_id,
                         struct swk_error *err);
/* Raises the desired state of one task, if it is lower; a missing task is no
 * error. */
int swki_raise_desired(struct swki_tx *tx, const char *task_id,
                       Swkpb__TaskState desired, struct swk_error *err);

/* -- restart.c -- */

/* Whether tasks of the node must go elsewhere: gone, down or drained. */
bool swki_node_invalid(const struct swki_view *view, const char *node_id);
/* Whether the policy gives the task, as it ended, a successor. */
int swki_should_restart(const struct swki_view *view,
                        const struct swki_object *task, bool *out_restart);
/* Restarts one task, if it still has to be. */
int swki_restart(struct swki_orchestrator *o, const char *task_id,
                 struct swk_error *err);
/* Has the task released after delay, once its predecessors stopped. */
int swki_start_later(struct swki_orchestrator *o, const Swkpb__Task *task,
                     swk_time delay);
void swki_start_cancel(struct swki_orchestrator *o, const char *task_id);
int swki_start_expired(struct swki_orchestrator *o, struct swki_start *start,
                       struct swk_error *err);
/* A task of the slot stopped: those that waited for it may go. */
int swki_starts_recheck(struct swki_orchestrator *o,
                        struct swki_service_entry *entry, uint64_t slot,
                        struct swk_error *err);
/* The same for all, when a node went away. */
int swki_starts_recheck_all(struct swki_orchestrator *o, struct swk_error *err);

/* -- new_task.c -- */

enum {
    SWKI_TASK_FIELD_SPEC = 3,
    SWKI_TASK_FIELD_SERVICE_ANNOTATIONS = 8,
    SWKI_TASK_FIELD_SPEC_VERSION = 14,
    SWKI_TASK_FIELD_SIGNATURES = 1000,
    SWKI_SERVICE_FIELD_SPEC = 3,
    SWKI_SERVICE_FIELD_SPEC_VERSION = 10,
};

struct swki_new_task {
    const struct swki_object *service;
    const struct swki_object *like; /* a task whose spec is taken, or NULL for
                                       the service's own */
    uint64_t slot;
    Swkpb__TaskState desired;
};

/* Creates it in a transaction, and writes its ID. */
int swki_create_task(struct swki_orchestrator *o, struct swki_tx *tx,
                     const struct swki_new_task *wanted,
                     const struct swki_object **out_task,
                     struct swk_error *err);

/* Whether a task is not what its service asks for. */
bool swki_task_dirty(struct swki_orchestrator *o, const struct swki_view *view,
                     const struct swki_object *service,
                     const struct swki_object *task);

/* -- updater.c -- */

/* Brings the slots up to date, unless that is under way already. */
int swki_update_slots(struct swki_orchestrator *o,
                      struct swki_service_entry *entry,
                      const struct swki_object *service,
                      const struct swki_slots *slots, struct swk_error *err);
void swki_update_free(struct swki_orchestrator *o, struct swki_update *update);
/* A task of the service changed, or went. */
int swki_update_task_changed(struct swki_orchestrator *o,
                             struct swki_update *update,
                             const struct swki_event *event,
                             struct swk_error *err);
int swki_update_expired(struct swki_orchestrator *o, struct swki_alarm *alarm,
                        struct swk_error *err);

#endif
