/* SPDX-License-Identifier: Apache-2.0 */

/* Where the values of secrets with a driver come from, for a manager that
 * leads. */

#include "node/host/managing_impl.h"

static void finished(void *ctx, uint64_t id,
                     const struct swk_secret_result *result)
{
    struct swki_managing *m = ctx;

    if (m->manager != NULL) {
        swki_manager_fetched(m->manager, id, result);
        swki_loop_wake(m->config.asker.loop);
    }
}

static int find_driver(void *ctx, const char *name, struct swk_error *err)
{
    struct swki_managing *m = ctx;

    return swki_secret_desk_find(m->secret_desk, name, err);
}

static int get_secret(void *ctx, uint64_t id,
                      const struct swk_secret_request *request,
                      struct swk_error *err)
{
    struct swki_managing *m = ctx;

    return swki_secret_desk_get(m->secret_desk, id, request, err);
}

int swki_managing_make_secret_desk(struct swki_managing *m,
                                   struct swk_error *err)
{
    const struct swki_secret_desk_config config = {
        .alloc = m->config.asker.alloc,
        .loop = m->config.asker.loop,
        .provider = m->config.secrets,
        .ctx = m,
        .finished = finished,
    };

    return config.provider == NULL
               ? SWK_OK
               : swki_secret_desk_new(&config, &m->secret_desk, err);
}

void swki_managing_offer_secrets(struct swki_managing *m,
                                 struct swki_manager_config *config)
{
    if (m->secret_desk != NULL) {
        config->find_driver = find_driver;
        config->get_secret = get_secret;
        config->secrets_ctx = m;
    }
}
