/* SPDX-License-Identifier: Apache-2.0 */

/* Names that must be unique, and the kinds that resources belong to. */

#include <string.h>

#include "base/error.h"
#include "core/store/store_impl.h"

enum {
    NAME_SIZE = 1024,
};

static const struct swki_object *find_one(const struct swki_view *view,
                                          enum swki_kind kind, enum swki_by by,
                                          const char *text,
                                          struct swki_cursor *cursor)
{
    const struct swki_selector selector = {.by = by, .text = text};
    int rc = swki_view_find(view, kind, &selector, cursor, NULL);

    return rc == SWK_OK ? swki_cursor_next(cursor) : NULL;
}

/* Whether another object has the name; resources are told apart by kind. */
static bool name_is_taken(const struct swki_view *view,
                          const struct swki_object *object)
{
    enum swki_kind kind = swki_object_kind(object);
    char name[NAME_SIZE];
    struct swki_cursor cursor;
    const struct swki_object *other =
        find_one(view, kind, SWKI_BY_NAME,
                 swki_object_name(object, name, sizeof(name)), &cursor);

    for (; other != NULL; other = swki_cursor_next(&cursor)) {
        bool is_same =
            strcmp(swki_object_id(other), swki_object_id(object)) == 0;

        if (!is_same && (kind != SWKI_KIND_RESOURCE ||
                         swki_text_equal(swki_resource(other)->kind,
                                         swki_resource(object)->kind))) {
            return true;
        }
    }
    return false;
}

static int fail_name(struct swk_error *err)
{
    return swki_fail(err, SWK_EEXIST,
                     "name conflicts with an existing object");
}

static int check_kind(const struct swki_view *view,
                      const struct swki_object *object, struct swk_error *err)
{
    struct swki_cursor cursor;

    if (find_one(view, SWKI_KIND_EXTENSION, SWKI_BY_NAME,
                 swki_resource(object)->kind, &cursor) == NULL) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "object kind is unregistered");
    }
    return SWK_OK;
}

static bool is_table_name(const struct swki_object *extension)
{
    const char *name = swki_object_name(extension, NULL, 0);

    for (int kind = 0; kind < SWKI_KINDS_COUNT; kind++) {
        if (swki_text_equal(name, swki_kind_name((enum swki_kind)kind))) {
            return true;
        }
    }
    return false;
}

static bool has_unique_name(enum swki_kind kind)
{
    return kind != SWKI_KIND_NODE && kind != SWKI_KIND_TASK;
}

int swki_names_check_create(const struct swki_view *view,
                            const struct swki_object *object,
                            struct swk_error *err)
{
    enum swki_kind kind = swki_object_kind(object);
    int rc = SWK_OK;

    if (kind == SWKI_KIND_RESOURCE) {
        rc = check_kind(view, object, err);
    }
    if (rc == SWK_OK && kind == SWKI_KIND_EXTENSION && is_table_name(object)) {
        rc = fail_name(err);
    }
    if (rc == SWK_OK && has_unique_name(kind) && name_is_taken(view, object)) {
        rc = fail_name(err);
    }
    return rc;
}

int swki_names_check_update(const struct swki_view *view,
                            const struct swki_object *object,
                            struct swk_error *err)
{
    enum swki_kind kind = swki_object_kind(object);
    int rc = SWK_OK;

    if (kind == SWKI_KIND_EXTENSION) {
        return swki_fail(err, SWK_EINVAL, "extensions are immutable");
    }
    if (kind == SWKI_KIND_RESOURCE) {
        rc = check_kind(view, object, err);
    }
    if (rc == SWK_OK && has_unique_name(kind) && name_is_taken(view, object)) {
        rc = fail_name(err);
    }
    return rc;
}

int swki_names_check_delete(const struct swki_view *view,
                            const struct swki_object *object,
                            struct swk_error *err)
{
    const char *name;
    struct swki_cursor cursor;
    const struct swki_object *resource;

    if (swki_object_kind(object) != SWKI_KIND_EXTENSION) {
        return SWK_OK;
    }
    /* Kinds and names of extensions are matched in any case, everywhere. */
    name = swki_object_name(object, NULL, 0);
    resource = find_one(view, SWKI_KIND_RESOURCE, SWKI_BY_KIND, name, &cursor);
    if (resource != NULL) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "cannot delete extension because objects of this "
                         "type exist in the data store");
    }
    return SWK_OK;
}
