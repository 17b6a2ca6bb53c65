/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "core/control/validate.h"
#include "core/scheduler/constraint.h"
#include "core/trust/trust.h"

enum {
    CPU_MIN = 1000000,                /* billionths: 0.001 CPU */
    MEMORY_MIN = 4 * 1024 * 1024,     /* bytes */
    GENERIC_RUNTIME_KIND_LEN_MIN = 3, /* bytes */
    SWAPPINESS_MAX = 100,
};

/* Only counted resources can be asked for; which ones of a set a task gets is
 * the scheduler's to say. */
static int check_generic(const Swkpb__Resources *resources,
                         struct swk_error *err)
{
    for (size_t i = 0; i < resources->n_generic; i++) {
        const Swkpb__GenericResource *g = resources->generic[i];

        if (g->resource_case !=
            SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC) {
            return swki_fail(err, SWK_EINVAL,
                             "generic resources can only be requested by "
                             "number");
        }
        const Swkpb__DiscreteGenericResource *d = g->discrete_resource_spec;
        if (d->kind[0] == '\0' || d->value < 0) {
            return swki_fail(err, SWK_EINVAL,
                             "a generic resource needs a kind, and a number "
                             "that is not negative");
        }
        for (size_t j = 0; j < i; j++) {
            const char *earlier =
                resources->generic[j]->discrete_resource_spec->kind;

            if (strcmp(d->kind, earlier) == 0) {
                return swki_fail(err, SWK_EINVAL,
                                 "generic resource %.64s is requested twice",
                                 earlier);
            }
        }
    }
    return SWK_OK;
}

static int check_amounts(const Swkpb__Resources *resources, const char *what,
                         struct swk_error *err)
{
    if (resources == NULL) {
        return SWK_OK;
    }
    if (resources->nano_cpus != 0 && resources->nano_cpus < CPU_MIN) {
        return swki_fail(err, SWK_EINVAL,
                         "invalid CPU %s: the minimum is 0.001", what);
    }
    if (resources->memory_bytes != 0 && resources->memory_bytes < MEMORY_MIN) {
        return swki_fail(err, SWK_EINVAL,
                         "invalid memory %s: the minimum is 4 MiB", what);
    }
    return check_generic(resources, err);
}

/* A reservation that the limit does not let a task use is a mistake. */
static int check_limits_cover(const Swkpb__ResourceRequirements *r,
                              struct swk_error *err)
{
    const Swkpb__Resources *limits = r->limits;
    const Swkpb__Resources *reservations = r->reservations;

    if (limits == NULL || reservations == NULL) {
        return SWK_OK;
    }
    if (limits->nano_cpus != 0 &&
        limits->nano_cpus < reservations->nano_cpus) {
        return swki_fail(err, SWK_EINVAL,
                         "the CPU limit is below the reservation");
    }
    if (limits->memory_bytes != 0 &&
        limits->memory_bytes < reservations->memory_bytes) {
        return swki_fail(err, SWK_EINVAL,
                         "the memory limit is below the reservation");
    }
    return SWK_OK;
}

static int check_resources(const Swkpb__ResourceRequirements *r,
                           struct swk_error *err)
{
    if (r == NULL) {
        return SWK_OK;
    }

    int rc = check_amounts(r->limits, "limit", err);
    if (rc == SWK_OK) {
        rc = check_amounts(r->reservations, "reservation", err);
    }
    if (rc == SWK_OK) {
        rc = check_limits_cover(r, err);
    }
    if (rc == SWK_OK && r->memory_swappiness != NULL &&
        (r->memory_swappiness->value < -1 ||
         r->memory_swappiness->value > SWAPPINESS_MAX)) {
        rc = swki_fail(err, SWK_EINVAL,
                       "memory swappiness must be between -1 and 100");
    }
    if (rc == SWK_OK && r->swap_bytes != NULL && r->swap_bytes->value > 0 &&
        (r->limits == NULL || r->limits->memory_bytes == 0)) {
        rc = swki_fail(err, SWK_EINVAL,
                       "a swap limit needs a memory limit beside it");
    }
    return rc;
}

static int check_restart(const Swkpb__RestartPolicy *restart,
                         struct swk_error *err)
{
    if (restart == NULL) {
        return SWK_OK;
    }

    int rc = swki_validate_duration(restart->delay, "restart delay", err);
    if (rc == SWK_OK) {
        rc = swki_validate_duration(restart->window, "restart window", err);
    }
    if (rc == SWK_OK) {
        rc = swki_validate_enum(
            &swkpb__restart_policy__restart_condition__descriptor,
            (int)restart->condition, "restart condition", err);
    }
    return rc;
}

static int check_placement(const Swkpb__Placement *placement,
                           const struct swk_alloc *alloc, struct swk_error *err)
{
    struct swki_constraints constraints;

    if (placement == NULL) {
        return SWK_OK;
    }

    int rc = swki_constraints_parse(alloc, placement->constraints,
                                    placement->n_constraints, &constraints,
                                    err);
    if (rc == SWK_OK) {
        swki_constraints_fini(&constraints);
    }
    return rc;
}

static int check_generic_runtime(const Swkpb__GenericRuntimeSpec *generic,
                                 struct swk_error *err)
{
    if (generic == NULL ||
        strlen(generic->kind) < GENERIC_RUNTIME_KIND_LEN_MIN) {
        return swki_fail(err, SWK_EINVAL,
                         "the kind of a generic runtime has at least 3 bytes");
    }
    if (strcasecmp(generic->kind, "container") == 0 ||
        strcasecmp(generic->kind, "attachment") == 0) {
        return swki_fail(err, SWK_EINVAL,
                         "%s is not a kind of generic runtime", generic->kind);
    }
    if (generic->payload == NULL || generic->payload->type_url[0] == '\0' ||
        generic->payload->value.len == 0) {
        return swki_fail(err, SWK_EINVAL,
                         "a generic runtime needs a payload with a type");
    }
    return SWK_OK;
}

static int check_runtime(const Swkpb__TaskSpec *task, struct swk_error *err)
{
    switch (task->runtime_case) {
    case SWKPB__TASK_SPEC__RUNTIME_CONTAINER:
        return task->container != NULL
                   ? swki_validate_container(task->container, err)
                   : swki_fail(err, SWK_EINVAL, "the container is missing");
    case SWKPB__TASK_SPEC__RUNTIME_GENERIC:
        return check_generic_runtime(task->generic, err);
    case SWKPB__TASK_SPEC__RUNTIME_ATTACHMENT:
        return swki_fail(err, SWK_ENOTSUP,
                         "network attachments cannot be services");
    default:
        return swki_fail(err, SWK_EINVAL, "a runtime must be given");
    }
}

static int check_task(const Swkpb__TaskSpec *task,
                      const struct swk_alloc *alloc, struct swk_error *err)
{
    if (task == NULL) {
        return swki_fail(err, SWK_EINVAL, "a runtime must be given");
    }

    int rc = check_resources(task->resources, err);
    if (rc == SWK_OK) {
        rc = check_restart(task->restart, err);
    }
    if (rc == SWK_OK) {
        rc = check_placement(task->placement, alloc, err);
    }
    if (rc == SWK_OK &&
        task->runtime_case == SWKPB__TASK_SPEC__RUNTIME_CONTAINER &&
        task->container != NULL) {
        rc = swki_validate_references(task->container, err);
    }
    return rc == SWK_OK ? check_runtime(task, err) : rc;
}

static int check_mode(const Swkpb__ServiceSpec *spec, struct swk_error *err)
{
    switch (spec->mode_case) {
    case SWKPB__SERVICE_SPEC__MODE_REPLICATED:
        if (spec->replicated == NULL ||
            spec->replicated->replicas > INT64_MAX) {
            return swki_fail(err, SWK_EINVAL,
                             "the number of replicas must not be negative");
        }
        return SWK_OK;
    case SWKPB__SERVICE_SPEC__MODE_REPLICATED_JOB:
        if (spec->replicated_job == NULL ||
            spec->replicated_job->max_concurrent > INT64_MAX ||
            spec->replicated_job->total_completions > INT64_MAX) {
            return swki_fail(err, SWK_EINVAL,
                             "the numbers of concurrent and of total "
                             "completions must not be negative");
        }
        return SWK_OK;
    case SWKPB__SERVICE_SPEC__MODE_GLOBAL:
    case SWKPB__SERVICE_SPEC__MODE_GLOBAL_JOB:
        return SWK_OK;
    default:
        return swki_fail(err, SWK_EINVAL, "a mode must be given");
    }
}

static int check_update(const Swkpb__UpdateConfig *update,
                        struct swk_error *err)
{
    if (update == NULL) {
        return SWK_OK;
    }

    int rc = swki_validate_duration(update->delay, "update delay", err);
    if (rc == SWK_OK) {
        rc = swki_validate_duration(update->monitor, "update monitor", err);
    }
    /* Written so that it refuses what is not a number. */
    if (rc == SWK_OK && !(update->max_failure_ratio >= 0.0F &&
                          update->max_failure_ratio <= 1.0F)) {
        rc = swki_fail(err, SWK_EINVAL,
                       "the failure ratio must be between 0 and 1");
    }
    if (rc == SWK_OK) {
        rc = swki_validate_enum(
            &swkpb__update_config__failure_action__descriptor,
            (int)update->failure_action, "failure action", err);
    }
    if (rc == SWK_OK) {
        rc = swki_validate_enum(&swkpb__update_config__update_order__descriptor,
                                (int)update->order, "update order", err);
    }
    return rc;
}

static int check_updates(const Swkpb__ServiceSpec *spec, struct swk_error *err)
{
    bool job = spec->mode_case == SWKPB__SERVICE_SPEC__MODE_REPLICATED_JOB ||
               spec->mode_case == SWKPB__SERVICE_SPEC__MODE_GLOBAL_JOB;

    if (job && spec->update != NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "jobs have no update configuration");
    }

    int rc = check_update(spec->update, err);
    return rc == SWK_OK ? check_update(spec->rollback, err) : rc;
}

int swki_validate_service(const Swkpb__ServiceSpec *spec,
                          const struct swk_alloc *alloc, struct swk_error *err)
{
    if (spec == NULL) {
        return swki_fail(err, SWK_EINVAL, "a service spec must be given");
    }

    int rc = swki_validate_name(
        spec->annotations != NULL ? spec->annotations->name : "", err);
    if (rc == SWK_OK) {
        rc = check_task(spec->task, alloc, err);
    }
    if (rc == SWK_OK) {
        rc = check_mode(spec, err);
    }
    if (rc == SWK_OK) {
        rc = check_updates(spec, err);
    }
    if (rc == SWK_OK) {
        rc =
            swki_signatures_validate(spec->signatures, spec->n_signatures, err);
    }
    return rc == SWK_OK ? swki_validate_endpoint(spec->endpoint, err) : rc;
}
