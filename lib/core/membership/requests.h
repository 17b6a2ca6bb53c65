/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Changing the members: what the leader does about managers that join, leave
 * and move. It serves docker.swarmkit.v1.RaftMembership.
 *
 * All changes pass one queue, since a raft group takes one at a time: joins,
 * removals, changes of address, and the promotion of learners. The first in the
 * queue is looked at anew whenever a change was applied, until the list is as it
 * asks; only then its caller is answered. So an answer never promises what did
 * not happen, and what happens twice does no harm.
 *
 *     join:  (checked) -> learner added -> answered; later, by itself: voter
 *     move:  (checked) -> addresses updated -> answered
 *     leave: member removed -> answered
 *
 * Before anything changes, a manager that joins or moves is called back at the
 * address that it announced; such checks run side by side.
 *
 * The machine lives while its manager leads.
 */

#ifndef SWKI_MEMBERSHIP_REQUESTS_H
#define SWKI_MEMBERSHIP_REQUESTS_H

#include <swarmkit/port/entropy.h>

#include "core/membership/membership.h"
#include "core/store/store.h"
#include "wire/service.h"

enum {
    SWKI_REQUESTS_MAX = 128, /* joins and removals under way */
};

#define SWKI_REQUESTS_CHECK_LIMIT (5 * SWK_SECOND)  /* all addresses of one */
#define SWKI_REQUESTS_CALL_LIMIT (25 * SWK_SECOND)
#define SWKI_REQUESTS_REMOVE_LIMIT (5 * SWK_SECOND) /* of the role manager's */
#define SWKI_REQUESTS_RETRY_INTERVAL (200 * SWK_MILLISECOND)

/* How the machine reaches the raft member; all on its own thread, and none
 * calls back. */
struct swki_group {
    void *ctx;
    /* As swk_raft_propose_conf_change(). */
    int (*propose)(void *ctx, const struct swk_raft_conf_change *change,
                   uint64_t *out_index, struct swk_error *err);
    /* As swk_raft_peers(). */
    size_t (*peers)(void *ctx, struct swk_raft_peer *peers, size_t count);
    /* As swk_raft_transfer(), to whom it sees fit. */
    int (*transfer)(void *ctx, struct swk_error *err);
};

struct swki_requests_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_store *store; /* says whether a node is to be a manager */
    const struct swki_membership *membership;
    struct swki_group group;
    const struct swk_entropy *entropy; /* for the numbers of members */
    /* This manager, as it is to be in the list; *copied*. No address: as it is
     * there. */
    const char *node_id;
    const char *const *addresses;
    size_t addresses_count;
    size_t requests_max; /* 0: SWKI_REQUESTS_MAX */
};

struct swki_requests;

int swki_requests_new(const struct swki_requests_config *config,
                      struct swki_requests **out_requests,
                      struct swk_error *err);
/* After swki_requests_stop(), or callers are left without an answer. */
void swki_requests_free(struct swki_requests *requests);

/* Leadership is lost: every caller is told to try again. */
void swki_requests_stop(struct swki_requests *requests,
                        struct swki_answers *answers);

/* -- Events --------------------------------------------------------------- */

/* A call of RaftMembership; it is answered now or by a later step. */
void swki_requests_call(struct swki_requests *requests, swk_time now,
                        const struct swki_call *call,
                        struct swki_answers *answers);
/* The caller went away. What is in the log already goes on. */
void swki_requests_cancel(struct swki_requests *requests, uint64_t call_id);

/* Removes a member, for the role manager, which sees from the list whether it
 * worked and asks again if not. SWK_EPRECONDITION if the others would not be a
 * quorum; SWK_ENOTFOUND; SWK_EUNAVAILABLE; SWK_ENOMEM. */
int swki_requests_remove(struct swki_requests *requests, swk_time now,
                         uint64_t raft_id, struct swk_error *err);

/* Where this manager is reached, from now on; *copied*. */
int swki_requests_set_addresses(struct swki_requests *requests,
                                const char *const *addresses,
                                size_t addresses_count, struct swk_error *err);

/* A change of membership was applied, to the membership too. */
void swki_requests_applied(struct swki_requests *requests, uint64_t index,
                           const struct swki_membership_outcome *outcome);

/* -- Checks --------------------------------------------------------------- */

/*
 * A check to be made: connect to the address with this manager's certificate,
 * expecting a manager's of this swarm, that of node_id if possible, and ask
 * Health.Check("Raft"). Only SERVING within limit_ns is good.
 */
struct swki_requests_check {
    uint64_t id;
    const char *node_id;
    const char *address;
    swk_time limit_ns;
};

/* The next check to begin, or NULL; borrowed until the next call of the
 * machine. */
const struct swki_requests_check *
swki_requests_next_check(struct swki_requests *requests);

/* How a check ended: 0, or why in err. One that nobody waits for any more is
 * ignored. */
void swki_requests_checked(struct swki_requests *requests, swk_time now,
                           uint64_t check_id, int code,
                           const struct swk_error *err);

/* -- Steps ---------------------------------------------------------------- */

void swki_requests_step(struct swki_requests *requests, swk_time now,
                        struct swki_answers *answers);
/* Whether a step, or a check, has something to do at once. */
bool swki_requests_pending(const struct swki_requests *requests);
/* When to step if nothing happens first, or SWK_NEVER. */
swk_time swki_requests_deadline(const struct swki_requests *requests);

#endif
