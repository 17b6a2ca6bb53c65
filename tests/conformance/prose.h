/* SPDX-License-Identifier: Apache-2.0 */

/* What happens inside a machine as lines of a log, in the words that the data
 * files expect. */

#ifndef TESTS_CONFORMANCE_PROSE_H
#define TESTS_CONFORMANCE_PROSE_H

#include "core/raft/machine.h"

#include "output.h"

/* Prints an event, if it has a line and the level lets it through. */
void prose(struct output *out, const struct swki_machine_trace *event);

#endif
