/* SPDX-License-Identifier: Apache-2.0 */

/* What a case prints: the lines of the commands and, by level, those of the
 * machines' traces, in the order in which things happen. */

#ifndef TESTS_CONFORMANCE_OUTPUT_H
#define TESTS_CONFORMANCE_OUTPUT_H

#include "base/buf.h"

enum level {
    LEVEL_DEBUG,
    LEVEL_INFO,
    LEVEL_WARN,
    LEVEL_ERROR,
    LEVEL_FATAL,
    LEVEL_NONE, /* silences the commands' own lines too */
    LEVELS,
};

struct output {
    struct swki_buf text;
    enum level level;
};

void output_init(struct output *out);
void output_fini(struct output *out);

const char *level_name(enum level level);

/* False if no level has that name, in letters of either case. */
bool level_parse(const char *name, enum level *out_level);

/* A line, or a part of one, of a command. */
void output_text(struct output *out, const char *format, ...)
    SWK_PRINTF(2, 3);

/* Begins to print: the buffer to append to, or NULL if all is silenced. */
struct swki_buf *output_begin(struct output *out);

/* Indents what was printed since the text was len bytes long, and ends its
 * last line. */
void output_indent(struct output *out, size_t len);

#endif
