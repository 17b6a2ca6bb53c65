/* SPDX-License-Identifier: Apache-2.0 */

#include "unlock_input.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum {
    TEXT_SIZE = 256, /* a key with generous white space around it */
};

static int fail(struct swk_error *err, int code, const char *path,
                const char *why)
{
    err->code = code;
    snprintf(err->text, sizeof(err->text), "cannot read the unlock key%s%s: %s",
             path[0] != '\0' ? " from " : "", path, why);
    return code;
}

/* A line; the terminal shows nothing of it, and takes no key for a signal:
 * an interrupted program would leave it so. */
static size_t prompt(int terminal, char *buf, size_t size)
{
    struct termios before;
    struct termios silent;
    ssize_t len;

    fputs("Unlock key: ", stderr);
    tcgetattr(terminal, &before);
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    tcsetattr(terminal, TCSAFLUSH, &silent);
    len = read(terminal, buf, size);
    tcsetattr(terminal, TCSAFLUSH, &before);
    fputc('\n', stderr);
    return len > 0 ? (size_t)len : 0;
}

static int read_text(const char *path, char *buf, size_t size, size_t *out_len,
                     struct swk_error *err)
{
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "the standard input" : path;
    FILE *file;
    int error = 0;

    if (standard && isatty(STDIN_FILENO)) {
        *out_len = prompt(STDIN_FILENO, buf, size);
        return SWK_OK;
    }
    file = standard ? stdin : fopen(path, "re");
    if (file == NULL) {
        return fail(err, SWK_EIO, name, strerror(errno));
    }
    setvbuf(file, NULL, _IONBF, 0); /* no copy of it stays behind */
    *out_len = fread(buf, 1, size, file);
    if (ferror(file)) {
        error = errno;
    }
    if (!standard) {
        fclose(file);
    }
    return error != 0 ? fail(err, SWK_EIO, name, strerror(error)) : SWK_OK;
}

int unlock_input_read(const char *path, struct swk_unlock_key *out_key,
                      struct swk_error *err)
{
    char buf[TEXT_SIZE];
    const char *text = buf;
    size_t len = 0;
    int rc = read_text(path, buf, sizeof(buf), &len, err);

    while (len > 0 && isspace((unsigned char)text[len - 1])) {
        len--;
    }
    while (len > 0 && isspace((unsigned char)text[0])) {
        text++;
        len--;
    }
    if (rc == 0 && len == 0) {
        rc = fail(err, SWK_EMALFORMED, path, "there is nothing");
    }
    if (rc == 0) {
        rc = swk_unlock_key_parse(text, len, out_key, err);
    }
    explicit_bzero(buf, sizeof(buf));
    return rc;
}
