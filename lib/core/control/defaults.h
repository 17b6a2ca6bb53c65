/* SPDX-License-Identifier: Apache-2.0 */

/* The defaults that stand for what a service spec leaves out. */

#ifndef SWKI_CONTROL_DEFAULTS_H
#define SWKI_CONTROL_DEFAULTS_H

#include "base/arena.h"
#include "core/store/object.h"

/* The spec completed; what it has is shared with the given one, the rest is
 * the arena's. NULL for no memory. */
Swkpb__ServiceSpec *swki_service_defaults(const Swkpb__ServiceSpec *spec,
                                          struct swki_arena *arena);

#endif
