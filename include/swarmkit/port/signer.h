/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * A port: who holds the key of the swarm's CA, and signs with it.
 *
 * The leading manager decides what is to be signed and hands it over as jobs;
 * a signer may take its time, since nothing waits for it but the node that
 * asked. It may have a policy of its own and refuse. What it gives back is
 * checked before it is used.
 */

#ifndef SWARMKIT_PORT_SIGNER_H
#define SWARMKIT_PORT_SIGNER_H

#include <swarmkit/error.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** What is to be signed. */
enum swk_sign_kind {
    /** The certificate of a node. */
    SWK_SIGN_NODE = 1,
    /** Nothing yet: a new root is to be made, key and certificate. */
    SWK_SIGN_ROOT = 2,
    /** Another root, so that what it signs is trusted under this one too. */
    SWK_SIGN_CROSS = 3,
    /** Nothing: whether a certificate of this authority could be signed now,
     *  by the key or by an external CA. */
    SWK_SIGN_CHECK = 4,
};

/**
 * A job. All of it is *borrowed for the call* of sign(): a signer copies what
 * it keeps, and wipes its copy of the key. PEM needs no NUL at its end.
 */
struct swk_sign_request {
    size_t size;  /**< sizeof(struct swk_sign_request). */
    int32_t kind; /**< enum swk_sign_kind. */
    uint32_t reserved;
    swk_wall now; /**< The manager's calendar time. */
    /** The swarm that it is for, 1 to SWK_ID_LEN_MAX characters. */
    const char *swarm_id;

    /** PEM of the CA certificate whose key is to sign. Empty for ROOT. */
    struct swk_bytes authority;
    /** PEM of that key, *secret*; empty if the signer keeps it. */
    struct swk_bytes authority_key;

    /** NODE: who it is for, 1 to SWK_ID_LEN_MAX characters. NULL for other
     *  kinds, and what follows is zero then, up to root. */
    const char *node_id;
    int32_t role; /**< enum swk_node_role. */
    uint32_t reserved_too;
    /** Beside the hour of backdating; an hour or more. */
    uint64_t validity_ns;
    struct swk_bytes csr; /**< PEM, as the node sent it: not checked yet. */
    /** PEM of the certificate that the node had last, with what was behind it;
     *  empty for a new node. */
    struct swk_bytes previous;

    /** CROSS: PEM of the root that is to be signed. Empty for other kinds. */
    struct swk_bytes root;

    /** External CAs to be asked for it, in order, "https://..."; none: it is
     *  signed by the key. */
    const char *const *urls;
    size_t urls_count;
    /** PEM of what the servers there must chain to; empty without urls. */
    struct swk_bytes urls_roots;

    /** CROSS: PEM of the root's own key, *secret*, with which an external CA is
     *  asked in its name; empty if it is not at hand. */
    struct swk_bytes root_key;
};

/** How a job ended. Borrowed for the call of done(). */
struct swk_sign_result {
    size_t size; /**< sizeof(struct swk_sign_result). */
    /**
     * 0, or enum swk_error_code. SWK_EDENIED, SWK_EMALFORMED, SWK_EINVAL and
     * SWK_ENOTSUP are final: the same job would fail again. SWK_ELIMIT and
     * SWK_EABORTED are about this job alone, such as a limit of its kind: it is
     * tried again later, and others go on. All others may pass, too, but say
     * that nothing can be signed now: all jobs wait.
     */
    int32_t code;
    uint32_t reserved;
    /** Why it failed, for people; without a secret. NULL if it did not. */
    const char *text;
    /** PEM of the one certificate that was signed; what belongs behind it is
     *  added by who asked. */
    struct swk_bytes certificate;
    /** ROOT: PEM of its key, *secret*; empty if the signer keeps it. */
    struct swk_bytes key;
};

/** Told the end of a job, on any thread, or within sign(). Must not block, and
 *  must not call the signer. */
typedef void (*swk_sign_done_fn)(void *done_ctx, uint64_t id,
                                 const struct swk_sign_result *result);

struct swk_signer {
    size_t size; /**< sizeof(struct swk_signer). */
    void *ctx;   /**< Passed to each function. */

    /**
     * Takes a job and returns at once; done is called exactly once for each
     * job that was taken. id is any number, which is handed back. Returns 0,
     * or a negative code with the meaning of swk_sign_result.code, and done is
     * not called: SWK_ELIMIT when it has too many jobs already, which is about
     * all of them then.
     */
    int (*sign)(void *ctx, uint64_t id, const struct swk_sign_request *request,
                swk_sign_done_fn done, void *done_ctx, struct swk_error *err);
    /** Gives up all jobs of a done_ctx: once this returns, done is not called
     *  with it any more. May wait for a call that is under way. */
    void (*forget)(void *ctx, void *done_ctx);
};

SWK_END_DECLS

#endif
