/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The first objects of a swarm: its cluster, and the manager that founds it.
 */

#ifndef SWKI_CA_BOOTSTRAP_H
#define SWKI_CA_BOOTSTRAP_H

#include <stdbool.h>

#include <swarmkit/error.h>
#include <swarmkit/port/entropy.h>

#include "base/arena.h"
#include "crypto/x509.h"
#include "objects.pb-c.h"

/* Texts and bytes are copied. Zero means the default where one is named. */
struct swki_ca_bootstrap {
    const char *cluster_id; /* the O of the founder's certificate */
    const char *node_id;    /* its CN */
    struct swki_pem root_certificate;
    struct swki_pem root_key; /* may be empty: another signs */
    const struct swk_entropy *entropy; /* for the join tokens */

    uint64_t node_cert_expiry_ns; /* default: 90 days */
    uint64_t heartbeat_period_ns; /* default: none, so that it follows the
                                     swarm's size */
    uint32_t heartbeat_tick;      /* default: 1 */
    uint32_t election_tick;       /* default: 10 */
    bool fips;                    /* every node must run in FIPS mode */

    /* Not NULL: managers are locked by this key. */
    const uint8_t *unlock_key;
    size_t unlock_key_len;

    Swkpb__NodeSpec__Availability availability; /* of the founder */
    const char *const *address_pools;           /* CIDRs */
    size_t address_pools_count;
    uint32_t subnet_size;
    uint32_t vxlan_udp_port;
};

/* Fills an initialised cluster. On failure it is of no use. */
int swki_ca_bootstrap_cluster(const struct swki_ca_bootstrap *bootstrap,
                              struct swki_arena *arena,
                              Swkpb__Cluster *cluster, struct swk_error *err);

/* Fills an initialised node: the founder's own. Its role is left at worker;
 * the role manager sees that it is wanted as a manager, and corrects it. */
int swki_ca_bootstrap_node(const struct swki_ca_bootstrap *bootstrap,
                           struct swki_arena *arena, Swkpb__Node *node,
                           struct swk_error *err);

#endif
