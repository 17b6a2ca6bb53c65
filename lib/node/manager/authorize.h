/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who may make which call, from the table of methods and the caller alone.
 *
 * A call from the network is made by a node with its certificate, or by nobody.
 * A manager may pass on the call of another, whom it names; it is believed only
 * if it is a manager of this swarm itself, and whoever it names must be allowed
 * the call, too. A call without a rule is not served.
 */

#ifndef SWKI_NODE_AUTHORIZE_H
#define SWKI_NODE_AUTHORIZE_H

#include "wire/methods.h"
#include "wire/service.h"

struct swki_swarm_access {
    const char *swarm_id;
    /* Whether the node was removed from the swarm. */
    bool (*is_removed)(void *ctx, const char *node_id);
    /* Whether the node is a worker, for sure: a certificate that says otherwise
     * is from before it was demoted. NULL where that is not known. */
    bool (*is_worker)(void *ctx, const char *node_id);
    void *ctx;
};

/* 0, SWK_EDENIED, or SWK_ENOTSUP for what is not served to such a caller. */
int swki_authorize(const struct swki_swarm_access *access,
                   const struct swki_method *method,
                   const struct swki_caller *caller, struct swk_error *err);

/* Whether a node may pass on calls of others: 0 or SWK_EDENIED. */
int swki_authorize_forwarder(const struct swki_swarm_access *access,
                             const struct swki_caller *forwarder,
                             struct swk_error *err);

#endif
