/* SPDX-License-Identifier: Apache-2.0 */

#include "node/identity/renewal.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "ca.pb-c.h"
#include "core/ca/proof.h"
#include "node/identity/renewal_impl.h"
#include "node/identity/state_dir.h"
#include "objects.pb-c.h"

#define CALL_TIMEOUT (5 * SWK_SECOND)
#define POLL_PAUSE_STEP SWK_SECOND
#define POLL_PAUSE_MAX (30 * SWK_SECOND)

enum {
    ANSWER_MEMORY = SWKI_PEM_LEN_MAX * 16,
    DOUBLINGS_MAX = 5, /* of the pause between polls */
};

swk_wall swki_renewal_wall(const struct swki_renewal *r)
{
    const struct swk_clock *clock = r->config.asker.clock;

    return clock->wall(clock->ctx);
}

static void hang_up(struct swki_renewal *r)
{
    swki_ask_free(r->attempt.ask);
    r->attempt.ask = NULL;
}

/* What is not stored by now is kept on the disk, unless it is of no use. */
static void end_attempt(struct swki_renewal *r)
{
    hang_up(r);
    swki_credentials_fini(&r->attempt.fresh);
    swki_credentials_init(&r->attempt.fresh, r->config.asker.alloc);
    r->attempt.poll_due = SWK_NEVER;
    r->attempt.give_up = SWK_NEVER;
    swki_loop_wake(r->config.asker.loop);
}

/* Whoever cannot be verified, or refuses us, may do so for a reason that can be
 * found out. */
static void fail_attempt(struct swki_renewal *r, struct swk_error *err,
                         swk_time now)
{
    if (err->code == SWK_ECLOCK) {
        swki_clock_skew_explain(&r->attempt.skew, err);
    }
    end_attempt(r);
    swki_log(r->config.asker.logger, SWK_LOG_WARN, "node",
             "certificate not renewed yet: %s", err->text);
    swki_renewer_failed(&r->renewer, now);
    if (err->code == SWK_EUNAUTHENTICATED || err->code == SWK_ECLOCK) {
        swki_renewal_inquire(r, now);
    }
}

/* -- The certificate ------------------------------------------------------ */

static struct swki_renewer_certificate
validity_of(const struct swki_credentials *credentials)
{
    return (struct swki_renewer_certificate){
        .not_before = credentials->identity.not_before,
        .not_after = credentials->identity.not_after,
        .role = credentials->identity.role,
    };
}

static const char *role_word(uint32_t role)
{
    return role == SWKI_ROLE_MANAGER ? "manager" : "worker";
}

/* Nothing is replaced before it was verified. */
static int check_chain(struct swki_renewal *r,
                       const Swkpb__Certificate *certificate,
                       struct swk_error *err)
{
    const struct swki_credentials *own = r->config.credentials;
    const struct swki_identity *old = &own->identity;
    struct swki_credentials *fresh = &r->attempt.fresh;
    swk_wall wall = swki_renewal_wall(r);
    /* They may be others than when it was asked for. */
    int rc = swki_credentials_set_roots(fresh, own->roots.data, own->roots.len,
                                        wall, err);

    /* Then the other one, ended too, is what renewals go by. */
    fresh->accept_expired = wall > old->not_after;
    if (rc == 0) {
        rc = swki_credentials_set_chain(fresh, certificate->certificate.data,
                                        certificate->certificate.len, wall,
                                        r->config.asker.entropy, err);
    }
    if (rc == 0 && (strcmp(fresh->identity.node_id, old->node_id) != 0 ||
                    strcmp(fresh->identity.swarm_id, old->swarm_id) != 0)) {
        rc = swki_fail(err, SWK_EMALFORMED,
                       "the certificate is for another node");
    }
    if (rc == 0 && r->config.kind == SWKI_RENEWAL_WORKER_ONLY &&
        fresh->identity.role != SWKI_ROLE_WORKER) {
        rc = swki_fail(err, SWK_ENOTSUP,
                       "the certificate is a manager's, and this program is "
                       "none");
    }
    if (rc == 0 && fresh->identity.not_after < wall &&
        fresh->identity.not_after <= old->not_after) {
        rc = swki_fail(err, SWK_ECLOCK, "the certificate has ended");
    }
    return rc;
}

static void tell_installed(const struct swki_renewal *r, bool fits)
{
    const struct swki_identity *identity = &r->config.credentials->identity;
    const struct swk_logger *logger = r->config.asker.logger;
    const char *role = role_word(identity->role);

    if (identity->not_after < swki_renewal_wall(r)) {
        swki_log(logger, SWK_LOG_WARN, "node",
                 "has a new certificate, as a %s, which has ended by this "
                 "machine's clock: asks for another one",
                 role);
    } else if (fits) {
        swki_log(logger, SWK_LOG_INFO, "node", "has a new certificate, as a %s",
                 role);
    } else {
        swki_log(logger, SWK_LOG_INFO, "node",
                 "has a new certificate, as a %s still: the role is not "
                 "granted at the moment",
                 role);
    }
}

static void install(struct swki_renewal *r, swk_time now)
{
    struct swki_renewer_certificate validity = validity_of(&r->attempt.fresh);
    struct swk_error err;
    bool fits;

    validity.fresh = !r->attempt.taken_up;
    if (swki_state_dir_renew(r->config.state_dir, r->config.credentials,
                             &r->attempt.fresh, &err) != 0) {
        swki_error_prefix(&err, "the new certificate cannot be stored");
        fail_attempt(r, &err, now);
        return;
    }
    end_attempt(r);
    swki_renewal_let_in(r);
    fits = swki_renewer_certificate(&r->renewer, now, swki_renewal_wall(r),
                                    &validity);
    tell_installed(r, fits);
    if (swki_renewal_expired(r)) {
        swki_renewal_inquire(r, now); /* what a manager's clock says */
    } else {
        swki_renewal_tell_clock(r, &validity);
    }
    r->config.changed(r->config.ctx, now);
}

static bool is_ours(const struct swki_renewal *r,
                    const Swkpb__Certificate *certificate)
{
    return certificate->csr.len == r->attempt.csr.len &&
           memcmp(certificate->csr.data, r->attempt.csr.data,
                  r->attempt.csr.len) == 0;
}

/* -- The request ---------------------------------------------------------- */

static enum swki_ask_as ask_as(const struct swki_renewal *r)
{
    return r->attempt.by_proof ? SWKI_ASK_AS_NOBODY : SWKI_ASK_AS_NODE;
}

static int take_issue(struct swki_renewal *r, const uint8_t *data, size_t len,
                      swk_time now, struct swk_error *err)
{
    const Swkpb__IssueNodeCertificateResponse *response;
    const struct swki_ask *ask = r->attempt.ask;
    ProtobufCMessage *message;
    struct swki_arena arena;
    int rc;

    swki_arena_init(&arena, r->config.asker.alloc, ANSWER_MEMORY);
    rc =
        swki_message_unpack(&swkpb__issue_node_certificate_response__descriptor,
                            data, len, &arena, &message, err);
    if (rc == 0) {
        response = (const Swkpb__IssueNodeCertificateResponse *)message;
        swki_clock_skew_measure(
            &r->attempt.skew, response->time, swki_renewal_wall(r),
            now - swki_ask_started(ask), swki_ask_address(ask));
    }
    swki_arena_fini(&arena);
    return rc;
}

static void told_issue(void *ctx, const struct swk_error *failure,
                       const uint8_t *data, size_t len, swk_time now)
{
    struct swki_renewal *r = ctx;
    struct swk_error err = *failure;
    int rc = failure->code;

    if (rc == 0) {
        rc = take_issue(r, data, len, now, &err);
    }
    if (failure->code == SWK_EDENIED) {
        r->config.refused(r->config.ctx, failure);
    }
    if (rc != 0) {
        fail_attempt(r, &err, now);
        return;
    }
    hang_up(r);
    r->attempt.poll_due = now;
    swki_loop_wake(r->config.asker.loop);
}

/* The old key speaks for the old certificate, and for the new request. */
static int prove(const struct swki_renewal *r, Swkpb__RenewalProof *proof,
                 uint8_t signature[SWKI_SIGNATURE_SIZE_MAX],
                 struct swk_error *err)
{
    const struct swki_credentials *own = r->config.credentials;
    const struct swki_ca_proof what = {
        .swarm_id = own->identity.swarm_id,
        .node_id = own->identity.node_id,
        .csr = swki_pem_of_buf(&r->attempt.csr),
        .chain = swki_pem_of_buf(&own->chain),
    };

    proof->certificate.data = own->chain.data;
    proof->certificate.len = own->chain.len;
    proof->signature.data = signature;
    return swki_ca_proof_sign(&what, swki_pem_of_buf(&own->key),
                              r->config.asker.entropy, signature,
                              &proof->signature.len, err);
}

/* The question for the certificate of the key that is there. */
static int send_request(struct swki_renewal *r, struct swk_error *err)
{
    Swkpb__IssueNodeCertificateRequest request =
        SWKPB__ISSUE_NODE_CERTIFICATE_REQUEST__INIT;
    Swkpb__RenewalProof proof = SWKPB__RENEWAL_PROOF__INIT;
    const struct swki_ask_question question = {
        .path = "/docker.swarmkit.v1.NodeCA/IssueNodeCertificate",
        .request = &request.base,
        .timeout_ns = CALL_TIMEOUT,
        .as = ask_as(r),
    };
    uint8_t signature[SWKI_SIGNATURE_SIZE_MAX];
    int rc = SWK_OK;

    request.csr.data = r->attempt.csr.data;
    request.csr.len = r->attempt.csr.len;
    if (r->attempt.by_proof) {
        rc = prove(r, &proof, signature, err);
        request.proof = &proof;
    }
    if (rc == 0) {
        rc = swki_ask_new(&r->config.asker, &question, told_issue, r,
                          &r->attempt.ask, err);
    }
    return rc;
}

/* -- Polling -------------------------------------------------------------- */

static void poll_later(struct swki_renewal *r, swk_time now)
{
    uint32_t doublings = r->attempt.polls;
    swk_time bound = POLL_PAUSE_MAX;

    hang_up(r);
    r->attempt.polls++;
    if (doublings < DOUBLINGS_MAX) {
        bound = POLL_PAUSE_STEP + (POLL_PAUSE_STEP << doublings);
    }
    r->attempt.poll_due =
        now + swki_rng_below(&r->rng,
                             bound < POLL_PAUSE_MAX ? bound : POLL_PAUSE_MAX);
    swki_loop_wake(r->config.asker.loop);
}

/* It was judged, and will not have a certificate. */
static void give_up_key(struct swki_renewal *r)
{
    swki_state_dir_forget_key(r->config.state_dir);
    r->attempt.taken_up = false;
}

/* 1 if the certificate is there, 0 if it is to be asked for again. */
static int take_status(struct swki_renewal *r,
                       const Swkpb__NodeCertificateStatusResponse *response,
                       struct swk_error *err)
{
    const Swkpb__Certificate *certificate = response->certificate;
    int rc;

    if (response->status == NULL || certificate == NULL ||
        !is_ours(r, certificate)) {
        return 0; /* an older one */
    }
    switch ((int)response->status->state) {
    case SWKPB__ISSUANCE_STATUS__STATE__ISSUED:
    case SWKPB__ISSUANCE_STATUS__STATE__ROTATE:
        rc = check_chain(r, certificate, err);
        if (rc == SWK_EMALFORMED || rc == SWK_ECORRUPT) {
            give_up_key(r); /* it is not for this node, or for this key */
        }
        return rc != 0 ? rc : 1;
    case SWKPB__ISSUANCE_STATUS__STATE__FAILED:
        give_up_key(r);
        return swki_fail(err, SWK_EDENIED, "the CA refused: %s",
                         response->status->err);
    default:
        return 0;
    }
}

static int read_status(struct swki_renewal *r, const uint8_t *data, size_t len,
                       struct swk_error *err)
{
    ProtobufCMessage *message;
    struct swki_arena arena;
    int rc;

    swki_arena_init(&arena, r->config.asker.alloc, ANSWER_MEMORY);
    rc = swki_message_unpack(
        &swkpb__node_certificate_status_response__descriptor, data, len, &arena,
        &message, err);
    if (rc == 0) {
        rc = take_status(
            r, (const Swkpb__NodeCertificateStatusResponse *)message, err);
    }
    swki_arena_fini(&arena);
    return rc;
}

/* Whether the certificate is yet to begin, or the roots are, by this machine's
 * clock: then it is for that to be set. */
static bool is_too_early(const struct swki_renewal *r, int rc)
{
    struct swki_pem chain = swki_pem_of_buf(&r->attempt.fresh.chain);
    struct swki_identity identity;

    if (rc != SWK_ECLOCK) {
        return false;
    }
    return chain.len == 0 ||
           (swki_certificate_identity(chain, &identity, NULL) == 0 &&
            identity.not_before > swki_renewal_wall(r));
}

/* What became of a request that was sent before, if it was: whatever is not
 * the certificate asks for it anew, for the same key, and whoever answered. */
static void told_fate(struct swki_renewal *r, int rc, bool answered,
                      struct swk_error *err, swk_time now)
{
    bool waits = is_too_early(r, rc);

    hang_up(r);
    if (answered) {
        swki_remotes_stay(r->config.asker.remotes);
    }
    if (rc > 0) {
        install(r, now);
    } else if (waits || !r->attempt.taken_up || send_request(r, err) != 0) {
        fail_attempt(r, err, now);
    } else {
        r->attempt.taken_up = false;
    }
}

/* No answer in time is as good as "not yet"; another failure is the
 * connection's, and the next poll goes to another manager. */
static void told_status(void *ctx, const struct swk_error *failure,
                        const uint8_t *data, size_t len, swk_time now)
{
    struct swki_renewal *r = ctx;
    struct swk_error err = *failure;
    bool first = r->attempt.taken_up;
    int rc = 0;

    if (failure->code == 0) {
        rc = read_status(r, data, len, &err);
    } else if (failure->code == SWK_ENOTFOUND || failure->code == SWK_EDENIED) {
        rc = failure->code;
    }
    if (first) {
        told_fate(r, rc, failure->code == 0, &err, now);
    } else if (rc < 0) {
        fail_attempt(r, &err, now);
    } else if (rc > 0) {
        install(r, now);
    } else if (now >= r->attempt.give_up) {
        swki_fail(&err, SWK_ETIMEDOUT, "no certificate came in two minutes%s%s",
                  failure->code != 0 ? ", at last: " : "", failure->text);
        fail_attempt(r, &err, now);
    } else {
        poll_later(r, now);
    }
}

static void poll(struct swki_renewal *r, swk_time now)
{
    Swkpb__NodeCertificateStatusRequest request =
        SWKPB__NODE_CERTIFICATE_STATUS_REQUEST__INIT;
    const struct swki_ask_question question = {
        .path = "/docker.swarmkit.v1.NodeCA/NodeCertificateStatus",
        .request = &request.base,
        .timeout_ns = CALL_TIMEOUT,
        .as = ask_as(r),
    };
    uint8_t digest[SWKI_SHA256_SIZE];
    struct swk_error err;

    r->attempt.poll_due = SWK_NEVER;
    request.node_id = r->attempt.node_id;
    request.csr_digest = (ProtobufCBinaryData){sizeof(digest), digest};
    if (!swki_sha256(r->attempt.csr.data, r->attempt.csr.len, digest)) {
        swki_fail_nomem(&err);
        fail_attempt(r, &err, now);
    } else if (swki_ask_new(&r->config.asker, &question, told_status, r,
                            &r->attempt.ask, &err) != 0) {
        fail_attempt(r, &err, now);
    }
}

/* -- Attempts ------------------------------------------------------------- */

/* A key that was kept, or a new one that is kept before the CA knows of it. */
static int get_key(struct swki_renewal *r, struct swk_error *err)
{
    const struct swki_credentials *own = r->config.credentials;
    const struct swk_entropy *entropy = r->config.asker.entropy;
    struct swki_renewal_attempt *attempt = &r->attempt;
    int rc;

    swki_buf_clear(&attempt->csr);
    rc = swki_state_dir_take_up_key(r->config.state_dir, &attempt->fresh, own,
                                    entropy, &attempt->csr, err);
    attempt->taken_up = rc == 0;
    if (rc != SWK_ENOTFOUND) {
        return rc;
    }
    swki_buf_clear(&attempt->csr);
    rc = swki_credentials_new_key(&attempt->fresh, entropy, &attempt->csr, err);
    return rc != 0
               ? rc
               : swki_state_dir_keep_key(r->config.state_dir, &attempt->fresh,
                                         own, &attempt->csr, err);
}

static void begin_attempt(struct swki_renewal *r, swk_time now)
{
    struct swki_renewal_attempt *attempt = &r->attempt;
    struct swk_error err;
    int rc;

    attempt->by_proof = swki_renewal_expired(r);
    if (attempt->by_proof) {
        swki_log(r->config.asker.logger, SWK_LOG_WARN, "node",
                 "this node's certificate has ended: asks for another one, by "
                 "proof of its key");
    }
    attempt->polls = 0;
    attempt->poll_due = SWK_NEVER;
    attempt->give_up = now + SWKI_RENEWAL_PATIENCE;
    attempt->skew = (struct swki_clock_skew){0};
    snprintf(attempt->node_id, sizeof(attempt->node_id), "%s",
             r->config.credentials->identity.node_id);
    rc = get_key(r, &err);
    if (rc == 0 && attempt->taken_up) {
        poll(r, now);
        return;
    }
    if (rc == 0) {
        rc = send_request(r, &err);
    }
    if (rc != 0) {
        fail_attempt(r, &err, now);
    }
}

/* -- Turns ---------------------------------------------------------------- */

static void warn(struct swki_renewal *r, swk_time now)
{
    swk_wall wall = swki_renewal_wall(r);
    swk_wall left = r->renewer.certificate.not_after - wall;

    if (!swki_renewer_warns(&r->renewer, now, wall)) {
        return;
    }
    if (left < 0) {
        swki_log(r->config.asker.logger, SWK_LOG_ERROR, "node",
                 "this node's certificate ended %lld hours ago, and renewing "
                 "it fails",
                 (long long)(-left / (swk_wall)SWK_HOUR));
    } else {
        swki_log(r->config.asker.logger, SWK_LOG_WARN, "node",
                 "this node's certificate ends in %lld hours, and renewing it "
                 "fails",
                 (long long)(left / (swk_wall)SWK_HOUR));
    }
}

static void read_certificate(struct swki_renewal *r, swk_time now)
{
    struct swki_renewer_certificate validity =
        validity_of(r->config.credentials);

    if (validity.not_after <= validity.not_before) {
        swki_log(r->config.asker.logger, SWK_LOG_ERROR, "node",
                 "this node's certificate cannot be read");
        swki_renewer_unreadable(&r->renewer, now);
        return;
    }
    (void)swki_renewer_certificate(&r->renewer, now, swki_renewal_wall(r),
                                   &validity);
    if (swki_state_dir_has_kept_key(r->config.state_dir)) {
        swki_renewer_request(&r->renewer, now); /* its certificate may wait */
    }
}

static void step(struct swki_renewal *r, swk_time now)
{
    enum swki_renewer_task task =
        swki_renewer_step(&r->renewer, now, swki_renewal_wall(r));

    swki_renewal_tell_jump(r);
    switch (task) {
    case SWKI_RENEWER_NOTHING:
        break;
    case SWKI_RENEWER_DO_READ:
        read_certificate(r, now);
        break;
    case SWKI_RENEWER_DO_RENEW:
        begin_attempt(r, now);
        break;
    }
}

static swk_time turn(void *ctx, swk_time now)
{
    struct swki_renewal *r = ctx;
    swk_time deadline;
    swk_time next_at;

    step(r, now);
    warn(r, now);
    if (r->attempt.poll_due <= now) {
        poll(r, now);
    }
    next_at = swki_renewal_inquire_on(r, now);
    deadline = swki_renewer_deadline(&r->renewer, now, swki_renewal_wall(r));
    deadline = deadline < next_at ? deadline : next_at;
    return deadline < r->attempt.poll_due ? deadline : r->attempt.poll_due;
}

/* -- Triggers ------------------------------------------------------------- */

static swk_time now_of(const struct swki_renewal *r)
{
    return swki_loop_now(r->config.asker.loop);
}

void swki_renewal_request(struct swki_renewal *r)
{
    swki_renewer_request(&r->renewer, now_of(r));
    swki_loop_wake(r->config.asker.loop);
}

void swki_renewal_expect(struct swki_renewal *r, unsigned role)
{
    swki_renewer_expect(&r->renewer, now_of(r), role);
    swki_loop_wake(r->config.asker.loop);
}

void swki_renewal_refused(struct swki_renewal *r)
{
    swki_renewal_inquire(r, now_of(r));
}

bool swki_renewal_expired(const struct swki_renewal *r)
{
    return swki_renewal_wall(r) > r->config.credentials->identity.not_after;
}

static uint32_t role_of(Swkpb__NodeRole role)
{
    return role == SWKPB__NODE_ROLE__MANAGER ? SWKI_ROLE_MANAGER
                                             : SWKI_ROLE_WORKER;
}

/* The desired role is what to wait for; that it is granted is the moment to
 * ask. */
static void see_role(struct swki_renewal *r, const Swkpb__Node *node)
{
    uint32_t granted = role_of(node->role);
    uint32_t desired = role_of(node->spec->desired_role);

    if (r->config.kind == SWKI_RENEWAL_WORKER_ONLY) {
        if (desired != SWKI_ROLE_WORKER && !r->told_kind) {
            swki_log(r->config.asker.logger, SWK_LOG_WARN, "node",
                     "is to become a manager, which this program cannot be: "
                     "run swarmd here");
        }
        r->told_kind = desired != SWKI_ROLE_WORKER;
        return;
    }
    swki_renewal_expect(r, desired);
    if (granted == desired && granted != r->seen_role &&
        granted != r->config.credentials->identity.role) {
        swki_renewal_request(r);
    }
    r->seen_role = granted;
}

static void see_rotation(struct swki_renewal *r, const Swkpb__Node *node)
{
    bool rotate = node->certificate != NULL &&
                  node->certificate->status != NULL &&
                  node->certificate->status->state ==
                      SWKPB__ISSUANCE_STATUS__STATE__ROTATE;

    if (rotate && !r->seen_rotate) {
        swki_renewal_request(r);
    }
    r->seen_rotate = rotate;
}

void swki_renewal_news(struct swki_renewal *r,
                       const Swkpb__SessionMessage *news)
{
    swki_renewal_let_in(r);
    if (news->node != NULL && news->node->spec != NULL) {
        see_role(r, news->node);
    }
    if (news->node != NULL) {
        see_rotation(r, news->node);
    }
    swki_renewal_take_roots(
        r, (struct swki_pem){news->rootca.data, news->rootca.len}, now_of(r));
}

/* -- Life ----------------------------------------------------------------- */

int swki_renewal_new(const struct swki_renewal_config *config,
                     struct swki_renewal **out_renewal, struct swk_error *err)
{
    struct swki_renewal *r = swki_calloc(config->asker.alloc, 1, sizeof(*r));

    if (r == NULL) {
        return swki_fail_nomem(err);
    }
    r->config = *config;
    swki_renewer_init(&r->renewer, config->seed);
    swki_rng_init(&r->rng, config->seed + 1);
    r->attempt.poll_due = SWK_NEVER;
    r->attempt.give_up = SWK_NEVER;
    r->inquiry.next_at = SWK_NEVER;
    swki_credentials_init(&r->attempt.fresh, config->asker.alloc);
    swki_buf_init(&r->attempt.csr, config->asker.alloc, SWKI_CSR_LEN_MAX);
    r->member.ctx = r;
    r->member.turn = turn;
    swki_loop_add(config->asker.loop, &r->member);
    *out_renewal = r;
    return SWK_OK;
}

void swki_renewal_free(struct swki_renewal *r)
{
    if (r != NULL) {
        hang_up(r);
        swki_ask_free(r->inquiry.ask);
        swki_loop_remove(r->config.asker.loop, &r->member);
        swki_credentials_fini(&r->attempt.fresh);
        swki_buf_fini(&r->attempt.csr);
        swki_free(r->config.asker.alloc, r);
    }
}
