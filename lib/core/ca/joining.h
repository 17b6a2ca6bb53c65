/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Nodes that asked to join and have no certificate yet: what they wait for, and
 * their end.
 *
 * While a join waits for more than its turn, the node's record has the reason,
 * so that whoever waits can be told, and an operator sees it. Each change of it
 * is an entry of the log: it must not change with each attempt. A renewal has
 * none: its node goes on with the certificate that it has.
 *
 * A join that came to nothing leaves a node that never was one. It is removed
 * when it is a day old, with the daily look at certificates (expiry.h).
 */

#ifndef SWKI_CA_JOINING_H
#define SWKI_CA_JOINING_H

#include <swarmkit/log.h>

#include "core/store/store.h"

/* A node that asked to join may wait so long for its certificate. */
#define SWKI_CA_JOIN_LIMIT (24 * SWK_HOUR)

/* Whether there is a reason in the record of a node that is to join. */
bool swki_ca_waits_for_a_reason(const Swkpb__Node *node);

/* Removes nodes whose join was given up, a number at a time, and returns how
 * many it removed. */
size_t swki_ca_end_joins(struct swki_store *store,
                         const struct swk_logger *logger, swk_wall wall);

#endif
