/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * Unlock keys: what a manager with locked keys needs to start.
 *
 * When a swarm locks its managers, the private key and the keys of the log on
 * a manager's disk are sealed under this key, which the swarm itself knows and
 * the disk does not. The text has one form,
 *
 *     SWMKEY-1-<key>
 *
 * key being 43 characters of base 64 without padding.
 */

#ifndef SWARMKIT_UNLOCK_KEY_H
#define SWARMKIT_UNLOCK_KEY_H

#include <swarmkit/error.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

enum {
    SWK_UNLOCK_KEY_SIZE = 32,     /**< Bytes of a key. */
    SWK_UNLOCK_KEY_TEXT_LEN = 52, /**< Characters of its text, without NUL. */
};

/** A key taken apart. A plain value, and a secret: wipe it, never log it. */
struct swk_unlock_key {
    uint8_t bytes[SWK_UNLOCK_KEY_SIZE]; /**< Random. */
};

/**
 * Reads a key.
 *
 * @param text      ASCII, borrowed for the call; needs no NUL; not NULL.
 * @param text_len  Bytes at text; surrounding white space is an error.
 * @param out_key   Receives the key; untouched on failure; not NULL.
 * @param err       Receives the reason on failure, without any of the text;
 *                  may be NULL.
 * @return 0; SWK_EINVAL for a NULL argument; SWK_EMALFORMED for another form,
 *         other characters, padding, or bits that no encoder sets.
 * @threads any
 * @source  manager/encryption/encryption.go, ParseHumanReadableKey. Stricter:
 *          a key of another length is refused.
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_unlock_key_parse(const char *text, size_t text_len,
                     struct swk_unlock_key *out_key, struct swk_error *err);

/**
 * Writes a key as text.
 *
 * @param key       Not NULL.
 * @param out_text  Receives SWK_UNLOCK_KEY_TEXT_LEN characters and a NUL; not
 *                  NULL.
 * @threads any
 * @since   0.1
 */
SWK_API void
swk_unlock_key_format(const struct swk_unlock_key *key,
                      char out_text[SWK_UNLOCK_KEY_TEXT_LEN + 1]);

SWK_END_DECLS

#endif
