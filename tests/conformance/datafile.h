/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files of cases: a directive, lines of input, a separator, and the output
 * that is expected.
 */

#ifndef TESTS_CONFORMANCE_DATAFILE_H
#define TESTS_CONFORMANCE_DATAFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* key, key=value or key=(value,value,...) */
struct argument {
    const char *key;
    const char **values;
    size_t values_count;
};

struct directive {
    size_t line;          /* in the file, from 1 */
    size_t output_line;   /* the first one of what is expected */
    size_t end_line;      /* the first one behind it */
    const char *text;     /* as it is written */
    const char *problem;  /* NULL, or why it cannot be read */
    const char *command;
    struct argument *arguments;
    size_t arguments_count;
    const char *input;
    const char *expected;
};

struct datafile {
    struct swki_arena arena; /* of everything below */
    struct directive *cases;
    size_t cases_count;
};

/* False, with a line on stderr, if the file cannot be read. */
bool datafile_read(struct datafile *file, const char *path);
void datafile_fini(struct datafile *file);

/* A number in decimal digits alone. */
bool parse_number(const char *text, uint64_t *out);

/* true or false, and their first letters and digits. */
bool parse_flag(const char *text, bool *out);

#endif
