/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Keys, certificate requests and certificates, as a swarm uses them.
 *
 * Nothing here reads a clock or draws randomness by itself: both are
 * arguments. Everything travels as PEM text.
 */

#ifndef SWKI_CRYPTO_X509_H
#define SWKI_CRYPTO_X509_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/port/entropy.h>

#include "base/buf.h"
#include "crypto/digest.h"
#include "crypto/identity.h"

enum {
    SWKI_PEM_LEN_MAX = 64 * 1024,   /* of any PEM text that is read */
    SWKI_CSR_LEN_MAX = 16 * 1024,   /* of a request, which strangers send */
    SWKI_CERTIFICATES_MAX = 16,     /* in one chain or bundle */
    SWKI_CERTIFICATE_NAME_MAX = 64, /* bytes of a CN, O or OU */
    SWKI_SIGNATURE_SIZE_MAX = 1024, /* RSA of 8192 bits */
};

/* PEM text, borrowed for the call; needs no NUL. */
struct swki_pem {
    const void *text;
    size_t len;
};

struct swki_pem swki_pem_of(const char *text);
struct swki_pem swki_pem_of_buf(const struct swki_buf *buf);

/* ---- keys (key.c) ---- */

/* Appends a new P-256 key as PKCS#8. */
int swki_key_generate(const struct swk_entropy *entropy,
                      struct swki_buf *out_pem, struct swk_error *err);

/* Rewrites any readable, unencrypted EC key (SEC 1 or PKCS#8) as PKCS#8. */
int swki_key_convert(struct swki_pem key, const struct swk_entropy *entropy,
                     struct swki_buf *out_pem, struct swk_error *err);

/* SWK_EINVAL if key is not that of the first certificate. */
int swki_key_matches(struct swki_pem key, struct swki_pem certificate,
                     const struct swk_entropy *entropy, struct swk_error *err);

/* ---- keys under a password (key_seal.c) ---- */

/* Appends a readable EC key as encrypted PKCS#8: PBES2, with PBKDF2 over
 * HMAC-SHA-1 and AES-256-CBC. */
int swki_key_seal(struct swki_pem key, const void *password,
                  size_t password_len, const struct swk_entropy *entropy,
                  struct swki_buf *out_pem, struct swk_error *err);

/* The same for a password that a person chose: 600,000 rounds of HMAC-SHA-256,
 * a good part of a second. */
int swki_key_seal_slowly(struct swki_pem key, const void *password,
                         size_t password_len, const struct swk_entropy *entropy,
                         struct swki_buf *out_pem, struct swk_error *err);

/*
 * Appends the plain PKCS#8 of such a key, whichever of the two it was.
 * SWK_EDENIED if the password is not the key's, SWK_EMALFORMED for another
 * form. The scheme has no check of its own, only that a key must come out.
 */
int swki_key_unseal(struct swki_pem sealed, const void *password,
                    size_t password_len, const struct swk_entropy *entropy,
                    struct swki_buf *out_pem, struct swk_error *err);

bool swki_key_is_sealed(struct swki_pem key);

/* ---- requests (csr.c) ---- */

/*
 * Appends a request for a certificate of this key. common_name is only for
 * readers' eyes (the CA decides names): [A-Za-z0-9._-], 1 to 64 of them.
 */
int swki_csr_create(struct swki_pem key, const char *common_name,
                    const struct swk_entropy *entropy,
                    struct swki_buf *out_pem, struct swk_error *err);

/*
 * Reads a stranger's request: a P-256 key and a good signature of its own, or
 * SWK_EMALFORMED. Nothing else in it counts.
 */
int swki_csr_check(struct swki_pem csr, struct swk_error *err);

/* Appends the key of a request, whose signature is not looked at: DER, with its
 * algorithm. */
int swki_csr_public_key(struct swki_pem csr, struct swki_buf *out_der,
                        struct swk_error *err);

/* ---- issuing (issue.c, leaf.c) ---- */

/* Appends a new self-signed root for key, valid for 20 years from now. */
int swki_root_create(struct swki_pem key, swk_wall now,
                     const struct swk_entropy *entropy,
                     struct swki_buf *out_pem, struct swk_error *err);

/* A CA certificate with its key, ready to sign. */
struct swki_signer;

struct swki_signer_config {
    struct swki_pem certificate;   /* the first one signs; not verified */
    struct swki_pem key;           /* wiped from working memory */
    struct swki_pem intermediates; /* copied behind each leaf; may be empty */
    const struct swk_entropy *entropy; /* copied */
};

/* SWK_EINVAL for a key that is of no use or not the certificate's. */
int swki_signer_new(const struct swk_alloc *alloc,
                    const struct swki_signer_config *config,
                    struct swki_signer **out_signer, struct swk_error *err);
void swki_signer_free(struct swki_signer *signer);

/* Clocks of a swarm differ: a leaf is valid a little earlier. */
#define SWKI_LEAF_BACKDATE SWK_HOUR

/* What the CA decided about a node; all names [A-Za-z0-9._-], at most 64. */
struct swki_leaf {
    const char *node_id;
    const char *swarm_id;
    enum swki_role role; /* worker or manager */
    swk_wall now;
    uint64_t validity_ns; /* beside the hour of backdating */
};

/*
 * Appends the leaf for the key of csr, then the intermediates. It ends with the
 * certificate that signs it, if that ends before. SWK_EMALFORMED for a request
 * that does not pass swki_csr_check(), SWK_EINVAL for a leaf that cannot be
 * written, SWK_ECLOCK if the certificate that is to sign has ended.
 */
int swki_signer_issue(struct swki_signer *signer, struct swki_pem csr,
                      const struct swki_leaf *leaf, struct swki_buf *out_pem,
                      struct swk_error *err);

/*
 * Whether a certificate that another made is the one that was asked for at
 * leaf->now: one certificate, these names and no other, the key of csr, no CA,
 * and not valid for longer; an hour's difference of clocks does not matter.
 * Who signed it is not looked at. SWK_EMALFORMED, SWK_EINVAL.
 */
int swki_leaf_check(struct swki_pem certificate, const struct swki_leaf *leaf,
                    struct swki_pem csr, struct swk_error *err);

/*
 * Appends a certificate with the subject, key, validity and extensions of
 * another root, signed by this one: under it, what the other signs verifies.
 */
int swki_signer_cross_sign(struct swki_signer *signer, struct swki_pem root,
                           struct swki_buf *out_pem, struct swk_error *err);

/* ---- cross certificates that others make (cross.c) ---- */

/*
 * Appends a request for a certificate with a root's subject, key and
 * extensions, by the root's own key; SWK_EINVAL if it is not.
 */
int swki_cross_request(struct swki_pem root, struct swki_pem key,
                       const struct swk_entropy *entropy,
                       struct swki_buf *out_pem, struct swk_error *err);

enum {
    SWKI_SUBJECT_PARTS_MAX = 16,
    SWKI_SUBJECT_VALUE_MAX = 128,
};

struct swki_subject_part {
    const char *word; /* "CN", "C", "ST", "L", "O", "OU" */
    char value[SWKI_SUBJECT_VALUE_MAX + 1];
};

/* Of a certificate, in its order. */
struct swki_subject {
    struct swki_subject_part parts[SWKI_SUBJECT_PARTS_MAX];
    size_t parts_count;
};

/* The subject of the first certificate; SWK_ENOTSUP for one with other parts,
 * or with texts of other kinds. */
int swki_certificate_subject(struct swki_pem certificate,
                             struct swki_subject *out_subject,
                             struct swk_error *err);

/*
 * Whether a certificate, which may be by anybody, can stand for a root under
 * another: one of its subject and key, to the byte, of a CA, for both ends of
 * connections. SWK_EINVAL if not; who signed it, and when it is valid, are not
 * looked at.
 */
int swki_cross_check(struct swki_pem cross, struct swki_pem root,
                     struct swk_error *err);

/* ---- a node's own certificate (leaf.c) ---- */

/* Signs a digest by an EC key: ECDSA in DER. */
int swki_key_sign_digest(struct swki_pem key,
                         const uint8_t digest[SWKI_SHA256_SIZE],
                         const struct swk_entropy *entropy,
                         uint8_t out_signature[SWKI_SIGNATURE_SIZE_MAX],
                         size_t *out_len, struct swk_error *err);

/* SWK_EUNAUTHENTICATED unless the key of the chain's leaf signed the digest. */
int swki_leaf_check_digest(struct swki_pem chain,
                           const uint8_t digest[SWKI_SHA256_SIZE],
                           const void *signature, size_t len,
                           struct swk_error *err);

/* Whether two chains have the same leaf, to the byte. */
bool swki_leaf_same(struct swki_pem a, struct swki_pem b);

/*
 * Whether roots, from whomever they came, may take the place of the trusted
 * ones: one of them signed the leaf itself, and all others are trusted
 * already. So a genuine root does not bring another one in, and one whose time
 * has passed does not come back by a cross certificate. SWK_EUNAUTHENTICATED
 * if not; dates are not looked at.
 */
int swki_leaf_vouches(struct swki_pem chain, struct swki_pem trusted,
                      struct swki_pem roots, struct swk_error *err);

/* ---- reading and verifying (certificate.c, verify.c) ---- */

/*
 * Who the first certificate says its holder is. SWK_EMALFORMED unless CN, O
 * and OU occur once each, are well formed, and OU is a role.
 */
int swki_certificate_identity(struct swki_pem certificate,
                              struct swki_identity *out_identity,
                              struct swk_error *err);

struct swki_certificate_info {
    swk_wall not_before;
    swk_wall not_after;
    struct swki_buf subject;    /* DER */
    struct swki_buf issuer;     /* DER of the issuer's name */
    struct swki_buf public_key; /* DER, with its algorithm */
    struct swki_buf serial;     /* a number, big-endian */
};

/* About the first certificate; release with swki_certificate_info_fini(). */
int swki_certificate_info_init(struct swki_certificate_info *info,
                               const struct swk_alloc *alloc,
                               struct swki_pem certificate,
                               struct swk_error *err);
void swki_certificate_info_fini(struct swki_certificate_info *info);

/* SHA-256 over the DER of the first certificate: its fingerprint. */
int swki_certificate_digest(struct swki_pem certificate,
                            uint8_t out_digest[SWKI_SHA256_SIZE],
                            struct swk_error *err);

/* Appends the same certificates without headers or text between them. */
int swki_certificate_normalise(struct swki_pem chain, struct swki_buf *out_pem,
                               struct swk_error *err);

/*
 * Whether the bundle may serve as trusted roots: 1 to SWKI_CERTIFICATES_MAX
 * certificates, each self-signed, valid now, and with strong algorithms.
 * SWK_EMALFORMED, SWK_ECLOCK for one that is not valid now, or SWK_EINVAL for a
 * certificate that is well formed but not acceptable.
 */
int swki_roots_check(struct swki_pem roots, swk_wall now,
                     struct swk_error *err);

enum swki_chain_flags {
    /* Past ends are accepted if there was a time when all were valid. */
    SWKI_CHAIN_ALLOW_EXPIRED = 1 << 0,
    /* The reason of a failure is kept, and compared with that of the next
     * attempt: it does not tell the time, which is another one then. */
    SWKI_CHAIN_LASTING_REASON = 1 << 1,
};

struct swki_chain {
    struct swki_pem certificates; /* leaf first, each signed by the next */
    struct swki_pem roots;
    swk_wall now;
    uint32_t flags; /* enum swki_chain_flags */
};

/* The certificate right above the leaf, which may be a root: DER. */
struct swki_chain_issuer {
    struct swki_buf subject;
    struct swki_buf public_key;
};

void swki_chain_issuer_init(struct swki_chain_issuer *issuer,
                            const struct swk_alloc *alloc);
void swki_chain_issuer_fini(struct swki_chain_issuer *issuer);

/*
 * The strict verification of a node's chain. SWK_EMALFORMED for text that is
 * no chain, SWK_ECLOCK for one that is not valid at this time, and
 * SWK_EUNAUTHENTICATED if it leads to no root.
 * out_issuer, initialised, is filled on success; it may be NULL.
 */
int swki_chain_verify(const struct swki_chain *chain,
                      struct swki_chain_issuer *out_issuer,
                      struct swk_error *err);

/* Like swki_roots_check(), for the roots of a chain: by its time and flags. */
int swki_chain_check_roots(const struct swki_chain *chain,
                           struct swk_error *err);

#endif
