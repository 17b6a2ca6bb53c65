/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/exec/machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
    FILE_SIZE_MAX = 1 << 20,
};

/* The text of a file of /proc, to be freed, or NULL. */
static char *read_text(const char *path)
{
    char *text = malloc(FILE_SIZE_MAX);
    size_t len = 0;
    ssize_t n = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    while (fd >= 0 && text != NULL && len < FILE_SIZE_MAX - 1) {
        n = read(fd, text + len, FILE_SIZE_MAX - 1 - len);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (text != NULL && n < 0) {
        free(text);
        return NULL;
    }
    if (text != NULL) {
        text[len] = '\0';
    }
    return text;
}

static uint64_t read_capabilities(void)
{
    char *text = read_text("/proc/self/status");
    const char *line = text != NULL ? strstr(text, "\nCapEff:") : NULL;
    uint64_t mask = 0;

    if (line != NULL) {
        mask = strtoull(line + strlen("\nCapEff:"), NULL, 16);
    }
    free(text);
    return mask;
}

static int read_oom_score_adj(void)
{
    char *text = read_text("/proc/self/oom_score_adj");
    int value = text != NULL ? atoi(text) : 0;

    free(text);
    return value;
}

void swki_machine_read(struct swki_machine *out_machine)
{
    struct swki_machine m = {0};
    struct utsname names;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_size = sysconf(_SC_PAGESIZE);

    if (uname(&names) == 0) {
        snprintf(m.hostname, sizeof(m.hostname), "%s", names.nodename);
        snprintf(m.architecture, sizeof(m.architecture), "%s", names.machine);
    }
    m.nano_cpus = (cpus > 0 ? (int64_t)cpus : 1) * 1000000000;
    if (pages > 0 && page_size > 0) {
        m.memory_bytes = (int64_t)pages * (int64_t)page_size;
    }
    m.root = geteuid() == 0;
    m.capabilities = read_capabilities();
    m.oom_score_adj = read_oom_score_adj();
    for (int i = 0; i < SWKI_RLIMITS_COUNT; i++) {
        struct rlimit limit;

        m.rlimits_hard[i] = UINT64_MAX;
        if (getrlimit((__rlimit_resource_t)i, &limit) == 0 &&
            limit.rlim_max != RLIM_INFINITY) {
            m.rlimits_hard[i] = limit.rlim_max;
        }
    }
    *out_machine = m;
}

void swki_machine_claim_cgroups(struct swki_machine *machine,
                                const char *parent)
{
    char *text = read_text("/proc/self/mountinfo");

    memset(&machine->cgroups, 0, sizeof(machine->cgroups));
    if (text != NULL && machine->root) {
        swki_cgroups_parse(&machine->cgroups, text);
        swki_cgroups_claim(&machine->cgroups, parent);
    }
    free(text);
}

bool swki_machine_can(const struct swki_machine *machine,
                      const char *capability)
{
    uint64_t mask = 0;

    return swki_capability_add(capability, &mask) &&
           (machine->capabilities & mask) == mask;
}
