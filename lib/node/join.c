/* SPDX-License-Identifier: Apache-2.0 */

#include "node/join.h"

#include <stdio.h>
#include <string.h>

#include <swarmkit/join_token.h>

#include "base/error.h"
#include "base/log.h"
#include "ca.pb-c.h"
#include "crypto/digest.h"
#include "node/rpc/client.h"
#include "runtime/loop/loop.h"
#include "wire/message.h"
#include "wire/status.h"

#define CALL_TIMEOUT (5 * SWK_SECOND)
#define STATUS_TIMEOUT (30 * SWK_SECOND)
#define ATTEMPT_PAUSE (2 * SWK_SECOND)

enum {
    ATTEMPTS_MAX = 5,
    STATUS_POLLS_MAX = 4, /* two minutes for the CA to sign */
};

/* A call that is waited for. */
struct exchange {
    const struct swki_join_config *config;
    struct swki_loop *loop;
    struct swki_rpc_client *client;
    struct swki_buf response;
    bool answered;
    bool done;
    struct swk_error failure; /* code 0 if it went well */
};

/* -- One call, waited for ------------------------------------------------- */

static void disconnected(void *ctx, const struct swk_error *reason,
                         swk_time now)
{
    struct exchange *x = ctx;

    (void)now;
    if (!x->done) {
        x->done = true;
        x->failure = *reason;
    }
}

static void message(void *ctx, uint64_t call_id, const uint8_t *data,
                    size_t len, swk_time now)
{
    struct exchange *x = ctx;

    (void)call_id;
    (void)now;
    swki_buf_clear(&x->response);
    x->answered = swki_buf_append(&x->response, data, len);
}

static void ended(void *ctx, uint64_t call_id, int status, const char *text,
                  swk_time now)
{
    struct exchange *x = ctx;

    (void)call_id;
    (void)now;
    x->done = true;
    if (status != SWKI_STATUS_OK) {
        swki_fail(&x->failure, swki_status_to_error(status), "%s", text);
    } else if (!x->answered) {
        swki_fail(&x->failure, SWK_EMALFORMED, "the manager sent no answer");
    }
}

static int begin(struct exchange *x, const char *address,
                 const char *server_name, struct swki_tls_context *context,
                 struct swk_error *err)
{
    const struct swki_rpc_client_config config = {
        .alloc = x->config->alloc,
        .logger = x->config->logger,
        .clock = x->config->clock,
        .transport = x->config->transport,
        .loop = x->loop,
        .address = address,
        .context = context,
        .server_name = server_name,
        .timeout_ns = CALL_TIMEOUT,
        .ctx = x,
        .disconnected = disconnected,
    };

    return swki_rpc_client_new(&config, &x->client, err);
}

static int send_request(struct exchange *x, const char *path,
                        const ProtobufCMessage *request, swk_time timeout_ns,
                        struct swk_error *err)
{
    const struct swki_rpc_client_call_events events = {
        .ctx = x,
        .call_id = 1,
        .message = message,
        .ended = ended,
    };
    struct swki_buf encoded;
    int rc;

    swki_buf_init(&encoded, x->config->alloc, SIZE_MAX);
    rc = swki_message_pack(request, &encoded, err);
    if (rc == 0) {
        rc = swki_rpc_client_call(x->client, path, encoded.data, encoded.len,
                                  timeout_ns, &events, err);
    }
    swki_buf_fini(&encoded);
    return rc;
}

static int wait(struct exchange *x, struct swk_error *err)
{
    int rc = SWK_OK;

    while (rc == 0 && !x->done) {
        rc = swki_loop_wait(x->loop, SWK_NEVER, err);
    }
    if (rc == 0 && x->failure.code != 0) {
        *err = x->failure;
        rc = x->failure.code;
    }
    return rc;
}

/* Calls a manager and decodes the answer into the arena. */
static int call(const struct swki_join_config *config, const char *address,
                const char *server_name, struct swki_tls_context *context,
                const char *path, const ProtobufCMessage *request,
                swk_time timeout_ns, const ProtobufCMessageDescriptor *type,
                struct swki_arena *arena, ProtobufCMessage **out_response,
                struct swk_error *err)
{
    struct exchange x = {.config = config};
    int rc = swki_loop_new(config->alloc, config->clock, &x.loop, err);

    if (rc != 0) {
        return rc;
    }
    swki_buf_init(&x.response, config->alloc, SWKI_PEM_LEN_MAX * 4);
    rc = begin(&x, address, server_name, context, err);
    if (rc == 0) {
        rc = send_request(&x, path, request, timeout_ns, err);
    }
    if (rc == 0) {
        rc = wait(&x, err);
    }
    if (rc == 0) {
        rc = swki_message_unpack(type, x.response.data, x.response.len, arena,
                                 out_response, err);
    }
    swki_rpc_client_free(x.client);
    swki_buf_fini(&x.response);
    swki_loop_free(x.loop);
    return rc;
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

/* Fetches the roots from somebody unknown, and believes the token alone. */
static int fetch_roots(const struct swki_join_config *config,
                       const struct swk_join_token *token, const char *address,
                       struct swki_credentials *credentials,
                       struct swki_arena *arena, struct swk_error *err)
{
    Swkpb__GetRootCACertificateRequest request =
        SWKPB__GET_ROOT_CACERTIFICATE_REQUEST__INIT;
    const Swkpb__GetRootCACertificateResponse *response;
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
    rc = call(config, address, NULL, context,
              "/docker.swarmkit.v1.CA/GetRootCACertificate", &request.base,
              CALL_TIMEOUT,
              &swkpb__get_root_cacertificate_response__descriptor, arena,
              &decoded, err);
    swki_tls_context_unref(context);
    if (rc != 0) {
        return rc;
    }
    response = (const Swkpb__GetRootCACertificateResponse *)decoded;
    rc = check_roots(token, response->certificate.data,
                     response->certificate.len, err);
    return rc != 0 ? rc
                   : swki_credentials_set_roots(
                         credentials, response->certificate.data,
                         response->certificate.len,
                         config->clock->wall(config->clock->ctx), err);
}

static int ask_certificate(const struct swki_join_config *config,
                           const char *address,
                           struct swki_tls_context *context,
                           const struct swki_buf *csr, struct swki_arena *arena,
                           const char **out_node_id, struct swk_error *err)
{
    Swkpb__IssueNodeCertificateRequest request =
        SWKPB__ISSUE_NODE_CERTIFICATE_REQUEST__INIT;
    ProtobufCMessage *decoded;
    int rc;

    request.csr.data = csr->data;
    request.csr.len = csr->len;
    request.token = (char *)config->token;
    rc = call(config, address, SWKI_SERVER_NAME_CA, context,
              "/docker.swarmkit.v1.NodeCA/IssueNodeCertificate", &request.base,
              CALL_TIMEOUT,
              &swkpb__issue_node_certificate_response__descriptor, arena,
              &decoded, err);
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
        certificate->certificate.len, config->clock->wall(config->clock->ctx),
        config->entropy, err);
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

/* Asks how the request stands. The digest shows that it is ours. An answer that
 * does not come means that the CA has yet to sign: asking again finds the same
 * request, where another one would make another node. */
static int ask_status(const struct swki_join_config *config,
                      const char *address, struct swki_tls_context *context,
                      const char *node_id, const struct swki_buf *csr,
                      struct swki_arena *arena, ProtobufCMessage **out_response,
                      struct swk_error *err)
{
    Swkpb__NodeCertificateStatusRequest request =
        SWKPB__NODE_CERTIFICATE_STATUS_REQUEST__INIT;
    uint8_t digest[SWKI_SHA256_SIZE];
    int rc = SWK_ETIMEDOUT;

    if (!swki_sha256(csr->data, csr->len, digest)) {
        return swki_fail_nomem(err);
    }
    request.node_id = (char *)node_id;
    request.csr_digest = (ProtobufCBinaryData){sizeof(digest), digest};
    for (int i = 0; i < STATUS_POLLS_MAX && worth_another_attempt(rc); i++) {
        rc = i > 0 ? pause_for(config, ATTEMPT_PAUSE, err) : SWK_OK;
        if (rc == 0) {
            rc = call(config, address, SWKI_SERVER_NAME_CA, context,
                      "/docker.swarmkit.v1.NodeCA/NodeCertificateStatus",
                      &request.base, STATUS_TIMEOUT,
                      &swkpb__node_certificate_status_response__descriptor,
                      arena, out_response, err);
        }
    }
    return rc;
}

/* The request is made once: who asks again after an answer was lost asks for
 * the same, and is known by it. */
static int fetch_certificate(const struct swki_join_config *config,
                             const char *address,
                             struct swki_credentials *credentials,
                             struct swki_buf *csr, struct swki_arena *arena,
                             struct swk_error *err)
{
    struct swki_tls_context *context = NULL;
    const char *node_id = "";
    ProtobufCMessage *decoded;
    int rc;

    /* Without own certificate: a chain from an earlier life does not count. */
    swki_buf_clear(&credentials->chain);
    rc = swki_credentials_tls(credentials, SWKI_TLS_CLIENT, config->alloc,
                              config->clock, config->entropy, &context, err);
    if (rc == 0 && csr->len == 0) {
        rc = swki_credentials_new_key(credentials, config->entropy, csr, err);
    }
    if (rc == 0) {
        rc = ask_certificate(config, address, context, csr, arena, &node_id,
                             err);
    }
    if (rc == 0) {
        rc = ask_status(config, address, context, node_id, csr, arena,
                        &decoded, err);
    }
    if (rc == 0) {
        rc = take_certificate(
            config, (const Swkpb__NodeCertificateStatusResponse *)decoded, csr,
            credentials, err);
    }
    swki_tls_context_unref(context);
    return rc;
}

/* -- Attempts ------------------------------------------------------------- */

static int attempt(const struct swki_join_config *config,
                   const struct swk_join_token *token, const char *address,
                   struct swki_credentials *credentials, struct swki_buf *csr,
                   struct swk_error *err)
{
    struct swki_arena arena;
    int rc;

    swki_arena_init(&arena, config->alloc, SWKI_PEM_LEN_MAX * 64);
    rc = fetch_roots(config, token, address, credentials, &arena, err);
    if (rc == 0) {
        rc = fetch_certificate(config, address, credentials, csr, &arena, err);
    }
    swki_arena_fini(&arena);
    return rc;
}

int swki_join(const struct swki_join_config *config,
              struct swki_credentials *credentials, struct swk_error *err)
{
    char address[SWKI_REMOTE_ADDRESS_SIZE + 8];
    struct swk_join_token token;
    struct swki_buf csr;
    int rc = swk_join_token_parse(config->token, strlen(config->token), &token,
                                  err);

    if (rc != 0) {
        return rc;
    }
    if ((token.flags & SWK_JOIN_TOKEN_FIPS) != 0) {
        return swki_fail(err, SWK_ENOTSUP,
                         "node is not FIPS-enabled but cluster requires FIPS");
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
        swki_log(config->logger, SWK_LOG_WARN, "node",
                 "cannot join at %s: %s", remote->address, err->text);
        if (i + 1 < ATTEMPTS_MAX &&
            pause_for(config, ATTEMPT_PAUSE, err) != 0) {
            break;
        }
    }
    if (rc != 0) {
        swki_error_prefix(err, "cannot join the swarm at %s", address + 6);
    }
    swki_buf_fini(&csr);
    swki_wipe(&token, sizeof(token));
    return rc;
}
