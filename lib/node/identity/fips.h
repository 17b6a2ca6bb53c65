/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Swarms that admit only nodes in FIPS mode: their ID, in each certificate,
 * begins with "FIPS.", and their join tokens say so too.
 *
 * The mode is a promise of whoever runs the node, about the machine and the
 * cryptographic module. Here it decides which swarms the node goes to.
 */

#ifndef SWKI_NODE_FIPS_H
#define SWKI_NODE_FIPS_H

#include <stdbool.h>

#include <swarmkit/error.h>

#define SWKI_FIPS_PREFIX "FIPS."

/* Whether the swarm is such a one. */
bool swki_fips_required(const char *swarm_id);

/* 0 if a node in this mode may be in that swarm, or SWK_ENOTSUP. */
int swki_fips_check(const char *swarm_id, bool node_fips,
                    struct swk_error *err);

/* The refusal, for whoever has no ID yet. */
int swki_fips_refuse(struct swk_error *err);

#endif
