/* SPDX-License-Identifier: Apache-2.0 */

/* Patterns and paths, as policies have them. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "core/consent/consent.h"
#include "core/consent/match.h"

static void patterns_match_whole_texts(void **state)
{
    static const struct {
        const char *pattern;
        const char *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "", false},
        {"abc", "abc", true},
        {"abc", "abcd", false},
        {"abc", "ab", false},
        {"*", "", true},
        {"*", "a/b:c", true},
        {"a*", "a", true},
        {"a*", "ba", false},
        {"*a", "ba", true},
        {"*a", "bab", false},
        {"a*c", "abbc", true},
        {"a*c", "abcb", false},
        {"*ab*ab*", "abxab", true},
        {"*ab*ab*", "abxa", false},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"?", "", false},
        {"**", "x", true},
        {"*.example.com/*", "registry.example.com/web:1", true},
        {"*.example.com/*", "registry.example.com.evil/web", false},
        {"[a]", "a", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (swki_pattern_matches(cases[i].pattern, cases[i].text) !=
            cases[i].matches) {
            fail_msg("\"%s\" and \"%s\"", cases[i].pattern, cases[i].text);
        }
    }
}

static void names_are_allowed_unless_denied(void **state)
{
    char *all[] = {(char *)"*"};
    char *some[] = {(char *)"www", (char *)"db*"};
    char *denied[] = {(char *)"db2"};
    Swkpb__Rpc__NodeConsent__Names names =
        SWKPB__RPC__NODE_CONSENT__NAMES__INIT;

    (void)state;
    assert_true(swki_names_allow(NULL, "x"));
    assert_false(swki_names_allow(&names, "x"));
    assert_false(swki_names_allow(&names, ""));
    names.allow = some;
    names.n_allow = 2;
    assert_true(swki_names_allow(&names, "www"));
    assert_true(swki_names_allow(&names, "db2"));
    assert_false(swki_names_allow(&names, "web"));
    names.deny = denied;
    names.n_deny = 1;
    assert_true(swki_names_allow(&names, "db1"));
    assert_false(swki_names_allow(&names, "db2"));
    names.n_allow = 0;
    assert_false(swki_names_allow(&names, "db1"));
    names.allow = all;
    names.n_allow = 1;
    assert_true(swki_names_allow(&names, "x"));
    assert_false(swki_names_allow_all(&names));
    names.n_deny = 0;
    assert_true(swki_names_allow_all(&names));
}

static void what_cannot_be_told_needs_everything_allowed(void **state)
{
    char long_text[SWKI_CONSENT_VALUE_LEN_MAX + 2];
    char *all[] = {(char *)"*"};
    char *most[] = {(char *)"a*", (char *)"{*"};
    char *denied[] = {(char *)"b"};
    Swkpb__Rpc__NodeConsent__Names names =
        SWKPB__RPC__NODE_CONSENT__NAMES__INIT;

    (void)state;
    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    names.allow = most;
    names.n_allow = 2;
    assert_false(swki_names_allow(&names, "{{.Node.ID}}"));
    assert_false(swki_names_allow(&names, long_text));
    names.allow = all;
    names.n_allow = 1;
    assert_true(swki_names_allow(&names, "{{.Node.ID}}"));
    assert_true(swki_names_allow(&names, long_text));
    names.deny = denied;
    names.n_deny = 1;
    assert_false(swki_names_allow(&names, "{{.Node.ID}}"));
    assert_false(swki_names_allow(&names, long_text));
}

static void only_plain_paths_are_plain(void **state)
{
    static const char *const plain[] = {"/",    "/a",   "/a/b",
                                        "/..a", "/a..", "/.a/b"};
    static const char *const others[] = {"",      "a",     "a/b",    "//",
                                         "/a/",   "/a//b", "/./a",   "/a/.",
                                         "/a/..", "/../a", "/a/../b"};

    (void)state;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        assert_true(swki_path_is_plain(plain[i]));
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (swki_path_is_plain(others[i])) {
            fail_msg("%s", others[i]);
        }
    }
}

static void a_directory_ends_where_its_name_ends(void **state)
{
    (void)state;
    assert_true(swki_path_within("/srv", "/srv"));
    assert_true(swki_path_within("/srv/a", "/srv"));
    assert_false(swki_path_within("/srv2", "/srv"));
    assert_false(swki_path_within("/sr", "/srv"));
    assert_true(swki_path_within("/srv", "/"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_whole_texts),
        cmocka_unit_test(names_are_allowed_unless_denied),
        cmocka_unit_test(what_cannot_be_told_needs_everything_allowed),
        cmocka_unit_test(only_plain_paths_are_plain),
        cmocka_unit_test(a_directory_ends_where_its_name_ends),
    };

    return cmocka_run_group_tests_name("match", tests, NULL, NULL);
}
