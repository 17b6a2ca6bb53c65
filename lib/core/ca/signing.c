/* SPDX-License-Identifier: Apache-2.0 */

#include "core/ca/server_impl.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "core/ca/issuer.h"
#include "wire/message.h"

struct job {
    struct swki_link link;
    char node_id[SWK_ID_LEN_MAX + 1];
};

void swki_ca_signing_init(struct swki_ca_signing *signing,
                          const struct swk_alloc *alloc, size_t per_step)
{
    signing->alloc = alloc;
    signing->per_step = per_step;
    signing->retry_at = 0;
    swki_map_init(&signing->jobs, alloc);
    swki_list_init(&signing->queue);
}

static void drop_job(struct swki_ca_signing *signing, struct job *job)
{
    swki_map_remove(&signing->jobs, job->node_id);
    swki_list_remove(&job->link);
    swki_free(signing->alloc, job);
}

void swki_ca_signing_fini(struct swki_ca_signing *signing)
{
    while (!swki_list_empty(&signing->queue)) {
        drop_job(signing,
                 SWKI_CONTAINER(signing->queue.next, struct job, link));
    }
    swki_map_fini(&signing->jobs);
    signing->retry_at = 0;
}

/* A renewal is signed for whoever is a node; a new one must be accepted. */
static bool wants_signature(const Swkpb__Node *node)
{
    if (node->certificate == NULL || node->certificate->status == NULL) {
        return false;
    }
    switch ((int)node->certificate->status->state) {
    case SWKPB__ISSUANCE_STATUS__STATE__RENEW:
        return true;
    case SWKPB__ISSUANCE_STATUS__STATE__PENDING:
        return node->spec != NULL &&
               node->spec->membership ==
                   SWKPB__NODE_SPEC__MEMBERSHIP__ACCEPTED;
    default:
        return false;
    }
}

static bool add_job(struct swki_ca_signing *signing, const char *node_id)
{
    struct job *job = swki_calloc(signing->alloc, 1, sizeof(*job));

    if (job == NULL) {
        return false;
    }
    snprintf(job->node_id, sizeof(job->node_id), "%s", node_id);
    if (!swki_map_put(&signing->jobs, job->node_id, job)) {
        swki_free(signing->alloc, job);
        return false;
    }
    swki_list_append(&signing->queue, &job->link);
    return true;
}

bool swki_ca_signing_node(struct swki_ca_signing *signing,
                          const Swkpb__Node *node)
{
    if (!wants_signature(node)) {
        swki_ca_signing_gone(signing, node->id);
        return true;
    }
    return swki_map_get(&signing->jobs, node->id) != NULL ||
           add_job(signing, node->id);
}

void swki_ca_signing_gone(struct swki_ca_signing *signing, const char *node_id)
{
    struct job *job = swki_map_get(&signing->jobs, node_id);

    if (job != NULL) {
        drop_job(signing, job);
    }
}

static uint64_t expiry_of(const Swkpb__Cluster *cluster)
{
    int64_t ns = 0;

    if (cluster->spec != NULL && cluster->spec->ca_config != NULL &&
        swki_duration_read(cluster->spec->ca_config->node_cert_expiry, &ns,
                           NULL) == 0 &&
        ns > 0) {
        return (uint64_t)ns;
    }
    return 0; /* the issuer's default */
}

/* Writes the outcome to an edited node: a certificate, or why there is none. */
static int set_outcome(struct swki_object *object, const struct swki_buf *pem,
                       const char *failure, struct swk_error *err)
{
    Swkpb__Node *node = swki_node_edit(object);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Certificate *certificate =
        swki_object_own(object, &node->certificate);
    Swkpb__IssuanceStatus *status;

    if (certificate == NULL) {
        return swki_fail_nomem(err);
    }
    status = certificate->status;
    if (failure != NULL) {
        status->state = SWKPB__ISSUANCE_STATUS__STATE__FAILED;
        status->err = swki_arena_strdup(arena, failure);
        return status->err != NULL ? SWK_OK : swki_fail_nomem(err);
    }
    status->state = SWKPB__ISSUANCE_STATUS__STATE__ISSUED;
    status->err = swki_arena_strdup(arena, "");
    certificate->certificate.data =
        swki_arena_memdup(arena, pem->data, pem->len);
    certificate->certificate.len = pem->len;
    return status->err != NULL && certificate->certificate.data != NULL
               ? SWK_OK
               : swki_fail_nomem(err);
}

/* Failures that the next attempt cannot mend are the request's own. */
static bool is_permanent(int rc)
{
    return rc == SWK_EMALFORMED || rc == SWK_EINVAL;
}

static int sign_for(struct swki_ca_server *server, const Swkpb__Node *node,
                    swk_wall wall, struct swki_buf *out_pem,
                    struct swk_error *err)
{
    const Swkpb__Cluster *cluster = swki_cluster(server->cluster);
    const struct swki_pem csr = {node->certificate->csr.data,
                                 node->certificate->csr.len};
    const struct swki_ca_grant grant = {
        .node_id = node->id,
        .swarm_id = cluster->id,
        .role = node->certificate->role,
        .expiry_ns = expiry_of(cluster),
        .now = wall,
    };

    return swki_ca_sign(server->signer, csr, &grant, out_pem, err);
}

/* One node within a transaction. Failures that may pass are returned. */
static int sign_node(struct swki_ca_server *server, struct swki_tx *tx,
                     const struct swki_object *old, swk_wall wall,
                     struct swk_error *err)
{
    struct swk_error why = {0};
    struct swki_object *object;
    struct swki_buf pem;
    int rc;

    swki_buf_init(&pem, server->alloc, SWKI_PEM_LEN_MAX);
    rc = sign_for(server, swki_node(old), wall, &pem, &why);
    if (rc != 0 && !is_permanent(rc)) {
        swki_buf_fini(&pem);
        return swki_fail(err, rc, "%s", why.text);
    }
    if (rc != 0) {
        swki_log(server->logger, SWK_LOG_WARN, "ca",
                 "no certificate for node %s: %s", swki_object_id(old),
                 why.text);
    }
    object = swki_object_edit(old);
    if (object == NULL) {
        swki_buf_fini(&pem);
        return swki_fail_nomem(err);
    }
    rc = set_outcome(object, &pem, rc != 0 ? why.text : NULL, err);
    swki_buf_fini(&pem);
    if (rc != 0) {
        swki_object_unref(object);
        return rc;
    }
    return swki_tx_update(tx, object, err);
}

/* Signs up to a step's share. Work that is written, or that turned out not to
 * be wanted, leaves the queue; what failed goes to its end, so that it cannot
 * hold up the others for ever. */
static int sign_some(struct swki_ca_server *server, struct swki_tx *tx,
                     swk_wall wall, struct swk_error *err)
{
    struct swki_ca_signing *signing = &server->signing;
    size_t signatures = 0;

    while (signatures < signing->per_step &&
           !swki_list_empty(&signing->queue)) {
        struct job *job =
            SWKI_CONTAINER(signing->queue.next, struct job, link);
        const struct swki_object *node =
            swki_view_get(swki_tx_view(tx), SWKI_KIND_NODE, job->node_id);
        size_t savepoint = swki_tx_savepoint(tx);

        if (node != NULL && wants_signature(swki_node(node))) {
            int rc = sign_node(server, tx, node, wall, err);

            if (rc != 0) {
                swki_tx_rollback(tx, savepoint);
                swki_list_remove(&job->link);
                swki_list_append(&signing->queue, &job->link);
                return rc;
            }
            signatures++;
        }
        drop_job(signing, job);
    }
    return SWK_OK;
}

void swki_ca_server_sign(struct swki_ca_server *server, swk_time now,
                         swk_wall wall)
{
    struct swki_ca_signing *signing = &server->signing;
    struct swk_error err = {0};
    struct swki_tx *tx;
    int rc;

    if (server->signer == NULL || swki_list_empty(&signing->queue) ||
        now < signing->retry_at) {
        return;
    }
    signing->retry_at = 0;
    tx = swki_store_begin(server->store, SWKI_ACTOR_CA, wall);
    if (tx == NULL) {
        signing->retry_at = now + SWKI_CA_RETRY_INTERVAL;
        return;
    }
    rc = sign_some(server, tx, wall, &err);
    if (rc != 0) {
        swki_log(server->logger, SWK_LOG_WARN, "ca",
                 "signing pauses: %s", err.text);
        signing->retry_at = now + SWKI_CA_RETRY_INTERVAL;
    }
    rc = swki_tx_commit(tx, NULL, NULL, NULL, &err);
    if (rc != 0) {
        /* The jobs are gone from the queue, but not from the store. */
        swki_log(server->logger, SWK_LOG_WARN, "ca",
                 "certificates were not stored: %s", err.text);
        server->stale = true;
        signing->retry_at = now + SWKI_CA_RETRY_INTERVAL;
    }
}
