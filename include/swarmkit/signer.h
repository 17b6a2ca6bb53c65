/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * A signer in another process: hands the jobs of <swarmkit/port/signer.h> to
 * the program swarm-signer through its socket.
 *
 * A manager that signs through it never has the key of the CA in its memory.
 */

#ifndef SWARMKIT_SIGNER_H
#define SWARMKIT_SIGNER_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/clock.h>
#include <swarmkit/port/signer.h>

SWK_BEGIN_DECLS

/** The near end of a swarm-signer's socket. It has a thread and a transport of
 *  its own. */
typedef struct swk_signer_client swk_signer_client;

/** Where the socket is. Pointers are *borrowed until*
 *  swk_signer_client_free(); the address is copied. */
struct swk_signer_client_config {
    size_t size; /**< sizeof(struct swk_signer_client_config). */
    /** Must be safe on any thread; NULL for malloc(). */
    const struct swk_alloc *alloc;
    const struct swk_logger *logger; /**< NULL for none. */
    const struct swk_clock *clock;   /**< Required. */
    /** Path of the socket, or "unix:PATH", or "ipc://PATH"; required. */
    const char *address;
    /** For one job; 0 for 10 s. Then it ends with SWK_ETIMEDOUT. */
    swk_time timeout_ns;
    uint32_t jobs_max; /**< Taken at a time; 0 for 4096. */
};

/** An empty configuration. */
#define SWK_SIGNER_CLIENT_CONFIG_INIT                                          \
    {                                                                          \
        sizeof(struct swk_signer_client_config)                                \
    }

/**
 * Makes a client. It connects when there is a job, and again after the other
 * side has gone, at growing intervals of up to 5 seconds; what cannot be
 * delivered ends with SWK_EUNAVAILABLE.
 *
 * The signer keeps the keys: those of the jobs stay here, and a job that
 * names external CAs is not taken (SWK_ENOTSUP).
 *
 * @param config      Copied; not NULL.
 * @param out_client  Receives it, *given*: swk_signer_client_free().
 * @param err         Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a wrong configuration; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_signer_client_new(const struct swk_signer_client_config *config,
                      swk_signer_client **out_client, struct swk_error *err);

/**
 * Gives the port, whose functions may be called on any thread.
 *
 * @param client  Not NULL.
 * @return The port, *borrowed until* swk_signer_client_free().
 * @threads any
 * @since   0.1
 */
SWK_API const struct swk_signer *
swk_signer_client_port(const swk_signer_client *client);

/**
 * Hangs up and releases. Jobs that are under way end with SWK_ECANCELED first.
 *
 * @param client  May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_signer_client_free(swk_signer_client *client);

SWK_END_DECLS

#endif
