/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * The other side of <swarmkit/signer.h>: holds keys of the CA in a directory
 * of its own, and signs with them for who may ask at a local socket.
 *
 * It does not do what a manager says: it has a policy. A certificate is
 * issued for a node that is new, or that shows its last one; so often, so long
 * and in such a role as the policy allows; and each one, like each refusal, is
 * in a log before the answer leaves. So whoever takes over a manager does not
 * get the key, cannot sign without a trace, and cannot sign without limit.
 *
 * The program swarm-signer is this and a sandbox.
 */

#ifndef SWARMKIT_SIGNER_SERVICE_H
#define SWARMKIT_SIGNER_SERVICE_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/port/transport.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/* -- Keys -------------------------------------------------------------------
 */

/** A directory of authorities: certificates of a CA with their keys. */
typedef struct swk_signer_keys swk_signer_keys;

enum {
    SWK_FINGERPRINT_LEN = 64,    /**< Hexadecimal digits, without the NUL. */
    SWK_FINGERPRINT_LEN_MIN = 8, /**< Digits by which one is removed. */
    SWK_AUTHORITIES_MAX = 16,    /**< In one directory. */
};

/** What is told of an authority. A plain value. */
struct swk_authority {
    /** SHA-256 of the certificate, NUL-terminated. */
    char fingerprint[SWK_FINGERPRINT_LEN + 1];
    swk_wall not_before; /**< Of the certificate. */
    swk_wall not_after;  /**< Of the certificate. */
    int32_t used;        /**< 1 once a swarm has got it. */
    int32_t has_key;     /**< 0 if it is only trusted for what it signed. */
    int32_t sealed;      /**< 1 if the key's file is under a password. */
};

/** Flags of struct swk_signer_keys_config. */
enum {
    /** Makes the directory, with mode 0700, if it is missing. */
    SWK_SIGNER_KEYS_CREATE = 1 << 0,
    /** Reads no keys: enough to list and to remove, without a password. */
    SWK_SIGNER_KEYS_NAMES_ONLY = 1 << 1,
};

/** Flags of swk_signer_keys_import(). */
enum {
    /** No swarm has got it: the next one that asks for a root may. */
    SWK_SIGNER_IMPORT_NEW = 1 << 0,
    /** The certificate alone: it signs nothing here, but nodes may show what it
     *  signed elsewhere. So a swarm comes to a signer with the nodes it has. */
    SWK_SIGNER_IMPORT_CERTIFICATE = 1 << 1,
};

/** Where keys are. */
struct swk_signer_keys_config {
    size_t size;                       /**< sizeof(*this). */
    const struct swk_alloc *alloc;     /**< NULL for malloc(). */
    const struct swk_clock *clock;     /**< Required. */
    const struct swk_entropy *entropy; /**< Required. */
    const char *dir;                   /**< *Copied*; required. */
    /** What seals the files of keys, *copied*; empty: nothing does. Files that
     *  were written without are read all the same. */
    struct swk_bytes password;
    uint32_t flags; /**< SWK_SIGNER_KEYS_*. */
};

/** An empty configuration. */
#define SWK_SIGNER_KEYS_CONFIG_INIT                                            \
    {                                                                          \
        sizeof(struct swk_signer_keys_config)                                  \
    }

/**
 * Opens the directory, and reads what is in it.
 *
 * Pages of the process's memory hold keys afterwards: lock them, and let no
 * core be dumped.
 *
 * @param config    Copied; what it points to, but for the texts, is
 *                  *borrowed until* swk_signer_keys_free(); not NULL.
 * @param out_keys  Receives it, *given*; not NULL.
 * @param err       Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL; SWK_ENOTFOUND if there is no directory; SWK_EDENIED
 *         if others than its owner have access to it or to a file in it, or
 *         for a wrong password; SWK_ECORRUPT for a key that is not its
 *         certificate's; SWK_EIO; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_signer_keys_open(const struct swk_signer_keys_config *config,
                     swk_signer_keys **out_keys, struct swk_error *err);

/**
 * Wipes the keys and releases them; the files stay.
 *
 * @param keys  May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_signer_keys_free(swk_signer_keys *keys);

/**
 * Makes a new root: a P-256 key with a self-signed certificate.
 *
 * @param keys           Not NULL.
 * @param out_authority  Receives what it is; may be NULL.
 * @param err            Receives the reason on failure; may be NULL.
 * @return 0; SWK_ELIMIT with SWK_AUTHORITIES_MAX of them; SWK_EDENIED,
 *         SWK_EIO, SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_signer_keys_create(swk_signer_keys *keys,
                       struct swk_authority *out_authority,
                       struct swk_error *err);

/**
 * Takes an authority in that was made elsewhere.
 *
 * @param keys           Not NULL.
 * @param pem            PEM of a certificate and its key, in any order; of a
 *                       bundle the first certificate counts.
 * @param password       What the key is sealed under; empty if it is not.
 * @param flags          One of SWK_SIGNER_IMPORT_*, or 0: a swarm has got it,
 *                       so that it is never given away as a new root.
 * @param out_authority  Receives what it is; may be NULL.
 * @param err            Receives the reason on failure; may be NULL.
 * @return 0, also if it is there already; SWK_EMALFORMED; SWK_EINVAL if it is
 *         no authority, or key and certificate are no pair; SWK_EDENIED for a
 *         wrong password; SWK_ELIMIT; SWK_EIO; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_signer_keys_import(
    swk_signer_keys *keys, struct swk_bytes pem, struct swk_bytes password,
    uint32_t flags, struct swk_authority *out_authority, struct swk_error *err);

/**
 * Hands an authority out, for the signer of another manager.
 *
 * @param keys         Not NULL.
 * @param fingerprint  Which one, or the beginning of it; NULL if there is but
 *                     one.
 * @param password     Seals the key; not empty.
 * @param out_pem      Receives certificate and sealed key, PEM with a NUL
 *                     behind it, *given*: swk_signer_keys_release().
 * @param out_len      Receives its characters.
 * @param err          Receives the reason on failure; may be NULL.
 * @return 0; SWK_ENOTFOUND; SWK_EINVAL if it is not clear which one, or
 *         without a password; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_signer_keys_export(swk_signer_keys *keys, const char *fingerprint,
                       struct swk_bytes password, char **out_pem,
                       size_t *out_len, struct swk_error *err);

/**
 * Releases what swk_signer_keys_export() gave.
 *
 * @param keys  Not NULL.
 * @param pem   May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_signer_keys_release(swk_signer_keys *keys, char *pem);

/**
 * Forgets an authority for good. A service that serves the directory drops its
 * key within a second, and tells of it in its log.
 *
 * @param keys         Not NULL.
 * @param fingerprint  Which one, or the beginning of it, of
 *                     SWK_FINGERPRINT_LEN_MIN digits or more; not NULL.
 * @param err          Receives the reason on failure; may be NULL.
 * @return 0; SWK_ENOTFOUND; SWK_EINVAL if it is not clear which one, or for
 *         too few digits; SWK_EIO.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_signer_keys_remove(swk_signer_keys *keys,
                                                  const char *fingerprint,
                                                  struct swk_error *err);

/**
 * Lists the authorities, the oldest first.
 *
 * @param keys           Not NULL.
 * @param index          From 0.
 * @param out_authority  Receives what it is; not NULL.
 * @return 1, or 0 past the last.
 * @threads one at a time
 * @since   0.1
 */
SWK_API int swk_signer_keys_at(const swk_signer_keys *keys, uint32_t index,
                               struct swk_authority *out_authority);

/**
 * Tells which swarm the directory serves.
 *
 * @param keys  Not NULL.
 * @return Its ID, *borrowed until* the next call; "" before anything was
 *         signed.
 * @threads one at a time
 * @since   0.1
 */
SWK_API const char *swk_signer_keys_swarm_id(const swk_signer_keys *keys);

/**
 * Lets a node become a manager, once, where the policy of the service that
 * serves the directory wants that (SWK_SIGNER_APPROVE_MANAGERS). It counts from
 * now on, without a restart.
 *
 * @param keys         Not NULL; keys need not have been read.
 * @param node_id      Not NULL.
 * @param validity_ns  How long it may wait to be used, up to a year; 0 takes
 *                     back what was allowed.
 * @param err          Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for what is no ID; SWK_ENOTFOUND if there is nothing
 *         to take back; SWK_ELIMIT with SWK_SIGNER_ALLOWED_MAX of them;
 *         SWK_ECORRUPT, SWK_EDENIED, SWK_EIO, SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_signer_keys_allow(swk_signer_keys *keys,
                                                 const char *node_id,
                                                 uint64_t validity_ns,
                                                 struct swk_error *err);

/* -- Policy -----------------------------------------------------------------
 */

/** How often something may be: burst times at once, then per_hour. */
struct swk_signer_rate {
    uint32_t per_hour; /**< 0 for the default. */
    uint32_t burst;    /**< 0 for the default. */
};

/** Flags of struct swk_signer_policy. */
enum {
    /** Signs for workers alone. */
    SWK_SIGNER_NO_MANAGERS = 1 << 0,
    /** A node that was a worker stays one. */
    SWK_SIGNER_NO_PROMOTIONS = 1 << 1,
    /** Makes no roots when asked at the socket. */
    SWK_SIGNER_NO_NEW_ROOTS = 1 << 2,
    /** Signs roots whose keys it does not hold itself. */
    SWK_SIGNER_FOREIGN_ROOTS = 1 << 3,
    /** Who is no manager becomes one by swk_signer_keys_allow() only; but for
     *  the one that founds a swarm with a root of here. */
    SWK_SIGNER_APPROVE_MANAGERS = 1 << 4,
};

enum {
    SWK_SIGNER_NODES_MAX = 1000000, /**< Most that a service remembers. */
    SWK_SIGNER_ALLOWED_MAX = 64,    /**< Most that are allowed at a time. */
};

/** What the service is willing to do. All zero: the defaults. */
struct swk_signer_policy {
    size_t size;    /**< sizeof(struct swk_signer_policy). */
    uint32_t flags; /**< SWK_SIGNER_*. */
    /** The only swarm to sign for, *copied*; NULL: the first that asks. */
    const char *swarm_id;
    uint64_t validity_max_ns; /**< Of a node's certificate; 0: 90 days. */
    /** How long after its end a certificate still shows who a node is; 0: 30
     *  days. */
    uint64_t expired_grace_ns;
    uint64_t skew_max_ns; /**< From the manager's clock; 0: 5 minutes. */
    struct swk_signer_rate new_nodes; /**< 0: 7200, and 2000 at once. */
    struct swk_signer_rate renewals;  /**< 0: 36000, and 20000 at once. */
    /** New ones and promotions; 0: 20, and 10 at once. */
    struct swk_signer_rate new_managers;
    struct swk_signer_rate roots; /**< Made or cross-signed; 0: 4, and 6. */
    /** How many nodes are remembered, so that none of them is taken for new, up
     *  to SWK_SIGNER_NODES_MAX; 0: 100,000. One that is over is refused for
     *  now, until certificates of others have come to their end. */
    uint32_t nodes_max;
    uint32_t reserved;
};

/** A policy with defaults. */
#define SWK_SIGNER_POLICY_INIT                                                 \
    {                                                                          \
        sizeof(struct swk_signer_policy)                                       \
    }

/* -- The service ------------------------------------------------------------
 */

/** Serves the socket. */
typedef struct swk_signer_service swk_signer_service;

/** What a service needs. Pointers are *borrowed until*
 *  swk_signer_service_free(), texts are copied. */
struct swk_signer_service_config {
    size_t size;                           /**< sizeof(*this). */
    const struct swk_alloc *alloc;         /**< NULL for malloc(). */
    const struct swk_logger *logger;       /**< NULL for none. */
    const struct swk_clock *clock;         /**< Required. */
    const struct swk_entropy *entropy;     /**< Required. */
    const struct swk_transport *transport; /**< Required. */
    swk_signer_keys *keys;                 /**< Required. */
    const char *socket_path;               /**< Required. */
    /** Users, by number, that may call; beside them root and the user of this
     *  process may. */
    const int64_t *users;
    size_t users_count;
    /** The group that may open the socket, which gets mode 0660; -1 for none,
     *  and mode 0600. */
    int64_t group;
    /** Where each signature and each refusal is a line; NULL: signatures.log
     *  in the directory of the keys. */
    const char *log_path;
    const struct swk_signer_policy *policy; /**< *Copied*; NULL: defaults. */
    /** Requests that wait, of one connection, of one user, and in all: 0 for
     *  512, 1024 and 4096. What is over is refused for now. Likewise their
     *  bytes: 8, 16 and 64 MiB. */
    uint32_t jobs_per_connection_max;
    uint32_t jobs_per_user_max;
    uint32_t jobs_max;
    uint32_t connections_per_user_max; /**< 0 for 16; in all there are 64. */
};

/** A configuration with defaults. */
#define SWK_SIGNER_SERVICE_CONFIG_INIT                                         \
    {                                                                          \
        .size = sizeof(struct swk_signer_service_config), .group = -1          \
    }

/**
 * Opens log and socket. From then on nothing of a network is needed but to
 * accept, so that a sandbox may close behind it.
 *
 * @param config       Copied; not NULL.
 * @param out_service  Receives it, *given*: swk_signer_service_free().
 * @param err          Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL; SWK_EBUSY if another one serves the socket or the
 *         directory; SWK_EDENIED; SWK_EIO; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_signer_service_new(const struct swk_signer_service_config *config,
                       swk_signer_service **out_service, struct swk_error *err);

/**
 * Serves what there is to serve, on the thread that calls. Call it again and
 * again.
 *
 * @param service     Not NULL.
 * @param timeout_ns  How long to wait for work; 0 to return at once.
 * @param err         Receives the reason on failure; may be NULL.
 * @return 0; SWK_EIO if waiting fails.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_signer_service_process(swk_signer_service *service, swk_time timeout_ns,
                           struct swk_error *err);

/**
 * Closes the socket and releases the service.
 *
 * @param service  May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_signer_service_free(swk_signer_service *service);

SWK_END_DECLS

#endif
