/* SPDX-License-Identifier: Apache-2.0 */

/* How many tasks of a service are wanted, run and are done. */

#include "base/error.h"
#include "control.pb-c.h"
#include "core/control/handlers.h"

typedef Swkpb__ListServiceStatusesResponse__ServiceStatus service_status;

/* What the service's mode says; the rest of it is counted. */
static uint64_t wanted(const Swkpb__Service *service)
{
    const Swkpb__ServiceSpec *spec = service->spec;

    switch (spec != NULL ? spec->mode_case : SWKPB__SERVICE_SPEC__MODE__NOT_SET) {
    case SWKPB__SERVICE_SPEC__MODE_REPLICATED:
        return spec->replicated->replicas;
    case SWKPB__SERVICE_SPEC__MODE_REPLICATED_JOB:
        return spec->replicated_job->max_concurrent;
    default:
        return 0;
    }
}

static bool is_global(const Swkpb__Service *service)
{
    return service != NULL && service->spec != NULL &&
           (service->spec->mode_case == SWKPB__SERVICE_SPEC__MODE_GLOBAL ||
            service->spec->mode_case == SWKPB__SERVICE_SPEC__MODE_GLOBAL_JOB);
}

/* A job counts the tasks of its current iteration only. */
static bool counts(const Swkpb__Service *service, const Swkpb__Task *task)
{
    if (service == NULL || service->job_status == NULL) {
        return true;
    }

    const Swkpb__Version *current = service->job_status->job_iteration;
    return task->job_iteration != NULL && current != NULL &&
           task->job_iteration->index == current->index;
}

static void count(const Swkpb__Service *service, const Swkpb__Task *task,
                  service_status *status)
{
    unsigned state = task->status != NULL ? task->status->state : 0;

    if (!counts(service, task)) {
        return;
    }
    if (service != NULL && service->job_status != NULL &&
        state == SWKPB__TASK_STATE__COMPLETE) {
        status->completed_tasks++;
    }
    if (state == SWKPB__TASK_STATE__RUNNING) {
        status->running_tasks++;
    }
    if (is_global(service) &&
        (task->desired_state == SWKPB__TASK_STATE__RUNNING ||
         (task->desired_state == SWKPB__TASK_STATE__COMPLETE &&
          state != SWKPB__TASK_STATE__COMPLETE))) {
        status->desired_tasks++;
    }
}

static int fill(const struct swki_view *view, char *id, service_status *status,
                struct swk_error *err)
{
    const struct swki_selector mine = {.by = SWKI_BY_SERVICE_ID, .text = id};
    const struct swki_object *object =
        swki_view_get(view, SWKI_KIND_SERVICE, id);
    const Swkpb__Service *service =
        object != NULL ? swki_service(object) : NULL;
    struct swki_cursor cursor;

    swkpb__list_service_statuses_response__service_status__init(status);
    status->service_id = id;
    status->desired_tasks = service != NULL ? wanted(service) : 0;

    int rc = swki_view_find(view, SWKI_KIND_TASK, &mine, &cursor, err);
    if (rc != SWK_OK) {
        return rc;
    }
    for (const struct swki_object *o = swki_cursor_next(&cursor); o != NULL;
         o = swki_cursor_next(&cursor)) {
        count(service, swki_task(o), status);
    }
    swki_cursor_close(&cursor);
    return SWK_OK;
}

int swki_control_list_service_statuses(struct swki_control_request *r,
                                       const void *request,
                                       struct swk_error *err)
{
    const Swkpb__ListServiceStatusesRequest *list = request;
    Swkpb__ListServiceStatusesResponse reply =
        SWKPB__LIST_SERVICE_STATUSES_RESPONSE__INIT;
    service_status *statuses =
        swki_arena_calloc(r->arena, list->n_services, sizeof(*statuses));
    service_status **pointers =
        swki_arena_calloc(r->arena, list->n_services, sizeof(*pointers));

    if (statuses == NULL || pointers == NULL) {
        return swki_fail_nomem(err);
    }
    for (size_t i = 0; i < list->n_services; i++) {
        int rc = fill(swki_control_view(r), list->services[i], &statuses[i],
                      err);

        if (rc != SWK_OK) {
            return rc;
        }
        pointers[i] = &statuses[i];
    }
    reply.n_statuses = list->n_services;
    reply.statuses = pointers;
    swki_control_reply(r, &reply.base, 0);
    return SWK_OK;
}
