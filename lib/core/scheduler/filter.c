/* SPDX-License-Identifier: Apache-2.0 */

#include "core/scheduler/filter.h"

#include <stdio.h>
#include <string.h>

/* -- Ready ---------------------------------------------------------------- */

static bool check_ready(const struct swki_sieve *sieve,
                        const struct swki_table_node *node)
{
    const Swkpb__Node *n = swki_node(node->object);

    return n->status != NULL &&
           n->status->state == SWKPB__NODE_STATUS__STATE__READY &&
           (n->spec == NULL ||
            n->spec->availability == SWKPB__NODE_SPEC__AVAILABILITY__ACTIVE);
}

static bool always(const Swkpb__Task *task)
{
    return true;
}

/* -- Resources ------------------------------------------------------------ */

static bool reserves(const Swkpb__Task *task)
{
    const Swkpb__Resources *reserved = swki_reservations(task);

    return reserved != NULL &&
           (reserved->nano_cpus != 0 || reserved->memory_bytes != 0 ||
            reserved->n_generic > 0);
}

/* Only amounts can be asked for; what a kind has is an amount or names. */
static bool has_generic(const struct swki_table_node *node,
                        const Swkpb__GenericResource *wanted)
{
    const Swkpb__DiscreteGenericResource *amount;
    int64_t left = 0;
    bool known = false;

    if (wanted->resource_case !=
        SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC) {
        return false;
    }
    amount = wanted->discrete_resource_spec;
    for (size_t i = 0; i < node->generic_count; i++) {
        if (strcmp(node->generic[i].kind, amount->kind) == 0) {
            known = true;
            left += node->generic[i].left;
        }
    }
    return known && left >= amount->value;
}

static bool check_resources(const struct swki_sieve *sieve,
                            const struct swki_table_node *node)
{
    const Swkpb__Resources *reserved = swki_reservations(sieve->task);

    if ((reserved->nano_cpus > 0 && reserved->nano_cpus > node->cpus_free) ||
        (reserved->memory_bytes > 0 &&
         reserved->memory_bytes > node->memory_free)) {
        return false;
    }
    for (size_t i = 0; i < reserved->n_generic; i++) {
        if (!has_generic(node, reserved->generic[i])) {
            return false;
        }
    }
    return true;
}

/* -- Plugins -------------------------------------------------------------- */

static const char *volume_driver(const Swkpb__Mount *mount)
{
    const Swkpb__Driver *driver = mount->volume_options != NULL
                                      ? mount->volume_options->driver_config
                                      : NULL;

    if (mount->type != SWKPB__MOUNT__TYPE__VOLUME || driver == NULL ||
        driver->name[0] == '\0' || strcmp(driver->name, "local") == 0) {
        return NULL;
    }
    return driver->name;
}

static const char *network_driver(const Swkpb__NetworkAttachment *attachment)
{
    const Swkpb__Driver *driver =
        attachment->network != NULL ? attachment->network->driver_state : NULL;

    return driver != NULL && driver->name[0] != '\0' ? driver->name : NULL;
}

static const char *log_driver(const Swkpb__Task *task)
{
    const Swkpb__Driver *driver =
        task->spec != NULL ? task->spec->log_driver : NULL;

    if (driver == NULL || driver->name[0] == '\0' ||
        strcmp(driver->name, "none") == 0) {
        return NULL;
    }
    return driver->name;
}

static const Swkpb__ContainerSpec *container_of(const Swkpb__Task *task)
{
    return task->spec != NULL && task->spec->runtime_case ==
                                     SWKPB__TASK_SPEC__RUNTIME_CONTAINER
               ? task->spec->container
               : NULL;
}

static bool uses_plugins(const Swkpb__Task *task)
{
    const Swkpb__ContainerSpec *container = container_of(task);

    if (task->n_networks > 0 || log_driver(task) != NULL) {
        return true;
    }
    for (size_t i = 0; container != NULL && i < container->n_mounts; i++) {
        if (volume_driver(container->mounts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static bool has_type(const Swkpb__EngineDescription *engine, const char *type)
{
    for (size_t i = 0; i < engine->n_plugins; i++) {
        if (strcmp(engine->plugins[i]->type, type) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_plugin(const Swkpb__EngineDescription *engine, const char *type,
                       const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < engine->n_plugins; i++) {
        const Swkpb__PluginDescription *plugin = engine->plugins[i];

        if (strcmp(plugin->type, type) == 0 &&
            strncmp(plugin->name, name, len) == 0 &&
            (plugin->name[len] == '\0' ||
             strcmp(plugin->name + len, ":latest") == 0)) {
            return true;
        }
    }
    return false;
}

static bool check_plugins(const struct swki_sieve *sieve,
                          const struct swki_table_node *node)
{
    const Swkpb__Node *n = swki_node(node->object);
    const Swkpb__EngineDescription *engine =
        n->description != NULL ? n->description->engine : NULL;
    const Swkpb__ContainerSpec *container = container_of(sieve->task);
    const char *name;

    if (engine == NULL) {
        return true;
    }
    for (size_t i = 0; container != NULL && i < container->n_mounts; i++) {
        name = volume_driver(container->mounts[i]);
        if (name != NULL && !has_plugin(engine, "Volume", name)) {
            return false;
        }
    }
    for (size_t i = 0; i < sieve->task->n_networks; i++) {
        name = network_driver(sieve->task->networks[i]);
        if (name != NULL && !has_plugin(engine, "Network", name)) {
            return false;
        }
    }
    name = log_driver(sieve->task);
    /* Old engines do not list their log drivers. */
    return name == NULL || !has_type(engine, "Log") ||
           has_plugin(engine, "Log", name);
}

/* -- Placement ------------------------------------------------------------ */

static const Swkpb__Placement *placement_of(const Swkpb__Task *task)
{
    return task->spec != NULL ? task->spec->placement : NULL;
}

static bool has_constraints(const Swkpb__Task *task)
{
    const Swkpb__Placement *placement = placement_of(task);

    return placement != NULL && placement->n_constraints > 0;
}

static bool check_constraints(const struct swki_sieve *sieve,
                              const struct swki_table_node *node)
{
    return swki_constraints_match(&sieve->constraints, swki_node(node->object));
}

static bool has_platforms(const Swkpb__Task *task)
{
    const Swkpb__Placement *placement = placement_of(task);

    return placement != NULL && placement->n_platforms > 0;
}

static const char *architecture(const char *name)
{
    if (strcmp(name, "x86_64") == 0) {
        return "amd64";
    }
    return strcmp(name, "aarch64") == 0 ? "arm64" : name;
}

static bool check_platform(const struct swki_sieve *sieve,
                           const struct swki_table_node *node)
{
    const Swkpb__Placement *placement = placement_of(sieve->task);
    const Swkpb__Node *n = swki_node(node->object);
    const Swkpb__Platform *has =
        n->description != NULL ? n->description->platform : NULL;

    for (size_t i = 0; has != NULL && i < placement->n_platforms; i++) {
        const Swkpb__Platform *wanted = placement->platforms[i];

        if ((wanted->os[0] == '\0' || strcmp(wanted->os, has->os) == 0) &&
            (wanted->architecture[0] == '\0' ||
             strcmp(architecture(wanted->architecture),
                    architecture(has->architecture)) == 0)) {
            return true;
        }
    }
    return false;
}

/* -- Ports, replicas, volumes --------------------------------------------- */

static bool has_host_ports(const Swkpb__Task *task)
{
    for (size_t i = 0; task->endpoint != NULL && i < task->endpoint->n_ports;
         i++) {
        if (swki_host_port(task->endpoint->ports[i]) != 0) {
            return true;
        }
    }
    return false;
}

static bool check_host_ports(const struct swki_sieve *sieve,
                             const struct swki_table_node *node)
{
    const Swkpb__Endpoint *endpoint = sieve->task->endpoint;

    for (size_t i = 0; i < endpoint->n_ports; i++) {
        uint32_t port = swki_host_port(endpoint->ports[i]);

        for (size_t j = 0; port != 0 && j < node->ports_count; j++) {
            if (node->ports[j] == port) {
                return false;
            }
        }
    }
    return true;
}

static bool has_max_replicas(const Swkpb__Task *task)
{
    const Swkpb__Placement *placement = placement_of(task);

    return placement != NULL && placement->max_replicas > 0;
}

static bool check_max_replicas(const struct swki_sieve *sieve,
                               const struct swki_table_node *node)
{
    return swki_table_count(sieve->service, node) <
           placement_of(sieve->task)->max_replicas;
}

static bool has_cluster_volumes(const Swkpb__Task *task)
{
    const Swkpb__ContainerSpec *container = container_of(task);

    for (size_t i = 0; container != NULL && i < container->n_mounts; i++) {
        if (container->mounts[i]->type == SWKPB__MOUNT__TYPE__CLUSTER) {
            return true;
        }
    }
    return false;
}

/* Cluster volumes are not part of this release: no node has them. */
static bool check_volumes(const struct swki_sieve *sieve,
                          const struct swki_table_node *node)
{
    return false;
}

/* -- Consent -------------------------------------------------------------- */

/* Most nodes say nothing: that is all they cost. */
static enum swki_filter check_consent(const struct swki_sieve *sieve,
                                      const struct swki_table_node *node)
{
    enum swki_consent_reason reason;

    if (node->consent == NULL) {
        return SWKI_FILTERS_COUNT;
    }
    if (node->is_unreadable) {
        return SWKI_FILTER_UNREADABLE;
    }
    reason = swki_consent_check(node->consent, sieve->task, NULL);
    return reason == SWKI_CONSENT_GIVEN
               ? SWKI_FILTERS_COUNT
               : SWKI_FILTER_CONSENT + (reason - SWKI_CONSENT_SIGNATURE);
}

/* -- The pipeline --------------------------------------------------------- */

/* The entry for a reason of those that have no filter of their own. */
#define CONSENT(reason)                                                        \
    [SWKI_FILTER_CONSENT + SWKI_CONSENT_##reason - SWKI_CONSENT_SIGNATURE]

static const struct filter {
    bool (*applies)(const Swkpb__Task *task);
    bool (*check)(const struct swki_sieve *sieve,
                  const struct swki_table_node *node);
    bool changes; /* by placing other tasks */
    const char *one;
    const char *many;
} filters[SWKI_FILTERS_COUNT] = {
    [SWKI_FILTER_READY] = {always, check_ready, false,
                           "1 node not available for new tasks",
                           "%u nodes not available for new tasks"},
    [SWKI_FILTER_RESOURCES] = {reserves, check_resources, true,
                               "insufficient resources on 1 node",
                               "insufficient resources on %u nodes"},
    [SWKI_FILTER_PLUGINS] = {uses_plugins, check_plugins, false,
                             "missing plugin on 1 node",
                             "missing plugin on %u nodes"},
    [SWKI_FILTER_CONSTRAINTS] =
        {has_constraints, check_constraints, false,
         "scheduling constraints not satisfied on 1 node",
         "scheduling constraints not satisfied on %u nodes"},
    [SWKI_FILTER_PLATFORM] = {has_platforms, check_platform, false,
                              "unsupported platform on 1 node",
                              "unsupported platform on %u nodes"},
    [SWKI_FILTER_HOST_PORTS] = {has_host_ports, check_host_ports, true,
                                "host-mode port already in use on 1 node",
                                "host-mode port already in use on %u nodes"},
    [SWKI_FILTER_MAX_REPLICAS] = {has_max_replicas, check_max_replicas, true,
                                  "max replicas per node limit exceed",
                                  "max replicas per node limit exceed"},
    [SWKI_FILTER_VOLUMES] =
        {has_cluster_volumes, check_volumes, false,
         "cannot fulfill requested CSI volume mounts on 1 node",
         "cannot fulfill requested CSI volume mounts on %u nodes"},
    CONSENT(SIGNATURE) = {.one = "not signed by a key that 1 node trusts",
                          .many = "not signed by a key that %u nodes trust"},
    CONSENT(EXECUTOR) = {.one = "kind of task not allowed on 1 node",
                         .many = "kind of task not allowed on %u nodes"},
    CONSENT(IMAGE) = {.one = "image not allowed on 1 node",
                      .many = "image not allowed on %u nodes"},
    CONSENT(USER) = {.one = "user or group not allowed on 1 node",
                     .many = "user or group not allowed on %u nodes"},
    CONSENT(MOUNT) = {.one = "mount not allowed on 1 node",
                      .many = "mount not allowed on %u nodes"},
    CONSENT(RESOURCE) = {.one = "generic resource not allowed on 1 node",
                         .many = "generic resource not allowed on %u nodes"},
    CONSENT(NAMESPACE) = {.one = "host namespace not allowed on 1 node",
                          .many = "host namespace not allowed on %u nodes"},
    CONSENT(CAPABILITY) = {.one = "capability not allowed on 1 node",
                           .many = "capability not allowed on %u nodes"},
    CONSENT(PRIVILEGE) = {.one = "privilege not allowed on 1 node",
                          .many = "privilege not allowed on %u nodes"},
    CONSENT(SYSCTL) = {.one = "sysctl not allowed on 1 node",
                       .many = "sysctl not allowed on %u nodes"},
    CONSENT(PORT) = {.one = "published port not allowed on 1 node",
                     .many = "published port not allowed on %u nodes"},
    CONSENT(LIMIT) = {.one = "limits not low enough for 1 node",
                      .many = "limits not low enough for %u nodes"},
    [SWKI_FILTER_UNREADABLE] = {.one = "policy of 1 node not understood",
                                .many = "policies of %u nodes not understood"},
};

int swki_sieve_init(struct swki_sieve *sieve, const struct swk_alloc *alloc,
                    const struct swki_table_task *task)
{
    const Swkpb__Task *t = swki_task(task->object);
    int rc;

    *sieve = (struct swki_sieve){.task = t, .service = task->service};
    for (int i = 0; i < SWKI_FILTER_CONSENT; i++) {
        sieve->applies[i] = filters[i].applies(t);
    }
    if (!sieve->applies[SWKI_FILTER_CONSTRAINTS]) {
        return SWK_OK;
    }
    rc = swki_constraints_parse(alloc, placement_of(t)->constraints,
                                placement_of(t)->n_constraints,
                                &sieve->constraints, NULL);
    if (rc == SWK_EINVAL) {
        /* Refused when the service was written; older ones restrict nothing. */
        sieve->applies[SWKI_FILTER_CONSTRAINTS] = false;
        rc = SWK_OK;
    }
    return rc;
}

void swki_sieve_fini(struct swki_sieve *sieve)
{
    if (sieve->applies[SWKI_FILTER_CONSTRAINTS]) {
        swki_constraints_fini(&sieve->constraints);
    }
}

enum swki_filter swki_sieve_check(const struct swki_sieve *sieve,
                                  const struct swki_table_node *node)
{
    enum swki_filter i = 0;

    while (i < SWKI_FILTER_CONSENT &&
           (!sieve->applies[i] || filters[i].check(sieve, node))) {
        i++;
    }
    return i < SWKI_FILTER_CONSENT ? i : check_consent(sieve, node);
}

bool swki_sieve_recheck(const struct swki_sieve *sieve,
                        const struct swki_table_node *node)
{
    for (int i = 0; i < SWKI_FILTER_CONSENT; i++) {
        if (filters[i].changes && sieve->applies[i] &&
            !filters[i].check(sieve, node)) {
            return false;
        }
    }
    return true;
}

/* The filter with most refusals that is not done yet; pipeline order decides
 * between equals. */
static int find_next(const uint32_t refusals[SWKI_FILTERS_COUNT],
                     const bool done[SWKI_FILTERS_COUNT])
{
    int best = -1;

    for (int i = 0; i < SWKI_FILTERS_COUNT; i++) {
        if (!done[i] && refusals[i] > 0 &&
            (best < 0 || refusals[i] > refusals[best])) {
            best = i;
        }
    }
    return best;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
static int write_part(char *out, size_t size, int filter, uint32_t count)
{
    return snprintf(out, size,
                    count == 1 ? filters[filter].one : filters[filter].many,
                    count);
}
#pragma GCC diagnostic pop

void swki_explain(const uint32_t refusals[SWKI_FILTERS_COUNT],
                  char out_text[SWKI_EXPLANATION_SIZE])
{
    bool done[SWKI_FILTERS_COUNT] = {false};
    size_t len = 0;
    int filter;

    out_text[0] = '\0';
    while ((filter = find_next(refusals, done)) >= 0) {
        int wrote;

        if (len > 0 && len + 2 < SWKI_EXPLANATION_SIZE) {
            memcpy(out_text + len, "; ", 3);
            len += 2;
        }
        wrote = write_part(out_text + len, SWKI_EXPLANATION_SIZE - len, filter,
                           refusals[filter]);
        if (wrote < 0 || (size_t)wrote >= SWKI_EXPLANATION_SIZE - len) {
            return;
        }
        len += (size_t)wrote;
        done[filter] = true;
    }
}
