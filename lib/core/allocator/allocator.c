/* SPDX-License-Identifier: Apache-2.0 */

#include "core/allocator/allocator.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/map.h"
#include "core/allocator/ports.h"
#include "core/store/component.h"
#include "core/store/task.h"
#include "wire/message.h"

#define NO_NETWORKS                                                            \
    "networks are not available in this release: remove the task's networks"

enum {
    TASK_FIELD_ENDPOINT = 12,
    SERVICE_FIELD_ENDPOINT = 4,
    PROBLEM_SIZE = 128,
};

struct held_port {
    unsigned protocol;
    uint32_t port;
};

/* A service, as far as its ports go. */
struct service {
    struct held_port *ports;
    size_t ports_count;
    bool queued;                /* must be looked at */
    char problem[PROBLEM_SIZE]; /* why it has no endpoint; "" if it is fine */
    char id[];
};

struct swki_allocator {
    const struct swk_alloc *alloc;
    struct swki_component base;
    char *node_id;
    struct swki_ports ports;
    struct swki_map services;
    struct swki_map queue;   /* tasks to be looked at */
    struct swki_map blocked; /* tasks whose service has no endpoint yet */
    size_t services_queued;
};

/* -- Tables --------------------------------------------------------------- */

static void clear_waiters(struct swki_allocator *a, struct swki_map *map)
{
    size_t cursor = 0;
    char *waiter;

    while ((waiter = swki_map_next(map, &cursor)) != NULL) {
        swki_free(a->alloc, waiter);
    }
    swki_map_fini(map);
}

static bool add_waiter(struct swki_allocator *a, struct swki_map *map,
                       const char *id)
{
    char *waiter;

    if (swki_map_get(map, id) != NULL) {
        return true;
    }
    waiter = swki_strdup(a->alloc, id);
    if (waiter == NULL || !swki_map_put(map, waiter, waiter)) {
        swki_free(a->alloc, waiter);
        return false;
    }
    return true;
}

static void remove_waiter(struct swki_allocator *a, struct swki_map *map,
                          const char *id)
{
    swki_free(a->alloc, swki_map_remove(map, id));
}

static void release_ports(struct swki_allocator *a, struct service *service)
{
    for (size_t i = 0; i < service->ports_count; i++) {
        swki_ports_release(&a->ports, service->ports[i].protocol,
                           service->ports[i].port);
    }
    swki_free(a->alloc, service->ports);
    service->ports = NULL;
    service->ports_count = 0;
}

static void clear(struct swki_allocator *a)
{
    size_t cursor = 0;
    struct service *service;

    while ((service = swki_map_next(&a->services, &cursor)) != NULL) {
        swki_free(a->alloc, service->ports);
        swki_free(a->alloc, service);
    }
    swki_map_fini(&a->services);
    clear_waiters(a, &a->queue);
    clear_waiters(a, &a->blocked);
    a->services_queued = 0;
    swki_ports_init(&a->ports);
}

static struct service *find_service(struct swki_allocator *a, const char *id)
{
    struct service *service = swki_map_get(&a->services, id);
    size_t size = strlen(id) + 1;

    if (service != NULL) {
        return service;
    }
    service = swki_calloc(a->alloc, 1, sizeof(*service) + size);
    if (service == NULL) {
        return NULL;
    }
    memcpy(service->id, id, size);
    if (!swki_map_put(&a->services, service->id, service)) {
        swki_free(a->alloc, service);
        return NULL;
    }
    return service;
}

static bool is_ingress(const Swkpb__PortConfig *port)
{
    return port->publish_mode == SWKPB__PORT_CONFIG__PUBLISH_MODE__INGRESS;
}

/* Makes the service the holder of what its stored endpoint says. */
static bool hold_ports(struct swki_allocator *a, struct service *service,
                       const Swkpb__Endpoint *endpoint)
{
    size_t count = endpoint != NULL ? endpoint->n_ports : 0;
    struct held_port *held = NULL;
    size_t held_count = 0;

    if (count > 0) {
        held = swki_calloc(a->alloc, count, sizeof(*held));
        if (held == NULL) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const Swkpb__PortConfig *port = endpoint->ports[i];

        if (is_ingress(port) &&
            swki_ports_take(&a->ports, port->protocol, port->published_port)) {
            held[held_count++] = (struct held_port){
                .protocol = port->protocol,
                .port = port->published_port,
            };
        }
    }
    swki_free(a->alloc, service->ports);
    service->ports = held;
    service->ports_count = held_count;
    return true;
}

/* Whether the endpoint is what the spec asks for. */
static bool is_allocated(const Swkpb__Service *service)
{
    const Swkpb__EndpointSpec *spec =
        service->spec != NULL ? service->spec->endpoint : NULL;

    if (spec == NULL || service->endpoint == NULL) {
        return spec == NULL && service->endpoint == NULL;
    }
    return service->endpoint->spec != NULL &&
           swki_message_equal(&spec->base, &service->endpoint->spec->base);
}

/* -- Events --------------------------------------------------------------- */

static void queue_service(struct swki_allocator *a, struct service *service)
{
    if (!service->queued) {
        service->queued = true;
        a->services_queued++;
    }
}

/* Ports became free: those who asked for them in vain may ask again. */
static void queue_troubled(struct swki_allocator *a)
{
    size_t cursor = 0;
    struct service *service;

    while ((service = swki_map_next(&a->services, &cursor)) != NULL) {
        if (service->problem[0] != '\0') {
            queue_service(a, service);
        }
    }
}

static bool unblock_all(struct swki_allocator *a)
{
    size_t cursor = 0;
    char *waiter;

    while ((waiter = swki_map_next(&a->blocked, &cursor)) != NULL) {
        if (!add_waiter(a, &a->queue, waiter)) {
            return false;
        }
        remove_waiter(a, &a->blocked, waiter);
    }
    return true;
}

static bool on_service(struct swki_allocator *a, const struct swki_event *event)
{
    const char *id = swki_object_id(event->object);
    struct service *service;

    if (event->change == SWKI_CHANGE_DELETE) {
        service = swki_map_remove(&a->services, id);
        if (service != NULL) {
            a->services_queued -= service->queued ? 1 : 0;
            release_ports(a, service);
            swki_free(a->alloc, service);
            queue_troubled(a);
        }
        return unblock_all(a);
    }
    service = find_service(a, id);
    if (service == NULL) {
        return false;
    }
    if (!is_allocated(swki_service(event->object))) {
        queue_service(a, service);
    }
    return true;
}

static bool on_task(struct swki_allocator *a, const struct swki_event *event)
{
    const char *id = swki_object_id(event->object);

    if (event->change == SWKI_CHANGE_CREATE &&
        swki_task_state(swki_task(event->object)) == SWKPB__TASK_STATE__NEW) {
        return add_waiter(a, &a->queue, id);
    }
    if (event->change == SWKI_CHANGE_DELETE) {
        remove_waiter(a, &a->queue, id);
        remove_waiter(a, &a->blocked, id);
    }
    return true;
}

static int drain(struct swki_allocator *a)
{
    for (int i = 0; i < SWKI_COMPONENT_STEP_EVENTS; i++) {
        const struct swki_event *event = swki_component_next(&a->base);

        if (event == NULL) {
            break;
        }
        if (!(event->kind == SWKI_KIND_SERVICE ? on_service(a, event)
                                               : on_task(a, event))) {
            return SWK_ENOMEM;
        }
    }
    return SWK_OK;
}

static int read_services(struct swki_allocator *a, const struct swki_view *view)
{
    struct swki_selector all = {.by = SWKI_BY_ALL};
    struct swki_cursor cursor;
    const struct swki_object *object;
    int rc = swki_view_find(view, SWKI_KIND_SERVICE, &all, &cursor, NULL);

    while (rc == SWK_OK && (object = swki_cursor_next(&cursor)) != NULL) {
        const Swkpb__Service *stored = swki_service(object);
        struct service *service = find_service(a, stored->id);

        if (service == NULL || !hold_ports(a, service, stored->endpoint)) {
            rc = SWK_ENOMEM;
        } else if (!is_allocated(stored)) {
            queue_service(a, service);
        }
    }
    swki_cursor_close(&cursor);
    return rc;
}

static int read_tasks(struct swki_allocator *a, const struct swki_view *view)
{
    struct swki_selector is_new = {.by = SWKI_BY_TASK_STATE,
                                   .number = SWKPB__TASK_STATE__NEW};
    struct swki_cursor cursor;
    const struct swki_object *object;
    int rc = swki_view_find(view, SWKI_KIND_TASK, &is_new, &cursor, NULL);

    while (rc == SWK_OK && (object = swki_cursor_next(&cursor)) != NULL) {
        if (!add_waiter(a, &a->queue, swki_object_id(object))) {
            rc = SWK_ENOMEM;
        }
    }
    swki_cursor_close(&cursor);
    return rc;
}

static int rebuild(struct swki_allocator *a)
{
    const struct swki_view *view = swki_store_head(a->base.store);
    int rc;

    clear(a);
    if (!swki_component_restart(&a->base)) {
        return SWK_ENOMEM;
    }
    rc = read_services(a, view);
    return rc == SWK_OK ? read_tasks(a, view) : rc;
}

/* -- Services ------------------------------------------------------------- */

static bool same_identity(const Swkpb__PortConfig *a,
                          const Swkpb__PortConfig *b)
{
    return a->protocol == b->protocol && a->target_port == b->target_port &&
           strcmp(a->name, b->name) == 0;
}

/* The number an automatic port had before: it keeps it. */
static uint32_t old_number(const Swkpb__Endpoint *old,
                           const Swkpb__PortConfig *wanted)
{
    for (size_t i = 0; old != NULL && i < old->n_ports; i++) {
        if (is_ingress(old->ports[i]) && same_identity(old->ports[i], wanted)) {
            return old->ports[i]->published_port;
        }
    }
    return 0;
}

static int take_port(struct swki_allocator *a, struct service *service,
                     const Swkpb__Endpoint *old, Swkpb__PortConfig *port)
{
    const char *const names[] = {"tcp", "udp", "sctp"};
    unsigned protocol = port->protocol;
    uint32_t sticky;

    if (port->published_port != 0) {
        if (swki_ports_take(&a->ports, protocol, port->published_port)) {
            return SWK_OK;
        }
        snprintf(service->problem, sizeof(service->problem),
                 "port %u/%s is in use by another service",
                 port->published_port,
                 protocol < SWKI_PORT_PROTOCOLS ? names[protocol] : "?");
        return SWK_EBUSY;
    }
    sticky = old_number(old, port);
    if (sticky != 0 && swki_ports_take(&a->ports, protocol, sticky)) {
        port->published_port = sticky;
        return SWK_OK;
    }
    port->published_port = swki_ports_take_next(&a->ports, protocol);
    if (port->published_port == 0) {
        snprintf(service->problem, sizeof(service->problem),
                 "no port is left between %d and %d", SWKI_PORT_DYNAMIC_FIRST,
                 SWKI_PORT_DYNAMIC_LAST);
        return SWK_EBUSY;
    }
    return SWK_OK;
}

/* Explicit numbers first, so that no automatic one takes theirs. */
static int take_ports(struct swki_allocator *a, struct service *service,
                      const Swkpb__Endpoint *old, Swkpb__Endpoint *endpoint)
{
    bool *taken = swki_calloc(a->alloc, endpoint->n_ports + 1, sizeof(*taken));
    int rc = taken != NULL ? SWK_OK : SWK_ENOMEM;

    for (int automatic = 0; automatic < 2; automatic++) {
        for (size_t i = 0; rc == SWK_OK && i < endpoint->n_ports; i++) {
            Swkpb__PortConfig *port = endpoint->ports[i];

            if (!is_ingress(port) || taken[i] ||
                (port->published_port == 0) != (automatic == 1)) {
                continue;
            }
            rc = take_port(a, service, old, port);
            taken[i] = rc == SWK_OK;
        }
    }
    for (size_t i = 0; rc != SWK_OK && taken != NULL && i < endpoint->n_ports;
         i++) {
        if (taken[i]) {
            swki_ports_release(&a->ports, endpoint->ports[i]->protocol,
                               endpoint->ports[i]->published_port);
        }
    }
    swki_free(a->alloc, taken);
    return rc;
}

/* An endpoint with a copy of the spec, and its ports as the spec has them. */
static Swkpb__Endpoint *make_endpoint(struct swki_object *object,
                                      Swkpb__EndpointSpec *spec)
{
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Endpoint *endpoint = swki_arena_alloc(arena, sizeof(*endpoint));

    if (endpoint == NULL) {
        return NULL;
    }
    swkpb__endpoint__init(endpoint);
    endpoint->spec = spec;
    if (swki_object_own(object, &endpoint->spec) == NULL) {
        return NULL;
    }
    endpoint->n_ports = spec->n_ports;
    endpoint->ports = swki_arena_calloc(arena, spec->n_ports + 1,
                                        sizeof(Swkpb__PortConfig *));
    for (size_t i = 0; endpoint->ports != NULL && i < spec->n_ports; i++) {
        endpoint->ports[i] = spec->ports[i];
        if (swki_object_own(object, &endpoint->ports[i]) == NULL) {
            return NULL;
        }
    }
    return endpoint->ports != NULL ? endpoint : NULL;
}

struct service_step {
    struct swki_allocator *allocator;
    struct service *service;
};

static int write_endpoint(struct swki_allocator *a, struct service *service,
                          const struct swki_object *stored, struct swki_tx *tx,
                          struct swk_error *err)
{
    struct swki_object *next = swki_object_edit(stored);
    Swkpb__EndpointSpec *spec = swki_service(stored)->spec->endpoint;
    Swkpb__Endpoint *endpoint = NULL;
    int rc;

    if (next == NULL) {
        return swki_fail_nomem(err);
    }
    release_ports(a, service);
    if (spec != NULL) {
        endpoint = make_endpoint(next, spec);
        rc = endpoint != NULL
                 ? take_ports(a, service, swki_service(stored)->endpoint,
                              endpoint)
                 : SWK_ENOMEM;
        if (rc != SWK_OK) {
            swki_object_unref(next);
            hold_ports(a, service, swki_service(stored)->endpoint);
            return swki_fail(err, rc, "%s", service->problem);
        }
        for (size_t i = 0; i < endpoint->n_ports; i++) {
            if (is_ingress(endpoint->ports[i])) {
                /* hold_ports() below takes them in the service's name. */
                swki_ports_release(&a->ports, endpoint->ports[i]->protocol,
                                   endpoint->ports[i]->published_port);
            }
        }
        if (!hold_ports(a, service, endpoint)) {
            swki_object_unref(next);
            return swki_fail_nomem(err);
        }
    }
    swki_service_edit(next)->endpoint = endpoint;
    return swki_tx_update(tx, next, err);
}

static int service_step(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    struct service_step *step = ctx;
    const struct swki_object *stored =
        swki_view_get(swki_tx_view(tx), SWKI_KIND_SERVICE, step->service->id);

    step->service->problem[0] = '\0';
    if (stored == NULL || is_allocated(swki_service(stored)) ||
        swki_service(stored)->spec == NULL) {
        return SWK_OK;
    }
    return write_endpoint(step->allocator, step->service, stored, tx, err);
}

/* Whatever a step does to the ports is right only if it gets committed; if
 * not, the tables are made anew from head. */
static int allocate_services(struct swki_allocator *a, struct swki_batch *batch,
                             struct swk_error *err)
{
    size_t cursor = 0;
    struct service *service;

    if (a->services_queued == 0) {
        return SWK_OK;
    }
    while ((service = swki_map_next(&a->services, &cursor)) != NULL) {
        struct service_step step = {a, service};
        int rc;

        if (!service->queued) {
            continue;
        }
        service->queued = false;
        a->services_queued--;
        rc = swki_batch_step(batch, service_step, &step, err);
        if (rc != SWK_OK && rc != SWK_EBUSY) {
            return rc;
        }
    }
    return unblock_all(a) ? SWK_OK : SWK_ENOMEM;
}

/* -- Tasks ---------------------------------------------------------------- */

struct task_step {
    struct swki_allocator *allocator;
    const char *id;
    swk_wall wall;
    bool blocked;
};

static bool wants_network(const Swkpb__Task *task)
{
    return task->n_networks > 0 ||
           (task->spec != NULL &&
            (task->spec->n_networks > 0 ||
             task->spec->runtime_case == SWKPB__TASK_SPEC__RUNTIME_ATTACHMENT));
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
/* Old clients put the networks here; to overlook them would be worse than to
 * read a deprecated field. */
static bool names_network(const Swkpb__ServiceSpec *spec)
{
    return spec != NULL && spec->n_networks > 0;
}
#pragma GCC diagnostic pop

/* Why the task cannot go on, or NULL. */
static const char *find_obstacle(const struct task_step *step,
                                 const Swkpb__Task *task,
                                 const Swkpb__Service *service,
                                 bool *out_blocked)
{
    const struct service *entry;

    *out_blocked = false;
    if (wants_network(task)) {
        return NO_NETWORKS;
    }
    if (service == NULL) {
        return NULL;
    }
    if (names_network(service->spec)) {
        return NO_NETWORKS;
    }
    if (is_allocated(service)) {
        return NULL;
    }
    *out_blocked = true;
    entry = swki_map_get(&step->allocator->services, service->id);
    return entry != NULL && entry->problem[0] != '\0'
               ? entry->problem
               : "waiting for the service's ports";
}

static int pass_on(const struct task_step *step,
                   const struct swki_object *stored,
                   const struct swki_object *service, struct swki_tx *tx,
                   struct swk_error *err)
{
    struct swki_task_report report = {
        .state = SWKPB__TASK_STATE__PENDING,
        .message = "pending task scheduling",
        .err = "",
        .applied_by = step->allocator->node_id,
        .wall = step->wall,
    };
    struct swki_object *next = swki_object_edit(stored);
    int rc;

    if (next == NULL) {
        return swki_fail_nomem(err);
    }
    rc = swki_task_report(next, &report);
    if (rc == SWK_OK && service != NULL &&
        swki_service(service)->endpoint != NULL) {
        swki_task_edit(next)->endpoint = swki_service(service)->endpoint;
        rc = swki_object_share(next, TASK_FIELD_ENDPOINT, service,
                               SERVICE_FIELD_ENDPOINT);
    }
    if (rc != SWK_OK) {
        swki_object_unref(next);
        return swki_fail_nomem(err);
    }
    return swki_tx_update(tx, next, err);
}

static int explain(const struct task_step *step,
                   const struct swki_object *stored, const char *obstacle,
                   struct swki_tx *tx, struct swk_error *err)
{
    const Swkpb__TaskStatus *status = swki_task(stored)->status;
    struct swki_task_report report = {
        .state = SWKPB__TASK_STATE__NEW,
        .message = status != NULL ? NULL : "created",
        .err = obstacle,
        .applied_by = step->allocator->node_id,
        .wall = step->wall,
    };
    struct swki_object *next;

    if (status != NULL && strcmp(status->err, obstacle) == 0) {
        return SWK_OK;
    }
    next = swki_object_edit(stored);
    if (next == NULL || swki_task_report(next, &report) != SWK_OK) {
        swki_object_unref(next);
        return swki_fail_nomem(err);
    }
    return swki_tx_update(tx, next, err);
}

static int task_step(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    struct task_step *step = ctx;
    const struct swki_view *view = swki_tx_view(tx);
    const struct swki_object *stored =
        swki_view_get(view, SWKI_KIND_TASK, step->id);
    const struct swki_object *service;
    const Swkpb__Task *task;
    const char *obstacle;

    if (stored == NULL) {
        return SWK_OK;
    }
    task = swki_task(stored);
    /* One that is to be removed is deleted as it is. */
    if (swki_task_state(task) != SWKPB__TASK_STATE__NEW ||
        task->desired_state >= SWKPB__TASK_STATE__REMOVE) {
        return SWK_OK;
    }
    service = swki_view_get(view, SWKI_KIND_SERVICE, task->service_id);
    obstacle = find_obstacle(step, task,
                             service != NULL ? swki_service(service) : NULL,
                             &step->blocked);
    return obstacle != NULL ? explain(step, stored, obstacle, tx, err)
                            : pass_on(step, stored, service, tx, err);
}

static int allocate_tasks(struct swki_allocator *a, struct swki_batch *batch,
                          struct swk_error *err)
{
    size_t cursor = 0;
    char *waiter;

    for (int i = 0; i < SWKI_COMPONENT_STEP_CHANGES; i++) {
        struct task_step step = {.allocator = a, .wall = batch->wall};
        int rc;

        waiter = swki_map_next(&a->queue, &cursor);
        if (waiter == NULL) {
            break;
        }
        step.id = waiter;
        rc = swki_batch_step(batch, task_step, &step, err);
        if (rc != SWK_OK) {
            return rc;
        }
        if (step.blocked && !add_waiter(a, &a->blocked, waiter)) {
            return SWK_ENOMEM;
        }
        remove_waiter(a, &a->queue, waiter);
    }
    return SWK_OK;
}

/* -- The machine ---------------------------------------------------------- */

int swki_allocator_new(const struct swki_allocator_config *config,
                       struct swki_allocator **out_allocator,
                       struct swk_error *err)
{
    struct swki_allocator *a = swki_calloc(config->alloc, 1, sizeof(*a));

    if (a == NULL) {
        return swki_fail_nomem(err);
    }
    a->alloc = config->alloc;
    a->node_id = swki_strdup(config->alloc, config->node_id);
    swki_component_init(&a->base, "allocator", config->store, config->logger,
                        1u << SWKI_KIND_SERVICE | 1u << SWKI_KIND_TASK);
    swki_map_init(&a->services, config->alloc);
    swki_map_init(&a->queue, config->alloc);
    swki_map_init(&a->blocked, config->alloc);
    swki_ports_init(&a->ports);
    if (a->node_id == NULL) {
        swki_allocator_free(a);
        return swki_fail_nomem(err);
    }
    *out_allocator = a;
    return SWK_OK;
}

void swki_allocator_free(struct swki_allocator *a)
{
    if (a == NULL) {
        return;
    }
    clear(a);
    swki_component_fini(&a->base);
    swki_free(a->alloc, a->node_id);
    swki_free(a->alloc, a);
}

void swki_allocator_start(struct swki_allocator *a, swk_time now, swk_wall wall)
{
    swki_allocator_step(a, now, wall);
}

static int work(struct swki_allocator *a, swk_wall wall, struct swk_error *err)
{
    struct swki_batch batch;
    int rc = a->base.stale ? rebuild(a) : SWK_OK;
    int end;

    if (rc == SWK_OK) {
        rc = drain(a);
    }
    if (rc != SWK_OK || !swki_component_can_write(&a->base)) {
        return rc;
    }
    swki_batch_init(&batch, a->base.store, SWKI_ACTOR_ALLOCATOR, wall);
    rc = allocate_services(a, &batch, err);
    if (rc == SWK_OK) {
        rc = allocate_tasks(a, &batch, err);
    }
    end = swki_batch_end(&batch, err);
    return rc != SWK_OK ? rc : end;
}

void swki_allocator_step(struct swki_allocator *a, swk_time now, swk_wall wall)
{
    struct swk_error err = {0};
    int rc;

    if (!swki_component_due(&a->base, now)) {
        return;
    }
    rc = work(a, wall, &err);
    if (rc != SWK_OK) {
        swki_component_failed(&a->base, now, rc, err.text);
    } else {
        swki_component_succeeded(&a->base);
    }
}

bool swki_allocator_pending(const struct swki_allocator *a)
{
    return swki_component_pending(&a->base) ||
           (a->base.retry_at == 0 && swki_component_can_write(&a->base) &&
            (a->queue.count > 0 || a->services_queued > 0));
}

swk_time swki_allocator_deadline(const struct swki_allocator *a)
{
    return swki_component_deadline(&a->base, SWK_NEVER);
}
