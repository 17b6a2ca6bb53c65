/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * A certificate authority for the nodes of a cluster: it issues certificates,
 * renews them, and changes its root while the cluster goes on.
 *
 * It works alone, for anybody's cluster: without sockets, files, a log or a
 * clock. What it must not forget is one encoded message, which the embedder
 * keeps; the time is an argument; how requests and certificates travel is the
 * embedder's business. Everything is PEM text.
 *
 * A certificate names its holder: CN is the node, O the swarm, OU the role.
 * Its SANs are the role and the node, so that a client verifies what it talks
 * to, not where: expect "swarm-manager" of whatever serves the cluster.
 *
 * The life of a node:
 *
 *     node                               authority
 *     swk_ca_key_new()
 *     swk_ca_csr_new()   -- request -->  swk_ca_token_role(), swk_ca_issue()
 *     swk_ca_verify()    <-- chain ---
 *     (half of its time is over)
 *     swk_ca_key_new()
 *     swk_ca_csr_new()   -- request,
 *                       old chain -->    swk_ca_renew()
 *     swk_ca_verify()    <-- chain ---
 *
 * A rotation of the root: after swk_ca_begin_rotation() all that is issued is
 * signed by the new root and carries a certificate that lets it verify under
 * the old one too. So nodes that have renewed and nodes that have not go on
 * talking to each other. When swk_ca_is_rotated() holds for the chain of every
 * node, swk_ca_finish_rotation() makes the new root the one that is trusted;
 * each node then replaces its roots by swk_ca_roots(), in its own time.
 */

#ifndef SWARMKIT_CA_H
#define SWARMKIT_CA_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/join_token.h>
#include <swarmkit/node.h>
#include <swarmkit/port/entropy.h>

SWK_BEGIN_DECLS

/** An authority. */
typedef struct swk_ca swk_ca;

/** How to make an authority. What is pointed to is *copied*, but alloc. */
struct swk_ca_config {
    size_t size; /**< sizeof(struct swk_ca_config). */
    /** Becomes O of each certificate: 1 to 64 of [A-Za-z0-9._-]. Required. */
    const char *swarm_id;
    const struct swk_alloc *alloc;     /**< NULL for malloc(); *borrowed until*
                                            swk_ca_free(). */
    const struct swk_entropy *entropy; /**< Required. */
    /** Life of certificates in nanoseconds, an hour at least; 0: 90 days. */
    uint64_t validity_ns;
    uint32_t token_flags; /**< SWK_JOIN_TOKEN_*, for tokens it makes. */
};

/** An empty configuration. */
#define SWK_CA_CONFIG_INIT                                                     \
    {                                                                          \
        sizeof(struct swk_ca_config)                                           \
    }

/**
 * Makes an authority with a new root: an ECDSA P-256 key and a certificate that
 * is valid for 20 years.
 *
 * @param config  Copied; not NULL.
 * @param now     Calendar time.
 * @param out_ca  Receives it, *given*: swk_ca_free(); not NULL.
 * @param err     Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a configuration that makes no sense;
 *         SWK_EUNAVAILABLE if there is no entropy; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_ca_new(const struct swk_ca_config *config,
                                      swk_wall now, swk_ca **out_ca,
                                      struct swk_error *err);

/**
 * Makes an authority from what swk_ca_save() gave.
 *
 * @param config     Copied; not NULL.
 * @param state      The encoded docker.swarmkit.v1.RootCA, *borrowed for the
 *                   call*; not NULL.
 * @param state_len  Bytes at state.
 * @param out_ca     Receives it, *given*: swk_ca_free(); not NULL.
 * @param err        Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a configuration or a key of no use; SWK_EMALFORMED
 *         for bytes that are no such state; SWK_EUNAVAILABLE if it holds no
 *         key; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_ca_load(const struct swk_ca_config *config,
                                       const void *state, size_t state_len,
                                       swk_ca **out_ca, struct swk_error *err);

/**
 * Gives what must be kept, after swk_ca_new() and after each call that says so.
 * It holds the private key in clear: seal it, then swk_ca_state_free().
 *
 * @param ca         Not NULL.
 * @param out_state  Receives an encoded docker.swarmkit.v1.RootCA, *given*:
 *                   swk_ca_state_free(); not NULL.
 * @param out_len    Receives its bytes; not NULL.
 * @param err        Receives the reason on failure; may be NULL.
 * @return 0; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_ca_save(const swk_ca *ca, uint8_t **out_state,
                                       size_t *out_len, struct swk_error *err);

/**
 * Wipes and releases a state that was *given*.
 *
 * @param state  May be NULL.
 * @param len    Its bytes.
 * @threads any
 * @since   0.1
 */
SWK_API void swk_ca_state_free(uint8_t *state, size_t len);

/**
 * Wipes its keys and releases an authority.
 *
 * @param ca  May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_ca_free(swk_ca *ca);

/**
 * Wipes and releases a text that was *given*.
 *
 * @param text  May be NULL.
 * @threads any
 * @since   0.1
 */
SWK_API void swk_ca_text_free(char *text);

/**
 * The roots that nodes trust now: during a rotation still the old ones.
 *
 * @param ca  Not NULL.
 * @return PEM, NUL-terminated, *borrowed until* swk_ca_finish_rotation() or
 *         swk_ca_free().
 * @threads one at a time
 * @since   0.1
 */
SWK_API const char *swk_ca_roots(const swk_ca *ca);

/* -- Join tokens --------------------------------------------------------- */

/**
 * The token by which a node joins with a role. It pins swk_ca_roots().
 *
 * @param ca    Not NULL.
 * @param role  enum swk_node_role.
 * @return Text, *borrowed until* swk_ca_rotate_token(),
 *         swk_ca_finish_rotation() or swk_ca_free(); NULL for no role. Secret.
 * @threads one at a time
 * @since   0.1
 */
SWK_API const char *swk_ca_token(const swk_ca *ca, int32_t role);

/**
 * Replaces a role's token: the old one admits nobody any more. Changes what
 * must be kept.
 *
 * @param ca    Not NULL.
 * @param role  enum swk_node_role.
 * @param err   Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for no role; SWK_EUNAVAILABLE if there is no entropy;
 *         SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_ca_rotate_token(swk_ca *ca, int32_t role,
                                               struct swk_error *err);

/**
 * The role that a token stands for, in a time that does not depend on its
 * secret.
 *
 * @param ca    Not NULL.
 * @param text  What was presented; NUL-terminated; may be NULL.
 * @return enum swk_node_role; 0 if it admits nobody.
 * @threads one at a time
 * @since   0.1
 */
SWK_API int32_t swk_ca_token_role(const swk_ca *ca, const char *text);

/* -- Certificates -------------------------------------------------------- */

/** A request for a certificate. */
struct swk_ca_request {
    size_t size; /**< sizeof(struct swk_ca_request). */
    /** Becomes CN: 1 to 64 of [A-Za-z0-9._-]. Of a renewal NULL. */
    const char *node_id;
    int32_t role; /**< enum swk_node_role; of a renewal 0: as before. */
    /** PEM, up to 16 KiB. Only the key is taken from it. */
    const char *csr;
    /** PEM of the chain it has; for renewals alone. */
    const char *chain;
    swk_wall now; /**< Calendar time. */
    /** Renewals: how long past its end a chain may be, in nanoseconds. */
    uint64_t grace_ns;
};

/** An empty request. */
#define SWK_CA_REQUEST_INIT                                                    \
    {                                                                          \
        sizeof(struct swk_ca_request)                                          \
    }

/**
 * Issues a certificate. Whether the node may have it is the caller's to decide.
 *
 * @param ca       Not NULL.
 * @param request  Borrowed for the call; not NULL.
 * @param out_pem  Receives the leaf, during a rotation followed by what leads
 *                 to the old root; *given*: swk_ca_text_free(); not NULL.
 * @param err      Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a name, a role or a chain that makes no sense;
 *         SWK_EMALFORMED for a request that is none, or whose key is not
 *         P-256; SWK_EUNAVAILABLE if there is no entropy; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_ca_issue(swk_ca *ca,
                                        const struct swk_ca_request *request,
                                        char **out_pem, struct swk_error *err);

/**
 * Issues a certificate to the node that a chain names, under its old name.
 * That whoever asks has the chain's key was shown by the connection, or must be
 * shown otherwise: a chain alone is no secret.
 *
 * @param ca       Not NULL.
 * @param request  Borrowed for the call; not NULL.
 * @param out_pem  As for swk_ca_issue().
 * @param err      Receives the reason on failure; may be NULL.
 * @return 0; SWK_EUNAUTHENTICATED for a chain that does not verify, is of
 *         another swarm, or ended longer ago than the grace; otherwise as
 *         swk_ca_issue().
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_ca_renew(swk_ca *ca,
                                        const struct swk_ca_request *request,
                                        char **out_pem, struct swk_error *err);

/* -- Rotation of the root ------------------------------------------------ */

/**
 * Begins to replace the root: by a new one, or by the given one. Another that
 * is being introduced is given up for it. Changes what must be kept: keep it
 * before the next certificate is issued.
 *
 * @param ca           Not NULL.
 * @param certificate  PEM of the new root, one certificate; NULL to make one.
 * @param key          PEM of its key, not sealed; NULL with certificate.
 * @param now          Calendar time.
 * @param err          Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a certificate that cannot be a root, has another
 *         key, ends within a year, or has the key of the present one;
 *         SWK_EMALFORMED for text that is none; SWK_EUNAVAILABLE if there is
 *         no entropy; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_ca_begin_rotation(swk_ca *ca,
                                                 const char *certificate,
                                                 const char *key, swk_wall now,
                                                 struct swk_error *err);

/**
 * Whether a root is being replaced.
 *
 * @param ca  Not NULL.
 * @return 1 or 0.
 * @threads one at a time
 * @since   0.1
 */
SWK_API int swk_ca_is_rotating(const swk_ca *ca);

/**
 * Whether a node need not renew before the rotation can finish.
 *
 * @param ca     Not NULL.
 * @param chain  PEM of its chain; not NULL.
 * @param now    Calendar time.
 * @return 1 if the certificate is signed by the newest root; 0 if not, or if it
 *         does not verify.
 * @threads one at a time
 * @since   0.1
 */
SWK_API int swk_ca_is_rotated(const swk_ca *ca, const char *chain,
                              swk_wall now);

/**
 * Makes the new root the one that is trusted. Both join tokens are new then,
 * as they pin it. Changes what must be kept.
 *
 * @param ca   Not NULL.
 * @param err  Receives the reason on failure; may be NULL.
 * @return 0; SWK_EPRECONDITION if no root is being replaced; SWK_EUNAVAILABLE
 *         if there is no entropy; SWK_ENOMEM. On failure nothing has changed.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_ca_finish_rotation(swk_ca *ca,
                                                  struct swk_error *err);

/**
 * Gives a rotation up: the present root signs again. What was issued meanwhile
 * goes on verifying under it until it ends. Changes what must be kept.
 *
 * @param ca   Not NULL.
 * @param err  Receives the reason on failure; may be NULL.
 * @return 0, also if there was none; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_ca_abort_rotation(swk_ca *ca,
                                                 struct swk_error *err);

/* -- On the nodes -------------------------------------------------------- */

/**
 * Makes a node's private key: ECDSA P-256, PKCS#8.
 *
 * @param entropy  Not NULL.
 * @param out_key  Receives it as PEM, *given*: swk_ca_text_free(); not NULL.
 *                 Secret.
 * @param err      Receives the reason on failure; may be NULL.
 * @return 0; SWK_EUNAVAILABLE if there is no entropy; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_ca_key_new(const struct swk_entropy *entropy,
                                          char **out_key,
                                          struct swk_error *err);

/**
 * Makes a request for a certificate.
 *
 * @param key      PEM, not sealed; not NULL.
 * @param entropy  Not NULL.
 * @param out_csr  Receives it as PEM, *given*: swk_ca_text_free(); not NULL.
 * @param err      Receives the reason on failure; may be NULL.
 * @return 0; SWK_EMALFORMED for a key that cannot be read; SWK_EUNAVAILABLE if
 *         there is no entropy; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_ca_csr_new(const char *key,
                                          const struct swk_entropy *entropy,
                                          char **out_csr,
                                          struct swk_error *err);

/** A certificate that verified. A plain value. */
struct swk_ca_certificate {
    struct swk_node_identity identity; /**< With the end of its life. */
    swk_wall not_before;               /**< The beginning of its life. */
};

/**
 * Verifies a chain as strictly as nodes do: each certificate signed by the next
 * one, all valid now, the last one's issuer among the roots, the first one a
 * node's.
 *
 * @param chain            PEM, leaf first; not NULL.
 * @param roots            PEM; not NULL.
 * @param now              Calendar time.
 * @param out_certificate  Receives whose it is; locked is 0; may be NULL.
 * @param err              Receives the reason on failure; may be NULL.
 * @return 0; SWK_EMALFORMED for text that is no chain, or no node's;
 *         SWK_EUNAUTHENTICATED if it is not valid or leads to no root;
 *         SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_ca_verify(const char *chain, const char *roots, swk_wall now,
              struct swk_ca_certificate *out_certificate,
              struct swk_error *err);

SWK_END_DECLS

#endif
