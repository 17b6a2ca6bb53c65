/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The control API: what an administrator reads and changes.
 *
 * A call goes in, and its answer is appended to a list; nothing waits. Reads
 * are answered from the committed view. A write is one transaction on the head
 * view, and its answer carries the index at which it is committed, so that the
 * runner holds the answer back until then.
 *
 * A write may carry a request ID. The answer is remembered under it, and a
 * retry gets the same answer without being applied again. The ID travels in the
 * log, too, so that a retry that comes to another leader is recognised: it is
 * answered with the object that was written, as it is by then.
 *
 * The caller's right to call is checked before, by the table of methods.
 */

#ifndef SWKI_CONTROL_H
#define SWKI_CONTROL_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/log.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/port/signer.h>

#include "core/store/store.h"
#include "wire/service.h"

/* A member of the raft group. */
struct swki_control_member {
    const char *node_id;
    uint64_t raft_id;
    const char *addr;
    bool leader;
    uint32_t reachability; /* RaftMemberStatus.Reachability */
};

/* The signer that keeps keys for the manager, for people. */
struct swki_control_keeper {
    const char *name;
    char failure[SWK_ERROR_TEXT_SIZE]; /* of what it was asked last; or "" */
    swk_wall asked_at;                 /* 0: it was not asked yet */
};

/* Why certificates wait for whoever signs. */
struct swki_control_trouble {
    char why[SWK_ERROR_TEXT_SIZE]; /* the last reason; empty: none waits */
    swk_wall since;
    size_t waiting; /* certificates */
};

struct swki_control_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_store *store;
    uint64_t seed; /* of the generator of identifiers */
    /* For the secrets of join tokens; NULL: tokens cannot be rotated. */
    const struct swk_entropy *entropy;
    /* Points *out_members at the raft members, borrowed until the next call of
     * the machine, and returns their count. NULL: there is no raft. */
    size_t (*members)(void *ctx, const struct swki_control_member **out_members);
    /* Whether the group can do without a member, with those that are reachable
     * now. NULL: no member can be demoted. */
    bool (*can_remove)(void *ctx, uint64_t raft_id);
    void *members_ctx; /* of both */
    /* Whether there is a driver of secrets of this name: 0, or a code with the
     * reason. NULL: there is none at all. */
    int (*find_driver)(void *ctx, const char *name, struct swk_error *err);
    void *drivers_ctx;
    const struct swki_control_keeper *keeper; /* NULL: there is none */
    /* Why all certificates wait, and why some that were refused by themselves
     * do. NULL: nobody signs here. */
    void (*troubles)(void *ctx, struct swki_control_trouble *out_all,
                     struct swki_control_trouble *out_some);
    void *troubles_ctx;
    bool replicated_only; /* services of other modes are refused */
    size_t retries_max;   /* answers remembered; 0: SWKI_CONTROL_RETRIES_MAX */
    size_t retries_bytes; /* of them in all; 0: SWKI_CONTROL_RETRIES_BYTES */
};

enum {
    SWKI_CONTROL_RETRIES_MAX = 1024,
    SWKI_CONTROL_RETRIES_BYTES = 4 * 1024 * 1024,
    SWKI_CONTROL_REQUEST_ID_LEN_MAX = 128,
};

struct swki_control;

int swki_control_new(const struct swki_control_config *config,
                     struct swki_control **out_control, struct swk_error *err);
void swki_control_free(struct swki_control *control);

/* Serves a call: appends exactly one answer, unless memory is so short that
 * answers->failed is set. */
void swki_control_call(struct swki_control *control, swk_wall wall,
                       const struct swki_call *call,
                       struct swki_answers *answers);

/* The caller has gone: a change that it waits for is given up. */
void swki_control_cancel(struct swki_control *control, uint64_t call_id);

/* Leadership ended: whoever waits is told so. */
void swki_control_stop(struct swki_control *control,
                       struct swki_answers *answers);

/* Leadership was lost: what was proposed and is not committed is forgotten. If
 * it is committed after all, the store knows. */
void swki_control_lose_leadership(struct swki_control *control);

/* -- Work ----------------------------------------------------------------- */

/*
 * A change of the CA that needs a signer: an UpdateCluster is answered only
 * after that, and only one at a time is prepared. Others are told to come back
 * (SWK_EABORTED); after SWKI_CONTROL_WORK_LIMIT it is given up.
 */
#define SWKI_CONTROL_WORK_LIMIT (30 * SWK_SECOND)

struct swki_control_work {
    uint64_t id;
    struct swk_sign_request request;
};

/* What a signer is to be given next, or NULL; borrowed until the next call of
 * the machine. */
const struct swki_control_work *
swki_control_next_work(struct swki_control *control);

/* How it ended. What nobody waits for any more is ignored, and so is that of
 * earlier machines, as IDs begin at a random number. */
void swki_control_worked(struct swki_control *control, swk_wall wall,
                         uint64_t id, const struct swk_sign_result *result,
                         struct swki_answers *answers);

/* Gives up what takes too long. */
void swki_control_step(struct swki_control *control, swk_time now,
                       struct swki_answers *answers);
/* Whether there is work to hand out, or a deadline to be set. */
bool swki_control_pending(const struct swki_control *control);
/* When to step if nothing happens first, or SWK_NEVER. */
swk_time swki_control_deadline(const struct swki_control *control);

#endif
