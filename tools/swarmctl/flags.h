/* SPDX-License-Identifier: Apache-2.0 */

/* Commands, their flags, and the help that is made of both. */

#ifndef SWARMCTL_FLAGS_H
#define SWARMCTL_FLAGS_H

#include "ctl.h"

struct flag {
    const char *name;
    char letter;           /* or 0 */
    const char *argument;  /* "DURATION"; NULL for a switch */
    const char *otherwise; /* the default as text; NULL if there is none */
    const char *help;      /* "repeatable" is said by the list */
    bool list;             /* may be given several times */
};

struct args;

struct command {
    const char *group;
    const char *name;
    const char *alias;     /* or NULL */
    const char *arguments; /* "NODE..." or "" */
    const char *summary;
    const char *example;
    const struct flag *flags[4]; /* each ends with a NULL name; then NULL */
    int args_min;
    int args_max;  /* -1: any number */
    bool verbatim; /* flags end at the first argument, not only at "--" */
    int (*run)(struct ctl *ctl, const struct args *args);
};

/* The commands of each group; ends with a NULL name. */
extern const struct command node_commands[];
extern const struct command service_commands[];
extern const struct command task_commands[];
extern const struct command cluster_commands[];
extern const struct command secret_commands[];
extern const struct command config_commands[];
extern const struct command spec_commands[];
extern const struct command audit_commands[];
extern const struct command other_commands[];

/* Parses argv (its first text is the command's name) and runs the command. */
int command_run(struct ctl *ctl, const struct command *command, int argc,
                char **argv);

/* --format, which stands before a command or behind it. */
int flags_set_format(struct ctl *ctl, const char *format);

void command_help(const struct command *command);

/* What was given. Asking for a flag that the command lacks is a defect. */
size_t args_count(const struct args *args);
const char *args_at(const struct args *args, size_t index);
bool args_has(const struct args *args, const char *flag);
/* The last value, or NULL. */
const char *args_text(const struct args *args, const char *flag);
/* All values. */
size_t args_list(const struct args *args, const char *flag,
                 const char *const **out_texts);

#endif
