/* SPDX-License-Identifier: Apache-2.0 */

#include "node/secrets/secret_desk.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "crypto/digest.h"

/* A request with the provider, and then what it told, on the way to the loop.
 */
struct job {
    struct swki_message message;
    struct swki_link link;
    struct swki_secret_desk *desk;
    uint64_t id;
    bool told;
    struct swk_error failure; /* code 0: none */
    struct swki_buf value;    /* secret */
    int32_t do_not_reuse;
};

struct swki_secret_desk {
    struct swki_secret_desk_config config;
    pthread_mutex_t lock; /* of the list, and of what is told of a job */
    struct swki_link jobs;
};

static void free_job(struct job *job)
{
    const struct swk_alloc *alloc = job->desk->config.alloc;

    if (job->value.data != NULL) {
        swki_wipe(job->value.data, job->value.size);
    }
    swki_buf_fini(&job->value);
    swki_free(alloc, job);
}

static void unlist(struct job *job)
{
    struct swki_secret_desk *desk = job->desk;

    pthread_mutex_lock(&desk->lock);
    swki_list_remove(&job->link);
    pthread_mutex_unlock(&desk->lock);
}

/* On the loop. */
static void deliver(struct swki_message *message, swk_time now)
{
    struct job *job = SWKI_CONTAINER(message, struct job, message);
    struct swki_secret_desk *desk = job->desk;
    const struct swk_secret_result result = {
        .size = sizeof(result),
        .code = job->failure.code,
        .do_not_reuse = job->do_not_reuse,
        .text = job->failure.code != 0 ? job->failure.text : NULL,
        .value = {job->value.data, job->value.len},
    };

    (void)now;
    unlist(job);
    desk->config.finished(desk->config.ctx, job->id, &result);
    free_job(job);
}

/* One append, so that the buffer never moves a value and leaves it behind. */
static void take_result(struct job *job, const struct swk_secret_result *result)
{
    if (result->code != 0) {
        swki_fail(&job->failure, result->code, "%s",
                  result->text != NULL ? result->text
                                       : swk_error_name(result->code));
    } else if (result->value.len > SWK_SECRET_VALUE_MAX) {
        swki_fail(&job->failure, SWK_EMALFORMED, "the value is too large");
    } else if (!swki_buf_append(&job->value, result->value.data,
                                result->value.len)) {
        swki_fail_nomem(&job->failure);
    }
    job->do_not_reuse = result->do_not_reuse;
}

static struct job *find_job(struct swki_secret_desk *desk, uint64_t id)
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

/* On any thread. A provider that tells more than it was asked is not heard. */
static void done(void *ctx, uint64_t id, const struct swk_secret_result *result)
{
    struct swki_secret_desk *desk = ctx;
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

int swki_secret_desk_find(struct swki_secret_desk *desk, const char *driver,
                          struct swk_error *err)
{
    const struct swk_secret_provider *provider = desk->config.provider;

    return provider->find(provider->ctx, driver, err);
}

int swki_secret_desk_get(struct swki_secret_desk *desk, uint64_t id,
                         const struct swk_secret_request *request,
                         struct swk_error *err)
{
    const struct swk_secret_provider *provider = desk->config.provider;
    struct job *job = swki_calloc(desk->config.alloc, 1, sizeof(*job));
    int rc;

    if (job == NULL) {
        return swki_fail_nomem(err);
    }
    swki_list_init(&job->link);
    job->desk = desk;
    job->id = id;
    swki_buf_init(&job->value, desk->config.alloc, SWK_SECRET_VALUE_MAX);
    pthread_mutex_lock(&desk->lock);
    swki_list_append(&desk->jobs, &job->link);
    pthread_mutex_unlock(&desk->lock);
    rc = provider->get(provider->ctx, id, request, done, desk, err);
    if (rc != 0) {
        unlist(job);
        free_job(job);
    }
    return rc;
}

int swki_secret_desk_new(const struct swki_secret_desk_config *config,
                         struct swki_secret_desk **out_desk,
                         struct swk_error *err)
{
    struct swki_secret_desk *desk =
        swki_calloc(config->alloc, 1, sizeof(*desk));

    if (desk == NULL) {
        return swki_fail_nomem(err);
    }
    desk->config = *config;
    pthread_mutex_init(&desk->lock, NULL);
    swki_list_init(&desk->jobs);
    *out_desk = desk;
    return SWK_OK;
}

void swki_secret_desk_free(struct swki_secret_desk *desk)
{
    const struct swk_secret_provider *provider;

    if (desk == NULL) {
        return;
    }
    /* After this it does not answer the desk any more. */
    provider = desk->config.provider;
    provider->forget(provider->ctx, desk);
    while (!swki_list_empty(&desk->jobs)) {
        struct job *job = SWKI_CONTAINER(desk->jobs.next, struct job, link);

        swki_list_remove(&job->link);
        swki_loop_cancel(desk->config.loop, &job->message);
        free_job(job);
    }
    pthread_mutex_destroy(&desk->lock);
    swki_free(desk->config.alloc, desk);
}
