/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * A manager with its agent: a node that keeps the swarm's state, answers its
 * administrators, and may run tasks itself.
 *
 * In an empty state directory it makes a new swarm or, given a join token and
 * the address of a manager, joins one; afterwards it goes on with what it finds
 * there. It manages for as long as its certificate says so: a node that joined
 * as a worker, or was demoted, runs tasks alone until it is promoted.
 *
 * It has a thread of its own after swk_manager_start().
 */

#ifndef SWARMKIT_MANAGER_H
#define SWARMKIT_MANAGER_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/port/executor.h>
#include <swarmkit/port/secret_provider.h>
#include <swarmkit/port/signer.h>
#include <swarmkit/port/transport.h>
#include <swarmkit/unlock_key.h>

SWK_BEGIN_DECLS

/** A running manager. */
typedef struct swk_manager swk_manager;

/** What a manager's audit log holds. */
enum swk_manager_audit {
    SWK_MANAGER_AUDIT_ALL = 0,   /**< Calls, and every change of an object. */
    SWK_MANAGER_AUDIT_CALLS = 1, /**< Calls, and changes that the manager's own
                                      components may not make. */
    SWK_MANAGER_AUDIT_OFF = 2,   /**< There is none. */
};

/** Defaults and limits of a manager's audit log. */
enum {
    SWK_MANAGER_AUDIT_FILE_SIZE = 64 << 20,
    SWK_MANAGER_AUDIT_FILE_SIZE_MIN = 64 << 10,
    SWK_MANAGER_AUDIT_FILES_MAX = 16,
    SWK_MANAGER_AUDIT_FILES_MAX_MIN = 2,
};

/** How to make a manager. Pointers are *borrowed until* swk_manager_free(). */
struct swk_manager_config {
    size_t size; /**< sizeof(struct swk_manager_config). */
    /** Directory for keys, log and tasks; made with mode 0700 if missing. */
    const char *state_dir;
    /** Where nodes connect, "HOST:PORT"; port 0 takes any free one. */
    const char *listen_address;
    /** Addresses told to nodes, "HOST:PORT" or "HOST", up to 8 with commas in
     *  between; managers try them in this order, workers use the first. NULL:
     *  the listen address, or the loopback one if that is a wildcard. */
    const char *advertise_address;
    /** Path of the local control socket; NULL for none. */
    const char *control_path;
    /** Name shown for the node; NULL for what the executor reports. */
    const char *hostname;
    const struct swk_alloc *alloc;         /**< NULL for malloc(). */
    const struct swk_logger *logger;       /**< NULL for none. */
    const struct swk_clock *clock;         /**< Required. */
    const struct swk_entropy *entropy;     /**< Required. */
    const struct swk_transport *transport; /**< Required. */
    const struct swk_executor *executor;   /**< NULL: runs no tasks itself. */
    /** "HOST:PORT" of a manager: to join its swarm, or to find it again. NULL
     *  for those that the state directory names. */
    const char *join_address;
    /** What admits a new node, as a worker or as a manager; NULL to found a
     *  swarm, or if it has joined already. */
    const char *join_token;
    /** Raft's timing; 0 for the defaults of <swarmkit/raft.h>. */
    uint32_t heartbeat_ticks;
    uint32_t election_ticks;
    swk_time tick_ns; /**< Length of a tick. */
    /** What opens the key file of a manager that its swarm has locked,
     *  *copied*; NULL if there is none. Not needed otherwise. */
    const struct swk_unlock_key *unlock_key;
    /** 1: for when the other managers are lost for good. They are removed from
     *  the group, so that this one decides alone; what it has stays. Even if
     *  its certificate expired. See <swarmkit/recovery.h>. */
    int32_t force_new_cluster;
    /** 1: a locked manager that was given no key waits for one to come through
     *  its control socket, by swarmkit.v1.Node/Unlock. */
    int32_t wait_for_unlock;
    /** What signs for the swarm while this manager leads, and makes its root
     *  when it founds one: the key of the CA stays with it. NULL: the manager
     *  itself, by a key that the swarm's managers share. A swarm that has such
     *  a key goes on to use it, until its root is rotated to one of the
     *  signer's. */
    const struct swk_signer *signer;
    /** Public keys, PEM text: the node itself runs only services that the holder of
     *  one of them has signed. NULL: signatures do not matter. */
    const char *trusted_keys;
    /** What is recorded in the audit log: enum swk_manager_audit. See
     *  <swarmkit/audit.h>. */
    int32_t audit;
    /** 1: changes are refused as long as they cannot be recorded. 0: what
     *  cannot be is counted, and a record tells how much it was. */
    int32_t audit_required;
    /** Bytes after which the audit log begins another file, and how many files
     *  are kept; 0 for the defaults. */
    uint64_t audit_file_size;
    uint64_t audit_files_max;
    /** What the node itself lets run, JSON text as <swarmkit/node_policy.h> says.
     *  NULL: anything. */
    const char *policy;
    /** 1: the node is in FIPS mode, which its user vouches for, and may join
     *  swarms that admit no other nodes. A swarm that it founds is such a one:
     *  its ID begins with "FIPS.", and its join tokens are of version 2. */
    int32_t fips;
    /** External CAs of a swarm that is founded: an encoded
     *  docker.swarmkit.v1.CAConfig, of which all else is ignored. They sign in
     *  the place of the swarm's key; "swarmctl cluster update" changes them. */
    struct swk_bytes ca_config;
    /** Where the values of secrets with a driver come from, while this manager
     *  leads; *borrowed until* swk_manager_free(). All managers of a swarm
     *  should have the same drivers. NULL: there are none. */
    const struct swk_secret_provider *secret_provider;
    /** What people call the signer, such as "unix:/run/signer.sock"; NULL: "a
     *  signer". */
    const char *signer_name;
};

/** An empty configuration. */
#define SWK_MANAGER_CONFIG_INIT                                                \
    {                                                                          \
        sizeof(struct swk_manager_config)                                      \
    }

/**
 * Makes a manager: reads its identity and its log, or makes a new swarm, and
 * opens its sockets.
 *
 * @param config       Copied, what it points to borrowed; not NULL.
 * @param out_manager  Receives it, *given*: swk_manager_free(); not NULL.
 * @param err          Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a configuration that makes no sense; SWK_EBUSY if
 *         the state directory or an address is in use; SWK_ECORRUPT for a
 *         damaged log or identity; SWK_EUNAUTHENTICATED if the certificate is
 *         not the swarm's; SWK_ECLOCK as for swk_agent_new(), and a certificate
 *         that has ended is renewed likewise; SWK_EDENIED if the node is
 *         locked, as
 *         swk_node_identity_read() tells, and the unlock key is missing or not
 *         its own, or if the join token was refused; SWK_EPRECONDITION
 *         if a new cluster is forced where it cannot be; SWK_EIO for files
 *         or sockets that fail; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_manager_new(const struct swk_manager_config *config,
                swk_manager **out_manager, struct swk_error *err);

/**
 * Starts the manager on a thread of its own.
 *
 * @param manager  Not started yet; not NULL.
 * @param err      Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL if it was started before; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_manager_start(swk_manager *manager,
                                             struct swk_error *err);

/**
 * Stops the manager and waits until it has. A leader hands over first, for
 * which it waits two seconds at most.
 *
 * @param manager  May be NULL or not started.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_manager_stop(swk_manager *manager);

/**
 * Tells the port on which nodes connect, for a listen address with port 0.
 *
 * @param manager  Not NULL.
 * @return The port.
 * @threads any
 * @since   0.1
 */
SWK_API int swk_manager_port(const swk_manager *manager);

/**
 * Tells the ID of the node.
 *
 * @param manager  Not NULL.
 * @return Text, *borrowed until* swk_manager_free(); "" while it is locked.
 * @threads any
 * @since   0.1
 */
SWK_API const char *swk_manager_node_id(const swk_manager *manager);

/**
 * Tells why the manager stopped by itself: its disk failed, for one.
 * SWK_EREMOVED is for good, as in swk_agent_failed().
 *
 * @param manager  Not NULL.
 * @param out_why  Receives the reason; not NULL.
 * @return 1 if it did, 0 if it is well.
 * @threads any
 * @since   0.1
 */
SWK_API int swk_manager_failed(const swk_manager *manager,
                               struct swk_error *out_why);

/**
 * Stops and releases a manager.
 *
 * @param manager  May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_manager_free(swk_manager *manager);

SWK_END_DECLS

#endif
