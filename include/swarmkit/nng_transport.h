/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * The transport port over nng's byte streams: tcp:// and ipc:// addresses.
 *
 * nng starts threads of its own at its first use and keeps them until the
 * process ends. A process must not fork after that without exec.
 */

#ifndef SWARMKIT_NNG_TRANSPORT_H
#define SWARMKIT_NNG_TRANSPORT_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/transport.h>

SWK_BEGIN_DECLS

/** The transport over nng. */
typedef struct swk_nng_transport swk_nng_transport;

/**
 * Makes a transport.
 *
 * @param alloc         Where its memory comes from; called on any thread, so
 *                      it must be safe for that; NULL for malloc().
 * @param logger        Told when accepting has to pause; borrowed until the
 *                      transport is freed; may be NULL.
 * @param out_transport Receives the transport, *given*; release it with
 *                      swk_nng_transport_free().
 * @param err           Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a NULL out_transport; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_nng_transport_new(const struct swk_alloc *alloc,
                      const struct swk_logger *logger,
                      swk_nng_transport **out_transport,
                      struct swk_error *err);

/**
 * The port's functions.
 *
 * @param transport  Not NULL.
 * @return The port, *borrowed until* swk_nng_transport_free().
 * @threads any
 * @since   0.1
 */
SWK_API const struct swk_transport *
swk_nng_transport_port(const swk_nng_transport *transport);

/**
 * Gives up dials that are still under way (their done() runs before this
 * returns) and releases the transport.
 *
 * @param transport  May be NULL. Its listeners and streams have to be closed
 *                   and freed before.
 * @threads one at a time; not inside an event of the transport
 * @since   0.1
 */
SWK_API void swk_nng_transport_free(swk_nng_transport *transport);

SWK_END_DECLS

#endif
