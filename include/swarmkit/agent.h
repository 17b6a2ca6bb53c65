/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * A worker: a node that runs the tasks its managers assign to it.
 *
 * A program that uses nothing but this header links no code of a manager.
 *
 * The agent has a thread of its own after swk_agent_start(). What it needs of
 * the world are ports, most of which have an implementation here: posix.h,
 * nng_transport.h, process_executor.h.
 */

#ifndef SWARMKIT_AGENT_H
#define SWARMKIT_AGENT_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/port/executor.h>
#include <swarmkit/port/transport.h>

SWK_BEGIN_DECLS

/** A running worker. */
typedef struct swk_agent swk_agent;

/** How to make an agent. Pointers are *borrowed until* swk_agent_free(). */
struct swk_agent_config {
    size_t size; /**< sizeof(struct swk_agent_config). */
    /** Directory for keys and tasks; made with mode 0700 if it is missing. */
    const char *state_dir;
    /** Address of a manager, "HOST:PORT"; NULL to use those remembered. */
    const char *join_address;
    /** Join token; NULL if the node was admitted before. Secret. */
    const char *join_token;
    /** Name shown for the node; NULL for what the executor reports. */
    const char *hostname;
    const struct swk_alloc *alloc;         /**< NULL for malloc(). */
    const struct swk_logger *logger;       /**< NULL for none. */
    const struct swk_clock *clock;         /**< Required. */
    const struct swk_entropy *entropy;     /**< Required. */
    const struct swk_transport *transport; /**< Required. */
    const struct swk_executor *executor;   /**< Required. */
    /** Public keys, PEM text: the node runs only services that the holder of
     *  one of them has signed. NULL: signatures do not matter. */
    const char *trusted_keys;
    /** What the node lets run, JSON text as <swarmkit/node_policy.h> says.
     *  NULL: anything. */
    const char *policy;
    /** 1: the node is in FIPS mode, which its user vouches for, and may join
     *  swarms that admit no other nodes. */
    int32_t fips;
};

/** An empty configuration. */
#define SWK_AGENT_CONFIG_INIT                                                  \
    {                                                                          \
        sizeof(struct swk_agent_config)                                        \
    }

/**
 * Makes an agent and its identity: reads it from the state directory or, with a
 * token, joins the swarm, which takes as long as a manager needs to answer.
 *
 * @param config     Copied, what it points to borrowed; not NULL.
 * @param out_agent  Receives the agent, *given*: swk_agent_free(); not NULL.
 * @param err        Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a configuration that makes no sense, or a token of
 *         no known form; SWK_EUNAUTHENTICATED if the swarm's roots are not
 *         those of the token; SWK_ECLOCK if a certificate is not valid yet, by
 *         this machine's clock, or a new one not any more: the reason names a
 *         manager whose clock is another; SWK_EDENIED if the token was
 *         refused; SWK_EUNAVAILABLE if no manager answered; SWK_EIO for files
 *         that cannot be read or written; SWK_ENOMEM. A certificate that has
 *         ended is no failure: the agent renews it.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_agent_new(const struct swk_agent_config *config,
                                         swk_agent **out_agent,
                                         struct swk_error *err);

/**
 * Starts the agent on a thread of its own.
 *
 * @param agent  Not started yet; not NULL.
 * @param err    Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL if it was started before; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_agent_start(swk_agent *agent,
                                           struct swk_error *err);

/**
 * Stops the agent and waits until it has. Its tasks go on running, and are
 * taken up again by the next agent with the same state directory.
 *
 * @param agent  May be NULL or not started.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_agent_stop(swk_agent *agent);

/**
 * Tells the ID of the node.
 *
 * @param agent  Not NULL.
 * @return Text, *borrowed until* swk_agent_free().
 * @threads any
 * @since   0.1
 */
SWK_API const char *swk_agent_node_id(const swk_agent *agent);

/**
 * Tells why the agent stopped by itself. SWK_EREMOVED is for good: a manager
 * said that the node was removed from the swarm, and all of its tasks are ended
 * and removed.
 *
 * @param agent    Not NULL.
 * @param out_why  Receives the reason; not NULL.
 * @return 1 if it did, 0 if it is well.
 * @threads any
 * @since   0.1
 */
SWK_API int swk_agent_failed(const swk_agent *agent, struct swk_error *out_why);

/**
 * Stops and releases an agent.
 *
 * @param agent  May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_agent_free(swk_agent *agent);

SWK_END_DECLS

#endif
