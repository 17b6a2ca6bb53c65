/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The keys of networks in a cluster object: a ring of three for each subsystem,
 * so that all nodes have the newest before anybody uses it, and take the oldest
 * until nobody does any more. A counter orders the keys of all rings.
 */

#ifndef SWKI_KEYMANAGER_RING_H
#define SWKI_KEYMANAGER_RING_H

#include <swarmkit/port/entropy.h>

#include "core/store/object.h"

#define SWKI_SUBSYSTEM_GOSSIP "networking:gossip"
#define SWKI_SUBSYSTEM_IPSEC "networking:ipsec"

enum {
    SWKI_KEY_RING_SIZE = 3,
    SWKI_NETWORK_KEY_SIZE = 16, /* bytes of an AES-128 key */
};

/* Whether keys are made for such a subsystem at all. */
bool swki_key_subsystem_known(const char *subsystem);

size_t swki_key_ring_count(const Swkpb__Cluster *cluster,
                           const char *subsystem);

/* The index of the subsystem's key with the lowest time, in whatever order they
 * are; SIZE_MAX if it has none. */
size_t swki_key_ring_oldest(const Swkpb__Cluster *cluster,
                            const char *subsystem);

/* Adds a new key to the subsystem's ring of an unsealed cluster; the oldest
 * makes room for it in a full one. A clock that is 0, as no key was ever made,
 * begins anywhere. SWK_EIO without entropy, or SWK_ENOMEM. */
int swki_key_ring_add(struct swki_object *cluster, const char *subsystem,
                      const struct swk_entropy *entropy, struct swk_error *err);

#endif
