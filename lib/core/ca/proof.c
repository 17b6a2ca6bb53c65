/* SPDX-License-Identifier: Apache-2.0 */

#include "core/ca/proof.h"

#include <string.h>

#include "base/error.h"

/* What no other signature of a node's key begins with. */
static const char domain[] = "swarmkit: renewal of an ended certificate, 1";

/* Each part after its length, so that none can pass for another. */
static void add(struct swki_buf *buf, const void *data, size_t len)
{
    uint8_t length[4] = {
        (uint8_t)(len >> 24),
        (uint8_t)(len >> 16),
        (uint8_t)(len >> 8),
        (uint8_t)len,
    };

    swki_buf_append(buf, length, sizeof(length));
    swki_buf_append(buf, data, len);
}

int swki_ca_proof_digest(const struct swki_ca_proof *proof,
                         uint8_t out_digest[SWKI_SHA256_SIZE],
                         struct swk_error *err)
{
    uint8_t csr[SWKI_SHA256_SIZE];
    uint8_t chain[SWKI_SHA256_SIZE];
    struct swki_buf signed_part;
    bool done = swki_sha256(proof->csr.text, proof->csr.len, csr) &&
                swki_sha256(proof->chain.text, proof->chain.len, chain);

    swki_buf_init(&signed_part, NULL, SIZE_MAX);
    add(&signed_part, domain, sizeof(domain));
    add(&signed_part, proof->swarm_id, strlen(proof->swarm_id));
    add(&signed_part, proof->node_id, strlen(proof->node_id));
    add(&signed_part, csr, sizeof(csr));
    add(&signed_part, chain, sizeof(chain));
    done = done && !signed_part.failed &&
           swki_sha256(signed_part.data, signed_part.len, out_digest);
    swki_buf_fini(&signed_part);
    return done ? SWK_OK : swki_fail_nomem(err);
}

int swki_ca_proof_sign(const struct swki_ca_proof *proof, struct swki_pem key,
                       const struct swk_entropy *entropy,
                       uint8_t out_signature[SWKI_SIGNATURE_SIZE_MAX],
                       size_t *out_len, struct swk_error *err)
{
    uint8_t digest[SWKI_SHA256_SIZE];
    int rc = swki_ca_proof_digest(proof, digest, err);

    return rc != 0 ? rc
                   : swki_key_sign_digest(key, digest, entropy, out_signature,
                                          out_len, err);
}
