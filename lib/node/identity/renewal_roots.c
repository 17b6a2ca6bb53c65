/* SPDX-License-Identifier: Apache-2.0 */

/* The roots that a node trusts, and what to do when trust is gone. */

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "ca.pb-c.h"
#include "node/identity/renewal_impl.h"
#include "node/identity/state_dir.h"
#include "wire/message.h"

#define INQUIRY_TIMEOUT (5 * SWK_SECOND)
#define INQUIRY_PAUSE SWK_MINUTE

enum {
    ANSWER_MEMORY = SWKI_PEM_LEN_MAX * 4,
    FINGERPRINT_LEN = 16, /* of its 64 digits */
};

static bool trusts_already(const struct swki_renewal *r, struct swki_pem roots)
{
    const struct swki_buf *own = &r->config.credentials->roots;

    return own->len == roots.len &&
           memcmp(own->data, roots.text, roots.len) == 0;
}

/* Whether this bundle was refused before; it comes with every news. */
static bool was_refused(struct swki_renewal *r, struct swki_pem roots)
{
    uint8_t digest[SWKI_SHA256_SIZE];

    if (!swki_sha256(roots.text, roots.len, digest)) {
        return false;
    }
    if (memcmp(digest, r->refused_roots, sizeof(digest)) == 0) {
        return true;
    }
    memcpy(r->refused_roots, digest, sizeof(digest));
    return false;
}

static int switch_roots(struct swki_renewal *r, struct swki_pem roots,
                        swk_time now, struct swk_error *err)
{
    int rc =
        swki_state_dir_switch_roots(r->config.state_dir, r->config.credentials,
                                    roots, swki_renewal_wall(r), err);

    if (rc == 0) {
        swki_remotes_let_in(r->config.asker.remotes, NULL);
        memset(r->refused_roots, 0, sizeof(r->refused_roots));
        swki_log(r->config.asker.logger, SWK_LOG_INFO, "node",
                 "trusts the swarm's new root certificate");
        r->config.changed(r->config.ctx, now);
    }
    return rc;
}

void swki_renewal_take_roots(struct swki_renewal *r, struct swki_pem roots,
                             swk_time now)
{
    struct swk_error err;
    bool said;

    if (roots.len == 0 || trusts_already(r, roots)) {
        return;
    }
    said = was_refused(r, roots);
    if (switch_roots(r, roots, now, &err) != 0 && !said) {
        swki_log(r->config.asker.logger, SWK_LOG_ERROR, "node",
                 "keeps its old root certificate, for the swarm's new one "
                 "cannot be used: %s",
                 err.text);
    }
}

/* -- Asked for ------------------------------------------------------------ */

/* The start of a root's fingerprint, enough to compare it by eye. */
static void fingerprint(struct swki_pem root,
                        char out_text[FINGERPRINT_LEN + 1])
{
    uint8_t digest[SWKI_SHA256_SIZE];
    char hex[SWKI_SHA256_HEX_LEN + 1] = "?";

    if (swki_certificate_digest(root, digest, NULL) == 0) {
        swki_sha256_hex(digest, hex);
    }
    snprintf(out_text, FINGERPRINT_LEN + 1, "%.*s", FINGERPRINT_LEN, hex);
}

static void tell_shut_out(const struct swki_renewal *r, struct swki_pem roots)
{
    const struct swki_credentials *own = r->config.credentials;
    bool manages = own->identity.role == SWKI_ROLE_MANAGER;
    char theirs[FINGERPRINT_LEN + 1];
    char ours[FINGERPRINT_LEN + 1];

    fingerprint(roots, theirs);
    fingerprint(swki_pem_of_buf(&own->roots), ours);
    swki_log(r->config.asker.logger, SWK_LOG_ERROR, "node",
             "this node is shut out of its swarm: manager %.64s has the root "
             "certificate sha256:%s..., this node trusts sha256:%s..., and "
             "neither leads to the other; the root was most likely replaced "
             "while this node was off. To join anew: on a manager, swarmctl "
             "node rm %s and swarmctl cluster token %s; then empty the state "
             "directory of this node, %.64s, and start it with --join-addr and "
             "--join-token",
             swki_ask_address(r->inquiry.ask), theirs, ours,
             own->identity.node_id, manages ? "manager" : "worker",
             r->config.state_dir);
}

/* One manager may be wrong, or lie: the others are asked as well. */
static void shut_out(struct swki_renewal *r, struct swki_pem roots, bool said,
                     swk_time now)
{
    struct swki_remotes *remotes = r->config.asker.remotes;
    const char *address = swki_ask_address(r->inquiry.ask);

    swki_remotes_shut_out(remotes, address, now);
    if (!swki_remotes_all_shut_out(remotes)) {
        if (!said) {
            swki_log(r->config.asker.logger, SWK_LOG_WARN, "node",
                     "manager %.64s has a root certificate to which nothing "
                     "leads from the one that this node trusts: it tries the "
                     "others",
                     address);
        }
    } else if (!r->inquiry.told || !said) {
        r->inquiry.told = true;
        tell_shut_out(r, roots);
    }
}

/* Roots that the node cannot go over to are told of once, and show only why it
 * is refused. */
static void refuse_unverified(struct swki_renewal *r, struct swki_pem roots,
                              const struct swk_error *why, swk_time now)
{
    bool said = was_refused(r, roots);

    if (why->code == SWK_EUNAUTHENTICATED) {
        shut_out(r, roots, said, now);
        return;
    }
    swki_remotes_let_in(r->config.asker.remotes,
                        swki_ask_address(r->inquiry.ask));
    if (!said) {
        swki_log(r->config.asker.logger, SWK_LOG_ERROR, "node",
                 "managers present another root certificate, which is not "
                 "taken: %s",
                 why->text);
    }
}

static void take_unverified(struct swki_renewal *r, struct swki_pem roots,
                            swk_time now)
{
    struct swk_error err;

    if (roots.len == 0) {
        return;
    }
    if (trusts_already(r, roots)) {
        swki_remotes_let_in(r->config.asker.remotes,
                            swki_ask_address(r->inquiry.ask));
    } else if (switch_roots(r, roots, now, &err) != 0) {
        refuse_unverified(r, roots, &err, now);
    } else {
        swki_renewer_request(&r->renewer, now);
    }
}

static void tell_clock(const struct swki_renewal *r,
                       const Swkpb__GetRootCACertificateResponse *response,
                       swk_time now)
{
    const struct swki_ask *ask = r->inquiry.ask;
    char text[SWKI_CLOCK_SKEW_TEXT_SIZE];
    struct swki_clock_skew skew;

    swki_clock_skew_measure(&skew, response->time, swki_renewal_wall(r),
                            now - swki_ask_started(ask), swki_ask_address(ask));
    if (swki_clock_skew_matters(&skew)) {
        swki_clock_skew_text(&skew, text);
        swki_log(r->config.asker.logger, SWK_LOG_ERROR, "node", "%s", text);
    }
}

static void told(void *ctx, const struct swk_error *failure,
                 const uint8_t *data, size_t len, swk_time now)
{
    const Swkpb__GetRootCACertificateResponse *response;
    struct swki_renewal *r = ctx;
    struct swki_arena arena;
    ProtobufCMessage *message;

    swki_arena_init(&arena, r->config.asker.alloc, ANSWER_MEMORY);
    if (failure->code == 0 &&
        swki_message_unpack(&swkpb__get_root_cacertificate_response__descriptor,
                            data, len, &arena, &message, NULL) == 0) {
        response = (const Swkpb__GetRootCACertificateResponse *)message;
        tell_clock(r, response, now);
        take_unverified(r,
                        (struct swki_pem){response->certificate.data,
                                          response->certificate.len},
                        now);
    }
    swki_arena_fini(&arena);
    swki_ask_free(r->inquiry.ask);
    r->inquiry.ask = NULL;
    swki_loop_wake(r->config.asker.loop);
}

void swki_renewal_inquire(struct swki_renewal *r, swk_time now)
{
    Swkpb__GetRootCACertificateRequest request =
        SWKPB__GET_ROOT_CACERTIFICATE_REQUEST__INIT;
    const struct swki_ask_question question = {
        .path = "/docker.swarmkit.v1.CA/GetRootCACertificate",
        .request = &request.base,
        .timeout_ns = INQUIRY_TIMEOUT,
        .as = SWKI_ASK_ANYBODY,
    };
    struct swk_error err;

    if (r->inquiry.ask != NULL || now < r->inquiry.not_before) {
        return;
    }
    r->inquiry.not_before = now + INQUIRY_PAUSE;
    if (swki_ask_new(&r->config.asker, &question, told, r, &r->inquiry.ask,
                     &err) != 0) {
        swki_log(r->config.asker.logger, SWK_LOG_WARN, "node",
                 "cannot ask for the swarm's root certificate: %s", err.text);
    }
}
