/* SPDX-License-Identifier: Apache-2.0 */

/* The calls that the server answers, and who may have a certificate. */

#include "core/ca/server_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/roles.h"
#include "ca.pb-c.h"
#include "core/ca/issuer.h"
#include "core/ca/limited_tokens.h"
#include "crypto/digest.h"
#include "wire/message.h"
#include "wire/time.h"

#define SERVICES "/docker.swarmkit.v1."

enum {
    ID_ATTEMPTS = 4,
};

static int serve_root(struct swki_ca_server *server, swk_wall wall,
                      const struct swki_call *call,
                      const struct swki_object *cluster,
                      struct swki_answers *answers)
{
    Swkpb__GetRootCACertificateResponse response =
        SWKPB__GET_ROOT_CACERTIFICATE_RESPONSE__INIT;
    Swkpb__Timestamp time = SWKPB__TIMESTAMP__INIT;

    swki_timestamp_write(wall, &time);
    response.certificate = swki_ca_root_of(cluster)->ca_cert;
    response.time = &time;
    swki_answer_reply(answers, call->id, &response.base, 0);
    return SWK_OK;
}

static int serve_unlock_key(struct swki_ca_server *server,
                            const struct swki_call *call,
                            const struct swki_object *object,
                            struct swki_answers *answers)
{
    Swkpb__GetUnlockKeyResponse response = SWKPB__GET_UNLOCK_KEY_RESPONSE__INIT;
    const Swkpb__Cluster *cluster = swki_cluster(object);
    const Swkpb__ClusterSpec *spec = cluster->spec;
    bool locked = spec != NULL && spec->encryption_config != NULL &&
                  spec->encryption_config->auto_lock_managers;

    for (size_t i = 0; locked && i < cluster->n_unlock_keys; i++) {
        if (strcmp(cluster->unlock_keys[i]->subsystem, SWKI_OU_MANAGER) == 0) {
            response.unlock_key = cluster->unlock_keys[i]->key;
        }
    }
    response.version = cluster->meta != NULL ? cluster->meta->version : NULL;
    swki_answer_reply(answers, call->id, &response.base, 0);
    return SWK_OK;
}

/* Whose certificate a call may renew without a token; NULL for nobody's. */
static const char *renewer(const struct swki_ca_server *server,
                           const struct swki_caller *caller)
{
    const Swkpb__Cluster *cluster = swki_cluster(server->cluster);

    if (caller->local) {
        return server->node_id;
    }
    if ((caller->role & (SWKI_ROLE_WORKER | SWKI_ROLE_MANAGER)) == 0 ||
        caller->node_id[0] == '\0' ||
        strcmp(caller->swarm_id, cluster->id) != 0 ||
        swki_ca_is_blacklisted(cluster, caller->node_id)) {
        return NULL;
    }
    return caller->node_id;
}

/* Whether the caller has shown that it may see the node's record: by the node's
 * certificate, by a manager's, neither of one that was removed, or by knowing
 * what the node asked with. */
static bool may_see(const struct swki_ca_server *server,
                    const struct swki_caller *caller, const Swkpb__Node *node,
                    const ProtobufCBinaryData *digest)
{
    const Swkpb__Certificate *record = node->certificate;
    const char *caller_id = renewer(server, caller);
    uint8_t own[SWKI_SHA256_SIZE];

    if (caller->local || (caller_id != NULL &&
                          ((caller->role & SWKI_ROLE_MANAGER) != 0 ||
                           strcmp(caller_id, node->id) == 0))) {
        return true;
    }
    return digest->len == sizeof(own) && record != NULL &&
           swki_sha256(record->csr.data, record->csr.len, own) &&
           swki_ct_equal(own, digest->data, sizeof(own));
}

static int serve_status(struct swki_ca_server *server,
                        const struct swki_call *call,
                        struct swki_answers *answers, struct swk_error *err)
{
    const Swkpb__NodeCertificateStatusRequest *request =
        (const Swkpb__NodeCertificateStatusRequest *)call->request;
    const struct swki_object *node;

    if (request->node_id[0] == '\0') {
        return swki_fail(err, SWK_EINVAL, "node ID is empty");
    }
    node = swki_view_get(swki_store_committed(server->store), SWKI_KIND_NODE,
                         request->node_id);
    if (node == NULL) {
        return swki_fail(err, SWK_ENOTFOUND, "no such node");
    }
    if (!may_see(server, call->caller, swki_node(node), &request->csr_digest)) {
        return swki_fail(err, SWK_EDENIED,
                         "Permission denied: only the node itself and managers "
                         "see its certificate's record, and whoever knows the "
                         "digest of its request");
    }
    if (swki_ca_is_answered(swki_node(node))) {
        swki_ca_answer_status(answers, call->id, swki_node(node));
        return SWK_OK;
    }
    return swki_ca_waiting_add(&server->waiting, call->id, swki_object_id(node),
                               err);
}

/* What the node has until it has another: its certificate goes on to count. */
static bool keep_issued(Swkpb__Certificate *certificate,
                        const Swkpb__Certificate *old, struct swki_arena *arena)
{
    if (old == NULL || old->certificate.len == 0) {
        return true;
    }
    certificate->certificate.data = swki_arena_memdup(
        arena, old->certificate.data, old->certificate.len);
    certificate->certificate.len = old->certificate.len;
    if (old->not_after != NULL) {
        certificate->not_after = swki_timestamp_from_wall(
            swki_timestamp_get(old->not_after), arena);
    }
    if (old->last_end != NULL) {
        certificate->last_end =
            swki_timestamp_from_wall(swki_timestamp_get(old->last_end), arena);
    }
    return certificate->certificate.data != NULL &&
           (old->not_after == NULL || certificate->not_after != NULL) &&
           (old->last_end == NULL || certificate->last_end != NULL);
}

/* A record that waits for the signer. */
static int set_request(struct swki_object *object,
                       const ProtobufCBinaryData *csr, Swkpb__NodeRole role,
                       Swkpb__IssuanceStatus__State state,
                       struct swk_error *err)
{
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Node *node = swki_node_edit(object);
    Swkpb__Certificate *certificate =
        swki_arena_alloc(arena, sizeof(*certificate));
    Swkpb__IssuanceStatus *status = swki_arena_alloc(arena, sizeof(*status));

    if (certificate == NULL || status == NULL) {
        return swki_fail_nomem(err);
    }
    swkpb__certificate__init(certificate);
    swkpb__issuance_status__init(status);
    certificate->role = role;
    certificate->cn = swki_arena_strdup(arena, node->id);
    certificate->csr.data = swki_arena_memdup(arena, csr->data, csr->len);
    certificate->csr.len = csr->len;
    certificate->status = status;
    status->state = state;
    if (certificate->cn == NULL || certificate->csr.data == NULL ||
        !keep_issued(certificate, node->certificate, arena)) {
        return swki_fail_nomem(err);
    }
    node->certificate = certificate;
    return SWK_OK;
}

/* Changes one node in a transaction of its own; object is taken. */
static int update_node(struct swki_ca_server *server, swk_wall wall,
                       struct swki_object *object, uint64_t *out_index,
                       struct swk_error *err)
{
    struct swki_tx *tx = swki_store_begin(server->store, SWKI_ACTOR_CA, wall);
    int rc;

    if (tx == NULL) {
        swki_object_unref(object);
        return swki_fail_nomem(err);
    }
    rc = swki_tx_update(tx, object, err);
    if (rc != 0) {
        swki_tx_abort(tx);
        return rc;
    }
    return swki_tx_commit(tx, NULL, NULL, out_index, err);
}

static void answer_issue(struct swki_answers *answers, swk_wall wall,
                         uint64_t call_id, const char *node_id,
                         Swkpb__NodeSpec__Membership membership, uint64_t index)
{
    Swkpb__IssueNodeCertificateResponse response =
        SWKPB__ISSUE_NODE_CERTIFICATE_RESPONSE__INIT;
    Swkpb__Timestamp time = SWKPB__TIMESTAMP__INIT;
    char id[SWK_ID_LEN_MAX + 1];

    snprintf(id, sizeof(id), "%s", node_id);
    swki_timestamp_write(wall, &time);
    response.node_id = id;
    response.time = &time;
    response.node_membership = membership;
    swki_answer_reply(answers, call_id, &response.base, index);
}

/* A request, and when it came. */
struct asked {
    const struct swki_call *call;
    swk_time now;
    swk_wall wall;
};

/* Whether the node did not choose to ask: its role has changed since its last
 * request, or it was told to renew. */
static bool is_called_for(const Swkpb__Node *node)
{
    const Swkpb__Certificate *record = node->certificate;

    return record == NULL || record->role != node->role ||
           (record->status != NULL &&
            record->status->state == SWKPB__ISSUANCE_STATUS__STATE__ROTATE);
}

/* One whose certificate has ended is counted like others: it has not asked for
 * so long that it has its whole share. */
static int check_share(struct swki_ca_server *server, const struct asked *asked,
                       const Swkpb__Node *node, struct swk_error *err)
{
    return asked->call->caller->local || is_called_for(node)
               ? SWK_OK
               : swki_renewal_limit_take(&server->renewals, asked->now,
                                         node->id, err);
}

/* The role granted is the one observed, whatever the old certificate says. */
static int renew(struct swki_ca_server *server, const struct asked *asked,
                 const char *node_id, struct swki_answers *answers,
                 struct swk_error *err)
{
    const Swkpb__IssueNodeCertificateRequest *request =
        (const Swkpb__IssueNodeCertificateRequest *)asked->call->request;
    const struct swki_object *old =
        swki_view_get(swki_store_head(server->store), SWKI_KIND_NODE, node_id);
    Swkpb__NodeSpec__Membership membership;
    struct swki_object *object;
    uint64_t index = 0;
    int rc;

    if (old == NULL) {
        return swki_fail(
            err, SWK_ENOTFOUND,
            "node %s not found when attempting to renew certificate", node_id);
    }
    rc = check_share(server, asked, swki_node(old), err);
    if (rc != 0) {
        return rc;
    }
    membership = swki_node(old)->spec != NULL
                     ? swki_node(old)->spec->membership
                     : SWKPB__NODE_SPEC__MEMBERSHIP__PENDING;
    object = swki_object_edit(old);
    if (object == NULL) {
        return swki_fail_nomem(err);
    }
    rc = set_request(object, &request->csr, swki_node(old)->role,
                     SWKPB__ISSUANCE_STATUS__STATE__RENEW, err);
    if (rc != 0) {
        swki_object_unref(object);
        return rc;
    }
    rc = update_node(server, asked->wall, object, &index, err);
    if (rc == 0) {
        answer_issue(answers, asked->wall, asked->call->id, node_id, membership,
                     index);
    }
    return rc;
}

static int fill_new_node(struct swki_ca_server *server,
                         struct swki_object *object, const char *id,
                         const Swkpb__IssueNodeCertificateRequest *request,
                         Swkpb__NodeRole role, struct swk_error *err)
{
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Node *node = swki_node_edit(object);

    node->id = swki_arena_strdup(arena, id);
    node->spec = swki_arena_alloc(arena, sizeof(*node->spec));
    if (node->id == NULL || node->spec == NULL) {
        return swki_fail_nomem(err);
    }
    swkpb__node_spec__init(node->spec);
    node->spec->desired_role = role;
    node->spec->membership = SWKPB__NODE_SPEC__MEMBERSHIP__ACCEPTED;
    node->spec->availability = request->availability;
    node->role = role;
    node->vxlanudpport = swki_cluster(server->cluster)->vxlanudpport;
    return set_request(object, &request->csr, role,
                       SWKPB__ISSUANCE_STATUS__STATE__PENDING, err);
}

/* What the presented token stands for. */
struct admission {
    Swkpb__NodeRole role;
    const Swkpb__Rpc__LimitedJoinToken *token; /* NULL: one without limits */
};

/* Adds the node, and counts the use of its token, in one transaction; object is
 * taken. */
static int write_new_node(struct swki_ca_server *server, swk_wall wall,
                          const struct admission *admission,
                          struct swki_object *object, uint64_t *out_index,
                          struct swk_error *err)
{
    struct swki_tx *tx = swki_store_begin(server->store, SWKI_ACTOR_CA, wall);
    int rc;

    if (tx == NULL) {
        swki_object_unref(object);
        return swki_fail_nomem(err);
    }
    rc = swki_tx_create(tx, object, err);
    if (rc == 0 && admission->token != NULL) {
        rc = swki_limited_token_use(admission->token, server->cluster, wall, tx,
                                    err);
    }
    if (rc != 0) {
        swki_tx_abort(tx);
        return rc;
    }
    return swki_tx_commit(tx, NULL, NULL, out_index, err);
}

/* Whether no node has, or had, that ID. */
static bool is_free(const struct swki_ca_server *server, const char *id)
{
    return swki_view_get(swki_store_head(server->store), SWKI_KIND_NODE, id) ==
               NULL &&
           !swki_ca_is_blacklisted(swki_cluster(server->cluster), id);
}

/* A node ID that is not taken; false if chance will not give one. */
static bool draw_id(struct swki_ca_server *server, char out_id[SWK_ID_LEN + 1])
{
    for (int i = 0; i < ID_ATTEMPTS; i++) {
        swki_rng_id(&server->rng, out_id);
        if (is_free(server, out_id)) {
            return true;
        }
    }
    return false;
}

/* Whether the call was answered: it is a repeated one, and its node, of this
 * ID, is there. */
static bool join_again(struct swki_ca_server *server, swk_wall wall,
                       const struct swki_call *call,
                       const struct admission *admission, const char *id,
                       struct swki_answers *answers)
{
    const Swkpb__IssueNodeCertificateRequest *request =
        (const Swkpb__IssueNodeCertificateRequest *)call->request;
    const struct swki_object *node =
        swki_view_get(swki_store_head(server->store), SWKI_KIND_NODE, id);

    if (node == NULL || !swki_limited_token_made(
                            swki_node(node), admission->token, &request->csr)) {
        return false;
    }
    answer_issue(answers, wall, call->id, id, swki_node(node)->spec->membership,
                 swki_object_version(node));
    return true;
}

/* The ID for a node that comes by a limited token, unless it was given to it
 * already: then *out_answered. */
static int find_limited_id(struct swki_ca_server *server, swk_wall wall,
                           const struct swki_call *call,
                           const struct admission *admission,
                           struct swki_answers *answers, bool *out_answered,
                           char out_id[SWK_ID_LEN + 1], struct swk_error *err)
{
    const Swkpb__IssueNodeCertificateRequest *request =
        (const Swkpb__IssueNodeCertificateRequest *)call->request;
    int rc = swki_limited_token_node_id(admission->token, &request->csr, out_id,
                                        err);

    if (rc != 0) {
        return rc;
    }
    *out_answered = join_again(server, wall, call, admission, out_id, answers);
    return *out_answered
               ? SWK_OK
               : swki_limited_token_check(admission->token, wall, err);
}

static int join(struct swki_ca_server *server, swk_wall wall,
                const struct swki_call *call, const struct admission *admission,
                struct swki_answers *answers, struct swk_error *err)
{
    const Swkpb__IssueNodeCertificateRequest *request =
        (const Swkpb__IssueNodeCertificateRequest *)call->request;
    struct swki_object *object;
    char id[SWK_ID_LEN + 1] = "";
    bool answered = false;
    uint64_t index = 0;
    int rc = SWK_OK;

    if (admission->token != NULL) {
        rc = find_limited_id(server, wall, call, admission, answers, &answered,
                             id, err);
    }
    if (rc != 0 || answered) {
        return rc;
    }
    if ((id[0] == '\0' || !is_free(server, id)) && !draw_id(server, id)) {
        return swki_fail(err, SWK_EUNAVAILABLE, "no free node ID was found");
    }
    object = swki_object_new(server->alloc, SWKI_KIND_NODE);
    if (object == NULL) {
        return swki_fail_nomem(err);
    }
    rc = fill_new_node(server, object, id, request, admission->role, err);
    if (rc == 0 && admission->token != NULL) {
        rc = swki_limited_token_mark(admission->token, object, err);
    }
    if (rc != 0) {
        swki_object_unref(object);
        return rc;
    }
    rc = write_new_node(server, wall, admission, object, &index, err);
    if (rc == 0) {
        answer_issue(answers, wall, call->id, id,
                     SWKPB__NODE_SPEC__MEMBERSHIP__ACCEPTED, index);
    }
    return rc;
}

/* False for a token that the swarm does not know. */
static bool find_admission(const struct swki_ca_server *server,
                           const char *token, struct admission *out_admission)
{
    const Swkpb__JoinTokens *tokens =
        swki_ca_root_of(server->cluster)->join_tokens;
    const Swkpb__Rpc__LimitedJoinToken *limited =
        swki_limited_token_find(tokens, token);
    enum swki_role role = swki_ca_token_role(tokens, token);

    if (limited == NULL && role == SWKI_ROLE_NONE) {
        return false;
    }
    *out_admission = (struct admission){.token = limited};
    if (limited != NULL
            ? limited->role == SWKPB__RPC__JOIN_TOKEN_ROLE__JOIN_TOKEN_MANAGER
            : role == SWKI_ROLE_MANAGER) {
        out_admission->role = SWKPB__NODE_ROLE__MANAGER;
    }
    return true;
}

bool swki_ca_is_blacklisted(const Swkpb__Cluster *cluster, const char *node_id)
{
    for (size_t i = 0; i < cluster->n_blacklisted_certificates; i++) {
        if (strcmp(cluster->blacklisted_certificates[i]->key, node_id) == 0) {
            return true;
        }
    }
    return false;
}

static int check_request(const Swkpb__IssueNodeCertificateRequest *request,
                         struct swk_error *err)
{
    if (request->csr.len == 0) {
        return swki_fail(err, SWK_EINVAL, "certificate request is empty");
    }
    if (request->csr.len > SWKI_CSR_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL, "certificate request is too long");
    }
    switch ((int)request->availability) {
    case SWKPB__NODE_SPEC__AVAILABILITY__ACTIVE:
    case SWKPB__NODE_SPEC__AVAILABILITY__PAUSE:
    case SWKPB__NODE_SPEC__AVAILABILITY__DRAIN:
        return SWK_OK;
    default:
        return swki_fail(err, SWK_EINVAL, "unknown availability");
    }
}

static int serve_issue(struct swki_ca_server *server, const struct asked *asked,
                       struct swki_answers *answers, struct swk_error *err)
{
    const struct swki_call *call = asked->call;
    const swk_wall wall = asked->wall;
    const Swkpb__IssueNodeCertificateRequest *request =
        (const Swkpb__IssueNodeCertificateRequest *)call->request;
    const char *node_id = renewer(server, call->caller);
    struct admission admission;
    int rc = SWK_OK;

    if (call->caller->local) {
        rc = swki_ca_check_own(server, wall, err);
    } else if (node_id == NULL && request->proof != NULL) {
        rc = swki_ca_check_proof(server, wall, request, &node_id, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (node_id != NULL) {
        return renew(server, asked, node_id, answers, err);
    }
    if (!find_admission(server, request->token, &admission)) {
        return swki_fail(err, SWK_EINVAL,
                         "A valid join token is necessary to join this "
                         "cluster");
    }
    return join(server, wall, call, &admission, answers, err);
}

/* The cluster object that leaves the manager, once there is one; it is also
 * what decides whether calls are served at all. */
static int find_material(struct swki_ca_server *server,
                         const struct swki_object **out_cluster,
                         struct swk_error *err)
{
    if (!server->running) {
        return swki_fail(err, SWK_EABORTED, "CA signer is stopped");
    }
    /* Tokens may have changed since the last step. */
    swki_ca_server_follow(server);
    *out_cluster = swki_ca_find_cluster(swki_store_committed(server->store));
    if (swki_ca_root_of(*out_cluster) == NULL ||
        swki_ca_root_of(server->cluster) == NULL) {
        return swki_fail(err, SWK_EABORTED, "CA signer is still starting");
    }
    return SWK_OK;
}

static int serve(struct swki_ca_server *server, const struct asked *asked,
                 struct swki_answers *answers, struct swk_error *err)
{
    const struct swki_call *call = asked->call;
    bool issue =
        strcmp(call->path, SERVICES "NodeCA/IssueNodeCertificate") == 0;
    const struct swki_object *cluster = NULL;
    int rc = SWK_OK;

    if (issue) {
        rc = check_request(
            (const Swkpb__IssueNodeCertificateRequest *)call->request, err);
    }
    if (rc == 0) {
        rc = find_material(server, &cluster, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (issue) {
        return serve_issue(server, asked, answers, err);
    }
    if (strcmp(call->path, SERVICES "NodeCA/NodeCertificateStatus") == 0) {
        return serve_status(server, call, answers, err);
    }
    if (strcmp(call->path, SERVICES "CA/GetRootCACertificate") == 0) {
        return serve_root(server, asked->wall, call, cluster, answers);
    }
    if (strcmp(call->path, SERVICES "CA/GetUnlockKey") == 0) {
        return serve_unlock_key(server, call, cluster, answers);
    }
    return swki_fail(err, SWK_ENOTSUP, "no such call");
}

void swki_ca_server_call(struct swki_ca_server *server, swk_time now,
                         swk_wall wall, const struct swki_call *call,
                         struct swki_answers *answers)
{
    const struct asked asked = {.call = call, .now = now, .wall = wall};
    struct swk_error err = {0};

    if (serve(server, &asked, answers, &err) != 0) {
        swki_answer_fail(answers, call->id, &err);
    }
}
