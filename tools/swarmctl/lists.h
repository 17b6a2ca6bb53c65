/* SPDX-License-Identifier: Apache-2.0 */

/* What several groups of commands share: lists of tasks, changes of labels. */

#ifndef SWARMCTL_LISTS_H
#define SWARMCTL_LISTS_H

#include "ctl.h"
#include "flags.h"
#include "parse.h"

enum list_by {
    LIST_ALL,
    LIST_BY_NODE,
    LIST_BY_SERVICE,
};

/* Prints a table of tasks, those that ended only if all is asked for. */
int list_tasks(struct ctl *ctl, enum list_by by, const char *id, bool all);

/* Applies --label, --label-add and --label-rm; *annotations may be NULL and is
 * made then. *changed becomes true if a label differs now. */
int change_labels(struct ctl *ctl, const struct args *args,
                  Swkpb__Annotations **annotations, bool *changed);

#endif
