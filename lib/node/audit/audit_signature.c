/* SPDX-License-Identifier: Apache-2.0 */

#include "node/audit/audit_signature.h"

#include <string.h>

#include "base/error.h"
#include "crypto/digest.h"

/* -- Making --------------------------------------------------------------- */

static int check_dates(struct swki_pem certificate, swk_wall now,
                       struct swk_error *err)
{
    struct swki_identity identity;
    int rc = swki_certificate_identity(certificate, &identity, err);

    if (rc == 0 && (now < identity.not_before || now > identity.not_after)) {
        rc = swki_fail(err, SWK_ECLOCK,
                       "the node's certificate is not valid at this time");
    }
    return rc;
}

int swki_audit_signature_make(const struct swki_audit_checkpoint *checkpoint,
                              struct swki_pem key, struct swki_pem certificate,
                              const struct swk_entropy *entropy,
                              struct swki_buf *out_text, struct swk_error *err)
{
    uint8_t signature[SWKI_SIGNATURE_SIZE_MAX];
    uint8_t digest[SWKI_SHA256_SIZE];
    size_t signature_len = 0;
    int rc = check_dates(certificate, checkpoint->time, err);

    if (rc != 0) {
        return rc;
    }
    if (!swki_audit_checkpoint_body(checkpoint, out_text) ||
        !swki_audit_checkpoint_digest(out_text->data, out_text->len, digest)) {
        return swki_fail_nomem(err);
    }
    rc = swki_key_sign_digest(key, digest, entropy, signature, &signature_len,
                              err);
    if (rc == 0 &&
        !swki_audit_checkpoint_sign(signature, signature_len, certificate.text,
                                    certificate.len, out_text)) {
        rc = swki_fail_nomem(err);
    }
    return rc;
}

/* -- Checking ------------------------------------------------------------- */

static int check_identity(const struct swki_identity *identity,
                          const struct swki_audit_checkpoint *checkpoint,
                          const struct swki_audit_signer *signer,
                          struct swk_error *err)
{
    if (identity->role != SWKI_ROLE_MANAGER) {
        return swki_fail(err, SWK_EUNAUTHENTICATED,
                         "it is signed by a node that is no manager");
    }
    if (strcmp(identity->node_id, checkpoint->node_id) != 0) {
        return swki_fail(err, SWK_EUNAUTHENTICATED,
                         "it is signed by another node than it says");
    }
    if (signer->node_id != NULL &&
        strcmp(identity->node_id, signer->node_id) != 0) {
        return swki_fail(err, SWK_EUNAUTHENTICATED,
                         "it is signed by node %s, and the log is that of %s",
                         identity->node_id, signer->node_id);
    }
    if (signer->swarm_id != NULL &&
        strcmp(identity->swarm_id, signer->swarm_id) != 0) {
        return swki_fail(err, SWK_EUNAUTHENTICATED,
                         "it is signed by a node of another swarm");
    }
    return SWK_OK;
}

int swki_audit_signature_check(const struct swki_audit_checkpoint *checkpoint,
                               const struct swki_audit_checkpoint_text *text,
                               const struct swki_audit_signer *signer,
                               struct swki_identity *out_identity,
                               struct swk_error *err)
{
    const struct swki_chain chain = {
        .certificates = {text->certificate, text->certificate_len},
        .roots = signer->roots,
        .now = checkpoint->time,
    };
    uint8_t digest[SWKI_SHA256_SIZE];
    struct swki_identity identity;
    int rc;

    if (!swki_audit_checkpoint_digest(text->body, text->body_len, digest)) {
        return swki_fail_nomem(err);
    }
    rc = swki_leaf_check_digest(chain.certificates, digest, text->signature,
                                text->signature_len, err);
    if (rc == 0) {
        rc = swki_certificate_identity(chain.certificates, &identity, err);
    }
    if (rc != 0) {
        return rc;
    }
    *out_identity = identity;
    rc = check_identity(&identity, checkpoint, signer, err);
    if (rc == 0 && signer->roots.len > 0) {
        rc = swki_chain_verify(&chain, NULL, err);
    }
    return rc;
}
