/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signing/sign_desk.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "crypto/digest.h"
#include "crypto/x509.h"

/* A job with a signer, and then what it told, on the way to the loop. */
struct job {
    struct swki_message message;
    struct swki_link link;
    struct swki_sign_desk *desk;
    uint64_t id;
    bool by_keeper;
    bool told;
    struct swk_error failure; /* code 0: none */
    struct swki_buf certificate;
    struct swki_buf key; /* secret */
};

struct swki_sign_desk {
    struct swki_sign_desk_config config;
    pthread_mutex_t lock; /* of the list, and of what is told of a job */
    struct swki_link jobs;
};

static struct job *new_job(struct swki_sign_desk *desk, uint64_t id)
{
    const struct swk_alloc *alloc = desk->config.alloc;
    struct job *job = swki_calloc(alloc, 1, sizeof(*job));

    if (job != NULL) {
        swki_list_init(&job->link);
        job->desk = desk;
        job->id = id;
        swki_buf_init(&job->certificate, alloc, SWKI_PEM_LEN_MAX);
        swki_buf_init(&job->key, alloc, SWKI_PEM_LEN_MAX);
    }
    return job;
}

static void free_job(struct swki_sign_desk *desk, struct job *job)
{
    if (job->key.data != NULL) {
        swki_wipe(job->key.data, job->key.size);
    }
    swki_buf_fini(&job->key);
    swki_buf_fini(&job->certificate);
    swki_free(desk->config.alloc, job);
}

/* On the loop. */
static void deliver(struct swki_message *message, swk_time now)
{
    struct job *job = SWKI_CONTAINER(message, struct job, message);
    struct swki_sign_desk *desk = job->desk;
    const struct swk_sign_result result = {
        .size = sizeof(result),
        .code = job->failure.code,
        .text = job->failure.code != 0 ? job->failure.text : NULL,
        .certificate = {job->certificate.data, job->certificate.len},
        .key = {job->key.data, job->key.len},
    };

    (void)now;
    pthread_mutex_lock(&desk->lock);
    swki_list_remove(&job->link);
    pthread_mutex_unlock(&desk->lock);
    desk->config.finished(desk->config.ctx, job->id, job->by_keeper, &result);
    free_job(desk, job);
}

static void take_result(struct job *job, const struct swk_sign_result *result)
{
    if (result->code != 0) {
        swki_fail(&job->failure, result->code, "%s",
                  result->text != NULL ? result->text
                                       : swk_error_name(result->code));
    } else if (!swki_buf_append(&job->certificate, result->certificate.data,
                                result->certificate.len) ||
               !swki_buf_append(&job->key, result->key.data, result->key.len)) {
        swki_fail(&job->failure, SWK_ELIMIT,
                  "no memory for a signature of %zu bytes",
                  result->certificate.len);
    }
}

static struct job *find_job(struct swki_sign_desk *desk, uint64_t id)
{
    for (struct swki_link *link = desk->jobs.next; link != &desk->jobs;
         link = link->next) {
        struct job *job = SWKI_CONTAINER(link, struct job, link);

        if (job->id == id && !job->told) {
            return job;
        }
    }
    return NULL;
}

/* On any thread. A signer that tells more than it was asked is not heard. */
static void done(void *ctx, uint64_t id, const struct swk_sign_result *result)
{
    struct swki_sign_desk *desk = ctx;
    struct job *job;

    pthread_mutex_lock(&desk->lock);
    job = find_job(desk, id);
    if (job != NULL) {
        job->told = true;
        take_result(job, result);
        job->message.handle = deliver;
        swki_loop_post(desk->config.loop, &job->message);
    }
    pthread_mutex_unlock(&desk->lock);
}

static const struct swk_signer *
choose_signer(const struct swki_sign_desk *desk,
              const struct swk_sign_request *request)
{
    const struct swki_sign_desk_config *config = &desk->config;

    if (request->urls_count > 0) {
        return config->external;
    }
    return request->authority_key.len > 0 || config->keeper == NULL
               ? config->signer
               : config->keeper;
}

int swki_sign_desk_sign(struct swki_sign_desk *desk, uint64_t id,
                        const struct swk_sign_request *request,
                        struct swk_error *err)
{
    const struct swk_signer *signer = choose_signer(desk, request);
    struct job *job;
    int rc;

    if (signer == NULL) {
        return swki_fail(err, SWK_EUNAVAILABLE,
                         "this build cannot ask external CAs");
    }
    job = new_job(desk, id);
    if (job == NULL) {
        return swki_fail_nomem(err);
    }
    job->by_keeper = signer == desk->config.keeper;
    pthread_mutex_lock(&desk->lock);
    swki_list_append(&desk->jobs, &job->link);
    pthread_mutex_unlock(&desk->lock);
    rc = signer->sign(signer->ctx, id, request, done, desk, err);
    if (rc != 0) {
        pthread_mutex_lock(&desk->lock);
        swki_list_remove(&job->link);
        pthread_mutex_unlock(&desk->lock);
        free_job(desk, job);
    }
    return rc;
}

int swki_sign_desk_new(const struct swki_sign_desk_config *config,
                       struct swki_sign_desk **out_desk, struct swk_error *err)
{
    struct swki_sign_desk *desk = swki_calloc(config->alloc, 1, sizeof(*desk));

    if (desk == NULL) {
        return swki_fail_nomem(err);
    }
    desk->config = *config;
    pthread_mutex_init(&desk->lock, NULL);
    swki_list_init(&desk->jobs);
    *out_desk = desk;
    return SWK_OK;
}

/* After this the signer, if there is one, does not answer the desk any more. */
static void forget_at(const struct swk_signer *signer,
                      struct swki_sign_desk *desk)
{
    if (signer != NULL) {
        signer->forget(signer->ctx, desk);
    }
}

void swki_sign_desk_free(struct swki_sign_desk *desk)
{
    if (desk == NULL) {
        return;
    }
    forget_at(desk->config.signer, desk);
    forget_at(desk->config.keeper, desk);
    forget_at(desk->config.external, desk);
    while (!swki_list_empty(&desk->jobs)) {
        struct job *job = SWKI_CONTAINER(desk->jobs.next, struct job, link);

        swki_list_remove(&job->link);
        swki_loop_cancel(desk->config.loop, &job->message);
        free_job(desk, job);
    }
    pthread_mutex_destroy(&desk->lock);
    swki_free(desk->config.alloc, desk);
}
