/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Runs scripts against a simulated swarm and compares what they say.
 *
 *     # a comment
 *     command WORD...
 *     ----
 *     what it is to print
 *     <empty line>
 *
 * usage: run_trace [--rewrite] FILE...
 *
 * With --rewrite the files get what was printed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

static const char separator[] = "----\n";

static bool read_file(const char *path, struct swki_buf *out)
{
    FILE *file = fopen(path, "r");
    char line[4096];

    if (file == NULL) {
        perror(path);
        return false;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        (void)swki_buf_append_text(out, line);
    }
    fclose(file);
    (void)swki_buf_append_byte(out, '\0');
    return !out->failed;
}

static bool write_file(const char *path, const struct swki_buf *text)
{
    FILE *file = fopen(path, "w");
    bool written;

    if (file == NULL) {
        perror(path);
        return false;
    }
    written = fwrite(text->data, 1, text->len, file) == text->len;
    return fclose(file) == 0 && written;
}

/* Copies one line with its end, and returns what follows. */
static const char *take_line(const char *text, struct swki_buf *line)
{
    const char *end = strchr(text, '\n');
    size_t len = end != NULL ? (size_t)(end - text) + 1 : strlen(text);

    swki_buf_clear(line);
    (void)swki_buf_append(line, text, len);
    (void)swki_buf_append_byte(line, '\0');
    return text + len;
}

/* Up to the empty line, which belongs to it. */
static const char *take_expected(const char *text, struct swki_buf *expected)
{
    struct swki_buf line;

    swki_buf_init(&line, NULL, SIZE_MAX);
    while (*text != '\0' && *text != '\n') {
        text = take_line(text, &line);
        (void)swki_buf_append_text(expected, (const char *)line.data);
    }
    swki_buf_fini(&line);
    return *text == '\n' ? text + 1 : text;
}

/* Prints both, marking the lines from the first that differs. */
static void print_diff(const char *path, const char *command,
                       const char *expected, const char *got)
{
    struct swki_buf want;
    struct swki_buf have;

    swki_buf_init(&want, NULL, SIZE_MAX);
    swki_buf_init(&have, NULL, SIZE_MAX);
    printf("%s: %s", path, command);
    while (*expected != '\0' || *got != '\0') {
        expected = take_line(expected, &want);
        got = take_line(got, &have);
        if (strcmp((char *)want.data, (char *)have.data) == 0) {
            printf("  %s", (char *)have.data);
            continue;
        }
        if (want.data[0] != '\0') {
            printf("- %s", (char *)want.data);
        }
        if (have.data[0] != '\0') {
            printf("+ %s", (char *)have.data);
        }
    }
    swki_buf_fini(&want);
    swki_buf_fini(&have);
}

struct script {
    const char *path;
    struct commands commands;
    struct swki_buf rewritten;
    bool failed;
};

/* Runs one command with its expectation; returns what follows. */
static const char *run_command(struct script *s, const char *command,
                               const char *rest)
{
    struct swki_buf expected;
    struct swki_buf got;

    swki_buf_init(&expected, NULL, SIZE_MAX);
    swki_buf_init(&got, NULL, SIZE_MAX);
    if (strncmp(rest, separator, strlen(separator)) == 0) {
        rest = take_expected(rest + strlen(separator), &expected);
    } else if (*rest == '\n') {
        rest++; /* a new command, written without an expectation */
    }
    (void)swki_buf_append_byte(&expected, '\0');
    if (!commands_run(&s->commands, command, &got)) {
        s->failed = true;
    }
    (void)swki_buf_printf(&s->rewritten, "%s%s%.*s\n", command, separator,
                          (int)got.len,
                          got.data != NULL ? (char *)got.data : "");
    (void)swki_buf_append_byte(&got, '\0');
    if (strcmp((char *)expected.data, (char *)got.data) != 0) {
        print_diff(s->path, command, (char *)expected.data, (char *)got.data);
        s->failed = true;
    }
    swki_buf_fini(&expected);
    swki_buf_fini(&got);
    return rest;
}

static bool run_script(const char *path, bool rewrite)
{
    struct script s = {.path = path};
    struct swki_buf text;
    struct swki_buf line;

    swki_buf_init(&text, NULL, SIZE_MAX);
    swki_buf_init(&line, NULL, SIZE_MAX);
    swki_buf_init(&s.rewritten, NULL, SIZE_MAX);
    if (!read_file(path, &text)) {
        return false;
    }
    for (const char *rest = (char *)text.data; *rest != '\0';) {
        rest = take_line(rest, &line);
        if (line.data[0] == '#' || line.data[0] == '\n') {
            (void)swki_buf_append_text(&s.rewritten, (char *)line.data);
        } else {
            rest = run_command(&s, (char *)line.data, rest);
        }
    }
    commands_fini(&s.commands);
    if (rewrite) {
        s.failed = !write_file(path, &s.rewritten);
    }
    swki_buf_fini(&text);
    swki_buf_fini(&line);
    swki_buf_fini(&s.rewritten);
    return !s.failed;
}

int main(int argc, char **argv)
{
    bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    int failed = 0;

    for (int i = rewrite ? 2 : 1; i < argc; i++) {
        const char *slash = strrchr(argv[i], '/');
        const char *name = slash != NULL ? slash + 1 : argv[i];

        printf("[ RUN      ] %s\n", name);
        if (run_script(argv[i], rewrite)) {
            printf("[       OK ] %s\n", name);
        } else {
            printf("[  FAILED  ] %s\n", name);
            failed++;
        }
    }
    return failed == 0 ? 0 : 1;
}
