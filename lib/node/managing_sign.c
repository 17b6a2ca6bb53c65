/* SPDX-License-Identifier: Apache-2.0 */

/* Who signs for this manager while it leads. */

#include "node/managing_impl.h"

static void finished(void *ctx, uint64_t id,
                     const struct swk_sign_result *result)
{
    struct swki_managing *m = ctx;

    if (m->manager != NULL) {
        swki_manager_signed(m->manager, id, result);
        swki_loop_wake(m->config.asker.loop);
    }
}

int swki_managing_make_desk(struct swki_managing *m, struct swk_error *err)
{
    const struct swki_asker *asker = &m->config.asker;
    struct swki_sign_desk_config config = {
        .alloc = asker->alloc,
        .loop = asker->loop,
        .signer = m->config.signer,
        .ctx = m,
        .finished = finished,
    };
    int rc = SWK_OK;

    if (config.signer == NULL) {
        rc = swki_local_signer_new(asker->alloc, asker->entropy,
                                   &m->local_signer, err);
        config.signer =
            rc == 0 ? swki_local_signer_port(m->local_signer) : NULL;
    }
    return rc != 0 ? rc : swki_sign_desk_new(&config, &m->desk, err);
}

void swki_managing_free_desk(struct swki_managing *m)
{
    swki_sign_desk_free(m->desk);
    swki_local_signer_free(m->local_signer);
}

int swki_managing_sign(void *ctx, uint64_t id,
                       const struct swk_sign_request *request,
                       struct swk_error *err)
{
    struct swki_managing *m = ctx;

    return swki_sign_desk_sign(m->desk, id, request, err);
}
