/* SPDX-License-Identifier: Apache-2.0 */

/* Memory of what is tested, which can fail for a while, and a record of what went
 * wrong beside the output of the cases. */

#ifndef TESTS_CONFORMANCE_FAULTS_H
#define TESTS_CONFORMANCE_FAULTS_H

#include <stdbool.h>

#include <swarmkit/alloc.h>

struct faults {
    struct swk_alloc alloc;
    uint64_t calls;   /* that took memory so far */
    uint64_t fail_at; /* the first call that fails, from 1; 0 for none */
    uint64_t fail_count; /* how many fail from then on */
    bool failed;         /* the first one did */
    uint64_t live;    /* blocks not released */
    char problem[256]; /* the first one; empty for none */
};

void faults_init(struct faults *faults, uint64_t fail_at, uint64_t fail_count);

/* Whether more calls will fail. */
bool faults_ahead(const struct faults *faults);

void faults_report(struct faults *faults, const char *format, ...)
    SWK_PRINTF(2, 3);

#endif
