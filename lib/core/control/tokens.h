/* SPDX-License-Identifier: Apache-2.0 */

/* New join tokens of the swarm. */

#ifndef SWKI_CONTROL_TOKENS_H
#define SWKI_CONTROL_TOKENS_H

#include <swarmkit/port/entropy.h>

#include "core/store/object.h"

/* A token for the cluster's present root CA, in the arena, with a new secret.
 * SWK_EINTERNAL if the cluster has no root or entropy fails. */
int swki_new_join_token(const Swkpb__Cluster *cluster,
                        const struct swk_entropy *entropy,
                        struct swki_arena *arena, char **out_token,
                        struct swk_error *err);

#endif
