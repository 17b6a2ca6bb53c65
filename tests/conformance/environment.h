/* SPDX-License-Identifier: Apache-2.0 */

/* What carries out the cases of a file, one kind for each kind of file. */

#ifndef TESTS_CONFORMANCE_ENVIRONMENT_H
#define TESTS_CONFORMANCE_ENVIRONMENT_H

#include "base/buf.h"

#include "datafile.h"
#include "faults.h"

struct environment {
    /* Appends what the case prints. */
    void (*run)(void *ctx, const struct directive *d, struct swki_buf *out);
    void (*free)(void *ctx);
    void *ctx;
};

/* What is carried out takes its memory from faults, and reports there. Each
 * environment is given by a file's kind; see its own opening comment. */
struct environment quorum_environment(struct faults *faults);
struct environment confchange_environment(struct faults *faults);
struct environment interaction_environment(struct faults *faults);

/* The value of a key with exactly one; NULL if there is none. */
const char *directive_value(const struct directive *d, const char *key);

/* The argument with a key, or NULL. */
const struct argument *directive_find(const struct directive *d,
                                      const char *key);

#endif
