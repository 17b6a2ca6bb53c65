/* SPDX-License-Identifier: Apache-2.0 */

#include "core/ca/bootstrap.h"

#include <swarmkit/join_token.h>

#include "base/error.h"
#include "core/ca/issuer.h"
#include "crypto/digest.h"
#include "wire/message.h"

enum {
    TASK_HISTORY_LIMIT = 5,
    SNAPSHOT_INTERVAL = 10000, /* entries */
    ENTRIES_FOR_SLOW_FOLLOWERS = 500,
    HEARTBEAT_TICK = 1,
    ELECTION_TICK = 10,
};

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value != 0 ? value : fallback;
}

static bool fill_raft(const struct swki_ca_bootstrap *bootstrap,
                      struct swki_arena *arena, Swkpb__ClusterSpec *spec)
{
    Swkpb__RaftConfig *raft =
        swki_arena_alloc(arena, sizeof(Swkpb__RaftConfig));

    if (raft == NULL) {
        return false;
    }
    swkpb__raft_config__init(raft);
    raft->snapshot_interval = SNAPSHOT_INTERVAL;
    raft->log_entries_for_slow_followers = ENTRIES_FOR_SLOW_FOLLOWERS;
    raft->heartbeat_tick =
        (uint32_t)or_default(bootstrap->heartbeat_tick, HEARTBEAT_TICK);
    raft->election_tick =
        (uint32_t)or_default(bootstrap->election_tick, ELECTION_TICK);
    spec->raft = raft;
    return true;
}

static bool fill_periods(const struct swki_ca_bootstrap *bootstrap,
                         struct swki_arena *arena, Swkpb__ClusterSpec *spec)
{
    spec->orchestration =
        swki_arena_alloc(arena, sizeof(Swkpb__OrchestrationConfig));
    spec->dispatcher = swki_arena_alloc(arena, sizeof(Swkpb__DispatcherConfig));
    spec->ca_config = swki_arena_alloc(arena, sizeof(Swkpb__CAConfig));
    if (spec->orchestration == NULL || spec->dispatcher == NULL ||
        spec->ca_config == NULL) {
        return false;
    }
    swkpb__orchestration_config__init(spec->orchestration);
    swkpb__dispatcher_config__init(spec->dispatcher);
    swkpb__caconfig__init(spec->ca_config);
    spec->orchestration->task_history_retention_limit = TASK_HISTORY_LIMIT;
    if (bootstrap->heartbeat_period_ns != 0) {
        spec->dispatcher->heartbeat_period = swki_duration_from_ns(
            (int64_t)bootstrap->heartbeat_period_ns, arena);
        if (spec->dispatcher->heartbeat_period == NULL) {
            return false;
        }
    }
    spec->ca_config->node_cert_expiry = swki_duration_from_ns(
        (int64_t)or_default(bootstrap->node_cert_expiry_ns,
                            SWKI_CA_EXPIRY_DEFAULT),
        arena);
    return spec->ca_config->node_cert_expiry != NULL;
}

static bool fill_spec(const struct swki_ca_bootstrap *bootstrap,
                      struct swki_arena *arena, Swkpb__Cluster *cluster)
{
    Swkpb__ClusterSpec *spec =
        swki_arena_alloc(arena, sizeof(Swkpb__ClusterSpec));

    if (spec == NULL) {
        return false;
    }
    swkpb__cluster_spec__init(spec);
    cluster->spec = spec;
    spec->annotations = swki_arena_alloc(arena, sizeof(Swkpb__Annotations));
    spec->encryption_config =
        swki_arena_alloc(arena, sizeof(Swkpb__EncryptionConfig));
    if (spec->annotations == NULL || spec->encryption_config == NULL) {
        return false;
    }
    swkpb__annotations__init(spec->annotations);
    swkpb__encryption_config__init(spec->encryption_config);
    spec->annotations->name = swki_arena_strdup(arena, "default");
    spec->encryption_config->auto_lock_managers =
        bootstrap->unlock_key != NULL;
    return spec->annotations->name != NULL &&
           fill_raft(bootstrap, arena, spec) &&
           fill_periods(bootstrap, arena, spec);
}

static bool fill_unlock_key(const struct swki_ca_bootstrap *bootstrap,
                            struct swki_arena *arena, Swkpb__Cluster *cluster)
{
    Swkpb__EncryptionKey *key;

    if (bootstrap->unlock_key == NULL) {
        return true;
    }
    key = swki_arena_alloc(arena, sizeof(Swkpb__EncryptionKey));
    cluster->unlock_keys = swki_arena_calloc(arena, 1, sizeof(key));
    if (key == NULL || cluster->unlock_keys == NULL) {
        return false;
    }
    swkpb__encryption_key__init(key);
    key->subsystem = swki_arena_strdup(arena, SWKI_OU_MANAGER);
    key->key.data = swki_arena_memdup(arena, bootstrap->unlock_key,
                                      bootstrap->unlock_key_len);
    key->key.len = bootstrap->unlock_key_len;
    cluster->unlock_keys[0] = key;
    cluster->n_unlock_keys = 1;
    return key->subsystem != NULL && key->key.data != NULL;
}

static bool fill_network(const struct swki_ca_bootstrap *bootstrap,
                         struct swki_arena *arena, Swkpb__Cluster *cluster)
{
    size_t count = bootstrap->address_pools_count;

    cluster->subnetsize = bootstrap->subnet_size;
    cluster->vxlanudpport = bootstrap->vxlan_udp_port;
    if (count == 0) {
        return true;
    }
    cluster->defaultaddresspool =
        swki_arena_calloc(arena, count, sizeof(char *));
    if (cluster->defaultaddresspool == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        cluster->defaultaddresspool[i] =
            swki_arena_strdup(arena, bootstrap->address_pools[i]);
        if (cluster->defaultaddresspool[i] == NULL) {
            return false;
        }
    }
    cluster->n_defaultaddresspool = count;
    return true;
}

int swki_ca_bootstrap_cluster(const struct swki_ca_bootstrap *bootstrap,
                              struct swki_arena *arena,
                              Swkpb__Cluster *cluster, struct swk_error *err)
{
    uint32_t flags = bootstrap->fips ? SWK_JOIN_TOKEN_FIPS : 0;

    cluster->id = swki_arena_strdup(arena, bootstrap->cluster_id);
    cluster->root_ca = swki_arena_alloc(arena, sizeof(Swkpb__RootCA));
    cluster->fips = bootstrap->fips;
    if (cluster->id == NULL || cluster->root_ca == NULL ||
        !fill_spec(bootstrap, arena, cluster) ||
        !fill_unlock_key(bootstrap, arena, cluster) ||
        !fill_network(bootstrap, arena, cluster)) {
        return swki_fail_nomem(err);
    }
    return swki_ca_fill_root(bootstrap->root_certificate, bootstrap->root_key,
                             flags, bootstrap->entropy, arena,
                             cluster->root_ca, err);
}

static bool fill_certificate(const struct swki_ca_bootstrap *bootstrap,
                             struct swki_arena *arena, Swkpb__Node *node)
{
    Swkpb__Certificate *certificate =
        swki_arena_alloc(arena, sizeof(Swkpb__Certificate));
    Swkpb__IssuanceStatus *status =
        swki_arena_alloc(arena, sizeof(Swkpb__IssuanceStatus));

    if (certificate == NULL || status == NULL) {
        return false;
    }
    swkpb__certificate__init(certificate);
    swkpb__issuance_status__init(status);
    certificate->cn = swki_arena_strdup(arena, bootstrap->node_id);
    certificate->role = SWKPB__NODE_ROLE__MANAGER;
    certificate->status = status;
    status->state = SWKPB__ISSUANCE_STATUS__STATE__ISSUED;
    node->certificate = certificate;
    return certificate->cn != NULL;
}

int swki_ca_bootstrap_node(const struct swki_ca_bootstrap *bootstrap,
                           struct swki_arena *arena, Swkpb__Node *node,
                           struct swk_error *err)
{
    node->id = swki_arena_strdup(arena, bootstrap->node_id);
    node->spec = swki_arena_alloc(arena, sizeof(Swkpb__NodeSpec));
    if (node->id == NULL || node->spec == NULL ||
        !fill_certificate(bootstrap, arena, node)) {
        return swki_fail_nomem(err);
    }
    swkpb__node_spec__init(node->spec);
    node->spec->desired_role = SWKPB__NODE_ROLE__MANAGER;
    node->spec->membership = SWKPB__NODE_SPEC__MEMBERSHIP__ACCEPTED;
    node->spec->availability = bootstrap->availability;
    node->vxlanudpport = bootstrap->vxlan_udp_port;
    return SWK_OK;
}
