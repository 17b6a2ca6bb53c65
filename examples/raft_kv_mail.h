/* SPDX-License-Identifier: Apache-2.0 */

/* The mailbox of raft_kv's main thread: others post events, it receives. */

#ifndef RAFT_KV_MAIL_H
#define RAFT_KV_MAIL_H

#include <pthread.h>

#include <swarmkit/error.h>

enum event_kind {
    EVENT_LINE,  /* a command */
    EVENT_END,   /* of the commands */
    EVENT_FRAME, /* from another member */
    EVENT_STORED,
    EVENT_STORAGE_FAILED,
};

struct event {
    struct event *next;
    enum event_kind kind;
    uint64_t ticket;
    struct swk_error err;
    size_t len;
    uint8_t data[];
};

struct mailbox {
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t posted;
    struct event *events;
    struct event **end;
};

void mailbox_init(struct mailbox *box);

/* Adds an event like head, with a copy of data. On any thread. */
void mailbox_post(struct mailbox *box, struct event head, const void *data,
                  size_t len);

/* The oldest event, to be freed; NULL if none came until then. */
struct event *mailbox_receive(struct mailbox *box, swk_time until);

#endif
