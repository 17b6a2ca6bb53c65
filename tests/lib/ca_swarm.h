/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A leader's control and CA, a signer, and nodes that renew: all in one thread,
 * with real keys and certificates, without sockets. Time moves by ca_advance()
 * only, and each entry of the log is committed at once.
 *
 * Nodes do what real ones do: asked to renew, they wait a moment, make a key,
 * ask, verify what they get, and report whose certificate it is; told of
 * another root, they take it if their own certificate verifies under it.
 * Whenever one of them changes, it is checked that all that are up trust each
 * other.
 */

#ifndef TESTS_LIB_CA_SWARM_H
#define TESTS_LIB_CA_SWARM_H

#include "base/list.h"
#include "core/ca/server.h"
#include "core/control/control.h"
#include "crypto/job.h"
#include "unit/crypto/pki.h"

enum {
    CA_SWARM_NODES_MAX = 1024,
    CA_SWARM_BUNDLES_MAX = 16, /* of roots, in the life of one */
};

struct ca_node {
    char id[SWK_ID_LEN_MAX + 1];
    bool exists;
    bool down;           /* it neither hears nor says anything */
    swk_time renew;      /* when it asks for a certificate; SWK_NEVER */
    uint64_t poll;       /* the call by which it waits for one */
    struct swki_buf key; /* of the request */
    struct swki_buf csr;
    struct swki_buf chain; /* in use */
    uint32_t trusted;      /* bundles under which that was seen to verify */
    struct swki_buf roots; /* that it trusts */
};

struct ca_swarm {
    struct pki pki; /* of the first root */
    struct swki_store *store;
    struct swki_watch *watch; /* committed: what nodes are told */
    struct swki_link pending; /* entries, proposed only */
    uint64_t index;
    struct swki_control *control;
    struct swki_ca_server *server;
    struct swki_job_keys keys; /* the signer's */
    struct swki_answers answers;
    struct swki_arena arena;
    swk_time now;
    swk_wall wall;
    uint64_t calls;
    int update_status; /* of the last UpdateCluster; -1: not answered yet */
    uint64_t nodes_ns; /* CPU time that the nodes took */
    bool unchecked;    /* nobody looks whether all trust each other */
    struct ca_node nodes[CA_SWARM_NODES_MAX];
    size_t nodes_count;
    struct swki_buf bundles[CA_SWARM_BUNDLES_MAX];
    size_t bundles_count;
};

struct ca_swarm *ca_swarm_new(size_t nodes_count);
void ca_swarm_free(struct ca_swarm *s);

/* A new node, which joins by the present token. */
struct ca_node *ca_swarm_join(struct ca_swarm *s);
/* One that is known already, without a certificate that anyone has seen. */
struct ca_node *ca_swarm_add(struct ca_swarm *s);
void ca_swarm_remove(struct ca_swarm *s, struct ca_node *node);
/* Another leader: what is in the store is all that it knows. */
void ca_swarm_lead_anew(struct ca_swarm *s);

/* Asks for a rotation to a root of the swarm's own, and waits until it begins.
 */
void ca_swarm_rotate(struct ca_swarm *s);
void ca_swarm_give_up(struct ca_swarm *s);

/* Lets everybody do what is due, until the time is over. */
void ca_swarm_advance(struct ca_swarm *s, swk_time span);

const Swkpb__RootCA *ca_swarm_root(const struct ca_swarm *s);
bool ca_swarm_is_rotating(const struct ca_swarm *s);
/* Nodes whose certificate is in this state, by the store. */
size_t ca_swarm_count(const struct ca_swarm *s, int state);
/* Whether the node's certificate verifies under these roots. */
bool ca_node_verifies(const struct ca_swarm *s, const struct ca_node *node,
                      struct swki_pem roots);
/* Whether the node trusts the swarm's root and has a certificate under it. */
bool ca_node_follows(const struct ca_swarm *s, const struct ca_node *node);

#endif
