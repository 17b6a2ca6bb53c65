/* SPDX-License-Identifier: Apache-2.0 */

#include "node/renewal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "ca.pb-c.h"

#define ISSUE_TIMEOUT (5 * SWK_SECOND)
#define STATUS_TIMEOUT (30 * SWK_SECOND)

enum {
    ANSWER_MEMORY = SWKI_PEM_LEN_MAX * 16,
};

struct swki_renewal {
    struct swki_renewal_config config;
    struct swki_loop_member member;
    struct swki_ask *ask;           /* under way, or NULL */
    struct swki_credentials fresh;  /* being made: key, and then chain */
    struct swki_buf csr;
    unsigned role;                  /* that is asked for; SWKI_ROLE_NONE: idle */
    swk_time pause;                 /* after the next failure */
    swk_time due;                   /* to ask again; SWK_NEVER */
};

static void hang_up(struct swki_renewal *r)
{
    swki_ask_free(r->ask);
    r->ask = NULL;
}

static void try_later(struct swki_renewal *r, const char *why, swk_time now)
{
    hang_up(r);
    swki_log(r->config.asker.logger, SWK_LOG_WARN, "node",
             "certificate not renewed yet: %s", why);
    r->due = now + r->pause;
    r->pause = r->pause * 2 < SWKI_RENEWAL_PAUSE_MAX ? r->pause * 2
                                                     : SWKI_RENEWAL_PAUSE_MAX;
    swki_loop_wake(r->config.asker.loop);
}

/* -- The certificate ------------------------------------------------------ */

static int take_chain(struct swki_renewal *r,
                      const Swkpb__NodeCertificateStatusResponse *response,
                      struct swk_error *err)
{
    const struct swki_asker *asker = &r->config.asker;
    const Swkpb__Certificate *certificate = response->certificate;
    const struct swki_identity *old = &asker->credentials->identity;
    int rc;

    if (response->status == NULL || certificate == NULL ||
        response->status->state != SWKPB__ISSUANCE_STATUS__STATE__ISSUED) {
        return swki_fail(err, SWK_EDENIED, "the CA issued none: %s",
                         response->status != NULL ? response->status->err : "");
    }
    if (certificate->csr.len != r->csr.len ||
        memcmp(certificate->csr.data, r->csr.data, r->csr.len) != 0) {
        return swki_fail(err, SWK_EABORTED, "another request overtook ours");
    }
    rc = swki_credentials_set_chain(
        &r->fresh, certificate->certificate.data, certificate->certificate.len,
        asker->clock->wall(asker->clock->ctx), asker->entropy, err);
    if (rc == 0 && (strcmp(r->fresh.identity.node_id, old->node_id) != 0 ||
                    strcmp(r->fresh.identity.swarm_id, old->swarm_id) != 0)) {
        rc = swki_fail(err, SWK_EUNAUTHENTICATED,
                       "the certificate is for another node");
    }
    return rc;
}

static void told_status(void *ctx, const struct swk_error *failure,
                        const uint8_t *data, size_t len, swk_time now)
{
    struct swki_renewal *r = ctx;
    struct swk_error err = *failure;
    ProtobufCMessage *message;
    struct swki_arena arena;
    int rc = failure->code;

    swki_arena_init(&arena, r->config.asker.alloc, ANSWER_MEMORY);
    if (rc == 0) {
        rc = swki_message_unpack(
            &swkpb__node_certificate_status_response__descriptor, data, len,
            &arena, &message, &err);
    }
    if (rc == 0) {
        rc = take_chain(
            r, (const Swkpb__NodeCertificateStatusResponse *)message, &err);
    }
    swki_arena_fini(&arena);
    if (rc == 0 && r->fresh.identity.role != r->role) {
        rc = swki_fail(&err, SWK_EUNAVAILABLE,
                       "the role is not granted at the moment");
    }
    if (rc != 0) {
        try_later(r, err.text, now);
        return;
    }
    hang_up(r);
    r->role = SWKI_ROLE_NONE;
    r->due = SWK_NEVER;
    r->config.renewed(r->config.ctx, &r->fresh, now);
}

/* -- The request ---------------------------------------------------------- */

static void told_issue(void *ctx, const struct swk_error *failure,
                       const uint8_t *data, size_t len, swk_time now)
{
    Swkpb__NodeCertificateStatusRequest request =
        SWKPB__NODE_CERTIFICATE_STATUS_REQUEST__INIT;
    struct swki_renewal *r = ctx;
    const struct swki_asker *asker = &r->config.asker;
    struct swk_error err = *failure;

    (void)data;
    (void)len;
    hang_up(r);
    request.node_id = (char *)asker->credentials->identity.node_id;
    if (err.code != 0 ||
        swki_ask_new(asker, "/docker.swarmkit.v1.NodeCA/NodeCertificateStatus",
                     &request.base, STATUS_TIMEOUT, told_status, r, &r->ask,
                     &err) != 0) {
        try_later(r, err.text, now);
    }
}

/* A new key, and the question for its certificate. */
static int ask(struct swki_renewal *r, struct swk_error *err)
{
    Swkpb__IssueNodeCertificateRequest request =
        SWKPB__ISSUE_NODE_CERTIFICATE_REQUEST__INIT;
    const struct swki_asker *asker = &r->config.asker;
    const struct swki_buf *roots = &asker->credentials->roots;
    int rc = swki_credentials_set_roots(
        &r->fresh, roots->data, roots->len,
        asker->clock->wall(asker->clock->ctx), err);

    if (rc == 0) {
        swki_buf_clear(&r->csr);
        rc = swki_credentials_new_key(&r->fresh, asker->entropy, &r->csr, err);
    }
    if (rc == 0) {
        request.csr.data = r->csr.data;
        request.csr.len = r->csr.len;
        rc = swki_ask_new(asker,
                          "/docker.swarmkit.v1.NodeCA/IssueNodeCertificate",
                          &request.base, ISSUE_TIMEOUT, told_issue, r, &r->ask,
                          err);
    }
    return rc;
}

static swk_time turn(void *ctx, swk_time now)
{
    struct swki_renewal *r = ctx;
    struct swk_error err;

    if (r->role != SWKI_ROLE_NONE && r->ask == NULL && r->due <= now) {
        r->due = SWK_NEVER;
        if (ask(r, &err) != 0) {
            try_later(r, err.text, now);
        }
    }
    return r->due;
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
    r->role = SWKI_ROLE_NONE;
    r->due = SWK_NEVER;
    swki_credentials_init(&r->fresh, config->asker.alloc);
    swki_buf_init(&r->csr, config->asker.alloc, SWKI_CSR_LEN_MAX);
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
        swki_loop_remove(r->config.asker.loop, &r->member);
        swki_credentials_fini(&r->fresh);
        swki_buf_fini(&r->csr);
        swki_free(r->config.asker.alloc, r);
    }
}

void swki_renewal_begin(struct swki_renewal *r, unsigned role)
{
    if (r->role == role) {
        return; /* under way */
    }
    hang_up(r);
    r->role = role;
    r->pause = SWKI_RENEWAL_PAUSE_MIN;
    r->due = 0;
    swki_loop_wake(r->config.asker.loop);
}

void swki_renewal_keep_role(struct swki_renewal *r, unsigned role)
{
    if (r->role != role) {
        hang_up(r);
        r->role = SWKI_ROLE_NONE;
        r->due = SWK_NEVER;
    }
}
