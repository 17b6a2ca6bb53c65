/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A request is made by a thread of its own, since plugins may take their time
 * and one must not wait for another; there are as few as requests at a time.
 */

#include <swarmkit/secret_plugins.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <swarmkit/nng_transport.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "base/options.h"
#include "crypto/digest.h"
#include "node/secrets/plugin_dir.h"
#include "node/signing/https.h"
#include "wire/plugin.h"

enum {
    JOBS_MAX = 32,
    DIRECTORY_SIZE = 256,
    VALUE_ROOM = SWK_SECRET_VALUE_MAX + 16, /* of the last group of base 64 */
    STATUS_OK = 200,
    STATUS_NOT_FOUND = 404,
};

struct swk_secret_plugins {
    struct swk_secret_plugins_config config;
    char directory[DIRECTORY_SIZE];
    struct swk_secret_provider port;
    swk_nng_transport *transport;
    struct swki_https *https;

    pthread_mutex_t lock; /* guards all below, and who is to be told */
    pthread_cond_t ended;
    struct swki_link jobs;
    size_t jobs_count;
};

struct job {
    struct swki_link link;
    struct swk_secret_plugins *plugins;
    uint64_t id;
    swk_secret_done_fn done; /* NULL once given up */
    void *done_ctx;
    bool telling; /* done() runs */
    char path[SWKI_PLUGIN_PATH_SIZE];
    swk_time deadline;
    struct swki_buf request;
    struct swki_buf value; /* secret */
    int32_t do_not_reuse;
};

/* -- One request ---------------------------------------------------------- */

static void wipe(struct swki_buf *buf)
{
    if (buf->data != NULL) {
        swki_wipe(buf->data, buf->size);
    }
    swki_buf_fini(buf);
}

/* What another status than 200 means. */
static int refuse(int status, const struct swki_buf *answer,
                  struct swk_error *err)
{
    int rc = swki_plugin_read_failure(answer->data, answer->len, err);

    if (rc != SWK_OK) {
        return rc;
    }
    return swki_fail(
        err, status == STATUS_NOT_FOUND ? SWK_ENOTSUP : SWK_EUNAVAILABLE,
        "the plugin answers with HTTP status %d", status);
}

static int call(struct job *job, const char *method,
                const struct swki_buf *body, struct swki_buf *out_answer,
                struct swk_error *err)
{
    const struct swk_clock *clock = job->plugins->config.clock;
    const swk_time now = clock->now(clock->ctx);
    const struct swki_https_request request = {
        .method = "POST",
        .url = method,
        .socket = job->path,
        .content_type = "application/vnd.docker.plugins.v1.2+json",
        .body = body != NULL ? body->data : NULL,
        .body_len = body != NULL ? body->len : 0,
        .answer_max = SWKI_PLUGIN_ANSWER_MAX,
        .limit_ns = now < job->deadline ? job->deadline - now : 0,
    };
    int status = 0;
    int rc;

    if (request.limit_ns == 0) {
        return swki_fail(err, SWK_ETIMEDOUT, "the plugin took too long");
    }
    rc = swki_https_call(job->plugins->https, &request, &status, out_answer,
                         err);
    if (rc == SWK_ELIMIT) {
        rc = swki_fail(err, SWK_EMALFORMED, "the plugin's answer is too large");
    }
    return rc != SWK_OK || status == STATUS_OK
               ? rc
               : refuse(status, out_answer, err);
}

static int ask(struct job *job, struct swk_error *err)
{
    const struct swk_alloc *alloc = job->plugins->config.alloc;
    struct swki_buf answer;
    int rc;

    swki_buf_init(&answer, alloc, SWKI_PLUGIN_ANSWER_MAX);
    rc = call(job, "/Plugin.Activate", NULL, &answer, err);
    if (rc == SWK_OK) {
        rc = swki_plugin_read_activation(answer.data, answer.len, err);
    }
    if (rc == SWK_OK) {
        swki_buf_clear(&answer);
        rc =
            call(job, "/SecretProvider.GetSecret", &job->request, &answer, err);
    }
    if (rc == SWK_OK) {
        rc = swki_plugin_read_secret(answer.data, answer.len, &job->value,
                                     &job->do_not_reuse, err);
    }
    wipe(&answer);
    return rc;
}

static void free_job(struct job *job)
{
    swki_buf_fini(&job->request);
    wipe(&job->value);
    swki_free(job->plugins->config.alloc, job);
}

/* No lock is held in done(). */
static void tell(struct job *job, const struct swk_secret_result *result)
{
    struct swk_secret_plugins *plugins = job->plugins;
    swk_secret_done_fn done;

    pthread_mutex_lock(&plugins->lock);
    done = job->done;
    job->telling = done != NULL;
    pthread_mutex_unlock(&plugins->lock);
    if (done != NULL) {
        done(job->done_ctx, job->id, result);
    }
}

static void *run(void *ctx)
{
    struct job *job = ctx;
    struct swk_secret_plugins *plugins = job->plugins;
    struct swk_error err = {0};
    int rc = ask(job, &err);
    const struct swk_secret_result result = {
        .size = sizeof(result),
        .code = rc,
        .do_not_reuse = rc == SWK_OK ? job->do_not_reuse : 0,
        .text = rc == SWK_OK ? NULL : err.text,
        .value = {job->value.data, rc == SWK_OK ? job->value.len : 0},
    };

    tell(job, &result);
    pthread_mutex_lock(&plugins->lock);
    swki_list_remove(&job->link);
    free_job(job);
    /* Last: after this nobody waits for the thread. */
    plugins->jobs_count--;
    pthread_cond_broadcast(&plugins->ended);
    pthread_mutex_unlock(&plugins->lock);
    return NULL;
}

/* -- The port ------------------------------------------------------------- */

static int find(void *ctx, const char *driver, struct swk_error *err)
{
    struct swk_secret_plugins *plugins = ctx;
    char path[SWKI_PLUGIN_PATH_SIZE];

    return swki_plugin_dir_find(plugins->directory, driver, path, err);
}

static int prepare(struct swk_secret_plugins *plugins, struct job *job,
                   const struct swk_secret_request *request,
                   struct swk_error *err)
{
    const struct swk_clock *clock = plugins->config.clock;
    int rc;

    swki_list_init(&job->link);
    job->plugins = plugins;
    job->deadline = clock->now(clock->ctx) + request->timeout_ns;
    swki_buf_init(&job->request, plugins->config.alloc, SIZE_MAX);
    swki_buf_init(&job->value, plugins->config.alloc, VALUE_ROOM);
    rc = swki_plugin_dir_find(plugins->directory, request->driver, job->path,
                              err);
    return rc != SWK_OK
               ? rc
               : swki_plugin_write_request(request, &job->request, err);
}

static int start(struct swk_secret_plugins *plugins, struct job *job,
                 struct swk_error *err)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int error;

    if (plugins->jobs_count >= JOBS_MAX) {
        return swki_fail(err, SWK_ELIMIT, "too many plugins are being asked");
    }
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    error = pthread_create(&thread, &attributes, run, job);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        return swki_fail(err, SWK_EUNAVAILABLE, "no thread: %s",
                         strerror(error));
    }
    swki_list_append(&plugins->jobs, &job->link);
    plugins->jobs_count++;
    return SWK_OK;
}

static int get(void *ctx, uint64_t id, const struct swk_secret_request *request,
               swk_secret_done_fn done, void *done_ctx, struct swk_error *err)
{
    struct swk_secret_plugins *plugins = ctx;
    struct job *job = swki_calloc(plugins->config.alloc, 1, sizeof(*job));
    int rc;

    if (job == NULL) {
        return swki_fail_nomem(err);
    }
    rc = prepare(plugins, job, request, err);
    job->id = id;
    job->done = done;
    job->done_ctx = done_ctx;
    if (rc == SWK_OK) {
        /* The thread comes to this lock before it lets go of the job. */
        pthread_mutex_lock(&plugins->lock);
        rc = start(plugins, job, err);
        pthread_mutex_unlock(&plugins->lock);
    }
    if (rc != SWK_OK) {
        free_job(job);
    }
    return rc;
}

/* Whether one of them is being told just now. */
static bool give_up(struct swk_secret_plugins *plugins, const void *done_ctx)
{
    bool telling = false;

    for (struct swki_link *link = plugins->jobs.next; link != &plugins->jobs;
         link = link->next) {
        struct job *job = SWKI_CONTAINER(link, struct job, link);

        if (job->done_ctx == done_ctx) {
            job->done = NULL;
            telling |= job->telling;
        }
    }
    return telling;
}

static void forget(void *ctx, void *done_ctx)
{
    struct swk_secret_plugins *plugins = ctx;

    pthread_mutex_lock(&plugins->lock);
    while (give_up(plugins, done_ctx)) {
        pthread_cond_wait(&plugins->ended, &plugins->lock);
    }
    pthread_mutex_unlock(&plugins->lock);
}

/* -- Life ----------------------------------------------------------------- */

static int check_config(struct swk_secret_plugins_config *config,
                        struct swk_error *err)
{
    if (config->clock == NULL) {
        return swki_fail(err, SWK_EINVAL, "secret plugins: no clock");
    }
    if (config->directory == NULL) {
        config->directory = "/run/docker/plugins";
    }
    if (config->directory[0] == '\0' ||
        strlen(config->directory) >= DIRECTORY_SIZE) {
        return swki_fail(err, SWK_EINVAL,
                         "secret plugins: the directory's name has 1 to %d "
                         "bytes",
                         DIRECTORY_SIZE - 1);
    }
    return SWK_OK;
}

static int set_up(struct swk_secret_plugins *plugins, struct swk_error *err)
{
    const struct swk_secret_plugins_config *config = &plugins->config;
    struct swki_https_config https = {
        .alloc = config->alloc,
        .clock = config->clock,
    };
    int rc =
        swk_nng_transport_new(config->alloc, NULL, &plugins->transport, err);

    if (rc == SWK_OK) {
        https.transport = swk_nng_transport_port(plugins->transport);
        rc = swki_https_new(&https, &plugins->https, err);
    }
    return rc;
}

int swk_secret_plugins_new(const struct swk_secret_plugins_config *options,
                           swk_secret_plugins **out_plugins,
                           struct swk_error *err)
{
    struct swk_secret_plugins_config config;
    struct swk_secret_plugins *plugins;
    int rc;

    if (options == NULL || out_plugins == NULL) {
        return swki_fail(err, SWK_EINVAL, "secret plugins: NULL argument");
    }
    rc = swki_options_read(&config, sizeof(config), options,
                           "swk_secret_plugins_config", err);
    if (rc == SWK_OK) {
        rc = check_config(&config, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    plugins = swki_calloc(config.alloc, 1, sizeof(*plugins));
    if (plugins == NULL) {
        return swki_fail_nomem(err);
    }
    plugins->config = config;
    snprintf(plugins->directory, sizeof(plugins->directory), "%s",
             config.directory);
    plugins->port = (struct swk_secret_provider){
        .size = sizeof(plugins->port),
        .ctx = plugins,
        .find = find,
        .get = get,
        .forget = forget,
    };
    pthread_mutex_init(&plugins->lock, NULL);
    pthread_cond_init(&plugins->ended, NULL);
    swki_list_init(&plugins->jobs);
    rc = set_up(plugins, err);
    if (rc != SWK_OK) {
        swk_secret_plugins_free(plugins);
        return rc;
    }
    *out_plugins = plugins;
    return SWK_OK;
}

const struct swk_secret_provider *
swk_secret_plugins_port(const swk_secret_plugins *plugins)
{
    return &plugins->port;
}

void swk_secret_plugins_free(swk_secret_plugins *plugins)
{
    if (plugins == NULL) {
        return;
    }
    if (plugins->https != NULL) {
        swki_https_close(plugins->https);
    }
    pthread_mutex_lock(&plugins->lock);
    while (plugins->jobs_count > 0) {
        pthread_cond_wait(&plugins->ended, &plugins->lock);
    }
    pthread_mutex_unlock(&plugins->lock);
    swki_https_free(plugins->https);
    swk_nng_transport_free(plugins->transport);
    pthread_cond_destroy(&plugins->ended);
    pthread_mutex_destroy(&plugins->lock);
    swki_free(plugins->config.alloc, plugins);
}
