/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The beginning of a swarm that goes on from another one's state.
 *
 * What names a manager must not carry over: numbers of members, which stand for
 * promises in the old log; the managers' node objects, keys and certificates.
 * If one of them came back it would be taken for a manager of this swarm, so
 * they are locked out. Workers hold no promise: their certificates stay good
 * since the CA does, and their tasks go on.
 */

#include "node/storage/offline_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/options.h"
#include "core/ca/issuer.h"
#include "core/control/blacklist.h"
#include "core/membership/membership.h"
#include "core/store/store.h"
#include "crypto/digest.h"
#include "node/identity/founding.h"
#include "node/identity/remotes.h"
#include "node/identity/state_dir.h"
#include "raft.pb-c.h"
#include "swarmkit/state.pb-c.h"
#include "wire/message.h"
#include "wire/time.h"

enum {
    FORMAT = 1, /* the one that is read */
    TERM_MIN = 1,
};

/* An import on its way. */
struct import {
    struct swk_offline_config config;
    struct swk_offline_import what;
    struct swki_arena arena;
    Swkpb__StoreSnapshot *store; /* edited in place */
    Swkpb__Cluster *cluster;
    uint64_t index; /* of the new log's snapshot */
    uint64_t term;
    struct swki_credentials credentials;
    struct swki_object *node; /* the new manager's */
    struct swki_buf snapshot;
    struct swk_offline_import_report report;
};

/* -- What is brought ------------------------------------------------------ */

/* Any kind's object begins with its ID and its meta. */
typedef Swkpb__Node any_object;

/* One list of objects of a StoreSnapshot. */
struct list {
    any_object ***objects;
    size_t *count;
};

static struct list list_at(Swkpb__StoreSnapshot *store, unsigned field)
{
    const ProtobufCFieldDescriptor *f = &store->base.descriptor->fields[field];

    return (struct list){
        .objects = (any_object ***)((char *)store + f->offset),
        .count = (size_t *)((char *)store + f->quantifier_offset),
    };
}

static int not_a_state(struct swk_error *err, const char *why)
{
    return swki_fail(err, SWK_EMALFORMED, "this is no state of a swarm: %s",
                     why);
}

static int check_state(const Swkpb__Rpc__State *state, struct swk_error *err)
{
    if (state->format == 0 || state->store == NULL) {
        return not_a_state(err, "format or objects are missing");
    }
    if (state->format != FORMAT) {
        return swki_fail(err, SWK_ENOTSUP,
                         "the state is of format %" PRIu32
                         ", of a later release",
                         state->format);
    }
    if (state->redacted) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "the state is redacted: its secrets are gone, and no "
                         "swarm can begin with it");
    }
    if (state->store->n_clusters != 1 ||
        state->store->clusters[0]->id[0] == '\0' ||
        state->store->clusters[0]->root_ca == NULL) {
        return not_a_state(err, "there is not one cluster with a CA");
    }
    return SWK_OK;
}

/* The new log begins behind every version that anybody may remember. */
static int find_index(struct import *i, const Swkpb__Rpc__State *state,
                      struct swk_error *err)
{
    uint64_t highest = state->index;

    for (unsigned f = 0; f < i->store->base.descriptor->n_fields; f++) {
        struct list list = list_at(i->store, f);

        for (size_t n = 0; n < *list.count; n++) {
            const any_object *object = (*list.objects)[n];

            if (object->id[0] == '\0') {
                return not_a_state(err, "an object has no ID");
            }
            if (object->meta != NULL && object->meta->version != NULL &&
                object->meta->version->index > highest) {
                highest = object->meta->version->index;
            }
        }
    }
    if (highest >= UINT64_MAX / 2) {
        return not_a_state(err, "a version is out of range");
    }
    i->index = highest + 1;
    i->term = state->term > TERM_MIN ? state->term : TERM_MIN;
    return SWK_OK;
}

static int read_state(struct import *i, struct swk_error *err)
{
    ProtobufCMessage *message;
    Swkpb__Rpc__State *state;
    int rc = swki_message_unpack(&swkpb__rpc__state__descriptor, i->what.data,
                                 i->what.data_len, &i->arena, &message, err);

    if (rc != 0) {
        return rc;
    }
    state = (Swkpb__Rpc__State *)message;
    rc = check_state(state, err);
    if (rc == 0) {
        i->store = state->store;
        i->cluster = state->store->clusters[0];
        rc = find_index(i, state, err);
    }
    return rc;
}

/* -- What is left out ----------------------------------------------------- */

static bool is_manager(const Swkpb__Node *node)
{
    return node->role == SWKPB__NODE_ROLE__MANAGER ||
           node->manager_status != NULL ||
           (node->spec != NULL &&
            node->spec->desired_role == SWKPB__NODE_ROLE__MANAGER) ||
           (node->certificate != NULL &&
            node->certificate->role == SWKPB__NODE_ROLE__MANAGER);
}

/* Managers go, and their certificates are worth nothing any more. */
static int drop_managers(struct import *i, struct swk_error *err)
{
    Swkpb__StoreSnapshot *store = i->store;
    Swkpb__Cluster *cluster = i->cluster;
    size_t out = cluster->n_blacklisted_certificates;
    Swkpb__Cluster__BlacklistedCertificatesEntry **entries =
        swki_arena_calloc(&i->arena, out + store->n_nodes, sizeof(*entries));
    size_t kept = 0;

    if (entries == NULL) {
        return swki_fail_nomem(err);
    }
    for (size_t n = 0; n < out; n++) {
        entries[n] = cluster->blacklisted_certificates[n];
    }
    for (size_t n = 0; n < store->n_nodes; n++) {
        if (!is_manager(store->nodes[n])) {
            store->nodes[kept++] = store->nodes[n];
            continue;
        }
        entries[out] = swki_blacklist_entry(store->nodes[n], &i->arena);
        if (entries[out++] == NULL) {
            return swki_fail_nomem(err);
        }
    }
    i->report.managers_count = store->n_nodes - kept;
    store->n_nodes = kept;
    cluster->blacklisted_certificates = entries;
    cluster->n_blacklisted_certificates = out;
    return SWK_OK;
}

/* Whether a node carries over; "" is none yet, which may be any. */
static bool has_node(const Swkpb__StoreSnapshot *store, const char *node_id)
{
    for (size_t n = 0; n < store->n_nodes; n++) {
        if (strcmp(store->nodes[n]->id, node_id) == 0) {
            return true;
        }
    }
    return node_id[0] == '\0';
}

/* Whatever was on a node that is none any more went with it. */
static void drop_remains(struct import *i)
{
    Swkpb__StoreSnapshot *store = i->store;
    size_t kept = 0;

    for (size_t n = 0; n < store->n_tasks; n++) {
        if (has_node(store, store->tasks[n]->node_id)) {
            store->tasks[kept++] = store->tasks[n];
        }
    }
    i->report.tasks_count = store->n_tasks - kept;
    store->n_tasks = kept;
    for (size_t n = 0; n < store->n_volumes; n++) {
        Swkpb__Volume *volume = store->volumes[n];

        kept = 0;
        for (size_t at = 0; at < volume->n_publish_status; at++) {
            if (has_node(store, volume->publish_status[at]->node_id)) {
                volume->publish_status[kept++] = volume->publish_status[at];
            }
        }
        volume->n_publish_status = kept;
    }
}

/* -- The new manager ------------------------------------------------------ */

static int issue(struct import *i, const struct swki_buf *csr,
                 struct swk_error *err)
{
    const Swkpb__ClusterSpec *spec = i->cluster->spec;
    char node_id[SWK_ID_LEN + 1];
    struct swki_ca_grant grant = {
        .node_id = node_id,
        .swarm_id = i->cluster->id,
        .role = SWKPB__NODE_ROLE__MANAGER,
        .now = i->config.clock->wall(i->config.clock->ctx),
    };
    struct swki_signer *signer = NULL;
    struct swki_buf chain;
    int rc = swki_founding_id(i->config.entropy, node_id, err);

    if (spec != NULL && spec->ca_config != NULL) {
        grant.expiry_ns =
            swki_duration_get(spec->ca_config->node_cert_expiry, 0);
    }
    swki_buf_init(&chain, i->config.alloc, SWKI_PEM_LEN_MAX);
    if (rc == 0) {
        rc = swki_ca_open_signer(i->config.alloc, i->cluster->root_ca,
                                 i->config.entropy, &signer, err);
    }
    if (rc == SWK_EUNAVAILABLE) {
        rc = swki_fail(err, SWK_EPRECONDITION,
                       "the state has no key of the swarm's CA, which another "
                       "keeps: without it there is no certificate for the new "
                       "manager");
    }
    if (rc == 0) {
        rc = swki_ca_sign(signer, swki_pem_of_buf(csr), &grant, &chain, err);
    }
    if (rc == 0) {
        rc = swki_credentials_set_chain(&i->credentials, chain.data, chain.len,
                                        grant.now, i->config.entropy, err);
    }
    swki_signer_free(signer);
    swki_buf_fini(&chain);
    return rc;
}

static const Swkpb__EncryptionKey *unlock_key_of(const Swkpb__Cluster *cluster)
{
    for (size_t n = 0; n < cluster->n_unlock_keys; n++) {
        if (strcmp(cluster->unlock_keys[n]->subsystem, SWKI_OU_MANAGER) == 0) {
            return cluster->unlock_keys[n];
        }
    }
    return NULL;
}

/* Keys of the log, locked if the swarm locks its managers. */
static int make_keys(struct import *i, struct swk_error *err)
{
    const Swkpb__EncryptionKey *lock = unlock_key_of(i->cluster);
    struct swki_data_keys first;
    struct swki_data_keys next;
    struct swk_unlock_key unlock_key;
    int rc = swki_data_keys_begin(&i->credentials.keys, i->config.entropy,
                                  &first, err);

    if (rc < 0) {
        return rc;
    }
    i->credentials.keys = first;
    swki_wipe(&first, sizeof(first));
    if (lock == NULL) {
        return SWK_OK;
    }
    if (lock->key.len != sizeof(unlock_key.bytes)) {
        return not_a_state(err, "the unlock key is not as long as one is");
    }
    memcpy(unlock_key.bytes, lock->key.data, sizeof(unlock_key.bytes));
    rc = swki_data_keys_lock(&i->credentials.keys, &unlock_key, i->index, &next,
                             err);
    swki_wipe(&unlock_key, sizeof(unlock_key));
    if (rc < 0) {
        return rc;
    }
    if (rc > 0) {
        next.needs_rotation = false; /* it was never readable on the disk */
        i->credentials.keys = next;
        swki_wipe(&next, sizeof(next));
    }
    i->report.locked = 1;
    return SWK_OK;
}

static int make_identity(struct import *i, struct swk_error *err)
{
    const ProtobufCBinaryData *roots = &i->cluster->root_ca->ca_cert;
    swk_wall now = i->config.clock->wall(i->config.clock->ctx);
    struct swki_buf csr;
    int rc = swki_credentials_set_roots(&i->credentials, roots->data,
                                        roots->len, now, err);

    swki_buf_init(&csr, i->config.alloc, SWKI_CSR_LEN_MAX);
    if (rc == 0) {
        rc = swki_credentials_new_key(&i->credentials, i->config.entropy, &csr,
                                      err);
    }
    if (rc == 0) {
        rc = issue(i, &csr, err);
    }
    if (rc == 0) {
        rc = make_keys(i, err);
    }
    swki_buf_fini(&csr);
    return rc;
}

static int draw_raft_id(const struct swk_entropy *entropy, uint64_t *out_id,
                        struct swk_error *err)
{
    do {
        if (entropy->fill(entropy->ctx, out_id, sizeof(*out_id)) != 0) {
            return swki_fail(err, SWK_EIO, "no entropy for a member's number");
        }
        *out_id >>= 1; /* 63 bits */
    } while (*out_id == 0);
    return SWK_OK;
}

/* -- The new objects ------------------------------------------------------ */

/* Written by the import, so that nobody takes it for what it was before. */
static int stamp(struct import *i, Swkpb__Meta **meta, struct swk_error *err)
{
    swk_wall now = i->config.clock->wall(i->config.clock->ctx);
    Swkpb__Version *version = swki_arena_alloc(&i->arena, sizeof(*version));

    if (*meta == NULL) {
        *meta = swki_arena_alloc(&i->arena, sizeof(**meta));
        if (*meta == NULL) {
            return swki_fail_nomem(err);
        }
        swkpb__meta__init(*meta);
        (*meta)->created_at = swki_timestamp_from_wall(now, &i->arena);
    }
    if (version == NULL) {
        return swki_fail_nomem(err);
    }
    swkpb__version__init(version);
    version->index = i->index;
    (*meta)->version = version;
    (*meta)->updated_at = swki_timestamp_from_wall(now, &i->arena);
    return (*meta)->updated_at != NULL ? SWK_OK : swki_fail_nomem(err);
}

static int add_own_node(struct import *i, struct swk_error *err)
{
    Swkpb__StoreSnapshot *store = i->store;
    Swkpb__Node **nodes =
        swki_arena_calloc(&i->arena, store->n_nodes + 1, sizeof(Swkpb__Node *));
    int rc;

    if (nodes == NULL) {
        return swki_fail_nomem(err);
    }
    rc = swki_founding_node(&i->credentials, i->config.alloc, i->config.entropy,
                            &i->node, err);
    if (rc != 0) {
        return rc;
    }
    if (store->n_nodes > 0) {
        memcpy(nodes, store->nodes, store->n_nodes * sizeof(*nodes));
    }
    nodes[store->n_nodes++] = swki_node_edit(i->node);
    store->nodes = nodes;
    rc = stamp(i, &nodes[store->n_nodes - 1]->meta, err);
    return rc != 0 ? rc : stamp(i, &i->cluster->meta, err);
}

/* The store is asked whether it takes all of this, and writes what it took:
 * then a manager will, too. */
static int check_objects(struct import *i, const struct swki_buf *raw,
                         struct swk_error *err)
{
    const struct swki_store_config config = {.alloc = i->config.alloc};
    const struct swki_view *view;
    struct swki_store *store;
    uint64_t count = 0;
    int rc = swki_store_new(&config, &store, err);

    if (rc != 0) {
        return rc;
    }
    rc = swki_store_restore(store, i->index, raw->data, raw->len, err);
    if (rc != 0 && rc != SWK_ENOMEM) {
        rc = not_a_state(err, "its objects contradict each other");
    }
    view = swki_store_committed(store);
    for (unsigned f = 0; f < i->store->base.descriptor->n_fields; f++) {
        count += *list_at(i->store, f).count;
    }
    for (int kind = 0; kind < SWKI_KINDS_COUNT; kind++) {
        i->report.objects_count += swki_view_count(view, (enum swki_kind)kind);
    }
    if (rc == 0 && count != i->report.objects_count) {
        rc = not_a_state(err, "two objects have the same ID");
    }
    if (rc == 0) {
        rc = swki_view_save(view, &i->snapshot, err);
    }
    swki_store_free(store);
    return rc;
}

static int write_snapshot(struct import *i, struct swk_error *err)
{
    Swkpb__Snapshot objects = SWKPB__SNAPSHOT__INIT;
    Swkpb__Snapshot head = SWKPB__SNAPSHOT__INIT;
    Swkpb__ClusterSnapshot membership = SWKPB__CLUSTER_SNAPSHOT__INIT;
    Swkpb__RaftMember own = SWKPB__RAFT_MEMBER__INIT;
    Swkpb__RaftMember *members[] = {&own};
    struct swki_buf raw;
    int rc;

    own.raft_id = i->report.raft_id;
    own.node_id = i->credentials.identity.node_id;
    own.addr = (char *)(i->what.address != NULL ? i->what.address : "");
    membership.members = members;
    membership.n_members = 1;
    head.membership = &membership;
    objects.store = i->store;
    swki_buf_init(&raw, i->config.alloc, SIZE_MAX);
    rc = swki_message_pack(&objects.base, &raw, err);
    if (rc == 0) {
        rc = swki_message_pack(&head.base, &i->snapshot, err);
    }
    if (rc == 0) {
        rc = check_objects(i, &raw, err);
    }
    if (raw.data != NULL) {
        swki_wipe(raw.data, raw.size);
    }
    swki_buf_fini(&raw);
    return rc;
}

/* -- On the disk ---------------------------------------------------------- */

static int write_log(struct import *i, const char *state_dir,
                     struct swk_error *err)
{
    const struct swk_snapshot_meta meta = {
        .index = i->index,
        .term = i->term,
        .conf_state = {.voters = &i->report.raft_id, .voters_count = 1},
    };
    const struct swk_hard_state state = {.term = i->term, .commit = i->index};
    struct swki_offline_log log = {
        .state_dir = state_dir,
        .key = i->credentials.keys.current,
        .alloc = i->config.alloc,
        .logger = i->config.logger,
        .meta = &meta,
        .snapshot = i->snapshot.data,
        .snapshot_len = i->snapshot.len,
        .state = &state,
    };
    Swkpb__RaftMember own = SWKPB__RAFT_MEMBER__INIT;
    struct swki_buf identity;
    int rc;

    own.raft_id = i->report.raft_id;
    own.node_id = i->credentials.identity.node_id;
    own.addr = (char *)(i->what.address != NULL ? i->what.address : "");
    swki_buf_init(&identity, i->config.alloc, SIZE_MAX);
    rc = swki_message_pack(&own.base, &identity, err);
    if (rc == 0) {
        log.identity = identity.data;
        log.identity_len = identity.len;
        rc = swki_offline_log_write(&log, err);
    }
    swki_buf_fini(&identity);
    return rc;
}

/* Where the manager's own agent finds it. */
static int write_remotes(struct import *i, const char *state_dir,
                         struct swk_error *err)
{
    struct swki_remotes remotes = {0};
    int rc;

    if (i->what.address == NULL) {
        return SWK_OK;
    }
    rc = swki_remotes_add(&remotes, i->credentials.identity.node_id,
                          i->what.address, err);
    return rc != 0 ? rc : swki_remotes_save(&remotes, state_dir, err);
}

static int write_state(struct import *i, struct swk_error *err)
{
    struct swki_offline_target target;
    int rc = swki_offline_target_begin(&target, i->config.state_dir, err);

    if (rc != 0) {
        return rc;
    }
    rc = write_log(i, target.making, err);
    if (rc == 0) {
        rc = swki_state_dir_save(target.making, &i->credentials, err);
    }
    if (rc == 0) {
        rc = write_remotes(i, target.making, err);
    }
    if (rc == 0) {
        rc = swki_offline_target_finish(&target, err);
    }
    swki_offline_target_abandon(&target);
    return rc;
}

static int import_all(struct import *i, struct swk_error *err)
{
    int rc = read_state(i, err);

    if (rc == 0) {
        rc = drop_managers(i, err);
    }
    if (rc == 0) {
        drop_remains(i);
        rc = make_identity(i, err);
    }
    if (rc == 0) {
        rc = draw_raft_id(i->config.entropy, &i->report.raft_id, err);
    }
    if (rc == 0) {
        rc = add_own_node(i, err);
    }
    if (rc == 0) {
        rc = write_snapshot(i, err);
    }
    return rc != 0 ? rc : write_state(i, err);
}

static int read_arguments(struct import *i,
                          const struct swk_offline_config *config,
                          const struct swk_offline_import *import,
                          struct swk_error *err)
{
    int rc = swki_offline_config_read(&i->config, config, err);

    if (rc == 0) {
        rc = import == NULL
                 ? swki_fail(err, SWK_EINVAL, "offline: NULL argument")
                 : swki_options_read(&i->what, sizeof(i->what), import,
                                     "swk_offline_import", err);
    }
    if (rc == 0 && i->what.data == NULL) {
        rc = swki_fail(err, SWK_EINVAL, "import: there is no state");
    }
    if (rc == 0 && i->what.address != NULL &&
        !swki_member_address_valid(i->what.address)) {
        rc = swki_fail(err, SWK_EINVAL, "import: the address is not HOST:PORT");
    }
    return rc;
}

int swk_offline_import(const struct swk_offline_config *config,
                       const struct swk_offline_import *import,
                       struct swk_offline_import_report *out_report,
                       struct swk_error *err)
{
    struct import i = {0};
    int rc = read_arguments(&i, config, import, err);

    if (rc != 0) {
        return rc;
    }
    swki_arena_init(&i.arena, i.config.alloc, SIZE_MAX); /* any objects fit */
    swki_credentials_init(&i.credentials, i.config.alloc);
    swki_buf_init(&i.snapshot, i.config.alloc, SIZE_MAX);
    rc = import_all(&i, err);
    if (rc == 0 && out_report != NULL) {
        i.report.size = out_report->size;
        memcpy(i.report.node_id, i.credentials.identity.node_id,
               sizeof(i.report.node_id));
        memcpy(i.report.swarm_id, i.credentials.identity.swarm_id,
               sizeof(i.report.swarm_id));
        memcpy(out_report, &i.report,
               out_report->size < sizeof(i.report) ? out_report->size
                                                   : sizeof(i.report));
    }
    if (i.snapshot.data != NULL) {
        swki_wipe(i.snapshot.data, i.snapshot.size);
    }
    swki_buf_fini(&i.snapshot);
    swki_object_unref(i.node);
    swki_credentials_fini(&i.credentials);
    swki_arena_fini(&i.arena);
    return rc;
}
