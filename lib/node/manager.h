/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A manager: the raft member, the store that its log feeds, and, while it
 * leads, the leader's components. It has no thread and no socket: it is told
 * of calls and of what the storage completed, and hands out answers.
 *
 * A turn runs the machines until none has anything to do: entries to the
 * storage, committed entries to the store, events of the store to the
 * components, their transactions back to the log. Answers that depend on an
 * entry are held back until it is committed.
 */

#ifndef SWKI_NODE_MANAGER_H
#define SWKI_NODE_MANAGER_H

#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/port/storage.h>

#include "core/store/store.h"
#include "wire/methods.h"
#include "wire/service.h"

enum {
    SWKI_MANAGER_CALLS_MAX = 65536,      /* open at a time */
    SWKI_MANAGER_REQUEST_MAX = 4 << 20,  /* bytes of an encoded request */
};

struct swki_manager_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const struct swk_clock *clock;
    const struct swk_entropy *entropy;
    const struct swk_storage *storage;
    const char *node_id;
    const char *swarm_id;
    const char *address; /* that nodes reach this manager at */
    uint64_t raft_id;
    uint64_t seed;
    /* The first objects of a new swarm, *taken*, in case the log holds none;
     * NULL if it must. */
    struct swki_object *cluster;
    struct swki_object *node;
    /* Takes an answer; on the manager's thread, within turn(). */
    void (*answer)(void *ctx, const struct swki_answer *answer);
    void *answer_ctx;
};

struct swki_manager;

/* Reads the storage, which may block. */
int swki_manager_new(const struct swki_manager_config *config,
                     struct swki_manager **out_manager, struct swk_error *err);
void swki_manager_free(struct swki_manager *manager);

/* A call with its encoded request. The method's roles are checked here. */
struct swki_manager_call {
    uint64_t id; /* unique among open calls */
    const char *path;
    const struct swki_caller *caller;
    const uint8_t *request;
    size_t request_len;
};

void swki_manager_call(struct swki_manager *manager, swk_time now,
                       const struct swki_manager_call *call);

/* The caller of an open call went away. */
void swki_manager_cancel(struct swki_manager *manager, uint64_t call_id);

/* The storage reports; code is 0 or negative with the reason in err. */
void swki_manager_stored(struct swki_manager *manager, uint64_t ticket,
                         int code, const struct swk_error *err);

/* Does all that is due; returns when to call again. */
swk_time swki_manager_turn(struct swki_manager *manager, swk_time now);

bool swki_manager_leads(const struct swki_manager *manager);

/* Whether the log holds a swarm for good. */
bool swki_manager_has_cluster(const struct swki_manager *manager);

/* Why the manager does nothing more, or NULL: its storage failed, or its copy
 * of the store diverged. */
const struct swk_error *
swki_manager_failure(const struct swki_manager *manager);

#endif
