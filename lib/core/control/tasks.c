/* SPDX-License-Identifier: Apache-2.0 */

/* Tasks: read and remove. */

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "control.pb-c.h"
#include "core/control/handlers.h"
#include "core/control/runtime.h"
#include "core/scheduler/constraint.h"
#include "wire/message.h"

enum {
    TASK_NAME_SIZE = 256,
};

int swki_control_get_task(struct swki_control_request *r, const void *request,
                          struct swk_error *err)
{
    const Swkpb__GetTaskRequest *get = request;
    Swkpb__GetTaskResponse reply = SWKPB__GET_TASK_RESPONSE__INIT;
    const struct swki_object *object;
    int rc = swki_control_find(swki_control_view(r), SWKI_KIND_TASK,
                               get->task_id, &object, err);

    if (rc == SWK_OK) {
        reply.task = (Swkpb__Task *)(uintptr_t)swki_task(object);
        swki_control_reply(r, &reply.base, 0);
    }
    return rc;
}

int swki_control_remove_task(struct swki_control_request *r,
                             const void *request, struct swk_error *err)
{
    const Swkpb__RemoveTaskRequest *remove = request;
    Swkpb__RemoveTaskResponse reply = SWKPB__REMOVE_TASK_RESPONSE__INIT;
    const struct swki_object *object;
    struct swki_tx *tx;
    uint64_t index;
    int rc = swki_control_begin(r, &tx, err);

    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_control_find(swki_tx_view(tx), SWKI_KIND_TASK, remove->task_id,
                           &object, err);
    if (rc != SWK_OK) {
        swki_tx_abort(tx);
        return rc;
    }
    rc = swki_control_delete(r, tx, SWKI_KIND_TASK, remove->task_id, &index,
                             err);
    if (rc == SWK_OK) {
        swki_control_reply(r, &reply.base, index);
    }
    return rc;
}

const char *swki_runtime_name(const Swkpb__TaskSpec *spec, char *buf,
                              size_t size)
{
    if (spec == NULL) {
        return "";
    }
    switch (spec->runtime_case) {
    case SWKPB__TASK_SPEC__RUNTIME_ATTACHMENT:
        return "attachment";
    case SWKPB__TASK_SPEC__RUNTIME_CONTAINER:
        return "container";
    case SWKPB__TASK_SPEC__RUNTIME_GENERIC:
        break;
    default:
        return "";
    }
    snprintf(buf, size, "%s", spec->generic->kind);
    for (char *at = buf; *at != '\0'; at++) {
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
    }
    return buf;
}

/* -- Up to date ----------------------------------------------------------- */

/* Whether the specs differ in nothing but the parts that are blanked out. */
static bool same_but(const Swkpb__TaskSpec *a, const Swkpb__TaskSpec *b,
                     bool placement_aside, bool pull_options_aside)
{
    Swkpb__TaskSpec x = *a;
    Swkpb__TaskSpec y = *b;
    Swkpb__ContainerSpec cx;
    Swkpb__ContainerSpec cy;

    if (placement_aside) {
        x.placement = NULL;
        y.placement = NULL;
    }
    if (pull_options_aside &&
        x.runtime_case == SWKPB__TASK_SPEC__RUNTIME_CONTAINER &&
        y.runtime_case == SWKPB__TASK_SPEC__RUNTIME_CONTAINER) {
        cx = *x.container;
        cy = *y.container;
        cx.pull_options = NULL;
        cy.pull_options = NULL;
        x.container = &cx;
        y.container = &cy;
    }
    return swki_message_equal(&x.base, &y.base);
}

static bool node_fits(struct swki_control_request *r, const char *node_id,
                      const Swkpb__Placement *placement)
{
    const struct swki_object *node =
        swki_view_get(swki_control_view(r), SWKI_KIND_NODE, node_id);
    struct swki_constraints constraints;

    if (node == NULL) {
        return false;
    }
    if (placement == NULL) {
        return true;
    }
    if (swki_constraints_parse(r->config->alloc, placement->constraints,
                               placement->n_constraints, &constraints,
                               NULL) != SWK_OK) {
        return false;
    }
    bool fits = swki_constraints_match(&constraints, swki_node(node));
    swki_constraints_fini(&constraints);
    return fits;
}

/* Whether the task is what its service asks for now. */
static bool up_to_date(struct swki_control_request *r, const Swkpb__Task *task)
{
    const struct swki_object *object = swki_view_get(
        swki_control_view(r), SWKI_KIND_SERVICE, task->service_id);

    if (object == NULL) {
        return false;
    }

    const Swkpb__Service *service = swki_service(object);
    if (task->spec_version != NULL && service->spec_version != NULL &&
        task->spec_version->index == service->spec_version->index) {
        return true;
    }
    if (task->spec == NULL || service->spec == NULL ||
        service->spec->task == NULL) {
        return false;
    }
    const Swkpb__TaskSpec *want = service->spec->task;
    if (same_but(task->spec, want, true, false) &&
        node_fits(r, task->node_id, want->placement)) {
        return true;
    }

    const Swkpb__EndpointSpec *endpoint =
        task->endpoint != NULL ? task->endpoint->spec : NULL;
    if (task->endpoint != NULL &&
        !swki_message_equal(endpoint != NULL ? &endpoint->base : NULL,
                            service->spec->endpoint != NULL
                                ? &service->spec->endpoint->base
                                : NULL)) {
        return false;
    }
    unsigned state = task->status != NULL ? task->status->state : 0;
    bool serving = task->desired_state <= SWKPB__TASK_STATE__RUNNING &&
                   state >= SWKPB__TASK_STATE__READY &&
                   state <= SWKPB__TASK_STATE__RUNNING;
    return same_but(task->spec, want, false, serving);
}

/* -- List ----------------------------------------------------------------- */

static bool desired_allowed(const Swkpb__ListTasksRequest__Filters *filters,
                            const Swkpb__Task *task)
{
    for (size_t i = 0; i < filters->n_desired_states; i++) {
        if (filters->desired_states[i] == task->desired_state) {
            return true;
        }
    }
    return filters->n_desired_states == 0;
}

static int pick_task(struct swki_control_request *r,
                     const struct swki_object *object, const void *request,
                     const void **out_message)
{
    const Swkpb__ListTasksRequest__Filters *filters = request;
    const Swkpb__Task *task = swki_task(object);
    char name[TASK_NAME_SIZE];
    char runtime[TASK_NAME_SIZE];

    if (filters != NULL) {
        const struct swki_filter filter = {
            .names = SWKI_TEXTS(filters, names),
            .name_prefixes = SWKI_TEXTS(filters, name_prefixes),
            .id_prefixes = SWKI_TEXTS(filters, id_prefixes),
            .labels = SWKI_LABELS(filters, labels),
        };

        if (!swki_filter_all(
                &filter, task->id,
                swki_object_name(object, name, sizeof(name)),
                swki_annotations_labels(task->service_annotations)) ||
            !swki_texts_allow(SWKI_TEXTS(filters, service_ids),
                              task->service_id) ||
            !swki_texts_allow(SWKI_TEXTS(filters, node_ids), task->node_id) ||
            !swki_texts_allow(
                SWKI_TEXTS(filters, runtimes),
                swki_runtime_name(task->spec, runtime, sizeof(runtime))) ||
            !desired_allowed(filters, task) ||
            (filters->up_to_date && !up_to_date(r, task))) {
            return SWK_OK;
        }
    }
    *out_message = task;
    return SWK_OK;
}

static const struct swki_selector *
plan(struct swki_control_request *r,
     const Swkpb__ListTasksRequest__Filters *filters)
{
    static const struct swki_selector all = {.by = SWKI_BY_ALL};

    if (filters == NULL) {
        return &all;
    }
    if (filters->n_id_prefixes > 0) {
        return swki_control_any_of(r, SWKI_BY_ID_PREFIX,
                                   SWKI_TEXTS(filters, id_prefixes));
    }
    if (filters->n_service_ids > 0) {
        return swki_control_any_of(r, SWKI_BY_SERVICE_ID,
                                   SWKI_TEXTS(filters, service_ids));
    }
    if (filters->n_node_ids > 0) {
        return swki_control_any_of(r, SWKI_BY_NODE_ID,
                                   SWKI_TEXTS(filters, node_ids));
    }
    if (filters->n_names > 0) {
        return swki_control_any_of(r, SWKI_BY_NAME, SWKI_TEXTS(filters, names));
    }
    return &all;
}

int swki_control_list_tasks(struct swki_control_request *r, const void *request,
                            struct swk_error *err)
{
    const Swkpb__ListTasksRequest *list = request;
    Swkpb__ListTasksResponse reply = SWKPB__LIST_TASKS_RESPONSE__INIT;
    struct swki_found found;
    int rc = swki_control_list(r, SWKI_KIND_TASK, plan(r, list->filters),
                               pick_task, list->filters, &found, err);

    if (rc == SWK_OK) {
        reply.n_tasks = found.count;
        reply.tasks = (Swkpb__Task **)found.items;
        swki_control_reply(r, &reply.base, 0);
    }
    return rc;
}
