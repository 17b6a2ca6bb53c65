/* SPDX-License-Identifier: Apache-2.0 */

/* swarmctl task ... */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flags.h"
#include "lists.h"

static const struct flag no_flags[] = {{0}};
static const struct flag list_flags[] = {
    {.name = "all", .letter = 'a', .help = "show ended tasks too"},
    {.name = "quiet", .letter = 'q', .help = "print IDs only"},
    {0}};

/* Names by ID, asked for once a command. */
struct names {
    Swkpb__ListNodesResponse *nodes;
    Swkpb__ListServicesResponse *services;
};

static int load_names(struct ctl *ctl, struct names *names)
{
    Swkpb__ListNodesRequest nodes = SWKPB__LIST_NODES_REQUEST__INIT;
    Swkpb__ListServicesRequest services = SWKPB__LIST_SERVICES_REQUEST__INIT;

    if (ctl->no_resolve) {
        return EXIT_OK;
    }
    int rc = ctl_call(ctl, "ListNodes", &nodes.base,
                      &swkpb__list_nodes_response__descriptor, &names->nodes);
    return rc == EXIT_OK
               ? ctl_call(ctl, "ListServices", &services.base,
                          &swkpb__list_services_response__descriptor,
                          &names->services)
               : rc;
}

static const char *name_of_node(const struct names *names, const char *id)
{
    for (size_t i = 0; names->nodes != NULL && i < names->nodes->n_nodes; i++) {
        if (strcmp(names->nodes->nodes[i]->id, id) == 0) {
            return node_name(names->nodes->nodes[i]);
        }
    }
    return id;
}

static const char *name_of_service(const struct names *names, const char *id)
{
    for (size_t i = 0;
         names->services != NULL && i < names->services->n_services; i++) {
        if (strcmp(names->services->services[i]->id, id) == 0) {
            return service_name(names->services->services[i]);
        }
    }
    return id;
}

static unsigned state_of(const Swkpb__Task *task)
{
    return task->status != NULL ? task->status->state : 0;
}

static const char *last_state(struct ctl *ctl, const Swkpb__Task *task)
{
    return pool_printf(
        &ctl->pool, "%s %s",
        enum_text(&swkpb__task_state__descriptor, (int)state_of(task)),
        age_text(ctl, task->status != NULL ? task->status->timestamp : NULL));
}

static const char *slot_text(struct ctl *ctl, const struct names *names,
                             const Swkpb__Task *task)
{
    const char *service = name_of_service(names, task->service_id);

    return task->slot != 0
               ? pool_printf(&ctl->pool, "%s.%llu", service,
                             (unsigned long long)task->slot)
               : pool_printf(&ctl->pool, "%s.%s", service,
                             name_of_node(names, task->node_id));
}

static void add_row(struct ctl *ctl, struct table *table,
                    const struct names *names, const Swkpb__Task *task)
{
    const char *const row[] = {
        task->id,
        slot_text(ctl, names, task),
        enum_text(&swkpb__task_state__descriptor, (int)task->desired_state),
        last_state(ctl, task),
        task->node_id[0] != '\0' ? name_of_node(names, task->node_id) : "-",
        task->status != NULL ? task->status->err : "",
    };

    table_row(table, row);
}

static bool shown(const Swkpb__Task *task, bool all)
{
    return all || task->desired_state <= SWKPB__TASK_STATE__COMPLETE ||
           state_of(task) <= SWKPB__TASK_STATE__RUNNING;
}

static int fetch(struct ctl *ctl, enum list_by by, const char *id,
                 Swkpb__ListTasksResponse **out_reply)
{
    Swkpb__ListTasksRequest request = SWKPB__LIST_TASKS_REQUEST__INIT;
    Swkpb__ListTasksRequest__Filters filters =
        SWKPB__LIST_TASKS_REQUEST__FILTERS__INIT;
    char *ids[] = {pool_strdup(&ctl->pool, id)};

    request.filters = &filters;
    if (by == LIST_BY_NODE) {
        filters.n_node_ids = 1;
        filters.node_ids = ids;
    } else if (by == LIST_BY_SERVICE) {
        filters.n_service_ids = 1;
        filters.service_ids = ids;
    }
    return ctl_call(ctl, "ListTasks", &request.base,
                    &swkpb__list_tasks_response__descriptor, out_reply);
}

static int64_t created(const Swkpb__Task *task)
{
    return task->meta != NULL && task->meta->created_at != NULL
               ? task->meta->created_at->seconds
               : 0;
}

/* By service and slot; the newest task of a slot first. */
static int by_slot(const void *a, const void *b)
{
    const Swkpb__Task *x = *(Swkpb__Task *const *)a;
    const Swkpb__Task *y = *(Swkpb__Task *const *)b;
    int order = strcmp(x->service_id, y->service_id);

    if (order != 0) {
        return order;
    }
    if (x->slot != y->slot) {
        return x->slot < y->slot ? -1 : 1;
    }
    if (created(x) != created(y)) {
        return created(x) > created(y) ? -1 : 1;
    }
    return strcmp(x->id, y->id);
}

int list_tasks(struct ctl *ctl, enum list_by by, const char *id, bool all)
{
    static const char *const columns[] = {"ID",         "TASK", "DESIRED STATE",
                                          "LAST STATE", "NODE", "ERROR",
                                          NULL};
    Swkpb__ListTasksResponse *reply;
    struct names names = {0};
    int rc = fetch(ctl, by, id, &reply);

    if (rc == EXIT_OK && ctl->json) {
        return ctl_print_json(ctl, &reply->base);
    }
    if (rc == EXIT_OK) {
        rc = load_names(ctl, &names);
    }
    if (rc != EXIT_OK) {
        return rc;
    }

    if (reply->n_tasks > 1) {
        qsort(reply->tasks, reply->n_tasks, sizeof(reply->tasks[0]), by_slot);
    }

    struct table *table = table_new(columns);
    for (size_t i = 0; i < reply->n_tasks; i++) {
        if (shown(reply->tasks[i], all)) {
            add_row(ctl, table, &names, reply->tasks[i]);
        }
    }
    table_end(table);
    return EXIT_OK;
}

static int run_list(struct ctl *ctl, const struct args *args)
{
    bool all = args_has(args, "all");
    Swkpb__ListTasksResponse *reply;

    if (!args_has(args, "quiet")) {
        return list_tasks(ctl, LIST_ALL, "", all);
    }

    int rc = fetch(ctl, LIST_ALL, "", &reply);
    for (size_t i = 0; rc == EXIT_OK && i < reply->n_tasks; i++) {
        if (shown(reply->tasks[i], all)) {
            puts(reply->tasks[i]->id);
        }
    }
    return rc;
}

static int run_inspect(struct ctl *ctl, const struct args *args)
{
    struct names names = {0};
    Swkpb__Task *task;
    int rc = find_task(ctl, args_at(args, 0), &task);

    if (rc == EXIT_OK && ctl->json) {
        return ctl_print_json(ctl, &task->base);
    }
    if (rc == EXIT_OK) {
        rc = load_names(ctl, &names);
    }
    if (rc != EXIT_OK) {
        return rc;
    }

    const Swkpb__TaskStatus *status = task->status;
    print_field("ID", "%s", task->id);
    print_field("Task", "%s", slot_text(ctl, &names, task));
    print_field("Service", "%s", name_of_service(&names, task->service_id));
    print_field("Node", "%s", name_of_node(&names, task->node_id));
    print_field("Desired state", "%s",
                enum_text(&swkpb__task_state__descriptor,
                          (int)task->desired_state));
    print_field("Last state", "%s", last_state(ctl, task));
    if (status != NULL) {
        print_field("Message", "%s", status->message);
        print_field("Error", "%s", status->err[0] != '\0' ? status->err : "-");
    }
    if (status != NULL && status->runtime_status_case ==
                              SWKPB__TASK_STATUS__RUNTIME_STATUS_CONTAINER) {
        print_field("Process", "%d", status->container->pid);
        print_field("Exit code", "%d", status->container->exit_code);
    }
    if (task->spec != NULL &&
        task->spec->runtime_case == SWKPB__TASK_SPEC__RUNTIME_CONTAINER) {
        print_field("Image", "%s", task->spec->container->image);
    }
    return EXIT_OK;
}

static int run_remove(struct ctl *ctl, const struct args *args)
{
    int result = EXIT_OK;

    for (size_t i = 0; i < args_count(args); i++) {
        Swkpb__RemoveTaskRequest request = SWKPB__REMOVE_TASK_REQUEST__INIT;
        Swkpb__RemoveTaskResponse *reply;
        Swkpb__Task *task;
        int rc = find_task(ctl, args_at(args, i), &task);

        if (rc == EXIT_OK) {
            request.task_id = task->id;
            rc = ctl_call(ctl, "RemoveTask", &request.base,
                          &swkpb__remove_task_response__descriptor, &reply);
        }
        if (rc == EXIT_OK) {
            print_removed(ctl, task->id, args_at(args, i));
        }
        result = rc != EXIT_OK ? rc : result;
    }
    return result;
}

const struct command task_commands[] = {
    {"task", "ls", "list", "", "List the tasks.", "swarmctl task ls --all",
     {list_flags}, 0, 0, false, run_list},
    {"task", "inspect", NULL, "TASK", "Show a task.",
     "swarmctl task inspect 3vj2", {no_flags}, 1, 1, false, run_inspect},
    {"task", "rm", "remove", "TASK...",
     "Remove tasks; their service replaces them.", "swarmctl task rm 3vj2",
     {no_flags}, 1, -1, false, run_remove},
    {0},
};
