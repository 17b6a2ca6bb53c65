/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How a node joins: whom it asks for what, when it asks again, and when it
 * gives up. The test plays the managers and the time: calls are answered from a
 * script, pauses take none.
 */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include <swarmkit/join_token.h>
#include <swarmkit/log.h>

#include "ca.pb-c.h"
#include "crypto/digest.h"
#include "directory.h"
#include "node/identity/exchange.h"
#include "node/identity/join.h"
#include "node/identity/state_dir.h"
#include "runtime/loop/loop.h"
#include "unit/crypto/pki.h"
#include "wire/message.h"

#define NODE "w1"
#define STATE(name) SWKPB__ISSUANCE_STATUS__STATE__##name
#define VALIDITY (2160 * SWK_HOUR)

enum {
    STEPS_MAX = 8,
    TRACE_SIZE = 4096,
};

/* A manager's next answer, or several of the same kind. */
struct step {
    char call;        /* 'R'oots, 'I'ssue, 'S'tatus */
    int code;         /* the call fails, with the text */
    const char *text; /* of the failure, or of the status; NULL: "" */
    int state;        /* of the status */
    bool astray;      /* it is for another request */
    unsigned times;   /* 0: once */
};

struct f {
    struct pki pki;
    struct pki other_pki; /* of another swarm */
    const struct pki *presented;
    struct directory dir;
    struct swki_credentials credentials;
    struct swki_remotes remotes;
    struct swk_clock clock;
    struct swk_logger logger;
    char token[SWK_JOIN_TOKEN_TEXT_SIZE];
    struct swki_join_config config;
    struct step steps[STEPS_MAX];
    size_t step;
    unsigned done;          /* of that step */
    char trace[TRACE_SIZE]; /* "1R 1I 1S": the manager's number, the call */
    struct swki_buf csr;    /* of the last request */
    unsigned requests;      /* that differ */
    unsigned said;          /* that it waits */
    char waits[512];        /* how, the last time */
    swk_time longest_pause;
    swk_time now;
    swk_wall wall;
    swk_wall managers_wall;
};

static struct f *running;

/* -- In the place of managers and time ------------------------------------ */

int __wrap_swki_exchange(const struct swki_exchange *exchange,
                         struct swki_arena *arena,
                         ProtobufCMessage **out_response,
                         struct swk_error *err);
int __wrap_swki_loop_wait(struct swki_loop *loop, swk_time until,
                          struct swk_error *err);

static void pass(struct f *f, swk_time span)
{
    f->now += span;
    f->wall += (swk_wall)span;
    f->managers_wall += (swk_wall)span;
}

int __wrap_swki_loop_wait(struct swki_loop *loop, swk_time until,
                          struct swk_error *err)
{
    struct f *f = running;

    (void)loop;
    (void)err;
    assert_true(until > f->now && until != SWK_NEVER);
    if (until - f->now > f->longest_pause) {
        f->longest_pause = until - f->now;
    }
    pass(f, until - f->now);
    return SWK_OK;
}

/* What goes over the wire comes out at the other end as a copy. */
static void deliver(const ProtobufCMessage *message, struct swki_arena *arena,
                    ProtobufCMessage **out_response)
{
    struct swki_buf data;

    swki_buf_init(&data, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(message, &data, NULL), 0);
    assert_int_equal(swki_message_unpack(message->descriptor, data.data,
                                         data.len, arena, out_response, NULL),
                     0);
    swki_buf_fini(&data);
}

static void give_roots(const struct f *f, struct swki_arena *arena,
                       ProtobufCMessage **out_response)
{
    Swkpb__GetRootCACertificateResponse response =
        SWKPB__GET_ROOT_CACERTIFICATE_RESPONSE__INIT;
    Swkpb__Timestamp stamp = SWKPB__TIMESTAMP__INIT;

    swki_timestamp_write(f->managers_wall, &stamp);
    response.time = &stamp;
    response.certificate =
        (ProtobufCBinaryData){f->presented->root.len, f->presented->root.data};
    deliver(&response.base, arena, out_response);
}

static void give_number(struct swki_arena *arena,
                        ProtobufCMessage **out_response)
{
    Swkpb__IssueNodeCertificateResponse response =
        SWKPB__ISSUE_NODE_CERTIFICATE_RESPONSE__INIT;

    response.node_id = (char *)NODE;
    deliver(&response.base, arena, out_response);
}

/* The request as the CA got it; each has the token. */
static void note_request(struct f *f, const ProtobufCMessage *message)
{
    const Swkpb__IssueNodeCertificateRequest *request =
        (const Swkpb__IssueNodeCertificateRequest *)message;

    assert_string_equal(request->token, f->token);
    if (f->csr.len != request->csr.len ||
        memcmp(f->csr.data, request->csr.data, f->csr.len) != 0) {
        f->requests++;
        swki_buf_clear(&f->csr);
        assert_true(
            swki_buf_append(&f->csr, request->csr.data, request->csr.len));
    }
}

/* Asked for by the digest, as the number alone is no secret. */
static void check_question(const struct f *f, const ProtobufCMessage *message)
{
    const Swkpb__NodeCertificateStatusRequest *request =
        (const Swkpb__NodeCertificateStatusRequest *)message;
    uint8_t digest[SWKI_SHA256_SIZE];

    assert_string_equal(request->node_id, NODE);
    assert_true(swki_sha256(f->csr.data, f->csr.len, digest));
    assert_int_equal(request->csr_digest.len, sizeof(digest));
    assert_memory_equal(request->csr_digest.data, digest, sizeof(digest));
}

static void sign(const struct f *f, struct swki_buf *out_chain)
{
    const struct swki_leaf leaf = {
        .node_id = NODE,
        .swarm_id = PKI_SWARM,
        .role = SWKI_ROLE_WORKER,
        .now = f->managers_wall,
        .validity_ns = VALIDITY,
    };

    assert_int_equal(swki_signer_issue(f->pki.signer, swki_pem_of_buf(&f->csr),
                                       &leaf, out_chain, NULL),
                     0);
}

static void give_status(const struct f *f, const struct step *step,
                        struct swki_arena *arena,
                        ProtobufCMessage **out_response)
{
    Swkpb__NodeCertificateStatusResponse response =
        SWKPB__NODE_CERTIFICATE_STATUS_RESPONSE__INIT;
    Swkpb__Certificate certificate = SWKPB__CERTIFICATE__INIT;
    Swkpb__IssuanceStatus status = SWKPB__ISSUANCE_STATUS__INIT;
    struct swki_buf chain;

    swki_buf_init(&chain, NULL, SIZE_MAX);
    status.state = (Swkpb__IssuanceStatus__State)step->state;
    status.err = (char *)(step->text != NULL ? step->text : "");
    certificate.csr = (ProtobufCBinaryData){f->csr.len, f->csr.data};
    if (step->astray) {
        certificate.csr.len--;
    }
    if (step->state == STATE(ISSUED)) {
        sign(f, &chain);
        certificate.certificate = (ProtobufCBinaryData){chain.len, chain.data};
    }
    response.status = &status;
    response.certificate = &certificate;
    deliver(&response.base, arena, out_response);
    swki_buf_fini(&chain);
}

static char call_of(const char *path)
{
    return strstr(path, "GetRootCACertificate") != NULL   ? 'R'
           : strstr(path, "IssueNodeCertificate") != NULL ? 'I'
                                                          : 'S';
}

static const struct step *next_step(struct f *f, char call)
{
    const struct step *step = &f->steps[f->step];

    assert_true(f->step < STEPS_MAX);
    if (step->call != call) {
        fail_msg("after %s: %c is asked", f->trace, call);
    }
    if (++f->done >= step->times) {
        f->step++;
        f->done = 0;
    }
    return step;
}

/* Who asks for what; nobody knows whom it talks to before it has the roots. */
static char note_call(struct f *f, const struct swki_exchange *exchange)
{
    const char call = call_of(exchange->path);
    size_t at = strlen(f->trace);

    snprintf(f->trace + at, TRACE_SIZE - at, "%s%c%c", at > 0 ? " " : "",
             exchange->address[strlen("tcp://192.0.2.")], call);
    if (call == 'R') {
        assert_null(exchange->server_name);
    } else {
        assert_string_equal(exchange->server_name, SWKI_SERVER_NAME_CA);
    }
    return call;
}

int __wrap_swki_exchange(const struct swki_exchange *exchange,
                         struct swki_arena *arena,
                         ProtobufCMessage **out_response, struct swk_error *err)
{
    struct f *f = running;
    const char call = note_call(f, exchange);
    const struct step *step = next_step(f, call);

    if (call == 'I') {
        note_request(f, exchange->request);
    } else if (call == 'S') {
        check_question(f, exchange->request);
    }
    if (step->code != 0) {
        err->code = step->code;
        snprintf(err->text, sizeof(err->text), "%s",
                 step->text != NULL ? step->text : "");
        return step->code;
    }
    if (call == 'R') {
        give_roots(f, arena, out_response);
    } else if (call == 'I') {
        give_number(arena, out_response);
    } else {
        give_status(f, step, arena, out_response);
    }
    return SWK_OK;
}

static swk_time now_of(void *ctx)
{
    return ((struct f *)ctx)->now;
}

static swk_wall wall_of(void *ctx)
{
    return ((struct f *)ctx)->wall;
}

static void take_record(void *ctx, const struct swk_log_record *record)
{
    struct f *f = ctx;

    assert_null(strstr(record->message, f->token));
    if (strstr(record->message, "waits for its certificate") != NULL) {
        snprintf(f->waits, sizeof(f->waits), "%s", record->message);
        f->said++;
    }
}

/* -- Fixture -------------------------------------------------------------- */

static void make_token(struct f *f, uint32_t flags)
{
    static const uint8_t random[SWK_JOIN_TOKEN_RANDOM_SIZE] = {1, 2, 3};
    struct swk_join_token token;
    uint8_t digest[SWKI_SHA256_SIZE];

    assert_true(swki_sha256(f->pki.root.data, f->pki.root.len, digest));
    assert_int_equal(swk_join_token_make(digest, random, flags, &token, NULL),
                     0);
    assert_int_equal(swk_join_token_format(&token, f->token, NULL), 0);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 1);
    pki_init(&f->other_pki, 2);
    f->presented = &f->pki;
    directory_init(&f->dir);
    assert_int_equal(swki_state_dir_create(f->dir.path, NULL), 0);
    swki_credentials_init(&f->credentials, NULL);
    swki_buf_init(&f->csr, NULL, SIZE_MAX);
    f->now = SWK_SECOND;
    f->wall = PKI_NOW;
    f->managers_wall = PKI_NOW;
    f->clock = (struct swk_clock){sizeof(f->clock), f, now_of, wall_of};
    f->logger = (struct swk_logger){
        .size = sizeof(f->logger), .ctx = f, .log = take_record};
    make_token(f, 0);
    f->config = (struct swki_join_config){
        .logger = &f->logger,
        .clock = &f->clock,
        .entropy = &f->pki.entropy,
        .token = f->token,
        .remotes = &f->remotes,
        .state_dir = f->dir.path,
    };
    assert_int_equal(swki_remotes_add(&f->remotes, "", "192.0.2.1:4242", NULL),
                     0);
    running = f;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_credentials_fini(&f->credentials);
    swki_buf_fini(&f->csr);
    directory_fini(&f->dir);
    pki_fini(&f->other_pki);
    pki_fini(&f->pki);
    free(f);
    running = NULL;
    return 0;
}

/* Plays the script to its end, which is a step without a call. */
static int join(struct f *f, const struct step *steps, struct swk_error *err)
{
    int rc;

    memset(f->steps, 0, sizeof(f->steps));
    for (size_t i = 0; steps[i].call != '\0'; i++) {
        assert_true(i < STEPS_MAX - 1);
        f->steps[i] = steps[i];
    }
    f->step = 0;
    f->done = 0;
    f->trace[0] = '\0';
    memset(err, 0, sizeof(*err));
    rc = swki_join(&f->config, &f->credentials, err);
    if (rc != 0) {
        assert_int_equal(rc, err->code);
        assert_null(strstr(err->text, f->token));
    }
    return rc;
}

/* -- Tests ---------------------------------------------------------------- */

static void a_node_asks_for_roots_a_certificate_and_its_state(void **state)
{
    static const struct step steps[] = {
        {'R'}, {'I'}, {'S', .state = STATE(ISSUED)}, {0}};
    struct f *f = *state;
    struct swk_error err;

    assert_int_equal(join(f, steps, &err), 0);
    assert_string_equal(f->trace, "1R 1I 1S");
    assert_string_equal(f->credentials.identity.node_id, NODE);
    assert_string_equal(f->credentials.identity.swarm_id, PKI_SWARM);
    assert_int_equal(f->credentials.identity.role, SWKI_ROLE_WORKER);
    assert_memory_equal(f->credentials.roots.data, f->pki.root.data,
                        f->pki.root.len);
    assert_int_equal(f->longest_pause, 0);
}

static void whoever_has_other_roots_never_sees_the_token(void **state)
{
    static const struct step steps[] = {{'R'}, {0}};
    struct f *f = *state;
    struct swk_error err;

    f->presented = &f->other_pki;
    assert_int_equal(join(f, steps, &err), SWK_EUNAUTHENTICATED);
    assert_string_equal(f->trace, "1R");
    assert_non_null(strstr(err.text, "not the one of the join token"));
    assert_int_equal(f->credentials.roots.len, 0);
    assert_false(swki_state_dir_has_kept_key(f->dir.path));
}

static void missing_managers_are_tried_in_turn_five_times(void **state)
{
    static const struct step steps[] = {
        {'R', SWK_EUNAVAILABLE, "nobody is there", .times = 5}, {0}};
    struct f *f = *state;
    struct swk_error err;

    swki_remotes_add(&f->remotes, "", "192.0.2.2:4242", NULL);
    assert_int_equal(join(f, steps, &err), SWK_EUNAVAILABLE);
    assert_string_equal(f->trace, "2R 1R 2R 1R 2R");
    assert_non_null(
        strstr(err.text, "cannot join the swarm at 192.0.2.2:4242"));
    assert_non_null(strstr(err.text, "nobody is there"));
    assert_int_equal(f->now, SWK_SECOND + 4 * 2 * SWK_SECOND);
}

static void an_attempt_after_a_lost_answer_asks_for_the_same(void **state)
{
    static const struct step steps[] = {
        {'R'}, {'I', SWK_ETIMEDOUT, "no answer"}, {'R'},
        {'I'}, {'S', .state = STATE(ISSUED)},     {0}};
    struct f *f = *state;
    struct swk_error err;

    swki_remotes_add(&f->remotes, "", "192.0.2.2:4242", NULL);
    assert_int_equal(join(f, steps, &err), 0);
    assert_string_equal(f->trace, "2R 2I 1R 1I 1S");
    assert_int_equal(f->requests, 1);
}

static void what_is_refused_is_not_asked_for_again(void **state)
{
    static const struct {
        int code;
        int joined;
        const char *text;
    } cases[] = {
        {SWK_EINVAL, SWK_EDENIED, "does not know the join token"},
        {SWK_EDENIED, SWK_EDENIED, "because"},
        {SWK_ELIMIT, SWK_ELIMIT, "because"},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct step steps[] = {
            {'R'}, {'I', cases[i].code, "because"}, {0}};
        struct swk_error err;

        assert_int_equal(join(f, steps, &err), cases[i].joined);
        assert_string_equal(f->trace, "1R 1I");
        assert_non_null(strstr(err.text, cases[i].text));
    }
}

static void a_ca_that_says_why_is_waited_for(void **state)
{
    static const struct step steps[] = {
        {'R'},
        {'I'},
        {'S', .state = STATE(PENDING), .text = "to be approved", .times = 500},
        {'S', .state = STATE(ISSUED)},
        {0}};
    struct f *f = *state;
    struct swk_error err;

    assert_int_equal(join(f, steps, &err), 0);
    assert_true(f->now > SWK_HOUR);
    assert_int_equal(f->requests, 1);
    assert_int_equal(f->longest_pause, 10 * SWK_SECOND);
    assert_non_null(strstr(f->waits, "as node " NODE));
    assert_non_null(strstr(f->waits, ": to be approved"));
}

static void a_ca_that_is_silent_is_given_up_after_ten_minutes(void **state)
{
    static const struct {
        const char *why;
        struct step status;
    } cases[] = {
        {"has yet to sign", {'S', .state = STATE(PENDING), .times = 500}},
        {"no answer", {'S', SWK_ETIMEDOUT, "no answer", .times = 500}},
        {"nobody is there", {'S', SWK_EUNAVAILABLE, "gone", .times = 500}},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct step steps[] = {{'R'}, {'I'}, cases[i].status, {0}};
        const swk_time start = f->now;
        struct swk_error err;

        if (join(f, steps, &err) != SWK_EBUSY) {
            fail_msg("%s: %s", cases[i].why, err.text);
        }
        assert_in_range(f->now - start, 10 * SWK_MINUTE,
                        10 * SWK_MINUTE + 10 * SWK_SECOND);
        /* Who starts again asks for the same. */
        assert_true(swki_state_dir_has_kept_key(f->dir.path));
        assert_int_equal(f->requests, 1);
    }
}

/* Patience begins anew with each reason. */
static void a_ca_that_falls_silent_is_given_up_later(void **state)
{
    static const struct step steps[] = {
        {'R'},
        {'I'},
        {'S', .state = STATE(PENDING), .text = "sealed", .times = 60},
        {'S', SWK_EUNAVAILABLE, "gone", .times = 500},
        {0}};
    struct f *f = *state;
    swk_time start = f->now;
    struct swk_error err;

    assert_int_equal(join(f, steps, &err), SWK_EBUSY);
    assert_true(f->now - start > 19 * SWK_MINUTE);
}

static void waiting_is_told_at_once_and_then_now_and_again(void **state)
{
    static const struct step steps[] = {
        {'R'},
        {'I'},
        {'S', .state = STATE(PENDING), .times = 3}, /* within 6 seconds */
        {'S', .state = STATE(ISSUED)},
        {0}};
    static const struct step long_steps[] = {
        {'R'},
        {'I'},
        {'S', .state = STATE(PENDING), .times = 16}, /* two minutes */
        {'S', .state = STATE(ISSUED)},
        {0}};
    struct f *f = *state;
    struct swk_error err;

    assert_int_equal(join(f, steps, &err), 0);
    assert_int_equal(f->said, 1);
    assert_non_null(strstr(f->waits, "the swarm's CA has yet to sign it"));
    assert_int_equal(join(f, long_steps, &err), 0);
    assert_in_range(f->said, 1 + 4, 1 + 5);
}

static void a_request_that_the_ca_refused_is_given_up(void **state)
{
    static const struct step steps[] = {
        {'R'}, {'I'}, {'S', .state = STATE(FAILED), .text = "not you"}, {0}};
    static const struct step again[] = {
        {'R'}, {'I'}, {'S', .state = STATE(ISSUED)}, {0}};
    struct f *f = *state;
    struct swk_error err;

    assert_int_equal(join(f, steps, &err), SWK_EDENIED);
    assert_string_equal(f->trace, "1R 1I 1S");
    assert_non_null(strstr(err.text, "issued no certificate: not you"));
    assert_false(swki_state_dir_has_kept_key(f->dir.path));
    assert_int_equal(join(f, again, &err), 0);
    assert_int_equal(f->requests, 2);
}

static void a_certificate_for_another_request_is_not_taken(void **state)
{
    static const struct step steps[] = {
        {'R'}, {'I'}, {'S', .state = STATE(ISSUED), .astray = true}, {0}};
    struct f *f = *state;
    struct swk_error err;

    assert_int_equal(join(f, steps, &err), SWK_EUNAUTHENTICATED);
    assert_non_null(strstr(err.text, "for another request"));
    assert_int_equal(f->credentials.chain.len, 0);
}

static void a_wrong_clock_is_told_from_a_wrong_certificate(void **state)
{
    static const struct step steps[] = {
        {'R'}, {'I'}, {'S', .state = STATE(ISSUED)}, {0}};
    struct f *f = *state;
    struct swk_error err;

    f->wall = f->managers_wall - (swk_wall)(48 * SWK_HOUR);
    assert_int_equal(join(f, steps, &err), SWK_ECLOCK);
    assert_string_equal(f->trace, "1R"); /* the root is not valid yet */
    assert_non_null(strstr(err.text, "behind that of manager 192.0.2.1:4242"));
    f->wall = f->managers_wall + (swk_wall)(VALIDITY + SWK_HOUR);
    assert_int_equal(join(f, steps, &err), SWK_ECLOCK);
    assert_string_equal(f->trace, "1R 1I 1S");
    assert_non_null(strstr(err.text, "ahead of that of manager 192.0.2.1"));
    assert_non_null(strstr(err.text, "then start again"));
    /* With the right time the same certificate will do. */
    f->wall = f->managers_wall;
    assert_int_equal(join(f, steps, &err), 0);
    assert_int_equal(f->requests, 1);
}

static void a_token_for_fips_nodes_is_kept_by_others(void **state)
{
    static const struct step nothing[] = {{0}};
    struct f *f = *state;
    struct swk_error err;

    make_token(f, SWK_JOIN_TOKEN_FIPS);
    assert_int_not_equal(join(f, nothing, &err), 0);
    assert_string_equal(f->trace, "");
}

static void nobody_is_asked_with_what_is_no_token(void **state)
{
    static const struct step nothing[] = {{0}};
    struct f *f = *state;
    struct swk_error err;

    f->config.token = "SWMTKN-1-short";
    assert_int_equal(join(f, nothing, &err), SWK_EMALFORMED);
    assert_string_equal(f->trace, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_node_asks_for_roots_a_certificate_and_its_state),
        TEST(whoever_has_other_roots_never_sees_the_token),
        TEST(missing_managers_are_tried_in_turn_five_times),
        TEST(an_attempt_after_a_lost_answer_asks_for_the_same),
        TEST(what_is_refused_is_not_asked_for_again),
        TEST(a_ca_that_says_why_is_waited_for),
        TEST(a_ca_that_is_silent_is_given_up_after_ten_minutes),
        TEST(a_ca_that_falls_silent_is_given_up_later),
        TEST(waiting_is_told_at_once_and_then_now_and_again),
        TEST(a_request_that_the_ca_refused_is_given_up),
        TEST(a_certificate_for_another_request_is_not_taken),
        TEST(a_wrong_clock_is_told_from_a_wrong_certificate),
        TEST(a_token_for_fips_nodes_is_kept_by_others),
        TEST(nobody_is_asked_with_what_is_no_token),
    };

    return cmocka_run_group_tests_name("node/join", tests, NULL, NULL);
}
