/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Runs an agent machine on a loop: its calls over the network, its operations
 * through the executor, its tasks in files.
 */

#ifndef SWKI_NODE_AGENT_RUNNER_H
#define SWKI_NODE_AGENT_RUNNER_H

#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/port/executor.h>
#include <swarmkit/port/transport.h>

#include "dispatcher.pb-c.h"
#include "node/agent/agreement.h"
#include "node/identity/credentials.h"
#include "node/identity/remotes.h"
#include "runtime/loop/loop.h"

struct swki_agent_runner_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const struct swk_clock *clock;
    const struct swk_entropy *entropy;
    const struct swk_transport *transport;
    const struct swk_executor *executor;
    struct swki_loop *loop;
    const char *state_dir;
    const char *hostname; /* NULL: what the executor says */
    struct swki_agreement_texts agreement;
    bool fips;                /* as in swk_agent_config */
    const struct swki_credentials *credentials; /* outlives the runner */
    struct swki_remotes *remotes;               /* likewise */
    uint64_t seed;
    void *ctx;
    /* What a session says of the node and the swarm. */
    void (*news)(void *ctx, const Swkpb__SessionMessage *news);
    /* A manager could not be verified, or refused the certificate. */
    void (*refused)(void *ctx);
    /* A manager said that the node was removed, and the last of its tasks has
     * ended: why the agent is of no use any more. */
    void (*removed)(void *ctx, const struct swk_error *why);
};

struct swki_agent_runner;

/* Takes up stored tasks and begins; on the loop's thread, or before it runs. */
int swki_agent_runner_new(const struct swki_agent_runner_config *config,
                          struct swki_agent_runner **out_runner,
                          struct swk_error *err);

/* The credentials have changed: says so to the managers, and connects with them
 * from now on. */
void swki_agent_runner_renewed(struct swki_agent_runner *runner);

/* A manager refused this node a certificate, and said why: a node that was
 * removed leaves. */
void swki_agent_runner_refused(struct swki_agent_runner *runner,
                               const struct swk_error *why);

/* Leaves workloads alone. On the loop's thread, or after it has stopped. */
void swki_agent_runner_free(struct swki_agent_runner *runner);

#endif
