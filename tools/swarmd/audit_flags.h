/* SPDX-License-Identifier: Apache-2.0 */

/* The flags of the audit log. */

#ifndef SWARMD_AUDIT_FLAGS_H
#define SWARMD_AUDIT_FLAGS_H

#include <swarmkit/manager.h>

#include "daemon.h"

/* Puts what the flags say into the configuration; 0 or SWK_EINVAL. */
int audit_flags_read(const struct daemon_options *options,
                     struct swk_manager_config *config, struct swk_error *err);

#endif
