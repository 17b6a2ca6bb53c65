/* SPDX-License-Identifier: Apache-2.0 */

/* swarm-rafttool: what a manager that is stopped has on its disk. */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/node.h>

#include "rafttool.h"

#define DEFAULT_STATE_DIR "/var/lib/swarmd"

/* Flags: what they are for a command follows from its list of letters. */
static const struct flag {
    char letter; /* its name in lists and in here; not on the command line */
    const char *name;
    const char *value; /* what it takes; NULL for nothing */
    const char *help;
} flags[] = {
    {'d', "state-dir", "DIR",
     "the manager's state directory; default " DEFAULT_STATE_DIR},
    {'D', "state-dir", "DIR", "the new state directory; it must not exist"},
    {'k', "unlock-key-file", "FILE",
     "the swarm's unlock key, if managers are locked; - asks"},
    {'f', "format", "FORMAT", "table or json; default table"},
    {'r', "redact", NULL, "put a mark in the place of secrets"},
    {'s', "start", "N", "the first entry; default: the first there is"},
    {'e', "end", "N", "the last entry; default: the last there is"},
    {'i', "id", "ID", "the object with this ID alone"},
    {'n', "name", "NAME", "objects with this name alone"},
    {'u', "uncommitted", NULL, "use entries, too, that may not be committed"},
    {'o', "output", "PATH", "where to; what exists is refused"},
    {'a', "address", "HOST:PORT",
     "where the manager is reached; default 127.0.0.1:4242, until swarmd says "
     "better"},
    {'h', "help", NULL, "show this text"},
};

enum {
    FLAGS_COUNT = sizeof(flags) / sizeof(flags[0]),
};

static const struct command {
    const char *name;
    const char *argument; /* or NULL */
    const char *letters;  /* of its flags */
    const char *required; /* those of them that it needs */
    const char *summary;
    const char *text;
    const char *example;
    int (*run)(const struct options *options);
} commands[] = {
    {"dump-wal", NULL, "dkserf", "", "the entries of the log",
     "Each entry is shown with its index, its term, and the objects or members "
     "that\nit changes; --format json shows all that is in it.\n",
     "dump-wal --start 100 --format json --redact", run_dump_wal},
    {"dump-snapshot", NULL, "dkrf", "", "the newest snapshot",
     "Shows the place of the snapshot in the log, the members of the managers' "
     "group,\nthe numbers that were members once, and all objects.\n",
     "dump-snapshot", run_dump_snapshot},
    {"dump-object", "TYPE", "dkinurf", "", "objects as of the end of the log",
     "Puts together the snapshot and what the log adds to it. TYPE is node, "
     "service,\nnetwork, task, cluster, secret, resource, extension, config, "
     "volume, or all.\n",
     "dump-object service --name web --format json", run_dump_object},
    {"verify", NULL, "dkf", "", "whether all files are sound",
     "Reads every file, every record and every seal, then all of it as the "
     "manager does\nwhen it starts; says what is damaged, what that means, and "
     "what to do.\n",
     "verify --state-dir /var/lib/swarmd", run_verify},
    {"decrypt", NULL, "dko", "o", "copy the state without its seals",
     "Makes a state directory with the same log and identity that is read "
     "without a\nkey. Whoever reads the copy knows every secret of the swarm. "
     "The manager must not\nrun meanwhile.\n",
     "decrypt --output ./unsealed", run_decrypt},
    {"export", NULL, "dkour", "", "all objects of the swarm as JSON",
     "The file, of mode 0600, holds every secret of the swarm, the key of its "
     "CA among\nthem, unless --redact is given; then no swarm can begin with "
     "it. Without --output\nit goes to the standard output.\n",
     "export --output swarm.json", run_export},
    {"import", "FILE", "Da", "D", "begin a manager's state with an export",
     "A swarm with one manager, a new node, goes on with the objects of FILE "
     "(- "
     "is the\nstandard input): the same CA and join tokens, the same workers "
     "and their tasks.\nThe managers of before are locked out, and their tasks "
     "are made anew.\n",
     "import swarm.json --state-dir /var/lib/swarmd", run_import},
};

enum {
    COMMANDS_COUNT = sizeof(commands) / sizeof(commands[0]),
};

/* -- Help ----------------------------------------------------------------- */

static const char exit_codes[] =
    "Exit status:\n"
    "  0  done\n"
    "  1  failed\n"
    "  2  wrong usage\n"
    "  3  locked: the unlock key is missing, or another one; or no permission\n"
    "  4  not found\n"
    "  5  the target exists\n"
    "  6  damaged, or no export\n"
    "  7  in use by a manager that runs\n";

static void print_help(void)
{
    printf(
        "Usage: swarm-rafttool COMMAND [FLAGS] [ARGUMENT]\n\n"
        "Reads what a manager has on its disk, while the manager is stopped: "
        "its log, the\nobjects of the swarm, and whether all of it is "
        "sound.\n\nCommands:\n");
    for (int i = 0; i < COMMANDS_COUNT; i++) {
        printf("  %-16s %s\n", commands[i].name, commands[i].summary);
    }
    printf("\nFlags:\n  %-30s %s\n  %-30s %s\n\n%s\n"
           "Say \"swarm-rafttool COMMAND --help\" for the flags of a "
           "command.\n",
           "--version", "show the version of this program", "-h, --help",
           "show this text", exit_codes);
}

static void print_command_help(const struct command *command)
{
    printf("Usage: swarm-rafttool %s [FLAGS]%s%s\n\n%s\nFlags:\n",
           command->name, command->argument != NULL ? " " : "",
           command->argument != NULL ? command->argument : "", command->text);
    for (int i = 0; i < FLAGS_COUNT; i++) {
        char left[40];

        if (flags[i].letter != 'h' &&
            strchr(command->letters, flags[i].letter) == NULL) {
            continue;
        }
        snprintf(left, sizeof(left), "%s--%s%s%s",
                 flags[i].letter == 'h' ? "-h, " : "", flags[i].name,
                 flags[i].value != NULL ? " " : "",
                 flags[i].value != NULL ? flags[i].value : "");
        printf("  %-30s %s%s\n", left, flags[i].help,
               strchr(command->required, flags[i].letter) != NULL
                   ? " (required)"
                   : "");
    }
    printf("\n%s\nExample:\n  swarm-rafttool %s\n", exit_codes,
           command->example);
}

/* -- Flags ---------------------------------------------------------------- */

static int usage(const char *what, const char *which)
{
    tool_error(EXIT_USAGE, "%s: %s", what, which);
    tool_note("say \"swarm-rafttool --help\" or \"swarm-rafttool COMMAND "
              "--help\"");
    return EXIT_USAGE;
}

static bool parse_index(const char *text, uint64_t *out_value)
{
    char *end;

    errno = 0;
    *out_value = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' &&
           strspn(text, "0123456789") == strlen(text) && *out_value > 0;
}

static int take_flag(char letter, const char *value, struct options *options)
{
    switch (letter) {
    case 'd':
    case 'D':
        options->state_dir = value;
        return EXIT_OK;
    case 'k':
        options->unlock_key_file = value;
        return EXIT_OK;
    case 'o':
        options->output = value;
        return EXIT_OK;
    case 'a':
        options->address = value;
        return EXIT_OK;
    case 'i':
        options->id = value;
        return EXIT_OK;
    case 'n':
        options->name = value;
        return EXIT_OK;
    case 'r':
        options->redact = true;
        return EXIT_OK;
    case 'u':
        options->uncommitted = true;
        return EXIT_OK;
    case 'f':
        options->json = strcmp(value, "json") == 0;
        return options->json || strcmp(value, "table") == 0
                   ? EXIT_OK
                   : usage("the format is neither table nor json", value);
    default: /* 's' and 'e' */
        return parse_index(value,
                           letter == 's' ? &options->start : &options->end)
                   ? EXIT_OK
                   : usage("no index of an entry", value);
    }
}

/* The command's flags, as getopt_long() wants them. */
static void make_table(const struct command *command, struct option *table)
{
    for (int i = 0; i < FLAGS_COUNT; i++) {
        if (flags[i].letter == 'h' ||
            strchr(command->letters, flags[i].letter) != NULL) {
            *table++ = (struct option){
                .name = flags[i].name,
                .has_arg =
                    flags[i].value != NULL ? required_argument : no_argument,
                .val = flags[i].letter,
            };
        }
    }
    *table = (struct option){0};
}

static int check_arguments(const struct command *command, int argc, char **argv,
                           struct options *options)
{
    bool wants = command->argument != NULL;

    if (argc - optind < (wants ? 1 : 0)) {
        return usage("an argument is missing", command->argument);
    }
    if (argc - optind > (wants ? 1 : 0)) {
        return usage("unexpected argument", argv[argc - 1]);
    }
    options->argument = wants ? argv[optind] : NULL;
    if (strchr(command->required, 'o') != NULL && options->output == NULL) {
        return usage("a flag is missing", "--output");
    }
    if (strchr(command->required, 'D') != NULL && options->state_dir == NULL) {
        return usage("a flag is missing", "--state-dir");
    }
    if (options->end > 0 && options->end < options->start) {
        return usage("--end is before", "--start");
    }
    if (options->state_dir == NULL) {
        options->state_dir = DEFAULT_STATE_DIR;
    }
    return EXIT_OK;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    struct option table[FLAGS_COUNT + 1];
    struct options options = {0};
    int letter;
    int code;

    make_table(command, table);
    opterr = 0;
    while ((letter = getopt_long(argc, argv, ":h", table, NULL)) != -1) {
        if (letter == '?' || letter == ':') {
            return usage(letter == ':' ? "a flag needs a value"
                                       : "unknown flag",
                         argv[optind - 1]);
        }
        if (letter == 'h') {
            print_command_help(command);
            return EXIT_OK;
        }
        code = take_flag((char)letter, optarg, &options);
        if (code != EXIT_OK) {
            return code;
        }
    }
    code = check_arguments(command, argc, argv, &options);
    return code != EXIT_OK ? code : command->run(&options);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help();
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help();
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("swarm-rafttool %s\n", swk_version());
        return EXIT_OK;
    }
    for (int i = 0; i < COMMANDS_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return run_command(&commands[i], argc - 1, argv + 1);
        }
    }
    return usage(argv[1][0] == '-' ? "unknown flag" : "unknown command",
                 argv[1]);
}

int main(int argc, char **argv)
{
    int code = run(argc, argv);

    if (fflush(stdout) != 0 && code == EXIT_OK) {
        code = tool_error(EXIT_FAILED, "cannot write the output");
    }
    return code;
}
