/* SPDX-License-Identifier: Apache-2.0 */

/* Services: create, read, update with rollback, remove. */

#include <string.h>

#include "base/error.h"
#include "control.pb-c.h"
#include "core/control/defaults.h"
#include "core/control/handlers.h"
#include "core/control/ports.h"
#include "core/control/references.h"
#include "core/control/runtime.h"
#include "core/control/validate.h"
#include "core/trust/trust.h"
#include "wire/message.h"

enum {
    /* Numbers of the fields that a rollback exchanges. */
    FIELD_SPEC = 3,
    FIELD_PREVIOUS_SPEC = 6,
    FIELD_SPEC_VERSION = 10,
    FIELD_PREVIOUS_SPEC_VERSION = 11,

    RUNTIME_NAME_SIZE = 256,
};

static bool is_job(const Swkpb__ServiceSpec *spec)
{
    return spec->mode_case == SWKPB__SERVICE_SPEC__MODE_REPLICATED_JOB ||
           spec->mode_case == SWKPB__SERVICE_SPEC__MODE_GLOBAL_JOB;
}

/* Orders a new run of a job, as its iteration `index`. */
static bool start_job(struct swki_control_request *r,
                      struct swki_object *object, uint64_t index)
{
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__JobStatus *job = swki_arena_alloc(arena, sizeof(*job));

    if (job == NULL) {
        return false;
    }
    swkpb__job_status__init(job);
    job->job_iteration = swki_control_version(object, index);
    job->last_execution = swki_timestamp_from_wall(r->wall, arena);
    swki_service_edit(object)->job_status = job;
    return job->job_iteration != NULL && job->last_execution != NULL;
}

/* -- Create --------------------------------------------------------------- */

static int make_service(struct swki_control_request *r,
                        const Swkpb__ServiceSpec *spec,
                        struct swki_object **out_object, struct swk_error *err)
{
    struct swki_object *object =
        swki_object_new(r->config->alloc, SWKI_KIND_SERVICE);

    if (object == NULL) {
        return swki_fail_nomem(err);
    }

    Swkpb__Service *service = swki_service_edit(object);
    service->id = swki_control_new_id(r, object);
    service->spec = (Swkpb__ServiceSpec *)swki_message_copy(
        &spec->base, swki_object_arena(object));
    service->spec_version = swki_control_version(object, 0);
    if (service->id == NULL || service->spec == NULL ||
        service->spec_version == NULL ||
        (is_job(spec) && !start_job(r, object, 0))) {
        swki_object_unref(object);
        return swki_fail_nomem(err);
    }
    *out_object = object;
    return SWK_OK;
}

/* All that a new service needs of what is there already. */
static int check_surroundings(struct swki_control_request *r,
                              const struct swki_view *view,
                              const Swkpb__ServiceSpec *spec,
                              struct swk_error *err)
{
    int rc = swki_check_attachments(view, spec, err);

    if (rc == SWK_OK) {
        rc = swki_check_ports(view, spec->endpoint, "", err);
    }
    if (rc == SWK_OK) {
        rc = swki_check_ingress(view, spec->endpoint, err);
    }
    if (rc == SWK_OK) {
        rc = swki_check_references(r, view, spec->task, err);
    }
    return rc == SWK_OK ? swki_control_name_free(view, SWKI_KIND_SERVICE,
                                                 spec->annotations->name, err)
                        : rc;
}

/* Nothing is accepted that nobody would carry out. */
static int check_mode(const struct swki_control_request *r,
                      const Swkpb__ServiceSpec *spec, struct swk_error *err)
{
    if (!r->config->replicated_only ||
        spec->mode_case == SWKPB__SERVICE_SPEC__MODE_REPLICATED) {
        return SWK_OK;
    }
    return swki_fail(err, SWK_ENOTSUP,
                     "global services and jobs are not available in this "
                     "release: use a replicated service");
}

int swki_control_create_service(struct swki_control_request *r,
                                const void *request, struct swk_error *err)
{
    const Swkpb__CreateServiceRequest *create = request;
    Swkpb__CreateServiceResponse reply = SWKPB__CREATE_SERVICE_RESPONSE__INIT;
    const struct swki_object *stored;
    struct swki_object *object = NULL;
    struct swki_tx *tx;
    uint64_t index;
    int rc = swki_validate_service(create->spec, r->config->alloc, err);

    if (rc == SWK_OK) {
        rc = check_mode(r, create->spec, err);
    }
    if (rc == SWK_OK) {
        rc = swki_control_begin(r, &tx, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    rc = check_surroundings(r, swki_tx_view(tx), create->spec, err);
    if (rc == SWK_OK) {
        rc = make_service(r, create->spec, &object, err);
    }
    if (rc != SWK_OK) {
        swki_tx_abort(tx);
        return rc;
    }
    rc = swki_control_store(r, tx, object, SWKI_CHANGE_CREATE, &stored, &index,
                            err);
    if (rc == SWK_OK) {
        reply.service = (Swkpb__Service *)(uintptr_t)swki_service(stored);
        swki_control_reply(r, &reply.base, index);
    }
    return rc;
}

/* -- Update --------------------------------------------------------------- */

static bool same_networks(Swkpb__NetworkAttachmentConfig *const *a,
                          size_t a_count,
                          Swkpb__NetworkAttachmentConfig *const *b,
                          size_t b_count)
{
    if (a_count != b_count) {
        return false;
    }
    for (size_t i = 0; i < a_count; i++) {
        if (!swki_message_equal(&a[i]->base, &b[i]->base)) {
            return false;
        }
    }
    return true;
}

/* Networks of the service itself are an old form. They may be left for those
 * of the task, but not be changed. */
static int check_old_networks(const Swkpb__ServiceSpec *old,
                              const Swkpb__ServiceSpec *spec,
                              struct swk_error *err)
{
    const Swkpb__TaskSpec *a = old->task;
    const Swkpb__TaskSpec *b = spec->task;
    bool changed = !same_networks(old->networks, old->n_networks,
                                  spec->networks, spec->n_networks);

    if (changed && same_networks(a->networks, a->n_networks, b->networks,
                                 b->n_networks)) {
        return swki_fail(err, SWK_ENOTSUP,
                         "changing networks of a service is not supported; "
                         "give them in its task");
    }
    return SWK_OK;
}

static int check_unchanged(const Swkpb__ServiceSpec *old,
                           const Swkpb__ServiceSpec *spec,
                           struct swk_error *err)
{
    if (old->mode_case != spec->mode_case) {
        return swki_fail(err, SWK_ENOTSUP,
                         "the mode of a service cannot be changed");
    }
    if (strcmp(swki_annotations_name(old->annotations),
               swki_annotations_name(spec->annotations)) != 0) {
        return swki_fail(err, SWK_ENOTSUP,
                         "a service cannot be renamed");
    }
    return SWK_OK;
}

static const ProtobufCMessage *endpoint_of(const Swkpb__ServiceSpec *spec)
{
    return spec->endpoint != NULL ? &spec->endpoint->base : NULL;
}

static int check_update(struct swki_control_request *r,
                        const struct swki_view *view,
                        const Swkpb__Service *service,
                        const Swkpb__UpdateServiceRequest *update,
                        struct swk_error *err)
{
    const Swkpb__ServiceSpec *spec = update->spec;
    int rc = SWK_OK;

    if (service->spec == NULL || service->spec->task == NULL) {
        return swki_fail(err, SWK_EINTERNAL, "service %.64s has no spec",
                         service->id);
    }
    if (spec->endpoint != NULL && !swki_message_equal(endpoint_of(spec),
                                                      endpoint_of(service->spec))) {
        rc = swki_check_ports(view, spec->endpoint, service->id, err);
    }
    if (rc == SWK_OK) {
        rc = check_old_networks(service->spec, spec, err);
    }
    if (rc == SWK_OK) {
        rc = swki_check_references(r, view, spec->task, err);
    }
    if (rc == SWK_OK) {
        rc = check_unchanged(service->spec, spec, err);
    }
    if (rc == SWK_OK &&
        update->rollback != SWKPB__UPDATE_SERVICE_REQUEST__ROLLBACK__PREVIOUS) {
        rc = swki_signatures_check_change(service->spec, spec, err);
    }
    if (rc == SWK_OK &&
        update->rollback == SWKPB__UPDATE_SERVICE_REQUEST__ROLLBACK__PREVIOUS &&
        service->previous_spec == NULL) {
        rc = swki_fail(err, SWK_EPRECONDITION,
                       "service %.64s has no previous spec to return to",
                       service->id);
    }
    return rc == SWK_OK ? swki_check_ingress(view, spec->endpoint, err) : rc;
}

/* What was in force becomes the previous spec, and can be returned to. */
static int keep_previous(const struct swki_object *old,
                         struct swki_object *object)
{
    const Swkpb__Service *before = swki_service(old);
    Swkpb__Service *service = swki_service_edit(object);
    int rc = swki_object_share(object, FIELD_PREVIOUS_SPEC, old, FIELD_SPEC);

    if (rc == SWK_OK && before->spec_version != NULL) {
        rc = swki_object_share(object, FIELD_PREVIOUS_SPEC_VERSION, old,
                               FIELD_SPEC_VERSION);
    }
    service->previous_spec = before->spec;
    service->previous_spec_version = before->spec_version;
    return rc;
}

static int put_spec(struct swki_object *object,
                    const Swkpb__UpdateServiceRequest *update)
{
    Swkpb__Service *service = swki_service_edit(object);

    service->spec = (Swkpb__ServiceSpec *)swki_message_copy(
        &update->spec->base, swki_object_arena(object));
    service->spec_version =
        swki_control_version(object, update->service_version->index);
    service->update_status = NULL;
    return service->spec != NULL && service->spec_version != NULL ? SWK_OK
                                                                  : SWK_ENOMEM;
}

static int put_previous(struct swki_control_request *r,
                        const struct swki_object *old,
                        struct swki_object *object)
{
    const Swkpb__Service *before = swki_service(old);
    Swkpb__Service *service = swki_service_edit(object);
    struct swki_arena *arena = swki_object_arena(object);
    int rc = swki_object_share(object, FIELD_SPEC, old, FIELD_PREVIOUS_SPEC);

    if (rc == SWK_OK && before->previous_spec_version != NULL) {
        rc = swki_object_share(object, FIELD_SPEC_VERSION, old,
                               FIELD_PREVIOUS_SPEC_VERSION);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    service->spec = before->previous_spec;
    service->spec_version = before->previous_spec_version;

    Swkpb__UpdateStatus *status = swki_arena_alloc(arena, sizeof(*status));
    if (status == NULL) {
        return SWK_ENOMEM;
    }
    swkpb__update_status__init(status);
    status->state = SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_STARTED;
    status->message = swki_arena_strdup(arena, "manually requested rollback");
    status->started_at = swki_timestamp_from_wall(r->wall, arena);
    service->update_status = status;
    return status->message != NULL && status->started_at != NULL ? SWK_OK
                                                                 : SWK_ENOMEM;
}

static int edit_service(struct swki_control_request *r,
                        const struct swki_object *old,
                        const Swkpb__UpdateServiceRequest *update,
                        struct swki_object **out_object, struct swk_error *err)
{
    const Swkpb__Service *before = swki_service(old);
    const Swkpb__Version *run =
        before->job_status != NULL ? before->job_status->job_iteration : NULL;
    struct swki_object *object = swki_object_edit(old);

    if (object == NULL) {
        return swki_fail_nomem(err);
    }

    int rc = keep_previous(old, object);
    if (rc == SWK_OK) {
        rc = update->rollback ==
                     SWKPB__UPDATE_SERVICE_REQUEST__ROLLBACK__PREVIOUS
                 ? put_previous(r, old, object)
                 : put_spec(object, update);
    }
    if (rc == SWK_OK && is_job(before->spec) &&
        !start_job(r, object, run != NULL ? run->index + 1 : 0)) {
        rc = SWK_ENOMEM;
    }
    if (rc != SWK_OK) {
        swki_object_unref(object);
        return swki_fail_nomem(err);
    }
    rc = swki_control_claim_version(object, &swki_service_edit(object)->meta,
                                    update->service_version, err);
    if (rc != SWK_OK) {
        swki_object_unref(object);
        return rc;
    }
    *out_object = object;
    return SWK_OK;
}

static int change_service(struct swki_control_request *r, struct swki_tx *tx,
                          const Swkpb__UpdateServiceRequest *update,
                          struct swki_object **out_object,
                          struct swk_error *err)
{
    const struct swki_view *view = swki_tx_view(tx);
    const struct swki_object *old;
    int rc = swki_check_attachments(view, update->spec, err);

    if (rc == SWK_OK) {
        rc = swki_control_find(view, SWKI_KIND_SERVICE, update->service_id,
                               &old, err);
    }
    if (rc == SWK_OK) {
        rc = check_update(r, view, swki_service(old), update, err);
    }
    return rc == SWK_OK ? edit_service(r, old, update, out_object, err) : rc;
}

int swki_control_update_service(struct swki_control_request *r,
                                const void *request, struct swk_error *err)
{
    const Swkpb__UpdateServiceRequest *update = request;
    Swkpb__UpdateServiceResponse reply = SWKPB__UPDATE_SERVICE_RESPONSE__INIT;
    const struct swki_object *stored;
    struct swki_object *object = NULL;
    struct swki_tx *tx;
    uint64_t index;

    if (update->service_id[0] == '\0' || update->service_version == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "the service's ID and version must be given");
    }
    int rc = swki_validate_service(update->spec, r->config->alloc, err);
    if (rc == SWK_OK) {
        rc = swki_control_begin(r, &tx, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    rc = change_service(r, tx, update, &object, err);
    if (rc != SWK_OK) {
        swki_tx_abort(tx);
        return rc;
    }
    rc = swki_control_store(r, tx, object, SWKI_CHANGE_UPDATE, &stored, &index,
                            err);
    if (rc == SWK_OK) {
        reply.service = (Swkpb__Service *)(uintptr_t)swki_service(stored);
        swki_control_reply(r, &reply.base, index);
    }
    return rc;
}

/* -- Read and remove ------------------------------------------------------ */

int swki_control_get_service(struct swki_control_request *r,
                             const void *request, struct swk_error *err)
{
    const Swkpb__GetServiceRequest *get = request;
    Swkpb__GetServiceResponse reply = SWKPB__GET_SERVICE_RESPONSE__INIT;
    const struct swki_object *object;
    int rc = swki_control_find(swki_control_view(r), SWKI_KIND_SERVICE,
                               get->service_id, &object, err);

    if (rc != SWK_OK) {
        return rc;
    }

    Swkpb__Service shown = *swki_service(object);
    if (get->insert_defaults) {
        shown.spec = swki_service_defaults(shown.spec, r->arena);
        if (shown.spec == NULL) {
            return swki_fail_nomem(err);
        }
    }
    reply.service = &shown;
    swki_control_reply(r, &reply.base, 0);
    return SWK_OK;
}

int swki_control_remove_service(struct swki_control_request *r,
                                const void *request, struct swk_error *err)
{
    const Swkpb__RemoveServiceRequest *remove = request;
    Swkpb__RemoveServiceResponse reply = SWKPB__REMOVE_SERVICE_RESPONSE__INIT;
    const struct swki_object *object;
    struct swki_tx *tx;
    uint64_t index;
    int rc = swki_control_begin(r, &tx, err);

    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_control_find(swki_tx_view(tx), SWKI_KIND_SERVICE,
                           remove->service_id, &object, err);
    if (rc != SWK_OK) {
        swki_tx_abort(tx);
        return rc;
    }
    rc = swki_control_delete(r, tx, SWKI_KIND_SERVICE, remove->service_id,
                             &index, err);
    if (rc == SWK_OK) {
        swki_control_reply(r, &reply.base, index);
    }
    return rc;
}

struct service_filter {
    struct swki_filter common;
    struct swki_texts runtimes;
};

static int pick_service(struct swki_control_request *r,
                        const struct swki_object *object, const void *filters,
                        const void **out_message)
{
    const struct service_filter *filter = filters;
    const Swkpb__Service *service = swki_service(object);
    const Swkpb__ServiceSpec *spec = service->spec;
    const Swkpb__Annotations *a = spec != NULL ? spec->annotations : NULL;
    char runtime[RUNTIME_NAME_SIZE];

    if (swki_filter_all(&filter->common, service->id, swki_annotations_name(a),
                        swki_annotations_labels(a)) &&
        swki_texts_allow(filter->runtimes,
                         swki_runtime_name(spec != NULL ? spec->task : NULL,
                                           runtime, sizeof(runtime)))) {
        *out_message = service;
    }
    return SWK_OK;
}

int swki_control_list_services(struct swki_control_request *r,
                               const void *request, struct swk_error *err)
{
    const Swkpb__ListServicesRequest *list = request;
    const Swkpb__ListServicesRequest__Filters *filters = list->filters;
    Swkpb__ListServicesResponse reply = SWKPB__LIST_SERVICES_RESPONSE__INIT;
    struct service_filter filter = {0};
    struct swki_found found;

    if (filters != NULL) {
        filter.common.names = SWKI_TEXTS(filters, names);
        filter.common.name_prefixes = SWKI_TEXTS(filters, name_prefixes);
        filter.common.id_prefixes = SWKI_TEXTS(filters, id_prefixes);
        filter.common.labels = SWKI_LABELS(filters, labels);
        filter.runtimes = SWKI_TEXTS(filters, runtimes);
    }

    int rc = swki_control_list(r, SWKI_KIND_SERVICE,
                               swki_control_plan(r, &filter.common),
                               pick_service, &filter, &found, err);
    if (rc == SWK_OK) {
        reply.n_services = found.count;
        reply.services = (Swkpb__Service **)found.items;
        swki_control_reply(r, &reply.base, 0);
    }
    return rc;
}
