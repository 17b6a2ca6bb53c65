/* SPDX-License-Identifier: Apache-2.0 */

#include "datafile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static const char blanks[] = " \t\r\n\v\f";
static const char separator[] = "----";

/* What is left of a file: lines, each cut from the next. */
struct reader {
    struct swki_arena *arena;
    char *rest; /* NULL at the end */
    size_t line;
};

static void *need(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "no memory\n");
        abort();
    }
    return memory;
}

static char *next_line(struct reader *r)
{
    char *line = r->rest;

    if (line == NULL || *line == '\0') {
        r->rest = NULL;
        return NULL;
    }
    char *end = strchr(line, '\n');
    if (end != NULL) {
        *end = '\0';
        r->rest = end + 1;
    } else {
        r->rest = NULL;
    }
    r->line++;
    return line;
}

static bool is_blank(const char *line)
{
    return line[strspn(line, blanks)] == '\0';
}

static char *trim(char *text)
{
    size_t len;

    text += strspn(text, blanks);
    len = strlen(text);
    while (len > 0 && strchr(blanks, text[len - 1]) != NULL) {
        text[--len] = '\0';
    }
    return text;
}

/* -- Directives ----------------------------------------------------------- */

static void add_value(struct swki_arena *arena, struct argument *a,
                      const char *text, size_t len)
{
    const char **values =
        need(swki_arena_calloc(arena, a->values_count + 1, sizeof(char *)));
    char *value = need(swki_arena_alloc(arena, len + 1));

    memcpy(value, text, len);
    value[len] = '\0';
    if (a->values_count > 0) {
        memcpy(values, a->values, a->values_count * sizeof(char *));
    }
    values[a->values_count++] = trim(value);
    a->values = values;
}

/* The values between parentheses; returns what follows them, or NULL. */
static const char *read_list(struct swki_arena *arena, const char *at,
                             struct argument *a)
{
    const char *end = strchr(at, ')');

    if (end == NULL) {
        return NULL;
    }
    if (at == end) {
        return end + 1;
    }
    for (;;) {
        size_t len = strcspn(at, ",)");

        add_value(arena, a, at, len);
        at += len;
        if (*at == ')') {
            return at + 1;
        }
        at++;
    }
}

/* One argument; returns what follows it, or NULL. */
static const char *read_argument(struct swki_arena *arena, const char *at,
                                 struct argument *a)
{
    size_t len = strcspn(at, "= \t");
    char *key = need(swki_arena_alloc(arena, len + 1));

    memcpy(key, at, len);
    key[len] = '\0';
    *a = (struct argument){.key = key};
    at += len;
    if (*at != '=') {
        return at;
    }
    at++;
    if (*at == '(') {
        return read_list(arena, at + 1, a);
    }
    len = strcspn(at, " \t");
    add_value(arena, a, at, len);
    return at + len;
}

static void read_directive(struct swki_arena *arena, struct directive *d)
{
    const char *at = d->text;
    size_t len = strcspn(at, " \t");
    char *command = need(swki_arena_alloc(arena, len + 1));
    size_t room = 1;

    memcpy(command, at, len);
    command[len] = '\0';
    d->command = command;
    for (const char *c = at; *c != '\0'; c++) {
        room += *c == ' ' || *c == '\t' ? 1 : 0;
    }
    d->arguments = need(
        swki_arena_calloc(arena, room + 1, sizeof(d->arguments[0])));

    at += len;
    for (;;) {
        at += strspn(at, " \t");
        if (*at == '\0') {
            return;
        }
        at = read_argument(arena, at, &d->arguments[d->arguments_count]);
        if (at == NULL) {
            d->problem = "a list of values is not closed";
            return;
        }
        d->arguments_count++;
    }
}

/* -- Cases ---------------------------------------------------------------- */

static char *keep(struct reader *r, struct swki_buf *text)
{
    (void)swki_buf_append_byte(text, '\0');
    return need(text->failed ? NULL
                             : swki_arena_strdup(r->arena, (char *)text->data));
}

/* The directive's line, and those that it goes on in. */
static char *read_head(struct reader *r, const char *line)
{
    struct swki_buf text;

    swki_buf_init(&text, NULL, SIZE_MAX);
    for (;;) {
        size_t len = strlen(line);
        bool goes_on = len > 0 && line[len - 1] == '\\';

        (void)swki_buf_append(&text, line, goes_on ? len - 1 : len);
        line = goes_on ? next_line(r) : NULL;
        if (line == NULL) {
            break;
        }
        (void)swki_buf_append_byte(&text, ' ');
    }
    char *head = trim(keep(r, &text));
    swki_buf_fini(&text);
    return head;
}

/* False if there is no separator. */
static bool read_input(struct reader *r, struct directive *d)
{
    struct swki_buf text;
    const char *line;

    swki_buf_init(&text, NULL, SIZE_MAX);
    for (line = next_line(r); line != NULL && strcmp(line, separator) != 0;
         line = next_line(r)) {
        (void)swki_buf_printf(&text, "%s\n", line);
    }
    d->input = trim(keep(r, &text));
    swki_buf_fini(&text);
    return line != NULL;
}

/* Up to an empty line; or between doubled separators, with such lines. */
static void read_expected(struct reader *r, struct directive *d)
{
    struct swki_buf text;
    const char *line = next_line(r);
    bool doubled = line != NULL && strcmp(line, separator) == 0;
    bool ending = false;

    d->output_line = line != NULL ? r->line : r->line + 1;
    swki_buf_init(&text, NULL, SIZE_MAX);
    if (doubled) {
        line = next_line(r);
    }
    for (; line != NULL; line = next_line(r)) {
        bool ends = doubled ? strcmp(line, separator) == 0 : is_blank(line);

        if (ends && (!doubled || ending)) {
            break;
        }
        if (ending && !ends) {
            (void)swki_buf_printf(&text, "%s\n", separator);
        }
        ending = ends;
        if (!ends) {
            (void)swki_buf_printf(&text, "%s\n", line);
        }
    }
    d->end_line = line != NULL && !doubled ? r->line : r->line + 1;
    d->expected = keep(r, &text);
    swki_buf_fini(&text);
}

static void add_case(struct datafile *file, const struct directive *d)
{
    /* Doubled at every power of two. */
    if ((file->cases_count & (file->cases_count - 1)) == 0) {
        size_t room = file->cases_count == 0 ? 1 : file->cases_count * 2;
        struct directive *cases =
            need(swki_arena_calloc(&file->arena, room, sizeof(*cases)));

        if (file->cases_count > 0) {
            memcpy(cases, file->cases, file->cases_count * sizeof(*cases));
        }
        file->cases = cases;
    }
    file->cases[file->cases_count++] = *d;
}

static void read_cases(struct datafile *file, char *text)
{
    struct reader r = {.arena = &file->arena, .rest = text};
    char *line;

    while ((line = next_line(&r)) != NULL) {
        struct directive d = {.line = r.line};

        line += strspn(line, blanks);
        if (*line == '\0' || *line == '#') {
            continue;
        }
        d.text = read_head(&r, line);
        d.input = "";
        d.expected = "";
        read_directive(&file->arena, &d);
        if (read_input(&r, &d)) {
            read_expected(&r, &d);
        } else {
            d.problem = "no line of four dashes follows";
        }
        add_case(file, &d);
    }
}

static bool read_all(FILE *stream, struct swki_buf *text)
{
    char part[4096];
    size_t len;

    while ((len = fread(part, 1, sizeof(part), stream)) > 0) {
        (void)swki_buf_append(text, part, len);
    }
    (void)swki_buf_append_byte(text, '\0');
    return !text->failed && ferror(stream) == 0;
}

bool datafile_read(struct datafile *file, const char *path)
{
    FILE *stream = fopen(path, "rb");
    struct swki_buf text;

    *file = (struct datafile){.cases = NULL};
    if (stream == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    swki_buf_init(&text, NULL, SIZE_MAX);
    bool read = read_all(stream, &text);
    fclose(stream);
    if (read) {
        swki_arena_init(&file->arena, NULL, SIZE_MAX);
        read_cases(file, need(swki_arena_strdup(&file->arena,
                                                (const char *)text.data)));
    } else {
        fprintf(stderr, "%s: it cannot be read\n", path);
    }
    swki_buf_fini(&text);
    return read;
}

void datafile_fini(struct datafile *file)
{
    swki_arena_fini(&file->arena);
}

bool parse_number(const char *text, uint64_t *out)
{
    uint64_t number = 0;

    if (*text == '\0' || text[strspn(text, "0123456789")] != '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');

        if (number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *out = number;
    return true;
}

bool parse_flag(const char *text, bool *out)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}
