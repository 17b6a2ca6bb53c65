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
/* Between questions; and if the next manager was not asked yet. */
#define INQUIRY_PAUSE SWK_MINUTE
#define INQUIRY_STEP (10 * SWK_SECOND)

enum {
    ANSWER_MEMORY = SWKI_PEM_LEN_MAX * 4,
    DIRECTORY_SHOWN_MAX = 200, /* of a path; it would not fit a line whole */
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

void swki_renewal_let_in(struct swki_renewal *r)
{
    swki_remotes_let_in(r->config.asker.remotes, NULL);
    r->inquiry.next_at = SWK_NEVER;
    if (r->inquiry.told) {
        r->inquiry.told = false;
        memset(r->refused_roots, 0, sizeof(r->refused_roots));
    }
}

static int switch_roots(struct swki_renewal *r, struct swki_pem roots,
                        swk_time now, struct swk_error *err)
{
    int rc =
        swki_state_dir_switch_roots(r->config.state_dir, r->config.credentials,
                                    roots, swki_renewal_wall(r), err);

    if (rc == 0) {
        swki_renewal_let_in(r);
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

static void fingerprint(struct swki_pem root,
                        char out_text[SWKI_RENEWAL_ROOT_SIZE])
{
    uint8_t digest[SWKI_SHA256_SIZE];
    char hex[SWKI_SHA256_HEX_LEN + 1] = "?";

    if (swki_certificate_digest(root, digest, NULL) == 0) {
        swki_sha256_hex(digest, hex);
    }
    snprintf(out_text, SWKI_RENEWAL_ROOT_SIZE, "%.*s",
             SWKI_RENEWAL_ROOT_SIZE - 1, hex);
}

static void tell_shut_out(const struct swki_renewal *r, size_t silent_count)
{
    const struct swki_credentials *own = r->config.credentials;
    bool manages = own->identity.role == SWKI_ROLE_MANAGER;
    const char *directory = r->config.state_dir;
    char ours[SWKI_RENEWAL_ROOT_SIZE];

    fingerprint(swki_pem_of_buf(&own->roots), ours);
    swki_log(r->config.asker.logger, SWK_LOG_ERROR, "node",
             "this node is shut out of its swarm: manager %.64s says that it "
             "has the root sha256:%s..., this node trusts sha256:%s..., and "
             "neither leads to the other%s; the root was most likely replaced "
             "while this node was off",
             r->inquiry.shut_out_by, r->inquiry.their_root, ours,
             silent_count > 0 ? " (others do not answer)" : "");
    swki_log(r->config.asker.logger, SWK_LOG_ERROR, "node",
             "to join anew: on a manager, see that swarmctl cluster ca shows "
             "that root, then swarmctl node rm %s and swarmctl cluster token "
             "%s; empty the state directory of this node%s%s, and start it "
             "with --join-addr and --join-token",
             own->identity.node_id, manages ? "manager" : "worker",
             strlen(directory) <= DIRECTORY_SHOWN_MAX ? ", " : "",
             strlen(directory) <= DIRECTORY_SHOWN_MAX ? directory : "");
}

static struct swki_remotes_tally tally(const struct swki_renewal *r)
{
    return swki_remotes_tally(r->config.asker.remotes,
                              r->config.credentials->identity.node_id);
}

/* Whether nobody is left who might let the node in, of those that say anything:
 * then the operator is told, unless all of this was said before. */
static bool conclude(struct swki_renewal *r, bool said)
{
    const struct swki_remotes_tally others = tally(r);

    if (others.shut_out == 0 || others.open > 0) {
        return false;
    }
    if (!r->inquiry.told || !said) {
        r->inquiry.told = true;
        tell_shut_out(r, others.silent);
    }
    return true;
}

/* One manager may be wrong, or lie: the others are asked as well. */
static void shut_out(struct swki_renewal *r, struct swki_pem roots, bool said,
                     swk_time now)
{
    const char *address = swki_ask_address(r->inquiry.ask);

    snprintf(r->inquiry.shut_out_by, sizeof(r->inquiry.shut_out_by), "%s",
             address);
    fingerprint(roots, r->inquiry.their_root);
    swki_remotes_shut_out(r->config.asker.remotes, address, now);
    if (!conclude(r, said) && !said) {
        swki_log(r->config.asker.logger, SWK_LOG_WARN, "node",
                 "manager %.64s has a root certificate to which nothing leads "
                 "from the one that this node trusts: it tries the others",
                 address);
    }
}

/* Whoever says nothing is not waited for. */
static void asked_in_vain(struct swki_renewal *r)
{
    swki_remotes_silent(r->config.asker.remotes,
                        swki_ask_address(r->inquiry.ask));
    (void)conclude(r, true);
}

/* Whoever is asked does not shut the node out: no reason to ask others. */
static void not_shut_out(struct swki_renewal *r)
{
    swki_remotes_let_in(r->config.asker.remotes,
                        swki_ask_address(r->inquiry.ask));
    r->inquiry.next_at = SWK_NEVER;
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
    not_shut_out(r);
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

    if (trusts_already(r, roots)) {
        not_shut_out(r);
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
    struct swki_pem roots = {0};

    swki_arena_init(&arena, r->config.asker.alloc, ANSWER_MEMORY);
    if (failure->code == 0 &&
        swki_message_unpack(&swkpb__get_root_cacertificate_response__descriptor,
                            data, len, &arena, &message, NULL) == 0) {
        response = (const Swkpb__GetRootCACertificateResponse *)message;
        tell_clock(r, response, now);
        roots = (struct swki_pem){response->certificate.data,
                                  response->certificate.len};
    }
    if (roots.len > 0) {
        take_unverified(r, roots, now);
    } else {
        asked_in_vain(r);
    }
    swki_arena_fini(&arena);
    swki_ask_free(r->inquiry.ask);
    r->inquiry.ask = NULL;
    swki_loop_wake(r->config.asker.loop);
}

static void ask_other(struct swki_renewal *r, swk_time now)
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

    r->inquiry.not_before = now + INQUIRY_PAUSE;
    r->inquiry.next_at = now + INQUIRY_STEP;
    if (swki_ask_new(&r->config.asker, &question, told, r, &r->inquiry.ask,
                     &err) != 0) {
        r->inquiry.next_at = SWK_NEVER;
        swki_log(r->config.asker.logger, SWK_LOG_WARN, "node",
                 "cannot ask for the swarm's root certificate: %s", err.text);
    }
}

void swki_renewal_inquire(struct swki_renewal *r, swk_time now)
{
    if (r->inquiry.ask == NULL && now >= r->inquiry.not_before) {
        ask_other(r, now);
    }
}

/* Each is asked once: an answer that leaves it open ends the round. */
swk_time swki_renewal_inquire_on(struct swki_renewal *r, swk_time now)
{
    if (r->inquiry.next_at <= now) {
        r->inquiry.next_at = SWK_NEVER;
        if (r->inquiry.ask == NULL && tally(r).open > 0) {
            ask_other(r, now);
        }
    }
    return r->inquiry.next_at;
}
