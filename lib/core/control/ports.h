/* SPDX-License-Identifier: Apache-2.0 */

/* What a service's ports and networks need of the rest of the swarm. */

#ifndef SWKI_CONTROL_PORTS_H
#define SWKI_CONTROL_PORTS_H

#include "core/store/store.h"

/* SWK_EINVAL if a task attaches to an ingress network. */
int swki_check_attachments(const struct swki_view *view,
                           const Swkpb__ServiceSpec *spec,
                           struct swk_error *err);

/* SWK_EINVAL if a published port is another service's. self_id is the ID of
 * the service itself, or "". */
int swki_check_ports(const struct swki_view *view,
                     const Swkpb__EndpointSpec *endpoint, const char *self_id,
                     struct swk_error *err);

/* SWK_EPRECONDITION if a port is published through an ingress network and
 * there is none. */
int swki_check_ingress(const struct swki_view *view,
                       const Swkpb__EndpointSpec *endpoint,
                       struct swk_error *err);

#endif
