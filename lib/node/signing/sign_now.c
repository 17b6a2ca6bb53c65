/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signing/sign_now.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/error.h"

struct wait {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t told;
    bool done;
    struct swki_job_output *output;
    struct swk_error failure; /* code 0: none */
};

/* On any thread. */
static void done(void *ctx, uint64_t id, const struct swk_sign_result *result)
{
    struct wait *wait = ctx;

    (void)id;
    pthread_mutex_lock(&wait->lock);
    if (result->code != 0) {
        swki_fail(&wait->failure, result->code, "%s",
                  result->text != NULL ? result->text
                                       : swk_error_name(result->code));
    } else if (!swki_buf_append(&wait->output->certificate,
                                result->certificate.data,
                                result->certificate.len) ||
               !swki_buf_append(&wait->output->key, result->key.data,
                                result->key.len)) {
        swki_fail_nomem(&wait->failure);
    }
    wait->done = true;
    pthread_cond_signal(&wait->told);
    pthread_mutex_unlock(&wait->lock);
}

static struct timespec time_after(swk_time ns)
{
    const swk_time second = SWK_SECOND;
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += (time_t)(ns / second);
    time.tv_nsec += (long)(ns % second);
    if (time.tv_nsec >= (long)second) {
        time.tv_nsec -= (long)second;
        time.tv_sec++;
    }
    return time;
}

static void wait_until(struct wait *wait, swk_time limit_ns)
{
    const struct timespec limit = time_after(limit_ns);
    int error = 0;

    pthread_mutex_lock(&wait->lock);
    while (!wait->done && error != ETIMEDOUT) {
        error = pthread_cond_timedwait(&wait->told, &wait->lock, &limit);
    }
    pthread_mutex_unlock(&wait->lock);
}

static void init_wait(struct wait *wait)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&wait->told, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&wait->lock, NULL);
}

int swki_sign_now(const struct swk_signer *signer,
                  const struct swk_sign_request *request, swk_time limit_ns,
                  struct swki_job_output *output, struct swk_error *err)
{
    struct wait wait = {.output = output};
    int rc;

    init_wait(&wait);
    rc = signer->sign(signer->ctx, 1, request, done, &wait, err);
    if (rc == 0) {
        wait_until(&wait, limit_ns);
        signer->forget(signer->ctx, &wait);
        if (!wait.done) {
            rc = swki_fail(err, SWK_ETIMEDOUT, "the signer does not answer");
        } else if (wait.failure.code != 0) {
            rc = swki_fail(err, wait.failure.code, "%s", wait.failure.text);
        }
    }
    pthread_cond_destroy(&wait.told);
    pthread_mutex_destroy(&wait.lock);
    return rc;
}
