/* SPDX-License-Identifier: Apache-2.0 */

#ifndef SWARMCTL_SERVICE_REFS_H
#define SWARMCTL_SERVICE_REFS_H

#include "flags.h"

/* Adds what the two flags name, each NAME[:TARGET]. */
int service_add_references(struct ctl *ctl, const struct args *args,
                           const char *secret_flag, const char *config_flag,
                           Swkpb__ContainerSpec *c);

/* Removes what --rm-secret and --rm-config name. */
int service_remove_references(const struct args *args,
                              Swkpb__ContainerSpec *c);

#endif
