/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Renewals of certificates that have ended: who may have one. What costs least
 * is checked first, since anybody may ask.
 */

#include <string.h>

#include "base/error.h"
#include "core/ca/proof.h"
#include "core/ca/server_impl.h"
#include "wire/time.h"

enum {
    SIGNATURE_SIZE_MAX = 256, /* ECDSA on P-521 takes 139 */
};

static int deny(struct swk_error *err, const char *node_id, const char *why)
{
    return swki_fail(err, SWK_EDENIED,
                     "Permission denied: the ended certificate of node %s is "
                     "not renewed: %s",
                     node_id, why);
}

static int check_form(const Swkpb__RenewalProof *proof, struct swk_error *err)
{
    if (proof->certificate.len == 0 ||
        proof->certificate.len > SWKI_PEM_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "the proof's certificate is empty or too long");
    }
    if (proof->signature.len == 0 ||
        proof->signature.len > SIGNATURE_SIZE_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "the proof's signature is empty or too long");
    }
    return SWK_OK;
}

static swk_time grace_of(const Swkpb__Cluster *cluster)
{
    const Swkpb__CAConfig *config =
        cluster->spec != NULL ? cluster->spec->ca_config : NULL;

    return swki_duration_get(config != NULL ? config->expired_grace : NULL,
                             SWKI_CA_GRACE_DEFAULT);
}

int swki_ca_check_grace(const struct swki_ca_server *server, swk_wall wall,
                        const char *node_id, swk_wall not_after,
                        struct swk_error *err)
{
    swk_time grace = grace_of(swki_cluster(server->cluster));

    if (wall <= not_after || (swk_time)(wall - not_after) <= grace) {
        return SWK_OK;
    }
    if (grace == 0) {
        return deny(err, node_id,
                    "the swarm allows none (swarmctl cluster update "
                    "--expired-grace): remove the node, and let it join anew");
    }
    swki_fail(err, SWK_EDENIED,
              "Permission denied: the certificate of node %s ended %lld hours "
              "ago, and %llu are allowed (swarmctl cluster update "
              "--expired-grace): remove the node, and let it join anew",
              node_id, (long long)((wall - not_after) / (swk_wall)SWK_HOUR),
              (unsigned long long)(grace / SWK_HOUR));
    return SWK_EDENIED;
}

/* The record has the certificate that was issued last: an older one, or its
 * key, is of no use, nor is a proof that was used once. */
static int check_record(const struct swki_ca_server *server,
                        const struct swki_identity *identity,
                        const struct swki_object *node, struct swki_pem chain,
                        struct swk_error *err)
{
    const Swkpb__Certificate *record;

    if (swki_ca_is_blacklisted(swki_cluster(server->cluster),
                               identity->node_id)) {
        return swki_fail(err, SWK_EDENIED,
                         "Permission denied: node %s was removed from swarm",
                         identity->node_id);
    }
    if (node == NULL) {
        return swki_fail(
            err, SWK_ENOTFOUND,
            "node %s not found when attempting to renew certificate",
            identity->node_id);
    }
    record = swki_node(node)->certificate;
    if (record == NULL || record->certificate.len == 0 ||
        !swki_leaf_same((struct swki_pem){record->certificate.data,
                                          record->certificate.len},
                        chain)) {
        return deny(err, identity->node_id,
                    "it is not the one that the node was issued last");
    }
    return SWK_OK;
}

static int check_chain(const struct swki_ca_server *server, swk_wall wall,
                       struct swki_pem certificates, struct swk_error *err)
{
    const Swkpb__RootCA *root = swki_ca_root_of(server->cluster);
    const struct swki_chain chain = {
        .certificates = certificates,
        .roots = {root->ca_cert.data, root->ca_cert.len},
        .now = wall,
        .flags = SWKI_CHAIN_ALLOW_EXPIRED,
    };
    int rc = swki_chain_verify(&chain, NULL, err);

    if (rc != 0 && rc != SWK_ENOMEM) {
        swki_error_prefix(err, "Permission denied: the ended certificate "
                               "cannot be verified");
        err->code = rc = SWK_EDENIED;
    }
    return rc;
}

static int check_signature(const struct swki_identity *identity,
                           const Swkpb__IssueNodeCertificateRequest *request,
                           struct swk_error *err)
{
    const Swkpb__RenewalProof *given = request->proof;
    const struct swki_ca_proof proof = {
        .swarm_id = identity->swarm_id,
        .node_id = identity->node_id,
        .csr = {request->csr.data, request->csr.len},
        .chain = {given->certificate.data, given->certificate.len},
    };
    uint8_t digest[SWKI_SHA256_SIZE];
    int rc = swki_ca_proof_digest(&proof, digest, err);

    if (rc != 0) {
        return rc;
    }
    return swki_leaf_check_digest(proof.chain, digest, given->signature.data,
                                  given->signature.len, NULL) == 0
               ? SWK_OK
               : deny(err, identity->node_id,
                      "the signature is not by its key for this request");
}

int swki_ca_check_proof(const struct swki_ca_server *server, swk_wall wall,
                        const Swkpb__IssueNodeCertificateRequest *request,
                        const char **out_node_id, struct swk_error *err)
{
    const Swkpb__RenewalProof *proof = request->proof;
    const struct swki_pem chain = {proof->certificate.data,
                                   proof->certificate.len};
    struct swki_identity identity;
    const struct swki_object *node;
    int rc = check_form(proof, err);

    if (rc == 0) {
        rc = swki_certificate_identity(chain, &identity, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (strcmp(identity.swarm_id, swki_cluster(server->cluster)->id) != 0) {
        return deny(err, identity.node_id, "it is of another swarm");
    }
    node = swki_view_get(swki_store_head(server->store), SWKI_KIND_NODE,
                         identity.node_id);
    rc = check_record(server, &identity, node, chain, err);
    if (rc == 0) {
        rc = swki_ca_check_grace(server, wall, identity.node_id,
                                 identity.not_after, err);
    }
    if (rc == 0) {
        rc = check_chain(server, wall, chain, err);
    }
    if (rc == 0) {
        rc = check_signature(&identity, request, err);
    }
    if (rc == 0) {
        *out_node_id = swki_object_id(node);
    }
    return rc;
}

/* Nobody else could refuse a manager that asks itself. */
int swki_ca_check_own(const struct swki_ca_server *server, swk_wall wall,
                      struct swk_error *err)
{
    const struct swki_object *node = swki_view_get(
        swki_store_head(server->store), SWKI_KIND_NODE, server->node_id);
    const Swkpb__Certificate *record =
        node != NULL ? swki_node(node)->certificate : NULL;
    struct swki_identity identity;

    if (record == NULL ||
        swki_certificate_identity((struct swki_pem){record->certificate.data,
                                                    record->certificate.len},
                                  &identity, NULL) != 0) {
        return SWK_OK; /* there is no end that is known */
    }
    return swki_ca_check_grace(server, wall, server->node_id,
                               identity.not_after, err);
}
