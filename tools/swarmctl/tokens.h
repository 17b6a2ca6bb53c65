/* SPDX-License-Identifier: Apache-2.0 */

/* The commands of join tokens with limits. */

#ifndef SWARMCTL_TOKENS_H
#define SWARMCTL_TOKENS_H

#include "flags.h"

extern const struct flag token_create_flags[];
extern const struct flag token_list_flags[];

int run_token_create(struct ctl *ctl, const struct args *args);
int run_token_list(struct ctl *ctl, const struct args *args);
int run_token_remove(struct ctl *ctl, const struct args *args);

#endif
