/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * Join tokens: the line of text that lets a new node into a swarm.
 *
 * A token pins the swarm's root certificates by their digest; its secret shows
 * the CA which role the node may have. The text has one of three forms:
 *
 *     SWMTKN-1-<digest>-<secret>
 *     SWMTKN-2-0-<digest>-<secret>
 *     SWMTKN-2-1-<digest>-<secret>      the swarm admits FIPS nodes only
 *
 * digest being 50 base-36 digits and secret 25, both left-padded with '0'.
 */

#ifndef SWARMKIT_JOIN_TOKEN_H
#define SWARMKIT_JOIN_TOKEN_H

#include <swarmkit/error.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

enum {
    SWK_JOIN_TOKEN_DIGEST_SIZE = 32,   /**< Bytes of a SHA-256. */
    SWK_JOIN_TOKEN_RANDOM_SIZE = 16,   /**< Bytes that a secret stands for. */
    SWK_JOIN_TOKEN_SECRET_DIGITS = 25, /**< Without the NUL. */
    SWK_JOIN_TOKEN_TEXT_SIZE = 88,     /**< The longest form with its NUL. */
};

/** Flags of swk_join_token.flags. */
enum {
    SWK_JOIN_TOKEN_FIPS = 1 << 0, /**< Every node must run in FIPS mode. */
};

/** A token taken apart. A plain value: copy it, keep it on the stack. */
struct swk_join_token {
    /** SHA-256 of the root CA bundle, over its PEM text as served. */
    uint8_t root_digest[SWK_JOIN_TOKEN_DIGEST_SIZE];
    /** Base-36 text, NUL-terminated. Secret: wipe it, never log it. */
    char secret[SWK_JOIN_TOKEN_SECRET_DIGITS + 1];
    uint32_t flags; /**< SWK_JOIN_TOKEN_*; unknown bits are zero. */
};

/**
 * Reads a token.
 *
 * @param text      ASCII, borrowed for the call; needs no NUL; not NULL.
 * @param text_len  Bytes at text; surrounding white space is an error.
 * @param out_token Receives the token; untouched on failure; not NULL.
 * @param err       Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a NULL argument; SWK_EMALFORMED for text in none
 *         of the three forms, or a digest of more than 256 bits.
 * @threads any
 * @source  ca/config.go, ParseJoinToken. Stricter: a digit outside [0-9a-z]
 *          is refused here; there it surfaces when certificates are compared.
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_join_token_parse(const char *text, size_t text_len,
                     struct swk_join_token *out_token, struct swk_error *err);

/**
 * Makes a token from the digest of a swarm's roots and fresh random bytes.
 *
 * @param root_digest SHA-256 of the root CA bundle; not NULL.
 * @param random      Bytes of a source that is fit for keys; not NULL. They
 *                    become the secret: wipe them afterwards.
 * @param flags       SWK_JOIN_TOKEN_*.
 * @param out_token   Receives the token; not NULL.
 * @param err         Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a NULL argument or an unknown flag.
 * @threads any
 * @source  ca/config.go, GenerateJoinToken.
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_join_token_make(const uint8_t root_digest[SWK_JOIN_TOKEN_DIGEST_SIZE],
                    const uint8_t random[SWK_JOIN_TOKEN_RANDOM_SIZE],
                    uint32_t flags, struct swk_join_token *out_token,
                    struct swk_error *err);

/**
 * Writes a token: version 1 without flags, version 2 with the FIPS flag.
 *
 * Parsing the text gives the same token. The form with version 2 and no flag
 * is read, but never written.
 *
 * @param token    Borrowed for the call; not NULL.
 * @param out_text Receives the text with its NUL; not NULL. Secret: wipe it.
 * @param err      Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a NULL argument, an unknown flag, or a secret that
 *         is not 25 digits of base 36.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_join_token_format(const struct swk_join_token *token,
                      char out_text[SWK_JOIN_TOKEN_TEXT_SIZE],
                      struct swk_error *err);

SWK_END_DECLS

#endif
