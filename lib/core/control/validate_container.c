/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Container specifications.
 *
 * Texts with "{{" are templates. Only the node that runs a task can expand
 * them, so they are stored as they are, and the node rejects a task whose
 * template is wrong.
 */

#include <string.h>

#include "base/error.h"
#include "core/control/validate.h"

enum {
    OOM_SCORE_ADJ_MAX = 1000,
    HEALTH_MIN_NS = 1000000,
};

static bool is_template(const char *text)
{
    return strstr(text, "{{") != NULL;
}

/* Target files stay where the executor puts them. */
static int check_file(const Swkpb__FileTarget *file, const char *what,
                      struct swk_error *err)
{
    if (file == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "malformed %s reference: no target is given", what);
    }
    if (file->name[0] == '\0') {
        return swki_fail(err, SWK_EINVAL,
                         "malformed %s reference: the target file has no name",
                         what);
    }
    for (const char *at = file->name; at != NULL; at = strchr(at, '/')) {
        at += at[0] == '/';
        if (strcspn(at, "/") == 2 && at[0] == '.' && at[1] == '.') {
            return swki_fail(err, SWK_EINVAL,
                             "malformed %s reference: the target file's name "
                             "must not contain ..",
                             what);
        }
    }
    return SWK_OK;
}

static int check_reference_names(const char *what, const char *id,
                                 const char *name, struct swk_error *err)
{
    if (id[0] == '\0' || name[0] == '\0') {
        return swki_fail(err, SWK_EINVAL,
                         "malformed %s reference: ID and name must be given",
                         what);
    }
    return SWK_OK;
}

static int check_duplicate(const char *what, const char *name,
                           const char *earlier, struct swk_error *err)
{
    if (strcmp(name, earlier) == 0) {
        return swki_fail(err, SWK_EINVAL,
                         "two %s references have the same target file %.100s",
                         what, name);
    }
    return SWK_OK;
}

static int check_secrets(const Swkpb__ContainerSpec *c, struct swk_error *err)
{
    int rc = SWK_OK;

    for (size_t i = 0; rc == SWK_OK && i < c->n_secrets; i++) {
        const Swkpb__SecretReference *ref = c->secrets[i];
        const Swkpb__FileTarget *file =
            ref->target_case == SWKPB__SECRET_REFERENCE__TARGET_FILE
                ? ref->file
                : NULL;

        rc = check_reference_names("secret", ref->secret_id, ref->secret_name,
                                   err);
        if (rc == SWK_OK) {
            rc = check_file(file, "secret", err);
        }
        for (size_t j = 0; rc == SWK_OK && j < i; j++) {
            rc = check_duplicate("secret", file->name, c->secrets[j]->file->name,
                                 err);
        }
    }
    return rc;
}

static const Swkpb__FileTarget *config_file(const Swkpb__ConfigReference *ref)
{
    return ref->target_case == SWKPB__CONFIG_REFERENCE__TARGET_FILE ? ref->file
                                                                    : NULL;
}

static int check_config(const Swkpb__ContainerSpec *c, size_t index,
                        struct swk_error *err)
{
    const Swkpb__ConfigReference *ref = c->configs[index];
    const Swkpb__FileTarget *file = config_file(ref);
    int rc =
        check_reference_names("config", ref->config_id, ref->config_name, err);

    if (rc != SWK_OK ||
        ref->target_case == SWKPB__CONFIG_REFERENCE__TARGET_RUNTIME) {
        return rc;
    }
    rc = check_file(file, "config", err);
    for (size_t i = 0; rc == SWK_OK && i < index; i++) {
        const Swkpb__FileTarget *earlier = config_file(c->configs[i]);

        if (earlier != NULL) {
            rc = check_duplicate("config", file->name, earlier->name, err);
        }
    }
    return rc;
}

/* A credential spec names a config, which must be at hand for the runtime. */
static int check_credential_spec(const Swkpb__ContainerSpec *c,
                                 struct swk_error *err)
{
    const Swkpb__Privileges__CredentialSpec *spec =
        c->privileges != NULL ? c->privileges->credential_spec : NULL;

    if (spec == NULL ||
        spec->source_case !=
            SWKPB__PRIVILEGES__CREDENTIAL_SPEC__SOURCE_CONFIG) {
        return SWK_OK;
    }
    for (size_t i = 0; i < c->n_configs; i++) {
        if (c->configs[i]->target_case ==
                SWKPB__CONFIG_REFERENCE__TARGET_RUNTIME &&
            strcmp(c->configs[i]->config_id, spec->config) == 0) {
            return SWK_OK;
        }
    }
    return swki_fail(err, SWK_EINVAL,
                     "the credential spec's config %.64s is not referenced "
                     "with a runtime target",
                     spec->config);
}

static int check_configs(const Swkpb__ContainerSpec *c, struct swk_error *err)
{
    for (size_t i = 0; i < c->n_configs; i++) {
        int rc = check_config(c, i, err);

        if (rc != SWK_OK) {
            return rc;
        }
    }
    return check_credential_spec(c, err);
}

static int check_image(const Swkpb__ContainerSpec *c, struct swk_error *err)
{
    if (c->image[0] == '\0') {
        return swki_fail(err, SWK_EINVAL,
                         "container specification: an image must be given");
    }
    if (!is_template(c->image) && !swki_image_valid(c->image)) {
        return swki_fail(err, SWK_EINVAL,
                         "container specification: \"%.100s\" is not a valid "
                         "image reference",
                         c->image);
    }
    return SWK_OK;
}

static int check_mount(const Swkpb__Mount *mount, struct swk_error *err)
{
    int rc = swki_validate_enum(&swkpb__mount__type__descriptor,
                                (int)mount->type, "mount type", err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (mount->target[0] == '\0') {
        return swki_fail(err, SWK_EINVAL, "a mount has no target");
    }
    if (mount->type == SWKPB__MOUNT__TYPE__NPIPE) {
        return SWK_OK;
    }
    if (mount->target[0] != '/' && !is_template(mount->target)) {
        return swki_fail(err, SWK_EINVAL,
                         "the mount's target %.100s is not an absolute path",
                         mount->target);
    }
    if (mount->type == SWKPB__MOUNT__TYPE__BIND && mount->source[0] != '/' &&
        !is_template(mount->source)) {
        return swki_fail(err, SWK_EINVAL,
                         "the source of the mount at %.100s is not an absolute "
                         "path",
                         mount->target);
    }
    return SWK_OK;
}

static int check_mounts(const Swkpb__ContainerSpec *c, struct swk_error *err)
{
    int rc = SWK_OK;

    for (size_t i = 0; rc == SWK_OK && i < c->n_mounts; i++) {
        rc = check_mount(c->mounts[i], err);
        for (size_t j = 0; rc == SWK_OK && j < i; j++) {
            if (strcmp(c->mounts[i]->target, c->mounts[j]->target) == 0) {
                rc = swki_fail(err, SWK_EINVAL,
                               "duplicate mount target %.100s",
                               c->mounts[i]->target);
            }
        }
    }
    return rc;
}

static int check_health(const Swkpb__HealthConfig *health,
                        struct swk_error *err)
{
    if (health == NULL) {
        return SWK_OK;
    }

    const struct {
        const Swkpb__Duration *duration;
        const char *what;
    } durations[] = {
        {health->interval, "health check interval"},
        {health->timeout, "health check timeout"},
        {health->start_period, "health check start period"},
        {health->start_interval, "health check start interval"},
    };
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        int rc = swki_validate_duration_min(
            durations[i].duration, HEALTH_MIN_NS, durations[i].what, err);

        if (rc != SWK_OK) {
            return rc;
        }
    }
    if (health->retries < 0) {
        return swki_fail(err, SWK_EINVAL,
                         "health check retries must not be negative");
    }
    return SWK_OK;
}

int swki_validate_container(const Swkpb__ContainerSpec *container,
                            struct swk_error *err)
{
    int rc = check_image(container, err);

    if (rc == SWK_OK) {
        rc = check_mounts(container, err);
    }
    if (rc == SWK_OK) {
        rc = check_health(container->healthcheck, err);
    }
    if (rc == SWK_OK) {
        rc = swki_validate_duration(container->stop_grace_period,
                                    "stop grace period", err);
    }
    if (rc == SWK_OK && (container->oom_score_adj < -OOM_SCORE_ADJ_MAX ||
                         container->oom_score_adj > OOM_SCORE_ADJ_MAX)) {
        rc = swki_fail(err, SWK_EINVAL,
                       "OOM score adjustment must be between -1000 and 1000");
    }
    return rc;
}

int swki_validate_references(const Swkpb__ContainerSpec *container,
                             struct swk_error *err)
{
    int rc = check_secrets(container, err);

    return rc == SWK_OK ? check_configs(container, err) : rc;
}
