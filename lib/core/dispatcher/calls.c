/* SPDX-License-Identifier: Apache-2.0 */

/* The calls of nodes: sessions, heartbeats, assignments, reports. */

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/dispatcher/internal.h"
#include "crypto/digest.h"
#include "dispatcher.pb-c.h"
#include "wire/message.h"

/* Registrations of one node: at most so many in this time. */
#define REGISTRATIONS_WINDOW (8 * SWK_SECOND)

enum {
    REGISTRATIONS_MAX = 3,
    /* A port may be reported once for each version of IP. */
    REPORTS_OF_A_PORT_MAX = 2,
};

/* -- Sessions ------------------------------------------------------------- */

/* At most a few registrations of a node in a row; a refused one does not
 * prolong the wait. */
static bool registration_allowed(struct node *node, swk_time now)
{
    if (now - node->registrations_since > REGISTRATIONS_WINDOW) {
        node->registrations_count = 0;
    }
    if (node->registrations_count >= REGISTRATIONS_MAX) {
        return false;
    }
    node->registrations_count++;
    node->registrations_since = now;
    return true;
}

/* The host of "host:port" or "[host]:port". */
static void set_address(struct node *node, const char *address)
{
    const char *port = strrchr(address, ':');
    size_t len = port != NULL ? (size_t)(port - address) : strlen(address);

    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    if (len > 0 && len < sizeof(node->address)) {
        memcpy(node->address, address, len);
        node->address[len] = '\0';
    }
}

/* Takes the node in: all that may fail comes first. */
static int register_node(struct swki_dispatcher *d, struct node *node,
                         const Swkpb__NodeDescription *description,
                         const char *address)
{
    if ((description != NULL &&
         swki_dispatcher_set_description(d, node, description) != 0) ||
        !swki_timers_set(&d->timers, &node->timer,
                         d->now + SWKI_DISPATCHER_GRACE * d->period)) {
        return SWK_ENOMEM;
    }
    set_address(node, address);
    swki_dispatcher_queue_status(d, node, SWKPB__NODE_STATUS__STATE__READY,
                                 "");
    node->registered_index = 0;
    node->phase = NODE_READY;
    return SWK_OK;
}

/* Makes the call the node's session, in place of another one. */
static void open_session(struct swki_dispatcher *d, struct node *node,
                         const struct swki_call *call, bool resumes,
                         struct swki_answers *answers)
{
    if (resumes) {
        swki_dispatcher_end_stream(d, &node->session, answers,
                                   SWKI_STATUS_INVALID_ARGUMENT,
                                   "session invalid");
    } else {
        swki_dispatcher_end_streams(d, node, answers,
                                    SWKI_STATUS_INVALID_ARGUMENT,
                                    "session invalid");
        swki_rng_id(&d->rng, node->session_id);
    }
    if (!swki_dispatcher_open_stream(d, &node->session, call->id)) {
        swki_answer_end(answers, call->id, SWKI_STATUS_RESOURCE_EXHAUSTED,
                        "out of memory");
        return;
    }
    swki_dispatcher_note_session(d, node);
}

/* Whether the node may register now; else the call is answered. */
static bool admit(struct swki_dispatcher *d, struct node *node, bool resumes,
                  const struct swki_call *call, struct swki_answers *answers)
{
    const Swkpb__SessionRequest *request =
        (const Swkpb__SessionRequest *)call->request;
    struct swk_error err;

    if (swki_view_get(swki_store_committed(d->store), SWKI_KIND_NODE,
                      call->caller->node_id) == NULL) {
        swki_answer_end(answers, call->id, SWKI_STATUS_NOT_FOUND,
                        "node not found");
        return false;
    }
    if (request->description != NULL &&
        swki_dispatcher_check_description(request->description, &err) != 0) {
        swki_answer_fail(answers, call->id, &err);
        return false;
    }
    if (!resumes && node != NULL && node->phase == NODE_READY &&
        !registration_allowed(node, d->now)) {
        swki_answer_end(answers, call->id, SWKI_STATUS_UNAVAILABLE,
                        "node registers too often: wait a few seconds");
        return false;
    }
    return true;
}

static void serve_session(struct swki_dispatcher *d,
                          const struct swki_call *call,
                          struct swki_answers *answers)
{
    const Swkpb__SessionRequest *request =
        (const Swkpb__SessionRequest *)call->request;
    const char *id = call->caller->node_id;
    struct node *known = swki_map_get(&d->nodes, id);
    struct node *node = known;
    bool resumes = node != NULL && node->session_id[0] != '\0' &&
                   swki_ct_equal_text(node->session_id, request->session_id);

    if (!admit(d, node, resumes, call, answers)) {
        return;
    }
    if (node == NULL) {
        node = swki_dispatcher_add_node(d, id);
    }
    if (node == NULL || register_node(d, node, request->description,
                                      call->caller->address) != 0) {
        if (node != known) {
            swki_dispatcher_remove_node(d, node);
        }
        swki_answer_end(answers, call->id, SWKI_STATUS_RESOURCE_EXHAUSTED,
                        "out of memory");
        return;
    }
    open_session(d, node, call, resumes, answers);
}

/* The node of a call that must be within a session; NULL after an answer. */
static struct node *require_session(struct swki_dispatcher *d,
                                    const struct swki_call *call,
                                    const char *session_id,
                                    struct swki_answers *answers)
{
    struct node *node = swki_map_get(&d->nodes, call->caller->node_id);

    if (node == NULL || node->phase != NODE_READY) {
        swki_answer_end(answers, call->id, SWKI_STATUS_NOT_FOUND,
                        "node not registered");
        return NULL;
    }
    if (session_id[0] == '\0' ||
        !swki_ct_equal_text(session_id, node->session_id)) {
        swki_answer_end(answers, call->id, SWKI_STATUS_INVALID_ARGUMENT,
                        "session invalid");
        return NULL;
    }
    return node;
}

/* Any call of a node shows that it lives. */
static void beat(struct swki_dispatcher *d, struct node *node, swk_time period)
{
    /* The timer is set already, so that moving it cannot fail. */
    (void)swki_timers_set(&d->timers, &node->timer,
                          d->now + SWKI_DISPATCHER_GRACE * period);
}

/* The period, with a tenth more or less, so that beats do not bunch up. */
static swk_time draw_period(struct swki_dispatcher *d)
{
    swk_time spread = d->period / 5;

    return d->period - spread / 2 + swki_rng_below(&d->rng, spread);
}

static void serve_heartbeat(struct swki_dispatcher *d,
                            const struct swki_call *call,
                            struct swki_answers *answers)
{
    const Swkpb__HeartbeatRequest *request =
        (const Swkpb__HeartbeatRequest *)call->request;
    struct node *node =
        require_session(d, call, request->session_id, answers);
    Swkpb__HeartbeatResponse response = SWKPB__HEARTBEAT_RESPONSE__INIT;
    Swkpb__Duration duration = SWKPB__DURATION__INIT;
    swk_time period;

    if (node == NULL) {
        return;
    }
    period = draw_period(d);
    beat(d, node, period);
    duration.seconds = (int64_t)(period / SWK_SECOND);
    duration.nanos = (int32_t)(period % SWK_SECOND);
    response.period = &duration;
    swki_answer_reply(answers, call->id, &response.base, 0);
}

static void serve_assignments(struct swki_dispatcher *d,
                              const struct swki_call *call,
                              struct swki_answers *answers)
{
    const Swkpb__AssignmentsRequest *request =
        (const Swkpb__AssignmentsRequest *)call->request;
    struct node *node =
        require_session(d, call, request->session_id, answers);

    if (node == NULL) {
        return;
    }
    swki_dispatcher_end_assignments(d, node, answers,
                                    SWKI_STATUS_INVALID_ARGUMENT,
                                    "replaced by a newer stream");
    if (!swki_dispatcher_open_stream(d, &node->assignments, call->id) ||
        !swki_dispatcher_list_assignments(d, node)) {
        swki_dispatcher_close_assignments(d, node);
        swki_answer_end(answers, call->id, SWKI_STATUS_RESOURCE_EXHAUSTED,
                        "out of memory");
    }
}

/* -- Reports -------------------------------------------------------------- */

static bool worker_may_report(Swkpb__TaskState state)
{
    switch (state) {
    case SWKPB__TASK_STATE__ACCEPTED:
    case SWKPB__TASK_STATE__PREPARING:
    case SWKPB__TASK_STATE__READY:
    case SWKPB__TASK_STATE__STARTING:
    case SWKPB__TASK_STATE__RUNNING:
    case SWKPB__TASK_STATE__COMPLETE:
    case SWKPB__TASK_STATE__SHUTDOWN:
    case SWKPB__TASK_STATE__FAILED:
    case SWKPB__TASK_STATE__REJECTED:
        return true;
    default: /* the manager's own states, and numbers of no state */
        return false;
    }
}

/* Encoded bytes of a status but for its texts, which are cut. */
static size_t details_size(const Swkpb__TaskStatus *status)
{
    Swkpb__TaskStatus details = *status;

    details.message = NULL;
    details.err = NULL;
    return protobuf_c_message_get_packed_size(&details.base);
}

/* Ports that the task publishes, assigned already or only wanted. */
static size_t published_count(const Swkpb__Task *task)
{
    const Swkpb__Endpoint *endpoint = task->endpoint;
    size_t wanted = endpoint != NULL && endpoint->spec != NULL
                        ? endpoint->spec->n_ports
                        : 0;

    return endpoint != NULL && endpoint->n_ports > wanted ? endpoint->n_ports
                                                          : wanted;
}

/* What a node says of a task is in every manager's memory, and in all answers
 * about the task. */
static int check_status(const Swkpb__Task *task,
                        const Swkpb__TaskStatus *status, struct swk_error *err)
{
    const bool has_container =
        status->runtime_status_case ==
        SWKPB__TASK_STATUS__RUNTIME_STATUS_CONTAINER;
    const Swkpb__PortStatus *ports = status->port_status;

    if (!worker_may_report(status->state)) {
        return swki_fail(err, SWK_EINVAL, "state %d is not a node's to report",
                         (int)status->state);
    }
    if (details_size(status) > SWKI_DISPATCHER_STATUS_MAX) {
        return swki_fail(err, SWK_ELIMIT,
                         "the status of a task is too large");
    }
    if (has_container && strlen(status->container->container_id) >
                             SWKI_DISPATCHER_TEXT_MAX) {
        return swki_fail(err, SWK_ELIMIT, "the ID of a container is too long");
    }
    if (ports != NULL &&
        ports->n_ports > REPORTS_OF_A_PORT_MAX * published_count(task)) {
        return swki_fail(err, SWK_ELIMIT,
                         "%zu ports are reported of a task that publishes %zu",
                         ports->n_ports, published_count(task));
    }
    return SWK_OK;
}

/* Whether a whole call of reports may be taken. */
static int check_reports(const struct swki_dispatcher *d,
                         const struct node *node,
                         const Swkpb__UpdateTaskStatusRequest *request,
                         struct swk_error *err)
{
    const struct swki_view *view = swki_store_head(d->store);

    if (request->n_updates > SWKI_DISPATCHER_UPDATES_MAX) {
        return swki_fail(err, SWK_ELIMIT, "more than %d reports in one call",
                         SWKI_DISPATCHER_UPDATES_MAX);
    }
    for (size_t i = 0; i < request->n_updates; i++) {
        const Swkpb__UpdateTaskStatusRequest__TaskStatusUpdate *update =
            request->updates[i];
        const struct swki_object *task =
            swki_view_get(view, SWKI_KIND_TASK, update->task_id);
        int rc;

        if (task == NULL || update->status == NULL) {
            continue;
        }
        if (strcmp(swki_task(task)->node_id, node->id) != 0) {
            return swki_fail(err, SWK_EDENIED,
                             "cannot update a task not assigned this node");
        }
        rc = check_status(swki_task(task), update->status, err);
        if (rc != SWK_OK) {
            return rc;
        }
    }
    return SWK_OK;
}

static void serve_task_status(struct swki_dispatcher *d,
                              const struct swki_call *call,
                              struct swki_answers *answers)
{
    const Swkpb__UpdateTaskStatusRequest *request =
        (const Swkpb__UpdateTaskStatusRequest *)call->request;
    Swkpb__UpdateTaskStatusResponse response =
        SWKPB__UPDATE_TASK_STATUS_RESPONSE__INIT;
    struct node *node =
        require_session(d, call, request->session_id, answers);
    struct swk_error err;
    int rc;

    if (node == NULL) {
        return;
    }
    rc = check_reports(d, node, request, &err);
    if (rc == 0 &&
        d->reports.count + request->n_updates > SWKI_DISPATCHER_QUEUE_MAX) {
        rc = swki_fail(&err, SWK_EUNAVAILABLE, "too many reports are waiting");
    }
    for (size_t i = 0; rc == 0 && i < request->n_updates; i++) {
        const Swkpb__UpdateTaskStatusRequest__TaskStatusUpdate *update =
            request->updates[i];

        if (update->status != NULL &&
            swki_view_get(swki_store_head(d->store), SWKI_KIND_TASK,
                          update->task_id) != NULL) {
            rc = swki_dispatcher_queue_report(d, update->task_id,
                                              update->status);
        }
        if (rc != 0) {
            swki_fail_nomem(&err);
        }
    }
    if (rc != 0) {
        swki_answer_fail(answers, call->id, &err);
        return;
    }
    beat(d, node, d->period);
    swki_answer_reply(answers, call->id, &response.base, 0);
}

static void serve_volume_status(struct swki_dispatcher *d,
                                const struct swki_call *call,
                                struct swki_answers *answers)
{
    const Swkpb__UpdateVolumeStatusRequest *request =
        (const Swkpb__UpdateVolumeStatusRequest *)call->request;
    Swkpb__UpdateVolumeStatusResponse response =
        SWKPB__UPDATE_VOLUME_STATUS_RESPONSE__INIT;

    if (require_session(d, call, request->session_id, answers) == NULL) {
        return;
    }
    if (request->n_updates > 0) {
        swki_answer_end(answers, call->id, SWKI_STATUS_UNIMPLEMENTED,
                        "cluster volumes are not available in this release");
        return;
    }
    swki_answer_reply(answers, call->id, &response.base, 0);
}

static void serve_tasks(struct swki_dispatcher *d, const struct swki_call *call,
                        struct swki_answers *answers)
{
    (void)d;
    swki_answer_end(answers, call->id, SWKI_STATUS_UNIMPLEMENTED,
                    "use Assignments");
}

static const struct {
    const char *path;
    void (*serve)(struct swki_dispatcher *d, const struct swki_call *call,
                  struct swki_answers *answers);
} methods[] = {
    {"/docker.swarmkit.v1.Dispatcher/Session", serve_session},
    {"/docker.swarmkit.v1.Dispatcher/Heartbeat", serve_heartbeat},
    {"/docker.swarmkit.v1.Dispatcher/Assignments", serve_assignments},
    {"/docker.swarmkit.v1.Dispatcher/UpdateTaskStatus", serve_task_status},
    {"/docker.swarmkit.v1.Dispatcher/UpdateVolumeStatus", serve_volume_status},
    {"/docker.swarmkit.v1.Dispatcher/Tasks", serve_tasks},
};

void swki_dispatcher_call(struct swki_dispatcher *d, swk_time now,
                          const struct swki_call *call,
                          struct swki_answers *answers)
{
    d->now = now;
    if (!d->running) {
        swki_answer_end(answers, call->id, SWKI_STATUS_ABORTED,
                        "dispatcher is stopped");
        return;
    }
    if (call->caller->node_id[0] == '\0') {
        swki_answer_end(answers, call->id, SWKI_STATUS_PERMISSION_DENIED,
                        "Permission denied: no client certificates in request");
        return;
    }
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i].path, call->path) == 0) {
            methods[i].serve(d, call, answers);
            return;
        }
    }
    swki_answer_end(answers, call->id, SWKI_STATUS_UNIMPLEMENTED,
                    "no such method");
}
