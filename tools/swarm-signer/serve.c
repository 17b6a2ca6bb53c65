/* SPDX-License-Identifier: Apache-2.0 */

/* The service, behind its sandbox. */

#include "signer.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <swarmkit/log.h>
#include <swarmkit/nng_transport.h>
#include <swarmkit/posix.h>

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
}

static void print_record(void *ctx, const struct swk_log_record *record)
{
    struct timespec now;
    struct tm tm;
    char date[32];

    (void)ctx;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
    fprintf(stderr, "%s %-5s %s: %s\n", date, swk_log_level_name(record->level),
            record->module, record->message);
}

struct swk_logger make_logger(int level)
{
    return (struct swk_logger){
        .size = sizeof(struct swk_logger), .level = level, .log = print_record};
}

static void tell(const struct swk_logger *logger, int level, const char *text)
{
    const struct swk_log_record record = {level, "sandbox", text};

    if (level >= logger->level) {
        logger->log(logger->ctx, &record);
    }
}

/* -- Where ------------------------------------------------------------------
 */

static int fail(struct swk_error *err, const char *what, const char *path)
{
    err->code = errno == ENOENT ? SWK_ENOTFOUND : SWK_EIO;
    snprintf(err->text, sizeof(err->text), "cannot %s %.150s: %s", what, path,
             strerror(errno));
    return err->code;
}

static void parent_of(const char *path, char out_parent[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    int len = slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path);

    snprintf(out_parent, PATH_MAX, "%.*s", len, slash == NULL ? "." : path);
}

/* Folders like /run are root's alone: there it makes one of its own. */
static int make_socket_dir(const char *dir, const struct identity *identity,
                           struct swk_error *err)
{
    struct stat st;

    if (stat(dir, &st) == 0) {
        return 0;
    }
    if (mkdir(dir, S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH) != 0 ||
        chmod(dir, S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH) != 0 ||
        (geteuid() == 0 && chown(dir, identity->uid, identity->gid) != 0)) {
        return fail(err, "make the directory", dir);
    }
    return 0;
}

static void find_reach(const struct options *options, struct reach *out_reach)
{
    *out_reach = (struct reach){0};
    snprintf(out_reach->state_dir, PATH_MAX, "%s", options->state_dir);
    parent_of(options->socket_path, out_reach->socket_dir);
    if (options->log_file != NULL) {
        parent_of(options->log_file, out_reach->log_dir);
    }
}

/* -- Who --------------------------------------------------------------------
 */

static int find_users(const struct options *options,
                      int64_t out_users[USERS_MAX], struct swk_error *err)
{
    for (size_t i = 0; i < options->users_count; i++) {
        const char *name = options->users[i];
        const struct passwd *passwd = getpwnam(name);
        char *end;
        unsigned long number = strtoul(name, &end, 10);

        if (passwd != NULL) {
            out_users[i] = passwd->pw_uid;
        } else if (end != name && *end == '\0' && number < UINT32_MAX) {
            out_users[i] = (int64_t)number;
        } else {
            err->code = SWK_ENOTFOUND;
            snprintf(err->text, sizeof(err->text), "there is no user %.100s",
                     name);
            return err->code;
        }
    }
    return 0;
}

/* -- Running ----------------------------------------------------------------
 */

/* All that is open while the service runs. */
struct run {
    const struct options *options;
    struct swk_logger logger;
    struct identity identity;
    struct reach reach;
    int64_t users[USERS_MAX];
    uint32_t confined;
    swk_signer_keys *keys;
    swk_nng_transport *transport;
    swk_signer_service *service;
};

static void tell_confinement(const struct run *run)
{
    if (run->options->no_sandbox) {
        tell(&run->logger, SWK_LOG_WARN,
             "there is NO SANDBOX: --no-sandbox is for debugging alone");
        return;
    }
    if ((run->confined & CONFINED_FILES) == 0) {
        tell(&run->logger, SWK_LOG_WARN,
             "the kernel has no Landlock: what files the process may open is "
             "up to its user alone");
    }
    if ((run->confined & CONFINED_MEMORY) == 0) {
        tell(&run->logger, SWK_LOG_WARN,
             "memory cannot be locked and may be swapped out: raise the limit "
             "(LimitMEMLOCK=infinity)");
    }
    if (geteuid() == 0) {
        tell(&run->logger, SWK_LOG_WARN,
             "the signer runs as root: give it a user of its own with --user");
    }
}

static int enter_user(struct run *run, struct swk_error *err)
{
    const struct options *options = run->options;
    int rc = identity_find(options->user, options->socket_group, &run->identity,
                           err);

    if (rc == 0) {
        rc = find_users(options, run->users, err);
    }
    if (rc == 0) {
        find_reach(options, &run->reach);
        rc = make_socket_dir(run->reach.socket_dir, &run->identity, err);
    }
    return rc == 0 ? identity_take(&run->identity, err) : rc;
}

static int enter_files(struct run *run, struct swk_error *err)
{
    if (run->options->no_sandbox) {
        return 0;
    }
    run->confined |= sandbox_restrict_files(&run->reach, err);
    return err->code;
}

static int open_service(struct run *run, struct swk_error *err)
{
    const struct options *options = run->options;
    struct swk_signer_service_config config = SWK_SIGNER_SERVICE_CONFIG_INIT;
    int rc = swk_nng_transport_new(NULL, &run->logger, &run->transport, err);

    if (rc != 0) {
        return rc;
    }
    config.logger = &run->logger;
    config.clock = swk_posix_clock();
    config.entropy = swk_posix_entropy();
    config.transport = swk_nng_transport_port(run->transport);
    config.keys = run->keys;
    config.socket_path = options->socket_path;
    config.users = run->users;
    config.users_count = options->users_count;
    config.group = run->identity.socket_group == (gid_t)-1
                       ? -1
                       : (int64_t)run->identity.socket_group;
    config.log_path = options->log_file;
    config.policy = &options->policy;
    return swk_signer_service_new(&config, &run->service, err);
}

static int read_keys(struct run *run, struct swk_error *err)
{
    char text[PASSWORD_SIZE];
    struct swk_bytes password;
    int rc = read_password(run->options->password_file, text, &password, err);

    if (rc == 0) {
        rc = check_state_dir(run->options, err);
    }
    if (rc == 0) {
        rc = enter_user(run, err);
    }
    if (rc == 0) {
        rc = open_keys(run->options, password, 0, &run->keys, err);
    }
    explicit_bzero(text, sizeof(text));
    return rc;
}

/* The transport's threads inherit the mask: signals are for this thread, which
 * they wake. */
static void block_signals(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(how, &set, NULL);
}

static int begin(struct run *run, struct swk_error *err)
{
    struct hardening hardening;
    int rc;

    run->logger = make_logger(run->options->log_level);
    catch_signals();
    hardening = sandbox_harden();
    rc = read_keys(run, err);
    if (rc == 0) {
        run->confined = sandbox_lock_keys(&hardening);
        rc = enter_files(run, err);
    }
    if (rc == 0) {
        block_signals(SIG_BLOCK);
        rc = open_service(run, err);
        block_signals(SIG_UNBLOCK);
    }
    if (rc == 0 && !run->options->no_sandbox) {
        rc = sandbox_restrict_calls(err);
    }
    return rc;
}

static void end(struct run *run)
{
    swk_signer_service_free(run->service);
    swk_signer_keys_free(run->keys);
    swk_nng_transport_free(run->transport);
}

int serve(const struct options *options, struct swk_error *err)
{
    struct run run = {.options = options};
    int rc = begin(&run, err);

    if (rc == 0) {
        tell_confinement(&run);
        tell(&run.logger, SWK_LOG_INFO, "serving");
    }
    while (rc == 0 && stopping == 0) {
        rc = swk_signer_service_process(run.service, SWK_SECOND, err);
    }
    end(&run);
    return rc;
}

/* -- The check --------------------------------------------------------------
 */

/* In a child: what it gives up is gone for good. */
static void check_in_child(const struct options *options)
{
    struct run run = {.options = options};
    struct swk_error err = {0};
    unsigned allowed;

    if (begin(&run, &err) != 0) {
        fprintf(stderr, "swarm-signer: error: %s\n", err.text);
        _exit(EXIT_USAGE);
    }
    allowed = sandbox_attempt(&run.reach, run.confined);
    printf("%s  lock its memory\n", (run.confined & CONFINED_MEMORY) != 0
                                        ? "allowed    "
                                        : "NOT ALLOWED");
    fflush(stdout);
    end(&run);
    _exit(allowed == 0 ? EXIT_OK : EXIT_FAILED);
}

static int wait_for_child(const struct options *options, struct swk_error *err)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        check_in_child(options);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return fail(err, "start", "a child process");
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OK) {
        return 0;
    }
    err->code = SWK_EDENIED;
    snprintf(err->text, sizeof(err->text),
             "the sandbox does not hold, or could not be tried");
    return err->code;
}

/* With a directory of its own, so that a signer that runs is not disturbed. */
int check_sandbox(const struct options *options, struct swk_error *err)
{
    static const char *const names[] = {"signer.sock", "signatures.log",
                                        "service.lock", "nodes"};
    struct options own = *options;
    struct identity identity;
    char dir[] = "/tmp/swarm-signer-XXXXXX";
    char path[sizeof(dir) + 32];
    int rc = identity_find(options->user, NULL, &identity, err);

    if (rc == 0 && mkdtemp(dir) == NULL) {
        rc = fail(err, "make a directory in", "/tmp");
    }
    if (rc != 0) {
        return rc;
    }
    if (chown(dir, identity.uid, identity.gid) != 0) {
        rc = fail(err, "give away", dir);
    }
    snprintf(path, sizeof(path), "%s/signer.sock", dir);
    own.state_dir = dir;
    own.socket_path = path;
    own.log_file = NULL;
    own.no_sandbox = false;
    if (rc == 0) {
        rc = wait_for_child(&own, err);
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
    return rc;
}
