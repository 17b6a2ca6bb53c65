/* SPDX-License-Identifier: Apache-2.0 */

/* What every component that advances tasks needs to say about them. */

#ifndef SWKI_STORE_TASK_H
#define SWKI_STORE_TASK_H

#include <stdbool.h>

#include "core/store/object.h"

/* The observed state; NEW if there is no status yet. */
Swkpb__TaskState swki_task_state(const Swkpb__Task *task);

/* Ended, or given up: no worker will run it any more. */
bool swki_task_terminal(const Swkpb__Task *task);

/* Still meant to run: desired RUNNING or below. */
bool swki_task_wanted(const Swkpb__Task *task);

/* The index of the spec's version; 0 without one. */
uint64_t swki_task_spec_version(const Swkpb__Task *task);

/* When the manager took over the last status, else when it was made; 0 if
 * neither is known. */
swk_wall swki_task_status_time(const Swkpb__Task *task);

/* What a component of the manager writes into a status. */
struct swki_task_report {
    Swkpb__TaskState state;
    const char *message;    /* NULL keeps the old one */
    const char *err;        /* NULL keeps the old one; "" clears it */
    const char *applied_by; /* the leader's node ID */
    swk_wall wall;
};

/* Writes it into an unsealed task; SWK_ENOMEM. All text is copied. */
int swki_task_report(struct swki_object *object,
                     const struct swki_task_report *report);

#endif
