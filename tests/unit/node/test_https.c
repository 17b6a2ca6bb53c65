/* SPDX-License-Identifier: Apache-2.0 */

/* Calls over HTTPS whose loop or transport fails: nothing of a call is touched
 * after it has returned. */

#include "lib/cmocka_all.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <swarmkit/posix.h>

#include "base/error.h"
#include "node/signing/https.h"
#include "unit/crypto/pki.h"

/* The transport's side of a call that dials. */
struct dial {
    pthread_t thread;
    sem_t *go; /* NULL: at once */
    void (*done)(void *ctx, swk_stream *stream, const struct swk_error *err);
    void *ctx;
    atomic_bool told;
};

struct f {
    struct pki pki;
    struct pki_node manager;
    struct swk_transport transport;
    struct swki_https *https;
    struct dial dial;
    struct swki_buf body;
};

static atomic_bool poll_fails;
static sem_t poll_failed;

int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    if (atomic_exchange(&poll_fails, false)) {
        sem_post(&poll_failed);
        errno = ENOMEM;
        return -1;
    }
    return __real_poll(fds, count, timeout);
}

static void *tell(void *arg)
{
    struct dial *dial = arg;
    struct swk_error err;

    if (dial->go != NULL) {
        sem_wait(dial->go);
    }
    swki_fail(&err, SWK_EUNAVAILABLE, "nobody is there");
    atomic_store(&dial->told, true);
    dial->done(dial->ctx, NULL, &err);
    return NULL;
}

static int dial(void *ctx, const char *address, swk_time timeout_ns,
                void (*done)(void *dial_ctx, swk_stream *stream,
                             const struct swk_error *err),
                void *dial_ctx, struct swk_error *err)
{
    struct f *f = ctx;

    (void)timeout_ns;
    (void)err;
    assert_string_equal(address, "tcp://ca.example:8888");
    f->dial.done = done;
    f->dial.ctx = dial_ctx;
    assert_int_equal(pthread_create(&f->dial.thread, NULL, tell, &f->dial), 0);
    return SWK_OK;
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    struct swki_https_config config = {0};

    pki_init(&f->pki, 3);
    pki_node_init(&f->pki, &f->manager, "m1", SWKI_ROLE_MANAGER);
    assert_true(swki_buf_append_byte(&f->manager.chain, 0));
    assert_true(swki_buf_append_byte(&f->manager.key, 0));
    assert_true(swki_buf_append_byte(&f->pki.root, 0));
    swki_buf_init(&f->body, NULL, SIZE_MAX);
    sem_init(&poll_failed, 0, 0);
    f->transport = (struct swk_transport){
        .size = sizeof(f->transport), .ctx = f, .dial = dial};
    config.clock = swk_posix_clock();
    config.entropy = &f->pki.entropy;
    config.transport = &f->transport;
    assert_int_equal(swki_https_new(&config, &f->https, NULL), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_https_free(f->https);
    sem_destroy(&poll_failed);
    swki_buf_fini(&f->body);
    pki_node_fini(&f->manager);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

static int call(struct f *f, struct swk_error *err)
{
    const struct swki_https_request request = {
        .method = "GET",
        .url = "https://ca.example:8888/sign",
        .roots = (const char *)f->pki.root.data,
        .certificate = (const char *)f->manager.chain.data,
        .key = (const char *)f->manager.key.data,
        .answer_max = 1024,
        .limit_ns = SWK_MINUTE,
    };
    int status = 0;
    int rc = swki_https_call(f->https, &request, &status, &f->body, err);

    assert_true(atomic_load(&f->dial.told)); /* it has waited for that */
    pthread_join(f->dial.thread, NULL);
    return rc;
}

static void server_that_is_away_fails_the_call(void **state)
{
    struct f *f = *state;
    struct swk_error err;

    assert_int_equal(call(f, &err), SWK_EUNAVAILABLE);
    assert_string_equal(err.text, "nobody is there");
}

static void
call_whose_loop_fails_stays_until_the_transport_is_done(void **state)
{
    struct f *f = *state;
    struct swk_error err;

    f->dial.go = &poll_failed;
    atomic_store(&poll_fails, true);
    assert_int_equal(call(f, &err), SWK_EIO);
    assert_non_null(strstr(err.text, "cannot wait for events"));
}

static void call_after_the_end_is_cancelled(void **state)
{
    struct f *f = *state;
    struct swk_error err;

    atomic_store(&f->dial.told, true); /* nothing is dialed */
    swki_https_close(f->https);
    f->dial.done = NULL;
    const struct swki_https_request request = {
        .method = "GET", .url = "https://ca.example/", .limit_ns = SWK_SECOND};
    int status = 0;

    assert_int_equal(
        swki_https_call(f->https, &request, &status, &f->body, &err),
        SWK_ECANCELED);
    assert_null(f->dial.done);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(server_that_is_away_fails_the_call),
        TEST(call_whose_loop_fails_stays_until_the_transport_is_done),
        TEST(call_after_the_end_is_cancelled),
    };

    return cmocka_run_group_tests_name("https", tests, NULL, NULL);
}
