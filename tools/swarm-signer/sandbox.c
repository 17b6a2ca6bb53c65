/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the process takes from itself.
 *
 * The order matters. Memory and limits come first, while there are rights to
 * set them. Landlock confines the thread that calls it and those that it
 * starts, so it comes before the transport starts its own. The filter of system
 * calls comes last, when the socket is open, and is laid on all threads at
 * once.
 */

#include "signer.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    FILES_MAX = 256, /* descriptors: a connection has one */
    HEAP_AHEAD = 1024 * 1024,
};

static int fail(struct swk_error *err, const char *what)
{
    err->code = SWK_EIO;
    snprintf(err->text, sizeof(err->text), "cannot %s: %s", what,
             strerror(errno));
    return err->code;
}

/* -- Who it is --------------------------------------------------------------
 */

static int no_such(struct swk_error *err, const char *what, const char *name)
{
    err->code = SWK_ENOTFOUND;
    snprintf(err->text, sizeof(err->text), "there is no %s %.100s", what, name);
    return err->code;
}

int identity_find(const char *user, const char *socket_group,
                  struct identity *out_identity, struct swk_error *err)
{
    struct identity identity = {geteuid(), getegid(), (gid_t)-1};
    const struct passwd *passwd;
    const struct group *group;

    if (user != NULL) {
        passwd = getpwnam(user);
        if (passwd == NULL) {
            return no_such(err, "user", user);
        }
        identity.uid = passwd->pw_uid;
        identity.gid = passwd->pw_gid;
    }
    if (socket_group != NULL) {
        group = getgrnam(socket_group);
        if (group == NULL) {
            return no_such(err, "group", socket_group);
        }
        identity.socket_group = group->gr_gid;
    }
    *out_identity = identity;
    return 0;
}

int identity_take(const struct identity *identity, struct swk_error *err)
{
    size_t groups_count = identity->socket_group != (gid_t)-1 ? 1 : 0;

    if (geteuid() != 0) {
        if (identity->uid == geteuid()) {
            return 0;
        }
        errno = EPERM;
        return fail(err, "become another user");
    }
    if (identity->uid == 0) {
        return 0;
    }
    if (setgroups(groups_count, &identity->socket_group) != 0 ||
        setresgid(identity->gid, identity->gid, identity->gid) != 0 ||
        setresuid(identity->uid, identity->uid, identity->uid) != 0) {
        return fail(err, "become another user");
    }
    if (setuid(0) == 0) {
        errno = EPERM;
        return fail(err, "give up being root");
    }
    return 0;
}

/* -- Memory and limits ------------------------------------------------------
 */

/* Where the heap begins; 0 if that is not told. */
static uintptr_t find_heap(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long start = 0;
    char line[512];

    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        if (strstr(line, "[heap]") != NULL) {
            start = strtoul(line, NULL, 16);
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return start;
}

/* All memory there will ever be. Without the right to that, threads could not
 * start: then it is better not to begin. */
static bool lock_all(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

    if (geteuid() == 0) {
        setrlimit(RLIMIT_MEMLOCK, &limit);
    }
    return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
           limit.rlim_cur == RLIM_INFINITY &&
           mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

struct hardening sandbox_harden(void)
{
    const struct rlimit no_core = {0, 0};
    const struct rlimit files = {FILES_MAX, FILES_MAX};
    struct hardening hardening = {.heap = find_heap()};

    setrlimit(RLIMIT_CORE, &no_core);
    setrlimit(RLIMIT_NOFILE, &files);
    /* No core, no debugger of the same user, no look by /proc/PID/mem. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    /* Room ahead that is never given back: it can be locked once. */
    mallopt(M_TOP_PAD, HEAP_AHEAD);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    hardening.locked_all = lock_all();
    return hardening;
}

uint32_t sandbox_lock_keys(const struct hardening *hardening)
{
    uintptr_t end = (uintptr_t)sbrk(0);

    if (!hardening->locked_all &&
        (hardening->heap == 0 || end <= hardening->heap ||
         mlock((const void *)hardening->heap, end - hardening->heap) != 0)) {
        return 0;
    }
    return CONFINED_MEMORY;
}

/* -- Files: Landlock --------------------------------------------------------
 */

/* The kernel's own header may be older than the kernel. */
struct ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

struct beneath {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

enum {
    CALL_CREATE_RULESET = 444,
    CALL_ADD_RULE = 445,
    CALL_RESTRICT_SELF = 446,
    CREATE_VERSION = 1,
    RULE_BENEATH = 1,
};

/* Rights on files, as the kernel numbers them. */
#define FS_WRITE_FILE (UINT64_C(1) << 1)
#define FS_READ_FILE (UINT64_C(1) << 2)
#define FS_READ_DIR (UINT64_C(1) << 3)
#define FS_REMOVE_FILE (UINT64_C(1) << 5)
#define FS_MAKE_REG (UINT64_C(1) << 8)
#define FS_MAKE_SOCK (UINT64_C(1) << 9)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define NET_ALL UINT64_C(3)    /* bind and connect of TCP */
#define SCOPED_ALL UINT64_C(3) /* abstract sockets, signals */

#define FS_KEYS                                                                \
    (FS_WRITE_FILE | FS_READ_FILE | FS_READ_DIR | FS_REMOVE_FILE |             \
     FS_MAKE_REG | FS_TRUNCATE)

/* All that this version of Landlock knows of. */
static uint64_t fs_rights(int version)
{
    static const unsigned counts[] = {0, 13, 14, 15, 15}; /* by version */

    return (UINT64_C(1) << (version > 4 ? 16 : counts[version])) - 1;
}

static int allow(int ruleset, const char *path, uint64_t rights,
                 struct swk_error *err)
{
    struct beneath rule = {.allowed = rights};
    long rc;

    if (path[0] == '\0') {
        return 0;
    }
    rule.fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.fd < 0) {
        return fail(err, "open a folder for the sandbox");
    }
    rc = syscall(CALL_ADD_RULE, ruleset, RULE_BENEATH, &rule, 0);
    close(rule.fd);
    return rc == 0 ? 0 : fail(err, "allow a folder in the sandbox");
}

static int restrict_to(const struct reach *reach, int version,
                       struct swk_error *err)
{
    const struct ruleset attributes = {
        .fs = fs_rights(version),
        .net = version >= 4 ? NET_ALL : 0,
        .scoped = version >= 6 ? SCOPED_ALL : 0,
    };
    size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
    uint64_t rights = fs_rights(version);
    int fd = (int)syscall(CALL_CREATE_RULESET, &attributes, size, 0);
    int rc;

    if (fd < 0) {
        return fail(err, "make a sandbox");
    }
    rc = allow(fd, reach->state_dir, FS_KEYS & rights, err);
    if (rc == 0) {
        rc = allow(fd, reach->log_dir,
                   (FS_WRITE_FILE | FS_READ_FILE | FS_MAKE_REG | FS_TRUNCATE) &
                       rights,
                   err);
    }
    if (rc == 0) {
        rc = allow(fd, reach->socket_dir,
                   (FS_MAKE_SOCK | FS_REMOVE_FILE) & rights, err);
    }
    if (rc == 0 && syscall(CALL_RESTRICT_SELF, fd, 0) != 0) {
        rc = fail(err, "enter the sandbox");
    }
    close(fd);
    return rc;
}

uint32_t sandbox_restrict_files(const struct reach *reach,
                                struct swk_error *err)
{
    int version;

    err->code = 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        fail(err, "give up privileges");
        return 0;
    }
    version = (int)syscall(CALL_CREATE_RULESET, NULL, 0, CREATE_VERSION);
    if (version <= 0 || restrict_to(reach, version, err) != 0) {
        return 0; /* the kernel has no Landlock, or err says why */
    }
    return CONFINED_FILES | (version >= 4 ? CONFINED_NETWORK : 0) |
           (version >= 6 ? CONFINED_SIGNALS : 0);
}

/* -- System calls: seccomp --------------------------------------------------
 */

/* What serving takes: bytes of accepted sockets, files of the directory, time,
 * entropy, memory, and what threads need of each other. No socket is opened,
 * no program started, no process touched. */
static const char *const calls[] = {
    "accept",
    "accept4",
    "brk",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "close",
    "dup",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_wait",
    "eventfd2",
    "exit",
    "exit_group",
    "fchmod",
    "fcntl",
    "fdatasync",
    "flock",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "futex",
    "futex_time64",
    "getdents64",
    "getegid",
    "geteuid",
    "getgid",
    "getpeername",
    "getpid",
    "getrandom",
    "getsockname",
    "getsockopt",
    "gettid",
    "gettimeofday",
    "getuid",
    "lseek",
    "lstat",
    "madvise",
    "membarrier",
    "mlock",
    "mremap",
    "munlock",
    "munmap",
    "nanosleep",
    "newfstatat",
    "open",
    "openat",
    "poll",
    "ppoll",
    "pread64",
    "pwrite64",
    "read",
    "readv",
    "recvfrom",
    "recvmsg",
    "rename",
    "renameat",
    "renameat2",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "sendmsg",
    "sendto",
    "set_robust_list",
    "setsockopt",
    "shutdown",
    "sigaltstack",
    "stat",
    "statx",
    "sysinfo",
    "time",
    "umask",
    "unlink",
    "unlinkat",
    "write",
    "writev",
};

/* Memory may be had, but not to run from. */
static int allow_memory(scmp_filter_ctx filter)
{
    int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

    return rc != 0
               ? rc
               : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

/* abort() sends itself a signal; nobody else gets one. */
static int allow_abort(scmp_filter_ctx filter)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
}

static int allow_calls(scmp_filter_ctx filter)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(calls) / sizeof(calls[0]); i++) {
        int number = seccomp_syscall_resolve_name(calls[i]);

        /* Not every machine has each of them. */
        if (number >= 0) {
            rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
        }
    }
    if (rc == 0) {
        rc = allow_memory(filter);
    }
    return rc == 0 ? allow_abort(filter) : rc;
}

int sandbox_restrict_calls(struct swk_error *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc = filter == NULL
                 ? -ENOMEM
                 : seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

    if (rc == 0) {
        rc = allow_calls(filter);
    }
    if (rc == 0) {
        rc = seccomp_load(filter);
    }
    if (filter != NULL) {
        seccomp_release(filter);
    }
    if (rc != 0) {
        errno = -rc;
        return fail(err, "restrict system calls");
    }
    return 0;
}
