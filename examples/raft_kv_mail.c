/* SPDX-License-Identifier: Apache-2.0 */

#include "raft_kv_mail.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "raft_kv_app.h"

void mailbox_init(struct mailbox *box)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&box->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&box->posted, &attr);
    pthread_condattr_destroy(&attr);
    box->events = NULL;
    box->end = &box->events;
}

void mailbox_post(struct mailbox *box, struct event head, const void *data,
                  size_t len)
{
    struct event *event = app_take(malloc(sizeof(*event) + len));

    *event = head;
    event->next = NULL;
    event->len = len;
    if (len > 0) {
        memcpy(event->data, data, len);
    }
    pthread_mutex_lock(&box->mutex);
    *box->end = event;
    box->end = &event->next;
    pthread_cond_signal(&box->posted);
    pthread_mutex_unlock(&box->mutex);
}

struct event *mailbox_receive(struct mailbox *box, swk_time until)
{
    const struct timespec t = {.tv_sec = (time_t)(until / SWK_SECOND),
                               .tv_nsec = (long)(until % SWK_SECOND)};
    struct event *event;
    int rc = 0;

    pthread_mutex_lock(&box->mutex);
    while (box->events == NULL && rc == 0) {
        rc = pthread_cond_timedwait(&box->posted, &box->mutex, &t);
    }
    event = box->events;
    if (event != NULL) {
        box->events = event->next;
    }
    if (box->events == NULL) {
        box->end = &box->events;
    }
    pthread_mutex_unlock(&box->mutex);
    return event;
}
