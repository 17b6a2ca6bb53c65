/* SPDX-License-Identifier: Apache-2.0 */

/* What a workload's main process does before it becomes the workload. */

#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_PATH                                                           \
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static bool reset_signals(char *failure)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++) {
        signal(i, SIG_DFL); /* fails for some, which have it anyway */
    }
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) != 0) {
        return shim_fail(failure, errno, "signals");
    }
    return true;
}

static bool set_oom_score(const struct shim_instructions *in, char *failure)
{
    if (in->oom_score_adj.count == 0) {
        return true;
    }
    if (!shim_put("/proc/self/oom_score_adj",
                  shim_text(&in->oom_score_adj, "0"))) {
        return shim_fail(failure, errno, "container.oom_score_adj %s",
                         shim_text(&in->oom_score_adj, "0"));
    }
    return true;
}

/* The agent forbids dumps of its own memory, and what it starts inherits that:
 * a workload gets back what is usual. */
static void allow_dumps(void)
{
    char filter[16] = "";
    struct rlimit limit;
    int fd = open("/proc/self/coredump_filter", O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return;
    }
    if (read(fd, filter, sizeof(filter) - 1) > 0 &&
        strtoul(filter, NULL, 16) == 0 &&
        getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_CORE, &limit);
        (void)shim_put("/proc/self/coredump_filter", "0x33");
    }
    close(fd);
}

static bool set_hostname(const struct shim_instructions *in, char *failure)
{
    const char *hostname = shim_text(&in->hostname, NULL);

    if (hostname == NULL) {
        return true;
    }
    if (unshare(CLONE_NEWUTS) != 0 ||
        sethostname(hostname, strlen(hostname)) != 0) {
        return shim_fail(failure, errno, "container.hostname");
    }
    return true;
}

static rlim_t parse_limit(const char *text)
{
    return strcmp(text, "-1") == 0 ? RLIM_INFINITY
                                   : (rlim_t)strtoull(text, NULL, 10);
}

static bool set_rlimits(const struct shim_instructions *in, char *failure)
{
    for (size_t i = 0; i + 2 < in->rlimits.count; i += 3) {
        int resource = atoi(in->rlimits.items[i]);
        struct rlimit limit = {
            .rlim_cur = parse_limit(in->rlimits.items[i + 1]),
            .rlim_max = parse_limit(in->rlimits.items[i + 2]),
        };

        if (setrlimit((__rlimit_resource_t)resource, &limit) != 0) {
            return shim_fail(failure, errno, "container.ulimits %s:%s",
                             in->rlimits.items[i + 1],
                             in->rlimits.items[i + 2]);
        }
    }
    return true;
}

/* For root the bounding set is what it has after exec; others have nothing
 * then but what a file's capabilities give them within the set. */
static bool drop_capabilities(const struct shim_instructions *in, char *failure)
{
    unsigned long long kept;

    if (in->caps.count == 0) {
        return true;
    }
    kept = strtoull(shim_text(&in->caps, "0"), NULL, 16);
    for (int i = 0; i < 64; i++) {
        if ((kept >> i & 1) != 0 || prctl(PR_CAPBSET_READ, i, 0, 0, 0) != 1) {
            continue;
        }
        if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0) {
            return shim_fail(failure, errno, "dropping capability %d", i);
        }
    }
    return true;
}

static bool switch_user(const struct shim_user *user, char *failure)
{
    if (!user->wanted && geteuid() != 0) {
        return true; /* stays who the agent is */
    }
    if (setgroups(user->groups_count, user->groups) != 0 ||
        setresgid(user->gid, user->gid, user->gid) != 0 ||
        setresuid(user->uid, user->uid, user->uid) != 0) {
        return shim_fail(failure, errno, "switching to user %u:%u", user->uid,
                         user->gid);
    }
    return true;
}

/* Of an image, links cannot lead out of it: /proc has some to everywhere. */
static bool enter_directory(const struct shim_instructions *in, char *failure)
{
    const char *dir = shim_text(&in->dir, "/");
    int fd = shim_path_open(dir, in->image.count > 0 ? SHIM_LINKS_INSIDE
                                                     : SHIM_LINKS_FOLLOW);

    umask(022);
    if (fd < 0 || fchdir(fd) != 0) {
        return shim_path_fail(failure, "container.dir", dir);
    }
    close(fd);
    return true;
}

/* The parent's death must be this process's. A change of user clears the
 * request, so it is made twice. */
static bool follow_parent(pid_t parent, char *failure)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
        return shim_fail(failure, errno, "parent death signal");
    }
    if (getppid() != parent) {
        _exit(1);
    }
    return true;
}

static bool has_variable(const struct shim_instructions *in, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < in->env.count; i++) {
        const char *entry = in->env.items[i];

        if (strncmp(entry, name, len) == 0 &&
            (entry[len] == '=' || entry[len] == '\0')) {
            return true; /* without '=': asked not to be there */
        }
    }
    return false;
}

static bool set_environment(const struct shim_instructions *in,
                            const struct shim_user *user, char *failure)
{
    bool ok = clearenv() == 0;

    if (!has_variable(in, "PATH")) {
        ok = setenv("PATH", DEFAULT_PATH, 1) == 0 && ok;
    }
    if (!has_variable(in, "HOME")) {
        ok = setenv("HOME", user->home, 1) == 0 && ok;
    }
    for (size_t i = 0; i < in->env.count; i++) {
        if (strchr(in->env.items[i], '=') != NULL) {
            ok = putenv(in->env.items[i]) == 0 && ok;
        }
    }
    if (!ok) {
        return shim_fail(failure, ENOMEM, "environment");
    }
    return true;
}

void shim_workload_run(const struct shim_instructions *in, pid_t shim_pid,
                       char *failure)
{
    struct shim_user user;

    if (!follow_parent(shim_pid, failure) || !reset_signals(failure)) {
        return;
    }
    if (setsid() < 0) {
        shim_fail(failure, errno, "making a session");
        return;
    }
    allow_dumps();
    if (!shim_groups_join(in, failure) || !set_oom_score(in, failure) ||
        !set_hostname(in, failure)) {
        return;
    }
    if (in->image.count > 0 && !shim_root_enter(in, failure)) {
        return;
    }
    if (!shim_user_find(in, &user, failure) || !set_rlimits(in, failure) ||
        !drop_capabilities(in, failure) || !switch_user(&user, failure) ||
        !enter_directory(in, failure) || !follow_parent(shim_pid, failure) ||
        !set_environment(in, &user, failure)) {
        return;
    }
    if (in->no_new_privs.count > 0 &&
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        shim_fail(failure, errno, "privileges.no_new_privileges");
        return;
    }
    execvp(in->args.items[0], in->args.items);
    shim_fail(failure, errno, "exec %s", in->args.items[0]);
}
