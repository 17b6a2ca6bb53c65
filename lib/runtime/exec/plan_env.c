/* SPDX-License-Identifier: Apache-2.0 */

/* The environment: the spec's, then what tells of claimed resources. */

#include "runtime/exec/plan.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* Length of the name of an entry, which has '=' or not. */
static size_t name_len(const char *entry)
{
    return strcspn(entry, "=");
}

/* As in an image's environment, the last entry of a name counts. */
static bool is_replaced(const Swkpb__ContainerSpec *spec, size_t index)
{
    const char *entry = spec->env[index];
    size_t len = name_len(entry);

    for (size_t i = index + 1; i < spec->n_env; i++) {
        if (name_len(spec->env[i]) == len &&
            memcmp(spec->env[i], entry, len) == 0) {
            return true;
        }
    }
    return false;
}

static const char *resource_kind(const Swkpb__GenericResource *r)
{
    switch (r->resource_case) {
    case SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC:
        return r->named_resource_spec->kind;
    case SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC:
        return r->discrete_resource_spec->kind;
    default: /* from the wire, so anything */
        return NULL;
    }
}

static void add_resource_value(struct swki_buf *buf,
                               const Swkpb__GenericResource *r)
{
    if (r->resource_case ==
        SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC) {
        swki_buf_append_text(buf, r->named_resource_spec->value);
    } else {
        swki_buf_printf(buf, "%" PRId64, r->discrete_resource_spec->value);
    }
}

/* One variable for a kind: that of the resource at index, if it is the first
 * of its kind. */
static int add_resource(struct swki_plan *plan, const Swkpb__Task *task,
                        size_t index, struct swk_error *err)
{
    struct swki_buf *buf = &plan->instructions;
    const char *kind = resource_kind(task->assigned_generic_resources[index]);
    const char *separator = "=";

    if (kind == NULL || *kind == '\0' || strchr(kind, '=') != NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "assigned_generic_resources: a kind has no name");
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(resource_kind(task->assigned_generic_resources[i]), kind) ==
            0) {
            return SWK_OK;
        }
    }
    swki_buf_append(buf, "env", sizeof("env"));
    swki_buf_append_text(buf, "DOCKER_RESOURCE_");
    for (const char *c = kind; *c != '\0'; c++) {
        swki_buf_append_byte(buf, (uint8_t)toupper((unsigned char)*c));
    }
    for (size_t i = index; i < task->n_assigned_generic_resources; i++) {
        const Swkpb__GenericResource *r = task->assigned_generic_resources[i];
        const char *its_kind = resource_kind(r);

        if (its_kind != NULL && strcmp(its_kind, kind) == 0) {
            swki_buf_append_text(buf, separator);
            add_resource_value(buf, r);
            separator = ",";
        }
    }
    swki_buf_append_byte(buf, 0);
    return SWK_OK;
}

int swki_plan_add_env(struct swki_plan *plan, const Swkpb__Task *task,
                      struct swk_error *err)
{
    const Swkpb__ContainerSpec *spec = task->spec->container;

    if (spec->n_env > SWKI_PLAN_ENV_MAX ||
        task->n_assigned_generic_resources > SWKI_PLAN_ENV_MAX) {
        return swki_fail(err, SWK_ELIMIT, "container.env: more than %d entries",
                         SWKI_PLAN_ENV_MAX);
    }
    for (size_t i = 0; i < spec->n_env; i++) {
        const char *entry = spec->env[i];

        if (name_len(entry) == 0) {
            return swki_fail(err, SWK_EINVAL,
                             "container.env: entry %zu has no name", i + 1);
        }
        if (strstr(entry + name_len(entry), "{{") != NULL) {
            return swki_fail(err, SWK_ENOTSUP,
                             "container.env: %.*s: templates are not expanded "
                             "by the process executor",
                             (int)(name_len(entry) < 64 ? name_len(entry) : 64),
                             entry);
        }
        if (!is_replaced(spec, i)) {
            swki_plan_add(plan, "env", entry);
        }
    }
    for (size_t i = 0; i < task->n_assigned_generic_resources; i++) {
        int rc = add_resource(plan, task, i, err);

        if (rc != SWK_OK) {
            return rc;
        }
    }
    return SWK_OK;
}
