/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A process executor in a directory of its own, and its tasks.
 *
 * Waiting is always for something, with a deadline; nothing sleeps for a fixed
 * time.
 */

#ifndef TESTS_INTEGRATION_EXEC_FIXTURE_H
#define TESTS_INTEGRATION_EXEC_FIXTURE_H

#include "lib/cmocka_all.h"

#include <pthread.h>

#include <swarmkit/process_executor.h>

#include "objects.pb-c.h"

struct node {
    char state_dir[256]; /* long on purpose: longer than a socket's address */
    char top_dir[64];
    char cgroup_parent[64];
    struct swk_process_executor_config config;
    struct swk_executor executor;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

/* A task as an agent would hold it. */
struct task {
    struct node *node;
    swk_controller *controller;
    struct swk_operation_result result; /* of the last operation */
    int32_t operation;                  /* that ended, or 0 */
    int ends;                           /* operations that ended */
    Swkpb__Task message;
    Swkpb__TaskSpec spec;
    Swkpb__ContainerSpec container;
    Swkpb__ResourceRequirements requirements;
    Swkpb__Resources limits;
    Swkpb__Duration grace;
    char *args[8];
};

void node_start(struct node *node);
void node_stop(struct node *node);   /* tasks stay */
void node_again(struct node *node);  /* a new executor over the same state */
void node_remove(struct node *node); /* with all that is left */

/* The value of an engine label in the node's description; "" if absent. */
const char *node_label(struct node *node, const char *name);
bool node_limits(struct node *node, const char *controller);

/* A task that runs the shell script; to be changed before task_open(). */
void task_init(struct task *task, struct node *node, const char *id,
               const char *script);
/* A grace period in milliseconds. */
void task_grace(struct task *task, int milliseconds);
int task_new(struct task *task, struct swk_error *err);
void task_open(struct task *task); /* and it must work */
void task_close(struct task *task);

/* Begins an operation, and waits for the end of one; fails after 10 s. */
void task_begin(struct task *task, int operation);
int task_end(struct task *task); /* the outcome */
int task_do(struct task *task, int operation);
/* Opens, prepares and starts, which must work. */
void task_run(struct task *task);
/* What the task wrote to a stream (enum swk_log_stream), or to both (0);
 * a static buffer. */
const char *task_output(struct task *task, int stream);

/* Waits until a file exists and is not empty, and reads it (static). */
const char *wait_file(const char *path);
/* Waits until the process does not exist any more. */
void wait_gone(int pid);
bool process_lives(int pid);
uint64_t now_ms(void);
/* A path in the node's directory; one of a few static buffers. */
const char *in_dir(struct node *node, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
