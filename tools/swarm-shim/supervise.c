/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Supervision: from the attempt to start to the exit file.
 *
 *     STARTING --exec--> RUNNING --stop--> STOPPING --grace over--+
 *        |                  |                  |                  |
 *        +--failed, killed--+------ended-------+----------------> KILLING
 *
 * KILLING lasts until no process is left; then the shim tells and ends.
 */

#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PEERS_MAX = 8,
    KILL_PERIOD_MS = 20, /* between two rounds of killing */
    DRAIN_ROUNDS_MAX = 4096,
};

enum state {
    STATE_STARTING,
    STATE_RUNNING,
    STATE_STOPPING,
    STATE_KILLING,
};

/* Fixed places among what is polled. */
enum {
    POLL_SIGNALS,
    POLL_REPORT,
    POLL_STDOUT,
    POLL_STDERR,
    POLL_LISTENER,
    POLL_PEERS,
    POLL_COUNT = POLL_PEERS + PEERS_MAX,
};

struct supervisor {
    struct shim_instructions in;
    struct shim_log log;
    enum state state;
    uint64_t deadline; /* of STOPPING and KILLING rounds */
    pid_t pid;
    int wait_status;
    bool ran;   /* exec succeeded */
    bool ended; /* wait_status is valid */
    bool gone;  /* no child is left */
    bool oom;
    char failure[SHIM_FAILURE_SIZE];
    struct pollfd polls[POLL_COUNT]; /* fd -1 for those not in use */
};

static void close_poll(struct supervisor *s, int index)
{
    if (s->polls[index].fd >= 0) {
        close(s->polls[index].fd);
    }
    s->polls[index].fd = -1;
}

static void watch(struct supervisor *s, int index, int fd)
{
    s->polls[index] = (struct pollfd){.fd = fd, .events = POLLIN};
}

/* Makes the exit file appear whole, and stay after a crash of the machine. */
static void write_exit(struct supervisor *s)
{
    char text[SWK_SHIM_EXIT_MAX];
    int len = 0;
    int fd = open("exit.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (s->ran) {
        int status = WIFSIGNALED(s->wait_status)
                         ? 128 + WTERMSIG(s->wait_status)
                         : WEXITSTATUS(s->wait_status);

        len =
            snprintf(text, sizeof(text), "status=%d\npid=%d\n", status, s->pid);
    } else {
        len = snprintf(text, sizeof(text), "failed=%s\n",
                       s->failure[0] != '\0' ? s->failure
                                             : "ended before it ran");
    }
    len += snprintf(text + len, sizeof(text) - (size_t)len,
                    "oom=%d\nlog_lost=%llu\nend\n", s->oom ? 1 : 0,
                    (unsigned long long)s->log.lost);
    if (fd >= 0 && shim_write(fd, text, (size_t)len) && fsync(fd) == 0) {
        rename("exit.new", "exit");
    }
    if (dir >= 0) {
        fsync(dir);
        close(dir);
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* The attempt must be on disk before the workload can do anything. */
static bool persist_attempt(struct supervisor *s)
{
    static const char *const names[] = {"started", ".", ".."};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int fd = open(names[i], O_RDONLY | O_CLOEXEC);
        int rc = fd >= 0 ? fsync(fd) : -1;

        if (rc != 0) {
            return shim_fail(s->failure, errno, "storing the start");
        }
        close(fd);
    }
    return true;
}

static bool listen_control(struct supervisor *s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "control"};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    unlink("control");
    if (fd < 0 ||
        bind(fd, (struct sockaddr *)(void *)&address, sizeof(address)) != 0 ||
        listen(fd, PEERS_MAX) != 0) {
        return shim_fail(s->failure, errno, "control socket");
    }
    watch(s, POLL_LISTENER, fd);
    return true;
}

/* The child's side of the fork; the report pipe closes with exec. */
static void run_child(struct supervisor *s, pid_t parent, int out, int err,
                      int report)
{
    char failure[SHIM_FAILURE_SIZE] = "";
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    close(SWK_SHIM_FD_LOCK); /* tells whether the shim lives */
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) {
        shim_fail(failure, errno, "standard streams");
    } else {
        shim_workload_run(&s->in, parent, failure);
    }
    shim_write(report, failure, strlen(failure));
    _exit(127);
}

static bool start_child(struct supervisor *s)
{
    pid_t parent = getpid();
    int out[2];
    int err[2];
    int report[2];

    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0 ||
        pipe2(report, O_CLOEXEC) != 0) {
        return shim_fail(s->failure, errno, "pipes");
    }
    s->pid = fork();
    if (s->pid == 0) {
        run_child(s, parent, out[1], err[1], report[1]);
    }
    close(out[1]);
    close(err[1]);
    close(report[1]);
    if (s->in.secrets.count > 0) {
        close(SWK_SHIM_FD_SECRETS); /* the workload has them now */
    }
    if (s->pid < 0) {
        return shim_fail(s->failure, errno, "fork");
    }
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    watch(s, POLL_STDOUT, out[0]);
    watch(s, POLL_STDERR, err[0]);
    watch(s, POLL_REPORT, report[0]);
    return true;
}

static void kill_all(struct supervisor *s)
{
    s->state = STATE_KILLING;
    s->deadline = shim_now() + KILL_PERIOD_MS * SWK_MILLISECOND;
    shim_groups_kill(&s->in);
    shim_children_kill();
}

static void stop(struct supervisor *s, int signal_number, long long grace_ms)
{
    uint64_t deadline;

    if (s->state == STATE_KILLING) {
        return;
    }
    if (s->state == STATE_STARTING || grace_ms <= 0) {
        kill_all(s);
        return;
    }
    deadline = shim_now() + (uint64_t)grace_ms * SWK_MILLISECOND;
    if (s->state != STATE_STOPPING || deadline < s->deadline) {
        s->deadline = deadline;
    }
    s->state = STATE_STOPPING;
    kill(-s->pid, signal_number);
}

static void stop_by_text(struct supervisor *s, const char *text)
{
    int signal_number;
    long long grace_ms;

    if (strcmp(text, "kill") == 0) {
        if (s->state != STATE_KILLING) {
            kill_all(s);
        }
        return;
    }
    if (sscanf(text, "stop %d %lld", &signal_number, &grace_ms) == 2 &&
        signal_number > 0 && signal_number < NSIG &&
        grace_ms < LLONG_MAX / 1000000) {
        stop(s, signal_number, grace_ms);
    }
}

static void tell_started(struct supervisor *s, int index)
{
    char text[SWK_SHIM_MESSAGE_MAX];

    if (s->polls[index].fd < 0 || !s->ran) {
        return;
    }
    snprintf(text, sizeof(text), SWK_SHIM_STARTED " %d", s->pid);
    if (send(s->polls[index].fd, text, strlen(text),
             MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        close_poll(s, index);
    }
}

static void handle_listener(struct supervisor *s)
{
    int fd = accept4(s->polls[POLL_LISTENER].fd, NULL, NULL,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        return;
    }
    for (int i = POLL_PEERS; i < POLL_COUNT; i++) {
        if (s->polls[i].fd < 0) {
            watch(s, i, fd);
            tell_started(s, i);
            return;
        }
    }
    close(fd); /* the executor has one connection; this is none of its */
}

static void handle_peer(struct supervisor *s, int index)
{
    char text[SWK_SHIM_MESSAGE_MAX];
    ssize_t n = recv(s->polls[index].fd, text, sizeof(text) - 1, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        close_poll(s, index); /* the agent went away; the workload stays */
        return;
    }
    text[n] = '\0';
    stop_by_text(s, text);
}

/* Text is the reason of a failure; nothing but the end means exec worked. */
static void handle_report(struct supervisor *s)
{
    ssize_t n =
        read(s->polls[POLL_REPORT].fd, s->failure, sizeof(s->failure) - 1);

    if (n < 0 && errno == EINTR) {
        return;
    }
    close_poll(s, POLL_REPORT);
    if (n != 0) {
        s->failure[n > 0 ? n : 0] = '\0';
        return; /* SIGCHLD follows */
    }
    if (s->state != STATE_STARTING) {
        return; /* killed, or about to be */
    }
    s->ran = true;
    s->state = STATE_RUNNING;
    if (s->in.cgroups.count == 0) {
        shim_session_write(s->pid);
    }
    for (int i = POLL_PEERS; i < POLL_COUNT; i++) {
        tell_started(s, i);
    }
}

static bool read_output(struct supervisor *s, int index)
{
    uint8_t data[16384];
    ssize_t n;

    if (s->polls[index].fd < 0) {
        return false;
    }
    n = read(s->polls[index].fd, data, sizeof(data));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (n <= 0) {
        close_poll(s, index);
        return false;
    }
    shim_log_append(&s->log,
                    index == POLL_STDOUT ? SWK_LOG_STREAM_STDOUT
                                         : SWK_LOG_STREAM_STDERR,
                    data, (size_t)n);
    return true;
}

/* Reaps whatever ended; the end of the main process is the end of all. */
static void reap(struct supervisor *s)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid < 0 && errno == EINTR) {
            continue;
        }
        if (pid <= 0) {
            s->gone = pid < 0;
            break;
        }
        if (pid == s->pid) {
            /* Exec may have worked without the report being read yet. */
            if (s->polls[POLL_REPORT].fd >= 0) {
                handle_report(s);
            }
            s->wait_status = status;
            s->ended = true;
        }
    }
    if (s->ended && !s->gone) {
        kill_all(s);
    }
}

static void handle_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;
    int signal_number = SIGTERM;
    long long grace_ms = 10000;

    while (read(s->polls[POLL_SIGNALS].fd, &info, sizeof(info)) ==
           (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGTERM) {
            /* The machine goes down, and gives everyone a moment. */
            if (s->in.stop.count >= 2) {
                signal_number = atoi(s->in.stop.items[0]);
                grace_ms = strtoll(s->in.stop.items[1], NULL, 10);
            }
            stop(s, signal_number, grace_ms);
        }
    }
    reap(s);
}

static int poll_timeout(const struct supervisor *s)
{
    uint64_t now;
    uint64_t left;

    if (s->state != STATE_STOPPING && s->state != STATE_KILLING) {
        return -1;
    }
    now = shim_now();
    left = s->deadline > now ? s->deadline - now : 0;
    left = (left + SWK_MILLISECOND - 1) / SWK_MILLISECOND;
    return left > INT_MAX ? INT_MAX : (int)left;
}

static void loop(struct supervisor *s)
{
    while (!s->gone) {
        if (poll(s->polls, POLL_COUNT, poll_timeout(s)) < 0 && errno != EINTR) {
            shim_pause_ms(10);
            continue;
        }
        /* Peers first: the new ones' entries have no events yet. */
        for (int i = POLL_PEERS; i < POLL_COUNT; i++) {
            if (s->polls[i].fd >= 0 && s->polls[i].revents != 0) {
                handle_peer(s, i);
            }
        }
        if (s->polls[POLL_LISTENER].revents != 0) {
            handle_listener(s);
        }
        if (s->polls[POLL_REPORT].fd >= 0 &&
            s->polls[POLL_REPORT].revents != 0) {
            handle_report(s);
        }
        if (s->polls[POLL_STDOUT].revents != 0) {
            read_output(s, POLL_STDOUT);
        }
        if (s->polls[POLL_STDERR].revents != 0) {
            read_output(s, POLL_STDERR);
        }
        if (s->polls[POLL_SIGNALS].revents != 0) {
            handle_signals(s);
        }
        if (poll_timeout(s) == 0) {
            kill_all(s);
            reap(s);
        }
    }
}

/* What the processes wrote before they ended. The bound is for a pipe that
 * found its way out of the workload. */
static void drain(struct supervisor *s)
{
    for (int round = 0; round < DRAIN_ROUNDS_MAX; round++) {
        bool out = read_output(s, POLL_STDOUT);
        bool err = read_output(s, POLL_STDERR);

        if (!out && !err) {
            return;
        }
    }
}

static void supervise(struct supervisor *s)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    watch(s, POLL_SIGNALS, signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    watch(s, POLL_PEERS, SWK_SHIM_FD_CONTROL);

    shim_log_open(&s->log, &s->in);
    if (s->in.args.count == 0) {
        shim_fail(s->failure, 0, "damaged instructions");
        return;
    }
    if (!persist_attempt(s) || !listen_control(s) ||
        !shim_groups_create(&s->in, s->failure) || !start_child(s)) {
        return;
    }
    loop(s);
    drain(s);
}

int shim_run(void)
{
    static struct supervisor s; /* too much for a small stack */

    for (int fd = SWK_SHIM_FD_DIR; fd <= SWK_SHIM_FD_SECRETS; fd++) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    setsid();
    if (fchdir(SWK_SHIM_FD_DIR) != 0 ||
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
        return 1;
    }
    for (int i = 0; i < POLL_COUNT; i++) {
        s.polls[i].fd = -1;
    }
    if (!shim_instructions_load(&s.in, "instructions")) {
        s.in.args.count = 0;
    }
    supervise(&s);
    shim_log_close(&s.log);
    s.oom = shim_groups_oom(&s.in);
    shim_groups_delete(&s.in); /* whoever sees the exit sees nothing else */
    write_exit(&s);
    unlink("control");
    return 0;
}
