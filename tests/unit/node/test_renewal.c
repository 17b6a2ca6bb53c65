/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How a node gets its next certificate, and the roots it trusts. The test plays
 * the managers: what the node asks them is caught where it would go out.
 */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include <swarmkit/log.h>

#include "ca.pb-c.h"
#include "core/ca/proof.h"
#include "core/ca/renewer.h"
#include "directory.h"
#include "node/identity/renewal.h"
#include "node/identity/state_dir.h"
#include "unit/crypto/pki.h"
#include "wire/message.h"

#define ISSUE "/docker.swarmkit.v1.NodeCA/IssueNodeCertificate"
#define STATUS "/docker.swarmkit.v1.NodeCA/NodeCertificateStatus"
#define ROOT "/docker.swarmkit.v1.CA/GetRootCACertificate"
#define NODE "w1"
#define STATE(name) SWKPB__ISSUANCE_STATUS__STATE__##name
#define DAY (24 * (swk_wall)SWK_HOUR)
#define VALIDITY (90 * DAY)
/* Beyond the moment of every node, and before the end. */
#define LATE (PKI_NOW + 75 * DAY)

enum {
    QUESTIONS_MAX = 4, /* open at a time */
    TURNS_MAX = 4096,
};

/* A question that is open. */
struct swki_ask {
    const char *path; /* NULL: the place is free */
    enum swki_ask_as as;
    const struct swki_remote *to;
    struct swki_buf request;
    swki_ask_done_fn done;
    void *ctx;
    swk_time started;
};

struct f {
    struct pki pki;
    struct pki next_pki; /* another root */
    struct pki_node worker;
    struct directory dir;
    struct swki_credentials credentials;
    struct swki_remotes remotes;
    struct swk_clock clock;
    struct swk_logger logger;
    struct swki_loop *loop;
    struct swki_renewal *renewal;
    struct swki_ask questions[QUESTIONS_MAX];
    struct swki_arena arena;
    unsigned changes; /* of certificate or roots, as the node was told */
    char refusal[128]; /* the last one, likewise */
    char said[512];   /* the last warning or error */
    char remedy[512]; /* said after it, of how to join anew */
    unsigned said_count;
    swk_time now;
    swk_wall wall;
};

static struct f *running; /* whose questions are caught */

/* -- In the place of the network ------------------------------------------ */

int __wrap_swki_ask_new(const struct swki_asker *asker,
                        const struct swki_ask_question *question,
                        swki_ask_done_fn done, void *ctx,
                        struct swki_ask **out_ask, struct swk_error *err);
void __wrap_swki_ask_free(struct swki_ask *ask);
const char *__wrap_swki_ask_address(const struct swki_ask *ask);
swk_time __wrap_swki_ask_started(const struct swki_ask *ask);

int __wrap_swki_ask_new(const struct swki_asker *asker,
                        const struct swki_ask_question *question,
                        swki_ask_done_fn done, void *ctx,
                        struct swki_ask **out_ask, struct swk_error *err)
{
    struct swki_ask *ask = running->questions;

    assert_ptr_equal(asker->credentials, &running->credentials);
    while (ask->path != NULL) {
        ask++;
        assert_true(ask < running->questions + QUESTIONS_MAX);
    }
    ask->to = question->as == SWKI_ASK_ANYBODY
                  ? swki_remotes_pick_other(asker->remotes, NODE)
                  : swki_remotes_pick(asker->remotes);
    if (ask->to == NULL) {
        snprintf(err->text, sizeof(err->text), "nobody to ask");
        return err->code = SWK_EUNAVAILABLE;
    }
    ask->path = question->path;
    ask->as = question->as;
    ask->done = done;
    ask->ctx = ctx;
    ask->started = running->now;
    swki_buf_init(&ask->request, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(question->request, &ask->request, err),
                     0);
    *out_ask = ask;
    return SWK_OK;
}

void __wrap_swki_ask_free(struct swki_ask *ask)
{
    if (ask != NULL) {
        assert_non_null(ask->path);
        swki_buf_fini(&ask->request);
        ask->path = NULL;
    }
}

const char *__wrap_swki_ask_address(const struct swki_ask *ask)
{
    assert_non_null(ask->path);
    return ask->to->address;
}

swk_time __wrap_swki_ask_started(const struct swki_ask *ask)
{
    return ask->started;
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

    if (record->level >= SWK_LOG_WARN) {
        bool helps = strncmp(record->message, "to join anew", 12) == 0;

        snprintf(helps ? f->remedy : f->said, sizeof(f->said), "%s",
                 record->message);
        f->said_count += !helps;
    }
}

static void changed(void *ctx, swk_time now)
{
    struct f *f = ctx;

    (void)now;
    f->changes++;
}

static void refused(void *ctx, const struct swk_error *why)
{
    struct f *f = ctx;

    snprintf(f->refusal, sizeof(f->refusal), "%s", why->text);
}

/* -- Fixture -------------------------------------------------------------- */

static void begin(struct f *f)
{
    const struct swki_renewal_config config = {
        .asker =
            {
                .clock = &f->clock,
                .logger = &f->logger,
                .entropy = &f->pki.entropy,
                .loop = f->loop,
                .credentials = &f->credentials,
                .remotes = &f->remotes,
            },
        .credentials = &f->credentials,
        .state_dir = f->dir.path,
        .seed = 7,
        .ctx = f,
        .changed = changed,
        .refused = refused,
    };

    assert_int_equal(swki_renewal_new(&config, &f->renewal, NULL), 0);
}

static void add_manager(struct f *f, const char *node_id, const char *address)
{
    assert_int_equal(swki_remotes_add(&f->remotes, node_id, address, NULL), 0);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 1);
    pki_init(&f->next_pki, 2);
    pki_node_init(&f->pki, &f->worker, NODE, SWKI_ROLE_WORKER);
    directory_init(&f->dir);
    directory_put(&f->dir, "certificates", "swarm-root-ca.crt",
                  f->pki.root.data, f->pki.root.len);
    directory_put(&f->dir, "certificates", "swarm-node.key", f->worker.key.data,
                  f->worker.key.len);
    directory_put(&f->dir, "certificates", "swarm-node.crt",
                  f->worker.chain.data, f->worker.chain.len);
    f->now = SWK_SECOND;
    f->wall = PKI_NOW;
    f->clock = (struct swk_clock){sizeof(f->clock), f, now_of, wall_of};
    f->logger = (struct swk_logger){
        .size = sizeof(f->logger), .ctx = f, .log = take_record};
    swki_arena_init(&f->arena, NULL, SIZE_MAX);
    swki_credentials_init(&f->credentials, NULL);
    assert_int_equal(swki_state_dir_load(f->dir.path, &f->credentials,
                                         &f->clock, &f->pki.entropy, NULL),
                     0);
    assert_int_equal(swki_loop_new(NULL, &f->clock, &f->loop, NULL), 0);
    running = f;
    add_manager(f, "m1", "192.0.2.1:4242");
    begin(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_renewal_free(f->renewal);
    for (int i = 0; i < QUESTIONS_MAX; i++) {
        assert_null(f->questions[i].path);
    }
    swki_loop_free(f->loop);
    swki_credentials_fini(&f->credentials);
    swki_arena_fini(&f->arena);
    directory_fini(&f->dir);
    pki_node_fini(&f->worker);
    pki_fini(&f->next_pki);
    pki_fini(&f->pki);
    free(f);
    running = NULL;
    return 0;
}

/* -- Time ----------------------------------------------------------------- */

static struct swki_ask *find_question(struct f *f, const char *path)
{
    for (int i = 0; i < QUESTIONS_MAX; i++) {
        if (f->questions[i].path != NULL &&
            strcmp(f->questions[i].path, path) == 0) {
            return &f->questions[i];
        }
    }
    return NULL;
}

/* Turns at deadlines until that is asked. */
static struct swki_ask *wait_question(struct f *f, const char *path)
{
    struct swki_ask *ask = NULL;

    for (int i = 0; i < TURNS_MAX && ask == NULL; i++) {
        swk_time deadline;

        swki_loop_process(f->loop);
        deadline = swki_loop_deadline(f->loop);
        ask = find_question(f, path);
        if (ask == NULL && deadline != SWK_NEVER && deadline > f->now) {
            f->wall += (swk_wall)(deadline - f->now);
            f->now = deadline;
        }
    }
    if (ask == NULL) {
        fail_msg("%s is never asked", path);
    }
    return ask;
}

static void pass(struct f *f, swk_time duration)
{
    f->now += duration;
    f->wall += (swk_wall)duration;
    swki_loop_process(f->loop);
}

/* -- Answers -------------------------------------------------------------- */

static void answer(struct f *f, struct swki_ask *ask,
                   const ProtobufCMessage *message)
{
    const struct swk_error fine = {0};
    struct swki_buf data;

    swki_buf_init(&data, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(message, &data, NULL), 0);
    ask->done(ask->ctx, &fine, data.data, data.len, f->now);
    swki_buf_fini(&data);
}

static void refuse(struct f *f, struct swki_ask *ask, int code,
                   const char *text)
{
    struct swk_error why = {.code = code};

    snprintf(why.text, sizeof(why.text), "%s", text);
    ask->done(ask->ctx, &why, NULL, 0, f->now);
}

static const Swkpb__IssueNodeCertificateRequest *
read_request(struct f *f, const struct swki_ask *ask)
{
    ProtobufCMessage *message;

    assert_int_equal(
        swki_message_unpack(&swkpb__issue_node_certificate_request__descriptor,
                            ask->request.data, ask->request.len, &f->arena,
                            &message, NULL),
        0);
    return (const Swkpb__IssueNodeCertificateRequest *)message;
}

/* Takes the request down, and returns it; time is the manager's, 0 if it does
 * not say. */
static const Swkpb__IssueNodeCertificateRequest *
accept_request_at(struct f *f, swk_wall time)
{
    Swkpb__IssueNodeCertificateResponse response =
        SWKPB__ISSUE_NODE_CERTIFICATE_RESPONSE__INIT;
    Swkpb__Timestamp stamp = SWKPB__TIMESTAMP__INIT;
    struct swki_ask *ask = wait_question(f, ISSUE);
    const Swkpb__IssueNodeCertificateRequest *request = read_request(f, ask);

    if (time != 0) {
        swki_timestamp_write(time, &stamp);
        response.time = &stamp;
    }
    answer(f, ask, &response.base);
    return request;
}

static const Swkpb__IssueNodeCertificateRequest *accept_request(struct f *f)
{
    return accept_request_at(f, 0);
}

/* What a CA makes of a request. */
struct grant {
    struct pki *pki;
    const char *node_id;
    enum swki_role role;
    struct pki *crossed_by; /* root that vouches for the CA; or NULL */
    swk_wall now;           /* by the CA's clock; 0: the node's is right */
};

static void sign(struct f *f, const Swkpb__IssueNodeCertificateRequest *request,
                 const struct grant *grant, struct swki_buf *out)
{
    const struct swki_leaf leaf = {
        .node_id = grant->node_id,
        .swarm_id = PKI_SWARM,
        .role = grant->role,
        .now = grant->now != 0 ? grant->now : f->wall,
        .validity_ns = (uint64_t)VALIDITY,
    };

    swki_buf_init(out, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_issue(
                         grant->pki->signer,
                         (struct swki_pem){request->csr.data, request->csr.len},
                         &leaf, out, NULL),
                     0);
    if (grant->crossed_by != NULL) {
        assert_int_equal(swki_signer_cross_sign(
                             grant->crossed_by->signer,
                             swki_pem_of_buf(&grant->pki->root), out, NULL),
                         0);
    }
}

static void answer_status(struct f *f, int state,
                          const ProtobufCBinaryData *csr,
                          const struct swki_buf *chain)
{
    Swkpb__NodeCertificateStatusResponse response =
        SWKPB__NODE_CERTIFICATE_STATUS_RESPONSE__INIT;
    Swkpb__Certificate certificate = SWKPB__CERTIFICATE__INIT;
    Swkpb__IssuanceStatus status = SWKPB__ISSUANCE_STATUS__INIT;
    char why[] = "because";

    status.state = (Swkpb__IssuanceStatus__State)state;
    status.err = why;
    certificate.csr = *csr;
    if (chain != NULL) {
        certificate.certificate =
            (ProtobufCBinaryData){chain->len, chain->data};
    }
    response.status = &status;
    response.certificate = &certificate;
    answer(f, wait_question(f, STATUS), &response.base);
}

static void issue(struct f *f,
                  const Swkpb__IssueNodeCertificateRequest *request,
                  const struct grant *grant, int state)
{
    struct swki_buf chain;

    sign(f, request, grant, &chain);
    answer_status(f, state, &request->csr, &chain);
    swki_buf_fini(&chain);
}

static struct grant worker_grant(struct f *f)
{
    return (struct grant){&f->pki, NODE, SWKI_ROLE_WORKER, NULL, 0};
}

static void answer_roots(struct f *f, const struct swki_buf *roots,
                         swk_wall time)
{
    Swkpb__GetRootCACertificateResponse response =
        SWKPB__GET_ROOT_CACERTIFICATE_RESPONSE__INIT;
    Swkpb__Timestamp stamp = SWKPB__TIMESTAMP__INIT;

    swki_timestamp_write(time, &stamp);
    response.certificate = (ProtobufCBinaryData){roots->len, roots->data};
    response.time = &stamp;
    answer(f, wait_question(f, ROOT), &response.base);
}

/* -- News ----------------------------------------------------------------- */

static void tell(struct f *f, int state, const struct swki_buf *roots)
{
    Swkpb__SessionMessage news = SWKPB__SESSION_MESSAGE__INIT;
    Swkpb__Node node = SWKPB__NODE__INIT;
    Swkpb__NodeSpec spec = SWKPB__NODE_SPEC__INIT;
    Swkpb__Certificate certificate = SWKPB__CERTIFICATE__INIT;
    Swkpb__IssuanceStatus status = SWKPB__ISSUANCE_STATUS__INIT;

    status.state = (Swkpb__IssuanceStatus__State)state;
    certificate.status = &status;
    node.spec = &spec;
    node.certificate = &certificate;
    news.node = &node;
    if (roots != NULL) {
        news.rootca = (ProtobufCBinaryData){roots->len, roots->data};
    }
    swki_renewal_news(f->renewal, &news);
}

static void tell_role(struct f *f, Swkpb__NodeRole desired,
                      Swkpb__NodeRole granted)
{
    Swkpb__SessionMessage news = SWKPB__SESSION_MESSAGE__INIT;
    Swkpb__Node node = SWKPB__NODE__INIT;
    Swkpb__NodeSpec spec = SWKPB__NODE_SPEC__INIT;

    spec.desired_role = desired;
    node.spec = &spec;
    node.role = granted;
    news.node = &node;
    swki_renewal_news(f->renewal, &news);
}

/* What a start would find on the disk. */
static void expect_stored(struct f *f)
{
    struct swki_credentials stored;

    swki_credentials_init(&stored, NULL);
    assert_int_equal(swki_state_dir_load(f->dir.path, &stored, &f->clock,
                                         &f->pki.entropy, NULL),
                     0);
    assert_memory_equal(stored.chain.data, f->credentials.chain.data,
                        f->credentials.chain.len);
    assert_memory_equal(stored.roots.data, f->credentials.roots.data,
                        f->credentials.roots.len);
    swki_credentials_fini(&stored);
}

/* -- Tests ---------------------------------------------------------------- */

static void nothing_is_asked_before_its_time(void **state)
{
    struct f *f = *state;

    swki_loop_process(f->loop);
    f->wall = PKI_NOW + 44 * DAY;
    pass(f, SWK_MINUTE);
    assert_null(find_question(f, ISSUE));
}

static void certificate_is_renewed_under_the_same_identity(void **state)
{
    struct f *f = *state;
    const struct grant grant = worker_grant(f);
    struct swki_ask *ask;

    f->wall = LATE;
    ask = wait_question(f, ISSUE);
    assert_int_equal(ask->as, SWKI_ASK_AS_NODE);
    assert_null(read_request(f, ask)->proof);
    issue(f, accept_request(f), &grant, STATE(ISSUED));
    assert_int_equal(f->changes, 1);
    assert_string_equal(f->credentials.identity.node_id, NODE);
    assert_true(f->credentials.identity.not_after >= LATE + VALIDITY);
    assert_int_equal(f->said_count, 0);
    expect_stored(f);
    pass(f, SWK_HOUR);
    assert_null(find_question(f, ISSUE));
}

/* Another process, later. */
static void restart(struct f *f)
{
    swki_renewal_free(f->renewal);
    swki_credentials_fini(&f->credentials);
    swki_credentials_init(&f->credentials, NULL);
    f->credentials.accept_expired = true;
    assert_int_equal(swki_state_dir_load(f->dir.path, &f->credentials,
                                         &f->clock, &f->pki.entropy, NULL),
                     0);
    f->credentials.accept_expired = false;
    begin(f);
}

static bool same_csr(const Swkpb__IssueNodeCertificateRequest *a,
                     const Swkpb__IssueNodeCertificateRequest *b)
{
    return a->csr.len == b->csr.len &&
           memcmp(a->csr.data, b->csr.data, a->csr.len) == 0;
}

/* What the CA issued last, which is not what was asked for. */
static void answer_older(struct f *f)
{
    const ProtobufCBinaryData other = {f->worker.key.len, f->worker.key.data};

    answer_status(f, STATE(ISSUED), &other, &f->worker.chain);
}

static void lost_question_is_asked_again_for_the_same_key(void **state)
{
    struct f *f = *state;
    const struct grant grant = worker_grant(f);
    const Swkpb__IssueNodeCertificateRequest *first;
    const Swkpb__IssueNodeCertificateRequest *second;

    f->wall = LATE;
    first = read_request(f, wait_question(f, ISSUE));
    refuse(f, find_question(f, ISSUE), SWK_EUNAVAILABLE, "nobody is there");
    assert_non_null(strstr(f->said, "nobody is there"));
    /* It may have come through: that is asked first. */
    answer_older(f);
    second = read_request(f, wait_question(f, ISSUE));
    assert_true(same_csr(first, second));
    issue(f, accept_request(f), &grant, STATE(ISSUED));
    assert_int_equal(f->changes, 1);
    expect_stored(f);
    assert_false(swki_state_dir_has_kept_key(f->dir.path));
}

/* Or else two asked in turn, of which one is down, would never do both. */
static void whoever_does_not_know_of_it_is_asked_for_it(void **state)
{
    struct f *f = *state;
    const struct swki_remote *to;

    add_manager(f, "m2", "192.0.2.2:4242");
    f->wall = LATE;
    refuse(f, wait_question(f, ISSUE), SWK_EUNAVAILABLE, "nobody is there");
    to = wait_question(f, STATUS)->to;
    answer_older(f);
    assert_ptr_equal(wait_question(f, ISSUE)->to, to);
    /* Who cannot be reached is asked for nothing more. */
    refuse(f, find_question(f, ISSUE), SWK_EUNAVAILABLE, "nobody is there");
    to = wait_question(f, STATUS)->to;
    refuse(f, find_question(f, STATUS), SWK_EUNAVAILABLE, "nobody is there");
    assert_ptr_not_equal(wait_question(f, ISSUE)->to, to);
}

static void each_certificate_is_for_a_new_key(void **state)
{
    struct f *f = *state;
    const struct grant grant = worker_grant(f);
    const Swkpb__IssueNodeCertificateRequest *first;
    const Swkpb__IssueNodeCertificateRequest *second;

    f->wall = LATE;
    first = accept_request(f);
    issue(f, first, &grant, STATE(ISSUED));
    tell(f, STATE(ROTATE), NULL);
    second = accept_request(f);
    assert_false(same_csr(first, second));
    /* One that the CA refused does not come again either. */
    answer_status(f, STATE(FAILED), &second->csr, NULL);
    assert_false(same_csr(second, read_request(f, wait_question(f, ISSUE))));
}

static void lost_answer_is_asked_for_after_a_restart(void **state)
{
    struct f *f = *state;
    const struct grant grant = worker_grant(f);
    const Swkpb__IssueNodeCertificateRequest *request;

    f->wall = LATE;
    request = accept_request(f);
    restart(f);
    assert_int_equal(wait_question(f, STATUS)->as, SWKI_ASK_AS_NODE);
    assert_null(find_question(f, ISSUE));
    issue(f, request, &grant, STATE(ISSUED));
    assert_int_equal(f->changes, 1);
    expect_stored(f);
    restart(f);
    pass(f, SWK_HOUR);
    assert_null(find_question(f, STATUS));
    assert_null(find_question(f, ISSUE));
}

static void
lost_answer_is_taken_though_the_old_certificate_has_ended(void **state)
{
    struct f *f = *state;
    struct grant grant = worker_grant(f);
    const Swkpb__IssueNodeCertificateRequest *request;
    struct swki_ask *ask;

    f->wall = LATE;
    request = accept_request(f);
    grant.now = f->wall;
    f->wall = PKI_NOW + 100 * DAY;
    restart(f);
    /* The CA would take no proof any more: it has issued another one. */
    ask = wait_question(f, STATUS);
    assert_int_equal(ask->as, SWKI_ASK_AS_NOBODY);
    assert_null(find_question(f, ISSUE));
    issue(f, request, &grant, STATE(ISSUED));
    assert_int_equal(f->changes, 1);
    expect_stored(f);
}

static void certificate_waits_for_a_clock_that_is_behind(void **state)
{
    struct f *f = *state;
    struct grant grant = worker_grant(f);
    const Swkpb__IssueNodeCertificateRequest *request;

    f->wall = LATE;
    request = accept_request(f);
    grant.now = f->wall + 5 * DAY;
    issue(f, request, &grant, STATE(ISSUED));
    assert_int_equal(f->changes, 0);
    refuse(f, wait_question(f, ROOT), SWK_EUNAVAILABLE, "nobody");
    /* That is no reason to have another one issued. */
    for (int i = 0; i < 3; i++) {
        issue(f, request, &grant, STATE(ISSUED));
        assert_null(find_question(f, ISSUE));
    }
    assert_int_equal(f->changes, 0);
    f->wall += 5 * DAY;
    pass(f, SWKI_RENEWER_LOOK_PAUSE);
    pass(f, SWKI_RENEWER_BACKOFF_STEP);
    assert_non_null(find_question(f, STATUS));
    issue(f, request, &grant, STATE(ISSUED));
    assert_int_equal(f->changes, 1);
    expect_stored(f);
}

static void certificate_is_not_lost_to_a_clock_that_is_ahead(void **state)
{
    struct f *f = *state;
    struct grant grant = worker_grant(f);
    const Swkpb__IssueNodeCertificateRequest *request;

    f->wall = PKI_NOW + 200 * DAY;
    grant.now = PKI_NOW + 50 * DAY;
    request = accept_request(f);
    assert_non_null(request->proof);
    issue(f, request, &grant, STATE(ISSUED));
    /* It is what the CA goes by from now on. */
    assert_int_equal(f->changes, 1);
    assert_non_null(strstr(f->said, "has ended by this machine's clock"));
    answer_roots(f, &f->pki.root, grant.now);
    assert_non_null(strstr(f->said, "ahead of that of manager"));
    assert_null(find_question(f, ISSUE)); /* not at once */
    f->wall = grant.now;
    restart(f);
    pass(f, SWK_HOUR);
    assert_null(find_question(f, ISSUE));
    assert_true(f->credentials.identity.not_after > f->wall);
}

/* What the node says of a certificate by a CA with the right time, when its own
 * is 80 days ahead. */
static void expect_told_of_clock(struct f *f, swk_wall managers_time,
                                 const char *text)
{
    struct grant grant = worker_grant(f);

    f->wall = PKI_NOW + 80 * DAY;
    grant.now = PKI_NOW;
    issue(f, accept_request_at(f, managers_time), &grant, STATE(ISSUED));
    assert_int_equal(f->changes, 1);
    assert_int_equal(f->said_count, 1);
    if (strstr(f->said, text) == NULL) {
        fail_msg("lacks %s: %s", text, f->said);
    }
    /* Another one would be no better. */
    pass(f, SWK_HOUR);
    assert_null(find_question(f, ISSUE));
    assert_int_equal(f->said_count, 1);
}

static void clock_that_is_ahead_is_named_when_renewed(void **state)
{
    expect_told_of_clock(*state, PKI_NOW,
                         "this machine's clock is 80 days ahead of that of "
                         "manager 192.0.2.1:4242");
}

static void fresh_certificate_that_looks_old_tells_of_the_clock(void **state)
{
    struct f *f = *state;

    expect_told_of_clock(f, 0,
                         "of 2030-01-01T00:00:00Z by the CA's clock, and this "
                         "machine's clock says 2030-03-22T00:00:00Z: most "
                         "likely this machine's is 80 days ahead, set it right "
                         "(timedatectl)");
}

static void clock_of_the_ca_is_named_if_managers_have_another(void **state)
{
    expect_told_of_clock(*state, PKI_NOW + 80 * DAY,
                         "the CA's is 80 days behind");
}

static void clock_that_jumps_out_of_the_validity_is_named(void **state)
{
    struct f *f = *state;

    swki_loop_process(f->loop);
    f->wall = PKI_NOW + 40 * DAY;
    pass(f, SWKI_RENEWER_LOOK_PAUSE);
    assert_int_equal(f->said_count, 0); /* it may have slept */
    f->wall = PKI_NOW - 10 * DAY;
    pass(f, SWKI_RENEWER_LOOK_PAUSE);
    assert_int_equal(f->said_count, 1);
    assert_non_null(
        strstr(f->said, "clock went back by 50 days at once; by that time"));
    assert_non_null(strstr(f->said, "certificate is not valid yet"));
    assert_null(find_question(f, ISSUE));
}

static void short_certificate_that_ended_is_asked_for_anew(void **state)
{
    struct f *f = *state;
    struct grant grant = worker_grant(f);
    const Swkpb__IssueNodeCertificateRequest *request;

    f->wall = LATE;
    request = accept_request(f);
    grant.now = LATE - 95 * DAY; /* over, while the old one is not */
    issue(f, request, &grant, STATE(ISSUED));
    assert_int_equal(f->changes, 0);
    refuse(f, wait_question(f, ROOT), SWK_EUNAVAILABLE, "nobody");
    issue(f, request, &grant, STATE(ISSUED));
    assert_true(same_csr(request, accept_request(f)));
    grant.now = 0;
    issue(f, request, &grant, STATE(ISSUED));
    assert_int_equal(f->changes, 1);
    expect_stored(f);
}

static void answer_to_another_request_is_not_taken(void **state)
{
    struct f *f = *state;
    const struct grant grant = worker_grant(f);
    const Swkpb__IssueNodeCertificateRequest *request;
    const ProtobufCBinaryData other = {f->worker.key.len, f->worker.key.data};

    f->wall = LATE;
    request = accept_request(f);
    answer_status(f, STATE(ISSUED), &other, &f->worker.chain);
    answer_status(f, STATE(FAILED), &other, NULL);
    answer_status(f, STATE(RENEW), &request->csr, NULL);
    assert_int_equal(f->changes, 0);
    /* It waits for its own. */
    issue(f, request, &grant, STATE(ROTATE));
    assert_int_equal(f->changes, 1);
}

static void refusal_of_the_ca_is_reported_and_asked_again_later(void **state)
{
    struct f *f = *state;

    f->wall = LATE;
    answer_status(f, STATE(FAILED), &accept_request(f)->csr, NULL);
    assert_non_null(strstr(f->said, "the CA refused: because"));
    assert_null(find_question(f, ISSUE));
    assert_non_null(wait_question(f, ISSUE));
}

static void refusal_of_a_manager_is_told_to_the_node(void **state)
{
    struct f *f = *state;

    f->wall = LATE;
    refuse(f, wait_question(f, ISSUE), SWK_EUNAVAILABLE, "silence");
    assert_string_equal(f->refusal, "");
    refuse(f, wait_question(f, STATUS), SWK_ENOTFOUND, "never heard of it");
    assert_string_equal(f->refusal, "");
    refuse(f, find_question(f, ISSUE), SWK_EDENIED, "it was removed");
    assert_string_equal(f->refusal, "it was removed");
    assert_non_null(wait_question(f, STATUS));
}

static void polls_go_on_over_failures_for_two_minutes(void **state)
{
    struct f *f = *state;
    swk_time start;
    unsigned polls = 0;

    f->wall = LATE;
    (void)accept_request(f);
    start = f->now;
    while (f->said_count == 0 && polls < 100) {
        refuse(f, wait_question(f, STATUS),
               polls % 2 == 0 ? SWK_ETIMEDOUT : SWK_EUNAVAILABLE, "silence");
        polls++;
    }
    assert_true(polls > 4);
    assert_true(f->now - start >= 2 * SWK_MINUTE);
    assert_true(f->now - start <= 2 * SWK_MINUTE + 30 * SWK_SECOND);
    assert_non_null(strstr(f->said, "no certificate came in two minutes"));
}

static void
certificate_of_another_is_refused_and_nothing_is_replaced(void **state)
{
    struct f *f = *state;
    const struct grant grants[] = {
        {&f->pki, "w2", SWKI_ROLE_WORKER, NULL, 0},
        {&f->next_pki, NODE, SWKI_ROLE_WORKER, NULL, 0},
    };

    f->wall = LATE;
    for (size_t i = 0; i < sizeof(grants) / sizeof(grants[0]); i++) {
        issue(f, accept_request(f), &grants[i], STATE(ISSUED));
    }
    assert_int_equal(f->changes, 0);
    assert_memory_equal(f->credentials.chain.data, f->worker.chain.data,
                        f->worker.chain.len);
    expect_stored(f);
    /* An unknown root is a reason to look for another one. */
    refuse(f, wait_question(f, ROOT), SWK_EUNAVAILABLE, "nobody");
}

static void ended_certificate_is_renewed_by_proof(void **state)
{
    struct f *f = *state;
    const struct grant grant = worker_grant(f);
    const Swkpb__IssueNodeCertificateRequest *request;
    struct swki_ca_proof proof = {.swarm_id = PKI_SWARM, .node_id = NODE};
    uint8_t digest[SWKI_SHA256_SIZE];
    struct swki_ask *ask;

    f->wall = PKI_NOW + 100 * DAY;
    ask = wait_question(f, ISSUE);
    assert_int_equal(ask->as, SWKI_ASK_AS_NOBODY);
    request = accept_request(f);
    assert_non_null(request->proof);
    proof.csr = (struct swki_pem){request->csr.data, request->csr.len};
    proof.chain = (struct swki_pem){request->proof->certificate.data,
                                    request->proof->certificate.len};
    assert_true(swki_leaf_same(proof.chain, swki_pem_of_buf(&f->worker.chain)));
    assert_int_equal(swki_ca_proof_digest(&proof, digest, NULL), 0);
    assert_int_equal(swki_leaf_check_digest(
                         proof.chain, digest, request->proof->signature.data,
                         request->proof->signature.len, NULL),
                     0);
    assert_int_equal(wait_question(f, STATUS)->as, SWKI_ASK_AS_NOBODY);
    issue(f, request, &grant, STATE(ISSUED));
    assert_int_equal(f->changes, 1);
    expect_stored(f);
}

static void rotation_asks_for_one_renewal(void **state)
{
    struct f *f = *state;
    const struct grant grant = {&f->next_pki, NODE, SWKI_ROLE_WORKER, &f->pki,
                                0};
    swk_time start;

    swki_loop_process(f->loop);
    start = f->now;
    tell(f, STATE(ROTATE), NULL);
    tell(f, STATE(ROTATE), NULL);
    wait_question(f, ISSUE);
    assert_true(f->now - start == 500 * SWK_MILLISECOND);
    issue(f, accept_request(f), &grant, STATE(ISSUED));
    assert_int_equal(f->changes, 1);
    tell(f, STATE(ISSUED), NULL);
    pass(f, SWK_HOUR);
    assert_null(find_question(f, ISSUE));
    expect_stored(f);
    /* The end of the rotation. */
    tell(f, STATE(ISSUED), &f->next_pki.root);
    assert_int_equal(f->changes, 2);
    assert_memory_equal(f->credentials.roots.data, f->next_pki.root.data,
                        f->next_pki.root.len);
    expect_stored(f);
}

static void
roots_that_do_not_fit_are_refused_and_that_is_said_once(void **state)
{
    struct f *f = *state;

    tell(f, STATE(ISSUED), &f->next_pki.root);
    tell(f, STATE(ISSUED), &f->next_pki.root);
    assert_int_equal(f->changes, 0);
    assert_int_equal(f->said_count, 1);
    assert_non_null(strstr(f->said, "keeps its old root certificate"));
    assert_memory_equal(f->credentials.roots.data, f->pki.root.data,
                        f->pki.root.len);
    expect_stored(f);
}

static void another_root_does_not_come_in_with_the_news(void **state)
{
    struct f *f = *state;
    const struct grant grant = {&f->next_pki, NODE, SWKI_ROLE_WORKER, &f->pki,
                                0};
    struct swki_buf both;
    struct pki other;

    pki_init(&other, 9);
    swki_buf_init(&both, NULL, SIZE_MAX);
    assert_true(swki_buf_append(&both, f->pki.root.data, f->pki.root.len));
    assert_true(swki_buf_append(&both, other.root.data, other.root.len));
    tell(f, STATE(ISSUED), &both);
    assert_int_equal(f->changes, 0);
    assert_non_null(strstr(f->said, "root certificate 2 is not the one"));
    /* Nor at the end of a rotation. */
    tell(f, STATE(ROTATE), NULL);
    issue(f, accept_request(f), &grant, STATE(ISSUED));
    swki_buf_clear(&both);
    assert_true(
        swki_buf_append(&both, f->next_pki.root.data, f->next_pki.root.len));
    assert_true(swki_buf_append(&both, other.root.data, other.root.len));
    tell(f, STATE(ISSUED), &both);
    assert_int_equal(f->changes, 1);
    assert_memory_equal(f->credentials.roots.data, f->pki.root.data,
                        f->pki.root.len);
    expect_stored(f);
    swki_buf_fini(&both);
    pki_fini(&other);
}

/* As far as is known: all managers say so that say anything. */
static bool is_shut_out(const struct f *f)
{
    struct swki_remotes_tally tally = swki_remotes_tally(&f->remotes, NODE);

    return tally.shut_out > 0 && tally.open == 0;
}

static void unverified_roots_count_if_they_signed_the_certificate(void **state)
{
    struct f *f = *state;
    const struct grant grant = {&f->next_pki, NODE, SWKI_ROLE_WORKER, &f->pki,
                                0};

    tell(f, STATE(ROTATE), NULL);
    issue(f, accept_request(f), &grant, STATE(ISSUED));
    swki_renewal_refused(f->renewal);
    assert_int_equal(wait_question(f, ROOT)->as, SWKI_ASK_ANYBODY);
    answer_roots(f, &f->next_pki.root, f->wall);
    assert_int_equal(f->changes, 2);
    assert_memory_equal(f->credentials.roots.data, f->next_pki.root.data,
                        f->next_pki.root.len);
    /* And not those of the past, which the cross certificate leads to. */
    f->now += SWK_HOUR;
    swki_renewal_refused(f->renewal);
    pass(f, SWK_HOUR);
    swki_renewal_refused(f->renewal);
    answer_roots(f, &f->pki.root, f->wall);
    assert_int_equal(f->changes, 2);
    assert_true(is_shut_out(f));
}

/* Refused again, a minute later. */
static void ask_roots_again(struct f *f, const struct swki_buf *roots)
{
    pass(f, SWK_MINUTE);
    swki_renewal_refused(f->renewal);
    answer_roots(f, roots, f->wall);
}

/* Likewise, and the manager is dead. */
static void ask_roots_in_vain(struct f *f)
{
    pass(f, SWK_MINUTE);
    swki_renewal_refused(f->renewal);
    refuse(f, wait_question(f, ROOT), SWK_EUNAVAILABLE, "nobody there");
}

static void node_that_missed_a_rotation_says_so_once(void **state)
{
    struct f *f = *state;

    swki_loop_process(f->loop);
    assert_false(is_shut_out(f));
    ask_roots_again(f, &f->next_pki.root);
    assert_true(is_shut_out(f));
    assert_non_null(strstr(f->said, "shut out of its swarm: manager "
                                    "192.0.2.1:4242"));
    assert_non_null(strstr(f->remedy, "swarmctl node rm " NODE));
    assert_non_null(strstr(f->remedy, "swarmctl cluster token worker"));
    assert_non_null(strstr(f->remedy, f->dir.path));
    assert_non_null(strstr(f->remedy, "--join-token")); /* to the end of it */
    ask_roots_again(f, &f->next_pki.root);
    ask_roots_again(f, &f->next_pki.root);
    assert_int_equal(f->said_count, 1);
    assert_int_equal(f->changes, 0);
    expect_stored(f);
    /* A manager that was a liar, or is one of another swarm. */
    ask_roots_again(f, &f->pki.root);
    assert_false(is_shut_out(f));
}

/* One manager is of another swarm, or lies. */
static void node_is_shut_out_once_all_managers_say_so(void **state)
{
    struct f *f = *state;

    swki_loop_process(f->loop);
    add_manager(f, "m2", "192.0.2.2:4242");
    ask_roots_again(f, &f->next_pki.root);
    assert_false(is_shut_out(f));
    assert_non_null(strstr(f->said, "manager 192.0.2.1:4242 has a root "
                                    "certificate to which nothing leads"));
    assert_null(strstr(f->said, "shut out"));
    /* The other is asked, whoever's turn it is. */
    assert_string_equal(swki_remotes_pick(&f->remotes)->node_id, "m2");
    pass(f, SWK_MINUTE);
    swki_renewal_refused(f->renewal);
    assert_string_equal(wait_question(f, ROOT)->to->node_id, "m2");
    answer_roots(f, &f->next_pki.root, f->wall);
    assert_true(is_shut_out(f));
    assert_int_equal(f->said_count, 2);
    assert_non_null(strstr(f->said, "shut out of its swarm: manager "
                                    "192.0.2.2:4242"));
    ask_roots_again(f, &f->next_pki.root);
    assert_int_equal(f->said_count, 2);
    /* One that takes it back is enough. */
    ask_roots_again(f, &f->pki.root);
    assert_false(is_shut_out(f));
}

static void dead_manager_does_not_keep_a_shut_out_node_waiting(void **state)
{
    struct f *f = *state;

    swki_loop_process(f->loop);
    add_manager(f, "m2", "192.0.2.2:4242");
    ask_roots_again(f, &f->next_pki.root);
    assert_null(strstr(f->said, "shut out"));
    ask_roots_in_vain(f);
    assert_true(is_shut_out(f));
    assert_int_equal(f->said_count, 2);
    assert_non_null(strstr(f->said, "shut out of its swarm: manager "
                                    "192.0.2.1:4242"));
    assert_non_null(strstr(f->said, "others do not answer"));
    /* It may come back, and is asked whenever there is a question. */
    ask_roots_in_vain(f);
    ask_roots_again(f, &f->next_pki.root);
    assert_int_equal(f->said_count, 2);
    assert_int_equal(swki_remotes_tally(&f->remotes, NODE).shut_out, 2);
}

static void dead_manager_that_was_asked_first_does_no_harm(void **state)
{
    struct f *f = *state;

    swki_loop_process(f->loop);
    add_manager(f, "m2", "192.0.2.2:4242");
    ask_roots_in_vain(f);
    assert_int_equal(f->said_count, 0);
    ask_roots_again(f, &f->next_pki.root);
    assert_int_equal(f->said_count, 1);
    assert_non_null(strstr(f->said, "shut out of its swarm: manager "
                                    "192.0.2.2:4242"));
    assert_non_null(strstr(f->said, "others do not answer"));
}

static void nobody_is_shut_out_by_silence(void **state)
{
    Swkpb__GetRootCACertificateResponse nothing =
        SWKPB__GET_ROOT_CACERTIFICATE_RESPONSE__INIT;
    struct f *f = *state;

    swki_loop_process(f->loop);
    add_manager(f, "m2", "192.0.2.2:4242");
    ask_roots_in_vain(f);
    pass(f, SWK_MINUTE);
    swki_renewal_refused(f->renewal);
    answer(f, wait_question(f, ROOT), &nothing.base);
    assert_int_equal(swki_remotes_tally(&f->remotes, NODE).silent, 2);
    assert_false(is_shut_out(f));
    assert_int_equal(f->said_count, 0);
    /* All are tried at once, as ever. */
    assert_int_equal(swki_remotes_due(&f->remotes), 0);
}

static void others_are_asked_ten_seconds_later_and_all_in_a_minute(void **state)
{
    static const char *const turns[] = {"m2", "m3", "m1"};
    struct f *f = *state;

    swki_loop_process(f->loop);
    add_manager(f, "m2", "192.0.2.2:4242");
    add_manager(f, "m3", "192.0.2.3:4242");
    add_manager(f, NODE, "192.0.2.9:4242");
    ask_roots_in_vain(f); /* m1 */
    for (int i = 0; i < 2; i++) {
        pass(f, 9 * SWK_SECOND);
        swki_renewal_refused(f->renewal);
        assert_null(find_question(f, ROOT));
        pass(f, SWK_SECOND);
        assert_string_equal(wait_question(f, ROOT)->to->node_id, turns[i]);
        answer_roots(f, &f->next_pki.root, f->wall);
    }
    assert_non_null(strstr(f->said, "shut out of its swarm: manager "
                                    "192.0.2.3:4242"));
    pass(f, 59 * SWK_SECOND);
    swki_renewal_refused(f->renewal);
    assert_null(find_question(f, ROOT));
    pass(f, SWK_SECOND);
    assert_null(find_question(f, ROOT)); /* nobody refuses */
    swki_renewal_refused(f->renewal);
    assert_string_equal(wait_question(f, ROOT)->to->node_id, turns[2]);
    answer_roots(f, &f->next_pki.root, f->wall);
}

static void others_are_not_asked_once_a_manager_lets_the_node_in(void **state)
{
    struct f *f = *state;
    struct swki_ask *ask;

    swki_loop_process(f->loop);
    add_manager(f, "m2", "192.0.2.2:4242");
    add_manager(f, "m3", "192.0.2.3:4242");
    ask_roots_again(f, &f->next_pki.root);
    tell(f, STATE(ISSUED), &f->pki.root);
    pass(f, SWK_HOUR);
    assert_null(find_question(f, ROOT));
    /* Nor if it does so while another one is asked. */
    swki_renewal_refused(f->renewal);
    ask = wait_question(f, ROOT);
    tell(f, STATE(ISSUED), &f->pki.root);
    refuse(f, ask, SWK_EUNAVAILABLE, "nobody there");
    pass(f, SWK_HOUR);
    assert_null(find_question(f, ROOT));
    /* Nor if the one that is asked has the same root. */
    ask_roots_again(f, &f->pki.root);
    pass(f, SWK_HOUR);
    assert_null(find_question(f, ROOT));
}

static void manager_among_the_managers_does_not_ask_itself(void **state)
{
    struct f *f = *state;

    swki_loop_process(f->loop);
    swki_remotes_clear(&f->remotes);
    add_manager(f, NODE, "192.0.2.9:4242");
    pass(f, SWK_MINUTE);
    swki_renewal_refused(f->renewal);
    assert_null(find_question(f, ROOT));
    add_manager(f, "m1", "192.0.2.1:4242");
    f->said_count = 0;
    for (int i = 0; i < 3; i++) {
        pass(f, SWK_MINUTE);
        swki_renewal_refused(f->renewal);
        assert_string_equal(wait_question(f, ROOT)->to->node_id, "m1");
        answer_roots(f, &f->next_pki.root, f->wall);
    }
    assert_true(is_shut_out(f));
    assert_int_equal(f->said_count, 1);
    assert_non_null(strstr(f->said, "shut out of its swarm: manager "
                                    "192.0.2.1:4242"));
    assert_null(strstr(f->said, "others do not answer"));
}

static void node_that_is_shut_out_again_says_so_again(void **state)
{
    struct f *f = *state;

    swki_loop_process(f->loop);
    ask_roots_again(f, &f->next_pki.root);
    ask_roots_again(f, &f->next_pki.root);
    assert_int_equal(f->said_count, 1);
    tell(f, STATE(ISSUED), &f->pki.root);
    ask_roots_again(f, &f->next_pki.root);
    ask_roots_again(f, &f->next_pki.root);
    assert_int_equal(f->said_count, 2);
    assert_non_null(strstr(f->said, "shut out of its swarm"));
    /* A manager that could not be verified does not let it in. */
    ask_roots_again(f, &f->pki.root);
    ask_roots_again(f, &f->next_pki.root);
    assert_int_equal(f->said_count, 2);
}

/* One with the address of an earlier manager says anything. */
static void node_that_hears_of_its_swarm_is_not_shut_out(void **state)
{
    struct f *f = *state;

    swki_loop_process(f->loop);
    ask_roots_again(f, &f->next_pki.root);
    assert_true(is_shut_out(f));
    tell(f, STATE(ISSUED), &f->pki.root);
    assert_false(is_shut_out(f));
}

static void stranger_is_asked_for_roots_once_a_minute_at_most(void **state)
{
    struct f *f = *state;

    swki_loop_process(f->loop);
    swki_renewal_refused(f->renewal);
    answer_roots(f, &f->next_pki.root, f->wall);
    assert_int_equal(f->changes, 0);
    swki_renewal_refused(f->renewal);
    assert_null(find_question(f, ROOT));
    pass(f, SWK_MINUTE);
    swki_renewal_refused(f->renewal);
    answer_roots(f, &f->pki.root, f->wall + 3 * (swk_wall)SWK_HOUR);
    assert_non_null(strstr(f->said, "3h00m behind that of manager "
                                    "192.0.2.1:4242"));
}

static void role_is_asked_for_until_it_is_granted(void **state)
{
    struct f *f = *state;
    struct grant grant = worker_grant(f);

    swki_loop_process(f->loop);
    tell_role(f, SWKPB__NODE_ROLE__MANAGER, SWKPB__NODE_ROLE__WORKER);
    issue(f, accept_request(f), &grant, STATE(ISSUED));
    /* It is in force all the same, for the record has it. */
    assert_int_equal(f->changes, 1);
    assert_int_equal(f->credentials.identity.role, SWKI_ROLE_WORKER);
    expect_stored(f);
    tell_role(f, SWKPB__NODE_ROLE__MANAGER, SWKPB__NODE_ROLE__MANAGER);
    grant.role = SWKI_ROLE_MANAGER;
    issue(f, accept_request(f), &grant, STATE(ISSUED));
    assert_int_equal(f->credentials.identity.role, SWKI_ROLE_MANAGER);
    tell_role(f, SWKPB__NODE_ROLE__MANAGER, SWKPB__NODE_ROLE__MANAGER);
    pass(f, SWK_HOUR);
    assert_null(find_question(f, ISSUE));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_asked_before_its_time),
        TEST(certificate_is_renewed_under_the_same_identity),
        TEST(lost_question_is_asked_again_for_the_same_key),
        TEST(whoever_does_not_know_of_it_is_asked_for_it),
        TEST(each_certificate_is_for_a_new_key),
        TEST(lost_answer_is_asked_for_after_a_restart),
        TEST(lost_answer_is_taken_though_the_old_certificate_has_ended),
        TEST(certificate_waits_for_a_clock_that_is_behind),
        TEST(certificate_is_not_lost_to_a_clock_that_is_ahead),
        TEST(clock_that_is_ahead_is_named_when_renewed),
        TEST(fresh_certificate_that_looks_old_tells_of_the_clock),
        TEST(clock_of_the_ca_is_named_if_managers_have_another),
        TEST(clock_that_jumps_out_of_the_validity_is_named),
        TEST(short_certificate_that_ended_is_asked_for_anew),
        TEST(answer_to_another_request_is_not_taken),
        TEST(refusal_of_the_ca_is_reported_and_asked_again_later),
        TEST(refusal_of_a_manager_is_told_to_the_node),
        TEST(polls_go_on_over_failures_for_two_minutes),
        TEST(certificate_of_another_is_refused_and_nothing_is_replaced),
        TEST(ended_certificate_is_renewed_by_proof),
        TEST(rotation_asks_for_one_renewal),
        TEST(roots_that_do_not_fit_are_refused_and_that_is_said_once),
        TEST(another_root_does_not_come_in_with_the_news),
        TEST(unverified_roots_count_if_they_signed_the_certificate),
        TEST(node_that_missed_a_rotation_says_so_once),
        TEST(node_is_shut_out_once_all_managers_say_so),
        TEST(dead_manager_does_not_keep_a_shut_out_node_waiting),
        TEST(dead_manager_that_was_asked_first_does_no_harm),
        TEST(nobody_is_shut_out_by_silence),
        TEST(others_are_asked_ten_seconds_later_and_all_in_a_minute),
        TEST(others_are_not_asked_once_a_manager_lets_the_node_in),
        TEST(manager_among_the_managers_does_not_ask_itself),
        TEST(node_that_is_shut_out_again_says_so_again),
        TEST(node_that_hears_of_its_swarm_is_not_shut_out),
        TEST(stranger_is_asked_for_roots_once_a_minute_at_most),
        TEST(role_is_asked_for_until_it_is_granted),
    };

    return cmocka_run_group_tests_name("renewal", tests, NULL, NULL);
}
