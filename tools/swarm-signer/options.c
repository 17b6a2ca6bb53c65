/* SPDX-License-Identifier: Apache-2.0 */

/* The command line: flags of all commands in one table. */

#include "signer.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/log.h>
#include <swarmkit/node.h>

enum {
    FLAG_FIRST = 256,
    FLAGS_MAX = 40,
    RATE_MAX = 10 * 1000 * 1000,
    NODE_ID_LEN = 25,
};

struct command_info {
    const char *name;
    enum command command;
    int least; /* words behind it */
    int most;
    const char *words;
    const char *help;
    const char *more; /* of its own help */
};

static const struct command_info commands[] = {
    {"run", COMMAND_RUN, 0, 0, "", "sign for managers on this machine",
     "Serves at a local socket until SIGTERM or SIGINT."},
    {"status", COMMAND_STATUS, 0, 0, "", "what the one that runs is doing",
     "Prints its authorities, those that were removed, its policy, what it\n"
     "remembers and what it has done since it started."},
    {"init", COMMAND_INIT, 0, 0, "", "make a root, or take one in",
     "Makes the directory and a root in it. Where there is one already, a\n"
     "second is made with --another alone."},
    {"list", COMMAND_LIST, 0, 0, "", "show the roots and their fingerprints",
     "Shows the authorities, the oldest first. Needs no password."},
    {"export", COMMAND_EXPORT, 0, 1, "[FINGERPRINT]",
     "print a root and its key for another signer",
     "Writes certificate and sealed key to the standard output."},
    {"import", COMMAND_IMPORT, 1, 1, "FILE", "take in what export printed",
     "Takes in what export printed at another manager's signer; - is the\n"
     "standard input."},
    {"trust", COMMAND_TRUST, 1, 1, "FILE", "know nodes of another root",
     "Takes in the certificate of a root whose key is elsewhere."},
    {"allow", COMMAND_ALLOW, 1, 1, "NODE-ID", "let a node become a manager",
     "For a signer with --approve-managers: the node may become a manager, "
     "once.\nThe signer that runs sees it by itself."},
    {"remove", COMMAND_REMOVE, 1, 1, "FINGERPRINT",
     "forget a root that is out of use",
     "Removes the key for good; a signer that runs drops it within a second.\n"
     "Of the fingerprint all digits are needed, or with --force the first 8 or "
     "more."},
    {"check-sandbox", COMMAND_CHECK_SANDBOX, 0, 0, "",
     "try what run forbids itself",
     "Fails unless all that was tried was denied."},
};

enum {
    COMMANDS_COUNT = sizeof(commands) / sizeof(commands[0]),
};

#define ON(command) (UINT32_C(1) << (command))
#define ON_RUN ON(COMMAND_RUN)
#define ON_EVERY UINT32_MAX
/* What works on the directory. */
#define ON_KEYS                                                                \
    (ON_RUN | ON(COMMAND_INIT) | ON(COMMAND_LIST) | ON(COMMAND_EXPORT) |       \
     ON(COMMAND_IMPORT) | ON(COMMAND_TRUST) | ON(COMMAND_ALLOW) |              \
     ON(COMMAND_REMOVE))
/* What reads keys there. */
#define ON_SEALED                                                              \
    (ON_RUN | ON(COMMAND_INIT) | ON(COMMAND_EXPORT) | ON(COMMAND_IMPORT) |     \
     ON(COMMAND_TRUST))

enum flag_kind {
    KIND_TEXT,
    KIND_SWITCH,   /* a bool */
    KIND_POLICY,   /* a bit of the policy's flags */
    KIND_RATE,     /* both numbers of a rate */
    KIND_NUMBER,   /* a uint32_t */
    KIND_DURATION, /* nanoseconds */
    KIND_USER,     /* one more in the list */
    KIND_LEVEL,
    KIND_VERSION,
};

struct flag {
    char letter;
    const char *name;
    const char *value;
    const char *help;
    enum flag_kind kind;
    void *target;
    uint32_t bit;
    uint32_t commands; /* for which it is */
};

enum {
    COMMAND_COLUMN = 21, /* where help begins, behind the indentation */
    FLAG_COLUMN = 35,
};

static void print_flags(const struct flag *flags, uint32_t which)
{
    printf("\nFlags:\n");
    for (; flags->name != NULL; flags++) {
        char left[64];

        if ((flags->commands & which) == 0) {
            continue;
        }
        snprintf(left, sizeof(left), "%c%c%s --%s%s%s",
                 flags->letter != 0 ? '-' : ' ',
                 flags->letter != 0 ? flags->letter : ' ',
                 flags->letter != 0 ? "," : " ", flags->name,
                 flags->value != NULL ? " " : "",
                 flags->value != NULL ? flags->value : "");
        printf("  %-*s %s\n", FLAG_COLUMN, left, flags->help);
    }
}

static void print_summary(void)
{
    printf("Usage: swarm-signer COMMAND [FLAGS]\n\n"
           "Keeps the keys of a swarm's CA, and signs with them within a "
           "policy of its\nown, so that no manager has them: swarmd --signer "
           "unix:SOCKET.\n\nCommands:\n");
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        char left[40];

        snprintf(left, sizeof(left), "%s %s", commands[i].name,
                 commands[i].words);
        printf("  %-*s %s%s\n", COMMAND_COLUMN, left, commands[i].help,
               commands[i].command == COMMAND_RUN ? " (the default)" : "");
    }
    printf("\n'swarm-signer COMMAND --help' tells of one. Example:\n"
           "  swarm-signer init --user swarm-signer\n"
           "  swarm-signer --user swarm-signer &\n"
           "  swarmd --signer unix:/run/swarm-signer/signer.sock\n");
}

static int print_help(const struct flag *flags, const struct command_info *info)
{
    if (info == NULL) {
        print_summary();
        print_flags(flags, ON_EVERY);
    } else {
        printf("Usage: swarm-signer %s [FLAGS]%s%s\n\n%s\n", info->name,
               info->words[0] != '\0' ? " " : "", info->words, info->more);
        print_flags(flags, ON(info->command));
    }
    return EXIT_OK;
}

static int usage_error(const char *what, const char *which)
{
    fprintf(stderr, "swarm-signer: %s: %s\nSee 'swarm-signer --help'.\n", what,
            which);
    return EXIT_USAGE;
}

static int read_rate(const struct flag *flag, struct swk_signer_rate *out_rate)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(optarg, &end, 10);
    if (errno != 0 || *end != '\0' || end == optarg || optarg[0] == '-' ||
        value == 0 || value > RATE_MAX) {
        return usage_error("not a number from 1 to 10000000", flag->name);
    }
    out_rate->per_hour = (uint32_t)value;
    out_rate->burst = (uint32_t)value;
    return -1;
}

static int read_number(const struct flag *flag, uint32_t *out_number)
{
    struct swk_signer_rate rate;
    int status = read_rate(flag, &rate);

    if (status < 0) {
        *out_number = rate.per_hour;
    }
    return status;
}

/* "90d", "36h", "5m", "30s". */
static int read_duration(const struct flag *flag, uint64_t *out_ns)
{
    static const struct {
        char letter;
        uint64_t ns;
    } units[] = {{'s', SWK_SECOND},
                 {'m', SWK_MINUTE},
                 {'h', SWK_HOUR},
                 {'d', 24 * SWK_HOUR}};
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(optarg, &end, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (errno == 0 && end != optarg && optarg[0] != '-' && value > 0 &&
            end[0] == units[i].letter && end[1] == '\0' &&
            value <= 100 * 365 * 24 * SWK_HOUR / units[i].ns) {
            *out_ns = value * units[i].ns;
            return -1;
        }
    }
    return usage_error("not a time such as 90d, 36h, 5m", flag->name);
}

static int read_level(int *out_level)
{
    for (int level = SWK_LOG_DEBUG; level <= SWK_LOG_ERROR; level++) {
        if (strcmp(optarg, swk_log_level_name(level)) == 0) {
            *out_level = level;
            return -1;
        }
    }
    return usage_error("log level is none of debug, info, warn, error", optarg);
}

static int take_flag(const struct flag *flag, struct options *options)
{
    switch (flag->kind) {
    case KIND_TEXT:
        *(const char **)flag->target = optarg;
        return -1;
    case KIND_SWITCH:
        *(bool *)flag->target = true;
        return -1;
    case KIND_POLICY:
        options->policy.flags |= flag->bit;
        return -1;
    case KIND_RATE:
        return read_rate(flag, flag->target);
    case KIND_NUMBER:
        return read_number(flag, flag->target);
    case KIND_DURATION:
        return read_duration(flag, flag->target);
    case KIND_USER:
        if (options->users_count == USERS_MAX) {
            return usage_error("too many users", optarg);
        }
        options->users[options->users_count++] = optarg;
        return -1;
    case KIND_LEVEL:
        return read_level(&options->log_level);
    case KIND_VERSION:
        printf("swarm-signer %s\n", swk_version());
        return EXIT_OK;
    }
    return EXIT_USAGE;
}

static const struct flag *find_flag(const struct flag *flags, int value)
{
    if (value >= FLAG_FIRST) {
        return &flags[value - FLAG_FIRST];
    }
    for (; flags->name != NULL; flags++) {
        if (flags->letter == value) {
            return flags;
        }
    }
    return NULL;
}

static int parse_flags(int argc, char **argv, const struct flag *flags,
                       struct options *options)
{
    struct option table[FLAGS_MAX];
    char letters[2 * FLAGS_MAX] = ":";
    size_t letters_len = 1;
    int status = -1;
    int value;
    size_t i = 0;

    for (; flags[i].name != NULL; i++) {
        table[i] = (struct option){
            .name = flags[i].name,
            .has_arg = flags[i].value != NULL ? required_argument : no_argument,
            .val = FLAG_FIRST + (int)i,
        };
        if (flags[i].letter != 0) {
            letters[letters_len++] = flags[i].letter;
            if (flags[i].value != NULL) {
                letters[letters_len++] = ':';
            }
        }
    }
    table[i] = (struct option){0};
    letters[letters_len] = '\0';
    opterr = 0;
    while (status < 0 &&
           (value = getopt_long(argc, argv, letters, table, NULL)) != -1) {
        const struct flag *flag = find_flag(flags, value);

        if (value == '?' || value == ':' || flag == NULL) {
            return usage_error(value == ':' ? "flag needs a value"
                                            : "unknown flag",
                               argv[optind - 1]);
        }
        status = take_flag(flag, options);
    }
    return status;
}

static const struct command_info *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* Words: a command first, then what it works on. */
static int parse_words(int argc, char **argv, const struct flag *flags,
                       bool help, struct options *options)
{
    const struct command_info *info =
        argc > optind ? find_command(argv[optind]) : NULL;
    int count = argc - optind;

    if (count > 0 && info == NULL) {
        return usage_error("unknown command", argv[optind]);
    }
    if (help) {
        return print_help(flags, info);
    }
    if (info == NULL) {
        return -1;
    }
    if (count - 1 < info->least || count - 1 > info->most) {
        fprintf(stderr,
                "swarm-signer: %s takes %s\nSee 'swarm-signer %s --help'.\n",
                info->name,
                info->words[0] != '\0' ? info->words : "no arguments",
                info->name);
        return EXIT_USAGE;
    }
    options->command = info->command;
    options->argument = count > 1 ? argv[optind + 1] : NULL;
    return -1;
}

/* As swarmctl and openssl print it: behind "sha256:", in capital letters, with
 * colons. False if it is none. */
static bool read_fingerprint(const char *text,
                             char out_digits[SWK_FINGERPRINT_LEN + 1])
{
    static const char prefix[] = "sha256:";
    size_t len = 0;

    if (strncmp(text, prefix, sizeof(prefix) - 1) == 0) {
        text += sizeof(prefix) - 1;
    }
    for (; *text != '\0'; text++) {
        if (*text == ':') {
            continue;
        }
        if (!isxdigit((unsigned char)*text) || len == SWK_FINGERPRINT_LEN) {
            return false;
        }
        out_digits[len++] = (char)tolower((unsigned char)*text);
    }
    out_digits[len] = '\0';
    return len > 0;
}

static int check(struct options *options)
{
    if ((options->command == COMMAND_REMOVE ||
         options->command == COMMAND_EXPORT) &&
        options->argument != NULL) {
        if (!read_fingerprint(options->argument, options->fingerprint)) {
            return usage_error("not a fingerprint", options->argument);
        }
        options->argument = options->fingerprint;
    }
    if (options->command == COMMAND_ALLOW &&
        (strlen(options->argument) != NODE_ID_LEN ||
         strspn(options->argument, "0123456789abcdefghijklmnopqrstuvwxyz") !=
             NODE_ID_LEN)) {
        return usage_error("not the ID of a node, which has 25 letters and "
                           "digits",
                           options->argument);
    }
    if ((options->certificate_file == NULL) != (options->key_file == NULL)) {
        return usage_error("one needs the other", "--cert, --key");
    }
    if (options->format != NULL && strcmp(options->format, "text") != 0 &&
        strcmp(options->format, "json") != 0) {
        return usage_error("format is neither text nor json", options->format);
    }
    return -1;
}

int options_parse(int argc, char **argv, struct options *o)
{
    bool check_only = false;
    bool help = false;
    const struct flag flags[] = {
        {'d', "state-dir", "DIR", "keys; default /var/lib/swarm-signer",
         KIND_TEXT, &o->state_dir, 0, ON_KEYS},
        {0, "password-file", "FILE", "seals the files of keys", KIND_TEXT,
         &o->password_file, 0, ON_SEALED},
        {0, "user", "NAME", "whom to become, if started by root", KIND_TEXT,
         &o->user, 0, ON_RUN | ON(COMMAND_INIT) | ON(COMMAND_CHECK_SANDBOX)},
        {0, "socket", "PATH", "default /run/swarm-signer/signer.sock",
         KIND_TEXT, &o->socket_path, 0, ON_RUN | ON(COMMAND_STATUS)},
        {0, "socket-group", "NAME", "group that may open the socket", KIND_TEXT,
         &o->socket_group, 0, ON_RUN},
        {0, "allow-user", "NAME", "user that may call; several times",
         KIND_USER, NULL, 0, ON_RUN},
        {0, "log-file", "FILE", "signatures; default in the state directory",
         KIND_TEXT, &o->log_file, 0, ON_RUN},
        {0, "swarm", "ID", "to sign for; default the first that asks",
         KIND_TEXT, &o->policy.swarm_id, 0, ON_RUN},
        {0, "workers-only", NULL, "no certificates of managers", KIND_POLICY,
         NULL, SWK_SIGNER_NO_MANAGERS, ON_RUN},
        {0, "approve-managers", NULL, "new managers need 'allow' first",
         KIND_POLICY, NULL, SWK_SIGNER_APPROVE_MANAGERS, ON_RUN},
        {0, "no-promotions", NULL, "workers stay workers", KIND_POLICY, NULL,
         SWK_SIGNER_NO_PROMOTIONS, ON_RUN},
        {0, "no-new-roots", NULL, "roots are made by init alone", KIND_POLICY,
         NULL, SWK_SIGNER_NO_NEW_ROOTS, ON_RUN},
        {0, "allow-foreign-root", NULL, "signs roots whose key is elsewhere",
         KIND_POLICY, NULL, SWK_SIGNER_FOREIGN_ROOTS, ON_RUN},
        {0, "longest-validity", "TIME", "of a node's certificate; default 90d",
         KIND_DURATION, &o->policy.validity_max_ns, 0, ON_RUN},
        {0, "expired-grace", "TIME",
         "how long an expired one still counts; default 30d", KIND_DURATION,
         &o->policy.expired_grace_ns, 0, ON_RUN},
        {0, "clock-skew", "TIME", "from the manager's clock; default 5m",
         KIND_DURATION, &o->policy.skew_max_ns, 0, ON_RUN},
        {0, "new-per-hour", "N", "new nodes; default 7200, 2000 at once",
         KIND_RATE, &o->policy.new_nodes, 0, ON_RUN},
        {0, "renewals-per-hour", "N", "default 36000, 20000 at once", KIND_RATE,
         &o->policy.renewals, 0, ON_RUN},
        {0, "managers-per-hour", "N",
         "new ones and promotions; default 20, 10 at once", KIND_RATE,
         &o->policy.new_managers, 0, ON_RUN},
        {0, "roots-per-hour", "N", "made or signed; default 4, 6 at once",
         KIND_RATE, &o->policy.roots, 0, ON_RUN},
        {0, "nodes-max", "N", "that are remembered; default 100000",
         KIND_NUMBER, &o->policy.nodes_max, 0, ON_RUN},
        {0, "cert", "FILE", "a root of your own, PEM; needs --key", KIND_TEXT,
         &o->certificate_file, 0, ON(COMMAND_INIT)},
        {0, "key", "FILE", "its key, PEM", KIND_TEXT, &o->key_file, 0,
         ON(COMMAND_INIT)},
        {0, "another", NULL, "although there is a root already", KIND_SWITCH,
         &o->another, 0, ON(COMMAND_INIT)},
        {0, "transfer-password-file", "FILE", "seals what is handed over",
         KIND_TEXT, &o->transfer_password_file, 0,
         ON(COMMAND_EXPORT) | ON(COMMAND_IMPORT)},
        {0, "format", "FORMAT", "text or json; default text", KIND_TEXT,
         &o->format, 0, ON(COMMAND_LIST) | ON(COMMAND_STATUS)},
        {0, "for", "TIME", "how long it may wait to be used; default 1d",
         KIND_DURATION, &o->allow_ns, 0, ON(COMMAND_ALLOW)},
        {0, "withdraw", NULL, "take back what was allowed", KIND_SWITCH,
         &o->withdraw, 0, ON(COMMAND_ALLOW)},
        {0, "force", NULL, "8 digits are enough, and no question is asked",
         KIND_SWITCH, &o->force, 0, ON(COMMAND_REMOVE)},
        {0, "no-sandbox", NULL, "for debugging alone", KIND_SWITCH,
         &o->no_sandbox, 0, ON_RUN},
        {0, "check-sandbox", NULL, "as the command of that name", KIND_SWITCH,
         &check_only, 0, ON_RUN},
        {'l', "log-level", "LEVEL", "debug, info, warn, error; default info",
         KIND_LEVEL, NULL, 0, ON_RUN | ON(COMMAND_CHECK_SANDBOX)},
        {'v', "version", NULL, "print the version", KIND_VERSION, NULL, 0,
         ON_EVERY},
        {'h', "help", NULL, "print this", KIND_SWITCH, &help, 0, ON_EVERY},
        {0},
    };
    int status = parse_flags(argc, argv, flags, o);

    if (status < 0) {
        status = parse_words(argc, argv, flags, help, o);
    }
    if (status < 0 && check_only) {
        o->command = COMMAND_CHECK_SANDBOX;
    }
    return status < 0 ? check(o) : status;
}
