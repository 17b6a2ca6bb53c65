/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The authority of a swarm, on the leader: takes requests for certificates,
 * signs them, and tells those who wait.
 *
 * A request becomes part of a Node object; the signer follows the store's head
 * and writes certificates into those objects; a call that asks for the outcome
 * stays open until the outcome is committed. So a new leader goes on where the
 * last one stopped, from the store alone.
 *
 * What a node object's certificate goes through:
 *
 *     (new node)  -> PENDING -> ISSUED | FAILED
 *     (renewal)   -> RENEW   -> ISSUED | FAILED
 *     ROTATE: the node is asked to renew; for those who wait as good as ISSUED
 *
 * The server has no key at work: it hands out work, and takes what comes of it.
 * A few pieces are under way at a time; what came back is checked, and written
 * in one transaction a step, to nodes that still ask for just that. A failure
 * that may pass, such as a signer that is away, changes nothing: after a pause
 * it is tried again. If it is about one request alone, such as a limit of the
 * signer's, only that one waits, each time for longer. A failure that is final
 * makes the node FAILED, until it sends another request.
 *
 * While a certificate is asked for, or was refused, the node's record keeps the
 * one that was issued before.
 *
 * A node that renews of its own accord may do so only so often
 * (renewal_limit.h); what the server asked it for, and a new role, are not
 * counted.
 *
 * While the root is rotated, what signs is the next root, and the server leads
 * all nodes to it (reconcile.h).
 */

#ifndef SWKI_CA_SERVER_H
#define SWKI_CA_SERVER_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/log.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/port/signer.h>

#include "core/store/store.h"
#include "wire/service.h"

enum {
    SWKI_CA_WAITING_MAX = 16384,  /* calls kept open */
    SWKI_CA_WAITING_NODE_MAX = 8, /* of them for one node */
    SWKI_CA_WORK_MAX = 64,        /* with the signer at a time */
    SWKI_CA_WRITES_PER_STEP = 32, /* an entry of the log is limited */
    SWKI_CA_EVENTS_MAX = 65536,   /* a watch may fall behind so far */
};

/* After a failure that may pass, all that is outstanding is tried again; what
 * failed by itself is at first. */
#define SWKI_CA_RETRY_INTERVAL (10 * SWK_SECOND)
/* While something fails, another reason is told and stored once in that time at
 * most: the words may be others with each attempt. */
#define SWKI_CA_REASON_INTERVAL (5 * SWK_MINUTE)
/* A signer that has not answered by then will not. */
#define SWKI_CA_WORK_LIMIT SWK_MINUTE

struct swki_ca_server_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_store *store;
    const char *node_id;               /* of this manager; copied */
    const struct swk_entropy *entropy; /* to prove keys by; copied */
    uint64_t seed;      /* of the generator of IDs of nodes and of work */
    size_t waiting_max; /* 0: SWKI_CA_WAITING_MAX */
    size_t work_max;    /* 0: SWKI_CA_WORK_MAX */
};

struct swki_ca_server;

int swki_ca_server_new(const struct swki_ca_server_config *config,
                       struct swki_ca_server **out_server,
                       struct swk_error *err);
void swki_ca_server_free(struct swki_ca_server *server);

/* This manager leads: reads head and starts to follow the store. What is
 * outstanding is signed by the steps that follow. SWK_ENOMEM. */
int swki_ca_server_start(struct swki_ca_server *server, struct swk_error *err);

/* Leadership ended: every call that waits is ended. Without effect on a server
 * that is not running. */
void swki_ca_server_stop(struct swki_ca_server *server,
                         struct swki_answers *answers);

/*
 * Serves a call of docker.swarmkit.v1.CA or NodeCA; whether the caller may make
 * it was decided before. The answer is appended at once, except that of
 * NodeCertificateStatus, which may come from a later step.
 */
void swki_ca_server_call(struct swki_ca_server *server, swk_time now,
                         swk_wall wall, const struct swki_call *call,
                         struct swki_answers *answers);

/* The caller has gone: forgets a call that waits, if there is such a one. */
void swki_ca_server_cancel(struct swki_ca_server *server, uint64_t call_id);

/* Takes in what has changed, writes what came of work, and answers. */
void swki_ca_server_step(struct swki_ca_server *server, swk_time now,
                         swk_wall wall, struct swki_answers *answers);

/* Whether the store has changed in a way that asks for a step. */
bool swki_ca_server_pending(const struct swki_ca_server *server);

/* When to step if nothing changes first: 0 for at once, or SWK_NEVER. */
swk_time swki_ca_server_deadline(const struct swki_ca_server *server);

/* -- Work ----------------------------------------------------------------- */

/* Something to be signed; all of it is borrowed until the next call of the
 * machine. */
struct swki_ca_work {
    uint64_t id;
    struct swk_sign_request request;
};

/*
 * The next piece of work to be given to the signer, or NULL. To be asked after
 * each step until there is none; what is given out is under way from then on.
 */
const struct swki_ca_work *
swki_ca_server_next_work(struct swki_ca_server *server, swk_time now,
                         swk_wall wall);

/*
 * What came of it. It shows by the next step. Ignored if nobody waits for it
 * any more; IDs of earlier servers are not taken for own ones, as they begin at
 * a random number.
 */
void swki_ca_server_worked(struct swki_ca_server *server, swk_time now,
                           swk_wall wall, uint64_t id,
                           const struct swk_sign_result *result);

/* -- How it stands -------------------------------------------------------- */

/* Calls that wait, and nodes whose certificates are to be signed. */
size_t swki_ca_server_waiting(const struct swki_ca_server *server);
size_t swki_ca_server_outstanding(const struct swki_ca_server *server);

/* Why certificates wait for whoever signs. */
struct swki_ca_trouble {
    char why[SWK_ERROR_TEXT_SIZE]; /* the last reason; empty: none waits */
    swk_wall since;                /* they are not signed */
    size_t waiting;                /* certificates */
};

/* What keeps all from being signed, and what keeps some that were refused by
 * themselves. The former is known until something is signed, or somebody else
 * is to sign, also when nobody waits any more. */
void swki_ca_server_troubles(const struct swki_ca_server *server,
                             struct swki_ca_trouble *out_all,
                             struct swki_ca_trouble *out_some);

#endif
