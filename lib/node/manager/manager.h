/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A manager: the raft member, the store that its log feeds, and, while it
 * leads, the leader's components. It has no thread and no socket: it is told
 * of calls, of messages from other managers and of what the storage completed,
 * and hands out answers and messages.
 *
 * A turn runs the machines until none has anything to do: entries to the
 * storage, committed entries to the store, events of the store to the
 * components, their transactions back to the log. Answers that depend on an
 * entry are held back until it is committed.
 *
 * The log says which member it belongs to. A manager whose log is empty has no
 * number yet: it founds a swarm, or joins with the number that the leader gave
 * it.
 */

#ifndef SWKI_NODE_MANAGER_H
#define SWKI_NODE_MANAGER_H

#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/port/secret_provider.h>
#include <swarmkit/port/signer.h>
#include <swarmkit/port/storage.h>
#include <swarmkit/raft.h>

#include "core/membership/requests.h"
#include "core/store/store.h"
#include "crypto/x509.h"
#include "wire/methods.h"
#include "wire/service.h"

enum {
    SWKI_MANAGER_CALLS_MAX = 65536,      /* open at a time */
    SWKI_MANAGER_REQUEST_MAX = 4 << 20,  /* bytes of an encoded request */
};

struct swki_audit_log;

struct swki_manager_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const struct swk_clock *clock;
    const struct swk_entropy *entropy;
    const struct swk_storage *storage;
    const char *node_id;
    const char *swarm_id;
    /* That nodes reach this manager at, the best first; at least one. */
    const char *const *addresses;
    size_t addresses_count;
    bool address_known; /* false: the list of members knows better */
    uint64_t seed;
    uint32_t heartbeat_ticks; /* 0 for the defaults of raft, likewise below */
    uint32_t election_ticks;
    swk_time tick_ns;
    /* The first objects of a new swarm, *taken*, in case the log holds none;
     * NULL if it must. */
    struct swki_object *cluster;
    struct swki_object *node;
    struct swki_audit_log *audit_log; /* NULL: nothing is recorded */
    /* Takes an answer; on the manager's thread, within turn(). */
    void (*answer)(void *ctx, const struct swki_answer *answer);
    void *answer_ctx;
    /* Takes a message for another manager, borrowed for the call; within
     * turn(). Not needed by a manager that stays alone. */
    void (*send)(void *ctx, const struct swk_raft_message *message);
    void *send_ctx;
    /* Makes a check, whose outcome swki_manager_checked() tells; within
     * turn(). */
    void (*check)(void *ctx, const struct swki_requests_check *check);
    void *check_ctx;
    /* Gives a job to the signer, whose end swki_manager_signed() tells unless
     * this fails; within turn(). */
    int (*sign)(void *ctx, uint64_t id, const struct swk_sign_request *request,
                struct swk_error *err);
    void *sign_ctx;
    /* What is told of the signer that keeps keys; NULL: there is none. */
    const struct swki_control_keeper *keeper;
    /* A provider of secrets: find(), and get(), of which
     * swki_manager_fetched() tells what came unless this fails; within turn().
     * NULL, both: there is none. */
    int (*find_driver)(void *ctx, const char *name, struct swk_error *err);
    int (*get_secret)(void *ctx, uint64_t id,
                      const struct swk_secret_request *request,
                      struct swk_error *err);
    void *secrets_ctx;
};

struct swki_manager;

/* Reads the storage, which may block. */
int swki_manager_new(const struct swki_manager_config *config,
                     struct swki_manager **out_manager, struct swk_error *err);
void swki_manager_free(struct swki_manager *manager);

/* -- A new log ------------------------------------------------------------ */

/* The member's number, or 0: the log is empty. */
uint64_t swki_manager_raft_id(const struct swki_manager *manager);

/* Makes this manager the only member of a new group. The storage is written
 * to; may block. */
int swki_manager_found(struct swki_manager *manager, uint64_t raft_id,
                       struct swk_error *err);

/* Makes this manager the member that the leader has added under that number;
 * the leader sends it all the rest. May block. */
int swki_manager_join(struct swki_manager *manager, uint64_t raft_id,
                      struct swk_error *err);

/* -- Calls ---------------------------------------------------------------- */

/* A call with its encoded request. The method's roles are checked here. */
struct swki_manager_call {
    uint64_t id; /* unique among open calls */
    const char *path;
    const struct swki_caller *caller;
    const uint8_t *request;
    size_t request_len;
};

/* Whether the caller may make the call, here or at the leader: 0, SWK_EDENIED,
 * SWK_ENOTSUP. */
int swki_manager_admit(const struct swki_manager *manager, const char *path,
                       const struct swki_caller *caller, struct swk_error *err);

/* Whether a node may speak for others, being a manager of this swarm: 0 or
 * SWK_EDENIED. */
int swki_manager_admit_forwarder(const struct swki_manager *manager,
                                 const struct swki_caller *forwarder,
                                 struct swk_error *err);

/* Whether the node was removed from the swarm, so that its certificate is not
 * honoured any more; and how often that happened to one. */
bool swki_manager_has_removed(const struct swki_manager *manager,
                              const char *node_id);
uint64_t swki_manager_removals(const struct swki_manager *manager);

/* Whether what is committed has the node as a worker, or has a swarm without
 * it. A manager that catches up reads what was so in the past. */
bool swki_manager_knows_no_manager(const struct swki_manager *manager,
                                   const char *node_id);

/* A call was refused before it came to the manager. */
void swki_manager_refused(struct swki_manager *manager, const char *path,
                          const struct swki_caller *caller,
                          enum swki_status status, const char *text);

void swki_manager_call(struct swki_manager *manager, swk_time now,
                       const struct swki_manager_call *call);

/* The caller of an open call went away. */
void swki_manager_cancel(struct swki_manager *manager, uint64_t call_id);

/* -- Events --------------------------------------------------------------- */

/* The storage reports; code is 0 or negative with the reason in err. */
void swki_manager_stored(struct swki_manager *manager, uint64_t ticket,
                         int code, const struct swk_error *err);

/* A message of another manager. A snapshot was written to the storage before:
 * the manager finishes it there, or gives it up. */
void swki_manager_receive(struct swki_manager *manager, swk_time now,
                          const struct swk_raft_message *message);

/* Sending to a member failed, or it has more of a snapshot, or one was sent, or
 * not. */
void swki_manager_unreachable(struct swki_manager *manager, uint64_t raft_id);
void swki_manager_snapshot_goes_on(struct swki_manager *manager,
                                   uint64_t raft_id);
void swki_manager_snapshot_sent(struct swki_manager *manager, uint64_t raft_id,
                                bool ok);
/* A member says that this manager was removed; most of them must. */
void swki_manager_told_removed(struct swki_manager *manager,
                               uint64_t by_raft_id);
/* Whether a member can be reached at the moment. */
void swki_manager_reachable(struct swki_manager *manager, uint64_t raft_id,
                            bool reachable);

/* The outcome of a check: code 0, or why nobody answers there. */
void swki_manager_checked(struct swki_manager *manager, uint64_t check_id,
                          const struct swk_error *failure);

/* How a job of the signer ended. */
void swki_manager_signed(struct swki_manager *manager, uint64_t id,
                         const struct swk_sign_result *result);

/* What came of a request for the value of a secret. */
void swki_manager_fetched(struct swki_manager *manager, uint64_t id,
                          const struct swk_secret_result *result);

/* This manager is about to stop: another one should lead. It still leads until
 * swki_manager_leads() says otherwise. */
void swki_manager_hand_over(struct swki_manager *manager);

/* Adds an entry that changes nothing, if this manager leads: something waits
 * for the log to go on. */
void swki_manager_advance(struct swki_manager *manager);

/* Does all that is due; returns when to call again. */
swk_time swki_manager_turn(struct swki_manager *manager, swk_time now);

/* -- Snapshots ------------------------------------------------------------ */

/* Begins to take one, whatever the interval says, if that can be; may fail
 * later, too. */
void swki_manager_save_now(struct swki_manager *manager);

/* Whether one of the own state is being taken, and is not durable yet. */
bool swki_manager_is_saving(const struct swki_manager *manager);

/* -- How it stands -------------------------------------------------------- */

/* Where the log stands; all zeros while there is no number. */
struct swk_raft_status
swki_manager_status(const struct swki_manager *manager);

bool swki_manager_leads(const struct swki_manager *manager);

/* The member that leads as far as this one knows; 0 for none. */
uint64_t swki_manager_leader(const struct swki_manager *manager);

/* For how long no leader is known; 0 while one is. */
swk_time swki_manager_leaderless_ns(const struct swki_manager *manager);

/* The members; borrowed, and changed by the manager alone. */
const struct swki_membership *
swki_manager_membership(const struct swki_manager *manager);

/* The committed state; borrowed until the next call. */
const struct swki_view *swki_manager_view(const struct swki_manager *manager);

/* The committed object of the swarm; borrowed until the next call. NULL before
 * the swarm is founded. */
const struct swki_object *
swki_manager_cluster(const struct swki_manager *manager);

/* Whether the log holds a swarm for good. */
bool swki_manager_has_cluster(const struct swki_manager *manager);

/* This manager was removed from the group: it has to go, with its log. */
bool swki_manager_removed(const struct swki_manager *manager);

/* Why the manager does nothing more, or NULL: its storage failed, or its copy
 * of the store diverged. */
const struct swk_error *
swki_manager_failure(const struct swki_manager *manager);

#endif
