/* SPDX-License-Identifier: Apache-2.0 */

/* Mounts into an image directory: bind and tmpfs. */

#include "runtime/exec/plan.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <swarmkit/shim.h>

/* Checks what any mount needs. */
static int check_mount(const Swkpb__Mount *mount, struct swk_error *err)
{
    if (strstr(mount->target, "{{") != NULL ||
        strstr(mount->source, "{{") != NULL) {
        return swki_fail(err, SWK_ENOTSUP,
                         "container.mounts: templates are not expanded by the "
                         "process executor");
    }
    if (mount->target[0] != '/') {
        return swki_fail(err, SWK_EINVAL,
                         "invalid mount target, must be an absolute path: %s",
                         mount->target);
    }
    if (strlen(mount->target) >= PATH_MAX ||
        strlen(mount->source) >= PATH_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "container.mounts: a path is too long");
    }
    return SWK_OK;
}

static int add_bind(struct swki_plan *plan, const Swkpb__Mount *mount,
                    struct swk_error *err)
{
    const Swkpb__Mount__BindOptions *options = mount->bind_options;
    bool nonrecursive = options != NULL && options->nonrecursive;
    char flags[4] = "";
    size_t n = 0;

    if (mount->source[0] != '/') {
        return swki_fail(
            err, SWK_EINVAL,
            "invalid bind mount source, must be an absolute path: %s",
            mount->source);
    }
    if (mount->volume_options != NULL || mount->tmpfs_options != NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "container.mounts: %s: options of another type",
                         mount->target);
    }
    if (options != NULL &&
        options->propagation !=
            SWKPB__MOUNT__BIND_OPTIONS__PROPAGATION__RPRIVATE &&
        options->propagation !=
            SWKPB__MOUNT__BIND_OPTIONS__PROPAGATION__PRIVATE) {
        return swki_fail(err, SWK_ENOTSUP,
                         "container.mounts: %s: the process executor mounts "
                         "with propagation private only",
                         mount->target);
    }
    if (options != NULL && options->readonlynonrecursive && !nonrecursive) {
        return swki_fail(err, SWK_ENOTSUP,
                         "container.mounts: %s: a read-only mount is so with "
                         "all below it",
                         mount->target);
    }
    if (mount->readonly) {
        flags[n++] = SWK_SHIM_BIND_READONLY;
    }
    if (nonrecursive) {
        flags[n++] = SWK_SHIM_BIND_NONRECURSIVE;
    }
    if (options != NULL && options->createmountpoint) {
        flags[n++] = SWK_SHIM_BIND_CREATE;
    }
    swki_plan_add(plan, "bind", mount->source);
    swki_plan_add_value(plan, mount->target);
    swki_plan_add_value(plan, flags);
    return SWK_OK;
}

static int add_tmpfs(struct swki_plan *plan, const Swkpb__Mount *mount,
                     struct swk_error *err)
{
    const Swkpb__Mount__TmpfsOptions *options = mount->tmpfs_options;
    const char *words = options != NULL ? options->options : "";
    bool exec = strcmp(words, "exec") == 0;
    char text[64];
    char flags[3] = "";
    size_t n = 0;
    int len;

    if (mount->source[0] != '\0') {
        return swki_fail(err, SWK_EINVAL,
                         "invalid tmpfs source, source must be empty");
    }
    if (*words != '\0' && !exec && strcmp(words, "noexec") != 0) {
        return swki_fail(err, SWK_ENOTSUP,
                         "container.mounts: %s: tmpfs options are exec or "
                         "noexec",
                         mount->target);
    }
    if (mount->bind_options != NULL || mount->volume_options != NULL ||
        (options != NULL &&
         (options->size_bytes < 0 || options->mode > 07777))) {
        return swki_fail(err, SWK_EINVAL, "container.mounts: %s: bad options",
                         mount->target);
    }
    len = snprintf(text, sizeof(text), "mode=%o",
                   options != NULL && options->mode != 0 ? options->mode
                                                         : 01777u);
    if (options != NULL && options->size_bytes > 0) {
        snprintf(text + len, sizeof(text) - (size_t)len, ",size=%" PRId64,
                 options->size_bytes);
    }
    if (mount->readonly) {
        flags[n++] = SWK_SHIM_BIND_READONLY;
    }
    if (exec) {
        flags[n++] = SWK_SHIM_TMPFS_EXEC;
    }
    swki_plan_add(plan, "tmpfs", mount->target);
    swki_plan_add_value(plan, text);
    swki_plan_add_value(plan, flags);
    return SWK_OK;
}

int swki_plan_add_mounts(struct swki_plan *plan,
                         const Swkpb__ContainerSpec *spec,
                         struct swk_error *err)
{
    if (spec->n_mounts > 0 && plan->image == NULL) {
        return swki_fail(err, SWK_ENOTSUP,
                         "container.mounts: the process executor mounts into "
                         "image directories only, not into 'host'");
    }
    for (size_t i = 0; i < spec->n_mounts; i++) {
        const Swkpb__Mount *mount = spec->mounts[i];
        int rc = check_mount(mount, err);

        if (rc != SWK_OK) {
            return rc;
        }
        switch (mount->type) {
        case SWKPB__MOUNT__TYPE__BIND:
            rc = add_bind(plan, mount, err);
            break;
        case SWKPB__MOUNT__TYPE__TMPFS:
            rc = add_tmpfs(plan, mount, err);
            break;
        default: /* from the wire, so anything */
            rc = swki_fail(err, SWK_ENOTSUP,
                           "container.mounts: %s: the process executor mounts "
                           "types bind and tmpfs only",
                           mount->target);
            break;
        }
        if (rc != SWK_OK) {
            return rc;
        }
    }
    return SWK_OK;
}
