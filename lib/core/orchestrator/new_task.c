/* SPDX-License-Identifier: Apache-2.0 */

#include "base/error.h"
#include "core/orchestrator/state.h"
#include "core/scheduler/constraint.h"
#include "core/store/task.h"
#include "wire/message.h"

/* -- Making --------------------------------------------------------------- */

/* The cluster's default, or NULL. */
static const Swkpb__Driver *default_log_driver(const struct swki_view *view)
{
    struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *object;
    const Swkpb__ClusterSpec *spec = NULL;
    struct swki_cursor cursor;

    if (swki_view_find(view, SWKI_KIND_CLUSTER, &all, &cursor, NULL) !=
        SWK_OK) {
        return NULL;
    }
    object = swki_cursor_next(&cursor);
    swki_cursor_close(&cursor);
    if (object != NULL) {
        spec = swki_cluster(object)->spec;
    }
    return spec != NULL && spec->task_defaults != NULL
               ? spec->task_defaults->log_driver
               : NULL;
}

/* Spec and version, in memory that is shared with where they come from. */
static int share_spec(struct swki_object *task,
                      const struct swki_new_task *wanted)
{
    Swkpb__Task *t = swki_task_edit(task);
    int rc;

    if (wanted->like != NULL) {
        t->spec = swki_task(wanted->like)->spec;
        t->spec_version = swki_task(wanted->like)->spec_version;
        rc = swki_object_share(task, SWKI_TASK_FIELD_SPEC, wanted->like,
                               SWKI_TASK_FIELD_SPEC);
        if (rc == SWK_OK && t->spec_version != NULL) {
            rc = swki_object_share(task, SWKI_TASK_FIELD_SPEC_VERSION,
                                   wanted->like, SWKI_TASK_FIELD_SPEC_VERSION);
        }
        return rc;
    }
    t->spec = swki_service(wanted->service)->spec->task;
    t->spec_version = swki_service(wanted->service)->spec_version;
    rc = t->spec != NULL
             ? swki_object_share(task, SWKI_TASK_FIELD_SPEC, wanted->service,
                                 SWKI_SERVICE_FIELD_SPEC)
             : SWK_OK;
    if (rc == SWK_OK && t->spec_version != NULL) {
        rc =
            swki_object_share(task, SWKI_TASK_FIELD_SPEC_VERSION,
                              wanted->service, SWKI_SERVICE_FIELD_SPEC_VERSION);
    }
    return rc;
}

/* Whoever vouched for the spec goes with it. */
static int share_signatures(struct swki_object *task,
                            const struct swki_new_task *wanted)
{
    Swkpb__Task *t = swki_task_edit(task);

    if (wanted->like != NULL) {
        t->n_signatures = swki_task(wanted->like)->n_signatures;
        t->signatures = swki_task(wanted->like)->signatures;
        return swki_object_share(task, SWKI_TASK_FIELD_SIGNATURES, wanted->like,
                                 SWKI_TASK_FIELD_SIGNATURES);
    }
    t->n_signatures = swki_service(wanted->service)->spec->n_signatures;
    t->signatures = swki_service(wanted->service)->spec->signatures;
    return t->n_signatures > 0
               ? swki_object_share(task, SWKI_TASK_FIELD_SIGNATURES,
                                   wanted->service, SWKI_SERVICE_FIELD_SPEC)
               : SWK_OK;
}

/* A signature is over the service's labels too: with the old one go the old
 * labels. */
static int share_annotations(struct swki_object *task,
                             const struct swki_new_task *wanted)
{
    const struct swki_object *service = wanted->service;
    Swkpb__Task *t = swki_task_edit(task);

    if (t->n_signatures > 0 && wanted->like != NULL) {
        t->service_annotations = swki_task(wanted->like)->service_annotations;
        return swki_object_share(task, SWKI_TASK_FIELD_SERVICE_ANNOTATIONS,
                                 wanted->like,
                                 SWKI_TASK_FIELD_SERVICE_ANNOTATIONS);
    }
    t->service_annotations = swki_service(service)->spec->annotations;
    return t->service_annotations != NULL
               ? swki_object_share(task, SWKI_TASK_FIELD_SERVICE_ANNOTATIONS,
                                   service, SWKI_SERVICE_FIELD_SPEC)
               : SWK_OK;
}

/* Copies: what they come from may go before the task does. */
static int copy_parts(struct swki_object *task,
                      const struct swki_object *service,
                      const Swkpb__Driver *log_driver)
{
    Swkpb__EndpointSpec *endpoint = swki_service(service)->spec->endpoint;
    Swkpb__Task *t = swki_task_edit(task);

    if (endpoint != NULL) {
        t->endpoint =
            swki_arena_alloc(swki_object_arena(task), sizeof(*t->endpoint));
        if (t->endpoint == NULL) {
            return SWK_ENOMEM;
        }
        swkpb__endpoint__init(t->endpoint);
        t->endpoint->spec = endpoint;
        if (swki_object_own(task, &t->endpoint->spec) == NULL) {
            return SWK_ENOMEM;
        }
    }
    if (log_driver != NULL) {
        t->log_driver = (Swkpb__Driver *)log_driver;
        if (swki_object_own(task, &t->log_driver) == NULL) {
            return SWK_ENOMEM;
        }
    }
    return SWK_OK;
}

static int fill(struct swki_orchestrator *o, struct swki_object *task,
                const struct swki_new_task *wanted,
                const struct swki_view *view)
{
    struct swki_task_report report = {
        .state = SWKPB__TASK_STATE__NEW,
        .message = "created",
        .applied_by = o->node_id,
        .wall = o->wall,
    };
    struct swki_arena *arena = swki_object_arena(task);
    Swkpb__Task *t = swki_task_edit(task);
    const Swkpb__Driver *driver;
    char id[SWK_ID_LEN + 1];
    int rc;

    swki_rng_id(&o->rng, id);
    t->id = swki_arena_strdup(arena, id);
    t->service_id = swki_arena_strdup(arena, swki_object_id(wanted->service));
    t->slot = wanted->slot;
    t->desired_state = wanted->desired;
    if (t->id == NULL || t->service_id == NULL) {
        return SWK_ENOMEM;
    }
    rc = share_spec(task, wanted);
    if (rc == SWK_OK) {
        rc = share_signatures(task, wanted);
    }
    if (rc == SWK_OK) {
        rc = share_annotations(task, wanted);
    }
    driver = t->spec != NULL && t->spec->log_driver != NULL
                 ? t->spec->log_driver
                 : default_log_driver(view);
    if (rc == SWK_OK) {
        rc = copy_parts(task, wanted->service, driver);
    }
    return rc == SWK_OK ? swki_task_report(task, &report) : rc;
}

int swki_create_task(struct swki_orchestrator *o, struct swki_tx *tx,
                     const struct swki_new_task *wanted,
                     const struct swki_object **out_task, struct swk_error *err)
{
    struct swki_object *task = swki_object_new(o->alloc, SWKI_KIND_TASK);
    int rc;

    if (task == NULL || fill(o, task, wanted, swki_tx_view(tx)) != SWK_OK) {
        swki_object_unref(task);
        return swki_fail_nomem(err);
    }
    swki_object_ref(task);
    rc = swki_tx_create(tx, task, err);
    if (rc == SWK_OK && out_task != NULL) {
        *out_task = swki_view_get(swki_tx_view(tx), SWKI_KIND_TASK,
                                  swki_object_id(task));
    }
    swki_object_unref(task);
    return rc;
}

/* -- Comparing ------------------------------------------------------------ */

static bool node_suits(struct swki_orchestrator *o,
                       const struct swki_view *view, const char *node_id,
                       const Swkpb__Placement *placement)
{
    const struct swki_object *node =
        swki_view_get(view, SWKI_KIND_NODE, node_id);
    struct swki_constraints constraints;
    bool match;

    if (node == NULL) {
        return false;
    }
    if (placement == NULL) {
        return true;
    }
    if (swki_constraints_parse(o->alloc, placement->constraints,
                               placement->n_constraints, &constraints,
                               NULL) != SWK_OK) {
        return true; /* a list that cannot be read restricts nothing */
    }
    match = swki_constraints_match(&constraints, swki_node(node));
    swki_constraints_fini(&constraints);
    return match;
}

/* Credentials are used to fetch the image only, and this is done. */
static bool equal_but_credentials(const Swkpb__TaskSpec *a,
                                  const Swkpb__TaskSpec *b)
{
    Swkpb__TaskSpec spec_a = *a;
    Swkpb__TaskSpec spec_b = *b;
    Swkpb__ContainerSpec container_a = *a->container;
    Swkpb__ContainerSpec container_b = *b->container;

    container_a.pull_options = NULL;
    container_b.pull_options = NULL;
    spec_a.container = &container_a;
    spec_b.container = &container_b;
    return swki_message_equal(&spec_a.base, &spec_b.base);
}

static bool is_container(const Swkpb__TaskSpec *spec)
{
    return spec->runtime_case == SWKPB__TASK_SPEC__RUNTIME_CONTAINER &&
           spec->container != NULL;
}

static bool specs_equal(const Swkpb__Task *task, const Swkpb__TaskSpec *wanted)
{
    Swkpb__TaskState state = swki_task_state(task);

    if (is_container(task->spec) && is_container(wanted) &&
        swki_task_wanted(task) && state >= SWKPB__TASK_STATE__READY &&
        state <= SWKPB__TASK_STATE__RUNNING) {
        return equal_but_credentials(task->spec, wanted);
    }
    return swki_message_equal(&task->spec->base, &wanted->base);
}

static bool only_placement_differs(const Swkpb__TaskSpec *a,
                                   const Swkpb__TaskSpec *b)
{
    Swkpb__TaskSpec spec_a = *a;
    Swkpb__TaskSpec spec_b = *b;

    if (swki_message_equal(a->placement != NULL ? &a->placement->base : NULL,
                           b->placement != NULL ? &b->placement->base : NULL)) {
        return false;
    }
    spec_a.placement = NULL;
    spec_b.placement = NULL;
    return swki_message_equal(&spec_a.base, &spec_b.base);
}

static bool endpoints_equal(const Swkpb__Task *task,
                            const Swkpb__ServiceSpec *spec)
{
    const Swkpb__EndpointSpec *has;

    if (task->endpoint == NULL) {
        return true;
    }
    has = task->endpoint->spec;
    return swki_message_equal(has != NULL ? &has->base : NULL,
                              spec->endpoint != NULL ? &spec->endpoint->base
                                                     : NULL);
}

/* A task that has no node yet may have none for want of a signature that its
 * service has got by now. One that has a node was looked at there. */
static bool waits_for_signature(const Swkpb__Task *task,
                                const Swkpb__ServiceSpec *spec)
{
    if (swki_task_state(task) >= SWKPB__TASK_STATE__ASSIGNED) {
        return false;
    }
    if (task->n_signatures != spec->n_signatures) {
        return true;
    }
    for (size_t i = 0; i < spec->n_signatures; i++) {
        if (!swki_message_equal(&task->signatures[i]->base,
                                &spec->signatures[i]->base)) {
            return true;
        }
    }
    return false;
}

bool swki_task_dirty(struct swki_orchestrator *o, const struct swki_view *view,
                     const struct swki_object *service,
                     const struct swki_object *task)
{
    const Swkpb__Service *s = swki_service(service);
    const Swkpb__Task *t = swki_task(task);
    const Swkpb__TaskSpec *wanted = s->spec->task;

    if (t->spec_version != NULL && s->spec_version != NULL &&
        t->spec_version->index == s->spec_version->index) {
        return false;
    }
    if (t->spec == NULL || wanted == NULL) {
        return t->spec != wanted;
    }
    if (only_placement_differs(t->spec, wanted) &&
        node_suits(o, view, t->node_id, wanted->placement)) {
        return false;
    }
    return !specs_equal(t, wanted) || !endpoints_equal(t, s->spec) ||
           waits_for_signature(t, s->spec);
}
