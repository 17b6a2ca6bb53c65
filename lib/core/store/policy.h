/* SPDX-License-Identifier: Apache-2.0 */

/* Which actor may make which change. */

#ifndef SWKI_STORE_POLICY_H
#define SWKI_STORE_POLICY_H

#include "core/store/store.h"

/*
 * Judges a change: object is NULL for a delete, old is NULL for a create. Meta
 * is not looked at. Returns 0 or SWK_EDENIED, whose text names the actor, the
 * kind and the field.
 */
int swki_policy_check(enum swki_actor actor, const struct swki_object *old,
                      const struct swki_object *object, struct swk_error *err);

/* Whether the actor may move a task's observed state so. */
bool swki_policy_allows_state(enum swki_actor actor, Swkpb__TaskState from,
                              Swkpb__TaskState to);

/* Whether the actor may change a top field of an existing object. */
bool swki_policy_allows_field(enum swki_actor actor, enum swki_kind kind,
                              const char *field);

bool swki_policy_allows_create(enum swki_actor actor, enum swki_kind kind);
bool swki_policy_allows_delete(enum swki_actor actor, enum swki_kind kind);

#endif
