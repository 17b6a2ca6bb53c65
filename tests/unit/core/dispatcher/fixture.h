/* SPDX-License-Identifier: Apache-2.0 */

/* A leader's dispatcher beside a store, and nodes that call it by hand. */

#ifndef TESTS_UNIT_CORE_DISPATCHER_FIXTURE_H
#define TESTS_UNIT_CORE_DISPATCHER_FIXTURE_H

#include "lib/heap.h"
#include "lib/swarm.h"

#include "core/dispatcher/dispatcher.h"
#include "dispatcher.pb-c.h"
#include "wire/message.h"

#define SESSION "Session"
#define HEARTBEAT "Heartbeat"
#define ASSIGNMENTS "Assignments"
#define TASK_STATUS "UpdateTaskStatus"
#define VOLUME_STATUS "UpdateVolumeStatus"
#define TASKS "Tasks"

/* An answer as a node got it. */
struct record {
    uint64_t call_id;
    uint8_t *data; /* NULL without a message */
    size_t len;
    bool read;
    bool end;
    enum swki_status status;
    char text[128];
};

struct f {
    struct swarm s; /* without components */
    struct heap heap;
    struct swki_dispatcher *d;
    struct swki_answers answers;
    struct swki_arena arena; /* of decoded messages */
    struct record *records;
    size_t records_count;
    size_t records_size;
    uint64_t last_call;
    swk_time orphan_after; /* of the dispatcher, before it starts */
    size_t events_max;
    const char *address; /* nodes call from here */
};

/* No dispatcher runs yet. */
void f_init(struct f *f);
void f_fini(struct f *f);
void f_start(struct f *f);
void f_stop(struct f *f); /* and frees it */
/* With two managers, a cluster and the nodes "n1" and "n2", started. */
void f_set_up(struct f *f);

/* Time and log. settle() commits what the dispatcher writes, unless the log is
 * set to manual. */
void f_step(struct f *f);
void f_settle(struct f *f);
void f_advance(struct f *f, swk_time span);
void f_commit(struct f *f);

/* Calls; node_id may be "". */
uint64_t f_call(struct f *f, const char *node_id, const char *method,
                const ProtobufCMessage *request);
uint64_t f_session(struct f *f, const char *node_id, const char *session_id);
uint64_t f_beat(struct f *f, const char *node_id, const char *session_id);
uint64_t f_assignments(struct f *f, const char *node_id,
                       const char *session_id);
uint64_t f_report(struct f *f, const char *node_id, const char *session_id,
                  const char *task_id, Swkpb__TaskState state);

/* Registers and returns the session's ID, which lives as long as f. */
const char *f_register(struct f *f, const char *node_id);
/* The same, and opens assignments; the first message is left to be read. */
uint64_t f_attach(struct f *f, const char *node_id);

/* Answers: the next message that was not read yet, or NULL. */
const void *f_next(struct f *f, uint64_t call_id,
                   const ProtobufCMessageDescriptor *type);
const Swkpb__SessionMessage *f_next_session(struct f *f, uint64_t call_id);
const Swkpb__AssignmentsMessage *f_next_assignments(struct f *f,
                                                    uint64_t call_id);
/* The end of a call; -1 while it is open. */
int f_status(const struct f *f, uint64_t call_id);
const char *f_text(const struct f *f, uint64_t call_id);

/* Objects. */
void f_add_cluster(struct f *f);
void f_set_period(struct f *f, swk_time period);
struct swki_object *f_make_task(const char *id, const char *node_id);
/* Takes the object and leads the task to ASSIGNED, desired RUNNING. */
void f_place_task(struct f *f, struct swki_object *object,
                  const char *node_id);
void f_add_task(struct f *f, const char *id, const char *node_id);
void f_delete_task(struct f *f, const char *id);
void f_add_secret(struct f *f, const char *id);
void f_add_config(struct f *f, const char *id);
Swkpb__TaskState f_task_state(const struct f *f, const char *id);
const Swkpb__Node *f_node(const struct f *f, const char *id);

#endif
