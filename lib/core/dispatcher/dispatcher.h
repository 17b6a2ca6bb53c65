/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The dispatcher: the leader's side of the conversation with nodes.
 *
 * It registers nodes, counts their heartbeats, streams assignments to them and
 * takes their status reports. It serves the calls of docker.swarmkit.v1
 * .Dispatcher, writes node status and task status as SWKI_ACTOR_DISPATCHER, and
 * sends only what is committed.
 *
 * Assignments are states, not a queue: for each node the dispatcher keeps which
 * tasks may have changed, and what was sent last; a message is made of the
 * difference when it is time to send one.
 *
 * The value of a secret with a driver is nowhere in the store. It is fetched
 * for a task that the node is to begin, and held until it is sent; the task
 * waits for it, a node's other tasks do not.
 */

#ifndef SWKI_DISPATCHER_DISPATCHER_H
#define SWKI_DISPATCHER_DISPATCHER_H

#include <stdbool.h>

#include "core/secretdriver/fetcher.h"
#include "core/store/store.h"
#include "wire/service.h"

/* Defaults of the limits; 0 in the configuration takes them. */
#define SWKI_DISPATCHER_PERIOD_MIN SWK_SECOND
#define SWKI_DISPATCHER_BEATS_A_SECOND 800
#define SWKI_DISPATCHER_GRACE 3
#define SWKI_DISPATCHER_ORPHAN_AFTER (24 * SWK_HOUR)

/* Each description that is another one is an entry of the log: of one node they
 * are written so often, after the first ones; the last that came waits. */
#define SWKI_DISPATCHER_DESCRIPTION_INTERVAL (10 * SWK_SECOND)

enum {
    SWKI_DISPATCHER_EVENTS_MAX = 1 << 20,
    SWKI_DISPATCHER_TEXT_MAX = 1024,           /* bytes of a reported text */
    SWKI_DISPATCHER_STATUS_MAX = 65536,        /* bytes of the rest of it */
    SWKI_DISPATCHER_UPDATES_MAX = 4096,        /* reports in one call */
    SWKI_DISPATCHER_QUEUE_MAX = 65536,         /* reports not written yet */
    SWKI_DISPATCHER_DESCRIPTION_MAX = 262144,  /* encoded bytes */
    SWKI_DISPATCHER_DESCRIPTIONS_AT_ONCE = 16, /* of a node that are others */
    SWKI_DISPATCHER_PARTS_MAX = 8192, /* labels, plugins, resources and such of
                                         a description, all in all */
};

/* A manager that nodes may talk to. */
struct swki_dispatcher_manager {
    const char *node_id;
    const char *address;
};

struct swki_dispatcher_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_store *store;
    const char *node_id; /* of this manager: applied_by of reports */
    uint64_t seed;
    swk_time orphan_after_ns; /* how long a node is down before its tasks are
                                 given up; 0 for the default */
    size_t events_max; /* of the store, waiting to be taken; beyond, everything
                          is looked at anew; 0 for the default */
};

struct swki_dispatcher;

int swki_dispatcher_new(const struct swki_dispatcher_config *config,
                        struct swki_dispatcher **out_dispatcher,
                        struct swk_error *err);
void swki_dispatcher_free(struct swki_dispatcher *dispatcher);

/* Once, when this manager has become the leader: nodes that are not down
 * become UNKNOWN until they register. */
int swki_dispatcher_start(struct swki_dispatcher *dispatcher, swk_time now,
                          swk_wall wall, struct swk_error *err);

/* Ends every open call with ABORTED. */
void swki_dispatcher_stop(struct swki_dispatcher *dispatcher,
                          struct swki_answers *answers);

/* The managers that nodes are told of; copied. */
int swki_dispatcher_set_managers(struct swki_dispatcher *dispatcher,
                                 const struct swki_dispatcher_manager *managers,
                                 size_t managers_count, struct swk_error *err);

/* A call came; streams stay open until the dispatcher or the caller ends them. */
void swki_dispatcher_call(struct swki_dispatcher *dispatcher, swk_time now,
                          const struct swki_call *call,
                          struct swki_answers *answers);

/* The caller of an open call went away. */
void swki_dispatcher_cancel(struct swki_dispatcher *dispatcher,
                            uint64_t call_id);

/* The values of secrets with drivers: what the provider is to be asked next, or
 * NULL, borrowed until the next call of the machine; and what became of it. One
 * that was asked by an earlier machine is ignored. */
const struct swki_fetch_work *
swki_dispatcher_next_fetch(struct swki_dispatcher *dispatcher, swk_time now);
void swki_dispatcher_fetched(struct swki_dispatcher *dispatcher, swk_time now,
                             uint64_t id,
                             const struct swk_secret_result *result);

/* Takes events of the store, expires timers, writes what is queued. */
void swki_dispatcher_step(struct swki_dispatcher *dispatcher, swk_time now,
                          swk_wall wall, struct swki_answers *answers);

/* Whether a step has something to do at once, and when it will have. */
bool swki_dispatcher_pending(const struct swki_dispatcher *dispatcher);
swk_time swki_dispatcher_deadline(const struct swki_dispatcher *dispatcher);

#endif
