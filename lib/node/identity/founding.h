/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How a swarm begins: the first manager makes the root CA and its own
 * certificate, and writes both into the first entry of the log.
 *
 * Until that entry is committed the root's key waits in a file next to the
 * certificates, so that a crash at any point leaves a swarm that can go on: the
 * same identity, the same root. A key that an operator put there, with its
 * certificate, founds the swarm with that root.
 *
 * With a signer, that makes the root and keeps the key. An empty file stands
 * for the key then.
 */

#ifndef SWKI_NODE_FOUNDING_H
#define SWKI_NODE_FOUNDING_H

#include <stdbool.h>

#include <swarmkit/port/signer.h>

#include "core/store/object.h"
#include "node/identity/credentials.h"

struct swki_founding {
    struct swki_buf root_key; /* PEM; empty once the swarm is settled; wiped */
    bool unsettled;           /* the key's file is still there */
    /* NULL: this process makes the root and signs. Set after init. */
    const struct swk_signer *signer;
    bool fips; /* the new swarm admits nodes in FIPS mode alone. Likewise */
    /* Encoded CAConfig, whose external CAs a new swarm is to ask; likewise. */
    struct swk_bytes ca_config;
    char swarm_id[SWK_ID_LEN_MAX + 1]; /* of a swarm that is being founded */
};

void swki_founding_init(struct swki_founding *founding,
                        const struct swk_alloc *alloc);
void swki_founding_fini(struct swki_founding *founding);

/* Loads the identity of this manager or makes a new one, with a new swarm. */
int swki_founding_identity(struct swki_founding *founding,
                           const char *state_dir,
                           struct swki_credentials *credentials,
                           const struct swk_clock *clock,
                           const struct swk_entropy *entropy,
                           struct swk_error *err);

/* The swarm's first objects, *given*; both NULL if the swarm is settled. */
int swki_founding_objects(const struct swki_founding *founding,
                          const struct swki_credentials *credentials,
                          const struct swk_alloc *alloc,
                          const struct swk_entropy *entropy,
                          struct swki_object **out_cluster,
                          struct swki_object **out_node, struct swk_error *err);

/* The node object of a manager that has its certificate before any log knows
 * of it; *given*. */
int swki_founding_node(const struct swki_credentials *credentials,
                       const struct swk_alloc *alloc,
                       const struct swk_entropy *entropy,
                       struct swki_object **out_node, struct swk_error *err);

/* A new identifier for a node or a swarm. */
int swki_founding_id(const struct swk_entropy *entropy,
                     char out_id[SWK_ID_LEN + 1], struct swk_error *err);

/* The log holds the swarm: the key's file goes. */
void swki_founding_settle(struct swki_founding *founding,
                          const char *state_dir);

#endif
