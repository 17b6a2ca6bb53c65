/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * Specs of services that operators sign, so that nodes need not trust managers.
 *
 * A signature is over all of a spec that decides what code runs and with which
 * rights, and over its own terms. It is made with a key of the operator's, and
 * checked by nodes whose agent knows the public half.
 */

#ifndef SWARMKIT_SIGNED_SPEC_H
#define SWARMKIT_SIGNED_SPEC_H

#include <swarmkit/error.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

enum {
    SWK_SIGNING_KEY_ID_LEN = 64, /**< Hexadecimal digits, without the NUL. */
};

/** Curves of ECDSA. */
enum swk_signing_curve {
    SWK_SIGNING_CURVE_P256 = 0, /**< With SHA-256. */
    SWK_SIGNING_CURVE_P384 = 1, /**< With SHA-384. */
};

/** A private key to sign specs with. */
typedef struct swk_signing_key swk_signing_key;

/** Which key it is. Pointers are *borrowed for the call*. */
struct swk_signing_key_config {
    size_t size; /**< sizeof(struct swk_signing_key_config). */
    /** The key, PEM: SEC 1 or PKCS#8, or PKCS#8 under a password. NULL to
     *  make a new one. */
    const void *pem;
    size_t pem_len; /**< Bytes at pem, which needs no NUL. */
    /** What the key is encrypted with, or a new one is to be; NULL for none. */
    const void *password;
    size_t password_len;               /**< Bytes at password. */
    const struct swk_entropy *entropy; /**< Required; what it points to is
                                        *borrowed until* the key is freed. */
    int32_t curve; /**< enum swk_signing_curve, of a new key. */
};

/** An empty configuration. */
#define SWK_SIGNING_KEY_CONFIG_INIT                                            \
    {                                                                          \
        sizeof(struct swk_signing_key_config)                                  \
    }

/**
 * Reads a private key, or makes one.
 *
 * @param config   *Copied* where needed; not NULL.
 * @param out_key  Receives the key, *given*: swk_signing_key_free(); not NULL.
 * @param err      Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a configuration that makes no sense or a key that
 *         does not serve; SWK_EMALFORMED for what is no key; SWK_EDENIED if a
 *         password is missing or another one; SWK_EUNAVAILABLE without entropy;
 *         SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_signing_key_new(const struct swk_signing_key_config *config,
                    swk_signing_key **out_key, struct swk_error *err);

/**
 * Wipes and releases a key.
 *
 * @param key  May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_signing_key_free(swk_signing_key *key);

/**
 * Tells whether a PEM text is a key under a password.
 *
 * @param pem      Borrowed for the call; not NULL.
 * @param pem_len  Bytes at pem.
 * @return 1 or 0.
 * @threads any
 * @since   0.1
 */
SWK_API int swk_signing_key_is_sealed(const void *pem, size_t pem_len);

/**
 * Tells the key's ID: the SHA-256 of its public half, as DER, in hexadecimal.
 *
 * @param key  Not NULL.
 * @return Text, *borrowed until* swk_signing_key_free().
 * @threads any
 * @since   0.1
 */
SWK_API const char *swk_signing_key_id(const swk_signing_key *key);

/**
 * Tells the public half.
 *
 * @param key  Not NULL.
 * @return PEM text, *borrowed until* swk_signing_key_free().
 * @threads any
 * @since   0.1
 */
SWK_API const char *swk_signing_key_public(const swk_signing_key *key);

/**
 * Tells the private key, to be kept in a file: PKCS#8, encrypted if there is a
 * password.
 *
 * @param key  Not NULL.
 * @return PEM text, *borrowed until* swk_signing_key_free(). Secret.
 * @threads any
 * @since   0.1
 */
SWK_API const char *swk_signing_key_private(const swk_signing_key *key);

/** The terms of a signature. */
struct swk_spec_terms {
    size_t size; /**< sizeof(struct swk_spec_terms). */
    /** The swarm that it is for; NULL for any. Borrowed for the call. */
    const char *swarm_id;
    swk_wall signed_at; /**< The time now. */
    swk_wall not_after; /**< No task is begun after it; 0 for no end. */
};

/** Empty terms. */
#define SWK_SPEC_TERMS_INIT                                                    \
    {                                                                          \
        sizeof(struct swk_spec_terms)                                          \
    }

/**
 * Signs the spec of a service: in place of what the same key signed before, and
 * beside the signatures of other keys.
 *
 * @param key       Not NULL.
 * @param terms     Borrowed for the call; not NULL.
 * @param spec      An encoded docker.swarmkit.v1.ServiceSpec; not NULL.
 * @param spec_len  Bytes at spec.
 * @param out_spec  Receives the encoded spec with the signature; *given*:
 *                  swk_message_data_free(); not NULL.
 * @param out_len   Receives its bytes; not NULL.
 * @param err       Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a NULL argument or a spec that cannot be signed;
 *         SWK_EMALFORMED for bytes that are no spec; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_spec_sign(swk_signing_key *key,
                                         const struct swk_spec_terms *terms,
                                         const void *spec, size_t spec_len,
                                         uint8_t **out_spec, size_t *out_len,
                                         struct swk_error *err);

/** Whom a spec is checked against. Pointers are *borrowed for the call*. */
struct swk_spec_trust {
    size_t size;             /**< sizeof(struct swk_spec_trust). */
    const char *public_keys; /**< PEM text, NUL-terminated. */
    const char *swarm_id;    /**< That it is to run in; NULL for any. */
    swk_wall now;
};

/** An empty trust. */
#define SWK_SPEC_TRUST_INIT                                                    \
    {                                                                          \
        sizeof(struct swk_spec_trust)                                          \
    }

/**
 * Checks whether a trusted key signed just this spec, as an agent would.
 *
 * @param trust       Not NULL.
 * @param spec        An encoded docker.swarmkit.v1.ServiceSpec; not NULL.
 * @param spec_len    Bytes at spec.
 * @param out_key_id  Receives the ID of the key whose signature is good, and a
 *                    NUL; not NULL.
 * @param err         Receives the reason on failure; may be NULL.
 * @return 0; SWK_EDENIED if no signature is good; SWK_EINVAL for a NULL
 *         argument or keys that do not serve; SWK_EMALFORMED for bytes that are
 *         no spec, or text without keys; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_spec_verify(const struct swk_spec_trust *trust, const void *spec,
                size_t spec_len, char out_key_id[SWK_SIGNING_KEY_ID_LEN + 1],
                struct swk_error *err);

SWK_END_DECLS

#endif
