/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where this machine's cgroups are, and which limits they can enforce.
 *
 * Version 2 ("unified"), version 1, and both at once with the controllers
 * spread over them: what there is, is found in /proc/self/mountinfo.
 */

#ifndef SWKI_EXEC_CGROUPS_H
#define SWKI_EXEC_CGROUPS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    SWKI_CGROUP_PATH_SIZE = 512,
};

enum swki_cgroup_controller {
    SWKI_CGROUP_MEMORY,
    SWKI_CGROUP_CPU,
    SWKI_CGROUP_PIDS,
    SWKI_CGROUP_FREEZER, /* of version 1; holds tasks where nothing else does */
    SWKI_CGROUP_CONTROLLERS,
};

struct swki_cgroups {
    /* The group that holds those of the tasks, or "". */
    char unified[SWKI_CGROUP_PATH_SIZE];
    char v1[SWKI_CGROUP_CONTROLLERS][SWKI_CGROUP_PATH_SIZE];
    /* Controllers that work in the unified hierarchy. */
    bool in_unified[SWKI_CGROUP_CONTROLLERS];
};

/* Fills in the mount points from the text of a mountinfo file. */
void swki_cgroups_parse(struct swki_cgroups *out_cgroups, const char *text);

/*
 * Turns mount points into the groups of that name below them, making them.
 * What cannot be made is forgotten, so that what is left works.
 */
void swki_cgroups_claim(struct swki_cgroups *cgroups, const char *parent);

/* Removes those groups if they are empty. */
void swki_cgroups_release(const struct swki_cgroups *cgroups);

bool swki_cgroups_limits(const struct swki_cgroups *cgroups,
                         enum swki_cgroup_controller controller);

const char *swki_cgroup_controller_name(enum swki_cgroup_controller controller);

/* "v2", "v1", "hybrid" or "none". */
const char *swki_cgroups_version(const struct swki_cgroups *cgroups);

#endif
