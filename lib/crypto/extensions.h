/* SPDX-License-Identifier: Apache-2.0 */

/* X.509 version 3 extensions: the few that a swarm's certificates carry. */

#ifndef SWKI_CRYPTO_EXTENSIONS_H
#define SWKI_CRYPTO_EXTENSIONS_H

#include "crypto/mbed.h"

enum {
    SWKI_KEY_ID_SIZE = 20,     /* of those made here */
    SWKI_KEY_ID_SIZE_MAX = 64, /* of those of others */
};

/* For a CA: sign certificates and lists; no limit on the path. */
void swki_extensions_put_ca(struct swki_buf *der);

/* For a node: TLS as server and client, and no CA. */
void swki_extensions_put_node(struct swki_buf *der);

void swki_extensions_put_subject_key(struct swki_buf *der, const uint8_t *id,
                                     size_t id_len);
void swki_extensions_put_authority_key(struct swki_buf *der, const uint8_t *id,
                                       size_t id_len);

/* DNS names, in this order. */
void swki_extensions_put_dns_names(struct swki_buf *der,
                                   const char *const *names, size_t count);

/*
 * The identifier of a certificate's key: what it says itself, else the usual
 * digest.
 */
int swki_extensions_key_id(mbedtls_x509_crt *certificate,
                           uint8_t out_id[SWKI_KEY_ID_SIZE_MAX],
                           size_t *out_len, struct swk_error *err);

/* Copies a certificate's extensions to the byte, save its issuer's key. */
int swki_extensions_copy(struct swki_buf *der,
                         const mbedtls_x509_crt *certificate,
                         struct swk_error *err);

#endif
