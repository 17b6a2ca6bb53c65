/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The text of a node's key file: its private key as PKCS #8 and, on managers,
 * the keys of the log as headers between the first line and the key. All is in
 * one file so that both are always under the same unlock key.
 */

#ifndef SWKI_NODE_KEY_FILE_H
#define SWKI_NODE_KEY_FILE_H

#include "core/autolock/data_keys.h"
#include "crypto/x509.h"

/*
 * Takes a file apart; the key is appended in clear. unlock_key may be NULL,
 * and is ignored if the file is not locked. SWK_EDENIED if it is and the key
 * is not the right one; SWK_ECORRUPT; SWK_ENOTSUP.
 */
int swki_key_file_read(struct swki_pem text,
                       const struct swk_unlock_key *unlock_key,
                       const struct swk_entropy *entropy,
                       struct swki_buf *out_key,
                       struct swki_data_keys *out_keys, struct swk_error *err);

/* Appends the text; sealed if the keys are locked. entropy may be NULL if they
 * are not. */
int swki_key_file_write(struct swki_pem key, const struct swki_data_keys *keys,
                        const struct swk_entropy *entropy,
                        struct swki_buf *out_text, struct swk_error *err);

#endif
