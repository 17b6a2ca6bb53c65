/* SPDX-License-Identifier: Apache-2.0 */

/* The commands that show services. */

#ifndef SWARMCTL_SERVICE_VIEWS_H
#define SWARMCTL_SERVICE_VIEWS_H

#include "flags.h"

extern const struct flag service_list_flags[];
extern const struct flag service_inspect_flags[];

int run_service_list(struct ctl *ctl, const struct args *args);
int run_service_inspect(struct ctl *ctl, const struct args *args);
int run_service_ps(struct ctl *ctl, const struct args *args);

#endif
