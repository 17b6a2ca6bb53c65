/* SPDX-License-Identifier: Apache-2.0 */

#include "service_views.h"

#include <stdio.h>
#include <string.h>

#include "lists.h"
#include "signing.h"

const struct flag service_list_flags[] = {
    {.name = "quiet", .letter = 'q', .help = "print IDs only"}, {0}};
const struct flag service_inspect_flags[] = {
    {.name = "all", .letter = 'a', .help = "show ended tasks too"}, {0}};

static const char *mode_text(const Swkpb__ServiceSpec *spec)
{
    switch (spec->mode_case) {
    case SWKPB__SERVICE_SPEC__MODE_REPLICATED:
        return "replicated";
    case SWKPB__SERVICE_SPEC__MODE_GLOBAL:
        return "global";
    case SWKPB__SERVICE_SPEC__MODE_REPLICATED_JOB:
        return "replicated-job";
    case SWKPB__SERVICE_SPEC__MODE_GLOBAL_JOB:
        return "global-job";
    default:
        return "-";
    }
}

static const char *image_text(const Swkpb__ServiceSpec *spec)
{
    const Swkpb__TaskSpec *task = spec->task;

    if (task == NULL) {
        return "-";
    }
    if (task->runtime_case == SWKPB__TASK_SPEC__RUNTIME_CONTAINER) {
        return task->container->image;
    }
    return task->runtime_case == SWKPB__TASK_SPEC__RUNTIME_GENERIC
               ? task->generic->kind
               : "-";
}

static int ask_statuses(struct ctl *ctl, Swkpb__Service **services,
                        size_t count, Swkpb__ListServiceStatusesResponse **out)
{
    Swkpb__ListServiceStatusesRequest request =
        SWKPB__LIST_SERVICE_STATUSES_REQUEST__INIT;

    request.services =
        pool_alloc(&ctl->pool, (count + 1) * sizeof(*request.services));
    for (size_t i = 0; i < count; i++) {
        request.services[request.n_services++] = services[i]->id;
    }
    int rc = ctl_call(ctl, "ListServiceStatuses", &request.base,
                      &swkpb__list_service_statuses_response__descriptor, out);
    if (rc == EXIT_OK && (*out)->n_statuses != count) {
        rc = ctl_error(EXIT_FAILED, "the manager's answer is malformed");
    }
    return rc;
}

static const char *
replicas_text(struct ctl *ctl,
              const Swkpb__ListServiceStatusesResponse__ServiceStatus *status)
{
    return status->completed_tasks == 0
               ? pool_printf(&ctl->pool, "%llu/%llu",
                             (unsigned long long)status->running_tasks,
                             (unsigned long long)status->desired_tasks)
               : pool_printf(&ctl->pool, "%llu/%llu (%llu completed)",
                             (unsigned long long)status->running_tasks,
                             (unsigned long long)status->desired_tasks,
                             (unsigned long long)status->completed_tasks);
}

/* Tasks that were running when their node went down do not count. */
static int leave_out_lost(struct ctl *ctl,
                          Swkpb__ListServiceStatusesResponse *statuses)
{
    Swkpb__ListTasksRequest request = SWKPB__LIST_TASKS_REQUEST__INIT;
    Swkpb__ListNodesResponse *nodes;
    Swkpb__ListTasksResponse *all;
    struct swk_error err;
    int rc = ctl_call(ctl, "ListTasks", &request.base,
                      &swkpb__list_tasks_response__descriptor, &all);

    if (rc != EXIT_OK) {
        return rc;
    }
    if (list_nodes(ctl, NULL, &nodes, &err) != 0) {
        return ctl_fail(&err);
    }
    for (size_t i = 0; i < all->n_tasks; i++) {
        const Swkpb__Task *task = all->tasks[i];

        if (task->status == NULL ||
            task->status->state != SWKPB__TASK_STATE__RUNNING ||
            !on_down_node(nodes, task)) {
            continue;
        }
        for (size_t j = 0; j < statuses->n_statuses; j++) {
            if (strcmp(statuses->statuses[j]->service_id, task->service_id) ==
                    0 &&
                statuses->statuses[j]->running_tasks > 0) {
                statuses->statuses[j]->running_tasks--;
            }
        }
    }
    return EXIT_OK;
}

int run_service_list(struct ctl *ctl, const struct args *args)
{
    static const char *const columns[] = {"ID",       "NAME",  "MODE",
                                          "REPLICAS", "IMAGE", NULL};
    Swkpb__ListServicesRequest request = SWKPB__LIST_SERVICES_REQUEST__INIT;
    Swkpb__ListServiceStatusesResponse *statuses;
    Swkpb__ListServicesResponse *reply;
    int rc = ctl_call(ctl, "ListServices", &request.base,
                      &swkpb__list_services_response__descriptor, &reply);

    if (rc != EXIT_OK || ctl->json) {
        return rc != EXIT_OK ? rc : ctl_print_json(ctl, &reply->base);
    }
    if (args_has(args, "quiet")) {
        for (size_t i = 0; i < reply->n_services; i++) {
            puts(reply->services[i]->id);
        }
        return EXIT_OK;
    }
    rc = ask_statuses(ctl, reply->services, reply->n_services, &statuses);
    if (rc == EXIT_OK) {
        rc = leave_out_lost(ctl, statuses);
    }
    if (rc != EXIT_OK) {
        return rc;
    }

    struct table *table = table_new(columns);
    for (size_t i = 0; i < reply->n_services; i++) {
        const Swkpb__Service *s = reply->services[i];
        const char *const row[] = {s->id, service_name(s),
                                   s->spec != NULL ? mode_text(s->spec) : "-",
                                   replicas_text(ctl, statuses->statuses[i]),
                                   s->spec != NULL ? image_text(s->spec) : "-"};

        table_row(table, row);
    }
    table_end(table);
    return EXIT_OK;
}

static void print_words(const char *name, char *const *words, size_t count)
{
    if (count == 0) {
        return;
    }
    printf("%-20s", name);
    for (size_t i = 0; i < count; i++) {
        printf(" %s", words[i]);
    }
    putchar('\n');
}

static void print_container(struct ctl *ctl, const Swkpb__ContainerSpec *c)
{
    print_words("Command", c->command, c->n_command);
    print_words("Arguments", c->args, c->n_args);
    print_words("Environment", c->env, c->n_env);
    if (c->user[0] != '\0') {
        print_field("User", "%s", c->user);
    }
    if (c->dir[0] != '\0') {
        print_field("Directory", "%s", c->dir);
    }
    if (c->stop_grace_period != NULL) {
        print_field("Stop grace period", "%s",
                    duration_text(ctl, c->stop_grace_period));
    }
    for (size_t i = 0; i < c->n_mounts; i++) {
        print_field(
            "Mount", "%s %s -> %s%s",
            enum_text(&swkpb__mount__type__descriptor, (int)c->mounts[i]->type),
            c->mounts[i]->source, c->mounts[i]->target,
            c->mounts[i]->readonly ? " (read-only)" : "");
    }
    for (size_t i = 0; i < c->n_secrets; i++) {
        print_field("Secret", "%s", c->secrets[i]->secret_name);
    }
    for (size_t i = 0; i < c->n_configs; i++) {
        print_field("Config", "%s", c->configs[i]->config_name);
    }
}

static void print_amounts(const char *name, const Swkpb__Resources *r)
{
    if (r != NULL) {
        print_field(name, "%.3f CPUs, %lld MiB", (double)r->nano_cpus / 1e9,
                    (long long)(r->memory_bytes >> 20));
    }
}

static void print_signatures(struct ctl *ctl, const Swkpb__ServiceSpec *spec)
{
    for (size_t i = 0; i < spec->n_signatures; i++) {
        const Swkpb__Rpc__SpecSignature *s = spec->signatures[i];

        print_field("Signature", "of key %s, %s%s%s, for %s%s",
                    signing_key_text(ctl, s), age_text(ctl, s->signed_at),
                    s->not_after != NULL ? ", until " : "",
                    s->not_after != NULL ? time_text(ctl, s->not_after) : "",
                    s->swarm_id[0] != '\0' ? "swarm " : "any swarm",
                    s->swarm_id);
    }
}

static void print_spec(struct ctl *ctl, const Swkpb__ServiceSpec *spec)
{
    const Swkpb__TaskSpec *task = spec->task;

    print_field("Mode", "%s", mode_text(spec));
    print_field("Image", "%s", image_text(spec));
    for (size_t i = 0;
         spec->annotations != NULL && i < spec->annotations->n_labels; i++) {
        print_field("Label", "%s=%s", spec->annotations->labels[i]->key,
                    spec->annotations->labels[i]->value);
    }
    print_signatures(ctl, spec);
    if (task == NULL) {
        return;
    }
    if (task->runtime_case == SWKPB__TASK_SPEC__RUNTIME_CONTAINER) {
        print_container(ctl, task->container);
    }
    if (task->resources != NULL) {
        print_amounts("Reservations", task->resources->reservations);
        print_amounts("Limits", task->resources->limits);
    }
    if (task->placement != NULL) {
        print_words("Constraints", task->placement->constraints,
                    task->placement->n_constraints);
    }
    for (size_t i = 0; spec->endpoint != NULL && i < spec->endpoint->n_ports;
         i++) {
        const Swkpb__PortConfig *p = spec->endpoint->ports[i];

        print_field("Port", "%s %u -> %u/%s (%s)", p->name, p->published_port,
                    p->target_port,
                    enum_text(&swkpb__port_config__protocol__descriptor,
                              (int)p->protocol),
                    enum_text(&swkpb__port_config__publish_mode__descriptor,
                              (int)p->publish_mode));
    }
}

int run_service_inspect(struct ctl *ctl, const struct args *args)
{
    Swkpb__ListServiceStatusesResponse *statuses;
    Swkpb__Service *service;
    int rc = find_service(ctl, args_at(args, 0), &service);

    if (rc != EXIT_OK || ctl->json) {
        return rc != EXIT_OK ? rc : ctl_print_json(ctl, &service->base);
    }
    rc = ask_statuses(ctl, &service, 1, &statuses);
    if (rc != EXIT_OK) {
        return rc;
    }
    print_field("ID", "%s", service->id);
    print_field("Name", "%s", service_name(service));
    print_field("Replicas", "%s", replicas_text(ctl, statuses->statuses[0]));
    if (service->update_status != NULL) {
        print_field("Update status", "%s: %s",
                    enum_text(&swkpb__update_status__update_state__descriptor,
                              (int)service->update_status->state),
                    service->update_status->message);
    }
    if (service->spec != NULL) {
        print_spec(ctl, service->spec);
    }
    putchar('\n');
    return list_tasks(ctl, LIST_BY_SERVICE, service->id, args_has(args, "all"));
}

int run_service_ps(struct ctl *ctl, const struct args *args)
{
    Swkpb__Service *service;
    int rc = find_service(ctl, args_at(args, 0), &service);

    return rc == EXIT_OK ? list_tasks(ctl, LIST_BY_SERVICE, service->id,
                                      args_has(args, "all"))
                         : rc;
}
