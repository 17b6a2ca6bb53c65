/* SPDX-License-Identifier: Apache-2.0 */

/* What the signer is given, what it gives back, and what becomes of that. */

#include "core/ca/server_impl.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/utf8.h"
#include "wire/message.h"
#include "wire/time.h"

static struct swki_pem pem_of_data(const ProtobufCBinaryData *data)
{
    return (struct swki_pem){data->data, data->len};
}

static struct swk_bytes bytes_of_pem(struct swki_pem pem)
{
    return (struct swk_bytes){pem.text, pem.len};
}

static struct swk_bytes bytes_of_data(const ProtobufCBinaryData *data)
{
    return (struct swk_bytes){data->data, data->len};
}

/* ---- giving out ---- */

/* Read for each signature, so that a change counts at once. */
static uint64_t expiry_of(const Swkpb__Cluster *cluster)
{
    int64_t ns = 0;

    if (cluster->spec != NULL && cluster->spec->ca_config != NULL &&
        swki_duration_read(cluster->spec->ca_config->node_cert_expiry, &ns,
                           NULL) == 0 &&
        ns > 0) {
        return (uint64_t)ns;
    }
    return 0; /* the default */
}

/* What the certificate of a job is to say. */
static struct swki_leaf leaf_of(const struct swki_ca_server *server,
                                const struct swki_ca_job *job)
{
    const struct swki_ca_grant grant = {
        .node_id = job->node_id,
        .swarm_id = swki_object_id(server->cluster),
        /* As it is observed now, whatever it was when the node asked. */
        .role = swki_node(job->node)->role,
        .expiry_ns = job->expiry_ns,
        .now = job->asked,
    };

    return swki_ca_leaf_of(&grant);
}

static void fill_work(struct swki_ca_server *server,
                      const struct swki_ca_job *job)
{
    const Swkpb__Certificate *record = swki_node(job->node)->certificate;
    const struct swki_ca_authority *authority = &server->authority;
    const struct swki_ca_external *external = &server->external;
    const struct swki_leaf leaf = leaf_of(server, job);

    server->work = (struct swki_ca_work){
        .id = job->id,
        .request =
            {
                .size = sizeof(server->work.request),
                .kind = SWK_SIGN_NODE,
                .now = leaf.now,
                .swarm_id = leaf.swarm_id,
                .authority = bytes_of_pem(authority->certificate),
                .node_id = leaf.node_id,
                .role = leaf.role == SWKI_ROLE_MANAGER ? SWK_NODE_MANAGER
                                                       : SWK_NODE_WORKER,
                .validity_ns = leaf.validity_ns,
                .csr = bytes_of_data(&record->csr),
                .previous = bytes_of_data(&record->certificate),
            },
    };
    if (external->urls_count > 0) { /* they need no key, and get none */
        server->work.request.urls = external->urls;
        server->work.request.urls_count = external->urls_count;
        server->work.request.urls_roots =
            bytes_of_pem(swki_pem_of_buf(&external->roots));
    } else {
        server->work.request.authority_key = bytes_of_pem(authority->key);
    }
}

/* Work that turned out not to be wanted leaves the queue. */
static struct swki_ca_job *next_job(struct swki_ca_server *server,
                                    const struct swki_object **out_node)
{
    const struct swki_view *head = swki_store_head(server->store);
    struct swki_ca_signing *signing = &server->signing;
    struct swki_ca_job *job;

    while ((job = swki_ca_signing_first(&signing->queued)) != NULL) {
        const struct swki_object *node =
            swki_view_get(head, SWKI_KIND_NODE, job->node_id);

        if (node != NULL && swki_ca_wants_signature(swki_node(node))) {
            *out_node = node;
            return job;
        }
        swki_ca_signing_drop(signing, job);
    }
    return NULL;
}

const struct swki_ca_work *
swki_ca_server_next_work(struct swki_ca_server *server, swk_time now,
                         swk_wall wall)
{
    struct swki_ca_signing *signing = &server->signing;
    const struct swki_object *node;
    struct swki_ca_job *job;

    if (!server->running || server->stale || now < signing->retry_at ||
        swki_list_empty(&signing->queued) ||
        !swki_ca_signing_has_room(signing)) {
        return NULL;
    }
    swki_ca_server_try_candidate(server, now, wall);
    if (server->material == NULL || server->stale) {
        return NULL;
    }
    job = next_job(server, &node);
    if (job == NULL) {
        return NULL;
    }
    signing->retry_at = 0;
    swki_ca_signing_fly(signing, job, node);
    job->asked = wall;
    job->expiry_ns = expiry_of(swki_cluster(server->cluster));
    job->limit = now + SWKI_CA_WORK_LIMIT;
    fill_work(server, job);
    return &server->work;
}

/* ---- taking back ---- */

void swki_ca_server_pause(struct swki_ca_server *server, swk_time now,
                          swk_wall wall, const char *why)
{
    struct swki_ca_signing *signing = &server->signing;

    if (swki_ca_reason_note(&signing->reason, now, wall, why)) {
        swki_log(server->logger, SWK_LOG_WARN, "ca",
                 "certificates %shave to wait: %s",
                 signing->probing ? "still " : "", why);
    }
    signing->probing = true;
    server->tell_at = now; /* who came since the last failure, too */
    if (signing->retry_at <= now) {
        signing->retry_at = now + SWKI_CA_RETRY_INTERVAL;
    }
}

void swki_ca_server_expire(struct swki_ca_server *server, swk_time now,
                           swk_wall wall)
{
    struct swki_ca_signing *signing = &server->signing;
    struct swki_ca_job *job;

    while ((job = swki_ca_signing_first(&signing->flying)) != NULL &&
           job->limit <= now) {
        swki_ca_signing_requeue(signing, job);
        swki_ca_server_pause(server, now, wall, "the signer does not answer");
    }
}

/* Failures that the next attempt cannot mend. */
static bool is_final(int code)
{
    return code == SWK_EDENIED || code == SWK_EMALFORMED ||
           code == SWK_EINVAL || code == SWK_ENOTSUP;
}

/* Failures of one request that say nothing of the others: it alone waits. */
static bool is_its_own(int code)
{
    return code == SWK_ELIMIT || code == SWK_EABORTED;
}

/* The chain as it is to be stored; it must lead to what nodes trust. */
static int make_chain(struct swki_ca_server *server, struct swki_pem leaf,
                      swk_wall wall, struct swki_buf *out_pem,
                      struct swk_error *err)
{
    const struct swki_ca_authority *authority = &server->authority;
    struct swki_chain chain = {.roots = authority->roots, .now = wall};
    int rc = swki_certificate_normalise(leaf, out_pem, err);

    if (rc == 0 && authority->intermediates.len > 0) {
        rc = swki_certificate_normalise(authority->intermediates, out_pem, err);
    }
    if (rc != 0) {
        return rc;
    }
    chain.certificates = swki_pem_of_buf(out_pem);
    rc = swki_chain_verify(&chain, NULL, err);
    /* Is it the certificate's fault, or has a root come to its end? */
    if (rc != 0 && rc != SWK_ENOMEM &&
        swki_ca_authority_check(authority, wall, &server->entropy, err) == 0) {
        return swki_fail(err, SWK_EDENIED,
                         "the certificate does not lead to the swarm's root");
    }
    return rc == 0 || rc == SWK_ENOMEM ? rc : SWK_EUNAVAILABLE;
}

/* Whoever signed is not believed: another CA may be wrong, or worse. */
static int take_certificate(struct swki_ca_server *server,
                            struct swki_ca_job *job, swk_wall wall,
                            struct swk_bytes certificate, struct swk_error *err)
{
    const Swkpb__Certificate *record = swki_node(job->node)->certificate;
    const struct swki_pem leaf = {certificate.data, certificate.len};
    const struct swki_leaf asked = leaf_of(server, job);
    int rc = swki_leaf_check(leaf, &asked, pem_of_data(&record->csr), err);

    if (rc == 0) {
        rc = make_chain(server, leaf, wall, &job->pem, err);
    }
    if (rc != 0 && is_final(rc)) {
        swki_error_prefix(err, "the signer's answer is not used");
    }
    return rc;
}

/* Somebody is there, and refuses. */
static void note_refusal(struct swki_ca_server *server)
{
    struct swki_ca_signing *signing = &server->signing;

    if (signing->probing && !signing->reason.flaps) {
        swki_log(server->logger, SWK_LOG_INFO, "ca",
                 "whoever signs answers again");
    }
    signing->probing = false;
    swki_ca_reason_suspend(&signing->reason);
}

static void note_signature(struct swki_ca_server *server)
{
    struct swki_ca_signing *signing = &server->signing;

    if (signing->probing) {
        swki_log(server->logger, SWK_LOG_INFO, "ca",
                 "certificates are signed again");
    }
    signing->probing = false;
    swki_ca_reason_clear(&signing->reason);
}

/* Refused by itself, and for now: it alone waits. */
static void hold_back(struct swki_ca_server *server, struct swki_ca_job *job,
                      swk_time now, swk_wall wall, const char *why)
{
    bool again = job->reason.text[0] != '\0';

    note_refusal(server);
    if (swki_ca_reason_note(&job->reason, now, wall, why)) {
        swki_log(server->logger, SWK_LOG_WARN, "ca",
                 "the certificate of node %s %shas to wait: %s", job->node_id,
                 again ? "still " : "", why);
    }
    swki_ca_signing_pause(&server->signing, job, now);
    server->tell_at = now;
}

static const char *text_of(const struct swk_sign_result *result)
{
    return result->text != NULL && result->text[0] != '\0' ? result->text
                                                           : "no reason";
}

void swki_ca_server_worked(struct swki_ca_server *server, swk_time now,
                           swk_wall wall, uint64_t id,
                           const struct swk_sign_result *result)
{
    struct swki_ca_job *job = swki_ca_signing_find(&server->signing, id);
    struct swk_error err = {0};
    int rc;

    if (job == NULL) {
        return;
    }
    rc = result->code != 0
             ? swki_fail(&err, result->code, "%s", text_of(result))
             : take_certificate(server, job, wall, result->certificate, &err);
    swki_utf8_repair(err.text); /* its words go into an object */
    if (is_its_own(rc)) {
        hold_back(server, job, now, wall, err.text);
        return;
    }
    if (rc != 0 && !is_final(rc)) {
        swki_ca_signing_requeue(&server->signing, job);
        swki_ca_server_pause(server, now, wall, err.text);
        return;
    }
    if (rc != 0) {
        swki_log(server->logger, SWK_LOG_WARN, "ca",
                 "no certificate for node %s: %s", job->node_id, err.text);
        job->failure = err;
        note_refusal(server);
    } else {
        note_signature(server);
    }
    swki_ca_signing_finish(&server->signing, job);
}

/* ---- writing ---- */

/* The latest of what is known and a new end. */
static swk_wall last_end(const Swkpb__Certificate *record, swk_wall end)
{
    swk_wall known = swki_timestamp_get(record->last_end);
    swk_wall before = swki_timestamp_get(record->not_after);

    end = known > end ? known : end;
    return before > end ? before : end;
}

static int set_issued(Swkpb__Certificate *record, const struct swki_buf *pem,
                      struct swki_arena *arena, struct swk_error *err)
{
    struct swki_identity identity;
    int rc = swki_certificate_identity(swki_pem_of_buf(pem), &identity, err);

    if (rc != 0) {
        return rc;
    }
    record->status->state = SWKPB__ISSUANCE_STATUS__STATE__ISSUED;
    record->status->err = swki_arena_strdup(arena, "");
    record->certificate.data = swki_arena_memdup(arena, pem->data, pem->len);
    record->certificate.len = pem->len;
    record->last_end =
        swki_timestamp_from_wall(last_end(record, identity.not_after), arena);
    record->not_after = swki_timestamp_from_wall(identity.not_after, arena);
    return record->status->err != NULL && record->certificate.data != NULL &&
                   record->not_after != NULL && record->last_end != NULL
               ? SWK_OK
               : swki_fail_nomem(err);
}

static int set_failed(Swkpb__Certificate *record, const char *why,
                      struct swki_arena *arena, struct swk_error *err)
{
    record->status->state = SWKPB__ISSUANCE_STATUS__STATE__FAILED;
    record->status->err = swki_arena_strdup(arena, why);
    return record->status->err != NULL ? SWK_OK : swki_fail_nomem(err);
}

/* Writes the outcome to one node. */
static int write_job(struct swki_tx *tx, const struct swki_ca_job *job,
                     const struct swki_object *node, struct swk_error *err)
{
    struct swki_object *object = swki_object_edit(node);
    Swkpb__Certificate *record;
    int rc;

    if (object == NULL) {
        return swki_fail_nomem(err);
    }
    record = swki_object_own(object, &swki_node_edit(object)->certificate);
    if (record == NULL) {
        rc = swki_fail_nomem(err);
    } else if (job->failure.code != 0) {
        rc = set_failed(record, job->failure.text, swki_object_arena(object),
                        err);
    } else {
        record->role = swki_node(job->node)->role;
        rc = set_issued(record, &job->pem, swki_object_arena(object), err);
    }
    if (rc != 0) {
        swki_object_unref(object);
        return rc;
    }
    return swki_tx_update(tx, object, err);
}

/* Writes up to a step's share, which stays at the head of the list. What cannot
 * be written goes to its end, to be tried again. */
static size_t write_some(struct swki_ca_server *server, struct swki_tx *tx,
                         int *out_rc, struct swk_error *err)
{
    struct swki_ca_signing *signing = &server->signing;
    struct swki_link *link = signing->done.next;
    size_t count = 0;

    while (link != &signing->done && count < SWKI_CA_WRITES_PER_STEP) {
        struct swki_ca_job *job =
            SWKI_CONTAINER(link, struct swki_ca_job, link);
        const struct swki_object *node =
            swki_view_get(swki_tx_view(tx), SWKI_KIND_NODE, job->node_id);
        size_t savepoint = swki_tx_savepoint(tx);

        link = link->next;
        if (node == NULL || !swki_ca_wants_signature(swki_node(node))) {
            swki_ca_signing_drop(signing, job);
        } else if (!swki_ca_same_request(swki_node(node),
                                         swki_node(job->node))) {
            swki_ca_signing_requeue(signing, job);
        } else {
            *out_rc = write_job(tx, job, node, err);
            if (*out_rc != 0) {
                swki_tx_rollback(tx, savepoint);
                swki_list_remove(&job->link);
                swki_list_append(&signing->done, &job->link);
                break;
            }
            count++;
        }
    }
    return count;
}

void swki_ca_server_write(struct swki_ca_server *server, swk_time now,
                          swk_wall wall)
{
    struct swki_ca_signing *signing = &server->signing;
    struct swk_error err;
    struct swki_tx *tx;
    size_t count;
    int rc = SWK_OK;

    if (swki_list_empty(&signing->done) || now < signing->write_at) {
        return;
    }
    tx = swki_store_begin(server->store, SWKI_ACTOR_CA, wall);
    if (tx == NULL) {
        signing->write_at = now + SWKI_CA_RETRY_INTERVAL;
        return;
    }
    count = write_some(server, tx, &rc, &err);
    signing->write_at = rc != 0 ? now + SWKI_CA_RETRY_INTERVAL : 0;
    if (swki_tx_commit(tx, NULL, NULL, NULL, rc == 0 ? &err : NULL) != 0) {
        signing->write_at = now + SWKI_CA_RETRY_INTERVAL;
        count = 0;
    }
    if (signing->write_at > now) {
        swki_log(server->logger, SWK_LOG_WARN, "ca",
                 "certificates are not stored yet: %s", err.text);
    }
    for (; count > 0; count--) {
        swki_ca_signing_drop(signing, swki_ca_signing_first(&signing->done));
    }
}
