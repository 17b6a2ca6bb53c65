/* SPDX-License-Identifier: Apache-2.0 */

/* Changes of membership as words: v1 a voter, l2 a learner, r3 removed, u4
 * updated. */

#ifndef TESTS_CONFORMANCE_CHANGES_H
#define TESTS_CONFORMANCE_CHANGES_H

#include <stdbool.h>

#include <swarmkit/raft.h>

/* Reads words between blanks; changes has room for SWK_RAFT_CHANGES_MAX. */
bool changes_parse(const char *words, struct swk_raft_change *changes,
                   size_t *out_count);

#endif
