/* SPDX-License-Identifier: Apache-2.0 */

/* A small authority for tests: seeded, so every run sees the same keys. */

#ifndef TESTS_UNIT_CRYPTO_PKI_H
#define TESTS_UNIT_CRYPTO_PKI_H

#include "base/rng.h"
#include "crypto/x509.h"

/* 2030-01-01T00:00:00Z */
#define PKI_NOW (INT64_C(1893456000) * INT64_C(1000000000))
#define PKI_SWARM "swarm0000000000000000000a"

struct pki {
    struct swki_rng rng;
    struct swk_entropy entropy;
    struct swki_buf key;  /* PEM with a NUL behind it, as all below */
    struct swki_buf root;
    struct swki_signer *signer;
};

struct pki_node {
    struct swki_buf key;
    struct swki_buf chain;
};

void pki_init(struct pki *pki, uint64_t seed);
void pki_fini(struct pki *pki);

/* A node with a certificate of this authority, made at PKI_NOW. */
void pki_node_init(struct pki *pki, struct pki_node *node, const char *id,
                   enum swki_role role);
void pki_node_fini(struct pki_node *node);

/* A new key and a request for it. */
void pki_request(struct pki *pki, struct swki_buf *out_key,
                 struct swki_buf *out_csr);

/* The text of a buffer that ends in a NUL beyond its length. */
const char *pki_text(const struct swki_buf *buf);

/* Puts a NUL behind the buffer's content. */
void pki_end(struct swki_buf *buf);

#endif
