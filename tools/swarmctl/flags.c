/* SPDX-License-Identifier: Apache-2.0 */

#include "flags.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum {
    FLAGS_MAX = 96,
    HELP_COLUMN = 39, /* where the text of a flag begins */
    SETS_MAX = sizeof(((struct command *)0)->flags) /
               sizeof(((struct command *)0)->flags[0]),
    LONG_BASE = 256, /* getopt's numbers for flags without a letter */
    HELP_NUMBER = 255,
    FORMAT_NUMBER = 254,
    OWN_COUNT = 2, /* flags that every command has */
};

struct value {
    const struct flag *flag;
    size_t count;
    const char **texts;
};

struct args {
    const char *const *texts;
    size_t count;
    struct value values[FLAGS_MAX];
    size_t values_count;
};

static size_t collect(const struct command *command, struct args *args)
{
    for (int set = 0; set < SETS_MAX && command->flags[set] != NULL; set++) {
        for (const struct flag *f = command->flags[set]; f->name != NULL; f++) {
            assert(args->values_count < FLAGS_MAX);
            args->values[args->values_count++].flag = f;
        }
    }
    return args->values_count;
}

static void print_flag(const struct flag *flag)
{
    char left[64];
    char letter[8] = "    ";

    if (flag->letter != 0) {
        snprintf(letter, sizeof(letter), "-%c, ", flag->letter);
    }
    snprintf(left, sizeof(left), "%s--%s%s%s", letter, flag->name,
             flag->argument != NULL ? " " : "",
             flag->argument != NULL ? flag->argument : "");
    printf("  %s", left);
    if (strlen(left) + 2 + 2 > HELP_COLUMN) {
        printf("\n  ");
        left[0] = '\0';
    }
    printf("%*s%s%s", HELP_COLUMN - 2 - (int)strlen(left), "", flag->help,
           flag->list ? " (repeatable)" : "");
    if (flag->otherwise != NULL) {
        printf(" [default: %s]", flag->otherwise);
    }
    putchar('\n');
}

/* Whether the name of a command goes on where that of another ends. Such stand
 * behind it in its group. */
static bool is_further(const struct command *command,
                       const struct command *other)
{
    size_t len = strlen(command->name);

    return other->name != NULL &&
           strncmp(other->name, command->name, len) == 0 &&
           other->name[len] == ' ';
}

static void print_further(const struct command *command)
{
    for (const struct command *c = command + 1; is_further(command, c); c++) {
        printf("%s  %s %-*s %.*s\n",
               c == command + 1 ? "\nFurther commands:\n" : "", c->group,
               20 - (int)strlen(c->group), c->name,
               (int)strcspn(c->summary, "\n"), c->summary);
    }
}

void command_help(const struct command *command)
{
    printf("Usage: swarmctl %s%s%s [FLAGS]%s%s\n\n%s\n", command->group,
           command->group[0] != '\0' ? " " : "", command->name,
           command->arguments[0] != '\0' ? " " : "", command->arguments,
           command->summary);
    if (command->alias != NULL) {
        printf("\nAlso known as: swarmctl %s%s%s\n", command->group,
               command->group[0] != '\0' ? " " : "", command->alias);
    }
    printf("\nFlags:\n");
    for (int set = 0; set < SETS_MAX && command->flags[set] != NULL; set++) {
        for (const struct flag *f = command->flags[set]; f->name != NULL; f++) {
            print_flag(f);
        }
    }
    printf("      %-32s %s\n", "--format FORMAT",
           "table or json [default: table]");
    printf("  %-36s %s\n", "-h, --help", "show this text");
    print_further(command);
    printf("\nExample:\n  %s\n", command->example);
}

/* getopt's tables for the flags of a command. */
static void fill_options(const struct args *args, bool verbatim,
                         struct option *options, char *letters)
{
    size_t n = 0;

    if (verbatim) {
        letters[n++] = '+';
    }
    letters[n++] = ':'; /* a missing value is told apart */
    letters[n++] = 'h';
    options[0] = (struct option){"help", no_argument, NULL, HELP_NUMBER};
    options[1] =
        (struct option){"format", required_argument, NULL, FORMAT_NUMBER};
    for (size_t i = 0; i < args->values_count; i++) {
        const struct flag *flag = args->values[i].flag;

        options[i + OWN_COUNT] = (struct option){
            flag->name,
            flag->argument != NULL ? required_argument : no_argument, NULL,
            LONG_BASE + (int)i};
        if (flag->letter != 0) {
            letters[n++] = flag->letter;
            if (flag->argument != NULL) {
                letters[n++] = ':';
            }
        }
    }
    letters[n] = '\0';
}

static struct value *value_of(struct args *args, int number)
{
    if (number >= LONG_BASE) {
        return &args->values[number - LONG_BASE];
    }
    for (size_t i = 0; i < args->values_count; i++) {
        if (args->values[i].flag->letter == number) {
            return &args->values[i];
        }
    }
    return NULL;
}

static int add_value(struct ctl *ctl, struct value *value, const char *text)
{
    if (value->count > 0 && value->flag->argument != NULL &&
        !value->flag->list) {
        return ctl_usage("--%s is given twice", value->flag->name);
    }

    const char **texts =
        pool_alloc(&ctl->pool, (value->count + 1) * sizeof(*texts));
    if (value->count > 0) {
        memcpy(texts, value->texts, value->count * sizeof(*texts));
    }
    texts[value->count++] = text;
    value->texts = texts;
    return EXIT_OK;
}

static int check_count(const struct command *command, int count,
                       char *const *texts)
{
    if (command->args_max == 0 && count > 0 &&
        is_further(command, command + 1)) {
        return ctl_usage("unknown command \"%s %s %s\"", command->group,
                         command->name, texts[0]);
    }
    if (count < command->args_min ||
        (command->args_max >= 0 && count > command->args_max)) {
        return ctl_usage("swarmctl %s%s%s takes %s", command->group,
                         command->group[0] != '\0' ? " " : "", command->name,
                         command->arguments[0] != '\0' ? command->arguments
                                                       : "no arguments");
    }
    return EXIT_OK;
}

int flags_set_format(struct ctl *ctl, const char *format)
{
    ctl->json = strcmp(format, "json") == 0;
    return ctl->json || strcmp(format, "table") == 0
               ? EXIT_OK
               : ctl_usage("--format is table or json");
}

/* Takes what getopt has found. */
static int take_flag(struct ctl *ctl, const struct command *command,
                     struct args *args, int number, const char *text)
{
    if (number == FORMAT_NUMBER) {
        return flags_set_format(ctl, optarg);
    }
    if (number == '?' || number == ':') {
        const char letter[] = {'-', (char)optopt, '\0'};

        text = optopt > 0 && optopt < FORMAT_NUMBER ? letter : text;
        return ctl_usage("%s %s for swarmctl %s%s%s",
                         number == ':' ? "no value with" : "unknown flag",
                         text, command->group,
                         command->group[0] != '\0' ? " " : "", command->name);
    }
    return add_value(ctl, value_of(args, number), optarg != NULL ? optarg : "");
}

int command_run(struct ctl *ctl, const struct command *command, int argc,
                char **argv)
{
    struct args args = {0};
    struct option options[FLAGS_MAX + OWN_COUNT + 1] = {0};
    char letters[2 * FLAGS_MAX + 4];
    int number;

    collect(command, &args);
    fill_options(&args, command->verbatim, options, letters);
    optind = 0;
    opterr = 0;
    while ((number = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        if (number == HELP_NUMBER || number == 'h') {
            command_help(command);
            return EXIT_OK;
        }

        int rc = take_flag(ctl, command, &args, number, argv[optind - 1]);
        if (rc != EXIT_OK) {
            return rc;
        }
    }

    int rc = check_count(command, argc - optind, argv + optind);
    if (rc != EXIT_OK) {
        return rc;
    }
    args.texts = (const char *const *)argv + optind;
    args.count = (size_t)(argc - optind);
    return command->run(ctl, &args);
}

size_t args_count(const struct args *args)
{
    return args->count;
}

const char *args_at(const struct args *args, size_t index)
{
    return args->texts[index];
}

static const struct value *find_value(const struct args *args,
                                      const char *flag)
{
    for (size_t i = 0; i < args->values_count; i++) {
        if (strcmp(args->values[i].flag->name, flag) == 0) {
            return &args->values[i];
        }
    }
    assert(false && "the command has no such flag");
    return NULL;
}

bool args_has(const struct args *args, const char *flag)
{
    return find_value(args, flag)->count > 0;
}

const char *args_text(const struct args *args, const char *flag)
{
    const struct value *value = find_value(args, flag);

    return value->count > 0 ? value->texts[value->count - 1] : NULL;
}

size_t args_list(const struct args *args, const char *flag,
                 const char *const **out_texts)
{
    const struct value *value = find_value(args, flag);

    *out_texts = value->texts;
    return value->count;
}
