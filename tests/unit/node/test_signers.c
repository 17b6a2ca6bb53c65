/* SPDX-License-Identifier: Apache-2.0 */

/* Signers on threads, those who wait for them, and the desk between them and
 * the loop. */

#include "lib/cmocka_all.h"

#include <pthread.h>
#include <stdlib.h>

#include <swarmkit/posix.h>

#include "base/error.h"
#include "node/signing/local_signer.h"
#include "node/signing/sign_desk.h"
#include "node/signing/sign_now.h"
#include "node/signing/sign_worker.h"
#include "unit/crypto/pki.h"

enum {
    JOBS_MAX = 8,
};

/* Work that waits until the test lets it go on. */
struct gate {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    bool open;
    int begun;
    int ended;
    int code;
    bool saw_key;
};

struct told {
    uint64_t id;
    bool by_keeper;
    int code;
    bool has_certificate;
};

struct f {
    struct pki pki;
    struct swki_buf key;
    struct swki_buf csr;
    struct gate gate;
    pthread_mutex_t lock; /* of what was told */
    pthread_cond_t changed;
    struct told told[JOBS_MAX];
    int told_count;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 21);
    pki_request(&f->pki, &f->key, &f->csr);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    pthread_mutex_init(&f->gate.lock, NULL);
    pthread_cond_init(&f->gate.changed, NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    pthread_cond_destroy(&f->gate.changed);
    pthread_mutex_destroy(&f->gate.lock);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    swki_buf_fini(&f->csr);
    swki_buf_fini(&f->key);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

static struct swk_bytes bytes_of(const struct swki_buf *buf)
{
    return (struct swk_bytes){buf->data, buf->len};
}

static struct swk_sign_request node_request(const struct f *f)
{
    return (struct swk_sign_request){
        .size = sizeof(struct swk_sign_request),
        .kind = SWK_SIGN_NODE,
        .now = PKI_NOW,
        .swarm_id = PKI_SWARM,
        .authority = bytes_of(&f->pki.root),
        .authority_key = bytes_of(&f->pki.key),
        .node_id = "n1",
        .role = SWK_NODE_WORKER,
        .validity_ns = 24 * SWK_HOUR,
        .csr = bytes_of(&f->csr),
    };
}

/* ---- the signer with the key ---- */

static struct swki_local_signer *new_local(struct f *f)
{
    struct swki_local_signer *signer;

    assert_int_equal(
        swki_local_signer_new(NULL, &f->pki.entropy, &signer, NULL), 0);
    return signer;
}

static int ask(const struct swki_local_signer *signer,
               const struct swk_sign_request *request,
               struct swki_job_output *output, struct swk_error *err)
{
    return swki_sign_now(swki_local_signer_port(signer), request,
                         60 * SWK_SECOND, output, err);
}

static void node_gets_what_was_asked_for_it(void **state)
{
    struct f *f = *state;
    struct swki_local_signer *signer = new_local(f);
    const struct swk_sign_request request = node_request(f);
    const struct swki_leaf leaf = {
        .node_id = "n1",
        .swarm_id = PKI_SWARM,
        .role = SWKI_ROLE_WORKER,
        .now = PKI_NOW,
        .validity_ns = 24 * SWK_HOUR,
    };
    struct swki_job_output output;

    swki_job_output_init(&output, NULL);
    assert_int_equal(ask(signer, &request, &output, NULL), 0);
    assert_int_equal(swki_leaf_check(swki_pem_of_buf(&output.certificate),
                                     &leaf, swki_pem_of_buf(&f->csr), NULL),
                     0);
    assert_int_equal(output.key.len, 0);
    swki_job_output_fini(&output);
    swki_local_signer_free(signer);
}

static void new_root_comes_with_its_key_and_can_be_cross_signed(void **state)
{
    struct f *f = *state;
    struct swki_local_signer *signer = new_local(f);
    struct swk_sign_request request = {
        .size = sizeof(request),
        .kind = SWK_SIGN_ROOT,
        .now = PKI_NOW,
        .swarm_id = PKI_SWARM,
    };
    struct swki_job_output root;
    struct swki_job_output cross;
    struct swki_chain chain = {
        .roots = swki_pem_of_buf(&f->pki.root),
        .now = PKI_NOW,
    };

    swki_job_output_init(&root, NULL);
    swki_job_output_init(&cross, NULL);
    assert_int_equal(ask(signer, &request, &root, NULL), 0);
    assert_int_equal(
        swki_roots_check(swki_pem_of_buf(&root.certificate), PKI_NOW, NULL), 0);
    assert_int_equal(swki_key_matches(swki_pem_of_buf(&root.key),
                                      swki_pem_of_buf(&root.certificate),
                                      &f->pki.entropy, NULL),
                     0);
    request.kind = SWK_SIGN_CROSS;
    request.authority = bytes_of(&f->pki.root);
    request.authority_key = bytes_of(&f->pki.key);
    request.root = bytes_of(&root.certificate);
    assert_int_equal(ask(signer, &request, &cross, NULL), 0);
    chain.certificates = swki_pem_of_buf(&cross.certificate);
    assert_int_equal(swki_chain_verify(&chain, NULL, NULL), 0);
    swki_job_output_fini(&cross);
    swki_job_output_fini(&root);
    swki_local_signer_free(signer);
}

static void failures_say_whether_they_may_pass(void **state)
{
    struct f *f = *state;
    struct swki_local_signer *signer = new_local(f);
    const struct swk_sign_request good = node_request(f);
    struct swk_sign_request bad[5];
    static const int codes[] = {SWK_EUNAVAILABLE, SWK_EPRECONDITION,
                                SWK_EMALFORMED, SWK_EINVAL, SWK_ENOTSUP};
    struct pki other;

    pki_init(&other, 5);
    for (int i = 0; i < 5; i++) {
        bad[i] = good;
    }
    bad[0].authority_key = (struct swk_bytes){NULL, 0};
    bad[1].authority_key = bytes_of(&other.key);
    bad[2].csr = (struct swk_bytes){"hello", 5};
    bad[3].node_id = "not a name";
    bad[4].kind = 77;
    for (int i = 0; i < 5; i++) {
        struct swki_job_output output;
        struct swk_error err = {0};

        swki_job_output_init(&output, NULL);
        assert_int_equal(ask(signer, &bad[i], &output, &err), codes[i]);
        assert_int_equal(err.code, codes[i]);
        assert_int_equal(output.certificate.len, 0);
        swki_job_output_fini(&output);
    }
    pki_fini(&other);
    swki_local_signer_free(signer);
}

static void more_keys_than_are_kept_take_turns(void **state)
{
    struct f *f = *state;
    struct swki_local_signer *signer = new_local(f);
    struct pki others[SWKI_JOB_KEYS_MAX + 2];
    const size_t count = sizeof(others) / sizeof(others[0]);

    for (size_t i = 0; i < 2 * count; i++) {
        struct pki *pki = &others[i % count];
        struct swk_sign_request request = node_request(f);
        struct swki_job_output output;
        struct swki_chain chain = {.now = PKI_NOW};

        if (i < count) {
            pki_init(pki, 100 + i);
        }
        request.authority = bytes_of(&pki->root);
        request.authority_key = bytes_of(&pki->key);
        swki_job_output_init(&output, NULL);
        assert_int_equal(ask(signer, &request, &output, NULL), 0);
        chain.certificates = swki_pem_of_buf(&output.certificate);
        chain.roots = swki_pem_of_buf(&pki->root);
        assert_int_equal(swki_chain_verify(&chain, NULL, NULL), 0);
        swki_job_output_fini(&output);
    }
    for (size_t i = 0; i < count; i++) {
        pki_fini(&others[i]);
    }
    swki_local_signer_free(signer);
}

/* ---- workers ---- */

static int work_at_gate(void *ctx, const struct swk_sign_request *request,
                        struct swki_job_output *output, struct swk_error *err)
{
    struct gate *gate = ctx;
    int code;

    pthread_mutex_lock(&gate->lock);
    gate->begun++;
    gate->saw_key = gate->saw_key || request->authority_key.len > 0;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open) {
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    gate->ended++;
    code = gate->code;
    pthread_mutex_unlock(&gate->lock);
    assert_true(swki_buf_append_text(&output->certificate, "certificate"));
    return code == 0 ? 0 : swki_fail(err, code, "closed");
}

static void open_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void wait_begun(struct gate *gate, int count)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->begun < count) {
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
}

static void tell(struct f *f, uint64_t id, bool by_keeper,
                 const struct swk_sign_result *result)
{

    pthread_mutex_lock(&f->lock);
    assert_true(f->told_count < JOBS_MAX);
    f->told[f->told_count++] = (struct told){
        .id = id,
        .by_keeper = by_keeper,
        .code = result->code,
        .has_certificate = result->certificate.len > 0,
    };
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void told(void *ctx, uint64_t id, const struct swk_sign_result *result)
{
    tell(ctx, id, false, result);
}

static void finished(void *ctx, uint64_t id, bool by_keeper,
                     const struct swk_sign_result *result)
{
    tell(ctx, id, by_keeper, result);
}

static void wait_told(struct f *f, int count)
{
    pthread_mutex_lock(&f->lock);
    while (f->told_count < count) {
        pthread_cond_wait(&f->changed, &f->lock);
    }
    pthread_mutex_unlock(&f->lock);
}

static struct swki_sign_worker *new_worker(struct f *f, size_t threads_max,
                                           size_t jobs_max)
{
    const struct swki_sign_worker_config config = {
        .threads_max = threads_max,
        .jobs_max = jobs_max,
        .ctx = &f->gate,
        .work = work_at_gate,
    };
    struct swki_sign_worker *worker;

    assert_int_equal(swki_sign_worker_new(&config, &worker, NULL), 0);
    return worker;
}

static void jobs_are_done_in_order_and_told_once(void **state)
{
    struct f *f = *state;
    struct swki_sign_worker *worker = new_worker(f, 1, 0);
    struct swk_signer port = swki_sign_worker_port(worker);
    const struct swk_sign_request request = node_request(f);

    f->gate.open = true;
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(port.sign(port.ctx, id, &request, told, f, NULL), 0);
    }
    wait_told(f, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(f->told[i].id, i + 1);
        assert_int_equal(f->told[i].code, 0);
        assert_true(f->told[i].has_certificate);
    }
    assert_true(f->gate.saw_key);
    swki_sign_worker_free(worker);
    assert_int_equal(f->told_count, 3);
}

static void failure_is_told_without_a_certificate(void **state)
{
    struct f *f = *state;
    struct swki_sign_worker *worker = new_worker(f, 1, 0);
    struct swk_signer port = swki_sign_worker_port(worker);
    const struct swk_sign_request request = node_request(f);

    f->gate.open = true;
    f->gate.code = SWK_EDENIED;
    assert_int_equal(port.sign(port.ctx, 1, &request, told, f, NULL), 0);
    wait_told(f, 1);
    assert_int_equal(f->told[0].code, SWK_EDENIED);
    assert_false(f->told[0].has_certificate);
    swki_sign_worker_free(worker);
}

static void full_queue_refuses_more(void **state)
{
    struct f *f = *state;
    struct swki_sign_worker *worker = new_worker(f, 1, 2);
    struct swk_signer port = swki_sign_worker_port(worker);
    const struct swk_sign_request request = node_request(f);

    assert_int_equal(port.sign(port.ctx, 1, &request, told, f, NULL), 0);
    assert_int_equal(port.sign(port.ctx, 2, &request, told, f, NULL), 0);
    assert_int_equal(port.sign(port.ctx, 3, &request, told, f, NULL),
                     SWK_ELIMIT);
    open_gate(&f->gate);
    wait_told(f, 2);
    swki_sign_worker_free(worker);
}

static void jobs_side_by_side_take_a_thread_each(void **state)
{
    struct f *f = *state;
    struct swki_sign_worker *worker = new_worker(f, 3, 0);
    struct swk_signer port = swki_sign_worker_port(worker);
    const struct swk_sign_request request = node_request(f);

    for (uint64_t id = 1; id <= 4; id++) {
        assert_int_equal(port.sign(port.ctx, id, &request, told, f, NULL), 0);
    }
    wait_begun(&f->gate, 3); /* would never be, one after the other */
    open_gate(&f->gate);
    wait_told(f, 4);
    swki_sign_worker_free(worker);
}

static void forgotten_jobs_are_told_to_nobody(void **state)
{
    struct f *f = *state;
    struct swki_sign_worker *worker = new_worker(f, 1, 0);
    struct swk_signer port = swki_sign_worker_port(worker);
    const struct swk_sign_request request = node_request(f);
    struct f *another;

    set_up((void **)&another);
    assert_int_equal(port.sign(port.ctx, 1, &request, told, f, NULL), 0);
    assert_int_equal(port.sign(port.ctx, 2, &request, told, f, NULL), 0);
    assert_int_equal(port.sign(port.ctx, 3, &request, told, another, NULL), 0);
    wait_begun(&f->gate, 1);
    port.forget(port.ctx, f); /* one is being done, one waits */
    open_gate(&f->gate);
    wait_told(another, 1);
    assert_int_equal(f->told_count, 0);
    assert_int_equal(f->gate.ended, 2);
    swki_sign_worker_free(worker);
    tear_down((void **)&another);
}

static void oversized_job_is_refused(void **state)
{
    struct f *f = *state;
    struct swki_sign_worker *worker = new_worker(f, 1, 0);
    struct swk_signer port = swki_sign_worker_port(worker);
    struct swk_sign_request request = node_request(f);
    char *large = calloc(1, SWKI_PEM_LEN_MAX + 1);

    request.csr = (struct swk_bytes){large, SWKI_PEM_LEN_MAX + 1};
    assert_int_equal(port.sign(port.ctx, 1, &request, told, f, NULL),
                     SWK_EINVAL);
    free(large);
    swki_sign_worker_free(worker);
}

static void who_waits_gives_up_in_time(void **state)
{
    struct f *f = *state;
    struct swki_sign_worker *worker = new_worker(f, 1, 0);
    struct swk_signer port = swki_sign_worker_port(worker);
    const struct swk_sign_request request = node_request(f);
    struct swki_job_output output;

    swki_job_output_init(&output, NULL);
    assert_int_equal(
        swki_sign_now(&port, &request, SWK_MILLISECOND, &output, NULL),
        SWK_ETIMEDOUT);
    open_gate(&f->gate);
    swki_sign_worker_free(worker);
    assert_int_equal(output.certificate.len, 0);
    swki_job_output_fini(&output);
}

/* ---- the desk ---- */

struct desk {
    struct swki_loop *loop;
    struct swki_sign_worker *worker;
    struct swk_signer port;
    struct swki_sign_desk *desk;
};

static void desk_init(struct desk *d, struct f *f)
{
    struct swki_sign_desk_config config = {.ctx = f, .finished = finished};

    assert_int_equal(swki_loop_new(NULL, swk_posix_clock(), &d->loop, NULL), 0);
    d->worker = new_worker(f, 1, 0);
    d->port = swki_sign_worker_port(d->worker);
    config.loop = d->loop;
    config.signer = &d->port;
    assert_int_equal(swki_sign_desk_new(&config, &d->desk, NULL), 0);
}

static void desk_fini(struct desk *d)
{
    swki_sign_desk_free(d->desk);
    swki_sign_worker_free(d->worker);
    swki_loop_free(d->loop);
}

static void desk_brings_results_to_the_loop(void **state)
{
    struct f *f = *state;
    const struct swk_sign_request request = node_request(f);
    struct desk d;

    desk_init(&d, f);
    open_gate(&f->gate);
    assert_int_equal(swki_sign_desk_sign(d.desk, 41, &request, NULL), 0);
    assert_int_equal(swki_sign_desk_sign(d.desk, 42, &request, NULL), 0);
    while (f->told_count < 2) {
        assert_int_equal(swki_loop_wait(d.loop, SWK_NEVER, NULL), 0);
    }
    assert_int_equal(f->told[0].id, 41);
    assert_int_equal(f->told[1].id, 42);
    assert_true(f->told[1].has_certificate);
    desk_fini(&d);
}

static int refuse(void *ctx, uint64_t id,
                  const struct swk_sign_request *request, swk_sign_done_fn done,
                  void *done_ctx, struct swk_error *err)
{
    (void)ctx;
    (void)id;
    (void)request;
    (void)done;
    (void)done_ctx;
    return swki_fail(err, SWK_ELIMIT, "the keeper was asked");
}

static void forget_nothing(void *ctx, void *done_ctx)
{
    (void)ctx;
    (void)done_ctx;
}

/* Another one, on the same loop and with the same signer. */
static struct swki_sign_desk *desk_with_keeper(struct desk *d, struct f *f,
                                               const struct swk_signer *keeper)
{
    const struct swki_sign_desk_config config = {
        .loop = d->loop,
        .signer = &d->port,
        .keeper = keeper,
        .ctx = f,
        .finished = finished,
    };
    struct swki_sign_desk *desk;

    assert_int_equal(swki_sign_desk_new(&config, &desk, NULL), 0);
    return desk;
}

static void desk_asks_the_keeper_where_there_is_no_key(void **state)
{
    struct f *f = *state;
    const struct swk_signer keeper = {sizeof(keeper), NULL, refuse,
                                      forget_nothing};
    struct swk_sign_request request = node_request(f);
    struct swki_sign_desk *desk;
    struct desk d;

    desk_init(&d, f);
    open_gate(&f->gate);
    desk = desk_with_keeper(&d, f, &keeper);
    request.authority_key = bytes_of(&f->pki.key);
    assert_int_equal(swki_sign_desk_sign(desk, 41, &request, NULL), 0);
    while (f->told_count < 1) {
        assert_int_equal(swki_loop_wait(d.loop, SWK_NEVER, NULL), 0);
    }
    request.authority_key = (struct swk_bytes){NULL, 0};
    assert_int_equal(swki_sign_desk_sign(desk, 42, &request, NULL), SWK_ELIMIT);
    swki_sign_desk_free(desk);
    desk_fini(&d);
}

static int take(void *ctx, uint64_t id, const struct swk_sign_request *request,
                swk_sign_done_fn done, void *done_ctx, struct swk_error *err)
{
    (void)id;
    (void)request;
    (void)done;
    (void)err;
    *(void **)ctx = done_ctx;
    return SWK_OK;
}

static int answer_at_once(void *ctx, uint64_t id,
                          const struct swk_sign_request *request,
                          swk_sign_done_fn done, void *done_ctx,
                          struct swk_error *err)
{
    const struct swk_sign_result result = {
        .size = sizeof(result), .code = SWK_EDENIED, .text = "not this one"};

    (void)ctx;
    (void)request;
    (void)err;
    done(done_ctx, id, &result);
    return SWK_OK;
}

static void desk_says_what_the_keeper_did(void **state)
{
    struct f *f = *state;
    const struct swk_signer keeper = {sizeof(keeper), NULL, answer_at_once,
                                      forget_nothing};
    struct swk_sign_request request = node_request(f);
    struct swki_sign_desk *desk;
    struct desk d;

    desk_init(&d, f);
    open_gate(&f->gate);
    desk = desk_with_keeper(&d, f, &keeper);
    for (int i = 0; i < 2; i++) {
        request.authority_key =
            i == 0 ? bytes_of(&f->pki.key) : (struct swk_bytes){NULL, 0};
        assert_int_equal(swki_sign_desk_sign(desk, 41, &request, NULL), 0);
        while (f->told_count <= i) {
            assert_int_equal(swki_loop_wait(d.loop, SWK_NEVER, NULL), 0);
        }
        assert_int_equal(f->told[i].by_keeper, i == 1);
    }
    swki_sign_desk_free(desk);
    desk_fini(&d);
}

static void forget(void *ctx, void *done_ctx)
{
    assert_ptr_equal(*(void **)ctx, done_ctx);
    *(void **)ctx = NULL;
}

static void desk_that_goes_is_forgotten_by_the_keeper(void **state)
{
    struct f *f = *state;
    void *waiting = NULL;
    const struct swk_signer keeper = {sizeof(keeper), &waiting, take, forget};
    struct swk_sign_request request = node_request(f);
    struct swki_sign_desk *desk;
    struct desk d;

    desk_init(&d, f);
    open_gate(&f->gate);
    desk = desk_with_keeper(&d, f, &keeper);
    request.authority_key = (struct swk_bytes){NULL, 0};
    assert_int_equal(swki_sign_desk_sign(desk, 1, &request, NULL), 0);
    assert_non_null(waiting);
    swki_sign_desk_free(desk);
    assert_null(waiting);
    desk_fini(&d);
}

static void desk_that_goes_brings_nothing_more(void **state)
{
    struct f *f = *state;
    const struct swk_sign_request request = node_request(f);
    struct desk d;

    desk_init(&d, f);
    assert_int_equal(swki_sign_desk_sign(d.desk, 1, &request, NULL), 0);
    assert_int_equal(swki_sign_desk_sign(d.desk, 2, &request, NULL), 0);
    wait_begun(&f->gate, 1);
    open_gate(&f->gate);
    desk_fini(&d); /* whatever is in the mailbox by now */
    assert_int_equal(f->told_count, 0);
}

static void desk_without_external_cas_says_so(void **state)
{
    static const char *const urls[] = {"https://192.0.2.1/"};
    struct f *f = *state;
    struct swk_sign_request request = node_request(f);
    struct desk d;

    desk_init(&d, f);
    request.urls = urls;
    request.urls_count = 1;
    assert_int_equal(swki_sign_desk_sign(d.desk, 1, &request, NULL),
                     SWK_EUNAVAILABLE);
    desk_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(node_gets_what_was_asked_for_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            new_root_comes_with_its_key_and_can_be_cross_signed, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(failures_say_whether_they_may_pass,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_keys_than_are_kept_take_turns,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(jobs_are_done_in_order_and_told_once,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(failure_is_told_without_a_certificate,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_queue_refuses_more, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(jobs_side_by_side_take_a_thread_each,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgotten_jobs_are_told_to_nobody,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(oversized_job_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_waits_gives_up_in_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(desk_brings_results_to_the_loop, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            desk_asks_the_keeper_where_there_is_no_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(desk_says_what_the_keeper_did, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            desk_that_goes_is_forgotten_by_the_keeper, set_up, tear_down),
        cmocka_unit_test_setup_teardown(desk_that_goes_brings_nothing_more,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(desk_without_external_cas_says_so,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests_name("signers", tests, NULL, NULL);
}
