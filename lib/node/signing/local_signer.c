/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signing/local_signer.h"

#include "base/alloc.h"
#include "base/error.h"
#include "node/signing/sign_worker.h"

struct swki_local_signer {
    const struct swk_alloc *alloc;
    struct swki_job_keys keys; /* the worker's one thread's */
    struct swki_sign_worker *worker;
    struct swk_signer port;
};

static int work(void *ctx, const struct swk_sign_request *request,
                struct swki_job_output *output, struct swk_error *err)
{
    struct swki_local_signer *signer = ctx;

    return swki_job_sign(&signer->keys, request, output, err);
}

int swki_local_signer_new(const struct swk_alloc *alloc,
                          const struct swk_entropy *entropy,
                          struct swki_local_signer **out_signer,
                          struct swk_error *err)
{
    struct swki_local_signer *signer = swki_calloc(alloc, 1, sizeof(*signer));
    struct swki_sign_worker_config config = {.alloc = alloc, .work = work};
    int rc;

    if (signer == NULL) {
        return swki_fail_nomem(err);
    }
    signer->alloc = alloc;
    swki_job_keys_init(&signer->keys, alloc, entropy);
    config.ctx = signer;
    rc = swki_sign_worker_new(&config, &signer->worker, err);
    if (rc != 0) {
        swki_local_signer_free(signer);
        return rc;
    }
    signer->port = swki_sign_worker_port(signer->worker);
    *out_signer = signer;
    return SWK_OK;
}

void swki_local_signer_free(struct swki_local_signer *signer)
{
    if (signer != NULL) {
        swki_sign_worker_free(signer->worker);
        swki_job_keys_fini(&signer->keys);
        swki_free(signer->alloc, signer);
    }
}

const struct swk_signer *
swki_local_signer_port(const struct swki_local_signer *signer)
{
    return &signer->port;
}
