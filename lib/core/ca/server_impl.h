/* SPDX-License-Identifier: Apache-2.0 */

/* The parts of the server: who waits, what is to be signed, what signs. */

#ifndef SWKI_CA_SERVER_IMPL_H
#define SWKI_CA_SERVER_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"
#include "ca.pb-c.h"
#include "core/ca/external.h"
#include "core/ca/issuer.h"
#include "core/ca/joining.h"
#include "core/ca/reconcile.h"
#include "core/ca/renewal_limit.h"
#include "core/ca/server.h"

enum {
    SWKI_CA_CALL_KEY_SIZE = 24, /* a call's number as text */
    SWKI_CA_PAUSES = 5,         /* each twice as long as the one before */
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

/* SWK_ELIMIT if too many wait already, or too many for this node. */
int swki_ca_waiting_add(struct swki_ca_waiting *waiting, uint64_t call_id,
                        const char *node_id, struct swk_error *err);
void swki_ca_waiting_cancel(struct swki_ca_waiting *waiting, uint64_t call_id);

/* Answers those who wait for this node, if its state is final, or it has to
 * wait for a reason. */
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

/* Whether a poller is answered: ISSUED, FAILED or ROTATE; or PENDING, with a
 * reason. */
bool swki_ca_is_answered(const Swkpb__Node *node);
void swki_ca_answer_status(struct swki_answers *answers, uint64_t call_id,
                           const Swkpb__Node *node);

/* ---- work for the signer (signing.c) ---- */

enum swki_ca_job_state {
    SWKI_CA_JOB_QUEUED, /* to be given to the signer */
    SWKI_CA_JOB_PAUSED, /* refused for now; the others go on */
    SWKI_CA_JOB_FLYING, /* with the signer */
    SWKI_CA_JOB_DONE,   /* to be written to the store */
};

/* Why something fails. */
struct swki_ca_reason {
    char text[SWK_ERROR_TEXT_SIZE]; /* empty: it does not */
    swk_wall since;                 /* it fails */
    swk_time noted_at;              /* the text is from then */
    bool over;                      /* for now; it may come back soon */
    bool flaps;                     /* it was over, and came back so */
};

/* Takes note of a failure. False if it is no news: the reason is the same, or
 * another one that comes too soon and is not kept. */
bool swki_ca_reason_note(struct swki_ca_reason *reason, swk_time now,
                         swk_wall wall, const char *text);
/* It fails no more, as far as is known. Should it fail again soon, that is no
 * news: whoever fails by turns would have to be told of each time. */
void swki_ca_reason_suspend(struct swki_ca_reason *reason);
/* It works. */
void swki_ca_reason_clear(struct swki_ca_reason *reason);
/* Empty: it does not fail. */
const char *swki_ca_reason_text(const struct swki_ca_reason *reason);

/* A node whose certificate is to be signed. */
struct swki_ca_job {
    struct swki_link link; /* in the list of its state */
    enum swki_ca_job_state state;
    char node_id[SWK_ID_LEN_MAX + 1];
    unsigned pauses;      /* so far */
    swk_time pause_until; /* paused */
    struct swki_ca_reason reason; /* why it was */
    /* As it asked, counted: from flying on, and while it is paused. */
    const struct swki_object *node;
    /* From flying on: */
    uint64_t id;
    swk_wall asked;                 /* when; so far the certificate reaches */
    uint64_t expiry_ns;
    swk_time limit; /* without an answer until then it is given up */
    /* Done: a certificate, or why there never will be one. */
    struct swki_buf pem;
    struct swk_error failure; /* code 0: none */
};

struct swki_ca_signing {
    const struct swk_alloc *alloc;
    struct swki_map jobs; /* node ID -> struct swki_ca_job */
    struct swki_link queued;
    struct swki_link paused[SWKI_CA_PAUSES]; /* by length; soonest first */
    struct swki_link flying;                 /* the oldest first */
    struct swki_link done;
    size_t flying_count;
    size_t flying_max;
    uint64_t next_id;
    swk_time retry_at; /* nothing is begun before; 0 when not pausing */
    swk_time write_at; /* nothing is written before; likewise */
    struct swki_ca_reason reason; /* why nothing is signed */
    bool probing;      /* it failed last: one at a time until it works again */
};

void swki_ca_signing_init(struct swki_ca_signing *signing,
                          const struct swk_alloc *alloc, size_t flying_max,
                          uint64_t first_id);
/* Forgets all work; it can be found in the store again. */
void swki_ca_signing_fini(struct swki_ca_signing *signing);

/* Adds the node's certificate to the work, or takes it out, as its state asks.
 * What the signer has of an earlier request is begun anew. False for no
 * memory. */
bool swki_ca_signing_node(struct swki_ca_signing *signing,
                          const struct swki_object *node);
void swki_ca_signing_gone(struct swki_ca_signing *signing, const char *node_id);

/* Whether the record of a node asks for a signature. */
bool swki_ca_wants_signature(const Swkpb__Node *node);
/* Whether a node still asks for what it asked for earlier. */
bool swki_ca_same_request(const Swkpb__Node *node, const Swkpb__Node *earlier);

/* Whether the signer may have more. */
bool swki_ca_signing_has_room(const struct swki_ca_signing *signing);
struct swki_ca_job *swki_ca_signing_find(const struct swki_ca_signing *signing,
                                         uint64_t id);
struct swki_ca_job *swki_ca_signing_first(const struct swki_link *list);
void swki_ca_signing_fly(struct swki_ca_signing *signing,
                         struct swki_ca_job *job,
                         const struct swki_object *node);
void swki_ca_signing_finish(struct swki_ca_signing *signing,
                            struct swki_ca_job *job);
/* To the end of the queue, so that it cannot hold up the others for ever. */
void swki_ca_signing_requeue(struct swki_ca_signing *signing,
                             struct swki_ca_job *job);
void swki_ca_signing_drop(struct swki_ca_signing *signing,
                          struct swki_ca_job *job);

/* Keeps one job back for a while, each time for longer, until its node asks
 * for something else. */
void swki_ca_signing_pause(struct swki_ca_signing *signing,
                           struct swki_ca_job *job, swk_time now);
/* Somebody else signs: forgets what went wrong, and begins anew what waits or
 * is with whoever signed before. */
void swki_ca_signing_anew(struct swki_ca_signing *signing);
/* Queues those whose pause is over. */
void swki_ca_signing_wake(struct swki_ca_signing *signing, swk_time now);
/* When the next pause is over, or SWK_NEVER. */
swk_time swki_ca_signing_wake_at(const struct swki_ca_signing *signing);

/* ---- certificates that have ended (ended.c) ---- */

struct swki_ca_server;

/*
 * Whose certificate a request with a proof may renew: borrowed from the node's
 * object. SWK_EINVAL and SWK_EMALFORMED for a proof of no use, SWK_ENOTFOUND
 * for a node that is not there, SWK_EDENIED with the reason for all else.
 */
int swki_ca_check_proof(const struct swki_ca_server *server, swk_wall wall,
                        const Swkpb__IssueNodeCertificateRequest *request,
                        const char **out_node_id, struct swk_error *err);

/* The same for this manager itself, which needs no proof: SWK_EDENIED when it
 * comes too late. */
int swki_ca_check_own(const struct swki_ca_server *server, swk_wall wall,
                      struct swk_error *err);

/* SWK_EDENIED if a certificate ended longer ago than the swarm allows. */
int swki_ca_check_grace(const struct swki_ca_server *server, swk_wall wall,
                        const char *node_id, swk_wall not_after,
                        struct swk_error *err);

/* ---- the whole ---- */

struct swki_ca_server {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_store *store;
    struct swk_entropy entropy;
    struct swki_rng rng;
    char node_id[SWK_ID_LEN_MAX + 1];
    bool running;
    bool stale;                        /* head must be read again */
    struct swki_watch *head;           /* nodes and clusters */
    struct swki_watch *committed;      /* nodes */
    const struct swki_object *cluster; /* the latest in head; counted */
    /* That whose root signs, counted; NULL: none is fit to. */
    const struct swki_object *material;
    struct swki_ca_authority authority; /* of the material */
    /* A newer one with another root, which has yet to prove itself; counted. */
    const struct swki_object *candidate;
    swk_time candidate_at;            /* not looked at before */
    struct swki_ca_external external; /* of the cluster, for the authority */
    struct swki_ca_work work;         /* that was given out last */
    struct swki_ca_signing signing;
    struct swki_ca_waiting waiting;
    struct swki_renewal_limit renewals;
    struct swki_reconcile reconcile; /* of a rotation of the root */
    swk_time now;                    /* of the last step */
    swk_time tell_at; /* who waits is told why; SWK_NEVER: nobody is */
};

/* The cluster's record of the CA, or NULL; cluster may be NULL. */
const Swkpb__RootCA *swki_ca_root_of(const struct swki_object *cluster);

/* The swarm's one cluster object, or NULL. */
const struct swki_object *swki_ca_find_cluster(const struct swki_view *view);

/* Whether the node was removed. */
bool swki_ca_is_blacklisted(const Swkpb__Cluster *cluster, const char *node_id);

/* Takes in what has changed in head. */
void swki_ca_server_follow(struct swki_ca_server *server);

/* ---- what is in force (material.c) ---- */

/* Takes note of the cluster in head. */
void swki_ca_server_see_cluster(struct swki_ca_server *server,
                                const struct swki_object *cluster);
/* Puts a newer root in force, if it is fit. */
void swki_ca_server_try_candidate(struct swki_ca_server *server, swk_time now,
                                  swk_wall wall);
void swki_ca_server_forget_material(struct swki_ca_server *server);

/* ---- why joins wait (joining.c) ---- */

/* Writes the reasons into the nodes' records. */
void swki_ca_server_tell_reasons(struct swki_ca_server *server, swk_time now,
                                 swk_wall wall);

/* ---- work and its results (work.c) ---- */

/* Begins nothing new for a while. */
void swki_ca_server_pause(struct swki_ca_server *server, swk_time now,
                          swk_wall wall, const char *why);
/* Gives up what the signer has for too long. */
void swki_ca_server_expire(struct swki_ca_server *server, swk_time now,
                           swk_wall wall);
/* Writes what is done, in one transaction. */
void swki_ca_server_write(struct swki_ca_server *server, swk_time now,
                          swk_wall wall);

#endif
