/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The proof by which a node renews a certificate that has ended.
 *
 * TLS takes such a certificate no more, so the node comes without one, with the
 * old chain and a signature by its key. What is signed names the swarm, the
 * node, the request for the new certificate, and the old chain: the signature
 * is of no use for anything else.
 *
 * The signing half has nothing of a manager.
 */

#ifndef SWKI_CA_PROOF_H
#define SWKI_CA_PROOF_H

#include <swarmkit/error.h>
#include <swarmkit/port/entropy.h>

#include "crypto/x509.h"

/* How long past its end a certificate may be renewed, unless the swarm says
 * otherwise. */
#define SWKI_CA_GRACE_DEFAULT (30 * 24 * SWK_HOUR)

/* What the signature is about. Both IDs are those of the chain's leaf. */
struct swki_ca_proof {
    const char *swarm_id;
    const char *node_id;
    struct swki_pem csr;   /* as sent */
    struct swki_pem chain; /* as sent */
};

/* The digest that is signed. SWK_ENOMEM. */
int swki_ca_proof_digest(const struct swki_ca_proof *proof,
                         uint8_t out_digest[SWKI_SHA256_SIZE],
                         struct swk_error *err);

/* Signs by the key of the chain's leaf. */
int swki_ca_proof_sign(const struct swki_ca_proof *proof, struct swki_pem key,
                       const struct swk_entropy *entropy,
                       uint8_t out_signature[SWKI_SIGNATURE_SIZE_MAX],
                       size_t *out_len, struct swk_error *err);

#endif
