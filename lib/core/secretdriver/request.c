/* SPDX-License-Identifier: Apache-2.0 */

#include "core/secretdriver/request.h"

enum {
    NAME_SIZE = 512, /* of a task: service, slot or node, ID */
};

static bool fill_options(const Swkpb__Driver *driver, struct swki_arena *arena,
                         struct swk_secret_request *request)
{
    struct swk_secret_label *options =
        swki_arena_calloc(arena, driver->n_options, sizeof(options[0]));

    if (options == NULL) {
        return false;
    }
    for (size_t i = 0; i < driver->n_options; i++) {
        options[i].key = driver->options[i]->key;
        options[i].value = driver->options[i]->value;
    }
    request->driver = driver->name;
    request->driver_options = options;
    request->driver_options_count = driver->n_options;
    return true;
}

/* NULL for no memory. */
static const struct swk_secret_label *labels_of(const Swkpb__Annotations *a,
                                                struct swki_arena *arena)
{
    struct swk_secret_label *labels =
        swki_arena_calloc(arena, a->n_labels, sizeof(labels[0]));

    for (size_t i = 0; labels != NULL && i < a->n_labels; i++) {
        labels[i].key = a->labels[i]->key;
        labels[i].value = a->labels[i]->value;
    }
    return labels;
}

static bool fill_service(const Swkpb__Task *task, struct swki_arena *arena,
                         struct swk_secret_request *request)
{
    const Swkpb__Annotations *annotations = task->service_annotations;

    request->service_id = task->service_id;
    if (annotations != NULL) {
        request->service_name = annotations->name;
        request->service_labels = labels_of(annotations, arena);
        request->service_labels_count = annotations->n_labels;
    }
    return annotations == NULL || request->service_labels != NULL;
}

/* A task that runs something else than a container has neither. */
static void fill_container(const Swkpb__Task *task,
                           struct swk_secret_request *request)
{
    if (task->spec != NULL &&
        task->spec->runtime_case == SWKPB__TASK_SPEC__RUNTIME_CONTAINER) {
        request->task_image = task->spec->container->image;
        request->service_hostname = task->spec->container->hostname;
    }
}

static bool fill_endpoint(const Swkpb__Task *task, struct swki_arena *arena,
                          struct swk_secret_request *request)
{
    const Swkpb__EndpointSpec *spec =
        task->endpoint != NULL ? task->endpoint->spec : NULL;
    struct swk_secret_port *ports;

    if (spec == NULL) {
        return true;
    }
    ports = swki_arena_calloc(arena, spec->n_ports, sizeof(ports[0]));
    if (ports == NULL) {
        return false;
    }
    for (size_t i = 0; i < spec->n_ports; i++) {
        const Swkpb__PortConfig *port = spec->ports[i];

        ports[i] = (struct swk_secret_port){
            .name = port->name,
            .protocol = (int32_t)port->protocol,
            .publish_mode = (int32_t)port->publish_mode,
            .target = port->target_port,
            .published = port->published_port,
        };
    }
    request->has_endpoint = 1;
    request->endpoint_mode = (int32_t)spec->mode;
    request->ports = ports;
    request->ports_count = spec->n_ports;
    return true;
}

bool swki_secret_request_fill(const struct swki_object *secret,
                              const struct swki_object *task,
                              const char *node_id, struct swki_arena *arena,
                              struct swk_secret_request *out_request)
{
    const Swkpb__SecretSpec *spec = swki_secret(secret)->spec;
    const Swkpb__Annotations *annotations = spec->annotations;
    char *name = swki_arena_alloc(arena, NAME_SIZE);

    *out_request = (struct swk_secret_request){
        .size = sizeof(*out_request),
        .secret_name = annotations != NULL ? annotations->name : "",
        .service_name = "",
        .service_hostname = "",
        .task_id = swki_object_id(task),
        .task_image = "",
        .node_id = node_id,
    };
    if (name == NULL || !fill_options(spec->driver, arena, out_request)) {
        return false;
    }
    if (annotations != NULL) {
        out_request->secret_labels = labels_of(annotations, arena);
        out_request->secret_labels_count = annotations->n_labels;
    }
    out_request->task_name = swki_object_name(task, name, NAME_SIZE);
    fill_container(swki_task(task), out_request);
    return (annotations == NULL || out_request->secret_labels != NULL) &&
           fill_service(swki_task(task), arena, out_request) &&
           fill_endpoint(swki_task(task), arena, out_request);
}
