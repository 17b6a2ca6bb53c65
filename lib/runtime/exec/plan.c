/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/exec/plan.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/port/executor.h>
#include <swarmkit/shim.h>

#include "runtime/exec/names.h"

enum {
    CPU_PERIOD_US = 100000,
    CPU_QUOTA_MIN_US = 1000, /* the kernel's */
    HOSTNAME_LEN_MAX = 64,   /* the kernel's */
    GRACE_SECONDS_MAX = 365 * 24 * 3600,
};

void swki_plan_add_value(struct swki_plan *plan, const char *value)
{
    swki_buf_append(&plan->instructions, value, strlen(value) + 1);
}

void swki_plan_add(struct swki_plan *plan, const char *key, const char *value)
{
    swki_plan_add_value(plan, key);
    swki_plan_add_value(plan, value);
}

static void add_number(struct swki_plan *plan, const char *key, int64_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRId64, value);
    swki_plan_add(plan, key, text);
}

bool swki_task_id_valid(const char *text)
{
    size_t len = strlen(text);

    if (len == 0 || len > SWK_ID_LEN_MAX || text[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) &&
            strchr("_.-", text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static int add_image(struct swki_plan *plan, const Swkpb__ContainerSpec *spec,
                     struct swk_error *err)
{
    const char *image = spec->image;

    if (strcmp(image, "host") == 0) {
        if (spec->read_only) {
            return swki_fail(err, SWK_ENOTSUP,
                             "container.read_only: image 'host' is the host's "
                             "own file system");
        }
        return SWK_OK;
    }
    if (image[0] != '/' || strlen(image) >= PATH_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "image %.100s: the process executor runs 'host' or "
                         "an absolute directory",
                         image);
    }
    if (strpbrk(image, ",:\\") != NULL) {
        return swki_fail(err, SWK_ENOTSUP,
                         "image %.100s: an overlay cannot be mounted over a "
                         "path with ',', ':' or '\\'",
                         image);
    }
    plan->image = strdup(image);
    if (plan->image == NULL) {
        return swki_fail_nomem(err);
    }
    swki_plan_add(plan, "image", image);
    if (spec->read_only) {
        swki_plan_add(plan, "readonly", "1");
    }
    return SWK_OK;
}

static int add_command(struct swki_plan *plan, const Swkpb__ContainerSpec *spec,
                       struct swk_error *err)
{
    if (spec->n_command + spec->n_args == 0) {
        return swki_fail(err, SWK_EINVAL,
                         "container.command: neither command nor args: the "
                         "process executor's images have no entry point");
    }
    for (size_t i = 0; i < spec->n_command; i++) {
        swki_plan_add(plan, "arg", spec->command[i]);
    }
    for (size_t i = 0; i < spec->n_args; i++) {
        swki_plan_add(plan, "arg", spec->args[i]);
    }
    return SWK_OK;
}

static int add_names(struct swki_plan *plan, const Swkpb__ContainerSpec *spec,
                     struct swk_error *err)
{
    if (spec->dir[0] != '\0') {
        if (spec->dir[0] != '/' || strlen(spec->dir) >= PATH_MAX) {
            return swki_fail(err, SWK_EINVAL,
                             "container.dir: must be an absolute path: %.100s",
                             spec->dir);
        }
        swki_plan_add(plan, "dir", spec->dir);
    }
    if (strstr(spec->hostname, "{{") != NULL) {
        return swki_fail(err, SWK_ENOTSUP,
                         "container.hostname: templates are not expanded by "
                         "the process executor");
    }
    if (strlen(spec->hostname) > HOSTNAME_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "container.hostname: more than %d characters",
                         HOSTNAME_LEN_MAX);
    }
    if (spec->hostname[0] != '\0') {
        swki_plan_add(plan, "hostname", spec->hostname);
    }
    if (spec->user[0] != '\0') {
        swki_plan_add(plan, "user", spec->user);
    }
    for (size_t i = 0; i < spec->n_groups; i++) {
        swki_plan_add(plan, "group", spec->groups[i]);
    }
    return SWK_OK;
}

static int add_capabilities(struct swki_plan *plan,
                            const Swkpb__ContainerSpec *spec,
                            const struct swki_machine *machine,
                            struct swk_error *err)
{
    uint64_t add = 0;
    uint64_t drop = 0;
    uint64_t all = 0;
    uint64_t kept;
    char text[24];

    swki_capability_add("ALL", &all);
    for (size_t i = 0; i < spec->n_capability_add; i++) {
        if (!swki_capability_add(spec->capability_add[i], &add)) {
            return swki_fail(err, SWK_EINVAL,
                             "container.capability_add: unknown capability "
                             "%.64s",
                             spec->capability_add[i]);
        }
    }
    for (size_t i = 0; i < spec->n_capability_drop; i++) {
        if (!swki_capability_add(spec->capability_drop[i], &drop)) {
            return swki_fail(err, SWK_EINVAL,
                             "container.capability_drop: unknown capability "
                             "%.64s",
                             spec->capability_drop[i]);
        }
    }
    /* ALL is what there is, and the other list makes exceptions from it. */
    for (int i = 0; add != all && i < SWKI_CAPABILITIES_COUNT; i++) {
        if ((add & ~machine->capabilities) >> i & 1) {
            return swki_fail(err, SWK_ENOTSUP,
                             "container.capability_add: the agent on this "
                             "node lacks CAP_%s",
                             swki_capability_name(i));
        }
    }
    if (!swki_machine_can(machine, "SETPCAP")) {
        return SWK_OK; /* there is no bounding set to change, nor a need */
    }
    kept = drop == all  ? add
           : add == all ? all & ~drop
                        : (swki_capabilities_default() | add) & ~drop;
    snprintf(text, sizeof(text), "%" PRIx64, kept);
    swki_plan_add(plan, "caps", text);
    return SWK_OK;
}

static int add_ulimits(struct swki_plan *plan, const Swkpb__ContainerSpec *spec,
                       const struct swki_machine *machine,
                       struct swk_error *err)
{
    for (size_t i = 0; i < spec->n_ulimits; i++) {
        const Swkpb__ContainerSpec__Ulimit *u = spec->ulimits[i];
        int number = swki_rlimit_number(u->name);
        uint64_t soft = (uint64_t)u->soft;
        uint64_t hard = (uint64_t)u->hard; /* -1, no limit: the largest */
        char text[32];

        if (number < 0 || u->soft < -1 || u->hard < -1 || soft > hard) {
            return swki_fail(err, SWK_EINVAL, "container.ulimits: %.64s: %s",
                             u->name,
                             number < 0 ? "unknown name" : "bad values");
        }
        if (hard > machine->rlimits_hard[number] &&
            !swki_machine_can(machine, "SYS_RESOURCE")) {
            return swki_fail(err, SWK_ENOTSUP,
                             "container.ulimits: %.64s: over this node's hard "
                             "limit, %" PRIu64,
                             u->name, machine->rlimits_hard[number]);
        }
        add_number(plan, "rlimit", number);
        snprintf(text, sizeof(text), "%" PRId64, u->soft);
        swki_plan_add_value(plan, text);
        snprintf(text, sizeof(text), "%" PRId64, u->hard);
        swki_plan_add_value(plan, text);
    }
    return SWK_OK;
}

static int add_process(struct swki_plan *plan, const Swkpb__ContainerSpec *spec,
                       const struct swki_machine *machine,
                       struct swk_error *err)
{
    int rc = add_capabilities(plan, spec, machine, err);

    if (rc == SWK_OK) {
        rc = add_ulimits(plan, spec, machine, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    if (spec->oom_score_adj < -1000 || spec->oom_score_adj > 1000) {
        return swki_fail(err, SWK_EINVAL,
                         "container.oom_score_adj: not from -1000 to 1000");
    }
    if (spec->oom_score_adj != 0) {
        add_number(plan, "oom_score_adj", spec->oom_score_adj);
    }
    if (spec->privileges != NULL && spec->privileges->no_new_privileges) {
        swki_plan_add(plan, "no_new_privs", "1");
    }
    return SWK_OK;
}

static int add_stop(struct swki_plan *plan, const Swkpb__ContainerSpec *spec,
                    struct swk_error *err)
{
    const Swkpb__Duration *grace = spec->stop_grace_period;
    char text[32];

    plan->stop_signal = SIGTERM;
    plan->grace_ms = SWKI_PLAN_GRACE_MS;
    if (spec->stop_signal[0] != '\0') {
        plan->stop_signal = swki_signal_number(spec->stop_signal);
    }
    if (plan->stop_signal <= 0) {
        return swki_fail(err, SWK_EINVAL,
                         "container.stop_signal: unknown signal %.64s",
                         spec->stop_signal);
    }
    if (grace != NULL) {
        if (grace->seconds < 0 || grace->nanos < 0 ||
            grace->seconds > GRACE_SECONDS_MAX) {
            return swki_fail(err, SWK_EINVAL,
                             "container.stop_grace_period: not from 0 to a "
                             "year");
        }
        plan->grace_ms = grace->seconds * 1000 + grace->nanos / 1000000;
    }
    add_number(plan, "stop", plan->stop_signal);
    snprintf(text, sizeof(text), "%" PRId64, plan->grace_ms);
    swki_plan_add_value(plan, text);
    return SWK_OK;
}

/* Where a task's limits of a controller go; adds its group if it is not that
 * of the unified hierarchy, which every task has. */
static void limit_group(struct swki_plan *plan,
                        const struct swki_cgroups *cgroups,
                        enum swki_cgroup_controller controller,
                        char out_path[PATH_MAX])
{
    bool unified = cgroups->in_unified[controller];

    snprintf(out_path, PATH_MAX, "%s/%s",
             unified ? cgroups->unified : cgroups->v1[controller],
             plan->task_id);
    if (!unified) {
        swki_plan_add(plan, "cgroup", out_path);
    }
}

static void add_limit(struct swki_plan *plan, const char *group,
                      const char *file, const char *value)
{
    char path[PATH_MAX + 64];

    snprintf(path, sizeof(path), "%s/%s", group, file);
    swki_plan_add(plan, "limit", path);
    swki_plan_add_value(plan, value);
}

static void add_memory(struct swki_plan *plan,
                       const struct swki_cgroups *cgroups, int64_t bytes)
{
    bool unified = cgroups->in_unified[SWKI_CGROUP_MEMORY];
    char group[PATH_MAX];
    char text[PATH_MAX + 64];

    limit_group(plan, cgroups, SWKI_CGROUP_MEMORY, group);
    snprintf(text, sizeof(text), "%" PRId64, bytes);
    add_limit(plan, group, unified ? "memory.max" : "memory.limit_in_bytes",
              text);
    snprintf(text, sizeof(text), "%s/%s", group,
             unified ? "memory.events" : "memory.oom_control");
    swki_plan_add(plan, "oom", text);
}

static void add_cpu(struct swki_plan *plan, const struct swki_cgroups *cgroups,
                    int64_t quota_us)
{
    char group[PATH_MAX];
    char text[64];

    limit_group(plan, cgroups, SWKI_CGROUP_CPU, group);
    if (cgroups->in_unified[SWKI_CGROUP_CPU]) {
        snprintf(text, sizeof(text), "%" PRId64 " %d", quota_us, CPU_PERIOD_US);
        add_limit(plan, group, "cpu.max", text);
        return;
    }
    snprintf(text, sizeof(text), "%d", CPU_PERIOD_US);
    add_limit(plan, group, "cpu.cfs_period_us", text);
    snprintf(text, sizeof(text), "%" PRId64, quota_us);
    add_limit(plan, group, "cpu.cfs_quota_us", text);
}

static int add_cgroups(struct swki_plan *plan, const Swkpb__Task *task,
                       const struct swki_cgroups *cgroups,
                       struct swk_error *err)
{
    const Swkpb__ResourceRequirements *r = task->spec->resources;
    const Swkpb__Resources *limits = r != NULL ? r->limits : NULL;
    int64_t nano_cpus = limits != NULL ? limits->nano_cpus : 0;
    int64_t memory_bytes = limits != NULL ? limits->memory_bytes : 0;
    int64_t quota_us = nano_cpus / (1000000000 / CPU_PERIOD_US);
    char group[PATH_MAX];
    char text[32];

    if (nano_cpus < 0 || memory_bytes < 0) {
        return swki_fail(err, SWK_EINVAL, "resources.limits: negative");
    }
    if (nano_cpus > 0 && quota_us < CPU_QUOTA_MIN_US) {
        return swki_fail(err, SWK_EINVAL,
                         "resources.limits.nano_cpus: less than 0.01 CPU");
    }
    /* One group always, to hold the task's processes together. */
    if (cgroups->unified[0] != '\0') {
        snprintf(group, sizeof(group), "%s/%s", cgroups->unified,
                 plan->task_id);
        swki_plan_add(plan, "cgroup", group);
    } else if (cgroups->v1[SWKI_CGROUP_FREEZER][0] != '\0') {
        limit_group(plan, cgroups, SWKI_CGROUP_FREEZER, group);
    }
    if (memory_bytes > 0) {
        add_memory(plan, cgroups, memory_bytes);
    }
    if (nano_cpus > 0) {
        add_cpu(plan, cgroups, quota_us);
    }
    if (task->spec->container->pidslimit > 0) {
        limit_group(plan, cgroups, SWKI_CGROUP_PIDS, group);
        snprintf(text, sizeof(text), "%" PRId64,
                 task->spec->container->pidslimit);
        add_limit(plan, group, "pids.max", text);
    }
    return SWK_OK;
}

static int check_task(const Swkpb__Task *task, struct swk_error *err)
{
    if (!swki_task_id_valid(task->id)) {
        return swki_fail(err, SWK_EINVAL, "task: no valid ID");
    }
    if (task->spec == NULL || task->spec->container == NULL ||
        task->spec->runtime_case != SWKPB__TASK_SPEC__RUNTIME_CONTAINER) {
        return swki_fail(err, SWK_ENOTSUP,
                         "unsupported runtime: the process executor runs "
                         "container specs only");
    }
    if (task->spec->container->image[0] == '\0') {
        return swki_fail(err, SWK_EINVAL, "image required");
    }
    return SWK_OK;
}

static void add_link_rules(struct swki_plan *plan, uint32_t paths)
{
    if ((paths & SWK_EXECUTOR_IMAGE_PATHS) != 0) {
        swki_plan_add(plan, "nolinks", SWK_SHIM_NOLINKS_IMAGE);
    }
    if ((paths & SWK_EXECUTOR_BIND_PATHS) != 0) {
        swki_plan_add(plan, "nolinks", SWK_SHIM_NOLINKS_BINDS);
    }
}

static int fill(struct swki_plan *plan, const Swkpb__Task *task,
                const struct swki_machine *machine,
                const struct swki_plan_options *options, struct swk_error *err)
{
    const Swkpb__ContainerSpec *spec = task->spec->container;
    int rc;

    swki_plan_add_value(plan, SWK_SHIM_MAGIC);
    if ((rc = add_image(plan, spec, err)) != SWK_OK ||
        (rc = add_command(plan, spec, err)) != SWK_OK ||
        (rc = swki_plan_add_env(plan, task, err)) != SWK_OK ||
        (rc = add_names(plan, spec, err)) != SWK_OK ||
        (rc = swki_plan_add_mounts(plan, spec, err)) != SWK_OK ||
        (rc = swki_plan_add_secrets(plan, spec, err)) != SWK_OK ||
        (rc = add_process(plan, spec, machine, err)) != SWK_OK ||
        (rc = add_stop(plan, spec, err)) != SWK_OK ||
        (rc = add_cgroups(plan, task, &machine->cgroups, err)) != SWK_OK) {
        return rc;
    }
    add_link_rules(plan, options->paths_without_links);
    add_number(plan, "log_size", (int64_t)options->log_file_size);
    add_number(plan, "log_files", options->log_files_count);
    swki_plan_add_value(plan, "end");
    if (plan->instructions.failed) {
        return swki_fail(err, SWK_ELIMIT,
                         "task: its command, environment and mounts need more "
                         "than %d bytes",
                         SWK_SHIM_INSTRUCTIONS_MAX);
    }
    return SWK_OK;
}

int swki_plan_make(struct swki_plan *out_plan, const Swkpb__Task *task,
                   const struct swki_machine *machine,
                   const struct swki_plan_options *options,
                   struct swk_error *err)
{
    struct swki_plan plan = {0};
    int rc = check_task(task, err);

    if (rc == SWK_OK) {
        rc = swki_plan_refuse(task, machine, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    snprintf(plan.task_id, sizeof(plan.task_id), "%s", task->id);
    swki_buf_init(&plan.instructions, NULL, SWK_SHIM_INSTRUCTIONS_MAX);
    swki_buf_init(&plan.secret_ids, NULL, SIZE_MAX);
    rc = fill(&plan, task, machine, options, err);
    if (rc != SWK_OK) {
        swki_plan_fini(&plan);
        return rc;
    }
    *out_plan = plan;
    return SWK_OK;
}

void swki_plan_fini(struct swki_plan *plan)
{
    swki_buf_fini(&plan->instructions);
    swki_buf_fini(&plan->secret_ids);
    free(plan->image);
    plan->image = NULL;
}
