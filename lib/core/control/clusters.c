/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The cluster: its settings, and the tokens by which nodes join.
 *
 * What is shown is made of the fields listed in show(), so that a field that
 * is added one day stays hidden until somebody decides otherwise.
 */

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/log.h"
#include "control.pb-c.h"
#include "core/control/blacklist.h"
#include "core/control/handlers.h"
#include "core/control/tokens.h"
#include "core/control/unlock_keys.h"
#include "core/control/validate.h"
#include "wire/message.h"
#include "wire/time.h"

#define SECONDS INT64_C(1000000000)
#define NODE_CERT_EXPIRY_MIN (INT64_C(3600) * SECONDS)
#define NODE_CERT_EXPIRY_MAX (INT64_C(87600) * 3600 * SECONDS)
#define HEARTBEAT_MIN (SECONDS / 10)
#define HEARTBEAT_MAX (INT64_C(3600) * SECONDS)

enum {
    DEFAULT_SUBNET_SIZE = 24,
    DEFAULT_VXLAN_PORT = 4789,
};

static Swkpb__ClusterSpec *show_spec(const Swkpb__ClusterSpec *spec,
                                     struct swki_arena *arena)
{
    Swkpb__ClusterSpec *shown = swki_arena_memdup(arena, spec, sizeof(*spec));

    if (shown == NULL || spec->ca_config == NULL) {
        return shown;
    }

    Swkpb__CAConfig *ca =
        swki_arena_memdup(arena, spec->ca_config, sizeof(*spec->ca_config));
    if (ca == NULL) {
        return NULL;
    }
    /* The certificate is no secret. It is left out so that a client that
     * writes back what it read does not ask for another CA. */
    ca->signing_ca_key = (ProtobufCBinaryData){0};
    ca->signing_ca_cert = (ProtobufCBinaryData){0};
    shown->ca_config = ca;
    return shown;
}

/* False for no memory. */
static bool show_trouble(const struct swki_control_trouble *trouble,
                         Swkpb__Rpc__CaTrouble **out_shown,
                         struct swki_arena *arena)
{
    Swkpb__Rpc__CaTrouble *shown;

    if (trouble->why[0] == '\0') {
        return true;
    }
    shown = swki_arena_alloc(arena, sizeof(*shown));
    if (shown == NULL) {
        return false;
    }
    swkpb__rpc__ca_trouble__init(shown);
    shown->why = swki_arena_strdup(arena, trouble->why);
    shown->since = swki_timestamp_from_wall(trouble->since, arena);
    shown->waiting = trouble->waiting;
    *out_shown = shown;
    return shown->why != NULL && shown->since != NULL;
}

static bool show_troubles(const struct swki_control_config *config,
                          Swkpb__Rpc__CaKeeper *shown, struct swki_arena *arena)
{
    struct swki_control_trouble all = {.waiting = 0};
    struct swki_control_trouble some = {.waiting = 0};

    if (config->troubles != NULL) {
        config->troubles(config->troubles_ctx, &all, &some);
    }
    return show_trouble(&all, &shown->not_signing, arena) &&
           show_trouble(&some, &shown->held_back, arena);
}

static Swkpb__Rpc__CaKeeper *
show_keeper(const struct swki_control_config *config, const Swkpb__RootCA *root,
            struct swki_arena *arena)
{
    const struct swki_control_keeper *keeper = config->keeper;
    Swkpb__Rpc__CaKeeper *shown = swki_arena_alloc(arena, sizeof(*shown));

    if (shown == NULL) {
        return NULL;
    }
    swkpb__rpc__ca_keeper__init(shown);
    shown->in_log = root->ca_key.len > 0;
    shown->next_in_log =
        root->root_rotation != NULL && root->root_rotation->ca_key.len > 0;
    if (keeper != NULL) {
        shown->signer = swki_arena_strdup(arena, keeper->name);
        shown->failure = swki_arena_strdup(arena, keeper->failure);
    }
    if (keeper != NULL && keeper->asked_at != 0) {
        shown->asked_at = swki_timestamp_from_wall(keeper->asked_at, arena);
        if (shown->asked_at == NULL) {
            return NULL;
        }
    }
    return shown->signer != NULL && shown->failure != NULL &&
                   show_troubles(config, shown, arena)
               ? shown
               : NULL;
}

static Swkpb__RootCA *show_root(const struct swki_control_config *config,
                                const Swkpb__RootCA *root,
                                struct swki_arena *arena)
{
    Swkpb__RootCA *shown = swki_arena_memdup(arena, root, sizeof(*root));

    if (shown == NULL) {
        return NULL;
    }
    shown->keeper = show_keeper(config, root, arena);
    if (shown->keeper == NULL) {
        return NULL;
    }
    shown->ca_key = (ProtobufCBinaryData){0};
    if (root->join_tokens != NULL) {
        shown->join_tokens = swki_arena_memdup(arena, root->join_tokens,
                                               sizeof(*root->join_tokens));
        if (shown->join_tokens == NULL) {
            return NULL;
        }
        shown->join_tokens->n_limited = 0; /* they have calls of their own */
        shown->join_tokens->limited = NULL;
    }
    if (root->root_rotation != NULL) {
        shown->root_rotation = swki_arena_memdup(arena, root->root_rotation,
                                                 sizeof(*root->root_rotation));
        if (shown->root_rotation == NULL) {
            return NULL;
        }
        shown->root_rotation->ca_key = (ProtobufCBinaryData){0};
    }
    return shown;
}

/* NULL for no memory. */
static Swkpb__Cluster *show(struct swki_control_request *r,
                            const Swkpb__Cluster *cluster)
{
    static char default_pool[] = "10.0.0.0/8";
    static char *default_pools[] = {default_pool};
    Swkpb__Cluster *shown = swki_arena_alloc(r->arena, sizeof(*shown));

    if (shown == NULL) {
        return NULL;
    }
    swkpb__cluster__init(shown);
    shown->id = cluster->id;
    shown->meta = cluster->meta;
    shown->n_blacklisted_certificates = cluster->n_blacklisted_certificates;
    shown->blacklisted_certificates = cluster->blacklisted_certificates;
    shown->n_defaultaddresspool = cluster->n_defaultaddresspool;
    shown->defaultaddresspool = cluster->defaultaddresspool;
    shown->subnetsize = cluster->subnetsize;
    if (cluster->n_defaultaddresspool == 0) {
        shown->n_defaultaddresspool = 1;
        shown->defaultaddresspool = default_pools;
        shown->subnetsize = DEFAULT_SUBNET_SIZE;
    }
    shown->vxlanudpport = cluster->vxlanudpport != 0 ? cluster->vxlanudpport
                                                     : DEFAULT_VXLAN_PORT;
    if (cluster->spec != NULL) {
        shown->spec = show_spec(cluster->spec, r->arena);
    }
    if (cluster->root_ca != NULL) {
        shown->root_ca = show_root(r->config, cluster->root_ca, r->arena);
    }
    bool complete = (cluster->spec == NULL) == (shown->spec == NULL) &&
                    (cluster->root_ca == NULL) == (shown->root_ca == NULL);
    return complete ? shown : NULL;
}

int swki_control_get_cluster(struct swki_control_request *r,
                             const void *request, struct swk_error *err)
{
    const Swkpb__GetClusterRequest *get = request;
    Swkpb__GetClusterResponse reply = SWKPB__GET_CLUSTER_RESPONSE__INIT;
    const struct swki_object *object;
    int rc = swki_control_find(swki_control_view(r), SWKI_KIND_CLUSTER,
                               get->cluster_id, &object, err);

    if (rc != SWK_OK) {
        return rc;
    }
    reply.cluster = show(r, swki_cluster(object));
    if (reply.cluster == NULL) {
        return swki_fail_nomem(err);
    }
    swki_control_reply(r, &reply.base, 0);
    return SWK_OK;
}

static int pick_cluster(struct swki_control_request *r,
                        const struct swki_object *object, const void *filter,
                        const void **out_message)
{
    const Swkpb__Cluster *cluster = swki_cluster(object);
    const Swkpb__Annotations *a =
        cluster->spec != NULL ? cluster->spec->annotations : NULL;

    if (!swki_filter_all(filter, cluster->id, swki_annotations_name(a),
                         swki_annotations_labels(a))) {
        return SWK_OK;
    }
    *out_message = show(r, cluster);
    return *out_message != NULL ? SWK_OK : SWK_ENOMEM;
}

int swki_control_list_clusters(struct swki_control_request *r,
                               const void *request, struct swk_error *err)
{
    const Swkpb__ListClustersRequest *list = request;
    const Swkpb__ListClustersRequest__Filters *filters = list->filters;
    static const struct swki_selector all = {.by = SWKI_BY_ALL};
    Swkpb__ListClustersResponse reply = SWKPB__LIST_CLUSTERS_RESPONSE__INIT;
    struct swki_filter filter = {0};
    struct swki_found found;

    if (filters != NULL) {
        filter.names = SWKI_TEXTS(filters, names);
        filter.name_prefixes = SWKI_TEXTS(filters, name_prefixes);
        filter.id_prefixes = SWKI_TEXTS(filters, id_prefixes);
        filter.labels = SWKI_LABELS(filters, labels);
    }

    int rc = swki_control_list(r, SWKI_KIND_CLUSTER, &all, pick_cluster,
                               &filter, &found, err);
    if (rc == SWK_OK) {
        reply.n_clusters = found.count;
        reply.clusters = (Swkpb__Cluster **)found.items;
        swki_control_reply(r, &reply.base, 0);
    }
    return rc;
}

/* -- Update --------------------------------------------------------------- */

static int check_policies(const Swkpb__AcceptancePolicy *policy,
                          struct swk_error *err)
{
    for (size_t i = 0; policy != NULL && i < policy->n_policies; i++) {
        const Swkpb__AcceptancePolicy__RoleAdmissionPolicy__Secret *secret =
            policy->policies[i]->secret;

        if (secret != NULL && strcasecmp(secret->alg, "bcrypt") != 0) {
            return swki_fail(err, SWK_EINVAL,
                             "the hash of an acceptance policy's secret must "
                             "be bcrypt");
        }
    }
    return SWK_OK;
}

static int check_heartbeat(const Swkpb__DispatcherConfig *dispatcher,
                           struct swk_error *err)
{
    int64_t period;

    if (dispatcher == NULL || dispatcher->heartbeat_period == NULL) {
        return SWK_OK;
    }
    if (swki_duration_read(dispatcher->heartbeat_period, &period, NULL) !=
            SWK_OK ||
        period < HEARTBEAT_MIN || period > HEARTBEAT_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "the heartbeat period must be between 100 ms and 1 h");
    }
    return SWK_OK;
}

static int check_raft(const Swkpb__RaftConfig *raft, struct swk_error *err)
{
    if (raft != NULL && raft->election_tick != 0 &&
        raft->election_tick <= raft->heartbeat_tick) {
        return swki_fail(err, SWK_EINVAL,
                         "the election tick must be above the heartbeat tick");
    }
    return SWK_OK;
}

static int check_ca(const Swkpb__CAConfig *ca, struct swk_error *err)
{
    int64_t ns;

    if (ca == NULL) {
        return SWK_OK;
    }
    if (ca->node_cert_expiry != NULL &&
        (swki_duration_read(ca->node_cert_expiry, &ns, NULL) != SWK_OK ||
         ns < NODE_CERT_EXPIRY_MIN)) {
        return swki_fail(err, SWK_EINVAL,
                         "the node certificates' expiry must be at least 1 h");
    }
    if (ca->node_cert_expiry != NULL && ns > NODE_CERT_EXPIRY_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "the node certificates' expiry must be at most "
                         "87600 h, which are ten years");
    }
    if (ca->expired_grace != NULL &&
        (swki_duration_read(ca->expired_grace, &ns, NULL) != SWK_OK ||
         ns < 0)) {
        return swki_fail(err, SWK_EINVAL,
                         "the grace of ended certificates must not be "
                         "negative");
    }
    return swki_validate_external_cas(ca, err);
}

static int check_spec(const Swkpb__ClusterSpec *spec, struct swk_error *err)
{
    int rc = check_ca(spec->ca_config, err);

    if (rc == SWK_OK) {
        rc = check_policies(spec->acceptance_policy, err);
    }
    if (rc == SWK_OK) {
        rc = check_heartbeat(spec->dispatcher, err);
    }
    if (rc == SWK_OK &&
        strcmp(swki_annotations_name(spec->annotations), "default") != 0) {
        rc = swki_fail(err, SWK_EINVAL, "the cluster's name must be default");
    }
    return rc == SWK_OK ? check_raft(spec->raft, err) : rc;
}

static int rotate_tokens(struct swki_control_request *r,
                         struct swki_object *object,
                         const Swkpb__KeyRotation *rotation,
                         struct swk_error *err)
{
    Swkpb__Cluster *cluster = swki_cluster_edit(object);

    if (rotation == NULL ||
        (!rotation->worker_join_token && !rotation->manager_join_token)) {
        return SWK_OK;
    }

    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__RootCA *root = swki_object_own(object, &cluster->root_ca);
    if (root == NULL) {
        return swki_fail_nomem(err);
    }
    if (root->join_tokens == NULL) {
        root->join_tokens = swki_arena_alloc(arena, sizeof(*root->join_tokens));
        if (root->join_tokens == NULL) {
            return swki_fail_nomem(err);
        }
        swkpb__join_tokens__init(root->join_tokens);
    }

    int rc = SWK_OK;
    if (rotation->worker_join_token) {
        rc = swki_new_join_token(cluster, r->config->entropy, arena,
                                 &root->join_tokens->worker, err);
    }
    if (rc == SWK_OK && rotation->manager_join_token) {
        rc = swki_new_join_token(cluster, r->config->entropy, arena,
                                 &root->join_tokens->manager, err);
    }
    return rc;
}

static int fill_cluster(struct swki_control_request *r,
                        struct swki_object *object, uint64_t version,
                        const Swkpb__UpdateClusterRequest *update,
                        const struct swki_rotation_plan *plan,
                        struct swk_error *err)
{
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__Version claimed = SWKPB__VERSION__INIT;

    cluster->spec = (Swkpb__ClusterSpec *)swki_message_copy(
        &update->spec->base, swki_object_arena(object));
    if (cluster->spec == NULL) {
        return swki_fail_nomem(err);
    }

    int rc = swki_blacklist_prune(object, r->wall, err);
    if (rc == SWK_OK) {
        rc = swki_ca_change_apply(object, update, plan,
                                  swki_store_head(r->config->store), err);
    }
    if (rc == SWK_OK) {
        rc = rotate_tokens(r, object, update->rotation, err);
    }
    if (rc == SWK_OK) {
        rc = swki_unlock_keys_update(object,
                                     update->rotation != NULL &&
                                         update->rotation->manager_unlock_key,
                                     r->config->entropy, err);
    }
    claimed.index = version;
    return rc >= 0 ? swki_control_claim_version(object, &cluster->meta,
                                                &claimed, err)
                   : rc;
}

static int edit_cluster(struct swki_control_request *r,
                        const struct swki_object *old,
                        const Swkpb__UpdateClusterRequest *update,
                        const struct swki_rotation_plan *plan,
                        struct swki_object **out_object, struct swk_error *err)
{
    struct swki_object *object = swki_object_edit(old);
    int rc;

    if (object == NULL) {
        return swki_fail_nomem(err);
    }
    rc = fill_cluster(r, object, swki_object_version(old), update, plan, err);
    if (rc != SWK_OK) {
        swki_object_unref(object);
        return rc;
    }
    *out_object = object;
    return SWK_OK;
}

static bool locks_managers(const Swkpb__ClusterSpec *spec)
{
    return spec != NULL && spec->encryption_config != NULL &&
           spec->encryption_config->auto_lock_managers;
}

static void log_lock(const struct swki_control_request *r, bool was_locked,
                     const Swkpb__UpdateClusterRequest *update)
{
    bool is_locked = locks_managers(update->spec);

    if (is_locked != was_locked) {
        swki_log(r->config->logger, SWK_LOG_INFO, "control",
                 is_locked ? "managers are locked: they need the unlock key "
                             "when they start"
                           : "managers are locked no more");
    } else if (is_locked && update->rotation != NULL &&
               update->rotation->manager_unlock_key) {
        swki_log(r->config->logger, SWK_LOG_INFO, "control",
                 "the unlock key of managers was rotated");
    }
}

static void log_rotation(const struct swki_control_request *r,
                         const Swkpb__KeyRotation *rotation)
{
    if (rotation != NULL && rotation->worker_join_token) {
        swki_log(r->config->logger, SWK_LOG_INFO, "control",
                 "the join token of workers was rotated");
    }
    if (rotation != NULL && rotation->manager_join_token) {
        swki_log(r->config->logger, SWK_LOG_INFO, "control",
                 "the join token of managers was rotated");
    }
}

static void log_ca(const struct swki_control_request *r,
                   const Swkpb__KeyRotation *rotation, bool was_rotating,
                   const struct swki_rotation_plan *plan)
{
    bool gives_up = rotation != NULL && rotation->abort_ca_rotation;
    const char *text = NULL;

    switch (plan->step) {
    case SWKI_ROTATION_KEEP:
        if (!gives_up) {
            return;
        }
        text = "the rotation of the root CA was given up";
        break;
    case SWKI_ROTATION_WORK:
        return;
    case SWKI_ROTATION_REKEY:
        text = was_rotating ? "the rotation of the root CA was given up"
                            : "the key of the root CA was set";
        break;
    case SWKI_ROTATION_CONTINUE:
        text = "the key of the next root CA was set";
        break;
    case SWKI_ROTATION_START:
        text = was_rotating ? "the root CA is rotated to yet another one"
                            : "a rotation of the root CA begins";
        break;
    }
    swki_log(r->config->logger, SWK_LOG_INFO, "control", "%s", text);
}

/* The present cluster, if the update is of that very version, or was parked
 * when it was. */
static int find_cluster(struct swki_control_request *r,
                        const Swkpb__UpdateClusterRequest *update,
                        const struct swki_object **out_object,
                        struct swk_error *err)
{
    const struct swki_object *object;
    int rc = swki_control_find(swki_store_head(r->config->store),
                               SWKI_KIND_CLUSTER, update->cluster_id, &object,
                               err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (swki_cluster(object)->root_ca == NULL ||
        swki_cluster(object)->root_ca->ca_cert.len == 0) {
        return swki_fail(err, SWK_EINTERNAL,
                         "the cluster has no root certificate");
    }
    if (swki_object_version(object) != update->cluster_version->index &&
        !swki_ca_change_stands(r->ca_change, object)) {
        return swki_fail(err, SWK_ECONFLICT, "update out of sequence");
    }
    *out_object = object;
    return SWK_OK;
}

/* Writes what is decided, and answers. */
static int write_cluster(struct swki_control_request *r,
                         const struct swki_object *old,
                         const Swkpb__UpdateClusterRequest *update,
                         const struct swki_rotation_plan *plan,
                         struct swk_error *err)
{
    Swkpb__UpdateClusterResponse reply = SWKPB__UPDATE_CLUSTER_RESPONSE__INIT;
    bool was_rotating = swki_cluster(old)->root_ca->root_rotation != NULL;
    bool was_locked = locks_managers(swki_cluster(old)->spec);
    struct swki_object *object = NULL;
    struct swki_tx *tx;
    uint64_t index;
    int rc = edit_cluster(r, old, update, plan, &object, err);

    if (rc == SWK_OK) {
        rc = swki_control_begin(r, &tx, err);
    }
    if (rc != SWK_OK) {
        swki_object_unref(object);
        return rc;
    }
    rc = swki_control_store(r, tx, object, SWKI_CHANGE_UPDATE, &old, &index,
                            err);
    if (rc != SWK_OK) {
        return rc;
    }
    log_rotation(r, update->rotation);
    log_lock(r, was_locked, update);
    log_ca(r, update->rotation, was_rotating, plan);
    reply.cluster = show(r, swki_cluster(old));
    if (reply.cluster == NULL) {
        return swki_fail_nomem(err);
    }
    swki_control_reply(r, &reply.base, index);
    return SWK_OK;
}

int swki_control_update_cluster(struct swki_control_request *r,
                                const void *request, struct swk_error *err)
{
    const Swkpb__UpdateClusterRequest *update = request;
    const struct swki_object *old = NULL;
    struct swki_rotation_plan plan;

    if (update->cluster_id[0] == '\0' || update->cluster_version == NULL ||
        update->spec == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "the cluster's ID, version and spec must be given");
    }
    int rc = check_spec(update->spec, err);
    if (rc == SWK_OK) {
        rc = find_cluster(r, update, &old, err);
    }
    if (rc == SWK_OK) {
        rc = swki_ca_change_plan(r, old, update, &plan, err);
    }
    if (rc != SWK_OK || plan.step == SWKI_ROTATION_WORK) {
        return rc;
    }
    return write_cluster(r, old, update, &plan, err);
}
