/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * What is common to all nodes: the identity in a state directory.
 */

#ifndef SWARMKIT_NODE_H
#define SWARMKIT_NODE_H

#include <swarmkit/error.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** Who a node is. A plain value. */
struct swk_node_identity {
    char node_id[SWK_ID_LEN_MAX + 1];  /**< NUL-terminated. */
    char swarm_id[SWK_ID_LEN_MAX + 1]; /**< NUL-terminated. */
    int32_t role;                      /**< enum swk_node_role. */
    int32_t locked;                    /**< 1: its key file is sealed under
                                            the swarm's unlock key. */
    swk_wall not_after;                /**< End of its certificate. */
};

/**
 * Reads the identity of the node whose state directory this is. The
 * certificate is not verified.
 *
 * @param state_dir     Path; not NULL.
 * @param out_identity  Receives the identity; not NULL.
 * @param err           Receives the reason on failure; may be NULL.
 * @return 0; SWK_ENOTFOUND if it is in no swarm; SWK_EMALFORMED for a
 *         certificate of another kind; SWK_EIO; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_node_identity_read(const char *state_dir,
                       struct swk_node_identity *out_identity,
                       struct swk_error *err);

/**
 * Makes a node's state directory with mode 0700, and those above it, if it is
 * missing. Agents and managers do so themselves; an executor that keeps its
 * state below it may have to come first.
 *
 * @param state_dir  Path; not NULL.
 * @param err        Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a path that is empty or too long; SWK_EIO if it
 *         cannot be made or written to.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_node_create_state_dir(const char *state_dir,
                                                     struct swk_error *err);

/**
 * The release of the library, such as "0.1.0".
 *
 * @return Static text.
 * @threads any
 * @since   0.1
 */
SWK_API const char *swk_version(void);

SWK_END_DECLS

#endif
