/* SPDX-License-Identifier: Apache-2.0 */

/* Subjects and public keys inside of certificates and requests. */

#ifndef SWKI_CRYPTO_NAMES_H
#define SWKI_CRYPTO_NAMES_H

#include "crypto/mbed.h"

enum swki_name_part {
    SWKI_NAME_CN,
    SWKI_NAME_O,
    SWKI_NAME_OU,
};

/* Whether text may stand in a name: [A-Za-z0-9._-], 1 to 64 of them. */
bool swki_names_valid(const char *text);

/* Appends one relative name; SWK_EINVAL for text that is not valid. */
int swki_names_put_attribute(struct swki_buf *der, enum swki_name_part part,
                             const char *text, struct swk_error *err);

/* Appends a SubjectPublicKeyInfo. */
int swki_names_put_key(struct swki_buf *der, mbedtls_pk_context *key,
                       struct swk_error *err);

/* SHA-1 over the bits of the key: the usual key identifier, no security. */
int swki_names_key_id(mbedtls_pk_context *key, uint8_t out_id[20],
                      struct swk_error *err);

#endif
