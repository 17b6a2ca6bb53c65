/* SPDX-License-Identifier: Apache-2.0 */

/* The command line: flags of all commands in one table. */

#include "signer.h"

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
};

static const char summary[] =
    "Usage: swarm-signer [run] [FLAGS]        sign for managers on this "
    "machine\n"
    "       swarm-signer status [FLAGS]       what the one that runs is doing\n"
    "       swarm-signer init [FLAGS]         make a root, or take one in\n"
    "       swarm-signer list [FLAGS]         what is there\n"
    "       swarm-signer export [FINGERPRINT] for another manager's signer\n"
    "       swarm-signer import FILE          from another manager's signer\n"
    "       swarm-signer trust FILE           know nodes of another root\n"
    "       swarm-signer remove FINGERPRINT   forget a root that is out of "
    "use\n"
    "       swarm-signer check-sandbox        try what run forbids itself\n"
    "\n"
    "Keeps the keys of a swarm's CA, and signs with them within a policy of "
    "its "
    "own,\nso that no manager has them: swarmd --signer unix:SOCKET.\n"
    "\n"
    "Example:\n"
    "  swarm-signer init --user swarm-signer\n"
    "  swarm-signer --user swarm-signer &\n"
    "  swarmd --signer unix:/run/swarm-signer/signer.sock\n";

enum flag_kind {
    KIND_TEXT,
    KIND_SWITCH,   /* a bool */
    KIND_POLICY,   /* a bit of the policy's flags */
    KIND_RATE,     /* both numbers of a rate */
    KIND_DURATION, /* nanoseconds */
    KIND_USER,     /* one more in the list */
    KIND_LEVEL,
    KIND_HELP,
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
};

static void print_help(const struct flag *flags)
{
    printf("%s\nFlags:\n", summary);
    for (; flags->name != NULL; flags++) {
        char left[64];

        snprintf(left, sizeof(left), "%c%c%s --%s%s%s",
                 flags->letter != 0 ? '-' : ' ',
                 flags->letter != 0 ? flags->letter : ' ',
                 flags->letter != 0 ? "," : " ", flags->name,
                 flags->value != NULL ? " " : "",
                 flags->value != NULL ? flags->value : "");
        printf("  %-32s %s\n", left, flags->help);
    }
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

static int take_flag(const struct flag *flags, const struct flag *flag,
                     struct options *options)
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
    case KIND_HELP:
        print_help(flags);
        return EXIT_OK;
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
        status = take_flag(flags, flag, options);
    }
    return status;
}

/* Words: a command first, then what it works on. */
static int parse_words(int argc, char **argv, struct options *options)
{
    static const struct {
        const char *name;
        enum command command;
        int least; /* words behind it */
        int most;
    } commands[] = {
        {"run", COMMAND_RUN, 0, 0},
        {"init", COMMAND_INIT, 0, 0},
        {"list", COMMAND_LIST, 0, 0},
        {"export", COMMAND_EXPORT, 0, 1},
        {"import", COMMAND_IMPORT, 1, 1},
        {"trust", COMMAND_TRUST, 1, 1},
        {"remove", COMMAND_REMOVE, 1, 1},
        {"check-sandbox", COMMAND_CHECK_SANDBOX, 0, 0},
        {"status", COMMAND_STATUS, 0, 0},
    };
    int count = argc - optind;

    if (count == 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[optind], commands[i].name) != 0) {
            continue;
        }
        if (count - 1 < commands[i].least || count - 1 > commands[i].most) {
            return usage_error(count - 1 < commands[i].least
                                   ? "there is something missing behind"
                                   : "there is too much behind",
                               argv[optind]);
        }
        options->command = commands[i].command;
        options->argument = count > 1 ? argv[optind + 1] : NULL;
        return -1;
    }
    return usage_error("unknown command", argv[optind]);
}

static int check(const struct options *options)
{
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
    const struct flag flags[] = {
        {'d', "state-dir", "DIR", "keys; default /var/lib/swarm-signer",
         KIND_TEXT, &o->state_dir, 0},
        {0, "password-file", "FILE", "seals the files of keys", KIND_TEXT,
         &o->password_file, 0},
        {0, "user", "NAME", "to become, if started by root", KIND_TEXT,
         &o->user, 0},
        {0, "socket", "PATH", "default /run/swarm-signer/signer.sock",
         KIND_TEXT, &o->socket_path, 0},
        {0, "socket-group", "NAME", "group that may open the socket", KIND_TEXT,
         &o->socket_group, 0},
        {0, "allow-user", "NAME", "user that may call; several times",
         KIND_USER, NULL, 0},
        {0, "log-file", "FILE", "signatures; default in the state directory",
         KIND_TEXT, &o->log_file, 0},
        {0, "swarm", "ID", "to sign for; default the first that asks",
         KIND_TEXT, &o->policy.swarm_id, 0},
        {0, "workers-only", NULL, "no certificates of managers", KIND_POLICY,
         NULL, SWK_SIGNER_NO_MANAGERS},
        {0, "no-promotions", NULL, "workers stay workers", KIND_POLICY, NULL,
         SWK_SIGNER_NO_PROMOTIONS},
        {0, "no-new-roots", NULL, "roots are made by init alone", KIND_POLICY,
         NULL, SWK_SIGNER_NO_NEW_ROOTS},
        {0, "allow-foreign-root", NULL, "signs roots whose key is elsewhere",
         KIND_POLICY, NULL, SWK_SIGNER_FOREIGN_ROOTS},
        {0, "longest-validity", "TIME", "of a node's certificate; default 90d",
         KIND_DURATION, &o->policy.validity_max_ns, 0},
        {0, "expired-grace", "TIME",
         "how long an expired one still counts; default 30d", KIND_DURATION,
         &o->policy.expired_grace_ns, 0},
        {0, "clock-skew", "TIME", "from the manager's clock; default 5m",
         KIND_DURATION, &o->policy.skew_max_ns, 0},
        {0, "new-per-hour", "N", "new nodes; default 7200, 2000 at once",
         KIND_RATE, &o->policy.new_nodes, 0},
        {0, "renewals-per-hour", "N", "default 36000, 20000 at once", KIND_RATE,
         &o->policy.renewals, 0},
        {0, "managers-per-hour", "N",
         "new ones and promotions; default 20, 10 at once", KIND_RATE,
         &o->policy.new_managers, 0},
        {0, "roots-per-hour", "N", "made or signed; default 4, 6 at once",
         KIND_RATE, &o->policy.roots, 0},
        {0, "cert", "FILE", "of init: a root of your own, with", KIND_TEXT,
         &o->certificate_file, 0},
        {0, "key", "FILE", "its key", KIND_TEXT, &o->key_file, 0},
        {0, "transfer-password-file", "FILE", "of export and import", KIND_TEXT,
         &o->transfer_password_file, 0},
        {0, "format", "FORMAT", "of list: text or json; default text",
         KIND_TEXT, &o->format, 0},
        {0, "no-sandbox", NULL, "for debugging alone", KIND_SWITCH,
         &o->no_sandbox, 0},
        {0, "check-sandbox", NULL, "as the command", KIND_SWITCH, &check_only,
         0},
        {'l', "log-level", "LEVEL", "debug, info, warn, error; default info",
         KIND_LEVEL, NULL, 0},
        {'v', "version", NULL, "print the version", KIND_VERSION, NULL, 0},
        {'h', "help", NULL, "print this", KIND_HELP, NULL, 0},
        {0},
    };
    int status = parse_flags(argc, argv, flags, o);

    if (status < 0) {
        status = parse_words(argc, argv, o);
    }
    if (status < 0 && check_only) {
        o->command = COMMAND_CHECK_SANDBOX;
    }
    return status < 0 ? check(o) : status;
}
