/* SPDX-License-Identifier: Apache-2.0 */

/* The key that managers are locked under. */

#ifndef SWKI_CONTROL_UNLOCK_KEYS_H
#define SWKI_CONTROL_UNLOCK_KEYS_H

#include <swarmkit/port/entropy.h>

#include "core/store/object.h"

/*
 * Makes the keys of an edited cluster fit its spec: a new key if it locks its
 * managers and there is none, or if rotate is set; none if it does not lock
 * them. Keys of other subsystems stay. 1 if the managers' key has changed, 0
 * if not; SWK_EINTERNAL if entropy fails; SWK_ENOMEM.
 */
int swki_unlock_keys_update(struct swki_object *cluster, bool rotate,
                            const struct swk_entropy *entropy,
                            struct swk_error *err);

#endif
