/* SPDX-License-Identifier: Apache-2.0 */

/* What a provider is told of a secret and the task that is to have it. */

#ifndef SWKI_SECRETDRIVER_REQUEST_H
#define SWKI_SECRETDRIVER_REQUEST_H

#include <stdbool.h>

#include <swarmkit/port/secret_provider.h>

#include "base/arena.h"
#include "core/store/object.h"

/* Fills all but the time limit, with memory of the arena and pointers into the
 * objects. The secret has a driver. False for no memory. */
bool swki_secret_request_fill(const struct swki_object *secret,
                              const struct swki_object *task,
                              const char *node_id, struct swki_arena *arena,
                              struct swk_secret_request *out_request);

#endif
