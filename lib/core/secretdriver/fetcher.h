/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Fetches the values of secrets that have a driver: a few at a time, each
 * attempt with a limit, and again after a pause when what went wrong may pass.
 *
 * Whoever needs a value asks for it and is told when it is there, or why there
 * is none. The requests that are to be made are taken from the machine as work;
 * <swarmkit/port/secret_provider.h> says what comes back. A value is held until
 * it is dropped, and wiped then; nothing else remembers it.
 *
 *     QUEUED -> ASKED -> READY | FAILED
 *       ^         |
 *       +- PAUSED <        failed, but may pass
 *
 * One that is dropped while ASKED takes a place until its attempt ends, as long
 * as the provider may be busy with it.
 */

#ifndef SWKI_SECRETDRIVER_FETCHER_H
#define SWKI_SECRETDRIVER_FETCHER_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/log.h>
#include <swarmkit/port/secret_provider.h>

#include "base/list.h"
#include "base/timers.h"
#include "core/store/object.h"

/* How long one attempt may take, and all that is done for one value. */
#define SWKI_FETCH_ATTEMPT (5 * SWK_SECOND)
#define SWKI_FETCH_GIVE_UP (20 * SWK_SECOND)
/* Before the second attempt; doubled with each. */
#define SWKI_FETCH_PAUSE (250 * SWK_MILLISECOND)

enum {
    SWKI_FETCH_ASKED_MAX = 16,
    SWKI_FETCH_ASKED_OF_DRIVER_MAX = 4,
    SWKI_FETCH_WAITING_MAX = 65536,         /* asked for, and not ended */
    SWKI_FETCH_HELD_MAX = 64 * 1024 * 1024, /* bytes of values; beyond, no more
                                               requests are made */
};

enum swki_fetch_state {
    SWKI_FETCH_QUEUED,
    SWKI_FETCH_ASKED,
    SWKI_FETCH_PAUSED,
    SWKI_FETCH_READY,
    SWKI_FETCH_FAILED,
    SWKI_FETCH_DROPPED, /* while it was asked for: until the attempt ends */
};

/* One value that somebody wants. Read it; the fetcher changes it. */
struct swki_fetch {
    struct swki_link link; /* queued, asked or ended, else in no list */
    struct swki_link news; /* in a list while the reason to wait is new */
    struct swki_timer timer;
    enum swki_fetch_state state;
    void *owner;
    const struct swki_object *secret; /* shared, as is the task */
    const struct swki_object *task;
    char node_id[SWK_ID_LEN_MAX + 1];
    uint64_t id; /* of the attempt */
    unsigned attempts;
    char *why; /* the last attempt came to nothing; NULL: none did */
    swk_time give_up;
    uint8_t *value; /* READY; secret */
    size_t value_len;
    bool do_not_reuse;
};

struct swki_fetcher_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    uint64_t seed;
};

struct swki_fetcher;

int swki_fetcher_new(const struct swki_fetcher_config *config,
                     struct swki_fetcher **out_fetcher, struct swk_error *err);
/* All that was asked for is ended and dropped, or dropped. */
void swki_fetcher_free(struct swki_fetcher *fetcher);

/* Asks for the value of a secret with a driver, for a task that is to run on
 * the node. NULL for no memory. */
struct swki_fetch *swki_fetcher_ask(struct swki_fetcher *fetcher, swk_time now,
                                    const struct swki_object *secret,
                                    const struct swki_object *task,
                                    const char *node_id, void *owner);

/* It is not wanted, or not any more: gives it up, or wipes it. */
void swki_fetcher_drop(struct swki_fetcher *fetcher, struct swki_fetch *fetch);

/* One that goes on waiting, for another reason than it was last returned with;
 * NULL for no more. There may be one after worked() and expire(). */
struct swki_fetch *swki_fetcher_next_news(struct swki_fetcher *fetcher);

/* One that is READY or FAILED since, each once; NULL for no more. */
struct swki_fetch *swki_fetcher_next_ended(struct swki_fetcher *fetcher);

struct swki_fetch_work {
    uint64_t id;
    struct swk_secret_request request;
};

/* What the provider is to be asked next, or NULL; borrowed until the next call
 * of the machine. */
const struct swki_fetch_work *
swki_fetcher_next_work(struct swki_fetcher *fetcher, swk_time now);

/* What became of it. What nobody waits for any more is ignored, and so is that
 * of earlier machines, as IDs begin at a random number. */
void swki_fetcher_worked(struct swki_fetcher *fetcher, swk_time now,
                         uint64_t id, const struct swk_secret_result *result);

/* Ends attempts and pauses whose time is up. */
void swki_fetcher_expire(struct swki_fetcher *fetcher, swk_time now);
/* When to do so, or SWK_NEVER; at once while there is one that has ended and was
 * not taken. */
swk_time swki_fetcher_deadline(const struct swki_fetcher *fetcher);

#endif
