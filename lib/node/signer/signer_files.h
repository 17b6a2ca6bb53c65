/* SPDX-License-Identifier: Apache-2.0 */

/* The files of a signer's directory, and the keys in them. */

#ifndef SWKI_NODE_SIGNER_FILES_H
#define SWKI_NODE_SIGNER_FILES_H

#include <limits.h>
#include <sys/types.h>

#include "node/signer/signer_keys.h"

/* "FINGERPRINT.pem" */
struct swki_signer_name {
    char text[SWK_FINGERPRINT_LEN + 5];
};

struct swki_pem swki_signer_pem(struct swk_bytes bytes);
/* Wipes all the room of a buffer, and releases it. */
void swki_signer_wipe(struct swki_buf *buf);

void swki_signer_path(const struct swk_signer_keys *keys, const char *name,
                      char out_path[PATH_MAX]);
void swki_signer_name(const char *fingerprint,
                      struct swki_signer_name *out_name);

/* What holds keys is its owner's alone; type is S_IFDIR or S_IFREG.
 * SWK_EDENIED, SWK_EINVAL, SWK_ENOTFOUND. */
int swki_signer_check_private(const char *path, mode_t type,
                              struct swk_error *err);

/* Checks, and appends the whole file. */
int swki_signer_read_file(const struct swk_signer_keys *keys, const char *name,
                          struct swki_buf *out_text, struct swk_error *err);
int swki_signer_write_file(const struct swk_signer_keys *keys, const char *name,
                           const struct swki_buf *text, struct swk_error *err);

/* Waits for others that write; close() lets them. */
int swki_signer_lock(const struct swk_signer_keys *keys, int *out_fd,
                     struct swk_error *err);

/* The block of a private key in the text, which may hold more; empty for
 * none. */
struct swki_pem swki_signer_key_block(struct swki_pem text);

/* The plain key of a text that holds it, sealed or not. */
int swki_signer_open_key(const struct swk_signer_keys *keys,
                         struct swki_pem text, struct swki_pem password,
                         struct swki_buf *out_key, struct swk_error *err);
/* Appends a key, sealed if there is a password. */
int swki_signer_put_key(const struct swk_signer_keys *keys, struct swki_pem key,
                        struct swki_pem password, struct swki_buf *out_text,
                        struct swk_error *err);

#endif
