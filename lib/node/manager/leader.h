/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The components that only a leader runs, made when leadership is gained and
 * gone when it is lost. They share nothing but the store.
 */

#ifndef SWKI_NODE_LEADER_H
#define SWKI_NODE_LEADER_H

#include <swarmkit/port/entropy.h>
#include <swarmkit/port/secret_provider.h>
#include <swarmkit/port/signer.h>

#include "core/membership/requests.h"
#include "core/store/store.h"
#include "wire/service.h"

struct swki_leader_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const struct swk_entropy *entropy;
    struct swki_store *store;
    swk_raft *raft; /* this member; borrowed */
    const struct swki_membership *membership;
    /* Makes a check of an address; within step(). */
    void (*check)(void *ctx, const struct swki_requests_check *check);
    void *check_ctx;
    /* Gives a job to the signer; within step(). swki_leader_signed() tells how
     * it ended, unless this fails with the meaning of swk_sign_result.code. */
    int (*sign)(void *ctx, uint64_t id, const struct swk_sign_request *request,
                struct swk_error *err);
    void *sign_ctx;
    const struct swki_control_keeper *keeper; /* NULL: there is none */
    /* As find() of a provider of secrets; NULL if there is none. */
    int (*find_driver)(void *ctx, const char *name, struct swk_error *err);
    /* Asks it for a value; within step(). swki_leader_fetched() tells what came
     * of it, unless this fails with the meaning of swk_secret_result.code. */
    int (*get_secret)(void *ctx, uint64_t id,
                      const struct swk_secret_request *request,
                      struct swk_error *err);
    void *secrets_ctx;    /* of both */
    const char *node_id;  /* of this manager */
    const char *swarm_id;
    const char *const *addresses; /* that nodes reach this manager at */
    size_t addresses_count;       /* 0: the list of members knows better */
    uint64_t seed;
};

struct swki_leader;

/* Starts every component, or none. */
int swki_leader_new(const struct swki_leader_config *config, swk_time now,
                    swk_wall wall, struct swki_leader **out_leader,
                    struct swk_error *err);

/* Ends the calls that the components still hold, then frees them. */
void swki_leader_free(struct swki_leader *leader,
                      struct swki_answers *answers);

/* A call for the service that the path names; whoever calls has checked that
 * the caller may. */
void swki_leader_call(struct swki_leader *leader, swk_time now, swk_wall wall,
                      const struct swki_call *call,
                      struct swki_answers *answers);
void swki_leader_cancel(struct swki_leader *leader, uint64_t call_id);

/* A change of membership was applied. */
void swki_leader_membership_applied(
    struct swki_leader *leader, uint64_t index,
    const struct swki_membership_outcome *outcome);

/* How a check ended: code 0, or why. */
void swki_leader_checked(struct swki_leader *leader, swk_time now,
                         uint64_t check_id, const struct swk_error *failure);

/* How a job of the signer ended. One of an earlier leadership is ignored. */
void swki_leader_signed(struct swki_leader *leader, swk_time now, swk_wall wall,
                        uint64_t id, const struct swk_sign_result *result,
                        struct swki_answers *answers);

/* What came of a request for a value; likewise. */
void swki_leader_fetched(struct swki_leader *leader, swk_time now, uint64_t id,
                         const struct swk_secret_result *result);

/* Lets every component do what is due. Returns when to step again; a time that
 * has passed already means that there is more to do. */
swk_time swki_leader_step(struct swki_leader *leader, swk_time now,
                          swk_wall wall, struct swki_answers *answers);

#endif
