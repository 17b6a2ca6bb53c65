/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signing/sign_worker.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"

/* A copied job, with all that it points to behind it. */
struct job {
    struct swki_link link; /* in the queue or among those being done */
    uint64_t id;
    swk_sign_done_fn done;
    void *done_ctx;
    bool forgotten; /* nobody is to be told */
    bool telling;   /* done() runs */
    struct swk_sign_request request;
    const char *urls[SWKI_SIGN_URLS_MAX];
    size_t memory_size;
    char memory[];
};

struct swki_sign_worker {
    struct swki_sign_worker_config config;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t work;  /* there is a job, or the end */
    pthread_cond_t told;  /* a done() has returned */
    struct swki_link queue;
    struct swki_link running;
    size_t jobs_count;
    size_t queued_count; /* of them, in the queue */
    size_t idle_count;   /* threads that wait, or wake up */
    pthread_t threads[SWKI_SIGN_THREADS_MAX];
    size_t threads_count;
    bool ending;
};

/* -- Copies --------------------------------------------------------------- */

static size_t text_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static size_t memory_of(const struct swk_sign_request *request)
{
    size_t size = request->authority.len + request->authority_key.len +
                  request->csr.len + request->previous.len + request->root.len +
                  request->root_key.len + request->urls_roots.len + text_size(request->swarm_id) +
                  text_size(request->node_id);

    for (size_t i = 0; i < request->urls_count; i++) {
        size += text_size(request->urls[i]);
    }
    return size;
}

static void copy_bytes(struct swk_bytes *bytes, char **at)
{
    if (bytes->len > 0) {
        memcpy(*at, bytes->data, bytes->len);
    }
    bytes->data = bytes->len > 0 ? *at : NULL;
    *at += bytes->len;
}

static const char *copy_text(const char *text, char **at)
{
    size_t size = text_size(text);
    char *copy = *at;

    if (text == NULL) {
        return NULL;
    }
    memcpy(copy, text, size);
    *at += size;
    return copy;
}

static void copy_request(struct job *job,
                         const struct swk_sign_request *request)
{
    struct swk_sign_request *copy = &job->request;
    char *at = job->memory;

    *copy = *request;
    copy_bytes(&copy->authority, &at);
    copy_bytes(&copy->authority_key, &at);
    copy_bytes(&copy->csr, &at);
    copy_bytes(&copy->previous, &at);
    copy_bytes(&copy->root, &at);
    copy_bytes(&copy->root_key, &at);
    copy_bytes(&copy->urls_roots, &at);
    copy->swarm_id = copy_text(request->swarm_id, &at);
    copy->node_id = copy_text(request->node_id, &at);
    for (size_t i = 0; i < request->urls_count; i++) {
        job->urls[i] = copy_text(request->urls[i], &at);
    }
    copy->urls = job->urls;
}

static int check_request(const struct swk_sign_request *request,
                         struct swk_error *err)
{
    const struct swk_bytes parts[] = {
        request->authority, request->authority_key, request->csr,
        request->previous,  request->root,          request->root_key,
    };

    if (request->urls_count > SWKI_SIGN_URLS_MAX) {
        return swki_fail(err, SWK_EINVAL, "a job names too many external CAs");
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].len > SWKI_PEM_LEN_MAX) {
            return swki_fail(err, SWK_EINVAL, "a job of %zu bytes is too large",
                             parts[i].len);
        }
    }
    return SWK_OK;
}

static struct job *new_job(const struct swki_sign_worker *worker,
                           const struct swk_sign_request *request)
{
    size_t memory_size = memory_of(request);
    struct job *job =
        swki_calloc(worker->config.alloc, 1, sizeof(*job) + memory_size);

    if (job != NULL) {
        job->memory_size = memory_size;
        copy_request(job, request);
    }
    return job;
}

/* There may be a key in it. */
static void free_job(struct swki_sign_worker *worker, struct job *job)
{
    swki_list_remove(&job->link);
    worker->jobs_count--;
    swki_wipe(job->memory, job->memory_size);
    swki_free(worker->config.alloc, job);
}

/* -- Threads -------------------------------------------------------------- */

static struct job *first_job(const struct swki_link *list)
{
    return swki_list_empty(list) ? NULL
                                 : SWKI_CONTAINER(list->next, struct job, link);
}

/* The lock is held, but for the work itself and for telling. */
static void run_job(struct swki_sign_worker *worker, struct job *job)
{
    struct swk_sign_result result = {.size = sizeof(result)};
    struct swki_job_output output;
    struct swk_error err = {0};

    swki_list_remove(&job->link);
    worker->queued_count--;
    swki_list_append(&worker->running, &job->link);
    pthread_mutex_unlock(&worker->lock);
    swki_job_output_init(&output, worker->config.alloc);
    result.code =
        worker->config.work(worker->config.ctx, &job->request, &output, &err);
    if (result.code != 0) {
        result.text = err.text;
    } else {
        result.certificate =
            (struct swk_bytes){output.certificate.data, output.certificate.len};
        result.key = (struct swk_bytes){output.key.data, output.key.len};
    }
    pthread_mutex_lock(&worker->lock);
    if (!job->forgotten) {
        job->telling = true;
        pthread_mutex_unlock(&worker->lock);
        job->done(job->done_ctx, job->id, &result);
        pthread_mutex_lock(&worker->lock);
    }
    free_job(worker, job);
    pthread_cond_broadcast(&worker->told);
    swki_job_output_fini(&output);
}

static void *run(void *arg)
{
    struct swki_sign_worker *worker = arg;

    pthread_mutex_lock(&worker->lock);
    while (!worker->ending) {
        struct job *job = first_job(&worker->queue);

        if (job != NULL) {
            run_job(worker, job);
            continue;
        }
        worker->idle_count++;
        pthread_cond_wait(&worker->work, &worker->lock);
        worker->idle_count--;
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

/* Signals are for the program's own threads. */
static int start_thread(struct swki_sign_worker *worker, struct swk_error *err)
{
    sigset_t all;
    sigset_t before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&worker->threads[worker->threads_count], NULL, run,
                           worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        return swki_fail(err, SWK_ENOMEM, "cannot start a thread: %s",
                         strerror(error));
    }
    worker->threads_count++;
    return SWK_OK;
}

/* One more if none is free; one is enough if another cannot be had. */
static int provide_thread(struct swki_sign_worker *worker,
                          struct swk_error *err)
{
    int rc = SWK_OK;

    if (worker->idle_count <= worker->queued_count &&
        worker->threads_count < worker->config.threads_max) {
        rc = start_thread(worker, err);
    }
    return worker->threads_count > 0 ? SWK_OK : rc;
}

/* -- The port ------------------------------------------------------------- */

static int enqueue(struct swki_sign_worker *worker, struct job *job,
                   struct swk_error *err)
{
    int rc;

    if (worker->jobs_count >= worker->config.jobs_max) {
        return swki_fail(err, SWK_ELIMIT, "the signer has too many jobs");
    }
    rc = provide_thread(worker, err);
    if (rc == 0) {
        swki_list_append(&worker->queue, &job->link);
        worker->jobs_count++;
        worker->queued_count++;
        pthread_cond_signal(&worker->work);
    }
    return rc;
}

static int sign(void *ctx, uint64_t id, const struct swk_sign_request *request,
                swk_sign_done_fn done, void *done_ctx, struct swk_error *err)
{
    struct swki_sign_worker *worker = ctx;
    struct job *job;
    int rc = check_request(request, err);

    if (rc != 0) {
        return rc;
    }
    job = new_job(worker, request);
    if (job == NULL) {
        return swki_fail_nomem(err);
    }
    job->id = id;
    job->done = done;
    job->done_ctx = done_ctx;
    pthread_mutex_lock(&worker->lock);
    rc = enqueue(worker, job, err);
    pthread_mutex_unlock(&worker->lock);
    if (rc != 0) {
        swki_wipe(job->memory, job->memory_size);
        swki_free(worker->config.alloc, job);
    }
    return rc;
}

static bool forget_running(struct swki_sign_worker *worker, void *done_ctx)
{
    bool telling = false;

    for (struct swki_link *link = worker->running.next;
         link != &worker->running; link = link->next) {
        struct job *job = SWKI_CONTAINER(link, struct job, link);

        if (job->done_ctx == done_ctx) {
            job->forgotten = true;
            telling = telling || job->telling;
        }
    }
    return telling;
}

static void forget(void *ctx, void *done_ctx)
{
    struct swki_sign_worker *worker = ctx;
    struct swki_link *link;

    pthread_mutex_lock(&worker->lock);
    link = worker->queue.next;
    while (link != &worker->queue) {
        struct job *job = SWKI_CONTAINER(link, struct job, link);

        link = link->next;
        if (job->done_ctx == done_ctx) {
            worker->queued_count--;
            free_job(worker, job);
        }
    }
    while (forget_running(worker, done_ctx)) {
        pthread_cond_wait(&worker->told, &worker->lock);
    }
    pthread_mutex_unlock(&worker->lock);
}

struct swk_signer swki_sign_worker_port(struct swki_sign_worker *worker)
{
    return (struct swk_signer){
        .size = sizeof(struct swk_signer),
        .ctx = worker,
        .sign = sign,
        .forget = forget,
    };
}

/* -- Life ----------------------------------------------------------------- */

int swki_sign_worker_new(const struct swki_sign_worker_config *config,
                         struct swki_sign_worker **out_worker,
                         struct swk_error *err)
{
    struct swki_sign_worker *worker =
        swki_calloc(config->alloc, 1, sizeof(*worker));

    if (worker == NULL) {
        return swki_fail_nomem(err);
    }
    worker->config = *config;
    if (worker->config.threads_max == 0) {
        worker->config.threads_max = 1;
    }
    if (worker->config.jobs_max == 0) {
        worker->config.jobs_max = SWKI_SIGN_QUEUE_MAX;
    }
    swki_list_init(&worker->queue);
    swki_list_init(&worker->running);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->work, NULL);
    pthread_cond_init(&worker->told, NULL);
    *out_worker = worker;
    return SWK_OK;
}

void swki_sign_worker_free(struct swki_sign_worker *worker)
{
    struct job *job;

    if (worker == NULL) {
        return;
    }
    pthread_mutex_lock(&worker->lock);
    worker->ending = true;
    while ((job = first_job(&worker->queue)) != NULL) {
        free_job(worker, job);
    }
    for (struct swki_link *link = worker->running.next;
         link != &worker->running; link = link->next) {
        SWKI_CONTAINER(link, struct job, link)->forgotten = true;
    }
    pthread_cond_broadcast(&worker->work);
    pthread_mutex_unlock(&worker->lock);
    for (size_t i = 0; i < worker->threads_count; i++) {
        pthread_join(worker->threads[i], NULL);
    }
    pthread_cond_destroy(&worker->told);
    pthread_cond_destroy(&worker->work);
    pthread_mutex_destroy(&worker->lock);
    swki_free(worker->config.alloc, worker);
}
