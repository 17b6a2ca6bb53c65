/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * What a certificate says, for programs that show it to people, and whether a
 * node has one that another certificate has signed.
 */

#ifndef SWARMKIT_CERTIFICATE_H
#define SWARMKIT_CERTIFICATE_H

#include <swarmkit/error.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

enum {
    SWK_CERTIFICATE_DIGEST_SIZE = 32,  /**< Bytes of a SHA-256. */
    SWK_CERTIFICATE_NAME_SIZE = 256,  /**< Bytes of a name as text. */
};

/** What a certificate says. Nothing of it is verified. */
struct swk_certificate {
    size_t size;         /**< sizeof(struct swk_certificate). */
    swk_wall not_before; /**< It is valid from here on. */
    swk_wall not_after;  /**< It is valid until here. */
    /** SHA-256 of its DER, by which people compare certificates. */
    uint8_t fingerprint[SWK_CERTIFICATE_DIGEST_SIZE];
    /** Whom it is for, such as "CN=swarm-ca": NUL-terminated, printable, and
     *  cut if it is longer. */
    char subject[SWK_CERTIFICATE_NAME_SIZE];
    /** Who signed it, likewise. */
    char issuer[SWK_CERTIFICATE_NAME_SIZE];
    uint32_t count;    /**< Certificates in the text; the first is told of. */
    uint32_t reserved; /**< Zero. */
};

/**
 * Reads the first of the certificates in a text.
 *
 * @param pem             PEM of one certificate or more, *borrowed for the
 *                        call*; needs no NUL; not NULL.
 * @param pem_len         Bytes at pem, at most 64 KiB.
 * @param out_certificate Receives what it says, up to the size that is set in
 *                        it; untouched on failure; not NULL.
 * @param err             Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a NULL argument or a size that is not known;
 *         SWK_EMALFORMED for what is no certificate; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_certificate_read(const void *pem, size_t pem_len,
                     struct swk_certificate *out_certificate,
                     struct swk_error *err);

/**
 * Whether the first certificate of a text is the issuer that a node reports:
 * NodeTLSInfo of docker.swarmkit.v1 has name and key of whose signature is
 * under the node's own certificate.
 *
 * @param pem      PEM, *borrowed for the call*; needs no NUL; may be NULL.
 * @param pem_len  Bytes at pem.
 * @param subject  DER of the issuer's name, *borrowed for the call*.
 * @param key      DER of the issuer's public key, *borrowed for the call*.
 * @return 1 if it is; 0 if it is not, or if there is no such certificate.
 * @threads any
 * @since   0.1
 */
SWK_API int swk_certificate_is_issuer(const void *pem, size_t pem_len,
                                      const struct swk_bytes *subject,
                                      const struct swk_bytes *key);

SWK_END_DECLS

#endif
