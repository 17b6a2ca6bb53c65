/* SPDX-License-Identifier: Apache-2.0 */

/* Who signs for this manager while it leads. */

#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "core/ca/external.h"
#include "node/host/managing_impl.h"

/* Of a job that nobody but this file waits for. */
static const uint64_t check_id = UINT64_MAX;

/* A signer may be stopped or lose a key while nobody needs a certificate. A
 * refusal is written down there each time, and is seldom taken back soon. */
#define CHECK_INTERVAL (10 * SWK_SECOND)
#define CHECK_REFUSED_INTERVAL (300 * SWK_SECOND)

static bool is_away(int code)
{
    return code == SWK_EUNAVAILABLE || code == SWK_ETIMEDOUT || code == SWK_EIO;
}

/* Whoever refuses one job is there, and one whose words are of no use is not.
 * Only a check says that it would do no job of the kind. */
static void note_keeper(struct swki_managing *m, bool is_check,
                        const struct swk_sign_result *result)
{
    const struct swk_clock *clock = m->config.asker.clock;
    bool failed = is_check ? result->code != SWK_OK : is_away(result->code);

    if (!failed && result->code != SWK_OK && m->keeper.failure[0] != '\0') {
        return; /* the next check tells */
    }
    m->keeper.asked_at = clock->wall(clock->ctx);
    snprintf(m->keeper.failure, sizeof(m->keeper.failure), "%s",
             !failed                ? ""
             : result->text != NULL ? result->text
                                    : swk_error_name(result->code));
}

static void checked(struct swki_managing *m,
                    const struct swk_sign_result *result)
{
    const struct swk_clock *clock = m->config.asker.clock;
    bool refused = result->code != SWK_OK && !is_away(result->code);

    m->checking_keeper = false;
    m->check_keeper_at = clock->now(clock->ctx) +
                         (refused ? CHECK_REFUSED_INTERVAL : CHECK_INTERVAL);
    note_keeper(m, true, result);
}

static void finished(void *ctx, uint64_t id, bool by_keeper,
                     const struct swk_sign_result *result)
{
    struct swki_managing *m = ctx;

    if (id == check_id) {
        checked(m, result);
        swki_loop_wake(m->config.asker.loop);
        return;
    }
    if (by_keeper) {
        note_keeper(m, false, result);
    }
    if (m->manager != NULL) {
        swki_manager_signed(m->manager, id, result);
        swki_loop_wake(m->config.asker.loop);
    }
}

int swki_managing_note_identity(struct swki_managing *m, struct swk_error *err)
{
    const struct swki_credentials *own = m->config.asker.credentials;

    return swki_external_ca_set_identity(m->external_ca,
                                         swki_pem_of_buf(&own->chain),
                                         swki_pem_of_buf(&own->key), err);
}

static int make_external_ca(struct swki_managing *m, struct swk_error *err)
{
    const struct swki_asker *asker = &m->config.asker;
    const struct swki_https_config config = {
        .alloc = asker->alloc,
        .clock = asker->clock,
        .entropy = asker->entropy,
        .transport = asker->transport,
    };
    int rc = swki_external_ca_new(&config, &m->external_ca, err);

    return rc != 0 ? rc : swki_managing_note_identity(m, err);
}

int swki_managing_make_desk(struct swki_managing *m, struct swk_error *err)
{
    const struct swki_asker *asker = &m->config.asker;
    struct swki_sign_desk_config config = {
        .alloc = asker->alloc,
        .loop = asker->loop,
        .keeper = m->config.signer,
        .ctx = m,
        .finished = finished,
    };
    int rc = make_external_ca(m, err);

    if (rc == 0) {
        rc = swki_local_signer_new(asker->alloc, asker->entropy,
                                   &m->local_signer, err);
    }
    if (rc != 0) {
        return rc;
    }
    m->keeper.name =
        m->config.signer_name != NULL ? m->config.signer_name : "a signer";
    config.external = swki_external_ca_port(m->external_ca);
    config.signer = swki_local_signer_port(m->local_signer);
    return swki_sign_desk_new(&config, &m->desk, err);
}

void swki_managing_free_desk(struct swki_managing *m)
{
    swki_sign_desk_free(m->desk);
    swki_external_ca_free(m->external_ca);
    swki_local_signer_free(m->local_signer);
}

/* Whoever brings a signer wants no key in the log. One that lies there already
 * goes on to serve, until the root is another. */
static void warn_of_key(struct swki_managing *m,
                        const struct swk_sign_request *request)
{
    if (m->config.signer == NULL || request->authority_key.len == 0 ||
        m->warned_of_key) {
        return;
    }
    m->warned_of_key = true;
    swki_log(m->config.asker.logger, SWK_LOG_WARN, "ca",
             "the key of the CA lies in the swarm's log, and is used from "
             "there; to have one that only the signer holds, rotate the root");
}

/* Whether an external CA is named for the present root. Those of another one
 * sign nothing now. */
static bool has_external_ca(const Swkpb__RootCA *root,
                            const Swkpb__CAConfig *config)
{
    Swkpb__RootCA present = *root;
    struct swki_ca_authority authority;
    struct swki_ca_external external;
    bool any;

    present.root_rotation = NULL;
    authority = swki_ca_authority_of(&present);
    swki_ca_external_init(&external, NULL);
    any = swki_ca_external_find(&external, config, &authority, NULL) != 0 ||
          external.urls_count > 0;
    swki_ca_external_fini(&external);
    return any;
}

/* Whether the swarm's key is neither in its log nor with an external CA. */
static bool needs_signer(const struct swki_manager *manager)
{
    const struct swki_object *cluster = swki_manager_cluster(manager);
    const Swkpb__RootCA *root =
        cluster == NULL ? NULL : swki_cluster(cluster)->root_ca;
    const Swkpb__ClusterSpec *spec =
        cluster == NULL ? NULL : swki_cluster(cluster)->spec;

    return root != NULL && root->ca_cert.len > 0 && root->ca_key.len == 0 &&
           !has_external_ca(root, spec != NULL ? spec->ca_config : NULL);
}

/* Whoever asks who signs is to be told whether it is there. */
static void check_keeper(struct swki_managing *m)
{
    const struct swki_object *cluster = swki_manager_cluster(m->manager);
    const struct swki_asker *asker = &m->config.asker;
    const Swkpb__RootCA *root = swki_cluster(cluster)->root_ca;
    const struct swk_sign_request request = {
        .size = sizeof(request),
        .kind = SWK_SIGN_CHECK,
        .now = asker->clock->wall(asker->clock->ctx),
        .swarm_id = swki_object_id(cluster),
        .authority = {root->ca_cert.data, root->ca_cert.len},
    };
    struct swk_error err;
    int rc = swki_sign_desk_sign(m->desk, check_id, &request, &err);

    m->checking_keeper = rc == 0;
    if (rc != 0) {
        checked(m, &(struct swk_sign_result){.code = rc, .text = err.text});
    }
}

swk_time swki_managing_check_signer(struct swki_managing *m, swk_time now)
{
    if (m->config.signer == NULL || m->checking_keeper ||
        !swki_manager_has_cluster(m->manager)) {
        return SWK_NEVER;
    }
    if (!swki_managing_leads(m)) {
        m->check_keeper_at = 0;
        return SWK_NEVER;
    }
    if (now >= m->check_keeper_at && needs_signer(m->manager)) {
        check_keeper(m);
    } else if (now >= m->check_keeper_at) {
        m->check_keeper_at = now + CHECK_INTERVAL;
    }
    return m->checking_keeper ? SWK_NEVER : m->check_keeper_at;
}

/* Told when the manager starts, and again whenever it begins to lead. */
void swki_managing_warn_of_signer(struct swki_managing *m)
{
    int told = !swki_manager_has_cluster(m->manager) ? 0
               : !swki_managing_leads(m)             ? 1
                                                     : 2;

    if (told == m->told_of_signer) {
        return;
    }
    m->told_of_signer = told;
    if (told == 0 || !needs_signer(m->manager)) {
        return;
    }
    if (m->config.signer == NULL) {
        swki_log(m->config.asker.logger, SWK_LOG_WARN, "ca",
                 "the key of the swarm's CA is with a signer, and this manager "
                 "has none: %s no certificate; start swarmd with "
                 "--signer unix:PATH, see swarm-signer(8)",
                 told == 2 ? "while it leads, nodes get"
                           : "should it lead, nodes get");
    }
}

static int check_signer(const struct swki_managing *m,
                        const struct swk_sign_request *request,
                        struct swk_error *err)
{
    bool kept = request->kind != SWK_SIGN_ROOT && request->urls_count == 0 &&
                request->authority_key.len == 0;

    return kept && m->config.signer == NULL
               ? swki_fail(err, SWK_EUNAVAILABLE,
                           "the key is not in the swarm's log, and the leading "
                           "manager was started without --signer")
               : SWK_OK;
}

int swki_managing_sign(void *ctx, uint64_t id,
                       const struct swk_sign_request *request,
                       struct swk_error *err)
{
    struct swki_managing *m = ctx;
    int rc = check_signer(m, request, err);

    warn_of_key(m, request);
    return rc != 0 ? rc : swki_sign_desk_sign(m->desk, id, request, err);
}
