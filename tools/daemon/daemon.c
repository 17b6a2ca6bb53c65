/* SPDX-License-Identifier: Apache-2.0 */

#include "daemon.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <swarmkit/agent.h>
#include <swarmkit/node.h>
#include <swarmkit/node_policy.h>
#include <swarmkit/posix.h>
#include <swarmkit/process_executor.h>

#include "trust_input.h"

enum {
    FLAGS_MAX = 48,
    POLICY_SIZE = 64 * 1024,
    LONG_ONLY = 256, /* values of getopt_long() for flags without a letter */
};

/* -- Flags ---------------------------------------------------------------- */

static void print_help(const char *name, const char *summary,
                       const struct daemon_flag *flags)
{
    printf("Usage: %s [FLAGS]\n\n%s\n\nFlags:\n", name, summary);
    for (; flags->name != NULL; flags++) {
        char left[64];

        snprintf(left, sizeof(left), "%c%c%s --%s%s%s",
                 flags->letter != 0 ? '-' : ' ',
                 flags->letter != 0 ? flags->letter : ' ',
                 flags->letter != 0 ? "," : " ", flags->name,
                 flags->value != NULL ? " " : "",
                 flags->value != NULL ? flags->value : "");
        printf("  %-38s %s\n", left, flags->help);
    }
}

static int parse_level(const char *text)
{
    for (int level = SWK_LOG_DEBUG; level <= SWK_LOG_ERROR; level++) {
        if (strcmp(text, swk_log_level_name(level)) == 0) {
            return level;
        }
    }
    return -1;
}

/* The tables that getopt_long() wants. */
static void make_tables(const struct daemon_flag *flags, struct option *options,
                        char *letters)
{
    size_t i = 0;

    *letters++ = ':'; /* a missing value is told apart */
    for (; flags[i].name != NULL; i++) {
        options[i] = (struct option){
            .name = flags[i].name,
            .has_arg =
                flags[i].value != NULL ? required_argument : no_argument,
            .val = LONG_ONLY + (int)i,
        };
        if (flags[i].letter != 0) {
            *letters++ = flags[i].letter;
            if (flags[i].value != NULL) {
                *letters++ = ':';
            }
        }
    }
    options[i] = (struct option){0};
    *letters = '\0';
}

static const struct daemon_flag *find_flag(const struct daemon_flag *flags,
                                           int value)
{
    if (value >= LONG_ONLY) {
        return &flags[value - LONG_ONLY];
    }
    for (; flags->name != NULL; flags++) {
        if (flags->letter == value) {
            return flags;
        }
    }
    return NULL;
}

static int usage_error(const char *name, const char *what, const char *which)
{
    fprintf(stderr, "%s: %s: %s\nSee '%s --help'.\n", name, what, which, name);
    return EXIT_USAGE;
}

/* Anyone on the machine may read the command line of a process. */
static void hide_token(struct daemon_options *options)
{
    size_t len = strlen(options->join_token);

    if (len < sizeof(options->own_token)) {
        memcpy(options->own_token, options->join_token, len + 1);
        explicit_bzero((char *)(uintptr_t)options->join_token, len);
        options->join_token = options->own_token;
    }
}

/* Takes one flag; -1 to go on, else the exit status. */
static int take_flag(const char *name, const char *summary,
                     const struct daemon_flag *flags,
                     const struct daemon_flag *flag,
                     struct daemon_options *options)
{
    if (strcmp(flag->name, "help") == 0) {
        print_help(name, summary, flags);
        return EXIT_OK;
    }
    if (strcmp(flag->name, "version") == 0) {
        printf("%s %s\n", name, swk_version());
        return EXIT_OK;
    }
    if (strcmp(flag->name, "log-level") == 0) {
        options->log_level = parse_level(optarg);
        return options->log_level >= 0
                   ? -1
                   : usage_error(name, "log level is none of debug, info, "
                                       "warn, error",
                                 optarg);
    }
    if (flag->count != NULL) {
        if (*flag->count == DAEMON_EXTERNAL_CAS_MAX) {
            return usage_error(name, "given too often", flag->name);
        }
        flag->target[(*flag->count)++] = optarg;
        return -1;
    }
    *flag->target = flag->value != NULL ? optarg : flag->name;
    if (flag->target == &options->join_token) {
        hide_token(options);
    }
    return -1;
}

int daemon_parse(int argc, char **argv, const char *summary,
                 const struct daemon_flag *flags,
                 struct daemon_options *options)
{
    struct option table[FLAGS_MAX];
    char letters[2 * FLAGS_MAX];
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash != NULL ? slash + 1 : argv[0];
    int value;

    make_tables(flags, table, letters);
    opterr = 0;
    while ((value = getopt_long(argc, argv, letters, table, NULL)) != -1) {
        const struct daemon_flag *flag;
        int status;

        if (value == '?' || value == ':') {
            return usage_error(
                name, value == ':' ? "flag needs a value" : "unknown flag",
                argv[optind - 1]);
        }
        flag = find_flag(flags, value);
        status = take_flag(name, summary, flags, flag, options);
        if (status >= 0) {
            return status;
        }
    }
    return optind < argc ? usage_error(name, "unexpected argument",
                                       argv[optind])
                         : -1;
}

/* -- Log ------------------------------------------------------------------ */

/* Words of other nodes may be in it: nothing that a terminal would obey. */
static void print_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        putc(c < ' ' || c == 0x7f ? '?' : c, stderr);
    }
    putc('\n', stderr);
}

static void print_record(void *ctx, const struct swk_log_record *record)
{
    struct timespec now;
    struct tm tm;
    char when[32];

    (void)ctx;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    flockfile(stderr); /* a record is a line, whichever thread it is of */
    fprintf(stderr, "%s.%03ldZ %-5s %s: ", when, now.tv_nsec / 1000000,
            swk_log_level_name(record->level), record->module);
    print_plain(record->message);
    funlockfile(stderr);
}

struct swk_logger daemon_logger(int level)
{
    return (struct swk_logger){
        .size = sizeof(struct swk_logger),
        .level = level,
        .log = print_record,
    };
}

void daemon_complain(const char *name, const struct swk_error *err)
{
    fprintf(stderr, "%s: error: ", name);
    print_plain(err->text);
}

/* -- Signals -------------------------------------------------------------- */

static void stop_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
}

void daemon_block_signals(void)
{
    sigset_t set;

    stop_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Ends the watch. A thread that was cancelled might have taken a signal to stop
 * with it. */
#define END_OF_WATCH SIGUSR1

static void *end_by_signal(void *ctx)
{
    sigset_t set;
    int signal_number;

    stop_signals(&set);
    sigaddset(&set, END_OF_WATCH);
    while (sigwait(&set, &signal_number) != 0) {
    }
    if (signal_number != END_OF_WATCH) {
        _exit(EXIT_SUCCESS); /* as when it is asked later */
    }
    return ctx;
}

int daemon_starting(struct daemon_start *start, struct swk_error *err)
{
    sigset_t end;
    sigset_t old;

    sigemptyset(&end);
    sigaddset(&end, END_OF_WATCH);
    pthread_sigmask(SIG_BLOCK, &end, &old); /* the thread inherits it */
    start->watched =
        pthread_create(&start->watch, NULL, end_by_signal, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!start->watched) {
        err->code = SWK_ENOMEM;
        snprintf(err->text, sizeof(err->text), "no thread to watch signals");
        return err->code;
    }
    return SWK_OK;
}

void daemon_started(struct daemon_start *start)
{
    if (start->watched) {
        pthread_kill(start->watch, END_OF_WATCH);
        pthread_join(start->watch, NULL);
        start->watched = false;
    }
}

void daemon_wait(bool (*stopped)(void *ctx), void *ctx)
{
    const struct timespec while_ns = {.tv_nsec = 250000000};
    sigset_t set;

    stop_signals(&set);
    while (sigtimedwait(&set, NULL, &while_ns) < 0 &&
           !stopped(ctx)) {
    }
}

/* -- Memory --------------------------------------------------------------- */

void daemon_harden(const struct daemon_options *options,
                   const struct swk_logger *logger)
{
    struct swk_error err = {0};

    if (options->core_dumps == NULL && swk_process_harden(&err) != 0) {
        const struct swk_log_record record = {
            .level = SWK_LOG_WARN,
            .module = "memory",
            .message = err.text,
        };

        logger->log(logger->ctx, &record);
    }
}

/* -- Executor ------------------------------------------------------------- */

/* Where the shim is: beside this program in the build tree or an installation,
 * else where it would have been installed. */
static void find_shim(char *buf, size_t size)
{
    static const char *const places[] = {
        "/swarm-shim",
        "/swarm-shim/swarm-shim",
        "/../libexec/swarmkit/swarm-shim",
    };
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    if (len > 0) {
        self[len] = '\0';
        slash = strrchr(self, '/');
        *slash = '\0';
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            struct stat st;

            snprintf(buf, size, "%s%s", self, places[i]);
            if (stat(buf, &st) == 0 && S_ISREG(st.st_mode)) {
                return;
            }
        }
    }
    snprintf(buf, size, "%s", SHIM_PATH);
}

int daemon_make_executor(const struct daemon_options *options,
                         const struct swk_logger *logger,
                         struct swk_executor *out_executor,
                         struct swk_error *err)
{
    struct swk_process_executor_config config =
        SWK_PROCESS_EXECUTOR_CONFIG_INIT;
    char shim[PATH_MAX + 64];
    char dir[PATH_MAX];

    snprintf(dir, sizeof(dir), "%s/processes", options->state_dir);
    find_shim(shim, sizeof(shim));
    config.state_dir = dir;
    config.shim_path = options->shim_path != NULL ? options->shim_path : shim;
    config.hostname = options->hostname;
    config.cgroup_parent = options->cgroup_parent;
    config.generic_resources = options->generic_resources;
    config.logger = logger;
    return swk_process_executor_new(&config, out_executor, err);
}

/* -- What the node agrees to ---------------------------------------------- */

static int fail_policy(struct swk_error *err, int code, const char *path,
                       const char *why)
{
    err->code = code;
    snprintf(err->text, sizeof(err->text), "policy %.100s: %.140s", path, why);
    return code;
}

/* The text, which is checked before anything is begun. */
static int read_policy(const char *path, char **out_text, struct swk_error *err)
{
    char *text = malloc(POLICY_SIZE);
    char *words = NULL;
    struct swk_error why = {0};
    FILE *file = fopen(path, "re");
    size_t len = 0;
    int rc = SWK_OK;

    if (file == NULL || text == NULL) {
        rc = fail_policy(err, SWK_EIO, path, strerror(errno));
    } else {
        len = fread(text, 1, POLICY_SIZE, file);
        if (ferror(file)) {
            rc = fail_policy(err, SWK_EIO, path, strerror(errno));
        } else if (len == POLICY_SIZE) {
            rc = fail_policy(err, SWK_ELIMIT, path, "too long");
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    if (rc == SWK_OK && swk_node_policy_describe(text, len, &words, &why) != 0) {
        rc = fail_policy(err, why.code, path, why.text);
    }
    swk_node_policy_text_free(words);
    if (rc != SWK_OK) {
        free(text);
        return rc;
    }
    text[len] = '\0';
    *out_text = text;
    return SWK_OK;
}

int daemon_check_policy(const char *name, const struct daemon_options *options)
{
    struct swk_error err = {0};
    char *words = NULL;
    char *text = NULL;
    int rc;

    if (options->policy == NULL) {
        return usage_error(name, "there is nothing to check without",
                           "--policy");
    }
    rc = read_policy(options->policy, &text, &err);
    if (rc == SWK_OK) {
        rc = swk_node_policy_describe(text, strlen(text), &words, &err);
    }
    if (rc == SWK_OK) {
        fputs(words, stdout);
    } else {
        daemon_complain(name, &err);
    }
    swk_node_policy_text_free(words);
    free(text);
    return rc == SWK_OK ? EXIT_OK : EXIT_FAILED;
}

int daemon_read_agreement(const struct daemon_options *options,
                          struct daemon_agreement *out_agreement,
                          struct swk_error *err)
{
    int rc = SWK_OK;

    *out_agreement = (struct daemon_agreement){0};
    if (options->policy != NULL) {
        rc = read_policy(options->policy, &out_agreement->policy, err);
    }
    if (rc == SWK_OK && options->trust != NULL) {
        rc = trust_input_read(options->trust, &out_agreement->trusted_keys,
                              err);
    }
    return rc;
}

void daemon_drop_agreement(struct daemon_agreement *agreement)
{
    free(agreement->trusted_keys);
    free(agreement->policy);
    *agreement = (struct daemon_agreement){0};
}

/* -- A worker ------------------------------------------------------------- */

static bool agent_stopped(void *ctx)
{
    struct swk_error why;

    return swk_agent_failed(ctx, &why) != 0;
}

int daemon_run_worker(const struct daemon_options *options,
                      const struct swk_logger *logger,
                      const struct swk_transport *transport,
                      const struct swk_executor *executor,
                      struct swk_error *err)
{
    struct swk_agent_config config = SWK_AGENT_CONFIG_INIT;
    struct daemon_start start = {0};
    struct daemon_agreement agreement;
    swk_agent *agent = NULL;
    int rc = daemon_read_agreement(options, &agreement, err);

    config.trusted_keys = agreement.trusted_keys;
    config.policy = agreement.policy;
    config.state_dir = options->state_dir;
    config.alloc = swk_posix_wiping_alloc();
    config.join_address = options->join_address;
    config.join_token = options->join_token;
    config.fips = options->fips != NULL;
    config.hostname = options->hostname;
    config.logger = logger;
    config.clock = swk_posix_clock();
    config.entropy = swk_posix_entropy();
    config.transport = transport;
    config.executor = executor;
    if (rc == 0) {
        rc = daemon_starting(&start, err);
    }
    if (rc == 0) {
        rc = swk_agent_new(&config, &agent, err);
    }
    if (rc == 0) {
        rc = swk_agent_start(agent, err);
    }
    daemon_started(&start);
    if (rc == 0) {
        daemon_wait(agent_stopped, agent);
        if (swk_agent_failed(agent, err)) {
            rc = err->code;
        }
    }
    swk_agent_free(agent);
    daemon_drop_agreement(&agreement);
    return rc;
}
