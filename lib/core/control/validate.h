/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What must hold of a specification before it is stored, without a look at
 * anything else. All answer 0, or the code and the reason.
 */

#ifndef SWKI_CONTROL_VALIDATE_H
#define SWKI_CONTROL_VALIDATE_H

#include <stdbool.h>

#include <swarmkit/error.h>

#include "core/store/object.h"

enum {
    SWKI_SERVICE_NAME_LEN_MAX = 63,
    SWKI_PAYLOAD_NAME_LEN_MAX = 64,
    SWKI_SECRET_SIZE_MAX = 511999,
    SWKI_CONFIG_SIZE_MAX = 1023999,
};

/* Names of services (and networks): letters and digits, with '-' and '_'
 * inside. */
int swki_validate_name(const char *name, struct swk_error *err);

/* Names of secrets and configs: dots too. */
int swki_validate_payload_name(const char *what, const char *name,
                               struct swk_error *err);

/* Absent, or valid and not negative. */
int swki_validate_duration(const Swkpb__Duration *duration, const char *what,
                           struct swk_error *err);

/* Absent, zero, or at least ns. */
int swki_validate_duration_min(const Swkpb__Duration *duration, int64_t min_ns,
                               const char *what, struct swk_error *err);

int swki_validate_enum(const ProtobufCEnumDescriptor *type, int value,
                       const char *what, struct swk_error *err);

/* An image reference, "host", or the absolute path of a directory. */
bool swki_image_valid(const char *image);

/* Its references to secrets and configs, on their own. */
int swki_validate_references(const Swkpb__ContainerSpec *container,
                             struct swk_error *err);

/* All the rest of it. */
int swki_validate_container(const Swkpb__ContainerSpec *container,
                            struct swk_error *err);

int swki_validate_endpoint(const Swkpb__EndpointSpec *endpoint,
                           struct swk_error *err);

/* All of a service; alloc serves for the time of the call. */
int swki_validate_service(const Swkpb__ServiceSpec *spec,
                          const struct swk_alloc *alloc, struct swk_error *err);

/* External CAs of a cluster: that they can be asked, not that they are there. */
int swki_validate_external_cas(const Swkpb__CAConfig *config,
                               struct swk_error *err);

#endif
