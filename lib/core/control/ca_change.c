/* SPDX-License-Identifier: Apache-2.0 */

#include "core/control/ca_change.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/control/request.h"
#include "crypto/digest.h"
#include "swarmkit/rotation.pb-c.h"
#include "wire/message.h"

enum {
    ROUNDS_MAX = 8,    /* of work for one change */
    WAIVED_MAX = 1024, /* nodes that are named */
};

/* -- Life ----------------------------------------------------------------- */

void swki_ca_change_init(struct swki_ca_change *change,
                         const struct swk_alloc *alloc)
{
    *change = (struct swki_ca_change){.alloc = alloc};
    swki_arena_init(&change->arena, alloc, SIZE_MAX);
    swki_rotation_work_init(&change->work, alloc);
}

static void wipe_key(const ProtobufCMessage *request)
{
    const Swkpb__UpdateClusterRequest *update =
        (const Swkpb__UpdateClusterRequest *)request;
    Swkpb__CAConfig *ca =
        update != NULL && update->spec != NULL ? update->spec->ca_config : NULL;

    if (ca != NULL) {
        swki_wipe(ca->signing_ca_key.data, ca->signing_ca_key.len);
    }
}

void swki_ca_change_end(struct swki_ca_change *change)
{
    wipe_key(change->call.request);
    swki_rotation_work_fini(&change->work);
    swki_object_unref(change->cluster);
    swki_arena_reset(&change->arena);
    *change = (struct swki_ca_change){
        .alloc = change->alloc,
        .last_id = change->last_id,
        .arena = change->arena,
    };
    swki_rotation_work_init(&change->work, change->alloc);
}

/* -- Parking -------------------------------------------------------------- */

static bool copy_caller(struct swki_ca_change *change,
                        const struct swki_caller *caller)
{
    struct swki_caller *copy = &change->caller;

    *copy = *caller;
    copy->node_id = swki_arena_strdup(&change->arena, caller->node_id);
    copy->swarm_id = swki_arena_strdup(&change->arena, caller->swarm_id);
    copy->address = swki_arena_strdup(&change->arena, caller->address);
    copy->request_id = swki_arena_strdup(&change->arena, caller->request_id);
    return copy->node_id != NULL && copy->swarm_id != NULL &&
           copy->address != NULL && copy->request_id != NULL;
}

static bool copy_call(struct swki_ca_change *change,
                      const struct swki_control_request *r)
{
    change->call = *r->call;
    change->call.caller = &change->caller;
    change->call.request = swki_message_copy(r->call->request, &change->arena);
    change->call.path = swki_arena_strdup(&change->arena, r->call->path);
    change->key =
        r->key != NULL ? swki_arena_strdup(&change->arena, r->key) : NULL;
    return copy_caller(change, r->call->caller) &&
           change->call.request != NULL && change->call.path != NULL &&
           (r->key == NULL || change->key != NULL);
}

/* A retry takes the place of the call that it repeats, whose caller has most
 * likely gone. */
static int make_room(struct swki_control_request *r, struct swk_error *err)
{
    struct swki_ca_change *change = r->ca_change;

    if (!change->active) {
        return SWK_OK;
    }
    if (r->key == NULL || change->key == NULL ||
        strcmp(r->key, change->key) != 0) {
        return swki_fail(err, SWK_EABORTED,
                         "another change of the CA is being prepared: try "
                         "again in a moment");
    }
    swki_answer_end(r->answers, change->call.id, SWKI_STATUS_ABORTED,
                    "the same request was made again");
    swki_ca_change_end(change);
    return SWK_OK;
}

static int park(struct swki_control_request *r,
                const struct swki_object *cluster, struct swk_error *err)
{
    struct swki_ca_change *change = r->ca_change;
    int rc = make_room(r, err);

    if (rc != 0) {
        return rc;
    }
    change->active = true;
    if (!copy_call(change, r)) {
        swki_ca_change_end(change);
        return swki_fail_nomem(err);
    }
    change->cluster = swki_object_ref(cluster);
    return SWK_OK;
}

static int decide(struct swki_control_request *r,
                  const struct swki_object *cluster,
                  const ProtobufCMessage *request, struct swki_arena *arena,
                  struct swki_rotation_plan *out_plan, struct swk_error *err)
{
    const Swkpb__UpdateClusterRequest *update =
        (const Swkpb__UpdateClusterRequest *)request;
    const struct swki_rotation_question question = {
        .root = swki_cluster(cluster)->root_ca,
        .config = update->spec->ca_config,
        .now = r->wall,
        .entropy = r->config->entropy,
    };

    return swki_rotation_decide(&question, &r->ca_change->work, arena, out_plan,
                                err);
}

/* Keeps what is needed in memory of its own. */
static int note_need(struct swki_control_request *r,
                     const struct swki_object *cluster, struct swk_error *err)
{
    struct swki_ca_change *change = r->ca_change;
    struct swki_rotation_plan plan;
    int rc;

    if (++change->rounds > ROUNDS_MAX) {
        return swki_fail(err, SWK_EABORTED,
                         "the swarm's CA changes too often to be changed");
    }
    swki_object_unref(change->cluster);
    change->cluster = swki_object_ref(cluster);
    rc = decide(r, cluster, change->call.request, &change->arena, &plan, err);
    if (rc == 0) {
        change->need = plan.need;
        change->wall = r->wall;
        change->handed = false;
    }
    return rc;
}

static bool same_root(const Swkpb__RootCA *a, const Swkpb__RootCA *b)
{
    Swkpb__RootCA x = *a;
    Swkpb__RootCA y = *b;
    Swkpb__JoinTokens x_tokens;
    Swkpb__JoinTokens y_tokens;

    if ((a->join_tokens == NULL) != (b->join_tokens == NULL)) {
        return false;
    }
    if (a->join_tokens != NULL) {
        x_tokens = *a->join_tokens;
        y_tokens = *b->join_tokens;
        x_tokens.n_limited = 0;
        y_tokens.n_limited = 0;
        x.join_tokens = &x_tokens;
        y.join_tokens = &y_tokens;
    }
    return swki_message_equal(&x.base, &y.base);
}

static bool same_unlock_keys(const Swkpb__Cluster *a, const Swkpb__Cluster *b)
{
    if (a->n_unlock_keys != b->n_unlock_keys) {
        return false;
    }
    for (size_t i = 0; i < a->n_unlock_keys; i++) {
        if (!swki_message_equal(&a->unlock_keys[i]->base,
                                &b->unlock_keys[i]->base)) {
            return false;
        }
    }
    return true;
}

bool swki_ca_change_stands(const struct swki_ca_change *change,
                           const struct swki_object *cluster)
{
    const Swkpb__Cluster *now = swki_cluster(cluster);
    const Swkpb__Cluster *then;

    if (!change->resumed) {
        return false;
    }
    then = swki_cluster(change->cluster);
    return swki_message_equal(then->spec != NULL ? &then->spec->base : NULL,
                              now->spec != NULL ? &now->spec->base : NULL) &&
           same_root(then->root_ca, now->root_ca) &&
           same_unlock_keys(then, now);
}

/* -- Planning ------------------------------------------------------------- */

/* Settings that ask nothing of the CA need nobody to be there that signs. */
static bool asks_for_nothing(const Swkpb__Cluster *cluster,
                             const Swkpb__CAConfig *config)
{
    const Swkpb__CAConfig *old =
        cluster->spec != NULL ? cluster->spec->ca_config : NULL;

    if (config != NULL &&
        (config->signing_ca_cert.len > 0 || config->signing_ca_key.len > 0 ||
         config->force_rotate != cluster->root_ca->last_forced_rotation)) {
        return false;
    }
    return swki_rotation_same_external_cas(config, old);
}

int swki_ca_change_plan(struct swki_control_request *r,
                        const struct swki_object *cluster,
                        const Swkpb__UpdateClusterRequest *update,
                        struct swki_rotation_plan *out_plan,
                        struct swk_error *err)
{
    struct swki_ca_change *change = r->ca_change;
    bool fresh = !change->resumed;
    int rc;

    *out_plan = (struct swki_rotation_plan){.step = SWKI_ROTATION_KEEP};
    if (asks_for_nothing(swki_cluster(cluster), update->spec->ca_config)) {
        return SWK_OK;
    }
    if (fresh) {
        rc = make_room(r, err);
        if (rc != 0) {
            return rc;
        }
    }
    rc = decide(r, cluster, &update->base, r->arena, out_plan, err);
    if (rc == 0 && out_plan->step == SWKI_ROTATION_WORK && fresh) {
        rc = park(r, cluster, err);
    }
    if (rc == 0 && out_plan->step == SWKI_ROTATION_WORK) {
        rc = note_need(r, cluster, err);
        if (rc != 0 && fresh) {
            swki_ca_change_end(change);
        }
    }
    return rc;
}

/* -- Writing -------------------------------------------------------------- */

static int check_waiver(const Swkpb__Rpc__RotationWaiver *without,
                        const struct swki_view *view, struct swk_error *err)
{
    if (without->n_node_ids > WAIVED_MAX) {
        return swki_fail(err, SWK_ELIMIT,
                         "more than %d nodes to end a rotation without",
                         WAIVED_MAX);
    }
    for (size_t i = 0; i < without->n_node_ids; i++) {
        const struct swki_object *node =
            swki_view_get(view, SWKI_KIND_NODE, without->node_ids[i]);

        if (node == NULL) {
            return swki_fail(err, SWK_ENOTFOUND, "node %.64s not found",
                             without->node_ids[i]);
        }
        if (swki_node(node)->role == SWKPB__NODE_ROLE__MANAGER) {
            return swki_fail(err, SWK_EPRECONDITION,
                             "node %.64s is a manager, which a rotation cannot "
                             "end without: demote or remove it first",
                             without->node_ids[i]);
        }
    }
    return SWK_OK;
}

static int require_rotation(const Swkpb__RootCA *root, struct swk_error *err)
{
    return root->root_rotation != NULL
               ? SWK_OK
               : swki_fail(err, SWK_EPRECONDITION,
                           "no rotation of the root CA is under way");
}

static int put_waiver(struct swki_object *object, Swkpb__RootCA *root,
                      const Swkpb__Rpc__RotationWaiver *without,
                      const struct swki_view *view, struct swk_error *err)
{
    int rc = require_rotation(root, err);

    if (rc == 0) {
        rc = check_waiver(without, view, err);
    }
    if (rc != 0) {
        return rc;
    }
    root->root_rotation->without =
        (Swkpb__Rpc__RotationWaiver *)swki_message_copy(
            &without->base, swki_object_arena(object));
    return root->root_rotation->without != NULL ? SWK_OK : swki_fail_nomem(err);
}

/* What the swarm's record holds need not be kept twice. The spec is a copy of
 * the request's, made for this object. */
static void drop_key_of_spec(Swkpb__Cluster *cluster)
{
    Swkpb__CAConfig *ca = cluster->spec->ca_config;

    if (ca != NULL && ca->signing_ca_key.len > 0) {
        swki_wipe(ca->signing_ca_key.data, ca->signing_ca_key.len);
        ca->signing_ca_key = (ProtobufCBinaryData){0};
    }
}

/* A CA that names no root signs for the present one. It would be asked for
 * certificates of the next one as soon as that is the present one, which it
 * cannot sign. The spec is the object's own. */
static int pin_external_cas(struct swki_object *object,
                            const Swkpb__RootCA *root, struct swk_error *err)
{
    const Swkpb__ClusterSpec *spec = swki_cluster(object)->spec;
    const Swkpb__CAConfig *config = spec != NULL ? spec->ca_config : NULL;

    for (size_t i = 0; config != NULL && i < config->n_external_cas; i++) {
        ProtobufCBinaryData *named = &config->external_cas[i]->ca_cert;

        if (named->len > 0) {
            continue;
        }
        named->data = swki_arena_memdup(swki_object_arena(object),
                                        root->ca_cert.data, root->ca_cert.len);
        if (named->data == NULL) {
            return swki_fail_nomem(err);
        }
        named->len = root->ca_cert.len;
    }
    return SWK_OK;
}

/* Beside what the settings ask for; the signer of the present root needs no
 * key from the operator for this. */
static int give_up(Swkpb__RootCA *root, const struct swki_rotation_plan *plan,
                   struct swk_error *err)
{
    int rc = require_rotation(root, err);

    if (rc == 0 && plan->step != SWKI_ROTATION_KEEP) {
        rc = swki_fail(err, SWK_EINVAL,
                       "a rotation cannot be given up and changed at once");
    }
    if (rc == 0) {
        root->root_rotation = NULL;
    }
    return rc;
}

int swki_ca_change_apply(struct swki_object *object,
                         const Swkpb__UpdateClusterRequest *update,
                         const struct swki_rotation_plan *plan,
                         const struct swki_view *view, struct swk_error *err)
{
    static const Swkpb__KeyRotation nothing = SWKPB__KEY_ROTATION__INIT;
    const Swkpb__CAConfig *config = update->spec->ca_config;
    const Swkpb__KeyRotation *asked =
        update->rotation != NULL ? update->rotation : &nothing;
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__RootCA *root;
    int rc;

    drop_key_of_spec(cluster);
    if (plan->step == SWKI_ROTATION_KEEP && asked->finish_without == NULL &&
        !asked->abort_ca_rotation) {
        return SWK_OK;
    }
    root = swki_object_own(object, &cluster->root_ca);
    if (root == NULL) {
        return swki_fail_nomem(err);
    }
    rc = asked->abort_ca_rotation ? give_up(root, plan, err) : SWK_OK;
    if (rc == 0) {
        rc =
            swki_rotation_apply(plan, config != NULL ? config->force_rotate : 0,
                                swki_object_arena(object), root, err);
    }
    if (rc == 0 && plan->step == SWKI_ROTATION_START) {
        rc = pin_external_cas(object, root, err);
    }
    return rc == 0 && asked->finish_without != NULL
               ? put_waiver(object, root, asked->finish_without, view, err)
               : rc;
}
