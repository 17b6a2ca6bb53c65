/* SPDX-License-Identifier: Apache-2.0 */

/* From the flags of service create and update to a service spec. */

#ifndef SWARMCTL_SERVICE_FLAGS_H
#define SWARMCTL_SERVICE_FLAGS_H

#include "flags.h"

extern const struct flag service_flags[];

/* Applies each flag that is given; the rest of the spec stays as it is. The
 * spec has a task with a container. An exit code; mistakes are printed. */
int service_apply_flags(struct ctl *ctl, const struct args *args,
                        Swkpb__ServiceSpec *spec);

#endif
