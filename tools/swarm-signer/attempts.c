/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The sandbox, tried from the inside: each thing that a signer must not be able
 * to do is done, and has to fail for want of permission. Arguments are such
 * that an attempt that is let through does no harm, and fails otherwise than
 * by EPERM or EACCES, if it fails.
 */

#include "signer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    CALL_IO_URING_SETUP = 425,
};

static long open_outside(const struct reach *reach)
{
    (void)reach;
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static long list_outside(const struct reach *reach)
{
    (void)reach;
    return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static long write_outside(const struct reach *reach)
{
    int fd = open("/tmp/swarm-signer-attempt",
                  O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR);

    (void)reach;
    if (fd >= 0) {
        unlink("/tmp/swarm-signer-attempt");
    }
    return fd;
}

static long read_memory_file(const struct reach *reach)
{
    (void)reach;
    return open("/proc/self/mem", O_RDWR | O_CLOEXEC);
}

static long open_tcp(const struct reach *reach)
{
    (void)reach;
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long open_unix(const struct reach *reach)
{
    (void)reach;
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long connect_tcp(const struct reach *reach)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    (void)reach;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(-1, (struct sockaddr *)(void *)&address, sizeof(address));
}

static long listen_again(const struct reach *reach)
{
    (void)reach;
    return listen(-1, 1);
}

static long run_program(const struct reach *reach)
{
    static char *const arguments[] = {NULL};

    (void)reach;
    return execve("/nonexistent", arguments, arguments);
}

static long start_process(const struct reach *reach)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

    (void)reach;
    if (pid == 0) {
        _exit(0);
    }
    return pid;
}

static long trace_nobody(const struct reach *reach)
{
    (void)reach;
    return ptrace(PTRACE_CONT, -1, NULL, NULL); /* ESRCH if it is let through */
}

static long read_process(const struct reach *reach)
{
    (void)reach;
    return process_vm_readv(-1, NULL, 0, NULL, 0, 0);
}

static long signal_others(const struct reach *reach)
{
    (void)reach;
    return kill(1 << 30, 0);
}

static long run_from_memory(const struct reach *reach)
{
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)reach;
    return memory == MAP_FAILED ? -1 : 0;
}

static long become_root(const struct reach *reach)
{
    (void)reach;
    return syscall(SYS_setresuid, -1, -1, -1);
}

static long make_dumpable(const struct reach *reach)
{
    (void)reach;
    return syscall(SYS_prctl, 4 /* PR_SET_DUMPABLE */, 1, 0, 0, 0);
}

static long leave_namespace(const struct reach *reach)
{
    (void)reach;
    return syscall(SYS_unshare, 0);
}

static long set_up_ring(const struct reach *reach)
{
    (void)reach;
    return syscall(CALL_IO_URING_SETUP, 0, NULL);
}

static long change_mode(const struct reach *reach)
{
    (void)reach;
    return syscall(SYS_fchmodat, -1, "", 0);
}

static long in_directory(const struct reach *reach)
{
    char path[PATH_MAX + 16];
    int fd;

    snprintf(path, sizeof(path), "%s/.attempt", reach->state_dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    return fd >= 0 && close(fd) == 0 ? unlink(path) : -1;
}

struct attempt {
    const char *what;
    long (*run)(const struct reach *reach);
    uint32_t needs; /* enum confinement; 0: the filter of calls */
};

static const struct attempt attempts[] = {
    {"open a file outside", open_outside, CONFINED_FILES},
    {"list a folder outside", list_outside, CONFINED_FILES},
    {"make a file outside", write_outside, CONFINED_FILES},
    {"open its own memory", read_memory_file, CONFINED_FILES},
    {"open a TCP socket", open_tcp, 0},
    {"open a local socket", open_unix, 0},
    {"connect", connect_tcp, 0},
    {"listen", listen_again, 0},
    {"run a program", run_program, 0},
    {"start a process", start_process, 0},
    {"trace a process", trace_nobody, 0},
    {"read another process", read_process, 0},
    {"signal another process", signal_others, 0},
    {"run code from memory", run_from_memory, 0},
    {"change user", become_root, 0},
    {"become dumpable", make_dumpable, 0},
    {"change namespaces", leave_namespace, 0},
    {"set up an io_uring", set_up_ring, 0},
    {"change modes by name", change_mode, 0},
};

static bool denied(const struct attempt *attempt, const struct reach *reach,
                   int *out_errno)
{
    long rc;

    errno = 0;
    rc = attempt->run(reach);
    *out_errno = errno;
    return rc < 0 && (*out_errno == EPERM || *out_errno == EACCES);
}

unsigned sandbox_attempt(const struct reach *reach, uint32_t confined)
{
    unsigned allowed = 0;

    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        const struct attempt *one = &attempts[i];
        int error;
        bool no = denied(one, reach, &error);

        if (no) {
            printf("denied       %s (%s)\n", one->what, strerror(error));
        } else if ((one->needs & ~confined) != 0) {
            printf("NOT DENIED   %s (the kernel has no Landlock)\n", one->what);
            allowed++;
        } else {
            printf("NOT DENIED   %s (%s)\n", one->what,
                   error == 0 ? "it worked" : strerror(error));
            allowed++;
        }
    }
    if (in_directory(reach) != 0) {
        printf("NOT ALLOWED  write in its own directory (%s)\n",
               strerror(errno));
        allowed++;
    } else {
        printf("allowed      write in its own directory\n");
    }
    return allowed;
}
