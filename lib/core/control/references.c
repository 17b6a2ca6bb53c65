/* SPDX-License-Identifier: Apache-2.0 */

#include "core/control/references.h"

#include <string.h>

#include "base/error.h"

/* Appends to a list of names; NULL for no memory. */
static const char *append(struct swki_control_request *r, const char *list,
                          const char *name)
{
    return list == NULL ? swki_arena_strdup(r->arena, name)
                        : swki_arena_printf(r->arena, "%s, %s", list, name);
}

int swki_check_unused(struct swki_control_request *r,
                      const struct swki_view *view,
                      const struct swki_object *object, enum swki_by by,
                      struct swk_error *err)
{
    const struct swki_selector users = {.by = by,
                                        .text = swki_object_id(object)};
    const char *names = NULL;
    struct swki_cursor cursor;
    size_t count = 0;
    int rc = swki_view_find(view, SWKI_KIND_SERVICE, &users, &cursor, err);

    if (rc != SWK_OK) {
        return rc;
    }
    for (const struct swki_object *o = swki_cursor_next(&cursor);
         rc == SWK_OK && o != NULL; o = swki_cursor_next(&cursor)) {
        names = append(r, names, swki_object_name(o, NULL, 0));
        rc = names != NULL ? SWK_OK : swki_fail_nomem(err);
        count++;
    }
    swki_cursor_close(&cursor);
    if (rc == SWK_OK && count > 0) {
        rc = swki_fail(err, SWK_EINVAL,
                       "%s '%s' is in use by the following service%s: %s",
                       swki_kind_name(swki_object_kind(object)),
                       swki_object_name(object, NULL, 0), count > 1 ? "s" : "",
                       names);
    }
    return rc;
}

struct reference {
    const char *id;
    const char *name;
};

static struct reference reference(const Swkpb__ContainerSpec *c,
                                  enum swki_kind kind, size_t i)
{
    return kind == SWKI_KIND_SECRET
               ? (struct reference){c->secrets[i]->secret_id,
                                    c->secrets[i]->secret_name}
               : (struct reference){c->configs[i]->config_id,
                                    c->configs[i]->config_name};
}

static int check_kind(struct swki_control_request *r,
                      const struct swki_view *view,
                      const Swkpb__ContainerSpec *c, enum swki_kind kind,
                      struct swk_error *err)
{
    size_t count = kind == SWKI_KIND_SECRET ? c->n_secrets : c->n_configs;
    const char *names = NULL;
    size_t bad = 0;

    for (size_t i = 0; i < count; i++) {
        const struct reference ref = reference(c, kind, i);
        const struct swki_object *object = swki_view_get(view, kind, ref.id);

        if (object != NULL &&
            strcmp(swki_object_name(object, NULL, 0), ref.name) == 0) {
            continue;
        }
        names = append(r, names, ref.name);
        if (names == NULL) {
            return swki_fail_nomem(err);
        }
        bad++;
    }
    if (bad == 0) {
        return SWK_OK;
    }
    return swki_fail(err, SWK_EINVAL, "%s%s not found: %s",
                     swki_kind_name(kind), bad > 1 ? "s" : "", names);
}

int swki_check_references(struct swki_control_request *r,
                          const struct swki_view *view,
                          const Swkpb__TaskSpec *task, struct swk_error *err)
{
    if (task->runtime_case != SWKPB__TASK_SPEC__RUNTIME_CONTAINER) {
        return SWK_OK;
    }

    int rc = check_kind(r, view, task->container, SWKI_KIND_SECRET, err);
    return rc == SWK_OK
               ? check_kind(r, view, task->container, SWKI_KIND_CONFIG, err)
               : rc;
}
