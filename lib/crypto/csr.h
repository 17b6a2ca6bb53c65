/* SPDX-License-Identifier: Apache-2.0 */

/* A request as the issuer takes it apart. */

#ifndef SWKI_CRYPTO_CSR_H
#define SWKI_CRYPTO_CSR_H

#include "crypto/mbed.h"

/* The key of what swki_csr_check() accepts; key is initialised, and freed by
 * the caller in any case. */
int swki_csr_parse(struct swki_pem csr, mbedtls_pk_context *key,
                   struct swk_error *err);

#endif
