/* SPDX-License-Identifier: Apache-2.0 */

/* The parts of the server: who waits, what is to be signed, what is trusted. */

#ifndef SWKI_CA_SERVER_IMPL_H
#define SWKI_CA_SERVER_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"
#include "core/ca/server.h"
#include "crypto/x509.h"

enum {
    SWKI_CA_CALL_KEY_SIZE = 24, /* a call's number as text */
};

/* ---- calls that wait for a node's certificate (waiting.c) ---- */

struct swki_ca_waiting {
    const struct swk_alloc *alloc;
    struct swki_map nodes; /* node ID -> struct group of calls */
    struct swki_map calls; /* call number -> struct waiter */
    size_t max;
};

void swki_ca_waiting_init(struct swki_ca_waiting *waiting,
                          const struct swk_alloc *alloc, size_t max);
/* Forgets all calls without a word. */
void swki_ca_waiting_fini(struct swki_ca_waiting *waiting);

/* SWK_ELIMIT if too many wait already. */
int swki_ca_waiting_add(struct swki_ca_waiting *waiting, uint64_t call_id,
                        const char *node_id, struct swk_error *err);
void swki_ca_waiting_cancel(struct swki_ca_waiting *waiting, uint64_t call_id);

/* Answers those who wait for this node, if its state is final. */
void swki_ca_waiting_node(struct swki_ca_waiting *waiting,
                          const Swkpb__Node *node,
                          struct swki_answers *answers);
/* The node is no more. */
void swki_ca_waiting_gone(struct swki_ca_waiting *waiting, const char *node_id,
                          struct swki_answers *answers);
/* Looks at every node that is waited for, after events were missed. */
void swki_ca_waiting_review(struct swki_ca_waiting *waiting,
                            const struct swki_view *view,
                            struct swki_answers *answers);
/* Ends every call. */
void swki_ca_waiting_stop(struct swki_ca_waiting *waiting,
                          struct swki_answers *answers);

/* Whether a poller need not wait: ISSUED, FAILED or ROTATE. */
bool swki_ca_is_final(const Swkpb__Node *node);
void swki_ca_answer_status(struct swki_answers *answers, uint64_t call_id,
                           const Swkpb__Node *node);

/* ---- the signer's work (signing.c) ---- */

struct swki_ca_signing {
    const struct swk_alloc *alloc;
    struct swki_map jobs;    /* node ID -> struct job */
    struct swki_link queue;  /* the same, in order of arrival */
    size_t per_step;
    swk_time retry_at; /* nothing is signed before; 0 when not pausing */
};

void swki_ca_signing_init(struct swki_ca_signing *signing,
                          const struct swk_alloc *alloc, size_t per_step);
/* Forgets all work; it can be found in the store again. */
void swki_ca_signing_fini(struct swki_ca_signing *signing);

/* Adds the node's certificate to the work, or takes it out, as its state asks.
 * False for no memory. */
bool swki_ca_signing_node(struct swki_ca_signing *signing,
                          const Swkpb__Node *node);
void swki_ca_signing_gone(struct swki_ca_signing *signing, const char *node_id);

/* ---- the whole ---- */

struct swki_ca_server {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_store *store;
    struct swk_entropy entropy;
    struct swki_rng rng;
    char node_id[SWK_ID_LEN_MAX + 1];
    bool running;
    bool stale; /* head must be read again */
    struct swki_watch *head;      /* nodes and clusters */
    struct swki_watch *committed; /* nodes */
    const struct swki_object *cluster;  /* the latest in head; counted */
    const struct swki_object *material; /* what signer was made from; counted */
    struct swki_signer *signer;         /* NULL: the swarm holds no key */
    struct swki_ca_signing signing;
    struct swki_ca_waiting waiting;
};

/* The cluster's record of the CA, or NULL; cluster may be NULL. */
const Swkpb__RootCA *swki_ca_root_of(const struct swki_object *cluster);

/* The swarm's one cluster object, or NULL. */
const struct swki_object *swki_ca_find_cluster(const struct swki_view *view);

/* Takes in what has changed in head. */
void swki_ca_server_follow(struct swki_ca_server *server);

/* Signs what a step may sign, and writes it in one transaction. */
void swki_ca_server_sign(struct swki_ca_server *server, swk_time now,
                         swk_wall wall);

#endif
