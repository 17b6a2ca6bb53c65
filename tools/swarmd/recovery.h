/* SPDX-License-Identifier: Apache-2.0 */

/* swarmd --force-new-cluster --dry-run: what it would do, for an operator who
 * has to choose. */

#ifndef TOOLS_SWARMD_RECOVERY_H
#define TOOLS_SWARMD_RECOVERY_H

#include <swarmkit/manager.h>

#include "daemon.h"

/* Whether the flags go together; -1, or the exit status. */
int recovery_check_flags(const struct daemon_options *options);

/* Prints the report on that manager, which does not run. */
int recovery_print(const struct daemon_options *options,
                   const struct swk_manager_config *config,
                   struct swk_error *err);

#endif
