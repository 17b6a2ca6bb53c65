/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/exec/generic.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "could not parse GenericResource: "

struct term {
    char *text; /* as given, for messages */
    char *kind;
    char *value;
    bool is_integer;
    int64_t integer;
};

struct terms {
    struct term list[SWKI_GENERIC_RESOURCES_MAX];
    size_t count;
};

/*
 * Cuts the next field off *next, in place: plain, or in double quotes with ""
 * for a quote. NULL for a quote where none may be.
 */
static char *take_field(char **next)
{
    char *field = *next;
    char *in = field;
    char *out = field;

    if (*in != '"') {
        size_t len = strcspn(in, ",");

        if (memchr(in, '"', len) != NULL) {
            return NULL;
        }
        *next = in[len] == ',' ? in + len + 1 : NULL;
        in[len] = '\0';
        return field;
    }
    for (in++; *in != '\0'; in++) {
        if (*in == '"' && in[1] != '"') {
            break;
        }
        in += *in == '"' ? 1 : 0;
        *out++ = *in;
    }
    if (*in != '"' || (in[1] != ',' && in[1] != '\0')) {
        return NULL;
    }
    *next = in[1] == ',' ? in + 2 : NULL;
    *out = '\0';
    return field;
}

static char *trim(char *text)
{
    size_t len;

    text += strspn(text, " \t");
    len = strlen(text);
    while (len > 0 && strchr(" \t", text[len - 1]) != NULL) {
        text[--len] = '\0';
    }
    return text;
}

static bool parse_integer(const char *text, int64_t *out_value)
{
    char *end;
    long long value;

    if (strchr("0123456789+-", *text) == NULL || *text == '\0') {
        return false;
    }
    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text) {
        return false;
    }
    *out_value = value;
    return true;
}

static int parse_term(struct swki_arena *arena, char *field, struct term *out,
                      struct swk_error *err)
{
    struct term term = {.text = swki_arena_strdup(arena, field)};
    char *equals = strchr(field, '=');

    if (term.text == NULL) {
        return swki_fail_nomem(err);
    }
    if (equals == NULL || strchr(equals + 1, '=') != NULL) {
        return swki_fail(err, SWK_EINVAL,
                         PREFIX "incorrect term %s, missing '=' or malformed "
                                "expression",
                         term.text);
    }
    *equals = '\0';
    term.kind = trim(field);
    term.value = trim(equals + 1);
    if (*term.kind == '\0' || *term.value == '\0') {
        return swki_fail(err, SWK_EINVAL,
                         PREFIX "incorrect term %s, missing '=' or malformed "
                                "expression",
                         term.text);
    }
    term.is_integer = parse_integer(term.value, &term.integer);
    *out = term;
    return SWK_OK;
}

static int parse_terms(const char *text, struct swki_arena *arena,
                       struct terms *out_terms, struct swk_error *err)
{
    char *next = swki_arena_strdup(arena, text);

    if (next == NULL) {
        return swki_fail_nomem(err);
    }
    while (next != NULL) {
        char *field = take_field(&next);
        int rc;

        if (field == NULL) {
            return swki_fail(err, SWK_EINVAL, PREFIX "misplaced '\"'");
        }
        if (out_terms->count == SWKI_GENERIC_RESOURCES_MAX) {
            return swki_fail(err, SWK_ELIMIT, PREFIX "more than %d terms",
                             SWKI_GENERIC_RESOURCES_MAX);
        }
        rc = parse_term(arena, field, &out_terms->list[out_terms->count], err);
        if (rc != SWK_OK) {
            return rc;
        }
        out_terms->count++;
    }
    return SWK_OK;
}

/* One integer, or names only. */
static int check_kind(const struct terms *terms, const struct term *term,
                      struct swk_error *err)
{
    size_t integers = 0;
    size_t count = 0;

    for (size_t i = 0; i < terms->count; i++) {
        if (strcmp(terms->list[i].kind, term->kind) == 0) {
            count++;
            integers += terms->list[i].is_integer ? 1 : 0;
        }
    }
    if (integers > 0 && count > 1) {
        return swki_fail(err, SWK_EINVAL,
                         PREFIX "mixed discrete and named resources in "
                                "expression '%s'",
                         term->text);
    }
    if (term->is_integer && term->integer < 0) {
        return swki_fail(err, SWK_EINVAL,
                         PREFIX "cannot ask for negative resource %s",
                         term->kind);
    }
    return SWK_OK;
}

static Swkpb__GenericResource *make(struct swki_arena *arena,
                                    const struct term *term)
{
    Swkpb__GenericResource *r = swki_arena_alloc(arena, sizeof(*r));
    Swkpb__NamedGenericResource *named =
        swki_arena_alloc(arena, sizeof(*named));
    Swkpb__DiscreteGenericResource *discrete =
        swki_arena_alloc(arena, sizeof(*discrete));

    if (r == NULL || named == NULL || discrete == NULL) {
        return NULL;
    }
    swkpb__generic_resource__init(r);
    if (term->is_integer) {
        swkpb__discrete_generic_resource__init(discrete);
        discrete->kind = term->kind;
        discrete->value = term->integer;
        r->resource_case =
            SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC;
        r->discrete_resource_spec = discrete;
        return r;
    }
    swkpb__named_generic_resource__init(named);
    named->kind = term->kind;
    named->value = term->value;
    r->resource_case = SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC;
    r->named_resource_spec = named;
    return r;
}

int swki_generic_parse(const char *text, struct swki_arena *arena,
                       Swkpb__GenericResource ***out_list, size_t *out_count,
                       struct swk_error *err)
{
    Swkpb__GenericResource **list;
    struct terms *terms;
    int rc;

    if (text == NULL || *text == '\0') {
        *out_list = NULL;
        *out_count = 0;
        return SWK_OK;
    }
    if (strpbrk(text, "\r\n") != NULL) {
        return swki_fail(err, SWK_EINVAL, PREFIX "unexpected '\\n' character");
    }
    terms = swki_arena_calloc(arena, 1, sizeof(*terms));
    if (terms == NULL) {
        return swki_fail_nomem(err);
    }
    rc = parse_terms(text, arena, terms, err);
    if (rc != SWK_OK) {
        return rc;
    }
    list = swki_arena_calloc(arena, terms->count, sizeof(*list));
    for (size_t i = 0; i < terms->count; i++) {
        rc = check_kind(terms, &terms->list[i], err);
        if (rc != SWK_OK) {
            return rc;
        }
        if (list == NULL || (list[i] = make(arena, &terms->list[i])) == NULL) {
            return swki_fail_nomem(err);
        }
    }
    *out_list = list;
    *out_count = terms->count;
    return SWK_OK;
}
