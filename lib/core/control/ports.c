/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A walk over all services finds the ports in use. Services are few beside
 * their tasks, and the walk is only made for services that publish ports.
 */

#include "core/control/ports.h"

#include <string.h>

#include "base/error.h"
#include "core/control/request.h"
#include "wire/message.h"

static bool is_ingress_network(const Swkpb__Network *network)
{
    const Swkpb__NetworkSpec *spec = network->spec;

    if (spec == NULL) {
        return false;
    }

    const struct swki_labels labels =
        swki_annotations_labels(spec->annotations);
    return spec->ingress ||
           (strcmp(swki_annotations_name(spec->annotations), "ingress") == 0 &&
            swki_labels_get(labels.entries, labels.count,
                            "com.docker.swarm.internal") != NULL);
}

int swki_check_attachments(const struct swki_view *view,
                           const Swkpb__ServiceSpec *spec,
                           struct swk_error *err)
{
    for (size_t i = 0; i < spec->task->n_networks; i++) {
        const struct swki_object *network = swki_view_get(
            view, SWKI_KIND_NETWORK, spec->task->networks[i]->target);

        if (network != NULL && is_ingress_network(swki_network(network))) {
            return swki_fail(err, SWK_EINVAL,
                             "services cannot be attached to the ingress "
                             "network %.64s",
                             swki_object_id(network));
        }
    }
    return SWK_OK;
}

/* Two ports of one number disturb each other, unless both are published by the
 * host, where the scheduler keeps them on different nodes. */
static bool conflict(const Swkpb__PortConfig *a, const Swkpb__PortConfig *b)
{
    return a->published_port != 0 && a->published_port == b->published_port &&
           a->protocol == b->protocol &&
           !(a->publish_mode == SWKPB__PORT_CONFIG__PUBLISH_MODE__HOST &&
             b->publish_mode == SWKPB__PORT_CONFIG__PUBLISH_MODE__HOST);
}

static const Swkpb__PortConfig *
find_conflict(const Swkpb__EndpointSpec *endpoint,
              Swkpb__PortConfig *const *ports, size_t ports_count)
{
    for (size_t i = 0; i < endpoint->n_ports; i++) {
        for (size_t j = 0; j < ports_count; j++) {
            if (conflict(endpoint->ports[i], ports[j])) {
                return endpoint->ports[i];
            }
        }
    }
    return NULL;
}

/* With what another service asks for, and with what it was given. */
static int check_service(const Swkpb__EndpointSpec *endpoint,
                         const Swkpb__Service *other, struct swk_error *err)
{
    const Swkpb__EndpointSpec *asked =
        other->spec != NULL ? other->spec->endpoint : NULL;
    const Swkpb__PortConfig *port = NULL;

    if (asked != NULL) {
        port = find_conflict(endpoint, asked->ports, asked->n_ports);
    }
    if (port == NULL && other->endpoint != NULL) {
        port = find_conflict(endpoint, other->endpoint->ports,
                             other->endpoint->n_ports);
    }
    if (port == NULL) {
        return SWK_OK;
    }
    return swki_fail(
        err, SWK_EINVAL, "port %u is already in use by service '%s' (%.64s)",
        port->published_port,
        swki_annotations_name(other->spec ? other->spec->annotations : NULL),
        other->id);
}

static bool publishes(const Swkpb__EndpointSpec *endpoint)
{
    for (size_t i = 0; endpoint != NULL && i < endpoint->n_ports; i++) {
        if (endpoint->ports[i]->published_port != 0) {
            return true;
        }
    }
    return false;
}

int swki_check_ports(const struct swki_view *view,
                     const Swkpb__EndpointSpec *endpoint, const char *self_id,
                     struct swk_error *err)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    struct swki_cursor cursor;

    if (!publishes(endpoint)) {
        return SWK_OK;
    }

    int rc = swki_view_find(view, SWKI_KIND_SERVICE, &all, &cursor, err);
    if (rc != SWK_OK) {
        return rc;
    }
    for (const struct swki_object *o = swki_cursor_next(&cursor);
         rc == SWK_OK && o != NULL; o = swki_cursor_next(&cursor)) {
        if (strcmp(swki_object_id(o), self_id) != 0) {
            rc = check_service(endpoint, swki_service(o), err);
        }
    }
    swki_cursor_close(&cursor);
    return rc;
}

static bool uses_ingress(const Swkpb__EndpointSpec *endpoint)
{
    for (size_t i = 0; endpoint != NULL && i < endpoint->n_ports; i++) {
        if (endpoint->ports[i]->publish_mode ==
            SWKPB__PORT_CONFIG__PUBLISH_MODE__INGRESS) {
            return true;
        }
    }
    return false;
}

int swki_check_ingress(const struct swki_view *view,
                       const Swkpb__EndpointSpec *endpoint,
                       struct swk_error *err)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    struct swki_cursor cursor;
    bool found = false;

    if (!uses_ingress(endpoint)) {
        return SWK_OK;
    }

    int rc = swki_view_find(view, SWKI_KIND_NETWORK, &all, &cursor, err);
    if (rc != SWK_OK) {
        return rc;
    }
    for (const struct swki_object *o = swki_cursor_next(&cursor);
         !found && o != NULL; o = swki_cursor_next(&cursor)) {
        found = is_ingress_network(swki_network(o));
    }
    swki_cursor_close(&cursor);
    return found ? SWK_OK
                 : swki_fail(err, SWK_EPRECONDITION,
                             "the service publishes ports through ingress, "
                             "but the swarm has no ingress network; publish "
                             "them in host mode");
}
