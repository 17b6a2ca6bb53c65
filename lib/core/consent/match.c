/* SPDX-License-Identifier: Apache-2.0 */

#include "core/consent/match.h"

#include <string.h>

#include "core/consent/consent.h"

/* After a mismatch the last "*" takes one character more; those before it need
 * not be tried again. */
bool swki_pattern_matches(const char *pattern, const char *text)
{
    const char *star = NULL;
    const char *from = NULL;

    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            from = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

static bool any_matches(char *const *patterns, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (swki_pattern_matches(patterns[i], text)) {
            return true;
        }
    }
    return false;
}

bool swki_names_allow_all(const Swkpb__Rpc__NodeConsent__Names *names)
{
    if (names == NULL) {
        return true;
    }
    for (size_t i = 0; names->n_deny == 0 && i < names->n_allow; i++) {
        if (strcmp(names->allow[i], "*") == 0) {
            return true;
        }
    }
    return false;
}

/* What a template becomes is not known here, and neither is what a text so long
 * is for. */
bool swki_names_allow(const Swkpb__Rpc__NodeConsent__Names *names,
                      const char *text)
{
    if (names == NULL || swki_names_allow_all(names)) {
        return true;
    }
    return strstr(text, "{{") == NULL &&
           strlen(text) <= SWKI_CONSENT_VALUE_LEN_MAX &&
           any_matches(names->allow, names->n_allow, text) &&
           !any_matches(names->deny, names->n_deny, text);
}

bool swki_path_is_plain(const char *path)
{
    if (path[0] != '/') {
        return false;
    }
    if (path[1] == '\0') {
        return true;
    }
    while (*path == '/') {
        size_t len = strcspn(++path, "/");

        if (len == 0 || (len == 1 && path[0] == '.') ||
            (len == 2 && path[0] == '.' && path[1] == '.')) {
            return false;
        }
        path += len;
    }
    return true;
}

bool swki_path_within(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    return strcmp(directory, "/") == 0 ||
           (strncmp(path, directory, len) == 0 &&
            (path[len] == '\0' || path[len] == '/'));
}
