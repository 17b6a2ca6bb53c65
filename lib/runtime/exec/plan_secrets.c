/* SPDX-License-Identifier: Apache-2.0 */

/* Files of secrets in an image directory, on a tmpfs of their own. The plan has
 * their names; the values are given to the shim when it starts. */

#include "runtime/exec/plan.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <swarmkit/shim.h>

enum {
    SECRETS_MAX = 1024, /* of one task */
};

/* As numbers alone: names are the image's business. */
static bool is_number(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len <= 9 && strspn(text, "0123456789") == len;
}

static bool is_file_name(const char *name)
{
    return name[0] != '\0' && strlen(name) <= NAME_MAX &&
           strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static int check_target(const Swkpb__SecretReference *reference,
                        struct swk_error *err)
{
    const char *name = reference->secret_name;
    const Swkpb__FileTarget *file = reference->file;

    if (reference->target_case != SWKPB__SECRET_REFERENCE__TARGET_FILE) {
        return swki_fail(err, SWK_ENOTSUP,
                         "container.secrets: %.64s: the process executor makes "
                         "files only",
                         name);
    }
    if (!is_file_name(file->name)) {
        return swki_fail(err, SWK_ENOTSUP,
                         "container.secrets: %.64s: the process executor makes "
                         "files in " SWK_SHIM_SECRETS_DIR " only, by a name",
                         name);
    }
    if (!is_number(file->uid) || !is_number(file->gid) || file->mode > 07777) {
        return swki_fail(err, SWK_EINVAL,
                         "container.secrets: %.64s: owners are numbers, and "
                         "the mode is at most 7777",
                         name);
    }
    return SWK_OK;
}

/* Two files of one name would leave one of them out. */
static bool is_twice(const Swkpb__ContainerSpec *spec, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(spec->secrets[i]->file->name,
                   spec->secrets[index]->file->name) == 0) {
            return true;
        }
    }
    return false;
}

static void add_secret(struct swki_plan *plan,
                       const Swkpb__SecretReference *reference)
{
    char mode[16];

    snprintf(mode, sizeof(mode), "%" PRIo32, reference->file->mode);
    swki_plan_add(plan, "secret", reference->file->name);
    swki_plan_add_value(plan, reference->file->uid);
    swki_plan_add_value(plan, reference->file->gid);
    swki_plan_add_value(plan, mode);
    swki_buf_append(&plan->secret_ids, reference->secret_id,
                    strlen(reference->secret_id) + 1);
    plan->secrets_count++;
}

int swki_plan_add_secrets(struct swki_plan *plan,
                          const Swkpb__ContainerSpec *spec,
                          struct swk_error *err)
{
    if (spec->n_secrets > 0 && plan->image == NULL) {
        return swki_fail(err, SWK_ENOTSUP,
                         "container.secrets: the process executor puts secrets "
                         "into image directories only, not into 'host'");
    }
    if (spec->n_secrets > SECRETS_MAX) {
        return swki_fail(err, SWK_ELIMIT, "container.secrets: more than %d",
                         SECRETS_MAX);
    }
    for (size_t i = 0; i < spec->n_secrets; i++) {
        int rc = check_target(spec->secrets[i], err);

        if (rc != SWK_OK) {
            return rc;
        }
        if (is_twice(spec, i)) {
            return swki_fail(err, SWK_EINVAL,
                             "container.secrets: two files are called %.64s",
                             spec->secrets[i]->file->name);
        }
        add_secret(plan, spec->secrets[i]);
    }
    return plan->secret_ids.failed ? swki_fail_nomem(err) : SWK_OK;
}
