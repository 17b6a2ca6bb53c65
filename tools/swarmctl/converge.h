/* SPDX-License-Identifier: Apache-2.0 */

/* Waiting until the swarm has done what a service asks for. */

#ifndef SWARMCTL_CONVERGE_H
#define SWARMCTL_CONVERGE_H

#include "flags.h"

/* --detach and --timeout */
extern const struct flag wait_flags[];

/* Waits, showing the progress, unless --detach is given: until the tasks the
 * service wants run and no older ones do, or the job is done. */
int converge_service(struct ctl *ctl, const struct args *args, const char *id);

/* Waits until no task of a removed service runs. */
int converge_removal(struct ctl *ctl, const struct args *args, const char *id);

#endif
