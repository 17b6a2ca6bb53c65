/* SPDX-License-Identifier: Apache-2.0 */

/* The ports of a service, on their own. */

#include "base/error.h"
#include "core/control/validate.h"

enum {
    PORT_MAX = 65535,
};

static int check_port(const Swkpb__EndpointSpec *endpoint,
                      const Swkpb__PortConfig *port, struct swk_error *err)
{
    int rc = swki_validate_enum(&swkpb__port_config__protocol__descriptor,
                                (int)port->protocol, "port protocol", err);

    if (rc == SWK_OK) {
        rc = swki_validate_enum(&swkpb__port_config__publish_mode__descriptor,
                                (int)port->publish_mode, "publish mode", err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    if (port->target_port == 0 || port->target_port > PORT_MAX ||
        port->published_port > PORT_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "port %u:%u is out of range: targets are 1 to 65535, "
                         "published ports 0 to 65535",
                         port->published_port, port->target_port);
    }
    if (endpoint->mode == SWKPB__ENDPOINT_SPEC__RESOLUTION_MODE__DNSRR &&
        port->publish_mode == SWKPB__PORT_CONFIG__PUBLISH_MODE__INGRESS) {
        return swki_fail(err, SWK_EINVAL,
                         "a port published through ingress cannot be used "
                         "with mode dnsrr");
    }
    return SWK_OK;
}

int swki_validate_endpoint(const Swkpb__EndpointSpec *endpoint,
                           struct swk_error *err)
{
    if (endpoint == NULL) {
        return SWK_OK;
    }

    int rc = swki_validate_enum(
        &swkpb__endpoint_spec__resolution_mode__descriptor, (int)endpoint->mode,
        "endpoint mode", err);
    for (size_t i = 0; rc == SWK_OK && i < endpoint->n_ports; i++) {
        const Swkpb__PortConfig *port = endpoint->ports[i];

        rc = check_port(endpoint, port, err);
        for (size_t j = 0; rc == SWK_OK && j < i; j++) {
            const Swkpb__PortConfig *earlier = endpoint->ports[j];

            if (port->published_port != 0 &&
                port->published_port == earlier->published_port &&
                port->protocol == earlier->protocol) {
                rc = swki_fail(err, SWK_EINVAL,
                               "published port %u is given twice",
                               port->published_port);
            }
        }
    }
    return rc;
}
