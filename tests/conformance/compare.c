/* SPDX-License-Identifier: Apache-2.0 */

#include "compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#include "output.h"

/* -- Filtering ------------------------------------------------------------- */

static bool is_trace(const char *line)
{
    line += strspn(line, " \t");
    for (int i = LEVEL_DEBUG; i < LEVEL_NONE; i++) {
        const char *name = level_name((enum level)i);
        size_t len = strlen(name);

        if (strncmp(line, name, len) == 0 && line[len] == ' ') {
            return true;
        }
    }
    return false;
}

/* What counts of an output, as text of its own. */
static char *filter(const char *text, enum comparison comparison)
{
    struct swki_buf kept;

    swki_buf_init(&kept, NULL, SIZE_MAX);
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");

        len += text[len] == '\n' ? 1 : 0;
        if (comparison == COMPARE_STRICT || !is_trace(text)) {
            (void)swki_buf_append(&kept, text, len);
        }
        text += len;
    }
    if (comparison == COMPARE_BEHAVIOUR && kept.len == 0) {
        (void)swki_buf_append_text(&kept, "ok\n");
    }
    (void)swki_buf_append_byte(&kept, '\0');

    char *copy = kept.failed ? NULL : strdup((const char *)kept.data);
    if (copy == NULL) {
        abort();
    }
    swki_buf_fini(&kept);
    return copy;
}

bool compare_outputs(const char *expected, const char *actual,
                     enum comparison comparison)
{
    char *a = filter(expected, comparison);
    char *b = filter(actual, comparison);
    bool same = strcmp(a, b) == 0;

    free(a);
    free(b);
    return same;
}

/* -- Differences ----------------------------------------------------------- */

struct lines {
    char **items;
    size_t count;
};

/* Cuts a text into its lines. */
static struct lines cut(char *text)
{
    size_t room = 1;
    struct lines lines = {.count = 0};

    for (const char *c = text; *c != '\0'; c++) {
        room += *c == '\n' ? 1 : 0;
    }
    lines.items = calloc(room, sizeof(lines.items[0]));
    if (lines.items == NULL) {
        abort();
    }
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        bool last = text[len] == '\0';

        text[len] = '\0';
        lines.items[lines.count++] = text;
        text += len + (last ? 0 : 1);
    }
    return lines;
}

/* Lengths of the longest common subsequences of the ends of both, the one from
 * line i of a and line k of b at [i * (b.count + 1) + k]. */
static size_t *measure(const struct lines *a, const struct lines *b)
{
    size_t width = b->count + 1;
    size_t *common = calloc((a->count + 1) * width, sizeof(*common));

    if (common == NULL) {
        abort();
    }
    for (size_t i = a->count; i-- > 0;) {
        for (size_t k = b->count; k-- > 0;) {
            size_t down = common[(i + 1) * width + k];
            size_t right = common[i * width + k + 1];

            if (strcmp(a->items[i], b->items[k]) == 0) {
                common[i * width + k] = common[(i + 1) * width + k + 1] + 1;
            } else {
                common[i * width + k] = down > right ? down : right;
            }
        }
    }
    return common;
}

static void print_lines(const struct lines *a, const struct lines *b)
{
    size_t *common = measure(a, b);
    size_t width = b->count + 1;
    size_t i = 0;
    size_t k = 0;

    while (i < a->count || k < b->count) {
        if (i < a->count && k < b->count &&
            strcmp(a->items[i], b->items[k]) == 0) {
            printf("    %s\n", a->items[i]);
            i++;
            k++;
        } else if (i < a->count &&
                   (k == b->count || common[(i + 1) * width + k] >=
                                         common[i * width + k + 1])) {
            printf("  - %s\n", a->items[i++]);
        } else {
            printf("  + %s\n", b->items[k++]);
        }
    }
    free(common);
}

void print_difference(const char *expected, const char *actual,
                      enum comparison comparison)
{
    char *a = filter(expected, comparison);
    char *b = filter(actual, comparison);
    struct lines a_lines = cut(a);
    struct lines b_lines = cut(b);

    printf("  (-: expected, +: printed)\n");
    print_lines(&a_lines, &b_lines);
    free(a_lines.items);
    free(b_lines.items);
    free(a);
    free(b);
}
