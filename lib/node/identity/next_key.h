/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A key that was made for a certificate which has yet to come, on the disk: the
 * answer may be lost, or not be usable for now, and the CA goes by the request
 * all the same. The key stays until an answer was judged.
 *
 * It lies in a file of its own beside the node's key, with the request that was
 * sent, and is sealed by that key: whoever can read the one can read the other,
 * whether the node is locked or not, and nobody else. When the node's key has
 * been replaced, the file is of no use any more. A node that joins has no key
 * yet; then it is in clear, as the key of an unlocked node is.
 */

#ifndef SWKI_NODE_NEXT_KEY_H
#define SWKI_NODE_NEXT_KEY_H

#include <swarmkit/port/entropy.h>

#include "crypto/x509.h"

#define SWKI_NEXT_KEY_NAME "swarm-node-next.key"

struct swki_next_key {
    const char *dir;     /* of the certificates */
    struct swki_pem own; /* the node's key; empty: it has none */
    const struct swk_entropy *entropy;
};

/* Puts key and request in the place of those that are there, in one step; makes
 * the directory if it is missing. */
int swki_next_key_write(const struct swki_next_key *file, struct swki_pem key,
                        struct swki_pem csr, struct swk_error *err);

/*
 * Appends both; neither has a NUL behind it. SWK_ENOTFOUND if there are none:
 * what cannot be opened by the own key was left behind by an earlier one.
 */
int swki_next_key_read(const struct swki_next_key *file,
                       struct swki_buf *out_key, struct swki_buf *out_csr,
                       struct swk_error *err);

bool swki_next_key_exists(const char *dir);

/* It was judged, or is out of date. */
void swki_next_key_remove(const char *dir);

#endif
