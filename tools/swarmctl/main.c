/* SPDX-License-Identifier: Apache-2.0 */

/* swarmctl: the administrator's hand on a swarm. */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flags.h"

#define DEFAULT_SOCKET "/var/run/swarmd.sock"

static const struct group {
    const char *name;
    const char *alias;
    const char *summary;
    const struct command *commands;
} groups[] = {
    {"node", NULL, "the machines of the swarm", node_commands},
    {"service", "svc", "what the swarm runs", service_commands},
    {"task", NULL, "the single runs of services", task_commands},
    {"cluster", NULL, "the settings of the swarm, its root CA and join tokens",
     cluster_commands},
    {"secret", NULL, "data that only the tasks that need it get",
     secret_commands},
    {"config", NULL, "small files for tasks", config_commands},
    {"spec", NULL, "specs that operators sign", spec_commands},
    {"audit", NULL, "the audit log, from a manager's files", audit_commands},
    {"", NULL, "other commands", other_commands},
};

enum {
    GROUPS_COUNT = sizeof(groups) / sizeof(groups[0]),
};

static void print_commands(const struct group *group)
{
    for (const struct command *c = group->commands; c->name != NULL; c++) {
        printf("  %s%s%-*s %.*s\n", group->name, group->name[0] ? " " : "",
               (group->name[0] ? 20 : 21) - (int)strlen(group->name), c->name,
               (int)strcspn(c->summary, "\n"), c->summary);
    }
}

static void print_help(void)
{
    printf("Usage: swarmctl [GLOBAL FLAGS] COMMAND [FLAGS] [ARGUMENTS]\n\n"
           "Asks a manager of a swarm, through its local socket.\n\n"
           "Global flags:\n"
           "  -s, --socket PATH      the manager's socket "
           "[default: $SWARM_SOCKET, else " DEFAULT_SOCKET "]\n"
           "  -n, --no-resolve       show IDs instead of names\n"
           "      --format FORMAT    table or json [default: table]\n"
           "      --version          show the version of this program\n"
           "  -h, --help             show this text\n\n"
           "Commands:\n");
    for (int i = 0; i < GROUPS_COUNT; i++) {
        print_commands(&groups[i]);
    }
    printf("\nSay \"swarmctl COMMAND --help\" for the flags of a command.\n"
           "Objects are named by ID, by name, or by the beginning of an ID.\n\n"
           "Exit status:\n"
           "  0  done\n"
           "  1  failed\n"
           "  2  wrong usage\n"
           "  3  not found\n"
           "  4  exists already, or was changed meanwhile\n"
           "  5  not permitted\n"
           "  6  no manager answers, or the swarm has no leader\n"
           "  7  not done in time\n"
           "  8  sound, but who signed it is not known\n"
           "  130  interrupted while waiting; the swarm goes on\n\n"
           "Example:\n"
           "  swarmctl service create --name web --replicas 3 -- "
           "python3 -m http.server\n");
}

static void print_group_help(const struct group *group)
{
    printf("Usage: swarmctl %s COMMAND [FLAGS] [ARGUMENTS]\n\n%s%s:\n",
           group->name, "Commands for ", group->summary);
    print_commands(group);
}

static bool named(const char *text, const char *name, const char *alias)
{
    return strcmp(text, name) == 0 ||
           (alias != NULL && strcmp(text, alias) == 0);
}

/* How many words the text is that the arguments begin with; 0 if they do not.
 */
static int words_matched(const char *text, int argc, char **argv)
{
    int words = 0;

    while (text != NULL && words < argc) {
        size_t len = strcspn(text, " ");

        if (strlen(argv[words]) != len ||
            strncmp(text, argv[words], len) != 0) {
            return 0;
        }
        words++;
        text += len;
        if (*text++ == '\0') {
            return words;
        }
    }
    return 0;
}

/* The command with the longest name that fits. */
static const struct command *find_command(const struct group *group, int argc,
                                          char **argv, int *out_words)
{
    const struct command *found = NULL;

    *out_words = 0;
    for (const struct command *c = group->commands; c->name != NULL; c++) {
        int words = words_matched(c->name, argc, argv);

        if (words == 0) {
            words = words_matched(c->alias, argc, argv);
        }
        if (words > *out_words) {
            *out_words = words;
            found = c;
        }
    }
    return found;
}

/* "ca rotate" is "cluster ca rotate", unless another group has one, too. */
static int unknown_command(const struct group *group, int argc, char **argv)
{
    const struct command *found = NULL;
    int words;

    if (group->name[0] != '\0') {
        return ctl_usage("unknown command \"%s %s\"", group->name, argv[0]);
    }
    for (int i = 0; i < GROUPS_COUNT; i++) {
        const struct command *command =
            find_command(&groups[i], argc, argv, &words);

        if (command != NULL && found != NULL) {
            return ctl_usage("unknown command \"%s\"", argv[0]);
        }
        found = command != NULL ? command : found;
    }
    return found == NULL
               ? ctl_usage("unknown command \"%s\"", argv[0])
               : ctl_usage("unknown command \"%s\"; there is \"swarmctl %s "
                           "%s\"",
                           argv[0], found->group, found->name);
}

static int run_in(struct ctl *ctl, const struct group *group, int argc,
                  char **argv)
{
    int words;
    const struct command *command = find_command(group, argc, argv, &words);

    if (command != NULL) {
        return command_run(ctl, command, argc - words + 1, argv + words - 1);
    }
    return unknown_command(group, argc, argv);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    if (argc == 0) {
        print_help();
        return EXIT_USAGE;
    }
    for (int i = 0; i < GROUPS_COUNT - 1; i++) {
        const struct group *group = &groups[i];

        if (!named(argv[0], group->name, group->alias)) {
            continue;
        }
        if (argc == 1 || named(argv[1], "--help", "-h")) {
            print_group_help(group);
            return argc == 1 ? EXIT_USAGE : EXIT_OK;
        }
        return run_in(ctl, group, argc - 1, argv + 1);
    }
    return run_in(ctl, &groups[GROUPS_COUNT - 1], argc, argv);
}

/* Reads the flags before the command; -1 to go on, else an exit code. */
static int read_globals(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},
        {"no-resolve", no_argument, NULL, 'n'},
        {"format", required_argument, NULL, 'f'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int letter;

    opterr = 0;
    while ((letter = getopt_long(argc, argv, "+:s:nh", options, NULL)) != -1) {
        switch (letter) {
        case 's':
            ctl->socket = optarg;
            break;
        case 'n':
            ctl->no_resolve = true;
            break;
        case 'f':
            if (flags_set_format(ctl, optarg) != EXIT_OK) {
                return EXIT_USAGE;
            }
            break;
        case 'v':
            printf("swarmctl " SWARMCTL_VERSION "\n");
            return EXIT_OK;
        case 'h':
            print_help();
            return EXIT_OK;
        default:
            return ctl_usage("%s %s for swarmctl",
                             letter == ':' ? "no value with" : "unknown flag",
                             argv[optind - 1]);
        }
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct ctl ctl = {.socket = getenv("SWARM_SOCKET")};
    int code = read_globals(&ctl, argc, argv);

    if (ctl.socket == NULL || ctl.socket[0] == '\0') {
        ctl.socket = DEFAULT_SOCKET;
    }
    if (code < 0) {
        int first = optind;

        code = run(&ctl, argc - first, argv + first);
    }
    ctl_close(&ctl);
    if (fflush(stdout) != 0) {
        code = ctl_error(EXIT_FAILED, "cannot write the output");
    }
    return code;
}
