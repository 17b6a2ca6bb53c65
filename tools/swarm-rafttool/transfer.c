/* SPDX-License-Identifier: Apache-2.0 */

/* decrypt, export and import: the state of a swarm leaves, or comes. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <swarmkit/message.h>

#include "rafttool.h"

#define STATE_TYPE "swarmkit.v1.State"
/* Of a swarmd that is told nothing else. */
#define DEFAULT_ADDRESS "127.0.0.1:4242"

enum {
    READ_SIZE = 1 << 20,
    FILE_SIZE_MAX = 1 << 30,
};

/* -- decrypt -------------------------------------------------------------- */

int run_decrypt(const struct options *options)
{
    struct swk_error err;
    swk_offline *offline;
    int code = tool_open(options, SWK_OFFLINE_LOCK, &offline);

    if (code == EXIT_IN_USE) {
        tool_note("stop the manager first: a copy of what changes is none");
    }
    if (code != EXIT_OK) {
        return code;
    }
    if (swk_offline_copy_unsealed(offline, options->output, &err) != 0) {
        code = tool_fail(&err);
    } else {
        tool_note("%s holds every secret of the swarm in clear, and this "
                  "manager's own key: keep it safe, and remove it when it has "
                  "served. Never start a manager with the copy while one "
                  "runs, or may run, with the original",
                  options->output);
    }
    swk_offline_close(offline);
    return code;
}

/* -- export --------------------------------------------------------------- */

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t len = strlen(text);
    FILE *file;
    bool ok;

    if (fd < 0) {
        return tool_error(errno == EEXIST ? EXIT_EXISTS : EXIT_FAILED,
                          "cannot make %s: %s", path, strerror(errno));
    }
    file = fdopen(fd, "w");
    if (file == NULL) {
        close(fd);
        return tool_error(EXIT_FAILED, "out of memory");
    }
    ok = fwrite(text, 1, len, file) == len && putc('\n', file) != EOF &&
         fflush(file) == 0 && fsync(fd) == 0;
    ok = fclose(file) == 0 && ok;
    if (!ok) {
        int reason = errno;

        unlink(path);
        return tool_error(EXIT_FAILED, "cannot write %s: %s", path,
                          strerror(reason));
    }
    return EXIT_OK;
}

static int write_state(const struct options *options, uint8_t *data, size_t len)
{
    uint32_t flags =
        SWK_JSON_INDENTED | (options->redact ? SWK_JSON_REDACTED : 0);
    struct swk_error err;
    int code = EXIT_OK;
    char *text = NULL;

    if (swk_message_to_json(STATE_TYPE, data, len, flags, &text, &err) != 0) {
        return tool_fail(&err);
    }
    if (options->output != NULL) {
        code = write_file(options->output, text);
    } else {
        puts(text);
    }
    explicit_bzero(text, strlen(text));
    swk_message_json_free(text);
    if (code == EXIT_OK && !options->redact) {
        tool_note("%s: it holds every secret of the swarm, the key of its CA "
                  "among them; keep it as safe as those, or say --redact",
                  options->output != NULL ? options->output
                                          : "the standard output");
    }
    return code;
}

int run_export(const struct options *options)
{
    swk_offline *offline;
    uint8_t *data;
    size_t len;
    int code = tool_open(options, 0, &offline);

    if (code != EXIT_OK) {
        return code;
    }
    code = tool_state(options, offline, &data, &len);
    if (code == EXIT_OK) {
        code = write_state(options, data, len);
        swk_message_data_free(data, len);
    }
    swk_offline_close(offline);
    return code;
}

/* -- import --------------------------------------------------------------- */

static void drop_text(char *text, size_t len)
{
    if (text != NULL) {
        explicit_bzero(text, len);
    }
    free(text);
}

/* Room that leaves no copy of a secret behind when it grows. */
static char *grow(char *text, size_t len, size_t size)
{
    char *more = malloc(size);

    if (more != NULL && len > 0) {
        memcpy(more, text, len);
    }
    drop_text(text, len);
    return more;
}

static int read_stream(FILE *file, const char *path, char **out_text,
                       size_t *out_len)
{
    size_t size = READ_SIZE;
    char *text = grow(NULL, 0, size);
    size_t len = 0;

    while (text != NULL && !feof(file) && !ferror(file)) {
        if (len == size) {
            if (size >= FILE_SIZE_MAX) {
                drop_text(text, len);
                return tool_error(EXIT_FAILED, "%s is too long", path);
            }
            text = grow(text, len, 2 * size);
            size *= 2;
        } else {
            len += fread(text + len, 1, size - len, file);
        }
    }
    if (text == NULL) {
        return tool_error(EXIT_FAILED, "out of memory");
    }
    if (ferror(file)) {
        drop_text(text, len);
        return tool_error(EXIT_FAILED, "cannot read %s: %s", path,
                          strerror(errno));
    }
    *out_text = text;
    *out_len = len;
    return EXIT_OK;
}

/* "-" is the standard input. */
static int read_file(const char *path, char **out_text, size_t *out_len)
{
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "rbe");
    int code;

    if (file == NULL) {
        return tool_error(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED,
                          "cannot read %s: %s", path, strerror(errno));
    }
    code = read_stream(file, path, out_text, out_len);
    if (!is_input) {
        fclose(file);
    }
    return code;
}

static void show_report(const struct options *options,
                        const struct swk_offline_import_report *report)
{
    printf("swarm %s goes on in %s\n", report->swarm_id, options->state_dir);
    printf("  manager         %s, a new node\n", report->node_id);
    printf("  objects         %" PRIu64 "\n", report->objects_count);
    printf("  managers gone   %" PRIu64 "\n", report->managers_count);
    printf("  tasks gone      %" PRIu64 ", which are made anew elsewhere\n",
           report->tasks_count);
    if (report->managers_count > 0) {
        tool_note("the managers of before are locked out: do not start them "
                  "with their old state; they may join anew, with an empty "
                  "one");
    }
    if (report->locked) {
        tool_note("the swarm locks its managers: the new one starts with the "
                  "same unlock key, by swarmd --unlock-key-file FILE");
    }
    tool_note("next: swarmd --state-dir %s; workers that do not find it at "
              "the address of a manager of before need --join-addr",
              options->state_dir);
}

static int import_data(const struct options *options, const uint8_t *data,
                       size_t len)
{
    struct swk_offline_import_report report = {.size = sizeof(report)};
    const struct swk_offline_import import = {
        .size = sizeof(import),
        .data = data,
        .data_len = len,
        .address =
            options->address != NULL ? options->address : DEFAULT_ADDRESS,
    };
    struct swk_offline_config config;
    struct swk_error err;
    int code = tool_config(options, NULL, &config);

    if (code != EXIT_OK) {
        return code;
    }
    if (swk_offline_import(&config, &import, &report, &err) != 0) {
        return tool_fail(&err);
    }
    show_report(options, &report);
    return EXIT_OK;
}

int run_import(const struct options *options)
{
    struct swk_error err;
    uint8_t *data;
    size_t text_len = 0;
    size_t len;
    char *text = NULL;
    int code = read_file(options->argument, &text, &text_len);

    if (code != EXIT_OK) {
        return code;
    }
    if (swk_message_from_json(STATE_TYPE, text, text_len, &data, &len, &err) !=
        0) {
        code = tool_fail(&err);
    } else {
        code = import_data(options, data, len);
        swk_message_data_free(data, len);
    }
    drop_text(text, text_len);
    return code;
}
