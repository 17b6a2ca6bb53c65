/* SPDX-License-Identifier: Apache-2.0 */

/* A request as the issuer takes it apart. */

#ifndef SWKI_CRYPTO_CSR_H
#define SWKI_CRYPTO_CSR_H

#include "crypto/mbed.h"

/* Reads what swki_csr_check() accepts; csr is initialised, and freed by the
 * caller in any case. */
int swki_csr_parse(mbedtls_x509_csr *csr, struct swki_pem pem,
                   struct swk_error *err);

#endif
