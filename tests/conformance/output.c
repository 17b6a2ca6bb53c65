/* SPDX-License-Identifier: Apache-2.0 */

#include "output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const names[LEVELS] = {"DEBUG", "INFO",  "WARN",
                                          "ERROR", "FATAL", "NONE"};

void output_init(struct output *out)
{
    swki_buf_init(&out->text, NULL, SIZE_MAX);
    out->level = LEVEL_DEBUG;
}

void output_fini(struct output *out)
{
    swki_buf_fini(&out->text);
}

const char *level_name(enum level level)
{
    return names[level];
}

bool level_parse(const char *name, enum level *out_level)
{
    for (int i = 0; i < LEVELS; i++) {
        if (strcasecmp(name, names[i]) == 0) {
            *out_level = (enum level)i;
            return true;
        }
    }
    return false;
}

void output_text(struct output *out, const char *format, ...)
{
    char *text = NULL;
    va_list args;

    if (out->level == LEVEL_NONE) {
        return;
    }
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) {
        abort();
    }
    va_end(args);
    (void)swki_buf_append_text(&out->text, text);
    free(text);
}

struct swki_buf *output_begin(struct output *out)
{
    return out->level == LEVEL_NONE ? NULL : &out->text;
}

void output_indent(struct output *out, size_t len)
{
    size_t size = out->text.len - len;
    char *block = malloc(size + 1);

    if (block == NULL) {
        abort();
    }
    if (size > 0) {
        memcpy(block, out->text.data + len, size);
    }
    block[size] = '\0';
    out->text.len = len;
    for (char *line = block; *line != '\0';) {
        size_t line_len = strcspn(line, "\n");
        bool last = line[line_len] == '\0';

        line[line_len] = '\0';
        (void)swki_buf_printf(&out->text, "  %s\n", line);
        line += line_len + (last ? 0 : 1);
    }
    free(block);
}
