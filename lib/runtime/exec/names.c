/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/exec/names.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

static const struct number {
    const char *name;
    int value;
} signals[] = {
    {"HUP", SIGHUP},     {"INT", SIGINT},       {"QUIT", SIGQUIT},
    {"ILL", SIGILL},     {"TRAP", SIGTRAP},     {"ABRT", SIGABRT},
    {"IOT", SIGIOT},     {"BUS", SIGBUS},       {"FPE", SIGFPE},
    {"KILL", SIGKILL},   {"USR1", SIGUSR1},     {"SEGV", SIGSEGV},
    {"USR2", SIGUSR2},   {"PIPE", SIGPIPE},     {"ALRM", SIGALRM},
    {"TERM", SIGTERM},   {"CHLD", SIGCHLD},     {"CONT", SIGCONT},
    {"STOP", SIGSTOP},   {"TSTP", SIGTSTP},     {"TTIN", SIGTTIN},
    {"TTOU", SIGTTOU},   {"URG", SIGURG},       {"XCPU", SIGXCPU},
    {"XFSZ", SIGXFSZ},   {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF},
    {"WINCH", SIGWINCH}, {"IO", SIGIO},         {"POLL", SIGIO},
    {"PWR", SIGPWR},     {"SYS", SIGSYS},
};

/* By number, which is the kernel's and the same on all architectures. */
static const char *const capabilities[SWKI_CAPABILITIES_COUNT] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

static const char *const default_capabilities[] = {
    "CHOWN",      "DAC_OVERRIDE", "FOWNER",           "FSETID",  "KILL",
    "SETGID",     "SETUID",       "SETPCAP",          "MKNOD",   "NET_RAW",
    "SYS_CHROOT", "AUDIT_WRITE",  "NET_BIND_SERVICE", "SETFCAP",
};

static const struct number rlimits[] = {
    {"as", RLIMIT_AS},
    {"core", RLIMIT_CORE},
    {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE},
    {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK},
    {"msgqueue", RLIMIT_MSGQUEUE},
    {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},
    {"nproc", RLIMIT_NPROC},
    {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},
    {"rttime", RLIMIT_RTTIME},
    {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};

_Static_assert(sizeof(rlimits) / sizeof(rlimits[0]) == SWKI_RLIMITS_COUNT,
               "one name for each limit");

/* A decimal number from 0 to max, or -1. */
static int parse_number(const char *text, int max)
{
    char *end;
    long value;

    if (*text < '0' || *text > '9') {
        return -1;
    }
    errno = 0;
    value = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' && value <= max ? (int)value : -1;
}

int swki_signal_number(const char *text)
{
    int number = parse_number(text, SIGRTMAX);

    if (number >= 0) {
        return number;
    }
    if (strncasecmp(text, "SIG", 3) == 0) {
        text += 3;
    }
    if (strncasecmp(text, "RTMIN+", 6) == 0) {
        number = parse_number(text + 6, SIGRTMAX - SIGRTMIN);
        return number >= 0 ? SIGRTMIN + number : 0;
    }
    if (strcasecmp(text, "RTMIN") == 0) {
        return SIGRTMIN;
    }
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (strcasecmp(text, signals[i].name) == 0) {
            return signals[i].value;
        }
    }
    return 0;
}

bool swki_capability_add(const char *text, uint64_t *mask)
{
    if (strcasecmp(text, "ALL") == 0) {
        *mask |= (UINT64_C(1) << SWKI_CAPABILITIES_COUNT) - 1;
        return true;
    }
    if (strncasecmp(text, "CAP_", 4) == 0) {
        text += 4;
    }
    for (int i = 0; i < SWKI_CAPABILITIES_COUNT; i++) {
        if (strcasecmp(text, capabilities[i]) == 0) {
            *mask |= UINT64_C(1) << i;
            return true;
        }
    }
    return false;
}

const char *swki_capability_name(int number)
{
    return number >= 0 && number < SWKI_CAPABILITIES_COUNT
               ? capabilities[number]
               : "?";
}

uint64_t swki_capabilities_default(void)
{
    const size_t count =
        sizeof(default_capabilities) / sizeof(default_capabilities[0]);
    uint64_t mask = 0;

    for (size_t i = 0; i < count; i++) {
        swki_capability_add(default_capabilities[i], &mask);
    }
    return mask;
}

int swki_rlimit_number(const char *text)
{
    for (size_t i = 0; i < sizeof(rlimits) / sizeof(rlimits[0]); i++) {
        if (strcasecmp(text, rlimits[i].name) == 0) {
            return rlimits[i].value;
        }
    }
    return -1;
}
