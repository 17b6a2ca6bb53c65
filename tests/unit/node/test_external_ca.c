/* SPDX-License-Identifier: Apache-2.0 */

/* What external CAs are asked, and what their answers together come to. The
 * test plays HTTPS. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "base/error.h"
#include "node/signing/external_ca.h"
#include "node/signing/sign_now.h"
#include "unit/crypto/pki.h"

#define NO "{\"success\":false,\"errors\":[{\"message\":\"not today\"}]}"

enum {
    URLS_MAX = 2,
};

/* What one CA answers; text NULL: what signs, for a request in its words. */
struct scripted {
    int rc;
    int status;
    const char *text;
};

struct f {
    struct pki pki;
    struct swki_buf key;
    struct swki_buf csr;
    struct swki_external_ca *ca;
    struct swki_job_output output;
    struct scripted script[URLS_MAX];
    size_t asked_count;
    struct swki_buf body; /* of the last request */
};

/* The calls come on threads of the signer, one at a time. */
static struct f *running;

static const char *const urls[URLS_MAX] = {"https://a.example/sign",
                                           "https://b.example/sign"};

int __wrap_swki_https_call(struct swki_https *https,
                           const struct swki_https_request *request,
                           int *out_status, struct swki_buf *out_body,
                           struct swk_error *err);

int __wrap_swki_https_call(struct swki_https *https,
                           const struct swki_https_request *request,
                           int *out_status, struct swki_buf *out_body,
                           struct swk_error *err)
{
    size_t i = strcmp(request->url, urls[0]) == 0 ? 0 : 1;
    const struct scripted *answer = &running->script[i];

    (void)https;
    running->asked_count++;
    swki_buf_clear(&running->body);
    swki_buf_append(&running->body, request->body, request->body_len);
    swki_buf_append_byte(&running->body, 0);
    if (answer->rc != 0) {
        return swki_fail(err, answer->rc, "it is away");
    }
    *out_status = answer->status;
    swki_buf_append_text(out_body, answer->text);
    return SWK_OK;
}

static int set_up(void **state)
{
    struct swki_https_config config = {0};
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 7);
    config.entropy = &f->pki.entropy;
    pki_request(&f->pki, &f->key, &f->csr);
    swki_buf_init(&f->body, NULL, SIZE_MAX);
    swki_job_output_init(&f->output, NULL);
    assert_int_equal(swki_external_ca_new(&config, &f->ca, NULL), 0);
    assert_int_equal(
        swki_external_ca_set_identity(f->ca, swki_pem_of_buf(&f->pki.root),
                                      swki_pem_of_buf(&f->pki.key), NULL),
        0);
    running = f;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_external_ca_free(f->ca);
    swki_job_output_fini(&f->output);
    swki_buf_fini(&f->body);
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

static struct swk_sign_request node_request(const struct f *f, size_t count)
{
    return (struct swk_sign_request){
        .size = sizeof(struct swk_sign_request),
        .kind = SWK_SIGN_NODE,
        .now = PKI_NOW,
        .swarm_id = PKI_SWARM,
        .authority = bytes_of(&f->pki.root),
        .node_id = "n1",
        .role = SWK_NODE_WORKER,
        .validity_ns = SWK_HOUR,
        .csr = bytes_of(&f->csr),
        .urls = urls,
        .urls_count = count,
        .urls_roots = bytes_of(&f->pki.root),
    };
}

static int sign(struct f *f, const struct swk_sign_request *request,
                struct swk_error *err)
{
    return swki_sign_now(swki_external_ca_port(f->ca), request, SWK_MINUTE,
                         &f->output, err);
}

/* -- What answers come to ------------------------------------------------- */

static void answer_about_one_request_is_told_from_an_absence(void **state)
{
    static const struct {
        const char *why;
        struct scripted answer;
        int code;
        const char *text;
    } cases[] = {
        {"a no", {0, 200, NO}, SWK_EDENIED, "says: not today"},
        {"a no by status", {0, 400, NO}, SWK_EABORTED, "400: the external"},
        {"a no by status of the server",
         {0, 500, NO},
         SWK_EABORTED,
         "not today"},
        {"bad request", {0, 400, "bad"}, SWK_EABORTED, "HTTP status 400"},
        {"forbidden", {0, 403, ""}, SWK_EABORTED, "HTTP status 403"},
        {"too many", {0, 429, ""}, SWK_EABORTED, "HTTP status 429"},
        {"too large", {SWK_ELIMIT, 0, ""}, SWK_ELIMIT, "it is away"},
        {"in trouble", {0, 503, ""}, SWK_EUNAVAILABLE, "HTTP status 503"},
        {"a proxy in trouble",
         {0, 503, "{\"message\":\"no upstream\"}"},
         SWK_EUNAVAILABLE,
         "HTTP status 503"},
        {"moved", {0, 302, ""}, SWK_EUNAVAILABLE, "HTTP status 302"},
        {"no JSON", {0, 200, "<html>"}, SWK_EIO, "not JSON"},
        {"away", {SWK_EUNAVAILABLE, 0, ""}, SWK_EUNAVAILABLE, "it is away"},
        {"not trusted",
         {SWK_EUNAUTHENTICATED, 0, ""},
         SWK_EUNAUTHENTICATED,
         "it is away"},
        {"a bad URL", {SWK_EINVAL, 0, ""}, SWK_EPRECONDITION, "it is away"},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swk_sign_request request = node_request(f, 1);
        struct swk_error err = {0};

        f->script[0] = cases[i].answer;
        if (sign(f, &request, &err) != cases[i].code ||
            strstr(err.text, cases[i].text) == NULL ||
            strstr(err.text, urls[0]) == NULL) {
            fail_msg("%s: %d, %s", cases[i].why, err.code, err.text);
        }
    }
}

static void check_finds_a_server_that_is_in_trouble(void **state)
{
    static const struct {
        struct scripted answer;
        int code;
    } cases[] = {
        {{0, 405, NO}, SWK_OK}, /* as CFSSL answers a GET */
        {{0, 404, ""}, SWK_OK},
        {{0, 501, ""}, SWK_OK},
        {{0, 200, "<html>"}, SWK_OK},
        {{0, 500, ""}, SWK_EUNAVAILABLE},
        {{0, 503, NO}, SWK_EUNAVAILABLE},
        {{SWK_EUNAVAILABLE, 0, ""}, SWK_EUNAVAILABLE},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swk_sign_request request = {
            .size = sizeof(request),
            .kind = SWK_SIGN_CHECK,
            .now = PKI_NOW,
            .swarm_id = PKI_SWARM,
            .authority = bytes_of(&f->pki.root),
            .urls = urls,
            .urls_count = 1,
            .urls_roots = bytes_of(&f->pki.root),
        };

        f->script[0] = cases[i].answer;
        assert_int_equal(sign(f, &request, NULL), cases[i].code);
    }
}

static void several_that_do_not_sign_are_weighed_together(void **state)
{
    static const struct scripted no = {0, 200, NO};
    static const struct scripted refusal = {0, 400, ""};
    static const struct scripted away = {SWK_EUNAVAILABLE, 0, ""};
    static const struct {
        const struct scripted *first;
        const struct scripted *second;
        int code;
    } cases[] = {
        {&no, &no, SWK_EDENIED},          {&no, &refusal, SWK_EABORTED},
        {&refusal, &no, SWK_EABORTED},    {&away, &no, SWK_EABORTED},
        {&no, &away, SWK_EABORTED},       {&away, &refusal, SWK_EABORTED},
        {&refusal, &away, SWK_EABORTED},  {&refusal, &refusal, SWK_EABORTED},
        {&away, &away, SWK_EUNAVAILABLE},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swk_sign_request request = node_request(f, 2);

        f->script[0] = *cases[i].first;
        f->script[1] = *cases[i].second;
        f->asked_count = 0;
        if (sign(f, &request, NULL) != cases[i].code) {
            fail_msg("case %zu", i);
        }
        assert_int_equal(f->asked_count, 2);
    }
}

static void first_that_signs_ends_it(void **state)
{
    static const struct scripted signs = {
        0, 200, "{\"success\":true,\"result\":{\"certificate\":\"PEM\"}}"};
    static const struct scripted others[] = {
        {0, 200, NO}, {0, 400, ""}, {SWK_EIO, 0, ""}};
    struct f *f = *state;
    struct swk_sign_request request = node_request(f, 2);

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        f->script[0] = others[i];
        f->script[1] = signs;
        swki_buf_clear(&f->output.certificate);
        assert_int_equal(sign(f, &request, NULL), 0);
        assert_int_equal(f->output.certificate.len, 3);
        assert_memory_equal(f->output.certificate.data, "PEM", 3);
    }
    f->script[0] = signs;
    f->asked_count = 0;
    assert_int_equal(sign(f, &request, NULL), 0);
    assert_int_equal(f->asked_count, 1);
}

static void garbage_request_is_not_sent(void **state)
{
    struct f *f = *state;
    struct swk_sign_request request = node_request(f, 1);

    request.csr = (struct swk_bytes){"hello", 5};
    assert_int_equal(sign(f, &request, NULL), SWK_EMALFORMED);
    assert_int_equal(f->asked_count, 0);
}

/* -- Cross certificates --------------------------------------------------- */

static struct swk_sign_request cross_request(const struct f *f,
                                             const struct pki *next)
{
    return (struct swk_sign_request){
        .size = sizeof(struct swk_sign_request),
        .kind = SWK_SIGN_CROSS,
        .now = PKI_NOW,
        .swarm_id = PKI_SWARM,
        .authority = bytes_of(&f->pki.root),
        .root = bytes_of(&next->root),
        .root_key = bytes_of(&next->key),
        .urls = urls,
        .urls_count = 1,
        .urls_roots = bytes_of(&f->pki.root),
    };
}

static void cross_certificate_is_asked_for_in_the_name_of_the_root(void **state)
{
    struct f *f = *state;
    struct swk_sign_request request;
    const char *body;
    struct pki next;

    pki_init(&next, 99);
    request = cross_request(f, &next);
    f->script[0] = (struct scripted){
        0, 200, "{\"success\":true,\"result\":{\"certificate\":\"PEM\"}}"};
    assert_int_equal(sign(f, &request, NULL), 0);
    assert_memory_equal(f->output.certificate.data, "PEM", 3);
    body = (const char *)f->body.data;
    assert_non_null(strstr(body, "{\"hosts\":[],\"certificate_request\":"
                                 "\"-----BEGIN CERTIFICATE REQUEST-----\\n"));
    assert_non_null(
        strstr(body, "\"subject\":{\"CN\":\"swarm-ca\",\"names\":[]},"
                     "\"profile\":\"CA\",\"crl_override\":\"\",\"label\":\"\","
                     "\"NotBefore\":\"2029-12-31T23:55:00Z\","
                     "\"NotAfter\":\"2049-12-26T23:55:00Z\","
                     "\"extensions\":[{\"id\":[2,5,29,19],\"critical\":true,"
                     "\"value\":\"30030101ff\"}]}"));
    assert_null(strstr(body, "PRIVATE KEY"));
    pki_fini(&next);
}

static void cross_certificate_needs_the_key_of_the_root(void **state)
{
    struct f *f = *state;
    struct swk_sign_request request;
    struct pki next;

    pki_init(&next, 99);
    request = cross_request(f, &next);
    request.root_key = (struct swk_bytes){0};
    assert_int_equal(sign(f, &request, NULL), SWK_ENOTSUP);
    request.root_key = bytes_of(&f->pki.key); /* of another root */
    assert_int_equal(sign(f, &request, NULL), SWK_EINVAL);
    assert_int_equal(f->asked_count, 0);
    pki_fini(&next);
}

static void external_ca_makes_no_root(void **state)
{
    struct f *f = *state;
    struct swk_sign_request request = {
        .size = sizeof(request),
        .kind = SWK_SIGN_ROOT,
        .swarm_id = PKI_SWARM,
        .urls = urls,
        .urls_count = 1,
    };

    assert_int_equal(sign(f, &request, NULL), SWK_ENOTSUP);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(answer_about_one_request_is_told_from_an_absence),
        TEST(check_finds_a_server_that_is_in_trouble),
        TEST(several_that_do_not_sign_are_weighed_together),
        TEST(first_that_signs_ends_it),
        TEST(garbage_request_is_not_sent),
        TEST(cross_certificate_is_asked_for_in_the_name_of_the_root),
        TEST(cross_certificate_needs_the_key_of_the_root),
        TEST(external_ca_makes_no_root),
    };

    return cmocka_run_group_tests_name("external_ca", tests, NULL, NULL);
}
