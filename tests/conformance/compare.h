/* SPDX-License-Identifier: Apache-2.0 */

/* Whether two outputs are alike, and how they are not. */

#ifndef TESTS_CONFORMANCE_COMPARE_H
#define TESTS_CONFORMANCE_COMPARE_H

#include <stdbool.h>

enum comparison {
    COMPARE_STRICT,    /* byte for byte */
    COMPARE_BEHAVIOUR, /* without the lines of the trace */
};

bool compare_outputs(const char *expected, const char *actual,
                     enum comparison comparison);

/* Prints both, line by line, with those that only one of them has marked. */
void print_difference(const char *expected, const char *actual,
                      enum comparison comparison);

#endif
