/* SPDX-License-Identifier: Apache-2.0 */

#include "node/identity/join.h"

#include <stdio.h>
#include <string.h>

#include <swarmkit/join_token.h>

#include "base/error.h"
#include "base/log.h"
#include "ca.pb-c.h"
#include "crypto/digest.h"
#include "node/identity/clock_skew.h"
#include "node/identity/exchange.h"
#include "node/identity/fips.h"
#include "node/identity/state_dir.h"
#include "runtime/loop/loop.h"

#define CALL_TIMEOUT (5 * SWK_SECOND)
#define STATUS_TIMEOUT (30 * SWK_SECOND)
#define ATTEMPT_PAUSE (2 * SWK_SECOND)
#define POLL_PAUSE_MAX (10 * SWK_SECOND)
#define TELL_PERIOD (30 * SWK_SECOND)
#define TELL_CHANGE_PERIOD (5 * SWK_SECOND) /* if the reason is another */
/* With a CA that does not say why it has yet to sign; one that does is waited
 * for as long as it takes. */
#define PATIENCE (10 * SWK_MINUTE)

enum {
    ATTEMPTS_MAX = 5,
    COMPARISONS_MAX = 3, /* of clocks */
    SCHEME_LEN = sizeof("tcp://") - 1,
};

static swk_wall wall_of(const struct swki_join_config *config)
{
    return config->clock->wall(config->clock->ctx);
}

static struct swki_exchange exchange_of(const struct swki_join_config *config,
                                        const char *address,
                                        struct swki_tls_context *context)
{
    return (struct swki_exchange){
        .alloc = config->alloc,
        .logger = config->logger,
        .clock = config->clock,
        .transport = config->transport,
        .address = address,
        .context = context,
        .timeout_ns = CALL_TIMEOUT,
        .connect_ns = CALL_TIMEOUT,
    };
}

/* -- The three steps ------------------------------------------------------ */

static int check_roots(const struct swk_join_token *token, const void *pem,
                       size_t len, struct swk_error *err)
{
    uint8_t digest[SWKI_SHA256_SIZE];

    if (!swki_sha256(pem, len, digest)) {
        return swki_fail_nomem(err);
    }
    if (!swki_ct_equal(digest, token->root_digest, sizeof(digest))) {
        return swki_fail(err, SWK_EUNAUTHENTICATED,
                         "remote CA does not match fingerprint: the manager's "
                         "root certificate is not the one of the join token");
    }
    return SWK_OK;
}

/* Asks somebody unknown for the roots; what it says of the time comes with
 * them. */
static int ask_roots(const struct swki_join_config *config, const char *address,
                     struct swki_arena *arena, struct swki_clock_skew *out_skew,
                     const Swkpb__GetRootCACertificateResponse **out_response,
                     struct swk_error *err)
{
    Swkpb__GetRootCACertificateRequest request =
        SWKPB__GET_ROOT_CACERTIFICATE_REQUEST__INIT;
    swk_time start = config->clock->now(config->clock->ctx);
    struct swki_exchange exchange;
    struct swki_credentials nobody;
    struct swki_tls_context *context;
    ProtobufCMessage *decoded;
    int rc;

    swki_credentials_init(&nobody, config->alloc);
    rc = swki_credentials_tls(&nobody, SWKI_TLS_CLIENT, config->alloc,
                              config->clock, config->entropy, &context, err);
    swki_credentials_fini(&nobody);
    if (rc != 0) {
        return rc;
    }
    exchange = exchange_of(config, address, context);
    exchange.path = "/docker.swarmkit.v1.CA/GetRootCACertificate";
    exchange.request = &request.base;
    exchange.response = &swkpb__get_root_cacertificate_response__descriptor;
    rc = swki_exchange(&exchange, arena, &decoded, err);
    swki_tls_context_unref(context);
    if (rc == 0) {
        *out_response = (const Swkpb__GetRootCACertificateResponse *)decoded;
        swki_clock_skew_measure(out_skew, (*out_response)->time,
                                wall_of(config),
                                config->clock->now(config->clock->ctx) - start,
                                address + SCHEME_LEN);
    }
    return rc;
}

/* Fetches the roots, and believes the token alone. */
static int fetch_roots(const struct swki_join_config *config,
                       const struct swk_join_token *token, const char *address,
                       struct swki_credentials *credentials,
                       struct swki_arena *arena, struct swki_clock_skew *skew,
                       struct swk_error *err)
{
    const Swkpb__GetRootCACertificateResponse *response;
    int rc = ask_roots(config, address, arena, skew, &response, err);

    if (rc == 0) {
        rc = check_roots(token, response->certificate.data,
                         response->certificate.len, err);
    }
    return rc != 0 ? rc
                   : swki_credentials_set_roots(
                         credentials, response->certificate.data,
                         response->certificate.len, wall_of(config), err);
}

static int ask_certificate(const struct swki_join_config *config,
                           const char *address,
                           struct swki_tls_context *context,
                           const struct swki_buf *csr, struct swki_arena *arena,
                           const char **out_node_id, struct swk_error *err)
{
    Swkpb__IssueNodeCertificateRequest request =
        SWKPB__ISSUE_NODE_CERTIFICATE_REQUEST__INIT;
    struct swki_exchange exchange = exchange_of(config, address, context);
    ProtobufCMessage *decoded;
    int rc;

    request.csr.data = csr->data;
    request.csr.len = csr->len;
    request.token = (char *)config->token;
    exchange.server_name = SWKI_SERVER_NAME_CA;
    exchange.path = "/docker.swarmkit.v1.NodeCA/IssueNodeCertificate";
    exchange.request = &request.base;
    exchange.response = &swkpb__issue_node_certificate_response__descriptor;
    rc = swki_exchange(&exchange, arena, &decoded, err);
    if (rc == 0) {
        *out_node_id =
            ((const Swkpb__IssueNodeCertificateResponse *)decoded)->node_id;
    } else if (rc == SWK_EINVAL) {
        /* What the manager says of a token that it does not know. */
        swki_error_prefix(err, "the manager does not know the join token, ask "
                               "it for one by 'swarmctl cluster token worker'");
        err->code = rc = SWK_EDENIED;
    }
    return rc;
}

static int take_certificate(const struct swki_join_config *config,
                            const Swkpb__NodeCertificateStatusResponse *status,
                            const struct swki_buf *csr,
                            struct swki_credentials *credentials,
                            struct swk_error *err)
{
    const Swkpb__Certificate *certificate = status->certificate;

    if (status->status == NULL || certificate == NULL ||
        (status->status->state != SWKPB__ISSUANCE_STATUS__STATE__ISSUED &&
         status->status->state != SWKPB__ISSUANCE_STATUS__STATE__ROTATE)) {
        swki_state_dir_forget_key(config->state_dir);
        return swki_fail(err, SWK_EDENIED,
                         "the swarm's CA issued no certificate: %s",
                         status->status != NULL ? status->status->err : "");
    }
    if (certificate->csr.len != csr->len ||
        memcmp(certificate->csr.data, csr->data, csr->len) != 0) {
        return swki_fail(err, SWK_EUNAUTHENTICATED,
                         "the certificate is for another request");
    }
    return swki_credentials_set_chain(
        credentials, certificate->certificate.data,
        certificate->certificate.len, wall_of(config), config->entropy, err);
}

static bool worth_another_attempt(int rc)
{
    return rc == SWK_EUNAVAILABLE || rc == SWK_EABORTED || rc == SWK_EIO ||
           rc == SWK_ETIMEDOUT;
}

static int pause_for(const struct swki_join_config *config, swk_time pause_ns,
                     struct swk_error *err)
{
    const swk_time until = config->clock->now(config->clock->ctx) + pause_ns;
    struct swki_loop *loop;
    int rc = swki_loop_new(config->alloc, config->clock, &loop, err);

    while (rc == 0 && config->clock->now(config->clock->ctx) < until) {
        rc = swki_loop_wait(loop, until, err);
    }
    if (rc == 0) {
        swki_loop_free(loop);
    }
    return rc;
}

/* Waiting for the certificate, from the first question on. */
struct wait {
    swk_time start;
    swk_time heard_at; /* when the CA said why it must wait; start: never */
    swk_time told_at;  /* 0: nothing was told yet */
    char told[SWK_ERROR_TEXT_SIZE];
    unsigned asked;
};

/* Whether the CA has come to an end with the request. */
static bool is_settled(const Swkpb__NodeCertificateStatusResponse *status)
{
    return status->status == NULL ||
           (status->status->state != SWKPB__ISSUANCE_STATUS__STATE__PENDING &&
            status->status->state != SWKPB__ISSUANCE_STATUS__STATE__RENEW);
}

/* At once, and then now and again; sooner if the reason is another. */
static void tell_wait(const struct swki_join_config *config, struct wait *wait,
                      const char *node_id, const char *why)
{
    swk_time now = config->clock->now(config->clock->ctx);
    swk_time period =
        strcmp(wait->told, why) != 0 ? TELL_CHANGE_PERIOD : TELL_PERIOD;

    if (wait->told_at != 0 && now - wait->told_at < period) {
        return;
    }
    wait->told_at = now;
    snprintf(wait->told, sizeof(wait->told), "%s", why);
    swki_log(config->logger, SWK_LOG_WARN, "node",
             "waits for its certificate, as node %s, for %llu seconds now: %s",
             node_id, (unsigned long long)((now - wait->start) / SWK_SECOND),
             why[0] != '\0' ? why : "the swarm's CA has yet to sign it");
}

/* One question. 1 if it is settled, 0 if it is to be asked again. */
static int ask_once(const struct swki_join_config *config,
                    struct swki_exchange *exchange, struct wait *wait,
                    const char *node_id, struct swki_arena *arena,
                    const Swkpb__NodeCertificateStatusResponse **out_status,
                    struct swk_error *err)
{
    ProtobufCMessage *decoded;
    int rc;

    swki_arena_reset(arena);
    exchange->timeout_ns = wait->asked++ == 0 ? CALL_TIMEOUT : STATUS_TIMEOUT;
    rc = swki_exchange(exchange, arena, &decoded, err);
    if (rc == 0) {
        *out_status = (const Swkpb__NodeCertificateStatusResponse *)decoded;
        if (is_settled(*out_status)) {
            return 1;
        }
        if ((*out_status)->status->err[0] != '\0') {
            wait->heard_at = config->clock->now(config->clock->ctx);
        }
        tell_wait(config, wait, node_id, (*out_status)->status->err);
        rc = swki_fail(err, SWK_ETIMEDOUT,
                       "the swarm's CA has issued no certificate yet: %s",
                       (*out_status)->status->err);
    } else if (worth_another_attempt(rc)) {
        tell_wait(config, wait, node_id, rc == SWK_ETIMEDOUT ? "" : err->text);
    }
    return worth_another_attempt(rc) ? 0 : rc;
}

/* Who waits long asks seldom. */
static swk_time next_pause(const struct wait *wait)
{
    swk_time pause = ATTEMPT_PAUSE * wait->asked;

    return pause < POLL_PAUSE_MAX ? pause : POLL_PAUSE_MAX;
}

/* Asks how the request stands. The digest shows that it is ours. An answer that
 * does not come means that the CA has yet to sign: asking again finds the same
 * request, where another one would make another node. */
static int ask_status(const struct swki_join_config *config,
                      const char *address, struct swki_tls_context *context,
                      const char *node_id, const struct swki_buf *csr,
                      struct swki_arena *arena,
                      const Swkpb__NodeCertificateStatusResponse **out_status,
                      struct swk_error *err)
{
    Swkpb__NodeCertificateStatusRequest request =
        SWKPB__NODE_CERTIFICATE_STATUS_REQUEST__INIT;
    struct swki_exchange exchange = exchange_of(config, address, context);
    swk_time start = config->clock->now(config->clock->ctx);
    struct wait wait = {.start = start, .heard_at = start};
    uint8_t digest[SWKI_SHA256_SIZE];
    int rc = 0;

    if (!swki_sha256(csr->data, csr->len, digest)) {
        return swki_fail_nomem(err);
    }
    request.node_id = (char *)(uintptr_t)node_id;
    request.csr_digest = (ProtobufCBinaryData){sizeof(digest), digest};
    exchange.server_name = SWKI_SERVER_NAME_CA;
    exchange.path = "/docker.swarmkit.v1.NodeCA/NodeCertificateStatus";
    exchange.request = &request.base;
    exchange.response = &swkpb__node_certificate_status_response__descriptor;
    while (rc == 0) {
        rc =
            ask_once(config, &exchange, &wait, node_id, arena, out_status, err);
        if (rc == 0 &&
            config->clock->now(config->clock->ctx) - wait.heard_at > PATIENCE) {
            err->code = SWK_EBUSY; /* another attempt would not help it */
            return SWK_EBUSY;
        }
        if (rc == 0) {
            rc = pause_for(config, next_pause(&wait), err);
        }
    }
    return rc > 0 ? SWK_OK : rc;
}

/* The request is made once: who asks again after an answer was lost asks for
 * the same, after another start, too. By a limited token it is known by that;
 * by another one it becomes another node. */
static int make_request(const struct swki_join_config *config,
                        struct swki_credentials *credentials,
                        struct swki_buf *csr, struct swk_error *err)
{
    int rc = swki_state_dir_take_up_key(config->state_dir, credentials, NULL,
                                        config->entropy, csr, err);

    if (rc != SWK_ENOTFOUND) {
        return rc;
    }
    rc = swki_credentials_new_key(credentials, config->entropy, csr, err);
    if (rc == 0) {
        rc = swki_state_dir_keep_key(config->state_dir, credentials, NULL, csr,
                                     err);
    }
    if (rc != 0) {
        swki_buf_clear(csr); /* a key that is not kept is not asked with */
    }
    return rc;
}

static int fetch_certificate(const struct swki_join_config *config,
                             const char *address,
                             struct swki_credentials *credentials,
                             struct swki_buf *csr, struct swki_arena *arena,
                             struct swk_error *err)
{
    const Swkpb__NodeCertificateStatusResponse *status = NULL;
    struct swki_tls_context *context = NULL;
    const char *node_id = "";
    struct swki_arena polls;
    int rc;

    /* Without own certificate: a chain from an earlier life does not count. */
    swki_buf_clear(&credentials->chain);
    swki_arena_init(&polls, config->alloc, SWKI_PEM_LEN_MAX * 64);
    rc = swki_credentials_tls(credentials, SWKI_TLS_CLIENT, config->alloc,
                              config->clock, config->entropy, &context, err);
    if (rc == 0 && csr->len == 0) {
        rc = make_request(config, credentials, csr, err);
    }
    if (rc == 0) {
        rc = ask_certificate(config, address, context, csr, arena, &node_id,
                             err);
    }
    if (rc == 0) {
        rc = ask_status(config, address, context, node_id, csr, &polls, &status,
                        err);
    }
    if (rc == 0) {
        rc = take_certificate(config, status, csr, credentials, err);
    }
    swki_arena_fini(&polls);
    swki_tls_context_unref(context);
    return rc;
}

/* -- Attempts ------------------------------------------------------------- */

/* Dates that do not fit are the clock's fault, if that is known to be wrong. */
static int explain(const struct swki_clock_skew *skew, struct swk_error *err)
{
    char text[SWKI_CLOCK_SKEW_TEXT_SIZE];

    if (swki_clock_skew_matters(skew)) {
        swki_clock_skew_text(skew, text);
        swki_fail(err, SWK_ECLOCK, "%s, then start again", text);
    }
    return err->code;
}

/* The dates fit nevertheless; those of later certificates may not. */
static void warn_of_clock(const struct swki_join_config *config,
                          const struct swki_clock_skew *skew)
{
    char text[SWKI_CLOCK_SKEW_TEXT_SIZE];

    if (swki_clock_skew_matters(skew)) {
        swki_clock_skew_text(skew, text);
        swki_log(config->logger, SWK_LOG_WARN, "node", "%s", text);
    }
}

static int attempt(const struct swki_join_config *config,
                   const struct swk_join_token *token, const char *address,
                   struct swki_credentials *credentials, struct swki_buf *csr,
                   struct swk_error *err)
{
    struct swki_clock_skew skew = {0};
    struct swki_arena arena;
    bool dates;
    int rc;

    swki_arena_init(&arena, config->alloc, SWKI_PEM_LEN_MAX * 64);
    rc = fetch_roots(config, token, address, credentials, &arena, &skew, err);
    dates = rc == SWK_ECLOCK;
    if (rc == 0) {
        rc = fetch_certificate(config, address, credentials, csr, &arena, err);
        /* TLS knows no more than that it does not take a certificate. */
        dates = rc == SWK_ECLOCK || rc == SWK_EUNAUTHENTICATED;
    }
    swki_arena_fini(&arena);
    if (rc == 0) {
        warn_of_clock(config, &skew);
    }
    return dates ? explain(&skew, err) : rc;
}

bool swki_join_compare_clocks(const struct swki_join_config *config,
                              struct swk_error *err)
{
    char address[SWKI_REMOTE_ADDRESS_SIZE + SCHEME_LEN];
    const Swkpb__GetRootCACertificateResponse *response;

    for (int i = 0; i < COMPARISONS_MAX; i++) {
        const struct swki_remote *remote = swki_remotes_pick(config->remotes);
        struct swki_clock_skew skew = {0};
        struct swki_arena arena;
        struct swk_error unused;

        if (remote == NULL) {
            return false;
        }
        snprintf(address, sizeof(address), "tcp://%s", remote->address);
        swki_arena_init(&arena, config->alloc, SWKI_PEM_LEN_MAX * 64);
        (void)ask_roots(config, address, &arena, &skew, &response, &unused);
        swki_arena_fini(&arena);
        if (skew.measured) {
            (void)explain(&skew, err);
            return swki_clock_skew_matters(&skew);
        }
    }
    return false;
}

int swki_join(const struct swki_join_config *config,
              struct swki_credentials *credentials, struct swk_error *err)
{
    char address[SWKI_REMOTE_ADDRESS_SIZE + SCHEME_LEN];
    struct swk_join_token token;
    struct swki_buf csr;
    int rc =
        swk_join_token_parse(config->token, strlen(config->token), &token, err);

    if (rc != 0) {
        return rc;
    }
    if ((token.flags & SWK_JOIN_TOKEN_FIPS) != 0 && !config->fips) {
        swki_wipe(&token, sizeof(token));
        return swki_fips_refuse(err);
    }
    if (swki_remotes_pick(config->remotes) == NULL) {
        return swki_fail(err, SWK_EINVAL, "no manager to join is named");
    }
    swki_buf_init(&csr, config->alloc, SWKI_CSR_LEN_MAX);
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        const struct swki_remote *remote = swki_remotes_pick(config->remotes);

        snprintf(address, sizeof(address), "tcp://%s", remote->address);
        rc = attempt(config, &token, address, credentials, &csr, err);
        if (!worth_another_attempt(rc)) {
            break;
        }
        swki_log(config->logger, SWK_LOG_WARN, "node", "cannot join at %s: %s",
                 remote->address, err->text);
        if (i + 1 < ATTEMPTS_MAX &&
            pause_for(config, ATTEMPT_PAUSE, err) != 0) {
            break;
        }
    }
    if (rc == 0) {
        rc = swki_fips_check(credentials->identity.swarm_id, config->fips, err);
    }
    if (rc != 0) {
        swki_error_prefix(err, "cannot join the swarm at %s",
                          address + SCHEME_LEN);
    }
    swki_buf_fini(&csr);
    swki_wipe(&token, sizeof(token));
    return rc;
}

/* A token of another swarm is a mistake; one of this swarm is most often on the
 * command line of a service. */
void swki_join_not_needed(const struct swki_join_config *config,
                          const struct swki_credentials *credentials)
{
    const struct swki_identity *identity = &credentials->identity;
    struct swk_join_token token;
    struct swk_error unused;
    bool fits;

    if (config->token == NULL) {
        return;
    }
    fits = swk_join_token_parse(config->token, strlen(config->token), &token,
                                &unused) == 0 &&
           check_roots(&token, credentials->roots.data, credentials->roots.len,
                       &unused) == 0;
    swki_wipe(&token, sizeof(token));
    swki_log(config->logger, fits ? SWK_LOG_INFO : SWK_LOG_WARN, "node",
             "the join token is not used: this is node %s of swarm %s "
             "already%s%.80s",
             identity->node_id, identity->swarm_id,
             fits ? ""
                  : ", and the token is not one for its present root; to join "
                    "another swarm, empty the state directory ",
             fits ? "" : config->state_dir);
}
