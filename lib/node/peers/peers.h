/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The other managers: raft messages to and from them, snapshots, and whether
 * they can be reached.
 *
 * Every member has a connection to every other. On it run two streams of
 * messages, one for what must not wait (heartbeats, votes, answers) and one
 * for entries; each keeps its order, and of both only so much is under way
 * that the other is not held up. Snapshots travel on streams of their own,
 * part by part, each acknowledged, so that a broken one goes on where it broke
 * off. Nothing is sent twice: what is lost, raft makes good.
 *
 * Threads: the loop's. Callbacks come from the loop, never within a call of a
 * function of this file, so that a list of messages which belongs to the raft
 * member may be sent one by one; they may call any of these functions but
 * swki_peers_free().
 */

#ifndef SWKI_NODE_PEERS_H
#define SWKI_NODE_PEERS_H

#include <stdbool.h>

#include <swarmkit/port/clock.h>
#include <swarmkit/port/storage.h>
#include <swarmkit/port/transport.h>
#include <swarmkit/raft.h>

#include "node/rpc/client.h"
#include "node/rpc/server.h"

struct swki_peers;

/* The text by which a member learns that it was removed. */
#define SWKI_PEERS_REMOVED_TEXT "raft: member was removed from the cluster"

/* Defaults and limits. */
enum {
    SWKI_PEERS_MAX = SWK_RAFT_MEMBERS_MAX,
    SWKI_PEERS_ADDRESSES_MAX = 8,   /* of one member */
    SWKI_PEERS_ADDRESS_SIZE = 300,  /* "host:port" and a NUL */
    SWKI_PEERS_QUEUE_MAX = 4096,    /* messages that wait for one member */
    SWKI_PEERS_QUEUE_SIZE_MAX = 32 * 1024 * 1024, /* bytes of them */
    SWKI_PEERS_TRUST_SECONDS = 30, /* what the log says of who may speak counts
                                      after a known leader was last heard */
    SWKI_PEERS_SNAPSHOTS_MAX = 2,   /* that are sent at a time */
    SWKI_PEERS_PART_SIZE = 256 * 1024,
};

struct swki_peers_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const struct swk_clock *clock;
    const struct swk_transport *transport;
    struct swki_loop *loop;
    /* Snapshots are read from it and received into it; NULL: none are. */
    const struct swk_storage *storage;
    uint64_t raft_id; /* of this member; 0 until it has joined */
    const char *node_id;  /* *copied*, likewise swarm_id */
    const char *swarm_id;
    struct swki_tls_context *context; /* a client's; shared */
    size_t queue_max;        /* 0 for the default, likewise below */
    size_t queue_size_max;
    size_t snapshots_max;
    size_t part_size;        /* at most the default */
    swk_time progress_ns;    /* a snapshot fails after this without progress;
                                by default 10 s */
    swk_time silence_ns;     /* one that is received, by default 30 s */
    swk_time connect_ns;     /* to connect and shake hands, by default 5 s */

    void *ctx;
    /* A message for this member; borrowed for the call. One of type
     * SWK_RAFT_MSG_SNAP comes when all of its snapshot was given to the storage
     * and its digest is right: who takes it calls finish_snapshot() or
     * abort_snapshot() of the storage; both at once or later. */
    void (*received)(void *ctx, const struct swk_raft_message *message);
    /* A message could not be sent: swk_raft_report_unreachable(). */
    void (*unreachable)(void *ctx, uint64_t raft_id);
    /* The receiver of a snapshot has more of it: swk_raft_snapshot_alive(). */
    void (*snapshot_goes_on)(void *ctx, uint64_t raft_id);
    /* Exactly once for each snapshot that was sent:
     * swk_raft_report_snapshot(). */
    void (*snapshot_sent)(void *ctx, uint64_t raft_id, bool ok);
    /* A member can be reached and serves, or no more; may be NULL. */
    void (*active)(void *ctx, uint64_t raft_id, bool active);
    /* A member says that this one was removed. text is the peer's. */
    void (*removed)(void *ctx, uint64_t by_raft_id, const char *text);
    /* Whether that was a member once; asked for each message of a member that
     * is not in the list. */
    bool (*is_removed)(void *ctx, uint64_t raft_id);
    /* How often the group was cut down to one survivor, as far as this member
     * knows. Who is not in the list and knows of fewer times belongs to the
     * group as it was before, and is not heard; NULL: never. */
    uint64_t (*generation)(void *ctx);
    /* Whether the log has the node as no manager: as a worker, or not at all.
     * Asked for members that are not in the list, and only while one that is
     * leads, since a log that lags tells of the past; may be NULL. */
    bool (*is_no_manager)(void *ctx, const char *node_id);
    /* Who leads, 0 for none. If NULL, all members are heard that are not in the
     * list. */
    uint64_t (*leader)(void *ctx);
    /* Whether the node may make no calls any more; may be NULL. */
    bool (*is_blacklisted)(void *ctx, const char *node_id);
    /* A call was refused: who makes it is no manager. May be NULL. */
    void (*refused)(void *ctx, const struct swki_rpc_call_info *info,
                    const char *text);
};

int swki_peers_new(const struct swki_peers_config *config,
                   struct swki_peers **out_peers, struct swk_error *err);

/* Calls that the handler serves must be over: the server is freed before. No
 * callback comes any more, snapshot_sent() neither. */
void swki_peers_free(struct swki_peers *peers);

/* This member's ID, once it has joined. */
void swki_peers_set_id(struct swki_peers *peers, uint64_t raft_id);

/* For connections from now on; those that exist go on. */
void swki_peers_set_context(struct swki_peers *peers,
                            struct swki_tls_context *context);

/* Whether Health.Check tells that this manager serves; from the start it
 * does. */
void swki_peers_set_serving(struct swki_peers *peers, bool serving);

/* -- Members ---------------------------------------------------------------- */

struct swki_peers_member {
    uint64_t raft_id;
    const char *node_id; /* what its certificate must say */
    const char *const *addresses; /* "host:port", tried in turn */
    size_t addresses_count;
};

/*
 * The whole list of members; it is *copied*, and this member is passed over.
 * New ones are connected to; to one with a new address, too. One that is not
 * there any more is sent what waits for it, and left after some seconds, in
 * the background.
 *
 * 0; SWK_EINVAL for a list that makes no sense and SWK_ELIMIT for one that is
 * too long, which change nothing; SWK_ENOMEM, after which it may be called
 * again.
 */
int swki_peers_set(struct swki_peers *peers,
                   const struct swki_peers_member *members, size_t count,
                   struct swk_error *err);

/* Whether it can be reached; since when is stored if out_since is not NULL. */
bool swki_peers_active(const struct swki_peers *peers, uint64_t raft_id,
                       swk_time *out_since);

/* The IDs of all active ones, in ascending order, at most size of them; how
 * many there are. */
size_t swki_peers_list_active(const struct swki_peers *peers, uint64_t *out_ids,
                              size_t size);

/* -- Sending ---------------------------------------------------------------- */

/*
 * Sends a message to message->to; everything is *copied* before it returns.
 * Failures come as unreachable(), and for snapshots as snapshot_sent().
 *
 * A message of type SWK_RAFT_MSG_SNAP is sent with the snapshot of its place,
 * which is read from the storage on the way. While one is on its way to a
 * member, another to it is left out, and the outcome of the first counts for
 * both.
 */
void swki_peers_send(struct swki_peers *peers,
                     const struct swk_raft_message *message);

/* -- Other calls ------------------------------------------------------------ */

/* The outcome of swki_peers_check(): ok, or the reason. */
typedef void (*swki_peers_checked_fn)(void *ctx, bool ok,
                                      const struct swk_error *err);

/*
 * Asks a manager at "host:port" whether it serves raft, within 5 s; node_id is
 * what its certificate must say, or NULL. The callback comes once, unless the
 * peers are freed before. At most 16 at a time: SWK_ELIMIT.
 */
int swki_peers_check(struct swki_peers *peers, const char *address,
                     const char *node_id, swki_peers_checked_fn checked,
                     void *ctx, struct swk_error *err);

/*
 * Opens a connection of the caller's own to a member, to an address that is
 * known to work if there is one. Of config the address, the context, the names
 * and the ports are set here.
 */
int swki_peers_connect(struct swki_peers *peers, uint64_t raft_id,
                       struct swki_rpc_client_config *config,
                       struct swki_rpc_client **out_client,
                       struct swk_error *err);

/* -- Serving ---------------------------------------------------------------- */

/* Whether calls of this path are for swki_peers_handler(): those of Raft, and
 * Health. */
bool swki_peers_serves(const char *path);

/* What the RPC server is to call for them. The roles of callers are checked
 * here. */
struct swki_rpc_handler swki_peers_handler(struct swki_peers *peers);

#endif
