/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The only program of the tests' image directories: says what it sees.
 *
 *     probe WORD [ARGUMENT] ...
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void show_file(const char *path)
{
    char data[4096];
    int fd = open(path, O_RDONLY);
    ssize_t n;

    if (fd < 0) {
        printf("%s: %s\n", path, strerror(errno));
        return;
    }
    while ((n = read(fd, data, sizeof(data))) > 0) {
        fwrite(data, 1, (size_t)n, stdout);
    }
    close(fd);
}

static void write_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    if (fd < 0 || write(fd, "written\n", 8) != 8) {
        printf("%s: %s\n", path, strerror(errno));
        return;
    }
    close(fd);
    printf("%s: written\n", path);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void list_directory(const char *path)
{
    struct dirent **list;
    int count = scandir(path, &list, NULL, by_name);

    for (int i = 0; i < count; i++) {
        if (list[i]->d_name[0] != '.') {
            printf("%s ", list[i]->d_name);
        }
    }
    printf("\n");
}

static void show_ids(void)
{
    gid_t groups[64];
    int count = getgroups(64, groups);

    printf("uid=%u gid=%u groups=", getuid(), getgid());
    for (int i = 0; i < count; i++) {
        printf("%s%u", i > 0 ? "," : "", groups[i]);
    }
    printf(" home=%s\n", getenv("HOME"));
}

static void show_status(const char *field)
{
    char line[256];
    size_t len = strlen(field);
    FILE *file = fopen("/proc/self/status", "r");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, field, len) == 0 && line[len] == ':') {
            printf("%s", line);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* Touches memory until it is killed. */
static void eat(size_t mebibytes)
{
    for (size_t i = 0; i < mebibytes; i++) {
        char *block = malloc(1 << 20);

        if (block != NULL) {
            explicit_bzero(block, 1 << 20); /* not optimised away */
        }
    }
    printf("ate %zu MiB\n", mebibytes);
}

static void fork_many(int count)
{
    int made = 0;

    for (int i = 0; i < count; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            pause();
            _exit(0);
        }
        made += pid > 0 ? 1 : 0;
    }
    printf("forked %d\n", made);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        const char *argument = i + 1 < argc ? argv[i + 1] : "";
        char name[256];

        if (strcmp(word, "cat") == 0) {
            show_file(argument);
            i++;
        } else if (strcmp(word, "write") == 0) {
            write_file(argument);
            i++;
        } else if (strcmp(word, "ls") == 0) {
            list_directory(argument);
            i++;
        } else if (strcmp(word, "status") == 0) {
            show_status(argument);
            i++;
        } else if (strcmp(word, "eat") == 0) {
            eat((size_t)atol(argument));
            i++;
        } else if (strcmp(word, "fork") == 0) {
            fork_many(atoi(argument));
            i++;
        } else if (strcmp(word, "id") == 0) {
            show_ids();
        } else if (strcmp(word, "hostname") == 0) {
            gethostname(name, sizeof(name));
            printf("%s\n", name);
        } else if (strcmp(word, "pwd") == 0) {
            printf("%s\n", getcwd(name, sizeof(name)));
        }
        fflush(stdout);
    }
    return 0;
}
