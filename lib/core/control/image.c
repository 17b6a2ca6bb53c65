/* SPDX-License-Identifier: Apache-2.0 */

/*
 * References to images:
 *
 *     [domain[:port] /] component {/ component} [: tag] [@ digest]
 *
 * The first component is a domain if it has a '.', a ':' or an upper-case
 * letter, or is "localhost". Two forms are this system's own: "host", which
 * runs a process on the node's file system, and the absolute path of a
 * directory with a root file system.
 */

#include <stdlib.h>
#include <string.h>

#include "core/control/validate.h"

enum {
    NAME_LEN_MAX = 255,
    TAG_LEN_MAX = 128,
    DIGEST_DIGITS_MIN = 32,
    IMAGE_ID_LEN = 64,
    PATH_LEN_MAX = 4095,
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_letter(char c)
{
    return is_lower(c) || is_upper(c);
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* A separator between the runs of a component: one '.', one or two '_', or any
 * number of '-'. Its length; 0 if there is none. */
static size_t separator_len(const char *text, size_t len)
{
    size_t n = 0;

    if (len == 0) {
        return 0;
    }
    switch (text[0]) {
    case '.':
        return 1;
    case '_':
        return len > 1 && text[1] == '_' ? 2 : 1;
    case '-':
        while (n < len && text[n] == '-') {
            n++;
        }
        return n;
    default:
        return 0;
    }
}

static bool component_valid(const char *text, size_t len)
{
    size_t i = 0;

    for (;;) {
        size_t start = i;

        while (i < len && (is_lower(text[i]) || is_digit(text[i]))) {
            i++;
        }
        if (i == start) {
            return false;
        }
        if (i == len) {
            return true;
        }
        size_t skip = separator_len(text + i, len - i);
        if (skip == 0) {
            return false;
        }
        i += skip;
    }
}

/* Letters and digits, with single dots and dashes inside. */
static bool host_valid(const char *text, size_t len)
{
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        for (size_t i = 1; i < len - 1; i++) {
            if (!is_hex(text[i]) && text[i] != ':') {
                return false;
            }
        }
        return true;
    }
    for (size_t i = 0; i < len; i++) {
        bool edge = i == 0 || i == len - 1 || text[i - 1] == '.' ||
                    text[i + 1] == '.';
        bool alnum = is_letter(text[i]) || is_digit(text[i]);

        if (!alnum && (edge || (text[i] != '-' && text[i] != '.'))) {
            return false;
        }
    }
    return len > 0;
}

static bool domain_valid(const char *text, size_t len)
{
    size_t host_len = len;

    while (host_len > 0 && is_digit(text[host_len - 1])) {
        host_len--;
    }
    if (host_len < len && host_len > 0 && text[host_len - 1] == ':') {
        return host_valid(text, host_len - 1);
    }
    return host_valid(text, len);
}

static bool is_domain(const char *text, size_t len)
{
    if (len == strlen("localhost") && memcmp(text, "localhost", len) == 0) {
        return true;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '.' || text[i] == ':' || is_upper(text[i])) {
            return true;
        }
    }
    return false;
}

static bool tag_valid(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool word = is_letter(text[i]) || is_digit(text[i]) || text[i] == '_';

        if (!word && (i == 0 || (text[i] != '.' && text[i] != '-'))) {
            return false;
        }
    }
    return len > 0 && len <= TAG_LEN_MAX;
}

/* algorithm ":" hex; the algorithm's parts begin with a letter and are joined
 * by one of "+._-". */
static bool digest_valid(const char *text)
{
    const char *colon = strchr(text, ':');

    if (colon == NULL || strlen(colon + 1) < DIGEST_DIGITS_MIN) {
        return false;
    }
    for (const char *at = text; at < colon; at++) {
        bool first = at == text || strchr("+._-", at[-1]) != NULL;
        bool last = at + 1 == colon;
        bool joint = strchr("+._-", *at) != NULL;

        if (first ? !is_letter(*at)
                  : !(is_letter(*at) || is_digit(*at) || (joint && !last))) {
            return false;
        }
    }
    for (const char *at = colon + 1; *at != '\0'; at++) {
        if (!is_hex(*at)) {
            return false;
        }
    }
    return colon > text;
}

/* Domain and path. */
static bool repository_valid(const char *text, size_t len)
{
    const char *end = text + len;
    const char *slash = memchr(text, '/', len);

    if (len == 0 || len > NAME_LEN_MAX) {
        return false;
    }
    if (slash != NULL && is_domain(text, (size_t)(slash - text))) {
        if (!domain_valid(text, (size_t)(slash - text))) {
            return false;
        }
        text = slash + 1;
    }
    for (;;) {
        slash = memchr(text, '/', (size_t)(end - text));
        if (slash == NULL) {
            return component_valid(text, (size_t)(end - text));
        }
        if (!component_valid(text, (size_t)(slash - text))) {
            return false;
        }
        text = slash + 1;
    }
}

static bool is_image_id(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i]) && !(text[i] >= 'a' && text[i] <= 'f')) {
            return false;
        }
    }
    return len == IMAGE_ID_LEN;
}

static bool reference_valid(const char *text)
{
    const char *at = strchr(text, '@');
    size_t len = at != NULL ? (size_t)(at - text) : strlen(text);

    if (is_image_id(text, strlen(text)) ||
        (at != NULL && !digest_valid(at + 1))) {
        return false;
    }

    const char *slash = memrchr(text, '/', len);
    const char *last = slash != NULL ? slash + 1 : text;
    const char *colon = memchr(last, ':', len - (size_t)(last - text));
    if (colon != NULL) {
        if (!tag_valid(colon + 1, len - (size_t)(colon + 1 - text))) {
            return false;
        }
        len = (size_t)(colon - text);
    }
    return repository_valid(text, len);
}

/* No "." and ".." parts, so that what is written is what is used. */
static bool path_valid(const char *text)
{
    if (strlen(text) > PATH_LEN_MAX) {
        return false;
    }
    for (const char *at = text; at != NULL; at = strchr(at + 1, '/')) {
        size_t len = strcspn(at + 1, "/");

        if ((len == 1 && at[1] == '.') ||
            (len == 2 && at[1] == '.' && at[2] == '.')) {
            return false;
        }
    }
    return true;
}

bool swki_image_valid(const char *image)
{
    return image[0] == '/' ? path_valid(image) : reference_valid(image);
}
