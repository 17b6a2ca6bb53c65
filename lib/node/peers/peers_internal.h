/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The insides of peers: peers.c has the list and what concerns all, peer.c the
 * connection to one, peers_calls.c the single calls, peers_server.c what others
 * ask, snapshot_send.c and snapshot_receive.c the snapshots.
 *
 * A peer is released only in the turn, and the embedder is told things only
 * there or by the server's events, so that any function may be called in a
 * callback.
 */

#ifndef SWKI_NODE_PEERS_INTERNAL_H
#define SWKI_NODE_PEERS_INTERNAL_H

#include "base/buf.h"
#include "base/list.h"
#include "crypto/digest.h"
#include "node/peers/peers.h"
#include "runtime/loop/loop.h"
#include "wire/methods.h"
#include "wire/status.h"

/* Streams of messages to a peer. */
enum swki_lane_number {
    SWKI_LANE_URGENT, /* must not wait behind entries */
    SWKI_LANE_BULK,
    SWKI_LANES,
};

/* An encoded StreamRaftMessageRequest that waits. */
struct swki_queued {
    struct swki_queued *next;
    size_t len;
    uint8_t data[];
};

struct swki_lane {
    uint64_t call_id; /* 0 when there is no call */
    struct swki_queued *first;
    struct swki_queued *last;
    size_t count;
    size_t size;   /* bytes */
    bool finished; /* of one that leaves: all was sent */
};

struct swki_snapshot_send;

struct swki_peer {
    struct swki_link link; /* the members, by ID, or those that leave */
    struct swki_peers *peers;
    uint64_t raft_id;
    char node_id[SWK_ID_LEN_MAX + 1];
    char (*addresses)[SWKI_PEERS_ADDRESS_SIZE];
    size_t addresses_count;
    size_t address; /* in use, or to be tried next */
    size_t tried;   /* addresses in a row that failed */

    struct swki_rpc_client *client; /* NULL between attempts */
    struct swki_lane lanes[SWKI_LANES];
    uint64_t health_call; /* 0 when none is open */
    swk_time health_at;   /* when to ask; SWK_NEVER while all is well */
    swk_time backoff_ns;
    swk_time attempted_at; /* the last attempt to connect */
    swk_time retry_at;     /* the next one, if there is no client */
    bool active;
    swk_time active_since;

    /* A vote that waits for the peer to be active. */
    uint8_t *vote;
    size_t vote_len;
    swk_time vote_until;

    struct swki_snapshot_send *snapshot;

    /* What the embedder is to be told. */
    bool told_active;
    bool unreachable_due;
    bool snapshot_due;
    bool snapshot_moved;
    bool snapshot_ok;
    bool removed_due;

    bool leaving;
    swk_time leave_by;
    bool gone; /* to be released in the turn */
};

enum swki_receive_state {
    SWKI_RECEIVE_NONE,    /* nothing, or what is kept of a broken stream */
    SWKI_RECEIVE_READING, /* what the storage has, for its digests */
    SWKI_RECEIVE_PARTS,
    SWKI_RECEIVE_WHOLE, /* the digest has come; not all may be durable yet */
};

/* The one snapshot that is received. */
struct swki_snapshot_receive {
    enum swki_receive_state state;
    struct swki_rpc_call *call; /* NULL in state NONE; maybe in WHOLE */
    /* Which one; they stay while parts of it are kept. */
    bool kept;
    uint64_t from;
    uint64_t term; /* of the sender */
    uint64_t index;
    uint64_t snapshot_term;
    uint64_t length;
    uint32_t part_size;
    uint8_t *message; /* the encoded raftpb.Message */
    size_t message_len;

    uint64_t stored;  /* bytes that the storage had when this one began */
    size_t skip;      /* of them, those of the next part */
    uint64_t offset;  /* of the next part that is to come */
    uint64_t written; /* what the storage has taken */
    bool began;       /* a part of this stream has come */
    struct swki_buf digests;   /* before each part, from the first on */
    struct swki_queued *first; /* parts that the storage could not take yet */
    struct swki_queued *last;
    size_t waiting;
    uint8_t digest[SWKI_SHA256_SIZE]; /* that the sender names */
    swk_time heard_at;
    swk_time told_at;  /* when the sender was last told how far it has come */
    swk_time write_at; /* when to try again; SWK_NEVER if nothing waits */
};

/* A single call on a connection of its own: a check, or a message to a member
 * that is not in the list. */
struct swki_errand;

struct swki_peers {
    struct swki_peers_config config;
    char node_id[SWK_ID_LEN_MAX + 1];
    char swarm_id[SWK_ID_LEN_MAX + 1];
    struct swki_tls_context *context;
    struct swki_loop_member member;
    struct swki_link members; /* by ascending ID */
    struct swki_link leaving;
    size_t members_count;
    struct swki_link errands;
    size_t checks_count;
    struct swki_errand *stray; /* the message to an unknown member, if any */
    uint64_t lost_id;    /* an unknown member that was not reached, or 0 */
    uint64_t removed_by; /* an unknown member that says we were removed */
    uint64_t last_call;
    size_t sends_count;      /* snapshots that are sent */
    struct swki_buf scratch; /* of what is encoded */
    swk_raft_decoder *decoder;
    struct swki_snapshot_receive receive;
    bool serving;
    bool led;        /* a member of the list was heard as the leader */
    swk_time led_at; /* when it last was */
};

/* -- peers.c -- */

struct swki_peer *swki_peers_find(const struct swki_peers *peers,
                                  uint64_t raft_id);

/* What the turn is to tell was noted. */
void swki_peers_wake(struct swki_peers *peers);

swk_time swki_peers_now(const struct swki_peers *peers);

/* Fills in what all connections to managers have in common; texts are borrowed
 * until the client is made. */
void swki_peers_client_config(struct swki_peers *peers,
                              struct swki_rpc_client_config *config);

/* Encodes a message as the only field, number 1, of another; NULL for no
 * memory. Borrowed until the next call. */
enum {
    SWKI_PEERS_MESSAGE_TAG = 1 << 3 | 2,   /* field 1, of a length */
    SWKI_PEERS_GENERATION_TAG = 1000 << 3, /* field 1000, a number */
};

const struct swki_buf *swki_peers_wrap(struct swki_peers *peers,
                                       const struct swk_raft_message *message);

/* -- peer.c -- */

int swki_peer_new(struct swki_peers *peers,
                  const struct swki_peers_member *member,
                  struct swki_peer **out_peer, struct swk_error *err);
void swki_peer_free(struct swki_peer *peer);

/* Takes new addresses. False for no memory. */
bool swki_peer_set_addresses(struct swki_peer *peer,
                             const struct swki_peers_member *member);

void swki_peer_send(struct swki_peer *peer,
                    const struct swk_raft_message *message);
/* It was heard of: try to connect soon. */
void swki_peer_kick(struct swki_peer *peer, swk_time now);
/* Keeps a vote until the peer is active; a newer one takes its place. */
void swki_peer_hold_vote(struct swki_peer *peer, const uint8_t *data,
                         size_t len, swk_time now);
/* It is no member any more. */
void swki_peer_leave(struct swki_peer *peer, swk_time now);
/* The connection is of no use any more; it is closed. */
void swki_peer_fail(struct swki_peer *peer, const char *why, swk_time now);
/* Notes that the peer says that this member was removed. */
void swki_peer_note_removed(struct swki_peer *peer);
/* Whether that is how a peer says so. */
bool swki_peer_says_removed(int status, const char *text);
/* Does what is due; returns the next deadline. */
swk_time swki_peer_turn(struct swki_peer *peer, swk_time now);

/* -- peers_calls.c -- */

/* Sends a message to a member that is not in the list, if it can be. */
void swki_peers_send_stray(struct swki_peers *peers,
                           const struct swk_raft_message *message);
/* The connection over which an errand asks is about to be closed. */
void swki_errands_leave_peer(struct swki_peers *peers,
                             const struct swki_peer *peer);
void swki_errands_free(struct swki_peers *peers);

/* -- peers_server.c -- */

/* Hands over an encoded raftpb.Message that passed all checks. */
void swki_peers_deliver(struct swki_peers *peers, const uint8_t *data,
                        size_t len);
/* Why the sender of a message may not be heard; OK with NULL if it may. */
enum swki_status swki_peers_check_sender(const struct swki_peers *peers,
                                         const struct swki_rpc_call_info *info,
                                         uint64_t raft_id, uint64_t generation,
                                         swk_time now, const char **out_text);
/* That of this member. */
uint64_t swki_peers_generation(const struct swki_peers *peers);

/* -- snapshot_send.c -- */

void swki_snapshot_send_start(struct swki_peer *peer,
                              const struct swk_raft_message *message);
/* Ends it, without success; frees it. */
void swki_snapshot_send_fail(struct swki_snapshot_send *send, const char *why);
swk_time swki_snapshot_send_turn(struct swki_snapshot_send *send, swk_time now);
/* The next link of a chain of digests. */
bool swki_snapshot_digest(uint8_t digest[SWKI_SHA256_SIZE], const void *part,
                          size_t len);

/* -- snapshot_receive.c -- */

void swki_snapshot_receive_init(struct swki_peers *peers);
void swki_snapshot_receive_fini(struct swki_peers *peers);
/* A message of a stream; the first one has the header. */
void swki_snapshot_receive_request(struct swki_peers *peers,
                                   struct swki_rpc_call *call,
                                   const uint8_t *data, size_t len,
                                   swk_time now);
void swki_snapshot_receive_finished(struct swki_peers *peers,
                                    struct swki_rpc_call *call);
void swki_snapshot_receive_closed(struct swki_peers *peers,
                                  const struct swki_rpc_call *call);
/* A message of a leader of a later term has come. */
void swki_snapshot_receive_new_term(struct swki_peers *peers, uint64_t from,
                                    uint64_t term);
swk_time swki_snapshot_receive_turn(struct swki_peers *peers, swk_time now);

#endif
