/* SPDX-License-Identifier: Apache-2.0 */

/* What is refused whatever its details are: a table, field by field. */

#include "runtime/exec/plan.h"

#include <string.h>

static bool no_text(const char *text)
{
    return text == NULL || *text == '\0';
}

/* One check each: whether the task asks for the thing. */

static bool asks_generic_limits(const Swkpb__Task *task,
                                const Swkpb__ContainerSpec *spec)
{
    const Swkpb__ResourceRequirements *r = task->spec->resources;

    (void)spec;
    return r != NULL && r->limits != NULL && r->limits->n_generic > 0;
}

static bool asks_swap(const Swkpb__Task *task, const Swkpb__ContainerSpec *spec)
{
    (void)spec;
    return task->spec->resources != NULL &&
           task->spec->resources->swap_bytes != NULL;
}

static bool asks_swappiness(const Swkpb__Task *task,
                            const Swkpb__ContainerSpec *spec)
{
    (void)spec;
    return task->spec->resources != NULL &&
           task->spec->resources->memory_swappiness != NULL;
}

static bool names_driver(const Swkpb__Driver *driver)
{
    return driver != NULL && (!no_text(driver->name) || driver->n_options > 0);
}

static bool asks_log_driver(const Swkpb__Task *task,
                            const Swkpb__ContainerSpec *spec)
{
    (void)spec;
    return names_driver(task->log_driver) ||
           names_driver(task->spec->log_driver);
}

/* The host's own network, as a predefined one. */
static bool is_host_network(const Swkpb__NetworkAttachment *attachment)
{
    const Swkpb__Network *network = attachment->network;

    return network != NULL && network->spec != NULL &&
           network->spec->annotations != NULL &&
           network->spec->annotations->name != NULL &&
           strcmp(network->spec->annotations->name, "host") == 0;
}

static bool asks_networks(const Swkpb__Task *task,
                          const Swkpb__ContainerSpec *spec)
{
    (void)spec;
    for (size_t i = 0; i < task->n_networks; i++) {
        if (!is_host_network(task->networks[i])) {
            return true;
        }
    }
    return task->n_networks < task->spec->n_networks;
}

/* A process binds the port it likes: only the same port outside works. */
static bool asks_port_mapping(const Swkpb__Task *task,
                              const Swkpb__ContainerSpec *spec)
{
    (void)spec;
    for (size_t i = 0; task->endpoint != NULL && i < task->endpoint->n_ports;
         i++) {
        const Swkpb__PortConfig *port = task->endpoint->ports[i];

        if (port->publish_mode == SWKPB__PORT_CONFIG__PUBLISH_MODE__HOST &&
            port->published_port != port->target_port) {
            return true;
        }
    }
    return false;
}

static bool asks_volumes(const Swkpb__Task *task,
                         const Swkpb__ContainerSpec *spec)
{
    (void)spec;
    return task->n_volumes > 0;
}

static bool asks_tty(const Swkpb__Task *task, const Swkpb__ContainerSpec *spec)
{
    (void)task;
    return spec->tty;
}

static bool asks_stdin(const Swkpb__Task *task,
                       const Swkpb__ContainerSpec *spec)
{
    (void)task;
    return spec->open_stdin;
}

static bool asks_configs(const Swkpb__Task *task,
                         const Swkpb__ContainerSpec *spec)
{
    (void)task;
    return spec->n_configs > 0;
}

static bool asks_hosts(const Swkpb__Task *task,
                       const Swkpb__ContainerSpec *spec)
{
    (void)task;
    return spec->n_hosts > 0;
}

static bool asks_dns(const Swkpb__Task *task, const Swkpb__ContainerSpec *spec)
{
    const Swkpb__ContainerSpec__DNSConfig *dns = spec->dns_config;

    (void)task;
    return dns != NULL &&
           (dns->n_nameservers > 0 || dns->n_search > 0 || dns->n_options > 0);
}

static bool asks_healthcheck(const Swkpb__Task *task,
                             const Swkpb__ContainerSpec *spec)
{
    const Swkpb__HealthConfig *health = spec->healthcheck;

    (void)task;
    return health != NULL && health->n_test > 0 &&
           strcmp(health->test[0], "NONE") != 0;
}

static bool asks_isolation(const Swkpb__Task *task,
                           const Swkpb__ContainerSpec *spec)
{
    (void)task;
    return spec->isolation !=
           SWKPB__CONTAINER_SPEC__ISOLATION__ISOLATION_DEFAULT;
}

static bool asks_sysctls(const Swkpb__Task *task,
                         const Swkpb__ContainerSpec *spec)
{
    (void)task;
    return spec->n_sysctls > 0;
}

static bool asks_credential_spec(const Swkpb__Task *task,
                                 const Swkpb__ContainerSpec *spec)
{
    (void)task;
    return spec->privileges != NULL &&
           spec->privileges->credential_spec != NULL;
}

static bool asks_selinux(const Swkpb__Task *task,
                         const Swkpb__ContainerSpec *spec)
{
    const Swkpb__Privileges__SELinuxContext *c =
        spec->privileges != NULL ? spec->privileges->selinux_context : NULL;

    (void)task;
    return c != NULL && (!no_text(c->user) || !no_text(c->role) ||
                         !no_text(c->type) || !no_text(c->level));
}

static bool asks_seccomp(const Swkpb__Task *task,
                         const Swkpb__ContainerSpec *spec)
{
    (void)task;
    return spec->privileges != NULL && spec->privileges->seccomp != NULL &&
           spec->privileges->seccomp->mode ==
               SWKPB__PRIVILEGES__SECCOMP_OPTS__SECCOMP_MODE__CUSTOM;
}

static const struct refusal {
    const char *field;
    bool (*asked)(const Swkpb__Task *task, const Swkpb__ContainerSpec *spec);
    const char *reason;
} refusals[] = {
    {"resources.limits.generic", asks_generic_limits,
     "generic resources can be reserved, not limited"},
    {"resources.swap_bytes", asks_swap, "swap is not limited"},
    {"resources.memory_swappiness", asks_swappiness, "swap is not tuned"},
    {"log_driver", asks_log_driver, "output goes to files of its own"},
    {"networks", asks_networks, "processes use the host's network"},
    {"endpoint.ports", asks_port_mapping,
     "a port in mode host must be published under its own number"},
    {"volumes", asks_volumes, "cluster volumes are not mounted"},
    {"container.tty", asks_tty, "there are no terminals"},
    {"container.open_stdin", asks_stdin, "standard input is empty"},
    {"container.configs", asks_configs, "configs are not mounted"},
    {"container.hosts", asks_hosts, "processes use the host's names"},
    {"container.dns_config", asks_dns, "processes use the host's resolver"},
    {"container.healthcheck", asks_healthcheck, "health is not checked"},
    {"container.isolation", asks_isolation, "there is one kind"},
    {"container.sysctls", asks_sysctls, "they would change the host's"},
    {"container.privileges.credential_spec", asks_credential_spec,
     "there are none on Linux"},
    {"container.privileges.selinux_context", asks_selinux,
     "labels are not set"},
    {"container.privileges.seccomp", asks_seccomp,
     "custom profiles are not loaded"},
};

/* Limits that need a controller which this machine lacks. */
static int refuse_limits(const Swkpb__Task *task,
                         const Swkpb__ContainerSpec *spec,
                         const struct swki_machine *machine,
                         struct swk_error *err)
{
    const Swkpb__ResourceRequirements *r = task->spec->resources;
    const Swkpb__Resources *limits = r != NULL ? r->limits : NULL;
    const struct {
        const char *field;
        int64_t value;
        enum swki_cgroup_controller controller;
    } needs[] = {
        {"resources.limits.memory_bytes",
         limits != NULL ? limits->memory_bytes : 0, SWKI_CGROUP_MEMORY},
        {"resources.limits.nano_cpus", limits != NULL ? limits->nano_cpus : 0,
         SWKI_CGROUP_CPU},
        {"container.pids_limit", spec->pidslimit, SWKI_CGROUP_PIDS},
    };

    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (needs[i].value > 0 &&
            !swki_cgroups_limits(&machine->cgroups, needs[i].controller)) {
            return swki_fail(err, SWK_ENOTSUP,
                             "this node has no cgroup controller for %s: "
                             "cannot enforce %s",
                             swki_cgroup_controller_name(needs[i].controller),
                             needs[i].field);
        }
    }
    return SWK_OK;
}

/* Fields that need a privilege which this process lacks. */
static int refuse_unprivileged(const Swkpb__ContainerSpec *spec,
                               const struct swki_machine *machine,
                               struct swk_error *err)
{
    const struct {
        const char *field;
        bool asked;
        const char *capability;
    } needs[] = {
        {"container.user", !no_text(spec->user), "SETUID"},
        {"container.user", !no_text(spec->user), "SETGID"},
        {"container.groups", spec->n_groups > 0, "SETGID"},
        {"container.hostname", !no_text(spec->hostname), "SYS_ADMIN"},
        {"container.image", spec->image[0] == '/', "SYS_ADMIN"},
        {"container.capability_add", spec->n_capability_add > 0, "SETPCAP"},
        {"container.capability_drop", spec->n_capability_drop > 0, "SETPCAP"},
        {"container.oom_score_adj",
         spec->oom_score_adj < machine->oom_score_adj &&
             spec->oom_score_adj != 0,
         "SYS_RESOURCE"},
    };

    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (needs[i].asked && !swki_machine_can(machine, needs[i].capability)) {
            return swki_fail(err, SWK_ENOTSUP,
                             "%s: the agent on this node lacks CAP_%s",
                             needs[i].field, needs[i].capability);
        }
    }
    return SWK_OK;
}

int swki_plan_refuse(const Swkpb__Task *task,
                     const struct swki_machine *machine, struct swk_error *err)
{
    const Swkpb__ContainerSpec *spec = task->spec->container;
    int rc;

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (refusals[i].asked(task, spec)) {
            return swki_fail(err, SWK_ENOTSUP,
                             "%s: not supported by the process executor: %s",
                             refusals[i].field, refusals[i].reason);
        }
    }
    rc = refuse_limits(task, spec, machine, err);
    return rc != SWK_OK ? rc : refuse_unprivileged(spec, machine, err);
}
