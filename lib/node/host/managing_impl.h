/* SPDX-License-Identifier: Apache-2.0 */

/* The inside of what a node runs as a manager, for its own files. */

#ifndef SWKI_NODE_MANAGING_IMPL_H
#define SWKI_NODE_MANAGING_IMPL_H

#include <pthread.h>

#include "core/control/control.h"
#include "node/audit/audit_log.h"
#include "node/signing/external_ca.h"
#include "node/manager/forward.h"
#include "node/manager/front.h"
#include "node/signing/local_signer.h"
#include "node/storage/log_keys.h"
#include "node/host/managing.h"
#include "node/peers/peers.h"
#include "node/secrets/secret_desk.h"
#include "node/signing/sign_desk.h"

/* A promoted node may have to wait until the one before it is a voter. */
#define SWKI_JOIN_PAUSE_MIN (500 * SWK_MILLISECOND)

enum {
    SWKI_MANAGING_ADDRESS_SIZE = SWKI_REMOTE_ADDRESS_SIZE,
};

/* What the storage's thread told, on its way to the loop. */
struct swki_managing_stored {
    struct swki_message message;
    pthread_mutex_t lock; /* of all below */
    bool posted;
    uint64_t ticket;
    int code;
    struct swk_error err;
};

/* How this manager becomes a member. */
struct swki_managing_joining {
    bool wanted;
    bool removed;         /* its number was, before it became one */
    struct swki_ask *ask; /* under way, or NULL */
    swk_time due;
    swk_time pause;
};

struct swki_managing {
    struct swki_managing_config config;
    char advertised[SWKI_MEMBER_ADDRESSES_MAX][SWKI_MANAGING_ADDRESS_SIZE];
    const char *addresses[SWKI_MEMBER_ADDRESSES_MAX]; /* those in use */
    size_t addresses_count;
    bool address_known; /* not only for this machine */
    int port;
    struct swki_loop_member member;
    struct swki_managing_stored stored;
    struct swki_audit_log *audit_log; /* or NULL */
    struct swki_log_keys log_keys;
    struct swk_storage storage;
    bool storage_open;
    struct swki_tls_context *server_context;
    struct swki_tls_context *client_context;
    struct swki_front *front;
    struct swki_peers *peers;
    struct swki_forward *forward;
    struct swki_rpc_server *server;
    struct swki_local_signer *local_signer; /* for keys in the log */
    bool warned_of_key;                     /* that there is one */
    struct swki_control_keeper keeper;
    swk_time check_keeper_at; /* 0: as soon as this manager leads */
    bool checking_keeper;
    int told_of_signer; /* that there is none: at the start, when leading */
    struct swki_external_ca *external_ca;
    struct swki_sign_desk *desk;
    struct swki_secret_desk *secret_desk; /* NULL without a provider */
    struct swki_manager *manager;
    struct swki_managing_joining joining;
    uint64_t members_version; /* that the peers know */
    uint64_t leader;          /* that the forwarder knows */
    uint64_t removals;        /* that the server knows */
};

/* -- Storage (managing_storage.c) ----------------------------------------- */

void swki_managing_init_storage(struct swki_managing *m);
/* Makes the log's first key before, if there is none. */
int swki_managing_open_storage(struct swki_managing *m, struct swk_error *err);
/* Nothing of it comes any more. Also for one that was never opened. */
void swki_managing_close_storage(struct swki_managing *m);

/* -- Signing (managing_sign.c) -------------------------------------------- */

int swki_managing_make_desk(struct swki_managing *m, struct swk_error *err);
void swki_managing_free_desk(struct swki_managing *m);
/* External CAs are asked with the present certificate from now on. */
int swki_managing_note_identity(struct swki_managing *m, struct swk_error *err);

/* Tells if there should be a signer, and is none. In each turn. */
void swki_managing_warn_of_signer(struct swki_managing *managing);
/* Asks the signer now and then whether it would sign, while this manager leads.
 * In each turn; returns when to call again. */
swk_time swki_managing_check_signer(struct swki_managing *managing,
                                    swk_time now);
/* Struct swki_manager_config: sign; ctx is the struct here. */
int swki_managing_sign(void *ctx, uint64_t id,
                       const struct swk_sign_request *request,
                       struct swk_error *err);

/* -- Values of secrets (managing_secrets.c) ------------------------------- */

int swki_managing_make_secret_desk(struct swki_managing *m,
                                   struct swk_error *err);
/* Fills what the manager needs of it: find_driver, get_secret. */
void swki_managing_offer_secrets(struct swki_managing *m,
                                 struct swki_manager_config *config);

/* -- The audit log (managing_audit.c) ------------------------------------- */

/* One that cannot be opened is an error only if it is required. */
int swki_managing_open_audit(struct swki_managing *m, struct swk_error *err);
/* The node has another key. */
int swki_managing_renew_audit(struct swki_managing *m, struct swk_error *err);

/* -- Other managers (managing_peers.c) ------------------------------------ */

int swki_managing_make_peers(struct swki_managing *m, struct swk_error *err);
int swki_managing_make_front(struct swki_managing *m, struct swk_error *err);

/* Struct swki_manager_config: send, and check; ctx is the struct here. */
void swki_managing_send(void *ctx, const struct swk_raft_message *message);
void swki_managing_check(void *ctx, const struct swki_requests_check *what);

/* Tells all who need to know of changed members, or another leader. */
void swki_managing_note_members(struct swki_managing *m);
void swki_managing_note_leader(struct swki_managing *m, swk_time now);

/* -- Joining (managing_join.c) -------------------------------------------- */

/* It was given its number, and stopped before the leader sent it anything: it
 * does not know whom to answer. */
bool swki_managing_knows_no_member(const struct swki_managing *m);
/* Asks to be added, or for another address, when that is due. Returns when to
 * call again. */
swk_time swki_managing_join(struct swki_managing *m, swk_time now);

#endif
