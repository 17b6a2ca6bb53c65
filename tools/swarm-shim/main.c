/* SPDX-License-Identifier: Apache-2.0 */

#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool shim_fail(char failure[SHIM_FAILURE_SIZE], int error, const char *format,
               ...)
{
    va_list args;
    size_t len;

    va_start(args, format);
    vsnprintf(failure, SHIM_FAILURE_SIZE, format, args);
    va_end(args);

    len = strlen(failure);
    if (error != 0) {
        snprintf(failure + len, SHIM_FAILURE_SIZE - len, ": %s",
                 strerror(error));
    }
    for (char *c = failure; *c != '\0'; c++) {
        if (*c == '\n') {
            *c = ' '; /* the exit file has one line for it */
        }
    }
    return false;
}

bool shim_write(int fd, const void *data, size_t len)
{
    const char *next = data;

    while (len > 0) {
        ssize_t n = write(fd, next, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        next += n;
        len -= (size_t)n;
    }
    return true;
}

bool shim_put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok;
    int error;

    if (fd < 0) {
        return false;
    }
    ok = shim_write(fd, text, strlen(text));
    error = errno;
    close(fd);
    errno = error;
    return ok;
}

uint64_t shim_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SWK_SECOND + (uint64_t)now.tv_nsec;
}

void shim_pause_ms(unsigned milliseconds)
{
    struct timespec pause = {
        .tv_sec = milliseconds / 1000,
        .tv_nsec = (long)(milliseconds % 1000) * 1000000,
    };

    nanosleep(&pause, NULL);
}

int main(int argc, char **argv)
{
    umask(077);
    if (argc == 2 && strcmp(argv[1], "run") == 0) {
        return shim_run();
    }
    if (argc == 3 && strcmp(argv[1], "clean") == 0) {
        return shim_clean(argv[2]);
    }
    if (argc == 3 && strcmp(argv[1], "remove") == 0) {
        return shim_remove(argv[2]);
    }
    fprintf(stderr,
            "swarm-shim: started by the process executor, not by hand\n");
    return 2;
}
