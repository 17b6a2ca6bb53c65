/* SPDX-License-Identifier: Apache-2.0 */

/* Texts against patterns, and paths against directories. */

#ifndef SWKI_CONSENT_MATCH_H
#define SWKI_CONSENT_MATCH_H

#include <stdbool.h>

#include "swarmkit/trust.pb-c.h"

/* "*" stands for any characters and "?" for one; the whole text must match. */
bool swki_pattern_matches(const char *pattern, const char *text);

/* Whether a list of names allows the text; NULL allows all. */
bool swki_names_allow(const Swkpb__Rpc__NodeConsent__Names *names,
                      const char *text);
/* Whether it allows everything there is, also what cannot be told. */
bool swki_names_allow_all(const Swkpb__Rpc__NodeConsent__Names *names);

/* Absolute, and without "//", ".", ".." and a "/" at its end. */
bool swki_path_is_plain(const char *path);
/* Whether a plain path is the directory or below it. */
bool swki_path_within(const char *path, const char *directory);

#endif
