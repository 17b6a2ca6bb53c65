/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How a node becomes a member: it fetches the swarm's roots, checks them
 * against its token, and has a certificate issued for a new key.
 */

#ifndef SWKI_NODE_JOIN_H
#define SWKI_NODE_JOIN_H

#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/port/transport.h>

#include "node/identity/credentials.h"
#include "node/identity/remotes.h"

struct swki_join_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const struct swk_clock *clock;
    const struct swk_entropy *entropy;
    const struct swk_transport *transport;
    const char *token; /* secret */
    bool fips;         /* this node is in FIPS mode */
    struct swki_remotes *remotes;
    const char *state_dir; /* the new key is kept there until it is stored */
};

/*
 * Joins and fills the credentials; blocks until a manager has answered, for
 * some attempts. SWK_EINVAL for a token of no form; SWK_EUNAUTHENTICATED for
 * roots that are not the token's; SWK_EDENIED if the token was refused;
 * SWK_EUNAVAILABLE if no manager could be reached; SWK_EBUSY if the CA did not
 * sign for minutes, in which it is told why; SWK_ECLOCK if a certificate
 * is not valid at this machine's time, with what the manager's clock says.
 */
int swki_join(const struct swki_join_config *config,
              struct swki_credentials *credentials, struct swk_error *err);

/* A certificate's dates made it fail: if a manager says that this machine's
 * clock is wrong, so does err from now on, and true is returned. The token is
 * not needed. Blocks. */
bool swki_join_compare_clocks(const struct swki_join_config *config,
                              struct swk_error *err);

/* Says that the token, if there is one, is not used, as the credentials are
 * there already. */
void swki_join_not_needed(const struct swki_join_config *config,
                          const struct swki_credentials *credentials);

#endif
