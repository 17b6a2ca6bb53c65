/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One thread that owns everything: a mailbox, an eventfd, and turns.
 *
 * A turn takes the whole mailbox, reads the time once, delivers each message
 * to its handler, lets the members decide (turn), then lets them act on what
 * all have decided (flush). Other threads do nothing but post.
 *
 * The mailbox is not bounded here. A source that can be held back (a stream)
 * has one message of its own in the mailbox at most, and stops reading while
 * what it gathered waits.
 *
 * Threads: post(), wake() and stop() from any; all else from the loop's own,
 * or before it runs and after it has stopped.
 */

#ifndef SWKI_RUNTIME_LOOP_H
#define SWKI_RUNTIME_LOOP_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/port/clock.h>

#include "base/list.h"

struct swki_loop;

/* Embedded in what it announces; in the mailbox once at a time. */
struct swki_message {
    struct swki_message *next;
    /* Called on the loop thread. The message is out of the mailbox then, and
     * may be posted again or freed. */
    void (*handle)(struct swki_message *message, swk_time now);
};

/* A part of the program that lives on the loop. */
struct swki_loop_member {
    struct swki_link link; /* the loop's */
    void *ctx;
    /*
     * Does what is due at now and returns the next deadline, or SWK_NEVER.
     * Members are asked in the order in which they were added. One that calls
     * into an earlier one wakes the loop, so that this one is asked again.
     */
    swk_time (*turn)(void *ctx, swk_time now);
    /* Hands out what has gathered; after all turns; may be NULL. */
    void (*flush)(void *ctx, swk_time now);
};

/* clock is borrowed until swki_loop_free(); alloc may be NULL. */
int swki_loop_new(const struct swk_alloc *alloc, const struct swk_clock *clock,
                  struct swki_loop **out_loop, struct swk_error *err);

/* Nobody may post any more. Messages still in the mailbox are delivered, so
 * that those who wait for theirs to release themselves can do so. */
void swki_loop_free(struct swki_loop *loop);

/* The member is borrowed until swki_loop_remove(). Both may be called in a turn
 * or flush of any member. */
void swki_loop_add(struct swki_loop *loop, struct swki_loop_member *member);
void swki_loop_remove(struct swki_loop *loop, struct swki_loop_member *member);

/* Any thread. The message must not be in the mailbox already. */
void swki_loop_post(struct swki_loop *loop, struct swki_message *message);

/* Any thread: makes a turn happen without a message. */
void swki_loop_wake(struct swki_loop *loop);

/* Takes a message out of the mailbox if it is there. Nobody may post it
 * meanwhile. Costs a walk over the mailbox. */
void swki_loop_cancel(struct swki_loop *loop, struct swki_message *message);

/* The time of this turn; between turns, of the last one. */
swk_time swki_loop_now(const struct swki_loop *loop);

/* Turns until swki_loop_stop(). 0, or SWK_EIO if waiting fails. */
int swki_loop_run(struct swki_loop *loop, struct swk_error *err);

/* Any thread: lets run() return after its present turn. Stays in force. */
void swki_loop_stop(struct swki_loop *loop);
bool swki_loop_stopped(const struct swki_loop *loop);

/* For the embedder's own loop: readable when there is work. */
int swki_loop_fd(const struct swki_loop *loop);
/* When to call process() if the descriptor stays silent; SWK_NEVER. */
swk_time swki_loop_deadline(const struct swki_loop *loop);
/* One turn; never blocks. */
void swki_loop_process(struct swki_loop *loop);
/* Waits for the descriptor, the deadline or until; then one turn. */
int swki_loop_wait(struct swki_loop *loop, swk_time until,
                   struct swk_error *err);

#endif
