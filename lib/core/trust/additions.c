/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the swarm adds to a task beside its spec. No signature is over it, since
 * it differs from task to task; so it must be what the spec asks for.
 */

#include <string.h>

#include "base/error.h"
#include "core/trust/statement.h"
#include "wire/message.h"

static bool same(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

/* -- Ports ---------------------------------------------------------------- */

/* A number that the spec left open was chosen by the swarm. */
static bool port_fits(const Swkpb__PortConfig *given,
                      const Swkpb__PortConfig *wanted)
{
    return same(given->name, wanted->name) &&
           given->protocol == wanted->protocol &&
           given->target_port == wanted->target_port &&
           given->publish_mode == wanted->publish_mode &&
           (wanted->published_port == 0 ||
            given->published_port == wanted->published_port);
}

static bool ports_fit(const Swkpb__Endpoint *endpoint)
{
    const Swkpb__EndpointSpec *spec = endpoint->spec;

    if (endpoint->n_ports == 0) {
        return true; /* not allocated */
    }
    if (spec == NULL || spec->n_ports != endpoint->n_ports) {
        return false;
    }
    for (size_t i = 0; i < spec->n_ports; i++) {
        if (!port_fits(endpoint->ports[i], spec->ports[i])) {
            return false;
        }
    }
    return true;
}

/* -- Networks ------------------------------------------------------------- */

static bool publishes_by_ingress(const Swkpb__Task *task)
{
    const Swkpb__EndpointSpec *spec =
        task->endpoint != NULL ? task->endpoint->spec : NULL;

    for (size_t i = 0; spec != NULL && i < spec->n_ports; i++) {
        if (spec->ports[i]->publish_mode ==
            SWKPB__PORT_CONFIG__PUBLISH_MODE__INGRESS) {
            return true;
        }
    }
    return false;
}

static bool network_fits(const Swkpb__Task *task,
                         const Swkpb__NetworkAttachment *attachment)
{
    const Swkpb__Network *network = attachment->network;
    const Swkpb__NetworkSpec *spec = network != NULL ? network->spec : NULL;
    const char *name = spec != NULL && spec->annotations != NULL
                           ? spec->annotations->name
                           : NULL;

    if (network == NULL) {
        return false;
    }
    for (size_t i = 0; i < task->spec->n_networks; i++) {
        const char *target = task->spec->networks[i]->target;

        if (same(target, network->id) || same(target, name)) {
            return true;
        }
    }
    return spec != NULL && spec->ingress && publishes_by_ingress(task);
}

/* -- Resources and volumes ------------------------------------------------ */

static const char *kind_of(const Swkpb__GenericResource *resource,
                           int64_t *out_count)
{
    *out_count = 0;
    switch (resource->resource_case) {
    case SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC:
        *out_count = 1;
        return resource->named_resource_spec->kind;
    case SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC:
        *out_count = resource->discrete_resource_spec->value;
        return resource->discrete_resource_spec->kind;
    default:
        return NULL;
    }
}

/* How much there is of a kind in a list; -1 if the amounts make no sense. */
static int64_t amount_of(Swkpb__GenericResource *const *list, size_t count,
                         const char *kind)
{
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        int64_t more;
        const char *is = kind_of(list[i], &more);

        if (is == NULL || !same(is, kind)) {
            continue;
        }
        if (more < 0 || more > INT64_MAX - sum) {
            return -1;
        }
        sum += more;
    }
    return sum;
}

static bool resources_fit(const Swkpb__Task *task)
{
    const Swkpb__ResourceRequirements *resources = task->spec->resources;
    const Swkpb__Resources *reserved =
        resources != NULL ? resources->reservations : NULL;
    size_t count = task->n_assigned_generic_resources;

    for (size_t i = 0; i < count; i++) {
        int64_t unused;
        const char *kind =
            kind_of(task->assigned_generic_resources[i], &unused);
        int64_t given =
            kind == NULL
                ? -1
                : amount_of(task->assigned_generic_resources, count, kind);

        if (given < 0 || reserved == NULL ||
            given > amount_of(reserved->generic, reserved->n_generic, kind)) {
            return false;
        }
    }
    return true;
}

static bool volume_fits(const Swkpb__TaskSpec *spec,
                        const Swkpb__VolumeAttachment *volume)
{
    const Swkpb__ContainerSpec *container =
        spec->runtime_case == SWKPB__TASK_SPEC__RUNTIME_CONTAINER
            ? spec->container
            : NULL;

    for (size_t i = 0; container != NULL && i < container->n_mounts; i++) {
        const Swkpb__Mount *mount = container->mounts[i];

        if (mount->type == SWKPB__MOUNT__TYPE__CLUSTER &&
            same(mount->source, volume->source) &&
            same(mount->target, volume->target)) {
            return true;
        }
    }
    return false;
}

/* -- All of it ------------------------------------------------------------ */

/* The cluster's default stands in for a driver that the spec does not name. */
static bool log_driver_fits(const Swkpb__Task *task)
{
    const Swkpb__Driver *wanted = task->spec->log_driver;

    return wanted == NULL || task->log_driver == NULL ||
           swki_message_equal(&wanted->base, &task->log_driver->base);
}

int swki_task_additions_check(const Swkpb__Task *task, struct swk_error *err)
{
    static const char text[] = "the task has %s that its spec does not ask for";

    if (task->spec == NULL) {
        return swki_fail(err, SWK_EINVAL, "the task has no spec");
    }
    if (task->annotations != NULL && !same(task->annotations->name, "")) {
        return swki_fail(err, SWK_EINVAL, text, "a name");
    }
    if (task->endpoint != NULL && !ports_fit(task->endpoint)) {
        return swki_fail(err, SWK_EINVAL, text, "ports");
    }
    for (size_t i = 0; i < task->n_networks; i++) {
        if (!network_fits(task, task->networks[i])) {
            return swki_fail(err, SWK_EINVAL, text, "a network");
        }
    }
    if (!resources_fit(task)) {
        return swki_fail(err, SWK_EINVAL, text, "generic resources");
    }
    for (size_t i = 0; i < task->n_volumes; i++) {
        if (!volume_fits(task->spec, task->volumes[i])) {
            return swki_fail(err, SWK_EINVAL, text, "a volume");
        }
    }
    return log_driver_fits(task)
               ? SWK_OK
               : swki_fail(err, SWK_EINVAL, text, "a log driver");
}
