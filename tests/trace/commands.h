/* SPDX-License-Identifier: Apache-2.0 */

/* The commands of scripts. */

#ifndef TESTS_TRACE_COMMANDS_H
#define TESTS_TRACE_COMMANDS_H

#include "lib/sim_swarm.h"

enum {
    COMMAND_WORDS_MAX = 32,
};

struct commands {
    struct sim *sim; /* NULL before "manager" */
};

/* Runs a line and prints what happened. False for a line that makes no sense,
 * or a rule that was broken, which is printed too. */
bool commands_run(struct commands *commands, const char *line,
                  struct swki_buf *out);
void commands_fini(struct commands *commands);

#endif
