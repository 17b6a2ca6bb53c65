/* SPDX-License-Identifier: Apache-2.0 */

/* References of a service to secrets and configs, as NAME[:TARGET]. */

#include "service_refs.h"

#include <string.h>

enum {
    FILE_MODE = 0444,
};

static Swkpb__FileTarget *new_target(struct ctl *ctl, const char *text)
{
    Swkpb__FileTarget *file =
        pool_message(&ctl->pool, &swkpb__file_target__descriptor);
    const char *colon = strchr(text, ':');

    file->name = colon != NULL && colon[1] != '\0'
                     ? pool_strdup(&ctl->pool, colon + 1)
                     : pool_strndup(&ctl->pool, text, strcspn(text, ":"));
    file->uid = pool_strdup(&ctl->pool, "0");
    file->gid = pool_strdup(&ctl->pool, "0");
    file->mode = FILE_MODE;
    return file;
}

static int add_secret(struct ctl *ctl, Swkpb__ContainerSpec *c,
                      const char *text)
{
    const char *name = pool_strndup(&ctl->pool, text, strcspn(text, ":"));
    Swkpb__Secret *secret;
    int rc = find_secret(ctl, name, &secret);

    if (rc != EXIT_OK) {
        return rc;
    }

    Swkpb__SecretReference *ref =
        pool_message(&ctl->pool, &swkpb__secret_reference__descriptor);
    ref->secret_id = secret->id;
    ref->secret_name = pool_strdup(
        &ctl->pool, annotations_name(secret->spec->annotations));
    ref->target_case = SWKPB__SECRET_REFERENCE__TARGET_FILE;
    ref->file = new_target(ctl, text);

    Swkpb__SecretReference **refs =
        pool_alloc(&ctl->pool, (c->n_secrets + 1) * sizeof(*refs));
    if (c->n_secrets > 0) {
        memcpy(refs, c->secrets, c->n_secrets * sizeof(*refs));
    }
    refs[c->n_secrets++] = ref;
    c->secrets = refs;
    return EXIT_OK;
}

static int add_config(struct ctl *ctl, Swkpb__ContainerSpec *c,
                      const char *text)
{
    const char *name = pool_strndup(&ctl->pool, text, strcspn(text, ":"));
    Swkpb__Config *config;
    int rc = find_config(ctl, name, &config);

    if (rc != EXIT_OK) {
        return rc;
    }

    Swkpb__ConfigReference *ref =
        pool_message(&ctl->pool, &swkpb__config_reference__descriptor);
    ref->config_id = config->id;
    ref->config_name = pool_strdup(
        &ctl->pool, annotations_name(config->spec->annotations));
    ref->target_case = SWKPB__CONFIG_REFERENCE__TARGET_FILE;
    ref->file = new_target(ctl, text);

    Swkpb__ConfigReference **refs =
        pool_alloc(&ctl->pool, (c->n_configs + 1) * sizeof(*refs));
    if (c->n_configs > 0) {
        memcpy(refs, c->configs, c->n_configs * sizeof(*refs));
    }
    refs[c->n_configs++] = ref;
    c->configs = refs;
    return EXIT_OK;
}

static int remove_secret(Swkpb__ContainerSpec *c, const char *text)
{
    size_t kept = 0;
    size_t before = c->n_secrets;

    for (size_t i = 0; i < before; i++) {
        if (strcmp(c->secrets[i]->secret_id, text) != 0 &&
            strcmp(c->secrets[i]->secret_name, text) != 0) {
            c->secrets[kept++] = c->secrets[i];
        }
    }
    c->n_secrets = kept;
    return kept < before ? EXIT_OK
                         : ctl_error(EXIT_NOT_FOUND,
                                     "the service has no secret %s", text);
}

static int remove_config(Swkpb__ContainerSpec *c, const char *text)
{
    size_t kept = 0;
    size_t before = c->n_configs;

    for (size_t i = 0; i < before; i++) {
        if (strcmp(c->configs[i]->config_id, text) != 0 &&
            strcmp(c->configs[i]->config_name, text) != 0) {
            c->configs[kept++] = c->configs[i];
        }
    }
    c->n_configs = kept;
    return kept < before ? EXIT_OK
                         : ctl_error(EXIT_NOT_FOUND,
                                     "the service has no config %s", text);
}

int service_add_references(struct ctl *ctl, const struct args *args,
                           const char *secret_flag, const char *config_flag,
                           Swkpb__ContainerSpec *c)
{
    const char *const *texts;
    int rc = EXIT_OK;
    size_t count = args_list(args, secret_flag, &texts);

    for (size_t i = 0; rc == EXIT_OK && i < count; i++) {
        rc = add_secret(ctl, c, texts[i]);
    }
    count = args_list(args, config_flag, &texts);
    for (size_t i = 0; rc == EXIT_OK && i < count; i++) {
        rc = add_config(ctl, c, texts[i]);
    }
    return rc;
}

int service_remove_references(const struct args *args, Swkpb__ContainerSpec *c)
{
    const char *const *texts;
    int rc = EXIT_OK;
    size_t count = args_list(args, "rm-secret", &texts);

    for (size_t i = 0; rc == EXIT_OK && i < count; i++) {
        rc = remove_secret(c, texts[i]);
    }
    count = args_list(args, "rm-config", &texts);
    for (size_t i = 0; rc == EXIT_OK && i < count; i++) {
        rc = remove_config(c, texts[i]);
    }
    return rc;
}
