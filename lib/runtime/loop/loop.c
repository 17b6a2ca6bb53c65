/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/loop/loop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"

struct swki_loop {
    const struct swk_alloc *alloc;
    const struct swk_clock *clock;
    struct swki_link members;
    struct swki_link *next; /* of the walk over members; remove() moves it */
    _Atomic(struct swki_message *) mailbox; /* newest first */
    struct swki_message *taken;             /* oldest first; the loop's own */
    swk_time now;
    swk_time deadline;
    atomic_bool stopped;
    int fd;
};

int swki_loop_new(const struct swk_alloc *alloc, const struct swk_clock *clock,
                  struct swki_loop **out_loop, struct swk_error *err)
{
    struct swki_loop *loop = swki_calloc(alloc, 1, sizeof(*loop));

    if (loop == NULL) {
        return swki_fail_nomem(err);
    }
    loop->alloc = alloc;
    loop->clock = clock;
    swki_list_init(&loop->members);
    atomic_init(&loop->mailbox, NULL);
    atomic_init(&loop->stopped, false);
    loop->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->fd < 0) {
        int saved = errno;

        swki_free(alloc, loop);
        return swki_fail(err, SWK_EIO, "cannot make an eventfd: %s",
                         strerror(saved));
    }
    loop->now = clock->now(clock->ctx);
    *out_loop = loop;
    return SWK_OK;
}

/* Moves the mailbox behind what was taken before. */
static void take(struct swki_loop *loop)
{
    struct swki_message *newest =
        atomic_exchange_explicit(&loop->mailbox, NULL, memory_order_acquire);
    struct swki_message *oldest = NULL;
    struct swki_message **end = &loop->taken;

    while (newest != NULL) {
        struct swki_message *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = oldest;
}

static void deliver(struct swki_loop *loop)
{
    while (loop->taken != NULL) {
        struct swki_message *message = loop->taken;

        loop->taken = message->next;
        message->next = NULL;
        message->handle(message, loop->now);
    }
}

void swki_loop_free(struct swki_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    do {
        take(loop);
        deliver(loop);
    } while (atomic_load(&loop->mailbox) != NULL);
    close(loop->fd);
    swki_free(loop->alloc, loop);
}

void swki_loop_add(struct swki_loop *loop, struct swki_loop_member *member)
{
    swki_list_append(&loop->members, &member->link);
    swki_loop_wake(loop);
}

void swki_loop_remove(struct swki_loop *loop, struct swki_loop_member *member)
{
    if (loop->next == &member->link) {
        loop->next = member->link.next;
    }
    swki_list_remove(&member->link);
}

void swki_loop_wake(struct swki_loop *loop)
{
    const uint64_t one = 1;

    /* It fails only when the counter is full, and then wakes anyway. */
    ssize_t n = write(loop->fd, &one, sizeof(one));

    (void)n;
}

void swki_loop_post(struct swki_loop *loop, struct swki_message *message)
{
    struct swki_message *head =
        atomic_load_explicit(&loop->mailbox, memory_order_relaxed);

    do {
        message->next = head;
    } while (!atomic_compare_exchange_weak_explicit(
        &loop->mailbox, &head, message, memory_order_release,
        memory_order_relaxed));
    if (head == NULL) {
        swki_loop_wake(loop);
    }
}

void swki_loop_cancel(struct swki_loop *loop, struct swki_message *message)
{
    struct swki_message **at = &loop->taken;

    take(loop);
    if (loop->taken != NULL) {
        swki_loop_wake(loop); /* their own wake-up may have been used up */
    }
    while (*at != NULL && *at != message) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = message->next;
        message->next = NULL;
    }
}

swk_time swki_loop_now(const struct swki_loop *loop)
{
    return loop->now;
}

/* Members come and go while they are walked. */
static struct swki_loop_member *next_member(struct swki_loop *loop)
{
    struct swki_link *link = loop->next;

    if (link == &loop->members) {
        return NULL;
    }
    loop->next = link->next;
    return SWKI_CONTAINER(link, struct swki_loop_member, link);
}

void swki_loop_process(struct swki_loop *loop)
{
    uint64_t count;
    ssize_t n = read(loop->fd, &count, sizeof(count));
    struct swki_loop_member *member;

    (void)n;
    loop->now = loop->clock->now(loop->clock->ctx);
    take(loop);
    deliver(loop);
    loop->deadline = SWK_NEVER;
    loop->next = loop->members.next;
    while ((member = next_member(loop)) != NULL) {
        if (member->turn != NULL) {
            swk_time deadline = member->turn(member->ctx, loop->now);

            loop->deadline =
                deadline < loop->deadline ? deadline : loop->deadline;
        }
    }
    loop->next = loop->members.next;
    while ((member = next_member(loop)) != NULL) {
        if (member->flush != NULL) {
            member->flush(member->ctx, loop->now);
        }
    }
}

static int poll_timeout(const struct swki_loop *loop, swk_time until)
{
    swk_time now = loop->clock->now(loop->clock->ctx);
    swk_time ms;

    if (until == SWK_NEVER) {
        return -1;
    }
    if (until <= now) {
        return 0;
    }
    /* Rounded up: waking too early would only mean another turn. */
    ms = (until - now) / SWK_MILLISECOND + 1;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

int swki_loop_wait(struct swki_loop *loop, swk_time until,
                   struct swk_error *err)
{
    struct pollfd waiting = {.fd = loop->fd, .events = POLLIN};
    swk_time first = loop->deadline < until ? loop->deadline : until;

    if (poll(&waiting, 1, poll_timeout(loop, first)) < 0 && errno != EINTR) {
        return swki_fail(err, SWK_EIO, "cannot wait for events: %s",
                         strerror(errno));
    }
    swki_loop_process(loop);
    return SWK_OK;
}

int swki_loop_run(struct swki_loop *loop, struct swk_error *err)
{
    int rc = SWK_OK;

    while (rc == SWK_OK && !atomic_load(&loop->stopped)) {
        rc = swki_loop_wait(loop, SWK_NEVER, err);
    }
    return rc;
}

void swki_loop_stop(struct swki_loop *loop)
{
    atomic_store(&loop->stopped, true);
    swki_loop_wake(loop);
}

bool swki_loop_stopped(const struct swki_loop *loop)
{
    return atomic_load(&loop->stopped);
}

int swki_loop_fd(const struct swki_loop *loop)
{
    return loop->fd;
}

swk_time swki_loop_deadline(const struct swki_loop *loop)
{
    return loop->deadline;
}
