/* SPDX-License-Identifier: Apache-2.0 */

/* Flags of commands: where they may stand, and what is said of wrong ones. */

#include "lib/cmocka_all.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "flags.h"

enum {
    WORDS_MAX = 8,
};

static char complaint[256]; /* what the user was told last */

int ctl_usage(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(complaint, sizeof(complaint), format, args);
    va_end(args);
    return EXIT_USAGE;
}

static int run(struct ctl *ctl, const struct args *args)
{
    (void)ctl;
    return args_has(args, "quiet") ? EXIT_OK : EXIT_FAILED;
}

static const struct flag flags[] = {
    {"quiet", 'q', NULL, NULL, "say less", false},
    {"name", 'n', "NAME", NULL, "what it is called", false},
    {0},
};

static const struct command command = {
    .group = "thing",
    .name = "ls",
    .arguments = "",
    .flags = {flags},
    .run = run,
};

/* Runs "ls" with these words behind it. */
static int run_with(struct ctl *ctl, const char *const *words)
{
    char *argv[WORDS_MAX + 2] = {(char[]){"ls"}};
    int argc = 1;
    int rc;

    complaint[0] = '\0';
    for (; words[argc - 1] != NULL && argc <= WORDS_MAX; argc++) {
        argv[argc] = pool_strdup(&ctl->pool, words[argc - 1]);
    }
    rc = command_run(ctl, &command, argc, argv);
    pool_empty(&ctl->pool);
    return rc;
}

static void the_format_may_stand_behind_the_command(void **state)
{
    static const char *const json[] = {"--format", "json", "-q", NULL};
    static const char *const table[] = {"-q", "--format=table", NULL};
    static const char *const other[] = {"-q", "--format", "xml", NULL};
    struct ctl ctl = {0};

    (void)state;
    assert_int_equal(run_with(&ctl, json), EXIT_OK);
    assert_true(ctl.json);
    assert_int_equal(run_with(&ctl, table), EXIT_OK);
    assert_false(ctl.json);
    assert_int_equal(run_with(&ctl, other), EXIT_USAGE);
    assert_string_equal(complaint, "--format is table or json");
}

static void a_wrong_flag_is_named(void **state)
{
    static const struct {
        const char *words[3];
        const char *complaint;
    } cases[] = {
        {{"--bogus"}, "unknown flag --bogus for swarmctl thing ls"},
        {{"--bogus=1"}, "unknown flag --bogus=1 for swarmctl thing ls"},
        {{"-z"}, "unknown flag -z for swarmctl thing ls"},
        {{"-qz"}, "unknown flag -z for swarmctl thing ls"},
        {{"-n"}, "no value with -n for swarmctl thing ls"},
        {{"-q", "--name"}, "no value with --name for swarmctl thing ls"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ctl ctl = {0};

        assert_int_equal(run_with(&ctl, cases[i].words), EXIT_USAGE);
        assert_string_equal(complaint, cases[i].complaint);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_format_may_stand_behind_the_command),
        cmocka_unit_test(a_wrong_flag_is_named),
    };

    return cmocka_run_group_tests_name("swarmctl_flags", tests, NULL, NULL);
}
